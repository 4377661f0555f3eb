//! Files as bbolt opens them: through the meta page in use (`db.go Open`), or page by page through the first one
//! (`internal/guts_cli/guts_cli.go`).

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use coldbolt::bolt::page::Header;
use coldbolt::bolt::{Db, Meta, Pgid, RawPage};
use coldbolt::codec::array_at;
use coldbolt::codec::go::go_quote;
use coldbolt::io::source::Lock;
use coldbolt::io::{Source, Window};
use coldbolt::words::error::Error;
use coldbolt::words::finding::Finding;

use crate::cli::context::Fail;
use crate::cli::programs::go;
use crate::cli::progress::Terminal;

/// A refusal in its words.
pub fn refused<T>(what: impl Into<String>) -> Result<T, Fail> {
    Err(Fail::Refused(what.into()))
}

/// A path, or a word, as `%q` prints it.
pub fn quoted(path: &Path) -> String {
    go_quote(path.as_os_str().as_encoded_bytes())
}

/// A file that is there; whoever has it open is not asked (`checkSourceDBPath`, `os.Open`).
pub fn there(path: &Path) -> Result<Source, Fail> {
    let found = match fs::metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return refused(format!("source database file {} doesn't exist", quoted(path)));
        }
        Err(error) => {
            let (file, path) = (quoted(path), path.display());
            return refused(format!(
                "failed to open source database file {file}: stat {path}: {}",
                go::said(&error)
            ));
        }
    };
    if found.is_dir() {
        return refused(format!("read {}: is a directory", path.display()));
    }
    match Source::open(path) {
        Err(Error::Unreadable { cause: coldbolt::words::cause::Cause::Io(error), .. }) => {
            refused(format!("open {}: {}", path.display(), go::said(&error)))
        }
        opened => Ok(opened?),
    }
}

/// A file that nobody writes to: bbolt waits until nobody does, here that is said.
pub fn database(path: &Path) -> Result<Source, Fail> {
    if path.is_dir() {
        return refused("invalid database");
    }
    let source = there(path)?;
    if source.is_empty() {
        // It would make a database of it.
        return refused(format!("write {}: bad file descriptor", path.display()));
    }
    if source.flock() == Lock::Held {
        return refused(format!("{}: another program has it open to write to it", path.display()));
    }
    Ok(source)
}

/// The database in it. A bad meta page is told, and no more, as bbolt says nothing: the other one may be a commit
/// older.
pub fn open<'s>(source: &'s Source, monitor: &Terminal) -> Result<Db<'s>, Fail> {
    let opened = Db::open(source);
    // bbolt takes the page size of the system where no meta page has one (`getPageSize`, `fileSize`).
    let page_size = opened.as_ref().map_or(4096, Db::page_size);
    if source.len() > 2048 && source.len() < page_size * 2 {
        return refused(format!("file size too small {}", source.len()));
    }
    match opened {
        Ok(db) => {
            for slot in db.slots() {
                let why = slot.fault.as_ref().or(slot.header_fault.as_ref());
                if let Some(fault) = why {
                    monitor.say(&Finding::from_corrupt(&source.name(), (**fault).clone()).to_string());
                }
            }
            Ok(db)
        }
        Err(corrupt) => {
            let first = source.head(1 << 12).unwrap_or_default();
            match invalid(&first) {
                Some(why) => refused(why),
                // It validates, and names pages that cannot be: bbolt crashes.
                None => Err(Error::damaged(source.path(), corrupt).into()),
            }
        }
    }
}

/// Why a meta page is not valid, in bbolt's words (`Meta.Validate`).
pub fn invalid(page: &[u8]) -> Option<&'static str> {
    match Meta::parse(page) {
        Ok(_) => None,
        Err((_, None)) => Some("invalid database"),
        Err((_, Some(_)))
            if array_at(page, 20).map(u32::from_le_bytes) != Some(coldbolt::bolt::meta::VERSION) =>
        {
            Some("version mismatch")
        }
        Err((_, Some(_))) => Some("checksum error"),
    }
}

