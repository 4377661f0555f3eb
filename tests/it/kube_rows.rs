//! `export --kube`, `keys --top` and `keys --tree` where values are Kubernetes objects: beside what kubectl and Go's own
//! types made of these.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use coldbolt::bolt::writer::Options;
use serde_json::{Map, Value, json};
use support::model::{Model, Op};
use support::packed::{lines, snapshot, unpacked};
use support::{Input, Run, coldbolt, fixture};

use crate::kube_recorded::{store, versions};

const NAMES: [&str; 8] = ["group", "kind_version", "kind", "namespace", "name", "uid", "created", "manager"];

fn run(input: &Input, command: &str) -> Run {
    let mut words = command.split_whitespace();
    let run = coldbolt([words.next().unwrap(), input.name()].into_iter().chain(words));
    input.unchanged();
    run
}

fn ndjson(run: &Run) -> Vec<Value> {
    run.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Rows of CSV by the names of their columns (RFC 4180).
fn csv(text: &str) -> Vec<BTreeMap<String, String>> {
    let (mut rows, mut row, mut cell, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.next_if_eq(&'"').is_some() => cell.push('"'),
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\n' if !quoted => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            c => cell.push(c),
        }
    }
    let names: Vec<String> = rows.remove(0);
    let named = rows.into_iter().map(|row| {
        assert_eq!(row.len(), names.len(), "{row:?}");
        names.iter().cloned().zip(row).collect()
    });
    named.collect()
}

/// A database of these keys and values, each put in a revision of its own; without a value it is deleted.
fn database<'o>(dir: &Path, ops: impl IntoIterator<Item = (&'o str, Option<&'o [u8]>)>) -> Input {
    let mut model = Model::default();
    for (key, value) in ops {
        let op = value.map_or_else(|| Op::Delete(key.into()), |value| Op::Put(key.into(), value.into(), 0));
        model.txn(&[op]);
    }
    Input::write(dir, "made.db", &model.buckets().database(Options::default()))
}

/// What Go's types read of every version that is recorded, by key and revision.
fn recorded(cluster: &str) -> BTreeMap<(String, i64), Value> {
    let all = ["storage", "history"].map(|name| lines(&fixture(&format!("kube/{cluster}/{name}.ndjson.gz"))));
    let at =
        |line: &Value| (line["key"].as_str().unwrap().to_owned(), line["mod_revision"].as_i64().unwrap());
    all.into_iter().flatten().map(|line| (at(&line), line)).collect()
}

/// What the columns are to be of an object as it is stored.
fn columns(object: &Value) -> Value {
    let api_version = object["apiVersion"].as_str().unwrap();
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let metadata = &object["metadata"];
    let some = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let managed = metadata["managedFields"].as_array().cloned().unwrap_or_default();
    let newest = managed.iter().filter_map(|entry| entry["time"].as_str()).max();
    let mut managers: Vec<&str> = Vec::new();
    for entry in managed.iter().filter(|entry| entry["time"].as_str() == newest) {
        let manager = entry["manager"].as_str().unwrap();
        if !managers.contains(&manager) {
            managers.push(manager);
        }
    }
    json!({
        "group": group, "kind_version": version, "kind": object["kind"],
        "namespace": some(&metadata["namespace"]), "name": some(&metadata["name"]),
        "uid": some(&metadata["uid"]), "created": some(&metadata["creationTimestamp"]),
        "manager": some(&managers.join(",").into()),
    })
}

fn of_row(row: &Value) -> Value {
    NAMES.iter().map(|name| ((*name).to_owned(), row[*name].clone())).collect::<Map<_, _>>().into()
}

