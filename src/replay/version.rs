//! By which etcd's rules a log is applied.

use std::path::Path;

use super::apply::Version;
use crate::etcd::Facts;
use crate::etcd::request::{Request, decode};
use crate::etcd::schema::{Minor, older_cluster, storage_version};
use crate::raft::{EntryType, EntryView};
use crate::wal::{Read, SnapshotRecord};
use crate::words::error::{At, Result, show};
use crate::words::finding::{Code, Finding};
use crate::words::hint::Hint;
use crate::words::ids::Term;
use crate::words::refusal::Refusal;
use crate::words::text::Told;

/// A cluster version that an entry sets.
pub(super) fn version_in(entry: &EntryView<'_>) -> Option<Minor> {
    if entry.entry_type() != Some(EntryType::Normal) {
        return None;
    }
    let version = match decode(entry.bytes()) {
        Request::V3(request) => request.cluster_version_set?.ver,
        Request::V2(request) if request.path == b"/0/version" => request.val,
        _ => return None,
    };
    Minor::of(std::str::from_utf8(&version).ok()?)
}

/// Whether the database's term is one that a newer etcd left, from whose snapshot 3.4 restored the directory: 3.4 keeps
/// none there, and goes on with a log of its own terms, in whose snapshot records there is no conf state.
pub(crate) fn term_is_left_over(facts: &Facts, read: &Read) -> bool {
    let (Some(term), Some(index)) = (facts.term, facts.consistent_index) else { return false };
    let records = || read.summary.snapshots.iter().rev().filter(|record| record.index() > 0);
    let in_record = records().find(|record| record.last_index() == index).map(SnapshotRecord::last_term);
    let in_log = read.terms.at(index.get()).map(Term::new).or(in_record);
    facts.storage_version.is_none()
        && records().next().is_some_and(|record| record.conf_state.is_none())
        && in_log.is_some_and(|in_log| in_log != term)
}

/// The version that wrote the files, as far as they tell: the newest that the database or the log names.
pub(super) fn infer(
    facts: &Facts,
    read: &Read,
    in_log: &[Minor],
    place: &Path,
    findings: &mut Vec<Finding>,
) -> Result<(Version, String)> {
    let storage = storage_version(facts);
    let schema = storage.version.as_ref().map(Told::raw).and_then(Minor::of);
    let cluster = facts.cluster_version.as_ref().map(Told::raw).and_then(Minor::of);
    let logged = in_log.iter().copied().max();
    if term_is_left_over(facts, read) {
        let reason = "the log is of 3.4, what the database says of a newer one was there before";
        return Ok((Version { minor: logged.unwrap_or(Minor::V34), patch: None }, reason.to_owned()));
    }
    let named = [
        (schema, storage.reason),
        (cluster, "cluster/clusterVersion names it"),
        (logged, "an entry of the log sets the cluster to it"),
    ];
    // Of equal ones the first.
    let newest = named.iter().rev().max_by_key(|(minor, _)| *minor);
    let Some((Some(minor), reason)) = newest else {
        return Err(Refusal::RulesUnknown { stated: storage.version }.into());
    };
    if let Some(older) = older_cluster(facts).filter(|_| logged.is_none()) {
        let reason = format!("the cluster is of version {older}, whose requests 3.4 applies as that does");
        return Ok((Version { minor: Minor::V34, patch: None }, reason));
    }
    if cluster.is_none() && logged.is_none() && !storage.stated {
        let what = format!("the cluster had not agreed on a version yet; it is taken for {}", minor.name());
        let finding = Finding::new(Code::ReplayVersion, &show(place), At::default(), what);
        findings.push(finding.hint(Hint::EtcdVersionIfNewer));
    }
    Ok((Version { minor: *minor, patch: None }, (*reason).to_owned()))
}
