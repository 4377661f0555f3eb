//! A source as a stream.

use std::io::{self, ErrorKind, Read, Seek, SeekFrom};

use super::Source;
use crate::codec::{to_u64, to_usize};

/// The bytes of a [`Source`] as a stream, which can be anywhere in it.
#[derive(Debug, Clone)]
pub struct SourceReader {
    source: Source,
    at: u64,
}

impl SourceReader {
    /// From this byte on.
    #[must_use]
    pub fn new(source: &Source, at: u64) -> SourceReader {
        SourceReader { source: source.clone(), at }
    }
}

impl Read for SourceReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let rest = to_usize(self.source.len().saturating_sub(self.at));
        let Some(buf) = buf.get_mut(..rest.min(buf.len())) else { return Ok(0) };
        // What lies behind a place where no byte can be had is not to be had either.
        self.source.read_exact_at(self.at, buf).map_err(io::Error::other)?;
        self.at = self.at.saturating_add(to_u64(buf.len()));
        Ok(buf.len())
    }
}

impl Seek for SourceReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.source.len().checked_add_signed(by),
        };
        self.at = at.ok_or(ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
