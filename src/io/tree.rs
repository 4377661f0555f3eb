//! Paths that are looked at before they are opened: on the disk, and in archives (feature `packed`).
//!
//! What is on the disk comes first. In an archive a path is that of the file, a colon, and the path in there.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::Source;
#[cfg(feature = "packed")]
use super::packed::{Kind, Member};
use crate::words::error::{Error, Result};

/// Something in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name there.
    pub name: OsString,
    /// Its path.
    pub path: PathBuf,
}

#[cfg(feature = "packed")]
fn kind(path: &Path) -> Option<Kind> {
    Member::find(path).ok()??.kind().ok()?
}

/// Opens a file, on the disk or in an archive, as it is: [`Source::open`].
///
/// # Errors
/// As [`Source::open`], and [`Error::Damaged`] when the archive is.
pub fn open(path: &Path) -> Result<Source> {
    #[cfg(feature = "packed")]
    if let Some(member) = Member::find(path)? {
        return member.inside.open_file(&member.path);
    }
    Source::open(path)
}

/// Opens files that belong together: [`Source::open_all`].
///
/// # Errors
/// As [`open`].
pub fn open_all<P: AsRef<Path>>(paths: &[P]) -> Result<Vec<Source>> {
    #[cfg(feature = "packed")]
    if paths.iter().any(|path| Member::find(path.as_ref()).is_ok_and(|member| member.is_some())) {
        return paths.iter().map(|path| open(path.as_ref())).collect();
    }
    Source::open_all(paths)
}

/// Whether it is a directory, after links on the disk.
#[must_use]
pub fn is_dir(path: &Path) -> bool {
    #[cfg(feature = "packed")]
    if !path.exists() {
        return kind(path) == Some(Kind::Dir);
    }
    path.is_dir()
}

/// Whether it is a regular file, after links on the disk.
#[must_use]
pub fn is_file(path: &Path) -> bool {
    #[cfg(feature = "packed")]
    if !path.exists() {
        return matches!(kind(path), Some(Kind::File(_)));
    }
    path.is_file()
}

/// Whether there is something.
#[must_use]
pub fn exists(path: &Path) -> bool {
    #[cfg(feature = "packed")]
    if !path.exists() {
        return kind(path).is_some();
    }
    path.exists()
}

/// What is in a directory, in no order.
///
/// # Errors
/// What the operating system says.
pub fn read_dir(path: &Path) -> io::Result<Vec<Listed>> {
    let on_disk = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        #[cfg(feature = "packed")]
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let Some(member) = Member::find(path).ok().flatten() else { return Err(error) };
            let listed = member.kind().and_then(|kind| Ok((kind, member.inside.list(&member.path)?)));
            let (kind, entries) = listed.map_err(io::Error::other)?;
            if kind != Some(Kind::Dir) {
                return Err(error);
            }
            let dir = member.name();
            let entries = entries.into_iter();
            return Ok(entries.map(|(name, _)| Listed { path: dir.join(&name), name }).collect());
        }
        Err(error) => return Err(error),
    };
    on_disk.map(|entry| entry.map(|entry| Listed { name: entry.file_name(), path: entry.path() })).collect()
}

/// The directory that something is in: none for an archive, although it has a path.
#[must_use]
pub fn parent(path: &Path) -> Option<&Path> {
    #[cfg(feature = "packed")]
    if path.as_os_str().as_encoded_bytes().ends_with(b":") && !path.exists() {
        return None;
    }
    path.parent()
}

/// All files in a directory, at any depth, each once: links are followed, as etcd does.
///
/// # Errors
/// [`Error::Unreadable`] when a directory cannot be listed.
pub(crate) fn files_below(dir: &Path) -> Result<Vec<PathBuf>> {
    let (mut found, mut seen, mut ahead) = (Vec::new(), BTreeSet::new(), vec![dir.to_path_buf()]);
    while let Some(dir) = ahead.pop() {
        let unreadable = |e: std::io::Error| Error::unreadable(&dir, e);
        // No directory of an archive is reached twice.
        if dir.exists() && !seen.insert(dir.canonicalize().map_err(unreadable)?) {
            continue;
        }
        for Listed { path, .. } in read_dir(&dir).map_err(unreadable)? {
            if is_dir(&path) {
                ahead.push(path);
            } else if is_file(&path) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
