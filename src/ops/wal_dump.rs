//! What a member's WAL says, record by record or entry by entry, as etcd-dump-logs 3.6 selects it.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use prost::Message;

use crate::codec::proto::tree::{Decoded, Node};
use crate::codec::to_u64;
use crate::etcd::datadir::{self, FileKind};
use crate::etcd::request::{Tree, tree};
use crate::io::Source;
use crate::raft::{self, ConfChange, EntryType, EntryView, HardState};
use crate::snap::file::{SnapFile, SnapName};
use crate::wal::{Body, Cursor, EntryRef, Kind, Log, Metadata, Scan, Snapshot, Summary};
use crate::words::cause::Cause;
use crate::words::error::{At, Error, Result};
use crate::words::finding::{Code, Finding, Severity};
use crate::words::hint::Hint;
use crate::words::monitor::Monitor;

/// A raft snapshot longer than this is not read.
const MAX_SNAP: u64 = 1 << 30;

/// Where a dump starts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Start {
    /// After the newest raft snapshot that the WAL has a record of; from the beginning where there is none.
    #[default]
    NewestSnapshot,
    /// After this raft snapshot: a path, or a name in `member/snap`.
    Snapshot(PathBuf),
    /// After this raft index.
    After(u64),
}

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

    fn passes(self, payload: &Payload<'_>) -> bool {
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
        kind: Kind,
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
    path: &Path,
    options: &WalDumpOptions,
    monitor: &dyn Monitor,
    sink: &mut dyn FnMut(Row<'_>) -> Result<()>,
) -> Result<WalDumpReport> {
    let places = Places::find(path, options.wal_dir.as_deref())?;
    let files = places.segments()?;
    let log = Log::new(files.iter().map(|(name, source)| (name.as_str(), source)));
    monitor.begin("reading the WAL", log.segments().iter().map(|segment| segment.source.len()).sum());
    let report = if options.raw {
        dump_raw(&log, options, monitor, sink)
    } else {
        dump_entries(&places, &log, options, monitor, sink)
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
    let summary =
        log.scan(Scan { after: None, raw: true }, &mut |finding| findings.add(finding), &mut |visit| {
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
        });
    findings.finish();
    failed.map_or(Ok(WalDumpReport { summary, entries }), Err)
}

fn dump_entries(
    places: &Places,
    log: &Log<'_>,
    options: &WalDumpOptions,
    monitor: &dyn Monitor,
    sink: &mut dyn FnMut(Row<'_>) -> Result<()>,
) -> Result<WalDumpReport> {
    let Chosen { snapshot, after, log, mut entries, summary, findings } =
        choose(places, log, options, monitor)?;
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
    let mut cursor = Cursor::default();
    let mut given = 0usize;
    for at in &entries {
        if monitor.cancelled() {
            return Err(Error::Cancelled);
        }
        let Some(segment) = log.segments().get(at.segment) else { continue };
        let entry =
            log.read(at, &mut cursor).map_err(|corrupt| Error::damaged(segment.source.path(), corrupt))?;
        monitor.advance(to_u64(entry.bytes().len()));
        let payload = Payload::of(&entry);
        let types: &[EntryFilter] = &options.types;
        let default = &[EntryFilter::Normal, EntryFilter::ConfigChange];
        let types = if types.is_empty() { default } else { types };
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

/// Where a dump starts, and the log read from there.
struct Chosen<'a> {
    snapshot: Option<SnapFile>,
    after: u64,
    log: Log<'a>,
    entries: Vec<EntryRef>,
    summary: Summary,
    findings: Vec<Finding>,
}

fn choose<'a>(
    places: &Places,
    log: &Log<'a>,
    options: &WalDumpOptions,
    monitor: &dyn Monitor,
) -> Result<Chosen<'a>> {
    let first = log.segments().first().map_or(0, |segment| segment.name.index.get());
    let read_from = |after: u64, begins: u64, snapshot: Option<SnapFile>| {
        let mut findings = Vec::new();
        // Without its beginning a log is read from where it starts.
        let log = log.select(after.max(begins)).unwrap_or_else(|corrupt| {
            findings.push(Finding::from_corrupt(&places.wal_name(), *corrupt));
            log.clone()
        });
        let (entries, summary) =
            log.entries(Scan { after: Some(after), raw: false }, &mut |finding| findings.push(finding));
        Chosen { snapshot, after, log, entries, summary, findings }
    };
    let read = |after: u64, snapshot: Option<SnapFile>| read_from(after, 0, snapshot);
    let known = |chosen: &Chosen<'_>| {
        let here = |snapshot: &Snapshot| {
            chosen.snapshot.as_ref().is_some_and(|file| {
                (file.term(), file.index()) == (snapshot.last_term(), snapshot.last_index())
            })
        };
        chosen.summary.snapshots.iter().any(here)
    };
    let unknown = |chosen: &mut Chosen<'_>| {
        if chosen.summary.complete && !chosen.summary.discarded {
            let file = chosen.snapshot.as_ref();
            let (term, index) = file.map(|file| (file.term(), file.index())).unwrap_or_default();
            let what = format!("the WAL has no record of the raft snapshot at term {term}, index {index}");
            let at = At::default().index(index);
            chosen.findings.push(Finding::new(Code::WalSequence, &places.wal_name(), at, what));
        }
    };
    match &options.start {
        Start::After(index) => Ok(read(*index, None)),
        Start::Snapshot(name) => {
            let path = places.snap_path(name);
            let file = read_snap(&path)?;
            let mut chosen = read(file.index().get(), Some(file));
            if !known(&chosen) {
                unknown(&mut chosen);
            }
            Ok(chosen)
        }
        Start::NewestSnapshot => {
            // etcd 3.4.8 and newer boot from the newest one the WAL knows; etcd-dump-logs 3.6 takes the newest and
            // gives up if it does not.
            let mut newest = None;
            for path in places.snaps() {
                match read_snap(&path) {
                    Ok(file) => {
                        let chosen = read(file.index().get(), Some(file));
                        if !known(&chosen) {
                            newest.get_or_insert(chosen);
                            continue;
                        }
                        if let Some(newer) = newest.take().and_then(|chosen: Chosen<'_>| chosen.snapshot) {
                            monitor.finding(passed_over(&places.wal_name(), &newer));
                        }
                        return Ok(chosen);
                    }
                    Err(Error::Damaged { path, corrupt }) => {
                        monitor.finding(Finding::from_corrupt(&crate::words::error::show(&path), *corrupt))
                    }
                    Err(Error::Unreadable { path, cause }) => {
                        let (file, what) = (crate::words::error::show(&path), cause.to_string());
                        let finding = Finding::new(Code::Unreadable, &file, At::default(), what);
                        monitor.finding(finding.hint(cause.hint()));
                    }
                    Err(error) => return Err(error),
                }
            }
            if newest.is_none() && first > 0 && !places.single {
                let what = format!(
                    "no raft snapshot, and the oldest segment begins at raft index {first}: those before are not here"
                );
                let finding =
                    Finding::new(Code::WalSequence, &places.wal_name(), At::default().index(first), what);
                monitor.finding(Finding { severity: Severity::Warning, ..finding });
            }
            Ok(newest.map_or_else(
                || read_from(first.saturating_sub(1), first, None),
                |mut chosen| {
                    unknown(&mut chosen);
                    chosen
                },
            ))
        }
    }
}

