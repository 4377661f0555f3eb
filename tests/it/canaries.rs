//! What each command shows of a secret: the table in SECURITY.md, held against every command there is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use coldbolt::codec::checksum::sha256;
use serde_json::{Value, json};
use support::backup::Backup;
use support::{Input, Run, coldbolt, fixture, unpack};

const OPAQUE: &str = "canaryOpaque7f3a91c4e2";
const APPLIED: &str = "canaryApplied5d20b8e6f1";
const STRING: &str = "canaryString19ce47a0d3";
const DOCKER: &str = "canaryDocker8b64f2091a";
const TOKEN: &str = "canaryToken30e9d7c5b8";
const WRONG: &str = "canaryWrongKind6a1f08b2";
const BROKEN: &str = "canaryBroken42d8e9f7c0";
/// A key of 32 bytes, as it is given to open values.
const RING: &str = "canaryKeyOfTheRing0123456789abcd";
const CANARIES: [&str; 7] = [OPAQUE, APPLIED, STRING, DOCKER, TOKEN, WRONG, BROKEN];
/// What a put in the log of the fixture wrote.
const IN_LOG: &str = "value:\"three\"";

/// How a command line is run here: DB, OTHER and DIR are inputs, NEW is a name that is free. A command has a line or
/// several, which together are its forms.
const RUNS: &str = "
status DB|status DB -w json|status DB -w table|status DB -w fields
hashkv DB|hashkv DB -w json
inspect DB|inspect DB -w json|inspect DIR
verify DB|verify DB -w json|verify DB --level objects|verify DB --level objects --junit NEW.xml --sarif NEW.sarif --markdown NEW.md --prometheus NEW.prom
verify CUT|verify CUT -w json|verify CUT --junit NEW.xml --sarif NEW.sarif --markdown NEW.md --prometheus NEW.prom
verify DB --level objects --encryption-config KEYS|verify DB --level objects --encryption-config BADKEYS
verify DB --level objects --kms-key BADKEYS
copy DIR NEW|copy CUT NEW
replay DIR --to-index 1 -o NEW
rank DIR DIR|rank DIR -w json
member list --data-dir DIR
member remove fd422379fda50e48 --data-dir DIR -o NEW
member add --peer-urls http://127.0.0.1:9 --data-dir DIR -o NEW
member promote fd422379fda50e48 --data-dir DIR -o NEW
seal UNSEALED -o NEW
unseal DB -o NEW
restore DB --data-dir NEW|restore CUT --data-dir NEW|snapshot restore DB --data-dir NEW
snapshot status DB|snapshot status DB -w json
defrag DB -o NEW
encrypt DB -o NEW --passphrase-file PASS|encrypt DB -o NEW --to PASS|encrypt DB -o NEW -w json --passphrase-file PASS
decrypt CLOSED -o NEW --passphrase-file PASS|decrypt CLOSED -o NEW -i PASS|decrypt DB -o NEW --passphrase-file PASS
copy DB NEW --passphrase-file PASS|verify CLOSED|verify CLOSED -w json
get DB /registry --prefix|get DB /registry --prefix -w json
keys DB|keys DB -w json|keys DB --tree
history DB KEY|history DB KEY --values|history DB KEY -w json|history DB KEY --diff
events DB|events DB --values|events DB -w json
diff DB OTHER|diff DB OTHER --values|diff DB OTHER -w json --values
compare DB OTHER|compare DB OTHER -w json
export DB|export DB -w csv|export DB --encryption-config BADKEYS
leases DB|leases DB -w json
auth DB|auth USERS|auth USERS -w json
alarms DB|alarms DB -w json
members DB|members DB -w json
kube kinds DB|kube kinds DB -w json
kube get DB secrets -A|kube get DB secrets -A -o yaml|kube get DB secrets -A -o json|kube get DB secrets -A -o wide
kube get DB all-kinds -A -o json|kube get DB secrets -A --encryption-config KEYS|kube get CUT secrets -A -o yaml
kube get DB secrets -A --kms-key BADKEYS
kube diff DB OTHER|kube diff DB OTHER -w json
kube history TWICE secret/twice -n n|kube history TWICE secret/twice -n n -w json
kube extract DB -o NEW
kube encryption DB|kube encryption DB -w json
kube bootstrap DB|kube bootstrap DB -w json|kube bootstrap DB --token-file BADKEYS
kube secrets TWICE|kube secrets DB|kube secrets DB -w json
kube put DB -f MANIFEST --dry-run|kube put DB -f MANIFEST --dry-run -w json
kube delete DB secret opaque -n n --dry-run|kube delete DB secret opaque -n n --dry-run -w json
wal dump DIR|wal dump DIR -w json|wal dump DIR --raw
snap show SNAP|snap show SNAP -w json
bolt buckets DB
bolt keys DB key
bolt get DB key 00000000000000025f0000000000000000 --parse-format hex
bolt pages DB
bolt page DB --all
bolt page-item DB PAGE 0
explain wal-crc|explain
version
completion bash
man
";

