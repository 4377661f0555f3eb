//! Reading a log's records across its segments, as etcd does (`wal.ReadAll` @ v3.6.14).

use std::ops::ControlFlow;

use super::body::Body;
use super::end::{AtBoot, End};
use super::fault::Fault;
use super::frame::MAX_RECORD_BEFORE_3_5_5;
use super::name::SegmentName;
use super::record::Metadata;
use super::rules::Rules;
use super::segment::{Record, Segment};
use super::summary::{SegmentSummary, Summary};
use crate::codec::to_u64;
use crate::io::Source;
use crate::raft::EntryView;
use crate::words::error::{At, Corrupt};
use crate::words::finding::Code;

/// How to read a log.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scan {
    /// Keep the entries after this index, as etcd does after its snapshot; `None` keeps all.
    pub after: Option<u64>,
    /// Read on after a wrong checksum or a record that etcd never writes, instead of stopping there.
    pub raw: bool,
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

/// Who is shown each record, and may stop the reading.
pub(super) type Visitor<'v> = dyn FnMut(Visit<'_, '_>) -> ControlFlow<()> + 'v;

/// The state of a scan across segments.
pub(super) struct Reader<'f> {
    pub summary: Summary,
    scan: Scan,
    rules: Rules,
    /// The first metadata record's bytes: all others are the same.
    metadata: Option<Vec<u8>>,
    /// The index before which an entry needs no predecessor: the start, or a snapshot the log itself records.
    window: u64,
    gap: bool,
    /// The index of the last entry record, and the highest of it and the snapshot records.
    saved: Option<(u64, u64)>,
    /// Position of the segment at hand.
    segment: usize,
    found: &'f mut dyn FnMut(Fault),
}

