//! `wal dump` and `snap show` on real members' directories, against what etcd-dump-logs 3.6.14 printed for them.

use std::fs::File;
use std::path::Path;

use coldbolt::codec::checksum::{hex, sha256};
use support::run::run;
use support::{Input, Run, VERSIONS, command, fixture, unpack};

const WAL: &str = "member/wal/0000000000000000-0000000000000000.wal";
fn asked(args: &[&str], path: &Path) -> Run {
    let command = command(args.iter().map(Path::new).chain([path]));
    if args.contains(&"--show-secrets") { Run::of(command) } else { run(command) }
}

fn answer(args: &[&str], path: &Path) -> String {
    asked(args, path).text().to_owned()
}

#[test]
fn the_dump_of_a_killed_member_is_that_of_etcd_dump_logs() {
    for version in VERSIONS {
        let temp = tempfile::tempdir().unwrap();
        let cold = unpack(version, "cold", temp.path());
        let input = Input::new(&cold);
        let output = asked(&["wal", "dump"], &cold);
        assert_eq!((output.code, output.err.as_str()), (0, ""), "{version}");
        let expected =
            std::fs::read_to_string(fixture(&format!("etcd-{version}/cold.expected.dump-logs.txt"))).unwrap();
        assert_eq!(output.text(), expected, "{version}");
        input.unchanged();
    }
}

/// SHA-256 of what etcd-dump-logs 3.6.14 prints for the flags, by version.
const ANSWERS: &[(&str, [&str; 4])] = &[
    (
        "--start-index 0",
        [
            "8bdb447a98f73d6c693e16202553ddd9c3c62b437f63002a5197827394b1b2c9",
            "342eee671cc97360fbd5342670864227e18499876f2086e8d357850458072b0f",
            "f26ddf172c692ea8d9bdbedc8c15f07eeab4f10df9047b8cfc93cf4d9960a3fe",
            "92a8800c057ff4038a4b479feca375156131e916a5f95e444608affbad569576",
        ],
    ),
    (
        "--start-index 60",
        [
            "767a248e0c8117dffaac8aab7fa42aad9a4a7270cc401fbe55c7ca022df88f3d",
            "b61378ca8ff5d98784d22408b1ebbc9e8ec0e8e7d3a1f1b09a32b4e1602f01c2",
            "552422912a7d99537e30719a653faeed879afe25e1e352fce26529e66eb994c3",
            "7e3a2478785ce23b5a9e98613f3d470cd6ab7af5c1ef25c479795ebabe287bd4",
        ],
    ),
    (
        "--raw",
        [
            "b34538fc2a52bf9d7d12355549ac992492f250879abf3f72a2e8f7b239aacad0",
            "6031b8b9cfbe98201c11c9c436050b80360db7298f0afe9707f25de0ab581106",
            "3cb9854724785eedbd059e4967315b0fa7ed6a1a08470fc5c754233feaf3aa7f",
            "03f7c465bdb557012010132d170821198a9eb284d79209ff08b94f3f13aa92ad",
        ],
    ),
    (
        "--raw --start-index 100",
        [
            "fc603c86e04e72774eaa4c5ca8318433129f7a879b531ff845e06990cc4c7875",
            "cac747e3293f6b28c16de89f58daecdfdc2eac770ea9c098cedc467c65d1bfef",
            "e0c10c77cd46db9ea13af61f2120657d538aa10c62b403bc57934a0432415fd9",
            "e3321300724704cd68abd1a4ee3d2af430d76316b0f650f420245d5da442361b",
        ],
    ),
    (
        "--entry-type IRRTxn,ConfigChange --start-index 0",
        [
            "60da4e6647104267bdd222a89e02fd0b9d4e0525b258d5010d5879d77b0d981b",
            "79acc06bbc18a967c5f8efecb15a5f51838e14ec2046b900ad244e058f6e5e26",
            "c8199597f94bb5c099608593f75812dd2ec35e4de347904b701d228218442522",
            "d69b833cd0c9d9d2c2be7cfabc02527ef392a5cb0b39d147159704f6c340e1cb",
        ],
    ),
    (
        "--entry-type Request --start-index 0",
        [
            "4cef107efeefb3ae39968b349fb0604b53100d6a6548d51bb8903e79e9a05840",
            "72df4e18757c2eba78b7d95e0a2f08b3a8e3d79fb5837b02b3a479aa31efbfa5",
            "e4af96147c790e7a4602570bab59379ad52b82ecad422384c5a7c876d8de0458",
            "206a5d271bef7bb9777f4c3cdd18efc85f8e9ae5a30e51af6bcc351526e528e6",
        ],
    ),
    (
        "--start-snap 0000000000000002-000000000000003d.snap",
        [
            "a0696aeef4a9dcbd2c7bb89c76bf715a03059ad7f7279cab9e0ca3d62d4ef2a1",
            "e3c716aeef8df7280af44c95a9387b666440dc6502be3574b8d4fca7d000ba5c",
            "9b1341754a110797a0ad1ed53ee477b9d908ceb6f431ef0cde140c47d8aa862d",
            "18c14344cbc29881610902db24040c34824d49cc8fb6331c0ad931bdf45f4190",
        ],
    ),
];

