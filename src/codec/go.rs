//! Text as Go's `fmt` prints it: what etcd's programs print is compared with ours byte for byte.

use std::fmt::Write;

/// Quotes as Go's `%q` does: UTF-8 stays readable, other bytes become `\x..`.
#[must_use]
pub fn go_quote(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\u{7}' => out.push_str("\\a"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{b}' => out.push_str("\\v"),
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                ' '..='~' => out.push(c),
                '\0'..='\u{7f}' => {
                    let _ = write!(out, "\\x{:02x}", u32::from(c));
                }
                _ if is_print(c) => out.push(c),
                '\u{80}'..='\u{ffff}' => {
                    let _ = write!(out, "\\u{:04x}", u32::from(c));
                }
                _ => {
                    let _ = write!(out, "\\U{:08x}", u32::from(c));
                }
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out.push('"');
    out
}

/// What Go makes of bytes where it goes through their characters (`range`, `encoding/json`): each byte that belongs to
/// none becomes U+FFFD.
#[must_use]
pub fn go_text(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    out
}

/// Whether Go's `unicode.IsPrint` takes it: letters, marks, numbers, punctuation, symbols and the plain space.
///
/// The standard library makes the same distinction where it escapes strings, only that it also escapes a mark at a
/// string's start.
#[must_use]
pub fn is_print(c: char) -> bool {
    match c {
        ' '..='~' => true,
        '\0'..='\u{9f}' => false,
        _ => String::from_iter(['x', c]).escape_debug().nth(1) == Some(c),
    }
}

/// A float64 as `%v` prints it: the fewest digits that read back as the same number, with an exponent of at least two
/// digits when it is less than -4 or greater than 5.
#[must_use]
pub fn go_float64(float: f64) -> String {
    spell(float.is_nan(), &format!("{float:e}"))
}

/// The same of a float32, which needs fewer digits.
#[must_use]
pub fn go_float32(float: f32) -> String {
    spell(float.is_nan(), &format!("{float:e}"))
}

/// Of Rust's spelling with an exponent, as `-1.25e-7`.
fn spell(nan: bool, text: &str) -> String {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let Some((mantissa, exponent)) = digits.split_once('e').filter(|_| !nan) else {
        return if nan {
            "NaN".to_owned()
        } else {
            format!("{}Inf", if sign.is_empty() { "+" } else { "-" })
        };
    };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let digits: String = mantissa.chars().filter(|c| *c != '.').collect();
    let missing = |n: i32| "0".repeat(usize::try_from(n).unwrap_or(0));
    let after = i32::try_from(digits.len()).unwrap_or(i32::MAX).saturating_sub(1);
    match exponent {
        ..-4 | 6.. => {
            let side = if exponent < 0 { '-' } else { '+' };
            format!("{sign}{mantissa}e{side}{:02}", exponent.unsigned_abs())
        }
        ..0 => format!("{sign}0.{}{digits}", missing(exponent.saturating_neg().saturating_sub(1))),
        _ if exponent >= after => format!("{sign}{digits}{}", missing(exponent.saturating_sub(after))),
        _ => {
            let (whole, part) = digits.split_at(usize::try_from(exponent).unwrap_or(0).saturating_add(1));
            format!("{sign}{whole}.{part}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_quotes_utf8_as_it_is_and_other_bytes_in_hex() {
        assert_eq!(go_quote("a\u{7}é\u{200b}\"".as_bytes()), "\"a\\aé\\u200b\\\"\"");
        assert_eq!(go_quote(&[0x7f, 0xff, b'z']), "\"\\x7f\\xffz\"");
        // What fmt.Printf("%q") of Go 1.26 prints.
        assert_eq!(go_quote("\0\u{b}\u{c}\u{1b}".as_bytes()), r#""\x00\v\f\x1b""#);
        assert_eq!(go_quote(b"\x80\xff\xc3\x28\xe2\x82"), r#""\x80\xff\xc3(\xe2\x82""#);
        assert_eq!(go_quote("é日\u{301}😀".as_bytes()), "\"é日\u{301}😀\"");
        assert_eq!(
            go_quote("\u{85}\u{a0}\u{202e}\u{feff}\u{fffd}".as_bytes()),
            "\"\\u0085\\u00a0\\u202e\\ufeff\u{fffd}\""
        );
        assert_eq!(go_quote("\u{e0001}\u{10ffff}".as_bytes()), r#""\U000e0001\U0010ffff""#);
    }

    #[test]
    fn floats_have_the_digits_and_the_exponents_of_go() {
        for (float, due) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-2.25, "-2.25"),
            (123_456.0, "123456"),
            (123.456, "123.456"),
            (1e5, "100000"),
            (1e6, "1e+06"),
            (123_456_789.0, "1.23456789e+08"),
            (1.5e21, "1.5e+21"),
            (0.1, "0.1"),
            (0.0001, "0.0001"),
            (0.000_01, "1e-05"),
            (1.25e-7, "1.25e-07"),
            (f64::MAX, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(go_float64(float), due);
        }
        assert_eq!(
            (go_float32(0.1), go_float32(16_777_216.0)),
            ("0.1".to_owned(), "1.6777216e+07".to_owned())
        );
    }
}
