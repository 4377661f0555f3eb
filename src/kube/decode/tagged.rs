//! An object of a kind that is not known: its metadata, and its other fields by their numbers.
//!
//! A field is an object with its number under `field` and its value under what it is shown as: `varint`, `fixed64`,
//! `fixed32`, `text`, `message` or `base64`. The wire does not tell a text from a message from other bytes, so that is
//! only how they can be read: a text if it is one that can be printed, else a message if it is one.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value as Json};

use super::render::Renderer;
use crate::codec::wire::{self, WireValue, fields};

/// How deep bytes are tried as messages.
const MAX_DEPTH: usize = 12;
/// How many fields are shown; what is beyond is shown as bytes.
const MOST: usize = 20_000;

/// Adds `metadata` and `fields` of the message in `bytes`.
pub(super) fn object(renderer: &mut Renderer<'_>, bytes: &[u8], into: &mut Map<String, Json>) {
    let mut rest = bytes;
    // The metadata of every object is its first field.
    if let Ok((after, (1, WireValue::Bytes(metadata)))) = wire::field(bytes)
        && let Ok(metadata) = renderer.metadata(metadata)
    {
        into.insert("metadata".to_owned(), metadata);
        rest = after;
    }
    let mut left = MOST;
    if !rest.is_empty() {
        let tree = tree(rest, 0, &mut left).unwrap_or_else(|| base64(rest));
        into.insert("fields".to_owned(), tree);
    }
}

/// The fields of a message; `None` if it is none.
fn tree(bytes: &[u8], depth: usize, left: &mut usize) -> Option<Json> {
    // First whether it is one at all, which costs no memory.
    if fields(bytes).any(|field| field.is_err()) {
        return None;
    }
    let mut items = Vec::new();
    let mut rest = bytes;
    while let Ok((after, (number, value))) = wire::field(rest) {
        let Some(fewer) = left.checked_sub(1) else {
            items.push(item("base64", base64(rest), None));
            break;
        };
        *left = fewer;
        let (name, json) = match value {
            WireValue::Varint(n) => ("varint", n.into()),
            WireValue::Fixed64(n) => ("fixed64", n.into()),
            WireValue::Fixed32(n) => ("fixed32", n.into()),
            WireValue::Bytes(bytes) => inside(bytes, depth, left),
        };
        items.push(item(name, json, Some(number)));
        rest = after;
    }
    Some(items.into())
}

fn item(name: &str, json: Json, number: Option<u32>) -> Json {
    let mut item = Map::new();
    if let Some(number) = number {
        item.insert("field".to_owned(), number.into());
    }
    item.insert(name.to_owned(), json);
    item.into()
}

fn inside(bytes: &[u8], depth: usize, left: &mut usize) -> (&'static str, Json) {
    let printed = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    if let Ok(text) = std::str::from_utf8(bytes)
        && text.chars().all(printed)
    {
        return ("text", text.into());
    }
    let deeper = depth.checked_add(1).filter(|depth| *depth < MAX_DEPTH);
    match deeper.and_then(|depth| tree(bytes, depth, left)) {
        Some(tree) => ("message", tree),
        None => ("base64", base64(bytes)),
    }
}

fn base64(bytes: &[u8]) -> Json {
    BASE64_STANDARD.encode(bytes).into()
}