#[test]
fn every_flag_gives_the_bytes_that_etcd_dump_logs_gives() {
    for (at, version) in VERSIONS.iter().enumerate() {
        let temp = tempfile::tempdir().unwrap();
        let cold = unpack(version, "cold", temp.path());
        for (flags, answers) in ANSWERS {
            let args: Vec<&str> =
                ["wal", "dump", "--show-secrets"].into_iter().chain(flags.split(' ')).collect();
            let output = asked(&args, &cold);
            assert_eq!((output.code, output.err.as_str()), (0, ""), "{version} {flags}");
            assert_eq!(hex(&sha256(&output.out)), answers[at], "{version} {flags}");
        }
    }
}

#[test]
fn a_cleanly_stopped_member_dumps_too_in_every_form() {
    for version in VERSIONS {
        let temp = tempfile::tempdir().unwrap();
        let clean = unpack(version, "clean", temp.path());
        let output = asked(&["wal", "dump", "--start-index", "0"], &clean);
        assert_eq!((output.code, output.err.as_str()), (0, ""), "{version}");
        let text = output.text();
        assert!(!text.contains("???"), "{version}: an entry does not decode");
        let entries: usize =
            text.lines().find_map(|line| line.strip_prefix("WAL entries: ")).unwrap().parse().unwrap();
        assert!(entries >= 145, "{version}: {entries} entries");

        let lines = answer(&["wal", "dump", "--start-index", "0", "-w", "ndjson"], &clean);
        let rows: Vec<serde_json::Value> =
            lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(rows.iter().filter(|row| row["type"] == "entry").count(), entries);
        let put = rows.iter().find(|row| row["request"]["put"].is_object()).unwrap();
        assert_eq!(put["request"]["header"]["id"].as_str().unwrap().len(), 16);
        let document: serde_json::Value =
            serde_json::from_str(&answer(&["wal", "dump", "--raw", "-w", "json"], &clean)).unwrap();
        assert_eq!(
            document["rows"].as_array().unwrap().iter().filter(|row| row["record_type"] == "entry").count(),
            entries
        );
        assert_eq!(document["findings"], serde_json::json!([]));
    }
}

#[test]
fn password_hashes_are_shown_only_when_asked_for() {
    let temp = tempfile::tempdir().unwrap();
    let cold = unpack("3.6.14", "cold", temp.path());
    for form in [
        &["--start-index", "0"][..],
        &["--raw"],
        &["--start-index", "0", "-w", "json"],
        &["--raw", "-w", "ndjson"],
    ] {
        let args: Vec<&str> = ["wal", "dump"].into_iter().chain(form.iter().copied()).collect();
        let hidden = answer(&args, &cold);
        let shown = answer(&[&args[..], &["--show-secrets"]].concat(), &cold);
        // bcrypt, in base64: "$2a$" is "JDJhJ".
        assert!(!hidden.contains("JDJhJ") && hidden.contains("<redacted>"), "{form:?}");
        assert!(shown.contains("JDJhJ") && !shown.contains("<redacted>"), "{form:?}");
    }
}

#[test]
fn indexes_bound_the_entries_after_and_before() {
    let temp = tempfile::tempdir().unwrap();
    let cold = unpack("3.5.1", "cold", temp.path());
    let text = answer(&["wal", "dump", "--start-index", "60", "--end-index", "63"], &cold);
    let indexes: Vec<&str> = text.lines().filter_map(|line| line.split('\t').nth(1)).map(str::trim).collect();
    assert_eq!(indexes, ["index", "61", "62"]);
    assert!(text.contains("WAL entries: 2\nlastIndex=62\n") && text.ends_with("count is : 2\n"));
}

#[test]
fn a_wal_may_be_named_by_any_of_its_directories_or_alone() {
    let temp = tempfile::tempdir().unwrap();
    let cold = unpack("3.5.1", "cold", temp.path());
    let whole = answer(&["wal", "dump"], &cold);
    for path in ["member", "member/wal"] {
        assert_eq!(asked(&["wal", "dump"], &cold.join(path)).text(), whole, "{path}");
    }
    let elsewhere = temp.path().join("wal");
    std::fs::rename(cold.join("member/wal"), &elsewhere).unwrap();
    assert_eq!(asked(&["wal", "dump", "--wal-dir", elsewhere.to_str().unwrap()], &cold).text(), whole);
    let alone = asked(&["wal", "dump"], &elsewhere.join("0000000000000000-0000000000000000.wal"));
    assert!(alone.text().contains("WAL entries: 145\n"), "{}", alone.err);
}

