//! What a member's WAL says, record by record or entry by entry, as etcd-dump-logs 3.6 selects it.

mod capped;
mod files;
mod payload;
mod start;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

pub use self::payload::{EntryFilter, Payload};
pub use self::start::Start;

use self::capped::Capped;
use self::files::{WalFiles, read_snap};
use self::start::{FromStart, read_from_start};
use crate::codec::to_u64;
use crate::etcd::Input;
use crate::ops::log_fault::log_finding;
use crate::raft::{self, EntryView, HardState};
use crate::snap::file::SnapFile;
use crate::wal::{Body, Log, LogCursor, Metadata, RecordKind, Scan, Summary};
use crate::words::error::{Error, Result};
use crate::words::finding::Code;
use crate::words::monitor::Monitor;

/// What to dump.
#[derive(Debug, Clone, Default)]
pub struct WalDumpOptions {
    /// The WAL, if it is not in `member/wal` of the data directory.
    pub wal_dir: Option<PathBuf>,
    /// Where to start. In raw mode only [`Start::After`] counts, and there the index itself is included, as in
    /// etcd-dump-logs.
    pub start: Start,
    /// Stop before this raft index.
    pub end_index: Option<u64>,
    /// Entries that pass one of these; none means all that etcd-dump-logs shows.
    pub types: Vec<EntryFilter>,
    /// Every record, in file order, past wrong checksums.
    pub raw: bool,
}

/// One row of a dump.
#[derive(Debug)]
pub enum Row<'a> {
    /// First, unless raw: where the dump starts.
    Start {
        /// The raft index after which entries follow.
        after: u64,
        /// The raft snapshot it starts from, unless a start index was given.
        snapshot: Option<&'a raft::SnapshotMetadata>,
        /// Whether a start index was given.
        by_index: bool,
    },
    /// Then, unless raw: whose WAL it is and how much there is.
    Head {
        /// Member and cluster.
        metadata: Metadata,
        /// The last hard state.
        hard_state: HardState,
        /// Entries, before filtering by type.
        entries: usize,
        /// The index of the last of them.
        last: Option<u64>,
    },
    /// An entry.
    Entry {
        /// The segment it is in.
        file: String,
        /// Where its record begins in there.
        offset: u64,
        /// Index, term, type and data.
        entry: EntryView<'a>,
        /// The data, decoded.
        payload: Payload<'a>,
    },
    /// In raw mode: a record.
    Record {
        /// The segment it is in.
        file: String,
        /// Where it begins in there.
        offset: u64,
        /// Its type.
        kind: RecordKind,
        /// Its checksum.
        crc: u32,
        /// Whether the checksum fits the chain.
        crc_ok: bool,
        /// Its payload as it is.
        data: Option<&'a [u8]>,
        /// Its payload, decoded.
        body: &'a Body<'a>,
    },
}

/// What a dump found.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct WalDumpReport {
    /// What the WAL holds.
    pub summary: Summary,
    /// Entries given to the sink.
    pub entries: usize,
}

