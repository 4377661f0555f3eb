//! A message to JSON, as Go's types print it.

use std::collections::BTreeMap;
use std::iter::Peekable;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Number, Value as Json};

use super::found::{DecodeOptions, Remark, UnknownField};
use super::special;
use crate::codec::proto::message::{Field, FieldKind, Label};
use crate::codec::proto::tree::{Node, Value, Values};
use crate::codec::wire::{self, BadField};
use crate::kube::schema::{GONE, INLINE, KubeSchema, OMIT_EMPTY, OMIT_ZERO, POINTER, Shape};

/// Remarks and unknown fields that are kept of one object.
const KEPT: usize = 1000;

/// Renders messages, and gathers what it cannot.
pub(super) struct Renderer<'s> {
    schema: &'s KubeSchema,
    options: DecodeOptions,
    path: Vec<Step<'s>>,
    pub(super) unknown: Vec<UnknownField>,
    pub(super) remarks: Vec<Remark>,
}

/// A step from a message to one in it.
#[derive(Debug, Clone)]
enum Step<'s> {
    Field(&'s str),
    Index(usize),
    Key(String),
    /// The entry of a map, that has the key and the value.
    Entry(String),
}

impl<'s> Renderer<'s> {
    pub(super) fn new(schema: &'s KubeSchema, options: DecodeOptions) -> Renderer<'s> {
        Renderer { schema, options, path: Vec::new(), unknown: Vec::new(), remarks: Vec::new() }
    }

    /// Renders the message at a position of the table, beside what is in `into` already.
    pub(super) fn object(
        &mut self,
        at: u32,
        bytes: &[u8],
        into: &mut Map<String, Json>,
    ) -> Result<(), BadField> {
        let Some(decoded) = self.schema.messages().and_then(|messages| messages.decode(at, bytes)) else {
            return Err(BadField(0));
        };
        let decoded = decoded?;
        self.fields(at, decoded.root(), into);
        Ok(())
    }

    /// Renders the metadata of an object, field 1 of every one.
    pub(super) fn metadata(&mut self, bytes: &[u8]) -> Result<Json, BadField> {
        let mut metadata = Map::new();
        self.path.push(Step::Field("metadata"));
        let done = self.object(self.schema.metadata(), bytes, &mut metadata);
        self.path.pop();
        done.map(|()| metadata.into())
    }

    pub(super) fn remark(&mut self, what: &'static str) {
        if self.remarks.len() < KEPT {
            let remark = Remark { path: self.path(), what };
            self.remarks.push(remark);
        }
    }

    fn path(&self) -> String {
        let mut path = String::new();
        for step in &self.path {
            match step {
                Step::Field("=") => {}
                Step::Field(name) if path.is_empty() => path.push_str(name),
                Step::Field(name) => path.extend([".", name]),
                Step::Index(at) => path.push_str(&format!("[{at}]")),
                Step::Key(key) => path.push_str(&format!("[{key:?}]")),
                Step::Entry(key) => path.push_str(&format!("{{{key:?}}}")),
            }
        }
        path
    }

    fn inside<R>(&mut self, step: Step<'s>, with: impl FnOnce(&mut Self) -> R) -> R {
        self.path.push(step);
        let result = with(self);
        self.path.pop();
        result
    }

    fn fields(&mut self, at: u32, node: Node<'_, '_>, into: &mut Map<String, Json>) {
        node.unknown().iter().for_each(|piece| self.keep(piece));
        let Some(message) = self.schema.messages().and_then(|messages| messages.message(at)) else { return };
        let mut values = node.fields().peekable();
        for field in message.fields() {
            if field.is(INLINE) {
                while let Some(value) = next(&mut values, field) {
                    if let (FieldKind::Indexed(at), Value::Message(node)) = (field.kind, value) {
                        self.fields(at, node, into);
                    }
                }
                continue;
            }
            if self.options.without_managed_fields
                && field.name == "managedFields"
                && matches!(self.path.as_slice(), [Step::Field("metadata")])
            {
                while next(&mut values, field).is_some() {}
                continue;
            }
            let rendered =
                self.inside(Step::Field(field.name), |renderer| renderer.field(field, &mut values));
            if let Some(json) = rendered {
                into.insert(field.name.to_owned(), json);
            }
        }
    }

    /// A field of which the values are next, if any are there; `None` if it is not printed.
    fn field(&mut self, field: &Field<'s>, values: &mut Peekable<Values<'_, '_>>) -> Option<Json> {
        match field.label {
            Label::Repeated => {
                let mut items = Vec::new();
                while let Some(value) = next(values, field) {
                    let at = Step::Index(items.len());
                    items.push(self.inside(at, |renderer| renderer.value(field.kind, value)));
                }
                filled(field, items.is_empty(), items)
            }
            Label::Map => {
                let map = self.map(field, values);
                filled(field, map.is_empty(), map)
            }
            Label::Plain | Label::Optional | Label::OneOf => match next(values, field) {
                Some(value) if field.is(POINTER) || !self.is_left_out(field, &value) => {
                    Some(self.value(field.kind, value))
                }
                Some(_) => None,
                // A nil pointer, and nil bytes.
                None => {
                    let nil = field.is(POINTER) || matches!(field.kind, FieldKind::Bytes);
                    (nil && !field.is(OMIT_EMPTY) && !field.is(GONE)).then_some(Json::Null)
                }
            },
        }
    }

    fn is_left_out(&self, field: &Field<'_>, value: &Value<'_, '_>) -> bool {
        let zero_time = |node: Node<'_, '_>| special::is_zero_time(node) && !self.options.null_times;
        match value {
            Value::Message(node) => field.is(OMIT_ZERO) && zero_time(*node),
            value => field.is(OMIT_EMPTY) && value.is_zero(),
        }
    }

    /// A map in the order of its keys; of equal ones the last counts.
    fn map(&mut self, field: &Field<'s>, values: &mut Peekable<Values<'_, '_>>) -> Map<String, Json> {
        let mut map = BTreeMap::new();
        let inner = self.schema.messages().and_then(|messages| match field.kind {
            FieldKind::Indexed(at) => messages.message(at)?.field(2).map(|(_, field)| field.kind),
            _ => None,
        });
        let Some(inner) = inner else { return Map::new() };
        while let Some(value) = next(values, field) {
            let Value::Message(entry) = value else { continue };
            let (mut key, mut value) = (String::new(), None);
            for (part, found) in entry.fields() {
                match (part.number, found) {
                    (1, Value::Bytes(bytes)) => key = self.text(bytes),
                    (2, found) => value = Some(found),
                    _ => {}
                }
            }
            if !entry.unknown().is_empty() {
                self.inside(Step::Entry(key.clone()), |renderer| {
                    entry.unknown().iter().for_each(|piece| renderer.keep(piece));
                });
            }
            let json = self.inside(Step::Key(key.clone()), |renderer| match value {
                Some(value) => renderer.value(inner, value),
                None => renderer.zero(inner),
            });
            map.insert(key, json);
        }
        map.into_iter().collect()
    }

    /// What an entry of a map without a value has: Go writes none such.
    fn zero(&mut self, kind: FieldKind<'s>) -> Json {
        match kind {
            FieldKind::String | FieldKind::Bytes => "".into(),
            FieldKind::Bool => false.into(),
            FieldKind::Message(_) | FieldKind::Indexed(_) => Map::new().into(),
            _ => 0.into(),
        }
    }

    fn value(&mut self, kind: FieldKind<'s>, value: Value<'_, '_>) -> Json {
        match value {
            Value::Unsigned(n) => n.into(),
            Value::Signed(n) => n.into(),
            Value::Enum(n) => n.into(),
            Value::Bool(b) => b.into(),
            Value::Double(float) => self.float(float),
            // The digits of a float32, which has fewer.
            Value::Float(float) => self.float(float.to_string().parse().unwrap_or(f64::NAN)),
            Value::Bytes(bytes) if matches!(kind, FieldKind::Bytes) => BASE64_STANDARD.encode(bytes).into(),
            Value::Bytes(bytes) => self.text(bytes).into(),
            Value::Message(node) => match kind {
                FieldKind::Indexed(at) => self.message(at, node),
                _ => Json::Null,
            },
        }
    }

    fn float(&mut self, float: f64) -> Json {
        let number = Number::from_f64(float).map(Json::Number);
        number.unwrap_or_else(|| {
            self.remark("a float that is no number is shown as a string");
            float.to_string().into()
        })
    }

    fn message(&mut self, at: u32, node: Node<'_, '_>) -> Json {
        let shape = self.schema.shape(at);
        match shape {
            Shape::Object => {
                let mut map = Map::with_capacity(node.at_most());
                self.fields(at, node, &mut map);
                return map.into();
            }
            Shape::List => return self.named_list(at, node),
            Shape::Either => {
                let mut map = Map::new();
                self.fields(at, node, &mut map);
                // The first that is set: nil and empty lists are not.
                let set =
                    |json: &Json| !json.is_null() && json.as_array().is_none_or(|items| !items.is_empty());
                return map.into_iter().map(|(_, json)| json).find(set).unwrap_or_default();
            }
            _ => node.unknown().iter().for_each(|piece| self.keep(piece)),
        }
        match special::json(shape, node) {
            Ok(json) => json,
            Err((json, what)) => {
                self.remark(what);
                json
            }
        }
    }

    /// A list or map with a name: one that is there is not nil, be it empty.
    fn named_list(&mut self, at: u32, node: Node<'_, '_>) -> Json {
        let mut map = Map::new();
        self.fields(at, node, &mut map);
        let items = self.schema.messages().and_then(|messages| messages.message(at)?.field(1));
        match map.into_iter().map(|(_, json)| json).find(|json| !json.is_null()) {
            Some(json) => json,
            None if items.is_some_and(|(_, field)| field.label == Label::Map) => Map::new().into(),
            None => Json::Array(Vec::new()),
        }
    }

    /// A string as Go's JSON has it: a byte that is not UTF-8 is U+FFFD.
    fn text(&mut self, bytes: &[u8]) -> String {
        if let Ok(text) = std::str::from_utf8(bytes) {
            return text.to_owned();
        }
        self.remark("bytes in a string that are not UTF-8 are shown as U+FFFD");
        let mut text = String::new();
        for chunk in bytes.utf8_chunks() {
            text.push_str(chunk.valid());
            text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
        }
        text
    }

    /// Keeps fields that the table does not know.
    fn keep(&mut self, mut piece: &[u8]) {
        while !piece.is_empty() && self.unknown.len() < KEPT {
            let (number, wire, bytes) = match wire::field(piece) {
                Ok((rest, (number, value))) => {
                    piece = rest;
                    let (wire, bytes) = match value {
                        wire::WireValue::Varint(n) => (0, n.to_le_bytes().to_vec()),
                        wire::WireValue::Fixed64(n) => (1, n.to_le_bytes().to_vec()),
                        wire::WireValue::Bytes(bytes) => (2, bytes.to_vec()),
                        wire::WireValue::Fixed32(n) => (5, n.to_le_bytes().to_vec()),
                    };
                    (number, wire, bytes)
                }
                // A group: what is left of the piece goes with it.
                Err(_) => {
                    let tag = wire::varint(piece).map_or(0, |(_, tag)| tag);
                    (u32::try_from(tag >> 3).unwrap_or(0), 3, std::mem::take(&mut piece).to_vec())
                }
            };
            let path = self.path();
            self.unknown.push(UnknownField { path, number, wire, bytes });
        }
    }
}

/// The next value, if it is one of the field's.
fn next<'n, 'a>(values: &mut Peekable<Values<'n, 'a>>, field: &Field<'_>) -> Option<Value<'n, 'a>> {
    values.next_if(|(found, _)| found.number == field.number).map(|(_, value)| value)
}

/// A list or map; an empty one is nil in Go.
fn filled(field: &Field<'_>, empty: bool, json: impl Into<Json>) -> Option<Json> {
    match empty {
        false => Some(json.into()),
        true => (!field.is(OMIT_EMPTY) && !field.is(GONE)).then_some(Json::Null),
    }
}
