//! coldbolt under the names of etcdutl, etcdctl and etcd-dump-logs, against what these printed for the fixtures;
//! `tests/interop/programs.rs` runs them beside it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use coldbolt::codec::checksum::sha256;
use serde_json::Value;
use support::run::run;
use support::{Input, Run, VERSIONS, args, binary, coldbolt, coldbolt_in, fixture, unpack};

fn recorded(version: &str, name: &str) -> String {
    fs::read_to_string(fixture(&format!("etcd-{version}/{name}"))).unwrap()
}

fn snapshot(version: &str) -> Input {
    Input::new(fixture(&format!("etcd-{version}/snapshot.db")))
}

/// A line of words, in which FILE is that file.
fn etcdutl(words: &str, file: &Path) -> Run {
    let words =
        words.split_whitespace().map(|word| if word == "FILE" { file.as_os_str() } else { word.as_ref() });
    coldbolt(["as".as_ref(), "etcdutl".as_ref()].into_iter().chain(words))
}

#[test]
fn a_link_of_the_name_and_the_command_as_answer_alike() {
    let (temp, input) = (tempfile::tempdir().unwrap(), snapshot("3.6.14"));
    let due = recorded("3.6.14", "snapshot.expected.status.json");
    for (name, words) in [
        ("etcdutl", &["snapshot", "status", "-w", "json"][..]),
        ("etcdutl", &["-wjson", "snap", "stat"]),
        ("etcdutl", &["--write-out", "json", "--timeout", "1m", "snapshot", "status"]),
        ("etcdutl", &["snapshot", "--write-out=json", "status", "--"]),
    ] {
        let link = temp.path().join(name);
        let _ = symlink(binary(), &link);
        let mut command = Command::new(&link);
        command.args(words).arg(&input.path).stdin(Stdio::null());
        assert_eq!(run(command).good(), due);
        let words = ["as", name].into_iter().chain(words.iter().copied()).chain([input.name()]);
        assert_eq!(coldbolt(words).good(), due);
    }
    input.unchanged();
}

#[test]
fn etcdutl_says_of_each_file_what_etcdutl_says() {
    for version in VERSIONS {
        let input = snapshot(version);
        let hashkv = recorded(version, "snapshot.expected.hashkv.json");
        assert_eq!(etcdutl("hashkv FILE -w json", &input.path).good(), hashkv);
        if version >= "3.6" {
            let status = recorded(version, "snapshot.expected.status.json");
            assert_eq!(etcdutl("-w json snapshot status FILE", &input.path).good(), status);
        }
        input.unchanged();
    }
}

#[test]
fn etcdctl_gives_the_old_form_and_passes_over_how_a_server_is_reached() {
    for version in ["3.4.23", "3.5.1"] {
        let input = snapshot(version);
        let words = args![
            "as",
            "etcdctl",
            "--endpoints=a,b",
            "--hex",
            "snapshot",
            "status",
            input,
            "--command-timeout",
            "3s",
            "-w",
            "json"
        ];
        assert_eq!(coldbolt(words).good(), recorded(version, "snapshot.expected.status.json"));
        input.unchanged();
    }
}

/// What etcdutl 3.7.1 and etcdctl 3.4.23 draw of the snapshot of 3.7.1.
const BOX: &str = "\
┌──────────┬──────────┬────────────┬────────────┬─────────┐
│   HASH   │ REVISION │ TOTAL KEYS │ TOTAL SIZE │ VERSION │
├──────────┼──────────┼────────────┼────────────┼─────────┤
│ 268c4e45 │      106 │         60 │     131 kB │   3.7.0 │
└──────────┴──────────┴────────────┴────────────┴─────────┘
";
const ASCII: &str = "\
+----------+----------+------------+------------+
|   HASH   | REVISION | TOTAL KEYS | TOTAL SIZE |
+----------+----------+------------+------------+
| 268c4e45 |      106 |        120 |     131 kB |
+----------+----------+------------+------------+
";

#[test]
fn tables_are_drawn_as_each_program_draws_them() {
    let input = snapshot("3.7.1");
    let of = |name| coldbolt(args!["as", name, "snapshot", "status", input, "-w", "table"]);
    assert_eq!(of("etcdutl").good(), BOX);
    assert_eq!(of("etcdctl").good(), ASCII);
    input.unchanged();
}

