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

use std::io::{self, BufWriter, Seek, SeekFrom, Write};

use super::meta::{MAGIC, NO_FREELIST, VERSION};
use crate::codec::checksum::fnv1a64;
use crate::codec::to_u64;
use crate::words::error::show_start;

mod node;
pub mod pack;
pub mod patch;
use node::{Branch, Kind, Node};

pub use super::limits::{MAX_ITEM, MAX_KEY, MAX_PAGE_SIZE, MIN_PAGE_SIZE};

/// How deep buckets may be nested; etcd's are 1 deep.
pub const MAX_DEPTH: usize = 64;
const BUCKET: u64 = 1;
const BUFFER: usize = 1 << 20;

/// Whether the file says which of its pages are free. None is, either way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Freelist {
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
    pub freelist: Freelist,
    /// The transaction the file claims to be the result of, from 1; a reader's next write makes the one after it.
    pub txid: u64,
    /// How much of a page is filled before the next one is begun, in percent, from 25 (what fits an inline bucket) to
    /// 100.
    pub fill_percent: u8,
}

impl Default for Options {
    /// 4096-byte pages filled to the brim, no freelist, txid 1.
    fn default() -> Options {
        Options { page_size: 4096, freelist: Freelist::Absent, txid: 1, fill_percent: 100 }
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

/// Why an item or a file could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// An [`Options`] field out of its range.
    #[error("{option} {value}: must be {rule}")]
    Option {
        /// The field.
        option: &'static str,
        /// What it was.
        value: u64,
        /// What it must be.
        rule: &'static str,
    },
    /// A key or bucket name that is not greater than the one before it in its bucket.
    #[error("{bucket}: key {key} does not come after {previous}")]
    Order {
        /// The bucket, its parents before it, escaped for print.
        bucket: String,
        /// The key, escaped for print.
        key: String,
        /// The key before it, escaped for print.
        previous: String,
    },
    /// A key or bucket name of no bytes.
    #[error("{bucket}: an empty key")]
    EmptyKey {
        /// The bucket, its parents before it, escaped for print.
        bucket: String,
    },
    /// A key or bucket name longer than [`MAX_KEY`].
    #[error("{bucket}: a key of {len} bytes, the most is {MAX_KEY}")]
    KeyTooLong {
        /// The bucket, its parents before it, escaped for print.
        bucket: String,
        /// The key's length in bytes.
        len: usize,
    },
    /// A key and value longer than [`MAX_ITEM`] together.
    #[error("{bucket}: key and value of {len} bytes, the most is {MAX_ITEM}")]
    ItemTooLong {
        /// The bucket, its parents before it, escaped for print.
        bucket: String,
        /// The length of both in bytes.
        len: usize,
    },
    /// A bucket more than [`MAX_DEPTH`] deep.
    #[error("{bucket}: buckets nested more than {MAX_DEPTH} deep")]
    TooDeep {
        /// The bucket, its parents before it, escaped for print.
        bucket: String,
    },
    /// A key outside every bucket, or the end of a bucket that was not begun.
    #[error("no bucket is open")]
    NoBucket,
    /// The file was to be finished inside a bucket.
    #[error("{bucket}: the bucket is still open")]
    OpenBucket {
        /// The bucket, its parents before it, escaped for print.
        bucket: String,
    },
    /// The output failed. Whatever is tried with the writer afterwards fails too.
    #[error("bbolt file: {0}")]
    Output(#[from] io::Error),
}

impl From<WriteError> for crate::Error {
    fn from(error: WriteError) -> crate::Error {
        match error {
            WriteError::Output(source) => crate::Error::Output { what: "bbolt file".to_owned(), source },
            other => crate::words::refusal::Refusal::Unwritable(Box::new(other)).into(),
        }
    }
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
        let mut pages = Pages {
            out: BufWriter::with_capacity(BUFFER, out),
            page_size: usize::try_from(page_size).unwrap_or(usize::MAX),
            fill_percent: fill_percent.into(),
            next: 2,
            scratch: Vec::new(),
            failed: false,
        };
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
            Freelist::Absent => NO_FREELIST,
            Freelist::Stored => self.pages.write(Kind::Freelist, &Node::default(), 0)?,
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

/// Header and body of a meta page.
fn meta(id: u64, page_size: u32, root: u64, freelist: u64, pages: u64, txid: u64) -> Vec<u8> {
    let mut body = Vec::with_capacity(64);
    for field in [MAGIC, VERSION, page_size, 0] {
        body.extend_from_slice(&field.to_le_bytes());
    }
    for field in [root, 0, freelist, pages, txid] {
        body.extend_from_slice(&field.to_le_bytes());
    }
    let checksum = fnv1a64(&body);
    let mut page = node::header(id, Kind::Meta, 0, 0).to_vec();
    page.extend_from_slice(&body);
    page.extend_from_slice(&checksum.to_le_bytes());
    page
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
            let page = pages.write(Kind::Leaf, &self.leaf, self.leaf.len())?;
            self.branch.get_or_insert_default().push(pages, self.leaf.first_key(), page)?;
            self.leaf.clear();
        }
        self.leaf.push(key, value, flags);
        Ok(())
    }

    /// Writes what is open and gives the page at the top.
    fn into_tree<W: Write + Seek>(self, pages: &mut Pages<W>) -> Result<u64, WriteError> {
        let page = pages.write(Kind::Leaf, &self.leaf, self.leaf.len())?;
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
            self.leaf.head(Kind::Leaf, 0, self.leaf.len(), 0, &mut value);
            value.extend_from_slice(self.leaf.data(self.leaf.len()));
        } else {
            value.extend_from_slice(&self.into_tree(pages)?.to_le_bytes());
            value.extend_from_slice(&sequence.to_le_bytes());
        }
        Ok(value)
    }
}

