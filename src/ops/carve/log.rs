//! What a member's log holds that its database stores no more: entries that were applied long ago, those that others
//! took the place of, and those behind the end of a segment's records.
//!
//! An entry does not tell its revision, and not whether its conditions held: what is found was asked for, and by its
//! index it has its place among the others.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::ops::ControlFlow;

use serde::Serialize;

use super::CarveOptions;
use crate::etcd::request::{
    DeleteRangeRequest, InternalRaftRequest, PutRequest, Request, RequestOp, TxnRequest, decode, request_op,
};
use crate::etcd::{DataDir, KeyRange};
use crate::io::{Source, tree};
use crate::raft::{EntryType, EntryView};
use crate::store::{EventKind, Store};
use crate::wal::beyond::{Beyond, beyond};
use crate::wal::{Body, EntryRef, Log, Scan};
use crate::words::error::{Error, Result};
use crate::words::ids::{RaftIndex, Term};
use crate::words::monitor::Monitor;

/// Why an entry is not needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Superfluous {
    /// The database has what it did.
    Applied,
    /// Another entry took its place: it never came to be committed.
    Replaced,
    /// It lies behind the end of the records, where etcd does not read.
    Beyond,
    /// It is in the copy of a segment that etcd made before it cut its end off.
    Broken,
}

/// When a change was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// Always.
    Always,
    /// If the conditions of its transaction held.
    Held,
    /// If one did not hold.
    Failed,
}

/// A change that an entry asks for.
#[derive(Debug, Clone, Copy)]
pub struct CarvedRequest<'c> {
    /// The file, by its place in [`LogCarve::files`].
    pub file: usize,
    /// Where the frame of the entry begins in it.
    pub offset: u64,
    /// Its place in the raft log.
    pub index: RaftIndex,
    /// Its term.
    pub term: Term,
    /// Why it is not needed.
    pub why: Superfluous,
    /// Whether a checksum proves it; the first entry behind an end has none to go on from.
    pub proven: bool,
    /// The key, or the first of those that are deleted.
    pub key: &'c [u8],
    /// What is put; `None` for a deletion.
    pub value: Option<&'c [u8]>,
    /// The end of the range that is deleted, as a request has it; empty for one key.
    pub range_end: &'c [u8],
    /// The lease, 0 for none.
    pub lease: i64,
    /// On what conditions it was done.
    pub when: Condition,
    /// The revision (main) that the key is live at now.
    pub live: Option<i64>,
}

/// What was gone through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LogCarveReport {
    /// Entries that are not needed.
    pub entries: u64,
    /// Changes that they ask for and the database does not store.
    pub requests: u64,
    /// Of these: deletions.
    pub deletions: u64,
    /// Changes that it stores, and entries that were seen before.
    pub copies: u64,
    /// Files in which reading ended before their end.
    pub unreadable: u64,
}

/// The files of a log, and what is carved of them.
#[derive(Debug)]
pub struct LogCarve {
    segments: Vec<Source>,
    broken: Vec<Source>,
}

/// What is stored, by hashes of this run.
#[derive(Default)]
struct Stored {
    hashed: RandomState,
    puts: HashSet<u64>,
    deletions: HashSet<u64>,
    live: HashMap<u64, i64>,
}

impl LogCarve {
    /// Opens what is in a directory: its segments, and what repairs left of such.
    ///
    /// # Errors
    /// [`Error::Unreadable`].
    pub fn open(dir: &DataDir) -> Result<LogCarve> {
        let is_broken = |path: &&std::path::PathBuf| path.to_string_lossy().ends_with(".wal.broken");
        let broken: Vec<_> = dir.leftovers.iter().filter(is_broken).cloned().collect();
        Ok(LogCarve { segments: tree::open_all(&dir.wals)?, broken: tree::open_all(&broken)? })
    }

    /// The files.
    pub fn files(&self) -> impl Iterator<Item = &Source> {
        self.segments.iter().chain(&self.broken)
    }

