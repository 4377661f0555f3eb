//! What is written: for whom, what becomes of it when a run is ended, and which exit code says that it is not there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use support::packed::unpacked;
use support::run::{binary, run};
use support::{Input, command, fixture, unpack};

/// Every command that writes; `FILE` is a snapshot file, `DB` a database, `DIR` a member's directory, `KUBE` a
/// snapshot file with objects of Kubernetes.
pub const WRITING: [&[&str]; 15] = [
    &["copy", "DIR", "OUT"],
    &["copy", "--exact", "DIR", "OUT"],
    &["copy", "--as", "data-dir", "DIR", "OUT"],
    &["replay", "DIR", "--to-revision", "133", "-o", "OUT"],
    &["seal", "DB", "-o", "OUT"],
    &["unseal", "FILE", "-o", "OUT"],
    &["restore", "FILE", "--data-dir", "OUT"],
    &["restore", "FILE", "--all-members", "OUT"],
    &["defrag", "FILE", "-o", "OUT"],
    &["salvage", "FILE", "-o", "OUT"],
    &["member", "add", "--peer-urls", "http://h:1", "--data-dir", "DIR", "-o", "OUT"],
    &["export", "FILE", "-o", "OUT"],
    &["verify", "FILE", "--manifest", "OUT"],
    &["kube", "extract", "KUBE", "deploy/dep-delta-4", "-n", "team-grove-96", "-o", "OUT"],
    &["kube", "delete", "KUBE", "deploy", "dep-delta-4", "-n", "team-grove-96", "-o", "OUT"],
];

/// Where the inputs are.
struct Home {
    dir: tempfile::TempDir,
    file: Input,
    kube: Input,
    member: Input,
}

impl Home {
    fn new() -> Home {
        let dir = tempfile::tempdir().unwrap();
        let member = Input::new(unpack("3.6.14", "clean", dir.path()));
        let kube = Input::write(dir.path(), "kube.db", &unpacked(&fixture("kube/plain-1.37/snapshot.db.gz")));
        Home { file: Input::new(fixture("etcd-3.6.14/snapshot.db")), kube, member, dir }
    }

    fn place(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn args(&self, args: &[&str], out: &Path) -> Vec<String> {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let word = |arg: &&str| match *arg {
            "FILE" => text(&self.file.path),
            "KUBE" => text(&self.kube.path),
            "DB" => text(&self.member.path.join("member/snap/db")),
            "DIR" => text(&self.member.path),
            "OUT" => text(out),
            other => other.to_owned(),
        };
        args.iter().map(word).collect()
    }

    fn unchanged(&self) {
        self.file.unchanged();
        self.kube.unchanged();
        self.member.unchanged();
    }
}

/// With the shell's `first` before it.
fn shell(first: &str, args: &[String]) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{first}; exec \"$0\" \"$@\"")]);
    command.arg(binary()).args(args).stdin(Stdio::null());
    command
}

/// Every file and directory at and below a path, with its mode.
fn modes(path: &Path, found: &mut Vec<(PathBuf, bool, u32)>) {
    let there = fs::symlink_metadata(path).unwrap();
    found.push((path.to_path_buf(), there.is_dir(), there.permissions().mode() & 0o7777));
    if there.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| modes(&entry.unwrap().path(), found));
    }
}

#[test]
fn what_is_written_is_for_its_owner_alone_whatever_the_umask() {
    let home = Home::new();
    for (n, umask) in ["umask 0", "umask 022", "umask 077"].into_iter().enumerate() {
        for (m, args) in WRITING.iter().enumerate() {
            let out = home.place(&format!("made-{n}-{m}"));
            let done = run(shell(umask, &home.args(args, &out)));
            assert!(out.exists(), "{done}");
            let mut found = Vec::new();
            modes(&out, &mut found);
            for (path, is_dir, mode) in found {
                assert_eq!(mode, if is_dir { 0o700 } else { 0o600 }, "{} of {args:?}", path.display());
            }
        }
    }
    home.unchanged();
}

