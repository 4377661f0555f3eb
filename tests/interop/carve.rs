//! What of deleted and compacted Secrets is still in the files of real etcds: all that the bytes hold is found, and
//! nothing that never was.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use coldbolt::etcd::{BucketKey, KeyValue, Revision};
use memchr::memmem;
use serde_json::{Value, json};
use support::history::{Rng, Seed, number};
use support::server::Server;
use support::{VERSIONS, coldbolt, peers};

use crate::cluster::{Client, Member, members};

/// All that was ever put, by revision: key and value.
type Puts = BTreeMap<i64, (Vec<u8>, Vec<u8>)>;

fn put(client: &mut Client, puts: &mut Puts, key: &str, value: Vec<u8>) -> i64 {
    let [k, v] = [key.as_bytes(), &value].map(|bytes| BASE64_STANDARD.encode(bytes));
    let (status, answer) = client.post("kv/put", &json!({"key": k, "value": v})).unwrap();
    assert_eq!(status, 200, "{answer}");
    let revision = number(&answer["header"]["revision"]);
    puts.insert(revision, (key.as_bytes().to_vec(), value));
    revision
}

fn random(random: &mut Rng, len: usize) -> Vec<u8> {
    (0..len).map(|_| u8::try_from(random.between(0, 255)).unwrap()).collect()
}

/// The revisions of these puts of which the whole element is in the file.
fn findable(file: &[u8], created: &BTreeMap<i64, (Vec<u8>, Vec<u8>)>) -> BTreeSet<i64> {
    let there = |(revision, (key, value)): (&i64, &(Vec<u8>, Vec<u8>))| {
        let row = BucketKey { revision: Revision { main: *revision, sub: 0 }, tombstone: false };
        let kv = KeyValue {
            key,
            create_revision: *revision,
            mod_revision: *revision,
            version: 1,
            value,
            lease: 0,
        };
        let element = [row.to_bytes(), kv.encode()].concat();
        memmem::find(file, &element).map(|_| *revision)
    };
    created.iter().filter_map(there).collect()
}

/// What coldbolt finds; each of it was put so.
fn found(file: &Path, puts: &Puts, deleted: &BTreeSet<i64>) -> BTreeSet<i64> {
    let run = coldbolt(["carve", file.to_str().unwrap(), "-w", "ndjson", "--values"]);
    assert_eq!(run.code, 0, "{run}");
    let mut found = BTreeSet::new();
    for line in run.text().lines() {
        let version: Value = serde_json::from_str(line).unwrap();
        let revision = version["revision"].as_i64().unwrap();
        let bytes = |name: &str| match version[name].as_str() {
            Some(text) => text.as_bytes().to_vec(),
            None => BASE64_STANDARD.decode(version[format!("{name}_base64")].as_str().unwrap()).unwrap(),
        };
        if version["type"] == "delete" {
            assert!(deleted.contains(&revision), "a deletion that never was: {line}");
            continue;
        }
        let (key, value) = puts.get(&revision).unwrap_or_else(|| panic!("a put that never was: {line}"));
        assert_eq!(bytes("key"), *key, "{line}");
        let carved = bytes("value");
        assert!(
            if version["whole"] == true { carved == *value } else { value.starts_with(&carved) },
            "{line}"
        );
        if version["whole"] == true {
            found.insert(revision);
        }
    }
    found
}

