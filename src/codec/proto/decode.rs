//! Bytes to a tree by a table, as gogo's generated code reads them: unknown fields are kept, a known field with another
//! wire type is an error, strings need not be UTF-8, a message that comes twice is merged.
//!
//! Messages are read level by level, not one inside the other: their depth costs no stack, and no order of their fields
//! more time than sorting them. Each byte is read once, and a byte of input becomes at most some thirty of tree (an
//! empty message takes two bytes).

use super::message::{Field, FieldKind, Label, Message, Schema};
use super::tree::{Decoded, Entry, Form, Item, Part, indices};
use crate::codec::wire::{self, BadField, varint};

/// How deep messages may nest where nothing else is said; prost's limit too. Who prints a tree goes down as deep.
const MAX_DEPTH: usize = 100;

/// Stands for the position of what another field of a oneof has replaced.
const REPLACED: u32 = u32::MAX;

impl Message<'_> {
    /// Decodes `bytes` as this message.
    ///
    /// # Errors
    /// The offset of the first field that cannot be.
    pub fn decode<'a>(&'a self, bytes: &'a [u8]) -> Result<Decoded<'a>, BadField> {
        self.decode_nested(bytes, MAX_DEPTH)
    }

    /// As [`Message::decode`], of messages that nest as deep as `most`.
    pub(crate) fn decode_nested<'a>(&'a self, bytes: &'a [u8], most: usize) -> Result<Decoded<'a>, BadField> {
        decode(&[], self, bytes, most)
    }
}

impl Schema<'_> {
    /// Decodes `bytes` as the message at a position; `None` if there is no such message.
    ///
    /// # Errors
    /// The offset of the first field that cannot be.
    pub fn decode<'a>(&'a self, at: u32, bytes: &'a [u8]) -> Option<Result<Decoded<'a>, BadField>> {
        Some(decode(self.messages(), self.message(at)?, bytes, MAX_DEPTH))
    }
}

fn decode<'a>(
    schema: &'a [Message<'a>],
    message: &'a Message<'a>,
    bytes: &'a [u8],
    most: usize,
) -> Result<Decoded<'a>, BadField> {
    let tree = Decoded { schema, parts: Vec::new(), entries: Vec::new(), unknown: Vec::new() };
    let mut reader = Reader { tree, whole: bytes, found: Vec::new(), one: None, replaced: false };
    reader.part(message, &[bytes])?;
    let mut level = 0..1;
    let mut depth = 0usize;
    while !level.is_empty() {
        let next = level.end;
        for part in level {
            reader.inside(part, depth < most)?;
        }
        level = next..reader.tree.parts.len();
        depth = depth.saturating_add(1);
    }
    Ok(reader.tree)
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
                    let part = count(self.tree.parts.len())?;
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
            FieldKind::Message(inner) => Some(inner),
            FieldKind::Indexed(at) => self.tree.schema.get(usize::try_from(at).ok()?),
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
        let entries = count(entries)?..count(self.tree.entries.len())?;
        let unknown = count(unknown)?..count(self.tree.unknown.len())?;
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
            let position = count(position)?;
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
                    (Some((_, FieldKind::Message(_) | FieldKind::Indexed(_))), Item::Bytes(piece)) => {
                        entry.item = Item::Begun(piece);
                    }
                    _ => continue,
                }
            }
            self.tree.entries.push(entry);
        }
    }

    /// The fault that begins here.
    fn fault(&self, here: &[u8]) -> BadField {
        BadField(here.as_ptr().addr().saturating_sub(self.whole.as_ptr().addr()))
    }
}

/// A length as it is kept: no input of 4 GiB is decoded.
fn count(n: usize) -> Result<u32, BadField> {
    u32::try_from(n).map_err(|_| BadField(0))
}

/// A field, its number and its value; a group has none and is passed over as a whole.
fn field(input: &[u8]) -> Option<(&[u8], u32, Option<wire::WireValue<'_>>)> {
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
    Value(wire::WireValue<'a>),
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
fn item<'a>(field: &Field<'_>, value: wire::WireValue<'a>) -> Option<Item<'a>> {
    Some(match (Form::of(field.kind), value) {
        (Form::Varint, wire::WireValue::Varint(n)) | (Form::Fixed64, wire::WireValue::Fixed64(n)) => {
            Item::Number(n)
        }
        (Form::Fixed32, wire::WireValue::Fixed32(n)) => Item::Number(u64::from(n)),
        (Form::Bytes, wire::WireValue::Bytes(bytes)) => Item::Bytes(bytes),
        (form, wire::WireValue::Bytes(bytes)) if field.label == Label::Repeated => {
            let mut rest = bytes;
            while !rest.is_empty() {
                rest = form.packed(rest)?.0;
            }
            Item::Packed(bytes)
        }
        _ => return None,
    })
}
