//! What a message is after it was read: a tree that borrows the bytes.
//!
//! It lies in three lists, so it needs no allocation a message: the messages, those of one level together; the fields
//! of all messages, those of one together; the unknown fields.

use std::collections::BTreeMap;
use std::ops::Range;

use super::message::{Field, FieldKind, Label, Message};
use crate::codec::wire::varint;

/// A message and all that are in it.
#[derive(Debug, Clone)]
pub struct Decoded<'a> {
    pub(super) schema: &'a [Message<'a>],
    /// The message itself, those in it, those in those, and so on.
    pub(super) parts: Vec<Part<'a>>,
    /// The fields of all messages, those of one together and in the order of its table.
    pub(super) entries: Vec<Entry<'a>>,
    /// Fields that no table knows, as they were on the wire; adjacent ones in one piece.
    pub(super) unknown: Vec<&'a [u8]>,
}

/// One message.
#[derive(Debug, Clone)]
pub(super) struct Part<'a> {
    pub(super) message: &'a Message<'a>,
    pub(super) entries: Range<u32>,
    pub(super) unknown: Range<u32>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    /// Of the field in the table.
    pub(super) position: u32,
    pub(super) item: Item<'a>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Item<'a> {
    /// A number as it was on the wire.
    Number(u64),
    /// A string, bytes, or a message that is not read yet.
    Bytes(&'a [u8]),
    /// Numbers of a repeated field.
    Packed(&'a [u8]),
    /// The beginning of a message that goes on in the next entry.
    Begun(&'a [u8]),
    /// A message, by its position in the parts.
    Part(u32),
}

impl<'a> Decoded<'a> {
    /// The message itself.
    #[must_use]
    pub fn root(&self) -> Node<'_, 'a> {
        Node { tree: self, part: self.parts.first() }
    }

    /// The fields anywhere in it that no table knows, as they were on the wire; adjacent ones in one piece.
    #[must_use]
    pub fn unknown(&self) -> &[&'a [u8]] {
        &self.unknown
    }

    /// Whether a secret is set anywhere in it.
    #[must_use]
    pub fn has_secret(&self) -> bool {
        let nodes = self.parts.iter().map(|part| Node { tree: self, part: Some(part) });
        nodes.flat_map(Node::set).any(|(field, value)| field.is(Field::SECRET) && !value.is_zero())
    }
}

pub(super) fn indices(range: &Range<u32>) -> Range<usize> {
    let index = |n| usize::try_from(n).unwrap_or(usize::MAX);
    index(range.start)..index(range.end)
}

/// How a type is on the wire.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    Varint,
    Fixed64,
    Bytes,
    Fixed32,
}

impl Form {
    pub(super) fn of(kind: FieldKind<'_>) -> Form {
        match kind {
            FieldKind::Double | FieldKind::Fixed64 | FieldKind::Sfixed64 => Form::Fixed64,
            FieldKind::Float | FieldKind::Fixed32 | FieldKind::Sfixed32 => Form::Fixed32,
            FieldKind::Bytes | FieldKind::String | FieldKind::Message(_) | FieldKind::Indexed(_) => {
                Form::Bytes
            }
            FieldKind::Int32
            | FieldKind::Int64
            | FieldKind::Uint32
            | FieldKind::Uint64
            | FieldKind::Sint32
            | FieldKind::Sint64 => Form::Varint,
            FieldKind::Bool | FieldKind::Enum(_) => Form::Varint,
        }
    }

    /// The first of packed numbers, and the others.
    pub(super) fn packed(self, bytes: &[u8]) -> Option<(&[u8], u64)> {
        match self {
            Form::Varint => varint(bytes).ok(),
            Form::Fixed64 => bytes.split_first_chunk().map(|(n, rest)| (rest, u64::from_le_bytes(*n))),
            Form::Fixed32 => {
                bytes.split_first_chunk().map(|(n, rest)| (rest, u64::from(u32::from_le_bytes(*n))))
            }
            Form::Bytes => None,
        }
    }
}

/// A value of a field.
#[derive(Debug, Clone, Copy)]
pub enum Value<'n, 'a> {
    /// Of the unsigned types.
    Unsigned(u64),
    /// Of the signed types.
    Signed(i64),
    /// `bool`.
    Bool(bool),
    /// `float`.
    Float(f32),
    /// `double`.
    Double(f64),
    /// The number of an enum's value.
    Enum(i32),
    /// `string`, which may be no UTF-8, and `bytes`.
    Bytes(&'a [u8]),
    /// A message.
    Message(Node<'n, 'a>),
}

impl<'n, 'a> Value<'n, 'a> {
    /// The value that a number on the wire is.
    fn of(kind: FieldKind<'_>, raw: u64) -> Value<'n, 'a> {
        let [a, b, c, d, ..] = raw.to_le_bytes();
        let low = u32::from_le_bytes([a, b, c, d]);
        let zigzag = |n: u64| (n >> 1).cast_signed() ^ (n & 1).cast_signed().wrapping_neg();
        match kind {
            FieldKind::Double => Value::Double(f64::from_bits(raw)),
            FieldKind::Float => Value::Float(f32::from_bits(low)),
            FieldKind::Int32 | FieldKind::Sfixed32 => Value::Signed(i64::from(low.cast_signed())),
            FieldKind::Int64 | FieldKind::Sfixed64 => Value::Signed(raw.cast_signed()),
            FieldKind::Uint32 | FieldKind::Fixed32 => Value::Unsigned(u64::from(low)),
            FieldKind::Sint32 => Value::Signed(zigzag(u64::from(low))),
            FieldKind::Sint64 => Value::Signed(zigzag(raw)),
            FieldKind::Bool => Value::Bool(raw != 0),
            FieldKind::Enum(_) => Value::Enum(low.cast_signed()),
            FieldKind::Uint64
            | FieldKind::Fixed64
            | FieldKind::Bytes
            | FieldKind::String
            | FieldKind::Message(_)
            | FieldKind::Indexed(_) => Value::Unsigned(raw),
        }
    }

    /// What a field of that type is that is not there.
    fn zero(kind: FieldKind<'_>, tree: &'n Decoded<'a>) -> Value<'n, 'a> {
        match kind {
            FieldKind::Bytes | FieldKind::String => Value::Bytes(&[]),
            FieldKind::Message(_) | FieldKind::Indexed(_) => Value::Message(Node { tree, part: None }),
            _ => Value::of(kind, 0),
        }
    }

    /// Whether proto3 would leave it out. A message is never zero.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        match self {
            Value::Unsigned(n) => *n == 0,
            Value::Signed(n) => *n == 0,
            Value::Bool(b) => !b,
            Value::Float(f) => f.to_bits() == 0,
            Value::Double(f) => f.to_bits() == 0,
            Value::Enum(n) => *n == 0,
            Value::Bytes(bytes) => bytes.is_empty(),
            Value::Message(_) => false,
        }
    }
}

/// A key of a map, in the order in which Go prints them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key<'a> {
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Bytes(&'a [u8]),
}

/// The entries of one map by their keys.
pub(super) fn map<'n, 'a>(
    entries: impl Iterator<Item = Value<'n, 'a>>,
) -> BTreeMap<Key<'a>, (&'a Field<'a>, Value<'n, 'a>)> {
    let entry = |entry| {
        let Value::Message(entry) = entry else { return None };
        let (key, value) = entry.pair()?;
        let key = match key {
            Value::Bool(b) => Key::Bool(b),
            Value::Signed(n) => Key::Signed(n),
            Value::Unsigned(n) => Key::Unsigned(n),
            Value::Bytes(bytes) => Key::Bytes(bytes),
            Value::Float(_) | Value::Double(_) | Value::Enum(_) | Value::Message(_) => return None,
        };
        Some((key, value))
    };
    entries.filter_map(entry).collect()
}

