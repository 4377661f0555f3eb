//! What several targets do to their input.

use coldbolt::codec::checksum::fnv1a64;

/// Gives both meta pages bbolt's magic, version and checksum, the second where the first says how large pages are: a
/// changed one hardly ever keeps them, and what matters lies behind.
pub fn fit_meta_pages(bytes: &mut [u8]) {
    let size = bytes.get(24..28).map_or(4096, |n| u32::from_le_bytes(n.try_into().unwrap()));
    for meta in [0, size as usize] {
        let Some(page) = bytes.get_mut(meta..meta.saturating_add(80)) else { continue };
        page[16..24].copy_from_slice(&[0xed, 0xda, 0x0c, 0xed, 2, 0, 0, 0]);
        let sum = fnv1a64(&page[16..72]).to_le_bytes();
        page[72..80].copy_from_slice(&sum);
    }
}
