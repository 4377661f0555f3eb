//! What etcd never writes, though a checksum cannot tell: the checksum covers a record's data, not its type.

use super::body::Body;
use super::record::RecordKind;
use super::segment::Record;
use crate::codec::wire::fields;
use crate::raft::{EntryView, HardState};
use crate::words::ids::{RaftIndex, Term};

/// The state the rules need, over a whole log.
#[derive(Debug, Default)]
pub(super) struct Rules {
    /// Records of this segment so far.
    place: u64,
    /// Term and commit index of the last hard state.
    state: Option<(u64, u64)>,
    /// Index and term of the last entry.
    entry: Option<(RaftIndex, Term)>,
}

impl Rules {
    /// A segment begins.
    pub fn segment(&mut self) {
        self.place = 0;
    }

    /// Looks at one record; gives the rule that it breaks, in words.
    pub fn record(&mut self, body: &Body<'_>, record: &Record<'_>) -> Option<String> {
        let place = self.place;
        self.place = place.saturating_add(1);
        if matches!(body, Body::Unreadable) {
            return None;
        }
        misplaced(place, body).or_else(|| unknown_field(record)).or_else(|| match body {
            Body::Entry { entry, .. } => self.entry(entry),
            Body::State(state) => self.state(state, record.data.is_none()),
            Body::Snapshot(_) => record.data.is_none().then(|| "a snapshot record without data".to_owned()),
            _ => None,
        })
    }

    fn entry(&mut self, entry: &EntryView<'_>) -> Option<String> {
        if entry.index == RaftIndex::default() {
            return Some("an entry with index 0".to_owned());
        }
        if entry.entry_type().is_none() || (entry.kind != 0 && entry.bytes().is_empty()) {
            let (kind, len) = (entry.kind, entry.bytes().len());
            return Some(format!(
                "raft index {}: an entry of type {kind} with {len} bytes of data",
                entry.index
            ));
        }
        let (index, term) = self.entry.replace((entry.index, entry.term))?;
        (index.next() == entry.index && term > entry.term).then(|| {
            format!("raft index {}: term {} after index {index} of term {term}", entry.index, entry.term)
        })
    }

    fn state(&mut self, state: &HardState, empty: bool) -> Option<String> {
        let (term, commit) = (state.term(), state.commit());
        if empty || (term == 0 && commit == 0) {
            return Some("an empty hard state".to_owned());
        }
        let (old_term, old_commit) = self.state.replace((term, commit))?;
        (term < old_term || commit < old_commit).then(|| {
            format!(
                "the hard state goes back from term {old_term}, commit {old_commit} to term {term}, commit {commit}"
            )
        })
    }
}

/// A segment begins with a checksum record and its metadata, and has no other of them.
fn misplaced(place: u64, body: &Body<'_>) -> Option<String> {
    match (place, body) {
        (0, Body::Crc) | (1, Body::Metadata(_)) => None,
        (0, _) => Some("the segment does not begin with a checksum record".to_owned()),
        (1, _) => Some("the segment's second record is not its metadata".to_owned()),
        (_, Body::Crc | Body::Metadata(_)) => {
            Some(format!("a record of a segment's head in the middle of it (record {place})"))
        }
        _ => None,
    }
}

/// A record under another's type decodes, with fields that its type does not have.
fn unknown_field(record: &Record<'_>) -> Option<String> {
    let known = match record.kind {
        RecordKind::Metadata => 2,
        RecordKind::Entry => 4,
        RecordKind::State | RecordKind::Snapshot => 3,
        RecordKind::Crc | RecordKind::Other(_) => u32::MAX,
    };
    let (number, _) = fields(record.bytes()).flatten().find(|(number, _)| *number > known)?;
    let kind = record.kind.number();
    Some(format!("record type {kind}: it has a field {number}, which etcd never writes there"))
}
