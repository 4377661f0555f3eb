//! Findings, but not without end.

use crate::words::finding::Finding;
use crate::words::monitor::Monitor;

/// Passes findings on, but not without end: a hostile log has one a record.
pub(super) struct Capped<'m> {
    monitor: &'m dyn Monitor,
    count: usize,
    last: Option<Finding>,
}

const MOST_FINDINGS: usize = 1000;

impl<'m> Capped<'m> {
    pub fn new(monitor: &'m dyn Monitor) -> Capped<'m> {
        Capped { monitor, count: 0, last: None }
    }

    pub fn add(&mut self, finding: Finding) {
        self.count = self.count.saturating_add(1);
        if self.count <= MOST_FINDINGS {
            self.monitor.finding(finding);
        } else {
            self.last = Some(finding);
        }
    }

    pub fn finish(self) {
        if let Some(mut last) = self.last {
            let skipped = self.count.saturating_sub(MOST_FINDINGS).saturating_sub(1);
            if skipped > 0 {
                last.detail =
                    format!("{} (and {skipped} findings before it that are not shown)", last.detail);
            }
            self.monitor.finding(last);
        }
    }
}
