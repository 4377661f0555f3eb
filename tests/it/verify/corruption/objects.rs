//! Kubernetes objects, one by one and against each other.

use coldbolt::Code;
use coldbolt::io::Source;
use coldbolt::kube::encryption::Keyring;
use coldbolt::ops::verify::{Level, Verification, VerifyOptions, verify};
use coldbolt::store::ValueOpener;
use coldbolt::words::error::At;
use coldbolt::words::monitor::Quiet;
use serde_json::{Value, json};
use support::buckets::Buckets;

use crate::sealed;

use super::{Break, Due, Entry, due, entry, options};

/// Three objects, at revisions 10 to 12: a namespace, a Secret and a ConfigMap that the Secret owns.
struct Objects(Vec<(&'static str, Vec<u8>)>);

const UIDS: [&str; 3] = [
    "00000000-0000-4000-8000-000000000001",
    "00000000-0000-4000-8000-000000000002",
    "00000000-0000-4000-8000-000000000003",
];

fn object(kind: &str, namespace: Option<&str>, name: &str, uid: &str) -> Value {
    let mut object = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "uid": uid}});
    if let Some(namespace) = namespace {
        object["metadata"]["namespace"] = namespace.into();
    }
    object
}

impl Objects {
    fn good() -> Objects {
        let mut owned = object("ConfigMap", Some("default"), "c", UIDS[2]);
        owned["metadata"]["ownerReferences"] =
            json!([{"apiVersion": "v1", "kind": "Secret", "name": "s", "uid": UIDS[1]}]);
        let all = [
            ("/registry/namespaces/default", object("Namespace", None, "default", UIDS[0])),
            ("/registry/secrets/default/s", object("Secret", Some("default"), "s", UIDS[1])),
            ("/registry/configmaps/default/c", owned),
        ];
        Objects(all.map(|(key, object)| (key, object.to_string().into_bytes())).into())
    }

    fn verify(self) -> Verification {
        self.opened_by(None)
    }

    fn opened_by(self, opener: Option<ValueOpener<'_>>) -> Verification {
        let mut buckets = Buckets::good();
        for (main, (key, value)) in (10..).zip(self.0) {
            buckets.kv(main, 0, key, main, 1, 0);
            buckets.edit(main, 0, false, |kv| kv.value = value);
        }
        buckets.index(30, 2);
        let source = Source::from_bytes("file.db", buckets.file().bytes);
        verify(&source, &VerifyOptions { level: Level::Objects, opener, ..options() }, &Quiet).unwrap()
    }
}

