//! `defrag`: a database written anew, so that nothing in it is free and nothing is left of what was deleted.
//!
//! etcd's pages are never zeroed: a deleted value stays in the file until its page is used again. Here only what the
//! trees hold is copied, bucket by bucket. What was written is read back: its status hash, over every bucket, key and
//! value, is that of what was read, and its HashKV the source's. Source: `backend.go defrag` @ v3.6, which does the
//! same with the pages of its own machine's size.

use std::borrow::Cow;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::output::ClosedFile;
#[cfg(feature = "age")]
use super::output::{Output, OutputForm};
use super::verify::{Closeness, Level, TrailerState, Verification, refuse_damage, verify_file};
use crate::bolt::Db;
use crate::bolt::writer::FreelistPage;
use crate::etcd::aside::{self, Aside};
use crate::etcd::datadir;
use crate::etcd::{BucketKey, Facts, Input, Revision, small};
#[cfg(feature = "age")]
use crate::io::closed::Recipients;
use crate::io::dest::predecessor::{Predecessor, refuse_other_names};
use crate::io::dest::{self, Dest, Existing, room};
use crate::io::gate::is_cold;
use crate::io::source::{Lock, Stamp};
use crate::io::{Source, tree};
use crate::ops::overlap::{beside, while_syncing};
use crate::snap::backup::TRAILER;
use crate::store::keep::{Rule, Selection};
#[cfg(feature = "age")]
use crate::store::rewrite::write_anew_in_order;
use crate::store::rewrite::{Edit, Edits, write_anew};
use crate::words::cause::Cause;
use crate::words::error::{Error, Result, show};
use crate::words::hint::{Hint, Note};
use crate::words::monitor::{Monitor, Relay};
use crate::words::refusal::Refusal;

/// Meta pages of a database.
const METAS: u64 = 2;

/// Where the new file goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DefragDestination {
    /// To a place where nothing is.
    New(PathBuf),
    /// Into the place of the source itself, when everything is done and nobody has touched it.
    InPlace,
}

/// How to do it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefragOptions {
    /// Where the new file goes.
    pub destination: DefragDestination,
    /// Finish the compaction that the file has marked: drop what etcd would.
    pub live_only: bool,
}

impl DefragOptions {
    /// To a new file, with all that the source holds.
    #[must_use]
    pub fn to(path: impl Into<PathBuf>) -> DefragOptions {
        DefragOptions { destination: DefragDestination::New(path.into()), live_only: false }
    }

    /// In the place of the source, with all that it holds.
    #[must_use]
    pub fn in_place() -> DefragOptions {
        DefragOptions { destination: DefragDestination::InPlace, live_only: false }
    }
}

/// The size of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct FileSize {
    /// Its length in bytes, with the trailer and what etcd reserved behind the last page.
    pub bytes: u64,
    /// Bytes of its pages.
    pub page_bytes: u64,
    /// Bytes of those pages that hold nothing.
    pub free_bytes: u64,
    /// Stored revisions.
    pub revisions: u64,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DefragReport {
    /// The source, as named.
    pub source: String,
    /// The new file.
    pub destination: String,
    /// Before.
    pub before: FileSize,
    /// After.
    pub after: FileSize,
    /// Whether the new file ends with a SHA-256, as the source does.
    pub trailer: bool,
    /// The age file that it is in, if it was closed: `after` is about what is in that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed: Option<ClosedFile>,
    /// HashKV of the new file: that of the source too, unless no key is live and a compaction was finished.
    pub hashkv: Option<u32>,
    /// The last revision, before and after.
    pub revision: i64,
    /// The compaction that was finished.
    pub compacted: Option<i64>,
    /// What a person should know.
    pub notes: Vec<Note>,
}

