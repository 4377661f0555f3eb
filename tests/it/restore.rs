//! `coldbolt restore` without any other program: ids, bytes, messages, exit codes.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use coldbolt::codec::checksum::{hex, sha256};
use serde_json::Value;
use support::buckets::Buckets;
use support::image::Image;
use support::mutate::{Owner, PAGE, owners};
use support::{Input, Run, args, coldbolt, fixture, unpack};

const SEGMENT: &str = "member/wal/0000000000000000-0000000000000000.wal";
const SNAP: &str = "member/snap/0000000000000001-0000000000000001.snap";
const N1: [&str; 6] = [
    "--name",
    "n1",
    "--initial-cluster",
    "n1=http://127.0.0.1:23980",
    "--initial-advertise-peer-urls",
    "http://127.0.0.1:23980",
];

fn snapshot() -> Input {
    Input::new(fixture("small-3.5.1/snapshot.db"))
}

/// `restore FILE --data-dir DIR` and more.
fn restore(input: &Input, dir: &Path, more: &[&str]) -> Run {
    let mut args = args!["restore", input, "--data-dir", dir].to_vec();
    args.extend(more.iter().map(std::ffi::OsStr::new));
    coldbolt(&args)
}

/// The segment that etcd 3.5.1 wrote for this member, as `formats/wal-and-snap.md` has it, byte for byte.
#[test]
fn the_log_is_the_one_that_etcd_3_5_writes() {
    let (input, temp) = (snapshot(), tempfile::tempdir().unwrap());
    let dir = temp.path().join("data");
    let ran = restore(&input, &dir, &[&N1[..], &["--initial-cluster-token", "tok"]].concat());
    assert_eq!((ran.code, ran.text()), (0, ""), "{}", ran.err);
    let log = fs::read(dir.join(SEGMENT)).unwrap();
    assert_eq!(log.len(), 64_000_000);
    assert!(log[0x110..].iter().all(|byte| *byte == 0));
    let mut due = Vec::new();
    let id = b"\x92\x9f\xc1\xa4\xd2\x94\xd8\x9a\x68";
    due.extend_from_slice(b"\x04\0\0\0\0\0\0\x84\x08\x04\x10\0\0\0\0\0");
    due.extend_from_slice(b"\x1e\0\0\0\0\0\0\x82\x08\x01\x10\xcb\xff\xa0\xd4\x0a\x1a\x14\x08");
    due.extend_from_slice(id);
    due.extend_from_slice(b"\x10\x88\x99\xeb\xd0\xe7\x90\xe0\x81\x48\0\0");
    due.extend_from_slice(b"\x0e\0\0\0\0\0\0\x82\x08\x05\x10\xca\xba\xff\xf5\x09\x1a\x04\x08\0\x10\0\0\0");
    due.extend_from_slice(b"\x6e\0\0\0\0\0\0\x82\x08\x02\x10\xd5\xe9\xb7\x9b\x0d\x1a\x64\x08\x01\x10\x01\x18\x01\x22\x5c\x08\0\x10\0\x18");
    due.extend_from_slice(id);
    due.extend_from_slice(
        b"\x22\x4c{\"id\":7509014216109477778,\"peerURLs\":[\"http://127.0.0.1:23980\"],\"name\":\"n1\"}\0\0",
    );
    due.extend_from_slice(b"\x18\0\0\0\0\0\0\0\x08\x03\x10\xab\x89\xed\xcb\x03\x1a\x0e\x08\x01\x10");
    due.extend_from_slice(id);
    due.extend_from_slice(
        b"\x18\x01\x1c\0\0\0\0\0\0\x84\x08\x05\x10\x8b\x9d\x83\xc5\x09\x1a\x12\x08\x01\x10\x01\x1a\x0c\x08",
    );
    due.extend_from_slice(id);
    due.extend_from_slice(b"\x28\0\0\0\0\0");
    assert_eq!(log[..0x110].escape_ascii().to_string(), due.escape_ascii().to_string());
    for (path, mode) in
        [("", 0o700), ("member", 0o700), ("member/snap", 0o700), ("member/snap/db", 0o600), (SEGMENT, 0o600)]
    {
        assert_eq!(fs::metadata(dir.join(path)).unwrap().permissions().mode() & 0o777, mode, "{path}");
    }
    assert!(ran.err.contains("restored snapshot") && ran.err.contains("added member"), "{}", ran.err);
    assert!(ran.err.contains("683560a524904f92") && ran.err.contains("480380867a1acc88"), "{}", ran.err);
    input.unchanged();
}

