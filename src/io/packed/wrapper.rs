//! What a file is packed as.

use std::fmt;

/// What is around a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wrapper {
    /// gzip (RFC 1952).
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
    /// xz.
    Xz,
    /// bzip2.
    Bzip2,
    /// The frame format of LZ4.
    Lz4,
    /// zlib (RFC 1950), around a database.
    Zlib,
    /// LZW as Go writes it, around a database.
    Lzw,
    /// age, if keys for it were given: [`open_with`](crate::io::closed::open_with).
    #[cfg(feature = "age")]
    Age,
    /// tar: ustar, GNU, pax.
    Tar,
    /// zip.
    Zip,
    /// A volume of ext2, ext3 or ext4, and whether what is in its journal was to be applied.
    Ext(bool),
    /// A disk with partitions.
    Disk,
}

impl Wrapper {
    /// Whether it is around one stream of bytes, and no archive.
    #[must_use]
    pub fn is_stream(self) -> bool {
        !matches!(self, Wrapper::Tar | Wrapper::Zip | Wrapper::Ext(_) | Wrapper::Disk)
    }
}

impl fmt::Display for Wrapper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Wrapper::Gzip => "gzip",
            Wrapper::Zstd => "zstd",
            Wrapper::Xz => "xz",
            Wrapper::Bzip2 => "bzip2",
            Wrapper::Lz4 => "lz4",
            Wrapper::Zlib => "zlib",
            Wrapper::Lzw => "LZW",
            #[cfg(feature = "age")]
            Wrapper::Age => "age",
            Wrapper::Tar => "tar",
            Wrapper::Zip => "zip",
            Wrapper::Ext(false) => "ext volume",
            Wrapper::Ext(true) => "ext volume, its journal applied in memory",
            Wrapper::Disk => "disk",
        })
    }
}

/// What was around something, and how much it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Around {
    /// From the outermost on.
    pub wrappers: Vec<Wrapper>,
    /// Bytes of the outermost.
    pub packed: u64,
    /// Bytes that came out of the compression, of everything that was in there.
    pub unpacked: u64,
}

impl fmt::Display for Around {
    /// `gzip, 1234 bytes unpacked to 5678`; `tar in gzip, ...` from the innermost on.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, wrapper) in self.wrappers.iter().rev().enumerate() {
            write!(f, "{}{wrapper}", if number == 0 { "" } else { " in " })?;
        }
        if matches!(self.wrappers.as_slice(), [Wrapper::Tar | Wrapper::Ext(_) | Wrapper::Disk]) {
            return Ok(());
        }
        write!(f, ", {} bytes unpacked to {}", self.packed, self.unpacked)
    }
}
