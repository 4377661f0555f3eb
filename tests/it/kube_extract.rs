//! `coldbolt kube extract`: what is in the files, where they are, and what becomes of objects that are to be applied.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use coldbolt::bolt::writer::Options;
use coldbolt::io::Source;
use coldbolt::kube::cluster::Cluster;
use coldbolt::kube::extract::{Chosen, ExtractOptions, Extraction, Outcome};
use coldbolt::store::{Store, StoreOptions};
use coldbolt::words::monitor::Quiet;
use serde_json::{Value, json};
use support::model::{Model, Op};
use support::packed::{lines, snapshot, unpacked};
use support::run::{Run, binary, command, wait};
use support::{Input, coldbolt};

use crate::kube_recorded::{Compared, clusters, in_order};

/// A database with these keys and values, one written after the other.
fn database(dir: &Path, items: &[(&str, Value)]) -> Input {
    let mut model = Model::default();
    for (key, value) in items {
        model.txn(&[Op::Put(key.as_bytes().to_vec(), value.to_string().into_bytes(), 0)]);
    }
    let mut buckets = model.buckets();
    buckets.put("meta", b"consistent_index", &9u64.to_be_bytes());
    Input::write(dir, "made.db", &buckets.database(Options::default()))
}

/// An object in a namespace, with more fields.
fn object(api: &str, kind: &str, namespace: &str, name: &str, more: Value) -> Value {
    let mut metadata = json!({"name": name, "uid": format!("{kind}-{namespace}-{name}")});
    if !namespace.is_empty() {
        metadata["namespace"] = namespace.into();
    }
    let mut object = json!({"apiVersion": api, "kind": kind, "metadata": metadata});
    for (field, value) in more.as_object().unwrap() {
        match (field.as_str(), value) {
            ("metadata", Value::Object(more)) => {
                object["metadata"].as_object_mut().unwrap().extend(more.clone());
            }
            _ => object[field] = value.clone(),
        }
    }
    object
}

/// `kube extract` of that file into a directory or file beside it, which it must leave as it is.
fn extract(input: &Input, to: &Path, args: &str) -> Run {
    let head = ["kube", "extract", input.name(), "-o", to.to_str().unwrap()];
    let run = coldbolt(head.into_iter().chain(args.split_whitespace()));
    input.unchanged();
    run
}

/// The report of an extraction: items by their object.
fn report(input: &Input, to: &Path, args: &str) -> BTreeMap<String, Value> {
    let run = extract(input, to, &format!("{args} -w json"));
    let answer = run.json();
    assert_eq!(answer["schema"], "coldbolt.kube-extract/1", "{run}");
    let items = answer["objects"].as_array().unwrap().iter();
    items.map(|item| (item["object"].as_str().unwrap().to_owned(), item.clone())).collect()
}

/// The paths of all files below, as text, with what they hold.
fn files(dir: &Path) -> BTreeMap<String, String> {
    let (mut found, mut pending) = (BTreeMap::new(), vec![dir.to_path_buf()]);
    while let Some(path) = pending.pop() {
        let mode = fs::symlink_metadata(&path).unwrap().permissions().mode() & 0o777;
        if path.is_dir() {
            assert_eq!(mode, 0o700, "{}", path.display());
            pending.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            assert_eq!(mode, 0o600, "{}", path.display());
            let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
            found.insert(name, fs::read_to_string(path).unwrap());
        }
    }
    found
}

