//! Which database a member's log is applied to: its own, one that it had received from its leader, or none.
//!
//! Source: `server/storage/backend.go RecoverSnapshotBackend`, `server/etcdserver/bootstrap.go` @ v3.6.14, v3.7.1.

use std::io::Cursor;
use std::path::Path;

use super::apply;
use super::member_log::MemberLog;
use crate::bolt::Db;
use crate::bolt::writer::{Options, Writer};
use crate::codec::to_u64;
use crate::etcd::DataDir;
use crate::etcd::schema::BUCKETS;
use crate::io::{Source, tree};
use crate::wal::{Read, SnapshotRecord};
use crate::words::error::{At, Result, show};
use crate::words::finding::{Code, Finding, Severity};
use crate::words::ids::RaftIndex;
use crate::words::monitor::{Monitor, Quiet};

/// A database that is taken in the place of the member's own.
#[derive(Debug)]
pub(crate) enum StandIn {
    /// One that it had received.
    Received(Source, Finding),
    /// An empty one: there is none, and the log holds everything.
    #[cfg_attr(not(feature = "fs"), expect(dead_code, reason = "only who copies tells of it"))]
    Empty(Source, Finding),
}

/// What etcd, or who copies, takes in the place of a member's own database, and the log, told what is asked of it.
///
/// # Errors
/// [`Unreadable`](crate::Error::Unreadable) when a received database cannot be opened.
pub(crate) fn stand_in(
    dir: &DataDir,
    own: Option<&Source>,
    log: MemberLog,
) -> Result<(MemberLog, Option<StandIn>)> {
    let reached = own.filter(|_| !log.files().is_empty()).and_then(last_entry_in);
    let after = match own {
        Some(_) => reached.unwrap_or(RaftIndex::new(u64::MAX)),
        None if is_of_a_member(dir) => RaftIndex::default(),
        None => RaftIndex::new(u64::MAX),
    };
    let log = log.keep_after(after);
    if let Some((source, finding)) = received(dir, &log, reached.unwrap_or_default())? {
        return Ok((log, Some(StandIn::Received(source, finding))));
    }
    if own.is_some() || log.files().is_empty() || !is_of_a_member(dir) {
        return Ok((log, None));
    }
    let empty = match missing(dir, &log, &Quiet)? {
        Missing { finding, made_anew: true } => {
            let path = dir.snap_dir.clone().unwrap_or_else(|| dir.path.join("member/snap")).join("db");
            Some(StandIn::Empty(empty_database(&path)?, finding))
        }
        Missing { made_anew: false, .. } => None,
    };
    Ok((log, empty))
}

/// Whether it is more than the directory of a log.
pub(crate) fn is_of_a_member(dir: &DataDir) -> bool {
    dir.snap_dir.is_some() || dir.wal_dir.as_ref() != Some(&dir.path)
}

/// That a database is missing, and what that means.
pub(crate) struct Missing {
    pub finding: Finding,
    /// Whether the log alone makes it.
    pub made_anew: bool,
}

/// What it means that the directory has no database of its own.
///
/// # Errors
/// [`Cancelled`](crate::Error::Cancelled).
pub(crate) fn missing(dir: &DataDir, log: &MemberLog, monitor: &dyn Monitor) -> Result<Missing> {
    let read = log.read(monitor)?;
    let summary = &read.summary;
    let recorded = summary.valid_snapshots().map(SnapshotRecord::last_index).max().unwrap_or_default();
    let file = log.raft_snapshot(RaftIndex::new(u64::MAX), read).map(|snap| snap.index());
    let whole = summary.first == Some(1) && summary.is_whole() && read.faults.iter().all(|f| f.harmless);
    let made_anew = whole && !is_restored(read);
    let taken = file.unwrap_or_default().max(recorded);
    let whole = "the log is whole from its first entry on: nothing is lost";
    let (severity, what) = match (made_anew, file) {
        (true, Some(file)) => (
            Severity::Damage,
            format!("etcd panics without it, as there is a raft snapshot at index {file}; {whole}"),
        ),
        (true, None) if taken > RaftIndex::default() => (
            Severity::Warning,
            format!(
                "etcd up to 3.6 builds it anew from the log, 3.7 and newer panic, as the log records a snapshot at index {taken}; {whole}"
            ),
        ),
        (true, None) => (Severity::Warning, format!("etcd builds it anew from the log; {whole}")),
        (false, _) if taken > RaftIndex::default() => {
            (Severity::Damage, format!("what it held at raft index {taken} is nowhere else"))
        }
        (false, _) => (Severity::Damage, "the log does not hold all that it held".to_owned()),
    };
    let severity = if dir.snap_dbs.is_empty() { severity } else { Severity::Warning };
    let place = show(dir.snap_dir.as_deref().unwrap_or(&dir.path));
    let what = format!("there is no database; {what}");
    let finding = Finding { severity, ..Finding::new(Code::DbMissing, &place, At::default(), what) };
    Ok(Missing { finding, made_anew })
}

