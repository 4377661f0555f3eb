//! The entries of a log that a database lacks, applied to it in memory.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use serde::Serialize;

use super::apply::{self, Done, Interest, Overlay, Replayed, Replayer, Version};
use super::believed::Believed;
use super::member_log::MemberLog;
use super::options::{FoldOptions, Uncommitted};
use super::rising::Timed;
use super::tail::Tail;
use super::time::{CutPoint, EntryTimes, Moment, TimeReport, time_of};
use super::until::Until;
use super::version::{infer, version_in};
use crate::bolt::Db;
use crate::codec::to_u64;
use crate::etcd::member::Member;
use crate::etcd::schema::Minor;
use crate::raft::{ConfState, Entry, EntryView, HardState};
use crate::wal::{EntryRef, Metadata};
use crate::words::error::{At, Error, Result, show, show_bytes};
use crate::words::finding::{Code, Finding};
use crate::words::ids::{ClusterId, MemberId, RaftIndex, Term};
use crate::words::monitor::Monitor;
use crate::words::refusal::{Mark, Refusal};
use crate::words::text::Told;

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
    pub raft: RaftPosition,
    /// Findings; those of reading the log are not among them.
    pub findings: Vec<Finding>,
}

/// Where a member stands in the raft log.
#[derive(Debug, Clone)]
pub struct RaftPosition {
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
    /// Who was one, and may not come back.
    pub removed: Vec<MemberId>,
    /// The version that they agreed on.
    pub cluster_version: Option<Told>,
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
pub fn fold(db: &Db<'_>, log: &MemberLog, options: FoldOptions<'_>, monitor: &dyn Monitor) -> Result<Fold> {
    let facts = apply::facts(db).map_err(|corrupt| Error::damaged(db.source().path(), corrupt))?;
    let from = facts.consistent_index.unwrap_or_default();
    let tail = Tail::after(from, log, options.damage, monitor)?;
    let mut findings: Vec<Finding> = tail.short().into_iter().collect();
    let named = Named::of(&tail, options)?;
    let (version, reason) = match options.version {
        Some(version) => (version, "as asked for".to_owned()),
        None => infer(&facts, log.read(monitor)?, &named.versions, tail.place, &mut findings)?,
    };
    let believed = Believed::of(&facts, log, log.read(monitor)?, &tail.summary, version);
    let moment = options.until.and_then(Until::time);
    let limit = match options.uncommitted {
        Uncommitted::Include => u64::MAX,
        Uncommitted::Leave => believed.committed(&tail.summary).get(),
    };
    let cut = moment.map(|to| named.times.cut(to, from.get(), limit)).transpose()?;
    let until = cut.as_ref().map(|cut| Until::Index(cut.last.at.into())).or(options.until);

    monitor.begin("applying the log", to_u64(tail.entries.len()));
    let options = FoldOptions { version: Some(version), until, ..options };
    let known = Known { named: &named, version, believed: &believed };
    let mut folding = Folding::open(db, &tail, known, options, monitor)?;
    folding.report.etcd_version_reason = reason;
    if let Some(until) = until {
        refuse_going_back(until, from, folding.replayer.revision())?;
    }
    folding.apply_all()?;
    monitor.end();
    if let Some(until) = until.filter(|_| !folding.stopped) {
        refuse_short_log(until, &folding.replayer)?;
    }
    if let (Some(to), Some(cut)) = (moment, cut) {
        folding.report.time = Some(folding.time(to, &cut)?);
        findings.extend(cut.ahead.map(|ahead| ahead.finding(&show(tail.place), cut.evidence)));
    }
    folding.change_members()?;
    findings.extend(folding.removed());
    findings.extend(folding.uncommitted());
    Ok(folding.finish(findings))
}

/// What the entries name, for which they are gone through before they are applied.
#[derive(Default)]
struct Named {
    interest: Interest,
    versions: Vec<Minor>,
    times: EntryTimes,
}

impl Named {
    fn of(tail: &Tail<'_>, options: FoldOptions<'_>) -> Result<Named> {
        let mut named = Named::default();
        let timed = options.until.and_then(Until::time).is_some();
        tail.each(&tail.entries, |entry| {
            named.interest.add(entry.bytes());
            named.versions.extend(version_in(entry));
            if timed {
                named.times.add(entry, options.clock);
            }
        })?;
        named.interest.close();
        Ok(named)
    }
}

/// What is known before anything is applied.
#[derive(Clone, Copy)]
struct Known<'f> {
    named: &'f Named,
    version: Version,
    believed: &'f Believed,
}

