//! How bad a finding is, and the levels of a verification.

use std::fmt;

/// How bad a finding is. The order is the order of badness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing, nothing is wrong.
    Note,
    /// etcd would cope, a person should look.
    Warning,
    /// Data is lost or wrong.
    Damage,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Damage => "damage",
        })
    }
}

/// What a verification can check, from the shallowest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// What kind of file it is, both meta pages, its length, the form of its trailer.
    Identity,
    /// SHA-256 of the payload against the trailer.
    Bytes,
    /// Every page of every tree.
    Pages,
    /// The keyspace's history and what the other buckets say, against each other.
    Mvcc,
    /// The write-ahead log and raft snapshots, against the database. Directories only.
    Wal,
    /// What a restore would refuse.
    Restore,
    /// The Kubernetes objects in the keyspace, one by one and against each other. The deepest, as all values are
    /// decoded.
    Objects,
}

impl Level {
    /// All of them, shallowest first.
    pub const ALL: [Level; 7] = [
        Level::Identity,
        Level::Bytes,
        Level::Pages,
        Level::Mvcc,
        Level::Wal,
        Level::Restore,
        Level::Objects,
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Level::Identity => "identity",
            Level::Bytes => "bytes",
            Level::Pages => "pages",
            Level::Mvcc => "mvcc",
            Level::Wal => "wal",
            Level::Restore => "restore",
            Level::Objects => "objects",
        }
    }
}
