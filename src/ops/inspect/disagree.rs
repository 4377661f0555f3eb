//! On which facts the files of a member disagree, and which of them etcd believes.

use std::collections::BTreeSet;

use super::report::{Disagreement, Stated};
use crate::etcd::Facts;
use crate::etcd::datadir::RAFT_SNAPSHOT_LIMIT;
use crate::etcd::schema::{Minor, storage_version};
use crate::io::Source;
use crate::raft::ConfState;
use crate::replay::believed::{Fact, believed_by};
use crate::snap::file::SnapFile;
use crate::wal;
use crate::words::ids::MemberId;
use crate::words::text::Told;

/// What the files say of each fact, where more than one does and they differ. `snap` is the newest raft snapshot.
pub(super) fn disagreements(
    facts: &Facts,
    snap: Option<&std::path::Path>,
    records: &[wal::SnapshotRecord],
) -> Vec<Disagreement> {
    let version = |told: Option<&Told>| told.map(Told::raw).and_then(Minor::of);
    let minor = version(storage_version(facts).version.as_ref()).max(version(facts.cluster_version.as_ref()));
    let snap = snap.and_then(|path| {
        let source = Source::open(path).ok()?;
        let file = SnapFile::decode(&source.read_all(RAFT_SNAPSHOT_LIMIT).ok()?).ok()?;
        Some((path.file_name()?.to_string_lossy().into_owned(), file))
    });
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
    let members = |ids: &mut dyn Iterator<Item = MemberId>| list(ids);
    let stated = [
        (
            Fact::Voters,
            vec![
                (!facts.members.is_empty()).then(|| of_db("db members", members(&mut voting.clone()))),
                facts
                    .conf_state
                    .as_ref()
                    .map(|state| of_db("db meta/confState", members(&mut state.voters.iter().copied()))),
                of_snap(conf_state.map(voters)),
                of_wal,
            ],
        ),
        (
            Fact::Members,
            vec![
                (!facts.members.is_empty())
                    .then(|| of_db("db", members(&mut facts.members.iter().map(|m| m.id)))),
                of_snap(membership.as_ref().map(|m| members(&mut m.members.iter().map(|m| m.id)))),
            ],
        ),
        (
            Fact::Removed,
            vec![
                Some(of_db("db", members(&mut facts.removed_members.iter().copied()))),
                of_snap(membership.as_ref().map(|m| members(&mut m.removed.iter().copied()))),
            ],
        ),
        (
            Fact::ClusterVersion,
            vec![
                facts.cluster_version.as_ref().map(|version| of_db("db", version.to_string())),
                of_snap(membership.as_ref().and_then(|m| m.cluster_version.as_ref()).map(Told::to_string)),
            ],
        ),
    ];
    let differ = |stated: &[Stated]| stated.iter().map(|s| &s.value).collect::<BTreeSet<_>>().len() > 1;
    stated
        .into_iter()
        .map(|(fact, stated)| (fact, stated.into_iter().flatten().collect::<Vec<_>>()))
        .filter(|(_, stated)| differ(stated))
        .map(|(fact, stated)| Disagreement {
            fact: fact.name(),
            stated,
            etcd: minor,
            believes: minor.map(|minor| believed_by(minor, fact)),
        })
        .collect()
}

fn voters(state: &ConfState) -> String {
    list(&mut state.voters.iter().copied().map(MemberId::new))
}

/// The ids in order; `none` if there are none.
fn list(ids: &mut dyn Iterator<Item = MemberId>) -> String {
    let all: BTreeSet<MemberId> = ids.collect();
    if all.is_empty() {
        return "none".to_owned();
    }
    all.iter().map(MemberId::to_string).collect::<Vec<_>>().join(" ")
}
