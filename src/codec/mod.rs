//! Bytes in memory: numbers, checksums, protobuf, Go's way of writing text and JSON, and what an age file tells.

pub mod age;
pub mod checksum;
#[doc(hidden)]
pub mod go;
#[doc(hidden)]
pub mod json;
#[doc(hidden)]
pub mod json_tree;
pub mod proto;
pub mod wire;

/// A count or offset from disk as a length in memory.
#[doc(hidden)]
#[must_use]
pub fn to_usize(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// A length in memory as a count or offset on disk.
#[doc(hidden)]
#[must_use]
pub fn to_u64(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// The `N` bytes at `offset`, if they are there.
#[doc(hidden)]
#[must_use]
pub fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk::<N>().copied()
}

/// The `len` bytes at `offset`, if they are there.
#[doc(hidden)]
#[must_use]
pub fn slice_at(bytes: &[u8], offset: usize, len: usize) -> Option<&[u8]> {
    bytes.get(offset..offset.checked_add(len)?)
}

/// The same memory, with nothing in it, for items that borrow from something else.
pub(crate) fn emptied<A, B>(mut items: Vec<A>) -> Vec<B> {
    items.clear();
    // A vector that is collected from another one of items as large stays where that was.
    items.into_iter().map_while(|_| None).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_emptied_keeps_its_memory() {
        let full: Vec<&'static [u8]> = vec![b"item"; 100];
        let before = full.as_ptr();
        let empty: Vec<&[u8]> = emptied(full);
        assert_eq!((empty.len(), empty.capacity(), empty.as_ptr()), (0, 100, before));
    }
}
