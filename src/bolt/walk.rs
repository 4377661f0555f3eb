//! The walk over all pages of a tree: every rule of the format checked, every page visited once, whatever the bytes say.
//!
//! It checks what bbolt's `Tx.Check` checks and what that leaves out: element bounds, inline buckets, branch keys, equal depth, page
//! numbers at the high water mark. A fault is handed to the [`Visitor`] and the walk goes on with what can still be reached.

use std::sync::atomic::{AtomicU64, Ordering};

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::cursor::MAX_DEPTH;
use super::{Bucket, Db, Kind, Page, Pgid, Root};
use crate::bytes::{Gate, Window, to_u64, to_usize};
use crate::error::{At, Corrupt};
use crate::finding::Code;
use crate::monitor::Monitor;

/// How many bytes are walked between two words to the monitor.
const STRIDE: u64 = 1 << 20;
/// Subtrees for each core: enough that an uneven tree still keeps all of them busy.
const UNITS_PER_CORE: usize = 16;

/// Sees the pages of a tree, in key order.
pub trait Visitor {
    /// A branch page.
    fn branch(&mut self, page: &Page<'_>, depth: usize) {
        let _ = (page, depth);
    }
    /// A leaf page; `depth` is `None` for the page inside an inline bucket. Damaged elements have been reported: use [`Page::leaves`].
    fn leaf(&mut self, page: &Page<'_>, depth: Option<usize>);
    /// A rule that is broken.
    fn fault(&mut self, corrupt: Corrupt);
}

/// Which pages have been visited: one bit a page. Shared by all threads of a walk.
#[derive(Debug)]
pub struct Visited {
    bits: Vec<AtomicU64>,
}

impl Visited {
    /// Nothing visited but the two meta pages. Memory is bounded by the file's length, whatever its high water mark claims.
    #[must_use]
    pub fn new(db: &Db<'_>) -> Visited {
        let words = to_usize(db.pages_present() / 64).saturating_add(1);
        let visited = Visited { bits: std::iter::repeat_with(|| AtomicU64::new(0)).take(words).collect() };
        visited.mark(Pgid(0), 2);
        visited
    }

    /// Marks a run of pages; `false` if one of them was marked before.
    pub fn mark(&self, first: Pgid, run: u64) -> bool {
        (first.0..first.0.saturating_add(run)).all(|id| {
            let bit = 1u64 << (id % 64);
            self.bits.get(to_usize(id / 64)).is_some_and(|word| word.fetch_or(bit, Ordering::Relaxed) & bit == 0)
        })
    }

    /// Whether a page was visited.
    #[must_use]
    pub fn has(&self, id: Pgid) -> bool {
        self.bits.get(to_usize(id.0 / 64)).is_some_and(|word| word.load(Ordering::Relaxed) & 1u64 << (id.0 % 64) != 0)
    }
}

/// A page whose subtree is still to be walked, and what its parents say about its keys.
#[derive(Debug, Clone)]
struct Subtree {
    id: Pgid,
    depth: usize,
    lower: Option<Vec<u8>>,
    upper: Option<Vec<u8>>,
}

/// What a page's parents say about its keys: the first one equals `lower`, all are less than `upper`.
#[derive(Clone, Copy)]
struct Bounds<'b> {
    lower: Option<&'b [u8]>,
    upper: Option<&'b [u8]>,
}

/// What the threads of a walk share.
#[derive(Clone, Copy)]
pub struct Shared<'w> {
    /// Which pages have been visited.
    pub visited: &'w Visited,
    /// Who hears how far it is.
    pub monitor: &'w dyn Monitor,
    /// The reader that leaf pages wait for, when the file is cold.
    pub gate: Option<&'w Gate>,
}

/// Walks trees of one file, one thread.
struct Walk<'w> {
    db: &'w Db<'w>,
    shared: Shared<'w>,
    leaf_depth: Option<usize>,
    /// One window a level, so that neighbouring pages are read ahead.
    windows: Vec<Window>,
    unsaid: u64,
    cancelled: bool,
}

