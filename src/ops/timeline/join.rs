//! The entries of logs beside what databases hold: those that made what is known there, and what is in a log alone.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::gather::Gathered;
use super::log::{Asked, Logged, logged};
use super::place::{Bounds, FIRST, Makes, Places};
use super::row::{Certainty, Row, SourceKind, Sources, What};
use crate::replay::MemberLog;
use crate::replay::fold::Raised;
use crate::store::ValueOpener;
use crate::wal::LogCursor;
use crate::words::cause::Cause;
use crate::words::error::{Error, Result};
use crate::words::ids::RaftIndex;
use crate::words::monitor::Monitor;

/// Deletions that are looked at for one request.
const LOOKED_AT: usize = 1000;

/// The entries of all logs, each once.
#[derive(Default)]
pub(super) struct Logs {
    entries: BTreeMap<RaftIndex, (Logged, Sources)>,
    /// The last that is known to be committed.
    committed: RaftIndex,
    /// Revisions that entries made, as applying them told.
    raised: Vec<Raised>,
    /// The last entry in a database, and its revision.
    databases: Vec<(RaftIndex, i64)>,
    /// The last entry in a database, its log applied, and the revision up to which it is compacted.
    compacted: Vec<(RaftIndex, i64)>,
    /// The first entry that a raft snapshot ends with.
    snapshot: Option<RaftIndex>,
    /// Whether requests may have been refused whatever they ask for: for want of a permission, or of space.
    doubt: bool,
}

impl Logs {
    /// Takes in a log. Of two entries with one index that of the later term stands; with one index and one term they
    /// are the same, in all logs of one history.
    ///
    /// # Errors
    /// [`Error::Unreadable`] if they are not; [`Error::Damaged`]; [`Error::Cancelled`].
    pub fn add(
        &mut self,
        log: &MemberLog,
        input: usize,
        opener: Option<ValueOpener<'_>>,
        gathered: &mut Gathered,
        monitor: &dyn Monitor,
    ) -> Result<()> {
        let from = Sources::of(input, SourceKind::Wal);
        let (read, all) = (log.read(monitor)?, log.log());
        self.committed = self.committed.max(read.summary.commit().into());
        let snapshots = read.summary.snapshots.iter().map(|snapshot| RaftIndex::new(snapshot.index()));
        self.snapshot = snapshots.filter(|index| index.get() > 0).chain(self.snapshot).min();
        let mut cursor = LogCursor::default();
        for at in &read.entries {
            if monitor.cancelled() {
                return Err(Error::Cancelled);
            }
            let known = self.entries.get_mut(&at.index);
            if known.as_ref().is_some_and(|(known, _)| known.term > at.term) {
                continue;
            }
            let entry =
                all.reread(at, &mut cursor).map_err(|corrupt| Error::damaged(log.place(), corrupt))?;
            if let Some((known, sources)) = known.filter(|(known, _)| known.term == at.term) {
                if known.hash != gathered.hash(entry.bytes()) {
                    let number = sources.each().next().map_or(0, |(input, _)| input.saturating_add(1));
                    let what = format!(
                        "its entry {} of term {} is another than that in the log of input {number}: what happened in two histories has no common order",
                        at.index, known.term
                    );
                    return Err(Error::unreadable(log.place(), Cause::Content(what)));
                }
                sources.add(from);
                continue;
            }
            let entry = logged(&entry, gathered, opener);
            self.doubt |= matches!(entry.other, Some((What::Alarm | What::Auth, _)));
            self.entries.insert(at.index, (entry, from));
        }
        Ok(())
    }

    /// What applying the end of a log told.
    pub fn applied(&mut self, raised: &[Raised], last: Option<RaftIndex>) {
        self.raised.extend(raised);
        self.committed = self.committed.max(last.unwrap_or_default());
    }

    /// Where a database beside a log ends, and whether requests may have been refused.
    pub fn database(&mut self, index: RaftIndex, revision: i64, doubt: bool) {
        self.databases.push((index, revision));
        self.doubt |= doubt;
    }

    /// Up to which revision a database is compacted, and the last entry that is in it.
    pub fn compacted(&mut self, index: RaftIndex, revision: i64) {
        self.compacted.push((index, revision));
    }

