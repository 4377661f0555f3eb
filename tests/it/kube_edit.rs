//! `coldbolt kube put` and `kube delete`, on databases of real API servers.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use coldbolt::kube::decode::{Encoding, Object};
use coldbolt::store::{OwnedKeyValue, Store, StoreOptions};
use coldbolt::words::monitor::Quiet;
use serde_json::{Value, json};
use support::packed::{lines, snapshot};
use support::run::{Run, command, wait};
use support::{Input, coldbolt, fixture};

/// Every live key of a file.
fn keys(file: &Path) -> BTreeMap<String, OwnedKeyValue> {
    let store = Store::open(file, &StoreOptions::default(), &Quiet).unwrap();
    let view = store.at(None).unwrap();
    let all = view.items(coldbolt::etcd::KeyRange::all()).map(|kv| kv.unwrap());
    all.map(|kv| (String::from_utf8(kv.key.clone()).unwrap(), kv)).collect()
}

struct Bench {
    dir: tempfile::TempDir,
    source: Input,
}

impl Bench {
    fn of(name: &str) -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let source = snapshot(dir.path(), name);
        Bench { dir, source }
    }

    fn copy(&self) -> PathBuf {
        self.dir.path().join("copy.db")
    }

    /// Puts these objects into a copy; the source stays as it is, and a copy that is made is good at all levels.
    fn put(&self, objects: &str, args: &[&str]) -> Run {
        let file = self.dir.path().join("objects.yaml");
        std::fs::write(&file, objects).unwrap();
        self.run(&[&["put", self.source.name(), "-f", file.to_str().unwrap()], args].concat())
    }

    fn run(&self, args: &[&str]) -> Run {
        let copy = self.copy();
        let run = coldbolt(["kube"].iter().chain(args).copied().chain(["-o", copy.to_str().unwrap()]));
        self.source.unchanged();
        assert_eq!(copy.exists(), run.code == 0, "{run}");
        if run.code == 0 {
            let mode = std::fs::metadata(&copy).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o600);
            coldbolt(["verify", copy.to_str().unwrap()]).says(0, &[]);
        }
        run
    }

    /// What is refused: nothing is made, and nothing secret is told.
    fn refused(&self, objects: &str, args: &[&str], parts: &[&str]) {
        let run = self.put(objects, args);
        run.says(1, parts);
        assert!(!run.err.contains("hunter2") && run.out.is_empty(), "{run}");
    }

    fn get(&self, args: &str) -> Value {
        let copy = self.copy();
        let args = ["kube", "get", copy.to_str().unwrap()].into_iter().chain(args.split_whitespace());
        coldbolt(args.chain(["-o", "json"])).json()
    }
}

#[test]
fn an_object_that_is_put_is_one_new_revision_and_nothing_else_changes() {
    let bench = Bench::of("plain-1.37");
    let got = coldbolt(["kube", "get", bench.source.name(), "cm/k-cm1", "-n", "every-kind", "-o", "yaml"]);
    let changed = got.text().replace("foo: bar", "foo: changed\n  more: text");
    let run = bench.put(&changed, &["-w", "json"]);
    let report = run.json();
    let key = "/registry/configmaps/every-kind/k-cm1";
    let (mut before, mut after) = (keys(Path::new(bench.source.name())), keys(&bench.copy()));
    let (old, new) = (before.remove(key).unwrap(), after.remove(key).unwrap());
    assert!(before == after, "others changed");
    assert_eq!(
        (new.create_revision, new.mod_revision, new.version, new.lease.get()),
        (old.create_revision, 822, old.version + 1, 0)
    );
    assert_eq!((report["revision_before"].as_i64(), report["revision"].as_i64()), (Some(821), Some(822)));
    let object = &report["objects"][0];
    assert_eq!(
        (&object["action"], object["revision_before"].as_i64(), object["bytes_before"].as_u64()),
        (&json!("changed"), Some(old.mod_revision), Some(old.value.len() as u64))
    );
    assert_eq!(object["bytes"].as_u64(), Some(new.value.len() as u64));
    let (was, is) = (Object::decode(&old.value).unwrap(), Object::decode(&new.value).unwrap());
    assert_eq!(is.json["data"], json!({"foo": "changed", "more": "text"}));
    assert_eq!(is.json["metadata"], was.json["metadata"], "uid, time and managed fields are kept");
    let copy = bench.copy();
    let due = coldbolt(["hashkv", copy.to_str().unwrap(), "-w", "json"]).json();
    assert_eq!(report["hashkv"], due["hash"]);
    let data = bench.dir.path().join("data");
    let restored = coldbolt(["restore", copy.to_str().unwrap(), "--data-dir", data.to_str().unwrap()]);
    restored.says(0, &[]);
}

