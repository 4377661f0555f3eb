//! The commands about the keyspace, on what real etcds of four versions left, against those etcds' own answers; and
//! on damaged files.

use std::fs;
use std::io::Read;
use std::ops::ControlFlow;
use std::process::Stdio;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use coldbolt::bolt::Db;
use coldbolt::bolt::walk::{Shared, Visited, Visitor, walk};
use coldbolt::bolt::writer::Options;
use coldbolt::bolt::{LeafElement, Page, Pgid};
use coldbolt::etcd::KeyRange;
use coldbolt::io::Source;
use coldbolt::store::diff::{DiffOptions, diff};
use coldbolt::store::{Event, Order, RangeRequest, SortBy, Store, StoreOptions};
use coldbolt::words::monitor::Quiet;
use serde_json::Value;
use support::buckets::revision;
use support::content::{self, Items};
use support::{Input, Run, VERSIONS, coldbolt, coldbolt_in, command, fixture, unpack};

fn snapshot(version: &str) -> Input {
    Input::new(fixture(&format!("etcd-{version}/snapshot.db")))
}

fn recorded(version: &str, name: &str) -> Value {
    serde_json::from_slice(&fs::read(fixture(&format!("etcd-{version}/{name}"))).unwrap()).unwrap()
}

fn lines(run: &Run) -> Vec<Value> {
    run.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The last revision that the recorded answers know.
const LAST: &str = "133";

#[test]
fn every_key_is_as_the_member_served_it() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().unwrap();
        let input = Input::new(unpack(version, "clean", dir.path()));
        let mut due = recorded(version, "cold.expected.range.json");
        let args = ["get", input.name(), "", "--from-key", "--rev", LAST, "-w", "json"];
        let mut ours = coldbolt(args).json();
        // The member had other revisions and another term when it was asked.
        due["header"] = Value::Null;
        ours["header"] = Value::Null;
        assert_eq!(ours, due, "{version}");
        let count = coldbolt(["get", input.name(), "", "--from-key", "--rev", LAST, "--count-only"]);
        assert_eq!(count.text().trim(), due["count"].to_string());
        input.unchanged();
    }
    let input = Input::new(fixture("small-3.5.1/snapshot.db"));
    let mut due: Value =
        serde_json::from_slice(&fs::read(fixture("small-3.5.1/range.json")).unwrap()).unwrap();
    due["header"].as_object_mut().unwrap().retain(|name, _| name == "revision" || name == "raft_term");
    assert_eq!(coldbolt(["get", input.name(), "", "--from-key", "-w", "json"]).json(), due);
    input.unchanged();
}

#[test]
fn leases_and_members_are_those_the_member_named() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().unwrap();
        let input = Input::new(unpack(version, "clean", dir.path()).join("member/snap/db"));
        let hex = |id: &Value| {
            format!("{:016x}", id.as_u64().or_else(|| id.as_i64().map(i64::cast_unsigned)).unwrap())
        };
        let due: Vec<String> = recorded(version, "cold.expected.leases.json")["leases"]
            .as_array()
            .unwrap()
            .iter()
            .map(|l| hex(&l["id"]))
            .collect();
        let ours = coldbolt(["leases", input.name(), "-w", "json", "--keys"]).json();
        let ours = ours["leases"].as_array().unwrap();
        assert_eq!(
            ours.iter().map(|lease| lease["id"].as_str().unwrap()).collect::<Vec<_>>(),
            due,
            "{version}"
        );
        assert_eq!(ours[0]["keys"].as_array().unwrap().len() as u64, ours[0]["attached"].as_u64().unwrap());

        let due = recorded(version, "cold.expected.members.json");
        let ours = coldbolt(["members", input.name(), "-w", "json"]).json();
        for (ours, due) in ours["members"].as_array().unwrap().iter().zip(due["members"].as_array().unwrap())
        {
            assert_eq!(
                (ours["id"].as_str().unwrap(), &ours["name"]),
                (hex(&due["ID"]).as_str(), &due["name"]),
                "{version}"
            );
            // 3.5.1 to 3.5.19 do not write down what a member publishes of itself.
            let clients =
                if version == "3.5.1" { Value::Array(Vec::new()) } else { due["clientURLs"].clone() };
            assert_eq!((&ours["peer_urls"], &ours["client_urls"]), (&due["peerURLs"], &clients), "{version}");
        }
        let auth = coldbolt(["auth", input.name()]);
        for word in ["authentication is off", "alice", "reader", "/registry/"] {
            assert!(auth.good().contains(word), "{version}: {auth}");
        }
        assert_eq!(coldbolt(["alarms", input.name()]).good(), "no alarms\n");
        input.unchanged();
    }
}

