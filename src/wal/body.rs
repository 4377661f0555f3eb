//! What a record holds, decoded.

use prost::Message;

use super::record::{Metadata, RecordKind, SnapshotRecord};
use super::segment::Record;
use crate::raft::{EntryView, HardState};

/// A record's payload, decoded.
#[derive(Debug, Clone, PartialEq)]
pub enum Body<'r> {
    /// Whose log it is.
    Metadata(Metadata),
    /// A raft entry.
    Entry {
        /// The entry.
        entry: EntryView<'r>,
        /// Whether it belongs to the log as it stands here: after [`Scan::after`](super::Scan::after), no gap before
        /// it.
        kept: bool,
    },
    /// A hard state.
    State(HardState),
    /// A checksum to go on with.
    Crc,
    /// A snapshot was taken or received.
    Snapshot(SnapshotRecord),
    /// Its payload does not decode, or in raw mode its checksum is wrong and so is the payload.
    Unreadable,
    /// A type that etcd does not have.
    Other(i64),
}

impl<'r> Body<'r> {
    /// Decodes a record's payload.
    #[must_use]
    pub fn of(record: &Record<'r>) -> Body<'r> {
        let bytes = record.bytes();
        match record.kind {
            RecordKind::Metadata => Metadata::decode(bytes).map_or(Body::Unreadable, Body::Metadata),
            RecordKind::Entry => {
                EntryView::decode(bytes).map_or(Body::Unreadable, |entry| Body::Entry { entry, kept: false })
            }
            RecordKind::State => HardState::decode(bytes).map_or(Body::Unreadable, Body::State),
            RecordKind::Snapshot => SnapshotRecord::decode(bytes).map_or(Body::Unreadable, Body::Snapshot),
            RecordKind::Crc => Body::Crc,
            RecordKind::Other(number) => Body::Other(number),
        }
    }
}
