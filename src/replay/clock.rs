//! The revision clock: between which times a revision was made, which etcd does not keep, as the values tell that were
//! put.
//!
//! ```text
//! revision    100         101   102   103         104
//! tells       12:00:00                12:00:07
//! made        12:00:00 or later, before 12:00:12  | from 12:00:07 on
//! ```
//!
//! A value was put after every time that is in it, so that its revision and all later ones are not before that. That it
//! was not much later is sure of a time only that came with this very put (it is *fresh*): earlier revisions are not
//! after it, up to what clocks may differ by and a write may take. Of all times the most that do not fall with the
//! revisions are believed: many objects are made in one second.

use std::ops::RangeInclusive;

use jiff::Timestamp;

pub(crate) use super::rising::TOLERATED;
use super::rising::{Timed, rising};
use crate::codec::to_u64;

/// A time that a value tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeEvidence {
    /// The revision (main) that put it.
    pub revision: i64,
    /// It was put then or later.
    pub time: Timestamp,
    /// Whether the time came with this very put, so that this was not much later.
    pub fresh: bool,
}

/// What revisions are known to be between; a side that nothing is known of is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Between {
    /// Not before this time.
    pub not_before: Option<Timestamp>,
    /// Not after this time.
    pub not_after: Option<Timestamp>,
}

/// Between which times revisions were made.
#[derive(Debug, Default)]
pub struct RevisionClock {
    /// What is believed, in the order of revisions and of times.
    believed: Vec<TimeEvidence>,
    /// Of these the fresh ones.
    fresh: Vec<TimeEvidence>,
    told: u64,
    ahead: u64,
}

impl RevisionClock {
    /// Of all that is told, in any order. It takes some 100 bytes for each of them meanwhile.
    #[must_use]
    pub fn of(mut told: Vec<TimeEvidence>) -> RevisionClock {
        told.sort_by_key(|one| (one.revision, one.time, !one.fresh));
        told.dedup_by_key(|one| (one.revision, one.time));
        let timed = |one: &TimeEvidence| Timed { at: one.revision.max(0).cast_unsigned(), time: one.time };
        let all: Vec<Timed> = told.iter().map(timed).collect();
        let mut chain = rising(&all, true).into_iter().peekable();
        let mut clock = RevisionClock { told: to_u64(told.len()), ..RevisionClock::default() };
        for (one, timed) in told.into_iter().zip(all) {
            if chain.next_if_eq(&timed).is_some() {
                clock.believed.push(one);
            } else if chain.peek().is_some_and(|next| timed.time.duration_since(next.time) > TOLERATED) {
                clock.ahead = clock.ahead.saturating_add(1);
            }
        }
        clock.fresh = clock.believed.iter().filter(|one| one.fresh).copied().collect();
        clock
    }

    /// How many times were told.
    #[must_use]
    pub fn told(&self) -> u64 {
        self.told
    }

    /// How many of them are ahead of later ones that are believed, by more than clocks may differ.
    #[must_use]
    pub fn ahead(&self) -> u64 {
        self.ahead
    }

    /// The last that is believed of revisions up to this one: it was not made before.
    #[must_use]
    pub fn before(&self, revision: i64) -> Option<TimeEvidence> {
        let end = self.believed.partition_point(|one| one.revision <= revision);
        self.believed.get(end.checked_sub(1)?).copied()
    }

    /// The first that bounds this revision from above.
    #[must_use]
    pub fn after(&self, revision: i64) -> Option<TimeEvidence> {
        self.fresh.get(self.fresh.partition_point(|one| one.revision < revision)).copied()
    }

    /// The last revision that is known to be not after a time; 0 if none is.
    #[must_use]
    pub fn at(&self, time: Timestamp) -> i64 {
        let end = self.believed.partition_point(|one| one.time <= time);
        end.checked_sub(1).and_then(|last| self.believed.get(last)).map_or(0, |one| one.revision)
    }

    /// When what was made in one of these revisions was made. It may be past the last revision that is known.
    #[must_use]
    pub fn between(&self, revisions: RangeInclusive<i64>) -> Between {
        Between {
            not_before: self.before(*revisions.start()).map(|one| one.time),
            not_after: self.after(*revisions.end()).and_then(|one| one.time.checked_add(TOLERATED).ok()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(told: &[(i64, i64, bool)]) -> RevisionClock {
        let evidence = |(revision, second, fresh): &(i64, i64, bool)| TimeEvidence {
            revision: *revision,
            time: Timestamp::new(*second, 0).unwrap(),
            fresh: *fresh,
        };
        RevisionClock::of(told.iter().map(evidence).collect())
    }

    fn between(clock: &RevisionClock, revision: i64) -> (Option<i64>, Option<i64>) {
        let Between { not_before, not_after } = clock.between(revision..=revision);
        (not_before.map(Timestamp::as_second), not_after.map(Timestamp::as_second))
    }

    #[test]
    fn a_revision_is_not_before_what_was_told_and_not_after_what_came_fresh_with_a_later_one() {
        let clock = clock(&[(10, 100, true), (12, 200, false), (15, 300, true)]);
        let all = [9, 10, 11, 12, 15, 16].map(|revision| between(&clock, revision));
        let due = [
            (None, Some(105)),
            (Some(100), Some(105)),
            (Some(100), Some(305)),
            (Some(200), Some(305)),
            (Some(300), Some(305)),
            (Some(300), None),
        ];
        assert_eq!(all, due);
        assert_eq!(clock.between(10..=12).not_after.map(Timestamp::as_second), Some(305));
    }

    #[test]
    fn several_of_one_second_are_all_believed_and_what_cannot_be_with_the_most_is_not() {
        let clock = clock(&[
            (10, 100, true),
            (11, 100, true),
            (12, 7, false),
            (13, 100, true),
            (14, 3700, true),
            (15, 101, true),
            (16, 102, true),
        ]);
        assert_eq!(
            [10, 12, 14].map(|revision| between(&clock, revision)),
            [(Some(100), Some(105)), (Some(100), Some(105)), (Some(100), Some(106))]
        );
        assert_eq!((clock.told(), clock.ahead()), (7, 1));
    }

    #[test]
    fn without_a_time_nothing_is_known() {
        assert_eq!(between(&clock(&[]), 5), (None, None));
    }
}
