//! What a scan says of the bucket `key`.

use crate::bolt::Pgid;
use crate::etcd::newest::{Newest, NewestRevision};
use crate::etcd::{BucketKey, KeyValue, Revision};
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

/// The newest revision of each key, as closely as the keys were looked at.
#[derive(Debug)]
pub enum NewestKeys {
    /// No more than that.
    Live(Newest),
    /// And what its history was checked by.
    History(Newest<NewestRevision>),
}

impl Default for NewestKeys {
    fn default() -> NewestKeys {
        NewestKeys::Live(Newest::default())
    }
}

impl NewestKeys {
    /// Whether this is the newest revision of its key.
    #[must_use]
    pub fn is_newest(&self, key: BucketKey, kv: &KeyValue<'_>) -> bool {
        match self {
            NewestKeys::Live(newest) => newest.is_newest(key, kv),
            NewestKeys::History(newest) => newest.is_newest(key, kv),
        }
    }

    /// Keys whose newest revision is not a deletion.
    #[must_use]
    pub fn live(&self) -> u64 {
        match self {
            NewestKeys::Live(newest) => newest.live(),
            NewestKeys::History(newest) => newest.live(),
        }
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
