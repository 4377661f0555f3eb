//! `bolt surgery`: one change by hand to a copy of a database, and what a verification says of the result.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

use super::output::{Output, OutputForm};
use super::seal::pour;
use super::verify::policy::{Policy, TrailerRule, apply};
use super::verify::{Level, Verification, VerifyOptions, verify};
use crate::bolt::db::check_length;
use crate::bolt::writer::patch::Changes;
use crate::bolt::writer::surgery::{Edit, Operation, operate};
use crate::bolt::{Db, Pgid};
use crate::codec::checksum;
use crate::etcd::Input;
use crate::io::dest::{Dest, Existing, room};
use crate::io::source::Lock;
use crate::io::{Source, Spans};
use crate::ops::bolt::{Use, page_use};
use crate::snap::backup::{TRAILER, Trailer};
use crate::store::digest;
use crate::words::cause::Cause;
use crate::words::error::{Error, Result};
use crate::words::finding::Code;
use crate::words::hint::Hint;
use crate::words::monitor::{Monitor, Quiet, Relay};
use crate::words::refusal::Refusal;

/// What is to be done.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Surgery {
    /// A change of pages.
    Pages(Operation),
    /// The free pages are found by a walk, and stored.
    RebuildFreelist,
    /// The raft index up to which entries are applied, and the term of the last one if it is given.
    SetConsistentIndex {
        /// The index.
        index: u64,
        /// The term.
        term: Option<u64>,
    },
    /// A bucket of the root goes, with all that is in it.
    DropBucket(Vec<u8>),
    /// The SHA-256 at the end is made that of the database before it.
    FixTrailer,
}

/// A change that is ready to be written.
#[derive(Debug)]
pub struct Prepared {
    input: Source,
    /// The database as it would be, without a trailer.
    result: Source,
    sealing: bool,
    /// What is changed.
    pub edits: Vec<Edit>,
    /// What is to be known of the source, in words: that its trailer was wrong, that something is left off.
    pub notes: Vec<String>,
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SurgeryReport {
    /// Length of the file in bytes.
    pub bytes: u64,
    /// SHA-256 of its database, without a trailer, in hex.
    pub sha256: String,
    /// Whether it has a trailer: as its source had.
    pub sealed: bool,
}

/// Finds out what is to be changed, and changes nothing.
///
/// # Errors
/// [`Error::Refused`] when the file has not what is to be changed, or a running etcd has it; [`Error::Damaged`] when
/// what the change needs of it cannot be read.
pub fn prepare(input: impl Into<Input>, surgery: &Surgery, monitor: &dyn Monitor) -> Result<Prepared> {
    let input = input.into().open()?;
    if input.flock() == Lock::Held {
        return Err(Error::unreadable(input.path(), Cause::InUse(Some(Hint::Snapshot))));
    }
    let db = Db::open(&input).ok();
    let had = match &db {
        Some(db) => digest::trailer(db, &Quiet).map_err(|c| Error::damaged(input.path(), c))?,
        None => Trailer::Absent,
    };
    let has = matches!(had, Trailer::Present { .. } | Trailer::Zeroed { .. });
    let sealing = has || matches!(surgery, Surgery::FixTrailer);
    // A trailer is not among what is changed.
    let end = db.as_ref().filter(|_| has).map_or(input.len(), Db::size);
    let mut notes = Vec::new();
    if let Trailer::Present { digest, payload } = &had {
        let computed =
            digest::sha256(&input, *payload, monitor).map_err(|c| Error::damaged(input.path(), c))?;
        if computed != *digest {
            let (was, is) = (checksum::hex(digest), checksum::hex(&computed));
            notes.push(format!("the SHA-256 at the end of the source is {was}, its bytes give {is}: something in it was changed before"));
        }
    }
    let base = input.overlaid(Spans::new(), end.min(input.len()));
    let operated = operate(&base, &operation(&input, surgery, monitor)?)?;
    let mut result = operated.source;
    let mut left = input.len().saturating_sub(end).saturating_sub(if has { TRAILER } else { 0 });
    // What is reserved past the last page is no part of a snapshot file.
    if let Some(size) = Db::open(&result).ok().filter(|_| sealing).map(|db| db.size()) {
        left = left.saturating_add(result.len().saturating_sub(size));
        result = result.overlaid(Spans::new(), size.min(result.len()));
    }
    if left > 0 {
        notes.push(format!("{left} bytes behind the database of the source are left off"));
    }
    Ok(Prepared { input, result, sealing, edits: operated.edits, notes })
}

/// Makes a change to a copy as bbolt's own command does: nothing is judged, what is behind the database stays as it is,
/// and who else has the source is not asked.
///
/// # Errors
/// As [`prepare`] and [`Prepared::write`].
pub fn on_copy(source: &Source, surgery: &Surgery, to: &Path, monitor: &dyn Monitor) -> Result<Vec<Edit>> {
    let operated = operate(source, &operation(source, surgery, monitor)?)?;
    let dest = Dest::create(to, Existing::Keep)?;
    let (mut file, name) = dest.file()?;
    let poured = pour(&operated.source, operated.source.len(), (&mut file, name), monitor);
    source.unchanged_or_error(monitor, poured)?;
    dest.finish()?;
    Ok(operated.edits)
}

fn operation(input: &Source, surgery: &Surgery, monitor: &dyn Monitor) -> Result<Operation> {
    let commit = |changes, dropped| Operation::Commit { changes, dropped };
    Ok(match surgery {
        Surgery::Pages(operation) => operation.clone(),
        Surgery::FixTrailer => Operation::Nothing,
        Surgery::RebuildFreelist => Operation::RebuildFreelist(free_pages(input, monitor)?),
        Surgery::DropBucket(name) => commit(Changes::new(), vec![name.clone()]),
        Surgery::SetConsistentIndex { index, term } => {
            let number = |n: u64| Some(n.to_be_bytes().to_vec());
            let mut keys = BTreeMap::from([(b"consistent_index".to_vec(), number(*index))]);
            keys.extend(term.map(|term| (b"term".to_vec(), number(term))));
            commit(Changes::from([(b"meta".to_vec(), keys)]), Vec::new())
        }
    })
}

fn free_pages(input: &Source, monitor: &dyn Monitor) -> Result<Vec<Pgid>> {
    let damaged = |c| Error::damaged(input.path(), c);
    let db = Db::open(input).map_err(damaged)?;
    check_length(&db).map_err(damaged)?;
    let uses = page_use(&db, &Relay::new(monitor).without_findings())?;
    if !uses.complete {
        let why = "not every tree can be followed to its leaves, so which pages are free is not known";
        return Err(Refusal::Surgery { file: input.name(), why: why.to_owned() }.into());
    }
    Ok((2..db.meta().high_water.0).map(Pgid).filter(|id| uses.of(*id) != Use::Used).collect())
}

impl Prepared {
    /// What a verification says of the result, up to the history of the keyspace; of its trailer nothing.
    ///
    /// # Errors
    /// As [`verify`].
    pub fn verify(&self, monitor: &dyn Monitor) -> Result<Verification> {
        verified(&self.result, monitor)
    }

