//! Where bytes come from and go to: the only place that opens files.

pub mod dest;
pub mod gate;
pub mod source;
pub mod window;

pub use gate::Gate;
pub use source::Source;
pub use window::Window;

// Offsets and counts are u64 on disk and usize in memory; on the 64-bit targets we support they are the same.
const _: () = assert!(usize::BITS == 64, "coldbolt needs a 64-bit target");
