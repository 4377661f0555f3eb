//! A bbolt file: its two meta pages, which of them counts, and its pages.

use std::sync::Arc;

use super::limits::{ELEMENT, HEADER};
use super::page::{self, Header};
use super::{Meta, Page, PageKind, Pgid, meta};
use crate::codec::to_usize;
use crate::io::{Source, Window};
use crate::words::error::{At, Corrupt};
use crate::words::finding::Code;

/// A page longer than this is believed only if its elements reach that far: 4 MiB.
const LONG_RUN: u64 = 4 << 20;

/// What a meta page needs.
const META: u64 = 80;

/// One of the two meta pages, judged by itself.
#[derive(Debug, Clone)]
pub struct MetaSlot {
    /// 0 or 1.
    pub number: u8,
    /// Where it lies.
    pub offset: u64,
    /// The fields, where they could be read at all.
    pub meta: Option<Meta>,
    /// Why bbolt would not take it, or would crash on it; `None` when it is good.
    pub fault: Option<Box<Corrupt>>,
    /// What is wrong with its page header, which neither the checksum nor bbolt's choice covers.
    pub header_fault: Option<Box<Corrupt>>,
}

/// A bbolt file, opened through one of its meta pages. A clone shares what is known of them.
#[derive(Debug, Clone)]
pub struct Db<'s> {
    source: &'s Source,
    slots: Arc<[MetaSlot; 2]>,
    live: Meta,
    live_number: u8,
}

/// What the meta pages of a file say, for whoever keeps the file and opens it again.
#[derive(Debug, Clone)]
pub(crate) struct Metas {
    slots: Arc<[MetaSlot; 2]>,
    live: Meta,
    live_number: u8,
}

impl Metas {
    /// The file whose meta pages these are, without reading them again.
    pub(crate) fn db<'s>(&self, source: &'s Source) -> Db<'s> {
        let Metas { slots, live, live_number } = self.clone();
        Db { source, slots, live, live_number }
    }
}

impl<'s> Db<'s> {
    /// Judges both meta pages and opens the file as bbolt does: the valid one with the higher transaction.
    ///
    /// # Errors
    /// `meta-invalid` when neither validates, `meta-unusable` when those that do name impossible pages.
    pub fn open(source: &'s Source) -> Result<Db<'s>, Box<Corrupt>> {
        let slots = Arc::new(slots(source));
        // bbolt compares transactions before it validates (`DB.meta`); the higher one that validates wins, page 0
        // when equal.
        let mut best: Option<(u8, Meta)> = None;
        for slot in slots.iter() {
            if let (None, Some(meta)) = (&slot.fault, slot.meta)
                && best.is_none_or(|(_, b)| meta.txid > b.txid)
            {
                best = Some((slot.number, meta));
            }
        }
        match best {
            Some((live_number, live)) => Ok(Db { source, slots, live, live_number }),
            None => Err(neither(source, &slots)),
        }
    }

    /// The same file through meta page `number`, whichever one bbolt would take.
    #[must_use]
    pub fn with_meta(&self, number: u8) -> Option<Db<'s>> {
        let slot = self.slots.iter().find(|s| s.number == number && s.fault.is_none())?;
        Some(Db { source: self.source, slots: self.slots.clone(), live: slot.meta?, live_number: number })
    }

    pub(crate) fn metas(&self) -> Metas {
        Metas { slots: self.slots.clone(), live: self.live, live_number: self.live_number }
    }

    /// Both meta pages.
    #[must_use]
    pub fn slots(&self) -> &[MetaSlot; 2] {
        &self.slots
    }

    /// What is wrong with the meta pages: it leaves the file readable, though perhaps a commit older.
    pub fn meta_faults(&self) -> impl Iterator<Item = Corrupt> {
        self.slots.iter().flat_map(|slot| [&slot.fault, &slot.header_fault]).flatten().map(|c| (**c).clone())
    }

    /// What is wrong with the meta pages and with the file's length: what no walk over the pages meets. That a meta
    /// page is not there, behind the end of the file, is told by the length.
    pub fn faults(&self) -> impl Iterator<Item = Corrupt> {
        let end = self.source.len();
        let there = move |fault: &Corrupt| fault.at.offset.is_none_or(|at| at.saturating_add(META) <= end);
        let length = check_length(self).err().map(|corrupt| *corrupt);
        let cut = length.is_some();
        self.meta_faults().filter(move |fault| !cut || there(fault)).chain(length)
    }