/// Walks one bucket on the calling thread.
pub fn walk(bucket: &Bucket<'_, '_>, shared: Shared<'_>, visitor: &mut dyn Visitor) {
    if let Root::Tree(root) = bucket.root {
        let mut walk = Walk::new(bucket.db, shared, root);
        walk.subtree(&Subtree { id: root, depth: 0, lower: None, upper: None }, visitor);
        walk.say();
    } else {
        inline(bucket, visitor);
    }
}

/// Walks one bucket on all threads of the pool. Returns the visitors that `make` made, in key order; the first one has seen the pages
/// near the root.
pub fn walk_parallel<V: Visitor + Send>(bucket: &Bucket<'_, '_>, shared: Shared<'_>, make: impl Fn() -> V + Sync) -> Vec<V> {
    let mut first = make();
    let Root::Tree(root) = bucket.root else {
        inline(bucket, &mut first);
        return vec![first];
    };
    let mut walk = Walk::new(bucket.db, shared, root);
    let subtrees = walk.split(root, rayon::current_num_threads().saturating_mul(UNITS_PER_CORE), &mut first);
    let leaf_depth = walk.leaf_depth;
    let rest: Vec<V> = subtrees
        .into_par_iter()
        .map(|subtree| {
            let mut visitor = make();
            let mut walk = Walk { leaf_depth, ..Walk::unmeasured(bucket.db, shared) };
            walk.subtree(&subtree, &mut visitor);
            walk.say();
            visitor
        })
        .collect();
    let mut all = vec![first];
    all.extend(rest);
    all
}

fn inline(bucket: &Bucket<'_, '_>, visitor: &mut dyn Visitor) {
    match bucket.inline_page() {
        Some(Ok(page)) => {
            check_elements(&page, Bounds { lower: None, upper: None }, &mut |c| visitor.fault(c));
            for (index, element) in page.leaves().enumerate() {
                if element.is_bucket {
                    let what = "a bucket inside an inline bucket";
                    visitor.fault(*Corrupt::new(Code::BucketHeader, page.at().element(index).bucket(&bucket.name), what));
                }
            }
            visitor.leaf(&page, None);
        }
        Some(Err(corrupt)) => visitor.fault(*corrupt),
        None => {}
    }
}

/// Keys ascending, elements inside the page, within what the parents say.
fn check_elements(page: &Page<'_>, bounds: Bounds<'_>, fault: &mut dyn FnMut(Corrupt)) {
    let mut before: Option<&[u8]> = None;
    for index in 0..page.count {
        let key = match page.key(index) {
            Ok(key) => key,
            Err(corrupt) => {
                fault(*corrupt);
                continue;
            }
        };
        let at = || page.at().element(index).key(key);
        if let Some(before) = before
            && key <= before
        {
            let what = format!("key is not greater than the one before it, {}", before.escape_ascii());
            fault(*Corrupt::new(Code::KeyOrder, at(), what));
        }
        if let Some(lower) = bounds.lower.filter(|_| index == 0)
            && key != lower
        {
            let (code, word) = if key < lower { (Code::KeyOrder, "less than") } else { (Code::BranchKey, "not") };
            let what = format!("first key of the page is {word} the key its parent has for it, {}", lower.escape_ascii());
            fault(*Corrupt::new(code, at(), what));
        }
        if let Some(upper) = bounds.upper
            && key >= upper
        {
            let what = format!("key is not less than the parent's next key, {}", upper.escape_ascii());
            fault(*Corrupt::new(Code::KeyOrder, at(), what));
        }
        before = Some(key);
    }
}

