//! Keys in order, with the newest version of each.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::vec;

use super::pass::{Each, Span};
use super::{Position, View};
use crate::bytes::{to_u64, to_usize};
use crate::error::Result;
use crate::etcd::{BucketKey, KeyRange, KeyValue, Revision};

/// Locks, so that threads seldom wait for one another.
const SHARDS: usize = 64;

/// What is known of a key at a revision: its newest version, live or a deletion, and how much is stored of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyState {
    /// The key.
    pub key: Box<[u8]>,
    /// When its newest version was written.
    pub revision: Revision,
    /// Whether that is a deletion.
    pub deleted: bool,
    /// When its generation was created; 0 for a deletion.
    pub create_revision: i64,
    /// How often it was put since; 0 for a deletion.
    pub version: i64,
    /// The lease it is attached to; 0 is none.
    pub lease: i64,
    /// Length of its value.
    pub value_len: u64,
    /// Versions of it that are stored, up to the revision, deletions included.
    pub revisions: u64,
    /// Bytes of keys and values of all of these.
    pub bytes: u64,
    /// Where the newest version lies.
    pub(super) position: Position,
    /// A keyed hash of the value; only two that were made with one hasher compare.
    pub(super) digest: u64,
}

/// The same in 72 bytes.
#[derive(Debug, Clone, Copy)]
struct Slot {
    main: i64,
    sub_and_mark: u32,
    value_len: u32,
    create_revision: i64,
    version: i64,
    lease: i64,
    bytes: u64,
    position: Position,
    digest: u64,
    revisions: u32,
}

impl Slot {
    fn order(&self) -> (i64, u32) {
        (self.main, self.sub_and_mark)
    }

    fn state(self, key: Box<[u8]>) -> KeyState {
        KeyState {
            key,
            revision: Revision { main: self.main, sub: i64::from(self.sub_and_mark >> 1) },
            deleted: self.sub_and_mark & 1 == 1,
            create_revision: self.create_revision,
            version: self.version,
            lease: self.lease,
            value_len: u64::from(self.value_len),
            revisions: u64::from(self.revisions),
            bytes: self.bytes,
            position: self.position,
            digest: self.digest,
        }
    }
}

/// Goes through the keys of a range in order. The first call walks the file, and so does each that comes to the end of what fits into memory.
pub struct Keys<'v, 'r, 's> {
    view: View<'v, 's>,
    range: KeyRange<'r>,
    memory: u64,
    digests: Option<RandomState>,
    ready: vec::IntoIter<(Box<[u8]>, Slot)>,
    /// Where the next walk goes on; `None` when there is nothing more.
    next: Option<Box<[u8]>>,
}

impl<'v, 'r, 's> Keys<'v, 'r, 's> {
    pub(super) fn new(view: View<'v, 's>, range: KeyRange<'r>) -> Keys<'v, 'r, 's> {
        let memory = view.store.options.memory;
        Keys { view, range, memory, digests: None, ready: Vec::new().into_iter(), next: Some(Box::default()) }
    }

    /// Hashes values too, and takes a part of the memory only.
    pub(super) fn hashed(self, digests: RandomState, share: u64) -> Keys<'v, 'r, 's> {
        Keys { digests: Some(digests), memory: self.memory.checked_div(share).unwrap_or(self.memory), ..self }
    }

    fn walk(&mut self, from: Box<[u8]>) -> Result<()> {
        let hasher = RandomState::new();
        let table = Table {
            shards: (0..SHARDS).map(|_| Mutex::new(HashMap::with_hasher(hasher.clone()))).collect(),
            hasher,
            range: &self.range,
            from,
            memory: self.memory,
            digests: self.digests.as_ref(),
            held: AtomicU64::new(0),
            bounded: AtomicBool::new(false),
            upper: RwLock::default(),
        };
        let span = Span { first: 0, last: self.view.revision };
        self.view.store.parallel(span, || Note(&table))?;
        let (ready, next) = table.finish();
        self.ready = ready.into_iter();
        self.next = next;
        Ok(())
    }
}

impl Iterator for Keys<'_, '_, '_> {
    type Item = Result<KeyState>;

    fn next(&mut self) -> Option<Result<KeyState>> {
        loop {
            if let Some((key, slot)) = self.ready.next() {
                return Some(Ok(slot.state(key)));
            }
            let from = self.next.take()?;
            if let Err(error) = self.walk(from) {
                return Some(Err(error));
            }
        }
    }
}

type Shard = HashMap<Box<[u8]>, Slot, RandomState>;

