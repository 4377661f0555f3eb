//! What is copied or folded: a database, and the log that belongs to it. Everything is opened read-only and stays open.

use std::path::Path;

use serde::Serialize;

use crate::bolt::Db;
use crate::codec::checksum;
use crate::etcd::Input as Given;
use crate::etcd::datadir::{self, DataDir};
use crate::io::source::{Lock, Stamp};
use crate::io::{Source, tree};
use crate::ops::verify::{Closeness, InputKind, Level, Verification, verify_file, verify_member};
use crate::replay::boot::fold_directory;
use crate::replay::fold::{Fold, fold};
use crate::replay::increments::{Chain, Forward};
use crate::replay::stand_in::{StandIn, stand_in, useless};
use crate::replay::{FoldOptions, MemberLog, apply};
use crate::store::digest::sha256;
use crate::store::scan::KeyDepth;
use crate::words::cause::Cause;
use crate::words::error::{At, Error, Result, show};
use crate::words::finding::{Code, Finding, Severity};
use crate::words::hint::Hint;
use crate::words::monitor::Monitor;
use crate::words::monitor::Relay;
use crate::words::refusal::{Mark, Refusal};

/// Whether files that a running etcd holds are read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Live {
    /// They are not.
    #[default]
    Refuse,
    /// They are, as well as can be: nothing is sure then.
    Allow,
}

/// What is opened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InputOptions<'o> {
    /// The log, if it is not in the directory.
    pub wal_dir: Option<&'o Path>,
    /// Whether the log is applied.
    pub folds: bool,
    pub live: Live,
    /// The revision that a chain of etcd-backup-restore is brought forward to.
    pub to: Option<i64>,
}

/// A file of the source; it was the same before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InFile {
    /// Where.
    pub path: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its SHA-256, if digests were wanted.
    pub sha256: Option<String>,
}

/// Where a database comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It is the member's own.
    Own,
    /// The member had received it from its leader.
    Received,
    /// It is empty: the log makes it.
    Empty,
    /// It is a full snapshot with the increments that were made after it.
    Chain,
}

/// The source, open.
pub(crate) struct Input {
    /// As named.
    pub name: String,
    /// The database that is copied.
    pub database: Source,
    /// Whose it is.
    pub origin: Origin,
    /// Whether a directory was named, from which etcd might be started.
    is_directory: bool,
    /// The directory, if it is one or a log was given.
    dir: Option<DataDir>,
    /// Its log.
    pub log: MemberLog,
    /// The files of a chain, and its full snapshot, unpacked.
    chain: Option<(Vec<Source>, Source)>,
    stamps: Vec<Option<Stamp>>,
    /// The database's last transaction.
    txid: Option<u64>,
    /// Whether the log is applied, if there is one.
    folds: bool,
    /// Whether a running etcd holds it.
    pub live: bool,
    pub findings: Vec<Finding>,
}

impl Input {
    /// Opens everything, and refuses at once what a running etcd holds.
    pub fn open(given: &Given, options: InputOptions<'_>, monitor: &dyn Monitor) -> Result<Input> {
        let mut input = match chain(given, options.to)? {
            Some(chain) => Input::of_chain(&chain, show(given.path()), options, monitor),
            None => Input::of_member(given, options),
        }?;
        input.stamps = input.sources().map(Source::stamp).collect();
        input.txid = input.transaction();
        Ok(input)
    }

