//! The length word in front of every record, and the padding behind it.

use nom::Parser;
use nom::combinator::map_opt;
use nom::number::complete::le_u64;

/// Bytes of the length word.
pub const HEADER: u64 = 8;
/// The longest record that is read into memory. etcd's requests are at most 1.5 MiB by default, a snapshot record a
/// few hundred bytes.
pub const MAX_RECORD: u64 = 512 << 20;
/// What etcd 3.4.0 to 3.5.4 accepted, padding included.
pub const MAX_RECORD_BEFORE_3_5_5: u64 = 10 << 20;

/// What a length word says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameSize {
    /// Bytes of the record, up to 2^56.
    pub record: u64,
    /// Bytes of padding as etcd reads them from the top byte, 0 to 7.
    pub padding: u64,
    /// The top byte as it is.
    pub top: u8,
}

impl FrameSize {
    /// Splits a length word (`wal.decodeFrameSize`); `None` for zero, which ends the file.
    #[must_use]
    pub fn of(word: u64) -> Option<FrameSize> {
        let [.., top] = word.to_le_bytes();
        let padding = if top & 0x80 == 0 { 0 } else { u64::from(top & 7) };
        (word != 0).then_some(FrameSize { record: word & 0x00ff_ffff_ffff_ffff, padding, top })
    }

    /// What the length word that `bytes` begin with says; `None` too when fewer than its 8 bytes are there.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<FrameSize> {
        let parsed: nom::IResult<_, _, ()> = map_opt(le_u64, FrameSize::of).parse(bytes);
        parsed.ok().map(|(_, size)| size)
    }

    /// The word for a record of `record` bytes (`wal.encodeFrameSize`).
    #[must_use]
    pub fn word(record: u64) -> u64 {
        let padding = padding(record);
        if padding == 0 { record } else { record | (0x80 | padding) << 56 }
    }

    /// Whether the top byte is the one a record of this length has.
    #[must_use]
    pub fn is_regular(&self) -> bool {
        FrameSize::word(self.record) >> 56 == u64::from(self.top)
    }

    /// Padding that brings the frame to a multiple of 8 bytes, whatever the top byte says.
    #[must_use]
    pub fn regular_padding(&self) -> u64 {
        padding(self.record)
    }
}

/// Padding after a record of `record` bytes.
#[must_use]
pub fn padding(record: u64) -> u64 {
    record.wrapping_neg() & 7
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_word_holds_length_and_padding() {
        let of = |bytes: [u8; 8]| FrameSize::parse(&bytes).unwrap();
        assert_eq!(of([4, 0, 0, 0, 0, 0, 0, 0x84]), FrameSize { record: 4, padding: 4, top: 0x84 });
        assert_eq!(of([0x18, 0, 0, 0, 0, 0, 0, 0]), FrameSize { record: 24, padding: 0, top: 0 });
        assert_eq!(FrameSize::of(0), None);
        assert_eq!(FrameSize::parse(&[0; 8]), None);
        assert_eq!(FrameSize::parse(&[1, 2, 3, 4, 5, 6, 7]), None);
    }

    #[test]
    fn only_one_top_byte_is_regular_for_a_length() {
        for record in 1..=40u64 {
            let regular: Vec<u8> = (0..=255u8)
                .filter(|top| FrameSize::of(record | u64::from(*top) << 56).unwrap().is_regular())
                .collect();
            assert_eq!(regular.len(), 1);
            let size = FrameSize::of(FrameSize::word(record)).unwrap();
            assert_eq!((size.record + size.padding) % 8, 0);
            assert_eq!(size.padding, size.regular_padding());
        }
    }
}
