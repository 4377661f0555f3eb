//! Running the binary where nothing of what it must never do may happen: a signal, a fault of its own, a hang, a
//! secret told.

use std::ffi::OsStr;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// No command on a small file comes near it, even on a busy machine; a hang does.
const PATIENCE: Duration = Duration::from_secs(120);

pub fn command<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(crate::binary());
    command.args(args).stdin(Stdio::null());
    command
}

/// Runs the binary. A signal, a fault of its own or a hang fails the test, whatever the test asks.
pub fn coldbolt<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Run {
    run(command(args))
}

/// The same in 200 MB of memory and 5 seconds of processor time: past either the process ends by a signal, and the
/// test fails.
pub fn coldbolt_within_limits<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Run {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -d 204800 && ulimit -t 5 && ulimit -c 0 && exec \"$0\" \"$@\""]);
    command.arg(crate::binary()).args(args).stdin(Stdio::null());
    run(command)
}

pub fn run(mut command: Command) -> Run {
    let started = Instant::now();
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let said = format!("{command:?}");
    let output = wait(child, &said);
    Run::new(output, started.elapsed(), said)
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

/// What a run of the binary left.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
    said: String,
}

impl Run {
    fn new(output: Output, took: Duration, said: String) -> Run {
        let stderr = String::from_utf8(output.stderr).expect("messages are UTF-8");
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let code = output
            .status
            .code()
            .unwrap_or_else(|| panic!("{said} was ended by signal {:?}\n{stderr}", output.status.signal()));
        assert!(
            code != 5 && !stderr.contains("internal error") && !stderr.contains("panicked"),
            "{said}: code {code}\n{stderr}"
        );
        for text in [&stdout, &stderr] {
            assert!(!text.contains("$2a$"), "{said} printed a password hash\n{text}");
        }
        Run { code, stdout, stderr, took, said }
    }

    /// The exit code, and parts of what was said on standard error.
    #[track_caller]
    pub fn says(&self, code: i32, parts: &[&str]) -> &Run {
        assert_eq!(self.code, code, "{self}");
        for part in parts {
            assert!(self.stderr.contains(part), "`{part}` is not in the messages of {self}");
        }
        self
    }

    /// Good, and nothing to say.
    #[track_caller]
    pub fn good(&self) -> &str {
        assert_eq!((self.code, self.stderr.as_str()), (0, ""), "{self}");
        &self.stdout
    }

    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {self}"))
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\ncode {}\nstdout: {}\nstderr: {}", self.said, self.code, self.stdout, self.stderr)
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
