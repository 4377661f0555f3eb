//! Directories that have a history: members that etcd's own tools restored, that learned, were removed or moved, and
//! were killed then. What becomes of them is what the real server makes of them.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::cluster::{Member, members};
use crate::judge::copy_dir;
use support::history::number;
use support::{Run, VERSIONS, coldbolt, peers};

/// Nothing is written to the database while a test runs.
const NEVER: [&str; 2] = ["--backend-batch-interval", "100s"];

fn there(version: &str) -> bool {
    peers::find(&format!("etcd-{version}/etcd")).is_some()
}

/// Members of a cluster that the version's own tool restored from a snapshot of another cluster, not started.
fn restored(version: &str, count: usize, home: &Path) -> (Vec<Member>, String) {
    let tool = if version == "3.4.23" { "etcdctl" } else { "etcdutl" };
    let tool = peers::find(&format!("etcd-{version}/{tool}")).unwrap();
    let snapshot = support::fixture(&format!("etcd-{version}/snapshot.db"));
    let (all, cluster) = members(version, count, home);
    for member in &all {
        fs::create_dir_all(&member.home).unwrap();
        let output = peers::command(&tool, &member.home)
            .env("ETCDCTL_API", "3")
            .args(["snapshot", "restore", snapshot.to_str().unwrap(), "--data-dir", "data"])
            .args(["--name", &member.name, "--initial-cluster", &cluster])
            .args(["--initial-advertise-peer-urls", &format!("http://127.0.0.1:{}", member.peer)])
            .output()
            .unwrap();
        assert!(output.status.success(), "{version}: {}", String::from_utf8_lossy(&output.stderr));
    }
    (all, cluster)
}

/// Puts, and gives the revision after it.
fn put(member: &Member, value: &str) -> i64 {
    let put = json!({"key": "a2V5", "value": value});
    let (status, answer) = member.client().post("kv/put", &put).unwrap();
    assert_eq!(status, 200, "{answer}");
    number(&answer["header"]["revision"])
}

/// What the key holds, and at which revision.
fn get(member: &Member) -> (Value, i64) {
    let (_, answer) = member.client().post("kv/range", &json!({"key": "a2V5"})).unwrap();
    (answer["kvs"][0]["value"].clone(), number(&answer["kvs"][0]["mod_revision"]))
}

/// Puts a directory in the place of a member's own.
fn replace(member: &Member, new: &Path) {
    fs::rename(member.data(), member.home.join("old")).unwrap();
    fs::rename(new, member.data()).unwrap();
}

fn run(member: &Member, command: &[&str], more: &[&str]) -> Run {
    coldbolt([command, more, &["--etcd-version", &member.version]].concat())
}

/// The members by their ids, as the server lists them.
fn ids(member: &Member) -> Vec<(String, Value)> {
    let (_, answer) = member.client().post("cluster/member/list", &json!({})).unwrap();
    let id = |m: &Value| format!("{:x}", m["ID"].as_str().unwrap().parse::<u64>().unwrap());
    answer["members"].as_array().unwrap().iter().map(|m| (id(m), m.clone())).collect()
}

#[test]
fn a_restored_sole_member_keeps_every_acknowledged_write_in_copies_and_directories() {
    for version in VERSIONS.into_iter().filter(|version| there(version)) {
        let home = tempfile::tempdir().unwrap();
        let (mut all, cluster) = restored(version, 1, home.path());
        let member = &mut all[0];
        member.start(&[&["--initial-cluster", &cluster], &NEVER[..]].concat());
        member.caught_up();
        let revision = (0..5).map(|n| put(member, &format!("000{n}"))).max().unwrap();
        member.kill();
        let (copy, new) = (member.home.join("copy.db"), member.home.join("new"));
        let data = member.data();
        let data = data.to_str().unwrap();
        let report = run(member, &["copy", data, copy.to_str().unwrap()], &["-w", "json"]);
        let report = report.says(0, &[]).json();
        assert_eq!(number(&report["revision"]), revision, "{version}: {report:#}");
        run(member, &["copy", data, new.to_str().unwrap()], &["--as", "data-dir"]).says(0, &[]);
        replace(member, &new);
        member.start(&["--initial-cluster", &cluster]);
        member.caught_up();
        assert_eq!(get(member), ("0004".into(), revision), "{version}");
        assert_eq!(put(member, "0005"), revision + 1, "{version}");
    }
}

