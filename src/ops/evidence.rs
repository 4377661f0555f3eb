//! `evidence`: a case, that is what was found in files and the proof that they are as they were. This makes and checks
//! the manifest of it; whoever makes the case says what was run.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::verify::manifest::{parsed, require_schema};
use crate::codec::{checksum, to_u64};
use crate::io::{Source, os, tree};
use crate::store::digest::{FileDifference, FileDigest, differences, sha256};
use crate::words::cause::Cause;
use crate::words::error::{Error, Result};
use crate::words::monitor::Monitor;

/// The schema of the manifest.
pub const SCHEMA: &str = "coldbolt.case/1";
/// What it is called in the directory of the case.
pub const MANIFEST: &str = "manifest.json";
/// What the signature of the manifest is called there, if whoever made the case signed it: minisign's name for it.
pub const SIGNATURE: &str = "manifest.json.minisig";
/// Bytes of a manifest that are read: some 100,000 files.
const LIMIT: u64 = 32 << 20;

/// What a case holds, and of what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseManifest {
    /// [`SCHEMA`].
    pub schema: String,
    /// The program that made it.
    pub tool: CaseTool,
    /// When the first digest was begun, and the last was taken.
    pub began: String,
    /// As [`CaseManifest::began`].
    pub ended: String,
    /// What was looked at.
    pub inputs: Vec<CaseInput>,
    /// What was run, in order.
    pub steps: Vec<CaseStep>,
    /// Every other file of the case.
    pub files: Vec<FileDigest>,
}

/// The program that made a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseTool {
    /// Name and version.
    pub version: String,
    /// SHA-256 of the program itself, in hex.
    pub sha256: String,
}

/// A file or directory that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseInput {
    /// Where it is, as a path from the root.
    pub path: String,
    /// Every file of it before anything was run; of a file itself, by its name.
    pub before: Vec<CaseFile>,
    /// What was another after everything was run; nothing, unless somebody else writes there.
    pub changed: Vec<CaseChange>,
}

/// A file that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseFile {
    /// Path, length and digest.
    #[serde(flatten)]
    pub file: FileDigest,
    /// When it was changed last, as the file system says.
    pub modified: String,
    /// When that or its name was changed last, which nobody sets: seconds and nanoseconds, where the system
    /// tells.
    pub status_changed: String,
    /// The number of the file in its file system: another is another file of the same name.
    pub inode: u64,
}

/// A file that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseChange {
    /// Its path, below what was looked at.
    pub path: String,
    /// How.
    pub how: String,
}

/// A command that was run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseStep {
    /// Its arguments, without the program.
    pub arguments: Vec<String>,
    /// The file of the case that holds its answer.
    pub answer: String,
    /// The file of the case that holds what it said besides, if it said something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<String>,
    /// How it ended: its exit code; `None` if it was ended by a signal.
    pub exit_code: Option<i32>,
}

/// Every file of an input, or the file that it is by its name, with its digest.
///
/// # Errors
/// [`Error::Unreadable`] when one cannot be read.
pub fn case_files(path: &Path, monitor: &dyn Monitor) -> Result<Vec<CaseFile>> {
    let files = if path.is_dir() { tree::files_below(path)? } else { vec![path.to_path_buf()] };
    files.iter().map(|file| case_file(path, file, monitor)).collect()
}

fn case_file(root: &Path, path: &Path, monitor: &dyn Monitor) -> Result<CaseFile> {
    let file = digest(root, path, monitor)?;
    let unreadable = |error| Error::unreadable(path, error);
    let metadata = fs::metadata(path).map_err(unreadable)?;
    let modified = metadata.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
    Ok(CaseFile {
        file,
        modified: modified.map_or_else(String::new, |time| time.to_string()),
        status_changed: os::status_changed(&metadata)
            .map_or_else(String::new, |(seconds, nanoseconds)| format!("{seconds}.{nanoseconds:09}")),
        inode: os::identity_of(path).map_err(unreadable)?.1,
    })
}

/// The digest of a file, by its path below the root.
///
/// # Errors
/// [`Error::Unreadable`] when it cannot be read.
pub fn digest(root: &Path, path: &Path, monitor: &dyn Monitor) -> Result<FileDigest> {
    let source = Source::open(path)?;
    let digest = sha256(&source, source.len(), monitor).map_err(|corrupt| Error::damaged(path, corrupt))?;
    let below = path.strip_prefix(root).ok().filter(|below| !below.as_os_str().is_empty());
    let below = below.or(path.file_name().map(Path::new)).unwrap_or(path);
    // Two names are never the same text.
    let path = below.as_os_str().as_encoded_bytes().escape_ascii().to_string();
    Ok(FileDigest { path, size: source.len(), sha256: checksum::hex(&digest) })
}

