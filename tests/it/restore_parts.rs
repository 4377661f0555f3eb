//! `coldbolt restore` of a part, of learners, past newer files, of damaged sources, onto full disks. Without any
//! other program.

use std::fs;
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::Command;

use coldbolt::io::Source;
use coldbolt::io::dest::dir::{Step, Steps};
use coldbolt::ops::restore::{Destination, RestoreOptions, restore_with};
use coldbolt::words::monitor::Quiet;
use serde_json::Value;
use support::buckets::Buckets;
use support::content::{self, Content, content};
use support::member::{Member, Record, state};
use support::{Input, Run, args, coldbolt, command, fixture, unpack};

fn snapshot() -> Input {
    Input::new(fixture("small-3.5.1/snapshot.db"))
}

fn restore(input: &Input, dir: &Path, more: &[&str]) -> Run {
    let mut args = args!["restore", input, "--data-dir", dir, "-w", "json"].to_vec();
    args.extend(more.iter().map(std::ffi::OsStr::new));
    coldbolt(&args)
}

fn json(ran: &Run) -> Value {
    assert_eq!(ran.code, 0, "{}", ran.err);
    serde_json::from_slice(&ran.out).unwrap()
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

fn says(value: &Value, what: &str) -> bool {
    texts(value).iter().any(|text| text.contains(what))
}

fn hashkv(db: &Path) -> Value {
    json(&coldbolt(args!["hashkv", db, "-w", "json"]))
}

fn write(content: &Content, to: &Path) -> Input {
    content::write(content, to);
    Input::new(to)
}

/// The fixture goes from revision 29, where it is compacted, to 41.
#[test]
fn a_revision_is_restored_with_its_history_and_nothing_after_it() {
    let (input, temp) = (snapshot(), tempfile::tempdir().unwrap());
    for at in 29..=41 {
        let dir = temp.path().join(at.to_string());
        let report = json(&restore(&input, &dir, &["--revision", &at.to_string()]));
        let db = dir.join("member/snap/db");
        let key = |content: Content| content[&b"key"[..]].clone();
        let mut due = key(content(&input.path));
        due.retain(|key, _| key[..8] <= i64::to_be_bytes(at)[..]);
        assert_eq!(key(content(&db)), due);
        let there = hashkv(&db);
        let source = json(&coldbolt(args!["hashkv", input, "--rev", at.to_string(), "-w", "json"]));
        assert_eq!((&there["hash"], &there["hashRevision"]), (&source["hash"], &at.into()), "{at}");
        assert_eq!((&report["result_hashkv"], &report["revision"]), (&there["hash"], &at.into()));
        // That the new cluster has the names of no flags is one of them.
        assert_eq!(report["advice"].as_array().unwrap().len(), 1 + usize::from(at < 41), "{report}");
        assert_eq!(coldbolt(args!["verify", dir]).code, 0);
    }
    input.unchanged();
}

#[test]
fn a_part_of_the_keys_is_compacted_at_the_last_revision() {
    let (input, temp) = (snapshot(), tempfile::tempdir().unwrap());
    let dir = temp.path().join("part");
    let report = json(&restore(&input, &dir, &["--prefix", "/app/", "--exclude-prefix", "/app/x"]));
    let db = dir.join("member/snap/db");
    let there = hashkv(&db);
    assert_eq!((&there["hashRevision"], &there["compactRevision"]), (&41.into(), &41.into()));
    assert_eq!(there["hash"], report["result_hashkv"]);
    let verified = json(&coldbolt(args!["verify", dir, "-w", "json"]));
    assert!(!verified["files"][0]["findings"].to_string().contains("revision-gap"), "{verified}");
    let (was, now) = (content(&input.path), content(&db));
    for bucket in ["lease", "auth", "authUsers", "authRoles"] {
        assert_eq!(was[bucket.as_bytes()], now[bucket.as_bytes()], "{bucket}");
    }
    let (kept, of) = (now[&b"key"[..]].len(), was[&b"key"[..]].len());
    assert!(kept > 0 && kept < of);
    assert!(says(&report["changes"], &format!("key: {kept} stored revisions of {of}")), "{report}");
    assert!(says(
        &report["changes"],
        "PART OF THE KEYSPACE: only the keys that begin with \"/app/\" and that do not begin with \"/app/x\""
    ));

    let none = json(&restore(&input, &temp.path().join("none"), &["--prefix", "/nothing"]));
    assert!(says(&none["advice"], "the restored store is empty"), "{none}");
    assert_eq!(hashkv(&temp.path().join("none/member/snap/db"))["hashRevision"], 41);
    input.unchanged();
}

#[test]
fn keys_whose_lease_is_gone_are_told() {
    let temp = tempfile::tempdir().unwrap();
    let mut all = content(&fixture("small-3.5.1/snapshot.db"));
    all.get_mut(&b"lease"[..]).unwrap().clear();
    let input = write(&all, &temp.path().join("db"));
    let report =
        json(&restore(&input, &temp.path().join("data"), &["--revision", "40", "--skip-hash-check"]));
    assert!(
        says(&report["advice"], "live keys name leases that the source no longer has (1 leases)"),
        "{report}"
    );
    input.unchanged();
}

/// Each option, rehearsed: nothing is written, and what would be is said.
#[test]
fn every_option_is_rehearsed_by_a_dry_run() {
    let (input, temp) = (snapshot(), tempfile::tempdir().unwrap());
    let newer = unpack("3.6.14", "cold", temp.path());
    let before = fs::read_dir(temp.path()).unwrap().count();
    let dir = temp.path().join("data");
    let cluster = "default=http://localhost:2380,b=http://b:2380";
    for (flags, field, due) in [
        (
            &["--revision", "35"][..],
            "changes",
            "what happened after revision 35 is left out; the source is at 41",
        ),
        (&["--prefix", "/app"], "changes", "only the keys that begin with \"/app\", 20 live ones"),
        (
            &["--exclude-prefix", "/app"],
            "changes",
            "only the keys that do not begin with \"/app\", 4 live ones",
        ),
        (&["--initial-cluster", cluster, "--learner", "b"], "changes", "members: b without a vote"),
        (&["--clear-alarms"], "changes", "members: the 1 of the source"),
        (&["--bump-revision", "7", "--mark-compacted"], "changes", "revision: 41 becomes 48"),
        (&["--bump-revision", "auto", "--mark-compacted"], "changes", "revision: 41 becomes 1000000041"),
        (
            &["--bump-revision", "auto", "--mark-compacted", "--newer", newer.to_str().unwrap()],
            "changes",
            "revision: 41 becomes 10000133",
        ),
        (
            &["--bump-revision", "auto", "--mark-compacted", "--revision", "30"],
            "changes",
            "revision: 30 becomes 1000000041",
        ),
        (&["--revision", "35"], "advice", "clients that saw revisions after 35"),
        (&["--allow-damage"], "changes", "members: the 1 of the source"),
    ] {
        let report = json(&restore(&input, &dir, &[&["--dry-run"], flags].concat()));
        assert!(report["dry_run"] == true && says(&report[field], due), "{flags:?}: {report}");
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), before, "{flags:?}");
        let table = coldbolt(
            [
                args!["restore", input, "--data-dir", dir, "--dry-run"],
                &flags.iter().map(AsRef::as_ref).collect::<Vec<_>>(),
            ]
            .concat(),
        );
        assert!(table.code == 0 && table.text().contains(due), "{}", table.text());
    }
    input.unchanged();
}

