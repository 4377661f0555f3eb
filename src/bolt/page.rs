//! Pages and their elements.

use super::Pgid;
use super::limits::{ELEMENT, HEADER, MAX_KEY, META_BODY};
use crate::codec::{array_at, slice_at, to_u64, to_usize};
use crate::words::error::{At, Corrupt};
use crate::words::finding::Code;

/// The most that Go can address of an element, its key and its value: more is past its longest slice
/// (`unsafeByteSlice`).
const MAX_REACH: u64 = 0x7fff_ffff;
/// A leaf element's flag: the value is a bucket.
pub const BUCKET_FLAG: u32 = 1;

/// What a page is. bbolt sets exactly one flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PageKind {
    /// Keys and child pages.
    Branch,
    /// Keys and values.
    Leaf,
    /// Page 0 or 1.
    Meta,
    /// The list of free pages.
    Freelist,
}

impl PageKind {
    /// The kind of these flags, if it is exactly one.
    #[must_use]
    pub fn from_flags(flags: u16) -> Option<PageKind> {
        match flags {
            0x01 => Some(PageKind::Branch),
            0x02 => Some(PageKind::Leaf),
            0x04 => Some(PageKind::Meta),
            0x10 => Some(PageKind::Freelist),
            _ => None,
        }
    }

    /// bbolt's word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            PageKind::Branch => "branch",
            PageKind::Leaf => "leaf",
            PageKind::Meta => "meta",
            PageKind::Freelist => "freelist",
        }
    }
}

/// The 16 bytes every page starts with, as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The page's own number.
    pub id: Pgid,
    /// Type flags.
    pub flags: u16,
    /// Elements, or ids in a freelist page.
    pub count: u16,
    /// Further pages that belong to this one.
    pub overflow: u32,
}

impl Header {
    /// The header at the start of `bytes`.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Header> {
        Some(Header {
            id: Pgid(u64::from_le_bytes(array_at(bytes, 0)?)),
            flags: u16::from_le_bytes(array_at(bytes, 8)?),
            count: u16::from_le_bytes(array_at(bytes, 10)?),
            overflow: u32::from_le_bytes(array_at(bytes, 12)?),
        })
    }

    /// Whether it can be the header of page `id`, and of which kind.
    ///
    /// # Errors
    /// `page-id`, `page-type`.
    pub fn check(&self, id: Pgid, offset: u64) -> Result<PageKind, Box<Corrupt>> {
        if self.id != id {
            let what = format!("the page's header says it is page {}, its place says {id}", self.id);
            return Err(Corrupt::new(Code::PageId, At::page(id.0, offset), what));
        }
        PageKind::from_flags(self.flags).ok_or_else(|| {
            let what = format!(
                "type flags are {:#06x}; 1 branch, 2 leaf, 4 meta or 0x10 freelist is due",
                self.flags
            );
            Corrupt::new(Code::PageType, At::page(id.0, offset), what)
        })
    }
}

/// A page with its overflow pages, or the page inside an inline bucket.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    /// The page's number; for an inline page the number of the leaf page it lies in.
    pub id: Pgid,
    /// What it is.
    pub kind: PageKind,
    /// Elements, or ids in a freelist page (0xffff: the true count is the first id).
    pub count: usize,
    /// Further pages that belong to it.
    pub overflow: u32,
    /// Byte offset in the file.
    pub offset: u64,
    /// The bytes of the whole run.
    pub bytes: &'a [u8],
}

/// One key and value, or one bucket, of a leaf page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeafElement<'a> {
    /// Which element of its page it is, from 0.
    pub index: usize,
    /// The key, or the bucket's name.
    pub key: &'a [u8],
    /// The value, or the bucket's header and inline page.
    pub value: &'a [u8],
    /// Whether the value is a bucket.
    pub is_bucket: bool,
    /// Where the value starts, counted from the page's first byte.
    pub value_at: usize,
}