#[test]
fn a_report_is_for_its_owner_until_its_owner_says_otherwise() {
    let home = Home::new();
    for flag in ["--junit", "--sarif", "--markdown", "--prometheus"] {
        let out = home.place(&flag[2..]);
        let args = home.args(&["verify", "FILE", flag, "OUT"], &out);
        let mode = || fs::metadata(&out).unwrap().permissions().mode() & 0o7777;
        run(shell("umask 0", &args)).says(0, &[]);
        assert_eq!(mode(), 0o600, "{flag}");
        fs::set_permissions(&out, fs::Permissions::from_mode(0o644)).unwrap();
        run(shell("umask 0", &args)).says(0, &[]);
        assert_eq!(mode(), 0o644, "{flag}");
    }
    home.unchanged();
}

/// Starts a command and sends it a signal as soon as it has something under way.
fn interrupted(args: &[String], partial: &Path, signal: &str) -> std::process::Output {
    let mut child: Child = command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while !partial.exists() && child.try_wait().unwrap().is_none() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{args:?}");
    }
    Command::new("kill").args([signal, &child.id().to_string()]).stderr(Stdio::null()).status().unwrap();
    child.wait_with_output().unwrap()
}

fn remove(path: &Path) {
    if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
}

#[test]
fn who_is_ended_by_a_signal_leaves_nothing_and_says_by_which() {
    let home = Home::new();
    for (signal, due) in [("-INT", 130), ("-TERM", 143)] {
        for args in [WRITING[0], WRITING[2], WRITING[6], WRITING[8]] {
            let out = home.place("out");
            let mut caught = false;
            for _ in 0..300 {
                let ended = interrupted(&home.args(args, &out), &home.place("out.partial"), signal);
                assert!(!home.place("out.partial").exists(), "{args:?} left something: {ended:?}");
                match ended.status.code() {
                    Some(0) => remove(&out),
                    // In its place at the last moment is whole.
                    code => {
                        assert_eq!(code, Some(due), "{args:?}: {ended:?}");
                        caught |= !out.exists();
                        if out.exists() {
                            remove(&out);
                        }
                    }
                }
                if caught {
                    break;
                }
            }
            assert!(caught, "{args:?} was never interrupted in time");
        }
    }
    home.unchanged();
}

#[test]
fn what_a_killed_run_left_does_not_stop_the_next_one_which_says_so() {
    let home = Home::new();
    let partial = home.place("out.partial");
    for args in [WRITING[0], WRITING[2], WRITING[6], WRITING[8]] {
        let out = home.place("out");
        let args = home.args(args, &out);
        let left = (0..300).any(|_| {
            interrupted(&args, &partial, "-KILL");
            if out.exists() {
                remove(&out);
            }
            partial.exists()
        });
        assert!(left, "{args:?} was never killed in time");
        // A directory that was killed before it had its lock is nobody's.
        if partial.is_dir() && !partial.join(".coldbolt.lock").exists() {
            remove(&partial);
            continue;
        }
        run(command(&args)).says(0, &["out.partial: was left by a run that died, and is removed"]);
        assert!(out.exists() && !partial.exists());
        remove(&out);
    }
    home.unchanged();
}

#[test]
fn what_a_living_run_has_under_way_is_refused_and_stays() {
    let home = Home::new();
    let (out, partial) = (home.place("out"), home.place("out.partial"));
    let refuses = |args: &[&str]| {
        run(command(home.args(args, &out))).says(1, &["out.partial: ", "is still at work"]);
        assert!(!out.exists() && partial.exists(), "{args:?}");
    };
    let all = || WRITING.iter();
    let held = fs::File::create(&partial).unwrap();
    held.lock().unwrap();
    all().for_each(|args| refuses(args));
    drop(held);
    remove(&partial);

    fs::create_dir(&partial).unwrap();
    // A directory that no run of this program has begun.
    fs::write(partial.join("precious"), "kept").unwrap();
    all().for_each(|args| refuses(args));
    let held = fs::File::create(partial.join(".coldbolt.lock")).unwrap();
    held.lock().unwrap();
    all().for_each(|args| refuses(args));
    assert_eq!(fs::read(partial.join("precious")).unwrap(), b"kept");
    home.unchanged();
}

