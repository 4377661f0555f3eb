//! `status`, `hashkv` and `inspect` on real files of four etcd versions, against what the real programs answered when
//! the files were made.

use std::fs::{self, File};
use std::path::Path;

use rustix::fs::Advice;
use serde_json::{Value, json};
use support::{Input, args, coldbolt, fixture, unpack};

const VERSIONS: [(&str, &str); 4] =
    [("3.4.23", "3.4"), ("3.5.1", "3.5"), ("3.6.14", "3.6"), ("3.7.1", "3.7")];

/// A recorded JSON answer; some hold a list of one.
fn recorded(name: &str) -> Value {
    let value: Value = serde_json::from_slice(&fs::read(fixture(name)).unwrap()).unwrap();
    value.get(0).cloned().unwrap_or(value)
}

/// A 64-bit id as we print it.
fn hex(id: &Value) -> Value {
    json!(format!("{:016x}", id.as_u64().unwrap()))
}

/// Runs `coldbolt inspect -w json`, which must find nothing wrong.
fn inspect(path: &Path) -> Value {
    let ran = coldbolt(args!["inspect", "-w", "json", path]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", path.display());
    serde_json::from_slice(&ran.out).unwrap()
}

#[test]
fn status_and_hashkv_are_byte_for_byte_what_the_real_programs_printed() {
    let mut files = vec![("small-3.5.1/".to_owned(), "", "3.5")];
    files
        .extend(VERSIONS.map(|(version, compat)| (format!("etcd-{version}/"), "snapshot.expected.", compat)));
    for (dir, prefix, compat) in files {
        let snapshot = Input::new(fixture(&format!("{dir}snapshot.db")));
        let status = fs::read_to_string(fixture(&format!("{dir}{prefix}status.json"))).unwrap();
        let hashkv = fs::read_to_string(fixture(&format!("{dir}{prefix}hashkv.json"))).unwrap();
        for command in [args!["status"], args!["snapshot", "status"]] {
            let ran = coldbolt([command, args!["-w", "json", "--compat", compat, snapshot]].concat());
            assert_eq!((ran.code, ran.text(), ran.err.as_str()), (0, &*status, ""), "{dir}");
        }
        let ran = coldbolt(args!["hashkv", "-w", "json", snapshot]);
        assert_eq!((ran.code, ran.text(), ran.err.as_str()), (0, &*hashkv, ""), "{dir}");
        snapshot.unchanged();
    }
}

#[test]
fn a_file_that_comes_from_the_disk_gives_the_same_answers() {
    let dir = tempfile::tempdir().unwrap();
    for (version, _) in VERSIONS {
        let copy = dir.path().join(version);
        fs::copy(fixture(&format!("etcd-{version}/snapshot.db")), &copy).unwrap();
        for command in [
            args!["status"],
            args!["hashkv"],
            args!["keys"],
            args!["verify", "-w", "json"],
            args!["inspect", "--hash"],
        ] {
            let [warm, cold] = [false, true].map(|cold| {
                let file = File::open(&copy).unwrap();
                file.sync_all().unwrap();
                // Where the file system keeps everything in memory it stays there.
                let advice = if cold { Advice::DontNeed } else { Advice::WillNeed };
                rustix::fs::fadvise(&file, 0, None, advice).unwrap();
                let ran = coldbolt([command, args![copy]].concat());
                (ran.code, ran.text().to_owned(), ran.err)
            });
            assert_eq!((cold.0, cold.2.as_str()), (0, ""), "{command:?}");
            assert_eq!(cold, warm, "{command:?}");
        }
    }
}

#[test]
fn the_small_snapshot_is_told_to_the_last_user() {
    let snapshot = Input::new(fixture("small-3.5.1/snapshot.db"));
    let etcd = &inspect(&snapshot.path)["database"]["etcd"];
    let range = recorded("small-3.5.1/range.json");
    assert_eq!(etcd["live_keys"], range["count"]);
    assert_eq!(etcd["last_revision"], json!({"main": range["header"]["revision"], "sub": 0}));
    assert_eq!(etcd["compact_revision"], 29);
    assert_eq!(etcd["leases"][0]["keys"], json!(["/lease/one", "/lease/two"]));
    assert_eq!(etcd["members"][0]["id"], hex(&range["header"]["member_id"]));
    let said = String::from_utf8(coldbolt(args!["inspect", snapshot]).out).unwrap();
    assert!(said.contains("users: reader, root; roles: app-reader, root"), "{said}");
    snapshot.unchanged();
}

#[test]
fn a_member_is_who_it_said_it_was_and_a_killed_ones_db_lags_its_log() {
    for (version, _) in VERSIONS {
        let answer = |name: &str| recorded(&format!("etcd-{version}/cold.expected.{name}.json"));
        let (range, leases, members, hashkv) =
            (answer("range"), answer("leases"), answer("members"), answer("hashkv"));
        let served = range["header"]["revision"].as_u64().unwrap();
        let dir = tempfile::tempdir().unwrap();
        for name in ["cold", "clean"] {
            let input = Input::new(unpack(version, name, dir.path()));
            let told = inspect(&input.path);
            let (etcd, wal, lag) = (&told["database"]["etcd"], &told["wal"], &told["lag"]);
            let at = format!("{version} {name}: {lag}");

            assert_eq!(wal["cluster_id"], hex(&members["header"]["cluster_id"]), "{at}");
            assert_eq!(wal["node_id"], hex(&members["header"]["member_id"]), "{at}");
            let (ours, theirs) = (&etcd["members"], &members["members"]);
            assert_eq!(ours.as_array().unwrap().len(), theirs.as_array().unwrap().len(), "{at}");
            assert_eq!(
                (&ours[0]["id"], &ours[0]["name"]),
                (&hex(&theirs[0]["ID"]), &theirs[0]["name"]),
                "{at}"
            );
            assert_eq!(ours[0]["peer_urls"], theirs[0]["peerURLs"], "{at}");
            assert_eq!(
                etcd["leases"].as_array().unwrap().len(),
                leases["leases"].as_array().unwrap().len(),
                "{at}"
            );
            assert_eq!(etcd["leases"][0]["id"], hex(&leases["leases"][0]["id"]), "{at}");
            assert_eq!(etcd["compact_revision"], hashkv["HashKV"]["compact_revision"], "{at}");

            let number = |name: &str| lag[name].as_u64().unwrap();
            let missing = number("committed_not_in_db") + number("uncommitted");
            assert_eq!(number("last_entry") - number("consistent_index"), missing, "{at}");
            let revision = etcd["last_revision"]["main"].as_u64().unwrap();
            if name == "cold" {
                // Each entry that the db lacks is a change that the member served after its replay.
                assert!((1..=3).contains(&missing), "{at}");
                assert_eq!(revision + missing, served, "{at}");
            } else {
                assert_eq!((revision, &etcd["live_keys"]), (served, &range["count"]), "{at}");
            }
            input.unchanged();
        }
    }
}
