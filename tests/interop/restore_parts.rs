//! Restores of a part, of learners, and past a newer file, in the real etcd of every version.
//!
//! Without the programs there is nothing to do, unless `COLDBOLT_INTEROP=required`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use support::history::{History, Seed, number};
use support::restored::{Answers, Member};
use support::server::{Server, free_ports, run};
use support::{VERSIONS, coldbolt_in, peers};

fn json(dir: &Path, args: &[&str]) -> Value {
    coldbolt_in(dir, [args, &["-w", "json"]].concat()).says(0, &[]).json()
}

fn minor(version: &str) -> &str {
    version.rsplit_once('.').unwrap().0
}

/// A server that runs, with a history, and a snapshot of it.
struct Saved {
    history: History,
    temp: tempfile::TempDir,
    file: PathBuf,
    version: &'static str,
    _seed: Seed,
}

impl Saved {
    fn new(version: &'static str) -> Option<Saved> {
        let server = Server::start(version, &[])?;
        let seed = Seed::draw();
        let temp = tempfile::tempdir().unwrap();
        let mut history = History::new(server, seed.0);
        history.users();
        history.steps(50);
        history.compact(history.revision - 20);
        history.steps(30);
        // Whatever was deleted: a part holds the one, and not the other.
        history.put("/k/20", "of the part", &[]);
        history.put("elsewhere", "of the rest", &[]);
        // The last change is a deletion, to a key that no part holds.
        history.delete_one();
        let file = temp.path().join("snapshot.db");
        history.server.save(&file);
        Some(Saved { history, temp, file, version, _seed: seed })
    }

    /// What the server answers at a revision.
    fn at(&self, revision: i64) -> Value {
        self.history.server.ctl_json(&["get", "", "--from-key", "--rev", &revision.to_string()], b"")["kvs"]
            .clone()
    }

