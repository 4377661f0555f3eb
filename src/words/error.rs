//! What can go wrong: bytes that are not the format ([`Corrupt`]) and things the tool could not do ([`Error`]).

use std::fmt;
use std::path::{Path, PathBuf};

use crate::words::finding::Code;
use crate::words::ids::RaftIndex;

/// A `Result` of an operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A place inside one file. Every part is optional; what is known is printed.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct At {
    /// Byte offset from the start of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// bbolt page number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<u64>,
    /// Element inside the page, counted from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub element: Option<u64>,
    /// Bucket name, escaped for print.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// Key, escaped for print.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// etcd revision, `main.sub`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Raft index.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<RaftIndex>,
}

impl At {
    /// A byte offset.
    #[must_use]
    pub fn offset(offset: u64) -> At {
        At { offset: Some(offset), ..At::default() }
    }

    /// A page and its byte offset.
    #[must_use]
    pub fn page(page: u64, offset: u64) -> At {
        At { page: Some(page), offset: Some(offset), ..At::default() }
    }

    /// The same place, at element `element`.
    #[must_use]
    pub fn element(mut self, element: usize) -> At {
        self.element = u64::try_from(element).ok();
        self
    }

    /// The same place, inside bucket `name`.
    #[must_use]
    pub fn bucket(mut self, name: &[u8]) -> At {
        self.bucket = Some(show_bytes(name));
        self
    }

    /// The same place, at key `key`.
    #[must_use]
    pub fn key(mut self, key: &[u8]) -> At {
        self.key = Some(show_bytes(key));
        self
    }

    /// The same place, at raft index `index`.
    #[must_use]
    pub fn index(mut self, index: impl Into<RaftIndex>) -> At {
        self.index = Some(index.into());
        self
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sep = "";
        if let Some(page) = self.page {
            write!(f, "page {page}")?;
            sep = ", ";
        }
        if let Some(element) = self.element {
            write!(f, "{sep}element {element}")?;
            sep = ", ";
        }
        if let Some(offset) = self.offset {
            if sep.is_empty() {
                write!(f, "byte {offset:#x}")?;
            } else {
                write!(f, " (byte {offset:#x})")?;
            }
            sep = ", ";
        }
        if let Some(index) = self.index {
            write!(f, "{sep}raft index {index}")?;
            sep = ", ";
        }
        if let Some(bucket) = &self.bucket {
            write!(f, "{sep}bucket {bucket}")?;
            sep = ", ";
        }
        if let Some(key) = &self.key {
            write!(f, "{sep}key {key}")?;
            sep = ", ";
        }
        if let Some(revision) = &self.revision {
            write!(f, "{sep}revision {revision}")?;
        }
        Ok(())
    }
}

/// Bytes that are not what the format demands at that place. It is never printed raw: strict callers turn it into an
/// [`Error`], verify turns it into a [`Finding`](crate::words::finding::Finding), salvage into a finding and a skip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corrupt {
    /// Where.
    pub at: At,
    /// Which rule is broken.
    pub code: Code,
    /// What was found and what was expected, with the two numbers that disagree.
    pub detail: String,
}

impl Corrupt {
    /// A broken rule at a place.
    #[must_use]
    pub fn new(code: Code, at: At, detail: impl Into<String>) -> Box<Corrupt> {
        Box::new(Corrupt { at, code, detail: detail.into() })
    }
}

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at.to_string();
        if at.is_empty() { f.write_str(&self.detail) } else { write!(f, "{at}: {}", self.detail) }
    }
}

impl std::error::Error for Corrupt {}

/// The operation could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The input could not be read at all: missing, no permission, not the kind of file that is meant. Exit code 3.
    #[error("{}: {what}", show(path))]
    Unreadable {
        /// The input.
        path: PathBuf,
        /// What it is instead, or what the operating system said, and a remedy where there is one.
        what: String,
    },
    /// The input is of the right kind but damaged, and the operation needs it whole. Exit code 1.
    #[error("{}: {corrupt}", show(path))]
    Damaged {
        /// The input.
        path: PathBuf,
        /// The first thing that is wrong.
        corrupt: Box<Corrupt>,
    },
    /// The request does not fit the data: a revision that is compacted, a bucket that is not there. Exit code 1.
    #[error("{0}")]
    Refused(String),
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
}

impl Error {
    /// An input the operating system would not give us.
    #[must_use]
    pub fn unreadable(path: &Path, what: impl fmt::Display) -> Error {
        Error::Unreadable { path: path.to_path_buf(), what: what.to_string() }
    }

    /// Binds a broken rule to the file it was found in.
    #[must_use]
    pub fn damaged(path: &Path, corrupt: Box<Corrupt>) -> Error {
        Error::Damaged { path: path.to_path_buf(), corrupt }
    }
}

/// Bytes as one printable line. Of more than 256, the first 256 and how many there are.
#[must_use]
pub fn show_bytes(bytes: &[u8]) -> String {
    show_start(bytes, 256)
}

/// Bytes as one printable line. Of more than `limit`, the first of them and how many there are.
#[must_use]
pub fn show_start(bytes: &[u8], limit: usize) -> String {
    match bytes.get(..limit) {
        Some(start) if bytes.len() > limit => format!("{}... ({} bytes)", start.escape_ascii(), bytes.len()),
        _ => bytes.escape_ascii().to_string(),
    }
}

/// A path as one printable line: control characters never reach a terminal.
#[must_use]
pub fn show(path: &Path) -> String {
    printable(&path.to_string_lossy())
}

/// Whether a terminal may do more than print a character: control characters, ends of lines of every kind, and what
/// turns the direction of the text around it.
#[must_use]
pub fn steers(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Text of unknown origin as one printable line.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|c| if steers(c) { c.escape_default().collect::<Vec<_>>() } else { vec![c] })
        .collect()
}