/// The output, page after page.
#[derive(Debug)]
struct Pages<W: Write + Seek> {
    out: BufWriter<W>,
    page_size: usize,
    fill_percent: usize,
    next: u64,
    scratch: Vec<u8>,
    failed: bool,
}

impl<W: Write + Seek> Pages<W> {
    /// Writes the first `count` elements of `node` as a page, or a run of pages, and gives its id.
    fn write(&mut self, kind: Kind, node: &Node, count: usize) -> Result<u64, WriteError> {
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
    fn end(&self) -> u64 {
        self.next.saturating_mul(to_u64(self.page_size))
    }

    /// How many pages a node of `size` bytes takes.
    fn run(&self, size: usize) -> usize {
        size.div_ceil(self.page_size)
    }

    /// How much of a run of `run` pages is to be filled.
    fn limit(&self, run: usize) -> usize {
        run.saturating_mul(self.page_size).saturating_mul(self.fill_percent).saturating_div(100)
    }

    /// Whether a leaf of `size` bytes takes the item that makes it `grown` bytes. It ends where its run of pages
    /// ends, but not where that would leave more than a quarter of it empty: items of somewhat more than half a page
    /// would else waste nearly half the file. Then the run is extended, within bounds, because a writer that touches
    /// any item of a leaf rewrites the leaf.
    fn leaf_has_room(&self, size: usize, grown: usize) -> bool {
        let limit = self.limit(self.run(size));
        let sparse = size < limit.saturating_sub(limit >> 2);
        // Beside the longest item there may be room on its last page, but none in Go's window.
        (grown <= limit && grown <= MAX_ITEM) || (sparse && self.run(grown) <= node::LONGEST_SHARED_RUN)
    }

    fn zeros(&mut self, mut len: usize) -> Result<(), WriteError> {
        static ZEROS: [u8; 4096] = [0; 4096];
        while let Some(zeros) = ZEROS.get(..len.min(ZEROS.len())).filter(|zeros| !zeros.is_empty()) {
            self.bytes(zeros)?;
            len = len.saturating_sub(zeros.len());
        }
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        if self.failed {
            return Err(WriteError::Output(io::Error::other("an earlier write failed")));
        }
        self.out.write_all(bytes).inspect_err(|_| self.failed = true)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
