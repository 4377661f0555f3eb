//! Digests over a file, front to back, in one pass.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

use crate::bolt::Db;
use crate::codec::{checksum, to_u64, to_usize};
use crate::io::{Gate, Source};
use crate::snap::backup::Trailer;
use crate::words::error::{At, Corrupt};
use crate::words::finding::Code;
use crate::words::monitor::{Monitor, Relay};

/// Bytes read at once.
const CHUNK: usize = 1 << 20;

/// Digests of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Digests {
    /// SHA-256 of the payload: the file without its trailer.
    #[serde(serialize_with = "hex")]
    pub payload: [u8; 32],
    /// SHA-256 of the whole file.
    #[serde(serialize_with = "hex")]
    pub file: [u8; 32],
    /// CRC-32 (IEEE) of the whole file, as S3 reports it.
    pub crc32: u32,
    /// CRC-32C of the whole file, as S3 and GCS report it.
    pub crc32c: u32,
}

/// The digest of a file of a directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FileDigest {
    /// Its path below the directory.
    pub path: String,
    /// Length in bytes.
    pub size: u64,
    /// SHA-256, in hex.
    pub sha256: String,
}

/// How a file is not what it is due to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileDifference<'d> {
    /// It is not there.
    Gone,
    /// Its length: what is due, and what it is.
    Size(&'d FileDigest, &'d FileDigest),
    /// Its SHA-256, at the same length.
    Sha256(&'d FileDigest, &'d FileDigest),
    /// It is there, and none is due.
    New,
}

/// Every file that is not what is due, by its path: those that are due in their order, then those that are new.
pub(crate) fn differences<'d>(
    due: impl Iterator<Item = &'d FileDigest>,
    there: &'d [FileDigest],
) -> Vec<(&'d str, FileDifference<'d>)> {
    let mut there: BTreeMap<&str, &FileDigest> = there.iter().map(|is| (is.path.as_str(), is)).collect();
    let mut differences = Vec::new();
    for due in due {
        let difference = match there.remove(due.path.as_str()) {
            None => FileDifference::Gone,
            Some(is) if is.size != due.size => FileDifference::Size(due, is),
            Some(is) if !is.sha256.eq_ignore_ascii_case(&due.sha256) => FileDifference::Sha256(due, is),
            Some(_) => continue,
        };
        differences.push((due.path.as_str(), difference));
    }
    differences.extend(there.into_keys().map(|path| (path, FileDifference::New)));
    differences
}

fn hex<S: serde::Serializer>(digest: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&checksum::hex(digest))
}

/// A digest in hex, or nothing.
pub(crate) fn hex_if_any<S: serde::Serializer>(
    digest: &Option<[u8; 32]>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serde::Serialize::serialize(&digest.map(|digest| checksum::hex(&digest)), serializer)
}

/// SHA-256 of the first `len` bytes.
///
/// # Errors
/// `unreadable`.
pub fn sha256(source: &Source, len: u64, monitor: &dyn Monitor) -> Result<[u8; 32], Box<Corrupt>> {
    monitor.begin("hashing", len);
    let mut hash = Sha256::new();
    each_chunk(source, 0, len, |chunk| {
        hash.update(chunk);
        monitor.advance(to_u64(chunk.len()));
    })?;
    monitor.end();
    Ok(hash.finalize().into())
}

/// What stands behind a file's database. A SHA-256 right behind it that is right is its trailer, whatever follows: then
/// something was appended. Who appends to files does it to few, and only those are read for it.
///
/// # Errors
/// `unreadable`.
pub fn trailer(db: &Db<'_>, monitor: &dyn Monitor) -> Result<Trailer, Box<Corrupt>> {
    let (source, size) = (db.source(), db.size());
    let trailer = Trailer::read(source, size)?;
    match trailer.appended_to(source, size)? {
        Some(digest) if sha256(source, size, &Relay::new(monitor).without_findings())? == digest => {
            Ok(Trailer::Present { digest, payload: size })
        }
        _ => Ok(trailer),
    }
}

/// That a trailer is not the SHA-256 of the `payload` bytes before it.
pub(crate) fn mismatch(stored: &[u8; 32], computed: &[u8; 32], payload: u64) -> Corrupt {
    let (stored, computed) = (checksum::hex(stored), checksum::hex(computed));
    let what = format!("the trailer is {stored}, the {payload} bytes before it give {computed}");
    *Corrupt::new(Code::TrailerMismatch, At::offset(payload), what)
}

/// Reads the whole file from front to back and moves the gate along. `wanted`: `None` reads only, `Some(false)`
/// computes the payload's SHA-256, `Some(true)` every digest.
///
/// # Errors
/// `unreadable`.
pub fn digests(
    source: &Source,
    payload: u64,
    wanted: Option<bool>,
    gate: Option<&Gate>,
    monitor: &dyn Monitor,
) -> Result<Digests, Box<Corrupt>> {
    let (mut sha, mut crc32, mut crc32c, mut at) = (Sha256::new(), crc32fast::Hasher::new(), 0, 0u64);
    let whole = wanted == Some(true);
    let mut each = |chunk: &[u8], sha: &mut Sha256| {
        if wanted.is_some() {
            sha.update(chunk);
        }
        if whole {
            crc32.update(chunk);
            crc32c = checksum::crc32c(crc32c, chunk);
        }
        at = at.saturating_add(to_u64(chunk.len()));
        if let Some(gate) = gate {
            gate.pass(at);
        }
        monitor.advance(to_u64(chunk.len()));
    };
    each_chunk(source, 0, payload, |chunk| each(chunk, &mut sha))?;
    let digest = sha.clone().finalize().into();
    // The trailer: only the digests of the whole file cover it.
    each_chunk(source, payload, source.len(), |chunk| each(chunk, &mut sha))?;
    Ok(Digests { payload: digest, file: sha.finalize().into(), crc32: crc32.finalize(), crc32c })
}

/// Reads the bytes from `from` to `to`, in order.
fn each_chunk(source: &Source, from: u64, to: u64, mut each: impl FnMut(&[u8])) -> Result<(), Box<Corrupt>> {
    let mut buffer = vec![0; CHUNK.min(to_usize(to.saturating_sub(from)))];
    let mut at = from;
    while at < to {
        let wanted = to_usize(to.saturating_sub(at)).min(CHUNK);
        let Some(chunk) = buffer.get_mut(..wanted) else { break };
        source.read_exact_at(at, chunk)?;
        each(chunk);
        at = at.saturating_add(to_u64(wanted));
    }
    Ok(())
}
