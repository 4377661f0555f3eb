//! `hashkv`: the hash by which members compare their keyspaces.
//!
//! CRC-32C over the word `key` and every stored revision up to the one asked for, leaving out what a compaction at
//! the compact revision has removed or will remove. Source: `server/storage/mvcc/hash.go unsafeHashByRev @ v3.6`.

pub(crate) mod compacted;
pub(crate) mod rule;

use self::rule::{Counts, counts};
use crate::bolt::walk::{Shared, Visited, walk_or_rerun_alone, walk_parallel};
use crate::bolt::{Bucket, Page};
use crate::etcd::newest::{Gatherer, Gathering, Latest, Newest};
use crate::etcd::small::{self, Small};
use crate::etcd::stored::{self, OnFault, Reader, Revisions, Stored};
use crate::etcd::{Facts, Input, datadir, schema};
use crate::io::gate::with_read_ahead;
use crate::io::{Gate, Source};
use crate::store::crc::{Crc, Run};
use crate::words::error::{Error, Result};
use crate::words::finding::{Code, Finding};
use crate::words::monitor::Monitor;
use crate::words::refusal::{self, Refusal};

/// What to hash.
#[derive(Debug, Clone, Copy, Default)]
pub struct HashKvOptions {
    /// Up to this revision; `None` or 0 is the last.
    pub revision: Option<i64>,
    /// As if a compaction at this revision were finished; `None` is the file's own compaction, finished or not.
    pub compact_revision: Option<i64>,
}

/// The hash and the two revisions it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct HashKvReport {
    /// CRC-32C.
    pub hash: u32,
    /// The last revision hashed.
    pub revision: i64,
    /// The compaction it takes into account; -1 is none.
    pub compact_revision: i64,
    /// Whether it is etcd's: of another program's database the hash means nothing.
    pub is_etcd: bool,
}

/// Hashes the keyspace of a snapshot file or database, without writing to it.
///
/// Broken rules that still leave the keyspace whole (one bad meta page, a file cut behind it) go to the monitor as
/// findings.
///
/// # Errors
/// [`Error::Refused`] in etcd's words for a compacted or future revision, [`Error::Damaged`] when a page or record
/// cannot be read, [`Error::Unreadable`] when it is another kind of file, or changed meanwhile.
pub fn hashkv(
    input: impl Into<Input>,
    options: &HashKvOptions,
    monitor: &dyn Monitor,
) -> Result<HashKvReport> {
    let source = input.into().open()?;
    source.unchanged_or_error(monitor, hash(&source, *options, monitor))
}

fn hash(source: &Source, options: HashKvOptions, monitor: &dyn Monitor) -> Result<HashKvReport> {
    let damaged = |c| Error::damaged(source.path(), c);
    let db = datadir::database(source)?;
    for corrupt in db.faults() {
        monitor.finding(Finding::from_corrupt(&source.name(), corrupt));
    }
    let small = small::read(&db, &|name| name == b"meta", 1, monitor);
    if let Some(corrupt) = small.all_faults().next() {
        return Err(damaged(Box::new(corrupt.clone())));
    }
    let Small { top, facts, .. } = small;
    let is_etcd = schema::is_etcd(top.found.iter().map(|bucket| bucket.name.as_slice()));
    let keys = top.found.into_iter().find(|bucket| bucket.name == stored::BUCKET);
    let last = keys.as_ref().map_or(Ok(0), |keys| last(keys, monitor))?;
    let (revision, compact) = wanted(options, &facts, last)?;
    let Some(keys) = keys else {
        return Ok(HashKvReport { hash: rule::empty().crc, revision, compact_revision: compact, is_etcd });
    };
    let pass = |seen_to| {
        let gathering = Gathering::default();
        let parts = with_read_ahead(source, |gate| {
            pass(&keys, gate, monitor, &|| Rows::new(revision, compact, Gatherer::new(&gathering), seen_to))
        })?;
        let parts: Vec<_> = parts.into_iter().map(Rows::done).collect();
        Ok::<_, Error>((parts, gathering.done()))
    };
    let (mut parts, mut newest) = pass(revision)?;
    // etcd skips nothing when its keep set is empty: then what the compaction has left counts, and what it has not yet
    // removed.
    let mut keep_is_empty = newest.live() == 0;
    if keep_is_empty && compact >= 0 && options.compact_revision.is_some() {
        (parts, newest) = pass(compact)?;
        keep_is_empty = false;
    }
    let kept = (!keep_is_empty).then(|| kept(&newest, compact));
    Ok(HashKvReport { hash: joined(&parts, kept), revision, compact_revision: compact, is_etcd })
}

/// The main part of the last stored revision; 0 when there is none.
fn last(keys: &Bucket<'_, '_>, monitor: &dyn Monitor) -> Result<i64> {
    stored::last(keys).map(|key| key.map_or(0, |key| key.revision.main)).or_else(|corrupt| {
        // A walk says more: what leads to the page.
        pass(keys, None, monitor, &|| Nothing)?;
        Err(Error::damaged(keys.db().source().path(), corrupt))
    })
}

