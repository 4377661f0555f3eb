//! Copies of members that were killed under load, against what the same directory comes to when the real server
//! starts on it.
//!
//! Every run draws its load from a seed, printed when it fails; `COLDBOLT_SEED` repeats it and `COLDBOLT_RUNS` says
//! how many there are. Without the programs there is nothing to do, unless `COLDBOLT_INTEROP=required`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use coldbolt::bolt::Db;
use coldbolt::etcd::auth::{Role, User};
use coldbolt::etcd::{BucketKey, KeyValue};
use coldbolt::io::Source;
use prost::Message;
use serde_json::Value;

use crate::cluster::{Member, members};
use crate::load;
use crate::load::{Load, Shared};
use support::history::{self, Rng, Seed};
use support::{VERSIONS, coldbolt, peers};

/// What the server's and the copy's must be the same in.
const BUCKETS: [&str; 8] =
    ["key", "lease", "alarm", "auth", "authUsers", "authRoles", "members", "members_removed"];

type Bucket = BTreeMap<Vec<u8>, Vec<u8>>;

#[test]
fn a_killed_3_4_is_copied_as_it_would_start() {
    runs("3.4.23", 1);
}

#[test]
fn a_killed_3_5_is_copied_as_it_would_start() {
    runs("3.5.1", 1);
}

#[test]
fn a_killed_3_6_is_copied_as_it_would_start() {
    runs("3.6.14", 1);
}

#[test]
fn a_killed_3_7_is_copied_as_it_would_start() {
    runs("3.7.1", 1);
}

/// As its first alpha is.
#[test]
fn a_killed_3_8_is_copied_as_it_would_start() {
    runs("3.8.0", 1);
}

#[test]
fn three_killed_members_of_3_4_are_copied_as_they_would_start() {
    runs("3.4.23", 3);
}

#[test]
fn three_killed_members_of_3_5_are_copied_as_they_would_start() {
    runs("3.5.1", 3);
}

#[test]
fn three_killed_members_of_3_6_are_copied_as_they_would_start() {
    runs("3.6.14", 3);
}

#[test]
fn three_killed_members_of_3_7_are_copied_as_they_would_start() {
    runs("3.7.1", 3);
}

/// The recorded members: the version's own tool takes the copy, its SHA-256 included, and its server answers what the
/// member answered.
#[test]
fn what_was_copied_is_restored_and_served_by_etcd() {
    for version in VERSIONS {
        let tool = if version == "3.4.23" { "etcdctl" } else { "etcdutl" };
        let Some(tool) = peers::find(&format!("etcd-{version}/{tool}")) else { return };
        let home = tempfile::tempdir().unwrap();
        let cold = support::unpack(version, "cold", home.path());
        let to = home.path().join("copy.db");
        coldbolt(["copy", cold.to_str().unwrap(), to.to_str().unwrap()]).says(0, &[]);
        let (mut all, cluster) = members(version, 1, home.path());
        let member = &mut all[0];
        fs::create_dir_all(&member.home).unwrap();
        let url = cluster.split_once('=').unwrap().1;
        let restored = peers::command(&tool, &member.home)
            .env("ETCDCTL_API", "3")
            .args(["snapshot", "restore", to.to_str().unwrap(), "--data-dir", "data", "--name", "m0"])
            .args(["--initial-cluster", &cluster, "--initial-advertise-peer-urls", url])
            .output()
            .unwrap();
        assert!(restored.status.success(), "{version}: {}", String::from_utf8_lossy(&restored.stderr));
        member.start(&["--initial-cluster", &cluster]);
        member.caught_up();
        let recorded =
            fs::read(support::fixture(&format!("etcd-{version}/cold.expected.range.json"))).unwrap();
        let recorded: Value = serde_json::from_slice(&recorded).unwrap();
        let (_, answer) = member
            .client()
            .post("kv/range", &serde_json::json!({"key": "AA==", "range_end": "AA=="}))
            .unwrap();
        let text = |kvs: &Value| {
            kvs.as_array()
                .unwrap()
                .iter()
                .map(|kv| (kv["key"].clone(), kv["value"].clone()))
                .collect::<Vec<_>>()
        };
        assert_eq!(text(&answer["kvs"]), text(&recorded["kvs"]), "{version}");
        let revision = history::number(&recorded["header"]["revision"]);
        assert_eq!(history::number(&answer["header"]["revision"]), revision, "{version}");
    }
}

