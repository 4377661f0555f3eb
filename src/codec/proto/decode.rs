//! Bytes to a tree by a table, as gogo's generated code reads them: unknown fields are kept, a known field with another
//! wire type is an error, strings need not be UTF-8, a message that comes twice is merged.
//!
//! The tree borrows the bytes and lies in three lists, so it needs no allocation a message. Messages are read level by
//! level, not one inside the other: neither their depth nor their order costs stack. Each byte is read once, and a byte
//! of input becomes at most some thirty of tree (an empty message takes two bytes).

use std::collections::BTreeMap;
use std::ops::Range;

use super::message::{Field, Kind, Label, Message};
use crate::codec::wire::{self, BadField, varint};

/// How deep messages may nest; prost's limit too. etcd itself never nests transactions deeper than a handful.
const MAX_DEPTH: usize = 100;

/// A message and all that are in it.
#[derive(Debug, Clone)]
pub struct Decoded<'a> {
    schema: &'a [Message<'a>],
    /// The message itself, those in it, those in those, and so on.
    parts: Vec<Part<'a>>,
    /// The fields of all messages, those of one together and in the order of its table.
    entries: Vec<Entry<'a>>,
    /// Fields that no table knows, as they were on the wire; adjacent ones in one piece.
    unknown: Vec<&'a [u8]>,
}

/// One message.
#[derive(Debug, Clone)]
struct Part<'a> {
    message: &'a Message<'a>,
    entries: Range<u32>,
    unknown: Range<u32>,
}

#[derive(Debug, Clone, Copy)]
struct Entry<'a> {
    /// Of the field in the table.
    position: u32,
    item: Item<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Item<'a> {
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

/// Stands for the position of what another field of a oneof has replaced.
const REPLACED: u32 = u32::MAX;

impl<'a> Decoded<'a> {
    pub(super) fn new(
        schema: &'a [Message<'a>],
        message: &'a Message<'a>,
        bytes: &'a [u8],
    ) -> Result<Decoded<'a>, BadField> {
        let tree = Decoded { schema, parts: Vec::new(), entries: Vec::new(), unknown: Vec::new() };
        let mut reader = Reader { tree, whole: bytes, found: Vec::new(), one: None, replaced: false };
        reader.part(message, &[bytes])?;
        let mut level = 0..1;
        let mut depth = 0usize;
        while !level.is_empty() {
            let next = level.end;
            for part in level {
                reader.inside(part, depth < MAX_DEPTH)?;
            }
            level = next..reader.tree.parts.len();
            depth = depth.saturating_add(1);
        }
        Ok(reader.tree)
    }

    /// The message itself.
    #[must_use]
    pub fn root(&self) -> Node<'_, 'a> {
        Node { tree: self, part: self.parts.first() }
    }

    /// Whether a secret is set anywhere in it.
    #[must_use]
    pub fn has_secret(&self) -> bool {
        let nodes = self.parts.iter().map(|part| Node { tree: self, part: Some(part) });
        nodes.flat_map(Node::set).any(|(field, value)| field.is(Field::SECRET) && !value.is_zero())
    }
}

struct Reader<'a> {
    tree: Decoded<'a>,
    /// What is decoded, to tell where a fault is.
    whole: &'a [u8],
    /// The fields of the message that is being read, in the order of the wire.
    found: Vec<Entry<'a>>,
    /// Which of them is the field that is set of the oneof.
    one: Option<usize>,
    /// Whether one of them is [`REPLACED`].
    replaced: bool,
}

impl<'a> Reader<'a> {
    /// Reads the messages in a message.
    fn inside(&mut self, part: usize, allowed: bool) -> Result<(), BadField> {
        let Some(Part { message, entries, .. }) = self.tree.parts.get(part).cloned() else { return Ok(()) };
        let mut pieces = Vec::new();
        for at in indices(&entries) {
            let Some(Entry { position, item }) = self.tree.entries.get(at).copied() else { break };
            let Some(inner) = self.message_at(message, position) else { continue };
            match item {
                Item::Begun(piece) => pieces.push(piece),
                Item::Bytes(piece) if allowed => {
                    pieces.push(piece);
                    let part = self.count(self.tree.parts.len())?;
                    self.part(inner, &pieces)?;
                    pieces.clear();
                    if let Some(entry) = self.tree.entries.get_mut(at) {
                        entry.item = Item::Part(part);
                    }
                }
                Item::Bytes(piece) => return Err(self.fault(piece)),
                Item::Number(_) | Item::Packed(_) | Item::Part(_) => {}
            }
        }
        Ok(())
    }