#[test]
fn an_output_that_cannot_be_written_is_exit_code_3_and_named() {
    let home = Home::new();
    let nowhere = home.place("none/out");
    for args in WRITING {
        let makes_parents = matches!(args[0], "restore" | "member" | "kube") || args.contains(&"data-dir");
        if !makes_parents {
            run(command(home.args(args, &nowhere))).says(3, &["none/out: there is no directory"]);
        }
        // Nobody may make a file there, not even root.
        let forbidden = Path::new("/sys/coldbolt-out");
        run(command(home.args(args, forbidden))).says(3, &["/sys/coldbolt-out"]);
    }
    for args in WRITING.iter().filter(|args| args[0] != "verify") {
        let out = home.place("out");
        for limited in ["ulimit -f 8", "trap '' XFSZ; ulimit -f 8"] {
            let done = run(shell(limited, &home.args(args, &out)));
            done.says(3, &["out", "bytes are free in"]);
            assert!(!out.exists() && !home.place("out.partial").exists(), "{done}");
        }
    }
    for args in [&["verify", "FILE"][..], &["keys", "FILE"], &["copy", "DIR", "-"]] {
        let mut full = command(home.args(args, Path::new("")));
        full.stdout(fs::OpenOptions::new().write(true).open("/dev/full").unwrap()).stderr(Stdio::piped());
        let output = full.spawn().unwrap().wait_with_output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{args:?}: {err}");
        assert!(err.contains("standard output: No space left"), "{err}");
    }
    home.unchanged();
}

#[test]
fn an_output_that_exists_is_exit_code_1_and_wrong_usage_2_in_every_command() {
    let home = Home::new();
    for is_dir in [false, true] {
        let out = home.place("out");
        if is_dir {
            fs::create_dir(&out).unwrap();
        }
        let precious = if is_dir { out.join("precious") } else { out.clone() };
        fs::write(&precious, "kept").unwrap();
        for args in WRITING {
            let done = run(command(home.args(args, &out)));
            done.says(1, &["out"]);
            assert!(done.err.contains("exists") || done.err.contains("not empty"), "{done}");
            assert_eq!(fs::read(&precious).unwrap(), b"kept");
        }
        remove(&out);
    }
    for args in WRITING {
        let mut wrong = home.args(args, &home.place("out"));
        wrong.push("--no-such-flag".to_owned());
        run(command(&wrong)).says(2, &["--no-such-flag"]);
        // Without the output.
        let short: Vec<_> =
            home.args(args, Path::new("")).into_iter().filter(|arg| !arg.is_empty()).collect();
        if !matches!(args[0], "export") {
            assert_eq!(run(command(&short)).code, 2, "{short:?}");
        }
    }
    let file = home.file.name();
    let url = ["--initial-cluster", "a=nonsense"];
    run(command([&["restore", file][..], &url].concat())).says(2, &["nonsense"]);
    home.unchanged();
}

