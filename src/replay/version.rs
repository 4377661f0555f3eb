//! By which etcd's rules a log is applied.

use std::path::Path;

use super::apply::Version;
use crate::etcd::Facts;
use crate::etcd::request::{Request, decode};
use crate::etcd::schema::{Minor, storage_version};
use crate::raft::{EntryType, EntryView};
use crate::words::error::{At, Result, show};
use crate::words::finding::{Code, Finding};
use crate::words::hint::Hint;
use crate::words::refusal::Refusal;

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

/// The version that wrote the files, as far as they tell: the newest that the database or the log names.
pub(super) fn infer(
    facts: &Facts,
    in_log: &[Minor],
    place: &Path,
    findings: &mut Vec<Finding>,
) -> Result<(Version, String)> {
    let storage = storage_version(facts);
    let schema = storage.version.as_deref().and_then(Minor::of);
    let cluster = facts.cluster_version.as_deref().and_then(Minor::of);
    let logged = in_log.iter().copied().max();
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
    if cluster.is_none() && logged.is_none() && !storage.stated {
        let what = format!("the cluster had not agreed on a version yet; it is taken for {}", minor.name());
        let finding = Finding::new(Code::ReplayVersion, &show(place), At::default(), what);
        findings.push(finding.hint(Hint::EtcdVersionIfNewer));
    }
    Ok((Version { minor: *minor, patch: None }, (*reason).to_owned()))
}