#[test]
fn what_kubectl_printed_is_stored_as_the_api_server_had_stored_it() {
    let bench = Bench::of("plain-1.37");
    let before = keys(Path::new(bench.source.name()));
    let (mut all, mut text, mut put) = (String::new(), String::new(), BTreeSet::new());
    for line in lines(&fixture("kube/plain-1.37/kubectl.ndjson.gz")) {
        let key = line["key"].as_str().unwrap();
        // Those that have changed since kubectl was asked, and what it refused to print.
        let same = before.get(key).is_some_and(|kv| Some(kv.mod_revision) == line["mod_revision"].as_i64());
        let (true, Some(yaml)) = (same, line["yaml_managed"].as_str()) else { continue };
        // Ends of lines for kubectl that are none in YAML 1.2; some it prints as spaces.
        let json = line["json"].as_str().unwrap();
        if [yaml, json].iter().any(|text| text.contains(['\u{85}', '\u{2028}', '\u{2029}'])) {
            all += json;
        } else {
            // Greater than a float64 can be: a text for kubectl, and refused here until it is in quotes.
            text += &format!("---\n{}", yaml.replace(": 1e400\n", ": \"1e400\"\n"));
        }
        put.insert(key.to_owned());
    }
    bench.put(&text, &[]).says(0, &[]);
    let first = bench.dir.path().join("first.db");
    std::fs::rename(bench.copy(), &first).unwrap();
    let bench = Bench { source: Input::new(&first), ..bench };
    bench.put(&all, &[]).says(0, &[]);
    let after = keys(&bench.copy());
    let (mut same, mut served) = (0, BTreeSet::new());
    for key in &put {
        let (old, new) = (&before[key], &after[key]);
        assert_eq!(new.version, old.version + 1);
        let (was, is) = (Object::decode(&old.value).unwrap(), Object::decode(&new.value).unwrap());
        // The order of the fields in text that is stored says nothing.
        if old.value == new.value || is.encoding == Encoding::Json && was.json == is.json {
            same += 1;
        } else {
            served.insert(was.kind);
        }
    }
    eprintln!("{same} of {} are stored as they were; others of {served:?}", put.len());
    // What is served otherwise than it is stored; in a Widget is an object without a creation time.
    let due =
        ["CustomResourceDefinition", "PersistentVolumeClaim", "StatefulSet", "Widget"].map(str::to_owned);
    assert!(served.is_subset(&due.into()), "{served:?}");
    assert!(same > 60 && put.len() - same < 6, "{same} of {}", put.len());
}

#[test]
fn new_objects_get_what_an_api_server_gives_them_and_the_same_bytes_each_time() {
    let objects = "apiVersion: v1\nkind: Secret\nmetadata: {name: fresh, namespace: every-kind}\nstringData: {a: hunter2}\n\
                   ---\napiVersion: v1\nkind: Namespace\nmetadata: {name: made}\n---\n\
                   apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata: {name: p}\n  \
                   spec: {hostNetwork: true, containers: [{name: c, image: i, resources: {limits: {cpu: 1}}}]}\n";
    let files: Vec<Vec<u8>> = [(); 2]
        .map(|()| {
            let bench = Bench::of("plain-1.37");
            let run = bench.put(objects, &["-n", "every-kind"]);
            assert!(run.code == 0 && !run.text().contains("hunter2"), "{run}");
            let secret = bench.get("secret/fresh -n every-kind --show-secrets");
            assert_eq!(secret["data"], json!({"a": "aHVudGVyMg=="}));
            assert!(secret.get("stringData").is_none());
            let uid = secret["metadata"]["uid"].as_str().unwrap();
            assert!(uid.len() == 36 && &uid[14..15] == "8", "{uid}");
            assert!(secret["metadata"]["creationTimestamp"].as_str().unwrap().starts_with("2026-11-28T06:"));
            let pod = bench.get("pod/p -n every-kind");
            assert_eq!(pod["spec"]["containers"][0]["resources"]["limits"]["cpu"], "1");
            assert_eq!(
                (&pod["spec"]["hostNetwork"], &pod["metadata"]["resourceVersion"]),
                (&json!(true), &json!("824"))
            );
            std::fs::read(bench.copy()).unwrap()
        })
        .into();
    assert!(files[0] == files[1]);
}

