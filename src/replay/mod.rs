//! What a log does to a database.

pub mod apply;
pub(crate) mod believed;
pub mod boot;
pub mod fold;
mod member_log;
pub(crate) mod membership;
mod options;
mod remarks;
pub(crate) mod stand_in;
pub mod starts;
mod tail;
pub mod time;
pub mod until;
pub(crate) mod version;

pub use member_log::MemberLog;
pub use options::{Damage, FoldOptions, Uncommitted};
pub use until::Until;
