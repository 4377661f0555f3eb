//! Running the binary where nothing of what it must never do may happen: a signal, a fault of its own, a hang, a
//! secret told.

use std::ffi::OsStr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::schemas;

/// No command on a small file comes near it, even on a busy machine; a hang does.
const PATIENCE: Duration = Duration::from_secs(120);

/// Until when a test waits for a server that others wait for too: elections and writes to a disk take as long as the
/// machine is busy. Past it nothing more will come.
pub fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(180)
}

/// The binary that cargo built for the tests: cargo tells the programs that it runs where that is.
pub fn binary() -> PathBuf {
    std::env::var_os("CARGO_BIN_EXE_coldbolt")
        .expect("run by cargo, which sets CARGO_BIN_EXE_coldbolt")
        .into()
}

/// The binary with these arguments, not yet started.
pub fn command<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(binary());
    command.args(args).stdin(Stdio::null());
    command
}

/// Runs the binary. A signal, a fault of its own or a hang fails the test, whatever the test asks.
pub fn coldbolt<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Run {
    run(command(args))
}

/// The same in that directory.
pub fn coldbolt_in<S: AsRef<OsStr>>(dir: &Path, args: impl IntoIterator<Item = S>) -> Run {
    let mut command = command(args);
    command.current_dir(dir);
    run(command)
}

/// The same in 200 MB of memory and 5 seconds of processor time: past either the process ends by a signal, and the
/// test fails.
pub fn coldbolt_within_limits<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Run {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -d 204800 && ulimit -t 5 && ulimit -c 0 && exec \"$0\" \"$@\""]);
    command.arg(binary()).args(args).stdin(Stdio::null());
    run(command)
}

/// Runs a command that ends in the binary.
pub fn run(command: Command) -> Run {
    let run = Run::of(command);
    assert!(
        run.code != 5 && !run.err.contains("internal error") && !run.err.contains("panicked"),
        "a fault of its own: {run}"
    );
    for text in [&run.out, run.err.as_bytes()] {
        assert!(!text.windows(4).any(|four| four == b"$2a$"), "a password hash was printed: {run}");
    }
    schemas::check(&run.out, run.said.contains("ndjson"), run.code == 0, &run);
    run
}

/// Waits for a child that may hang; its output is read meanwhile.
pub fn wait(child: Child, said: &str) -> Output {
    let pid = child.id();
    let (done, waited) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            if waited.recv_timeout(PATIENCE).is_err() {
                // Reaped only below, so the id is still the child's.
                let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
            }
        });
        let output = child.wait_with_output().unwrap();
        let _ = done.send(());
        assert_ne!(output.status.signal(), Some(9), "{said} did not end in {PATIENCE:?}");
        output
    })
}

/// What a run of a program left.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub out: Vec<u8>,
    pub err: String,
    pub took: Duration,
    said: String,
}

impl Run {
    /// Runs any program, or the binary where it may tell secrets and fail: only a signal and a hang fail the test.
    pub fn of(mut command: Command) -> Run {
        let started = Instant::now();
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let said = format!("{command:?}");
        let output = wait(child.unwrap_or_else(|error| panic!("{said}: {error}")), &said);
        let err = String::from_utf8(output.stderr).expect("messages are UTF-8");
        let code = output
            .status
            .code()
            .unwrap_or_else(|| panic!("{said} was ended by signal {:?}\n{err}", output.status.signal()));
        Run { code, out: output.stdout, err, took: started.elapsed(), said }
    }

    /// The answer.
    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.out).unwrap_or_else(|error| panic!("{error}: {self}"))
    }

    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.out).unwrap_or_else(|error| panic!("{error}: {self}"))
    }

    /// The exit code, and parts of what was said on standard error.
    #[track_caller]
    pub fn says(&self, code: i32, parts: &[&str]) -> &Run {
        assert_eq!(self.code, code, "{self}");
        for part in parts {
            assert!(self.err.contains(part), "`{part}` is not in the messages of {self}");
        }
        self
    }

    /// The exit code, and parts of the answer.
    #[track_caller]
    pub fn shows(&self, code: i32, parts: &[&str]) -> &Run {
        assert_eq!(self.code, code, "{self}");
        for part in parts {
            assert!(self.text().contains(part), "`{part}` is not in the answer of {self}");
        }
        self
    }

    /// Good, and nothing to say.
    #[track_caller]
    pub fn good(&self) -> &str {
        assert_eq!((self.code, self.err.as_str()), (0, ""), "{self}");
        self.text()
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let out = String::from_utf8_lossy(&self.out);
        write!(f, "{}\ncode {}\nstdout: {out}\nstderr: {}", self.said, self.code, self.err)
    }
}

/// The arguments of a command, with `FILE` and `NEW` replaced.
pub fn filled<'a>(args: &[&'a str], file: &'a str, new: &'a str) -> Vec<&'a str> {
    args.iter()
        .map(|arg| {
            if *arg == "FILE" {
                file
            } else if *arg == "NEW" {
                new
            } else {
                arg
            }
        })
        .collect()
}