/// A leaf element as stored, unjudged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LooseElement<'a> {
    /// 1 for a bucket, 0 for a value.
    pub flags: u32,
    /// Where the key starts, counted from the element.
    pub pos: u32,
    /// Length of the key.
    pub ksize: u32,
    /// Length of the value.
    pub vsize: u32,
    /// The key, if it lies inside the page.
    pub key: Option<&'a [u8]>,
    /// The value, if it lies inside the page.
    pub value: Option<&'a [u8]>,
    /// Where the value starts, counted from the page's first byte.
    pub value_at: usize,
}

/// Bytes that the elements of a page may still hand out: twice the page's.
///
/// Elements do not overlap in a sound page. In one made to hurt, each of 65,535 elements is all of a long page, and
/// reading it as it says takes hours. Twice, so that one element with a wrong length does not hide the ones after it.
#[derive(Debug)]
pub struct Budget {
    left: usize,
}

impl Budget {
    /// Whether `bytes` more may be handed out.
    pub fn spend(&mut self, bytes: usize) -> bool {
        let enough = bytes <= self.left;
        self.left = if enough { self.left.saturating_sub(bytes) } else { 0 };
        enough
    }
}

/// One child of a branch page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BranchElement<'a> {
    /// Which element of its page it is, from 0.
    pub index: usize,
    /// The first key of the child.
    pub key: &'a [u8],
    /// The child.
    pub child: Pgid,
    /// Where the key starts, counted from the page's first byte.
    pub key_at: usize,
}

