//! Values that real API servers encrypted, opened, beside what the servers and kubectl made of them.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use coldbolt::kube::decode::Object;
use coldbolt::kube::encryption::{Keyring, Unopened, ValueDamage};
use coldbolt::kube::json::{self, Layout};
use rayon::prelude::*;
use serde_json::Value;
use support::compared::Compared;
use support::encrypted::{EncryptedValue, KeyFile};
use support::packed::{lines, snapshot};
use support::run::Run;
use support::{Input, coldbolt, fixture};

use crate::kube_recorded::{store, versions};

const AS_STORED: Layout = Layout { indent: false, sorted: false };

fn recorded(name: &str) -> PathBuf {
    fixture(&format!("kube/encrypted-1.37/{name}"))
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(recorded(name)).unwrap()
}

/// The keys of the recorded cluster, by the configuration in that file.
fn keyring(configuration: &str) -> Keyring {
    let mut keyring = Keyring::new();
    keyring.add_configuration(&read(configuration)).unwrap();
    keyring.add_kms_keys(&read("kms-keys")).unwrap();
    keyring
}

/// Every encrypted value of the recorded cluster, with the line that tells what it holds.
fn encrypted() -> Vec<(String, Vec<u8>, Value)> {
    let versions = versions(&store(&recorded("")));
    let line = |line: Value| {
        let key = (line["key"].as_str().unwrap().to_owned(), line["mod_revision"].as_i64().unwrap());
        let value = versions[&key].clone().unwrap();
        assert!(value.starts_with(line["encrypted"].as_str().unwrap().as_bytes()));
        (key.0, value, line)
    };
    lines(&recorded("opened.ndjson.gz")).into_iter().map(line).collect()
}

#[test]
fn every_encrypted_value_opens_to_what_the_servers_own_code_made_of_it() {
    let keyring = keyring("encryption.yaml");
    let mut compared = Compared::default();
    for (key, value, line) in encrypted() {
        let plain = keyring.open(key.as_bytes(), &value).unwrap_or_else(|why| panic!("{key}: {why}"));
        let ours = json::object_text(&Object::decode(&plain).unwrap().json, AS_STORED);
        compared.take(&key, &ours, &json::text(&line["storage_json"], AS_STORED));
    }
    compared.judge("opened", 53);
    // Nothing else in it is encrypted, but for what was written after the recording.
    let all = versions(&store(&recorded("")));
    let mut opened = 0;
    for ((key, _), value) in &all {
        if let Some(value) = value.as_ref().filter(|value| value.starts_with(b"k8s:enc:")) {
            let plain = keyring.open(key.as_bytes(), value).unwrap_or_else(|why| panic!("{key}: {why}"));
            Object::decode(&plain).unwrap();
            opened += 1;
        }
    }
    assert!(opened >= 53);
    assert_eq!(keyring.unopened(), []);
}

#[test]
fn a_configuration_in_json_opens_what_its_keys_encrypted() {
    let keyring = keyring("encryption.json");
    for (key, value, line) in encrypted() {
        // The last stage was encrypted with keys that came later.
        let later = ["k8s:enc:secretbox:v1:key1:", "k8s:enc:kms:v2:kms.wild-card:"];
        let due = !later.contains(&line["encrypted"].as_str().unwrap())
            || line["encrypted"].as_str().unwrap().contains("kms");
        assert_eq!(keyring.open(key.as_bytes(), &value).is_ok(), due, "{key}");
    }
}

/// What an API server's own code encrypted, of each provider and version of it.
fn values() -> Vec<EncryptedValue> {
    EncryptedValue::all(&std::fs::read_to_string(fixture("kube/encrypted-values.ndjson")).unwrap())
}

/// A ring with the key of one of these values only, or with another one of its name.
fn ring_of(value: &EncryptedValue, wrong: bool) -> Keyring {
    let mut keyring = Keyring::new();
    match value.key_file(wrong) {
        KeyFile::Configuration(text) => keyring.add_configuration(text.as_bytes()).unwrap(),
        KeyFile::Kms(text) => keyring.add_kms_keys(text.as_bytes()).unwrap(),
    }
    keyring
}