    /// The message that a field is, if it is one.
    fn message_at(&self, message: &'a Message<'a>, position: u32) -> Option<&'a Message<'a>> {
        match message.fields().get(usize::try_from(position).ok()?)?.kind {
            Kind::Message(inner) => Some(inner),
            Kind::Indexed(at) => self.tree.schema.get(usize::try_from(at).ok()?),
            _ => None,
        }
    }

    /// Reads the fields of one message, of which there may be several pieces to merge.
    fn part(&mut self, message: &'a Message<'a>, pieces: &[&'a [u8]]) -> Result<(), BadField> {
        let (entries, unknown) = (self.tree.entries.len(), self.tree.unknown.len());
        for piece in pieces {
            self.fields(message, piece)?;
        }
        self.settle(message);
        let entries = self.count(entries)?..self.count(self.tree.entries.len())?;
        let unknown = self.count(unknown)?..self.count(self.tree.unknown.len())?;
        self.tree.parts.push(Part { message, entries, unknown });
        Ok(())
    }

    fn fields(&mut self, message: &'a Message<'a>, bytes: &'a [u8]) -> Result<(), BadField> {
        let mut rest = bytes;
        let mut unknown_from: Option<&'a [u8]> = None;
        while !rest.is_empty() {
            let here = rest;
            let (after, number, value) = field(rest).ok_or_else(|| self.fault(here))?;
            rest = after;
            let Some((position, field)) = message.field(number) else {
                unknown_from.get_or_insert(here);
                continue;
            };
            if let Some(from) = unknown_from.take() {
                self.keep_unknown(from, here);
            }
            let item = value.and_then(|value| item(field, value)).ok_or_else(|| self.fault(here))?;
            if field.label == Label::OneOf
                && let Some(before) = self.one.replace(self.found.len())
                && let Some(before) = self.found.get_mut(before)
            {
                before.position = REPLACED;
                self.replaced = true;
            }
            let position = self.count(position)?;
            self.found.push(Entry { position, item });
        }
        if let Some(from) = unknown_from {
            self.keep_unknown(from, rest);
        }
        Ok(())
    }

    fn keep_unknown(&mut self, from: &'a [u8], upto: &'a [u8]) {
        self.tree.unknown.extend(from.get(..from.len().saturating_sub(upto.len())));
    }

    /// Puts the fields found in the order of the table. Of a field that can be there once, the last counts, or all
    /// together if it is a message.
    fn settle(&mut self, message: &Message<'a>) {
        self.one = None;
        if std::mem::take(&mut self.replaced) {
            self.found.retain(|entry| entry.position != REPLACED);
        }
        if !self.found.is_sorted_by_key(|entry| entry.position) {
            self.found.sort_by_key(|entry| entry.position);
        }
        let mut found = self.found.drain(..).peekable();
        while let Some(mut entry) = found.next() {
            if found.peek().is_some_and(|next| next.position == entry.position) {
                let field = usize::try_from(entry.position).ok().and_then(|at| message.fields().get(at));
                match (field.map(|field| (field.label, field.kind)), entry.item) {
                    (Some((Label::Repeated | Label::Map, _)), _) => {}
                    (Some((_, Kind::Message(_) | Kind::Indexed(_))), Item::Bytes(piece)) => {
                        entry.item = Item::Begun(piece);
                    }
                    _ => continue,
                }
            }
            self.tree.entries.push(entry);
        }
    }

    /// A length as it is kept: no input of 4 GiB is decoded.
    fn count(&self, n: usize) -> Result<u32, BadField> {
        u32::try_from(n).map_err(|_| BadField(0))
    }

    /// The fault that begins here.
    fn fault(&self, here: &[u8]) -> BadField {
        BadField(here.as_ptr().addr().saturating_sub(self.whole.as_ptr().addr()))
    }
}

fn indices(range: &Range<u32>) -> Range<usize> {
    let index = |n| usize::try_from(n).unwrap_or(usize::MAX);
    index(range.start)..index(range.end)
}

/// A field, its number and its value; a group has none and is passed over as a whole.
fn field(input: &[u8]) -> Option<(&[u8], u32, Option<wire::Value<'_>>)> {
    let (mut rest, number, token) = token(input)?;
    match token {
        Token::Value(value) => return Some((rest, number, Some(value))),
        Token::End => return None,
        Token::Start => {}
    }
    let mut open = 1usize;
    while open > 0 {
        let (after, _, token) = self::token(rest)?;
        rest = after;
        match token {
            Token::Start => open = open.saturating_add(1),
            Token::End => open = open.saturating_sub(1),
            Token::Value(_) => {}
        }
    }
    Some((rest, number, None))
}

/// What a tag begins.
#[derive(Debug, Clone, Copy)]
pub(super) enum Token<'a> {
    /// A field with a value.
    Value(wire::Value<'a>),
    /// A group, wire type 3: fields up to the [`Token::End`] that belongs to it.
    Start,
    /// The end of a group, wire type 4.
    End,
}

/// A tag, with its value if it has one.
pub(super) fn token(input: &[u8]) -> Option<(&[u8], u32, Token<'_>)> {
    let token = match input.first()? & 7 {
        3 => Token::Start,
        4 => Token::End,
        _ => {
            let (rest, (number, value)) = wire::field(input).ok()?;
            return Some((rest, number, Token::Value(value)));
        }
    };
    let (rest, tag) = varint(input).ok()?;
    let number = u32::try_from(tag >> 3).ok().filter(|number| *number != 0 && *number < 1 << 29)?;
    Some((rest, number, token))
}

/// A value, if a field of this type can have it.
fn item<'a>(field: &Field<'_>, value: wire::Value<'a>) -> Option<Item<'a>> {
    Some(match (Form::of(field.kind), value) {
        (Form::Varint, wire::Value::Varint(n)) | (Form::Fixed64, wire::Value::Fixed64(n)) => Item::Number(n),
        (Form::Fixed32, wire::Value::Fixed32(n)) => Item::Number(u64::from(n)),
        (Form::Bytes, wire::Value::Bytes(bytes)) => Item::Bytes(bytes),
        (form, wire::Value::Bytes(bytes)) if field.label == Label::Repeated => {
            let mut rest = bytes;
            while !rest.is_empty() {
                rest = form.packed(rest)?.0;
            }
            Item::Packed(bytes)
        }
        _ => return None,
    })
}

/// How a type is on the wire.
#[derive(Debug, Clone, Copy)]
enum Form {
    Varint,
    Fixed64,
    Bytes,
    Fixed32,
}

impl Form {
    fn of(kind: Kind<'_>) -> Form {
        match kind {
            Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => Form::Fixed64,
            Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => Form::Fixed32,
            Kind::Bytes | Kind::String | Kind::Message(_) | Kind::Indexed(_) => Form::Bytes,
            Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Uint64 | Kind::Sint32 | Kind::Sint64 => {
                Form::Varint
            }
            Kind::Bool | Kind::Enum(_) => Form::Varint,
        }
    }

