//! What is copied: a database, and the log that belongs to it. Everything is opened read-only and stays open.

use std::path::{Path, PathBuf};

use crate::bolt::Db;
use crate::codec::checksum;
use crate::etcd::datadir::{self, DataDir};
use crate::io::Source;
use crate::io::source::{Lock, Stamp};
use crate::ops::copy::{CopyOptions, InFile, behind, fold_options};
use crate::ops::verify::{InputKind, Level, Verification, VerifyOptions, verify_dir, verify_file};
use crate::replay::apply;
use crate::replay::fold::{Fold, fold};
use crate::store::digest::sha256;
use crate::store::scan::Keys;
use crate::wal::Log;
use crate::wal::log::Scan;
use crate::words::cause::Cause;
use crate::words::error::{At, Error, Result, show};
use crate::words::finding::{Code, Finding};
use crate::words::hint::Hint;
use crate::words::ids::RaftIndex;
use crate::words::monitor::Monitor;

/// The source, open.
pub(crate) struct Input {
    /// As named.
    pub name: String,
    /// The database that is copied.
    pub database: Source,
    /// Whether it is one received from a leader, instead of the member's own.
    received: bool,
    /// The directory, if it is one or a log was given.
    dir: Option<DataDir>,
    /// The segments of its log.
    wals: Vec<(String, Source)>,
    /// Where they are.
    place: PathBuf,
    stamps: Vec<Option<Stamp>>,
    /// The database's last transaction.
    txid: Option<u64>,
    no_wal: bool,
    /// Whether a running etcd holds it.
    pub live: bool,
    pub findings: Vec<Finding>,
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

impl Input {
    /// Opens everything, and refuses at once what a running etcd holds.
    pub fn open(path: &Path, options: CopyOptions<'_>) -> Result<Input> {
        let mut dir = listed(path, options)?;
        let own = match &dir {
            Some(dir) => dir.db.clone().filter(|db| db.is_file()),
            None => Some(path.to_path_buf()),
        };
        let wal_files = dir.as_ref().map(|dir| dir.wals.clone()).unwrap_or_default();
        let mut wals = Vec::new();
        for wal in wal_files {
            wals.push((file_name(&wal), Source::open(&wal)?));
        }
        let own = own.map(|own| Source::open(&own)).transpose()?;
        let live = own.as_ref().is_some_and(|own| own.flock() == Lock::Held)
            || wals.iter().any(|(_, wal)| wal.ofd_lock() == Lock::Held);
        if live && !options.allow_live {
            return Err(Error::unreadable(path, Cause::InUse(Some(Hint::SnapshotOrCopyLive))));
        }
        let mut input = Input {
            name: show(path),
            database: Source::from_bytes("", Vec::new()),
            received: false,
            place: dir.as_ref().and_then(|dir| dir.wal_dir.clone()).unwrap_or_default(),
            dir: None,
            wals,
            stamps: Vec::new(),
            txid: None,
            no_wal: options.no_wal || options.exact,
            live,
            findings: Vec::new(),
        };
        input.database = match (input.received(dir.as_ref(), own.as_ref())?, own) {
            (Some(received), _) => received,
            (None, Some(own)) => own,
            (None, None) => return Err(Error::unreadable(path, Cause::lacks(input.without_database()))),
        };
        datadir::require_database(&input.database)?;
        if input.received
            && let Some(dir) = &mut dir
        {
            // What is verified is what is copied.
            dir.db = Some(input.database.path().to_path_buf());
        }
        input.stamps = input.sources().map(Source::stamp).collect();
        input.txid = input.transaction();
        let beside = path.parent().and_then(Path::parent).map(|member| member.join("wal"));
        if dir.is_none() && !input.no_wal && beside.is_some_and(|wal| wal.is_dir()) {
            let what = "the log beside this database is not read: to copy what the database lacks, name the directory instead";
            input.findings.push(Finding {
                severity: crate::Severity::Warning,
                ..Finding::new(Code::DbLag, &input.name, At::default(), what)
            });
        }
        input.dir = dir;
        Ok(input)
    }

    /// The database that etcd would put in the place of the member's own: one received for the newest snapshot that
    /// the log records.
    fn received(&mut self, dir: Option<&DataDir>, own: Option<&Source>) -> Result<Option<Source>> {
        let Some(dir) = dir.filter(|dir| !dir.snap_dbs.is_empty()) else { return Ok(None) };
        let index = |source: &Source| {
            let db = Db::open(source).ok()?;
            apply::facts(&db).ok()?.consistent_index
        };
        let reached = own.and_then(index).unwrap_or_default();
        let summary =
            self.log().scan(Scan::default(), &mut |_| {}, &mut |_| std::ops::ControlFlow::Continue(()));
        let recorded =
            summary.valid_snapshots().map(crate::wal::Snapshot::last_index).max().unwrap_or_default();
        if recorded <= reached {
            return Ok(None);
        }
        let wanted = format!("{:016x}.snap.db", recorded.get());
        let Some(path) = dir.snap_dbs.iter().find(|path| file_name(path) == wanted) else { return Ok(None) };
        let received = Source::open(path)?;
        self.received = true;
        let what = format!(
            "it was received at raft index {recorded}, the member's own database is at {reached}: it is copied in its place"
        );
        self.findings.push(Finding::new(
            Code::SnapDbPending,
            &received.name(),
            At::default().index(recorded),
            what,
        ));
        Ok(Some(received))
    }

