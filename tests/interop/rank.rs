//! Members that die one after the other, a member more, and the moment before a wrong delete: with real servers of
//! all versions.
//!
//! Histories are drawn from a seed, printed when a test fails; `COLDBOLT_SEED` repeats it. Without the programs there
//! is nothing to do, unless `COLDBOLT_INTEROP=required`.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use coldbolt::io::Source;
use coldbolt::wal::Log;
use coldbolt::wal::Scan;
use serde_json::{Value, json};

use crate::cluster::{Member, members};
use support::history::{History, Rng, Seed, number};
use support::server::Server;
use support::{VERSIONS, coldbolt, coldbolt_in, peers};

/// Runs coldbolt, which must succeed and answer in JSON.
fn answer(args: &[&str]) -> Value {
    coldbolt(args).says(0, &[]).json()
}

/// Key and value of everything in a snapshot file.
fn live(file: &Path) -> Value {
    answer(&["get", file.to_str().unwrap(), "", "--from-key", "-w", "json"])["kvs"].clone()
}

/// Term and index of the last entry.
fn last_entry(data: &Path) -> (u64, u64) {
    let files = fs::read_dir(data.join("member/wal")).unwrap().map(|file| file.unwrap());
    let files: Vec<_> = files
        .map(|file| (file.file_name().to_str().unwrap().to_owned(), Source::open(&file.path()).unwrap()))
        .collect();
    let (entries, _) = Log::new(files.iter().map(|(name, file)| (name.as_str(), file)))
        .entries(Scan::default(), &mut |_| {});
    entries.last().map(|entry| (entry.term.get(), entry.index.get())).unwrap()
}

fn b64(text: &str) -> String {
    BASE64_STANDARD.encode(text)
}

/// Each member is killed at a moment of its own while three connections write to the last one.
#[test]
fn the_member_that_is_ranked_first_has_every_write_that_was_acknowledged() {
    for version in VERSIONS {
        if peers::find(&format!("etcd-{version}/etcd")).is_none() {
            return;
        }
        let seed = Seed::draw();
        let mut rng = Rng::of(seed.0);
        let home = tempfile::tempdir().unwrap();
        let (mut all, cluster) = members(version, 3, home.path());
        all.iter_mut().for_each(|member| {
            member.start(&["--initial-cluster", &cluster, "--backend-batch-interval", "2s"])
        });
        all.iter_mut().for_each(Member::caught_up);
        let order: [usize; 3] =
            [[0, 1, 2], [1, 2, 0], [2, 0, 1], [1, 0, 2]][usize::try_from(rng.between(0, 3)).unwrap()];
        let (stop, acknowledged) = (AtomicBool::new(false), Mutex::new(BTreeMap::new()));
        std::thread::scope(|threads| {
            for connection in 0..3 {
                let (mut client, stop, acknowledged) = (all[order[2]].client(), &stop, &acknowledged);
                threads.spawn(move || {
                    for n in 0.. {
                        if stop.load(Ordering::Relaxed) {
                            return;
                        }
                        let (key, value) = (format!("k/{connection}/{:02}", n % 40), format!("{n:06}"));
                        if let Ok((200, _)) =
                            client.post("kv/put", &json!({"key": b64(&key), "value": b64(&value)}))
                        {
                            acknowledged.lock().unwrap().insert(key, value);
                        }
                    }
                });
            }
            for at in order {
                std::thread::sleep(Duration::from_millis(u64::try_from(rng.between(300, 1500)).unwrap()));
                all[at].kill();
            }
            stop.store(true, Ordering::Relaxed);
        });
        let acknowledged = acknowledged.into_inner().unwrap();
        assert!(!acknowledged.is_empty());
        let data: Vec<String> = all.iter().map(|member| member.data().to_str().unwrap().to_owned()).collect();
        let report = answer(&["rank", &data[0], &data[1], &data[2], "--etcd-version", version, "-w", "json"]);
        let best = &report["members"][0];
        let furthest = all.iter().map(|member| last_entry(&member.data())).max().unwrap();
        assert_eq!(
            (number(&best["last_term"]), number(&best["last_index"])),
            (furthest.0.cast_signed(), furthest.1.cast_signed())
        );
        let command = report["command"].as_str().unwrap().to_owned();
        eprintln!("{version}: {} keys; {}: {command}", acknowledged.len(), report["reason"]);
        coldbolt_in(home.path(), command.split(' ').skip(1)).says(0, &[]);
        let kvs = live(&home.path().join("backup.db"));
        let found = kvs.as_array().unwrap().iter().map(|kv| (kv["key"].clone(), kv["value"].clone()));
        let found: BTreeMap<_, _> =
            found.map(|(key, value)| (key.as_str().unwrap().to_owned(), value)).collect();
        for (key, value) in &acknowledged {
            // A later write may have gone through without an answer.
            let stored = BASE64_STANDARD.decode(found[&b64(key)].as_str().unwrap()).unwrap();
            assert!(
                stored.as_slice() >= value.as_bytes(),
                "{version}: {key} is {stored:?}, {value} was acknowledged\n{report:#}"
            );
        }
    }
}

