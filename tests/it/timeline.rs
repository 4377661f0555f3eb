//! Everything that happened, in one order: what stands in it, where, once, and between which times.

use std::path::Path;

use coldbolt::bolt::writer::Options;
use coldbolt::etcd::request::compare::TargetUnion;
use coldbolt::etcd::request::{
    CompactionRequest, Compare, DeleteRangeRequest, InternalRaftRequest, PutRequest, RequestHeader,
    RequestOp, TxnRequest, request_op,
};
use serde_json::{Value, json};
use support::buckets::{Buckets, MEMBER, revision};
use support::member::{Member, Record, Segment, conf_change, member_json, request, state};
use support::{Input, Run, VERSIONS, args, coldbolt, fixture, unpack};

use crate::replay_time::{history, lease};

pub fn rows(run: &Run) -> Vec<Value> {
    run.json()["rows"].as_array().unwrap().clone()
}

pub fn told(paths: &[&Input]) -> Vec<Value> {
    let names: Vec<&str> = paths.iter().map(|input| input.name()).collect();
    let run = coldbolt([&["timeline", "-w", "json"], &*names].concat());
    assert_eq!(run.code, 0, "{run}");
    paths.iter().for_each(|input| input.unchanged());
    rows(&run)
}

/// Revision, what, key and kinds of sources of the rows of keys.
pub fn brief(rows: &[Value]) -> Vec<(i64, String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let kinds = |row: &Value| {
        let kinds: Vec<_> =
            row["sources"].as_array().unwrap().iter().map(|source| text(&source["kind"])).collect();
        kinds.join(" ")
    };
    let changes = rows.iter().filter(|row| row["key"].is_string() && row["revision"].is_i64());
    changes
        .map(|row| (row["revision"].as_i64().unwrap(), text(&row["what"]), text(&row["key"]), kinds(row)))
        .collect()
}

/// A member alone in its cluster, whose log begins with it.
pub fn alone(requests: &[InternalRaftRequest], mut buckets: Buckets, index: u64) -> Member {
    buckets.index(index, 1);
    let mut records = vec![Record::Snapshot { index: 0, term: 0 }];
    records.push(conf_change(1, 1, 0, MEMBER, &member_json(MEMBER, false)));
    records.extend((2..).zip(requests).map(|(index, one)| request(index, 1, one)));
    records.push(state(1, 1 + requests.len() as u64));
    let segments = vec![Segment { sequence: 0, index: 0, node: MEMBER, records }];
    Member { buckets, segments, snaps: Vec::new(), ..Member::good() }
}

pub fn put(key: &str, value: &str) -> InternalRaftRequest {
    let put = PutRequest { key: key.into(), value: value.into(), ..PutRequest::default() };
    InternalRaftRequest { header: Some(header()), put: Some(put), ..InternalRaftRequest::default() }
}

/// A node's heartbeat, which tells the time.
pub fn node(second: i64) -> InternalRaftRequest {
    put("/registry/leases/kube-node-lease/n1", std::str::from_utf8(&lease(second)).unwrap())
}

pub fn header() -> RequestHeader {
    RequestHeader { id: 1, ..RequestHeader::default() }
}

/// As Kubernetes writes: on the condition that the key is of that revision. Without a value it is deleted.
pub fn if_at(key: &str, revision: i64, value: Option<&str>) -> InternalRaftRequest {
    if_other_at(key, revision, key, value)
}

fn if_other_at(on: &str, revision: i64, key: &str, value: Option<&str>) -> InternalRaftRequest {
    let compare = Compare {
        result: 0,
        target: 2,
        key: on.into(),
        target_union: Some(TargetUnion::ModRevision(revision)),
        range_end: Vec::new(),
    };
    let done = match value {
        Some(value) => {
            let put = PutRequest { key: key.into(), value: value.into(), ..PutRequest::default() };
            request_op::Request::Put(put)
        }
        None => request_op::Request::DeleteRange(DeleteRangeRequest {
            key: key.into(),
            ..DeleteRangeRequest::default()
        }),
    };
    let success = vec![RequestOp { request: Some(done) }];
    let txn = TxnRequest { compare: vec![compare], success, failure: Vec::new() };
    InternalRaftRequest { header: Some(header()), txn: Some(txn), ..InternalRaftRequest::default() }
}

