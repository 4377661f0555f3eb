//! Protobuf messages by description: one table of field names and kinds gives both the compact text that etcd's tools
//! print and JSON.
//!
//! The text is that of `proto.CompactTextString` of golang/protobuf 1.5 (`text_encode.go`), which etcd-dump-logs
//! prints through `String()`: fields in the order of the `.proto` file, each as `name:value` and a space, a message
//! as `name:<` fields `>`, strings and bytes quoted with `\n \r \t \" \\` and three octal digits for every byte that
//! is not printable ASCII.

use std::fmt::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::codec::wire::{self, BadField, Value, fields, varint};

/// How deep messages may nest; prost's limit too. etcd itself never nests transactions deeper than a handful.
const MAX_DEPTH: usize = 100;

/// What is printed instead of a secret.
pub const REDACTED: &str = "<redacted>";

/// A message type: its fields in the order in which they are printed.
#[derive(Debug)]
pub struct Message {
    /// The fields, in the order of the `.proto` file.
    pub fields: &'static [Field],
}

/// A field of a [`Message`].
#[derive(Debug)]
pub struct Field {
    /// The number on the wire.
    pub number: u32,
    /// The name in the `.proto` file.
    pub name: &'static str,
    /// The type of the value.
    pub kind: Kind,
    /// How often it occurs and when it is printed.
    pub label: Label,
}

/// The type of a field's value.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// `uint64` or `uint32`.
    Uint,
    /// `int64`.
    Int,
    /// `uint64` that names something: 16 hex digits in JSON, decimal in text.
    Id,
    /// `int64` that names something (a lease).
    SignedId,
    /// `bool`.
    Bool,
    /// `bytes`.
    Bytes,
    /// `string`.
    Text,
    /// `string` that must not be shown unless asked for.
    Secret,
    /// An enum whose values are 0, 1, 2 and so on.
    Enum(&'static [&'static str]),
    /// A message.
    Message(&'static Message),
}

/// How often a field occurs and when it counts as set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// A zero or empty value is as good as none (proto3, and gogo's non-nullable proto2 fields).
    Plain,
    /// Set when it is on the wire, even if it is zero or empty.
    Optional,
    /// Any number of times.
    Repeated,
    /// At most one of the fields with this label is set: the last.
    OneOf,
}

/// A decoded message.
#[derive(Debug, Clone)]
pub struct Node<'a> {
    message: &'static Message,
    /// Position of the field in the description, and its value; sorted by position.
    values: Vec<(usize, Item<'a>)>,
    /// Fields the description does not know, as they were on the wire; adjacent ones in one piece.
    unknown: Vec<&'a [u8]>,
}

#[derive(Debug, Clone)]
enum Item<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Node(Node<'a>),
}

