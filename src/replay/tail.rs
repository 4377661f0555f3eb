//! The part of a log that a database lacks.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::path::Path;

use super::member_log::MemberLog;
use super::options::Damage;
use crate::raft::{Entry, EntryView};
use crate::wal::writer::SEGMENT_SIZE;
use crate::wal::{Body, End, EntryRef, Fault, Log, LogCursor, Scan, SnapshotRecord, Summary, Terms};
use crate::words::error::{At, Corrupt, Error, Result};
use crate::words::finding::{Code, Finding};
use crate::words::ids::{RaftIndex, Term};
use crate::words::monitor::Monitor;

/// The entries of a log after the last one in a database.
pub(super) struct Tail<'l> {
    log: Log<'l>,
    /// The directory of the log.
    pub place: &'l Path,
    /// Where they are, in index order.
    pub entries: Cow<'l, [EntryRef]>,
    /// What the log holds, from the segment on in which they begin.
    pub summary: Cow<'l, Summary>,
    /// The terms of all entries, where the whole log was read.
    terms: Option<&'l Terms>,
}

impl<'l> Tail<'l> {
    /// Finds the entries after `from`.
    ///
    /// # Errors
    /// [`Error::Damaged`] when some are missing, or, unless that is allowed, something is wrong from there on.
    pub fn after(
        from: RaftIndex,
        member: &'l MemberLog,
        damage: Damage,
        monitor: &dyn Monitor,
    ) -> Result<Tail<'l>> {
        let (whole, place) = (member.log(), member.place());
        let rest = whole.select(from.get()).map_err(|corrupt| Error::damaged(place, corrupt))?;
        let start = whole.segments().len().saturating_sub(rest.segments().len());
        let read = member.read(monitor)?;
        let tail = if read.after == from && read.tells_of_the_rest(start) {
            Tail {
                log: whole,
                place,
                entries: Cow::Borrowed(&read.entries),
                summary: Cow::Borrowed(&read.summary),
                terms: Some(&read.terms),
            }
        } else {
            // What is wrong before the database's index does not matter here.
            let mut faults = Vec::new();
            let scan = Scan { after: Some(from.get()), raw: false };
            let (entries, summary) = rest.entries(scan, &mut |fault| faults.push(fault));
            refuse(&rest, faults, damage)?;
            Tail { log: rest, place, entries: entries.into(), summary: Cow::Owned(summary), terms: None }
        };
        tail.check_start(from)?;
        Ok(tail)
    }

    /// Refuses a log that does not go on where the database ends.
    fn check_start(&self, from: RaftIndex) -> Result<()> {
        let next = from.next();
        let commit = RaftIndex::new(self.summary.commit());
        let missing = match self.entries.first().map(|entry| entry.index) {
            Some(first) => (first != next).then(|| RaftIndex::new(first.get().saturating_sub(1))),
            None => (commit > from && self.summary.complete).then_some(commit),
        };
        let Some(to) = missing else { return Ok(()) };
        let what =
            format!("the database is at index {from}, and the log does not hold the entries {next} to {to}");
        Err(Error::damaged(self.place, Corrupt::new(Code::WalStart, At::default().index(next), what)))
    }

    /// The entries that are known to be committed, and those past them.
    pub fn by_commit(&self) -> (&[EntryRef], &[EntryRef]) {
        let commit = self.summary.commit();
        self.entries.split_at(self.entries.partition_point(|entry| entry.index.get() <= commit))
    }

    /// The end of a log that may have been cut off between two records.
    pub fn short(&self) -> Option<Finding> {
        let last = self.log.segments().last()?;
        // Segments are made this long; only a finished one ends with its last record.
        let clean = matches!(self.summary.end(), Some(End::CleanEof));
        (clean && last.source.len() < SEGMENT_SIZE).then(|| {
            let what = format!(
                "the segment ends with its last record at {} bytes; etcd makes segments of {SEGMENT_SIZE}",
                last.source.len()
            );
            Finding::new(Code::WalShort, &last.source.name(), At::offset(last.source.len()), what)
        })
    }

    /// The term of an entry, 0 when it is not there.
    pub fn term_of(&self, index: RaftIndex) -> Term {
        let recorded = self.summary.snapshots.iter().find(|s| s.last_index() == index);
        let recorded = recorded.map_or_else(Term::default, SnapshotRecord::last_term);
        if let Some(terms) = self.terms {
            return terms.at(index.get()).map_or(recorded, Term::new);
        }
        let mut term = recorded;
        self.log.scan(Scan::default(), &mut |_| {}, &mut |visit| {
            if let Body::Entry { entry, .. } = visit.body
                && entry.index == index
            {
                term = entry.term;
            }
            ControlFlow::Continue(())
        });
        term
    }

    /// Reads entries again, in order.
    pub fn each(&self, entries: &[EntryRef], mut each: impl FnMut(&EntryView<'_>)) -> Result<()> {
        let all = |entry: &EntryView<'_>| {
            each(entry);
            Ok(ControlFlow::Continue(()))
        };
        self.each_until(entries, all).map(drop)
    }

    /// Reads entries again, in order, until `each` says that it is enough; whether it did.
    pub fn each_until(
        &self,
        entries: &[EntryRef],
        mut each: impl FnMut(&EntryView<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<ControlFlow<()>> {
        let mut cursor = LogCursor::default();
        for entry in entries {
            let view =
                self.log.reread(entry, &mut cursor).map_err(|corrupt| Error::damaged(self.place, corrupt))?;
            if each(&view)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Copies of entries, to be written to a new log.
    pub fn copies(&self, entries: &[EntryRef]) -> Result<Vec<Entry>> {
        let mut copies = Vec::new();
        self.each(entries, |entry| {
            copies.push(Entry {
                kind: Some(entry.kind),
                term: Some(entry.term.get()),
                index: Some(entry.index.get()),
                data: entry.data.map(<[u8]>::to_vec),
            });
        })?;
        Ok(copies)
    }
}

/// The first damage as an error, unless it is allowed.
fn refuse(log: &Log<'_>, faults: Vec<Fault>, damage: Damage) -> Result<()> {
    let first = faults.into_iter().find(|fault| !fault.harmless);
    let Some(Fault { segment, corrupt, .. }) = first.filter(|_| damage == Damage::Refuse) else {
        return Ok(());
    };
    let path = log.segments().get(segment).map_or(Path::new(""), |segment| segment.source.path());
    Err(Error::damaged(path, Box::new(corrupt)))
}
