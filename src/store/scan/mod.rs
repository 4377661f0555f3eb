//! One walk over everything in a database: all page rules checked, all buckets read. What status, inspect and verify
//! are made from.

mod history;
mod keyspace;
mod part;

use std::collections::BTreeSet;

use self::history::HistoryCheck;
use self::keyspace::loses_content;
pub use self::keyspace::{Keyspace, NewestKeys, Orphan, Orphans};
use self::part::{Content, Part, Seen};
use crate::bolt::walk::{
    Buckets, Shared, Stats, Visited, check_freelist, walk, walk_or_rerun_alone, walk_parallel,
};
use crate::bolt::{Bucket, Db, Root};
use crate::codec::checksum::{crc32c, crc32c_combine};
use crate::etcd::newest::{Gatherer, Gathering};
use crate::etcd::{Facts, schema};
use crate::io::Gate;
pub use crate::store::crc::Crc;
use crate::words::collector::Collector;
use crate::words::error::{At, Corrupt, Error, Result};
use crate::words::finding::Code;
use crate::words::monitor::Monitor;

/// Buckets inside buckets inside buckets: etcd uses one level, and a hostile file must end somewhere.
const MAX_NESTING: usize = 64;

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
    pub newest: NewestKeys,
    /// The status hash: CRC-32C over the name, keys and values of every bucket.
    pub hash: u32,
    /// Of the bucket `key` as it is stored.
    pub key_bucket: Crc,
    /// HashKV at the last revision, if the history was checked; the fault that leaves none.
    pub hashkv: Option<Result<u32, Box<Corrupt>>>,
    /// Live keys whose lease is not there, if the history was checked and the leases are known.
    pub orphans: Orphans,
    /// Pages that hold nothing.
    pub free_pages: u64,
    /// The other pages.
    pub reached: Visited,
    /// Everything that is wrong.
    pub faults: Collector<Corrupt>,
    /// Whether the root bucket could be read in full: if not, buckets may be missing from the list.
    pub root_is_whole: bool,
    /// Top-level buckets that could be read in full.
    whole: BTreeSet<Vec<u8>>,
}

impl Scan {
    /// Whether everything a top-level bucket holds was read: only then does it mean something that an item is not
    /// there.
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
pub struct ScanOptions<'g> {
    /// How many faults of each kind to keep.
    pub limit: u64,
    /// The reader that leaf pages wait for, when the file is cold.
    pub gate: Option<&'g Gate>,
    /// What is made of the bucket `key`.
    pub keys: KeyDepth,
}

/// How closely the bucket `key` is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyDepth {
    /// Its pages, on one thread. There is no hash then.
    Pages,
    /// As any bucket: its pages, and a checksum.
    Stored,
    /// Also what is live.
    Live,
    /// Also every key's history: on one thread, in revision order.
    History,
}

/// Walks the whole file. What is wrong is in the result.
///
/// # Errors
/// [`Error::Cancelled`] only.
pub fn scan(db: &Db<'_>, options: ScanOptions<'_>, monitor: &dyn Monitor) -> Result<Scan> {
    walk_or_rerun_alone(
        |alone| pass(db, options, alone, monitor),
        |scan| scan.faults.counts.contains_key(&Code::PageShared),
    )
}

