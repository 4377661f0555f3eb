//! Why an input could not be read.

use std::io;
use std::path::PathBuf;

use crate::words::corrupt::Corrupt;
use crate::words::hint::Hint;
use crate::words::kind::{FileKind, Foreign};
use crate::words::text::show;
use crate::words::unanswered::Unanswered;

/// Why an input could not be read at all. Its text follows the name of the input.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// What the operating system said: missing, no permission.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is of another kind than was meant.
    #[error("{}", not_this(*is, *due, *len))]
    NotThis {
        /// What it is.
        is: FileKind,
        /// What was meant.
        due: FileKind,
        /// Its length in bytes.
        len: u64,
    },
    /// It is a bbolt database of another program.
    #[error("is a bbolt database, but not etcd's: bucket key is not among its {buckets} buckets")]
    NotEtcds {
        /// How many buckets it has.
        buckets: usize,
    },
    /// A directory, where a file is meant.
    #[error("is a directory, a file is needed here{}", its_database(database.as_ref()))]
    Directory {
        /// The database in it, if it is a member's.
        database: Option<PathBuf>,
    },
    /// A member's directory, where a file is meant that holds everything.
    #[error(
        "is a directory, a file is needed here: its database alone lacks the entries that only its log has"
    )]
    DirectoryWithLog,
    /// A pipe, a socket or a terminal.
    #[error("is not a regular file")]
    NotAFile,
    /// It cannot be mapped into memory; what the operating system said.
    #[error("cannot be mapped: {0}")]
    Unmappable(#[source] io::Error),
    /// This build opens no files.
    #[error("this program was built without the ability to open files")]
    NoFiles,
    /// A running etcd holds its lock.
    #[error("is in use: a running etcd holds its lock")]
    InUse(Option<Hint>),
    /// A connection of SQLite has it open.
    #[error("is in use: a running k3s or kine, or another program, has it open with SQLite")]
    InUseBySqlite,
    /// A transaction in an SQLite database was not finished, and only SQLite can take it back.
    #[error("has a transaction in it that was not finished: {} beside it holds what is to be put back", show(.0))]
    HotJournal(PathBuf),
    /// It is an SQLite database of another program.
    #[error("is an SQLite database, but not kine's: {0}")]
    NotKines(&'static str),
    /// Something wrote it while it was read; in words what was seen.
    #[error("{told}")]
    Changed {
        /// What was seen, and what became of the work.
        told: String,
        /// What helps.
        hint: Option<Hint>,
    },
    /// A directory that does not hold what is needed.
    #[error("{told}")]
    Lacks {
        /// What is not there.
        told: String,
        /// What helps.
        hint: Option<Hint>,
    },
    /// A manifest that is none, or does not say what is needed.
    #[error("{0}")]
    Content(String),
    /// It is closed with age, and was not opened.
    #[error("{0}")]
    Closed(StaysClosed),
    /// A member that runs did not give what it was asked for.
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
    /// Its bytes could not be had.
    #[error(transparent)]
    Corrupt(#[from] Box<Corrupt>),
}

impl Cause {
    /// What may be done about it.
    #[must_use]
    pub fn hint(&self) -> Option<Hint> {
        match self {
            Cause::NotThis { is: FileKind::Wal, due: FileKind::Bolt, .. } => Some(Hint::DumpWal),
            Cause::NotThis { is: FileKind::RaftSnapshot, due: FileKind::Bolt, .. } => {
                Some(Hint::ShowRaftSnapshot)
            }
            Cause::NotThis { is: FileKind::Foreign(Foreign::Behind(at)), due: FileKind::Bolt, .. } => {
                Some(Hint::CutFront(*at))
            }
            Cause::DirectoryWithLog => Some(Hint::CopyFirst),
            Cause::NotThis { is: FileKind::Foreign(Foreign::Increment), .. } => Some(Hint::CopyChain),
            Cause::NotThis {
                is: FileKind::Foreign(Foreign::Packed(what) | Foreign::Volume(what)),
                due: FileKind::Bolt,
                ..
            } => Some(Hint::Unpack(what)),
            Cause::NotThis { is: FileKind::Foreign(Foreign::Age), .. } => Some(Hint::Decrypt),
            Cause::NotThis { due: FileKind::Wal | FileKind::RaftSnapshot, .. } => Some(Hint::Inspect),
            Cause::NotThis { is: FileKind::Foreign(Foreign::Sqlite), due: FileKind::Bolt, .. } => {
                Some(Hint::KineReaders)
            }
            Cause::InUseBySqlite => Some(Hint::SqliteBackup),
            Cause::HotJournal(_) => Some(Hint::SqliteRecover),
            Cause::NotAFile => Some(Hint::FromPipe),
            Cause::Closed(why) => Some(why.hint()),
            Cause::Unanswered(why) => why.hint(),
            Cause::InUse(hint) | Cause::Changed { hint, .. } | Cause::Lacks { hint, .. } => *hint,
            _ => None,
        }
    }

    /// Something wrote it while it was read.
    #[must_use]
    pub fn changed(told: impl Into<String>) -> Cause {
        Cause::Changed { told: told.into(), hint: None }
    }

    /// A directory that does not hold what is needed.
    #[must_use]
    pub fn lacks(told: impl Into<String>) -> Cause {
        Cause::Lacks { told: told.into(), hint: None }
    }
}

/// Why an age file that seems to be whole was not opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StaysClosed {
    /// It does not begin as an age file does.
    #[error("is no age file")]
    NotAge,
    /// It is an age file as text.
    #[error("is an age-encrypted file as text (armored), and only binary ones are read here")]
    Armored,
    /// It is closed for the holders of keys, and none of those that were given is one of theirs.
    #[error("none of the keys that were given opens it: it is closed for {recipients}")]
    NoKeyFits {
        /// For whom it is closed.
        recipients: String,
    },
    /// It is closed with a passphrase, and keys were given.
    #[error("is closed with a passphrase, and keys do not open it")]
    NeedsPassphrase,
    /// It is closed for the holders of keys, and a passphrase was given.
    #[error("is closed for {recipients}, and a passphrase does not open it")]
    NeedsKey {
        /// For whom it is closed.
        recipients: String,
    },
    /// The passphrase is another one.
    #[error("the passphrase does not open it: it is another one, or the header of the file was changed")]
    WrongPassphrase,
    /// To try the passphrase would take more memory and time than is allowed.
    #[error(
        "to try a passphrase takes 2^{work} steps of scrypt ({} MiB of memory), and 2^{most} are allowed",
        1u64.checked_shl(work.saturating_sub(10)).unwrap_or(u64::MAX)
    )]
    TooMuchWork {
        /// The logarithm of scrypt's work that it asks for.
        work: u32,
        /// The most that is allowed.
        most: u32,
    },
}

