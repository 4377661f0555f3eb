//! What the raw views of a bbolt file need of more than one page: a bucket by its path, its elements in order, which
//! pages are in use.

mod check;
#[cfg(feature = "fs")]
mod compact;
mod tree;

pub use self::check::check;
#[cfg(feature = "fs")]
pub use self::compact::{Compacted, compact};
pub use self::tree::{BucketNode, BucketStats, BucketTree, bucket_tree};

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::bolt::walk::{Shared, Visited, Visitor, check_freelist, walk, walk_or_rerun_alone, walk_parallel};
use crate::bolt::{Bucket, Db, Freelist, LeafElement, Page, Pgid, Root, db};
use crate::words::collector::{Collector, Teller};
use crate::words::error::{Corrupt, Error, Result};
use crate::words::finding::Code;
use crate::words::monitor::{Monitor, Relay};
use crate::words::refusal::Refusal;

/// Findings of one kind that are told one by one; of the rest only the number.
const TOLD: u64 = 100;

/// The bucket at the end of a path of names; the root for an empty path.
///
/// # Errors
/// [`Error::Refused`] when there is no such bucket, [`Error::Damaged`] when the way to it is.
pub fn bucket_at<'d, 's>(db: &'d Db<'s>, path: &[&[u8]]) -> Result<Bucket<'d, 's>> {
    let mut bucket = db.root();
    for name in path {
        let next = bucket.bucket(name).map_err(|c| Error::damaged(db.source().path(), c))?;
        bucket = next.ok_or_else(|| {
            let (file, parent) = (db.source().name(), bucket.name.to_vec());
            Error::from(Refusal::NoBucket { file, bucket: name.to_vec(), parent })
        })?;
    }
    Ok(bucket)
}

/// The value of a key.
///
/// # Errors
/// [`Error::Refused`] when there is no such key or it is a bucket, [`Error::Damaged`] when the way to it is.
pub fn value_of(bucket: &Bucket<'_, '_>, key: &[u8]) -> Result<Vec<u8>> {
    let source = bucket.db().source();
    let mut cursor = bucket.cursor();
    let found =
        cursor.seek(key).map_err(|c| Error::damaged(source.path(), c))?.filter(|item| item.key == key);
    let (file, bucket, key) = (source.name(), bucket.name.to_vec(), key.to_vec());
    match found {
        Some(item) if !item.is_bucket => Ok(item.value.to_vec()),
        Some(_) => Err(Refusal::IsABucket { file, bucket, key }.into()),
        None => Err(Refusal::NoKey { file, bucket, key }.into()),
    }
}

/// Hands out the elements of a bucket that can be read, in the order of the tree, until `each` breaks off. What
/// cannot be read goes to the monitor as findings, and the walk goes on behind it.
pub fn elements(
    bucket: &Bucket<'_, '_>,
    monitor: &dyn Monitor,
    each: &mut dyn FnMut(&Page<'_>, &LeafElement<'_>) -> ControlFlow<()>,
) {
    struct Each<'v, 'm> {
        each: &'v mut dyn FnMut(&Page<'_>, &LeafElement<'_>) -> ControlFlow<()>,
        monitor: &'v Relay<'m>,
        brake: &'v AtomicBool,
        file: String,
        teller: Teller<'m>,
        bucket: &'v [u8],
    }
    impl Visitor for Each<'_, '_> {
        fn leaf<'p>(&mut self, page: &Page<'p>, elements: &[LeafElement<'p>], _: Option<usize>) {
            for element in elements {
                if self.monitor.cancelled() || (self.each)(page, element).is_break() {
                    self.brake.store(true, Ordering::Relaxed);
                    return;
                }
            }
        }
        fn fault(&mut self, mut corrupt: Corrupt) {
            corrupt.at = if self.bucket.is_empty() { corrupt.at } else { corrupt.at.bucket(self.bucket) };
            self.teller.corrupt(&self.file, corrupt);
        }
    }
    let db = bucket.db();
    let brake = AtomicBool::new(false);
    let relay = Relay::new(monitor).without_findings().without_progress().stopped_by(&brake);
    let (file, teller) = (db.source().name(), Teller::new(TOLD, monitor));
    let mut visitor = Each { each, monitor: &relay, brake: &brake, file, teller, bucket: &bucket.name };
    walk(bucket, Shared::new(&Visited::new(db), &relay), &mut visitor);
    visitor.teller.tell_rest(&visitor.file);
}

