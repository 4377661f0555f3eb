//! A value encrypted as an API server does it, by each provider.

use aes::Aes256;
use aes_gcm::aead::consts::U12;
use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{AesGcm, KeyInit};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeEncrypt, KeyIvInit, StreamCipher};
use coldbolt::kube::encryption::Keyring;
use hkdf::Hkdf;
use poly1305::Poly1305;
use salsa20::XSalsa20;
use serde_json::json;
use sha2::Sha256;

/// Keys of 32 bytes, as they are given to open values.
pub const RING: &str = "canaryKeyOfTheRing0123456789abcd";
pub const DEK: &str = "canaryDekOfTheKms0123456789abcde";
pub const SEED: &str = "canarySeedOfTheKms0123456789abcd";
/// What the KMS made of the last two: no secret.
const WRAPPED: [&[u8]; 2] = [b"the wrapped key", b"the wrapped seed"];

/// Not drawn by lot: the same file each time.
const NONCE: [u8; 24] = *b"no nonce is used twice!!";

/// Each provider's prefix, and what it makes of a value of that key.
pub fn all(key: &str, plain: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let [wrapped_key, wrapped_seed] = WRAPPED;
    let len = u16::try_from(wrapped_key.len()).unwrap().to_be_bytes();
    let made = [
        ("aescbc:v1:ring:", cbc(plain)),
        ("aesgcm:v1:ring:", gcm(RING.as_bytes(), key, plain)),
        ("secretbox:v1:ring:", secretbox(plain)),
        ("kms:v1:provider:", [&len, wrapped_key, &gcm(DEK.as_bytes(), key, plain)].concat()),
        ("kms:v2:provider:", encrypted_object(&seeded(key, plain), wrapped_seed)),
    ];
    made.map(|(prefix, bytes)| (prefix, [b"k8s:enc:", prefix.as_bytes(), &bytes].concat())).into()
}

/// An `EncryptionConfiguration`, and lines of plain KMS keys.
pub fn key_files() -> [String; 2] {
    let keys = json!({"keys": [{"name": "ring", "secret": BASE64_STANDARD.encode(RING)}]});
    let provider = |name: &str| json!({name: keys});
    let providers = ["aescbc", "aesgcm", "secretbox"].map(provider);
    let configuration = json!({
        "kind": "EncryptionConfiguration", "apiVersion": "apiserver.config.k8s.io/v1",
        "resources": [{"resources": ["secrets"], "providers": providers}],
    });
    let line = |(plain, wrapped): (&str, &[u8])| {
        format!("id {} {}\n", BASE64_STANDARD.encode(plain), BASE64_STANDARD.encode(wrapped))
    };
    [configuration.to_string(), [DEK, SEED].into_iter().zip(WRAPPED).map(line).collect()]
}

fn cbc(plain: &[u8]) -> Vec<u8> {
    let iv = &NONCE[..16];
    let mut sealed = plain.to_vec();
    sealed.resize(plain.len() + 16, 0);
    let encryptor = cbc::Encryptor::<Aes256>::new_from_slices(RING.as_bytes(), iv).unwrap();
    let len = encryptor.encrypt_padded::<Pkcs7>(&mut sealed, plain.len()).unwrap().len();
    sealed.truncate(len);
    [iv, &sealed].concat()
}

fn gcm(key: &[u8], aad: &str, plain: &[u8]) -> Vec<u8> {
    let (nonce, payload) = (&NONCE[..12], Payload { msg: plain, aad: aad.as_bytes() });
    let cipher = AesGcm::<Aes256, U12>::new_from_slice(key).unwrap();
    let sealed = cipher.encrypt(&<[u8; 12]>::try_from(nonce).unwrap().into(), payload).unwrap();
    [nonce, &sealed].concat()
}

fn seeded(key: &str, plain: &[u8]) -> Vec<u8> {
    let (info, mut one) = ([7; 32], [0; 32]);
    Hkdf::<Sha256>::from_prk(SEED.as_bytes()).unwrap().expand(&info, &mut one).unwrap();
    [&info[..], &gcm(&one, key, plain)].concat()
}

fn secretbox(plain: &[u8]) -> Vec<u8> {
    let mut stream = XSalsa20::new_from_slices(RING.as_bytes(), &NONCE).unwrap();
    let (mut one_time, mut sealed) = ([0; 32], plain.to_vec());
    stream.apply_keystream(&mut one_time);
    stream.apply_keystream(&mut sealed);
    let tag = Poly1305::new_from_slice(&one_time).unwrap().compute_unpadded(&sealed);
    [&NONCE[..], tag.as_slice(), &sealed].concat()
}

/// What KMS v2 stores; 1 is the type of a seed.
fn encrypted_object(data: &[u8], wrapped: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    for (number, bytes) in [(1, data), (2, b"id"), (3, wrapped)] {
        prost::encoding::bytes::encode(number, &bytes.to_vec(), &mut message);
    }
    prost::encoding::int32::encode(5, &1, &mut message);
    message
}

#[test]
fn what_is_sealed_here_is_what_opens() {
    let [configuration, kms] = key_files();
    let mut keyring = Keyring::new();
    keyring.add_configuration(configuration.as_bytes()).unwrap();
    keyring.add_kms_keys(kms.as_bytes()).unwrap();
    let (key, plain) = ("/registry/secrets/n/a", br#"{"apiVersion":"v1","kind":"Secret"}"#);
    for (prefix, value) in all(key, plain) {
        assert_eq!(keyring.open(key.as_bytes(), &value).as_deref(), Ok(&plain[..]), "{prefix}");
    }
}
