//! A restore of a part of the keyspace: as it was at a revision, or of some keys only.
//!
//! | Asked for | What is kept | Compaction marks |
//! |---|---|---|
//! | `--rev N` | every revision up to N, as the source has it | the source's |
//! | `--prefix`, `--exclude-prefix` | of the keys that are meant what a compaction at the last revision leaves: what is live | finished at that revision |
//!
//! A part of the keys is compacted for two reasons. The revision, which etcd takes from the last stored one or from
//! the compaction, whichever is greater (`store.restore`), must not fall because the last change was to a key that is
//! left out. And a client that goes on from an older revision must be told "compacted" and list anew: no event will
//! tell it of the keys that are gone.

use super::RestoreOptions;
use crate::bolt::Db;
use crate::etcd::Facts;
use crate::store::hashkv::{HashKvOptions, hashkv};
use crate::store::keep::{KeyFilter, Rule, Selection};
use crate::words::error::{Result, show_bytes};
use crate::words::hint::{Hint, Note};
use crate::words::monitor::{Monitor, Quiet};
use crate::words::refusal::{Refusal, RevisionRange};

/// A part of the keyspace.
#[derive(Debug)]
pub(super) struct Part {
    /// What is kept.
    pub selection: Selection,
    /// The revision it ends with.
    pub revision: i64,
    /// Where it is marked as compacted, if that is not where the source is.
    pub compact: Option<i64>,
    /// HashKV of it.
    pub hash: u32,
    /// What differs from the source.
    pub changes: Vec<String>,
    /// What a person should know.
    pub advice: Vec<Note>,
}

impl Part {
    /// The part that `options` want of a database that says `facts` and is at revision `current`; `None` is all of it.
    pub(super) fn new(
        db: &Db<'_>,
        options: &RestoreOptions,
        facts: &Facts,
        current: i64,
        monitor: &dyn Monitor,
    ) -> Result<Option<Part>> {
        let asked = options.revision.map(|revision| at(revision, facts, current)).transpose()?;
        let until = asked.filter(|revision| *revision < current);
        let filtered = options.keys != KeyFilter::default();
        if until.is_none() && !filtered {
            return Ok(None);
        }
        let revision = until.unwrap_or(current);
        // The empty store is at revision 1, and nothing can be compacted in it.
        let compact = (filtered && revision > 1).then_some(revision);
        let selection = Selection::new(db, Rule { until, compact, keys: options.keys.clone() }, monitor)?;
        let hash = if filtered {
            selection.counts.hash
        } else {
            // What is wrong with the source is told when it is verified.
            hashkv(db.source(), &HashKvOptions { revision: until, ..HashKvOptions::default() }, &Quiet)?.hash
        };
        let mut part = Part { selection, revision, compact, hash, changes: Vec::new(), advice: Vec::new() };
        if let Some(until) = until {
            part.tell_end(until, current, options.bump.is_none());
        }
        if filtered {
            part.tell_keys(&options.keys);
        }
        part.tell_counts();
        Ok(Some(part))
    }

    /// What follows from an end before the source's.
    fn tell_end(&mut self, until: i64, current: i64, falls: bool) {
        self.changes.push(format!(
            "key: what happened after revision {until} is left out; the source is at {current}"
        ));
        self.changes
            .push("leases, users, roles and alarms: as at the source's end, they have no history".to_owned());
        if falls {
            let what =
                format!("clients that saw revisions after {until} will see them again, with other content");
            self.advice.push(Note::with(what, Hint::RaiseRevision));
        }
    }

    /// What follows from a choice of keys.
    fn tell_keys(&mut self, keys: &KeyFilter) {
        let live = self.selection.counts.live;
        let list = |all: &[Vec<u8>]| {
            all.iter().map(|prefix| format!("{:?}", show_bytes(prefix))).collect::<Vec<_>>().join(", ")
        };
        let mut which = Vec::new();
        if !keys.prefixes.is_empty() {
            which.push(format!("that begin with {}", list(&keys.prefixes)));
        }
        if !keys.excluded.is_empty() {
            which.push(format!("that do not begin with {}", list(&keys.excluded)));
        }
        let which = which.join(" and ");
        self.changes.push(format!("PART OF THE KEYSPACE: only the keys {which}, {live} live ones"));
        self.changes
            .push("leases, users and roles: all of the source's; a lease whose keys are left out runs out by itself".to_owned());
        if let Some(compact) = self.compact {
            let why = "so that the revision does not fall, and clients are told to list anew";
            self.changes.push(format!(
                "meta: compacted at revision {compact}, {why}; older revisions of these keys are left out"
            ));
        }
        if live == 0 {
            self.advice
                .push("no live key is among those that were chosen: the restored store is empty".into());
        }
    }

    /// How much is kept.
    fn tell_counts(&mut self) {
        let counts = &self.selection.counts;
        let all = counts.kept.saturating_add(counts.dropped);
        self.changes.push(format!("key: {} stored revisions of {all}", counts.kept));
        if counts.orphans > 0 {
            let (orphans, leases) = (counts.orphans, counts.lost_leases.len());
            let what =
                format!("{orphans} live keys name leases that the source no longer has ({leases} leases)");
            let what = format!("{what}: they were revoked or ran out later, and the keys will not expire");
            self.advice.push(what.into());
        }
    }
}

/// The revision, if the database still has it; refused in etcd's words.
fn at(revision: i64, facts: &Facts, current: i64) -> Result<i64> {
    let first = facts.compact_revision().unwrap_or(0).max(1);
    let there = RevisionRange { file: None, first, last: current };
    if revision > current {
        return Err(Refusal::Future { asked: revision, there }.into());
    }
    if revision < first {
        return Err(Refusal::Compacted { asked: revision, there }.into());
    }
    Ok(revision)
}
