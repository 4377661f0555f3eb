//! Compressing what is written.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, Read, Write};

use flate2::write::GzEncoder;
use ruzstd::encoding::{CompressionLevel, compress};
use serde::Serialize;

use super::wrapper::Wrapper;

/// Bytes that are compressed at once.
const PIECE: usize = 1 << 16;

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// gzip, at level 6 of 9.
    Gzip,
    /// Zstandard, at about level 1 of 22.
    Zstd,
}

impl Compression {
    /// What a name ends with that tells it.
    #[must_use]
    pub const fn ending(self) -> &'static str {
        match self {
            Compression::Gzip => ".gz",
            Compression::Zstd => ".zst",
        }
    }

    /// What the file is then.
    #[must_use]
    pub fn wrapper(self) -> Wrapper {
        match self {
            Compression::Gzip => Wrapper::Gzip,
            Compression::Zstd => Wrapper::Zstd,
        }
    }

    /// Compresses all that `from` gives, in bounded memory.
    ///
    /// # Errors
    /// What `from` or `to` fails with.
    pub fn compress(self, from: impl Read, to: &mut dyn Write) -> io::Result<()> {
        match self {
            Compression::Gzip => {
                let mut encoder = GzEncoder::new(to, flate2::Compression::default());
                io::copy(&mut io::BufReader::with_capacity(PIECE, from), &mut encoder)?;
                encoder.finish().map(drop)
            }
            Compression::Zstd => {
                // The encoder takes no error for an answer: what fails is kept from it, and ends the stream.
                let failed = RefCell::new(None);
                compress(
                    Kept { of: from, failed: &failed },
                    Kept { of: to, failed: &failed },
                    CompressionLevel::Fastest,
                );
                failed.into_inner().map_or(Ok(()), Err)
            }
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.wrapper().fmt(f)
    }
}

/// What is read from or written to; after its first error nothing comes any more, and nothing is written.
struct Kept<'f, T> {
    of: T,
    failed: &'f RefCell<Option<io::Error>>,
}

impl<R: Read> Read for Kept<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.failed.borrow().is_some() {
                return Ok(0);
            }
            match self.of.read(buf) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => *self.failed.borrow_mut() = Some(error),
                read => return read,
            }
        }
    }
}

impl Write for Kept<'_, &mut dyn Write> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.failed.borrow().is_none()
            && let Err(error) = self.of.write_all(bytes)
        {
            *self.failed.borrow_mut() = Some(error);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::unpack;
    use super::*;

    const BOTH: [Compression; 2] = [Compression::Gzip, Compression::Zstd];

    proptest! {
        #[test]
        fn what_is_compressed_unpacks_to_what_it_was(
            pieces in proptest::collection::vec((any::<u8>(), 0_usize..100_000, any::<bool>()), 0..6),
        ) {
            let mut due = Vec::new();
            for (byte, len, same) in pieces {
                due.extend((0..len).map(|at| if same { byte } else { ((at * at) >> 3) as u8 ^ byte }));
            }
            for compression in BOTH {
                let mut packed = Vec::new();
                compression.compress(due.as_slice(), &mut packed).unwrap();
                prop_assert_eq!(Wrapper::of(&packed), Some(compression.wrapper()));
                let mut is = Vec::new();
                unpack(compression.wrapper(), packed.as_slice()).read_to_end(&mut is).unwrap();
                prop_assert!(is == due, "{}", compression);
            }
        }
    }

    /// Gives, or takes, so many bytes.
    struct Fails(usize);

    impl Read for Fails {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let read = buf.len().min(self.0);
            self.0 -= read;
            if read == 0 { Err(io::Error::other("no more")) } else { Ok(read) }
        }
    }

    impl Write for Fails {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.read(&mut bytes.to_vec())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_cannot_be_read_or_written_is_an_error() {
        let noise: Vec<u8> =
            (0_u32..1 << 20).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for compression in BOTH {
            for (len, room) in [(10, 1 << 30), (1 << 20, 10), (1 << 20, 200_000), (0, 0)] {
                let told =
                    compression.compress(noise.as_slice().chain(Fails(len)), &mut Fails(room)).unwrap_err();
                assert_eq!(told.to_string(), "no more", "{compression} {len} {room}");
            }
        }
    }
}
