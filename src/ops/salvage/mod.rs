//! `salvage`: the best good database that can be made of what is left of a damaged one.
//!
//! The pages of the file are found by what they are, and what is in them is judged by itself
//! ([`store::salvage`](crate::store::salvage)). A log beside it that tells everything, alone or after an older backup,
//! is taken before that. The result is a snapshot file with a SHA-256 at its end, verified before it gets its name.

mod log;
mod put_back;
mod report;

pub use self::report::{
    Hole, LeftOut, LeftOutVersion, MissingRevisions, PageFate, SalvageOptions, SalvageReport, SalvagedFrom,
};

use std::collections::BTreeSet;
use std::io::BufWriter;
use std::path::Path;

use self::report::{Made, empty};
use super::output::{Output, OutputForm};
use super::verify::{Closeness, Level, verify_file};
use crate::bolt::Db;
use crate::bolt::found::FoundPages;
use crate::bolt::writer::pack::pack;
use crate::bolt::writer::patch::patch;
use crate::codec::checksum;
use crate::etcd::datadir::DataDir;
use crate::etcd::{Input as Given, Revision};
use crate::io::dest::{self, Dest, Existing};
use crate::io::source::Lock;
use crate::io::spool::Spool;
use crate::io::{Source, tree};
use crate::kube::places::ObjectPlaces;
use crate::replay::MemberLog;
use crate::replay::apply::Overlay;
use crate::snap::backup::Trailer;
use crate::store::digest::sha256;
use crate::store::salvage::{Gathered, Settled, count, gather, settle, write_found};
use crate::words::cause::Cause;
use crate::words::error::{Error, Result, show};
use crate::words::finding::{Finding, Severity};
use crate::words::hint::Hint;
use crate::words::monitor::{Monitor, Relay};
use crate::words::refusal::Refusal;
use crate::words::text::Told;

/// Versions that are left out as they contradict others, one after the other.
const MOST_WRONG: usize = 32;

/// Why a log is not applied.
const LOG_LEFT: &str = "something is missing, and what an entry does depends on what is there";

/// Makes a snapshot file of what is left. `each` gets what became of every page of the source.
///
/// # Errors
/// [`Error::Unreadable`] when nothing can be found, or a running etcd holds the source; [`Error::Refused`] and
/// [`Error::Output`] when the result cannot be written. Then there is none.
pub fn salvage(
    input: impl Into<Given>,
    to: &Path,
    options: &SalvageOptions<'_>,
    each: &mut dyn FnMut(&PageFate) -> Result<()>,
    monitor: &dyn Monitor,
) -> Result<SalvageReport> {
    let input = input.into();
    dest::claim(to, Existing::Keep)?;
    dest::outside(input.path(), to)?;
    let wal_dir = options.wal_dir.or(input.wal_dir());
    let dir = if input.is_dir() { Some(DataDir::list(input.path(), wal_dir)?) } else { None };
    let log = dir.as_ref().map(MemberLog::open).transpose()?.unwrap_or_default();
    let source = match &dir {
        Some(dir) => dir.db.as_ref().filter(|db| tree::is_file(db)).map(|db| tree::open(db)).transpose()?,
        None => Some(input.open()?),
    };
    let held = source.as_ref().is_some_and(|source| source.flock() == Lock::Held);
    if held || log.files().iter().any(|wal| wal.ofd_lock() == Lock::Held) {
        return Err(Error::unreadable(input.path(), Cause::InUse(Some(Hint::SnapshotOrCopyLive))));
    }
    let silent = Relay::new(monitor).without_findings();
    let pages = source.as_ref().map(|source| from_pages((source, to), options, each, &silent)).transpose();
    let pages = match pages {
        Err(error @ Error::Unreadable { .. }) => Err(error),
        pages => Ok(pages?),
    };
    let mut made = match pages {
        Ok(Some(mut made)) if made.report.is_complete() => {
            log::go_on(&mut made, log, options, &silent);
            made
        }
        pages => match (log::from_log(dir.as_ref(), log, options, &silent), pages) {
            (Err(error @ Error::Cancelled), _) => return Err(error),
            (Ok(Some(made)), _) => made,
            (made, Ok(Some(mut pages))) => {
                let why = made.err().map_or_else(|| LOG_LEFT.to_owned(), |error| error.to_string());
                pages.report.log_left = dir.filter(|dir| !dir.wals.is_empty()).map(|_| why);
                pages
            }
            (Err(error), _) | (Ok(None), Err(error)) => return Err(error),
            (Ok(None), Ok(None)) => {
                let what = "holds no database, and its log alone does not make it";
                let hint = Some(Hint::SalvageBase);
                return Err(Error::unreadable(input.path(), Cause::Lacks { told: what.to_owned(), hint }));
            }
        },
    };
    made.report.source = show(input.path());
    write(made, to, &silent)
}

