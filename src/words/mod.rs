//! What everything says: errors, findings and their codes, progress.

pub mod collector;
pub mod error;
pub mod finding;
pub mod monitor;
