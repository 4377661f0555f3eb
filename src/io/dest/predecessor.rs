//! A file that another takes the place of, where a server may be about to open it.
//!
//! bbolt opens a file and then waits for its lock (`db.go Open`, `bolt_unix.go flock`). A server that opened the
//! old file just before it lost its name would get the lock when it is given back, and run on a file that nobody
//! finds again: what it acknowledged would be lost. So the old one is no database any more when its lock is given
//! back: its meta pages are blanked, bbolt says `invalid database`, and the server that is started again opens the
//! new file. Before that the new file is at its place on the disk. Until then the old one is whole, whoever dies
//! and when.
//!
//! The two change their names, so that the old one always has one: who is killed by SIGKILL before it is blanked
//! leaves it as `<name>.<16 hex digits>.partial`. A server that waited runs on that file then, and on the log beside
//! it. What it acknowledged is in the log too, so that it is there when it is started again on the new file, until
//! it has taken a raft snapshot: then the new file is behind that, and every etcd panics instead of starting. Which
//! of the two etcd wrote last can be told then (`etcd/aside.rs`), and it is never replaced or removed. Only where the
//! file system cannot change two names in one step (NFS, Windows) the old file has none for that moment.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::codec::to_usize;
use crate::io::os::{self, Directory};
use crate::io::state::Stamp;
use crate::words::cause::Cause;
use crate::words::error::{Error, Result};
use crate::words::refusal::Refusal;

/// A file that is about to be replaced. As long as it lives no etcd begins to use it.
#[derive(Debug)]
pub(crate) struct Predecessor {
    file: File,
    /// Hold etcd's lock of the log.
    _log: Vec<File>,
}

impl Predecessor {
    /// Takes bbolt's lock of the file at `path`, and after it, as etcd does, those of the segments of its log.
    ///
    /// # Errors
    /// [`Error::Unreadable`] when a server has begun to use one of them, or one cannot be opened.
    pub(crate) fn lock(path: &Path, log: &[PathBuf]) -> Result<Predecessor> {
        let opened = OpenOptions::new().read(true).write(true).open(path);
        let file = opened.map_err(|e| Error::unreadable(path, e))?;
        // A file system without locks has none that etcd could hold.
        if os::hold(&file).is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
            return Err(came_into_use(path));
        }
        let _log = log.iter().map(|segment| lock_segment(segment)).collect::<Result<_>>()?;
        Ok(Predecessor { file, _log })
    }

    /// Its state now; `None` where the system does not tell.
    pub(crate) fn stamp(&self) -> Option<Stamp> {
        os::stamp(&self.file).ok()
    }

    /// Has `new` take its place, whose directory is `parent`, and is no database any more then.
    pub(super) fn give_way(&self, new: &Path, place: &Path, parent: &Directory, head: u64) -> io::Result<()> {
        let exchanged = os::exchange(new, place)?;
        if !exchanged {
            os::replace(new, place)?;
        }
        // What a power failure could bring back is retired only when it cannot.
        parent.sync().inspect_err(|_| {
            if exchanged {
                let _ = os::exchange(new, place);
            }
        })?;
        self.retire(head, u64::from(exchanged))?;
        if exchanged {
            // Left behind it does no harm: the next run removes it.
            let _ = fs::remove_file(new);
        }
        Ok(())
    }

    /// Makes it no database for whoever has opened it, if it has no more than so many `names`: its first `head` bytes
    /// are blanked.
    fn retire(&self, head: u64, names: u64) -> io::Result<()> {
        if os::names(&self.file)? > names {
            return Ok(());
        }
        let len = self.file.metadata()?.len();
        os::write_all_at(&self.file, &vec![0; to_usize(head.min(len))], 0)
    }
}

/// Refuses a file that would live on under another name, which must stay as it is.
///
/// # Errors
/// [`Error::Refused`]; [`Error::Unreadable`] when the system does not tell.
pub(crate) fn refuse_other_names(path: &Path) -> Result<()> {
    let names = os::open_to_read(path).and_then(|file| os::names(&file));
    let names = names.map_err(|e| Error::unreadable(path, e))?;
    if names > 1 { Err(Refusal::OtherNames { path: path.to_path_buf(), names }.into()) } else { Ok(()) }
}

fn lock_segment(path: &Path) -> Result<File> {
    let file = File::open(path).map_err(|e| Error::unreadable(path, e))?;
    match os::hold_segment(&file) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Err(came_into_use(path)),
        _ => Ok(file),
    }
}

fn came_into_use(path: &Path) -> Error {
    Error::unreadable(path, Cause::changed("came into use while the database was read; nothing was changed"))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;
    use crate::io::dest::{Dest, Existing};

    #[test]
    fn who_waited_for_the_lock_of_a_file_that_was_replaced_finds_no_database_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        fs::write(&path, [7; 3000]).unwrap();
        let mut waiting = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let mut dest = Dest::create(&path, Existing::Replace).unwrap();
        dest.write_all(b"new").unwrap();
        let old = Predecessor::lock(&path, &[]).unwrap();
        assert!(os::hold(&waiting).is_err());
        dest.finish_after(&old, 2000).unwrap();
        assert!(os::hold(&waiting).is_err());
        drop(old);
        os::hold(&waiting).unwrap();
        let mut found = Vec::new();
        waiting.read_to_end(&mut found).unwrap();
        assert!(found.len() == 3000 && found[..2000].iter().all(|byte| *byte == 0));
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn what_has_another_name_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("db"), dir.path().join("other"));
        fs::write(&path, "old").unwrap();
        refuse_other_names(&path).unwrap();
        fs::hard_link(&path, &other).unwrap();
        assert!(matches!(
            refuse_other_names(&path),
            Err(Error::Refused(Refusal::OtherNames { names: 2, .. }))
        ));
        let dest = Dest::create(&path, Existing::Replace).unwrap();
        dest.finish_after(&Predecessor::lock(&path, &[]).unwrap(), 2).unwrap();
        assert_eq!((fs::read(&path).unwrap(), fs::read(&other).unwrap()), (b"".to_vec(), b"old".to_vec()));
    }
}
