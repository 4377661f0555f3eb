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
const SUPERSEDED: u32 = 1 << 31;

pub(crate) struct CompactedCrcs {
    compact: i64,
    /// Checksum and length of each revision up to the compaction.
    items: Vec<(u32, u32)>,
    /// The bucket's checksum where the compaction ends.
    before_end: Option<Crc>,
    /// What leaves no hash.
    broken: Option<Corrupt>,
}

impl CompactedCrcs {
    /// Nothing yet. `compact` is -1 for none.
    pub fn new(compact: i64) -> CompactedCrcs {
        CompactedCrcs { compact, items: Vec::new(), before_end: None, broken: None }
    }

    /// Something that cannot be hashed.
    pub fn broken(&mut self, corrupt: &Corrupt) {
        self.broken.get_or_insert_with(|| corrupt.clone());
    }

    /// Whether this is the first revision after the compaction.
    pub fn is_first_after(&self, key: BucketKey) -> bool {
        self.before_end.is_none() && key.revision.main > self.compact
    }

    /// Everything after this is after the compaction. `so_far` is of all that lies before.
    pub fn compaction_ends(&mut self, so_far: Crc) {
        self.before_end = Some(so_far);
    }

    /// One more revision. Returns where it is kept.
    pub fn add(&mut self, key: BucketKey, raw_key: &[u8], value: &[u8]) -> u32 {
        if counts(key, self.compact) != Counts::IfKept {
            return NOWHERE;
        }
        let place = u32::try_from(self.items.len()).unwrap_or(NOWHERE);
        // bbolt's elements are shorter than 2^31 bytes.
        let len = u32::try_from(raw_key.len().saturating_add(value.len())).unwrap_or(0) & !SUPERSEDED;
        let superseded = if key.tombstone { SUPERSEDED } else { 0 };
        self.items.push((crc32c(crc32c(0, raw_key), value), len | superseded));
        place
    }

    /// A newer revision of the key that is kept there.
    pub fn superseded(&mut self, place: u32) {
        if let Some((_, len)) = self.items.get_mut(to_usize(u64::from(place))) {
            *len |= SUPERSEDED;
        }
    }

    /// The hash. `all` is the checksum of the whole bucket, `live` the number of its live keys.
    pub fn finish(self, all: Crc, live: u64) -> Result<u32, Box<Corrupt>> {
        if let Some(corrupt) = self.broken {
            return Err(Box::new(corrupt));
        }
        // etcd skips nothing when its keep set is empty.
        let kept = |len: u32| live == 0 || len & SUPERSEDED == 0;
        let mut hash = rule::empty();
        for (crc, len) in self.items.into_iter().filter(|(_, len)| kept(*len)) {
            hash.join(Crc { crc, len: u64::from(len & !SUPERSEDED) });
        }
        if let Some(before) = self.before_end {
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
            let (mut kept, mut all, mut due) = (CompactedCrcs::new(compact), Crc::default(), b"key".to_vec());
            for (main, (value, tombstone, superseded)) in (2..).zip(&items) {
                let key = BucketKey { revision: Revision { main, sub: 0 }, tombstone: *tombstone };
                let raw = key.to_bytes();
                if kept.is_first_after(key) {
                    kept.compaction_ends(all);
                }
                let place = kept.add(key, &raw, value);
                if *superseded {
                    kept.superseded(place);
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
