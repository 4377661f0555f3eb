//! What a template finds, and what is wrong with one.

use serde_json::{Map, Value};

/// Something that a template found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Found<'j> {
    /// A value of the object.
    Json(&'j Value),
    /// A byte of a text in it.
    Byte(u8),
    /// A text of the template, which may be any bytes.
    Text(&'j [u8]),
    /// A number of the template.
    Int(i64),
    /// A number of the template.
    Float(f64),
    /// A truth value of the template.
    Bool(bool),
    /// An element of a range that is null.
    Nothing,
}

impl<'j> Found<'j> {
    /// The name that Go has for its type.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Found::Json(Value::Object(_)) => "map[string]interface {}",
            Found::Json(Value::Array(_)) => "[]interface {}",
            Found::Json(Value::String(_)) | Found::Text(_) => "string",
            Found::Json(Value::Number(n)) if n.as_i64().is_some() => "int64",
            Found::Json(Value::Number(_)) | Found::Float(_) => "float64",
            Found::Json(Value::Bool(_)) | Found::Bool(_) => "bool",
            Found::Int(_) => "int",
            Found::Byte(_) => "uint8",
            Found::Json(Value::Null) | Found::Nothing => "nothing",
        }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self, Found::Json(Value::Null))
    }

    /// What is inside: fields, items, bytes of a text.
    pub(super) fn inside(&self) -> Vec<Found<'j>> {
        match self {
            Found::Json(Value::Object(map)) => {
                sorted(map).into_iter().map(|(_, value)| Found::Json(value)).collect()
            }
            Found::Json(Value::Array(items)) => items.iter().map(Found::Json).collect(),
            Found::Json(Value::String(text)) => text.bytes().map(Found::Byte).collect(),
            Found::Text(text) => text.iter().copied().map(Found::Byte).collect(),
            _ => Vec::new(),
        }
    }
}

/// What is wrong with a template, or with an object for it, in Go's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JsonPathError(String);

impl JsonPathError {
    pub(super) fn new(what: impl Into<String>) -> JsonPathError {
        JsonPathError(what.into())
    }
}

/// The fields in the order of their names.
pub(super) fn sorted(map: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut fields: Vec<_> = map.iter().collect();
    fields.sort_by_key(|(name, _)| *name);
    fields
}