fn secrets_of(version: &str, seed: u64) {
    let home = tempfile::tempdir().unwrap();
    let (mut all, cluster) = members(version, 1, home.path());
    let member: &mut Member = &mut all[0];
    member.start(&["--initial-cluster", &cluster]);
    member.comes_up().unwrap();
    let (mut client, mut draw) = (member.client(), Rng::of(seed));
    let (mut puts, mut deleted, mut secrets) = (Puts::new(), BTreeSet::new(), BTreeMap::new());
    for n in 0..1000 {
        let len = usize::try_from(draw.between(100, 3000)).unwrap();
        let value = random(&mut draw, len);
        let revision = put(&mut client, &mut puts, &format!("/registry/secrets/shop/s{n}"), value);
        if n % 2 == 0 {
            secrets.insert(revision, puts[&revision].clone());
        }
    }
    for (key, _) in secrets.values() {
        let body = json!({"key": BASE64_STANDARD.encode(key)});
        let (_, answer) = client.post("kv/deleterange", &body).unwrap();
        deleted.insert(number(&answer["header"]["revision"]));
    }
    let compact = json!({"revision": deleted.last().unwrap(), "physical": true});
    assert_eq!(client.post("kv/compaction", &compact).unwrap().0, 200);
    let mut writes = 0;
    for until in [0, 100, 4000] {
        while writes < until {
            let value = random(&mut draw, 200);
            put(&mut client, &mut puts, &format!("/registry/leases/l{}", writes % 20), value);
            writes += 1;
        }
        let file = home.path().join(format!("after-{until}.db"));
        fs::write(&file, snapshot(member, home.path())).unwrap();
        let bytes = fs::read(&file).unwrap();
        let (due, found) = (findable(&bytes, &secrets), found(&file, &puts, &deleted));
        let found: BTreeSet<i64> =
            found.into_iter().filter(|revision| secrets.contains_key(revision)).collect();
        println!("{version}, {until} writes after: {} of 500 are there, {} found", due.len(), found.len());
        assert_eq!(found, due, "{version} after {until}");
        assert!(until > 0 || due.len() > 100, "{version}: {}", due.len());
        // What was written anew as a whole has nothing left over.
        let name = file.to_str().unwrap();
        let clean = home.path().join(format!("clean-{until}.db"));
        coldbolt(["defrag", name, "-o", clean.to_str().unwrap()]).shows(0, &[]);
        let data = home.path().join(format!("restored-{until}"));
        coldbolt(["restore", name, "--data-dir", data.to_str().unwrap()]).shows(0, &[]);
        for made in [clean, data.join("member/snap/db")] {
            let carved = coldbolt(["carve", made.to_str().unwrap(), "-w", "ndjson"]);
            assert_eq!((carved.code, carved.text()), (0, ""), "{}", made.display());
        }
    }
}

/// A snapshot of the member, as etcdctl saves it.
fn snapshot(member: &Member, home: &Path) -> Vec<u8> {
    let etcdctl = peers::find(&format!("etcd-{}/etcdctl", member.version)).unwrap();
    let file = home.join("saved.db");
    let _ = fs::remove_file(&file);
    let output = peers::command(&etcdctl, home)
        .env("ETCDCTL_API", "3")
        .args(["--endpoints", &format!("http://127.0.0.1:{}", member.client)])
        .args(["snapshot", "save", file.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::read(file).unwrap()
}

#[test]
fn of_deleted_secrets_all_that_the_bytes_hold_is_found_and_nothing_else() {
    let seed = Seed::draw();
    for (n, version) in VERSIONS.iter().enumerate() {
        if peers::find(&format!("etcd-{version}/etcd")).is_none() {
            return;
        }
        secrets_of(version, seed.nth(n as u64).0);
    }
}

/// A defragmented database holds nothing of what was deleted and compacted; the log of its member does.
#[test]
fn of_a_log_all_is_found_that_its_database_had_and_nothing_else() {
    for version in VERSIONS {
        let Some(mut server) = Server::start(version, &[]) else { return };
        let mut puts = Vec::new();
        for n in 0..120 {
            let (key, value) = (format!("/k/{:02}", n % 40), format!("value {n}"));
            server.ctl(&["put", &key, &value]);
            puts.push((key, value));
        }
        server.ctl(&["del", "/k/00", "/k/20"]);
        server.ctl(&["del", "/k/20"]);
        let deleted = |key: &str| key <= "/k/20";
        server.ctl(&["put", "/other", "stays"]);
        server.ctl(&["compact", "124", "--physical"]);
        server.ctl(&["defrag"]);
        server.stop();
        let data = server.home().join("data");
        let run = coldbolt(["carve", data.to_str().unwrap(), "-w", "ndjson", "--values"]);
        assert_eq!(run.code, 0, "{version}: {run}");
        let lines: Vec<Value> = run.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(lines.iter().all(|line| line["source"] == "wal" && line["proven"] == true), "{version}");
        let text = |line: &Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
        let found: Vec<_> = lines.iter().filter(|line| line["type"] == "put").collect();
        let is: Vec<_> = found.iter().map(|line| (text(line, "key"), text(line, "value"))).collect();
        let stored = |n: usize, key: &str| n >= 80 && !deleted(key);
        let due = puts.iter().enumerate().filter(|(n, (key, _))| !stored(*n, key));
        let due: Vec<_> = due.map(|(_, put)| put.clone()).collect();
        assert_eq!(is, due, "{version}");
        assert!(
            found.iter().all(|line| deleted(&text(line, "key")) == (line["now"] == "deleted")),
            "{version}"
        );
        let deletions: Vec<_> = lines.iter().filter(|line| line["type"] == "delete").collect();
        let keys: Vec<_> =
            deletions.iter().map(|line| (text(line, "key"), text(line, "range_end"))).collect();
        let due = [("/k/00", "/k/20"), ("/k/20", "")].map(|(key, end)| (key.to_owned(), end.to_owned()));
        assert_eq!(keys, due, "{version}");
    }
}
