//! The stored list of free pages. etcd on Linux stores none.

use super::limits::HEADER;
use super::{Db, Page, PageKind, Pgid};
use crate::codec::{array_at, to_u64, to_usize};
use crate::io::Window;
use crate::words::error::{At, Corrupt};
use crate::words::finding::Code;

/// The count that says: the true count is the first id.
pub(super) const ESCAPE: usize = 0xFFFF;

/// A stored freelist.
#[derive(Debug, Clone)]
pub struct Freelist {
    /// Its first page.
    pub page: Pgid,
    /// Pages it takes up.
    pub pages: u64,
    /// The free pages, as stored.
    pub ids: Vec<Pgid>,
}

impl Freelist {
    /// The freelist the live meta page names; `None` when the file keeps none.
    ///
    /// # Errors
    /// `freelist-invalid` when it is not one, and those of [`Db::page`].
    pub fn read(db: &Db<'_>) -> Result<Option<Freelist>, Box<Corrupt>> {
        let Some(id) = db.meta().freelist else { return Ok(None) };
        let mut window = Window::new();
        let page = db.page(id, &mut window).map_err(|mut c| match c.code {
            Code::PageOutOfRange if c.at.offset.is_none() => {
                let meta = Pgid(u64::from(db.meta_number()));
                c.at = At::page(meta.0, db.offset_of(meta));
                Corrupt::new(
                    Code::FreelistInvalid,
                    c.at,
                    format!("the freelist cannot be read: {}", c.detail),
                )
            }
            Code::FileTooShort | Code::Unreadable => c,
            _ => Corrupt::new(
                Code::FreelistInvalid,
                c.at,
                format!("the freelist cannot be read: {}", c.detail),
            ),
        })?;
        if page.kind != PageKind::Freelist {
            let what = format!("the meta page says freelist, the page is a {} page", page.kind.name());
            return Err(Corrupt::new(Code::FreelistInvalid, page.at(), what));
        }
        let (count, ids) = ids(&page);
        let ids: Vec<Pgid> = ids.collect();
        let room = to_u64(ids.len());
        if count > room {
            let what = format!(
                "{count} free pages are claimed, the page's {} bytes have room for {room}",
                page.bytes.len()
            );
            return Err(Corrupt::new(Code::FreelistInvalid, page.at(), what));
        }
        let pages = to_u64(page.bytes.len()).checked_div(db.page_size()).unwrap_or(0);
        Ok(Some(Freelist { page: id, pages, ids }))
    }
}

/// How many ids a freelist page claims, and those that lie inside it, as stored.
pub fn ids<'a>(page: &Page<'a>) -> (u64, impl Iterator<Item = Pgid> + use<'a>) {
    let bytes = page.bytes;
    let word =
        move |i: usize| array_at(bytes, i.saturating_mul(8).saturating_add(HEADER)).map(u64::from_le_bytes);
    let (first, count): (usize, u64) =
        if page.count == ESCAPE { (1, word(0).unwrap_or(0)) } else { (0, to_u64(page.count)) };
    let end = first.saturating_add(to_usize(count));
    (count, (first..end).map_while(word).map(Pgid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bolt::writer::{self, Options, Writer};
    use crate::codec::checksum::fnv1a64;
    use crate::io::Source;

    /// A file of four pages of 1024 bytes: two metas, a leaf, and the freelist at 3, after a change.
    fn read(change: impl FnOnce(&mut Vec<u8>)) -> Result<Option<Freelist>, Box<Corrupt>> {
        let mut file = std::io::Cursor::new(Vec::new());
        let options =
            Options { page_size: 1024, freelist: writer::FreelistPage::Stored, ..Options::default() };
        let mut writer = Writer::new(&mut file, options).unwrap();
        writer.begin_bucket(b"b", 0).unwrap();
        writer.end_bucket().unwrap();
        writer.finish().unwrap();
        let mut bytes = file.into_inner();
        change(&mut bytes);
        for meta in [0, 1024] {
            let sum = fnv1a64(&bytes[meta + 16..meta + 72]).to_le_bytes();
            bytes[meta + 72..meta + 80].copy_from_slice(&sum);
        }
        let source = Source::from_bytes("file.db", bytes);
        Freelist::read(&Db::open(&source).unwrap())
    }

    #[test]
    fn its_pages_are_those_that_are_listed_as_many_as_fit() {
        let listed = |count: u16, ids: &[u64]| {
            let (count, ids) =
                (count.to_le_bytes(), ids.iter().flat_map(|id| id.to_le_bytes()).collect::<Vec<_>>());
            read(move |bytes| {
                bytes[3 * 1024 + 10..3 * 1024 + 12].copy_from_slice(&count);
                bytes[3 * 1024 + 16..3 * 1024 + 16 + ids.len()].copy_from_slice(&ids);
            })
        };
        let list = listed(2, &[7, 9, 11]).unwrap().unwrap();
        assert_eq!((list.page, list.pages, list.ids), (Pgid(3), 1, vec![Pgid(7), Pgid(9)]));
        // 0xffff: the first word is the count.
        let list = listed(0xffff, &[1, 9, 11]).unwrap().unwrap();
        assert_eq!(list.ids, [Pgid(9)]);
        assert_eq!(listed(126, &[]).unwrap().unwrap().ids.len(), 126);
        let error = listed(127, &[]).unwrap_err();
        assert_eq!((error.code, error.at.page), (Code::FreelistInvalid, Some(3)));
    }

    #[test]
    fn a_list_that_is_elsewhere_or_something_else_is_told_with_its_place() {
        let at = |id: u64| {
            let error = read(|bytes| {
                [0, 1024]
                    .iter()
                    .for_each(|meta| bytes[meta + 48..meta + 56].copy_from_slice(&id.to_le_bytes()))
            })
            .unwrap_err();
            (error.code, error.at.page, error.at.offset)
        };
        // A number that cannot be is a fault of the meta page in use; a page of another kind one of that page.
        assert_eq!(at(99), (Code::FreelistInvalid, Some(0), Some(0)));
        assert_eq!(at(2), (Code::FreelistInvalid, Some(2), Some(2048)));
        // Overflow past the high water mark is a fault of the list's own page.
        let error = read(|bytes| bytes[3 * 1024 + 12] = 1).unwrap_err();
        assert_eq!(
            (error.code, error.at.page, error.at.offset),
            (Code::FreelistInvalid, Some(3), Some(3072))
        );
        let error = read(|bytes| bytes.truncate(3 * 1024 + 100)).unwrap_err();
        assert_eq!(error.code, Code::FileTooShort, "{error}");
        assert!(
            read(|bytes| [0, 1024].iter().for_each(|meta| bytes[meta + 48..meta + 56].fill(0xff)))
                .unwrap()
                .is_none()
        );
    }
}
