//! The messages of raft (`raftpb`), as etcd keeps them in its WAL and its raft snapshots.
//!
//! They are proto2: a field is there or it is not. etcd up to 3.6 writes every number, even 0; from 3.7 on only those
//! that were set. The accessor of each field (`entry.term()`) gives 0 for a missing one. The fields are bare numbers,
//! as the encoding has them; what they name is said by accessors of another name (`state.voted_for()`). Source:
//! `raft.proto` of go.etcd.io/raft v3.6.

use prost::{Enumeration, Message};

use crate::codec::proto::message::{self, Field, FieldKind, Label, field};
use crate::codec::wire::{BadField, WireValue, fields};
use crate::words::ids::{MemberId, RaftIndex, Term};

/// What an [`Entry`]'s data is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum EntryType {
    /// A request, or nothing: a new leader's first entry.
    Normal = 0,
    /// A [`ConfChange`].
    ConfChange = 1,
    /// A [`ConfChangeV2`], which etcd never proposes.
    ConfChangeV2 = 2,
}

/// `raftpb.Entry`: one slot of the raft log.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Entry {
    /// An [`EntryType`].
    #[prost(enumeration = "EntryType", optional, tag = "1")]
    pub kind: Option<i32>,
    /// The term in which the leader made it.
    #[prost(uint64, optional, tag = "2")]
    pub term: Option<u64>,
    /// Its place in the log, from 1.
    #[prost(uint64, optional, tag = "3")]
    pub index: Option<u64>,
    /// The request or the configuration change.
    #[prost(bytes = "vec", optional, tag = "4")]
    pub data: Option<Vec<u8>>,
}

/// An [`Entry`] whose data is borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryView<'a> {
    /// The number of the [`EntryType`].
    pub kind: i32,
    /// The term in which the leader made it.
    pub term: Term,
    /// Its place in the log, from 1.
    pub index: RaftIndex,
    /// The request or the configuration change.
    pub data: Option<&'a [u8]>,
}

impl<'a> EntryView<'a> {
    /// Decodes an entry without copying its data.
    ///
    /// # Errors
    /// The offset of the first field that cannot be.
    pub fn decode(bytes: &'a [u8]) -> Result<EntryView<'a>, BadField> {
        let mut entry = EntryView { kind: 0, term: Term::default(), index: RaftIndex::default(), data: None };
        for item in fields(bytes) {
            match item? {
                (1, WireValue::Varint(n)) => entry.kind = i32::try_from(n).unwrap_or(-1),
                (2, WireValue::Varint(n)) => entry.term = Term::new(n),
                (3, WireValue::Varint(n)) => entry.index = RaftIndex::new(n),
                (4, WireValue::Bytes(data)) => entry.data = Some(data),
                (1..=4, _) => return Err(BadField(0)),
                _ => {}
            }
        }
        Ok(entry)
    }

    /// The type, if it is one that raft knows.
    #[must_use]
    pub fn entry_type(&self) -> Option<EntryType> {
        EntryType::try_from(self.kind).ok()
    }

    /// The data, empty when there is none.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.data.unwrap_or_default()
    }
}

/// `raftpb.HardState`: what a member must remember to keep its promises.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct HardState {
    /// The newest term the member knows.
    #[prost(uint64, optional, tag = "1")]
    pub term: Option<u64>,
    /// The member it voted for in that term, 0 for none.
    #[prost(uint64, optional, tag = "2")]
    pub vote: Option<u64>,
    /// The highest index it knows to be committed.
    #[prost(uint64, optional, tag = "3")]
    pub commit: Option<u64>,
}

impl HardState {
    /// The member it voted for; 0 for none.
    #[must_use]
    pub fn voted_for(&self) -> MemberId {
        MemberId::new(self.vote())
    }

    /// The newest term it knows.
    #[must_use]
    pub fn newest_term(&self) -> Term {
        Term::new(self.term())
    }

    /// The highest index it knows to be committed.
    #[must_use]
    pub fn committed(&self) -> RaftIndex {
        RaftIndex::new(self.commit())
    }
}

