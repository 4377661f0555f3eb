//! What the raw views of a bbolt file need of more than one page: a bucket by its path, its elements in order, which
//! pages are in use.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::bolt::walk::{Shared, Visited, Visitor, check_freelist, settled, walk, walk_parallel};
use crate::bolt::{Bucket, Db, Freelist, LeafElement, Page, Pgid, Root, db};
use crate::store::scan::Faults;
use crate::words::error::{At, Corrupt, Error, Result};
use crate::words::finding::{Code, Finding};
use crate::words::monitor::Monitor;
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

/// Passes findings on: each of the first hundred of a kind, then only how many more there were.
struct Teller<'m> {
    file: String,
    monitor: &'m dyn Monitor,
    faults: Faults,
}

impl<'m> Teller<'m> {
    fn new(db: &Db<'_>, monitor: &'m dyn Monitor) -> Teller<'m> {
        Teller::of(db, Faults::new(TOLD), monitor)
    }

    /// These have been found already.
    fn of(db: &Db<'_>, faults: Faults, monitor: &'m dyn Monitor) -> Teller<'m> {
        let teller = Teller { file: db.source().name(), monitor, faults };
        teller.tell_from(0);
        teller
    }

    fn tell(&mut self, corrupt: Corrupt) {
        let kept = self.faults.kept.len();
        self.faults.push(corrupt);
        self.tell_from(kept);
    }

    fn tell_from(&self, first: usize) {
        for corrupt in self.faults.kept.iter().skip(first) {
            self.monitor.finding(Finding::from_corrupt(&self.file, corrupt.clone()));
        }
    }

    fn close(self) -> Faults {
        for (code, count) in &self.faults.counts {
            let more = count.saturating_sub(TOLD);
            if more > 0 {
                self.monitor.finding(Finding::new(
                    *code,
                    &self.file,
                    At::default(),
                    format!("{more} more of this kind"),
                ));
            }
        }
        self.faults
    }
}

/// Ends a walk early.
struct Brake<'m> {
    monitor: &'m dyn Monitor,
    pulled: AtomicBool,
}

impl Monitor for Brake<'_> {
    fn cancelled(&self) -> bool {
        self.pulled.load(Ordering::Relaxed) || self.monitor.cancelled()
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
        brake: &'v Brake<'m>,
        teller: Teller<'m>,
        bucket: &'v [u8],
    }
    impl Visitor for Each<'_, '_> {
        fn leaf(&mut self, page: &Page<'_>, _: Option<usize>) {
            for element in page.leaves() {
                if self.brake.cancelled() || (self.each)(page, &element).is_break() {
                    self.brake.pulled.store(true, Ordering::Relaxed);
                    return;
                }
            }
        }
        fn fault(&mut self, mut corrupt: Corrupt) {
            corrupt.at = if self.bucket.is_empty() { corrupt.at } else { corrupt.at.bucket(self.bucket) };
            self.teller.tell(corrupt);
        }
    }
    let db = bucket.db();
    let brake = Brake { monitor, pulled: AtomicBool::new(false) };
    let mut visitor = Each { each, brake: &brake, teller: Teller::new(db, monitor), bucket: &bucket.name };
    walk(bucket, Shared::new(&Visited::new(db), &brake), &mut visitor);
    visitor.teller.close();
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
    let reached_twice = |(_, faults): &(Visited, Faults)| faults.counts.contains_key(&Code::PageShared);
    let (reached, faults) = settled(|alone| trees(db, alone, monitor), reached_twice)?;
    let mut teller = Teller::of(db, faults, monitor);
    // These leave nothing unread.
    let harmless = |code: &Code| matches!(code, Code::KeyOrder | Code::BranchKey | Code::PageShared);
    let complete = teller.faults.counts.keys().all(harmless);
    if let Err(corrupt) = db::check_length(db) {
        teller.tell(*corrupt);
    }
    // Before the freelist's own pages are marked, so that one that is also a tree's is found.
    check_freelist(db, &reached, &mut |corrupt| {
        if complete || corrupt.code != Code::PageLeaked {
            teller.tell(corrupt);
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
    teller.close();
    Ok(PageUse { reached, listed, complete: complete && !unlisted })
}

/// The pages that all trees reach, and what is wrong with them.
fn trees(db: &Db<'_>, alone: bool, monitor: &dyn Monitor) -> Result<(Visited, Faults)> {
    let (reached, mut faults) = (Visited::new(db), Faults::new(TOLD));
    monitor.begin("walking pages", db.pages_present().saturating_mul(db.page_size()));
    let shared = Shared { alone, ..Shared::new(&reached, monitor) };
    let mut pending = vec![db.root()];
    while let Some(bucket) = pending.pop() {
        for part in
            walk_parallel(&bucket, shared, || Trees { db, found: Vec::new(), faults: Faults::new(TOLD) })
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
    faults: Faults,
}

impl Visitor for Trees<'_, '_> {
    fn leaf(&mut self, page: &Page<'_>, _: Option<usize>) {
        for element in page.leaves().filter(|e| e.is_bucket) {
            match Bucket::parse(self.db, page, &element) {
                Ok(bucket) if matches!(bucket.root, Root::Tree(_)) => self.found.push(bucket),
                Ok(_) => {}
                Err(corrupt) => self.faults.push(*corrupt),
            }
        }
    }

    fn fault(&mut self, corrupt: Corrupt) {
        self.faults.push(corrupt);
    }
}