pub fn compact(buckets: &mut Buckets, main: i64) {
    for mark in ["finishedCompactRev", "scheduledCompactRev"] {
        buckets.put("meta", mark.as_bytes(), &revision(main, 0, false));
    }
}

/// What a compaction left of a key that was put twice, while another one came and went.
fn compacted() -> Member {
    let secret = "/registry/secrets/shop/db";
    let compaction = CompactionRequest { revision: 6, physical: false };
    let requests = [
        put("/other", "value 2.0"),
        if_at(secret, 0, Some("one")),
        if_at(secret, 3, Some("two")),
        if_at(secret, 3, Some("too late")),
        if_at(secret, 4, None),
        put("/other", "value 6.0"),
        InternalRaftRequest { compaction: Some(compaction), ..InternalRaftRequest::default() },
    ];
    let mut buckets = Buckets::alone("n1", "3.6.0", 8);
    buckets.kv(6, 0, "/other", 2, 2, 0);
    compact(&mut buckets, 6);
    alone(&requests, buckets, 8)
}

pub fn write(member: &Member, home: &Path) -> Input {
    member.files().write(&home.join("data"));
    Input::new(home.join("data"))
}

#[test]
fn what_was_compacted_is_told_from_the_log_with_its_revision_and_what_was_refused_is_not() {
    let home = tempfile::tempdir().unwrap();
    let all = told(&[&write(&compacted(), home.path())]);
    let secret = "/registry/secrets/shop/db";
    let due = [
        (2, "created", "/other", "wal"),
        (3, "created", secret, "wal"),
        (4, "changed", secret, "wal"),
        (5, "deleted", secret, "wal"),
        (6, "changed", "/other", "database wal"),
    ];
    let due = due.map(|(n, what, key, from)| (n, what.to_owned(), key.to_owned(), from.to_owned()));
    assert_eq!(brief(&all), due, "{all:#?}");
    let rest: Vec<_> = all.iter().filter(|row| row["key"].is_null()).collect();
    let rest: Vec<_> =
        rest.iter().map(|row| (row["what"].as_str().unwrap(), row["after"].as_i64().unwrap())).collect();
    assert_eq!(rest, [("member-added", 1), ("compacted", 6)]);
    assert!(all.iter().all(|row| row["certainty"] == "certain"), "{all:#?}");
    assert_eq!(all[2]["object"], "secret/db -n shop");
}

#[test]
fn of_several_changes_of_a_key_at_one_revision_one_is_done_and_of_other_keys_all_may_be() {
    let home = tempfile::tempdir().unwrap();
    let requests = [
        put("/k", "value 2.0"),
        if_other_at("/k", 2, "/l", Some("value 3.0")),
        if_at("/k", 2, Some("value 4.0")),
        if_at("/k", 2, Some("late")),
    ];
    let mut buckets = Buckets::alone("n1", "3.6.0", 5);
    buckets.kv(3, 0, "/l", 3, 1, 0);
    buckets.kv(4, 0, "/k", 2, 2, 0);
    compact(&mut buckets, 4);
    let all = told(&[&write(&alone(&requests, buckets, 5), home.path())]);
    let due = [
        (2, "created", "/k", "wal"),
        (3, "created", "/l", "database wal"),
        (4, "changed", "/k", "database wal"),
    ];
    let due = due.map(|(n, what, key, from)| (n, what.to_owned(), key.to_owned(), from.to_owned()));
    assert_eq!(brief(&all), due, "{all:#?}");
}

