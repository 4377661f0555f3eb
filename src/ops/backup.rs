//! `backup`, as etcdutl has it up to 3.5: a stopped member's directory with its v2 store, for a new cluster of one
//! member (`etcd --force-new-cluster`). Nothing is applied: etcd takes what the log holds when it starts.
//!
//! ```text
//! member/snap/db                the database; of no member but one that stands for whoever will be the cluster
//! member/snap/TERM-INDEX.snap   the newest raft snapshot, its v2 store so changed
//! member/wal/0...0.wal          the entries after that; in the place of those that tell of members, empty ones
//! ```
//!
//! Source: `etcdutl/etcdutl/backup_command.go` @ v3.5.35.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::fold::check::verified;
use super::fold::input::{Input, InputOptions, Live};
use super::overlap::while_syncing;
use crate::bolt::Db;
use crate::bolt::writer::FreelistPage;
use crate::codec::to_u64;
use crate::etcd::Input as Given;
use crate::etcd::identity::{NewCluster, NewMember};
use crate::etcd::request::{Request, decode};
use crate::io::Source;
use crate::io::dest::dir::{self, DestDir, DestFile, Steps};
use crate::io::dest::{self, room};
use crate::raft::{ConfState, Entry, EntryType, EntryView, HardState};
use crate::replay::FoldOptions;
use crate::replay::stand_in::empty_database;
use crate::snap::file::{SnapFile, SnapName};
use crate::snap::v2::{self, V2Member};
use crate::store::rewrite::{Edit, Edits, read_back, write_anew};
use crate::store::scan::KeyDepth;
use crate::wal::writer::{LogWriter, SEGMENT_SIZE};
use crate::wal::{LogCursor, Scan, SegmentName, SnapshotRecord};
use crate::words::cause::Cause;
use crate::words::error::{At, Corrupt, Error, Result, show};
use crate::words::finding::{Code, Finding};
use crate::words::ids::RaftIndex;
use crate::words::monitor::{Monitor, Quiet};
use crate::words::refusal::Refusal;

/// The member that a backup is of, until etcd puts itself in its place. The flag in its URL is etcd's.
const MEMBER: &str = concat!("etcdctl-v2-backup=http://use-flag-", "-force-new-cluster:2080");

/// Bytes of a log that are gathered before they are written.
const PIECE: usize = 1 << 20;

/// How a backup is made.
#[derive(Debug, Clone, Copy)]
pub struct BackupOptions<'o> {
    /// The log of the source, if it is not in its directory.
    pub wal_dir: Option<&'o Path>,
    /// Where the log of the backup goes, if not into its directory.
    pub to_wal_dir: Option<&'o Path>,
    /// Whether what the v3 API stored is in it: else the v2 store alone.
    pub with_v3: bool,
}

/// What was made.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct BackupReport {
    /// The source, as named.
    pub source: String,
    /// The raft snapshot that it begins at; 0 without one.
    pub index: RaftIndex,
    /// Entries after that.
    pub entries: u64,
    /// How many of them are empty in the backup.
    pub emptied: u64,
    /// What a person should know.
    pub findings: Vec<Finding>,
}

/// Makes a backup of a stopped member's directory, which is only read.
///
/// # Errors
/// As [`copy`](super::copy()); nothing is left then.
pub fn backup(
    source: impl Into<Given>,
    to: &Path,
    options: &BackupOptions<'_>,
    monitor: &dyn Monitor,
) -> Result<BackupReport> {
    let source = source.into();
    let places = Places::new(source.path(), to, options.to_wal_dir)?;
    let of = InputOptions { wal_dir: options.wal_dir, folds: true, live: Live::Refuse, to: None };
    let input = Input::open(&source, of, monitor)?;
    if !input.folds() {
        return Err(Refusal::NoLog { file: input.name }.into());
    }
    let cluster = NewCluster::parse(MEMBER, "")?;
    let Some(member) = cluster.members.first() else { return Err(Refusal::NoMembers.into()) };
    let (_, findings) = verified(&input, KeyDepth::History, FoldOptions::default(), monitor)?;
    let read = input.log.read(monitor)?;
    let snap = input.log.raft_snapshot(RaftIndex::new(u64::MAX), read);
    let plan = Plan { input: &input, snap, member, with_v3: options.with_v3 };
    let data = DestDir::create(&places.root, Steps::free())?;
    let begin = |dir| dir::log_elsewhere(dir, &segment(), Steps::free());
    let log = places.log.as_deref().map(begin).transpose()?;
    plan.snap_dir(&data, &places, monitor)?;
    let (entries, emptied) = plan.log(&data, log.as_ref(), &places, monitor)?;
    if !input.unchanged() {
        let cause = Cause::changed("changed while it was read: it is in use. Nothing was kept");
        return Err(Error::unreadable(source.path(), cause));
    }
    dir::place_with_log(data, log, &segment())?;
    Ok(BackupReport { source: plan.input.name.clone(), index: plan.index(), entries, emptied, findings })
}

