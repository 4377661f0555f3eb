//! How a log is applied to a database.

use super::apply::Version;
use super::time::Clock;
use super::until::Until;
use crate::raft::ConfChange;

/// What is done with entries that are not known to be committed, although other members vote.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Uncommitted {
    /// They are left out.
    #[default]
    Leave,
    /// They are applied.
    Include,
}

/// What is done with damage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Damage {
    /// It ends the work.
    #[default]
    Refuse,
    /// The work goes on as far as things can be read whole.
    Allow,
}

/// How to apply a log.
#[derive(Debug, Clone, Copy)]
pub struct FoldOptions<'o> {
    /// By whose rules; `None` is inferred.
    pub version: Option<Version>,
    /// Whether what is not known to be committed counts.
    pub uncommitted: Uncommitted,
    /// Whether a damaged log is applied as far as it can be read.
    pub damage: Damage,
    /// Stop here.
    pub until: Option<Until>,
    /// What is changed about the members in the end.
    pub changes: &'o [ConfChange],
    /// How the time is told of a value that is put: that is needed to stop at a time.
    pub clock: Clock,
}

impl Default for FoldOptions<'_> {
    fn default() -> Self {
        FoldOptions {
            version: None,
            uncommitted: Uncommitted::Leave,
            damage: Damage::Refuse,
            until: None,
            changes: &[],
            clock: |_, _| None,
        }
    }
}