#[test]
fn export_has_columns_of_what_gos_types_read_in_every_stored_version() {
    let dir = tempfile::tempdir().unwrap();
    for (cluster, code, at_least) in [("plain-1.37", 0, 110), ("encrypted-1.37", 4, 20)] {
        let input = snapshot(dir.path(), cluster);
        let due = recorded(cluster);
        let run = run(&input, "export --kube --all-revisions --no-values");
        assert_eq!(run.code, code, "{}", run.err);
        let (mut compared, mut by_key) = (0, 0);
        for row in ndjson(&run) {
            let key = row["key"].as_str().unwrap();
            let Some(due) = due.get(&(key.to_owned(), row["mod_revision"].as_i64().unwrap())) else {
                continue;
            };
            let parts: Vec<&str> = key.split('/').collect();
            if due["storage_json"].is_object() && due["encrypted"].is_null() {
                assert_eq!(of_row(&row), columns(&due["storage_json"]), "{row}");
                compared += 1;
            } else if !key.contains("leases/") || parts.len() == 5 {
                // Encrypted or deleted: nothing but the key.
                assert_eq!(
                    (&row["name"], &row["kind_version"]),
                    (&(*parts.last().unwrap()).into(), &Value::Null)
                );
                assert_eq!(
                    (&row["uid"], &row["created"], &row["manager"]),
                    (&Value::Null, &Value::Null, &Value::Null)
                );
                let whole = ["/planets/", "/ipaddresses/"].iter().any(|resource| key.contains(resource));
                let namespace = (!whole).then(|| parts[parts.len() - 2]);
                assert_eq!(row["namespace"].as_str(), namespace, "{row}");
                let kind = match (parts[2], parts[3]) {
                    ("configmaps", _) => Some("ConfigMap"),
                    ("secrets", _) => Some("Secret"),
                    ("pods", _) => Some("Pod"),
                    ("leases", _) => Some("Lease"),
                    (_, "planets") => Some("Planet"),
                    _ => None,
                };
                assert!(kind.is_none() || row["kind"].as_str() == kind, "{row}");
                by_key += 1;
            }
        }
        assert!(compared > at_least && by_key > 4, "{cluster}: {compared} {by_key}");
    }
}

#[test]
fn what_is_encrypted_is_counted_and_the_exit_code_is_4() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "encrypted-1.37");
    let rows = run(&input, "export --kube --no-values");
    // fixtures/kube/README.md: 261 keys, 41 of them encrypted.
    assert_eq!((rows.code, ndjson(&rows).len()), (4, 261), "{}", rows.err);
    let said = "41 values could not be decoded: of them the columns have what the key tells\n";
    assert!(rows.err.ends_with(said), "{}", rows.err);
    let plain = run(&input, "export --no-values");
    assert_eq!((plain.code, &*plain.err), (0, ""));
    assert!(ndjson(&plain).iter().all(|row| row.get("kind").is_none()));
}

#[test]
fn the_object_of_a_row_is_what_kubectl_prints_in_json_and_in_csv() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "plain-1.37");
    let due: BTreeMap<(String, i64), Value> = lines(&fixture("kube/plain-1.37/kubectl.ndjson.gz"))
        .into_iter()
        .map(|line| {
            let at = (line["key"].as_str().unwrap().to_owned(), line["mod_revision"].as_i64().unwrap());
            (at, serde_json::from_str(line["json"].as_str().unwrap()).unwrap())
        })
        .collect();
    let rows = ndjson(&run(&input, "export --kube --object --show-secrets"));
    let table = csv(run(&input, "export --kube --object --show-secrets -w csv").text());
    assert_eq!(rows.len(), table.len());
    let mut compared = 0;
    for (row, cells) in rows.iter().zip(table) {
        let at = (row["key"].as_str().unwrap().to_owned(), row["mod_revision"].as_i64().unwrap());
        for name in NAMES {
            assert_eq!(row[name].as_str().unwrap_or_default(), cells[name], "{at:?} {name}");
        }
        let object: Value = serde_json::from_str(&cells["object"]).unwrap();
        assert_eq!(object, row["object"], "{at:?}");
        if let Some(due) = due.get(&at) {
            assert_eq!(object, *due, "{at:?}");
            compared += 1;
        }
    }
    assert!(compared > 70, "{compared}");
}

