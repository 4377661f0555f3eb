//! A read-only input: a regular file, a block device, bytes in memory, or a file with bytes in memory over parts of it.
//!
//! Files are read with `pread` into buffers of ours, never mapped: a file that shrinks or a bad sector under a
//! mapping arrives as a signal that kills the process, under `pread` it is an error with an offset.

use std::fs::File;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, Mode, OFlags};

use crate::codec::to_u64;
use crate::words::cause::Cause;
use crate::words::error::{At, Corrupt, Error, Result, show};
use crate::words::finding::{Code, Finding};
use crate::words::monitor::Monitor;
use crate::words::refusal::Refusal;

/// An input, opened read-only.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    inner: Inner,
    len: u64,
    /// Its state when it was opened.
    opened: Option<Stamp>,
}

#[derive(Debug)]
enum Inner {
    File(File),
    Memory(Vec<u8>),
    Overlaid(Box<Overlaid>),
}

/// A source with other bytes over its beginning, and others from some place on.
#[derive(Debug)]
struct Overlaid {
    base: Source,
    head: Vec<u8>,
    tail_at: u64,
    tail: Vec<u8>,
}

impl Overlaid {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), Box<Corrupt>> {
        let until = |end: u64| crate::codec::to_usize(end.saturating_sub(offset));
        let (head, rest) = buf.split_at_mut(until(to_u64(self.head.len())).min(buf.len()));
        let (base, tail) = rest.split_at_mut(until(self.tail_at).saturating_sub(head.len()).min(rest.len()));
        if !head.is_empty() {
            copy_at(&self.head, offset, head)?;
        }
        let from_base = offset.saturating_add(to_u64(head.len()));
        if !base.is_empty() {
            self.base.read_exact_at(from_base, base)?;
        }
        if tail.is_empty() {
            return Ok(());
        }
        let from_tail = from_base.saturating_add(to_u64(base.len()));
        copy_at(&self.tail, from_tail.saturating_sub(self.tail_at), tail)
    }
}

fn copy_at(bytes: &[u8], offset: u64, buf: &mut [u8]) -> Result<(), Box<Corrupt>> {
    let Some(from) = usize::try_from(offset).ok().and_then(|o| crate::codec::slice_at(bytes, o, buf.len()))
    else {
        let what = format!("{} bytes wanted here, but there are only {}", buf.len(), bytes.len());
        return Err(Corrupt::new(Code::Unreadable, At::offset(offset), what));
    };
    buf.copy_from_slice(from);
    Ok(())
}

/// Whether some process holds a file's lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Lock {
    /// Nobody holds it.
    Free,
    /// A process holds it: etcd is running on this file.
    Held,
    /// The file system does not tell.
    Unknown,
}

/// What identifies one state of a file: if it differs afterwards, the file changed under us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    /// Length in bytes.
    pub len: u64,
    /// Modification time: seconds since 1970 and nanoseconds.
    pub modified: (i64, i64),
}

impl Source {
    /// Opens a file for reading, and never waits for one: a FIFO or a directory is an error.
    ///
    /// # Errors
    /// [`Error::Unreadable`] with what the operating system said, or what the path is instead.
    pub fn open(path: &Path) -> Result<Source> {
        // O_NONBLOCK so that a FIFO does not hang; O_NOATIME leaves no trace, where the owner allows it.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let fd = rustix::fs::open(path, flags | OFlags::NOATIME, Mode::empty())
            .or_else(|_| rustix::fs::open(path, flags, Mode::empty()))
            .map_err(|errno| Error::unreadable(path, std::io::Error::from(errno)))?;
        Source::from_file(path, File::from(fd))
    }

    /// An already open file, which must be a regular file or a block device.
    ///
    /// # Errors
    /// [`Error::Unreadable`] for a directory, pipe, socket or terminal.
    pub fn from_file(path: &Path, file: File) -> Result<Source> {
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
        let opened = Some(Stamp::of(&metadata));
        Ok(Source { path: path.to_path_buf(), inner: Inner::File(file), len, opened })
    }

