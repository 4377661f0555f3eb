//! Which of a member's files is believed.
//!
//! Several of them state the same facts, and they may disagree: `etcdutl snapshot restore` leaves the conf state of the
//! old cluster in the new database (3.5 to 3.7), that of 3.4 also the old cluster's members, and a fault of 3.5.1 to
//! 3.5.19 leaves members in the database as they were. What etcd takes when it starts, and what holds once it has
//! applied what its database lacks:
//!
//! | Fact | 3.4 | 3.5 | 3.6 | 3.7, 3.8 | After replay |
//! |---|---|---|---|---|---|
//! | voters, learners (raft) | `.snap`, then entries | the same | the same | `members` of the db | each conf change that fits, whether or not the db has it |
//! | members | v2 store of the `.snap`, then entries | the same | `members` of the db | the same | conf changes past the db's index |
//! | their names, client URLs | the same, v2 requests among the entries | the same | `members` of the db | the same | requests past the db's index |
//! | removed members | v2 store of the `.snap`, then entries | the same | `members_removed` of the db | the same | conf changes past the db's index |
//! | term, vote | last hard state of the WAL | the same | the same | the same | the same, and the term of the last entry if that is greater |
//! | commit | last hard state of the WAL | the same | the same | the same | [`Believed::committed`] |
//! | consistent index | `meta` of the db | the same | the same | the same | the last entry applied |
//! | start of the log | newest `.snap` whose record is in the WAL | the same | the same | newest WAL snapshot record | the same |
//! | cluster version | v2 store of the `.snap`, then entries | the same | `cluster` of the db | the same | entries that set it |
//! | storage version | none | none | `meta` of the db | the same | as the server writes it |
//! | node and cluster id | WAL metadata | the same | the same | the same | the same |
//!
//! `meta/confState` of the db decides nothing in any of them: it is written with each membership change, from raft.
//! Without a `.snap` the log counts from its first entry; a WAL snapshot record (since 3.5 it has the conf state) says
//! the same as the `.snap` of its index. Only where none of these reaches the database's index, its own words are
//! taken. 3.8 has no `.snap` any more.
//!
//! Of names and client URLs the database's are taken in every version where it lists the member: it is as new as the
//! entries up to its index, which are not read for that. A cluster version is only written down from the database and
//! the entries past it. Source: `server/etcdserver/{server.go NewServer, bootstrap.go recoverSnapshot}`,
//! `membership.RaftCluster.Recover` @ v3.4, v3.5, v3.6, v3.7.

use std::collections::BTreeMap;

use super::apply::{Holds, Version};
use super::member_log::MemberLog;
use super::membership::{Cluster, Rules};
use crate::etcd::Facts;
use crate::etcd::member::Member;
use crate::etcd::schema::Minor;
use crate::wal::{Read, Summary};
use crate::words::ids::{MemberId, RaftIndex};

/// Who is a member and votes as of the last entry in a database, and what of the log counts as committed.
#[derive(Debug, Clone)]
pub(super) struct Believed {
    /// As of the last entry in the database.
    pub cluster: Cluster,
    /// Whether the member whose log it is alone votes once it has applied what it knows to be committed, and the log
    /// is whole.
    pub alone: bool,
}

impl Believed {
    /// Decides for a database and the log that belongs to it; `summary` is of the part of the log that is applied.
    pub fn of(facts: &Facts, log: &MemberLog, read: &Read, summary: &Summary, version: Version) -> Believed {
        let from = facts.consistent_index.unwrap_or_default();
        let rules = rules_of(version, Some(facts));
        let cluster = match by_raft(log, read, from, rules) {
            // Raft is told who votes by the members of the database.
            _ if version.minor >= Minor::V37 && !facts.members.is_empty() => Cluster::listed(facts),
            Some(raft) if version.minor == Minor::V36 => listed_by_database(raft, facts),
            Some(raft) => named_by_database(raft, facts),
            None => Cluster::of(facts),
        };
        let mut committed = cluster.clone();
        committed.follow(read, from, RaftIndex::new(summary.commit()), rules_of(version, None));
        let node = summary.metadata.unwrap_or_default().member();
        Believed { alone: summary.is_whole() && committed.votes_alone(node), cluster }
    }

    /// The last index that counts as committed. A single voter commits its whole log as soon as it starts; others
    /// know no more than their hard state says.
    pub fn committed(&self, summary: &Summary) -> RaftIndex {
        RaftIndex::new(if self.alone { u64::MAX } else { summary.commit() })
    }
}

/// The rules of a version for changes that a database has seen, or that none has.
fn rules_of(version: Version, outcome: Option<&Facts>) -> Rules<'_> {
    let moved_learners_learn = match version.moved_learners_learn() {
        Holds::Yes => Some(true),
        Holds::No => Some(false),
        Holds::Since(_) => None,
    };
    Rules { moved_learners_learn, outcome }
}

/// Who votes by raft's own files, as of `to`; `None` where they do not reach it.
fn by_raft(log: &MemberLog, read: &Read, to: RaftIndex, rules: Rules<'_>) -> Option<Cluster> {
    let file = log.raft_snapshot(to, read).and_then(|snap| {
        let conf_state = snap.snapshot.metadata.as_ref().and_then(|metadata| metadata.conf_state.as_ref());
        Some((snap.index(), Cluster::of_snapshot(snap.membership().ok()?, conf_state)))
    });
    let record = read
        .summary
        .valid_snapshots()
        .filter(|record| record.last_index() <= to && record.index() > 0)
        .filter_map(|record| Some((record.last_index(), Cluster::of_conf_state(record.conf_state.as_ref()?))))
        .max_by_key(|(index, _)| *index);
    let start = (RaftIndex::default(), Cluster::before_the_log());
    // The file tells more than the record of the same index.
    let sources = [file, record, Some(start)].into_iter().flatten();
    let (index, mut cluster) =
        sources.into_iter().find(|(index, _)| read.terms.holds(index.get(), to.get()))?;
    cluster.follow(read, index, to, rules);
    (!cluster.voters.is_empty()).then_some(cluster)
}

/// Members of the database, voters of raft.
fn listed_by_database(mut raft: Cluster, facts: &Facts) -> Cluster {
    let listed = Cluster::listed(facts);
    (raft.members, raft.removed) = (listed.members, listed.removed);
    for (id, member) in &mut raft.members {
        // 3.5.1 to 3.5.19 left a promoted learner in the bucket as it was.
        member.is_learner &= !raft.voters.contains(id);
    }
    raft
}

/// Members of raft, with the names that the database has for them.
fn named_by_database(mut raft: Cluster, facts: &Facts) -> Cluster {
    let listed: BTreeMap<MemberId, &Member> =
        facts.members.iter().map(|member| (member.id, member)).collect();
    for (id, member) in &mut raft.members {
        let Some(listed) = listed.get(id) else { continue };
        if !listed.name.is_empty() {
            member.name.clone_from(&listed.name);
            member.client_urls.clone_from(&listed.client_urls);
        }
        if member.peer_urls.is_empty() {
            member.peer_urls.clone_from(&listed.peer_urls);
        }
    }
    raft
}
