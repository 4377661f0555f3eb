//! What is judged of a directory, as its owner sees it: logs kept elsewhere, databases that the log makes whole, ends
//! of a log that some versions do not take.

use std::fs;

use serde_json::Value;

use support::member::Member;
use support::{VERSIONS, args, coldbolt};

const BESIDE: &str = "elsewhere";

#[test]
fn a_log_that_is_kept_elsewhere_is_named_and_without_it_nothing_is_called_good() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    Member::good().files().write(&data);
    let wal = home.path().join(BESIDE);
    fs::rename(data.join("member/wal"), &wal).unwrap();
    let without = coldbolt(args!["verify", &data]);
    assert_eq!(without.code, 4, "{without}");
    assert!(without.text().contains("if it is kept elsewhere, say --wal-dir"), "{without}");
    assert!(!without.text().contains("good at levels identity, pages, mvcc, wal"), "{without}");
    let alone = coldbolt(args!["rank", &data]);
    assert!(alone.code != 0 && !alone.text().contains("it is whole"), "{alone}");

    let with = coldbolt(args!["verify", &data, "--wal-dir", &wal]);
    assert!(with.code == 0 && with.text().contains("2 segments, 24 entries"), "{with}");
    let inspected = coldbolt(args!["inspect", &data, "--wal-dir", &wal]);
    assert!(inspected.text().contains("0000000000000001-000000000000000f.wal"), "{inspected}");
    let ranked = coldbolt(args!["rank", &data, "--wal-dir", &wal]);
    assert!(ranked.code == 0 && ranked.text().contains("best: "), "{ranked}");
    let to = home.path().join("at.db");
    let replayed = coldbolt(args!["replay", &data, "--wal-dir", &wal, "--to-index", "22", "-o", &to]);
    assert_eq!(replayed.code, 0, "{replayed}");

    let file = coldbolt(args!["verify", &to, "--wal-dir", &wal]);
    assert_eq!(file.code, 2, "a file has no log: {file}");
    assert_eq!(coldbolt(args!["rank", &data, &data, "--wal-dir", &wal]).code, 2);
}

#[test]
fn a_database_behind_its_raft_snapshot_is_copied_where_the_log_has_the_rest() {
    let home = tempfile::tempdir().unwrap();
    let (data, to) = (home.path().join("data"), home.path().join("copy.db"));
    let mut member = Member::good();
    member.buckets.index(8, 1);
    member.files().write(&data);
    let verified = coldbolt(args!["verify", &data]);
    assert_eq!(verified.code, 1, "etcd does not start from it: {verified}");
    assert!(verified.err.contains("the log has the entries 9 to 10: nothing is lost"), "{verified}");
    let copied = coldbolt(args!["copy", &data, &to, "-w", "json"]);
    assert_eq!((copied.code, &copied.json()["consistent_index"]), (0, &24.into()), "{copied}");
    // Without those entries it is not.
    fs::remove_file(data.join("member/wal/0000000000000000-0000000000000000.wal")).unwrap();
    let refused = coldbolt(args!["copy", &data, home.path().join("none.db")]);
    assert!(refused.code == 1 && !home.path().join("none.db").exists(), "{refused}");
}

#[test]
fn garbage_behind_the_log_is_told_with_the_etcds_that_do_not_start_on_it() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let mut files = Member::good().files();
    let path = files.last_wal();
    let end = *files.frames(&path).last().unwrap();
    files.get(&path)[end..end + 8].copy_from_slice(&0x0013_3713_3713_3713u64.to_le_bytes());
    files.write(&data);
    let run = coldbolt(args!["verify", &data]);
    assert_eq!(run.code, 0, "{run}");
    assert!(run.err.contains("etcd 3.4.0 to 3.5.6 do not start with it"), "{run}");
    assert!(run.err.contains("with --as data-dir"), "{run}");
}

#[test]
fn no_etcd_starts_from_a_database_behind_the_raft_snapshot_unless_the_leaders_is_beside_it() {
    let home = tempfile::tempdir().unwrap();
    for version in VERSIONS {
        let directory = support::unpack(version, "cold", &home.path().join(version));
        let snap = directory.join("member/snap");
        fs::rename(snap.join("db"), home.path().join("newer.db")).unwrap();
        fs::copy(support::fixture(&format!("etcd-{version}/snapshot.db")), snap.join("db")).unwrap();
        let panics = |starts: &Value| {
            let why = starts["refuses"].as_str();
            why.is_some_and(|why| {
                why.contains("is at index 118, the raft snapshot that it begins at is at 122")
            })
        };
        let asked = || {
            let verify = coldbolt(["verify", directory.to_str().unwrap(), "-w", "json"]);
            let starts = verify.json()["files"][0]["starts"].as_array().unwrap().clone();
            assert_eq!(starts.len(), 5, "{verify}");
            starts.iter().filter(|starts| panics(starts)).count()
        };
        assert_eq!(asked(), 5, "{version}");
        fs::rename(home.path().join("newer.db"), snap.join("000000000000007a.snap.db")).unwrap();
        assert_eq!(asked(), 0, "{version}");
    }
}
