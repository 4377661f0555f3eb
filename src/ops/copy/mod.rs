//! `copy`: from a stopped member's directory, a database or a snapshot file to a snapshot file that lost nothing.
//!
//! The source is only read. It is verified, all of it; then the entries of its log that the database lacks are
//! applied in memory ([`fold`](crate::replay::fold::fold)), and database and changes are written together as a new
//! file with a SHA-256 at its end, which is read back before it gets its name.

pub mod directory;

pub use crate::ops::fold::{Damage, InFile, Live, Uncommitted};

use std::fs::File;
use std::io::Seek;
use std::path::Path;

use serde::Serialize;

use super::output::{ClosedFile, Output, OutputForm};
use super::seal::pour;
use super::verify::{Closeness, InputKind, Level, Measured, Verification, refuse_damage, verify_file};
use crate::bolt::Db;
use crate::bolt::writer::pack::{Places, pack};
use crate::bolt::writer::patch::patch;
use crate::codec::checksum;
use crate::etcd::Input as Given;
use crate::etcd::stored;
use crate::io::Source;
use crate::io::dest::{self, Dest, Existing, room};
use crate::io::gate::is_cold;
use crate::kube::times::written;
use crate::ops::fold::check::{tell, verified};
use crate::ops::fold::input::{Input, InputOptions};
use crate::ops::overlap::{beside, while_syncing};
use crate::raft::ConfChange;
use crate::replay::apply::{Overlay, Version};
use crate::replay::fold::{Fold, FoldReport};
use crate::replay::{FoldOptions, Until};
use crate::snap::backup::TRAILER;
use crate::store::scan::KeyDepth;
use crate::words::cause::Cause;
use crate::words::error::{Error, Result, show};
use crate::words::finding::{Code, Finding, Severity};
use crate::words::hint::Hint;
use crate::words::ids::RaftIndex;
use crate::words::monitor::{Collect, Monitor, Relay};

/// How often a copy of a file in use is begun anew before it is taken as it is.
const ATTEMPTS: usize = 5;

/// What a copy holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Content {
    /// The database with what its log holds beyond it, without free pages.
    #[default]
    Folded,
    /// The database alone, without free pages.
    Database,
    /// The database's bytes as they are.
    Exact,
}

/// What to copy, and how.
#[derive(Debug, Clone, Copy, Default)]
pub struct CopyOptions<'o> {
    /// The log, if it is not in the directory.
    pub wal_dir: Option<&'o Path>,
    /// What the copy is to hold.
    pub content: Content,
    /// By whose rules entries are applied; `None` is inferred.
    pub version: Option<Version>,
    /// Whether what is not known to be committed counts.
    pub uncommitted: Uncommitted,
    /// Whether a damaged source is copied as far as it can be read whole.
    pub damage: Damage,
    /// Whether it is copied although a running etcd holds the files.
    pub live: Live,
    /// Stop somewhere on the way: then the database may be of an earlier time than the directory that the log is from.
    pub until: Option<Until>,
    /// What is changed about the members in the end.
    pub changes: &'o [ConfChange],
    /// Take the SHA-256 of every file of the source, before and after.
    pub digests: bool,
    /// Whether the copy is closed.
    pub form: OutputForm<'o>,
}

impl<'o> CopyOptions<'o> {
    fn input(&self) -> InputOptions<'o> {
        let folds = self.content == Content::Folded;
        let to = self.until.and_then(Until::revision);
        InputOptions { wal_dir: self.wal_dir, folds, live: self.live, to }
    }

    fn fold(&self) -> FoldOptions<'o> {
        FoldOptions {
            version: self.version,
            uncommitted: self.uncommitted,
            damage: self.damage,
            until: self.until,
            changes: self.changes,
            clock: written,
        }
    }
}

