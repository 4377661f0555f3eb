//! What is to be said of values, gathered while they are read.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::BuildHasher;
use std::sync::{Mutex, PoisonError};

/// Values that are counted once however often they are read.
const VALUES: usize = 1 << 16;
/// Reasons that are kept apart, and keys that are named of each.
const REASONS: usize = 64;
const NAMED: usize = 3;

/// Values of which the same is to be said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountedValues {
    /// By what they are encrypted, and why they are not opened or what of them does not fit; nothing for all reasons
    /// that were too many to be kept.
    pub reason: String,
    /// Behind which prefix they open, if that is the reason.
    pub prefix: Option<&'static str>,
    /// How many.
    pub values: u64,
    /// The first of their keys in order.
    pub keys: Vec<Vec<u8>>,
}

/// Counts values by reasons. In whichever order values are read, and by how many threads, it comes to the same.
#[derive(Debug, Default)]
pub(super) struct Tally {
    hasher: RandomState,
    inner: Mutex<Inner>,
}

/// In words, and the prefix behind which it opens.
type Reason = (String, Option<&'static str>);

#[derive(Debug, Default)]
struct Inner {
    seen: HashSet<u64>,
    by_reason: BTreeMap<Reason, (u64, BTreeSet<Vec<u8>>)>,
}

impl Tally {
    pub(super) fn note(&self, key: &[u8], value: &[u8], reason: Reason) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let Inner { seen, by_reason } = &mut *inner;
        if seen.len() < VALUES && !seen.insert(self.hasher.hash_one((key, value))) {
            return;
        }
        let many = by_reason.len() >= REASONS && !by_reason.contains_key(&reason);
        let (values, keys) = by_reason.entry(if many { Reason::default() } else { reason }).or_default();
        *values = values.saturating_add(1);
        if keys.insert(key.to_vec()) && keys.len() > NAMED {
            keys.pop_last();
        }
    }

    pub(super) fn counted(&self) -> Vec<CountedValues> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let one = |((reason, prefix), (values, keys)): (&Reason, &(u64, BTreeSet<Vec<u8>>))| CountedValues {
            reason: reason.clone(),
            prefix: *prefix,
            values: *values,
            keys: keys.iter().cloned().collect(),
        };
        inner.by_reason.iter().map(one).collect()
    }
}
