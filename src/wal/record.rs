//! What is inside a frame: `walpb.Record`, and the payloads that are the WAL's own.

use prost::Message;

use crate::codec::proto::message::{self, Field, Label, field};
use crate::codec::wire::{BadField, WireValue, fields};
use crate::raft::{CONF_STATE, ConfState};
use crate::words::ids::{ClusterId, MemberId, RaftIndex, Term};

/// The type of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecordKind {
    /// 1: node and cluster id.
    Metadata,
    /// 2: a raft entry.
    Entry,
    /// 3: a hard state.
    State,
    /// 4: the value the checksum chain goes on with.
    Crc,
    /// 5: a snapshot was taken or received.
    Snapshot,
    /// Not a type of etcd's.
    Other(i64),
}

impl RecordKind {
    /// The type of that number.
    #[must_use]
    pub fn of(number: i64) -> RecordKind {
        match number {
            1 => RecordKind::Metadata,
            2 => RecordKind::Entry,
            3 => RecordKind::State,
            4 => RecordKind::Crc,
            5 => RecordKind::Snapshot,
            other => RecordKind::Other(other),
        }
    }

    /// The number on disk.
    #[must_use]
    pub fn number(self) -> i64 {
        match self {
            RecordKind::Metadata => 1,
            RecordKind::Entry => 2,
            RecordKind::State => 3,
            RecordKind::Crc => 4,
            RecordKind::Snapshot => 5,
            RecordKind::Other(other) => other,
        }
    }
}

/// `walpb.Record`, its data borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordView<'a> {
    /// Field 1.
    pub kind: RecordKind,
    /// Field 2: the checksum chain after this record's data.
    pub crc: u32,
    /// Field 3.
    pub data: Option<&'a [u8]>,
}

impl<'a> RecordView<'a> {
    /// Decodes a record without copying. A missing number is 0.
    ///
    /// # Errors
    /// The offset of the first field that cannot be.
    pub fn decode(bytes: &'a [u8]) -> Result<RecordView<'a>, BadField> {
        let mut envelope = RecordView { kind: RecordKind::Other(0), crc: 0, data: None };
        for item in fields(bytes) {
            match item? {
                (1, WireValue::Varint(n)) => envelope.kind = RecordKind::of(n.cast_signed()),
                // A uint32 is the low 32 bits of its varint.
                (2, WireValue::Varint(n)) => {
                    envelope.crc = u32::try_from(n & u64::from(u32::MAX)).unwrap_or_default()
                }
                (3, WireValue::Bytes(data)) => envelope.data = Some(data),
                (1..=3, _) => return Err(BadField(0)),
                _ => {}
            }
        }
        Ok(envelope)
    }
}

/// `etcdserverpb.Metadata`: whose WAL this is.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Metadata {
    /// The member.
    #[prost(uint64, optional, tag = "1")]
    pub node_id: Option<u64>,
    /// The cluster.
    #[prost(uint64, optional, tag = "2")]
    pub cluster_id: Option<u64>,
}

impl Metadata {
    /// Whose log it is; 0 if the record does not say.
    #[must_use]
    pub fn member(&self) -> MemberId {
        MemberId::new(self.node_id())
    }

    /// Of which cluster; 0 if the record does not say.
    #[must_use]
    pub fn cluster(&self) -> ClusterId {
        ClusterId::new(self.cluster_id())
    }
}

/// `walpb.Snapshot`: up to which index a snapshot holds everything.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct SnapshotRecord {
    /// The last index in the snapshot.
    #[prost(uint64, optional, tag = "1")]
    pub index: Option<u64>,
    /// The term of that entry.
    #[prost(uint64, optional, tag = "2")]
    pub term: Option<u64>,
    /// Who voted at that index; written since 3.5.
    #[prost(message, optional, tag = "3")]
    pub conf_state: Option<ConfState>,
}

impl SnapshotRecord {
    /// The last index in the snapshot.
    #[must_use]
    pub fn last_index(&self) -> RaftIndex {
        RaftIndex::new(self.index())
    }

    /// The term of that entry.
    #[must_use]
    pub fn last_term(&self) -> Term {
        Term::new(self.term())
    }
}

/// The fields of [`Metadata`], as etcd's tools print them.
pub static METADATA: message::Message = message::Message::new(&[
    field(1, "NodeID", message::FieldKind::Uint64).with(Field::HEX),
    field(2, "ClusterID", message::FieldKind::Uint64).with(Field::HEX),
]);

/// The fields of [`SnapshotRecord`].
pub static SNAPSHOT: message::Message = message::Message::new(&[
    field(1, "index", message::FieldKind::Uint64),
    field(2, "term", message::FieldKind::Uint64),
    field(3, "conf_state", message::FieldKind::Message(&CONF_STATE)).label(Label::Optional),
]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_envelope_borrows_its_data() {
        let bytes = [0x08, 0x01, 0x10, 0x99, 0xb5, 0xe4, 0xd0, 0x03, 0x1a, 0x04, 0x08, 0xef, 0xfd, 0x02];
        let envelope = RecordView::decode(&bytes).unwrap();
        assert_eq!(
            envelope,
            RecordView {
                kind: RecordKind::Metadata,
                crc: 0x3a19_1a99,
                data: Some(&[0x08, 0xef, 0xfd, 0x02])
            }
        );
        assert_eq!(crate::codec::checksum::crc32c(0, envelope.data.unwrap()), 0x3a19_1a99);
    }

    #[test]
    fn a_type_past_five_is_kept_as_it_is() {
        let envelope = RecordView::decode(&[0x08, 0xcd, 0xd7, 0x02, 0x10, 0x00]).unwrap();
        assert_eq!(envelope.kind, RecordKind::Other(0xabcd));
        assert_eq!(envelope.kind.number(), 0xabcd);
        assert_eq!(RecordView::decode(&[]).unwrap().kind, RecordKind::Other(0));
    }
}