/// What is changed, by the position of the object; what is due is of that object.
fn broken(code: Code, nth: usize, change: fn(&mut (&'static str, Vec<u8>))) -> (Verification, Vec<Due>) {
    let mut objects = Objects::good();
    change(&mut objects.0[nth]);
    let at =
        At { revision: Some(format!("{}.0", nth + 10)), ..At::default().key(objects.0[nth].0.as_bytes()) };
    (objects.verify(), vec![due(code, at)])
}

/// The Secret, encrypted by KMS v2 or aesgcm with the keys that are then given, and changed or given other keys.
fn sealed(
    code: Code,
    change: fn(&mut (&'static str, Vec<u8>), &mut [String; 2]),
) -> (Verification, Vec<Due>) {
    let (mut objects, mut keys) = (Objects::good(), sealed::key_files());
    let item = &mut objects.0[1];
    let made = sealed::all(item.0, &item.1);
    item.1 = made.into_iter().find(|(prefix, _)| prefix.starts_with("aesgcm:")).unwrap().1;
    change(item, &mut keys);
    let at = At { revision: Some("11.0".to_owned()), ..At::default().key(item.0.as_bytes()) };
    let mut keyring = Keyring::new();
    keyring.add_configuration(keys[0].as_bytes()).unwrap();
    keyring.add_kms_keys(keys[1].as_bytes()).unwrap();
    let plain = |key: &[u8], value: &[u8]| keyring.plain(key, value);
    let why = |key: &[u8], value: &[u8]| keyring.why(key, value);
    let report = objects.opened_by(Some(ValueOpener::new(&plain).explained(&why)));
    (report, vec![due(code, at)])
}

/// A Pod in protobuf of which the last byte is missing.
const CUT: &[u8] = b"k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod\x12\x05\x0a\x03\x0a\x01";

pub fn entries() -> Vec<Entry> {
    vec![
        entry(
            Code::ObjectUndecodable,
            "protobuf that is cut off",
            Break::Other(|| {
                broken(Code::ObjectUndecodable, 2, |item| *item = ("/registry/pods/default/p", CUT.to_vec()))
            }),
        ),
        entry(
            Code::ObjectUndecodable,
            "JSON that is cut off",
            Break::Other(|| broken(Code::ObjectUndecodable, 2, |item| item.1.truncate(40))),
        ),
        entry(
            Code::ObjectForeign,
            "a text",
            Break::Other(|| broken(Code::ObjectForeign, 2, |item| item.1 = b"hello".to_vec())),
        ),
        entry(
            Code::ObjectMisplaced,
            "a Secret under another name",
            Break::Other(|| {
                broken(Code::ObjectMisplaced, 1, |item| item.0 = "/registry/secrets/default/other")
            }),
        ),
        entry(
            Code::ObjectMisplaced,
            "a Secret among the ConfigMaps",
            Break::Other(|| {
                broken(Code::ObjectMisplaced, 1, |item| item.0 = "/registry/configmaps/default/s")
            }),
        ),
        entry(
            Code::ObjectUidTwice,
            "two objects of one uid",
            Break::Other(|| {
                broken(Code::ObjectUidTwice, 2, |item| {
                    item.1 = object("ConfigMap", Some("default"), "c", UIDS[1]).to_string().into_bytes();
                })
            }),
        ),
        entry(
            Code::ObjectOwnerGone,
            "an owner with another uid",
            Break::Other(|| {
                broken(Code::ObjectOwnerGone, 2, |item| {
                    let text = String::from_utf8(item.1.clone()).unwrap();
                    item.1 = text.replace(UIDS[1], "00000000-0000-4000-8000-00000000000f").into_bytes();
                })
            }),
        ),
        entry(
            Code::ObjectNamespaceGone,
            "an object in a namespace that is not there",
            Break::Other(|| {
                broken(Code::ObjectNamespaceGone, 1, |item| {
                    *item = (
                        "/registry/secrets/gone/s",
                        object("Secret", Some("gone"), "s", UIDS[1]).to_string().into_bytes(),
                    );
                })
            }),
        ),
        entry(
            Code::ObjectUnknownFields,
            "a kind that nobody knows",
            Break::Other(|| {
                broken(Code::ObjectUnknownFields, 2, |item| {
                    *item = (
                        "/registry/things/t",
                        b"k8s\0\x0a\x0a\x0a\x02x1\x12\x04None\x12\x05\x0a\x03\x0a\x01t".to_vec(),
                    );
                })
            }),
        ),
        entry(
            Code::ObjectKeyLacking,
            "a key of another name",
            Break::Other(|| {
                sealed(Code::ObjectKeyLacking, |_, keys| keys[0] = keys[0].replace("\"ring\"", "\"other\""))
            }),
        ),
        entry(
            Code::ObjectKeyWrong,
            "another key of the same name",
            Break::Other(|| {
                sealed(Code::ObjectKeyWrong, |_, keys| keys[0] = keys[0].replace("Y2FuYXJ5", "Q0FOQVJZ"))
            }),
        ),
        entry(
            Code::ObjectMoved,
            "a value in the place of another one",
            Break::Other(|| sealed(Code::ObjectMoved, |item, _| item.0 = "/registry/secrets/default/other")),
        ),
        entry(
            Code::ObjectMoved,
            "a value behind another prefix",
            Break::Other(|| sealed(Code::ObjectMoved, |item, _| item.0 = "/kubernetes.io/secrets/default/s")),
        ),
        entry(
            Code::ObjectCiphertext,
            "a value with another last byte",
            Break::Other(|| sealed(Code::ObjectCiphertext, |item, _| *item.1.last_mut().unwrap() ^= 1)),
        ),
        entry(
            Code::ObjectCiphertext,
            "a value that ends inside its prefix",
            Break::Other(|| sealed(Code::ObjectCiphertext, |item, _| item.1.truncate(14))),
        ),
        entry(
            Code::ObjectCiphertext,
            "a value that is cut off",
            Break::Other(|| {
                sealed(Code::ObjectCiphertext, |item, _| {
                    item.1.truncate(item.1.len() - 1);
                })
            }),
        ),
    ]
}

#[test]
fn a_name_that_steers_a_terminal_is_escaped_in_a_finding() {
    let mut objects = Objects::good();
    let secret = object("Secret", Some("default"), "\u{1b}[2J\u{202e}s", UIDS[1]);
    objects.0[1].1 = secret.to_string().into_bytes();
    let report = objects.verify();
    let finding = report.findings.iter().find(|finding| finding.code == Code::ObjectMisplaced).unwrap();
    assert!(!finding.to_string().contains(['\u{1b}', '\u{202e}']), "{finding:?}");
}

#[test]
fn what_the_objects_are_made_of_is_good() {
    let report = Objects::good().verify();
    let said: Vec<_> = report.findings.iter().filter(|f| f.code.level() == Level::Objects).collect();
    assert!(said.is_empty(), "{said:?}");
    let level = report.levels.iter().find(|level| level.level == Level::Objects).unwrap();
    assert_eq!(level.detail, "3 of 3 objects decoded, in 1 namespaces");
}
