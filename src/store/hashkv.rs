//! `hashkv`: the hash by which members compare their keyspaces.
//!
//! CRC-32C over the word `key` and every stored revision up to the one asked for, leaving out what a compaction at
//! the compact revision has removed or will remove. Source: `server/storage/mvcc/hash.go unsafeHashByRev @ v3.6`.

use crate::bolt::walk::{Buckets, Shared, Visited, Visitor, settled, walk, walk_parallel};
use crate::bolt::{Bucket, Db, Page, db};
use crate::codec::checksum::{crc32c, crc32c_combine};
use crate::codec::to_u64;
use crate::etcd::datadir;
use crate::etcd::newest::{Gatherer, Gathering, Newest};
use crate::etcd::{BucketKey, Facts, KeyValue, Revision, schema};
use crate::io::gate::with_read_ahead;
use crate::io::{Gate, Source};
use crate::words::error::{At, Corrupt, Error, Result};
use crate::words::finding::{Code, Finding};
use crate::words::monitor::Monitor;
use crate::words::refusal::{Refusal, Revisions};

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
pub struct HashKvReport {
    /// CRC-32C.
    pub hash: u32,
    /// The last revision hashed.
    pub revision: i64,
    /// The compaction it takes into account; -1 is none.
    pub compact_revision: i64,
}

/// Hashes the keyspace of a snapshot file or database, without writing to it.
///
/// Broken rules that still leave the keyspace whole (one bad meta page, a file cut behind it) go to the monitor as
/// findings.
///
/// # Errors
/// [`Error::Refused`] in etcd's words for a compacted or future revision, [`Error::Damaged`] when a page or record
/// cannot be read, [`Error::Unreadable`] when it is another kind of file, or changed meanwhile.
pub fn hashkv(source: &Source, options: HashKvOptions, monitor: &dyn Monitor) -> Result<HashKvReport> {
    source.steady(monitor, hash(source, options, monitor))
}

fn hash(source: &Source, options: HashKvOptions, monitor: &dyn Monitor) -> Result<HashKvReport> {
    let damaged = |c| Error::damaged(source.path(), c);
    let db = datadir::database(source)?;
    let faults = db
        .slots()
        .iter()
        .flat_map(|slot| [&slot.fault, &slot.header_fault])
        .flatten()
        .map(|fault| (**fault).clone());
    for corrupt in faults.chain(db::check_length(&db).err().map(|c| *c)) {
        monitor.finding(Finding::from_corrupt(&source.name(), corrupt));
    }
    let (facts, keys) = store(&db, monitor).map_err(damaged)?;
    let last = match &keys {
        Some(keys) => match last_revision(keys) {
            Ok(last) => last,
            Err(corrupt) => {
                // A walk says more: what leads to the page.
                let nothing = Gathering::default();
                pass(keys, Reach::default(), monitor, &|| See {
                    revision: -1,
                    gatherer: Gatherer::new(&nothing),
                })?;
                return Err(damaged(corrupt));
            }
        },
        None => 0,
    };
    // `store.restore`: a compaction that was asked for counts, finished or not.
    let in_file = facts.compact_revision().unwrap_or(-1);
    let current = last.max(in_file).max(1);
    let revision = options.revision.filter(|r| *r != 0).unwrap_or(current);
    let compact = options.compact_revision.unwrap_or(in_file);
    let there = Revisions { file: None, first: compact, last: current };
    if revision > current {
        return Err(Refusal::Future { asked: revision, there }.into());
    }
    if revision < 0 || (revision > 0 && revision < compact) {
        return Err(Refusal::Compacted { asked: revision, there }.into());
    }
    if compact < in_file {
        return Err(Refusal::CompactedFurther { asked: compact, compacted: in_file }.into());
    }

    let mut hash = crc32c(0, b"key");
    if let Some(keys) = &keys {
        let see = |revision| {
            let gathering = Gathering::default();
            with_read_ahead(source, |gate| {
                pass(keys, Reach { gate, until: None }, monitor, &|| See {
                    revision,
                    gatherer: Gatherer::new(&gathering),
                })
                .map(drop)
            })?;
            Ok::<_, Error>(gathering.done())
        };
        let mut newest = see(revision)?;
        // etcd skips nothing when its keep set is empty: then what the compaction has left counts, and what it has
        // not yet removed.
        let mut keep_is_empty = newest.live() == 0;
        if keep_is_empty && options.compact_revision.is_some() {
            newest = see(compact)?;
            keep_is_empty = false;
        }
        hash = hash_kept(keys, Bound { revision, compact, newest: &newest }, keep_is_empty, monitor)?;
    }
    Ok(HashKvReport { hash, revision, compact_revision: compact })
}

