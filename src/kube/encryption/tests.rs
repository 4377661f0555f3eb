//! Published vectors of the ciphers, files of keys, and what is said of values that do not open.

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};

use super::cipher::Cipher;
use super::config::{Configured, parse};
use super::secret::KeyBytes;
use super::{KeyFileFault, Keyring, LackingKey, Unopened, ValueDamage};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

#[test]
fn cbc_decrypts_the_vectors_of_nist_sp_800_38a() {
    let iv = "000102030405060708090a0b0c0d0e0f";
    let plain = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52ef\
                 f69f2445df4f9b17ad2b417be66c3710";
    for (key, sealed) in [
        (
            "2b7e151628aed2a6abf7158809cf4f3c",
            "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b273bed6b8e3c1743b7116e69e222295163ff1\
             caa1681fac09120eca307586e1a7",
        ),
        (
            "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
            "4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a571b242012fb7ae07fa9baac3df102e008b0\
             e27988598881d920a9e64f5615cd",
        ),
        (
            "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
            "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d39f23369a9d9bacfa530e26304231461b2eb\
             05e2c39be9fcda6c19078c6a9d1b",
        ),
    ] {
        let data = [hex(iv), hex(sealed)].concat();
        assert_eq!(Cipher::Cbc.look(&hex(key), &data), Some(hex(plain)));
        assert_eq!(Cipher::Cbc.open(&hex(key), b"", &data), None, "it has no padding");
    }
}

/// Test cases 4, 10 and 16 of McGrew and Viega, which NIST has too.
#[test]
fn gcm_opens_its_published_vectors_and_nothing_else() {
    let nonce = "cafebabefacedbaddecaf888";
    let aad = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
    let plain = hex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525\
                     b16aedf5aa0de657ba637b39",
    );
    for (key, sealed) in [
        (
            "feffe9928665731c6d6a8f9467308308",
            "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba3\
             0b396a0aac973d58e0915bc94fbc3221a5db94fae95ae7121a47",
        ),
        (
            "feffe9928665731c6d6a8f9467308308feffe9928665731c",
            "3980ca0b3c00e841eb06fac4872a2757859e1ceaa6efd984628593b40ca1e19c7d773d00c144c525ac619d18c84a3f4718e2\
             448b2fe324d9ccda27102519498e80f1478f37ba55bd6d27618c",
        ),
        (
            "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f6\
             1e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b",
        ),
    ] {
        let data = [hex(nonce), hex(sealed)].concat();
        assert_eq!(Cipher::Gcm.open(&hex(key), &aad, &data).as_ref(), Some(&plain));
        assert_eq!(Cipher::Gcm.look(&hex(key), &data).as_ref(), Some(&plain));
        assert_eq!(Cipher::Gcm.open(&hex(key), b"", &data), None);
        for at in 0..data.len() {
            let mut changed = data.clone();
            changed[at] ^= 1;
            assert_eq!(Cipher::Gcm.open(&hex(key), &aad, &changed), None, "byte {at}");
            assert_eq!(Cipher::Gcm.open(&hex(key), &aad, &data[..at]), None, "cut to {at}");
        }
    }
}

/// `golang.org/x/crypto/nacl/secretbox`, `TestSecretBox`, of NaCl's own code.
#[test]
fn secretbox_opens_the_vector_of_go_and_nothing_else() {
    let sealed = hex(
        "8442bc313f4626f1359e3b50122b6ce6fe66ddfe7d39d14e637eb4fd5b45beadab55198df6ab5368439792a23c87db70\
                      acb6156dc5ef957ac04f6276cf6093b84be77ff0849cc33e34b7254d5a8f65ad",
    );
    let (key, data) = ([1; 32], [vec![2; 24], sealed].concat());
    assert_eq!(Cipher::Secretbox.open(&key, b"any", &data), Some(vec![3; 64]));
    for at in 0..data.len() {
        let mut changed = data.clone();
        changed[at] ^= 1;
        assert_eq!(Cipher::Secretbox.open(&key, b"", &changed), None, "byte {at}");
        assert_eq!(Cipher::Secretbox.open(&key, b"", &data[..at]), None, "cut to {at}");
    }
}

fn configuration(providers: &str) -> String {
    format!("kind: EncryptionConfiguration\nresources: [{{resources: ['*.*'], providers: [{providers}]}}]\n")
}

