//! What a data directory's log has that its database has not.

use std::ops::ControlFlow;

use crate::etcd::DataDir;
use crate::io::tree;
use crate::store::Store;
use crate::wal::{Log, Scan};
use crate::words::error::{At, Result};
use crate::words::finding::{Code, Finding, Severity};
use crate::words::hint::Hint;
use crate::words::ids::RaftIndex;

impl Store<'_> {
    /// Warns when the log of this store's data directory goes past the database: what is answered is without these
    /// entries.
    ///
    /// # Errors
    /// [`Error::Unreadable`](crate::Error::Unreadable) when a segment cannot be opened.
    pub fn warn_of_log(&self, dir: &DataDir) -> Result<()> {
        let sources = dir.wals.iter().map(|path| tree::open(path)).collect::<Result<Vec<_>>>()?;
        let summary = Log::of(&sources).scan(Scan::default(), &mut |_| {}, &mut |_| {
            if self.monitor.cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let held = self.meta.consistent_index.map_or(0, RaftIndex::get);
        let last = summary.reach();
        if last > held {
            let committed = summary.commit().saturating_sub(held);
            let what = format!(
                "the database is at index {held}, the log goes to {last}: {} entries are only in the WAL, {committed} of them known to be \
                 committed; this answer is without what they change",
                last.saturating_sub(held)
            );
            let lag = Finding::new(Code::DbLag, &self.source().name(), At::default().index(held), what);
            self.monitor.finding(Finding { severity: Severity::Warning, hint: Some(Hint::Fold), ..lag });
        }
        Ok(())
    }
}
