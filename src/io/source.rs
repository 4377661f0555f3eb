//! A read-only input: a regular file, a block device, bytes in memory, a file that is mapped into memory, any of
//! these with other bytes over parts of it, or what a closed file holds.
//!
//! Files are read with `pread`, unless who opens them asks for a map: a file that shrinks or a bad sector under a
//! mapping arrives as a signal that kills the process, under `pread` it is an error with an offset.

use std::path::{Path, PathBuf};
use std::sync::Arc;

#[cfg(feature = "age")]
use super::closed::{FileSecret, Opened};
#[cfg(feature = "fs")]
use super::file::InputFile;
#[cfg(feature = "mmap")]
use super::map::{self, Map};
#[cfg(not(feature = "fs"))]
use super::no_file::InputFile;
use super::overlay::{Piece, Spans};
#[cfg(feature = "packed")]
use super::packed::Around;
#[cfg(feature = "packed")]
use super::pieces::{Piece as InParts, Pieces};
pub use super::state::{Lock, Stamp};
use crate::codec::{slice_at, to_u64, to_usize};
use crate::words::cause::Cause;
use crate::words::error::{At, Corrupt, Error, Result, show};
use crate::words::finding::{Code, Finding};
use crate::words::monitor::Monitor;

/// An input, opened read-only. A clone reads the same open file or the same bytes.
#[derive(Debug, Clone)]
pub struct Source {
    path: PathBuf,
    inner: Inner,
    len: u64,
}

#[derive(Debug, Clone)]
enum Inner {
    File(Arc<InputFile>),
    Memory(Arc<Vec<u8>>),
    #[cfg(feature = "mmap")]
    Map(Arc<Map>),
    Overlaid(Arc<(Source, Spans)>),
    #[cfg(feature = "age")]
    Opened(Arc<Opened>),
    #[cfg(feature = "packed")]
    Inside(Arc<InFile>),
    #[cfg(feature = "packed")]
    Pieced(Arc<(Source, Pieces)>),
}

/// Bytes that are in a file, which may be packed.
#[cfg(feature = "packed")]
#[derive(Debug)]
struct InFile {
    content: Source,
    /// Where they begin in the content.
    from: u64,
    /// The file; none if it came through a pipe.
    file: Option<Source>,
    /// What is around the content, from the outermost file on.
    around: Vec<Around>,
}

impl Source {
    /// Opens a file for reading, and never waits for one: a FIFO or a directory is an error. It is read with `pread`,
    /// unless [`map_all_files`](super::map_all_files) was called or it is a memory file that is sealed for good.
    ///
    /// It is opened as it is, whatever is packed in it ([`tree::open`](super::tree::open)).
    ///
    /// # Errors
    /// [`Error::Unreadable`] with what the operating system said, or what the path is instead; always, in a build
    /// without the feature `fs`.
    pub fn open(path: &Path) -> Result<Source> {
        let file = InputFile::open(path)?;
        #[cfg(feature = "mmap")]
        if map::all_files() {
            return Source::mapped(path, file);
        }
        Ok(Source::of(path, file))
    }

    /// Opens files that belong together. Of more than a few none stays open: each is opened again when it is read, so
    /// that their number is no matter.
    ///
    /// # Errors
    /// As [`Source::open`].
    pub fn open_all<P: AsRef<Path>>(paths: &[P]) -> Result<Vec<Source>> {
        #[cfg(feature = "fs")]
        if paths.len() > 64 {
            return paths.iter().map(|path| Source::open_again(path.as_ref())).collect();
        }
        paths.iter().map(|path| Source::open(path.as_ref())).collect()
    }

    #[cfg(feature = "fs")]
    fn open_again(path: &Path) -> Result<Source> {
        let file = InputFile::open(path)?.closed(path);
        let len = file.len();
        Ok(Source { path: path.to_path_buf(), inner: Inner::File(Arc::new(file)), len })
    }

    /// An already open file, which must be a regular file or a block device.
    ///
    /// # Errors
    /// [`Error::Unreadable`] for a directory, pipe, socket or terminal.
    #[cfg(feature = "fs")]
    pub fn from_file(path: &Path, file: std::fs::File) -> Result<Source> {
        Ok(Source::of(path, InputFile::of(path, file)?))
    }

