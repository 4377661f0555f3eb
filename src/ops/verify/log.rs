//! The write-ahead log and the raft snapshots of a directory, against its database.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{Database, Run};
use crate::etcd::datadir::{DataDir, RAFT_SNAPSHOT_LIMIT};
use crate::etcd::schema::storage_version;
use crate::io::Source;
use crate::ops::log_fault::log_finding;
use crate::replay::MemberLog;
use crate::replay::membership::{Cluster, Rules};
use crate::replay::version::term_is_left_over;
use crate::snap::file::{Membership, SnapFile, SnapName, user_keys};
use crate::wal::{Read, SnapshotRecord, Summary};
use crate::words::error::{At, Result, show};
use crate::words::finding::{Code, Finding, Severity};
use crate::words::ids::{MemberId, RaftIndex, Term};

impl Run<'_> {
    /// Checks everything; returns what was checked, in words.
    pub(super) fn log(
        &mut self,
        dir: &DataDir,
        log: Option<&MemberLog>,
        database: &Database,
    ) -> Result<String> {
        let run = self;
        let snaps = raft_snapshots(dir, run)?;
        let wal = show(dir.wal_dir.as_deref().unwrap_or(&dir.path));
        let opened = if log.is_none() { Some(MemberLog::open(dir)?) } else { None };
        let Some(member_log) = log.or(opened.as_ref()) else { return Ok(String::new()) };
        let log = member_log.log();
        if log.segments().is_empty() {
            database_is_there(dir, &snaps, None, run);
            let what = "there is no WAL segment: what the database lacks cannot be told";
            run.found.say(Code::WalMissing, &wal, what);
            return Ok(format!("no WAL, {} raft snapshots", snaps.good.len()));
        }
        let read = member_log.read(run.monitor)?;
        read.faults.iter().for_each(|fault| run.found.push(log_finding(&log, fault.clone())));
        let summary = &read.summary;
        run.verification.measured.cluster_id = summary.metadata.map(|m| m.cluster());

        database_is_there(dir, &snaps, Some(summary), run);
        snapshot_records(summary, &snaps, database, &wal, run);
        positions(dir, read, &snaps, database, &wal, run);
        identity(read, &snaps, database, &wal, run);
        Ok(format!(
            "{} segments, {} entries, {} raft snapshots",
            log.segments().len(),
            summary.counts.entries,
            snaps.good.len()
        ))
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A raft snapshot whose checksum holds.
struct Snap {
    file: String,
    content: SnapFile,
    /// Its v2 store, if it is one.
    membership: Option<Membership>,
}

/// The raft snapshots of a directory.
struct Snaps {
    good: Vec<Snap>,
    /// Those that cannot be read, by name.
    bad: Vec<SnapName>,
}

fn raft_snapshots(dir: &DataDir, run: &mut Run<'_>) -> Result<Snaps> {
    let mut snaps = Snaps { good: Vec::new(), bad: Vec::new() };
    for path in &dir.snaps {
        let source = Source::open(path)?;
        let file = source.name();
        let name = SnapName::parse(&file_name(path));
        let content = match source.read_all(RAFT_SNAPSHOT_LIMIT).and_then(|bytes| SnapFile::decode(&bytes)) {
            Ok(content) => content,
            Err(corrupt) => {
                run.found.push(Finding::from_corrupt(&file, *corrupt));
                snaps.bad.extend(name);
                continue;
            }
        };
        if name.is_some_and(|n| (n.term, n.index) != (content.term(), content.index())) {
            let what = format!(
                "the file holds term {} and index {}, its name says otherwise",
                content.term(),
                content.index()
            );
            run.found.say(Code::SnapInvalid, &file, what);
        }
        let membership = content
            .membership()
            .map_err(|corrupt| run.found.push(Finding::from_corrupt(&file, *corrupt)))
            .ok();
        snaps.good.push(Snap { file, content, membership });
    }
    if let Some(newest) = snaps.good.last() {
        let data = newest.content.snapshot.data.as_deref().unwrap_or_default();
        if let Some(keys @ 1..) = user_keys(data) {
            let what = format!("{keys} keys of users are in the v2 store");
            let at = At::default().index(newest.content.index());
            run.found.push(Finding::new(Code::V2Keys, &newest.file, at, what));
        }
    }
    Ok(snaps)
}

/// A data directory has a database; a WAL directory by itself has none.
fn database_is_there(dir: &DataDir, snaps: &Snaps, summary: Option<&Summary>, run: &mut Run<'_>) {
    if dir.db.is_some() || (dir.snap_dir.is_none() && dir.wal_dir.as_ref() == Some(&dir.path)) {
        return;
    }
    let recorded = summary.and_then(|s| s.valid_snapshots().map(SnapshotRecord::last_index).max());
    let taken = snaps.good.iter().map(|s| s.content.index()).max().max(recorded).map_or(0, RaftIndex::get);
    let rebuilt = taken == 0 && summary.is_some();
    let what = match (taken, rebuilt) {
        (_, true) => "there is no database; etcd would build one anew from the log".to_owned(),
        (0, false) => "there is no database".to_owned(),
        (taken, _) => format!("there is no database, and what it held at raft index {taken} is nowhere else"),
    };
    let severity = if rebuilt || !dir.snap_dbs.is_empty() { Severity::Warning } else { Severity::Damage };
    run.found.push(Finding {
        severity,
        ..Finding::new(
            Code::DbMissing,
            &show(dir.snap_dir.as_deref().unwrap_or(&dir.path)),
            At::default(),
            what,
        )
    });
}

/// Snapshot records etcd may start from need their file, up to 3.6; the newest one decides.
fn snapshot_records(summary: &Summary, snaps: &Snaps, database: &Database, wal: &str, run: &mut Run<'_>) {
    let Some(newest) = summary.valid_snapshots().rfind(|s| s.index() > 0) else { return };
    let (term, index) = (newest.last_term(), newest.last_index());
    let found = snaps.good.iter().any(|s| (s.content.term(), s.content.index()) == (term, index));
    // One that is there and damaged was reported as that.
    if found || snaps.bad.iter().any(|s| (s.term, s.index) == (term, index)) {
        return;
    }
    let version = database.facts.as_ref().and_then(|f| storage_version(f).version).unwrap_or_default();
    let minor = version.raw().strip_prefix("3.").and_then(|minor| minor.parse::<u64>().ok());
    let needed = minor.is_none_or(|minor| minor < 7);
    let why = if needed { "etcd needs it up to 3.6" } else { "etcd does not need it since 3.7" };
    let what = format!(
        "the log records a snapshot at index {index} of term {term}, its .snap file is not there; {why}"
    );
    let severity = if needed { Code::SnapMissing.severity() } else { Severity::Note };
    run.found
        .push(Finding { severity, ..Finding::new(Code::SnapMissing, wal, At::default().index(index), what) });
}

/// How the database, the log and the snapshots lie to each other on the raft index. Among it what etcd's own tests
/// hold every directory to (`server/verify/verify.go validateConsistentIndex` @ v3.6).
fn positions(dir: &DataDir, read: &Read, snaps: &Snaps, database: &Database, wal: &str, run: &mut Run<'_>) {
    let Some(facts) = &database.facts else { return };
    // Without it nothing can be told; that it is not there was said.
    let Some(index) = facts.consistent_index.map(RaftIndex::get) else { return };
    let place = Place { index, file: &database.name };
    run.verification.measured.wal_lag = Some(read.summary.reach().saturating_sub(index));
    database_and_log(place, &read.summary, run);
    if let Some(term) = facts.term {
        database_term(place, (term, term_is_left_over(facts, read)), read, run);
    }
    entries_between(place, dir, &read.summary, snaps, wal, run);
}

/// Where a database is.
#[derive(Clone, Copy)]
struct Place<'d> {
    /// Its consistent index.
    index: u64,
    file: &'d str,
}

