//! What we defragment, in the real etcd, etcdutl and bbolt of every version.
//!
//! Without the programs there is nothing to do, unless `COLDBOLT_INTEROP=required`.

use std::fs::{self, DirEntry};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use coldbolt::etcd::{BucketKey, Revision};
use serde_json::Value;

use support::content::{Content, content, write};
use support::history::{History, Seed};
use support::peers::{self, BBOLTS};
use support::run::binary;
use support::server::{Server, run};
use support::{VERSIONS, coldbolt};

fn good(args: &[&str]) -> String {
    coldbolt(args).says(0, &[]).text().to_owned()
}

/// Answers of a server that tell two keyspaces apart.
fn answers(server: &Server) -> [Value; 4] {
    let mut leases: Vec<String> = server.ctl(&["lease", "list"]).lines().skip(1).map(str::to_owned).collect();
    leases.sort();
    [
        server.ctl_json(&["get", "", "--from-key"], b"")["kvs"].clone(),
        server.ctl_json(&["endpoint", "hashkv"], b"")[0]["HashKV"]["hash"].clone(),
        server.ctl_json(&["user", "list"], b"")["users"].clone(),
        leases.into(),
    ]
}

/// A server with a history that has a compaction and deletions.
fn grown(version: &str) -> Option<(History, Seed)> {
    let all = peers::find("etcd-3.7.1/etcdutl").is_some()
        && BBOLTS.iter().all(|v| peers::find(&format!("bbolt-{v}/bbolt")).is_some());
    let server = Server::start(version, &[]).filter(|_| all)?;
    let seed = Seed::draw();
    let mut history = History::new(server, seed.0);
    history.users();
    history.steps(60);
    history.compact(history.revision - 20);
    history.steps(40);
    Some((history, seed))
}