    /// Opens a file as [`Source::open`] does and maps it into memory, if it is a regular one.
    ///
    /// # What the caller promises
    /// **Nobody writes to the file or shortens it while there is a `Source` of it, and the disk below has no bad
    /// sector in it.** A read past the end of a file that was shortened, or of a sector that cannot be read, ends
    /// the whole process with SIGBUS: no error, no finding. Bytes that change while they are looked at are worse, as
    /// Rust takes what a slice holds to be constant. The promise cannot be checked, which is why `pread` is the
    /// default and this is a feature (`mmap`) of its own. Locks do not help: etcd's are advisory.
    ///
    /// It holds for a file that only this process can reach, and where whoever starts the program says so.
    ///
    /// # Errors
    /// As [`Source::open`], and when the system cannot map it.
    #[cfg(feature = "mmap")]
    pub fn open_mapped(path: &Path) -> Result<Source> {
        Source::mapped(path, InputFile::open(path)?)
    }

    /// An already open file, mapped into memory if it is a regular one; the promise is that of
    /// [`Source::open_mapped`].
    ///
    /// # Errors
    /// As [`Source::from_file`], and when the system cannot map it.
    #[cfg(feature = "mmap")]
    pub fn map(path: &Path, file: std::fs::File) -> Result<Source> {
        Source::mapped(path, InputFile::of(path, file)?)
    }

    #[cfg(feature = "mmap")]
    fn mapped(path: &Path, file: InputFile) -> Result<Source> {
        if !file.is_regular {
            return Ok(Source::of(path, file));
        }
        let len = file.len();
        let map = Map::of(file);
        let map = map.map_err(|(_, e)| Error::unreadable(path, Cause::Unmappable(e)))?;
        Ok(Source { path: path.to_path_buf(), inner: Inner::Map(Arc::new(map)), len })
    }

    fn of(path: &Path, file: InputFile) -> Source {
        let (path, len) = (path.to_path_buf(), file.len());
        #[cfg(feature = "mmap")]
        let file =
            match if map::is_constant(&file) { Map::of(file).map_err(|(file, _)| file) } else { Err(file) } {
                Ok(map) => return Source { path, inner: Inner::Map(Arc::new(map)), len },
                Err(file) => file,
            };
        Source { path, inner: Inner::File(Arc::new(file)), len }
    }

    /// Bytes in memory, under a name for messages.
    #[must_use]
    pub fn from_bytes(name: impl Into<PathBuf>, bytes: Vec<u8>) -> Source {
        let len = to_u64(bytes.len());
        Source { path: name.into(), inner: Inner::Memory(Arc::new(bytes)), len }
    }

    /// What is in a file that was just closed, by its own key. The name is for messages.
    ///
    /// # Errors
    /// [`Error::Damaged`] when it is not the file whose key this is.
    #[cfg(feature = "age")]
    pub fn of_closed(name: &Path, file: std::fs::File, secret: &FileSecret) -> Result<Source> {
        let (opened, len) = Opened::new(file, secret).map_err(|c| Error::damaged(name, c))?;
        Ok(Source { path: name.to_path_buf(), inner: Inner::Opened(Arc::new(opened)), len })
    }

    /// The same source with `spans` over it, `len` bytes long. The spans stay in memory; the file is only read. What
    /// lies past its end and under no span cannot be read.
    #[must_use]
    pub fn overlaid(&self, spans: Spans, len: u64) -> Source {
        Source { path: self.path.clone(), inner: Inner::Overlaid(Arc::new((self.clone(), spans))), len }
    }

    /// `len` of its bytes, from one on: what lies in it there.
    #[cfg(feature = "packed")]
    pub(super) fn part(&self, from: u64, len: u64) -> Source {
        let part = InFile { content: self.clone(), from, file: None, around: Vec::new() };
        Source { path: self.path.clone(), inner: Inner::Inside(Arc::new(part)), len }
    }

    /// A file of so many bytes that lies in pieces of this.
    #[cfg(feature = "packed")]
    pub(super) fn in_pieces(&self, pieces: Pieces, len: u64) -> Source {
        Source { path: self.path.clone(), inner: Inner::Pieced(Arc::new((self.clone(), pieces))), len }
    }

    /// These parts of it, each from a place on and so long, one behind the other.
    #[cfg(feature = "packed")]
    pub(crate) fn of_parts(&self, parts: impl Iterator<Item = (u64, u64)>) -> Source {
        let (mut pieces, mut at) = (Vec::<InParts>::new(), 0u64);
        for (from, len) in parts {
            match pieces.last_mut() {
                Some(last) if last.from.saturating_add(last.len) == from => {
                    last.len = last.len.saturating_add(len)
                }
                _ => pieces.push(InParts { at, len, from }),
            }
            at = at.saturating_add(len);
        }
        self.in_pieces(Pieces(pieces), at)
    }

