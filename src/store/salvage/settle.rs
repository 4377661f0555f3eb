//! Which of the versions that were found were in the keyspace, and what is known to be missing.

use std::collections::{BTreeSet, HashMap};

use serde::Serialize;

use super::rows::{Lies, Reader, Row, Standing};
use super::{Gathered, Hole};
use crate::bolt::found::{Doubts, FoundPages};
use crate::codec::to_u64;
use crate::etcd::{KeyValue, Revision};
use crate::words::text::Told;

/// Copies of a version that are compared.
const COPIES: usize = 64;

/// Why a version that was found is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LeftOut {
    /// It may have been superseded or deleted before the last compaction: nothing newer of its key was found.
    Uncertain,
    /// A part of its value is something else, or nothing proves it to be of it.
    Torn,
    /// Two values were found under its revision.
    Conflict,
    /// It does not follow from what came before: a byte of it, or of that, was changed.
    Contradiction,
}

/// A version that is left out.
#[derive(Debug, Clone, Serialize)]
pub struct LeftOutVersion {
    /// Its revision.
    pub revision: String,
    /// The key.
    pub key: Told,
    /// The Kubernetes object whose key it is, as kubectl is asked for it.
    pub object: Option<Told>,
    /// Why.
    pub why: LeftOut,
}

/// Revisions of which nothing was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct MissingRevisions {
    /// The first.
    pub from: i64,
    /// The last.
    pub to: i64,
}

/// What is to be written.
pub(crate) struct Settled {
    /// In order.
    pub rows: Vec<Row>,
    /// The compact revision that is to be written in place of the one that was found: of the revisions before it some
    /// are missing.
    pub compacted: Option<i64>,
    pub left_out: Vec<LeftOutVersion>,
    /// Uncertain versions that were taken all the same.
    pub included: u64,
    /// After the last compaction.
    pub missing: Vec<MissingRevisions>,
    /// Pages that are lost with revisions before the last compaction, or nobody knows which.
    pub holes: Vec<Hole>,
    /// Whether there are rows after the last of the newest tree that is left: then it was not the newest.
    pub beyond: bool,
    /// Versions of the other files that are not those of the newest tree: then they are of another history.
    pub contradicted: u64,
}

/// The newest row of a key up to the compaction, and the first one after it.
#[derive(Default)]
struct Life {
    before: Option<Row>,
    after: Option<Row>,
}

