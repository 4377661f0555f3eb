//! Compressed streams: one decoder a format, all of its members, and a place for what is wrong.

use std::io::{self, BufRead, BufReader, Cursor, ErrorKind, Read};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use lzma_rust2::XzReader;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::bare::Bare;
use super::sniff::FRONT;
use super::wrapper::Wrapper;
use crate::codec::to_u64;
#[cfg(feature = "age")]
use crate::io::closed;
use crate::words::error::{At, Corrupt};
use crate::words::finding::Code;

/// Wrappers that may be one in another.
pub(super) const DEPTH: usize = 4;
/// The most memory that a stream may ask for to be unpacked: xz -9 takes 64 MiB, zstd --ultra --long=27 128.
const MEMORY: u64 = 160 << 20;

/// What is asked for is not done, although nothing is damaged.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Refused(pub String);

pub(super) fn refused(what: String) -> io::Error {
    io::Error::other(Refused(what))
}

/// What a stream compressed so gives. What is wrong with it is a [`Corrupt`] in the error, with the place in the
/// stream.
pub fn unpack<'r>(wrapper: Wrapper, packed: impl Read + Send + 'r) -> Box<dyn Read + Send + 'r> {
    Box::new(Layer::new(wrapper, Box::new(packed)).0)
}

/// What was taken of a stream.
#[derive(Debug, Default)]
pub(super) struct Watch {
    read: AtomicU64,
    ended: AtomicBool,
    failed: Mutex<Option<io::Error>>,
}

impl Watch {
    /// Of something of which so much was read.
    pub fn of(read: u64) -> Watch {
        Watch { read: AtomicU64::new(read), ..Watch::default() }
    }

    /// Bytes that were read of it.
    pub fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }
}

/// A stream that is watched: an error of it is kept from what decoders make of errors.
struct Watched<'r>(Box<dyn Read + Send + 'r>, Arc<Watch>);

impl Read for Watched<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let Watched(from, watch) = self;
        match from.read(buf) {
            Ok(read) => {
                watch.read.fetch_add(to_u64(read), Ordering::Relaxed);
                watch.ended.fetch_or(read == 0 && !buf.is_empty(), Ordering::Relaxed);
                Ok(read)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let kind = error.kind();
                *watch.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                Err(kind.into())
            }
        }
    }
}

/// A stream of which is known how much was read, and no more.
struct Counted<'r>(Box<dyn Read + Send + 'r>, Arc<Watch>);

impl Read for Counted<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(buf)?;
        self.1.read.fetch_add(to_u64(read), Ordering::Relaxed);
        Ok(read)
    }
}

type Packed<'r> = BufReader<Watched<'r>>;