    /// A database and the log that belongs to it.
    fn of_member(given: &Given, options: InputOptions<'_>) -> Result<Input> {
        let path = given.path();
        let mut dir = listed(given, options.wal_dir.or(given.wal_dir()))?;
        let log = dir.as_ref().map(MemberLog::open).transpose()?.unwrap_or_default();
        let own = match &dir {
            Some(dir) if given.as_open().is_none() => {
                dir.db.as_ref().filter(|db| tree::is_file(db)).map(|db| tree::open(db)).transpose()?
            }
            _ => Some(given.open()?),
        };
        let live = own.as_ref().is_some_and(|own| own.flock() == Lock::Held)
            || log.files().iter().any(|wal| wal.ofd_lock() == Lock::Held);
        if live && options.live == Live::Refuse {
            return Err(Error::unreadable(path, Cause::InUse(Some(Hint::SnapshotOrCopyLive))));
        }
        let (log, other) = match &dir {
            Some(dir) => stand_in(dir, own.as_ref(), log)?,
            None => (log, None),
        };
        let mut findings = Vec::new();
        let (database, origin) = match (other, own) {
            (Some(StandIn::Received(source, finding)), _) => {
                findings.push(finding);
                (source, Origin::Received)
            }
            (Some(StandIn::Empty(source, finding)), _) if options.folds => {
                // Whether etcd starts is another matter: everything is there to be copied.
                findings.push(Finding { severity: finding.severity.min(Severity::Warning), ..finding });
                (source, Origin::Empty)
            }
            (_, Some(own)) => (own, Origin::Own),
            (_, None) => return Err(Error::unreadable(path, Cause::lacks(useless(&log)?))),
        };
        datadir::require_database(&database)?;
        if let Some(dir) = dir.as_mut().filter(|_| origin == Origin::Received) {
            // What is verified is what is copied.
            dir.db = Some(database.path().to_path_buf());
        }
        let name = show(path);
        if dir.is_none() && options.folds {
            findings.extend(log_not_read(path, &name));
        }
        Ok(Input {
            name,
            database,
            origin,
            is_directory: given.is_dir(),
            dir,
            log,
            chain: None,
            stamps: Vec::new(),
            txid: None,
            folds: options.folds,
            live,
            findings,
        })
    }

    /// A full snapshot, brought forward.
    fn of_chain(
        chain: &Chain,
        name: String,
        options: InputOptions<'_>,
        monitor: &dyn Monitor,
    ) -> Result<Input> {
        let Forward { database, full, files, findings, .. } =
            chain.forward(options.to, &Relay::new(monitor).without_findings())?;
        Ok(Input {
            name,
            database,
            origin: Origin::Chain,
            is_directory: false,
            dir: None,
            log: MemberLog::default(),
            chain: Some((files, full)),
            stamps: Vec::new(),
            txid: None,
            folds: options.folds,
            live: false,
            findings,
        })
    }

    /// Whether it is a chain, whose increments are in the database already.
    pub fn is_chain(&self) -> bool {
        self.chain.is_some()
    }

    /// Whether a log is applied.
    pub fn folds(&self) -> bool {
        self.dir.is_some() && self.folds && !self.log.files().is_empty()
    }

    /// Verifies all that is read, the keys so closely.
    pub fn verify(&self, keys: KeyDepth, monitor: &dyn Monitor) -> Result<Verification> {
        let level = if self.folds { Level::Restore } else { Level::Mvcc };
        let closeness = Closeness { keys, ..Closeness::default() };
        let mut verified = match &self.dir {
            Some(dir) => verify_member(dir, (&self.database, &self.log), level, closeness, monitor),
            None => verify_file(&self.database, level, closeness, monitor),
        }?;
        if let Some((_, full)) = &self.chain {
            // What is laid over it has no trailer.
            verified.findings.extend(verify_file(full, Level::Bytes, closeness, monitor)?.findings);
        }
        Ok(verified)
    }

    /// Applies the log, if there is one and it is to be applied.
    pub fn fold(&self, db: &Db<'_>, options: FoldOptions<'_>, monitor: &dyn Monitor) -> Result<Option<Fold>> {
        if !self.folds() {
            let asked = options
                .until
                .filter(|_| !self.is_chain())
                .map(|_| Refusal::LogNotApplied { file: self.name.clone() });
            return asked.map_or(Ok(None), |refusal| Err(refusal.into()));
        }
        // A log that ends elsewhere than at its end, or belongs to an earlier database, is not one to start from.
        let fold = if self.is_directory && options.until.is_none() { fold_directory } else { fold };
        fold(db, &self.log, options, monitor).map(Some)
    }

