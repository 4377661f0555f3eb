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
    /// A volume, or the image of a disk, of a kind that is not read.
    Volume(&'static str),
    /// Closed with age: opened it may be a snapshot.
    Age,
    /// What etcd-backup-restore keeps of the changes since a full snapshot.
    Increment,
    /// What k3s keeps without etcd.
    Sqlite,
    /// An executable.
    Program,
    /// A text.
    Text,
    /// A text in UTF-16.
    Utf16,
    /// A database, or a snapshot file, behind something else, which has so many bytes.
    Behind(u64),
    /// A database, or a snapshot file, in which every line feed was made carriage return and line feed.
    CrLf,
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Foreign::Behind(at) => {
                return write!(f, "something else up to byte {at}, where an etcd snapshot or database begins");
            }
            Foreign::Packed(what) | Foreign::Volume(what) => what,
            Foreign::Age => "an age-encrypted file",
            Foreign::Increment => "a file of changes since a full snapshot of etcd-backup-restore",
            Foreign::Sqlite => "an SQLite database, as k3s keeps without etcd",
            Foreign::Program => "a program",
            Foreign::Text => "a text file",
            Foreign::Utf16 => {
                "a text in UTF-16, as PowerShell writes what it redirects: if it was a snapshot, bytes of it are lost"
            }
            Foreign::CrLf => {
                "an etcd snapshot or database in which every LF was made CR LF, as a transfer of text does it"
            }
        })
    }
}

impl serde::Serialize for Foreign {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
