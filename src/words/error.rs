//! What the tool could not do ([`Error`]).

use std::path::{Path, PathBuf};

use crate::words::cause::Cause;
pub use crate::words::corrupt::{At, Corrupt};
use crate::words::hint::Hint;
use crate::words::refusal::Refusal;
pub use crate::words::text::{Told, printable, show, show_bytes, show_start, steers};

/// A `Result` of an operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The operation could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The input could not be read at all: missing, no permission, not the kind of file that is meant. Exit code 3.
    #[error("{}: {cause}", show(path))]
    Unreadable {
        /// The input.
        path: PathBuf,
        /// What it is instead, or what the operating system said.
        #[source]
        cause: Cause,
    },
    /// The input is of the right kind but damaged, and the operation needs it whole. Exit code 1.
    #[error("{}: {corrupt}", show(path))]
    Damaged {
        /// The input.
        path: PathBuf,
        /// The first thing that is wrong.
        #[source]
        corrupt: Box<Corrupt>,
    },
    /// The request does not fit the data: a revision that is compacted, a bucket that is not there. Exit code 1.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The caller's [`Monitor`](crate::words::monitor::Monitor) asked to stop.
    #[error("cancelled")]
    Cancelled,
    /// The answer could not be written.
    #[error("{what}: {source}")]
    Output {
        /// What was being written.
        what: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// What was written is not what it should be when it is read back; nothing of it was kept. A fault of this library,
    /// or of what it was written on.
    #[error("{what}: read back, {told}")]
    Miswritten {
        /// What was written.
        what: String,
        /// How it differs.
        told: String,
    },
}

impl Error {
    /// An input that could not be read.
    #[must_use]
    pub fn unreadable(path: &Path, cause: impl Into<Cause>) -> Error {
        Error::Unreadable { path: path.to_path_buf(), cause: cause.into() }
    }

    /// The same of an output whose name was not known where it failed.
    #[cfg(feature = "fs")]
    pub(crate) fn of_output(self, path: &Path) -> Error {
        match self {
            Error::Output { source, .. } => Error::Output { what: show(path), source },
            other => other,
        }
    }

    /// Binds a broken rule to the file it was found in.
    #[must_use]
    pub fn damaged(path: &Path, corrupt: Box<Corrupt>) -> Error {
        Error::Damaged { path: path.to_path_buf(), corrupt }
    }

    /// What may be done about it; a front end says it in its own words.
    #[must_use]
    pub fn hint(&self) -> Option<Hint> {
        match self {
            Error::Unreadable { cause, .. } => cause.hint(),
            Error::Refused(refusal) => refusal.hint(),
            _ => None,
        }
    }
}