/// Writes a database or snapshot file anew, or the database of a data directory.
///
/// # Errors
/// [`Error::Unreadable`] when a running etcd holds the source, [`Error::Damaged`] when it is damaged,
/// [`Error::Output`] when the new file could not be written or is not what it should be. Then nothing of it is left,
/// and the source is as it was.
pub fn defrag(
    input: impl Into<Input>,
    options: &DefragOptions,
    monitor: &dyn Monitor,
) -> Result<DefragReport> {
    let input = input.into();
    let source =
        if input.is_dir() { tree::open(&input.path().join("member/snap/db"))? } else { input.open()? };
    #[cfg(feature = "packed")]
    if options.destination == DefragDestination::InPlace && !source.around().is_empty() {
        let what = "is packed, and what is packed is not replaced in its place";
        let (told, hint) = (what.to_owned(), Some(Hint::DefragElsewhere));
        return Err(Error::unreadable(source.path(), Cause::Lacks { told, hint }));
    }
    anew(&source, options, Edits::new(), monitor)
}

/// Writes a database or snapshot file anew to a place where nothing is, closed for these recipients.
///
/// The meta pages stand first and are known last, and what is encrypted cannot be written there afterwards. So the
/// source is gone through once more before, for them alone; nothing but they is kept of that.
///
/// # Errors
/// As [`defrag`].
#[cfg(feature = "age")]
pub fn defrag_closed(
    input: impl Into<Input>,
    (to, recipients): (&Path, &Recipients),
    live_only: bool,
    monitor: &dyn Monitor,
) -> Result<DefragReport> {
    let source = input.into().open()?;
    refuse_locked(&source, Hint::DefragLive)?;
    dest::claim(to, Existing::Keep)?;
    let stamp = source.stamp();
    let db = datadir::database(&source)?;
    let before = whole(&source, false, monitor)?;
    let plan = Plan::new(&db, live_only, Edits::new(), monitor)?;
    let dest = Dest::create(to, Existing::Keep)?;
    let (file, name) = dest.file()?;
    let trailer = before.measured.trailer == TrailerState::Present;
    let full = |error: Error| room::of_at_most(error.of_output(to), source.len());
    let mut due = 0;
    let mut output = Output::write((&file, name), OutputForm::ClosedFor(recipients), trailer, |out| {
        due = plan.write_in_order(out, monitor).map_err(full)?;
        Ok(())
    })?;
    // What there is to say of it was said of the source.
    let silent = Relay::new(monitor).without_findings();
    let copy = output.read_back(name)?;
    let (after, _) = while_syncing(
        || output.sync(name),
        || read_back(&copy, (due, plan.hashkv(&before)), false, &silent),
    )?;
    if stamp != source.stamp() {
        return Err(changed(&source));
    }
    let closed = output.seal(name)?;
    drop(file);
    dest.finish()?;
    Ok(DefragReport { closed, ..plan.report((&source, to), &before, after, trailer) })
}

/// The same, with these edits.
pub(super) fn anew(
    source: &Source,
    options: &DefragOptions,
    edits: Edits<'static>,
    monitor: &dyn Monitor,
) -> Result<DefragReport> {
    refuse_locked(source, Hint::DefragLive)?;
    let (path, existing, log) = match &options.destination {
        DefragDestination::New(path) => (path.as_path(), Existing::Keep, Vec::new()),
        DefragDestination::InPlace => (source.path(), Existing::Replace, unused_log(source.path())?),
    };
    // What is in the way is told before the source is read for minutes.
    dest::claim(path, existing)?;
    let stamp = source.stamp();
    let db = datadir::database(source)?;
    if existing == Existing::Replace {
        refuse_aside(source.path(), &db)?;
    }
    // Reading a cold file for two ends at once would have its disk go back and forth.
    let (before, (plan, mut dest, due)) = beside(
        is_cold(source),
        monitor,
        |monitor| whole(source, false, monitor),
        |monitor| {
            let plan = Plan::new(&db, options.live_only, edits, monitor)?;
            let mut dest = Dest::create(path, existing)?;
            match options.destination {
                DefragDestination::New(_) => dest.own()?,
                DefragDestination::InPlace => {
                    let was = fs::metadata(path).map_err(|e| Error::unreadable(path, e))?;
                    dest.own_as(&was)?;
                }
            }
            let full = |error: Error| room::of_at_most(error.of_output(path), source.len());
            let due = plan.write(&mut dest, monitor).map_err(full)?;
            Ok((plan, dest, due))
        },
    )?;
    let trailer = before.measured.trailer == TrailerState::Present;
    let made = Source::open(dest.partial())?;
    // What there is to say of it was said of the source.
    let silent = Relay::new(monitor).without_findings();
    let (after, digest) =
        while_syncing(|| dest.sync(), || read_back(&made, (due, plan.hashkv(&before)), trailer, &silent))?;
    if let Some(digest) = digest {
        dest.write_all(&digest).map_err(|source| Error::Output { what: show(path), source })?;
    }
    match existing {
        Existing::Replace => in_its_place(dest, source, stamp, &log, db.page_size())?,
        _ if stamp == source.stamp() => dest.finish()?,
        _ => return Err(changed(source)),
    }
    let sealed = if trailer { TRAILER } else { 0 };
    let after = FileSize { bytes: after.bytes.saturating_add(sealed), ..after };
    Ok(plan.report((source, path), &before, after, trailer))
}

