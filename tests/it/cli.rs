//! The commands as a person runs them, on what real etcds of four versions left, against those etcds' own answers.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use base64::Engine;
use coldbolt::bolt::Db;
use coldbolt::bolt::writer::Options;
use coldbolt::etcd::{BucketKey, KeyValue, Revision};
use coldbolt::io::Source;
use serde_json::Value;
use support::content::database;
use support::run::run;
use support::{Input, VERSIONS, coldbolt, command, fixture, unpack};

fn snapshot(version: &str) -> Input {
    Input::new(fixture(&format!("etcd-{version}/snapshot.db")))
}

/// A recorded answer.
fn recorded(version: &str, name: &str) -> String {
    fs::read_to_string(fixture(&format!("etcd-{version}/{name}"))).unwrap()
}

fn recorded_json(version: &str, name: &str) -> Value {
    serde_json::from_str(&recorded(version, name)).unwrap()
}

/// `3.5.1` as `--compat` wants it.
fn compat(version: &str) -> &str {
    &version[..3]
}

#[test]
fn status_as_json_is_what_the_tool_of_that_version_prints() {
    for version in VERSIONS {
        let input = snapshot(version);
        let due = recorded(version, "snapshot.expected.status.json");
        let args = ["status", input.name(), "-w", "json", "--compat", compat(version)];
        assert_eq!(coldbolt(args).good(), due);
        assert_eq!(coldbolt(["snapshot"].into_iter().chain(args)).good(), due);
        input.unchanged();
    }
}

#[test]
fn status_says_the_same_in_every_format() {
    for version in VERSIONS {
        let input = snapshot(version);
        let due = recorded_json(version, "snapshot.expected.status.json");
        let number = |name: &str| due[name].as_u64().unwrap();
        let (hash, keys, bytes) = (number("hash"), number("totalKey"), number("totalSize"));
        let ask = |format: &str| {
            coldbolt(["status", input.name(), "-w", format, "--compat", compat(version)]).good().to_owned()
        };
        let size = format!("{} kB", (bytes as f64 / 1000.0).round());
        let stated = due.get("version").map(|v| v.as_str().unwrap());

        let tail = stated.map_or(String::new(), |v| format!(", {v}"));
        assert_eq!(ask("simple"), format!("{hash:x}, 106, {keys}, {size}{tail}\n"));
        let tail = stated.map_or(String::new(), |v| format!("\"Version\" : {v}\n"));
        assert_eq!(
            ask("fields"),
            format!("\"Hash\" : {hash}\n\"Revision\" : 106\n\"Keys\" : {keys}\n\"Size\" : {bytes}\n{tail}")
        );
        let table = ask("table");
        for cell in [
            "HASH",
            "REVISION",
            "TOTAL KEYS",
            "TOTAL SIZE",
            &format!("{hash:x}"),
            "106",
            &keys.to_string(),
            &size,
        ] {
            assert!(table.contains(&format!(" {cell} ")), "{cell} is not in {table}");
        }
        assert_eq!(table.contains("VERSION"), stated.is_some(), "{table}");
        input.unchanged();
    }
}

#[test]
fn hashkv_is_what_etcdutl_prints() {
    for version in VERSIONS {
        let input = snapshot(version);
        let due = recorded(version, "snapshot.expected.hashkv.json");
        assert_eq!(coldbolt(["hashkv", input.name(), "-w", "json"]).good(), due);
        let due: Value = serde_json::from_str(&due).unwrap();
        let [hash, revision, compact] =
            ["hash", "hashRevision", "compactRevision"].map(|name| due[name].as_i64().unwrap());
        assert_eq!(coldbolt(["hashkv", input.name()]).good(), format!("{hash}, {revision}, {compact}\n"));
        input.unchanged();
    }
}

