//! A page with what belongs to it, put together from where the parts are.

use super::{FoundPages, HEAD, begins_page};
use crate::bolt::limits::HEADER;
use crate::bolt::page::{self, Header};
use crate::bolt::{Page, PageKind, Pgid};
use crate::codec::{slice_at, to_u64, to_usize};
use crate::io::Window;

/// Bytes of the longest run of pages that is put together; an item of etcd's is a few megabytes at most.
const LONGEST: u64 = 32 << 20;
/// Pages that may have changed places in a circle.
const EXCHANGES: usize = 16;

/// Where the overflow of a page is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assembly {
    /// From where it is due by the page's number.
    Due,
    /// From behind the page.
    Behind,
    /// From where it is due, or, where another page lies there, from where that one is due: they changed places.
    Exchanged,
}

/// A page in memory.
#[derive(Debug)]
pub struct FoundPage {
    /// Its number.
    pub id: Pgid,
    /// Where it begins in the file.
    pub offset: u64,
    /// Where its overflow was taken from.
    pub assembly: Assembly,
    header: Header,
    kind: PageKind,
    bytes: Vec<u8>,
    page_size: usize,
    /// Whether this part is something else: the beginning of another page, or not there at all.
    lost: Vec<bool>,
}

impl FoundPages<'_> {
    /// The page of this number at this place, if its header says so.
    pub fn page(&self, id: Pgid, offset: u64, assembly: Assembly, window: &mut Window) -> Option<FoundPage> {
        let size = self.layout.page_size;
        let head = window.get(self.source, offset, HEADER).ok()?;
        let header = Header::parse(head)?;
        let kind = header.check(id, offset).ok()?;
        if !matches!(kind, PageKind::Leaf | PageKind::Branch) {
            return None;
        }
        let claimed = u64::from(header.overflow).saturating_add(1);
        let most = LONGEST.checked_div(size)?.max(1);
        let parts = claimed.min(most).min(self.reach(&header, kind, offset, window));
        let page_size = to_usize(size);
        let mut page =
            FoundPage { id, offset, assembly, header, kind, bytes: Vec::new(), page_size, lost: Vec::new() };
        for part in 0..parts {
            let due = match assembly {
                Assembly::Due | Assembly::Exchanged if part > 0 => {
                    self.layout.offset_of(Pgid(id.0.saturating_add(part)))
                }
                _ => Some(offset.saturating_add(part.saturating_mul(size))),
            };
            let steps = if assembly == Assembly::Exchanged && part > 0 { EXCHANGES } else { 0 };
            let due = due.and_then(|due| self.exchanged(due, steps, window));
            let len = due.map_or(0, |due| self.source.len().saturating_sub(due)).min(size);
            let bytes = due.and_then(|due| window.get(self.source, due, to_usize(len)).ok());
            let bytes = bytes.unwrap_or_default();
            let begins = part > 0 && bytes.get(..HEAD.min(bytes.len())).and_then(begins_page).is_some();
            page.lost.push(begins || bytes.len() < page_size);
            page.bytes.extend_from_slice(bytes);
            page.bytes.resize(page.lost.len().saturating_mul(page_size), 0);
        }
        Some(page)
    }

    /// Where what was due here is, if a page lies here that is due there, and so on for so many `steps`.
    fn exchanged(&self, mut due: u64, steps: usize, window: &mut Window) -> Option<u64> {
        for _ in 0..steps {
            let head = window.get(self.source, due, HEAD).ok()?;
            match begins_page(head) {
                Some(other) => due = self.layout.offset_of(other.id)?,
                None => break,
            }
        }
        Some(due)
    }

    /// How many pages the elements of a page reach over: a wrong overflow is not to cost gigabytes. Go gives a page
    /// that is exactly full one page more than it needs.
    fn reach(&self, header: &Header, kind: PageKind, offset: u64, window: &mut Window) -> u64 {
        let table = usize::from(header.count).saturating_mul(16).saturating_add(HEADER);
        let Ok(bytes) = window.get(self.source, offset, table) else { return 1 };
        let elements = bytes.get(HEADER..).unwrap_or_default().as_chunks::<16>().0.iter().enumerate();
        let end = elements.map(|(index, raw)| page::extent(kind, index, raw)).max().unwrap_or(0);
        end.div_ceil(self.layout.page_size).saturating_add(1)
    }
}

