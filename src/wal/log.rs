//! A whole log: its segments in order, read as etcd reads them (`wal.ReadAll`, `wal.ValidSnapshotEntries` @ v3.6.14).

use std::ops::ControlFlow;

use prost::Message;

use super::name::{FileKind, SegmentName, classify, search, sequence_gap};
use super::record::{Kind, Metadata, Snapshot};
use super::rules::Rules;
use super::segment::{AtBoot, End, Record, Segment};
use crate::io::{Source, Window};
use crate::raft::{EntryView, HardState};
use crate::words::error::{At, Corrupt};
use crate::words::finding::{Code, Finding, Severity};
use crate::words::ids::{RaftIndex, Term};

/// One segment of a log.
#[derive(Debug, Clone, Copy)]
pub struct LogSegment<'a> {
    /// Its name.
    pub name: SegmentName,
    /// Its bytes.
    pub source: &'a Source,
}

/// The segments of a log, oldest first.
#[derive(Debug, Clone)]
pub struct Log<'a> {
    segments: Vec<LogSegment<'a>>,
}

/// How to read a log.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scan {
    /// Keep the entries after this index, as etcd does after its snapshot; `None` keeps all.
    pub after: Option<u64>,
    /// Read on after a wrong checksum or a record that etcd never writes, instead of stopping there.
    pub raw: bool,
}

/// A record's payload, decoded.
#[derive(Debug, Clone, PartialEq)]
pub enum Body<'r> {
    /// Whose log it is.
    Metadata(Metadata),
    /// A raft entry.
    Entry {
        /// The entry.
        entry: EntryView<'r>,
        /// Whether it belongs to the log as it stands here: after [`Scan::after`], no gap before it.
        kept: bool,
    },
    /// A hard state.
    State(HardState),
    /// A checksum to go on with.
    Crc,
    /// A snapshot was taken or received.
    Snapshot(Snapshot),
    /// Its payload does not decode, or in raw mode its checksum is wrong and so is the payload.
    Unreadable,
    /// A type that etcd does not have.
    Other(i64),
}

/// What a scan shows its visitor: one record.
#[derive(Debug)]
pub struct Visit<'r, 'd> {
    /// Position of the segment in the log.
    pub segment: usize,
    /// The record.
    pub record: &'r Record<'d>,
    /// Its payload.
    pub body: &'r Body<'d>,
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

/// How one segment was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentSummary {
    /// Its name.
    pub name: SegmentName,
    /// Records read.
    pub records: u64,
    /// Bytes used by them: the last good offset.
    pub used: u64,
    /// How they ended; `None` when reading stopped before.
    pub end: Option<End>,
}

/// Records by type.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Metadata records, one a segment.
    pub metadata: u64,
    /// Entry records, overridden ones included.
    pub entries: u64,
    /// Hard states.
    pub states: u64,
    /// Checksum records, one a segment.
    pub crcs: u64,
    /// Snapshot records.
    pub snapshots: u64,
    /// Anything else.
    pub other: u64,
}

/// What a log holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Summary {
    /// Whose log it is.
    pub metadata: Option<Metadata>,
    /// The last hard state.
    pub hard_state: Option<HardState>,
    /// The snapshot records, in file order.
    pub snapshots: Vec<Snapshot>,
    /// Index of the first kept entry.
    pub first: Option<u64>,
    /// Index of the last kept entry.
    pub last: Option<u64>,
    /// Entries that a later one with the same or a smaller index replaced.
    pub overridden: u64,
    /// Records by type.
    pub counts: Counts,
    /// The segments that were read.
    pub segments: Vec<SegmentSummary>,
    /// The checksum chain at the end: what the next record goes on from.
    pub crc: u32,
    /// Whether every record was read to the end, a torn last one aside.
    pub complete: bool,
    /// Whether records lie past that end which etcd would cut off or erase, and which no crash explains.
    pub discarded: bool,
}

impl Summary {
    /// How the log ends.
    #[must_use]
    pub fn end(&self) -> Option<&End> {
        self.segments.last()?.end.as_ref()
    }

