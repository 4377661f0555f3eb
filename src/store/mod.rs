//! The keyspace of a snapshot file or database, at any revision that is not compacted: what a client of etcd would
//! have been answered.
//!
//! | To | Use |
//! |---|---|
//! | get a key, or a range as etcd's `Range` does | [`Store::at`], then [`View::get`], [`View::range`] |
//! | go through the live keys in order, without or with their values | [`View::keys`], [`View::items`] |
//! | go through everything that happened | [`Store::events`], [`Store::history`] |
//! | compare two keyspaces, or members that should agree | [`diff()`](diff::diff), [`compare()`](compare::compare) |
//! | read a stopped member through its log | [`fold_in_memory`](crate::ops::fold::fold_in_memory), then a [`Store`] over its source |
//!
//! Nothing is loaded: each answer reads the pages it needs. What comes in key order is found by walks over the `key`
//! bucket, which is in order of revision. A walk keeps the smallest keys that fit into [`StoreOptions::memory`], so
//! that the next one goes on behind them: a file of any size is answered in flat memory, and one with a million keys
//! in one walk. Values are read again when they are wanted.
//!
//! Damage is never passed over in silence: every broken rule goes to the monitor, and ends the answer with
//! [`Error::Damaged`] unless [`StoreOptions::allow_damage`] says that what can be read is wanted all the same.
//!
//! ```
//! use coldbolt::etcd::KeyRange;
//! use coldbolt::words::monitor::Quiet;
//! use coldbolt::store::{Store, StoreOptions};
//!
//! # fn main() -> coldbolt::Result<()> {
//! let store = Store::open("fixtures/etcd-3.7.1/snapshot.db", &StoreOptions::default(), &Quiet)?;
//! assert_eq!((store.compact_revision(), store.revision()), (Some(61), 106));
//!
//! // As of now.
//! let now = store.at(None)?;
//! let kv = now.get(b"/txn/a")?;
//! assert_eq!(kv.map(|kv| (kv.value, kv.version)), Some((b"1".to_vec(), 1)));
//!
//! // As of then.
//! let then = store.at(Some(90))?;
//! assert!(then.get(b"/txn/a")?.is_none());
//! assert!(store.at(Some(60)).is_err(), "compacted");
//!
//! // In order of the keys, with their values.
//! let items = now.items(KeyRange::prefix(b"/txn/")).collect::<coldbolt::Result<Vec<_>>>()?;
//! assert_eq!((items[0].key.as_slice(), items[0].value.as_slice()), (&b"/txn/a"[..], &b"1"[..]));
//!
//! // Without them.
//! for state in now.keys(KeyRange::prefix(b"/txn/")) {
//!     let state = state?;
//!     println!("{} {}", state.key.escape_ascii(), state.revision);
//! }
//! # Ok(())
//! # }
//! ```

pub mod carve;
pub mod compare;
mod crc;
pub mod diff;
pub mod digest;
pub mod events;
pub mod export;
pub mod facts;
pub mod hashkv;
#[cfg(feature = "fs")]
pub mod keep;
pub mod keys;
mod log;
mod opened;
mod pass;
pub mod range;
#[cfg(feature = "fs")]
pub mod rewrite;
mod runs;
#[cfg(feature = "packed")]
pub mod salvage;
pub mod scan;
pub mod tree;
pub mod value_diff;

use std::sync::{Mutex, PoisonError};

use crate::bolt::db::Metas;
use crate::bolt::{Bucket, Db, Page, Pgid, Root};
use crate::codec::to_usize;
use crate::etcd::{BucketKey, Facts, Input, KeyRange, KeyValue, Revision, datadir, stored};
use crate::io::{Source, Window};
use crate::words::collector::Collector;
use crate::words::error::{At, Corrupt, Error, Result};
use crate::words::finding::{Code, Finding};
use crate::words::ids::LeaseId;
use crate::words::monitor::Monitor;
use crate::words::refusal::{self, Refusal};

pub use events::{Event, EventKind};
pub use hashkv::{HashKvOptions, HashKvReport, hashkv};
pub use keys::{Items, KeyState, Keys};
pub use opened::ValueOpener;
pub use range::{Order, RangeRequest, RangeTotals, SortBy};

/// Findings told of each kind.
const TOLD: u64 = 20;

/// How to read a keyspace.
#[derive(Debug, Clone, Copy)]
pub struct StoreOptions {
    /// Go on past damage, with what can be read. Each finding is still told.
    pub allow_damage: bool,
    /// Bytes that an answer in key order may hold of keys and what is known of them. Less means more walks over the
    /// file.
    pub memory: u64,
}

impl Default for StoreOptions {
    fn default() -> StoreOptions {
        StoreOptions { allow_damage: false, memory: 56 << 20 }
    }
}

/// The keyspace of one file, which it keeps open. It lives as long as its monitor; with `&Quiet` that is for ever.
pub struct Store<'m> {
    source: Source,
    metas: Metas,
    options: StoreOptions,
    monitor: &'m dyn Monitor,
    opener: Option<ValueOpener<'m>>,
    meta: Facts,
    /// Where the keys are, when they are in the bucket's own entry.
    inline: Option<Root>,
    last: i64,
    told: Mutex<Collector<Corrupt>>,
}