#[test]
fn a_running_etcd_is_left_alone_unless_a_copy_is_asked_for_all_the_same() {
    for version in VERSIONS {
        if peers::find(&format!("etcd-{version}/etcd")).is_none() {
            return;
        }
        let home = tempfile::tempdir().unwrap();
        let (mut all, cluster) = members(version, 1, home.path());
        let member = &mut all[0];
        member.start(&["--initial-cluster", &cluster]);
        member.caught_up();
        let mut client = member.client();
        let put = serde_json::json!({"key": "a2V5", "value": "dmFsdWU="});
        assert_eq!(client.post("kv/put", &put).unwrap().0, 200);
        let to = member.home.join("copy.db");
        let args = ["copy", member.data().to_str().unwrap(), to.to_str().unwrap(), "--etcd-version", version]
            .map(str::to_owned);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let started = Instant::now();
        coldbolt(&args).says(3, &["a running etcd holds its lock"]);
        assert!(started.elapsed() < Duration::from_secs(5) && !to.exists());
        // It still writes, and the copy has what was acknowledged before.
        assert_eq!(client.post("kv/put", &put).unwrap().0, 200);
        coldbolt([&args[..], &["--allow-live"]].concat()).says(0, &["in-use"]);
        assert_eq!(buckets(&to)["key"].len(), 2, "{version}");
    }
}

/// Two of three are lost for good: the third is made a cluster of its own, which has every acknowledged write and
/// takes new ones.
#[test]
fn one_survivor_of_three_serves_alone_once_the_others_are_removed() {
    for version in VERSIONS.into_iter().chain(["3.8.0"]) {
        if peers::find(&format!("etcd-{version}/etcd")).is_none() {
            return;
        }
        let home = tempfile::tempdir().unwrap();
        let (mut all, cluster) = members(version, 3, home.path());
        all.iter_mut().for_each(|member| member.start(&["--initial-cluster", &cluster]));
        all.iter_mut().for_each(Member::caught_up);
        let (key, mut revision) = ("a2V5", 0);
        let mut client = all[0].client();
        for value in 0..200 {
            let put = serde_json::json!({"key": key, "value": format!("{value:04}")});
            let (status, answer) = client.post("kv/put", &put).unwrap();
            assert_eq!(status, 200);
            revision = history::number(&answer["header"]["revision"]);
        }
        // The followers have it once they answer; the one that is left may be any that has it.
        all.iter_mut().for_each(Member::caught_up);
        all.iter_mut().for_each(Member::kill);
        let left = &mut all[1];
        let data = left.data().to_str().unwrap().to_owned();
        let list = |dir: &str| {
            let list =
                coldbolt(["member", "list", "--data-dir", dir, "--etcd-version", version, "-w", "json"]);
            let answer = list.says(0, &[]).json();
            answer["members"].as_array().unwrap().clone()
        };
        let lost = list(&data).into_iter().filter(|member| member["name"] != "m1");
        let lost: Vec<String> = lost.map(|member| member["id"].as_str().unwrap().to_owned()).collect();
        assert_eq!(lost.len(), 2, "{version}");
        let new = left.home.join("new");
        let fixed = ["--data-dir", &data, "-o", new.to_str().unwrap(), "--etcd-version", version];
        coldbolt([&["member", "remove", &lost[0], &lost[1]], &fixed[..]].concat()).says(0, &[]);
        assert_eq!(list(new.to_str().unwrap()).len(), 1);
        fs::rename(left.data(), left.home.join("old")).unwrap();
        fs::rename(&new, left.data()).unwrap();
        for again in 0..2 {
            left.start(&["--initial-cluster", &cluster]);
            left.caught_up();
            let mut client = left.client();
            let (_, answer) = client.post("kv/range", &serde_json::json!({"key": key})).unwrap();
            assert_eq!(
                (&answer["kvs"][0]["value"], history::number(&answer["header"]["revision"])),
                (&Value::from("0199"), revision + again)
            );
            let (_, answer) = client.post("cluster/member/list", &serde_json::json!({})).unwrap();
            assert_eq!(answer["members"].as_array().unwrap().len(), 1, "{version}: {answer}");
            let put = serde_json::json!({"key": "bmV3", "value": "bmV3"});
            assert_eq!(client.post("kv/put", &put).unwrap().0, 200);
            left.stop();
        }
    }
}

