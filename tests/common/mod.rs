//! What the tests of the binary share.
#![allow(dead_code, reason = "each test program uses a part of it")]

pub mod peers;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::SystemTime;

/// A file under `fixtures/`.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

/// An input, remembered so that a test can end by proving that it was not touched.
pub struct Input {
    pub path: PathBuf,
    bytes: Vec<u8>,
    modified: SystemTime,
}

impl Input {
    pub fn new(path: impl Into<PathBuf>) -> Input {
        let path = path.into();
        let read = || Ok::<_, std::io::Error>((fs::read(&path)?, fs::metadata(&path)?.modified()?));
        let (bytes, modified) = read().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Input { path, bytes, modified }
    }

    /// A copy of a fixture in `dir`, after a change.
    pub fn changed(dir: &Path, fixture_name: &str, change: impl FnOnce(&mut Vec<u8>)) -> Input {
        let mut bytes = fs::read(fixture(fixture_name)).unwrap();
        change(&mut bytes);
        let path = dir.join(Path::new(fixture_name).file_name().unwrap());
        fs::write(&path, bytes).unwrap();
        Input::new(path)
    }

    /// Content, length and modification time are what they were.
    pub fn unchanged(&self) {
        let now = Input::new(&self.path);
        assert!(now.bytes == self.bytes, "{} was written to", self.path.display());
        assert_eq!(now.modified, self.modified, "{} has another modification time", self.path.display());
    }
}

impl AsRef<OsStr> for Input {
    fn as_ref(&self) -> &OsStr {
        self.path.as_ref()
    }
}

/// What a run of a program left.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: Vec<u8>,
    pub err: String,
}

impl Ran {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.out).unwrap()
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        Ran { code: output.status.code(), out: output.stdout, err: String::from_utf8_lossy(&output.stderr).into_owned() }
    }
}

/// Runs a program with empty standard input.
pub fn run(program: impl AsRef<OsStr>, args: &[&OsStr]) -> Ran {
    let output = Command::new(&program).args(args).stdin(Stdio::null()).output();
    output.unwrap_or_else(|error| panic!("{}: {error}", program.as_ref().display())).into()
}

/// Runs coldbolt.
pub fn coldbolt(args: &[&OsStr]) -> Ran {
    run(env!("CARGO_BIN_EXE_coldbolt"), args)
}

/// Arguments of different types as one list.
#[macro_export]
macro_rules! args {
    ($($arg:expr),* $(,)?) => {
        &[$(::std::convert::AsRef::<::std::ffi::OsStr>::as_ref(&$arg)),*][..]
    };
}