/// Runs with a reader of its answer that goes away at once.
fn unheard(args: &[String]) -> Option<i32> {
    let mut child = command(args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    drop(child.stdout.take());
    child.wait().unwrap().code()
}

#[test]
fn a_reader_that_goes_away_makes_no_bad_file_good_and_no_cut_backup_whole() {
    let home = Home::new();
    let bad = home.place("bad.db");
    let mut bytes = fs::read(&home.file.path).unwrap();
    let at = bytes.len() - 1;
    bytes[at] ^= 1;
    fs::write(&bad, bytes).unwrap();
    let (file, member) = (home.file.name(), home.member.name());
    let bad = bad.to_str().unwrap();
    for (args, due) in [
        (&["verify", bad][..], 1),
        (&["verify", bad, "-w", "json"], 1),
        (&["verify", bad, "--ndjson"], 1),
        (&["verify", file], 0),
        (&["verify", file, "--min-revision", "1000000"], 1),
        (&["diff", file, member], 1),
        (&["keys", file], 0),
        (&["copy", member, "-"], 3),
        (&["replay", member, "--to-revision", "133", "-o", "-"], 3),
        (&["unseal", file, "-o", "-"], 3),
    ] {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        assert_eq!(unheard(&args), Some(due), "{args:?}");
    }
    home.unchanged();
}

#[test]
fn where_nothing_is_looked_at_nothing_is_good() {
    let home = Home::new();
    let backups = home.place("backups");
    fs::create_dir(&backups).unwrap();
    let yesterday = backups.join("yesterday.db");
    fs::copy(&home.file.path, &yesterday).unwrap();
    let (backups, yesterday) = (backups.to_str().unwrap(), yesterday.to_str().unwrap());
    let done = run(command(["verify", backups, "--previous", yesterday, "--strict"]));
    done.says(3, &["backups", "holds no file but those that it is compared with"]);
    // Named twice it is looked at once.
    fs::copy(yesterday, home.place("backups/today.db")).unwrap();
    run(command(["verify", backups, backups, yesterday, "--previous", yesterday])).says(0, &[]);
    let none = coldbolt::ops::verify::fleet::verify_all(
        &[],
        &coldbolt::ops::verify::fleet::FleetOptions::default(),
        &coldbolt::words::monitor::Quiet,
    );
    assert_eq!(none.unwrap().verdict, coldbolt::ops::verify::Verdict::Unreadable);
}

#[test]
fn a_history_with_missing_pages_has_not_passed() {
    let home = Home::new();
    let bytes = fs::read(&home.file.path).unwrap();
    let mut seen = 0;
    for page in 2..bytes.len() / 4096 {
        let mut zeroed = bytes.clone();
        zeroed[page * 4096..(page + 1) * 4096].fill(0);
        let path = home.place("zeroed.db");
        fs::write(&path, zeroed).unwrap();
        let done = run(command(["verify", path.to_str().unwrap(), "-w", "json"]));
        let answer = done.json();
        let outcome = |level: &str| {
            let levels = answer["files"][0]["levels"].as_array().unwrap();
            levels.iter().find(|l| l["level"] == level).unwrap()["outcome"].as_str().unwrap().to_owned()
        };
        if outcome("pages") == "failed" {
            seen += 1;
            assert!(matches!(outcome("mvcc").as_str(), "failed" | "not-run"), "page {page}: {done}");
        }
    }
    assert!(seen > 3, "{seen}");
}

#[test]
fn a_code_that_is_worse_than_usual_is_told_as_bad_as_it_was_found() {
    use coldbolt::ops::verify::{VerifyOptions, verify};
    use coldbolt::words::finding::Severity;
    let home = Home::new();
    let mut file =
        verify(&home.file.path, &VerifyOptions::default(), &coldbolt::words::monitor::Quiet).unwrap();
    let code = coldbolt::words::finding::Code::InUse;
    assert_ne!(code.severity(), Severity::Damage);
    file.finding_counts.insert(code, 2);
    file.severities.insert(code, Severity::Damage);
    assert_eq!(file.codes().first(), Some(&(code, Severity::Damage, 2)));
    let mut answer = coldbolt::ops::verify::Answer::default();
    let took = Duration::from_secs(1);
    answer.files.push(coldbolt::ops::verify::Judged { verification: file, took });
    let mut text = Vec::new();
    coldbolt::report::prometheus::write(&answer, &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("code=\"in-use\",severity=\"damage\"} 2"), "{text}");
}

#[test]
fn a_key_that_is_not_there_is_exit_code_1() {
    let home = Home::new();
    let file = home.file.name();
    for (args, due) in [
        (&["get", file, "/no/such/key"][..], 1),
        (&["get", file, "/no/such/key", "-w", "json"], 1),
        (&["history", file, "/no/such/key"], 1),
        (&["history", file, "/no/such/key", "-w", "json"], 1),
        (&["get", file, "--prefix", "/no/such/key"], 0),
        (&["get", file, "", "--from-key", "--limit", "1"], 0),
    ] {
        assert_eq!(run(command(args)).code, due, "{args:?}");
    }
}

#[test]
fn a_rule_or_a_place_that_makes_no_sense_is_wrong_usage() {
    let home = Home::new();
    let file = home.file.name();
    for args in [
        &["--min-revision=-1"][..],
        &["--max-revision=-1"],
        &["--require-prefix", "/p/>50"],
        &["--require-prefix", "/p/<=50"],
        &["--junit", "-"],
        &["--manifest", "-"],
    ] {
        assert_eq!(run(command([&["verify", file], args].concat())).code, 2, "{args:?}");
    }
    run(command(["copy", file, home.place("c.db").to_str().unwrap(), "--manifest", "-"])).says(2, &["-"]);
    assert!(!Path::new("-").exists());
}

#[test]
fn no_more_threads_are_started_than_help_and_that_is_said_once() {
    let home = Home::new();
    let done = run(command(["verify", home.file.name(), "--jobs", "99999"]));
    done.says(0, &["--jobs 99999: "]);
    assert_eq!(done.err.matches("--jobs").count(), 1, "{done}");
    assert_eq!(run(command(["verify", home.file.name(), "--jobs", "2"])).err, "");
}

#[test]
fn restore_logs_with_tabs_as_etcdutl_does_and_help_is_a_command() {
    let home = Home::new();
    let out = home.place("out");
    let args = home.args(&["restore", "FILE", "--data-dir", "OUT"], &out);
    let done = run(command(&args));
    done.says(0, &["info\tadded member\t{", "info\trestored snapshot\t{"]);
    let help = |args: &[&str]| run(command(args)).good().to_owned();
    assert_eq!(help(&["help"]), help(&["--help"]));
    assert_eq!(help(&["help", "snapshot", "status"]), help(&["snapshot", "status", "--help"]));
}

/// A small disk of its own for the command; `None` where nobody may make one.
fn on_a_small_disk(kilobytes: u32, args: &[String], out: &Path) -> Option<support::Run> {
    let disk = out.parent().unwrap();
    let mount = format!("mount -t tmpfs -o size={kilobytes}k none {}", disk.display());
    let unshare = |run: &str| {
        let mut command = Command::new("unshare");
        command.args(["-rm", "sh", "-c", &format!("{mount} && {run}")]);
        command
    };
    if !unshare("true").stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        println!("skipped: no disk can be mounted here");
        return None;
    }
    let mut command = unshare("exec \"$0\" \"$@\"");
    command.arg(binary()).args(args).stdin(Stdio::null());
    Some(run(command))
}