#[test]
fn what_cannot_be_stored_is_refused_by_its_place_and_no_value_is_told() {
    let bench = Bench::of("plain-1.37");
    let object = |version: &str, kind: &str, rest: &str| {
        format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{name: x1}}\n{rest}\n")
    };
    let here = &["-n", "every-kind"][..];
    bench.refused(&object("v1", "Widgetty", ""), here, &["Widgetty every-kind/x1: neither Kubernetes has"]);
    bench.refused(
        &object("v1", "Pod", "spec: {hostNetwrk: hunter2}"),
        here,
        &["Pod every-kind/x1: spec.hostNetwrk: no known Kubernetes has this field"],
    );
    bench.refused(
        &object("v1", "Secret", "data: {a: hunter2!}"),
        here,
        &["Secret every-kind/x1: data[\"a\"]: base64 is due, this is a string"],
    );
    bench.refused(&object("v1", "ConfigMap", "data: {a: 1}"), &[], &["it says no namespace", "--namespace"]);
    bench.refused(&object("v1", "ConfigMap", ""), &["-n", "nowhere"], &["namespaces \"nowhere\" not found"]);
    bench.refused(
        "apiVersion: v1\nkind: Node\nmetadata: {name: x1, namespace: x}\n",
        &[],
        &["Node x/x1: its kind is in no namespace"],
    );
    bench.refused("apiVersion: v1\nkind: Pod\nmetadata: {name: ../x}\n", here, &["cannot be part of a key"]);
    bench.refused(
        &object("extensions/v1beta1", "Ingress", ""),
        here,
        &["nothing is converted between versions"],
    );
    bench.refused("a: [hunter2", &[], &["objects.yaml: line ", "cannot be read as YAML"]);
    bench.refused("---\n", &[], &["objects.yaml: holds no object"]);
    let redacted =
        coldbolt(["kube", "get", bench.source.name(), "secret/k-secret1", "-n", "every-kind", "-o", "yaml"]);
    bench.refused(redacted.text(), &[], &["data holds values that were redacted", "kube get --show-secrets"]);
}

#[test]
fn what_is_encrypted_is_not_replaced_by_plain_text_but_can_be_deleted() {
    let bench = Bench::of("encrypted-1.37");
    for name in ["survivor", "not-yet-there"] {
        let secret = format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: vault}}\nstringData: {{a: hunter2}}\n"
        );
        bench.refused(&secret, &[], &["encrypted (", "an API server that encrypts would not read"]);
    }
    let run = bench.run(&["delete", bench.source.name(), "secret", "survivor", "-n", "vault", "-w", "json"]);
    let report = run.json();
    assert_eq!(report["objects"][0]["action"], "deleted");
    let key = report["objects"][0]["key"].as_str().unwrap();
    assert!(!keys(&bench.copy()).contains_key(key));
}

#[test]
fn a_custom_resource_is_stored_in_the_encoding_of_its_kind() {
    let bench = Bench::of("encrypted-1.37");
    let name = bench.source.name();
    let got = coldbolt([
        "kube",
        "get",
        name,
        "gadgets.crypt.example.com",
        "s04-secretbox",
        "-n",
        "vault",
        "-o",
        "json",
    ]);
    bench.put(&got.text().replace("😀é", "other"), &[]).says(0, &[]);
    let after = keys(&bench.copy());
    let (_, kv) = after.iter().find(|(key, _)| key.ends_with("/gadgets/vault/s04-secretbox")).unwrap();
    let object = Object::decode(&kv.value).unwrap();
    assert_eq!((object.encoding, &object.json["spec"]["u"]), (Encoding::Cbor, &json!("other")));
}

