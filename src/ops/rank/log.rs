//! A member's raft log without its entries: which indexes it holds, of which term.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use crate::etcd::datadir::DataDir;
use crate::io::Source;
use crate::raft::HardState;
use crate::wal::log::{Body, Scan};
use crate::wal::{Log, Metadata, Snapshot};
use crate::words::error::Result;
use crate::words::ids::MemberId;

/// Entries that follow each other, of one term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stretch {
    first: u64,
    last: u64,
    term: u64,
}

/// A member's log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RaftLog {
    pub metadata: Metadata,
    pub state: HardState,
    /// Whether nothing of it is damaged: else what can be read of it may have been replaced behind the damage.
    pub whole: bool,
    /// In order; there may be a hole before what a snapshot bridges.
    stretches: Vec<Stretch>,
    /// The last entry that is in the database of the member or of its leader, and its term.
    snapshot: Option<(u64, u64)>,
}

impl RaftLog {
    /// Reads a directory's log as far as it can be read; what is wrong with it is for others to say.
    pub fn read(dir: &DataDir) -> Result<RaftLog> {
        let sources = dir.wals.iter().map(|path| Source::open(path)).collect::<Result<Vec<_>>>()?;
        let names: Vec<String> = dir
            .wals
            .iter()
            .map(|path| path.file_name().unwrap_or_default().to_string_lossy().into_owned())
            .collect();
        let log = Log::new(names.iter().map(String::as_str).zip(&sources));
        let mut stretches = Vec::new();
        let summary = log.scan(Scan::default(), &mut |_| {}, &mut |visit| {
            if let Body::Entry { entry, kept: true } = visit.body {
                add(&mut stretches, entry.index.get(), entry.term.get());
            }
            ControlFlow::Continue(())
        });
        let newest = summary
            .valid_snapshots()
            .max_by_key(|snapshot| snapshot.index())
            .filter(|snapshot| snapshot.index() > 0);
        Ok(RaftLog {
            metadata: summary.metadata.unwrap_or_default(),
            state: summary.hard_state.unwrap_or_default(),
            whole: summary.complete && !summary.discarded,
            snapshot: newest.map(|snapshot: &Snapshot| (snapshot.index(), snapshot.term())),
            stretches,
        })
    }

    /// Term and index of the last entry: what members compare when they elect a leader (`raft.go isUpToDate`).
    pub fn last(&self) -> (u64, u64) {
        let entry = self.stretches.last().map(|stretch| (stretch.term, stretch.last));
        let snapshot = self.snapshot.map(|(index, term)| (term, index));
        match (entry, snapshot) {
            // A snapshot that goes further takes the log's place.
            (Some(entry), Some(snapshot)) if snapshot.1 <= entry.1 => entry,
            (entry, snapshot) => snapshot.or(entry).unwrap_or_default(),
        }
    }

    /// The term of an entry that is there.
    pub fn term_at(&self, index: u64) -> Option<u64> {
        let at = self.stretches.partition_point(|stretch| stretch.last < index);
        let stretch = self.stretches.get(at).filter(|stretch| stretch.first <= index);
        stretch
            .map(|stretch| stretch.term)
            .or_else(|| self.snapshot.filter(|(at, _)| *at == index).map(|(_, term)| term))
    }

    /// The first index up to `until` that both hold in different terms, with the terms.
    pub fn conflict(&self, other: &RaftLog, until: u64) -> Option<(u64, u64, u64)> {
        let (mut ours, mut theirs) = (self.stretches.iter().peekable(), other.stretches.iter().peekable());
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

/// A later entry replaces those from its index on.
fn add(stretches: &mut Vec<Stretch>, index: u64, term: u64) {
    while stretches.last().is_some_and(|stretch| stretch.first >= index) {
        stretches.pop();
    }
    if let Some(last) = stretches.last_mut() {
        last.last = last.last.min(index.saturating_sub(1));
        if last.term == term && last.last == index.saturating_sub(1) {
            last.last = index;
            return;
        }
    }
    stretches.push(Stretch { first: index, last: index, term });
}

/// One member's log, and up to where it is known to be committed.
pub(super) struct Voice<'l> {
    pub log: &'l RaftLog,
    pub known: u64,
}

/// What became of the entries of a log that its member does not know to be committed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Fate {
    /// Up to this index another member knows them to be committed.
    pub known: Option<u64>,
    /// Up to this index a majority of the voters have them, so that nothing else was committed in their place.
    pub majority: Option<u64>,
    /// How many of the voters have the last of those.
    pub holders: usize,
    /// From this index on another member knows other entries to be committed.
    pub replaced: Option<u64>,
}