impl<'f> Reader<'f> {
    pub fn new(scan: Scan, found: &'f mut dyn FnMut(Fault)) -> Reader<'f> {
        Reader {
            summary: Summary { complete: true, ..Summary::default() },
            window: scan.after.unwrap_or(0),
            scan,
            rules: Rules::default(),
            metadata: None,
            gap: false,
            saved: None,
            segment: 0,
            found,
        }
    }

    fn fault(&mut self, corrupt: Corrupt) {
        (self.found)(Fault { segment: self.segment, corrupt, harmless: false });
    }

    /// Begins anew behind a segment that is not there; whether the scan goes on there.
    pub fn skip_missing(&mut self, segment: usize, before: SegmentName) -> bool {
        self.segment = segment;
        let what = format!("the segment before it is {before}: sequence numbers do not follow each other");
        self.fault(*Corrupt::new(Code::WalSequence, At::default(), what));
        self.summary.complete = false;
        self.rules = Rules::default();
        self.gap = false;
        self.summary.crc = 0;
        self.scan.raw
    }

    /// Reads one segment; `last` is the newest.
    pub fn segment(
        &mut self,
        position: usize,
        (name, source): (SegmentName, &Source),
        last: bool,
        visit: &mut Visitor<'_>,
    ) -> ControlFlow<()> {
        self.segment = position;
        self.check_name(name);
        let mut records = Segment::new(source, self.summary.crc, last);
        if self.scan.raw {
            records = records.raw();
        }
        self.rules.segment();
        let mut count = 0u64;
        let mut flow = ControlFlow::Continue(());
        while let Some(record) = records.next() {
            count = count.saturating_add(1);
            flow = self.record(&record, visit);
            if flow.is_break() {
                break;
            }
        }
        self.summary.crc = records.crc();
        let used = records.offset();
        if self.end(&mut records, last).is_break() {
            flow = ControlFlow::Break(());
        }
        let end = records.end().cloned();
        self.summary.segments.push(SegmentSummary { name, records: count, used, end });
        flow
    }

    /// A segment is named after the entry that is due in it (`wal.cut`): after the last one saved, or, since the last
    /// start of etcd, after the last snapshot. etcd looks by these names for where to begin.
    fn check_name(&mut self, name: SegmentName) {
        let checked = self.segment > 0 && self.summary.complete;
        let Some((entry, highest)) = self.saved.filter(|_| checked) else { return };
        let (name, due) = (name.index.get(), entry.saturating_add(1));
        if name == due || name == highest.saturating_add(1) {
            return;
        }
        let what = format!(
            "the segment's name says that entry {name} is the first due in it; the segment before ends with entry {entry}"
        );
        // From an entry before its own, etcd would begin here and miss those between; past it, it begins too early.
        (self.found)(Fault {
            segment: self.segment,
            corrupt: *Corrupt::new(Code::WalSequence, At::default(), what),
            harmless: name > due,
        });
    }

    /// Judges one record and shows it.
    fn record(&mut self, record: &Record<'_>, visit: &mut Visitor<'_>) -> ControlFlow<()> {
        let trusted = record.fault.as_ref().is_none_or(|fault| fault.code != Code::WalCrc);
        if let Some(fault) = &record.fault {
            self.fault(Corrupt::clone(fault));
        }
        if let Some(what) = too_long(record) {
            let corrupt = *Corrupt::new(Code::WalLong, At::offset(record.offset), what);
            (self.found)(Fault { segment: self.segment, corrupt, harmless: true });
        }
        let mut body = Body::of(record);
        let wrong = self.never_written(&body, record, trusted);
        let stop = wrong.is_some();
        if let Some(what) = wrong {
            // etcd panics or goes astray here.
            self.fault(*Corrupt::new(Code::WalRecord, At::offset(record.offset), what));
            self.summary.complete = false;
            if !self.scan.raw {
                return ControlFlow::Break(());
            }
        } else if trusted {
            self.keep(&mut body, record);
        }
        if stop || !trusted {
            // An entry may be lost here; its successor shall not be reported as well.
            self.window = self.summary.last.unwrap_or(0).max(self.window).saturating_add(1);
            self.summary.complete = false;
        }
        visit(Visit { segment: self.segment, record, body: &body })
    }

    /// Why etcd did not write this record, if it did not.
    fn never_written(&mut self, body: &Body<'_>, record: &Record<'_>, trusted: bool) -> Option<String> {
        match body {
            Body::Unreadable if trusted => Some(format!(
                "record type {}: its checksum is right, its {} bytes do not decode",
                record.kind.number(),
                record.bytes().len()
            )),
            Body::Other(number) => Some(format!("record type {number} does not exist")),
            _ if trusted => self.rules.record(body, record),
            _ => None,
        }
    }

    /// How the segment ended; whether the scan ends with it.
    fn end(&mut self, records: &mut Segment<'_>, last: bool) -> ControlFlow<()> {
        match records.end() {
            Some(End::Damaged(corrupt)) => {
                let corrupt = Corrupt::clone(corrupt);
                self.fault(corrupt);
                self.summary.complete = false;
                if !self.scan.raw {
                    return ControlFlow::Break(());
                }
            }
            Some(End::Torn(_) | End::ZeroWord) => match cut_off(records, last, &self.summary) {
                Ok(Some((corrupt, harmless))) => {
                    self.summary.discarded |= !harmless;
                    (self.found)(Fault { segment: self.segment, corrupt: *corrupt, harmless });
                }
                Ok(None) => {}
                Err(corrupt) => {
                    self.fault(*corrupt);
                    self.summary.complete = false;
                }
            },
            Some(End::CleanEof) | None => {}
        }
        ControlFlow::Continue(())
    }

    /// Takes one good record into the summary.
    fn keep(&mut self, body: &mut Body<'_>, record: &Record<'_>) {
        let counts = &mut self.summary.counts;
        let count = match body {
            Body::Metadata(_) => &mut counts.metadata,
            Body::Entry { .. } => &mut counts.entries,
            Body::State(_) => &mut counts.states,
            Body::Snapshot(_) => &mut counts.snapshots,
            Body::Crc => &mut counts.crcs,
            Body::Unreadable | Body::Other(_) => &mut counts.other,
        };
        *count = count.saturating_add(1);
        match body {
            Body::Metadata(metadata) => self.keep_metadata(metadata, record),
            Body::Entry { entry, kept } => *kept = self.keep_entry(entry, record.offset),
            Body::State(state) => self.summary.hard_state = Some(*state),
            Body::Snapshot(snapshot) => {
                self.saved = self.saved.map(|(entry, highest)| (entry, highest.max(snapshot.index())));
                self.window = self.window.max(snapshot.index());
                self.summary.snapshots.push(snapshot.clone());
            }
            Body::Crc | Body::Unreadable | Body::Other(_) => {}
        }
    }

    fn keep_metadata(&mut self, metadata: &Metadata, record: &Record<'_>) {
        let Some(first) = &self.metadata else {
            self.metadata = Some(record.bytes().to_vec());
            self.summary.metadata = Some(*metadata);
            return;
        };
        if first == record.bytes() {
            return;
        }
        let old = self.summary.metadata.unwrap_or_default();
        let what = format!(
            "member {:016x} of cluster {:016x}, but the segment before is of member {:016x} of cluster {:016x}",
            metadata.node_id(),
            metadata.cluster_id(),
            old.node_id(),
            old.cluster_id()
        );
        self.fault(*Corrupt::new(Code::WalMetadata, At::offset(record.offset), what));
        self.summary.complete = false;
        self.gap = true;
    }

    /// Whether the entry belongs to the log as it stands here.
    fn keep_entry(&mut self, entry: &EntryView<'_>, offset: u64) -> bool {
        let index = entry.index.get();
        self.saved = Some((index, index));
        let first = self.scan.after.is_none() && self.summary.last.is_none();
        let next = self.summary.last.unwrap_or(0).max(self.window).saturating_add(1);
        if self.scan.after.is_some_and(|after| index <= after) {
            return false;
        }
        if index > next && !first && !self.gap {
            let what = format!(
                "the entry before has index {}: {} are missing",
                next.saturating_sub(1),
                index.saturating_sub(next)
            );
            self.fault(*Corrupt::new(Code::WalEntryGap, At::offset(offset).index(index), what));
            self.summary.complete = false;
            self.gap = true;
        }
        if self.gap {
            return false;
        }
        let summary = &mut self.summary;
        if let Some(last) = summary.last.filter(|last| *last >= index) {
            let replaced = last.saturating_sub(index.max(summary.first.unwrap_or(0))).saturating_add(1);
            summary.overridden = summary.overridden.saturating_add(replaced);
        }
        summary.first = Some(summary.first.map_or(index, |first| first.min(index)));
        summary.last = Some(index);
        true
    }

    /// After the last segment: whether what the last hard state commits is there.
    pub fn check_commit(&mut self, last: Option<SegmentName>) {
        let summary = &self.summary;
        let commit = summary.commit();
        let reach = summary.reach().max(last.map_or(0, |name| name.index.get().saturating_sub(1)));
        if summary.is_whole() && commit > reach && commit > self.scan.after.unwrap_or(0) {
            let what = format!(
                "the hard state commits index {commit}, but the entries end at {reach}: committed entries are lost"
            );
            self.fault(*Corrupt::new(Code::WalEntryGap, At::default().index(commit), what));
        }
    }
}

/// A record that is whole, and too long for etcd before 3.5.5 (`decoder.decodeRecord`).
fn too_long(record: &Record<'_>) -> Option<String> {
    let len = to_u64(record.bytes().len());
    (len >= MAX_RECORD_BEFORE_3_5_5).then(|| {
        format!("a record of {len} bytes: etcd 3.4 and 3.5.0 to 3.5.4 do not start with it (max entry size limit exceeded)")
    })
}

/// What there is to say about a segment that ends in a torn record or in a zero word, and whether it is harmless:
/// etcd starts on either, but what it then cuts off or erases may be more than a write that was never acknowledged.
fn cut_off(
    records: &mut Segment<'_>,
    last: bool,
    summary: &Summary,
) -> Result<Option<(Box<Corrupt>, bool)>, Box<Corrupt>> {
    let used = records.offset();
    let stray = records.stray()?;
    let torn = if let Some(End::Torn(torn)) = records.end() { Some(torn.to_string()) } else { None };
    let refuse: Vec<&str> = match records.end() {
        Some(end @ End::Torn(_)) => end
            .at_boot()
            .iter()
            .filter(|(_, does)| *does == AtBoot::Refuses)
            .map(|(which, _)| *which)
            .collect(),
        _ => Vec::new(),
    };
    let mut harmless = last;
    let mut said = match (&torn, stray) {
        (None, None) => return Ok(None),
        (Some(torn), None) => torn.clone(),
        (Some(torn), Some(offset)) => {
            harmless = false;
            format!(
                "{torn}; bytes that are not zero follow at byte {offset:#x}, etcd would cut them off with it"
            )
        }
        (None, Some(offset)) => format!(
            "the log ends here with a length of zero, but bytes that are not zero follow at byte {offset:#x}: etcd ignores and erases them"
        ),
    };
    if !refuse.is_empty() && last {
        let refuse = refuse.join(", ");
        said = format!(
            "{said}; etcd {refuse} do not start with it (max entry size limit exceeded), others cut it off"
        );
    }
    if let Some(inner) = records.other_length()? {
        harmless = false;
        said = format!(
            "{said}; but it begins as a record of {inner} bytes: its length is damaged, and etcd would cut off good records"
        );
    }
    let reach = summary.reach();
    let from = stray.unwrap_or_else(|| used.saturating_add(1));
    if let Some((commit, at)) = records.stray_commit(from)?
        && commit > reach
    {
        harmless = false;
        said = format!(
            "{said}; a hard state at byte {at:#x} commits index {commit}, the entries before end at {reach}: committed entries are lost"
        );
    }
    Ok(Some((Corrupt::new(Code::WalTorn, At::offset(used), said), harmless)))
}
