//! JSON that is no object of fields to the message it is.
//!
//! Source: `Marshal` and `UnmarshalJSON` of `k8s.io/apimachinery/pkg/{apis/meta/v1,api/resource,runtime,util/intstr}`.

use jiff::Timestamp;
use serde_json::Value as Json;

use super::parts::{Unfit, bytes, unfit, varint};
use crate::kube::json::{self, Layout};
use crate::kube::schema::Shape;

/// What a value is written as that is not set.
pub(super) fn zero(shape: Shape, out: &mut Vec<u8>) {
    match shape {
        Shape::Duration => varint(1, 0, out),
        Shape::Quantity => bytes(1, b"0", out),
        Shape::IntOrString => int_or_string(0, 0, "", out),
        Shape::Object | Shape::Time | Shape::MicroTime | Shape::Raw | Shape::List | Shape::Either => {}
    }
}

/// Appends what is in the message.
pub(super) fn encode(shape: Shape, json: &Json, out: &mut Vec<u8>) -> Result<(), Unfit> {
    match (shape, json) {
        (Shape::Time | Shape::MicroTime, Json::Null) => {}
        (Shape::Time | Shape::MicroTime, json) => time(json, shape == Shape::MicroTime, out)?,
        (Shape::Duration, Json::String(text)) => {
            let nanos = duration(text).ok_or(unfit("a duration, as 1h2m3.5s,", json))?;
            varint(1, nanos.cast_unsigned(), out);
        }
        (Shape::Duration, json) => return Err(unfit("a duration, as 1h2m3.5s,", json)),
        (Shape::Quantity, Json::Null) => zero(shape, out),
        (Shape::Quantity, json) => {
            let text = match json {
                Json::String(text) => text.trim().to_owned(),
                Json::Number(number) => json::number(number),
                _ => String::new(),
            };
            if !is_quantity(&text) {
                return Err(unfit("a quantity, as 500m or 2Gi,", json));
            }
            bytes(1, text.as_bytes(), out);
        }
        (Shape::IntOrString, Json::String(text)) => int_or_string(1, 0, text, out),
        (Shape::IntOrString, json) => {
            let number = json.as_i64().filter(|n| i32::try_from(*n).is_ok());
            int_or_string(0, number.ok_or(unfit("a number of 32 bits or a string", json))?, "", out);
        }
        (Shape::Object | Shape::Raw | Shape::List | Shape::Either, _) => {}
    }
    Ok(())
}

/// Embedded JSON: as it was, or as Go writes it.
pub(super) fn raw(was: Option<&[u8]>, json: &Json, out: &mut Vec<u8>) {
    match was {
        Some(was) => bytes(1, was, out),
        None => bytes(1, json::text(json, Layout { indent: false, sorted: false }).as_bytes(), out),
    }
}

fn int_or_string(kind: u64, number: i64, text: &str, out: &mut Vec<u8>) {
    varint(1, kind, out);
    varint(2, number.cast_unsigned(), out);
    bytes(3, text.as_bytes(), out);
}

fn time(json: &Json, micro: bool, out: &mut Vec<u8>) -> Result<(), Unfit> {
    let due = unfit("a time, as 2026-11-28T19:30:00Z,", json);
    let (seconds, nanos) = match json {
        Json::String(text) if text.contains('T') => {
            let at: Timestamp = text.parse().map_err(|_| due)?;
            // Before 1970 jiff's nanoseconds count backwards.
            let (seconds, nanos) = (at.as_second(), i64::from(at.subsec_nanosecond()));
            if nanos < 0 {
                (seconds.checked_sub(1).ok_or(due)?, nanos.saturating_add(1_000_000_000))
            } else {
                (seconds, nanos)
            }
        }
        // As a time is shown that is of no year that JSON has.
        Json::Object(map) => {
            let part = |name| map.get(name).and_then(Json::as_i64);
            (part("seconds").ok_or(due)?, part("nanos").unwrap_or(0))
        }
        _ => return Err(due),
    };
    varint(1, seconds.cast_unsigned(), out);
    let micros = nanos.checked_div(1000).unwrap_or_default();
    varint(2, if micro { micros.saturating_mul(1000).cast_unsigned() } else { 0 }, out);
    Ok(())
}

/// As Go's `time.ParseDuration`, in nanoseconds.
fn duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut sum: i128 = 0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, unit) = rest.split_at_checked(end)?;
        let end = unit.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(unit.len());
        let (unit, after) = unit.split_at_checked(end)?;
        rest = after;
        let of_unit: i128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() || whole.len() > 19 || fraction.contains('.') {
            return None;
        }
        let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        sum = sum.checked_add(whole.checked_mul(of_unit)?)?;
        // Thirteen digits are more than an hour has.
        let fraction = fraction.get(..13).unwrap_or(fraction);
        if !fraction.is_empty() {
            let scale = 10i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
            let part = fraction.parse::<i128>().ok()?.checked_mul(of_unit)?;
            sum = sum.checked_add(part.checked_div(scale)?)?;
        }
    }
    let sum = if negative { sum.checked_neg()? } else { sum };
    i64::try_from(sum).ok()
}

/// `resource.ParseQuantity`: a decimal number with a suffix or an exponent.
fn is_quantity(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at_checked(end).unwrap_or_default();
    let digits = number.bytes().filter(u8::is_ascii_digit).count();
    let points = number.len().saturating_sub(digits);
    let exponent = |suffix: &str| {
        let digits = suffix.strip_prefix(['e', 'E']).unwrap_or_default();
        let digits = digits.strip_prefix(['-', '+']).unwrap_or(digits);
        !digits.is_empty() && digits.len() < 4 && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    let known = ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    digits > 0 && points <= 1 && (known.contains(&suffix) || exponent(suffix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, due) in [
            ("0s", Some(0)),
            ("0", Some(0)),
            ("1ns", Some(1)),
            ("1.1µs", Some(1_100)),
            ("2.2ms", Some(2_200_000)),
            ("4m5.001s", Some(245_001_000_000)),
            ("8m0.000000001s", Some(480_000_000_001)),
            ("2562047h47m16.854775807s", Some(i64::MAX)),
            ("-2562047h47m16.854775808s", Some(i64::MIN)),
            ("2562047h47m16.854775808s", None),
            ("-1.5ms", Some(-1_500_000)),
            ("1h", Some(3_600_000_000_000)),
            (".5s", Some(500_000_000)),
            ("", None),
            ("3", None),
            ("-", None),
            ("s", None),
            ("1.2.3s", None),
            ("3d", None),
        ] {
            assert_eq!(duration(text), due, "{text}");
        }
    }

    #[test]
    fn quantities_are_told_from_other_texts() {
        for text in ["0", "500m", "2Gi", "1e3", "-1.5", ".5", "1.", "100E", "12E-3", "+4k"] {
            assert!(is_quantity(text), "{text}");
        }
        for text in ["", "m", "1gi", "1 Gi", "1.2.3", "e3", "1e", "1e1000", "a", "1K", "--1", "."] {
            assert!(!is_quantity(text), "{text}");
        }
    }
}
