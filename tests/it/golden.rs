//! The numbers that etcd's own tests hold to be unchangeable, on the same histories.
//!
//! etcd's tests run a store and hash it; here a model of that store makes the rows, and the bbolt writer makes the
//! file.

use coldbolt::bolt::Db;
use coldbolt::bolt::writer::Options;
use coldbolt::codec::checksum::{hex, sha256};
use coldbolt::io::Source;
use coldbolt::ops::{StatusReport, status};
use coldbolt::store::hashkv;
use coldbolt::store::hashkv::{HashKvOptions, HashKvReport};
use coldbolt::words::monitor::Quiet;
use coldbolt::words::refusal::Refusal;
use coldbolt::{Error, Result};

use support::buckets::{Buckets, revision};
use support::coldbolt;
use support::model::{Model, Op};

/// How far a compaction got before the file was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compaction {
    /// It was asked for, and nothing is removed yet.
    Scheduled,
    /// All is removed; a tombstone at the compacted revision stays (3.4.34, 3.5.16, 3.6.0 and newer).
    Finished,
    /// All is removed, such a tombstone too (older versions).
    FinishedAsOldVersionsDo,
}

/// etcd's MVCC store, as etcd's tests use it: each change is a revision of its own.
#[derive(Clone)]
struct Store(Model);

impl Store {
    fn new() -> Store {
        Store(Model::default())
    }

    fn current(&self) -> i64 {
        self.0.last()
    }

    fn put(&mut self, key: &str, value: impl Into<Vec<u8>>, lease: i64) {
        self.0.txn(&[Op::Put(key.into(), value.into(), lease)]);
    }

    /// A delete of a key that is not there makes no revision.
    fn delete(&mut self, key: &str) {
        self.0.txn(&[Op::Delete(key.into())]);
    }

    fn compact(&mut self, at: i64, how: Compaction) {
        let left = (how == Compaction::Scheduled).then_some(usize::MAX);
        self.0.compact(at, how != Compaction::FinishedAsOldVersionsDo, left);
    }

    fn buckets(&self) -> Buckets {
        self.0.buckets()
    }

    fn hash(&self, options: HashKvOptions) -> Result<HashKvReport> {
        hashkv(file(&self.buckets()), &options, &Quiet)
    }

    /// The hash, the compacted revision and the revision hashed, in the order etcd's tests list them.
    fn triple(&self, revision: i64) -> (u32, i64, i64) {
        let HashKvReport { hash, revision, compact_revision, .. } = self.hash(at(revision)).unwrap();
        (hash, compact_revision, revision)
    }
}

fn at(revision: i64) -> HashKvOptions {
    HashKvOptions { revision: Some(revision), compact_revision: None }
}

fn bytes(buckets: &Buckets) -> Vec<u8> {
    buckets.database(Options::default())
}

fn file(buckets: &Buckets) -> Source {
    Source::from_bytes("golden.db", bytes(buckets))
}

fn status_of(buckets: &Buckets) -> Result<StatusReport> {
    status(file(buckets), &Quiet)
}

/// All buckets of a member that was started alone, with the default name and URLs, and stopped.
fn member(store: &Store, etcd: &str, consistent_index: u64) -> Buckets {
    let mut all = Buckets::alone("default", etcd, consistent_index);
    for (name, items) in store.buckets().0 {
        all.0.entry(name).or_default().extend(items);
    }
    all
}

/// etcdutl/snapshot/v3_snapshot_test.go TestSnapshotStatus @ v3.6.14, v3.7.1 and main: the number differs because the
/// version is in the file. Index 14: a conf change, the leader's empty entry, the member's attributes, the cluster
/// version, ten puts.
#[test]
fn the_status_of_ten_keys_is_what_etcd_says() {
    let mut store = Store::new();
    for key in 0..10 {
        store.put(&key.to_string(), [0; 100], 0);
    }
    for (etcd, hash) in [("3.6.0", 0x6213_2b4d), ("3.7.0", 0xe7a6_e44b), ("3.8.0", 0x4b84_b1be)] {
        let report = status_of(&member(&store, etcd, 14)).unwrap();
        assert_eq!(
            (report.hash, report.revision, report.live_keys, report.version.raw()),
            (hash, 11, 10, etcd),
            "{:08x}",
            report.hash
        );
    }
}