    /// The meta page in use.
    #[must_use]
    pub fn meta(&self) -> &Meta {
        &self.live
    }

    /// Which meta page that is: 0 or 1.
    #[must_use]
    pub fn meta_number(&self) -> u8 {
        self.live_number
    }

    /// The file it reads.
    #[must_use]
    pub fn source(&self) -> &'s Source {
        self.source
    }

    /// Bytes in a page.
    #[must_use]
    pub fn page_size(&self) -> u64 {
        u64::from(self.live.page_size)
    }

    /// The logical size: high water mark times page size. What `snapshot status` calls the total size.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.live.high_water.0.saturating_mul(self.page_size())
    }

    /// Pages below the high water mark of which the file holds every byte.
    #[must_use]
    pub fn pages_present(&self) -> u64 {
        let in_file = self.source.len().checked_div(self.page_size()).unwrap_or(0);
        in_file.min(self.live.high_water.0)
    }

    /// Byte offset of a page.
    #[must_use]
    pub fn offset_of(&self, id: Pgid) -> u64 {
        id.0.saturating_mul(self.page_size())
    }

    /// A page of the tree or the freelist, with its overflow pages.
    ///
    /// # Errors
    /// `page-out-of-range`, `file-too-short`, `unreadable`, and those of [`Page::parse`].
    pub fn page<'w>(&self, id: Pgid, window: &'w mut Window) -> Result<Page<'w>, Box<Corrupt>>
    where
        's: 'w,
    {
        self.page_if(id, window, |_, _| Ok(()))
    }

    /// The same; `admit` hears the page's kind and how many pages it is, and may refuse it before more than the first
    /// one is read.
    pub(super) fn page_if<'w>(
        &self,
        id: Pgid,
        window: &'w mut Window,
        admit: impl FnOnce(PageKind, u64) -> Result<(), Box<Corrupt>>,
    ) -> Result<Page<'w>, Box<Corrupt>>
    where
        's: 'w,
    {
        let offset = self.offset_of(id);
        let at = || At::page(id.0, offset);
        let high = self.live.high_water;
        if id.0 < 2 || id >= high {
            let what = format!("page number {id} is not between 2 and the high water mark {high}");
            return Err(Corrupt::new(Code::PageOutOfRange, At { page: Some(id.0), ..At::default() }, what));
        }
        let size = self.live.page_size;
        if self.source.len() < offset.saturating_add(u64::from(size)) {
            let what = format!(
                "the page ends at byte {}, the file at {}",
                offset.saturating_add(u64::from(size)),
                self.source.len()
            );
            return Err(Corrupt::new(Code::FileTooShort, at(), what));
        }
        let size = to_usize(u64::from(size));
        // Judged before its run is read: a wrong page's overflow means nothing.
        let header = Header::parse(window.get(self.source, offset, size)?);
        let header = header.ok_or_else(|| {
            Corrupt::new(Code::PageCount, at(), format!("shorter than a page header of {HEADER} bytes"))
        })?;
        let (kind, overflow) = (header.check(id, offset)?, header.overflow);
        if overflow == 0 {
            admit(kind, 1)?;
            return Page::parse(id, offset, window.get(self.source, offset, size)?);
        }
        let run = u64::from(overflow).saturating_add(1);
        let end = id.0.saturating_add(run);
        if end > high.0 {
            let what =
                format!("{overflow} overflow pages run to page {end}, past the high water mark {high}");
            return Err(Corrupt::new(Code::PageOutOfRange, at(), what));
        }
        let bytes = run.saturating_mul(self.page_size());
        if self.source.len() < offset.saturating_add(bytes) {
            let what = format!(
                "the page's overflow ends at byte {}, the file at {}",
                offset.saturating_add(bytes),
                self.source.len()
            );
            return Err(Corrupt::new(Code::FileTooShort, at(), what));
        }
        admit(kind, run)?;
        if bytes > LONG_RUN {
            self.check_run(id, bytes, window)?;
        }
        Page::parse(id, offset, window.get(self.source, offset, to_usize(bytes))?)
    }

    /// Before a long run is read into memory: whether the page's elements reach as far as its overflow count says. A
    /// flipped bit in that count must not cost gigabytes.
    fn check_run(&self, id: Pgid, bytes: u64, window: &mut Window) -> Result<(), Box<Corrupt>> {
        let offset = self.offset_of(id);
        let Some(header) = Header::parse(window.get(self.source, offset, HEADER)?) else { return Ok(()) };
        let table = usize::from(header.count).saturating_mul(ELEMENT).saturating_add(HEADER);
        let elements =
            window.get(self.source, offset, table.min(to_usize(bytes)))?.get(HEADER..).unwrap_or_default();
        let kind = header.check(id, offset)?;
        if kind == super::PageKind::Freelist {
            return Ok(());
        }
        let end = elements
            .as_chunks::<ELEMENT>()
            .0
            .iter()
            .enumerate()
            .map(|(i, raw)| page::extent(kind, i, raw))
            .max()
            .unwrap_or(0);
        // Go gives a page that is exactly full one page more than it needs.
        let most = end.div_ceil(self.page_size()).saturating_add(1).saturating_mul(self.page_size());
        if bytes > most {
            let what = format!(
                "{} overflow pages make the page {bytes} bytes long, its elements end at byte {end}",
                header.overflow
            );
            return Err(Corrupt::new(Code::PageOutOfRange, At::page(id.0, offset), what));
        }
        Ok(())
    }

    /// The header of any page, the metas included, without judging it.
    ///
    /// # Errors
    /// `unreadable` past the end of the file.
    pub fn header(&self, id: Pgid, window: &mut Window) -> Result<Header, Box<Corrupt>> {
        let bytes = window.get(self.source, self.offset_of(id), HEADER)?;
        Header::parse(bytes).ok_or_else(|| {
            Corrupt::new(Code::Unreadable, At::page(id.0, self.offset_of(id)), "no page header")
        })
    }
}