#[test]
fn a_directory_whose_log_goes_further_is_answered_with_a_warning() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().unwrap();
        let input = Input::new(unpack(version, "cold", dir.path()));
        let run = coldbolt(["get", input.name(), "/txn/a"]);
        run.says(
            0,
            &[
                "warning: ",
                "only in the WAL",
                "this answer is without what they change, with --fold it has that [db-lag]",
            ],
        );
        assert_eq!(run.text(), "/txn/a\n1\n");
        // The database alone says nothing of a log.
        let db = input.path.join("member/snap/db");
        assert_eq!(coldbolt(["get", db.to_str().unwrap(), "/txn/a"]).good(), "/txn/a\n1\n");
        input.unchanged();
    }
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("snap")).unwrap();
    coldbolt(["get", dir.path().to_str().unwrap(), "k"]).says(3, &["holds no etcd data"]);
}

#[test]
fn a_revision_that_is_not_there_is_refused_in_etcds_words_with_those_that_are() {
    let input = snapshot("3.7.1");
    let tell = "snapshot.db has revisions 61 to 106";
    for command in ["get", "keys", "export"] {
        let key: &[&str] = if command == "get" { &["/txn/a"] } else { &[] };
        let ask = |rev| coldbolt([&[command, input.name(), "--rev", rev], key].concat());
        let run = ask("60");
        run.says(1, &["mvcc: required revision has been compacted: 60 was asked for", tell]);
        assert_eq!(run.text(), "");
        ask("107").says(1, &["mvcc: required revision is a future revision: 107 was asked for", tell]);
        // One key that is not there is 1, a range without any is not.
        assert_eq!(ask("61").code, i32::from(command == "get"));
    }
    let run = coldbolt(["events", input.name(), "--since-rev", "60", "-w", "json"]);
    run.says(1, &["mvcc: required revision has been compacted"]);
    assert_eq!(run.text(), "");
    coldbolt(["diff", input.name(), "--from-rev", "60"])
        .says(1, &["mvcc: required revision has been compacted"]);
    input.unchanged();
}

#[test]
fn the_flags_are_refused_as_etcdctl_refuses_them() {
    let input = snapshot("3.7.1");
    for (args, why) in [
        (&["--prefix", "--from-key", "a"][..], "`--prefix` and `--from-key` cannot be set at the same time"),
        (
            &["--keys-only", "--count-only", "a"],
            "`--keys-only` and `--count-only` cannot be set at the same time",
        ),
        (&["a", "b", "--prefix"], "too many arguments"),
        (&["a", "--range-end", "b", "--from-key"], "too many arguments"),
        (&[], "get command needs one argument as key"),
        (&[""], "key is not provided"),
        (&["a", "--print-value-only", "-w", "json"], "print-value-only is only for"),
        (&["a", "--hex", "-w", "json"], "hex is only for"),
        (&["a", "--min-mod-rev", "3", "--max-mod-rev", "2"], "min-mod-rev (=3) > max-mod-rev (=2)"),
        (&["a", "--order", "sideways"], "invalid value"),
    ] {
        coldbolt([&["get", input.name()], args].concat()).says(2, &[why]);
    }
    coldbolt(["history", input.name()]).says(2, &["required"]);
    coldbolt(["diff", input.name()]).says(2, &["required"]);
    coldbolt(["compare", input.name()]).says(2, &["two or more"]);
    input.unchanged();
}

/// `mvccpb.KeyValue`, by hand.
fn stored(key: &[u8], revisions: [u8; 3], value: &[u8]) -> Vec<u8> {
    let [create, modified, version] = revisions;
    let len = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap();
    let numbers = [0x10, create, 0x18, modified, 0x20, version];
    [&[0x0a, len(key)], key, &numbers, &[0x2a, len(value)], value].concat()
}

