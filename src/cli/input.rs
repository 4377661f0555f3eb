//! Inputs as the user names them.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use coldbolt::bolt::Db;
use coldbolt::etcd::Input;
use coldbolt::etcd::datadir::{self, FileKind, Foreign};
use coldbolt::io::Source;
use coldbolt::io::source::Lock;
use coldbolt::ops::{self, KineOptions};
use coldbolt::words::cause::Cause;
use coldbolt::words::error::Error;
use coldbolt::words::hint::Hint;
use coldbolt::words::monitor::Monitor;

/// Opens a snapshot file or database; `-` is standard input.
pub fn database(path: &Path) -> Result<Source, Error> {
    checked(any_file(path)?)
}

/// Refuses what is not a database, and one that a running etcd holds.
pub fn checked(source: Source) -> Result<Source, Error> {
    datadir::require_database(&source)?;
    refuse_locked(source)
}

/// Whether it is an SQLite database: of it the keyspace may be that of kine.
pub fn is_kines(source: &Source) -> Result<bool, Error> {
    Ok(datadir::file_kind(source)? == FileKind::Foreign(Foreign::Sqlite))
}

/// The etcd database that is made of one of kine.
pub fn kine(path: &Path, source: Source, allow_damage: bool, monitor: &dyn Monitor) -> Result<Source, Error> {
    let what = "is an SQLite database, of which an etcd database in the clear would be kept while it is read: pipe \
                `coldbolt export` into `coldbolt encrypt -`, with TMPDIR in memory";
    refuse_to_keep(path, what)?;
    // By its path the log beside it is found.
    let input = if path == Path::new("-") { Input::from(source) } else { Input::from(path) };
    Ok(ops::kine(input, &KineOptions { allow_damage }, monitor)?.database)
}

/// What is to be said beside the numbers of another program's database, which etcd's tools print without a word.
pub fn not_etcds(source: &Source) -> String {
    let name = source.name();
    format!(
        "{name}: is a bbolt database, but not etcd's: its buckets are others. The numbers are those that etcd's tools print for it"
    )
}

/// Refuses a file that a running etcd holds.
pub fn refuse_locked(source: Source) -> Result<Source, Error> {
    if source.flock() == Lock::Held {
        return Err(Error::unreadable(source.path(), Cause::InUse(Some(Hint::SnapshotToRead))));
    }
    Ok(source)
}

/// Opens any file; `-` is standard input, which is kept in an unnamed temporary file unless it is a file already.
pub fn any_file(path: &Path) -> Result<Source, Error> {
    if path != Path::new("-") {
        if path.is_dir() {
            let db = path.join("member/snap/db");
            let database = db.is_file().then_some(db);
            return Err(Error::unreadable(path, Cause::Directory { database }));
        }
        return Source::open(path);
    }
    let name = Path::new("(standard input)");
    let unreadable = |e: io::Error| Error::unreadable(name, e);
    let stdin = File::from(io::stdin().as_fd().try_clone_to_owned().map_err(unreadable)?);
    if stdin.metadata().map_err(unreadable)?.is_file() {
        return if coldbolt::io::all_files() {
            Source::map(name, stdin)
        } else {
            Source::from_file(name, stdin)
        };
    }
    let what = "is a pipe, of which a file in the clear would be kept while it is read: give a file, or close what the \
                pipe brings with `coldbolt encrypt -`";
    refuse_to_keep(name, what)?;
    let spool = spooled(&mut &stdin, name)?;
    // It has no name, so nobody else can reach it: this one may be mapped.
    let mapped = Source::map(name, spool.try_clone().map_err(unreadable)?);
    mapped.or_else(|_| Source::from_file(name, spool))
}

/// Bytes at the front of a stream that tell what it is.
const FRONT: u64 = 1 << 20;
/// Bytes that may follow twice what a database's meta page says that it has: those that its file grew by.
const BEYOND: u64 = 64 << 20;

/// The most bytes that are taken from standard input.
static MOST: OnceLock<u64> = OnceLock::new();

/// Takes no more bytes than that from standard input. The first who asks is heard.
pub fn at_most(bytes: u64) {
    let _ = MOST.set(bytes);
}

/// Whether nothing that is read may reach the disk in the clear.
static CLOSED: AtomicBool = AtomicBool::new(false);

/// Refuses from now on what would be kept on the disk while it is read.
pub fn never_keep() {
    CLOSED.store(true, Ordering::Relaxed);
}

fn refuse_to_keep(path: &Path, what: &str) -> Result<(), Error> {
    if CLOSED.load(Ordering::Relaxed) {
        return Err(Error::unreadable(path, Cause::Content(what.to_owned())));
    }
    Ok(())
}

/// A stream as a file without a name. What it is is told by its front: nothing is kept of what is no file of etcd's,
/// and no more of a database than it can have.
fn spooled(stream: &mut dyn Read, name: &Path) -> Result<File, Error> {
    let unreadable = |e: io::Error| Error::unreadable(name, e);
    let too_long = |most: u64, why: &str| {
        let what = format!("goes on after {most} bytes, {why}: nothing more is read");
        Err(Error::unreadable(name, Cause::Content(what)))
    };
    let mut front = Vec::new();
    stream.take(FRONT).read_to_end(&mut front).map_err(unreadable)?;
    let more = front.len() as u64 == FRONT;
    let source = Source::from_bytes(name, front);
    let kind = datadir::file_kind(&source)?;
    let most = MOST.get().copied();
    let foreign = matches!(kind, FileKind::Foreign(_) | FileKind::Unknown | FileKind::BoltBigEndian);
    if more && foreign && kind != FileKind::Foreign(Foreign::Sqlite) {
        datadir::require_database(&source)?;
    }
    let own = Db::open(&source).map(|db| db.size().saturating_mul(2).saturating_add(BEYOND)).ok();
    let mut spool = tempfile::tempfile().map_err(unreadable)?;
    spool.write_all(source.as_slice().unwrap_or_default()).map_err(unreadable)?;
    let limit = most.unwrap_or(u64::MAX).min(own.filter(|_| more).unwrap_or(u64::MAX));
    let rest = limit.saturating_sub(source.len());
    let taken = io::copy(&mut stream.take(rest.saturating_add(1)), &mut spool).map_err(unreadable)?;
    if source.len() > limit || taken > rest {
        return match most {
            Some(most) if most == limit => too_long(most, "which --max-input allows"),
            _ => too_long(limit, "more than twice what its meta page says that it has"),
        };
    }
    spool.rewind().map_err(unreadable)?;
    Ok(spool)
}

/// A text that the user gives, of at most so many bytes; none if it is longer. `-` is standard input.
pub fn text(path: &Path, most: u64) -> io::Result<Option<String>> {
    let mut text = String::new();
    let taken = if path == Path::new("-") {
        io::stdin().lock().take(most.saturating_add(1)).read_to_string(&mut text)?
    } else {
        File::open(path)?.take(most.saturating_add(1)).read_to_string(&mut text)?
    };
    Ok((taken as u64 <= most).then_some(text))
}