/// The quorum of one became one of two: the second joins with nothing, and both serve.
#[test]
fn a_member_that_was_added_offline_joins_and_has_everything() {
    for version in VERSIONS {
        if peers::find(&format!("etcd-{version}/etcd")).is_none() {
            return;
        }
        let home = tempfile::tempdir().unwrap();
        let (mut all, cluster) = members(version, 2, home.path());
        let alone = cluster.split(',').next().unwrap().to_owned();
        all[0].start(&["--initial-cluster", &alone]);
        all[0].caught_up();
        let mut client = all[0].client();
        for value in 0..100 {
            let put = json!({"key": b64("key"), "value": b64(&format!("{value:04}"))});
            assert_eq!(client.post("kv/put", &put).unwrap().0, 200);
        }
        all[0].kill();
        let (data, new) = (all[0].data(), all[0].home.join("new"));
        let (url, dir) = (format!("http://127.0.0.1:{}", all[1].peer), data.to_str().unwrap());
        let args = [
            "member",
            "add",
            "--peer-urls",
            &url,
            "--data-dir",
            dir,
            "-o",
            new.to_str().unwrap(),
            "--etcd-version",
            version,
        ];
        coldbolt(args).says(0, &[]);
        fs::rename(&data, all[0].home.join("old")).unwrap();
        fs::rename(&new, &data).unwrap();
        for again in 0..2 {
            all[0].start(&["--initial-cluster", &cluster]);
            // The one that joins asks the other who is a member, once.
            let deadline = support::run::deadline();
            while TcpStream::connect(("127.0.0.1", all[0].peer)).is_err() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(50));
            }
            std::thread::sleep(Duration::from_millis(500));
            all[1].start(&["--initial-cluster", &cluster, "--initial-cluster-state", "existing"]);
            all.iter_mut().for_each(Member::caught_up);
            for member in &all {
                let mut client = member.client();
                let (_, answer) = client.post("kv/range", &json!({"key": b64("key")})).unwrap();
                assert_eq!(answer["kvs"][0]["value"], b64("0099"), "{version}: {answer}");
                let (_, answer) = client.post("cluster/member/list", &json!({})).unwrap();
                let names = answer["members"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|member| member["name"].as_str().unwrap_or_default());
                let mut names: Vec<&str> = names.collect();
                names.sort_unstable();
                assert_eq!(names, ["m0", "m1"], "{version}: {answer}");
            }
            let put = json!({"key": b64(&format!("new{again}")), "value": b64("x")});
            assert_eq!(all[1].client().post("kv/put", &put).unwrap().0, 200, "{version}");
            all.iter_mut().for_each(Member::stop);
        }
        // Both have come to the same.
        let data: Vec<String> = all.iter().map(|member| member.data().to_str().unwrap().to_owned()).collect();
        let report = answer(&["rank", &data[0], &data[1], "--etcd-version", version, "-w", "json"]);
        assert_eq!(
            (&report["agree"], &report["comparisons"][0]["agree"]),
            (&json!(true), &json!(true)),
            "{version}: {report:#}"
        );
    }
}

/// A Lease as a kubelet renews it, now.
fn renew(server: &mut History) -> String {
    let now = jiff::Timestamp::now().to_string();
    let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "spec": {"holderIdentity": "n1", "renewTime": now}});
    server.put("/registry/leases/kube-node-lease/n1", &lease.to_string(), &[]);
    now
}

#[test]
fn a_wrong_delete_is_undone_by_revision_and_by_time() {
    for version in VERSIONS {
        let seed = Seed::draw();
        let Some(server) = Server::start(version, &[]) else { return };
        let mut server = History::new(server, seed.0);
        let home = tempfile::tempdir().unwrap();
        let base = home.path().join("base.db");
        server.steps(10);
        server.server.save(&base);
        server.steps(25);
        server.put("/registry/pods/default/precious", "precious", &[]);
        renew(&mut server);
        let (revision, moment) = (server.revision.to_string(), renew(&mut server));
        let truth =
            server.server.ctl_json(&["get", "", "--from-key", "--rev", &revision], b"")["kvs"].clone();
        server.write(&["del", "/registry/pods", "--prefix"], b"");
        for _ in 0..2 {
            renew(&mut server);
            server.steps(2);
        }
        server.server.kill();
        let data = server.server.home().join("data").to_str().unwrap().to_owned();
        let replay = |what: &[&str], name: &str| {
            let to = home.path().join(name);
            let fixed = [
                "-o",
                to.to_str().unwrap(),
                "--base",
                base.to_str().unwrap(),
                "--etcd-version",
                version,
                "-w",
                "json",
            ];
            let report = answer(&[&["replay", &data], what, &fixed].concat());
            (live(&to), report)
        };
        let (found, _) = replay(&["--to-revision", &revision], "revision.db");
        assert_eq!(found, truth, "{version}");
        // As the clock of the machine said when the last renewal was made: that one is in, nothing later.
        let (found, report) = replay(&["--to-time", &moment], "time.db");
        let time = &report["fold"]["time"];
        assert_eq!(
            (&time["last"]["time"], &time["ahead"]),
            (&json!(moment), &json!(0)),
            "{version}: {time:#}"
        );
        assert!(number(&time["next"]["revision"]) > number(&time["last"]["revision"]), "{version}: {time:#}");
        let precious = |kvs: &Value| {
            kvs.as_array().unwrap().iter().any(|kv| kv["key"] == b64("/registry/pods/default/precious"))
        };
        assert!(precious(&found), "{version}: {time:#}");
        let whole = home.path().join("whole.db");
        answer(&["copy", &data, whole.to_str().unwrap(), "--etcd-version", version, "-w", "json"]);
        assert!(!precious(&live(&whole)), "{version}");
    }
}