/// The smallest keys from `from` on that fit into memory. A key that has once been put out stays out, so of each that is left every
/// version was seen.
struct Table<'t> {
    hasher: RandomState,
    shards: Vec<Mutex<Shard>>,
    range: &'t KeyRange<'t>,
    from: Box<[u8]>,
    memory: u64,
    digests: Option<&'t RandomState>,
    held: AtomicU64,
    /// Whether there is an upper bound.
    bounded: AtomicBool,
    upper: RwLock<Option<Box<[u8]>>>,
}

/// What an entry takes, beside its key: itself in a hash table that is two thirds full, and what the allocator adds.
const ENTRY: u64 = 160;

impl Table<'_> {
    fn see(&self, at: BucketKey, kv: &KeyValue<'_>, position: Position) {
        if !self.range.contains(kv.key) || kv.key < &*self.from || (self.bounded.load(Ordering::Relaxed) && self.is_out(kv.key)) {
            return;
        }
        let sub = u32::try_from(at.revision.sub).unwrap_or(u32::MAX).min(u32::MAX >> 1);
        let bytes = to_u64(kv.key.len().saturating_add(kv.value.len()));
        let mut slot = Slot {
            main: at.revision.main,
            sub_and_mark: sub << 1 | u32::from(at.tombstone),
            value_len: u32::try_from(kv.value.len()).unwrap_or(u32::MAX),
            create_revision: kv.create_revision,
            version: kv.version,
            lease: kv.lease,
            bytes,
            position,
            digest: 0,
            revisions: 1,
        };
        let hash = self.hasher.hash_one(kv.key);
        let Some(shard) = self.shards.get(to_usize(hash) % SHARDS) else { return };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = shard.get_mut(kv.key) {
            let (revisions, bytes) = (known.revisions.saturating_add(1), known.bytes.saturating_add(bytes));
            if slot.order() > known.order() {
                slot.digest = self.digest(kv.value);
                *known = slot;
            }
            (known.revisions, known.bytes) = (revisions, bytes);
            return;
        }
        slot.digest = self.digest(kv.value);
        shard.insert(kv.key.into(), slot);
        drop(shard);
        let cost = cost(kv.key);
        if self.held.fetch_add(cost, Ordering::Relaxed).saturating_add(cost) > self.memory {
            self.shrink();
        }
    }

    fn digest(&self, value: &[u8]) -> u64 {
        self.digests.map_or(0, |hasher| hasher.hash_one(value))
    }

    fn is_out(&self, key: &[u8]) -> bool {
        self.upper.read().unwrap_or_else(PoisonError::into_inner).as_deref().is_some_and(|upper| key >= upper)
    }

    /// Puts out the greater half of the keys, and all that would come between them.
    fn shrink(&self) {
        let mut upper = self.upper.write().unwrap_or_else(PoisonError::into_inner);
        if self.held.load(Ordering::Relaxed) <= self.memory {
            return;
        }
        let mut shards: Vec<MutexGuard<'_, Shard>> =
            self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner)).collect();
        // A thread may have looked at the bound just before it sank: the bound never rises again.
        let within = |key: &[u8]| upper.as_deref().is_none_or(|upper| key < upper);
        let mut keys: Vec<&[u8]> = shards.iter().flat_map(|shard| shard.keys().map(|key| &**key)).filter(|key| within(key)).collect();
        // One is always kept, however long: else there would be no end.
        if keys.len() < 2 {
            return;
        }
        let middle = keys.len() / 2;
        let (_, median, _) = keys.select_nth_unstable(middle);
        let bound: Box<[u8]> = (*median).into();
        let mut held = 0u64;
        for shard in &mut shards {
            shard.retain(|key, _| **key < *bound);
            held = shard.keys().fold(held, |held, key| held.saturating_add(cost(key)));
        }
        self.held.store(held, Ordering::Relaxed);
        *upper = Some(bound);
        self.bounded.store(true, Ordering::Relaxed);
    }

    /// The keys in order, and where the next walk goes on.
    fn finish(self) -> (Vec<(Box<[u8]>, Slot)>, Option<Box<[u8]>>) {
        let upper = self.upper.into_inner().unwrap_or_else(PoisonError::into_inner);
        let shards = self.shards.into_iter().flat_map(|shard| shard.into_inner().unwrap_or_else(PoisonError::into_inner));
        // A thread may have looked at the bound just before it sank.
        let mut keys: Vec<_> = shards.filter(|(key, _)| upper.as_ref().is_none_or(|upper| key < upper)).collect();
        keys.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        (keys, upper)
    }
}

fn cost(key: &[u8]) -> u64 {
    ENTRY.saturating_add(to_u64(key.len()))
}

struct Note<'t>(&'t Table<'t>);

impl Each for Note<'_> {
    fn each(&mut self, at: BucketKey, kv: &KeyValue<'_>, position: Position) {
        self.0.see(at, kv, position);
    }
}
