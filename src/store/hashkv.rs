//! `hashkv`: the hash by which members compare their keyspaces.
//!
//! CRC-32C over the word `key` and every stored revision up to the one asked for, leaving out what a compaction at
//! the compact revision has removed or will remove. Source: `server/storage/mvcc/hash.go unsafeHashByRev @ v3.6`.

pub(crate) mod compacted;
pub(crate) mod rule;

use self::rule::{Counts, counts};
use crate::bolt::Bucket;
use crate::bolt::walk::{Shared, Visited, walk_or_rerun_alone, walk_parallel};
use crate::etcd::newest::{Gatherer, Gathering, Newest};
use crate::etcd::small::{self, Small};
use crate::etcd::stored::{self, OnFault, Reader, Revisions, Stored};
use crate::etcd::{BucketKey, Facts, Input, Revision, datadir, schema};
use crate::io::gate::with_read_ahead;
use crate::io::{Gate, Source};
use crate::store::crc::Crc;
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
    let see = |revision| {
        let gathering = Gathering::default();
        with_read_ahead(source, |gate| {
            let see = || See { revision, gatherer: Gatherer::new(&gathering) };
            pass(&keys, PagesRead { gate, until: None }, monitor, &see).map(drop)
        })?;
        Ok::<_, Error>(gathering.done())
    };
    let mut newest = see(revision)?;
    // etcd skips nothing when its keep set is empty: then what the compaction has left counts, and what it has not yet
    // removed.
    let mut keep_is_empty = newest.live() == 0;
    if keep_is_empty && options.compact_revision.is_some() {
        newest = see(compact)?;
        keep_is_empty = false;
    }
    let hash = hash_kept(&keys, Bound { revision, compact, newest: &newest }, keep_is_empty, monitor)?;
    Ok(HashKvReport { hash, revision, compact_revision: compact, is_etcd })
}

/// The main part of the last stored revision; 0 when there is none.
fn last(keys: &Bucket<'_, '_>, monitor: &dyn Monitor) -> Result<i64> {
    stored::last(keys).map(|key| key.map_or(0, |key| key.revision.main)).or_else(|corrupt| {
        // A walk says more: what leads to the page.
        let nothing = Gathering::default();
        let see = || See { revision: -1, gatherer: Gatherer::new(&nothing) };
        pass(keys, PagesRead::default(), monitor, &see)?;
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

fn hash_kept(
    keys: &Bucket<'_, '_>,
    bound: Bound<'_>,
    keep_is_empty: bool,
    monitor: &dyn Monitor,
) -> Result<u32> {
    let end = Revision { main: bound.revision.saturating_add(1), sub: 0 };
    let end = BucketKey { revision: end, tombstone: false }.to_bytes();
    let parts = pass(keys, PagesRead { gate: None, until: Some(&end) }, monitor, &|| Hash {
        bound,
        keep_is_empty,
        crc: Crc::default(),
    })?;
    let mut hash = rule::empty();
    parts.iter().for_each(|part| hash.join(part.crc));
    Ok(hash.crc)
}

#[derive(Clone, Copy)]
struct Bound<'n> {
    revision: i64,
    compact: i64,
    newest: &'n Newest,
}

/// Notes the newest revision of every key, up to one.
struct See<'g> {
    revision: i64,
    gatherer: Gatherer<'g>,
}

impl Revisions for See<'_> {
    fn each(&mut self, stored: &Stored<'_>) {
        if stored.key.revision.main <= self.revision {
            self.gatherer.see(stored.key, &stored.kv);
        }
    }
}

/// Hashes what counts.
struct Hash<'n> {
    bound: Bound<'n>,
    keep_is_empty: bool,
    crc: Crc,
}

impl Revisions for Hash<'_> {
    fn each(&mut self, stored: &Stored<'_>) {
        let Stored { key, kv, element, .. } = stored;
        let bound = &self.bound;
        let due = key.revision.main <= bound.revision
            && match counts(*key, bound.compact) {
                Counts::Yes => true,
                Counts::No => false,
                Counts::IfKept => self.keep_is_empty || (!key.tombstone && bound.newest.is_newest(*key, kv)),
            };
        if due {
            self.crc.add(element.key);
            self.crc.add(element.value);
        }
    }
}

/// Which pages are read, and when.
#[derive(Default)]
struct PagesRead<'r> {
    gate: Option<&'r Gate>,
    until: Option<&'r [u8]>,
}

fn pass<E: Revisions + Send>(
    keys: &Bucket<'_, '_>,
    reach: PagesRead<'_>,
    monitor: &dyn Monitor,
    make: &(impl Fn() -> E + Sync),
) -> Result<Vec<E>> {
    let source = keys.db().source();
    let PagesRead { gate, until } = reach;
    let walked = |alone| {
        let visited = Visited::new(keys.db());
        monitor.begin("hashing keys", keys.db().size());
        let shared = Shared { gate, until, alone, ..Shared::new(&visited, monitor) };
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