/// `raftpb.ConfState`: who votes.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ConfState {
    /// The voting members.
    #[prost(uint64, repeated, packed = "false", tag = "1")]
    pub voters: Vec<u64>,
    /// The members that only listen.
    #[prost(uint64, repeated, packed = "false", tag = "2")]
    pub learners: Vec<u64>,
    /// The voters of the configuration that is being left.
    #[prost(uint64, repeated, packed = "false", tag = "3")]
    pub voters_outgoing: Vec<u64>,
    /// Voters that become learners when the change is through.
    #[prost(uint64, repeated, packed = "false", tag = "4")]
    pub learners_next: Vec<u64>,
    /// Whether the joint configuration is left by itself.
    #[prost(bool, optional, tag = "5")]
    pub auto_leave: Option<bool>,
}

/// What a [`ConfChange`] does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum ConfChangeType {
    /// A voting member joins, or a learner is promoted.
    AddNode = 0,
    /// A member leaves.
    RemoveNode = 1,
    /// A member's peer URLs change.
    UpdateNode = 2,
    /// A learner joins.
    AddLearnerNode = 3,
}

/// `raftpb.ConfChange`: one member joins, leaves or changes.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ConfChange {
    /// etcd's request id.
    #[prost(uint64, optional, tag = "1")]
    pub id: Option<u64>,
    /// A [`ConfChangeType`].
    #[prost(enumeration = "ConfChangeType", optional, tag = "2")]
    pub kind: Option<i32>,
    /// The member.
    #[prost(uint64, optional, tag = "3")]
    pub node_id: Option<u64>,
    /// The member as JSON.
    #[prost(bytes = "vec", optional, tag = "4")]
    pub context: Option<Vec<u8>>,
}

impl ConfChange {
    /// The member that joins, leaves or changes.
    #[must_use]
    pub fn member(&self) -> MemberId {
        MemberId::new(self.node_id())
    }
}

/// One change of a [`ConfChangeV2`].
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct ConfChangeSingle {
    /// A [`ConfChangeType`].
    #[prost(enumeration = "ConfChangeType", optional, tag = "1")]
    pub kind: Option<i32>,
    /// The member.
    #[prost(uint64, optional, tag = "2")]
    pub node_id: Option<u64>,
}

/// `raftpb.ConfChangeV2`: several changes at once. etcd never proposes one.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ConfChangeV2 {
    /// How to go through the joint configuration: 0 auto, 1 implicit, 2 explicit.
    #[prost(int32, optional, tag = "1")]
    pub transition: Option<i32>,
    /// The changes.
    #[prost(message, repeated, tag = "2")]
    pub changes: Vec<ConfChangeSingle>,
    /// For the application.
    #[prost(bytes = "vec", optional, tag = "3")]
    pub context: Option<Vec<u8>>,
}

/// `raftpb.SnapshotMetadata`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct SnapshotMetadata {
    /// Who voted at that index.
    #[prost(message, optional, tag = "1")]
    pub conf_state: Option<ConfState>,
    /// The last index whose effect is in the snapshot.
    #[prost(uint64, optional, tag = "2")]
    pub index: Option<u64>,
    /// The term of that entry.
    #[prost(uint64, optional, tag = "3")]
    pub term: Option<u64>,
}

impl SnapshotMetadata {
    /// The last index whose effect is in the snapshot.
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

/// `raftpb.Snapshot`: the content of a `.snap` file.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Snapshot {
    /// The v2 store as JSON.
    #[prost(bytes = "vec", optional, tag = "1")]
    pub data: Option<Vec<u8>>,
    /// Where in the log it was taken.
    #[prost(message, optional, tag = "2")]
    pub metadata: Option<SnapshotMetadata>,
}

/// The fields of [`Entry`], as etcd's tools print them.
pub static ENTRY: message::Message = message::Message::new(&[
    field(2, "Term", FieldKind::Uint64),
    field(3, "Index", FieldKind::Uint64),
    field(1, "Type", FieldKind::Enum(&["EntryNormal", "EntryConfChange", "EntryConfChangeV2"])),
    field(4, "Data", FieldKind::Bytes).label(Label::Optional),
]);