fn checked(db: &Path, home: &Path) {
    for version in BBOLTS {
        let bbolt = peers::find(&format!("bbolt-{version}/bbolt")).unwrap();
        let output = run(peers::command(&bbolt, home).arg("check").arg(db), b"");
        assert!(output.status.success() && output.stdout == b"OK\n", "bbolt {version}: {output:?}");
    }
    let copy = home.join("copy.db");
    let etcdutl = |args: &[&str]| {
        fs::copy(db, &copy).unwrap();
        let output = run(
            peers::command(&peers::find("etcd-3.7.1/etcdutl").unwrap(), home)
                .env("ETCD_VERIFY", "all")
                .args(args),
            b"",
        );
        assert!(output.status.success(), "etcdutl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let ours = |verb: &str| good(&[verb, db.to_str().unwrap(), "-w", "json"]);
    let both = [("status", &["snapshot", "status"][..]), ("hashkv", &["hashkv"])];
    for (verb, theirs) in both {
        let theirs = etcdutl(&[theirs, &[copy.to_str().unwrap(), "-w", "json"]].concat());
        assert_eq!(theirs.trim(), ours(verb).trim());
    }
}

fn in_place(version: &str) {
    let Some((mut history, _seed)) = grown(version) else { return };
    let before = answers(&history.server);
    let home = history.server.home().to_path_buf();
    let data = home.join("data");
    let refused = coldbolt(["defrag", "--data-dir", data.to_str().unwrap()]);
    assert_eq!(refused.code, 3, "a running server's");
    let db = history.server.stop();
    let was = content(&db);
    let report: Value =
        serde_json::from_str(&good(&["defrag", "--data-dir", data.to_str().unwrap(), "-w", "json"])).unwrap();
    assert!(content(&db) == was, "{version}: the content differs");
    assert_eq!(report["after"]["free_bytes"], 0);
    assert!(report["after"]["bytes"].as_u64() < report["before"]["bytes"].as_u64(), "{report}");
    checked(&db, &home);
    history.server.restart();
    assert_eq!(answers(&history.server), before, "{version}");
    history.steps(30);
    for round in 0..20 {
        history.large_txn(100 + round);
    }
    history.compact(history.revision - 5);
    let before = answers(&history.server);
    history.server.stop();
    checked(&db, &home);
    history.server.restart();
    assert_eq!(answers(&history.server), before, "{version}");
}

/// `defrag` of a directory that is not done before it is to be.
struct Delayed {
    ours: Child,
    db: PathBuf,
    inode: u64,
}

impl Delayed {
    /// Waits at the exchange of the names for so long, and stops when that is on the disk.
    fn start(db: PathBuf, exchange: Duration) -> Option<Delayed> {
        let mut traced = peers::strace()?;
        let (snap, data) = (db.parent().unwrap(), db.ancestors().nth(3).unwrap());
        // -D: the command is our child, and strace its grandchild: when that is killed, the delay is over.
        traced.args(["-D", "-o", "/dev/null", "-e", "trace=renameat2,fsync"]);
        traced.arg("-P").arg(snap).arg("-P").arg(&db);
        traced.args(["-e", &format!("inject=renameat2:delay_enter={}", exchange.as_micros())]);
        traced.args(["-e", "inject=fsync:signal=STOP"]);
        let inode = fs::metadata(&db).unwrap().ino();
        let ours = traced.arg(binary()).args(["defrag", "--data-dir"]).arg(data).spawn().unwrap();
        let mut delayed = Delayed { ours, db, inode };
        // Asked of the system: to try the lock would be to hold it for a moment.
        let held = format!(":{inode} ");
        delayed.until(|_| fs::read_to_string("/proc/locks").unwrap().contains(&held));
        Some(delayed)
    }

    fn until(&mut self, done: impl Fn(&Delayed) -> bool) {
        let deadline = support::run::deadline();
        while !done(self) {
            assert!(
                self.ours.try_wait().unwrap().is_none() && Instant::now() < deadline,
                "it was not delayed"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Until this server has opened the old file, and waits for its lock.
    fn until_waits(&mut self, server: u32) {
        let inode = self.inode;
        let is_it = move |fd: DirEntry| fs::metadata(fd.path()).is_ok_and(|to| to.ino() == inode);
        self.until(|_| fs::read_dir(format!("/proc/{server}/fd")).unwrap().flatten().any(is_it));
    }

    /// Ends the delay.
    fn goes_on(&self) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.ours.id())).unwrap();
        let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:")).unwrap();
        let tracer = rustix::process::Pid::from_raw(tracer.trim().parse().unwrap()).unwrap();
        rustix::process::kill_process(tracer, rustix::process::Signal::KILL).unwrap();
    }
}

/// A server that is started between our lock and the exchange waits for the lock of the old file.
fn started_meanwhile(version: &str) {
    let Some(mut server) = Server::start(version, &["--snapshot-count", "5"]) else { return };
    (0..20).for_each(|n| drop(server.ctl(&["put", &format!("k{n}"), "before"])));
    let Some(mut delayed) = Delayed::start(server.stop(), Duration::from_secs(300)) else { return };
    let log = server.fails_to_start(|server| {
        delayed.until_waits(server);
        delayed.goes_on();
    });
    assert!(log.contains("invalid database"), "etcd {version}:\n{log}");
    assert!(delayed.ours.wait().unwrap().success());
    // Whoever starts it again, as systemd and the kubelet do, has all of it, and loses nothing.
    server.restart();
    (0..40).for_each(|n| drop(server.ctl(&["put", &format!("k{n}"), "after"])));
    server.kill();
    server.restart();
    let served = server.ctl_json(&["get", "k", "--prefix"], b"");
    assert_eq!((&served["count"], &served["header"]["revision"]), (&40.into(), &61.into()), "{version}");
}

/// The same, and we are killed before the old file is blanked: the server runs on that. Without a raft snapshot all is in
/// the log, and whoever starts it again has it; with one it does not start, and what to do is told.
fn killed_meanwhile(version: &str, snapshots: bool) {
    let count = if snapshots { "5" } else { "10000" };
    let Some(mut server) = Server::start(version, &["--snapshot-count", count]) else { return };
    (0..20).for_each(|n| drop(server.ctl(&["put", &format!("k{n}"), "before"])));
    let Some(mut delayed) = Delayed::start(server.stop(), Duration::from_secs(15)) else { return };
    server.starts(|server| {
        delayed.until_waits(server);
        delayed.until(|delayed| fs::metadata(&delayed.db).unwrap().ino() != delayed.inode);
        delayed.ours.kill().unwrap();
        delayed.ours.wait().unwrap();
    });
    (0..40).for_each(|n| drop(server.ctl(&["put", &format!("k{n}"), "after"])));
    let db = server.stop();
    let data = db.ancestors().nth(3).unwrap().to_str().unwrap().to_owned();
    let verified = coldbolt(["verify", &data]);
    assert!(verified.text().contains("db-aside"), "{version}: {verified}");
    let refused = coldbolt(["defrag", "--data-dir", &data]);
    refused.says(1, &[".partial", "an etcd ran on that one"]);
    if snapshots {
        let log = server.fails_to_start(|_| {});
        assert!(log.contains("snapshot file doesn't exist"), "etcd {version}:\n{log}");
        let mut beside = fs::read_dir(db.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
        let aside = beside.find(|path| path.extension().is_some_and(|is| is == "partial")).unwrap();
        fs::rename(aside, &db).unwrap();
    }
    server.restart();
    let served = server.ctl_json(&["get", "k", "--prefix"], b"");
    assert_eq!((&served["count"], &served["header"]["revision"]), (&40.into(), &61.into()), "{version}");
    server.stop();
    good(&["defrag", "--data-dir", &data]);
    server.restart();
}

#[test]
fn an_etcd_that_ran_on_a_database_whose_replacement_was_killed_loses_nothing() {
    killed_meanwhile("3.6.14", false);
    VERSIONS.into_iter().for_each(|version| killed_meanwhile(version, true));
}

#[test]
fn an_etcd_that_is_started_while_its_database_is_replaced_loses_nothing() {
    VERSIONS.into_iter().for_each(started_meanwhile);
}

/// What is left of a file in which a compaction is marked is what the server leaves when it has done that compaction.
fn live_only(version: &str) {
    let Some((mut history, _seed)) = grown(version) else { return };
    let temp = tempfile::tempdir().unwrap();
    let at = history.delete_one();
    history.steps(10);
    let saved = temp.path().join("saved.db");
    history.server.save(&saved);
    let live = answers(&history.server);
    history.compact(at);
    let mut due = content(&history.server.stop());

    let mark = BucketKey { revision: Revision { main: at, sub: 0 }, tombstone: false }.to_bytes();
    let mut marked = content(&saved);
    marked.get_mut(&b"meta"[..]).unwrap().insert(b"scheduledCompactRev".to_vec(), mark.clone());
    let (file, new) = (temp.path().join("marked.db"), temp.path().join("new.db"));
    write(&marked, &file);
    let report =
        good(&["defrag", file.to_str().unwrap(), "-o", new.to_str().unwrap(), "--live-only", "-w", "json"]);
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!((&report["compacted"], report["after"]["free_bytes"].as_u64()), (&at.into(), Some(0)));
    assert!(report["after"]["revisions"].as_u64() < report["before"]["revisions"].as_u64(), "{report}");

    let mut left = content(&new);
    if matches!(version, "3.4.23" | "3.5.1") {
        // They remove a deletion at the compaction itself, too; newer patches of the same lines keep it.
        let deletion = |key: &[u8]| key.len() == 18 && key.starts_with(&at.to_be_bytes());
        let keys = left.get_mut(&b"key"[..]).unwrap();
        assert!(keys.keys().any(|key| deletion(key)));
        keys.retain(|key, _| !deletion(key));
    }
    assert!(left[&b"key"[..]] == due[&b"key"[..]], "{version}: not what etcd leaves");
    let marks = |content: &mut Content| {
        [&b"scheduledCompactRev"[..], b"finishedCompactRev"]
            .map(|name| content.get_mut(&b"meta"[..]).unwrap().remove(name))
    };
    assert_eq!(
        (marks(&mut left), marks(&mut due)),
        ([Some(mark.clone()), Some(mark.clone())], [Some(mark.clone()), Some(mark)])
    );
    checked(&new, temp.path());

    // And it is served.
    let data = history.server.home().join("data");
    fs::remove_dir_all(&data).unwrap();
    let flags = [
        "--name",
        "interop",
        "--data-dir",
        data.to_str().unwrap(),
        "--target-version",
        version.rsplit_once('.').unwrap().0,
    ];
    let peer = history.server.peer();
    let cluster = format!("interop={peer}");
    good(
        &[
            &[
                "restore",
                new.to_str().unwrap(),
                "--skip-hash-check",
                "--initial-cluster",
                &cluster,
                "--initial-advertise-peer-urls",
                &peer,
            ],
            &flags[..],
        ]
        .concat(),
    );
    history.server.restart();
    let served = answers(&history.server);
    assert_eq!((&served[0], &served[2], &served[3]), (&live[0], &live[2], &live[3]), "{version}");
}

#[test]
fn a_member_of_etcd_3_4_is_defragmented_and_starts_again() {
    in_place("3.4.23");
}

#[test]
fn a_member_of_etcd_3_5_is_defragmented_and_starts_again() {
    in_place("3.5.1");
}

#[test]
fn a_member_of_etcd_3_6_is_defragmented_and_starts_again() {
    in_place("3.6.14");
}

#[test]
fn a_member_of_etcd_3_7_is_defragmented_and_starts_again() {
    in_place("3.7.1");
}

#[test]
fn live_only_leaves_what_the_compaction_of_each_version_leaves() {
    for version in VERSIONS {
        live_only(version);
    }
}
