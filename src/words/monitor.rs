//! What an operation says while it runs: progress and findings out, cancellation in.

use std::sync::Mutex;

use crate::words::finding::Finding;

/// Watches an operation. Every method may be called from any thread; the defaults do nothing.
pub trait Monitor: Sync {
    /// A stretch of work begins: `total` bytes (or 0 when unknown) of `what`.
    fn begin(&self, what: &str, total: u64) {
        let _ = (what, total);
    }
    /// `bytes` more of it are done.
    fn advance(&self, bytes: u64) {
        let _ = bytes;
    }
    /// The work that began last is done.
    fn end(&self) {}
    /// Something about the data. The operation goes on.
    fn finding(&self, finding: Finding) {
        let _ = finding;
    }
    /// Asked between pieces of work; `true` ends the operation with [`Error::Cancelled`](crate::Error::Cancelled).
    fn cancelled(&self) -> bool {
        false
    }
}

/// Hears nothing, never cancels.
#[derive(Debug, Default, Clone, Copy)]
pub struct Quiet;

impl Monitor for Quiet {}

/// Keeps every finding, in the order they came.
#[derive(Debug, Default)]
pub struct Collect(Mutex<Vec<Finding>>);

impl Collect {
    /// The findings so far.
    #[must_use]
    pub fn into_findings(self) -> Vec<Finding> {
        self.0.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Monitor for Collect {
    fn finding(&self, finding: Finding) {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(finding);
    }
}
