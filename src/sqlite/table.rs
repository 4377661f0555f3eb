//! Tables: trees of pages in order of the rows' numbers.

use std::ops::ControlFlow;

use super::pages::{Database, HEADER};
use super::record::{Value, array, record, varint};
use crate::codec::{slice_at, to_usize};
use crate::words::error::{At, Corrupt};
use crate::words::finding::Code;

const LEAF: u8 = 13;
const BRANCH: u8 = 5;
/// Pages one above the other (`BTCURSOR_MAX_DEPTH`).
const DEPTH: usize = 20;
/// The most bytes that a row can have (`SQLITE_MAX_LENGTH`).
const LONGEST: u64 = (1 << 31) - 1;

/// A table of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The page its tree begins at.
    pub root: u32,
    /// The statement that it was made by.
    pub sql: Vec<u8>,
}

/// A row, as it is stored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row<'r> {
    /// Its number, which is the value of a column of `INTEGER PRIMARY KEY`.
    pub id: i64,
    /// What [`record`] reads.
    pub payload: &'r [u8],
    /// Where it begins.
    pub page: u32,
    /// Its number in the page.
    pub cell: usize,
}

/// What to do with each row, or with what is in the place of some.
type Each<'e> = dyn FnMut(Result<Row<'_>, Box<Corrupt>>) -> ControlFlow<()> + 'e;

impl Database {
    /// The table of that name.
    ///
    /// # Errors
    /// The first thing that is wrong with the table of tables, which begins at page 1.
    pub fn table(&self, name: &[u8]) -> Result<Option<Table>, Box<Corrupt>> {
        let mut found = Ok(None);
        self.rows(1, &mut |row| {
            found = row.and_then(|row| {
                let columns =
                    record::<5>(row.payload).map_err(|what| self.wrong(row.page, row.cell, what))?;
                let [Value::Text(b"table"), Value::Text(its), _, Value::Integer(root), sql] = columns else {
                    return Ok(None);
                };
                // Names of tables are the same in either case.
                if !its.eq_ignore_ascii_case(name) {
                    return Ok(None);
                }
                let sql = if let Value::Text(sql) = sql { sql.to_vec() } else { Vec::new() };
                Ok(Some(Table { root: u32::try_from(root).unwrap_or(0), sql }))
            });
            if matches!(found, Ok(None)) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        found
    }

    /// Hands on each row of a tree in order, and what is wrong in the place of what cannot be read, until it is told to
    /// stop.
    ///
    /// No page is read more often than there are pages, so that a tree whose pages are in it more than once ends.
    pub fn rows(&self, root: u32, each: &mut Each<'_>) {
        let mut walk = Walk { database: self, left: self.present(), last: None, payload: Vec::new() };
        let _ = walk.below(root, each);
    }

    fn wrong(&self, page: u32, cell: usize, what: String) -> Box<Corrupt> {
        Corrupt::new(Code::SqlitePage, self.at(page).element(cell), what)
    }
}

/// A walk through a tree.
struct Walk<'d> {
    database: &'d Database,
    /// How many pages may still be read.
    left: u64,
    last: Option<i64>,
    payload: Vec<u8>,
}

/// A page of a tree, and which of its cells comes next.
struct Open {
    number: u32,
    bytes: Vec<u8>,
    leaf: bool,
    cells: usize,
    next: usize,
    /// Bytes that its cells may still have: they do not lie over each other.
    left: usize,
}

impl Walk<'_> {
    fn below(&mut self, root: u32, each: &mut Each<'_>) -> ControlFlow<()> {
        let mut path = Vec::new();
        self.descend(&mut path, root, each)?;
        while let Some(open) = path.last_mut() {
            let cell = open.next;
            open.next = cell.saturating_add(1);
            if open.leaf {
                if cell >= open.cells {
                    path.pop();
                    continue;
                }
                let row = self.row(open, cell);
                self.payload = match row {
                    Ok((id, payload)) => {
                        let row = Row { id, payload: &payload, page: open.number, cell };
                        each(Ok(row))?;
                        payload
                    }
                    Err(corrupt) => {
                        each(Err(corrupt))?;
                        Vec::new()
                    }
                };
                continue;
            }
            if cell > open.cells {
                path.pop();
                continue;
            }
            match open.child(cell) {
                Some(child) => self.descend(&mut path, child, each)?,
                None => each(Err(self.outside(open, cell)))?,
            }
        }
        ControlFlow::Continue(())
    }

    /// Opens a page below those that are open.
    fn descend(&mut self, path: &mut Vec<Open>, page: u32, each: &mut Each<'_>) -> ControlFlow<()> {
        if path.len() >= DEPTH {
            let what = format!("more than {DEPTH} pages one below the other");
            return each(Err(Corrupt::new(Code::SqlitePage, self.database.at(page), what)));
        }
        match self.open(page) {
            Ok(open) => path.push(open),
            Err(corrupt) => each(Err(corrupt))?,
        }
        ControlFlow::Continue(())
    }

    fn read(&mut self, page: u32, buf: &mut [u8]) -> Result<(), Box<Corrupt>> {
        let Some(left) = self.left.checked_sub(1) else {
            let what = "more pages are asked for than there are: some are in several places";
            return Err(Corrupt::new(Code::SqlitePage, self.database.at(page), what));
        };
        self.left = left;
        self.database.page(page, buf)
    }