fn pass(db: &Db<'_>, options: ScanOptions<'_>, alone: bool, monitor: &dyn Monitor) -> Result<Scan> {
    let visited = Visited::new(db);
    let shared = Shared { gate: options.gate, alone, ..Shared::new(&visited, monitor) };
    let mut faults = Collector::new(options.limit);
    for corrupt in db.faults() {
        faults.push(corrupt);
    }
    monitor.begin("walking pages", db.pages_present().saturating_mul(db.page_size()));

    let root = db.root();
    let mut top = Buckets::new(db);
    walk(&root, shared, &mut top);
    let root_is_whole = !top.faults.iter().any(|c| loses_content(c.code));
    if let Some(corrupt) = no_root(db, &top) {
        top.faults = vec![corrupt];
    }
    // Of a file that ends before any page of a tree there is no more to say than that it ends there.
    let none = db.pages_present() <= 2 && db.source().len() < db.size();
    for corrupt in top.faults.drain(..).filter(|corrupt| !none || corrupt.code != Code::FileTooShort) {
        faults.push(corrupt);
    }

    let names = || top.found.iter().map(|b| b.name.as_slice());
    for corrupt in schema::missing(names(), db) {
        faults.push(corrupt);
    }

    let mut scan = Scan {
        is_etcd: schema::is_etcd(names().chain(top.lost.iter().map(Vec::as_slice))),
        root: top.stats,
        buckets: Vec::new(),
        lost: top.lost.clone(),
        facts: Facts::default(),
        keyspace: Keyspace::default(),
        newest: NewestKeys::default(),
        hash: 0,
        key_bucket: Crc::default(),
        hashkv: None,
        orphans: Orphans::default(),
        free_pages: 0,
        reached: Visited::default(),
        faults,
        root_is_whole,
        whole: BTreeSet::new(),
    };
    scan.top_buckets(&top.found, options.keys, shared);
    let Scan { faults, free_pages, .. } = &mut scan;
    *free_pages = check_freelist(db, &visited, &mut |corrupt| {
        faults.push(corrupt);
    });
    scan.reached = visited;
    monitor.end();
    if monitor.cancelled() { Err(Error::Cancelled) } else { Ok(scan) }
}

/// One fault in place of those of every element, where the meta page leads to a page of values and not to the root.
fn no_root(db: &Db<'_>, top: &Buckets<'_, '_>) -> Option<Corrupt> {
    let values = top.faults.len();
    let only = top.found.is_empty() && top.faults.iter().all(|c| c.code == Code::ElementFlags);
    if !only || values < 2 || !top.lost.is_empty() {
        return None;
    }
    let (root, txid) = (db.meta().root, db.meta().txid);
    let what = format!(
        "the meta page of txid {txid} leads here as to the root, but {values} values and no bucket are below: \
         this is another tree, as that of the keys"
    );
    Some(*Corrupt::new(Code::ElementFlags, At::page(root.0, db.offset_of(root)), what))
}

/// One bucket, walked: its part of the hash, itself and the buckets in it.
struct Walked {
    crc: Crc,
    buckets: Vec<BucketScan>,
}

impl Scan {
    /// Walks the buckets at the top, and joins their checksums in the order of their names.
    fn top_buckets(&mut self, top: &[Bucket<'_, '_>], how: KeyDepth, shared: Shared<'_>) {
        let mut walked: Vec<_> = top.iter().map(|_| None).collect();
        // The small buckets first: what they say about compaction decides what the key bucket may hold.
        for keys in [false, true] {
            for (bucket, place) in top.iter().zip(&mut walked) {
                if (bucket.name == b"key") == keys {
                    *place = Some(self.bucket(bucket, &[], how, shared));
                }
            }
        }
        for (bucket, done) in top.iter().zip(walked) {
            let Some(done) = done else { continue };
            self.hash = crc32c_combine(crc32c(self.hash, &bucket.name), done.crc.crc, done.crc.len);
            self.buckets.extend(done.buckets);
        }
    }

