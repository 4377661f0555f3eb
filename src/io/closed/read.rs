//! Opening what was closed.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Chain, Cursor, ErrorKind, Read, Seek, SeekFrom, Write};
use std::iter;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use age::stream::StreamReader;
use age::{DecryptError, Decryptor};
use age_core::format::{FileKey, Stanza};
use zeroize::Zeroizing;

use super::behind::Behind;
use super::keys::Identities;
use super::sum::{Sum, Summing};
use crate::codec::age::{ARMOR, AgeHeader, CHUNK, LONGEST_HEADER, MAGIC};
use crate::codec::{to_u64, to_usize};
use crate::io::os;
use crate::words::cause::{Cause, StaysClosed};
use crate::words::error::{At, Corrupt, Error, Result};
use crate::words::finding::Code;

/// The key of one file, by which it opens whoever its recipients are. It is overwritten when it is dropped.
pub struct FileSecret(Zeroizing<[u8; 16]>);

impl FileSecret {
    pub(super) fn new(key: [u8; 16]) -> FileSecret {
        FileSecret(Zeroizing::new(key))
    }
}

impl fmt::Debug for FileSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileSecret")
    }
}

impl age::Identity for FileSecret {
    fn unwrap_stanza(&self, _: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        Some(Ok(FileKey::new(Box::new(*self.0))))
    }
}

/// A place in a file that is read with `pread`.
struct Place {
    file: Arc<File>,
    at: u64,
}

impl Read for Place {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = os::read_at(&self.file, buf, self.at)?;
        self.at = self.at.saturating_add(to_u64(read));
        Ok(read)
    }
}

impl Seek for Place {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.file.metadata()?.len().checked_add_signed(by),
        };
        self.at = at.ok_or(ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

type Reader = StreamReader<BufReader<Place>>;

/// A closed file of which any part can be read, by several at once: each takes a reader that is idle, or makes one.
pub(crate) struct Opened {
    file: Arc<File>,
    secret: FileSecret,
    idle: Mutex<Vec<Reader>>,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Opened").field(&self.file).finish()
    }
}

impl Opened {
    /// A file that was just closed, with its own key, and how long what is in it is.
    pub fn new(file: File, secret: &FileSecret) -> Result<(Opened, u64), Box<Corrupt>> {
        let file = Arc::new(file);
        let mut front = Vec::new();
        let len = file.metadata().map(|metadata| metadata.len());
        let place = Place { file: Arc::clone(&file), at: 0 };
        let read = place.take(to_u64(LONGEST_HEADER)).read_to_end(&mut front).and(len);
        let len = AgeHeader::read(&front)?.content(read.map_err(|error| unopened(0, &error))?)?;
        let opened = Opened { file, secret: FileSecret(secret.0.clone()), idle: Mutex::new(Vec::new()) };
        // That it opens is told here, and not by the first who reads.
        let reader = opened.reader().map_err(|error| unopened(0, &error))?;
        opened.idle.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
        Ok((opened, len))
    }

    fn reader(&self) -> io::Result<Reader> {
        let place = BufReader::new(Place { file: Arc::clone(&self.file), at: 0 });
        let secret: &dyn age::Identity = &self.secret;
        let opened = Decryptor::new_buffered(place).and_then(|age| age.decrypt(iter::once(secret)));
        opened.map_err(|error| io::Error::new(ErrorKind::InvalidData, error.to_string()))
    }

    pub fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), Box<Corrupt>> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let read = || -> io::Result<Reader> {
            let mut reader = idle.map_or_else(|| self.reader(), Ok)?;
            reader.seek(SeekFrom::Start(offset))?;
            reader.read_exact(buf)?;
            Ok(reader)
        };
        let reader = read().map_err(|error| unopened(offset, &error))?;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
        Ok(())
    }
}

fn unopened(offset: u64, error: &io::Error) -> Box<Corrupt> {
    let what = format!("byte {offset} of the content cannot be had: {error}");
    Corrupt::new(Code::Unreadable, At::default(), what)
}

/// What is read through it is summed up behind it.
pub struct Summed<'r> {
    from: &'r mut dyn Read,
    sum: Behind<Summing>,
}

impl<'r> Summed<'r> {
    /// Of what `from` gives.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub fn new(from: &'r mut dyn Read) -> io::Result<Summed<'r>> {
        Ok(Summed { from, sum: Behind::new(Summing::default())? })
    }

    /// The sum of all that was read.
    ///
    /// # Errors
    /// None that is not a fault of this library.
    pub fn finish(self) -> io::Result<Sum> {
        self.sum.finish().map(Summing::sum)
    }
}

impl Read for Summed<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buf)?;
        self.sum.write_all(buf.get(..read).unwrap_or_default())?;
        Ok(read)
    }
}

/// The front of a file, which was read, and the rest of it.
type Whole<'r> = Chain<Cursor<Vec<u8>>, BufReader<&'r mut dyn Read>>;

