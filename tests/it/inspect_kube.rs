//! What `inspect` tells of a Kubernetes cluster, on databases of real API servers. Due is what Go's types made of the
//! same values.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;

use coldbolt::kube::schema::schema;
use flate2::read::GzDecoder;
use serde_json::{Value, json};
use support::{Input, coldbolt, fixture};

fn unpacked(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    GzDecoder::new(File::open(fixture(&format!("kube/{name}"))).unwrap()).read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_cluster_is_told_with_its_version_nodes_namespaces_and_objects() {
    let dir = tempfile::tempdir().unwrap();
    let input = Input::write(dir.path(), "plain.db", &unpacked("plain-1.37/snapshot.db.gz"));
    let run = coldbolt(["inspect", input.name(), "-w", "json"]);
    let answer: Value = serde_json::from_str(run.text()).unwrap();
    let cluster = &answer["database"]["kubernetes"];

    let text = String::from_utf8(unpacked("plain-1.37/storage.ndjson.gz")).unwrap();
    let kinds = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["storage_json"].clone());
    let newest = kinds.filter_map(|object| {
        Some(schema().kind(object["apiVersion"].as_str()?, object["kind"].as_str()?)?.first)
    });
    let newest = newest.max().unwrap();
    // What kubectl listed, of what is in no namespace by its first column.
    let text = String::from_utf8(unpacked("plain-1.37/tables.ndjson.gz")).unwrap();
    let tables: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
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
    let input = Input::write(dir.path(), "encrypted.db", &unpacked("encrypted-1.37/snapshot.db.gz"));
    let run = coldbolt(["inspect", input.name(), "-w", "json"]);
    let answer: Value = serde_json::from_str(run.text()).unwrap();
    let text = String::from_utf8(unpacked("encrypted-1.37/storage.ndjson.gz")).unwrap();
    let encrypted = text.lines().filter(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["encrypted"].as_str().is_some_and(|prefix| !prefix.is_empty())
    });
    assert_eq!(answer["database"]["kubernetes"]["encrypted"], encrypted.count());
    input.unchanged();
    let other = Input::new(fixture("small-3.5.1/snapshot.db"));
    assert!(!coldbolt(["inspect", other.name(), "-w", "json"]).text().contains("kubernetes"));
    other.unchanged();
}
