//! A database written anew: every bucket streamed in order, with keys replaced and some revisions left out. Nothing
//! else is kept in memory.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Seek, SeekFrom, Write};

use crate::bolt::writer::{FreelistPage, MAX_DEPTH, Options, Summary, Writer};
use crate::bolt::{Bucket, Db, Root};
use crate::codec::checksum::crc32c;
use crate::codec::to_u64;
#[cfg(feature = "age")]
use crate::codec::to_usize;
use crate::store::keep::Selection;
use crate::store::scan::{Crc, KeyDepth, ScanOptions, scan};
use crate::words::error::{At, Corrupt, Error, Result};
use crate::words::finding::Code;
use crate::words::monitor::Monitor;
use crate::words::refusal::Refusal;

/// Keys that get this value, or none any more.
pub(crate) type Keys = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// What is put into a bucket in place of what the source has there. If that has no such bucket, it is made, unless
/// keys are only taken away.
#[derive(Debug, Clone, Default)]
pub(crate) struct Edit<'e> {
    /// Nothing of the source is kept.
    pub clear: bool,
    /// What is changed in it.
    pub keys: Cow<'e, Keys>,
}

/// What is changed in each top-level bucket.
pub(crate) type Edits<'e> = BTreeMap<&'e [u8], Edit<'e>>;

/// Writes `db` anew, with these edits, and of the key bucket what `keep` keeps: its pages in order, none of them
/// free. Gives its status hash too, as [`Scan::hash`](crate::store::scan::Scan) is of what is read back.
///
/// # Errors
/// [`Error::Damaged`] when the source cannot be read in full, [`Error::Refused`] when it cannot be written as it is,
/// [`Error::Output`].
pub(crate) fn write_anew<W: Write + Seek>(
    db: &Db<'_>,
    edits: &Edits<'_>,
    keep: Option<&Selection>,
    freelist: FreelistPage,
    out: W,
    monitor: &dyn Monitor,
) -> Result<(Summary, u32)> {
    let meta = db.meta();
    let options = Options {
        page_size: meta.page_size,
        freelist,
        // The greatest number has no next one, and a new file may begin at any.
        txid: meta.txid.0.saturating_add(1).min(u64::MAX.saturating_sub(1)),
        ..Options::default()
    };
    let mut stream = Stream { writer: Writer::new(out, options)?, hash: 0, db, keep: None, monitor, said: 0 };
    monitor.begin("writing database", db.size());
    let root = db.root();
    let mut cursor = root.cursor();
    let mut names = BTreeMap::new();
    while let Some(item) = cursor.next().map_err(|c| stream.damaged(c))? {
        if !item.is_bucket {
            return Err(Refusal::KeyOutside { file: db.source().name() }.into());
        }
        names.insert(item.key.to_vec(), true);
    }
    for (name, edit) in edits {
        if edit.keys.is_empty() || edit.keys.values().any(Option::is_some) {
            names.entry(name.to_vec()).or_insert(false);
        }
    }
    let none = Edit::default();
    for (name, there) in names {
        let edit = edits.get(name.as_slice()).unwrap_or(&none);
        let bucket = if there { root.bucket(&name).map_err(|c| stream.damaged(c))? } else { None };
        stream.hash = crc32c(stream.hash, &name);
        stream.writer.begin_bucket(&name, bucket.as_ref().map_or(0, |bucket| bucket.sequence))?;
        stream.keep = keep.filter(|_| name == b"key");
        stream.bucket(bucket.as_ref().filter(|_| !edit.clear), &edit.keys, 1)?;
        stream.writer.end_bucket()?;
    }
    let (summary, hash) = (stream.writer.finish()?, stream.hash);
    monitor.end();
    Ok((summary, hash))
}

/// Whether `db` can be written anew: goes through all of it as [`write_anew`] does, and keeps nothing.
///
/// # Errors
/// As [`write_anew`].
pub(crate) fn can_be_written(db: &Db<'_>, monitor: &dyn Monitor) -> Result<()> {
    write_anew(db, &Edits::new(), None, FreelistPage::Absent, Nowhere(0), monitor).map(drop)
}

/// Takes everything and keeps nothing but the place.
struct Nowhere(u64);

impl Write for Nowhere {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.saturating_add(to_u64(bytes.len()));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Nowhere {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0 = match to {
            SeekFrom::Start(at) => at,
            SeekFrom::Current(by) | SeekFrom::End(by) => self.0.saturating_add_signed(by),
        };
        Ok(self.0)
    }
}

/// The same, front to back: for an output in which nothing can be written over. The meta pages stand first and are
/// known last, so everything is gone through once more before, for them alone.
///
/// # Errors
/// As [`write_anew`].
#[cfg(feature = "age")]
pub(crate) fn write_anew_in_order(
    db: &Db<'_>,
    edits: &Edits<'_>,
    keep: Option<&Selection>,
    freelist: FreelistPage,
    out: &mut dyn Write,
    monitor: &dyn Monitor,
) -> Result<(Summary, u32)> {
    let metas = to_usize(db.page_size().saturating_mul(2));
    let mut front = Front { bytes: vec![0; metas], place: Nowhere(0) };
    write_anew(db, edits, keep, freelist, &mut front, monitor)?;
    let mut rest = InOrder { front: front.bytes, place: Nowhere(0), end: 0, out };
    write_anew(db, edits, keep, freelist, &mut rest, monitor)
}

/// Keeps what is written to the first bytes, and of the rest the place.
#[cfg(feature = "age")]
struct Front {
    bytes: Vec<u8>,
    place: Nowhere,
}

