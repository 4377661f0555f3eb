//! What databases hold: every stored change, and what is found in pages that no tree holds.

use std::hash::{BuildHasher, RandomState};
use std::ops::ControlFlow;

use super::row::{Certainty, Interned, Row, SourceKind, Sources, What};
use crate::etcd::{BucketKey, KeyValue};
use crate::kube::times::{last_writers, written};
use crate::ops::carve::{CarveOptions, carve};
use crate::store::{EventKind, Store};
use crate::words::error::{Error, Result};
use crate::words::monitor::Monitor;

/// Everything so far.
#[derive(Default)]
pub(super) struct Gathered {
    pub rows: Vec<Row>,
    pub keys: Interned,
    pub texts: Interned,
    /// Of each database after which revision it holds all, and up to which.
    whole: Vec<(i64, i64)>,
    hashed: RandomState,
}

impl Gathered {
    /// The hash of what is put under a key.
    pub fn hash(&self, value: &[u8]) -> u64 {
        self.hashed.hash_one(value)
    }

    /// Whether a database holds all that was done after one revision and up to another.
    pub fn is_whole(&self, after: i64, until: i64) -> bool {
        self.whole.iter().any(|(from, to)| *from <= after && until <= *to)
    }

    /// A put or a deletion as a row; `whole` says whether the value is there to its end.
    pub fn change(&mut self, key: BucketKey, kv: &KeyValue<'_>, whole: bool, from: Sources) -> Row {
        let what = match (key.tombstone, kv.begins()) {
            (true, _) => What::Deleted,
            (false, true) => What::Created,
            (false, false) => What::Changed,
        };
        let mut row = Row::new(what, key.revision.main, from);
        row.sub = key.revision.sub;
        row.key = self.keys.number(kv.key);
        row.hash = (!key.tombstone && whole).then(|| self.hash(kv.value));
        if !key.tombstone {
            (row.version, row.lease) = (kv.version, kv.lease);
        }
        if row.hash.is_some() {
            self.tell(&mut row, kv.value, kv.begins());
        }
        row
    }

    /// What a value tells of when it was written, and by whom.
    pub fn tell(&mut self, row: &mut Row, value: &[u8], new: bool) {
        row.own = written(value, new);
        row.fresh = new && row.own.is_some();
        if let Some((_, writers)) = last_writers(value) {
            row.who = self.texts.number(writers.join(", ").as_bytes());
        }
    }

    /// Every change that is stored. The last one of each key is what the database holds now. What is `until` a revision
    /// lies in the database itself, and past that in the log that was applied.
    pub fn stored(
        &mut self,
        store: &Store<'_>,
        until: i64,
        input: usize,
        monitor: &dyn Monitor,
    ) -> Result<()> {
        let [now, then, log] =
            [SourceKind::Database, SourceKind::History, SourceKind::Wal].map(|kind| Sources::of(input, kind));
        let first = self.rows.len();
        store.events(None, None, None, &mut |event| {
            let key = BucketKey { revision: event.revision, tombstone: event.kind == EventKind::Delete };
            let from = if event.revision.main > until { log } else { then };
            let row = match event.kind {
                EventKind::Marker => Row::new(What::Marker, event.revision.main, from),
                EventKind::Put | EventKind::Delete => self.change(key, &event.kv, true, from),
            };
            self.rows.push(row);
            if monitor.cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if monitor.cancelled() {
            return Err(Error::Cancelled);
        }
        if !store.allows_damage() {
            self.whole.push((store.compact_revision().unwrap_or(0), store.revision()));
        }
        let mut seen = vec![false; self.keys.len()];
        for row in self.rows.iter_mut().skip(first).rev().filter(|row| row.what.is_change()) {
            let seen = usize::try_from(row.key).ok().and_then(|key| seen.get_mut(key));
            if let Some(false) = seen.map(|seen| std::mem::replace(seen, true))
                && row.what.is_put()
                && row.main <= until
            {
                row.sources = now;
            }
        }
        Ok(())
    }

    /// What pages hold that no tree does; the pages that could not be read.
    pub fn carved(&mut self, store: &Store<'_>, input: usize, monitor: &dyn Monitor) -> Result<u64> {
        let from = Sources::of(input, SourceKind::Carved);
        let options = CarveOptions { wanted: &|_| true, deleted_only: false };
        let report = carve(store, options, monitor, &mut |version| {
            let mut row = self.change(version.key, &version.kv, version.whole, from);
            (row.certainty, row.contradicts) = (Certainty::Carved, version.contradicts);
            self.rows.push(row);
            ControlFlow::Continue(())
        })?;
        Ok(report.counts.unreadable)
    }

    /// Puts what happened in order, and what several hold together.
    pub fn join(&mut self) {
        let known =
            |row: &Row| (row.place(), row.key, row.what == What::Deleted, row.hash.is_none(), row.hash);
        self.rows.sort_by_key(known);
        self.rows.dedup_by(|next, kept| {
            let same = next.is_exact()
                && kept.is_exact()
                && (next.main, next.sub, next.key) == (kept.main, kept.sub, kept.key)
                && (next.what == What::Deleted) == (kept.what == What::Deleted)
                && (next.hash.is_none() || next.hash == kept.hash);
            if same {
                kept.sources.add(next.sources);
                kept.certainty = kept.certainty.min(next.certainty);
                kept.contradicts &= next.contradicts;
            }
            same
        });
        // Hashes are of this run alone.
        self.rows.sort_by_key(|row| (row.place(), row.key, row.sources));
    }

    /// Marks what cannot have happened in one cluster: different changes at one revision. `one_cluster` says of which
    /// inputs it is known all the same that they are of one.
    pub fn contradictions(
        &mut self,
        one_cluster: &dyn Fn(Sources, Sources) -> bool,
    ) -> Option<Contradiction> {
        let mut found: Option<Contradiction> = None;
        let mut count = 0u64;
        for at in 1..self.rows.len() {
            let Some([one, other]) = self.rows.get_mut(at.saturating_sub(1)..=at) else { continue };
            let differ = one.is_exact() && other.is_exact() && (one.main, one.sub) == (other.main, other.sub);
            if !differ || one.what == What::Marker || other.what == What::Marker {
                continue;
            }
            (one.contradicts, other.contradicts) = (true, true);
            // What was carved may be of another history, as before a restore.
            if one.certainty == Certainty::Certain && other.certainty == Certainty::Certain {
                count = count.saturating_add(1);
                if found.as_ref().is_none_or(|found| !found.apart) {
                    let apart = !one_cluster(one.sources, other.sources);
                    if apart || found.is_none() {
                        found = Some(Contradiction { one: one.clone(), other: other.clone(), apart, count });
                    }
                }
            }
        }
        found.map(|found| Contradiction { count, ..found })
    }
}

/// Different changes at one revision.
pub(super) struct Contradiction {
    pub one: Row,
    pub other: Row,
    /// Whether nothing says that their inputs are of one cluster.
    pub apart: bool,
    /// At how many revisions there are such.
    pub count: u64,
}