    /// Walks one bucket and those in it.
    fn bucket(
        &mut self,
        bucket: &Bucket<'_, '_>,
        above: &[Vec<u8>],
        how: KeyDepth,
        shared: Shared<'_>,
    ) -> Walked {
        let path: Vec<Vec<u8>> = above.iter().cloned().chain([bucket.name.clone()]).collect();
        let top = above.is_empty();
        let keys = top && self.is_etcd && bucket.name == b"key";
        let parts = match how {
            KeyDepth::History if keys => self.history(bucket, shared),
            KeyDepth::Live if keys => self.live(bucket, shared),
            KeyDepth::Pages if keys => {
                vec![
                    on_one_thread(Part::new(bucket, self.faults.limit(), Content::Nothing), bucket, shared)
                        .seen,
                ]
            }
            _ if top
                && self.is_etcd
                && !keys
                && schema::BUCKETS.iter().any(|b| b.as_bytes() == bucket.name) =>
            {
                self.small(bucket, shared)
            }
            _ => self.on_all_threads(bucket, || Content::Plain, shared),
        };
        let mut walked = Walked { crc: Crc::default(), buckets: Vec::new() };
        let mut stats = Stats::default();
        let mut nested = Vec::new();
        let mut whole = top;
        for part in parts {
            walked.crc.join(part.crc);
            stats.add(&part.stats);
            self.keyspace.add(&part.keyspace);
            whole &= !part.faults.counts.keys().any(|code| loses_content(*code));
            self.faults.extend(part.faults);
            nested.extend(part.nested);
        }
        if keys {
            self.key_bucket = walked.crc;
        }
        if whole {
            self.whole.insert(bucket.name.clone());
        }
        let inline = matches!(bucket.root, Root::Inline { .. });
        walked.buckets.push(BucketScan { path: path.clone(), inline, sequence: bucket.sequence, stats });
        for inner in &nested {
            if path.len() >= MAX_NESTING {
                let at = At { page: Some(inner.page.0), ..At::default() }.bucket(&inner.name);
                let what = format!("buckets are nested deeper than {MAX_NESTING}");
                self.faults.push(*Corrupt::new(Code::BucketHeader, at, what));
                break;
            }
            walked.buckets.extend(self.bucket(inner, &path, how, shared).buckets);
        }
        walked
    }

    /// The bucket `key`, every key's history checked.
    fn history<'b, 's>(&mut self, bucket: &Bucket<'b, 's>, shared: Shared<'_>) -> Vec<Seen<'b, 's>> {
        let compact = if self.knows("meta") { self.facts.compact_revision().unwrap_or(-1) } else { i64::MAX };
        let leases = self.knows("lease");
        let leases = leases.then(|| self.facts.leases.iter().map(|lease| lease.id.get()).collect());
        let check = HistoryCheck::new(compact, leases);
        let part = Part::new(bucket, self.faults.limit(), Content::History(Box::new(check)));
        let part = on_one_thread(part, bucket, shared);
        if let Content::History(check) = part.content {
            let (hash, orphans, newest) = check.finish(part.seen.crc);
            (self.hashkv, self.orphans, self.newest) = (Some(hash), orphans, NewestKeys::History(newest));
        }
        vec![part.seen]
    }

    /// The bucket `key`, what is live gathered.
    fn live<'b, 's>(&mut self, bucket: &Bucket<'b, 's>, shared: Shared<'_>) -> Vec<Seen<'b, 's>> {
        let gathering = Gathering::default();
        let seen = self.on_all_threads(bucket, || Content::Keys(Gatherer::new(&gathering)), shared);
        self.newest = NewestKeys::Live(gathering.done());
        seen
    }

    /// A small bucket, read to what it says.
    fn small<'b, 's>(&mut self, bucket: &Bucket<'b, 's>, shared: Shared<'_>) -> Vec<Seen<'b, 's>> {
        let part = Part::new(bucket, self.faults.limit(), Content::Facts(&mut self.facts));
        vec![on_one_thread(part, bucket, shared).seen]
    }

    fn on_all_threads<'b, 's, 'c>(
        &self,
        bucket: &'c Bucket<'b, 's>,
        content: impl Fn() -> Content<'c> + Sync,
        shared: Shared<'_>,
    ) -> Vec<Seen<'b, 's>> {
        let limit = self.faults.limit();
        let parts = walk_parallel(bucket, shared, || Part::new(bucket, limit, content()));
        parts.into_iter().map(|part| part.seen).collect()
    }
}

fn on_one_thread<'c, 'b, 's>(
    mut part: Part<'c, 'b, 's>,
    bucket: &'c Bucket<'b, 's>,
    shared: Shared<'_>,
) -> Part<'c, 'b, 's> {
    walk(bucket, shared, &mut part);
    part
}