#[cfg(feature = "age")]
impl Write for Front {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(front) = self.bytes.get_mut(to_usize(self.place.0)..) {
            front.iter_mut().zip(bytes).for_each(|(front, byte)| *front = *byte);
        }
        self.place.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(feature = "age")]
impl Seek for Front {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.place.seek(to)
    }
}

/// Writes the front when it comes by first, and nothing when it comes by again.
#[cfg(feature = "age")]
struct InOrder<'o> {
    front: Vec<u8>,
    place: Nowhere,
    /// Bytes that are written.
    end: u64,
    out: &'o mut dyn Write,
}

#[cfg(feature = "age")]
impl Write for InOrder<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let known = self.front.get(to_usize(self.place.0)..).unwrap_or_default();
        let known = known.get(..bytes.len()).unwrap_or(known);
        if self.place.0 == self.end {
            self.out.write_all(known)?;
            self.out.write_all(bytes.get(known.len()..).unwrap_or_default())?;
            self.end = self.end.saturating_add(to_u64(bytes.len()));
        } else if known != bytes {
            return Err(io::Error::other("what was written before is not written again as it was"));
        }
        self.place.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(feature = "age")]
impl Seek for InOrder<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.place.seek(to)
    }
}

struct Stream<'c, 's, W: Write + Seek> {
    writer: Writer<W>,
    /// CRC-32C over the names of buckets, and the keys and values of those at the top.
    hash: u32,
    db: &'c Db<'s>,
    keep: Option<&'c Selection>,
    monitor: &'c dyn Monitor,
    /// Bytes of progress that the monitor has heard of.
    said: u64,
}

impl<W: Write + Seek> Stream<'_, '_, W> {
    fn damaged(&self, corrupt: Box<crate::Corrupt>) -> Error {
        Error::damaged(self.db.source().path(), corrupt)
    }

    fn bucket(&mut self, bucket: Option<&Bucket<'_, '_>>, edits: &Keys, depth: usize) -> Result<()> {
        let mut edits = edits.iter().peekable();
        if let Some(bucket) = bucket {
            let mut cursor = bucket.cursor();
            let mut count = 0u64;
            while let Some(item) = cursor.next().map_err(|c| self.damaged(c))? {
                while let Some((key, value)) = edits.next_if(|(key, _)| key.as_slice() < item.key) {
                    self.put(key, value.as_deref(), depth)?;
                }
                if let Some((key, value)) = edits.next_if(|(key, _)| key.as_slice() == item.key) {
                    self.put(key, value.as_deref(), depth)?;
                } else if item.is_bucket {
                    let name = item.key.to_vec();
                    self.nested(bucket, &name, depth)?;
                } else if self.keep.is_none_or(|keep| keep.keeps(item.key, item.value)) {
                    self.put(item.key, Some(item.value), depth)?;
                }
                count = count.wrapping_add(1);
                if count.is_multiple_of(1024) {
                    self.progress()?;
                }
            }
        }
        for (key, value) in edits {
            self.put(key, value.as_deref(), depth)?;
        }
        self.progress()
    }

    fn put(&mut self, key: &[u8], value: Option<&[u8]>, depth: usize) -> Result<()> {
        let Some(value) = value else { return Ok(()) };
        if depth == 1 {
            self.hash = crc32c(crc32c(self.hash, key), value);
        }
        Ok(self.writer.put(key, value)?)
    }

    fn nested(&mut self, parent: &Bucket<'_, '_>, name: &[u8], depth: usize) -> Result<()> {
        // bbolt makes none (`Bucket.inlineable`), and two in each would be a thousand million in a page.
        if let Root::Inline { offset, .. } = &parent.root {
            let at = At::offset(*offset);
            return Err(self.damaged(Corrupt::new(
                Code::BucketHeader,
                at,
                "a bucket inside an inline bucket",
            )));
        }
        let inner = parent.bucket(name).map_err(|c| self.damaged(c))?;
        // Of a nested bucket the status hash covers the name only.
        if depth == 1 {
            self.hash = crc32c(self.hash, name);
        }
        self.writer.begin_bucket(name, inner.as_ref().map_or(0, |inner| inner.sequence))?;
        if depth < MAX_DEPTH {
            self.bucket(inner.as_ref(), &Keys::new(), depth.saturating_add(1))?;
        }
        Ok(self.writer.end_bucket()?)
    }

    fn progress(&mut self) -> Result<()> {
        let done = self.writer.bytes_so_far();
        self.monitor.advance(done.saturating_sub(self.said));
        self.said = done;
        if self.monitor.cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }
}

/// Reads a database that was written with the reader: all its pages, of which none is damaged but as `allowed`, and
/// whether it has the status hash of what was written. Gives what the rows come to, or in words what is wrong.
///
/// # Errors
/// What the reading fails with.
pub(crate) fn read_back(
    db: &Db<'_>,
    hash: u32,
    allowed: impl Fn(&Corrupt) -> bool,
    monitor: &dyn Monitor,
) -> Result<Result<Crc, String>> {
    let scan = scan(db, ScanOptions { limit: 1, gate: None, keys: KeyDepth::Stored }, monitor)?;
    if let Some(fault) = scan.faults.kept.iter().find(|fault| !allowed(fault)) {
        return Ok(Err(fault.to_string()));
    }
    if scan.hash != hash {
        return Ok(Err(format!("its status hash is {:x}, of what was written {hash:x}", scan.hash)));
    }
    Ok(Ok(scan.key_bucket))
}
