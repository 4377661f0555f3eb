//! Messages that are something else in JSON than an object of their fields.
//!
//! Source: the `MarshalJSON` of `k8s.io/apimachinery/pkg/{apis/meta/v1,api/resource,runtime,util/intstr}` and of
//! `k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1`.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::{Timestamp, tz::Offset};
use serde_json::{Value as Json, json};

use crate::codec::proto::tree::{Node, Value};
use crate::kube::schema::Shape;

/// Seconds from year 1 to 1970: Go's zero time.
const YEAR_ONE: i64 = -62_135_596_800;

/// What a message of that shape is; or what it is shown as, and why it cannot be that.
pub(super) fn json(shape: Shape, node: Node<'_, '_>) -> Result<Json, (Json, &'static str)> {
    match shape {
        Shape::Time => time(node, false),
        Shape::MicroTime => time(node, true),
        Shape::Duration => Ok(duration(node.number("duration").cast_signed()).into()),
        Shape::Quantity => Ok(match node.bytes("string") {
            b"" => "0".into(),
            bytes => String::from_utf8_lossy(bytes).into(),
        }),
        Shape::Raw => raw(node),
        Shape::IntOrString => match node.number("type") {
            0 => Ok(int32(node.number("intVal")).into()),
            1 => Ok(String::from_utf8_lossy(node.bytes("strVal")).into()),
            other => Err((json!({ "type": other }), "neither a number nor a string: its type is shown")),
        },
        Shape::Object | Shape::List | Shape::Either => Ok(Json::Null),
    }
}

/// Whether it is a time that is not set.
pub(super) fn is_zero_time(node: Node<'_, '_>) -> bool {
    is_empty(node) || node.has("seconds") && node.number("seconds").cast_signed() == YEAR_ONE
}

fn is_empty(node: Node<'_, '_>) -> bool {
    node.fields().next().is_none() && node.unknown().is_empty()
}

fn int32(n: u64) -> i64 {
    n.cast_signed()
}

fn time(node: Node<'_, '_>, micro: bool) -> Result<Json, (Json, &'static str)> {
    let (seconds, nanos) = (node.number("seconds").cast_signed(), node.number("nanos").cast_signed());
    let nanos = if micro { nanos } else { 0 };
    if is_empty(node) || (seconds == YEAR_ONE && nanos == 0) {
        return Ok(Json::Null);
    }
    // Go truncates toward zero before it normalizes.
    let micros = nanos.checked_div(1000).unwrap_or_default();
    let at = seconds.checked_add(micros.div_euclid(1_000_000)).and_then(|seconds| {
        let nanos = i32::try_from(micros.rem_euclid(1_000_000)).ok()?.checked_mul(1000)?;
        Timestamp::new(seconds, nanos).ok().map(|at| Offset::UTC.to_datetime(at))
    });
    match at {
        Some(at) if at.year() >= 0 => {
            let (date, clock) = (at.date(), at.time());
            let (hour, minute, second) = (clock.hour(), clock.minute(), clock.second());
            let fraction = if micro {
                format!(".{:06}", clock.subsec_nanosecond().checked_div(1000).unwrap_or_default())
            } else {
                String::new()
            };
            Ok(format!("{date}T{hour:02}:{minute:02}:{second:02}{fraction}Z").into())
        }
        _ => Err((
            json!({"seconds": seconds, "nanos": nanos}),
            "a time of no year from 0 to 9999: its seconds are shown",
        )),
    }
}

/// As Go's `Duration.String`: `1h2m3.5s`, below a second `1.5ms`.
fn duration(nanos: i64) -> String {
    let (sign, n) = (if nanos < 0 { "-" } else { "" }, nanos.unsigned_abs());
    let divided = |by: u64| (n.checked_div(by).unwrap_or_default(), n.checked_rem(by).unwrap_or_default());
    // A fraction without the zeros at its end.
    let fraction = |rest: u64, digits: usize| {
        let text = format!(".{rest:0digits$}");
        let cut = text.trim_end_matches('0').trim_end_matches('.');
        cut.to_owned()
    };
    let small = |by: u64, digits: usize, unit: &str| {
        let (whole, rest) = divided(by);
        format!("{sign}{whole}{}{unit}", fraction(rest, digits))
    };
    match n {
        0 => "0s".to_owned(),
        1..1_000 => small(1, 0, "ns"),
        1_000..1_000_000 => small(1_000, 3, "µs"),
        1_000_000..1_000_000_000 => small(1_000_000, 6, "ms"),
        _ => {
            let (seconds, rest) = divided(1_000_000_000);
            let split = |n: u64, by: u64| {
                (n.checked_div(by).unwrap_or_default(), n.checked_rem(by).unwrap_or_default())
            };
            let (minutes, s) = split(seconds, 60);
            let (h, m) = split(minutes, 60);
            let s = format!("{s}{}s", fraction(rest, 9));
            match (h, m) {
                (0, 0) => format!("{sign}{s}"),
                (0, m) => format!("{sign}{m}m{s}"),
                (h, m) => format!("{sign}{h}h{m}m{s}"),
            }
        }
    }
}

/// JSON inside: without any it is null.
fn raw(node: Node<'_, '_>) -> Result<Json, (Json, &'static str)> {
    let Some((_, Value::Bytes(bytes))) = node.fields().last() else { return Ok(Json::Null) };
    if bytes.is_empty() {
        return Ok(Json::Null);
    }
    serde_json::from_slice(bytes).map_err(|_| {
        (
            BASE64_STANDARD.encode(bytes).into(),
            "not JSON, or deeper than is read: its bytes are shown in base64",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_go_does_it() {
        for (nanos, due) in [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1µs"),
            (2_200_000, "2.2ms"),
            (3_300_000_000, "3.3s"),
            (245_000_000_000, "4m5s"),
            (245_001_000_000, "4m5.001s"),
            (18_367_001_000_000, "5h6m7.001s"),
            (480_000_000_001, "8m0.000000001s"),
            (i64::MAX, "2562047h47m16.854775807s"),
            (i64::MIN, "-2562047h47m16.854775808s"),
            (-1_500_000, "-1.5ms"),
            (3_600_000_000_000, "1h0m0s"),
        ] {
            assert_eq!(duration(nanos), due);
        }
    }
}