/// SHA-256 of what the real programs wrote with all defaults.
#[test]
fn the_raft_snapshot_and_log_of_each_version_are_the_real_ones() {
    let (input, temp) = (snapshot(), tempfile::tempdir().unwrap());
    for (version, snap, used) in [
        (
            "3.4",
            "391e233526d2ed237b95d33b9d3c7975cf3db23b1913a478baacdeee4177b533",
            "f7f818ac4821ca45c21747adf3bb2839d89eb8ae06d37145fee8e89b97b5077e",
        ),
        (
            "3.5",
            "391e233526d2ed237b95d33b9d3c7975cf3db23b1913a478baacdeee4177b533",
            "f112cc7c9bc6bcc7340744926646b8d610b647a8fa9703e9904a47c071bd95fb",
        ),
        (
            "3.6",
            "5246c57d2e96e870a78cb5bb5505ff1f7b5994a59208fa172418f80477c4980f",
            "f112cc7c9bc6bcc7340744926646b8d610b647a8fa9703e9904a47c071bd95fb",
        ),
        (
            "3.7",
            "41563111c2c8a1db209ed9b231795be42e3c3861ec82c75f97d7292ea2f69a5e",
            "91ada80101e63e666d66d7912feebc1d7b140a260bc420dd0367c3e9b4db9a51",
        ),
    ] {
        let dir = temp.path().join(version);
        let ran =
            coldbolt(args!["snapshot", "restore", input, "--data-dir", dir, "--target-version", version]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert_eq!(hex(&sha256(&fs::read(dir.join(SNAP)).unwrap())), snap, "{version}");
        assert_eq!(hex(&sha256(&fs::read(dir.join(SEGMENT)).unwrap()[..4096])), used, "{version}");
    }
    input.unchanged();
}

#[test]
fn verify_finds_nothing_wrong_with_what_is_restored() {
    let (input, temp) = (snapshot(), tempfile::tempdir().unwrap());
    for version in ["3.4", "3.5", "3.6", "3.7"] {
        let dir = temp.path().join(version);
        assert_eq!(restore(&input, &dir, &["--target-version", version]).code, 0);
        let ran = coldbolt(args!["verify", dir, "-w", "json"]);
        let answer: Value = serde_json::from_slice(&ran.out).unwrap();
        assert_eq!(
            (ran.code, answer["verdict"].as_str()),
            (0, Some("good")),
            "{version}: {}{}",
            ran.text(),
            ran.err
        );
    }
    input.unchanged();
}

#[test]
fn a_dry_run_writes_nothing_and_says_what_it_would() {
    let (input, temp) = (snapshot(), tempfile::tempdir().unwrap());
    let dir = temp.path().join("data");
    let ran = restore(
        &input,
        &dir,
        &[&N1[..], &["--plan", "-w", "json", "--initial-cluster-token", "tok"]].concat(),
    );
    let report: Value = serde_json::from_slice(&ran.out).unwrap();
    assert_eq!((ran.code, fs::read_dir(temp.path()).unwrap().count()), (0, 0), "{}", ran.err);
    assert_eq!(report["schema"], "coldbolt.restore/1");
    assert_eq!(
        (&report["dry_run"], &report["target_version"], &report["revision"]),
        (&true.into(), &"3.5".into(), &41.into())
    );
    assert_eq!(
        (&report["cluster_id"], &report["members"][0]["id"]),
        (&"480380867a1acc88".into(), &"683560a524904f92".into())
    );
    assert_eq!(report["members"][0]["files"].as_array().unwrap().len(), 3);
    let start = report["members"][0]["start"].as_str().unwrap();
    assert!(
        start.starts_with("etcd --name n1 --data-dir ")
            && start.contains("--initial-cluster n1=http://127.0.0.1:23980"),
        "{start}"
    );
    let table = restore(&input, &dir, &["--dry-run"]);
    assert!(
        table.text().contains("would write") && table.text().contains("Nothing was written"),
        "{}",
        table.text()
    );
    input.unchanged();
}

#[test]
fn what_is_in_the_way_is_named_as_etcd_names_it_and_stays() {
    let (input, temp) = (snapshot(), tempfile::tempdir().unwrap());
    let (full, empty, log) = (temp.path().join("full"), temp.path().join("empty"), temp.path().join("log"));
    for dir in [&full, &empty, &log] {
        fs::create_dir(dir).unwrap();
    }
    fs::write(full.join("x"), "x").unwrap();
    let ran = restore(&input, &full, &[]);
    assert_eq!(
        (ran.code, ran.err),
        (1, format!("Error: data-dir {full:?} not empty or could not be read\n"))
    );
    assert_eq!(fs::read_dir(&full).unwrap().count(), 1);
    let ran = restore(&input, &temp.path().join("new"), &["--wal-dir", log.to_str().unwrap()]);
    assert_eq!((ran.code, ran.err), (1, format!("Error: wal-dir {log:?} exists\n")));
    let ran = restore(
        &input,
        &temp.path().join("x.etcd"),
        &["--wal-dir", temp.path().join("x.etcd/wal").to_str().unwrap()],
    );
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 3, "nothing was written");
    assert_eq!(restore(&input, &empty, &[]).code, 0);
    assert!(empty.join(SEGMENT).is_file());
    input.unchanged();
}

