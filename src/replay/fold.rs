//! The entries of a log that a database lacks, applied to it in memory.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use serde::Serialize;

use crate::bolt::Db;
use crate::codec::to_u64;
use crate::etcd::Facts;
use crate::etcd::member::Member;
use crate::etcd::request::{Request, decode};
use crate::etcd::schema::{Minor, storage_version};
use crate::raft::{ConfChange, ConfState, Entry, EntryType, EntryView, HardState};
use crate::replay::Until;
use crate::replay::apply::{self, Done, Interest, Overlay, Replayer, Version};
use crate::replay::time::{Moment, TimeReport, Times, Told, told};
use crate::wal::log::{Body, Cursor, EntryRef, Scan, Summary};
use crate::wal::segment::End;
use crate::wal::{Log, Metadata, Snapshot};
use crate::words::error::{At, Corrupt, Error, Result};
use crate::words::finding::{Code, Finding, Severity};
use crate::words::hint::Hint;
use crate::words::ids::{ClusterId, MemberId, RaftIndex, Term};
use crate::words::monitor::Monitor;
use crate::words::refusal::{Mark, Refusal};

/// Segments are made this long; only a finished one ends with its last record.
const SEGMENT: u64 = crate::wal::writer::SEGMENT_SIZE;

/// How to apply a log.
#[derive(Debug, Clone, Copy, Default)]
pub struct FoldOptions<'o> {
    /// By whose rules; `None` is inferred.
    pub version: Option<Version>,
    /// Also what is not known to be committed.
    pub include_uncommitted: bool,
    /// Go on as far as the log can be read.
    pub allow_damage: bool,
    /// Stop here.
    pub until: Option<Until>,
    /// What is changed about the members in the end.
    pub changes: &'o [ConfChange],
}

/// What was applied.
#[derive(Debug, Clone, Serialize)]
pub struct FoldReport {
    /// By the rules of this version of etcd.
    pub etcd_version: String,
    /// How that is known.
    pub etcd_version_reason: String,
    /// Whose log it is.
    pub member: MemberId,
    /// Its cluster.
    pub cluster: ClusterId,
    /// How many members vote.
    pub voters: usize,
    /// The last entry that is in the database.
    pub database_index: RaftIndex,
    /// The last entry known to be committed.
    pub commit_index: RaftIndex,
    /// The last entry in the log.
    pub last_index: RaftIndex,
    /// The first entry that was applied.
    pub first_applied: Option<RaftIndex>,
    /// The last entry that was applied.
    pub last_applied: Option<RaftIndex>,
    /// Entries that changed something.
    pub applied: u64,
    /// Entries that had nothing to change.
    pub nothing: u64,
    /// Entries that etcd refuses, by why.
    pub rejected: BTreeMap<String, u64>,
    /// Entries among all these that are past the commit index.
    pub beyond_commit: u64,
    /// Entries past the commit index that were left out.
    pub left_out: u64,
    /// The database's revision.
    pub revision_before: i64,
    /// The revision after it.
    pub revision_after: i64,
    /// Where it was stopped for a moment's sake.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<TimeReport>,
    /// The entries that made a revision, in order.
    #[serde(skip)]
    pub raised: Vec<Raised>,
}

/// An entry that made a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raised {
    /// The revision (main).
    pub revision: i64,
    /// The entry.
    pub index: RaftIndex,
    /// Its term.
    pub term: Term,
}

/// What is to be written over the database, and what a person should know.
#[derive(Debug)]
pub struct Fold {
    /// The changes.
    pub overlay: Overlay,
    /// The report.
    pub report: FoldReport,
    /// Where the raft log stands, for whoever writes a new one.
    pub raft: Position,
    /// Findings; those of reading the log are not among them.
    pub findings: Vec<Finding>,
}

