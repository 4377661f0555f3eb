//! How much can still be written somewhere.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;

use crate::io::os;
use crate::words::error::{Error, Result, show};

/// Bytes that may still be written in the directory at `dir`; `None` where the system does not tell.
#[must_use]
pub fn free_in(dir: &Path) -> Option<u64> {
    os::free_in(dir)
}

/// Refuses to begin with `needed` bytes where there is no room for them. It is told of `name`.
///
/// # Errors
/// [`Error::Output`].
pub(crate) fn ask(file: &File, name: &Path, needed: u64) -> Result<()> {
    refuse(os::free_for(file), name, needed)
}

/// The same in a directory.
///
/// # Errors
/// [`Error::Output`].
pub(crate) fn ask_in(dir: &Path, name: &Path, needed: u64) -> Result<()> {
    refuse(free_in(dir), name, needed)
}

/// Says of a full disk how many bytes it was asked for at most, where that is not known before.
pub(crate) fn of_at_most(error: Error, needed: u64) -> Error {
    match error {
        Error::Output { what, source } if source.kind() == ErrorKind::StorageFull => {
            let told = format!("{source}; up to {needed} bytes are needed");
            Error::Output { what, source: io::Error::new(ErrorKind::StorageFull, told) }
        }
        other => other,
    }
}

fn refuse(free: Option<u64>, name: &Path, needed: u64) -> Result<()> {
    if free.is_none_or(|free| free >= needed) {
        return Ok(());
    }
    let source = io::Error::new(ErrorKind::StorageFull, format!("{needed} bytes are needed"));
    Err(Error::Output { what: show(name), source })
}
