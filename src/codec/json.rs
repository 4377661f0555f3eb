//! Strings as Go's `encoding/json` writes them: where etcd stores JSON, its bytes count.

use std::fmt::Write;

/// The string in quotes. Unlike most encoders, Go escapes `<`, `>`, `&`, U+2028 and U+2029.
#[must_use]
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len().saturating_add(2));
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                // A String takes everything.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The strings as a JSON array.
#[must_use]
pub fn strings(all: &[String]) -> String {
    let quoted: Vec<String> = all.iter().map(|text| quote(text)).collect();
    format!("[{}]", quoted.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_as_go_does_it() {
        assert_eq!(
            quote("a\"\\\n\u{1}<&>\u{2028}ö\u{7f}"),
            "\"a\\\"\\\\\\n\\u0001\\u003c\\u0026\\u003e\\u2028ö\u{7f}\""
        );
        assert_eq!(strings(&["a".to_owned(), "b".to_owned()]), r#"["a","b"]"#);
    }

    proptest::proptest! {
        #[test]
        fn what_is_quoted_is_read_back(text: String) {
            proptest::prop_assert_eq!(serde_json::from_str::<String>(&quote(&text)).unwrap(), text);
        }
    }
}
