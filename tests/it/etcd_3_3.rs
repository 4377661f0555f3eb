//! Files of etcd 3.3, with keys of both APIs: they are read, and what is not known of them is said.

use std::fs;
use std::path::{Path, PathBuf};

use coldbolt::snap::file::SnapFile;
use coldbolt::wal::Log;
use serde_json::Value;
use support::{Input, Run, args, coldbolt, fixture, unpack};

const VERSION: &str = "3.3.27";

fn cold(home: &Path) -> Input {
    Input::new(unpack(VERSION, "cold", home))
}

fn recorded(name: &str) -> Value {
    serde_json::from_slice(&fs::read(fixture(&format!("etcd-{VERSION}/{name}"))).unwrap()).unwrap()
}

#[test]
fn every_command_names_the_version_that_the_cluster_agreed_on() {
    let temp = tempfile::tempdir().unwrap();
    let dir = cold(temp.path());
    let file = Input::new(fixture(&format!("etcd-{VERSION}/snapshot.db")));
    for input in [&dir, &file] {
        for command in ["verify", "status"] {
            coldbolt([command, input.name()])
                .says(0, &["the cluster is of version 3.3.0, older than 3.4", "[etcd-older]"]);
        }
        coldbolt(["inspect", input.name()]).shows(0, &["cluster version 3.3.0"]);
    }
    coldbolt(["inspect", dir.name()]).shows(0, &["12 keys of users, which etcd from 3.6 on does not take"]);
    coldbolt(["verify", dir.name()]).shows(
        0,
        &[
            "starts from it: etcd 3.4, 3.5\n",
            "does not start from it: etcd 3.6: 12 keys of users are in the v2 store",
        ],
    );
    let due = recorded("snapshot.expected.status.json");
    let status = coldbolt(["status", file.name(), "--compat", "3.4", "-w", "json"]).json();
    assert_eq!((&status["hash"], &status["totalKey"]), (&due["hash"], &due["totalKey"]));
    [dir, file].iter().for_each(Input::unchanged);
}

#[test]
fn a_copy_has_what_3_3_itself_says_after_its_replay_and_not_the_v2_store() {
    let temp = tempfile::tempdir().unwrap();
    let dir = cold(temp.path());
    let copy = temp.path().join("copy.db");
    let made = coldbolt(args!["copy", dir, copy, "-w", "json"]);
    let report = made.json();
    let due = &recorded("cold.expected.hashkv.json")[0]["HashKV"];
    assert_eq!((&report["hashkv"], &report["revision"]), (&due["hash"], &due["header"]["revision"]));
    assert!(
        report
            .to_string()
            .contains("the cluster is of version 3.3.0, whose requests 3.4 applies as that does")
    );
    made.says(
        0,
        &[
            "12 keys of users are in the v2 store, which no copy and no snapshot file has",
            "[replay-v2]",
            "[etcd-older]",
        ],
    );
    let keys = coldbolt(args!["keys", copy, "-w", "json"]).json();
    let due = recorded("cold.expected.range.json")["kvs"].as_array().unwrap().len();
    assert_eq!(keys["keys"].as_array().unwrap().len(), due);
    dir.unchanged();
}

fn etcdutl(words: Vec<&str>) -> Run {
    coldbolt(["as", "etcdutl"].into_iter().chain(words))
}

/// The files of a directory, by where they are in it.
fn raft_files(dir: &Path) -> (PathBuf, PathBuf) {
    let only = |dir: PathBuf, ending: &str| {
        let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        let mut names = names.filter(|name| name.to_str().unwrap().ends_with(ending));
        let only = names.next().unwrap();
        assert_eq!(names.next(), None);
        only
    };
    (only(dir.join("member/snap"), ".snap"), only(dir.join("member/wal"), ".wal"))
}

#[test]
fn a_backup_keeps_the_v2_store_and_the_log_and_names_one_member() {
    let temp = tempfile::tempdir().unwrap();
    let dir = cold(temp.path());
    for (name, more, emptied) in
        [("new", None, 0), ("without", Some("--with-v3=false"), 5), ("there", None, 0)]
    {
        let new = temp.path().join(name);
        if name == "there" {
            fs::create_dir(&new).unwrap();
        }
        let words = vec!["backup", "--data-dir", dir.name(), "--backup-dir", new.to_str().unwrap()];
        etcdutl([words, more.into_iter().collect()].concat()).says(
            0,
            &["for etcd --force-new-cluster", &format!("\"entries\": 9, \"entries-emptied\": {emptied}}}")],
        );
        let ((theirs, _), (ours, log)) = (raft_files(&dir.path), raft_files(&new));
        assert_eq!(theirs.file_name(), ours.file_name());
        let [theirs, ours] = [theirs, ours].map(|snap| SnapFile::decode(&fs::read(snap).unwrap()).unwrap());
        let users = |snap: &SnapFile| {
            let store: Value = serde_json::from_slice(snap.snapshot.data()).unwrap();
            store["Root"]["Children"]["1"].clone()
        };
        assert_eq!(users(&theirs), users(&ours));
        let members = ours.membership().unwrap().members;
        assert_eq!(members.len(), 1);
        let peers: Vec<_> = members[0].peer_urls.iter().map(|url| url.raw()).collect();
        assert_eq!(peers, ["http://use-flag--force-new-cluster:2080"]);
        let source = coldbolt::io::Source::open(&log).unwrap();
        let (entries, summary) =
            Log::of([&source]).entries(Default::default(), &mut |fault| panic!("{fault}"));
        assert_eq!((entries.len(), summary.last, summary.commit()), (9, Some(50), 50));
        let rows = coldbolt(args!["members", new.join("member/snap/db")]);
        assert!(rows.good().contains("etcdctl-v2-backup") && !rows.good().contains("35200"), "{rows}");
        let keys = coldbolt(args!["keys", new.join("member/snap/db")]);
        assert_eq!(keys.good().contains("/app/01"), more.is_none(), "{keys}");
    }
    dir.unchanged();
}

