//! JSON as protobuf's JSON mapping has it, but that names are those of the fields in small letters: `range_end`, `ID`
//! is `id`. Bytes are base64, an enum is its name, a map is an object in the order of its keys, a float that is no
//! number is `"NaN"` or `"Infinity"`.
//!
//! Where protojson writes a 64-bit integer as a string, this writes a number, as Go's encoding/json does; one with
//! [`Field::HEX`] is a string of 16 hex digits. Unknown fields are kept, in base64, as `unknown_fields`.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value as Json};

use super::message::{Field, FieldKind, Label, REDACTED};
use super::tree::{Decoded, Key, Node, Value, map};

impl Decoded<'_> {
    /// The message as a JSON object. Without `secrets` they are [`REDACTED`].
    #[must_use]
    pub fn json(&self, secrets: bool) -> Json {
        self.root().json(secrets)
    }
}

impl Node<'_, '_> {
    /// The message as a JSON object. Without `secrets` they are [`REDACTED`].
    #[must_use]
    pub fn json(self, secrets: bool) -> Json {
        let mut object = Map::new();
        let mut set = self.set().peekable();
        while let Some((field, first)) = set.next() {
            let json = if matches!(field.label, Label::Repeated | Label::Map) {
                let mut all = vec![first];
                while let Some((_, next)) = set.next_if(|(next, _)| next.number == field.number) {
                    all.push(next);
                }
                match field.label {
                    Label::Map => entries(all, secrets),
                    _ => all.into_iter().map(|next| value(field, next, secrets)).collect(),
                }
            } else {
                value(field, first, secrets)
            };
            object.insert(name(field.name), json);
        }
        if !self.unknown().is_empty() {
            object
                .insert("unknown_fields".to_owned(), BASE64_STANDARD.encode(self.unknown().concat()).into());
        }
        Json::Object(object)
    }
}

fn value(field: &Field<'_>, value: Value<'_, '_>, secrets: bool) -> Json {
    match value {
        Value::Message(node) => node.json(secrets),
        Value::Bytes(bytes) if !secrets && field.is(Field::SECRET) && !bytes.is_empty() => REDACTED.into(),
        Value::Bytes(bytes) => match field.kind {
            FieldKind::String => String::from_utf8_lossy(bytes).into(),
            _ => BASE64_STANDARD.encode(bytes).into(),
        },
        Value::Unsigned(n) if field.is(Field::HEX) => format!("{n:016x}").into(),
        Value::Signed(n) if field.is(Field::HEX) => format!("{n:016x}").into(),
        Value::Unsigned(n) => n.into(),
        Value::Signed(n) => n.into(),
        Value::Bool(b) => b.into(),
        // The digits of a float32 are those of its own shortest text, not of the double it becomes.
        Value::Float(f) => float(f.to_string().parse().unwrap_or(f64::from(f))),
        Value::Double(f) => float(f),
        Value::Enum(n) => field.kind.value_name(n).map_or_else(|| n.into(), Into::into),
    }
}

fn float(f: f64) -> Json {
    if f.is_nan() {
        return "NaN".into();
    }
    if f.is_infinite() {
        return if f > 0.0 { "Infinity" } else { "-Infinity" }.into();
    }
    // Go writes a whole number without a fraction.
    let whole = Some(f.to_string()).filter(|_| f.abs() < 1e15).and_then(|text| text.parse::<i64>().ok());
    whole.filter(|n| *n != 0 || f.is_sign_positive()).map_or_else(|| f.into(), Into::into)
}

fn entries(all: Vec<Value<'_, '_>>, secrets: bool) -> Json {
    let entry = |(key, (field, held)): (Key<'_>, (&Field<'_>, Value<'_, '_>))| {
        let key = match key {
            Key::Bool(b) => b.to_string(),
            Key::Signed(n) => n.to_string(),
            Key::Unsigned(n) => n.to_string(),
            Key::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        };
        (key, value(field, held, secrets))
    };
    Json::Object(map(all.into_iter()).into_iter().map(entry).collect())
}

/// `ID` as `id`, `PrevValue` as `prev_value`, `nodeID` as `node_id`.
fn name(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut lower = false;
    for c in name.chars() {
        if lower && c.is_ascii_uppercase() {
            out.push('_');
        }
        lower = c.is_ascii_lowercase();
        out.push(c.to_ascii_lowercase());
    }
    out
}