/// Where a member stands in the raft log.
#[derive(Debug, Clone)]
pub struct Position {
    /// By the rules of this version.
    pub version: Version,
    /// Whose log it is.
    pub metadata: Metadata,
    /// The last entry in the database.
    pub index: RaftIndex,
    /// Its term.
    pub term: Term,
    /// Term and vote, which a member must remember.
    pub state: HardState,
    /// Who is a member.
    pub members: Vec<Member>,
    /// The version that they agreed on.
    pub cluster_version: Option<String>,
    /// Who votes.
    pub conf_state: ConfState,
    /// The entries after it, which the member has promised to keep: they were left out, and may be committed all the
    /// same.
    pub promised: Vec<Entry>,
}

/// Applies what the log holds beyond the database.
///
/// # Errors
/// [`Error::Damaged`] when entries are missing, damaged, or cannot be applied; [`Error::Refused`] when the version is
/// not known.
pub fn fold(
    db: &Db<'_>,
    log: &Log<'_>,
    place: &Path,
    options: FoldOptions<'_>,
    monitor: &dyn Monitor,
) -> Result<Fold> {
    let damaged = |corrupt: Box<Corrupt>| Error::damaged(db.source().path(), corrupt);
    let in_log = |corrupt: Box<Corrupt>| Error::damaged(place, corrupt);
    let facts = apply::facts(db).map_err(damaged)?;
    let from = facts.consistent_index.map_or(0, RaftIndex::get);
    let log = log.select(from).map_err(in_log)?;
    let tail = Tail::read(&log, from, place, options)?;
    let mut findings: Vec<Finding> = tail.short(&log).into_iter().collect();

    let mut interest = Interest::default();
    let (mut versions, mut times) = (Vec::new(), Times::default());
    let moment = options.until.and_then(Until::time);
    tail.each(&log, &tail.entries, place, |entry| {
        interest.add(entry.bytes());
        versions.extend(version_in(entry));
        if moment.is_some() {
            times.add(entry);
        }
        Ok(true)
    })?;
    interest.close();
    let limit = if options.include_uncommitted { u64::MAX } else { tail.commit };
    let cut = moment.map(|to| times.cut(to, from, limit)).transpose()?;
    let options = FoldOptions {
        until: cut.map(|cut| Until::Index(cut.last.index.into())).or(options.until),
        ..options
    };
    let (version, reason) = match options.version {
        Some(version) => (version, "as asked for".to_owned()),
        None => infer(&facts, &versions, place, &mut findings)?,
    };

    monitor.begin("applying the log", to_u64(tail.entries.len()));
    let mut replayer =
        Replayer::open(db, &interest, version, &crate::words::error::show(place)).map_err(damaged)?;
    let before = replayer.revision();
    let metadata = tail.summary.metadata.unwrap_or_default();
    let mut report = FoldReport {
        etcd_version: version.to_string(),
        etcd_version_reason: reason,
        member: metadata.member(),
        cluster: metadata.cluster(),
        voters: 0,
        database_index: from.into(),
        commit_index: tail.commit.into(),
        last_index: tail.entries.last().map_or(from.into(), |entry| entry.index),
        first_applied: None,
        last_applied: None,
        applied: 0,
        nothing: 0,
        rejected: BTreeMap::new(),
        beyond_commit: 0,
        left_out: 0,
        revision_before: before,
        revision_after: before,
        raised: Vec::new(),
        time: None,
    };
    if let Some(until) = options.until {
        check_start(until, from.into(), before)?;
    }
    let mut promised = Vec::new();
    let (known, beyond) =
        tail.entries.split_at(tail.entries.partition_point(|entry| entry.index.get() <= tail.commit));
    let mut stopped = tail.apply(&log, known, place, options, &mut replayer, &mut report, monitor)?;
    // A single voter commits its whole log as soon as it starts.
    let whole = tail.summary.complete && !tail.summary.discarded;
    let alone = whole && replayer.votes_alone(metadata.member());
    if !stopped && (alone || options.include_uncommitted) {
        let had = report.last_applied;
        stopped = tail.apply(&log, beyond, place, options, &mut replayer, &mut report, monitor)?;
        report.beyond_commit = report
            .last_applied
            .filter(|last| had != Some(*last))
            .map_or(0, |last| last.get().saturating_sub(tail.commit.max(from)));
    } else if !stopped {
        report.left_out = to_u64(beyond.len());
        tail.each(&log, beyond, place, |entry| {
            let data = entry.data.map(<[u8]>::to_vec);
            promised.push(Entry {
                kind: Some(entry.kind),
                term: Some(entry.term.get()),
                index: Some(entry.index.get()),
                data,
            });
            Ok(true)
        })?;
    }
    monitor.end();
    if let Some(until) = options.until.filter(|_| !stopped) {
        check_end(until, &replayer)?;
    }
    if let (Some(to), Some(cut)) = (moment, cut) {
        let last = tail.moment(&log, cut.last, place, Some(replayer.revision()))?;
        let next = cut.next.map(|next| {
            // The engine once more, to tell how far it is to the next one.
            let mut probe =
                Replayer::open(db, &interest, version, &crate::words::error::show(place)).map_err(damaged)?;
            let until = FoldOptions { until: Some(Until::Index(next.index.into())), ..options };
            let applied =
                tail.apply(&log, &tail.entries, place, until, &mut probe, &mut report.clone(), monitor);
            tail.moment(&log, next, place, applied.ok().map(|_| probe.revision()))
        });
        let end = cut.next.map_or(report.last_index.get(), |next| next.index.saturating_sub(1));
        let (between, ahead) = (end.saturating_sub(cut.last.index), cut.ahead.map_or(0, |ahead| ahead.count));
        findings
            .extend(cut.ahead.map(|ahead| ahead.finding(&crate::words::error::show(place), cut.evidence)));
        report.time =
            Some(TimeReport { to, last, next: next.transpose()?, between, evidence: cut.evidence, ahead });
    }
    for change in options.changes {
        if let Done::Rejected(why) = replayer.change_members(change).map_err(in_log)? {
            return Err(Refusal::MemberChange { id: change.member(), why }.into());
        }
    }
    report.voters = replayer.voters();
    if options.changes.is_empty() && replayer.was_removed(metadata.member()) {
        let what = format!(
            "member {}, whose log it is, was removed from the cluster: others have gone on without it",
            metadata.member()
        );
        findings.push(Finding::new(
            Code::MembersDisagree,
            &crate::words::error::show(place),
            At::default(),
            what,
        ));
    }
    if report.beyond_commit.max(report.left_out) > 0 && !alone && !stopped {
        findings.push(uncommitted(&report, place));
    }
    let replayed = replayer.finish();
    report.revision_after = replayed.revision;
    findings.extend(replayed.findings);
    let term =
        if replayed.term > Term::default() { replayed.term } else { tail.term_of(&log, replayed.index) };
    let raft = Position {
        version,
        metadata,
        index: replayed.index,
        term,
        state: tail.summary.hard_state.unwrap_or_default(),
        members: replayed.members,
        cluster_version: replayed.cluster_version,
        conf_state: replayed.conf_state,
        promised,
    };
    Ok(Fold { raft, overlay: replayed.overlay, report, findings })
}

