//! Runs that write and come to no good end: a call of theirs fails, or they are killed. What they were to make is there
//! and whole, or it is not there; and whatever is left does not stop the next run, which takes it away.
//!
//! strace makes each call fail, and sends a signal at each; and signals are sent at moments of chance:
//!
//!     COLDBOLT_FAULTS=all cargo test --test it ends::      # each call with each error and signal, not with one of them
//!     COLDBOLT_KILLS=10000 cargo test --test it ends::     # so many kills, over all commands

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use support::history::Seed;
use support::packed::unpacked;
use support::peers::strace;
use support::run::{binary, command};
use support::{Input, fixture};

use crate::copy_log::writing;
use crate::outputs::WRITING;

/// In the place of its source; all others write to OUT.
const IN_PLACE: &[&str] = &["defrag", "--data-dir", "OUT"];

/// Of every file below, by its path: what it holds.
type Tree = BTreeMap<PathBuf, Vec<u8>>;

fn tree(path: &Path) -> Tree {
    let mut found = Tree::new();
    let mut pending = vec![path.to_path_buf()];
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.symlink_metadata().is_ok() {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}

fn remove(path: &Path) {
    if path.is_dir() {
        fs::remove_dir_all(path).unwrap();
    } else if path.exists() {
        fs::remove_file(path).unwrap();
    }
}

/// One command, its inputs, and what it makes when nothing happens.
struct Work {
    args: Vec<String>,
    inputs: Vec<Input>,
    /// What stands at the place of the answer before.
    before: Tree,
    out: PathBuf,
    made: Tree,
    /// Where all that is written is.
    place: tempfile::TempDir,
    took: Duration,
}

/// How a run ended.
struct End {
    status: ExitStatus,
    err: String,
}

impl Work {
    fn new(args: &[&str], inputs: &Path) -> Work {
        let place = tempfile::tempdir().unwrap();
        let out = place.path().join("out");
        let member = inputs.join("member");
        let word = |arg: &&str| match *arg {
            "FILE" => inputs.join("file.db").to_str().unwrap().to_owned(),
            "KUBE" => inputs.join("kube.db").to_str().unwrap().to_owned(),
            "DB" => member.join("member/snap/db").to_str().unwrap().to_owned(),
            "DIR" => member.to_str().unwrap().to_owned(),
            "OUT" => out.to_str().unwrap().to_owned(),
            "--to-revision" => "--to-index".to_owned(),
            "133" => "22".to_owned(),
            other => other.to_owned(),
        };
        let args: Vec<String> = args.iter().map(word).collect();
        let mut work = Work {
            args,
            inputs: vec![Input::new(inputs)],
            before: Tree::new(),
            out,
            made: Tree::new(),
            place,
            took: Duration::ZERO,
        };
        if work.args[0] == "defrag" && work.args[1] == "--data-dir" {
            writing().files().write(&work.out);
            work.before = tree(&work.out);
        }
        let begun = Instant::now();
        let end = work.run(&mut command(&work.args));
        work.took = begun.elapsed();
        assert_eq!(end.status.code(), Some(0), "{:?}: {}", work.args, end.err);
        work.made = tree(&work.out);
        assert_ne!(work.made, work.before);
        work.again();
        work
    }

    fn run(&self, command: &mut Command) -> End {
        let output = command.stdin(Stdio::null()).stdout(Stdio::null()).output().unwrap();
        End { status: output.status, err: String::from_utf8_lossy(&output.stderr).into_owned() }
    }

    /// Everything as it was.
    fn again(&self) {
        remove(&self.out);
        for (path, bytes) in &self.before {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }

    /// What is there besides what is to be there.
    fn left(&self) -> Vec<PathBuf> {
        let beside = fs::read_dir(self.place.path()).unwrap().map(|entry| entry.unwrap().path());
        let inside = tree(&self.out).into_keys().filter(|path| !self.made.contains_key(path));
        beside.filter(|path| *path != self.out).chain(inside).collect()
    }

    /// Whether the answer is there, which is whole then.
    fn done(&self, why: &str) -> bool {
        let mut now = tree(&self.out);
        // A lock that was the last thing to go does no harm; what is inside of what is replaced is judged as left.
        now.retain(|path, _| self.made.contains_key(path));
        let done = now == self.made;
        assert!(done || now == self.before, "{why}: half of it is there");
        done
    }

    /// After a run that ended so nothing is half, and the next one does the work. `killed` may leave something.
    fn judge(&self, end: &End, killed: bool, why: &str) {
        let why = &format!("{:?}, {why}: {:?}\n{}", self.args, end.status, end.err);
        assert!(end.status.code() != Some(5) && !end.err.contains("internal error"), "{why}");
        let done = self.done(why);
        assert!(done || !end.status.success(), "{why}: good, and nothing is there");
        assert!(killed || self.left().is_empty(), "{why}: {:?} is left", self.left());
        if done {
            self.again();
        }
        let next = self.run(&mut command(&self.args));
        assert_eq!(next.status.code(), Some(0), "after {why}: {}", next.err);
        assert!(self.done(why) && self.left().is_empty(), "after {why}: {:?} is left", self.left());
        self.again();
    }

    fn inputs_are_unchanged(&self) {
        self.inputs.iter().for_each(Input::unchanged);
    }
}

/// All commands that write, on small files.
fn all(inputs: &Path) -> Vec<Work> {
    fs::copy(fixture("small-3.5.1/snapshot.db"), inputs.join("file.db")).unwrap();
    fs::write(inputs.join("kube.db"), unpacked(&fixture("kube/plain-1.37/snapshot.db.gz"))).unwrap();
    writing().files().write(&inputs.join("member"));
    WRITING.iter().chain(&[IN_PLACE]).map(|args| Work::new(args, inputs)).collect()
}

/// Calls that change what is on the disk.
const CALLS: [&str; 5] = [
    "write,pwrite64,writev",
    "fsync,fdatasync",
    "rename,renameat,renameat2",
    "fallocate,ftruncate",
    "mkdir,mkdirat",
];

/// What may happen at a call.
const EVENTS: [(&str, &[i32]); 6] = [
    ("error=ENOSPC", &[0, 3]),
    ("error=EIO", &[0, 3]),
    ("signal=KILL", &[0]),
    ("signal=TERM", &[0, 143]),
    ("signal=INT", &[0, 130]),
    ("signal=HUP", &[0, 129]),
];

/// How many calls the thread made that made the most: strace counts by thread. A signal that comes too late to stop
/// the program is not marked in its log.
fn most_of_a_thread(log: &Path) -> usize {
    let mut calls: BTreeMap<String, usize> = BTreeMap::new();
    let log = fs::read_to_string(log).unwrap();
    for line in log.lines().filter(|line| !line.contains(" resumed>") && line.contains('(')) {
        *calls.entry(line.split(' ').next().unwrap().to_owned()).or_default() += 1;
    }
    calls.into_values().max().unwrap_or(0)
}

#[test]
fn at_each_write_sync_and_rename_that_fails_or_is_the_last_the_answer_is_whole_or_not_there() {
    let inputs = tempfile::tempdir().unwrap();
    if strace().is_none() {
        return;
    }
    let all_events = std::env::var_os("COLDBOLT_FAULTS").is_some_and(|set| set == "all");
    let works = all(inputs.path());
    let (mut next, mut met, mut dead) = (0, 0, 0);
    for work in &works {
        let log = inputs.path().with_extension("log");
        for calls in CALLS {
            for nth in 1.. {
                let due = if all_events { EVENTS.len() } else { 1 };
                let mut seen = false;
                for (event, codes) in (0..due).map(|i| EVENTS[(next + i) % EVENTS.len()]) {
                    let mut command = strace().unwrap();
                    command.arg("-o").arg(&log).args(["-e", &format!("trace={calls}")]);
                    command.args(["-e", &format!("inject={calls}:{event}:when={nth}")]);
                    let end = work.run(command.arg(binary()).args(&work.args));
                    // A call that is the last of its program is not always in the log.
                    let happened = most_of_a_thread(&log) >= nth || !end.status.success();
                    seen |= happened;
                    let why = format!("{event} at {calls} {nth}");
                    let ended = end.status.code().is_none_or(|code| codes.contains(&code));
                    assert!(ended, "{why}: {:?}: {:?}\n{}", work.args, end.status, end.err);
                    let killed = event.ends_with("KILL");
                    assert!(end.status.signal().is_none_or(|signal| killed && signal == 9), "{why}");
                    work.judge(&end, killed, &why);
                    met += usize::from(happened);
                    dead += usize::from(end.status.signal() == Some(9));
                }
                next += 1;
                if !seen {
                    break;
                }
            }
        }
    }
    works.iter().for_each(Work::inputs_are_unchanged);
    println!("{met} calls failed or were the last, {dead} of them by SIGKILL");
    assert!(met > 5 * works.len() && dead > works.len(), "{met}, {dead}");
}

#[test]
fn whenever_a_run_is_killed_the_answer_is_whole_or_not_there_and_the_next_run_does_the_work() {
    let inputs = tempfile::tempdir().unwrap();
    let works = all(inputs.path());
    let kills = std::env::var("COLDBOLT_KILLS").map_or(65, |kills| kills.parse().unwrap());
    let seed = Seed::draw();
    let mut state = seed.0 | 1;
    let mut draw = |below: u64| {
        // xorshift64*
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % below.max(1)
    };
    let (mut met, mut left) = ([0; 3], 0);
    for kill in 0..kills {
        let work = &works[kill % works.len()];
        let which = draw(3) as usize;
        let signal = [Signal::KILL, Signal::TERM, Signal::INT][which];
        let after = Duration::from_micros(draw(work.took.as_micros() as u64 * 5 / 4));
        let child = command(&work.args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(after);
        // Not reaped yet, so the id is still the child's.
        let _ = kill_process(Pid::from_child(&child), signal);
        let output = child.wait_with_output().unwrap();
        let end = End { status: output.status, err: String::from_utf8_lossy(&output.stderr).into_owned() };
        let code = [0, 143, 130][which];
        assert!(end.status.code().is_none_or(|is| is == 0 || is == code), "{:?}: {}", work.args, end.err);
        met[which] += usize::from(!end.status.success());
        left += usize::from(!work.left().is_empty());
        // Before it hears of signals it has begun nothing.
        work.judge(&end, which == 0, &format!("{signal:?} after {after:?}"));
    }
    works.iter().for_each(Work::inputs_are_unchanged);
    println!("{kills} kills, {met:?} before the end by KILL, TERM, INT; {left} left something behind");
}