impl<'w> Walk<'w> {
    fn unmeasured(db: &'w Db<'w>, shared: Shared<'w>) -> Walk<'w> {
        Walk { db, shared, leaf_depth: None, windows: Vec::new(), unsaid: 0, cancelled: false }
    }

    fn new(db: &'w Db<'w>, shared: Shared<'w>, root: Pgid) -> Walk<'w> {
        let mut walk = Walk::unmeasured(db, shared);
        walk.leaf_depth = walk.first_leaf_depth(root);
        walk
    }

    /// How deep the first leaf lies: all others must lie as deep.
    fn first_leaf_depth(&mut self, root: Pgid) -> Option<usize> {
        let mut id = root;
        let mut window = Window::new();
        for depth in 0..MAX_DEPTH {
            let page = self.db.page(id, &mut window).ok()?;
            match page.kind {
                Kind::Leaf => return Some(depth),
                Kind::Branch => id = page.branch(0).ok()?.child,
                Kind::Meta | Kind::Freelist => return None,
            }
        }
        None
    }

    fn say(&mut self) {
        self.shared.monitor.advance(std::mem::take(&mut self.unsaid));
        self.cancelled |= self.shared.monitor.cancelled();
    }

    /// Reads and marks a page of the tree, and checks its elements. `None` when there is nothing to follow.
    fn enter<'p>(
        &mut self,
        id: Pgid,
        depth: usize,
        bounds: Bounds<'_>,
        window: &'p mut Window,
        visitor: &mut dyn Visitor,
    ) -> Option<Page<'p>> {
        if self.unsaid >= STRIDE {
            self.say();
        }
        if self.cancelled {
            return None;
        }
        // Branch pages are few and lead to all others: they do not wait.
        if let Some(gate) = self.shared.gate
            && self.leaf_depth.is_some_and(|leaf| depth >= leaf)
        {
            gate.wait(self.db.offset_of(Pgid(id.0.saturating_add(1))).min(self.db.source().len()));
        }
        let page = match self.db.page(id, window) {
            Ok(page) => page,
            Err(corrupt) => {
                visitor.fault(*corrupt);
                return None;
            }
        };
        if !matches!(page.kind, Kind::Branch | Kind::Leaf) {
            let what = format!("a {} page stands where a branch or leaf is due", page.kind.name());
            visitor.fault(*Corrupt::new(Code::PageType, page.at(), what));
            return None;
        }
        let run = u64::from(page.overflow).saturating_add(1);
        if !self.shared.visited.mark(id, run) {
            visitor.fault(*Corrupt::new(Code::PageShared, page.at(), "the page, or one of its overflow pages, is reached a second time"));
            return None;
        }
        self.unsaid = self.unsaid.saturating_add(to_u64(page.bytes.len()));
        if page.count == 0 && (depth > 0 || page.kind == Kind::Branch) {
            visitor.fault(*Corrupt::new(Code::PageCount, page.at(), "the page holds no element"));
        }
        if page.kind == Kind::Leaf && self.leaf_depth.is_some_and(|due| due != depth) {
            let what = format!("leaf at depth {depth}, the tree's first leaf is at depth {}", self.leaf_depth.unwrap_or(0));
            visitor.fault(*Corrupt::new(Code::DepthUneven, page.at(), what));
        }
        if page.kind == Kind::Branch && depth >= MAX_DEPTH {
            visitor.fault(*Corrupt::new(Code::DepthUneven, page.at(), format!("the tree is deeper than {MAX_DEPTH} pages")));
            return None;
        }
        check_elements(&page, bounds, &mut |c| visitor.fault(c));
        Some(page)
    }

    fn subtree(&mut self, subtree: &Subtree, visitor: &mut dyn Visitor) {
        let bounds = Bounds { lower: subtree.lower.as_deref(), upper: subtree.upper.as_deref() };
        self.visit(subtree.id, subtree.depth, bounds, visitor);
    }

    fn visit(&mut self, id: Pgid, depth: usize, bounds: Bounds<'_>, visitor: &mut dyn Visitor) {
        if self.windows.len() <= depth {
            self.windows.resize_with(depth.saturating_add(1), Window::new);
        }
        let mut window = self.windows.get_mut(depth).map(std::mem::take).unwrap_or_default();
        if let Some(page) = self.enter(id, depth, bounds, &mut window, visitor) {
            if page.kind == Kind::Leaf {
                visitor.leaf(&page, Some(depth));
            } else {
                visitor.branch(&page, depth);
                for (child, bounds) in children(&page, bounds) {
                    self.visit(child, depth.saturating_add(1), bounds, visitor);
                }
            }
        }
        if let Some(place) = self.windows.get_mut(depth) {
            *place = window;
        }
    }

