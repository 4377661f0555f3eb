//! `migrate`: a database brought to the storage schema of another version of etcd, as `etcdutl migrate` brings it.
//!
//! The versions from 3.6 on state themselves in `meta/storageVersion`; 3.5 is known by what it wrote besides. That
//! field is all that has ever changed: it is put, raised, lowered, or taken away for 3.5. Older than what the log needs
//! the database must not become, and without its log that is not known. It is written anew and read back as
//! [`defrag`](mod@crate::ops::defrag) does it.
//!
//! Source: `etcdutl/etcdutl/migrate_command.go`, `server/storage/schema/{schema,migration,changes}.go` @ v3.6.14,
//! v3.7.1, v3.8.0-alpha.0.

use std::borrow::Cow;
use std::path::PathBuf;

use serde::Serialize;

use super::defrag::{DefragOptions, DefragReport, anew, refuse_locked};
use crate::bolt::Db;
use crate::etcd::Facts;
use crate::etcd::datadir::{self, DataDir};
use crate::etcd::schema::Minor;
use crate::etcd::semver::Semver;
use crate::io::{Source, tree};
use crate::replay::MemberLog;
use crate::replay::apply;
use crate::replay::minimal::minimal_version;
use crate::replay::starts::{Starts, starts_as};
use crate::store::rewrite::{Edit, Edits};
use crate::words::cause::Cause;
use crate::words::error::{Error, Result, Told};
use crate::words::hint::Hint;
use crate::words::monitor::Monitor;
use crate::words::refusal::Refusal;

/// A version to migrate to, of the form `X.Y` and not before 3.5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target(Semver);

impl std::str::FromStr for Target {
    type Err = String;

    /// In etcdutl's words.
    fn from_str(text: &str) -> std::result::Result<Target, String> {
        if text.matches('.').count() != 1 {
            return Err(format!("wrong target version format, expected \"X.Y\", got {text:?}"));
        }
        let version = Semver::parse(&format!("{text}.0"))
            .map_err(|why| format!("failed to parse target version: {text}.0 {why}"))?;
        if version < Minor::V35.first() {
            let Semver { major, minor, .. } = version;
            return Err(format!("target version \"{major}.{minor}\" not supported. Minimal \"3.5\""));
        }
        Ok(Target(version))
    }
}

/// What to do.
#[derive(Debug, Clone)]
pub struct MigrateOptions {
    /// The log, if it is not in the data directory.
    pub wal_dir: Option<PathBuf>,
    /// The version to migrate to.
    pub target: Target,
    /// Sets the version even where that is refused.
    pub force: bool,
    /// Only says what would be done.
    pub dry_run: bool,
}

/// What was done.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct MigrateReport {
    /// The database.
    pub database: String,
    /// The version that its storage schema was of.
    pub before: String,
    /// The version that it is of now.
    pub after: String,
    /// What a database that states no version was told by, or states: the field `meta/storageVersion` before and after.
    pub field: (Option<Told>, Option<String>),
    /// The oldest version that can read the log, if that is newer than 3.5 and was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_needs: Option<String>,
    /// What was refused and done all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forced: Option<String>,
    /// Why etcd of that version does not start from the directory as it is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refuses: Option<String>,
    /// How it was written; nothing where it was not, as the version was right or the run dry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub written: Option<DefragReport>,
}

