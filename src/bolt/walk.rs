//! The walk over all pages of a tree: every rule of the format checked, every page visited once, whatever the bytes
//! say.
//!
//! It checks what bbolt's `Tx.Check` checks and what that leaves out: element bounds, inline buckets, branch keys,
//! equal depth, page numbers at the high water mark. A fault is handed to the [`Visitor`] and the walk goes on with
//! what can still be reached.

mod bounds;
mod elements;
mod free;
mod leftover;
mod stats;
mod visitor;

use self::bounds::{Bounds, NamedBy, Subtree, children};
use self::elements::check;
pub use self::free::check_freelist;
pub use self::leftover::{Leftover, leftovers};
pub use self::stats::{Buckets, Stats};
pub use self::visitor::{Shared, Visited, Visitor};
use super::cursor::MAX_DEPTH;
use super::{Bucket, Db, LeafElement, Page, PageKind, Pgid, Root};
use crate::codec::{emptied, to_u64};
use crate::io::Window;
use crate::io::parallel::{map_chunks, threads};
use crate::io::window::READ_AHEAD;
use crate::words::error::{At, Corrupt, Result};
use crate::words::finding::Code;

/// How many bytes are walked between two words to the monitor.
const STRIDE: u64 = 1 << 20;
/// Subtrees for each core: enough that an uneven tree still keeps all of them busy.
const UNITS_PER_CORE: usize = 16;

/// Walks trees of one file, one thread.
struct Walk<'w> {
    db: &'w Db<'w>,
    shared: Shared<'w>,
    leaf_depth: Option<usize>,
    /// One window a level, so that neighbouring pages are read ahead.
    windows: Vec<Window>,
    /// Memory for the elements of one leaf page.
    elements: Vec<LeafElement<'static>>,
    unreported: u64,
    cancelled: bool,
    /// Whether the last child of a page comes first.
    backwards: bool,
}

/// Walks one bucket on the calling thread.
pub fn walk(bucket: &Bucket<'_, '_>, shared: Shared<'_>, visitor: &mut dyn Visitor) {
    if let Root::Tree(root) = bucket.root {
        let mut walk = Walk::new(bucket.db, shared, root);
        walk.visit(root, 0, Bounds { lower: None, upper: None, named_by: NamedBy::of(bucket) }, visitor);
        walk.report_progress();
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
        walk.report_progress();
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
pub fn walk_or_rerun_alone<T>(
    walked: impl Fn(bool) -> Result<T>,
    reached_twice: impl Fn(&T) -> bool,
) -> Result<T> {
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
            walk.report_progress();
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
            let mut elements = Vec::new();
            let bounds = Bounds { lower: None, upper: None, named_by: NamedBy::of(bucket) };
            check(&page, true, bounds, &mut elements, &mut |c| visitor.fault(c));
            for element in &elements {
                if element.is_bucket {
                    let what = "a bucket inside an inline bucket";
                    visitor.fault(*Corrupt::new(
                        Code::BucketHeader,
                        page.element_at(element.index).bucket(&bucket.name),
                        what,
                    ));
                }
            }
            visitor.leaf(&page, &elements, None);
        }
        Some(Err(corrupt)) => visitor.fault(*corrupt),
        None => {}
    }
}

impl<'w> Walk<'w> {
    fn unmeasured(db: &'w Db<'w>, shared: Shared<'w>) -> Walk<'w> {
        Walk {
            db,
            shared,
            leaf_depth: None,
            windows: Vec::new(),
            elements: Vec::new(),
            unreported: 0,
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
                PageKind::Leaf => return Some(depth),
                PageKind::Branch => id = page.branch(0).ok()?.child,
                PageKind::Meta | PageKind::Freelist => return None,
            }
        }
        None
    }

    fn report_progress(&mut self) {
        self.shared.monitor.advance(std::mem::take(&mut self.unreported));
        self.cancelled |= self.shared.monitor.cancelled();
    }