/// The fields of [`HardState`].
pub static HARD_STATE: message::Message = message::Message::new(&[
    field(1, "term", FieldKind::Uint64),
    field(2, "vote", FieldKind::Uint64).with(Field::HEX),
    field(3, "commit", FieldKind::Uint64),
]);

/// The fields of [`ConfState`].
pub static CONF_STATE: message::Message = message::Message::new(&[
    field(1, "voters", FieldKind::Uint64).with(Field::HEX).label(Label::Repeated),
    field(2, "learners", FieldKind::Uint64).with(Field::HEX).label(Label::Repeated),
    field(3, "voters_outgoing", FieldKind::Uint64).with(Field::HEX).label(Label::Repeated),
    field(4, "learners_next", FieldKind::Uint64).with(Field::HEX).label(Label::Repeated),
    field(5, "auto_leave", FieldKind::Bool),
]);

/// Go's names of the [`ConfChangeType`]s.
pub const CONF_CHANGE_TYPES: &[&str] =
    &["ConfChangeAddNode", "ConfChangeRemoveNode", "ConfChangeUpdateNode", "ConfChangeAddLearnerNode"];

/// The fields of [`ConfChange`].
pub static CONF_CHANGE: message::Message = message::Message::new(&[
    field(2, "type", FieldKind::Enum(CONF_CHANGE_TYPES)),
    field(3, "node_id", FieldKind::Uint64).with(Field::HEX),
    field(4, "context", FieldKind::Bytes).label(Label::Optional),
    field(1, "id", FieldKind::Uint64).with(Field::HEX),
]);

static CONF_CHANGE_SINGLE: message::Message = message::Message::new(&[
    field(1, "type", FieldKind::Enum(CONF_CHANGE_TYPES)),
    field(2, "node_id", FieldKind::Uint64).with(Field::HEX),
]);

/// The fields of [`ConfChangeV2`].
pub static CONF_CHANGE_V2: message::Message = message::Message::new(&[
    field(
        1,
        "transition",
        FieldKind::Enum(&[
            "ConfChangeTransitionAuto",
            "ConfChangeTransitionJointImplicit",
            "ConfChangeTransitionJointExplicit",
        ]),
    ),
    field(2, "changes", FieldKind::Message(&CONF_CHANGE_SINGLE)).label(Label::Repeated),
    field(3, "context", FieldKind::Bytes).label(Label::Optional),
]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_field_reads_as_zero_and_stays_missing() {
        let entry = Entry::decode(&[0x10, 0x02, 0x18, 0x03][..]).unwrap();
        assert_eq!(
            (entry.kind(), entry.term(), entry.index(), entry.data()),
            (EntryType::Normal, 2, 3, &[][..])
        );
        assert_eq!((entry.kind, entry.data.as_deref()), (None, None));
        assert_eq!(entry.encode_to_vec(), [0x10, 0x02, 0x18, 0x03]);
    }

    #[test]
    fn a_conf_state_reads_packed_and_unpacked_and_writes_unpacked() {
        let unpacked = ConfState::decode(&[0x08, 0x01, 0x08, 0x02, 0x28, 0x00][..]).unwrap();
        let packed = ConfState::decode(&[0x0a, 0x02, 0x01, 0x02, 0x28, 0x00][..]).unwrap();
        assert_eq!(unpacked, packed);
        assert_eq!(packed.encode_to_vec(), [0x08, 0x01, 0x08, 0x02, 0x28, 0x00]);
    }

    #[test]
    fn the_borrowed_entry_equals_the_owned_one() {
        let owned = Entry { kind: Some(1), term: Some(7), index: Some(9), data: Some(b"abc".to_vec()) };
        let bytes = owned.encode_to_vec();
        let view = EntryView::decode(&bytes).unwrap();
        assert_eq!(
            view,
            EntryView { kind: 1, term: Term::new(7), index: RaftIndex::new(9), data: Some(b"abc") }
        );
        assert!(EntryView::decode(&[0x12, 0x01, 0x00]).is_err(), "the term must be a varint");
    }
}
