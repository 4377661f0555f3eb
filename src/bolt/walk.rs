//! The walk over all pages of a tree: every rule of the format checked, every page visited once, whatever the bytes
//! say.
//!
//! It checks what bbolt's `Tx.Check` checks and what that leaves out: element bounds, inline buckets, branch keys,
//! equal depth, page numbers at the high water mark. A fault is handed to the [`Visitor`] and the walk goes on with
//! what can still be reached.

mod free;
mod stats;

use std::sync::atomic::{AtomicU64, Ordering};

pub use self::free::check_freelist;
pub use self::stats::{Buckets, Stats};
use super::cursor::MAX_DEPTH;
use super::page::{ELEMENT, HEADER};
use super::{Bucket, Db, Kind, Page, Pgid, Root};
use crate::codec::{to_u64, to_usize};
use crate::io::parallel::{map_chunks, threads};
use crate::io::window::READ_AHEAD;
use crate::io::{Gate, Window};
use crate::words::error::{At, Corrupt, Result, show_bytes};
use crate::words::finding::Code;
use crate::words::monitor::Monitor;

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
    /// A leaf page; `depth` is `None` for the page inside an inline bucket. Damaged elements have been reported: use
    /// [`Page::leaves`].
    fn leaf(&mut self, page: &Page<'_>, depth: Option<usize>);
    /// A rule that is broken.
    fn fault(&mut self, corrupt: Corrupt);
    /// Asked between pages: `true` ends this visitor's part of the walk.
    fn enough(&self) -> bool {
        false
    }
}

/// Which pages have been visited: one bit a page. Shared by all threads of a walk.
#[derive(Debug, Default)]
pub struct Visited {
    bits: Vec<AtomicU64>,
}

impl Visited {
    /// Nothing visited but the two meta pages. Memory is bounded by the file's length, whatever its high water mark
    /// claims.
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
            self.bits
                .get(to_usize(id / 64))
                .is_some_and(|word| word.fetch_or(bit, Ordering::Relaxed) & bit == 0)
        })
    }

    /// Whether a page was visited.
    #[must_use]
    pub fn has(&self, id: Pgid) -> bool {
        self.bits
            .get(to_usize(id.0 / 64))
            .is_some_and(|word| word.load(Ordering::Relaxed) & 1u64 << (id.0 % 64) != 0)
    }
}

/// A page whose subtree is still to be walked, and what its parents say about its keys.
#[derive(Debug, Clone)]
struct Subtree {
    id: Pgid,
    depth: usize,
    lower: Option<Vec<u8>>,
    upper: Option<Vec<u8>>,
    named_by: NamedBy,
}

impl Subtree {
    fn bounds(&self) -> Bounds<'_> {
        Bounds { lower: self.lower.as_deref(), upper: self.upper.as_deref(), named_by: self.named_by }
    }
}

/// What leads to a page: half of what there is to say about a page number that is wrong.
#[derive(Debug, Clone, Copy)]
enum NamedBy {
    Meta,
    Bucket(Pgid),
    Branch { page: Pgid, offset: u64, element: usize },
}

impl NamedBy {
    fn of(bucket: &Bucket<'_, '_>) -> NamedBy {
        if bucket.name.is_empty() { NamedBy::Meta } else { NamedBy::Bucket(bucket.page) }
    }

    /// A page that cannot be there is a fault of whatever names it; for any other it is told how it was reached.
    fn blame(self, db: &Db<'_>, corrupt: &mut Corrupt) {
        if corrupt.code == Code::PageOutOfRange && corrupt.at.offset.is_none() {
            corrupt.at = match self {
                NamedBy::Meta => {
                    At::page(u64::from(db.meta_number()), db.offset_of(Pgid(u64::from(db.meta_number()))))
                }
                NamedBy::Bucket(page) => At::page(page.0, db.offset_of(page)),
                NamedBy::Branch { page, offset, element } => At::page(page.0, offset).element(element),
            };
            return;
        }
        let from = match self {
            NamedBy::Meta => format!("meta page {}", db.meta_number()),
            NamedBy::Bucket(page) => format!("the bucket's entry in page {page}"),
            NamedBy::Branch { page, element, .. } => format!("page {page}, element {element}"),
        };
        corrupt.detail = format!("{} ({from} leads here)", corrupt.detail);
    }
}

