//! Inputs as the user names them.

use std::fs::File;
use std::io::{self, Seek};
use std::os::fd::AsFd;
use std::path::Path;

use coldbolt::etcd::datadir;
use coldbolt::io::Source;
use coldbolt::io::source::Lock;
use coldbolt::words::error::Error;

/// Opens a snapshot file or database; `-` is standard input.
pub fn database(path: &Path) -> Result<Source, Error> {
    let source = any_file(path)?;
    datadir::require_database(&source)?;
    idle(source)
}

/// Refuses a file that a running etcd holds.
pub fn idle(source: Source) -> Result<Source, Error> {
    if source.flock() == Lock::Held {
        let what = "is in use: a running etcd holds its lock. Stop it, or take a snapshot with `etcdctl snapshot save` and read that";
        return Err(Error::unreadable(source.path(), what));
    }
    Ok(source)
}

/// Opens any file; `-` is standard input, which is kept in an unnamed temporary file unless it is a file already.
pub fn any_file(path: &Path) -> Result<Source, Error> {
    if path != Path::new("-") {
        if path.is_dir() {
            let db = path.join("member/snap/db");
            let hint =
                if db.is_file() { format!("; its database is {}", db.display()) } else { String::new() };
            return Err(Error::unreadable(path, format!("is a directory, a file is needed here{hint}")));
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
