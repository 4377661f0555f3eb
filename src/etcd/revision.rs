//! Revisions: the keys of etcd's `key` bucket.

use std::fmt;

use crate::codec::array_at;

/// When a change happened: `main` counts transactions from 2 on, `sub` the changes inside one from 0 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize)]
pub struct Revision {
    /// The transaction.
    pub main: i64,
    /// The change in it.
    pub sub: i64,
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.main, self.sub)
    }
}

/// A key of the `key` bucket: a revision, and whether it deletes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BucketKey {
    /// The revision.
    pub revision: Revision,
    /// Whether it marks a deletion.
    pub tombstone: bool,
}

/// Why bytes are not a revision key; the messages are etcd 3.6's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadRevision {
    /// Neither 17 nor 18 bytes.
    #[error("invalid revision length: {0}")]
    Length(usize),
    /// Byte 8 is not `_`.
    #[error("invalid separator in bucket key: {:?}", char::from(*.0))]
    Separator(u8),
    /// Byte 17 is not `t`.
    #[error("invalid tombstone mark in bucket key: {:?}", char::from(*.0))]
    Mark(u8),
    /// Main or sub is negative.
    #[error("negative revision: main={} sub={}", .0.main, .0.sub)]
    Negative(Revision),
}

impl BucketKey {
    /// Reads 17 or 18 bytes: main (8, big-endian), `_`, sub (8, big-endian), and `t` for a tombstone.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn parse(key: &[u8]) -> Result<BucketKey, BadRevision> {
        let length = BadRevision::Length(key.len());
        if key.len() != 17 && key.len() != 18 {
            return Err(length);
        }
        let main = array_at(key, 0).map(i64::from_be_bytes).ok_or(length)?;
        let sub = array_at(key, 9).map(i64::from_be_bytes).ok_or(length)?;
        let revision = Revision { main, sub };
        match (key.get(8), key.get(17)) {
            (Some(b'_'), _) if main < 0 || sub < 0 => Err(BadRevision::Negative(revision)),
            (Some(b'_'), None) => Ok(BucketKey { revision, tombstone: false }),
            (Some(b'_'), Some(b't')) => Ok(BucketKey { revision, tombstone: true }),
            (Some(b'_'), Some(mark)) => Err(BadRevision::Mark(*mark)),
            (Some(separator), _) => Err(BadRevision::Separator(*separator)),
            (None, _) => Err(length),
        }
    }

    /// The bytes it is stored as.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(18);
        bytes.extend_from_slice(&self.revision.main.to_be_bytes());
        bytes.push(b'_');
        bytes.extend_from_slice(&self.revision.sub.to_be_bytes());
        if self.tombstone {
            bytes.push(b't');
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read(main in 0..i64::MAX, sub in 0..i64::MAX, tombstone: bool) {
            let key = BucketKey { revision: Revision { main, sub }, tombstone };
            proptest::prop_assert_eq!(BucketKey::parse(&key.to_bytes()), Ok(key));
        }
    }

    /// No etcd writes revision 0, and none refuses it.
    #[test]
    fn zero_is_a_revision_and_prints_as_one() {
        let zero = BucketKey { revision: Revision { main: 0, sub: 0 }, tombstone: false };
        assert_eq!(BucketKey::parse(&zero.to_bytes()), Ok(zero));
        assert_eq!(Revision { main: 12, sub: 3 }.to_string(), "12.3");
    }

    #[test]
    fn each_way_to_be_wrong_is_named() {
        let good = BucketKey { revision: Revision { main: 2, sub: 0 }, tombstone: true }.to_bytes();
        assert_eq!(BucketKey::parse(&good[..9]).unwrap_err().to_string(), "invalid revision length: 9");
        let with = |at: usize, byte: u8| {
            let mut bad = good.clone();
            bad[at] = byte;
            BucketKey::parse(&bad).unwrap_err().to_string()
        };
        assert_eq!(with(8, b'-'), "invalid separator in bucket key: '-'");
        assert_eq!(with(17, b'x'), "invalid tombstone mark in bucket key: 'x'");
        assert_eq!(with(0, 0x80), "negative revision: main=-9223372036854775806 sub=0");
        assert_eq!(with(9, 0x80), "negative revision: main=2 sub=-9223372036854775808");
    }
}
