//! What an object says it is, without the rest of it as JSON.

use super::{Encoding, NoObject, Object, bad_inside};
use crate::codec::wire::{BadField, WireValue, fields};
use crate::kube::envelope::{Envelope, Form};
use crate::kube::schema::schema;
use crate::kube::type_meta::{group_of, qualified, version_of};

/// What an object says it is. All of it was read: what cannot be decoded has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glance {
    /// How it was encoded.
    pub encoding: Encoding,
    /// Group and version, as `apps/v1`.
    pub api_version: String,
    /// The kind, as `Deployment`.
    pub kind: String,
    /// The name.
    pub name: String,
    /// The namespace; empty for what is in none.
    pub namespace: String,
    /// Whether its kind is not known, or has no such fields as are in it. Fields that are as good as none do not count.
    pub unknown: bool,
}

impl Glance {
    /// Looks at a stored value.
    ///
    /// # Errors
    /// Why it is no object, as [`Object::decode`] has it.
    pub fn of(value: &[u8]) -> Result<Glance, NoObject<'_>> {
        if let Ok(Form::Protobuf(envelope)) = Form::of(value)
            && let Some(glance) = protobuf(&envelope)
        {
            return glance.map_err(|at| bad_inside(value, &envelope, at));
        }
        let object = Object::decode(value)?;
        let unknown = !object.known || object.unknown.iter().any(|field| !field.is_empty());
        let (name, namespace) = (object.name().to_owned(), object.namespace().to_owned());
        let Object { encoding, api_version, kind, .. } = object;
        Ok(Glance { encoding, api_version, kind, name, namespace, unknown })
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
}

/// An object of a kind that is known; `None` if it is not.
fn protobuf(envelope: &Envelope<'_>) -> Option<Result<Glance, BadField>> {
    if !envelope.content_encoding.is_empty() || !envelope.content_type.is_empty() {
        return None;
    }
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let (api_version, kind) = (text(envelope.api_version), text(envelope.kind));
    let info = schema().kind(&api_version, &kind)?;
    let decoded = match schema().messages()?.decode(info.message, envelope.raw)? {
        Ok(decoded) => decoded,
        Err(bad) => return Some(Err(bad)),
    };
    let metadata = decoded.root().message("metadata");
    let of_metadata = |name| text(metadata.map_or(&[][..], |metadata| metadata.bytes(name)));
    Some(Ok(Glance {
        encoding: Encoding::Protobuf,
        name: of_metadata("name"),
        namespace: of_metadata("namespace"),
        unknown: decoded.unknown().iter().any(|piece| says_something(piece)),
        api_version,
        kind,
    }))
}

/// Whether these fields are more than what Go's types of some other version write of each of theirs, be it empty.
fn says_something(piece: &[u8]) -> bool {
    fields(piece).any(|field| match field {
        Ok((_, WireValue::Varint(n) | WireValue::Fixed64(n))) => n != 0,
        Ok((_, WireValue::Fixed32(n))) => n != 0,
        Ok((_, WireValue::Bytes(bytes))) => !bytes.is_empty(),
        // A group.
        Err(_) => true,
    })
}
