//! What Linux alone tells of a file that is open, on all others.

use std::fs::File;

/// There is no such word to the system once a file is open.
pub fn will_read_all(_: &File) {}

/// The system does not tell.
#[must_use]
pub fn is_cached(_: &File, _: u64) -> bool {
    true
}

/// There are no such files.
#[must_use]
pub fn is_sealed(_: &File) -> bool {
    false
}