enum Decoder<'r> {
    Gzip(Members<flate2::bufread::GzDecoder<Packed<'r>>, Packed<'r>>),
    Bzip2(Members<bzip2::bufread::BzDecoder<Packed<'r>>, Packed<'r>>),
    Lz4(Members<lz4_flex::frame::FrameDecoder<Packed<'r>>, Packed<'r>>),
    Zstd(Box<Zstd<Packed<'r>>>),
    Xz(Box<XzReader<Packed<'r>>>),
    Bare(Bare<Packed<'r>>),
    #[cfg(feature = "age")]
    Age(closed::Stream<Packed<'r>>),
}

/// One stream, and how much came out of it.
struct Layer<'r> {
    wrapper: Wrapper,
    decoder: Decoder<'r>,
    watch: Arc<Watch>,
    out: u64,
}

impl<'r> Layer<'r> {
    fn new(wrapper: Wrapper, packed: Box<dyn Read + Send + 'r>) -> (Layer<'r>, Arc<Watch>) {
        let watch = Arc::new(Watch::default());
        let packed = BufReader::with_capacity(1 << 16, Watched(packed, Arc::clone(&watch)));
        let decoder = match wrapper {
            Wrapper::Zstd => Decoder::Zstd(Box::new(Zstd::new(packed))),
            Wrapper::Xz => {
                let kib = u32::try_from(MEMORY >> 10).unwrap_or(u32::MAX);
                Decoder::Xz(Box::new(XzReader::new_mem_limit(packed, true, kib)))
            }
            Wrapper::Bzip2 => Decoder::Bzip2(Members::new(packed)),
            Wrapper::Zlib => Decoder::Bare(Bare::zlib(packed)),
            Wrapper::Lzw => Decoder::Bare(Bare::lzw(packed)),
            #[cfg(feature = "age")]
            Wrapper::Age => Decoder::Age(closed::Stream::Closed(Some(packed))),
            Wrapper::Lz4 => Decoder::Lz4(Members::new(packed)),
            // An archive is no stream: that it is none is what its decoder will say.
            Wrapper::Gzip | Wrapper::Tar | Wrapper::Zip | Wrapper::Ext(_) | Wrapper::Disk => {
                Decoder::Gzip(Members::new(packed))
            }
        };
        (Layer { wrapper, decoder, watch: Arc::clone(&watch), out: 0 }, watch)
    }

    fn failed(&self, error: io::Error) -> io::Error {
        if let Some(below) = self.watch.failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return below;
        }
        if error.kind() == ErrorKind::OutOfMemory {
            let most = MEMORY >> 20;
            return refused(format!(
                "is {}, and unpacking it takes more than {most} MiB of memory",
                self.wrapper
            ));
        }
        if error.get_ref().is_some_and(|inner| inner.is::<Refused>()) {
            return error;
        }
        if error.kind() == ErrorKind::PermissionDenied {
            return refused(format!(
                "is closed with age, and the keys that were given do not open it: {error}"
            ));
        }
        let (wrapper, at, out) = (self.wrapper, self.watch.read(), self.out);
        let what = if self.watch.ended.load(Ordering::Relaxed) {
            format!(
                "the {wrapper} stream is cut off: it ends after {at} bytes, which unpack to {out}, and is not at its end"
            )
        } else {
            format!(
                "the {wrapper} stream is damaged before byte {at}: {error}; {out} bytes were unpacked before that"
            )
        };
        io::Error::other(Corrupt::new(Code::PackedDamaged, At::default(), what))
    }
}

impl Read for Layer<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let read = match &mut self.decoder {
            Decoder::Gzip(members) => members.read(buf, &self.watch),
            Decoder::Bzip2(members) => members.read(buf, &self.watch),
            Decoder::Lz4(members) => members.read(buf, &self.watch),
            Decoder::Zstd(zstd) => zstd.read(buf),
            Decoder::Xz(xz) => xz.read(buf),
            Decoder::Bare(bare) => bare.read(buf),
            #[cfg(feature = "age")]
            Decoder::Age(age) => age.read(buf),
        };
        match read {
            Ok(read) => {
                self.out = self.out.saturating_add(to_u64(read));
                Ok(read)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Err(error),
            Err(error) => Err(self.failed(error)),
        }
    }
}

/// A decoder of one member of a stream.
trait Member<R>: Read {
    fn begin(from: R) -> Self;
    fn end(self) -> R;
    /// How a member begins, if all of them begin so.
    const MAGIC: &'static [u8];
}

impl<R: BufRead> Member<R> for flate2::bufread::GzDecoder<R> {
    const MAGIC: &'static [u8] = b"\x1f\x8b";

    fn begin(from: R) -> Self {
        Self::new(from)
    }

    fn end(self) -> R {
        self.into_inner()
    }
}

impl<R: BufRead> Member<R> for bzip2::bufread::BzDecoder<R> {
    const MAGIC: &'static [u8] = b"BZh";

    fn begin(from: R) -> Self {
        Self::new(from)
    }

    fn end(self) -> R {
        self.into_inner()
    }
}

impl<R: BufRead> Member<R> for lz4_flex::frame::FrameDecoder<R> {
    const MAGIC: &'static [u8] = b"";

    fn begin(from: R) -> Self {
        Self::new(from)
    }

    fn end(self) -> R {
        self.into_inner()
    }
}

/// One member after the other, up to the end of the file or the zeros that fill its last block on a tape.
enum Members<M, R> {
    Between {
        rest: R,
        first: bool,
    },
    In(M),
    /// Never left so.
    Nowhere,
}

impl<M: Member<R>, R: BufRead> Members<M, R> {
    fn new(rest: R) -> Members<M, R> {
        Members::Between { rest, first: true }
    }

    fn read(&mut self, buf: &mut [u8], watch: &Watch) -> io::Result<usize> {
        loop {
            match std::mem::replace(self, Members::Nowhere) {
                Members::In(mut member) => {
                    let read = member.read(buf)?;
                    if read > 0 {
                        *self = Members::In(member);
                        return Ok(read);
                    }
                    // A decoder of lz4 takes an end between two blocks for that of the member.
                    if watch.ended.load(Ordering::Relaxed) {
                        return Err(ErrorKind::UnexpectedEof.into());
                    }
                    *self = Members::Between { rest: member.end(), first: false };
                }
                Members::Between { mut rest, first } => {
                    let more = first || goes_on(&mut rest, M::MAGIC)?;
                    if !more || rest.fill_buf()?.is_empty() {
                        *self = Members::Between { rest, first: false };
                        return Ok(0);
                    }
                    *self = Members::In(M::begin(rest));
                }
                Members::Nowhere => return Err(io::Error::other("an earlier read failed")),
            }
        }
    }
}