impl<'a> Page<'a> {
    /// Judges a page by its header. `bytes` is the whole run and starts at byte `offset` of the file.
    ///
    /// # Errors
    /// `page-id`, `page-type`, `page-count`.
    pub fn parse(id: Pgid, offset: u64, bytes: &'a [u8]) -> Result<Page<'a>, Box<Corrupt>> {
        let at = || At::page(id.0, offset);
        let header = Header::parse(bytes)
            .ok_or_else(|| Corrupt::new(Code::PageCount, at(), "shorter than a page header"))?;
        let kind = header.check(id, offset)?;
        Page::of_header(header, kind, id, offset, bytes)
    }

    /// The page inside an inline bucket: its header carries no number.
    ///
    /// # Errors
    /// `bucket-header`, `page-count`.
    pub fn parse_inline(id: Pgid, offset: u64, bytes: &'a [u8]) -> Result<Page<'a>, Box<Corrupt>> {
        let at = || At::page(id.0, offset);
        let header = Header::parse(bytes);
        let Some(header) = header.filter(|h| h.id.0 == 0 && h.flags == 0x02 && h.overflow == 0) else {
            let what = match header {
                None => format!("an inline bucket needs 16 bytes of page header, {} are left", bytes.len()),
                Some(h) => {
                    format!(
                        "inline page header has id {}, flags {:#x}, overflow {}; 0, 0x2 and 0 are due",
                        h.id, h.flags, h.overflow
                    )
                }
            };
            return Err(Corrupt::new(Code::BucketHeader, at(), what));
        };
        Page::of_header(header, PageKind::Leaf, id, offset, bytes)
    }

    pub(super) fn of_header(
        header: Header,
        kind: PageKind,
        id: Pgid,
        offset: u64,
        bytes: &'a [u8],
    ) -> Result<Page<'a>, Box<Corrupt>> {
        let at = || At::page(id.0, offset);
        let count = usize::from(header.count);
        let room = bytes.len().saturating_sub(HEADER) / ELEMENT;
        if matches!(kind, PageKind::Branch | PageKind::Leaf) && count > room {
            let what = format!(
                "{count} elements are claimed, the page's {} bytes have room for {room}",
                bytes.len()
            );
            return Err(Corrupt::new(Code::PageCount, at(), what));
        }
        Ok(Page { id, kind, count, overflow: header.overflow, offset, bytes })
    }

    /// Where this page is.
    #[must_use]
    pub fn at(&self) -> At {
        At::page(self.id.0, self.offset)
    }

    fn element(&self, index: usize) -> Option<(usize, &'a [u8; ELEMENT])> {
        let start = HEADER.checked_add(index.checked_mul(ELEMENT)?)?;
        (index < self.count).then_some(())?;
        Some((start, self.bytes.get(start..)?.first_chunk()?))
    }

    /// Where element `index` is.
    #[must_use]
    pub fn element_at(&self, index: usize) -> At {
        let within = index.saturating_mul(ELEMENT).saturating_add(HEADER);
        At::page(self.id.0, self.offset.saturating_add(to_u64(within))).element(index)
    }

    fn bounds(&self, index: usize, what: &str, start: usize, pos: u32, len: u64) -> Box<Corrupt> {
        let from = to_u64(start).saturating_add(u64::from(pos));
        let to = from.saturating_add(len);
        let text = format!("{what} lies at bytes {from} to {to} of the page, which has {}", self.bytes.len());
        Corrupt::new(Code::ElementBounds, self.element_at(index), text)
    }

    /// Whether an element's `pos` is past the elements themselves, and Go can read as far as its key and value go.
    fn reach(&self, index: usize, pos: u32, len: u64) -> Result<(), Box<Corrupt>> {
        let table = to_u64(self.count.saturating_sub(index).saturating_mul(ELEMENT));
        let what = if u64::from(pos) < table {
            format!("the key lies {pos} bytes after its element, where elements go on to byte {table}")
        } else if u64::from(pos).saturating_add(len) > MAX_REACH {
            format!(
                "key and value end {} bytes after their element, past the {MAX_REACH} that Go can address",
                u64::from(pos).saturating_add(len)
            )
        } else {
            return Ok(());
        };
        Err(Corrupt::new(Code::ElementBounds, self.element_at(index), what))
    }

    /// Element `index` of a leaf page.
    ///
    /// # Errors
    /// `element-bounds`, `key-empty`, `element-flags`; `page-count` when there is no such element.
    pub fn leaf(&self, index: usize) -> Result<LeafElement<'a>, Box<Corrupt>> {
        let (Some((start, _)), Some(loose)) = (self.element(index), self.loose_leaf(index)) else {
            return Err(self.no_element(index));
        };
        let LooseElement { flags, pos, ksize, vsize, key, value, value_at } = loose;
        let (Some(key), Some(value)) = (key, value) else {
            let what = if key.is_none() { "key" } else { "value" };
            let len = u64::from(ksize).saturating_add(if key.is_none() { 0 } else { u64::from(vsize) });
            return Err(self.bounds(index, what, start, pos, len));
        };
        self.reach(index, pos, u64::from(ksize).saturating_add(u64::from(vsize)))?;
        self.check_key(index, key)?;
        if flags & !BUCKET_FLAG != 0 {
            let what = format!("element flags are {flags:#x}; only 0 and 1 are defined");
            return Err(Corrupt::new(Code::ElementFlags, self.element_at(index), what));
        }
        Ok(LeafElement { index, key, value, is_bucket: flags == BUCKET_FLAG, value_at })
    }

