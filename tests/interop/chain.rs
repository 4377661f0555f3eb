//! Chains as etcd-backup-restore stores them, of real etcds under random writes: at every revision coldbolt's copy hashes
//! as the server did, and the server starts from it.

use std::path::Path;

use serde_json::Value;
use support::history::{Rng, Seed};
use support::server::Server;
use support::{VERSIONS, coldbolt, peers};

const PACKINGS: [&str; 4] = ["", ".gz", ".zlib", ".Z"];

/// A write of a random kind, each of which makes a revision.
fn write(server: &Server, random: &mut Rng, lease: &str) {
    let key = format!("/k/{}", random.between(0, 9));
    let value = "v".repeat(usize::try_from(random.between(0, 5000)).unwrap());
    match random.between(0, 9) {
        0 => drop(server.ctl(&["put", "/gone", "x"]).len() + server.ctl(&["del", "/gone"]).len()),
        1 => drop(
            server.ctl_stdin(&["txn"], format!("\nput {key} {value}\nput /t a\ndel /gone\n\n\n").as_bytes()),
        ),
        2 => drop(server.ctl_stdin(&["put", "--lease", lease, &key], value.as_bytes())),
        _ => drop(server.ctl_stdin(&["put", &key], value.as_bytes())),
    }
}

fn revision(server: &Server) -> i64 {
    server.ctl_json(&["get", "x", "-w", "json"], b"")["header"]["revision"].as_i64().unwrap()
}

fn hashkv(server: &Server, revision: i64) -> Value {
    let answer = server.ctl_json(&["endpoint", "hashkv", "--rev", &revision.to_string(), "-w", "json"], b"");
    answer[0]["HashKV"]["hash"].clone()
}

#[test]
fn a_chain_is_at_every_revision_what_the_server_was() {
    let seed = Seed::draw();
    for (n, version) in VERSIONS.iter().enumerate() {
        let Some(program) = peers::find("etcdbr-chain/etcdbr-chain") else { return };
        let Some(mut server) = Server::start(version, &[]) else { return };
        let mut random = Rng::of(seed.nth(n as u64).0);
        let store = server.home().join("v2");
        std::fs::create_dir(&store).unwrap();
        let granted = server.ctl_json(&["lease", "grant", "86400", "-w", "json"], b"");
        let lease = format!("{:x}", granted["ID"].as_i64().unwrap());
        let take = |server: &Server, args: &[&str]| {
            let mut command = peers::command(&program, server.home());
            command.args([server.endpoint(), store.to_str().unwrap()]).args(args);
            let output = command.output().unwrap();
            assert!(output.status.success(), "{version} {args:?}");
        };
        (0..10).for_each(|_| write(&server, &mut random, &lease));
        take(&server, &["full", PACKINGS[n % 4]]);
        let (mut hashes, mut last) = (Vec::new(), revision(&server));
        for increment in 0..6 {
            (0..random.between(1, 8)).for_each(|_| write(&server, &mut random, &lease));
            let now = revision(&server);
            let packing = PACKINGS[(n + increment) % 4];
            take(&server, &["increment", packing, &(last + 1).to_string(), &now.to_string()]);
            hashes.extend((last + 1..=now).map(|revision| (revision, hashkv(&server, revision))));
            last = now;
            // Their order is that of the seconds in their names.
            std::thread::sleep(std::time::Duration::from_millis(1100));
        }
        let store = store.to_str().unwrap();
        coldbolt(["verify", store]).shows(0, &["6 increments"]);
        assert!(hashes.len() >= 6);
        let out = server.home().join("out.db");
        let out = out.to_str().unwrap();
        for (revision, hash) in &hashes {
            let copy = coldbolt(["copy", store, out, "--to-revision", &revision.to_string(), "-w", "json"]);
            assert_eq!((copy.code, &copy.json()["hashkv"]), (0, hash), "{version} at {revision}: {copy}");
            std::fs::remove_file(out).unwrap();
        }
        coldbolt(["copy", store, out]).shows(0, &["copy "]);
        serves(version, out, &mut server);
    }
}

/// A server of that version starts from the copy, restored by coldbolt, and has every key that the other one has.
fn serves(version: &str, copy: &str, server: &mut Server) {
    let live = server.ctl_json(&["get", "", "--prefix", "-w", "json"], b"")["kvs"].clone();
    assert!(live.as_array().is_some_and(|live| live.len() > 3));
    server.stop();
    let data = server.home().join("data");
    std::fs::remove_dir_all(&data).unwrap();
    restore(copy, &data, &server.peer());
    server.restart();
    let again = server.ctl_json(&["get", "", "--prefix", "-w", "json"], b"")["kvs"].clone();
    assert_eq!(again, live, "{version}");
}

fn restore(copy: &str, data: &Path, peer: &str) {
    let cluster = format!("interop={peer}");
    let args = ["restore", copy, "--data-dir", data.to_str().unwrap(), "--name", "interop"];
    let more = ["--initial-cluster", &cluster, "--initial-advertise-peer-urls", peer];
    coldbolt([&args[..], &more[..]].concat()).shows(0, &[]);
}