/// What a page's parents say about its keys: the first one equals `lower`, all are less than `upper`.
#[derive(Clone, Copy)]
struct Bounds<'b> {
    lower: Option<&'b [u8]>,
    upper: Option<&'b [u8]>,
    named_by: NamedBy,
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
    /// Pages whose keys all come before this one are left out.
    pub from: Option<&'w [u8]>,
    /// Pages that begin at this key or after it are left out.
    pub until: Option<&'w [u8]>,
    /// One thread does it all, see [`settled`].
    pub alone: bool,
}

impl<'w> Shared<'w> {
    /// A walk over everything.
    #[must_use]
    pub fn new(visited: &'w Visited, monitor: &'w dyn Monitor) -> Shared<'w> {
        Shared { visited, monitor, gate: None, from: None, until: None, alone: false }
    }
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
    /// Whether the last child of a page comes first.
    backwards: bool,
}

/// Walks one bucket on the calling thread.
pub fn walk(bucket: &Bucket<'_, '_>, shared: Shared<'_>, visitor: &mut dyn Visitor) {
    if let Root::Tree(root) = bucket.root {
        let mut walk = Walk::new(bucket.db, shared, root);
        walk.visit(root, 0, Bounds { lower: None, upper: None, named_by: NamedBy::of(bucket) }, visitor);
        walk.say();
    } else {
        inline(bucket, visitor);
    }
}

/// Walks one bucket on all threads of the pool. Returns the visitors that `make` made, in key order; the first one
/// has seen the pages near the root.
pub fn walk_parallel<V: Visitor + Send>(
    bucket: &Bucket<'_, '_>,
    shared: Shared<'_>,
    make: impl Fn() -> V + Sync,
) -> Vec<V> {
    let mut first = make();
    let Root::Tree(root) = bucket.root else {
        inline(bucket, &mut first);
        return vec![first];
    };
    if shared.alone {
        walk(bucket, shared, &mut first);
        return vec![first];
    }
    let mut walk = Walk::new(bucket.db, shared, root);
    let units = threads().saturating_mul(UNITS_PER_CORE);
    let subtrees = walk.split(
        Subtree { id: root, depth: 0, lower: None, upper: None, named_by: NamedBy::of(bucket) },
        units,
        &mut first,
    );
    let leaf_depth = walk.leaf_depth;
    // Few visitors, however many children a page claims to have.
    let together = subtrees.len().div_ceil(units.saturating_mul(4)).max(1);
    let rest = map_chunks(&subtrees, together, |subtrees| {
        let mut visitor = make();
        let mut walk = Walk { leaf_depth, ..Walk::unmeasured(bucket.db, shared) };
        for subtree in subtrees {
            walk.visit(subtree.id, subtree.depth, subtree.bounds(), &mut visitor);
        }
        walk.say();
        visitor
    });
    let mut all = vec![first];
    all.extend(rest);
    all
}

/// What `walked` gives on all threads, or, when a page was reached twice, on one alone: which of several comes second
/// to such a page is chance, and the answer is to be the same each time. `walked` is told whether it is to be
/// [`Shared::alone`].
///
/// # Errors
/// Those of `walked`.
pub fn settled<T>(walked: impl Fn(bool) -> Result<T>, reached_twice: impl Fn(&T) -> bool) -> Result<T> {
    let first = walked(false)?;
    if reached_twice(&first) { walked(true) } else { Ok(first) }
}