    /// Hands out what is stored no more, file by file, in the order of the files.
    ///
    /// Memory is 32 bytes for an entry, 8 for a stored version and 16 for a live key.
    ///
    /// # Errors
    /// As [`Store::events`]; [`Error::Cancelled`].
    pub fn carve(
        &self,
        store: &Store<'_>,
        options: CarveOptions<'_>,
        monitor: &dyn Monitor,
        take: &mut dyn FnMut(&CarvedRequest<'_>) -> ControlFlow<()>,
    ) -> Result<LogCarveReport> {
        let stored = Stored::of(store, monitor)?;
        let applied = store.facts()?.consistent_index.unwrap_or_default();
        let log = Log::of(&self.segments);
        let scan = Scan { raw: true, ..Scan::default() };
        let (kept, summary) = log.entries(scan, &mut |_| {});
        let kept = kept.into_iter().map(|entry| (entry.index, entry)).collect();
        let report = LogCarveReport::default();
        let mut run = Run { store, options, stored, kept, seen: HashSet::new(), report, take, ended: false };
        log.scan(scan, &mut |_| {}, &mut |visit| {
            if let Body::Entry { entry, .. } = visit.body {
                let at = EntryRef::of(entry, &visit);
                let is_kept = run.kept.get(&entry.index) == Some(&at);
                // The others the database lacks: they are not superfluous.
                if !is_kept || entry.index <= applied {
                    let why = if is_kept { Superfluous::Applied } else { Superfluous::Replaced };
                    run.entry(entry, is_kept, Place::of(at, why, visit.record.fault.is_none()));
                }
            }
            run.flow(monitor)
        });
        let ends = summary.segments.iter().enumerate().map(|(file, segment)| (file, segment.used));
        for (file, used) in ends {
            run.beyond(
                log.segments().get(file).map(|segment| segment.source),
                (file, used),
                Superfluous::Beyond,
            );
        }
        for (at, source) in self.broken.iter().enumerate() {
            run.beyond(Some(source), (self.segments.len().saturating_add(at), 0), Superfluous::Broken);
        }
        if monitor.cancelled() { Err(Error::Cancelled) } else { Ok(run.report) }
    }
}

impl Stored {
    fn of(store: &Store<'_>, monitor: &dyn Monitor) -> Result<Stored> {
        let mut stored = Stored::default();
        store.events(None, None, None, &mut |event| {
            match event.kind {
                EventKind::Put => {
                    _ = stored.puts.insert(stored.hashed.hash_one((event.kv.key, event.kv.value)))
                }
                EventKind::Delete => _ = stored.deletions.insert(stored.hashed.hash_one(event.kv.key)),
                EventKind::Marker => {}
            }
            if monitor.cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        for state in store.at(None)?.keys(KeyRange::all()) {
            let state = state?;
            let key: &[u8] = &state.key;
            stored.live.insert(stored.hashed.hash_one(key), state.revision.main);
        }
        Ok(stored)
    }
}

struct Run<'r, 's> {
    store: &'r Store<'s>,
    options: CarveOptions<'r>,
    stored: Stored,
    /// Where the entries of the log are.
    kept: HashMap<RaftIndex, EntryRef>,
    /// Others by index and term, which two never share.
    seen: HashSet<(RaftIndex, Term)>,
    report: LogCarveReport,
    take: &'r mut dyn FnMut(&CarvedRequest<'_>) -> ControlFlow<()>,
    ended: bool,
}

/// What is told of an entry.
#[derive(Clone, Copy)]
struct Place {
    file: usize,
    offset: u64,
    index: RaftIndex,
    term: Term,
    why: Superfluous,
    proven: bool,
}

impl Run<'_, '_> {
    fn flow(&self, monitor: &dyn Monitor) -> ControlFlow<()> {
        if self.ended || monitor.cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn beyond(&mut self, source: Option<&Source>, (file, from): (usize, u64), why: Superfluous) {
        let Some(source) = source.filter(|_| !self.ended) else { return };
        let read = beyond(source, from, &mut |found| {
            let Beyond { offset, entry, chained } = found;
            let at = EntryRef { segment: file, offset, index: entry.index, term: entry.term };
            self.entry(&entry, false, Place::of(at, why, chained));
            if self.ended { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        self.report.unreadable = self.report.unreadable.saturating_add(u64::from(read.is_err()));
    }

    /// One entry that is not needed.
    fn entry(&mut self, entry: &EntryView<'_>, is_kept: bool, place: Place) {
        let elsewhere = self.kept.get(&entry.index).is_some_and(|kept| kept.term == entry.term);
        if !is_kept && (elsewhere || !self.seen.insert((entry.index, entry.term))) {
            self.report.copies = self.report.copies.saturating_add(1);
            return;
        }
        self.report.entries = self.report.entries.saturating_add(1);
        let normal = entry.entry_type() == Some(EntryType::Normal);
        if let Request::V3(request) = decode(entry.bytes())
            && normal
        {
            self.request(&request, place);
        }
    }

    fn request(&mut self, request: &InternalRaftRequest, place: Place) {
        if let Some(put) = &request.put {
            self.put(put, place, Condition::Always);
        } else if let Some(delete) = &request.delete_range {
            self.delete(delete, place, Condition::Always);
        } else if let Some(txn) = &request.txn {
            self.txn(txn, place, Condition::Always);
        }
    }

    fn txn(&mut self, txn: &TxnRequest, place: Place, outer: Condition) {
        let held = txn.success.iter().map(|op| (op, Condition::Held));
        let failed = txn.failure.iter().map(|op| (op, Condition::Failed));
        for (op, when) in held.chain(failed) {
            // Without conditions the first list is done, the other never.
            let when =
                if txn.compare.is_empty() && when == Condition::Held { outer } else { when.max(outer) };
            self.op(op, place, when);
        }
    }

    fn op(&mut self, op: &RequestOp, place: Place, when: Condition) {
        match &op.request {
            Some(request_op::Request::Put(put)) => self.put(put, place, when),
            Some(request_op::Request::DeleteRange(delete)) => self.delete(delete, place, when),
            Some(request_op::Request::Txn(inner)) => self.txn(inner, place, when),
            Some(request_op::Request::Range(_)) | None => {}
        }
    }

    /// One that keeps the value that there was tells none.
    fn put(&mut self, put: &PutRequest, place: Place, when: Condition) {
        if put.ignore_value || self.ended || !(self.options.wanted)(&put.key) {
            return;
        }
        let plain = self.store.opener().and_then(|opener| opener.open(&put.key, &put.value));
        let value = plain.as_deref().unwrap_or(&put.value);
        let stored = &self.stored;
        let copy = stored.puts.contains(&stored.hashed.hash_one((put.key.as_slice(), value)));
        self.take(
            copy,
            CarvedRequest { value: Some(value), lease: put.lease, when, ..place.request(&put.key) },
        );
    }

    fn delete(&mut self, delete: &DeleteRangeRequest, place: Place, when: Condition) {
        if self.ended || !(self.options.wanted)(&delete.key) {
            return;
        }
        let single = KeyRange::request(&delete.key, &delete.range_end) == KeyRange::single(&delete.key);
        let hash = self.stored.hashed.hash_one(delete.key.as_slice());
        let copy = single && self.stored.deletions.contains(&hash);
        let range_end: &[u8] = if single { b"" } else { &delete.range_end };
        self.take(copy, CarvedRequest { range_end, when, ..place.request(&delete.key) });
    }

    fn take(&mut self, copy: bool, request: CarvedRequest<'_>) {
        let live = self.stored.live.get(&self.stored.hashed.hash_one(request.key)).copied();
        let live = live.filter(|_| request.range_end.is_empty());
        if self.options.deleted_only && live.is_some() {
            return;
        }
        if copy {
            self.report.copies = self.report.copies.saturating_add(1);
            return;
        }
        self.report.requests = self.report.requests.saturating_add(1);
        self.report.deletions = self.report.deletions.saturating_add(u64::from(request.value.is_none()));
        self.ended |= (self.take)(&CarvedRequest { live, ..request }).is_break();
    }
}

impl Place {
    fn of(at: EntryRef, why: Superfluous, proven: bool) -> Place {
        let EntryRef { segment: file, offset, index, term } = at;
        Place { file, offset, index, term, why, proven }
    }

    fn request(self, key: &[u8]) -> CarvedRequest<'_> {
        let Place { file, offset, index, term, why, proven } = self;
        CarvedRequest {
            file,
            offset,
            index,
            term,
            why,
            proven,
            key,
            value: None,
            range_end: b"",
            lease: 0,
            when: Condition::Always,
            live: None,
        }
    }
}
