//! What is inside files that are compressed or archives: gzip, zstd, xz, bzip2, lz4, zip and tar, ext volumes and
//! disks, one in another (feature `packed`).
//!
//! A file is known by its first bytes, never by its name; zlib and LZW, which have no magic, by a database in them.
//! What it holds is unpacked once, from front to back, into memory or, if it is more than that should take, into a file
//! without a name; what is in a tar is read in its place there. So an archive is no directory on a disk: nothing of it
//! has a path that could lead anywhere else, links are not followed, and a name in it is only a name.
//!
//! What is inside is named by the path of the file, a colon, and the path in there: `backup.tar.gz:/member/snap/db`. A
//! file of that name on the disk comes first.
//!
//! How far unpacking goes is bounded ([`at_most`]), and what unpacks to very much more than it was is refused unless
//! somebody says how much it may be. Who knows what a file should be looks at its front ([`Judge`]), before more of it
//! is unpacked.
//!
//! What is written can be compressed, too: [`Compression`].

mod bare;
mod compress;
mod container;
mod disk;
mod ext;
mod index;
mod keep;
mod limits;
mod member;
mod sniff;
mod stream;
mod tar;
mod wrapper;
mod zip;

pub use self::compress::Compression;
pub use self::container::{Inside, forget};
pub use self::index::Kind;
pub use self::limits::{Judge, at_most, only_in_memory, tell};
pub(super) use self::member::Member;
pub use self::member::named;
pub use self::sniff::FRONT;
pub use self::stream::unpack;
pub use self::wrapper::{Around, Wrapper};
