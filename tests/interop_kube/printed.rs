//! What is printed.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use support::compared::Compared;

use crate::fed::{Fed, persisted, stored};

/// Kept as an object of another kind: of the one that has the key.
const KEPT_ELSEWHERE: [&str; 1] = ["events.events.k8s.io"];

/// Stored in a version that is not served any more: asked for in the one that is.
const NOT_SERVED: [&str; 1] = ["customresourcedefinitions.apiextensions.k8s.io"];

#[test]
fn objects_of_every_kind_and_their_tables_are_printed_as_the_real_kubectl_prints_them() {
    let Some(fed) = Fed::start() else { return };
    let stored = stored(&fed.snapshot.path);
    let names: BTreeSet<String> = stored.iter().map(|(_, name)| name.clone()).collect();
    let missing: Vec<String> = persisted(&fed.server).difference(&names).cloned().collect();
    assert_eq!(missing, KEPT_ELSEWHERE, "kinds that the server offers and every-kind.yaml has no object of");
    lists(&fed, &stored);
    documents(&fed, &stored);
    tables(&fed, &stored);
    fed.snapshot.unchanged();
}

/// How kubectl is asked for a kind.
fn asked((versioned, name): &(String, String)) -> &str {
    if NOT_SERVED.contains(&&**name) { name } else { versioned }
}

/// All objects of a kind at once. What the server has written again since it was saved, as its Leases, is left out on
/// both sides, where kubectl's list has another resource version.
fn lists(fed: &Fed, stored: &[(String, String)]) {
    let (mut compared, mut moved, mut objects) = (Compared::default(), BTreeSet::new(), 0);
    for kind in stored {
        let (kubectl, ours) = (asked(kind), &*kind.1);
        for managed in ["--show-managed-fields=false", "--show-managed-fields=true"] {
            let json = fed.server.kubectl(&["get", kubectl, "-A", "-o", "json", managed]);
            let mut args = vec![ours, "-A", "--show-secrets", "-o", "json"];
            if managed.ends_with("true") {
                args.push("--show-managed-fields");
            }
            let run = fed.get(&args);
            let (theirs, mine): (Value, Value) = (serde_json::from_str(&json).unwrap(), run.json());
            let (theirs, mine) = (versions(&theirs), versions(&mine));
            if theirs != mine {
                moved.insert(ours.to_owned());
                let by_name =
                    |list: &[(String, String)]| list.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
                // Events come and go with the server's own doings; all else is there.
                assert!(
                    ours == "events" || by_name(&theirs) == by_name(&mine),
                    "{ours}: {theirs:?} {mine:?}"
                );
                continue;
            }
            objects += mine.len();
            compared.take(&format!("{ours} as json, {managed}"), run.text(), &json);
            let yaml = fed.server.kubectl(&["get", kubectl, "-A", "-o", "yaml", managed]);
            args[4] = "yaml";
            compared.take(&format!("{ours} as yaml, {managed}"), fed.get(&args).text(), &yaml);
        }
    }
    eprintln!("{objects} objects; written again meanwhile: {moved:?}");
    assert!(
        moved.iter().all(|name| ["leases.coordination.k8s.io", "events"].contains(&&**name)),
        "{moved:?} were written again"
    );
    compared.judge("lists", 270);
}

/// The names of a list with their resource versions.
fn versions(list: &Value) -> Vec<(String, String)> {
    let text =
        |item: &Value, at: &str| item.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned();
    let item = |item: &Value| {
        let name = format!("{}/{}", text(item, "/metadata/namespace"), text(item, "/metadata/name"));
        (name, text(item, "/metadata/resourceVersion"))
    };
    list["items"].as_array().unwrap().iter().map(item).collect()
}

/// The object of each kind that was put there by its own name.
fn documents(fed: &Fed, stored: &[(String, String)]) {
    let mut compared = Compared::default();
    for kind in stored {
        let (kubectl, ours) = (asked(kind), &*kind.1);
        let first = fed.get(&[ours, "-n", "every-kind", "-o", "ndjson"]);
        let Some(line) = first.text().lines().last() else { continue };
        let object: Value = serde_json::from_str(line).unwrap();
        let name = object["metadata"]["name"].as_str().unwrap();
        let theirs = fed.server.kubectl(&["get", kubectl, name, "-n", "every-kind", "-o", "yaml"]);
        if !theirs.contains(&format!("resourceVersion: {}\n", object["metadata"]["resourceVersion"])) {
            continue;
        }
        let run = fed.get(&[ours, name, "-n", "every-kind", "-o", "yaml", "--show-secrets"]);
        compared.take(&format!("{ours} {name}"), run.text(), &theirs);
    }
    for kind in [&["ebb"][..], &["boats", "-n", "every-kind"], &["deploy", "-n", "every-kind"]] {
        let args = [&["get"], kind, &["-o", "name"]].concat();
        compared.take(&format!("{kind:?} by name"), fed.get(&args[1..]).text(), &fed.server.kubectl(&args));
    }
    compared.judge("documents", 68);
}

/// For `fixtures/kube/tables-1.37.ndjson.gz`, if the file for it is named by `COLDBOLT_RECORD`: what tables were printed
/// of what.
fn record(fed: &Fed, kubectl: &str, tables: Vec<Value>) {
    let Some(path) = std::env::var_os("COLDBOLT_RECORD") else { return };
    let list = fed.server.kubectl(&["get", kubectl, "-A", "-o", "json", "--show-managed-fields=false"]);
    let list: Value = serde_json::from_str(&list).unwrap();
    let line = json!({"resource": kubectl, "items": list["items"], "tables": tables});
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    writeln!(file, "{line}").unwrap();
}

/// Tables, as wide as they are, with every age.
fn tables(fed: &Fed, stored: &[(String, String)]) {
    let mut compared = Compared::default();
    for kind in stored {
        let (kubectl, ours) = (asked(kind), &*kind.1);
        let mut tables = Vec::new();
        for wide in [&[][..], &["-o", "wide"]] {
            let before = Timestamp::now();
            let theirs = fed.server.kubectl(&[&["get", kubectl, "-A"], wide].concat());
            let after = Timestamp::now();
            // The server asked its clock somewhere in between.
            let mut now = before;
            let mine = loop {
                let text =
                    fed.get(&[&[ours, "-A", "--now", &now.to_string()], wide].concat()).text().to_owned();
                if text == theirs || now > after {
                    break text;
                }
                now += SignedDuration::from_secs(1);
            };
            let moved = ["leases.coordination.k8s.io", "events"].contains(&ours) && mine != theirs;
            if !moved {
                compared.take(&format!("{ours} {wide:?}"), &mine, &theirs);
            }
            if mine == theirs {
                let now = now.to_string();
                tables.push(json!({"wide": !wide.is_empty(), "now": now, "text": theirs}));
            }
        }
        record(fed, kubectl, tables);
    }
    // By its name it is not told that it is the default, so the table is narrower.
    let named = ["storageclasses", "slow", "-o", "wide"];
    let first = |text: &str| text.lines().next().unwrap().to_owned();
    let theirs = fed.server.kubectl(&[&["get"], &named[..]].concat());
    compared.take("the default class by its name", &first(fed.get(&named).text()), &first(&theirs));
    compared.judge("tables", 100);
}
