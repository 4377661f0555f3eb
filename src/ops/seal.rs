//! `seal` and `unseal`: a snapshot file's SHA-256 trailer, added to a database or taken off, and every byte of its
//! pages as it is.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use serde::Serialize;

use super::output::{ClosedFile, Output, OutputForm};
use crate::bolt::Db;
use crate::codec::{checksum, to_u64, to_usize};
use crate::etcd::{Input, datadir};
use crate::io::Source;
use crate::io::dest::{Dest, Existing, room};
use crate::io::source::Lock;
use crate::snap::backup::{TRAILER, Trailer};
use crate::store::digest::{self, sha256};
use crate::words::cause::Cause;
use crate::words::error::{At, Corrupt, Error, Result, show};
use crate::words::finding::Code;
use crate::words::hint::Hint;
use crate::words::monitor::{Monitor, Quiet};
use crate::words::refusal::Refusal;

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SealReport {
    /// The source, as named.
    pub source: String,
    /// Length of the result in bytes.
    pub bytes: u64,
    /// SHA-256 of all but the trailer.
    pub sha256: String,
    /// The age file that it is in, if it was closed: length and SHA-256 above are those of what is in that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed: Option<ClosedFile>,
}

/// Adds the trailer, in a file that does not exist; what the source reserves past its last page is left out, as
/// `snapshot save` leaves it out.
///
/// # Errors
/// [`Error::Refused`] when there is one already; [`Error::Unreadable`] when the file is in use; [`Error::Damaged`];
/// [`Error::Output`].
pub fn seal(
    input: impl Into<Input>,
    to: &Path,
    form: OutputForm<'_>,
    monitor: &dyn Monitor,
) -> Result<SealReport> {
    let input = input.into();
    to_file(to, |out| seal_into(input, out, form, monitor))
}

/// The same into a file that is open and empty; its name is for messages.
///
/// # Errors
/// As [`seal`].
pub fn seal_into(
    input: impl Into<Input>,
    out: (&mut File, &Path),
    form: OutputForm<'_>,
    monitor: &dyn Monitor,
) -> Result<SealReport> {
    let source = input.into().open()?;
    source.unchanged_or_error(monitor, put_on(&source, out, form, monitor))
}

fn put_on(
    source: &Source,
    (out, name): (&mut File, &Path),
    form: OutputForm<'_>,
    monitor: &dyn Monitor,
) -> Result<SealReport> {
    let (trailer, size) = trailer(source)?;
    match trailer {
        Trailer::Absent => {}
        Trailer::Present { .. } | Trailer::Zeroed { .. } => {
            return Err(Refusal::Sealed { file: source.name() }.into());
        }
        Trailer::Cut { .. } | Trailer::Lost { .. } => {
            let corrupt = Corrupt::new(
                Code::TrailerCut,
                At::default(),
                "its end is missing: what is left is not to be sealed as whole",
            );
            return Err(Error::damaged(source.path(), corrupt));
        }
    }
    room::ask(out, name, size.saturating_add(TRAILER))?;
    let output = Output::write((out, name), form, true, |out| pour(source, size, (out, name), monitor))?;
    let digest = output.payload;
    // What was written is what is there to be read, or the file changed meanwhile.
    let due = sha256(source, size, monitor).map_err(|c| Error::damaged(source.path(), c))?;
    if due != digest {
        return Err(Error::unreadable(
            source.path(),
            Cause::changed("changed while it was read; nothing was kept"),
        ));
    }
    if output.is_closed() && sha256(&output.read_back(name)?, size, monitor).ok() != Some(digest) {
        let told = "it does not open to what was closed".to_owned();
        return Err(Error::Miswritten { what: show(name), told });
    }
    Ok(SealReport {
        source: source.name(),
        bytes: output.bytes,
        sha256: checksum::hex(&digest),
        closed: output.seal(name)?,
    })
}

/// Takes the trailer off, in a file that does not exist.
///
/// # Errors
/// [`Error::Refused`] when there is none, [`Error::Damaged`] when it is not that of the file: a wrong one is evidence;
/// [`Error::Output`].
pub fn unseal(input: impl Into<Input>, to: &Path, monitor: &dyn Monitor) -> Result<SealReport> {
    let input = input.into();
    to_file(to, |out| unseal_into(input, out, monitor))
}

/// The same into a file that is open and empty; its name is for messages.
///
/// # Errors
/// As [`unseal`].
pub fn unseal_into(
    input: impl Into<Input>,
    out: (&mut File, &Path),
    monitor: &dyn Monitor,
) -> Result<SealReport> {
    let source = input.into().open()?;
    source.unchanged_or_error(monitor, take_off(&source, out, monitor))
}

fn take_off(source: &Source, (out, name): (&mut File, &Path), monitor: &dyn Monitor) -> Result<SealReport> {
    let (Trailer::Present { digest: stored, payload }, _) = trailer(source)? else {
        return Err(Refusal::NotSealed { file: source.name() }.into());
    };
    room::ask(out, name, payload)?;
    let computed = sha256(source, payload, monitor).map_err(|c| Error::damaged(source.path(), c))?;
    if computed != stored {
        let wrong = digest::mismatch(&stored, &computed, payload);
        return Err(Error::damaged(source.path(), Box::new(wrong)));
    }
    pour(source, payload, (out, name), monitor)?;
    Ok(SealReport { source: source.name(), bytes: payload, sha256: checksum::hex(&stored), closed: None })
}

fn to_file(to: &Path, work: impl FnOnce((&mut File, &Path)) -> Result<SealReport>) -> Result<SealReport> {
    let dest = Dest::create(to, Existing::Keep)?;
    let (mut file, name) = dest.file()?;
    let report = work((&mut file, name))?;
    drop(file);
    dest.finish()?;
    Ok(report)
}

/// What stands at the end of the file, and how long its database is.
fn trailer(source: &Source) -> Result<(Trailer, u64)> {
    datadir::require_database(source)?;
    if source.flock() == Lock::Held {
        return Err(Error::unreadable(source.path(), Cause::InUse(Some(Hint::Snapshot))));
    }
    let damaged = |corrupt| Error::damaged(source.path(), corrupt);
    let db = Db::open(source).map_err(damaged)?;
    Ok((digest::trailer(&db, &Quiet).map_err(damaged)?, db.size()))
}

/// The first `len` bytes as they are.
pub(super) fn pour(
    source: &Source,
    len: u64,
    (out, name): (&mut dyn Write, &Path),
    monitor: &dyn Monitor,
) -> Result<()> {
    monitor.begin("copying", len);
    let mut buffer = vec![0; 1 << 20];
    let mut at = 0u64;
    while at < len {
        let wanted = to_usize(len.saturating_sub(at)).min(buffer.len());
        let Some(chunk) = buffer.get_mut(..wanted) else { break };
        source.read_exact_at(at, chunk).map_err(|c| Error::damaged(source.path(), c))?;
        out.write_all(chunk).map_err(|source| Error::Output { what: show(name), source })?;
        at = at.saturating_add(to_u64(wanted));
        monitor.advance(to_u64(wanted));
        if monitor.cancelled() {
            return Err(Error::Cancelled);
        }
    }
    monitor.end();
    Ok(())
}
