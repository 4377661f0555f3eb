//! `timeline`: everything that is known to have happened, in one order.
//!
//! Databases, what they hold in pages that no tree has, logs, older backups and the audit log of an API server tell of
//! the same revisions; each thing stands once, with all that hold it, and with the times that it happened between.

mod audit;
mod gather;
mod inputs;
mod join;
mod log;
mod place;
mod row;
mod told;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

pub use self::inputs::TimelineInput;
pub use self::row::{Certainty, MOST_INPUTS, SourceKind, What};

use self::audit::Matching;
use self::gather::Gathered;
use self::join::Logs;
use self::row::{Interned, Row, Sources};
use crate::codec::to_u64;
use crate::etcd::datadir;
use crate::kube::audit::AuditEvent;
use crate::kube::places::ObjectPlaces;
use crate::ops::log_fault::log_finding;
use crate::replay::clock::{Between, RevisionClock};
use crate::snap::backup::Trailer;
use crate::store::{Store, digest};
use crate::words::error::{Error, Result, show};
use crate::words::finding::Finding;
use crate::words::ids::{ClusterId, LeaseId, RaftIndex, Term};
use crate::words::monitor::Monitor;

/// What was read, and what of it is a matter of doubt.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TimelineReport {
    /// Rows.
    pub rows: u64,
    /// The cluster, if a log tells.
    pub cluster: Option<ClusterId>,
    /// The first revision of which something is known, and the last.
    pub revisions: Option<(i64, i64)>,
    /// Times that values tell.
    pub times: u64,
    /// Of these: those that are ahead of later ones, and not believed.
    pub times_ahead: u64,
    /// Requests in logs that changed nothing.
    pub without_effect: u64,
    /// Pages that could not be read.
    pub unreadable_pages: u64,
    /// Revisions at which two inputs hold different things.
    pub contradictions: u64,
}

/// By what the time is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KnownBy {
    /// What was put tells it itself.
    Value,
    /// The audit log.
    Audit,
    /// What was put before and after.
    Around,
    /// Nothing tells it.
    Nothing,
}

/// One thing that happened.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Happening<'t> {
    /// The revision that it made; `None` if it made none, or that is not known.
    pub revision: Option<(i64, i64)>,
    /// Otherwise: the last revision that is known to be before it.
    pub after: Option<i64>,
    /// And the last that it can be before, or be; `None` if that is not known.
    pub until: Option<i64>,
    /// Its place in the raft log, if a log holds it.
    pub entry: Option<(RaftIndex, Term)>,
    /// What it was.
    pub what: What,
    /// How sure it is.
    pub certainty: Certainty,
    /// The key, if it is about one.
    pub key: Option<&'t [u8]>,
    /// Of a deletion of several keys of which not all are known: the first key and the end, as a request has them.
    pub range: Option<(&'t [u8], &'t [u8])>,
    /// How often the key was written since it came into being, if that is known.
    pub version: Option<i64>,
    /// The lease that the key got.
    pub lease: LeaseId,
    /// Who wrote it, by its managed fields.
    pub who: &'t str,
    /// More of it, in words.
    pub detail: &'t str,
    /// Whether an input holds something else at this revision.
    pub contradicts: bool,
    /// Between which times it was.
    pub between: Between,
    /// When it was, to what clocks may differ by, if what was put tells or the audit log does.
    pub at: Option<Timestamp>,
    /// By what that is known.
    pub known_by: KnownBy,
    /// The request to an API server that it came of.
    pub audit: Option<&'t AuditEvent>,
    sources: Sources,
}

impl Happening<'_> {
    /// The inputs that hold it, by their places among those that were given, and what of them does.
    pub fn sources(&self) -> impl Iterator<Item = (usize, SourceKind)> {
        self.sources.each()
    }
}

/// Everything in its order.
pub struct Timeline<'t> {
    rows: Vec<Row>,
    keys: Interned,
    texts: Interned,
    clock: RevisionClock,
    audit: &'t [AuditEvent],
    /// Where objects lie.
    pub places: ObjectPlaces,
    /// What was read.
    pub report: TimelineReport,
}

