//! Directories of backups, as tools lay them out.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use serde_json::Value;
use support::backup::{Backup, verify};
use support::member::Member;
use support::{Input, coldbolt_in};

fn put(dir: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn names(answer: &Value, list: &str) -> Vec<String> {
    let all = answer[list].as_array().unwrap();
    all.iter().map(|one| one["path"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_bad_backup_in_a_dated_directory_is_found_at_any_depth() {
    let dir = tempfile::tempdir().unwrap();
    let good = Backup::of(3).bytes();
    put(dir.path(), "mix/top.db", &good);
    put(dir.path(), "mix/2026-11-20/bad.db", &good[..good.len() - 4096]);
    put(dir.path(), "mix/2026/11/21/good.db", &good);
    Member::good().files().write(&dir.path().join("mix/members/m1"));
    let input = Input::new(dir.path().join("mix"));
    let (code, answer) = verify(dir.path(), &["mix"]);
    let due = ["mix/2026/11/21/good.db", "mix/2026-11-20/bad.db", "mix/members/m1", "mix/top.db"];
    assert_eq!((code, names(&answer, "files")), (1, due.map(str::to_owned).to_vec()));

    for (args, files, code) in [
        (&["--max-depth", "0"][..], &["mix/top.db"][..], 0),
        (&["--max-depth", "1", "--exclude", "m1"], &["mix/2026-11-20/bad.db", "mix/top.db"], 1),
        (&["--exclude", "2026*"], &["mix/members/m1", "mix/top.db"], 0),
        (&["--include", "2026/**/*.db"], &["mix/2026/11/21/good.db"], 0),
        (&["--include", "2026/*.db"], &[], 3),
        (&["--include", "*.db", "--exclude", "bad.db"], &["mix/2026/11/21/good.db", "mix/top.db"], 0),
        (&["--include", "m1"], &["mix/members/m1"], 0),
    ] {
        let (is, answer) = verify(dir.path(), &[&["mix"], args].concat());
        assert_eq!(
            (is, names(&answer, "files")),
            (code, files.iter().map(|f| (*f).to_owned()).collect()),
            "{args:?}"
        );
    }
    coldbolt_in(dir.path(), ["verify", "mix", "--include", "a[b"]).says(2, &["--include", "a[b"]);
    // Who names a file means it.
    coldbolt_in(dir.path(), ["verify", "mix/top.db", "--exclude", "*.db"]).says(0, &[]);
    input.unchanged();
}

#[test]
fn what_lies_beside_backups_is_passed_over_counted_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let good = Backup::of(3).bytes();
    let beside = [
        ("good.db.sha256", "checksums"),
        ("SHA256SUMS", "checksums"),
        ("old.db.manifest.json", "a manifest"),
        ("etcd.prom", "metrics"),
        ("x.db.partial", "not finished"),
        ("etcd-snapshot-node1-1642532100.part", "not finished"),
        ("verify.xml", "a report"),
        ("README.txt", "a text"),
        (".gitkeep", "hidden"),
        ("static_kuberesources_2024-05-01_120000.tar.gz", "OpenShift"),
        (".metadata/etcd-snapshot-node1", "hidden"),
    ];
    put(dir.path(), "b/good.db", &good);
    // A database is one whatever its name says.
    put(dir.path(), "b/also.json", &good);
    beside.iter().for_each(|(name, _)| put(dir.path(), &format!("b/{name}"), "text"));
    fs::create_dir_all(dir.path().join("b/2026-11-28")).unwrap();
    symlink("2026-11-28", dir.path().join("b/latest")).unwrap();
    let run = coldbolt_in(dir.path(), ["verify", "b", "-v"]);
    run.shows(0, &["PASSED OVER", "an empty directory", "a link to a directory"]);
    for (name, what) in beside {
        let name = if name.starts_with(".metadata") { ".metadata" } else { name };
        let line = run.text().lines().find(|line| line.starts_with(&format!("b/{name} ")));
        assert!(line.is_some_and(|line| line.contains(what)), "{name}: {run}");
    }
    let (code, answer) = verify(dir.path(), &["b"]);
    assert_eq!((code, names(&answer, "files").len(), names(&answer, "passed_over").len()), (0, 2, 13));
    coldbolt_in(dir.path(), ["verify", "b"])
        .shows(0, &["2 good, 0 bad, 0 inconclusive, 0 unreadable, 13 passed over"]);
}

#[test]
fn where_nothing_is_recognised_nothing_is_good() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "odd/notes.txt", "a text");
    put(dir.path(), "odd/deep/x.prom", "metrics");
    coldbolt_in(dir.path(), ["verify", "odd"]).says(3, &["odd: holds neither", "passed over: 2"]);
    // What has no known name may be a backup that cannot be read, and so may a link to one that is gone.
    put(dir.path(), "packed/a.db", Backup::of(1).bytes());
    put(dir.path(), "packed/b.db.gz", b"\x1f\x8b\x08");
    coldbolt_in(dir.path(), ["verify", "packed"]).shows(1, &["b.db.gz: packed file, BAD"]);
    put(dir.path(), "linked/a.db", Backup::of(1).bytes());
    symlink("gone.db", dir.path().join("linked/latest.db")).unwrap();
    coldbolt_in(dir.path(), ["verify", "linked"]).says(3, &["latest.db: is a link that leads nowhere"]);
    fs::create_dir(dir.path().join("linked/closed")).unwrap();
    fs::remove_file(dir.path().join("linked/latest.db")).unwrap();
    fs::set_permissions(dir.path().join("linked/closed"), fs::Permissions::from_mode(0o000)).unwrap();
    let closed = fs::read_dir(dir.path().join("linked/closed")).is_err();
    let due = if closed { 3 } else { 0 };
    coldbolt_in(dir.path(), ["verify", "linked"]).says(due, &[]);
    fs::set_permissions(dir.path().join("linked/closed"), fs::Permissions::from_mode(0o700)).unwrap();
}
