//! Lengths and bounds that several parts of the format share.

/// Length of a page header in bytes.
pub const HEADER: usize = 16;
/// Length of a leaf or branch element in bytes.
pub const ELEMENT: usize = 16;
/// Length of a meta page's body after its header, in bytes, checksum included.
pub const META_BODY: usize = 64;
/// The longest key, in bytes (`MaxKeySize`). Here it is the longest bucket name too.
pub const MAX_KEY: usize = 32_768;
/// The longest key and value together, in bytes. Go's `Put` takes values up to 2^31 - 2, but it reads an item from a
/// window of 2^31 - 1 bytes that begins with the item's element (`unsafeByteSlice`): what does not fit, Go dies of
/// when it meets it.
pub const MAX_ITEM: usize = 0x7fff_ffff - ELEMENT;
/// The page sizes that there are: the powers of two from here ...
pub const MIN_PAGE_SIZE: u32 = 1024;
/// ... to here.
pub const MAX_PAGE_SIZE: u32 = 65_536;
