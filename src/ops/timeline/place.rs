//! Which revisions the entries of a log made, as far as that follows from those that are known.
//!
//! An entry does not say its revision. A database does, of the last entry that is in it, and so does every value that a
//! database and an entry both hold. Between two entries of which it is known lie as many revisions as there are entries
//! that made one: where that is all that may have, each has its own, and where none was made, none had an effect.

use std::collections::BTreeMap;

/// How many revisions an entry makes: at least and at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Makes(pub i64, pub i64);

impl Makes {
    pub const NONE: Makes = Makes(0, 0);
    pub const ONE: Makes = Makes(1, 1);
    pub const PERHAPS: Makes = Makes(0, 1);
    /// What entries made that are missing.
    pub const ANY: Makes = Makes(0, 1 << 40);
}

/// The revision of a keyspace that nothing was ever put into.
pub(super) const FIRST: i64 = 1;

/// The revision that the keyspace was at before an entry and after it, each at least and at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    pub before: (i64, i64),
    pub after: (i64, i64),
}

impl Bounds {
    /// The revision that the entry made, if that is known.
    pub fn made(&self) -> Option<i64> {
        let exact = self.before.0 == self.before.1 && self.after.0 == self.after.1;
        (exact && self.after.0 > self.before.0).then_some(self.after.0)
    }

    /// Whether it is known that it made none.
    pub fn made_none(&self) -> bool {
        self.before.0 == self.after.1
    }
}

/// What is known of where entries stand, by their places in the log from 0.
#[derive(Debug)]
pub(super) struct Places {
    makes: Vec<Makes>,
    /// Up to each place: how many revisions were made at least and at most.
    sums: Vec<(i64, i64)>,
    /// The revision after the entry at a place; before the first it is -1.
    known: BTreeMap<i64, i64>,
    /// The revision that it is at least.
    least: BTreeMap<i64, i64>,
}

impl Places {
    pub fn new(makes: Vec<Makes>) -> Places {
        let mut sum = (0i64, 0i64);
        let mut sums = vec![sum];
        for Makes(least, most) in &makes {
            sum = (sum.0.saturating_add(*least), sum.1.saturating_add(*most));
            sums.push(sum);
        }
        Places { makes, sums, known: BTreeMap::new(), least: BTreeMap::new() }
    }

    /// Learns the revision after the entry at a place, unless that cannot be with what is known.
    pub fn know(&mut self, place: i64, revision: i64) -> bool {
        let fits = |from: (&i64, &i64), to: (i64, i64)| {
            let (Some(a), Some(b)) = (self.sum(*from.0), self.sum(to.0)) else { return false };
            let made = to.1.saturating_sub(*from.1);
            (b.0.saturating_sub(a.0)..=b.1.saturating_sub(a.1)).contains(&made)
        };
        let before =
            self.known.range(..=place).next_back().is_none_or(|known| fits(known, (place, revision)));
        let after = self
            .known
            .range(place..)
            .next()
            .is_none_or(|(at, known)| fits((&place, &revision), (*at, *known)));
        let there = self.sum(place).is_some();
        if before && after && there {
            self.known.insert(place, revision);
        }
        before && after && there
    }

    /// Learns the revision that the entry at a place made, unless that cannot be.
    pub fn made(&mut self, place: i64, revision: i64) {
        let had = self.known.contains_key(&place);
        let before = place.checked_sub(1).zip(revision.checked_sub(1));
        if self.know(place, revision)
            && !before.is_some_and(|(place, revision)| self.know(place, revision))
            && !had
        {
            self.known.remove(&place);
        }
    }

    /// Whether nothing was ever put into the keyspace before the first entry.
    pub fn begins(&self) -> bool {
        self.known.get(&-1) == Some(&FIRST)
    }

    /// Learns that after the entry at a place the revision was that at least, unless that cannot be with what is known:
    /// to be called when all that is known is.
    pub fn at_least(&mut self, place: i64, revision: i64) {
        let Some((least, most)) = self.sum(place) else { return };
        let after = self.known.range(place..).next().and_then(|(at, known)| {
            let made = self.sum(*at)?.0.saturating_sub(least);
            Some(known.saturating_sub(made))
        });
        let before = self.known.range(..=place).next_back().and_then(|(at, known)| {
            let made = most.saturating_sub(self.sum(*at)?.1);
            Some(known.saturating_add(made))
        });
        if after.into_iter().chain(before).all(|most| revision <= most) {
            let least = self.least.entry(place).or_insert(revision);
            *least = revision.max(*least);
        }
    }