/// Puts the new file in the place of the source.
fn in_its_place(
    dest: Dest,
    source: &Source,
    stamp: Option<Stamp>,
    log: &[PathBuf],
    page_size: u64,
) -> Result<()> {
    // An etcd that has begun to use the old file holds its lock; one that has used it meanwhile has changed it.
    let old = Predecessor::lock(source.path(), log)?;
    if stamp != old.stamp() || stamp != source.stamp() {
        return Err(changed(source));
    }
    dest.finish_after(&old, page_size.saturating_mul(METAS))
}

pub(super) fn changed(source: &Source) -> Error {
    Error::unreadable(source.path(), Cause::changed("changed while it was read; nothing was kept"))
}

pub(super) fn refuse_locked(source: &Source, hint: Hint) -> Result<()> {
    if source.flock() == Lock::Held { Err(in_use(source, hint)) } else { Ok(()) }
}

fn in_use(source: &Source, hint: Hint) -> Error {
    Error::unreadable(source.path(), Cause::InUse(Some(hint)))
}

/// The segments of the log of a database that is to be replaced, which must be nobody's.
fn unused_log(db: &Path) -> Result<Vec<PathBuf>> {
    refuse_other_names(db)?;
    let log = datadir::log_beside(db);
    for segment in &log {
        let segment = Source::open(segment)?;
        if segment.ofd_lock() == Lock::Held {
            return Err(in_use(&segment, Hint::DefragLive));
        }
    }
    Ok(log)
}

/// Refuses a database that etcd does not run on: what replaced the one that it does run on is there in its place.
fn refuse_aside(path: &Path, db: &Db<'_>) -> Result<()> {
    let Some(index) = aside::raft_index(db) else { return Ok(()) };
    match Aside::further(path, index) {
        None => Ok(()),
        Some(Aside { path: aside, index: further }) => {
            Err(Refusal::Aside { path: path.to_path_buf(), index, aside, further }.into())
        }
    }
}

/// Verifies the source, which must be whole.
pub(super) fn whole(source: &Source, sealing: bool, monitor: &dyn Monitor) -> Result<Verification> {
    let closeness = Closeness { sealing, ..Closeness::default() };
    let verification = verify_file(source, Level::Mvcc, closeness, monitor)?;
    refuse_damage(&verification.findings, false)?;
    Ok(verification)
}

/// What is to be written.
struct Plan<'d, 's> {
    db: &'d Db<'s>,
    edits: Edits<'static>,
    keep: Option<Selection>,
    compact: Option<i64>,
    revision: i64,
    notes: Vec<Note>,
}

impl<'d, 's> Plan<'d, 's> {
    fn new(
        db: &'d Db<'s>,
        live_only: bool,
        edits: Edits<'static>,
        monitor: &dyn Monitor,
    ) -> Result<Plan<'d, 's>> {
        let (facts, last) = small::facts_and_last(db)?;
        let revision = facts.current_revision(last);
        let mut plan = Plan { db, edits, keep: None, compact: None, revision, notes: Vec::new() };
        match facts.compact_revision().filter(|_| live_only) {
            Some(compact) => plan.finish_compaction(&facts, compact, monitor)?,
            None if live_only => {
                plan.notes.push("no compaction was ever asked for: all history stays".into())
            }
            None if facts.compaction_is_unfinished() => {
                let what = "a compaction is marked and not finished";
                plan.notes.push(Note::with(what, Hint::FinishCompaction));
            }
            None => {}
        }
        Ok(plan)
    }