/// What a page is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Use {
    /// A meta page, a page of a tree or of the freelist.
    Used,
    /// Nothing: the freelist lists it, or there is no freelist and no tree has it.
    Free,
    /// No tree has it and the freelist does not list it either; or damage hides the trees it may be in.
    Lost,
}

/// Which pages are in use: two bits a page.
#[derive(Debug)]
pub struct PageUse {
    reached: Visited,
    listed: Option<Visited>,
    /// Whether every tree could be followed to its leaves. If not, a page that was not reached need not be free.
    pub complete: bool,
}

impl PageUse {
    /// What page `id` is for.
    #[must_use]
    pub fn of(&self, id: Pgid) -> Use {
        match &self.listed {
            _ if self.reached.has(id) => Use::Used,
            Some(listed) if listed.has(id) => Use::Free,
            None if self.complete => Use::Free,
            _ => Use::Lost,
        }
    }
}

/// Walks all trees to learn which pages are in use. etcd stores no freelist: there, free is what no tree reaches.
///
/// What is wrong goes to the monitor as findings.
///
/// # Errors
/// [`Error::Cancelled`] only.
pub fn page_use(db: &Db<'_>, monitor: &dyn Monitor) -> Result<PageUse> {
    let reached_twice =
        |(_, faults): &(Visited, Collector<Corrupt>)| faults.counts.contains_key(&Code::PageShared);
    let (reached, faults) = walk_or_rerun_alone(|alone| trees(db, alone, monitor), reached_twice)?;
    // These leave nothing unread.
    let harmless = |code: &Code| matches!(code, Code::KeyOrder | Code::BranchKey | Code::PageShared);
    let complete = faults.counts.keys().all(harmless);
    let (file, mut teller) = (db.source().name(), Teller::new(TOLD, monitor));
    teller.absorb(&file, faults);
    if let Err(corrupt) = db::check_length(db) {
        teller.corrupt(&file, *corrupt);
    }
    // Before the freelist's own pages are marked, so that one that is also a tree's is found.
    check_freelist(db, &reached, &mut |corrupt| {
        if complete || corrupt.code != Code::PageLeaked {
            teller.corrupt(&file, corrupt);
        }
    });
    let listed = Freelist::read(db).ok().flatten().map(|list| {
        let listed = Visited::new(db);
        for id in list.ids {
            listed.mark(id, 1);
        }
        listed
    });
    let unlisted = db.meta().freelist.is_some() && listed.is_none();
    teller.tell_rest(&file);
    Ok(PageUse { reached, listed, complete: complete && !unlisted })
}

/// The pages that all trees reach, and what is wrong with them.
fn trees(db: &Db<'_>, alone: bool, monitor: &dyn Monitor) -> Result<(Visited, Collector<Corrupt>)> {
    let (reached, mut faults) = (Visited::new(db), Collector::new(TOLD));
    monitor.begin("walking pages", db.pages_present().saturating_mul(db.page_size()));
    let shared = Shared { alone, ..Shared::new(&reached, monitor) };
    let mut pending = vec![db.root()];
    while let Some(bucket) = pending.pop() {
        for part in
            walk_parallel(&bucket, shared, || Trees { db, found: Vec::new(), faults: Collector::new(TOLD) })
        {
            pending.extend(part.found);
            faults.extend(part.faults);
        }
    }
    monitor.end();
    if monitor.cancelled() { Err(Error::Cancelled) } else { Ok((reached, faults)) }
}

/// Collects the buckets of a bucket that have a tree of their own.
struct Trees<'d, 's> {
    db: &'d Db<'s>,
    found: Vec<Bucket<'d, 's>>,
    faults: Collector<Corrupt>,
}

impl Visitor for Trees<'_, '_> {
    fn leaf<'p>(&mut self, page: &Page<'p>, elements: &[LeafElement<'p>], _: Option<usize>) {
        for element in elements.iter().filter(|e| e.is_bucket) {
            match Bucket::parse(self.db, page, element) {
                Ok(bucket) if matches!(bucket.root, Root::Tree(_)) => self.found.push(bucket),
                Ok(_) => {}
                Err(corrupt) => drop(self.faults.push(*corrupt)),
            }
        }
    }

    fn fault(&mut self, corrupt: Corrupt) {
        self.faults.push(corrupt);
    }
}