    fn open(&mut self, number: u32) -> Result<Open, Box<Corrupt>> {
        let mut bytes = vec![0; to_usize(self.database.page_size().into())];
        self.read(number, &mut bytes)?;
        let head = if number == 1 { HEADER } else { 0 };
        bytes.truncate(self.database.usable());
        let kind = bytes.get(head).copied().unwrap_or(0);
        if kind != LEAF && kind != BRANCH {
            let what = format!("kind {kind}, where a table has pages of kind {BRANCH} and {LEAF}");
            return Err(Corrupt::new(Code::SqlitePage, self.database.at(number), what));
        }
        let cells = usize::from(u16::from_be_bytes(array(&bytes, head.saturating_add(3))));
        let left = bytes.len();
        Ok(Open { number, bytes, leaf: kind == LEAF, cells, next: 0, left })
    }

    fn outside(&self, open: &Open, cell: usize) -> Box<Corrupt> {
        let what = format!("a cell that is not inside the page's {} bytes", open.bytes.len());
        self.database.wrong(open.number, cell, what)
    }

    /// A row: its number, and its payload in the memory of the last one.
    fn row(&mut self, open: &mut Open, cell: usize) -> Result<(i64, Vec<u8>), Box<Corrupt>> {
        let (len, id, rest) = open.leaf_cell(cell).ok_or_else(|| self.outside(open, cell))?;
        let most = self.database.present().saturating_mul(self.database.page_size().into()).min(LONGEST);
        if len > most {
            let what = format!("a row of {len} bytes, where {most} can be");
            return Err(self.database.wrong(open.number, cell, what));
        }
        if self.last.is_some_and(|last| last >= id) {
            let what = format!("row {id} comes after row {}", self.last.unwrap_or_default());
            return Err(self.database.wrong(open.number, cell, what));
        }
        let len = to_usize(len);
        let here = local(len, self.database.usable());
        let Some(left) = open.left.checked_sub(here) else {
            let what = format!("cells over each other, in a page of {} bytes", open.bytes.len());
            return Err(self.database.wrong(open.number, cell, what));
        };
        let bytes = slice_at(rest, 0, here).ok_or_else(|| self.outside(open, cell))?;
        let mut payload = std::mem::take(&mut self.payload);
        payload.clear();
        payload.extend_from_slice(bytes);
        if here < len {
            let first = slice_at(rest, here, 4).ok_or_else(|| self.outside(open, cell))?;
            let at = self.database.at(open.number).element(cell);
            self.overflow(u32::from_be_bytes(array(first, 0)), len, &mut payload, &at)?;
        }
        open.left = left;
        self.last = Some(id);
        Ok((id, payload))
    }

    /// Appends what a chain of pages holds, up to `len` bytes.
    fn overflow(&mut self, first: u32, len: usize, to: &mut Vec<u8>, at: &At) -> Result<(), Box<Corrupt>> {
        let mut page = vec![0; to_usize(self.database.page_size().into())];
        let mut next = first;
        while to.len() < len {
            if next == 0 {
                let what = format!("its overflow pages end after {} of {len} bytes", to.len());
                return Err(Corrupt::new(Code::SqlitePage, at.clone(), what));
            }
            self.read(next, &mut page)?;
            next = u32::from_be_bytes(array(&page, 0));
            let content = page.get(4..self.database.usable()).unwrap_or_default();
            let missing = len.saturating_sub(to.len());
            to.extend_from_slice(content.get(..missing).unwrap_or(content));
        }
        Ok(())
    }
}

impl Open {
    fn cell(&self, cell: usize) -> Option<&[u8]> {
        let head = if self.number == 1 { HEADER } else { 0 };
        let list = head.saturating_add(if self.leaf { 8 } else { 12 });
        let at = slice_at(&self.bytes, list.checked_add(cell.checked_mul(2)?)?, 2)?;
        self.bytes.get(usize::from(u16::from_be_bytes(array(at, 0)))..)
    }

    /// The child that a cell of a branch leads to; behind the cells the last one.
    fn child(&self, cell: usize) -> Option<u32> {
        let head = if self.number == 1 { HEADER } else { 0 };
        let bytes =
            if cell == self.cells { self.bytes.get(head.saturating_add(8)..) } else { self.cell(cell) };
        slice_at(bytes?, 0, 4).map(|bytes| u32::from_be_bytes(array(bytes, 0)))
    }

    /// The length of a row, its number, and what follows these.
    fn leaf_cell(&self, cell: usize) -> Option<(u64, i64, &[u8])> {
        let bytes = self.cell(cell)?;
        let (len, taken) = varint(bytes)?;
        let bytes = bytes.get(taken..)?;
        let (id, taken) = varint(bytes)?;
        Some((len, id.cast_signed(), bytes.get(taken..)?))
    }
}

/// How many bytes of a payload are in the leaf.
fn local(len: usize, usable: usize) -> usize {
    let most = usable.saturating_sub(35);
    if len <= most {
        return len;
    }
    let least = usable.saturating_sub(12).saturating_mul(32).checked_div(255).unwrap_or(0).saturating_sub(23);
    let chunk = usable.saturating_sub(4);
    let fit = least.saturating_add(len.saturating_sub(least).checked_rem(chunk).unwrap_or(0));
    if fit <= most { fit } else { least }
}