#[test]
fn what_the_servers_code_encrypts_opens_with_every_provider_and_with_no_other_key() {
    let values = values();
    let mut prefixes: Vec<&str> = values.iter().map(|one| &*one.prefix).collect();
    prefixes.sort_unstable();
    assert_eq!(
        prefixes,
        [
            "aescbc:v1:key16:",
            "aescbc:v1:key24:",
            "aescbc:v1:key32:",
            "aesgcm:v1:key16:",
            "aesgcm:v1:key24:",
            "aesgcm:v1:key32:",
            "kms:v1:cbc:",
            "kms:v1:gcm:",
            "kms:v2:key:",
            "kms:v2:seed:",
            "secretbox:v1:key32:",
        ]
    );
    for line in &values {
        let EncryptedValue { prefix: name, key, plain, value, .. } = line;
        let key = key.as_bytes();
        assert_eq!(ring_of(line, false).open(key, value).as_ref(), Ok(plain), "{name}");
        let refused = ring_of(line, true).open(key, value);
        assert!(matches!(refused, Err(Unopened::WrongKey { .. })), "{name}: {refused:?}");
        let none = Keyring::new().open(key, value);
        assert!(matches!(none, Err(Unopened::NoKey(_))), "{name}: {none:?}");
    }
}

#[test]
fn what_is_cut_or_changed_is_never_opened_as_something_else() {
    for line in &values() {
        let EncryptedValue { prefix: name, key, plain, value, .. } = line;
        let (keyring, key) = (ring_of(line, false), key.as_bytes());
        let authenticated = !name.contains("cbc");
        let mut told = 0;
        for at in 0..value.len() {
            let mut flipped = value.clone();
            flipped[at] ^= 1;
            match keyring.open(key, &flipped) {
                Ok(opened) if authenticated => assert_eq!(&opened, plain, "{name} byte {at}"),
                // Without authentication a change may leave an object whole.
                Ok(opened) => assert!(Object::decode(&opened).is_ok(), "{name} byte {at}"),
                Err(Unopened::WrittenFor { .. } | Unopened::WrittenBehind { .. }) => {
                    panic!("{name} byte {at}: it was written for no other key")
                }
                Err(Unopened::Damaged(_)) => told += 1,
                Err(_) => {}
            }
            // Of what a KMS stores the end may be no part of the ciphertext.
            let cut = keyring.open(key, &value[..at]);
            let same = cut.as_ref() == Ok(plain) && name.starts_with("kms:v2:");
            assert!(cut.is_err() || same, "{name} cut to {at}: {cut:?}");
        }
        // Past the beginning, where its key is known to be right, it is called damaged.
        assert!(told * 10 > plain.len() * if authenticated { 9 } else { 1 }, "{name}: {told}");
        let last = keyring.open(key, &value[..value.len() - 1]).unwrap_err();
        assert!(matches!(last, Unopened::Damaged(_)), "{name}: {last:?}");
    }
}

#[test]
fn a_value_that_was_moved_names_the_key_it_was_written_for_where_its_cipher_binds_it() {
    let keyring = keyring("encryption.yaml");
    let mut bound = 0;
    for (key, value, line) in encrypted() {
        let by = line["encrypted"].as_str().unwrap();
        let moved = keyring.open(b"/registry/secrets/other/place", &value);
        if by.contains(":aescbc:") || by.contains(":secretbox:") {
            assert!(moved.is_ok(), "{key}: bound to no key");
        } else if line["storage_json"]["kind"] == "Gadget" {
            // Where its kind lies only its definition tells, which the keys are not asked with.
            let due = Err(Unopened::Damaged(ValueDamage::Authentication { bound: true }));
            assert_eq!(moved, due, "{key}");
            let beside = key.replace("/vault/", "/other/");
            let due = Err(Unopened::WrittenFor { key: key.clone() });
            assert_eq!(keyring.open(beside.as_bytes(), &value), due);
        } else {
            assert_eq!(moved, Err(Unopened::WrittenFor { key: key.clone() }), "{key}");
            bound += 1;
        }
        let renamed = key.replace("/registry/", "/kubernetes.io/");
        let opened = keyring.open(renamed.as_bytes(), &value);
        match opened {
            Ok(_) => assert!(by.contains(":aescbc:") || by.contains(":secretbox:"), "{key}"),
            Err(why) => assert_eq!(why, Unopened::WrittenBehind { prefix: "/registry" }, "{key}"),
        }
    }
    assert!(bound >= 15, "{bound}");
}