const ZEROS: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

#[test]
fn keys_of_all_providers_are_pooled_and_each_is_there_once() {
    let keys = |provider: &str| {
        format!("{provider}: {{keys: [{{name: a, secret: {ZEROS}}}, {{name: a, secret: {ZEROS}}}]}}")
    };
    let providers = ["aescbc", "aesgcm", "secretbox"].map(|name| format!("{{{}}}", keys(name))).join(", ");
    let text =
        configuration(&format!("{providers}, {{kms: {{name: k, apiVersion: v2}}}}, {{identity: {{}}}}"));
    let Configured { keys: found, kms } = parse(text.as_bytes()).unwrap();
    assert_eq!(kms.into_iter().collect::<Vec<_>>(), ["kms:v2:k:"]);
    let prefixes: Vec<_> = found.iter().map(|key| &*key.prefix).collect();
    assert_eq!(prefixes, ["aescbc:v1:a:", "aesgcm:v1:a:", "secretbox:v1:a:"]);
    assert!(found.iter().all(|key| key.bytes.bytes() == [0; 32]));
}

#[test]
fn a_configuration_that_encrypts_nothing_is_one_and_opens_nothing() {
    let mut keyring = Keyring::new();
    assert_eq!(keyring.add_configuration(configuration("{identity: {}}").as_bytes()), Ok(()));
    let value = b"k8s:enc:aescbc:v1:k:";
    assert_eq!(keyring.open(KEY, value), Err(Unopened::NoKey(LackingKey::Named)));
}

#[test]
fn a_file_may_begin_with_the_mark_that_some_editors_write() {
    let with_mark = |text: &str| format!("\u{feff}{text}");
    let mut keyring = Keyring::new();
    let key = format!("{{aesgcm: {{keys: [{{name: k, secret: {ZEROS}}}]}}}}");
    keyring.add_configuration(with_mark(&configuration(&key)).as_bytes()).unwrap();
    assert_eq!(keyring.open(KEY, &sealed(0, KEY)).as_deref(), Ok(OBJECT));
    keyring.add_kms_keys(with_mark(&format!("id {ZEROS}\n")).as_bytes()).unwrap();
    keyring.plain(KEY, &kms(b"id", "p"));
    assert_eq!((keyring.unopened(), keyring.misfits().len()), (Vec::new(), 1));
}

#[test]
fn a_configuration_that_cannot_be_used_is_refused_without_a_word_of_it() {
    let secret = "c2VjcmV0LXRoYXQtbm9ib2R5LW1heS1zZWU=";
    let key = |secret: &str| format!("{{aesgcm: {{keys: [{{name: k, secret: {secret}}}]}}}}");
    let shape = |line, column| KeyFileFault::Shape { line, column };
    for (text, due) in [
        (configuration(&key(secret)), None),
        (configuration(&key("no#base64")), None),
        (configuration(&format!("{{aesgcm: {secret}}}")), None),
        (configuration(&format!("{{aesgcm: {{keys: [{secret}]}}}}")), None),
        (format!("kind: Secret\ndata: {{a: {secret}}}\n"), Some(KeyFileFault::OtherKind)),
        (secret.to_owned(), Some(shape(1, 1))),
        (String::new(), Some(KeyFileFault::OtherKind)),
        (configuration(""), Some(KeyFileFault::NoKeys)),
    ] {
        let fault = Keyring::new().add_configuration(text.as_bytes()).unwrap_err();
        let said = format!("{fault} {fault:?}");
        assert!(!said.contains(secret) && !said.contains("c2Vj") && !said.contains("no#base64"), "{said}");
        assert!(due.is_none_or(|due| due == fault), "{text}: {said}");
    }
    let fault = parse(configuration(&key(secret)).as_bytes()).unwrap_err();
    assert_eq!(
        fault.to_string(),
        "resources[0].providers[0].aesgcm.keys[0].secret is of 26 bytes, and its cipher takes 16, 24, 32"
    );
}

