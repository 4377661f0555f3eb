//! A member's raft log without its entries: which indexes it holds, of which term, and what that tells of the others'.

use std::collections::BTreeSet;

use crate::raft::HardState;
use crate::wal::{Metadata, Read, Terms};
use crate::words::ids::MemberId;

/// A member's log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RaftLog {
    /// Whether there is one at all.
    pub is_there: bool,
    pub metadata: Metadata,
    pub state: HardState,
    /// Whether nothing of it is damaged: else what can be read of it may have been replaced behind the damage.
    pub whole: bool,
    /// The terms of its entries.
    terms: Terms,
    /// The last entry that is in the database of the member or of its leader, and its term.
    snapshot: Option<(u64, u64)>,
}

impl RaftLog {
    /// What there is of a log as far as it can be read; what is wrong with it is for others to say.
    pub fn of(read: &Read) -> RaftLog {
        let summary = &read.summary;
        let snapshots = summary.valid_snapshots().map(|snapshot| (snapshot.index(), snapshot.term()));
        RaftLog {
            is_there: !summary.segments.is_empty(),
            metadata: summary.metadata.unwrap_or_default(),
            state: summary.hard_state.unwrap_or_default(),
            whole: summary.is_whole(),
            terms: read.terms.clone(),
            snapshot: snapshots.max_by_key(|(index, _)| *index).filter(|(index, _)| *index > 0),
        }
    }

    /// Term and index of the last entry: what members compare when they elect a leader (`raft.go isUpToDate`).
    pub fn last(&self) -> (u64, u64) {
        let entry = self.terms.runs().last().map(|run| (run.term, run.last));
        let snapshot = self.snapshot.map(|(index, term)| (term, index));
        match (entry, snapshot) {
            // A snapshot that goes further takes the log's place.
            (Some(entry), Some(snapshot)) if snapshot.1 <= entry.1 => entry,
            (entry, snapshot) => snapshot.or(entry).unwrap_or_default(),
        }
    }

    /// The term of an entry that is there.
    pub fn term_at(&self, index: u64) -> Option<u64> {
        let recorded = self.snapshot.filter(|(at, _)| *at == index).map(|(_, term)| term);
        self.terms.at(index).or(recorded)
    }

    /// The first index up to `until` that both hold in different terms, with the terms.
    pub fn conflict(&self, other: &RaftLog, until: u64) -> Option<(u64, u64, u64)> {
        let mut ours = self.terms.runs().iter().peekable();
        let mut theirs = other.terms.runs().iter().peekable();
        while let (Some(a), Some(b)) = (ours.peek(), theirs.peek()) {
            let first = a.first.max(b.first);
            if first <= a.last.min(b.last).min(until) && a.term != b.term {
                return Some((first, a.term, b.term));
            }
            if a.last <= b.last {
                ours.next()
            } else {
                theirs.next()
            };
        }
        None
    }
}

/// One member's log, and up to where it is known to be committed.
pub(super) struct LogAndCommit<'l> {
    pub log: &'l RaftLog,
    pub committed: u64,
}

/// What became of the entries of a log that its member does not know to be committed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Evidence {
    /// Up to this index another member knows them to be committed.
    pub known: Option<u64>,
    /// Up to this index a majority of the voters have them, so that nothing else was committed in their place.
    pub majority: Option<u64>,
    /// How many of the voters have the last of those.
    pub holders: usize,
    /// From this index on another member knows other entries to be committed.
    pub replaced: Option<u64>,
}

impl Evidence {
    /// The last index that is certain: committed, or with a majority.
    pub fn certain(&self) -> Option<u64> {
        self.known.max(self.majority)
    }
}