#[test]
fn what_has_no_room_is_told_before_it_is_written_with_the_bytes_that_it_needs_and_those_that_are_free() {
    let home = Home::new();
    fs::create_dir(home.place("disk")).unwrap();
    let out = home.place("disk/out");
    let mut seen = 0;
    for args in WRITING.iter().filter(|args| matches!(args[0], "copy" | "seal" | "unseal" | "restore")) {
        let Some(done) = on_a_small_disk(64, &home.args(args, &out), &out) else { return };
        done.says(3, &["disk/out: ", " bytes are needed; 65536 bytes are free in ", "/disk"]);
        assert!(!done.err.contains(".partial"), "{done}");
        seen += 1;
    }
    assert!(seen >= 7, "{seen}");
    // Where it is not known before, what is free is told all the same, and what it may take if that has a limit.
    let args = home.args(&["defrag", "FILE", "-o", "OUT"], &out);
    let Some(done) = on_a_small_disk(16, &args, &out) else { return };
    let most = format!(
        "; up to {} bytes are needed; 16384 bytes are free in ",
        fs::metadata(&home.file.path).unwrap().len()
    );
    done.says(3, &["disk/out: No space left on device", &most]);
    let args = home.args(&["export", "FILE", "-o", "OUT"], &out);
    let Some(done) = on_a_small_disk(16, &args, &out) else { return };
    done.says(3, &["disk/out: No space left on device", " bytes are free in "]);
    home.unchanged();
}

#[test]
fn damage_that_is_allowed_is_no_fault_when_it_is_read_back() {
    let home = Home::new();
    let mut bytes = fs::read(fixture("etcd-3.4.23/snapshot.db")).unwrap();
    // The name that the key has differs from the one in the value.
    let user = b"alice\x0a\x05alice";
    let found: Vec<usize> =
        (0..bytes.len() - user.len()).filter(|at| bytes[*at..].starts_with(user)).collect();
    assert!(!found.is_empty());
    found.iter().for_each(|at| bytes[at + 4] = b'E');
    let bad = Input::write(home.dir.path(), "bad.db", &bytes);
    for (n, more) in [&[][..], &["--revision", "100"], &["--bump-revision", "10", "--mark-compacted"]]
        .into_iter()
        .enumerate()
    {
        let out = home.place(&format!("made-{n}"));
        let args =
            [&["restore", bad.name(), "--data-dir", out.to_str().unwrap(), "--allow-damage"], more].concat();
        run(command(&args)).says(0, &["value-undecodable"]);
        assert!(out.join("member/snap/db").is_file());
    }
    bad.unchanged();
}