#[test]
fn where_the_revision_does_not_follow_it_is_said_between_which_it_is_and_that_it_was_asked_for() {
    let home = tempfile::tempdir().unwrap();
    let requests = [
        put("/a", "value 2.0"),
        // Of the two one was done: which does not follow.
        if_at("/x", 0, Some("one")),
        if_at("/x", 0, Some("two")),
        put("/b", "value 4.0"),
    ];
    let mut buckets = Buckets::alone("n1", "3.6.0", 5);
    buckets.kv(2, 0, "/a", 2, 1, 0);
    buckets.kv(4, 0, "/b", 4, 1, 0);
    compact(&mut buckets, 4);
    let all = told(&[&write(&alone(&requests, buckets, 5), home.path())]);
    let asked: Vec<_> = all.iter().filter(|row| row["key"] == "/x").collect();
    assert_eq!(asked.len(), 2, "{all:#?}");
    for row in asked {
        assert_eq!(
            (&row["certainty"], &row["after"], &row["until"]),
            (&json!("requested"), &json!(2), &json!(3))
        );
        assert!(row["revision"].is_null());
    }
}

#[test]
fn a_change_is_between_the_times_that_were_put_before_and_after_it() {
    let home = tempfile::tempdir().unwrap();
    let all = told(&[&write(&history(lease), home.path())]);
    let times = |revision: i64| {
        let row = all.iter().find(|row| row["revision"] == revision && row["sub"] == 0).unwrap();
        let text = |name: &str| row[name].as_str().map(|time| time.replace("2026-03-04T", ""));
        (text("at"), text("not_before"), text("not_after"), row["known_by"].as_str().unwrap().to_owned())
    };
    let text = |time: &str| Some(time.to_owned());
    assert_eq!(times(9), (None, None, text("12:00:05Z"), "around".to_owned()));
    assert_eq!(times(10), (text("12:00:00Z"), text("12:00:00Z"), text("12:00:05Z"), "value".to_owned()));
    assert_eq!(times(11), (None, text("12:00:00Z"), text("12:00:15Z"), "around".to_owned()));
    assert_eq!(times(16), (None, text("12:00:20Z"), None, "around".to_owned()));
    // By time: what may have been then.
    let data = home.path().join("data");
    let of = |flags: [&str; 4]| {
        let run = coldbolt(
            [&["timeline", data.to_str().unwrap(), "-w", "json", "--prefix", "/registry"], &flags[..]]
                .concat(),
        );
        brief(&rows(&run)).iter().map(|row| row.0).collect::<Vec<_>>()
    };
    assert_eq!(of(["--since", "2026-03-04T12:00:16Z", "--until", "2026-03-04T12:00:19Z"]), [13, 14]);
    assert_eq!(of(["--since", "12", "--until", "14"]), [12, 13, 14]);
}

#[test]
fn an_older_snapshot_and_a_directory_are_joined_by_revision() {
    VERSIONS.into_iter().for_each(joined);
}

