//! What a scan says of the bucket `key`.

use crate::bolt::Pgid;
use crate::etcd::Revision;
use crate::words::finding::Code;
use crate::words::ids::LeaseId;

/// What the `key` bucket holds.
#[derive(Debug, Clone, Default)]
pub struct Keyspace {
    /// Stored revisions, tombstones included.
    pub revisions: u64,
    /// Deletions among them.
    pub tombstones: u64,
    /// The first revision in the file.
    pub first: Option<Revision>,
    /// The last.
    pub last: Option<Revision>,
    /// Whether any stored version names a lease.
    pub leased: bool,
    /// Bytes of users' keys and values over all revisions.
    pub user_bytes: u64,
}

impl Keyspace {
    pub(super) fn add(&mut self, other: &Keyspace) {
        self.revisions = self.revisions.saturating_add(other.revisions);
        self.tombstones = self.tombstones.saturating_add(other.tombstones);
        self.first = self.first.or(other.first);
        self.last = other.last.or(self.last);
        self.leased |= other.leased;
        self.user_bytes = self.user_bytes.saturating_add(other.user_bytes);
    }
}

/// A live key whose lease is not there.
#[derive(Debug, Clone, Copy)]
pub struct Orphan {
    /// Its newest revision.
    pub revision: Revision,
    /// The lease it names.
    pub lease: LeaseId,
    /// The page it lies in.
    pub page: Pgid,
    /// Where its KeyValue lies: byte offset in the file and length.
    pub value: (u64, usize),
}

/// Live keys whose lease is not there, by revision.
pub type Orphans = Vec<Orphan>;

/// Whether something with this fault cannot be read, so that what it holds is not known.
pub(super) fn loses_content(code: Code) -> bool {
    !matches!(
        code,
        Code::KeyOrder
            | Code::BranchKey
            | Code::DepthUneven
            | Code::ModRevision
            | Code::VersionChain
            | Code::Tombstone
            | Code::SubRevision
            | Code::RevisionGap
            | Code::DeletedAndPut
    )
}