    /// What etcd leaves when it has finished the compaction that is marked (`scheduleCompaction`).
    fn finish_compaction(&mut self, facts: &Facts, compact: i64, monitor: &dyn Monitor) -> Result<()> {
        let keep = Selection::new(self.db, Rule { compact: Some(compact), ..Rule::default() }, monitor)?;
        let unfinished = facts.compaction_is_unfinished();
        if unfinished {
            let mark =
                BucketKey { revision: Revision { main: compact, sub: 0 }, tombstone: false }.to_bytes();
            let keys = Cow::Owned([(b"finishedCompactRev".to_vec(), Some(mark))].into());
            self.edits.insert(b"meta", Edit { clear: false, keys });
        }
        let what = match (unfinished, keep.counts.dropped) {
            (true, dropped) => format!(
                "the compaction at revision {compact} is finished: {dropped} stored revisions are left out"
            ),
            (false, 0) => format!(
                "the compaction at revision {compact} was finished already: there was nothing to leave out"
            ),
            (false, dropped) => {
                format!(
                    "the compaction at revision {compact} had left {dropped} stored revisions behind: they are left out"
                )
            }
        };
        self.notes.push(what.into());
        self.compact = Some(compact);
        self.keep = Some(keep);
        Ok(())
    }

    /// The HashKV that is due: the source's, as that is of the keyspace as if the compaction were finished. But of one
    /// without a live key etcd's is of all that is stored (`rule`).
    fn hashkv(&self, before: &Verification) -> Option<u32> {
        match &self.keep {
            Some(keep) if before.measured.live_keys == Some(0) => Some(keep.counts.hash),
            _ => before.measured.hashkv,
        }
    }

    fn freelist(&self) -> FreelistPage {
        if self.db.meta().freelist.is_some() { FreelistPage::Stored } else { FreelistPage::Absent }
    }

    /// Writes it, and gives the status hash of what was written.
    fn write(&self, dest: &mut Dest, monitor: &dyn Monitor) -> Result<u32> {
        let (db, keep) = (self.db, self.keep.as_ref());
        let (_, hash) = write_anew(db, &self.edits, keep, self.freelist(), &mut *dest, monitor)?;
        Ok(hash)
    }

    /// The same where nothing can be written over.
    #[cfg(feature = "age")]
    fn write_in_order(&self, out: &mut dyn Write, monitor: &dyn Monitor) -> Result<u32> {
        let (db, keep) = (self.db, self.keep.as_ref());
        let (_, hash) = write_anew_in_order(db, &self.edits, keep, self.freelist(), out, monitor)?;
        Ok(hash)
    }

    fn report(
        self,
        (source, to): (&Source, &Path),
        before: &Verification,
        after: FileSize,
        trailer: bool,
    ) -> DefragReport {
        DefragReport {
            source: source.name(),
            destination: show(to),
            before: size(before),
            after,
            trailer,
            closed: None,
            hashkv: self.hashkv(before),
            revision: self.revision,
            compacted: self.compact,
            notes: self.notes,
        }
    }
}

/// Verifies what was written, and compares it with the status hash of what was written and the HashKV that is
/// due. Gives its SHA-256 if it is to get a trailer.
fn read_back(
    copy: &Source,
    (due, hashkv): (u32, Option<u32>),
    sealing: bool,
    monitor: &dyn Monitor,
) -> Result<(FileSize, Option<[u8; 32]>)> {
    let wrong = |told: String| Error::Miswritten { what: copy.name(), told };
    let after = whole(copy, sealing, monitor).map_err(|e| wrong(e.to_string()))?;
    let hash = after.measured.status_hash.unwrap_or(0);
    if hash != due {
        return Err(wrong(format!("its status hash is {hash:x}, of what was written {due:x}")));
    }
    let ours = after.measured.hashkv;
    if ours != hashkv {
        return Err(wrong(format!("its HashKV is {ours:?}, {hashkv:?} is due")));
    }
    Ok((size(&after), after.measured.payload_sha256))
}

fn size(verification: &Verification) -> FileSize {
    let measured = &verification.measured;
    FileSize {
        bytes: measured.file_size,
        page_bytes: measured.db_size,
        free_bytes: measured.free_bytes,
        revisions: measured.revisions.unwrap_or(0),
    }
}