/// What of the files is another than before.
#[must_use]
pub fn changes(before: &[CaseFile], after: &[CaseFile]) -> Vec<CaseChange> {
    let there: Vec<FileDigest> = after.iter().map(|file| file.file.clone()).collect();
    let mut changes: Vec<_> = changed(before.iter().map(|file| &file.file), &there).collect();
    let after: BTreeMap<&FileDigest, &CaseFile> = after.iter().map(|file| (&file.file, file)).collect();
    for old in before {
        let Some(new) = after.get(&old.file) else { continue };
        let how = if new.inode != old.inode {
            "it is another file of the same name and content".to_owned()
        } else if new.modified != old.modified {
            format!("the time of its last change was {}, and is {}", old.modified, new.modified)
        } else if new.status_changed != old.status_changed {
            "its name or what is said of it was changed meanwhile, as if something else had been in its place"
                .to_owned()
        } else {
            continue;
        };
        changes.push(CaseChange { path: old.file.path.clone(), how });
    }
    changes
}

/// What is not as it was, in words.
fn changed<'d>(
    due: impl Iterator<Item = &'d FileDigest>,
    there: &'d [FileDigest],
) -> impl Iterator<Item = CaseChange> {
    differences(due, there).into_iter().map(|(path, difference)| {
        let how = match difference {
            FileDifference::Gone => "is not there".to_owned(),
            FileDifference::Size(due, is) => format!("the length was {}, and is {}", due.size, is.size),
            FileDifference::Sha256(due, is) => {
                format!("the SHA-256 was {}, and is {}", due.sha256, is.sha256)
            }
            FileDifference::New => "is new".to_owned(),
        };
        CaseChange { path: path.to_owned(), how }
    })
}

/// What became of a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CaseCheck {
    /// SHA-256 of the manifest itself, in hex: to be compared with what was written down.
    pub manifest_sha256: String,
    /// The manifest as it was read, for whoever checks a signature of it.
    #[serde(skip)]
    pub manifest: Vec<u8>,
    /// Whether a signature is there.
    pub signed: bool,
    /// Files of the case that were compared.
    pub files: u64,
    /// What of the case is not as the manifest says.
    pub changes: Vec<CaseChange>,
    /// Files that were looked at then and compared now.
    pub input_files: u64,
    /// What of them is not as it was.
    pub input_changes: Vec<CaseChange>,
}

/// Compares a case with its manifest and, if a path is given for it, what was looked at with what it was: the input of
/// that place in the list.
///
/// # Errors
/// [`Error::Unreadable`] when there is no manifest, or a file cannot be read.
pub fn check(case: &Path, inputs: &[impl AsRef<Path>], monitor: &dyn Monitor) -> Result<CaseCheck> {
    let path = case.join(MANIFEST);
    let source = Source::open(&path)?;
    let text = source.read_all(LIMIT).map_err(|corrupt| Error::unreadable(&path, corrupt))?;
    let manifest: CaseManifest = parsed(&path, &text, "the manifest of a case")?;
    require_schema(&path, &manifest.schema, SCHEMA)?;
    if inputs.len() > manifest.inputs.len() {
        let (given, due) = (inputs.len(), manifest.inputs.len());
        let what = format!("is of {due} inputs, {given} are to be compared");
        return Err(Error::unreadable(&path, Cause::Content(what)));
    }
    let (there, odd) = files_of(case, monitor)?;
    let mut check = CaseCheck {
        manifest_sha256: checksum::hex(&checksum::sha256(&text)),
        signed: case.join(SIGNATURE).is_file(),
        manifest: text,
        files: to_u64(manifest.files.len()),
        changes: changed(manifest.files.iter(), &there).chain(odd).collect(),
        input_files: 0,
        input_changes: Vec::new(),
    };
    for (path, input) in inputs.iter().zip(&manifest.inputs) {
        let now = case_files(path.as_ref(), monitor)?;
        check.input_files = check.input_files.saturating_add(to_u64(input.before.len()));
        let now: Vec<_> = now.into_iter().map(|file| file.file).collect();
        check.input_changes.extend(changed(input.before.iter().map(|file| &file.file), &now));
    }
    Ok(check)
}

/// The files of a case but its manifest and the signature of that, and what no case has: links, directories, pipes.
fn files_of(case: &Path, monitor: &dyn Monitor) -> Result<(Vec<FileDigest>, Vec<CaseChange>)> {
    let (mut files, mut odd) = (Vec::new(), Vec::new());
    let unreadable = |error| Error::unreadable(case, error);
    for entry in fs::read_dir(case).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if entry.file_name() == MANIFEST {
            continue;
        }
        let is_file = entry.file_type().map_err(unreadable)?.is_file();
        // It is of the manifest, so that has not got it.
        if is_file && entry.file_name() == SIGNATURE {
            continue;
        }
        if is_file {
            files.push(digest(case, &entry.path(), monitor)?);
        } else {
            let path = entry.file_name().as_encoded_bytes().escape_ascii().to_string();
            odd.push(CaseChange {
                path,
                how: "is no file of its own: a link, a directory or a pipe".to_owned(),
            });
        }
    }
    files.sort();
    Ok((files, odd))
}
