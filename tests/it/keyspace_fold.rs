//! `--fold`: a stopped member's directory answers as the copy of it does, and nothing is written.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;
use support::{Input, Run, VERSIONS, coldbolt, fixture, unpack};

fn copied(from: &str, dir: &Path) -> Input {
    let to = dir.join("copy.db");
    coldbolt(["copy", from, to.to_str().unwrap()]).says(0, &[]);
    Input::new(to)
}

fn ask(path: &str, question: &[&str], more: &[&str]) -> Run {
    coldbolt([&question[..1], &[path], &question[1..], more].concat())
}

const QUESTIONS: [&[&str]; 20] = [
    &["get", "", "--from-key", "-w", "json"],
    &["get", "/txn/", "--prefix", "-w", "fields"],
    &["get", "", "--from-key", "--sort-by", "modify", "--order", "descend", "--limit", "20"],
    &["keys"],
    &["keys", "--all", "-w", "json"],
    &["keys", "--tree", "--depth", "4"],
    &["keys", "--top", "5", "--by", "churn"],
    &["history", "/registry/configmaps/ns-0/cm-10", "--diff"],
    &["history", "--prefix", "", "--deleted", "-w", "ndjson"],
    &["export"],
    &["export", "-w", "csv", "--no-values"],
    &["export", "--all-revisions", "-w", "csv"],
    &["leases", "--keys"],
    &["leases", "-w", "json"],
    &["auth"],
    &["auth", "-w", "json"],
    &["alarms", "-w", "json"],
    &["members"],
    &["members", "-w", "json"],
    &["diff", "--from-rev", "100", "--summary", "--depth", "2"],
];

#[test]
fn a_directory_that_is_folded_answers_as_its_copy_and_as_the_member_did() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().unwrap();
        let input = Input::new(unpack(version, "cold", dir.path()));
        let copy = copied(input.name(), dir.path());
        let db = input.path.join("member/snap/db");
        let (member, db) = (input.path.join("member"), db.to_str().unwrap());
        for question in QUESTIONS {
            let due = ask(copy.name(), question, &[]);
            let paths = [input.name(), member.to_str().unwrap(), db];
            // The member's directory and its database, once each.
            for path in &paths[..if question == QUESTIONS[0] { 3 } else { 1 }] {
                let run = ask(path, question, &["--fold"]);
                assert_eq!(run.code, due.code, "{version} {question:?}: {run}");
                assert!(run.err.contains("which the database lacks, are applied in memory"), "{run}");
                let plain = |run: &Run| run.text().replace(db, "FILE").replace(copy.name(), "FILE");
                assert_eq!(plain(&run), plain(&due), "{version} {question:?}");
            }
        }
        // The answer that the member itself gave before it was killed.
        let range: Value = serde_json::from_slice(
            &fs::read(fixture(&format!("etcd-{version}/cold.expected.range.json"))).unwrap(),
        )
        .unwrap();
        let folded = ask(input.name(), &["get", "", "--from-key", "-w", "json"], &["--fold"]).json();
        assert_eq!((&folded["kvs"], &folded["count"]), (&range["kvs"], &range["count"]), "{version}");

        let run = coldbolt(["compare", input.name(), copy.name(), "--fold"]);
        assert!(run.code == 0 && run.text().contains("all agree at revision"), "{run}");
        let run = coldbolt(["diff", input.name(), copy.name(), "--fold"]);
        assert!(run.code == 0 && run.text().contains("0 added, 0 removed, 0 changed, 0 recreated"), "{run}");
        // Without it the directory is behind.
        assert_eq!(coldbolt(["diff", input.name(), copy.name()]).code, 1, "{version}");
        coldbolt(["get", input.name(), "k"]).says(1, &["with --fold it has that [db-lag]"]);
        copy.unchanged();
        input.unchanged();
        let left: BTreeSet<_> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(
            left,
            BTreeSet::from(["cold".into(), "copy.db".into()]),
            "{version}: something was written"
        );
    }
}