/// Refuses what would be backwards.
fn check_start(until: Until, index: RaftIndex, revision: i64) -> Result<()> {
    let (has, asked) = match until {
        Until::Index(wanted) if index > wanted => (Mark::Index(index), Mark::Index(wanted)),
        Until::Revision(wanted) if revision > wanted => (Mark::Revision(revision), Mark::Revision(wanted)),
        _ => return Ok(()),
    };
    Err(Refusal::AlreadyPast { has, asked }.into())
}

/// Refuses a log that does not come so far.
fn check_end(until: Until, replayer: &Replayer<'_, '_>) -> Result<()> {
    let (ends, asked) = match until {
        Until::Index(wanted) if replayer.index() < wanted => {
            (Mark::Index(replayer.index()), Mark::Index(wanted))
        }
        Until::Revision(wanted) if replayer.revision() < wanted => {
            (Mark::Revision(replayer.revision()), Mark::Revision(wanted))
        }
        _ => return Ok(()),
    };
    Err(Refusal::EndsBefore { ends, asked }.into())
}

fn uncommitted(report: &FoldReport, place: &Path) -> Finding {
    let (count, verb) = if report.left_out > 0 {
        (report.left_out, "left out")
    } else {
        (report.beyond_commit, "taken as committed, as asked for")
    };
    let what = format!(
        "the log goes to index {}, {} is the last known to be committed, and {} members vote: the last {count} entries are {verb}",
        report.last_index, report.commit_index, report.voters
    );
    Finding::new(
        Code::WalUncommitted,
        &crate::words::error::show(place),
        At::default().index(report.commit_index),
        what,
    )
}

