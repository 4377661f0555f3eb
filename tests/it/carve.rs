//! Versions that are stored no more: what is found, and what is shown of it.

use std::fs;

use std::path::{Path, PathBuf};

use serde_json::Value;
use support::buckets::Buckets;
use support::{Input, VERSIONS, coldbolt, fixture, unpack};

fn lines(args: &[&str]) -> Vec<Value> {
    let run = coldbolt([&["carve"], args, &["-w", "ndjson"]].concat());
    assert_eq!(run.code, 0, "{run}");
    run.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn what_was_compacted_is_found_by_revision_with_what_became_of_the_key() {
    let input = Input::new(fixture("small-3.5.1/snapshot.db"));
    let all = lines(&[input.name()]);
    let short: Vec<_> = all
        .iter()
        .map(|v| (v["revision"].as_i64().unwrap(), v["type"].as_str().unwrap(), v["now"].as_str().unwrap()))
        .collect();
    let live =
        [(3, "put"), (5, "put"), (6, "put"), (7, "put"), (8, "put")].map(|(n, kind)| (n, kind, "live"));
    let rest = [
        (20, "put", "deleted"),
        (22, "put", "live"),
        (26, "delete", "live"),
        (27, "delete", "deleted"),
        (28, "delete", "live"),
    ];
    assert_eq!(short, [&live[..], &rest].concat());
    assert!(all.iter().all(|v| v["whole"] == true && v.get("value").is_none()));
    // The fixture was compacted at 29: that is what it was before.
    let deleted = lines(&[input.name(), "--deleted-only", "--values"]);
    let text = r#"{"replicas":9,"phase":"Running""#;
    assert!(deleted[0]["value"].as_str().unwrap().starts_with(text), "{}", deleted[0]);
    assert_eq!(deleted.len(), 2);
    assert_eq!(lines(&[input.name(), "--key", "/app/config/02"]).len(), 2);
    assert_eq!(lines(&[input.name(), "--prefix", "/nothing"]).len(), 0);
    input.unchanged();
}

#[test]
fn values_become_files_and_nothing_becomes_none() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("carved");
    let file = fixture("small-3.5.1/snapshot.db");
    let (file, name) = (file.to_str().unwrap(), out.to_str().unwrap());
    coldbolt(["carve", file, "--extract", name]).shows(0, &["20.0  put  /app/state/09"]);
    let index = fs::read_to_string(out.join("index.ndjson")).unwrap();
    assert_eq!(index.lines().count(), 7);
    for line in index.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(out.join(line["file"].as_str().unwrap()).is_file(), "{line}");
    }
    assert_eq!(fs::read_dir(&out).unwrap().count(), 8);
    coldbolt(["carve", file, "--extract", name]).says(1, &["carved: exists already"]);
    let none = dir.path().join("none");
    coldbolt(["carve", file, "--extract", none.to_str().unwrap(), "--prefix", "/nothing"])
        .says(0, &["0 versions"]);
    assert!(!none.exists());
}

#[test]
fn what_was_written_anew_has_nothing_left_over() {
    let dir = tempfile::tempdir().unwrap();
    let file = fixture("small-3.5.1/snapshot.db");
    let new = dir.path().join("new.db");
    coldbolt(["defrag", file.to_str().unwrap(), "-o", new.to_str().unwrap()]).shows(0, &[]);
    assert!(lines(&[new.to_str().unwrap()]).is_empty());
}

/// What the log of a directory has beyond what its database stores: index, kind and key, in order.
fn asked(dir: &Path) -> Vec<(u64, String, String)> {
    let of = |line: &Value| {
        let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        (line["index"].as_u64().unwrap(), text("type"), text("key"))
    };
    lines(&[dir.to_str().unwrap()]).iter().filter(|line| line["source"] == "wal").map(of).collect()
}

/// The same of all entries after the last raft snapshot, as etcd-dump-logs printed them.
fn dumped(version: &str) -> Vec<(u64, String, String)> {
    let text = fs::read_to_string(fixture(&format!("etcd-{version}/cold.expected.dump-logs.txt"))).unwrap();
    let mut all = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let Some(index) = words.nth(1).and_then(|word| word.parse().ok()) else { continue };
        for (kind, before) in [("put", "put:<key:\""), ("delete", "delete_range:<key:\"")] {
            for part in line.split(before).skip(1) {
                all.push((index, kind.to_owned(), part[..part.find('"').unwrap()].to_owned()));
            }
        }
    }
    all
}

/// A member that was killed, with a database that is past its log and holds no key.
fn emptied(version: &str, dir: &Path) -> PathBuf {
    let data = unpack(version, "cold", dir);
    fs::write(data.join("member/snap/db"), Buckets::alone("default", "3.6.0", 5000).bare().bytes).unwrap();
    data
}

/// The branch of a transaction that was not done is the one thing in these logs that came to nothing.
#[test]
fn of_a_members_log_that_is_listed_which_its_database_does_not_store() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().unwrap();
        let data = unpack(version, "cold", dir.path());
        let input = Input::new(&data);
        let found = lines(&[input.name(), "--values"]);
        let found: Vec<&Value> = found.iter().filter(|line| line["source"] == "wal").collect();
        assert_eq!(found.len(), 1, "{version}: {found:?}");
        let only = found[0];
        assert_eq!(
            (&only["key"], &only["when"], &only["now"]),
            (&"/txn/no".into(), &"failed".into(), &"deleted".into())
        );
        assert!(only["file"].as_str().unwrap().ends_with(".wal") && only["proven"] == true, "{only}");
        input.unchanged();
    }
}

#[test]
fn every_request_of_a_log_is_listed_that_no_database_has() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().unwrap();
        let data = emptied(version, dir.path());
        let due = dumped(version);
        assert!(due.len() > 10, "{version}");
        let found = asked(&data);
        let first = due[0].0;
        let after: Vec<_> = found.iter().filter(|(index, ..)| *index >= first).cloned().collect();
        assert_eq!(after, due, "{version}");
    }
}

#[test]
fn entries_behind_an_end_are_found_and_nothing_that_is_none() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().unwrap();
        let data = emptied(version, dir.path());
        let all = lines(&[data.to_str().unwrap()]);
        let cut = all.iter().rev().nth(5).unwrap();
        let (wal, at) = (cut["file"].as_str().unwrap(), cut["offset"].as_u64().unwrap());
        let mut bytes = fs::read(wal).unwrap();
        bytes[usize::try_from(at).unwrap()..][..8].fill(0);
        // What etcd made room for is 64 MB.
        bytes.truncate(1 << 20);
        fs::write(wal, bytes).unwrap();
        let left = lines(&[data.to_str().unwrap()]);
        let because = |why: &str| left.iter().filter(|line| line["why"] == why).collect::<Vec<_>>();
        let (applied, beyond) = (because("applied"), because("beyond"));
        assert_eq!((applied.len(), beyond.len()), (all.len() - 6, 5), "{version}");
        for (found, was) in beyond.iter().zip(&all[all.len() - 5..]) {
            for what in ["offset", "index", "term", "type", "key", "file"] {
                assert_eq!(found[what], was[what], "{version}");
            }
        }
        assert!(beyond[1..].iter().all(|found| found["proven"] == true), "{version}: {beyond:?}");
        // Values of a log become files, too.
        let out = dir.path().join("carved");
        coldbolt(["carve", data.to_str().unwrap(), "--extract", out.to_str().unwrap()]).shows(0, &[]);
        let puts = left.iter().filter(|line| line["type"] == "put").count();
        assert_eq!(fs::read_dir(&out).unwrap().count(), puts + 1, "{version}");
    }
}
