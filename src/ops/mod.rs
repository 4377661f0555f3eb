//! What coldbolt can do: one verb a file. Each takes an input, options and a
//! [`Monitor`](crate::words::monitor::Monitor), and returns a plain report; printing it is the caller's.

#[cfg(feature = "fs")]
pub mod backup;
pub mod bolt;
#[cfg(feature = "encryption")]
pub mod bootstrap;
pub mod carve;
#[cfg(feature = "age")]
pub mod closed;
#[cfg(feature = "live")]
pub mod compare_live;
#[cfg(feature = "fs")]
pub mod copy;
#[cfg(feature = "fs")]
pub mod defrag;
#[cfg(feature = "fs")]
pub mod evidence;
pub mod exposure;
#[cfg(feature = "fs")]
pub mod fold;
pub mod inspect;
#[cfg(feature = "kine")]
pub mod kine;
#[cfg(feature = "fs")]
pub mod kube_edit;
mod live_keys;
mod log_fault;
#[cfg(feature = "fs")]
pub mod migrate;
#[cfg(feature = "fs")]
pub mod output;
#[cfg(feature = "fs")]
mod overlap;
pub mod protection;
#[cfg(feature = "fs")]
pub mod rank;
#[cfg(feature = "fs")]
pub mod restore;
#[cfg(feature = "packed")]
pub mod salvage;
#[cfg(feature = "live")]
pub mod save;
#[cfg(feature = "fs")]
pub mod seal;
pub mod status;
#[cfg(feature = "fs")]
pub mod surgery;
pub mod timeline;
pub mod verify;
pub mod wal_dump;

#[cfg(feature = "encryption")]
pub use bootstrap::{BootstrapReport, bootstrap};
#[cfg(feature = "fs")]
pub use copy::{CopyOptions, CopyReport, copy};
#[cfg(feature = "fs")]
pub use defrag::{DefragOptions, DefragReport, defrag};
pub use exposure::exposure;
pub use inspect::{InspectOptions, InspectReport, inspect};
#[cfg(feature = "kine")]
pub use kine::{Kine, KineOptions, kine};
#[cfg(feature = "fs")]
pub use kube_edit::{KubeEdit, KubeEditOptions, KubeEditReport, kube_edit};
pub use protection::protection;
#[cfg(feature = "fs")]
pub use rank::{RankOptions, RankReport, rank};
#[cfg(feature = "fs")]
pub use restore::{RestoreOptions, RestoreReport, restore};
#[cfg(feature = "packed")]
pub use salvage::{SalvageOptions, SalvageReport, salvage};
#[cfg(feature = "live")]
pub use save::{SaveOptions, SaveReport, SaveTo, save};
pub use status::{StatusReport, status};
pub use verify::{Verification, VerifyOptions, verify};