/// What `--newer` says of a file or directory.
fn raised_by(newer: &Path, temp: &Path) -> String {
    let (input, dir) = (snapshot(), temp.join("raised"));
    let newer = newer.to_str().unwrap();
    let flags = ["--dry-run", "--bump-revision", "auto", "--mark-compacted", "--newer", newer];
    json(&restore(&input, &dir, &flags))["raised"]["why"].to_string()
}

#[test]
fn a_received_snapshot_in_the_log_counts_for_how_far_the_cluster_went() {
    let temp = tempfile::tempdir().unwrap();
    let mut member = Member::good();
    let records = &mut member.segments.last_mut().unwrap().records;
    records.extend([Record::Snapshot { index: 5000, term: 2 }, state(2, 5000)]);
    let data = temp.path().join("newer");
    member.files().write(&data);
    // The database is at revision 9 and index 20.
    let why = raised_by(&data, temp.path());
    assert!(why.contains("4980 entries in its log come after it: at most 4989"), "{why}");
}

#[test]
fn a_database_that_was_received_and_is_not_in_its_place_counts_for_how_far_the_cluster_went() {
    let temp = tempfile::tempdir().unwrap();
    let data = temp.path().join("newer");
    Member::good().files().write(&data);
    let mut sent = Buckets::good();
    sent.kv(77, 0, "z", 77, 1, 0);
    fs::write(data.join("member/snap/0000000000001388.snap.db"), sent.bare().bytes).unwrap();
    // The member's own is at revision 9, and four entries come after it.
    let why = raised_by(&data, temp.path());
    assert!(why.contains("at most 13") && why.contains("1388.snap.db"), "{why}");
    assert!(why.contains("which its leader sent, is at revision 77"), "{why}");
}