fn names(dir: &Path) -> BTreeSet<String> {
    files(dir).into_keys().collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// The documents of a stream; inside of one no line begins so.
fn documents(stream: &str) -> Vec<&str> {
    let stream = stream.strip_prefix("---\n").unwrap_or(stream);
    stream.split_inclusive("\n---\n").map(|text| text.strip_suffix("---\n").unwrap_or(text)).collect()
}

#[test]
fn every_object_is_in_a_file_as_kubectl_printed_it() {
    for cluster in clusters() {
        let dir = tempfile::tempdir().unwrap();
        let input = Input::write(dir.path(), "snapshot.db", &unpacked(&cluster.join("snapshot.db.gz")));
        let (to, tar) = (dir.path().join("objects"), dir.path().join("objects.tar"));
        let items = report(&input, &to, "-A");
        let mut files = files(&to);
        let written = items.values().filter(|item| item["outcome"] == "written").count();
        assert_eq!(files.len(), written);
        let by_key: BTreeMap<_, _> =
            items.values().map(|item| ((item["key"].as_str(), item["revision"].as_i64()), item)).collect();
        let mut compared = Compared::default();
        for line in lines(&cluster.join("kubectl.ndjson.gz")) {
            // What was written since is of another revision, and what kubectl refuses to print has no text.
            let item = by_key.get(&(line["key"].as_str(), line["mod_revision"].as_i64()));
            if let (Some(file), Some(due)) =
                (item.and_then(|item| item["file"].as_str()), line["yaml"].as_str())
            {
                compared.take(file, in_order(&files[file], due), due);
            }
        }
        compared.judge(&format!("{}: extracted", cluster.display()), 10);

        extract(&input, &tar, "-A");
        assert_eq!(fs::metadata(&tar).unwrap().permissions().mode() & 0o777, 0o600);
        for entry in tar::Archive::new(fs::File::open(&tar).unwrap()).entries().unwrap() {
            let mut entry = entry.unwrap();
            assert_eq!(entry.header().mode().unwrap(), 0o600);
            let name = entry.path().unwrap().to_str().unwrap().to_owned();
            let mut text = String::new();
            std::io::Read::read_to_string(&mut entry, &mut text).unwrap();
            assert_eq!(files.remove(&name).as_deref(), Some(&*text), "{name}");
        }
        assert!(files.is_empty(), "not in the tar: {files:?}");
    }
}

#[test]
fn what_is_ready_to_be_applied_is_so_when_it_is_stored_and_extracted_again() {
    for cluster in clusters() {
        let dir = tempfile::tempdir().unwrap();
        let input = Input::write(dir.path(), "snapshot.db", &unpacked(&cluster.join("snapshot.db.gz")));
        let to = [1, 2, 3].map(|n| dir.path().join(n.to_string()));
        extract(&input, &to[0], "--apply-ready");
        extract(&input, &to[1], "--apply-ready");
        let first = files(&to[0]);
        assert!(first.len() > 20 && first == files(&to[1]), "the same again");
        for text in first.values() {
            for gone in ["\n  uid: ", "\n  resourceVersion: ", "\n  creationTimestamp: ", "\nstatus:"] {
                assert!(!text.contains(gone), "{gone:?} in\n{text}");
            }
        }
        let stored = ready(&input);
        let stored: Vec<(&str, Value)> =
            stored.iter().map(|(key, json)| (key.as_str(), json.clone())).collect();
        assert_eq!(stored.len(), first.len());
        let again = database(dir.path(), &stored);
        extract(&again, &to[2], "--apply-ready");
        assert_eq!(first, files(&to[2]));
    }
}

/// What the library says is ready to be applied, by key.
fn ready(input: &Input) -> Vec<(String, Value)> {
    let source = Source::open(&input.path).unwrap();
    let store = Store::open(&source, &StoreOptions::default(), &Quiet).unwrap();
    let cluster = Cluster::open(store.at(None).unwrap(), None).unwrap();
    let (choices, options) =
        ([Chosen::default()], ExtractOptions { apply_ready: true, ..Default::default() });
    let mut found = Vec::new();
    let extraction = Extraction::prepare(&cluster, &choices, &options).unwrap();
    let each = extraction.each(None, |_, _| (), &mut |extracted, outcome| {
        if let Outcome::Object(object, ..) = outcome {
            let key = String::from_utf8(extracted.stored.kv.key.clone()).unwrap();
            found.push((key, Value::Object(object.json)));
        }
        ControlFlow::Continue(())
    });
    each.unwrap();
    found
}

#[test]
fn names_of_a_hostile_file_stay_below_the_directory_and_apart() {
    let dir = tempfile::tempdir().unwrap();
    let long = "n".repeat(300);
    let config = |namespace: &str, name: &str| object("v1", "ConfigMap", namespace, name, json!({}));
    let input = database(
        dir.path(),
        &[
            ("/registry/configmaps/a/x1", config("..", "../../../x")),
            ("/registry/configmaps/a/x2", config("/etc", "/etc/passwd")),
            ("/registry/configmaps/a/x3", config("_cluster", "a\nb\u{1b}[2J")),
            ("/registry/configmaps/a/x4", config("a", "NUL")),
            ("/registry/configmaps/a/x5", config("a", "nul")),
            ("/registry/configmaps/a/x6", config("a", "same")),
            ("/registry/configmaps/a/x7", config("a", "same")),
            ("/registry/configmaps/a/x8", config("a", &long)),
            ("/registry/configmaps/a/x9", config("a", &format!("{long}n"))),
            ("/registry/namespaces/_cluster", object("v1", "Namespace", "", "_cluster", json!({}))),
            ("/registry/things/a/y1", object("v1", "../../Kind", "a", "y", json!({}))),
        ],
    );
    let to = dir.path().join("in/objects");
    let items = coldbolt(["kube", "extract", input.name(), "-o", to.to_str().unwrap(), "-w", "json"]).json();
    let found = names(&to);
    assert_eq!(found.len(), 11, "{found:?}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing beside it");
    for name in &found {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "%~-._/".contains(c);
        assert!(name.chars().all(plain) && name.split('/').all(|part| part.len() < 256), "{name}");
        assert_eq!(name.split('/').count(), 3, "{name}");
    }
    for due in
        ["%2e%2e/configmap/%2e.%2f..%2f..%2fx.yaml", "a/configmap/%6eul.yaml", "a/configmap/%4e%55%4c.yaml"]
    {
        assert!(found.contains(due), "{due} is not in {found:?}");
    }
    let escaped = items["objects"].as_array().unwrap().iter().filter(|item| item["escaped"] == true).count();
    assert_eq!(escaped, 10, "all but the first of the two that are called the same");
    // The report is only printed by a terminal.
    let run = extract(&input, &dir.path().join("again"), "");
    assert!(run.err.contains("11 objects written") && !run.err.contains('\u{1b}'), "{run}");
}

#[test]
fn nothing_is_overwritten_and_nothing_is_made_of_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "plain-1.37");
    for name in ["objects", "objects.tar"] {
        let to = dir.path().join(name);
        extract(&input, &to, "cm -n nowhere").says(1, &["nothing was written"]);
        extract(&input, &to, "sprockets").says(1, &["no kind is called"]);
        assert!(!to.exists());
        fs::write(&to, "precious").unwrap();
        extract(&input, &to, "cm -A").says(1, &["exists already"]);
        assert_eq!(fs::read(&to).unwrap(), b"precious");
    }
    // One file, if its name says so.
    let to = dir.path().join("web.yaml");
    let run = extract(&input, &to, "cm k-cm1 -n every-kind");
    run.says(0, &["1 objects written"]);
    let (stream, file) = (extract(&input, Path::new("-"), "cm k-cm1 -n every-kind"), fs::read(&to).unwrap());
    assert!(!file.is_empty() && stream.out == file, "{stream}");
    assert_eq!(fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
    extract(&input, &to, "cm -A").says(1, &["exists already"]);
    extract(&input, &dir.path().join("x.json"), "cm -A").says(2, &["objects are written as YAML"]);
    // One is not there: the others are made, and it is said.
    let to = dir.path().join("some");
    let run = extract(&input, &to, "cm k-cm1 gone -n every-kind");
    run.says(1, &["Error: configmaps \"gone\" not found", "1 objects written"]);
    assert_eq!(names(&to), set(&["every-kind/configmap/k-cm1.yaml"]));
    extract(&input, Path::new("-"), "-w json").says(2, &["cannot both go to standard output"]);
    let inside = Input::new(dir.path());
    let run = coldbolt(["kube", "extract", inside.name(), "-o", dir.path().join("x").to_str().unwrap()]);
    assert_eq!(run.code, 2, "{run}");
    inside.unchanged();
}

