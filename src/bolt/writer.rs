//! Writes a whole bbolt file in one pass: sorted items in; leaves, then branches, then the metas out.
//!
//! ```text
//! page 0       meta, txid T                        ┐ reserved first, written last:
//! page 1       meta, txid T-1, same root and size  ┘ until then the file is no database
//! page 2..     leaves and branches, children before parents, ids ascending, no holes
//! last page    an empty freelist, if one is stored
//!
//! page         0 id u64 | 8 flags u16 | 10 count u16 | 12 overflow u32 | 16 elements, 16 bytes each | keys and values
//! leaf element     0 flags u32 (1: bucket) | 4 pos u32 | 8 key length u32 | 12 value length u32
//! branch element   0 pos u32               | 4 key length u32 | 8 child's page u64
//! bucket value     0 root page u64 (0: inline, a leaf page with id 0 follows) | 8 sequence u64
//! meta         16 magic u32 | 20 version u32 | 24 page size u32 | 28 flags u32 | 32 root u64 | 40 sequence u64
//!              48 freelist u64 | 56 page count u64 | 64 txid u64 | 72 FNV-1a-64 of bytes 16..72
//! ```
//!
//! Integers are little-endian; `pos` counts from the start of its own element. Go:
//! `internal/common/{page,meta,bucket}.go`, `node.go`, `bucket.go` @ v1.4.3.
//!
//! What is in memory at any time: of each open bucket one leaf and, for each level above it, one branch. Nothing is
//! written that is not final, so a file of any size is written front to back.
//!
//! ```
//! use coldbolt::bolt::writer::{Options, Writer};
//!
//! let mut file = std::io::Cursor::new(Vec::new());
//! let mut writer = Writer::new(&mut file, Options::default())?;
//! writer.begin_bucket(b"meta", 0)?;
//! writer.put(b"consistent_index", &5u64.to_be_bytes())?;
//! writer.put(b"term", &2u64.to_be_bytes())?;
//! writer.end_bucket()?;
//! let summary = writer.finish()?;
//! assert_eq!((summary.pages, summary.bytes), (3, 12288));
//! # Ok::<(), coldbolt::bolt::writer::WriteError>(())
//! ```

use std::io::{BufWriter, Seek, SeekFrom, Write};

use super::meta::NO_FREELIST;
use crate::words::error::show_start;

mod branch;
mod error;
mod node;
pub mod pack;
mod pages;
pub mod patch;
pub mod surgery;

pub use self::error::{MAX_DEPTH, WriteError};

use self::branch::Branch;
use self::node::{Node, PageKind};
use self::pages::{Pages, meta};

pub use super::limits::{MAX_ITEM, MAX_KEY, MAX_PAGE_SIZE, MIN_PAGE_SIZE};

const BUCKET: u64 = 1;
const BUFFER: usize = 1 << 20;

/// Whether the file says which of its pages are free. None is, either way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FreelistPage {
    /// No list; the reader finds the free pages itself. As etcd leaves its files on Linux (`NoFreelistSync`).
    #[default]
    Absent,
    /// A page with an empty list, as stock bbolt leaves its files.
    Stored,
}

/// How to lay out a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Bytes in a page: a power of two from 1024 to 65536.
    pub page_size: u32,
    /// Whether a freelist is stored.
    pub freelist: FreelistPage,
    /// The transaction the file claims to be the result of, from 1; a reader's next write makes the one after it.
    pub txid: u64,
    /// How much of a page is filled before the next one is begun, in percent, from 25 (what fits an inline bucket) to
    /// 100.
    pub fill_percent: u8,
}

impl Default for Options {
    /// 4096-byte pages filled to the brim, no freelist, txid 1.
    fn default() -> Options {
        Options { page_size: 4096, freelist: FreelistPage::Absent, txid: 1, fill_percent: 100 }
    }
}

/// The file that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Pages, the two metas included: the high-water mark that the metas hold.
    pub pages: u64,
    /// Length in bytes: pages × page size, but at least 4096, which is what bbolt reads to recognize a file (three
    /// pages of 1024 bytes are therefore followed by 1024 zero bytes that belong to no page).
    pub bytes: u64,
    /// The txid of meta 0.
    pub txid: u64,
}

/// Writes one bbolt file. See [the module](self).
///
/// An item that is refused leaves no trace: the caller may skip it and go on.
#[derive(Debug)]
pub struct Writer<W: Write + Seek> {
    pages: Pages<W>,
    options: Options,
    root: Open,
    open: Vec<Open>,
}