/// Where it goes.
struct Places {
    /// What is put in its place as a whole: the directory, or what is `member` in one that is there.
    root: PathBuf,
    inside: PathBuf,
    log: Option<PathBuf>,
}

impl Places {
    fn new(source: &Path, to: &Path, log: Option<&Path>) -> Result<Places> {
        let (root, inside) = dir::root_of(to);
        let log = log.filter(|dir| *dir != to.join("member/wal")).map(Path::to_path_buf);
        dir::check(&root)?;
        dest::outside(source, &root)?;
        if let Some(dir) = &log {
            dir::check_log_elsewhere(dir, &segment(), &root)?;
            dest::outside(source, dir)?;
        }
        Ok(Places { root, inside, log })
    }
}

fn segment() -> PathBuf {
    SegmentName::FIRST.to_string().into()
}

/// What is made of what.
struct Plan<'p> {
    input: &'p Input,
    snap: Option<SnapFile>,
    member: &'p NewMember,
    with_v3: bool,
}

impl Plan<'_> {
    fn index(&self) -> RaftIndex {
        self.snap.as_ref().map(SnapFile::index).unwrap_or_default()
    }

    fn conf_state(&self) -> ConfState {
        ConfState { voters: vec![self.member.id.get()], auto_leave: Some(false), ..ConfState::default() }
    }

    /// The database and the raft snapshot.
    fn snap_dir(&self, dest: &DestDir<'_>, places: &Places, monitor: &dyn Monitor) -> Result<()> {
        let snap = places.inside.join("snap");
        dest.dir(&snap)?;
        let db = snap.join("db");
        let mut file = dest.file(&db)?;
        let (path, shown) = (dest.partial().join(&db), places.root.join(&db));
        if self.with_v3 {
            let source = &self.input.database;
            room::ask_in(dest.partial(), &places.root, source.len().saturating_add(SEGMENT_SIZE))?;
            self.database(source, file, (&path, &shown), monitor)?;
        } else {
            self.database(&empty_database(&shown)?, file, (&path, &shown), monitor)?;
        }
        if let Some((name, bytes)) = self.snapshot()? {
            file = dest.file(&snap.join(name.to_string()))?;
            file.put(&bytes)?;
            file.finish()?;
        }
        Ok(())
    }

    /// Writes the database of the one member, and reads it back.
    fn database(
        &self,
        source: &Source,
        mut file: DestFile<'_>,
        (path, shown): (&Path, &Path),
        monitor: &dyn Monitor,
    ) -> Result<()> {
        let db = Db::open(source).map_err(|c| Error::damaged(source.path(), c))?;
        let mut edits = Edits::new();
        let member = (self.member.id.to_string().into_bytes(), Some(self.member.json().into_bytes()));
        edits.insert(b"cluster", Edit { clear: true, ..Edit::default() });
        edits.insert(b"members_removed", Edit { clear: true, ..Edit::default() });
        edits.insert(b"members", Edit { clear: true, keys: Cow::Owned([member].into()) });
        if !self.with_v3 {
            // What the log commits is empty as far as this database is concerned.
            let state = self.state();
            let number = |n: u64| Some(n.to_be_bytes().to_vec());
            let keys = [("consistent_index", number(state.commit())), ("term", number(state.term()))];
            let keys = keys.map(|(name, value)| (name.as_bytes().to_vec(), value));
            edits.insert(b"meta", Edit { clear: false, keys: Cow::Owned(keys.into()) });
        }
        let written = write_anew(&db, &edits, None, FreelistPage::Absent, &mut file, monitor);
        let (_, hash) = written.map_err(|e| e.of_output(shown))?;
        while_syncing(
            || file.finish(),
            || {
                let wrong = |told: String| Error::Miswritten { what: show(shown), told };
                let made = Source::open(path)?;
                let db = Db::open(&made).map_err(|c| wrong(c.to_string()))?;
                read_back(&db, hash, |_| false, monitor)?.map_err(wrong).map(drop)
            },
        )
    }

    /// The raft snapshot, if there is one, with the one member in its v2 store.
    fn snapshot(&self) -> Result<Option<(SnapName, Vec<u8>)>> {
        let Some(snap) = &self.snap else { return Ok(None) };
        let peer_urls = self.member.peer_urls.iter().map(String::as_str).collect();
        let member = V2Member { id: self.member.id, peer_urls, learner: false };
        let name = SnapName { term: snap.term(), index: snap.index() };
        let file = Path::new(&self.input.name).join("member/snap").join(name.to_string());
        let data = v2::with_member(snap.snapshot.data(), &member).map_err(|c| Error::damaged(&file, c))?;
        let mut snapshot = snap.snapshot.clone();
        snapshot.data = Some(data);
        if let Some(metadata) = &mut snapshot.metadata {
            metadata.conf_state = Some(self.conf_state());
        }
        Ok(Some((name, SnapFile::encode(&snapshot))))
    }

    fn state(&self) -> HardState {
        // It was read when the source was verified.
        let read = self.input.log.read(&Quiet);
        read.ok().and_then(|read| read.summary.hard_state).unwrap_or_default()
    }

    /// Writes the log. Gives how many entries it has, and how many were emptied.
    fn log(
        &self,
        data: &DestDir<'_>,
        elsewhere: Option<&DestDir<'_>>,
        places: &Places,
        monitor: &dyn Monitor,
    ) -> Result<(u64, u64)> {
        let mut file = match elsewhere {
            // Two directories do not come to their places at once: between, etcd must not take the one for all.
            Some(log) => log.file_held_back(&segment())?,
            None => {
                let wal = places.inside.join("wal");
                data.dir(&wal)?;
                data.file(&wal.join(segment()))?
            }
        };
        file.reserve(SEGMENT_SIZE)?;
        let read = self.input.log.read(monitor)?;
        let mut log = LogWriter::new(0);
        log.metadata(&read.summary.metadata.unwrap_or_default());
        log.snapshot(&SnapshotRecord { index: Some(0), term: Some(0), conf_state: None });
        let counts = self.entries(&mut log, &mut file)?;
        log.state(&self.state());
        if let Some(snap) = &self.snap {
            let (index, term) = (Some(snap.index().get()), Some(snap.term().get()));
            log.snapshot(&SnapshotRecord { index, term, conf_state: Some(self.conf_state()) });
        }
        file.put(&log.take())?;
        file.finish()?;
        Ok(counts)
    }

    fn entries(&self, log: &mut LogWriter, file: &mut DestFile<'_>) -> Result<(u64, u64)> {
        let (start, place) = (self.index().get(), self.input.log.place());
        let damaged = |corrupt| Error::damaged(place, corrupt);
        let whole = self.input.log.log();
        // What etcd would not find either: where the entries after the raft snapshot begin.
        whole.select(start).map_err(damaged)?;
        let (entries, _) = whole.entries(Scan { after: Some(start), raw: false }, &mut |_| {});
        let (mut cursor, mut emptied, mut gathered) = (LogCursor::default(), 0u64, 0usize);
        for entry in &entries {
            let view = whole.reread(entry, &mut cursor).map_err(damaged)?;
            let stays = self.stays(&view).map_err(damaged)?;
            emptied = emptied.saturating_add(u64::from(!stays));
            let (kind, data) = if stays { (view.kind, view.data) } else { (0, None) };
            gathered = gathered.saturating_add(view.bytes().len());
            log.entry(&Entry {
                kind: Some(kind),
                term: Some(view.term.get()),
                index: Some(view.index.get()),
                data: data.map(<[u8]>::to_vec),
            });
            if gathered > PIECE {
                gathered = 0;
                file.put(&log.take())?;
            }
        }
        Ok((to_u64(entries.len()), emptied))
    }

    /// Whether an entry stays as it is. One that tells of members does not, nor without v3 one of its API.
    fn stays(&self, entry: &EntryView<'_>) -> Result<bool, Box<Corrupt>> {
        if entry.entry_type() != Some(EntryType::Normal) {
            return Ok(false);
        }
        let request = match decode(entry.bytes()) {
            Request::Noop => return Ok(true),
            Request::V2(request) => return Ok(!request.tells_of_a_member()),
            Request::V3(request) => request,
            Request::Unknown => {
                let at = At::default().index(entry.index);
                return Err(Corrupt::new(Code::ReplayRefused, at, "the request does not decode"));
            }
        };
        let tells = request.v2.as_ref().is_some_and(|request| request.tells_of_a_member());
        let v2 = request.header.is_none();
        Ok(!tells && request.cluster_member_attr_set.is_none() && (self.with_v3 || v2))
    }
}
