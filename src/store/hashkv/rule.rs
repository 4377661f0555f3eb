//! What HashKV is of: the word `key` and, in their order, the stored revisions that count.
//!
//! | Revision | Counts |
//! |---|---|
//! | after the compaction | yes |
//! | a deletion at the compaction itself | no: it is removed, whatever else is kept |
//! | another one up to the compaction | as long as it is a put and its key has no newer revision; but all of them if that is true of none, as etcd skips nothing when its keep set is empty |
//!
//! Three passes go by it: one on all threads ([`hashkv`](super::hashkv)), one in the order of the revisions, with their
//! history ([`CompactedCrcs`](super::compacted::CompactedCrcs)), and one over what a rewritten database keeps
//! ([`keep`](crate::store::keep)). Source: `server/storage/mvcc/hash.go unsafeHashByRev @ v3.6`.

use crate::etcd::BucketKey;
use crate::store::crc::Crc;

/// Whether a stored revision counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counts {
    Yes,
    No,
    /// If the compaction keeps it.
    IfKept,
}

/// Whether a stored revision counts after a compaction at `compact`; -1 is none.
pub(crate) fn counts(key: BucketKey, compact: i64) -> Counts {
    let main = key.revision.main;
    if main > compact {
        Counts::Yes
    } else if main == compact && key.tombstone {
        Counts::No
    } else {
        Counts::IfKept
    }
}

/// The hash of nothing stored: what counts is added to it.
pub(crate) fn empty() -> Crc {
    Crc::of(b"key")
}
