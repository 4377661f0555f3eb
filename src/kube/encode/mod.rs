//! An object to the bytes that an API server would store for it: the way back of [`decode`](super::decode).
//!
//! Protobuf is written as the code does that gogo-protobuf made of Kubernetes' types: fields in the order of their
//! numbers, one that is no pointer always, be it empty, a pointer only if it is set, lists item by item, maps in the
//! order of their keys. Which fields there are differs between versions of Kubernetes: what is to replace a stored
//! value is written [like it](Like), with the fields that its writer's types have.
//!
//! JSON and CBOR are written as Go's encoders do it. Source: `k8s.io/api/*/generated.pb.go`,
//! `k8s.io/apimachinery/pkg/runtime/serializer/{protobuf,json,cbor}`.

mod like;
mod message;
mod special;

use std::fmt;

pub use self::like::Like;
use self::message::Encoder;
use super::cbor;
use super::decode::{Encoding, Object};
use super::envelope::MAGIC;
use super::json::{self, Layout};
use super::schema::schema;

/// How deep an object may be.
const MAX_DEPTH: usize = 128;
/// As many unknown fields a decoded object has at most: there may have been more.
const MOST_UNKNOWN: usize = 1000;

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

/// Encodes an object as its `encoding` says, with its unknown fields.
///
/// # Errors
/// Where it is not as its kind is.
pub fn encode(object: &Object, like: &Like) -> Result<Vec<u8>, Unencodable> {
    match object.encoding {
        Encoding::Protobuf => protobuf(object, like),
        Encoding::Json => {
            let layout = Layout { indent: false, sorted: false };
            Ok(format!("{}\n", json::object_text(&object.json, layout)).into_bytes())
        }
        Encoding::Cbor => Ok(cbor::encode(&object.json)),
    }
}

fn protobuf(object: &Object, like: &Like) -> Result<Vec<u8>, Unencodable> {
    let refused = |why| Unencodable { path: String::new(), why };
    let info = schema().kind(&object.api_version, &object.kind).filter(|_| object.known);
    let (Some(info), Some(messages)) = (info, schema().messages()) else { return Err(refused(Unfit::Kind)) };
    if object.unknown.len() >= MOST_UNKNOWN {
        return Err(refused(Unfit::Uncounted));
    }
    let mut encoder = Encoder::new(messages, like, &object.unknown);
    let mut raw = Vec::new();
    encoder.object(info.message, &object.json, &mut raw)?;
    let mut meta = Vec::new();
    message::bytes(1, object.api_version.as_bytes(), &mut meta);
    message::bytes(2, object.kind.as_bytes(), &mut meta);
    let mut value = MAGIC.to_vec();
    message::bytes(1, &meta, &mut value);
    message::bytes(2, &raw, &mut value);
    message::bytes(3, b"", &mut value);
    message::bytes(4, b"", &mut value);
    Ok(value)
}

#[cfg(test)]
mod tests;