impl Place<'_> {
    fn finding(self, code: Code, what: String) -> Finding {
        Finding::new(code, self.file, At::default().index(self.index), what)
    }
}

/// Whether the log goes on behind the database, or ends before it.
fn database_and_log(db: Place<'_>, summary: &Summary, run: &mut Run<'_>) {
    let (commit, last, index) = (summary.commit(), summary.reach(), db.index);
    let (lag, whole) = (last.saturating_sub(index), summary.is_whole());
    if lag > 0 && summary.complete {
        let committed = commit.saturating_sub(index);
        let what = format!(
            "the database is at index {index}, the log goes to {last}: {lag} entries are only in the WAL, {committed} of them known to be committed"
        );
        run.found.push(db.finding(Code::DbLag, what));
    }
    if whole && index > last {
        let what = format!(
            "the database is at index {index}, but the log ends at {last}: it is of another time or another member"
        );
        run.found.push(db.finding(Code::DbAhead, what));
    } else if whole && index > commit {
        // A commit index is written with the next entry only: a crash leaves the log behind what was applied.
        let what = format!(
            "the database is at index {index}, the last commit index in the log is {commit}: as a crash leaves it"
        );
        run.found.push(Finding { severity: Severity::Note, ..db.finding(Code::DbAhead, what) });
    }
}

