//! Bytes that are not the format ([`Corrupt`]), and a place in a file ([`At`]).

use std::fmt;

use crate::words::codes::Code;
use crate::words::ids::RaftIndex;
use crate::words::text::show_bytes;

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
/// [`Error`](crate::words::error::Error), verify turns it into a [`Finding`](crate::words::finding::Finding), salvage
/// into a finding and a skip.
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