#[test]
fn a_last_revision_that_does_not_decode_leaves_the_one_before_it() {
    let temp = tempfile::tempdir().unwrap();
    let mut all = Buckets::good();
    for key in [&b"zzzzzzzzz"[..], b"zzzzzzzzzz"] {
        all.put("key", key, b"");
    }
    let newer = temp.path().join("newer.db");
    fs::write(&newer, all.file().bytes).unwrap();
    let why = raised_by(&newer, temp.path());
    assert!(why.contains("newer.db is at revision 9"), "{why}");
}

/// raft knows no configuration without a voter, whichever id is the lowest.
#[test]
fn learners_come_last_in_the_log_and_have_no_vote() {
    let (input, temp) = (snapshot(), tempfile::tempdir().unwrap());
    for name in ["a", "b", "c"] {
        let dir = temp.path().join(name);
        let cluster = "a=http://a:1,b=http://b:1,c=http://c:1";
        let report = json(&coldbolt(args![
            "restore",
            input,
            "--all-members",
            dir,
            "--initial-cluster",
            cluster,
            "--learner",
            name,
            "-w",
            "json"
        ]));
        let ids = |learner: bool| -> Vec<String> {
            let members = report["members"].as_array().unwrap().iter().filter(|m| m["learner"] == learner);
            members.map(|m| m["id"].as_str().unwrap().trim_start_matches('0').to_owned()).collect()
        };
        let (voters, learners) = (ids(false), ids(true));
        assert_eq!((voters.len(), learners.len()), (2, 1), "{report}");
        let dump = coldbolt(args!["wal", "dump", dir.join("a"), "--start-index", "0"]);
        let conf: Vec<String> = dump
            .text()
            .lines()
            .filter(|line| line.contains("method="))
            .map(|line| line.split('\t').next_back().unwrap().to_owned())
            .collect();
        let due = [
            format!("method=ConfChangeAddNode id={}", voters[0]),
            format!("method=ConfChangeAddNode id={}", voters[1]),
            format!("method=ConfChangeAddLearnerNode id={}", learners[0]),
        ];
        assert_eq!(conf, due, "{}", dump.text());
        assert!(dump.text().contains(&format!("vote={}", voters[0])), "{}", dump.text());
        let snap =
            coldbolt(args!["snap", "show", dir.join("a/member/snap/0000000000000001-0000000000000003.snap")]);
        assert!(snap.text().contains(&format!("learners        {:0>16}", learners[0])), "{}", snap.text());
        let members = coldbolt(args!["bolt", "get", dir.join("a/member/snap/db"), "members", learners[0]]);
        assert!(members.text().contains("\"isLearner\":true"), "{}", members.text());
    }
    input.unchanged();
}

#[test]
fn what_was_looked_at_for_the_new_revision_is_told() {
    let (input, temp) = (snapshot(), tempfile::tempdir().unwrap());
    let newer = unpack("3.6.14", "cold", temp.path());
    let state = Input::new(&newer);
    let flags =
        ["--bump-revision", "auto", "--mark-compacted", "--newer", newer.to_str().unwrap(), input.name()];
    let ran = restore(&input, &temp.path().join("data"), &flags);
    let report = json(&ran);
    let why = texts(&report["raised"]["why"]);
    assert_eq!(why[0], "the source is at revision 41");
    assert!(
        why[1].ends_with("is at revision 132, and 1 entries in its log come after it: at most 133"),
        "{why:?}"
    );
    assert!(
        why[2].ends_with("snapshot.db is at revision 41") && why[3].starts_with("133 is the highest"),
        "{why:?}"
    );
    assert!(why.iter().all(|why| ran.err.contains(why)), "{}", ran.err);
    state.unchanged();
    input.unchanged();
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_written() {
    let (input, temp) = (snapshot(), tempfile::tempdir().unwrap());
    let dir = temp.path().join("data");
    let two = "default=http://localhost:2380,b=http://b:2380";
    for (flags, code, message) in [
        (
            &["--revision", "28"][..],
            1,
            "mvcc: required revision has been compacted: 28 was asked for, the file has revisions 29 to 41",
        ),
        (
            &["--revision", "42"],
            1,
            "mvcc: required revision is a future revision: 42 was asked for, the file has revisions 29 to 41",
        ),
        (&["--revision", "-1"], 2, ""),
        (
            &["--learner", "x"],
            2,
            "--learner \"x\": no such member in --initial-cluster=default=http://localhost:2380",
        ),
        (&["--learner", "default"], 2, "at least one must vote"),
        (&["--initial-cluster", two, "--learner", "b", "--learner", "default"], 2, "at least one must vote"),
        (&["--bump-revision", "auto"], 2, "--mark-compacted required"),
        (&["--bump-revision", "many", "--mark-compacted"], 2, "a number or auto is due"),
        (
            &["--bump-revision", "5", "--mark-compacted", "--newer", "x"],
            2,
            "--newer is for --bump-revision auto",
        ),
        (&["--bump-revision", "auto", "--mark-compacted", "--newer", "missing"], 3, "missing"),
        (&["--bump-revision", "auto", "--mark-compacted", "--newer", "."], 3, "holds no etcd data"),
    ] {
        let ran = restore(&input, &dir, flags);
        assert!(ran.code == code && ran.err.contains(message), "{flags:?}: {ran:?}");
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 0, "{flags:?}");
    }
    input.unchanged();
}

