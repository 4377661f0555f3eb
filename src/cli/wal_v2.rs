//! Requests of etcd's v2 store, as etcd-dump-logs prints them.

use coldbolt::codec::go::go_quote;
use coldbolt::codec::proto::message::REDACTED;
use coldbolt::codec::proto::tree::Node;

/// A bare v2 request; with `redact` without its value.
pub fn text(node: Node<'_, '_>, redact: bool) -> String {
    let (path, method) = (excerpt(node.bytes("Path"), 64, 64), node.bytes("Method"));
    let name = String::from_utf8_lossy(method).escape_debug().to_string();
    match method {
        b"" => "noop".to_owned(),
        b"SYNC" => format!("method=SYNC time=\"{}\"", go_time(node.number("Time").cast_signed())),
        b"QGET" | b"DELETE" => format!("method={name} path={path}"),
        _ if redact => format!("method={name} path={path} val=\"{REDACTED}\""),
        _ => format!("method={name} path={path} val={}", excerpt(node.bytes("Val"), 128, 0)),
    }
}

/// The quoted text, its middle left out when it is long.
fn excerpt(text: &[u8], head: usize, tail: usize) -> String {
    let parts =
        text.len().checked_sub(tail).filter(|at| *at >= head).and_then(|at| text.split_at_checked(at));
    match parts.and_then(|(front, tail)| Some((front.get(..head)?, tail))) {
        Some((front, tail)) => format!("{}...{}", go_quote(front), go_quote(tail)),
        None => go_quote(text),
    }
}

/// Nanoseconds since 1970 as Go prints a UTC time.
fn go_time(nanoseconds: i64) -> String {
    let Ok(time) = jiff::Timestamp::from_nanosecond(i128::from(nanoseconds)) else {
        return nanoseconds.to_string();
    };
    let time = jiff::tz::Offset::UTC.to_datetime(time);
    let fraction = match time.subsec_nanosecond() {
        0 => String::new(),
        n => format!(".{n:09}").trim_end_matches('0').to_owned(),
    };
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}{fraction} +0000 UTC",
        time.year(),
        time.month(),
        time.day(),
        time.hour(),
        time.minute(),
        time.second()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_leaves_the_middle_out() {
        assert_eq!(excerpt(b"abc", 1, 2), "\"a\"...\"bc\"");
        assert_eq!(excerpt(b"abc", 2, 2), "\"abc\"");
        assert_eq!(excerpt(b"abc", 3, 0), "\"abc\"...\"\"");
    }

    #[test]
    fn a_time_is_printed_as_go_prints_it() {
        assert_eq!(go_time(1), "1970-01-01 00:00:00.000000001 +0000 UTC");
        assert_eq!(go_time(1_500_000_000_120_000_000), "2017-07-14 02:40:00.12 +0000 UTC");
        assert_eq!(go_time(i64::MIN), "1677-09-21 00:12:43.145224192 +0000 UTC");
    }
}