    /// What etcd does at boot with a log that ends so, by version.
    #[must_use]
    pub fn at_boot(&self) -> &'static [(&'static str, AtBoot)] {
        match self.end() {
            Some(end) if self.complete => end.at_boot(),
            _ => &[("every version", AtBoot::Refuses)],
        }
    }

    /// The snapshots etcd would start from: those the last hard state commits (`wal.ValidSnapshotEntries`).
    pub fn valid_snapshots(&self) -> impl DoubleEndedIterator<Item = &Snapshot> {
        let commit = self.hard_state.map_or(0, |state| state.commit());
        self.snapshots.iter().filter(move |snapshot| snapshot.index() <= commit)
    }
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
        found: &mut dyn FnMut(Finding),
        visit: &mut dyn FnMut(Visit<'_, '_>) -> ControlFlow<()>,
    ) -> Summary {
        let mut summary = Summary { complete: true, ..Summary::default() };
        let window = scan.after.unwrap_or(0);
        let mut reader =
            Reader { scan, rules: Rules::default(), metadata: None, window, gap: false, saved: None };
        let gap = sequence_gap(&self.names());
        for (position, segment) in self.segments.iter().enumerate() {
            if gap == Some(position) {
                found(missing_segment(&self.segments, position));
                summary.complete = false;
                if !scan.raw {
                    break;
                }
                reader.rules = Rules::default();
                reader.gap = false;
                summary.crc = 0;
            }
            let flow = reader.segment(self.segments.len(), position, segment, &mut summary, found, visit);
            if flow.is_break() {
                break;
            }
        }
        let commit = summary.hard_state.map_or(0, |state| state.commit());
        let reach = summary.last.max(summary.snapshots.iter().map(Snapshot::index).max()).unwrap_or(0);
        let reach =
            reach.max(self.segments.last().map_or(0, |segment| segment.name.index.get().saturating_sub(1)));
        if summary.complete && !summary.discarded && commit > reach && commit > scan.after.unwrap_or(0) {
            let file = self.segments.last().map(|segment| segment.source.name()).unwrap_or_default();
            let what = format!(
                "the hard state commits index {commit}, but the entries end at {reach}: committed entries are lost"
            );
            found(Finding::new(Code::WalEntryGap, &file, At::default().index(commit), what));
        }
        summary
    }

    /// Where the entries after [`Scan::after`] are, in index order, each index once: a later entry replaces those
    /// from its index on.
    pub fn entries(&self, scan: Scan, found: &mut dyn FnMut(Finding)) -> (Vec<EntryRef>, Summary) {
        let mut entries: Vec<EntryRef> = Vec::new();
        let summary = self.scan(scan, found, &mut |visit| {
            if let Body::Entry { entry, kept: true } = visit.body {
                let from = entries.partition_point(|e| e.index < entry.index);
                entries.truncate(from);
                entries.push(EntryRef {
                    segment: visit.segment,
                    offset: visit.record.offset,
                    index: entry.index,
                    term: entry.term,
                });
            }
            ControlFlow::Continue(())
        });
        (entries, summary)
    }

    /// Reads an entry that [`Log::entries`] found, through a cursor of the caller's that makes reading in order cheap.
    ///
    /// # Errors
    /// When the file is not what it was.
    pub fn read<'w>(&self, entry: &EntryRef, cursor: &'w mut Cursor) -> Result<EntryView<'w>, Box<Corrupt>>
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
            *cursor = Cursor { segment: Some(entry.segment), window: Window::new() };
        }
        let record = Segment::reread(segment.source, &mut cursor.window, entry.offset)?;
        let view = EntryView::decode(record.data.unwrap_or_default()).map_err(|_| gone())?;
        if view.index == entry.index && view.term == entry.term { Ok(view) } else { Err(gone()) }
    }
}

/// What [`Log::read`] keeps between calls: the bytes around the last entry. For one log only.
#[derive(Debug, Default)]
pub struct Cursor {
    segment: Option<usize>,
    window: Window,
}