fn joined(version: &str) {
    let home = tempfile::tempdir().unwrap();
    let snapshot = Input::new(fixture(&format!("etcd-{version}/snapshot.db")));
    let data = Input::new(unpack(version, "cold", home.path()));
    let all = told(&[&snapshot, &data]);
    let mut places: Vec<_> = all
        .iter()
        .filter(|row| row["revision"].is_i64())
        .map(|row| (row["revision"].as_i64(), row["sub"].as_i64()))
        .collect();
    let count = places.len();
    places.dedup();
    assert_eq!(places.len(), count, "one stands twice");
    assert!(places.is_sorted());
    // All that either stores.
    for (input, fold) in [(&snapshot, None), (&data, Some("--fold"))] {
        let run = coldbolt(["events", input.name(), "-w", "json"].into_iter().chain(fold));
        for event in run.json()["events"].as_array().unwrap() {
            let place = (event["revision"].as_i64(), event["sub"].as_i64());
            let row = all.iter().find(|row| (row["revision"].as_i64(), row["sub"].as_i64()) == place);
            assert_eq!(row.unwrap_or_else(|| panic!("{event}"))["key"], event["key"]);
        }
    }
    let changes = brief(&all);
    let ends = [changes.first(), changes.last()].map(|row| row.map(|row| (row.0, &*row.3)));
    assert_eq!(ends, [Some((2, "history history wal")), Some((133, "wal"))]);
    let both = all.iter().find(|row| row["revision"] == 100).unwrap();
    let sources: Vec<_> =
        both["sources"].as_array().unwrap().iter().map(|source| source["file"].as_str().unwrap()).collect();
    assert!(sources.contains(&snapshot.name()) && sources.len() > 1, "{both:#}");
    let whats: Vec<_> = all.iter().map(|row| row["what"].as_str().unwrap()).collect();
    for what in [
        "member-added",
        "member-started",
        "leader-elected",
        "version",
        "lease-granted",
        "compacted",
        "user",
        "role",
        "recreated",
        "deleted",
    ] {
        assert!(whats.contains(&what), "{what}: {whats:?}");
    }
}

#[test]
fn what_lies_in_free_pages_is_told_too_unless_it_is_not_wanted() {
    let file = Input::new(fixture("small-3.5.1/snapshot.db"));
    let all = told(&[&file]);
    let carved = all.iter().filter(|row| row["certainty"] == "carved").count();
    assert_eq!(carved, 10);
    let run = coldbolt(["timeline", file.name(), "--no-carved", "-w", "json"]);
    assert!(rows(&run).iter().all(|row| row["certainty"] != "carved"));
    file.unchanged();
}

#[test]
fn a_database_whose_transactions_count_from_a_lower_number_was_made_anew() {
    let home = tempfile::tempdir().unwrap();
    let mut buckets = Buckets::alone("n1", "3.6.0", 5);
    let mut file = |name: &str, main: i64, txid: u64| {
        buckets.kv(main, 0, &format!("/{main}"), main, 1, 0);
        Input::write(home.path(), name, &buckets.database(Options { txid, ..Options::default() }))
    };
    let (older, later, last) = (file("a.db", 2, 70), file("b.db", 3, 5), file("c.db", 4, 9));
    let all = told(&[&last, &older, &later]);
    let anew: Vec<_> = all.iter().filter(|row| row["what"] == "rewritten").collect();
    assert_eq!(anew.len(), 1, "{all:#?}");
    assert_eq!(
        (&anew[0]["after"], &anew[0]["until"], &anew[0]["certainty"]),
        (&json!(2), &json!(3), &json!("inferred"))
    );
    assert!(anew[0]["detail"].as_str().unwrap().starts_with("transaction 70 at revision 2, 5 at 3"));
}

#[test]
fn what_a_log_holds_and_nobody_is_known_to_have_agreed_on_is_said_to_be_uncommitted() {
    let home = tempfile::tempdir().unwrap();
    let member = support::trio::one(MEMBER, 24, 22);
    let all = told(&[&write(&member, home.path())]);
    let certain = |index: u64| {
        let row = all.iter().find(|row| row["index"] == index).unwrap_or_else(|| panic!("{index}: {all:#?}"));
        row["certainty"].as_str().unwrap().to_owned()
    };
    assert_eq!([22, 23, 24].map(certain), ["certain", "uncommitted", "uncommitted"]);
}

