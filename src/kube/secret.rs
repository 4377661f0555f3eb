//! What must not be shown of a Secret unless it is asked for.

use std::hash::{BuildHasher, Hasher, RandomState};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};

use super::decode::Object;
use crate::codec::checksum::{hex, sha256};

/// What `kubectl apply` was given, data and all.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What stands in the place of a secret begins with it.
pub const REDACTED_PREFIX: &str = "<redacted len:";

/// Whether it is a Secret.
#[must_use]
pub fn is_secret(object: &Object) -> bool {
    object.kind == "Secret" && object.group().is_empty()
}

/// Puts length and hash in the place of a secret.
#[derive(Debug, Clone)]
pub struct Redactor {
    key: Vec<u8>,
}

impl Redactor {
    /// Hashes with a key of its own, so that equal secrets of one run look equal and a short one cannot be looked up.
    #[must_use]
    pub fn keyed() -> Redactor {
        // Each of these has keys of the system's random source.
        let key = (0..4).flat_map(|_| RandomState::new().build_hasher().finish().to_le_bytes()).collect();
        Redactor { key }
    }

    /// Hashes without a key: comparable between runs, and a short secret can be found by trying.
    #[must_use]
    pub fn plain() -> Redactor {
        Redactor { key: Vec::new() }
    }

    /// Redacts an object, if it is a Secret.
    pub fn redact(&self, object: &mut Object) {
        if !is_secret(object) {
            return;
        }
        if let Some(Value::Object(data)) = object.json.get_mut("data") {
            self.values(data, |text| BASE64_STANDARD.decode(text).unwrap_or_else(|_| text.into()));
        }
        if let Some(Value::Object(data)) = object.json.get_mut("stringData") {
            self.values(data, |text| text.into());
        }
        let annotations =
            object.json.get_mut("metadata").and_then(|metadata| metadata.get_mut("annotations"));
        if let Some(Value::String(applied)) = annotations.and_then(|all| all.get_mut(LAST_APPLIED)) {
            *applied = self.mark(applied.as_bytes());
        }
    }

    fn values(&self, data: &mut Map<String, Value>, bytes: impl Fn(&str) -> Vec<u8>) {
        for value in data.values_mut() {
            let secret = match &*value {
                Value::String(text) => bytes(text),
                other => other.to_string().into_bytes(),
            };
            *value = self.mark(&secret).into();
        }
    }

    fn mark(&self, secret: &[u8]) -> String {
        let hash = hex(&sha256(&[&self.key, secret].concat()));
        format!("{REDACTED_PREFIX}{} sha256:{}>", secret.len(), hash.get(..16).unwrap_or(&hash))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn secret() -> Object {
        let json = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "s", "annotations": {"a": "b", LAST_APPLIED: "{}"}},
            "data": {"x": "aHVudGVyMg==", "y": "aHVudGVyMg=="},
            "stringData": {"z": "hunter2"},
            "type": "Opaque",
        });
        Object::decode(json.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_secret_shows_length_and_hash_and_nothing_of_its_data() {
        let mut object = secret();
        Redactor::plain().redact(&mut object);
        // printf hunter2 | sha256sum
        let due = "<redacted len:7 sha256:f52fbd32b2b3b86f>";
        assert_eq!(object.json["data"], json!({"x": due, "y": due}));
        assert_eq!(object.json["stringData"], json!({ "z": due }));
        assert_eq!(object.json["metadata"]["annotations"]["a"], "b");
        assert!(
            object.json["metadata"]["annotations"][LAST_APPLIED]
                .as_str()
                .unwrap()
                .starts_with("<redacted len:2 ")
        );
        assert_eq!(object.json["type"], "Opaque");
    }

    #[test]
    fn with_a_key_equal_secrets_look_equal_in_one_run_only() {
        let shown = |redactor: &Redactor| {
            let mut object = secret();
            redactor.redact(&mut object);
            object.json["data"].clone()
        };
        let (one, other) = (Redactor::keyed(), Redactor::keyed());
        assert_eq!(shown(&one)["x"], shown(&one)["y"]);
        assert_ne!(shown(&one), shown(&other));
        assert_ne!(shown(&one), shown(&Redactor::plain()));
    }

    #[test]
    fn what_is_no_secret_is_left_as_it_is() {
        let json = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}, "data": {"x": "y"}});
        let mut object = Object::decode(json.to_string().as_bytes()).unwrap();
        Redactor::plain().redact(&mut object);
        assert_eq!(Value::Object(object.json), json);
    }
}
