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
mod parts;
mod special;

pub use self::like::Like;
use self::message::Encoder;
pub use self::parts::{Unencodable, Unfit};
use super::cbor;
use super::decode::{Encoding, Object};
use super::envelope::MAGIC;
use super::json::{self, Layout};
use super::schema::schema;

/// As many unknown fields a decoded object has at most: there may have been more.
const MOST_UNKNOWN: usize = 1000;

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
    parts::bytes(1, object.api_version.as_bytes(), &mut meta);
    parts::bytes(2, object.kind.as_bytes(), &mut meta);
    let mut value = MAGIC.to_vec();
    parts::bytes(1, &meta, &mut value);
    parts::bytes(2, &raw, &mut value);
    parts::bytes(3, b"", &mut value);
    parts::bytes(4, b"", &mut value);
    Ok(value)
}

#[cfg(test)]
mod tests;
