//! The newest revision of every key: what decides which keys are live.
//!
//! Keys are known by a 128-bit keyed hash, so that memory is a fixed few bytes a key whatever the keys' lengths; the
//! hash keys are drawn anew in each run, so no file can be made to collide.
//!
//! The table is larger than the processor's caches: what it costs is waiting for memory. So who has several keys
//! hashes all of them and calls [`Newest::fetch`], whose loads do not wait for one another, before it asks for the
//! first.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::sync::{Mutex, PoisonError};

use super::{BucketKey, KeyValue, Revision};
use crate::codec::{to_u64, to_usize};

/// Tables, so that threads seldom wait for one another, and only a small part is copied when one grows.
const SHARDS: usize = 64;
/// How many keys of one table a thread collects before it takes them there.
const BATCH: usize = 16;

type Shard = HashMap<KeyHash, NewestRevision, BuildHasherDefault<AlreadyHashed>>;

/// What a key is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash([u32; 4]);

impl KeyHash {
    fn shard(self) -> usize {
        let [first, ..] = self.0;
        to_usize(u64::from(first)) % SHARDS
    }
}

/// The keys of the hash, drawn anew for each file that is read.
#[derive(Debug, Clone, Default)]
pub struct Hashers([RandomState; 2]);

impl Hashers {
    /// What this key is known by.
    #[must_use]
    pub fn hash(&self, key: &[u8]) -> KeyHash {
        let [a, b] = &self.0;
        let halves = |word: u64| {
            [word & u64::from(u32::MAX), word >> 32].map(|half| u32::try_from(half).unwrap_or_default())
        };
        let ([a, b], [c, d]) = (halves(a.hash_one(key)), halves(b.hash_one(key)));
        KeyHash([a, b, c, d])
    }
}

/// The newest revision of a key, as far as it has been seen, in 28 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(Rust, packed(4))]
pub struct NewestRevision {
    main: i64,
    create_revision: i64,
    version: u32,
    sub_and_mark: u32,
    place: u32,
}

