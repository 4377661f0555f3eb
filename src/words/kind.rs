//! What a file is, by its content: what a caller meant, and what was found in its place.

use std::fmt;

/// What a file is, by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FileKind {
    /// A bbolt file, with or without a trailer.
    Bolt,
    /// A bbolt file of a big-endian machine.
    BoltBigEndian,
    /// A WAL segment.
    Wal,
    /// A raft snapshot (`*.snap`).
    RaftSnapshot,
    /// No bytes at all.
    Empty,
    /// Compressed, packed or encrypted, or plainly something else.
    Foreign(Foreign),
    /// Nothing that is known.
    Unknown,
}

/// What people mistake for a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Foreign {
    /// Compressed, an archive, or encrypted, and what of these: unpacked it may be a snapshot.
    Packed(&'static str),
    /// What k3s keeps without etcd.
    Sqlite,
    /// An executable.
    Program,
    /// A text.
    Text,
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Foreign::Packed(what) => what,
            Foreign::Sqlite => "an SQLite database, as k3s keeps without etcd",
            Foreign::Program => "a program",
            Foreign::Text => "a text file",
        })
    }
}

impl serde::Serialize for Foreign {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
