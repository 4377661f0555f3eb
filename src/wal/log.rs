//! A whole log: its segments in order, read as etcd reads them (`wal.ReadAll`, `wal.ValidSnapshotEntries` @ v3.6.14).

use std::ops::ControlFlow;

use super::body::Body;
use super::fault::Fault;
use super::name::{FileKind, SegmentName, classify, search, sequence_gap};
use super::reader::{Reader, Scan, Visit};
use super::segment::Segment;
use super::summary::Summary;
use crate::io::{Source, Window};
use crate::raft::EntryView;
use crate::words::error::{At, Corrupt};
use crate::words::finding::Code;
use crate::words::ids::{RaftIndex, Term};

/// One segment of a log.
#[derive(Debug, Clone, Copy)]
pub struct LogSegment<'a> {
    /// Its name.
    pub name: SegmentName,
    /// Its bytes.
    pub source: &'a Source,
}

/// Where an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryRef {
    /// Position of the segment in the log.
    pub segment: usize,
    /// Where its record's frame begins.
    pub offset: u64,
    /// Raft index.
    pub index: RaftIndex,
    /// Raft term.
    pub term: Term,
}

impl EntryRef {
    /// Where the entry is that a scan shows.
    #[must_use]
    pub fn of(entry: &EntryView<'_>, visit: &Visit<'_, '_>) -> EntryRef {
        let (segment, offset) = (visit.segment, visit.record.offset);
        EntryRef { segment, offset, index: entry.index, term: entry.term }
    }

    /// Puts it behind those that come before it; a later entry replaces those from its index on.
    pub(super) fn replace_from(self, entries: &mut Vec<EntryRef>) {
        entries.truncate(entries.partition_point(|entry| entry.index < self.index));
        entries.push(self);
    }
}

/// The segments of a log, oldest first.
#[derive(Debug, Clone)]
pub struct Log<'a> {
    segments: Vec<LogSegment<'a>>,
}

impl<'a> Log<'a> {
    /// The segments among these files, by name; other names are passed over.
    pub fn new(files: impl IntoIterator<Item = (&'a str, &'a Source)>) -> Log<'a> {
        let segment = |(name, source)| match classify(name) {
            FileKind::Segment(name) => Some(LogSegment { name, source }),
            _ => None,
        };
        let mut segments: Vec<_> = files.into_iter().filter_map(segment).collect();
        segments.sort_by_key(|segment| segment.name);
        Log { segments }
    }

    /// The segments among these files, by their own names.
    pub fn of(files: impl IntoIterator<Item = &'a Source>) -> Log<'a> {
        let named = |file: &'a Source| {
            (file.path().file_name().and_then(|name| name.to_str()).unwrap_or_default(), file)
        };
        Log::new(files.into_iter().map(named))
    }

    /// The segments, oldest first.
    #[must_use]
    pub fn segments(&self) -> &[LogSegment<'a>] {
        &self.segments
    }

    fn names(&self) -> Vec<SegmentName> {
        self.segments.iter().map(|segment| segment.name).collect()
    }

    /// The segments from the one on that holds the entries after `index` (`wal.selectWALFiles`).
    ///
    /// # Errors
    /// `wal-sequence` when every segment begins later.
    pub fn select(&self, index: u64) -> Result<Log<'a>, Box<Corrupt>> {
        let Some(from) = search(&self.names(), index.into()) else {
            let first = self.segments.first().map_or(0, |segment| segment.name.index.get());
            let what = format!(
                "no segment holds the entries after raft index {index}: the oldest begins at {first}"
            );
            return Err(Corrupt::new(Code::WalSequence, At::default().index(index), what));
        };
        Ok(Log { segments: self.segments.get(from..).unwrap_or_default().to_vec() })
    }

    /// Reads the log once, front to back, in flat memory. Every record goes to `visit`, which may stop the reading;
    /// everything that is wrong goes to `found`.
    pub fn scan(
        &self,
        scan: Scan,
        found: &mut dyn FnMut(Fault),
        visit: &mut dyn FnMut(Visit<'_, '_>) -> ControlFlow<()>,
    ) -> Summary {
        let names = self.names();
        let mut reader = Reader::new(scan, found);
        let gap = sequence_gap(&names);
        let mut before = None;
        for (position, segment) in self.segments.iter().enumerate() {
            if let Some(before) = before.filter(|_| gap == Some(position))
                && !reader.skip_missing(position, before)
            {
                break;
            }
            before = Some(segment.name);
            let last = position.saturating_add(1) == names.len();
            if reader.segment(position, (segment.name, segment.source), last, visit).is_break() {
                break;
            }
        }
        reader.check_commit(names.last().copied());
        reader.summary
    }

    /// Where the entries after [`Scan::after`] are, in index order, each index once: a later entry replaces those
    /// from its index on.
    pub fn entries(&self, scan: Scan, found: &mut dyn FnMut(Fault)) -> (Vec<EntryRef>, Summary) {
        let mut entries: Vec<EntryRef> = Vec::new();
        let summary = self.scan(scan, found, &mut |visit| {
            if let Body::Entry { entry, kept: true } = visit.body {
                EntryRef::of(entry, &visit).replace_from(&mut entries);
            }
            ControlFlow::Continue(())
        });
        (entries, summary)
    }

    /// Reads an entry again that reading found, through a cursor of the caller's that makes reading in order cheap.
    ///
    /// # Errors
    /// When the file is not what it was.
    pub fn reread<'w>(
        &self,
        entry: &EntryRef,
        cursor: &'w mut LogCursor,
    ) -> Result<EntryView<'w>, Box<Corrupt>>
    where
        'a: 'w,
    {
        let gone = || {
            Corrupt::new(
                Code::Unreadable,
                At::offset(entry.offset).index(entry.index),
                "the entry read here before is gone",
            )
        };
        let segment = self.segments.get(entry.segment).ok_or_else(gone)?;
        if cursor.segment != Some(entry.segment) {
            *cursor = LogCursor { segment: Some(entry.segment), window: Window::new() };
        }
        let record = Segment::reread(segment.source, &mut cursor.window, entry.offset)?;
        let view = EntryView::decode(record.data.unwrap_or_default()).map_err(|_| gone())?;
        if view.index == entry.index && view.term == entry.term { Ok(view) } else { Err(gone()) }
    }
}

/// What [`Log::reread`] keeps between calls: the bytes around the last entry. For one log only.
#[derive(Debug, Default)]
pub struct LogCursor {
    segment: Option<usize>,
    window: Window,
}
