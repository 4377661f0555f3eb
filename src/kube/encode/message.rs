//! JSON to a message, as the code writes it that gogo-protobuf makes of Go's types.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use prost::encoding::{WireType, encode_key};
use serde_json::{Map, Value as Json};

use super::like::Like;
use super::parts::{MAX_DEPTH, Unencodable, Unfit, bytes, unfit, varint};
use super::special;
use crate::codec::proto::message::{Field, FieldKind, Label, Schema};
use crate::kube::decode::UnknownField;
use crate::kube::schema::{GONE, INLINE, OMIT_EMPTY, POINTER, Shape, schema};

/// A step from a message to one in it.
#[derive(Debug, Clone, Copy)]
enum Step<'e> {
    Field(&'e str),
    Index(usize),
    Key(&'e str),
    Entry(&'e str),
}

/// Writes messages.
pub(super) struct Encoder<'e> {
    messages: &'e Schema<'static>,
    like: &'e Like,
    path: Vec<Step<'e>>,
    /// By the path of their message, those that are not written yet.
    unknown: BTreeMap<&'e str, Vec<&'e UnknownField>>,
}

type Done = Result<(), Unencodable>;

impl<'e> Encoder<'e> {
    pub(super) fn new(
        messages: &'e Schema<'static>,
        like: &'e Like,
        unknown: &'e [UnknownField],
    ) -> Encoder<'e> {
        let mut by_path: BTreeMap<&str, Vec<&UnknownField>> = BTreeMap::new();
        for field in unknown {
            by_path.entry(&field.path).or_default().push(field);
        }
        Encoder { messages, like, path: Vec::new(), unknown: by_path }
    }

    /// Writes the object, and all unknown fields.
    pub(super) fn object(&mut self, at: u32, json: &'e Map<String, Json>, out: &mut Vec<u8>) -> Done {
        self.message(at, json, out)?;
        let lost = self.unknown.iter().find_map(|(path, fields)| {
            let field = fields.iter().find(|field| !field.is_empty())?;
            Some(Unencodable { path: (*path).to_owned(), why: Unfit::Lost(field.number) })
        });
        lost.map_or(Ok(()), Err)
    }

    fn refused(&self, why: Unfit) -> Unencodable {
        Unencodable { path: self.path(), why }
    }

    /// As a decoded object says where an unknown field is.
    fn path(&self) -> String {
        let mut path = String::new();
        for step in &self.path {
            match step {
                Step::Field(name) if path.is_empty() => path.push_str(name),
                Step::Field(name) => path.extend([".", name]),
                Step::Index(at) => path.push_str(&format!("[{at}]")),
                Step::Key(key) => path.push_str(&format!("[{key:?}]")),
                Step::Entry(key) => path.push_str(&format!("{{{key:?}}}")),
            }
        }
        path
    }

    fn inside<R>(&mut self, step: Step<'e>, with: impl FnOnce(&mut Self) -> R) -> R {
        self.path.push(step);
        let result = with(self);
        self.path.pop();
        result
    }

    /// Whether a message, or one that is inlined into it, has a field of that name in JSON.
    fn has_name(&self, at: u32, name: &str) -> bool {
        let fields = self.messages.message(at).map_or(&[][..], |message| message.fields());
        fields.iter().any(|field| match field.kind {
            FieldKind::Indexed(at) if field.is(INLINE) => self.has_name(at, name),
            _ => !field.is(INLINE) && field.name == name,
        })
    }

    fn message(&mut self, at: u32, json: &'e Map<String, Json>, out: &mut Vec<u8>) -> Done {
        for name in json.keys() {
            let of_kind = || matches!(name.as_str(), "apiVersion" | "kind") && is_kind(at);
            if !self.has_name(at, name) && !of_kind() {
                return self.inside(Step::Field(name), |encoder| Err(encoder.refused(Unfit::Name)));
            }
        }
        self.fields(at, json, out)
    }

    /// The unknown fields of what is written now, in the order of their numbers; they are not to be written again.
    fn unknown_here(&mut self) -> Vec<&'e UnknownField> {
        if self.unknown.is_empty() {
            return Vec::new();
        }
        let mut unknown = self.unknown.remove(self.path().as_str()).unwrap_or_default();
        unknown.sort_by_key(|field| field.number);
        unknown
    }

    /// The fields in the order of their numbers, unknown ones among them.
    fn fields(&mut self, at: u32, json: &'e Map<String, Json>, out: &mut Vec<u8>) -> Done {
        if self.path.len() > MAX_DEPTH {
            return Err(self.refused(Unfit::Deep));
        }
        let mut unknown = self.unknown_here().into_iter().peekable();
        let Some(message) = self.messages.message(at) else { return Err(self.refused(Unfit::Kind)) };
        let mut fields: Vec<&Field<'static>> = message.fields().iter().collect();
        fields.sort_by_key(|field| field.number);
        for field in &fields {
            while let Some(unknown) = unknown.next_if(|unknown| unknown.number < field.number) {
                raw_field(unknown, out);
            }
            let has = self.like.has(at, field.number).unwrap_or(!field.is(GONE));
            // A name that a newer field of the message has too is the newer one's.
            let other = |other: &&Field<'_>| other.name == field.name && other.number != field.number;
            if !has && field.is(GONE) && !field.is(INLINE) && fields.iter().any(other) {
                continue;
            }
            self.field(field, has, json, out)?;
        }
        unknown.for_each(|unknown| raw_field(unknown, out));
        Ok(())
    }

    /// A field; `always` if it is written even if it is zero, unless it is a pointer.
    fn field(
        &mut self,
        field: &Field<'static>,
        always: bool,
        json: &'e Map<String, Json>,
        out: &mut Vec<u8>,
    ) -> Done {
        if let (FieldKind::Indexed(at), true) = (field.kind, field.is(INLINE)) {
            let mut inner = Vec::new();
            self.fields(at, json, &mut inner)?;
            let set = json.keys().any(|name| self.has_name(at, name));
            if set || always && !field.is(POINTER) {
                bytes(field.number, &inner, out);
            }
            return Ok(());
        }
        // Go leaves out a pointer that is nil: where null is printed, it is to a time that is zero.
        let is_set = field.is(POINTER) && field.is(OMIT_EMPTY) && !self.like.null_is_nothing();
        let given = json.get(field.name).filter(|json| !json.is_null() || is_set);
        self.inside(Step::Field(field.name), |encoder| match (field.label, given) {
            (Label::Repeated | Label::Map, None) => Ok(()),
            (Label::Repeated, Some(json)) => encoder.list(field, json, out),
            (Label::Map, Some(json)) => encoder.map(field, json, out),
            (_, Some(json)) if field.is(POINTER) => encoder.value(field.number, field.kind, json, out),
            (_, Some(json)) if always || !is_zero(json) => encoder.value(field.number, field.kind, json, out),
            // What is not written is of its type all the same.
            (_, Some(json)) => encoder.value(field.number, field.kind, json, &mut Vec::new()),
            (_, None) if always && !field.is(POINTER) => encoder.zero(field.number, field.kind, out),
            (_, None) => Ok(()),
        })
    }

    fn list(&mut self, field: &Field<'static>, json: &'e Json, out: &mut Vec<u8>) -> Done {
        let Json::Array(items) = json else { return Err(self.refused(unfit("a list", json))) };
        for (at, item) in items.iter().enumerate() {
            self.inside(Step::Index(at), |encoder| encoder.value(field.number, field.kind, item, out))?;
        }
        Ok(())
    }

    fn map(&mut self, field: &Field<'static>, json: &'e Json, out: &mut Vec<u8>) -> Done {
        let Json::Object(map) = json else { return Err(self.refused(unfit("an object", json))) };
        let inner = match field.kind {
            FieldKind::Indexed(at) => {
                self.messages.message(at).and_then(|entry| Some(entry.field(2)?.1.kind))
            }
            _ => None,
        };
        let Some(kind) = inner else { return Err(self.refused(Unfit::Kind)) };
        let sorted: BTreeMap<&String, &Json> = map.iter().collect();
        for (key, value) in sorted {
            let mut entry = Vec::new();
            bytes(1, key.as_bytes(), &mut entry);
            // Nil bytes are not written.
            if !(value.is_null() && matches!(kind, FieldKind::Bytes)) {
                self.inside(Step::Key(key), |encoder| encoder.value(2, kind, value, &mut entry))?;
            }
            let unknown = self.inside(Step::Entry(key), Encoder::unknown_here);
            unknown.into_iter().for_each(|unknown| raw_field(unknown, &mut entry));
            bytes(field.number, &entry, out);
        }
        Ok(())
    }

    /// What is written of a value that is not given.
    fn zero(&mut self, number: u32, kind: FieldKind<'static>, out: &mut Vec<u8>) -> Done {
        match kind {
            FieldKind::Indexed(at) => {
                let mut inner = Vec::new();
                match schema().shape(at) {
                    Shape::Object => self.fields(at, empty(), &mut inner)?,
                    shape => special::zero(shape, &mut inner),
                }
                bytes(number, &inner, out);
            }
            FieldKind::String => bytes(number, b"", out),
            FieldKind::Double => fixed64(number, 0.0, out),
            FieldKind::Float => fixed32(number, 0.0, out),
            // Nil.
            FieldKind::Bytes => {}
            _ => varint(number, 0, out),
        }
        Ok(())
    }

    /// A value with its number before it.
    fn value(&mut self, number: u32, kind: FieldKind<'static>, json: &'e Json, out: &mut Vec<u8>) -> Done {
        match kind {
            FieldKind::Indexed(at) => {
                let mut inner = Vec::new();
                self.inner(at, json, &mut inner)?;
                bytes(number, &inner, out);
                Ok(())
            }
            _ => scalar(number, kind, json, out).map_err(|why| self.refused(why)),
        }
    }

    /// What is in a message.
    fn inner(&mut self, at: u32, json: &'e Json, out: &mut Vec<u8>) -> Done {
        match (schema().shape(at), json) {
            (Shape::Object, Json::Object(map)) => self.message(at, map, out),
            // An item that is nothing: kubectl and Go read it so.
            (Shape::Object, Json::Null) => self.fields(at, empty(), out),
            (Shape::Object, other) => Err(self.refused(unfit("an object", other))),
            (Shape::List, Json::Array(_) | Json::Null) => self.named(at, "items", json, out),
            (Shape::List, other) => Err(self.refused(unfit("a list", other))),
            (Shape::Either, Json::Array(_)) => self.named(at, "list", json, out),
            (Shape::Either, Json::Bool(_)) => self.named(at, "bool", json, out),
            (Shape::Either, Json::Object(_)) => self.named(at, "one", json, out),
            (Shape::Either, other) => Err(self.refused(unfit("an object, a list or a boolean", other))),
            (Shape::Raw, Json::Null) => Ok(()),
            (Shape::Raw, json) => {
                special::raw(self.like.raw_of(json), json, out);
                Ok(())
            }
            (shape, json) => special::encode(shape, json, out).map_err(|why| self.refused(why)),
        }
    }

    /// A message in which the field of that name is the JSON itself. Beside a schema a boolean is true: it is allowed.
    fn named(&mut self, at: u32, name: &str, json: &'e Json, out: &mut Vec<u8>) -> Done {
        let message = self.messages.message(at);
        let mut fields: Vec<&Field<'static>> = message.map_or(&[][..], |m| m.fields()).iter().collect();
        fields.sort_by_key(|field| field.number);
        if !fields.iter().any(|field| field.name == name) {
            return Err(self.refused(unfit("something else", json)));
        }
        for field in fields {
            match field.label {
                _ if field.name != name => {
                    if matches!(field.kind, FieldKind::Bool) {
                        varint(field.number, 1, out);
                    }
                }
                _ if json.is_null() => {}
                Label::Repeated => self.list(field, json, out)?,
                _ => self.value(field.number, field.kind, json, out)?,
            }
        }
        Ok(())
    }
}

