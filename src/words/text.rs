//! Text of unknown origin, as one line that does nothing to a terminal.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

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

/// Text that a file holds. It cannot be printed but as one printable line; in JSON it is as it is, and what writes the
/// document escapes there. Only who works with it asks for [`Told::raw`], and no front end does
/// (`tests/layering.rs`).
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Told(String);

impl Told {
    /// The text as it is in the file: to compare with, to parse, to write into another file.
    #[must_use]
    pub fn raw(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Several, as one printable line with commas between them.
    #[must_use]
    pub fn list(all: &[Told]) -> String {
        all.iter().map(Told::to_string).collect::<Vec<_>>().join(",")
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&printable(&self.0))
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl<T: Into<String>> From<T> for Told {
    fn from(text: T) -> Told {
        Told(text.into())
    }
}

impl PartialEq<str> for Told {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for Told {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}
