//! What we restore against what the real etcdutl restores from the same file, and in the real etcd of every version.
//!
//! Without the programs there is nothing to do, unless `COLDBOLT_INTEROP=required`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use coldbolt::snap::file::SnapFile;
use serde_json::Value;

use support::content::content;
use support::history::{self, History, Seed};
use support::peers::{self, BBOLTS};
use support::restored::{Answers, Member};
use support::server::{Server, free_ports, run};
use support::{Run, VERSIONS, coldbolt_in};

/// The versions that are restored for: the newest is there as a first alpha, without fixtures.
const TARGETS: [&str; 5] = ["3.4.23", "3.5.1", "3.6.14", "3.7.1", "3.8.0"];

const SEGMENT: &str = "member/wal/0000000000000000-0000000000000000.wal";

#[test]
fn what_etcd_3_4_saved_is_restored_for_every_version() {
    from("3.4.23");
}

#[test]
fn what_etcd_3_5_saved_is_restored_for_every_version() {
    from("3.5.1");
}

#[test]
fn what_etcd_3_6_saved_is_restored_for_every_version() {
    from("3.6.14");
}

#[test]
fn what_etcd_3_7_saved_is_restored_for_every_version() {
    from("3.7.1");
}

#[test]
fn what_etcd_3_8_saved_is_restored_for_every_version() {
    from("3.8.0");
}

/// A server with a history, saved; then everything that is restored from the file.
fn from(version: &str) {
    let Some(saved) = Saved::new(version) else { return };
    for target in TARGETS {
        if target != "3.4.23" {
            saved.same_as_etcdutl(target);
        }
        saved.boots(target);
    }
    saved.three_members(version);
    saved.compacted(version);
    assert!(fs::read(&saved.file).unwrap() == saved.bytes, "{} was written to", saved.file.display());
}

fn minor(version: &str) -> &str {
    version.rsplit_once('.').unwrap().0
}

/// A snapshot file, and what the server said when it was saved.
struct Saved {
    temp: tempfile::TempDir,
    version: String,
    file: PathBuf,
    bytes: Vec<u8>,
    answers: Answers,
    hash: Value,
    _seed: Seed,
}

impl Saved {
    fn new(version: &str) -> Option<Saved> {
        let all = TARGETS.iter().all(|v| peers::find(&format!("etcd-{v}/etcd")).is_some())
            && TARGETS.iter().skip(1).all(|v| peers::find(&format!("etcd-{v}/etcdutl")).is_some())
            && BBOLTS.iter().all(|v| peers::find(&format!("bbolt-{v}/bbolt")).is_some());
        let server = Server::start(version, &[]).filter(|_| all)?;
        let seed = Seed::draw();
        let temp = tempfile::tempdir().unwrap();
        let mut history = History::new(server, seed.0);
        history.users();
        history.steps(60);
        history.compact(history.revision - 20);
        history.steps(20);
        history.delete_one();
        let file = temp.path().join("snapshot.db");
        history.server.save(&file);
        let server = &history.server;
        let answers = Answers::of_server(server);
        let hash = server.ctl_json(&["endpoint", "hashkv"], b"")[0]["HashKV"]["hash"].clone();
        let bytes = fs::read(&file).unwrap();
        Some(Saved { temp, version: version.to_owned(), file, bytes, answers, hash, _seed: seed })
    }

    fn restore(&self, args: &[&str]) -> Run {
        let run = coldbolt_in(self.temp.path(), [&["restore", self.file.to_str().unwrap()], args].concat());
        run.says(0, &[]);
        run
    }

