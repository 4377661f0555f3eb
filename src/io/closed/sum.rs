//! What bytes come to that go by.

use std::io;

use sha2::{Digest, Sha256};

use super::behind::Takes;
use crate::codec::to_u64;

/// Length and SHA-256 of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sum {
    /// How many they are.
    pub bytes: u64,
    /// Their SHA-256.
    pub sha256: [u8; 32],
}

/// A sum of what was seen so far.
#[derive(Clone, Default)]
pub(crate) struct Summing {
    bytes: u64,
    hash: Sha256,
}

impl Summing {
    pub fn sum(self) -> Sum {
        Sum { bytes: self.bytes, sha256: self.hash.finalize().into() }
    }
}

impl Takes for Summing {
    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes = self.bytes.saturating_add(to_u64(bytes.len()));
        self.hash.update(bytes);
        Ok(())
    }
}