/// What a row of SECURITY.md says of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shows {
    Never,
    WithFlag,
    Value,
}

fn table() -> BTreeMap<String, Shows> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("SECURITY.md")).unwrap();
    let (_, section) = text.split_once("## What each command shows of a secret\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let mut rows = BTreeMap::new();
    for row in section.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let shows = match cells[1] {
            "Never" => Shows::Never,
            "Only with `--show-secrets`" => Shows::WithFlag,
            "Its point is the value" => Shows::Value,
            other => panic!("{row}: {other}"),
        };
        for name in cells[0].split(", ") {
            let name = name.trim_matches('`').to_owned();
            assert!(rows.insert(name.clone(), shows).is_none(), "{name} has two rows");
        }
    }
    rows
}

/// The commands that have none below them, by the listing in each one's help.
fn commands(above: &[String], into: &mut BTreeSet<String>) {
    let help = coldbolt([above, &["--help".to_owned()]].concat());
    let listed = help.text().split_once("\nCommands:\n").map(|(_, rest)| rest.split("\n\n").next().unwrap());
    let Some(listed) = listed else {
        into.insert(above.join(" "));
        return;
    };
    let names = listed.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    for name in names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help") {
        commands(&[above, &[name.to_owned()]].concat(), into);
    }
}

/// How a canary may look: raw, in hexadecimal, and in base64 behind bytes of any number.
fn forms(canary: &str) -> Vec<String> {
    let hex: String = canary.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut all = vec![canary.to_owned(), hex.to_uppercase(), hex];
    for before in 0..3 {
        let text = BASE64_STANDARD.encode([&b"\0\0\0"[..before], canary.as_bytes()].concat());
        // What a neighbour has no part in.
        let inner = text[4..text.len() - 4].to_owned();
        all.extend([inner.replace('+', "-").replace('/', "_"), inner]);
    }
    all
}

fn shown(bytes: &[u8]) -> Vec<&'static str> {
    let text = String::from_utf8_lossy(bytes);
    CANARIES.into_iter().filter(|canary| forms(canary).iter().any(|form| text.contains(form))).collect()
}

fn secret(name: &str, kind: &str, more: Value) -> (String, Vec<u8>) {
    let mut object = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "n"}});
    object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    (format!("/registry/secrets/n/{name}"), object.to_string().into_bytes())
}

fn database(opaque: &str) -> Backup {
    let base64 = |text: &str| BASE64_STANDARD.encode(text);
    let applied = json!({"kind": "Secret", "stringData": {"p": APPLIED}}).to_string();
    let annotations = json!({"kubectl.kubernetes.io/last-applied-configuration": applied});
    let docker = json!({"auths": {"r": {"auth": base64(&format!("u:{DOCKER}"))}}}).to_string();
    let metadata = json!({"name": "opaque", "namespace": "n", "annotations": annotations});
    let mut backup = Backup::of(0);
    backup.keys = vec![
        secret("opaque", "Secret", json!({"metadata": metadata, "type": "Opaque", "data": {"p": base64(opaque)}})),
        secret("string", "Secret", json!({"type": "Opaque", "stringData": {"p": STRING}})),
        secret(
            "docker",
            "Secret",
            json!({"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": base64(&docker)}}),
        ),
        secret(
            "bootstrap-token-abcdef",
            "Secret",
            json!({"type": "bootstrap.kubernetes.io/token", "data": {"token-secret": base64(TOKEN)}}),
        ),
        secret("wrong", "secret", json!({"data": {"p": base64(WRONG)}})),
        ("/registry/secrets/n/broken".to_owned(), format!("{{\"kind\":\"Secret\",\"data\":{{\"p\":\"{BROKEN}").into()),
        // A map that is no secret: what it holds may be shown.
        (
            "/registry/configmaps/n/map".to_owned(),
            br#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"map","namespace":"n"},"data":{"x":"y"}}"#
                .to_vec(),
        ),
    ];
    backup
}

