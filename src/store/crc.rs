//! A checksum that can be joined to another.

use crate::codec::checksum::{crc32c, crc32c_combine};
use crate::codec::to_u64;

/// A CRC-32C and how many bytes it is of: what it takes to join it to another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Crc {
    /// The checksum.
    pub crc: u32,
    /// Bytes.
    pub len: u64,
}

impl Crc {
    /// Of these bytes.
    pub(crate) fn of(bytes: &[u8]) -> Crc {
        let mut crc = Crc::default();
        crc.add(bytes);
        crc
    }

    /// These bytes follow.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.crc = crc32c(self.crc, bytes);
        self.len = self.len.saturating_add(to_u64(bytes.len()));
    }

    /// What that one is of follows.
    pub(crate) fn join(&mut self, next: Crc) {
        self.crc = crc32c_combine(self.crc, next.crc, next.len);
        self.len = self.len.saturating_add(next.len);
    }
}
