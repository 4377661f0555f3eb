//! Keys in order, with the newest version of each.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, PoisonError, RwLock};

use crate::bolt::Page;
use crate::codec::{to_u64, to_usize};
use crate::etcd::stored::{Revisions, Stored};
use crate::etcd::{BucketKey, KeyRange, KeyValue, Revision};
use crate::io::Window;
use crate::store::runs::{Buffer, Merge, Run, RunWriter, Slot};
use crate::store::{OwnedKeyValue, Position, View};
use crate::words::error::Result;
use crate::words::ids::LeaseId;

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
    /// The lease it is attached to.
    pub lease: LeaseId,
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

impl KeyState {
    /// Bytes of its key and value; 0 when it is deleted.
    #[must_use]
    pub fn live_size(&self) -> u64 {
        if self.deleted { 0 } else { to_u64(self.key.len()).saturating_add(self.value_len) }
    }

    fn new(key: Box<[u8]>, slot: Slot) -> KeyState {
        KeyState {
            key,
            revision: Revision { main: slot.main, sub: (slot.sub_and_mark >> 1).cast_signed() },
            deleted: slot.sub_and_mark & 1 == 1,
            create_revision: slot.create_revision,
            version: slot.version,
            lease: LeaseId::new(slot.lease),
            value_len: slot.value_len,
            revisions: slot.revisions,
            bytes: slot.bytes,
            position: slot.position,
            digest: slot.digest,
        }
    }
}

/// Goes through the live keys of a range in order. The first call walks the file, and so does each that comes to the
/// end of what fits into memory.
pub struct Keys<'v, 'r> {
    view: View<'v>,
    deleted: bool,
    range: KeyRange<'r>,
    memory: u64,
    digests: Option<RandomState>,
    ready: Merge,
    /// Where what is ready ends; `None` when that is everything.
    upper: Option<Box<[u8]>>,
    /// The key at hand; empty before the first walk.
    key: Vec<u8>,
    begun: bool,
}

impl<'v, 'r> Keys<'v, 'r> {
    pub(super) fn new(view: View<'v>, range: KeyRange<'r>) -> Keys<'v, 'r> {
        let memory = view.store.options.memory;
        Keys {
            view,
            deleted: false,
            range,
            memory,
            digests: None,
            ready: Merge::default(),
            upper: None,
            key: Vec::new(),
            begun: false,
        }
    }

    /// Also those that are deleted at the view's revision, as far as they are stored.
    #[must_use]
    pub fn with_deleted(self) -> Keys<'v, 'r> {
        Keys { deleted: true, ..self }
    }

    /// Hashes values too, and takes a part of the memory only.
    pub(super) fn hashed(self, digests: RandomState, share: u64) -> Keys<'v, 'r> {
        Keys { digests: Some(digests), memory: self.memory.checked_div(share).unwrap_or(self.memory), ..self }
    }

    fn walk(&mut self, from: Box<[u8]>) -> Result<()> {
        let table = Table {
            range: &self.range,
            from,
            memory: self.memory,
            digests: self.digests.as_ref(),
            buffers: Mutex::default(),
            runs: Mutex::default(),
            bounded: AtomicBool::new(false),
            upper: RwLock::default(),
        };
        self.view.store.parallel(0..=self.view.revision, || Note { table: &table, buffer: None })?;
        (self.ready, self.upper) = table.finish();
        Ok(())
    }
}

impl Iterator for Keys<'_, '_> {
    type Item = Result<KeyState>;

    fn next(&mut self) -> Option<Result<KeyState>> {
        loop {
            if self.begun
                && let Some(slot) = self.ready.next(&mut self.key)
                // A thread may have looked at the bound just before it sank: what it noted then is not all there is.
                && self.upper.as_deref().is_none_or(|upper| *self.key < *upper)
            {
                let live = slot.sub_and_mark & 1 == 0;
                if live || self.deleted {
                    return Some(Ok(KeyState::new(self.key.as_slice().into(), slot)));
                }
                continue;
            }
            let from =
                if std::mem::replace(&mut self.begun, true) { self.upper.take()? } else { Box::default() };
            self.ready = Merge::default();
            if let Err(error) = self.walk(from) {
                return Some(Err(error));
            }
        }
    }
}

/// Goes through the live keys of a range in order, and reads the value of each.
pub struct Items<'v, 'r> {
    keys: Keys<'v, 'r>,
    window: Window,
}

impl<'v, 'r> Items<'v, 'r> {
    pub(super) fn new(view: View<'v>, range: KeyRange<'r>) -> Items<'v, 'r> {
        Items { keys: Keys::new(view, range), window: Window::scattered() }
    }
}

impl Iterator for Items<'_, '_> {
    type Item = Result<OwnedKeyValue>;

    fn next(&mut self) -> Option<Result<OwnedKeyValue>> {
        let Items { keys, window } = self;
        let state = keys.next()?;
        Some(state.and_then(|at| keys.view.read_with(at.position, at.revision, window, |kv| kv.into())))
    }
}

