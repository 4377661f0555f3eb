//! Which keys are meant: one, those with a prefix, a range.
//!
//! ```text
//! key, end empty     that key
//! key, end 00        that key and all after it; key 00: all
//! key, end           from key on, before end
//! ```
//!
//! Source: `RangeRequest` in `api/etcdserverpb/rpc.proto`, `client/v3/op.go WithPrefix, WithFromKey @ v3.6`.

use std::borrow::Cow;

/// A key, or a range of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRange<'k> {
    key: Cow<'k, [u8]>,
    end: End<'k>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum End<'k> {
    Single,
    Open,
    Before(Cow<'k, [u8]>),
}

impl<'k> KeyRange<'k> {
    /// One key.
    #[must_use]
    pub fn single(key: &'k [u8]) -> KeyRange<'k> {
        KeyRange { key: key.into(), end: End::Single }
    }

    /// Every key.
    #[must_use]
    pub fn all() -> KeyRange<'static> {
        KeyRange { key: Cow::Borrowed(&[]), end: End::Open }
    }

    /// The key and all after it.
    #[must_use]
    pub fn from_key(key: &'k [u8]) -> KeyRange<'k> {
        KeyRange { key: key.into(), end: End::Open }
    }

    /// Keys that begin so; all keys for an empty prefix.
    #[must_use]
    pub fn prefix(prefix: &'k [u8]) -> KeyRange<'k> {
        // The first key after all of them: the last byte that can be is made one greater, what follows it is dropped.
        let last = prefix.iter().rposition(|byte| *byte < 0xff);
        let end = last.and_then(|last| prefix.get(..=last)).map(<[u8]>::to_vec).map(|mut end| {
            if let Some(byte) = end.last_mut() {
                *byte = byte.saturating_add(1);
            }
            End::Before(end.into())
        });
        KeyRange { key: prefix.into(), end: end.unwrap_or(End::Open) }
    }

    /// What a `RangeRequest` with that key and range end means.
    #[must_use]
    pub fn request(key: &'k [u8], end: &'k [u8]) -> KeyRange<'k> {
        let end = match end {
            [] => End::Single,
            [0] => End::Open,
            end => End::Before(end.into()),
        };
        KeyRange { key: key.into(), end }
    }

    /// Whether it is one key, and which.
    #[must_use]
    pub fn as_single(&self) -> Option<&[u8]> {
        (self.end == End::Single).then_some(&*self.key)
    }

    /// The first key that may be meant.
    #[must_use]
    pub fn first(&self) -> &[u8] {
        &self.key
    }

    /// Whether there can be a key that both mean.
    #[must_use]
    pub fn meets(&self, other: &KeyRange<'_>) -> bool {
        // The empty key is none: the first that there can be is the zero byte.
        let first = self.first().max(other.first()).max(&[0]);
        self.contains(first) && other.contains(first)
    }

    /// Whether `key` is meant. The empty key, which no client can write, never is.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        match &self.end {
            _ if key.is_empty() => false,
            End::Single => key == &*self.key,
            End::Open => key >= &*self.key,
            End::Before(end) => key >= &*self.key && key < &**end,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_end_means_what_it_means_to_etcd() {
        assert!(
            KeyRange::request(b"a", b"").contains(b"a") && !KeyRange::request(b"a", b"").contains(b"a\0")
        );
        assert!(
            KeyRange::request(b"a", b"\0").contains(b"\xff\xff")
                && !KeyRange::request(b"b", b"\0").contains(b"a")
        );
        assert!(KeyRange::request(b"\0", b"\0").contains(b"\0"));
        assert!(
            KeyRange::request(b"a", b"c").contains(b"b\xff") && !KeyRange::request(b"a", b"c").contains(b"c")
        );
        // Not open: two zero bytes end it after the one-byte keys 00.
        assert!(
            KeyRange::request(b"\0", b"\0\0").contains(b"\0")
                && !KeyRange::request(b"\0", b"\0\0").contains(b"a")
        );
        assert!(!KeyRange::request(b"c", b"a").contains(b"b"));
        assert!(!KeyRange::all().contains(b""));
    }

    #[test]
    fn two_ranges_meet_where_a_key_is_in_both() {
        let range = KeyRange::request;
        for (one, other, due) in [
            (range(b"a", b"c"), range(b"b", b""), true),
            (range(b"a", b"c"), range(b"c", b""), false),
            (range(b"a", b"c"), range(b"b", b"d"), true),
            (range(b"a", b"c"), range(b"c", b"\0"), false),
            (range(b"a", b"\0"), range(b"c", b"d"), true),
            (range(b"c", b"a"), KeyRange::all(), false),
            (KeyRange::all(), KeyRange::all(), true),
            (range(b"", b""), KeyRange::all(), false),
        ] {
            assert_eq!((one.meets(&other), other.meets(&one)), (due, due), "{one:?} {other:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_prefix_is_the_keys_that_begin_so(
            prefix in proptest::collection::vec(0xfdu8.., 0..4),
            key in proptest::collection::vec(0xfdu8.., 1..6),
        ) {
            proptest::prop_assert_eq!(KeyRange::prefix(&prefix).contains(&key), key.starts_with(&prefix));
        }
    }
}
