//! The revision of a store whose last revisions a compaction has removed.

use std::fs;
use std::path::Path;

use coldbolt::bolt::writer::{Options, Writer};
use coldbolt::etcd::{BucketKey, KeyValue, Revision};
use coldbolt::io::Source;
use coldbolt::ops::copy::{CopyOptions, copy};
use coldbolt::ops::verify::policy::{Policy, Previous, check};
use coldbolt::ops::verify::{VerifyOptions, verify};
use coldbolt::store::{HashKvOptions, Store, StoreOptions, hashkv};
use coldbolt::words::monitor::Quiet;

fn mark(main: i64) -> Vec<u8> {
    BucketKey { revision: Revision { main, sub: 0 }, tombstone: false }.to_bytes()
}

/// As etcd leaves it: b was put at revision 2, a from 3 to 7, a was deleted at 8, and 8 was compacted.
fn compacted(path: &Path, b: bool) {
    let mut file = fs::File::create_new(path).unwrap();
    let mut writer = Writer::new(&mut file, Options::default()).unwrap();
    writer.begin_bucket(b"key", 0).unwrap();
    if b {
        let kv =
            KeyValue { key: b"b", create_revision: 2, mod_revision: 2, version: 1, ..KeyValue::default() };
        writer.put(&mark(2), &kv.encode()).unwrap();
    }
    writer.end_bucket().unwrap();
    writer.begin_bucket(b"meta", 0).unwrap();
    writer.put(b"consistent_index", &11u64.to_be_bytes()).unwrap();
    writer.put(b"finishedCompactRev", &mark(8)).unwrap();
    writer.put(b"scheduledCompactRev", &mark(8)).unwrap();
    writer.put(b"term", &2u64.to_be_bytes()).unwrap();
    writer.end_bucket().unwrap();
    writer.finish().unwrap();
}

#[test]
fn the_revision_is_the_last_stored_or_the_compacted_one_whichever_is_greater() {
    let dir = tempfile::tempdir().unwrap();
    for b in [true, false] {
        let path = dir.path().join(format!("{b}.db"));
        compacted(&path, b);
        let source = Source::open(&path).unwrap();
        assert_eq!(Store::open(&source, &StoreOptions::default(), &Quiet).unwrap().revision(), 8);
        assert_eq!(hashkv(&source, &HashKvOptions::default(), &Quiet).unwrap().revision, 8);
        let verified = verify(&path, &VerifyOptions::default(), &Quiet).unwrap();
        assert_eq!((verified.measured.revision, verified.measured.compact_revision), (Some(8), Some(8)));
        let to = dir.path().join(format!("{b}.copy"));
        assert_eq!(copy(&path, &to, &CopyOptions::default(), &Quiet).unwrap().revision, 8);

        // What a policy asks of it, and of one that was taken later.
        let policy = Policy { min_revision: Some(8), max_revision: Some(8), ..Policy::default() };
        let later = verify(&to, &VerifyOptions::default(), &Quiet).unwrap();
        let previous = Previous::of(&verified);
        let now = jiff::Timestamp::UNIX_EPOCH;
        let judged = check(&policy, &later, Some(&previous), now);
        assert_eq!(judged.len(), 3, "{judged:?}");
        assert!(judged.iter().all(|rule| rule.passed == Some(true)), "{judged:?}");
    }
}
