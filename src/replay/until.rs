//! Where on its way through a log a replay stops.

use jiff::Timestamp;

use crate::words::ids::RaftIndex;

/// Where to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// After the raft entry with this index.
    Index(RaftIndex),
    /// As soon as this is the current revision.
    Revision(i64),
    /// Before anything that may be later, as the Kubernetes objects tell that were put.
    Time(Timestamp),
}

impl Until {
    #[cfg(feature = "fs")]
    pub(crate) fn revision(self) -> Option<i64> {
        match self {
            Until::Revision(revision) => Some(revision),
            Until::Index(_) | Until::Time(_) => None,
        }
    }

    pub(crate) fn time(self) -> Option<Timestamp> {
        match self {
            Until::Time(time) => Some(time),
            Until::Index(_) | Until::Revision(_) => None,
        }
    }
}
