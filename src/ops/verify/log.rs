//! The write-ahead log and the raft snapshots of a directory, against its database.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::files::Files;
use super::{Database, Level, Outcome, Run};
use crate::etcd::aside::Aside;
use crate::etcd::datadir::{DataDir, RAFT_SNAPSHOT_LIMIT, received};
use crate::etcd::schema::storage_version;
use crate::io::tree;
use crate::ops::log_fault::log_finding;
use crate::replay::membership::{Cluster, Rules};
use crate::replay::stand_in;
use crate::replay::version::term_is_left_over;
use crate::snap::file::{Membership, SnapFile, SnapName, user_keys};
use crate::wal::{AtBoot, Read, SnapshotRecord, Summary};
use crate::words::error::{At, Result, show};
use crate::words::finding::{Code, Finding, Severity};
use crate::words::hint::{Hint, Note};
use crate::words::ids::{MemberId, RaftIndex, Term};

impl Run<'_> {
    /// Checks everything, and judges the level. `applies`: the log is applied too, unless whoever asks does that.
    pub(super) fn log(
        &mut self,
        dir: &DataDir,
        files: &Files<'_>,
        database: &Database,
        applies: bool,
    ) -> Result<()> {
        let run = self;
        let snaps = raft_snapshots(dir, run)?;
        let wal = show(dir.wal_dir.as_deref().unwrap_or(&dir.path));
        let log = files.log().log();
        if dir.db.is_none() && stand_in::is_of_a_member(dir) {
            run.found.push(stand_in::missing(dir, files.log(), run.monitor)?.finding);
        }
        if log.segments().is_empty() {
            let what = "there is no WAL segment: what the database lacks cannot be told";
            run.found.say(Code::WalMissing, &wal, what);
            let what = format!(
                "no WAL, {} raft snapshots: what the database lacks cannot be told",
                snaps.good.len()
            );
            run.level(Level::Wal, Outcome::Inconclusive, Note::with(what, Hint::LogOfDirectory));
            return Ok(());
        }
        for segment in log.segments().iter().filter(|segment| segment.source.is_empty()) {
            let what = "the segment has no bytes, as a power cut leaves it; etcd starts with it";
            run.found.say(Code::WalShort, &segment.source.name(), what);
        }
        let read = files.log().read(run.monitor)?;
        let summary = &read.summary;
        for fault in &read.faults {
            let refused = fault.corrupt.code == Code::WalLong
                || (fault.corrupt.code == Code::WalTorn
                    && summary.at_boot().iter().any(|(_, does)| *does == AtBoot::Refuses));
            run.found.push(log_finding(&log, fault.clone()).hint(refused.then_some(Hint::CopyToStart)));
        }
        run.verification.measured.cluster_id = summary.metadata.map(|m| m.cluster());

        snapshot_records(summary, &snaps, database, &wal, run);
        positions(dir, read, &snaps, database, &wal, run);
        identity(read, &snaps, database, &wal, run);
        let applied = if applies { run.starts(files)? } else { Ok(String::new()) };
        let (segments, entries) = (log.segments().len(), summary.counts.entries);
        let detail = format!("{segments} segments, {entries} entries, {} raft snapshots", snaps.good.len());
        match applied {
            Err(why) if run.worst(Level::Wal) < Some(Severity::Damage) => {
                run.level(
                    Level::Wal,
                    Outcome::Inconclusive,
                    Note { text: format!("{detail}; {why}"), ..why },
                );
            }
            Err(_) => run.judge(Level::Wal, detail),
            Ok(applied) => run.judge(Level::Wal, detail + &applied),
        }
        Ok(())
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
        let source = tree::open(path)?;
        let file = source.name();
        let name = SnapName::parse(&file_name(path));
        let content = match source.read_all(RAFT_SNAPSHOT_LIMIT).and_then(|bytes| SnapFile::decode(&bytes)) {
            Ok(content) => content,
            Err(corrupt) => {
                // etcd goes back to an older one, or to the beginning of the log: whether that is there, the log tells.
                let finding = Finding::from_corrupt(&file, *corrupt);
                run.found.push(Finding { severity: Severity::Warning, ..finding });
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
            // etcd goes by what the file holds.
            let finding = Finding::new(Code::SnapInvalid, &file, At::default(), what);
            run.found.push(Finding { severity: Severity::Warning, ..finding });
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
            let what =
                format!("{keys} keys of users are in the v2 store, which no copy and no snapshot file has");
            let at = At::default().index(newest.content.index());
            run.found.push(Finding::new(Code::V2Keys, &newest.file, at, what));
        }
    }
    Ok(snaps)
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
    // 3.8 writes none.
    if minor.is_some_and(|minor| minor >= 8) {
        return;
    }
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
    beside_it(place, dir, run);
    if let Some(term) = facts.term {
        database_term(place, (term, term_is_left_over(facts, read)), read, run);
    }
    entries_between(place, dir, read, snaps, wal, run);
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

/// Whether etcd ran on another database than this one.
fn beside_it(db: Place<'_>, dir: &DataDir, run: &mut Run<'_>) {
    let than = RaftIndex::new(db.index);
    if let Some(aside) = dir.db.as_deref().and_then(|path| Aside::further(path, than)) {
        let what = format!(
            "the database is at index {}, and {}, which it replaced, at {}: etcd ran on that one",
            db.index,
            show(&aside.path),
            aside.index
        );
        run.found.push(db.finding(Code::DbAside, what));
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
fn entries_between(db: Place<'_>, dir: &DataDir, read: &Read, snaps: &Snaps, wal: &str, run: &mut Run<'_>) {
    let summary = &read.summary;
    let (commit, index) = (summary.commit(), db.index);
    let taken =
        snaps.good.iter().map(|s| s.content.index().get()).filter(|i| *i <= commit).max().unwrap_or(0);
    let recorded = summary.valid_snapshots().map(SnapshotRecord::index).max().unwrap_or(0);
    let newest = taken.max(recorded);
    if received(&dir.snap_dbs, RaftIndex::new(newest)) {
        return;
    }
    if newest > index {
        let next = index.saturating_add(1);
        let (rest, hint) = if read.terms.holds(index, newest) && summary.is_whole() {
            let what = format!(
                "etcd panics at this, but the log has the entries {next} to {newest}: nothing is lost"
            );
            (what, Some(Hint::CopyToStart))
        } else {
            ("the entries between are gone".to_owned(), None)
        };
        let what = format!("the database is at index {index}, but a raft snapshot is at {newest}: {rest}");
        run.found.push(db.finding(Code::DbBehindSnapshot, what).hint(hint));
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
