//! What everything says: errors, findings and their codes, ids, progress.

pub mod cause;
#[macro_use]
mod code_table;
pub mod codes;
#[doc(hidden)]
pub mod collector;
pub mod corrupt;
pub mod error;
pub mod finding;
pub mod hint;
pub mod ids;
pub mod kind;
pub mod level;
pub mod monitor;
mod notes;
pub mod refusal;
#[doc(hidden)]
pub mod text;
pub mod unanswered;
