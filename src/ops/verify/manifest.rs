//! A manifest: evidence of what a file was when it was verified, and what a later copy of it is compared with.

use std::io;
use std::path::{Path, is_separator};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{LevelReport, Measured, Verdict, Verification};
use crate::bolt::Db;
use crate::codec::checksum;
use crate::io::Source;
use crate::snap::backup::Trailer;
use crate::store::digest::{Digests, FileDigest, digests};
use crate::words::cause::Cause;
use crate::words::error::{Error, Result, printable, show};
use crate::words::monitor::Monitor;

/// The schema this version writes.
pub const SCHEMA: &str = "coldbolt.manifest/1";
/// ten times that.
const LIMIT: u64 = 8 << 20;

/// What was verified, by what, and what it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`SCHEMA`].
    pub schema: String,
    /// Program and version.
    #[serde(default)]
    pub tool: String,
    /// The command line.
    #[serde(default)]
    pub command: Vec<String>,
    /// Every input that could be read.
    pub files: Vec<ManifestEntry>,
}

/// One input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestEntry {
    /// Its path, as it was named.
    pub path: String,
    /// Length in bytes; of a directory, of its `member/snap/db`, as all that follows.
    pub size: u64,
    /// Modification time.
    #[serde(default)]
    pub modified: Option<String>,
    /// SHA-256 of the whole file, in hex.
    #[serde(default)]
    pub sha256: Option<String>,
    /// CRC-32 of the whole file.
    #[serde(default)]
    pub crc32: Option<Crc>,
    /// CRC-32C of the whole file.
    #[serde(default)]
    pub crc32c: Option<Crc>,
    /// SHA-256 of the file without its trailer, in hex.
    #[serde(default)]
    pub payload_sha256: Option<String>,
    /// Of a directory: every file in it, by its path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contents: Vec<FileDigest>,
    /// Of a file that is compressed or closed: what is in it. What cannot be opened is not compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<WrappedContent>,
    /// What the database says about itself, the levels that ran, and the verdict. Nothing of it is compared: it
    /// follows from the bytes. It is not kept when a manifest is read.
    #[serde(default, deserialize_with = "pass_over")]
    pub evidence: Value,
}

/// What is in a file that is compressed or closed with age.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrappedContent {
    /// Its length in bytes.
    pub size: u64,
    /// SHA-256 of all of it, in hex.
    pub sha256: String,
    /// SHA-256 of it without its trailer, in hex.
    pub payload_sha256: String,
}

fn pass_over<'d, D: serde::Deserializer<'d>>(deserializer: D) -> std::result::Result<Value, D::Error> {
    serde::de::IgnoredAny::deserialize(deserializer).map(|_| Value::Null)
}

/// A 32-bit checksum in the two ways people meet it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crc {
    /// Eight hex digits.
    pub hex: String,
    /// Four bytes, the highest first, in base64: as object stores print it.
    pub base64: String,
}

impl From<u32> for Crc {
    fn from(crc: u32) -> Crc {
        Crc { hex: format!("{crc:08x}"), base64: BASE64_STANDARD.encode(crc.to_be_bytes()) }
    }
}

#[derive(Serialize)]
struct Evidence<'v> {
    kind: super::InputKind,
    verdict: Verdict,
    levels: &'v [LevelReport],
    measured: &'v Measured,
}

impl ManifestEntry {
    /// What a verification found; the digests are there if they were asked for.
    #[must_use]
    pub fn of(verification: &Verification) -> ManifestEntry {
        let measured = &verification.measured;
        let digests = measured.digests.as_ref();
        let evidence = Evidence {
            kind: verification.kind,
            verdict: verification.verdict,
            levels: &verification.levels,
            measured,
        };
        ManifestEntry {
            path: verification.path.clone(),
            size: measured.file_size,
            modified: measured.modified.clone(),
            sha256: digests.map(|d| checksum::hex(&d.file)),
            crc32: digests.map(|d| d.crc32.into()),
            crc32c: digests.map(|d| d.crc32c.into()),
            payload_sha256: digests.map(|d| checksum::hex(&d.payload)),
            contents: measured.contents.clone(),
            content: None,
            evidence: serde_json::to_value(evidence).unwrap_or_default(),
        }
    }

