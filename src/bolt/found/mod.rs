//! Pages found by what they are, wherever they lie in a file: in one whose meta pages are gone, that was cut or put
//! together in another order, or that is part of something larger.
//!
//! ```text
//! 0 id   8 flags: 1 branch, 2 leaf   10 count   12 overflow   16 first element, whose `pos` is 16 × count
//! ```
//!
//! bbolt writes the first key right behind the last element (`writeInodeToPage`), so that a page is told from other
//! bytes by its first 32. Every 512th byte is looked at, the least that anything is moved by. Where page 0 lies and how
//! long pages are is what most of the pages found agree on: id × page size + base = offset.

mod order;
mod page;
mod tree;

use std::collections::{BTreeMap, BTreeSet};

pub use self::order::{Guess, Order};
pub use self::page::{Anchors, Assembly, Doubts, FoundPage};
pub use self::tree::{FoundWalk, Met};

use super::limits::{ELEMENT, HEADER, MAX_PAGE_SIZE};
use super::page::{BUCKET_FLAG, Header};
use super::{Meta, PageKind, Pgid, meta};
use crate::codec::{array_at, slice_at, to_u64, to_usize};
use crate::io::{Source, Window};
use crate::words::monitor::Monitor;

/// Pages begin at multiples of this, counted from the start of the file.
const STEP: u64 = 512;
/// Bytes that tell what begins there.
const HEAD: usize = meta::LEN;
/// Pages that are asked for the layout, from all over the file.
const ASKED: usize = 4096;
/// The greatest id and the longest run that are believed: 2^48 bytes of pages, 2^32 in one.
const IDS: u64 = 1 << 36;
const LONGEST: u32 = 1 << 20;
/// Places of one page that are known.
const PLACES: usize = 64;
/// Progress is told each time so many bytes are read.
const STRIDE: u64 = 1 << 20;

/// Where a page lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FoundPlace {
    /// The number in its header.
    pub id: Pgid,
    /// Where it begins in the file.
    pub offset: u64,
    /// Whether it is a leaf page.
    pub leaf: bool,
    /// Whether its first element is a bucket: then it is the top page of a database.
    pub names_buckets: bool,
}

/// Where pages are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct PageLayout {
    /// Bytes in a page.
    pub page_size: u64,
    /// Where page 0 is, or would be: before the file if its beginning is lost.
    pub base: i64,
}

impl PageLayout {
    /// Where this page is due, if that is in the file or behind it.
    #[must_use]
    pub fn offset_of(&self, id: Pgid) -> Option<u64> {
        u64::try_from(i128::from(self.base).checked_add(within(id, self.page_size))?).ok()
    }
}

/// Where page 0 would be if this page lay where it is due.
fn base_of(id: Pgid, offset: u64, page_size: u64) -> Option<i64> {
    i64::try_from(i128::from(offset).saturating_sub(within(id, page_size))).ok()
}

/// The distance of a page from page 0. Ids are below 2^36 and pages short, so that nothing is lost.
fn within(id: Pgid, page_size: u64) -> i128 {
    i128::from(id.0.saturating_mul(page_size))
}

/// A meta page that is sound, wherever it lies.
#[derive(Debug, Clone, Copy)]
pub struct FoundMeta {
    /// Where it begins in the file.
    pub offset: u64,
    /// 0 or 1.
    pub id: Pgid,
    /// What it says.
    pub meta: Meta,
}

/// The pages of a file.
#[derive(Debug)]
pub struct FoundPages<'s> {
    source: &'s Source,
    /// Where pages are due.
    pub layout: PageLayout,
    /// Meta pages whose checksum holds.
    pub metas: Vec<FoundMeta>,
    /// Leaf and branch pages, by id and place.
    pub places: Vec<FoundPlace>,
    /// How many of them lie elsewhere than where they are due.
    pub out_of_place: u64,
    /// Bytes that cannot be read.
    pub unreadable: u64,
}