/// What was copied.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct CopyReport {
    /// The source, as named.
    pub source: String,
    /// What it is, in words.
    pub kind: InputKind,
    /// The files that were read: the database first.
    pub files: Vec<InFile>,
    /// What of the log was applied; `None` without a log, or if it was not to be.
    pub fold: Option<FoldReport>,
    /// Length of the copy in bytes, its trailer included.
    pub bytes: u64,
    /// SHA-256 of the copy without its trailer: what the trailer says.
    pub sha256: String,
    /// The last revision in the copy.
    pub revision: i64,
    /// HashKV of the copy.
    pub hashkv: Option<u32>,
    /// The last raft entry in the copy.
    pub consistent_index: Option<RaftIndex>,
    /// Live keys in the copy.
    pub live_keys: Option<u64>,
    /// The age file that it is in, if it was closed: length and SHA-256 above are those of what is in that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed: Option<ClosedFile>,
    /// Whether a running etcd may have changed the files while they were read, so that nothing is sure.
    pub best_effort: bool,
    /// What a person should know, damage that was allowed first of all.
    pub findings: Vec<Finding>,
}

/// Copies to a file that does not exist.
///
/// # Errors
/// [`Error::Unreadable`] for a source that cannot be read or is in use, [`Error::Damaged`] for one that is damaged or
/// whose log cannot be applied, [`Error::Refused`] for what does not fit, [`Error::Output`]. Then there is no copy.
pub fn copy(
    input: impl Into<Given>,
    to: &Path,
    options: &CopyOptions<'_>,
    monitor: &dyn Monitor,
) -> Result<CopyReport> {
    let source = input.into();
    dest::claim(to, Existing::Keep)?;
    dest::outside(source.path(), to)?;
    let input = Input::open(&source, options.input(), monitor)?;
    let dest = Dest::create(to, Existing::Keep)?;
    let (mut file, path) = dest.file()?;
    let report = attempts(input, &source, (&mut file, path), *options, monitor)?;
    drop(file);
    dest.finish()?;
    Ok(report)
}

/// Copies into a file that is open and empty, and may be read back; `name` is for messages.
///
/// # Errors
/// As [`copy`].
pub fn copy_into(
    input: impl Into<Given>,
    (file, name): (&mut File, &Path),
    options: &CopyOptions<'_>,
    monitor: &dyn Monitor,
) -> Result<CopyReport> {
    let source = input.into();
    attempts(Input::open(&source, options.input(), monitor)?, &source, (file, name), *options, monitor)
}

