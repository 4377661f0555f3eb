//! JSON: strings as Go's `encoding/json` writes them, since where etcd stores JSON its bytes count; and documents of
//! ours, in which nothing steers a terminal.

use std::fmt::Write;
use std::io;

use serde::Serialize;

use crate::words::text::steers;

/// Writes a document on one line.
///
/// # Errors
/// What `out` fails with.
pub fn write(out: impl io::Write, value: &impl Serialize) -> io::Result<()> {
    Ok(serde_json::to_writer(Escaping(out), value)?)
}

/// Writes a document, indented.
///
/// # Errors
/// What `out` fails with.
pub fn write_pretty(out: impl io::Write, value: &impl Serialize) -> io::Result<()> {
    Ok(serde_json::to_writer_pretty(Escaping(out), value)?)
}

/// Escapes what a terminal may obey and JSON lets pass. It stands in strings only, so that the document stays the same.
struct Escaping<W>(W);

impl<W: io::Write> io::Write for Escaping<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let steering = |c: char| c >= '\u{7f}' && steers(c);
        match std::str::from_utf8(bytes) {
            Ok(text) if text.contains(steering) => {
                let mut safe = String::with_capacity(text.len().saturating_mul(2));
                for c in text.chars() {
                    if steering(c) {
                        // A String takes everything.
                        let _ = write!(safe, "\\u{:04x}", u32::from(c));
                    } else {
                        safe.push(c);
                    }
                }
                self.0.write_all(safe.as_bytes())?;
            }
            _ => self.0.write_all(bytes)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The string in quotes. Unlike most encoders, Go escapes `<`, `>`, `&`, U+2028 and U+2029.
#[must_use]
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len().saturating_add(2));
    quote_into(text, &mut out);
    out
}

/// The same behind what is there.
pub(crate) fn quote_into(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    // What is as it is goes over in one piece. Both separators begin with this byte.
    let special = |byte: u8| byte < b' ' || matches!(byte, b'"' | b'\\' | b'<' | b'>' | b'&' | 0xe2);
    while let Some(at) = rest.bytes().position(special) {
        let (plain, from) = rest.split_at(at);
        out.push_str(plain);
        let mut chars = from.chars();
        if let Some(c) = chars.next() {
            escape(c, out);
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

fn escape(c: char, out: &mut String) {
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

/// The strings as a JSON array.
#[must_use]
pub fn strings<'t>(all: impl IntoIterator<Item = &'t str>) -> String {
    let quoted: Vec<String> = all.into_iter().map(quote).collect();
    format!("[{}]", quoted.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_as_go_does_it() {
        assert_eq!(
            quote("a\"\\\n\u{1}<&>\u{2028}ö€\u{7f}"),
            "\"a\\\"\\\\\\n\\u0001\\u003c\\u0026\\u003e\\u2028ö€\u{7f}\""
        );
        assert_eq!(strings(["a", "b"]), r#"["a","b"]"#);
    }

    #[test]
    fn a_document_steers_no_terminal_and_means_the_same() {
        let text = "\u{1b}[2J\u{7f}\u{9b}\u{202e}\u{2067}\u{200f}\u{e9}\n";
        let (mut line, mut lines) = (Vec::new(), Vec::new());
        write(&mut line, &[text]).unwrap();
        write_pretty(&mut lines, &[text]).unwrap();
        assert_eq!(line, r#"["\u001b[2J\u007f\u009b\u202e\u2067\u200fé\n"]"#.as_bytes());
        for document in [line, lines] {
            assert_eq!(serde_json::from_slice::<[String; 1]>(&document).unwrap(), [text]);
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_quoted_is_read_back(text: String) {
            proptest::prop_assert_eq!(serde_json::from_str::<String>(&quote(&text)).unwrap(), text);
        }
    }
}
