//! How one value is protected, as it tells itself.

use serde::Serialize;

use crate::codec::wire::{WireValue, fields};
use crate::kube::envelope::{Encrypted, is_encrypted, or_none};
use crate::words::error::printable;
use crate::words::text::Told;

/// Letters of a name that are kept: Kubernetes allows a KMS key id of 1024 bytes, and a file may claim any.
const LONGEST_NAME: usize = 1024;

/// How a value is protected.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase", tag = "protection")]
pub enum Protection {
    /// It is not encrypted.
    Plain,
    /// It is encrypted.
    Encrypted {
        /// As `aescbc`; empty where the text before the value is not as it should be.
        provider: Told,
        /// As `v1`.
        version: Told,
        /// Of the key; with `kms` of the provider.
        name: Told,
        /// With `kms` `v2` the plugin's id of its key.
        #[serde(skip_serializing_if = "Option::is_none")]
        kms_key: Option<Told>,
    },
}

impl Protection {
    /// How a stored value is protected, by its first bytes.
    #[must_use]
    pub fn of(value: &[u8]) -> Protection {
        if !is_encrypted(value) {
            return Protection::Plain;
        }
        let Some(encrypted) = Encrypted::parse(value) else {
            return Protection::Encrypted {
                provider: "".into(),
                version: "".into(),
                name: "".into(),
                kms_key: None,
            };
        };
        let kms_key = (encrypted.provider == "kms" && encrypted.version == "v2")
            .then(|| kms_key(encrypted.data))
            .flatten();
        Protection::Encrypted {
            provider: cut(encrypted.provider),
            version: cut(encrypted.version),
            name: cut(encrypted.name),
            kms_key,
        }
    }

    /// Whether it is none.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        *self == Protection::Plain
    }

    /// Whether it is by the provider that is called so, as `kms` or, with its version, `kms:v2`; `identity` is none.
    #[must_use]
    pub fn is_by(&self, due: &str) -> bool {
        match self {
            Protection::Plain => due == "identity",
            Protection::Encrypted { provider, version, .. } => {
                *provider == due || due.split_once(':').is_some_and(|(p, v)| *provider == p && *version == v)
            }
        }
    }
}

impl std::fmt::Display for Protection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Protection::Plain => f.write_str("plain"),
            Protection::Encrypted { provider, version, name, kms_key } => {
                let [provider, version, name] =
                    [provider, version, name].map(|name| printable(or_none(name.raw())));
                write!(f, "{provider}:{version}:{name}")?;
                kms_key.as_ref().map_or(Ok(()), |key| write!(f, " key {key}"))
            }
        }
    }
}

fn cut(text: &str) -> Told {
    text.chars().take(LONGEST_NAME).collect::<String>().into()
}

/// `EncryptedObject.keyID`; of a message that is damaged behind it, too.
fn kms_key(message: &[u8]) -> Option<Told> {
    let values = fields(message).map_while(Result::ok);
    let id = values.filter_map(|(number, value)| match value {
        WireValue::Bytes(id) if number == 2 => std::str::from_utf8(id).ok(),
        _ => None,
    });
    id.last().map(cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(provider: &str, version: &str, name: &str, key: Option<&str>) -> Protection {
        let [provider, version, name] = [provider, version, name].map(Told::from);
        Protection::Encrypted { provider, version, name, kms_key: key.map(Told::from) }
    }

    #[test]
    fn a_value_tells_what_protects_it() {
        for (value, due) in [
            (&b"k8s\0\x0a"[..], Protection::Plain),
            (b"{}", Protection::Plain),
            (b"", Protection::Plain),
            (b"k8s:encX", Protection::Plain),
            (b"k8s:enc:aescbc:v1:2025-q1.b:\x01:", by("aescbc", "v1", "2025-q1.b", None)),
            (b"k8s:enc:kms:v1:p:\0\x02ab\x12\x01x", by("kms", "v1", "p", None)),
            (b"k8s:enc:kms:v2:p:\x0a\x01x\x12\x05a/b-1\x28\x01", by("kms", "v2", "p", Some("a/b-1"))),
            // Cut behind it; before it; no text.
            (b"k8s:enc:kms:v2:p:\x12\x01a\x1a\x7f", by("kms", "v2", "p", Some("a"))),
            (b"k8s:enc:kms:v2:p:\x12\x02a", by("kms", "v2", "p", None)),
            (b"k8s:enc:kms:v2:p:\x12\x01\xff", by("kms", "v2", "p", None)),
            // Not plain, whatever it is.
            (b"k8s:enc:", by("", "", "", None)),
            (b"k8s:enc:aescbc:v1:key", by("", "", "", None)),
        ] {
            assert_eq!(Protection::of(value), due, "{}", value.escape_ascii());
        }
        let long = [b"k8s:enc:aescbc:v1:", &[b'x'; 5000][..], b":"].concat();
        assert_eq!(Protection::of(&long), by("aescbc", "v1", &"x".repeat(1024), None));
    }

    #[test]
    fn a_provider_is_called_with_or_without_its_version() {
        let kms = by("kms", "v2", "p", None);
        assert!(kms.is_by("kms") && kms.is_by("kms:v2") && !kms.is_by("kms:v1") && !kms.is_by("identity"));
        assert!(Protection::Plain.is_by("identity") && !Protection::Plain.is_by(""));
    }
}