/// One message of a [`Decoded`].
#[derive(Debug, Clone, Copy)]
pub struct Node<'n, 'a> {
    tree: &'n Decoded<'a>,
    /// None: an empty one.
    part: Option<&'n Part<'a>>,
}

impl<'n, 'a> Node<'n, 'a> {
    /// All values on the wire with their fields, in the order of the table; one for each of a repeated field.
    #[must_use]
    pub fn fields(self) -> Values<'n, 'a> {
        let entries = self.part.and_then(|part| self.tree.entries.get(indices(&part.entries)));
        Values {
            tree: self.tree,
            fields: self.part.map_or(&[], |part| part.message.fields()),
            entries: entries.unwrap_or_default().iter(),
            packed: None,
        }
    }

    /// So many of its fields are there at most.
    #[must_use]
    pub fn at_most(self) -> usize {
        self.part.map_or(0, |part| indices(&part.entries).len().min(part.message.fields().len()))
    }

    /// The values that count as set.
    pub fn set(self) -> impl Iterator<Item = (&'a Field<'a>, Value<'n, 'a>)> {
        self.fields().filter(|(field, value)| field.label != Label::Plain || !value.is_zero())
    }

    /// The fields that the table does not know, as they were on the wire; adjacent ones in one piece.
    #[must_use]
    pub fn unknown(self) -> &'n [&'a [u8]] {
        self.part.and_then(|part| self.tree.unknown.get(indices(&part.unknown))).unwrap_or_default()
    }

    /// The key and the value of one entry of a map.
    fn pair(self) -> Option<(Value<'n, 'a>, (&'a Field<'a>, Value<'n, 'a>))> {
        let message = self.part?.message;
        let of = |number| {
            let (_, field) = message.field(number)?;
            let found = self.fields().find(|(found, _)| found.number == number);
            Some((field, found.map_or_else(|| Value::zero(field.kind, self.tree), |(_, value)| value)))
        };
        Some((of(1)?.1, of(2)?))
    }

    /// The first value that is set in the field of that name.
    #[must_use]
    pub fn get(self, name: &str) -> Option<Value<'n, 'a>> {
        self.set().find(|(field, _)| field.name == name).map(|(_, value)| value)
    }

    /// Whether a field of that name is set.
    #[must_use]
    pub fn has(self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The integer in the field of that name, 0 when it is not set; a negative one in two's complement.
    #[must_use]
    pub fn number(self, name: &str) -> u64 {
        match self.get(name) {
            Some(Value::Unsigned(n)) => n,
            Some(Value::Signed(n)) => n.cast_unsigned(),
            _ => 0,
        }
    }

    /// The bytes in the field of that name, empty when it is not set.
    #[must_use]
    pub fn bytes(self, name: &str) -> &'a [u8] {
        if let Some(Value::Bytes(bytes)) = self.get(name) { bytes } else { &[] }
    }

    /// The message in the field of that name.
    #[must_use]
    pub fn message(self, name: &str) -> Option<Node<'n, 'a>> {
        if let Some(Value::Message(node)) = self.get(name) { Some(node) } else { None }
    }
}

