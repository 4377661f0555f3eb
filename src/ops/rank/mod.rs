//! `rank`: which member of a dead cluster to recover from.
//!
//! Of members that are whole, the one that raft would elect: whose last entry has the highest term, then the highest
//! index (`raft.go isUpToDate`). It alone is sure to have every entry that was acknowledged, as far as the members
//! that were given are a majority.

mod log;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;

use self::log::{Evidence, LogAndCommit, RaftLog, ask_others};
use crate::etcd::{DataDir, Input};
use crate::io::parallel::{join, threads};
use crate::ops::fold::FoldInMemoryOptions;
use crate::ops::fold::member_state::MemberState;
use crate::replay::MemberLog;
use crate::replay::apply::Version;
use crate::store::compare::{CompareReport, compare};
use crate::store::{Store, StoreOptions};
use crate::words::error::{At, Error, Result, Told, show};
use crate::words::finding::{Code, Finding, Severity};
use crate::words::hint::Note;
use crate::words::ids::{ClusterId, MemberId, RaftIndex, Term};
use crate::words::monitor::{Collect, Monitor, Relay};

/// How to rank.
#[derive(Debug, Clone, Copy, Default)]
pub struct RankOptions {
    /// By whose rules logs are applied; `None` is inferred.
    pub version: Option<Version>,
}

/// How well a member's files are. The order is the order of badness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// Nothing is wrong.
    Good,
    /// etcd would cope, a person should look.
    Warned,
    /// Something is lost or wrong.
    Damaged,
    /// There is nothing to read, or it is in use.
    Unreadable,
}

/// One member.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Candidate {
    /// Its directory, as named.
    pub directory: String,
    /// Whose log it is.
    pub member: Option<MemberId>,
    /// Its cluster.
    pub cluster: Option<ClusterId>,
    /// Its name, if the members' list has it.
    pub name: Option<Told>,
    /// Whether a log of it was read: without one, what follows is of its database, or nothing.
    pub has_log: bool,
    /// The newest term it knows.
    pub term: Term,
    /// For whom it voted in that term; 0 for nobody.
    pub vote: MemberId,
    /// The last entry it wrote down as committed.
    pub commit_index: RaftIndex,
    /// The last entry in its log.
    pub last_index: RaftIndex,
    /// That entry's term.
    pub last_term: Term,
    /// The last entry in its database.
    pub database_index: Option<RaftIndex>,
    /// The revision once its log is applied as far as it is known to be committed.
    pub revision: Option<i64>,
    /// The revision if all of its log counted.
    pub revision_with_all: Option<i64>,
    /// Entries in its log past those.
    pub uncommitted: u64,
    /// Who votes, by its database and log.
    pub voters: Vec<MemberId>,
    /// How well it is.
    pub health: Health,
    /// Why it cannot be read.
    pub error: Option<Note>,
    /// What was found in its files.
    pub findings: Vec<Finding>,
}

/// What became of the best member's entries past those that it knows to be committed itself, as far as the other
/// members tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Uncommitted {
    /// The first of them.
    pub first: RaftIndex,
    /// The last of them.
    pub last: RaftIndex,
    /// Up to this index another member knows them to be committed.
    pub committed_to: Option<RaftIndex>,
    /// Up to this index a majority of the voters have them: nothing else was committed in their place.
    pub majority_to: Option<RaftIndex>,
    /// How many voters have the last of those.
    pub holders: usize,
    /// From this index on another member knows other entries to be committed.
    pub replaced_from: Option<RaftIndex>,
    /// How many vote.
    pub voters: usize,
    /// How many of the voters' logs were not among those given, or cannot be read whole.
    pub absent: usize,
    /// Whether the rest may have been acknowledged: a majority may have it, counting those that are absent.
    pub rest_possible: bool,
}

/// How to make a backup of the best member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Advice {
    /// `copy` as it is.
    Copy,
    /// `copy --include-uncommitted`.
    CopyAll,
    /// `replay --to-index --include-uncommitted`: what follows was replaced.
    #[serde(rename = "replay_to")]
    ReplayTo(RaftIndex),
}

