//! Stored versions of keys in what no tree holds any more: elements of leaf pages that were freed, and what can be made
//! out between them, behind the last element of pages in use, and behind the end of the database.
//!
//! Where a page is no leaf page any more its data may still be there. An element of the bucket `key` is told by itself:
//!
//! ```text
//! 0         8  9         17   18
//! | main    |_ | sub     | t? | KeyValue: 1 key | 2 create | 3 mod | 4 version | 5 value | 6 lease
//! ```
//!
//! The key of the element is a revision, and the KeyValue behind it, which is written with its fields in order, must
//! name the same one. A deletion names only its key, so that it is believed up to the last revision of the database.

use std::ops::ControlFlow;

use memchr::memchr_iter;

use crate::bolt::walk::{Leftover, Visited, leftovers};
use crate::bolt::{Db, Page, PageKind, Pgid};
use crate::codec::wire::varint;
use crate::codec::{array_at, slice_at, to_u64, to_usize};
use crate::etcd::{BucketKey, KeyValue, Revision, stored};
use crate::io::Window;
use crate::words::monitor::Monitor;

/// Bytes that are searched at once; an element that goes on behind them is found by those that are kept.
const AT_ONCE: usize = 16 << 20;
/// Of these the last that are kept: an element of etcd's is a few megabytes at most.
const KEPT: usize = 4 << 20;

/// A stored version that no tree holds.
#[derive(Debug, Clone, Copy)]
pub struct Carved<'c> {
    /// Its revision, and whether it is a deletion.
    pub key: BucketKey,
    /// What was put: of a deletion the key only.
    pub kv: KeyValue<'c>,
    /// The bytes of the KeyValue.
    pub bytes: &'c [u8],
    /// Where these begin in the file.
    pub offset: u64,
    /// The number of the element, if the page is still a leaf page that has it.
    pub element: Option<usize>,
    /// Whether the value is there to its end.
    pub whole: bool,
}

/// What was gone through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct CarveCounts {
    /// Pages that no tree holds.
    pub pages: u64,
    /// Of these: pages that are still leaf pages.
    pub leaf_pages: u64,
    /// Pages that could not be read.
    pub unreadable: u64,
    /// Bytes behind the last element of pages in use, and behind the last page, that are not zero.
    pub slack: u64,
}

