//! A database streamed bucket by bucket in order, with a few keys replaced and some revisions left out, to where it is written or hashed.

use std::collections::BTreeMap;
use std::io::{Seek, Write};

use sha2::{Digest, Sha256};

use super::keep::Selection;
use crate::bolt::writer::{MAX_DEPTH, Writer};
use crate::bolt::{Bucket, Db};
use crate::bytes::checksum::crc32c;
use crate::bytes::to_u64;
use crate::error::{Error, Result};
use crate::monitor::Monitor;

/// What is put into a bucket in place of what the source has there.
#[derive(Debug, Clone, Default)]
pub(in crate::ops) struct Edit {
    /// Nothing of the source is kept.
    pub clear: bool,
    /// Keys that get this value, or none any more.
    pub keys: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

/// Where a database goes.
pub(in crate::ops) trait Sink {
    /// A bucket begins, inside the one that is open.
    fn begin_bucket(&mut self, name: &[u8], sequence: u64) -> Result<()>;
    /// A key in it.
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()>;
    /// It ends.
    fn end_bucket(&mut self) -> Result<()>;
    /// Bytes that have gone by.
    fn bytes(&self) -> u64;
}

impl<W: Write + Seek> Sink for Writer<W> {
    fn begin_bucket(&mut self, name: &[u8], sequence: u64) -> Result<()> {
        Ok(Writer::begin_bucket(self, name, sequence)?)
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        Ok(Writer::put(self, key, value)?)
    }

    fn end_bucket(&mut self) -> Result<()> {
        Ok(Writer::end_bucket(self)?)
    }

    fn bytes(&self) -> u64 {
        self.bytes_so_far()
    }
}

/// Computes the status hash of what goes by: that of the database it makes.
pub(in crate::ops) struct Hashing<S> {
    sink: S,
    depth: usize,
    /// CRC-32C over names, keys and values, as [`Scan::hash`](crate::ops::scan::Scan).
    hash: u32,
}

impl<S> Hashing<S> {
    pub(in crate::ops) fn new(sink: S) -> Hashing<S> {
        Hashing { sink, depth: 0, hash: 0 }
    }

    /// Where it went, and its hash.
    pub(in crate::ops) fn done(self) -> (S, u32) {
        (self.sink, self.hash)
    }
}

impl<S: Sink> Sink for Hashing<S> {
    fn begin_bucket(&mut self, name: &[u8], sequence: u64) -> Result<()> {
        // Of a nested bucket the name only.
        if self.depth < 2 {
            self.hash = crc32c(self.hash, name);
        }
        self.depth = self.depth.saturating_add(1);
        self.sink.begin_bucket(name, sequence)
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        if self.depth == 1 {
            self.hash = crc32c(crc32c(self.hash, key), value);
        }
        self.sink.put(key, value)
    }

    fn end_bucket(&mut self) -> Result<()> {
        self.depth = self.depth.saturating_sub(1);
        self.sink.end_bucket()
    }

    fn bytes(&self) -> u64 {
        self.sink.bytes()
    }
}

/// SHA-256 over every bucket, key and value: equal for databases of equal content, however their pages lie.
#[derive(Debug, Default)]
pub(in crate::ops) struct Fingerprint {
    sha256: Sha256,
    bytes: u64,
}

impl Fingerprint {
    fn take(&mut self, kind: u8, parts: [&[u8]; 2]) {
        self.sha256.update([kind]);
        for part in parts {
            self.sha256.update(to_u64(part.len()).to_le_bytes());
            self.sha256.update(part);
            self.bytes = self.bytes.saturating_add(to_u64(part.len()));
        }
    }

    /// The hash.
    pub(in crate::ops) fn finish(self) -> [u8; 32] {
        self.sha256.finalize().into()
    }
}

impl Sink for Fingerprint {
    fn begin_bucket(&mut self, name: &[u8], sequence: u64) -> Result<()> {
        self.take(0, [name, &sequence.to_le_bytes()]);
        Ok(())
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.take(1, [key, value]);
        Ok(())
    }

