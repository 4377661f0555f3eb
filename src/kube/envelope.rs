//! What is around an object that is stored as protobuf: `runtime.Unknown` behind a magic number.
//!
//! ```text
//! 6b 38 73 00             k8s\0
//! 0a len                  1 typeMeta
//!    0a len apiVersion      1 apiVersion, as apps/v1
//!    12 len kind            2 kind, as Deployment
//! 12 len raw              2 raw: the object, itself protobuf
//! 1a len contentEncoding  3 contentEncoding: empty, but written
//! 22 len contentType      4 contentType: empty, but written
//! ```
//!
//! Source: `k8s.io/apimachinery/pkg/runtime/generated.proto`, `pkg/runtime/serializer/protobuf/protobuf.go`.

use std::fmt;

use nom::bytes::complete::tag;
use nom::multi::fold_many0;
use nom::{Err, IResult, Parser};

use super::cbor;
use crate::codec::wire::{self, BadField, WireValue};

/// What a stored object begins with when it is protobuf.
pub const MAGIC: &[u8] = b"k8s\0";
/// What a stored value begins with when it is encrypted.
pub const ENCRYPTED: &[u8] = b"k8s:enc:";

/// What a stored value is, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form<'a> {
    /// An object as protobuf.
    Protobuf(Envelope<'a>),
    /// An object as JSON: all of the value.
    Json(&'a [u8]),
    /// An object as CBOR: all of the value.
    Cbor(&'a [u8]),
    /// Something that is encrypted.
    Encrypted(Encrypted<'a>),
    /// None of these.
    Other(&'a [u8]),
}

impl<'a> Form<'a> {
    /// Tells what a value is.
    ///
    /// # Errors
    /// The offset of the first field that cannot be, of what begins as an object in protobuf.
    pub fn of(value: &'a [u8]) -> Result<Form<'a>, BadField> {
        if let Some(envelope) = Envelope::parse(value)? {
            return Ok(Form::Protobuf(envelope));
        }
        Ok(match value {
            [b'{', ..] => Form::Json(value),
            _ if value.starts_with(cbor::MAGIC) => Form::Cbor(value),
            _ => Encrypted::parse(value).map_or(Form::Other(value), Form::Encrypted),
        })
    }
}

/// Whether a value is to be encrypted, whatever follows.
#[must_use]
pub fn is_encrypted(value: &[u8]) -> bool {
    value.starts_with(ENCRYPTED)
}

/// The `apiVersion` and the kind that an object in protobuf says first, where the rest of it may not be there.
#[must_use]
pub fn head(value: &[u8]) -> Option<(&str, &str)> {
    let (_, (number, bytes)) = field(4).parse(value.strip_prefix(MAGIC)?).ok()?;
    let ([], (api_version, kind)) = type_meta(bytes).ok().filter(|_| number == 1)? else { return None };
    Some((std::str::from_utf8(api_version).ok()?, std::str::from_utf8(kind).ok()?))
}

/// A value that was encrypted before it was stored: `k8s:enc:PROVIDER:VERSION:NAME:`, then bytes. With `kms` the name
/// is that of the provider in the API server's configuration, with the others that of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encrypted<'a> {
    /// As `aescbc`.
    pub provider: &'a str,
    /// As `v1`.
    pub version: &'a str,
    /// Of the key, or of the provider.
    pub name: &'a str,
    /// What is behind the prefix.
    pub data: &'a [u8],
}

impl<'a> Encrypted<'a> {
    /// Parses a stored value; `None` if it has no such prefix.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Encrypted<'a>> {
        let mut parts = value.strip_prefix(ENCRYPTED)?.splitn(4, |byte| *byte == b':');
        let mut text = || std::str::from_utf8(parts.next()?).ok();
        let (provider, version, name) = (text()?, text()?, text()?);
        Some(Encrypted { provider, version, name, data: parts.next()? })
    }
}

impl fmt::Display for Encrypted<'_> {
    /// `PROVIDER:VERSION:NAME`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", or_none(self.provider), or_none(self.version), or_none(self.name))
    }
}

/// A name, or that there is none.
pub(crate) fn or_none(name: &str) -> &str {
    if name.is_empty() { "(none)" } else { name }
}

/// `runtime.Unknown`, all of it borrowed. What is not on the wire is empty.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// The group and version of the kind, as `apps/v1`; of the core group only the version.
    pub api_version: &'a [u8],
    /// The kind, as `Deployment`.
    pub kind: &'a [u8],
    /// The object: a message of that kind.
    pub raw: &'a [u8],
    /// How `raw` is encoded beyond its type; no version of Kubernetes sets it in a store.
    pub content_encoding: &'a [u8],
    /// What `raw` is, if not protobuf.
    pub content_type: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// Parses a stored value; `None` if it does not begin with [`MAGIC`] and so is something else.
    ///
    /// # Errors
    /// The offset in the value of the first field that cannot be.
    pub fn parse(value: &'a [u8]) -> Result<Option<Envelope<'a>>, BadField> {
        let magic: IResult<_, _, ()> = tag(MAGIC).parse(value);
        let Ok((fields, _)) = magic else { return Ok(None) };
        match fold_many0(unknown_field, Envelope::default, Envelope::with).parse(fields) {
            Ok(([], envelope)) => Ok(Some(envelope)),
            // It stops before the field that it does not take.
            Ok((rest, _)) => Err(BadField(value.len().saturating_sub(rest.len()))),
            Err(_) => Err(BadField(MAGIC.len())),
        }
    }

    /// Of a field that comes twice the last counts.
    fn with(self, part: Part<'a>) -> Envelope<'a> {
        match part {
            Part::TypeMeta { api_version, kind } => Envelope { api_version, kind, ..self },
            Part::Raw(raw) => Envelope { raw, ..self },
            Part::ContentEncoding(content_encoding) => Envelope { content_encoding, ..self },
            Part::ContentType(content_type) => Envelope { content_type, ..self },
            Part::Other => self,
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Part<'a> {
    TypeMeta {
        api_version: &'a [u8],
        kind: &'a [u8],
    },
    Raw(&'a [u8]),
    ContentEncoding(&'a [u8]),
    ContentType(&'a [u8]),
    /// Of a number that no version has.
    Other,
}

/// One field of `runtime.Unknown`.
fn unknown_field(input: &[u8]) -> IResult<&[u8], Part<'_>, ()> {
    let (rest, (number, bytes)) = field(4).parse(input)?;
    let part = match number {
        1 => {
            let ([], (api_version, kind)) = type_meta(bytes)? else { return Err(Err::Error(())) };
            Part::TypeMeta { api_version, kind }
        }
        2 => Part::Raw(bytes),
        3 => Part::ContentEncoding(bytes),
        4 => Part::ContentType(bytes),
        _ => Part::Other,
    };
    Ok((rest, part))
}

/// `runtime.TypeMeta`.
fn type_meta(input: &[u8]) -> IResult<&[u8], (&[u8], &[u8]), ()> {
    let empty = || (&[][..], &[][..]);
    let with = |(api_version, kind), (number, bytes)| match number {
        1 => (bytes, kind),
        2 => (api_version, bytes),
        _ => (api_version, kind),
    };
    fold_many0(field(2), empty, with).parse(input)
}

/// A field, which must have bytes if its number is one of the first `known`.
fn field<'a>(known: u32) -> impl Parser<&'a [u8], Output = (u32, &'a [u8]), Error = ()> {
    move |input| match wire::field(input) {
        Ok((rest, (number, WireValue::Bytes(bytes)))) => Ok((rest, (number, bytes))),
        Ok((rest, (number, _))) if number > known => Ok((rest, (number, &[][..]))),
        _ => Err(Err::Error(())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POD: &[u8] = b"k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod\x12\x03raw\x1a\x00\x22\x00";

    #[test]
    fn a_stored_object_says_what_it_is() {
        let pod = Envelope { api_version: b"v1", kind: b"Pod", raw: b"raw", ..Envelope::default() };
        assert_eq!(Envelope::parse(POD), Ok(Some(pod)));
        let more = [POD, b"\x1a\x04gzip\x22\x01t\x28\x07\x32\x01x"].concat();
        let due = Envelope { content_encoding: b"gzip", content_type: b"t", ..pod };
        assert_eq!(Envelope::parse(&more), Ok(Some(due)), "fields to come are passed over");
        assert_eq!(Envelope::parse(MAGIC), Ok(Some(Envelope::default())));
    }

    #[test]
    fn what_has_no_magic_is_no_envelope() {
        for value in [&b""[..], b"k8s", b"k8s:enc:aescbc:v1:k:", b"{}", b"\xd9\xd9\xf7"] {
            assert_eq!(Envelope::parse(value), Ok(None), "{}", value.escape_ascii());
        }
    }

    #[test]
    fn a_value_is_told_by_its_first_bytes_and_never_by_bytes_inside_it() {
        assert!(matches!(Form::of(POD), Ok(Form::Protobuf(_))));
        assert_eq!(Form::of(b"{\"k8s\0"), Ok(Form::Json(b"{\"k8s\0")));
        assert_eq!(Form::of(b"\xd9\xd9\xf7\xa0"), Ok(Form::Cbor(b"\xd9\xd9\xf7\xa0")));
        for other in
            [&b""[..], b"1234", b" {}", b"k8s", b"k8s:enc:", b"k8s:enc:aescbc:v1:key", b"k8s:enc:\xff:v1:k:x"]
        {
            assert_eq!(Form::of(other), Ok(Form::Other(other)), "{}", other.escape_ascii());
        }
        let encrypted = Encrypted { provider: "kms", version: "v2", name: "2025-q1.b", data: b"{:k8s\0" };
        assert_eq!(Form::of(b"k8s:enc:kms:v2:2025-q1.b:{:k8s\0"), Ok(Form::Encrypted(encrypted)));
        assert_eq!(encrypted.to_string(), "kms:v2:2025-q1.b");
        assert_eq!(Encrypted::parse(b"k8s:enc::v1::x").unwrap().to_string(), "(none):v1:(none)");
        assert_eq!(Form::of(b"k8s\0\x12\x05ab"), Err(BadField(4)));
    }

    #[test]
    fn a_field_that_cannot_be_is_told_by_its_place() {
        for (fields, at) in [
            (&b"\x12\x05ab"[..], 4),
            (b"\x1a\x00\x12", 6),
            (b"\x1a\x00\x10\x01", 6),
            (b"\x0a\x03\x0a\x05a", 4),
            (b"\x0a\x02\x08\x01", 4),
            (b"\x00", 4),
        ] {
            let value = [MAGIC, fields].concat();
            assert_eq!(Envelope::parse(&value), Err(BadField(at)), "{}", fields.escape_ascii());
        }
        for len in 4..POD.len() {
            let parsed = Envelope::parse(&POD[..len]);
            assert!(parsed.is_err() || matches!(len, 4 | 15 | 20 | 22), "{len}: {parsed:?}");
        }
    }
}
