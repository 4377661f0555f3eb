//! Values as `kube-encrypted` writes them, and the keys that open them.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

/// A value that an API server's own code encrypted.
pub struct EncryptedValue {
    /// As `aescbc:v1:key16:`.
    pub prefix: String,
    /// The etcd key.
    pub key: String,
    pub plain: Vec<u8>,
    pub value: Vec<u8>,
    secret: Vec<u8>,
    wrapped: String,
}

/// A file of keys.
pub enum KeyFile {
    Configuration(String),
    Kms(String),
}

impl EncryptedValue {
    /// The lines of the program.
    #[must_use]
    pub fn all(lines: &str) -> Vec<EncryptedValue> {
        lines.lines().map(|line| EncryptedValue::of(&serde_json::from_str(line).unwrap())).collect()
    }

    fn of(line: &Value) -> EncryptedValue {
        let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        let bytes = |name: &str| BASE64_STANDARD.decode(text(name)).unwrap();
        EncryptedValue {
            prefix: text("prefix"),
            key: text("key"),
            plain: bytes("plain"),
            value: bytes("value"),
            secret: bytes("secret"),
            wrapped: text("wrapped"),
        }
    }

    /// A file with its key, or with a wrong one of the same name.
    #[must_use]
    pub fn key_file(&self, wrong: bool) -> KeyFile {
        let mut secret = self.secret.clone();
        secret[0] ^= u8::from(wrong);
        let secret = BASE64_STANDARD.encode(secret);
        let parts: Vec<&str> = self.prefix.split(':').collect();
        let (provider, name) = (parts[0], parts[2]);
        if provider == "kms" {
            return KeyFile::Kms(format!("id/{name} {secret} {}\n", self.wrapped));
        }
        let keys = json!({"keys": [{"name": name, "secret": secret}]});
        let configuration = json!({
            "kind": "EncryptionConfiguration", "apiVersion": "apiserver.config.k8s.io/v1",
            "resources": [{"resources": ["secrets"], "providers": [{provider: keys}]}],
        });
        KeyFile::Configuration(configuration.to_string())
    }
}