#[test]
fn damage_prints_what_is_before_it_and_then_says_where() {
    let temp = tempfile::tempdir().unwrap();
    let cold = unpack("3.6.14", "cold", temp.path());
    let whole = answer(&["wal", "dump", "--start-index", "0"], &cold);
    let path = cold.join(WAL);
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(8).position(|piece| piece == b"value-3-").unwrap();
    bytes[at] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let output = asked(&["wal", "dump", "--start-index", "0"], &cold);
    assert_eq!(output.code, 1);
    let text = output.text();
    let rows = |text: &str| {
        text.lines()
            .filter(|line| line.contains("\tnorm\t") || line.contains("\tconf\t"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(rows(text).len(), 7, "the first value-3- is in the eighth entry");
    assert_eq!(rows(text), rows(&whole)[..7]);
    let said = output.err;
    assert!(
        said.starts_with("damage: ")
            && said.contains(WAL)
            && said.contains("byte 0x")
            && said.contains("[wal-crc]"),
        "{said}"
    );
    assert!(said.contains("its checksum is") && said.contains("its data gives"), "{said}");

    let raw = asked(&["wal", "dump", "--raw"], &cold);
    assert_eq!(raw.code, 1);
    assert!(raw.text().ends_with("EOF: All entries were processed.\n"));
    assert_eq!(raw.err.lines().count(), 1, "one byte, one finding: {}", raw.err);
}

#[test]
fn a_torn_tail_is_a_warning_and_a_missing_file_is_exit_code_3() {
    let temp = tempfile::tempdir().unwrap();
    let cold = unpack("3.5.1", "cold", temp.path());
    let path = cold.join(WAL);
    let bytes = std::fs::read(&path).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    File::options().write(true).open(&path).unwrap().set_len(used as u64 - 4).unwrap();
    let output = asked(&["wal", "dump"], &cold);
    assert_eq!(output.code, 0, "{}", output.err);
    assert!(output.err.starts_with("warning: ") && output.err.contains("[wal-torn]"), "{}", output.err);
    let raw = answer(&["wal", "dump", "--raw"], &cold);
    assert!(
        raw.ends_with("error: unexpected EOF.\n") || raw.contains("max entry size limit exceeded"),
        "{}",
        raw.lines().last().unwrap()
    );

    assert_eq!(asked(&["wal", "dump"], Path::new("/nonexistent")).code, 3);
    assert_eq!(asked(&["wal", "dump"], &cold.join("member/snap")).code, 3);
    assert_eq!(asked(&["wal", "dump", "--entry-type", "Nonsense"], &cold).code, 2);
    assert_eq!(asked(&["snap", "show"], Path::new("/nonexistent")).code, 3);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let temp = tempfile::tempdir().unwrap();
    let cold = unpack("3.5.1", "cold", temp.path());
    let mut child = command(["wal", "dump", "--start-index", "0", "-w", "ndjson"])
        .arg(&cold)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn an_unreadable_newest_snapshot_is_passed_over() {
    let temp = tempfile::tempdir().unwrap();
    let cold = unpack("3.6.14", "cold", temp.path());
    let newest = cold.join("member/snap/0000000000000002-000000000000007a.snap");
    let mut bytes = std::fs::read(&newest).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&newest, bytes).unwrap();
    let output = asked(&["wal", "dump"], &cold);
    assert!(output.text().starts_with("Snapshot:\nterm=2 index=61 "), "{}", output.text());
    assert_eq!(output.code, 1);
    assert!(output.err.contains("[snap-crc]"));
    assert!(newest.exists(), "etcd-dump-logs renames it, this does not");
    let shown = asked(&["snap", "show"], &newest);
    assert_eq!((shown.code, shown.text()), (1, ""));
}

#[test]
fn snap_show_tells_where_it_was_taken_and_who_was_a_member() {
    for version in VERSIONS {
        let temp = tempfile::tempdir().unwrap();
        let cold = unpack(version, "cold", temp.path());
        let file = cold.join("member/snap/0000000000000002-000000000000007a.snap");
        let output = asked(&["snap", "show", "-w", "json"], &file);
        assert_eq!(output.code, 0, "{}", output.err);
        let shown: serde_json::Value = serde_json::from_slice(&output.out).unwrap();
        assert_eq!((&shown["term"], &shown["index"]), (&2.into(), &122.into()));
        let series = version.rsplit_once('.').unwrap().0;
        assert_eq!(shown["cluster_version"], format!("{series}.0"));
        let member = &shown["members"][0];
        assert_eq!(member["name"], "m1");
        assert_eq!(shown["conf_state"]["voters"][0], member["id"]);
        assert!(member["peer_urls"][0].as_str().unwrap().starts_with("http://127.0.0.1:"));
        let text = answer(&["snap", "show"], &file);
        assert!(
            text.contains("index           122\n") && text.contains(member["id"].as_str().unwrap()),
            "{text}"
        );
    }
}