/// The part of a log after the database.
struct Tail {
    entries: Vec<EntryRef>,
    summary: Summary,
    commit: u64,
}

impl Tail {
    fn read(log: &Log<'_>, from: u64, place: &Path, options: FoldOptions<'_>) -> Result<Tail> {
        let mut damage: Option<Finding> = None;
        let scan = Scan { after: Some(from), raw: false };
        let (entries, summary) = log.entries(scan, &mut |finding| {
            if finding.severity == Severity::Damage {
                damage.get_or_insert(finding);
            }
        });
        if let Some(finding) = damage.filter(|_| !options.allow_damage) {
            let corrupt = Corrupt { at: finding.at, code: finding.code, detail: finding.detail };
            return Err(Error::damaged(Path::new(&finding.file), Box::new(corrupt)));
        }
        let commit = summary.hard_state.map_or(0, |state| state.commit());
        let first = entries.first().map(|entry| entry.index.get());
        let next = from.saturating_add(1);
        let missing = match first {
            Some(first) => (first != next).then_some(first.saturating_sub(1)),
            None => (commit > from && summary.complete).then_some(commit),
        };
        if let Some(to) = missing {
            let what = format!(
                "the database is at index {from}, and the log does not hold the entries {next} to {to}"
            );
            return Err(Error::damaged(place, Corrupt::new(Code::WalStart, At::default().index(next), what)));
        }
        Ok(Tail { entries, summary, commit })
    }

    /// The end of a log that may have been cut off between two records.
    fn short(&self, log: &Log<'_>) -> Option<Finding> {
        let last = log.segments().last()?;
        let clean = matches!(self.summary.end(), Some(End::CleanEof));
        (clean && last.source.len() < SEGMENT).then(|| {
            let what = format!(
                "the segment ends with its last record at {} bytes; etcd makes segments of {SEGMENT}",
                last.source.len()
            );
            Finding::new(Code::WalShort, &last.source.name(), At::offset(last.source.len()), what)
        })
    }

    /// The term of an entry, 0 when it is not there.
    fn term_of(&self, log: &Log<'_>, index: RaftIndex) -> Term {
        let recorded = self.summary.snapshots.iter().find(|s| s.last_index() == index);
        let mut term = recorded.map(Snapshot::last_term).unwrap_or_default();
        log.scan(Scan::default(), &mut |_| {}, &mut |visit| {
            if let Body::Entry { entry, .. } = visit.body
                && entry.index == index
            {
                term = entry.term;
            }
            ControlFlow::Continue(())
        });
        term
    }

