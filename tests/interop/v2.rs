//! What clients of the v2 API left, and the etcds that served it: files of 3.3 as 3.3 itself takes them, and what
//! `etcdutl backup` makes, theirs and ours.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Instant;

use support::run::deadline;
use support::server::{free_ports, run};
use support::{args, coldbolt, fixture, peers, unpack};

/// A server that ends with the test.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        // Fails only if it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Has an etcd serve a data directory, and asks it: by etcdctl 3.5.1, which knows both APIs.
fn served(etcd: &str, data: &Path, flags: &[&str], questions: &[(&str, &str)]) -> Vec<String> {
    let [client, peer] = free_ports().map(|port| format!("http://127.0.0.1:{port}"));
    let home = data.parent().unwrap();
    let log = home.join(format!("log-{etcd}"));
    let out = File::create(&log).unwrap();
    let mut command = peers::command(&peers::find(&format!("etcd-{etcd}/etcd")).unwrap(), home);
    command.args(args!["--name", "m1", "--data-dir", data, "--listen-client-urls", client]);
    command.args(["--advertise-client-urls", &client, "--listen-peer-urls", &peer]);
    command
        .args(["--initial-advertise-peer-urls", &peer, "--initial-cluster", &format!("m1={peer}")])
        .args(flags);
    command.stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(out);
    let mut server = Serving(command.spawn().unwrap());
    let ask = |(api, words): &(&str, &str)| {
        let mut ctl = peers::command(&peers::find("etcd-3.5.1/etcdctl").unwrap(), home);
        ctl.env("ETCDCTL_API", api).args(["--endpoints", &client]).args(words.split(' '));
        run(&mut ctl, b"")
    };
    let until = deadline();
    while !ask(&("3", "endpoint health")).status.success() {
        let ended = server.0.try_wait().unwrap();
        assert!(ended.is_none() && Instant::now() < until, "{etcd}: {}", fs::read_to_string(&log).unwrap());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let answer = |question| {
        let output = ask(question);
        assert!(output.status.success(), "{etcd} {question:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    questions.iter().map(answer).collect()
}

fn there(programs: &[&str]) -> bool {
    programs.iter().all(|program| peers::find(program).is_some())
}

/// HashKV out of `endpoint hashkv -w json`.
fn hash(answer: &str) -> serde_json::Value {
    let answer: serde_json::Value = serde_json::from_str(answer).unwrap();
    answer[0]["HashKV"]["hash"].clone()
}

fn recorded(name: &str) -> String {
    fs::read_to_string(fixture(&format!("etcd-3.3.27/cold.expected.{name}"))).unwrap()
}

const HASH: (&str, &str) = ("3", "endpoint hashkv -w json");
const V2_KEYS: (&str, &str) = ("2", "ls -r --sort /");

#[test]
fn etcd_3_3_and_newer_start_from_a_copied_and_from_a_restored_directory_of_3_3() {
    if !there(&["etcd-3.3.27/etcd", "etcd-3.4.23/etcd", "etcd-3.5.1/etcd", "etcd-3.5.1/etcdctl"]) {
        return;
    }
    for etcd in ["3.3.27", "3.4.23", "3.5.1"] {
        let home = tempfile::tempdir().unwrap();
        let dir = unpack("3.3.27", "cold", home.path());
        let [copied, file, restored] = ["copied", "file.db", "restored"].map(|name| home.path().join(name));
        coldbolt(args!["copy", dir, copied, "--as", "data-dir"]).says(0, &[]);
        coldbolt(args!["copy", dir, file]).says(0, &[]);
        coldbolt(args!["restore", file, "--data-dir", restored]).says(0, &[]);
        for data in [copied, restored] {
            let answers = served(etcd, &data, &[], &[HASH, ("3", "get /app/15")]);
            assert_eq!(hash(&answers[0]), hash(&recorded("hashkv.json")), "{etcd} {}", data.display());
            assert_eq!(answers[1], "/app/15\nvalue of 15\n");
        }
    }
}

#[test]
fn a_backup_serves_what_that_of_the_real_etcdutl_does() {
    if !there(&["etcdutl-3.5.35/etcdutl", "etcd-3.5.1/etcd", "etcd-3.5.1/etcdctl"]) {
        return;
    }
    for (version, flags) in [("3.3.27", &[][..]), ("3.3.27", &["--with-v3=false"]), ("3.5.1", &[])] {
        let home = tempfile::tempdir().unwrap();
        let dir = unpack(version, "cold", home.path());
        let [theirs, ours] = ["theirs", "ours"].map(|name| home.path().join(name));
        let etcdutl = peers::find("etcdutl-3.5.35/etcdutl").unwrap();
        let mut real = peers::command(&etcdutl, home.path());
        real.args(args!["backup", "--data-dir", dir, "--backup-dir", theirs]).args(flags);
        let their = run(&mut real, b"");
        assert!(their.status.success(), "{their:?}");
        let words = args!["as", "etcdutl", "backup", "--data-dir", dir, "--backup-dir", ours];
        coldbolt(words.iter().copied().chain(flags.iter().map(std::ffi::OsStr::new))).says(0, &[]);
        let [their, our] = [theirs, ours].map(|data| {
            let questions = [HASH, V2_KEYS, ("3", "get / --from-key"), ("3", "member list -w simple")];
            served("3.5.1", &data, &["--force-new-cluster", "--enable-v2"], &questions)
        });
        assert_eq!((hash(&their[0]), &their[1..3]), (hash(&our[0]), &our[1..3]), "{version} {flags:?}");
        assert_eq!((their[3].lines().count(), our[3].lines().count()), (1, 1));
        if version == "3.3.27" {
            assert_eq!(our[1], recorded("v2.txt"));
        }
    }
}
