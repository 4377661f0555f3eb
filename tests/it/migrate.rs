//! `coldbolt migrate` without any other program; `tests/interop/migrate.rs` holds it against etcdutl's.

use std::fs;
use std::path::Path;

use coldbolt::etcd::request::{InternalRaftRequest, RequestHeader, VersionRequest};
use prost::Message;
use serde_json::Value;
use support::content::content;
use support::member::Member;
use support::{args, coldbolt, unpack};

/// The data directory that a stopped etcd of that version left.
fn cold(version: &str, home: &Path) -> std::path::PathBuf {
    unpack(version, "cold", home)
}

fn stated(dir: &Path) -> Option<String> {
    let content = content(&dir.join("member/snap/db"));
    content[&b"meta"[..]].get(&b"storageVersion"[..]).map(|v| String::from_utf8(v.clone()).unwrap())
}

fn migrate(dir: &Path, target: &str, more: &[&str]) -> (i32, String, String) {
    let mut words: Vec<&std::ffi::OsStr> =
        args!["migrate", "--data-dir", dir, "--target-version", target].to_vec();
    words.extend(more.iter().map(std::ffi::OsStr::new));
    let ran = coldbolt(words);
    (ran.code, String::from_utf8(ran.out.clone()).unwrap(), ran.err.clone())
}

#[test]
fn the_storage_version_changes_and_nothing_else() {
    let temp = tempfile::tempdir().unwrap();
    let dir = cold("3.6.14", temp.path());
    let db = dir.join("member/snap/db");
    let before = content(&db);
    for (target, due) in
        [("3.7", Some("3.7.0")), ("3.8", Some("3.8.0")), ("3.5", None), ("3.6", Some("3.6.0"))]
    {
        let (code, out, err) = migrate(&dir, target, &[]);
        assert_eq!((code, stated(&dir).as_deref()), (0, due), "{out}{err}");
    }
    // Up and down again: what it was.
    assert!(content(&db) == before);
}

#[test]
fn a_dry_run_and_a_version_that_is_right_already_leave_every_byte() {
    let temp = tempfile::tempdir().unwrap();
    let dir = cold("3.6.14", temp.path());
    let before = fs::read(dir.join("member/snap/db")).unwrap();
    let (code, out, err) = migrate(&dir, "3.5", &["--dry-run", "-w", "json"]);
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (code, &report["schema"], &report["before"]),
        (0, &"coldbolt.migrate/1".into(), &"3.6.0".into()),
        "{err}"
    );
    assert_eq!(report["field"], serde_json::json!(["3.6.0", null]));
    let (code, out, _) = migrate(&dir, "3.6", &[]);
    assert!(code == 0 && out.contains("the storage version is 3.6.0 already"), "{out}");
    assert!(fs::read(dir.join("member/snap/db")).unwrap() == before);
}

