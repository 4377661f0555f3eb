//! Items of the small buckets, in any order: they are taken in or refused, and what was taken in can be told.
#![no_main]

use coldbolt::etcd::Facts;
use coldbolt::etcd::schema::{BUCKETS, storage_version};

// Each item: which bucket (one byte), length of the key (one), length of the value (two), key, value.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut facts = Facts::default();
    let mut rest = data;
    while let Some((&[bucket, key, low, high], behind)) = rest.split_first_chunk() {
        let key = usize::from(key).min(behind.len());
        let value = usize::from(u16::from_le_bytes([low, high])).min(behind.len() - key);
        let (key, behind) = behind.split_at(key);
        let (value, behind) = behind.split_at(value);
        let bucket = BUCKETS[usize::from(bucket) % BUCKETS.len()];
        if let Err(why) = facts.take(bucket.as_bytes(), key, value) {
            assert!(!why.to_string().is_empty());
        }
        rest = behind;
    }
    let _ = storage_version(&facts);
    assert!(facts.compact_revision() >= facts.finished_compact_revision);
    assert!(facts.compaction_is_unfinished() || facts.compact_revision() == facts.finished_compact_revision);
    serde_json::to_string(&facts).unwrap();
});
