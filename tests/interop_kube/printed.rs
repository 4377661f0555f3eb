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

/// What the server goes on writing by itself. Its Events come and go; all else is there.
const WRITTEN_AGAIN: [&str; 2] = ["leases.coordination.k8s.io", "events"];

/// If nothing of this kind was written since the snapshot was saved: whatever the server answered **before** this was
/// asked is an answer about what is in the snapshot.
fn unmoved(fed: &Fed, kind: &(String, String)) -> bool {
    let (kubectl, ours) = (asked(kind), &*kind.1);
    let theirs: Value =
        serde_json::from_str(&fed.server.kubectl(&["get", kubectl, "-A", "-o", "json"])).unwrap();
    let (theirs, mine) = (versions(&theirs), versions(&fed.get(&[ours, "-A", "-o", "json"]).json()));
    if theirs == mine {
        return true;
    }
    let by_name = |list: &[(String, String)]| list.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert!(
        WRITTEN_AGAIN.contains(&ours) && (ours == "events" || by_name(&theirs) == by_name(&mine)),
        "{ours}: {theirs:?} {mine:?}"
    );
    false
}

/// All objects of a kind at once. What the server has written again since it was saved, as its Leases, is left out.
fn lists(fed: &Fed, stored: &[(String, String)]) {
    let (mut compared, mut moved) = (Compared::default(), BTreeSet::new());
    for kind in stored {
        let (kubectl, ours) = (asked(kind), &*kind.1);
        let mut answers = Vec::new();
        for managed in ["--show-managed-fields=false", "--show-managed-fields=true"] {
            for format in ["json", "yaml"] {
                let theirs = fed.server.kubectl(&["get", kubectl, "-A", "-o", format, managed]);
                answers.push((managed, format, theirs));
            }
        }
        if !unmoved(fed, kind) {
            moved.insert(ours);
            continue;
        }
        for (managed, format, theirs) in answers {
            let shown: &[&str] = if managed.ends_with("true") { &["--show-managed-fields"] } else { &[] };
            let run = fed.get(&[&[ours, "-A", "--show-secrets", "-o", format], shown].concat());
            compared.take(&format!("{ours} as {format}, {managed}"), run.text(), &theirs);
        }
    }
    eprintln!("{} kinds; written again meanwhile: {moved:?}", stored.len());
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
        let mut pairs = Vec::new();
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
            pairs.push((wide, now, mine, theirs));
        }
        let unmoved = pairs.iter().all(|(_, _, mine, theirs)| mine == theirs) || unmoved(fed, kind);
        let mut tables = Vec::new();
        for (wide, now, mine, theirs) in pairs {
            if unmoved {
                compared.take(&format!("{ours} {wide:?}"), &mine, &theirs);
            }
            if mine == theirs {
                tables.push(json!({"wide": !wide.is_empty(), "now": now.to_string(), "text": theirs}));
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