/// The members, best first.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct RankReport {
    /// All of them.
    pub members: Vec<Candidate>,
    /// Whether the first is the one to take.
    pub clear: bool,
    /// Why, in a sentence.
    pub reason: String,
    /// What of its log may not have been committed.
    pub uncommitted: Option<Uncommitted>,
    /// What to do with it.
    pub advice: Option<Advice>,
    /// The database of each other member that is whole with that of the first.
    #[serde(skip)]
    pub comparisons: Vec<CompareReport>,
    /// What they disagree on.
    pub findings: Vec<Finding>,
}

impl RankReport {
    /// Whether no member is damaged or missing, and none disagrees with another.
    #[must_use]
    pub fn agree(&self) -> bool {
        self.findings.is_empty() && self.members.iter().all(|member| member.health < Health::Damaged)
    }
}

/// A member and what is kept of it while all are read.
struct Member {
    candidate: Candidate,
    log: RaftLog,
    state: Option<MemberState>,
}

impl Member {
    fn read(input: &Input, options: RankOptions, monitor: &dyn Monitor) -> Result<Member> {
        let path = input.path();
        let options = FoldInMemoryOptions { version: options.version, ..FoldInMemoryOptions::default() };
        let (state, error) = match MemberState::read(input, options, monitor) {
            Ok(state) => (Some(state), None),
            Err(Error::Cancelled) => return Err(Error::Cancelled),
            Err(Error::Unreadable { path: file, cause }) if file == path => {
                (None, Some(Note { text: cause.to_string(), hint: cause.hint() }))
            }
            Err(error) => (None, Some(Note { text: error.to_string(), hint: error.hint() })),
        };
        let log = match &state {
            Some(state) => RaftLog::of(state.log(monitor)?),
            // A log tells who has which entries even if the database is gone.
            None => read_log(input, monitor).unwrap_or_default(),
        };
        let findings = state.as_ref().map_or_else(Vec::new, |state| state.findings.clone());
        let health = match findings.iter().map(|finding| finding.severity).max() {
            _ if state.is_none() => Health::Unreadable,
            Some(Severity::Damage) => Health::Damaged,
            Some(Severity::Warning) => Health::Warned,
            Some(Severity::Note) | None => Health::Good,
        };
        let (last_term, last_index) = log.last();
        let database_index = state.as_ref().and_then(|state| state.database_index);
        let mut candidate = Candidate {
            directory: show(path),
            member: log.metadata.node_id.map(MemberId::new),
            cluster: log.metadata.cluster_id.map(ClusterId::new),
            name: None,
            has_log: log.is_there,
            term: log.state.newest_term(),
            vote: log.state.voted_for(),
            commit_index: log.state.committed(),
            // Without a log there is the database.
            last_index: RaftIndex::new(last_index).max(database_index.unwrap_or_default()),
            last_term: last_term.into(),
            database_index,
            revision: None,
            revision_with_all: state.as_ref().and_then(|state| state.revision_with_all),
            uncommitted: 0,
            voters: Vec::new(),
            health,
            error,
            findings,
        };
        if let Some((report, raft)) = state.as_ref().and_then(|state| state.fold.as_ref()) {
            let own = raft.members.iter().find(|member| Some(member.id) == candidate.member);
            candidate.name = own.map(|member| member.name.clone()).filter(|name| !name.is_empty());
            (candidate.revision, candidate.uncommitted) = (Some(report.revision_after), report.left_out);
            candidate.voters = raft.conf_state.voters.iter().copied().map(MemberId::new).collect();
        }
        Ok(Member { candidate, log, state })
    }

    /// Greater is better. Of those that are not whole, damaged before unreadable.
    fn worth(&self) -> (bool, bool, Term, RaftIndex, Option<i64>) {
        let Candidate { health, last_term, last_index, revision_with_all, .. } = self.candidate;
        (self.is_whole(), health < Health::Unreadable, last_term, last_index, revision_with_all)
    }

