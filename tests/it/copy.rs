//! `coldbolt copy` without any other program: what recorded members come to, where it writes, what it refuses.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use coldbolt::bolt::Db;
use coldbolt::codec::checksum::{hex, sha256};
use coldbolt::etcd::{BucketKey, Facts, KeyValue};
use coldbolt::io::Source;
use serde_json::{Value, json};
use support::{Input, Run, VERSIONS, args, coldbolt, command, fixture, unpack};

fn cold(version: &str, home: &Path) -> Input {
    Input::new(unpack(version, "cold", home))
}

fn copy(args: &[&OsStr]) -> Run {
    coldbolt([&[OsStr::new("copy")], args].concat())
}

fn recorded(version: &str, what: &str) -> Value {
    let path = fixture(&format!("etcd-{version}")).join(format!("cold.expected.{what}.json"));
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The live keys as etcdctl prints them, and what the small buckets say.
fn read(path: &Path) -> (Vec<Value>, Facts) {
    let source = Source::open(path).unwrap();
    let db = Db::open(&source).unwrap();
    let (root, mut facts, mut live) = (db.root(), Facts::default(), BTreeMap::new());
    for name in coldbolt::etcd::schema::BUCKETS {
        let bucket = root.bucket(name.as_bytes()).unwrap().unwrap();
        let mut cursor = bucket.cursor();
        while let Some(item) = cursor.next().unwrap() {
            if name != "key" {
                facts.take(name.as_bytes(), item.key, item.value).unwrap();
                continue;
            }
            let kv = KeyValue::decode(item.value).unwrap();
            if BucketKey::parse(item.key).unwrap().tombstone {
                live.remove(kv.key);
                continue;
            }
            let mut value = json!({
                "key": BASE64_STANDARD.encode(kv.key),
                "create_revision": kv.create_revision,
                "mod_revision": kv.mod_revision,
                "version": kv.version,
                "value": BASE64_STANDARD.encode(kv.value),
            });
            if kv.lease != 0 {
                value["lease"] = json!(kv.lease);
            }
            live.insert(kv.key.to_vec(), value);
        }
    }
    (live.into_values().collect(), facts)
}

#[test]
fn a_killed_member_is_copied_as_it_answered_when_it_had_started_again() {
    for version in VERSIONS {
        let home = tempfile::tempdir().unwrap();
        let (input, to) = (cold(version, home.path()), home.path().join("copy.db"));
        let ran = copy(args![&input, &to, "-w", "json"]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        input.unchanged();
        let report: Value = serde_json::from_slice(&ran.out).unwrap();
        assert_eq!(report["schema"], "coldbolt.copy/1");
        let hash = &recorded(version, "hashkv")[0]["HashKV"];
        assert_eq!(
            (&report["hashkv"], &report["revision"]),
            (&hash["hash"], &hash["header"]["revision"]),
            "{version}"
        );
        let (keys, facts) = read(&to);
        assert_eq!(json!(keys), recorded(version, "range")["kvs"], "{version}");
        let leases = recorded(version, "leases")["leases"]
            .as_array()
            .unwrap()
            .iter()
            .map(|l| l["id"].as_i64())
            .collect::<Vec<_>>();
        assert_eq!(
            facts.leases.iter().map(|lease| Some(lease.id.get())).collect::<Vec<_>>(),
            leases,
            "{version}"
        );
        let members = recorded(version, "members")["members"].clone();
        assert_eq!(facts.members.len(), members.as_array().unwrap().len());
        for (ours, theirs) in facts.members.iter().zip(members.as_array().unwrap()) {
            assert_eq!(
                (json!(ours.id.get()), json!(ours.name), json!(ours.peer_urls)),
                (theirs["ID"].clone(), theirs["name"].clone(), theirs["peerURLs"].clone())
            );
        }
        // A snapshot file as etcd makes it: the trailer is the SHA-256 of all before it.
        let bytes = fs::read(&to).unwrap();
        let (payload, trailer) = bytes.split_at(bytes.len() - 32);
        assert_eq!((sha256(payload).as_slice(), payload.len() % 512), (trailer, 0));
        assert_eq!(report["sha256"], hex(&sha256(payload)));
        let ran = coldbolt(args!["verify", &to]);
        assert_eq!(ran.code, 0, "{}{}", ran.text(), ran.err);
        // Once more, the same bytes.
        let again = home.path().join("again.db");
        assert_eq!(copy(args![&input, &again]).code, 0);
        assert!(fs::read(&again).unwrap() == bytes, "{version}: two copies differ");
    }
}

#[test]
fn the_database_alone_is_copied_with_a_word_on_what_it_lacks() {
    let home = tempfile::tempdir().unwrap();
    let input = cold("3.4.23", home.path());
    for flag in ["--no-wal", "--exact"] {
        let to = home.path().join(flag);
        let ran = copy(args![&input, &to, flag]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        let due = "the database is at index 142, the log beside it at 145: 3 entries are left behind, 3 of them known to be committed";
        assert!(ran.err.contains("warning: ") && ran.err.contains(due), "{}", ran.err);
    }
    let db = fs::read(input.path.join("member/snap/db")).unwrap();
    let exact = fs::read(home.path().join("--exact")).unwrap();
    assert!(db.starts_with(&exact[..exact.len() - 32]), "the bytes are those of the database");
    // A database by its name, with its log beside it and without.
    let db = input.path.join("member/snap/db");
    let (alone, whole) = (home.path().join("alone"), home.path().join("whole"));
    let ran = copy(args![&db, &alone]);
    assert!(ran.code == 0 && ran.err.contains("the log beside this database is not read"), "{}", ran.err);
    let ran = copy(args![&db, &whole, "--wal-dir", input.path.join("member/wal")]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let index = |path: &Path| read(path).1.consistent_index.map(|index| index.get());
    assert_eq!((index(&alone), index(&whole)), (Some(142), Some(145)));
    input.unchanged();
}

#[test]
fn a_snapshot_file_is_copied_too_and_rewritten_without_its_free_pages() {
    let (home, input) = (tempfile::tempdir().unwrap(), Input::new(fixture("etcd-3.6.14/snapshot.db")));
    let (to, exact) = (home.path().join("to"), home.path().join("exact"));
    assert_eq!(copy(args![&input, &to]).code, 0);
    assert_eq!(copy(args![&input, &exact, "--exact"]).code, 0);
    assert!(fs::read(&exact).unwrap() == fs::read(&input.path).unwrap(), "exact is exact");
    assert_eq!(read(&to).0, read(&exact).0);
    assert!(fs::metadata(&to).unwrap().len() <= fs::metadata(&exact).unwrap().len());
    input.unchanged();
}

#[test]
fn the_copy_goes_to_standard_output_if_asked_for() {
    let home = tempfile::tempdir().unwrap();
    let (input, to) = (cold("3.7.1", home.path()), home.path().join("copy.db"));
    assert_eq!(copy(args![&input, &to]).code, 0);
    // What is copied has the users' password hashes in it.
    let ran = Run::of(command(args!["copy", &input, "-"]));
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out == fs::read(&to).unwrap());
    let ran = copy(args![&input, "-", "-w", "json"]);
    assert_eq!(ran.code, 2, "{}", ran.err);
}

#[test]
fn nothing_is_overwritten_and_nothing_half_done_is_left() {
    let home = tempfile::tempdir().unwrap();
    let (input, to) = (cold("3.5.1", home.path()), home.path().join("copy.db"));
    fs::write(&to, "precious").unwrap();
    let ran = copy(args![&input, &to]);
    assert!(
        ran.code == 1 && ran.err.contains("exists already, and is never overwritten"),
        "{:?} {}",
        ran.code,
        ran.err
    );
    assert_eq!(fs::read(&to).unwrap(), b"precious");
    // A damaged log, of which nothing comes.
    let wal = input.path.join("member/wal/0000000000000000-0000000000000000.wal");
    let mut bytes = fs::read(&wal).unwrap();
    bytes[0x70] ^= 1;
    fs::write(&wal, bytes).unwrap();
    let other = home.path().join("other.db");
    let ran = copy(args![&input, &other]);
    assert!(ran.code == 1 && ran.err.contains("wal-crc"), "{:?} {}", ran.code, ran.err);
    assert!(!other.exists() && !home.path().join("other.db.partial").exists());
    let ran = copy(args![&input, home.path().join("none/copy.db")]);
    assert!(ran.err.contains("there is no directory"), "{}", ran.err);
}

/// Whatever may not be written to can be copied.
#[test]
fn a_tree_that_nobody_may_write_is_copied() {
    let home = tempfile::tempdir().unwrap();
    let input = cold("3.6.14", home.path());
    let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let paths: Vec<PathBuf> =
        ["", "member", "member/snap", "member/wal"].map(|part| input.path.join(part)).to_vec();
    let files: Vec<PathBuf> = paths
        .iter()
        .flat_map(|dir| fs::read_dir(dir).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|p| p.is_file())
        .collect();
    files.iter().for_each(|file| set(file, 0o444));
    paths.iter().rev().for_each(|dir| set(dir, 0o555));
    let input = Input::new(&input.path);
    let ran = copy(args![&input, home.path().join("copy.db")]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    input.unchanged();
    paths.iter().for_each(|dir| set(dir, 0o755));
}

/// A lock as etcd holds it while it runs.
#[test]
fn what_a_running_etcd_holds_is_refused_at_once_and_copied_if_asked_for() {
    let home = tempfile::tempdir().unwrap();
    let input = cold("3.6.14", home.path());
    let db = File::options().read(true).write(true).open(input.path.join("member/snap/db")).unwrap();
    db.lock().unwrap();
    let to = home.path().join("copy.db");
    let ran = copy(args![&input, &to]);
    assert!(
        ran.code == 3 && ran.err.contains("is in use: a running etcd holds its lock"),
        "{:?} {}",
        ran.code,
        ran.err
    );
    assert!(!to.exists());
    let ran = copy(args![&input, &to, "--allow-live"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(
        ran.err.contains("in-use") && ran.text().contains("this copy is best effort"),
        "{}{}",
        ran.text(),
        ran.err
    );
    assert_eq!(json!(read(&to).0), recorded("3.6.14", "range")["kvs"]);
    input.unchanged();
}

#[test]
fn the_manifest_has_the_digest_of_all_that_was_read_and_made() {
    let home = tempfile::tempdir().unwrap();
    let (input, to, manifest) =
        (cold("3.4.23", home.path()), home.path().join("copy.db"), home.path().join("custody.json"));
    let ran = copy(args![&input, &to, "--manifest", &manifest]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let written: Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    assert_eq!(written["schema"], "coldbolt.manifest/1");
    let custody = &written["files"][0]["evidence"];
    let fold = &custody["fold"];
    assert_eq!((&fold["first_applied"], &fold["last_applied"]), (&json!(143), &json!(145)));
    assert_eq!((&fold["revision_before"], &fold["revision_after"]), (&json!(130), &json!(133)));
    let files = custody["files"].as_array().unwrap();
    assert!(files.len() >= 2, "{custody:#}");
    for file in files {
        let bytes = fs::read(file["path"].as_str().unwrap()).unwrap();
        assert_eq!((&file["sha256"], &file["bytes"]), (&json!(hex(&sha256(&bytes))), &json!(bytes.len())));
    }
    let copy = fs::read(&to).unwrap();
    assert_eq!(custody["sha256"], hex(&sha256(&copy[..copy.len() - 32])));
}

#[test]
fn a_version_that_the_files_do_not_tell_is_asked_for_and_one_that_is_none_refused() {
    let home = tempfile::tempdir().unwrap();
    let input = cold("3.5.1", home.path());
    let ran = copy(args![&input, home.path().join("a"), "--etcd-version", "3.9"]);
    assert!(ran.code == 2 && ran.err.contains("no version from 3.4 to 3.8"), "{:?} {}", ran.code, ran.err);
    let ran = copy(args![&input, home.path().join("b"), "--etcd-version", "3.5.1"]);
    assert!(
        ran.code == 0
            && ran.err.contains("warning: ")
            && ran.err.contains("3.5.1 may have counted index 144"),
        "{}",
        ran.err
    );
    assert!(ran.text().contains("by etcd      3.5.1 (as asked for)"), "{}", ran.text());
}

#[test]
fn a_database_is_sealed_and_unsealed() {
    let home = tempfile::tempdir().unwrap();
    let cold = unpack("3.6.14", "cold", home.path());
    let db = Input::new(cold.join("member/snap/db"));
    let (sealed, back) = (home.path().join("sealed"), home.path().join("back"));
    let ran = coldbolt(args!["seal", &db, "-o", &sealed, "-w", "json"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let report: Value = serde_json::from_slice(&ran.out).unwrap();
    let bytes = fs::read(&sealed).unwrap();
    let (payload, trailer) = bytes.split_at(bytes.len() - 32);
    assert_eq!(
        (sha256(payload).as_slice(), &report["sha256"], &report["bytes"]),
        (trailer, &json!(hex(trailer)), &json!(bytes.len()))
    );
    assert!(fs::read(&db.path).unwrap().starts_with(payload));
    let ran = coldbolt(args!["verify", &sealed]);
    assert!(ran.code == 0 && !ran.err.contains("warning"), "{}{}", ran.text(), ran.err);
    let ran = coldbolt(args!["unseal", &sealed, "-o", &back]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(fs::read(&back).unwrap() == payload);
    assert!(Run::of(command(args!["seal", &back, "-o", "-"])).out == bytes);
    db.unchanged();
    // Neither does what makes no sense, and a wrong trailer is evidence.
    let none = home.path().join("none");
    for (args, due) in [
        (["seal".as_ref(), sealed.as_os_str()], "ends with a trailer already"),
        (["unseal".as_ref(), back.as_os_str()], "has no SHA-256 trailer"),
    ] {
        let ran = coldbolt([&args[..], args!["-o", &none]].concat());
        assert!(ran.code == 1 && ran.err.contains(due), "{:?} {}", ran.code, ran.err);
    }
    let mut changed = bytes.clone();
    changed[9000] ^= 1;
    fs::write(home.path().join("changed"), changed).unwrap();
    let ran = coldbolt(args!["unseal", home.path().join("changed"), "-o", &none]);
    assert!(ran.code == 1 && ran.err.contains("the trailer is"), "{:?} {}", ran.code, ran.err);
    assert!(!none.exists());
}

/// A snapshot, and the log of later: what is made at a revision is what the whole copy says of that revision.
#[test]
fn a_snapshot_is_brought_forward_by_the_log_to_a_revision_or_an_index() {
    for version in VERSIONS {
        let home = tempfile::tempdir().unwrap();
        let (input, whole) = (cold(version, home.path()), home.path().join("whole.db"));
        let base = Input::new(fixture(&format!("etcd-{version}/snapshot.db")));
        assert_eq!(copy(args![&input, &whole]).code, 0);
        let hash = |path: &Path, revision: &str| {
            coldbolt(args!["hashkv", path, "--rev", revision]).text().to_owned()
        };
        for revision in ["107", "120", "133"] {
            let to = home.path().join(revision);
            let ran =
                coldbolt(args!["replay", &input, "--base", &base, "--to-revision", revision, "-o", &to]);
            assert_eq!(ran.code, 0, "{version}: {}", ran.err);
            assert_eq!(hash(&to, "0"), hash(&whole, revision), "{version} at {revision}");
            let (keys, facts) = read(&to);
            let newest = keys.iter().map(|key| key["mod_revision"].as_i64().unwrap()).max();
            assert!(newest <= revision.parse().ok(), "{version}: {newest:?}");
            // The same by the index that it came to.
            let (index, by_index) =
                (facts.consistent_index.unwrap().to_string(), home.path().join(format!("{revision}i")));
            let ran =
                coldbolt(args!["replay", &input, "--base", &base, "--to-index", &index, "-o", &by_index]);
            assert_eq!(ran.code, 0, "{version}: {}", ran.err);
            assert!(fs::read(&to).unwrap() == fs::read(&by_index).unwrap(), "{version}");
        }
        let none = home.path().join("none");
        for (revision, due) in
            [("134", "ends at revision 133, before 134"), ("50", "at revision 106 already, past 50")]
        {
            let ran =
                coldbolt(args!["replay", &input, "--base", &base, "--to-revision", revision, "-o", &none]);
            assert!(
                ran.code == 1 && ran.err.contains(due) && !none.exists(),
                "{version}: {:?} {}",
                ran.code,
                ran.err
            );
        }
        let ran = coldbolt(args!["replay", &input, "-o", &none]);
        assert_eq!(ran.code, 2, "{}", ran.err);
        input.unchanged();
        base.unchanged();
    }
}

#[test]
fn a_snapshot_that_is_brought_forward_is_called_what_it_is_and_its_sha_256_is_compared() {
    let home = tempfile::tempdir().unwrap();
    let (input, new) = (cold("3.6.14", home.path()), home.path().join("new"));
    let base = Input::new(fixture("etcd-3.6.14/snapshot.db"));
    let replay = |base: &Input| {
        let revision = ["--to-revision", "120", "-o"].map(OsStr::new);
        coldbolt([args!["replay", &input, "--base", base], &revision, args![&new]].concat())
    };
    assert!(replay(&base).text().contains("snapshot.db (snapshot file)"));
    fs::remove_file(&new).unwrap();
    // A byte of a value: no other level of a verification would notice.
    let changed = Input::changed(home.path(), "etcd-3.6.14/snapshot.db", |bytes| {
        let at = bytes.windows(9).rposition(|nine| nine == b"/registry").unwrap();
        bytes[at] ^= 1;
    });
    replay(&changed).says(1, &["trailer-mismatch"]);
    assert!(!new.exists());
    input.unchanged();
    base.unchanged();
}

#[test]
fn where_no_log_is_applied_nothing_is_brought_to_another_place() {
    let home = tempfile::tempdir().unwrap();
    let (input, new) = (cold("3.6.14", home.path()), home.path().join("new"));
    // The log of a data directory is found in it, whatever it is applied to.
    let past = coldbolt(args!["replay", &input, "--base", &input, "--to-revision", "106", "-o", &new]);
    past.says(1, &["at revision 132 already, past 106"]);
    input.unchanged();
    fs::remove_dir_all(input.path.join("member/wal")).unwrap();
    let without = coldbolt(args!["replay", &input, "--to-revision", "106", "-o", &new]);
    without.says(1, &["there is no log that is applied to it"]);
    assert!(!new.exists());
}

#[test]
fn a_directory_of_the_same_member_is_made_and_one_without_the_others() {
    for version in VERSIONS {
        let home = tempfile::tempdir().unwrap();
        let (input, new) = (cold(version, home.path()), home.path().join("new"));
        let ran = copy(args![&input, &new, "--as", "data-dir", "--etcd-version", version]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        input.unchanged();
        let ran = coldbolt(args!["verify", &new, "-w", "json"]);
        assert_eq!(ran.code, 0, "{version}: {}{}", ran.text(), ran.err);
        let found: Value = serde_json::from_slice(&ran.out).unwrap();
        let findings =
            found["files"].as_array().unwrap().iter().flat_map(|file| file["findings"].as_array().unwrap());
        let bad: Vec<_> = findings.filter(|finding| finding["severity"] != "note").collect();
        assert!(bad.is_empty(), "{version}: {bad:?}");
        let (keys, _) = read(&new.join("member/snap/db"));
        assert_eq!(json!(keys), recorded(version, "range")["kvs"], "{version}");
        let wal = fs::metadata(new.join("member/wal/0000000000000000-0000000000000000.wal")).unwrap();
        assert_eq!((wal.len(), wal.permissions().mode() & 0o777), (64_000_000, 0o600));

        let list = |dir: &Path| {
            let ran =
                coldbolt(args!["member", "list", "--data-dir", dir, "--etcd-version", version, "-w", "json"]);
            assert_eq!(ran.code, 0, "{}", ran.err);
            serde_json::from_slice::<Value>(&ran.out).unwrap()["members"].as_array().unwrap().clone()
        };
        let own = list(&input.path)[0]["id"].as_str().unwrap().to_owned();
        let more = home.path().join("more");
        let change = |what: &[&str], dir: &Path, to: &Path| {
            let mut args = vec![OsStr::new("member")];
            args.extend(what.iter().map(OsStr::new));
            args.extend(args!["--data-dir", dir, "-o", to, "--etcd-version", version]);
            coldbolt(&args)
        };
        let ran = change(&["add", "--peer-urls", "http://10.0.0.2:2380"], &input.path, &more);
        assert_eq!(ran.code, 0, "{}", ran.err);
        let members = list(&more);
        assert_eq!(members.len(), 2, "{version}");
        let other =
            members.iter().find(|member| member["id"] != own).unwrap()["id"].as_str().unwrap().to_owned();
        let back = home.path().join("back");
        let ran = change(&["remove", &other], &more, &back);
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert_eq!(list(&back), list(&input.path));
        // Itself, one that is not there, and over what exists.
        for (what, to, due) in [
            (&own[..], "none", "removed all voters"),
            ("77", "none", "member 77: the member does not exist"),
            (&other, "back", "exists already"),
        ] {
            let ran = change(
                &["remove", what],
                if to == "back" { &more } else { &input.path },
                &home.path().join(to),
            );
            assert!(ran.code == 1 && ran.err.contains(due), "{version}: {:?} {}", ran.code, ran.err);
        }
        assert!(!home.path().join("none").exists());
        input.unchanged();
    }
    let (home, file) = (tempfile::tempdir().unwrap(), fixture("etcd-3.6.14/snapshot.db"));
    let ran = copy(args![&file, home.path().join("new"), "--as", "data-dir"]);
    assert!(
        ran.code == 1 && ran.err.contains("is made from a data directory with its log"),
        "{:?} {}",
        ran.code,
        ran.err
    );
}

#[test]
fn a_database_without_its_end_has_no_list_of_members() {
    let temp = tempfile::tempdir().unwrap();
    let input = Input::changed(temp.path(), "etcd-3.6.14/snapshot.db", |bytes| bytes.truncate(50_000));
    let ran = coldbolt(args!["member", "list", "--data-dir", input]);
    assert_eq!((ran.code, ran.text()), (1, ""));
    assert!(ran.err.contains("the file has 50000 bytes"), "{}", ran.err);
    input.unchanged();
}

#[test]
fn what_is_left_out_is_not_called_nothing() {
    let home = tempfile::tempdir().unwrap();
    let (input, new) = (cold("3.6.14", home.path()), home.path().join("new.db"));
    // The db is at 132: the last entry of the log is after it.
    coldbolt(args!["copy", &input, "-o", &new, "--to-rev", "132"])
        .shows(0, &["applied      nothing: what the log has after index 144, up to 145, is left out"]);
}
