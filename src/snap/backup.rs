//! Snapshot files (`etcdctl snapshot save`): the database, then 32 bytes of SHA-256 over it.
//!
//! ```text
//! 0                    n              n + 32
//! | bbolt file, n bytes | SHA-256 of it |        n is a multiple of 512, so the length modulo 512 is 32
//! ```
//!
//! etcd takes the trailer for present when the length modulo 512 is 32 (`hasChecksum`). Source:
//! `api/v3rpc/maintenance.go Snapshot`.

use crate::io::Source;
use crate::words::error::Corrupt;

/// Length of the trailer in bytes.
pub const TRAILER: u64 = 32;

/// What stands after the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase", tag = "state")]
pub enum Trailer {
    /// Nothing: a bare database, as a member keeps it or as a `.snap.db` is.
    Absent,
    /// 32 bytes of SHA-256.
    Present {
        /// The digest as stored.
        #[serde(serialize_with = "hex")]
        digest: [u8; 32],
        /// Bytes before it that it covers.
        payload: u64,
    },
    /// 32 bytes of zeros, where a digest is due.
    Zeroed {
        /// Bytes before it.
        payload: u64,
    },
    /// The file ends before its database does: whether there was one cannot be told.
    Lost {
        /// Bytes of the database that are missing.
        missing: u64,
    },
    /// Fewer than 32 bytes after the database: the end of the file is missing.
    Cut {
        /// How many.
        bytes: u64,
    },
}

fn hex<S: serde::Serializer>(digest: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&crate::codec::checksum::hex(digest))
}

impl Trailer {
    /// Judges what stands at the end of a file whose database has `size` bytes.
    ///
    /// # Errors
    /// `unreadable`.
    pub fn read(source: &Source, size: u64) -> Result<Trailer, Box<Corrupt>> {
        let len = source.len();
        let payload = len.saturating_sub(TRAILER);
        // What stands at the end of a file that lacks pages is no trailer, even if its length is right by chance.
        if len % 512 == TRAILER && payload >= size {
            let mut digest = [0; 32];
            source.read_exact_at(payload, &mut digest)?;
            return Ok(if digest == [0; 32] {
                Trailer::Zeroed { payload }
            } else {
                Trailer::Present { digest, payload }
            });
        }
        match len.checked_sub(size) {
            None => Ok(Trailer::Lost { missing: size.saturating_sub(len) }),
            Some(bytes @ 1..TRAILER) => Ok(Trailer::Cut { bytes }),
            _ => Ok(Trailer::Absent),
        }
    }

    /// The 32 bytes right behind the database, where a file goes on after them: its trailer, if they are the SHA-256,
    /// to which something was appended. `None` where `self` is that place.
    ///
    /// # Errors
    /// `unreadable`.
    pub fn appended_to(self, source: &Source, size: u64) -> Result<Option<[u8; 32]>, Box<Corrupt>> {
        if self.payload(source) <= size || source.len() <= size.saturating_add(TRAILER) {
            return Ok(None);
        }
        let mut digest = [0; 32];
        source.read_exact_at(size, &mut digest)?;
        Ok(Some(digest).filter(|digest| *digest != [0; 32]))
    }

    /// Bytes that belong to the database, as etcd sees it: all but the trailer.
    #[must_use]
    pub fn payload(&self, source: &Source) -> u64 {
        match self {
            Trailer::Present { payload, .. } | Trailer::Zeroed { payload } => *payload,
            Trailer::Absent | Trailer::Lost { .. } | Trailer::Cut { .. } => source.len(),
        }
    }
}
