//! Bytes in memory that lie over parts of something longer.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::codec::{slice_at, to_u64, to_usize};

/// Stretches of bytes, each with the offset where it begins. Where two overlap, the one that was laid later is seen.
#[derive(Debug, Clone, Default)]
pub struct Spans(BTreeMap<u64, Vec<u8>>);

/// One piece of what is read through spans.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'s> {
    /// Bytes of a span.
    Span(&'s [u8]),
    /// Offsets that no span covers.
    Base(Range<u64>),
}

impl Spans {
    /// No bytes at all.
    #[must_use]
    pub fn new() -> Spans {
        Spans::default()
    }

    /// Lays `bytes` at `offset`, over what is there. Bytes past the last offset there is are left out.
    #[must_use]
    pub fn with(mut self, offset: u64, mut bytes: Vec<u8>) -> Spans {
        bytes.truncate(to_usize(u64::MAX.saturating_sub(offset)));
        let end = offset.saturating_add(to_u64(bytes.len()));
        if bytes.is_empty() {
            return self;
        }
        // What reaches into the new one from before keeps its beginning, and its end where it is longer.
        if let Some((start, before)) = self.0.range_mut(..offset).next_back() {
            let keep = to_usize(offset.saturating_sub(*start));
            let past = to_usize(end.saturating_sub(*start));
            let rest = before.get(past..).unwrap_or_default().to_vec();
            before.truncate(keep);
            if !rest.is_empty() {
                self.0.insert(end, rest);
            }
        }
        while let Some((start, covered)) =
            self.0.range(offset..end).next().map(|(at, span)| (*at, span.len()))
        {
            let rest = self.0.remove(&start).unwrap_or_default();
            let past = to_usize(end.saturating_sub(start));
            if past < covered {
                self.0.insert(end, rest.get(past..).unwrap_or_default().to_vec());
            }
        }
        self.0.insert(offset, bytes);
        self
    }

    /// The `len` bytes at `offset`, where one span has them all.
    pub(super) fn slice(&self, offset: u64, len: usize) -> Option<&[u8]> {
        let (start, span) = self.0.range(..=offset).next_back()?;
        slice_at(span, to_usize(offset.saturating_sub(*start)), len)
    }

    /// Whether a byte of `range` is a span's.
    pub(super) fn touch(&self, range: Range<u64>) -> bool {
        let last = self.0.range(..range.end).next_back();
        !range.is_empty()
            && last.is_some_and(|(start, span)| start.saturating_add(to_u64(span.len())) > range.start)
    }

    /// The pieces of `range`, in order.
    pub(super) fn pieces(&self, range: Range<u64>) -> impl Iterator<Item = Piece<'_>> {
        let mut at = range.start;
        std::iter::from_fn(move || {
            if at >= range.end {
                return None;
            }
            let left = to_usize(range.end.saturating_sub(at));
            let within = self.0.range(..=at).next_back().and_then(|(start, span)| {
                span.get(to_usize(at.saturating_sub(*start))..).filter(|rest| !rest.is_empty())
            });
            if let Some(rest) = within {
                let rest = rest.get(..left).unwrap_or(rest);
                at = at.saturating_add(to_u64(rest.len()));
                return Some(Piece::Span(rest));
            }
            let next = self.0.range(at..range.end).next().map_or(range.end, |(start, _)| *start);
            Some(Piece::Base(std::mem::replace(&mut at, next)..next))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn spans_are_what_was_laid_one_over_the_other(
            laid in prop::collection::vec((0u64..40, 0usize..20, 1u8..), 0..8),
            from in 0u64..60,
            len in 0usize..60,
        ) {
            let mut bytes = [0u8; 64];
            let mut spans = Spans::new();
            for (at, len, byte) in laid {
                bytes[at as usize..][..len].fill(byte);
                spans = spans.with(at, vec![byte; len]);
            }
            let to = (from + len as u64).min(64);
            let mut read = Vec::new();
            for piece in spans.pieces(from..to) {
                match piece {
                    Piece::Span(span) => {
                        prop_assert_eq!(spans.slice(from + read.len() as u64, span.len()), Some(span));
                        read.extend_from_slice(span);
                    }
                    Piece::Base(range) => {
                        prop_assert!(!spans.touch(range.clone()));
                        prop_assert_eq!(range.start, from + read.len() as u64);
                        read.resize(read.len() + (range.end - range.start) as usize, 0);
                    }
                }
            }
            prop_assert_eq!(&read, &bytes[from.min(to) as usize..to as usize]);
            prop_assert_eq!(spans.touch(from..to), read.iter().any(|byte| *byte != 0));
        }
    }

    #[test]
    fn the_last_offset_there_is_ends_a_span() {
        let spans = Spans::new().with(u64::MAX - 2, vec![7; 9]);
        assert_eq!(spans.slice(u64::MAX - 2, 2), Some(&[7, 7][..]));
        assert_eq!(spans.slice(u64::MAX - 2, 3), None);
    }
}