#[test]
fn beside_a_redacted_secret_its_value_is_left_out_until_it_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "plain-1.37");
    let key = "/registry/secrets/team-umber/rot-zinc-amber";
    let stored = versions(&store(&fixture("kube/plain-1.37")));
    let of_key = stored.range((key.to_owned(), 0)..=(key.to_owned(), i64::MAX)).map(|(_, value)| value);
    let values: Vec<&[u8]> = of_key.flatten().map(Vec::as_slice).collect();
    for format in ["ndjson", "csv"] {
        let command = format!("export --kube --object --all-revisions --prefix {key} -w {format}");
        let (quiet, loud) = (run(&input, &command), run(&input, &format!("{command} --show-secrets")));
        let rows = command.replace(&format!(" -w {format}"), " --show-secrets");
        let loud_rows = ndjson(&run(&input, &rows));
        assert!(values.len() > 1 && loud_rows.len() == values.len());
        for (row, value) in loud_rows.iter().zip(&values) {
            let data = row["object"]["data"]["v"].as_str().unwrap();
            let secret = String::from_utf8(BASE64_STANDARD.decode(data).unwrap()).unwrap();
            for text in [data, &secret, &BASE64_STANDARD.encode(value)] {
                assert!(!quiet.text().contains(text), "{text}: {quiet}");
            }
            assert!(loud.text().contains(data) && loud.text().contains(&BASE64_STANDARD.encode(value)));
        }
        assert!(quiet.text().contains("redacted len:10 sha256:"), "{quiet}");
        let said = format!("{} values are left out that are of Secrets or may be", values.len());
        assert!(quiet.err.starts_with(&said) && quiet.code == 0 && loud.err.is_empty(), "{quiet}");
    }
    // What is no Secret keeps its value, and without the object nothing is left out.
    let rows = ndjson(&run(&input, "export --kube --object --prefix /registry/configmaps/"));
    assert!(rows.iter().all(|row| row["value"].is_string() || row["value_base64"].is_string()), "{rows:?}");
    let rows = ndjson(&run(&input, &format!("export --kube --prefix {key}")));
    assert_eq!(rows[0]["value_base64"], BASE64_STANDARD.encode(values.last().unwrap()));
}

#[test]
fn what_is_no_object_has_empty_columns_and_what_is_broken_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let secret = &b"k8s\0\x0a\x0c\x0a\x02v1\x12\x06Secret\x12\x7fhunter2"[..];
    let hostile = json!({"apiVersion": "=1/v1", "kind": "+K", "metadata": {"name": "a\u{1b}[2J\n\"b\"", "x": "\u{9b}"}});
    let hostile = hostile.to_string();
    let input = database(
        dir.path(),
        [
            ("/app/json", Some(&b"{\"a\":1}"[..])),
            ("/app/text", Some(b"text")),
            ("/registry/a.b/things/ns/hostile", Some(hostile.as_bytes())),
            ("/registry/configmaps/ns/empty", Some(b"")),
            ("/registry/configmaps/ns/json", Some(b"{\"apiVersion\":")),
            ("/registry/pods/ns/gone", Some(b"text")),
            ("/registry/secrets/ns/broken", Some(secret)),
            ("/registry/secrets/ns/other", Some(b"hunter2")),
            ("/registry/pods/ns/gone", None),
        ],
    );
    let run_of = |words: &str| run(&input, &format!("export --kube {words}"));
    let quiet = run_of("--object --all-revisions");
    assert_eq!(quiet.code, 4, "{quiet}");
    assert!(
        quiet.err.contains("2 values could not be decoded") && quiet.err.contains("2 values are left out"),
        "{quiet}"
    );
    assert!(
        !quiet.text().contains("hunter2") && !quiet.text().contains(&BASE64_STANDARD.encode(secret)),
        "{quiet}"
    );
    let rows = ndjson(&quiet);
    let of = |at: usize| {
        let row = &rows[at];
        assert!(row["object"].is_null() == (at != 2), "{row}");
        NAMES.map(|name| row[name].as_str())
    };
    for at in [0, 1, 3, 5, 7] {
        assert_eq!(of(at), [None; 8], "{}", rows[at]);
    }
    assert_eq!(of(2)[..5], [Some("=1"), Some("v1"), Some("+K"), None, Some("a\u{1b}[2J\n\"b\"")]);
    assert_eq!(of(4)[..5], [Some(""), None, Some("ConfigMap"), Some("ns"), Some("json")]);
    assert_eq!(of(6)[..5], [Some(""), None, Some("Secret"), Some("ns"), Some("broken")]);
    assert_eq!(
        (&rows[8]["type"], of(8)),
        (&"delete".into(), [Some(""), None, Some("Pod"), Some("ns"), Some("gone"), None, None, None])
    );
    assert!(run_of("--object --all-revisions --show-secrets").text().contains("hunter2"));
    // In a table nothing steers a terminal, nor a spreadsheet that is not to run it.
    let table = run_of("--object --all-revisions -w csv --csv-safe");
    assert!(!table.text().contains(['\u{1b}', '\u{9b}']), "{table}");
    let cells = &csv(table.text())[2];
    assert_eq!((&*cells["group"], &*cells["kind"], &*cells["name"]), ("'=1", "'+K", "a\\u{1b}[2J\\n\"b\""));
    let object: Value = serde_json::from_str(&cells["object"]).unwrap();
    assert_eq!(
        (&object["metadata"]["name"], &object["metadata"]["x"]),
        (&"a\u{1b}[2J\n\"b\"".into(), &"\u{9b}".into())
    );
    for words in ["--object", "--etcd-prefix /x"] {
        run(&input, &format!("export {words}")).says(2, &["--kube"]);
    }
}

