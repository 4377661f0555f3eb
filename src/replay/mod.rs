//! What a log does to a database.

pub mod apply;
pub(crate) mod believed;
pub mod boot;
pub mod clock;
pub mod custom_v2;
pub mod fold;
#[cfg(feature = "fs")]
pub mod increments;
mod member_log;
pub(crate) mod membership;
pub mod minimal;
mod options;
mod remarks;
mod rising;
pub(crate) mod stand_in;
pub mod starts;
mod tail;
pub mod time;
pub mod until;
pub(crate) mod version;

pub use member_log::MemberLog;
pub use options::{Damage, FoldOptions, Uncommitted};
pub use until::Until;
