//! The newest revision of every key: what decides which keys are live.
//!
//! Keys are known by a keyed hash of 72 bits, so that memory is a fixed few bytes a key whatever the keys' lengths.
//! It is SipHash-1-3, as of std's `HashMap`, with keys that are drawn anew in each run: to who does not know them its
//! values are chance, so no file can be made to collide. Of ten million keys two are taken for one once in a hundred
//! million files, and not again when the same file is read again. Hashes made for speed alone promise less: of those
//! of the wyhash family whose constants are public, inputs are known that collide under every seed.
//!
//! # Why there is a table
//!
//! In a sound history whose compaction is finished the live keys can be counted without one: each put up to the
//! compact revision is the only row of its key, a later put of version 1 begins a key's life and a deletion ends it.
//! A broken history need not show that it is one: two puts of one key up to the compact revision, one of version 3
//! without a predecessor, a deletion of what is not there each agree with every counter. etcd's answer is then by
//! key, as it inserts and deletes each in its index, and to know whether a key has come by before takes memory of so
//! many bits for each key, in any single pass. HashKV asks more even of a sound file: of what a compaction has left it
//! leaves out what has a newer version (`keyIndex.keep`). So every answer here is by the table, and the table is small.
//!
//! It is larger than the processor's caches: what it costs is waiting for memory. So who has several keys hashes all
//! of them and calls [`Newest::fetch`], whose loads do not wait for one another, before it asks for the first.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};
use std::mem;
use std::sync::{Mutex, PoisonError};

use super::{BucketKey, KeyValue, Revision};
use crate::codec::{to_u64, to_usize};

/// Tables, so that threads seldom wait for one another, and only a small part is copied when one grows. Which one a
/// key is in is part of what it is known by.
const SHARDS: usize = 1 << u8::BITS;
/// How many rows a thread collects before it takes them to the tables: some for each of them, so that a lock and
/// the waiting for memory are shared, and no more than stay in the processor's nearest cache but one.
const BATCH: usize = 2048;

type Shard<N> = HashMap<Tag, N, BuildHasherDefault<AlreadyHashed>>;

/// What a key is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash {
    tag: Tag,
    shard: u8,
}

impl KeyHash {
    fn shard(self) -> usize {
        usize::from(self.shard)
    }
}

/// What a key is known by in its shard. In halves, so that it takes no more room than its 8 bytes beside others of 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tag([u32; 2]);

impl Hash for Tag {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Tag([low, high]) = *self;
        state.write_u64(u64::from(high) << 32 | u64::from(low));
    }
}

/// The keys of the hash, drawn anew for each file that is read.
#[derive(Debug, Clone, Default)]
pub struct Hashers(RandomState);

impl Hashers {
    /// What this key is known by.
    #[must_use]
    pub fn hash(&self, key: &[u8]) -> KeyHash {
        // The key is gone through once, and ended in two ways: of the key itself, and of it and one byte more.
        let mut state = self.0.build_hasher();
        state.write(key);
        let [a, b, c, d, e, f, g, h] = state.finish().to_le_bytes();
        state.write_u8(0);
        let [shard, ..] = state.finish().to_le_bytes();
        KeyHash { tag: Tag([[a, b, c, d], [e, f, g, h]].map(u32::from_le_bytes)), shard }
    }
}

/// What a table holds of a key: its newest revision, and perhaps more about that.
pub trait Known: Copy {
    /// That revision.
    fn latest(&self) -> Latest;
}

/// A revision as a table holds it, in 12 bytes: their order is that of the revisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(Rust, packed(4))]
pub struct Latest {
    main: i64,
    sub_and_mark: u32,
}

impl Latest {
    /// Of this stored revision.
    #[must_use]
    pub fn new(key: BucketKey) -> Latest {
        // Sub-revisions past 2^31 are no transaction's: they saturate.
        let sub = u32::try_from(key.revision.sub).unwrap_or(u32::MAX).min(u32::MAX >> 1);
        Latest { main: key.revision.main, sub_and_mark: sub << 1 | u32::from(key.tombstone) }
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
}

impl Known for Latest {
    fn latest(&self) -> Latest {
        *self
    }
}

/// The newest revision of a key and what its history is checked by, in 28 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(Rust, packed(4))]
pub struct NewestRevision {
    latest: Latest,
    create_revision: i64,
    version: u32,
    place: u32,
}

impl NewestRevision {
    /// What is known of a key after this revision. `place` is the caller's: where it keeps more about it.
    #[must_use]
    pub fn new(key: BucketKey, kv: &KeyValue<'_>, place: u32) -> NewestRevision {
        NewestRevision {
            latest: Latest::new(key),
            create_revision: kv.create_revision,
            // Versions past 2^32 are no transaction's: they saturate.
            version: u32::try_from(kv.version).unwrap_or(u32::MAX),
            place,
        }
    }

