//! Inputs that fail or change while they are read: every command says so, and none dies of it.
//!
//! strace stands between the command and the system: it makes a read fail as a bad sector does, or makes reads slow,
//! so that a file surely changes between two of them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use coldbolt::io::Source;
use coldbolt::ops::seal::unseal;
use coldbolt::ops::verify::{VerifyOptions, verify};
use coldbolt::ops::{InspectOptions, inspect, status};
use coldbolt::store::hashkv;
use coldbolt::store::hashkv::HashKvOptions;
use coldbolt::words::finding::Finding;
use coldbolt::words::monitor::{Collect, Monitor};
use coldbolt::{Code, Error};
use support::peers::strace;
use support::run::{filled, run};
use support::{Input, Run, binary, coldbolt, fixture, unpack};

/// The commands that read a database file; NEW is a place for what they write.
const OF_A_FILE: [&[&str]; 23] = [
    &["status", "FILE"],
    &["hashkv", "FILE"],
    &["inspect", "FILE"],
    &["inspect", "--hash", "FILE"],
    &["verify", "FILE"],
    &["get", "FILE", "--prefix", ""],
    &["keys", "FILE"],
    &["keys", "FILE", "--top", "3"],
    &["history", "FILE", "--prefix", ""],
    &["events", "FILE"],
    &["timeline", "FILE"],
    &["export", "FILE"],
    &["diff", "FILE", "--from-rev", "41", "--to-rev", "41"],
    &["leases", "FILE"],
    &["auth", "FILE"],
    &["alarms", "FILE"],
    &["members", "FILE"],
    &["unseal", "FILE", "-o", "NEW"],
    &["defrag", "FILE", "-o", "NEW"],
    &["copy", "FILE", "NEW"],
    &["restore", "FILE", "--data-dir", "NEW"],
    &["bolt", "pages", "FILE"],
    &["bolt", "keys", "FILE", "key"],
];

/// A command under strace, which does `what` to its reads of these files; `None` where strace cannot be used.
fn traced(what: &str, files: &[PathBuf], args: &[&str]) -> Option<Run> {
    let mut command = of_files(Path::new("/dev/null"), files)?;
    command.args(["-e", what]).arg(binary()).args(args);
    Some(run(command))
}

/// strace, which writes to `log` what is read of these files; `None` where it cannot be used.
fn of_files(log: &Path, files: &[PathBuf]) -> Option<Command> {
    let mut command = strace()?;
    command.args(["-e", "trace=pread64", "-o"]).arg(log);
    for file in files {
        command.arg("-P").arg(file);
    }
    Some(command)
}

fn empty(dir: &Path) -> bool {
    fs::read_dir(dir).unwrap().next().is_none()
}

#[test]
fn a_log_is_read_once_by_every_command_that_replays_or_judges_it() {
    let dir = tempfile::tempdir().unwrap();
    let cold = Input::new(unpack("3.6.14", "cold", dir.path()));
    let segment = cold.path.join("member/wal/0000000000000000-0000000000000000.wal");
    let (length, log, new) =
        (fs::metadata(&segment).unwrap().len(), dir.path().join("log"), dir.path().join("new"));
    for args in [
        &["verify", "FILE"][..],
        &["rank", "FILE"],
        &["copy", "FILE", "NEW"],
        &["get", "--fold", "FILE", "no such key"],
        &["wal", "dump", "FILE"],
    ] {
        let Some(mut command) = of_files(&log, std::slice::from_ref(&segment)) else { return };
        command.arg(binary()).args(filled(args, cold.name(), new.to_str().unwrap()));
        let run = run(command);
        assert!(matches!(run.code, 0 | 1), "{run}");
        // 12 pread64(3, "..."..., 262144, 0) = 262144
        let calls = fs::read_to_string(&log).unwrap();
        let read: u64 = calls.lines().filter_map(|call| call.rsplit("= ").next()?.parse::<u64>().ok()).sum();
        // Beside the whole of it, the windows in which the entries lie that are applied.
        assert!((length..length + length / 50).contains(&read), "{read} bytes of {length} were read: {run}");
    }
    cold.unchanged();
}

#[test]
fn a_sector_that_cannot_be_read_is_told_by_every_command() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    fs::create_dir(&out).unwrap();
    let new = out.join("new");
    let input = Input::write(dir.path(), "backup.db", &fs::read(fixture("small-3.5.1/snapshot.db")).unwrap());
    for args in OF_A_FILE {
        let args = filled(args, input.name(), new.to_str().unwrap());
        // From the first read on, from one in the middle on, and one alone.
        for when in ["1+", "3+", "6+", "4"] {
            let Some(run) = traced(
                &format!("inject=pread64:error=EIO:when={when}"),
                std::slice::from_ref(&input.path),
                &args,
            ) else {
                return;
            };
            // A command that reads less than that has its answer.
            let told = run.err.contains("Input/output error") || run.text().contains("Input/output error");
            // To copy, a source that cannot be looked at again is one that may have changed.
            let told = told || run.err.contains("changed while it was read");
            assert!(
                matches!(run.code, 1 | 3 | 4) && told || run.code == 0 && when != "1+",
                "EIO {when}: {run}"
            );
            if run.code == 0 {
                fs::remove_file(&new).or_else(|_| fs::remove_dir_all(&new)).unwrap_or_default();
            }
            assert!(empty(&out), "EIO {when}: {run}");
        }
    }
    input.unchanged();
}

