//! A bbolt file of any program written anew: what `bbolt compact` does, by one bulk load.

use std::fs;
use std::path::Path;

use super::tree::bucket_tree;
use crate::bolt::Db;
use crate::bolt::writer::FreelistPage;
use crate::io::Source;
use crate::io::dest::{Dest, Existing};
use crate::io::os;
use crate::io::source::Lock;
use crate::store::rewrite::{Edits, write_anew};
use crate::words::cause::Cause;
use crate::words::error::{Error, Result, show};
use crate::words::hint::Hint;
use crate::words::monitor::Monitor;
use crate::words::refusal::Refusal;

/// The lengths of both files in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compacted {
    /// The source.
    pub before: u64,
    /// What was made of it.
    pub after: u64,
}

/// Writes all buckets of a file to a new one, whole or not at all, with pages of the same size, sequences of buckets
/// as they are and an empty freelist. At the place may be nothing, an empty file, or a database without a bucket,
/// which is what bbolt takes too: that is replaced.
///
/// # Errors
/// [`Error::Unreadable`] when someone has the source, [`Error::Damaged`] when anything of it cannot be read,
/// [`Error::Refused`] when something is at the place, [`Error::Output`].
pub fn compact(source: &Source, to: &Path, monitor: &dyn Monitor) -> Result<Compacted> {
    if source.flock() == Lock::Held {
        return Err(Error::unreadable(source.path(), Cause::InUse(Some(Hint::SnapshotToRead))));
    }
    let damaged = |corrupt| Error::damaged(source.path(), corrupt);
    let db = Db::open(source).map_err(damaged)?;
    let whole = bucket_tree(&db, monitor)?;
    if let Some(first) = whole.faults.kept.into_iter().next() {
        return Err(damaged(Box::new(first)));
    }
    let existing = existing(source, to)?;
    let dest = Dest::create(to, existing)?;
    let (file, name) = dest.file()?;
    let written = write_anew(&db, &Edits::new(), None, FreelistPage::Stored, &file, monitor);
    let (summary, _) = source.unchanged_or_error(monitor, written)?;
    let made = Source::from_file(name, file)?;
    let read =
        Db::open(&made).map_err(|corrupt| Error::Miswritten { what: show(name), told: corrupt.detail })?;
    let again = bucket_tree(&read, monitor)?;
    let names = |tree: &[super::BucketNode]| -> Vec<_> {
        tree.iter().map(|node| (node.name.clone(), node.parent, node.values)).collect()
    };
    if !again.faults.is_empty() || names(&again.buckets) != names(&whole.buckets) {
        let told = "not all that was written is read back".to_owned();
        return Err(Error::Miswritten { what: show(name), told });
    }
    dest.finish()?;
    Ok(Compacted { before: source.len(), after: summary.bytes })
}

/// Whether what is at the place gives way.
fn existing(source: &Source, to: &Path) -> Result<Existing> {
    let Ok(there) = fs::metadata(to) else { return Ok(Existing::Keep) };
    let same =
        os::identity_of(to).is_ok_and(|there| os::identity_of(source.path()).is_ok_and(|of| of == there));
    if same || !there.is_file() || !is_empty(to)? {
        return Err(Refusal::Exists { path: to.to_path_buf() }.into());
    }
    Ok(Existing::Replace)
}

/// Whether it is an empty file, or a database that holds nothing and that nobody has open.
fn is_empty(path: &Path) -> Result<bool> {
    let there = Source::open(path)?;
    if there.is_empty() {
        return Ok(true);
    }
    let Ok(db) = Db::open(&there) else { return Ok(false) };
    Ok(there.flock() != Lock::Held && db.root().cursor().first().is_ok_and(|first| first.is_none()))
}