#[test]
fn a_deleted_object_is_gone_and_its_history_is_not() {
    let bench = Bench::of("plain-1.37");
    bench
        .run(&["delete", bench.source.name(), "cm", "k-cm1", "-n", "every-kind"])
        .shows(0, &["deleted", "584 -> 822"]);
    let copy = bench.copy();
    let copy = copy.to_str().unwrap();
    let gone = coldbolt(["kube", "get", copy, "cm/k-cm1", "-n", "every-kind"]);
    gone.says(1, &["not found"]);
    coldbolt(["kube", "get", copy, "cm/k-cm1", "-n", "every-kind", "--deleted"]).shows(0, &["k-cm1", "822"]);
    // And back again, from what was printed of it.
    let deleted = coldbolt(["kube", "get", copy, "cm/k-cm1", "-n", "every-kind", "--deleted", "-o", "yaml"])
        .text()
        .to_owned();
    std::fs::write(bench.dir.path().join("old.yaml"), deleted).unwrap();
    let again = bench.dir.path().join("again.db");
    let old = bench.dir.path().join("old.yaml");
    coldbolt(["kube", "put", copy, "-f", old.to_str().unwrap(), "-o", again.to_str().unwrap()])
        .shows(0, &["created", "- -> 823"]);
    let key = "/registry/configmaps/every-kind/k-cm1";
    let (before, after) = (keys(Path::new(bench.source.name())), keys(&again));
    assert_eq!((after[key].version, after[key].create_revision), (1, 823));
    let uid = |kv: &OwnedKeyValue| Object::decode(&kv.value).unwrap().metadata("uid").map(str::to_owned);
    assert_eq!(uid(&after[key]), uid(&before[key]));
    std::fs::remove_file(copy).unwrap();
    bench.run(&["delete", bench.source.name(), "cm/none"]).says(1, &["configmap default/none: not found"]);
    bench.run(&["delete", bench.source.name(), "sprocket", "x"]).says(1, &["sprocket: no kind is called so"]);
}

#[test]
fn a_dry_run_writes_nothing_and_nothing_that_is_there_is_overwritten() {
    let bench = Bench::of("plain-1.37");
    let dry =
        coldbolt(["kube", "delete", bench.source.name(), "ns", "every-kind", "--dry-run", "-w", "json"])
            .json();
    assert_eq!((&dry["destination"], dry["revision"].as_i64()), (&Value::Null, Some(822)));
    assert_eq!(dry["objects"][0]["notes"], json!(["what is in the namespace stays"]));
    assert_eq!(std::fs::read_dir(bench.dir.path()).unwrap().count(), 1);
    let there = bench.copy();
    std::fs::write(&there, "mine").unwrap();
    let run =
        coldbolt(["kube", "delete", bench.source.name(), "ns", "every-kind", "-o", there.to_str().unwrap()]);
    run.says(1, &["exists already"]);
    assert_eq!(std::fs::read(&there).unwrap(), b"mine");
    let dir = bench.dir.path().to_str().unwrap();
    let run = coldbolt(["kube", "delete", dir, "ns", "every-kind", "--dry-run"]);
    run.says(3, &["is a directory", "`coldbolt copy`"]);
    bench.source.unchanged();
}

#[test]
fn objects_come_from_standard_input_and_a_database_without_a_trailer_stays_without() {
    let bench = Bench::of("plain-1.37");
    let bytes = std::fs::read(bench.source.name()).unwrap();
    let raw = Input::write(bench.dir.path(), "raw.db", &bytes[..bytes.len() - 32]);
    let copy = bench.copy();
    let mut child =
        command(["kube", "put", raw.name(), "-f", "-", "-n", "every-kind", "-o", copy.to_str().unwrap()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "piped"}});
    write!(child.stdin.take().unwrap(), "{object}\n{object}\n").unwrap();
    let output = wait(child, "kube put");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && !said.contains("trailer"), "{said}");
    assert!(said.contains("- -> 822") && said.contains("822 -> 823"), "{said}");
    assert_eq!(std::fs::metadata(&copy).unwrap().len() % 4096, 0);
    let both = coldbolt(["kube", "put", "-", "-f", "-", "-o", "x.db"]);
    both.says(2, &["standard input"]);
    raw.unchanged();
}
