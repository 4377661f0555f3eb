//! A path that leads into an archive: what is before a colon in it is a file.

use std::fs::Metadata;
use std::path::{Path, PathBuf};

use super::container::{Inside, registered};
use super::index::{Kind, below};
use super::limits::anything;
use super::stream::DEPTH;
use crate::io::os;
use crate::words::error::Result;

/// A place in an archive that a path leads to.
#[derive(Debug)]
pub(in crate::io) struct Member {
    pub inside: Inside,
    pub path: PathBuf,
}

impl Member {
    /// Where a path leads that is none on the disk: the archive is before a colon in it.
    ///
    /// # Errors
    /// As [`Inside::of`]. A path that leads to no archive is none.
    pub fn find(path: &Path) -> Result<Option<Member>> {
        let bytes = path.as_os_str().as_encoded_bytes();
        if !bytes.contains(&b':') || path.symlink_metadata().is_ok() {
            return Ok(None);
        }
        for (file, rest) in splits(bytes) {
            if let Some(inside) = registered(&file) {
                return within(inside, rest);
            }
            let readable = |it: Metadata| it.is_file() || os::is_block_device(it.file_type());
            if file.metadata().is_ok_and(readable)
                && let Some(inside) = Inside::of(&file, &anything)?
            {
                return within(inside, rest);
            }
        }
        Ok(None)
    }

    pub fn kind(&self) -> Result<Option<Kind>> {
        self.inside.kind(&self.path)
    }

    /// The one way to write it.
    pub fn name(&self) -> PathBuf {
        self.inside.path_of(&self.path)
    }
}

/// A name and what follows a colon in it, from the first on.
fn splits(bytes: &[u8]) -> impl Iterator<Item = (PathBuf, &[u8])> {
    let colons = bytes.iter().enumerate().filter(|(_, byte)| **byte == b':').map(|(at, _)| at);
    colons.filter(|at| *at > 0).filter_map(|at| {
        let (file, rest) = (bytes.get(..at)?, bytes.get(at.checked_add(1)?..)?);
        Some((PathBuf::from(os::name_of(file).into_owned()), rest))
    })
}

/// The place in an archive, or in one that is in it.
fn within(inside: Inside, rest: &[u8]) -> Result<Option<Member>> {
    let Some(path) = below(rest) else { return Ok(None) };
    if inside.kind(&path)?.is_some() {
        return Ok(Some(Member { inside, path }));
    }
    for (file, rest) in splits(rest).filter(|_| inside.depth() < DEPTH) {
        let Some(file) = below(file.as_os_str().as_encoded_bytes()) else { continue };
        if matches!(inside.kind(&file)?, Some(Kind::File(_)))
            && let Some(inner) = Inside::of_source(&inside.open_file(&file)?, &anything)?
        {
            return within(inner, rest);
        }
    }
    if inside.is_disk() {
        // The one of its partitions that has it.
        for (number, _) in inside.files()? {
            let part = inside.open_file(&number)?;
            if let Ok(Some(inner)) = Inside::of_source(&part, &anything)
                && inner.kind(&path).is_ok_and(|kind| kind.is_some())
            {
                return Ok(Some(Member { inside: inner, path }));
            }
        }
    }
    Ok(Some(Member { inside, path }))
}

/// The one way to write the path of what is in an archive, whether it is there or not; `None` for any other path.
///
/// # Errors
/// As [`Inside::of`].
pub fn named(path: &Path) -> Result<Option<PathBuf>> {
    Ok(Member::find(path)?.map(|member| member.name()))
}
