//! A checksum that can be joined to another.

use crate::bolt::LeafElement;
use crate::codec::checksum::{crc32c, crc32c_combine};
use crate::codec::{slice_at, to_u64};

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

/// Bytes of a page that follow each other and are hashed together: one long checksum takes a third of the time of
/// many short ones. `page` is the bytes of the same page each time, until the run ends.
#[derive(Debug, Default)]
pub(crate) struct Run {
    from: usize,
    to: usize,
}

impl Run {
    /// An element's key, and its value too. Go's ForEach gives a nested bucket's name and no value.
    pub(crate) fn add(&mut self, page: &[u8], element: &LeafElement<'_>, value: bool, crc: &mut Crc) {
        let from = element.value_at.saturating_sub(element.key.len());
        if from != self.to {
            self.end(page, crc);
            self.from = from;
        }
        self.to = element.value_at.saturating_add(if value { element.value.len() } else { 0 });
    }

    /// What was added is hashed, and nothing more follows it in this page.
    pub(crate) fn end(&mut self, page: &[u8], crc: &mut Crc) {
        if let Some(bytes) = slice_at(page, self.from, self.to.saturating_sub(self.from)) {
            crc.add(bytes);
        }
        self.from = self.to;
    }
}
