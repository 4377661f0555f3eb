//! What `inspect` tells: plain data, serialized as it stands.

use std::collections::BTreeMap;

use serde::Serialize;

use super::kubernetes::KubernetesReport;
use crate::bolt::Meta;
use crate::bolt::walk::Stats;
use crate::etcd::schema::{Minor, StorageVersion};
use crate::etcd::{Facts, Revision};
use crate::io::source::Lock;
#[cfg(feature = "kine")]
use crate::ops::kine::KineReport;
use crate::snap::backup::Trailer;
use crate::words::finding::{Code, Finding, Severity};
use crate::words::ids::{ClusterId, MemberId, RaftIndex, Term};

/// What a path is and holds.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct InspectReport {
    /// The path, as given.
    pub path: String,
    /// What it is, in words.
    pub kind: String,
    /// The database, if there is one.
    pub database: Option<DatabaseReport>,
    /// The database of kine, if it is one.
    #[cfg(feature = "kine")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kine: Option<KineKeyspaceReport>,
    /// Files of a control plane, if it is an archive of such.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<StaticResource>,
    /// The directory, if it is one.
    pub directory: Option<DirectoryReport>,
    /// Raft snapshots, newest last.
    pub raft_snapshots: Vec<RaftSnapshotReport>,
    /// The write-ahead log.
    pub wal: Option<WalReport>,
    /// How far the database lags the log, when both are there.
    pub lag: Option<LagReport>,
    /// On which facts the files of a member disagree.
    pub disagreements: Vec<Disagreement>,
    /// What is wrong or worth knowing; the first of each code.
    pub findings: Vec<Finding>,
    /// How many findings of each code there are.
    pub finding_counts: BTreeMap<Code, u64>,
}

impl InspectReport {
    /// The worst finding.
    #[must_use]
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|f| f.severity).max()
    }
}

/// A file of a control plane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StaticResource {
    /// Its path, with the archive: as a path it can be given to other commands.
    pub path: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// What it is.
    pub what: ResourceKind,
    /// When the first of the certificates in it ends, RFC 3339 in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends: Option<String>,
}

/// What such a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ResourceKind {
    /// A static pod of etcd: `restore --from-manifest` takes it.
    EtcdPod,
    /// Another static pod.
    Pod,
    /// Certificates.
    Certificate,
    /// A private key.
    PrivateKey,
    /// Credentials for an API server.
    Kubeconfig,
    /// Keys that values in etcd are encrypted with.
    EncryptionConfig,
    /// Something else.
    Other,
}

impl ResourceKind {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ResourceKind::EtcdPod => "pod of etcd",
            ResourceKind::Pod => "pod",
            ResourceKind::Certificate => "certificate",
            ResourceKind::PrivateKey => "private key",
            ResourceKind::Kubeconfig => "kubeconfig",
            ResourceKind::EncryptionConfig => "encryption configuration",
            ResourceKind::Other => "other",
        }
    }
}

/// A fact of which the files of a member say different things.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Disagreement {
    /// Its name.
    pub fact: &'static str,
    /// What each file says.
    pub stated: Vec<Stated>,
    /// The etcd that wrote the files, as far as they tell.
    pub etcd: Option<Minor>,
    /// Which of them that etcd believes when it starts.
    pub believes: Option<&'static str>,
}

/// What one file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stated {
    /// Which.
    pub file: String,
    /// The raft index at which it says so.
    pub index: Option<RaftIndex>,
    /// What.
    pub value: String,
}

/// A bbolt file.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct DatabaseReport {
    /// The file.
    pub path: String,
    /// Its length in bytes.
    pub file_size: u64,
    /// What was around it, if it was packed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packed: Option<String>,
    /// Bytes in a page.
    pub page_size: u64,
    /// High water mark times page size, in bytes.
    pub size: u64,
    /// What stands after the database.
    pub trailer: Trailer,
    /// SHA-256 of the payload, if it was asked for, and whether the trailer says the same.
    pub sha256: Option<HashReport>,
    /// Whether a running etcd holds its lock.
    pub lock: Lock,
    /// Both meta pages.
    pub metas: Vec<MetaReport>,
    /// Pages by kind.
    pub pages: PagesReport,
    /// Every bucket.
    pub buckets: Vec<BucketReport>,
    /// What etcd keeps in it; `None` when it is not etcd's.
    pub etcd: Option<EtcdReport>,
    /// The Kubernetes cluster whose objects it holds, if it holds any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<KubernetesReport>,
}

/// A database of kine, and the keyspace in it.
#[cfg(feature = "kine")]
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

#[cfg(feature = "kine")]
impl KineKeyspaceReport {
    /// Of the file, and of the etcd database that was made of it.
    pub(super) fn new(file: KineReport, database: DatabaseReport) -> KineKeyspaceReport {
        let etcd = database.etcd.as_ref();
        let main = |revision: Revision| revision.main;
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

/// A SHA-256 and its verdict.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct HashReport {
    /// Of the payload, in hex.
    pub digest: String,
    /// Whether the trailer holds the same; `None` without a trailer.
    pub matches: Option<bool>,
}

/// A meta page.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct MetaReport {
    /// 0 or 1.
    pub number: u8,
    /// Byte offset.
    pub offset: u64,
    /// Whether this one is in use.
    pub live: bool,
    /// Whether bbolt would take it.
    pub valid: bool,
    /// Why not.
    pub fault: Option<String>,
    /// Its fields, where they could be read.
    pub meta: Option<Meta>,
}