    fn end_bucket(&mut self) -> Result<()> {
        self.take(2, [b"", b""]);
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// Streams `db` into `sink`, with these edits, and of the key bucket what `keep` keeps.
pub(in crate::ops) fn stream(
    db: &Db<'_>,
    edits: &BTreeMap<&'static [u8], Edit>,
    keep: Option<&Selection>,
    sink: &mut impl Sink,
    monitor: &dyn Monitor,
) -> Result<()> {
    let mut stream = Stream { sink, db, keep, monitor, said: 0 };
    let root = db.root();
    let mut cursor = root.cursor();
    let mut names = BTreeMap::new();
    while let Some(item) = cursor.next().map_err(|c| stream.damaged(c))? {
        if !item.is_bucket {
            return Err(Error::Refused(format!("{}: a key outside every bucket: no etcd database", db.source().name())));
        }
        names.insert(item.key.to_vec(), true);
    }
    for name in edits.keys() {
        names.entry(name.to_vec()).or_insert(false);
    }
    let none = Edit::default();
    for (name, there) in names {
        let edit = edits.get(name.as_slice()).unwrap_or(&none);
        let bucket = if there { root.bucket(&name).map_err(|c| stream.damaged(c))? } else { None };
        stream.sink.begin_bucket(&name, bucket.as_ref().map_or(0, |bucket| bucket.sequence))?;
        stream.keep = keep.filter(|_| name == b"key");
        stream.bucket(bucket.as_ref().filter(|_| !edit.clear), edit, 1)?;
        stream.sink.end_bucket()?;
    }
    Ok(())
}

struct Stream<'c, 's, S: Sink> {
    sink: &'c mut S,
    db: &'c Db<'s>,
    keep: Option<&'c Selection>,
    monitor: &'c dyn Monitor,
    /// Bytes of progress that the monitor has heard of.
    said: u64,
}

impl<S: Sink> Stream<'_, '_, S> {
    fn damaged(&self, corrupt: Box<crate::Corrupt>) -> Error {
        Error::damaged(self.db.source().path(), corrupt)
    }

    fn bucket(&mut self, bucket: Option<&Bucket<'_, '_>>, edit: &Edit, depth: usize) -> Result<()> {
        let mut edits = edit.keys.iter().peekable();
        if let Some(bucket) = bucket {
            let mut cursor = bucket.cursor();
            let mut count = 0u64;
            while let Some(item) = cursor.next().map_err(|c| self.damaged(c))? {
                while let Some((key, value)) = edits.next_if(|(key, _)| key.as_slice() < item.key) {
                    if let Some(value) = value {
                        self.sink.put(key, value)?;
                    }
                }
                if let Some((key, value)) = edits.next_if(|(key, _)| key.as_slice() == item.key) {
                    if let Some(value) = value {
                        self.sink.put(key, value)?;
                    }
                } else if item.is_bucket {
                    let name = item.key.to_vec();
                    self.nested(bucket, &name, depth)?;
                } else if self.keep.is_none_or(|keep| keep.keeps(item.key, item.value)) {
                    self.sink.put(item.key, item.value)?;
                }
                count = count.wrapping_add(1);
                if count.is_multiple_of(1024) {
                    self.progress()?;
                }
            }
        }
        for (key, value) in edits {
            if let Some(value) = value {
                self.sink.put(key, value)?;
            }
        }
        self.progress()
    }

    fn nested(&mut self, parent: &Bucket<'_, '_>, name: &[u8], depth: usize) -> Result<()> {
        let inner = parent.bucket(name).map_err(|c| self.damaged(c))?;
        self.sink.begin_bucket(name, inner.as_ref().map_or(0, |inner| inner.sequence))?;
        if depth < MAX_DEPTH {
            self.bucket(inner.as_ref(), &Edit::default(), depth.saturating_add(1))?;
        }
        self.sink.end_bucket()
    }

    fn progress(&mut self) -> Result<()> {
        let done = self.sink.bytes();
        self.monitor.advance(done.saturating_sub(self.said));
        self.said = done;
        if self.monitor.cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }
}
