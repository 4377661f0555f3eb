//! One walk over everything in a database: all page rules checked, all buckets read. What status, inspect and verify are made from.

use std::collections::{BTreeMap, BTreeSet};

use crate::bolt::walk::{Buckets, Shared, Stats, Visited, Visitor, check_freelist, walk, walk_parallel};
use crate::bolt::{Bucket, Db, Page, Root, db};
use crate::bytes::checksum::{crc32c, crc32c_combine};
use crate::bytes::{Gate, to_u64};
use crate::error::{At, Corrupt, Error, Result};
use crate::etcd::history::History;
use crate::etcd::newest::Newest;
use crate::etcd::{BucketKey, Facts, KeyValue, Revision, schema};
use crate::finding::Code;
use crate::monitor::Monitor;

/// Buckets inside buckets inside buckets: etcd uses one level, and a hostile file must end somewhere.
const MAX_NESTING: usize = 64;

/// What is wrong with a file: everything counted, the first of each kind kept.
#[derive(Debug, Clone)]
pub struct Faults {
    /// The first of each kind, in the order they were found.
    pub kept: Vec<Corrupt>,
    /// How many of each kind there are.
    pub counts: BTreeMap<Code, u64>,
    limit: u64,
}

impl Faults {
    /// None yet; `limit` of each kind will be kept.
    #[must_use]
    pub fn new(limit: u64) -> Faults {
        Faults { kept: Vec::new(), counts: BTreeMap::new(), limit }
    }

    /// One more.
    pub fn push(&mut self, corrupt: Corrupt) {
        let count = self.counts.entry(corrupt.code).or_default();
        *count = count.saturating_add(1);
        if *count <= self.limit {
            self.kept.push(corrupt);
        }
    }

    /// All of another part of the same walk.
    pub fn extend(&mut self, other: Faults) {
        for (code, count) in other.counts {
            let room = self.limit.saturating_sub(self.counts.get(&code).copied().unwrap_or(0));
            let total = self.counts.entry(code).or_default();
            *total = total.saturating_add(count);
            let mut left = room;
            self.kept.extend(
                other
                    .kept
                    .iter()
                    .filter(|c| c.code == code)
                    .take_while(|_| {
                        let keep = left > 0;
                        left = left.saturating_sub(1);
                        keep
                    })
                    .cloned(),
            );
        }
    }

    /// How many there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.values().fold(0, |a, b| a.saturating_add(*b))
    }
}

/// A bucket, by its path from the root.
#[derive(Debug, Clone)]
pub struct BucketScan {
    /// Names from the top down; one for etcd's buckets.
    pub path: Vec<Vec<u8>>,
    /// Whether its elements lie in its own entry.
    pub inline: bool,
    /// Its counter.
    pub sequence: u64,
    /// Its size.
    pub stats: Stats,
}

/// What the `key` bucket holds.
#[derive(Debug, Clone, Default)]
pub struct Keyspace {
    /// Stored revisions, tombstones included.
    pub revisions: u64,
    /// Deletions among them.
    pub tombstones: u64,
    /// The first revision in the file.
    pub first: Option<Revision>,
    /// The last.
    pub last: Option<Revision>,
    /// Whether any stored version names a lease.
    pub leased: bool,
    /// Bytes of users' keys and values over all revisions.
    pub user_bytes: u64,
}

impl Keyspace {
    fn add(&mut self, other: &Keyspace) {
        self.revisions = self.revisions.saturating_add(other.revisions);
        self.tombstones = self.tombstones.saturating_add(other.tombstones);
        self.first = self.first.or(other.first);
        self.last = other.last.or(self.last);
        self.leased |= other.leased;
        self.user_bytes = self.user_bytes.saturating_add(other.user_bytes);
    }
}

/// A CRC-32C and how many bytes it is of: what it takes to join it to another.
#[derive(Debug, Clone, Copy, Default)]
pub struct Crc {
    /// The checksum.
    pub crc: u32,
    /// Bytes.
    pub len: u64,
}

impl Crc {
    fn add(&mut self, bytes: &[u8]) {
        self.crc = crc32c(self.crc, bytes);
        self.len = self.len.saturating_add(to_u64(bytes.len()));
    }

    fn join(&mut self, next: Crc) {
        self.crc = crc32c_combine(self.crc, next.crc, next.len);
        self.len = self.len.saturating_add(next.len);
    }
}

