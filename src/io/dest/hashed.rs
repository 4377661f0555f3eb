//! The SHA-256 of a file that is being written.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::mpsc;

use sha2::{Digest, Sha256};

use crate::codec::{to_u64, to_usize};
use crate::io::os;
use crate::io::parallel::join;
use crate::words::error::{Error, Result, show};

/// Bytes read at once.
const CHUNK: usize = 1 << 20;

/// SHA-256 of a file while `work` writes it front to back: what has been written is read again.
///
/// # Errors
/// That of the work, or of reading.
pub(crate) fn while_writing<R>(
    (file, name): (&File, &Path),
    out: &mut impl Write,
    work: impl FnOnce(&mut dyn Write) -> Result<R>,
) -> Result<(R, [u8; 32])> {
    let unread = |source| Error::Output { what: show(name), source };
    let (say, heard) = mpsc::channel();
    let hashing = move || -> io::Result<[u8; 32]> {
        let (mut hash, mut buffer, mut at) = (Sha256::new(), vec![0; CHUNK], 0u64);
        for end in heard {
            while at < end {
                let wanted = to_usize(u64::saturating_sub(end, at)).min(CHUNK);
                let Some(chunk) = buffer.get_mut(..wanted) else { break };
                os::read_exact_at(file, chunk, at)?;
                hash.update(chunk);
                at = at.saturating_add(to_u64(wanted));
            }
        }
        Ok(hash.finalize().into())
    };
    let (digest, done) = join(hashing, move || work(&mut Heard { out, written: 0, say }));
    Ok((done?, digest.map_err(unread)?))
}

/// What is written to it is told to another thread.
struct Heard<'o, W> {
    out: &'o mut W,
    /// Bytes.
    written: u64,
    say: mpsc::Sender<u64>,
}

impl<W: Write> Write for Heard<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.written = self.written.saturating_add(to_u64(written));
        // Who does not listen any more has failed, and says so in the end.
        let _ = self.say.send(self.written);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
