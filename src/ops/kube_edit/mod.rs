//! `kube put` and `kube delete`: a database or snapshot file written anew with some Kubernetes objects changed.
//!
//! Each object is one revision behind the last one, as etcd would have written its put or its deletion; whose API
//! server starts on it finds nothing unusual. Everything else is copied, bucket by bucket. The source is verified
//! first, what was written is read back, and only then has the new file its name.

mod change;
mod object;
mod plan;

use std::io::Write;
use std::path::Path;

use serde::Serialize;

pub use self::change::{EditAction, EditedObject, KubeEdit};
use self::plan::Plan;
use super::defrag::{changed, refuse_locked, whole};
use super::verify::{Measured, TrailerState};
use crate::bolt::writer::FreelistPage;
use crate::etcd::{Input, datadir};
use crate::io::Source;
use crate::io::dest::{self, Dest, Existing};
use crate::kube::cluster::Cluster;
use crate::ops::overlap::while_syncing;
use crate::store::rewrite::{Edit, Edits, Keys, write_anew};
use crate::store::{Store, StoreOptions};
use crate::words::cause::Cause;
use crate::words::error::{Error, Result, show};
use crate::words::hint::{Hint, Note};
use crate::words::monitor::{Monitor, Relay};

/// Where to.
#[derive(Debug, Clone, Copy, Default)]
pub struct KubeEditOptions<'o> {
    /// The new file, which must not exist; `None` to write nothing, and only tell what would be written.
    pub destination: Option<&'o Path>,
    /// What stands before the keys of objects; found out otherwise.
    pub prefix: Option<&'o str>,
    /// The namespace of objects that say none.
    pub namespace: Option<&'o str>,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct KubeEditReport {
    /// The source, as named.
    pub source: String,
    /// The new file; none if nothing was to be written.
    pub destination: Option<String>,
    /// The objects, in the order in which they were given.
    pub objects: Vec<EditedObject>,
    /// The last revision before.
    pub revision_before: i64,
    /// The last revision now.
    pub revision: i64,
    /// Length of the new file in bytes, its trailer included.
    pub bytes: Option<u64>,
    /// HashKV of the new file.
    pub hashkv: Option<u32>,
    /// Whether the new file ends with a SHA-256, as the source does.
    pub trailer: bool,
    /// What a person should know.
    pub notes: Vec<Note>,
}

/// Changes objects in a copy of a database or snapshot file.
///
/// # Errors
/// [`Error::Refused`] for an object that cannot be stored or is not there, [`Error::Unreadable`] for a directory and
/// for what is in use, [`Error::Damaged`] for a damaged source, [`Error::Output`]. Then there is no new file.
pub fn kube_edit(
    input: impl Into<Input>,
    edits: &[KubeEdit],
    options: &KubeEditOptions<'_>,
    monitor: &dyn Monitor,
) -> Result<KubeEditReport> {
    let input = input.into();
    if input.is_dir() {
        return Err(Error::unreadable(input.path(), Cause::DirectoryWithLog));
    }
    let source = input.open_database()?;
    refuse_locked(&source, Hint::SnapshotToRead)?;
    if let Some(path) = options.destination {
        dest::claim(path, Existing::Keep)?;
    }
    let stamp = source.stamp();
    let before = whole(&source, false, monitor)?;
    let silent = Relay::new(monitor).without_findings();
    let store = Store::open(&source, &StoreOptions::default(), &silent)?;
    let cluster = Cluster::open(store.at(None)?, options.prefix)?;
    let mut plan = Plan::new(cluster, options.namespace);
    for edit in edits {
        plan.edit(edit)?;
    }
    let (rows, objects, revision) = plan.into_parts();
    let trailer = before.measured.trailer == TrailerState::Present;
    let mut report = KubeEditReport {
        source: source.name(),
        destination: options.destination.map(show),
        objects,
        revision_before: store.revision(),
        revision,
        bytes: None,
        hashkv: None,
        trailer,
        notes: Vec::new(),
    };
    if !datadir::log_beside(source.path()).is_empty() {
        let what = "there is a log beside the database, and what only the log has is not in the copy";
        report.notes.push(Note::with(what, Hint::CopyFirst));
    }
    let made = options.destination.map(|path| write(&source, path, (&rows, revision), trailer, &silent));
    if stamp != source.stamp() {
        return Err(changed(&source));
    }
    if let Some((dest, measured, bytes)) = made.transpose()? {
        dest.finish()?;
        (report.hashkv, report.bytes) = (measured.hashkv, Some(bytes));
    }
    Ok(report)
}

/// Writes the copy and reads it back. Gives it before it has its name, what was measured of it, and its length.
fn write(
    source: &Source,
    path: &Path,
    (rows, revision): (&Keys, i64),
    trailer: bool,
    monitor: &dyn Monitor,
) -> Result<(Dest, Measured, u64)> {
    let db = datadir::database(source)?;
    let mut dest = Dest::create(path, Existing::Keep)?;
    dest.own()?;
    let keys = std::borrow::Cow::Borrowed(rows);
    let edits: Edits<'_> = [(&b"key"[..], Edit { clear: false, keys })].into();
    let freelist = if db.meta().freelist.is_some() { FreelistPage::Stored } else { FreelistPage::Absent };
    let (_, due) =
        write_anew(&db, &edits, None, freelist, &mut dest, monitor).map_err(|e| e.of_output(path))?;
    let partial = dest.partial().to_path_buf();
    let after = while_syncing(
        || dest.sync(),
        || {
            let wrong = |told: String| Error::Miswritten { what: show(&partial), told };
            let after =
                whole(&Source::open(&partial)?, trailer, monitor).map_err(|e| wrong(e.to_string()))?;
            let (hash, last) = (after.measured.status_hash, after.measured.revision);
            if hash != Some(due) || last != Some(revision) {
                return Err(wrong(format!(
                    "its status hash is {hash:x?} and its revision {last:?}, of what was written {due:x} and {revision}"
                )));
            }
            Ok(after.measured)
        },
    )?;
    let mut bytes = after.file_size;
    if let Some(digest) = after.payload_sha256.filter(|_| trailer) {
        dest.write_all(&digest).map_err(|source| Error::Output { what: show(path), source })?;
        bytes = bytes.saturating_add(crate::snap::backup::TRAILER);
    }
    Ok((dest, after, bytes))
}
