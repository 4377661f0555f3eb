//! SHA-256 over a file, front to back.

use sha2::{Digest, Sha256};

use crate::bytes::{Source, to_u64, to_usize};
use crate::error::Corrupt;
use crate::monitor::Monitor;

/// Bytes read at once.
const CHUNK: usize = 1 << 20;

/// SHA-256 of the first `len` bytes.
///
/// # Errors
/// `unreadable`.
pub fn sha256(source: &Source, len: u64, monitor: &dyn Monitor) -> Result<[u8; 32], Box<Corrupt>> {
    monitor.begin("hashing", len);
    let mut hash = Sha256::new();
    each_chunk(source, len, |chunk| {
        hash.update(chunk);
        monitor.advance(to_u64(chunk.len()));
    })?;
    monitor.end();
    Ok(hash.finalize().into())
}

/// Reads the first `len` bytes from front to back.
///
/// # Errors
/// `unreadable`, or what `each` returned.
pub fn each_chunk(source: &Source, len: u64, mut each: impl FnMut(&[u8])) -> Result<(), Box<Corrupt>> {
    let mut buffer = vec![0; CHUNK.min(to_usize(len))];
    let mut at = 0;
    while at < len {
        let wanted = to_usize(len.saturating_sub(at)).min(CHUNK);
        let Some(chunk) = buffer.get_mut(..wanted) else { break };
        source.read_exact_at(at, chunk)?;
        each(chunk);
        at = at.saturating_add(to_u64(wanted));
    }
    Ok(())
}