/// Hands out all that is found, the same perhaps several times, until `take` breaks off. `reached` are the pages in
/// use, `last` the last revision of the database.
///
/// Every page is read once; memory is bounded.
pub fn carve(
    db: &Db<'_>,
    reached: &Visited,
    last: i64,
    monitor: &dyn Monitor,
    take: &mut dyn FnMut(&Carved<'_>) -> ControlFlow<()>,
) -> CarveCounts {
    let mut run = Run { last, take, counts: CarveCounts::default(), buffer: Vec::new(), at: 0, ended: false };
    let pages = |bytes: u64| bytes.checked_div(db.page_size()).unwrap_or(1).max(1);
    leftovers(db, reached, &mut |left| {
        let read = match left {
            Leftover::Leaf(page) => {
                run.flush();
                run.leaf(&page);
                to_u64(page.bytes.len())
            }
            Leftover::Bytes(id, bytes) => {
                run.push(db.offset_of(id), bytes);
                to_u64(bytes.len())
            }
            Leftover::Unreadable(pages, _) => {
                run.counts.unreadable = run.counts.unreadable.saturating_add(pages);
                pages.saturating_mul(db.page_size())
            }
        };
        run.counts.pages = run.counts.pages.saturating_add(pages(read));
        monitor.advance(read);
        if run.ended || monitor.cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    run.flush();
    run.slack(db, reached, monitor);
    run.beyond(db, monitor);
    run.counts
}

struct Run<'r> {
    last: i64,
    take: &'r mut dyn FnMut(&Carved<'_>) -> ControlFlow<()>,
    counts: CarveCounts,
    /// Bytes that follow each other in the file, and where they begin.
    buffer: Vec<u8>,
    at: u64,
    ended: bool,
}

impl Run<'_> {
    fn found(&mut self, carved: &Carved<'_>) {
        self.ended |= (self.take)(carved).is_break();
    }

    /// A page that is still a leaf page: its elements, and what lies between those that can be read.
    fn leaf(&mut self, page: &Page<'_>) {
        self.counts.leaf_pages = self.counts.leaf_pages.saturating_add(1);
        let (mut budget, mut read) = (page.budget(), Vec::new());
        for index in 0..page.count {
            let Ok(element) = page.leaf(index) else { continue };
            let len = element.key.len().saturating_add(element.value.len());
            if !budget.spend(len) {
                break;
            }
            let Ok((key, kv)) = stored::read(element.key, element.value) else { continue };
            if element.is_bucket || stored::check(key, &kv, element.value).is_err() {
                continue;
            }
            let offset = page.offset.saturating_add(to_u64(element.value_at));
            let (bytes, element_at) = (element.value, element.value_at);
            self.found(&Carved { key, kv, bytes, offset, element: Some(index), whole: true });
            read.push((
                element_at.saturating_sub(element.key.len()),
                element_at.saturating_add(element.value.len()),
            ));
        }
        read.sort_unstable();
        if read.len() < page.count || page.count == 0 {
            self.search(page.bytes, page.offset, &read);
        } else if let Some((_, end)) = read.last() {
            self.search(
                page.bytes.get(*end..).unwrap_or_default(),
                page.offset.saturating_add(to_u64(*end)),
                &[],
            );
        }
    }

    /// Bytes of which nobody knows what they are.
    fn push(&mut self, offset: u64, bytes: &[u8]) {
        if self.at.saturating_add(to_u64(self.buffer.len())) != offset {
            self.flush();
        }
        if self.buffer.is_empty() {
            self.at = offset;
        }
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= AT_ONCE {
            let buffer = std::mem::take(&mut self.buffer);
            self.search(&buffer, self.at, &[]);
            let from = buffer.len().saturating_sub(KEPT);
            self.at = self.at.saturating_add(to_u64(from));
            self.buffer = buffer.get(from..).unwrap_or_default().to_vec();
        }
    }

    fn flush(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        self.search(&buffer, self.at, &[]);
    }

    /// Looks for elements, but not in the ranges that were `read` already, which are in order.
    fn search(&mut self, bytes: &[u8], offset: u64, read: &[(usize, usize)]) {
        let mut from = 0;
        for at in memchr_iter(b'_', bytes) {
            let Some(start) = at.checked_sub(8).filter(|start| *start >= from && !self.ended) else {
                continue;
            };
            let before = read.partition_point(|(begin, _)| *begin <= start);
            if before.checked_sub(1).and_then(|i| read.get(i)).is_some_and(|(_, end)| start < *end) {
                continue;
            }
            // What was read begins behind it, and is not gone over again.
            let end = read.get(before).map_or(bytes.len(), |(begin, _)| *begin);
            let Some(rest) = bytes.get(start..end) else { continue };
            let Some((carved, len)) = element(rest, self.last) else { continue };
            let offset = offset.saturating_add(to_u64(start)).saturating_add(carved.offset);
            self.found(&Carved { offset, ..carved });
            from = start.saturating_add(len);
        }
    }

    /// What stands behind the last element of pages in use: bbolt leaves zeros there.
    fn slack(&mut self, db: &Db<'_>, reached: &Visited, monitor: &dyn Monitor) {
        let mut window = Window::new();
        let mut id = 2;
        while id < db.pages_present() && !self.ended && !monitor.cancelled() {
            let here = Pgid(id);
            id = id.saturating_add(1);
            if !reached.has(here) {
                continue;
            }
            let Ok(page) = db.page(here, &mut window) else { continue };
            let pages = to_u64(page.bytes.len()).checked_div(db.page_size()).unwrap_or(1).max(1);
            id = id.saturating_add(pages.saturating_sub(1));
            monitor.advance(to_u64(page.bytes.len()));
            if page.kind != PageKind::Leaf {
                continue;
            }
            let end = (0..page.count).filter_map(|index| page.leaf(index).ok());
            let end = end.map(|element| element.value_at.saturating_add(element.value.len())).max();
            let Some(tail) = end.and_then(|end| page.bytes.get(end..)) else { continue };
            if tail.iter().any(|byte| *byte != 0) {
                self.counts.slack = self.counts.slack.saturating_add(to_u64(tail.len()));
                let begin = page.bytes.len().saturating_sub(tail.len());
                self.search(tail, page.offset.saturating_add(to_u64(begin)), &[]);
            }
        }
    }

    /// What stands behind the last page that the database knows of.
    fn beyond(&mut self, db: &Db<'_>, monitor: &dyn Monitor) {
        let (source, mut at) = (db.source(), db.size());
        let mut window = Window::new();
        while at < source.len() && !self.ended && !monitor.cancelled() {
            let len = source.len().saturating_sub(at).min(1 << 20);
            let Ok(bytes) = window.get(source, at, to_usize(len)) else { break };
            if bytes.iter().any(|byte| *byte != 0) {
                self.counts.slack = self.counts.slack.saturating_add(len);
                self.push(at, bytes);
            }
            at = at.saturating_add(len);
            monitor.advance(len);
        }
        self.flush();
    }
}