    /// Without its log a member is not: what its database lacks nobody can tell.
    fn is_whole(&self) -> bool {
        self.candidate.health < Health::Damaged && self.candidate.member.is_some()
    }

    /// The last entry known to be committed: what is in the database was.
    fn known(&self) -> RaftIndex {
        self.candidate.commit_index.max(self.candidate.database_index.unwrap_or_default())
    }

    fn log_and_commit(&self) -> LogAndCommit<'_> {
        LogAndCommit { log: &self.log, committed: self.known().get() }
    }
}

/// Reads the log of a directory whose database cannot be read.
fn read_log(input: &Input, monitor: &dyn Monitor) -> Result<RaftLog> {
    let log = MemberLog::open(&input.directory()?)?;
    Ok(RaftLog::of(log.read(monitor)?))
}

/// Ranks members by their directories. Nothing is written.
///
/// # Errors
/// [`Error::Cancelled`]. What is wrong with a directory is in the report.
pub fn rank<I: Into<Input>>(
    directories: impl IntoIterator<Item = I>,
    options: &RankOptions,
    monitor: &dyn Monitor,
) -> Result<RankReport> {
    let inputs: Vec<Input> = directories.into_iter().map(Into::into).collect();
    monitor.begin("reading the members", inputs.iter().map(|input| bytes(input.path())).sum());
    let mut members = Vec::new();
    for some in inputs.chunks(threads()) {
        for (member, findings) in read_each(some, *options, monitor) {
            // In the order they were named, whoever is done first.
            findings.into_findings().into_iter().for_each(|finding| monitor.finding(finding));
            members.push(member?);
        }
    }
    monitor.end();
    ranked(members, monitor)
}

/// Reads members, each on a thread of its own.
fn read_each(
    inputs: &[Input],
    options: RankOptions,
    monitor: &dyn Monitor,
) -> Vec<(Result<Member>, Collect)> {
    match inputs {
        [] => Vec::new(),
        [input] => {
            let found = Collect::default();
            let hear = |finding| found.finding(finding);
            let member = Member::read(input, options, &Relay::new(monitor).as_part().findings_to(&hear));
            vec![(member, found)]
        }
        more => {
            let (here, beside) = more.split_at(more.len().div_ceil(2));
            let (beside, mut all) =
                join(|| read_each(beside, options, monitor), || read_each(here, options, monitor));
            all.extend(beside);
            all
        }
    }
}

/// Bytes that reading a member takes, as far as they can be told beforehand.
fn bytes(path: &Path) -> u64 {
    let len = |file: &PathBuf| file.metadata().map_or(0, |metadata| metadata.len());
    match DataDir::list(path, None) {
        Ok(dir) => dir.db.iter().chain(&dir.wals).map(len).sum(),
        Err(_) => len(&path.to_path_buf()),
    }
}

fn ranked(mut members: Vec<Member>, monitor: &dyn Monitor) -> Result<RankReport> {
    // Of equal ones the one that was named first.
    members.sort_by_key(|member| std::cmp::Reverse(member.worth()));
    let mut findings = clusters(&members);
    let strangers = !findings.is_empty();
    findings.extend(conflicts(&members));
    let comparisons = if strangers { Vec::new() } else { keyspaces(&members, monitor)? };
    findings.extend(comparisons.iter().flat_map(divergences));
    findings.iter().for_each(|finding| monitor.finding(finding.clone()));
    let best = members.first().filter(|best| best.is_whole() && !strangers);
    let uncommitted = best.and_then(|best| uncommitted(best, &members));
    let advice = best.map(|_| advice(uncommitted.as_ref()));
    let (clear, reason) = (best.is_some(), reason(&members, strangers));
    let members = members.into_iter().map(|member| member.candidate).collect();
    Ok(RankReport { members, clear, reason, uncommitted, advice, comparisons, findings })
}