/// The values of a message with their fields.
#[derive(Debug, Clone)]
pub struct Values<'n, 'a> {
    tree: &'n Decoded<'a>,
    fields: &'a [Field<'a>],
    entries: std::slice::Iter<'n, Entry<'a>>,
    /// What is left of packed numbers.
    packed: Option<(&'a Field<'a>, &'a [u8])>,
}

impl<'n, 'a> Iterator for Values<'n, 'a> {
    type Item = (&'a Field<'a>, Value<'n, 'a>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((field, bytes)) = self.packed.take()
                && let Some((rest, raw)) = Form::of(field.kind).packed(bytes)
            {
                self.packed = Some((field, rest));
                return Some((field, Value::of(field.kind, raw)));
            }
            let entry = self.entries.next()?;
            let Some(field) = usize::try_from(entry.position).ok().and_then(|at| self.fields.get(at)) else {
                continue;
            };
            let value = match entry.item {
                Item::Number(raw) => Value::of(field.kind, raw),
                Item::Bytes(bytes) => Value::Bytes(bytes),
                Item::Part(at) => {
                    let part = usize::try_from(at).ok().and_then(|at| self.tree.parts.get(at));
                    Value::Message(Node { tree: self.tree, part })
                }
                Item::Packed(bytes) => {
                    self.packed = Some((field, bytes));
                    continue;
                }
                Item::Begun(_) => continue,
            };
            return Some((field, value));
        }
    }
}