impl<'a> Node<'a> {
    /// Decodes `bytes` as the described message, as gogo's generated code does: unknown fields are kept, a known
    /// field with another wire type is an error, strings need not be UTF-8.
    ///
    /// # Errors
    /// The offset of the first field that cannot be.
    pub fn decode(message: &'static Message, bytes: &'a [u8]) -> Result<Node<'a>, BadField> {
        let mut node = Node { message, values: Vec::new(), unknown: Vec::new() };
        node.merge(bytes, 0)?;
        Ok(node)
    }

    fn merge(&mut self, bytes: &'a [u8], depth: usize) -> Result<(), BadField> {
        let mut rest = bytes;
        let mut unknown_from: Option<&'a [u8]> = None;
        while !rest.is_empty() {
            let here = BadField(bytes.len().saturating_sub(rest.len()));
            let (after, (number, value)) = wire::field(rest).map_err(|_| here)?;
            let known = self.message.fields.iter().enumerate().find(|(_, field)| field.number == number);
            let Some((position, field)) = known else {
                unknown_from.get_or_insert(rest);
                rest = after;
                continue;
            };
            if let Some(from) = unknown_from.take() {
                self.keep_unknown(from, rest);
            }
            self.put(position, field, value, depth).map_err(|()| here)?;
            rest = after;
        }
        if let Some(from) = unknown_from {
            self.keep_unknown(from, rest);
        }
        self.values.sort_by_key(|(position, _)| *position);
        Ok(())
    }

    fn keep_unknown(&mut self, from: &'a [u8], upto: &'a [u8]) {
        self.unknown.extend(from.get(..from.len().saturating_sub(upto.len())));
    }

    fn put(
        &mut self,
        position: usize,
        field: &'static Field,
        value: Value<'a>,
        depth: usize,
    ) -> Result<(), ()> {
        if field.label == Label::OneOf {
            let fields = self.message.fields;
            self.values.retain(|(at, _)| fields.get(*at).is_none_or(|f| f.label != Label::OneOf));
        }
        let before = if field.label == Label::Repeated {
            None
        } else {
            self.values.iter().position(|(at, _)| *at == position)
        };
        let item = match (field.kind, value) {
            (Kind::Message(message), Value::Bytes(bytes)) => {
                if depth >= MAX_DEPTH {
                    return Err(());
                }
                let old = before.map(|at| self.values.swap_remove(at).1);
                let mut node = match old {
                    Some(Item::Node(node)) => node,
                    _ => Node { message, values: Vec::new(), unknown: Vec::new() },
                };
                node.merge(bytes, depth.saturating_add(1)).map_err(|_| ())?;
                self.values.push((position, Item::Node(node)));
                return Ok(());
            }
            (Kind::Bytes | Kind::Text | Kind::Secret, Value::Bytes(bytes)) => Item::Bytes(bytes),
            (
                Kind::Uint | Kind::Int | Kind::Id | Kind::SignedId | Kind::Bool | Kind::Enum(_),
                Value::Varint(n),
            ) => Item::Number(n),
            (Kind::Uint | Kind::Int | Kind::Id | Kind::SignedId, Value::Bytes(mut packed))
                if field.label == Label::Repeated =>
            {
                while !packed.is_empty() {
                    let (after, n) = varint(packed).map_err(|_| ())?;
                    self.values.push((position, Item::Number(n)));
                    packed = after;
                }
                return Ok(());
            }
            _ => return Err(()),
        };
        if let Some(at) = before {
            self.values.swap_remove(at);
        }
        self.values.push((position, item));
        Ok(())
    }

    fn set(&self) -> impl Iterator<Item = (&'static Field, &Item<'a>)> {
        let fields = self.message.fields;
        self.values.iter().filter_map(move |(position, item)| {
            let field = fields.get(*position)?;
            let zero = match item {
                Item::Number(n) => *n == 0,
                Item::Bytes(bytes) => bytes.is_empty(),
                Item::Node(_) => false,
            };
            (field.label != Label::Plain || !zero).then_some((field, item))
        })
    }

    /// Whether a field of that name is set.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.set().any(|(field, _)| field.name == name)
    }

    /// The names of the fields that are set, in the order of the description.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.set().map(|(field, _)| field.name)
    }

    /// The number in the field of that name, 0 when it is not set.
    #[must_use]
    pub fn number(&self, name: &str) -> u64 {
        self.set()
            .find_map(
                |(field, item)| {
                    if let (true, Item::Number(n)) = (field.name == name, item) { Some(*n) } else { None }
                },
            )
            .unwrap_or(0)
    }

    /// The bytes in the field of that name, empty when it is not set.
    #[must_use]
    pub fn bytes(&self, name: &str) -> &'a [u8] {
        self.set()
            .find_map(
                |(field, item)| {
                    if let (true, Item::Bytes(b)) = (field.name == name, item) { Some(*b) } else { None }
                },
            )
            .unwrap_or_default()
    }

    /// The message in the field of that name.
    #[must_use]
    pub fn message(&self, name: &str) -> Option<&Node<'a>> {
        self.set().find_map(|(field, item)| {
            if let (true, Item::Node(node)) = (field.name == name, item) { Some(node) } else { None }
        })
    }

    /// Whether a secret is set anywhere inside.
    #[must_use]
    pub fn has_secret(&self) -> bool {
        self.set().any(|(field, item)| match item {
            Item::Node(node) => node.has_secret(),
            Item::Bytes(bytes) => matches!(field.kind, Kind::Secret) && !bytes.is_empty(),
            Item::Number(_) => false,
        })
    }

    /// The compact text, with a space after each field.
    #[must_use]
    pub fn text(&self, secrets: bool) -> String {
        let mut out = String::new();
        self.write_text(&mut out, secrets);
        out
    }

    fn write_text(&self, out: &mut String, secrets: bool) {
        for (field, item) in self.set() {
            let _ = write!(out, "{}:", field.name);
            match item {
                Item::Node(node) => {
                    out.push('<');
                    node.write_text(out, secrets);
                    out.push('>');
                }
                Item::Bytes(bytes) if !secrets && matches!(field.kind, Kind::Secret) && !bytes.is_empty() => {
                    let _ = write!(out, "\"{REDACTED}\"");
                }
                Item::Bytes(bytes) => quote(out, bytes),
                Item::Number(n) => match field.kind {
                    Kind::Bool => out.push_str(if *n == 0 { "false" } else { "true" }),
                    Kind::Enum(names) => match enum_name(names, *n) {
                        Some(name) => out.push_str(name),
                        None => {
                            let _ = write!(out, "{}", enum_number(*n));
                        }
                    },
                    Kind::Int | Kind::SignedId => {
                        let _ = write!(out, "{}", n.cast_signed());
                    }
                    _ => {
                        let _ = write!(out, "{n}");
                    }
                },
            }
            out.push(' ');
        }
        for (number, value) in self.unknown.iter().flat_map(|bytes| fields(bytes)).flatten() {
            let _ = match value {
                Value::Varint(n) => write!(out, "{number}:{n} "),
                Value::Fixed64(n) => write!(out, "{number}:{n} "),
                Value::Fixed32(n) => write!(out, "{number}:{n} "),
                Value::Bytes(bytes) => write!(out, "{number}:{} ", go_quote(bytes)),
            };
        }
    }

    /// The message as JSON: names as protobuf's JSON mapping spells them, bytes as base64, ids as 16 hex digits,
    /// other numbers as numbers.
    #[must_use]
    pub fn json(&self, secrets: bool) -> serde_json::Value {
        let mut object = serde_json::Map::new();
        for (field, item) in self.set() {
            let value = match item {
                Item::Node(node) => node.json(secrets),
                Item::Bytes(bytes) => match field.kind {
                    Kind::Secret if !secrets && !bytes.is_empty() => REDACTED.into(),
                    Kind::Text | Kind::Secret => String::from_utf8_lossy(bytes).into(),
                    _ => BASE64_STANDARD.encode(bytes).into(),
                },
                Item::Number(n) => match field.kind {
                    Kind::Bool => (*n != 0).into(),
                    Kind::Id | Kind::SignedId => format!("{n:016x}").into(),
                    Kind::Int => n.cast_signed().into(),
                    Kind::Enum(names) => {
                        enum_name(names, *n).map_or_else(|| enum_number(*n).into(), Into::into)
                    }
                    _ => (*n).into(),
                },
            };
            let name = json_name(field.name);
            if field.label == Label::Repeated {
                let list = object.entry(name).or_insert_with(|| serde_json::Value::Array(Vec::new()));
                if let Some(list) = list.as_array_mut() {
                    list.push(value);
                }
            } else {
                object.insert(name, value);
            }
        }
        if !self.unknown.is_empty() {
            object.insert("unknownFields".to_owned(), BASE64_STANDARD.encode(self.unknown.concat()).into());
        }
        serde_json::Value::Object(object)
    }
}