/// One broken meta page and a wrong trailer leave the content whole: it is restored, and what is wrong is said.
#[test]
fn damage_that_leaves_the_content_whole_can_be_allowed() {
    let temp = tempfile::tempdir().unwrap();
    let damaged = Input::changed(temp.path(), "small-3.5.1/snapshot.db", |bytes| bytes[4096 + 72] ^= 0xff);
    let dir = temp.path().join("data");
    let refused = restore(&damaged, &dir, &[]);
    assert!(refused.code == 1 && !dir.exists(), "{refused:?}");
    let report = json(&restore(&damaged, &dir, &["--allow-damage"]));
    for code in ["meta-invalid", "trailer-mismatch"] {
        assert!(says(&report["warnings"], code), "{report}");
    }
    let whole = temp.path().join("whole");
    json(&restore(&snapshot(), &whole, &[]));
    let key = |dir: &Path| content(&dir.join("member/snap/db"));
    assert_eq!(key(&dir), key(&whole));
    assert_eq!(coldbolt(args!["verify", dir]).code, 0);
    damaged.unchanged();
}

/// A small file system of its own. Without the right to mount one there is none.
struct Tmpfs(PathBuf);

impl Tmpfs {
    fn mount(at: &Path, size: &str) -> Option<Tmpfs> {
        fs::create_dir(at).unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(at)
            .output();
        mount.is_ok_and(|output| output.status.success()).then(|| Tmpfs(at.to_path_buf()))
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).output();
    }
}

/// 16 kB hold no database, 1 MB no log. Where no file system can be mounted, the writes fail as they would there.
#[test]
fn a_full_disk_leaves_nothing() {
    let (input, temp) = (snapshot(), tempfile::tempdir().unwrap());
    for (size, bytes) in [("16k", 16_384), ("1m", 1_048_576)] {
        let at = temp.path().join(size);
        let dir = at.join("data");
        match Tmpfs::mount(&at, size) {
            Some(_mounted) => {
                let ran = Run::of(command(args!["restore", input, "--data-dir", dir, "-w", "json"]));
                assert!(ran.code == 3 && ran.err.contains("64000000 bytes are needed; "), "{size}: {ran:?}");
                assert_eq!(fs::read_dir(&at).unwrap().count(), 0, "{size}");
                let ran = Run::of(command(args!["defrag", input, "-o", at.join("new.db")]));
                assert_eq!(ran.code, if bytes < 61_440 { 3 } else { 0 }, "{size}: {ran:?}");
                assert_eq!(fs::read_dir(&at).unwrap().count(), usize::from(bytes >= 61_440), "{size}");
            }
            None => {
                eprintln!("no file system can be mounted here: the writes are made to fail");
                let full = |step: Step, path: &Path| {
                    let last = path.extension().is_some_and(|extension| extension == "wal") || bytes < 61_440;
                    if step == Step::Write && last {
                        Err(Error::from(ErrorKind::StorageFull))
                    } else {
                        Ok(())
                    }
                };
                let destination = Destination::Member {
                    name: "default".to_owned(),
                    advertised: "http://localhost:2380".to_owned(),
                    data_dir: dir,
                    wal_dir: None,
                };
                let options = RestoreOptions::new("default=http://localhost:2380", destination);
                let source = Source::open(&input.path).unwrap();
                let done = restore_with(&source, &options, &Steps::hooked(&full), &Quiet);
                assert!(matches!(done, Err(coldbolt::Error::Output { .. })));
                assert_eq!(fs::read_dir(&at).unwrap().count(), 0, "{size}");
            }
        }
    }
    input.unchanged();
}
