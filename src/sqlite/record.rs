//! Rows: a head with a type for each column, then the values.

use crate::codec::{array_at, slice_at, to_usize};

/// A value of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'r> {
    /// None, and what a row does not have that is older than a column.
    Null,
    /// An integer.
    Integer(i64),
    /// A number.
    Real(f64),
    /// A text in the encoding of the file.
    Text(&'r [u8]),
    /// Bytes.
    Blob(&'r [u8]),
}

impl Value<'_> {
    /// What kind of value it is, in SQLite's words (`typeof`).
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Integer(_) => "integer",
            Value::Real(_) => "real",
            Value::Text(_) => "text",
            Value::Blob(_) => "blob",
        }
    }
}

/// The `N` bytes at `at`; zeros where there are not so many.
pub(super) fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    array_at(bytes, at).unwrap_or([0; N])
}

/// A varint at the front of some bytes, and how many it takes.
pub(super) fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0u64;
    for (at, byte) in bytes.iter().take(9).enumerate() {
        if at == 8 {
            return Some((value << 8 | u64::from(*byte), 9));
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value, at.saturating_add(1)));
        }
    }
    None
}

/// The first `N` columns of a row.
///
/// # Errors
/// What is wrong with it.
pub fn record<const N: usize>(payload: &[u8]) -> Result<[Value<'_>; N], String> {
    let len = payload.len();
    let cut = || format!("the row ends inside its head, in its {len} bytes");
    let (head, mut at) = varint(payload).ok_or_else(cut)?;
    let head = to_usize(head);
    let types = payload.get(..head).ok_or_else(cut)?;
    let mut from = head;
    let mut values = [Value::Null; N];
    for (column, value) in values.iter_mut().enumerate() {
        let Some(rest) = types.get(at..).filter(|rest| !rest.is_empty()) else { break };
        let (kind, taken) = varint(rest).ok_or_else(cut)?;
        let size =
            size(kind).ok_or_else(|| format!("column {column} is of type {kind}, which there is not"))?;
        let bytes = slice_at(payload, from, size)
            .ok_or_else(|| format!("column {column} has {size} bytes from {from} on, the row has {len}"))?;
        *value = of_type(kind, bytes);
        at = at.saturating_add(taken);
        from = from.saturating_add(size);
    }
    Ok(values)
}

/// How many bytes a value of that type has.
fn size(kind: u64) -> Option<usize> {
    Some(match kind {
        0 | 8 | 9 => 0,
        1..=4 => to_usize(kind),
        5 => 6,
        6 | 7 => 8,
        10 | 11 => return None,
        _ => to_usize(kind.saturating_sub(12) >> 1),
    })
}

fn of_type(kind: u64, bytes: &[u8]) -> Value<'_> {
    match kind {
        0 => Value::Null,
        7 => Value::Real(f64::from_be_bytes(array(bytes, 0))),
        8 => Value::Integer(0),
        9 => Value::Integer(1),
        1..=6 => Value::Integer(integer(bytes)),
        _ if kind & 1 == 0 => Value::Blob(bytes),
        _ => Value::Text(bytes),
    }
}

/// Two's complement, of at most eight bytes.
fn integer(bytes: &[u8]) -> i64 {
    let sign = bytes.first().map_or(0, |byte| if byte & 0x80 == 0 { 0 } else { -1 });
    bytes.iter().fold(sign, |value, byte| value << 8 | i64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_varint_has_up_to_nine_bytes_and_the_last_of_them_counts_whole() {
        assert_eq!(varint(&[0x7f, 1]), Some((0x7f, 1)));
        assert_eq!(varint(&[0x81, 0x00]), Some((128, 2)));
        assert_eq!(varint(&[0xff; 12]), Some((u64::MAX, 9)));
        assert_eq!((varint(&[]), varint(&[0x80; 8])), (None, None));
    }

    #[test]
    fn every_type_of_a_column_is_read_and_what_a_row_lacks_is_null() {
        let row = [&[11, 0, 1, 2, 3, 5, 6, 7, 9, 18, 15][..], &[0xff], &[1, 0], &[0xff, 0, 0]].concat();
        let row = [&row[..], &[0, 0, 0, 0, 1, 2], &i64::MIN.to_be_bytes(), &1.5f64.to_be_bytes()].concat();
        let row = [&row[..], b"abc", b"x"].concat();
        let due = [
            Value::Null,
            Value::Integer(-1),
            Value::Integer(256),
            Value::Integer(-65536),
            Value::Integer(258),
            Value::Integer(i64::MIN),
            Value::Real(1.5),
            Value::Integer(1),
            Value::Blob(b"abc"),
            Value::Text(b"x"),
            Value::Null,
        ];
        assert_eq!(record::<11>(&row), Ok(due));
        for cut in 0..row.len() {
            assert!(record::<11>(&row[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn a_type_or_length_that_cannot_be_is_refused() {
        assert!(record::<1>(&[2, 10, 0]).is_err());
        assert!(record::<1>(&[2, 14]).is_err());
        assert!(record::<1>(&[0x7f, 1]).is_err());
        assert!(record::<1>(&[11, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0]).is_err());
    }
}