#[test]
fn a_sector_of_a_log_that_cannot_be_read_is_told_by_every_command() {
    let dir = tempfile::tempdir().unwrap();
    let cold = Input::new(unpack("3.5.1", "cold", dir.path()));
    let out = dir.path().join("out");
    fs::create_dir(&out).unwrap();
    let new = out.join("new");
    let files = ["wal", "snap"].map(|name| fs::read_dir(cold.path.join("member").join(name)).unwrap());
    let files: Vec<_> = files.into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    for args in
        [&["wal", "dump", "FILE"][..], &["inspect", "FILE"], &["verify", "FILE"], &["copy", "FILE", "NEW"]]
    {
        let args = filled(args, cold.name(), new.to_str().unwrap());
        for when in ["1+", "5+", "9+"] {
            let Some(run) = traced(&format!("inject=pread64:error=EIO:when={when}"), &files, &args) else {
                return;
            };
            let told = run.err.contains("Input/output error") || run.text().contains("Input/output error");
            assert!(matches!(run.code, 1 | 3 | 4) && told, "EIO {when}: {run}");
            assert!(empty(&out), "EIO {when}: {run}");
        }
    }
    cold.unchanged();
}

#[test]
fn a_file_that_is_written_to_while_it_is_read_is_told_by_every_command() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    fs::create_dir(&out).unwrap();
    let new = out.join("new");
    let path = dir.path().join("backup.db");
    fs::copy(fixture("small-3.5.1/snapshot.db"), &path).unwrap();
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let file = File::options().write(true).open(&path).unwrap();
            for step in 1u64.. {
                if ended.load(Ordering::Relaxed) {
                    break;
                }
                file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_millis(step)).unwrap();
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        // Whatever fails below, the other thread ends.
        let _end = scopeguard(&ended);
        for args in OF_A_FILE.iter().filter(|args| args[0] != "bolt") {
            let args = filled(args, path.to_str().unwrap(), new.to_str().unwrap());
            let Some(run) = traced("inject=pread64:delay_enter=20000", std::slice::from_ref(&path), &args)
            else {
                return;
            };
            let told = [&*run.err, run.text()].iter().any(|text| text.contains("changed while it was read"));
            assert!(told, "{run}");
            let warned = ["inspect", "verify"].contains(&args[0]);
            assert!(warned || run.code == 3, "{run}");
            assert!(empty(&out), "{run}");
        }
    });
}

fn scopeguard(ended: &AtomicBool) -> impl Drop + '_ {
    struct Guard<'a>(&'a AtomicBool);
    impl Drop for Guard<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    Guard(ended)
}

/// Does something once, when the first part of the work begins.
struct Meanwhile<'m> {
    work: &'m (dyn Fn() + Sync),
    done: AtomicBool,
    heard: Collect,
}

impl Monitor for Meanwhile<'_> {
    fn begin(&self, _: &str, _: u64) {
        if !self.done.swap(true, Ordering::Relaxed) {
            (self.work)();
        }
    }

    fn finding(&self, finding: Finding) {
        self.heard.finding(finding);
    }
}

/// What each operation says of a file that `change` does something to meanwhile.
fn told_of(change: impl Fn(&Path) + Sync) -> Vec<(&'static str, Result<String, Error>, bool)> {
    type Work = fn(&Source, &dyn Monitor) -> Result<String, Error>;
    let works: [(&str, Work); 5] = [
        ("status", |source, monitor| status(source, monitor).map(|report| format!("{report:?}"))),
        ("hashkv", |source, monitor| {
            hashkv(source, &HashKvOptions::default(), monitor).map(|report| format!("{report:?}"))
        }),
        ("inspect", |source, monitor| {
            inspect(source, &InspectOptions::default(), monitor)
                .map(|report| format!("{:?}", report.findings))
        }),
        ("verify", |source, monitor| {
            verify(source, &VerifyOptions::default(), monitor).map(|report| format!("{:?}", report.findings))
        }),
        ("unseal", |source, monitor| {
            let dir = tempfile::tempdir().unwrap();
            let done = unseal(source, &dir.path().join("new"), monitor).map(|report| format!("{report:?}"));
            assert_eq!(empty(dir.path()), done.is_err());
            done
        }),
    ];
    works
        .into_iter()
        .map(|(name, work)| {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("backup.db");
            fs::copy(fixture("small-3.5.1/snapshot.db"), &path).unwrap();
            let source = Source::open(&path).unwrap();
            let monitor = Meanwhile {
                work: &|| change(&path),
                done: AtomicBool::new(false),
                heard: Collect::default(),
            };
            let told = work(&source, &monitor);
            let heard = format!("{:?}", monitor.heard).contains("changed while it was read");
            (name, told, heard)
        })
        .collect()
}

