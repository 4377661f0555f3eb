//! What of etcd's is inside a file: in archives and compressed files (feature `packed`).
//!
//! An archive in which there is one thing of etcd's, a data directory or a database, stands for that; of several, each
//! has its name.

use std::path::{Path, PathBuf};

use crate::bolt::Db;
#[cfg(feature = "packed")]
use crate::io::packed::Inside;
use crate::io::{Source, tree};
use crate::words::error::Result;

/// Opens a file, and what is inside of it if it is packed.
///
/// # Errors
/// As [`Source::open`] and [`find`], and [`Error::Damaged`](crate::Error::Damaged) where what is around it is damaged.
pub fn open(path: &Path) -> Result<Source> {
    let path = find(path)?;
    opened(tree::open(&path)?)
}

/// What is inside an open file, or the file itself if nothing is packed in it.
///
/// # Errors
/// As [`open`].
pub fn opened(source: Source) -> Result<Source> {
    #[cfg(feature = "packed")]
    if let Some(inside) = packed::inside(&source)? {
        return content(&inside);
    }
    Ok(source)
}

/// What is inside: the one file, or the one of etcd's in an archive.
///
/// # Errors
/// As [`open`].
#[cfg(feature = "packed")]
pub fn content(inside: &Inside) -> Result<Source> {
    match inside.content() {
        Some(content) => Ok(content),
        None => opened(tree::open(&packed::only(inside)?)?),
    }
}

/// What is inside an open file, whatever that is, or the file itself if nothing is packed in it or several files are.
///
/// # Errors
/// As [`open`].
pub fn anything(source: &Source) -> Result<Source> {
    #[cfg(feature = "packed")]
    if let Some(content) = Inside::of_source(source, &|_| Ok(None))?.and_then(|inside| inside.content()) {
        return Ok(content);
    }
    Ok(source.clone())
}

/// Bytes that may follow twice what a database's meta page says that it has: those that its file grew by.
const BEYOND: u64 = 64 << 20;

/// How long a file can be that begins so, if it is a database.
#[must_use]
pub fn longest(front: &Source) -> Option<u64> {
    Db::open(front).map(|db| db.size().saturating_mul(2).saturating_add(BEYOND)).ok()
}

/// Where a path leads: to itself, or to the one thing of etcd's in the archive there.
///
/// # Errors
/// [`Error::Unreadable`](crate::Error::Unreadable) for an archive that holds nothing of etcd's, or several things,
/// which are named; [`Error::Damaged`](crate::Error::Damaged) for one that is damaged.
pub fn find(path: &Path) -> Result<PathBuf> {
    #[cfg(feature = "packed")]
    if let Some(found) = packed::find(path)? {
        return Ok(found);
    }
    Ok(path.to_path_buf())
}

/// Everything of etcd's that is in an archive; `None` for what is none.
///
/// # Errors
/// As [`find`], but for how many things there are.
pub fn all(path: &Path) -> Result<Option<Vec<PathBuf>>> {
    #[cfg(feature = "packed")]
    return packed::all(path);
    #[cfg(not(feature = "packed"))]
    return Ok(Some(vec![path.to_path_buf()]).filter(|_| false));
}

#[cfg(feature = "packed")]
pub use self::packed::{judge, only};

#[cfg(feature = "packed")]
mod packed {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use crate::etcd::datadir::{FileKind, Foreign, file_kind};
    use crate::etcd::etcdbr::{BackupKind, BackupName};
    use crate::io::packed::{Inside, Wrapper};
    use crate::io::{Source, tree};
    use crate::wal::SegmentName;
    use crate::words::cause::Cause;
    use crate::words::error::{Error, Result, show};
    use crate::words::hint::Hint;

    /// Bytes of a file in an archive that tell what it is.
    const FRONT: usize = 8192;
    /// Bytes that tell what a volume is.
    const VOLUME: usize = 68 << 10;
    /// Things that an error names.
    const NAMED: usize = 20;

    /// Refuses what is no file of etcd's by its front, and tells how long the whole can be if it is a database.
    ///
    /// # Errors
    /// [`Error::Unreadable`].
    pub fn judge(front: &Source) -> Result<Option<u64>> {
        let what = match file_kind(front)? {
            FileKind::Bolt => {
                return Ok(super::longest(front));
            }
            FileKind::Wal | FileKind::RaftSnapshot | FileKind::Empty | FileKind::Foreign(Foreign::Sqlite) => {
                return Ok(None);
            }
            FileKind::BoltBigEndian => "a bbolt database of a big-endian machine".to_owned(),
            FileKind::Foreign(what @ Foreign::Increment) => {
                let told = format!("is packed, and what is inside is {what}");
                return Err(Error::unreadable(
                    front.path(),
                    Cause::Lacks { told, hint: Some(Hint::CopyChain) },
                ));
            }
            FileKind::Foreign(what) => what.to_string(),
            FileKind::Unknown => "something that is not etcd's".to_owned(),
        };
        let told = format!("is packed, and what is inside is {what}, not an etcd snapshot or database");
        Err(Error::unreadable(front.path(), Cause::Content(told)))
    }

    pub(super) fn inside(source: &Source) -> Result<Option<Inside>> {
        Inside::of_source(source, &judge)
    }

    pub(super) fn find(path: &Path) -> Result<Option<PathBuf>> {
        if path.is_dir() {
            return Ok(None);
        }
        let path = crate::io::packed::named(path)?.unwrap_or_else(|| path.to_path_buf());
        if tree::is_dir(&path) {
            return Ok(Some(path));
        }
        // Why it cannot be opened is told where it is opened.
        let Ok(source) = tree::open(&path) else { return Ok(Some(path)) };
        match inside(&source)? {
            Some(inside) if inside.content().is_none() => only(&inside).map(Some),
            _ => Ok(Some(path)),
        }
    }

