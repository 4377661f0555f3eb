//! A copy as a data directory: the same member at the same place in the raft log, with a log that begins there.
//!
//! ```text
//! member/snap/db                                        the database, the log applied
//! member/snap/TERM-INDEX.snap                           who is a member, at that entry; 3.7 does not read it,
//!                                                       3.8 has none
//! member/wal/0000000000000000-0000000000000000.wal      crc(0), metadata, snapshot {0,0}, snapshot {INDEX, TERM, conf state},
//!                                                       entries after it, state {term, vote, commit INDEX};
//!                                                       zeros to 64,000,000 bytes
//! ```
//!
//! Entries that are not known to be committed go over as they are: the member has promised its leader to keep them,
//! and a write that they hold may have been acknowledged.

use std::path::Path;

use serde::Serialize;

use super::{CopyOptions, Live, make, read_back};
use crate::bolt::db::{Db, check_length};
use crate::bolt::writer::pack::pack;
use crate::etcd::Input as Given;
use crate::etcd::member::Member;
use crate::etcd::schema::Minor;
use crate::io::dest::dir::{self, DestDir, Steps};
use crate::io::dest::room;
use crate::io::{Source, dest};
use crate::ops::fold::input::Input;
use crate::ops::overlap::while_syncing;
use crate::raft::{self, ConfState, HardState, SnapshotMetadata};
use crate::replay::apply;
use crate::replay::fold::{FoldReport, RaftPosition};
use crate::snap::file::{SnapFile, SnapName};
use crate::snap::v2::{self, V2Member};
use crate::wal::writer::{LogWriter, SEGMENT_SIZE};
use crate::wal::{SegmentName, SnapshotRecord};
use crate::words::cause::Cause;
use crate::words::error::{Error, Result};
use crate::words::finding::Finding;
use crate::words::ids::{RaftIndex, Term};
use crate::words::monitor::{Monitor, Relay};
use crate::words::refusal::Refusal;
use crate::words::text::Told;

/// What was made.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct DirectoryReport {
    /// The source, as named.
    pub source: String,
    /// What of the log was applied.
    pub fold: FoldReport,
    /// The raft entry that the directory begins after.
    pub index: RaftIndex,
    /// Its term.
    pub term: Term,
    /// Who is a member now.
    pub members: Vec<Member>,
    /// The last revision.
    pub revision: i64,
    /// HashKV of the database.
    pub hashkv: Option<u32>,
    /// What a person should know.
    pub findings: Vec<Finding>,
}

/// Copies a member's directory to a directory that does not exist, changing its members if that is asked for.
///
/// # Errors
/// As [`copy`](super::copy), and [`Error::Refused`] when the source is no directory with a log, or a change does not
/// fit.
pub fn copy_directory(
    input: impl Into<Given>,
    to: &Path,
    options: &CopyOptions<'_>,
    monitor: &dyn Monitor,
) -> Result<DirectoryReport> {
    directory(&input.into(), to, *options, monitor)
}

/// Where a data directory has its database and its raft snapshots.
const SNAP: &str = "member/snap";

fn directory(
    source: &Given,
    to: &Path,
    options: CopyOptions<'_>,
    monitor: &dyn Monitor,
) -> Result<DirectoryReport> {
    dir::check(to)?;
    dest::outside(source.path(), to)?;
    let input = Input::open(source, options.input(), monitor)?;
    if !input.folds() {
        return Err(Refusal::NoLog { file: input.name }.into());
    }
    let dest = DestDir::create(to, Steps::free())?;
    let snap = Path::new(SNAP);
    dest.dir(snap)?;
    let mut file = dest.file(&snap.join("db"))?;
    let path = dest.partial().join(snap).join("db");
    let (made, _) = make(&input, options, monitor, |db, places, monitor| {
        room::ask_in(dest.partial(), to, places.bytes(db).saturating_add(SEGMENT_SIZE))?;
        pack(db, places, &mut file, monitor).map_err(|e| e.of_output(to))
    })?;
    let measured = while_syncing(
        || file.finish(),
        || read_back(&Source::open(&path)?, &made, options, &Relay::new(monitor).without_findings()),
    )?;
    let Some(fold) = made.fold else {
        return Err(Refusal::LogNotApplied { file: input.name }.into());
    };
    let raft = &fold.raft;
    let node = raft.metadata.member();
    let begun = raft.index > RaftIndex::default() && raft.term > Term::default();
    if !begun || !raft.members.iter().any(|member| member.id == node) {
        return Err(Refusal::NotAMember { file: input.name, id: node, index: raft.index }.into());
    }
    write_raft(&dest, raft)?;
    if !input.unchanged() && options.live == Live::Refuse {
        return Err(Error::unreadable(
            source.path(),
            Cause::changed("changed while it was read: it is in use. Nothing was kept"),
        ));
    }
    dest.place()?;
    Ok(DirectoryReport {
        source: input.name.clone(),
        index: raft.index,
        term: raft.term,
        members: raft.members.clone(),
        revision: measured.revision.unwrap_or(0),
        hashkv: measured.hashkv,
        fold: fold.report,
        findings: made.findings,
    })
}