#[test]
fn inputs_that_hold_different_things_at_one_revision_are_no_one_cluster() {
    let home = tempfile::tempdir().unwrap();
    let (one, other) =
        (Input::new(fixture("etcd-3.6.14/snapshot.db")), Input::new(fixture("etcd-3.7.1/snapshot.db")));
    // Neither says of which cluster it is: what the one tells of times is nothing to the other.
    for inputs in [[&one, &other], [&other, &one]] {
        let run = coldbolt(args!["timeline", inputs[0], inputs[1], "-w", "json"]);
        run.says(3, &[one.name(), other.name(), "revision 2.0 is", "has no common order"]);
        assert_eq!(run.text(), "");
    }
    let cold = Input::new(unpack("3.6.14", "cold", &home.path().join("c")));
    coldbolt(args!["timeline", &cold, &other]).says(3, &["revision 2.0 is", "has no common order"]);
    [&one, &other, &cold].into_iter().for_each(Input::unchanged);
    let (one, other) =
        (unpack("3.6.14", "cold", &home.path().join("a")), unpack("3.7.1", "cold", &home.path().join("b")));
    coldbolt(args!["timeline", &one, &other]).says(3, &["is of cluster", "has no common order"]);
}

#[test]
fn members_whose_logs_are_of_one_cluster_may_differ_and_that_is_told() {
    let home = tempfile::tempdir().unwrap();
    let one = |name: &str, key: &str| {
        let mut buckets = Buckets::alone("n1", "3.6.0", 2);
        buckets.kv(2, 0, key, 2, 1, 0);
        write(&alone(&[put("/a", "value 2.0")], buckets, 2), &home.path().join(name))
    };
    let (a, b) = (one("a", "/a"), one("b", "/b"));
    let run = coldbolt(args!["timeline", &a, &b, "-w", "json"]);
    assert_eq!(run.code, 1, "{run}");
    assert!(run.err.contains("keyspace-differs") && run.err.contains("revision 2.0 is"), "{}", run.err);
    assert!(rows(&run).iter().any(|row| row["contradicts"] == true && row["revision"] == 2));
}

#[test]
fn a_snapshot_file_with_a_wrong_sha_256_is_told_as_damaged() {
    let home = tempfile::tempdir().unwrap();
    let mut bytes = std::fs::read(fixture("etcd-3.6.14/snapshot.db")).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    let wrong = Input::write(home.path(), "wrong.db", &bytes);
    let run = coldbolt(["timeline", wrong.name(), "-w", "json"]);
    run.says(1, &["wrong.db", "the trailer is", "trailer-mismatch"]);
    assert!(rows(&run).len() > 100);
    wrong.unchanged();
}

#[test]
fn a_damaged_input_leaves_the_others_to_be_told_where_damage_is_allowed() {
    let home = tempfile::tempdir().unwrap();
    let good = Input::new(fixture("etcd-3.6.14/snapshot.db"));
    let mut bytes = std::fs::read(&good.path).unwrap();
    let due = told(&[&good]);
    let files = ["a bucket.db", "zeros.db", "empty.db"].map(|name| {
        match name {
            // The pages of all buckets, and not the metas.
            "a bucket.db" => bytes[2 * 4096..].fill(0x5a),
            "zeros.db" => bytes.fill(0),
            _ => bytes.clear(),
        }
        Input::write(home.path(), name, &bytes)
    });
    for bad in &files {
        assert_ne!(coldbolt(args!["timeline", &good, bad]).code, 0);
        for inputs in [[&good, bad], [bad, &good]] {
            let run = coldbolt(args!["timeline", inputs[0], inputs[1], "--allow-damage", "-w", "json"]);
            run.says(1, &[bad.name()]);
            assert_eq!(brief(&rows(&run)), brief(&due), "{}", bad.name());
        }
        bad.unchanged();
    }
    // Of a file that is not there nothing is damaged.
    coldbolt(args!["timeline", &good, "/nonexistent", "--allow-damage"]).says(3, &["/nonexistent"]);
    coldbolt(args!["timeline", &files[1], &files[2], "--allow-damage"]).says(1, &["left to tell"]);
}