/// Reads all inputs, and puts what they hold in one order. Objects lie behind `prefix`, or where they are found.
///
/// Memory is some 250 bytes for each stored version, each change in a log and each row, and every key once.
///
/// # Errors
/// [`Error::Unreadable`] for inputs of several clusters, by their logs or by what they hold at one revision;
/// [`Error::Damaged`] when pages or entries cannot be read, unless a store allows damage; [`Error::Cancelled`].
pub fn timeline<'t>(
    inputs: &[TimelineInput<'_>],
    audit: &'t [AuditEvent],
    prefix: Option<&str>,
    monitor: &dyn Monitor,
) -> Result<Timeline<'t>> {
    let mut report =
        TimelineReport { cluster: inputs::one_cluster(inputs, monitor)?, ..TimelineReport::default() };
    let mut gathered = Gathered::default();
    let mut logs = Logs::default();
    for (at, input) in inputs.iter().enumerate() {
        match read(input, at, &mut gathered, &mut logs, &mut report, monitor) {
            // What of it was read stays.
            Err(Error::Damaged { path, corrupt }) if input.store.allows_damage() => {
                monitor.finding(Finding::from_corrupt(&show(&path), *corrupt));
            }
            done => done?,
        }
    }
    gathered.join();
    report.contradictions = inputs::contradictions(&mut gathered, inputs, monitor)?;
    let joined = logs.join(&mut gathered);
    report.without_effect = joined.without_effect;
    compactions(&mut gathered, inputs);
    rewritten(&mut gathered, inputs)?;
    gathered.join();
    let mut evidence = told::tell(&mut gathered, &joined);
    let Gathered { mut rows, keys, texts, .. } = gathered;
    let mut places = ObjectPlaces::default();
    let ranges = rows.iter().filter_map(|row| row.range).map(|(first, _)| texts.get(first));
    keys.each().chain(ranges).for_each(|key| _ = places.learn_prefix(key));
    let places = match prefix {
        Some(prefix) => places.behind(prefix),
        None => places,
    };
    let mut clock = RevisionClock::of(evidence.clone());
    if !audit.is_empty() {
        let mut matching = Matching::new(audit, &rows, &keys, &places);
        evidence.extend(matching.by_revision(&mut rows, &clock));
        clock = RevisionClock::of(evidence.clone());
        // What is likely is good enough for the order of what has no other, and for nothing else.
        evidence.extend(matching.by_time(&mut rows, &clock));
        rows.extend(matching.rest(&RevisionClock::of(evidence)));
    }
    rows.sort_by_key(|row| row.place());
    (report.times, report.times_ahead) = (clock.told(), clock.ahead());
    report.rows = to_u64(rows.len());
    let exact = || rows.iter().filter(|row| row.is_exact()).map(|row| row.main);
    report.revisions = exact().min().zip(exact().max());
    Ok(Timeline { rows, keys, texts, clock, audit, places, report })
}

/// Takes in one input.
fn read(
    input: &TimelineInput<'_>,
    at: usize,
    gathered: &mut Gathered,
    logs: &mut Logs,
    report: &mut TimelineReport,
    monitor: &dyn Monitor,
) -> Result<()> {
    let store = input.store;
    if input.applied.is_none() {
        trailer(store, monitor)?;
    }
    let until = input.applied.map_or(i64::MAX, |applied| applied.revision_before);
    gathered.stored(store, until, at, monitor)?;
    if input.carved {
        let unreadable = gathered.carved(store, at, monitor)?;
        report.unreadable_pages = report.unreadable_pages.saturating_add(unreadable);
    }
    let Some(log) = input.log else { return Ok(()) };
    let facts = store.facts()?;
    let doubt = facts.auth.enabled || !facts.alarms.is_empty();
    let ends = match input.applied {
        Some(applied) => Some((applied.database_index, applied.revision_before)),
        None => facts.consistent_index.map(|index| (index, store.revision())),
    };
    if let Some((index, revision)) = ends {
        logs.database(index, revision, doubt);
        let last = input.applied.and_then(|applied| applied.last_applied);
        if let Some(compacted) = store.compact_revision() {
            logs.compacted(index.max(last.unwrap_or_default()), compacted);
        }
    }
    match input.applied {
        Some(applied) => logs.applied(&applied.raised, applied.last_applied),
        None => {
            let all = log.log();
            log.read(monitor)?
                .faults
                .iter()
                .for_each(|fault| monitor.finding(log_finding(&all, fault.clone())));
        }
    }
    logs.add(log, at, store.opener(), gathered, monitor)
}

/// Compares the SHA-256 behind a snapshot file's database with its bytes.
fn trailer(store: &Store<'_>, monitor: &dyn Monitor) -> Result<()> {
    let source = store.source();
    let damaged = |corrupt| Error::damaged(source.path(), corrupt);
    let db = datadir::database(source)?;
    if let Trailer::Present { digest: stored, payload } = digest::trailer(&db, monitor).map_err(damaged)? {
        let computed = digest::sha256(source, payload, monitor).map_err(damaged)?;
        if stored != computed {
            let wrong = digest::mismatch(&stored, &computed, payload);
            monitor.finding(Finding::from_corrupt(&source.name(), wrong));
        }
    }
    Ok(())
}