impl NewestRevision {
    /// What is known of a key after this revision. `place` is the caller's: where it keeps more about it.
    #[must_use]
    pub fn new(key: BucketKey, kv: &KeyValue<'_>, place: u32) -> NewestRevision {
        // Sub-revisions past 2^31 and versions past 2^32 are no transaction's: they saturate.
        let sub = u32::try_from(key.revision.sub).unwrap_or(u32::MAX).min(u32::MAX >> 1);
        NewestRevision {
            main: key.revision.main,
            create_revision: kv.create_revision,
            version: u32::try_from(kv.version).unwrap_or(u32::MAX),
            sub_and_mark: sub << 1 | u32::from(key.tombstone),
            place,
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

    /// What was given with it.
    #[must_use]
    pub fn place(&self) -> u32 {
        self.place
    }
}

/// The newest revision of each key.
#[derive(Debug)]
pub struct Newest {
    hashers: Hashers,
    shards: Vec<Shard>,
}

impl Default for Newest {
    fn default() -> Newest {
        Newest {
            hashers: Hashers::default(),
            shards: std::iter::repeat_with(Shard::default).take(SHARDS).collect(),
        }
    }
}

impl Newest {
    /// What its keys are known by.
    #[must_use]
    pub fn hashers(&self) -> &Hashers {
        &self.hashers
    }

    /// Brings what is known of these keys into the processor's cache.
    pub fn fetch(&self, keys: impl Iterator<Item = KeyHash>) {
        // What is known of a key may begin in one line of the cache and end in the next.
        let known = keys
            .filter_map(|hash| self.shards.get(hash.shard())?.get(&hash))
            .fold(0, |all, newer| all ^ newer.place);
        std::hint::black_box(known);
    }

    /// Takes note of one stored revision; returns the newest that was seen of that key before.
    pub fn see_alone(&mut self, key: BucketKey, kv: &KeyValue<'_>) -> Option<NewestRevision> {
        self.see(self.hashers.hash(kv.key), NewestRevision::new(key, kv, 0))
    }

    /// The same for a key that is hashed already.
    pub fn see(&mut self, hash: KeyHash, new: NewestRevision) -> Option<NewestRevision> {
        note(self.shards.get_mut(hash.shard())?, hash, new)
    }

    /// Whether this is the newest revision of its key.
    #[must_use]
    pub fn is_newest(&self, key: BucketKey, kv: &KeyValue<'_>) -> bool {
        self.is_newest_of(self.hashers.hash(kv.key), key)
    }

    /// The same of a key that is hashed already.
    #[must_use]
    pub fn is_newest_of(&self, hash: KeyHash, key: BucketKey) -> bool {
        let newest = self.shards.get(hash.shard()).and_then(|shard| shard.get(&hash));
        newest
            .is_some_and(|newest| newest.order() == NewestRevision::new(key, &KeyValue::default(), 0).order())
    }

    /// Keys whose newest revision is not a deletion.
    #[must_use]
    pub fn live(&self) -> u64 {
        let count = |shard: &Shard| shard.values().filter(|n| !n.tombstone()).count();
        to_u64(self.shards.iter().map(count).fold(0, usize::saturating_add))
    }
}

/// A [`Newest`] that any number of threads fill, in any order.
#[derive(Debug)]
pub struct Gathering {
    hashers: Hashers,
    shards: Vec<Mutex<Shard>>,
}

impl Default for Gathering {
    fn default() -> Gathering {
        Gathering {
            hashers: Hashers::default(),
            shards: std::iter::repeat_with(Mutex::default).take(SHARDS).collect(),
        }
    }
}

impl Gathering {
    /// What has been gathered.
    #[must_use]
    pub fn done(self) -> Newest {
        let shards =
            self.shards.into_iter().map(|shard| shard.into_inner().unwrap_or_else(PoisonError::into_inner));
        Newest { hashers: self.hashers, shards: shards.collect() }
    }
}

/// What one thread has seen and not yet brought to a [`Gathering`]. It does so when it is dropped.
#[derive(Debug)]
pub struct Gatherer<'g> {
    to: &'g Gathering,
    batches: Vec<Vec<(KeyHash, NewestRevision)>>,
}

impl<'g> Gatherer<'g> {
    /// Nothing yet.
    #[must_use]
    pub fn new(to: &'g Gathering) -> Gatherer<'g> {
        Gatherer { to, batches: vec![Vec::new(); SHARDS] }
    }

    /// Takes note of one stored revision.
    pub fn see(&mut self, key: BucketKey, kv: &KeyValue<'_>) {
        let hash = self.to.hashers.hash(kv.key);
        let Some(batch) = self.batches.get_mut(hash.shard()) else { return };
        batch.push((hash, NewestRevision::new(key, kv, 0)));
        if batch.len() >= BATCH {
            merge_batch(self.to.shards.get(hash.shard()), batch);
        }
    }
}

impl Drop for Gatherer<'_> {
    fn drop(&mut self) {
        for (shard, batch) in self.to.shards.iter().zip(&mut self.batches) {
            merge_batch(Some(shard), batch);
        }
    }
}

fn merge_batch(shard: Option<&Mutex<Shard>>, batch: &mut Vec<(KeyHash, NewestRevision)>) {
    let Some(shard) = shard else { return };
    let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
    // Loads that do not wait for one another; the second time they are in the cache.
    std::hint::black_box(batch.iter().filter(|(hash, _)| shard.contains_key(hash)).count());
    for (hash, new) in batch.drain(..) {
        note(&mut shard, hash, new);
    }
}

fn note(shard: &mut Shard, hash: KeyHash, new: NewestRevision) -> Option<NewestRevision> {
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
struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, words: &[u8]) {
        // The words arrive as bytes, after their number. The shard was chosen by the first of them, so the last ones
        // are taken here.
        self.0 = words.last_chunk().map_or(0, |word| u64::from_ne_bytes(*word));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_that_differ_fall_apart() {
        let taken = |words| BuildHasherDefault::<AlreadyHashed>::default().hash_one(KeyHash(words));
        assert_eq!(taken([1, 2, 3, 4]), 3 | 4 << 32);
        assert_ne!(taken([1, 2, 3, 4]), taken([1, 2, 3, 5]));
    }

    proptest::proptest! {
        #[test]
        fn what_threads_gather_in_any_order_is_what_one_sees(
            keys in proptest::collection::vec((0u8..20, 1i64..500, proptest::bool::ANY), 0..400),
        ) {
            let (mut alone, gathering) = (Newest::default(), Gathering::default());
            let (mut one, mut other) = (Gatherer::new(&gathering), Gatherer::new(&gathering));
            for (i, (name, main, tombstone)) in keys.iter().enumerate() {
                let key = BucketKey { revision: Revision { main: *main, sub: 0 }, tombstone: *tombstone };
                let kv = KeyValue { key: &[*name], ..KeyValue::default() };
                if i % 3 == 0 { one.see(key, &kv) } else { other.see(key, &kv) }
                alone.see_alone(key, &kv);
            }
            drop((other, one));
            let gathered = gathering.done();
            proptest::prop_assert_eq!(gathered.live(), alone.live());
            for (name, main, tombstone) in keys {
                let key = BucketKey { revision: Revision { main, sub: 0 }, tombstone };
                let kv = KeyValue { key: &[name], ..KeyValue::default() };
                proptest::prop_assert_eq!(gathered.is_newest(key, &kv), alone.is_newest(key, &kv));
            }
        }
    }
}