#[test]
fn what_does_not_fit_is_refused_in_etcds_words() {
    let (input, temp) = (snapshot(), tempfile::tempdir().unwrap());
    let dir = temp.path().join("data");
    for (flags, code, message) in [
        (&["--name", "x"][..], 2, "couldn't find local name \"x\" in the initial cluster configuration"),
        (
            &["--initial-cluster", "default=localhost:2380"],
            2,
            "URL scheme must be http, https, unix, or unixs: localhost:2380",
        ),
        (
            &["--initial-advertise-peer-urls", "http://localhost"],
            2,
            "URL address does not have the form \"host:port\": http://localhost",
        ),
        (
            &["--initial-advertise-peer-urls", "http://other:2380"],
            2,
            "--initial-cluster has default=http://localhost:2380 but missing from --initial-advertise-peer-urls=http://other:2380",
        ),
        (
            &["--initial-cluster", "default=http://localhost:2380,b=http://localhost:2380"],
            2,
            "initial cluster b=http://localhost:2380,default=http://localhost:2380 has duplicate url",
        ),
        (&["--bump-revision", "5"], 2, "--mark-compacted required if --bump-revision > 0"),
        (&["--mark-compacted"], 2, "--mark-compacted required if --bump-revision > 0"),
        (&["--bump-revision", "9223372036854775807", "--mark-compacted"], 1, "cannot be raised so far"),
        (&["--all-members", "out"], 2, "cannot be used with"),
        (&["--target-version", "3.3"], 2, "3.4"),
    ] {
        let ran = restore(&input, &dir, flags);
        assert!(ran.code == code && ran.err.contains(message), "{flags:?}: {ran:?}");
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 0, "{flags:?}");
    }
    input.unchanged();
}