    /// Bytes in memory, under a name for messages.
    #[must_use]
    pub fn from_bytes(name: impl Into<PathBuf>, bytes: Vec<u8>) -> Source {
        let len = to_u64(bytes.len());
        Source { path: name.into(), inner: Inner::Memory(bytes), len, opened: None }
    }

    /// The same source with `head` over its beginning and, from `tail_at` on, `tail` and its end. Both stay in
    /// memory; the file is only read.
    ///
    /// # Errors
    /// [`Error::Unreadable`] when the operating system has no more file handles.
    pub fn overlaid(&self, head: Vec<u8>, tail_at: u64, tail: Vec<u8>) -> Result<Source> {
        let inner = match &self.inner {
            Inner::File(file) => Inner::File(file.try_clone().map_err(|e| Error::unreadable(&self.path, e))?),
            Inner::Memory(bytes) => Inner::Memory(bytes.clone()),
            Inner::Overlaid(_) => {
                return Err(Refusal::Overlaid { file: self.name() }.into());
            }
        };
        let (path, opened) = (self.path.clone(), self.opened);
        let base = Source { path: path.clone(), inner, len: self.len, opened };
        let len = tail_at.saturating_add(to_u64(tail.len()));
        Ok(Source {
            path,
            inner: Inner::Overlaid(Box::new(Overlaid { base, head, tail_at, tail })),
            len,
            opened,
        })
    }

    /// The path it was opened by.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path, printable.
    #[must_use]
    pub fn name(&self) -> String {
        show(&self.path)
    }

