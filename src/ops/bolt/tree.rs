//! The buckets of a bbolt file inside one another, and what bbolt counts of each (`Bucket.Stats`, `Bucket.Inspect`
//! @ v1.5.0).

use std::collections::VecDeque;

use crate::bolt::limits::{ELEMENT, HEADER};
use crate::bolt::walk::{Shared, Visited, Visitor, walk_or_rerun_alone, walk_parallel};
use crate::bolt::{Bucket, Db, LeafElement, Page, PageKind, Root};
use crate::codec::to_u64;
use crate::ops::bolt::TOLD;
use crate::words::collector::Collector;
use crate::words::error::{Corrupt, Error, Result};
use crate::words::finding::Code;
use crate::words::monitor::Monitor;

/// What bbolt counts of a bucket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BucketStats {
    /// Branch pages, without overflow.
    pub branch_pages: u64,
    /// Their overflow pages.
    pub branch_overflow: u64,
    /// Leaf pages, without overflow; the page in an inline bucket is none.
    pub leaf_pages: u64,
    /// Their overflow pages.
    pub leaf_overflow: u64,
    /// Keys, and buckets as keys.
    pub keys: u64,
    /// Levels of pages: of the bucket, and of the deepest one inside it.
    pub depth: u64,
    /// Bytes of the branch pages that hold something.
    pub branch_used: u64,
    /// Bytes of the leaf pages that hold something.
    pub leaf_used: u64,
    /// Buckets, itself included.
    pub buckets: u64,
    /// Of these, those without pages of their own.
    pub inline_buckets: u64,
    /// Bytes that the pages in these hold.
    pub inline_used: u64,
}

impl BucketStats {
    /// Both together, as bbolt adds them: the depth is the greater one.
    #[must_use]
    pub fn and(self, other: BucketStats) -> BucketStats {
        BucketStats {
            branch_pages: self.branch_pages.saturating_add(other.branch_pages),
            branch_overflow: self.branch_overflow.saturating_add(other.branch_overflow),
            leaf_pages: self.leaf_pages.saturating_add(other.leaf_pages),
            leaf_overflow: self.leaf_overflow.saturating_add(other.leaf_overflow),
            keys: self.keys.saturating_add(other.keys),
            depth: self.depth.max(other.depth),
            branch_used: self.branch_used.saturating_add(other.branch_used),
            leaf_used: self.leaf_used.saturating_add(other.leaf_used),
            buckets: self.buckets.saturating_add(other.buckets),
            inline_buckets: self.inline_buckets.saturating_add(other.inline_buckets),
            inline_used: self.inline_used.saturating_add(other.inline_used),
        }
    }

    /// Counts a page. What it holds goes up to the end of its last element, as Go lays pages out.
    fn page(&mut self, page: &Page<'_>, depth: Option<usize>) {
        let last = page.count.checked_sub(1);
        let end = last.and_then(|last| match page.kind {
            PageKind::Leaf => page.leaf(last).ok().map(|e| e.value_at.saturating_add(e.value.len())),
            _ => page.branch(last).ok().map(|e| e.key_at.saturating_add(e.key.len())),
        });
        let table = page.count.saturating_mul(ELEMENT).saturating_add(HEADER);
        let used = to_u64(end.unwrap_or(table));
        let overflow = u64::from(page.overflow);
        self.depth = self.depth.max(to_u64(depth.unwrap_or(0)).saturating_add(1));
        if page.kind == PageKind::Leaf {
            self.keys = self.keys.saturating_add(to_u64(page.count));
        }
        match (page.kind, depth) {
            (PageKind::Leaf, None) => self.inline_used = self.inline_used.saturating_add(used),
            (PageKind::Leaf, Some(_)) => {
                self.leaf_pages = self.leaf_pages.saturating_add(1);
                self.leaf_overflow = self.leaf_overflow.saturating_add(overflow);
                self.leaf_used = self.leaf_used.saturating_add(used);
            }
            _ => {
                self.branch_pages = self.branch_pages.saturating_add(1);
                self.branch_overflow = self.branch_overflow.saturating_add(overflow);
                self.branch_used = self.branch_used.saturating_add(used);
            }
        }
    }
}

/// A bucket among those of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketNode {
    /// Its name; empty for the root.
    pub name: Vec<u8>,
    /// Which bucket it is in; none for the root.
    pub parent: Option<usize>,
    /// Its keys that are no buckets.
    pub values: u64,
    /// What bbolt counts of it, with all that is inside it.
    pub stats: BucketStats,
}

