//! `hashkv`: the hash by which members compare their keyspaces.
//!
//! CRC-32C over the word `key` and every stored revision up to the one asked for, leaving out what a compaction at the compact revision has
//! removed or will remove. Source: `server/storage/mvcc/hash.go unsafeHashByRev @ v3.6`.

use crate::bolt::walk::{Shared, Visited, Visitor, walk_parallel};
use crate::bolt::{Bucket, Db, Page};
use crate::bytes::checksum::{crc32c, crc32c_combine};
use crate::bytes::{Source, to_u64};
use crate::error::{Corrupt, Error, Result};
use crate::etcd::newest::Newest;
use crate::etcd::{BucketKey, Facts, KeyValue};
use crate::finding::{Code, Finding};
use crate::monitor::Monitor;

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
/// # Errors
/// [`Error::Refused`] in etcd's words for a compacted or future revision, [`Error::Damaged`] when a page or record cannot be read.
pub fn hashkv(source: &Source, options: HashKvOptions, monitor: &dyn Monitor) -> Result<HashKvReport> {
    let damaged = |c| Error::damaged(source.path(), c);
    let db = Db::open(source).map_err(damaged)?;
    let root = db.root();
    let mut facts = Facts::default();
    if let Some(meta) = root.bucket(b"meta").map_err(damaged)? {
        let mut cursor = meta.cursor();
        while let Some(item) = cursor.next().map_err(damaged)? {
            facts
                .take(b"meta", item.key, item.value)
                .map_err(|why| damaged(Corrupt::new(Code::ValueUndecodable, crate::At::default().bucket(b"meta").key(item.key), why)))?;
        }
    }
    let keys = root.bucket(b"key").map_err(damaged)?;
    let last = match &keys {
        Some(keys) => match keys.cursor().last().map_err(damaged)? {
            Some(item) => parse(item.key).map_err(damaged)?.revision.main,
            None => 0,
        },
        None => 0,
    };

    // `store.restore`: a compaction that was asked for counts, finished or not.
    let in_file = facts.compact_revision().unwrap_or(-1);
    let current = last.max(in_file).max(1);
    let revision = options.revision.filter(|r| *r != 0).unwrap_or(current);
    let compact = options.compact_revision.unwrap_or(in_file);
    if revision > current {
        return Err(Error::Refused(format!(
            "mvcc: required revision is a future revision ({revision} was asked for, the file ends at {current})"
        )));
    }
    if revision < 0 || (revision > 0 && revision < compact) {
        return Err(Error::Refused(format!(
            "mvcc: required revision has been compacted ({revision} was asked for, the file starts at {compact})"
        )));
    }
    if compact < in_file {
        return Err(Error::Refused(format!("the file is compacted at {in_file}; it cannot be hashed as if compacted at {compact}")));
    }

    let mut hash = crc32c(0, b"key");
    if let Some(keys) = &keys {
        let see = |revision| {
            let newest = Newest::default();
            pass(keys, source, monitor, &|| See(Bound { revision, compact, newest: &newest }))?;
            Ok::<_, Error>(newest)
        };
        let mut newest = see(revision)?;
        // etcd skips nothing when its keep set is empty: then what the compaction has left counts, and what it has not yet removed.
        let mut keep_is_empty = newest.live() == 0;
        if keep_is_empty && options.compact_revision.is_some() {
            newest = see(compact)?;
            keep_is_empty = false;
        }
        let bound = Bound { revision, compact, newest: &newest };
        for part in pass(keys, source, monitor, &|| Hash { bound, keep_is_empty, crc: 0, len: 0 })? {
            hash = crc32c_combine(hash, part.crc, part.len);
        }
    }
    Ok(HashKvReport { hash, revision, compact_revision: compact })
}

fn parse(key: &[u8]) -> Result<BucketKey, Box<Corrupt>> {
    BucketKey::parse(key).map_err(|why| Corrupt::new(Code::RevisionKey, crate::At::default().bucket(b"key").key(key), why.to_string()))
}

#[derive(Clone, Copy)]
struct Bound<'n> {
    revision: i64,
    compact: i64,
    newest: &'n Newest,
}

/// Does something with every stored revision.
trait Each: Send {
    fn each(&mut self, key: BucketKey, kv: &KeyValue<'_>, raw: (&[u8], &[u8]));
}

/// Notes the newest revision of every key.
struct See<'n>(Bound<'n>);

impl Each for See<'_> {
    fn each(&mut self, key: BucketKey, kv: &KeyValue<'_>, _: (&[u8], &[u8])) {
        if key.revision.main <= self.0.revision {
            self.0.newest.see(key, kv);
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
        if main > bound.revision || (compacted && !self.keep_is_empty && !kept()) || (main == bound.compact && key.tombstone) {
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
        for (index, element) in page.leaves().enumerate() {
            let kv = KeyValue::decode(element.value);
            match (BucketKey::parse(element.key), kv) {
                (Ok(key), Ok(kv)) => self.each.each(key, &kv, (element.key, element.value)),
                (Err(why), _) => self.fault(*Corrupt::new(Code::RevisionKey, page.at().element(index).key(element.key), why.to_string())),
                (_, Err(bad)) => {
                    let what = format!("the KeyValue cannot be read past its byte {}", bad.0);
                    self.fault(*Corrupt::new(Code::ValueUndecodable, page.at().element(index).key(element.key), what));
                }
            }
        }
    }

    fn fault(&mut self, corrupt: Corrupt) {
        self.fault.get_or_insert(corrupt);
    }
}

fn pass<E: Each>(keys: &Bucket<'_, '_>, source: &Source, monitor: &dyn Monitor, make: &(impl Fn() -> E + Sync)) -> Result<Vec<E>> {
    let visited = Visited::new(keys.db());
    monitor.begin("hashing keys", keys.db().size());
    let parts = walk_parallel(keys, Shared { visited: &visited, monitor, gate: None }, || Strict { each: make(), fault: None });
    monitor.end();
    if monitor.cancelled() {
        return Err(Error::Cancelled);
    }
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
