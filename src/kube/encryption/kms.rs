//! The file of the plain keys that the plugin of a KMS gave out, and how values are encrypted with them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::cipher::Cipher;
use super::config::{KeyFileFault, text};
use super::secret::KeyBytes;
use crate::kube::kms::KmsValue;

/// A key or seed that was wrapped by a KMS.
#[derive(Debug, Clone)]
pub(super) struct PlainKey {
    pub(super) id: String,
    pub(super) plain: KeyBytes,
    wrapped: Option<Vec<u8>>,
}

/// The ciphers that a value of a KMS may be of; none for a source of keys that is not known.
pub(super) fn ciphers(kms: &KmsValue<'_>) -> &'static [Cipher] {
    match (kms.id, kms.source) {
        (None, _) => &[Cipher::Gcm, Cipher::Cbc],
        (_, 0) => &[Cipher::Gcm],
        (_, 1) => &[Cipher::SeededGcm],
        _ => &[],
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
        let text = text(file)?;
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
