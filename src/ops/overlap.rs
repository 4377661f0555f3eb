//! A source that is checked while something is made of it.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::io::parallel::{THREADS, join};
use crate::words::error::Result;
use crate::words::monitor::{Monitor, Relay};

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
    let working = Relay::new(monitor).stopped_by(&stop);
    let checking = working.without_progress();
    let checked = || {
        let checked = check(&checking);
        if checked.is_err() {
            stop.store(true, Ordering::Relaxed);
        }
        checked
    };
    let (checked, worked) = join(checked, || work(&working));
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