/// Every file below a path.
fn files(path: &Path) -> Vec<PathBuf> {
    if !path.is_dir() {
        return if path.exists() { vec![path.to_owned()] } else { Vec::new() };
    }
    fs::read_dir(path).unwrap().flat_map(|entry| files(&entry.unwrap().path())).collect()
}

#[test]
fn every_command_shows_of_a_secret_what_its_row_says_and_no_command_lacks_one() {
    let table = table();
    let mut listed = BTreeSet::new();
    commands(&[], &mut listed);
    assert_eq!(table.keys().cloned().collect::<BTreeSet<_>>(), listed, "rows of SECURITY.md, and commands");
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let bytes = database(OPAQUE).bytes();
    let db = Input::write(dir, "a.db", &bytes);
    let other = Input::write(dir, "b.db", &database("other").bytes());
    let cut = Input::write(dir, "cut.db", &bytes[..bytes.len() / 2]);
    let unsealed = Input::write(dir, "unsealed.db", &bytes[..bytes.len() - 32]);
    let users = Input::new(fixture("small-3.5.1/snapshot.db"));
    let mut twice = Backup::of(0);
    twice.keys =
        [OPAQUE, "other"].map(|text| secret("twice", "Secret", json!({"stringData": {"p": text}}))).into();
    let twice = Input::write(dir, "twice.db", &twice.bytes());
    let keys = format!(
        "{{kind: EncryptionConfiguration, apiVersion: apiserver.config.k8s.io/v1, resources: [{{resources: [secrets], \
         providers: [{{aescbc: {{keys: [{{name: k, secret: {}}}]}}}}]}}]}}",
        BASE64_STANDARD.encode(RING)
    );
    let bad = Input::write(dir, "bad-keys", keys.replace("secret: ", "secret: [x] ").as_bytes());
    let keys = Input::write(dir, "keys", keys.as_bytes());
    let pass = Input::write(dir, "pass", RING.as_bytes());
    let closed = dir.join("closed.age");
    let place = closed.to_str().unwrap();
    coldbolt(["encrypt", db.name(), "-o", place, "--passphrase-file", pass.name()]).says(0, &[]);
    let closed = Input::new(closed);
    let manifest =
        Input::write(dir, "new.json", &secret("new", "Secret", json!({"stringData": {"p": STRING}})).1);
    let member = unpack("3.5.1", "cold", &dir.join("member-3.5.1"));
    let snap =
        files(&member).into_iter().find(|path| path.extension().is_some_and(|end| end == "snap")).unwrap();
    let pages = coldbolt(["bolt", "page", db.name(), "--all"]);
    let page = (0..16)
        .map(|page: u32| page.to_string())
        .find(|page| !shown(&coldbolt(["bolt", "page-item", db.name(), page, "0"]).out).is_empty())
        .unwrap_or_else(|| panic!("no page has a value: {pages}"));
    let mut seen: BTreeMap<String, (bool, bool)> = BTreeMap::new();
    let mut wrong = Vec::new();
    let lines = RUNS.lines().flat_map(|line| line.split('|')).filter(|line| !line.is_empty());
    for (number, line) in lines.enumerate() {
        let name = table.keys().find(|name| line == **name || line.starts_with(&format!("{name} "))).unwrap();
        let shows = table[name];
        let flags: &[bool] = if shows == Shows::WithFlag { &[false, true] } else { &[false] };
        for flag in flags {
            let new = dir.join(format!("new-{number}-{flag}"));
            let mut args: Vec<String> = line
                .split(' ')
                .map(|word| match word {
                    "DB" => db.name().to_owned(),
                    "OTHER" => other.name().to_owned(),
                    "TWICE" => twice.name().to_owned(),
                    "KEYS" => keys.name().to_owned(),
                    "BADKEYS" => bad.name().to_owned(),
                    "PASS" => pass.name().to_owned(),
                    "CLOSED" => closed.name().to_owned(),
                    "CUT" => cut.name().to_owned(),
                    "UNSEALED" => unsealed.name().to_owned(),
                    "USERS" => users.name().to_owned(),
                    "MANIFEST" => manifest.name().to_owned(),
                    "DIR" => member.to_str().unwrap().to_owned(),
                    "SNAP" => snap.to_str().unwrap().to_owned(),
                    "KEY" => "/registry/secrets/n/opaque".to_owned(),
                    "PAGE" => page.clone(),
                    word if word.starts_with("NEW") => word.replacen("NEW", new.to_str().unwrap(), 1),
                    word => word.to_owned(),
                })
                .collect();
            args.extend(flag.then(|| "--show-secrets".to_owned()));
            let run: Run = coldbolt(&args);
            if matches!(run.code, 2 | 5) {
                wrong.push(format!("{line}: did not run: {run}"));
            }
            let mut said = [&run.out, run.err.as_bytes()].concat();
            if name == "kube extract" {
                said.extend(files(&new).iter().flat_map(|path| fs::read(path).unwrap()));
            }
            if line.contains("--junit") {
                for end in ["xml", "sarif", "md", "prom"] {
                    said.extend(fs::read(format!("{}.{end}", new.display())).unwrap());
                }
            }
            let mut found = shown(&said);
            if name == "wal dump" && run.text().contains(IN_LOG) {
                found.push(IN_LOG);
            }
            let one = seen.entry(name.clone()).or_default();
            if *flag {
                one.1 |= !found.is_empty()
            } else {
                one.0 |= !found.is_empty()
            }
            if !flag && shows != Shows::Value && !found.is_empty() {
                wrong.push(format!("{line}: shows {found:?}"));
            }
            if forms(RING).iter().any(|form| String::from_utf8_lossy(&said).contains(form)) {
                wrong.push(format!("{line}: shows a key"));
            }
            // Hashes of passwords of etcd's users.
            if name == "auth" && run.text().contains("$2a$") {
                wrong.push(format!("{line}: shows a password's hash"));
            }
        }
    }
    for (name, shows) in &table {
        match (shows, seen.get(name)) {
            (_, None) => wrong.push(format!("{name} is not run")),
            (Shows::Value, Some((false, _))) => wrong.push(format!("{name} shows no value")),
            (Shows::WithFlag, Some((_, false))) => {
                wrong.push(format!("{name} --show-secrets shows no secret"))
            }
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    [db, other, cut, unsealed, users, manifest, twice, keys, bad, pass, closed]
        .iter()
        .for_each(Input::unchanged);
}

#[test]
fn history_hashes_a_secret_with_a_key_of_the_run_and_anything_else_or_on_demand_without_one() {
    let temp = tempfile::tempdir().unwrap();
    let backup = database(OPAQUE);
    let db = Input::write(temp.path(), "a.db", &backup.bytes());
    let hash = |key: &str, more: &[&str]| {
        let run = coldbolt([&["history", db.name(), key, "-w", "json"], more].concat());
        run.json()["versions"][0]["value_sha256"].as_str().unwrap().to_owned()
    };
    let plain = |key: &str| {
        let (_, value) = backup.keys.iter().find(|(name, _)| name == key).unwrap();
        sha256(value).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    for secret in ["/registry/secrets/n/opaque", "/registry/secrets/n/wrong", "/registry/secrets/n/broken"] {
        let one = hash(secret, &[]);
        assert!(one != plain(secret) && one != hash(secret, &[]), "{secret}");
        assert_eq!(hash(secret, &["--plain-hashes"]), plain(secret), "{secret}");
        let simple = coldbolt(["history", db.name(), secret]);
        assert!(!simple.text().contains(&plain(secret)[..16]), "{simple}");
    }
    let map = "/registry/configmaps/n/map";
    assert_eq!(hash(map, &[]), plain(map));
    db.unchanged();
}