/// What kubectl calls the resource of each group and kind, as `deployments.apps`.
fn api_resources() -> BTreeMap<(String, String), String> {
    let text = String::from_utf8(unpacked(&fixture("kube/plain-1.37/api-resources.txt.gz"))).unwrap();
    let row = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let at = words.iter().position(|word| ["true", "false"].contains(word)).unwrap();
        let group = words[at - 1].split_once('/').map_or("", |(group, _)| group);
        let name = if group.is_empty() { words[0].to_owned() } else { format!("{}.{group}", words[0]) };
        ((group.to_owned(), words[at + 1].to_owned()), name)
    };
    text.lines().map(row).collect()
}

/// What kubectl calls the resource of an object.
fn resource<'r>(of: &'r BTreeMap<(String, String), String>, object: &Value) -> &'r str {
    let columns = columns(object);
    let text = |name: &str| columns[name].as_str().unwrap().to_owned();
    &of[&(text("group"), text("kind"))]
}

#[test]
fn the_greatest_keys_have_the_resource_that_kubectl_calls_so() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "plain-1.37");
    let of = api_resources();
    let all = ndjson(&run(&input, "keys --top 1000 -w ndjson"));
    let found: BTreeMap<&str, &Value> =
        all.iter().map(|item| (item["key"].as_str().unwrap(), &item["resource"])).collect();
    let mut compared = 0;
    for line in lines(&fixture("kube/plain-1.37/storage.ndjson.gz")) {
        let key = line["key"].as_str().unwrap();
        if line["storage_json"]["metadata"]["name"].is_string() && !key.contains("/ranges/") {
            assert_eq!(found[key], resource(&of, &line["storage_json"]), "{key}");
            compared += 1;
        }
    }
    assert!(compared > 70, "{compared}");
    // What is deleted is told by its key, what is the API server's own has none.
    assert_eq!(found["/registry/configmaps/team-umber/gone-jade-95"], "configmaps");
    assert_eq!(found["/registry/olive.example.org/planets/cl-fjord-23"], "planets.olive.example.org");
    assert!(
        found["/registry/ranges/servicenodeports"].is_null()
            && found["/registry/masterleases/192.0.2.10"].is_null()
    );

    let table = run(&input, "keys --top 1000");
    let mut lines = table.text().lines();
    let at = lines.next().unwrap().find("RESOURCE").unwrap();
    for (line, item) in lines.zip(&all) {
        let words: Vec<&str> = line[at..].split_whitespace().collect();
        let due = [item["resource"].as_str().unwrap_or("-"), item["key"].as_str().unwrap()];
        assert_eq!(words[..2], due, "{line}");
    }
    // Encrypted values have the resource of their key.
    let encrypted = snapshot(dir.path(), "encrypted-1.37");
    for item in ndjson(&run(&encrypted, "keys --top 1000 --prefix /registry/secrets/ -w ndjson")) {
        assert_eq!(item["resource"], "secrets");
    }
}