fn neither(source: &Source, slots: &[MetaSlot; 2]) -> Box<Corrupt> {
    if source.len() < META {
        let what = format!("the file ends at byte {}, in its first meta page", source.len());
        return Corrupt::new(Code::FileTooShort, At::offset(source.len()), what);
    }
    let usable = slots.iter().filter_map(|s| s.fault.as_ref()).find(|f| f.code == Code::MetaUnusable);
    let code = usable.map_or(Code::MetaInvalid, |f| f.code);
    let say = |s: &MetaSlot| {
        format!("meta {} (byte {:#x}): {}", s.number, s.offset, s.fault.as_ref().map_or("", |f| &f.detail))
    };
    let [a, b] = slots;
    let others = match numbered_pages(source) {
        Some(size) if slots.iter().all(|slot| slot.meta.is_none()) => {
            format!("; the other pages of {size} bytes carry their numbers: this was a database")
        }
        _ => String::new(),
    };
    let what = format!("neither meta page can be used: {}; {}{others}", say(a), say(b));
    Corrupt::new(code, At::default(), what)
}

/// Whether a bbolt meta page is anywhere bbolt would look for one. Cheap: for telling what a file is.
///
/// # Errors
/// `unreadable` when none is where it could be looked for, and not everywhere it could.
pub fn looks_like_bolt(source: &Source) -> Result<bool, Box<Corrupt>> {
    let mut failed = None;
    for offset in second_meta_positions(source.len()).chain([0]) {
        let mut word = [0; 4];
        match source.read_exact_at(offset.saturating_add(16), &mut word) {
            Ok(()) if [meta::MAGIC.to_le_bytes(), meta::MAGIC.to_be_bytes()].contains(&word) => {
                return Ok(true);
            }
            // A file too short for one has none.
            Err(corrupt) if offset.saturating_add(20) <= source.len() => failed = Some(corrupt),
            _ => {}
        }
    }
    failed.map_or_else(|| Ok(numbered_pages(source).is_some()), Err)
}

