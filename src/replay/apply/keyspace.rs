//! The keyspace while a log is applied: the live keys that the log can touch, and the revisions that it adds.
//!
//! A write transaction starts at the current revision b; its k-th change is stored at (b + 1, k), and if there was
//! one, b + 1 becomes current. Source: `server/storage/mvcc/kvstore_txn.go put, delete, End` @ v3.6, the same in 3.4
//! and 3.5.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::bolt::Bucket;
use crate::etcd::{BucketKey, Facts, KeyValue, Revision, stored};
use crate::replay::apply::interest::{End, Interest};
use crate::replay::apply::version::{Holds, Version};
use crate::words::error::{At, Corrupt};
use crate::words::finding::Code;

/// A live key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Live {
    pub create: i64,
    pub version: i64,
    pub modified: Revision,
    pub lease: i64,
}

/// The keyspace.
#[derive(Debug)]
pub(super) struct Keyspace<'d, 's> {
    base: Option<Bucket<'d, 's>>,
    live: BTreeMap<Vec<u8>, Live>,
    /// What is added to the bucket.
    pub changes: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The keys of each lease that exists.
    attached: BTreeMap<i64, BTreeSet<Vec<u8>>>,
    pub current: i64,
    /// -1 before the first compaction.
    pub compact: i64,
    /// Changes of the transaction that is open.
    sub: i64,
}

impl<'d, 's> Keyspace<'d, 's> {
    /// Reads what is wanted of the bucket. `leases` are those that exist.
    pub fn open(
        base: Option<Bucket<'d, 's>>,
        facts: &Facts,
        leases: &BTreeSet<i64>,
        interest: &Interest,
        version: Version,
    ) -> Result<Keyspace<'d, 's>, Box<Corrupt>> {
        let mut keys = Keyspace {
            base,
            live: BTreeMap::new(),
            changes: BTreeMap::new(),
            attached: BTreeMap::new(),
            current: 1,
            compact: facts.compact_revision().unwrap_or(-1),
            sub: 0,
        };
        keys.current =
            keys.read(interest)?.max(keys.current).max(facts.finished_compact_revision.unwrap_or(-1));
        if version.scheduled_compaction_is_a_revision() != Holds::No {
            keys.current = keys.current.max(facts.scheduled_compact_revision.unwrap_or(-1));
        }
        for (key, live) in &keys.live {
            if leases.contains(&live.lease) {
                keys.attached.entry(live.lease).or_default().insert(key.clone());
            }
        }
        Ok(keys)
    }

    /// Fills in the live keys; gives the main part of the last revision.
    fn read(&mut self, interest: &Interest) -> Result<i64, Box<Corrupt>> {
        let Some(base) = &self.base else { return Ok(0) };
        if interest.is_empty() {
            return Ok(stored::last(base)?.map_or(0, |key| key.revision.main));
        }
        let mut last = 0;
        let mut cursor = base.cursor();
        while let Some(item) = cursor.next()? {
            let (key, kv) = stored::read_item(item.key, item.value)?;
            last = key.revision.main;
            if key.tombstone {
                self.live.remove(kv.key);
            } else if interest.wants(kv.key, kv.lease) || self.live.contains_key(kv.key) {
                let live = Live {
                    create: kv.create_revision,
                    version: kv.version,
                    modified: key.revision,
                    lease: kv.lease,
                };
                self.live.insert(kv.key.to_vec(), live);
            }
        }
        Ok(last)
    }

    /// The live key of that name.
    pub fn get(&self, key: &[u8]) -> Option<Live> {
        self.live.get(key).copied()
    }

    /// The live keys of a range, ascending.
    pub fn range<'k>(&'k self, key: &'k [u8], end: End<'k>) -> impl Iterator<Item = (&'k [u8], Live)> {
        let upper = match end {
            End::OneKey => Bound::Included(key),
            End::Open => Bound::Unbounded,
            End::Before(end) => Bound::Excluded(end),
        };
        // The map panics at a range that ends before it begins.
        let there_is_one = !matches!(end, End::Before(end) if end <= key);
        let range = there_is_one.then(|| self.live.range::<[u8], _>((Bound::Included(key), upper)));
        range.into_iter().flatten().map(|(key, live)| (key.as_slice(), *live))
    }

    /// The value of a live key.
    pub fn value(&self, live: Live) -> Result<Vec<u8>, Box<Corrupt>> {
        let row = BucketKey { revision: live.modified, tombstone: false }.to_bytes();
        if let Some(value) = self.changes.get(&row) {
            return Ok(stored::read_item(&row, value)?.1.value.to_vec());
        }
        let mut cursor = self.base.as_ref().map(Bucket::cursor);
        let item = cursor.as_mut().map(|cursor| cursor.seek(&row)).transpose()?.flatten();
        match item.filter(|item| item.key == row) {
            Some(item) => Ok(stored::read_item(item.key, item.value)?.1.value.to_vec()),
            None => {
                let at = At { revision: Some(live.modified.to_string()), ..At::default() }.bucket(b"key");
                Err(Corrupt::new(Code::Unreadable, at, "the revision that was read here before is gone"))
            }
        }
    }

    /// The keys of a lease, ascending.
    pub fn of_lease(&self, lease: i64) -> impl Iterator<Item = &[u8]> {
        self.attached.get(&lease).into_iter().flatten().map(Vec::as_slice)
    }

    /// A lease is there; it has no keys.
    pub fn lease_granted(&mut self, lease: i64) {
        self.attached.insert(lease, BTreeSet::new());
    }

    /// A lease is gone.
    pub fn lease_revoked(&mut self, lease: i64) {
        self.attached.remove(&lease);
    }

    fn next(&mut self) -> Revision {
        let revision = Revision { main: self.current.saturating_add(1), sub: self.sub };
        self.sub = self.sub.saturating_add(1);
        revision
    }

    fn detach(&mut self, key: &[u8], lease: i64) {
        if let Some(keys) = self.attached.get_mut(&lease) {
            keys.remove(key);
        }
    }

    /// One put in the open transaction. The lease exists, or is 0.
    pub fn put(&mut self, key: &[u8], value: &[u8], lease: i64) {
        let revision = self.next();
        let before = self.get(key);
        if let Some(before) = before {
            self.detach(key, before.lease);
        }
        let (create, version) =
            before.map_or((revision.main, 1), |before| (before.create, before.version.saturating_add(1)));
        let kv =
            KeyValue { key, create_revision: create, mod_revision: revision.main, version, value, lease };
        self.changes.insert(BucketKey { revision, tombstone: false }.to_bytes(), kv.encode());
        self.live.insert(key.to_vec(), Live { create, version, modified: revision, lease });
        if lease != 0 {
            self.attached.entry(lease).or_default().insert(key.to_vec());
        }
    }

    /// Deletes the live keys of a range in the open transaction.
    pub fn delete(&mut self, key: &[u8], end: End<'_>) {
        let keys: Vec<(Vec<u8>, Live)> =
            self.range(key, end).map(|(key, live)| (key.to_vec(), live)).collect();
        for (key, live) in keys {
            let revision = self.next();
            let kv = KeyValue { key: &key, ..KeyValue::default() };
            self.changes.insert(BucketKey { revision, tombstone: true }.to_bytes(), kv.encode());
            self.detach(&key, live.lease);
            self.live.remove(&key);
        }
    }

    /// Ends the transaction; whether it changed something.
    pub fn end(&mut self) -> bool {
        let changed = std::mem::take(&mut self.sub) > 0;
        if changed {
            self.current = self.current.saturating_add(1);
        }
        changed
    }
}
