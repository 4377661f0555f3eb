//! What paths lead to: files and data directories, in directories of any depth. What lies beside them and is no input
//! is passed over by name, and said.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use glob::{MatchOptions, Pattern};
use serde::Serialize;

use crate::etcd::datadir::{FileKind, file_kind};
use crate::etcd::etcdbr::{BackupKind, BackupName, named_in, orphans};
use crate::etcd::{DataDir, within};
use crate::io::{Source, tree};
use crate::words::cause::Cause;
use crate::words::error::{Error, show};

/// What is added to a file's name to make that of its own manifest.
pub const SIDECAR: &str = ".manifest.json";

/// A pattern for names: `*`, `?`, `[a-z]`, and `**` for any number of directories. One without a `/` is for the last
/// part of a path, another for the path below the directory that was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(Pattern);

impl FromStr for Glob {
    type Err = String;

    fn from_str(text: &str) -> Result<Glob, String> {
        Pattern::new(text).map(Glob).map_err(|e| e.to_string())
    }
}

impl Glob {
    fn matches(&self, below: &Path) -> bool {
        let name = below.file_name().map(Path::new);
        let of = if self.0.as_str().contains('/') { Some(below) } else { name };
        let options = MatchOptions {
            case_sensitive: true,
            require_literal_separator: true,
            require_literal_leading_dot: false,
        };
        of.is_some_and(|of| self.0.matches_path_with(of, options))
    }
}

/// Which of the files in directories are inputs. A path that was named itself is always one.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// Only these, and these whatever their names say; empty for all that are not known to be something else.
    pub include: Vec<Glob>,
    /// Not these, neither files nor directories.
    pub exclude: Vec<Glob>,
    /// Directories below the one that was named to go down into; `None` for all.
    pub max_depth: Option<usize>,
}

/// Something beside inputs that is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PassedOver {
    /// Its path.
    pub path: String,
    /// What it is, or why it is no input.
    pub why: &'static str,
}

/// What a path leads to.
#[derive(Debug, Default)]
pub(super) struct Targets {
    pub files: Vec<PathBuf>,
    pub passed_over: Vec<(PathBuf, &'static str)>,
    pub unreadable: Vec<(PathBuf, Error)>,
}

impl Targets {
    /// The path itself, or, for a directory that is no member's, what is in it. `besides` are files that inputs are
    /// compared with.
    pub(super) fn of(path: &Path, choice: &Choice, besides: &[PathBuf]) -> Targets {
        let things = within::all(path).unwrap_or_default().unwrap_or_else(|| vec![path.to_path_buf()]);
        let several = things.len() > 1;
        let mut inside = Targets::default();
        for thing in things {
            match Targets::backups(&thing) {
                Some(backups) => {
                    inside.files.extend(backups.files);
                    inside.unreadable.extend(backups.unreadable);
                }
                None if several => inside.files.push(thing),
                None => {}
            }
        }
        if !inside.files.is_empty() {
            return inside;
        }
        if !path.is_dir() || DataDir::list(path, None).is_ok() {
            return Targets { files: vec![path.to_path_buf()], ..Targets::default() };
        }
        let mut walk = Walk {
            top: path,
            choice,
            besides,
            found: Targets::default(),
            ahead: Vec::new(),
            orphans: BTreeSet::new(),
        };
        walk.ahead.push((path.to_path_buf(), 0));
        while let Some((dir, depth)) = walk.ahead.pop() {
            walk.directory(&dir, depth);
        }
        let mut found = walk.found;
        if found.files.is_empty() && found.unreadable.is_empty() {
            let compared =
                !found.passed_over.is_empty() && found.passed_over.iter().all(|(_, why)| *why == COMPARED);
            let why = match found.passed_over.len() {
                0 => "holds neither etcd data nor backup files".to_owned(),
                _ if compared => "holds no file but those that it is compared with".to_owned(),
                more => format!("holds neither etcd data nor backup files; passed over: {more}"),
            };
            found.unreadable.push((path.to_path_buf(), Error::unreadable(path, Cause::lacks(why))));
        }
        found.files.sort();
        found.passed_over.sort();
        found.unreadable.sort_by(|(a, _), (b, _)| a.cmp(b));
        found
    }

    /// The backups of etcd-backup-restore in a directory that is in an archive.
    fn backups(path: &Path) -> Option<Targets> {
        if path.is_dir() || !tree::is_dir(path) {
            return None;
        }
        let (mut files, orphans) = (named_in(path), orphans(path));
        files.retain(|(_, name)| name.kind == BackupKind::Full);
        if files.is_empty() {
            return None;
        }
        let lost = |path: PathBuf| (path.clone(), Error::unreadable(&path, Cause::lacks(ORPHAN)));
        Some(Targets {
            files: files.into_iter().map(|(path, _)| path).collect(),
            unreadable: orphans.into_iter().map(lost).collect(),
            ..Targets::default()
        })
    }
}

/// Why an increment without its full snapshot is not verified.
const ORPHAN: &str = "holds changes since a full snapshot of etcd-backup-restore, and that is not here";

/// Why a file that others are compared with is no input.
const COMPARED: &str = "what inputs are compared with";

/// A directory that is gone through.
struct Walk<'a> {
    top: &'a Path,
    choice: &'a Choice,
    besides: &'a [PathBuf],
    found: Targets,
    ahead: Vec<(PathBuf, usize)>,
    /// Increments in the directory at hand that follow no full snapshot.
    orphans: BTreeSet<PathBuf>,
}

