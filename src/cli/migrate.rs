use std::path::PathBuf;

use coldbolt::etcd::schema::Minor;
use coldbolt::ops::migrate::{MigrateOptions, MigrateReport, Target, migrate};
use serde_json::json;

use super::context::{Context, Done, Verdict};
use super::hint;
use super::out::{Form, document, json};

/// Bring the database of a stopped member to the storage version of another etcd, for an upgrade or a downgrade.
///
/// As `etcdutl migrate`: the versions from 3.6 on state themselves in the database, and an older etcd refuses to start
/// from what a newer one states. Refused is what etcd knows no way for, and a downgrade below what the log needs.
///
/// As with `defrag --data-dir`, the new database is written beside the old one, read back and compared, and takes its
/// place at the end; a directory that a running etcd uses is refused. It is said whether etcd of that version starts.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt migrate --data-dir /var/lib/etcd --target-version 3.5
  coldbolt migrate --data-dir /var/lib/etcd --target-version 3.5 --dry-run -w json")]
pub struct Args {
    /// Data directory of a stopped member: its database is replaced.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// The log, if it is kept outside the data directory.
    #[arg(long, value_name = "DIR")]
    wal_dir: Option<PathBuf>,
    /// The version to bring it to, as 3.6; 3.5 at least.
    #[arg(long, value_name = "VERSION")]
    target_version: Target,
    /// Set the version even where that is refused: etcd may panic at what it then meets.
    #[arg(long)]
    force: bool,
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
    /// Format of the answer.
    #[arg(short, long, value_enum, default_value = "table", value_name = "FORMAT")]
    write_out: Form,
}

pub fn run(args: &Args, context: &mut Context<'_>) -> Done {
    let options = MigrateOptions {
        wal_dir: args.wal_dir.clone(),
        target: args.target_version,
        force: args.force,
        dry_run: args.dry_run,
    };
    let mut report = migrate(&args.data_dir, &options, context.monitor)?;
    if let Some(written) = &mut report.written {
        hint::notes(&mut written.notes);
    }
    match args.write_out {
        Form::Json => {
            json(context.out, &document(json!({ "schema": "coldbolt.migrate/1" }), &report))?;
        }
        Form::Table => screen(context.out, &report, args.dry_run)?,
    }
    Ok(Verdict::Good)
}

fn screen(out: &mut dyn std::io::Write, report: &MigrateReport, dry_run: bool) -> std::io::Result<()> {
    let MigrateReport { database, before, after, .. } = report;
    if before == after {
        return writeln!(out, "{database}: the storage version is {after} already");
    }
    let would = if dry_run { "would become" } else { "becomes" };
    writeln!(out, "{database}: storage version {before} {would} {after}")?;
    let absent = "absent".to_owned();
    let (was, is) = &report.field;
    let was = was.as_ref().map_or(absent.clone(), ToString::to_string);
    writeln!(out, "meta/storageVersion: {was} {would} {}", is.as_ref().unwrap_or(&absent))?;
    if let Some(forced) = &report.forced {
        writeln!(out, "forced: {forced}")?;
    }
    if before != after && !Minor::ALL.iter().any(|minor| minor.first().to_string() == *after) {
        writeln!(out, "note: no etcd of version {after} is known here")?;
    }
    if let Some(refuses) = &report.refuses {
        writeln!(out, "note: etcd {after} does not start from it: {refuses}")?;
    }
    if let Some(written) = &report.written {
        writeln!(out, "content otherwise the same, read back and compared")?;
        for note in &written.notes {
            writeln!(out, "note: {note}")?;
        }
    }
    Ok(())
}
