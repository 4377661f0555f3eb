//! What etcd does with a log when it starts: it begins at a raft snapshot and takes every entry after that, also those
//! whose effect the database has already. For those it changes nothing in the database but, up to 3.6, who is a
//! member in memory; each must come apart all the same, or it panics, at every start.
//!
//! | | 3.4, 3.5, 3.6 | 3.7, 3.8 |
//! |---|---|---|
//! | begins after | the newest `.snap` that can be read and whose record is in the log; without one before the first entry | the last record of a snapshot that is committed |
//! | of entries in the database | requests are decoded (in 3.4 not their header), members' attributes and the cluster's version set, conf changes made | the same, but conf changes are not judged |
//!
//! Source: `server/etcdserver/{bootstrap.go recoverSnapshot, server.go apply}`, `server/etcdserver/apply/uber_apply.go
//! dispatch`, `server/storage/wal/wal.go ReadAll` @ v3.6.14 and v3.7.1; `etcdserver/server.go` @ v3.4, v3.5.

use super::apply::held::{self, V2, unknown_member};
use super::apply::{self, Version};
use super::fold::{self, Fold};
use super::member_log::MemberLog;
use super::membership::{Cluster, Rules, Unfit};
use super::options::{Damage, FoldOptions};
use super::remarks::{Remark, Remarks};
use crate::bolt::Db;
use crate::etcd::Facts;
use crate::etcd::schema::Minor;
use crate::raft::ConfChange;
use crate::snap::file::SnapFile;
use crate::wal::{Read, SnapshotRecord};
use crate::words::error::{At, Corrupt, Error, Result, show};
use crate::words::finding::{Code, Finding, Severity};
use crate::words::ids::{MemberId, RaftIndex};
use crate::words::monitor::Monitor;

/// Applies what the log of a data directory holds beyond its database, and looks at all else in the log that etcd
/// takes when it starts from that directory.
///
/// # Errors
/// As [`fold`](fold::fold), and [`Error::Damaged`] when etcd would not start, unless that is allowed: then it is
/// among the findings.
pub fn fold_directory(
    db: &Db<'_>,
    log: &MemberLog,
    options: FoldOptions<'_>,
    monitor: &dyn Monitor,
) -> Result<Fold> {
    let mut fold = fold::fold(db, log, options, monitor)?;
    let facts = apply::facts(db).map_err(|corrupt| Error::damaged(db.source().path(), corrupt))?;
    let remarked = log.remarked(monitor)?;
    let newest = log.raft_snapshot(RaftIndex::new(u64::MAX), &remarked.0);
    let start = Start::of(&facts, newest.as_ref(), &remarked.0, fold.raft.version);
    match takes(&facts, log, remarked, &start, fold.raft.version) {
        Ok(()) => {}
        Err(corrupt) if options.damage == Damage::Allow => {
            let finding = Finding::from_corrupt(&show(log.place()), *corrupt);
            fold.findings.push(Finding { severity: Severity::Damage, ..finding });
        }
        Err(corrupt) => return Err(Error::damaged(log.place(), corrupt)),
    }
    Ok(fold)
}

/// Why etcd does not take the log.
pub(super) fn takes(
    facts: &Facts,
    log: &MemberLog,
    (read, remarks): &(Read, Remarks),
    start: &Start,
    version: Version,
) -> Result<(), Box<Corrupt>> {
    let from = facts.consistent_index.unwrap_or_default();
    reaches_back(start.index, log, read)?;
    if start.index >= from {
        return Ok(());
    }
    let mut seen = Seen { facts, version, cluster: start.cluster.clone() };
    for (index, remark) in remarks.0.range(start.index.next()..=from) {
        if let Err(why) = seen.entry(remark) {
            let what = format!(
                "{why}; the database has this entry already, but etcd takes every entry after raft index {} when it starts",
                start.index
            );
            return Err(Corrupt::new(Code::ReplayRefused, At::default().index(*index), what));
        }
    }
    Ok(())
}

/// Where etcd begins.
pub(super) struct Start {
    /// It takes the entries after this one.
    pub index: RaftIndex,
    /// Who is a member by then.
    pub cluster: Cluster,
}

