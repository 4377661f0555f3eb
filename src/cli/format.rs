//! Keys and values on the screen, in bbolt's formats.

use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::ValueEnum;
use coldbolt::codec::checksum::{hex, sha256};
use coldbolt::codec::go::{go_quote, is_print};
use serde::{Serialize, Serializer};

/// How to print bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// As text when every character can be printed, else in hexadecimal.
    Auto,
    /// As a quoted string, with escapes for what cannot be printed.
    AsciiEncoded,
    /// In hexadecimal.
    Hex,
    /// As they are, control characters included.
    Bytes,
    /// Only their length and SHA-256.
    Redacted,
}

/// Bytes in one of the formats. In JSON an object whose one field says which: `{"text":"foo"}`, `{"hex":"00ff"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Shown {
    /// Printable text.
    Text(String),
    /// In quotes.
    Quoted(String),
    /// Hexadecimal digits.
    Hex(String),
    /// Not changed; base64 in JSON.
    #[serde(rename = "base64", serialize_with = "base64")]
    Bytes(Vec<u8>),
    /// Not shown.
    Redacted { len: usize, sha256: String },
}

fn base64<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(bytes))
}

impl Format {
    /// The bytes in this format.
    pub fn show(self, bytes: &[u8]) -> Shown {
        match self {
            Format::Auto => {
                printable(bytes).map_or_else(|| Shown::Hex(hex(bytes)), |text| Shown::Text(text.to_owned()))
            }
            Format::AsciiEncoded => Shown::Quoted(go_quote(bytes)),
            Format::Hex => Shown::Hex(hex(bytes)),
            Format::Bytes => Shown::Bytes(bytes.to_vec()),
            Format::Redacted => Shown::Redacted { len: bytes.len(), sha256: hex(&sha256(bytes)) },
        }
    }
}

impl Shown {
    /// As bbolt prints it.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Shown::Text(text) | Shown::Quoted(text) | Shown::Hex(text) => out.write_all(text.as_bytes()),
            Shown::Bytes(bytes) => out.write_all(bytes),
            Shown::Redacted { len, sha256 } => write!(out, "<redacted len:{len} sha256:{sha256}>"),
        }
    }
}

/// The text in `bytes`, if all of it can be printed.
pub fn printable(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|text| text.chars().all(is_print))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_never_prints_what_could_steer_a_terminal() {
        for text in [
            "\x1b[2J",
            "\u{9b}2J",
            "a\rb",
            "a\u{202e}b",
            "a\tb",
            "\u{200b}",
            "\u{2028}",
            "\u{a0}",
            "\u{e000}",
        ] {
            assert_eq!(Format::Auto.show(text.as_bytes()), Shown::Hex(hex(text.as_bytes())), "{text:?}");
        }
        for text in ["", " ", "a b", "é", "\u{301}", "日本", "😀", "'\"\\", "\u{fffd}"] {
            assert_eq!(Format::Auto.show(text.as_bytes()), Shown::Text(text.to_owned()), "{text:?}");
        }
        assert_eq!(Format::Auto.show(b"\xff"), Shown::Hex("ff".to_owned()));
    }
}
