//! Fields of an object's JSON; what is not there is nothing.

use serde_json::Value;

use crate::kube::decode::Object;

static NOTHING: Value = Value::Null;

/// A field of the object.
pub(super) fn field<'o>(object: &'o Object, name: &str) -> &'o Value {
    object.json.get(name).unwrap_or(&NOTHING)
}

/// A field of a value.
pub(super) fn inside<'v>(value: &'v Value, name: &str) -> &'v Value {
    value.get(name).unwrap_or(&NOTHING)
}

/// The text of a field.
pub(super) fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    inside(value, name).as_str().unwrap_or_default()
}

/// The items of a value.
pub(super) fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The texts among the items of a field.
pub(super) fn strings<'v>(value: &'v Value, name: &str) -> Vec<&'v str> {
    items(inside(value, name)).iter().filter_map(Value::as_str).collect()
}

/// Whether a field is true.
pub(super) fn is_true(value: &Value, name: &str) -> bool {
    inside(value, name) == &Value::Bool(true)
}
