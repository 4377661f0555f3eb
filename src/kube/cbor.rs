//! CBOR, as Kubernetes' API server stores custom resources if its gate for that is on.
//!
//! ```text
//! head   3 bits major type | 5 bits: 0..=23 the argument itself, 24..=27 it is in the next 1, 2, 4 or 8 bytes
//! 0, 1   the argument n, or -1 - n
//! 2, 3   n bytes: both are strings here, Go writes its strings as byte strings
//! 4, 5   n items, or n keys and values
//! 6      tag n of the item behind it: 22 is bytes that JSON has in base64, 55799 says that this is CBOR
//! 7      20 false, 21 true, 22 null, 25..=27 floats of 2, 4, 8 bytes
//! ```
//!
//! What Kubernetes never writes is refused: lengths that are not known beforehand, a key that comes twice, floats that
//! are no numbers. Source: RFC 8949, `k8s.io/apimachinery/pkg/runtime/serializer/cbor/internal/modes`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Number, Value};

use crate::codec::wire::BadField;
use crate::codec::{to_u64, to_usize};

/// What a value begins with that is CBOR: tag 55799.
pub const MAGIC: &[u8] = &[0xd9, 0xd9, 0xf7];

/// As deep as Kubernetes lets them nest.
const MAX_DEPTH: usize = 64;

/// The item that is all of `bytes`.
///
/// # Errors
/// The offset of the first byte that cannot be.
pub fn decode(bytes: &[u8]) -> Result<Value, BadField> {
    let mut reader = Reader { rest: bytes };
    match reader.item(0, false) {
        Some(value) if reader.rest.is_empty() => Ok(value),
        _ => Err(BadField(bytes.len().saturating_sub(reader.rest.len()))),
    }
}

/// The fields of a map: name, bytes of the name, and the bytes of the value. `None` if it is no map of them.
pub(super) fn fields(bytes: &[u8]) -> Option<Vec<(String, usize, &[u8])>> {
    let mut reader = Reader { rest: bytes };
    let mut head = reader.head()?;
    // Tags before it.
    while head.0 == 6 {
        head = reader.head()?;
    }
    let (5, _, len) = head else { return None };
    let mut fields = Vec::new();
    for _ in 0..len {
        let before = reader.rest;
        let (2 | 3, _, name) = reader.head()? else { return None };
        let name = std::str::from_utf8(reader.take(name)?).ok()?.to_owned();
        let value = reader.rest;
        reader.item(0, false)?;
        let value = value.get(..value.len().checked_sub(reader.rest.len())?)?;
        let around = before.len().checked_sub(reader.rest.len())?.checked_sub(value.len())?;
        fields.push((name, around, value));
    }
    Some(fields)
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(to_usize(len))?;
        self.rest = rest;
        Some(taken)
    }

    fn big_endian(&mut self, len: u64) -> Option<u64> {
        Some(self.take(len)?.iter().fold(0, |n, byte| n << 8 | u64::from(*byte)))
    }

    /// A major type and its argument.
    fn head(&mut self) -> Option<(u8, u8, u64)> {
        let before = self.rest;
        let first = *self.take(1)?.first()?;
        let (major, short) = (first >> 5, first & 31);
        let argument = match short {
            0..=23 => Some(u64::from(short)),
            24 => self.big_endian(1),
            25 => self.big_endian(2),
            26 => self.big_endian(4),
            27 => self.big_endian(8),
            _ => None,
        };
        if argument.is_none() {
            self.rest = before;
        }
        Some((major, short, argument?))
    }

    /// An item; of one with tag 22 the bytes are shown in base64.
    fn item(&mut self, depth: usize, base64: bool) -> Option<Value> {
        let head = self.head()?;
        self.content(head, depth, base64)
    }

    fn content(
        &mut self,
        (major, short, argument): (u8, u8, u64),
        depth: usize,
        base64: bool,
    ) -> Option<Value> {
        let inside = depth.checked_add(1).filter(|depth| *depth <= MAX_DEPTH);
        Some(match major {
            0 => argument.into(),
            // No wider than Go's int64.
            1 => Value::from(!i64::try_from(argument).ok()?),
            2 if base64 => BASE64_STANDARD.encode(self.take(argument)?).into(),
            2 | 3 => String::from_utf8(self.take(argument)?.to_vec()).ok()?.into(),
            4 => {
                let mut items = Vec::new();
                for _ in 0..argument {
                    items.push(self.item(inside?, false)?);
                }
                items.into()
            }
            5 => self.map(argument, inside?)?,
            6 => self.item(inside?, argument == 22)?,
            _ => simple(short, argument)?,
        })
    }

    /// The order of the keys has no meaning; they come in that of their names.
    fn map(&mut self, len: u64, depth: usize) -> Option<Value> {
        let mut map = BTreeMap::new();
        for _ in 0..len {
            let (2 | 3, _, key) = self.head()? else { return None };
            let key = String::from_utf8(self.take(key)?.to_vec()).ok()?;
            let Entry::Vacant(entry) = map.entry(key) else { return None };
            entry.insert(self.item(depth, false)?);
        }
        Some(map.into_iter().collect::<Map<_, _>>().into())
    }
}