/// Calls that fail, with the exit code and how the last line of standard error begins, as etcdutl 3.7.1 has them.
const FAILURES: &str = "
1 Error: unknown command \"snapsht\" for \"etcdutl\"|snapsht
1 Error: unknown flag: --version|--version
1 Error: unknown shorthand flag: 'x' in -x|-x
1 Error: flag needs an argument: 'w' in -w|-w
1 Error: accepts 1 arg(s), received 0|hashkv
1 Error: accepts 1 arg(s), received 2|hashkv FILE FILE
1 Error: required flag(s) \"data-dir\" not set|defrag
1 Error: required flag(s) \"data-dir\", \"target-version\" not set|migrate
1 Error: invalid argument \"foo\" for \"etcdutl completion\"|completion foo
1 Error: invalid argument \"x\" for \"--rev\" flag: strconv.ParseInt: parsing \"x\": invalid syntax|hashkv FILE --rev x
1 Error: invalid argument \"5x\" for \"--timeout\" flag: time: unknown unit \"x\" in duration \"5x\"|--timeout 5x version
128 Error: snapshot status requires exactly one argument|snapshot status
128 Error: snapshot status requires exactly one argument|snapshot status FILE FILE
128 Error: snapshot restore requires exactly one argument|snapshot restore
128 Error: --mark-compacted required if --revision-bump > 0|snapshot restore FILE --bump-revision 3
128 Error: --mark-compacted required if --revision-bump > 0|snapshot restore FILE --mark-compacted
4 Error: protobuf not supported as output format|snapshot status FILE -w protobuf
4 Error: unsupported output format|snapshot status FILE -w xml
4 Error: unsupported output format|hashkv FILE -w xml
1 Error: stat /nowhere/s.db: no such file or directory|snapshot status /nowhere/s.db -w protobuf
1 Error: open /nowhere/s.db: no such file or directory|snapshot restore /nowhere/s.db
1 Error: mvcc: required revision is a future revision|hashkv FILE --rev 107
1 Error: mvcc: required revision has been compacted|hashkv FILE --rev 60
1 Error: couldn't find local name \"x\" in the initial cluster configuration|snapshot restore FILE --name x
1 Error: Failed to defragment etcd data[/nowhere] (stat /nowhere/member/snap/db: no such file or directory)|defrag --data-dir /nowhere
1 Error: stat /nowhere/member/snap/db: no such file or directory|migrate --data-dir /nowhere --target-version 3.7
128 Error: wrong target version format, expected \"X.Y\", got \"3\"|migrate --data-dir /nowhere --target-version 3
128 Error: failed to parse target version: strconv.ParseInt: parsing \"a\": invalid syntax|migrate --data-dir /nowhere --target-version 3.a
128 Error: target version \"3.4\" not supported. Minimal \"3.5\"|migrate --data-dir /nowhere --target-version 3.4
";

#[test]
fn what_fails_has_the_words_and_the_exit_code_of_etcdutl() {
    let input = snapshot("3.7.1");
    for line in FAILURES.lines().filter(|line| !line.is_empty()) {
        let (due, words) = line.split_once('|').unwrap();
        let (code, due) = due.split_once(' ').unwrap();
        let run = etcdutl(words, &input.path);
        assert_eq!((run.code.to_string().as_str(), run.text()), (code, ""), "{words}: {run}");
        assert!(run.err.starts_with(due) && run.err.contains(due), "{words}: {run}");
        if code == "1" && run.err.contains("\nUsage:") {
            assert!(run.err.ends_with(&format!("\n\n{due}\n")), "{words}: {run}");
        }
    }
    input.unchanged();
}

#[test]
fn help_is_on_standard_output_with_exit_code_0() {
    let file = Path::new("/nowhere");
    let whole = etcdutl("", file).good().to_owned();
    assert!(
        whole.starts_with("Usage:\n  etcdutl [command]\n\nAvailable Commands:\n  completion  Generate"),
        "{whole}"
    );
    for words in ["help", "-h", "--help", "--help snapshot", "-w json"] {
        assert_eq!(etcdutl(words, file).good(), whole, "{words}");
    }
    let status = etcdutl("help snapshot status", file).good().to_owned();
    let due = "Usage:\n  etcdutl snapshot status <filename> [flags]\n\nFlags:\n  -h, --help   help for status\n\n\
               Global Flags:\n";
    assert!(status.starts_with(due), "{status}");
    assert_eq!(etcdutl("snapshot status FILE --help", file).good(), status);
    assert_eq!(etcdutl("snapshot nosuch", file).good(), etcdutl("snapshot", file).good());
    let none = etcdutl("help nosuch", file);
    assert!(none.code == 0 && none.text().is_empty(), "{none}");
    assert!(none.err.starts_with("Unknown help topic [`nosuch`]\nUsage:\n"), "{none}");
}