    /// Reads entries again, in order; `each` tells whether to go on.
    fn each(
        &self,
        log: &Log<'_>,
        entries: &[EntryRef],
        place: &Path,
        mut each: impl FnMut(&EntryView<'_>) -> Result<bool>,
    ) -> Result<bool> {
        let mut cursor = Cursor::default();
        for entry in entries {
            let view = log.read(entry, &mut cursor).map_err(|corrupt| Error::damaged(place, corrupt))?;
            if !each(&view)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What an entry tells of the time.
    fn moment(&self, log: &Log<'_>, at: Told, place: &Path, revision: Option<i64>) -> Result<Moment> {
        let mut key = String::new();
        let from = self.entries.partition_point(|entry| entry.index.get() < at.index);
        self.each(log, self.entries.get(from..).unwrap_or_default(), place, |entry| {
            key = told(entry).map_or_else(String::new, |(_, key)| crate::words::error::show_bytes(&key));
            Ok(false)
        })?;
        Ok(Moment { time: at.time, index: at.index.into(), revision, key })
    }

    /// Applies entries; whether it stopped because that was asked for.
    #[allow(
        clippy::too_many_arguments,
        reason = "they are one state, taken apart by the borrow of the database"
    )]
    fn apply(
        &self,
        log: &Log<'_>,
        entries: &[EntryRef],
        place: &Path,
        options: FoldOptions<'_>,
        replayer: &mut Replayer<'_, '_>,
        report: &mut FoldReport,
        monitor: &dyn Monitor,
    ) -> Result<bool> {
        let went_on = self.each(log, entries, place, |entry| {
            if monitor.cancelled() {
                return Err(Error::Cancelled);
            }
            let there = match options.until {
                Some(Until::Index(until)) => entry.index > until,
                Some(Until::Revision(until)) => replayer.revision() >= until,
                // A time was made an index.
                Some(Until::Time(_)) | None => false,
            };
            if there {
                return Ok(false);
            }
            let before = replayer.revision();
            let done = replayer.apply(entry).map_err(|corrupt| Error::damaged(place, corrupt))?;
            match done {
                Done::Applied => report.applied = report.applied.saturating_add(1),
                Done::Nothing => report.nothing = report.nothing.saturating_add(1),
                Done::Rejected(why) => {
                    let count = report.rejected.entry(why.to_owned()).or_default();
                    *count = count.saturating_add(1);
                }
            }
            if replayer.revision() > before {
                report.raised.push(Raised {
                    revision: replayer.revision(),
                    index: entry.index,
                    term: entry.term,
                });
            }
            report.first_applied.get_or_insert(entry.index);
            report.last_applied = Some(entry.index);
            monitor.advance(1);
            Ok(true)
        })?;
        Ok(!went_on)
    }
}

/// A cluster version that an entry sets.
fn version_in(entry: &EntryView<'_>) -> Option<Minor> {
    if entry.entry_type() != Some(EntryType::Normal) {
        return None;
    }
    match decode(entry.bytes()) {
        Request::V3(request) => Minor::of(&request.cluster_version_set?.ver),
        Request::V2(request) if request.path == "/0/version" => Minor::of(&request.val),
        _ => None,
    }
}

/// The version that wrote the files, as far as they tell: the newest that the database or the log names.
fn infer(
    facts: &Facts,
    in_log: &[Minor],
    place: &Path,
    findings: &mut Vec<Finding>,
) -> Result<(Version, String)> {
    let storage = storage_version(facts);
    let schema = storage.version.as_deref().and_then(Minor::of);
    let cluster = facts.cluster_version.as_deref().and_then(Minor::of);
    let logged = in_log.iter().copied().max();
    let named = [
        (schema, storage.reason),
        (cluster, "cluster/clusterVersion names it"),
        (logged, "an entry of the log sets the cluster to it"),
    ];
    // Of equal ones the first.
    let newest = named.iter().rev().max_by_key(|(minor, _)| *minor);
    let Some((Some(minor), reason)) = newest else {
        return Err(Refusal::RulesUnknown { stated: storage.version }.into());
    };
    if cluster.is_none() && logged.is_none() && !storage.stated {
        let what = format!("the cluster had not agreed on a version yet; it is taken for {}", minor.name());
        let file = crate::words::error::show(place);
        let finding = Finding::new(Code::ReplayVersion, &file, At::default(), what);
        findings.push(finding.hint(Hint::EtcdVersionIfNewer));
    }
    Ok((Version { minor: *minor, patch: None }, (*reason).to_owned()))
}
