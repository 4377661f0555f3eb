//! What was found, as a database.

use std::collections::BTreeSet;
use std::io::{Seek, Write};
use std::path::Path;

use super::{Gathered, Reader, Settled};
use crate::bolt::found::FoundPages;
use crate::bolt::writer::{Options, Summary, Writer};
use crate::etcd::schema::{BUCKETS, SALVAGED};
use crate::etcd::{BucketKey, Revision, stored};
use crate::words::cause::Cause;
use crate::words::error::{Error, Result};
use crate::words::monitor::Monitor;

/// Writes it: every bucket that etcd makes when it starts, with what was found of it.
///
/// # Errors
/// [`Error::Output`], [`Error::Cancelled`], and [`Error::Unreadable`] when the files are not what they were any more.
pub(crate) fn write_found<W: Write + Seek>(
    files: &[FoundPages<'_>],
    gathered: &Gathered,
    settled: &Settled,
    out: W,
    monitor: &dyn Monitor,
) -> Result<Summary> {
    let page_size = files.first().map_or(4096, |found| found.layout.page_size);
    let txid = gathered.top.as_ref().and_then(|top| top.txid).map_or(0, |txid| txid.0);
    let options = Options {
        page_size: u32::try_from(page_size).unwrap_or(4096),
        txid: txid.saturating_add(1).min(u64::MAX.saturating_sub(1)),
        ..Options::default()
    };
    let mut small = gathered.small.buckets.clone();
    if let Some(compacted) = settled.compacted {
        let revision = Revision { main: compacted, sub: 0 };
        let value = BucketKey { revision, tombstone: false }.to_bytes();
        let meta = small.entry(b"meta".to_vec()).or_default();
        for mark in ["scheduledCompactRev", "finishedCompactRev"] {
            meta.insert(mark.as_bytes().to_vec(), value.clone());
        }
    }
    let mut names: BTreeSet<&[u8]> = BUCKETS.iter().map(|name| name.as_bytes()).collect();
    names.extend(small.keys().map(Vec::as_slice));
    let mut writer = Writer::new(out, options)?;
    let mut reader = Reader::new(files, &gathered.rows.leaves);
    for name in names {
        writer.begin_bucket(name, if name == b"meta" { SALVAGED } else { 0 })?;
        if name == stored::BUCKET {
            for row in &settled.rows {
                let Some(bytes) = reader.bytes(row) else {
                    let path = files.get(usize::from(row.file)).map(|found| found.source().path());
                    let changed = Cause::changed("changed while it was read; nothing was kept");
                    return Err(Error::unreadable(path.unwrap_or(Path::new("")), changed));
                };
                writer.put(&row.key.to_bytes(), &bytes)?;
                if monitor.cancelled() {
                    return Err(Error::Cancelled);
                }
            }
        } else {
            for (key, value) in small.get(name).into_iter().flatten() {
                writer.put(key, value)?;
            }
        }
        writer.end_bucket()?;
    }
    Ok(writer.finish()?)
}