    /// A snapshot file or database that was made, with evidence of what it was made of. It is read to its end.
    ///
    /// # Errors
    /// [`Error::Unreadable`].
    pub fn made(
        path: &Path,
        source: &Source,
        evidence: Value,
        monitor: &dyn Monitor,
    ) -> Result<ManifestEntry> {
        let unreadable = |c| Error::unreadable(path, c);
        let size = Db::open(source).map_err(unreadable)?.size();
        let payload = Trailer::read(source, size).map_err(unreadable)?.payload(source);
        let mut entry = ManifestEntry::whole(path, source, payload, monitor)?;
        entry.evidence = evidence;
        Ok(entry)
    }

    /// The same of one that is compressed or closed: `source` is the file around it.
    ///
    /// # Errors
    /// [`Error::Unreadable`].
    pub fn made_around(
        path: &Path,
        source: &Source,
        content: WrappedContent,
        evidence: Value,
        monitor: &dyn Monitor,
    ) -> Result<ManifestEntry> {
        let entry = ManifestEntry::whole(path, source, source.len(), monitor)?;
        Ok(ManifestEntry { payload_sha256: None, content: Some(content), evidence, ..entry })
    }

    fn whole(path: &Path, source: &Source, payload: u64, monitor: &dyn Monitor) -> Result<ManifestEntry> {
        let unreadable = |c| Error::unreadable(path, c);
        monitor.begin("hashing", source.len());
        let digests = digests(source, payload, Some(true), None, monitor).map_err(unreadable)?;
        monitor.end();
        Ok(ManifestEntry {
            path: show(path),
            size: source.len(),
            modified: None,
            sha256: Some(checksum::hex(&digests.file)),
            crc32: Some(digests.crc32.into()),
            crc32c: Some(digests.crc32c.into()),
            payload_sha256: Some(checksum::hex(&digests.payload)),
            contents: Vec::new(),
            content: None,
            evidence: Value::Null,
        })
    }

    /// The last part of its path.
    #[must_use]
    pub fn name(&self) -> &str {
        self.path.trim_end_matches(is_separator).rsplit(is_separator).next().unwrap_or_default()
    }

    /// What is compared, in words: of the file, and of what is in it.
    pub(super) fn compared(&self, file: bool, content: bool) -> String {
        let there = [
            (file, "length"),
            (file && self.sha256.is_some(), "SHA-256"),
            (file && self.crc32.is_some(), "CRC-32"),
            (file && self.crc32c.is_some(), "CRC-32C"),
            (file && self.payload_sha256.is_some(), "payload SHA-256"),
            (content, "length and SHA-256 of what is in it"),
        ];
        there.iter().filter(|(there, _)| *there).map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
    }

    /// Everything in which a file differs; without digests, its length only.
    pub(super) fn differences(&self, size: u64, digests: Option<&Digests>) -> Vec<String> {
        let crc = |crc: &Option<Crc>| crc.as_ref().map(|c| c.hex.clone());
        let hex = |crc: u32| format!("{crc:08x}");
        let mut due = vec![("the length", Some(self.size.to_string()), size.to_string())];
        if let Some(is) = digests {
            due.extend([
                ("the SHA-256", self.sha256.clone(), checksum::hex(&is.file)),
                ("the CRC-32", crc(&self.crc32), hex(is.crc32)),
                ("the CRC-32C", crc(&self.crc32c), hex(is.crc32c)),
                ("the SHA-256 of the payload", self.payload_sha256.clone(), checksum::hex(&is.payload)),
            ]);
        }
        different(due)
    }
}

