//! Where what was unpacked is kept: in memory, or in a file without a name.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::limits::{Limits, heard};
use super::stream::{Refused, Watch};
use crate::codec::to_u64;
use crate::io::Source;
use crate::io::spool::Spool;
use crate::words::cause::Cause;
use crate::words::corrupt::Corrupt;
use crate::words::error::{Error, Result};
use crate::words::hint::Hint;

/// The most bytes that are kept in memory.
const MEMORY: usize = 32 << 20;
/// What unpacks to no more than this is no bomb, however small it was.
const HARMLESS: u64 = 1 << 30;
/// How many times what it was something may be that is more: a gigabyte of members' files is not 500 times the same.
const RATIO: u64 = 500;
/// A piece of what is written to a file; one of zeros is left a hole.
const PIECE: usize = 1 << 18;

/// The error of a file whose content could not be had.
pub(super) fn unpacked(name: &Path, error: io::Error) -> Error {
    let error = match error.downcast::<Box<Corrupt>>() {
        Ok(corrupt) if corrupt.code == crate::words::finding::Code::PackedDamaged => {
            return Error::damaged(name, corrupt);
        }
        Ok(corrupt) => return Error::unreadable(name, corrupt),
        Err(error) => error,
    };
    match error.downcast::<Refused>() {
        Ok(refused) => Error::unreadable(name, Cause::Content(refused.0)),
        Err(error) => Error::unreadable(name, error),
    }
}

fn too_much(name: &Path, told: String) -> Error {
    Error::unreadable(name, Cause::Lacks { told, hint: Some(Hint::MaxUnpacked) })
}

/// Bytes at the front of a stream by which it is judged.
pub(super) const JUDGED: usize = 1 << 20;
/// How it is known how much a database can have.
pub(super) const KNOWN: &str = "more than twice what its meta page says that it has";

/// How much may come.
pub(super) struct Bound<'b> {
    pub limits: Limits,
    /// What it is known to have at most, and how that is known.
    pub known: Option<(u64, &'static str)>,
    /// What it was packed as.
    pub packed: &'b Watch,
}

impl Bound<'_> {
    fn check(&self, name: &Path, total: u64) -> Result<()> {
        let Limits { most, said, .. } = self.limits;
        if total > most {
            return Err(too_much(name, format!("unpacks to more than {most} bytes: nothing more is read")));
        }
        match self.known {
            Some((known, how)) if total > known => {
                let what = format!("unpacks to more than {known} bytes, {how}: nothing more is read");
                return Err(Error::unreadable(name, Cause::Content(what)));
            }
            Some(_) => return Ok(()),
            None => {}
        }
        let read = self.packed.read().max(1);
        if !said && total > HARMLESS && total > read.saturating_mul(RATIO) {
            let what = format!(
                "its first {read} bytes unpack to more than {total}, {RATIO} times as much: nothing more is read"
            );
            return Err(too_much(name, what));
        }
        Ok(())
    }
}

/// Keeps a front and all that follows.
pub(super) fn keep(name: &Path, front: Vec<u8>, mut rest: impl Read, bound: &Bound<'_>) -> Result<Source> {
    let mut total = to_u64(front.len());
    bound.check(name, total)?;
    let mut told = bound.packed.read();
    let mut memory = front;
    let mut spool = None;
    let mut piece = vec![0; PIECE];
    loop {
        let mut filled = 0;
        // Whole pieces, so that zeros are seen wherever a decoder stops.
        while let Some(room) = piece.get_mut(filled..).filter(|room| !room.is_empty()) {
            match rest.read(room) {
                Ok(0) => break,
                Ok(read) => filled = filled.saturating_add(read),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unpacked(name, error)),
            }
        }
        let bytes = piece.get(..filled).unwrap_or_default();
        total = total.saturating_add(to_u64(filled));
        bound.check(name, total)?;
        let read = bound.packed.read();
        heard().advance(read.saturating_sub(told));
        told = read;
        if bytes.is_empty() {
            break;
        }
        match &mut spool {
            None if total <= to_u64(MEMORY) => memory.extend_from_slice(bytes),
            None if bound.limits.in_memory => {
                let what = "unpacks to more than is kept in memory, and a file in the clear would be kept while it is read";
                return Err(Error::unreadable(name, Cause::Content(what.to_owned())));
            }
            None => {
                let mut new = Spool::new()?;
                new.file().write_all(&memory).map_err(Spool::failed)?;
                memory = Vec::new();
                write(&mut new, bytes).map_err(Spool::failed)?;
                spool = Some(new);
            }
            Some(spool) => write(spool, bytes).map_err(Spool::failed)?,
        }
    }
    match spool {
        None => {
            memory.shrink_to_fit();
            Ok(Source::from_bytes(name, memory))
        }
        Some(mut spool) => {
            spool.file().set_len(total).map_err(Spool::failed)?;
            spool.into_source(name)
        }
    }
}

/// Bytes behind those before; zeros are a hole, which takes no room.
fn write(spool: &mut Spool, bytes: &[u8]) -> io::Result<()> {
    if bytes.iter().all(|byte| *byte == 0) {
        let len = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
        return spool.file().seek(SeekFrom::Current(len)).map(drop);
    }
    spool.file().write_all(bytes)
}
