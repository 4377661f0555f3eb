//! The pages of a database that are in use, moved together: in their order, and as they are but for their numbers.
//!
//! ```text
//! page of the database   0 1 2 3 4 5 6 7    in use: 2, 4, 5, 7
//! its number now         0 1 2 . 3 4 . 5
//! ```
//!
//! A page's number stands in its own header and in what leads to it: the element of a branch, the value of a bucket,
//! the meta pages. No item is touched, so a page costs little more than to copy it. What lies behind the last item of
//! a page is zeroed. Where everything goes is known before the first byte, so the file is written front to back, the
//! metas first.

use std::io::Write;

use super::{NO_FREELIST, WriteError, meta};
use crate::bolt::limits::{ELEMENT, HEADER};
use crate::bolt::{Db, Page, PageKind, Pgid};
use crate::codec::{array_at, to_u64, to_usize};
use crate::io::Window;
use crate::words::error::{At, Corrupt, Error, Result};
use crate::words::finding::Code;
use crate::words::monitor::Monitor;

/// Bytes that are written at once.
const CHUNK: usize = 1 << 20;

/// Where each page goes.
#[derive(Debug)]
pub struct Places {
    /// A bit for each page in use.
    used: Vec<u64>,
    /// How many of the bits before each of those words are set.
    before: Vec<u64>,
    pages: u64,
}

impl Places {
    /// Of `pages` pages those that are in use, the metas aside. An eighth of a byte and a bit more for each page.
    #[must_use]
    pub fn new(pages: u64, is_used: impl Fn(Pgid) -> bool) -> Places {
        let mut places = Places { used: Vec::new(), before: Vec::new(), pages: 2 };
        for first in (0..pages).step_by(64) {
            let bits = (0..64u64).filter(|bit| {
                (2..pages).contains(&first.saturating_add(*bit)) && is_used(Pgid(first.saturating_add(*bit)))
            });
            let word = bits.fold(0u64, |word, bit| word | 1 << bit);
            places.before.push(places.pages);
            places.used.push(word);
            places.pages = places.pages.saturating_add(u64::from(word.count_ones()));
        }
        places
    }

    /// How long the database will be.
    #[cfg(feature = "fs")]
    pub(crate) fn bytes(&self, db: &Db<'_>) -> u64 {
        self.pages.saturating_mul(db.page_size())
    }

    /// How many pages there are in the end, the metas among them.
    #[must_use]
    pub fn pages(&self) -> u64 {
        self.pages
    }

    /// The number that a page gets, if it is in use.
    fn of(&self, id: Pgid) -> Option<u64> {
        let at = to_usize(id.0 / 64);
        let (word, before) = (self.used.get(at)?, self.before.get(at)?);
        let bit = 1u64 << (id.0 % 64);
        let below = word & bit.saturating_sub(1);
        (word & bit != 0).then(|| before.saturating_add(u64::from(below.count_ones())))
    }
}

/// Writes the pages in use and metas of the same transaction and the one before; no freelist. Gives the length in
/// bytes.
///
/// # Errors
/// [`Error::Damaged`] when a page that is in use cannot be read in full or leads to one that is not,
/// [`Error::Output`], [`Error::Cancelled`].
pub fn pack(db: &Db<'_>, places: &Places, mut out: impl Write, monitor: &dyn Monitor) -> Result<u64> {
    let damaged = |corrupt: Box<Corrupt>| Error::damaged(db.source().path(), corrupt);
    let length = places.pages.saturating_mul(db.page_size());
    monitor.begin("writing database", length);
    let mut chunk = Vec::with_capacity(CHUNK);
    let top = db.meta().root;
    let root = places.of(top).ok_or_else(|| damaged(leads_nowhere(At::page(0, 0), top)))?;
    for (id, txid) in [(0, db.meta().txid.0), (1, db.meta().txid.0.saturating_sub(1))] {
        chunk.extend_from_slice(&meta(id, db.meta().page_size, root, NO_FREELIST, places.pages, txid));
        chunk.resize(to_usize(db.page_size().saturating_mul(id.saturating_add(1))), 0);
    }
    let mut window = Window::new();
    let mut id = 2u64;
    let mut flush = |chunk: &mut Vec<u8>| -> Result<()> {
        out.write_all(chunk).map_err(WriteError::Output)?;
        monitor.advance(to_u64(chunk.len()));
        chunk.clear();
        if monitor.cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    };
    while id < db.pages_present() {
        let Some(place) = places.of(Pgid(id)) else {
            id = id.saturating_add(1);
            continue;
        };
        let page = db.page(Pgid(id), &mut window).map_err(damaged)?;
        move_page(&page, place, places, &mut chunk).map_err(damaged)?;
        id = id.saturating_add(u64::from(page.overflow)).saturating_add(1);
        if chunk.len() >= CHUNK {
            flush(&mut chunk)?;
        }
    }
    // bbolt reads that much to recognize a file.
    let missing = 4096u64.saturating_sub(length);
    chunk.resize(chunk.len().saturating_add(to_usize(missing)), 0);
    flush(&mut chunk)?;
    monitor.end();
    Ok(length.saturating_add(missing))
}

/// Something that leads to a page that is not to be written.
fn leads_nowhere(at: At, id: Pgid) -> Box<Corrupt> {
    Corrupt::new(Code::PageOutOfRange, at, format!("it leads to page {id}, which is no page in use"))
}