#[test]
fn library_and_command_say_the_same_of_a_text_file() {
    use coldbolt::store::{HashKvOptions, Store, StoreOptions, hashkv};
    use coldbolt::words::cause::Cause;
    use coldbolt::words::kind::{FileKind, Foreign};
    use coldbolt::words::monitor::Quiet;
    let text = Input::new(fixture("README.md"));
    let source = Source::open(&text.path).unwrap();
    let errors = [
        coldbolt::ops::status(&source, &Quiet).unwrap_err(),
        hashkv(&source, &HashKvOptions::default(), &Quiet).unwrap_err(),
        Store::open(&source, &StoreOptions::default(), &Quiet).map(drop).unwrap_err(),
    ];
    for error in errors {
        let coldbolt::Error::Unreadable { cause: Cause::NotThis { is, due, .. }, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!((*is, *due), (FileKind::Foreign(Foreign::Text), FileKind::Bolt));
        for command in ["status", "hashkv", "keys"] {
            coldbolt([command, text.name()]).says(3, &[&format!("Error: {error}")]);
        }
    }
    let absent = Source::open(Path::new("/nowhere")).unwrap_err();
    let coldbolt::Error::Unreadable { cause: Cause::Io(why), .. } = absent else { panic!("{absent}") };
    assert_eq!(why.kind(), std::io::ErrorKind::NotFound);
    text.unchanged();
}

/// The last revision that the recorded answers of a member know.
const LAST: i64 = 133;

#[test]
fn the_database_of_a_stopped_member_hashes_as_the_member_did() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().unwrap();
        let db = unpack(version, "clean", dir.path()).join("member/snap/db");
        let input = Input::new(db);
        let due = recorded_json(version, "cold.expected.hashkv.json");
        let (hash, compact) = (&due[0]["HashKV"]["hash"], &due[0]["HashKV"]["compact_revision"]);
        let run = coldbolt(["hashkv", input.name(), "--rev", &LAST.to_string()]);
        assert_eq!(run.good(), format!("{hash}, {LAST}, {compact}\n"));
        input.unchanged();
    }
}

/// Users' keys as a member served them: key to create revision, mod revision, version, value and lease.
type Served = BTreeMap<Vec<u8>, (i64, i64, i64, Vec<u8>, i64)>;

fn served(version: &str) -> Served {
    let answer = recorded_json(version, "cold.expected.range.json");
    let bytes = |text: &Value| {
        base64::engine::general_purpose::STANDARD.decode(text.as_str().unwrap_or_default()).unwrap()
    };
    let number = |n: &Value| n.as_i64().unwrap_or(0);
    let kvs = answer["kvs"].as_array().unwrap().iter();
    kvs.map(|kv| {
        let revisions = (number(&kv["create_revision"]), number(&kv["mod_revision"]), number(&kv["version"]));
        (
            bytes(&kv["key"]),
            (revisions.0, revisions.1, revisions.2, bytes(&kv["value"]), number(&kv["lease"])),
        )
    })
    .collect()
}

/// Every key that was served, if it was put at or before the database's last revision, is stored there as it was
/// served.
fn holds_what_was_served(db: &Path, last: i64, served: &Served) {
    let source = Source::open(db).unwrap();
    let db = Db::open(&source).unwrap();
    let keys = db.root().bucket(b"key").unwrap().unwrap();
    for (key, (create, revision, version, value, lease)) in
        served.iter().filter(|(_, served)| served.1 <= last)
    {
        let stored = (0..8).find_map(|sub| {
            let row = BucketKey { revision: Revision { main: *revision, sub }, tombstone: false };
            keys.get(&row.to_bytes()).unwrap().filter(|stored| KeyValue::decode(stored).unwrap().key == key)
        });
        let stored = stored.unwrap_or_else(|| panic!("{} at {revision} is not stored", key.escape_ascii()));
        let kv = KeyValue::decode(&stored).unwrap();
        let read = (kv.create_revision, kv.mod_revision, kv.version, kv.value, kv.lease);
        assert_eq!(read, (*create, *revision, *version, value.as_slice(), *lease), "{}", key.escape_ascii());
    }
}

