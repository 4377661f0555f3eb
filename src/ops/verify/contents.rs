//! The files of a data directory against a manifest: every one, by its path below the directory. Its database is
//! hashed while it is read ([`super::database`]), the others here.

use std::path::Path;

use super::manifest::Against;
use super::{Level, Run};
use crate::codec::checksum;
use crate::etcd::DataDir;
use crate::io::tree;
use crate::store::digest::{FileDifference, FileDigest, differences, sha256};
use crate::words::error::{Result, printable, show};
use crate::words::finding::{Code, Finding};
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
        for path in tree::files_below(&dir.path)?.into_iter().filter(|path| Some(path.as_path()) != database)
        {
            let source = tree::open(&path)?;
            let part = Relay::new(self.monitor).without_findings();
            match sha256(&source, source.len(), &part) {
                Ok(digest) => found.push(FileDigest {
                    path: below(&dir.path, &path),
                    size: source.len(),
                    sha256: checksum::hex(&digest),
                }),
                Err(corrupt) => {
                    self.found.push(Finding::from_corrupt(&source.name(), *corrupt));
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
        due: impl Iterator<Item = &'c FileDigest>,
        found: &'c [FileDigest],
        manifest: &str,
    ) {
        for (path, difference) in differences(due, found) {
            let what = match difference {
                FileDifference::Gone => "is in the manifest, and not there".to_owned(),
                FileDifference::Size(due, is) => {
                    format!("the length is {}, the manifest has {}", is.size, due.size)
                }
                FileDifference::Sha256(due, is) => {
                    format!("the SHA-256 is {}, the manifest has {}", is.sha256, printable(&due.sha256))
                }
                FileDifference::New => "is there, and not in the manifest".to_owned(),
            };
            let file = show(&dir.path.join(path));
            self.found.say(Code::ManifestMismatch, &file, format!("{what} ({manifest})"));
        }
    }

    /// The files of a directory, its database among them, if their digests are wanted.
    pub(super) fn database_in_contents(&mut self, dir: &DataDir, database: Option<&Path>) {
        let measured = &mut self.verification.measured;
        if let (true, Some(digests), Some(db)) = (self.options.digests, &measured.digests, database) {
            let (path, sha256) = (below(&dir.path, db), checksum::hex(&digests.file));
            measured.contents.push(FileDigest { path, size: measured.file_size, sha256 });
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
