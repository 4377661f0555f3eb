//! Times that are told at places in an order, raft indexes or revisions: which of them can be believed together.

use jiff::{SignedDuration, Timestamp};

/// Clocks may differ so much without a word.
pub(crate) const TOLERATED: SignedDuration = SignedDuration::from_secs(5);

/// A time that was told at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timed {
    /// A raft index or a revision.
    pub at: u64,
    /// What was there was made then or later.
    pub time: Timestamp,
}

/// The most times that rise with their places (the longest increasing subsequence), or do not fall where those are
/// `even` that are the same: of several such, the one that ends earliest, and up to its end tells the most. What is
/// handed in is in order of the places.
pub(super) fn rising(all: &[Timed], even: bool) -> Vec<Timed> {
    let follows = |one: Timestamp, next: Timestamp| one < next || even && one == next;
    // By the length of the longest chain that ends with a time: in each group times only fall.
    let mut groups: Vec<Vec<Timed>> = Vec::new();
    for timed in all {
        let length =
            groups.partition_point(|group| group.last().is_some_and(|end| follows(end.time, timed.time)));
        match groups.get_mut(length) {
            Some(group) => group.push(*timed),
            None => groups.push(vec![*timed]),
        }
    }
    let mut chain: Vec<Timed> = Vec::with_capacity(groups.len());
    for group in groups.iter().rev() {
        let best = match chain.last() {
            None => group.last(),
            Some(next) => {
                let newest = group
                    .get(group.partition_point(|timed| !follows(timed.time, next.time)))
                    .map(|timed| timed.time);
                let until = group.partition_point(|timed| timed.at < next.at && Some(timed.time) >= newest);
                until.checked_sub(1).and_then(|at| group.get(at))
            }
        };
        chain.extend(best);
    }
    chain.reverse();
    chain
}
