//! The stored list of free pages. etcd on Linux stores none.

use super::page::HEADER;
use super::{Db, Kind, Pgid};
use crate::bytes::{Window, array_at, to_u64, to_usize};
use crate::error::Corrupt;
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
        let page = db.page(id, &mut window).map_err(|c| match c.code {
            Code::FileTooShort | Code::Unreadable => c,
            _ => Corrupt::new(Code::FreelistInvalid, c.at, format!("the freelist cannot be read: {}", c.detail)),
        })?;
        if page.kind != Kind::Freelist {
            let what = format!("the meta page says freelist, the page is a {} page", page.kind.name());
            return Err(Corrupt::new(Code::FreelistInvalid, page.at(), what));
        }
        let word = |i: usize| {
            let at = i.saturating_mul(8).saturating_add(HEADER);
            array_at(page.bytes, at).map(u64::from_le_bytes)
        };
        let (first, count) = if page.count == ESCAPE { (1, to_usize(word(0).unwrap_or(0))) } else { (0, page.count) };
        let room = (page.bytes.len().saturating_sub(HEADER) / 8).saturating_sub(first);
        if count > room {
            let what = format!("{count} free pages are claimed, the page's {} bytes have room for {room}", page.bytes.len());
            return Err(Corrupt::new(Code::FreelistInvalid, page.at(), what));
        }
        let ids = (first..first.saturating_add(count)).filter_map(word).map(Pgid).collect();
        let pages = to_u64(page.bytes.len()).checked_div(db.page_size()).unwrap_or(0);
        Ok(Some(Freelist { page: id, pages, ids }))
    }
}
