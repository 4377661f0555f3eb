//! Where a dump starts, and the log read from there.

use std::path::PathBuf;

use super::files::{WalFiles, read_snap};
use crate::ops::log_fault::log_finding;
use crate::snap::file::SnapFile;
use crate::wal::{EntryRef, Log, Scan, Summary};
use crate::words::error::{At, Error, Result, show};
use crate::words::finding::{Code, Finding, Severity};
use crate::words::monitor::Monitor;

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

/// A log read from where the dump begins.
pub(super) struct FromStart<'a> {
    /// The raft snapshot that it begins after.
    pub snapshot: Option<SnapFile>,
    /// The raft index that it begins after.
    pub after: u64,
    pub log: Log<'a>,
    pub entries: Vec<EntryRef>,
    pub summary: Summary,
    pub findings: Vec<Finding>,
}

/// Reads the log from where the options say.
pub(super) fn read_from_start<'a>(
    files: &WalFiles,
    log: &Log<'a>,
    start: &Start,
    monitor: &dyn Monitor,
) -> Result<FromStart<'a>> {
    match start {
        Start::After(index) => Ok(FromStart::read(files, log, (*index, 0), None)),
        Start::Snapshot(name) => {
            let file = read_snap(&files.snap_path(name))?;
            let mut read = FromStart::after_snapshot(files, log, file);
            if !read.is_recorded() {
                read.say_unrecorded(files);
            }
            Ok(read)
        }
        Start::NewestSnapshot => newest_snapshot(files, log, monitor),
    }
}

/// etcd 3.4.8 and newer boot from the newest one the WAL knows; etcd-dump-logs 3.6 takes the newest and gives up if it
/// does not.
fn newest_snapshot<'a>(files: &WalFiles, log: &Log<'a>, monitor: &dyn Monitor) -> Result<FromStart<'a>> {
    let mut newest: Option<FromStart<'a>> = None;
    for path in files.snaps() {
        let file = match read_snap(&path) {
            Ok(file) => file,
            Err(error) => {
                monitor.finding(unreadable_snapshot(error)?);
                continue;
            }
        };
        let read = FromStart::after_snapshot(files, log, file);
        if !read.is_recorded() {
            newest.get_or_insert(read);
            continue;
        }
        if let Some(newer) = newest.and_then(|read| read.snapshot) {
            monitor.finding(passed_over(&files.wal_name(), &newer));
        }
        return Ok(read);
    }
    if let Some(mut read) = newest {
        read.say_unrecorded(files);
        return Ok(read);
    }
    let first = log.segments().first().map_or(0, |segment| segment.name.index.get());
    if first > 0 && files.single.is_none() {
        monitor.finding(begins_late(&files.wal_name(), first));
    }
    Ok(FromStart::read(files, log, (first.saturating_sub(1), first), None))
}

impl<'a> FromStart<'a> {
    fn after_snapshot(files: &WalFiles, log: &Log<'a>, file: SnapFile) -> FromStart<'a> {
        FromStart::read(files, log, (file.index().get(), 0), Some(file))
    }

    /// Reads the entries after an index, of a log whose first segment `begins` there.
    fn read(
        files: &WalFiles,
        log: &Log<'a>,
        (after, begins): (u64, u64),
        snapshot: Option<SnapFile>,
    ) -> FromStart<'a> {
        let mut findings = Vec::new();
        // Without its beginning a log is read from where it starts.
        let log = log.select(after.max(begins)).unwrap_or_else(|corrupt| {
            findings.push(Finding::from_corrupt(&files.wal_name(), *corrupt));
            log.clone()
        });
        let scan = Scan { after: Some(after), raw: false };
        let (entries, summary) = log.entries(scan, &mut |fault| findings.push(log_finding(&log, fault)));
        FromStart { snapshot, after, log, entries, summary, findings }
    }

    /// Whether the log has a record of the snapshot.
    fn is_recorded(&self) -> bool {
        let Some(file) = &self.snapshot else { return false };
        let place = (file.term(), file.index());
        self.summary.snapshots.iter().any(|snapshot| (snapshot.last_term(), snapshot.last_index()) == place)
    }

    fn say_unrecorded(&mut self, files: &WalFiles) {
        if !self.summary.is_whole() {
            return;
        }
        let (term, index) =
            self.snapshot.as_ref().map_or_else(Default::default, |file| (file.term(), file.index()));
        let what = format!("the WAL has no record of the raft snapshot at term {term}, index {index}");
        let at = At::default().index(index);
        self.findings.push(Finding::new(Code::WalSequence, &files.wal_name(), at, what));
    }
}

/// A raft snapshot that cannot be read, as a finding; other errors remain errors.
fn unreadable_snapshot(error: Error) -> Result<Finding> {
    match error {
        Error::Damaged { path, corrupt } => Ok(Finding::from_corrupt(&show(&path), *corrupt)),
        Error::Unreadable { path, cause } => {
            let finding = Finding::new(Code::Unreadable, &show(&path), At::default(), cause.to_string());
            Ok(finding.hint(cause.hint()))
        }
        error => Err(error),
    }
}

fn begins_late(wal: &str, first: u64) -> Finding {
    let what = format!(
        "no raft snapshot, and the oldest segment begins at raft index {first}: those before are not here"
    );
    let finding = Finding::new(Code::WalSequence, wal, At::default().index(first), what);
    Finding { severity: Severity::Warning, ..finding }
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