    /// What a directory without a database is good for.
    fn without_database(&self) -> String {
        let summary =
            self.log().scan(Scan::default(), &mut |_| {}, &mut |_| std::ops::ControlFlow::Continue(()));
        let snapshot = summary.valid_snapshots().any(|snapshot| snapshot.index() > 0);
        let what = match summary.first {
            None => "to copy".to_owned(),
            // etcd starts from the first entry then (`wal.ReadAll` @ v3.6).
            Some(1) if summary.complete && !summary.discarded && !snapshot => {
                "to copy. Its log is whole from the first entry on, and etcd makes the database anew from it: start etcd on a copy of the \
                 directory, stop it, and copy that"
                    .to_owned()
            }
            Some(first) => format!(
                "to copy, and its log alone does not make it: it begins at entry {first}{}. Find the database, or copy another member",
                if snapshot { ", after a raft snapshot that the database was to hold" } else { ", or is damaged" }
            ),
        };
        format!("holds no member/snap/db {what}")
    }

    pub fn log(&self) -> Log<'_> {
        Log::new(self.wals.iter().map(|(name, source)| (name.as_str(), source)))
    }

    /// Whether a log is applied.
    pub fn folds(&self) -> bool {
        self.dir.is_some() && !self.no_wal && !self.wals.is_empty()
    }

    /// Verifies all that is read, the keys so closely.
    pub fn verify(&self, keys: Keys, monitor: &dyn Monitor) -> Result<Verification> {
        let level = if self.no_wal { Level::Mvcc } else { Level::Restore };
        let options = VerifyOptions { level, keys, ..VerifyOptions::default() };
        match &self.dir {
            Some(dir) => verify_dir(dir, options, monitor),
            None => verify_file(&self.database, options, monitor),
        }
    }

    /// Applies the log, if there is one and it is to be applied.
    pub fn fold(&self, db: &Db<'_>, options: CopyOptions<'_>, monitor: &dyn Monitor) -> Result<Option<Fold>> {
        if !self.folds() {
            return Ok(None);
        }
        fold(db, &self.log(), &self.place, fold_options(options), monitor).map(Some)
    }

    /// What of a log is not applied.
    pub fn left_behind(&self, db: &Db<'_>, monitor: &dyn Monitor) -> Option<Finding> {
        if self.wals.is_empty() {
            return None;
        }
        let from = apply::facts(db).ok()?.consistent_index.map_or(0, RaftIndex::get);
        let flow = || {
            if monitor.cancelled() {
                std::ops::ControlFlow::Break(())
            } else {
                std::ops::ControlFlow::Continue(())
            }
        };
        let summary = self.log().scan(Scan::default(), &mut |_| {}, &mut |_| flow());
        let last = summary.last.unwrap_or(0);
        let committed = summary.hard_state.map_or(0, |state| state.commit()).min(last).saturating_sub(from);
        (last > from).then(|| behind(&self.database.name(), from, committed, last))
    }

    fn transaction(&self) -> Option<u64> {
        Db::open(&self.database).ok().map(|db| db.meta().txid.0)
    }

    /// Whether all files are as they were when they were opened.
    pub fn unchanged(&self) -> bool {
        if self.transaction() != self.txid {
            return false;
        }
        let by_name = |source: &Source| Source::open(source.path()).ok().and_then(|again| again.stamp());
        self.sources()
            .zip(&self.stamps)
            .all(|(source, stamp)| source.stamp() == *stamp && (stamp.is_none() || by_name(source) == *stamp))
    }

    /// What it is, in words.
    pub fn kind(&self, verification: &Verification) -> InputKind {
        match (&self.dir, self.received) {
            (_, true) => InputKind::Received,
            (Some(_), false) => InputKind::Directory,
            (None, false) => verification.kind,
        }
    }

    /// What is read, with digests if they are wanted.
    pub fn files(&self, digests: bool, monitor: &dyn Monitor) -> Result<Vec<InFile>> {
        let digest = |source: &Source| -> Result<String> {
            let digest =
                sha256(source, source.len(), monitor).map_err(|c| Error::damaged(source.path(), c))?;
            Ok(checksum::hex(&digest))
        };
        let file = |source: &Source| {
            let sha256 = digests.then(|| digest(source)).transpose()?;
            Ok(InFile { path: source.name(), bytes: source.len(), sha256 })
        };
        self.sources().map(file).collect()
    }

    fn sources(&self) -> impl Iterator<Item = &Source> {
        std::iter::once(&self.database).chain(self.wals.iter().map(|(_, wal)| wal))
    }
}

/// The directory that is meant: the one that was named, or, for a database whose log was named, the two together.
fn listed(path: &Path, options: CopyOptions<'_>) -> Result<Option<DataDir>> {
    if path.is_dir() {
        return DataDir::list(path, options.wal_dir).map(Some);
    }
    let Some(wal_dir) = options.wal_dir else { return Ok(None) };
    let log = DataDir::list(wal_dir, None)?;
    let snaps = path.parent().and_then(|parent| DataDir::list(parent, None).ok()).unwrap_or_default();
    Ok(Some(DataDir {
        path: path.to_path_buf(),
        db: Some(path.to_path_buf()),
        snaps: snaps.snaps,
        snap_dbs: snaps.snap_dbs,
        snap_dir: path.parent().map(Path::to_path_buf),
        wals: log.wals,
        wal_dir: log.wal_dir,
        ..DataDir::default()
    }))
}