#[test]
fn one_restored_member_of_three_serves_alone_once_the_others_are_removed() {
    for version in VERSIONS.into_iter().filter(|version| there(version)) {
        let home = tempfile::tempdir().unwrap();
        let (mut all, cluster) = restored(version, 3, home.path());
        all.iter_mut().for_each(|member| {
            member.start(&[&["--initial-cluster", &cluster], &NEVER[..]].concat());
        });
        all.iter_mut().for_each(Member::caught_up);
        let revision = (0..5).map(|n| put(&all[0], &format!("000{n}"))).max().unwrap();
        all.iter_mut().for_each(Member::caught_up);
        let listed = ids(&all[1]);
        all.iter_mut().for_each(Member::kill);
        let left = &mut all[1];
        let lost: Vec<&str> =
            listed.iter().filter(|(_, m)| m["name"] != "m1").map(|(id, _)| id.as_str()).collect();
        let (data, new) = (left.data(), left.home.join("new"));
        let fixed = ["--data-dir", data.to_str().unwrap(), "-o", new.to_str().unwrap()];
        run(left, &["member", "remove", lost[0], lost[1]], &fixed).says(0, &[]);
        // Who was removed is in the raft snapshot too: 3.4 and 3.5 look there.
        let snaps = fs::read_dir(new.join("member/snap")).unwrap().map(|file| file.unwrap().path());
        let snap = snaps.filter(|path| path.extension().is_some_and(|e| e == "snap")).last().unwrap();
        let snap = coldbolt::snap::file::SnapFile::decode(&fs::read(snap).unwrap()).unwrap();
        let removed = snap.membership().unwrap().removed;
        assert!(lost.iter().all(|id| removed.contains(&id.parse().unwrap())), "{version}: {removed:?}");
        replace(left, &new);
        left.start(&["--initial-cluster", &cluster]);
        left.caught_up();
        assert_eq!(get(left), ("0004".into(), revision), "{version}");
        put(left, "0005");
        assert_eq!(ids(left).len(), 1, "{version}");
        if version < "3.6" {
            // A member that is started all the same is told that it is none any more.
            let told = &mut all[0];
            told.start(&["--initial-cluster", &cluster]);
            let deadline = support::run::deadline();
            let log = told.home.join("log");
            while !fs::read_to_string(&log).unwrap().contains("removed from the cluster")
                && !fs::read_to_string(&log).unwrap().contains("been permanently removed")
            {
                assert!(std::time::Instant::now() < deadline, "{version}: nobody tells the removed member");
                std::thread::sleep(std::time::Duration::from_millis(200));
            }
        }
    }
}

/// A voter and a learner that has everything, both killed.
fn with_learner(version: &str, home: &Path, before: impl FnOnce(&mut Member, &str)) -> (Vec<Member>, String) {
    let (mut all, cluster) = members(version, 2, home);
    let first = cluster.split(',').next().unwrap().to_owned();
    all[0].start(&[&["--initial-cluster", &first], &NEVER[..]].concat());
    all[0].caught_up();
    let url = format!("http://127.0.0.1:{}", all[1].peer);
    let add = json!({"peerURLs": [url], "isLearner": true});
    let (status, answer) = all[0].client().member("add", &add).unwrap();
    assert_eq!(status, 200, "{answer}");
    let id = answer["member"]["ID"].as_str().unwrap().to_owned();
    before(&mut all[0], &id);
    (all, cluster)
}

/// As [`with_learner`]: both are killed when the learner has a key too. Also the ids of voter and learner.
fn killed_with_learner(version: &str, home: &Path) -> (Vec<Member>, String, [String; 2]) {
    let (mut all, cluster) = with_learner(version, home, |_, _| {});
    all[1].start(&["--initial-cluster", &cluster, "--initial-cluster-state", "existing"]);
    all[1].caught_up();
    put(&all[0], "0000");
    std::thread::sleep(std::time::Duration::from_millis(500));
    let listed = ids(&all[0]);
    let found = ["m0", "m1"].map(|name| listed.iter().find(|(_, m)| m["name"] == name).unwrap().0.clone());
    all.iter_mut().for_each(Member::kill);
    (all, cluster, found)
}

#[test]
fn the_only_voter_is_not_removed_from_a_learners_directory() {
    for version in VERSIONS.into_iter().filter(|version| there(version)) {
        let home = tempfile::tempdir().unwrap();
        let (all, _, [voter, _]) = killed_with_learner(version, home.path());
        let (data, new) = (all[1].data(), all[1].home.join("new"));
        let fixed = ["--data-dir", data.to_str().unwrap(), "-o", new.to_str().unwrap()];
        let remedy = "`coldbolt member promote` makes a directory in which it votes";
        run(&all[1], &["member", "remove", &voter], &fixed).says(1, &["removed all voters", remedy]);
        assert!(!new.exists());
    }
}