fn hash_kept(
    keys: &Bucket<'_, '_>,
    bound: Bound<'_>,
    keep_is_empty: bool,
    monitor: &dyn Monitor,
) -> Result<u32> {
    let end = Revision { main: bound.revision.saturating_add(1), sub: 0 };
    let end = BucketKey { revision: end, tombstone: false }.to_bytes();
    let parts = pass(keys, Reach { gate: None, until: Some(&end) }, monitor, &|| Hash {
        bound,
        keep_is_empty,
        crc: 0,
        len: 0,
    })?;
    Ok(parts.iter().fold(crc32c(0, b"key"), |hash, part| crc32c_combine(hash, part.crc, part.len)))
}

/// What the meta bucket says, and the key bucket; every page on the way is checked.
fn store<'d, 's>(
    db: &'d Db<'s>,
    monitor: &dyn Monitor,
) -> Result<(Facts, Option<Bucket<'d, 's>>), Box<Corrupt>> {
    struct Meta {
        facts: Facts,
        fault: Option<Corrupt>,
    }
    impl Visitor for Meta {
        fn leaf(&mut self, page: &Page<'_>, _: Option<usize>) {
            for element in page.leaves() {
                if let Err(why) = self.facts.take(b"meta", element.key, element.value) {
                    self.fault(*Corrupt::new(
                        Code::ValueUndecodable,
                        page.element_at(element.index).key(element.key),
                        why,
                    ));
                }
            }
        }
        fn fault(&mut self, mut corrupt: Corrupt) {
            corrupt.at = corrupt.at.bucket(b"meta");
            self.fault.get_or_insert(corrupt);
        }
    }
    let visited = Visited::new(db);
    let shared = Shared::new(&visited, monitor);
    let mut top = Buckets::new(db);
    walk(&db.root(), shared, &mut top);
    let root_at = At::page(db.meta().root.0, db.offset_of(db.meta().root));
    let missing = schema::missing(top.found.iter().map(|b| b.name.as_slice()), &root_at);
    if let Some(corrupt) = top.faults.into_iter().chain(missing).next() {
        return Err(Box::new(corrupt));
    }
    let mut meta = Meta { facts: Facts::default(), fault: None };
    if let Some(bucket) = top.found.iter().find(|bucket| bucket.name == b"meta") {
        walk(bucket, shared, &mut meta);
    }
    match meta.fault {
        Some(corrupt) => Err(Box::new(corrupt)),
        None => Ok((meta.facts, top.found.into_iter().find(|bucket| bucket.name == b"key"))),
    }
}

/// The main part of the last stored revision; 0 when there is none.
fn last_revision(keys: &Bucket<'_, '_>) -> Result<i64, Box<Corrupt>> {
    let mut cursor = keys.cursor();
    let Some(item) = cursor.last()? else { return Ok(0) };
    let at = || At::default().bucket(b"key").key(item.key);
    let key =
        BucketKey::parse(item.key).map_err(|why| Corrupt::new(Code::RevisionKey, at(), why.to_string()))?;
    Ok(key.revision.main)
}

#[derive(Clone, Copy)]
struct Bound<'n> {
    revision: i64,
    compact: i64,
    newest: &'n Newest,
}

/// Does something with every stored revision.
trait Each: Send {
    /// Whether a value may be stored under this key. Only the pass that comes first asks; verify's has found it out
    /// already, and goes on.
    fn judge(&self, key: BucketKey, kv: &KeyValue<'_>, stored: &[u8]) -> Result<(), (Code, String)> {
        let _ = (key, kv, stored);
        Ok(())
    }
    fn each(&mut self, key: BucketKey, kv: &KeyValue<'_>, raw: (&[u8], &[u8]));
}

/// Notes the newest revision of every key, up to one.
struct See<'g> {
    revision: i64,
    gatherer: Gatherer<'g>,
}

