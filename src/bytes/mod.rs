//! Bytes: where they come from and go to, checksums over them, and the protobuf wire format.

pub mod checksum;
pub mod dest;
pub mod dest_dir;
pub mod gate;
pub mod json;
pub mod message;
pub mod source;
pub mod window;
pub mod wire;
pub mod writeback;

pub use gate::Gate;
pub use source::Source;
pub use window::Window;

// Offsets and counts are u64 on disk and usize in memory; on the 64-bit targets we support they are the same.
const _: () = assert!(usize::BITS == 64, "coldbolt needs a 64-bit target");

/// A count or offset from disk as a length in memory.
#[must_use]
pub fn to_usize(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// A length in memory as a count or offset on disk.
#[must_use]
pub fn to_u64(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// The `N` bytes at `offset`, if they are there.
#[must_use]
pub fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk::<N>().copied()
}

/// The `len` bytes at `offset`, if they are there.
#[must_use]
pub fn slice_at(bytes: &[u8], offset: usize, len: usize) -> Option<&[u8]> {
    bytes.get(offset..offset.checked_add(len)?)
}
