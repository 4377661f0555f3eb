//! All that one pass over a log gives to those who judge it, apply it and compare it with others.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::body::Body;
use super::fault::Fault;
use super::log::{EntryRef, Log};
use super::reader::{Scan, Visit};
use super::summary::Summary;
use super::terms::Terms;
use crate::codec::to_u64;
use crate::raft::{EntryType, EntryView};
use crate::words::ids::RaftIndex;

/// What a log holds: positions of entries, not their data, so that memory does not grow with the log's bytes.
#[derive(Debug, Clone, Default)]
pub struct Read {
    /// Counts, snapshots, the last hard state, how it ends.
    pub summary: Summary,
    /// What is wrong with it, in the order it was met.
    pub faults: Vec<Fault>,
    /// Which entries it holds, of which term.
    pub terms: Terms,
    /// Its changes of members, by raft index: each a `raftpb.ConfChange`.
    pub conf_changes: BTreeMap<RaftIndex, Vec<u8>>,
    /// The index after which `entries` begin.
    pub after: RaftIndex,
    /// Where the entries after that index are, in index order, each index once.
    pub entries: Vec<EntryRef>,
    /// Position of the segment that holds the last hard state.
    pub state_segment: usize,
    /// Whether the caller stopped the reading: then the rest means nothing.
    pub stopped: bool,
    /// Whether an entry up to `after` was written again after one past it: a log that starts at `after` cannot tell.
    rewritten: bool,
}

impl Read {
    /// Whether a reading that began in segment `start` with the entries after [`Read::after`] would have come to the
    /// same: nothing is wrong, the first entry is the next one, and the hard state is from there on.
    #[must_use]
    pub fn tells_of_the_rest(&self, start: usize) -> bool {
        let next = match self.entries.first() {
            Some(first) => first.index == self.after.next(),
            None => self.summary.commit() <= self.after.get(),
        };
        next && self.faults.is_empty() && !self.stopped && !self.rewritten && self.state_segment >= start
    }

    fn record(&mut self, visit: &Visit<'_, '_>) {
        match visit.body {
            Body::Entry { entry, kept } => {
                // A later entry replaces those from its index on, also where it is not kept itself.
                self.conf_changes.split_off(&entry.index);
                if *kept {
                    self.entry(entry, visit);
                }
            }
            Body::State(_) => self.state_segment = visit.segment,
            _ => {}
        }
    }

    fn entry(&mut self, entry: &EntryView<'_>, visit: &Visit<'_, '_>) {
        self.terms.add(entry.index.get(), entry.term.get());
        if entry.entry_type() == Some(EntryType::ConfChange) {
            self.conf_changes.insert(entry.index, entry.bytes().to_vec());
        }
        if entry.index > self.after {
            EntryRef::of(entry, visit).replace_from(&mut self.entries);
        } else {
            self.rewritten |= !self.entries.is_empty();
        }
    }
}

impl Log<'_> {
    /// Reads the log once, and keeps where the entries after index `after` are. `each` hears the bytes of every
    /// record's payload, and may stop the reading; `entry` sees each entry that belongs to the log as it stands
    /// there: a later one replaces those from its index on.
    pub fn read(
        &self,
        after: RaftIndex,
        each: &mut dyn FnMut(u64) -> ControlFlow<()>,
        entry: &mut dyn FnMut(&EntryView<'_>),
    ) -> Read {
        let mut read = Read { after, ..Read::default() };
        let mut faults = Vec::new();
        read.summary = self.scan(Scan::default(), &mut |fault| faults.push(fault), &mut |visit| {
            read.record(&visit);
            if let Body::Entry { entry: seen, kept: true } = visit.body {
                entry(seen);
            }
            let flow = each(to_u64(visit.record.bytes().len()));
            read.stopped |= flow.is_break();
            flow
        });
        read.faults = faults;
        read
    }
}