#[test]
fn what_there_is_no_way_to_is_refused_in_etcds_words() {
    let temp = tempfile::tempdir().unwrap();
    let dir = cold("3.7.1", temp.path());
    let before = fs::read(dir.join("member/snap/db")).unwrap();
    for (target, due, says) in [
        ("3.9", 1, r#"cannot create migration plan: version "3.9.0" is not supported"#),
        ("4.0", 1, "cannot create migration plan: changing major storage version is not supported"),
        ("3.4", 2, r#"target version "3.4" not supported. Minimal "3.5""#),
        ("3", 2, r#"wrong target version format, expected "X.Y", got "3""#),
        ("3.x", 2, "failed to parse target version"),
    ] {
        let (code, out, err) = migrate(&dir, target, &[]);
        assert!(code == due && err.contains(says), "{target}: {code} {out}{err}");
    }
    let (code, out, _) = migrate(&temp.path().join("none"), "3.6", &[]);
    assert_eq!((code, out.as_str()), (3, ""));
    assert!(fs::read(dir.join("member/snap/db")).unwrap() == before);

    let old = temp.path().join("old");
    fs::create_dir(&old).unwrap();
    let (code, _, err) = migrate(&cold("3.4.23", &old), "3.6", &["--force"]);
    assert!(code == 1 && err.contains("missing term information"), "{err}");
}

#[test]
fn what_etcd_uses_and_what_may_not_grow_is_left_as_it_is() {
    let temp = tempfile::tempdir().unwrap();
    let dir = cold("3.6.14", temp.path());
    let db = dir.join("member/snap/db");
    let before = fs::read(&db).unwrap();
    let held = fs::File::open(&db).unwrap();
    held.lock().unwrap();
    let (code, _, err) = migrate(&dir, "3.5", &[]);
    assert!(code == 3 && err.contains("is in use: a running etcd holds its lock. Stop it first\n"), "{err}");
    drop(held);

    let mut limited = std::process::Command::new("sh");
    limited.args(["-c", "ulimit -f 8; exec \"$0\" \"$@\""]).arg(support::binary());
    limited.args(args!["migrate", "--data-dir", dir, "--target-version", "3.5"]);
    support::run::run(limited).says(3, &["bytes are free in"]);
    assert!(fs::read(&db).unwrap() == before);
    let left: Vec<_> =
        fs::read_dir(dir.join("member/snap")).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(left.iter().all(|path| path.extension().is_none_or(|end| end != "partial")), "{left:?}");
}

#[test]
fn a_version_is_forced_where_there_is_no_way_to_it() {
    let temp = tempfile::tempdir().unwrap();
    let dir = cold("3.7.1", temp.path());
    let (code, out, err) = migrate(&dir, "3.9", &["--force"]);
    assert_eq!((code, stated(&dir).as_deref()), (0, Some("3.9.0")), "{err}");
    assert!(out.contains("forced: cannot create migration plan"), "{out}");
}

/// A member of 3.7 with a request in its log, at that entry, that 3.6 brought.
fn with_test_of_a_downgrade(at: u64, names: &str, home: &Path) -> std::path::PathBuf {
    let mut member = Member::good();
    member.buckets.put("meta", b"storageVersion", b"3.7.0");
    let request = InternalRaftRequest {
        header: Some(RequestHeader { id: at, ..RequestHeader::default() }),
        downgrade_version_test: Some(VersionRequest { ver: names.into() }),
        ..InternalRaftRequest::default()
    };
    member.entry(at).data = Some(request.encode_to_vec());
    let dir = home.join(format!("{at}-{names}"));
    member.files().write(&dir);
    dir
}

#[test]
fn a_log_that_an_older_etcd_cannot_read_is_in_the_way_unless_a_raft_snapshot_stands_behind_it() {
    let temp = tempfile::tempdir().unwrap();
    let dir = with_test_of_a_downgrade(12, "3.5.0", temp.path());
    let (code, _, err) = migrate(&dir, "3.5", &[]);
    let says = "the target version (3.5.0) is lower than the version (3.6.0) detected from WAL logs";
    assert!(code == 1 && err.contains(says), "{err}");
    assert_eq!(stated(&dir).as_deref(), Some("3.7.0"));
    let (code, out, _) = migrate(&dir, "3.5", &["--force"]);
    assert!(code == 0 && out.contains(says) && stated(&dir).is_none(), "{out}");

    // The version that it names counts as well.
    let dir = with_test_of_a_downgrade(12, "3.7.0", temp.path());
    let (code, _, err) = migrate(&dir, "3.6", &[]);
    assert!(code == 1 && err.contains("(3.7.0) detected"), "{err}");

    // The raft snapshot at 10 is newer.
    let dir = with_test_of_a_downgrade(9, "3.7.0", temp.path());
    let (code, _, err) = migrate(&dir, "3.5", &[]);
    assert_eq!((code, stated(&dir)), (0, None), "{err}");
}

#[test]
fn it_is_said_when_that_etcd_does_not_start_from_the_result() {
    let temp = tempfile::tempdir().unwrap();
    let dir = cold("3.6.14", temp.path());
    let (_, out, _) = migrate(&dir, "3.5", &[]);
    assert!(
        out.contains("note: etcd 3.5.0 does not start from it: the cluster agreed on version 3.6.0"),
        "{out}"
    );
}

#[test]
fn a_version_that_is_not_known_is_inconclusive_until_somebody_says_by_whose_rules_it_is_judged() {
    let temp = tempfile::tempdir().unwrap();
    let dir = cold("3.7.1", temp.path());
    migrate(&dir, "3.9", &["--force"]);
    let ran = coldbolt(args!["verify", dir]);
    assert_eq!(ran.code, 4, "{}", ran.err);
    for level in ["mvcc ", "wal ", "restore "] {
        let line = ran.text().lines().find(|line| line.trim_start().starts_with(level)).unwrap();
        assert!(line.contains("COULD NOT BE CHECKED"), "{line}");
    }
    coldbolt(args!["verify", dir, "--etcd-version", "3.8"]).says(0, &["storage version is 3.9"]);
    coldbolt(args!["verify", dir, "--assume-version", "3.8"]).says(0, &[]);

    let db = dir.join("member/snap/db");
    let restore = |name: &str, more: &[&str]| {
        let to = temp.path().join(name);
        let mut words = args!["restore", db, "--skip-hash-check", "--data-dir", to].to_vec();
        words.extend(more.iter().map(std::ffi::OsStr::new));
        coldbolt(words)
    };
    restore("refused", &[])
        .says(1, &["the source is of etcd 3.9, which is not known here", "--target-version"]);
    restore("restored", &["--target-version", "3.8"]).says(0, &["restored snapshot"]);
    assert_eq!(stated(&temp.path().join("restored")).as_deref(), Some("3.8.0"));
}

#[test]
fn a_dry_run_says_what_the_run_says_and_without_a_log_nothing_is_done() {
    let temp = tempfile::tempdir().unwrap();
    let dir = cold("3.6.14", temp.path());
    let note = "etcd 3.5.0 does not start from it: the cluster agreed on version 3.6.0";
    let (_, out, _) = migrate(&dir, "3.5", &["--dry-run"]);
    assert!(out.contains(note), "{out}");
    let (_, out, _) = migrate(&dir, "3.9", &["--dry-run", "--force"]);
    assert!(out.contains("no etcd of version 3.9.0 is known here"), "{out}");

    fs::remove_dir_all(dir.join("member/wal")).unwrap();
    let before = fs::read(dir.join("member/snap/db")).unwrap();
    let (code, _, err) = migrate(&dir, "3.5", &[]);
    assert!(code == 1 && err.contains("no log is beside it"), "{err}");
    assert!(fs::read(dir.join("member/snap/db")).unwrap() == before);
    let (code, out, _) = migrate(&dir, "3.5", &["--force"]);
    assert!(code == 0 && out.contains("forced: no log is beside it") && stated(&dir).is_none(), "{out}");
}

#[test]
fn a_log_of_no_record_is_no_log_to_write_beside() {
    let temp = tempfile::tempdir().unwrap();
    let dir = cold("3.6.14", temp.path());
    for file in fs::read_dir(dir.join("member/wal")).unwrap() {
        fs::write(file.unwrap().path(), b"").unwrap();
    }
    let db = fs::read(dir.join("member/snap/db")).unwrap();
    let (code, _, err) = migrate(&dir, "3.5", &["--force"]);
    assert!(code == 3 && err.contains("holds no record"), "{code} {err}");
    assert_eq!(fs::read(dir.join("member/snap/db")).unwrap(), db);
}