#[test]
fn each_event_says_whether_it_is_from_the_database_or_from_which_entry() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().unwrap();
        let input = Input::new(unpack(version, "cold", dir.path()));
        let copy = copied(input.name(), dir.path());
        let lines = |run: &Run| -> Vec<Value> {
            run.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        };
        let due = lines(&ask(copy.name(), &["events", "--values", "-w", "ndjson"], &[]));
        let stored = lines(&ask(input.name(), &["events", "-w", "ndjson"], &[])).len();
        let mut folded = lines(&ask(input.name(), &["events", "--values", "-w", "ndjson"], &["--fold"]));
        let dump =
            fs::read_to_string(fixture(&format!("etcd-{version}/cold.expected.dump-logs.txt"))).unwrap();
        let mut before = 0;
        for (n, event) in folded.iter_mut().enumerate() {
            let event = event.as_object_mut().unwrap();
            let (index, term) = (event.remove("index"), event.remove("term"));
            if n < stored {
                assert_eq!((event.remove("source"), index), (Some("db".into()), None), "{version}");
                continue;
            }
            assert_eq!(event.remove("source"), Some("wal".into()), "{version}");
            let (index, term) = (index.unwrap().as_u64().unwrap(), term.unwrap());
            assert!(index >= before, "{version}");
            before = index;
            // etcd's own tool has the key in that entry, of that term.
            let key = event["key"].as_str().unwrap();
            let entry =
                |line: &&str| line.split_whitespace().take(2).eq([term.to_string(), index.to_string()]);
            let entry = dump.lines().find(entry).unwrap_or_else(|| panic!("{version}: no entry {index}"));
            assert!(
                entry.contains(key) || entry.contains("lease_revoke") || event["type"] == "delete",
                "{version}: {key} is not in {entry}"
            );
        }
        assert_eq!(folded, due, "{version}");
        assert!(folded.len() > stored, "{version}: nothing is from the log");
        let text = ask(input.name(), &["events"], &["--fold"]);
        assert!(text.text().contains("  db\n") && text.text().contains("  wal, index "), "{text}");
        copy.unchanged();
        input.unchanged();
    }
}

#[test]
fn what_copy_refuses_is_not_folded_either() {
    let dir = tempfile::tempdir().unwrap();
    let cold = unpack("3.6.14", "cold", dir.path());
    let wal = cold.join("member/wal");
    let segment = fs::read_dir(&wal)
        .unwrap()
        .map(|e| e.unwrap().path())
        .find(|p| p.extension().is_some_and(|e| e == "wal"))
        .unwrap();
    // A log elsewhere.
    let elsewhere = dir.path().join("log");
    fs::rename(&wal, &elsewhere).unwrap();
    let input = Input::new(cold.clone());
    let get = ["get", input.name(), "", "--from-key", "--count-only"];
    coldbolt([&get[..], &["--fold"]].concat()).says(0, &["no log belongs to it: nothing is applied"]);
    let run = coldbolt([&get[..], &["--fold", "--wal-dir", elsewhere.to_str().unwrap()]].concat());
    run.says(0, &["applied in memory"]);
    input.unchanged();
    fs::rename(&elsewhere, &wal).unwrap();
    // Damage in the log, where copy stops.
    let mut bytes = fs::read(&segment).unwrap();
    let at = bytes.windows(5).rposition(|window| window == b"/txn/").unwrap();
    bytes[at] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let input = Input::new(cold);
    let folded = coldbolt([&get[..], &["--fold"]].concat());
    let copied = coldbolt(["copy", input.name(), dir.path().join("none.db").to_str().unwrap()]);
    let error = |run: &Run| run.err.lines().find(|line| line.starts_with("Error: ")).map(str::to_owned);
    assert_eq!((folded.code, folded.text()), (copied.code, ""), "{folded}");
    assert_eq!(error(&folded), error(&copied), "{copied}");
    assert_eq!(folded.code, 1);
    input.unchanged();

    for (args, why) in [
        (&["get", "-", "k", "--fold"][..], "--fold needs a directory"),
        (&["keys", "x", "--include-uncommitted"], "--fold"),
        (&["keys", "x", "--wal-dir", "y"], "--fold"),
    ] {
        coldbolt(args).says(2, &[why]);
    }
    let snapshot = Input::new(fixture("etcd-3.7.1/snapshot.db"));
    coldbolt(["keys", snapshot.name(), "--fold"]).says(0, &["no log belongs to it: nothing is applied"]);
    snapshot.unchanged();
}
