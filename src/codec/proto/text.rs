//! The text of `proto.CompactTextString` of golang/protobuf 1.5 (`text_encode.go`), which etcd-dump-logs prints
//! through `String()`.
//!
//! Fields in the order of the `.proto` file, each as `name:value` and a space, a message as `name:<` fields `>`,
//! strings and bytes quoted with `\n \r \t \" \\` and three octal digits for every byte that is not printable ASCII.
//! An unknown field has its number for a name, and bytes in it are quoted as `%q` does.

use std::fmt::Write;

use super::decode::{Token, token};
use super::message::{Field, Label, REDACTED};
use super::tree::{Decoded, Key, Node, Value, map};
use crate::codec::go::{go_float32, go_float64, go_quote};
use crate::codec::wire;

impl Decoded<'_> {
    /// The compact text, with a space after each field. Without `secrets` they are [`REDACTED`].
    #[must_use]
    pub fn text(&self, secrets: bool) -> String {
        self.root().text(secrets)
    }
}

impl Node<'_, '_> {
    /// The compact text, with a space after each field. Without `secrets` they are [`REDACTED`].
    #[must_use]
    pub fn text(self, secrets: bool) -> String {
        let mut out = String::new();
        message(&mut out, self, secrets);
        out
    }
}

// What is written goes to a String, which takes everything.

fn message(out: &mut String, node: Node<'_, '_>, secrets: bool) {
    let mut set = node.set().peekable();
    while let Some((field, first)) = set.next() {
        if field.label != Label::Map {
            let _ = write!(out, "{}:", field.name);
            value(out, field, first, secrets);
            out.push(' ');
            continue;
        }
        let mut entries = vec![first];
        while let Some((_, next)) = set.next_if(|(next, _)| next.number == field.number) {
            entries.push(next);
        }
        for (key, (inner, held)) in map(entries.into_iter()) {
            let _ = write!(out, "{}:<key:", field.name);
            match key {
                Key::Bool(b) => drop(write!(out, "{b}")),
                Key::Signed(n) => drop(write!(out, "{n}")),
                Key::Unsigned(n) => drop(write!(out, "{n}")),
                Key::Bytes(bytes) => quote(out, bytes),
            }
            out.push_str(" value:");
            value(out, inner, held, secrets);
            out.push_str(" > ");
        }
    }
    for bytes in node.unknown() {
        unknown(out, bytes);
    }
}

fn value(out: &mut String, field: &Field<'_>, value: Value<'_, '_>, secrets: bool) {
    let _ = match value {
        Value::Message(node) => {
            out.push('<');
            message(out, node, secrets);
            out.push('>');
            Ok(())
        }
        Value::Bytes(bytes) if !secrets && field.is(Field::SECRET) && !bytes.is_empty() => {
            write!(out, "\"{REDACTED}\"")
        }
        Value::Bytes(bytes) if field.is(Field::REMOVED) && !bytes.is_empty() => {
            out.write_str("\"<value removed>\"")
        }
        Value::Bytes(bytes) => {
            quote(out, bytes);
            Ok(())
        }
        Value::Unsigned(n) => write!(out, "{n}"),
        Value::Signed(n) => write!(out, "{n}"),
        Value::Bool(b) => write!(out, "{b}"),
        Value::Float(f) if f.is_infinite() => out.write_str(if f > 0.0 { "inf" } else { "-inf" }),
        Value::Float(f) if f.is_nan() => out.write_str("nan"),
        Value::Float(f) => out.write_str(&go_float32(f)),
        Value::Double(f) if f.is_infinite() => out.write_str(if f > 0.0 { "inf" } else { "-inf" }),
        Value::Double(f) if f.is_nan() => out.write_str("nan"),
        Value::Double(f) => out.write_str(&go_float64(f)),
        Value::Enum(n) => match field.kind.value_name(n) {
            Some(name) => out.write_str(name),
            None => write!(out, "{n}"),
        },
    };
}

/// `writeUnknownFields`.
fn unknown(out: &mut String, bytes: &[u8]) {
    let mut rest = bytes;
    while let Some((after, number, token)) = token(rest) {
        rest = after;
        let _ = match token {
            Token::Value(wire::WireValue::Varint(n) | wire::WireValue::Fixed64(n)) => {
                write!(out, "{number}:{n} ")
            }
            Token::Value(wire::WireValue::Fixed32(n)) => write!(out, "{number}:{n} "),
            Token::Value(wire::WireValue::Bytes(bytes)) => write!(out, "{number}:{} ", go_quote(bytes)),
            Token::Start => write!(out, "{number} {{ "),
            Token::End => out.write_str("} "),
        };
    }
}

fn quote(out: &mut String, bytes: &[u8]) {
    out.push('"');
    for byte in bytes {
        match byte {
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            0x20..0x7f => out.push(char::from(*byte)),
            _ => {
                let _ = write!(out, "\\{byte:03o}");
            }
        }
    }
    out.push('"');
}
