//! What pages still hold that no tree holds any more. bbolt writes over a free page when it needs one, and not before:
//! until then the page is what it was when it was freed.

use std::ops::ControlFlow;

use super::visitor::Visited;
use crate::bolt::limits::HEADER;
use crate::bolt::page::Header;
use crate::bolt::{Db, Page, PageKind, Pgid};
use crate::codec::to_usize;
use crate::io::Window;
use crate::words::error::Corrupt;

/// Bytes of the longest run of pages that is read as one page; an item of etcd's is a few megabytes at most.
const LONGEST: u64 = 32 << 20;

/// A page, or a run of them, that no tree holds.
#[derive(Debug)]
pub enum Leftover<'p> {
    /// It was a leaf page. What was its overflow may be of another page by now: only what is left of it is here, and an
    /// element that reaches further cannot be read.
    Leaf(Page<'p>),
    /// It is something else: another kind of page, the middle of one, a leaf page that is broken, or nothing.
    Bytes(Pgid, &'p [u8]),
    /// So many pages cannot be read.
    Unreadable(u64, Box<Corrupt>),
}

/// Hands out the pages that were not `reached`, in the order in which they lie in the file, until `take` breaks off.
/// Each is read twice at most, whatever their headers say.
pub fn leftovers(db: &Db<'_>, reached: &Visited, take: &mut dyn FnMut(Leftover<'_>) -> ControlFlow<()>) {
    let (mut window, mut ahead) = (Window::new(), Window::new());
    let present = db.pages_present();
    let mut at = 2;
    while at < present {
        let id = Pgid(at);
        if reached.has(id) {
            at = at.saturating_add(1);
            continue;
        }
        let run = run(db, reached, id, &mut ahead);
        at = at.saturating_add(run);
        let (offset, len) = (db.offset_of(id), run.saturating_mul(db.page_size()));
        let left = match window.get(db.source(), offset, to_usize(len)) {
            Ok(bytes) => match Page::parse(id, offset, bytes) {
                Ok(page) if page.kind == PageKind::Leaf => Leftover::Leaf(page),
                _ => Leftover::Bytes(id, bytes),
            },
            Err(corrupt) => Leftover::Unreadable(run, corrupt),
        };
        if take(left).is_break() {
            return;
        }
    }
}

/// How many pages are still of the leaf page that begins here: none of them in use, or begun anew as a page of its own.
fn run(db: &Db<'_>, reached: &Visited, id: Pgid, window: &mut Window) -> u64 {
    let Some(header) = own_header(db, id, window).filter(|header| header.flags == 0x02) else { return 1 };
    let most = LONGEST.checked_div(db.page_size()).unwrap_or(1).max(1);
    let claimed = u64::from(header.overflow).saturating_add(1).min(most);
    let end = id.0.saturating_add(claimed).min(db.pages_present());
    let mut next = id.0.saturating_add(1);
    while next < end && !reached.has(Pgid(next)) && own_header(db, Pgid(next), window).is_none() {
        next = next.saturating_add(1);
    }
    next.saturating_sub(id.0)
}

/// The header of a page, if it says that it is this page's.
fn own_header(db: &Db<'_>, id: Pgid, window: &mut Window) -> Option<Header> {
    let bytes = window.get(db.source(), db.offset_of(id), HEADER).ok()?;
    Header::parse(bytes).filter(|header| header.id == id && PageKind::from_flags(header.flags).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bolt::writer::{Options, Writer};
    use crate::io::Source;

    const SIZE: usize = 1024;

    /// Pages behind those of an empty database: each is its number, flags and overflow, or no header.
    fn found(pages: &[Option<(u64, u16, u32)>], reached: &[u64]) -> Vec<(char, u64, usize)> {
        let mut file = std::io::Cursor::new(Vec::new());
        let mut writer =
            Writer::new(&mut file, Options { page_size: SIZE as u32, ..Options::default() }).unwrap();
        writer.begin_bucket(b"b", 0).unwrap();
        writer.end_bucket().unwrap();
        writer.finish().unwrap();
        let mut bytes = file.into_inner();
        let first = bytes.len() / SIZE;
        for page in pages {
            let mut new = vec![0; SIZE];
            if let Some((id, flags, overflow)) = page {
                new[..8].copy_from_slice(&(first as u64 + id).to_le_bytes());
                new[8..10].copy_from_slice(&flags.to_le_bytes());
                new[12..16].copy_from_slice(&overflow.to_le_bytes());
            }
            bytes.extend(new);
        }
        let high = (bytes.len() / SIZE) as u64;
        for meta in [0, SIZE] {
            bytes[meta + 56..meta + 64].copy_from_slice(&high.to_le_bytes());
            let sum = crate::codec::checksum::fnv1a64(&bytes[meta + 16..meta + 72]).to_le_bytes();
            bytes[meta + 72..meta + 80].copy_from_slice(&sum);
        }
        let source = Source::from_bytes("file.db", bytes);
        let db = Db::open(&source).unwrap();
        let visited = Visited::new(&db);
        visited.mark(Pgid(2), first as u64 - 2);
        for id in reached {
            let _ = visited.mark(Pgid(first as u64 + id), 1);
        }
        let mut found = Vec::new();
        leftovers(&db, &visited, &mut |left| {
            found.push(match left {
                Leftover::Leaf(page) => ('l', page.id.0 - first as u64, page.bytes.len() / SIZE),
                Leftover::Bytes(id, bytes) => ('b', id.0 - first as u64, bytes.len() / SIZE),
                Leftover::Unreadable(..) => ('u', 0, 0),
            });
            ControlFlow::Continue(())
        });
        found
    }

    #[test]
    fn a_freed_page_is_as_long_as_nothing_else_has_begun_in_it() {
        let leaf = |id, overflow| Some((id, 2, overflow));
        assert_eq!(found(&[leaf(0, 2), None, None, leaf(3, 0)], &[]), [('l', 0, 3), ('l', 3, 1)]);
        // A page in use, and one that was in use, end it; what is behind them is the middle of nothing.
        assert_eq!(found(&[leaf(0, 2), leaf(1, 0), None], &[1]), [('l', 0, 1), ('b', 2, 1)]);
        assert_eq!(found(&[leaf(0, 2), Some((1, 1, 0)), None], &[]), [('l', 0, 1), ('b', 1, 1), ('b', 2, 1)]);
        // A number of another page makes no page, and neither does a length past the file.
        assert_eq!(found(&[leaf(7, 0), leaf(1, u32::MAX), None], &[]), [('b', 0, 1), ('l', 1, 2)]);
    }
}
