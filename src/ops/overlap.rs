//! A source that is checked while something is made of it.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::io::parallel::{THREADS, join};
use crate::words::error::Result;
use crate::words::finding::Finding;
use crate::words::monitor::Monitor;

/// Checks and works at once, or checks before anything else if `first`. Work ends when the check fails, whose error
/// explains what went wrong with the work; the check goes on when the work fails, so that the same source always gets
/// the same answer.
pub(crate) fn beside<C: Send, W>(
    first: bool,
    monitor: &dyn Monitor,
    check: impl FnOnce(&dyn Monitor) -> Result<C> + Send,
    work: impl FnOnce(&dyn Monitor) -> Result<W>,
) -> Result<(C, W)> {
    if first || !THREADS {
        return Ok((check(monitor)?, work(monitor)?));
    }
    let stop = AtomicBool::new(false);
    let (silent, speaking) =
        (Aside { monitor, speaks: false, stop: &stop }, Aside { monitor, speaks: true, stop: &stop });
    let checking = || {
        let checked = check(&silent);
        if checked.is_err() {
            stop.store(true, Ordering::Relaxed);
        }
        checked
    };
    let (checked, worked) = join(checking, || work(&speaking));
    Ok((checked?, worked?))
}

/// Reads what was written while it is brought to the disk.
pub(crate) fn while_syncing<R>(
    sync: impl FnOnce() -> Result<()> + Send,
    read: impl FnOnce() -> Result<R>,
) -> Result<R> {
    let (synced, read) = join(sync, read);
    synced?;
    read
}

/// One of two works that are done at once.
struct Aside<'m> {
    monitor: &'m dyn Monitor,
    /// Whether progress is heard.
    speaks: bool,
    stop: &'m AtomicBool,
}

impl Monitor for Aside<'_> {
    fn begin(&self, what: &str, total: u64) {
        if self.speaks {
            self.monitor.begin(what, total);
        }
    }
    fn advance(&self, bytes: u64) {
        if self.speaks {
            self.monitor.advance(bytes);
        }
    }
    fn end(&self) {
        if self.speaks {
            self.monitor.end();
        }
    }
    fn finding(&self, finding: Finding) {
        self.monitor.finding(finding);
    }
    fn cancelled(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.monitor.cancelled()
    }
}
