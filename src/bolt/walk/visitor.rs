//! What a walk hands its pages to, and what those who walk together share.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::bolt::{Db, LeafElement, Page, Pgid};
use crate::codec::to_usize;
use crate::io::Gate;
use crate::words::error::Corrupt;
use crate::words::monitor::Monitor;

/// Sees the pages of a tree, in key order.
pub trait Visitor {
    /// A branch page.
    fn branch(&mut self, page: &Page<'_>, depth: usize) {
        let _ = (page, depth);
    }
    /// A leaf page, and of its elements those that can be read, in order: they have been checked, and the others
    /// reported. `depth` is `None` for the page inside an inline bucket.
    fn leaf<'p>(&mut self, page: &Page<'p>, elements: &[LeafElement<'p>], depth: Option<usize>);
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
        let visited = Visited::unmarked(db);
        visited.mark(Pgid(0), 2);
        visited
    }

    /// No page marked yet.
    pub(crate) fn unmarked(db: &Db<'_>) -> Visited {
        let words = to_usize(db.pages_present() / 64).saturating_add(1);
        Visited { bits: std::iter::repeat_with(|| AtomicU64::new(0)).take(words).collect() }
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
    /// One thread does it all, see [`walk_or_rerun_alone`](super::walk_or_rerun_alone).
    pub alone: bool,
}

impl<'w> Shared<'w> {
    /// A walk over everything.
    #[must_use]
    pub fn new(visited: &'w Visited, monitor: &'w dyn Monitor) -> Shared<'w> {
        Shared { visited, monitor, gate: None, from: None, until: None, alone: false }
    }
}