/// etcd writes a raft snapshot before its WAL record: a crash in between leaves one without the other, so does a WAL
/// that was cut.
fn passed_over(wal: &str, file: &SnapFile) -> Finding {
    let (term, index) = (file.term(), file.index());
    let what = format!(
        "no record of the newest raft snapshot (term {term}, index {index}): an older one is the start, as for etcd 3.4.8 and newer"
    );
    Finding {
        severity: Severity::Warning,
        ..Finding::new(Code::WalSequence, wal, At::default().index(index), what)
    }
}

fn read_snap(path: &Path) -> Result<SnapFile> {
    let source = Source::open(path)?;
    datadir::refuse_other_kind(&source, FileKind::RaftSnapshot)?;
    source
        .read_all(MAX_SNAP)
        .and_then(|bytes| SnapFile::decode(&bytes))
        .map_err(|corrupt| Error::damaged(path, corrupt))
}

/// Reads one raft snapshot file.
///
/// # Errors
/// When it cannot be opened, or is damaged.
pub fn snap_show(path: &Path) -> Result<SnapFile> {
    read_snap(path)
}

/// Passes findings on, but not without end: a hostile log has one a record.
struct Capped<'m> {
    monitor: &'m dyn Monitor,
    count: usize,
    last: Option<Finding>,
}

