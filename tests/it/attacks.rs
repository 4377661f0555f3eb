//! Files made to exhaust, to mislead or to steer: what they claim, how deep they nest, how long they are, where
//! outputs are to go, what their texts hold. Each command answers or refuses, in bounded memory and time.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use support::buckets::{Buckets, MEMBER};
use support::image::Image;
use support::member::{self, Member, Record};
use support::run::{coldbolt_within_limits, filled};
use support::{Input, Run, binary, command, fixture, mutate};

fn empty(dir: &Path) -> bool {
    fs::read_dir(dir).unwrap().next().is_none()
}

fn backup(dir: &Path) -> Input {
    Input::write(dir, "backup.db", &fs::read(fixture("small-3.5.1/snapshot.db")).unwrap())
}

/// A file of that length that takes no space.
fn sparse(path: PathBuf, begin: &[u8], len: u64) -> PathBuf {
    let mut file = File::create_new(&path).unwrap();
    file.write_all(begin).unwrap();
    file.set_len(len).unwrap();
    path
}

/// Every command about a database file. NEW is a place for what it writes.
const COMMANDS: [&[&str]; 36] = [
    &["status", "FILE", "-w", "table"],
    &["status", "FILE"],
    &["hashkv", "FILE"],
    &["inspect", "FILE"],
    &["inspect", "--hash", "FILE"],
    &["verify", "FILE"],
    &["keys", "FILE"],
    &["keys", "FILE", "--tree"],
    &["keys", "FILE", "--top", "3"],
    &["export", "FILE", "--kube", "--object"],
    &["history", "FILE", "--prefix", ""],
    &["events", "FILE"],
    &["timeline", "FILE"],
    &["timeline", "FILE", "--allow-damage"],
    &["diff", "FILE", "--from-rev", "5", "--to-rev", "9"],
    &["diff", "FILE", "--from-rev", "5", "--to-rev", "9", "--values"],
    &["compare", "FILE", "FILE"],
    &["leases", "FILE"],
    &["auth", "FILE"],
    &["alarms", "FILE"],
    &["members", "FILE"],
    &["bolt", "buckets", "FILE"],
    &["bolt", "keys", "FILE", "key"],
    &["bolt", "keys", "FILE", "authUsers"],
    &["bolt", "pages", "FILE"],
    &["snapshot", "status", "FILE", "-w", "table"],
    &["get", "FILE", "--prefix", "", "-w", "fields"],
    &["unseal", "FILE", "-o", "NEW"],
    &["seal", "FILE", "-o", "NEW"],
    &["defrag", "FILE", "-o", "NEW"],
    &["copy", "FILE", "NEW"],
    &["copy", "FILE", "NEW", "--allow-damage"],
    &["copy", "FILE", "NEW", "--allow-damage", "--exact"],
    &["restore", "FILE", "--data-dir", "NEW"],
    &["restore", "FILE", "--dry-run", "--data-dir", "NEW"],
    &["restore", "FILE", "--allow-damage", "--data-dir", "NEW"],
];

#[test]
fn a_file_of_16_kib_that_claims_a_million_million_pages_is_damaged_for_every_command() {
    let mut image = Image::pristine();
    image.put_metas(mutate::HIGH_WATER, &(1u64 << 40).to_le_bytes());
    image.seal_metas();
    let dir = tempfile::tempdir().unwrap();
    let input = Input::write(dir.path(), "backup.db", &image.bytes[..16384]);
    let out = dir.path().join("out");
    fs::create_dir(&out).unwrap();
    for args in COMMANDS {
        let run = coldbolt_within_limits(filled(args, input.name(), out.join("new").to_str().unwrap()));
        assert!(matches!(run.code, 1 | 3), "{run}");
        assert!(run.err.contains(input.name()), "{run}");
        assert!(empty(&out), "{run}");
    }
    input.unchanged();
}

