//! What changed in a value: JSON by its fields, text by its lines, anything else by length and SHA-256.

use std::collections::BTreeSet;

use crate::codec::checksum::{hex, sha256};
use crate::codec::go::{go_quote, is_print};
use serde_json::Value;

/// Changes shown of one value.
const SHOWN: usize = 100;

/// What became of a value: one change a line, each beginning with `+`, `-` or `~`.
#[must_use]
pub fn value_diff(before: &[u8], after: &[u8]) -> Vec<String> {
    if before == after {
        return vec!["= the same value".to_owned()];
    }
    let json =
        |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).ok().filter(|v| v.is_object() || v.is_array());
    let mut lines = Vec::new();
    if let (Some(before), Some(after)) = (json(before), json(after)) {
        fields("", &before, &after, &mut lines);
        if lines.is_empty() {
            lines.push("= the same JSON, written differently".to_owned());
        }
    } else if let (Some(before), Some(after)) = (text(before), text(after)) {
        text_lines(before, after, &mut lines);
    } else {
        lines.push(format!("~ {} -> {}", digest(before), digest(after)));
    }
    if lines.len() > SHOWN {
        let more = lines.len().saturating_sub(SHOWN);
        lines.truncate(SHOWN);
        lines.push(format!("... {more} more"));
    }
    lines
}

/// Length and the beginning of the SHA-256.
fn digest(value: &[u8]) -> String {
    let digest = hex(&sha256(value));
    format!("{} B sha256 {}", value.len(), digest.get(..16).unwrap_or(&digest))
}

/// Text of lines that a terminal only prints.
fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes)
        .ok()
        .filter(|text| text.chars().all(|c| is_print(c) || matches!(c, '\n' | '\t')))
}

fn fields(path: &str, before: &Value, after: &Value, lines: &mut Vec<String>) {
    let step = |name: &str| {
        let plain =
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if plain { format!("{path}.{name}") } else { format!("{path}[{}]", go_quote(name.as_bytes())) }
    };
    match (before, after) {
        (Value::Object(a), Value::Object(b)) => {
            let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for name in names {
                match (a.get(name), b.get(name)) {
                    (Some(a), Some(b)) => fields(&step(name), a, b, lines),
                    (Some(a), None) => lines.push(format!("- {}: {}", step(name), show(a))),
                    (None, Some(b)) => lines.push(format!("+ {}: {}", step(name), show(b))),
                    (None, None) => {}
                }
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            for i in 0..a.len().max(b.len()) {
                let path = format!("{path}[{i}]");
                match (a.get(i), b.get(i)) {
                    (Some(a), Some(b)) => fields(&path, a, b, lines),
                    (Some(a), None) => lines.push(format!("- {path}: {}", show(a))),
                    (None, Some(b)) => lines.push(format!("+ {path}: {}", show(b))),
                    (None, None) => {}
                }
            }
        }
        (a, b) if a != b => {
            lines.push(format!("~ {}: {} -> {}", if path.is_empty() { "." } else { path }, show(a), show(b)))
        }
        _ => {}
    }
}

/// On one line; serde_json escapes control characters up to 1f only.
fn show(value: &Value) -> String {
    let shown = |c: char| if is_print(c) { c.to_string() } else { c.escape_default().to_string() };
    value.to_string().chars().map(shown).collect()
}

/// The lines between those that begin and those that end both texts.
fn text_lines(before: &str, after: &str, lines: &mut Vec<String>) {
    let (a, b): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let head = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let (a, b) = (a.get(head..).unwrap_or_default(), b.get(head..).unwrap_or_default());
    let tail = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
    let changed = |lines: &[&str]| lines.len().saturating_sub(tail);
    lines.extend(a.iter().take(changed(a)).map(|line| format!("- {line}")));
    lines.extend(b.iter().take(changed(b)).map(|line| format!("+ {line}")));
    if lines.is_empty() {
        lines.push("~ the end of the last line".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_compared_by_its_fields() {
        let diff =
            value_diff(br#"{"a":1,"b":{"c":[1,2]},"d":"x"}"#, br#"{"b":{"c":[1,3,4]},"d":"x","e f":null}"#);
        assert_eq!(diff, ["- .a: 1", "~ .b.c[1]: 2 -> 3", "+ .b.c[2]: 4", "+ [\"e f\"]: null"]);
        assert_eq!(value_diff(br#"{"a":1}"#, br#"{ "a": 1 }"#), ["= the same JSON, written differently"]);
    }

    #[test]
    fn text_is_compared_by_its_lines_and_bytes_by_their_hash() {
        assert_eq!(value_diff(b"a\nb\nc\n", b"a\nx\ny\nc\n"), ["- b", "+ x", "+ y"]);
        assert_eq!(value_diff(b"a", b"a\n"), ["~ the end of the last line"]);
        assert_eq!(value_diff(b"a", b"a"), ["= the same value"]);
        assert!(value_diff(b"\x1b[2J", b"b")[0].starts_with("~ 4 B sha256 "));
    }
}
