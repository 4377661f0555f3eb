//! What a verb reads: a path, or what is open already.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::datadir::{self, DataDir};
use super::within;
use crate::io::{Source, tree};
use crate::words::error::Result;

/// What a verb is asked to read: the path of a file or directory, or a [`Source`] that is open already.
///
/// A verb takes whatever becomes one: `"backup.db"`, a path, a source or a borrowed source.
#[derive(Debug, Clone)]
pub struct Input {
    given: Given,
    /// Where the log of a data directory is, if it is elsewhere.
    wal_dir: Option<PathBuf>,
}

#[derive(Debug, Clone)]
enum Given {
    /// What was given, and where that leads in an archive, once it was asked.
    Path(PathBuf, OnceLock<PathBuf>),
    Open(Source),
}

impl Input {
    /// The path: of an open source, the name that it goes by; of an archive with one thing of etcd's in it, where
    /// that is ([`within::find`]).
    #[must_use]
    pub fn path(&self) -> &Path {
        match &self.given {
            // Why it cannot be found is told by who opens it.
            Given::Path(path, found) => {
                found.get_or_init(|| within::find(path).unwrap_or_else(|_| path.clone()))
            }
            Given::Open(source) => source.path(),
        }
    }

    /// The same, with the log of a data directory that keeps it elsewhere (`--wal-dir` of etcd).
    #[must_use]
    pub fn with_wal_dir(self, dir: impl Into<Option<PathBuf>>) -> Input {
        Input { wal_dir: dir.into(), ..self }
    }

    /// Where the log is, if that was said.
    #[must_use]
    pub fn wal_dir(&self) -> Option<&Path> {
        self.wal_dir.as_deref()
    }

    /// Lists the files of a data directory.
    ///
    /// # Errors
    /// As [`DataDir::list`].
    pub fn directory(&self) -> Result<DataDir> {
        DataDir::list(self.path(), self.wal_dir())
    }

    /// The source that was given, if it was one and not a path.
    #[must_use]
    pub fn as_open(&self) -> Option<&Source> {
        match &self.given {
            Given::Path(..) => None,
            Given::Open(source) => Some(source),
        }
    }

    /// Whether it is the path of a directory.
    #[must_use]
    pub fn is_dir(&self) -> bool {
        self.as_open().is_none() && tree::is_dir(self.path())
    }

    /// Opens it, whatever kind of file it is, and what is inside if it is packed.
    ///
    /// # Errors
    /// As [`within::open`]; none for what is open already.
    pub fn open(&self) -> Result<Source> {
        match &self.given {
            Given::Path(..) => within::open(self.path()),
            Given::Open(source) => Ok(source.clone()),
        }
    }

    /// Opens it, and refuses what is not a bbolt database.
    ///
    /// # Errors
    /// [`Error::Unreadable`](crate::Error::Unreadable), saying why it cannot be opened or what it is instead.
    pub fn open_database(&self) -> Result<Source> {
        let source = self.open()?;
        datadir::require_database(&source)?;
        Ok(source)
    }
}

impl From<PathBuf> for Input {
    fn from(path: PathBuf) -> Input {
        Input { given: Given::Path(path, OnceLock::new()), wal_dir: None }
    }
}

impl From<&PathBuf> for Input {
    fn from(path: &PathBuf) -> Input {
        path.clone().into()
    }
}

impl From<&Path> for Input {
    fn from(path: &Path) -> Input {
        path.to_path_buf().into()
    }
}

impl From<&str> for Input {
    fn from(path: &str) -> Input {
        PathBuf::from(path).into()
    }
}

impl From<String> for Input {
    fn from(path: String) -> Input {
        PathBuf::from(path).into()
    }
}

impl From<Source> for Input {
    fn from(source: Source) -> Input {
        Input { given: Given::Open(source), wal_dir: None }
    }
}

impl From<&Source> for Input {
    fn from(source: &Source) -> Input {
        source.clone().into()
    }
}

impl From<&Input> for Input {
    fn from(input: &Input) -> Input {
        input.clone()
    }
}