impl WrappedContent {
    /// Everything in which what is in a file differs; without digests, its length only.
    pub(super) fn differences(&self, size: u64, digests: Option<&Digests>) -> Vec<String> {
        let mut due = vec![("the length of what is in it", Some(self.size.to_string()), size.to_string())];
        if let Some(is) = digests {
            let payload = Some(self.payload_sha256.clone());
            due.extend([
                ("the SHA-256 of what is in it", Some(self.sha256.clone()), checksum::hex(&is.file)),
                ("the SHA-256 of the payload", payload, checksum::hex(&is.payload)),
            ]);
        }
        different(due)
    }
}

/// What is not as it is due, if something is.
fn different(due: Vec<(&str, Option<String>, String)>) -> Vec<String> {
    let due = due.into_iter().filter_map(|(what, due, is)| Some((what, due?, is)));
    let other = due.filter(|(_, due, is)| !due.eq_ignore_ascii_case(is));
    other.map(|(what, due, is)| format!("{what} is {is}, the manifest has {}", printable(&due))).collect()
}

/// A document of ours, which is called so.
pub(crate) fn parsed<T: DeserializeOwned>(path: &Path, bytes: &[u8], called: &str) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| {
        let what = format!("is not {called}: {}", printable(&error.to_string()));
        Error::unreadable(path, Cause::Content(what))
    })
}

/// Refuses a document of another schema.
pub(crate) fn require_schema(path: &Path, is: &str, due: &str) -> Result<()> {
    if is == due {
        return Ok(());
    }
    let what = format!("is of schema {}, this coldbolt knows {due}", printable(is));
    Err(Error::unreadable(path, Cause::Content(what)))
}

impl Manifest {
    /// The manifest of these files, by this program.
    #[must_use]
    pub fn new(command: Vec<String>, files: Vec<ManifestEntry>) -> Manifest {
        let tool = concat!("coldbolt ", env!("CARGO_PKG_VERSION")).to_owned();
        Manifest { schema: SCHEMA.to_owned(), tool, command, files }
    }

    /// Writes it.
    ///
    /// # Errors
    /// What `out` fails with.
    pub fn write(&self, out: &mut dyn io::Write) -> io::Result<()> {
        crate::codec::json::write_pretty(&mut *out, self)?;
        writeln!(out)
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// [`Error::Unreadable`]: missing, not a manifest, or one of a newer schema.
    pub fn read(path: &Path) -> Result<Manifest> {
        let source = Source::open(path)?;
        let bytes = source.read_all(LIMIT).map_err(|c| Error::unreadable(path, c))?;
        let manifest: Manifest = parsed(path, &bytes, "a manifest of coldbolt")?;
        require_schema(path, &manifest.schema, SCHEMA)?;
        // A manifest that names no checksum would pass any file of the right length.
        if let Some(entry) = manifest.files.iter().find(|e| e.sha256.is_none() && e.contents.is_empty()) {
            let what = format!("gives no SHA-256 of {}", printable(&entry.path));
            return Err(Error::unreadable(path, Cause::Content(what)));
        }
        Ok(manifest)
    }

    /// The entry for a file: that of the same path, else of the same name.
    ///
    /// # Errors
    /// [`Error::Unreadable`] when several have the same name.
    pub fn entry(&self, manifest: &Path, file: &Path) -> Result<Option<&ManifestEntry>> {
        let path = show(file);
        if let Some(entry) = self.files.iter().find(|e| e.path == path) {
            return Ok(Some(entry));
        }
        let name = show(Path::new(file.file_name().unwrap_or_default()));
        let mut named = self.files.iter().filter(|e| e.name() == name);
        match (named.next(), named.count()) {
            (found, 0) => Ok(found),
            (_, more) => {
                let what = format!(
                    "names {} files called {name}: give the path that stands in it",
                    more.saturating_add(1)
                );
                Err(Error::unreadable(manifest, Cause::Content(what)))
            }
        }
    }
}

/// The manifest that a file is to be compared with.
#[derive(Debug, Clone, Copy)]
pub struct Against<'m> {
    /// Its path, for messages.
    pub manifest: &'m str,
    /// What it says about the file; `None` when it does not name it.
    pub entry: Option<&'m ManifestEntry>,
}