/// The smallest keys from `from` on that fit into memory. A key that has once been put out stays out, so of each that
/// is left every version was seen.
struct Table<'t> {
    range: &'t KeyRange<'t>,
    from: Box<[u8]>,
    memory: u64,
    digests: Option<&'t RandomState>,
    /// Those that no thread is filling.
    buffers: Mutex<Vec<Buffer>>,
    runs: Mutex<Runs>,
    /// Whether there is an upper bound.
    bounded: AtomicBool,
    upper: RwLock<Option<Box<[u8]>>>,
}

#[derive(Default)]
struct Runs {
    runs: Vec<Run>,
    held: u64,
    /// Keys there were when all runs were last merged.
    distinct: u64,
}

/// The most that a buffer and a chunk take.
const BUFFER: u64 = 2 << 20;
const CHUNK: u64 = 64 << 10;
/// What may be added to the memory for each key, up to as much again.
const EACH: u64 = 24;

impl Table<'_> {
    fn see(&self, buffer: &mut Buffer, at: BucketKey, kv: &KeyValue<'_>, position: Position) {
        if !self.range.contains(kv.key)
            || kv.key < &*self.from
            || (self.bounded.load(Relaxed) && self.is_out(kv.key))
        {
            return;
        }
        let slot = Slot {
            main: at.revision.main,
            // Never negative, so the sign's bit is free.
            sub_and_mark: at.revision.sub.cast_unsigned() << 1 | u64::from(at.tombstone),
            value_len: to_u64(kv.value.len()),
            create_revision: kv.create_revision,
            version: kv.version,
            lease: kv.lease,
            bytes: to_u64(kv.key.len().saturating_add(kv.value.len())),
            position,
            digest: self.digests.map_or(0, |hasher| hasher.hash_one(kv.value)),
            revisions: 1,
        };
        buffer.push(kv.key, slot);
        if buffer.held() > (self.memory / 16).min(BUFFER) {
            self.sort(buffer);
        }
    }

    fn is_out(&self, key: &[u8]) -> bool {
        self.upper.read().unwrap_or_else(PoisonError::into_inner).as_deref().is_some_and(|upper| key >= upper)
    }

    fn chunk(&self) -> usize {
        to_usize((self.memory / 256).min(CHUNK))
    }

    /// Makes a run of a buffer; when the runs take too much, one of all of them, without its end if that still takes
    /// too much.
    fn sort(&self, buffer: &mut Buffer) {
        let run = buffer.sort(self.chunk());
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.held = runs.held.saturating_add(run.held());
        runs.runs.push(run);
        let limit =
            |distinct: u64| self.memory.saturating_add(distinct.saturating_mul(EACH).min(self.memory));
        if runs.held <= limit(runs.distinct) {
            return;
        }
        let mut upper = self.upper.write().unwrap_or_else(PoisonError::into_inner);
        let (mut merge, mut key) = (Merge::new(std::mem::take(&mut runs.runs)), Vec::new());
        let mut writer = RunWriter::new(self.chunk());
        while let Some(slot) = merge.next(&mut key) {
            // The bound never rises again.
            if upper.as_deref().is_some_and(|upper| *key >= *upper) {
                break;
            }
            writer.push(&key, &slot);
        }
        let mut run = writer.finish();
        runs.distinct = run.count;
        let limit = limit(run.count);
        // Else it would be full again at once.
        if run.held() > limit.saturating_sub(limit / 4)
            && let Some(bound) = run.truncate(limit / 2)
        {
            *upper = Some(bound);
            self.bounded.store(true, Relaxed);
        }
        runs.held = run.held();
        runs.runs.push(run);
    }

    /// What is left, and where it ends.
    fn finish(self) -> (Merge, Option<Box<[u8]>>) {
        let chunk = self.chunk();
        let mut runs = self.runs.into_inner().unwrap_or_else(PoisonError::into_inner).runs;
        runs.extend(
            self.buffers
                .into_inner()
                .unwrap_or_else(PoisonError::into_inner)
                .iter_mut()
                .map(|buffer| buffer.sort(chunk)),
        );
        (Merge::new(runs), self.upper.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One part of a walk. It has a buffer only while it looks at a page, so that there are as many buffers as threads.
struct Note<'n, 't> {
    table: &'n Table<'t>,
    buffer: Option<Buffer>,
}

impl Revisions for Note<'_, '_> {
    fn each(&mut self, stored: &Stored<'_>) {
        let table = self.table;
        let buffer = self.buffer.get_or_insert_with(|| {
            let free = table.buffers.lock().unwrap_or_else(PoisonError::into_inner).pop();
            free.unwrap_or_default()
        });
        let position = Position::new(stored.page.id, stored.element.index);
        table.see(buffer, stored.key, &stored.kv, position);
    }

    fn page_ends(&mut self, _: &Page<'_>) {
        self.table.buffers.lock().unwrap_or_else(PoisonError::into_inner).extend(self.buffer.take());
    }
}