    /// What of a log is not applied.
    pub fn left_behind(&self, db: &Db<'_>, monitor: &dyn Monitor) -> Option<Finding> {
        if self.log.files().is_empty() {
            return None;
        }
        let from = apply::facts(db).ok()?.consistent_index.unwrap_or_default().get();
        let summary = &self.log.read(monitor).ok()?.summary;
        let last = summary.last.unwrap_or(0);
        let committed = summary.commit().min(last).saturating_sub(from);
        (last > from).then(|| left_behind(&self.database.name(), from, committed, last))
    }

    fn transaction(&self) -> Option<u64> {
        Db::open(&self.database).ok().map(|db| db.meta().txid.0)
    }

    /// Whether all files are as they were when they were opened.
    pub fn unchanged(&self) -> bool {
        if self.transaction() != self.txid {
            return false;
        }
        let by_name = |source: &Source| tree::open(source.path()).ok().and_then(|again| again.stamp());
        self.sources()
            .zip(&self.stamps)
            .all(|(source, stamp)| source.stamp() == *stamp && (stamp.is_none() || by_name(source) == *stamp))
    }

    /// What it is, in words.
    pub fn kind(&self, verification: &Verification) -> InputKind {
        match self.origin {
            Origin::Received => InputKind::Received,
            Origin::Chain => InputKind::Chain,
            Origin::Own | Origin::Empty => verification.kind,
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
        let files = self.chain.as_ref().map(|(files, _)| files.as_slice()).unwrap_or_default();
        let database = Some(&self.database).filter(|_| self.origin != Origin::Empty && files.is_empty());
        database.into_iter().chain(files).chain(self.log.files())
    }
}

/// The chain of etcd-backup-restore that is meant: the newest of a directory, or for a revision that of the full
/// snapshot that was named.
fn chain(given: &Given, to: Option<i64>) -> Result<Option<Chain>> {
    let path = given.path();
    match (given.as_open(), to) {
        (None, _) if Chain::is_store(path) => Chain::newest(path, to).map_or_else(
            || {
                let has = Mark::Revision(Chain::oldest(path).unwrap_or_default());
                Err(Refusal::AlreadyPast { has, asked: Mark::Revision(to.unwrap_or_default()) }.into())
            },
            |chain| Ok(Some(chain)),
        ),
        (None, Some(_)) => Ok(Chain::of(path)),
        (Some(_), _) | (None, None) => Ok(None),
    }
}

/// For a database that was named by itself: that there is a log beside it.
fn log_not_read(path: &Path, name: &str) -> Option<Finding> {
    let beside = path.parent().and_then(tree::parent).map(|member| member.join("wal"));
    beside.filter(|wal| tree::is_dir(wal))?;
    let what = "the log beside this database is not read: to copy what the database lacks, name the directory instead";
    let finding = Finding::new(Code::DbLag, name, At::default(), what);
    Some(Finding { severity: Severity::Warning, ..finding })
}

/// The finding for entries that a copy of the database alone leaves behind.
fn left_behind(file: &str, from: u64, committed: u64, last: u64) -> Finding {
    let what = format!(
        "the database is at index {from}, the log beside it at {last}: {} entries are left behind, {committed} of them known to be committed",
        last.saturating_sub(from)
    );
    let finding = Finding::new(Code::DbLag, file, At::default().index(from), what);
    Finding { severity: Severity::Warning, ..finding }
}

/// The directory that is meant: the one that was named, or, for a database whose log was named, the two together.
fn listed(given: &Given, wal_dir: Option<&Path>) -> Result<Option<DataDir>> {
    let path = given.path();
    if given.is_dir() {
        return DataDir::list(path, wal_dir).map(Some);
    }
    let Some(wal_dir) = wal_dir else { return Ok(None) };
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