/// The result of a walk over everything.
#[derive(Debug)]
pub struct Scan {
    /// Whether the buckets are etcd's; if not, nothing was decoded.
    pub is_etcd: bool,
    /// The root bucket's own pages.
    pub root: Stats,
    /// Every bucket, in key order, nested ones after the one they are in.
    pub buckets: Vec<BucketScan>,
    /// Buckets whose own entry cannot be read.
    pub lost: Vec<Vec<u8>>,
    /// What the small buckets say.
    pub facts: Facts,
    /// What the `key` bucket holds.
    pub keyspace: Keyspace,
    /// The newest revision of each key.
    pub newest: Newest,
    /// The status hash: CRC-32C over the name, keys and values of every bucket.
    pub hash: u32,
    /// Of every revision after the compaction, if the history was checked: part of HashKV.
    pub after_compaction: Crc,
    /// Pages that hold nothing.
    pub free_pages: u64,
    /// Everything that is wrong.
    pub faults: Faults,
    /// Whether the root bucket could be read in full: if not, buckets may be missing from the list.
    pub root_is_whole: bool,
    /// Top-level buckets that could be read in full.
    whole: BTreeSet<Vec<u8>>,
}

impl Scan {
    /// Whether everything a top-level bucket holds was read: only then does it mean something that an item is not there.
    #[must_use]
    pub fn knows(&self, bucket: &str) -> bool {
        self.whole.contains(bucket.as_bytes())
    }

    /// Keys and values in all top-level buckets.
    #[must_use]
    pub fn all_keys(&self) -> u64 {
        self.buckets.iter().filter(|b| b.path.len() == 1).fold(0, |n, b| n.saturating_add(b.stats.elements))
    }

    /// The names of the top-level buckets.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.buckets.iter().filter_map(|b| match b.path.as_slice() {
            [name] => Some(name.as_slice()),
            _ => None,
        })
    }
}

/// How to walk.
#[derive(Debug, Clone, Copy)]
pub struct Options<'g> {
    /// How many faults of each kind to keep.
    pub limit: u64,
    /// The reader that leaf pages wait for, when the file is cold.
    pub gate: Option<&'g Gate>,
    /// Also check every key's history: on one thread, in revision order.
    pub history: bool,
}

/// Walks the whole file. What is wrong is in the result.
///
/// # Errors
/// [`Error::Cancelled`] only.
pub fn scan(db: &Db<'_>, options: Options<'_>, monitor: &dyn Monitor) -> Result<Scan> {
    let scan = pass(db, options, true, monitor)?;
    // Which of two threads comes second to a shared page is chance: only on one thread is the answer the same each time.
    if scan.faults.counts.contains_key(&Code::PageShared) { pass(db, options, false, monitor) } else { Ok(scan) }
}

fn pass(db: &Db<'_>, options: Options<'_>, parallel: bool, monitor: &dyn Monitor) -> Result<Scan> {
    let visited = Visited::new(db);
    let shared = Shared { gate: options.gate, ..Shared::new(&visited, monitor) };
    let mut faults = Faults::new(options.limit);
    for slot in db.slots() {
        for fault in [&slot.fault, &slot.header_fault].into_iter().flatten() {
            faults.push((**fault).clone());
        }
    }
    if let Err(corrupt) = db::check_length(db) {
        faults.push(*corrupt);
    }
    monitor.begin("walking pages", db.pages_present().saturating_mul(db.page_size()));

    let root = db.root();
    let mut top = Buckets::new(db);
    walk(&root, shared, &mut top);
    let root_is_whole = !top.faults.iter().any(|c| loses(c.code));
    top.faults.drain(..).for_each(|c| faults.push(c));

    let names = || top.found.iter().map(|b| b.name.as_slice());
    let root_at = At::page(db.meta().root.0, db.offset_of(db.meta().root));
    schema::missing(names(), &root_at).into_iter().for_each(|c| faults.push(c));

    let mut scan = Scan {
        is_etcd: schema::is_etcd(names().chain(top.lost.iter().map(Vec::as_slice))),
        root: top.stats,
        buckets: Vec::new(),
        lost: top.lost.clone(),
        facts: Facts::default(),
        keyspace: Keyspace::default(),
        newest: Newest::default(),
        hash: 0,
        after_compaction: Crc::default(),
        free_pages: 0,
        faults,
        root_is_whole,
        whole: BTreeSet::new(),
    };
    let how = How { history: options.history, parallel };
    // The small buckets first: what they say about compaction decides what the key bucket may hold.
    let mut walked: Vec<_> = top.found.iter().map(|_| None).collect();
    for keys in [false, true] {
        for (bucket, place) in top.found.iter().zip(&mut walked) {
            if (bucket.name == b"key") == keys {
                *place = Some(scan.bucket(bucket, &[], how, shared));
            }
        }
    }
    for (bucket, done) in top.found.iter().zip(walked) {
        let Some(done) = done else { continue };
        scan.hash = crc32c_combine(crc32c(scan.hash, &bucket.name), done.crc.crc, done.crc.len);
        scan.buckets.extend(done.buckets);
    }
    let Scan { faults, free_pages, .. } = &mut scan;
    *free_pages = check_freelist(db, &visited, &mut |c| faults.push(c));
    monitor.end();
    if monitor.cancelled() { Err(Error::Cancelled) } else { Ok(scan) }
}

