//! What a log holds, counted and summed up.

use super::end::{AtBoot, End};
use super::name::SegmentName;
use super::record::{Metadata, SnapshotRecord};
use crate::raft::HardState;

/// How one segment was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentSummary {
    /// Its name.
    pub name: SegmentName,
    /// Records read.
    pub records: u64,
    /// Bytes used by them: the last good offset.
    pub used: u64,
    /// How they ended; `None` when reading stopped before.
    pub end: Option<End>,
}

/// Records by type.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Metadata records, one a segment.
    pub metadata: u64,
    /// Entry records, overridden ones included.
    pub entries: u64,
    /// Hard states.
    pub states: u64,
    /// Checksum records, one a segment.
    pub crcs: u64,
    /// Snapshot records.
    pub snapshots: u64,
    /// Anything else.
    pub other: u64,
}

/// What a log holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Summary {
    /// Whose log it is.
    pub metadata: Option<Metadata>,
    /// The last hard state.
    pub hard_state: Option<HardState>,
    /// The snapshot records, in file order.
    pub snapshots: Vec<SnapshotRecord>,
    /// Index of the first kept entry.
    pub first: Option<u64>,
    /// Index of the last kept entry.
    pub last: Option<u64>,
    /// Entries that a later one with the same or a smaller index replaced.
    pub overridden: u64,
    /// Records by type.
    pub counts: Counts,
    /// The segments that were read.
    pub segments: Vec<SegmentSummary>,
    /// The checksum chain at the end: what the next record goes on from.
    pub crc: u32,
    /// Whether every record was read to the end, a torn last one aside.
    pub complete: bool,
    /// Whether records lie past that end which etcd would cut off or erase, and which no crash explains.
    pub discarded: bool,
}

impl Summary {
    /// How the log ends.
    #[must_use]
    pub fn end(&self) -> Option<&End> {
        self.segments.last()?.end.as_ref()
    }

    /// What etcd does at boot with a log that ends so, by version.
    #[must_use]
    pub fn at_boot(&self) -> &'static [(&'static str, AtBoot)] {
        match self.end() {
            Some(end) if self.complete => end.at_boot(),
            _ => &[("every version", AtBoot::Refuses)],
        }
    }

    /// The last index that the entries and the snapshot records come to; 0 without any.
    #[must_use]
    pub fn reach(&self) -> u64 {
        self.last.max(self.snapshots.iter().map(SnapshotRecord::index).max()).unwrap_or(0)
    }

    /// Whether nothing of the log is damaged, and nothing of it would be cut off that no crash explains.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.complete && !self.discarded
    }

    /// The last index that the hard state commits.
    #[must_use]
    pub fn commit(&self) -> u64 {
        self.hard_state.map_or(0, |state| state.commit())
    }

    /// The snapshots etcd would start from: those the last hard state commits (`wal.ValidSnapshotEntries`).
    pub fn valid_snapshots(&self) -> impl DoubleEndedIterator<Item = &SnapshotRecord> {
        let commit = self.commit();
        self.snapshots.iter().filter(move |snapshot| snapshot.index() <= commit)
    }
}
