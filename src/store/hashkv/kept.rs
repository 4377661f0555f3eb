//! HashKV from one pass over the revisions, in their order.
//!
//! What it hashes of the revisions up to the compaction is decided by those after it: a revision counts as long as
//! its key has no newer one. So a checksum of each is kept, in 8 bytes, struck out when a newer one comes, and they
//! are joined at the end. Of what comes after the compaction everything counts.

use super::rule::{self, Counts, counts};
use crate::codec::checksum::{crc32c, crc32c_combine};
use crate::codec::to_usize;
use crate::etcd::BucketKey;
use crate::store::crc::Crc;
use crate::words::error::Corrupt;

/// A place where nothing is kept.
const NOWHERE: u32 = u32::MAX;
/// Bit of a length: a deletion, or no longer the newest of its key.
const STRUCK: u32 = 1 << 31;

pub(crate) struct Kept {
    compact: i64,
    /// Checksum and length of each revision up to the compaction.
    items: Vec<(u32, u32)>,
    /// The bucket's checksum where the compaction ends.
    crossing: Option<Crc>,
    /// What leaves no hash.
    broken: Option<Corrupt>,
}

impl Kept {
    /// Nothing yet. `compact` is -1 for none.
    pub fn new(compact: i64) -> Kept {
        Kept { compact, items: Vec::new(), crossing: None, broken: None }
    }

    /// Something that cannot be hashed.
    pub fn broken(&mut self, corrupt: &Corrupt) {
        self.broken.get_or_insert_with(|| corrupt.clone());
    }

    /// Whether this is the first revision after the compaction.
    pub fn crosses(&self, key: BucketKey) -> bool {
        self.crossing.is_none() && key.revision.main > self.compact
    }

    /// Everything after this is after the compaction. `so_far` is of all that lies before.
    pub fn cross(&mut self, so_far: Crc) {
        self.crossing = Some(so_far);
    }

    /// One more revision. Returns where it is kept.
    pub fn add(&mut self, key: BucketKey, raw_key: &[u8], value: &[u8]) -> u32 {
        if counts(key, self.compact) != Counts::IfKept {
            return NOWHERE;
        }
        let place = u32::try_from(self.items.len()).unwrap_or(NOWHERE);
        // bbolt's elements are shorter than 2^31 bytes.
        let len = u32::try_from(raw_key.len().saturating_add(value.len())).unwrap_or(0) & !STRUCK;
        let struck = if key.tombstone { STRUCK } else { 0 };
        self.items.push((crc32c(crc32c(0, raw_key), value), len | struck));
        place
    }

    /// A newer revision of the key that is kept there.
    pub fn strike(&mut self, place: u32) {
        if let Some((_, len)) = self.items.get_mut(to_usize(u64::from(place))) {
            *len |= STRUCK;
        }
    }

    /// The hash. `all` is the checksum of the whole bucket, `live` the number of its live keys.
    pub fn finish(self, all: Crc, live: u64) -> Result<u32, Box<Corrupt>> {
        if let Some(corrupt) = self.broken {
            return Err(Box::new(corrupt));
        }
        // etcd skips nothing when its keep set is empty.
        let kept = |len: u32| live == 0 || len & STRUCK == 0;
        let mut hash = rule::empty();
        for (crc, len) in self.items.into_iter().filter(|(_, len)| kept(*len)) {
            hash.join(Crc { crc, len: u64::from(len & !STRUCK) });
        }
        if let Some(before) = self.crossing {
            let len = all.len.saturating_sub(before.len);
            // A checksum of two parts, less that of the first.
            let tail = all.crc ^ crc32c_combine(before.crc, 0, len);
            hash.join(Crc { crc: tail, len });
        }
        Ok(hash.crc)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::etcd::Revision;

    proptest::proptest! {
        #[test]
        fn it_is_the_checksum_of_what_counts(
            items in proptest::collection::vec(
                (proptest::collection::vec(0u8.., 0..40), proptest::bool::ANY, proptest::bool::ANY),
                0..40,
            ),
            compact in -1i64..45, live in 0u64..2,
        ) {
            let (mut kept, mut all, mut due) = (Kept::new(compact), Crc::default(), b"key".to_vec());
            for (main, (value, tombstone, superseded)) in (2..).zip(&items) {
                let key = BucketKey { revision: Revision { main, sub: 0 }, tombstone: *tombstone };
                let raw = key.to_bytes();
                if kept.crosses(key) {
                    kept.cross(all);
                }
                let place = kept.add(key, &raw, value);
                if *superseded {
                    kept.strike(place);
                }
                all.add(&raw);
                all.add(value);
                let gone = main <= compact && live > 0 && (*tombstone || *superseded);
                if !(gone || main == compact && *tombstone) {
                    due.extend(raw.iter().chain(value));
                }
            }
            proptest::prop_assert_eq!(kept.finish(all, live).unwrap(), crc32c(0, &due));
        }
    }
}
