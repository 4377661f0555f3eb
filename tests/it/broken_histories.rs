//! Rows in every order of lives, sound or not, beside what etcd does with them: it inserts each key of a put in its
//! index and takes out that of a deletion, whatever the rows say of versions.

use std::collections::BTreeMap;
use std::io::Cursor;

use coldbolt::bolt::Db;
use coldbolt::bolt::writer::{Options, Writer};
use coldbolt::codec::checksum::crc32c;
use coldbolt::etcd::{BucketKey, KeyValue, Revision};
use coldbolt::io::Source;
use coldbolt::ops::status;
use coldbolt::store::hashkv;
use coldbolt::store::hashkv::HashKvOptions;
use coldbolt::store::scan::{KeyDepth, ScanOptions, scan};
use coldbolt::words::monitor::Quiet;
use proptest::prelude::*;

/// A stored version, and the bytes it is stored as.
#[derive(Debug, Clone)]
struct Row {
    key: BucketKey,
    user_key: Vec<u8>,
    raw: [Vec<u8>; 2],
}

/// How far the main revision goes on, the user's key, whether it is deleted, the version and how old the key is said
/// to be, the length of the value.
type Step = (i64, u8, bool, i64, i64, usize);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let deleted = prop_oneof![4 => Just(false), 1 => Just(true)];
    prop::collection::vec((0..3i64, 0..12u8, deleted, 0..4i64, 0..3i64, 0..90usize), 0..120)
}

/// The rows of these steps. `sound` ones say what etcd would, the others what the steps say.
fn rows(steps: &[Step], sound: bool) -> Vec<Row> {
    let (mut at, mut lives) = (Revision { main: 1, sub: 0 }, BTreeMap::<u8, (i64, i64)>::new());
    let mut rows = Vec::new();
    for &(on, name, tombstone, version, age, len) in steps {
        // A transaction changes a key once.
        let on = if sound { on.max(1) } else { on };
        at = if on == 0 && !rows.is_empty() {
            Revision { sub: at.sub + 1, ..at }
        } else {
            Revision { main: at.main + on.max(1), sub: 0 }
        };
        if sound && tombstone && lives.remove(&name).is_none() {
            continue;
        }
        let (create, version) = match lives.get(&name) {
            _ if !sound => ((at.main - age).max(0), version),
            Some((create, version)) => (*create, version + 1),
            None => (at.main, 1),
        };
        if sound && !tombstone {
            lives.insert(name, (create, version));
        }
        let (user_key, value) = (format!("key-{name}").into_bytes(), vec![name; len]);
        let mut kv = KeyValue { key: &user_key, ..KeyValue::default() };
        if !tombstone {
            let (create_revision, mod_revision) = (create, at.main);
            kv = KeyValue { create_revision, mod_revision, version, value: &value, ..kv };
        }
        let key = BucketKey { revision: at, tombstone };
        rows.push(Row { key, raw: [key.to_bytes(), kv.encode()], user_key });
    }
    rows
}

/// What a compaction at `compact` leaves.
fn compacted(rows: Vec<Row>, compact: i64) -> Vec<Row> {
    let kept: BTreeMap<_, _> = rows
        .iter()
        .filter(|row| row.key.revision.main <= compact)
        .map(|r| (r.user_key.clone(), r.key))
        .collect();
    let stays = |row: &Row| {
        row.key.revision.main > compact || kept.get(&row.user_key) == Some(&row.key) && !row.key.tombstone
    };
    rows.into_iter().filter(stays).collect()
}

fn file(rows: &[Row], scheduled: Option<i64>, finished: Option<i64>) -> Source {
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = Writer::new(&mut bytes, Options { page_size: 1024, ..Options::default() }).unwrap();
    writer.begin_bucket(b"key", 0).unwrap();
    for Row { raw: [key, value], .. } in rows {
        writer.put(key, value).unwrap();
    }
    writer.end_bucket().unwrap();
    writer.begin_bucket(b"meta", 0).unwrap();
    for (name, main) in [("finishedCompactRev", finished), ("scheduledCompactRev", scheduled)] {
        if let Some(main) = main {
            let key = BucketKey { revision: Revision { main, sub: 0 }, tombstone: false };
            writer.put(name.as_bytes(), &key.to_bytes()).unwrap();
        }
    }
    writer.end_bucket().unwrap();
    writer.finish().unwrap();
    Source::from_bytes("db", bytes.into_inner())
}

/// Where each key stands that is live at a revision.
fn live(rows: &[Row], revision: i64) -> BTreeMap<&[u8], BucketKey> {
    let mut live = BTreeMap::new();
    for row in rows.iter().filter(|row| row.key.revision.main <= revision) {
        if row.key.tombstone {
            live.remove(row.user_key.as_slice());
        } else {
            live.insert(row.user_key.as_slice(), row.key);
        }
    }
    live
}

/// `unsafeHashByRev` of what the keys at `at` keep.
fn naive_hash(rows: &[Row], revision: i64, compact: i64, at: Option<i64>) -> u32 {
    let keep = live(rows, at.unwrap_or(revision));
    let keep_all = at.is_none() && keep.is_empty();
    let mut bytes = b"key".to_vec();
    for Row { key, user_key, raw } in rows {
        let main = key.revision.main;
        let kept = keep_all || keep.get(user_key.as_slice()) == Some(key);
        if main <= revision && (main > compact || kept && !(main == compact && key.tombstone)) {
            raw.iter().for_each(|raw| bytes.extend(raw));
        }
    }
    crc32c(0, &bytes)
}

proptest! {
    #[test]
    fn keys_are_counted_and_hashed_as_etcd_does_whatever_the_rows_say(
        steps in steps(), sound: bool, compact in prop::option::of(0..150i64), done: bool, removed: bool,
        until in 0.0..=1.0f64, more in prop::option::of(0..20i64),
    ) {
        let mut rows = rows(&steps, sound);
        if let Some(compact) = compact.filter(|_| removed) {
            rows = compacted(rows, compact);
        }
        let source = file(&rows, compact, compact.filter(|_| done));
        let last = rows.last().map_or(0, |row| row.key.revision.main);
        let in_file = compact.unwrap_or(-1);
        let current = last.max(in_file).max(1);
        let live_keys = live(&rows, current).len() as u64;
        prop_assert_eq!(status(&source, &Quiet).unwrap().live_keys, live_keys);

        // At the last revision, by both ways there are.
        let now = hashkv(&source, &HashKvOptions::default(), &Quiet).unwrap();
        prop_assert_eq!((now.revision, now.compact_revision), (current, in_file));
        prop_assert_eq!(now.hash, naive_hash(&rows, current, in_file, None));
        let options = ScanOptions { limit: 10, gate: None, keys: KeyDepth::History };
        let checked = scan(&Db::open(&source).unwrap(), options, &Quiet).unwrap();
        prop_assert_eq!(checked.newest.live(), live_keys);
        prop_assert_eq!(checked.hashkv.unwrap().unwrap(), now.hash);

        // At any other, and as if more were compacted.
        let revision = in_file.max(1) + ((current - in_file.max(1)) as f64 * until) as i64;
        let compact_revision = more.map(|more| (in_file + more).min(revision)).filter(|c| *c >= in_file);
        let options = HashKvOptions { revision: Some(revision), compact_revision };
        let compact = compact_revision.unwrap_or(in_file);
        let none_live = compact >= 0 && live(&rows, revision).is_empty();
        let at = compact_revision.filter(|_| none_live);
        let then = hashkv(&source, &options, &Quiet).unwrap();
        prop_assert_eq!(then.hash, naive_hash(&rows, revision, compact, at));
    }
}