/// Asks the other members about the entries that `one` does not know to be committed. An entry's index and term name
/// it: those of the same name, and all before them, are the same in every log (raft's log matching).
pub(super) fn ask_others(
    one: &LogAndCommit<'_>,
    others: &[LogAndCommit<'_>],
    voters: &BTreeSet<MemberId>,
) -> Evidence {
    let mut evidence = Evidence::default();
    let last = one.log.last().1;
    for index in (one.committed.saturating_add(1)..=last).rev() {
        let Some(term) = one.log.term_at(index) else { break };
        for other in others.iter().filter(|other| other.committed >= index) {
            match other.log.term_at(index) {
                Some(theirs) if theirs == term => evidence.known = evidence.known.max(Some(index)),
                Some(_) => evidence.replaced = Some(index),
                None => {}
            }
        }
        if evidence.majority.is_none() {
            let have = |other: &&LogAndCommit<'_>| other.log.term_at(index) == Some(term);
            let ids = std::iter::once(one)
                .chain(others.iter().filter(have))
                .map(|member| member.log.metadata.member());
            let holders = ids.filter(|id| voters.contains(id)).collect::<BTreeSet<_>>().len();
            if holders > voters.len().checked_div(2).unwrap_or(0) {
                (evidence.majority, evidence.holders) = (Some(index), holders);
            }
        }
    }
    evidence
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log of these (index, term), of that member, and what it knows.
    fn log(node: u64, entries: &[(u64, u64)]) -> RaftLog {
        let mut terms = Terms::default();
        entries.iter().for_each(|(index, term)| terms.add(*index, *term));
        RaftLog {
            metadata: Metadata { node_id: Some(node), cluster_id: Some(1) },
            terms,
            ..RaftLog::default()
        }
    }

    fn ask(one: (&RaftLog, u64), others: &[(&RaftLog, u64)], voters: &[u64]) -> Evidence {
        let member = |(log, committed)| LogAndCommit { log, committed };
        let others: Vec<_> = others.iter().copied().map(member).collect();
        ask_others(&member(one), &others, &voters.iter().copied().map(MemberId::new).collect())
    }

    #[test]
    fn a_snapshot_that_goes_further_is_the_end_of_the_log() {
        let mut log = log(1, &[(1, 1), (2, 1)]);
        log.snapshot = Some((9, 4));
        assert_eq!((log.last(), log.term_at(9), log.term_at(5)), ((4, 9), Some(4), None));
        log.snapshot = Some((2, 1));
        assert_eq!(log.last(), (1, 2));
    }

    #[test]
    fn two_logs_disagree_where_their_terms_first_differ_and_both_are_committed() {
        let (one, other) = (log(1, &[(1, 1), (2, 1), (3, 2), (4, 2)]), log(2, &[(2, 1), (3, 3), (4, 3)]));
        assert_eq!((one.conflict(&other, 4), one.conflict(&other, 2)), (Some((3, 2, 3)), None));
        assert_eq!(other.conflict(&one, 3), Some((3, 3, 2)));
        // Nothing in common.
        assert_eq!(one.conflict(&log(2, &[(7, 9)]), 9), None);
    }

    #[test]
    fn an_entry_was_committed_if_another_member_knows_or_a_majority_has_it() {
        let one = log(1, &[(1, 1), (2, 1), (3, 2), (4, 2), (5, 2)]);
        let two = log(2, &[(1, 1), (2, 1), (3, 2), (4, 2)]);
        let three = log(3, &[(1, 1), (2, 1), (3, 2)]);
        let due = Evidence { known: Some(3), majority: Some(4), holders: 2, replaced: None };
        assert_eq!(ask((&one, 2), &[(&two, 1), (&three, 3)], &[1, 2, 3]), due);
        assert_eq!(due.certain(), Some(4));
        // Two of five are no majority, and who does not vote does not count.
        assert_eq!(ask((&one, 2), &[(&two, 1)], &[1, 2, 3, 4, 5]), Evidence::default());
        assert_eq!(ask((&one, 2), &[(&two, 1)], &[1, 8, 9]), Evidence::default());
        // The same member twice is one voice.
        assert_eq!(ask((&one, 2), &[(&one, 2)], &[1, 2, 3]), Evidence::default());
    }

    #[test]
    fn an_entry_was_replaced_if_another_is_known_to_be_committed_in_its_place() {
        let one = log(1, &[(1, 1), (2, 1), (3, 2), (4, 2)]);
        let two = log(2, &[(1, 1), (2, 1), (3, 3)]);
        assert_eq!(
            ask((&one, 1), &[(&two, 3)], &[1, 2, 3]),
            Evidence { known: Some(2), majority: Some(2), holders: 2, replaced: Some(3) }
        );
    }
}