    /// Length in bytes when it was opened.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it had no bytes when it was opened.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Fills `buf` from `offset` on.
    ///
    /// # Errors
    /// `unreadable`, at the offset where reading stopped: past the end, a bad sector, a file that shrank.
    pub fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), Box<Corrupt>> {
        let wanted = to_u64(buf.len());
        match &self.inner {
            Inner::File(file) => file.read_exact_at(buf, offset).map_err(|error| {
                let what = if error.kind() == std::io::ErrorKind::UnexpectedEof {
                    let now = file.metadata().map_or(0, |m| m.len());
                    format!("{wanted} bytes wanted here, but the file ends at byte {now} (it had {} when it was opened)", self.len)
                } else {
                    format!("{wanted} bytes wanted here: {error}")
                };
                Corrupt::new(Code::Unreadable, At::offset(offset), what)
            }),
            Inner::Memory(bytes) => copy_at(bytes, offset, buf),
            Inner::Overlaid(overlaid) => overlaid.read_exact_at(offset, buf),
        }
    }

    /// The first `at_most` bytes, or all there are.
    ///
    /// # Errors
    /// As [`Source::read_exact_at`].
    pub fn head(&self, at_most: usize) -> Result<Vec<u8>, Box<Corrupt>> {
        let mut head = vec![0; at_most.min(crate::codec::to_usize(self.len))];
        self.read_exact_at(0, &mut head)?;
        Ok(head)
    }

    /// The whole content, if it is at most `limit` bytes.
    ///
    /// # Errors
    /// `unreadable` when it is longer or cannot be read.
    pub fn read_all(&self, limit: u64) -> Result<Vec<u8>, Box<Corrupt>> {
        if self.len > limit {
            let what = format!("{} bytes are more than such a file can have ({limit})", self.len);
            return Err(Corrupt::new(Code::Unreadable, At::default(), what));
        }
        self.head(crate::codec::to_usize(self.len))
    }

    /// The file that is read, if one is.
    fn file(&self) -> Option<&File> {
        match &self.inner {
            Inner::File(file) => Some(file),
            Inner::Memory(_) => None,
            Inner::Overlaid(overlaid) => overlaid.base.file(),
        }
    }

    /// Tells the kernel that the whole file will be read from front to back.
    pub fn advise_sequential(&self) {
        if let Some(file) = self.file() {
            let _ = rustix::fs::fadvise(file, 0, None, Advice::Sequential);
        }
    }

    /// Whether the kernel holds the byte at `offset` in memory; `true` where it does not tell.
    #[must_use]
    pub fn is_cached(&self, offset: u64) -> bool {
        let Some(file) = self.file() else { return true };
        if let Inner::Overlaid(overlaid) = &self.inner
            && offset >= overlaid.tail_at
        {
            return true;
        }
        let mut byte = [0];
        let read = rustix::io::preadv2(
            file,
            &mut [std::io::IoSliceMut::new(&mut byte)],
            offset,
            rustix::io::ReadWriteFlags::NOWAIT,
        );
        read != Err(rustix::io::Errno::AGAIN)
    }

    /// Tests bbolt's lock (`flock`), without waiting and without keeping it.
    #[must_use]
    pub fn flock(&self) -> Lock {
        let Some(file) = self.file() else { return Lock::Free };
        match file.try_lock_shared() {
            Ok(()) => {
                let _ = file.unlock();
                Lock::Free
            }
            Err(std::fs::TryLockError::WouldBlock) => Lock::Held,
            Err(std::fs::TryLockError::Error(_)) => Lock::Unknown,
        }
    }

    /// Tests the lock etcd takes on WAL segments (open file description locks), without taking it.
    #[must_use]
    pub fn ofd_lock(&self) -> Lock {
        let Some(file) = self.file() else { return Lock::Free };
        let wanted = rustix::process::Flock::from(rustix::process::FlockType::ReadLock);
        match rustix::process::fcntl_getlk(file, &wanted) {
            Ok(None) => Lock::Free,
            Ok(Some(_)) => Lock::Held,
            Err(_) => Lock::Unknown,
        }
    }

    /// The state of the file now; `None` for bytes in memory.
    #[must_use]
    pub fn stamp(&self) -> Option<Stamp> {
        let file = self.file()?;
        file.metadata().ok().as_ref().map(Stamp::of)
    }

    /// What has changed about the file since it was opened, in words.
    #[must_use]
    pub fn changed(&self) -> Option<String> {
        let (then, now) = (self.opened?, self.stamp());
        let what = match now {
            Some(now) if now == then => return None,
            Some(now) if now.len != then.len => format!("it had {} bytes, now it has {}", then.len, now.len),
            Some(now) => {
                let written = |(seconds, nanoseconds)| format!("{seconds}.{nanoseconds:09}");
                format!(
                    "it was last written at {}, now at {} (Unix time)",
                    written(then.modified),
                    written(now.modified)
                )
            }
            None => "the system does not tell its state any more".to_owned(),
        };
        Some(format!("changed while it was read: {what}; read a copy that nobody writes to"))
    }

    /// An answer that was read here, if the file is still as it was when it was opened. Where reading failed, the
    /// monitor hears why that may be.
    ///
    /// # Errors
    /// That of the answer, or [`Error::Unreadable`] with what has changed.
    pub fn steady<T>(&self, monitor: &dyn Monitor, answer: Result<T>) -> Result<T> {
        let Some(what) = self.changed() else { return answer };
        if answer.is_ok() {
            return Err(Error::unreadable(&self.path, Cause::changed(what)));
        }
        monitor.finding(Finding::new(Code::InUse, &self.name(), At::default(), what));
        answer
    }
}

impl Stamp {
    fn of(m: &std::fs::Metadata) -> Stamp {
        Stamp { device: m.dev(), inode: m.ino(), len: m.len(), modified: (m.mtime(), m.mtime_nsec()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_overlaid_is_read_as_one_wherever_a_read_begins_and_ends() {
        let base = Source::from_bytes("db", b"abcdefghij".to_vec());
        let source = base.overlaid(b"AB".to_vec(), 7, b"HIJKL".to_vec()).unwrap();
        let whole = b"ABcdefgHIJKL";
        assert_eq!(source.len(), 12);
        for from in 0..=12 {
            for to in from..=12 {
                let mut buf = vec![0; to - from];
                source.read_exact_at(from as u64, &mut buf).unwrap();
                assert_eq!(buf, &whole[from..to], "{from}..{to}");
            }
            assert!(source.read_exact_at(from as u64, &mut vec![0; 13 - from]).is_err());
        }
        // A base that ends before the tail begins: what is not there is not made up.
        let source = base.overlaid(Vec::new(), 12, b"xy".to_vec()).unwrap();
        assert!(source.read_exact_at(8, &mut [0; 4]).is_err());
    }
}
