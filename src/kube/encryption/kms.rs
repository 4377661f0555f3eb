//! What a KMS provider stores, and the file of the plain keys that its plugin gave out.
//!
//! ```text
//! v1  u16 length, big-endian | wrapped key | AES-GCM, or AES-CBC before Kubernetes 1.25
//! v2  1 encryptedData        the ciphertext
//!     2 keyID                by which the plugin knows its own key
//!     3 encryptedDEKSource   the wrapped key (type 0) or seed (type 1, since 1.29)
//!     4 annotations          of the plugin's
//!     5 encryptedDEKSourceType
//! ```
//!
//! Source: `k8s.io/apiserver/pkg/storage/value/encrypt/envelope/envelope.go`,
//! `envelope/kmsv2/v2/api.proto`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::cipher::Cipher;
use super::config::KeyFileFault;
use super::refusal::ValueDamage;
use super::secret::KeyBytes;
use crate::codec::array_at;
use crate::codec::wire::{WireValue, fields};

/// A key or seed that was wrapped by a KMS.
#[derive(Debug, Clone)]
pub(super) struct PlainKey {
    id: String,
    pub(super) plain: KeyBytes,
    wrapped: Option<Vec<u8>>,
}

/// What a KMS provider stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KmsValue<'v> {
    /// Of version 2.
    pub(super) id: Option<&'v str>,
    wrapped: &'v [u8],
    pub(super) data: &'v [u8],
    /// The ciphers that it may be of.
    pub(super) ciphers: &'static [Cipher],
}

impl<'v> KmsValue<'v> {
    /// What stands behind a prefix of version 1.
    pub(super) fn v1(bytes: &'v [u8]) -> Result<KmsValue<'v>, ValueDamage> {
        let read = || {
            let len = usize::from(u16::from_be_bytes(array_at(bytes, 0)?));
            bytes.get(2..)?.split_at_checked(len)
        };
        let (wrapped, data) = read().ok_or(ValueDamage::Envelope(0))?;
        Ok(KmsValue { id: None, wrapped, data, ciphers: &[Cipher::Gcm, Cipher::Cbc] })
    }

    /// What stands behind a prefix of version 2.
    pub(super) fn v2(bytes: &'v [u8]) -> Result<KmsValue<'v>, ValueDamage> {
        let (mut value, mut id): (_, &[u8]) =
            (KmsValue { id: None, wrapped: &[], data: &[], ciphers: &[Cipher::Gcm] }, &[]);
        for field in fields(bytes) {
            match field.map_err(|at| ValueDamage::Envelope(at.0))? {
                (1, WireValue::Bytes(data)) => value.data = data,
                (2, WireValue::Bytes(bytes)) => id = bytes,
                (3, WireValue::Bytes(wrapped)) => value.wrapped = wrapped,
                (5, WireValue::Varint(0)) => value.ciphers = &[Cipher::Gcm],
                (5, WireValue::Varint(1)) => value.ciphers = &[Cipher::SeededGcm],
                (5, _) => value.ciphers = &[],
                _ => {}
            }
        }
        let id = std::str::from_utf8(id).map_err(|_| ValueDamage::Envelope(0))?;
        Ok(KmsValue { id: Some(id), ..value })
    }
}

impl PlainKey {
    /// Whether it may be that of a value: by its wrapped form where that was given, else by the id, which values of
    /// version 1 do not have.
    pub(super) fn is_for(&self, value: &KmsValue<'_>) -> bool {
        match &self.wrapped {
            Some(wrapped) => wrapped == value.wrapped,
            None => value.id.is_none_or(|id| id == self.id),
        }
    }

    /// The lines of a file: the id of a key, its plain bytes, and if there are several of one id the wrapped ones, both
    /// in base64.
    pub(super) fn parse(file: &[u8]) -> Result<Vec<PlainKey>, KeyFileFault> {
        let text = std::str::from_utf8(file).map_err(|_| KeyFileFault::NotUtf8)?;
        let lines = text.lines().zip(1u64..).map(|(line, number)| (line.trim(), number));
        let lines = lines.filter(|(line, _)| !line.is_empty() && !line.starts_with('#'));
        let found =
            lines.map(|(line, number)| PlainKey::of_line(line, number)).collect::<Result<Vec<_>, _>>()?;
        if found.is_empty() { Err(KeyFileFault::NoKeys) } else { Ok(found) }
    }

    fn of_line(line: &str, number: u64) -> Result<PlainKey, KeyFileFault> {
        let bad = |what| KeyFileFault::Line { line: number, what };
        let mut words = line.split_whitespace();
        let (Some(id), Some(plain), wrapped, None) = (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(bad("is not a key id, a plain key and if need be a wrapped one"));
        };
        let plain = KeyBytes::of_base64(plain).ok_or_else(|| bad("has no base64 as its plain key"))?;
        if !Cipher::Gcm.key_lens().contains(&plain.bytes().len()) {
            return Err(bad("has a plain key that is not of 16, 24 or 32 bytes"));
        }
        let decode = |text: &str| STANDARD.decode(text).map_err(|_| bad("has no base64 as its wrapped key"));
        Ok(PlainKey { id: id.to_owned(), plain, wrapped: wrapped.map(decode).transpose()? })
    }
}
