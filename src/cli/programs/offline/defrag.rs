//! `defrag` (`defrag_command.go` @ v3.7).

use std::ffi::OsStr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use coldbolt::Error;
use coldbolt::ops::defrag::{DefragOptions, DefragReport, defrag};
use coldbolt::words::cause::Cause;
use serde_json::json;

use super::log;
use super::restore::database_of;
use crate::cli::context::Context;
use crate::cli::hint;
use crate::cli::out::size;
use crate::cli::programs::failed::{ERROR, Failed, exists};

/// How long an etcd that ends may take to let go of its database.
const STEP: Duration = Duration::from_millis(100);

pub fn run(data_dir: &OsStr, timeout: Duration, context: &Context<'_>) -> Result<(), Failed> {
    let failed = |why: Failed| {
        let why = why.what.unwrap_or_default();
        Failed::new(ERROR, format!("Failed to defragment etcd data[{}] ({why})", data_dir.display()))
    };
    let db = database_of(Path::new(data_dir));
    exists(&db).map_err(failed)?;
    let start = Instant::now();
    let report = unlocked(timeout, || defrag(db.as_path(), &DefragOptions::in_place(), context.monitor));
    let mut report = report.map_err(|error| failed(error.into()))?;
    hint::notes(&mut report.notes);
    let DefragReport { before, after, .. } = &report;
    let fields = json!({
        "path": db.to_string_lossy(),
        "current-db-size-bytes-diff": i128::from(after.page_bytes) - i128::from(before.page_bytes),
        "current-db-size-bytes": after.page_bytes,
        "current-db-size": size(after.page_bytes),
        "current-db-size-in-use-bytes": after.page_bytes.saturating_sub(after.free_bytes),
        "current-db-size-in-use": size(after.page_bytes.saturating_sub(after.free_bytes)),
        "took": format!("{:?}", start.elapsed()),
    });
    log::info(context.monitor, "finished defragmenting directory", &fields);
    report.notes.iter().for_each(|note| context.monitor.say(&format!("note: {note}")));
    Ok(())
}

/// Does something again while a running etcd holds the database, for that long; 0 is for ever.
pub fn unlocked<T>(timeout: Duration, mut work: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    let start = Instant::now();
    loop {
        match work() {
            Err(Error::Unreadable { cause: Cause::InUse(_), .. })
                if timeout.is_zero() || start.elapsed() < timeout =>
            {
                thread::sleep(STEP.min(timeout.max(STEP)));
            }
            done => return done,
        }
    }
}