/// The compactions that databases know of and no log does.
fn compactions(gathered: &mut Gathered, inputs: &[TimelineInput<'_>]) {
    for (at, input) in inputs.iter().enumerate() {
        let Some(revision) = input.store.compact_revision() else { continue };
        let detail = gathered.texts.number(log::compacted(revision).as_bytes());
        let from = Sources::of(at, SourceKind::Database);
        let known = gathered.rows.iter_mut().find(|row| row.what == What::Compacted && row.detail == detail);
        if let Some(row) = known {
            row.sources.add(from);
            row.until = row.until.min(input.store.revision());
            continue;
        }
        let mut row = Row::new(What::Compacted, revision, from);
        (row.until, row.made, row.detail) = (input.store.revision(), false, detail);
        gathered.rows.push(row);
    }
}

/// Databases that were made anew: of two, the one that is further counts fewer transactions, which bbolt never lessens.
fn rewritten(gathered: &mut Gathered, inputs: &[TimelineInput<'_>]) -> Result<()> {
    let mut states = Vec::new();
    for (at, input) in inputs.iter().enumerate() {
        let before = input.applied.map_or(input.store.revision(), |applied| applied.revision_before);
        states.push((before, datadir::database(input.store.source())?.meta().txid.0, at));
    }
    states.sort_unstable();
    for ((revision, txid, _), (until, after, at)) in states.iter().zip(states.iter().skip(1)) {
        if after < txid && until > revision {
            let why = format!(
                "transaction {txid} at revision {revision}, {after} at {until}: a defragmentation, a restore, or another member's"
            );
            let mut row = Row::new(What::Rewritten, *revision, Sources::of(*at, SourceKind::Database));
            (row.until, row.made, row.certainty) = (*until, false, Certainty::Inferred);
            row.detail = gathered.texts.number(why.as_bytes());
            gathered.rows.push(row);
        }
    }
    Ok(())
}

impl Timeline<'_> {
    /// Everything, in its order.
    pub fn rows(&self) -> impl Iterator<Item = Happening<'_>> {
        self.rows.iter().map(|row| self.happening(row))
    }

    fn happening(&self, row: &Row) -> Happening<'_> {
        let text = |number| std::str::from_utf8(self.texts.get(number)).unwrap_or_default();
        let audit = row.audit.and_then(|at| self.audit.get(usize::try_from(at).ok()?));
        let exact = row.is_exact();
        let (between, at, known_by) = self.time(row, audit);
        // Times of managed fields are to the second: past that it was somebody who leaves none.
        let second = SignedDuration::from_secs(1);
        let later =
            row.own.zip(between.not_before).is_some_and(|(own, from)| from.duration_since(own) > second);
        let who = if row.repeats && later { 0 } else { row.who };
        Happening {
            revision: exact.then_some((row.main, row.sub)),
            after: (!exact).then_some(row.main),
            until: (!exact && row.until < i64::MAX).then_some(row.until),
            entry: row.entry,
            what: row.what,
            certainty: row.certainty,
            key: Some(self.keys.get(row.key)).filter(|key| !key.is_empty()),
            range: row.range.map(|(first, end)| (self.texts.get(first), self.texts.get(end))),
            version: Some(row.version).filter(|version| *version > 0),
            lease: LeaseId::new(row.lease),
            who: text(who),
            detail: text(row.detail),
            contradicts: row.contradicts,
            between,
            at,
            known_by,
            audit,
            sources: row.sources,
        }
    }

    /// When it was, and by what that is known.
    fn time(&self, row: &Row, audit: Option<&AuditEvent>) -> (Between, Option<Timestamp>, KnownBy) {
        let around = self.clock.between(row.revisions());
        if let Some(event) = audit {
            let between = Between { not_before: Some(event.received), not_after: Some(event.answered) };
            return (between, Some(event.received), KnownBy::Audit);
        }
        // Of another history, which these times are not of.
        if row.contradicts && row.certainty == Certainty::Carved {
            return (Between { not_before: row.own, not_after: None }, None, own(row.own));
        }
        let told = self.clock.before(row.main).filter(|one| one.revision == row.main && row.is_exact());
        if let Some(one) = told.filter(|one| one.fresh && Some(one.time) == row.own) {
            return (around, Some(one.time), KnownBy::Value);
        }
        // What was asked for is not older than what it was to put.
        let not_before = if row.is_exact() { around.not_before } else { around.not_before.max(row.own) };
        let between = Between { not_before, ..around };
        match (around.not_before, around.not_after) {
            (None, None) => (between, None, own(not_before)),
            _ => (between, None, KnownBy::Around),
        }
    }
}

fn own(time: Option<Timestamp>) -> KnownBy {
    if time.is_some() { KnownBy::Value } else { KnownBy::Nothing }
}