impl Fate {
    /// The last index that is settled: committed, or with a majority.
    pub fn settled(&self) -> Option<u64> {
        self.known.max(self.majority)
    }
}

/// Asks the other members about the entries after `voice.known`. An entry's index and term name it: those of the same
/// name, and all before them, are the same in every log (raft's log matching).
pub(super) fn fate(voice: &Voice<'_>, others: &[Voice<'_>], voters: &BTreeSet<MemberId>) -> Fate {
    let mut fate = Fate::default();
    let last = voice.log.last().1;
    let mine = |index: u64| voice.log.term_at(index);
    for index in (voice.known.saturating_add(1)..=last).rev() {
        let Some(term) = mine(index) else { break };
        for other in others.iter().filter(|other| other.known >= index) {
            match other.log.term_at(index) {
                Some(theirs) if theirs == term => fate.known = fate.known.max(Some(index)),
                Some(_) => fate.replaced = Some(index),
                None => {}
            }
        }
        if fate.majority.is_none() {
            let have = |other: &&Voice<'_>| other.log.term_at(index) == Some(term);
            let holders = std::iter::once(voice)
                .chain(others.iter().filter(have))
                .map(|voice| voice.log.metadata.member());
            let holders = holders.filter(|id| voters.contains(id)).collect::<BTreeSet<_>>().len();
            if holders > voters.len().checked_div(2).unwrap_or(0) {
                (fate.majority, fate.holders) = (Some(index), holders);
            }
        }
    }
    fate
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log of these (index, term), of that member, and what it knows.
    fn log(node: u64, entries: &[(u64, u64)]) -> RaftLog {
        let mut stretches = Vec::new();
        entries.iter().for_each(|(index, term)| add(&mut stretches, *index, *term));
        RaftLog {
            metadata: Metadata { node_id: Some(node), cluster_id: Some(1) },
            stretches,
            ..RaftLog::default()
        }
    }

    fn ask(one: (&RaftLog, u64), others: &[(&RaftLog, u64)], voters: &[u64]) -> Fate {
        let voice = |(log, known)| Voice { log, known };
        let others: Vec<_> = others.iter().copied().map(voice).collect();
        fate(&voice(one), &others, &voters.iter().copied().map(MemberId::new).collect())
    }

    #[test]
    fn a_later_entry_replaces_those_from_its_index_on() {
        let log = log(1, &[(1, 1), (2, 1), (3, 1), (4, 2), (5, 2), (3, 3), (4, 3)]);
        assert_eq!(
            (1..=5).map(|index| log.term_at(index)).collect::<Vec<_>>(),
            [Some(1), Some(1), Some(3), Some(3), None]
        );
        assert_eq!((log.last(), log.stretches.len()), ((3, 4), 2));
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
        let due = Fate { known: Some(3), majority: Some(4), holders: 2, replaced: None };
        assert_eq!(ask((&one, 2), &[(&two, 1), (&three, 3)], &[1, 2, 3]), due);
        assert_eq!(due.settled(), Some(4));
        // Two of five are no majority, and who does not vote does not count.
        assert_eq!(ask((&one, 2), &[(&two, 1)], &[1, 2, 3, 4, 5]), Fate::default());
        assert_eq!(ask((&one, 2), &[(&two, 1)], &[1, 8, 9]), Fate::default());
        // The same member twice is one voice.
        assert_eq!(ask((&one, 2), &[(&one, 2)], &[1, 2, 3]), Fate::default());
    }

    #[test]
    fn an_entry_was_replaced_if_another_is_known_to_be_committed_in_its_place() {
        let one = log(1, &[(1, 1), (2, 1), (3, 2), (4, 2)]);
        let two = log(2, &[(1, 1), (2, 1), (3, 3)]);
        assert_eq!(
            ask((&one, 1), &[(&two, 3)], &[1, 2, 3]),
            Fate { known: Some(2), majority: Some(2), holders: 2, replaced: Some(3) }
        );
    }
}