    /// The same bytes under a name, which are in a file and have this around them there.
    #[cfg(feature = "packed")]
    pub(super) fn inside(&self, name: &Path, file: Option<&Source>, around: &Around) -> Source {
        let mut all = file.map(|file| file.around().to_vec()).unwrap_or_default();
        all.push(around.clone());
        let content = InFile { content: self.clone(), from: 0, file: file.cloned(), around: all };
        Source { path: name.to_path_buf(), inner: Inner::Inside(Arc::new(content)), len: self.len }
    }

    /// What was around it, from the outermost file on; nothing, for what was not packed.
    #[cfg(feature = "packed")]
    #[must_use]
    pub fn around(&self) -> &[Around] {
        match &self.inner {
            Inner::Inside(inside) => &inside.around,
            Inner::Overlaid(overlaid) => overlaid.0.around(),
            _ => &[],
        }
    }

    /// What was around it in words, if it was packed.
    #[must_use]
    pub fn packed(&self) -> Option<String> {
        #[cfg(feature = "packed")]
        if let [outer, inner @ ..] = self.around() {
            return Some(
                inner.iter().fold(outer.to_string(), |told, inner| format!("{told}; in that {inner}")),
            );
        }
        None
    }

    /// The file that it is in, if it was packed in one that can be read again.
    #[must_use]
    pub fn outer(&self) -> Option<&Source> {
        match &self.inner {
            #[cfg(feature = "packed")]
            Inner::Inside(inside) => inside.file.as_ref(),
            Inner::Overlaid(overlaid) => overlaid.0.outer(),
            _ => None,
        }
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

    /// All of its bytes, where they are in memory as one: bytes in memory, or a map.
    #[must_use]
    pub fn as_slice(&self) -> Option<&[u8]> {
        match &self.inner {
            Inner::Memory(bytes) => Some(bytes),
            #[cfg(feature = "mmap")]
            Inner::Map(map) => Some(map.bytes()),
            Inner::File(_) | Inner::Overlaid(_) => None,
            #[cfg(feature = "age")]
            Inner::Opened(_) => None,
            #[cfg(feature = "packed")]
            Inner::Inside(inside) => inside.content.slice(inside.from, to_usize(self.len)),
            #[cfg(feature = "packed")]
            Inner::Pieced(_) => None,
        }
    }

    /// The `len` bytes at `offset`, where they are in memory as one and need not be copied.
    #[must_use]
    pub fn slice(&self, offset: u64, len: usize) -> Option<&[u8]> {
        match &self.inner {
            Inner::File(_) => None,
            Inner::Overlaid(overlaid) => {
                let (base, spans) = &**overlaid;
                let range = offset..offset.saturating_add(to_u64(len));
                if spans.touch(range) { spans.slice(offset, len) } else { base.slice(offset, len) }
            }
            #[cfg(feature = "packed")]
            Inner::Inside(inside) if offset.saturating_add(to_u64(len)) <= self.len => {
                inside.content.slice(inside.from.saturating_add(offset), len)
            }
            _ => slice_at(self.as_slice()?, usize::try_from(offset).ok()?, len),
        }
    }

    /// Fills `buf` from `offset` on.
    ///
    /// # Errors
    /// `unreadable`, at the offset where reading stopped: past the end, a bad sector, a file that shrank.
    pub fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), Box<Corrupt>> {
        match &self.inner {
            Inner::File(file) => file.read_exact_at(offset, buf),
            Inner::Overlaid(overlaid) => read_overlaid(&overlaid.0, &overlaid.1, offset, buf),
            #[cfg(feature = "age")]
            Inner::Opened(opened) => opened.read_exact_at(offset, buf),
            #[cfg(feature = "packed")]
            Inner::Inside(inside) if offset.saturating_add(to_u64(buf.len())) <= self.len => {
                inside.content.read_exact_at(inside.from.saturating_add(offset), buf)
            }
            #[cfg(feature = "packed")]
            Inner::Pieced(pieced) if offset.saturating_add(to_u64(buf.len())) <= self.len => {
                buf.fill(0);
                for (range, from) in pieced.1.reads(offset, buf.len()) {
                    pieced.0.read_exact_at(from, buf.get_mut(range).unwrap_or_default())?;
                }
                Ok(())
            }
            _ => {
                let Some(from) = self.slice(offset, buf.len()) else {
                    let what = format!("{} bytes wanted here, but there are only {}", buf.len(), self.len);
                    return Err(Corrupt::new(Code::Unreadable, At::offset(offset), what));
                };
                buf.copy_from_slice(from);
                Ok(())
            }
        }
    }

