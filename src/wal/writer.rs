//! Writes a segment: records in frames, the checksum chain carried along. The byte diagram is in [`super`].
//!
//! What a new log begins with, as etcd's `wal.Create` writes it:
//!
//! ```
//! use coldbolt::wal::writer::LogWriter;
//! use coldbolt::wal::{Metadata, SnapshotRecord};
//!
//! let mut writer = LogWriter::new(0);
//! writer.metadata(&Metadata { node_id: Some(1), cluster_id: Some(2) });
//! writer.snapshot(&SnapshotRecord { index: Some(0), term: Some(0), conf_state: None });
//! assert_eq!(&writer.into_bytes()[..12], b"\x04\0\0\0\0\0\0\x84\x08\x04\x10\x00");
//! ```

use prost::Message;
use prost::encoding::{bytes, int64, uint32};

use super::frame::{FrameSize, padding};
use super::record::{Metadata, RecordKind, SnapshotRecord};
use crate::codec::checksum::crc32c;
use crate::codec::{to_u64, to_usize};
use crate::raft::{Entry, HardState};

/// The length etcd preallocates a segment to, in bytes (`wal.SegmentSizeBytes`).
pub const SEGMENT_SIZE: u64 = 64_000_000;

/// The records of one segment, in memory.
#[derive(Debug, Clone)]
pub struct LogWriter {
    crc: u32,
    out: Vec<u8>,
}

impl LogWriter {
    /// Begins a segment with its crc record. `crc` is where the segment before it ended; 0 for the first.
    #[must_use]
    pub fn new(crc: u32) -> LogWriter {
        let mut writer = LogWriter { crc, out: Vec::new() };
        writer.record(RecordKind::Crc, None);
        writer
    }

    /// Adds a record (`wal.encoder.encode`).
    pub fn record(&mut self, kind: RecordKind, data: Option<&[u8]>) {
        self.crc = crc32c(self.crc, data.unwrap_or_default());
        let mut record = Vec::new();
        int64::encode(1, &kind.number(), &mut record);
        uint32::encode(2, &self.crc, &mut record);
        if let Some(data) = data {
            bytes::encode(3, &data.to_vec(), &mut record);
        }
        let length = to_u64(record.len());
        self.out.extend_from_slice(&FrameSize::word(length).to_le_bytes());
        self.out.append(&mut record);
        let end = self.out.len().saturating_add(to_usize(padding(length)));
        self.out.resize(end, 0);
    }

    /// Whose log it is.
    pub fn metadata(&mut self, metadata: &Metadata) {
        self.record(RecordKind::Metadata, Some(&metadata.encode_to_vec()));
    }

    /// A slot of the raft log.
    pub fn entry(&mut self, entry: &Entry) {
        self.record(RecordKind::Entry, Some(&entry.encode_to_vec()));
    }

    /// Term, vote and commit index.
    pub fn state(&mut self, state: &HardState) {
        self.record(RecordKind::State, Some(&state.encode_to_vec()));
    }

    /// Up to where a snapshot holds everything.
    pub fn snapshot(&mut self, snapshot: &SnapshotRecord) {
        self.record(RecordKind::Snapshot, Some(&snapshot.encode_to_vec()));
    }

    /// The checksum chain so far: what the next segment begins with.
    #[must_use]
    pub fn crc(&self) -> u32 {
        self.crc
    }

    /// Gives away what it has written since the last time: a log may be larger than memory.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// The used part of the segment, but for what was [taken](LogWriter::take); zeros may follow.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::Source;
    use crate::wal::{End, Segment};

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read(first: u32, records: Vec<(u8, Option<Vec<u8>>)>, zeros in 0usize..40) {
            let mut writer = LogWriter::new(first);
            let kinds = [RecordKind::Metadata, RecordKind::Entry, RecordKind::State, RecordKind::Snapshot];
            let kind = |kind: u8| kinds[usize::from(kind) % 4];
            let records: Vec<_> = records.into_iter().map(|(n, data)| (kind(n), data)).collect();
            for (kind, data) in &records {
                writer.record(*kind, data.as_deref());
            }
            let crc = writer.crc();
            let mut bytes = writer.into_bytes();
            proptest::prop_assert_eq!(bytes.len() % 8, 0);
            bytes.resize(bytes.len() + zeros * 8, 0);
            let source = Source::from_bytes("memory", bytes);
            let mut segment = Segment::new(&source, 0, true);
            proptest::prop_assert_eq!(segment.next().map(|r| r.kind), Some(RecordKind::Crc));
            for (kind, data) in &records {
                let record = segment.next().unwrap();
                proptest::prop_assert_eq!((record.kind, record.data), (*kind, data.as_deref()));
            }
            proptest::prop_assert!(segment.next().is_none());
            proptest::prop_assert_eq!(segment.crc(), crc);
            proptest::prop_assert!(!matches!(segment.end(), Some(End::Torn(_))));
        }
    }
}