impl<W: Write + Seek> Writer<W> {
    /// Begins a file. `out` is empty; it is written front to back and rewound once, at the end. It needs no buffer of
    /// its own.
    ///
    /// # Errors
    /// [`WriteError::Option`], or what the output says.
    pub fn new(out: W, options: Options) -> Result<Writer<W>, WriteError> {
        let Options { page_size, txid, fill_percent, .. } = options;
        if !page_size.is_power_of_two() || !(MIN_PAGE_SIZE..=MAX_PAGE_SIZE).contains(&page_size) {
            let rule = "a power of two from 1024 to 65536";
            return Err(WriteError::Option { option: "page size", value: page_size.into(), rule });
        }
        if !(25..=100).contains(&fill_percent) {
            return Err(WriteError::Option {
                option: "fill percent",
                value: fill_percent.into(),
                rule: "from 25 to 100",
            });
        }
        // Meta 1 holds txid - 1, and the next writer makes txid + 1.
        if txid == 0 || txid == u64::MAX {
            return Err(WriteError::Option { option: "txid", value: txid, rule: "from 1 to 2^64 - 2" });
        }
        let page_size = usize::try_from(page_size).unwrap_or(usize::MAX);
        // The metas come last.
        let mut pages = Pages::new(BufWriter::with_capacity(BUFFER, out), page_size, fill_percent.into(), 2);
        pages.zeros(pages.page_size.saturating_mul(2))?;
        Ok(Writer { pages, options, root: Open::default(), open: Vec::new() })
    }

    /// Begins a bucket inside the one that is open, or at the top. Its name is a key of its parent: it comes after
    /// the parent's keys and buckets so far. `sequence` is the bucket's counter (`Bucket.Sequence`); etcd's are 0.
    ///
    /// # Errors
    /// [`WriteError`] if the name cannot follow, or buckets are nested too deep.
    pub fn begin_bucket(&mut self, name: &[u8], sequence: u64) -> Result<(), WriteError> {
        self.check_key(name)?;
        if self.open.len() >= MAX_DEPTH {
            return Err(WriteError::TooDeep { bucket: self.path() });
        }
        let parent = self.open.last_mut().unwrap_or(&mut self.root);
        parent.last_key.clear();
        parent.last_key.extend_from_slice(name);
        parent.has_buckets = true;
        self.open.push(Open { sequence, ..Open::default() });
        Ok(())
    }