    /// Cuts the tree into at least `parts` subtrees in key order, visiting the branch pages above them.
    fn split(&mut self, root: Pgid, parts: usize, visitor: &mut dyn Visitor) -> Vec<Subtree> {
        let mut subtrees = vec![Subtree { id: root, depth: 0, lower: None, upper: None }];
        let mut window = Window::new();
        for depth in 0..self.leaf_depth.unwrap_or(0) {
            if subtrees.len() >= parts {
                break;
            }
            let mut below = Vec::new();
            for subtree in subtrees {
                // A leaf higher up than the others is left for its visit.
                let branch = self.db.page(subtree.id, &mut window).is_ok_and(|page| page.kind == Kind::Branch);
                if !branch || subtree.depth != depth {
                    below.push(subtree);
                    continue;
                }
                let bounds = Bounds { lower: subtree.lower.as_deref(), upper: subtree.upper.as_deref() };
                let Some(page) = self.enter(subtree.id, depth, bounds, &mut window, visitor) else { continue };
                visitor.branch(&page, depth);
                below.extend(children(&page, bounds).map(|(id, bounds)| Subtree {
                    id,
                    depth: depth.saturating_add(1),
                    lower: bounds.lower.map(<[u8]>::to_vec),
                    upper: bounds.upper.map(<[u8]>::to_vec),
                }));
            }
            subtrees = below;
        }
        self.say();
        subtrees
    }
}

/// The children of a branch page that can be read, with what this page and its parents say about their keys.
///
/// A key that is out of order among its neighbours was reported as such: it says nothing about the children.
fn children<'p>(page: &Page<'p>, bounds: Bounds<'p>) -> impl Iterator<Item = (Pgid, Bounds<'p>)> {
    let page = *page;
    let key = move |index: usize| page.branch(index).ok().map(|element| element.key);
    let trusted = move |index: usize| {
        let own = key(index)?;
        let after = index.checked_sub(1).and_then(key).is_none_or(|before| before < own);
        let before = key(index.saturating_add(1)).or(bounds.upper).is_none_or(|next| own < next);
        (after && before).then_some(own)
    };
    (0..page.count).filter_map(move |index| {
        let child = page.branch(index).ok()?.child;
        let lower = bounds.lower.filter(|_| index == 0).or_else(|| trusted(index));
        let upper = (index.saturating_add(1)..page.count).find_map(trusted).or(bounds.upper);
        Some((child, Bounds { lower, upper }))
    })
}

/// The buckets in a bucket's leaf pages, in key order. A visitor for a bucket that holds buckets, as the root does.
#[derive(Debug)]
pub struct Buckets<'d, 's> {
    db: &'d Db<'s>,
    /// Those that could be read.
    pub found: Vec<Bucket<'d, 's>>,
    /// Names of those that could not.
    pub lost: Vec<Vec<u8>>,
    /// Names of elements that are not buckets.
    pub plain: Vec<Vec<u8>>,
    /// What is wrong.
    pub faults: Vec<Corrupt>,
    /// Pages and elements of the bucket itself.
    pub stats: Stats,
}

impl<'d, 's> Buckets<'d, 's> {
    /// None found yet.
    #[must_use]
    pub fn new(db: &'d Db<'s>) -> Buckets<'d, 's> {
        Buckets { db, found: Vec::new(), lost: Vec::new(), plain: Vec::new(), faults: Vec::new(), stats: Stats::default() }
    }
}

impl Visitor for Buckets<'_, '_> {
    fn branch(&mut self, page: &Page<'_>, depth: usize) {
        self.stats.branch(page, depth);
    }

    fn leaf(&mut self, page: &Page<'_>, depth: Option<usize>) {
        self.stats.leaf(page, depth);
        for element in page.leaves() {
            if !element.is_bucket {
                self.plain.push(element.key.to_vec());
                continue;
            }
            match Bucket::parse(self.db, page, &element) {
                Ok(bucket) => self.found.push(bucket),
                Err(corrupt) => {
                    self.lost.push(element.key.to_vec());
                    self.faults.push(*corrupt);
                }
            }
        }
    }

    fn fault(&mut self, corrupt: Corrupt) {
        self.faults.push(corrupt);
    }
}

/// How big a tree is.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Stats {
    /// Keys and sub-buckets.
    pub elements: u64,
    /// Levels of pages; 0 for an inline bucket.
    pub depth: u64,
    /// Branch pages, without overflow.
    pub branch_pages: u64,
    /// Leaf pages, without overflow.
    pub leaf_pages: u64,
    /// Overflow pages of both.
    pub overflow_pages: u64,
    /// Bytes of these pages.
    pub bytes: u64,
    /// Bytes of them that hold headers, elements, keys and values.
    pub bytes_used: u64,
    /// Bytes of the inline page, for an inline bucket.
    pub inline_bytes: u64,
}