/// Members of different clusters.
fn clusters(members: &[Member]) -> Vec<Finding> {
    let known = |member: &Member| member.candidate.cluster.map(|id| (id, member.candidate.directory.clone()));
    let mut ids = members.iter().filter_map(known);
    let Some((first, directory)) = ids.next() else { return Vec::new() };
    let other = |(id, other): (ClusterId, String)| {
        let what = format!("its log is of cluster {id:#}, that of {directory} is of {first:#}");
        Finding::new(Code::ClusterDiffers, &other, At::default(), what)
    };
    ids.filter(|(id, _)| *id != first).map(other).collect()
}

/// Pairs whose logs cannot be of one history.
fn conflicts(members: &[Member]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, one) in members.iter().enumerate() {
        let others = members.iter().skip(at.saturating_add(1));
        for other in others.filter(|other| other.candidate.cluster == one.candidate.cluster) {
            if let Some((index, ours, theirs)) =
                one.log.conflict(&other.log, one.known().min(other.known()).get())
            {
                let (directory, other) = (&one.candidate.directory, &other.candidate.directory);
                let what = format!(
                    "the entry is of term {theirs}, in {directory} of term {ours}, and both members know theirs to be committed"
                );
                findings.push(Finding::new(Code::LogConflict, other, At::default().index(index), what));
            }
        }
    }
    findings
}

/// Compares the databases of those that are whole, each with that of the best: at the greatest revision that both have.
fn keyspaces(members: &[Member], monitor: &dyn Monitor) -> Result<Vec<CompareReport>> {
    let whole = members.iter().filter(|member| member.is_whole()).filter_map(|member| member.state.as_ref());
    let whole: Vec<&MemberState> = whole.collect();
    let Some((best, others)) = whole.split_first() else { return Ok(Vec::new()) };
    let open = |other: &&MemberState| -> Result<_> {
        let stores =
            [best, other].map(|member| Store::open(member.database(), &StoreOptions::default(), monitor));
        compare(&stores.into_iter().collect::<Result<Vec<_>>>()?)
    };
    others.iter().map(open).collect()
}

fn divergences(report: &CompareReport) -> Vec<Finding> {
    let first = report.members.first().map_or("", |member| member.file.as_str());
    let one = |divergence: &crate::store::compare::Divergence| {
        let file = report.members.get(divergence.member).map_or("", |member| member.file.as_str());
        let differing = divergence.differing;
        let what = match divergence.first_revision {
            Some(revision) => format!(
                "{differing} keys differ from {first} at revision {}, the first at {revision}",
                report.revision
            ),
            None => format!(
                "{differing} keys differ from {first} at revision {}, since before the compaction",
                report.revision
            ),
        };
        let at = divergence
            .first_keys
            .first()
            .or(divergence.keys.first())
            .map_or_else(At::default, |key| At::default().key(key));
        Finding::new(Code::KeyspaceDiffers, file, at, what)
    };
    report.divergences.iter().map(one).collect()
}

/// What the others say of the best member's last entries.
fn uncommitted(best: &Member, members: &[Member]) -> Option<Uncommitted> {
    if best.candidate.uncommitted == 0 {
        return None;
    }
    let voters: BTreeSet<MemberId> = best.candidate.voters.iter().copied().collect();
    let others: Vec<&Member> = members.iter().skip(1).filter(|other| other.log.whole).collect();
    let logs: Vec<LogAndCommit<'_>> = others.iter().map(|other| other.log_and_commit()).collect();
    let evidence = ask_others(&best.log_and_commit(), &logs, &voters);
    let asked =
        std::iter::once(best).chain(others.iter().copied()).filter_map(|member| member.candidate.member);
    let asked: BTreeSet<MemberId> = asked.filter(|id| voters.contains(id)).collect();
    let absent = voters.len().saturating_sub(asked.len());
    let (first, last) = (best.known().next(), best.candidate.last_index);
    // Those that have the first entry that is not certain, and those that may have it.
    let open = evidence.certain().map_or(first, |certain| RaftIndex::new(certain).next());
    let term = best.log.term_at(open.get());
    let have = others
        .iter()
        .filter(|other| other.log.term_at(open.get()) == term)
        .chain([&best])
        .filter_map(|member| member.candidate.member);
    let have: BTreeSet<MemberId> = have.filter(|id| voters.contains(id)).collect();
    let majority = voters.len().checked_div(2).unwrap_or(0);
    let rest_possible =
        open <= last && evidence.replaced.is_none() && have.len().saturating_add(absent) > majority;
    let Evidence { known, majority: majority_to, holders, replaced } = evidence;
    Some(Uncommitted {
        first,
        last,
        committed_to: known.map(RaftIndex::new),
        majority_to: majority_to.map(RaftIndex::new),
        holders,
        replaced_from: replaced.map(RaftIndex::new),
        voters: voters.len(),
        absent,
        rest_possible,
    })
}