    /// Adds a key to the open bucket.
    ///
    /// # Errors
    /// [`WriteError`] if the key cannot follow, a limit is exceeded, no bucket is open, or the output fails.
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), WriteError> {
        if self.open.is_empty() {
            return Err(WriteError::NoBucket);
        }
        self.check_key(key)?;
        let len = key.len().saturating_add(value.len());
        if len > MAX_ITEM {
            return Err(WriteError::ItemTooLong { bucket: self.path(), len });
        }
        let bucket = self.open.last_mut().unwrap_or(&mut self.root);
        bucket.last_key.clear();
        bucket.last_key.extend_from_slice(key);
        bucket.add(&mut self.pages, 0, key, value)
    }

    /// Ends the open bucket. A small one goes into its parent's leaf, as Go does it (`Bucket.inlineable`).
    ///
    /// # Errors
    /// [`WriteError::NoBucket`], or what the output says.
    pub fn end_bucket(&mut self) -> Result<(), WriteError> {
        let bucket = self.open.pop().ok_or(WriteError::NoBucket)?;
        let value = bucket.into_value(&mut self.pages)?;
        let parent = self.open.last_mut().unwrap_or(&mut self.root);
        // The name was kept as the parent's last key; nothing was added to the parent since.
        let name = std::mem::take(&mut parent.last_key);
        let added = parent.add(&mut self.pages, BUCKET, &name, &value);
        parent.last_key = name;
        added
    }

    /// The length of the file so far, in bytes: what is written and what waits in a buffer, but not the nodes that
    /// are still open.
    #[must_use]
    pub fn bytes_so_far(&self) -> u64 {
        self.pages.end()
    }

    /// Ends the file: what is still open, then the metas. The output is flushed, not synced, and stands at its end,
    /// where a trailer may follow.
    ///
    /// # Errors
    /// [`WriteError::OpenBucket`], or what the output says.
    pub fn finish(mut self) -> Result<Summary, WriteError> {
        if !self.open.is_empty() {
            return Err(WriteError::OpenBucket { bucket: self.path() });
        }
        let root = self.root.into_tree(&mut self.pages)?;
        let freelist = match self.options.freelist {
            FreelistPage::Absent => NO_FREELIST,
            FreelistPage::Stored => self.pages.write(PageKind::FreelistPage, &Node::default(), 0)?,
        };
        let (pages, txid) = (self.pages.next, self.options.txid);
        let bytes = self.pages.end();
        let missing = 4096u64.saturating_sub(bytes);
        self.pages.zeros(usize::try_from(missing).unwrap_or(0))?;
        self.pages.out.seek(SeekFrom::Start(0))?;
        for (id, txid) in [(0, txid), (1, txid.saturating_sub(1))] {
            let meta = meta(id, self.options.page_size, root, freelist, pages, txid);
            self.pages.bytes(&meta)?;
            self.pages.zeros(self.pages.page_size.saturating_sub(meta.len()))?;
        }
        let bytes = bytes.saturating_add(missing);
        self.pages.out.seek(SeekFrom::Start(bytes))?;
        self.pages.out.flush()?;
        Ok(Summary { pages, bytes, txid })
    }

    fn check_key(&self, key: &[u8]) -> Result<(), WriteError> {
        let bucket = self.open.last().unwrap_or(&self.root);
        if key.is_empty() {
            return Err(WriteError::EmptyKey { bucket: self.path() });
        }
        if key.len() > MAX_KEY {
            return Err(WriteError::KeyTooLong { bucket: self.path(), len: key.len() });
        }
        // The last key is empty before the first, and less than every key.
        if key <= bucket.last_key.as_slice() {
            return Err(WriteError::Order {
                bucket: self.path(),
                key: show(key),
                previous: show(&bucket.last_key),
            });
        }
        Ok(())
    }

    /// The open bucket for a message: the last key of each bucket that contains it is the name of the next.
    fn path(&self) -> String {
        let parents = std::iter::once(&self.root).chain(&self.open).take(self.open.len());
        let names: Vec<String> = parents.map(|parent| show(&parent.last_key)).collect();
        if names.is_empty() { "top level".to_owned() } else { format!("bucket {}", names.join("/")) }
    }
}

/// A key for a message.
fn show(key: &[u8]) -> String {
    show_start(key, 64)
}

/// A bucket that is being written.
#[derive(Debug, Default)]
struct Open {
    sequence: u64,
    leaf: Node,
    branch: Option<Box<Branch>>,
    last_key: Vec<u8>,
    has_buckets: bool,
}

impl Open {
    fn add<W: Write + Seek>(
        &mut self,
        pages: &mut Pages<W>,
        flags: u64,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), WriteError> {
        if !self.leaf.is_empty() && !pages.leaf_has_room(self.leaf.size(), self.leaf.size_with(key, value)) {
            let page = pages.write(PageKind::Leaf, &self.leaf, self.leaf.len())?;
            self.branch.get_or_insert_default().push(pages, self.leaf.first_key(), page)?;
            self.leaf.clear();
        }
        self.leaf.push(key, value, flags);
        Ok(())
    }

    /// Writes what is open and gives the page at the top.
    fn into_tree<W: Write + Seek>(self, pages: &mut Pages<W>) -> Result<u64, WriteError> {
        let page = pages.write(PageKind::Leaf, &self.leaf, self.leaf.len())?;
        match self.branch {
            None => Ok(page),
            Some(mut branch) => {
                branch.push(pages, self.leaf.first_key(), page)?;
                branch.into_root(pages)
            }
        }
    }

    /// The value of the bucket's element in its parent.
    fn into_value<W: Write + Seek>(self, pages: &mut Pages<W>) -> Result<Vec<u8>, WriteError> {
        let sequence = self.sequence;
        let inline = self.branch.is_none() && !self.has_buckets && self.leaf.size() <= pages.page_size >> 2;
        let mut value = Vec::new();
        if inline {
            value.extend_from_slice(&0u64.to_le_bytes());
            value.extend_from_slice(&sequence.to_le_bytes());
            self.leaf.head(PageKind::Leaf, 0, self.leaf.len(), 0, &mut value);
            value.extend_from_slice(self.leaf.data(self.leaf.len()));
        } else {
            value.extend_from_slice(&self.into_tree(pages)?.to_le_bytes());
            value.extend_from_slice(&sequence.to_le_bytes());
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests;
