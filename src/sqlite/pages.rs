//! Pages: those of the file, and over them those of its log.

use super::MAGIC;
use super::log::Log;
use super::record::array;
use crate::codec::{to_u64, to_usize};
use crate::io::Source;
use crate::words::error::{At, Corrupt};
use crate::words::finding::Code;

/// Bytes of the header, at the front of page 1.
pub(super) const HEADER: usize = 100;
/// The least that a page can have for content.
const LEAST: u32 = 480;

/// A database, opened for reading.
#[derive(Debug, Clone)]
pub struct Database {
    source: Source,
    log: Option<Log>,
    page_size: u32,
    usable: u32,
    pages: u32,
    with_log: bool,
}

impl Database {
    /// Reads the header of a file, and which pages are in the log beside it.
    ///
    /// # Errors
    /// `sqlite-page` when it is no database of SQLite that is known here, `unreadable`.
    pub fn open(source: &Source, log: Option<&Source>) -> Result<Database, Box<Corrupt>> {
        let wrong = |at, what: String| Err(Corrupt::new(Code::SqlitePage, At::page(1, at), what));
        let first = source.head(HEADER)?;
        if first.len() < HEADER || !first.starts_with(MAGIC) {
            return wrong(0, format!("no header of SQLite in its {} bytes", source.len()));
        }
        let page_size = match u16::from_be_bytes(array(&first, 16)) {
            1 => 65536,
            size => u32::from(size),
        };
        let usable = page_size.saturating_sub(u32::from(u8::from_be_bytes(array(&first, 20))));
        if !page_size.is_power_of_two() || !(512..=65536).contains(&page_size) || usable < LEAST {
            return wrong(16, format!("pages of {page_size} bytes, of which {usable} are used"));
        }
        let log = log.map(|log| Log::read(log, page_size)).transpose()?;
        let mut database =
            Database { source: source.clone(), log, page_size, usable, pages: 0, with_log: false };
        // What the log has of it is the newer one.
        let mut first = vec![0; to_usize(page_size.into())];
        database.pages = u32::MAX;
        database.page(1, &mut first)?;
        let [written, read]: [u8; 2] = array(&first, 18);
        if read > 2 {
            return wrong(19, format!("version {read} of the format, of which 1 and 2 are known"));
        }
        let encoding = u32::from_be_bytes(array(&first, 56));
        // 0 before the first table is made.
        if encoding > 1 {
            return wrong(56, format!("texts in encoding {encoding}, of which 1 (UTF-8) is read"));
        }
        database.with_log = written == 2;
        let whole = source.len().checked_div(page_size.into()).unwrap_or(0);
        let stored = u32::from_be_bytes(array(&first, 28));
        // A number of another time than the last change counts nothing (`sqlite3PagerSharedLock`).
        let valid = stored > 0 && array::<4>(&first, 24) == array::<4>(&first, 92);
        let size = database.log.as_ref().and_then(|log| log.size).or(valid.then_some(stored));
        database.pages = size.unwrap_or(u32::try_from(whole).unwrap_or(u32::MAX));
        Ok(database)
    }

    /// Bytes in a page.
    #[must_use]
    pub fn page_size(&self) -> u32 {
        self.page_size
    }

    /// Bytes of a page that are used.
    pub(super) fn usable(&self) -> usize {
        to_usize(self.usable.into())
    }

    /// How many pages it has.
    #[must_use]
    pub fn pages(&self) -> u32 {
        self.pages
    }

    /// Whether it is written with a log: then what was written last may be in that alone.
    #[must_use]
    pub fn is_written_with_log(&self) -> bool {
        self.with_log
    }

    /// The log, if there is one.
    #[must_use]
    pub fn log(&self) -> Option<&Log> {
        self.log.as_ref()
    }

    /// The file.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// How many pages there are to be read: no more can be than the file and the log have.
    pub(super) fn present(&self) -> u64 {
        let whole = self.source.len().checked_div(self.page_size.into()).unwrap_or(0);
        whole.saturating_add(self.log.as_ref().map_or(0, Log::pages))
    }

    /// Where a page lies in the file; what is said of one that the log has, too.
    pub(super) fn at(&self, page: u32) -> At {
        At::page(page.into(), self.offset(page))
    }

    fn offset(&self, page: u32) -> u64 {
        u64::from(page).saturating_sub(1).saturating_mul(self.page_size.into())
    }

    /// Reads a page, which `buf` has the length of.
    ///
    /// # Errors
    /// `sqlite-page` for one that there is not, `file-too-short`, `unreadable`.
    pub(super) fn page(&self, page: u32, buf: &mut [u8]) -> Result<(), Box<Corrupt>> {
        if page == 0 || page > self.pages {
            let what = format!("there is no page {page}, the database has {}", self.pages);
            return Err(Corrupt::new(Code::SqlitePage, At::default(), what));
        }
        if let Some((log, place)) = self.log.as_ref().and_then(|log| Some((log, log.place(page)?))) {
            return log.source().read_exact_at(place, buf);
        }
        let from = self.offset(page);
        let end = from.saturating_add(to_u64(buf.len()));
        if end > self.source.len() {
            let what = format!("the page ends at byte {end}, the file has {}", self.source.len());
            return Err(Corrupt::new(Code::FileTooShort, self.at(page), what));
        }
        self.source.read_exact_at(from, buf)
    }
}
