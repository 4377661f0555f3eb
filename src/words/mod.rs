//! What everything says: errors, findings and their codes, progress.

pub mod cause;
pub mod codes;
pub mod corrupt;
pub mod error;
pub mod finding;
pub mod hint;
pub mod kind;
pub mod monitor;
pub mod refusal;
pub mod text;