const MOST_FINDINGS: usize = 1000;

impl<'m> Capped<'m> {
    fn new(monitor: &'m dyn Monitor) -> Capped<'m> {
        Capped { monitor, count: 0, last: None }
    }

    fn add(&mut self, finding: Finding) {
        self.count = self.count.saturating_add(1);
        if self.count <= MOST_FINDINGS {
            self.monitor.finding(finding);
        } else {
            self.last = Some(finding);
        }
    }

    fn finish(self) {
        if let Some(mut last) = self.last {
            let skipped = self.count.saturating_sub(MOST_FINDINGS).saturating_sub(1);
            if skipped > 0 {
                last.detail =
                    format!("{} (and {skipped} findings before it that are not shown)", last.detail);
            }
            self.monitor.finding(last);
        }
    }
}

/// Where a member keeps its files.
struct Places {
    wal: PathBuf,
    snap: Option<PathBuf>,
    /// A single segment was named.
    single: bool,
}

impl Places {
    /// `path` may be a data directory, its `member`, its WAL directory, or one segment.
    fn find(path: &Path, wal_dir: Option<&Path>) -> Result<Places> {
        let metadata = std::fs::metadata(path).map_err(|error| Error::unreadable(path, error))?;
        if metadata.is_file() && wal_dir.is_none() {
            return Ok(Places { wal: path.to_path_buf(), snap: None, single: true });
        }
        let dir = |parts: &[&str]| {
            Some(parts.iter().fold(path.to_path_buf(), |p, part| p.join(part))).filter(|p| p.is_dir())
        };
        let wal =
            wal_dir.map(Path::to_path_buf).or_else(|| dir(&["member", "wal"])).or_else(|| dir(&["wal"]));
        let beside = || {
            path.parent().filter(|_| wal.is_none()).map(|parent| parent.join("snap")).filter(|p| p.is_dir())
        };
        let snap = dir(&["member", "snap"]).or_else(|| dir(&["snap"])).or_else(beside);
        Ok(Places { wal: wal.unwrap_or_else(|| path.to_path_buf()), snap, single: false })
    }

    fn wal_name(&self) -> String {
        crate::words::error::show(&self.wal)
    }

    fn segments(&self) -> Result<Vec<(String, Source)>> {
        if self.single {
            // The name tells the place in the log; under another name the file is taken for a first segment.
            let name =
                self.wal.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let name = crate::wal::SegmentName::parse(&name)
                .unwrap_or(crate::wal::SegmentName { sequence: 0, index: 0.into() });
            let source = Source::open(&self.wal)?;
            datadir::refuse_other_kind(&source, FileKind::Wal)?;
            return Ok(vec![(name.to_string(), source)]);
        }
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.wal).map_err(|error| Error::unreadable(&self.wal, error))? {
            let entry = entry.map_err(|error| Error::unreadable(&self.wal, error))?;
            names.extend(
                entry
                    .file_name()
                    .into_string()
                    .ok()
                    .filter(|name| crate::wal::SegmentName::parse(name).is_some()),
            );
        }
        if names.is_empty() {
            let (told, hint) = ("holds no WAL segment (*.wal)".to_owned(), Some(Hint::NameLog));
            return Err(Error::unreadable(&self.wal, Cause::Lacks { told, hint }));
        }
        names.sort();
        names
            .into_iter()
            .map(|name| Source::open(&self.wal.join(&name)).map(|source| (name, source)))
            .collect()
    }

    /// The raft snapshots, newest first.
    fn snaps(&self) -> Vec<PathBuf> {
        let Some(dir) = &self.snap else { return Vec::new() };
        let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
        let mut names: Vec<SnapName> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter_map(|name| SnapName::parse(&name))
            .collect();
        names.sort();
        names.iter().rev().map(|name| dir.join(name.to_string())).collect()
    }

