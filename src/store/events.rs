//! Everything that happened, in order of the revisions, as far as it is still stored.

use std::ops::ControlFlow;

use crate::etcd::stored::{Revisions, Stored};
use crate::etcd::{KeyRange, KeyValue, Revision};
use crate::store::opened::opened;
use crate::store::{Store, ValueOpener};
use crate::words::error::Result;

/// One change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event<'e> {
    /// When.
    pub revision: Revision,
    /// What.
    pub kind: EventKind,
    /// Key and value; of a deletion the key only, of a marker nothing.
    pub kv: KeyValue<'e>,
    /// Whether it is at or before the compact revision: it is what the compaction kept, or has not yet removed;
    /// changes around it may be gone.
    pub compacted: bool,
}

/// What a change is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// A key was created or changed.
    Put,
    /// A key was deleted.
    Delete,
    /// No change at all: the mark that a restore with `--bump-revision` leaves at the revision it went up to, or the
    /// last revision of a kine that used it up for none.
    Marker,
}

impl EventKind {
    /// Its name, as `put`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            EventKind::Put => "put",
            EventKind::Delete => "delete",
            EventKind::Marker => "marker",
        }
    }
}

/// What a put was to its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// The key came into being, as far as is stored for the first time.
    Created,
    /// It came into being again, after a deletion that is stored.
    Recreated,
    /// It got another value or lease, or the same again.
    Updated,
    /// It was deleted.
    Deleted,
}

/// A stored version of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version<'e> {
    /// Counts the lives of the key that are stored, from 1.
    pub generation: u64,
    /// What it was to the key.
    pub change: Change,
    /// The change.
    pub event: Event<'e>,
}

struct EventReader<'t, 'r> {
    opener: Option<ValueOpener<'t>>,
    range: Option<&'t KeyRange<'r>>,
    compact: i64,
    take: &'t mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    stopped: bool,
}

impl Revisions for EventReader<'_, '_> {
    fn each(&mut self, stored: &Stored<'_>) {
        let Stored { key: at, kv, .. } = *stored;
        if self.stopped || self.range.is_some_and(|range| !range.contains(kv.key)) {
            return;
        }
        let kind = match (at.tombstone, kv.key.is_empty()) {
            (true, _) => EventKind::Delete,
            (false, true) => EventKind::Marker,
            (false, false) => EventKind::Put,
        };
        let (revision, compacted) = (at.revision, at.revision.main <= self.compact);
        let opener = self.opener.filter(|_| kind == EventKind::Put);
        self.stopped =
            opened(opener, kv, |kv| (self.take)(Event { revision, kind, kv, compacted })).is_break();
    }

    fn enough(&self) -> bool {
        self.stopped
    }
}

impl Store<'_> {
    /// Hands out every stored change from main revision `since` to `until`, both included, until `take` breaks off.
    /// `None` is from the first that is stored, or to the last; a range leaves out what is not in it, and markers.
    ///
    /// ```
    /// # use std::{ops::ControlFlow, path::Path};
    /// # use coldbolt::{io::Source, words::monitor::Quiet, store::{Store, StoreOptions}};
    /// # fn main() -> coldbolt::Result<()> {
    /// let file = Source::open(Path::new("fixtures/etcd-3.7.1/snapshot.db"))?;
    /// let store = Store::open(&file, &StoreOptions::default(), &Quiet)?;
    /// let mut changes = 0;
    /// store.events(Some(91), Some(91), None, &mut |event| {
    ///     assert_eq!(event.revision.main, 91);
    ///     changes += 1;
    ///     ControlFlow::Continue(())
    /// })?;
    /// assert_eq!(changes, 3, "one transaction");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Refused`](crate::Error::Refused) in etcd's words when `since` is before the compact revision,
    /// [`Error::Damaged`](crate::Error::Damaged) when a page cannot be read.
    pub fn events(
        &self,
        since: Option<i64>,
        until: Option<i64>,
        range: Option<&KeyRange<'_>>,
        take: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<()> {
        // A watch may begin at the compact revision itself (`syncWatchers`: minRev < compactRev).
        if let Some(since) = since.filter(|since| *since > 0 && *since <= self.revision()) {
            self.at(Some(since))?;
        }
        let span = since.unwrap_or(0)..=until.unwrap_or(i64::MAX);
        let compact = self.compact_revision().unwrap_or(0);
        let opener = self.opener;
        self.in_order(span, EventReader { opener, range, compact, take, stopped: false })?;
        Ok(())
    }

    /// Hands out every stored version of a key, oldest first.
    ///
    /// ```
    /// # use std::{ops::ControlFlow, path::Path};
    /// # use coldbolt::{io::Source, words::monitor::Quiet, store::{Store, StoreOptions, events::Change}};
    /// # fn main() -> coldbolt::Result<()> {
    /// let file = Source::open(Path::new("fixtures/etcd-3.7.1/snapshot.db"))?;
    /// let store = Store::open(&file, &StoreOptions::default(), &Quiet)?;
    /// let mut life = Vec::new();
    /// store.history(b"/registry/configmaps/ns-0/cm-10", &mut |version| {
    ///     life.push((version.generation, version.change));
    ///     ControlFlow::Continue(())
    /// })?;
    /// assert_eq!(life, [(1, Change::Created), (1, Change::Updated), (1, Change::Deleted), (2, Change::Recreated)]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Store::events`].
    pub fn history(&self, key: &[u8], take: &mut dyn FnMut(Version<'_>) -> ControlFlow<()>) -> Result<()> {
        let (mut generation, mut before) = (1u64, None);
        self.events(None, None, Some(&KeyRange::single(key)), &mut |event| {
            let begins = event.kv.begins();
            let change = match (event.kind, before) {
                (EventKind::Delete, _) => Change::Deleted,
                (_, Some(Change::Deleted)) => Change::Recreated,
                _ if begins => Change::Created,
                _ => Change::Updated,
            };
            if before.is_some() && matches!(change, Change::Created | Change::Recreated) {
                generation = generation.saturating_add(1);
            }
            before = Some(change);
            take(Version { generation, change, event })
        })
    }
}