/// A file read page by page through its first meta page, whatever that is worth.
pub struct Pages {
    pub source: Source,
    pub page_size: u64,
    /// The high water mark that the first meta page has.
    pub high: u64,
}

impl Pages {
    /// `ReadPageAndHWMSize`.
    pub fn open(source: Source) -> Result<Pages, String> {
        let first = source.head(1 << 12).map_err(|corrupt| corrupt.detail)?;
        if first.len() < 1 << 12 {
            return Err(if first.is_empty() { "EOF" } else { "unexpected EOF" }.to_owned());
        }
        let u32_at = |at| array_at(&first, at).map_or(0, u32::from_le_bytes);
        if u32_at(16) != coldbolt::bolt::meta::MAGIC {
            return Err("the Meta Page has wrong (unexpected) magic".to_owned());
        }
        let high = array_at(&first, 56).map_or(0, u64::from_le_bytes);
        Ok(Pages { page_size: u32_at(24).into(), high, source })
    }

    /// Where a page lies that is whole in the file.
    pub fn place(&self, id: u64) -> Result<u64, String> {
        // As Go multiplies.
        let offset = id.wrapping_mul(self.page_size);
        if offset > i64::MAX as u64 {
            return Err(format!("readat {}: negative offset", self.source.path().display()));
        }
        let possible = self.page_size.is_power_of_two() && (1024..=1 << 24).contains(&self.page_size);
        if !possible {
            return Err(format!("the Meta Page has an impossible page size: {}", self.page_size));
        }
        if self.source.len().checked_sub(offset).is_none_or(|rest| rest < self.page_size) {
            return Err("EOF".to_owned());
        }
        Ok(offset)
    }

    /// `ReadPage`: the header, once it is known to be this page's and its overflow to be in the file. That no page can
    /// have overflow in a file of three pages is not taken over.
    pub fn header(&self, id: u64) -> Result<Header, String> {
        let offset = self.place(id)?;
        let mut bytes = [0; 16];
        self.source.read_exact_at(offset, &mut bytes).map_err(|corrupt| corrupt.detail)?;
        let header = Header::parse(&bytes).ok_or("EOF")?;
        if header.id.0 != id {
            return Err(format!("error: invalid value due to unexpected Page id: {} != {id}", header.id));
        }
        let most = (self.high as u32).wrapping_sub(3);
        if header.overflow >= most && header.overflow > 0 {
            return Err(format!(
                "error: invalid value, Page claims to have {} overflow pages (>=hwm={}). Interrupting to avoid risky OOM",
                header.overflow, self.high
            ));
        }
        let run = (u64::from(header.overflow) + 1).saturating_mul(self.page_size);
        if self.source.len() - offset < run {
            return Err("EOF".to_owned());
        }
        Ok(header)
    }

    /// The page with its overflow.
    pub fn read<'w>(&'w self, id: u64, window: &'w mut Window) -> Result<RawPage<'w>, String> {
        self.header(id)?;
        RawPage::read(&self.source, self.page_size, Pgid(id), window).map_err(|corrupt| corrupt.detail)
    }
}

/// A number, as `strconv.ParseUint` with base 10 reads it.
pub fn number(word: &std::ffi::OsStr) -> Result<u64, Fail> {
    let text = word.to_string_lossy();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(number) if digits => Ok(number),
        _ => {
            let why = if digits { "value out of range" } else { "invalid syntax" };
            refused(format!("strconv.ParseUint: parsing {}: {why}", go_quote(word.as_encoded_bytes())))
        }
    }
}

/// Numbers of pages; empty words are none.
pub fn numbers(words: &[std::ffi::OsString]) -> Result<Vec<u64>, Fail> {
    words.iter().filter(|word| !word.is_empty()).map(|word| number(word)).collect()
}