#[test]
fn a_learner_that_is_left_alone_is_promoted_and_serves_alone() {
    for version in VERSIONS.into_iter().filter(|version| there(version)) {
        let home = tempfile::tempdir().unwrap();
        let (mut all, cluster, [voter, learner]) = killed_with_learner(version, home.path());
        let (data, votes, alone) = (all[1].data(), all[1].home.join("votes"), all[1].home.join("alone"));
        let made = |args: &[&str], from: &Path, to: &Path| {
            let fixed = ["--data-dir", from.to_str().unwrap(), "-o", to.to_str().unwrap()];
            run(&all[1], args, &fixed).says(0, &[]);
        };
        made(&["member", "promote", &learner], &data, &votes);
        made(&["member", "remove", &voter], &votes, &alone);
        // Who votes is not promoted again.
        let no = all[1].home.join("no");
        let fixed = ["--data-dir", votes.to_str().unwrap(), "-o", no.to_str().unwrap()];
        run(&all[1], &["member", "promote", &learner], &fixed).says(1, &["the member is no learner"]);
        let left = &mut all[1];
        replace(left, &alone);
        left.start(&["--initial-cluster", &cluster, "--initial-cluster-state", "existing"]);
        left.caught_up();
        assert_eq!(get(left).0, Value::from("0000"), "{version}");
        put(left, "0001");
        assert_eq!((get(left).0, ids(left).len()), ("0001".into(), 1), "{version}");
    }
}

#[test]
fn a_learner_that_moves_is_in_a_copy_what_the_server_makes_of_it() {
    for version in VERSIONS.into_iter().filter(|version| there(version)) {
        let home = tempfile::tempdir().unwrap();
        let (mut all, _) = with_learner(version, home.path(), |voter, id| {
            let update = json!({"ID": id, "peerURLs": ["http://127.0.0.1:77"]});
            assert_eq!(voter.client().member("update", &update).unwrap().0, 200);
        });
        all[0].kill();
        let member = &mut all[0];
        let (data, copy) = (member.data(), member.home.join("copy.db"));
        run(member, &["copy", data.to_str().unwrap(), copy.to_str().unwrap()], &[]).says(0, &[]);
        let listed =
            |file: &Path| coldbolt(["members", file.to_str().unwrap(), "-w", "json"]).says(0, &[]).json();
        let ours = listed(&copy);
        // Without the patch version it is not known, and that is said.
        let minor = &version[..3];
        let again = member.home.join("again.db");
        let told =
            coldbolt(["copy", data.to_str().unwrap(), again.to_str().unwrap(), "--etcd-version", minor]);
        let due: &[&str] = if matches!(minor, "3.5" | "3.6") { &["replay-version"] } else { &[] };
        told.says(0, due);
        member.start(&[]);
        member.caught_up();
        member.stop();
        assert_eq!(ours["members"], listed(&member.db())["members"], "{version}");
    }
}

#[test]
fn a_second_learner_that_was_refused_is_no_disagreement() {
    for version in VERSIONS.into_iter().filter(|version| there(version) && *version != "3.4.23") {
        let home = tempfile::tempdir().unwrap();
        let (mut all, _) = with_learner(version, home.path(), |voter, _| {
            let add = json!({"peerURLs": ["http://127.0.0.1:78"], "isLearner": true});
            assert_ne!(voter.client().member("add", &add).unwrap().0, 200);
        });
        all[0].stop();
        let data = all[0].data();
        let said = coldbolt(["verify", data.to_str().unwrap()]);
        assert!(!said.text().contains("members-disagree"), "{version}: {}", said.text());
    }
}

#[test]
fn verify_tells_of_every_version_whether_it_starts_from_a_directory() {
    if !VERSIONS.into_iter().all(there) {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let mut directories = Vec::new();
    for version in VERSIONS {
        let at = home.path().join(version);
        directories.push(support::unpack(version, "clean", &at));
        directories.push(restored(version, 1, &at.join("restored")).0[0].data());
    }
    directories.push(support::unpack("3.5.1", "cold", &home.path().join("3.5.1")));
    let mut directories: Vec<_> = directories.into_iter().map(|directory| (directory, 0)).collect();
    for version in ["3.4.23", "3.7.1"] {
        // The database is older than the raft snapshot.
        let behind = support::unpack(version, "cold", &home.path().join("behind").join(version));
        let older = support::fixture(&format!("etcd-{version}/snapshot.db"));
        fs::copy(older, behind.join("member/snap/db")).unwrap();
        directories.push((behind, 1));
    }
    let (mut start, mut refuse) = (0, 0);
    for (directory, code) in directories {
        let verify = coldbolt(["verify", directory.to_str().unwrap(), "-w", "json"]);
        assert_eq!(verify.code, code, "{verify}");
        let told = verify.json()["files"][0]["starts"].clone();
        for version in VERSIONS {
            let of_it = |starts: &&Value| version.starts_with(starts["etcd"].as_str().unwrap());
            let told = told.as_array().unwrap().iter().find(of_it).unwrap();
            let home = tempfile::tempdir().unwrap();
            let (mut all, cluster) = members(version, 1, home.path());
            copy_dir(&directory, &all[0].data());
            all[0].start(&["--initial-cluster", &cluster]);
            let does = all[0].comes_up();
            assert_eq!(
                does.is_ok(),
                told.get("refuses").is_none(),
                "{version}: {told} of {}: {does:?}",
                directory.display()
            );
            if does.is_ok() { start += 1 } else { refuse += 1 }
        }
    }
    assert!(start > 10 && refuse > 10, "{start} start, {refuse} refuse");
}
