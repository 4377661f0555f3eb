//! Random buckets and random histories: written, read back, verified, restored and defragmented, against naive models.

use std::collections::BTreeMap;
use std::fs;

use coldbolt::bolt::{Bucket, Db};
use coldbolt::etcd::schema::Minor;
use coldbolt::io::Source;
use coldbolt::ops::defrag::{DefragOptions, defrag};
use coldbolt::ops::restore::{Destination, RestoreOptions, restore};
use coldbolt::ops::verify::{Level, Verification, VerifyOptions, verify};
use coldbolt::store::hashkv;
use coldbolt::store::hashkv::HashKvOptions;
use coldbolt::store::scan::{self, KeyDepth, scan};
use coldbolt::words::finding::Severity;
use coldbolt::words::monitor::Quiet;
use proptest::prelude::*;
use support::model::{Model, left, made, steps};
use support::nested::{Item, Items, items, options, written};

fn read(bucket: &Bucket<'_, '_>) -> Items {
    let (mut items, mut cursor) = (Items::new(), bucket.cursor());
    while let Some(item) = cursor.next().unwrap() {
        let value = if item.is_bucket {
            let inner = bucket.bucket(item.key).unwrap().unwrap();
            Item::Bucket(inner.sequence, read(&inner))
        } else {
            Item::Value(item.value.to_vec())
        };
        items.insert(item.key.to_vec(), value);
    }
    items
}

/// `unsafeHashByRev`, said as etcd says it: what is newest at the revision is kept, and what is later than the
/// compaction.
fn naive_hashkv(model: &Model, revision: i64) -> u32 {
    let compact = model.scheduled.unwrap_or(-1);
    let newest = |key: &[u8]| {
        Model::newest(&model.log, key, revision).filter(|(at, _)| !at.tombstone).map(|(at, _)| at)
    };
    let nothing_live = model.live(revision).is_empty();
    let mut bytes = b"key".to_vec();
    for ((raw, value), (at, kv)) in model.rows().iter().zip(&model.log) {
        let main = at.revision.main;
        let skipped = main <= compact && !nothing_live && newest(&kv.key) != Some(*at);
        if main <= revision && !skipped && !(main == compact && at.tombstone) {
            bytes.extend(raw.iter().chain(value));
        }
    }
    coldbolt::codec::checksum::crc32c(0, &bytes)
}

fn verified(source: &Source) -> Verification {
    let verification =
        verify(source, &VerifyOptions { level: Level::Mvcc, ..VerifyOptions::default() }, &Quiet).unwrap();
    let damage: Vec<_> = verification.findings.iter().filter(|f| f.severity == Severity::Damage).collect();
    assert!(damage.is_empty(), "{damage:?}");
    verification
}

fn rows(source: &Source) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let db = Db::open(source).unwrap();
    let keys = db.root().bucket(b"key").unwrap().unwrap();
    let value = |item| match item {
        Item::Value(value) => value,
        Item::Bucket(..) => panic!("a bucket among revisions"),
    };
    read(&keys).into_iter().map(|(key, item)| (key, value(item))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn buckets_in_buckets_are_read_as_they_were_written(items in items(), options in options()) {
        let source = Source::from_bytes("model.db", written(&items, options));
        let db = Db::open(&source).unwrap();
        prop_assert_eq!(read(&db.root()), items);
        let scan = scan(&db, scan::ScanOptions { limit: 9, gate: None, keys: KeyDepth::Live }, &Quiet).unwrap();
        let faults = scan.faults.kept.iter().filter(|c| c.code != coldbolt::words::finding::Code::BucketMissing).count();
        prop_assert_eq!(faults, 0, "{:?}", scan.faults.kept);
    }

    #[test]
    fn a_history_is_measured_as_the_model_says(steps in steps(), left in left()) {
        let model = made(&steps, left);
        let source = model.file(1024);
        let measured = verified(&source).measured;
        let last = model.last();
        prop_assert_eq!(measured.revision.unwrap_or(1).max(measured.compact_revision.unwrap_or(0)), last);
        prop_assert_eq!(measured.compact_revision, model.scheduled);
        prop_assert_eq!(measured.revisions, Some(model.log.len() as u64));
        prop_assert_eq!(measured.live_keys, Some(model.live(last).len() as u64));
        prop_assert_eq!(measured.hashkv, Some(naive_hashkv(&model, last)));
        for revision in model.scheduled.unwrap_or(1)..=last {
            let options = HashKvOptions { revision: Some(revision), compact_revision: None };
            prop_assert_eq!(hashkv(&source, &options, &Quiet).unwrap().hash, naive_hashkv(&model, revision), "revision {}", revision);
        }
    }

    #[test]
    fn a_history_survives_restore_and_defrag(steps in steps(), left in left()) {
        let model = made(&steps, left);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model.db");
        let memory = model.file(4096);
        fs::write(&path, memory.head(usize::MAX).unwrap()).unwrap();
        let source = Source::open(&path).unwrap();

        let data_dir = dir.path().join("restored");
        let destination =
            Destination::Member { name: "a".into(), advertised: "http://127.0.0.1:2380".into(), data_dir: data_dir.clone(), wal_dir: None };
        let options =
            RestoreOptions { target: Some(Minor::V36), skip_hash_check: true, ..RestoreOptions::new("a=http://127.0.0.1:2380", destination) };
        restore(&source, &options, &Quiet).unwrap();
        let restored = Source::open(&data_dir.join("member/snap/db")).unwrap();
        prop_assert_eq!(rows(&restored), model.rows());
        verified(&restored);

        let new = dir.path().join("new.db");
        defrag(&source, &DefragOptions::to(&new), &Quiet).unwrap();
        prop_assert_eq!(rows(&Source::open(&new).unwrap()), model.rows());

        let live = dir.path().join("live.db");
        defrag(&source, &DefragOptions { live_only: true, ..DefragOptions::to(&live) }, &Quiet).unwrap();
        let mut finished = model.clone();
        if let Some(at) = model.scheduled {
            finished.compact(at, true, None);
        }
        let live = Source::open(&live).unwrap();
        prop_assert_eq!(rows(&live), finished.rows());
        prop_assert_eq!(verified(&live).measured.hashkv, Some(naive_hashkv(&model, model.last())));
        prop_assert_eq!(fs::read(&path).unwrap(), memory.head(usize::MAX).unwrap());
    }
}