/// Of the pages of a file, and of older ones.
fn from_pages(
    (source, to): (&Source, &Path),
    options: &SalvageOptions<'_>,
    each: &mut dyn FnMut(&PageFate) -> Result<()>,
    monitor: &dyn Monitor,
) -> Result<Made> {
    let altered = altered(source, monitor);
    let put_back = if altered { put_back::put_back(source, monitor) } else { None };
    let source = put_back.as_ref().map_or(source, |put_back| &put_back.source);
    let bases = options.bases.iter().map(|base| Given::from(base).open()).collect::<Result<Vec<_>>>()?;
    let mut files = Vec::new();
    for file in std::iter::once(source).chain(&bases) {
        monitor.begin("looking for pages", file.len());
        let found = FoundPages::search(file, monitor);
        monitor.end();
        let nothing = || Error::unreadable(file.path(), Cause::lacks("holds no page of a database"));
        files.push(found.ok_or_else(nothing)?);
    }
    let mut wrong = BTreeSet::new();
    loop {
        let (mut made, gathered) = settled((source, to), &files, (options, &bases, &wrong), monitor)?;
        // What does not follow from what came before is left out, one after the other: once the first is known to be
        // missing, the next may be right.
        let verified = verify_file(&made.database, Level::Mvcc, Closeness::default(), monitor)?;
        let first = verified.findings.iter().filter_map(contradiction).min();
        if first.is_some_and(|first| wrong.len() < MOST_WRONG && wrong.insert(first)) {
            continue;
        }
        for fate in gathered.fates(&files) {
            let fate = match &put_back {
                Some(put_back) => put_back.told(fate),
                None => fate,
            };
            each(&fate)?;
        }
        made.report.altered = altered && put_back.is_none();
        made.report.put_back = put_back.as_ref().map_or(0, |put_back| put_back.moved);
        made.reached = verified.reached;
        return Ok(made);
    }
}

/// The revision of a version that a finding says cannot be.
fn contradiction(finding: &Finding) -> Option<Revision> {
    let damage = finding.severity == Severity::Damage && Level::of(finding.code) == Level::Mvcc;
    let (main, sub) = finding.at.revision.as_deref().filter(|_| damage)?.split_once('.')?;
    Some(Revision { main: main.parse().ok()?, sub: sub.parse().ok()? })
}

