//! The rules that a keyspace's history obeys, checked as its revisions go by in order.
//!
//! A transaction that changes something gets the next main revision; the changes in it get sub-revisions 0, 1, 2. A
//! put of a key that is live keeps its create revision and adds 1 to its version; any other put creates it anew with
//! version 1; only a live key is deleted. Compaction at C removes, of each key, all up to C but the newest, so up to
//! C nothing follows from what is missing. Source: `server/storage/mvcc/kvstore_txn.go put, delete @ v3.6`.

use super::newest::NewestRevision;
use super::{BucketKey, KeyValue, Revision};
use crate::words::finding::Code;

/// What has gone by.
#[derive(Debug, Clone)]
pub struct History {
    compact: i64,
    last: Option<Revision>,
    /// Up to here revisions may be missing: what is known of a key from before it need not be its last.
    lost: Option<Revision>,
    /// Whether revisions may be missing before the next one.
    gap: bool,
}

impl History {
    /// Nothing has gone by. `compact` is the file's compact revision: -1 for none, `i64::MAX` when it is not known.
    #[must_use]
    pub fn new(compact: i64) -> History {
        History { compact, last: None, lost: None, gap: false }
    }

    /// Something between the last revision and the next one cannot be read. That is said elsewhere: what follows from
    /// it is not.
    pub fn lost(&mut self) {
        self.lost = Some(self.last.unwrap_or_default());
        self.gap = true;
    }

    /// A revision whose value cannot be read.
    pub fn unreadable(&mut self, revision: Revision, fault: &mut dyn FnMut(Code, String)) {
        self.check_order(revision, fault);
        self.lost = Some(revision);
    }

    /// The compact revision.
    #[must_use]
    pub fn compact(&self) -> i64 {
        self.compact
    }

    /// One more revision; `before` is the newest one of the same key that went by.
    pub fn check(
        &mut self,
        before: Option<NewestRevision>,
        key: BucketKey,
        kv: &KeyValue<'_>,
        fault: &mut dyn FnMut(Code, String),
    ) {
        let BucketKey { revision, tombstone } = key;
        self.check_order(revision, fault);
        let compacted = revision.main <= self.compact;
        let sure = self.lost.is_none_or(|lost| before.is_some_and(|b| b.revision() > lost));
        if tombstone {
            check_deletion(before, kv, sure, compacted, fault);
        // The marker that a restore with a bumped revision leaves has no KeyValue at all.
        } else if !kv.key.is_empty() || kv.mod_revision != 0 || kv.version != 0 {
            check_put(before, revision, kv, sure, compacted, fault);
            if let Some(deleted) = before.filter(|b| b.tombstone() && b.revision().main == revision.main)
                && revision.main >= self.compact
            {
                fault(Code::DeletedAndPut, self.deleted_and_put(deleted.revision()));
            }
        }
    }

    /// A key goes on in two generations of one main revision. A compaction at that revision keeps the first, which ends
    /// there, and with it the deletion (`keyIndex.doCompact` @ v3.6); one that came later has kept the put.
    fn deleted_and_put(&self, deleted: Revision) -> String {
        let when = if deleted.main == self.compact {
            "at which a compaction was asked for and not finished: etcd loses the key as soon as it starts"
        } else {
            "at which nothing may be compacted: etcd would lose the key"
        };
        format!(
            "the transaction that deleted the key at {deleted} put it again, in revision {}, {when}",
            deleted.main
        )
    }

    /// Main revisions follow each other without a hole after the compaction, and so do the changes in one.
    fn check_order(&mut self, revision: Revision, fault: &mut dyn FnMut(Code, String)) {
        if self.last.is_some_and(|last| revision <= last) {
            // Keys out of order are a fault of the page.
            return self.lost();
        }
        let gap = std::mem::take(&mut self.gap);
        let last = self.last.replace(revision);
        if revision.main <= self.compact || gap {
            return;
        }
        // Revision 1 is the empty store; the first change is 2.
        let from =
            last.filter(|l| l.main > self.compact).unwrap_or(Revision { main: self.compact.max(1), sub: 0 });
        let hole = if revision.main == from.main {
            let hole = revision.sub != from.sub.saturating_add(1);
            if hole {
                fault(
                    Code::SubRevision,
                    format!("{revision} follows {from}: changes inside the transaction are missing"),
                );
            }
            hole
        } else {
            let missing = revision.main.saturating_sub(from.main).saturating_sub(1);
            if missing > 0 {
                fault(
                    Code::RevisionGap,
                    format!("{revision} follows {from}: {missing} revisions are missing"),
                );
            }
            if revision.sub != 0 {
                fault(
                    Code::SubRevision,
                    format!("the transaction's changes start at {revision}, not at sub-revision 0"),
                );
            }
            missing > 0 || revision.sub != 0
        };
        if hole {
            self.lost = Some(last.unwrap_or_default());
        }
    }
}

/// A deletion carries the key alone, and only a live key is deleted. `sure`: `before` is what came last.
fn check_deletion(
    before: Option<NewestRevision>,
    kv: &KeyValue<'_>,
    sure: bool,
    compacted: bool,
    fault: &mut dyn FnMut(Code, String),
) {
    let bare = kv.create_revision == 0
        && kv.mod_revision == 0
        && kv.version == 0
        && kv.lease == 0
        && kv.value.is_empty();
    if !bare {
        fault(Code::Tombstone, "a deletion carries more than the key".to_owned());
    }
    match before {
        Some(b) if b.tombstone() && sure => {
            let when = b.revision();
            fault(
                Code::Tombstone,
                format!("the key is deleted here and was already deleted at revision {when}"),
            );
        }
        None if !compacted && sure => {
            let what = "the key is deleted here, but nothing says that it existed";
            fault(Code::Tombstone, what.to_owned());
        }
        _ => {}
    }
}

/// A put goes on with the key as it was, or creates it. `sure`: `before` is what came last.
fn check_put(
    before: Option<NewestRevision>,
    revision: Revision,
    kv: &KeyValue<'_>,
    sure: bool,
    compacted: bool,
    fault: &mut dyn FnMut(Code, String),
) {
    if kv.mod_revision != revision.main {
        fault(
            Code::ModRevision,
            format!("the value says mod_revision {}, its key {}", kv.mod_revision, revision.main),
        );
    }
    let (create, version) = (kv.create_revision, kv.version);
    let due = match before.filter(|b| !b.tombstone()) {
        _ if !sure => None,
        Some(b) => Some((
            b.create_revision(),
            b.version().saturating_add(1),
            format!("after version {} at {}", b.version(), b.revision()),
        )),
        None if before.is_some() || !compacted => {
            Some((revision.main, 1, "of a key that did not exist".to_owned()))
        }
        None => None,
    };
    if let Some((due_create, due_version, why)) = due {
        if (create, version) != (due_create, due_version) {
            let what = format!(
                "create revision {create} and version {version}; {due_create} and {due_version} are due {why}"
            );
            fault(Code::VersionChain, what);
        }
    } else if version < 1 || create < 1 || create > revision.main || !possible(version, create, revision) {
        let main = revision.main;
        let what = format!("create revision {create} and version {version} cannot be at revision {main}");
        fault(Code::VersionChain, what);
    }
}

/// Whether a key of this version, created then, can be what a transaction leaves. etcd refuses one that puts a key
/// twice (`checkIntervals`); its store does not.
fn possible(version: i64, create: i64, revision: Revision) -> bool {
    if create == revision.main { version <= revision.sub.saturating_add(1) } else { version > 1 }
}
