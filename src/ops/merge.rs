//! A database written anew with changes over it, bucket by bucket: everything that is reached is streamed, in order, nothing else is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Seek, Write};

use crate::bolt::writer::{self, MAX_DEPTH, Summary, Writer};
use crate::bolt::{Bucket, Db};
use crate::error::{Error, Result};
use crate::monitor::Monitor;

/// For each top-level bucket its keys that get a value, or none any more.
pub type Changes = BTreeMap<Vec<u8>, BTreeMap<Vec<u8>, Option<Vec<u8>>>>;

/// Writes a bbolt file with the content of `db` and the changes. A bucket that is not there and gets something is made.
///
/// # Errors
/// [`Error::Damaged`] when the source cannot be read in full, [`Error::Refused`] when it cannot be written as it is, [`Error::Output`].
pub fn merge<W: Write + Seek>(db: &Db<'_>, changes: &Changes, out: W, monitor: &dyn Monitor) -> Result<Summary> {
    let options = writer::Options {
        page_size: u32::try_from(db.page_size()).unwrap_or(0),
        txid: db.meta().txid.0.saturating_add(1),
        ..writer::Options::default()
    };
    monitor.begin("writing database", db.size());
    let mut merge = Merge { writer: Writer::new(out, options)?, db, monitor, said: 0 };
    let root = db.root();
    let mut names = BTreeSet::new();
    let mut cursor = root.cursor();
    while let Some(item) = cursor.next().map_err(|c| merge.damaged(c))? {
        if !item.is_bucket {
            return Err(Error::Refused(format!("{}: a key outside every bucket: no etcd database", db.source().name())));
        }
        names.insert(item.key.to_vec());
    }
    names.extend(changes.iter().filter(|(_, keys)| keys.values().any(Option::is_some)).map(|(name, _)| name.clone()));
    let none = BTreeMap::new();
    for name in names {
        let bucket = root.bucket(&name).map_err(|c| merge.damaged(c))?;
        merge.writer.begin_bucket(&name, bucket.as_ref().map_or(0, |bucket| bucket.sequence))?;
        merge.bucket(bucket.as_ref(), changes.get(&name).unwrap_or(&none), 1)?;
        merge.writer.end_bucket()?;
    }
    let summary = merge.writer.finish()?;
    monitor.end();
    Ok(summary)
}

struct Merge<'m, 's, W: Write + Seek> {
    writer: Writer<W>,
    db: &'m Db<'s>,
    monitor: &'m dyn Monitor,
    /// Bytes of progress that the monitor has heard of.
    said: u64,
}

impl<W: Write + Seek> Merge<'_, '_, W> {
    fn damaged(&self, corrupt: Box<crate::Corrupt>) -> Error {
        Error::damaged(self.db.source().path(), corrupt)
    }

    fn bucket(&mut self, bucket: Option<&Bucket<'_, '_>>, changes: &BTreeMap<Vec<u8>, Option<Vec<u8>>>, depth: usize) -> Result<()> {
        let mut changes = changes.iter().peekable();
        if let Some(bucket) = bucket {
            let mut cursor = bucket.cursor();
            let mut count = 0u64;
            while let Some(item) = cursor.next().map_err(|c| self.damaged(c))? {
                while let Some((key, value)) = changes.next_if(|(key, _)| key.as_slice() < item.key) {
                    self.put(key, value.as_deref())?;
                }
                if let Some((key, value)) = changes.next_if(|(key, _)| key.as_slice() == item.key) {
                    self.put(key, value.as_deref())?;
                } else if item.is_bucket {
                    let name = item.key.to_vec();
                    self.nested(bucket, &name, depth)?;
                } else {
                    self.writer.put(item.key, item.value)?;
                }
                count = count.wrapping_add(1);
                if count.is_multiple_of(1024) {
                    self.progress()?;
                }
            }
        }
        for (key, value) in changes {
            self.put(key, value.as_deref())?;
        }
        self.progress()
    }

    fn put(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        Ok(value.map_or(Ok(()), |value| self.writer.put(key, value))?)
    }

    fn nested(&mut self, parent: &Bucket<'_, '_>, name: &[u8], depth: usize) -> Result<()> {
        let inner = parent.bucket(name).map_err(|c| self.damaged(c))?;
        self.writer.begin_bucket(name, inner.as_ref().map_or(0, |inner| inner.sequence))?;
        if depth < MAX_DEPTH {
            self.bucket(inner.as_ref(), &BTreeMap::new(), depth.saturating_add(1))?;
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