/// A closed file that is opened from front to back.
pub struct Opening<'r> {
    name: &'r Path,
    reader: StreamReader<Whole<'r>>,
    header: AgeHeader,
    /// Bytes of content that were read.
    at: u64,
}

impl<'r> Opening<'r> {
    /// Begins to open what `from` gives, of so many bytes if that is known. The name is for messages.
    ///
    /// # Errors
    /// [`Error::Unreadable`] when it is no age file or none of the identities opens it, [`Error::Damaged`] when its
    /// header is.
    pub fn new(
        name: &'r Path,
        from: &'r mut dyn Read,
        len: Option<u64>,
        identities: &Identities,
    ) -> Result<Opening<'r>> {
        let mut front = Vec::new();
        let read = (&mut *from).take(to_u64(LONGEST_HEADER)).read_to_end(&mut front);
        read.map_err(|error| unread(name, error))?;
        let closed = |why| Error::unreadable(name, Cause::Closed(why));
        let damaged = |corrupt| Error::damaged(name, corrupt);
        if front.starts_with(ARMOR) {
            return Err(closed(StaysClosed::Armored));
        }
        if !front.starts_with(MAGIC) {
            return Err(closed(StaysClosed::NotAge));
        }
        let header = AgeHeader::read(&front).map_err(damaged)?;
        len.map_or(Ok(0), |len| header.content(len)).map_err(damaged)?;
        fits(&header, identities).map_err(closed)?;
        let each = identities.each();
        // Of what is as long as this the whole header is in the front, and is looked at once.
        let whole = Cursor::new(front).chain(BufReader::with_capacity(to_usize(CHUNK), from));
        let opened =
            Decryptor::new_buffered(whole).and_then(|age| age.decrypt(each.iter().map(|who| &**who)));
        let reader = opened.map_err(|error| match error {
            DecryptError::Io(error) if error.kind() != ErrorKind::UnexpectedEof => unread(name, error),
            DecryptError::Io(_) => damaged(cut_in_nonce(&header)),
            DecryptError::NoMatchingKeys => {
                closed(StaysClosed::NoKeyFits { recipients: header.recipients() })
            }
            DecryptError::KeyDecryptionFailed | DecryptError::DecryptionFailed if header.work.is_some() => {
                closed(StaysClosed::WrongPassphrase)
            }
            DecryptError::InvalidMac => {
                damaged(altered("a byte of the header was changed: its MAC is of another one"))
            }
            other => damaged(altered(&format!("the header does not open: {other}"))),
        })?;
        Ok(Opening { name, reader, header, at: 0 })
    }

    /// For whom it is closed.
    #[must_use]
    pub fn header(&self) -> &AgeHeader {
        &self.header
    }

    /// Bytes that come next, as many as there is room for; none at the end.
    ///
    /// # Errors
    /// [`Error::Unreadable`], [`Error::Damaged`] where a chunk does not open.
    pub fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        let read = self.reader.read(buf).map_err(|error| self.failed(error))?;
        self.at = self.at.saturating_add(to_u64(read));
        Ok(read)
    }

    fn failed(&self, error: io::Error) -> Error {
        // What age finds wrong has no cause of its own; what the input fails with is the system's, or one of ours.
        let ages = matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof);
        if !ages || error.raw_os_error().is_some() {
            return unread(self.name, error);
        }
        let (number, at) = self.header.chunk_of(self.at);
        let what = format!(
            "chunk {number} does not open: a byte of it was changed, it is of another place, or the file is cut there; \
             the {} bytes before it do",
            self.at
        );
        Error::damaged(self.name, Corrupt::new(Code::AgeChunk, At::offset(at), what))
    }
}

/// Whether it can be opened by such identities at all, and with how much work.
fn fits(header: &AgeHeader, identities: &Identities) -> Result<(), StaysClosed> {
    match (identities, header.work) {
        (Identities::Keys(_), Some(_)) => Err(StaysClosed::NeedsPassphrase),
        (Identities::Passphrase(..), None) => Err(StaysClosed::NeedsKey { recipients: header.recipients() }),
        (Identities::Passphrase(_, most), Some(work)) if work > u32::from(*most) => {
            Err(StaysClosed::TooMuchWork { work, most: u32::from(*most) })
        }
        _ => Ok(()),
    }
}

fn altered(what: &str) -> Box<Corrupt> {
    Corrupt::new(Code::AgeHeader, At::default(), what)
}

fn cut_in_nonce(header: &AgeHeader) -> Box<Corrupt> {
    let what = "the file ends behind its header, where the content begins";
    Corrupt::new(Code::AgeCut, At::offset(header.len), what)
}

/// The error of an input; what a [`Source`] says of itself stays that.
pub(crate) fn unread(name: &Path, error: io::Error) -> Error {
    match error.downcast::<Box<Corrupt>>() {
        Ok(corrupt) => Error::unreadable(name, corrupt),
        Err(error) => Error::unreadable(name, error),
    }
}
