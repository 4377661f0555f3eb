//! What the tests of the binary share: inputs that prove themselves untouched, and running the binary itself.

// Each test binary takes what it needs.
#![allow(dead_code)]

pub mod mutate;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime};

use coldbolt::bytes::checksum::sha256;

/// No command on a small file comes near it; a hang does.
const PATIENCE: Duration = Duration::from_secs(30);

/// The versions of etcd that the fixtures are from.
pub const VERSIONS: [&str; 4] = ["3.4.23", "3.5.1", "3.6.14", "3.7.1"];

pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

/// A file, or a directory with all that is in it, that a command must leave as it was.
#[must_use = "ends with unchanged()"]
pub struct Input {
    pub path: PathBuf,
    state: BTreeMap<PathBuf, State>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    /// `None` for a directory.
    sha256: Option<[u8; 32]>,
    len: u64,
    modified: SystemTime,
    mode: u32,
}

impl Input {
    pub fn new(path: impl Into<PathBuf>) -> Input {
        let path = path.into();
        let state = states(&path);
        Input { path, state }
    }

    /// A file of that content in `dir`.
    pub fn write(dir: &Path, name: &str, bytes: &[u8]) -> Input {
        let path = dir.join(name);
        fs::write(&path, bytes).unwrap();
        Input::new(path)
    }

    pub fn name(&self) -> &str {
        self.path.to_str().unwrap()
    }

    /// Same content, length, modification time and mode, nothing new beside it, nothing gone.
    pub fn unchanged(&self) {
        assert_eq!(states(&self.path), self.state, "{} was changed", self.path.display());
    }
}

fn states(path: &Path) -> BTreeMap<PathBuf, State> {
    use std::os::unix::fs::MetadataExt;
    let mut found = BTreeMap::new();
    let mut pending = vec![path.to_path_buf()];
    while let Some(path) = pending.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        let sha256 = meta.is_file().then(|| sha256(&fs::read(&path).unwrap()));
        if meta.is_dir() {
            pending.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        found.insert(path, State { sha256, len: meta.len(), modified: meta.modified().unwrap(), mode: meta.mode() });
    }
    found
}

/// Unpacks `cold` or `clean` of a version. WAL segments are 64 MB of mostly zeros: only what is used is written, the rest is a hole.
pub fn unpack(version: &str, name: &str, into: &Path) -> PathBuf {
    let archive = File::open(fixture(&format!("etcd-{version}")).join(format!("{name}.tar.gz"))).unwrap();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(archive));
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = into.join(entry.path().unwrap());
        if !entry.header().entry_type().is_file() {
            fs::create_dir_all(&path).unwrap();
            continue;
        }
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut bytes = Vec::new();
        std::io::copy(&mut entry, &mut bytes).unwrap();
        let zeros = bytes.iter().rev().take_while(|byte| **byte == 0).count();
        fs::write(&path, &bytes[..bytes.len() - zeros]).unwrap();
        File::options().write(true).open(&path).unwrap().set_len(entry.size()).unwrap();
    }
    into.join(name)
}

pub fn command<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coldbolt"));
    command.args(args).stdin(Stdio::null());
    command
}

/// Runs the binary. A signal, a fault of its own or a hang fails the test, whatever the test asks.
pub fn coldbolt<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Run {
    run(command(args))
}

/// The same in 200 MB of memory: an allocation past that fails and ends the process by a signal.
pub fn coldbolt_within_limits<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Run {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -d 204800 && ulimit -c 0 && exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_coldbolt")]);
    command.args(args).stdin(Stdio::null());
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
        let code = output.status.code().unwrap_or_else(|| panic!("{said} was ended by signal {:?}\n{stderr}", output.status.signal()));
        assert!(code != 5 && !stderr.contains("internal error") && !stderr.contains("panicked"), "{said}: code {code}\n{stderr}");
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