/// What inspect says of the members, against the recorded list. 3.4 and 3.5 kept the client URLs of a member elsewhere.
fn members_agree(version: &str, etcd: &Value) {
    let due = recorded_json(version, "cold.expected.members.json");
    let (due, read) = (due["members"].as_array().unwrap(), etcd["members"].as_array().unwrap());
    assert_eq!(due.len(), read.len());
    for (due, read) in due.iter().zip(read) {
        assert_eq!(read["id"], format!("{:016x}", due["ID"].as_u64().unwrap()));
        assert_eq!((&read["name"], &read["peer_urls"]), (&due["name"], &due["peerURLs"]));
        assert!(
            read["client_urls"] == due["clientURLs"] || read["client_urls"].as_array().unwrap().is_empty(),
            "{read}"
        );
    }
}

fn leases_agree(version: &str, etcd: &Value) {
    let due = recorded_json(version, "cold.expected.leases.json");
    let due = due["leases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|lease| format!("{:016x}", lease["id"].as_u64().unwrap()));
    let read =
        etcd["leases"].as_array().unwrap().iter().map(|lease| lease["id"].as_str().unwrap().to_owned());
    assert_eq!(read.collect::<Vec<_>>(), due.collect::<Vec<_>>());
}

/// The names of the leased keys, of those put at or before `last`.
fn leased(served: &Served, last: i64) -> Value {
    let names = served
        .iter()
        .filter(|(_, served)| served.4 != 0 && served.1 <= last)
        .map(|(key, _)| key.escape_ascii().to_string());
    names.collect::<Vec<_>>().into()
}

fn users(etcd: &Value) -> Vec<&str> {
    etcd["auth"]["users"].as_array().unwrap().iter().map(|user| user["name"].as_str().unwrap()).collect()
}

#[test]
fn inspect_of_a_snapshot_agrees_with_the_member_it_is_of() {
    for version in VERSIONS {
        let input = snapshot(version);
        let screen = coldbolt(["inspect", "--hash", input.name()]);
        let lines = screen.good().lines().count();
        assert!((15..=40).contains(&lines), "{lines} lines: {screen}");
        assert!(
            screen.text().contains("an etcd snapshot file") && screen.text().contains(" is right\n"),
            "{screen}"
        );

        let report = coldbolt(["inspect", "--hash", "-w", "json", input.name()]);
        report.good();
        let report = report.json();
        assert_eq!(report["schema"], "coldbolt.inspect/1");
        let (database, etcd) = (&report["database"], &report["database"]["etcd"]);
        assert_eq!(
            (&database["trailer"]["state"], &database["sha256"]["matches"]),
            (&"present".into(), &true.into())
        );
        assert_eq!(database["sha256"]["digest"], database["trailer"]["digest"]);
        let status = recorded_json(version, "snapshot.expected.status.json");
        assert_eq!(
            (&etcd["last_revision"]["main"], &database["size"]),
            (&status["revision"], &status["totalSize"])
        );
        let elements: u64 =
            database["buckets"].as_array().unwrap().iter().map(|b| b["elements"].as_u64().unwrap()).sum();
        let total = status["totalKey"].as_u64().unwrap();
        // Up to 3.5 the tool counts all elements, since 3.6 the live keys; the same writes went to all four versions.
        assert_eq!(
            if compat(version) < "3.6" { elements } else { etcd["live_keys"].as_u64().unwrap() },
            total
        );
        assert_eq!(
            (&etcd["live_keys"], &etcd["compact_revision"], &etcd["compaction_unfinished"]),
            (&60.into(), &61.into(), &false.into())
        );
        assert_eq!(etcd["storage"]["version"], compat(version));
        assert_eq!(users(etcd), ["alice", "root"]);
        members_agree(version, etcd);
        leases_agree(version, etcd);
        let served = served(version);
        assert_eq!(etcd["leases"][0]["keys"], leased(&served, 106));
        holds_what_was_served(&input.path, 106, &served);
        assert!(report["lag"].is_null() && report["wal"].is_null());
        input.unchanged();
    }
}

/// Of a data directory: the database agrees with what the same member served after it had replayed its log, as far as
/// it goes, and how far that is, is said.
///
/// The recorded answers are at revision 133. Each entry that the database lacks made one revision, so its last
/// revision is as far from 133 as it lags; the live keys that were put at or before that revision are in it, and no
/// more than the lag differ in number.
#[test]
fn inspect_of_a_killed_member_agrees_with_it_and_says_how_far_its_database_lags() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().unwrap();
        let input = Input::new(unpack(version, "cold", dir.path()));
        let report = coldbolt(["inspect", "-w", "json", input.name()]);
        report.good();
        let report = report.json();
        assert_eq!(report["kind"], "a member's data directory");
        let (etcd, wal, lag) = (&report["database"]["etcd"], &report["wal"], &report["lag"]);
        let number = |value: &Value| value.as_i64().unwrap();
        let last = number(&etcd["last_revision"]["main"]);
        let behind = number(&lag["committed_not_in_db"]) + number(&lag["uncommitted"]);
        assert!((1..=3).contains(&behind), "{lag}");
        assert_eq!(last + behind, LAST, "{lag}");
        assert_eq!(number(&lag["consistent_index"]) + behind, number(&lag["last_entry"]), "{lag}");
        let entries = if behind == 1 { "1 entry".to_owned() } else { format!("{behind} entries") };
        let sentence = lag["sentence"].as_str().unwrap();
        assert!(
            sentence.starts_with(&format!(
                "The db (index {}) lags its WAL by {entries}: ",
                lag["consistent_index"]
            )),
            "{sentence}"
        );
        assert!(coldbolt(["inspect", input.name()]).text().contains(sentence));

        let served = served(version);
        holds_what_was_served(&input.path.join("member/snap/db"), last, &served);
        let live = number(&etcd["live_keys"]);
        assert!((live - served.len() as i64).abs() <= behind, "{live} live, {} were served", served.len());
        members_agree(version, etcd);
        leases_agree(version, etcd);
        assert_eq!(etcd["leases"][0]["keys"], leased(&served, last));
        let members = recorded_json(version, "cold.expected.members.json");
        for (read, due) in [(&wal["cluster_id"], "cluster_id"), (&wal["node_id"], "member_id")] {
            assert_eq!(*read, format!("{:016x}", members["header"][due].as_u64().unwrap()));
        }
        assert_eq!((&wal["complete"], &report["directory"]["wal_lock"]), (&true.into(), &"free".into()));
        let snaps = report["raft_snapshots"].as_array().unwrap();
        assert!(
            !snaps.is_empty() && snaps.iter().all(|snap| snap["fault"].is_null() && snap["members"] == 1),
            "{snaps:?}"
        );
        // The same from closer by.
        for part in ["member", "member/snap", "member/wal"] {
            let path = input.path.join(part);
            let near = coldbolt([Path::new("inspect"), Path::new("-w"), Path::new("json"), &path]);
            near.good();
            assert_eq!(near.json()["lag"].is_null(), part != "member", "{near}");
        }
        input.unchanged();
    }
}