/// One attempt, or several where the files may change.
fn attempts(
    first: Input,
    source: &Given,
    (file, name): (&mut File, &Path),
    options: CopyOptions<'_>,
    monitor: &dyn Monitor,
) -> Result<CopyReport> {
    let mut input = first;
    for left in (0..ATTEMPTS).rev() {
        let heard = Collect::default();
        let hear = |finding| heard.finding(finding);
        let outcome = once(&input, (file, name), options, &Relay::new(monitor).findings_to(&hear));
        let unchanged = input.unchanged();
        // What could not be written would not be the next time.
        let ends = matches!(outcome, Err(Error::Cancelled | Error::Output { .. }));
        if unchanged || ends || left == 0 || options.live == Live::Refuse {
            heard.into_findings().into_iter().for_each(|finding| monitor.finding(finding));
        }
        match outcome {
            Ok(report) if unchanged => return Ok(report),
            Err(error) if unchanged || ends => return Err(error),
            _ if options.live == Live::Refuse => {
                let told = "changed while it was read: it is in use. Nothing was kept".to_owned();
                return Err(Error::unreadable(
                    source.path(),
                    Cause::Changed { told, hint: Some(Hint::CopyLive) },
                ));
            }
            Ok(report) if left == 0 => return Ok(report),
            // What is found wrong in files that go on changing is not in any of them.
            Err(_) if left == 0 => break,
            _ => {}
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .map_err(|source| Error::Output { what: show(name), source })?;
        input = Input::open(source, options.input(), monitor)?;
    }
    Err(Error::unreadable(source.path(), Cause::changed("changed each time it was read")))
}

/// What was written.
struct Made {
    /// Of the source, as it was verified.
    source: Verification,
    /// What the copy holds; not known of a source that may have changed after it was verified.
    content: Option<Measured>,
    fold: Option<Fold>,
    findings: Vec<Finding>,
}

/// Writes the database's bytes as they are.
fn make_exact<W>(
    input: &Input,
    options: CopyOptions<'_>,
    monitor: &dyn Monitor,
    write: impl FnOnce(&Db<'_>, &dyn Monitor) -> Result<W>,
) -> Result<(Made, W)> {
    // Reading a cold file for two ends at once would have its disk go back and forth.
    let ((source, mut findings), (left_behind, written)) = beside(
        is_cold(&input.database),
        monitor,
        |monitor| verified(input, KeyDepth::History, options.fold(), monitor),
        |monitor| {
            let db = Db::open(&input.database).map_err(|c| Error::damaged(input.database.path(), c))?;
            let left_behind = input.left_behind(&db, &Relay::new(monitor).without_findings());
            Ok((left_behind, write(&db, monitor)?))
        },
    )?;
    left_behind.iter().for_each(|finding| monitor.finding(finding.clone()));
    findings.extend(left_behind);
    let content = (!input.live).then(|| source.measured.clone());
    Ok((Made { source, content, fold: None, findings }, written))
}

/// Writes the database with what its log holds beyond it and without what is free. The changes are laid over the
/// source in memory; the two together are verified while they are written.
fn make<W>(
    input: &Input,
    options: CopyOptions<'_>,
    monitor: &dyn Monitor,
    write: impl FnOnce(&Db<'_>, &Places, &dyn Monitor) -> Result<W>,
) -> Result<(Made, W)> {
    // What may change after it was verified is not worth to be verified at once with what is laid over it.
    let keys = if input.live { KeyDepth::History } else { KeyDepth::Pages };
    let ((source, mut findings), (patched, fold, left_behind)) = beside(
        is_cold(&input.database),
        monitor,
        |monitor| verified(input, keys, options.fold(), monitor),
        |monitor| {
            let silent = Relay::new(monitor).without_findings();
            let db = Db::open(&input.database).map_err(|c| Error::damaged(input.database.path(), c))?;
            let fold = input.fold(&db, options.fold(), &silent)?;
            let left_behind = if fold.is_none() { input.left_behind(&db, &silent) } else { None };
            let none = Overlay::new();
            Ok((patch(&db, fold.as_ref().map_or(&none, |fold| &fold.overlay))?, fold, left_behind))
        },
    )?;
    refuse_damage(&source.findings, true)?;
    for finding in left_behind.iter().chain(fold.iter().flat_map(|fold| &fold.findings)) {
        monitor.finding(finding.clone());
        findings.push(finding.clone());
    }
    let db = Db::open(&patched.source).map_err(|c| Error::damaged(input.database.path(), c))?;
    let places = patched.places(&db, &source.reached.clone().unwrap_or_default());
    let (content, written) = beside(
        is_cold(&patched.source),
        monitor,
        |monitor| {
            if input.live {
                return Ok(None);
            }
            let silent = Relay::new(monitor).without_findings();
            let mut content = verify_file(&patched.source, Level::Mvcc, Closeness::default(), &silent)?;
            let expected = |code| matches!(code, Code::TrailerAbsent | Code::CompactionUnfinished);
            content.findings.retain(|finding| !expected(finding.code) && !source.findings.contains(finding));
            tell(&content.findings, options.damage, monitor)?;
            Ok(Some(content))
        },
        |monitor| write(&db, &places, monitor),
    )?;
    let content = content.map(|content| {
        findings.extend(content.findings);
        content.measured
    });
    Ok((Made { source, content, fold, findings }, written))
}

fn once(
    input: &Input,
    (file, name): (&mut File, &Path),
    options: CopyOptions<'_>,
    monitor: &dyn Monitor,
) -> Result<CopyReport> {
    let silent = Relay::new(monitor).without_findings();
    let files = input.files(options.digests, &silent)?;
    let form = options.form;
    let (made, mut output) = if options.content == Content::Exact {
        make_exact(input, options, monitor, |db, monitor| {
            room::ask(file, name, db.size().saturating_add(TRAILER))?;
            Output::write((file, name), form, true, |out| {
                pour(&input.database, db.size(), (out, name), monitor)
            })
        })
    } else {
        make(input, options, monitor, |db, places, monitor| {
            room::ask(file, name, places.bytes(db).saturating_add(TRAILER))?;
            Output::write((file, name), form, true, |out| {
                pack(db, places, out, monitor).map(drop).map_err(|e| e.of_output(name))
            })
        })
    }?;
    let copy = output.read_back(name)?;
    let measured = while_syncing(|| output.sync(name), || read_back(&copy, &made, options, &silent))?;
    let (sha256, bytes) = (output.payload, output.bytes);
    let closed = output.seal(name)?;
    if options.digests && !input.live && input.files(true, &silent)? != files {
        return Err(Error::unreadable(
            Path::new(&input.name),
            Cause::changed("changed while it was read: its SHA-256 before and after differ"),
        ));
    }
    Ok(CopyReport {
        source: input.name.clone(),
        kind: input.kind(&made.source),
        files,
        fold: made.fold.map(|fold| fold.report),
        bytes,
        sha256: checksum::hex(&sha256),
        revision: measured.revision.unwrap_or(0),
        hashkv: measured.hashkv,
        consistent_index: measured.consistent_index,
        live_keys: measured.live_keys,
        closed,
        best_effort: input.live,
        findings: made.findings,
    })
}

/// Reads the copy as a backup is read, before it has its trailer, and compares it with what was to be written. Gives
/// what it holds.
fn read_back(
    copy: &Source,
    made: &Made,
    options: CopyOptions<'_>,
    monitor: &dyn Monitor,
) -> Result<Measured> {
    let wrong = |what: String| {
        let told = format!("{what}: this is a fault of the copy, and none was kept");
        Err(Error::Miswritten { what: copy.name(), told })
    };
    // Of pages and items that are those that were verified no history has to be gone through again.
    let keys = if made.content.is_some() { KeyDepth::Stored } else { KeyDepth::History };
    let result = verify_file(copy, Level::Mvcc, Closeness { keys, ..Closeness::default() }, monitor)?;
    let damage = result.findings.iter().find(|finding| finding.severity == Severity::Damage);
    if let Some(damage) = damage.filter(|_| options.damage == Damage::Refuse) {
        return wrong(damage.to_string());
    }
    let Some(due) = &made.content else { return Ok(result.measured) };
    let ours = &result.measured;
    if ours.status_hash != due.status_hash || (ours.free_bytes > 0 && options.content != Content::Exact) {
        let (hash, free) = (ours.status_hash, ours.free_bytes);
        return wrong(format!(
            "its status hash is {hash:x?}, of what was written {:x?}; {free} bytes of it are free",
            due.status_hash
        ));
    }
    if let Some(Fold { overlay, raft, .. }) = &made.fold {
        let last = overlay.get(b"key".as_slice()).and_then(|rows| rows.keys().next_back());
        let last = last.and_then(|row| stored::read_key(row).ok()).map(|key| key.revision.main);
        if due.consistent_index.unwrap_or_default() != raft.index
            || last.is_some_and(|last| due.revision != Some(last))
        {
            return wrong(format!(
                "it ends at revision {:?} and index {:?}",
                due.revision,
                due.consistent_index.map(RaftIndex::get)
            ));
        }
    }
    Ok(due.clone())
}