/// Pages by kind, and how full they are.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct PagesReport {
    /// Below the high water mark.
    pub total: u64,
    /// Of these, how many the file does not hold.
    pub missing: u64,
    /// Branch pages.
    pub branch: u64,
    /// Leaf pages.
    pub leaf: u64,
    /// Overflow pages of both.
    pub overflow: u64,
    /// Pages of the stored freelist.
    pub freelist: u64,
    /// Pages that hold nothing.
    pub free: u64,
    /// Bytes of branch, leaf and overflow pages.
    pub bytes: u64,
    /// Bytes of them in use.
    pub bytes_used: u64,
}

/// A bucket.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct BucketReport {
    /// Its name, escaped; a nested one with the names above it, separated by `/`.
    pub name: String,
    /// Whether it lies inside its own entry.
    pub inline: bool,
    /// Its counter.
    pub sequence: u64,
    /// Its size.
    #[serde(flatten)]
    pub stats: Stats,
}

/// What etcd keeps in a database.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct EtcdReport {
    /// Storage version.
    pub storage: StorageVersion,
    /// First revision in the file.
    pub first_revision: Option<Revision>,
    /// Last revision in the file.
    pub last_revision: Option<Revision>,
    /// History up to here is gone.
    pub compact_revision: Option<i64>,
    /// A compaction was asked for and not finished.
    pub compaction_unfinished: bool,
    /// Keys whose newest revision is not a deletion.
    pub live_keys: u64,
    /// Stored revisions, deletions included.
    pub revisions: u64,
    /// Stored deletions.
    pub tombstones: u64,
    /// Bytes of users' keys and values, all revisions.
    pub user_bytes: u64,
    /// The other buckets.
    #[serde(flatten)]
    pub facts: Facts,
}

/// A data directory, or the part of one that was given.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct DirectoryReport {
    /// Databases received from a leader.
    pub snap_dbs: Vec<String>,
    /// What crashes and repairs left behind.
    pub leftovers: Vec<String>,
    /// Files that etcd does not put there.
    pub strangers: Vec<String>,
    /// Whether a running etcd holds the lock of the last WAL segment.
    pub wal_lock: Option<Lock>,
}

/// A raft snapshot file.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct RaftSnapshotReport {
    /// The file.
    pub path: String,
    /// Its length in bytes.
    pub file_size: u64,
    /// Term of the last entry in it.
    pub term: Option<Term>,
    /// Index of that entry.
    pub index: Option<RaftIndex>,
    /// Members that vote.
    pub voters: Vec<MemberId>,
    /// Members that learn.
    pub learners: Vec<MemberId>,
    /// How many members its v2 store names.
    pub members: Option<u64>,
    /// How many keys users have in its v2 store.
    pub v2_keys: Option<u64>,
    /// Why it cannot be used.
    pub fault: Option<String>,
}

/// A write-ahead log.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct WalReport {
    /// Its directory.
    pub path: String,
    /// Segments, oldest first.
    pub segments: Vec<SegmentReport>,
    /// Whose log it is.
    pub node_id: Option<MemberId>,
    /// Of which cluster.
    pub cluster_id: Option<ClusterId>,
    /// Term of the last hard state.
    pub term: Option<Term>,
    /// For whom the member voted in it.
    pub vote: Option<MemberId>,
    /// The index up to which entries are known to be committed.
    pub commit: Option<RaftIndex>,
    /// First entry.
    pub first_entry: Option<RaftIndex>,
    /// Last entry.
    pub last_entry: Option<RaftIndex>,
    /// Snapshot records.
    pub snapshots: Vec<SnapshotRecord>,
    /// Whether every record could be read.
    pub complete: bool,
    /// How it ends, in words.
    pub end: String,
}

/// A snapshot record of the log.
#[derive(Debug, Clone, Serialize)]
pub struct SnapshotRecord {
    /// Its term.
    pub term: Term,
    /// Its index.
    pub index: RaftIndex,
}

impl SnapshotRecord {
    pub(super) fn of(record: &crate::wal::SnapshotRecord) -> SnapshotRecord {
        SnapshotRecord { term: record.last_term(), index: record.last_index() }
    }
}

/// A WAL segment.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct SegmentReport {
    /// File name.
    pub name: String,
    /// Sequence number.
    pub sequence: u64,
    /// The first index expected in it.
    pub first_index: RaftIndex,
    /// Length of the file in bytes.
    pub file_size: u64,
    /// Bytes that hold records.
    pub used: u64,
    /// Records.
    pub records: u64,
}

/// How far a database lags its log.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct LagReport {
    /// The database's consistent index.
    pub consistent_index: RaftIndex,
    /// The log's commit index.
    pub commit: RaftIndex,
    /// The log's last entry.
    pub last_entry: RaftIndex,
    /// Committed entries that the database does not hold.
    pub committed_not_in_db: u64,
    /// Logged entries past both, whose fate this member's files do not tell.
    pub uncommitted: u64,
    /// The same in a sentence.
    pub sentence: String,
}
