//! What is wrong with a log.

use crate::words::error::Corrupt;

/// One thing that is wrong with a log. Reading it may have gone on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Position of the segment in the log.
    pub segment: usize,
    /// Which rule is broken, and where in the segment.
    pub corrupt: Corrupt,
    /// Whether etcd starts on such a log and loses nothing that it had acknowledged.
    pub harmless: bool,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "segment {}: {}", self.segment, self.corrupt)
    }
}
