//! A database of kine, which k3s keeps in SQLite, as an etcd database with the same keys at the same revisions: what
//! answers from the one answers from the other. It lies in a temporary file without a name.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::bolt::writer::{Options, WriteError, Writer};
use crate::codec::to_u64;
use crate::etcd::kine::{KineRow, TABLE, is_kines};
use crate::etcd::{BucketKey, Input, Revision, stored};
use crate::io::source::Lock;
use crate::io::spool::Spool;
use crate::io::{Source, tree};
use crate::sqlite::{Database, LogEnd, Row, Table};
use crate::words::cause::Cause;
use crate::words::collector::Teller;
use crate::words::error::{At, Corrupt, Error, Result};
use crate::words::finding::{Code, Finding};
use crate::words::monitor::Monitor;

/// Findings told of each kind.
const TOLD: u64 = 20;
/// What a journal that is to be put back begins with.
const JOURNAL: &[u8] = &[0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];

/// How to read it.
#[derive(Debug, Clone, Copy, Default)]
pub struct KineOptions {
    /// Leave out what cannot be read, and tell of it, instead of failing.
    pub allow_damage: bool,
}

/// A database of kine that was read.
#[derive(Debug)]
pub struct Kine {
    /// The etcd database, by the name of the file it was made of.
    pub database: Source,
    /// What the file is.
    pub report: KineReport,
    /// What was found on the way; the first of each code.
    pub findings: Vec<Finding>,
}

/// The file itself.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct KineReport {
    /// Its path.
    pub path: String,
    /// Its length in bytes.
    pub file_size: u64,
    /// Bytes in a page.
    pub page_size: u32,
    /// How many pages it has, with those in the log.
    pub pages: u32,
    /// Whether kine writes it with a log: then what was written last may be in that alone.
    pub written_with_log: bool,
    /// The log beside it, if there is one.
    pub log: Option<SqliteLogReport>,
    /// Rows of the table, of every kind.
    pub rows: u64,
    /// Ids that nothing was written with.
    pub gaps: u64,
}

/// The log beside it.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct SqliteLogReport {
    /// Its path.
    pub path: String,
    /// Its length in bytes.
    pub file_size: u64,
    /// Pages in it that are part of the database.
    pub frames: u64,
    /// Pages behind these that no commit follows.
    pub uncommitted: u64,
}