#[test]
fn lines_of_kms_keys_are_taken_or_refused_by_their_numbers() {
    let add = |text: &str| Keyring::new().add_kms_keys(text.as_bytes());
    assert_eq!(add(&format!("# mine\n\nkey-a {ZEROS}\nkey-b\t{ZEROS}  d3JhcHBlZA==\r\n")), Ok(()));
    assert_eq!(add("# none\n"), Err(KeyFileFault::NoKeys));
    for line in ["key-a", "key-a ???", "key-a c2hvcnQ=", "a b c d", &format!("a {ZEROS} ???")] {
        let fault = add(&format!("key-a {ZEROS}\n{line}\n")).unwrap_err();
        assert!(matches!(fault, KeyFileFault::Line { line: 2, .. }), "{line}: {fault}");
        assert!(!fault.to_string().contains("c2hv"), "{fault}");
    }
}

#[test]
fn no_key_is_shown_by_debug() {
    let mut keyring = Keyring::new();
    keyring
        .add_configuration(
            configuration(&format!("{{aescbc: {{keys: [{{name: k, secret: {ZEROS}}}]}}}}")).as_bytes(),
        )
        .unwrap();
    let shown = format!("{keyring:?} {:?}", KeyBytes::from(vec![65, 65, 65]));
    assert!(!shown.contains("65") && !shown.contains("AAA") && shown.contains("named: 1"), "{shown}");
}

const KEY: &[u8] = b"/registry/secrets/a/b";
const OBJECT: &[u8] =
    br#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"b","namespace":"a"},"data":{}}"#;

/// `OBJECT` by aesgcm with a key of so many times that byte, written for an etcd key.
fn sealed(byte: u8, for_key: &[u8]) -> Vec<u8> {
    let cipher = Aes256Gcm::new_from_slice(&[byte; 32]).unwrap();
    let data = cipher.encrypt(&[7; 12].into(), Payload { msg: OBJECT, aad: for_key }).unwrap();
    [b"k8s:enc:aesgcm:v1:k:", &[7; 12][..], &data].concat()
}

fn keyring() -> Keyring {
    let mut keyring = Keyring::new();
    let key = format!("{{aesgcm: {{keys: [{{name: k, secret: {ZEROS}}}]}}}}");
    keyring.add_configuration(configuration(&key).as_bytes()).unwrap();
    keyring
}

#[test]
fn each_refusal_says_what_can_be_known() {
    let keyring = keyring();
    let good = sealed(0, KEY);
    assert_eq!(keyring.open(KEY, &good).as_deref(), Ok(OBJECT));
    // No key.
    let lacking = |value: &[u8], which| {
        assert_eq!(keyring.open(KEY, value), Err(Unopened::NoKey(which)), "{}", value.escape_ascii());
    };
    lacking(b"k8s:enc:aesgcm:v1:other:", LackingKey::Named);
    lacking(b"k8s:enc:aesgcm:v2:k:", LackingKey::Provider);
    lacking(b"k8s:enc:kms:v1:p:\0\0", LackingKey::Wrapped);
    lacking(b"k8s:enc:kms:v2:p:\x12\x01i", LackingKey::Kms { id: "i".to_owned() });
    // Another key.
    assert_eq!(keyring.open(KEY, &sealed(1, KEY)), Err(Unopened::WrongKey { tried: 1 }));
    // Changed or cut.
    let authentication = Unopened::Damaged(ValueDamage::Authentication { bound: true });
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    assert_eq!(keyring.open(KEY, &flipped), Err(authentication.clone()));
    assert_eq!(keyring.open(KEY, &good[..good.len() - 1]), Err(authentication));
    let length = ValueDamage::Length { len: 27, least: 28, blocks: false };
    assert_eq!(keyring.open(KEY, &good[..20 + 27]), Err(Unopened::Damaged(length)));
    assert_eq!(keyring.open(KEY, b"k8s:enc:aesgcm"), Err(Unopened::Damaged(ValueDamage::Prefix)));
    let envelope = Unopened::Damaged(ValueDamage::Envelope(0));
    assert_eq!(keyring.open(KEY, b"k8s:enc:kms:v1:p:\0\x05abc"), Err(envelope));
    // Of another etcd key, which the object itself names; behind another prefix; and where it does not tell.
    let other = Unopened::WrittenFor { key: "/registry/secrets/a/b".to_owned() };
    for moved in
        ["/registry/secrets/a/c", "/registry/secrets/x/b", "/registry/configmaps/y/z", "/registry/secrets"]
    {
        assert_eq!(keyring.open(moved.as_bytes(), &good), Err(other.clone()), "{moved}");
    }
    let renamed = Unopened::WrittenBehind { prefix: "/registry" };
    assert_eq!(keyring.open(b"/my/own/secrets/a/b", &good), Err(renamed));
    let untold = Unopened::Damaged(ValueDamage::Authentication { bound: true });
    assert_eq!(keyring.open(KEY, &sealed(0, b"/elsewhere/x")), Err(untold));
}

