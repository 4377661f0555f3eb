//! What an etcd database's buckets say, against each other.

use std::collections::BTreeSet;

use crate::bolt::Db;
use crate::codec::json::quote;
use crate::etcd::datadir::NEWEST_STORAGE;
use crate::etcd::schema::{BUCKETS, SALVAGED, storage_version, told_older};
use crate::etcd::semver::Semver;
use crate::etcd::{BucketKey, stored};
use crate::io::Window;
use crate::store::scan::Scan;
use crate::words::collector::Teller;
use crate::words::error::At;
use crate::words::finding::{Code, Finding, Severity};
use crate::words::ids::MemberId;
use crate::words::text::Told;

/// Checks everything. Returns whether the storage version is newer than what is known here.
pub fn check(scan: &Scan, db: &Db<'_>, name: &str, found: &mut Teller<'_>) -> Option<Told> {
    buckets(scan, name, found);
    if db.root().bucket(b"meta").ok().flatten().is_some_and(|meta| meta.sequence == SALVAGED) {
        found.say(Code::Salvaged, name, "this was made of what was left of a damaged database");
    }
    compaction(scan, name, found);
    members(scan, name, found);
    auth(scan, name, found);
    for alarm in &scan.facts.alarms {
        let what =
            alarm.alarm.map_or_else(|| "an unknown alarm".to_owned(), |a| format!("{a:?}").to_uppercase());
        found.say(Code::AlarmActive, name, format!("{what}, raised by member {}", alarm.member_id));
    }
    let facts = &scan.facts;
    if !scan.knows("meta") {
        // Said elsewhere; what is not there may be in what could not be read.
    } else if facts.consistent_index.is_none() {
        found.say(
            Code::IndexMissing,
            name,
            "meta/consistent_index is not there: how far this database is cannot be told",
        );
    } else if facts.term.is_none() && (facts.conf_state.is_some() || facts.storage_version.is_some()) {
        found.say(
            Code::IndexMissing,
            name,
            "meta/term is not there, though the database is of etcd 3.5 or newer",
        );
    }
    leases(scan, db, name, found);
    told_older(facts, name).into_iter().for_each(|finding| found.push(finding));
    if let Some(stated) = facts.storage_version.as_ref().map(Told::raw)
        && let Err(why) = Semver::parse(stated)
    {
        let what = format!(
            "meta/storageVersion is {}, which {why}: etcd goes on as if it were not there",
            quote(stated)
        );
        found.push(Finding {
            severity: Severity::Warning,
            ..Finding::new(Code::StorageVersionUnknown, name, At::default(), what)
        });
    }
    let version = storage_version(facts).version;
    let unknown = version.filter(|v| newer(v.raw(), NEWEST_STORAGE))?;
    let what = format!("storage version is {unknown}, the newest known here is {NEWEST_STORAGE}");
    found.say(Code::StorageVersionUnknown, name, what);
    Some(unknown)
}

fn newer(version: &str, than: &str) -> bool {
    let parts = |v: &str| v.split('.').map(|p| p.parse::<u64>().unwrap_or(u64::MAX)).collect::<Vec<_>>();
    parts(version) > parts(than)
}

