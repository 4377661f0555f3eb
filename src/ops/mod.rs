//! What coldbolt can do: one verb a file. Each takes an input, options and a [`Monitor`](crate::monitor::Monitor), and returns a plain
//! report; printing it is the caller's.

mod aside;
pub mod bolt;
pub mod copy;
pub mod defrag;
pub mod digest;
pub mod hashkv;
pub mod inspect;
pub mod keyspace;
mod object_time;
pub mod rank;
pub mod restore;
pub mod scan;
pub mod seal;
pub mod status;
mod stream;
pub mod verify;
pub mod wal_dump;

pub use copy::{CopyOptions, CopyReport, copy};
pub use defrag::{DefragOptions, DefragReport, defrag};
pub use hashkv::{HashKvOptions, HashKvReport, hashkv};
pub use inspect::{InspectOptions, InspectReport, inspect};
pub use keyspace::{Store, StoreOptions};
pub use rank::{RankOptions, RankReport, rank};
pub use restore::{RestoreOptions, RestoreReport, restore};
pub use status::{StatusReport, status};
pub use verify::{Verification, VerifyOptions, verify};