    /// The revision.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.latest().revision()
    }

    /// Whether it is a deletion.
    #[must_use]
    pub fn tombstone(&self) -> bool {
        self.latest().tombstone()
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

impl Known for NewestRevision {
    fn latest(&self) -> Latest {
        self.latest
    }
}

/// The newest revision of each key.
#[derive(Debug)]
pub struct Newest<N = Latest> {
    hashers: Hashers,
    shards: Vec<Shard<N>>,
}

impl<N> Default for Newest<N> {
    fn default() -> Newest<N> {
        Newest {
            hashers: Hashers::default(),
            shards: std::iter::repeat_with(Shard::default).take(SHARDS).collect(),
        }
    }
}

impl<N: Known> Newest<N> {
    /// What its keys are known by.
    #[must_use]
    pub fn hashers(&self) -> &Hashers {
        &self.hashers
    }

    /// Brings what is known of these keys into the processor's cache.
    pub fn fetch(&self, keys: impl Iterator<Item = KeyHash>) {
        let known = keys
            .filter_map(|hash| self.shards.get(hash.shard())?.get(&hash.tag))
            .fold(0, |all, newer| all ^ newer.latest().sub_and_mark);
        std::hint::black_box(known);
    }

    /// Takes note of one stored revision; returns the newest that was seen of that key before.
    pub fn see(&mut self, hash: KeyHash, new: N) -> Option<N> {
        note(self.shards.get_mut(hash.shard())?, hash.tag, new)
    }

    /// Whether this is the newest revision of its key.
    #[must_use]
    pub fn is_newest(&self, key: BucketKey, kv: &KeyValue<'_>) -> bool {
        self.is_newest_of(self.hashers.hash(kv.key), key)
    }

    /// The same of a key that is hashed already.
    #[must_use]
    pub fn is_newest_of(&self, hash: KeyHash, key: BucketKey) -> bool {
        let newest = self.shards.get(hash.shard()).and_then(|shard| shard.get(&hash.tag));
        newest.is_some_and(|newest| newest.latest() == Latest::new(key))
    }

    /// The newest revision of each key, in no order.
    pub fn latest(&self) -> impl Iterator<Item = Latest> {
        self.shards.iter().flat_map(|shard| shard.values().map(Known::latest))
    }

    /// Keys whose newest revision is not a deletion.
    #[must_use]
    pub fn live(&self) -> u64 {
        let count = |shard: &Shard<N>| shard.values().filter(|n| !n.latest().tombstone()).count();
        to_u64(self.shards.iter().map(count).fold(0, usize::saturating_add))
    }
}

impl Newest {
    /// Takes note of one stored revision.
    pub fn see_alone(&mut self, key: BucketKey, kv: &KeyValue<'_>) {
        self.see(self.hashers.hash(kv.key), Latest::new(key));
    }
}

/// A [`Newest`] that any number of threads fill, in any order.
#[derive(Debug)]
pub struct Gathering {
    hashers: Hashers,
    shards: Vec<Mutex<Shard<Latest>>>,
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

/// A row of a batch, and the place of the one of the same shard that came before it.
#[derive(Debug, Clone, Copy)]
struct Collected {
    tag: Tag,
    latest: Latest,
    before: u32,
}

/// No row.
const NONE: u32 = u32::MAX;

/// What one thread has seen and not yet brought to a [`Gathering`]. It does so when it is dropped.
#[derive(Debug)]
pub struct Gatherer<'g> {
    to: &'g Gathering,
    batch: Vec<Collected>,
    /// Of each shard the row that came last.
    last: Vec<u32>,
}

impl<'g> Gatherer<'g> {
    /// Nothing yet.
    #[must_use]
    pub fn new(to: &'g Gathering) -> Gatherer<'g> {
        Gatherer { to, batch: Vec::new(), last: vec![NONE; SHARDS] }
    }

    /// Takes note of one stored revision.
    pub fn see(&mut self, key: BucketKey, kv: &KeyValue<'_>) {
        let KeyHash { tag, shard } = self.to.hashers.hash(kv.key);
        let Some(last) = self.last.get_mut(usize::from(shard)) else { return };
        let place = u32::try_from(self.batch.len()).unwrap_or(NONE);
        let before = mem::replace(last, place);
        self.batch.push(Collected { tag, latest: Latest::new(key), before });
        if self.batch.len() >= BATCH {
            self.bring();
        }
    }

    /// Takes what was collected to the tables.
    fn bring(&mut self) {
        for (shard, last) in self.to.shards.iter().zip(&mut self.last) {
            let last = mem::replace(last, NONE);
            if last != NONE {
                bring_to(shard, &self.batch, last);
            }
        }
        self.batch.clear();
    }
}

impl Drop for Gatherer<'_> {
    fn drop(&mut self) {
        self.bring();
    }
}

fn bring_to(shard: &Mutex<Shard<Latest>>, batch: &[Collected], last: u32) {
    let rows = || {
        let row = |place: u32| batch.get(to_usize(u64::from(place)));
        std::iter::successors(row(last), move |collected| row(collected.before))
    };
    let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
    // Loads that do not wait for one another; the second time they are in the cache.
    let tag = |collected: &Collected| collected.tag;
    std::hint::black_box(rows().filter(|collected| shard.contains_key(&tag(collected))).count());
    for Collected { tag, latest, .. } in rows() {
        note(&mut shard, *tag, *latest);
    }
}

fn note<N: Known>(shard: &mut Shard<N>, tag: Tag, new: N) -> Option<N> {
    match shard.entry(tag) {
        Entry::Vacant(place) => {
            place.insert(new);
            None
        }
        Entry::Occupied(mut place) => {
            let before = *place.get();
            if new.latest() > before.latest() {
                place.insert(new);
            }
            Some(before)
        }
    }
}

/// Takes a hash as it is.
#[derive(Debug, Default, Clone, Copy)]
struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    /// A [`Tag`] arrives as one number.
    fn write(&mut self, _: &[u8]) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_takes_few_bytes_a_key() {
        assert_eq!(size_of::<(Tag, Latest)>(), 20);
        assert_eq!(size_of::<(Tag, NewestRevision)>(), 36);
    }

    #[test]
    fn hashes_that_differ_fall_apart() {
        let taken = |words| BuildHasherDefault::<AlreadyHashed>::default().hash_one(Tag(words));
        assert_eq!(taken([3, 4]), 3 | 4 << 32);
        let hashers = Hashers::default();
        let shards: std::collections::BTreeSet<_> =
            (0..4000u32).map(|n| hashers.hash(&n.to_le_bytes()).shard()).collect();
        assert!(shards.len() > SHARDS / 2, "{}", shards.len());
        // What ends a key in the second way is no other key's first.
        assert_ne!(hashers.hash(b"k").tag, hashers.hash(b"k\0").tag);
    }

    #[test]
    fn revisions_are_in_order_and_come_back() {
        let key = |main, sub, tombstone| BucketKey { revision: Revision { main, sub }, tombstone };
        let keys = [
            key(0, 0, false),
            key(1, 7, false),
            key(1, 7, true),
            key(1, 8, false),
            key(2, 0, true),
            key(i64::MAX, 0, false),
        ];
        assert!(keys.map(Latest::new).is_sorted());
        for key in keys {
            let latest = Latest::new(key);
            assert_eq!((latest.revision(), latest.tombstone()), (key.revision, key.tombstone));
        }
    }

    /// More rows than a batch, of few keys and of many.
    #[test]
    fn batches_lose_nothing() {
        for names in [3, 50_000u32] {
            let (gathering, mut alone) = (Gathering::default(), Newest::default());
            let mut gatherer = Gatherer::new(&gathering);
            for n in 0..60_000u32 {
                let name = (n.wrapping_mul(2_654_435_761) % names).to_le_bytes();
                let revision = Revision { main: i64::from(n ^ 0x2aaa), sub: 0 };
                let key = BucketKey { revision, tombstone: n % 5 == 0 };
                let kv = KeyValue { key: &name, ..KeyValue::default() };
                gatherer.see(key, &kv);
                alone.see_alone(key, &kv);
            }
            drop(gatherer);
            let gathered = gathering.done();
            let sorted = |newest: &Newest| {
                let mut all: Vec<_> = newest.latest().collect();
                all.sort_unstable();
                all
            };
            assert_eq!(sorted(&gathered), sorted(&alone));
            assert_eq!(gathered.live(), alone.live());
        }
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
