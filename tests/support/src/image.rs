//! A bbolt file in memory, made by coldbolt's own writer or read from a fixture, and taken apart byte by byte.

use std::io::Cursor;

use coldbolt::bolt::writer::{FreelistPage, Options, Writer};
use coldbolt::codec::checksum::{fnv1a64, sha256};
use coldbolt::words::error::At;

use crate::fixture;

pub const BRANCH: u16 = 1;
pub const LEAF: u16 = 2;
pub const FREELIST: u16 = 0x10;

/// The bytes of a file. Changes to a meta page must be followed by [`Image::seal_metas`], any change by
/// [`Image::seal`].
#[derive(Debug, Clone)]
pub struct Image {
    pub bytes: Vec<u8>,
    pub page_size: usize,
    /// Whether 32 bytes of SHA-256 stand at the end.
    pub trailer: bool,
}

/// An element of a leaf or branch page: where its fields stand, and where its key and value do.
#[derive(Debug, Clone)]
pub struct Element {
    pub at: usize,
    pub key: std::ops::Range<usize>,
    pub value: std::ops::Range<usize>,
    pub child: u64,
}

impl Image {
    pub fn snapshot(bytes: Vec<u8>) -> Image {
        Image { bytes, page_size: 4096, trailer: true }
    }

    /// `fixtures/small-3.5.1/snapshot.db`: a root leaf with ten buckets, nine of them inline, and `key`: a branch
    /// with four leaves, the third of them with an overflow page.
    pub fn pristine() -> Image {
        Image::snapshot(std::fs::read(fixture("small-3.5.1/snapshot.db")).unwrap())
    }

    pub fn u16(&self, at: usize) -> u16 {
        u16::from_le_bytes(self.bytes[at..at + 2].try_into().unwrap())
    }

    pub fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.bytes[at..at + 4].try_into().unwrap())
    }

    pub fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.bytes[at..at + 8].try_into().unwrap())
    }

    pub fn set(&mut self, at: usize, bytes: &[u8]) {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    pub fn set_u16(&mut self, at: usize, n: u16) {
        self.set(at, &n.to_le_bytes());
    }

    pub fn set_u32(&mut self, at: usize, n: u32) {
        self.set(at, &n.to_le_bytes());
    }

    pub fn set_u64(&mut self, at: usize, n: u64) {
        self.set(at, &n.to_le_bytes());
    }

    /// The offset of a page.
    pub fn page(&self, id: u64) -> usize {
        id as usize * self.page_size
    }

    /// What a finding about a page says of its place.
    pub fn at(&self, id: u64) -> At {
        At::page(id, self.page(id) as u64)
    }

    pub fn id(&self, page: usize) -> u64 {
        (page / self.page_size) as u64
    }

    pub fn flags(&self, id: u64) -> u16 {
        self.u16(self.page(id) + 8)
    }

    pub fn count(&self, id: u64) -> usize {
        usize::from(self.u16(self.page(id) + 10))
    }

    /// A field of the meta page in use, which is page 0 in all files made here.
    pub fn root(&self) -> u64 {
        self.u64(32)
    }

    pub fn freelist(&self) -> u64 {
        self.u64(48)
    }

    pub fn high_water(&self) -> u64 {
        self.u64(56)
    }

    /// Sets eight bytes of both meta pages, counted from the page's start, and their checksums.
    pub fn set_metas(&mut self, field: usize, n: u64) {
        self.set_u64(field, n);
        self.set_u64(self.page_size + field, n);
        self.seal_metas();
    }

    pub fn seal_metas(&mut self) {
        for meta in [0, self.page_size] {
            self.seal_meta(meta);
        }
    }

    pub fn seal_meta(&mut self, meta: usize) {
        let sum = fnv1a64(&self.bytes[meta + 16..meta + 72]);
        self.set_u64(meta + 72, sum);
    }

    /// The bytes before the trailer.
    pub fn payload(&self) -> usize {
        self.bytes.len() - if self.trailer { 32 } else { 0 }
    }

    /// Makes the trailer fit again.
    pub fn seal(&mut self) {
        if self.trailer {
            let payload = self.payload();
            let digest = sha256(&self.bytes[..payload]);
            self.set(payload, &digest);
        }
    }

    /// Cuts the trailer off.
    pub fn without_trailer(mut self) -> Image {
        let payload = self.payload();
        self.bytes.truncate(payload);
        self.trailer = false;
        self
    }

    /// The elements of a page at this offset, which may be inside an inline bucket.
    pub fn elements_at(&self, page: usize) -> Vec<Element> {
        let branch = self.u16(page + 8) == BRANCH;
        let count = usize::from(self.u16(page + 10));
        let element = |i| {
            let at = page + 16 + 16 * i;
            if branch {
                let key = at + self.u32(at) as usize;
                let end = key + self.u32(at + 4) as usize;
                Element { at, key: key..end, value: end..end, child: self.u64(at + 8) }
            } else {
                let key = at + self.u32(at + 4) as usize;
                let value = key + self.u32(at + 8) as usize;
                Element { at, key: key..value, value: value..value + self.u32(at + 12) as usize, child: 0 }
            }
        };
        (0..count).map(element).collect()
    }

    pub fn elements(&self, id: u64) -> Vec<Element> {
        self.elements_at(self.page(id))
    }

    /// The element of the root bucket that is bucket `name`; the root must be a leaf.
    pub fn entry(&self, name: &str) -> Element {
        let mut page = self.root();
        while self.flags(page) == BRANCH {
            let elements = self.elements(page);
            let at =
                elements.iter().rposition(|e| self.bytes[e.key.clone()] <= *name.as_bytes()).unwrap_or(0);
            page = elements[at].child;
        }
        self.elements(page).into_iter().find(|e| self.bytes[e.key.clone()] == *name.as_bytes()).expect(name)
    }

    /// The top page of a bucket that is not inline.
    pub fn top(&self, name: &str) -> u64 {
        self.u64(self.entry(name).value.start)
    }

    /// Where the page of an inline bucket begins.
    pub fn inline(&self, name: &str) -> usize {
        assert_eq!(self.top(name), 0, "{name} is not inline");
        self.entry(name).value.start + 16
    }

    /// All pages of a tree with these flags, in key order.
    pub fn pages(&self, top: u64, flags: u16) -> Vec<u64> {
        let below = if self.flags(top) == BRANCH {
            self.elements(top).iter().flat_map(|e| self.pages(e.child, flags)).collect()
        } else {
            Vec::new()
        };
        (self.flags(top) == flags).then_some(top).into_iter().chain(below).collect()
    }

    pub fn leaves(&self, name: &str) -> Vec<u64> {
        self.pages(self.top(name), LEAF)
    }

    pub fn branches(&self, name: &str) -> Vec<u64> {
        self.pages(self.top(name), BRANCH)
    }

    pub fn overflow(&self, id: u64) -> u64 {
        u64::from(self.u32(self.page(id) + 12))
    }

    /// Adds pages of zeros at the end of the database, which belong to nobody. For files without a trailer.
    pub fn grow(&mut self, pages: u64) -> u64 {
        assert!(!self.trailer);
        let first = self.high_water();
        self.bytes.resize(self.page(first + pages), 0);
        self.set_metas(56, first + pages);
        first
    }

    /// Writes the ids of free pages into the stored freelist.
    pub fn set_free(&mut self, ids: &[u64]) {
        let page = self.page(self.freelist());
        self.set_u16(page + 10, ids.len() as u16);
        for (i, id) in ids.iter().enumerate() {
            self.set_u64(page + 16 + 8 * i, *id);
        }
    }

    /// A copy of a page at the end of the database.
    pub fn copy_of(&mut self, id: u64) -> u64 {
        let (from, new) = (self.page(id), self.grow(1));
        let to = self.page(new);
        self.bytes.copy_within(from..from + self.page_size, to);
        self.set_u64(to, new);
        new
    }
}