fn advice(uncommitted: Option<&Uncommitted>) -> Advice {
    let Some(entries) = uncommitted else { return Advice::Copy };
    match (entries.committed_to.max(entries.majority_to), entries.replaced_from) {
        (Some(certain), Some(_)) => Advice::ReplayTo(certain),
        (None, Some(_)) => Advice::Copy,
        (Some(_), None) => Advice::CopyAll,
        (None, None) if entries.rest_possible => Advice::CopyAll,
        (None, None) => Advice::Copy,
    }
}

/// Why one is before the next.
fn against(best: &Candidate, next: &Candidate) -> String {
    let other = &next.directory;
    let (last, index) = (best.last_index, next.last_index);
    let revision = |candidate: &Candidate| candidate.revision_with_all.unwrap_or(0);
    let logs = best.has_log && next.has_log;
    let term = best.last_term;
    if term > next.last_term && next.has_log {
        format!("its last entry is of term {term}, that of {other} of term {}", next.last_term)
    } else if term > next.last_term {
        format!("it has a log, to entry {last} of term {term}, and {other} has none")
    } else if last > index && logs {
        format!("its log goes to entry {last}, that of {other} to {index}, both of term {}", best.last_term)
    } else if last > index {
        format!("without a log its database goes to entry {last}, that of {other} to {index}")
    } else if best.revision_with_all > next.revision_with_all {
        let ends =
            if logs { "the logs end alike, and its revision" } else { "there is no log, and its revision" };
        format!("{ends} is {}, that of {other} {}", revision(best), revision(next))
    } else if logs {
        format!("it stands where {other} stands, at entry {last} of term {}: either will do", best.last_term)
    } else {
        format!("it stands where {other} stands, at entry {last}, without a log: either will do")
    }
}

/// Why the first is the first, against the best of the others.
fn reason(members: &[Member], strangers: bool) -> String {
    let whole: Vec<&Candidate> =
        members.iter().filter(|member| member.is_whole()).map(|member| &member.candidate).collect();
    let Some(best) = whole.first() else {
        let all = |is: fn(&Candidate) -> bool| members.iter().all(|member| is(&member.candidate));
        let why = match () {
            () if all(|member| member.health == Health::Unreadable) => "none of them can be read",
            () if all(|member| !member.has_log) => {
                "none of them has a log, which alone tells what a member had"
            }
            () => "none of them is whole; the furthest is named first",
        };
        return why.to_owned();
    };
    if strangers {
        return "they are of different clusters, and none can stand for all".to_owned();
    }
    let mut reason = match whole.get(1) {
        None if members.len() == 1 => "it is whole".to_owned(),
        None => "it is the only one that is whole".to_owned(),
        Some(next) => against(best, next),
    };
    let further = members.iter().map(|member| &member.candidate).find(|other| {
        other.health >= Health::Damaged
            && (other.last_term, other.last_index) > (best.last_term, best.last_index)
    });
    if let Some(further) = further {
        let (directory, index, term) = (&further.directory, further.last_index, further.last_term);
        reason += &format!("; {directory} goes further, to entry {index} of term {term}, but is not whole");
    }
    reason
}
