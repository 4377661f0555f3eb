//! zip: what it holds is unpacked when it is opened, and the last of it kept.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use zip::ZipArchive;
use zip::result::ZipError;

use super::index::{Index, Node};
use super::keep::{Bound, keep, unpacked};
use super::limits::Limits;
use super::stream::{Watch, refused};
use crate::codec::{array_at, to_u64};
use crate::io::Source;
use crate::io::reader::SourceReader;
use crate::words::cause::Cause;
use crate::words::corrupt::{At, Corrupt};
use crate::words::error::{Error, Result};
use crate::words::finding::Code;
use crate::words::hint::Hint;

/// Files that stay unpacked: those of a data directory.
const KEPT: usize = 16;
/// The record at the end of an archive, and the longest comment behind it.
const END: usize = 22;
const COMMENT: u64 = 1 << 16;

#[derive(Debug)]
pub(super) struct Zip {
    archive: Mutex<ZipArchive<SourceReader>>,
    pub index: Index,
    /// The last files that were unpacked, by their numbers.
    opened: Mutex<VecDeque<(usize, Source)>>,
}

impl Zip {
    /// Lists an archive.
    ///
    /// # Errors
    /// [`Error::Damaged`] when its directory cannot be read.
    pub fn new(source: &Source) -> Result<Zip> {
        let name = source.path();
        if files(source) == Some(u16::MAX) {
            let what =
                format!("holds more than {} files, and that many are the most that are looked at", u16::MAX);
            return Err(Error::unreadable(name, Cause::Content(what)));
        }
        let listing = |error| failed(name, error, "its list of files");
        let mut archive = ZipArchive::new(SourceReader::new(source, 0)).map_err(listing)?;
        // No program packs so but to have little unpack to anything.
        if archive.has_overlapping_entries().map_err(listing)? {
            let what = "the zip archive says of some bytes that they are of several of its files";
            return Err(Error::damaged(name, Corrupt::new(Code::PackedDamaged, At::default(), what)));
        }
        let mut index = Index::default();
        let (mut together, most) = (0_u64, Limits::now().most);
        for number in 0..archive.len() {
            let file = archive.by_index_data(number).map_err(listing)?;
            together = together.saturating_add(file.size());
            if together > most {
                let told = format!("its files are more than {most} bytes together: nothing of it is read");
                return Err(Error::unreadable(name, Cause::Lacks { told, hint: Some(Hint::MaxUnpacked) }));
            }
            let node = if file.is_dir() {
                Node::Dir
            } else if file.is_symlink() {
                Node::Other
            } else {
                Node::File { len: file.size(), number }
            };
            let full = index.add(file.name_raw(), node);
            full.map_err(|what| Error::unreadable(name, Cause::Content(what)))?;
        }
        Ok(Zip { archive: Mutex::new(archive), index, opened: Mutex::default() })
    }

    /// A file of it. Its checksum is right, and it is as long as the archive says.
    pub fn open(&self, number: usize, len: u64, name: &Path) -> Result<Source> {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, source)) = opened.iter().find(|(other, _)| *other == number) {
            return Ok(source.clone());
        }
        drop(opened);
        let mut archive = self.archive.lock().unwrap_or_else(PoisonError::into_inner);
        let mut file = archive.by_index(number).map_err(|error| failed(name, error, "it"))?;
        let watch = Watch::of(file.compressed_size());
        let bound = Bound { limits: Limits::now(), known: None, packed: &watch };
        let kept = keep(name, Vec::new(), Checked(&mut file), &bound)?;
        if kept.len() != len {
            let what = format!("the zip archive is damaged: {} bytes are here, {len} are due", kept.len());
            return Err(Error::damaged(name, Corrupt::new(Code::PackedDamaged, At::default(), what)));
        }
        drop(file);
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.push_front((number, kept.clone()));
        // An archive may hold any number of them.
        opened.truncate(KEPT);
        Ok(kept)
    }

    /// The first bytes of a file, at most so many.
    pub fn front(&self, number: usize, most: usize, name: &Path) -> Result<Vec<u8>> {
        let mut archive = self.archive.lock().unwrap_or_else(PoisonError::into_inner);
        let mut front = Vec::new();
        let file = archive.by_index(number).map_err(|error| failed(name, error, "it"))?;
        // What is wrong behind its front is told when it is opened.
        let read = Checked(file).take(to_u64(most)).read_to_end(&mut front);
        read.map(|_| front).map_err(|error| unpacked(name, error))
    }
}

/// How many files an archive says that it has; the highest number stands for all that are more.
fn files(source: &Source) -> Option<u16> {
    let tail = to_u64(END).saturating_add(COMMENT).min(source.len());
    let mut end = vec![0; crate::codec::to_usize(tail)];
    source.read_exact_at(source.len().saturating_sub(tail), &mut end).ok()?;
    let at = end.windows(4).rposition(|magic| magic == b"PK\x05\x06")?;
    array_at(&end, at.checked_add(10)?).map(u16::from_le_bytes)
}

/// What is wrong with what is unpacked is damage of the archive.
struct Checked<R>(R);

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf).map_err(|error| {
            if error.kind() == io::ErrorKind::Interrupted
                || error.get_ref().is_some_and(|inner| inner.is::<Box<Corrupt>>())
            {
                return error;
            }
            let what = format!("the zip archive is damaged: {error}");
            io::Error::other(Corrupt::new(Code::PackedDamaged, At::default(), what))
        })
    }
}

fn failed(name: &Path, error: ZipError, what: &str) -> Error {
    match error {
        ZipError::Io(error)
            if error.raw_os_error().is_some()
                || error.get_ref().is_some_and(|inner| inner.is::<Box<Corrupt>>()) =>
        {
            unpacked(name, error)
        }
        ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) => unpacked(
            name,
            refused("is encrypted in the zip archive: unpack it with its password first".to_owned()),
        ),
        ZipError::CompressionMethodNotSupported(method) => unpacked(
            name,
            refused(format!(
                "is compressed by method {method} of zip, and only 0 (stored) and 8 (deflate) are read: unpack it first"
            )),
        ),
        ZipError::UnsupportedArchive(why) => {
            unpacked(name, refused(format!("is a zip archive of a kind that is not read: {why}")))
        }
        other => {
            let what = format!("the zip archive is damaged or cut off: {what} cannot be read: {other}");
            Error::damaged(name, Corrupt::new(Code::PackedDamaged, At::default(), what))
        }
    }
}