#[test]
fn messages_name_what_there_is() {
    let home = Home::new();
    let (file, member) = (home.file.name(), home.member.name());
    let out = home.place("out");
    let out = out.to_str().unwrap();
    run(command(["member", "remove", "m1", "--data-dir", member, "-o", out]))
        .says(2, &["an id is up to 16 hex digits", "nor is a name"]);
    run(command(["hashkv", file, "--rev", "999999"])).says(1, &["999999 was asked for, ", " has revisions "]);
    run(command(["restore", file, "--data-dir", out, "--bump-revision", "5"]))
        .says(2, &["--bump-revision > 0"]);
    // The notes are of the source, and not of what is under way.
    let done = run(command(["defrag", home.member.path.join("member/snap/db").to_str().unwrap(), "-o", out]));
    assert_eq!((done.code, done.err.matches("[trailer-absent]").count()), (0, 1), "{done}");
    assert!(!done.err.contains(".partial"), "{done}");
    // A dry run tells the length that there will be.
    let dry =
        run(command(["restore", file, "--data-dir", &format!("{out}-d"), "--dry-run", "-w", "json"])).json();
    let real = run(command(["restore", file, "--data-dir", &format!("{out}-d"), "-w", "json"])).json();
    assert_eq!(dry["members"][0]["files"], real["members"][0]["files"]);
    let db = fs::metadata(home.place("out-d/member/snap/db")).unwrap().len();
    assert_eq!(dry["members"][0]["files"][0]["bytes"], db);
    let packed = Input::write(home.dir.path(), "backup.db.Z", b"\x1f\x9d and more");
    run(command(["verify", packed.name()])).says(3, &["`gzip -dc FILE | coldbolt COMMAND -`"]);
    let fifo = home.place("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    run(command(["status", fifo.to_str().unwrap()])).says(3, &["is not a regular file", "`-`"]);
    home.unchanged();
}

#[test]
fn progress_counts_each_byte_of_the_file_once() {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    #[derive(Default)]
    struct Count(AtomicU64, AtomicU64);
    impl coldbolt::words::monitor::Monitor for Count {
        fn begin(&self, _: &str, total: u64) {
            self.0.fetch_add(total, Relaxed);
        }
        fn advance(&self, bytes: u64) {
            self.1.fetch_add(bytes, Relaxed);
        }
    }
    let home = Home::new();
    let count = Count::default();
    let options = coldbolt::ops::verify::VerifyOptions::default();
    coldbolt::ops::verify::verify(&home.file.path, &options, &count).unwrap();
    let len = fs::metadata(&home.file.path).unwrap().len();
    assert_eq!((count.0.into_inner(), count.1.into_inner()), (len, len));
}

#[test]
fn what_is_no_text_is_not_put_on_a_terminal() {
    let home = Home::new();
    let mut lines =
        vec!["copy FILE -", "replay DIR --to-revision 133 -o -", "seal DB -o -", "unseal FILE -o -"];
    if cfg!(feature = "parquet") {
        lines.push("export FILE -w parquet");
    }
    for line in lines {
        let args: Vec<&str> = line.split(' ').collect();
        let args = home.args(&args, &home.place("unused"));
        let line: Vec<String> = args.iter().map(|arg| format!("'{arg}'")).collect();
        let line =
            format!("'{}' {} 2>'{}'", binary().display(), line.join(" "), home.place("said").display());
        // `script` gives the command a terminal.
        let script = Command::new("script").args(["-qec", &line, "/dev/null"]).stdin(Stdio::null()).output();
        let Ok(shown) = script else {
            println!("skipped: no script(1)");
            return;
        };
        let said = fs::read_to_string(home.place("said")).unwrap();
        assert!(said.contains("standard output is a terminal"), "{line}: {said}");
        assert!(shown.stdout.is_empty() && shown.status.code() == Some(2), "{line}: {shown:?}");
    }
    home.unchanged();
}
