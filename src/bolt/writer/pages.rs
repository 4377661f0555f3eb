//! The output, page after page.

use std::io::{self, BufWriter, Seek, Write};

use super::error::WriteError;
use super::node::{self, Node, PageKind};
use crate::bolt::limits::MAX_ITEM;
use crate::bolt::meta::{MAGIC, VERSION};
use crate::codec::checksum::fnv1a64;
use crate::codec::to_u64;

/// The output, page after page.
#[derive(Debug)]
pub(super) struct Pages<W: Write + Seek> {
    pub out: BufWriter<W>,
    pub page_size: usize,
    fill_percent: usize,
    pub next: u64,
    scratch: Vec<u8>,
    failed: bool,
}

impl<W: Write + Seek> Pages<W> {
    /// Pages of so many bytes from `next` on, filled to so many percent.
    pub fn new(out: BufWriter<W>, page_size: usize, fill_percent: usize, next: u64) -> Pages<W> {
        Pages { out, page_size, fill_percent, next, scratch: Vec::new(), failed: false }
    }

    /// Writes the first `count` elements of `node` as a page, or a run of pages, and gives its id.
    pub fn write(&mut self, kind: PageKind, node: &Node, count: usize) -> Result<u64, WriteError> {
        let (id, size) = (self.next, node.size_of(count));
        let run = self.run(size);
        let mut head = std::mem::take(&mut self.scratch);
        head.clear();
        node.head(kind, id, count, run.saturating_sub(1), &mut head);
        self.bytes(&head)?;
        self.scratch = head;
        self.bytes(node.data(count))?;
        self.zeros(run.saturating_mul(self.page_size).saturating_sub(size))?;
        self.next = self.next.saturating_add(to_u64(run));
        Ok(id)
    }

    /// Where the next page begins.
    pub fn end(&self) -> u64 {
        self.next.saturating_mul(to_u64(self.page_size))
    }

    /// How many pages a node of `size` bytes takes.
    fn run(&self, size: usize) -> usize {
        size.div_ceil(self.page_size)
    }

    /// How much of a run of `run` pages is to be filled.
    pub fn limit(&self, run: usize) -> usize {
        run.saturating_mul(self.page_size).saturating_mul(self.fill_percent).saturating_div(100)
    }

    /// Whether a leaf of `size` bytes takes the item that makes it `grown` bytes. It ends where its run of pages
    /// ends, but not where that would leave more than a quarter of it empty: items of somewhat more than half a page
    /// would else waste nearly half the file. Then the run is extended, within bounds, because a writer that touches
    /// any item of a leaf rewrites the leaf.
    pub fn leaf_has_room(&self, size: usize, grown: usize) -> bool {
        let limit = self.limit(self.run(size));
        let sparse = size < limit.saturating_sub(limit >> 2);
        // Beside the longest item there may be room on its last page, but none in Go's window.
        (grown <= limit && grown <= MAX_ITEM) || (sparse && self.run(grown) <= node::LONGEST_SHARED_RUN)
    }

    pub fn zeros(&mut self, mut len: usize) -> Result<(), WriteError> {
        static ZEROS: [u8; 4096] = [0; 4096];
        while let Some(zeros) = ZEROS.get(..len.min(ZEROS.len())).filter(|zeros| !zeros.is_empty()) {
            self.bytes(zeros)?;
            len = len.saturating_sub(zeros.len());
        }
        Ok(())
    }

    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        if self.failed {
            return Err(WriteError::Output(io::Error::other("an earlier write failed")));
        }
        self.out.write_all(bytes).inspect_err(|_| self.failed = true)?;
        Ok(())
    }
}

/// Header and body of a meta page.
pub(super) fn meta(id: u64, page_size: u32, root: u64, freelist: u64, pages: u64, txid: u64) -> Vec<u8> {
    let mut body = Vec::with_capacity(64);
    for field in [MAGIC, VERSION, page_size, 0] {
        body.extend_from_slice(&field.to_le_bytes());
    }
    for field in [root, 0, freelist, pages, txid] {
        body.extend_from_slice(&field.to_le_bytes());
    }
    let checksum = fnv1a64(&body);
    let mut page = node::header(id, PageKind::Meta, 0, 0).to_vec();
    page.extend_from_slice(&body);
    page.extend_from_slice(&checksum.to_le_bytes());
    page
}
