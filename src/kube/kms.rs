//! What a KMS provider stores behind its prefix. No key is needed to read it.
//!
//! ```text
//! v1  u16 length, big-endian | wrapped key | AES-GCM, or AES-CBC before Kubernetes 1.25
//! v2  1 encryptedData        the ciphertext
//!     2 keyID                by which the plugin knows its own key
//!     3 encryptedDEKSource   the wrapped key (type 0) or seed (type 1, since 1.29)
//!     4 annotations          of the plugin's: 1 name, 2 bytes
//!     5 encryptedDEKSourceType
//! ```
//!
//! Source: `k8s.io/apiserver/pkg/storage/value/encrypt/envelope/envelope.go`,
//! `envelope/kmsv2/v2/api.proto`, `envelope/kmsv2/envelope.go` `ValidateEncryptedObject`.

use crate::codec::array_at;
use crate::codec::wire::{BadField, WireValue, fields};
use crate::kube::envelope::Encrypted;

/// The longest key id and wrapped key that an API server takes, and all annotations together.
const LONGEST: usize = 1 << 10;
const LONGEST_ANNOTATIONS: usize = 32 << 10;

/// What a KMS provider stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::kube) struct KmsValue<'v> {
    /// By which the plugin knows its key; version 1 does not tell.
    pub id: Option<&'v str>,
    /// What the plugin made of the key or seed.
    pub wrapped: &'v [u8],
    /// The ciphertext.
    pub data: &'v [u8],
    /// Of version 2: 0 for a key, 1 for a seed.
    pub source: u64,
    message: &'v [u8],
}