#[test]
fn objects_are_chosen_as_kubectl_chooses_them_and_a_namespace_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "plain-1.37");
    let to = dir.path().join("objects");
    let of = |args: &str| {
        extract(&input, &to, args);
        let found = names(&to);
        fs::remove_dir_all(&to).unwrap();
        found
    };
    let due = ["every-kind/pod/k-pod1.yaml", "every-kind/service/k-service1.yaml"];
    assert_eq!(of("po,svc -n every-kind"), set(&due));
    let due = ["_cluster/namespace/default.yaml"];
    assert_eq!(of("ns -l kubernetes.io/metadata.name=default"), set(&due));
    assert_eq!(of("cm --deleted -A"), set(&["team-umber/configmap/gone-jade-95.yaml"]));
    let whole = of("-n every-kind");
    assert!(whole.len() > 40 && whole.contains("_cluster/namespace/every-kind.yaml"), "{whole:?}");
    let outside = whole.iter().filter(|name| !name.starts_with("every-kind/")).count();
    assert_eq!(outside, 1, "{whole:?}");
    let get = coldbolt(["kube", "get", input.name(), "all-kinds", "-o", "name"]).text().lines().count();
    assert_eq!(of("").len(), get);
}

#[test]
fn what_lies_among_the_objects_and_is_none_is_counted_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let map = object("v1", "ConfigMap", "shop", "a", json!({}));
    let input = database(
        dir.path(),
        &[
            ("/registry/namespaces/default", object("v1", "Namespace", "", "default", json!({}))),
            ("/registry/configmaps/shop/a", map.clone()),
            ("/registry/configmaps/shop/a/b/c", map),
            ("/registry/ranges/serviceips", json!({"range": "192.0.2.0/24"})),
            ("/registry/masterleases/192.0.2.1", json!({})),
            ("/elsewhere/x", json!({})),
        ],
    );
    let run = extract(&input, &dir.path().join("all"), "");
    run.says(
        0,
        &[
            "2 objects written",
            "2 keys are no objects, the API server keeps them for itself:",
            "  /registry/ranges/serviceips",
            "1 keys are no objects:",
            "  /registry/configmaps/shop/a/b/c",
        ],
    );
    assert!(!run.to_string().contains("/elsewhere"), "{run}");
    let items = report(&input, &dir.path().join("again"), "");
    let lease = &items["/registry/masterleases/192.0.2.1"];
    assert_eq!(
        (&lease["outcome"], &lease["reason"]),
        (&json!("no-object"), &json!("the API server keeps it for itself"))
    );
    assert_eq!(items["/registry/configmaps/shop/a/b/c"]["reason"], "its key is no object's");
    // Who asks for some objects is not told of what else there is.
    for some in ["cm -A", "-n shop", "-l a=b"] {
        let run = extract(&input, &dir.path().join(some), some);
        assert!(!run.to_string().contains("no objects"), "{run}");
    }
}