    /// Writes the whole file, which must not exist, and says the same of what was written, read back.
    ///
    /// # Errors
    /// [`Error::Refused`] when it exists; [`Error::Output`]; [`Error::Unreadable`] when the source changed meanwhile.
    pub fn write(&self, to: &Path, monitor: &dyn Monitor) -> Result<(SurgeryReport, Verification)> {
        let dest = Dest::create(to, Existing::Keep)?;
        let (file, name) = dest.file()?;
        room::ask(&file, name, self.result.len())?;
        let done = Output::write((&file, name), OutputForm::Clear, self.sealing, |out| {
            pour(&self.result, self.result.len(), (out, name), monitor)
        });
        let mut output = self.input.unchanged_or_error(monitor, done)?;
        let verification = verified(&output.read_back(name)?, &Quiet)?;
        let (bytes, sha256) = (output.bytes, checksum::hex(&output.payload));
        output.sync(name)?;
        output.seal(name)?;
        dest.finish()?;
        Ok((SurgeryReport { bytes, sha256, sealed: self.sealing }, verification))
    }
}

fn verified(source: &Source, monitor: &dyn Monitor) -> Result<Verification> {
    let options = VerifyOptions { level: Level::Mvcc, ..VerifyOptions::default() };
    let mut verification = verify(source.clone(), &options, monitor)?;
    let policy = Policy { trailer: Some(TrailerRule::Optional), ..Policy::default() };
    apply(&policy, &mut verification, None, Timestamp::UNIX_EPOCH);
    // It is put on when the file is written.
    verification.findings.retain(|finding| finding.code != Code::TrailerAbsent);
    verification.finding_counts.remove(&Code::TrailerAbsent);
    Ok(verification)
}