    /// The first of packed numbers, and the others.
    fn packed(self, bytes: &[u8]) -> Option<(&[u8], u64)> {
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
    fn of(kind: Kind<'_>, raw: u64) -> Value<'n, 'a> {
        let [a, b, c, d, ..] = raw.to_le_bytes();
        let low = u32::from_le_bytes([a, b, c, d]);
        let zigzag = |n: u64| (n >> 1).cast_signed() ^ (n & 1).cast_signed().wrapping_neg();
        match kind {
            Kind::Double => Value::Double(f64::from_bits(raw)),
            Kind::Float => Value::Float(f32::from_bits(low)),
            Kind::Int32 | Kind::Sfixed32 => Value::Signed(i64::from(low.cast_signed())),
            Kind::Int64 | Kind::Sfixed64 => Value::Signed(raw.cast_signed()),
            Kind::Uint32 | Kind::Fixed32 => Value::Unsigned(u64::from(low)),
            Kind::Sint32 => Value::Signed(zigzag(u64::from(low))),
            Kind::Sint64 => Value::Signed(zigzag(raw)),
            Kind::Bool => Value::Bool(raw != 0),
            Kind::Enum(_) => Value::Enum(low.cast_signed()),
            Kind::Uint64
            | Kind::Fixed64
            | Kind::Bytes
            | Kind::String
            | Kind::Message(_)
            | Kind::Indexed(_) => Value::Unsigned(raw),
        }
    }

    /// What a field of that type is that is not there.
    fn zero(kind: Kind<'_>, tree: &'n Decoded<'a>) -> Value<'n, 'a> {
        match kind {
            Kind::Bytes | Kind::String => Value::Bytes(&[]),
            Kind::Message(_) | Kind::Indexed(_) => Value::Message(Node { tree, part: None }),
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