/// Migrates the database of a stopped member's data directory, in its place.
///
/// # Errors
/// [`Error::Refused`] in etcd's words for what is no migration; otherwise as [`defrag`](crate::ops::defrag::defrag).
pub fn migrate(
    data_dir: &std::path::Path,
    options: &MigrateOptions,
    monitor: &dyn Monitor,
) -> Result<MigrateReport> {
    let source = tree::open(&data_dir.join("member/snap/db"))?;
    refuse_locked(&source, Hint::StopEtcd)?;
    let facts = facts(&source)?;
    let refused = |why: String| Error::from(Refusal::Migration { file: source.name(), why });
    let current = current(&facts).map_err(|why| refused(why.to_owned()))?;
    let Target(target) = options.target;
    let mut report = MigrateReport {
        database: source.name(),
        before: current.to_string(),
        after: target.to_string(),
        field: (facts.storage_version.clone(), stated(target)),
        log_needs: None,
        forced: None,
        refuses: None,
        written: None,
    };
    if current == target {
        report.field.1 = facts.storage_version.map(|stated| stated.raw().to_owned());
        return Ok(report);
    }
    let files = DataDir::list(data_dir, options.wal_dir.as_deref())?;
    let log = MemberLog::open(&files)?;
    let needs = if target < current { minimal_version(&log, monitor)? } else { None };
    report.log_needs = needs.map(|version| version.to_string());
    let read =
        || match files.wals.is_empty() {
            true => Err("no log is beside it: what an older etcd must be able to read of that is not known"
                .to_owned()),
            false => reaches(target, needs),
        };
    if !files.wals.is_empty() && log.read(monitor)?.summary.metadata.is_none() {
        let what = "holds no record: what an etcd needs of it is not there, and nothing is written beside it";
        return Err(Error::unreadable(log.place(), Cause::Content(what.to_owned())));
    }
    if let Err(why) = plan(current, target).and_then(|()| read()) {
        if !options.force {
            return Err(refused(why));
        }
        report.forced = Some(why);
    }
    if !files.wals.is_empty() {
        // Asked before anything is done: the answer is the same, and after it there is nothing to do but to say it.
        let asked = starts_as(&datadir::database(&source)?, report.field.1.as_deref(), &log, monitor)?;
        let is_target = |asked: &Starts| asked.etcd.first() == Semver { patch: 0, ..target };
        report.refuses = asked.into_iter().find(is_target).and_then(|asked| asked.refuses);
    }
    if options.dry_run {
        return Ok(report);
    }
    let written = anew(&source, &DefragOptions::in_place(), edits(target), monitor);
    report.written = Some(written.map_err(in_use_too)?);
    Ok(report)
}

/// What etcd uses it cannot migrate itself, as it defragments it.
fn in_use_too(error: Error) -> Error {
    match error {
        Error::Unreadable { path, cause: Cause::InUse(_) } => {
            Error::unreadable(&path, Cause::InUse(Some(Hint::StopEtcd)))
        }
        other => other,
    }
}

fn facts(source: &Source) -> Result<Facts> {
    let db: Db<'_> = datadir::database(source)?;
    apply::facts(&db).map_err(|corrupt| Error::damaged(source.path(), corrupt))
}

/// The version of the schema that a database is in (`UnsafeDetectSchemaVersion`).
fn current(facts: &Facts) -> std::result::Result<Semver, &'static str> {
    let stated = facts.storage_version.as_ref().and_then(|stated| Semver::parse(stated.raw()).ok());
    let known = stated.or_else(|| facts.term.filter(|term| term.get() > 0).map(|_| Minor::V35.first()));
    known.ok_or("missing term information: it is of etcd 3.4, or of 3.5 before its first raft snapshot")
}

/// Whether there is a way from one schema to another, step by step (`newPlan`).
fn plan(current: Semver, target: Semver) -> std::result::Result<(), String> {
    let no_plan = |why: &str| Err(format!("cannot create migration plan: {why}"));
    if current.major != target.major {
        return no_plan("changing major storage version is not supported");
    }
    let known = |minor| Minor::ALL.iter().any(|known| *known > Minor::V35 && known.first().minor == minor);
    // Each step is a change that came with the newer of its two versions.
    let steps = current.minor.min(target.minor).saturating_add(1)..=current.minor.max(target.minor);
    let mut unknown = steps.filter(|minor| !known(*minor));
    let first = if current < target { unknown.next() } else { unknown.next_back() };
    match first {
        Some(minor) => no_plan(&format!("version \"{}.{minor}.0\" is not supported", current.major)),
        None => Ok(()),
    }
}

/// Whether etcd of that version can read the log.
fn reaches(target: Semver, needs: Option<Semver>) -> std::result::Result<(), String> {
    match needs.filter(|needs| target < *needs) {
        Some(needs) => Err(format!(
            "cannot downgrade storage, WAL contains newer entries, as the target version ({target}) is lower than the version ({needs}) detected from WAL logs"
        )),
        None => Ok(()),
    }
}

/// What a database of that version states.
fn stated(target: Semver) -> Option<String> {
    (target >= Minor::V36.first()).then(|| target.to_string())
}

fn edits(target: Semver) -> Edits<'static> {
    let keys = [(b"storageVersion".to_vec(), stated(target).map(String::into_bytes))].into();
    [(b"meta".as_slice(), Edit { clear: false, keys: Cow::Owned(keys) })].into()
}
