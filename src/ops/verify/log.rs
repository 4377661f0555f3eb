//! The write-ahead log and the raft snapshots of a directory, against its database.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::Path;

use super::{Database, Run};
use crate::bytes::{Source, to_u64};
use crate::error::{At, Error, Result};
use crate::etcd::datadir::{DataDir, RAFT_SNAPSHOT_LIMIT};
use crate::etcd::member;
use crate::finding::{Code, Finding};
use crate::snap::file::{SnapFile, SnapName};
use crate::wal::log::{Body, Log, Scan, Summary};

/// Checks everything; returns what was checked, in words.
pub fn check(dir: &DataDir, database: &Database, run: &mut Run<'_>) -> Result<String> {
    let snaps = raft_snapshots(dir, run)?;
    if dir.wals.is_empty() {
        let file = crate::error::show(dir.wal_dir.as_deref().unwrap_or(&dir.path));
        run.found.say(Code::WalMissing, &file, "there is no WAL segment: what the database lacks cannot be told");
        return Ok(format!("no WAL, {} raft snapshots", snaps.len()));
    }
    let sources = dir.wals.iter().map(|path| Source::open(path)).collect::<Result<Vec<_>>>()?;
    let names: Vec<String> = dir.wals.iter().map(|path| file_name(path)).collect();
    let log = Log::new(names.iter().map(String::as_str).zip(&sources));
    let (summary, entries) = read(&log, &sources, run)?;
    let wal = crate::error::show(dir.wal_dir.as_deref().unwrap_or(&dir.path));
    run.verification.measured.cluster_id = summary.metadata.map(|m| member::hex16(m.cluster_id()));

    snapshot_records(&summary, &snaps, database, &wal, run);
    positions(dir, &summary, &snaps, database, &wal, run);
    identity(&summary, &snaps, database, &wal, run);
    Ok(format!("{} segments, {entries} entries, {} raft snapshots", log.segments().len(), snaps.len()))
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A raft snapshot whose checksum holds.
struct Snap {
    file: String,
    content: SnapFile,
}

fn raft_snapshots(dir: &DataDir, run: &mut Run<'_>) -> Result<Vec<Snap>> {
    let mut snaps = Vec::new();
    for path in &dir.snaps {
        let source = Source::open(path)?;
        let file = source.name();
        let content = match source.read_all(RAFT_SNAPSHOT_LIMIT).and_then(|bytes| SnapFile::decode(&bytes)) {
            Ok(content) => content,
            Err(corrupt) => {
                run.found.push(Finding::from_corrupt(&file, *corrupt));
                continue;
            }
        };
        let name = SnapName::parse(&file_name(path));
        if name.is_some_and(|n| (n.term, n.index) != (content.term(), content.index())) {
            let what = format!("the file holds term {} and index {}, its name says otherwise", content.term(), content.index());
            run.found.say(Code::SnapInvalid, &file, what);
        }
        snaps.push(Snap { file, content });
    }
    Ok(snaps)
}

fn read(log: &Log<'_>, sources: &[Source], run: &mut Run<'_>) -> Result<(Summary, u64)> {
    let monitor = run.monitor;
    monitor.begin("reading the WAL", sources.iter().map(Source::len).fold(0, u64::saturating_add));
    let (mut findings, mut entries, mut unsaid) = (Vec::new(), 0u64, 0u64);
    let summary = log.scan(Scan::default(), &mut |f| findings.push(f), &mut |visit| {
        unsaid = unsaid.saturating_add(to_u64(visit.record.bytes().len()));
        if unsaid > 1 << 20 {
            monitor.advance(std::mem::take(&mut unsaid));
        }
        if matches!(visit.body, Body::Entry { .. }) {
            entries = entries.saturating_add(1);
        }
        if monitor.cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    monitor.end();
    if monitor.cancelled() {
        return Err(Error::Cancelled);
    }
    findings.into_iter().for_each(|f| run.found.push(f));
    Ok((summary, entries))
}

/// Snapshot records etcd may start from need their file, up to 3.6; the newest one decides.
fn snapshot_records(summary: &Summary, snaps: &[Snap], database: &Database, wal: &str, run: &mut Run<'_>) {
    let Some(newest) = summary.valid_snapshots().rfind(|s| s.index() > 0) else { return };
    let found = snaps.iter().any(|s| (s.content.term(), s.content.index()) == (newest.term(), newest.index()));
    if found {
        return;
    }
    let version = database.facts.as_ref().and_then(|f| f.storage_version.clone()).unwrap_or_default();
    let what = format!(
        "the log records a snapshot at index {} of term {}, its .snap file is not there{}",
        newest.index(),
        newest.term(),
        match version.as_str() {
            "" => String::new(),
            version => format!(" (storage version {version}; etcd needs the file up to 3.6)"),
        }
    );
    run.found.push(Finding::new(Code::SnapMissing, wal, At::default().index(newest.index()), what));
}

/// How the database, the log and the snapshots lie to each other on the raft index.
fn positions(dir: &DataDir, summary: &Summary, snaps: &[Snap], database: &Database, wal: &str, run: &mut Run<'_>) {
    let Some(facts) = &database.facts else { return };
    let db_index = facts.consistent_index.unwrap_or(0);
    let commit = summary.hard_state.map_or(0, |s| s.commit());
    let last = summary.last.unwrap_or(0).max(summary.snapshots.iter().map(|s| s.index()).max().unwrap_or(0));
    let lag = last.saturating_sub(db_index);
    run.verification.measured.wal_lag = Some(lag);
    if lag > 0 && summary.complete {
        let committed = commit.saturating_sub(db_index);
        let what = format!(
            "the database is at index {db_index}, the log goes to {last}: {lag} entries are only in the WAL, {committed} of them known to be committed"
        );
        run.found.push(Finding::new(Code::DbLag, &database.name, At::default().index(db_index), what));
    }
    if summary.complete && db_index > last {
        let what = format!("the database is at index {db_index}, but the log ends at {last}: it is of another time or another member");
        run.found.push(Finding::new(Code::DbAhead, &database.name, At::default().index(db_index), what));
    }
    let term = summary.hard_state.map_or(0, |s| s.term());
    if let Some(db_term) = facts.term.filter(|t| summary.complete && *t > term) {
        let what =
            format!("the database is at term {db_term}, but the log's hard state is at {term}: it is of another time or another member");
        run.found.push(Finding::new(Code::DbAhead, &database.name, At::default().index(db_index), what));
    }
    let recorded = summary.valid_snapshots().map(|s| s.index());
    let newest = snaps.iter().map(|s| s.content.index()).filter(|i| *i <= commit).chain(recorded).max().unwrap_or(0);
    let pending = dir.snap_dbs.iter().any(|p| file_name(p) == format!("{newest:016x}.snap.db"));
    if newest > db_index && db_index > 0 && !pending {
        let what = format!("the database is at index {db_index}, but a raft snapshot is at {newest}: the entries between are gone");
        run.found.push(Finding::new(Code::DbBehindSnapshot, &database.name, At::default().index(db_index), what));
    } else if let Some(first) = summary.first
        && first > db_index.saturating_add(1)
        && last > db_index
        && !pending
    {
        let what = format!(
            "the database is at index {db_index}, the log's first entry is {first}: {} entries are missing",
            first.saturating_sub(db_index).saturating_sub(1)
        );
        run.found.push(Finding::new(Code::WalStart, wal, At::default().index(first), what));
    }
}

/// Whether the database, the log and the newest snapshot name the same members.
fn identity(summary: &Summary, snaps: &[Snap], database: &Database, wal: &str, run: &mut Run<'_>) {
    let Some(facts) = &database.facts else { return };
    let listed: BTreeSet<u64> = facts.members.iter().map(|m| m.id).collect();
    let node = summary.metadata.map(|m| m.node_id());
    if let Some(node) = node.filter(|n| !listed.is_empty() && !listed.contains(n)) {
        let removed = if facts.removed_members.contains(&node) { "it was removed" } else { "it is not listed" };
        let what = format!("the log is of member {node:x}; in the database's members {removed}");
        run.found.say(Code::MembersDisagree, wal, what);
    }
    // The v2 store of a raft snapshot is the truth up to 3.5, as of that snapshot: only one at the database's own index can be held against it.
    let Some(snap) = snaps.last().filter(|s| Some(s.content.index()) == facts.consistent_index) else { return };
    let Ok(membership) = snap.content.membership() else { return };
    for m in &facts.members {
        let Some(other) = membership.members.iter().find(|o| o.id == m.id) else {
            run.found.say(Code::MembersDisagree, &snap.file, format!("member {:x} of the database is not in the raft snapshot", m.id));
            continue;
        };
        if other.is_learner != m.is_learner {
            let word = |learner| if learner { "a learner" } else { "a voter" };
            let what =
                format!("member {:x} is {} in the raft snapshot and {} in the database", m.id, word(other.is_learner), word(m.is_learner));
            run.found.say(Code::MembersDisagree, &snap.file, what);
        }
    }
    for other in membership.members.iter().filter(|o| !listed.contains(&o.id)) {
        run.found.say(Code::MembersDisagree, &snap.file, format!("member {:x} of the raft snapshot is not in the database", other.id));
    }
}