#[test]
fn a_log_that_cannot_be_applied_is_told_as_what_was_asked_for() {
    let home = tempfile::tempdir().unwrap();
    let mut member = compacted();
    // Of another term than the log has it.
    member.buckets.index(8, 2);
    let data = write(&member, home.path());
    let run = coldbolt(["timeline", data.name(), "-w", "json"]);
    assert_eq!(run.code, 1, "{run}");
    assert!(run.err.contains("the log is not applied, and told as what was asked for"), "{}", run.err);
    assert_eq!(brief(&rows(&run)).len(), 5);
    data.unchanged();
}

/// A line of an audit log.
pub fn audit(second: u32, verb: &str, name: &str, code: u16, more: &Value) -> String {
    let at = format!("2026-03-04T12:00:{second:02}.000000Z");
    let mut line = json!({
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "stage": "ResponseComplete", "verb": verb,
        "user": {"username": "eve"}, "sourceIPs": ["192.0.2.9"], "userAgent": "curl/8 \u{1b}[2J",
        "objectRef": {"resource": "pods", "namespace": "shop", "name": name, "apiVersion": "v1"},
        "responseStatus": {"code": code}, "requestReceivedTimestamp": at, "stageTimestamp": at,
    });
    line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    line.to_string()
}

#[test]
fn an_audit_log_tells_who_by_revision_or_by_time_and_what_no_file_holds_has_rows_of_its_own() {
    let home = tempfile::tempdir().unwrap();
    let requests = [
        node(0),                                         // 2
        if_at("/registry/pods/shop/a", 0, Some("made")), // 3
        node(10),                                        // 4
        if_at("/registry/pods/shop/a", 3, Some("more")), // 5
        node(20),                                        // 6
        if_at("/registry/pods/shop/a", 5, None),         // 7
        node(30),                                        // 8
    ];
    // All of it is in the log alone.
    let buckets = Buckets::alone("n1", "3.6.0", 1);
    let data = write(&alone(&requests, buckets, 1), home.path());
    let answer = |revision: i64| json!({"responseObject": {"metadata": {"name": "a", "resourceVersion": revision.to_string()}}});
    let lines = [
        audit(21, "delete", "a", 200, &answer(5)),
        audit(5, "create", "a", 201, &answer(3)),
        audit(15, "patch", "a", 200, &json!({})),
        audit(25, "delete", "b", 404, &json!({})),
        "no line of one".to_owned(),
    ];
    let log = Input::write(home.path(), "audit.log", lines.join("\n").as_bytes());
    let run =
        coldbolt(args!["timeline", &data, "--audit", &log, "-w", "json", "--object", "pods", "-n", "shop"]);
    assert_eq!(run.code, 4, "{run}");
    assert!(
        run.err.contains("1 requests are none of an audit log") && run.err.contains("in line 5"),
        "{run}"
    );
    let all = rows(&run);
    let brief: Vec<_> = all
        .iter()
        .map(|row| {
            let of = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
            (
                row["revision"].as_i64(),
                of("what"),
                row["audit"]["verb"].as_str().unwrap().to_owned(),
                of("not_before"),
            )
        })
        .collect();
    let due = [
        (Some(3), "created", "create", "2026-03-04T12:00:05Z"),
        (Some(5), "changed", "patch", "2026-03-04T12:00:15Z"),
        (Some(7), "deleted", "delete", "2026-03-04T12:00:21Z"),
        (None, "request", "delete", "2026-03-04T12:00:25Z"),
    ];
    let due =
        due.map(|(revision, what, verb, at)| (revision, what.to_owned(), verb.to_owned(), at.to_owned()));
    assert_eq!(brief, due, "{all:#?}");
    // As lines nothing in it steers a terminal, packed or not, and who asked can be asked for.
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, lines[..4].join("\n").as_bytes()).unwrap();
    let packed = Input::write(home.path(), "audit.log.gz", &packed.finish().unwrap());
    let run = coldbolt(args!["timeline", &data, "--audit", &packed, "--who", "eve"]);
    assert_eq!(run.code, 0, "{run}");
    assert_eq!(run.text().lines().count(), 4);
    assert!(
        run.text().contains(r"pod/a -n shop  patch 200  by eve from 192.0.2.9 with curl/8 \u{1b}[2J"),
        "{run}"
    );
    // What is no UTF-8 is read, and what has no time is not: both are said.
    let mut broken = lines[..4].join("\n").replace("eve", "e\u{1}e").into_bytes();
    broken.iter_mut().filter(|byte| **byte == 1).for_each(|byte| *byte = 0xff);
    broken.push(b'\n');
    broken.extend(audit(25, "delete", "c", 404, &json!({"stageTimestamp": "soon"})).into_bytes());
    let broken = Input::write(home.path(), "broken.log", &[b"\xef\xbb\xbf", &broken[..]].concat());
    let run = coldbolt(args!["timeline", &data, "--audit", &broken, "--who", "e\u{fffd}e"]);
    run.says(4, &["4 lines are not UTF-8", "the first is line 1", "1 requests are none of an audit log"]);
    assert_eq!(run.text().lines().count(), 4);
    [&data, &log, &packed, &broken].into_iter().for_each(Input::unchanged);
}

