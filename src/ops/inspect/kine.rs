//! What `inspect` tells of a database of kine.

use serde::Serialize;

use super::kubernetes::KubernetesReport;
use super::report::DatabaseReport;
use crate::ops::kine::KineReport;

/// A database of kine, and the keyspace in it.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct KineKeyspaceReport {
    /// The file.
    #[serde(flatten)]
    pub file: KineReport,
    /// The first revision in it.
    pub first_revision: Option<i64>,
    /// The last one.
    pub last_revision: Option<i64>,
    /// History up to here is gone.
    pub compact_revision: Option<i64>,
    /// Keys whose newest revision is not a deletion.
    pub live_keys: u64,
    /// Stored revisions, deletions included.
    pub revisions: u64,
    /// Stored deletions.
    pub tombstones: u64,
    /// Bytes of users' keys and values, all revisions.
    pub user_bytes: u64,
    /// The Kubernetes cluster whose objects it holds, if it holds any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<KubernetesReport>,
}

impl KineKeyspaceReport {
    /// Of the file, and of the etcd database that was made of it.
    pub(super) fn new(file: KineReport, database: DatabaseReport) -> KineKeyspaceReport {
        let etcd = database.etcd.as_ref();
        let main = |revision: crate::etcd::Revision| revision.main;
        KineKeyspaceReport {
            file,
            first_revision: etcd.and_then(|etcd| etcd.first_revision).map(main),
            last_revision: etcd.and_then(|etcd| etcd.last_revision).map(main),
            compact_revision: etcd.and_then(|etcd| etcd.compact_revision),
            live_keys: etcd.map_or(0, |etcd| etcd.live_keys),
            revisions: etcd.map_or(0, |etcd| etcd.revisions),
            tombstones: etcd.map_or(0, |etcd| etcd.tombstones),
            user_bytes: etcd.map_or(0, |etcd| etcd.user_bytes),
            kubernetes: database.kubernetes,
        }
    }
}
