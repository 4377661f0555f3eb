//! Keys and what they open: a configuration or lines of KMS keys that anybody wrote are taken or refused without a word
//! of what is in them; what is handed out of a value that anybody wrote is a whole object, as none is authentic.
#![no_main]

use std::sync::LazyLock;

use coldbolt::kube::decode::Object;
use coldbolt::kube::encryption::Keyring;

const ZEROS: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// One key for each provider, and one for each KMS key, all of them known.
static KEYS: LazyLock<Keyring> = LazyLock::new(|| {
    let provider = |name| format!("{{{name}: {{keys: [{{name: k, secret: {ZEROS}}}]}}}}");
    let all = ["aescbc", "aesgcm", "secretbox"].map(provider).join(", ");
    let mut keyring = Keyring::new();
    let text = format!("kind: EncryptionConfiguration\nresources: [{{providers: [{all}]}}]\n");
    keyring.add_configuration(text.as_bytes()).unwrap();
    keyring.add_kms_keys(format!("id {ZEROS}\n").as_bytes()).unwrap();
    keyring
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    for fault in [Keyring::new().add_configuration(data).err(), Keyring::new().add_kms_keys(data).err()] {
        // The longest is the place of a key: numbers and words of ours.
        assert!(fault.is_none_or(|fault| fault.to_string().len() < 200));
    }
    let prefixes = ["aescbc:v1:k:", "aesgcm:v1:k:", "secretbox:v1:k:", "kms:v1:p:", "kms:v2:p:", ""];
    for prefix in prefixes {
        for value in [data.to_vec(), [b"\x12\x02id\x28\x01", data].concat()] {
            let value = [b"k8s:enc:", prefix.as_bytes(), &value].concat();
            let key = &data[..data.len().min(64)];
            let opened = KEYS.open(key, &value);
            assert_eq!(opened, KEYS.open(key, &value), "the same each time");
            assert_eq!(KEYS.why(key, &value).is_none(), opened.is_ok());
            assert_eq!(KEYS.plain(key, &value), opened.clone().ok());
            // Chance makes no authentic value; without authentication it must make an object.
            if let Ok(plain) = opened {
                assert!(Object::decode(&plain).is_ok(), "{prefix}");
            }
        }
    }
});