/// Whether another member follows; anything else than that or zeros is wrong.
fn goes_on(rest: &mut impl BufRead, magic: &[u8]) -> io::Result<bool> {
    let mut zeros = false;
    loop {
        let ahead = rest.fill_buf()?;
        let nulls = ahead.iter().take_while(|byte| **byte == 0).count();
        if ahead.is_empty() {
            return Ok(false);
        }
        if nulls < ahead.len() {
            let begins = ahead.iter().zip(magic).all(|(is, due)| is == due);
            if zeros || nulls > 0 || !begins {
                return Err(io::Error::other("something else stands behind the end of the stream"));
            }
            return Ok(true);
        }
        zeros = true;
        rest.consume(nulls);
    }
}

/// Frames of zstd one after the other, and what is to be skipped between them.
struct Zstd<R> {
    from: R,
    decoder: FrameDecoder,
    in_frame: bool,
}

impl<R: BufRead> Zstd<R> {
    fn new(from: R) -> Zstd<R> {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(MEMORY);
        Zstd { from, decoder, in_frame: false }
    }

    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.in_frame {
                while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                    let one = BlockDecodingStrategy::UptoBlocks(1);
                    self.decoder.decode_blocks(&mut self.from, one).map_err(io::Error::other)?;
                }
                if self.decoder.can_collect() > 0 {
                    return self.decoder.read(buf);
                }
                let sums = (self.decoder.get_checksum_from_data(), self.decoder.get_calculated_checksum());
                if let (Some(due), Some(is)) = sums
                    && due != is
                {
                    return Err(io::Error::other(format!(
                        "the checksum is {due:08x}, of what was unpacked {is:08x}"
                    )));
                }
                self.in_frame = false;
            }
            if self.from.fill_buf()?.is_empty() {
                return Ok(0);
            }
            match self.decoder.reset(&mut self.from) {
                Ok(()) => self.in_frame = true,
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let length = u64::from(length);
                    if io::copy(&mut (&mut self.from).take(length), &mut io::sink())? < length {
                        return Err(ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(FrameDecoderError::WindowSizeTooBig { .. }) => return Err(ErrorKind::OutOfMemory.into()),
                Err(other) => return Err(io::Error::other(other)),
            }
        }
    }
}

/// A stream without what was compressed around it.
pub(super) struct Peeled<'r> {
    /// What was around it, from the outermost on.
    pub around: Vec<Wrapper>,
    /// Its front.
    pub front: Vec<u8>,
    /// What follows.
    pub rest: Box<dyn Read + Send + 'r>,
    /// The outermost.
    pub watch: Arc<Watch>,
}

impl<'r> Peeled<'r> {
    /// Takes off all that is compressed around a stream.
    pub fn new(stream: Box<dyn Read + Send + 'r>, depth: usize) -> io::Result<Peeled<'r>> {
        let watch = Arc::new(Watch::default());
        let mut peeled = Peeled {
            around: Vec::new(),
            front: Vec::new(),
            rest: Box::new(Counted(stream, Arc::clone(&watch))),
            watch,
        };
        loop {
            peeled.read_front(FRONT)?;
            let Some(wrapper) = Wrapper::of(&peeled.front).filter(|wrapper| wrapper.is_stream()) else {
                return Ok(peeled);
            };
            if peeled.around.len().saturating_add(depth) >= DEPTH {
                return Err(refused(format!(
                    "is packed more than {DEPTH} times, one in another: unpack it first"
                )));
            }
            let packed = Cursor::new(std::mem::take(&mut peeled.front)).chain(peeled.rest);
            peeled.rest = Box::new(Layer::new(wrapper, Box::new(packed)).0);
            peeled.around.push(wrapper);
        }
    }

    /// Has so many bytes in the front, or all there are.
    pub fn read_front(&mut self, len: usize) -> io::Result<()> {
        let more = to_u64(len.saturating_sub(self.front.len()));
        (&mut self.rest).take(more).read_to_end(&mut self.front).map(drop)
    }
}

/// What the front of a stream, which may end anywhere, unpacks to: as much as there is of the first `len` bytes.
pub(super) fn unpacked_front(packed: Vec<u8>, len: usize) -> Vec<u8> {
    let Ok(mut peeled) = Peeled::new(Box::new(Cursor::new(packed)), 0) else { return Vec::new() };
    let mut front = peeled.front;
    let mut piece = [0; 4096];
    while front.len() < len {
        match peeled.rest.read(&mut piece) {
            Ok(0) | Err(_) => break,
            Ok(read) => front.extend_from_slice(piece.get(..read).unwrap_or_default()),
        }
    }
    front
}