    fn etcdutl(&self, version: &str, args: &[&str]) -> String {
        let etcdutl = peers::find(&format!("etcd-{version}/etcdutl")).unwrap();
        let output =
            run(peers::command(&etcdutl, self.temp.path()).env("ETCD_VERIFY", "all").args(args), b"");
        assert!(
            output.status.success(),
            "etcdutl {version} {args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// The same ids, log, raft snapshot and database as the real etcdutl makes.
    fn same_as_etcdutl(&self, target: &str) {
        let one = [
            "--name",
            "n1",
            "--initial-cluster",
            "n1=http://127.0.0.1:23980",
            "--initial-advertise-peer-urls",
            "http://127.0.0.1:23980",
        ];
        let three = [
            "--name",
            "b",
            "--initial-cluster-token",
            "a token",
            "--initial-cluster",
            "b=http://127.0.0.1:2380,a=http://127.0.0.1:12380,c=https://h.example:2380,c=http://127.0.0.1:32380",
            "--initial-advertise-peer-urls",
            "http://127.0.0.1:2380",
        ];
        for (i, cluster) in [&one[..], &three[..]].into_iter().enumerate() {
            let (theirs, ours) = (
                self.temp.path().join(format!("theirs-{target}-{i}")),
                self.temp.path().join(format!("ours-{target}-{i}")),
            );
            // 3.5.1 has no bump.
            let bump: &[&str] = if i == 1 && target != "3.5.1" {
                &["--bump-revision", "1000000", "--mark-compacted"]
            } else {
                &[]
            };
            let file = self.file.to_str().unwrap();
            self.etcdutl(
                target,
                &[&["snapshot", "restore", file, "--data-dir", theirs.to_str().unwrap()], cluster, bump]
                    .concat(),
            );
            self.restore(
                &[&["--data-dir", ours.to_str().unwrap(), "--target-version", minor(target)], cluster, bump]
                    .concat(),
            );
            assert!(
                fs::read(theirs.join(SEGMENT)).unwrap() == fs::read(ours.join(SEGMENT)).unwrap(),
                "{target}: the logs differ"
            );
            let name = format!("member/snap/0000000000000001-{:016x}.snap", if i == 0 { 1 } else { 3 });
            // The alpha writes one still, and starts without.
            assert_eq!(ours.join(&name).exists(), target != "3.8.0");
            self.same_database(&theirs.join("member/snap/db"), &ours.join("member/snap/db"), target);
            if target == "3.8.0" {
                continue;
            }
            let (their_snap, our_snap) =
                (fs::read(theirs.join(&name)).unwrap(), fs::read(ours.join(&name)).unwrap());
            if i == 0 || target == "3.5.1" {
                assert!(their_snap == our_snap, "{target}: the raft snapshots differ");
            } else {
                // etcdutl numbers the members in the random order of a Go map.
                let (their_snap, our_snap) =
                    (SnapFile::decode(&their_snap).unwrap(), SnapFile::decode(&our_snap).unwrap());
                assert_eq!(their_snap.membership().unwrap(), our_snap.membership().unwrap());
                assert_eq!(their_snap.snapshot.metadata, our_snap.snapshot.metadata);
                assert_eq!(
                    without_numbers(their_snap.snapshot.data()),
                    without_numbers(our_snap.snapshot.data())
                );
            }
        }
    }

    /// Every key of every bucket, but for what names the old voters and what a newer etcd would have to lower.
    fn same_database(&self, theirs: &Path, ours: &Path, target: &str) {
        let (mut theirs, ours) = (content(theirs), content(ours));
        theirs.get_mut(&b"meta"[..]).unwrap().remove(&b"confState"[..]);
        if minor(target) < minor(&self.version) {
            let (cluster, version) =
                (format!("{}.0", minor(target)).into_bytes(), format!("{}.0", minor(target)).into_bytes());
            theirs.get_mut(&b"cluster"[..]).unwrap().insert(b"clusterVersion".to_vec(), cluster);
            let meta = theirs.get_mut(&b"meta"[..]).unwrap();
            if meta.remove(&b"storageVersion"[..]).is_some() && minor(target) >= "3.6" {
                meta.insert(b"storageVersion".to_vec(), version);
            }
        }
        for (bucket, keys) in &theirs {
            assert_eq!(Some(keys), ours.get(bucket), "{target}: bucket {}", bucket.escape_ascii());
        }
        assert!(ours.keys().eq(theirs.keys()), "{target}: {:?}", ours.keys());
    }

    /// The real server starts from it, serves what was saved, takes writes, and starts again.
    fn boots(&self, target: &str) {
        let context = format!("{} restored for {target}", self.version);
        let [client, peer] = free_ports();
        let peer_url = format!("http://127.0.0.1:{peer}");
        let name = format!("boots-{target}");
        let dir = self.temp.path().join(&name);
        let cluster = format!("m={peer_url}");
        let identity =
            ["--name", "m", "--initial-cluster", &cluster, "--initial-advertise-peer-urls", &peer_url];
        self.restore(&[&["--data-dir", &name, "--target-version", minor(target)], &identity[..]].concat());
        let mut member = Member::start(target, &dir, client, &identity, &peer_url);
        assert_eq!(member.answers(), self.answers, "{context}");
        if target == self.version {
            assert_eq!(member.json(&["endpoint", "hashkv"])[0]["HashKV"]["hash"], self.hash, "{context}");
        }
        for round in 0..100 {
            let puts: String = (0..100).map(|i| format!("put /after/{round}/{i} v{i}\n")).collect();
            member.ctl(&["txn"], format!("\n{puts}\n\n").as_bytes());
        }
        member.stop();
        for (version, db) in BBOLTS.iter().map(|v| (v, dir.join("member/snap/db"))) {
            let bbolt = peers::find(&format!("bbolt-{version}/bbolt")).unwrap();
            let output = run(peers::command(&bbolt, self.temp.path()).arg("check").arg(&db), b"");
            assert!(
                output.status.success() && output.stdout == b"OK\n",
                "{context}: bbolt {version}: {output:?}"
            );
        }
        for version in VERSIONS.iter().skip(1) {
            let copy = self.temp.path().join("copy.db");
            fs::copy(dir.join("member/snap/db"), &copy).unwrap();
            self.etcdutl(version, &["snapshot", "status", copy.to_str().unwrap()]);
        }
        let copy = self.temp.path().join("copy.db");
        self.etcdutl("3.7.1", &["hashkv", copy.to_str().unwrap()]);
        if target != "3.4.23" {
            self.etcdutl(target, &["defrag", "--data-dir", &name]);
        }
        if minor(target) >= "3.6" {
            self.etcdutl(target, &["migrate", "--data-dir", &name, "--target-version", minor(target)]);
        }
        let mut member = Member::start(target, &dir, client, &identity, &peer_url);
        let kept = member.json(&["get", "/after/", "--prefix", "--keys-only"]);
        assert_eq!(kept["kvs"].as_array().unwrap().len(), 10_000, "{context}");
        assert_eq!(member.json(&["member", "list"])["members"].as_array().unwrap().len(), 1, "{context}");
        member.ctl(&["put", "/after/restart", "x"], b"");
        self.second(target, &member, &cluster);
        member.stop();
    }

    /// Another real member joins, and gets everything.
    fn second(&self, target: &str, first: &Member, cluster: &str) {
        let [client, peer] = free_ports();
        let peer_url = format!("http://127.0.0.1:{peer}");
        let deadline = support::run::deadline();
        while !first.try_ctl(&["member", "add", "second", "--peer-urls", &peer_url], b"").status.success() {
            assert!(Instant::now() < deadline, "{target}: no second member");
            std::thread::sleep(Duration::from_millis(200));
        }
        let cluster = format!("{cluster},second={peer_url}");
        let identity =
            ["--name", "second", "--initial-cluster", &cluster, "--initial-advertise-peer-urls", &peer_url];
        let existing = [&identity[..], &["--initial-cluster-state", "existing"]].concat();
        let dir = self.temp.path().join(format!("second-{target}"));
        let mut second = Member::start(target, &dir, client, &existing, &peer_url);
        let all = |member: &Member| member.json(&["get", "", "--from-key"])["kvs"].clone();
        assert_eq!(all(&second), all(first), "{target}");
        second.ctl(&["put", "/after/second", "x"], b"");
        second.stop();
    }

    /// Directories of three members, written in one run, form a quorum.
    fn three_members(&self, target: &str) {
        let ports: Vec<[u16; 2]> = (0..3).map(|_| free_ports()).collect();
        let names = ["one", "two", "three"];
        let peer = |i: usize| format!("http://127.0.0.1:{}", ports[i][1]);
        let cluster = (0..3).map(|i| format!("{}={}", names[i], peer(i))).collect::<Vec<_>>().join(",");
        let output = self.restore(&[
            "--all-members",
            "three",
            "--initial-cluster",
            &cluster,
            "--target-version",
            minor(target),
            "-w",
            "json",
        ]);
        let report = output.json();
        assert_eq!(report["members"].as_array().unwrap().len(), 3);
        let spawn = |i: usize| {
            let peer = peer(i);
            let identity =
                ["--name", names[i], "--initial-cluster", &cluster, "--initial-advertise-peer-urls", &peer];
            Member::spawn(
                target,
                &self.temp.path().join("three").join(names[i]),
                ports[i][0],
                &identity,
                &peer,
            )
        };
        let mut members: Vec<Member> = (0..3).map(spawn).collect();
        members.iter_mut().for_each(Member::wait);
        for member in &members {
            assert_eq!(member.answers(), self.answers);
            let list = member.json(&["member", "list"]);
            assert_eq!(list["members"].as_array().unwrap().len(), 3);
        }
        members[0].ctl(&["put", "/quorum", "yes"], b"");
        members[2].stop();
        members[1].ctl(&["put", "/quorum", "two of three"], b"");
        assert!(members[0].ctl(&["get", "/quorum"], b"").contains("two of three"));
        members.iter_mut().take(2).for_each(Member::stop);
    }

    /// A client that watches from an old revision is told that it is gone.
    fn compacted(&self, target: &str) {
        let [client, peer] = free_ports();
        let peer_url = format!("http://127.0.0.1:{peer}");
        let cluster = format!("m={peer_url}");
        let identity =
            ["--name", "m", "--initial-cluster", &cluster, "--initial-advertise-peer-urls", &peer_url];
        let flags = [
            "--data-dir",
            "bumped",
            "--bump-revision",
            "1000000",
            "--mark-compacted",
            "--target-version",
            minor(target),
        ];
        self.restore(&[&flags[..], &identity].concat());
        let mut member =
            Member::start(target, &self.temp.path().join("bumped"), client, &identity, &peer_url);
        assert_eq!(member.answers(), self.answers);
        let answer = member.json(&["put", "/after", "x"]);
        assert!(history::number(&answer["header"]["revision"]) > 1_000_000);
        let gone = "required revision has been compacted";
        let old = history::number(&answer["header"]["revision"]) - 1_000_001;
        let get = member.try_ctl(&["get", "/after", "--rev", &old.to_string()], b"");
        assert!(String::from_utf8_lossy(&get.stderr).contains(gone), "{get:?}");
        let watch = member.try_ctl(&["watch", "/after", "--rev", &old.to_string()], b"");
        let said = [watch.stdout, watch.stderr].concat();
        assert!(String::from_utf8_lossy(&said).contains(gone), "{}", String::from_utf8_lossy(&said));
        member.stop();
    }
}

/// A v2 store without what counts its members, and without the order of its events.
fn without_numbers(json: &[u8]) -> (Value, Vec<Value>) {
    fn clear(value: &mut Value) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    if matches!(
                        key.as_str(),
                        "CreatedIndex" | "ModifiedIndex" | "createdIndex" | "modifiedIndex"
                    ) {
                        *value = Value::Null;
                    }
                    clear(value);
                }
            }
            Value::Array(all) => all.iter_mut().for_each(clear),
            _ => {}
        }
    }
    let mut value: Value = serde_json::from_slice(json).unwrap();
    clear(&mut value);
    let events = value["WatcherHub"]["EventHistory"]["Queue"]["Events"].take();
    let mut events = events.as_array().unwrap().clone();
    events.sort_by_key(Value::to_string);
    (value, events)
}