#[test]
fn damage_refuses_and_a_wrong_trailer_can_be_overlooked() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("data");
    let trailer =
        Input::changed(temp.path(), "small-3.5.1/snapshot.db", |bytes| *bytes.last_mut().unwrap() ^= 1);
    let ran = restore(&trailer, &dir, &[]);
    assert!(ran.code == 1 && !dir.exists(), "{ran:?}");
    assert_eq!(
        restore(&trailer, &dir, &["--skip-hash-check=true", "--initial-memory-map-size", "1"]).code,
        0
    );
    trailer.unchanged();
    fs::remove_dir_all(&dir).unwrap();
    let page = Input::changed(temp.path(), "small-3.5.1/snapshot.db", |bytes| {
        (2..15).for_each(|page| bytes[page * 4096 + 8] ^= 0xff)
    });
    let ran = restore(&page, &dir, &["--skip-hash-check"]);
    assert!(ran.code == 1 && !dir.exists(), "{ran:?}");
    page.unchanged();
    let ran = restore(&page, &dir, &["--allow-damage"]);
    assert!(ran.code == 1 && !dir.exists(), "what cannot be read whole is not restored: {ran:?}");
}

#[test]
fn what_verify_says_of_a_restore_with_damage_allowed_is_what_restore_does() {
    let (pristine, temp) = (Image::pristine(), tempfile::tempdir().unwrap());
    let owners = owners(&pristine);
    let kinds: BTreeSet<Owner> = owners.iter().copied().collect();
    let (mut promised, mut refused) = (0, 0);
    for kind in kinds {
        let places: Vec<usize> = (0..owners.len()).filter(|at| owners[*at] == kind).collect();
        for at in [places[0], places[places.len() / 2], places[places.len() - 1]] {
            let mut image = Image::snapshot(pristine.bytes.clone());
            image.bytes[at] ^= 0x55;
            let changed = Input::write(temp.path(), "changed.db", &image.bytes);
            let verified = coldbolt(args!["verify", &changed, "-w", "json"]).json();
            let levels = verified["files"][0]["levels"].as_array().unwrap();
            let level = levels.iter().find(|level| level["level"] == "restore").unwrap();
            let detail = level["detail"].as_str().unwrap();
            let dir = temp.path().join("data");
            let ran = restore(&changed, &dir, &["--allow-damage"]);
            let due = if detail.contains("with --allow-damage it takes what can be read") {
                promised += 1;
                0
            } else if level["outcome"] == "passed" {
                0
            } else {
                assert!(detail.contains("even if damage is allowed"), "{kind:?} at {at:#x}: {detail}");
                refused += 1;
                1
            };
            assert_eq!(ran.code, due, "{kind:?} at {at:#x}: {detail}\n{}", ran.err);
            changed.unchanged();
            let _ = fs::remove_dir_all(&dir);
        }
    }
    assert!(promised > 5 && refused > 5, "{promised} promised, {refused} refused");
}

#[test]
fn a_file_of_the_greatest_transaction_is_restored_with_a_number_that_has_a_next() {
    let temp = tempfile::tempdir().unwrap();
    let mut image = Image::pristine();
    let newest = usize::from(image.u64(PAGE + 64) > image.u64(64)) * PAGE;
    image.set(newest + 64, &u64::MAX.to_le_bytes());
    let input = Input::write(temp.path(), "last.db", &image.sealed());
    assert_eq!(coldbolt(args!["verify", &input]).code, 0);
    let ran = restore(&input, &temp.path().join("data"), &[]);
    assert_eq!(ran.code, 0, "{}", ran.err);
}

#[test]
fn a_bare_database_is_refused_as_etcdutl_does_unless_it_is_meant() {
    let temp = tempfile::tempdir().unwrap();
    let bare =
        Input::changed(temp.path(), "small-3.5.1/snapshot.db", |bytes| bytes.truncate(bytes.len() - 32));
    let dir = temp.path().join("data");
    let words = "snapshot missing hash but --skip-hash-check=false. Say --skip-hash-check if it was copied";
    for command in [&["restore"][..], &["snapshot", "restore"]] {
        let run = coldbolt(command.iter().chain(&[bare.name(), "--data-dir", dir.to_str().unwrap()]));
        run.says(1, &[words]);
        assert!(!dir.exists());
    }
    // What verify promises is what restore does.
    let verified = coldbolt(args!["verify", bare]);
    let promised =
        "nothing but the missing trailer refuses a restore as etcd 3.5 at revision 41. Say --skip-hash-check";
    assert!(verified.text().contains(promised), "{verified}");
    let ran = restore(&bare, &dir, &["-w", "json", "--skip-hash-check"]);
    let report: Value = serde_json::from_slice(&ran.out).unwrap();
    assert_eq!((ran.code, &report["kind"]), (0, &"database without a trailer".into()), "{}", ran.err);
    assert!(ran.err.contains("no SHA-256 trailer"), "{}", ran.err);
    bare.unchanged();
}