#[test]
fn of_a_page_that_is_reached_twice_nothing_is_written_but_its_bytes() {
    let pristine = fs::read(fixture("etcd-3.7.1/snapshot.db")).unwrap();
    let u64_at = |at: usize| u64::from_le_bytes(pristine[at..at + 8].try_into().unwrap());
    // The key bucket: a branch over seven leaves, some of them neighbours.
    let branch =
        (2..32).map(|page| page * mutate::PAGE).find(|at| pristine[at + mutate::FLAGS] == 1).unwrap();
    let child_at = |index: usize| branch + 16 + 16 * index + mutate::CHILD;
    let children: Vec<u64> = (0..7).map(|index| u64_at(child_at(index))).collect();
    let neighbour = *children.iter().find(|child| children.contains(&(*child + 1))).unwrap();
    for change in ["an overflow page that is another's", "two elements with one child"] {
        let mut image = Image::snapshot(pristine.clone());
        match change {
            "two elements with one child" => image.set(child_at(4), &children[2].to_le_bytes()),
            _ => image.set(neighbour as usize * mutate::PAGE + mutate::OVERFLOW, &1u32.to_le_bytes()),
        }
        image.seal();
        let dir = tempfile::tempdir().unwrap();
        let input = Input::write(dir.path(), "backup.db", &image.bytes);
        let out = dir.path().join("out");
        fs::create_dir(&out).unwrap();
        let new = out.join("new");
        let run = |args: &[&str]| coldbolt_within_limits(filled(args, input.name(), new.to_str().unwrap()));
        for args in COMMANDS
            .into_iter()
            .filter(|args| args.contains(&"NEW") && !args.contains(&"--exact") && !args[0].contains("seal"))
        {
            run(args).says(1, &["is reached a second time", "[page-shared]"]);
            assert!(empty(&out), "{args:?}");
        }
        run(&["copy", "FILE", "NEW", "--allow-damage", "--exact"]).says(0, &["[page-shared]"]);
        assert!(fs::read(&new).unwrap() == image.bytes);
        let allowed = ["get", "FILE", "--prefix", "", "--allow-damage"];
        for args in COMMANDS.into_iter().filter(|args| !args.contains(&"NEW")).chain([&allowed[..]]) {
            let first = run(args);
            assert!(first.code <= 1, "{first}");
            for _ in 0..8 {
                let again = run(args);
                assert_eq!((&again.out, &again.err), (&first.out, &first.err));
            }
        }
        input.unchanged();
    }
}

/// A transaction in a transaction in a transaction, so deep.
fn nested(deep: usize) -> Vec<u8> {
    let field = |number: u32, bytes: &[u8]| {
        let mut out = Vec::new();
        prost::encoding::bytes::encode(number, &bytes.to_vec(), &mut out);
        out
    };
    // TxnRequest.success is field 2, RequestOp.txn is 4, InternalRaftRequest.ID is 1, its txn 6.
    let txn = (0..deep).fold(Vec::new(), |txn, _| field(2, &field(4, &txn)));
    [&[8, 1][..], &field(6, &txn)].concat()
}

#[test]
fn transactions_nested_twenty_thousand_deep_in_an_entry_are_shown_or_refused() {
    for deep in [50, 99, 9_999, 20_000] {
        let mut member = Member::good();
        member.entry(21).data = Some(nested(deep));
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        member.files().write(&home);
        let input = Input::new(&home);
        let out = dir.path().join("out");
        fs::create_dir(&out).unwrap();
        let new = out.join("new");
        for args in [
            &["wal", "dump", "FILE", "--start-index", "0"][..],
            &["wal", "dump", "FILE", "--start-index", "0", "-w", "json"],
            &["wal", "dump", "FILE", "--start-index", "0", "-w", "ndjson"],
            &["wal", "dump", "FILE", "--raw"],
            &["inspect", "FILE"],
            &["verify", "FILE"],
            &["copy", "FILE", "NEW"],
            &["replay", "FILE", "--to-index", "22", "-o", "NEW"],
        ] {
            let run = coldbolt_within_limits(filled(args, input.name(), new.to_str().unwrap()));
            assert!(run.code <= 4, "{deep}: {run}");
            let writes = args.contains(&"NEW");
            assert!(!writes || (run.code == 0) != empty(&out), "{deep}: {run}");
            if writes && deep == 20_000 {
                run.says(1, &["raft index 21", "transactions nest deeper than 10000 levels"]);
            } else if writes {
                run.says(0, &[]);
            }
            let _ = fs::remove_file(&new);
        }
        input.unchanged();
    }
}