    /// The first `at_most` bytes, or all there are.
    ///
    /// # Errors
    /// As [`Source::read_exact_at`].
    pub fn head(&self, at_most: usize) -> Result<Vec<u8>, Box<Corrupt>> {
        let mut head = vec![0; at_most.min(to_usize(self.len))];
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
        self.head(to_usize(self.len))
    }

    /// The file that is read, if one is.
    fn file(&self) -> Option<&InputFile> {
        match &self.inner {
            Inner::File(file) => Some(file),
            Inner::Memory(_) => None,
            #[cfg(feature = "mmap")]
            Inner::Map(map) => Some(map.file()),
            Inner::Overlaid(overlaid) => overlaid.0.file(),
            #[cfg(feature = "age")]
            Inner::Opened(_) => None,
            #[cfg(feature = "packed")]
            Inner::Inside(inside) => inside.file.as_ref()?.file(),
            #[cfg(feature = "packed")]
            Inner::Pieced(pieced) => pieced.0.file(),
        }
    }

    /// Tells the kernel that the whole file will be read from front to back.
    pub fn advise_sequential(&self) {
        #[cfg(feature = "packed")]
        if let Inner::Inside(inside) = &self.inner {
            return inside.content.advise_sequential();
        }
        if let Some(file) = self.file() {
            file.advise_sequential();
        }
    }

    /// Whether the kernel holds the byte at `offset` in memory; `true` where it does not tell.
    #[must_use]
    pub fn is_cached(&self, offset: u64) -> bool {
        match &self.inner {
            Inner::Overlaid(overlaid) => {
                let (base, spans) = &**overlaid;
                spans.slice(offset, 1).is_some() || base.is_cached(offset)
            }
            #[cfg(feature = "packed")]
            Inner::Inside(inside) => inside.content.is_cached(inside.from.saturating_add(offset)),
            #[cfg(feature = "packed")]
            Inner::Pieced(pieced) => {
                pieced.1.reads(offset, 1).next().is_none_or(|(_, from)| pieced.0.is_cached(from))
            }
            _ => self.file().is_none_or(|file| file.is_cached(offset)),
        }
    }

    /// Tests bbolt's lock (`flock`), without waiting and without keeping it.
    #[must_use]
    pub fn flock(&self) -> Lock {
        self.file().map_or(Lock::Free, InputFile::flock)
    }

    /// Tests the lock etcd takes on WAL segments (open file description locks), without taking it.
    #[must_use]
    pub fn ofd_lock(&self) -> Lock {
        self.file().map_or(Lock::Free, InputFile::ofd_lock)
    }

    /// Tests the locks of SQLite, of which each open connection has one, without taking it.
    #[must_use]
    pub fn record_lock(&self) -> Lock {
        self.file().map_or(Lock::Free, InputFile::record_lock)
    }

    /// The state of the file now; `None` for bytes in memory.
    #[must_use]
    pub fn stamp(&self) -> Option<Stamp> {
        self.file()?.stamp()
    }

    /// What has changed about the file since it was opened, in words.
    #[must_use]
    pub fn changed(&self) -> Option<String> {
        let (then, now) = (self.file()?.opened(), self.stamp());
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
    pub fn unchanged_or_error<T>(&self, monitor: &dyn Monitor, answer: Result<T>) -> Result<T> {
        let Some(what) = self.changed() else { return answer };
        if answer.is_ok() {
            return Err(Error::unreadable(&self.path, Cause::changed(what)));
        }
        monitor.finding(Finding::new(Code::InUse, &self.name(), At::default(), what));
        answer
    }
}

fn read_overlaid(base: &Source, spans: &Spans, offset: u64, buf: &mut [u8]) -> Result<(), Box<Corrupt>> {
    let range = offset..offset.saturating_add(to_u64(buf.len()));
    let mut rest = buf;
    for piece in spans.pieces(range) {
        let len = match &piece {
            Piece::Span(bytes) => bytes.len(),
            Piece::Base(range) => to_usize(range.end.saturating_sub(range.start)),
        };
        let Some((part, after)) = std::mem::take(&mut rest).split_at_mut_checked(len) else { break };
        match piece {
            Piece::Span(bytes) => part.copy_from_slice(bytes),
            Piece::Base(range) => base.read_exact_at(range.start, part)?,
        }
        rest = after;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
