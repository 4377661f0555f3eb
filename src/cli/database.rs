//! The database whose numbers are asked for: a file, or that of a data directory, with or without what only its log
//! holds.

use std::path::Path;

use coldbolt::io::{Source, tree};
use coldbolt::store::Store;
use coldbolt::words::error::Error;

use super::context::Fail;
use super::input;
use super::keyspace::{self, Damage, Fold, Opened};
use super::progress::Terminal;

/// One that was opened.
pub struct Database {
    source: Source,
    /// The directory that it is of.
    of: Option<Opened>,
}

impl Database {
    /// Opens what a path leads to. Of a directory the database alone is taken, and what only its log holds is told,
    /// unless `fold` says to apply that.
    pub fn open(path: &Path, fold: bool, monitor: &Terminal) -> Result<Database, Fail> {
        if !fold && (path == Path::new("-") || !tree::is_dir(path)) {
            return Ok(Database { source: input::database(path)?, of: None });
        }
        let opened = keyspace::open(path, &Damage::refused(), &Fold::said(fold), None, monitor)?;
        let source = opened.store(monitor).map(|store: Store<'_>| store.source().clone())?;
        Ok(Database { source, of: Some(opened) })
    }

    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Fails if a file that the answer was made of is not as it was.
    pub fn check_unchanged(&self) -> Result<(), Error> {
        self.of.as_ref().map_or(Ok(()), Opened::check_unchanged)
    }
}