#[test]
fn a_tree_names_the_resource_behind_each_path_that_leads_to_one_alone() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "plain-1.37");
    let of = api_resources();
    // What is before namespace and name is where the resource lies.
    let mut due = BTreeMap::new();
    for line in lines(&fixture("kube/plain-1.37/storage.ndjson.gz")) {
        let (key, metadata) = (line["key"].as_str().unwrap(), &line["storage_json"]["metadata"]);
        let Some(name) = metadata["name"].as_str().filter(|_| !key.contains("/ranges/")) else { continue };
        let namespace = metadata["namespace"].as_str().map_or_else(String::new, |n| format!("{n}/"));
        let path = key.strip_suffix(&format!("{namespace}{name}")).unwrap();
        due.insert(path.to_owned(), resource(&of, &line["storage_json"]));
    }
    let tree = run(&input, "keys --tree --depth 4 -w ndjson");
    let mut compared = 0;
    for node in ndjson(&tree) {
        let (path, named) = (node["prefix"].as_str().unwrap(), node["resource"].as_str());
        if let Some(resource) = due.get(path) {
            assert_eq!(named, Some(*resource), "{path}");
            compared += 1;
        }
        let more = |other: &String| other != path && (other.starts_with(path) || path.starts_with(&**other));
        assert!(named.is_none() || !due.keys().any(more), "{node}");
        let own = ["/registry/ranges/", "/registry/masterleases/", "/registry/peerserverleases/"];
        assert!(named.is_none() || !own.contains(&path), "{node}");
    }
    assert_eq!(compared, due.len());
    assert!(compared > 65, "{compared}");
    let shown = run(&input, "keys --tree --depth 3");
    for line in [
        "  deployments/  (deployments.apps)\n",
        "    services/\n",
        "      specs/  (services)\n",
        "  minions/  (nodes)\n",
    ] {
        assert!(shown.text().contains(line), "{line}: {shown}");
    }
}

#[test]
fn objects_behind_a_prefix_of_the_users_are_named_too() {
    let dir = tempfile::tempdir().unwrap();
    let of = versions(&store(&fixture("kube/plain-1.37")));
    let value = |key: &str| {
        let mut all = of.range((key.to_owned(), 0)..=(key.to_owned(), i64::MAX));
        all.next_back().unwrap().1.clone().unwrap()
    };
    let config = value("/registry/configmaps/every-kind/k-cm1");
    let namespace = value("/registry/namespaces/default");
    let ingress = json!({"apiVersion": "extensions/v1beta1", "kind": "Ingress", "metadata": {"name": "i", "namespace": "a"}});
    let ingress = ingress.to_string();
    let input = database(
        dir.path(),
        [
            ("/own/etcd/configmaps/every-kind/k-cm1", Some(&config[..])),
            ("/own/etcd/namespaces/default", Some(&namespace)),
            ("/own/etcd/ingress/a/i", Some(ingress.as_bytes())),
            ("/own/etcd/secrets/a/gone", Some(b"k8s:enc:aescbc:v1:k:xxxx")),
            ("/own/etcd/secrets/a/gone", None),
            ("/registry/other", Some(b"text")),
        ],
    );
    let resources = |words: &str| -> Vec<(String, Option<String>)> {
        let items = ndjson(&run(&input, &format!("keys {words} -w ndjson")));
        let text = |item: &Value| item["resource"].as_str().map(str::to_owned);
        let name = |item: &Value| item["key"].as_str().or(item["prefix"].as_str()).unwrap().to_owned();
        items.iter().map(|item| (name(item), text(item))).collect()
    };
    let top: BTreeMap<_, _> = resources("--top 9").into_iter().collect();
    let tree: BTreeMap<_, _> = resources("--tree --depth 3").into_iter().collect();
    for (key, path, due) in [
        ("/own/etcd/configmaps/every-kind/k-cm1", "/own/etcd/configmaps/", "configmaps"),
        // The value tells in what group it is stored, which is not where it went later.
        ("/own/etcd/ingress/a/i", "/own/etcd/ingress/", "ingresses.extensions"),
        ("/own/etcd/secrets/a/gone", "/own/etcd/secrets/", "secrets"),
    ] {
        assert_eq!((top[key].as_deref(), tree[path].as_deref()), (Some(due), Some(due)), "{key}");
    }
    assert_eq!(top["/registry/other"], None);
    // Where the keys that are looked at do not tell the prefix, the user does.
    let part = "--prefix /own/etcd/configmaps/ --tree --depth 3";
    assert_eq!(resources(part).last().unwrap().1, None);
    let told = resources(&format!("{part} --etcd-prefix /own/etcd"));
    assert_eq!(told.last().unwrap(), &("/own/etcd/configmaps/".to_owned(), Some("configmaps".to_owned())));
    let rows = ndjson(&run(&input, "export --kube --all-revisions --no-values --prefix /own/etcd/secrets/"));
    assert_eq!(rows.iter().map(|row| row["kind"].as_str()).collect::<Vec<_>>(), [Some("Secret"); 2]);
}

