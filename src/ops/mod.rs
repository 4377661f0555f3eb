//! What coldbolt can do: one verb a file. Each takes an input, options and a
//! [`Monitor`](crate::words::monitor::Monitor), and returns a plain report; printing it is the caller's.

pub mod bolt;
pub mod copy;
pub mod defrag;
pub mod fold;
pub mod inspect;
mod log_fault;
mod overlap;
pub mod rank;
pub mod restore;
pub mod seal;
pub mod status;
pub mod verify;
pub mod wal_dump;

pub use copy::{CopyOptions, CopyReport, copy};
pub use defrag::{DefragOptions, DefragReport, defrag};
pub use inspect::{InspectOptions, InspectReport, inspect};
pub use rank::{RankOptions, RankReport, rank};
pub use restore::{RestoreOptions, RestoreReport, restore};
pub use status::{StatusReport, status};
pub use verify::{Verification, VerifyOptions, verify};
