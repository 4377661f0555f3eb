//! Which entries a log holds, and of which term, without the entries.

/// Entries that follow each other, of one term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TermRun {
    /// Raft index of the first.
    pub first: u64,
    /// Raft index of the last.
    pub last: u64,
    /// Their term.
    pub term: u64,
}

/// The terms of a log's entries. There may be a hole before what a snapshot bridges.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms(Vec<TermRun>);

impl Terms {
    /// Takes in an entry; a later one replaces those from its index on.
    pub fn add(&mut self, index: u64, term: u64) {
        while self.0.last().is_some_and(|run| run.first >= index) {
            self.0.pop();
        }
        if let Some(last) = self.0.last_mut() {
            last.last = last.last.min(index.saturating_sub(1));
            if last.term == term && last.last == index.saturating_sub(1) {
                last.last = index;
                return;
            }
        }
        self.0.push(TermRun { first: index, last: index, term });
    }

    /// The term of an entry that is there.
    #[must_use]
    pub fn at(&self, index: u64) -> Option<u64> {
        let at = self.0.partition_point(|run| run.last < index);
        self.0.get(at).filter(|run| run.first <= index).map(|run| run.term)
    }

    /// Whether every entry after `from` up to `to` is there.
    #[must_use]
    pub fn holds(&self, from: u64, to: u64) -> bool {
        let mut next = from.saturating_add(1);
        for run in &self.0 {
            if run.first <= next && next <= run.last {
                next = run.last.saturating_add(1);
            }
        }
        next > to
    }

    /// The runs of entries of one term, in the order of their indexes.
    #[must_use]
    pub fn runs(&self) -> &[TermRun] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_entry_replaces_those_from_its_index_on() {
        let mut terms = Terms::default();
        for (index, term) in [(1, 1), (2, 1), (3, 1), (4, 2), (5, 2), (3, 3), (4, 3)] {
            terms.add(index, term);
        }
        let at: Vec<_> = (1..=5).map(|index| terms.at(index)).collect();
        assert_eq!(at, [Some(1), Some(1), Some(3), Some(3), None]);
        assert_eq!(terms.runs().len(), 2);
    }
}