impl<'s> FoundPages<'s> {
    /// Looks through the file once; `None` if there is no page in it. Memory is 24 bytes a page.
    pub fn search(source: &'s Source, monitor: &dyn Monitor) -> Option<FoundPages<'s>> {
        let (mut places, mut metas, mut unreadable) = (Vec::new(), Vec::new(), 0u64);
        let (mut window, mut offset, mut untold) = (Window::new(), 0u64, 0u64);
        while offset < source.len() && !monitor.cancelled() {
            let len = source.len().saturating_sub(offset).min(to_u64(HEAD));
            match window.get(source, offset, to_usize(len)) {
                Ok(head) => {
                    places.extend(place(head, offset));
                    metas.extend(sound_meta(head, offset));
                }
                Err(_) => unreadable = unreadable.saturating_add(STEP),
            }
            offset = offset.saturating_add(STEP);
            untold = untold.saturating_add(STEP);
            if untold >= STRIDE {
                monitor.advance(std::mem::take(&mut untold));
            }
        }
        monitor.advance(untold);
        let layout = layout(&places, &metas)?;
        places.sort_unstable();
        let out = |place: &&FoundPlace| layout.offset_of(place.id) != Some(place.offset);
        let out_of_place = to_u64(places.iter().filter(out).count());
        Some(FoundPages { source, layout, metas, places, out_of_place, unreadable })
    }

    /// The file.
    #[must_use]
    pub fn source(&self) -> &'s Source {
        self.source
    }

    /// Whether a page lies where it is due.
    #[must_use]
    pub fn is_in_place(&self, id: Pgid, offset: u64) -> bool {
        self.layout.offset_of(id) == Some(offset)
    }

    /// Whether a page of this number lies where it is due.
    #[must_use]
    pub fn has_in_place(&self, id: Pgid) -> bool {
        self.places_known(id).any(|at| self.is_in_place(id, at))
    }

    /// Those meta pages that lie where they are due; all of them if none does.
    pub fn metas_in_place(&self) -> impl Iterator<Item = &Meta> {
        let in_place = |found: &FoundMeta| self.is_in_place(found.id, found.offset);
        let any = self.metas.iter().any(in_place);
        self.metas.iter().filter(move |found| !any || in_place(found)).map(|found| &found.meta)
    }

    /// Where a page may be: first where it is due, though what is there may be something else, then where it was
    /// found besides.
    pub fn places_of(&self, id: Pgid) -> impl Iterator<Item = u64> {
        let due = self.layout.offset_of(id).filter(|due| *due < self.source.len());
        due.into_iter().chain(self.places_known(id).filter(move |offset| Some(*offset) != due))
    }

    /// Where it was found: the first places.
    fn places_known(&self, id: Pgid) -> impl Iterator<Item = u64> {
        let from = self.places.partition_point(|place| place.id < id);
        let found = self.places.get(from..).unwrap_or_default();
        found.iter().take_while(move |place| place.id == id).take(PLACES).map(|place| place.offset)
    }

    /// Whether a page lies elsewhere than where it is due, and nowhere else, but for those of databases whose page 0 is
    /// at one of these `others`.
    #[must_use]
    pub fn has_displaced(&self, others: &BTreeSet<i64>) -> bool {
        self.places.iter().any(|FoundPlace { id, offset, .. }| {
            !self.is_in_place(*id, *offset)
                && !self.has_in_place(*id)
                && self.base_of(*id, *offset).is_none_or(|base| !others.contains(&base))
        })
    }

    /// Whether hardly any page lies where it is due.
    #[must_use]
    pub fn is_disorder(&self) -> bool {
        self.out_of_place.saturating_mul(3) > to_u64(self.places.len()).saturating_mul(2)
    }

    /// Where page 0 would be if this page lay where it is due.
    #[must_use]
    pub fn base_of(&self, id: Pgid, offset: u64) -> Option<i64> {
        base_of(id, offset, self.layout.page_size)
    }
}

/// The leaf or branch page that begins with these bytes.
fn place(head: &[u8], offset: u64) -> Option<FoundPlace> {
    let header = begins_page(head)?;
    let leaf = PageKind::from_flags(header.flags) == Some(PageKind::Leaf);
    let names_buckets = leaf && array_at(head, HEADER).map(u32::from_le_bytes) == Some(BUCKET_FLAG);
    Some(FoundPlace { id: header.id, offset, leaf, names_buckets })
}

/// The header of the leaf or branch page that begins here, if one does.
fn begins_page(head: &[u8]) -> Option<Header> {
    let header = Header::parse(head)?;
    let pos = match PageKind::from_flags(header.flags)? {
        PageKind::Leaf => 4,
        PageKind::Branch => 0,
        PageKind::Meta | PageKind::Freelist => return None,
    };
    let table = u64::from(header.count).saturating_mul(to_u64(ELEMENT));
    let room = u64::from(header.overflow).saturating_add(1).saturating_mul(u64::from(MAX_PAGE_SIZE));
    let first = array_at(head, HEADER.saturating_add(pos)).map(u32::from_le_bytes)?;
    let known = (2..IDS).contains(&header.id.0) && header.overflow < LONGEST;
    (known && header.count > 0 && table < room && u64::from(first) == table).then_some(header)
}