/// The recorded cluster and its keys, as files.
struct Bench {
    dir: tempfile::TempDir,
    cluster: Input,
}

impl Bench {
    fn new() -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let cluster = snapshot(dir.path(), "encrypted-1.37");
        let bench = Bench { dir, cluster };
        bench.private("config", &read("encryption.yaml"));
        bench.private("kms", &read("kms-keys"));
        bench
    }

    fn private(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// `command... PATH rest...`
    fn run(&self, command: &str, rest: &[&str]) -> Run {
        let args = command.split(' ').chain([self.cluster.name()]).chain(rest.iter().copied());
        coldbolt(args)
    }

    /// The same with all keys.
    fn open(&self, command: &str, rest: &[&str]) -> Run {
        let file = |name: &str| self.dir.path().join(name).to_str().unwrap().to_owned();
        let (config, kms) = (file("config"), file("kms"));
        self.run(command, &[rest, &["--encryption-config", &config, "--kms-key", &kms]].concat())
    }
}

#[test]
fn kube_get_prints_encrypted_objects_as_kubectl_printed_them() {
    let bench = Bench::new();
    let recorded: Vec<Value> =
        lines(&recorded("opened.ndjson.gz")).into_iter().filter(|line| line["yaml"].is_string()).collect();
    let each = recorded.par_iter().map(|line| {
        let key = line["key"].as_str().unwrap();
        let object = &line["storage_json"];
        let group = object["apiVersion"].as_str().unwrap().rsplit_once('/').map_or("", |(group, _)| group);
        let kind = format!("{}.{group}", object["kind"].as_str().unwrap().to_lowercase());
        let metadata = &object["metadata"];
        let namespace = metadata["namespace"].as_str().unwrap_or("default");
        let rev = line["mod_revision"].to_string();
        let args = [
            kind.trim_end_matches('.'),
            metadata["name"].as_str().unwrap(),
            "-n",
            namespace,
            "--rev",
            &rev,
            "--like",
            "1.37",
            "--show-secrets",
            "-o",
            "yaml",
        ];
        let run = bench.open("kube get", &args);
        (key, run.good().to_owned(), line["yaml"].as_str().unwrap())
    });
    let mut compared = Compared::default();
    for (key, ours, due) in each.collect::<Vec<_>>() {
        compared.take(key, &ours, due);
    }
    compared.judge("as kubectl", 40);
    bench.cluster.unchanged();
}

/// What is secret in the cluster: data of Secrets, in base64 and plain.
fn canaries() -> Vec<String> {
    let mut found = Vec::new();
    for (_, _, line) in encrypted() {
        if line["storage_json"]["kind"] == "Secret" {
            for (name, value) in line["storage_json"]["data"].as_object().unwrap() {
                let text = value.as_str().unwrap();
                let plain = String::from_utf8(BASE64_STANDARD.decode(text).unwrap()).unwrap();
                // The others say what labels say too.
                let plain = (name == "password").then_some(plain);
                found.extend(plain.into_iter().chain([text.to_owned()]).filter(|text| text.len() >= 8));
            }
        }
    }
    assert!(found.len() > 20);
    found
}

