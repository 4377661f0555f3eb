//! Findings as they gather: there may be one for every element of a hostile file, so that all are counted and only
//! the first of each code are kept.

use std::collections::BTreeMap;

use crate::words::error::{At, Corrupt};
use crate::words::finding::{Code, Finding, Severity};
use crate::words::monitor::Monitor;

/// What a [`Collector`] can tell apart.
pub trait Coded {
    /// Which rule is broken.
    fn code(&self) -> Code;
    /// How bad that is.
    fn severity(&self) -> Severity {
        self.code().severity()
    }
}

impl Coded for Corrupt {
    fn code(&self) -> Code {
        self.code
    }
}

impl Coded for Finding {
    fn code(&self) -> Code {
        self.code
    }
    fn severity(&self) -> Severity {
        self.severity
    }
}

/// All of them counted, the first of each code kept.
#[derive(Debug, Clone)]
pub struct Collector<T> {
    /// The first of each code, in the order they were found.
    pub kept: Vec<T>,
    /// How many of each code there are.
    pub counts: BTreeMap<Code, u64>,
    /// The worst of each code, of those too that were not kept.
    worst: BTreeMap<Code, Severity>,
    limit: u64,
}

impl<T: Coded> Collector<T> {
    /// None yet; `limit` of each code will be kept.
    #[must_use]
    pub fn new(limit: u64) -> Collector<T> {
        Collector { kept: Vec::new(), counts: BTreeMap::new(), worst: BTreeMap::new(), limit }
    }

    /// How many of each code are kept.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// One more; if it is kept, where.
    pub fn push(&mut self, one: T) -> Option<&T> {
        let (code, severity) = (one.code(), one.severity());
        let count = self.counts.entry(code).or_default();
        *count = count.saturating_add(1);
        let kept = *count <= self.limit;
        self.worsen(code, severity);
        if !kept {
            return None;
        }
        self.kept.push(one);
        self.kept.last()
    }

    /// One more of this code, of which nothing is kept.
    pub fn count(&mut self, code: Code) {
        let count = self.counts.entry(code).or_default();
        *count = count.saturating_add(1);
        self.worsen(code, code.severity());
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// All of another part of the same work.
    pub fn extend(&mut self, other: Collector<T>) {
        let mut room: BTreeMap<Code, u64> = BTreeMap::new();
        for (code, count) in other.counts {
            let total = self.counts.entry(code).or_default();
            room.insert(code, self.limit.saturating_sub(*total));
            *total = total.saturating_add(count);
        }
        for (code, severity) in other.worst {
            self.worsen(code, severity);
        }
        let mut kept = other.kept;
        // By code: what each part was is not to be seen.
        kept.sort_by_key(Coded::code);
        for one in kept {
            if let Some(room) = room.get_mut(&one.code()).filter(|room| **room > 0) {
                *room = room.saturating_sub(1);
                self.kept.push(one);
            }
        }
    }

    /// The worst of all whose code is meant.
    pub fn worst(&self, meant: impl Fn(Code) -> bool) -> Option<Severity> {
        self.worst.iter().filter(|(code, _)| meant(**code)).map(|(_, severity)| *severity).max()
    }

    fn worsen(&mut self, code: Code, severity: Severity) {
        let worst = self.worst.entry(code).or_insert(severity);
        *worst = severity.max(*worst);
    }
}

/// Tells findings to a monitor as they gather: those that are kept, at once.
pub struct Teller<'m> {
    /// What was found so far.
    pub all: Collector<Finding>,
    /// Who is told.
    pub monitor: &'m dyn Monitor,
}

impl<'m> Teller<'m> {
    /// Tells `limit` findings of each code.
    #[must_use]
    pub fn new(limit: u64, monitor: &'m dyn Monitor) -> Teller<'m> {
        Teller { all: Collector::new(limit), monitor }
    }

    /// One more.
    pub fn push(&mut self, finding: Finding) {
        if let Some(finding) = self.all.push(finding) {
            self.monitor.finding(finding.clone());
        }
    }

    /// A finding about a whole file.
    pub fn say(&mut self, code: Code, file: &str, detail: impl Into<String>) {
        self.push(Finding::new(code, file, At::default(), detail));
    }

    /// A broken rule.
    pub fn corrupt(&mut self, file: &str, corrupt: Corrupt) {
        self.push(Finding::from_corrupt(file, corrupt));
    }

    /// All that another piece of work found wrong with a file.
    pub fn absorb(&mut self, file: &str, faults: Collector<Corrupt>) {
        for corrupt in faults.kept {
            self.corrupt(file, corrupt);
        }
        for (code, count) in faults.counts {
            let here = self.all.counts.entry(code).or_default();
            *here = count.max(*here);
        }
    }

    /// Tells of each code how many were not told.
    pub fn tell_rest(&self, file: &str) {
        for (code, count) in &self.all.counts {
            let more = count.saturating_sub(self.all.limit);
            if more > 0 {
                let what = format!("{more} more of this kind");
                self.monitor.finding(Finding::new(*code, file, At::default(), what));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::monitor::Collect;

    fn finding(code: Code, detail: &str) -> Finding {
        Finding::new(code, "f", At::default(), detail)
    }

    #[test]
    fn the_first_of_each_code_are_told_and_all_are_counted() {
        let monitor = Collect::default();
        let mut teller = Teller::new(2, &monitor);
        for detail in ["a", "b", "c", "d"] {
            teller.push(finding(Code::PageId, detail));
        }
        teller.push(Finding { severity: Severity::Damage, ..finding(Code::InUse, "e") });
        teller.tell_rest("f");
        assert_eq!(teller.all.counts, BTreeMap::from([(Code::PageId, 4), (Code::InUse, 1)]));
        assert_eq!(teller.all.worst(|code| code == Code::InUse), Some(Severity::Damage));
        assert_eq!(teller.all.worst(|code| code == Code::WalCrc), None);
        let told: Vec<String> = monitor.into_findings().into_iter().map(|f| f.detail).collect();
        assert_eq!(told, ["a", "b", "e", "2 more of this kind"]);
    }

    #[test]
    fn parts_come_together_as_if_they_had_been_one() {
        let (mut whole, mut first, mut second) = (Collector::new(3), Collector::new(3), Collector::new(3));
        for (nth, part) in [(0, &mut first), (1, &mut second)] {
            for n in 0..2 {
                for code in [Code::PageId, Code::KeyOrder] {
                    let one = finding(code, &format!("{nth} {n}"));
                    part.push(one.clone());
                    whole.push(one);
                }
            }
        }
        first.extend(second);
        first.kept.sort_by_key(Coded::code);
        whole.kept.sort_by_key(Coded::code);
        assert_eq!((first.kept, first.counts), (whole.kept, whole.counts));
    }
}
