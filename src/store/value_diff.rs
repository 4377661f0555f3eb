//! What changed in a value: JSON by its fields, text by its lines, anything else by length and SHA-256.

use std::collections::{BTreeMap, BTreeSet};

use crate::codec::checksum::{hex, sha256};
use crate::codec::go::{go_quote, is_print};
use crate::codec::json_tree::JsonTree;

/// Changes shown of one value.
const SHOWN: usize = 100;

/// What became of a value: one change a line, each beginning with `+`, `-` or `~`.
#[must_use]
pub fn value_diff(before: &[u8], after: &[u8]) -> Vec<String> {
    if before == after {
        return vec!["= the same value".to_owned()];
    }
    let nested = |tree: &JsonTree| matches!(tree, JsonTree::Object(_) | JsonTree::Array(_));
    let json = |bytes: &[u8]| JsonTree::parse(bytes).filter(nested);
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

fn fields(path: &str, before: &JsonTree, after: &JsonTree, lines: &mut Vec<String>) {
    let step = |name: &str| {
        let plain =
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if plain { format!("{path}.{name}") } else { format!("{path}[{}]", go_quote(name.as_bytes())) }
    };
    match (before, after) {
        (JsonTree::Object(a), JsonTree::Object(b)) => {
            let (a, b) = (by_name(a), by_name(b));
            let names: BTreeSet<&str> = a.keys().chain(b.keys()).copied().collect();
            for name in names {
                let (a, b) = (a.get(name).map_or(&[][..], |v| v), b.get(name).map_or(&[][..], |v| v));
                let often = a.len().max(b.len());
                for i in 0..often {
                    // A name that stands there more than once: the first with the first.
                    let nth = if often > 1 {
                        format!(" ({} of {often})", i.saturating_add(1))
                    } else {
                        String::new()
                    };
                    pair(&(step(name) + &nth), a.get(i).copied(), b.get(i).copied(), lines);
                }
            }
        }
        (JsonTree::Array(a), JsonTree::Array(b)) => {
            for i in 0..a.len().max(b.len()) {
                pair(&format!("{path}[{i}]"), a.get(i), b.get(i), lines);
            }
        }
        (a, b) if a != b => {
            lines.push(format!("~ {}: {} -> {}", if path.is_empty() { "." } else { path }, show(a), show(b)))
        }
        _ => {}
    }
}

/// Every value of each name.
fn by_name(fields: &[(String, JsonTree)]) -> BTreeMap<&str, Vec<&JsonTree>> {
    let mut all: BTreeMap<&str, Vec<&JsonTree>> = BTreeMap::new();
    fields.iter().for_each(|(name, value)| all.entry(name).or_default().push(value));
    all
}

fn pair(path: &str, before: Option<&JsonTree>, after: Option<&JsonTree>, lines: &mut Vec<String>) {
    match (before, after) {
        (Some(a), Some(b)) => fields(path, a, b, lines),
        (Some(a), None) => lines.push(format!("- {path}: {}", show(a))),
        (None, Some(b)) => lines.push(format!("+ {path}: {}", show(b))),
        (None, None) => {}
    }
}

/// On one line; JSON escapes control characters up to 1f only.
fn show(value: &JsonTree) -> String {
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
    fn json_that_differs_past_what_a_float_holds_or_in_a_repeated_name_is_not_the_same() {
        for (before, after, due) in [
            (
                r#"{"n":100000000000000000000001}"#,
                r#"{"n":100000000000000000000002}"#,
                "~ .n: 100000000000000000000001 -> 100000000000000000000002",
            ),
            ("[9007199254740993]", "[9007199254740992.0]", "~ [0]: 9007199254740993 -> 9007199254740992.0"),
            ("[0.1]", "[0.1000000000000000000001]", "~ [0]: 0.1 -> 0.1000000000000000000001"),
            (r#"{"a":1,"a":2}"#, r#"{"a":7,"a":2}"#, "~ .a (1 of 2): 1 -> 7"),
            (r#"{"a":1,"a":2}"#, r#"{"a":2}"#, "~ .a (1 of 2): 1 -> 2"),
            (r#"[1e999]"#, r#"[1e998]"#, "~ [0]: 1e999 -> 1e998"),
        ] {
            assert_eq!(value_diff(before.as_bytes(), after.as_bytes())[0], due);
        }
        assert_eq!(
            value_diff(br#"{"a":1,"b":2,"a":3}"#, br#"{"b":2,"a":1,"a":3}"#),
            ["= the same JSON, written differently"]
        );
    }

    #[test]
    fn text_is_compared_by_its_lines_and_bytes_by_their_hash() {
        assert_eq!(value_diff(b"a\nb\nc\n", b"a\nx\ny\nc\n"), ["- b", "+ x", "+ y"]);
        assert_eq!(value_diff(b"a", b"a\n"), ["~ the end of the last line"]);
        assert_eq!(value_diff(b"a", b"a"), ["= the same value"]);
        assert!(value_diff(b"\x1b[2J", b"b")[0].starts_with("~ 4 B sha256 "));
    }
}
