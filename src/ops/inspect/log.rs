//! The log and the raft snapshots of a directory, and how far its database is behind.

use std::ops::ControlFlow;
use std::path::Path;

use super::report::{InspectReport, LagReport, RaftSnapshotReport, SegmentReport, SnapshotRecord, WalReport};
use crate::codec::to_u64;
use crate::etcd::datadir;
use crate::io::Source;
use crate::ops::log_fault::log_finding;
use crate::snap::file::{Membership, SnapFile, user_keys};
use crate::wal::{self, Body, End, Log};
use crate::words::collector::Teller;
use crate::words::ids::{MemberId, RaftIndex};

pub(super) fn raft_snapshot(source: &Source, found: &mut Teller<'_>) -> RaftSnapshotReport {
    let mut report = RaftSnapshotReport {
        path: source.name(),
        file_size: source.len(),
        term: None,
        index: None,
        voters: Vec::new(),
        learners: Vec::new(),
        members: None,
        v2_keys: None,
        fault: None,
    };
    match source.read_all(datadir::RAFT_SNAPSHOT_LIMIT).and_then(|bytes| SnapFile::decode(&bytes)) {
        Ok(snap) => {
            report.term = Some(snap.term());
            report.index = Some(snap.index());
            let conf = snap.snapshot.metadata.as_ref().and_then(|m| m.conf_state.as_ref());
            let ids = |ids: &[u64]| ids.iter().copied().map(MemberId::new).collect();
            report.voters = conf.map(|c| ids(&c.voters)).unwrap_or_default();
            report.learners = conf.map(|c| ids(&c.learners)).unwrap_or_default();
            report.v2_keys = snap.snapshot.data.as_deref().and_then(user_keys);
            report.members = snap.membership().ok().map(|m: Membership| to_u64(m.members.len()));
        }
        Err(corrupt) => {
            report.fault = Some(corrupt.detail.clone());
            found.corrupt(&source.name(), *corrupt);
        }
    }
    report
}

/// The report, and the snapshot records in it as they are.
pub(super) fn wal(
    dir: &Path,
    files: &[(String, &Source)],
    found: &mut Teller<'_>,
) -> (WalReport, Vec<wal::SnapshotRecord>) {
    let log = Log::new(files.iter().map(|(name, source)| (name.as_str(), *source)));
    let total = files.iter().map(|(_, s)| s.len()).fold(0, u64::saturating_add);
    found.monitor.begin("reading the WAL", total);
    let mut findings = Vec::new();
    let monitor = found.monitor;
    let mut unsaid = 0u64;
    let summary =
        log.scan(wal::Scan::default(), &mut |fault| findings.push(log_finding(&log, fault)), &mut |visit| {
            if !matches!(visit.body, Body::Crc) {
                unsaid = unsaid.saturating_add(to_u64(visit.record.bytes().len()));
            }
            if unsaid > 1 << 20 {
                monitor.advance(std::mem::take(&mut unsaid));
            }
            if monitor.cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
    monitor.end();
    findings.into_iter().for_each(|f| found.push(f));
    let segments = log.segments().iter().enumerate().map(|(i, segment)| {
        let read = summary.segments.get(i);
        SegmentReport {
            name: segment.name.to_string(),
            sequence: segment.name.sequence,
            first_index: segment.name.index,
            file_size: segment.source.len(),
            used: read.map_or(0, |r| r.used),
            records: read.map_or(0, |r| r.records),
        }
    });
    let end = match summary.end() {
        Some(End::CleanEof) => "at the end of the file".to_owned(),
        Some(End::ZeroWord) => "at unused space".to_owned(),
        Some(End::Torn(torn)) => format!("in a torn record: {torn}"),
        Some(End::Damaged(corrupt)) => format!("in damage: {corrupt}"),
        None => "where reading stopped".to_owned(),
    };
    let report = WalReport {
        path: crate::words::error::show(dir),
        segments: segments.collect(),
        node_id: summary.metadata.map(|m| m.member()),
        cluster_id: summary.metadata.map(|m| m.cluster()),
        term: summary.hard_state.map(|s| s.newest_term()),
        vote: summary.hard_state.map(|s| s.voted_for()),
        commit: summary.hard_state.map(|s| s.committed()),
        first_entry: summary.first.map(RaftIndex::new),
        last_entry: summary.last.map(RaftIndex::new),
        snapshots: summary.snapshots.iter().map(SnapshotRecord::of).collect(),
        complete: summary.complete,
        end,
    };
    (report, summary.snapshots)
}

pub(super) fn lag(report: &InspectReport) -> Option<LagReport> {
    let wal = report.wal.as_ref()?;
    let consistent_index =
        report.database.as_ref()?.etcd.as_ref()?.facts.consistent_index.unwrap_or_default();
    let commit = wal.commit.unwrap_or_default();
    let last_entry = wal.last_entry.max(wal.snapshots.iter().map(|s| s.index).max()).unwrap_or_default();
    let committed_not_in_db = commit.since(consistent_index).unwrap_or(0);
    let uncommitted = last_entry.since(commit.max(consistent_index)).unwrap_or(0);
    let etcd = report.database.as_ref()?.etcd.as_ref()?;
    let voters = etcd.facts.conf_state.as_ref().map_or(etcd.facts.members.len(), |c| c.voters.len());
    let entries = |n: u64| if n == 1 { "1 entry".to_owned() } else { format!("{n} entries") };
    let span = |from: RaftIndex, to: RaftIndex| {
        if from == to { format!("index {to}") } else { format!("index {from} to {to}") }
    };
    let mut parts = Vec::new();
    if committed_not_in_db > 0 {
        parts.push(format!("{committed_not_in_db} committed ({})", span(consistent_index.next(), commit)));
    }
    if uncommitted > 0 {
        let fate = if voters == 1 { ", which a sole voter commits when it starts" } else { "" };
        let from = commit.max(consistent_index).next();
        parts.push(format!("{uncommitted} logged without a commit mark ({}){fate}", span(from, last_entry)));
    }
    let sentence = if parts.is_empty() {
        format!("The db holds every entry of its WAL (index {consistent_index}).")
    } else {
        let behind = entries(committed_not_in_db.saturating_add(uncommitted));
        format!("The db (index {consistent_index}) lags its WAL by {behind}: {}.", parts.join(", "))
    };
    let partial = if wal.complete { "" } else { " The WAL could not be read to its end: it may hold more." };
    Some(LagReport {
        consistent_index,
        commit,
        last_entry,
        committed_not_in_db,
        uncommitted,
        sentence: format!("{sentence}{partial}"),
    })
}