/// TestSnapshotStatusTotalKey @ v3.7.1.
#[test]
fn only_live_keys_are_counted() {
    // + is a put, - a delete.
    let histories = [
        ("+key1 +key1 +key1 +key2 +key2 +key2 +key1 +key1 +key1", 2),
        ("+key1 +key1 -key1", 0),
        ("+key1 -key1 +key1 -key1", 0),
        ("+key1 -key1 +key1 -key1 +key1", 1),
        ("+key1 +key2 -key1", 1),
    ];
    for (history, due) in histories {
        let mut store = Store::new();
        for step in history.split(' ') {
            match step.split_at(1) {
                ("+", key) => store.put(key, [0], 0),
                (_, key) => store.delete(key),
            }
        }
        assert_eq!(status_of(&store.buckets()).unwrap().live_keys, due, "{history}");
        assert_eq!(status_of(&member(&store, "3.7.0", 9)).unwrap().live_keys, due, "{history}");
    }
}

/// TestSnapshotStatusCorruptRevision, -NegativeRevisionMain, -NegativeRevisionSub @ v3.7.1, and the two other ways to
/// be wrong.
#[test]
fn a_key_that_is_no_revision_is_named_in_etcds_words() {
    let mut separator = revision(2, 0, false);
    separator[8] = b'-';
    let mut mark = revision(2, 0, true);
    mark[17] = b'x';
    for (key, due) in [
        (b"0".to_vec(), "invalid revision length: 1"),
        (revision(-1, 0, false), "negative revision: main=-1 sub=0"),
        (revision(0, -1, false), "negative revision: main=0 sub=-1"),
        (separator, "invalid separator in bucket key: '-'"),
        (mark, "invalid tombstone mark in bucket key: 'x'"),
    ] {
        let mut store = Store::new();
        store.put("0", [], 0);
        let mut buckets = store.buckets();
        buckets.put("key", &key, b"");
        for error in [status_of(&buckets).unwrap_err(), hashkv(file(&buckets), &at(0), &Quiet).unwrap_err()] {
            assert!(
                matches!(&error, Error::Damaged { .. }) && error.to_string().contains(due),
                "{due}: {error}"
            );
        }
    }
}

/// etcdutl/etcdutl/hashkv_command_test.go TestCalculateHashKV @ v3.7.1.
#[test]
fn the_hash_of_an_empty_store_and_of_one_leased_key_is_what_etcd_says() {
    assert_eq!(Store::new().triple(0), (1_084_519_789, -1, 1));
    let mut store = Store::new();
    store.put("test-key", "test-value", 1);
    assert_eq!(store.triple(0), (645_561_629, -1, 2));
    let error = store.hash(at(999)).unwrap_err();
    assert!(matches!(&error, Error::Refused(Refusal::Future { asked: 999, .. })), "{error}");
}

/// The keys of server/storage/mvcc/testutil/hash.go: seven names in turn, and two rare ones.
const CYCLE: i64 = 71;

fn pick_key(i: i64) -> &'static str {
    match (i % (2 * CYCLE), i % CYCLE) {
        (30, _) => "zenek",
        (_, 30) => "xavery",
        _ => ["alice", "bob", "celine", "dominik", "eve", "frederica", "gorge"]
            [usize::try_from(i % 7).unwrap()],
    }
}

const TOTAL: i64 = 1210;

/// The bounds of the rounds of etcd's hash tests: 18 of a cycle, and one long one. Both ends are written, so rounds
/// overlap in one number.
fn rounds() -> impl Iterator<Item = (i64, i64)> {
    let cycles = (0..).step_by(71).take_while(|start| *start < TOTAL).map(|start| (start, CYCLE));
    cycles.chain([(18 * CYCLE, TOTAL)])
}

const KINDS: [Compaction; 3] =
    [Compaction::Scheduled, Compaction::Finished, Compaction::FinishedAsOldVersionsDo];

/// Puts round after round; after each the hash is taken at a revision of that round (0: the last) and the store
/// compacted there.
fn hash_and_compact(how: Compaction, at: impl Fn(i64, i64) -> i64) -> Vec<(u32, i64, i64)> {
    let mut store = Store::new();
    let hash = |(start, count): (i64, i64)| {
        for i in start..=start + count {
            store.put(pick_key(i), i.to_string(), 0);
        }
        let triple = store.triple(at(start, count));
        store.compact(triple.2, how);
        triple
    };
    rounds().map(hash).collect()
}

