//! What an entry holds, and which entries are wanted.

use prost::Message;

use crate::codec::proto::tree::{Decoded, Node};
use crate::etcd::request::{Tree, tree};
use crate::raft::{ConfChange, EntryType, EntryView};

/// Which entries: the names of etcd-dump-logs' `--entry-type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryFilter {
    /// Membership changes.
    ConfigChange,
    /// Every entry of type normal.
    Normal,
    /// Bare v2 requests.
    Request,
    /// Everything that is an `InternalRaftRequest`.
    InternalRaftRequest,
    /// `InternalRaftRequest`s in which the field of this name is set.
    Having(&'static str),
}

impl EntryFilter {
    /// The filters by their names.
    pub const NAMES: &'static [(&'static str, EntryFilter)] = &[
        ("ConfigChange", EntryFilter::ConfigChange),
        ("Normal", EntryFilter::Normal),
        ("Request", EntryFilter::Request),
        ("InternalRaftRequest", EntryFilter::InternalRaftRequest),
        ("IRRRange", EntryFilter::Having("range")),
        ("IRRPut", EntryFilter::Having("put")),
        ("IRRDeleteRange", EntryFilter::Having("delete_range")),
        ("IRRTxn", EntryFilter::Having("txn")),
        ("IRRCompaction", EntryFilter::Having("compaction")),
        ("IRRLeaseGrant", EntryFilter::Having("lease_grant")),
        ("IRRLeaseRevoke", EntryFilter::Having("lease_revoke")),
        ("IRRLeaseCheckpoint", EntryFilter::Having("lease_checkpoint")),
    ];

    /// The filter of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<EntryFilter> {
        EntryFilter::NAMES.iter().find(|(known, _)| *known == name).map(|(_, filter)| *filter)
    }

    pub(super) fn passes(self, payload: &Payload<'_>) -> bool {
        match (self, payload) {
            (EntryFilter::ConfigChange, Payload::ConfChange(_))
            | (EntryFilter::Normal, Payload::Request(_) | Payload::V2(_) | Payload::Unknown)
            | (EntryFilter::Request, Payload::V2(_))
            | (EntryFilter::InternalRaftRequest, Payload::Request(_)) => true,
            (EntryFilter::Having(name), Payload::Request(node)) => node.root().has(name),
            _ => false,
        }
    }
}

/// What an entry holds.
#[derive(Debug, Clone)]
pub enum Payload<'a> {
    /// An `InternalRaftRequest`; an empty one for a new leader's first entry.
    Request(Decoded<'a>),
    /// A bare v2 request.
    V2(Decoded<'a>),
    /// A membership change; `None` when it does not decode.
    ConfChange(Option<ConfChange>),
    /// A normal entry whose data is neither request.
    Unknown,
    /// An entry of a type etcd never writes.
    Other,
}

impl Payload<'_> {
    /// Decodes an entry's data.
    #[must_use]
    pub fn of<'a>(entry: &EntryView<'a>) -> Payload<'a> {
        match entry.entry_type() {
            Some(EntryType::Normal) => match tree(entry.bytes()) {
                Tree::V3(node) => Payload::Request(node),
                Tree::V2(node) => Payload::V2(node),
                Tree::Unknown => Payload::Unknown,
            },
            Some(EntryType::ConfChange) => Payload::ConfChange(ConfChange::decode(entry.bytes()).ok()),
            _ => Payload::Other,
        }
    }

    /// Whether it holds a password or a token.
    #[must_use]
    pub fn has_secret(&self) -> bool {
        match self {
            Payload::Request(node) => node.has_secret() || node.root().message("v2").is_some_and(is_v2_user),
            Payload::V2(node) => is_v2_user(node.root()),
            _ => false,
        }
    }
}

/// The v2 store kept users, with their password hashes, under this path.
fn is_v2_user(node: Node<'_, '_>) -> bool {
    node.bytes("Path").starts_with(b"/2/users") && node.has("Val")
}
