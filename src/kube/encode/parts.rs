//! Fields of messages, and why something is none.

use std::fmt;

use prost::encoding::{WireType, encode_key, encode_varint};
use serde_json::Value as Json;

use crate::codec::to_u64;

/// How deep an object may be.
pub(super) const MAX_DEPTH: usize = 128;
/// Why an object cannot be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unencodable {
    /// Where in it, as `spec.containers[0].image`; empty for the object itself.
    pub path: String,
    /// What is wrong there.
    pub why: Unfit,
}

/// What is wrong with a part of an object. None of it is shown: it may be secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unfit {
    /// No known Kubernetes has the kind in that version.
    Kind,
    /// No known Kubernetes has the field.
    Name,
    /// It should be something else.
    Type {
        /// What.
        due: &'static str,
        /// What it is.
        is: &'static str,
    },
    /// There was a field of this number that no known Kubernetes has, and nothing is at its place any more.
    Lost(u32),
    /// It has more fields that no known Kubernetes has than are kept.
    Uncounted,
    /// It is too deep.
    Deep,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unfit::Kind => f.write_str("no known Kubernetes has this kind in this version"),
            Unfit::Name => f.write_str("no known Kubernetes has this field"),
            Unfit::Type { due, is } => write!(f, "{due} is due, this is {is}"),
            Unfit::Lost(number) => write!(
                f,
                "the stored object has field {number} here, which no known Kubernetes has, and there is no place for it"
            ),
            Unfit::Uncounted => f.write_str("more fields that no known Kubernetes has than can be kept"),
            Unfit::Deep => write!(f, "deeper than {MAX_DEPTH}"),
        }
    }
}

impl fmt::Display for Unencodable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { self.why.fmt(f) } else { write!(f, "{}: {}", self.path, self.why) }
    }
}

impl std::error::Error for Unencodable {}

/// Appends a field of bytes.
pub(super) fn bytes(number: u32, value: &[u8], out: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(to_u64(value.len()), out);
    out.extend_from_slice(value);
}

/// Appends a number.
pub(super) fn varint(number: u32, value: u64, out: &mut Vec<u8>) {
    encode_key(number, WireType::Varint, out);
    encode_varint(value, out);
}

/// What a JSON value is, in words.
pub(super) fn is(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(n) if n.is_f64() => "a number with a fraction",
        Json::Number(_) => "a number",
        Json::String(_) => "a string",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}

pub(super) fn unfit(due: &'static str, json: &Json) -> Unfit {
    Unfit::Type { due, is: is(json) }
}
