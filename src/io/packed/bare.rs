//! zlib, and LZW as Go's `compress/lzw` writes it with least significant bits first and eight bits a literal: those of
//! etcd-backup-restore, neither of which has a magic. What `compress` writes is another LZW.

use std::io::{self, BufRead, ErrorKind, Read};

use flate2::{Decompress, FlushDecompress, Status};
use weezl::{BitOrder, LzwStatus, decode};

use crate::codec::to_usize;

enum Decoder {
    Zlib(Decompress),
    Lzw(decode::Decoder),
}

/// What a stream unpacks to. Nothing may stand behind its end.
pub(super) struct Bare<R> {
    packed: R,
    decoder: Decoder,
    ended: bool,
}

/// Bytes taken, bytes given, and whether that was the end.
type Step = (usize, usize, bool);

impl Decoder {
    fn step(&mut self, packed: &[u8], out: &mut [u8]) -> io::Result<Step> {
        let wrong = |told: String| io::Error::new(ErrorKind::InvalidData, told);
        match self {
            Decoder::Zlib(zlib) => {
                let before = (zlib.total_in(), zlib.total_out());
                let status = zlib.decompress(packed, out, FlushDecompress::None);
                let status = status.map_err(|error| wrong(error.to_string()))?;
                let [taken, given] =
                    [zlib.total_in().saturating_sub(before.0), zlib.total_out().saturating_sub(before.1)];
                Ok((to_usize(taken), to_usize(given), status == Status::StreamEnd))
            }
            Decoder::Lzw(lzw) => {
                let done = lzw.decode_bytes(packed, out);
                let status = done.status.map_err(|error| wrong(error.to_string()))?;
                Ok((done.consumed_in, done.consumed_out, matches!(status, LzwStatus::Done)))
            }
        }
    }
}

impl<R: BufRead> Bare<R> {
    pub fn zlib(packed: R) -> Bare<R> {
        Bare { packed, decoder: Decoder::Zlib(Decompress::new(true)), ended: false }
    }

    pub fn lzw(packed: R) -> Bare<R> {
        let decoder = Decoder::Lzw(decode::Decoder::new(BitOrder::Lsb, 8));
        Bare { packed, decoder, ended: false }
    }
}

impl<R: BufRead> Read for Bare<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while !self.ended && !out.is_empty() {
            // Of no more input there may still be output: a decoder holds bits back.
            let packed = self.packed.fill_buf()?;
            let end = packed.is_empty();
            let (taken, given, ended) = self.decoder.step(packed, out)?;
            self.packed.consume(taken);
            self.ended = ended;
            if given > 0 {
                return Ok(given);
            }
            if end && !ended {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        if self.ended && !self.packed.fill_buf()?.is_empty() {
            return Err(io::Error::other("something else stands behind the end of the stream"));
        }
        Ok(0)
    }
}