/// A log that is being applied to a database.
struct Folding<'f, 'd, 's> {
    db: &'d Db<'s>,
    tail: &'f Tail<'f>,
    known: Known<'f>,
    options: FoldOptions<'f>,
    monitor: &'f dyn Monitor,
    replayer: Replayer<'d, 's>,
    report: FoldReport,
    /// Whether it ended before the log, as that was asked for.
    stopped: bool,
    /// Entries that were left out.
    promised: Vec<Entry>,
}

impl<'f, 'd, 's> Folding<'f, 'd, 's> {
    fn open(
        db: &'d Db<'s>,
        tail: &'f Tail<'f>,
        known: Known<'f>,
        options: FoldOptions<'f>,
        monitor: &'f dyn Monitor,
    ) -> Result<Folding<'f, 'd, 's>> {
        let mut replayer = Replayer::open(db, &known.named.interest, known.version, &show(tail.place))
            .map_err(|corrupt| Error::damaged(db.source().path(), corrupt))?;
        replayer.believe(known.believed.cluster.clone());
        let report = FoldReport::before(&replayer, known.version, tail);
        let (stopped, promised) = (false, Vec::new());
        Ok(Folding { db, tail, known, options, monitor, replayer, report, stopped, promised })
    }

    /// Whose log it is.
    fn metadata(&self) -> Metadata {
        self.tail.summary.metadata.unwrap_or_default()
    }

    /// Applies what is known to be committed, and what is past it where that counts.
    fn apply_all(&mut self) -> Result<()> {
        let (known, beyond) = self.tail.by_commit();
        self.stopped = self.apply(known)?.is_break();
        if self.stopped {
            return Ok(());
        }
        if !self.known.believed.alone && self.options.uncommitted == Uncommitted::Leave {
            self.report.left_out = to_u64(beyond.len());
            self.promised = self.tail.copies(beyond)?;
            return Ok(());
        }
        let had = self.report.last_applied;
        self.stopped = self.apply(beyond)?.is_break();
        let from = self.report.commit_index.max(self.report.database_index);
        let last = self.report.last_applied.filter(|last| had != Some(*last));
        self.report.beyond_commit = last.and_then(|last| last.since(from)).unwrap_or(0);
        Ok(())
    }

    /// Applies entries up to where it is to stop.
    fn apply(&mut self, entries: &[EntryRef]) -> Result<ControlFlow<()>> {
        let tail = self.tail;
        tail.each_until(entries, |entry| {
            if self.monitor.cancelled() {
                return Err(Error::Cancelled);
            }
            let there = match self.options.until {
                Some(Until::Index(until)) => entry.index > until,
                Some(Until::Revision(until)) => self.replayer.revision() >= until,
                // A time was made an index.
                Some(Until::Time(_)) | None => false,
            };
            if there {
                return Ok(ControlFlow::Break(()));
            }
            let before = self.replayer.revision();
            let done = self.replayer.apply(entry).map_err(|corrupt| Error::damaged(tail.place, corrupt))?;
            self.report.count(entry, done, before, self.replayer.revision());
            self.monitor.advance(1);
            Ok(ControlFlow::Continue(()))
        })
    }

    /// Where the log was cut for a moment's sake.
    fn time(&self, to: jiff::Timestamp, cut: &CutPoint) -> Result<TimeReport> {
        let last = self.moment(cut.last, Some(self.replayer.revision()))?;
        let next = cut.next.map(|next| {
            let revision = self.revision_after(next.at.into());
            self.moment(next, revision)
        });
        let end = cut.next.map_or(self.report.last_index.get(), |next| next.at.saturating_sub(1));
        Ok(TimeReport {
            to,
            last,
            next: next.transpose()?,
            between: end.saturating_sub(cut.last.at),
            evidence: cut.evidence,
            ahead: cut.ahead.map_or(0, |ahead| ahead.count),
        })
    }

    /// The revision after an entry further on, by applying all once more; `None` if it cannot be applied.
    fn revision_after(&self, index: RaftIndex) -> Option<i64> {
        let options = FoldOptions { until: Some(Until::Index(index)), ..self.options };
        let mut probe = Folding::open(self.db, self.tail, self.known, options, self.monitor).ok()?;
        probe.apply(&self.tail.entries).ok().map(|_| probe.replayer.revision())
    }

    /// What an entry tells of the time.
    fn moment(&self, at: Timed, revision: Option<i64>) -> Result<Moment> {
        let mut key = String::new();
        let entries = &self.tail.entries;
        let one = entries.get(entries.partition_point(|entry| entry.index.get() < at.at));
        self.tail.each(one.map(std::slice::from_ref).unwrap_or_default(), |entry| {
            key = time_of(entry, self.options.clock).map_or_else(String::new, |(_, key)| show_bytes(&key));
        })?;
        Ok(Moment { time: at.time, index: at.at.into(), revision, key })
    }

    /// Makes the changes of members that were asked for.
    fn change_members(&mut self) -> Result<()> {
        for change in self.options.changes {
            let done = self.replayer.change_members(change);
            if let Done::Rejected(why) = done.map_err(|corrupt| Error::damaged(self.tail.place, corrupt))? {
                let id = change.member();
                return Err(if why == super::membership::NO_VOTER_LEFT {
                    Refusal::LastVoter { id, why }.into()
                } else {
                    Refusal::MemberChange { id, why }.into()
                });
            }
        }
        self.report.voters = self.replayer.voters();
        Ok(())
    }

    /// The log of a member that is none any more.
    fn removed(&self) -> Option<Finding> {
        let node = self.metadata().member();
        (self.options.changes.is_empty() && self.replayer.was_removed(node)).then(|| {
            let what = format!(
                "member {node}, whose log it is, was removed from the cluster: others have gone on without it"
            );
            Finding::new(Code::MembersDisagree, &show(self.tail.place), At::default(), what)
        })
    }

    /// Entries past the commit index, whatever became of them.
    fn uncommitted(&self) -> Option<Finding> {
        let report = &self.report;
        let some = report.beyond_commit.max(report.left_out) > 0;
        (some && !self.known.believed.alone && !self.stopped).then(|| uncommitted(report, self.tail.place))
    }

    fn finish(self, mut findings: Vec<Finding>) -> Fold {
        let metadata = self.metadata();
        let Folding { tail, known, replayer, mut report, promised, .. } = self;
        let replayed = replayer.finish();
        let Replayed { overlay, index, term, members, removed, cluster_version, conf_state, .. } = replayed;
        report.revision_after = replayed.revision;
        findings.extend(replayed.findings);
        let raft = RaftPosition {
            version: known.version,
            metadata,
            index,
            term: if term > Term::default() { term } else { tail.term_of(index) },
            state: tail.summary.hard_state.unwrap_or_default(),
            members,
            removed,
            cluster_version,
            conf_state,
            promised,
        };
        Fold { raft, overlay, report, findings }
    }
}

