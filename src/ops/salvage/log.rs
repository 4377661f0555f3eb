//! The log beside a database that is damaged or gone.

use super::report::{Made, SalvageOptions, SalvagedFrom, empty};
use crate::bolt::Db;
use crate::etcd::Input as Given;
use crate::etcd::datadir::DataDir;
use crate::io::spool::Spool;
use crate::kube::times::written;
use crate::ops::copy::{CopyOptions, copy_into};
use crate::replay::fold::fold;
use crate::replay::stand_in::{empty_database, missing};
use crate::replay::{FoldOptions, MemberLog, apply};
use crate::words::error::{Error, Result};
use crate::words::ids::RaftIndex;
use crate::words::monitor::Monitor;

fn how(options: &SalvageOptions<'_>) -> FoldOptions<'static> {
    FoldOptions { version: options.version, clock: written, ..FoldOptions::default() }
}

/// What a log makes that tells everything: after an older backup, or from its first entry on; `None` if it does not go
/// back so far.
pub(super) fn from_log(
    dir: Option<&DataDir>,
    log: MemberLog,
    options: &SalvageOptions<'_>,
    monitor: &dyn Monitor,
) -> Result<Option<Made>> {
    let Some(dir) = dir.filter(|_| !log.files().is_empty()) else { return Ok(None) };
    let mut refused = None;
    for base in options.bases {
        let mut spool = Spool::new()?;
        let (wal_dir, version) = (dir.wal_dir.as_deref(), options.version);
        let copying = CopyOptions { wal_dir, version, ..CopyOptions::default() };
        match copy_into(Given::from(base), (spool.file(), base), &copying, monitor) {
            Ok(copied) => {
                let database = spool.into_source(base)?;
                let mut report = empty(SalvagedFrom::BaseAndLog);
                report.log = copied.fold;
                return Ok(Some(Made { database, fold: None, reached: None, report }));
            }
            Err(error @ (Error::Cancelled | Error::Output { .. })) => return Err(error),
            // It may still help with single pages.
            Err(error) => refused = Some(error),
        }
    }
    let log = log.keep_after(RaftIndex::default());
    let gone = DataDir { db: None, ..dir.clone() };
    if !missing(&gone, &log, monitor)?.made_anew {
        return refused.map_or(Ok(None), Err);
    }
    let database = empty_database(&dir.path.join("member/snap/db"))?;
    let db = Db::open(&database).map_err(|corrupt| Error::damaged(database.path(), corrupt))?;
    let fold = fold(&db, &log, how(options), monitor)?;
    Ok(Some(Made { database, fold: Some(fold), reached: None, report: empty(SalvagedFrom::Log) }))
}

/// Applies the log to what was made of pages, of which nothing is missing: an entry may ask for any key, and has
/// another effect if that is lost.
pub(super) fn go_on(made: &mut Made, log: MemberLog, options: &SalvageOptions<'_>, monitor: &dyn Monitor) {
    if log.files().is_empty() {
        return;
    }
    let folded = Db::open(&made.database).map_err(|corrupt| corrupt.to_string()).and_then(|db| {
        let facts = apply::facts(&db).map_err(|error| error.to_string())?;
        let log = log.keep_after(facts.consistent_index.unwrap_or_default());
        fold(&db, &log, how(options), monitor).map_err(|error| error.to_string())
    });
    match folded {
        Ok(fold) => {
            made.fold = Some(fold);
            made.report.made_of = SalvagedFrom::PagesAndLog;
        }
        Err(why) => made.report.log_left = Some(why),
    }
}
