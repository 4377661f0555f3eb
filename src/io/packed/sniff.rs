//! What a file is packed as, by its first bytes.

use std::io::Read;

use super::bare::Bare;
use super::wrapper::Wrapper;
use super::{disk, ext};
use crate::codec::slice_at;

/// Bytes at the front of a file that tell what it is packed as.
pub const FRONT: usize = 8192;

/// What stands 16 bytes behind the beginning of a bbolt database.
const DATABASE: &[u8] = b"\xed\xda\x0c\xed";

impl Wrapper {
    /// What the first bytes of a file say; [`FRONT`] of them are enough.
    #[must_use]
    pub fn of(front: &[u8]) -> Option<Wrapper> {
        let begins = |magic: &[u8]| front.starts_with(magic);
        let in_order = |low: u8, high: u8, rest: &[u8]| {
            front.first().is_some_and(|byte| (low..=high).contains(byte))
                && slice_at(front, 1, rest.len()) == Some(rest)
        };
        if begins(b"\x1f\x8b\x08") {
            Some(Wrapper::Gzip)
        } else if begins(b"\x28\xb5\x2f\xfd") || in_order(0x50, 0x5f, b"\x2a\x4d\x18") {
            Some(Wrapper::Zstd)
        } else if begins(b"\xfd7zXZ\0") {
            Some(Wrapper::Xz)
        } else if begins(b"BZh") && matches!(slice_at(front, 4, 6), Some(b"1AY&SY" | b"\x17rE8P\x90")) {
            Some(Wrapper::Bzip2)
        } else if begins(b"\x04\x22\x4d\x18") {
            Some(Wrapper::Lz4)
        } else if begins(b"PK\x03\x04") || begins(b"PK\x05\x06") {
            Some(Wrapper::Zip)
        } else if let Some(closed) = closed(front) {
            Some(closed)
        } else if begins_tar(front) {
            Some(Wrapper::Tar)
        } else if slice_at(front, 16, 4) == Some(DATABASE) {
            // Whatever stands in its pages.
            None
        } else if let Some(bare) = bare(front) {
            Some(bare)
        } else if ext::begins(front) {
            Some(Wrapper::Ext(false))
        } else if disk::begins(front) {
            Some(Wrapper::Disk)
        } else {
            None
        }
    }
}

/// Whether it is closed with age, and keys were given that may open it.
#[cfg(feature = "age")]
fn closed(front: &[u8]) -> Option<Wrapper> {
    let opens = front.starts_with(crate::codec::age::MAGIC) && crate::io::closed::opens();
    opens.then_some(Wrapper::Age)
}

#[cfg(not(feature = "age"))]
fn closed(_: &[u8]) -> Option<Wrapper> {
    None
}

/// zlib or LZW, if a database is what begins in it.
fn bare(front: &[u8]) -> Option<Wrapper> {
    let database = |mut unpacked: Bare<&[u8]>| {
        let mut page = [0; 20];
        unpacked.read_exact(&mut page).is_ok() && page.ends_with(DATABASE)
    };
    match front {
        // The method deflate, and the LZW's first code, with which it begins anew.
        [0x78, ..] if database(Bare::zlib(front)) => Some(Wrapper::Zlib),
        [0, more, ..] if more & 1 == 1 && database(Bare::lzw(front)) => Some(Wrapper::Lzw),
        _ => None,
    }
}

/// Whether a file begins with a header that has its magic and the right sum.
fn begins_tar(front: &[u8]) -> bool {
    slice_at(front, 257, 5) == Some(b"ustar") && front.first_chunk().is_some_and(sums_up)
}

/// Whether a header of tar is whole.
pub(super) fn sums_up(block: &[u8; 512]) -> bool {
    let header = tar::Header::from_byte_slice(block);
    let blank = |(at, byte): (usize, &u8)| u32::from(if (148..156).contains(&at) { b' ' } else { *byte });
    header.cksum().ok() == Some(block.iter().enumerate().map(blank).sum())
}