/// The page size of a database whose meta pages are gone: its other pages still carry their numbers.
fn numbered_pages(source: &Source) -> Option<u64> {
    let is_numbered = |size: u64, id: u64| {
        let mut bytes = [0; HEADER];
        let read = source.read_exact_at(id.saturating_mul(size), &mut bytes);
        let header = read.ok().and_then(|()| Header::parse(&bytes));
        header.is_some_and(|header| header.id.0 == id && matches!(header.flags, 0x01 | 0x02 | 0x10))
    };
    let most = |size: &u64| (2..34).filter(|id| is_numbered(*size, *id)).count() >= 2;
    (10..=16).map(|shift| 1u64 << shift).find(most)
}

/// Where bbolt looks for the second meta page when the first is bad (`getPageSizeFromSecondMeta`).
fn second_meta_positions(len: u64) -> impl Iterator<Item = u64> {
    (10..=24).map(|shift| 1u64 << shift).take_while(move |pos| *pos < len.saturating_sub(1024))
}

fn slots(source: &Source) -> [MetaSlot; 2] {
    let first = slot(source, 0, 0, None);
    // The page size is the first meta's if that is good, else that of the first good one at the places bbolt probes.
    let good = |s: &MetaSlot| s.fault.is_none();
    let size = first.meta.filter(|_| good(&first)).map(|m| m.page_size);
    let second_at = match size {
        Some(size) => u64::from(size),
        None => second_meta_positions(source.len())
            .find(|pos| good(&slot(source, 1, *pos, None)))
            .or_else(|| first.meta.filter(Meta::page_size_is_possible).map(|m| u64::from(m.page_size)))
            .unwrap_or(4096),
    };
    [first, slot(source, 1, second_at, size)]
}

fn slot(source: &Source, number: u8, offset: u64, page_size: Option<u32>) -> MetaSlot {
    let at = At::page(u64::from(number), offset);
    let mut bytes = [0; meta::LEN];
    let fault = |code, detail: String| Some(Corrupt::new(code, at.clone(), detail));
    if let Err(corrupt) = source.read_exact_at(offset, &mut bytes) {
        return MetaSlot {
            number,
            offset,
            meta: None,
            fault: fault(Code::MetaInvalid, corrupt.detail),
            header_fault: None,
        };
    }
    let meta = match Meta::parse(&bytes) {
        Ok(meta) => meta,
        Err((why, meta)) => {
            return MetaSlot {
                number,
                offset,
                meta,
                fault: fault(Code::MetaInvalid, why),
                header_fault: None,
            };
        }
    };
    let high = meta.high_water;
    // Judged apart: bbolt asserts it only when it fetches the page (`fastCheck`, 1.3.7 and newer).
    let header_fault =
        Header::parse(&bytes).filter(|h| h.id.0 != u64::from(number) || h.flags != 0x04).and_then(|h| {
            fault(
                Code::MetaInvalid,
                format!("page header has id {} and flags {:#x}; {number} and 0x4 are due", h.id, h.flags),
            )
        });
    let fault = if !meta.page_size_is_possible() {
        fault(
            Code::MetaUnusable,
            format!("page size is {}; a power of two from 1024 to 65536 is due", meta.page_size),
        )
    } else if let Some(other) = page_size.filter(|size| *size != meta.page_size) {
        fault(Code::MetaUnusable, format!("page size is {}, the other meta page has {other}", meta.page_size))
    } else if number == 1 && offset != u64::from(meta.page_size) {
        fault(Code::MetaUnusable, format!("page size is {}, but this is at byte {offset}", meta.page_size))
    } else if meta.root.0 < 2 || meta.root >= high {
        fault(
            Code::MetaUnusable,
            format!("root is page {}, not between 2 and the high water mark {high}", meta.root),
        )
    } else {
        None
    };
    MetaSlot { number, offset, meta: Some(meta), fault, header_fault }
}

/// What the file's length says against its meta page.
///
/// # Errors
/// `file-too-short` when pages below the high water mark are missing.
pub fn check_length(db: &Db<'_>) -> Result<(), Box<Corrupt>> {
    if db.source.len() >= db.size() {
        return Ok(());
    }
    let missing = db.live.high_water.0.saturating_sub(db.pages_present());
    let what = format!(
        "the file has {} bytes, {} pages of {} need {}: {missing} pages are missing or cut",
        db.source.len(),
        db.live.high_water,
        db.live.page_size,
        db.size()
    );
    Err(Corrupt::new(Code::FileTooShort, At::offset(db.source.len()), what))
}

#[cfg(test)]
mod tests;