#[test]
fn completion_is_for_the_name_that_was_called() {
    for name in ["etcdutl", "etcdctl"] {
        for shell in ["bash", "zsh", "fish", "powershell"] {
            let run = coldbolt(["as", name, "completion", shell]);
            let text = run.good();
            assert!(text.contains(name) && text.contains("snapshot") && !text.contains("coldbolt"), "{run}");
        }
    }
}

#[test]
fn a_hash_that_is_wrong_or_missing_refuses_the_restore_in_etcdutls_words() {
    let temp = tempfile::tempdir().unwrap();
    let restore = |file: &Input, more: &str| {
        let run = coldbolt_in(
            temp.path(),
            ["as", "etcdutl", "snapshot", "restore", file.name(), "--data-dir", "new"]
                .into_iter()
                .chain(more.split_whitespace()),
        );
        assert!(!temp.path().join("new").exists() || run.code == 0, "{run}");
        file.unchanged();
        run
    };
    // The first sector gone, as etcd's own TestCtlV3SnapshotCorrupt has it: the hash is told, not the page.
    let file = "etcd-3.7.1/snapshot.db";
    let zeroed = Input::changed(temp.path(), file, |bytes| bytes[..512].fill(0));
    let bytes = fs::read(&zeroed.path).unwrap();
    let (payload, due) = bytes.split_at(bytes.len() - 32);
    let told = |sum: &[u8]| sum.iter().map(u8::to_string).collect::<Vec<_>>().join(" ");
    let text = format!("Error: expected sha256 [{}], got [{}]\n", told(due), told(&sha256(payload)));
    let run = restore(&zeroed, "");
    assert!(run.code == 1 && run.err.ends_with(&text), "{run}");
    let bare = Input::changed(temp.path(), file, |bytes| bytes.truncate(bytes.len() - 32));
    let run = restore(&bare, "--skip-hash-check=false");
    assert_eq!(run.code, 1);
    assert!(run.err.ends_with("Error: snapshot missing hash but --skip-hash-check=false\n"), "{run}");
    let run = restore(&bare, "--skip-hash-check -w json");
    assert_eq!((run.code, run.text()), (0, ""), "{run}");
    for line in [
        "\trestoring snapshot\t{\"path\": \"",
        "\tadded member\t{\"cluster-id\": \"",
        "\trestored snapshot\t{",
    ] {
        assert!(run.err.contains(line), "{run}");
    }
    assert!(temp.path().join("new/member/snap/db").exists());
}

#[test]
fn damage_is_told_by_status_and_no_number_of_it() {
    let temp = tempfile::tempdir().unwrap();
    let cut = Input::changed(temp.path(), "etcd-3.7.1/snapshot.db", |bytes| bytes.truncate(30_000));
    for format in ["simple", "json", "table"] {
        let run = etcdutl(&format!("snapshot status FILE -w {format}"), &cut.path);
        assert_eq!((run.code, run.text()), (1, ""), "{run}");
        assert!(run.err.starts_with("Error: snapshot file integrity check failed. "), "{run}");
    }
    let run = etcdutl("hashkv FILE", &cut.path);
    assert_eq!((run.code, run.text()), (1, ""), "{run}");
    cut.unchanged();
    let text = Input::write(temp.path(), "text", b"hello\n");
    let run = etcdutl("snapshot status FILE", &text.path);
    assert!(run.code == 1 && run.err.starts_with("Error: invalid database"), "{run}");
}

