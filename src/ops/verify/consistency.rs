//! What an etcd database's buckets say, against each other.

use std::collections::BTreeSet;

use super::Found;
use crate::bolt::Db;
use crate::bolt::walk::{Shared, Visited, Visitor, walk};
use crate::error::{At, Corrupt};
use crate::etcd::datadir::NEWEST_STORAGE;
use crate::etcd::schema::{BUCKETS, storage_version};
use crate::etcd::{BucketKey, KeyValue};
use crate::finding::{Code, Finding, Severity};
use crate::monitor::Quiet;
use crate::ops::scan::Scan;

/// Checks everything. Returns whether the storage version is newer than what is known here.
pub fn check(scan: &Scan, db: &Db<'_>, name: &str, found: &mut Found<'_>) -> bool {
    buckets(scan, name, found);
    compaction(scan, name, found);
    members(scan, name, found);
    auth(scan, name, found);
    for alarm in &scan.facts.alarms {
        let what = alarm.alarm.map_or_else(|| "an unknown alarm".to_owned(), |a| format!("{a:?}").to_uppercase());
        found.say(Code::AlarmActive, name, format!("{what}, raised by member {:x}", alarm.member_id));
    }
    let facts = &scan.facts;
    if !scan.knows("meta") {
        // Said elsewhere; what is not there may be in what could not be read.
    } else if facts.consistent_index.is_none() {
        found.say(Code::IndexMissing, name, "meta/consistent_index is not there: how far this database is cannot be told");
    } else if facts.term.is_none() && (facts.conf_state.is_some() || facts.storage_version.is_some()) {
        found.say(Code::IndexMissing, name, "meta/term is not there, though the database is of etcd 3.5 or newer");
    }
    if scan.keyspace.leased && scan.knows("lease") {
        leases(scan, db, name, found);
    }
    let version = storage_version(facts).version;
    let unknown = version.as_deref().is_some_and(|v| newer(v, NEWEST_STORAGE));
    if unknown {
        let what = format!("storage version is {}, the newest known here is {NEWEST_STORAGE}", version.unwrap_or_default());
        found.say(Code::StorageVersionUnknown, name, what);
    }
    unknown
}

fn newer(version: &str, than: &str) -> bool {
    let parts = |v: &str| v.split('.').map(|p| p.parse::<u64>().unwrap_or(u64::MAX)).collect::<Vec<_>>();
    parts(version) > parts(than)
}

fn buckets(scan: &Scan, name: &str, found: &mut Found<'_>) {
    let there: BTreeSet<&[u8]> = scan.names().chain(scan.lost.iter().map(Vec::as_slice)).collect();
    // Of the two that cannot be made anew the walk tells.
    for due in BUCKETS.into_iter().filter(|due| scan.root_is_whole && !matches!(*due, "key" | "meta")) {
        if !there.contains(due.as_bytes()) {
            let what = format!("bucket {due} is not there");
            found.push(Finding {
                severity: Severity::Warning,
                ..Finding::new(Code::BucketMissing, name, At::default().bucket(due.as_bytes()), what)
            });
        }
    }
    for bucket in &scan.buckets {
        let path = bucket.path.iter().map(|n| n.escape_ascii().to_string()).collect::<Vec<_>>().join("/");
        let known = matches!(bucket.path.as_slice(), [one] if BUCKETS.iter().any(|b| b.as_bytes() == one));
        if !known {
            found.say(Code::BucketUnknown, name, format!("bucket {path} is none of etcd's"));
        }
    }
    for key in &scan.facts.unknown_keys {
        found.say(Code::BucketUnknown, name, format!("{key} is a key that no etcd version writes"));
    }
}

fn compaction(scan: &Scan, name: &str, found: &mut Found<'_>) {
    let facts = &scan.facts;
    if !scan.knows("meta") {
        return;
    }
    let (scheduled, finished) = (facts.scheduled_compact_revision, facts.finished_compact_revision);
    if let (scheduled, Some(finished)) = (scheduled, finished)
        && scheduled < Some(finished)
    {
        let scheduled = scheduled.map_or_else(|| "nothing".to_owned(), |r| r.to_string());
        found.say(Code::CompactionMarks, name, format!("compaction finished at {finished}, but {scheduled} was asked for"));
    }
    if facts.compaction_is_unfinished() {
        let done = finished.map_or_else(|| "none".to_owned(), |r| r.to_string());
        let what = format!("compaction at {} was asked for, the last finished one is {done}", scheduled.unwrap_or_default());
        found.say(Code::CompactionUnfinished, name, what);
    }
}