#[test]
fn csv_has_a_column_for_each_thing_and_runs_nothing_in_a_spreadsheet_if_asked() {
    let home = tempfile::tempdir().unwrap();
    let mut buckets = Buckets::alone("n1", "3.6.0", 3);
    buckets.kv(2, 0, "=cmd,\"x\"", 2, 1, 0);
    let file = Input::write(home.path(), "a.db", &buckets.file().bytes);
    let plain = coldbolt(["timeline", file.name(), "-w", "csv"]);
    let safe = coldbolt(["timeline", file.name(), "-w", "csv", "--csv-safe"]);
    let columns = plain.text().lines().next().unwrap().split(',').count();
    assert_eq!(columns, 22);
    assert!(plain.text().contains(r#",created,certain,"=cmd,""x""","#), "{plain}");
    assert!(safe.text().contains(r#",created,certain,"'=cmd,""x""","#), "{safe}");
    coldbolt(["timeline", file.name(), "--csv-safe"]).says(2, &["--csv-safe"]);
    file.unchanged();
}

#[test]
fn a_chain_of_backups_and_a_database_of_kine_are_told_too() {
    let all = told(&[&Input::new(fixture("etcdbr"))]);
    assert_eq!(brief(&all).last().map(|row| row.0), Some(17), "{all:#?}");
    let run = coldbolt(args!["timeline", fixture("kine/state.db.gz"), "-w", "json"]);
    assert_eq!(run.code, 0, "{run}");
    assert!(run.err.contains("not looked at: free pages of SQLite"), "{}", run.err);
    assert!(rows(&run).iter().any(|row| row["key"] == "/fixture/leased"));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let file = fixture("small-3.5.1/snapshot.db");
    let file = file.to_str().unwrap();
    coldbolt(["timeline", file, "--since", "yesterday"]).says(2, &["2026-03-04T05:06:07Z"]);
    coldbolt(["timeline", file, "--object", "nonsense"]).says(1, &["no kind is called"]);
    coldbolt(["timeline", file, "--audit", "/nonexistent"]).says(3, &["/nonexistent"]);
    for flag in ["--audit", "--key", "--who"] {
        coldbolt(["timeline", file, flag, ""]).says(2, &[flag]);
    }
    coldbolt(["timeline", "-", "--audit", "-"]).says(2, &["standard input"]);
    coldbolt(["timeline", "-", "-"]).says(2, &["standard input"]);
    // Nobody writes to it: it is not waited for.
    let home = tempfile::tempdir().unwrap();
    let fifo = home.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    coldbolt(args!["timeline", file, "--audit", &fifo]).says(3, &["fifo: is not a regular file"]);
    coldbolt([&["timeline"], &[file; 33][..]].concat()).says(2, &["at most 32"]);
    coldbolt(["timeline", "/nonexistent"]).says(3, &["/nonexistent"]);
}