/// The element that begins here, and its length; its offset is that of the KeyValue in it. One that is cut off has what
/// is left of its value.
fn element(bytes: &[u8], last: i64) -> Option<(Carved<'_>, usize)> {
    let [main, sub] = [0, 9].map(|at| array_at::<8>(bytes, at).map(i64::from_be_bytes));
    let revision = Revision { main: main?, sub: sub? };
    let tombstone = bytes.get(17) == Some(&b't') && bytes.get(18) == Some(&0x0a);
    let key = BucketKey { revision, tombstone };
    // Nobody makes so many changes in one transaction.
    if revision.main <= 0 || !(0..1 << 32).contains(&revision.sub) || tombstone && revision.main > last {
        return None;
    }
    let start = if tombstone { 18 } else { 17 };
    let (kv, bytes, whole) = begun(key, bytes.get(start..)?)?;
    Some((
        Carved { key, kv, bytes, offset: to_u64(start), element: None, whole },
        start.saturating_add(bytes.len()),
    ))
}

/// The KeyValue that begins here, if it is that of this element; its bytes, and whether its value is there to its end.
pub(crate) fn begun(key: BucketKey, bytes: &[u8]) -> Option<(KeyValue<'_>, &[u8], bool)> {
    let mut fields = Reader { bytes, at: 0 };
    let mut kv = KeyValue { key: fields.bytes(0x0a)?, ..KeyValue::default() };
    let mut whole = true;
    if !key.tombstone {
        kv.create_revision = fields.number(0x10)?;
        kv.mod_revision = fields.number(0x18)?;
        kv.version = fields.number(0x20)?;
        let begins = kv.create_revision == kv.mod_revision;
        let fits =
            kv.mod_revision == key.revision.main && (1..=kv.mod_revision).contains(&kv.create_revision);
        if !fits || kv.version < 1 || begins != (kv.version == 1) {
            return None;
        }
        (kv.value, whole) = fields.value()?;
        if whole && let Some(lease) = fields.number(0x30) {
            kv.lease = lease;
        }
    }
    let bytes = slice_at(bytes, 0, fields.at)?;
    (!kv.key.is_empty()).then_some((kv, bytes, whole))
}

/// Fields in order.
struct Reader<'r> {
    bytes: &'r [u8],
    at: usize,
}

impl<'r> Reader<'r> {
    /// The number behind this tag, if the tag is next.
    fn number(&mut self, tag: u8) -> Option<i64> {
        let rest = self.bytes.get(self.at..)?.strip_prefix(&[tag])?;
        let (after, number) = varint(rest).ok()?;
        self.at = self.bytes.len().saturating_sub(after.len());
        Some(number.cast_signed())
    }

