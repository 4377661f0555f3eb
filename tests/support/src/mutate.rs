//! Damaged files: a pristine one and one named change, or a few pages laid by hand.

use crate::image::Image;
pub use crate::image::{BRANCH, LEAF};

/// Bytes in a page of the small fixture and of the files made here.
pub const PAGE: usize = 4096;
/// The flag of a leaf element that is a bucket.
pub const BUCKET: u32 = 1;
/// In place of a freelist's page number.
pub const NO_FREELIST: u64 = u64::MAX;

/// Fields of a meta page, by their offset in it.
pub const MAGIC: usize = 16;
pub const PAGE_SIZE: usize = 24;
pub const ROOT: usize = 32;
pub const FREELIST: usize = 48;
pub const HIGH_WATER: usize = 56;

/// Fields of a page header, by their offset in it.
pub const FLAGS: usize = 8;
pub const COUNT: usize = 10;
pub const OVERFLOW: usize = 12;

/// Fields of a leaf element, by their offset in it.
pub const POS: usize = 4;
pub const KSIZE: usize = 8;
pub const VSIZE: usize = 12;
/// Of a branch element.
pub const BRANCH_POS: usize = 0;
pub const BRANCH_KSIZE: usize = 4;
pub const CHILD: usize = 8;

impl Image {
    /// Sets a field of both meta pages, and leaves their checksums as they are.
    pub fn put_metas(&mut self, field: usize, bytes: &[u8]) {
        self.set(field, bytes);
        self.set(PAGE + field, bytes);
    }

    /// Makes everything hold that a checksum covers.
    pub fn sealed(mut self) -> Vec<u8> {
        self.seal_metas();
        self.seal();
        self.bytes
    }

    /// The byte offset of the page that is the root bucket's.
    pub fn root_page(&self) -> usize {
        self.page(self.root())
    }

    /// The byte offset of element `index` of the page at `page`.
    pub fn element(&self, page: usize, index: usize) -> usize {
        page + 16 + 16 * index
    }

    /// The bytes of the key and of the value of a leaf element, from and to.
    pub fn item(&self, element: usize) -> ([usize; 2], [usize; 2]) {
        let key = element + self.u32(element + POS) as usize;
        let value = key + self.u32(element + KSIZE) as usize;
        ([key, value], [value, value + self.u32(element + VSIZE) as usize])
    }

    /// The element of the root leaf that is bucket `name`.
    pub fn bucket(&self, name: &str) -> usize {
        self.entry(name).at
    }

    /// The byte offset of the branch page at the top of `key`.
    pub fn key_root(&self) -> usize {
        self.page(self.top("key"))
    }

    /// The byte offset of a leaf page of `key`.
    pub fn key_leaf(&self, index: usize) -> usize {
        self.page(self.u64(self.element(self.key_root(), index) + CHILD))
    }
}

/// What a byte of a snapshot file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// Free pages, and what lies behind the elements of a page.
    Slack,
    Trailer,
    /// Header of a meta page.
    MetaHeader,
    /// What the checksum of a meta page covers, and the checksum.
    Meta,
    /// Header of a page, or of the page in an inline bucket.
    Header,
    /// An element of a leaf page or of the page in an inline bucket.
    Element,
    /// Position and length of a branch element's key.
    BranchElement,
    /// The page a branch element leads to.
    Child,
    BranchKey,
    BucketName,
    /// The root page in a bucket's header.
    BucketRoot,
    /// The counter in a bucket's header, which etcd does not use.
    BucketSequence,
    /// A key of bucket `key`.
    RevisionKey,
    /// A value of bucket `key`.
    KeyValue,
    /// A key or value of bucket `meta`.
    MetaFact,
    /// A key or value of any other bucket.
    Fact,
}

