//! The API server's `EncryptionConfiguration`, in YAML or JSON.
//!
//! ```text
//! resources:
//! - resources: [secrets, "*.apps", "*.*"]
//!   providers:                               the first one writes, all of them read
//!   - aescbc: {keys: [{name: key1, secret: BASE64}]}
//!   - kms: {apiVersion: v2, name: mine, endpoint: unix:///run/kms.sock}
//!   - identity: {}
//! ```
//!
//! Which resources a provider is for is passed over: a key that opens a value is its key. Source:
//! `k8s.io/apiserver/pkg/apis/apiserver/v1`, `pkg/server/options/encryptionconfig/config.go`.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::cipher::Cipher;
use super::secret::KeyBytes;

/// Bytes of the longest file of keys that is read.
pub const KEY_FILE_LIMIT: u64 = 1 << 20;

/// Why a file of keys cannot be used. Nothing in it is ever said, as it may be a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileFault {
    /// It is no text.
    #[error("is not UTF-8: no file of keys")]
    NotUtf8,
    /// It is no YAML, or not of the shape of an `EncryptionConfiguration`.
    #[error("is no EncryptionConfiguration: what is at line {line}, column {column} does not belong there")]
    Shape {
        /// From 1; 0 where it is not known.
        line: u64,
        /// From 1; 0 where it is not known.
        column: u64,
    },
    /// It is of another kind.
    #[error("is no EncryptionConfiguration: its kind is another one")]
    OtherKind,
    /// A key is of a length that its cipher does not take.
    #[error("{place} is of {len} bytes, and its cipher takes {}", lens(takes))]
    KeyLength {
        /// As `resources[0].providers[1].aescbc.keys[0].secret`.
        place: String,
        /// Bytes of the key.
        len: usize,
        /// Bytes that a key may have.
        takes: &'static [usize],
    },
    /// A line of plain KMS keys is none.
    #[error("line {line} {what}")]
    Line {
        /// From 1.
        line: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// It has no keys.
    #[error("has no keys")]
    NoKeys,
}

fn lens(lens: &[usize]) -> String {
    lens.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Configuration {
    kind: String,
    resources: Vec<Group>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Group {
    providers: Vec<Provider>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Provider {
    aescbc: Option<Keys>,
    aesgcm: Option<Keys>,
    secretbox: Option<Keys>,
    kms: Option<Kms>,
    identity: Option<Identity>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Keys {
    keys: Vec<Key>,
}

#[derive(Debug, Deserialize)]
struct Key {
    name: String,
    secret: KeyBytes,
}

/// Its key is the plugin's.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Kms {
    api_version: Option<String>,
    name: String,
}

/// What it writes is plain.
#[derive(Debug, Default, Deserialize)]
struct Identity {}

/// A key by its name.
#[derive(Debug, Clone)]
pub(super) struct NamedKey {
    /// What values that it encrypted begin with behind `k8s:enc:`, as `aescbc:v1:key1:`.
    pub(super) prefix: String,
    pub(super) cipher: Cipher,
    pub(super) bytes: KeyBytes,
}

/// What a configuration has.
#[derive(Debug, Default)]
pub(super) struct Configured {
    /// Its keys, each once, in their order. There may be none, where a KMS has all of them or nothing is encrypted.
    pub(super) keys: Vec<NamedKey>,
    /// What values of its KMS providers begin with behind `k8s:enc:`, as `kms:v2:mine:`.
    pub(super) kms: BTreeSet<String>,
}

/// A file as text, without the mark that some editors begin it with.
pub(super) fn text(file: &[u8]) -> Result<&str, KeyFileFault> {
    let text = std::str::from_utf8(file).map_err(|_| KeyFileFault::NotUtf8)?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// Reads a configuration.
pub(super) fn parse(file: &[u8]) -> Result<Configured, KeyFileFault> {
    let parsed: Configuration = serde_saphyr::from_str(text(file)?).map_err(|error| {
        // Its text may quote the line, and with it a key.
        let (line, column) = error.location().map_or((0, 0), |at| (at.line(), at.column()));
        KeyFileFault::Shape { line, column }
    })?;
    // Up to Kubernetes 1.12 it was the latter.
    if !matches!(&*parsed.kind, "EncryptionConfiguration" | "EncryptionConfig") {
        return Err(KeyFileFault::OtherKind);
    }
    let mut found = Configured::default();
    let mut none = true;
    for (group, n) in parsed.resources.into_iter().zip(0usize..) {
        for (provider, m) in group.providers.into_iter().zip(0usize..) {
            none &= provider.kms.is_none() && provider.identity.is_none();
            found.kms.extend(provider.kms.as_ref().map(Kms::prefix));
            provider.keys(&format!("resources[{n}].providers[{m}]"), &mut found.keys)?;
        }
    }
    if none && found.keys.is_empty() { Err(KeyFileFault::NoKeys) } else { Ok(found) }
}

impl Kms {
    fn prefix(&self) -> String {
        // Up to Kubernetes 1.24 there was version 1 alone, and nothing to say it with.
        let version = self.api_version.as_deref().filter(|version| !version.is_empty()).unwrap_or("v1");
        format!("kms:{version}:{}:", self.name)
    }
}

impl Provider {
    /// Adds its keys to those found.
    fn keys(self, place: &str, found: &mut Vec<NamedKey>) -> Result<(), KeyFileFault> {
        for (name, cipher, keys) in [
            ("aescbc", Cipher::Cbc, self.aescbc),
            ("aesgcm", Cipher::Gcm, self.aesgcm),
            ("secretbox", Cipher::Secretbox, self.secretbox),
        ] {
            for (key, k) in keys.into_iter().flat_map(|keys| keys.keys).zip(0usize..) {
                let (len, takes) = (key.secret.bytes().len(), cipher.key_lens());
                if !takes.contains(&len) {
                    let place = format!("{place}.{name}.keys[{k}].secret");
                    return Err(KeyFileFault::KeyLength { place, len, takes });
                }
                let prefix = format!("{name}:v1:{}:", key.name);
                add(found, NamedKey { prefix, cipher, bytes: key.secret });
            }
        }
        Ok(())
    }
}

/// Adds a key that is not there yet.
pub(super) fn add(keys: &mut Vec<NamedKey>, key: NamedKey) {
    if !keys.iter().any(|other| other.prefix == key.prefix && other.bytes == key.bytes) {
        keys.push(key);
    }
}
