//! A stored value to the object it is.
//!
//! Protobuf is decoded by the [table of messages](super::schema), to the JSON that Go's own types would print: the
//! order is that of their fields, what they leave out is left out. Go's types always write a field that is no pointer,
//! be it empty, so one that is not there was not yet, or no longer, in the types of who wrote it, and is not printed.
//!
//! Nothing is dropped: fields that the table does not know are listed, an object of an unknown kind is its metadata and
//! a tree of tagged fields. Nothing is guessed as if it were known.

mod found;
mod glance;
mod render;
mod special;
mod tagged;

use std::fmt;

use serde_json::{Map, Value};

pub use self::found::{DecodeOptions, Remark, UnknownField};
pub use self::glance::Glance;
use self::render::Renderer;
use super::cbor;
use super::envelope::{Encrypted, Envelope, Form};
use super::schema::schema;
use super::type_meta::{group_of, qualified, version_of};
use crate::codec::wire::BadField;

/// How an object was encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// In an [`Envelope`].
    Protobuf,
    /// As text.
    Json,
    /// Custom resources, if the API server's gate for it is on.
    Cbor,
}

impl Encoding {
    /// Its name, as `protobuf`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Protobuf => "protobuf",
            Encoding::Json => "json",
            Encoding::Cbor => "cbor",
        }
    }
}

/// An object of Kubernetes' API.
///
/// ```
/// use coldbolt::kube::decode::Object;
/// use coldbolt::kube::jsonpath::JsonPath;
/// use coldbolt::kube::yaml;
///
/// // As it is stored: JSON, CBOR or, as here, protobuf.
/// let value = b"k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod\x12\x11\
///     \x0a\x0f\x0a\x01a\x12\x00\x1a\x04shop\x22\x00\x2a\x00\x1a\x00\x22\x00";
/// let pod = Object::decode(value).expect("an object");
/// assert_eq!((pod.qualified().as_str(), pod.namespace(), pod.name()), ("pod", "shop", "a"));
/// assert_eq!(yaml::document(&pod.json), "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  namespace: shop\n");
///
/// // What no known Kubernetes has is listed, and never dropped.
/// assert!(pod.unknown.is_empty());
///
/// let mut out = Vec::new();
/// let path = JsonPath::parse("{.metadata.namespace}/{.metadata.name}").expect("a template");
/// path.execute(&pod.json.into(), &mut out).expect("it is written to memory");
/// assert_eq!(out, b"shop/a");
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// How it was encoded.
    pub encoding: Encoding,
    /// Group and version, as `apps/v1`.
    pub api_version: String,
    /// The kind, as `Deployment`.
    pub kind: String,
    /// As it is stored, in the order of the fields. Of a kind that is not [known](Object::known): `apiVersion`, `kind`,
    /// `metadata`, and under `fields` the others by their numbers.
    pub json: Map<String, Value>,
    /// Whether the fields of its kind are known. JSON and CBOR bring their names along.
    pub known: bool,
    /// Fields that the kind is not known to have.
    pub unknown: Vec<UnknownField>,
    /// What is not as Go's types write it, and how it is shown instead.
    pub remarks: Vec<Remark>,
}

/// Why there is no object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoObject<'a> {
    /// It is encrypted.
    Encrypted(Encrypted<'a>),
    /// It is something else.
    Other,
    /// It begins as an object and cannot be one past this offset.
    Bad(Encoding, BadField),
}

impl fmt::Display for NoObject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoObject::Encrypted(by) => write!(f, "encrypted: {by}"),
            NoObject::Other => f.write_str("no object of Kubernetes' API"),
            NoObject::Bad(encoding, at) => {
                write!(f, "begins as {} and cannot be one at byte {}", encoding.name(), at.0)
            }
        }
    }
}