/// A database of these rows in bucket `key`, by main revision, and these marks in `meta`.
fn database(rows: &[(i64, Vec<u8>)], marks: &[(&str, i64)]) -> Vec<u8> {
    let row = |main| revision(main, 0, false);
    let mut meta = Items::from([(b"consistent_index".to_vec(), 9u64.to_be_bytes().to_vec())]);
    meta.extend(marks.iter().map(|(name, main)| (name.as_bytes().to_vec(), row(*main))));
    let rows = rows.iter().map(|(main, value)| (row(*main), value.clone())).collect();
    content::database([("key", rows), ("meta", meta)], Options::default())
}

#[test]
fn bytes_reach_a_pipe_as_they_are_and_everything_else_quoted() {
    let dir = tempfile::tempdir().unwrap();
    let (key, value): (&[u8], &[u8]) = (b"a\x1b[2J\xff", b"\x00\xffv\r\n");
    let input = Input::write(dir.path(), "db", &database(&[(2, stored(key, [2, 2, 1], value))], &[]));
    let raw = |args: &[&str]| {
        command([&["get", input.name(), "", "--from-key"], args].concat()).output().unwrap().stdout
    };
    assert_eq!(raw(&["--print-value-only"]), [value, b"\n"].concat());
    assert_eq!(raw(&[]), [key, b"\n", value, b"\n"].concat());
    assert_eq!(raw(&["--hex"]), b"\\x61\\x1b\\x5b\\x32\\x4a\\xff\n\\x00\\xff\\x76\\x0d\\x0a\n");
    assert!(String::from_utf8(raw(&["-w", "fields"])).unwrap().contains(r#""Key" : "a\x1b[2J\xff""#));
    let quoted = r#""a\x1b[2J\xff""#;
    for args in [
        &["keys"][..],
        &["keys", "--top", "1"],
        &["keys", "--tree", "--separator", "2"],
        &["events", "--values"],
        &["history", "--prefix", "a"],
        &["diff", "--from-rev", "1", "--values"],
    ] {
        let run = coldbolt([&args[..1], &[input.name()], &args[1..]].concat());
        assert!(!run.text().chars().any(|c| c.is_control() && c != '\n'), "{run}");
        let level = if args.contains(&"--tree") { r#""a\x1b[2""# } else { quoted };
        assert!(run.text().contains(level), "{run}");
    }
    // JSON is UTF-8: what is not, is in base64.
    let row = &lines(&coldbolt(["export", input.name()]))[0];
    assert_eq!(
        (&row["key"], row["key_base64"].as_str().unwrap()),
        (&Value::Null, STANDARD.encode(key).as_str())
    );
    assert_eq!(row["value_base64"].as_str().unwrap(), STANDARD.encode(value));
    assert_eq!(
        lines(&coldbolt(["events", input.name(), "-w", "ndjson"]))[0]["key_base64"].as_str().unwrap(),
        STANDARD.encode(key)
    );
    input.unchanged();
}

#[test]
fn an_unfinished_compaction_and_the_mark_of_a_raised_revision_are_shown_as_what_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let rows = [
        (2, stored(b"k", [2, 2, 1], b"old")),
        (3, stored(b"k", [2, 3, 2], b"new")),
        (4, stored(b"l", [4, 4, 1], b"")),
        // `restore --bump-revision`.
        (1_000_000_004, Vec::new()),
    ];
    let input = Input::write(dir.path(), "db", &database(&rows, &[("scheduledCompactRev", 3)]));
    // Asked for is enough: a server that starts on it answers nothing before.
    coldbolt(["get", input.name(), "k", "--rev", "2"])
        .says(1, &["has been compacted", "revisions 3 to 1000000004"]);
    assert_eq!(coldbolt(["get", input.name(), "k", "--rev", "3"]).good(), "k\nnew\n");
    assert_eq!(
        coldbolt(["get", input.name(), "", "--from-key", "--keys-only", "--rev", "1000000004"]).good(),
        "k\n\nl\n\n"
    );
    assert_eq!(
        coldbolt(["events", input.name()]).good(),
        "revision 2 (compacted)\n  put     k  (create 2, version 1, 3 B)\nrevision 3 (compacted)\n  put     k  (create 2, version 2, 3 B)\n\
         revision 4\n  put     l  (create 4, version 1, 0 B)\n\
         revision 1000000004\n  marker  no change: a restore raised the revision to this one\n"
    );
    let kinds: Vec<String> = lines(&coldbolt(["export", input.name(), "--all-revisions"]))
        .iter()
        .map(|row| row["type"].to_string())
        .collect();
    assert_eq!(kinds, [r#""put""#, r#""put""#, r#""put""#, r#""marker""#]);
    input.unchanged();
}

#[test]
fn the_life_of_a_key_is_told_from_its_creation_to_its_deletion_and_again() {
    let input = snapshot("3.7.1");
    let key = "/registry/configmaps/ns-0/cm-10";
    let versions = coldbolt(["history", input.name(), key, "-w", "json", "--diff"]).json();
    let told: Vec<_> = versions["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| (v["generation"].clone(), v["change"].clone()))
        .collect();
    let due = [(1, "created"), (1, "updated"), (1, "deleted"), (2, "recreated")];
    assert_eq!(told, due.map(|(generation, change)| (generation.into(), change.into())));
    assert_eq!(versions["versions"][1]["changes"].as_array().unwrap().len(), 2);
    let deleted =
        lines(&coldbolt(["history", input.name(), "--prefix", "/registry/", "--deleted", "-w", "ndjson"]));
    assert_eq!(deleted.len(), 5);
    for state in deleted {
        let key = state["key"].as_str().unwrap();
        let gone = coldbolt(["get", input.name(), key]);
        assert_eq!((gone.code, gone.text()), (1, ""), "{key} is live");
        let before = (state["revision"].as_i64().unwrap() - 1).to_string();
        assert!(
            coldbolt(["get", input.name(), key, "--rev", &before]).good().starts_with(key),
            "{key} was not live"
        );
    }
    let none = coldbolt(["history", input.name(), "none"]);
    assert_eq!((none.code, none.text()), (1, "none: no version is stored\n"));
    input.unchanged();
}

#[test]
fn what_fills_the_database_adds_up() {
    let input = snapshot("3.6.14");
    let live = lines(&coldbolt(["keys", input.name(), "-w", "ndjson"]));
    let all = lines(&coldbolt(["keys", input.name(), "--all", "-w", "ndjson"]));
    let served: Value = coldbolt(["get", input.name(), "", "--from-key", "-w", "json"]).json();
    assert_eq!(live.len() as u64, served["count"].as_u64().unwrap());
    assert_eq!(all.len() - live.len(), 5, "deleted keys");
    let sum = |rows: &[Value], name: &str| rows.iter().map(|row| row[name].as_u64().unwrap()).sum::<u64>();
    let tree = lines(&coldbolt(["keys", input.name(), "--tree", "--depth", "9", "-w", "ndjson"]));
    assert_eq!(tree[0]["depth"], 0);
    for (total, rows) in [
        ("keys", live.len() as u64),
        ("stored_bytes", sum(&all, "stored_bytes")),
        ("stored_versions", sum(&all, "stored_versions")),
    ] {
        assert_eq!(tree[0][total], rows, "{total}");
    }
    let namespaces: Vec<Value> = tree.iter().filter(|node| node["depth"] == 3).cloned().collect();
    let above = tree.iter().find(|node| node["prefix"] == "/registry/configmaps/").unwrap();
    assert_eq!(above["keys"], sum(&namespaces, "keys"));
    let top = lines(&coldbolt(["keys", input.name(), "--top", "3", "--by", "revisions", "-w", "ndjson"]));
    let most = all.iter().map(|row| row["stored_versions"].as_u64().unwrap()).max().unwrap();
    assert_eq!((top.len(), &top[0]["stored_versions"]), (3, &most.into()));
    // In a pipe there are no bars.
    assert!(coldbolt(["keys", input.name(), "--tree"]).good().is_ascii());
    input.unchanged();
}

#[test]
fn what_is_exported_is_what_is_got() {
    let input = snapshot("3.5.1");
    let got = coldbolt(["get", input.name(), "", "--from-key", "-w", "json"]).json();
    let rows = lines(&coldbolt(["export", input.name()]));
    let csv = coldbolt(["export", input.name(), "-w", "csv"]);
    let mut csv_lines = csv.good().lines();
    assert_eq!(
        csv_lines.next().unwrap(),
        "key,key_base64,create_revision,mod_revision,version,lease,value_len,value,value_base64"
    );
    for ((kv, row), line) in got["kvs"].as_array().unwrap().iter().zip(&rows).zip(csv_lines) {
        let text =
            |field: &Value| String::from_utf8(STANDARD.decode(field.as_str().unwrap()).unwrap()).unwrap();
        let (key, value) = (text(&kv["key"]), text(&kv["value"]));
        assert_eq!(
            (row["key"].as_str().unwrap(), row["value"].as_str().unwrap()),
            (key.as_str(), value.as_str())
        );
        assert_eq!(
            (&row["create_revision"], &row["mod_revision"], &row["version"]),
            (&kv["create_revision"], &kv["mod_revision"], &kv["version"])
        );
        assert!(
            line.starts_with(&format!(
                "{key},,{},{},{},",
                kv["create_revision"], kv["mod_revision"], kv["version"]
            )),
            "{line}"
        );
    }
    assert_eq!(rows.len(), got["kvs"].as_array().unwrap().len());
    let without = lines(&coldbolt(["export", input.name(), "--no-values"]));
    assert!(
        without.iter().zip(&rows).all(|(a, b)| a.get("value").is_none() && a["value_len"] == b["value_len"])
    );
    let changes = lines(&coldbolt(["export", input.name(), "--all-revisions"]));
    assert_eq!(changes.len(), lines(&coldbolt(["events", input.name(), "-w", "ndjson"])).len());
    input.unchanged();
}

#[cfg(not(feature = "parquet"))]
#[test]
fn parquet_is_refused_with_how_to_build_it_where_it_was_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot("3.7.1");
    let to = dir.path().join("keys.parquet");
    let run = coldbolt(["export", input.name(), "-w", "parquet", "-o", to.to_str().unwrap()]);
    run.says(2, &["built without Parquet; build it with `cargo build --release --features parquet`"]);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn an_export_to_a_file_is_what_a_pipe_gets_and_writes_over_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot("3.7.1");
    for format in ["ndjson", "csv"] {
        let to = dir.path().join(format);
        let args = ["export", input.name(), "-w", format, "-o", to.to_str().unwrap()];
        assert_eq!(coldbolt(args).good(), "");
        assert_eq!(fs::read_to_string(&to).unwrap(), coldbolt(&args[..4]).good());
        assert_eq!(command(args).output().unwrap().status.code(), Some(1));
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    input.unchanged();
}

#[test]
fn with_csv_safe_no_cell_begins_as_a_formula() {
    let dir = tempfile::tempdir().unwrap();
    let texts = ["=cmd|' /C calc'!A0", "+1", "-2", "@SUM(A1)", "\tx", "\n=1", "'quoted", "plain"];
    let keys = texts.map(|text| (format!("/{text}"), text.as_bytes().to_vec())).to_vec();
    support::backup::Backup { keys, ..support::backup::Backup::of(0) }.write(&dir.path().join("esc.db"));
    let csv = |args: &[&str]| coldbolt_in(dir.path(), [&["export", "esc.db", "-w", "csv"], args].concat());
    // As it is, unless asked: what is read back by a program is what is stored.
    assert!(csv(&[]).good().contains(",=cmd|' /C calc'!A0,"));
    let done = csv(&["--csv-safe"]);
    let text = done.good();
    for (raw, safe) in
        texts.iter().zip(["'=cmd", "'+1", "'-2", "'@SUM", "'\tx", "\"'\n=1", "''quoted", "plain"])
    {
        assert!(text.contains(&format!(",{safe}")), "{raw}: {text}");
    }
    coldbolt_in(dir.path(), ["export", "esc.db", "--csv-safe"]).says(2, &["--csv-safe"]);
}

#[test]
fn csv_quotes_what_must_be_quoted() {
    let dir = tempfile::tempdir().unwrap();
    let input =
        Input::write(dir.path(), "db", &database(&[(2, stored(b"a,\"b\"", [2, 2, 1], b"x\ny"))], &[]));
    let out = coldbolt(["export", input.name(), "-w", "csv"]);
    assert_eq!(out.good().split_once('\n').unwrap().1, "\"a,\"\"b\"\"\",,2,2,1,,3,\"x\ny\",\n");
}

#[test]
fn a_difference_is_exit_code_1_and_none_is_0() {
    let input = snapshot("3.7.1");
    assert!(
        coldbolt(["diff", input.name(), input.name()])
            .good()
            .ends_with("0 added, 0 removed, 0 changed, 0 recreated\n")
    );
    let run = coldbolt(["diff", input.name(), "--from-rev", "90", "--to-rev", "91", "--values"]);
    assert_eq!(run.code, 1);
    let name = input.name();
    assert_eq!(
        run.text(),
        format!(
            "--- {name} at revision 90\n+++ {name} at revision 91\n- /registry/configmaps/ns-2/cm-2  (modified 63, version 2, 8 B)\n\
             + /txn/a  (modified 91, version 1, 1 B)\n+ /txn/b  (modified 91, version 1, 1 B)\n2 added, 1 removed, 0 changed, 0 recreated\n"
        )
    );
    let ignored = [
        "diff",
        name,
        "--from-rev",
        "90",
        "--to-rev",
        "91",
        "--ignore-prefix",
        "/txn/",
        "--ignore-prefix",
        "/registry/",
    ];
    assert_eq!(coldbolt(ignored).code, 0);
    let summary = coldbolt(["diff", name, "--from-rev", "90", "--summary", "--depth", "1", "-w", "json"]);
    assert_eq!((summary.code, &summary.json()["counts"]["added"]), (1, &2.into()));
    // Another cluster, written the same way: nothing is the same but the content.
    let other = snapshot("3.6.14");
    let content = coldbolt(["diff", name, other.name(), "--content-only", "--prefix", "/txn/"]);
    assert_eq!(content.code, 0, "{content}");
    input.unchanged();
    other.unchanged();
}

#[test]
fn members_that_agree_are_told_from_those_that_do_not_and_those_that_cannot_be_compared() {
    let dir = tempfile::tempdir().unwrap();
    let rows = |last: i64, odd: Option<i64>| -> Vec<(i64, Vec<u8>)> {
        let value = |main: i64| if odd == Some(main) { b"odd".to_vec() } else { b"even".to_vec() };
        let at = |main: i64| u8::try_from(main).unwrap();
        (2..=last)
            .map(|main| {
                (main, stored(format!("k{}", main % 5).as_bytes(), [at(main), at(main), 1], &value(main)))
            })
            .collect()
    };
    let write = |file: &str, rows: &[(i64, Vec<u8>)], marks: &[(&str, i64)]| {
        Input::write(dir.path(), file, &database(rows, marks))
    };
    let first = write("m1", &rows(40, None), &[]);
    let longer = write("m2", &rows(50, None), &[]);
    let compacted =
        write("m3", &rows(50, None)[28..], &[("scheduledCompactRev", 34), ("finishedCompactRev", 34)]);
    let run = coldbolt(["compare", first.name(), longer.name(), compacted.name(), "-w", "json"]);
    assert_eq!(run.code, 0, "{run}");
    assert_eq!(
        (&run.json()["revision"], &run.json()["compact_revision"], &run.json()["agree"]),
        (&40.into(), &34.into(), &true.into())
    );

    let odd = write("odd", &rows(50, Some(37)), &[]);
    let run = coldbolt(["compare", first.name(), longer.name(), odd.name(), "-w", "json"]);
    assert_eq!(run.code, 1);
    let found = &run.json()["divergences"];
    assert_eq!(found.as_array().unwrap().len(), 1);
    assert_eq!(
        (&found[0]["member"], &found[0]["first_revision"], &found[0]["first_keys"][0]["key"]),
        (&2.into(), &37.into(), &"k2".into())
    );
    assert_eq!((&found[0]["differing_keys"], &found[0]["keys"][0]["key"]), (&1.into(), &"k2".into()));
    // It is overwritten later: the state is the same again, the history is not.
    let earlier = write("earlier", &rows(50, Some(11)), &[]);
    let run = coldbolt(["compare", first.name(), earlier.name(), "-w", "json"]);
    let found = &run.json()["divergences"][0];
    assert_eq!((run.code, &found["first_revision"], &found["differing_keys"]), (1, &11.into(), &0.into()));
    // Before the compaction: what it kept differs, since when is not known.
    let marks = [("scheduledCompactRev", 34), ("finishedCompactRev", 34)];
    let left = write("left", &rows(36, None)[28..], &marks);
    let kept = write("kept", &rows(36, Some(33)), &marks[..1]);
    let run = coldbolt(["compare", left.name(), kept.name(), "-w", "json"]);
    let found = &run.json()["divergences"][0];
    assert_eq!(
        (run.code, &found["first_revision"], &found["first_keys"][0]["key"]),
        (1, &Value::Null, &"k3".into())
    );

    let far = write("far", &rows(50, None)[44..], &[("scheduledCompactRev", 49), ("finishedCompactRev", 49)]);
    let run = coldbolt(["compare", first.name(), far.name()]);
    assert_eq!(run.code, 4);
    assert!(
        run.text().contains("nothing to compare: one ends at revision 40, another is compacted at 49"),
        "{run}"
    );
    for input in [first, longer, compacted, odd, earlier, left, kept, far] {
        input.unchanged();
    }
}

#[test]
fn a_reader_that_has_enough_is_no_fault() {
    let input = snapshot("3.7.1");
    for args in
        [&["export"][..], &["events", "--values", "-w", "ndjson"], &["get", "--from-key", "", "-w", "json"]]
    {
        let mut child = command([&args[..1], &[input.name()], &args[1..]].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = child.stdout.take().unwrap();
        out.read_exact(&mut [0]).unwrap();
        drop(out);
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(0), ""), "{args:?}");
    }
    input.unchanged();
}

/// The pages of the tree of bucket `key`.
fn key_pages(bytes: &[u8]) -> Vec<(u64, usize)> {
    struct Pages(Vec<(Pgid, u64, usize)>);
    impl Visitor for Pages {
        fn branch(&mut self, page: &Page<'_>, _: usize) {
            self.0.push((page.id, page.offset, page.bytes.len()));
        }
        fn leaf<'p>(&mut self, page: &Page<'p>, _: &[LeafElement<'p>], _: Option<usize>) {
            self.0.push((page.id, page.offset, page.bytes.len()));
        }
        fn fault(&mut self, corrupt: coldbolt::Corrupt) {
            panic!("{corrupt}");
        }
    }
    let source = Source::from_bytes("db", bytes.to_vec());
    let db = Db::open(&source).unwrap();
    let keys = db.root().bucket(b"key").unwrap().unwrap();
    let visited = Visited::new(&db);
    let mut pages = Pages(Vec::new());
    walk(&keys, Shared::new(&visited, &Quiet), &mut pages);
    pages.0.into_iter().map(|(_, offset, len)| (offset, len)).collect()
}

#[test]
fn a_page_that_is_lost_never_gives_a_wrong_answer_in_silence() {
    let dir = tempfile::tempdir().unwrap();
    let pristine = fs::read(fixture("small-3.5.1/snapshot.db")).unwrap();
    let questions = [
        &["get", "", "--from-key", "-w", "json"][..],
        &["get", "/app/config/01"],
        &["get", "/app/config/01", "--rev", "29"],
        &["keys", "-w", "ndjson"],
        &["events", "-w", "ndjson"],
        &["history", "/app/config/01", "-w", "ndjson"],
        &["export"],
        &["leases", "-w", "json"],
    ];
    let good = Input::write(dir.path(), "good", &pristine);
    let ask = |input: &Input, question: &[&str], more: &[&str]| {
        coldbolt([&question[..1], &[input.name()], &question[1..], more].concat())
    };
    let pages = key_pages(&pristine);
    assert!(pages.len() > 3);
    for (n, (offset, len)) in pages.iter().enumerate() {
        // The page is gone; or one byte in its elements, its keys or its values is another.
        let from = usize::try_from(*offset).unwrap();
        type Change<'c> = (&'c str, &'c dyn Fn(&mut Vec<u8>));
        let changes: [Change<'_>; 3] = [
            ("zeroed", &|bytes| bytes[from..from + len].fill(0)),
            ("type", &|bytes| bytes[from + 8] ^= 0x10),
            ("element", &|bytes| bytes[from + 16 + 8] ^= 0x40),
        ];
        for (what, change) in changes {
            let mut bytes = pristine.clone();
            change(&mut bytes);
            let input = Input::write(dir.path(), &format!("{n}-{what}"), &bytes);
            for question in questions {
                let due = ask(&good, question, &[]);
                let run = ask(&input, question, &[]);
                let same = run.code == 0 && run.out == due.out;
                assert!(
                    same || (run.code == 1 && run.err.contains("Error: ")),
                    "page {n} {what}, {question:?}: {run}"
                );
                let allowed = ask(&input, question, &["--allow-damage"]);
                let told = allowed.code == 1
                    && (allowed.err.contains("damage: ") || allowed.err.contains("Error: "));
                assert!(
                    told || (allowed.code == 0 && allowed.out == due.out),
                    "page {n} {what}, {question:?}: {allowed}"
                );
            }
            // Some questions need every page.
            assert_eq!(ask(&input, questions[0], &[]).code, 1, "page {n} {what}");
            input.unchanged();
        }
    }
    good.unchanged();
}

/// Everything that can be asked, in process; the keys that were found, for it to be about something.
fn everything(source: &Source, options: StoreOptions) -> coldbolt::Result<usize> {
    let go = |_: Event<'_>| ControlFlow::Continue(());
    let store = Store::open(source, &options, &Quiet)?;
    let view = store.at(None)?;
    let states = view.keys(KeyRange::all()).with_deleted().collect::<coldbolt::Result<Vec<_>>>()?;
    assert!(states.is_sorted_by(|a, b| a.key < b.key), "keys are not in order");
    for order in [Order::None, Order::Descend] {
        let request = RangeRequest { order, sort_by: SortBy::Value, ..RangeRequest::new(KeyRange::all()) };
        view.range(&request, &mut |_| ControlFlow::Continue(()))?;
    }
    view.get(b"/app/config/01")?;
    store.events(None, None, None, &mut { go })?;
    store.history(b"/app/config/01", &mut |version| go(version.event))?;
    diff(store.at(store.compact_revision())?, view, &DiffOptions::default(), &mut |_| {
        ControlFlow::Continue(())
    })?;
    store.facts_with_leases(9)?;
    Ok(states.len())
}

#[test]
fn no_byte_that_is_changed_makes_it_panic_or_hang() {
    let pristine = fs::read(fixture("small-3.5.1/snapshot.db")).unwrap();
    let strict = StoreOptions { memory: 4000, ..StoreOptions::default() };
    let lenient = StoreOptions { allow_damage: true, ..strict };
    let whole = everything(&Source::from_bytes("db", pristine.clone()), strict).unwrap();
    assert!(whole > 20);
    let (mut refused, mut partial) = (0, 0);
    // Page headers and elements lie at multiples of 4 and 8; a stride of 13 meets every offset in them.
    for at in (0..pristine.len()).step_by(13) {
        let mut bytes = pristine.clone();
        bytes[at] ^= 0xff;
        let source = Source::from_bytes("db", bytes);
        refused += usize::from(everything(&source, strict).is_err());
        partial += usize::from(everything(&source, lenient).is_ok_and(|found| found < whole));
    }
    for len in (0..pristine.len()).step_by(1021) {
        let source = Source::from_bytes("db", pristine[..len].to_vec());
        let _ = (everything(&source, strict), everything(&source, lenient));
    }
    assert!(refused > 100 && partial > 10, "{refused} were refused, {partial} answered in part");
}

#[test]
fn a_database_of_another_program_is_told_to_be_one() {
    for command in ["keys", "events", "leases", "export"] {
        coldbolt([command, fixture("bolt/nested-1024.db").to_str().unwrap()])
            .says(3, &["is a bbolt database, but not etcd's"]);
        coldbolt([command, fixture("README.md").to_str().unwrap()]).says(3, &["a text file"]);
    }
}
