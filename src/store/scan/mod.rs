//! One walk over everything in a database: all page rules checked, all buckets read. What status, inspect and verify
//! are made from.

mod part;

use std::collections::BTreeSet;

use self::part::{Chronicle, Content, Part};
pub use crate::bolt::walk::Faults;
use crate::bolt::walk::{Buckets, Shared, Stats, Visited, check_freelist, settled, walk, walk_parallel};
use crate::bolt::{Bucket, Db, Pgid, Root};
use crate::codec::checksum::{crc32c, crc32c_combine};
use crate::etcd::newest::{Gatherer, Gathering, Newest};
use crate::etcd::{Facts, Revision, schema};
use crate::io::Gate;
pub use crate::store::crc::Crc;
use crate::words::error::{At, Corrupt, Error, Result};
use crate::words::finding::Code;
use crate::words::ids::LeaseId;
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

/// A live key whose lease is not there.
#[derive(Debug, Clone, Copy)]
pub struct Orphan {
    /// Its newest revision.
    pub revision: Revision,
    /// The lease it names.
    pub lease: LeaseId,
    /// The page it lies in.
    pub page: Pgid,
    /// Where its KeyValue lies: byte offset in the file and length.
    pub value: (u64, usize),
}

/// Live keys whose lease is not there, by revision.
pub type Orphans = Vec<Orphan>;

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
    pub faults: Faults,
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
    pub keys: Keys,
}

/// How closely the bucket `key` is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
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
    settled(
        |alone| pass(db, options, alone, monitor),
        |scan| scan.faults.counts.contains_key(&Code::PageShared),
    )
}

fn pass(db: &Db<'_>, options: ScanOptions<'_>, alone: bool, monitor: &dyn Monitor) -> Result<Scan> {
    let visited = Visited::new(db);
    let shared = Shared { gate: options.gate, alone, ..Shared::new(&visited, monitor) };
    let mut faults = Faults::new(options.limit);
    db.faults().for_each(|corrupt| faults.push(corrupt));
    monitor.begin("walking pages", db.pages_present().saturating_mul(db.page_size()));

    let root = db.root();
    let mut top = Buckets::new(db);
    walk(&root, shared, &mut top);
    let root_is_whole = !top.faults.iter().any(|c| loses(c.code));
    top.faults.drain(..).for_each(|c| faults.push(c));

    let names = || top.found.iter().map(|b| b.name.as_slice());
    schema::missing(names(), db).into_iter().for_each(|c| faults.push(c));

    let mut scan = Scan {
        is_etcd: schema::is_etcd(names().chain(top.lost.iter().map(Vec::as_slice))),
        root: top.stats,
        buckets: Vec::new(),
        lost: top.lost.clone(),
        facts: Facts::default(),
        keyspace: Keyspace::default(),
        newest: Newest::default(),
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
    // The small buckets first: what they say about compaction decides what the key bucket may hold.
    let mut walked: Vec<_> = top.found.iter().map(|_| None).collect();
    for keys in [false, true] {
        for (bucket, place) in top.found.iter().zip(&mut walked) {
            if (bucket.name == b"key") == keys {
                *place = Some(scan.bucket(bucket, &[], options.keys, shared));
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
    scan.reached = visited;
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

impl Scan {
    fn bucket(
        &mut self,
        bucket: &Bucket<'_, '_>,
        above: &[Vec<u8>],
        how: Keys,
        shared: Shared<'_>,
    ) -> Walked {
        let path: Vec<Vec<u8>> = above.iter().cloned().chain([bucket.name.clone()]).collect();
        let limit = self.faults.limit();
        let known = above.is_empty() && self.is_etcd;
        let keys = known && bucket.name == b"key";
        let small = known && !keys && schema::BUCKETS.iter().any(|b| b.as_bytes() == bucket.name);
        let gathering = Gathering::default();
        let live = keys && how == Keys::Live;
        let pages = keys && how == Keys::Pages;
        let content = || match how {
            Keys::Live if keys => Content::Keys(Gatherer::new(&gathering)),
            Keys::Pages if keys => Content::Nothing,
            _ => Content::Plain,
        };
        let parts = if keys && how == Keys::History {
            let compact =
                if self.knows("meta") { self.facts.compact_revision().unwrap_or(-1) } else { i64::MAX };
            let leases =
                self.knows("lease").then(|| self.facts.leases.iter().map(|lease| lease.id.get()).collect());
            let mut part = Part::new(
                bucket,
                limit,
                Content::History(Box::new(Chronicle::new(&mut self.newest, compact, leases))),
            );
            walk(bucket, shared, &mut part);
            let all = part.seen.crc;
            if let Content::History(chronicle) = part.content {
                let (hash, orphans) = chronicle.finish(all);
                (self.hashkv, self.orphans) = (Some(hash), orphans);
            }
            vec![part.seen]
        } else if small || pages {
            let mut part =
                Part::new(bucket, limit, if small { Content::Facts(&mut self.facts) } else { content() });
            walk(bucket, shared, &mut part);
            vec![part.seen]
        } else {
            walk_parallel(bucket, shared, || Part::new(bucket, limit, content()))
                .into_iter()
                .map(|part| part.seen)
                .collect()
        };
        if live {
            self.newest = gathering.done();
        }
        let mut walked = Walked { crc: Crc::default(), buckets: Vec::new() };
        let mut stats = Stats::default();
        let mut nested = Vec::new();
        let mut whole = above.is_empty();
        for part in parts {
            walked.crc.join(part.crc);
            stats.add(&part.stats);
            self.keyspace.add(&part.keyspace);
            whole &= !part.faults.counts.keys().any(|code| loses(*code));
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
                self.faults.push(*Corrupt::new(
                    Code::BucketHeader,
                    at,
                    format!("buckets are nested deeper than {MAX_NESTING}"),
                ));
                break;
            }
            walked.buckets.extend(self.bucket(inner, &path, how, shared).buckets);
        }
        walked
    }
}