#[test]
fn what_is_encrypted_is_named_and_the_rest_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "encrypted-1.37");
    let run = extract(&input, &dir.path().join("objects"), "secrets -n vault");
    run.says(
        4,
        &[
            "objects could not be extracted",
            "/registry/secrets/vault/s04-secretbox-0: encrypted by secretbox:v1:sb1",
        ],
    );
    let items = report(&input, &dir.path().join("again"), "secrets -n vault");
    let survivor = &items["vault/secrets/survivor"];
    assert_eq!(
        (&survivor["outcome"], &survivor["reason"]),
        (&json!("undecoded"), &json!("encrypted by secretbox:v1:key1"))
    );
    // Alone there is nothing to be made.
    let to = dir.path().join("one");
    extract(&input, &to, "secret/survivor -n vault").says(4, &["nothing was written"]);
    assert!(!to.exists());
    // What has which labels is not known of it.
    let labelled = dir.path().join("labelled");
    extract(&input, &labelled, "secrets -n vault -l no=such").says(4, &["objects could not be extracted"]);
}

/// A shop with everything that it needs, and some things that it does not.
fn shop() -> Vec<(&'static str, Value)> {
    let pod = json!({
        "serviceAccountName": "till",
        "priorityClassName": "high",
        "imagePullSecrets": [{"name": "pull"}],
        "containers": [{
            "name": "c",
            "env": [{"valueFrom": {"secretKeyRef": {"name": "db", "key": "p"}}}],
            "envFrom": [{"configMapRef": {"name": "maybe", "optional": true}}, {"configMapRef": {"name": "gone"}}],
        }],
        "volumes": [
            {"name": "a", "configMap": {"name": "settings"}},
            {"name": "b", "persistentVolumeClaim": {"claimName": "disk"}},
            {"name": "c", "projected": {"sources": [{"secret": {"name": "cert"}}]}},
        ],
    });
    let owned = |kind: &str, name: &str| {
        let owner =
            json!({"kind": kind, "name": name, "uid": format!("{kind}-shop-{name}"), "controller": true});
        json!({"metadata": {"ownerReferences": [owner]}, "spec": {"nodeName": "n1"}})
    };
    let bound = json!({"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "sell"},
                       "subjects": [{"kind": "ServiceAccount", "name": "till"}]});
    let every = json!({"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "look"},
                       "subjects": [{"kind": "Group", "name": "system:serviceaccounts:shop"}]});
    let other = json!({"roleRef": {"kind": "ClusterRole", "name": "no"}, "subjects": [{"kind": "User", "name": "u"}]});
    let claim = json!({"spec": {"volumeName": "pv1", "storageClassName": "fast"}});
    let volume = json!({"spec": {"storageClassName": "fast",
                        "claimRef": {"namespace": "shop", "name": "disk", "uid": "old"}}});
    let definition = json!({"spec": {"group": "shop.io", "scope": "Namespaced",
        "names": {"plural": "carts", "kind": "Cart"},
        "versions": [{"name": "v1", "served": true, "storage": true}]}});
    let rbac = "rbac.authorization.k8s.io/v1";
    let o = object;
    vec![
        ("/registry/namespaces/shop", o("v1", "Namespace", "", "shop", json!({}))),
        (
            "/registry/deployments/shop/web",
            o("apps/v1", "Deployment", "shop", "web", json!({"spec": {"template": {"spec": pod}}})),
        ),
        (
            "/registry/replicasets/shop/web-1",
            o("apps/v1", "ReplicaSet", "shop", "web-1", owned("Deployment", "web")),
        ),
        ("/registry/pods/shop/web-1-x", o("v1", "Pod", "shop", "web-1-x", owned("ReplicaSet", "web-1"))),
        ("/registry/pods/shop/bare", o("v1", "Pod", "shop", "bare", owned("Nobody", "x"))),
        ("/registry/serviceaccounts/shop/till", o("v1", "ServiceAccount", "shop", "till", json!({}))),
        ("/registry/rolebindings/shop/b", o(rbac, "RoleBinding", "shop", "b", bound)),
        ("/registry/roles/shop/sell", o(rbac, "Role", "shop", "sell", json!({"rules": []}))),
        ("/registry/clusterrolebindings/all", o(rbac, "ClusterRoleBinding", "", "all", every)),
        ("/registry/clusterrolebindings/other", o(rbac, "ClusterRoleBinding", "", "other", other)),
        ("/registry/clusterroles/look", o(rbac, "ClusterRole", "", "look", json!({"rules": []}))),
        ("/registry/clusterroles/no", o(rbac, "ClusterRole", "", "no", json!({"rules": []}))),
        (
            "/registry/configmaps/shop/settings",
            o("v1", "ConfigMap", "shop", "settings", json!({"data": {"a": "1"}})),
        ),
        ("/registry/configmaps/shop/unused", o("v1", "ConfigMap", "shop", "unused", json!({}))),
        ("/registry/secrets/shop/pull", o("v1", "Secret", "shop", "pull", json!({}))),
        (
            "/registry/secrets/shop/db",
            o("v1", "Secret", "shop", "db", json!({"data": {"p": "aHVudGVyMg=="}})),
        ),
        ("/registry/secrets/shop/cert", o("v1", "Secret", "shop", "cert", json!({}))),
        ("/registry/secrets/other/db", o("v1", "Secret", "other", "db", json!({}))),
        (
            "/registry/persistentvolumeclaims/shop/disk",
            o("v1", "PersistentVolumeClaim", "shop", "disk", claim),
        ),
        ("/registry/persistentvolumes/pv1", o("v1", "PersistentVolume", "", "pv1", volume)),
        ("/registry/storageclasses/fast", o("storage.k8s.io/v1", "StorageClass", "", "fast", json!({}))),
        ("/registry/priorityclasses/high", o("scheduling.k8s.io/v1", "PriorityClass", "", "high", json!({}))),
        (
            "/registry/apiextensions.k8s.io/customresourcedefinitions/carts.shop.io",
            o("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "carts.shop.io", definition),
        ),
        (
            "/registry/shop.io/carts/shop/c1",
            o("shop.io/v1", "Cart", "shop", "c1", json!({"status": {"full": true}})),
        ),
        (
            "/registry/validatingwebhookconfigurations/w",
            o("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "", "w", json!({})),
        ),
    ]
}

#[test]
fn with_references_an_object_brings_along_what_it_needs_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let input = database(dir.path(), &shop());
    let to = dir.path().join("web");
    let items = report(&input, &to, "deploy/web,cart/c1 -n shop --with-references");
    let due = [
        "_cluster/clusterrole.rbac.authorization.k8s.io/look.yaml",
        "_cluster/clusterrolebinding.rbac.authorization.k8s.io/all.yaml",
        "_cluster/customresourcedefinition.apiextensions.k8s.io/carts.shop.io.yaml",
        "_cluster/namespace/shop.yaml",
        "_cluster/persistentvolume/pv1.yaml",
        "_cluster/priorityclass.scheduling.k8s.io/high.yaml",
        "_cluster/storageclass.storage.k8s.io/fast.yaml",
        "shop/cart.shop.io/c1.yaml",
        "shop/configmap/settings.yaml",
        "shop/deployment.apps/web.yaml",
        "shop/persistentvolumeclaim/disk.yaml",
        "shop/role.rbac.authorization.k8s.io/sell.yaml",
        "shop/rolebinding.rbac.authorization.k8s.io/b.yaml",
        "shop/secret/cert.yaml",
        "shop/secret/db.yaml",
        "shop/secret/pull.yaml",
        "shop/serviceaccount/till.yaml",
    ];
    assert_eq!(names(&to), set(&due));
    let by = |object: &str| (items[object]["outcome"].as_str(), items[object]["needed_by"].as_str());
    assert_eq!(by("shop/deployment.apps/web"), (Some("written"), None));
    assert_eq!(by("shop/secret/db"), (Some("written"), Some("shop/deployment.apps/web")));
    assert_eq!(by("persistentvolume/pv1"), (Some("written"), Some("shop/persistentvolumeclaim/disk")));
    assert_eq!(
        by("shop/rolebinding.rbac.authorization.k8s.io/b"),
        (Some("written"), Some("shop/serviceaccount/till"))
    );
    // What may be absent is no loss.
    let missing: Vec<_> = items.iter().filter(|(_, item)| item["outcome"] == "missing").collect();
    assert_eq!(missing.len(), 1, "{missing:?}");
    assert_eq!(by("shop/configmap/gone"), (Some("missing"), Some("shop/deployment.apps/web")));
    let run = extract(&input, &dir.path().join("again"), "deploy/web -n shop --with-references");
    run.says(
        0,
        &["1 objects are needed and not there:", "  shop/configmap/gone, by shop/deployment.apps/web"],
    );
    // Without, it is alone.
    let to = dir.path().join("alone");
    extract(&input, &to, "deploy/web -n shop").says(0, &[]);
    assert_eq!(names(&to), set(&["shop/deployment.apps/web.yaml"]));
}

#[test]
fn what_is_applied_is_in_the_order_that_a_server_needs_and_free_of_what_it_was_bound_to() {
    let dir = tempfile::tempdir().unwrap();
    let input = database(dir.path(), &shop());
    let to = dir.path().join("ready");
    let items = report(&input, &to, "--apply-ready");
    let of = |object: &str| (items[object]["outcome"].as_str().unwrap(), items[object]["file"].as_str());
    for (object, due) in [
        ("namespace/shop", "1-definitions/_cluster/namespace/shop.yaml"),
        (
            "customresourcedefinition.apiextensions.k8s.io/carts.shop.io",
            "1-definitions/_cluster/customresourcedefinition.apiextensions.k8s.io/carts.shop.io.yaml",
        ),
        ("shop/secret/db", "2-settings/shop/secret/db.yaml"),
        ("shop/deployment.apps/web", "4-others/shop/deployment.apps/web.yaml"),
        ("shop/cart.shop.io/c1", "4-others/shop/cart.shop.io/c1.yaml"),
        (
            "validatingwebhookconfiguration.admissionregistration.k8s.io/w",
            "5-hooks/_cluster/validatingwebhookconfiguration.admissionregistration.k8s.io/w.yaml",
        ),
    ] {
        assert_eq!(of(object), ("written", Some(due)));
    }
    // The Deployment makes them anew; the bare Pod is nobody's.
    assert_eq!(of("shop/replicaset.apps/web-1"), ("left-out", None));
    assert_eq!(of("shop/pod/web-1-x"), ("left-out", None));
    let removed = |object: &str| {
        let all = items[object]["removed"].as_array().unwrap().iter();
        all.map(|removal| removal["path"].as_str().unwrap().to_owned()).collect::<BTreeSet<_>>()
    };
    let due = ["metadata.ownerReferences[0]", "metadata.resourceVersion", "metadata.uid", "spec.nodeName"];
    assert_eq!(removed("shop/pod/bare"), set(&due));
    let files = files(&to);
    let volume = &files["2-settings/_cluster/persistentvolume/pv1.yaml"];
    assert!(volume.contains("claimRef:\n    name: disk\n    namespace: shop\n"), "{volume}");
    let claim = &files["2-settings/shop/persistentvolumeclaim/disk.yaml"];
    assert!(claim.ends_with("spec:\n  storageClassName: fast\n"), "{claim}");
    // Its definition has no status apart: it is a field like others.
    assert!(files["4-others/shop/cart.shop.io/c1.yaml"].contains("status:\n  full: true"));
    // A stream is in the same order, as is a tar.
    let stream = extract(&input, Path::new("-"), "--apply-ready");
    let sorted: Vec<&String> = files.values().collect();
    let phase = |text: &str| {
        sorted.iter().position(|file| **file == text).map(|at| files.keys().nth(at).unwrap()[..1].to_owned())
    };
    let phases: Vec<_> = documents(stream.text()).iter().map(|text| phase(text).unwrap()).collect();
    assert!(phases.is_sorted() && phases.len() == files.len(), "{phases:?}");
    let tar = dir.path().join("ready.tar");
    extract(&input, &tar, "--apply-ready");
    let mut archive = tar::Archive::new(fs::File::open(&tar).unwrap());
    let names: Vec<_> = archive
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().to_str().unwrap()[..1].to_owned())
        .collect();
    assert_eq!(names, phases);
}