    /// Joins the entries with what was gathered, which is in order, and puts what is in a log alone behind it.
    pub fn join(self, gathered: &mut Gathered) -> Joined {
        let slots = self.slots();
        let gaps =
            slots.all.iter().filter(|(_, makes)| *makes == Makes::ANY).map(|(index, _)| *index).collect();
        let mut joined = Joined { committed: self.committed, gaps, ..Joined::default() };
        for (at, row) in gathered.rows.iter().enumerate().filter(|(_, row)| row.is_exact()) {
            joined.held.entry((row.key, row.what.is_put(), row.hash)).or_default().push(at);
            if row.what == What::Deleted {
                joined.deletions.push(at);
            }
        }
        let places = self.places(&slots, &gathered.rows);
        joined.begins = places.begins();
        let bounds = places.bounds();
        let of_entries = slots.all.iter().zip(bounds).filter(|((_, makes), _)| *makes != Makes::ANY);
        for ((entry, from), (_, bounds)) in self.entries.into_values().zip(of_entries) {
            joined.entry(&entry, from, bounds, gathered);
        }
        gathered.rows.append(&mut joined.new);
        joined
    }

    /// What is known of the revisions that entries made.
    fn places(&self, slots: &Slots, rows: &[Row]) -> Places {
        let mut places = Places::new(slots.all.iter().map(|(_, makes)| *makes).collect());
        for (index, revision) in &self.databases {
            if let Some(place) = slots.place(*index) {
                places.know(place, *revision);
            }
        }
        let mut made = |index: RaftIndex, revision: i64| {
            if let Some(place) = slots.place(index) {
                places.made(place, revision);
            }
        };
        self.raised.iter().for_each(|raised| made(raised.index, raised.revision));
        let mut held: HashMap<(u32, u64), Option<i64>> = HashMap::new();
        for row in rows.iter().filter(|row| row.is_exact() && row.what.is_put() && !row.contradicts) {
            if let Some(hash) = row.hash {
                let one = held.entry((row.key, hash)).or_insert(Some(row.main));
                *one = one.filter(|main| *main == row.main);
            }
        }
        for (entry, _) in self.entries.values() {
            let known = |asked: &Asked| held.get(&(asked.key, asked.hash?)).copied().flatten();
            if let Some(revision) = entry.asked.iter().find_map(known) {
                made(entry.index, revision);
            }
        }
        slots.told.iter().for_each(|(index, revision)| made(*index, *revision));
        if self.begins(slots) {
            places.know(-1, FIRST);
        }
        for (last, revision) in &self.compacted {
            // That was done when it was asked for the last time, or before: earlier it may have been refused.
            let mut asked = self.entries.range(..=*last).rev();
            let asked = asked.find(|(_, (entry, _))| entry.compacts == Some(*revision));
            if let Some(place) = asked.and_then(|(index, _)| slots.place(*index)) {
                places.at_least(place, *revision);
            }
        }
        places
    }

    /// Whether the log begins with its cluster, whose keyspace is empty then. What a restore makes begins with entries
    /// that say who is a member, and a raft snapshot at the last of them; and a database that was put there without its
    /// log is ahead of the one that begins beside it.
    fn begins(&self, slots: &Slots) -> bool {
        let first = self.entries.keys().next().is_some_and(|first| first.get() == 1);
        let mut databases = self.databases.iter().map(|(index, _)| slots.place(*index));
        let restored = self
            .snapshot
            .is_some_and(|snapshot| self.entries.range(..=snapshot).all(|(_, (entry, _))| entry.of_members));
        first && !restored && databases.all(|place| place.is_some())
    }

    /// How many revisions each entry makes, and what conditions on revisions tell. A revision is of the last change
    /// before; and of several changes on the same one at most the first is done, as there is another revision then.
    fn slots(&self) -> Slots {
        let mut slots = Slots::default();
        let (mut met, mut last): (HashSet<_>, HashMap<u32, RaftIndex>) = Default::default();
        for (entry, _) in self.entries.values() {
            let before = RaftIndex::new(entry.index.get().saturating_sub(1));
            if slots.all.last().is_some_and(|(index, _)| *index != before) {
                slots.all.push((before, Makes::ANY));
                last.clear();
            }
            let changes = |key: u32| entry.asked.iter().any(|asked| asked.key == key);
            let on = entry.on.filter(|(key, revision)| *revision > 0 && changes(*key));
            // What may be refused for another reason leaves the next one its chance.
            let plain = !self.doubt && entry.asked.iter().all(|asked| asked.lease == 0);
            let late = on.is_some_and(|on| if plain { !met.insert(on) } else { met.contains(&on) });
            let makes = match entry.makes {
                _ if late => Makes::NONE,
                Makes::ONE if self.doubt => Makes::PERHAPS,
                makes => makes,
            };
            slots.all.push((entry.index, makes));
            if late {
                continue;
            }
            slots.told.extend(on.and_then(|(key, revision)| Some((*last.get(&key)?, revision))));
            last.extend(entry.asked.iter().map(|asked| (asked.key, entry.index)));
        }
        slots
    }
}

