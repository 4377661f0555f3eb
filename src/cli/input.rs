//! Inputs as the user names them.

use std::fs::File;
use std::io::{self, Seek};
use std::os::fd::AsFd;
use std::path::Path;

use coldbolt::etcd::datadir;
use coldbolt::io::Source;
use coldbolt::io::source::Lock;
use coldbolt::words::cause::Cause;
use coldbolt::words::error::Error;
use coldbolt::words::hint::Hint;

/// Opens a snapshot file or database; `-` is standard input.
pub fn database(path: &Path) -> Result<Source, Error> {
    let source = any_file(path)?;
    datadir::require_database(&source)?;
    refuse_locked(source)
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
    let mut spool = tempfile::tempfile().map_err(unreadable)?;
    io::copy(&mut &stdin, &mut spool).map_err(unreadable)?;
    spool.rewind().map_err(unreadable)?;
    // It has no name, so nobody else can reach it: this one may be mapped.
    let mapped = Source::map(name, spool.try_clone().map_err(unreadable)?);
    mapped.or_else(|_| Source::from_file(name, spool))
}