/// All buckets of a file: the root, then those in it in order of their names, then those in these, and so on.
#[derive(Debug, Clone)]
pub struct BucketTree {
    /// They.
    pub buckets: Vec<BucketNode>,
    /// What could not be read of them; of one kind no more than some, and how many there were.
    pub faults: Collector<Corrupt>,
}

/// Walks all buckets. Each page is counted once, whatever names it.
///
/// # Errors
/// [`Error::Cancelled`] only.
pub fn bucket_tree(db: &Db<'_>, monitor: &dyn Monitor) -> Result<BucketTree> {
    let twice = |tree: &BucketTree| tree.faults.counts.contains_key(&Code::PageShared);
    let mut tree = walk_or_rerun_alone(|alone| walked(db, alone, monitor), twice)?;
    add_up(&mut tree.buckets);
    Ok(tree)
}

/// Adds to each bucket what is inside it: that comes behind it.
fn add_up(buckets: &mut [BucketNode]) {
    let mut inner = vec![BucketStats::default(); buckets.len()];
    for (at, bucket) in buckets.iter_mut().enumerate().rev() {
        let within = inner.get(at).copied().unwrap_or_default();
        let depth = bucket.stats.depth.saturating_add(within.depth);
        bucket.stats = BucketStats { depth, ..bucket.stats.and(within) };
        if let Some(parent) = bucket.parent.and_then(|parent| inner.get_mut(parent)) {
            *parent = parent.and(bucket.stats);
        }
    }
}

fn walked(db: &Db<'_>, alone: bool, monitor: &dyn Monitor) -> Result<BucketTree> {
    let (reached, mut faults) = (Visited::new(db), Collector::new(TOLD));
    monitor.begin("walking buckets", db.size());
    let shared = Shared { alone, ..Shared::new(&reached, monitor) };
    let root = db.root();
    let mut buckets = vec![BucketNode { name: Vec::new(), parent: None, values: 0, stats: of_itself(&root) }];
    // A bucket waits with its name and header only.
    let mut pending = VecDeque::from([(0, root)]);
    while let Some((at, bucket)) = pending.pop_front() {
        for part in walk_parallel(&bucket, shared, || Part::new(db)) {
            faults.extend(part.faults);
            if let Some(node) = buckets.get_mut(at) {
                node.values = node.values.saturating_add(part.values);
                node.stats = node.stats.and(part.stats);
            }
            for found in part.found {
                let (name, stats) = (found.name.clone(), of_itself(&found));
                pending.push_back((buckets.len(), found));
                buckets.push(BucketNode { name, parent: Some(at), values: 0, stats });
            }
        }
        if monitor.cancelled() {
            return Err(Error::Cancelled);
        }
    }
    monitor.end();
    Ok(BucketTree { buckets, faults })
}

/// A bucket before its pages are counted.
fn of_itself(bucket: &Bucket<'_, '_>) -> BucketStats {
    let inline = u64::from(matches!(bucket.root, Root::Inline { .. }));
    BucketStats { buckets: 1, inline_buckets: inline, ..BucketStats::default() }
}

/// What one thread sees of a bucket.
struct Part<'d, 's> {
    db: &'d Db<'s>,
    found: Vec<Bucket<'d, 's>>,
    values: u64,
    stats: BucketStats,
    faults: Collector<Corrupt>,
}

impl<'d, 's> Part<'d, 's> {
    fn new(db: &'d Db<'s>) -> Self {
        let (values, stats) = (0, BucketStats::default());
        Part { db, found: Vec::new(), values, stats, faults: Collector::new(TOLD) }
    }
}

impl Visitor for Part<'_, '_> {
    fn branch(&mut self, page: &Page<'_>, depth: usize) {
        self.stats.page(page, Some(depth));
    }

    fn leaf<'p>(&mut self, page: &Page<'p>, elements: &[LeafElement<'p>], depth: Option<usize>) {
        self.stats.page(page, depth);
        for element in elements {
            if !element.is_bucket {
                self.values = self.values.saturating_add(1);
                continue;
            }
            // Inside an inline bucket there is none: the walk tells.
            if depth.is_some() {
                match Bucket::parse(self.db, page, element) {
                    Ok(bucket) => self.found.push(bucket),
                    Err(corrupt) => drop(self.faults.push(*corrupt)),
                }
            }
        }
    }

    fn fault(&mut self, corrupt: Corrupt) {
        self.faults.push(corrupt);
    }
}
