//! Bytes of a key, which are overwritten when they are no longer needed and never shown.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use zeroize::Zeroizing;

/// The bytes of a key.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct KeyBytes(Zeroizing<Vec<u8>>);

impl KeyBytes {
    /// From base64, in which ends of lines do not count, as in Go's.
    pub(super) fn of_base64(text: &str) -> Option<KeyBytes> {
        let mut one_line = Zeroizing::new(String::with_capacity(text.len()));
        one_line.extend(text.chars().filter(|c| !matches!(c, '\r' | '\n')));
        STANDARD.decode(one_line.as_bytes()).ok().map(KeyBytes::from)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for KeyBytes {
    fn from(bytes: Vec<u8>) -> KeyBytes {
        KeyBytes(Zeroizing::new(bytes))
    }
}

impl fmt::Debug for KeyBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyBytes(..)")
    }
}

impl<'de> Deserialize<'de> for KeyBytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<KeyBytes, D::Error> {
        struct Base64;
        impl Visitor<'_> for Base64 {
            type Value = KeyBytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("base64")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<KeyBytes, E> {
                KeyBytes::of_base64(text).ok_or_else(|| E::custom("no base64"))
            }

            fn visit_string<E: Error>(self, text: String) -> Result<KeyBytes, E> {
                self.visit_str(&Zeroizing::new(text))
            }
        }
        from.deserialize_str(Base64)
    }
}