/// Whether a log was begun by a restore: its first raft snapshot stands for members alone, and the database beside it
/// was that of a backup (`etcdutl/snapshot/v3_snapshot.go saveWALAndSnap` @ v3.6.14). A member that goes on from an
/// empty database has a snapshot only after other entries than these.
fn is_restored(read: &Read) -> bool {
    let snapshots = read.summary.valid_snapshots().map(|snapshot| snapshot.index());
    let first = snapshots.filter(|index| *index > 0).min();
    first.is_some_and(|first| {
        let members = read.conf_changes.range(..=RaftIndex::new(first)).count();
        to_u64(members) == first
    })
}

/// etcd's buckets with nothing in them.
pub(crate) fn empty_database(path: &Path) -> Result<Source> {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(Cursor::new(&mut bytes), Options::default())?;
    for name in BUCKETS {
        writer.begin_bucket(name.as_bytes(), 0)?;
        writer.end_bucket()?;
    }
    writer.finish()?;
    Ok(Source::from_bytes(path, bytes))
}

/// The last raft entry in a database that can be read.
fn last_entry_in(source: &Source) -> Option<RaftIndex> {
    let db = Db::open(source).ok()?;
    Some(apply::facts(&db).ok()?.consistent_index.unwrap_or_default())
}

/// The database that etcd would put in the place of the member's own: one received for the newest snapshot that the
/// log records, if the member's own has not `reached` that.
fn received(dir: &DataDir, log: &MemberLog, reached: RaftIndex) -> Result<Option<(Source, Finding)>> {
    if dir.snap_dbs.is_empty() {
        return Ok(None);
    }
    let read: &Read = log.read(&Quiet)?;
    let recorded = read.summary.valid_snapshots().map(SnapshotRecord::last_index).max().unwrap_or_default();
    if recorded <= reached {
        return Ok(None);
    }
    let wanted = format!("{:016x}.snap.db", recorded.get());
    let named = |path: &&std::path::PathBuf| path.file_name().is_some_and(|name| name == wanted.as_str());
    let Some(path) = dir.snap_dbs.iter().find(named) else { return Ok(None) };
    let received = tree::open(path)?;
    let what = format!(
        "it was received at raft index {recorded}, the member's own database is at {reached}: it is copied in its place"
    );
    let finding = Finding::new(Code::SnapDbPending, &received.name(), At::default().index(recorded), what);
    Ok(Some((received, finding)))
}

/// Why a directory without a database is of no use.
///
/// # Errors
/// [`Cancelled`](crate::Error::Cancelled).
#[cfg(feature = "fs")]
pub(crate) fn useless(log: &MemberLog) -> Result<String> {
    let summary = &log.read(&Quiet)?.summary;
    let snapshot = summary.valid_snapshots().any(|snapshot| snapshot.index() > 0);
    let what = match summary.first {
        None => "to copy".to_owned(),
        Some(first) => format!(
            "to copy, and its log alone does not make it: it begins at entry {first}{}. Find the database, or copy another member",
            if snapshot {
                ", after a raft snapshot that the database was to hold"
            } else {
                ", or is damaged"
            }
        ),
    };
    Ok(format!("holds no member/snap/db {what}"))
}
