//! A file without a name, for what is too much for memory: nobody else can reach it, and it is gone with its last
//! handle.

use std::fs::File;
use std::io;
use std::path::Path;

use super::Source;
use crate::words::error::{Error, Result, show};

/// A file without a name, mode 0600, in the system's directory for temporary files.
#[derive(Debug)]
pub struct Spool(File);

impl Spool {
    /// An empty one.
    ///
    /// # Errors
    /// [`Error::Output`].
    pub fn new() -> Result<Spool> {
        tempfile::tempfile().map(Spool).map_err(Spool::failed)
    }

    /// An empty one on the file system that a file will be on.
    ///
    /// # Errors
    /// [`Error::Output`].
    pub fn beside(file: &Path) -> Result<Spool> {
        let dir = file.parent().filter(|dir| *dir != Path::new("")).unwrap_or(Path::new("."));
        let failed = |source| Error::Output { what: format!("temporary file in {}", show(dir)), source };
        tempfile::tempfile_in(dir).map(Spool).map_err(failed)
    }

    /// To write into it.
    pub fn file(&mut self) -> &mut File {
        &mut self.0
    }

    /// The file itself.
    #[must_use]
    pub fn into_file(self) -> File {
        self.0
    }

    /// What is in it, by a name for messages.
    ///
    /// # Errors
    /// As [`Source::from_file`].
    pub fn into_source(self, name: &Path) -> Result<Source> {
        Source::from_file(name, self.0)
    }

    /// What could not be written.
    #[must_use]
    pub fn failed(source: io::Error) -> Error {
        Error::Output { what: format!("temporary file in {}", show(&std::env::temp_dir())), source }
    }
}
