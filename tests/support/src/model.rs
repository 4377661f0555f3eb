//! A naive model of etcd's store: a list of everything that was written, and what a compaction removes from it.

use std::collections::{BTreeMap, BTreeSet};

use coldbolt::bolt::writer::Options;
use coldbolt::etcd::{BucketKey, Revision};
use coldbolt::io::Source;
use coldbolt::store::OwnedKeyValue;
use proptest::prelude::*;
use prost::Message;

use crate::buckets::{Buckets, revision};
use crate::content::Items;
use crate::key_value::KeyValue;

#[derive(Debug, Clone)]
pub enum Op {
    Put(Vec<u8>, Vec<u8>, i64),
    Delete(Vec<u8>),
}

/// What one entry of the `key` bucket is.
pub type Entry = (BucketKey, OwnedKeyValue);

#[derive(Debug, Clone, Default)]
pub struct Model {
    pub log: Vec<Entry>,
    pub scheduled: Option<i64>,
    pub finished: Option<i64>,
    /// What a restore with a raised revision leaves.
    pub marker: Option<i64>,
}

impl Model {
    pub fn last(&self) -> i64 {
        let logged = self.log.last().map_or(1, |(at, _)| at.revision.main);
        logged.max(self.scheduled.unwrap_or(0)).max(self.marker.unwrap_or(0))
    }

    pub fn newest(log: &[Entry], key: &[u8], revision: i64) -> Option<Entry> {
        log.iter().rfind(|(at, kv)| kv.key == key && at.revision.main <= revision).cloned()
    }

    pub fn txn(&mut self, ops: &[Op]) {
        let main = self.last() + 1;
        let mut sub = 0;
        for op in ops {
            let (Op::Put(key, ..) | Op::Delete(key)) = op;
            let before = Model::newest(&self.log, key, main).filter(|(at, _)| !at.tombstone);
            let kv = match op {
                Op::Put(key, value, lease) => OwnedKeyValue {
                    key: key.clone(),
                    create_revision: before.as_ref().map_or(main, |(_, kv)| kv.create_revision),
                    mod_revision: main,
                    version: before.as_ref().map_or(1, |(_, kv)| kv.version + 1),
                    value: value.clone(),
                    lease: (*lease).into(),
                },
                Op::Delete(_) if before.is_none() => continue,
                Op::Delete(key) => OwnedKeyValue { key: key.clone(), ..OwnedKeyValue::default() },
            };
            let tombstone = matches!(op, Op::Delete(_));
            self.log.push((BucketKey { revision: Revision { main, sub }, tombstone }, kv));
            sub += 1;
        }
    }

    /// `keep_at`: as etcd does since 3.4.34, 3.5.16 and 3.6, a deletion exactly at the revision stays. `left`: how
    /// many an unfinished one has not come to; it goes from the oldest on (`scheduleCompaction`).
    pub fn compact(&mut self, at: i64, keep_at: bool, left: Option<usize>) {
        let within = self.log.iter().filter(|(key, _)| key.revision.main <= at);
        let newest: BTreeMap<&[u8], BucketKey> =
            within.clone().map(|(key, kv)| (kv.key.as_slice(), *key)).collect();
        let stays = |key: &BucketKey| !key.tombstone || (keep_at && key.revision.main == at);
        let removed = within.filter(|(key, kv)| newest[kv.key.as_slice()] != *key || !stays(key));
        let removed: Vec<BucketKey> = removed.map(|(key, _)| *key).collect();
        let gone = removed.len() - left.unwrap_or(0).min(removed.len());
        let gone: BTreeSet<BucketKey> = removed.into_iter().take(gone).collect();
        self.log.retain(|(key, _)| !gone.contains(key));
        self.scheduled = Some(at);
        self.finished = if left.is_none() { Some(at) } else { self.finished };
    }