/// Whether the database and the log have the same entry at the database's index.
fn database_term(db: Place<'_>, (term, left_over): (Term, bool), read: &Read, run: &mut Run<'_>) {
    let (summary, index) = (&read.summary, db.index);
    if !summary.is_whole() || index > summary.reach() {
        return;
    }
    let newest = summary.hard_state.map_or_else(Term::default, |s| s.newest_term());
    let recorded = summary.snapshots.iter().rfind(|s| s.index() == index).map(SnapshotRecord::last_term);
    let what = match read.terms.at(index).map(Term::new).or(recorded) {
        Some(other) if other != term => {
            format!("the database has index {index} in term {term}, the log has it in term {other}")
        }
        None if term > newest => format!("the database is in term {term}, the log has come to {newest}"),
        _ => return,
    };
    let (severity, why) = if left_over {
        (Severity::Note, ": it was left by a newer etcd, 3.4 keeps none there")
    } else {
        (Code::DbTerm.severity(), "")
    };
    run.found.push(Finding { severity, ..db.finding(Code::DbTerm, what + why) });
}

/// Whether entries are missing between the database and what comes after it.
fn entries_between(
    db: Place<'_>,
    dir: &DataDir,
    summary: &Summary,
    snaps: &Snaps,
    wal: &str,
    run: &mut Run<'_>,
) {
    let (commit, index) = (summary.commit(), db.index);
    let taken =
        snaps.good.iter().map(|s| s.content.index().get()).filter(|i| *i <= commit).max().unwrap_or(0);
    let recorded = summary.valid_snapshots().map(SnapshotRecord::index).max().unwrap_or(0);
    let newest = taken.max(recorded);
    if dir.snap_dbs.iter().any(|p| file_name(p) == format!("{newest:016x}.snap.db")) {
        return;
    }
    if newest > index {
        let what = format!(
            "the database is at index {index}, but a raft snapshot is at {newest}: the entries between are gone"
        );
        run.found.push(db.finding(Code::DbBehindSnapshot, what));
    } else if let Some(first) = summary.first
        && first > index.saturating_add(1)
        && summary.reach() > index
    {
        let what = format!(
            "the database is at index {index}, the log's first entry is {first}: {} entries are missing",
            first.saturating_sub(index).saturating_sub(1)
        );
        run.found.push(Finding::new(Code::WalStart, wal, At::default().index(first), what));
    }
}

/// Whether the database, the log and the raft snapshots name the same members.
fn identity(read: &Read, snaps: &Snaps, database: &Database, wal: &str, run: &mut Run<'_>) {
    let Some(facts) = database.facts.as_ref().filter(|_| database.knows_members) else { return };
    let listed: BTreeMap<MemberId, bool> = facts.members.iter().map(|m| (m.id, m.is_learner)).collect();
    let node = read.summary.metadata.map(|m| m.member());
    if let Some(node) = node.filter(|n| !listed.is_empty() && !listed.contains_key(n)) {
        let removed =
            if facts.removed_members.contains(&node) { "it was removed" } else { "it is not listed" };
        let what = format!("the log is of member {node}; in the database's members {removed}");
        return run.found.say(Code::MembersDisagree, wal, what);
    }
    let Some(db_index) = facts.consistent_index.filter(|_| read.summary.complete) else { return };
    // The members by raft, as of the last entry in the database: those of a raft snapshot, and the changes after it.
    let base = snaps.good.iter().rfind(|s| s.content.index() <= db_index && s.membership.is_some());
    let first = read.summary.first;
    let (from, file, mut cluster) = match base {
        Some(snap)
            if first.is_none_or(|first| first <= snap.content.index().next().get())
                || snap.content.index() == db_index =>
        {
            let membership = snap.membership.clone().unwrap_or_default();
            (snap.content.index(), snap.file.as_str(), Cluster::of_snapshot(membership, None))
        }
        _ if first == Some(1) => (RaftIndex::default(), wal, Cluster::before_the_log()),
        _ => return,
    };
    // What flags and patch versions decide, the database may have as it will.
    let rules = Rules { moved_learners_learn: None, outcome: Some(facts) };
    cluster.follow(read, from, db_index, rules);
    let due = |id: &MemberId| cluster.members.get(id).map(|member| member.is_learner);
    let ids: BTreeSet<MemberId> = listed.keys().chain(cluster.members.keys()).copied().collect();
    for id in ids.into_iter().filter(|id| due(id) != listed.get(id).copied()) {
        let word = |learner: Option<bool>| match learner {
            None => "not there",
            Some(true) => "a learner",
            Some(false) => "a voter",
        };
        let what = format!(
            "member {id} is {} by the raft snapshot and the log up to index {db_index}, and {} in the database",
            word(due(&id)),
            word(listed.get(&id).copied())
        );
        run.found.say(Code::MembersDisagree, file, what);
    }
}