#[test]
fn defrag_says_what_etcdutl_logs_and_nothing_on_standard_output() {
    let temp = tempfile::tempdir().unwrap();
    let dir = unpack("3.6.14", "clean", temp.path());
    let before = fs::metadata(dir.join("member/snap/db")).unwrap().len();
    for name in ["etcdutl", "etcdctl"] {
        let run = coldbolt(args!["as", name, "defrag", "--data-dir", dir]);
        assert_eq!((run.code, run.text()), (0, ""), "{run}");
        let fields = run.err.split("\tfinished defragmenting directory\t").nth(1).expect("that it is done");
        let fields: Value = serde_json::from_str(fields.lines().next().unwrap()).unwrap();
        let after = fs::metadata(dir.join("member/snap/db")).unwrap().len();
        assert!(fields["current-db-size-bytes"].as_u64().unwrap() <= after && after <= before, "{run}");
    }
}

#[test]
fn migrate_says_what_etcdutl_logs() {
    let temp = tempfile::tempdir().unwrap();
    let dir = unpack("3.7.1", "cold", temp.path());
    let migrate = |more: &str| {
        let run = etcdutl(&format!("migrate --data-dir FILE --target-version {more}"), &dir);
        assert_eq!((run.code, run.text()), (0, ""), "{run}");
        run.err
    };
    let same = migrate("3.7");
    assert!(same.contains("storage version up-to-date\t{\"storage-version\": \"3.7\"}\n"), "{same}");
    let down = migrate("3.6");
    assert!(down.contains("updated storage version\t{\"new-storage-version\": \"3.6.0\"}\n"), "{down}");
    let forced = migrate("3.8 --force");
    assert!(forced.contains("forcefully set storage version\t{\"storage-version\": \"3.8\"}\n"), "{forced}");
}

#[test]
fn a_data_directory_answers_with_its_database_or_with_its_log_as_well() {
    for version in VERSIONS {
        let temp = tempfile::tempdir().unwrap();
        let dir = Input::new(unpack(version, "cold", temp.path()));
        let due: Value = serde_json::from_str(&recorded(version, "cold.expected.hashkv.json")).unwrap();
        let due = &due[0]["HashKV"];
        let last = due["header"]["revision"].as_i64().unwrap_or(133);
        let folded = format!("{}, {last}, {}\n", due["hash"], due["compact_revision"]);
        for words in [&["hashkv"][..], &["as", "etcdutl", "hashkv"]] {
            let ask = |more: &[&str]| {
                coldbolt(words.iter().copied().chain([dir.name()]).chain(more.iter().copied()))
            };
            let run = ask(&["--fold"]);
            assert_eq!((run.code, run.text()), (0, folded.as_str()), "{version}: {run}");
            let run = ask(&[]);
            assert!(run.code == 0 && run.text() != folded, "{version}: {run}");
            assert!(
                run.err.contains("entries are only in the WAL") && run.err.contains("with --fold"),
                "{run}"
            );
        }
        let db = dir.path.join("member/snap/db");
        for words in [&["status"][..], &["as", "etcdutl", "snapshot", "status"]] {
            let ask = |path: &Path, more: &[&str]| {
                let run =
                    coldbolt(words.iter().map(Path::new).chain([path]).chain(more.iter().map(Path::new)));
                assert_eq!(run.code, 0, "{run}");
                run.text().to_owned()
            };
            assert_eq!(ask(&dir.path, &[]), ask(&db, &[]));
            let revision = ask(&dir.path, &["--fold", "-w", "json"]);
            assert!(revision.contains(&format!("\"revision\":{last},")), "{revision}");
        }
        dir.unchanged();
    }
}

fn dump_logs(words: &str, dir: &Path) -> Run {
    let words =
        words.split_whitespace().map(|word| if word == "DIR" { dir.as_os_str() } else { word.as_ref() });
    let mut command = support::command(["as".as_ref(), "etcd-dump-logs".as_ref()].into_iter().chain(words));
    command.current_dir(dir.parent().unwrap());
    Run::of(command)
}

#[test]
fn etcd_dump_logs_prints_what_it_printed_by_one_dash_or_two() {
    for version in VERSIONS {
        let temp = tempfile::tempdir().unwrap();
        let dir = Input::new(unpack(version, "cold", temp.path()));
        let due = recorded(version, "cold.expected.dump-logs.txt");
        for words in ["DIR", "-entry-type Normal,ConfigChange DIR", "--raw=false -- DIR"] {
            let run = dump_logs(words, &dir.path);
            assert_eq!((run.code, run.text()), (0, due.as_str()), "{words}: {run}");
        }
        let snap = due.lines().nth(1).unwrap();
        let number =
            |name: &str| snap.split(name).nth(1).unwrap().split(' ').next().unwrap().parse::<u64>().unwrap();
        let name = format!("{:016x}-{:016x}.snap", number("term="), number("index="));
        assert_eq!(dump_logs(&format!("--start-snap={name} DIR"), &dir.path).text(), due);
        dir.unchanged();
    }
}

