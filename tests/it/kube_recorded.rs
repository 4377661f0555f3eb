//! Kubernetes objects of real API servers, beside what Go's own types and the real kubectl made of them.
//!
//! `fixtures/kube` has a pick. `COLDBOLT_KUBE` names a directory with more: one directory a cluster, and files
//! `synthetic-*.ndjson.gz`, as `fixtures/kube/README.md` describes them.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use coldbolt::io::Source;
use coldbolt::kube::cluster::Cluster;
use coldbolt::kube::decode::{DecodeOptions, Encoding, Glance, NoObject, Object};
use coldbolt::kube::json::{self, Layout};
use coldbolt::kube::serve::hide_managed_fields;
use coldbolt::kube::table::{Line, Table};
use coldbolt::kube::yaml;
use coldbolt::store::{EventKind, Store, StoreOptions};
use coldbolt::words::monitor::Quiet;
use rayon::prelude::*;
use serde_json::Value;
pub use support::compared::Compared;
use support::packed::{lines, unpacked};
use support::{Input, coldbolt, fixture};

const AS_STORED: Layout = Layout { indent: false, sorted: false };

/// What is in the directories with recordings.
fn recordings() -> impl Iterator<Item = PathBuf> {
    let more = std::env::var_os("COLDBOLT_KUBE").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let dirs = [Some(fixture("kube")), more].into_iter().flatten();
    dirs.flat_map(|dir| std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()))
}

/// The directories with clusters.
pub fn clusters() -> Vec<PathBuf> {
    recordings().filter(|path| path.join("snapshot.db.gz").exists()).collect()
}

/// The files with objects of every kind that were made at random, with their names.
pub fn synthetic() -> impl Iterator<Item = (String, PathBuf)> {
    let named = recordings().map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), path));
    named.filter(|(name, _)| name.starts_with("synthetic-"))
}

/// The object as it is stored, or the prefix of what is encrypted.
fn decoded(value: &[u8]) -> String {
    match Object::decode(value) {
        Ok(object) => {
            assert!(object.known && object.unknown.is_empty() && object.remarks.is_empty(), "{object:?}");
            let glance = Glance::of(value).unwrap();
            let (name, namespace) = (object.name().to_owned(), object.namespace().to_owned());
            let Object { encoding, api_version, kind, .. } = object.clone();
            assert_eq!(glance, Glance { encoding, api_version, kind, name, namespace, unknown: false });
            json::object_text(&object.json, AS_STORED)
        }
        Err(NoObject::Encrypted(by)) => format!("k8s:enc:{}:{}:{}:", by.provider, by.version, by.name),
        Err(why) => format!("{why:?}"),
    }
}

#[test]
fn objects_of_every_kind_decode_as_gos_own_types_decode_them() {
    for (name, path) in synthetic() {
        let mut compared = Compared::default();
        for line in lines(&path) {
            let value = BASE64_STANDARD.decode(line["value"].as_str().unwrap()).unwrap();
            let name = format!("{} {}", line["apiVersion"], line["kind"]);
            compared.take(&name, &decoded(&value), &json::text(&line["json"], AS_STORED));
        }
        compared.judge(&name, 120);
    }
}

/// Every version of every key that a store holds, deletions as `None`.
pub fn versions(store: &Store<'_>) -> BTreeMap<(String, i64), Option<Vec<u8>>> {
    let mut versions = BTreeMap::new();
    store
        .events(None, None, None, &mut |event| {
            let key = String::from_utf8(event.kv.key.to_vec()).unwrap();
            let value = (event.kind == EventKind::Put).then(|| event.kv.value.to_vec());
            versions.insert((key, event.revision.main), value);
            ControlFlow::Continue(())
        })
        .unwrap();
    versions
}

pub fn store(dir: &Path) -> Store<'static> {
    let source = Source::from_bytes("snapshot.db", unpacked(&dir.join("snapshot.db.gz")));
    Store::open(&source, &StoreOptions::default(), &Quiet).unwrap()
}

#[test]
fn every_stored_version_decodes_as_gos_own_types_decode_it() {
    let clusters = clusters();
    assert!(clusters.len() >= 2);
    for dir in clusters {
        let versions = versions(&store(&dir));
        let mut compared = Compared::default();
        for line in
            ["storage", "history"].iter().flat_map(|name| lines(&dir.join(format!("{name}.ndjson.gz"))))
        {
            let key = (line["key"].as_str().unwrap().to_owned(), line["mod_revision"].as_i64().unwrap());
            let name = format!("{} at {}", key.0, key.1);
            // The snapshot is some seconds younger; but its history is whole.
            let value = versions.get(&key).unwrap_or_else(|| panic!("{name} is not there"));
            let due = match (&line["encrypted"], &line["storage_json"], line["deleted"] == true) {
                (_, _, true) => "deleted".to_owned(),
                (Value::String(prefix), ..) => prefix.clone(),
                (_, stored, _) => json::text(stored, AS_STORED),
            };
            let ours = value.as_ref().map_or_else(|| "deleted".to_owned(), |value| decoded(value));
            compared.take(&name, &ours, &due);
        }
        compared.judge(&format!("{}: stored", dir.display()), 90);
    }
}