impl FoundPage {
    /// Its elements. One that claims more elements than it has room for has as many as there is room for.
    #[must_use]
    pub fn page(&self) -> Option<Page<'_>> {
        let room = self.bytes.len().saturating_sub(HEADER) / 16;
        let count = self.header.count.min(u16::try_from(room).unwrap_or(u16::MAX));
        let header = Header { count, ..self.header };
        Page::of_header(header, self.kind, self.id, self.offset, &self.bytes).ok()
    }

    /// Whether it is a leaf page.
    #[must_use]
    pub fn is_leaf(&self) -> bool {
        self.kind == PageKind::Leaf
    }

    /// Whether it has overflow.
    pub(super) fn has_overflow(&self) -> bool {
        self.lost.len() > 1
    }

    /// Whether a part of it is something else.
    pub(super) fn has_lost(&self) -> bool {
        self.lost.contains(&true)
    }

    /// Its first and its last key, if they can be read and no key between them is out of order.
    #[must_use]
    pub fn span(&self) -> Option<(&[u8], &[u8])> {
        let page = self.page().filter(|page| page.count > 0)?;
        let mut budget = page.budget();
        let mut last: Option<&[u8]> = None;
        for index in 0..page.count {
            let key = page.key(index).ok()?;
            if last.is_some_and(|last| key <= last) || !budget.spend(key.len()) {
                return None;
            }
            last = Some(key);
        }
        Some((page.key(0).ok()?, last?))
    }

    /// Which parts of a leaf page belong to it for sure: those in which something begins that is known to be of it.
    pub fn anchors(&self, begin: impl Iterator<Item = usize>) -> Anchors {
        let mut anchors = Anchors { parts: vec![false; self.lost.len()], last: 0 };
        for at in begin {
            anchors.last = anchors.last.max(at);
            if let Some(part) = anchors.parts.get_mut(self.part_of(at)) {
                *part = true;
            }
        }
        anchors
    }

    fn part_of(&self, at: usize) -> usize {
        at.checked_div(self.page_size).unwrap_or(0)
    }

    /// What speaks against the bytes from `from` to `to` of a leaf page being what was written there.
    #[must_use]
    pub fn doubts(&self, from: usize, to: usize, anchors: &Anchors) -> Doubts {
        let mut doubts = Doubts { blank: self.blank(from, to), ..Doubts::default() };
        for part in self.part_of(from)..=self.part_of(to.saturating_sub(1)) {
            doubts.lost |= self.lost.get(part).copied().unwrap_or(true);
            if part == 0 || anchors.parts.get(part).copied().unwrap_or(false) {
                continue;
            }
            let start = part.saturating_mul(self.page_size);
            let Some(bytes) = slice_at(&self.bytes, start, self.page_size) else { continue };
            // Nobody stores so many zeros, and what is wiped is.
            doubts.lost |= bytes.iter().all(|byte| *byte == 0);
            let ends = to.saturating_sub(start);
            if ends <= self.page_size && anchors.last <= from {
                // Nothing but zeros stands behind the last element. That does not prove it: values of one length end
                // alike.
                doubts.lost |= bytes.get(ends..).unwrap_or_default().iter().any(|byte| *byte != 0);
            }
            doubts.loose = true;
        }
        doubts
    }

    /// Whether a whole sector between these is zero.
    fn blank(&self, from: usize, to: usize) -> bool {
        let mut start = from.div_ceil(512).saturating_mul(512);
        while start.saturating_add(512) <= to {
            if slice_at(&self.bytes, start, 512).is_some_and(|sector| sector.iter().all(|byte| *byte == 0)) {
                return true;
            }
            start = start.saturating_add(512);
        }
        false
    }

    /// Bytes that it was put together from.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        to_u64(self.bytes.len())
    }
}

/// Parts of a page that belong to it.
#[derive(Debug)]
pub struct Anchors {
    parts: Vec<bool>,
    /// Where the last one begins.
    last: usize,
}

/// What speaks against a value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Doubts {
    /// A part of it is something else.
    pub lost: bool,
    /// Nothing proves a part of it to belong to it.
    pub loose: bool,
    /// A whole sector of it is zero.
    pub blank: bool,
}