/// Appends a page with its new number, those that it leads to, and zeros behind its last item.
fn move_page(page: &Page<'_>, place: u64, places: &Places, out: &mut Vec<u8>) -> Result<(), Box<Corrupt>> {
    let last = Pgid(page.id.0.saturating_add(u64::from(page.overflow)));
    if places.of(last) != Some(place.saturating_add(u64::from(page.overflow))) {
        return Err(leads_nowhere(page.at(), last));
    }
    let start = out.len();
    out.extend_from_slice(page.bytes);
    let Some(copy) = out.get_mut(start..) else { return Ok(()) };
    let mut put = |at: usize, number: u64| {
        if let Some(field) = copy.get_mut(at..at.saturating_add(8)) {
            field.copy_from_slice(&number.to_le_bytes());
        }
    };
    put(0, place);
    let mut end = HEADER.saturating_add(page.count.saturating_mul(ELEMENT));
    for index in 0..page.count {
        if page.kind == PageKind::Branch {
            let element = page.branch(index)?;
            let child = places
                .of(element.child)
                .ok_or_else(|| leads_nowhere(page.element_at(index), element.child))?;
            // pos u32, key length u32, child u64.
            put(HEADER.saturating_add(index.saturating_mul(ELEMENT)).saturating_add(8), child);
            end = end.max(element.key_at.saturating_add(element.key.len()));
        } else {
            let element = page.leaf(index)?;
            // A bucket that is not inline: root u64, sequence u64.
            if element.is_bucket
                && let Some(root) =
                    array_at(element.value, 0).map(u64::from_le_bytes).filter(|root| *root != 0)
            {
                let moved =
                    places.of(Pgid(root)).ok_or_else(|| leads_nowhere(page.element_at(index), Pgid(root)))?;
                put(element.value_at, moved);
            }
            end = end.max(element.value_at.saturating_add(element.value.len()));
        }
    }
    if let Some(rest) = copy.get_mut(end..) {
        rest.fill(0);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bolt::writer::{Options, Writer};
    use crate::io::Source;
    use crate::words::monitor::Quiet;

    fn file() -> Vec<u8> {
        let mut out = std::io::Cursor::new(Vec::new());
        let mut writer = Writer::new(&mut out, Options::default()).unwrap();
        for bucket in [b"a", b"b"] {
            writer.begin_bucket(bucket, 3).unwrap();
            writer.begin_bucket(b"inner", 4).unwrap();
            (0..100u8).for_each(|n| writer.put(&[b'i', n], &[n; 100]).unwrap());
            writer.end_bucket().unwrap();
            (0..100u8).for_each(|n| writer.put(&[b'k', n], &[n; 100]).unwrap());
            writer.end_bucket().unwrap();
        }
        writer.finish().unwrap();
        out.into_inner()
    }

    fn packed(bytes: Vec<u8>, used: impl Fn(Pgid) -> bool) -> Result<Vec<u8>> {
        let source = Source::from_bytes("db", bytes);
        let db = Db::open(&source).unwrap();
        let mut out = Vec::new();
        let length = pack(&db, &Places::new(db.meta().high_water.0, used), &mut out, &Quiet)?;
        assert_eq!(length, out.len() as u64);
        Ok(out)
    }

    #[test]
    fn a_database_without_gaps_stays_as_it_is() {
        let file = file();
        assert!(packed(file.clone(), |_| true).unwrap() == file);
    }

    #[test]
    fn places_are_counted_over_any_number_of_pages() {
        for pages in [2, 3, 63, 64, 65, 128, 1000] {
            let places = Places::new(pages, |id| id.0 % 3 != 0);
            let used: Vec<u64> = (2..pages).filter(|id| id % 3 != 0).collect();
            assert_eq!(places.pages(), used.len() as u64 + 2);
            for id in 0..pages + 70 {
                let due = used.iter().position(|used| *used == id).map(|at| at as u64 + 2);
                assert_eq!(places.of(Pgid(id)), due, "page {id} of {pages}");
            }
        }
    }

    #[test]
    fn what_leads_to_a_page_that_is_not_in_use_is_an_error() {
        let file = file();
        let pages = file.len() as u64 / 4096;
        for gone in 2..pages {
            let error = packed(file.clone(), |id| id.0 != gone).unwrap_err().to_string();
            assert!(error.contains(&format!("page {gone}, which is no page in use")), "{error}");
        }
    }

    #[test]
    fn what_lies_behind_the_last_item_of_a_page_is_not_taken_along() {
        let mut with_rest = file();
        let source = Source::from_bytes("db", with_rest.clone());
        let db = Db::open(&source).unwrap();
        let mut window = Window::new();
        let mut rests = 0;
        for id in 2..db.meta().high_water.0 {
            let page = db.page(Pgid(id), &mut window).unwrap();
            let end = (id as usize + 1) * 4096;
            if page.bytes.last() == Some(&0) {
                with_rest[end - 1] = b'x';
                rests += 1;
            }
        }
        assert!(rests > 2);
        assert!(packed(with_rest, |_| true).unwrap() == file());
    }

    #[test]
    fn the_shortest_file_is_as_long_as_bbolt_reads() {
        let mut out = std::io::Cursor::new(Vec::new());
        Writer::new(&mut out, Options { page_size: 1024, ..Options::default() }).unwrap().finish().unwrap();
        let file = out.into_inner();
        assert_eq!(file.len(), 4096);
        assert!(packed(file.clone(), |_| true).unwrap() == file);
    }
}