/// The raft snapshot and the log that begins behind it.
fn write_raft(dest: &DestDir<'_>, raft: &RaftPosition) -> Result<()> {
    if !raft.version.minor.has_no_raft_snapshot() {
        let (name, bytes) = snapshot(raft);
        let mut file = dest.file(&Path::new(SNAP).join(name.to_string()))?;
        file.put(&bytes)?;
        file.finish()?;
    }
    let wal = Path::new("member/wal");
    dest.dir(wal)?;
    let name = SegmentName { sequence: 0, index: RaftIndex::default() };
    let mut file = dest.file(&wal.join(name.to_string()))?;
    file.reserve(SEGMENT_SIZE)?;
    file.put(&log(raft))?;
    file.finish()
}

/// Who is a member of a stopped member's cluster: by its database, and by its log where there is one.
///
/// # Errors
/// As [`copy`](super::copy); nothing is written.
pub fn members(
    input: impl Into<Given>,
    options: &CopyOptions<'_>,
    monitor: &dyn Monitor,
) -> Result<Vec<Member>> {
    let input = Input::open(&input.into(), options.input(), monitor)?;
    let damaged = |c| Error::damaged(input.database.path(), c);
    let db = Db::open(&input.database).map_err(damaged)?;
    check_length(&db).map_err(damaged)?;
    match input.fold(&db, options.fold(), &Relay::new(monitor).without_findings())? {
        Some(fold) => Ok(fold.raft.members),
        None => Ok(apply::facts(&db).map_err(damaged)?.members),
    }
}

/// The conf state in the words of the version.
fn conf_state(raft: &RaftPosition) -> ConfState {
    ConfState { auto_leave: (raft.version.minor < Minor::V37).then_some(false), ..raft.conf_state.clone() }
}

fn log(raft: &RaftPosition) -> Vec<u8> {
    let mut log = LogWriter::new(0);
    log.metadata(&raft.metadata);
    log.snapshot(&SnapshotRecord { index: Some(0), term: Some(0), conf_state: None });
    let conf_state = (raft.version.minor > Minor::V34).then(|| conf_state(raft));
    log.snapshot(&SnapshotRecord { index: Some(raft.index.get()), term: Some(raft.term.get()), conf_state });
    raft.promised.iter().for_each(|entry| log.entry(entry));
    let (term, vote) = (raft.state.newest_term().max(raft.term), raft.state.vote());
    log.state(&HardState { term: Some(term.get()), vote: Some(vote), commit: Some(raft.index.get()) });
    log.into_bytes()
}

fn snapshot(raft: &RaftPosition) -> (SnapName, Vec<u8>) {
    let members = raft.members.iter().map(|m| V2Member {
        id: m.id,
        peer_urls: m.peer_urls.iter().map(Told::raw).collect(),
        learner: m.is_learner,
    });
    let (version, gets_fail) =
        (raft.cluster_version.as_ref().map(Told::raw), u64::from(raft.version.minor > Minor::V35));
    let data = v2::store(members, &raft.removed, version, gets_fail);
    let (index, term) = (raft.index, raft.term);
    let metadata = SnapshotMetadata {
        conf_state: Some(conf_state(raft)),
        index: Some(index.get()),
        term: Some(term.get()),
    };
    let snapshot = raft::Snapshot { data: Some(data.into_bytes()), metadata: Some(metadata) };
    (SnapName { term, index }, SnapFile::encode(&snapshot))
}