/// Walks one bucket from its end towards its start, on all threads of the pool, until `enough`: it gets what `make`
/// made, later keys first. Each visitor sees its leaf pages last one first, and ends its own part by
/// [`Visitor::enough`].
///
/// The pages near the end are walked by one thread alone, so that an answer that lies there costs a few pages.
pub fn walk_back<V: Visitor + Send>(
    bucket: &Bucket<'_, '_>,
    shared: Shared<'_>,
    make: impl Fn() -> V + Sync,
    mut enough: impl FnMut(V) -> bool,
) {
    let mut first = make();
    let Root::Tree(root) = bucket.root else {
        inline(bucket, &mut first);
        enough(first);
        return;
    };
    let threads = if shared.alone { 1 } else { threads() };
    let mut walk = Walk::new(bucket.db, shared, root);
    let top = Subtree { id: root, depth: 0, lower: None, upper: None, named_by: NamedBy::of(bucket) };
    let mut subtrees = walk.split(top, threads.saturating_mul(UNITS_PER_CORE), &mut first);
    let leaf_depth = walk.leaf_depth;
    if enough(first) {
        return;
    }
    let mut together = 1;
    while !subtrees.is_empty() && !shared.monitor.cancelled() {
        let wave = subtrees.split_off(subtrees.len().saturating_sub(together));
        let visitors = map_chunks(&wave, 1, |subtrees| {
            let mut visitor = make();
            let mut walk = Walk { leaf_depth, backwards: true, ..Walk::unmeasured(bucket.db, shared) };
            for subtree in subtrees {
                walk.visit(subtree.id, subtree.depth, subtree.bounds(), &mut visitor);
            }
            walk.say();
            visitor
        });
        for visitor in visitors.into_iter().rev() {
            if enough(visitor) {
                return;
            }
        }
        together = threads;
    }
}

fn inline(bucket: &Bucket<'_, '_>, visitor: &mut dyn Visitor) {
    match bucket.inline_page() {
        Some(Ok(page)) => {
            check_elements(
                &page,
                true,
                Bounds { lower: None, upper: None, named_by: NamedBy::of(bucket) },
                &mut |c| visitor.fault(c),
            );
            for element in page.leaves() {
                if element.is_bucket {
                    let what = "a bucket inside an inline bucket";
                    visitor.fault(*Corrupt::new(
                        Code::BucketHeader,
                        page.element_at(element.index).bucket(&bucket.name),
                        what,
                    ));
                }
            }
            visitor.leaf(&page, None);
        }
        Some(Err(corrupt)) => visitor.fault(*corrupt),
        None => {}
    }
}

/// Keys ascending, elements inside the page and one behind the other, within what the parents say.
fn check_elements(page: &Page<'_>, inline: bool, bounds: Bounds<'_>, fault: &mut dyn FnMut(Corrupt)) {
    let mut before: Option<&[u8]> = None;
    // Go writes the data without gaps, in the order of the elements (`node.write`): a length or a count that was
    // altered shows.
    let mut due = Some(page.count.saturating_mul(ELEMENT).saturating_add(HEADER));
    let mut budget = page.budget();
    for index in 0..page.count {
        let element = match page.kind {
            Kind::Leaf => page.leaf(index).map(|e| {
                if let Err(corrupt) = Bucket::check_length(page, &e) {
                    fault(*corrupt);
                }
                (e.key, e.value_at.saturating_sub(e.key.len()), e.value.len())
            }),
            _ => page.branch(index).map(|e| (e.key, e.key_at, 0)),
        };
        let (key, key_at, value) = match element {
            Ok(element) => element,
            Err(corrupt) => {
                fault(*corrupt);
                due = None;
                continue;
            }
        };
        let at = || page.element_at(index).key(key);
        if let Some(due) = due
            && due != key_at
        {
            let what =
                format!("key lies at byte {key_at} of the page, what comes before it ends at byte {due}");
            fault(*Corrupt::new(Code::ElementGap, at(), what));
        }
        due = Some(key_at.saturating_add(key.len()).saturating_add(value));
        if !budget.spend(key.len().saturating_add(value)) {
            let what = format!(
                "elements overlap: those up to here claim more than twice the page's {} bytes",
                page.bytes.len()
            );
            return fault(*Corrupt::new(Code::ElementGap, at(), what));
        }
        if let Some(before) = before
            && key <= before
        {
            let what = format!("key is not greater than the one before it, {}", show_bytes(before));
            fault(*Corrupt::new(Code::KeyOrder, at(), what));
        }
        if let Some(lower) = bounds.lower.filter(|_| index == 0)
            && key != lower
        {
            let (code, word) =
                if key < lower { (Code::KeyOrder, "less than") } else { (Code::BranchKey, "not") };
            let what = format!(
                "first key of the page is {word} the key its parent has for it, {}",
                show_bytes(lower)
            );
            fault(*Corrupt::new(code, at(), what));
        }
        if let Some(upper) = bounds.upper
            && key >= upper
        {
            let what = format!("key is not less than the parent's next key, {}", show_bytes(upper));
            fault(*Corrupt::new(Code::KeyOrder, at(), what));
        }
        before = Some(key);
    }
    // The page in an inline bucket ends with its last element.
    if let Some(due) = due
        && inline
        && due != page.bytes.len()
    {
        let what = format!(
            "the elements end at byte {due} of the inline page, its bucket's value at {}",
            page.bytes.len()
        );
        fault(*Corrupt::new(Code::ElementGap, page.at(), what));
    }
}