fn enum_number(n: u64) -> i32 {
    // An enum is the low 32 bits of its varint.
    let [a, b, c, d, ..] = n.to_le_bytes();
    i32::from_le_bytes([a, b, c, d])
}

fn enum_name(names: &[&'static str], n: u64) -> Option<&'static str> {
    names.get(usize::try_from(enum_number(n)).ok()?).copied()
}

/// `range_end` as `rangeEnd`.
fn json_name(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut upper = false;
    for c in name.chars() {
        if c == '_' {
            upper = true;
        } else {
            out.push(if upper { c.to_ascii_uppercase() } else { c });
            upper = false;
        }
    }
    out
}

/// Quotes as protobuf's text format does.
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

/// Shorthand for the tables.
#[must_use]
pub const fn field(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { number, name, kind, label: Label::Plain }
}

impl Field {
    /// The same field with another label.
    #[must_use]
    pub const fn label(self, label: Label) -> Field {
        Field { number: self.number, name: self.name, kind: self.kind, label }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static INNER: Message =
        Message { fields: &[field(1, "range_end", Kind::Bytes), field(2, "password", Kind::Secret)] };
    static OUTER: Message = Message {
        fields: &[
            field(100, "header", Kind::Message(&INNER)),
            field(1, "ID", Kind::Id),
            field(2, "nodes", Kind::Uint).label(Label::Repeated),
            field(3, "sort", Kind::Enum(&["NONE", "UP"])),
            field(4, "data", Kind::Bytes).label(Label::Optional),
        ],
    };

    #[test]
    fn text_is_in_the_order_of_the_description_and_escapes_in_octal() {
        let bytes =
            [0x08, 0x05, 0x18, 0x01, 0xa2, 0x06, 0x08, 0x0a, 0x06, b'a', b'"', b'\n', 0x01, 0xff, b'\\'];
        let node = Node::decode(&OUTER, &bytes).unwrap();
        assert_eq!(node.text(false), r#"header:<range_end:"a\"\n\001\377\\" > ID:5 sort:UP "#);
        assert_eq!(node.json(false)["ID"], "0000000000000005");
        assert_eq!(node.json(false)["header"]["rangeEnd"], "YSIKAf9c");
    }

    #[test]
    fn packed_and_unpacked_numbers_are_the_same_list() {
        let node = Node::decode(&OUTER, &[0x12, 0x02, 0x07, 0x08, 0x10, 0x09]).unwrap();
        assert_eq!(node.text(false), "nodes:7 nodes:8 nodes:9 ");
    }

    #[test]
    fn an_optional_field_is_printed_empty_and_a_plain_zero_is_not() {
        let node = Node::decode(&OUTER, &[0x08, 0x00, 0x22, 0x00]).unwrap();
        assert_eq!(node.text(false), "data:\"\" ");
    }

    #[test]
    fn secrets_are_redacted_until_asked_for() {
        let node = Node::decode(&OUTER, &[0xa2, 0x06, 0x03, 0x12, 0x01, b'p']).unwrap();
        assert!(node.has_secret());
        assert_eq!(node.text(false), "header:<password:\"<redacted>\" > ");
        assert_eq!(node.text(true), "header:<password:\"p\" > ");
        assert_eq!(node.json(false)["header"]["password"], "<redacted>");
    }

    #[test]
    fn a_field_that_comes_twice_merges_and_an_unknown_one_is_kept() {
        let bytes = [
            0xa2, 0x06, 0x03, 0x0a, 0x01, b'x', 0x38, 0x07, 0xa2, 0x06, 0x03, 0x12, 0x01, b'p', 0x08, 0x01,
            0x08, 0x02,
        ];
        let node = Node::decode(&OUTER, &bytes).unwrap();
        assert_eq!(node.text(true), "header:<range_end:\"x\" password:\"p\" > ID:2 7:7 ");
    }

    #[test]
    fn a_known_field_with_another_wire_type_is_an_error() {
        assert_eq!(Node::decode(&OUTER, &[0x08, 0x01, 0x0a, 0x00]).unwrap_err(), BadField(2));
        assert!(Node::decode(&OUTER, &[0x3f]).is_err());
    }

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
}