/// The entries, and one slot for all that are missing at a place, under the index of the last of them.
#[derive(Default)]
struct Slots {
    all: Vec<(RaftIndex, Makes)>,
    /// Revisions that entries made, by what later ones say.
    told: Vec<(RaftIndex, i64)>,
}

impl Slots {
    /// The place of an entry; -1 is before the first.
    fn place(&self, index: RaftIndex) -> Option<i64> {
        let first = self.all.first().is_some_and(|(first, _)| *first == index.next());
        let at = self.all.binary_search_by_key(&index, |(index, _)| *index);
        at.ok().and_then(|at| i64::try_from(at).ok()).or(Some(-1).filter(|_| first))
    }
}

/// What joining made.
#[derive(Default)]
pub(super) struct Joined {
    new: Vec<Row>,
    committed: RaftIndex,
    /// Where rows of a key are that put this, or deleted it, in order.
    held: HashMap<(u32, bool, Option<u64>), Vec<usize>>,
    /// Where deletions are, in order.
    deletions: Vec<usize>,
    /// Whether the first entry found no keys.
    pub begins: bool,
    /// Requests that changed nothing.
    pub without_effect: u64,
    /// Of entries that are missing in a row the last.
    pub gaps: Vec<RaftIndex>,
}

impl Joined {
    fn entry(&mut self, entry: &Logged, from: Sources, bounds: Bounds, gathered: &mut Gathered) {
        if let Some(revision) = bounds.made() {
            self.made(entry, from, revision, gathered);
        } else if bounds.made_none() {
            self.without_effect = self.without_effect.saturating_add(u64::from(!entry.asked.is_empty()));
        } else {
            self.perhaps(entry, from, bounds, gathered);
        }
        if let Some((what, detail)) = entry.other {
            let mut row = self.row(what, entry, from);
            (row.main, row.until, row.made, row.detail) = (bounds.after.0, bounds.after.1, false, detail);
            row.lease = entry.revokes.unwrap_or(0);
            self.new.push(row);
        }
    }

    /// What the entry did of which the revision is known: all that is known at that revision, and what is missing
    /// there.
    fn made(&mut self, entry: &Logged, from: Sources, revision: i64, gathered: &mut Gathered) {
        let whole = gathered.is_whole(revision.saturating_sub(1), revision);
        let Gathered { rows, keys, texts, .. } = gathered;
        let first = rows.partition_point(|row| row.main < revision);
        let there = rows.iter_mut().skip(first).take_while(|row| row.main == revision);
        let mut there: Vec<&mut Row> = there.filter(|row| row.is_exact()).collect();
        for row in &mut there {
            row.sources.add(from);
            row.entry = Some((entry.index, entry.term));
            row.certainty = if entry.index <= self.committed { Certainty::Certain } else { row.certainty };
        }
        if whole && !there.is_empty() {
            return;
        }
        let done: HashSet<(u32, bool)> = there.iter().map(|row| (row.key, row.what.is_put())).collect();
        let deleted = there.iter().filter(|row| row.what == What::Deleted);
        let deleted: BTreeSet<&[u8]> = deleted.map(|row| keys.get(row.key)).collect();
        let holds = |asked: &Asked| match asked.range.map(|range| texts.range(range)) {
            Some(range) => deleted.range(range.first()..).next().is_some_and(|key| range.contains(key)),
            None => done.contains(&(asked.key, asked.put)),
        };
        let both =
            entry.asked.iter().any(|one| one.otherwise) && entry.asked.iter().any(|one| !one.otherwise);
        let of_branch = |otherwise: bool| entry.asked.iter().filter(move |one| one.otherwise == otherwise);
        let branch = [false, true].into_iter().find(|branch| of_branch(*branch).any(holds));
        let branch = branch.or_else(|| Some(of_branch(true).next().is_some()).filter(|_| !both));
        let missing = entry.asked.iter().filter(|one| branch.is_none_or(|branch| branch == one.otherwise));
        let missing: Vec<&Asked> = missing.filter(|one| !holds(one)).collect();
        for (sub, asked) in (0..).zip(missing) {
            let mut row = self.asked(asked, entry, from);
            (row.main, row.until, row.sub) = (revision, revision, sub);
            if branch.is_none() {
                row.certainty = Certainty::Requested;
            }
            self.new.push(row);
        }
    }

