//! Whom the audit log is believed to name, and whom not.

use serde_json::{Value, json};
use support::buckets::Buckets;
use support::{Input, args, coldbolt};

use crate::timeline::{alone, audit, if_at, node, put, rows, write};

/// Revision, what, name and verb of the rows of pods; what a request alone tells has no revision.
fn of_pods(home: &std::path::Path, lines: &[String]) -> Vec<(Option<i64>, String, String, Option<String>)> {
    let requests = [
        node(0),                                         // 2
        if_at("/registry/pods/shop/a", 0, Some("made")), // 3
        node(10),                                        // 4
        if_at("/registry/pods/shop/a", 3, Some("more")), // 5
        if_at("/registry/pods/shop/b", 0, Some("made")), // 6
        node(20),                                        // 7
        if_at("/registry/pods/shop/a", 5, None),         // 8
        if_at("/registry/pods/shop/b", 6, None),         // 9
        if_at("/registry/pods/shop/a", 0, Some("anew")), // 10
        if_at("/registry/pods/shop/a", 10, None),        // 11
        node(30),                                        // 12
    ];
    let dir = home.join("data");
    let data = write(&alone(&requests, Buckets::alone("n1", "3.6.0", 1), 1), &dir);
    let log = Input::write(home, "audit.log", lines.join("\n").as_bytes());
    let run = coldbolt(args!["timeline", &data, "--audit", &log, "-w", "json", "--who", "eve"]);
    assert_eq!(run.code, 0, "{run}");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let row = |row: &Value| {
        let name = text(&row["key"]).rsplit('/').next().unwrap().to_owned();
        (row["revision"].as_i64(), text(&row["what"]), name, row["audit"]["verb"].as_str().map(str::to_owned))
    };
    rows(&run).iter().map(row).collect()
}

fn answer(revision: i64) -> Value {
    json!({"responseObject": {"metadata": {"resourceVersion": revision.to_string()}}})
}

fn row(revision: i64, what: &str, name: &str, verb: &str) -> (Option<i64>, String, String, Option<String>) {
    (Some(revision), what.into(), name.into(), Some(verb.into()))
}

/// What stands in no row of a change.
fn alone_with(verb: &str) -> (Option<i64>, String, String, Option<String>) {
    (None, "request".into(), String::new(), Some(verb.into()))
}

#[test]
fn who_changed_nothing_is_not_named_for_the_change_before() {
    let home = tempfile::tempdir().unwrap();
    // Applied again half a minute later, and answered with the revision that was there.
    let lines = [audit(45, "patch", "a", 200, &answer(5))];
    assert_eq!(of_pods(home.path(), &lines), [alone_with("patch")]);
    let home = tempfile::tempdir().unwrap();
    let lines = [audit(15, "patch", "a", 200, &answer(5))];
    assert_eq!(of_pods(home.path(), &lines), [row(5, "changed", "a", "patch")]);
}

#[test]
fn a_collection_is_deleted_once_and_not_by_the_revision_of_its_list() {
    let home = tempfile::tempdir().unwrap();
    // The list was at revision 11, which is another's deletion.
    let lines = [audit(25, "deletecollection", "", 200, &answer(11))];
    let due = [row(8, "deleted", "a", "deletecollection"), row(9, "deleted", "b", "deletecollection")];
    assert_eq!(of_pods(home.path(), &lines), due);
    // Whose deletion that is nobody knows.
    let home = tempfile::tempdir().unwrap();
    let uri = json!({"requestURI": "/api/v1/namespaces/shop/pods?labelSelector=app%3Dnothing"});
    let lines = [audit(25, "deletecollection", "", 200, &uri)];
    assert_eq!(of_pods(home.path(), &lines), [alone_with("deletecollection")]);
}

#[test]
fn what_passes_through_a_pod_does_not_change_it() {
    for subresource in ["proxy", "exec", "attach", "portforward"] {
        let home = tempfile::tempdir().unwrap();
        let about = json!({"objectRef": {
            "resource": "pods", "namespace": "shop", "name": "a", "apiVersion": "v1", "subresource": subresource,
        }});
        let lines = [audit(15, "create", "a", 200, &about)];
        assert_eq!(of_pods(home.path(), &lines), [alone_with("create")], "{subresource}");
    }
}

#[test]
fn logs_that_differ_in_an_entry_are_of_no_one_history() {
    let home = tempfile::tempdir().unwrap();
    let member = |name: &str, value: &str| {
        let requests = [put("/a", "one"), put("/b", value)];
        write(&alone(&requests, Buckets::alone("n1", "3.6.0", 1), 1), &home.path().join(name))
    };
    let (one, same, other) = (member("one", "x"), member("same", "x"), member("other", "y"));
    assert_eq!(coldbolt(args!["timeline", &one, &same]).code, 0);
    let run = coldbolt(args!["timeline", &one, &other]);
    run.says(3, &["entry 3 of term 1 is another than that in the log of input 1"]);
    assert_eq!(run.text(), "");
}

#[test]
fn what_is_in_the_log_alone_is_not_said_to_be_in_the_database() {
    let home = tempfile::tempdir().unwrap();
    let data =
        write(&alone(&[put("/a", "one")], Buckets::alone("n1", "3.6.0", 1), 1), &home.path().join("data"));
    let run = coldbolt(args!["timeline", &data, "-w", "json", "--key", "/a"]);
    assert_eq!(run.code, 0, "{run}");
    let sources = rows(&run)[0]["sources"].clone();
    let kinds: Vec<&str> =
        sources.as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["wal"]);
}
