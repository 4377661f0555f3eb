//! What a walk gathers: the buckets of a database, and how big a tree is.

use super::visitor::Visitor;
use crate::bolt::limits::{ELEMENT, HEADER};
use crate::bolt::{Bucket, Db, LeafElement, Page};
use crate::codec::to_u64;
use crate::words::error::Corrupt;
use crate::words::finding::Code;

/// The buckets in the root bucket's leaf pages, in key order.
#[derive(Debug)]
pub struct Buckets<'d, 's> {
    db: &'d Db<'s>,
    /// Those that could be read.
    pub found: Vec<Bucket<'d, 's>>,
    /// Names of those that could not.
    pub lost: Vec<Vec<u8>>,
    /// What is wrong.
    pub faults: Vec<Corrupt>,
    /// Pages and elements of the bucket itself.
    pub stats: Stats,
}

impl<'d, 's> Buckets<'d, 's> {
    /// None found yet.
    #[must_use]
    pub fn new(db: &'d Db<'s>) -> Buckets<'d, 's> {
        Buckets { db, found: Vec::new(), lost: Vec::new(), faults: Vec::new(), stats: Stats::default() }
    }
}

impl Visitor for Buckets<'_, '_> {
    fn branch(&mut self, page: &Page<'_>, depth: usize) {
        self.stats.branch(page, depth);
    }

    fn leaf<'p>(&mut self, page: &Page<'p>, elements: &[LeafElement<'p>], depth: Option<usize>) {
        self.stats.leaf(page, elements, depth);
        for element in elements {
            if !element.is_bucket {
                // bbolt has no way to put one here.
                let what = "the element's flags are 0, a value's; 1 is due: the root holds buckets only";
                self.faults.push(*Corrupt::new(
                    Code::ElementFlags,
                    page.element_at(element.index).key(element.key),
                    what,
                ));
                continue;
            }
            match Bucket::parse(self.db, page, element) {
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
    fn page(&mut self, page: &Page<'_>, used: u64, depth: usize) {
        self.depth = self.depth.max(to_u64(depth).saturating_add(1));
        self.overflow_pages = self.overflow_pages.saturating_add(u64::from(page.overflow));
        self.bytes = self.bytes.saturating_add(to_u64(page.bytes.len()));
        self.bytes_used = self.bytes_used.saturating_add(used);
    }

    /// Counts a branch page.
    pub fn branch(&mut self, page: &Page<'_>, depth: usize) {
        self.page(page, page.used(), depth);
        self.branch_pages = self.branch_pages.saturating_add(1);
    }

    /// Counts a leaf page, of which these elements can be read.
    pub fn leaf(&mut self, page: &Page<'_>, elements: &[LeafElement<'_>], depth: Option<usize>) {
        self.elements = self.elements.saturating_add(to_u64(page.count));
        match depth {
            Some(depth) => {
                let fixed = page.count.saturating_mul(ELEMENT).saturating_add(HEADER);
                let data = elements.iter().map(|e| e.key.len().saturating_add(e.value.len()));
                self.page(page, to_u64(data.fold(fixed, usize::saturating_add)), depth);
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