/// Dumps the WAL of a data directory (or a `member` directory, a WAL directory, or one segment) row by row.
///
/// What is wrong with the log goes to the monitor, after the rows before it.
///
/// # Errors
/// When there is no WAL to read, or the sink fails.
pub fn wal_dump(
    input: impl Into<Input>,
    options: &WalDumpOptions,
    monitor: &dyn Monitor,
    sink: &mut dyn FnMut(Row<'_>) -> Result<()>,
) -> Result<WalDumpReport> {
    let files = WalFiles::find(&input.into(), options.wal_dir.as_deref())?;
    let segments = files.segments()?;
    let log = Log::new(segments.iter().map(|(name, source)| (name.as_str(), source)));
    monitor.begin("reading the WAL", log.segments().iter().map(|segment| segment.source.len()).sum());
    let report = if options.raw {
        dump_raw(&log, options, monitor, sink)
    } else {
        dump_entries(&files, &log, options, monitor, sink)
    };
    monitor.end();
    report
}

fn dump_raw(
    log: &Log<'_>,
    options: &WalDumpOptions,
    monitor: &dyn Monitor,
    sink: &mut dyn FnMut(Row<'_>) -> Result<()>,
) -> Result<WalDumpReport> {
    let from = if let Start::After(index) = options.start { index } else { 0 };
    let wanted = |index: u64| index >= from && options.end_index.is_none_or(|end| index < end);
    let mut failed = None;
    let mut entries = 0usize;
    let mut findings = Capped::new(monitor);
    let summary = log.scan(
        Scan { after: None, raw: true },
        &mut |fault| findings.add(log_finding(log, fault)),
        &mut |visit| {
            monitor.advance(to_u64(visit.record.bytes().len()));
            let pass = match visit.body {
                Body::Entry { entry, .. } => wanted(entry.index.get()),
                Body::State(state) => wanted(state.commit()),
                Body::Snapshot(snapshot) => wanted(snapshot.index()),
                _ => true,
            };
            if !pass {
                return ControlFlow::Continue(());
            }
            if matches!(visit.body, Body::Entry { .. }) {
                entries = entries.saturating_add(1);
            }
            let record = visit.record;
            let row = Row::Record {
                file: log
                    .segments()
                    .get(visit.segment)
                    .map(|segment| segment.name.to_string())
                    .unwrap_or_default(),
                offset: record.offset,
                kind: record.kind,
                crc: record.crc,
                crc_ok: record.fault.as_ref().is_none_or(|fault| fault.code != Code::WalCrc),
                data: record.data,
                body: visit.body,
            };
            let step = if monitor.cancelled() { Err(Error::Cancelled) } else { sink(row) };
            match step {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        },
    );
    findings.finish();
    failed.map_or(Ok(WalDumpReport { summary, entries }), Err)
}

fn dump_entries(
    files: &WalFiles,
    log: &Log<'_>,
    options: &WalDumpOptions,
    monitor: &dyn Monitor,
    sink: &mut dyn FnMut(Row<'_>) -> Result<()>,
) -> Result<WalDumpReport> {
    let FromStart { snapshot, after, log, mut entries, summary, findings } =
        read_from_start(files, log, &options.start, monitor)?;
    let metadata = snapshot.as_ref().and_then(|file| file.snapshot.metadata.as_ref());
    sink(Row::Start { after, snapshot: metadata, by_index: matches!(options.start, Start::After(_)) })?;
    if let Some(end) = options.end_index {
        entries.truncate(entries.partition_point(|entry| entry.index.get() < end));
    }
    sink(Row::Head {
        metadata: summary.metadata.unwrap_or_default(),
        hard_state: summary.hard_state.unwrap_or_default(),
        entries: entries.len(),
        last: entries.last().map(|entry| entry.index.get()),
    })?;
    let default: &[EntryFilter] = &[EntryFilter::Normal, EntryFilter::ConfigChange];
    let types = if options.types.is_empty() { default } else { &options.types };
    let mut cursor = LogCursor::default();
    let mut given = 0usize;
    for at in &entries {
        if monitor.cancelled() {
            return Err(Error::Cancelled);
        }
        let Some(segment) = log.segments().get(at.segment) else { continue };
        let entry =
            log.reread(at, &mut cursor).map_err(|corrupt| Error::damaged(segment.source.path(), corrupt))?;
        monitor.advance(to_u64(entry.bytes().len()));
        let payload = Payload::of(&entry);
        if types.iter().any(|filter| filter.passes(&payload)) {
            given = given.saturating_add(1);
            sink(Row::Entry { file: segment.name.to_string(), offset: at.offset, entry, payload })?;
        }
    }
    let mut capped = Capped::new(monitor);
    findings.into_iter().for_each(|finding| capped.add(finding));
    capped.finish();
    Ok(WalDumpReport { summary, entries: given })
}

/// Reads one raft snapshot file.
///
/// # Errors
/// When it cannot be opened, or is damaged.
pub fn snap_show(path: &Path) -> Result<SnapFile> {
    read_snap(path)
}