#[test]
fn an_object_without_its_managed_fields_is_the_whole_one_with_them_hidden() {
    let (mut all, mut shorter) = (0, 0);
    for dir in clusters() {
        for (key, value) in versions(&store(&dir)) {
            let Some(mut whole) = value.as_deref().and_then(|value| Object::decode(value).ok()) else {
                continue;
            };
            let options = DecodeOptions { without_managed_fields: true, ..DecodeOptions::default() };
            let mut without = Object::decode_with(value.as_deref().unwrap(), options).unwrap();
            if whole.encoding == Encoding::Protobuf {
                shorter += usize::from(without != whole);
                hide_managed_fields(&mut whole.json);
            }
            assert_eq!(without.json, whole.json, "{key:?}");
            without.json = whole.json.clone();
            assert_eq!(without, whole, "{key:?}");
            all += 1;
        }
    }
    assert!(all > 200 && shorter > 100, "{shorter} of {all}");
}

/// Names that compare in a circle, as 007 < 0b1 < 1 < 007, kubectl prints in an order of chance: ours is taken for its.
pub fn in_order<'t>(ours: &'t str, due: &'t str) -> &'t str {
    let lines = |text: &str| {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let circular = due.contains("\n  \"0b1\": ") && due.contains("\n  \"007\": ");
    if circular && lines(ours) == lines(due) { due } else { ours }
}

#[test]
fn objects_are_printed_as_kubectl_prints_them() {
    for dir in clusters() {
        let store = store(&dir);
        let versions = versions(&store);
        let cluster = Cluster::open(store.at(None).unwrap(), None).unwrap();
        let mut compared = Compared::default();
        for line in lines(&dir.join("kubectl.ndjson.gz")) {
            let key = (line["key"].as_str().unwrap().to_owned(), line["mod_revision"].as_i64().unwrap());
            let value = versions[&key].as_ref().unwrap();
            // What is encrypted is proven to be so elsewhere.
            let mut object = match Object::decode(value) {
                Err(NoObject::Encrypted(_)) => continue,
                object => object.unwrap(),
            };
            cluster.serve(&mut object, key.1);
            let managed = yaml::document(&object.json);
            hide_managed_fields(&mut object.json);
            let printed = [
                ("yaml_managed", managed),
                ("yaml", yaml::document(&object.json)),
                ("json", format!("{}\n", json::object_text(&object.json, Layout::KUBECTL))),
            ];
            for (what, ours) in printed {
                // What kubectl refuses to print.
                let Some(due) = line[what].as_str() else {
                    assert!(what != "json" && line["yaml_error"].is_string());
                    continue;
                };
                compared.take(&format!("{} {what}", key.0), in_order(&ours, due), due);
            }
        }
        compared.judge(&format!("{}: as kubectl", dir.display()), 20);
    }
}

/// Unpacks the snapshot of a cluster of the fixtures.
fn snapshot(dir: &Path, name: &str) -> Input {
    Input::write(dir, "snapshot.db", &unpacked(&fixture(&format!("kube/{name}/snapshot.db.gz"))))
}

#[test]
fn tables_are_those_of_kubectl() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "plain-1.37");
    let tables = lines(&fixture("kube/plain-1.37/tables.ndjson.gz"));
    // Each line is a run of the binary, and mostly two.
    let each = tables.par_iter().map(|line| {
        let command: Vec<&str> = line["command"].as_str().unwrap().split(' ').skip(2).collect();
        let now: jiff::Timestamp = line["now"].as_str().unwrap().parse().unwrap();
        let table = |seconds: i64| {
            let now = (now + jiff::SignedDuration::from_secs(seconds)).to_string();
            let args = ["kube", "get", input.name()].into_iter().chain(command.iter().copied());
            coldbolt(args.chain(["--now", &now])).text().to_owned()
        };
        // An event that the API server went on to count until the snapshot was taken.
        let moved = |line: &&str| !line.contains("KubernetesDefaultServiceCIDRError");
        let fixed = |table: &str| table.trim_end().lines().filter(moved).collect::<Vec<_>>().join("\n");
        let due = fixed(line["output"].as_str().unwrap());
        // kubectl asked in that second, and may have been answered in the next.
        let mut ours = fixed(&table(0));
        if ours != due {
            ours = fixed(&table(1));
        }
        (line["command"].as_str().unwrap(), ours, due)
    });
    let mut compared = Compared::default();
    for (command, ours, due) in each.collect::<Vec<_>>() {
        compared.take(command, &ours, &due);
    }
    compared.judge("tables", 80);
    input.unchanged();
}

#[test]
fn tables_of_rare_kinds_and_of_several_default_classes_are_those_of_kubectl() {
    let mut compared = Compared::default();
    for line in lines(&fixture("kube/tables-1.37.ndjson.gz")) {
        let resource = line["resource"].as_str().unwrap();
        for due in line["tables"].as_array().unwrap() {
            let now: jiff::Timestamp = due["now"].as_str().unwrap().parse().unwrap();
            let mut table = Table::default();
            for item in line["items"].as_array().unwrap() {
                let bytes = item.to_string();
                let object = Object::decode(bytes.as_bytes()).unwrap();
                let namespace = object.metadata("namespace").map(str::to_owned);
                let name = object.name().to_owned();
                table.object(Line { namespace, name, deleted: None, listed: true, now }, &object);
            }
            let text = table.text(due["wide"] == true, true);
            compared.take(resource, &text, due["text"].as_str().unwrap());
        }
    }
    compared.judge("tables", 38);
}
