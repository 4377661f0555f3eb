//! The small buckets while a log is applied: what is in them, and what was changed.

use std::collections::BTreeMap;

use crate::bolt::Db;
use crate::codec::array_at;
use crate::etcd::{Facts, small};
use crate::words::error::Corrupt;

/// For each bucket its keys that get a value, or none any more.
pub type Overlay = BTreeMap<Vec<u8>, BTreeMap<Vec<u8>, Option<Vec<u8>>>>;

type Items = BTreeMap<Vec<u8>, Vec<u8>>;

/// The small buckets.
#[derive(Debug, Clone, Default)]
pub(super) struct Buckets {
    now: BTreeMap<&'static str, Items>,
    changes: Overlay,
}

/// Those that are read whole: all but `key`.
const SMALL: [&str; 9] =
    ["alarm", "auth", "authRoles", "authUsers", "cluster", "lease", "members", "members_removed", "meta"];

impl Buckets {
    /// Reads them, and what they say.
    pub fn open(db: &Db<'_>) -> Result<(Buckets, Facts), Box<Corrupt>> {
        let mut buckets = Buckets::default();
        let facts = small::facts(db, &SMALL, &mut |name, item, taken| {
            taken?;
            buckets.now.entry(name).or_default().insert(item.key.to_vec(), item.value.to_vec());
            Ok(())
        })?;
        Ok((buckets, facts))
    }

    pub fn get(&self, bucket: &'static str, key: &[u8]) -> Option<&[u8]> {
        self.now.get(bucket)?.get(key).map(Vec::as_slice)
    }

    pub fn has(&self, bucket: &'static str, key: &[u8]) -> bool {
        self.get(bucket, key).is_some()
    }

    pub fn all(&self, bucket: &'static str) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.now.get(bucket).into_iter().flatten().map(|(key, value)| (key.as_slice(), value.as_slice()))
    }

    pub fn put(&mut self, bucket: &'static str, key: &[u8], value: Vec<u8>) {
        self.changes.entry(bucket.as_bytes().to_vec()).or_default().insert(key.to_vec(), Some(value.clone()));
        self.now.entry(bucket).or_default().insert(key.to_vec(), value);
    }

    pub fn delete(&mut self, bucket: &'static str, key: &[u8]) {
        self.changes.entry(bucket.as_bytes().to_vec()).or_default().insert(key.to_vec(), None);
        self.now.entry(bucket).or_default().remove(key);
    }

    /// Eight bytes, big-endian; 0 when it is not there.
    pub fn number(&self, bucket: &'static str, key: &[u8]) -> u64 {
        self.get(bucket, key).and_then(|value| array_at(value, 0)).map_or(0, u64::from_be_bytes)
    }

    pub fn into_changes(self) -> Overlay {
        self.changes
    }
}
