//! A file that is open for reading (feature `fs`): the only place that opens inputs.
//!
//! It is read with `pread` into buffers of ours: what shrinks under us or has a bad sector is an error with an
//! offset then.

use std::fs::File;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::Path;

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
    file: File,
    /// Bytes, when it was opened.
    len: u64,
    /// Its state then.
    opened: Stamp,
    #[cfg_attr(not(feature = "mmap"), expect(dead_code, reason = "only such are mapped"))]
    pub(super) is_regular: bool,
}

impl InputFile {
    pub(super) fn open(path: &Path) -> Result<InputFile> {
        // O_NONBLOCK so that a FIFO does not hang; O_NOATIME leaves no trace, where the owner allows it.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let fd = rustix::fs::open(path, flags | OFlags::NOATIME, Mode::empty())
            .or_else(|_| rustix::fs::open(path, flags, Mode::empty()))
            .map_err(|errno| Error::unreadable(path, std::io::Error::from(errno)))?;
        InputFile::of(path, File::from(fd))
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
        Ok(InputFile { opened: stamp(&metadata), is_regular: kind.is_file(), file, len })
    }

    #[cfg(feature = "mmap")]
    pub(super) fn handle(&self) -> &File {
        &self.file
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn opened(&self) -> Stamp {
        self.opened
    }

    pub(super) fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), Box<Corrupt>> {
        let wanted = to_u64(buf.len());
        self.file.read_exact_at(buf, offset).map_err(|error| {
            let what = if error.kind() == std::io::ErrorKind::UnexpectedEof {
                let now = self.file.metadata().map_or(0, |m| m.len());
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
        let _ = rustix::fs::fadvise(&self.file, 0, None, Advice::Sequential);
    }

    pub(super) fn is_cached(&self, offset: u64) -> bool {
        let mut byte = [0];
        let read = rustix::io::preadv2(
            &self.file,
            &mut [std::io::IoSliceMut::new(&mut byte)],
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
        match self.file.try_lock_shared() {
            Ok(()) => {
                let _ = self.file.unlock();
                Lock::Free
            }
            Err(std::fs::TryLockError::WouldBlock) => Lock::Held,
            Err(std::fs::TryLockError::Error(_)) => Lock::Unknown,
        }
    }

    pub(super) fn ofd_lock(&self) -> Lock {
        let wanted = rustix::process::Flock::from(rustix::process::FlockType::ReadLock);
        match rustix::process::fcntl_getlk(&self.file, &wanted) {
            Ok(None) => Lock::Free,
            Ok(Some(_)) => Lock::Held,
            Err(_) => Lock::Unknown,
        }
    }

    pub(super) fn stamp(&self) -> Option<Stamp> {
        self.file.metadata().ok().as_ref().map(stamp)
    }
}

fn stamp(m: &std::fs::Metadata) -> Stamp {
    Stamp { device: m.dev(), inode: m.ino(), len: m.len(), modified: (m.mtime(), m.mtime_nsec()) }
}