impl<'w> Walk<'w> {
    fn unmeasured(db: &'w Db<'w>, shared: Shared<'w>) -> Walk<'w> {
        Walk {
            db,
            shared,
            leaf_depth: None,
            windows: Vec::new(),
            unsaid: 0,
            cancelled: false,
            backwards: false,
        }
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
    ) -> Option<Page<'p>>
    where
        'w: 'p,
    {
        if self.unsaid >= STRIDE {
            self.say();
        }
        if self.cancelled {
            return None;
        }
        // The branch pages near the root are few and lead to all others: they do not wait.
        if let Some(gate) = self.shared.gate
            && self.leaf_depth.is_some_and(|leaf| depth >= leaf.saturating_sub(1) && depth > 0)
        {
            // As far as the window reads: what it asked for first would come from the disk out of turn.
            let ahead = self.db.offset_of(Pgid(id.0.saturating_add(1))).saturating_add(to_u64(READ_AHEAD));
            gate.wait(ahead.min(self.db.source().len()));
        }
        let (db, visited) = (self.db, self.shared.visited);
        // Marked before the run is read: else a page of the file's length that is named often is read as often.
        let admit = |kind: Kind, run: u64| {
            let at = At::page(id.0, db.offset_of(id));
            if !matches!(kind, Kind::Branch | Kind::Leaf) {
                let what = format!("a {} page stands where a branch or leaf is due", kind.name());
                return Err(Corrupt::new(Code::PageType, at, what));
            }
            if !visited.mark(id, run) {
                let whole = if run == 1 {
                    format!("page {id}")
                } else {
                    format!("one of the pages {id} to {}", id.0.saturating_add(run).saturating_sub(1))
                };
                return Err(Corrupt::new(Code::PageShared, at, format!("{whole} is reached a second time")));
            }
            Ok(())
        };
        let page = match db.page_if(id, window, admit) {
            Ok(page) => page,
            Err(mut corrupt) => {
                bounds.named_by.blame(db, &mut corrupt);
                visitor.fault(*corrupt);
                return None;
            }
        };
        self.unsaid = self.unsaid.saturating_add(to_u64(page.bytes.len()));
        if page.count == 0 && (depth > 0 || page.kind == Kind::Branch) {
            visitor.fault(*Corrupt::new(Code::PageCount, page.at(), "the page holds no element"));
        }
        if page.kind == Kind::Leaf && self.leaf_depth.is_some_and(|due| due != depth) {
            let what = format!(
                "leaf at depth {depth}, the tree's first leaf is at depth {}",
                self.leaf_depth.unwrap_or(0)
            );
            visitor.fault(*Corrupt::new(Code::DepthUneven, page.at(), what));
        }
        if page.kind == Kind::Branch && depth >= MAX_DEPTH {
            visitor.fault(*Corrupt::new(
                Code::DepthUneven,
                page.at(),
                format!("the tree is deeper than {MAX_DEPTH} pages"),
            ));
            return None;
        }
        check_elements(&page, false, bounds, &mut |c| visitor.fault(c));
        Some(page)
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
                let mut below: Vec<_> = children(&page, bounds, self.shared).collect();
                if self.backwards {
                    below.reverse();
                }
                for (child, bounds) in below {
                    if visitor.enough() {
                        break;
                    }
                    self.visit(child, depth.saturating_add(1), bounds, visitor);
                }
            }
        }
        if let Some(place) = self.windows.get_mut(depth) {
            *place = window;
        }
    }

    /// Cuts the tree into at least `parts` subtrees in key order, visiting the branch pages above them.
    fn split(&mut self, root: Subtree, parts: usize, visitor: &mut dyn Visitor) -> Vec<Subtree> {
        let mut subtrees = vec![root];
        let mut window = Window::new();
        for depth in 0..self.leaf_depth.unwrap_or(0) {
            if subtrees.len() >= parts {
                break;
            }
            let mut below = Vec::new();
            for subtree in subtrees {
                // A leaf higher up than the others is left for its visit, and so is what is damaged.
                let header = if subtree.id < self.db.meta().high_water {
                    self.db.header(subtree.id, &mut window).ok()
                } else {
                    None
                };
                let branch = header.is_some_and(|h| Kind::from_flags(h.flags) == Some(Kind::Branch));
                if !branch || subtree.depth != depth {
                    below.push(subtree);
                    continue;
                }
                let Some(page) = self.enter(subtree.id, depth, subtree.bounds(), &mut window, visitor) else {
                    continue;
                };
                visitor.branch(&page, depth);
                below.extend(children(&page, subtree.bounds(), self.shared).map(|(id, bounds)| Subtree {
                    id,
                    depth: depth.saturating_add(1),
                    lower: bounds.lower.map(<[u8]>::to_vec),
                    upper: bounds.upper.map(<[u8]>::to_vec),
                    named_by: bounds.named_by,
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
fn children<'p>(
    page: &Page<'p>,
    bounds: Bounds<'p>,
    shared: Shared<'p>,
) -> impl Iterator<Item = (Pgid, Bounds<'p>)> {
    let page = *page;
    let Shared { from, until, .. } = shared;
    let within = move |key: &[u8]| until.is_none_or(|until| key < until);
    let reaches = move |upper: Option<&[u8]>| from.is_none_or(|from| upper.is_none_or(|upper| upper > from));
    let key = move |index: usize| page.branch(index).ok().map(|element| element.key);
    let trusted = move |index: usize| {
        let own = key(index)?;
        let after = index.checked_sub(1).and_then(key).is_none_or(|before| before < own);
        let before = key(index.saturating_add(1)).or(bounds.upper).is_none_or(|next| own < next);
        (after && before).then_some(own)
    };
    // From the last to the first, so that a page of nothing but wrong keys costs no more than others.
    let mut uppers: Vec<Option<&[u8]>> = (0..page.count)
        .rev()
        .scan(bounds.upper, |next, index| {
            let upper = *next;
            *next = trusted(index).or(upper);
            Some(upper)
        })
        .collect();
    uppers.reverse();
    page.branches().filter(move |element| within(element.key)).filter_map(move |element| {
        let index = element.index;
        let lower = bounds.lower.filter(|_| index == 0).or_else(|| trusted(index));
        let upper = uppers.get(index).copied().flatten();
        let offset = page.element_at(index).offset.unwrap_or(page.offset);
        let named_by = NamedBy::Branch { page: page.id, offset, element: index };
        reaches(upper).then_some((element.child, Bounds { lower, upper, named_by }))
    })
}

#[cfg(test)]
mod tests;