#[test]
fn a_members_directory_or_its_database_leads_to_copy() {
    let temp = tempfile::tempdir().unwrap();
    let (cold, dir) = (unpack("3.6.14", "cold", temp.path()), temp.path().join("data"));
    let input = Input::new(&cold);
    for (path, code, why) in [
        (
            cold.clone(),
            3,
            "is a directory, a file is needed here: its database alone lacks the entries that only",
        ),
        (cold.join("member/snap/db"), 1, "it lacks the entries that only the log beside it has"),
    ] {
        let run = coldbolt(args!["restore", path, "--data-dir", dir]);
        run.says(code, &[why, ": `coldbolt copy` folds them in first"]);
        assert!(!dir.exists());
    }
    input.unchanged();
}

/// etcd 3.4 stores an index with the first write only, and the version that the cluster agreed on before.
#[test]
fn a_cluster_that_was_never_written_to_is_restored_for_the_version_it_agreed_on() {
    let temp = tempfile::tempdir().unwrap();
    let mut all = Buckets::alone("m", "3.4.0", 4);
    for key in ["consistent_index", "term", "confState", "storageVersion"] {
        all.remove("meta", key.as_bytes());
    }
    all.kv(2, 0, "a", 2, 1, 0);
    let input = Input::write(temp.path(), "young.db", &all.file().bytes);
    let ran = restore(&input, &temp.path().join("data"), &["-w", "json"]);
    let report: Value = serde_json::from_slice(&ran.out).unwrap();
    assert_eq!((ran.code, &report["target_version"]), (0, &"3.4".into()), "{}", ran.err);
    let (inspected, verified) = (coldbolt(args!["inspect", input]), coldbolt(args!["verify", input]));
    assert!(inspected.text().contains("version 3.4 (inferred: nothing was ever written"), "{inspected}");
    assert!(verified.text().contains("nothing refuses a restore as etcd 3.4"), "{verified}");
    input.unchanged();
}

#[test]
fn the_log_beside_a_members_database_is_missed() {
    let temp = tempfile::tempdir().unwrap();
    let member = temp.path().join("old/member");
    fs::create_dir_all(member.join("snap")).unwrap();
    fs::create_dir_all(member.join("wal")).unwrap();
    fs::write(member.join("wal/0000000000000000-0000000000000000.wal"), "").unwrap();
    fs::copy(fixture("small-3.5.1/snapshot.db"), member.join("snap/db")).unwrap();
    let input = Input::new(member.join("snap/db"));
    let ran = restore(&input, &temp.path().join("data"), &[]);
    assert!(ran.code == 0 && ran.err.contains("the log beside this database"), "{ran:?}");
    input.unchanged();
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let (input, temp) = (snapshot(), tempfile::tempdir().unwrap());
    let all = |name: &str| {
        let dir = temp.path().join(name);
        let cluster = "a=http://h:1,b=http://h:2";
        let ran = coldbolt(args!["restore", input, "--all-members", dir, "--initial-cluster", cluster]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        ["a", "b"].map(|member| {
            let read = |file: &str| fs::read(dir.join(member).join(file)).unwrap();
            (
                read("member/snap/db"),
                read(SEGMENT),
                read("member/snap/0000000000000001-0000000000000002.snap"),
            )
        })
    };
    let (one, two) = (all("one"), all("two"));
    assert!(one == two && one[0].0 == one[1].0 && one[0].1 != one[1].1 && one[0].2 == one[1].2);
    input.unchanged();
}