/// Where a stored version lies: a page and the number of an element in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(u64);

impl Position {
    fn new(page: Pgid, element: usize) -> Position {
        Position(page.0 << 16 | u64::from(u16::try_from(element).unwrap_or(u16::MAX)))
    }

    fn page(self) -> Pgid {
        Pgid(self.0 >> 16)
    }

    fn element(self) -> usize {
        to_usize(self.0 & 0xffff)
    }
}

/// A key and its value, as etcd's `mvccpb.KeyValue`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OwnedKeyValue {
    /// The key.
    pub key: Vec<u8>,
    /// The revision (main) in which this generation of the key was created.
    pub create_revision: i64,
    /// The revision (main) of this version.
    pub mod_revision: i64,
    /// 1 for a new generation, one more with each put.
    pub version: i64,
    /// The value.
    pub value: Vec<u8>,
    /// The lease it is attached to.
    pub lease: LeaseId,
}

impl From<KeyValue<'_>> for OwnedKeyValue {
    fn from(kv: KeyValue<'_>) -> OwnedKeyValue {
        let KeyValue { key, create_revision, mod_revision, version, value, lease } = kv;
        let lease = LeaseId::new(lease);
        OwnedKeyValue {
            key: key.to_vec(),
            create_revision,
            mod_revision,
            version,
            value: value.to_vec(),
            lease,
        }
    }
}

impl<'m> Store<'m> {
    /// Opens a snapshot file or database, by its path or as it is open already. Reads the meta bucket and the last
    /// page.
    ///
    /// ```
    /// # use coldbolt::{store::{Store, StoreOptions}, words::monitor::Quiet};
    /// fn keyspace() -> coldbolt::Result<Store<'static>> {
    ///     Store::open("fixtures/etcd-3.7.1/snapshot.db", &StoreOptions::default(), &Quiet)
    /// }
    /// # assert_eq!(keyspace()?.revision(), 106);
    /// # Ok::<(), coldbolt::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Unreadable`] when it is another kind of file, [`Error::Damaged`] when it has no `key` bucket, or a
    /// page on the way cannot be read.
    pub fn open(
        input: impl Into<Input>,
        options: &StoreOptions,
        monitor: &'m dyn Monitor,
    ) -> Result<Store<'m>> {
        Store::of(input.into().open()?, *options, monitor)
    }

    fn of(source: Source, options: StoreOptions, monitor: &'m dyn Monitor) -> Result<Store<'m>> {
        let metas = datadir::database(&source)?.metas();
        let mut store = Store {
            source,
            metas,
            options,
            monitor,
            opener: None,
            meta: Facts::default(),
            inline: None,
            last: 0,
            told: Mutex::new(Collector::new(TOLD)),
        };
        // These leave the keyspace whole: the other meta page is good, or what is missing is behind the pages that
        // are needed.
        let faults: Vec<_> = store.db().faults().collect();
        store.tell(&faults);
        store.meta = store.small_buckets(&[b"meta"])?;
        store.inline = store
            .keys_bucket(&store.db())?
            .map(|keys| keys.root)
            .filter(|root| matches!(root, Root::Inline { .. }));
        store.last = store.last_revision()?;
        Ok(store)
    }

    /// Has every answer hold the values that `opener` makes of those that are stored. What is compared by hashes, and
    /// what is told of values that are not handed out, as their lengths, stays that of the stored ones.
    #[must_use]
    pub fn opened_by(self, opener: ValueOpener<'m>) -> Store<'m> {
        Store { opener: Some(opener), ..self }
    }

    /// What opens values, if something does.
    pub(crate) fn opener(&self) -> Option<ValueOpener<'m>> {
        self.opener
    }

    /// The last revision there is: what a server that starts on this file would say. 1 for an empty store.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.meta.current_revision(self.last)
    }

    /// The revision up to which history is gone, or was going when the file was made; `None` before the first
    /// compaction.
    #[must_use]
    pub fn compact_revision(&self) -> Option<i64> {
        self.meta.compact_revision()
    }

    /// What the `meta` bucket says.
    #[must_use]
    pub fn meta(&self) -> &Facts {
        &self.meta
    }

    /// The file.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Whether answers go on past damage.
    #[must_use]
    pub fn allows_damage(&self) -> bool {
        self.options.allow_damage
    }

    fn db(&self) -> Db<'_> {
        self.metas.db(&self.source)
    }

    /// The keyspace as it was at that revision; `None` or 0 is the last.
    ///
    /// # Errors
    /// [`Error::Refused`] in etcd's words for a revision that is compacted or has not been, with those that exist.
    pub fn at(&self, revision: Option<i64>) -> Result<View<'_>> {
        let current = self.revision();
        let first = self.compact_revision().unwrap_or(1);
        let revision = revision.filter(|r| *r > 0).unwrap_or(current);
        let there = refusal::RevisionRange { file: Some(self.source().name()), first, last: current };
        if revision > current {
            return Err(Refusal::Future { asked: revision, there }.into());
        }
        // At the compacted revision itself everything that was live is kept (`rangeKeys`: rev < compactMainRev).
        if revision < first {
            return Err(Refusal::Compacted { asked: revision, there }.into());
        }
        Ok(View { store: self, revision })
    }

    fn keys_bucket<'d, 's>(&self, db: &'d Db<'s>) -> Result<Option<Bucket<'d, 's>>> {
        db.root().bucket(stored::BUCKET).map_err(|c| Error::damaged(self.source().path(), c))
    }

    /// Reads a stored version again.
    fn read<'w>(&'w self, position: Position, window: &'w mut Window) -> Result<(BucketKey, KeyValue<'w>)> {
        let page = match &self.inline {
            Some(Root::Inline { offset, bytes }) => Page::parse_inline(position.page(), *offset, bytes),
            _ => self.db().page(position.page(), window),
        };
        let damaged = |c| Error::damaged(self.source().path(), c);
        let page = page.map_err(damaged)?;
        let element = page.leaf(position.element()).map_err(damaged)?;
        stored::read(element.key, element.value).map_err(|_| self.changed(page.element_at(element.index)))
    }

    fn check_cancelled(&self) -> Result<()> {
        if self.monitor.cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }

    fn changed(&self, at: At) -> Error {
        Error::damaged(
            self.source().path(),
            Corrupt::new(Code::InUse, at, "the file changed while it was read"),
        )
    }

    /// Tells what is wrong, each thing once however often it is met; whether something is.
    fn tell<'c>(&self, faults: impl IntoIterator<Item = &'c Corrupt>) -> Option<Corrupt> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let mut first = None;
        for corrupt in faults {
            first.get_or_insert_with(|| corrupt.clone());
            if told.kept.contains(corrupt) {
                continue;
            }
            if let Some(kept) = told.push(corrupt.clone()) {
                self.monitor.finding(Finding::from_corrupt(&self.source().name(), kept.clone()));
            }
        }
        first
    }

    /// Tells what is wrong, and fails with it unless damage is allowed.
    fn tell_or_fail(&self, faults: &[Corrupt]) -> Result<()> {
        match self.tell(faults) {
            Some(first) if !self.options.allow_damage => {
                Err(Error::damaged(self.source().path(), Box::new(first)))
            }
            _ => Ok(()),
        }
    }
}

