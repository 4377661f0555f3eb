//! Which stored revisions a database keeps when it is written anew: those up to a revision, those of some keys, those
//! that a compaction leaves.
//!
//! A compaction at C leaves, of each key, all after C, and of those up to C the newest: not if that is a deletion
//! before C. A deletion at C itself stays, as it does in etcd since 3.4.34, 3.5.16 and 3.6.0; no version counts it in
//! HashKV. Source: `key_index.go compact, doCompact`, `kvstore_compaction.go scheduleCompaction` @ v3.6.

use std::collections::BTreeSet;

use crate::bolt::Db;
use crate::codec::array_at;
use crate::etcd::newest::Newest;
use crate::etcd::{BucketKey, KeyValue, stored};
use crate::store::hashkv::rule;
use crate::words::error::{Error, Result};
use crate::words::monitor::Monitor;

/// Which keys of users are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyFilter {
    /// Keys that begin with one of these; all, if there is none.
    pub prefixes: Vec<Vec<u8>>,
    /// But not those that begin with one of these.
    pub excluded: Vec<Vec<u8>>,
}

impl KeyFilter {
    /// Whether that key is meant.
    #[must_use]
    pub fn matches(&self, key: &[u8]) -> bool {
        let begins = |prefix: &Vec<u8>| key.starts_with(prefix);
        (self.prefixes.is_empty() || self.prefixes.iter().any(begins)) && !self.excluded.iter().any(begins)
    }
}

/// What is kept.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rule {
    /// Nothing after this revision.
    pub until: Option<i64>,
    /// Up to this revision what a compaction there leaves.
    pub compact: Option<i64>,
    /// Nothing but these keys.
    pub keys: KeyFilter,
}

/// A rule, and what it takes to apply it to one database: two passes over its keys.
#[derive(Debug)]
pub(crate) struct Selection {
    rule: Rule,
    /// The newest revision of each key, of those up to the compaction, or else of all that are kept.
    newest: Newest,
    /// What it comes to.
    pub counts: Counts,
}

/// What a rule makes of a database.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts {
    /// Stored revisions that are kept.
    pub kept: u64,
    /// Stored revisions that are not.
    pub dropped: u64,
    /// Keys that are live at the end, unless revisions after the compaction are kept too.
    pub live: u64,
    /// Those of them with a lease that is not in the database.
    pub orphans: u64,
    /// The leases they name.
    pub lost_leases: BTreeSet<i64>,
    /// HashKV of what is kept, if all of it is what a compaction leaves.
    pub hash: u32,
}

/// How many leases that are missing are remembered.
const LEASES: usize = 1000;

impl Selection {
    /// Applies `rule` to `db`.
    pub(crate) fn new(db: &Db<'_>, rule: Rule, monitor: &dyn Monitor) -> Result<Selection> {
        let mut newest = Newest::default();
        let bound = rule.compact.or(rule.until).unwrap_or(i64::MAX);
        rows(db, "choosing keys", monitor, |key, kv, _| {
            if key.revision.main <= bound && rule.admits(key, kv) {
                newest.see_alone(key, kv);
            }
        })?;
        let leases = leases(db)?;
        let mut all = Selection { rule, newest, counts: Counts::default() };
        let (mut counts, mut hash) = (Counts::default(), rule::empty());
        rows(db, "counting keys", monitor, |key, kv, (raw_key, raw_value)| {
            if !all.keeps_row(key, kv) {
                counts.dropped = counts.dropped.saturating_add(1);
                return;
            }
            counts.kept = counts.kept.saturating_add(1);
            if rule::counts(key, all.rule.compact.unwrap_or(-1)) != rule::Counts::No {
                hash.add(raw_key);
                hash.add(raw_value);
            }
            // What a restore with a raised revision leaves names no key.
            if key.tombstone || kv.key.is_empty() || !all.newest.is_newest(key, kv) {
                return;
            }
            counts.live = counts.live.saturating_add(1);
            if kv.lease != 0 && !leases.contains(&kv.lease) {
                counts.orphans = counts.orphans.saturating_add(1);
                if counts.lost_leases.len() < LEASES {
                    counts.lost_leases.insert(kv.lease);
                }
            }
        })?;
        counts.hash = hash.crc;
        all.counts = counts;
        Ok(all)
    }

    /// Whether this element of the key bucket is kept. What cannot be read is not: nobody can tell what it belongs to.
    pub(crate) fn keeps(&self, raw_key: &[u8], raw_value: &[u8]) -> bool {
        stored::read(raw_key, raw_value).is_ok_and(|(key, kv)| self.keeps_row(key, &kv))
    }

    fn keeps_row(&self, key: BucketKey, kv: &KeyValue<'_>) -> bool {
        let Some(compact) = self.rule.compact.filter(|compact| key.revision.main <= *compact) else {
            return self.rule.admits(key, kv);
        };
        self.rule.admits(key, kv)
            && (!key.tombstone || key.revision.main == compact)
            && self.newest.is_newest(key, kv)
    }
}

impl Rule {
    fn admits(&self, key: BucketKey, kv: &KeyValue<'_>) -> bool {
        self.until.is_none_or(|until| key.revision.main <= until) && self.keys.matches(kv.key)
    }
}

/// The ids of all leases.
fn leases(db: &Db<'_>) -> Result<BTreeSet<i64>> {
    let damaged = |corrupt| Error::damaged(db.source().path(), corrupt);
    let mut ids = BTreeSet::new();
    if let Some(leases) = db.root().bucket(b"lease").map_err(damaged)? {
        let mut cursor = leases.cursor();
        while let Some(item) = cursor.next().map_err(damaged)? {
            ids.extend(array_at(item.key, 0).map(i64::from_be_bytes));
        }
    }
    Ok(ids)
}

/// Every element of the key bucket that can be read.
fn rows(
    db: &Db<'_>,
    what: &str,
    monitor: &dyn Monitor,
    mut each: impl FnMut(BucketKey, &KeyValue<'_>, (&[u8], &[u8])),
) -> Result<()> {
    let damaged = |corrupt| Error::damaged(db.source().path(), corrupt);
    let Some(keys) = db.root().bucket(b"key").map_err(damaged)? else { return Ok(()) };
    let mut cursor = keys.cursor();
    monitor.begin(what, db.size());
    let (mut count, mut bytes) = (0u64, 0u64);
    while let Some(item) = cursor.next().map_err(damaged)? {
        if let Ok((key, kv)) = stored::read(item.key, item.value) {
            each(key, &kv, (item.key, item.value));
        }
        bytes = bytes.saturating_add(crate::codec::to_u64(item.key.len().saturating_add(item.value.len())));
        count = count.wrapping_add(1);
        if count.is_multiple_of(1024) {
            monitor.advance(std::mem::take(&mut bytes));
            if monitor.cancelled() {
                return Err(Error::Cancelled);
            }
        }
    }
    monitor.end();
    Ok(())
}
