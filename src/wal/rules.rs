//! What etcd never writes, though a checksum cannot tell: the checksum covers a record's data, not its type.

use super::log::Body;
use super::record::Kind;
use super::segment::Record;
use crate::codec::wire::fields;
use crate::words::finding::{Code, Severity};
use crate::words::ids::{RaftIndex, Term};

/// A rule that a record breaks.
pub(super) struct Broken {
    pub code: Code,
    pub severity: Severity,
    pub detail: String,
}

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

    /// Looks at one record.
    pub fn record(&mut self, body: &Body<'_>, record: &Record<'_>) -> Option<Broken> {
        let (place, empty) = (self.place, record.data.is_none());
        self.place = place.saturating_add(1);
        let wrong =
            |detail: String| Some(Broken { code: Code::WalRecord, severity: Severity::Damage, detail });
        match (place, body) {
            (_, Body::Unreadable) => return None,
            (0, Body::Crc) | (1, Body::Metadata(_)) => {}
            (0, _) => return wrong("the segment does not begin with a checksum record".to_owned()),
            (1, _) => return wrong("the segment's second record is not its metadata".to_owned()),
            (_, Body::Crc | Body::Metadata(_)) => {
                return wrong(format!("a record of a segment's head in the middle of it (record {place})"));
            }
            _ => {}
        }
        // A record under another's type decodes, with fields that its type does not have.
        let known = match record.kind {
            Kind::Metadata => 2,
            Kind::Entry => 4,
            Kind::State | Kind::Snapshot => 3,
            Kind::Crc | Kind::Other(_) => u32::MAX,
        };
        if let Some((number, _)) = fields(record.bytes()).flatten().find(|(number, _)| *number > known) {
            return wrong(format!(
                "record type {}: it has a field {number}, which etcd never writes there",
                record.kind.number()
            ));
        }
        match body {
            Body::Entry { entry, .. } => {
                if entry.index == RaftIndex::default() {
                    return wrong("an entry with index 0".to_owned());
                }
                if entry.entry_type().is_none() || (entry.kind != 0 && entry.bytes().is_empty()) {
                    let (kind, len) = (entry.kind, entry.bytes().len());
                    return wrong(format!(
                        "raft index {}: an entry of type {kind} with {len} bytes of data",
                        entry.index
                    ));
                }
                let before = self.entry.replace((entry.index, entry.term));
                match before {
                    Some((index, term)) if entry.index.since(index) == Some(1) && term > entry.term => {
                        wrong(format!(
                            "raft index {}: term {} after index {index} of term {term}",
                            entry.index, entry.term
                        ))
                    }
                    _ => None,
                }
            }
            Body::State(state) => {
                let (term, commit) = (state.term(), state.commit());
                if empty || (term == 0 && commit == 0) {
                    return wrong("an empty hard state".to_owned());
                }
                if let Some((old_term, old_commit)) = self.state.replace((term, commit))
                    && (term < old_term || commit < old_commit)
                {
                    let what = format!(
                        "the hard state goes back from term {old_term}, commit {old_commit} to term {term}, commit {commit}"
                    );
                    return wrong(what);
                }
                None
            }
            Body::Snapshot(_) => {
                if empty {
                    return wrong("a snapshot record without data".to_owned());
                }
                None
            }
            _ => None,
        }
    }
}
