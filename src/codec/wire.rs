//! The protobuf wire format, borrowed: for messages on the hot path and for bytes of no known schema.
//!
//! A message is a sequence of fields: a varint tag (`number << 3 | type`), then by type 0 a varint, 1 eight bytes, 2
//! a varint length and that many bytes, 5 four bytes. Source: protobuf.dev/programming-guides/encoding.

use nom::bytes::complete::take;
use nom::number::complete::{le_u32, le_u64, u8 as byte};
use nom::{IResult, Parser};

use crate::codec::to_usize;

/// The value of one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireValue<'a> {
    /// Type 0.
    Varint(u64),
    /// Type 1, little-endian.
    Fixed64(u64),
    /// Type 2.
    Bytes(&'a [u8]),
    /// Type 5, little-endian.
    Fixed32(u32),
}

/// The message cannot be read past this byte offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadField(pub usize);

/// A base-128 varint of at most ten bytes, after what follows it.
///
/// # Errors
/// When the input ends inside it or it exceeds 64 bits.
pub fn varint(input: &[u8]) -> Result<(&[u8], u64), BadField> {
    varint_of(input).map_err(|_| BadField(0))
}

/// One field, its number and its value, after what follows it.
///
/// # Errors
/// When the input ends inside it, or its number or type cannot be.
#[inline]
pub fn field(input: &[u8]) -> Result<(&[u8], (u32, WireValue<'_>)), BadField> {
    field_of(input).map_err(|_| BadField(0))
}

/// What parsers give inside this file. Who fails says nothing but that: the place is where the field began.
type Parsed<'a, T> = IResult<&'a [u8], T, ()>;

#[inline]
fn varint_of(input: &[u8]) -> Parsed<'_, u64> {
    // Tags and most lengths are of one byte.
    match input {
        [byte, rest @ ..] if *byte < 0x80 => Ok((rest, u64::from(*byte))),
        _ => long_varint_of(input),
    }
}

fn long_varint_of(input: &[u8]) -> Parsed<'_, u64> {
    let mut rest = input;
    let mut value = 0u64;
    for shift in (0..64u32).step_by(7) {
        let (after, b) = byte(rest)?;
        rest = after;
        if shift == 63 && b > 1 {
            break;
        }
        value |= u64::from(b & 0x7f) << shift;
        if b & 0x80 == 0 {
            return Ok((rest, value));
        }
    }
    Err(nom::Err::Error(()))
}

// Combinators for the tag and for `length_data` read better and cost a quarter more on every stored key: measured.
#[inline]
fn field_of(input: &[u8]) -> Parsed<'_, (u32, WireValue<'_>)> {
    let (rest, tag) = varint_of(input)?;
    let number = u32::try_from(tag >> 3).ok().filter(|n| *n != 0 && *n < 1 << 29);
    let Some(number) = number else { return Err(nom::Err::Error(())) };
    let (rest, value) = match tag & 7 {
        0 => varint_of.map(WireValue::Varint).parse(rest)?,
        1 => le_u64.map(WireValue::Fixed64).parse(rest)?,
        2 => {
            let (rest, len) = varint_of(rest)?;
            take(to_usize(len)).map(WireValue::Bytes).parse(rest)?
        }
        5 => le_u32.map(WireValue::Fixed32).parse(rest)?,
        _ => return Err(nom::Err::Error(())),
    };
    Ok((rest, (number, value)))
}

/// The fields of a message, one after another; after an error the iteration ends.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    whole: usize,
    rest: &'a [u8],
}

/// The fields of the message in `bytes`.
#[must_use]
pub fn fields(bytes: &[u8]) -> Fields<'_> {
    Fields { whole: bytes.len(), rest: bytes }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, WireValue<'a>), BadField>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        match field(self.rest) {
            Ok((rest, field)) => {
                self.rest = rest;
                Some(Ok(field))
            }
            Err(_) => {
                let at = self.whole.saturating_sub(self.rest.len());
                self.rest = &[];
                Some(Err(BadField(at)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_are_read_to_their_limits() {
        assert_eq!(varint(&[0]).unwrap().1, 0);
        assert_eq!(
            varint(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]).unwrap().1,
            u64::MAX
        );
        assert!(varint(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]).is_err());
        assert!(varint(&[0x80; 11]).is_err());
        assert!(varint(&[0x80]).is_err());
    }

    #[test]
    fn a_bad_field_tells_where() {
        let message = [0x08, 0x01, 0x12, 0x05, b'a'];
        let read: Vec<_> = fields(&message).collect();
        assert_eq!(read, [Ok((1, WireValue::Varint(1))), Err(BadField(2))]);
    }
}