impl FoldReport {
    /// Before anything is applied.
    fn before(replayer: &Replayer<'_, '_>, version: Version, tail: &Tail<'_>) -> FoldReport {
        let metadata = tail.summary.metadata.unwrap_or_default();
        let (from, revision) = (replayer.index(), replayer.revision());
        FoldReport {
            etcd_version: version.to_string(),
            etcd_version_reason: String::new(),
            member: metadata.member(),
            cluster: metadata.cluster(),
            voters: 0,
            database_index: from,
            commit_index: tail.summary.commit().into(),
            last_index: tail.entries.last().map_or(from, |entry| entry.index),
            first_applied: None,
            last_applied: None,
            applied: 0,
            nothing: 0,
            rejected: BTreeMap::new(),
            beyond_commit: 0,
            left_out: 0,
            revision_before: revision,
            revision_after: revision,
            time: None,
            raised: Vec::new(),
        }
    }

    /// Counts an entry that was applied.
    fn count(&mut self, entry: &EntryView<'_>, done: Done, before: i64, revision: i64) {
        let count = match done {
            Done::Applied => &mut self.applied,
            Done::Nothing => &mut self.nothing,
            Done::Rejected(why) => self.rejected.entry(why.to_owned()).or_default(),
        };
        *count = count.saturating_add(1);
        if revision > before {
            self.raised.push(Raised { revision, index: entry.index, term: entry.term });
        }
        self.first_applied.get_or_insert(entry.index);
        self.last_applied = Some(entry.index);
    }
}

/// Refuses what would be backwards.
fn refuse_going_back(until: Until, index: RaftIndex, revision: i64) -> Result<()> {
    let (has, asked) = match until {
        Until::Index(wanted) if index > wanted => (Mark::Index(index), Mark::Index(wanted)),
        Until::Revision(wanted) if revision > wanted => (Mark::Revision(revision), Mark::Revision(wanted)),
        _ => return Ok(()),
    };
    Err(Refusal::AlreadyPast { has, asked }.into())
}

/// Refuses a log that does not come so far.
fn refuse_short_log(until: Until, replayer: &Replayer<'_, '_>) -> Result<()> {
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
    Finding::new(Code::WalUncommitted, &show(place), At::default().index(report.commit_index), what)
}