impl Start {
    /// `newest` is the raft snapshot that etcd up to 3.6 begins at, if there is one.
    pub fn of(facts: &Facts, newest: Option<&SnapFile>, read: &Read, version: Version) -> Start {
        if version.minor >= Minor::V37 {
            let record = read.summary.valid_snapshots().last().map(SnapshotRecord::last_index);
            return Start { index: record.unwrap_or_default(), cluster: Cluster::listed(facts) };
        }
        let Some(snap) = newest else {
            return Start { index: RaftIndex::default(), cluster: Cluster::before_the_log() };
        };
        let conf_state = snap.snapshot.metadata.as_ref().and_then(|metadata| metadata.conf_state.as_ref());
        // What is not the JSON of a v2 store is told where the file is judged.
        let cluster = Cluster::of_snapshot(snap.membership().unwrap_or_default(), conf_state);
        Start { index: snap.index(), cluster }
    }
}

/// Refuses a log that lacks an entry between the one where etcd begins and its end. What is missing further on was
/// found when it was read.
fn reaches_back(start: RaftIndex, log: &MemberLog, read: &Read) -> Result<(), Box<Corrupt>> {
    let (whole, next) = (log.log(), start.next());
    let runs = read.terms.runs();
    let Some(first) = runs.iter().find(|run| run.last > start.get()).map(|run| run.first) else {
        return Ok(());
    };
    let there = first <= next.get();
    if there && whole.select(start.get()).is_ok() {
        return Ok(());
    }
    let goes_on = if there {
        "none of its segments begins so early".to_owned()
    } else {
        format!("it goes on with entry {first}")
    };
    let begin = if start == RaftIndex::default() {
        "no raft snapshot can be used, so etcd begins with the first entry of the log".to_owned()
    } else {
        format!("etcd begins at the raft snapshot at index {start}")
    };
    let what = format!(
        "{begin}, and the log does not reach back to that: entry {next} is not there, {goes_on}; etcd does not start"
    );
    Err(Corrupt::new(Code::WalStart, At::default().index(next), what))
}

/// Goes through the entries that the database has.
struct Seen<'f> {
    facts: &'f Facts,
    version: Version,
    cluster: Cluster,
}

impl Seen<'_> {
    /// Why etcd panics at an entry.
    fn entry(&mut self, remark: &Remark) -> Result<(), String> {
        match remark {
            Remark::Wrong(why) => Err(why.clone()),
            Remark::ConfChange(change) => self.conf_change(change),
            Remark::V2(request) => match held::v2(request, self.version.minor)? {
                V2::Version(version) => held::cluster_version(&version).map(drop),
                V2::Attributes(id, _) => self.knows(id),
                V2::Store => Ok(()),
            },
            _ if self.version.minor == Minor::V34 => Ok(()),
            Remark::WrongSince35(why) => Err(why.clone()),
            Remark::WrongSince37(why) if self.version.minor >= Minor::V37 => Err((*why).to_owned()),
            Remark::Tells(id) => self.knows(*id),
            Remark::WrongSince37(_) | Remark::Sets(_) | Remark::Since35 => Ok(()),
        }
    }

    fn conf_change(&mut self, change: &ConfChange) -> Result<(), String> {
        let rules = Rules { moved_learners_learn: None, outcome: Some(self.facts) };
        match self.cluster.apply(change, rules) {
            Err(Unfit::Panics(why)) => Err(why.to_owned()),
            // 3.7 knows the members of the database only, in which the change was made.
            Err(Unfit::Refused(_)) | Ok(_) => Ok(()),
        }
    }

    /// Refuses attributes of somebody who is no member and was none: up to 3.5 by the raft snapshot and the log, later
    /// by the database.
    fn knows(&self, id: MemberId) -> Result<(), String> {
        let by_log = self.cluster.members.contains_key(&id) || self.cluster.removed.contains(&id);
        let by_database =
            self.facts.removed_members.contains(&id) || self.facts.members.iter().any(|m| m.id == id);
        let known = if self.version.minor < Minor::V36 { by_log } else { by_database };
        if known { Ok(()) } else { Err(unknown_member(id)) }
    }
}
