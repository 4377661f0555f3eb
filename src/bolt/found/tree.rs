//! A tree with holes: its pages wherever they are, and what is missing between them.

use std::collections::HashSet;

use super::{Assembly, FoundPage, FoundPages};
use crate::bolt::Pgid;
use crate::bolt::cursor::MAX_DEPTH;
use crate::io::Window;

/// Copies of one page that are tried.
const TRIED: usize = 16;
/// All pages together are read so many times the length of the file, and a little more: more than any tree needs, and
/// less than one takes that was made to hurt.
const TIMES: u64 = 16;
const LITTLE: u64 = 64 << 20;

/// What is met on the way through a tree.
#[derive(Debug)]
pub enum Met<'m> {
    /// A leaf page; put together in each way that is possible. Its keys are within these bounds, if it is whole.
    Leaf {
        /// The page.
        pages: &'m [FoundPage],
        /// Its keys are not less, if the parents can be believed.
        lower: Option<&'m [u8]>,
        /// Its keys are less.
        upper: Option<&'m [u8]>,
    },
    /// A branch page.
    Branch(&'m FoundPage),
    /// Nothing is known of the keys between these bounds but what is found elsewhere.
    Hole {
        /// The page that should be there, if its number can be read.
        page: Option<Pgid>,
        /// The first key that is missing.
        lower: Option<&'m [u8]>,
        /// The first that is not.
        upper: Option<&'m [u8]>,
    },
}

/// A walk over several trees of one file, each page once.
#[derive(Debug)]
pub struct FoundWalk<'f, 's> {
    found: &'f FoundPages<'s>,
    visited: HashSet<Pgid>,
    /// Pages that were met, by their places.
    met: HashSet<u64>,
    left: u64,
    window: Window,
}

/// The bounds of a page's keys.
#[derive(Clone, Copy)]
struct Bounds<'b> {
    lower: Option<&'b [u8]>,
    upper: Option<&'b [u8]>,
}

impl Bounds<'_> {
    fn hold(&self, key: &[u8]) -> bool {
        self.lower.is_none_or(|lower| key >= lower) && self.upper.is_none_or(|upper| key < upper)
    }
}

impl<'f, 's> FoundWalk<'f, 's> {
    /// Nothing was met yet.
    #[must_use]
    pub fn new(found: &'f FoundPages<'s>) -> FoundWalk<'f, 's> {
        FoundWalk::within(found, found.source().len().saturating_mul(TIMES).saturating_add(LITTLE))
    }

    /// The same; no more than so many bytes are read.
    #[must_use]
    pub fn within(found: &'f FoundPages<'s>, left: u64) -> FoundWalk<'f, 's> {
        FoundWalk { found, visited: HashSet::new(), met: HashSet::new(), left, window: Window::new() }
    }

    /// Whether the page at this place was met.
    #[must_use]
    pub fn has_met(&self, offset: u64) -> bool {
        self.met.contains(&offset)
    }

    /// Goes through the tree below this page, in order of its keys. What was met before is passed over.
    pub fn walk(&mut self, root: Pgid, take: &mut dyn FnMut(&Met<'_>)) {
        self.visit(root, Bounds { lower: None, upper: None }, 0, take);
    }

    /// A leaf page that no tree leads to, put together in each way that is possible.
    pub fn orphan(&mut self, id: Pgid, offset: u64) -> Vec<FoundPage> {
        self.met.insert(offset);
        self.assemble(id, offset)
    }

    fn assemble(&mut self, id: Pgid, offset: u64) -> Vec<FoundPage> {
        let mut pages: Vec<FoundPage> = Vec::new();
        for assembly in [Assembly::Due, Assembly::Exchanged, Assembly::Behind] {
            let first = pages.first();
            let wanted = match assembly {
                Assembly::Due => true,
                Assembly::Exchanged => first.is_some_and(FoundPage::has_lost),
                Assembly::Behind => {
                    first.is_some_and(FoundPage::has_overflow) && !self.found.is_in_place(id, offset)
                }
            };
            if self.left > 0 && wanted {
                let page = self.found.page(id, offset, assembly, &mut self.window);
                self.left = self.left.saturating_sub(page.as_ref().map_or(16, FoundPage::bytes));
                pages.extend(page);
            }
        }
        pages
    }

    fn visit(&mut self, id: Pgid, bounds: Bounds<'_>, depth: usize, take: &mut dyn FnMut(&Met<'_>)) {
        if self.visited.contains(&id) {
            return;
        }
        let Bounds { lower, upper } = bounds;
        let Some((pages, fits)) = self.choose(id, bounds).filter(|_| depth < MAX_DEPTH) else {
            return take(&Met::Hole { page: Some(id), lower, upper });
        };
        let Some(first) = pages.first() else { return };
        self.visited.insert(id);
        self.met.insert(first.offset);
        if first.is_leaf() {
            take(&Met::Leaf { pages: &pages, lower, upper });
        } else {
            take(&Met::Branch(first));
            self.children(first, bounds, depth, take);
        }
        if !fits {
            take(&Met::Hole { page: Some(id), lower, upper });
        }
    }

    /// The copy of a page that fits here; else what is where it is due, as far as its header says so.
    fn choose(&mut self, id: Pgid, bounds: Bounds<'_>) -> Option<(Vec<FoundPage>, bool)> {
        let found = self.found;
        let mut due = None;
        for offset in found.places_of(id).take(TRIED) {
            let pages = self.assemble(id, offset);
            let fits = |page: &FoundPage| {
                let span = page.span();
                span.is_some_and(|(first, last)| {
                    bounds.lower.is_none_or(|lower| first == lower) && bounds.hold(last)
                })
            };
            if pages.iter().any(fits) {
                return Some((pages, true));
            }
            if found.is_in_place(id, offset) && !pages.is_empty() {
                due = Some(pages);
            }
        }
        due.map(|pages| {
            // The only page of a bucket may be empty.
            let empty = pages.first().and_then(FoundPage::page).is_some_and(|page| page.count == 0);
            let whole = empty && bounds.lower.is_none() && bounds.upper.is_none();
            (pages, whole)
        })
    }

    fn children(
        &mut self,
        branch: &FoundPage,
        bounds: Bounds<'_>,
        depth: usize,
        take: &mut dyn FnMut(&Met<'_>),
    ) {
        let Some(page) = branch.page() else { return };
        let mut budget = page.budget();
        let readable: Vec<usize> = (0..page.count).filter(|index| page.branch(*index).is_ok()).collect();
        let mut before = bounds.lower;
        for (at, index) in readable.iter().enumerate() {
            let Ok(element) = page.branch(*index) else { continue };
            if !bounds.hold(element.key) || !budget.spend(element.key.len()) {
                continue;
            }
            let missing = at
                .checked_sub(1)
                .and_then(|at| readable.get(at))
                .map_or(*index, |previous| index.saturating_sub(*previous).saturating_sub(1));
            if missing > 0 {
                take(&Met::Hole { page: None, lower: before, upper: Some(element.key) });
            }
            let next = readable.get(at.saturating_add(1)).and_then(|next| page.branch(*next).ok());
            let upper = next.map(|next| next.key).filter(|next| *next > element.key).or(bounds.upper);
            let lower = if *index == 0 { bounds.lower.or(Some(element.key)) } else { Some(element.key) };
            self.visit(element.child, Bounds { lower, upper }, depth.saturating_add(1), take);
            before = upper;
        }
        let after = readable.last().map_or(0, |last| last.saturating_add(1));
        if after < page.count {
            take(&Met::Hole { page: None, lower: before, upper: bounds.upper });
        }
    }
}