/// Each member of a killed cluster, from a directory made of its own: they find each other, and have what they had.
#[test]
fn members_start_from_directories_that_were_made_of_theirs() {
    for version in VERSIONS {
        if peers::find(&format!("etcd-{version}/etcd")).is_none() {
            return;
        }
        let home = tempfile::tempdir().unwrap();
        let (mut all, cluster) = members(version, 3, home.path());
        all.iter_mut().for_each(|member| {
            member.start(&["--initial-cluster", &cluster, "--backend-batch-interval", "3s"])
        });
        all.iter_mut().for_each(Member::caught_up);
        let mut client = all[0].client();
        for value in 0..50 {
            let put = serde_json::json!({"key": "a2V5", "value": format!("{value:04}")});
            assert_eq!(client.post("kv/put", &put).unwrap().0, 200);
        }
        all.iter_mut().for_each(Member::caught_up);
        all.iter_mut().for_each(Member::kill);
        for member in &all {
            let (data, new) = (member.data(), member.home.join("new"));
            coldbolt([
                "copy",
                data.to_str().unwrap(),
                new.to_str().unwrap(),
                "--as",
                "data-dir",
                "--etcd-version",
                version,
            ])
            .says(0, &[]);
            fs::rename(&data, member.home.join("old")).unwrap();
            fs::rename(&new, &data).unwrap();
        }
        all.iter_mut().for_each(|member| member.start(&["--initial-cluster", &cluster]));
        all.iter_mut().for_each(Member::caught_up);
        for member in &all {
            let (_, answer) = member.client().post("kv/range", &serde_json::json!({"key": "a2V5"})).unwrap();
            // The last ones may not have been known to be committed: they went over in the log.
            assert_eq!(answer["kvs"][0]["value"], "0049", "{version}: {answer}");
            let (_, answer) = member.client().post("cluster/member/list", &serde_json::json!({})).unwrap();
            assert_eq!(answer["members"].as_array().unwrap().len(), 3, "{version}: {answer}");
        }
        assert_eq!(
            all[2].client().post("kv/put", &serde_json::json!({"key": "bmV3", "value": "bmV3"})).unwrap().0,
            200
        );
    }
}

fn runs(version: &str, count: usize) {
    if peers::find(&format!("etcd-{version}/etcd")).is_none() {
        return;
    }
    let given =
        std::env::var("COLDBOLT_RUNS").ok().map(|runs| runs.parse().expect("COLDBOLT_RUNS is a number"));
    let mut entries = 0;
    let first = Seed::draw();
    for nth in 0..given.unwrap_or(if count > 1 { 1 } else { 2 }) {
        let seed = first.nth(nth);
        let home = tempfile::Builder::new().prefix("copy-").tempdir().unwrap().keep();
        let result = std::panic::catch_unwind(|| run(version, count, seed.0, &home));
        match result {
            Ok(applied) => entries += applied,
            Err(panic) => {
                eprintln!("{version}: the directories are kept in {}", home.display());
                std::panic::resume_unwind(panic);
            }
        }
        fs::remove_dir_all(&home).unwrap();
    }
    eprintln!("{version}: {entries} entries applied in all");
}