impl StaysClosed {
    fn hint(&self) -> Hint {
        match self {
            StaysClosed::NotAge => Hint::Inspect,
            StaysClosed::Armored => Hint::Unpack("an age-encrypted file as text"),
            StaysClosed::NoKeyFits { .. } => Hint::OtherIdentity,
            StaysClosed::NeedsPassphrase | StaysClosed::WrongPassphrase => Hint::Passphrase,
            StaysClosed::NeedsKey { .. } => Hint::Identity,
            StaysClosed::TooMuchWork { work, .. } => Hint::MoreWork(*work),
        }
    }
}

/// What a file is instead of what was meant.
fn not_this(is: FileKind, due: FileKind, len: u64) -> String {
    if due != FileKind::Bolt {
        let due = if due == FileKind::Wal { "a WAL segment" } else { "a raft snapshot" };
        let is = match is {
            FileKind::Bolt | FileKind::BoltBigEndian => "a bbolt database".to_owned(),
            FileKind::Wal => "a WAL segment".to_owned(),
            FileKind::RaftSnapshot => "a raft snapshot".to_owned(),
            FileKind::Foreign(what) => what.to_string(),
            FileKind::Empty => "empty (0 bytes)".to_owned(),
            FileKind::Unknown => "of no known kind".to_owned(),
        };
        return format!("is {is}, not {due}");
    }
    match is {
        FileKind::BoltBigEndian => {
            "is a bbolt database written by a big-endian machine (s390x); read it on one".to_owned()
        }
        FileKind::Wal => "is a WAL segment".to_owned(),
        FileKind::RaftSnapshot => "is a raft snapshot".to_owned(),
        FileKind::Empty => "is empty (0 bytes)".to_owned(),
        FileKind::Foreign(what @ Foreign::Packed(_)) => format!("is {what}; unpack it first"),
        FileKind::Foreign(what @ Foreign::Volume(_)) => format!("is {what}, which is not read here"),
        FileKind::Foreign(what @ Foreign::Age) => {
            format!("is {what}, and has to be opened first")
        }
        FileKind::Foreign(what @ Foreign::Behind(_)) => format!("is {what}"),
        FileKind::Foreign(what @ Foreign::CrLf) => format!("is {what}; transfer it anew, as binary"),
        FileKind::Foreign(what) => format!("is {what}, not an etcd snapshot or database"),
        FileKind::Bolt | FileKind::Unknown => {
            format!("is not an etcd snapshot or database: no bbolt meta page in its {len} bytes")
        }
    }
}

fn its_database(database: Option<&PathBuf>) -> String {
    database.map_or_else(String::new, |database| {
        format!("; its database is {}, and its log may hold more", show(database))
    })
}
