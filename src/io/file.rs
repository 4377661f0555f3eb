//! A file that is open for reading (feature `fs`): the only place that opens inputs.
//!
//! It is read with `pread` into buffers of ours: what shrinks under us or has a bad sector is an error with an
//! offset then.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::dest;
use super::os;
use super::state::{Lock, Stamp};
use crate::codec::to_u64;
use crate::words::cause::Cause;
use crate::words::error::{At, Corrupt, Error, Result};
use crate::words::finding::Code;

/// A regular file or a block device, and what it was when it was opened.
#[derive(Debug)]
pub(super) struct InputFile {
    file: Handle,
    /// Bytes, when it was opened.
    len: u64,
    /// Its state then.
    opened: Stamp,
    #[cfg_attr(not(feature = "mmap"), expect(dead_code, reason = "only such are mapped"))]
    pub(super) is_regular: bool,
}

/// The open file, or where it is.
#[derive(Debug)]
enum Handle {
    Open(File),
    /// It is one of many, and opened for each read.
    At(PathBuf),
}

/// A file for as long as it is asked.
enum Held<'f> {
    Open(&'f File),
    Again(File),
}

impl std::ops::Deref for Held<'_> {
    type Target = File;

    fn deref(&self) -> &File {
        match self {
            Held::Open(file) => file,
            Held::Again(file) => file,
        }
    }
}

impl InputFile {
    /// The same file, opened again for each read: another one in its place is an error.
    pub(super) fn closed(self, path: &Path) -> InputFile {
        InputFile { file: Handle::At(path.to_path_buf()), ..self }
    }

    fn file(&self) -> io::Result<Held<'_>> {
        let path = match &self.file {
            Handle::Open(file) => return Ok(Held::Open(file)),
            Handle::At(path) => path,
        };
        let file = os::open_to_read(path)?;
        if os::identity(&file)? != self.opened.identity {
            return Err(io::Error::other("another file is there now"));
        }
        Ok(Held::Again(file))
    }

    pub(super) fn open(path: &Path) -> Result<InputFile> {
        InputFile::of(path, os::open_to_read(path).map_err(|error| Error::unreadable(path, error))?)
    }

    pub(super) fn of(path: &Path, file: File) -> Result<InputFile> {
        let metadata = file.metadata().map_err(|e| Error::unreadable(path, e))?;
        let kind = metadata.file_type();
        let len = if kind.is_file() {
            metadata.len()
        } else if os::is_block_device(kind) {
            use std::io::Seek;
            (&file).seek(std::io::SeekFrom::End(0)).map_err(|e| Error::unreadable(path, e))?
        } else if kind.is_dir() {
            return Err(Error::unreadable(path, Cause::Directory { database: None }));
        } else {
            return Err(Error::unreadable(path, Cause::NotAFile));
        };
        Ok(InputFile {
            opened: os::stamp(&file).map_err(|e| Error::unreadable(path, e))?,
            is_regular: kind.is_file(),
            file: Handle::Open(file),
            len,
        })
    }

    #[cfg(feature = "mmap")]
    /// The open file; there is none of one that is opened for each read.
    pub(super) fn handle(&self) -> Option<&File> {
        if let Handle::Open(file) = &self.file { Some(file) } else { None }
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn opened(&self) -> Stamp {
        self.opened
    }

    pub(super) fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), Box<Corrupt>> {
        let wanted = to_u64(buf.len());
        self.file().and_then(|file| os::read_exact_at(&file, buf, offset)).map_err(|error| {
            let what = if error.kind() == io::ErrorKind::UnexpectedEof {
                let now = self.file().and_then(|file| file.metadata()).map_or(0, |m| m.len());
                let before = if now == self.len {
                    String::new()
                } else {
                    format!(" (it had {} when it was opened)", self.len)
                };
                format!("{wanted} bytes wanted here, but the file ends at byte {now}{before}")
            } else {
                format!("{wanted} bytes wanted here: {error}")
            };
            Corrupt::new(Code::Unreadable, At::offset(offset), what)
        })
    }

    pub(super) fn advise_sequential(&self) {
        if let Handle::Open(file) = &self.file {
            os::will_read_all(file);
        }
    }

    pub(super) fn is_cached(&self, offset: u64) -> bool {
        self.file().map_or(true, |file| os::is_cached(&file, offset))
    }

    pub(super) fn flock(&self) -> Lock {
        // Looking would give up the lock that this process has, and no etcd has one.
        if dest::is_ours(self.opened.identity) { Lock::Free } else { self.lock(os::bolt_lock) }
    }

    pub(super) fn ofd_lock(&self) -> Lock {
        self.lock(os::wal_lock)
    }

    pub(super) fn record_lock(&self) -> Lock {
        self.lock(os::sqlite_lock)
    }

    fn lock(&self, look: fn(&File) -> Lock) -> Lock {
        self.file().map_or(Lock::Unknown, |file| look(&file))
    }

    pub(super) fn stamp(&self) -> Option<Stamp> {
        self.file().and_then(|file| os::stamp(&file)).ok()
    }
}
