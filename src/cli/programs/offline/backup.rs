//! `backup` (`backup_command.go` @ v3.5).

use std::ffi::OsString;
use std::path::Path;

use coldbolt::ops::backup::{BackupOptions, backup};
use serde_json::json;

use super::log;
use super::restore::database_of;
use crate::cli::context::Context;
use crate::cli::hint;
use crate::cli::programs::failed::{Failed, exists, given};

/// [legacy] offline backup of etcd directory
#[derive(Debug, clap::Args)]
pub struct Flags {
    /// Path to the etcd data dir
    #[arg(long, value_name = "string")]
    data_dir: OsString,
    /// Path to the etcd wal dir
    #[arg(long, value_name = "string")]
    wal_dir: Option<OsString>,
    /// Path to the backup dir
    #[arg(long, value_name = "string")]
    backup_dir: OsString,
    /// Path to the backup wal dir
    #[arg(long, value_name = "string")]
    backup_wal_dir: Option<OsString>,
    /// Backup v3 backend data
    #[arg(long, action = clap::ArgAction::SetFalse, default_value = "true")]
    with_v3: bool,
}

pub fn run(flags: &Flags, context: &Context<'_>) -> Result<(), Failed> {
    let (from, to) = (Path::new(&flags.data_dir), Path::new(&flags.backup_dir));
    exists(&database_of(from))?;
    let options = BackupOptions {
        wal_dir: flags.wal_dir.as_deref().and_then(given),
        to_wal_dir: flags.backup_wal_dir.as_deref().and_then(given),
        with_v3: flags.with_v3,
    };
    let mut report = backup(from, to, &options, context.monitor)?;
    hint::findings(&mut report.findings);
    let fields = json!({
        "data-dir": from.to_string_lossy(),
        "backup-dir": to.to_string_lossy(),
        "raft-snapshot": report.index,
        "entries": report.entries,
        "entries-emptied": report.emptied,
    });
    log::info(context.monitor, "made a backup, for etcd --force-new-cluster", &fields);
    Ok(())
}
