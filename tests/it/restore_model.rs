//! Random histories, made by a naive model of etcd, and what restore and defrag make of them.

use std::collections::BTreeSet;
use std::path::Path;

use coldbolt::bolt::Db;
use coldbolt::bolt::writer::Options;
use coldbolt::etcd::BucketKey;
use coldbolt::etcd::lease::Lease;
use coldbolt::io::Source;
use coldbolt::ops::defrag::{DefragDestination, DefragOptions, defrag};
use coldbolt::ops::restore::{Destination, KeyFilter, RestoreOptions, RestoreReport, restore};
use coldbolt::ops::verify::{Verdict, VerifyOptions, verify};
use coldbolt::store::hashkv;
use coldbolt::store::hashkv::HashKvOptions;
use coldbolt::words::monitor::Quiet;
use proptest::prelude::*;
use prost::Message;

use support::buckets::Buckets;
use support::content::Items;
use support::key_value::KeyValue;
use support::model::{Model, Op, mark};

/// A change: which key, and a value and lease, or none to delete it.
type Change = (u8, Option<(Vec<u8>, i64)>);

fn name(key: u8) -> Vec<u8> {
    format!("/{}/{key}", if key < 6 { "a" } else { "b" }).into_bytes()
}

/// The elements of the key bucket after these transactions, each of which is one revision if it changes something;
/// and the last.
fn rows(transactions: &[Vec<Change>]) -> (Items, i64) {
    let mut model = Model::default();
    for transaction in transactions {
        let mut seen = BTreeSet::new();
        let once = transaction.iter().filter(|(key, _)| seen.insert(*key));
        let ops: Vec<Op> = once
            .map(|(key, change)| match change {
                Some((value, lease)) => Op::Put(name(*key), value.clone(), *lease),
                None => Op::Delete(name(*key)),
            })
            .collect();
        model.txn(&ops);
    }
    (model.rows(), model.last())
}

fn main_of(key: &[u8]) -> i64 {
    BucketKey::parse(key).unwrap().revision.main
}

fn user_key(value: &[u8]) -> Vec<u8> {
    KeyValue::decode(value).unwrap().key
}

