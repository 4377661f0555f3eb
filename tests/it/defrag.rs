//! `coldbolt defrag` without any other program.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use coldbolt::codec::checksum::crc32c;
use serde_json::Value;
use support::buckets::{Buckets, revision};
use support::peers::strace;
use support::run::binary;
use support::{Input, Run, args, coldbolt, fixture};

use crate::copy_log::writing;

fn json(ran: &Run) -> Value {
    assert_eq!(ran.code, 0, "{}", ran.err);
    serde_json::from_slice(&ran.out).unwrap()
}

fn status(path: &Path) -> Value {
    json(&coldbolt(args!["status", path, "-w", "json"]))
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A member's directory with that database.
fn member(home: &Path, db: &[u8]) -> PathBuf {
    let snap = home.join("data/member/snap");
    fs::create_dir_all(&snap).unwrap();
    fs::write(snap.join("db"), db).unwrap();
    fs::set_permissions(snap.join("db"), fs::Permissions::from_mode(0o640)).unwrap();
    home.join("data")
}

/// A database with a compaction that is marked far beyond its end, and not begun.
fn marked(home: &Path) -> PathBuf {
    let dir = home.join("marked");
    let ran = coldbolt(args![
        "restore",
        fixture("small-3.5.1/snapshot.db"),
        "--data-dir",
        dir,
        "--bump-revision",
        "1000",
        "--mark-compacted"
    ]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    dir.join("member/snap/db")
}

#[test]
fn the_content_stays_and_no_page_is_free() {
    let temp = tempfile::tempdir().unwrap();
    for (name, trailer) in [("snapshot.db", true), ("bare.db", false)] {
        let mut bytes = fs::read(fixture("small-3.5.1/snapshot.db")).unwrap();
        bytes.truncate(bytes.len() - if trailer { 0 } else { 32 });
        let input = Input::write(temp.path(), name, &bytes);
        let new = temp.path().join(format!("new-{name}"));
        let report = json(&coldbolt(args!["defrag", input, "-o", new, "-w", "json"]));
        assert_eq!((&report["schema"], &report["trailer"]), (&"coldbolt.defrag/1".into(), &trailer.into()));
        assert!(
            report["before"]["free_bytes"].as_u64() > Some(0) && report["after"]["free_bytes"] == 0,
            "{report}"
        );
        assert_eq!(report["after"]["bytes"].as_u64(), Some(fs::metadata(&new).unwrap().len()));
        assert!(report["after"]["bytes"].as_u64() < report["before"]["bytes"].as_u64(), "{report}");
        assert_eq!(report["before"]["revisions"], report["after"]["revisions"]);
        let (before, after) = (status(&input.path), status(&new));
        for what in ["hash", "revision", "totalKey", "version"] {
            assert_eq!(before[what], after[what], "{what}");
        }
        assert_eq!(fs::metadata(&new).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(coldbolt(args!["verify", new]).code, if trailer { 0 } else { 4 });
        input.unchanged();
    }
}

#[test]
fn a_compaction_is_finished_where_no_key_is_live() {
    let temp = tempfile::tempdir().unwrap();
    // `a` was put three times and deleted, then `b` once; the compaction at 6 drops all of `a`.
    let mut all = Buckets::alone("m", "3.6.0", 20);
    for (main, version) in [(2, 1), (3, 2), (4, 3)] {
        all.kv(main, 0, "a", 2, version, 0);
    }
    all.tombstone(5, 0, "a");
    all.kv(6, 0, "b", 6, 1, 0);
    all.tombstone(7, 0, "b");
    all.put("meta", b"scheduledCompactRev", &revision(6, 0, false));
    let input = Input::write(temp.path(), "dead.db", &all.file().bytes);
    let new = temp.path().join("new.db");
    let report = json(&coldbolt(args!["defrag", input, "--live-only", "-o", new, "-w", "json"]));
    assert_eq!((&report["before"]["revisions"], &report["after"]["revisions"]), (&6.into(), &2.into()));
    // Nothing is live: etcd then hashes all that is stored.
    let mut due = crc32c(0, b"key");
    for (key, value) in all.0["key"].iter().filter(|(key, _)| **key >= revision(6, 0, false)) {
        due = crc32c(crc32c(due, key), value);
    }
    assert_eq!(report["hashkv"], due);
    assert_eq!(json(&coldbolt(args!["hashkv", new, "-w", "json"]))["hash"], due);
    coldbolt(args!["verify", new]).says(0, &[]);
    input.unchanged();
}

#[test]
fn what_was_deleted_is_not_in_the_new_file() {
    let temp = tempfile::tempdir().unwrap();
    let secret = b"a secret that was deleted";
    let input = Input::changed(temp.path(), "small-3.5.1/snapshot.db", |bytes| {
        bytes.truncate(bytes.len() - 32);
        bytes[3 * 4096 + 100..][..secret.len()].copy_from_slice(secret);
    });
    let new = temp.path().join("new.db");
    let ran = coldbolt(args!["defrag", input, "-o", new]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.text().contains("before") && ran.text().contains("after"), "{}", ran.text());
    let holds = |path: &Path| fs::read(path).unwrap().windows(secret.len()).any(|bytes| bytes == secret);
    assert!(holds(&input.path) && !holds(&new));
    input.unchanged();
}

#[test]
fn a_directorys_database_takes_the_place_of_the_old_one_with_its_mode() {
    let temp = tempfile::tempdir().unwrap();
    let bytes = fs::read(fixture("small-3.5.1/snapshot.db")).unwrap();
    let dir = member(temp.path(), &bytes[..bytes.len() - 32]);
    let db = dir.join("member/snap/db");
    let before = status(&db);
    let report = json(&coldbolt(args!["defrag", "--data-dir", dir, "-w", "json"]));
    assert_eq!(report["destination"].as_str(), db.to_str());
    assert!(fs::metadata(&db).unwrap().len() < 61_440);
    assert_eq!(fs::metadata(&db).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(names(&dir.join("member/snap")), ["db"]);
    assert_eq!(status(&db)["hash"], before["hash"]);
}

#[test]
fn a_database_in_use_is_left_alone() {
    let temp = tempfile::tempdir().unwrap();
    let bytes = fs::read(fixture("small-3.5.1/snapshot.db")).unwrap();
    let dir = member(temp.path(), &bytes[..bytes.len() - 32]);
    let db = fs::File::open(dir.join("member/snap/db")).unwrap();
    db.lock().unwrap();
    let input = Input::new(&dir);
    let ran = coldbolt(args!["defrag", "--data-dir", dir]);
    assert!(ran.code == 3 && ran.err.contains("holds its lock"), "{ran:?}");
    input.unchanged();
}

#[test]
fn a_database_whose_log_is_in_use_or_that_has_another_name_is_left_alone() {
    let temp = tempfile::tempdir().unwrap();
    let bytes = fs::read(fixture("small-3.5.1/snapshot.db")).unwrap();
    let dir = member(temp.path(), &bytes[..bytes.len() - 32]);
    let segment = dir.join("member/wal/0000000000000000-0000000000000000.wal");
    fs::create_dir(dir.join("member/wal")).unwrap();
    let log = fs::File::create(&segment).unwrap();
    let input = Input::new(&dir);
    // Closing any other handle of this process would give it back.
    rustix::fs::fcntl_lock(&log, rustix::fs::FlockOperation::LockExclusive).unwrap();
    coldbolt(args!["defrag", "--data-dir", dir]).says(3, &[".wal: is in use: a running etcd holds its lock"]);
    drop(log);
    fs::hard_link(dir.join("member/snap/db"), temp.path().join("kept.db")).unwrap();
    coldbolt(args!["defrag", "--data-dir", dir]).says(1, &["snap/db: has 2 names", "defrag FILE -o NEW"]);
    input.unchanged();
    fs::remove_file(temp.path().join("kept.db")).unwrap();
    coldbolt(args!["defrag", "--data-dir", dir]).says(0, &[]);
}

/// Killed after the new database has its place, before the old one is blanked.
#[test]
fn whoever_is_killed_while_a_database_is_replaced_leaves_both_and_the_one_that_etcd_ran_on_is_never_lost() {
    let Some(mut traced) = strace() else { return };
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("data");
    writing().files().write(&dir);
    let snap = dir.join("member/snap");
    let old = fs::read(snap.join("db")).unwrap();
    traced.arg("-P").arg(&snap).args(["-e", "trace=fsync", "-e", "inject=fsync:signal=KILL:when=1"]);
    traced.arg("-o").arg(temp.path().join("calls")).arg(binary()).args(["defrag", "--data-dir"]).arg(&dir);
    assert!(!traced.output().unwrap().status.success());
    let aside = snap.join(names(&snap).into_iter().find(|name| name.ends_with(".partial")).unwrap());
    assert!(fs::read(&aside).unwrap() == old && fs::read(snap.join("db")).unwrap() != old);
    let verified = coldbolt(args!["verify", dir]);
    assert!(verified.code == 0 && !verified.text().contains("db-aside"), "{verified}");
    // An etcd waited for the lock of the old one, ran on it, and has ended.
    let mut ran = writing();
    ran.buckets.index(22, 2);
    fs::write(&aside, ran.files().get("member/snap/db")).unwrap();
    let input = Input::new(&dir);
    let name = aside.to_str().unwrap();
    coldbolt(args!["verify", dir])
        .says(0, &["db-aside", name, "is at index 20", "at 22: etcd ran on that one"]);
    let refused = coldbolt(args!["defrag", "--data-dir", dir]);
    refused.says(1, &["snap/db: ends at raft index 20", name, "at 22: an etcd ran on that one", "move it"]);
    input.unchanged();
    fs::rename(&aside, snap.join("db")).unwrap();
    coldbolt(args!["defrag", "--data-dir", dir]).says(0, &[]);
}

#[test]
fn damage_and_what_is_in_the_way_refuse() {
    let temp = tempfile::tempdir().unwrap();
    let good = Input::new(fixture("small-3.5.1/snapshot.db"));
    let bad = Input::changed(temp.path(), "small-3.5.1/snapshot.db", |bytes| *bytes.last_mut().unwrap() ^= 1);
    let new = temp.path().join("new.db");
    let ran = coldbolt(args!["defrag", bad, "-o", new]);
    assert!(ran.code == 1 && ran.err.contains("trailer-mismatch"), "{ran:?}");
    assert_eq!(names(temp.path()), ["snapshot.db"]);
    fs::write(&new, "mine").unwrap();
    let ran = coldbolt(args!["defrag", good, "-o", new]);
    assert!(ran.code == 1 && ran.err.contains("exists already"), "{ran:?}");
    assert_eq!(fs::read(&new).unwrap(), b"mine");
    for wrong in [
        args!["defrag", good],
        args!["defrag", good, "--data-dir", "x"],
        args!["defrag"],
        args!["defrag", "--data-dir", "x", "-o", "y"],
    ] {
        assert_eq!(coldbolt(wrong).code, 2, "{wrong:?}");
    }
    good.unchanged();
    bad.unchanged();
}

#[test]
fn live_only_finishes_the_compaction_that_is_marked() {
    let temp = tempfile::tempdir().unwrap();
    let input = Input::new(marked(temp.path()));
    let (new, again) = (temp.path().join("new.db"), temp.path().join("again.db"));
    let report = json(&coldbolt(args!["defrag", input, "-o", new, "--live-only", "-w", "json"]));
    assert_eq!((&report["compacted"], &report["revision"]), (&1041.into(), &1041.into()));
    // 24 live keys and the mark at the raised revision.
    assert_eq!((&report["before"]["revisions"], &report["after"]["revisions"]), (&34.into(), &25.into()));
    assert_eq!(coldbolt(args!["hashkv", input]).text(), coldbolt(args!["hashkv", new]).text());
    let meta = |key: &str, file: &Path| coldbolt(args!["bolt", "get", file, "meta", key]).out;
    assert_eq!(meta("finishedCompactRev", &new), meta("scheduledCompactRev", &input.path));
    assert_ne!(meta("finishedCompactRev", &input.path), meta("scheduledCompactRev", &input.path));
    // Inconclusive only for want of a trailer.
    assert_eq!(coldbolt(args!["verify", new]).code, 4);
    let report = json(&coldbolt(args!["defrag", new, "-o", again, "--live-only", "-w", "json"]));
    assert!(report["notes"][0].as_str().unwrap().contains("finished already"), "{report}");
    assert_eq!(status(&new)["hash"], status(&again)["hash"]);
    input.unchanged();
}

#[test]
fn without_live_only_a_compaction_that_is_marked_stays_marked() {
    let temp = tempfile::tempdir().unwrap();
    let input = Input::new(marked(temp.path()));
    let new = temp.path().join("new.db");
    let report = json(&coldbolt(args!["defrag", input, "-o", new, "-w", "json"]));
    assert!(
        report["compacted"].is_null() && report["notes"][0].as_str().unwrap().contains("--live-only"),
        "{report}"
    );
    assert_eq!(status(&input.path)["hash"], status(&new)["hash"]);
    input.unchanged();
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let temp = tempfile::tempdir().unwrap();
    let input = Input::new(fixture("small-3.5.1/snapshot.db"));
    let write = |name: &str| {
        let new = temp.path().join(name);
        assert_eq!(coldbolt(args!["defrag", input, "-o", new]).code, 0);
        fs::read(new).unwrap()
    };
    assert!(write("one") == write("two"));
    input.unchanged();
}
