//! What the test programs share.

pub mod age;
pub mod backup;
pub mod buckets;
pub mod certificates;
pub mod compared;
pub mod content;
pub mod encrypted;
pub mod fake_etcd;
pub mod field_delta;
pub mod history;
pub mod image;
pub mod key_value;
pub mod kube_print;
pub mod kube_server;
pub mod member;
pub mod model;
pub mod mutate;
pub mod nested;
pub mod packed;
pub mod peers;
pub mod proxy;
pub mod restored;
pub mod run;
pub mod schemas;
pub mod server;
pub mod trio;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

pub use crate::run::{Run, binary, coldbolt, coldbolt_in, command};

/// The versions of etcd that the fixtures are from.
pub const VERSIONS: [&str; 4] = ["3.4.23", "3.5.1", "3.6.14", "3.7.1"];

/// A file under `fixtures/`.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().join("fixtures").join(name)
}

/// A file, or a directory with all that is in it, that a command must leave as it was.
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

    /// A copy of a fixture in `dir`, after a change.
    pub fn changed(dir: &Path, fixture_name: &str, change: impl FnOnce(&mut Vec<u8>)) -> Input {
        let mut bytes = fs::read(fixture(fixture_name)).unwrap();
        change(&mut bytes);
        Input::write(dir, Path::new(fixture_name).file_name().unwrap().to_str().unwrap(), &bytes)
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
    let mut found = BTreeMap::new();
    let mut pending = vec![path.to_path_buf()];
    while let Some(path) = pending.pop() {
        let meta = fs::symlink_metadata(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let sha256 = meta.is_file().then(|| sha256(&path));
        if meta.is_dir() {
            pending.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        found.insert(
            path,
            State { sha256, len: meta.len(), modified: meta.modified().unwrap(), mode: meta.mode() },
        );
    }
    found
}

impl AsRef<OsStr> for Input {
    fn as_ref(&self) -> &OsStr {
        self.path.as_ref()
    }
}

/// SHA-256 of a file. A WAL segment has 64 MB: it is not held in memory.
fn sha256(path: &Path) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut file = File::open(path).unwrap();
    let mut chunk = vec![0; 1 << 16];
    loop {
        match file.read(&mut chunk).unwrap() {
            0 => return hash.finalize().into(),
            n => hash.update(&chunk[..n]),
        }
    }
}

/// Unpacks `cold` or `clean` of a version. WAL segments are 64 MB of mostly zeros, which become a hole.
pub fn unpack(version: &str, name: &str, into: &Path) -> PathBuf {
    let archive = File::open(fixture(&format!("etcd-{version}")).join(format!("{name}.tar.gz"))).unwrap();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(archive));
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = into.join(entry.path().unwrap());
        if entry.header().entry_type().is_dir() {
            fs::create_dir_all(&path).unwrap();
            continue;
        }
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let file = File::create_new(&path).unwrap();
        file.set_len(entry.size()).unwrap();
        let (mut at, mut chunk) = (0, vec![0; 1 << 16]);
        loop {
            let n = entry.read(&mut chunk).unwrap();
            if n == 0 {
                break;
            }
            if chunk[..n].iter().any(|byte| *byte != 0) {
                file.write_all_at(&chunk[..n], at).unwrap();
            }
            at += n as u64;
        }
    }
    into.join(name)
}

/// Arguments of different types as one list.
#[macro_export]
macro_rules! args {
    ($($arg:expr),* $(,)?) => {
        &[$(::std::convert::AsRef::<::std::ffi::OsStr>::as_ref(&$arg)),*][..]
    };
}