#[test]
fn secrets_that_were_opened_stay_as_redacted_as_plain_ones_and_no_key_is_ever_said() {
    let bench = Bench::new();
    let canaries = canaries();
    let keys: Vec<String> = ["encryption.yaml", "kms-keys"]
        .iter()
        .flat_map(|name| {
            String::from_utf8(read(name)).unwrap().split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        })
        .map(|word| word.trim_matches('"').to_owned())
        .filter(|word| word.ends_with('=') && word.len() > 20)
        .collect();
    assert!(keys.len() > 10);
    let all = "/registry/secrets/";
    for (command, rest) in [
        ("kube get", &["secrets", "-A", "-o", "yaml"][..]),
        ("kube get", &["all-kinds", "-A", "-o", "ndjson"]),
        ("kube history", &["secret/survivor", "-n", "vault"]),
        ("kube diff", &["--from-rev", "250", "--kind", "secrets"]),
        ("kube kinds", &[]),
        ("get", &["--prefix", all, "--decode"]),
        ("history", &["/registry/secrets/vault/survivor", "--diff"]),
        ("events", &["--prefix", all, "--decode", "--values"]),
        ("diff", &["--from-rev", "250", "--values", "--prefix", all]),
        ("verify", &["--level", "objects"]),
    ] {
        let run = bench.open(command, rest);
        assert!(run.code < 2, "{run}");
        let said = format!("{run}");
        for canary in canaries.iter().chain(&keys) {
            assert!(!said.contains(canary), "{command} {rest:?} says {canary}");
        }
        assert!(!said.contains("k8s:enc:") && !said.contains("not opened"), "{run}");
    }
    bench.cluster.unchanged();
}

#[test]
fn every_command_that_shows_values_shows_what_the_keys_open() {
    let bench = Bench::new();
    let key = "/registry/secrets/vault/survivor";
    let plain = |run: &Run| {
        let said = String::from_utf8_lossy(&run.out);
        assert!(run.code == 0 && said.contains("kubectl-patch") && !said.contains("k8s:enc:"), "{run}");
    };
    plain(&bench.open("get", &[key]));
    bench.open("get", &[key, "--decode"]).shows(0, &["kind: Secret", "v: <redacted"]);
    plain(&bench.open("history", &[key, "--values"]));
    bench.open("events", &["--key", key, "--decode"]).shows(0, &["secret/survivor -n vault"]);
    let run = bench.open("history", &[key, "--diff"]);
    assert!(run.text().contains("data.v"), "{run}");
    let run = bench.open("diff", &["--from-rev", "250", "--values", "--prefix", key]);
    assert!(run.code == 1 && run.text().contains("data.v"), "{run}");
    let rows = bench.open("export", &["--prefix", key, "--all-revisions"]);
    let mut values = 0;
    for row in rows.good().lines() {
        let row: Value = serde_json::from_str(row).unwrap();
        let value = row["value"].as_str().map(|text| text.as_bytes().to_vec());
        let value =
            value.unwrap_or_else(|| BASE64_STANDARD.decode(row["value_base64"].as_str().unwrap()).unwrap());
        assert_eq!(Object::decode(&value).unwrap().name(), "survivor");
        values += 1;
    }
    assert!(values > 10, "{rows}");
    let run = bench.open("kube diff", &["--from-rev", "250", "--kind", "secret/survivor"]);
    assert!(run.code == 1 && run.text().contains("data.v"), "{run}");
    // Without keys it is as it was.
    let run = bench.run("kube get", &["secret", "survivor", "-n", "vault"]);
    run.shows(4, &["(encrypted: secretbox:v1:key1)"]);
    bench.run("verify", &["--level", "objects"]).shows(4, &["are encrypted and were not looked into"]);
    bench.open("verify", &["--level", "objects"]).shows(0, &["261 of 261 objects decoded"]);
    bench.cluster.unchanged();
}

#[test]
fn an_extracted_secret_that_was_opened_is_a_whole_one() {
    let bench = Bench::new();
    let run = bench.open("kube extract", &["secret", "survivor", "-n", "vault", "-o", "-"]);
    run.says(0, &["1 objects written"]);
    let due: Value = lines(&recorded("opened.ndjson.gz"))
        .into_iter()
        .filter(|line| line["key"] == "/registry/secrets/vault/survivor")
        .max_by_key(|line| line["mod_revision"].as_i64())
        .unwrap();
    let data: BTreeMap<String, String> = serde_json::from_value(due["storage_json"]["data"].clone()).unwrap();
    assert!(run.text().contains(&format!("v: {}", data["v"])), "{run}");
}