/// The keyspace at one revision.
#[derive(Clone, Copy)]
pub struct View<'v> {
    store: &'v Store<'v>,
    revision: i64,
}

impl<'v> View<'v> {
    /// The revision.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// The store it is a view of.
    #[must_use]
    pub fn store(&self) -> &'v Store<'v> {
        self.store
    }

    /// The value of a key, if it was live. Reads from the last page towards the first until the key is met.
    ///
    /// # Errors
    /// [`Error::Damaged`] when a page that may hold the key cannot be read.
    pub fn get(&self, key: &[u8]) -> Result<Option<OwnedKeyValue>> {
        Ok(self.newest(key)?.filter(|(at, _)| !at.tombstone).map(|(_, kv)| kv))
    }

    /// The newest version of a key, a deletion included.
    ///
    /// # Errors
    /// As [`View::get`].
    pub fn newest(&self, key: &[u8]) -> Result<Option<(BucketKey, OwnedKeyValue)>> {
        self.store.find(key, self.revision)
    }

    /// The live keys of the range in order, without their values; [`Keys::with_deleted`] gives those that were deleted
    /// too.
    pub fn keys<'r>(&self, range: KeyRange<'r>) -> Keys<'v, 'r> {
        Keys::new(*self, range)
    }

    /// The live keys of the range in order, with their values.
    pub fn items<'r>(&self, range: KeyRange<'r>) -> Items<'v, 'r> {
        Items::new(*self, range)
    }

    /// The version that a state tells of.
    ///
    /// # Errors
    /// [`Error::Damaged`] when the file has changed since.
    pub fn read(&self, state: &KeyState) -> Result<OwnedKeyValue> {
        let mut window = Window::scattered();
        self.read_with(state.position, state.revision, &mut window, |kv| kv.into())
    }

    /// The value that a state tells of, borrowed as long as `with` runs. A window that is used again saves reading.
    ///
    /// # Errors
    /// As [`View::read`].
    pub fn value<R>(
        &self,
        state: &KeyState,
        window: &mut Window,
        with: impl FnOnce(&[u8]) -> R,
    ) -> Result<R> {
        self.read_with(state.position, state.revision, window, |kv| with(kv.value))
    }

    fn read_with<R>(
        &self,
        position: Position,
        revision: Revision,
        window: &mut Window,
        with: impl FnOnce(KeyValue<'_>) -> R,
    ) -> Result<R> {
        let (key, kv) = self.store.read(position, window)?;
        if key.revision != revision {
            return Err(self
                .store
                .changed(At { page: Some(position.page().0), ..At::default() }.element(position.element())));
        }
        Ok(opened::opened(self.store.opener, kv, with))
    }
}
