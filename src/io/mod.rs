//! Where bytes come from and go to: the only place that opens files.
//!
//! With the feature `fs` files are opened, locked and written, with `mmap` they may be mapped, with `threads` work is
//! done on several threads, with `age` files are closed for who holds a key, and opened, with `packed` what is in
//! archives and compressed files is opened. Without any of them there are sources in memory and windows over them.

#[cfg(feature = "age")]
pub mod closed;
#[cfg(feature = "fs")]
pub mod dest;
#[cfg(feature = "fs")]
mod file;
#[doc(hidden)]
pub mod gate;
#[cfg(feature = "mmap")]
mod map;
#[cfg(not(feature = "fs"))]
mod no_file;
#[cfg(feature = "fs")]
#[doc(hidden)]
pub mod os;
pub mod overlay;
#[cfg(feature = "packed")]
pub mod packed;
#[doc(hidden)]
pub mod parallel;
#[cfg(feature = "packed")]
mod pieces;
pub mod reader;
pub mod source;
#[cfg(any(feature = "kine", feature = "packed"))]
pub mod spool;
mod state;
pub mod tree;
pub mod window;

#[doc(hidden)]
pub use gate::Gate;
#[cfg(feature = "mmap")]
pub use map::{all_files, map_all_files};
pub use overlay::Spans;
pub use source::Source;
pub use window::Window;