fn members(scan: &Scan, name: &str, found: &mut Found<'_>) {
    let facts = &scan.facts;
    let listed: BTreeSet<u64> = facts.members.iter().map(|m| m.id).collect();
    let removed: BTreeSet<u64> = facts.removed_members.iter().copied().collect();
    let show = |ids: &BTreeSet<u64>| ids.iter().map(|id| format!("{id:x}")).collect::<Vec<_>>().join(", ");
    let both: BTreeSet<u64> = listed.intersection(&removed).copied().collect();
    if !both.is_empty() {
        found.say(Code::MembersDisagree, name, format!("member {} is both in members and in members_removed", show(&both)));
    }
    let Some(conf) = facts.conf_state.as_ref().filter(|_| scan.knows("members")) else { return };
    let voters: BTreeSet<u64> = conf.voters.iter().chain(&conf.voters_outgoing).copied().collect();
    let learners: BTreeSet<u64> = conf.learners.iter().chain(&conf.learners_next).copied().collect();
    let raft: BTreeSet<u64> = voters.union(&learners).copied().collect();
    if raft != listed {
        let what = format!("bucket members has {{{}}}, meta/confState {{{}}}", show(&listed), show(&raft));
        found.say(Code::MembersDisagree, name, what);
    }
    for m in facts.members.iter().filter(|m| raft.contains(&m.id)) {
        if m.is_learner == voters.contains(&m.id) {
            let word = |learner| if learner { "a learner" } else { "a voter" };
            let what =
                format!("member {:x} is {} in bucket members and {} in meta/confState", m.id, word(m.is_learner), word(!m.is_learner));
            found.say(Code::MembersDisagree, name, what);
        }
    }
}

fn auth(scan: &Scan, name: &str, found: &mut Found<'_>) {
    let auth = &scan.facts.auth;
    let roles: BTreeSet<&str> = auth.roles.iter().map(|r| r.name.as_str()).collect();
    for user in auth.users.iter().filter(|_| scan.knows("authRoles")) {
        // The role root needs no entry.
        for role in user.roles.iter().filter(|r| *r != "root" && !roles.contains(r.as_str())) {
            found.say(Code::AuthInconsistent, name, format!("user {} has role {role}, which does not exist", user.name));
        }
    }
    let root = auth.users.iter().any(|u| u.name == "root" && u.roles.iter().any(|r| r == "root"));
    if auth.enabled && !root && scan.knows("authUsers") {
        found.say(Code::AuthInconsistent, name, "authentication is on, but there is no user root with role root");
    }
}

/// Live keys whose lease is not there.
fn leases(scan: &Scan, db: &Db<'_>, name: &str, found: &mut Found<'_>) {
    struct Orphans<'s, 'f, 'm> {
        scan: &'s Scan,
        known: BTreeSet<i64>,
        name: &'s str,
        found: &'f mut Found<'m>,
    }
    impl Visitor for Orphans<'_, '_, '_> {
        fn leaf(&mut self, page: &crate::bolt::Page<'_>, _: Option<usize>) {
            for element in page.leaves() {
                let (Ok(key), Ok(kv)) = (BucketKey::parse(element.key), KeyValue::decode(element.value)) else { continue };
                if kv.lease != 0 && !self.known.contains(&kv.lease) && !key.tombstone && self.scan.newest.is_newest(key, &kv) {
                    let at = At { revision: Some(key.revision.to_string()), ..page.at().key(kv.key) };
                    self.found.push(Finding::new(
                        Code::LeaseMissing,
                        self.name,
                        at,
                        format!("lease {:016x} is not in bucket lease", kv.lease),
                    ));
                }
            }
        }
        fn fault(&mut self, _: Corrupt) {}
    }
    let known = scan.facts.leases.iter().map(|l| l.id).collect();
    if let Ok(Some(keys)) = db.root().bucket(b"key") {
        let visited = Visited::new(db);
        walk(&keys, Shared::new(&visited, &Quiet), &mut Orphans { scan, known, name, found });
    }
}
