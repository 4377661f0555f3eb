//! A stopped member's database with what its log holds beyond it, without a copy: the changes are laid over the file
//! in memory.

pub(crate) mod check;
pub(crate) mod input;
pub(crate) mod member_state;

use std::path::{Path, PathBuf};

pub use self::input::{InFile, Live};
pub use crate::replay::{Damage, Uncommitted};

use self::check::verified;
use self::input::{Input, InputOptions};
use crate::bolt::Db;
use crate::bolt::writer::patch::patch;
use crate::etcd::Input as Given;
use crate::io::{Source, tree};
use crate::kube::times::written;
use crate::ops::verify::refuse_damage;
use crate::replay::FoldOptions;
use crate::replay::apply::Version;
use crate::replay::fold::{FoldReport, Raised};
use crate::store::scan::KeyDepth;
use crate::words::cause::Cause;
use crate::words::error::{At, Error, Result};
use crate::words::finding::{Code, Finding, Severity};
use crate::words::monitor::{Monitor, Relay};

/// How to apply a log in memory.
#[derive(Debug, Clone, Copy, Default)]
pub struct FoldInMemoryOptions<'o> {
    /// The log, if it is neither in the directory nor beside the file.
    pub wal_dir: Option<&'o Path>,
    /// By whose rules entries are applied; `None` is inferred.
    pub version: Option<Version>,
    /// Whether what is not known to be committed counts.
    pub uncommitted: Uncommitted,
    /// Whether a damaged source is read as far as it can be.
    pub damage: Damage,
    /// Whether it is read although a running etcd holds the files.
    pub live: Live,
}

impl FoldInMemoryOptions<'_> {
    fn fold(&self) -> FoldOptions<'static> {
        FoldOptions {
            version: self.version,
            uncommitted: self.uncommitted,
            damage: self.damage,
            until: None,
            changes: &[],
            clock: written,
        }
    }
}

/// A database as a member that starts would have it.
pub struct Folded {
    /// The database, the log applied: what [`copy`](crate::ops::copy::copy) would write, laid over the member's own
    /// file.
    pub source: Source,
    /// What of the log was applied; `None` without a log.
    pub report: Option<FoldReport>,
    input: Input,
}

impl Folded {
    /// The entry that made a revision, if it came from the log.
    #[must_use]
    pub fn raised(&self, revision: i64) -> Option<Raised> {
        let raised = &self.report.as_ref()?.raised;
        let at = raised.binary_search_by_key(&revision, |raised| raised.revision).ok()?;
        raised.get(at).copied()
    }

    /// Whether all files are still as they were when they were opened: if not, what was read of them means nothing.
    ///
    /// # Errors
    /// [`Error::Unreadable`] when they are not.
    pub fn check_unchanged(&self) -> Result<()> {
        if self.input.unchanged() {
            return Ok(());
        }
        Err(Error::unreadable(
            Path::new(&self.input.name),
            Cause::changed("changed while it was read: it is in use. Stop etcd, and ask again"),
        ))
    }
}

/// Applies a log to a database in memory, with all that [`copy`](crate::ops::copy::copy) checks, refuses and warns
/// of. A file is taken with the log that was named or lies beside it; one that has none is left as it is.
///
/// ```no_run
/// # use coldbolt::ops::fold::{FoldInMemoryOptions, fold_in_memory};
/// # use coldbolt::{store::{Store, StoreOptions}, words::monitor::Quiet};
/// # fn main() -> coldbolt::Result<()> {
/// let folded = fold_in_memory("/var/lib/etcd", &FoldInMemoryOptions::default(), &Quiet)?;
/// let store = Store::open(&folded.source, &StoreOptions::default(), &Quiet)?;
/// println!("revision {}", store.revision());
/// folded.check_unchanged()?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As [`copy`](crate::ops::copy::copy); nothing is written.
pub fn fold_in_memory(
    input: impl Into<Given>,
    options: &FoldInMemoryOptions<'_>,
    monitor: &dyn Monitor,
) -> Result<Folded> {
    folded(&input.into(), options, monitor)
}

fn folded(given: &Given, options: &FoldInMemoryOptions<'_>, monitor: &dyn Monitor) -> Result<Folded> {
    // What is open already may have come from anywhere: only a path says what lies beside it.
    let beside = if given.is_dir() || given.as_open().is_some() { None } else { log_beside(given.path()) };
    let wal_dir = options.wal_dir.or(beside.as_deref());
    let input =
        Input::open(given, InputOptions { wal_dir, folds: true, live: options.live, to: None }, monitor)?;
    if input.is_chain() {
        let (verification, _) = verified(&input, KeyDepth::History, options.fold(), monitor)?;
        refuse_damage(&verification.findings, true)?;
        let source = input.database.clone();
        return Ok(Folded { source, report: None, input });
    }
    if !input.folds() {
        let what = "no log belongs to it: nothing is applied";
        monitor.finding(Finding::new(Code::DbLag, &input.name, At::default(), what));
        let source = input.database.clone();
        return Ok(Folded { source, report: None, input });
    }
    let (verification, _) = verified(&input, KeyDepth::History, options.fold(), monitor)?;
    refuse_damage(&verification.findings, true)?;
    let db = Db::open(&input.database).map_err(|c| Error::damaged(input.database.path(), c))?;
    let fold = input.fold(&db, options.fold(), &Relay::new(monitor).without_findings())?;
    let (overlay, report) = match fold {
        Some(fold) => {
            fold.findings.into_iter().for_each(|finding| monitor.finding(finding));
            (fold.overlay, Some(fold.report))
        }
        None => Default::default(),
    };
    let source = patch(&db, &overlay)?.source;
    let folded = Folded { source, report, input };
    folded.check_unchanged()?;
    if let Some(report) = &folded.report {
        monitor.finding(what_was_applied(report, &folded.input.name));
    }
    Ok(folded)
}

/// The log of a database that was named by itself: `member/wal` beside `member/snap/db`, or `wal` beside `db`.
fn log_beside(path: &Path) -> Option<PathBuf> {
    let parent = path.parent()?;
    let of_member = (parent.file_name()? == "snap")
        .then(|| tree::parent(parent).map(|member| member.join("wal")))
        .flatten();
    of_member.into_iter().chain([parent.join("wal")]).find(|wal| tree::is_dir(wal))
}

/// What was applied, in words.
fn what_was_applied(report: &FoldReport, name: &str) -> Finding {
    let FoldReport {
        database_index: from,
        first_applied,
        last_applied,
        etcd_version,
        etcd_version_reason: reason,
        ..
    } = report;
    let what = match (first_applied, last_applied) {
        (Some(first), Some(last)) => {
            let beyond = match report.beyond_commit {
                0 => String::new(),
                n if report.voters == 1 => {
                    format!("; the last {n} not known to be committed, applied since one member votes")
                }
                n => format!("; the last {n} not known to be committed, applied as asked for"),
            };
            format!(
                "entries {first} to {last} of the log, which the database lacks, are applied in memory, up to revision {}, by the rules of etcd \
                 {etcd_version} ({reason}){beyond}",
                report.revision_after
            )
        }
        _ => "the log holds nothing that the database lacks".to_owned(),
    };
    Finding { severity: Severity::Note, ..Finding::new(Code::DbLag, name, At::default().index(*from), what) }
}