#[test]
fn inspect_of_a_stopped_member_agrees_with_it_key_by_key() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().unwrap();
        let input = Input::new(unpack(version, "clean", dir.path()));
        let report = coldbolt(["inspect", "-w", "json", input.name()]);
        report.good();
        let report = report.json();
        let (etcd, lag) = (&report["database"]["etcd"], &report["lag"]);
        let served = served(version);
        assert_eq!(etcd["last_revision"]["main"], LAST);
        assert_eq!(etcd["live_keys"], served.len());
        holds_what_was_served(&input.path.join("member/snap/db"), LAST, &served);
        members_agree(version, etcd);
        leases_agree(version, etcd);
        assert_eq!(etcd["leases"][0]["keys"], leased(&served, LAST));
        // 3.4 does not move the index for entries that change no key: its own start left three.
        let behind = if version == "3.4.23" { 3 } else { 0 };
        assert_eq!((&lag["committed_not_in_db"], &lag["uncommitted"]), (&behind.into(), &0.into()), "{lag}");
        input.unchanged();
    }
}

#[test]
fn no_password_hash_is_printed() {
    // Every run in these tests is searched for `$2a$`, which the users in the fixtures have; here are the views that
    // come close.
    for version in VERSIONS {
        let dir = tempfile::tempdir().unwrap();
        let cold = Input::new(unpack(version, "cold", dir.path()));
        let db = cold.path.join("member/snap/db");
        let held = fs::read(&db).unwrap();
        assert!(held.windows(4).any(|bytes| bytes == b"$2a$"), "the fixture has no password hash to hide");
        for args in
            [&["inspect", "-w", "json"][..], &["inspect"], &["wal", "dump"], &["wal", "dump", "-w", "json"]]
        {
            coldbolt(args.iter().map(Path::new).chain([cold.path.as_path()]));
        }
        coldbolt([Path::new("verify"), &cold.path]);
        let keys = coldbolt([Path::new("bolt"), Path::new("keys"), &db, Path::new("authUsers")]);
        assert_eq!(keys.good(), "alice\nroot\n");
        cold.unchanged();
    }
}