/// What a compaction at `at` leaves.
fn compacted(rows: &Items, at: i64) -> Items {
    let newer = |key: &[u8], value: &[u8]| {
        rows.iter().any(|(other, stored)| {
            other.as_slice() > key && main_of(other) <= at && user_key(stored) == user_key(value)
        })
    };
    let keep = |key: &[u8], value: &[u8]| {
        main_of(key) > at || (!newer(key, value) && (key.len() == 17 || main_of(key) == at))
    };
    rows.iter()
        .filter(|(key, value)| keep(key, value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// A database of one member with these keys, compacted at `finished`, with a compaction at `scheduled` asked for.
fn database(rows: &Items, finished: Option<i64>, scheduled: Option<i64>) -> Source {
    let mut all = Buckets::alone("m", "3.6.0", 14);
    all.0.insert("key".to_owned(), rows.clone());
    for id in 1..4i64 {
        all.put("lease", &id.to_be_bytes(), &Lease { id, ttl: 60, remaining_ttl: 0 }.encode_to_vec());
    }
    for (name, at) in [("finishedCompactRev", finished), ("scheduledCompactRev", scheduled.or(finished))] {
        if let Some(at) = at {
            all.put("meta", name.as_bytes(), &mark(at));
        }
    }
    Source::from_bytes("model", all.database(Options { page_size: 1024, ..Options::default() }))
}

fn keys_of(path: &Path) -> Items {
    let source = Source::open(path).unwrap();
    let db = Db::open(&source).unwrap();
    let bucket = db.root().bucket(b"key").unwrap().unwrap();
    let (mut cursor, mut rows) = (bucket.cursor(), Items::new());
    while let Some(item) = cursor.next().unwrap() {
        rows.insert(item.key.to_vec(), item.value.to_vec());
    }
    rows
}

/// Restores into `dir`, and has the result verified.
fn restored(source: &Source, dir: &Path, revision: Option<i64>, keys: KeyFilter) -> (Items, RestoreReport) {
    let destination = Destination::Member {
        name: "m".to_owned(),
        advertised: "http://localhost:2380".to_owned(),
        data_dir: dir.to_path_buf(),
        wal_dir: None,
    };
    let options = RestoreOptions {
        revision,
        keys,
        skip_hash_check: true,
        ..RestoreOptions::new("m=http://localhost:2380", destination)
    };
    let report = restore(source, &options, &Quiet).unwrap();
    let verified = verify(dir, &VerifyOptions::default(), &Quiet).unwrap();
    assert_eq!(verified.verdict, Verdict::Good, "{:?}", verified.findings);
    let db = Source::open(&dir.join("member/snap/db")).unwrap();
    let hash = hashkv(&db, &HashKvOptions::default(), &Quiet).unwrap();
    assert_eq!((Some(hash.hash), hash.revision), (report.result_hashkv, report.revision));
    (keys_of(&dir.join("member/snap/db")), report)
}

#[test]
fn a_store_that_holds_no_revision_is_at_its_compaction_or_at_1() {
    let temp = tempfile::tempdir().unwrap();
    for (finished, due) in [(None, 1), (Some(7), 7)] {
        let (rows, report) = restored(
            &database(&Items::new(), finished, None),
            &temp.path().join(due.to_string()),
            None,
            KeyFilter::default(),
        );
        assert_eq!((rows, report.revision), (Items::new(), due));
    }
}

fn change() -> impl Strategy<Value = Change> {
    let value = (proptest::collection::vec(any::<u8>(), 0..400), 0..4i64);
    (0..12u8, prop_oneof![3 => value.prop_map(Some), 1 => Just(None)])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_kept_is_what_a_naive_model_keeps(
        transactions in proptest::collection::vec(proptest::collection::vec(change(), 1..6), 1..40),
        cuts in [0.0..1.0f64, 0.0..1.0, 0.0..1.0],
        done in any::<bool>(),
        asked in any::<bool>(),
    ) {
        let temp = tempfile::tempdir().unwrap();
        let (all, last) = rows(&transactions);
        let between = |low: i64, part: f64| low + ((last - low) as f64 * part).round() as i64;
        // A compaction that was finished, one that was asked for since, and a revision that is still there.
        let finished = Some(between(1, cuts[0])).filter(|at| done && *at > 1);
        let scheduled = Some(between(finished.unwrap_or(1), cuts[1])).filter(|at| asked && *at > 1);
        let there = finished.map_or(all.clone(), |at| compacted(&all, at));
        let source = database(&there, finished, scheduled);
        let compact = scheduled.max(finished);

        let new = temp.path().join("new.db");
        let options = DefragOptions { destination: DefragDestination::New(new.clone()), live_only: true };
        let report = defrag(&source, &options, &Quiet).unwrap();
        prop_assert_eq!(report.compacted, compact);
        prop_assert!(keys_of(&new) == compact.map_or(there.clone(), |at| compacted(&there, at)));

        let at = between(compact.unwrap_or(1), cuts[2]);
        let (ours, report) = restored(&source, &temp.path().join("at"), Some(at), KeyFilter::default());
        prop_assert!(ours == there.iter().filter(|(key, _)| main_of(key) <= at).map(|(k, v)| (k.clone(), v.clone())).collect());
        prop_assert_eq!(report.revision, at.max(1));

        let keys = KeyFilter { prefixes: vec![b"/a/".to_vec(), b"/b/1".to_vec()], excluded: vec![b"/a/3".to_vec()] };
        let (ours, report) = restored(&source, &temp.path().join("part"), Some(at), keys.clone());
        let due: Items = there
            .iter()
            .filter(|(key, value)| main_of(key) <= at && keys.matches(&user_key(value)))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let due = if at > 1 { compacted(&due, at) } else { due };
        prop_assert!(ours == due);
        prop_assert_eq!(report.revision, at.max(1));
    }
}
