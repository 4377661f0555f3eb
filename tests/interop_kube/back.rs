//! What goes back into a cluster: a namespace that was extracted.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;
use support::coldbolt;
use support::kube_server::KubeServer;

use crate::fed::Fed;

/// Each object of a directory by the path of its file.
fn files(dir: &Path) -> BTreeMap<String, String> {
    let (mut found, mut pending) = (BTreeMap::new(), vec![dir.to_path_buf()]);
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
            found.insert(name, fs::read_to_string(path).unwrap());
        }
    }
    found
}

fn extract(snapshot: &Path, to: &Path) {
    let (snapshot, to) = (snapshot.to_str().unwrap(), to.to_str().unwrap());
    let args =
        ["kube", "extract", snapshot, "-n", "every-kind", "--apply-ready", "--with-references", "-o", to];
    let run = coldbolt(args);
    assert_eq!(run.code, 0, "{run}");
}

/// What of an object another cluster must have too.
fn kept(mut object: Value) -> Value {
    let metadata = object["metadata"].as_object_mut().unwrap();
    metadata.retain(|name, _| ["name", "namespace", "labels", "annotations"].contains(&&**name));
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        // What kubectl remembers of an object, which it does anew.
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
    object.as_object_mut().unwrap().remove("status");
    object
}

#[test]
fn a_namespace_that_was_extracted_is_applied_to_an_empty_cluster_and_comes_back_equal() {
    let Some(fed) = Fed::start() else { return };
    let dir = tempfile::tempdir().unwrap();
    let (first, again) = (dir.path().join("first"), dir.path().join("again"));
    extract(&fed.snapshot.path, &first);
    let Some(other) = KubeServer::start() else {
        return;
    };
    let definitions = first.join("1-definitions");
    let apply = |path: &Path| {
        let args = ["apply", "--server-side", "-R", "-f", path.to_str().unwrap()];
        other.kubectl(&args)
    };
    assert!(definitions.is_dir(), "{:?}", files(&first).keys());
    apply(&definitions);
    other.kubectl(&["wait", "--for=condition=established", "--timeout=60s", "crd", "--all"]);
    apply(&first);
    let snapshot = dir.path().join("other.db");
    other.etcd.save(&snapshot);
    extract(&snapshot, &again);
    let (due, ours) = (files(&first), files(&again));
    for (name, text) in &due {
        assert_eq!(ours.get(name), Some(text), "{name}");
    }
    assert!(due.len() > 35, "{:?}", due.keys());
    // What both servers say of what has nothing that a cluster gives.
    for kind in [
        "configmaps",
        "secrets",
        "deployments.apps",
        "statefulsets.apps",
        "roles",
        "boats",
        "networkpolicies",
    ] {
        let both = [&fed.server, &other].map(|server| {
            let list = server.kubectl(&["get", kind, "-n", "every-kind", "-o", "json"]);
            let list: Value = serde_json::from_str(&list).unwrap();
            list["items"].as_array().unwrap().iter().cloned().map(kept).collect::<Vec<_>>()
        });
        assert!(!both[0].is_empty() && both[0] == both[1], "{kind}: {both:#?}");
    }
}