#[test]
fn documents_that_are_too_long_too_deep_or_grow_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let input = backup(dir.path());
    let place = |name: &str| dir.path().join(name);
    let written = |name: &str, text: String| {
        fs::write(place(name), text).unwrap();
        place(name)
    };
    let mut bomb = String::from("kind: Pod\na0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for i in 1..30 {
        bomb.push_str(&format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(",")));
    }
    bomb.push_str("spec: {containers: [{name: etcd, command: *a29}]}\n");
    let mut merge = String::from("kind: Pod\na0: &a0 {x: y}\n");
    for i in 1..5000 {
        merge.push_str(&format!("a{i}: &a{i} {{<<: *a{}, k{i}: v}}\n", i - 1));
    }
    let full = |begin: &str, each: &str, end: &str| {
        let count = ((8 << 20) - begin.len() - end.len() - 1) / each.len();
        format!("{begin}{}{end}", each.repeat(count).trim_end_matches(','))
    };
    let schema = r#"{"schema":"coldbolt.manifest/1""#;
    let cases = [
        (
            "--policy",
            sparse(place("policy"), b"min-revision = 1\n", 1 << 30),
            2,
            "1073741824 bytes are more than such a file can have",
        ),
        ("--policy", written("deep", format!("required = {}", "[".repeat(500_000))), 2, "policy "),
        ("--policy", written("tables", "a.".repeat(400_000) + "a = 1\n"), 2, "policy "),
        (
            "--check-manifest",
            sparse(place("json"), b"{", 1 << 30),
            3,
            "1073741824 bytes are more than such a file can have",
        ),
        ("--check-manifest", written("deep.json", "[".repeat(1 << 20)), 3, "is not a manifest of coldbolt"),
        (
            "--check-manifest",
            written("wide.json", full(&format!("{schema},\"command\":["), "\"\",", "],\"files\":[]}")),
            4,
            "",
        ),
        (
            "--check-manifest",
            written("many.json", full(&format!("{schema},\"files\":["), "{\"path\":\"\",\"size\":0},", "]}")),
            3,
            "gives no SHA-256",
        ),
        (
            "--check-manifest",
            written(
                "evidence.json",
                full(
                    &format!(
                        "{schema},\"files\":[{{\"path\":\"x\",\"size\":0,\"sha256\":\"\",\"evidence\":["
                    ),
                    "0,",
                    "]}]}",
                ),
            ),
            3,
            "is named in",
        ),
        (
            "--from-manifest",
            sparse(place("yaml"), b"kind: Pod\n", 1 << 30),
            3,
            "1073741824 bytes are more than such a file can have",
        ),
        ("--from-manifest", written("bomb.yaml", bomb), 3, "is not the manifest of a pod"),
        ("--from-manifest", written("merge.yaml", merge), 3, "manifest"),
        ("--from-manifest", written("deep.yaml", "{".repeat(500_000)), 3, "is not the manifest of a pod"),
        ("--newer", sparse(place("newer"), b"", 1 << 30), 3, "is not an etcd snapshot or database"),
        ("--newer", sparse(place("newer.db"), &fs::read(&input.path).unwrap(), 1 << 30), 0, ""),
    ];
    let new = place("new");
    for (flag, file, code, what) in cases {
        let (file, new_name) = (file.to_str().unwrap(), new.to_str().unwrap());
        let args: &[&str] = match flag {
            "--from-manifest" => &["restore", input.name(), flag, file],
            "--newer" => &[
                "restore",
                input.name(),
                "--data-dir",
                new_name,
                "--bump-revision",
                "auto",
                "--mark-compacted",
                flag,
                file,
            ],
            _ => &["verify", input.name(), flag, file],
        };
        let run = coldbolt_within_limits(args);
        run.says(code, &[what]);
        assert_eq!(new.exists(), code == 0 && flag == "--newer", "{run}");
    }
    input.unchanged();
}

