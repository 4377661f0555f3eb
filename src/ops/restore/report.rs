//! What a restore is asked for, and what it says.

use std::path::PathBuf;

use serde::Serialize;

use super::{Bump, KeyFilter, Raise};
use crate::etcd::schema::Minor;
use crate::ops::verify::InputKind;
use crate::words::finding::Finding;
use crate::words::hint::Note;
use crate::words::ids::{ClusterId, MemberId};

/// Whose directories are written, and where.
#[derive(Debug, Clone)]
pub enum Destination {
    /// One member's.
    Member {
        /// Its name in the cluster.
        name: String,
        /// The peer URLs it advertises, separated by commas: those that the cluster has for it.
        advertised: String,
        /// The data directory; it does not exist, or is empty.
        data_dir: PathBuf,
        /// Where the log goes, if not into the data directory. It does not exist.
        wal_dir: Option<PathBuf>,
    },
    /// All members', each in a directory of its name inside this one, which does not exist.
    All(PathBuf),
}

/// What to restore.
#[derive(Debug, Clone)]
pub struct RestoreOptions {
    /// `name=url,name=url`: the members of the new cluster.
    pub initial_cluster: String,
    /// What tells clusters of the same members apart.
    pub token: String,
    /// Whose directories, and where.
    pub destination: Destination,
    /// Take the source even if its SHA-256 trailer is wrong, or if it has none.
    pub skip_hash_check: bool,
    /// Take the source even if it is damaged, as far as it can be read whole.
    pub allow_damage: bool,
    /// The names of members that learn and do not vote.
    pub learners: Vec<String>,
    /// The keyspace as it was at this revision; `None` is the last.
    pub revision: Option<i64>,
    /// Which keys.
    pub keys: KeyFilter,
    /// Leave raised alarms out.
    pub clear_alarms: bool,
    /// Raise the revision and mark everything before as compacted.
    pub bump: Bump,
    /// The version that will read the directories; `None` is the source's.
    pub target: Option<Minor>,
    /// Write nothing.
    pub dry_run: bool,
}

impl RestoreOptions {
    /// All of the source, as it is, for a cluster of these members (`name=url,name=url`) with etcd's own default token.
    #[must_use]
    pub fn new(initial_cluster: impl Into<String>, destination: Destination) -> RestoreOptions {
        RestoreOptions {
            initial_cluster: initial_cluster.into(),
            token: "etcd-cluster".to_owned(),
            destination,
            skip_hash_check: false,
            allow_damage: false,
            learners: Vec::new(),
            revision: None,
            keys: KeyFilter::default(),
            clear_alarms: false,
            bump: Bump::None,
            target: None,
            dry_run: false,
        }
    }
}

/// One file that is written, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OutFile {
    /// Where.
    pub path: String,
    /// Its length in bytes; for a database that is not written yet the length of the source's.
    pub bytes: u64,
}

/// A member and its directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MemberReport {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: MemberId,
    /// Its peer URLs.
    pub peer_urls: Vec<String>,
    /// Whether it learns and does not vote.
    pub learner: bool,
    /// Its data directory; `None` when it is another run's.
    pub data_dir: Option<String>,
    /// Its log.
    pub wal_dir: Option<String>,
    /// The command that starts it.
    pub start: Option<String>,
    /// What is written for it.
    pub files: Vec<OutFile>,
}

/// What was restored, or would be.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct RestoreReport {
    /// The source, as named.
    pub source: String,
    /// What it is.
    pub kind: InputKind,
    /// Whether nothing was written.
    pub dry_run: bool,
    /// The version that will read it.
    pub target_version: Minor,
    /// The revision that the result is at.
    pub revision: i64,
    /// HashKV of the source.
    pub hashkv: u32,
    /// HashKV of the result, unless the revision is raised.
    pub result_hashkv: Option<u32>,
    /// How far the revision is raised, and why.
    pub raised: Option<Raise>,
    /// The new cluster's id.
    pub cluster_id: ClusterId,
    /// Its members, ascending by id.
    pub members: Vec<MemberReport>,
    /// How many members the source names.
    pub members_before: usize,
    /// What differs from the source.
    pub changes: Vec<String>,
    /// Damage that was allowed, and what else is wrong with the source.
    pub warnings: Vec<Warning>,
    /// What follows from what was asked for.
    pub advice: Vec<Note>,
}

/// What is wrong with a source that is restored all the same. It is serialized as its text.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// What its verification found.
    Finding(Finding),
    /// A log lies beside the database, and is not read.
    LogBeside {
        /// The database, as named.
        source: String,
    },
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Warning::Finding(finding) => finding.fmt(f),
            Warning::LogBeside { source } => write!(
                f,
                "{source}: the log beside this database (member/wal) is not read: what etcd had not yet written into the \
                 database is missing"
            ),
        }
    }
}

impl Serialize for Warning {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
