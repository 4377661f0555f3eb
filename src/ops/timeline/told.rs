//! What each row was to its key, and what times follow.

use std::collections::HashMap;

use jiff::Timestamp;

use super::row::{Certainty, Row, What};
use crate::replay::clock::TimeEvidence;
use crate::words::ids::RaftIndex;

/// The last that is known of a key.
struct Last {
    deleted: bool,
    version: i64,
    own: Option<Timestamp>,
    who: u32,
    /// Its place in the log, if that tells all that became of the key since.
    logged: Option<RaftIndex>,
}

/// Goes through the rows in order; `gaps` are entries that are missing, of several in a row the last. A time is fresh
/// where the version before is known and told an older one; what an earlier version told already is no evidence.
pub(super) fn tell(rows: &mut [Row], gaps: &[RaftIndex]) -> Vec<TimeEvidence> {
    let (mut keys, mut evidence): (HashMap<u32, Last>, _) = (HashMap::new(), Vec::new());
    for row in rows.iter_mut().filter(|row| row.what.is_change()) {
        let foreign = row.contradicts && row.certainty == Certainty::Carved;
        if !row.is_exact() || foreign {
            keys.entry(row.key).and_modify(|last| last.logged = None);
            continue;
        }
        let last = keys.get(&row.key);
        let new = row.what == What::Created;
        row.what = match (row.what, last) {
            (What::Created | What::Put, Some(last)) if last.deleted => What::Recreated,
            (What::Created, Some(_)) => What::Recreated,
            (What::Put, Some(_)) => What::Changed,
            (what, _) => what,
        };
        let logged = row.entry.map(|(index, _)| index);
        if let Some(last) = last {
            last.tell_next(row, gaps);
        }
        if new {
            row.version = 1;
        }
        let told = last.is_some_and(|last| row.own <= last.own);
        if let Some(time) = row.own.filter(|_| !told) {
            evidence.push(TimeEvidence { revision: row.main, time, fresh: row.fresh });
        }
        let Row { version, own, who, .. } = *row;
        keys.insert(row.key, Last { deleted: row.what == What::Deleted, version, own, who, logged });
    }
    evidence
}

impl Last {
    /// What follows for the next row of the key, if nothing was between.
    fn tell_next(&self, row: &mut Row, gaps: &[RaftIndex]) {
        let run = |index: RaftIndex| gaps.partition_point(|gap| *gap <= index);
        let logged = self.logged.zip(row.entry).is_some_and(|(last, (next, _))| run(last) == run(next));
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