fn missing_segment(segments: &[LogSegment<'_>], position: usize) -> Finding {
    let name = |at: usize| segments.get(at).map_or_else(String::new, |segment| segment.name.to_string());
    let file = segments.get(position).map_or_else(String::new, |segment| segment.source.name());
    let what = format!(
        "the segment before it is {}: sequence numbers do not follow each other",
        name(position.saturating_sub(1))
    );
    Finding::new(Code::WalSequence, &file, At::default(), what)
}

/// The state of a scan across segments.
struct Reader {
    scan: Scan,
    rules: Rules,
    metadata: Option<Vec<u8>>,
    /// The index before which an entry needs no predecessor: the start, or a snapshot the log itself records.
    window: u64,
    gap: bool,
    /// The index of the last entry record, and the highest of it and the snapshot records.
    saved: Option<(u64, u64)>,
}

impl Reader {
    /// A segment is named after the entry that is due in it (`wal.cut`): after the last one saved, or, since the last
    /// start of etcd, after the last snapshot. etcd looks by these names for where to begin.
    fn check_name(
        &self,
        position: usize,
        segment: &LogSegment<'_>,
        summary: &Summary,
        found: &mut dyn FnMut(Finding),
    ) {
        let Some((entry, highest)) = self.saved.filter(|_| position > 0 && summary.complete) else { return };
        let (name, due) = (segment.name.index.get(), entry.saturating_add(1));
        if name == due || name == highest.saturating_add(1) {
            return;
        }
        let what = format!(
            "the segment's name says that entry {name} is the first due in it; the segment before ends with entry {entry}"
        );
        // From an entry before its own, etcd would begin here and miss those between; past it, it begins too early.
        let severity = if name < due { Severity::Damage } else { Severity::Warning };
        found(Finding {
            severity,
            ..Finding::new(Code::WalSequence, &segment.source.name(), At::default(), what)
        });
    }

    fn segment(
        &mut self,
        segments: usize,
        position: usize,
        segment: &LogSegment<'_>,
        summary: &mut Summary,
        found: &mut dyn FnMut(Finding),
        visit: &mut dyn FnMut(Visit<'_, '_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let file = segment.source.name();
        let last = position.saturating_add(1) == segments;
        self.check_name(position, segment, summary, found);
        let mut records = Segment::new(segment.source, summary.crc, last);
        if self.scan.raw {
            records = records.raw();
        }
        self.rules.segment();
        let mut count = 0u64;
        let mut flow = ControlFlow::Continue(());
        while let Some(record) = records.next() {
            count = count.saturating_add(1);
            let at = At::offset(record.offset);
            let trusted = record.fault.as_ref().is_none_or(|fault| fault.code != Code::WalCrc);
            if let Some(fault) = &record.fault {
                found(Finding::from_corrupt(&file, Corrupt::clone(fault)));
            }
            let mut body = decode(&record);
            let mut stop = match &body {
                Body::Unreadable if trusted => {
                    let what = format!(
                        "record type {}: its checksum is right, its {} bytes do not decode",
                        record.kind.number(),
                        record.bytes().len()
                    );
                    found(Finding::new(Code::WalRecord, &file, at.clone(), what));
                    true
                }
                Body::Other(number) => {
                    found(Finding::new(
                        Code::WalRecord,
                        &file,
                        at.clone(),
                        format!("record type {number} does not exist"),
                    ));
                    true
                }
                _ => false,
            };
            if trusted && !stop {
                if let Some(broken) = self.rules.record(&body, &record) {
                    found(Finding {
                        severity: broken.severity,
                        ..Finding::new(broken.code, &file, at.clone(), broken.detail)
                    });
                    stop = true;
                } else {
                    self.keep(&mut body, &record, summary, &file, found);
                }
            }
            if stop {
                // etcd panics or goes astray here.
                summary.complete = false;
                if !self.scan.raw {
                    flow = ControlFlow::Break(());
                    break;
                }
            }
            if stop || !trusted {
                // An entry may be lost here; its successor shall not be reported as well.
                self.window = summary.last.unwrap_or(0).max(self.window).saturating_add(1);
                summary.complete = false;
            }
            flow = visit(Visit { segment: position, record: &record, body: &body });
            if flow.is_break() {
                break;
            }
        }
        summary.crc = records.crc();
        let used = records.offset();
        match records.end() {
            Some(End::Damaged(corrupt)) => {
                found(Finding::from_corrupt(&file, Corrupt::clone(corrupt)));
                summary.complete = false;
                if !self.scan.raw {
                    flow = ControlFlow::Break(());
                }
            }
            Some(End::Torn(_) | End::ZeroWord) => match tail(&mut records, &file, last, summary) {
                Ok(finding) => {
                    summary.discarded |=
                        finding.as_ref().is_some_and(|finding| finding.severity == Severity::Damage);
                    finding.into_iter().for_each(&mut *found);
                }
                Err(corrupt) => {
                    found(Finding::from_corrupt(&file, *corrupt));
                    summary.complete = false;
                }
            },
            Some(End::CleanEof) | None => {}
        }
        let end = records.end().cloned();
        summary.segments.push(SegmentSummary { name: segment.name, records: count, used, end });
        flow
    }

    /// Takes one good record into the summary.
    fn keep(
        &mut self,
        body: &mut Body<'_>,
        record: &Record<'_>,
        summary: &mut Summary,
        file: &str,
        found: &mut dyn FnMut(Finding),
    ) {
        let counts = &mut summary.counts;
        let at = At::offset(record.offset);
        match body {
            Body::Metadata(metadata) => {
                counts.metadata = counts.metadata.saturating_add(1);
                match &self.metadata {
                    Some(first) if first != record.bytes() => {
                        let old = summary.metadata.unwrap_or_default();
                        let what = format!(
                            "member {:#} of cluster {:#}, but the segment before is of member {:#} of cluster {:#}",
                            metadata.member(),
                            metadata.cluster(),
                            old.member(),
                            old.cluster()
                        );
                        found(Finding::new(Code::WalMetadata, file, at, what));
                        summary.complete = false;
                        self.gap = true;
                    }
                    Some(_) => {}
                    None => {
                        self.metadata = Some(record.bytes().to_vec());
                        summary.metadata = Some(*metadata);
                    }
                }
            }
            Body::Entry { entry, kept } => {
                counts.entries = counts.entries.saturating_add(1);
                let index = entry.index.get();
                self.saved = Some((index, index));
                let first = self.scan.after.is_none() && summary.last.is_none();
                let next = summary.last.unwrap_or(0).max(self.window).saturating_add(1);
                if self.scan.after.is_some_and(|after| index <= after) {
                    return;
                }
                if index > next && !first && !self.gap {
                    let what = format!(
                        "the entry before has index {}: {} are missing",
                        next.saturating_sub(1),
                        index.saturating_sub(next)
                    );
                    found(Finding::new(Code::WalEntryGap, file, at.index(index), what));
                    summary.complete = false;
                    self.gap = true;
                }
                *kept = !self.gap;
                if self.gap {
                    return;
                }
                if let Some(last) = summary.last.filter(|last| *last >= index) {
                    let replaced =
                        last.saturating_sub(index.max(summary.first.unwrap_or(0))).saturating_add(1);
                    summary.overridden = summary.overridden.saturating_add(replaced);
                }
                summary.first = Some(summary.first.map_or(index, |first| first.min(index)));
                summary.last = Some(index);
            }
            Body::State(state) => {
                counts.states = counts.states.saturating_add(1);
                summary.hard_state = Some(*state);
            }
            Body::Snapshot(snapshot) => {
                counts.snapshots = counts.snapshots.saturating_add(1);
                self.saved = self.saved.map(|(entry, highest)| (entry, highest.max(snapshot.index())));
                self.window = self.window.max(snapshot.index());
                summary.snapshots.push(snapshot.clone());
            }
            Body::Crc => counts.crcs = counts.crcs.saturating_add(1),
            Body::Unreadable | Body::Other(_) => counts.other = counts.other.saturating_add(1),
        }
    }
}

/// What there is to say about a segment that ends in a torn record or in a zero word: etcd starts on either, but what
/// it then cuts off or erases may be more than a write that was never acknowledged.
fn tail(
    records: &mut Segment<'_>,
    file: &str,
    last: bool,
    summary: &Summary,
) -> Result<Option<Finding>, Box<Corrupt>> {
    let used = records.offset();
    let stray = records.stray()?;
    let torn = if let Some(End::Torn(torn)) = records.end() { Some(torn.to_string()) } else { None };
    let mut severity = if last { Severity::Warning } else { Severity::Damage };
    let mut said = match (&torn, stray) {
        (None, None) => return Ok(None),
        (Some(torn), None) => torn.clone(),
        (Some(torn), Some(offset)) => {
            severity = Severity::Damage;
            format!(
                "{torn}; bytes that are not zero follow at byte {offset:#x}, etcd would cut them off with it"
            )
        }
        (None, Some(offset)) => format!(
            "the log ends here with a length of zero, but bytes that are not zero follow at byte {offset:#x}: etcd ignores and erases them"
        ),
    };
    if let Some(inner) = records.other_length()? {
        severity = Severity::Damage;
        said = format!(
            "{said}; but it begins as a record of {inner} bytes: its length is damaged, and etcd would cut off good records"
        );
    }
    let reach = summary.last.max(summary.snapshots.iter().map(Snapshot::index).max()).unwrap_or(0);
    let from = stray.unwrap_or_else(|| used.saturating_add(1));
    if (stray.is_some() || torn.is_some())
        && let Some((commit, at)) = records.stray_commit(from)?
        && commit > reach
    {
        severity = Severity::Damage;
        said = format!(
            "{said}; a hard state at byte {at:#x} commits index {commit}, the entries before end at {reach}: committed entries are lost"
        );
    }
    Ok(Some(Finding { severity, ..Finding::new(Code::WalTorn, file, At::offset(used), said) }))
}

fn decode<'d>(record: &Record<'d>) -> Body<'d> {
    let bytes = record.bytes();
    match record.kind {
        Kind::Metadata => Metadata::decode(bytes).map_or(Body::Unreadable, Body::Metadata),
        Kind::Entry => {
            EntryView::decode(bytes).map_or(Body::Unreadable, |entry| Body::Entry { entry, kept: false })
        }
        Kind::State => HardState::decode(bytes).map_or(Body::Unreadable, Body::State),
        Kind::Snapshot => Snapshot::decode(bytes).map_or(Body::Unreadable, Body::Snapshot),
        Kind::Crc => Body::Crc,
        Kind::Other(number) => Body::Other(number),
    }
}