#[test]
fn a_backup_is_whole_or_not_there() {
    let temp = tempfile::tempdir().unwrap();
    let dir = cold(temp.path());
    let (new, wal) = (temp.path().join("new"), temp.path().join("wal"));
    let words = ["backup", "--data-dir", dir.name(), "--backup-dir", new.to_str().unwrap()].to_vec();
    let elsewhere = |wal: &Path| {
        coldbolt(args![
            "as",
            "etcdutl",
            "backup",
            "--data-dir",
            dir,
            "--backup-dir",
            new,
            "--backup-wal-dir",
            wal
        ])
    };
    // A log inside of what is made as a whole, one in the source, one that is there.
    for (wal, why) in
        [(new.join("wal"), "new"), (dir.path.join("wal"), "cold"), (temp.path().to_path_buf(), "exists")]
    {
        elsewhere(&wal).says(1, &["Error: ", why]);
        assert!(!new.exists() && !new.join("wal").exists());
    }
    elsewhere(&wal).says(0, &[]);
    assert!(wal.join("0000000000000000-0000000000000000.wal").exists() && !new.join("member/wal").exists());
    etcdutl(words.clone()).says(1, &["exists already"]);
    dir.unchanged();
    let (snap, log) = raft_files(&dir.path);
    let other = temp.path().join("other");
    let again = ["backup", "--data-dir", dir.name(), "--backup-dir", other.to_str().unwrap()].to_vec();
    for damaged in [log, snap] {
        let mut bytes = fs::read(&damaged).unwrap();
        bytes[300] ^= 1;
        fs::write(&damaged, bytes).unwrap();
        assert_eq!(etcdutl(again.clone()).code, 1);
        assert!(!other.exists());
    }
}

#[test]
fn check_v2store_tells_what_clients_of_the_v2_api_left() {
    let temp = tempfile::tempdir().unwrap();
    let dir = cold(temp.path());
    let check = |dir: &str| etcdutl(vec!["check", "v2store", "--data-dir", dir]);
    check(dir.name()).says(1, &["Error: detected custom v2 content in both v2store and WAL records\n"]);
    for version in support::VERSIONS {
        let home = temp.path().join(version);
        fs::create_dir(&home).unwrap();
        let dir = Input::new(unpack(version, "cold", &home));
        assert_eq!(check(dir.name()).good(), "No custom content found in both v2store and WAL records.\n");
        dir.unchanged();
    }
    dir.unchanged();
    // In one of the two: the store without its log's end, and the log without the store.
    let (snap, log) = raft_files(&dir.path);
    let mut file = SnapFile::decode(&fs::read(&snap).unwrap()).unwrap().snapshot;
    let mut store: Value = serde_json::from_slice(file.data()).unwrap();
    store["Root"]["Children"]["1"]["Children"] = serde_json::json!({});
    file.data = Some(serde_json::to_vec(&store).unwrap());
    let whole = fs::read(&snap).unwrap();
    fs::write(&snap, SnapFile::encode(&file)).unwrap();
    check(dir.name()).says(1, &["Error: detected custom v2 content in WAL records\n"]);
    fs::write(&snap, whole).unwrap();
    let source = coldbolt::io::Source::open(&log).unwrap();
    let mut first = None;
    coldbolt::wal::Log::of([&source]).entries(Default::default(), &mut |_| {}).0.iter().for_each(|entry| {
        if entry.index.get() == 42 {
            first = Some(entry.offset);
        }
    });
    // etcd takes the end of the log for a crash's.
    let mut bytes = fs::read(&log).unwrap();
    let at = usize::try_from(first.unwrap()).unwrap();
    bytes[at..].fill(0);
    fs::write(&log, bytes).unwrap();
    check(dir.name()).says(1, &["Error: detected custom content in v2store\n"]);
}