/// One bucket, walked: its part of the hash, itself and the buckets in it.
struct Walked {
    crc: Crc,
    buckets: Vec<BucketScan>,
}

/// Whether something with this fault cannot be read, so that what it holds is not known.
fn loses(code: Code) -> bool {
    !matches!(
        code,
        Code::KeyOrder
            | Code::BranchKey
            | Code::DepthUneven
            | Code::ModRevision
            | Code::VersionChain
            | Code::Tombstone
            | Code::SubRevision
            | Code::RevisionGap
    )
}

/// How buckets are walked.
#[derive(Debug, Clone, Copy)]
struct How {
    history: bool,
    parallel: bool,
}

impl Scan {
    fn bucket(&mut self, bucket: &Bucket<'_, '_>, above: &[Vec<u8>], how: How, shared: Shared<'_>) -> Walked {
        let path: Vec<Vec<u8>> = above.iter().cloned().chain([bucket.name.clone()]).collect();
        let limit = self.faults.limit;
        let known = above.is_empty() && self.is_etcd;
        let keys = known && bucket.name == b"key";
        let small = known && !keys && schema::BUCKETS.iter().any(|b| b.as_bytes() == bucket.name);
        let compact = if self.knows("meta") { self.facts.compact_revision().unwrap_or(-1) } else { i64::MAX };
        let parts = if small || (keys && how.history) || !how.parallel {
            let content = if small {
                Content::Facts(&mut self.facts)
            } else if keys && how.history {
                Content::History(&mut self.newest, History::new(compact))
            } else if keys {
                Content::Keys(&self.newest)
            } else {
                Content::Plain
            };
            let mut part = Part::new(bucket, limit, content);
            walk(bucket, shared, &mut part);
            vec![part.seen]
        } else {
            let newest = keys.then_some(&self.newest);
            let make = || Part::new(bucket, limit, newest.map_or(Content::Plain, Content::Keys));
            walk_parallel(bucket, shared, make).into_iter().map(|part| part.seen).collect()
        };
        let mut walked = Walked { crc: Crc::default(), buckets: Vec::new() };
        let mut stats = Stats::default();
        let mut nested = Vec::new();
        let mut whole = above.is_empty();
        for part in parts {
            walked.crc.join(part.crc);
            self.after_compaction.join(part.after_compaction);
            stats.add(&part.stats);
            self.keyspace.add(&part.keyspace);
            whole &= !part.faults.counts.keys().any(|code| loses(*code));
            self.faults.extend(part.faults);
            nested.extend(part.nested);
        }
        if whole {
            self.whole.insert(bucket.name.clone());
        }
        let inline = matches!(bucket.root, Root::Inline { .. });
        walked.buckets.push(BucketScan { path: path.clone(), inline, sequence: bucket.sequence, stats });
        for inner in &nested {
            if path.len() >= MAX_NESTING {
                let at = At { page: Some(inner.page.0), ..At::default() }.bucket(&inner.name);
                self.faults.push(*Corrupt::new(Code::BucketHeader, at, format!("buckets are nested deeper than {MAX_NESTING}")));
                break;
            }
            walked.buckets.extend(self.bucket(inner, &path, how, shared).buckets);
        }
        walked
    }
}

enum Content<'c> {
    Plain,
    Facts(&'c mut Facts),
    Keys(&'c Newest),
    History(&'c mut Newest, History),
}

impl Content<'_> {
    /// Something could not be read: of the history, what would follow from it is not known.
    fn lost(&mut self) {
        if let Content::History(_, history) = self {
            history.lost();
        }
    }
}

/// What one thread sees of one bucket.
struct Part<'c, 'd, 's> {
    bucket: &'c Bucket<'d, 's>,
    content: Content<'c>,
    seen: Seen<'d, 's>,
    /// Elements of the page to come whose keys are out of order.
    disordered: BTreeSet<u64>,
}

struct Seen<'d, 's> {
    stats: Stats,
    crc: Crc,
    after_compaction: Crc,
    keyspace: Keyspace,
    faults: Faults,
    nested: Vec<Bucket<'d, 's>>,
}

impl<'c, 'd, 's> Part<'c, 'd, 's> {
    fn new(bucket: &'c Bucket<'d, 's>, limit: u64, content: Content<'c>) -> Part<'c, 'd, 's> {
        let (stats, keyspace, faults) = (Stats::default(), Keyspace::default(), Faults::new(limit));
        let seen = Seen { stats, crc: Crc::default(), after_compaction: Crc::default(), keyspace, faults, nested: Vec::new() };
        Part { bucket, content, seen, disordered: BTreeSet::new() }
    }
}

