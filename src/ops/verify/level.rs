//! The levels of a verification.

use serde::Serialize;

use crate::words::finding::Code;

/// What can be checked, from the shallowest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
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
}

impl Level {
    /// All of them, shallowest first.
    pub const ALL: [Level; 6] =
        [Level::Identity, Level::Bytes, Level::Pages, Level::Mvcc, Level::Wal, Level::Restore];

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
        }
    }

    /// The level that a finding belongs to.
    #[must_use]
    pub fn of(code: Code) -> Level {
        match code {
            Code::FileTooShort
            | Code::InUse
            | Code::MetaInvalid
            | Code::MetaUnusable
            | Code::MetaFallback
            | Code::TrailerAbsent
            | Code::TrailerCut
            | Code::TrailingBytes => Level::Identity,
            Code::Unreadable | Code::TrailerMismatch | Code::TrailerZeroed | Code::ManifestMismatch => {
                Level::Bytes
            }
            Code::PageId
            | Code::PageType
            | Code::PageOutOfRange
            | Code::PageShared
            | Code::PageCount
            | Code::ElementBounds
            | Code::ElementGap
            | Code::ElementFlags
            | Code::KeyEmpty
            | Code::KeyOrder
            | Code::BranchKey
            | Code::DepthUneven
            | Code::BucketHeader
            | Code::FreelistInvalid
            | Code::FreelistReachable
            | Code::PageLeaked => Level::Pages,
            Code::BucketMissing
            | Code::BucketUnknown
            | Code::RevisionKey
            | Code::ValueUndecodable
            | Code::ModRevision
            | Code::VersionChain
            | Code::Tombstone
            | Code::SubRevision
            | Code::RevisionGap
            | Code::CompactionMarks
            | Code::CompactionUnfinished
            | Code::LeaseMissing
            | Code::MembersDisagree
            | Code::AuthInconsistent
            | Code::AlarmActive
            | Code::IndexMissing
            | Code::StorageVersionUnknown
            | Code::KeyspaceDiffers => Level::Mvcc,
            Code::WalCrc
            | Code::WalTorn
            | Code::WalRecord
            | Code::WalSequence
            | Code::WalMetadata
            | Code::WalEntryGap
            | Code::WalMissing
            | Code::WalStart
            | Code::DbLag
            | Code::DbAhead
            | Code::DbTerm
            | Code::DbMissing
            | Code::DbBehindSnapshot
            | Code::SnapCrc
            | Code::SnapInvalid
            | Code::SnapMissing
            | Code::WalUncommitted
            | Code::WalShort
            | Code::SnapDbPending
            | Code::ReplayRefused
            | Code::ReplayIndex
            | Code::ReplayVersion
            | Code::ReplayFlags
            | Code::ReplayPassword
            | Code::ReplayAlarm
            | Code::ReplayTime
            | Code::ReplayV2
            | Code::ClusterDiffers
            | Code::LogConflict => Level::Wal,
        }
    }
}
