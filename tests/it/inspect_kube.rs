//! What `inspect` tells of a Kubernetes cluster, on databases of real API servers. Due is what Go's types made of the
//! same values.

use std::collections::BTreeSet;

use coldbolt::kube::schema::schema;
use serde_json::{Value, json};
use support::packed::{lines, snapshot};
use support::{Input, coldbolt, fixture};

#[test]
fn a_cluster_is_told_with_its_version_nodes_namespaces_and_objects() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "plain-1.37");
    let run = coldbolt(["inspect", input.name(), "-w", "json"]);
    let answer: Value = serde_json::from_str(run.text()).unwrap();
    let cluster = &answer["database"]["kubernetes"];

    let stored = lines(&fixture("kube/plain-1.37/storage.ndjson.gz"));
    let kinds = stored.iter().map(|line| &line["storage_json"]);
    let newest = kinds.filter_map(|object| {
        Some(schema().kind(object["apiVersion"].as_str()?, object["kind"].as_str()?)?.first)
    });
    let newest = newest.max().unwrap();
    // What kubectl listed, of what is in no namespace by its first column.
    let tables = lines(&fixture("kube/plain-1.37/tables.ndjson.gz"));
    let listed = |resource: &str| -> BTreeSet<String> {
        let command = format!("kubectl get {resource} -A");
        let table = tables.iter().find(|table| table["command"] == *command).unwrap();
        let lines = table["output"].as_str().unwrap().lines().skip(1);
        lines.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
    };
    let (nodes, namespaces) = (listed("nodes"), listed("namespaces"));
    let rows = |resource: &str| {
        let command = format!("kubectl get {resource} -A");
        let table = tables.iter().find(|table| table["command"] == *command).unwrap();
        table["output"].as_str().unwrap().lines().count() - 1
    };
    let counts =
        ["secrets", "deployments", "clusterroles", "pods"].map(|resource| (resource, rows(resource)));
    let names = |value: &Value| -> BTreeSet<String> {
        value.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(cluster["nodes"].as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>(), nodes);
    assert_eq!(names(&cluster["namespaces"]), namespaces);
    assert_eq!(names(&cluster["api_servers"]), BTreeSet::from(["kube-fixture".to_owned()]));
    for (resource, n) in counts {
        assert_eq!(cluster["objects"][resource], n, "{resource}");
    }
    // An API server of 1.37 wrote it.
    assert_eq!((&cluster["version"], &cluster["at_least"]), (&json!(format!("1.{newest}")), &json!(true)));
    assert!(newest <= 37 && newest > 30, "{newest}");
    let table = coldbolt(["inspect", input.name()]);
    assert!(table.text().contains(&format!("version at least 1.{newest} (inferred)")), "{table}");
    input.unchanged();
}

#[test]
fn encrypted_objects_are_counted_and_a_file_without_kubernetes_says_nothing_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "encrypted-1.37");
    let run = coldbolt(["inspect", input.name(), "-w", "json"]);
    let answer: Value = serde_json::from_str(run.text()).unwrap();
    let stored = lines(&fixture("kube/encrypted-1.37/storage.ndjson.gz"));
    let is_encrypted = |line: &&Value| line["encrypted"].as_str().is_some_and(|prefix| !prefix.is_empty());
    let encrypted = stored.iter().filter(is_encrypted).count();
    assert_eq!(answer["database"]["kubernetes"]["encrypted"], encrypted);
    input.unchanged();
    let other = Input::new(fixture("small-3.5.1/snapshot.db"));
    assert!(!coldbolt(["inspect", other.name(), "-w", "json"]).text().contains("kubernetes"));
    other.unchanged();
}