#[test]
fn what_etcd_dump_logs_refuses_has_its_exit_code() {
    let temp = tempfile::tempdir().unwrap();
    let dir = unpack("3.5.1", "cold", temp.path());
    for (words, code, due) in [
        ("", 1, "Must provide data-dir argument (got [])"),
        ("DIR -raw", 1, "Must provide data-dir argument (got ["),
        ("-foo DIR", 2, "flag provided but not defined: -foo\nUsage of etcd-dump-logs:\n"),
        ("-start-index x DIR", 2, "invalid value \"x\" for flag -start-index: parse error\nUsage of"),
        ("-start-snap a -start-index 4 DIR", 1, "start-snap and start-index flags cannot be used together."),
        ("-raw -entry-type IRRPut DIR", 1, "not supported in the RAW mode."),
        ("-stream-decoder /nowhere/decoder DIR", 2, "no such file or directory"),
        ("/nowhere", 1, "no such file or directory"),
        ("-h", 0, "Usage of etcd-dump-logs:\n"),
    ] {
        let run = dump_logs(words, &dir);
        assert_eq!((run.code, run.text()), (code, ""), "{words}: {run}");
        assert!(run.err.to_lowercase().contains(&due.to_lowercase()), "{words}: {run}");
    }
    let run = dump_logs("-entry-type bogus DIR", &dir);
    assert!(run.code == 0 && run.text().ends_with("\nEntry types (bogus) count is : 0\n"), "{run}");
    assert!(run.err.contains("[bogus] is not a valid entry-type, ignored."), "{run}");
}

#[test]
fn a_decoder_is_asked_entry_by_entry_and_its_failures_are_told() {
    let temp = tempfile::tempdir().unwrap();
    let dir = unpack("3.5.1", "cold", temp.path());
    let with = |script: &str| {
        fs::write(temp.path().join("decode"), script).unwrap();
        let words = ["as", "etcd-dump-logs", "-start-index", "143", "-stream-decoder", "sh decode"];
        let mut command = support::command(words.iter().map(Path::new).chain([dir.as_path()]));
        command.current_dir(temp.path());
        Run::of(command)
    };
    let run = with("while read line; do echo \"OK|${#line}\"; done");
    assert_eq!(run.code, 0, "{run}");
    let rows: Vec<_> = run.text().lines().filter(|line| line.contains("\tnorm\t")).collect();
    assert!(rows.len() == 2 && rows.iter().all(|row| row.contains("\tOK\t")), "{run}");
    assert!(run.text().contains("term\t     index\ttype\tdata\tdecoder_status\tdecoded_data\n"), "{run}");
    let run = with("while read line; do echo a; done; echo no >&2");
    assert!(run.text().contains("\tdecoder output format is not right, print output anyway\ta\n"), "{run}");
    assert!(run.code == 0 && run.err.contains("decoder stderr: no"), "{run}");
    let run = with("while read line; do echo 'a|b|c'; done");
    let due = "\ta(*WARNING: data might contain deliminator used by etcd-dump-logs)\tbc\n";
    assert!(run.code == 0 && run.text().contains(due), "{run}");
    let run = with("exit 0");
    assert!(run.code == 0 && run.text().ends_with("EOF\n") && !run.text().contains("count is"), "{run}");
    let run = with("while read line; do echo 'a|b'; done; exit 3");
    assert!(run.code == 2 && run.err.contains("exit status 3"), "{run}");
}

#[test]
fn what_needs_a_server_is_refused_by_name_with_what_does_it_here() {
    for (words, due) in [
        ("--endpoints http://127.0.0.1:2379 get foo --prefix", "`coldbolt get`"),
        ("snapshot save new.db", "`coldbolt save`"),
        ("endpoint status --cluster", "`coldbolt status --endpoints`"),
        ("put a b", "etcdctl put needs a server"),
        ("defrag", "--data-dir"),
    ] {
        let run = coldbolt(["as", "etcdctl"].into_iter().chain(words.split(' ')));
        assert!(run.code == 1 && run.text().is_empty() && run.err.contains(due), "{words}: {run}");
    }
}
