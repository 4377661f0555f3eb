//! `status`: the numbers `etcdutl snapshot status` prints, from a walk that also checks every page.

use crate::etcd::schema::told_older;
use crate::etcd::{Input, datadir};
use crate::io::Source;
use crate::io::gate::with_read_ahead;
use crate::store::scan::{KeyDepth, ScanOptions, scan};
use crate::words::error::{Corrupt, Error, Result};
use crate::words::finding::{Code, Finding};
use crate::words::monitor::Monitor;
use crate::words::text::Told;

/// The five numbers, and both meanings of "total keys".
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StatusReport {
    /// CRC-32C over the names, keys and values of all buckets.
    pub hash: u32,
    /// The last revision in the file; 0 when there is none.
    pub revision: i64,
    /// User keys that are live: what etcdutl 3.6 and newer count.
    pub live_keys: u64,
    /// Elements of all buckets: what etcdctl and etcdutl up to 3.5 count.
    pub all_keys: u64,
    /// High water mark times page size, in bytes.
    pub total_size: u64,
    /// `meta/storageVersion`; empty before 3.6.
    pub version: Told,
    /// Whether it is etcd's: of another program's database the numbers mean nothing.
    pub is_etcd: bool,
}

/// Walks a snapshot file or database.
///
/// Broken rules that still let everything be read (one bad meta page, lost pages) go to the monitor as findings.
///
/// # Errors
/// [`Error::Damaged`] with the first broken rule when the numbers could not be right, after all of them went to the
/// monitor; [`Error::Unreadable`] when it is another kind of file, or changed meanwhile.
pub fn status(input: impl Into<Input>, monitor: &dyn Monitor) -> Result<StatusReport> {
    let source = input.into().open()?;
    source.unchanged_or_error(monitor, numbers(&source, monitor))
}

fn numbers(source: &Source, monitor: &dyn Monitor) -> Result<StatusReport> {
    let db = datadir::database(source)?;
    let scan = with_read_ahead(source, |gate| {
        scan(&db, ScanOptions { limit: 100, gate, keys: KeyDepth::Live }, monitor)
    })?;
    let name = source.name();
    let mut worst: Option<Corrupt> = None;
    for corrupt in &scan.faults.kept {
        monitor.finding(Finding::from_corrupt(&name, corrupt.clone()));
        if worst.is_none()
            && !matches!(corrupt.code, Code::MetaInvalid | Code::MetaUnusable | Code::PageLeaked)
        {
            worst = Some(corrupt.clone());
        }
    }
    if let Some(corrupt) = worst {
        return Err(Error::damaged(source.path(), Box::new(corrupt)));
    }
    told_older(&scan.facts, &name).into_iter().for_each(|finding| monitor.finding(finding));
    Ok(StatusReport {
        hash: scan.hash,
        revision: scan.keyspace.last.map_or(0, |r| r.main),
        live_keys: scan.newest.live(),
        all_keys: scan.all_keys(),
        total_size: db.size(),
        version: scan.facts.storage_version.unwrap_or_default(),
        is_etcd: scan.is_etcd,
    })
}