/// Reads the file, and the log beside it, and makes an etcd database of them. None of the two is written to or locked.
///
/// # Errors
/// [`Error::Unreadable`] when it is another kind of file, in use or changed meanwhile, [`Error::Damaged`] unless
/// damage is allowed, [`Error::Output`] when there is no room for temporary files, [`Error::Cancelled`].
pub fn kine(input: impl Into<Input>, options: &KineOptions, monitor: &dyn Monitor) -> Result<Kine> {
    let input = input.into();
    let source = input.open()?;
    if source.record_lock() == Lock::Held {
        return Err(Error::unreadable(source.path(), Cause::InUseBySqlite));
    }
    let beside = |suffix| input.as_open().is_none().then(|| beside(input.path(), suffix));
    if let Some(journal) = beside("-journal").map(|path| existing(&path)).transpose()?.flatten()
        && journal.head(JOURNAL.len()).is_ok_and(|head| head == JOURNAL)
    {
        return Err(Error::unreadable(source.path(), Cause::HotJournal(journal.path().to_path_buf())));
    }
    let log = beside("-wal").map(|path| existing(&path)).transpose()?.flatten();
    let damaged = |corrupt| Error::damaged(source.path(), corrupt);
    let file = Database::open(&source, log.as_ref()).map_err(damaged)?;
    let table = file.table(TABLE).map_err(damaged)?;
    let not_kines = |why| Error::unreadable(source.path(), Cause::NotKines(why));
    let table = table.ok_or_else(|| not_kines("it has no table kine"))?;
    if !is_kines(&table.sql) {
        return Err(not_kines("its table kine has other columns"));
    }
    let mut copy = Copy::new(&file, *options, monitor);
    let database = copy.run(&table).and_then(|spool| spool.into_source(source.path()));
    let database = source.unchanged_or_error(monitor, database)?;
    if let Some(log) = file.log().filter(|log| !log.is_same()) {
        let what = "its log was begun anew while it was read: read a copy that nobody writes to";
        return Err(Error::unreadable(log.source().path(), Cause::changed(what)));
    }
    let report = report(&file, &copy);
    Ok(Kine { database, report, findings: copy.found.all.kept })
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// A file that may not be there.
fn existing(path: &Path) -> Result<Option<Source>> {
    match tree::open(path) {
        Ok(source) => Ok(Some(source)),
        Err(Error::Unreadable { cause: Cause::Io(e), .. }) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

fn report(file: &Database, copy: &Copy<'_>) -> KineReport {
    let log = file.log().map(|log| SqliteLogReport {
        path: log.source().name(),
        file_size: log.source().len(),
        frames: log.frames,
        uncommitted: log.uncommitted,
    });
    KineReport {
        path: file.source().name(),
        file_size: file.source().len(),
        page_size: file.page_size(),
        pages: file.pages(),
        written_with_log: file.is_written_with_log(),
        log,
        rows: copy.rows,
        gaps: copy.gaps,
    }
}

/// The work: rows in, in order of their ids, which are the revisions; the elements of a bucket out.
struct Copy<'c> {
    file: &'c Database,
    options: KineOptions,
    found: Teller<'c>,
    rows: u64,
    gaps: u64,
    compacted: i64,
    /// The last id, and whether nothing was written with it.
    last: (i64, bool),
}

impl<'c> Copy<'c> {
    fn new(file: &'c Database, options: KineOptions, monitor: &'c dyn Monitor) -> Copy<'c> {
        let found = Teller::new(TOLD, monitor);
        Copy { file, options, found, rows: 0, gaps: 0, compacted: 0, last: (0, false) }
    }

    fn run(&mut self, table: &Table) -> Result<Spool> {
        self.tell_of_log();
        let mut spool = Spool::new()?;
        let mut out = Writer::new(spool.file(), Options::default()).map_err(failed)?;
        out.begin_bucket(stored::BUCKET, 0).map_err(failed)?;
        let monitor = self.found.monitor;
        monitor.begin("reading the table of kine", self.file.source().len());
        let mut done = Ok(());
        self.file.rows(table.root, &mut |row| {
            done = if monitor.cancelled() { Err(Error::Cancelled) } else { self.row(row, &mut out) };
            if done.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        monitor.end();
        done?;
        if let (id, true) = self.last {
            // As a restore to a greater revision marks it: the revision counts, and no key has it.
            out.put(&mark(id), b"").map_err(failed)?;
        }
        out.end_bucket().map_err(failed)?;
        out.begin_bucket(b"meta", 0).map_err(failed)?;
        if self.compacted > 0 {
            for name in [&b"finishedCompactRev"[..], b"scheduledCompactRev"] {
                out.put(name, &mark(self.compacted)).map_err(failed)?;
            }
        }
        out.end_bucket().map_err(failed)?;
        out.finish().map_err(failed)?;
        Ok(spool)
    }

    fn row<W: std::io::Write + std::io::Seek>(
        &mut self,
        row: Result<Row<'_>, Box<Corrupt>>,
        out: &mut Writer<W>,
    ) -> Result<()> {
        let row = match row {
            Ok(row) => row,
            Err(corrupt) => return self.damage(corrupt),
        };
        self.rows = self.rows.saturating_add(1);
        self.found.monitor.advance(to_u64(row.payload.len()));
        let what = match KineRow::read(row.id, row.payload) {
            Ok(what) => what,
            Err(what) => {
                let at = At { revision: Some(row.id.to_string()), ..At::default() };
                return self.damage(Corrupt::new(Code::KineRow, at, what));
            }
        };
        self.last = (row.id, true);
        match what {
            KineRow::Compacted(revision) => self.compacted = self.compacted.max(revision),
            KineRow::Gap => self.gaps = self.gaps.saturating_add(1),
            KineRow::Change(change) => {
                self.last = (row.id, false);
                let (key, kv) = change.stored();
                out.put(&key.to_bytes(), &kv.encode()).map_err(failed)?;
            }
        }
        Ok(())
    }

    fn damage(&mut self, corrupt: Box<Corrupt>) -> Result<()> {
        if !self.options.allow_damage {
            return Err(Error::damaged(self.file.source().path(), corrupt));
        }
        self.found.corrupt(&self.file.source().name(), *corrupt);
        Ok(())
    }

    /// Where a log ends that was not written to its end.
    fn tell_of_log(&mut self) {
        let Some(log) = self.file.log() else { return };
        let what = match log.end {
            LogEnd::Torn => {
                let frame = log.frames.saturating_add(log.uncommitted);
                format!(
                    "frame {frame} is cut off or its checksum is another one: the log is read up to the last commit before it"
                )
            }
            LogEnd::Header => {
                "its header is none, or its checksum is another one: SQLite takes no notice of such a log"
                    .to_owned()
            }
            LogEnd::File | LogEnd::Earlier => return,
        };
        self.found.say(Code::SqliteLog, &log.source().name(), what);
    }
}

fn mark(revision: i64) -> Vec<u8> {
    BucketKey { revision: Revision { main: revision, sub: 0 }, tombstone: false }.to_bytes()
}

fn failed(error: WriteError) -> Error {
    match error {
        WriteError::Output(source) => Spool::failed(source),
        other => other.into(),
    }
}