#[test]
fn what_keys_do_not_open_is_said_with_its_reason_and_not_passed_over() {
    let bench = Bench::new();
    let config = bench.dir.path().join("config").to_str().unwrap().to_owned();
    // No plain key of the KMS.
    let run = bench.run("kube get", &["secrets", "-n", "vault", "--encryption-config", &config]);
    run.says(4, &["not opened: ", "kms:v2:kms-fixture: no plain key was given for the KMS key key-b/2026"]);
    assert!(run.text().contains("s09-kms-a-0") && !run.text().contains("(encrypted: secretbox"), "{run}");
    // Of what was asked for all is there, whatever else was read on the way.
    let asked = ["secret/s00-plain-0", "-n", "vault", "-o", "name", "--encryption-config", &config];
    let run = bench.run("kube get", &asked);
    assert!(run.code == 0 && run.err.is_empty() && run.text() == "secret/s00-plain-0\n", "{run}");
    // Without keys it is said what opens them.
    bench.run("kube get", &["secrets", "-n", "vault"]).says(4, &["opened with --encryption-config FILE"]);
    let deleted = bench.run("kube get", &["secrets", "-n", "vault", "--deleted"]);
    let at = deleted.text().find("DELETED AT").unwrap();
    let rows: Vec<_> = deleted.text().lines().skip(1).map(|row| row[at..].to_owned()).collect();
    assert!(
        !rows.is_empty() && rows.iter().all(|row| row.starts_with(|c: char| c.is_ascii_digit())),
        "{deleted}"
    );
    let key = "/registry/secrets/vault/s09-kms-a-0";
    bench.run("get", &[key, "--encryption-config", &config]).says(4, &[key, "key-a"]);
    // Another key of the same name.
    let other = read("encryption.yaml");
    let other = String::from_utf8(other).unwrap().replace("B5c2WdbZktX0k3f", "C5c2WdbZktX0k3f");
    let other = bench.private("other", other.as_bytes());
    let key = "/registry/secrets/vault/survivor";
    let run = bench.run("get", &[key, "--encryption-config", &other]);
    run.says(4, &["secretbox:v1:key1: none of the 1 keys that were given for it opens it"]);
    // Files of keys that cannot be used, or that others can read.
    let bad = bench.private("bad", b"kind: EncryptionConfiguration\nresources: topsecret\n");
    let run = bench.run("kube get", &["cm", "--encryption-config", &bad]);
    assert!(run.code == 3 && !format!("{run}").contains("topsecret"), "{run}");
    run.says(3, &["is no EncryptionConfiguration: what is at line 2, column "]);
    std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o640)).unwrap();
    let run = bench.run("get", &[key, "--encryption-config", &config]);
    run.says(0, &["holds keys, and others than its owner can use it (mode 0640)"]);
    bench.run("get", &[key, "--aad-prefix", "/x"]).says(2, &["--aad-prefix goes with --encryption-config"]);
    bench.cluster.unchanged();
}

#[test]
fn keys_that_open_nothing_that_is_asked_for_are_refused() {
    let bench = Bench::new();
    bench.open("verify", &[]).says(2, &["--level objects alone looks into"]);
    bench.open("verify", &["--level", "mvcc"]).says(2, &["--level objects alone looks into"]);
}

#[test]
fn what_of_a_kms_does_not_fit_is_warned_of_and_opened_all_the_same() {
    let bench = Bench::new();
    let key = "/registry/secrets/vault/s09-kms-a-0";
    // Of another provider, and under another id.
    let other = String::from_utf8(read("encryption.yaml")).unwrap().replace("\"kms-fixture\"", "\"mine\"");
    assert_ne!(other.as_bytes(), read("encryption.yaml"));
    let config = bench.private("config", other.as_bytes());
    let lines = String::from_utf8(read("kms-keys")).unwrap().replace("key-a ", "key-z ");
    let lines = bench.private("lines", lines.as_bytes());
    let kms = bench.dir.path().join("kms").to_str().unwrap().to_owned();
    let run = bench.run("get", &[key, "--encryption-config", &config, "--kms-key", &kms, "--decode"]);
    run.says(0, &["opened, but: ", key, "kms:v2:kms-fixture: the configuration has no such KMS provider"]);
    let run = bench.run("get", &[key, "--kms-key", &lines, "--decode"]);
    run.says(0, &["its plain key was given for the KMS key key-z, and the value says key-a"]);
    let run = bench.run("get", &[key, "--kms-key", &kms, "--decode"]);
    assert!(run.code == 0 && run.err.is_empty(), "{run}");
}