    /// What can be read of element `index` of a leaf page, whatever else is wrong with it; `None` when there is no
    /// such element.
    #[must_use]
    pub fn loose_leaf(&self, index: usize) -> Option<LooseElement<'a>> {
        let (start, raw) = self.element(index)?;
        let [flags, pos, ksize, vsize] = words(raw);
        let key_at = start.saturating_add(to_usize(u64::from(pos)));
        let value_at = key_at.saturating_add(to_usize(u64::from(ksize)));
        let key = slice_at(self.bytes, key_at, to_usize(u64::from(ksize)));
        let value = slice_at(self.bytes, value_at, to_usize(u64::from(vsize)));
        Some(LooseElement { flags, pos, ksize, vsize, key, value, value_at })
    }

    /// Element `index` of a branch page.
    ///
    /// # Errors
    /// `element-bounds`, `key-empty`; `page-count` when there is no such element.
    pub fn branch(&self, index: usize) -> Result<BranchElement<'a>, Box<Corrupt>> {
        let Some((start, raw)) = self.element(index) else { return Err(self.no_element(index)) };
        let [pos, ksize, low, high] = words(raw);
        let child = Pgid(u64::from(low) | u64::from(high) << 32);
        let key_at = start.saturating_add(to_usize(u64::from(pos)));
        let Some(key) = slice_at(self.bytes, key_at, to_usize(u64::from(ksize))) else {
            return Err(self.bounds(index, "key", start, pos, u64::from(ksize)));
        };
        self.reach(index, pos, u64::from(ksize))?;
        self.check_key(index, key)?;
        Ok(BranchElement { index, key, child, key_at })
    }

    fn check_key(&self, index: usize, key: &[u8]) -> Result<(), Box<Corrupt>> {
        if key.is_empty() {
            return Err(Corrupt::new(
                Code::KeyEmpty,
                self.element_at(index),
                "the key's length is 0, 1 is the least",
            ));
        }
        if key.len() > MAX_KEY {
            let what = format!("the key's length is {}, {MAX_KEY} is the most", key.len());
            return Err(Corrupt::new(Code::ElementBounds, self.element_at(index), what));
        }
        Ok(())
    }

    /// The key of element `index`, of a leaf or a branch.
    ///
    /// # Errors
    /// As [`Page::leaf`] and [`Page::branch`].
    pub fn key(&self, index: usize) -> Result<&'a [u8], Box<Corrupt>> {
        match self.kind {
            PageKind::Leaf => Ok(self.leaf(index)?.key),
            _ => Ok(self.branch(index)?.key),
        }
    }

    /// The elements of a branch page that can be read, in order, as far as the [`Budget`] goes.
    pub fn branches(&self) -> impl Iterator<Item = BranchElement<'a>> + use<'a> {
        let (page, mut budget) = (*self, self.budget());
        (0..page.count)
            .filter_map(move |i| page.branch(i).ok())
            .take_while(move |e| budget.spend(e.key.len()))
    }

    /// How many bytes its elements may hand out.
    #[must_use]
    pub fn budget(&self) -> Budget {
        Budget { left: self.bytes.len().saturating_mul(2) }
    }

    /// Bytes in use: header, elements, keys and values. The rest of the run is free.
    #[must_use]
    pub fn used(&self) -> u64 {
        let size = |i| match self.kind {
            PageKind::Leaf => self.leaf(i).map_or(0, |e| e.key.len().saturating_add(e.value.len())),
            PageKind::Branch => self.branch(i).map_or(0, |e| e.key.len()),
            PageKind::Meta | PageKind::Freelist => 0,
        };
        let fixed = match self.kind {
            PageKind::Leaf | PageKind::Branch => self.count.saturating_mul(ELEMENT).saturating_add(HEADER),
            PageKind::Meta => HEADER.saturating_add(META_BODY),
            PageKind::Freelist => self.count.saturating_mul(8).saturating_add(HEADER),
        };
        to_u64((0..self.count).map(size).fold(fixed, usize::saturating_add))
    }

    fn no_element(&self, index: usize) -> Box<Corrupt> {
        let what = format!("there is no element {index}, the page has {}", self.count);
        Corrupt::new(Code::PageCount, self.at(), what)
    }
}

/// Where element `index` of a page ends, in bytes from the page's start, by its own numbers.
pub(super) fn extent(kind: PageKind, index: usize, raw: &[u8; ELEMENT]) -> u64 {
    let start = to_u64(index.saturating_mul(ELEMENT).saturating_add(HEADER));
    let [a, b, c, d] = words(raw).map(u64::from);
    let reach =
        if kind == PageKind::Leaf { b.saturating_add(c).saturating_add(d) } else { a.saturating_add(b) };
    start.saturating_add(reach)
}

fn words(raw: &[u8; ELEMENT]) -> [u32; 4] {
    let word = |i| array_at(raw, i).map_or(0, u32::from_le_bytes);
    [word(0), word(4), word(8), word(12)]
}

#[cfg(test)]
mod tests;
