//! A snapshot that is compressed: received into a file without a name, closed if what is made is to be, and verified
//! there; then compressed into its place, and read back from that.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::receive::{Received, receive};
use crate::codec::{checksum, to_u64};
use crate::io::packed::{Compression, unpack};
use crate::io::reader::SourceReader;
use crate::io::spool::Spool;
use crate::live::{Cluster, Endpoint};
use crate::ops::output::{Output, OutputForm};
use crate::words::error::{Error, Result, show};
use crate::words::monitor::Monitor;

/// A compressed file that was made; if it is closed, what is in the age file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CompressedFile {
    /// How it is compressed.
    pub compression: Compression,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its SHA-256, in hex.
    pub sha256: String,
}

/// As [`receive`], but what the file holds in the end is compressed.
pub(super) fn receive_compressed(
    from: (&Cluster, &Endpoint),
    (file, name): (&File, &Path),
    (compression, form): (Compression, OutputForm<'_>),
    least: i64,
    digests: bool,
    monitor: &dyn Monitor,
) -> Result<(Received, CompressedFile)> {
    let mut spool = Spool::beside(name)?;
    let received = receive(from, (spool.file(), name), form, least, digests, monitor)?;
    let content = &received.content;
    let failed = |source| Error::Output { what: show(name), source };
    let ended = |source| if monitor.cancelled() { Error::Cancelled } else { failed(source) };
    let mut due = Sum::default();
    let output = Output::write((file, name), form, false, |out| {
        monitor.begin("compressing", content.len());
        let from = Summed { of: SourceReader::new(content, 0), sum: &mut due, monitor };
        compression.compress(from, out).map_err(ended)?;
        monitor.end();
        Ok(())
    })?;
    let made = output.read_back(name)?;
    let mut is = Sum::default();
    monitor.begin("reading back", content.len());
    let unpacked = unpack(compression.wrapper(), SourceReader::new(&made, 0));
    io::copy(&mut Summed { of: unpacked, sum: &mut is, monitor }, &mut io::sink()).map_err(ended)?;
    monitor.end();
    let (due, is) = (due.told(), is.told());
    if due != is {
        let told = format!("it unpacks to {is}, where {due} are due: none was kept");
        return Err(Error::Miswritten { what: show(name), told });
    }
    let (bytes, sha256) = (output.bytes, checksum::hex(&output.payload));
    let closed = output.seal(name)?;
    Ok((Received { closed, ..received }, CompressedFile { compression, bytes, sha256 }))
}

/// What went by.
#[derive(Default)]
struct Sum {
    bytes: u64,
    hash: Sha256,
}

impl Sum {
    fn told(self) -> String {
        format!("{} bytes of SHA-256 {}", self.bytes, checksum::hex(&self.hash.finalize()))
    }
}

/// What is read, its sum, and who hears how far it is.
struct Summed<'s, R> {
    of: R,
    sum: &'s mut Sum,
    monitor: &'s dyn Monitor,
}

impl<R: Read> Read for Summed<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.monitor.cancelled() {
            return Err(io::Error::other("cancelled"));
        }
        let read = self.of.read(buf)?;
        let bytes = buf.get(..read).unwrap_or_default();
        self.sum.hash.update(bytes);
        self.sum.bytes = self.sum.bytes.saturating_add(to_u64(read));
        self.monitor.advance(to_u64(read));
        Ok(read)
    }
}