/// What every byte of a snapshot file with a root leaf is for.
pub fn owners(image: &Image) -> Vec<Owner> {
    let mut owners = vec![Owner::Slack; image.bytes.len()];
    let trailer = image.bytes.len() - 32;
    owners[trailer..].fill(Owner::Trailer);
    for meta in [0, PAGE] {
        owners[meta..meta + 16].fill(Owner::MetaHeader);
        owners[meta + 16..meta + 80].fill(Owner::Meta);
    }
    let root = image.root_page();
    owners[root..root + 16].fill(Owner::Header);
    for index in 0..image.u16(root + COUNT) as usize {
        let element = image.element(root, index);
        owners[element..element + 16].fill(Owner::Element);
        let ([key, key_end], [value, _]) = image.item(element);
        owners[key..key_end].fill(Owner::BucketName);
        owners[value..value + 8].fill(Owner::BucketRoot);
        owners[value + 8..value + 16].fill(Owner::BucketSequence);
        let fact = if &image.bytes[key..key_end] == b"meta" { Owner::MetaFact } else { Owner::Fact };
        match image.u64(value) as usize {
            0 => own_leaf(image, value + 16, [fact, fact], &mut owners),
            branch => {
                let page = branch * PAGE;
                owners[page..page + 16].fill(Owner::Header);
                for index in 0..image.u16(page + COUNT) as usize {
                    let element = image.element(page, index);
                    owners[element..element + CHILD].fill(Owner::BranchElement);
                    owners[element + CHILD..element + 16].fill(Owner::Child);
                    let key = element + image.u32(element + BRANCH_POS) as usize;
                    owners[key..key + image.u32(element + BRANCH_KSIZE) as usize].fill(Owner::BranchKey);
                    own_leaf(
                        image,
                        image.u64(element + CHILD) as usize * PAGE,
                        [Owner::RevisionKey, Owner::KeyValue],
                        &mut owners,
                    );
                }
            }
        }
    }
    owners
}

fn own_leaf(image: &Image, page: usize, [of_key, of_value]: [Owner; 2], owners: &mut [Owner]) {
    owners[page..page + 16].fill(Owner::Header);
    for index in 0..image.u16(page + COUNT) as usize {
        let element = image.element(page, index);
        owners[element..element + 16].fill(Owner::Element);
        let ([key, key_end], [value, value_end]) = image.item(element);
        owners[key..key_end].fill(of_key);
        owners[value..value_end].fill(of_value);
    }
}

/// A file of pages laid by hand, from page 2 on; the root is page 2. Metas are added, and hold.
pub fn lay(pages: &[Vec<u8>]) -> Vec<u8> {
    let mut body = Vec::new();
    for page in pages {
        body.extend_from_slice(page);
        body.resize(body.len().next_multiple_of(PAGE), 0);
    }
    let high_water = 2 + (body.len() / PAGE) as u64;
    let mut image = Image { bytes: vec![0; 2 * PAGE], page_size: PAGE, trailer: false };
    for (number, txid) in [(0u64, 9u64), (1, 8)] {
        let at = number as usize * PAGE;
        image.set(at, &number.to_le_bytes());
        image.set(at + FLAGS, &4u16.to_le_bytes());
        for (i, word) in [0xED0C_DAED_u32, 2, PAGE as u32, 0].into_iter().enumerate() {
            image.set(at + 16 + 4 * i, &word.to_le_bytes());
        }
        for (i, word) in [2, 0, NO_FREELIST, high_water, txid].into_iter().enumerate() {
            image.set(at + 32 + 8 * i, &word.to_le_bytes());
        }
    }
    image.bytes.extend_from_slice(&body);
    image.seal_metas();
    image.bytes
}

/// A page header.
pub fn header(id: u64, flags: u16, count: usize, bytes: usize) -> Vec<u8> {
    let overflow = bytes.div_ceil(PAGE).saturating_sub(1) as u32;
    let mut page = id.to_le_bytes().to_vec();
    page.extend_from_slice(&flags.to_le_bytes());
    page.extend_from_slice(&u16::try_from(count).unwrap().to_le_bytes());
    page.extend_from_slice(&overflow.to_le_bytes());
    page
}

/// A leaf element: flags, and where its key and value are in the page.
pub fn leaf_element(page: &mut Vec<u8>, flags: u32, key_at: usize, key: usize, value: usize) {
    let pos = key_at - page.len();
    for word in [flags, pos as u32, key as u32, value as u32] {
        page.extend_from_slice(&word.to_le_bytes());
    }
}

/// A sound leaf page.
pub fn leaf(id: u64, items: &[(u32, &[u8], Vec<u8>)]) -> Vec<u8> {
    let data: usize = items.iter().map(|(_, key, value)| key.len() + value.len()).sum();
    let mut at = 16 + 16 * items.len();
    let mut page = header(id, LEAF, items.len(), at + data);
    for (flags, key, value) in items {
        leaf_element(&mut page, *flags, at, key.len(), value.len());
        at += key.len() + value.len();
    }
    for (_, key, value) in items {
        page.extend_from_slice(key);
        page.extend_from_slice(value);
    }
    page
}

/// The header of a bucket whose tree starts at page `root`; 0 for an inline one.
pub fn bucket_header(root: u64) -> Vec<u8> {
    [root.to_le_bytes(), 0u64.to_le_bytes()].concat()
}
