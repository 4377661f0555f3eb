//! The log and the raft snapshot that a member of a new cluster begins with, as `etcdutl snapshot restore` of each
//! version writes them.
//!
//! ```text
//! log         crc(0), metadata {member, cluster}, snapshot {0,0}, entries 1..N: a conf change for each member, ascending by id,
//!             learners last, state {term 1, vote: the lowest id of a voter, commit N}, snapshot {N, term 1, conf state}; zeros to 64,000,000 bytes
//! snapshot    {v2 store, conf state, index N, term 1}; none since 3.8
//! ```
//!
//! The versions differ in which fields with the value 0 they write, 3.4 leaves the conf state out of the log, and 3.6
//! counts a failed read in the v2 store. etcdutl makes voters only; learners come last because raft knows no
//! configuration without a voter. Source: `etcdutl/snapshot/v3_snapshot.go saveWALAndSnap` @ v3.4, v3.5, v3.6, v3.7.

use prost::Message;

use super::identity::{NewCluster, NewMember};
use crate::codec::to_u64;
use crate::etcd::schema::Minor;
use crate::raft::{
    self, ConfChange, ConfChangeType, ConfState, Entry, EntryType, HardState, SnapshotMetadata,
};
use crate::snap::file::{SnapFile, SnapName};
use crate::snap::v2;
use crate::wal::writer::LogWriter;
use crate::wal::{Metadata, SegmentName, SnapshotRecord};
use crate::words::ids::{RaftIndex, Term};

/// The term in which a new cluster begins.
pub const TERM: Term = Term::new(1);

/// The last index of the log: one entry for each member.
#[must_use]
pub fn commit(cluster: &NewCluster) -> RaftIndex {
    RaftIndex::new(to_u64(cluster.members.len()))
}

/// The only segment of a member's log: its name, and its bytes without the zeros that follow.
#[must_use]
pub fn log(cluster: &NewCluster, member: &NewMember, version: Minor) -> (SegmentName, Vec<u8>) {
    let mut log = LogWriter::new(0);
    log.metadata(&Metadata { node_id: Some(member.id.get()), cluster_id: Some(cluster.id.get()) });
    log.snapshot(&SnapshotRecord { index: Some(0), term: Some(0), conf_state: None });
    for (member, index) in cluster.voters().chain(cluster.learners()).zip(1..) {
        let kind = if member.learner { ConfChangeType::AddLearnerNode } else { ConfChangeType::AddNode };
        let change = ConfChange {
            id: zero(version),
            // All versions write it, even where it is 0.
            kind: Some(i32::from(kind)),
            node_id: Some(member.id.get()),
            context: Some(member.json().into_bytes()),
        };
        let kind = Some(i32::from(EntryType::ConfChange));
        log.entry(&Entry {
            kind,
            term: Some(TERM.get()),
            index: Some(index),
            data: Some(change.encode_to_vec()),
        });
    }
    let vote = cluster.voters().next().map_or(0, |member| member.id.get());
    log.state(&HardState { term: Some(TERM.get()), vote: Some(vote), commit: Some(commit(cluster).get()) });
    let conf_state = (version > Minor::V34).then(|| conf_state(cluster, version));
    log.snapshot(&SnapshotRecord { index: Some(commit(cluster).get()), term: Some(TERM.get()), conf_state });
    (SegmentName::FIRST, log.into_bytes())
}

/// The raft snapshot, the same for all members, in the versions that write one.
#[must_use]
pub fn snapshot(cluster: &NewCluster, version: Minor) -> Option<(SnapName, Vec<u8>)> {
    if version.has_no_raft_snapshot() {
        return None;
    }
    let members = cluster.members.iter().map(|m| v2::V2Member {
        id: m.id,
        peer_urls: m.peer_urls.iter().map(String::as_str).collect(),
        learner: m.learner,
    });
    let data = v2::store(members, &[], None, u64::from(version > Minor::V35));
    let index = commit(cluster);
    let metadata = SnapshotMetadata {
        conf_state: Some(conf_state(cluster, version)),
        index: Some(index.get()),
        term: Some(TERM.get()),
    };
    let snapshot = raft::Snapshot { data: Some(data.into_bytes()), metadata: Some(metadata) };
    Some((SnapName { term: TERM, index }, SnapFile::encode(&snapshot)))
}

fn conf_state(cluster: &NewCluster, version: Minor) -> ConfState {
    let (voters, learners) =
        (cluster.voters().map(|m| m.id.get()).collect(), cluster.learners().map(|m| m.id.get()).collect());
    ConfState { voters, learners, auto_leave: zero(version).map(|_| false), ..ConfState::default() }
}

/// A field that nobody set: written up to 3.6, left out since.
fn zero(version: Minor) -> Option<u64> {
    (version < Minor::V37).then_some(0)
}
