//! The newest revision of every key: what decides which keys are live.
//!
//! Keys are known by a 128-bit keyed hash, so that memory is a fixed few bytes a key whatever the keys' lengths; the hash keys are drawn
//! anew in each run, so no file can be made to collide.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{BucketKey, KeyValue, Revision};
use crate::bytes::{to_u64, to_usize};

/// Locks, so that threads seldom wait for one another.
const SHARDS: usize = 64;

/// The newest revision of each key, filled from any number of threads in any order.
#[derive(Debug)]
pub struct Newest {
    hashers: [RandomState; 2],
    shards: Vec<Mutex<Shard>>,
}

type Shard = HashMap<[u64; 2], Newer, BuildHasherDefault<Taken>>;

/// The newest revision of a key, as far as it has been seen, in 24 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Newer {
    main: i64,
    create_revision: i64,
    version: u32,
    sub_and_mark: u32,
}

impl Newer {
    fn new(key: BucketKey, kv: &KeyValue<'_>) -> Newer {
        // Sub-revisions past 2^31 and versions past 2^32 are no transaction's: they saturate.
        let sub = u32::try_from(key.revision.sub).unwrap_or(u32::MAX).min(u32::MAX >> 1);
        Newer {
            main: key.revision.main,
            create_revision: kv.create_revision,
            version: u32::try_from(kv.version).unwrap_or(u32::MAX),
            sub_and_mark: sub << 1 | u32::from(key.tombstone),
        }
    }

    fn order(&self) -> (i64, u32) {
        (self.main, self.sub_and_mark)
    }

    /// The revision.
    #[must_use]
    pub fn revision(&self) -> Revision {
        Revision { main: self.main, sub: i64::from(self.sub_and_mark >> 1) }
    }

    /// Whether it is a deletion.
    #[must_use]
    pub fn tombstone(&self) -> bool {
        self.sub_and_mark & 1 == 1
    }

    /// When the key was created, of a put.
    #[must_use]
    pub fn create_revision(&self) -> i64 {
        self.create_revision
    }

    /// How often it was put since.
    #[must_use]
    pub fn version(&self) -> i64 {
        i64::from(self.version)
    }
}

impl Default for Newest {
    fn default() -> Newest {
        let hashers = [RandomState::new(), RandomState::new()];
        Newest { hashers, shards: std::iter::repeat_with(Mutex::default).take(SHARDS).collect() }
    }
}

impl Newest {
    fn shard(&self, hash: [u64; 2]) -> Option<MutexGuard<'_, Shard>> {
        let [low, _] = hash;
        let shard = self.shards.get(to_usize(low) % SHARDS)?;
        Some(shard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn hash(&self, key: &[u8]) -> [u64; 2] {
        let [a, b] = &self.hashers;
        [a.hash_one(key), b.hash_one(key)]
    }

    /// Takes note of one stored revision; returns the newest that was seen of that key before.
    pub fn see(&self, key: BucketKey, kv: &KeyValue<'_>) -> Option<Newer> {
        let hash = self.hash(kv.key);
        note(&mut *self.shard(hash)?, hash, Newer::new(key, kv))
    }

    /// The same, without a lock: for a thread that has it alone.
    pub fn see_alone(&mut self, key: BucketKey, kv: &KeyValue<'_>) -> Option<Newer> {
        let hash = self.hash(kv.key);
        let [low, _] = hash;
        let shard = self.shards.get_mut(to_usize(low) % SHARDS)?;
        note(shard.get_mut().unwrap_or_else(PoisonError::into_inner), hash, Newer::new(key, kv))
    }

    /// Whether this is the newest revision of its key.
    #[must_use]
    pub fn is_newest(&self, key: BucketKey, kv: &KeyValue<'_>) -> bool {
        let hash = self.hash(kv.key);
        self.shard(hash).is_some_and(|shard| shard.get(&hash).is_some_and(|newest| newest.order() == Newer::new(key, kv).order()))
    }

    /// Keys whose newest revision is not a deletion.
    #[must_use]
    pub fn live(&self) -> u64 {
        let count = |shard: &Mutex<Shard>| shard.lock().unwrap_or_else(PoisonError::into_inner).values().filter(|n| !n.tombstone()).count();
        to_u64(self.shards.iter().map(count).fold(0, usize::saturating_add))
    }
}

fn note(shard: &mut Shard, hash: [u64; 2], new: Newer) -> Option<Newer> {
    match shard.entry(hash) {
        Entry::Vacant(place) => {
            place.insert(new);
            None
        }
        Entry::Occupied(mut place) => {
            let before = *place.get();
            if new.order() > before.order() {
                place.insert(new);
            }
            Some(before)
        }
    }
}

/// Takes part of a hash that is one already.
#[derive(Debug, Default, Clone, Copy)]
struct Taken(u64);

impl Hasher for Taken {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, words: &[u8]) {
        // A pair of words arrives as bytes, after its length. The shard was chosen by the first word, so the last one is taken here.
        self.0 = words.last_chunk().map_or(0, |word| u64::from_ne_bytes(*word));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_that_differ_hash_apart() {
        let hash = |pair: [u64; 2]| BuildHasherDefault::<Taken>::default().hash_one(pair);
        assert_eq!(hash([1, 77]), 77);
        assert_ne!(hash([1, 2]), hash([1, 3]));
    }
}
