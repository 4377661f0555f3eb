//! What a walk finds wrong, in memory that does not grow with it.

use std::collections::BTreeMap;

use crate::words::error::Corrupt;
use crate::words::finding::Code;

/// What is wrong with a file: everything counted, the first of each kind kept.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// The first of each kind, in the order they were found.
    pub kept: Vec<Corrupt>,
    /// How many of each kind there are.
    pub counts: BTreeMap<Code, u64>,
    limit: u64,
}

impl Faults {
    /// None yet; `limit` of each kind will be kept.
    #[must_use]
    pub fn new(limit: u64) -> Faults {
        Faults { kept: Vec::new(), counts: BTreeMap::new(), limit }
    }

    /// One more.
    pub fn push(&mut self, corrupt: Corrupt) {
        if self.count(corrupt.code) <= self.limit {
            self.kept.push(corrupt);
        }
    }

    /// One more of this kind that is not kept; returns how many there are now.
    pub fn count(&mut self, code: Code) -> u64 {
        let count = self.counts.entry(code).or_default();
        *count = count.saturating_add(1);
        *count
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// How many of each kind are kept.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// All of another part of the same walk.
    pub fn extend(&mut self, other: Faults) {
        for (code, count) in other.counts {
            let room = self.limit.saturating_sub(self.counts.get(&code).copied().unwrap_or(0));
            let total = self.counts.entry(code).or_default();
            *total = total.saturating_add(count);
            let mut left = room;
            self.kept.extend(
                other
                    .kept
                    .iter()
                    .filter(|c| c.code == code)
                    .take_while(|_| {
                        let keep = left > 0;
                        left = left.saturating_sub(1);
                        keep
                    })
                    .cloned(),
            );
        }
    }

    /// How many there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.values().fold(0, |a, b| a.saturating_add(*b))
    }
}
