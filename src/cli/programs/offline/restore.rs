//! `snapshot restore` (`snapshot_command.go SnapshotRestoreCommandFunc`, `v3_snapshot.go Restore` @ v3.7).

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use coldbolt::Error;
use coldbolt::io::Source;
use coldbolt::ops::restore::{Bump, Destination, RestoreOptions, RestoreReport, restore};
use coldbolt::snap::backup::TRAILER;
use coldbolt::store::digest::sha256;
use coldbolt::words::cause::Cause;
use coldbolt::words::monitor::Quiet;
use coldbolt::words::refusal::Refusal;
use serde_json::{Value, json};

use super::log;
use crate::cli::context::Context;
use crate::cli::programs::failed::{BAD_ARGS, Failed, given};
use crate::cli::programs::go;
use crate::cli::{hint, input};

/// What a program was told.
#[derive(Debug, clap::Args)]
pub struct Flags {
    #[arg(value_name = "<filename>", num_args = 0..)]
    files: Vec<OsString>,
    /// Path to the output data directory
    #[arg(long, value_name = "string")]
    data_dir: Option<OsString>,
    /// Path to the WAL directory (use --data-dir if none given)
    #[arg(long, value_name = "string")]
    wal_dir: Option<OsString>,
    /// Initial cluster configuration for restore bootstrap
    #[arg(long, value_name = "string", default_value = "default=http://localhost:2380")]
    initial_cluster: String,
    /// Initial cluster token for the etcd cluster during restore bootstrap
    #[arg(long, value_name = "string", default_value = "etcd-cluster")]
    initial_cluster_token: String,
    /// List of this member's peer URLs to advertise to the rest of the cluster
    #[arg(long, value_name = "string", default_value = "http://localhost:2380")]
    initial_advertise_peer_urls: String,
    /// Human-readable name for this member
    #[arg(long, value_name = "string", default_value = "default")]
    name: String,
    /// Ignore snapshot integrity hash value (required if copied from data directory)
    #[arg(long)]
    skip_hash_check: bool,
    /// Initial memory map size of the database in bytes. It uses the default value if not defined or defined to 0
    #[arg(long, value_name = "uint", value_parser = go::uint, default_value = "10737418240")]
    initial_memory_map_size: u64,
    /// How much to increase the latest revision after restore
    #[arg(long, value_name = "uint", value_parser = go::uint, default_value = "0")]
    bump_revision: u64,
    /// Mark the latest revision after restore as the point of scheduled compaction (required if --bump-revision > 0,
    /// disallowed otherwise)
    #[arg(long)]
    mark_compacted: bool,
}

pub fn run(flags: &Flags, context: &Context<'_>) -> Result<(), Failed> {
    let [file] = flags.files.as_slice() else {
        return Err(Failed::new(BAD_ARGS, "snapshot restore requires exactly one argument"));
    };
    if (flags.bump_revision > 0) != flags.mark_compacted {
        return Err(Failed::new(BAD_ARGS, "--mark-compacted required if --revision-bump > 0"));
    }
    let path = Path::new(file);
    let data_dir = flags.data_dir.as_deref().and_then(given).map(Path::to_path_buf);
    let data_dir = data_dir.unwrap_or_else(|| format!("{}.etcd", flags.name).into());
    let wal_dir = flags.wal_dir.as_deref().and_then(given).map(Path::to_path_buf);
    let places = json!({
        "path": path.display().to_string(),
        "wal-dir": wal_dir.clone().unwrap_or_else(|| data_dir.join("member/wal")).to_string_lossy(),
        "data-dir": data_dir.to_string_lossy(),
        "snap-dir": data_dir.join("member/snap").to_string_lossy(),
        "initial-memory-map-size": flags.initial_memory_map_size,
    });
    let source = input::any_file(path).map_err(|error| unopened(path, error))?;
    let destination = Destination::Member {
        name: flags.name.clone(),
        advertised: flags.initial_advertise_peer_urls.clone(),
        data_dir,
        wal_dir,
    };
    let options = RestoreOptions {
        token: flags.initial_cluster_token.clone(),
        skip_hash_check: flags.skip_hash_check,
        bump: if flags.bump_revision > 0 { Bump::By(flags.bump_revision) } else { Bump::None },
        ..RestoreOptions::new(&flags.initial_cluster, destination)
    };
    let checked = input::checked(source.clone()).map_err(Failed::from);
    let done = checked.and_then(|checked| restore(checked, &options, context.monitor).map_err(refused));
    let mut report = match done {
        Ok(report) => report,
        Err(failed) => return Err(wrong_hash(flags, &source).unwrap_or(failed)),
    };
    hint::notes(&mut report.advice);
    said(&report, &places, context);
    Ok(())
}

/// What etcdutl logs, and what else there is to say.
fn said(report: &RestoreReport, places: &Value, context: &Context<'_>) {
    log::info(context.monitor, "restoring snapshot", places);
    for member in &report.members {
        let fields = json!({
            "cluster-id": report.cluster_id,
            "local-member-id": "0",
            "added-peer-id": member.id,
            "added-peer-peer-urls": member.peer_urls,
        });
        log::info(context.monitor, "added member", &fields);
    }
    log::info(context.monitor, "restored snapshot", places);
    let warnings = report.warnings.iter().map(ToString::to_string);
    for what in warnings.chain(report.advice.iter().map(ToString::to_string)) {
        context.monitor.say(&format!("warning: {what}"));
    }
}

fn unopened(path: &Path, error: Error) -> Failed {
    match &error {
        Error::Unreadable { cause: Cause::Directory { .. }, .. } => {
            format!("read {}: is a directory: {}", path.display(), hint::error(&error)).into()
        }
        _ => error.into(),
    }
}

fn refused(error: Error) -> Failed {
    match &error {
        Error::Refused(Refusal::NothingToCheck { .. }) => {
            "snapshot missing hash but --skip-hash-check=false".to_owned().into()
        }
        _ => error.into(),
    }
}

/// What etcdutl looks at first. Here it is looked at only when there is something to complain of: that a hash is
/// right is among what every restore checks.
fn wrong_hash(flags: &Flags, source: &Source) -> Option<Failed> {
    let size = source.len();
    if flags.skip_hash_check || size % 512 != TRAILER {
        return None;
    }
    let payload = size - TRAILER;
    let mut due = [0; 32];
    source.read_exact_at(payload, &mut due).ok()?;
    let got = sha256(source, payload, &Quiet).ok()?;
    let told = |sum: [u8; 32]| sum.map(|byte| byte.to_string()).join(" ");
    (due != got).then(|| format!("expected sha256 [{}], got [{}]", told(due), told(got)).into())
}

/// Where a data directory is that has to be there.
pub fn database_of(data_dir: &Path) -> PathBuf {
    data_dir.join("member/snap/db")
}