/// A file that is not etcd's, in pages of 1024 bytes: `flat` of three levels, `inline`, `long` with overflow pages,
/// `tree` of two levels, a stored freelist with four free pages.
pub fn plain() -> Image {
    let mut file = Cursor::new(Vec::new());
    let options = Options { page_size: 1024, freelist: FreelistPage::Stored, txid: 7, ..Options::default() };
    let mut writer = Writer::new(&mut file, options).unwrap();
    writer.begin_bucket(b"flat", 0).unwrap();
    // Even numbers: there is room between two keys.
    for i in (0..6000).step_by(2) {
        writer.put(format!("key-{i:04}").as_bytes(), format!("value number {i}").as_bytes()).unwrap();
    }
    writer.end_bucket().unwrap();
    writer.begin_bucket(b"inline", 3).unwrap();
    for key in ["a", "b", "c"] {
        writer.put(key.as_bytes(), b"small").unwrap();
    }
    writer.end_bucket().unwrap();
    writer.begin_bucket(b"long", 0).unwrap();
    for i in 0..6u8 {
        writer.put(&[b'k', b'0' + i], &vec![i; 700 * usize::from(i)]).unwrap();
    }
    writer.end_bucket().unwrap();
    writer.begin_bucket(b"tree", 0).unwrap();
    for i in 0..60 {
        writer.put(format!("{i:02}").as_bytes(), &[7; 40]).unwrap();
    }
    writer.end_bucket().unwrap();
    writer.finish().unwrap();
    let mut image = Image { bytes: file.into_inner(), page_size: 1024, trailer: false };
    let first = image.grow(4);
    image.set_free(&[first, first + 1, first + 2, first + 3]);
    image
}

/// The same without a freelist: what is not reached is free.
pub fn plain_without_freelist() -> Image {
    let mut image = plain();
    image.set_metas(48, u64::MAX);
    image
}
