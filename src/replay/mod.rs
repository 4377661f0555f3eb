//! What a log does to a database.

pub mod apply;
pub mod fold;
pub mod time;
pub mod until;

pub use until::Until;