/// server/storage/mvcc/hash_test.go TestHashByRevValue @ v3.7.1.
#[test]
fn the_hashes_in_the_middle_of_each_round_are_what_etcd_says() {
    let due = [
        (4_082_599_214, -1, 35),
        (2_279_933_401, 35, 106),
        (3_284_231_217, 106, 177),
        (126_286_495, 177, 248),
        (900_108_730, 248, 319),
        (2_475_485_232, 319, 390),
        (1_226_296_507, 390, 461),
        (2_503_661_030, 461, 532),
        (4_155_130_747, 532, 603),
        (106_915_399, 603, 674),
        (406_914_006, 674, 745),
        (1_882_211_381, 745, 816),
        (806_177_088, 816, 887),
        (664_311_366, 887, 958),
        (1_496_914_449, 958, 1029),
        (2_434_525_091, 1029, 1100),
        (3_988_652_253, 1100, 1171),
        (1_122_462_288, 1171, 1242),
        (724_436_716, 1242, 1883),
    ];
    for how in KINDS {
        assert_eq!(hash_and_compact(how, |start, count| start + count / 2), due, "{how:?}");
    }
}

/// TestHashByRevValueLastRevision @ v3.7.1.
#[test]
fn the_hashes_at_the_end_of_each_round_are_what_etcd_says() {
    let due = [
        (1_913_897_190, -1, 73),
        (224_860_069, 73, 145),
        (1_565_167_519, 145, 217),
        (1_566_261_620, 217, 289),
        (2_037_173_024, 289, 361),
        (691_659_396, 361, 433),
        (2_713_730_748, 433, 505),
        (3_919_322_507, 505, 577),
        (769_967_540, 577, 649),
        (2_909_194_793, 649, 721),
        (1_576_921_157, 721, 793),
        (4_067_701_532, 793, 865),
        (2_226_384_237, 865, 937),
        (2_923_408_134, 937, 1009),
        (2_680_329_256, 1009, 1081),
        (1_546_717_673, 1081, 1153),
        (2_713_657_846, 1153, 1225),
        (1_046_575_299, 1225, 1297),
        (2_017_735_779, 1297, 2508),
    ];
    for how in KINDS {
        assert_eq!(hash_and_compact(how, |_, _| 0), due, "{how:?}");
    }
}

/// What TestCompactionHash is for: one hash, whether a member has compacted or not. etcd proves it on a running
/// store, with its cache of hashes; files have no cache, so here the one that is behind is hashed as if it were
/// compacted as far as the other.
#[test]
fn a_compaction_changes_no_hash() {
    let mut store = Store::new();
    for (start, count) in rounds() {
        for i in start..=start + count {
            if i % 67 == 0 {
                store.delete(pick_key(i + 83))
            } else {
                store.put(pick_key(i), i.to_string(), 0)
            }
        }
        let tombstone =
            store.0.log.iter().rfind(|(row, _)| row.tombstone).map_or(0, |(row, _)| row.revision.main);
        // At a tombstone, beside one, in the middle, at the end.
        for compact in [tombstone, tombstone + 1, start + count / 2, start + count, store.current()] {
            if store.0.finished.is_none_or(|previous| compact > previous) && compact <= store.current() {
                agree(&store, compact, &KINDS);
            }
        }
        store.compact(start + count, Compaction::Finished);
    }
}

/// When no key is left, etcd's hash skips nothing (its set of revisions to keep is empty), so that it changes while a
/// compaction runs. As if compacted means as if that were over.
#[test]
fn a_finished_compaction_of_a_store_without_keys_changes_no_hash() {
    let mut store = Store::new();
    for key in ["a", "b", "a", "c"] {
        store.put(key, "value", 0);
    }
    for key in ["b", "a", "c"] {
        store.delete(key);
    }
    for compact in 2..=store.current() {
        agree(&store, compact, &KINDS[1..]);
    }
    let empty = Store::new().triple(0).0;
    store.compact(store.current(), Compaction::Scheduled);
    assert_ne!(store.triple(0).0, empty);
    store.compact(store.current(), Compaction::Finished);
    assert_eq!(store.triple(0).0, empty);
}

/// Compares a store hashed as if compacted with the same store really compacted.
fn agree(store: &Store, compact: i64, kinds: &[Compaction]) {
    for revision in [compact, i64::midpoint(compact, store.current()), store.current()] {
        let due =
            store.hash(HashKvOptions { revision: Some(revision), compact_revision: Some(compact) }).unwrap();
        for how in kinds {
            let mut ahead = store.clone();
            ahead.compact(compact, *how);
            assert_eq!(ahead.hash(at(revision)).unwrap(), due, "{how:?} at {compact}, hashed at {revision}");
        }
    }
}

