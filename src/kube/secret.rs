//! What must not be shown of a Secret unless it is asked for.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};

use super::decode::{Encoding, NoObject, Object};
use super::signs::of_annotation;
use crate::codec::checksum::{hex, sha256};

/// What `kubectl apply` was given, data and all.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What stands in the place of a secret begins with it.
pub const REDACTED_PREFIX: &str = "<redacted len:";

/// Whether what lies under this key is a Secret, or may be one.
fn is_secret(key: &[u8], object: &Object) -> bool {
    says_secret(object) || is_of_secrets(key)
}

/// Whether Secrets lie where this key does, whatever the value says that it is.
fn is_of_secrets(key: &[u8]) -> bool {
    const AMONG: &[u8] = b"/secrets/";
    key.windows(AMONG.len()).any(|part| part == AMONG)
}

/// Whether a value that was decoded so is a Secret or may be one: what is broken may be. What is encrypted shows
/// nothing of it.
#[must_use]
pub fn may_be_secret(key: &[u8], decoded: Result<&Object, &NoObject<'_>>) -> bool {
    match decoded {
        Ok(object) => is_secret(key, object),
        Err(NoObject::Encrypted(_)) => false,
        Err(NoObject::Bad(Encoding::Protobuf | Encoding::Cbor, _)) => true,
        // JSON is everybody's.
        Err(NoObject::Bad(Encoding::Json, _) | NoObject::Other) => is_of_secrets(key),
    }
}

fn says_secret(object: &Object) -> bool {
    object.kind == "Secret" && object.group().is_empty()
}

/// Puts length and hash in the place of a secret.
#[derive(Debug, Clone)]
pub struct Redactor {
    key: Vec<u8>,
    redacted: Arc<AtomicU64>,
}

impl Redactor {
    /// Hashes with a key of its own, so that equal secrets of one run look equal and a short one cannot be looked up.
    #[must_use]
    pub fn keyed() -> Redactor {
        // Each of these has keys of the system's random source.
        let key = (0..4).flat_map(|_| RandomState::new().build_hasher().finish().to_le_bytes()).collect();
        Redactor { key, redacted: Arc::default() }
    }

    /// Hashes without a key: comparable between runs, and a short secret can be found by trying.
    #[must_use]
    pub fn plain() -> Redactor {
        Redactor { key: Vec::new(), redacted: Arc::default() }
    }

    /// Redacts an object, if it is a Secret. What lies among Secrets and is none of the known form, as one whose kind
    /// was damaged, keeps its metadata only.
    pub fn redact(&self, key: &[u8], object: &mut Object) {
        if !is_secret(key, object) {
            return;
        }
        self.redacted.fetch_add(1, Ordering::Relaxed);
        if !(says_secret(object) && object.known) {
            let others = object.json.iter_mut();
            for (_, value) in
                others.filter(|(name, _)| !["apiVersion", "kind", "metadata"].contains(&name.as_str()))
            {
                *value = self.mark(value.to_string().as_bytes()).into();
            }
        }
        if let Some(Value::Object(data)) = object.json.get_mut("data") {
            self.values(data, |text| BASE64_STANDARD.decode(text).unwrap_or_else(|_| text.into()));
        }
        if let Some(Value::Object(data)) = object.json.get_mut("stringData") {
            self.values(data, |text| text.into());
        }
        let metadata = object.json.get_mut("metadata");
        let annotations = metadata.and_then(|metadata| metadata.get_mut("annotations")?.as_object_mut());
        for (name, value) in annotations.into_iter().flatten() {
            if let Value::String(text) = value
                && (name == LAST_APPLIED || of_annotation(name, text).is_some())
            {
                *text = self.mark(text.as_bytes());
            }
        }
    }

    /// Objects that were redacted until now.
    #[must_use]
    pub fn redacted(&self) -> u64 {
        self.redacted.load(Ordering::Relaxed)
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

    /// The hash that is shown of these bytes, in hexadecimal: of a key and them, where there is one.
    #[must_use]
    pub fn sha256(&self, secret: &[u8]) -> String {
        hex(&sha256(&[&self.key, secret].concat()))
    }

    /// What is shown in the place of these bytes.
    #[must_use]
    pub fn mark(&self, secret: &[u8]) -> String {
        let hash = self.sha256(secret);
        format!("{REDACTED_PREFIX}{} sha256:{}>", secret.len(), hash.get(..16).unwrap_or(&hash))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KEY: &[u8] = b"/registry/secrets/a/s";

    fn secret() -> Object {
        let json = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "s", "annotations": {
                "a": "b", LAST_APPLIED: "{}", "openshift.io/token-secret.value": "eyJh.eyJz.c2ln",
            }},
            "data": {"x": "aHVudGVyMg==", "y": "aHVudGVyMg=="},
            "stringData": {"z": "hunter2"},
            "type": "Opaque",
        });
        Object::decode(json.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_secret_shows_length_and_hash_and_nothing_of_its_data() {
        let mut object = secret();
        Redactor::plain().redact(KEY, &mut object);
        // printf hunter2 | sha256sum
        let due = "<redacted len:7 sha256:f52fbd32b2b3b86f>";
        assert_eq!(object.json["data"], json!({"x": due, "y": due}));
        assert_eq!(object.json["stringData"], json!({ "z": due }));
        assert_eq!(object.json["metadata"]["annotations"]["a"], "b");
        // OpenShift keeps a copy of the token there.
        let token = &object.json["metadata"]["annotations"]["openshift.io/token-secret.value"];
        assert!(token.as_str().unwrap().starts_with("<redacted len:"), "{token}");
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
            redactor.redact(KEY, &mut object);
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
        Redactor::plain().redact(b"/registry/configmaps/a/s", &mut object);
        assert_eq!(Value::Object(object.json), json);
    }

    #[test]
    fn what_lies_among_secrets_is_taken_for_one_whatever_it_says() {
        for (wrong, to) in [("\"Secret\"", "\"secret\""), ("\"v1\"", "\"x/v1\"")] {
            let text = Value::Object(secret().json).to_string().replace(wrong, to);
            let mut object = Object::decode(text.as_bytes()).unwrap();
            Redactor::keyed().redact(KEY, &mut object);
            let shown = Value::Object(object.json).to_string();
            assert!(!shown.contains("hunter2") && !shown.contains("aHVudGVyMg"), "{shown}");
            assert!(shown.contains("\"name\":\"s\""), "{shown}");
        }
    }
}