fn sound_meta(head: &[u8], offset: u64) -> Option<FoundMeta> {
    let magic = meta::MAGIC.to_le_bytes();
    let meta = Meta::parse(head).ok().filter(|_| slice_at(head, HEADER, 4) == Some(&magic))?;
    let header = Header::parse(head).filter(|header| header.id.0 < 2)?;
    meta.page_size_is_possible().then_some(FoundMeta { offset, id: header.id, meta })
}

/// What most pages agree on. A meta page is one of them, and knows the page size besides.
fn layout(places: &[FoundPlace], metas: &[FoundMeta]) -> Option<PageLayout> {
    let mut votes = BTreeMap::<(i64, u64), u64>::new();
    let mut vote = |id: Pgid, offset: u64, page_size: u64| {
        if let Some(base) = base_of(id, offset, page_size) {
            let votes = votes.entry((base, page_size)).or_default();
            *votes = votes.saturating_add(1);
        }
    };
    for place in places.iter().step_by(places.len().div_ceil(ASKED).max(1)) {
        (10..=16).for_each(|shift| vote(place.id, place.offset, 1 << shift));
    }
    for found in metas {
        vote(found.id, found.offset, u64::from(found.meta.page_size));
    }
    // Of a single page any size may be right: etcd's is that of the machine's memory, most often this.
    let best = |((base, size), votes): &((i64, u64), u64)| (*votes, *size == 4096, *base >= 0, *base, *size);
    let ((base, page_size), _) = votes.into_iter().max_by_key(best)?;
    (!places.is_empty()).then_some(PageLayout { page_size, base })
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::bolt::writer::{Options, Writer};
    use crate::words::monitor::Quiet;

    fn database(page_size: u32) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        let mut writer = Writer::new(&mut file, Options { page_size, ..Options::default() }).unwrap();
        writer.begin_bucket(b"b", 0).unwrap();
        for n in 0..2000u32 {
            writer.put(&n.to_be_bytes(), &[7; 200]).unwrap();
        }
        writer.end_bucket().unwrap();
        writer.finish().unwrap();
        file.into_inner()
    }

    fn layout_of(bytes: Vec<u8>) -> Option<(u64, i64)> {
        let source = Source::from_bytes("file", bytes);
        let found = FoundPages::search(&source, &Quiet)?;
        Some((found.layout.page_size, found.layout.base))
    }

    #[test]
    fn pages_of_each_size_tell_how_long_they_are_and_where_the_first_one_is() {
        for shift in 10..=16 {
            let size = 1u32 << shift;
            let bytes = database(size);
            let due = u64::from(size);
            assert_eq!(layout_of(bytes.clone()), Some((due, 0)));
            let behind = [vec![0xee; 512 * 3], bytes.clone()].concat();
            assert_eq!(layout_of(behind), Some((due, 1536)));
            // Without the meta pages, which are wiped or not there.
            let metas = 2 * size as usize;
            let mut wiped = bytes.clone();
            wiped[..metas].fill(0);
            assert_eq!(layout_of(wiped), Some((due, 0)));
            assert_eq!(layout_of(bytes[metas..].to_vec()), Some((due, -i64::from(2 * size))));
        }
        assert_eq!(layout_of(vec![0; 100_000]), None);
        assert_eq!(layout_of(Vec::new()), None);
    }

    #[test]
    fn a_page_is_looked_for_where_it_is_due_and_then_where_it_was_found() {
        let mut bytes = database(4096);
        let copy = bytes[5 * 4096..6 * 4096].to_vec();
        let behind = bytes.len() as u64;
        bytes.extend(copy);
        let source = Source::from_bytes("file", bytes);
        let found = FoundPages::search(&source, &Quiet).unwrap();
        assert_eq!(found.places_of(Pgid(5)).collect::<Vec<_>>(), [5 * 4096, behind]);
        assert_eq!((found.out_of_place, found.has_displaced(&BTreeSet::new())), (1, false));
        assert_eq!(found.places_of(Pgid(1 << 30)).count(), 0);
    }
}
