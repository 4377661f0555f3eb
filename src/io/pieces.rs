//! A file that lies in pieces of another, as in a volume; what is in no piece is zeros.

use std::ops::Range;

use crate::codec::{to_u64, to_usize};

/// Bytes of a file that lie together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Where they are in the file.
    pub at: u64,
    pub len: u64,
    /// Where they are in what it lies in.
    pub from: u64,
}

impl Piece {
    pub fn end(&self) -> u64 {
        self.at.saturating_add(self.len)
    }
}

/// A file in pieces, in the order of the file; none lies over another.
#[derive(Debug)]
pub(crate) struct Pieces(pub Vec<Piece>);

impl Pieces {
    /// What is to be read for `len` bytes from `offset` on: which of these bytes, and from where. The others are zeros.
    pub fn reads(&self, offset: u64, len: usize) -> impl Iterator<Item = (Range<usize>, u64)> {
        let end = offset.saturating_add(to_u64(len));
        let first = self.0.partition_point(|piece| piece.end() <= offset);
        let pieces = self.0.get(first..).unwrap_or_default().iter().take_while(move |piece| piece.at < end);
        pieces.map(move |piece| {
            let (begin, stop) = (piece.at.max(offset), piece.end().min(end));
            let range = to_usize(begin.saturating_sub(offset))..to_usize(stop.saturating_sub(offset));
            (range, piece.from.saturating_add(begin.saturating_sub(piece.at)))
        })
    }
}