impl Walk<'_> {
    fn directory(&mut self, dir: &Path, depth: usize) {
        let mut empty = true;
        self.orphans = orphans(dir);
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) => return self.unreadable(dir, error),
        };
        for entry in entries {
            empty = false;
            match entry {
                Ok(entry) => self.entry(&entry, depth),
                Err(error) => self.unreadable(dir, error),
            }
        }
        if empty && dir != self.top {
            self.pass(dir.to_path_buf(), "an empty directory");
        }
    }

    fn unreadable(&mut self, path: &Path, cause: impl Into<Cause>) {
        self.found.unreadable.push((path.to_path_buf(), Error::unreadable(path, cause)));
    }

    fn pass(&mut self, path: PathBuf, why: &'static str) {
        self.found.passed_over.push((path, why));
    }

    fn entry(&mut self, entry: &DirEntry, depth: usize) {
        let path = entry.path();
        let below = path.strip_prefix(self.top).unwrap_or(&path);
        if self.choice.exclude.iter().any(|glob| glob.matches(below)) {
            return self.pass(path, "excluded");
        }
        let included = self.choice.include.iter().any(|glob| glob.matches(below));
        let Ok(kind) = fs::metadata(&path) else {
            return self
                .unreadable(&path, Cause::lacks("is a link that leads nowhere, or cannot be looked at"));
        };
        if kind.is_dir() {
            return self.subdirectory(entry, path, depth, included);
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        if self.besides.iter().any(|beside| path.canonicalize().is_ok_and(|path| path == *beside)) {
            self.pass(path, COMPARED);
        } else if !included && !self.choice.include.is_empty() {
            self.pass(path, "not included");
        } else if !kind.is_file() {
            self.pass(path, "no regular file");
        } else if self.orphans.contains(&path) {
            self.unreadable(&path, Cause::lacks(ORPHAN));
        } else if let Some(why) = companion(&name).filter(|_| !included) {
            self.pass(path, why);
        } else if let Some(why) = words(&name).filter(|_| !included && !is_database(&path)) {
            self.pass(path, why);
        } else {
            match within::all(&path).unwrap_or_default().filter(|things| things.len() > 1) {
                Some(things) => self.found.files.extend(things),
                None => self.found.files.push(path),
            }
        }
    }

    fn subdirectory(&mut self, entry: &DirEntry, path: PathBuf, depth: usize, included: bool) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let linked = entry.file_type().is_ok_and(|kind| kind.is_symlink());
        if hidden(&name).is_some() && !included {
            self.pass(path, "a hidden directory");
        } else if name == "lost+found" {
            self.pass(path, "a directory of the file system's own");
        } else if DataDir::list(&path, None).is_ok() {
            if included || self.choice.include.is_empty() {
                self.found.files.push(path);
            } else {
                self.pass(path, "not included");
            }
        } else if linked {
            self.pass(path, "a link to a directory");
        } else if self.choice.max_depth.is_some_and(|most| depth >= most) {
            self.pass(path, "a directory deeper than was asked for");
        } else {
            self.ahead.push((path, depth.saturating_add(1)));
        }
    }
}

fn is_database(path: &Path) -> bool {
    let kind = Source::open(path).and_then(|source| file_kind(&source));
    matches!(kind, Ok(FileKind::Bolt | FileKind::BoltBigEndian))
}

fn hidden(name: &str) -> Option<&'static str> {
    name.starts_with('.').then_some("hidden")
}

/// What tools that make backups leave beside them, whatever is in it.
fn companion(name: &str) -> Option<&'static str> {
    let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
    if ends(&[".partial", ".part"]) {
        Some("an output that was not finished")
    } else if ends(&[SIDECAR]) {
        Some("a manifest")
    } else if name.starts_with("static_kuberesources_") && ends(&[".tar.gz"]) {
        Some("static pods and their secrets, the companion of an OpenShift backup")
    } else if is_increment(name) {
        Some("changes since a full snapshot of etcd-backup-restore, with which they are verified")
    } else {
        hidden(name)
    }
}

/// Texts that belong to backups or were made of them, as their names say.
fn words(name: &str) -> Option<&'static str> {
    let lower = name.to_ascii_lowercase();
    let (stem, extension) = lower.rsplit_once('.').unwrap_or((&lower, ""));
    Some(match extension {
        "sha256" | "sha512" | "sha1" | "md5" | "sha256sum" | "sha512sum" | "sha1sum" | "md5sum" => {
            "checksums"
        }
        _ if ["sha256sums", "sha512sums", "sha1sums", "md5sums"].contains(&stem) => "checksums",
        "asc" | "sig" | "minisig" => "a signature",
        "prom" => "metrics",
        "xml" | "sarif" | "md" | "ndjson" => "a report",
        "json" | "toml" | "yaml" | "yml" | "txt" | "log" => "a text",
        _ => return None,
    })
}

/// Whether etcd-backup-restore names the changes since a full snapshot so.
fn is_increment(name: &str) -> bool {
    BackupName::parse(OsStr::new(name)).is_some_and(|name| name.kind == BackupKind::Increment)
}

impl PassedOver {
    pub(super) fn new(path: &Path, why: &'static str) -> PassedOver {
        PassedOver { path: show(path), why }
    }
}