/// What the pages come to without these revisions, and what was found in them.
fn settled(
    (source, to): (&Source, &Path),
    files: &[FoundPages<'_>],
    (options, bases, wrong): (&SalvageOptions<'_>, &[Source], &BTreeSet<Revision>),
    monitor: &dyn Monitor,
) -> Result<(Made, Gathered)> {
    let mut gathered = gather(files, monitor);
    if monitor.cancelled() {
        return Err(Error::Cancelled);
    }
    let settled = settle(&mut gathered, files, options.include_uncertain, wrong);
    if settled.contradicted > 0
        && let Some(base) = bases.first()
    {
        let (file, revisions) = (base.name(), settled.contradicted);
        return Err(Refusal::OtherHistory { file, revisions }.into());
    }
    if settled.rows.is_empty() && !(gathered.newest && settled.holes.is_empty()) {
        let uncertain = settled.left_out.iter().filter(|left| left.why == LeftOut::Uncertain).count();
        let told = format!(
            "has no version of a key that is certain not to have been superseded or deleted since; {uncertain} keys \
             were found of which that is not known"
        );
        let hint = (uncertain > 0).then_some(Hint::SalvageUncertain);
        return Err(Error::unreadable(source.path(), Cause::Lacks { told, hint }));
    }
    let mut spool = Spool::new()?;
    let out = BufWriter::new(spool.file());
    write_found(files, &gathered, &settled, out, monitor).map_err(|error| error.of_output(to))?;
    let report = report(files, &gathered, settled);
    let database = spool.into_source(source.path())?;
    Ok((Made { database, fold: None, reached: None, report }, gathered))
}

/// What there is to say of what was found.
fn report(files: &[FoundPages<'_>], gathered: &Gathered, settled: Settled) -> SalvageReport {
    let Settled { mut left_out, included, missing, holes, compacted, beyond, .. } = settled;
    name(&mut left_out);
    let found = files.first();
    SalvageReport {
        layout: found.map(|found| found.layout),
        pages: found.map_or(0, |found| crate::codec::to_u64(found.places.len())),
        out_of_place: found.map_or(0, |found| found.out_of_place),
        newest_known: gathered.newest,
        tree_is_old: beyond,
        holes,
        missing_revisions: count(&missing),
        missing,
        left_out,
        uncertain_taken: included,
        incomplete_buckets: gathered.small.incomplete.clone(),
        compacted,
        ..empty(SalvagedFrom::Pages)
    }
}

/// Says which of them are objects of Kubernetes.
fn name(left_out: &mut [LeftOutVersion]) {
    let mut places = ObjectPlaces::default();
    left_out.iter().for_each(|version| _ = places.learn_prefix(version.key.raw().as_bytes()));
    for version in left_out {
        version.object = places.name_of(version.key.raw().as_bytes()).map(Told::from);
    }
}

/// Whether there is a SHA-256 at the end, and it is of other bytes.
fn altered(source: &Source, monitor: &dyn Monitor) -> bool {
    let Ok(Trailer::Present { digest, payload }) = Trailer::read(source, 0) else { return false };
    sha256(source, payload, monitor).is_ok_and(|sum| sum != digest)
}

/// Writes database and changes together, and reads them back.
fn write(made: Made, to: &Path, monitor: &dyn Monitor) -> Result<SalvageReport> {
    let Made { database, fold, reached, mut report } = made;
    let damaged = |corrupt| Error::damaged(to, corrupt);
    let db = Db::open(&database).map_err(damaged)?;
    let reached = match reached {
        Some(reached) => Some(reached),
        None => verify_file(&database, Level::Mvcc, Closeness::default(), monitor)?.reached,
    };
    let none = Overlay::new();
    let patched = patch(&db, fold.as_ref().map_or(&none, |fold| &fold.overlay))?;
    let db = Db::open(&patched.source).map_err(damaged)?;
    let places = patched.places(&db, &reached.unwrap_or_default());
    let dest = Dest::create(to, Existing::Keep)?;
    let (file, name) = dest.file()?;
    let mut output = Output::write((&file, name), OutputForm::Clear, true, |out| {
        pack(&db, &places, out, monitor).map(drop).map_err(|error| error.of_output(name))
    })?;
    let copy = output.read_back(name)?;
    let verified = verify_file(&copy, Level::Mvcc, Closeness::default(), monitor)?;
    output.sync(name)?;
    (report.bytes, report.sha256) = (output.bytes, checksum::hex(&output.payload));
    report.measured = verified.measured;
    report.findings =
        verified.findings.into_iter().filter(|finding| finding.severity == Severity::Damage).collect();
    report.log = report.log.or(fold.map(|fold| fold.report));
    output.seal(name)?;
    drop(file);
    dest.finish()?;
    Ok(report)
}