#[test]
fn a_stream_that_nobody_reads_to_its_end_is_a_failure() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "plain-1.37");
    let mut child = command(["kube", "extract", input.name(), "-o", "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = wait(child, "kube extract");
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("whoever reads it went away"), "{said}");
    input.unchanged();
}

#[test]
fn a_terminal_is_shown_no_secret_until_it_is_asked_for_and_a_file_has_them() {
    let dir = tempfile::tempdir().unwrap();
    let input = database(dir.path(), &shop());
    let secret = "aHVudGVyMg==";
    assert!(extract(&input, Path::new("-"), "secret/db -n shop").text().contains(secret));
    let to = dir.path().join("objects");
    extract(&input, &to, "secret/db -n shop").says(0, &[]);
    assert!(files(&to)["shop/secret/db.yaml"].contains(secret));
    let on_terminal = |more: &str| {
        let line =
            format!("'{}' kube extract '{}' secret/db -n shop -o - {more}", binary().display(), input.name());
        let shown = std::process::Command::new("script")
            .args(["-qec", &line, "/dev/null"])
            .stdin(Stdio::null())
            .output();
        shown.ok().map(|shown| String::from_utf8(shown.stdout).unwrap())
    };
    let Some(shown) = on_terminal("") else {
        println!("skipped: no script(1)");
        return;
    };
    assert!(shown.contains("<redacted len:7 ") && !shown.contains(secret), "{shown}");
    assert!(shown.contains("--show-secrets shows it"), "{shown}");
    assert!(on_terminal("--show-secrets").unwrap().contains(secret));
    input.unchanged();
}