#[test]
fn of_what_is_packed_and_not_etcds_no_more_than_the_front_is_unpacked() {
    let dir = tempfile::tempdir().unwrap();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&vec![0; 8 << 20]).unwrap();
    let input = Input::write(dir.path(), "backup.db.gz", &packed.finish().unwrap());
    let new = dir.path().join("new");
    for args in COMMANDS {
        let run = coldbolt_within_limits(filled(args, input.name(), new.to_str().unwrap()));
        run.says(3, &["is packed, and what is inside is something that is not etcd's"]);
        assert!(!new.exists());
    }
    for of_log in [["wal", "dump"], ["snap", "show"]] {
        coldbolt_within_limits(of_log.into_iter().chain([input.name()]))
            .says(3, &["is packed, and what is inside"]);
    }
    input.unchanged();
}

/// Runs with an output of which nothing may come: something is there, nobody would put a file there, or it cannot be.
fn refused(args: &[&str], what: &str) {
    let run = Run::of(command(args));
    assert!(matches!(run.code, 1..=3) && run.err.contains(what), "{run}");
}

#[test]
fn an_output_goes_only_where_nothing_is_and_through_no_link_at_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let input = backup(dir.path());
    let place = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let outside = dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(place("precious"), "kept").unwrap();
    symlink(outside.join("made"), place("dangling")).unwrap();
    symlink(place("precious"), place("to-file")).unwrap();
    symlink(&outside, place("to-dir")).unwrap();
    for name in ["new", "fresh"] {
        symlink(place("precious"), place(&format!("{name}.partial"))).unwrap();
    }
    let file = input.name();
    for (to, what) in [
        (place("dangling"), "exists already"),
        (place("to-file"), "exists already"),
        (place("precious"), "exists already"),
        (file.to_owned(), "exists already"),
        (place("outside/.."), "is not the name of a file"),
        (place("no/where"), "there is no directory"),
        // A partial file that is a link is of no run of ours.
        (place("new"), "new.partial"),
    ] {
        for args in
            [["copy", file, &to].as_slice(), &["unseal", file, "-o", &to], &["defrag", file, "-o", &to]]
        {
            refused(args, what);
        }
    }
    for (to, what) in [
        (place("dangling"), "not empty or could not be read"),
        (place("to-file"), "not empty or could not be read"),
        (file.to_owned(), "not empty or could not be read"),
        (place("outside/.."), "not empty or could not be read"),
        (place("fresh"), "fresh.partial"),
    ] {
        refused(&["restore", file, "--data-dir", &to], what);
    }
    assert!(empty(&outside));
    assert_eq!(fs::read(place("precious")).unwrap(), b"kept");
    // A link on the way is the user's: as with cp, it is followed.
    let inside = format!("{}/copy.db", place("to-dir"));
    coldbolt_within_limits(["copy", file, &inside]).says(0, &[]);
    assert!(outside.join("copy.db").is_file());
    input.unchanged();
}

#[test]
fn nothing_is_written_into_the_directory_that_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    Member::good().files().write(&home);
    let input = Input::new(&home);
    for to in ["member/snap/new.db", "member/new.db", "new.db"] {
        let to = home.join(to);
        let to = to.to_str().unwrap();
        refused(&["copy", input.name(), to], "which is only read");
        refused(&["replay", input.name(), "--to-index", "22", "-o", to], "which is only read");
        refused(&["member", "remove", "--data-dir", input.name(), "-o", to, "1"], "which is only read");
        input.unchanged();
    }
}