    /// What the entry asks for of which the revision is not known: some of it may be known without the entry.
    fn perhaps(&mut self, entry: &Logged, from: Sources, bounds: Bounds, gathered: &mut Gathered) {
        for asked in &entry.asked {
            if asked.range.is_some() && self.of_range(entry, asked, from, bounds, gathered) {
                continue;
            }
            let rows =
                self.held.get(&(asked.key, asked.put, asked.hash)).map(Vec::as_slice).unwrap_or_default();
            let main = |at: usize| gathered.rows.get(at).map_or(0, |row| row.main);
            let next = rows.partition_point(|at| main(*at) <= bounds.before.0);
            let known = rows.get(next).copied().filter(|at| main(*at) <= bounds.after.1);
            if let Some(row) = known.and_then(|at| gathered.rows.get_mut(at)) {
                row.sources.add(from);
                continue;
            }
            let mut row = self.asked(asked, entry, from);
            (row.main, row.until) = (bounds.before.0, bounds.after.1);
            row.made = false;
            row.certainty = row.certainty.max(Certainty::Requested);
            self.new.push(row);
        }
    }

    /// Finds the deletions that one of several keys made; whether they are found, or it is known that there were none.
    fn of_range(
        &mut self,
        entry: &Logged,
        asked: &Asked,
        from: Sources,
        bounds: Bounds,
        gathered: &mut Gathered,
    ) -> bool {
        let whole = gathered.is_whole(bounds.before.0, bounds.after.1);
        let Gathered { rows, keys, texts, .. } = gathered;
        let Some(range) = asked.range.map(|range| texts.range(range)) else { return false };
        let main = |at: usize| rows.get(at).map_or(0, |row| row.main);
        let next = self.deletions.partition_point(|at| main(*at) <= bounds.before.0);
        let deletions = self.deletions.iter().skip(next).take_while(|at| main(**at) <= bounds.after.1);
        let mut looked_at = 0usize;
        let of_range = |at: &usize| {
            looked_at = looked_at.saturating_add(1);
            rows.get(*at).filter(|row| range.contains(keys.get(row.key))).map(|row| row.main)
        };
        let found = deletions.take(LOOKED_AT).find_map(of_range);
        let Some(revision) = found else {
            self.without_effect =
                self.without_effect.saturating_add(u64::from(whole && entry.asked.len() == 1));
            return whole && looked_at < LOOKED_AT;
        };
        let first = rows.partition_point(|row| row.main < revision);
        let there = rows.iter_mut().skip(first).take_while(|row| row.main == revision);
        let deleted = there.filter(|row| row.is_exact() && range.contains(keys.get(row.key)));
        deleted.filter(|row| row.what == What::Deleted).for_each(|row| row.sources.add(from));
        true
    }

    fn row(&self, what: What, entry: &Logged, from: Sources) -> Row {
        let mut row = Row::new(what, 0, from);
        row.entry = Some((entry.index, entry.term));
        if entry.index > self.committed {
            row.certainty = Certainty::Uncommitted;
        }
        row
    }

    fn asked(&self, asked: &Asked, entry: &Logged, from: Sources) -> Row {
        let what = match (asked.put, asked.new) {
            (false, _) => What::Deleted,
            (true, true) => What::Created,
            (true, false) => What::Put,
        };
        let mut row = self.row(what, entry, from);
        (row.key, row.range, row.hash, row.lease) = (asked.key, asked.range, asked.hash, asked.lease);
        (row.own, row.who, row.detail) = (asked.own, asked.who, asked.detail);
        row.fresh = asked.new && asked.own.is_some();
        row
    }
}
