//! What an operation says while it runs: progress and findings out, cancellation in.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

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

/// Stands between a piece of work and whoever watches the whole, and keeps something of what is said to itself. Unless
/// told otherwise, it passes everything on.
#[derive(Clone, Copy)]
pub struct Relay<'m> {
    to: &'m dyn Monitor,
    findings: Findings<'m>,
    progress: Progress,
    stop: Option<&'m AtomicBool>,
}

/// Where findings go.
#[derive(Clone, Copy)]
enum Findings<'m> {
    On,
    Nowhere,
    To(&'m (dyn Fn(Finding) + Sync)),
}

/// What is heard of progress.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    All,
    /// A stretch of work is under way already, of which this is a part.
    Bytes,
    Nothing,
}

impl<'m> Relay<'m> {
    /// Passes everything on to `to`.
    #[must_use]
    pub fn new(to: &'m dyn Monitor) -> Relay<'m> {
        Relay { to, findings: Findings::On, progress: Progress::All, stop: None }
    }

    /// Whoever watches the whole.
    #[must_use]
    pub fn to(&self) -> &'m dyn Monitor {
        self.to
    }

    /// Drops findings.
    #[must_use]
    pub fn without_findings(self) -> Relay<'m> {
        Relay { findings: Findings::Nowhere, ..self }
    }

    /// Gives findings to `hear` instead.
    #[must_use]
    pub fn findings_to(self, hear: &'m (dyn Fn(Finding) + Sync)) -> Relay<'m> {
        Relay { findings: Findings::To(hear), ..self }
    }

    /// Drops where stretches of work begin and end: their bytes count for the stretch under way.
    #[must_use]
    pub fn as_part(self) -> Relay<'m> {
        Relay { progress: Progress::Bytes, ..self }
    }

    /// Drops progress.
    #[must_use]
    pub fn without_progress(self) -> Relay<'m> {
        Relay { progress: Progress::Nothing, ..self }
    }

    /// Also cancels when `stop` is set.
    #[must_use]
    pub fn stopped_by(self, stop: &'m AtomicBool) -> Relay<'m> {
        Relay { stop: Some(stop), ..self }
    }
}

impl Monitor for Relay<'_> {
    fn begin(&self, what: &str, total: u64) {
        if self.progress == Progress::All {
            self.to.begin(what, total);
        }
    }

    fn advance(&self, bytes: u64) {
        if self.progress != Progress::Nothing {
            self.to.advance(bytes);
        }
    }

    fn end(&self) {
        if self.progress == Progress::All {
            self.to.end();
        }
    }

    fn finding(&self, finding: Finding) {
        match self.findings {
            Findings::On => self.to.finding(finding),
            Findings::Nowhere => {}
            Findings::To(hear) => hear(finding),
        }
    }

    fn cancelled(&self) -> bool {
        self.stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) || self.to.cancelled()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::error::At;
    use crate::words::finding::Code;

    /// Writes down all it hears.
    #[derive(Default)]
    struct Diary(Mutex<String>);

    impl Diary {
        fn note(&self, c: char) {
            self.0.lock().unwrap().push(c);
        }
    }

    impl Monitor for Diary {
        fn begin(&self, _: &str, _: u64) {
            self.note('b');
        }
        fn advance(&self, _: u64) {
            self.note('a');
        }
        fn end(&self) {
            self.note('e');
        }
        fn finding(&self, _: Finding) {
            self.note('f');
        }
    }

    #[test]
    fn a_relay_keeps_what_it_is_told_to_keep() {
        let heard = |relay: fn(Relay<'_>) -> Relay<'_>| {
            let diary = Diary::default();
            let relay = relay(Relay::new(&diary));
            relay.begin("x", 1);
            relay.advance(1);
            relay.finding(Finding::new(Code::InUse, "f", At::default(), "x"));
            relay.end();
            diary.0.into_inner().unwrap()
        };
        assert_eq!(heard(|relay| relay), "bafe");
        assert_eq!(heard(|relay| relay.without_findings()), "bae");
        assert_eq!(heard(|relay| relay.without_progress()), "f");
        assert_eq!(heard(|relay| relay.as_part().without_findings()), "a");
    }

    #[test]
    fn a_relay_stops_and_hands_findings_over() {
        let (stop, count) = (AtomicBool::new(false), Mutex::new(0));
        let hear = |_| *count.lock().unwrap() += 1;
        let relay = Relay::new(&Quiet).findings_to(&hear).stopped_by(&stop);
        relay.finding(Finding::new(Code::InUse, "f", At::default(), "x"));
        assert!(!relay.cancelled());
        stop.store(true, Ordering::Relaxed);
        assert!(relay.cancelled());
        assert_eq!(*count.lock().unwrap(), 1);
    }
}