#[test]
fn a_member_is_given_a_directory_only_by_a_name_that_is_one() {
    let dir = tempfile::tempdir().unwrap();
    let input = backup(dir.path());
    let out = dir.path().join("out");
    for name in ["../x", "a/b", "", ".", "..", "/tmp/x", "a\x1b[2J", "a\nb", "a\u{85}"] {
        let cluster = format!("{name}=http://h:1,b=http://i:1");
        let run = coldbolt_within_limits([
            "restore",
            input.name(),
            "--all-members",
            out.to_str().unwrap(),
            "--initial-cluster",
            &cluster,
        ]);
        run.says(2, &["cannot be the name of a directory"]);
        steers_nothing(&run);
        assert!(!out.exists() && !dir.path().join("x").exists());
    }
    input.unchanged();
}

#[track_caller]
fn steers_nothing(run: &Run) {
    for text in [run.text(), &run.err] {
        let steering = |c: char| match c {
            '\n' | '\t' => false,
            '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
            _ => c.is_control(),
        };
        assert!(!text.contains(steering), "{:?} {run}", text.chars().find(|c| steering(*c)));
    }
}

const EVIL: &str = "k\x1b[2J\x1b]0;title\x07\r\u{7f}\u{9b}31m\u{202e}\u{2067}\u{200f}";