impl Seen<'_, '_> {
    /// One element of the key bucket; `place` tells where it is when something is wrong with it.
    ///
    /// `sure` is false where keys are out of order: of two such keys either may be the wrong one, nothing follows from what they say.
    fn key_value(&mut self, content: &mut Content<'_>, sure: bool, raw_key: &[u8], value: &[u8], place: &dyn Fn() -> At) {
        let key = match BucketKey::parse(raw_key) {
            Ok(key) => key,
            Err(why) => {
                content.lost();
                return self.faults.push(*Corrupt::new(Code::RevisionKey, place(), why.to_string()));
            }
        };
        let kv = match KeyValue::decode(value) {
            Ok(kv) => kv,
            Err(bad) => {
                let at = || At { revision: Some(key.revision.to_string()), ..place() };
                let what = format!("the KeyValue cannot be read past its byte {}", bad.0);
                self.faults.push(*Corrupt::new(Code::ValueUndecodable, at(), what));
                match content {
                    Content::History(_, history) if sure => {
                        history.unreadable(key.revision, &mut |code, what| self.faults.push(*Corrupt::new(code, at(), what)));
                    }
                    content => content.lost(),
                }
                return;
            }
        };
        // The history compares the revisions itself.
        if let Err((code, what)) = kv.check(key, value)
            && (code != Code::ModRevision || matches!(content, Content::Keys(_)))
        {
            self.faults.push(*Corrupt::new(code, place(), what));
        }
        match content {
            Content::Keys(newest) => {
                newest.see(key, &kv);
            }
            Content::History(newest, history) => {
                let before = newest.see_alone(key, &kv);
                if key.revision.main > history.compact() {
                    self.after_compaction.add(raw_key);
                    self.after_compaction.add(value);
                }
                if sure {
                    history.check(before, key, &kv, &mut |code, what| {
                        let at = At { revision: Some(key.revision.to_string()), ..place().key(kv.key) };
                        self.faults.push(*Corrupt::new(code, at, what));
                    });
                } else {
                    history.lost();
                }
            }
            Content::Plain | Content::Facts(_) => {}
        }
        let space = &mut self.keyspace;
        space.revisions = space.revisions.saturating_add(1);
        space.tombstones = space.tombstones.saturating_add(u64::from(key.tombstone));
        space.first = space.first.or(Some(key.revision));
        space.last = Some(key.revision);
        space.leased |= kv.lease != 0;
        space.user_bytes = space.user_bytes.saturating_add(to_u64(kv.key.len().saturating_add(kv.value.len())));
    }
}

impl Visitor for Part<'_, '_, '_> {
    fn branch(&mut self, page: &Page<'_>, depth: usize) {
        self.disordered.clear();
        self.seen.stats.branch(page, depth);
    }

    fn leaf(&mut self, page: &Page<'_>, depth: Option<usize>) {
        self.seen.stats.leaf(page, depth);
        let disordered = std::mem::take(&mut self.disordered);
        let mut due = 0;
        for element in page.leaves() {
            if element.index != due {
                self.content.lost();
            }
            due = element.index.saturating_add(1);
            self.seen.crc.add(element.key);
            if element.is_bucket {
                // Go's ForEach gives a nested bucket's name and no value.
                match Bucket::parse(self.bucket.db(), page, &element) {
                    // An inline bucket has none: the walk has reported it. Followed, they could nest in the same bytes without end.
                    _ if depth.is_none() => {}
                    Ok(bucket) => self.seen.nested.push(bucket),
                    Err(corrupt) => self.seen.faults.push(*corrupt),
                }
                continue;
            }
            self.seen.crc.add(element.value);
            let place = || page.element_at(element.index).bucket(&self.bucket.name).key(element.key);
            match &mut self.content {
                Content::Plain => {}
                Content::Facts(facts) => {
                    if let Err(why) = facts.take(&self.bucket.name, element.key, element.value) {
                        self.seen.faults.push(*Corrupt::new(Code::ValueUndecodable, place(), why));
                    }
                }
                content => {
                    let at = to_u64(element.index);
                    let sure = !disordered.contains(&at) && !disordered.contains(&at.saturating_add(1));
                    self.seen.key_value(content, sure, element.key, element.value, &place);
                }
            }
        }
        if due < page.count {
            self.content.lost();
        }
    }

    fn fault(&mut self, mut corrupt: Corrupt) {
        if let Content::History(_, history) = &mut self.content {
            match (corrupt.code, corrupt.at.element) {
                (Code::KeyOrder | Code::BranchKey, Some(element)) => {
                    self.disordered.insert(element);
                }
                (code, None) if loses(code) => history.lost(),
                _ => {}
            }
        }
        corrupt.at = corrupt.at.bucket(&self.bucket.name);
        self.seen.faults.push(corrupt);
    }
}
