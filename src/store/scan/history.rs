//! The whole history of the bucket `key`, in the order of the revisions: its rules, HashKV, and the leases it names.

use std::collections::{BTreeSet, HashMap};

use super::keyspace::{Orphan, Orphans};
use crate::bolt::Page;
use crate::bolt::page::LeafElement;
use crate::codec::to_u64;
use crate::etcd::history::History;
use crate::etcd::newest::{KeyHash, Newest, NewestRevision};
use crate::etcd::stored::{self, Fault};
use crate::etcd::{BucketKey, KeyValue};
use crate::store::crc::Crc;
use crate::store::hashkv::compacted::CompactedCrcs;
use crate::words::corrupt::Corrupt;

/// An element, and what it means in the key bucket.
pub(super) struct Item<'p> {
    pub element: LeafElement<'p>,
    pub stored: Result<(BucketKey, KeyValue<'p>), Fault>,
    pub hash: Option<KeyHash>,
}

impl<'p> Item<'p> {
    pub fn of(element: &LeafElement<'p>) -> Item<'p> {
        let stored = match element.is_bucket {
            true => Err(Fault::Bucket),
            false => stored::read(element.key, element.value),
        };
        Item { element: *element, stored, hash: None }
    }

    /// Its revision, as far as it can be read.
    pub fn key(&self) -> Option<BucketKey> {
        self.stored.as_ref().map_or_else(Fault::key, |(key, _)| Some(*key))
    }
}

/// The whole history, in the order of the revisions.
pub(super) struct HistoryCheck {
    pub newest: Newest<NewestRevision>,
    pub history: History,
    pub kept: CompactedCrcs,
    /// The leases there are, if that is known.
    leases: Option<BTreeSet<i64>>,
    /// Keys whose newest revision names another one.
    orphans: HashMap<KeyHash, Orphan>,
}

impl HistoryCheck {
    /// `compact` is the file's compact revision: -1 for none, `i64::MAX` when it is not known.
    pub fn new(compact: i64, leases: Option<BTreeSet<i64>>) -> HistoryCheck {
        HistoryCheck {
            newest: Newest::default(),
            history: History::new(compact),
            kept: CompactedCrcs::new(compact),
            leases,
            orphans: HashMap::new(),
        }
    }

    /// HashKV, the keys without their lease, and the newest revision of each key. `all` is the checksum of the whole
    /// bucket.
    pub fn finish(self, all: Crc) -> (Result<u32, Box<Corrupt>>, Orphans, Newest<NewestRevision>) {
        let mut orphans: Orphans = self.orphans.into_values().collect();
        orphans.sort_unstable_by_key(|orphan| orphan.revision);
        (self.kept.finish(all, self.newest.live()), orphans, self.newest)
    }

    /// One more revision; returns the newest one of the same key that went before.
    pub fn see(
        &mut self,
        hash: KeyHash,
        page: &Page<'_>,
        item: &Item<'_>,
        key: BucketKey,
        kv: &KeyValue<'_>,
    ) -> Option<NewestRevision> {
        let place = self.kept.add(key, item.element.key, item.element.value);
        let before = self.newest.see(hash, NewestRevision::new(key, kv, place));
        if let Some(before) = before {
            self.kept.superseded(before.place());
        }
        if let Some(leases) = &self.leases {
            if kv.lease != 0 && !key.tombstone && !leases.contains(&kv.lease) {
                let value =
                    (page.offset.saturating_add(to_u64(item.element.value_at)), item.element.value.len());
                let orphan = Orphan { revision: key.revision, lease: kv.lease_id(), page: page.id, value };
                self.orphans.insert(hash, orphan);
            } else if before.is_some() && !self.orphans.is_empty() {
                self.orphans.remove(&hash);
            }
        }
        before
    }
}