fn evil() -> Buckets {
    let mut buckets = Buckets::good();
    buckets.kv(10, 0, EVIL, 10, 1, 0);
    buckets.edit(10, 0, false, |kv| kv.value = EVIL.into());
    buckets.user(EVIL, &[EVIL]);
    let role = coldbolt::etcd::auth::Role { name: EVIL.into(), key_permission: Vec::new() };
    buckets.put("authRoles", EVIL.as_bytes(), &prost::Message::encode_to_vec(&role));
    let name = serde_json::to_string(EVIL).unwrap();
    let json = format!(r#"{{"id":{},"peerURLs":[{name}],"name":{name},"clientURLs":[{name}]}}"#, MEMBER);
    buckets.put("members", format!("{:x}", MEMBER).as_bytes(), json.as_bytes());
    buckets.put("cluster", b"clusterVersion", EVIL.as_bytes());
    let downgrade = format!(r#"{{"target-version":{name},"enabled":true}}"#);
    buckets.put("cluster", b"downgrade", downgrade.as_bytes());
    buckets.put("meta", b"storageVersion", EVIL.as_bytes());
    buckets.put(EVIL, EVIL.as_bytes(), EVIL.as_bytes());
    buckets
}

#[test]
fn no_text_in_a_file_steers_the_terminal_that_an_answer_is_printed_to() {
    let dir = tempfile::tempdir().unwrap();
    let (file, bare) = (evil().file(), evil().bare());
    let input = Input::write(dir.path(), "backup\x1b[2J.db", &file.bytes);
    let unsealed = Input::write(dir.path(), "bare.db", &bare.bytes);
    let new = dir.path().join("new");
    for args in COMMANDS {
        for file in [&input, &unsealed] {
            let run = coldbolt_within_limits(filled(args, file.name(), new.to_str().unwrap()));
            steers_nothing(&run);
            fs::remove_file(&new).or_else(|_| fs::remove_dir_all(&new)).unwrap_or_default();
        }
    }
    let mut restorable = evil();
    restorable.put("meta", b"storageVersion", b"3.6.0");
    // What is a version to etcd has no such text; where it goes down to is asked for only while it does.
    restorable.put("cluster", b"clusterVersion", b"3.6.0");
    let downgrade =
        format!(r#"{{"target-version":{},"enabled":false}}"#, serde_json::to_string(EVIL).unwrap());
    restorable.put("cluster", b"downgrade", downgrade.as_bytes());
    let restorable = Input::write(dir.path(), "restorable.db", &restorable.file().bytes);
    for form in ["table", "json"] {
        let args = ["restore", restorable.name(), "--dry-run", "-w", form, "--target-version", "3.5"];
        let run = coldbolt_within_limits(args);
        // Who was a member is named.
        assert!(run.code == 0 && run.text().contains("the source names k"), "{run}");
        steers_nothing(&run);
    }
    for args in [
        &["get", input.name(), EVIL, "-w", "json"][..],
        &["export", input.name()],
        &["history", input.name(), EVIL],
    ] {
        let run = coldbolt_within_limits(args);
        assert!(run.code == 0 && !run.text().is_empty(), "{run}");
        steers_nothing(&run);
    }
    input.unchanged();
}

#[test]
fn no_text_in_a_log_or_raft_snapshot_steers_the_terminal() {
    let mut member = Member::good();
    member.buckets = evil();
    let put =
        coldbolt::etcd::request::PutRequest { key: EVIL.into(), value: EVIL.into(), ..Default::default() };
    let request = coldbolt::etcd::request::InternalRaftRequest { put: Some(put), ..Default::default() };
    member.entry(21).data = Some(prost::Message::encode_to_vec(&request));
    let add = member::conf_change(
        22,
        2,
        3,
        9,
        &serde_json::json!({"id": 9, "peerURLs": [EVIL], "isLearner": true}).to_string(),
    );
    let Record::Entry(add) = add else { unreachable!() };
    *member.entry(22) = add;
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    member.files().write(&home);
    let input = Input::new(&home);
    let new = dir.path().join("new");
    let snap = fs::read_dir(home.join("member/snap")).unwrap().map(|entry| entry.unwrap().path());
    let snap = snap.into_iter().find(|path| path.extension().is_some_and(|e| e == "snap")).unwrap();
    for args in [
        &["wal", "dump", "FILE", "--start-index", "0"][..],
        &["wal", "dump", "FILE", "--start-index", "0", "-w", "ndjson"],
        &["snap", "show", snap.to_str().unwrap()],
        &["inspect", "FILE"],
        &["verify", "FILE"],
        &["member", "list", "--data-dir", "FILE"],
        &["copy", "FILE", "NEW"],
    ] {
        steers_nothing(&coldbolt_within_limits(filled(args, input.name(), new.to_str().unwrap())));
    }
    input.unchanged();
}

/// Raw where it is piped, as etcdctl prints; quoted on a terminal.
#[test]
fn get_prints_bytes_as_they_are_into_a_pipe_and_quotes_them_on_a_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let input = Input::write(dir.path(), "backup.db", &evil().file().bytes);
    let piped = coldbolt_within_limits(["get", input.name(), EVIL]);
    assert_eq!(piped.text(), format!("{EVIL}\n{EVIL}\n"), "{piped}");
    // `script` gives the command a terminal.
    let line = format!("'{}' get '{}' --from-key k", binary().display(), input.name());
    let Ok(output) = Command::new("script").args(["-qec", &line, "/dev/null"]).stdin(Stdio::null()).output()
    else {
        println!("skipped: no script(1)");
        return;
    };
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains(r"k\x1b[2J"), "{shown:?}");
    assert!(
        !shown.contains(|c: char| c.is_control() && !"\r\n\t".contains(c)) && !shown.contains("\r\u{9b}"),
        "{shown:?}"
    );
    input.unchanged();
}

#[test]
fn an_empty_file_is_no_segment() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["empty", "0000000000000000-0000000000000000.wal"] {
        let input = Input::write(dir.path(), name, b"");
        coldbolt_within_limits(["wal", "dump", input.name()])
            .says(3, &[input.name(), "is empty (0 bytes), not a WAL segment"]);
        input.unchanged();
    }
}