/// Judges all rows. Those that are uncertain are taken if that is `include`d, those of `wrong` revisions never.
pub(crate) fn settle(
    gathered: &mut Gathered,
    files: &[FoundPages<'_>],
    include: bool,
    wrong: &BTreeSet<Revision>,
) -> Settled {
    let mut rows = std::mem::take(&mut gathered.rows.rows);
    rows.sort_by_key(|row| (row.key, row.standing, row.doubts.lost, row.doubts.loose, row.file));
    // What lies elsewhere than this database's pages are due may be another's, if there is one.
    let another = holds_another(&rows);
    rows.retain(|row| {
        let base = base_of(gathered, files, row);
        let due = files.get(usize::from(row.file)).map(|found| found.layout.base);
        let is_others = row.file == 0 && base.is_some_and(|base| gathered.others.contains(&base));
        row.standing == Standing::Tree || base.is_none() || base == due || !(another || is_others)
    });
    let mut holes = std::mem::take(&mut gathered.holes);
    holes.retain(|hole| hole.to.is_none_or(|to| hole.from <= to));
    let last = rows.iter().filter(|row| row.standing == Standing::Tree).map(main).max();
    // A tree that is known to be the newest lacks nothing but what its lost pages held.
    let ranges = Ranges::of(&holes, last.filter(|_| !gathered.newest && gathered.top.is_some()));
    let compacted = gathered.top.as_ref().map_or(i64::MAX, super::Top::compacted);
    let state: Vec<(bool, bool)> = (0u8..)
        .zip(files)
        .map(|(file, found)| {
            let disorder = found.has_displaced(&gathered.others);
            (disorder, disorder || found.unreadable > 0 || file == 0 && !holes.is_empty())
        })
        .collect();
    let reader = Reader::new(files, &gathered.rows.leaves);
    let mut run = Run { reader, compacted, left_out: Vec::new(), included: 0, contradicted: 0 };
    rows.retain(|row| {
        let fits = !wrong.contains(&row.key.revision);
        if !fits {
            run.leave_out(Some(row), LeftOut::Contradiction);
        }
        fits
    });
    let (certain, uncertain) = run.choose(rows, &ranges, &state);
    let missing = gaps(&certain, compacted);
    let beyond = certain.last().is_some_and(|row| last.is_none_or(|last| main(row) > last));
    let as_it_was = missing.is_empty() && run.left_out.is_empty() && holes.is_empty() && !beyond;
    let (rows, raised) = match as_it_was {
        true => (certain, None),
        false => run.live_on(certain, uncertain, &missing, include),
    };
    // What is missing after the compaction is known to the revision.
    holes.retain(|hole| hole.to.is_none() || hole.from <= compacted && !hole.filled);
    let Run { left_out, included, contradicted, .. } = run;
    Settled { rows, compacted: raised, left_out, included, missing, holes, beyond, contradicted }
}

/// Whether the file has two versions that contradict each other: it holds another database, too. Rows are in order.
fn holds_another(rows: &[Row]) -> bool {
    rows.chunk_by(|a, b| a.key == b.key).any(|same| {
        let mut sound = same.iter().filter(|row| row.file == 0 && row.doubts == Doubts::default());
        sound.next().is_some_and(|first| sound.take(COPIES).any(|row| row.bytes != first.bytes))
    })
}

/// Where page 0 would be if the page of a row lay where it is due.
fn base_of(gathered: &Gathered, files: &[FoundPages<'_>], row: &Row) -> Option<i64> {
    let Lies::In { page, .. } = row.lies else { return None };
    let leaf = gathered.rows.leaves.get(usize::try_from(page).ok()?)?;
    files.get(usize::from(row.file))?.base_of(leaf.id, leaf.offset)
}

/// Ranges of revisions, both ends in them, in order and apart.
struct Ranges(Vec<(i64, i64)>);

impl Ranges {
    /// Those of the holes, and what comes after `last`.
    fn of(holes: &[Hole], last: Option<i64>) -> Ranges {
        let mut all: Vec<_> = holes.iter().map(|hole| (hole.from, hole.to.unwrap_or(i64::MAX))).collect();
        all.extend(last.map(|last| (last.saturating_add(1), i64::MAX)));
        all.sort_unstable();
        let mut ranges: Vec<(i64, i64)> = Vec::new();
        for (from, to) in all {
            match ranges.last_mut() {
                Some(before) if from <= before.1 => before.1 = before.1.max(to),
                _ => ranges.push((from, to)),
            }
        }
        Ranges(ranges)
    }

    fn contain(&self, main: i64) -> bool {
        let behind = self.0.partition_point(|(from, _)| *from <= main);
        behind.checked_sub(1).and_then(|at| self.0.get(at)).is_some_and(|(_, to)| main <= *to)
    }
}

struct Run<'r, 's> {
    reader: Reader<'r, 's>,
    compacted: i64,
    left_out: Vec<LeftOutVersion>,
    included: u64,
    contradicted: u64,
}

fn main(row: &Row) -> i64 {
    row.key.revision.main
}

impl Run<'_, '_> {
    /// Of each revision one, and what is certain apart from what is not.
    fn choose(
        &mut self,
        mut rows: Vec<Row>,
        ranges: &Ranges,
        state: &[(bool, bool)],
    ) -> (Vec<Row>, Vec<Row>) {
        rows.sort_by_key(|row| (row.key, row.standing, row.doubts.lost, row.doubts.loose, row.file));
        let (mut certain, mut uncertain) = (Vec::new(), Vec::new());
        for same in rows.chunk_by(|a, b| a.key == b.key) {
            // Of copies without end the first ones do.
            let same = same.get(..COPIES).unwrap_or(same);
            let good = |row: &&Row| {
                let (disorder, damaged) = state.get(usize::from(row.file)).copied().unwrap_or((true, true));
                let Doubts { lost, loose, blank } = row.doubts;
                // What is the same in two places is as it was written.
                let again = || same.iter().filter(|other| other.bytes == row.bytes).count() > 1;
                !(lost || blank && damaged || loose && disorder && !again())
            };
            let known = |row: &Row| row.standing == Standing::Tree || ranges.contain(main(row));
            if !same.first().is_some_and(known) {
                continue;
            }
            let Some(first) = same.iter().find(good) else {
                self.leave_out(same.first(), LeftOut::Torn);
                continue;
            };
            let other =
                |row: &Row| row.file > 0 && row.doubts == Doubts::default() && row.bytes != first.bytes;
            if first.standing == Standing::Tree && same.iter().any(other) {
                self.contradicted = self.contradicted.saturating_add(1);
            }
            // What the newest tree leads to is right, whatever else there is.
            let mut peers = same.iter().filter(good).filter(|row| row.standing == first.standing);
            if first.standing != Standing::Tree && peers.any(|row| row.bytes != first.bytes) {
                self.leave_out(Some(first), LeftOut::Conflict);
            } else if first.standing < Standing::Elsewhere || main(first) > self.compacted {
                certain.push(*first);
            } else {
                uncertain.push(*first);
            }
        }
        (certain, uncertain)
    }

    fn leave_out(&mut self, row: Option<&Row>, why: LeftOut) {
        let Some(row) = row else { return };
        let bytes = self.reader.bytes(row).unwrap_or_default();
        let key = KeyValue::decode(&bytes).map_or(&[][..], |kv| kv.key);
        let key = Told::from(String::from_utf8_lossy(key));
        self.left_out.push(LeftOutVersion { revision: row.key.revision.to_string(), key, object: None, why });
    }

    /// A keyspace that goes on from what is known: up to a revision only the newest version of each key, and after it
    /// everything. Gives that revision too, if it is another than was found.
    fn live_on(
        &mut self,
        certain: Vec<Row>,
        uncertain: Vec<Row>,
        missing: &[MissingRevisions],
        include: bool,
    ) -> (Vec<Row>, Option<i64>) {
        let last = certain.iter().chain(&uncertain).map(main).max().unwrap_or(0);
        let from = missing.last().map_or(0, |gap| gap.to).max(self.compacted.min(last));
        let mut until = from;
        let mut lives: HashMap<u64, Life> = HashMap::new();
        for row in &certain {
            let life = lives.entry(row.user).or_default();
            match &mut life.after {
                _ if main(row) <= from => life.before = Some(*row),
                after @ None => *after = Some(*row),
                Some(_) => {}
            }
        }
        let mut newest: HashMap<u64, Row> = HashMap::new();
        // They are in order.
        newest.extend(uncertain.iter().map(|row| (row.user, *row)));
        let mut newest: Vec<Row> = newest.into_values().collect();
        newest.sort_by_key(|row| row.key);
        for row in newest {
            let life = lives.entry(row.user).or_default();
            let superseded = life.before.is_some_and(|before| before.key > row.key);
            if superseded || row.key.tombstone {
                continue;
            }
            if let Some(after) = life.after {
                if self.leads_to(&row, &after) {
                    life.before = Some(row);
                }
            } else if include {
                life.before = Some(row);
                self.included = self.included.saturating_add(1);
            } else {
                self.leave_out(Some(&row), LeftOut::Uncertain);
            }
        }
        let mut lives: Vec<Life> = lives.into_values().collect();
        lives.sort_by_key(|life| (life.after.or(life.before)).map(|row| row.key));
        let mut kept = Vec::new();
        for life in lives {
            let linked = match (&life.before, &life.after) {
                (Some(before), Some(after)) => self.leads_to(before, after),
                (None, Some(after)) => self.begins(after),
                (_, None) => true,
            };
            let begins = |run: &mut Self| life.after.is_some_and(|after| run.begins(&after));
            if linked {
                kept.extend(life.before);
            } else if let Some(after) = life.after.filter(|_| !begins(self)) {
                until = until.max(main(&after));
            }
        }
        let marked = until > self.compacted || self.compacted == i64::MAX;
        (compact(kept, certain, from, until), marked.then_some(until))
    }

    /// Whether `after` is what came next of a key after `before`.
    fn leads_to(&mut self, before: &Row, after: &Row) -> bool {
        if before.key.tombstone || after.key.tombstone {
            return !before.key.tombstone || self.begins(after);
        }
        let (Some(one), Some(two)) = (self.reader.bytes(before), self.reader.bytes(after)) else {
            return false;
        };
        let (Ok(one), Ok(two)) = (KeyValue::decode(&one), KeyValue::decode(&two)) else { return false };
        let counted = two.version == one.version.saturating_add(1) || two.version == 0;
        one.create_revision == two.create_revision && counted && !two.begins()
    }

    /// Whether nothing of the key comes before.
    fn begins(&mut self, row: &Row) -> bool {
        let bytes = self.reader.bytes(row).unwrap_or_default();
        !row.key.tombstone && KeyValue::decode(&bytes).is_ok_and(|kv| kv.begins() || kv.key.is_empty())
    }
}

/// What a compaction at `until` leaves of these: `kept` are the newest versions up to `from` as far as they are known,
/// `certain` are all that are.
fn compact(kept: Vec<Row>, certain: Vec<Row>, from: i64, until: i64) -> Vec<Row> {
    let mut newest: HashMap<u64, Row> = kept.into_iter().map(|row| (row.user, row)).collect();
    let (before, after): (Vec<Row>, Vec<Row>) =
        certain.into_iter().filter(|row| main(row) > from).partition(|row| main(row) <= until);
    newest.extend(before.into_iter().map(|row| (row.user, row)));
    let mut rows: Vec<Row> = newest.into_values().filter(|row| !row.key.tombstone).collect();
    rows.extend(after);
    rows.sort_by_key(|row| row.key);
    rows
}

/// Revisions after the compaction that nothing was found of: they follow each other without a gap, and so do the
/// changes in one.
fn gaps(rows: &[Row], compacted: i64) -> Vec<MissingRevisions> {
    let mut missing: Vec<MissingRevisions> = Vec::new();
    let mut lost = |from: i64, to: i64| match missing.last_mut() {
        Some(last) if from <= last.to.saturating_add(1) => last.to = last.to.max(to),
        _ => missing.push(MissingRevisions { from, to }),
    };
    let mut next = compacted.max(1).saturating_add(1);
    let after = rows.iter().skip_while(|row| main(row) <= compacted.max(1));
    let after: Vec<&Row> = after.collect();
    for same in after.chunk_by(|a, b| main(a) == main(b)) {
        let Some(now) = same.first().map(|row| main(row)) else { continue };
        if now > next {
            lost(next, now.saturating_sub(1));
        }
        let due = same.iter().zip(0i64..).all(|(row, sub)| row.key.revision.sub == sub);
        if !due {
            lost(now, now);
        }
        next = now.saturating_add(1);
    }
    missing
}

/// How many revisions these are.
pub(crate) fn count(missing: &[MissingRevisions]) -> u64 {
    let length = |gap: &MissingRevisions| u64::try_from(gap.to.saturating_sub(gap.from)).unwrap_or(0);
    missing.iter().map(length).fold(to_u64(missing.len()), u64::saturating_add)
}