#[test]
fn where_no_value_is_kubernetes_keys_like_its_own_have_no_resource() {
    let input = Input::new(fixture("etcd-3.7.1/snapshot.db"));
    let top = run(&input, "keys --top 3");
    let due = "      STORED   SHARE  KEY\n       40 kB  74.7 %  /big/value\n";
    assert!(
        top.text().starts_with(due) && top.text().contains("  /registry/configmaps/ns-2/cm-37\n"),
        "{top}"
    );
    for words in ["--top 99", "--tree --depth 9"] {
        let items = ndjson(&run(&input, &format!("keys {words} -w ndjson")));
        assert!(items.len() > 5 && items.iter().all(|item| item.get("resource").is_none()), "{items:?}");
    }
    assert!(!run(&input, "keys --tree --depth 9").text().contains("/  ("));
}

#[test]
fn get_names_the_fields_of_an_object_that_are_not_known() {
    let dir = tempfile::tempdir().unwrap();
    let map =
        &b"k8s\0\x0a\x0f\x0a\x02v1\x12\x09ConfigMap\x12\x0b\x0a\x03\x0a\x01a\x9a\x06\x03abc\x1a\0\x22\0"[..];
    let input = database(dir.path(), [("/registry/configmaps/ns/a", Some(map))]);
    let due = "1 objects have fields that are not known, and are shown without them:\n  \
               /registry/configmaps/ns/a: field 99 of the object, 3 bytes\n";
    let get = |rest: &[&str]| coldbolt([&["kube", "get", input.name(), "cm", "-n", "ns"], rest].concat());
    let yaml = get(&["a", "-o", "yaml"]);
    assert!(yaml.code == 0 && yaml.err.contains(due) && yaml.text().contains("name: a\n"), "{yaml}");
    let table = get(&[]);
    assert!(table.code == 0 && !table.err.contains("not known"), "{table}");
}

#[test]
fn what_lies_among_secrets_shows_nothing_of_itself_whatever_it_says_that_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let text = |kind: &str, password: &str| {
        let data = json!({ "password": BASE64_STANDARD.encode(password) });
        let metadata = json!({"name": "a", "namespace": "ns"});
        json!({"apiVersion": "v1", "kind": kind, "metadata": metadata, "data": data}).to_string()
    };
    let (one, other) = (text("secret", "hunter2"), text("Secreu", "hunter3"));
    let broken = &b"k8s\0\x0a\x0c\x0a\x02v1\x12\x06Secret\x12\x7fhunter2"[..];
    let (at, damaged) = ("/registry/secrets/ns/a", "/registry/secrets/ns/b");
    let input = database(
        dir.path(),
        [(at, Some(one.as_bytes())), (damaged, Some(broken)), (at, Some(other.as_bytes()))],
    );
    let name = input.name();
    let commands: [&[&str]; 9] = [
        &["kube", "get", name, "secrets", "-n", "ns", "-o", "yaml"],
        &["kube", "get", name, "secrets", "-n", "ns", "-o", "json", "--as-stored"],
        &["kube", "diff", name, "--from-rev", "2", "--to-rev", "4"],
        &["kube", "history", name, "secret", "a", "-n", "ns"],
        &["get", name, "/registry/", "--prefix", "--decode"],
        &["get", name, "/registry/", "--prefix", "--decode", "-w", "json"],
        &["export", name, "--kube", "--object", "-w", "ndjson"],
        &["events", name, "--decode", "--values"],
        &["history", name, at, "--diff", "--values"],
    ];
    for args in commands {
        let run = coldbolt(args);
        assert!(run.code != 2 && run.code < 5 && run.text().contains('a'), "{run}");
        let said = format!("{} {}", run.text(), run.err);
        for secret in ["hunter2", "hunter3"] {
            let texts = [secret.to_owned(), BASE64_STANDARD.encode(secret)];
            let values = [&one, &other].map(|text| BASE64_STANDARD.encode(text));
            assert!(texts.iter().chain(&values).all(|text| !said.contains(text)), "{run}");
        }
        assert!(!said.contains(&BASE64_STANDARD.encode(broken)), "{run}");
    }
    let run = coldbolt(["get", name, damaged, "--decode"]);
    assert!(run.code == 4 && run.text().contains("<redacted len:"), "{run}");
    let shown = coldbolt(["get", name, at, "--decode", "--show-secrets"]);
    assert!(shown.code == 0 && shown.text().contains(&BASE64_STANDARD.encode("hunter3")), "{shown}");
    input.unchanged();
}