    pub(super) fn all(path: &Path) -> Result<Option<Vec<PathBuf>>> {
        let path = crate::io::packed::named(path)?.unwrap_or_else(|| path.to_path_buf());
        if tree::is_dir(&path) {
            return Ok(None);
        }
        let Ok(source) = tree::open(&path) else { return Ok(None) };
        match inside(&source)? {
            Some(inside) if inside.content().is_none() => things(&inside).map(Some),
            _ => Ok(None),
        }
    }

    /// The one thing of etcd's in an archive.
    ///
    /// # Errors
    /// As [`find`](super::find).
    pub fn only(inside: &Inside) -> Result<PathBuf> {
        let mut things = things(inside)?;
        let told = match (things.pop(), things.len()) {
            (Some(thing), 0) => return Ok(thing),
            (None, _) if let Some((path, what)) = unread(inside)? => {
                let path = show(&inside.path_of(&path));
                let told = format!("holds nothing of etcd's that is read here: {path} is {what}");
                let hint = Some(Hint::Unpack(what));
                return Err(Error::unreadable(inside.name(), Cause::Lacks { told, hint }));
            }
            (None, _) => {
                let files = inside.files()?.len();
                format!(
                    "holds nothing of etcd's: neither a data directory nor a database is among its {files} files"
                )
            }
            (Some(last), others) => {
                things.push(last);
                let named: Vec<String> = things.iter().take(NAMED).map(|thing| show(thing)).collect();
                let rest = others.saturating_add(1).saturating_sub(NAMED);
                let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
                let count = others.saturating_add(1);
                format!("holds {count} things of etcd's; name one of them: {}{more}", named.join(", "))
            }
        };
        Err(Error::unreadable(inside.name(), Cause::lacks(told)))
    }

    /// What in an archive, or on a disk, is a volume that is not read: where, and what it is.
    fn unread(inside: &Inside) -> Result<Option<(PathBuf, &'static str)>> {
        for (path, _) in inside.files()? {
            let front = Source::from_bytes(path.clone(), inside.front_of(&path, VOLUME)?);
            if let FileKind::Foreign(Foreign::Volume(what)) = file_kind(&front)? {
                return Ok(Some((path, what)));
            }
        }
        Ok(None)
    }

    fn things(inside: &Inside) -> Result<Vec<PathBuf>> {
        let files = inside.files()?;
        let roots: BTreeSet<&Path> = files.iter().filter_map(|(path, _)| root(path)).collect();
        let mut found: Vec<PathBuf> = roots.iter().map(|root| inside.path_of(root)).collect();
        let mut archives = Vec::new();
        for (path, _) in &files {
            if path.ancestors().any(|dir| roots.contains(dir)) {
                continue;
            }
            let front = inside.front_of(path, FRONT)?;
            let archive = Wrapper::of(&front).is_some();
            let kind = file_kind(&Source::from_bytes(path.clone(), front))?;
            match kind {
                FileKind::Bolt | FileKind::BoltBigEndian => found.push(inside.path_of(path)),
                FileKind::Foreign(Foreign::Sqlite) if path.ends_with("state.db") => {
                    found.push(inside.path_of(path));
                }
                _ if archive && !is_companion(path) => archives.push(path),
                _ => {}
            }
        }
        if !found.is_empty() {
            return Ok(found);
        }
        for path in archives {
            if let Some(inner) = self::inside(&inside.open_file(path)?)? {
                found.extend(things(&inner)?);
            }
        }
        Ok(found)
    }

    /// What OpenShift puts beside its snapshots: static pods.
    fn is_companion(path: &Path) -> bool {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("static_kuberesources_"))
    }

    /// The data directory, or the part of one, that a file is of, as its name and its directories' say.
    fn root(file: &Path) -> Option<&Path> {
        let (name, dir) = (file.file_name()?.to_str()?, file.parent()?);
        let backup = BackupName::parse(file.file_name()?).filter(|name| name.kind == BackupKind::Full);
        if backup.is_some() && dir != Path::new("") {
            return Some(dir);
        }
        let snap = name == "db" || name.ends_with(".snap.db") || name.ends_with(".snap");
        let (parts, due) = match SegmentName::parse(name) {
            Some(_) => (["member", "wal"], true),
            None if snap => (["member", "snap"], name == "db"),
            None => return None,
        };
        let [_, own] = parts;
        if dir.ends_with(parts.iter().collect::<PathBuf>()) {
            dir.parent()?.parent()
        } else if dir.ends_with(own) && due {
            dir.parent()
        } else {
            Some(dir).filter(|_| due && own == "wal")
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_data_directory_is_known_by_the_names_of_its_files() {
            for (file, due) in [
                ("var/lib/etcd/member/snap/db", Some("var/lib/etcd")),
                ("member/wal/0000000000000000-0000000000000000.wal", Some("")),
                ("member/snap/0000000000000002-0000000000000005.snap", Some("")),
                ("etcd/snap/db", Some("etcd")),
                ("wal/0000000000000000-0000000000000000.wal", Some("")),
                ("log/0000000000000000-0000000000000000.wal", Some("log")),
                ("backup.db", None),
                ("db", None),
                ("a/db", None),
                ("a.snap", None),
                ("x.wal", None),
            ] {
                assert_eq!(root(Path::new(file)), due.map(Path::new), "{file}");
            }
        }
    }
}