/// Whether a message is a kind's: its JSON may say so.
fn is_kind(at: u32) -> bool {
    schema().kinds().any(|(_, _, info)| info.message == at)
}

fn empty<'e>() -> &'e Map<String, Json> {
    static NOTHING: std::sync::OnceLock<Map<String, Json>> = std::sync::OnceLock::new();
    NOTHING.get_or_init(Map::new)
}

/// Whether it is what a field has that is not set.
fn is_zero(json: &Json) -> bool {
    match json {
        Json::Null => true,
        Json::Bool(b) => !b,
        Json::Number(n) => n.as_f64() == Some(0.0),
        Json::String(text) => text.is_empty(),
        Json::Array(items) => items.is_empty(),
        Json::Object(map) => map.is_empty(),
    }
}

fn fixed64(number: u32, value: f64, out: &mut Vec<u8>) {
    encode_key(number, WireType::SixtyFourBit, out);
    out.extend_from_slice(&value.to_le_bytes());
}

fn fixed32(number: u32, value: f32, out: &mut Vec<u8>) {
    encode_key(number, WireType::ThirtyTwoBit, out);
    out.extend_from_slice(&value.to_le_bytes());
}

fn scalar(number: u32, kind: FieldKind<'_>, json: &Json, out: &mut Vec<u8>) -> Result<(), Unfit> {
    let int = |due, least: i64, most: i64| {
        let n = json.as_i64().filter(|n| (least..=most).contains(n));
        n.map(i64::cast_unsigned).ok_or(unfit(due, json))
    };
    match (kind, json) {
        (FieldKind::String, Json::String(text)) => bytes(number, text.as_bytes(), out),
        (FieldKind::String, _) => return Err(unfit("a string", json)),
        (FieldKind::Bytes, Json::String(text)) => {
            let text: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
            let decoded = BASE64_STANDARD.decode(text);
            bytes(number, &decoded.map_err(|_| unfit("base64", json))?, out);
        }
        (FieldKind::Bytes, _) => return Err(unfit("base64", json)),
        (FieldKind::Bool, Json::Bool(b)) => varint(number, u64::from(*b), out),
        (FieldKind::Bool, _) => return Err(unfit("a boolean", json)),
        (FieldKind::Double | FieldKind::Float, _) => {
            let value = json.as_f64().ok_or(unfit("a number", json))?;
            if matches!(kind, FieldKind::Double) {
                fixed64(number, value, out);
            } else {
                let value = value.to_string().parse().map_err(|_| unfit("a number", json))?;
                fixed32(number, value, out);
            }
        }
        (FieldKind::Int32, _) => {
            let due = "a whole number of 32 bits";
            varint(number, int(due, i32::MIN.into(), i32::MAX.into())?, out);
        }
        (FieldKind::Uint32, _) => {
            varint(number, int("a whole number from 0 of 32 bits", 0, u32::MAX.into())?, out);
        }
        (FieldKind::Uint64, _) => {
            varint(number, json.as_u64().ok_or(unfit("a whole number from 0 of 64 bits", json))?, out);
        }
        _ => varint(number, int("a whole number of 64 bits", i64::MIN, i64::MAX)?, out),
    }
    Ok(())
}

/// A field of which only number and bytes are known.
fn raw_field(field: &UnknownField, out: &mut Vec<u8>) {
    let low = || field.bytes.iter().rev().fold(0, |n: u64, byte| n << 8 | u64::from(*byte));
    match field.wire {
        0 => varint(field.number, low(), out),
        1 => {
            encode_key(field.number, WireType::SixtyFourBit, out);
            out.extend_from_slice(&field.bytes);
        }
        2 => bytes(field.number, &field.bytes, out),
        5 => {
            encode_key(field.number, WireType::ThirtyTwoBit, out);
            out.extend_from_slice(&field.bytes);
        }
        // A group, with its tag.
        _ => out.extend_from_slice(&field.bytes),
    }
}
