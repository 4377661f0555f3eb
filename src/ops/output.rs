//! A snapshot file under way, as the verbs that make one write it: in the clear, or closed for some recipients while it
//! is written, so that nothing of it is ever on a disk in the clear.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use serde::Serialize;

#[cfg(feature = "age")]
use crate::codec::checksum;
#[cfg(feature = "age")]
use crate::io::closed::{Closed, Closing, FileSecret, Recipients};
use crate::io::dest::hashed::while_writing;
use crate::io::dest::writeback::Writeback;
use crate::io::{Source, os};
use crate::snap::backup::TRAILER;
use crate::words::error::{Error, Result, show};

/// In which form a snapshot file is written.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub enum OutputForm<'o> {
    /// As it is.
    #[default]
    Clear,
    /// Closed with age for these.
    #[cfg(feature = "age")]
    ClosedFor(&'o Recipients),
    /// There is none.
    #[doc(hidden)]
    #[cfg(not(feature = "age"))]
    Never(std::convert::Infallible, std::marker::PhantomData<&'o ()>),
}

/// The age file that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClosedFile {
    /// For whom it is closed, in words.
    pub closed_for: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its SHA-256, in hex.
    pub sha256: String,
    /// SHA-256 of what is in it, all of that, in hex.
    pub content_sha256: String,
}

/// What was written, and is to be read back.
pub(super) struct Output {
    out: Writeback,
    file: File,
    /// SHA-256 of the payload, which is the trailer.
    pub payload: [u8; 32],
    /// Length of the file with its trailer, in the clear.
    pub bytes: u64,
    sealing: bool,
    kept: Kept,
}

enum Kept {
    Clear,
    #[cfg(feature = "age")]
    Closed(ClosedFile, FileSecret),
}

impl Output {
    /// Has `work` write the payload of a snapshot file, front to back, into a file that is open and empty; whether it
    /// is to get a trailer. One that is closed gets it here.
    pub fn write(
        (file, name): (&File, &Path),
        form: OutputForm<'_>,
        sealing: bool,
        work: impl FnOnce(&mut dyn Write) -> Result<()>,
    ) -> Result<Output> {
        let failed = |source| Error::Output { what: show(name), source };
        let copy = || file.try_clone().map_err(failed);
        let mut out = Writeback::new(copy()?);
        match form {
            OutputForm::Clear => {
                let ((), payload) = while_writing((file, name), &mut out, work)?;
                let written = file.metadata().map_err(failed)?.len();
                let bytes = written.saturating_add(if sealing { TRAILER } else { 0 });
                Ok(Output { out, file: copy()?, payload, bytes, sealing, kept: Kept::Clear })
            }
            #[cfg(feature = "age")]
            OutputForm::ClosedFor(recipients) => {
                let mut closing = Closing::new(recipients, out).map_err(failed)?;
                work(&mut closing).map_err(|error| error.of_output(name))?;
                let payload = closing.sum().map_err(failed)?.sha256;
                if sealing {
                    closing.write_all(&payload).map_err(failed)?;
                }
                let Closed { out, plain, closed, secret } = closing.finish().map_err(failed)?;
                let made = ClosedFile {
                    closed_for: recipients.to_string(),
                    bytes: closed.bytes,
                    sha256: checksum::hex(&closed.sha256),
                    content_sha256: checksum::hex(&plain.sha256),
                };
                let kept = Kept::Closed(made, secret);
                Ok(Output { out, file: copy()?, payload, bytes: plain.bytes, sealing, kept })
            }
            #[cfg(not(feature = "age"))]
            OutputForm::Never(never, _) => match never {},
        }
    }

    /// Whether it is closed: then the payload's SHA-256 is of what was given to be written, not of what was read back.
    pub fn is_closed(&self) -> bool {
        !matches!(self.kept, Kept::Clear)
    }

    /// What was written, to be read back: without its trailer, or closed with it.
    pub fn read_back(&self, name: &Path) -> Result<Source> {
        let file = self.file.try_clone().map_err(|source| Error::Output { what: show(name), source })?;
        match &self.kept {
            Kept::Clear => Source::from_file(name, file),
            #[cfg(feature = "age")]
            Kept::Closed(_, secret) => Source::of_closed(name, file, secret),
        }
    }

    /// Brings it to the disk.
    pub fn sync(&mut self, name: &Path) -> Result<()> {
        self.out.sync().map_err(|source| Error::Output { what: show(name), source })
    }

    /// Adds the trailer, if it has none yet. Gives what it is if it is closed.
    pub fn seal(self, name: &Path) -> Result<Option<ClosedFile>> {
        match self.kept {
            Kept::Clear if self.sealing => {
                let end = self.bytes.saturating_sub(TRAILER);
                let sealed = os::write_all_at(&self.file, &self.payload, end);
                sealed.map_err(|source| Error::Output { what: show(name), source })?;
                Ok(None)
            }
            Kept::Clear => Ok(None),
            #[cfg(feature = "age")]
            Kept::Closed(made, _) => Ok(Some(made)),
        }
    }
}