#[test]
fn standard_input_is_a_file_or_a_pipe() {
    let input = snapshot("3.6.14");
    let due = recorded("3.6.14", "snapshot.expected.status.json");
    let mut redirected = command(["status", "-", "-w", "json"]);
    redirected.stdin(File::open(&input.path).unwrap());
    assert_eq!(run(redirected).good(), due);

    let bytes = fs::read(&input.path).unwrap();
    for args in
        [&["status", "-", "-w", "json"][..], &["hashkv", "-", "-w", "json"], &["inspect", "-", "--hash"]]
    {
        let mut child = command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let output = std::thread::scope(|scope| {
            scope.spawn(|| {
                stdin.write_all(&bytes).unwrap();
                drop(stdin);
            });
            support::run::wait(child, "a pipe on standard input")
        });
        assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
        let answer = String::from_utf8(output.stdout).unwrap();
        match args[0] {
            "status" => assert_eq!(answer, due),
            "hashkv" => assert_eq!(answer, recorded("3.6.14", "snapshot.expected.hashkv.json")),
            _ => assert!(
                answer.starts_with("(standard input): an etcd snapshot file\n")
                    && answer.contains(" is right\n"),
                "{answer}"
            ),
        }
    }
    input.unchanged();
}

#[test]
fn what_a_file_holds_does_not_command_the_terminal() {
    let member = br#"{"id":1,"name":"a\u001b[2Jb","peerURLs":["http://\u0007"]}"#;
    let buckets: [(&[u8], &[u8], &[u8]); 4] = [
        (b"cluster", b"clusterVersion", b"3.6.\x1b[0m"),
        (b"key", b"\0\0\0\0\0\0\0\x02_\0\0\0\0\0\0\0\0", b"\x0a\x01a\x10\x02\x18\x02\x20\x01"),
        (b"members", b"0000000000000001", member),
        (b"meta", b"storageVersion", b"3.6.0\x1b]0;x\x07"),
    ];
    let buckets = buckets.map(|(bucket, key, value)| (bucket, [(key, value)]));
    let dir = tempfile::tempdir().unwrap();
    let input = Input::write(dir.path(), "db", &database(buckets, Options::default()));
    for args in [
        &["inspect"][..],
        &["status"],
        &["status", "-w", "table"],
        &["status", "-w", "fields"],
        &["inspect", "-w", "json"],
        &["verify"],
    ] {
        let run = coldbolt(args.iter().chain([&input.name()]));
        for text in [run.text(), &run.err] {
            assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{args:?} printed {text:?}");
        }
    }
    assert!(coldbolt(["inspect", input.name()]).text().contains("a\\u{1b}[2Jb"));
    input.unchanged();
}

/// The commands that a help text lists, without groups that only hold commands.
fn commands(path: &[String], found: &mut Vec<Vec<String>>) {
    let run = coldbolt(path.iter().map(String::as_str).chain(["--help"]));
    let help = run.good();
    let Some((_, listed)) = help.split_once("\nCommands:\n") else {
        found.push(path.to_vec());
        return;
    };
    // One a line, indented by two; what goes on in the next line is indented further.
    let block = listed.split("\n\n").next().unwrap();
    for line in block.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   ")) {
        let name = line.split_whitespace().next().unwrap().to_owned();
        commands(&path.iter().cloned().chain([name]).collect::<Vec<_>>(), found);
    }
}

