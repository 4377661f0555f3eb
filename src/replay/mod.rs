//! What a log does to a database.

pub mod apply;
pub mod fold;
mod member_log;
mod options;
mod tail;
pub mod time;
pub mod until;
mod version;

pub use member_log::MemberLog;
pub use options::{Damage, FoldOptions, Uncommitted};
pub use until::Until;
