//! What everything says: errors, findings and their codes, ids, progress.

pub mod collector;
pub mod error;
pub mod finding;
pub mod ids;
pub mod monitor;
