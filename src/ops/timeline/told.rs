//! What each row was to its key, and what times follow.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;

use super::gather::Gathered;
use super::join::Joined;
use super::row::{Certainty, Interned, Row, What};
use crate::etcd::KeyRange;
use crate::replay::clock::TimeEvidence;
use crate::words::ids::RaftIndex;

/// The last that is known of a key.
struct Last {
    deleted: bool,
    /// Whether that may have become otherwise since: put where it was deleted, deleted where it was put.
    unsure: bool,
    version: i64,
    lease: i64,
    own: Option<Timestamp>,
    who: u32,
    /// Its place in the log, if that tells all that became of the key since.
    logged: Option<RaftIndex>,
}

/// All keys that something is known of so far.
struct Known<'k> {
    names: &'k Interned,
    last: HashMap<u32, Last>,
    /// Those that are there, in order.
    live: BTreeMap<&'k [u8], u32>,
    /// Those that were put with a lease.
    leased: HashMap<i64, Vec<u32>>,
    /// Those that may have been written before anything is known of them.
    perhaps: HashSet<u32>,
    /// Of entries that are missing in a row the last.
    gaps: &'k [RaftIndex],
    /// Whether the log begins with the keyspace.
    begins: bool,
}

/// Goes through the rows in order. A time is fresh where the version before is known and told an older one; what an
/// earlier version told already is no evidence.
pub(super) fn tell(gathered: &mut Gathered, joined: &Joined) -> Vec<TimeEvidence> {
    let Gathered { rows, keys, texts, .. } = gathered;
    let mut known = Known {
        names: keys,
        last: HashMap::new(),
        live: BTreeMap::new(),
        leased: HashMap::new(),
        perhaps: HashSet::new(),
        gaps: &joined.gaps,
        begins: joined.begins,
    };
    let mut evidence = Vec::new();
    for row in rows {
        match row.what {
            What::LeaseRevoked => known.revoked(row.lease),
            what if !what.is_change() => {}
            _ if row.contradicts && row.certainty == Certainty::Carved => known.asked(row.key, None),
            _ => match row.range.map(|range| texts.range(range)) {
                Some(range) => known.range_deleted(&range, row.is_exact()),
                None if row.is_exact() => evidence.extend(known.tell(row)),
                None => known.asked(row.key, Some(row.what)),
            },
        }
    }
    evidence
}

impl Known<'_> {
    /// Something may have become of a key, or was of another history.
    fn asked(&mut self, key: u32, what: Option<What>) {
        match self.last.get_mut(&key) {
            Some(last) => {
                last.logged = None;
                last.unsure |= what.is_some_and(|what| last.deleted == what.is_put());
            }
            None if what.is_some() => _ = self.perhaps.insert(key),
            None => {}
        }
    }

    /// The keys of a lease went with it, if it was there.
    fn revoked(&mut self, lease: i64) {
        for key in self.leased.remove(&lease).unwrap_or_default() {
            if let Some(last) = self.last.get_mut(&key).filter(|last| last.lease == lease && !last.deleted) {
                (last.unsure, last.logged) = (true, None);
            }
        }
    }

    /// The keys of a range were deleted, or may have been.
    fn range_deleted(&mut self, range: &KeyRange<'_>, sure: bool) {
        let there = self.live.range(range.first()..).take_while(|(name, _)| range.contains(name));
        let there: Vec<_> = there.map(|(name, key)| (*name, *key)).collect();
        for (name, key) in there {
            self.live.remove(name);
            if let Some(last) = self.last.get_mut(&key) {
                (last.deleted, last.unsure, last.logged) = (sure, !sure, None);
            }
        }
    }

    /// What a row whose revision is known was to its key, and the time that it tells.
    fn tell(&mut self, row: &mut Row) -> Option<TimeEvidence> {
        let logged = row.entry.map(|(index, _)| index);
        let last = self.last.get(&row.key);
        let first = || {
            // Of a log without a gap before it, that begins with the keyspace.
            let all = self.begins && logged.is_some_and(|index| run(self.gaps, index) == 0);
            all && !self.perhaps.contains(&row.key)
        };
        row.what = match (row.what, last) {
            (What::Put, None) if first() => What::Created,
            (What::Put, Some(last)) if last.unsure => What::Put,
            (What::Created | What::Put, Some(last)) if last.deleted => What::Recreated,
            (What::Created, Some(_)) => What::Recreated,
            (What::Put, Some(_)) => What::Changed,
            (what, _) => what,
        };
        if let Some(last) = last {
            last.tell_next(row, self.gaps);
        }
        if row.version == 0 && matches!(row.what, What::Created | What::Recreated) {
            row.version = 1;
        }
        let told = last.is_some_and(|last| row.own <= last.own);
        let time = row.own.filter(|_| !told);
        self.learn(row, logged);
        time.map(|time| TimeEvidence { revision: row.main, time, fresh: row.fresh })
    }

    /// Takes a row in as the last that is known of its key.
    fn learn(&mut self, row: &Row, logged: Option<RaftIndex>) {
        let Row { key, version, lease, own, who, .. } = *row;
        let deleted = row.what == What::Deleted;
        let name = self.names.get(key);
        if deleted {
            self.live.remove(name);
        } else {
            self.live.insert(name, key);
        }
        if lease != 0 && !deleted {
            self.leased.entry(lease).or_default().push(key);
        }
        self.last.insert(key, Last { deleted, unsure: false, version, lease, own, who, logged });
    }
}

/// Between which gaps an entry is.
fn run(gaps: &[RaftIndex], index: RaftIndex) -> usize {
    gaps.partition_point(|gap| *gap <= index)
}

impl Last {
    /// What follows for the next row of the key, if nothing was between.
    fn tell_next(&self, row: &mut Row, gaps: &[RaftIndex]) {
        let logged = self.logged.zip(row.entry);
        let logged = logged.is_some_and(|(last, (next, _))| run(gaps, last) == run(gaps, next));
        let next = self.version.checked_add(1).filter(|next| *next > 1);
        if self.deleted || !row.what.is_put() || !(logged || next == Some(row.version)) {
            return;
        }
        if row.version == 0 {
            row.version = next.unwrap_or(0);
        }
        row.fresh |= row.own.is_some() && row.own > self.own;
        row.repeats = row.own == self.own && row.who == self.who;
    }
}