fn simple(short: u8, argument: u64) -> Option<Value> {
    let float = match short {
        20 => return Some(false.into()),
        21 => return Some(true.into()),
        22 => return Some(Value::Null),
        25 => half(u16::try_from(argument).ok()?),
        26 => f64::from(f32::from_bits(u32::try_from(argument).ok()?)),
        27 => f64::from_bits(argument),
        _ => return None,
    };
    Number::from_f64(float).map(Value::Number)
}

/// A float of 2 bytes: sign, 5 bits of exponent, 10 of fraction.
fn half(bits: u16) -> f64 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 0x3ff));
    let magnitude = match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1.0 + fraction / 1024.0) * 2f64.powi(exponent.saturating_sub(15)),
    };
    if bits >> 15 == 0 { magnitude } else { -magnitude }
}

/// The bytes that an API server stores for an object: tag 55799, strings and names as byte strings, the names of each
/// object in the order of their bytes as they are written, numbers as short as they can be.
#[must_use]
pub fn encode(object: &Map<String, Value>) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    write_map(object, &mut out);
    out
}

fn write_map(map: &Map<String, Value>, out: &mut Vec<u8>) {
    write_head(5, to_u64(map.len()), out);
    let name = |name: &String| {
        let mut bytes = Vec::new();
        write_text(name, &mut bytes);
        bytes
    };
    let sorted: BTreeMap<Vec<u8>, &Value> = map.iter().map(|(key, value)| (name(key), value)).collect();
    for (key, value) in sorted {
        out.extend(key);
        write(value, out);
    }
}

fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(0xf6),
        Value::Bool(b) => out.push(0xf4 | u8::from(*b)),
        Value::Number(number) => write_number(number, out),
        Value::String(text) => write_text(text, out),
        Value::Array(items) => {
            write_head(4, to_u64(items.len()), out);
            items.iter().for_each(|item| write(item, out));
        }
        Value::Object(map) => write_map(map, out),
    }
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    write_head(2, to_u64(text.len()), out);
    out.extend_from_slice(text.as_bytes());
}

fn write_number(number: &Number, out: &mut Vec<u8>) {
    match (number.as_u64(), number.as_i64()) {
        (Some(n), _) => write_head(0, n, out),
        (None, Some(n)) => write_head(1, (!n).cast_unsigned(), out),
        (None, None) => write_float(number.as_f64().unwrap_or_default(), out),
    }
}

/// A major type and its argument, which takes as few bytes as it can.
fn write_head(major: u8, argument: u64, out: &mut Vec<u8>) {
    let major = major << 5;
    if let Ok(n) = u8::try_from(argument) {
        match n {
            0..=23 => out.push(major | n),
            _ => out.extend([major | 24, n]),
        }
    } else if let Ok(n) = u16::try_from(argument) {
        out.push(major | 25);
        out.extend(n.to_be_bytes());
    } else if let Ok(n) = u32::try_from(argument) {
        out.push(major | 26);
        out.extend(n.to_be_bytes());
    } else {
        out.push(major | 27);
        out.extend(argument.to_be_bytes());
    }
}

/// A float in the fewest bytes that hold it.
fn write_float(float: f64, out: &mut Vec<u8>) {
    let single: f32 = float.to_string().parse().unwrap_or(f32::NAN);
    if f64::from(single).to_bits() != float.to_bits() {
        out.push(0xfb);
        return out.extend(float.to_be_bytes());
    }
    match to_half(single) {
        Some(bits) => {
            out.push(0xf9);
            out.extend(bits.to_be_bytes());
        }
        None => {
            out.push(0xfa);
            out.extend(single.to_be_bytes());
        }
    }
}

