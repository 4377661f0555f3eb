//! The files of a data directory against a manifest: every one, by its path below the directory. Its database is
//! hashed while it is read ([`super::database`]), the others here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::manifest::{Against, ManifestContent};
use super::{Level, Run};
use crate::codec::checksum;
use crate::etcd::DataDir;
use crate::io::Source;
use crate::store::digest::sha256;
use crate::words::error::{Error, Result, printable, show};
use crate::words::finding::Code;
use crate::words::monitor::Relay;

impl Run<'_> {
    /// Takes the digests of all files but the database, if they are wanted, and compares them.
    pub(super) fn contents(&mut self, dir: &DataDir, database: Option<&Path>) -> Result<()> {
        let against = self.options.against.filter(|_| self.options.level >= Level::Bytes);
        let entry = against.and_then(|against| Some((against.manifest, against.entry?)));
        if !self.options.digests && entry.is_none() {
            return Ok(());
        }
        let mut found = Vec::new();
        for path in files(&dir.path)?.into_iter().filter(|path| Some(path.as_path()) != database) {
            let source = Source::open(&path)?;
            let part = Relay::new(self.monitor).without_findings();
            match sha256(&source, source.len(), &part) {
                Ok(digest) => found.push(ManifestContent {
                    path: below(&dir.path, &path),
                    size: source.len(),
                    sha256: checksum::hex(&digest),
                }),
                Err(corrupt) => {
                    self.found.push(crate::words::finding::Finding::from_corrupt(&source.name(), *corrupt));
                }
            }
        }
        if let Some((manifest, entry)) = entry {
            let database = database.map(|db| below(&dir.path, db));
            self.compared = Some(if entry.contents.is_empty() && !found.is_empty() {
                Err(format!(
                    "{manifest} names its database only, and none of its {} other files",
                    found.len()
                ))
            } else {
                let due = entry.contents.iter().filter(|due| Some(&due.path) != database.as_ref());
                self.compare(dir, due, &found, manifest);
                Ok(format!("length and SHA-256 of {} files", entry.contents.len()))
            });
        }
        self.verification.measured.contents = found;
        Ok(())
    }

    fn compare<'c>(
        &mut self,
        dir: &DataDir,
        due: impl Iterator<Item = &'c ManifestContent>,
        found: &[ManifestContent],
        manifest: &str,
    ) {
        let mut there: BTreeMap<&str, &ManifestContent> =
            found.iter().map(|file| (file.path.as_str(), file)).collect();
        let mut differ = |path: &str, what: &str| {
            let file = show(&dir.path.join(path));
            self.found.say(Code::ManifestMismatch, &file, format!("{what} ({manifest})"));
        };
        for due in due {
            match there.remove(due.path.as_str()) {
                None => differ(&due.path, "is in the manifest, and not there"),
                Some(is) if is.size != due.size => {
                    let what = format!("the length is {}, the manifest has {}", is.size, due.size);
                    differ(&due.path, &what);
                }
                Some(is) if !is.sha256.eq_ignore_ascii_case(&due.sha256) => {
                    let due_hash = printable(&due.sha256);
                    differ(&due.path, &format!("the SHA-256 is {}, the manifest has {due_hash}", is.sha256));
                }
                Some(_) => {}
            }
        }
        there.into_keys().for_each(|path| differ(path, "is there, and not in the manifest"));
    }

    /// The files of a directory, its database among them, if their digests are wanted.
    pub(super) fn database_in_contents(&mut self, dir: &DataDir, database: Option<&Path>) {
        let measured = &mut self.verification.measured;
        if let (true, Some(digests), Some(db)) = (self.options.digests, &measured.digests, database) {
            let (path, sha256) = (below(&dir.path, db), checksum::hex(&digests.file));
            measured.contents.push(ManifestContent { path, size: measured.file_size, sha256 });
        }
        measured.contents.sort();
    }

    /// Whether what a directory holds is to be compared, and with what.
    pub(super) fn compared_contents(
        &self,
        database: Option<Result<String, String>>,
    ) -> Option<Result<String, String>> {
        match (&self.compared, database) {
            (Some(Ok(others)), Some(Ok(_)) | None) => {
                let manifest = self.options.against.map_or("", |Against { manifest, .. }| manifest);
                Some(Ok(format!("{others} against {manifest}")))
            }
            (Some(Err(why)), Some(Ok(_)) | None) => Some(Err(why.clone())),
            (_, database) => database,
        }
    }
}

/// The path of a file below the directory, with `/` between its parts.
fn below(dir: &Path, file: &Path) -> String {
    show(file.strip_prefix(dir).unwrap_or(file))
}

/// All files in a directory, at any depth, each once: links are followed, as etcd does.
fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let (mut found, mut seen, mut ahead) = (Vec::new(), BTreeSet::new(), vec![dir.to_path_buf()]);
    while let Some(dir) = ahead.pop() {
        let unreadable = |e: std::io::Error| Error::unreadable(&dir, e);
        if !seen.insert(dir.canonicalize().map_err(unreadable)?) {
            continue;
        }
        for entry in fs::read_dir(&dir).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if path.is_dir() {
                ahead.push(path);
            } else if path.is_file() {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
