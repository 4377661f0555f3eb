//! The newest revision of every key: what decides which keys are live.
//!
//! Keys are known by a 128-bit keyed hash, so that memory is a fixed few bytes a key whatever the keys' lengths; the hash keys are drawn
//! anew in each run, so no file can be made to collide.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{BucketKey, Revision};
use crate::bytes::to_u64;

/// Locks, so that threads seldom wait for one another.
const SHARDS: usize = 64;

/// The newest revision of each key, filled from any number of threads in any order.
#[derive(Debug)]
pub struct Newest {
    hashers: [RandomState; 2],
    shards: Vec<Mutex<Shard>>,
}

type Shard = HashMap<u128, Packed, BuildHasherDefault<Taken>>;

/// A revision and a tombstone mark in 16 bytes: sub-revisions past 2^31 are no transaction's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Packed {
    main: i64,
    sub_and_mark: u32,
}

impl Packed {
    fn new(key: BucketKey) -> Packed {
        let sub = u32::try_from(key.revision.sub).unwrap_or(u32::MAX).min(u32::MAX >> 1);
        Packed { main: key.revision.main, sub_and_mark: sub << 1 | u32::from(key.tombstone) }
    }

    fn tombstone(self) -> bool {
        self.sub_and_mark & 1 == 1
    }
}

impl Default for Newest {
    fn default() -> Newest {
        let hashers = [RandomState::new(), RandomState::new()];
        Newest { hashers, shards: std::iter::repeat_with(Mutex::default).take(SHARDS).collect() }
    }
}

impl Newest {
    fn shard(&self, hash: u128) -> Option<MutexGuard<'_, Shard>> {
        let [low, ..] = hash.to_le_bytes();
        let shard = self.shards.get(usize::from(low) % SHARDS)?;
        Some(shard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn hash(&self, key: &[u8]) -> u128 {
        let [a, b] = &self.hashers;
        u128::from(a.hash_one(key)) << 64 | u128::from(b.hash_one(key))
    }

    /// Takes note of one stored revision of a key.
    pub fn see(&self, user_key: &[u8], key: BucketKey) {
        let hash = self.hash(user_key);
        let packed = Packed::new(key);
        if let Some(mut shard) = self.shard(hash) {
            let newest = shard.entry(hash).or_insert(packed);
            *newest = packed.max(*newest);
        }
    }

    /// Whether this is the newest revision of its key.
    #[must_use]
    pub fn is_newest(&self, user_key: &[u8], key: BucketKey) -> bool {
        let hash = self.hash(user_key);
        self.shard(hash).is_some_and(|shard| shard.get(&hash) == Some(&Packed::new(key)))
    }

    /// The newest revision of a key, and whether it deletes it.
    #[must_use]
    pub fn get(&self, user_key: &[u8]) -> Option<BucketKey> {
        let hash = self.hash(user_key);
        let packed = *self.shard(hash)?.get(&hash)?;
        let revision = Revision { main: packed.main, sub: i64::from(packed.sub_and_mark >> 1) };
        Some(BucketKey { revision, tombstone: packed.tombstone() })
    }

    /// Keys whose newest revision is not a tombstone.
    #[must_use]
    pub fn live(&self) -> u64 {
        let count = |shard: &Mutex<Shard>| shard.lock().unwrap_or_else(PoisonError::into_inner).values().filter(|p| !p.tombstone()).count();
        to_u64(self.shards.iter().map(count).fold(0, usize::saturating_add))
    }
}

/// Takes part of a hash that is one already.
#[derive(Debug, Default, Clone, Copy)]
struct Taken(u64);

impl Hasher for Taken {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Only u128 keys come here; the upper half is the part the shard was not chosen by.
        self.0 = bytes.last_chunk().map_or(0, |half| u64::from_le_bytes(*half));
    }

    fn write_u128(&mut self, hash: u128) {
        self.0 = u64::try_from(hash >> 64).unwrap_or(0);
    }
}

const _: () = assert!(SHARDS <= 256);
