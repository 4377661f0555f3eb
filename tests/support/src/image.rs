//! A bbolt file in memory, made by coldbolt's own writer or read from a fixture, and taken apart byte by byte.

use std::collections::BTreeMap;
use std::io::Cursor;

use coldbolt::bolt::writer::{Freelist, Options, Writer};
use coldbolt::codec::checksum::{fnv1a64, sha256};
use coldbolt::etcd::{BucketKey, Revision};
use coldbolt::words::error::At;
use prost::Message;

pub use crate::key_value::KeyValue;

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
    let options = Options { page_size: 1024, freelist: Freelist::Stored, txid: 7, ..Options::default() };
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

/// The key of a stored revision.
pub fn revision(main: i64, sub: i64, tombstone: bool) -> Vec<u8> {
    BucketKey { revision: Revision { main, sub }, tombstone }.to_bytes()
}

pub const MEMBER: u64 = 0x8e9e_05c5_2164_694d;
pub const LEASE: i64 = 0x7000_0000_0000_0001;

/// What etcd stores, bucket by bucket.
#[derive(Debug, Clone, Default)]
pub struct Buckets(pub BTreeMap<String, BTreeMap<Vec<u8>, Vec<u8>>>);

impl Buckets {
    /// A small store as etcd 3.6 leaves it: revisions 2 to 9, compacted at 4, a transaction of three changes at 7, a
    /// deletion at 8; a lease, a user, an index of 20 at term 2.
    pub fn good() -> Buckets {
        let mut all = Buckets::default();
        for name in coldbolt::etcd::schema::BUCKETS {
            all.0.insert(name.to_owned(), BTreeMap::new());
        }
        // At 2 and 3 `b` was put; 4 is what the compaction left of `a`.
        all.kv(3, 0, "b", 2, 2, 0);
        all.kv(4, 0, "a", 4, 1, 0);
        all.kv(5, 0, "c", 5, 1, LEASE);
        all.kv(6, 0, "a", 4, 2, 0);
        all.kv(7, 0, "b", 2, 3, 0);
        all.kv(7, 1, "d", 7, 1, 0);
        all.kv(7, 2, "e", 7, 1, 0);
        all.tombstone(8, 0, "d");
        all.kv(9, 0, "d", 9, 1, 0);
        all.put(
            "lease",
            &LEASE.to_be_bytes(),
            &coldbolt::etcd::lease::Lease { id: LEASE, ttl: 60, remaining_ttl: 0 }.encode_to_vec(),
        );
        all.put("cluster", b"clusterVersion", b"3.6.0");
        let urls =
            r#""peerURLs":["http://localhost:2380"],"name":"n1","clientURLs":["http://localhost:2379"]"#;
        all.put(
            "members",
            format!("{MEMBER:x}").as_bytes(),
            format!(r#"{{"id":{MEMBER},{urls}}}"#).as_bytes(),
        );
        all.put("meta", b"confState", format!(r#"{{"voters":[{MEMBER}],"auto_leave":false}}"#).as_bytes());
        all.index(20, 2);
        all.put("meta", b"finishedCompactRev", &revision(4, 0, false));
        all.put("meta", b"scheduledCompactRev", &revision(4, 0, false));
        all.put("meta", b"storageVersion", b"3.6.0");
        all.put("auth", b"authEnabled", &[1]);
        all.put("auth", b"authRevision", &3u64.to_be_bytes());
        all.user("root", &["root"]);
        all.user("ann", &["reader"]);
        let role = coldbolt::etcd::auth::Role { name: b"reader".to_vec(), key_permission: Vec::new() };
        all.put("authRoles", b"reader", &role.encode_to_vec());
        all
    }

    pub fn put(&mut self, bucket: &str, key: &[u8], value: &[u8]) {
        self.0.entry(bucket.to_owned()).or_default().insert(key.to_vec(), value.to_vec());
    }

    pub fn remove(&mut self, bucket: &str, key: &[u8]) {
        self.0.get_mut(bucket).unwrap().remove(key).unwrap();
    }

    pub fn index(&mut self, index: u64, term: u64) {
        self.put("meta", b"consistent_index", &index.to_be_bytes());
        self.put("meta", b"term", &term.to_be_bytes());
    }

    pub fn user(&mut self, name: &str, roles: &[&str]) {
        let roles = roles.iter().map(|r| (*r).to_owned()).collect();
        let user =
            coldbolt::etcd::auth::User { name: name.into(), password: b"x".to_vec(), roles, options: None };
        self.put("authUsers", name.as_bytes(), &user.encode_to_vec());
    }

    /// A put of `key`, as it is stored.
    pub fn kv(&mut self, main: i64, sub: i64, key: &str, create_revision: i64, version: i64, lease: i64) {
        let value = format!("value {main}.{sub}").into_bytes();
        let kv = KeyValue { key: key.into(), create_revision, mod_revision: main, version, value, lease };
        self.put("key", &revision(main, sub, false), &kv.encode_to_vec());
    }

    pub fn tombstone(&mut self, main: i64, sub: i64, key: &str) {
        let kv = KeyValue { key: key.into(), ..KeyValue::default() };
        self.put("key", &revision(main, sub, true), &kv.encode_to_vec());
    }

    /// Changes a stored revision.
    pub fn edit(&mut self, main: i64, sub: i64, tombstone: bool, change: impl FnOnce(&mut KeyValue)) {
        let place = self.0.get_mut("key").unwrap().get_mut(&revision(main, sub, tombstone)).unwrap();
        let mut kv = KeyValue::decode(place.as_slice()).unwrap();
        change(&mut kv);
        *place = kv.encode_to_vec();
    }

    /// The file, with a trailer.
    pub fn file(&self) -> Image {
        let mut image = self.bare();
        image.bytes.extend([0; 32]);
        image.trailer = true;
        image.seal();
        image
    }

    /// The file as a member keeps it.
    pub fn bare(&self) -> Image {
        let mut file = Cursor::new(Vec::new());
        let mut writer = Writer::new(&mut file, Options { txid: 9, ..Options::default() }).unwrap();
        for (name, items) in &self.0 {
            writer.begin_bucket(name.as_bytes(), 0).unwrap();
            for (key, value) in items {
                writer.put(key, value).unwrap();
            }
            writer.end_bucket().unwrap();
        }
        writer.finish().unwrap();
        Image { bytes: file.into_inner(), page_size: 4096, trailer: false }
    }
}
