//! The stored list of free pages. etcd on Linux stores none.

use super::page::HEADER;
use super::{Db, Kind, Page, Pgid};
use crate::bytes::{Window, array_at, to_u64, to_usize};
use crate::error::{At, Corrupt};
use crate::finding::Code;

/// The count that says: the true count is the first id.
const ESCAPE: usize = 0xFFFF;

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
                Corrupt::new(Code::FreelistInvalid, c.at, format!("the freelist cannot be read: {}", c.detail))
            }
            Code::FileTooShort | Code::Unreadable => c,
            _ => Corrupt::new(Code::FreelistInvalid, c.at, format!("the freelist cannot be read: {}", c.detail)),
        })?;
        if page.kind != Kind::Freelist {
            let what = format!("the meta page says freelist, the page is a {} page", page.kind.name());
            return Err(Corrupt::new(Code::FreelistInvalid, page.at(), what));
        }
        let (count, ids) = ids(&page);
        let ids: Vec<Pgid> = ids.collect();
        let room = to_u64(ids.len());
        if count > room {
            let what = format!("{count} free pages are claimed, the page's {} bytes have room for {room}", page.bytes.len());
            return Err(Corrupt::new(Code::FreelistInvalid, page.at(), what));
        }
        let pages = to_u64(page.bytes.len()).checked_div(db.page_size()).unwrap_or(0);
        Ok(Some(Freelist { page: id, pages, ids }))
    }
}

/// How many ids a freelist page claims, and those that lie inside it, as stored.
pub fn ids<'a>(page: &Page<'a>) -> (u64, impl Iterator<Item = Pgid> + use<'a>) {
    let bytes = page.bytes;
    let word = move |i: usize| array_at(bytes, i.saturating_mul(8).saturating_add(HEADER)).map(u64::from_le_bytes);
    let (first, count): (usize, u64) = if page.count == ESCAPE { (1, word(0).unwrap_or(0)) } else { (0, to_u64(page.count)) };
    let end = first.saturating_add(to_usize(count));
    (count, (first..end).map_while(word).map(Pgid))
}