    fn snap_path(&self, name: &Path) -> PathBuf {
        match &self.snap {
            Some(dir) if !name.exists() => dir.join(name),
            _ => name.to_path_buf(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::SnapshotMetadata;
    use crate::wal::tests::Written;
    use crate::words::finding::Severity;
    use crate::words::monitor::Collect;

    /// A member's directory: three segments, a leader's snapshot at 5, entries replaced by a new term across a cut.
    fn member() -> (tempfile::TempDir, Written) {
        let mut log = Written::new();
        (1..=5).for_each(|index| log.entry(1, index, b""));
        log.state(1, 5);
        log.snapshot(1, 5);
        log.cut(6);
        (6..=9).for_each(|index| log.entry(1, index, b"\x3a\x02\x08\x07"));
        log.cut(10);
        (8..=12).for_each(|index| log.entry(2, index, b"\x3a\x02\x10\x01"));
        log.state(2, 11);
        let dir = tempfile::tempdir().unwrap();
        let (wal, snap) = (dir.path().join("member/wal"), dir.path().join("member/snap"));
        std::fs::create_dir_all(&wal).unwrap();
        std::fs::create_dir_all(&snap).unwrap();
        log.files.iter().for_each(|(name, bytes)| std::fs::write(wal.join(name), bytes).unwrap());
        for (term, index) in [(1, 5), (2, 11)] {
            let metadata = SnapshotMetadata { conf_state: None, index: Some(index), term: Some(term) };
            let bytes =
                SnapFile::encode(&raft::Snapshot { data: Some(b"{}".to_vec()), metadata: Some(metadata) });
            std::fs::write(snap.join(SnapName { term: term.into(), index: index.into() }.to_string()), bytes)
                .unwrap();
        }
        (dir, log)
    }

    fn rows(path: &Path, options: &WalDumpOptions) -> (Vec<(u64, u64)>, u64, Vec<Finding>) {
        let (mut entries, mut start) = (Vec::new(), 0);
        let monitor = Collect::default();
        wal_dump(path, options, &monitor, &mut |row| {
            match row {
                Row::Start { after, .. } => start = after,
                Row::Entry { entry, .. } => entries.push((entry.index.get(), entry.term.get())),
                _ => {}
            }
            Ok(())
        })
        .unwrap();
        (entries, start, monitor.into_findings())
    }

    #[test]
    fn a_snapshot_without_a_wal_record_is_passed_over() {
        let (dir, _) = member();
        let (entries, start, findings) = rows(dir.path(), &WalDumpOptions::default());
        assert_eq!(start, 5);
        assert_eq!(entries, [(6, 1), (7, 1), (8, 2), (9, 2), (10, 2), (11, 2), (12, 2)]);
        assert_eq!(
            findings.iter().map(|f| (f.code, f.severity)).collect::<Vec<_>>(),
            [(Code::WalSequence, Severity::Warning)]
        );
    }

    #[test]
    fn entries_of_several_segments_are_filtered_by_type_and_index() {
        let (dir, _) = member();
        let options = |types: &[&str]| WalDumpOptions {
            start: Start::After(0),
            end_index: Some(9),
            types: types.iter().map(|name| EntryFilter::from_name(name).unwrap()).collect(),
            ..WalDumpOptions::default()
        };
        assert_eq!(rows(dir.path(), &options(&["IRRCompaction"])).0, [(6, 1), (7, 1), (8, 2)]);
        assert_eq!(rows(dir.path(), &options(&["ConfigChange", "Request"])).0, []);
        assert_eq!(rows(dir.path(), &options(&[])).0.len(), 8);
    }

    #[test]
    fn a_wal_without_its_older_segments_and_snapshots_is_read_from_where_it_begins() {
        let (dir, log) = member();
        std::fs::remove_dir_all(dir.path().join("member/snap")).unwrap();
        std::fs::remove_file(dir.path().join("member/wal").join(&log.files[0].0)).unwrap();
        let (entries, start, findings) = rows(dir.path(), &WalDumpOptions::default());
        assert_eq!((start, entries.len(), findings.len()), (5, 7, 1), "{findings:?}");
        assert_eq!(findings[0].severity, Severity::Warning);
        let (entries, start, findings) =
            rows(&dir.path().join("member/wal").join(&log.files[2].0), &WalDumpOptions::default());
        assert_eq!((start, entries.first(), findings), (9, Some(&(10, 2)), vec![]));
    }

    #[test]
    fn a_missing_middle_segment_ends_the_dump_there() {
        let (dir, log) = member();
        std::fs::remove_file(dir.path().join("member/wal").join(&log.files[1].0)).unwrap();
        let options = WalDumpOptions { start: Start::After(0), ..WalDumpOptions::default() };
        let (entries, _, findings) = rows(dir.path(), &options);
        assert_eq!(
            (entries.len(), findings[0].code, findings[0].severity),
            (5, Code::WalSequence, Severity::Damage)
        );
    }
}