/// The revision to hash up to and the compaction to take into account, in a store whose last stored revision is `last`.
fn wanted(options: HashKvOptions, facts: &Facts, last: i64) -> Result<(i64, i64)> {
    // `store.restore`: a compaction that was asked for counts, finished or not.
    let in_file = facts.compact_revision().unwrap_or(-1);
    let current = facts.current_revision(last);
    let revision = options.revision.filter(|r| *r != 0).unwrap_or(current);
    let compact = options.compact_revision.unwrap_or(in_file);
    let there = refusal::RevisionRange { file: None, first: compact.max(1), last: current };
    if revision > current {
        return Err(Refusal::Future { asked: revision, there }.into());
    }
    if revision < 0 || (revision > 0 && revision < compact) {
        return Err(Refusal::Compacted { asked: revision, there }.into());
    }
    if compact < in_file {
        return Err(Refusal::CompactedFurther { asked: compact, compacted: in_file }.into());
    }
    Ok((revision, compact))
}

/// What a walk is for that is to find damage alone.
struct Nothing;

impl Revisions for Nothing {
    fn each(&mut self, _: &Stored<'_>) {}
}

/// A row up to the compaction, which counts if its key has no newer one.
#[derive(Debug, Clone, Copy)]
struct Row {
    revision: Latest,
    crc: u32,
    len: u32,
}

/// What one thread hashes. Which rows up to the compaction count is known when all have gone by, so that of each of
/// these a checksum is kept, in 20 bytes; all others are one.
struct Rows<'g> {
    revision: i64,
    compact: i64,
    gatherer: Gatherer<'g>,
    /// Up to here a row makes those of its key before it old.
    seen_to: i64,
    up_to_compaction: Vec<Row>,
    after: Crc,
    run: Run,
}

impl<'g> Rows<'g> {
    fn new(revision: i64, compact: i64, gatherer: Gatherer<'g>, seen_to: i64) -> Rows<'g> {
        let (up_to_compaction, after, run) = (Vec::new(), Crc::default(), Run::default());
        Rows { revision, compact, gatherer, seen_to, up_to_compaction, after, run }
    }

    /// What it has hashed; what it has seen is gathered.
    fn done(self) -> (Vec<Row>, Crc) {
        (self.up_to_compaction, self.after)
    }
}

impl Revisions for Rows<'_> {
    fn each(&mut self, stored: &Stored<'_>) {
        let Stored { key, kv, element, page } = stored;
        // Before the first compaction nothing is left out, whatever is newest.
        if self.compact >= 0 && key.revision.main <= self.seen_to {
            self.gatherer.see(*key, kv);
        }
        if key.revision.main > self.revision {
            return;
        }
        match counts(*key, self.compact) {
            Counts::Yes => self.run.add(page.bytes, element, true, &mut self.after),
            Counts::No => {}
            Counts::IfKept => {
                let mut crc = Crc::of(element.key);
                crc.add(element.value);
                // bbolt's elements are shorter than 2^31 bytes.
                let len = u32::try_from(crc.len).unwrap_or_default();
                self.up_to_compaction.push(Row { revision: Latest::new(*key), crc: crc.crc, len });
            }
        }
    }

    fn page_ends(&mut self, page: &Page<'_>) {
        self.run.end(page.bytes, &mut self.after);
    }
}

/// The revisions up to the compaction that it keeps, in order: puts that are the newest of their keys.
fn kept(newest: &Newest, compact: i64) -> Vec<Latest> {
    let kept = |latest: &Latest| !latest.tombstone() && latest.revision().main <= compact;
    let mut all: Vec<Latest> = newest.latest().filter(kept).collect();
    all.sort_unstable();
    all
}

/// The hash of all rows after the compaction, and of those up to it that are `kept`; all of them without that.
fn joined(parts: &[(Vec<Row>, Crc)], kept: Option<Vec<Latest>>) -> u32 {
    let mut hash = rule::empty();
    let mut due = kept.iter().flatten().peekable();
    for row in parts.iter().flat_map(|(rows, _)| rows) {
        // Both ascend, as a key out of order is damage.
        while due.next_if(|due| **due < row.revision).is_some() {}
        if kept.is_none() || due.peek().is_some_and(|due| **due == row.revision) {
            hash.join(Crc { crc: row.crc, len: u64::from(row.len) });
        }
    }
    parts.iter().for_each(|(_, after)| hash.join(*after));
    hash.crc
}

fn pass<E: Revisions + Send>(
    keys: &Bucket<'_, '_>,
    gate: Option<&Gate>,
    monitor: &dyn Monitor,
    make: &(impl Fn() -> E + Sync),
) -> Result<Vec<E>> {
    let source = keys.db().source();
    let walked = |alone| {
        let visited = Visited::new(keys.db());
        monitor.begin("hashing keys", keys.db().size());
        let shared = Shared { gate, alone, ..Shared::new(&visited, monitor) };
        let parts = walk_parallel(keys, shared, || Reader::new(make(), OnFault::Strict(1)));
        monitor.end();
        if monitor.cancelled() { Err(Error::Cancelled) } else { Ok(parts) }
    };
    let reached_twice = |part: &Reader<E>| part.faults.counts.contains_key(&Code::PageShared);
    let parts = walk_or_rerun_alone(walked, |parts| parts.iter().any(reached_twice))?;
    let mut each = Vec::new();
    for part in parts {
        if let Some(corrupt) = part.faults.kept.into_iter().next() {
            monitor.finding(Finding::from_corrupt(&source.name(), corrupt.clone()));
            return Err(Error::damaged(source.path(), Box::new(corrupt)));
        }
        each.push(part.to);
    }
    Ok(each)
}