/// The float of 2 bytes that is that float.
fn to_half(float: f32) -> Option<u16> {
    let bits = float.to_bits();
    let sign = u16::try_from(bits >> 31).ok()? << 15;
    let (exponent, fraction) = (i32::try_from(bits >> 23 & 0xff).ok()?, bits & 0x7f_ffff);
    // One of 2 bytes has an exponent from -14 on, and below that fewer digits.
    let exponent = exponent.saturating_sub(127);
    let magnitude = match exponent {
        _ if float == 0.0 => 0,
        -14..=15 if fraction.trailing_zeros() >= 13 => {
            u32::try_from(exponent.saturating_add(15)).ok()? << 10 | fraction >> 13
        }
        -24..=-15 => {
            let shift = u32::try_from((-1i32).saturating_sub(exponent)).ok()?;
            let digits = fraction | 0x80_0000;
            if digits.trailing_zeros() < shift {
                return None;
            }
            digits >> shift
        }
        _ => return None,
    };
    Some(sign | u16::try_from(magnitude).ok()?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_item_that_kubernetes_writes_is_read() {
        // {"a": [1, -2, "ü", true, false, null, 1.5, 0.1, h'0001' as base64], "b": {}}
        let bytes = [
            &[0xd9, 0xd9, 0xf7, 0xa2, 0x41, b'a', 0x89, 0x01, 0x21, 0x62][..],
            "ü".as_bytes(),
            &[0xf5, 0xf4, 0xf6, 0xf9, 0x3e, 0x00, 0xfb],
            &0.1f64.to_be_bytes(),
            &[0xd6, 0x42, 0, 1, 0x61, b'b', 0xa0],
        ];
        let due = json!({"a": [1, -2, "ü", true, false, null, 1.5, 0.1, "AAE="], "b": {}});
        assert_eq!(decode(&bytes.concat()).unwrap(), due);
        assert_eq!(decode(&[0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).unwrap(), json!(u64::MAX));
        assert_eq!(decode(&[0x3b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).unwrap(), json!(i64::MIN));
    }

    #[test]
    fn what_is_written_is_as_short_as_can_be_and_reads_back() {
        for (value, due) in [
            (json!({"v": 23}), &[0xa1, 0x41, b'v', 0x17][..]),
            (json!({"v": 24}), &[0xa1, 0x41, b'v', 0x18, 24]),
            (json!({"v": -257}), &[0xa1, 0x41, b'v', 0x39, 1, 0]),
            (json!({"v": 65536}), &[0xa1, 0x41, b'v', 0x1a, 0, 1, 0, 0]),
            (json!({"v": 1.5}), &[0xa1, 0x41, b'v', 0xf9, 0x3e, 0]),
            (json!({"v": 100_000.0}), &[0xa1, 0x41, b'v', 0xfa, 0x47, 0xc3, 0x50, 0]),
            (json!({"bb": null, "c": true}), &[0xa2, 0x41, b'c', 0xf5, 0x42, b'b', b'b', 0xf6]),
        ] {
            let bytes = encode(value.as_object().unwrap());
            assert_eq!(bytes[3..], *due, "{value}");
            assert_eq!(decode(&bytes), Ok(value));
        }
    }

    #[test]
    fn every_half_is_written_as_itself() {
        for bits in 0..=u16::MAX {
            let float = half(bits);
            if float.is_finite() {
                let mut out = Vec::new();
                write_float(float, &mut out);
                assert_eq!(out, [&[0xf9][..], &bits.to_be_bytes()].concat(), "{float}");
            }
        }
        for float in [0.1f32, 65520.0, 1e30, f32::MIN_POSITIVE, 2f32.powi(-25), 1.0 + 2f32.powi(-11)] {
            let mut out = Vec::new();
            write_float(float.into(), &mut out);
            assert_eq!(out, [&[0xfa][..], &float.to_be_bytes()].concat(), "{float}");
        }
    }

    #[test]
    fn halves_are_what_they_stand_for() {
        for (bits, due) in [
            (0x0000, 0.0),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0400, 2f64.powi(-14)),
            (0x0001, 2f64.powi(-24)),
            (0x3555, 0.333_251_953_125),
        ] {
            assert_eq!(half(bits), due, "{bits:04x}");
        }
    }

    #[test]
    fn what_kubernetes_never_writes_is_refused_at_its_place() {
        for (bytes, at) in [
            (&[][..], 0),
            (&[0x5f, 0x41, b'a', 0xff], 0),
            (&[0x9f, 0xff], 0),
            (&[0xa2, 0x41, b'a', 0x01, 0x41, b'a', 0x01], 6),
            (&[0xa1, 0x01, 0x01], 2),
            (&[0xf9, 0x7c, 0x00], 3),
            (&[0xf7], 1),
            (&[0x42, b'a'], 1),
            (&[0x41, 0xff], 2),
            (&[0x01, 0x02], 1),
            (&[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], 9),
        ] {
            assert_eq!(decode(bytes), Err(BadField(at)), "{bytes:x?}");
        }
        assert!(decode(&[[0x81].repeat(64), vec![0x00]].concat()).is_ok());
        assert!(decode(&[0x81].repeat(1 << 20)).is_err());
    }
}