/// What the shell sees of the errors of etcd's tests.
#[test]
fn refusals_and_damage_have_their_exit_codes() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = Store::new();
    store.put("key", "value", 1);
    let good = directory.path().join("good.db");
    std::fs::write(&good, bytes(&store.buckets())).unwrap();
    let mut buckets = store.buckets();
    buckets.put("key", b"0", b"");
    let bad = directory.path().join("bad.db");
    std::fs::write(&bad, bytes(&buckets)).unwrap();
    let (good, bad) = (good.to_str().unwrap(), bad.to_str().unwrap());
    let cases: [(&[&str], i32, &str); 5] = [
        (&["hashkv", good], 0, ""),
        (&["hashkv", good, "--rev", "999"], 1, "required revision is a future revision"),
        (&["status", bad], 1, "invalid revision length"),
        (&["hashkv", "/nonexistent/path/to/db"], 3, "/nonexistent/path/to/db"),
        (&["hashkv", ""], 2, ""),
    ];
    for (args, code, word) in cases {
        let run = coldbolt(args);
        assert_eq!(run.code, code, "{run}");
        assert!(run.err.contains(word) && run.out.is_empty() == (code != 0), "{run}");
    }
}

/// A database written by hand: bucket `key` with foo=bar at revision 2, `lease` empty, `meta` with consistent_index 5
/// and term 2. etcd 3.5.1 booted on it.
fn tiny() -> Vec<u8> {
    let text = "
        0000 00000000000000000400000000000000
        0010 edda0ced020000000010000000000000 02000000000000000000000000000000
        0030 ffffffffffffffff0300000000000000 030000000000000061b19e0fa9786302
        1000 01000000000000000400000000000000
        1010 edda0ced020000000010000000000000 02000000000000000000000000000000
        1030 ffffffffffffffff0300000000000000 02000000000000004067af04a0b168e3
        2000 02000000000000000200030000000000
        2010 01000000300000000300000051000000 01000000740000000500000020000000 01000000890000000400000064000000
        2040 6b6579 00000000000000000000000000000000
        2053 00000000000000000200010000000000 00000000100000001100000010000000
        2073 00000000000000025f0000000000000000 0a03666f6f10021802 20012a03626172
        2094 6c65617365 00000000000000000000000000000000 00000000000000000200000000000000
        20b9 6d657461 00000000000000000000000000000000
        20cd 00000000000000000200020000000000
        20dd 00000000200000001000000008000000 00000000280000000400000008000000
        20fd 636f6e73697374656e745f696e646578 0000000000000005
        2115 7465726d 0000000000000002";
    let mut file = vec![0; 12288];
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let mut words = line.split_whitespace();
        let at = usize::from_str_radix(words.next().unwrap(), 16).unwrap();
        let digits = words.collect::<String>();
        let bytes: Vec<u8> = (0..digits.len())
            .step_by(2)
            .map(|i| u8::from_str_radix(&digits[i..i + 2], 16).unwrap())
            .collect();
        file[at..at + bytes.len()].copy_from_slice(&bytes);
    }
    file
}

#[test]
fn the_smallest_etcd_database_reads_as_written() {
    let bytes = tiny();
    assert_eq!(hex(&sha256(&bytes)), "82c10fdb2922417389333c57bbb949d0c475ffb767e21ade42a6e525ae176ce1");
    let source = Source::from_bytes("tiny.db", bytes);
    let db = Db::open(&source).unwrap();
    assert_eq!((db.meta_number(), db.meta().txid.0, db.meta().freelist, db.size()), (0, 3, None, 12288));
    let bucket = |name: &[u8]| db.root().bucket(name).unwrap().unwrap();
    assert!(bucket(b"key").get(b"\0\0\0\0\0\0\0\x02_\0\0\0\0\0\0\0\0").unwrap().unwrap().ends_with(b"bar"));
    assert!(bucket(b"lease").cursor().first().unwrap().is_none());
    assert_eq!(bucket(b"meta").get(b"consistent_index").unwrap().unwrap(), 5u64.to_be_bytes());
    assert_eq!(bucket(b"meta").get(b"term").unwrap().unwrap(), 2u64.to_be_bytes());
    let status = status(&source, &Quiet).unwrap();
    assert_eq!(
        (status.hash, status.revision, status.all_keys, status.total_size),
        (2_414_719_545, 2, 3, 12288)
    );
    let hash = hashkv(&source, &HashKvOptions::default(), &Quiet).unwrap();
    assert_eq!(hash.hash, 3_305_255_506);
}
