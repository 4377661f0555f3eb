//! A file that is open for reading (feature `fs`): the only place that opens inputs.
//!
//! It is read with `pread` into buffers of ours: what shrinks under us or has a bad sector is an error with an
//! offset then.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, Mode, OFlags};

use super::dest;
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
        let file = open(path)?;
        let stamp = Stamp::of(&file.metadata()?);
        if (stamp.device, stamp.inode) != (self.opened.device, self.opened.inode) {
            return Err(io::Error::other("another file is there now"));
        }
        Ok(Held::Again(file))
    }

    pub(super) fn open(path: &Path) -> Result<InputFile> {
        InputFile::of(path, open(path).map_err(|error| Error::unreadable(path, error))?)
    }

    pub(super) fn of(path: &Path, file: File) -> Result<InputFile> {
        let metadata = file.metadata().map_err(|e| Error::unreadable(path, e))?;
        let kind = metadata.file_type();
        let len = if kind.is_file() {
            metadata.len()
        } else if kind.is_block_device() {
            use std::io::Seek;
            (&file).seek(std::io::SeekFrom::End(0)).map_err(|e| Error::unreadable(path, e))?
        } else if kind.is_dir() {
            return Err(Error::unreadable(path, Cause::Directory { database: None }));
        } else {
            return Err(Error::unreadable(path, Cause::NotAFile));
        };
        Ok(InputFile {
            opened: Stamp::of(&metadata),
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
        self.file().and_then(|file| file.read_exact_at(buf, offset)).map_err(|error| {
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
            let _ = rustix::fs::fadvise(file, 0, None, Advice::Sequential);
        }
    }

    pub(super) fn is_cached(&self, offset: u64) -> bool {
        let mut byte = [0];
        let Ok(file) = self.file() else { return true };
        let read = rustix::io::preadv2(
            &*file,
            &mut [io::IoSliceMut::new(&mut byte)],
            offset,
            rustix::io::ReadWriteFlags::NOWAIT,
        );
        read != Err(rustix::io::Errno::AGAIN)
    }

    pub(super) fn flock(&self) -> Lock {
        // Looking would give up the lock that this process has, and no etcd has one.
        if dest::is_ours(self.opened.device, self.opened.inode) {
            return Lock::Free;
        }
        let Ok(file) = self.file() else { return Lock::Unknown };
        match file.try_lock_shared() {
            Ok(()) => {
                let _ = file.unlock();
                Lock::Free
            }
            Err(std::fs::TryLockError::WouldBlock) => Lock::Held,
            Err(std::fs::TryLockError::Error(_)) => Lock::Unknown,
        }
    }

    pub(super) fn ofd_lock(&self) -> Lock {
        self.locked_against(rustix::process::FlockType::ReadLock)
    }

    pub(super) fn record_lock(&self) -> Lock {
        self.locked_against(rustix::process::FlockType::WriteLock)
    }

    fn locked_against(&self, kind: rustix::process::FlockType) -> Lock {
        let wanted = rustix::process::Flock::from(kind);
        let Ok(file) = self.file() else { return Lock::Unknown };
        match rustix::process::fcntl_getlk(&*file, &wanted) {
            Ok(None) => Lock::Free,
            Ok(Some(_)) => Lock::Held,
            Err(_) => Lock::Unknown,
        }
    }

    pub(super) fn stamp(&self) -> Option<Stamp> {
        self.file().and_then(|file| file.metadata()).ok().as_ref().map(Stamp::of)
    }
}

fn open(path: &Path) -> io::Result<File> {
    // O_NONBLOCK so that a FIFO does not hang; O_NOATIME leaves no trace, where the owner allows it.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let fd = rustix::fs::open(path, flags | OFlags::NOATIME, Mode::empty())
        .or_else(|_| rustix::fs::open(path, flags, Mode::empty()))?;
    Ok(File::from(fd))
}
