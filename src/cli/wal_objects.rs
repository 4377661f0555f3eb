//! Kubernetes objects in the requests of a log.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use coldbolt::codec::proto::tree::{Node, Value as Field};
use coldbolt::kube::decode::Object;
use serde_json::{Map, Value};

use super::keyspace::show_key;
use super::objects::{Objects, name, named};
use super::out::size;

/// What a request puts and deletes, in order, also inside transactions.
fn changes<'a>(node: Node<'_, 'a>, found: &mut Vec<(bool, &'a [u8], &'a [u8])>) {
    for (field, value) in node.set() {
        let Field::Message(inner) = value else { continue };
        match field.name {
            "put" | "request_put" => found.push((true, inner.bytes("key"), inner.bytes("value"))),
            "delete_range" | "request_delete_range" => found.push((false, inner.bytes("key"), b"")),
            "txn" | "request_txn" | "success" | "failure" => changes(inner, found),
            _ => {}
        }
    }
}

/// The objects that a request puts, by their names.
pub fn names(node: Node<'_, '_>) -> Vec<Value> {
    let mut found = Vec::new();
    changes(node, &mut found);
    let objects = found.into_iter().filter_map(|(_, _, value)| Object::decode(value).ok());
    objects.map(|object| named(&object)).collect()
}

/// What a request that puts objects does, on one line, and the objects; `None` if it puts none.
pub fn text(node: Node<'_, '_>, objects: &Objects) -> Option<(String, Vec<Object>)> {
    let (mut found, mut decoded) = (Vec::new(), Vec::new());
    changes(node, &mut found);
    let mut words = Vec::new();
    for (put, key, value) in found {
        let (object, key) = (objects.stored(key, value), show_key(key));
        words.push(match object.filter(|_| put) {
            Some(object) => {
                let word = format!("put {key} {}", name(&object));
                decoded.push(object);
                word
            }
            None if put => format!("put {key} ({})", size(value.len() as u64)),
            None => format!("delete {key}"),
        });
    }
    (!decoded.is_empty()).then(|| (words.join("; "), decoded))
}

/// Puts objects in the place of the values that are some, in a request as JSON.
pub fn replace(request: &mut Value, objects: &Objects) {
    match request {
        Value::Object(map) => {
            for (name, inner) in map.iter_mut() {
                match inner {
                    Value::Object(put) if name == "put" || name == "request_put" => decode(put, objects),
                    inner => replace(inner, objects),
                }
            }
        }
        Value::Array(all) => all.iter_mut().for_each(|inner| replace(inner, objects)),
        _ => {}
    }
}

fn decode(put: &mut Map<String, Value>, objects: &Objects) {
    let bytes =
        |name| put.get(name).and_then(Value::as_str).and_then(|text| BASE64_STANDARD.decode(text).ok());
    let key = bytes("key").unwrap_or_default();
    let Some(value) = bytes("value") else { return };
    let (name, shown) = match (objects.stored(&key, &value), objects.hidden(&key, &value)) {
        (Some(object), _) => ("object", object.json.into()),
        (None, Some(mark)) => ("redacted", mark.into()),
        (None, None) => return,
    };
    put.shift_remove("value");
    put.insert(name.to_owned(), shown);
}