    pub fn live(&self, revision: i64) -> BTreeMap<Vec<u8>, OwnedKeyValue> {
        let mut live = BTreeMap::new();
        for (at, kv) in self.log.iter().filter(|(at, _)| at.revision.main <= revision) {
            if at.tombstone {
                live.remove(&kv.key)
            } else {
                live.insert(kv.key.clone(), kv.clone())
            };
        }
        live
    }

    /// The bucket `key`.
    pub fn rows(&self) -> Items {
        let row = |(at, kv): &Entry| {
            let OwnedKeyValue { key, create_revision, mod_revision, version, value, lease } = kv.clone();
            let kv = KeyValue { key, create_revision, mod_revision, version, value, lease: lease.get() };
            (at.to_bytes(), kv.encode_to_vec())
        };
        let mut rows: Items = self.log.iter().map(row).collect();
        rows.extend(self.marker.map(|main| (mark(main), Vec::new())));
        rows
    }

    /// The two buckets that etcd's store makes (`server/storage/mvcc/kvstore.go NewStore`).
    pub fn buckets(&self) -> Buckets {
        let marks = [("finishedCompactRev", self.finished), ("scheduledCompactRev", self.scheduled)];
        let marks = marks.into_iter().filter_map(|(name, main)| Some((name.into(), mark(main?))));
        Buckets([("key".to_owned(), self.rows()), ("meta".to_owned(), marks.collect())].into())
    }

    pub fn file(&self, page_size: u32) -> Source {
        let mut buckets = self.buckets();
        buckets.put("meta", b"consistent_index", &9u64.to_be_bytes());
        Source::from_bytes("model", buckets.database(Options { page_size, ..Options::default() }))
    }
}

/// Few bytes and few lengths, so that keys meet; the least and the greatest byte among them.
pub fn key() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(prop_oneof![Just(0), Just(0xff), Just(b'a'), Just(b'/')], 1..4)
}

pub fn op() -> impl Strategy<Value = Op> {
    let value =
        prop_oneof![Just(Vec::new()), proptest::collection::vec(any::<u8>(), 1..4), Just(vec![7; 1200]),];
    let lease = prop_oneof![4 => Just(0i64), 1 => Just(7i64), 1 => Just(-3i64)];
    prop_oneof![3 => (key(), value, lease).prop_map(|(key, value, lease)| Op::Put(key, value, lease)), 1 => key().prop_map(Op::Delete)]
}

#[derive(Debug, Clone)]
pub enum Step {
    Txn(Vec<Op>),
    /// How far back from the last revision, and how.
    Compact(i64, bool),
}

pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    let txn = prop_oneof![4 => op().prop_map(|op| vec![op]), 1 => proptest::collection::vec(op(), 2..6)]
        .prop_map(Step::Txn);
    proptest::collection::vec(
        prop_oneof![12 => txn, 1 => (0..6i64, any::<bool>()).prop_map(|(back, at)| Step::Compact(back, at))],
        0..60,
    )
}

pub fn model(steps: &[Step]) -> Model {
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Txn(ops) => model.txn(ops),
            Step::Compact(back, keep_at) => {
                let at = model.last() - back;
                if at > model.scheduled.unwrap_or(0) {
                    model.compact(at, *keep_at, None);
                }
            }
        }
    }
    model
}

/// A history, and after it a compaction that was asked for and not finished: how far back from the last revision it
/// is, and how many revisions it has not come to.
pub fn made(steps: &[Step], left: Option<(i64, usize)>) -> Model {
    let mut model = model(steps);
    if let Some((back, left)) = left
        && model.last() - back > model.scheduled.unwrap_or(0)
    {
        // It was asked for, and not finished.
        model.compact(model.last() - back, true, Some(left));
    }
    model
}

pub fn left() -> impl Strategy<Value = Option<(i64, usize)>> {
    proptest::option::of((0..4i64, 0..9usize))
}

/// A revision as a key of the bucket `key`.
pub fn mark(main: i64) -> Vec<u8> {
    revision(main, 0, false)
}
