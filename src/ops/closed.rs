//! `encrypt` and `decrypt`: any file closed with age, and one that was closed opened again. Both go through it from
//! front to back and keep a few pieces of it in memory.

use std::io::{self, Read, Write};
use std::path::Path;

use serde::Serialize;

use crate::codec::age::AgeHeader;
use crate::codec::{checksum, to_u64, to_usize};
use crate::io::Source;
use crate::io::closed::{Behind, Closing, Identities, Opening, Recipients, Sum, Summed, Summing, unread};
use crate::words::error::{Error, Result, show};
use crate::words::monitor::Monitor;

/// Bytes that are read at once.
const PIECE: usize = 1 << 20;

/// What is read: from front to back, and never twice.
pub enum Reading<'r> {
    /// A file, which is to stay as it is meanwhile.
    File(Source),
    /// A stream, and the name that it goes by.
    Stream(&'r Path, &'r mut (dyn Read + 'r)),
}

impl Reading<'_> {
    fn name(&self) -> &Path {
        match self {
            Reading::File(source) => source.path(),
            Reading::Stream(name, _) => name,
        }
    }

    fn len(&self) -> Option<u64> {
        match self {
            Reading::File(source) => Some(source.len()),
            Reading::Stream(..) => None,
        }
    }

    /// The work, and whether the file was left alone meanwhile.
    fn with<T>(
        self,
        monitor: &dyn Monitor,
        work: impl FnOnce(&Path, Option<u64>, &mut dyn Read) -> Result<T>,
    ) -> Result<T> {
        let (name, len) = (self.name().to_path_buf(), self.len());
        match self {
            Reading::Stream(_, stream) => work(&name, len, stream),
            Reading::File(source) => {
                source.advise_sequential();
                let mut front = FromStart { source: &source, at: 0 };
                let done = work(&name, len, &mut front);
                source.unchanged_or_error(monitor, done)
            }
        }
    }
}

/// A source from front to back.
struct FromStart<'s> {
    source: &'s Source,
    at: u64,
}

impl Read for FromStart<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = to_usize(self.source.len().saturating_sub(self.at)).min(buf.len());
        let Some(buf) = buf.get_mut(..len) else { return Ok(0) };
        self.source.read_exact_at(self.at, buf).map_err(io::Error::other)?;
        self.at = self.at.saturating_add(to_u64(len));
        Ok(len)
    }
}

/// A file, in the clear or closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileSum {
    /// Its length in bytes.
    pub bytes: u64,
    /// Its SHA-256, in hex.
    pub sha256: String,
}

impl From<Sum> for FileSum {
    fn from(sum: Sum) -> FileSum {
        FileSum { bytes: sum.bytes, sha256: checksum::hex(&sum.sha256) }
    }
}

/// What was closed or opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ClosedReport {
    /// What was read, as named.
    pub source: String,
    /// For whom it is closed, in words.
    pub closed_for: String,
    /// What is in it.
    pub plain: FileSum,
    /// The age file.
    pub closed: FileSum,
}

/// Closes what is read. Gives back where it was written, with all of it written; the name of that is for messages.
///
/// # Errors
/// [`Error::Unreadable`], [`Error::Output`], [`Error::Cancelled`].
pub fn encrypt<W: Write + Send + 'static>(
    from: Reading<'_>,
    (out, to): (W, &Path),
    recipients: &Recipients,
    monitor: &dyn Monitor,
) -> Result<(W, ClosedReport)> {
    let failed = |source| Error::Output { what: show(to), source };
    from.with(monitor, |name, len, from| {
        let mut closing = Closing::new(recipients, out).map_err(failed)?;
        monitor.begin("encrypting", len.unwrap_or(0));
        let mut read = |buf: &mut [u8]| from.read(buf).map_err(|error| unread(name, error));
        pass_on(&mut read, &mut |piece| closing.write_all(piece).map_err(failed), monitor)?;
        let made = closing.finish().map_err(failed)?;
        monitor.end();
        let report = ClosedReport {
            source: show(name),
            closed_for: recipients.to_string(),
            plain: made.plain.into(),
            closed: made.closed.into(),
        };
        Ok((made.out, report))
    })
}

/// Opens what is read, and writes what is in it as it is opened: only at the end is it known to be whole. The name of
/// `out` is for messages.
///
/// # Errors
/// [`Error::Unreadable`] when it is no age file or is not opened by these, [`Error::Damaged`] where it was changed or
/// cut, [`Error::Output`], [`Error::Cancelled`].
pub fn decrypt(
    from: Reading<'_>,
    (out, to): (&mut (dyn Write + '_), &Path),
    identities: &Identities,
    monitor: &dyn Monitor,
) -> Result<ClosedReport> {
    let failed = |source| Error::Output { what: show(to), source };
    from.with(monitor, |name, len, from| {
        let mut from = Summed::new(from).map_err(|error| unread(name, error))?;
        let mut opening = Opening::new(name, &mut from, len, identities)?;
        let closed_for = opening.header().recipients();
        let content = |header: &AgeHeader| len.and_then(|len| header.content(len).ok());
        monitor.begin("decrypting", content(opening.header()).unwrap_or(0));
        let mut plain = Behind::new(Summing::default()).map_err(failed)?;
        let mut write =
            |piece: &[u8]| plain.write_all(piece).and_then(|()| out.write_all(piece)).map_err(failed);
        pass_on(&mut |buf| opening.read(buf), &mut write, monitor)?;
        out.flush().map_err(failed)?;
        drop(opening);
        let closed = from.finish().map_err(|error| unread(name, error))?.into();
        let plain = plain.finish().map_err(failed)?.sum().into();
        monitor.end();
        Ok(ClosedReport { source: show(name), closed_for, plain, closed })
    })
}

/// Reads to the end, and passes on what was read.
fn pass_on(
    read: &mut dyn FnMut(&mut [u8]) -> Result<usize>,
    write: &mut dyn FnMut(&[u8]) -> Result<()>,
    monitor: &dyn Monitor,
) -> Result<()> {
    let mut buffer = vec![0; PIECE];
    loop {
        let mut filled = 0usize;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match read(rest)? {
                0 => break,
                more => filled = filled.saturating_add(more),
            }
        }
        let piece = buffer.get(..filled).unwrap_or_default();
        if piece.is_empty() {
            return Ok(());
        }
        write(piece)?;
        monitor.advance(to_u64(piece.len()));
        if monitor.cancelled() {
            return Err(Error::Cancelled);
        }
    }
}