fn buckets(scan: &Scan, name: &str, found: &mut Teller<'_>) {
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

fn compaction(scan: &Scan, name: &str, found: &mut Teller<'_>) {
    let facts = &scan.facts;
    if !scan.knows("meta") {
        return;
    }
    let (scheduled, finished) = (facts.scheduled_compact_revision, facts.finished_compact_revision);
    if let (scheduled, Some(finished)) = (scheduled, finished)
        && scheduled < Some(finished)
    {
        let scheduled = scheduled.map_or_else(|| "nothing".to_owned(), |r| r.to_string());
        found.say(
            Code::CompactionMarks,
            name,
            format!("compaction finished at {finished}, but {scheduled} was asked for"),
        );
    }
    if facts.compaction_is_unfinished() {
        let done = finished.map_or_else(|| "none".to_owned(), |r| r.to_string());
        let asked = scheduled.unwrap_or_default();
        let what = format!("compaction at {asked} was asked for, the last finished one is {done}");
        // A compaction may have removed the last revisions, which were deletions.
        let last = scan.keyspace.last.map_or(0, |last| last.main);
        if asked > last {
            let what = format!(
                "{what}, and the last stored revision is {last}: 3.4.32, 3.5.14, 3.6.0 and newer go on from revision {asked}, older ones from \
                 {last}, and clients see it fall"
            );
            found.push(Finding {
                severity: Severity::Warning,
                ..Finding::new(Code::CompactionUnfinished, name, At::default(), what)
            });
        } else {
            found.say(Code::CompactionUnfinished, name, what);
        }
    }
}

fn members(scan: &Scan, name: &str, found: &mut Teller<'_>) {
    let facts = &scan.facts;
    let listed: BTreeSet<MemberId> = facts.members.iter().map(|m| m.id).collect();
    let removed: BTreeSet<MemberId> = facts.removed_members.iter().copied().collect();
    let show = |ids: &BTreeSet<MemberId>| ids.iter().map(MemberId::to_string).collect::<Vec<_>>().join(", ");
    let both: BTreeSet<MemberId> = listed.intersection(&removed).copied().collect();
    if !both.is_empty() {
        found.say(
            Code::MembersDisagree,
            name,
            format!("member {} is both in members and in members_removed", show(&both)),
        );
    }
    let Some(conf) = facts.conf_state.as_ref().filter(|_| scan.knows("members")) else { return };
    let voters: BTreeSet<MemberId> = conf.voters.iter().chain(&conf.voters_outgoing).copied().collect();
    let learners: BTreeSet<MemberId> = conf.learners.iter().chain(&conf.learners_next).copied().collect();
    let raft: BTreeSet<MemberId> = voters.union(&learners).copied().collect();
    if raft != listed {
        let what = format!("bucket members has {{{}}}, meta/confState {{{}}}", show(&listed), show(&raft));
        // A restore makes new members and leaves the old cluster's conf state, which no etcd reads.
        let restored = raft.is_disjoint(&listed);
        let (severity, why) =
            if restored { (Severity::Note, ", as a restore leaves it") } else { (Severity::Warning, "") };
        found.push(Finding {
            severity,
            ..Finding::new(Code::MembersDisagree, name, At::default(), format!("{what}{why}"))
        });
    }
    for m in facts.members.iter().filter(|m| raft.contains(&m.id)) {
        if m.is_learner == voters.contains(&m.id) {
            let word = |learner| if learner { "a learner" } else { "a voter" };
            let what = format!(
                "member {} is {} in bucket members and {} in meta/confState",
                m.id,
                word(m.is_learner),
                word(!m.is_learner)
            );
            found.say(Code::MembersDisagree, name, what);
        }
    }
}

fn auth(scan: &Scan, name: &str, found: &mut Teller<'_>) {
    let auth = &scan.facts.auth;
    let roles: BTreeSet<&str> = auth.roles.iter().map(|r| r.name.as_str()).collect();
    for user in auth.users.iter().filter(|_| scan.knows("authRoles")) {
        // The role root needs no entry.
        for role in user.roles.iter().filter(|r| *r != "root" && !roles.contains(r.as_str())) {
            found.say(
                Code::AuthInconsistent,
                name,
                format!("user {} has role {role}, which does not exist", user.name),
            );
        }
    }
    for user in auth.users.iter().filter(|user| user.has_role_not_utf8) {
        let what =
            format!("user {} has roles whose names are not UTF-8: {}", user.name, user.roles.join(", "));
        found.say(Code::RoleNotUtf8, name, what);
    }
    let root = auth.users.iter().any(|u| u.name == "root" && u.roles.iter().any(|r| r == "root"));
    if auth.enabled && !root && scan.knows("authUsers") {
        found.say(
            Code::AuthInconsistent,
            name,
            "authentication is on, but there is no user root with role root",
        );
    }
}

/// Live keys whose lease is not there.
fn leases(scan: &Scan, db: &Db<'_>, name: &str, found: &mut Teller<'_>) {
    let mut window = Window::new();
    for (orphan, nth) in scan.orphans.iter().zip(0u64..) {
        let mut at = At {
            revision: Some(orphan.revision.to_string()),
            ..At::page(orphan.page.0, db.offset_of(orphan.page))
        };
        // Of the others only the number is shown.
        if nth < found.all.limit().max(1)
            && let Ok(value) = window.get(db.source(), orphan.value.0, orphan.value.1)
            && let Ok(kv) =
                stored::read_value(BucketKey { revision: orphan.revision, tombstone: false }, value)
        {
            at = at.key(kv.key);
        }
        found.push(Finding::new(
            Code::LeaseMissing,
            name,
            at,
            format!("lease {:#} is not in bucket lease", orphan.lease),
        ));
    }
}