    /// Reads and marks a page of the tree, and checks its elements; those of a leaf that can be read are added to
    /// `elements`. `None` when there is nothing to follow.
    fn enter<'p>(
        &mut self,
        id: Pgid,
        depth: usize,
        bounds: Bounds<'_>,
        (window, elements): (&'p mut Window, &mut Vec<LeafElement<'p>>),
        visitor: &mut dyn Visitor,
    ) -> Option<Page<'p>>
    where
        'w: 'p,
    {
        if self.unreported >= STRIDE {
            self.report_progress();
        }
        if self.cancelled {
            return None;
        }
        self.wait_for_reader(id, depth);
        let (db, visited) = (self.db, self.shared.visited);
        // Marked before the run is read: else a page of the file's length that is named often is read as often.
        let admit = |kind: PageKind, run: u64| {
            let at = At::page(id.0, db.offset_of(id));
            if !matches!(kind, PageKind::Branch | PageKind::Leaf) {
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
                bounds.named_by.tell_how_reached(db, &mut corrupt);
                visitor.fault(*corrupt);
                return None;
            }
        };
        self.unreported = self.unreported.saturating_add(to_u64(page.bytes.len()));
        self.check_depth(&page, depth, visitor);
        if page.kind == PageKind::Branch && depth >= MAX_DEPTH {
            let what = format!("the tree is deeper than {MAX_DEPTH} pages");
            visitor.fault(*Corrupt::new(Code::DepthUneven, page.at(), what));
            return None;
        }
        check(&page, false, bounds, elements, &mut |c| visitor.fault(c));
        Some(page)
    }

    /// When the file is cold, a page is not read before the one reader of it all has come by. The branch pages near
    /// the root are few and lead to all others: they do not wait.
    fn wait_for_reader(&self, id: Pgid, depth: usize) {
        if let Some(gate) = self.shared.gate
            && self.leaf_depth.is_some_and(|leaf| depth >= leaf.saturating_sub(1) && depth > 0)
        {
            // As far as the window reads: what it asked for first would come from the disk out of turn.
            let ahead = self.db.offset_of(Pgid(id.0.saturating_add(1))).saturating_add(to_u64(READ_AHEAD));
            gate.wait(ahead.min(self.db.source().len()));
        }
    }

    /// Whether a page holds something, and a leaf lies as deep as the others.
    fn check_depth(&self, page: &Page<'_>, depth: usize, visitor: &mut dyn Visitor) {
        if page.count == 0 && (depth > 0 || page.kind == PageKind::Branch) {
            visitor.fault(*Corrupt::new(Code::PageCount, page.at(), "the page holds no element"));
        }
        if let Some(due) = self.leaf_depth.filter(|due| page.kind == PageKind::Leaf && *due != depth) {
            let what = format!("leaf at depth {depth}, the tree's first leaf is at depth {due}");
            visitor.fault(*Corrupt::new(Code::DepthUneven, page.at(), what));
        }
    }

    fn visit(&mut self, id: Pgid, depth: usize, bounds: Bounds<'_>, visitor: &mut dyn Visitor) {
        if self.windows.len() <= depth {
            self.windows.resize_with(depth.saturating_add(1), Window::new);
        }
        let mut window = self.windows.get_mut(depth).map(std::mem::take).unwrap_or_default();
        let mut elements: Vec<LeafElement<'_>> = std::mem::take(&mut self.elements);
        let page = self.enter(id, depth, bounds, (&mut window, &mut elements), visitor);
        if let Some(page) = page.filter(|page| page.kind == PageKind::Leaf) {
            visitor.leaf(&page, &elements, Some(depth));
        }
        self.elements = emptied(elements);
        if let Some(page) = page.filter(|page| page.kind == PageKind::Branch) {
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
                let branch = header.is_some_and(|h| PageKind::from_flags(h.flags) == Some(PageKind::Branch));
                if !branch || subtree.depth != depth {
                    below.push(subtree);
                    continue;
                }
                let Some(page) =
                    self.enter(subtree.id, depth, subtree.bounds(), (&mut window, &mut Vec::new()), visitor)
                else {
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
        self.report_progress();
        subtrees
    }
}

#[cfg(test)]
mod tests;