#[test]
fn a_file_that_grows_or_shrinks_or_is_written_over_is_told_with_what_has_changed() {
    let len = |path: &Path, len: u64| File::options().write(true).open(path).unwrap().set_len(len).unwrap();
    for (name, told, heard) in told_of(|path| len(path, 70_000)) {
        let said = told.unwrap_or_else(|error| error.to_string());
        assert!(said.contains("it had 61472 bytes, now it has 70000"), "{name}: {said} {heard}");
    }
    // The end alone: no page is missing.
    for (name, told, heard) in told_of(|path| len(path, 61_440)) {
        let said = told.unwrap_or_else(|error| error.to_string());
        let (had, cut) = (
            said.contains("it had 61472 bytes, now it has 61440"),
            said.contains("the file ends at byte 61440"),
        );
        assert!(had || heard || cut, "{name}: {said}");
    }
    let write = |path: &Path| {
        let bytes = fs::read(path).unwrap();
        fs::write(path, bytes).unwrap();
        File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(5))
            .unwrap();
    };
    for (name, told, heard) in told_of(write) {
        let said = told.unwrap_or_else(|error| error.to_string());
        assert!(said.contains("now at 5.000000000 (Unix time)") || heard, "{name}: {said}");
    }
}

#[test]
fn where_the_change_makes_it_damaged_the_change_is_told_too() {
    for (name, told, heard) in
        told_of(|path| File::options().write(true).open(path).unwrap().set_len(9000).unwrap())
    {
        match told {
            Err(Error::Damaged { corrupt, .. }) => {
                assert!(heard && corrupt.code == Code::Unreadable, "{name}: {corrupt}")
            }
            Err(error) => assert!(error.to_string().contains("changed while it was read"), "{name}: {error}"),
            Ok(report) => assert!(
                report.contains("changed while it was read") && report.contains("ends at byte 9000"),
                "{name}: {report}"
            ),
        }
    }
}

/// The file that was opened goes on to be read; another of its name is another file.
#[test]
fn a_file_that_is_replaced_is_read_to_its_end_as_it_was() {
    let other = |path: &Path| {
        let new = path.with_extension("new");
        fs::write(&new, "another").unwrap();
        fs::rename(&new, path).unwrap();
    };
    for (name, told, heard) in told_of(other) {
        assert!(told.is_ok() && !heard, "{name}: {told:?}");
    }
}

#[test]
fn nothing_is_said_of_a_file_that_is_only_read() {
    let dir = tempfile::tempdir().unwrap();
    let input = Input::write(dir.path(), "backup.db", &fs::read(fixture("small-3.5.1/snapshot.db")).unwrap());
    for args in [["status", input.name()], ["hashkv", input.name()], ["verify", input.name()]] {
        assert!(!coldbolt(args).err.contains("changed"));
    }
    input.unchanged();
}

#[test]
fn a_mapped_file_is_not_read() {
    let input = Input::new(fixture("small-3.5.1/snapshot.db"));
    let unreadable = "inject=pread64:error=EIO:when=1+";
    let files = [fixture("small-3.5.1/snapshot.db")];
    let Some(run) = traced(unreadable, &files, &["--mmap", "status", input.name()]) else { return };
    assert_eq!(run.good(), coldbolt(["status", input.name()]).good());
    input.unchanged();
}

/// Whatever is there.
fn remove(path: &Path) {
    if path.is_dir() {
        fs::remove_dir_all(path).unwrap();
    } else if path.exists() {
        fs::remove_file(path).unwrap();
    }
}

/// As a machine that has no more threads to give, from the first on or after a few.
#[test]
fn where_no_thread_is_to_be_had_every_command_does_its_work_on_one() {
    let file = Input::new(fixture("small-3.5.1/snapshot.db"));
    let temp = tempfile::tempdir().unwrap();
    let new = temp.path().join("new");
    let member = Input::new(unpack("3.6.14", "clean", temp.path()));
    let (file_name, new_name) = (file.name(), new.to_str().unwrap());
    let more: [&[&str]; 3] = [
        &["copy", member.name(), "NEW"],
        &["verify", "FILE", "--ndjson", "--jobs", "1000"],
        &["verify", member.name(), "--jobs", "8"],
    ];
    for args in OF_A_FILE.iter().chain(&more) {
        let args = filled(args, file_name, new_name);
        let due = coldbolt(&args);
        for from in ["1+", "2+", "4+"] {
            remove(&new);
            let Some(mut command) = strace() else { return };
            let none = format!("inject=clone,clone3:error=EAGAIN:when={from}");
            command.args(["-o", "/dev/null", "-e", "trace=clone,clone3", "-e", &none]);
            command.arg(binary()).args(&args);
            let ran = run(command);
            assert_eq!(ran.code, due.code, "{from}: {ran}");
            assert!(ran.out == due.out || args.contains(&"--ndjson"), "{from}: {ran}\n{due}");
        }
        remove(&new);
    }
    file.unchanged();
    member.unchanged();
}
