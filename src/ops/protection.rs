//! `kube encryption`: which values are plain, and what encrypted the others, without any key.

use crate::bolt::Db;
use crate::etcd::datadir;
use crate::io::gate::with_read_ahead;
use crate::kube::places::ObjectPlaces;
use crate::kube::protection::{ProtectionOptions, ProtectionReport, protections};
use crate::ops::live_keys::places;
use crate::store::Store;
use crate::store::scan::{KeyDepth, Scan, ScanOptions, scan};
use crate::words::error::{Error, Result};
use crate::words::finding::{Code, Finding};
use crate::words::monitor::{Monitor, Relay};

/// Looks at every stored version, and at every page that no tree holds. Objects lie behind `prefix`, or where they are
/// found; `None` where none are.
///
/// # Errors
/// [`Error::Damaged`] when pages of the trees cannot be read, unless the store allows damage; [`Error::Cancelled`].
pub fn protection(
    store: &Store<'_>,
    prefix: Option<&str>,
    options: &ProtectionOptions<'_>,
    monitor: &dyn Monitor,
) -> Result<Option<ProtectionReport>> {
    let db = datadir::database(store.source())?;
    of_scanned(&db, &scanned(store, &db, monitor)?, prefix, options, monitor)
}

/// Scans the database of a store. Its damage is told, and an error unless the store allows it.
pub(in crate::ops) fn scanned(store: &Store<'_>, db: &Db<'_>, monitor: &dyn Monitor) -> Result<Scan> {
    let source = store.source();
    let scan = with_read_ahead(source, |gate| {
        scan(db, ScanOptions { limit: 100, gate, keys: KeyDepth::Live }, monitor)
    })?;
    // Whoever opened the store has heard of these.
    let known: Vec<_> = db.faults().collect();
    let mut worst = None;
    for corrupt in scan.faults.kept.iter().filter(|corrupt| !known.contains(corrupt)) {
        monitor.finding(Finding::from_corrupt(&source.name(), corrupt.clone()));
        if worst.is_none() && corrupt.code != Code::PageLeaked {
            worst = Some(corrupt.clone());
        }
    }
    match worst {
        Some(corrupt) if !store.allows_damage() => Err(Error::damaged(source.path(), Box::new(corrupt))),
        _ => Ok(scan),
    }
}

/// Where objects lie: behind a prefix, or where they are found; `None` where none are.
pub(in crate::ops) fn objects(
    db: &Db<'_>,
    scan: &Scan,
    prefix: Option<&str>,
    monitor: &dyn Monitor,
) -> Option<ObjectPlaces> {
    let places = places(scan, db, None, monitor);
    let places = match prefix {
        Some(prefix) => places.behind(prefix),
        None => places,
    };
    (!places.is_empty()).then_some(places)
}

/// How the values of some resources are protected, in a database that was scanned. Where no objects are, there are none
/// of them either.
pub(in crate::ops) fn asked(
    scan: &Scan,
    db: &Db<'_>,
    resources: &[String],
    monitor: &dyn Monitor,
) -> Result<Option<ProtectionReport>> {
    if resources.is_empty() {
        return Ok(None);
    }
    let options =
        ProtectionOptions { only: Some(resources), names: 3, times: false, ..ProtectionOptions::default() };
    Ok(Some(of_scanned(db, scan, None, &options, monitor)?.unwrap_or_default()))
}

fn of_scanned(
    db: &Db<'_>,
    scan: &Scan,
    prefix: Option<&str>,
    options: &ProtectionOptions<'_>,
    monitor: &dyn Monitor,
) -> Result<Option<ProtectionReport>> {
    let part = Relay::new(monitor).as_part().without_findings().without_progress();
    let report =
        objects(db, scan, prefix, &part).map(|places| protections(db, scan, &places, options, &part));
    // A prefix that nothing lies behind says nothing of the file, nor a namespace that nothing is in.
    let asked = prefix.is_some() || options.namespace.is_some();
    let report = report.filter(|report| !asked || !report.resources.is_empty());
    if monitor.cancelled() { Err(Error::Cancelled) } else { Ok(report) }
}