impl Each for See<'_> {
    fn judge(&self, key: BucketKey, kv: &KeyValue<'_>, stored: &[u8]) -> Result<(), (Code, String)> {
        kv.check(key, stored)
    }

    fn each(&mut self, key: BucketKey, kv: &KeyValue<'_>, _: (&[u8], &[u8])) {
        if key.revision.main <= self.revision {
            self.gatherer.see(key, kv);
        }
    }
}

/// Hashes what a compaction leaves.
struct Hash<'n> {
    bound: Bound<'n>,
    keep_is_empty: bool,
    crc: u32,
    len: u64,
}

impl Each for Hash<'_> {
    fn each(&mut self, key: BucketKey, kv: &KeyValue<'_>, (raw_key, raw_value): (&[u8], &[u8])) {
        let (main, bound) = (key.revision.main, &self.bound);
        let compacted = main <= bound.compact;
        let kept = || !key.tombstone && bound.newest.is_newest(key, kv);
        if main > bound.revision
            || (compacted && !self.keep_is_empty && !kept())
            || (main == bound.compact && key.tombstone)
        {
            return;
        }
        self.crc = crc32c(crc32c(self.crc, raw_key), raw_value);
        self.len = self.len.saturating_add(to_u64(raw_key.len())).saturating_add(to_u64(raw_value.len()));
    }
}

struct Strict<E> {
    each: E,
    fault: Option<Corrupt>,
}

impl<E: Each> Visitor for Strict<E> {
    fn leaf(&mut self, page: &Page<'_>, _: Option<usize>) {
        for element in page.leaves() {
            let at = || page.element_at(element.index).key(element.key);
            let (key, kv) = match (BucketKey::parse(element.key), KeyValue::decode(element.value)) {
                (Ok(key), Ok(kv)) => (key, kv),
                (Err(why), _) => {
                    self.fault(*Corrupt::new(Code::RevisionKey, at(), why.to_string()));
                    continue;
                }
                (_, Err(bad)) => {
                    let what = format!("the KeyValue cannot be read past its byte {}", bad.0);
                    self.fault(*Corrupt::new(Code::ValueUndecodable, at(), what));
                    continue;
                }
            };
            match self.each.judge(key, &kv, element.value) {
                Ok(()) => self.each.each(key, &kv, (element.key, element.value)),
                Err((code, what)) => self.fault(*Corrupt::new(code, at(), what)),
            }
        }
    }

    fn fault(&mut self, mut corrupt: Corrupt) {
        corrupt.at = corrupt.at.bucket(b"key");
        self.fault.get_or_insert(corrupt);
    }
}

/// Which pages are read, and when.
#[derive(Default)]
struct Reach<'r> {
    gate: Option<&'r Gate>,
    until: Option<&'r [u8]>,
}

fn pass<E: Each>(
    keys: &Bucket<'_, '_>,
    reach: Reach<'_>,
    monitor: &dyn Monitor,
    make: &(impl Fn() -> E + Sync),
) -> Result<Vec<E>> {
    let source = keys.db().source();
    let Reach { gate, until } = reach;
    let walked = |alone| {
        let visited = Visited::new(keys.db());
        monitor.begin("hashing keys", keys.db().size());
        let shared = Shared { gate, until, alone, ..Shared::new(&visited, monitor) };
        let parts = walk_parallel(keys, shared, || Strict { each: make(), fault: None });
        monitor.end();
        if monitor.cancelled() { Err(Error::Cancelled) } else { Ok(parts) }
    };
    let reached_twice =
        |part: &Strict<E>| part.fault.as_ref().is_some_and(|fault| fault.code == Code::PageShared);
    let parts = settled(walked, |parts| parts.iter().any(reached_twice))?;
    let mut each = Vec::new();
    for part in parts {
        if let Some(corrupt) = part.fault {
            monitor.finding(Finding::from_corrupt(&source.name(), corrupt.clone()));
            return Err(Error::damaged(source.path(), Box::new(corrupt)));
        }
        each.push(part.each);
    }
    Ok(each)
}