    /// The bytes behind this tag, if it is next and all of them are there.
    fn bytes(&mut self, tag: u8) -> Option<&'r [u8]> {
        let mut ahead = Reader { bytes: self.bytes, at: self.at };
        let len = usize::try_from(ahead.number(tag)?).ok()?;
        let bytes = slice_at(self.bytes, ahead.at, len)?;
        self.at = ahead.at.saturating_add(len);
        Some(bytes)
    }

    /// The value, as far as it is there, and whether that is all of it. An empty one is not written.
    fn value(&mut self) -> Option<(&'r [u8], bool)> {
        if let Some(value) = self.bytes(0x2a) {
            return Some((value, true));
        }
        match self.bytes.get(self.at) {
            Some(0x2a) => {
                self.number(0x2a)?;
                let left = self.bytes.get(self.at..)?;
                self.at = self.bytes.len();
                Some((left, false))
            }
            // At the end nobody knows what came.
            after => Some((&[], after.is_some())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(main: i64, value: &[u8]) -> Vec<u8> {
        let key = BucketKey { revision: Revision { main, sub: 1 }, tombstone: false };
        let kv =
            KeyValue { key: b"a", create_revision: main, mod_revision: main, version: 1, value, lease: 7 };
        [key.to_bytes(), kv.encode()].concat()
    }

    fn deletion(main: i64) -> Vec<u8> {
        let key = BucketKey { revision: Revision { main, sub: 0 }, tombstone: true };
        [key.to_bytes(), KeyValue { key: b"gone", ..KeyValue::default() }.encode()].concat()
    }

    /// Revision, key, value, offset, and whether it is whole.
    type Found = (i64, Vec<u8>, Vec<u8>, u64, bool);

    fn all(bytes: &[u8], read: &[(usize, usize)]) -> Vec<Found> {
        let mut found = Vec::new();
        let mut take = |carved: &Carved<'_>| {
            let KeyValue { key, value, .. } = carved.kv;
            found.push((carved.key.revision.main, key.to_vec(), value.to_vec(), carved.offset, carved.whole));
            ControlFlow::Continue(())
        };
        let counts = CarveCounts::default();
        let mut run = Run { last: 100, take: &mut take, counts, buffer: Vec::new(), at: 0, ended: false };
        run.search(bytes, 1000, read);
        found
    }

    #[test]
    fn elements_are_found_wherever_they_lie_and_read_to_their_ends() {
        let bytes =
            [&b"xx_x"[..], &put(5, b"v_1"), &deletion(6), &put(7, b""), b"____", &put(300, b"z")].concat();
        let found = all(&bytes, &[]);
        let due = [(5, &b"v_1"[..]), (6, b""), (7, b""), (300, b"z")];
        assert_eq!(found.len(), due.len());
        for ((main, _, value, offset, whole), (revision, due)) in found.iter().zip(due) {
            assert_eq!((*main, value.as_slice(), *whole), (revision, due, true));
            assert_eq!(bytes[(*offset - 1000) as usize], 0x0a);
        }
        assert_eq!((found[0].1.as_slice(), found[1].1.as_slice()), (&b"a"[..], &b"gone"[..]));
    }

    #[test]
    fn one_that_is_cut_off_has_what_is_left_of_it() {
        let bytes = put(5, &[b'v'; 100]);
        for len in 0..bytes.len() {
            let found = all(&bytes[..len], &[]);
            let value = bytes.windows(100).position(|part| part == [b'v'; 100]).unwrap();
            if len < value {
                assert!(found.iter().all(|(_, _, value, _, whole)| value.is_empty() && !whole), "{len}");
            } else {
                let left = (len - value).min(100);
                assert_eq!((found[0].2.len(), found[0].4), (left, left == 100), "{len}");
            }
        }
    }

    #[test]
    fn what_contradicts_itself_is_none() {
        let change = |at: usize, to: u8| {
            let mut bytes = put(5, b"v");
            bytes[at] = to;
            all(&bytes, &[]).len()
        };
        // The revision of the element, of the KeyValue, the version, a negative number.
        let good = put(5, b"v");
        let fields = good.windows(2).position(|part| part == [0x10, 5]).unwrap();
        for (at, to) in
            [(7, 6), (0, 0x80), (9, 1), (fields + 1, 6), (fields + 3, 4), (fields + 5, 2), (18, 0)]
        {
            assert_eq!(change(at, to), 0, "{at}");
        }
        assert_eq!(change(good.len() - 1, 9), 1);
        // A deletion past the last revision.
        assert!(all(&deletion(101), &[]).is_empty());
    }

    #[test]
    fn what_was_read_is_not_found_again_and_nothing_reaches_into_it() {
        let (one, two) = (put(5, b"11"), put(6, b"22"));
        let bytes = [&one[..], &two].concat();
        assert_eq!(all(&bytes, &[(one.len(), bytes.len())]).len(), 1);
        assert_eq!(all(&bytes, &[(0, one.len())])[0].0, 6);
        // A value that holds an element is one value.
        let nested = put(9, &bytes);
        assert_eq!(all(&nested, &[]).len(), 1);
    }
}