impl<'v> KmsValue<'v> {
    /// What stands behind a prefix of version 1.
    pub fn v1(bytes: &'v [u8]) -> Result<KmsValue<'v>, BadField> {
        let read = || {
            let len = usize::from(u16::from_be_bytes(array_at(bytes, 0)?));
            bytes.get(2..)?.split_at_checked(len)
        };
        let (wrapped, data) = read().ok_or(BadField(0))?;
        Ok(KmsValue { wrapped, data, ..KmsValue::default() })
    }

    /// What stands behind a prefix of version 2.
    pub fn v2(message: &'v [u8]) -> Result<KmsValue<'v>, BadField> {
        let (mut value, mut id): (_, &[u8]) = (KmsValue { message, ..KmsValue::default() }, &[]);
        for field in fields(message) {
            match field? {
                (1, WireValue::Bytes(data)) => value.data = data,
                (2, WireValue::Bytes(bytes)) => id = bytes,
                (3, WireValue::Bytes(wrapped)) => value.wrapped = wrapped,
                (5, WireValue::Varint(source)) => value.source = source,
                _ => {}
            }
        }
        let id = std::str::from_utf8(id).map_err(|_| BadField(0))?;
        Ok(KmsValue { id: Some(id), ..value })
    }

    /// What stands behind the prefix of a value of either version; nothing for another provider.
    pub fn of(encrypted: &Encrypted<'v>) -> Option<Result<KmsValue<'v>, BadField>> {
        match (encrypted.provider, encrypted.version) {
            ("kms", "v1") => Some(KmsValue::v1(encrypted.data)),
            ("kms", "v2") => Some(KmsValue::v2(encrypted.data)),
            _ => None,
        }
    }

    /// What the plugin wants to be told again; in the order of the message.
    pub fn annotations(&self) -> impl Iterator<Item = (&'v [u8], &'v [u8])> {
        let entries = fields(self.message).map_while(Result::ok);
        entries.filter_map(|(number, value)| match value {
            WireValue::Bytes(entry) if number == 4 => Some(annotation(entry)),
            _ => None,
        })
    }

    /// Why an API server refuses it before it asks the plugin, if it does.
    #[cfg_attr(not(feature = "encryption"), expect(dead_code, reason = "asked of what was opened"))]
    pub fn refused(&self) -> Option<String> {
        let id = self.id?;
        let longer = |what: &str, len: usize, most: usize| {
            (len > most).then(|| format!("its {what} is of {len} bytes, of {most} at most"))
        };
        if id.is_empty() || self.wrapped.is_empty() {
            return Some(format!("it has no {}", if id.is_empty() { "KMS key id" } else { "wrapped key" }));
        }
        let unqualified = self.annotations().find(|(name, _)| !is_domain(name));
        let sum = |sum: usize, (name, value): (&[u8], &[u8])| {
            sum.saturating_add(name.len()).saturating_add(value.len())
        };
        longer("KMS key id", id.len(), LONGEST)
            .or_else(|| longer("wrapped key", self.wrapped.len(), LONGEST))
            .or_else(|| {
                unqualified.map(|_| "the name of an annotation of its plugin is no domain".to_owned())
            })
            .or_else(|| longer("plugin's annotations", self.annotations().fold(0, sum), LONGEST_ANNOTATIONS))
    }
}

fn annotation(entry: &[u8]) -> (&[u8], &[u8]) {
    let (mut name, mut value): (&[u8], &[u8]) = (&[], &[]);
    for field in fields(entry).map_while(Result::ok) {
        match field {
            (1, WireValue::Bytes(bytes)) => name = bytes,
            (2, WireValue::Bytes(bytes)) => value = bytes,
            _ => {}
        }
    }
    (name, value)
}

/// Labels of lower case letters, digits and hyphens, at least two (`IsFullyQualifiedDomainName`).
fn is_domain(name: &[u8]) -> bool {
    let name = name.strip_suffix(b".").unwrap_or(name);
    let letter = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let label = |label: &[u8]| {
        label.first().is_some_and(letter)
            && label.last().is_some_and(letter)
            && label.len() <= 63
            && label.iter().all(|byte| letter(byte) || *byte == b'-')
    };
    name.len() <= 253 && name.contains(&b'.') && name.split(|byte| *byte == b'.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v2(parts: &[(u8, &[u8])]) -> Vec<u8> {
        let field = |(number, bytes): &(u8, &[u8])| [&[number << 3 | 2, bytes.len() as u8], *bytes].concat();
        parts.iter().flat_map(field).collect()
    }

    #[test]
    fn both_versions_tell_the_wrapped_key_without_any_key() {
        let one = KmsValue::v1(b"\0\x02abrest").unwrap();
        assert_eq!((one.id, one.wrapped, one.data), (None, &b"ab"[..], &b"rest"[..]));
        assert_eq!(KmsValue::v1(b"\0\x09ab"), Err(BadField(0)));
        let annotation = v2(&[(1, b"a.example"), (2, b"\x01")]);
        let message =
            [&v2(&[(1, b"rest"), (2, b"id"), (3, b"ab"), (4, &annotation)])[..], b"\x28\x01"].concat();
        let two = KmsValue::v2(&message).unwrap();
        assert_eq!((two.id, two.wrapped, two.data, two.source), (Some("id"), &b"ab"[..], &b"rest"[..], 1));
        assert_eq!(two.annotations().collect::<Vec<_>>(), [(&b"a.example"[..], &b"\x01"[..])]);
        assert_eq!(two.refused(), None);
        assert!(KmsValue::v2(&message[..message.len() - 1]).is_err());
    }

    #[test]
    fn what_an_api_server_refuses_before_it_asks_its_plugin_is_told() {
        let long = [b'x'; 100];
        for (parts, due) in [
            (vec![(3, &b"w"[..])], "it has no KMS key id"),
            (vec![(2, b"id")], "it has no wrapped key"),
            (
                vec![(2, b"id"), (3, b"w"), (4, b"\x0a\x01a")],
                "the name of an annotation of its plugin is no domain",
            ),
            (
                vec![(2, b"id"), (3, b"w"), (4, b"\x0a\x04A.bc")],
                "the name of an annotation of its plugin is no domain",
            ),
        ] {
            assert_eq!(KmsValue::v2(&v2(&parts)).unwrap().refused().as_deref(), Some(due));
        }
        assert!(is_domain(b"a.b-c.9") && is_domain(b"a.b.") && !is_domain(b"a..b") && !is_domain(b"-a.b"));
        assert!(!is_domain(&[&long[..], b".a"].concat()));
        let id = "i".repeat(1025);
        let long = KmsValue { id: Some(&id), wrapped: b"w", ..KmsValue::default() };
        assert_eq!(long.refused().as_deref(), Some("its KMS key id is of 1025 bytes, of 1024 at most"));
    }
}
