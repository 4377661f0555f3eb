//! On which facts the files of a member disagree, and which of them etcd believes.

use std::collections::BTreeSet;
use std::path::Path;

use super::report::{Disagreement, Stated};
use crate::etcd::Facts;
use crate::etcd::datadir::RAFT_SNAPSHOT_LIMIT;
use crate::etcd::schema::{Minor, storage_version};
use crate::io::tree;
use crate::raft::ConfState;
use crate::replay::believed::{Fact, believed_by};
use crate::snap::file::SnapFile;
use crate::wal;
use crate::words::ids::MemberId;
use crate::words::text::Told;

/// What the files say of each fact, where more than one does and they differ. `snap` is the newest raft snapshot.
pub(super) fn disagreements(
    facts: &Facts,
    snap: Option<&Path>,
    records: &[wal::SnapshotRecord],
) -> Vec<Disagreement> {
    let version = |told: Option<&Told>| told.map(Told::raw).and_then(Minor::of);
    let minor = version(storage_version(facts).version.as_ref()).max(version(facts.cluster_version.as_ref()));
    let snap = snap.and_then(read);
    let conf_state = snap.as_ref().and_then(|(_, file)| file.snapshot.metadata.as_ref()?.conf_state.as_ref());
    let membership = snap.as_ref().and_then(|(_, file)| file.membership().ok());
    let of_snap = |value: Option<String>| {
        let (name, file) = snap.as_ref()?;
        Some(Stated { file: name.clone(), index: Some(file.index()), value: value? })
    };
    let of_db = |file: &str, value| Stated { file: file.to_owned(), index: facts.consistent_index, value };
    let record = records.iter().rfind(|record| record.conf_state.is_some());
    let of_wal = record.and_then(|record| {
        let value = voters(record.conf_state.as_ref()?);
        Some(Stated { file: "WAL".to_owned(), index: Some(record.last_index()), value })
    });
    let voting = facts.members.iter().filter(|m| !m.is_learner).map(|m| m.id);
    let listed = facts.members.iter().map(|m| m.id);
    let by_members = |value| (!facts.members.is_empty()).then(|| of_db("db members", value));
    let conf_state_of_db = facts.conf_state.as_ref().map(|state| list(state.voters.iter().copied()));
    let (version, membership) = (facts.cluster_version.as_ref().map(Told::to_string), membership.as_ref());
    let stated = [
        (
            Fact::Voters,
            vec![
                by_members(list(voting)),
                conf_state_of_db.map(|value| of_db("db meta/confState", value)),
                of_snap(conf_state.map(voters)),
                of_wal,
            ],
        ),
        (
            Fact::Members,
            vec![by_members(list(listed)), of_snap(membership.map(|m| list(m.members.iter().map(|m| m.id))))],
        ),
        (
            Fact::Removed,
            vec![
                Some(of_db("db", list(facts.removed_members.iter().copied()))),
                of_snap(membership.map(|m| list(m.removed.iter().copied()))),
            ],
        ),
        (
            Fact::ClusterVersion,
            vec![
                version.map(|version| of_db("db", version)),
                of_snap(membership.and_then(|m| m.cluster_version.as_ref()).map(Told::to_string)),
            ],
        ),
    ];
    let all = stated.into_iter().map(|(fact, stated)| (fact, stated.into_iter().flatten().collect()));
    all.filter_map(|(fact, stated)| disagreement(fact, stated, minor)).collect()
}

/// A raft snapshot and its name, if it can be read.
fn read(path: &Path) -> Option<(String, SnapFile)> {
    let source = tree::open(path).ok()?;
    let file = SnapFile::decode(&source.read_all(RAFT_SNAPSHOT_LIMIT).ok()?).ok()?;
    Some((path.file_name()?.to_string_lossy().into_owned(), file))
}

fn disagreement(fact: Fact, stated: Vec<Stated>, etcd: Option<Minor>) -> Option<Disagreement> {
    let values: BTreeSet<&String> = stated.iter().map(|stated| &stated.value).collect();
    let differ = values.len() > 1;
    let believes = etcd.map(|minor| believed_by(minor, fact));
    differ.then_some(Disagreement { fact: fact.name(), stated, etcd, believes })
}

fn voters(state: &ConfState) -> String {
    list(state.voters.iter().copied().map(MemberId::new))
}

/// The ids in order; `none` if there are none.
fn list(ids: impl Iterator<Item = MemberId>) -> String {
    let all: BTreeSet<MemberId> = ids.collect();
    if all.is_empty() {
        return "none".to_owned();
    }
    all.iter().map(MemberId::to_string).collect::<Vec<_>>().join(" ")
}