#[test]
fn a_value_behind_a_prefix_that_was_renamed_opens_when_the_old_one_is_told() {
    let mut keyring = keyring();
    let good = sealed(0, b"/before/secrets/a/b");
    assert!(keyring.open(KEY, &good).is_err());
    keyring.written_behind("before/");
    assert_eq!(keyring.open(KEY, &good).as_deref(), Ok(OBJECT));
    assert_eq!(keyring.open(KEY, &sealed(0, KEY)).as_deref(), Ok(OBJECT), "what was written since");
    assert!(keyring.open(b"/registry/secrets/a/c", &good).is_err());
}

#[test]
fn what_is_not_opened_is_counted_once_by_reasons_with_the_first_keys() {
    let keyring = keyring();
    assert_eq!(keyring.plain(KEY, OBJECT), None);
    assert_eq!(keyring.plain(KEY, &sealed(0, KEY)).as_deref(), Some(OBJECT));
    for name in ["d", "b", "a", "c", "e", "a"] {
        let key = format!("/registry/secrets/a/{name}");
        assert_eq!(keyring.plain(key.as_bytes(), b"k8s:enc:aescbc:v1:x\x1b:"), None);
    }
    let unopened = keyring.unopened();
    let [one] = &unopened[..] else { panic!("{unopened:?}") };
    assert_eq!((one.values, one.prefix), (5, None));
    assert_eq!(one.reason, "aescbc:v1:x\\x1b: no key of that name was given");
    assert_eq!(one.keys, ["a", "b", "c"].map(|name| format!("/registry/secrets/a/{name}").into_bytes()));
}

/// `OBJECT` by KMS v2 with a key of zeros, which was wrapped to `w`.
fn kms(id: &[u8], provider: &str) -> Vec<u8> {
    let cipher = Aes256Gcm::new_from_slice(&[0; 32]).unwrap();
    let data = cipher.encrypt(&[7; 12].into(), Payload { msg: OBJECT, aad: KEY }).unwrap();
    let data = [&[7; 12][..], &data].concat();
    let field = |tag: u8, bytes: &[u8]| [&[tag, bytes.len() as u8], bytes].concat();
    let message = [field(0x0a, &data), field(0x12, id), field(0x1a, b"w")].concat();
    [b"k8s:enc:kms:v2:", provider.as_bytes(), b":", &message].concat()
}

#[test]
fn what_of_a_kms_value_does_not_fit_is_said_although_it_opens() {
    let misfits = |configured: Option<&str>, lines: &str, value: &[u8]| {
        let mut keyring = Keyring::new();
        if let Some(name) = configured {
            let provider = format!("{{kms: {{name: {name}, apiVersion: v2}}}}");
            keyring.add_configuration(configuration(&provider).as_bytes()).unwrap();
        }
        keyring.add_kms_keys(lines.as_bytes()).unwrap();
        assert_eq!(keyring.plain(KEY, value).as_deref(), Some(OBJECT));
        keyring.misfits().into_iter().map(|values| values.reason).collect::<Vec<_>>()
    };
    let (by_id, by_wrapped) = (format!("id {ZEROS}\n"), format!("other {ZEROS} dw==\n"));
    assert!(misfits(Some("p"), &by_id, &kms(b"id", "p")).is_empty());
    assert!(misfits(None, &by_id, &kms(b"id", "q")).is_empty());
    assert!(misfits(None, &format!("{by_wrapped}{by_id}"), &kms(b"id", "p")).is_empty());
    let provider = misfits(Some("p"), &by_id, &kms(b"id", ""));
    assert!(
        provider[0].starts_with("kms:v2:(none): the configuration has no such KMS provider"),
        "{provider:?}"
    );
    let id = misfits(Some("p"), &by_wrapped, &kms(b"id", "p"));
    assert_eq!(id, ["its plain key was given for the KMS key other, and the value says id"]);
    let none = misfits(Some("p"), &by_wrapped, &kms(b"", "p"));
    assert_eq!(none, ["an API server refuses it: it has no KMS key id"]);
}