    fn sum(&self, place: i64) -> Option<(i64, i64)> {
        self.sums.get(usize::try_from(place.checked_add(1)?).ok()?).copied()
    }

    /// The bounds of each entry.
    pub fn bounds(&self) -> Vec<Bounds> {
        let known = |place: usize| {
            let place = i64::try_from(place).unwrap_or(i64::MAX).saturating_sub(1);
            let least = self.least.get(&place).copied().unwrap_or(0);
            self.known.get(&place).map_or((least, i64::MAX), |revision| (*revision, *revision))
        };
        let within = |a: (i64, i64), b: (i64, i64)| (a.0.max(b.0), a.1.min(b.1));
        // One state more than entries: before the first, and after each.
        let mut states: Vec<(i64, i64)> = (0..self.sums.len()).map(known).collect();
        let mut last = (0i64, i64::MAX);
        for (state, Makes(least, most)) in
            states.iter_mut().zip(std::iter::once(&Makes::ANY).chain(&self.makes))
        {
            *state = within(*state, (last.0.saturating_add(*least), last.1.saturating_add(*most)));
            last = *state;
        }
        let mut next = (0i64, i64::MAX);
        for (state, Makes(least, most)) in
            states.iter_mut().rev().zip(std::iter::once(&Makes::ANY).chain(self.makes.iter().rev()))
        {
            // What is open stays open.
            let until = if next.1 == i64::MAX { next.1 } else { next.1.saturating_sub(*least) };
            *state = within(*state, (next.0.saturating_sub(*most), until));
            next = *state;
        }
        states
            .iter()
            .zip(states.iter().skip(1))
            .map(|(before, after)| Bounds { before: *before, after: *after })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Makes; 6] = [Makes::ONE, Makes::NONE, Makes::PERHAPS, Makes::PERHAPS, Makes::ONE, Makes::ONE];

    fn made(places: &Places) -> Vec<Option<i64>> {
        places.bounds().iter().map(Bounds::made).collect()
    }

    #[test]
    fn between_two_that_are_known_each_made_one_where_all_that_may_have_must_have() {
        let mut places = Places::new(ALL.to_vec());
        assert!(places.know(5, 50));
        // Only what surely made one is counted back from the end.
        assert_eq!(made(&places), [None, None, None, None, Some(49), Some(50)]);
        assert!(places.know(-1, 45));
        assert_eq!(made(&places), [Some(46), None, Some(47), Some(48), Some(49), Some(50)]);
    }

    #[test]
    fn where_fewer_were_made_the_others_had_no_effect_and_what_is_not_known_is_bounded() {
        let mut places = Places::new(ALL.to_vec());
        assert!(places.know(5, 50) && places.know(0, 48));
        assert_eq!(made(&places), [Some(48), None, None, None, Some(49), Some(50)]);
        assert!(places.bounds()[2].made_none() && places.bounds()[1].made_none());
        let mut places = Places::new(ALL.to_vec());
        assert!(places.know(5, 50) && places.know(0, 47));
        let bounds = places.bounds()[2];
        assert_eq!((bounds.made(), bounds.made_none()), (None, false));
        assert_eq!((bounds.before, bounds.after), ((47, 47), (47, 48)));
    }

    #[test]
    fn what_it_was_at_least_bounds_what_is_before_and_after() {
        let mut places = Places::new(ALL.to_vec());
        places.at_least(1, 40);
        places.at_least(1, 30);
        let bounds = places.bounds();
        assert_eq!((bounds[0].before, bounds[0].after), ((39, i64::MAX), (40, i64::MAX)));
        assert_eq!(bounds[5].after.0, 42);
    }

    #[test]
    fn what_cannot_be_is_not_believed() {
        let mut places = Places::new(ALL.to_vec());
        assert!(places.know(5, 50));
        for (place, revision) in [(0, 49), (4, 50), (4, 48), (-1, 44), (6, 50), (i64::MAX, 1), (-2, 40)] {
            assert!(!places.know(place, revision), "{place} {revision}");
        }
        let bounds = places.bounds();
        places.at_least(2, 49);
        assert_eq!(places.bounds(), bounds);
        // Across entries that are missing nothing follows.
        let mut places = Places::new(vec![Makes::ONE, Makes::PERHAPS, Makes::ANY, Makes::ONE]);
        assert!(places.know(3, 50) && places.know(-1, 3));
        assert_eq!(made(&places)[..2], [Some(4), None]);
        assert_eq!(places.bounds()[1].after, (4, 5));
    }
}