/// One cluster under load, killed, copied, and started again. Gives how many entries the copies gained.
fn run(version: &str, count: usize, seed: u64, home: &Path) -> u64 {
    let mut rng = Rng::of(seed);
    // One more, which joins a cluster of several later.
    let (mut all, cluster) = members(version, count + usize::from(count > 1), home);
    let mut joining = all.split_off(count);
    let joined = cluster.clone();
    let cluster = cluster.split(',').take(count).collect::<Vec<_>>().join(",");
    // Some have so little space that the server raises an alarm by itself.
    let quota =
        if rng.between(0, 3) == 0 { "--quota-backend-bytes=1500000" } else { "--quota-backend-bytes=0" };
    // How far the database may be behind.
    let interval = ["100ms", "700ms", "3s"][usize::try_from(rng.between(0, 2)).unwrap()];
    for member in &mut all {
        member.start(&[
            "--initial-cluster",
            &cluster,
            quota,
            "--backend-batch-interval",
            interval,
            "--strict-reconfig-check=false",
        ]);
    }
    all.iter_mut().for_each(Member::caught_up);
    load::prepare(&mut all[0].client());
    let shared = Shared::default();
    let (users, alive) =
        (rng.between(0, 1) == 0, Duration::from_millis(u64::try_from(rng.between(300, 2500)).unwrap()));
    std::thread::scope(|threads| {
        for at in 0..6 {
            let load = Load {
                client: all[at % count].client(),
                rng: Rng::of(seed ^ u64::try_from(at).unwrap()),
                shared: &shared,
                admin: at == 0,
                users,
                members: count > 1 && at == 0,
                base: 1000 * i64::try_from(at).unwrap() + 1000,
                leases: Vec::new(),
            };
            threads.spawn(|| load.run());
        }
        for member in &mut joining {
            let (client, shared, joined, wait) = (all[0].client(), &shared, &joined, rng.between(0, 800));
            threads.spawn(move || {
                std::thread::sleep(Duration::from_millis(u64::try_from(wait).unwrap()));
                load::join(client, member, joined, shared);
            });
        }
        std::thread::sleep(alive + Duration::from_millis(if count > 1 { 1500 } else { 0 }));
        all.iter_mut().for_each(Member::kill);
        shared.stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    joining.iter_mut().for_each(Member::kill);
    // The one that joins may not have come so far.
    all.extend(
        joining
            .into_iter()
            .filter(|member| member.db().is_file() && member.data().join("member/wal").is_dir()),
    );
    all.iter_mut().map(|member| judge(member, count > 1)).sum()
}

/// Copies the member's directory, starts the server on it, and compares.
fn judge(member: &mut Member, lonely: bool) -> u64 {
    let copy = member.home.join("copy.db");
    let output = coldbolt([
        "copy",
        member.data().to_str().unwrap(),
        copy.to_str().unwrap(),
        "--etcd-version",
        &member.version,
        "-w",
        "json",
    ]);
    let (report, said) = (output.says(0, &[]).json(), output.err);
    let fold = &report["fold"];
    let applied = ["applied", "nothing"].map(|what| fold[what].as_u64().unwrap()).iter().sum::<u64>();
    eprintln!(
        "{}: {applied} entries, {} beyond the commit index, rejected {}, revision {}",
        member.version, fold["beyond_commit"], fold["rejected"], report["revision"]
    );
    let ours = buckets(&copy);
    if lonely {
        // Without the others it applies what it knows to be committed, and no more.
        member.start(&[]);
        let deadline = support::run::deadline();
        std::thread::sleep(Duration::from_millis(2500));
        while Instant::now() < deadline
            && buckets_of_running(&member.db())
                .is_none_or(|theirs| differences(&ours, &theirs, &said).is_some())
        {
            std::thread::sleep(Duration::from_millis(300));
        }
        member.kill();
    } else {
        member.start(&[]);
        member.caught_up();
        member.stop();
    }
    let theirs = buckets(&member.db());
    if let Some(what) = differences(&ours, &theirs, &said) {
        panic!("{} {}: {what}\n{report:#}\n{said}", member.version, member.name);
    }
    applied
}

fn buckets(path: &Path) -> BTreeMap<String, Bucket> {
    let source = Source::open(path).unwrap();
    read(&source).unwrap()
}

/// A file in use may be torn.
fn buckets_of_running(path: &Path) -> Option<BTreeMap<String, Bucket>> {
    read(&Source::open(path).ok()?)
}

fn read(source: &Source) -> Option<BTreeMap<String, Bucket>> {
    let db = Db::open(source).ok()?;
    let root = db.root();
    let mut buckets = BTreeMap::new();
    for name in BUCKETS.into_iter().chain(["meta"]) {
        let mut items = Bucket::new();
        if let Some(bucket) = root.bucket(name.as_bytes()).ok()? {
            let mut cursor = bucket.cursor();
            while let Some(item) = cursor.next().ok()? {
                items.insert(item.key.to_vec(), item.value.to_vec());
            }
        }
        buckets.insert(name.to_owned(), items);
    }
    compact(&mut buckets)?;
    Some(buckets)
}

/// Finishes a compaction that was asked for: etcd does so when it starts, in its own time. Deletions at the very
/// revision are kept by some versions.
fn compact(buckets: &mut BTreeMap<String, Bucket>) -> Option<()> {
    let mark = |name: &str| {
        buckets["meta"].get(name.as_bytes()).map(|row| BucketKey::parse(row).unwrap().revision.main)
    };
    let Some(to) = mark("scheduledCompactRev").max(mark("finishedCompactRev")) else { return Some(()) };
    let mut newest: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let keys = buckets.get_mut("key")?;
    for (row, value) in keys.iter() {
        if BucketKey::parse(row).ok()?.revision.main <= to {
            newest.insert(KeyValue::decode(value).ok()?.key.to_vec(), row.clone());
        }
    }
    keys.retain(|row, value| {
        let key = BucketKey::parse(row).unwrap();
        key.revision.main > to || (!key.tombstone && newest[KeyValue::decode(value).unwrap().key] == *row)
    });
    let meta = buckets.get_mut("meta")?;
    meta.retain(|key, _| key != b"finishedCompactRev");
    meta.retain(|key, value| {
        key != b"scheduledCompactRev" || BucketKey::parse(value).unwrap().revision.main == to
    });
    Some(())
}

fn differences(
    ours: &BTreeMap<String, Bucket>,
    theirs: &BTreeMap<String, Bucket>,
    said: &str,
) -> Option<String> {
    let compaction =
        |of: &BTreeMap<String, Bucket>| of["meta"].get(b"scheduledCompactRev".as_slice()).cloned();
    if compaction(ours) != compaction(theirs) {
        return Some(format!("compaction: ours {:?}, theirs {:?}", compaction(ours), compaction(theirs)));
    }
    for name in BUCKETS {
        let (mut ours, mut theirs) = (ours[name].clone(), theirs[name].clone());
        if name == "authUsers" && said.contains("[replay-password]") {
            // Each member of 3.4 makes hashes of its own.
            ours = without_hashes(&ours);
            theirs = without_hashes(&theirs);
        }
        if name == "authRoles" && said.contains("in which order etcd keeps them depends on the Go") {
            ours = in_order(&ours);
            theirs = in_order(&theirs);
        }
        let keys = ours.keys().chain(theirs.keys());
        if let Some(key) = keys.into_iter().find(|key| ours.get(*key) != theirs.get(*key)) {
            let show = |bucket: &Bucket| {
                bucket
                    .get(key)
                    .map(|value| value.escape_ascii().to_string().chars().take(300).collect::<String>())
            };
            return Some(format!(
                "{name} {}: ours {:?}, theirs {:?}",
                key.escape_ascii(),
                show(&ours),
                show(&theirs)
            ));
        }
    }
    None
}

/// Roles with their permissions in an order that does not hang on a sort that is not stable. By key they are in order
/// as they are.
fn in_order(roles: &Bucket) -> Bucket {
    let sort = |value: &Vec<u8>| {
        let mut role = Role::decode(value.as_slice()).unwrap();
        assert!(role.key_permission.is_sorted_by_key(|permission| &permission.key));
        role.key_permission.sort_by_key(|permission| {
            (permission.key.clone(), permission.range_end.clone(), permission.perm_type)
        });
        role.encode_to_vec()
    };
    roles.iter().map(|(name, value)| (name.clone(), sort(value))).collect()
}

fn without_hashes(users: &Bucket) -> Bucket {
    let blank = |value: &Vec<u8>| {
        let mut user = User::decode(value.as_slice()).unwrap();
        if !user.password.is_empty() {
            assert!(user.password.starts_with(b"$2a$") && user.password.len() == 60);
            user.password = b"a hash".to_vec();
        }
        user.encode_to_vec()
    };
    users.iter().map(|(name, value)| (name.clone(), blank(value))).collect()
}