#[test]
fn every_command_has_help_with_an_example_and_a_manual_page() {
    let mut found = Vec::new();
    commands(&[], &mut found);
    for due in [
        "status",
        "hashkv",
        "inspect",
        "snapshot status",
        "wal dump",
        "snap show",
        "bolt page",
        "version",
        "completion",
        "man",
    ] {
        assert!(found.iter().any(|words| words.join(" ") == due), "{due} is not in {found:?}");
    }
    for words in &found {
        let help = coldbolt(words.iter().map(String::as_str).chain(["--help"]));
        assert!(help.good().contains("Example"), "{help}");
        assert!(help.text().contains(&format!("coldbolt {}", words.join(" "))), "{help}");
        let short = coldbolt(words.iter().map(String::as_str).chain(["-h"]));
        assert!(short.good().contains("Usage:"), "{short}");
        let man = coldbolt(["man"].into_iter().chain(words.iter().map(String::as_str)));
        let title = format!(
            ".TH coldbolt-{} 1 \" \" \"coldbolt {}\" coldbolt\n",
            words.join("-"),
            env!("CARGO_PKG_VERSION")
        );
        assert!(man.good().contains(&title), "{man}");
    }
    assert!(coldbolt(["--help"]).good().contains("Example"));
}

#[test]
fn version_completion_and_man_are_printed() {
    assert_eq!(coldbolt(["version"]).good(), format!("coldbolt {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(coldbolt(["--version"]).good(), format!("coldbolt {}\n", env!("CARGO_PKG_VERSION")));
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = coldbolt(["completion", shell]);
        assert!(script.good().contains("hashkv"), "{shell}");
    }
    // Its script has no help in it: these are the values that are offered.
    assert!(coldbolt(["completion", "bash"]).good().contains("custom-columns-file"));
    assert!(coldbolt(["man"]).good().starts_with(".ie"));
    coldbolt(["man", "nothing"]).says(2, &["there is no command `coldbolt nothing`"]);
}

#[test]
fn all_manual_pages_are_written_into_a_new_directory_and_over_nothing() {
    let mut found = Vec::new();
    commands(&[], &mut found);
    let dir = tempfile::tempdir().unwrap();
    let man = dir.path().join("man1");
    coldbolt([OsStr::new("man"), OsStr::new("--all"), man.as_os_str()]).good();
    for words in found.iter().map(|words| words.iter().map(String::as_str).collect::<Vec<_>>()) {
        let page = coldbolt(["man"].iter().chain(&words)).good().to_owned();
        let file = man.join(format!("coldbolt-{}.1", words.join("-")));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), page, "{}", file.display());
    }
    // Pages of groups are there too: the overview refers to them.
    for name in ["coldbolt.1", "coldbolt-snapshot.1", "coldbolt-bolt-surgery.1"] {
        assert!(man.join(name).is_file(), "{name}");
    }
    coldbolt([OsStr::new("man"), OsStr::new("--all"), man.as_os_str()]).says(1, &["man1", "exists already"]);
}

#[test]
fn wrong_usage_is_exit_code_2() {
    for args in [
        &[][..],
        &["status"],
        &["frobnicate"],
        &["status", "x", "--compat", "9"],
        &["hashkv", "x", "--rev", "many"],
        &["completion", "tcl"],
    ] {
        assert_eq!(coldbolt(args).code, 2, "{args:?}");
    }
}

#[test]
fn a_mapped_file_has_the_same_answers() {
    for version in VERSIONS {
        let input = snapshot(version);
        for verb in ["status", "hashkv", "verify", "inspect", "keys"] {
            let read = coldbolt([verb, input.name()]);
            assert_eq!(coldbolt(["--mmap", verb, input.name()]).good(), read.good(), "{verb} {version}");
        }
        input.unchanged();
    }
}