impl Stats {
    fn page(&mut self, page: &Page<'_>, depth: usize) {
        self.depth = self.depth.max(to_u64(depth).saturating_add(1));
        self.overflow_pages = self.overflow_pages.saturating_add(u64::from(page.overflow));
        self.bytes = self.bytes.saturating_add(to_u64(page.bytes.len()));
        self.bytes_used = self.bytes_used.saturating_add(page.used());
    }

    /// Counts a branch page.
    pub fn branch(&mut self, page: &Page<'_>, depth: usize) {
        self.page(page, depth);
        self.branch_pages = self.branch_pages.saturating_add(1);
    }

    /// Counts a leaf page.
    pub fn leaf(&mut self, page: &Page<'_>, depth: Option<usize>) {
        self.elements = self.elements.saturating_add(to_u64(page.count));
        match depth {
            Some(depth) => {
                self.page(page, depth);
                self.leaf_pages = self.leaf_pages.saturating_add(1);
            }
            None => self.inline_bytes = self.inline_bytes.saturating_add(to_u64(page.bytes.len())),
        }
    }

    /// Adds another part of the same tree, or another tree.
    pub fn add(&mut self, other: &Stats) {
        self.elements = self.elements.saturating_add(other.elements);
        self.depth = self.depth.max(other.depth);
        self.branch_pages = self.branch_pages.saturating_add(other.branch_pages);
        self.leaf_pages = self.leaf_pages.saturating_add(other.leaf_pages);
        self.overflow_pages = self.overflow_pages.saturating_add(other.overflow_pages);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.bytes_used = self.bytes_used.saturating_add(other.bytes_used);
        self.inline_bytes = self.inline_bytes.saturating_add(other.inline_bytes);
    }

    /// Pages of the tree, overflow included.
    #[must_use]
    pub fn pages(&self) -> u64 {
        self.branch_pages.saturating_add(self.leaf_pages).saturating_add(self.overflow_pages)
    }
}

/// What is left once all trees are walked: the freelist against them, and pages that belong to nobody.
///
/// Returns the number of free pages: listed, or without a stored freelist all that were not visited.
pub fn check_freelist(db: &Db<'_>, visited: &Visited, fault: &mut dyn FnMut(Corrupt)) -> u64 {
    let present = db.pages_present();
    let unvisited = |v: &Visited| (2..present).filter(|id| !v.has(Pgid(*id))).map(Pgid).collect::<Vec<_>>();
    let list = match super::Freelist::read(db) {
        Ok(Some(list)) => list,
        Ok(None) => return to_u64((2..present).filter(|id| !visited.has(Pgid(*id))).count()),
        Err(corrupt) => {
            fault(*corrupt);
            return 0;
        }
    };
    let high = db.meta().high_water;
    let list_at = At::page(list.page.0, db.offset_of(list.page));
    if !visited.mark(list.page, list.pages) {
        fault(*Corrupt::new(Code::PageShared, list_at.clone(), "a page of the freelist is also a page of the tree"));
    }
    let listed = Visited::new(db);
    for (index, id) in list.ids.iter().enumerate() {
        let at = || list_at.clone().element(index);
        if id.0 < 2 || *id >= high {
            let what = format!("free page {id} is not between 2 and the high water mark {high}");
            fault(*Corrupt::new(Code::FreelistInvalid, at(), what));
        } else if id.0 < present && !listed.mark(*id, 1) {
            fault(*Corrupt::new(Code::FreelistInvalid, at(), format!("page {id} is listed as free twice")));
        } else if visited.has(*id) {
            fault(*Corrupt::new(Code::FreelistReachable, at(), format!("page {id} is in use and listed as free")));
        }
    }
    for id in unvisited(visited) {
        if !listed.has(id) {
            fault(*Corrupt::new(Code::PageLeaked, At::page(id.0, db.offset_of(id)), "page is neither in a tree nor listed as free"));
        }
    }
    to_u64(list.ids.len())
}