impl Object {
    /// Decodes a stored value.
    ///
    /// # Errors
    /// Why it is no object.
    pub fn decode(value: &[u8]) -> Result<Object, NoObject<'_>> {
        Object::decode_with(value, DecodeOptions::default())
    }

    /// The same, with options.
    ///
    /// # Errors
    /// As [`Object::decode`].
    pub fn decode_with(value: &[u8], options: DecodeOptions) -> Result<Object, NoObject<'_>> {
        let bad = |encoding| move |at| NoObject::Bad(encoding, at);
        match Form::of(value).map_err(bad(Encoding::Protobuf))? {
            Form::Protobuf(envelope) => {
                protobuf(&envelope, options).map_err(|at| bad_inside(value, &envelope, at))
            }
            Form::Json(text) => Object::of_names(Encoding::Json, json(text).map_err(bad(Encoding::Json))?),
            Form::Cbor(bytes) => {
                Object::of_names(Encoding::Cbor, cbor::decode(bytes).map_err(bad(Encoding::Cbor))?)
            }
            Form::Encrypted(encrypted) => Err(NoObject::Encrypted(encrypted)),
            Form::Other(_) => Err(NoObject::Other),
        }
    }

    /// An object whose encoding brings the names of its fields along.
    fn of_names<'a>(encoding: Encoding, value: Value) -> Result<Object, NoObject<'a>> {
        let Value::Object(json) = value else { return Err(NoObject::Other) };
        let text = |name| json.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (api_version, kind) = (text("apiVersion"), text("kind"));
        if api_version.is_empty() || kind.is_empty() {
            return Err(NoObject::Other);
        }
        Ok(Object {
            encoding,
            api_version,
            kind,
            json,
            known: true,
            unknown: Vec::new(),
            remarks: Vec::new(),
        })
    }

    /// The group of the kind; empty for the core group.
    #[must_use]
    pub fn group(&self) -> &str {
        group_of(&self.api_version)
    }

    /// The version of the kind.
    #[must_use]
    pub fn version(&self) -> &str {
        version_of(&self.api_version)
    }

    /// The kind as kubectl prints it before a name: `deployment.apps`.
    #[must_use]
    pub fn qualified(&self) -> String {
        qualified(&self.kind.to_lowercase(), self.group())
    }

    /// A text in the metadata, as `name`.
    #[must_use]
    pub fn metadata(&self, name: &str) -> Option<&str> {
        self.json.get("metadata")?.get(name)?.as_str()
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.metadata("name").unwrap_or_default()
    }

    /// The namespace; empty for what is in none.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.metadata("namespace").unwrap_or_default()
    }
}

/// JSON that is deeper than 128 is refused.
fn json(text: &[u8]) -> Result<Value, BadField> {
    serde_json::from_slice(text).map_err(|error| {
        // Lines and columns count from 1; a column is a byte.
        let line = error.line().saturating_sub(1);
        let before: usize = text.split_inclusive(|byte| *byte == b'\n').take(line).map(<[u8]>::len).sum();
        BadField(before.saturating_add(error.column().saturating_sub(1)).min(text.len()))
    })
}

/// The fault of what is inside an envelope, by its place in the value.
fn bad_inside<'v>(value: &'v [u8], envelope: &Envelope<'v>, BadField(at): BadField) -> NoObject<'v> {
    // The last field of the value's that has `raw` is where it lies.
    let offset = envelope.raw.as_ptr().addr().saturating_sub(value.as_ptr().addr());
    NoObject::Bad(Encoding::Protobuf, BadField(offset.saturating_add(at)))
}

fn protobuf(envelope: &Envelope<'_>, options: DecodeOptions) -> Result<Object, BadField> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (api_version, kind) = (text(envelope.api_version), text(envelope.kind));
    let mut json = Map::new();
    json.insert("kind".to_owned(), kind.as_str().into());
    json.insert("apiVersion".to_owned(), api_version.as_str().into());
    let mut renderer = Renderer::new(schema(), options);
    // What is encoded in another way than its type says is not the message.
    let plain = envelope.content_encoding.is_empty() && envelope.content_type.is_empty();
    let info = schema().kind(&api_version, &kind).filter(|_| plain);
    match info {
        Some(info) => renderer.object(info.message, envelope.raw, &mut json)?,
        None => tagged::object(&mut renderer, envelope.raw, &mut json),
    }
    let Renderer { unknown, remarks, .. } = renderer;
    let (encoding, known) = (Encoding::Protobuf, info.is_some());
    Ok(Object { encoding, api_version, kind, json, known, unknown, remarks })
}