    /// Restores with these flags, has it verified, and starts it.
    fn restored(&self, name: &str, flags: &[&str]) -> (Member, Value, PathBuf) {
        let [client, peer] = free_ports();
        let url = format!("http://127.0.0.1:{peer}");
        let cluster = format!("m={url}");
        let identity = ["--name", "m", "--initial-cluster", &cluster, "--initial-advertise-peer-urls", &url];
        let file = self.file.to_str().unwrap();
        let more = ["--data-dir", name, "--target-version", minor(self.version)];
        let report = json(self.temp.path(), &[&["restore", file], flags, &more, &identity].concat());
        let dir = self.temp.path().join(name);
        let verified = json(self.temp.path(), &["verify", name]);
        let codes: Vec<_> = verified["files"][0]["findings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|f| f["code"].as_str().unwrap())
            .collect();
        let told = ["compaction-unfinished", "trailer-absent", "lease-missing", "alarm-active"];
        assert!(
            verified["verdict"] == "good" && codes.iter().all(|code| told.contains(code)),
            "{}: {name}: {verified}",
            self.version
        );
        (Member::start(self.version, &dir, client, &identity, &url), report, dir)
    }
}

fn all(member: &Member) -> Value {
    member.json(&["get", "", "--from-key"])["kvs"].clone()
}

fn revision(member: &Member) -> i64 {
    number(&member.json(&["get", "none"])["header"]["revision"])
}

#[test]
fn a_restore_at_a_revision_serves_what_the_server_served_at_it() {
    for version in VERSIONS {
        let Some(saved) = Saved::new(version) else { return };
        let (first, last) = (saved.history.compacted, saved.history.revision);
        for (n, at) in [first, first + 7, last - 1, last].into_iter().enumerate() {
            let name = format!("at-{n}");
            let (mut member, report, _) = saved.restored(&name, &["--revision", &at.to_string()]);
            let context = format!("{version} at {at} of {first} to {last}");
            assert_eq!((all(&member), revision(&member)), (saved.at(at), at), "{context}");
            assert_eq!(number(&report["revision"]), at, "{context}");
            // History before it is there, and none after it.
            for before in first..=at {
                let there =
                    member.json(&["get", "", "--from-key", "--rev", &before.to_string()])["kvs"].clone();
                assert_eq!(there, saved.at(before), "{context}: {before}");
            }
            let after = member.try_ctl(&["get", "", "--from-key", "--rev", &(at + 1).to_string()], b"");
            assert!(
                String::from_utf8_lossy(&after.stderr).contains("future revision"),
                "{context}: {after:?}"
            );
            // These versions refuse the compact revision itself.
            if at > first {
                let hash =
                    saved.history.server.ctl_json(&["endpoint", "hashkv", "--rev", &at.to_string()], b"");
                assert_eq!(hash[0]["HashKV"]["hash"], report["result_hashkv"], "{context}");
            }
            let put = member.json(&["put", "/after", "x"]);
            assert_eq!(number(&put["header"]["revision"]), at + 1, "{context}");
            member.stop();
        }
        let refused = |at: i64, why: &str| {
            let file = saved.file.to_str().unwrap();
            let output = coldbolt_in(
                saved.temp.path(),
                ["restore", file, "--data-dir", "no", "--revision", &at.to_string()],
            );
            output.says(1, &[why]);
        };
        refused(first - 1, "required revision has been compacted");
        refused(last + 1, "required revision is a future revision");
    }
}

#[test]
fn a_part_of_the_keyspace_is_served_at_the_same_revision() {
    for version in VERSIONS {
        let Some(saved) = Saved::new(version) else { return };
        let server = &saved.history.server;
        let answers = Answers::of_server(server);
        let last = saved.history.revision;
        let begins = |kv: &Value, prefix: &str| {
            use base64::Engine;
            let key = base64::engine::general_purpose::STANDARD.decode(kv["key"].as_str().unwrap()).unwrap();
            key.starts_with(prefix.as_bytes())
        };
        let kept: Vec<Value> = answers
            .kvs
            .as_array()
            .unwrap()
            .iter()
            .filter(|kv| begins(kv, "/k/") && !begins(kv, "/k/1"))
            .cloned()
            .collect();
        assert!(!kept.is_empty() && kept.len() < answers.kvs.as_array().unwrap().len());
        let flags = ["--prefix", "/k/", "--prefix", "/nothing", "--exclude-prefix", "/k/1"];
        let (mut member, report, dir) = saved.restored("part", &flags);
        let ours = member.answers();
        assert_eq!(ours.kvs.as_array(), Some(&kept), "{version}");
        assert_eq!(
            (&ours.leases, &ours.users, &ours.roles),
            (&answers.leases, &answers.users, &answers.roles),
            "{version}"
        );
        assert!(
            report["changes"]
                .as_array()
                .unwrap()
                .iter()
                .any(|c| c.as_str().unwrap().starts_with("PART OF THE KEYSPACE"))
        );
        assert_eq!((revision(&member), number(&report["revision"])), (last, last), "{version}");
        assert_eq!(
            member.json(&["endpoint", "hashkv"])[0]["HashKV"]["compact_revision"].as_i64(),
            Some(last),
            "{version}"
        );
        if minor(version) >= "3.6" {
            // Older ones do not hash what is compacted at its last revision.
            assert_eq!(
                member.json(&["endpoint", "hashkv"])[0]["HashKV"]["hash"],
                report["result_hashkv"],
                "{version}"
            );
        }
        let watch = member.try_ctl(&["watch", "/k/", "--prefix", "--rev", &(last - 1).to_string()], b"");
        let said = [watch.stdout, watch.stderr].concat();
        assert!(String::from_utf8_lossy(&said).contains("required revision has been compacted"), "{version}");
        assert_eq!(
            number(&member.json(&["put", "/k/new", "x"])["header"]["revision"]),
            last + 1,
            "{version}"
        );
        for round in 0..20 {
            let puts: String = (0..100).map(|i| format!("put /after/{round}/{i} v{i}\n")).collect();
            member.ctl(&["txn"], format!("\n{puts}\n\n").as_bytes());
        }
        member.stop();
        let bbolt = peers::find("bbolt-1.5.0/bbolt").unwrap();
        let output =
            run(peers::command(&bbolt, saved.temp.path()).arg("check").arg(dir.join("member/snap/db")), b"");
        assert!(output.status.success() && output.stdout == b"OK\n", "{version}: {output:?}");

        // With what came before a revision, and raised.
        let at = last - 5;
        let flags = [
            "--exclude-prefix",
            "/k/",
            "--revision",
            &at.to_string(),
            "--bump-revision",
            "1000",
            "--mark-compacted",
        ];
        let (mut member, report, _) = saved.restored("early", &flags);
        let due: Vec<Value> =
            saved.at(at).as_array().unwrap().iter().filter(|kv| !begins(kv, "/k/")).cloned().collect();
        assert_eq!(all(&member).as_array(), Some(&due), "{version}");
        assert_eq!((revision(&member), number(&report["revision"])), (at + 1000, at + 1000), "{version}");
        member.stop();
    }
}

#[test]
fn whose_root_password_is_lost_restores_without_authentication() {
    for version in VERSIONS {
        let Some(mut saved) = Saved::new(version) else { return };
        saved.history.auth();
        saved.history.server.save(&saved.file.with_extension("auth"));
        fs::rename(saved.file.with_extension("auth"), &saved.file).unwrap();
        let (mut member, ..) = saved.restored("noauth", &["--disable-auth"]);
        // Nobody logs in.
        member.ctl(&["put", "/k/00", "x"], b"");
        member.ctl(&["user", "passwd", "root", "--interactive=false"], b"found\n");
        member.ctl(&["auth", "enable"], b"");
        assert!(!member.try_ctl(&["get", "/k/00"], b"").status.success(), "{version}");
        member.login("root:found");
        assert_eq!(member.ctl(&["get", "/k/00"], b""), "/k/00\nx\n", "{version}");
        member.login("reader:secret");
        let refused = member.try_ctl(&["put", "/k/00", "y"], b"");
        assert!(String::from_utf8_lossy(&refused.stderr).contains("permission denied"), "{version}");
        member.stop();
    }
}

/// With `auto`, no client sees a revision that the newer directory has seen.
#[test]
fn auto_raises_the_revision_past_a_newer_member() {
    let version = "3.6.14";
    let Some(mut saved) = Saved::new(version) else { return };
    let newer_file = saved.temp.path().join("newer.db");
    saved.history.steps(20);
    saved.history.server.save(&newer_file);
    saved.history.steps(20);
    // What the database lacks then is in its log.
    saved.history.server.kill();
    let newest = saved.history.revision;
    let newer_dir = saved.history.server.home().join("data");
    let flags = [
        "--bump-revision",
        "auto",
        "--mark-compacted",
        "--newer",
        newer_file.to_str().unwrap(),
        newer_dir.to_str().unwrap(),
    ];
    let (mut member, report, _) = saved.restored("auto", &flags);
    let now = revision(&member);
    assert!(now > newest && now < newest + 10_000_000 + 1000, "{now} {newest}");
    let why: Vec<_> =
        report["raised"]["why"].as_array().unwrap().iter().map(|w| w.as_str().unwrap()).collect();
    assert_eq!(why.len(), 4, "{why:?}");
    assert!(why[2].contains("entries in its log"), "{why:?}");
    assert_eq!(number(&report["raised"]["to"]), now);
    let watch = member.try_ctl(&["watch", "/k/", "--prefix", "--rev", &newest.to_string()], b"");
    let said = [watch.stdout, watch.stderr].concat();
    assert!(String::from_utf8_lossy(&said).contains("required revision has been compacted"));
    member.stop();
}

/// A learner gets everything, has no vote, and can be promoted.
#[test]
fn a_member_is_restored_as_a_learner_and_promoted() {
    for version in VERSIONS {
        let Some(saved) = Saved::new(version) else { return };
        let answers = Answers::of_server(&saved.history.server);
        let ports: Vec<[u16; 2]> = (0..3).map(|_| free_ports()).collect();
        let names = ["one", "two", "three"];
        let peer = |i: usize| format!("http://127.0.0.1:{}", ports[i][1]);
        let cluster = (0..3).map(|i| format!("{}={}", names[i], peer(i))).collect::<Vec<_>>().join(",");
        for learner in 0..3 {
            let dir = format!("learner-{learner}");
            let file = saved.file.to_str().unwrap();
            let flags = [
                "--all-members",
                &dir,
                "--initial-cluster",
                &cluster,
                "--learner",
                names[learner],
                "--target-version",
                minor(version),
            ];
            let report = json(saved.temp.path(), &[&["restore", file], &flags[..]].concat());
            let learners =
                report["members"].as_array().unwrap().iter().filter(|m| m["learner"] == true).count();
            assert_eq!(learners, 1);
            for name in names {
                let verified = json(saved.temp.path(), &["verify", &format!("{dir}/{name}")]);
                let codes: Vec<_> = verified["files"][0]["findings"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|f| f["code"].as_str().unwrap())
                    .collect();
                assert!(
                    verified["verdict"] == "good" && !codes.contains(&"members-disagree"),
                    "{version}: {verified}"
                );
            }
            // Which of the three learns makes a difference only to the order in the log.
            if learner > 0 && version != "3.5.1" {
                continue;
            }
            let spawn = |i: usize| {
                let peer = peer(i);
                let identity = [
                    "--name",
                    names[i],
                    "--initial-cluster",
                    &cluster,
                    "--initial-advertise-peer-urls",
                    &peer,
                ];
                Member::spawn(
                    version,
                    &saved.temp.path().join(&dir).join(names[i]),
                    ports[i][0],
                    &identity,
                    &peer,
                )
            };
            let (voters, learner): (Vec<usize>, usize) =
                ((0..3).filter(|i| *i != learner).collect(), learner);
            let mut members: Vec<Member> = voters.iter().map(|i| spawn(*i)).collect();
            // The two that vote are a quorum without it.
            members.iter_mut().for_each(Member::wait);
            assert_eq!(members[0].answers(), answers, "{version}");
            let list = members[0].json(&["member", "list"]);
            let learns = |m: &&Value| m["isLearner"] == true;
            let list = list["members"].as_array().unwrap();
            assert_eq!((list.len(), list.iter().filter(learns).count()), (3, 1), "{version}");
            let id = list.iter().find(learns).unwrap()["ID"].as_u64().unwrap();
            members[0].ctl(&["put", "/quorum", "yes"], b"");
            let joined = spawn(learner);
            let deadline = support::run::deadline();
            while !members[0].try_ctl(&["member", "promote", &format!("{id:x}")], b"").status.success() {
                assert!(Instant::now() < deadline, "{version}: not promoted");
                std::thread::sleep(Duration::from_millis(200));
            }
            // Now it is needed for the quorum, and holds everything.
            members[1].stop();
            // Perhaps it was the leader.
            let deadline = support::run::deadline();
            while !members[0].try_ctl(&["put", "/quorum", "with the learner of before"], b"").status.success()
            {
                assert!(Instant::now() < deadline, "{version}: no leader");
            }
            assert_eq!(all(&joined), all(&members[0]), "{version}");
            members.push(joined);
            members[0].stop();
            members[2].stop();
        }
    }
}

/// Three control planes, from the manifest of the last: each starts with the flags of its own, the first of which
/// names only itself.
#[test]
fn three_control_planes_are_restored_from_a_manifest() {
    for version in ["3.5.1", "3.6.14"] {
        let Some(saved) = Saved::new(version) else { return };
        let home = saved.temp.path();
        let answers = Answers::of_server(&saved.history.server);
        let ports: Vec<[u16; 2]> = (0..3).map(|_| free_ports()).collect();
        let peer = |i: usize| format!("http://127.0.0.1:{}", ports[i][1]);
        let cluster = |count: usize| {
            (0..count).map(|i| format!("cp{}={}", i + 1, peer(i))).collect::<Vec<_>>().join(",")
        };
        let manifest = |i: usize| {
            let text = fs::read_to_string(
                Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/kubeadm/cp{}.yaml", i + 1)),
            )
            .unwrap();
            let real = (0..3)
                .fold(text, |text, i| text.replace(&format!("https://10.0.0.{}:2380", i + 11), &peer(i)));
            let real = real.replace("etcd:3.5.15-0", &format!("etcd:{version}-0"));
            let host = format!("path: {}/host", home.display());
            let file = home.join(format!("cp{}.yaml", i + 1));
            fs::write(&file, real.replace("path: /var/lib/etcd", &host)).unwrap();
            file.to_str().unwrap().to_owned()
        };
        let file = saved.file.to_str().unwrap();
        let flags = ["--all-members", "planes", "--bump-revision", "auto", "--mark-compacted"];
        let report = json(home, &[&["restore", file, "--from-manifest", &manifest(2)], &flags[..]].concat());
        assert_eq!(report["target_version"], minor(version));
        let spawn = |i: usize, dir: &str| {
            let (name, peer, cluster) = (format!("cp{}", i + 1), peer(i), cluster(i + 1));
            let identity =
                ["--name", &name, "--initial-cluster", &cluster, "--initial-advertise-peer-urls", &peer];
            let joined = ["--initial-cluster-state", "existing"];
            let flags = [&identity[..], if i > 0 { &joined[..] } else { &[] }].concat();
            Member::spawn(version, &home.join(dir), ports[i][0], &flags, &peer)
        };
        let mut members: Vec<Member> = (0..3).map(|i| spawn(i, &format!("planes/cp{}", i + 1))).collect();
        members.iter_mut().for_each(Member::wait);
        for member in &members {
            assert_eq!(member.answers(), answers, "{version}");
            assert_eq!(revision(member), saved.history.revision + 1_000_000_000, "{version}");
        }
        members[2].ctl(&["put", "/quorum", "yes"], b"");
        members.iter_mut().for_each(Member::stop);

        // One control plane, into the directory that its manifest names.
        let report = json(home, &["restore", file, "--from-manifest", &manifest(0)]);
        assert_eq!(report["members"][0]["data_dir"].as_str(), home.join("host").to_str());
        let mut only = spawn(0, "host");
        only.wait();
        assert_eq!(only.answers(), answers, "{version}");
        only.ctl(&["put", "/quorum", "of one"], b"");
        only.stop();
    }
}

/// Users log in with their passwords, and may do what they were allowed to.
#[test]
fn authentication_is_on_after_a_restore_if_it_was() {
    for version in VERSIONS {
        let Some(mut saved) = Saved::new(version) else { return };
        saved.history.auth();
        saved.history.server.save(&saved.file.with_extension("auth"));
        fs::rename(saved.file.with_extension("auth"), &saved.file).unwrap();
        let answers = Answers::of_server(&saved.history.server);
        let user = |server: &dyn Fn(&[&str]) -> Value| {
            ["root", "reader"].map(|user| server(&["user", "get", user])["roles"].clone())
        };
        let role = |server: &dyn Fn(&[&str]) -> Value| {
            ["root", "reader"].map(|role| server(&["role", "get", role])["perm"].clone())
        };
        let ours = |args: &[&str]| saved.history.server.ctl_json(args, b"");
        let (users, roles) = (user(&ours), role(&ours));
        let (mut member, ..) = saved.restored("auth", &[]);
        let refused = member.try_ctl(&["get", "/k/00"], b"");
        assert!(
            String::from_utf8_lossy(&refused.stderr).contains("user name is empty"),
            "{version}: {refused:?}"
        );
        member.login("root:secret");
        assert_eq!(member.answers(), answers, "{version}");
        let theirs = |args: &[&str]| member.json(args);
        assert_eq!((user(&theirs), role(&theirs)), (users, roles), "{version}");
        member.login("reader:secret");
        member.ctl(&["get", "/k/00"], b"");
        let refused = member.try_ctl(&["put", "/k/00", "x"], b"");
        assert!(
            String::from_utf8_lossy(&refused.stderr).contains("permission denied"),
            "{version}: {refused:?}"
        );
        member.login("root:wrong");
        assert!(!member.try_ctl(&["get", "/k/00"], b"").status.success());
        member.login("root:secret");
        member.ctl(&["put", "/k/00", "x"], b"");
        member.stop();
    }
}

/// A cluster that ran out of space takes writes at once if its alarm is left out.
#[test]
fn an_alarm_stays_unless_it_is_left_out() {
    for version in VERSIONS {
        let Some(mut server) = Server::start(version, &["--quota-backend-bytes", "4194304"]) else { return };
        let value = vec![b'x'; 1_000_000];
        let mut count = 0;
        while server.try_ctl(&["put", &format!("/big/{count}")], &value).status.success() {
            count += 1;
            assert!(count < 20);
        }
        assert!(server.ctl(&["alarm", "list"]).contains("NOSPACE"), "{version}");
        let temp = tempfile::tempdir().unwrap();
        let file = temp.path().join("snapshot.db");
        server.save(&file);
        server.stop();
        let seed = Seed(0);
        let saved = Saved { history: History::new(server, 0), temp, file, version, _seed: seed };
        let (mut stays, ..) = saved.restored("stays", &[]);
        assert!(!stays.try_ctl(&["put", "/after", "x"], b"").status.success(), "{version}");
        stays.stop();
        let (mut cleared, report, _) = saved.restored("cleared", &["--clear-alarms"]);
        assert!(
            report["changes"]
                .as_array()
                .unwrap()
                .iter()
                .any(|c| c.as_str().unwrap().starts_with("alarm: NOSPACE")),
            "{report}"
        );
        assert_eq!(cleared.ctl(&["alarm", "list"], b""), "", "{version}");
        cleared.ctl(&["put", "/after", "x"], b"");
        cleared.stop();
    }
}
