use std::io::{self, Write};
use std::path::PathBuf;

use coldbolt::store::hashkv;
use coldbolt::store::hashkv::{HashKvOptions, HashKvReport};

use super::context::{Context, Done, Verdict};
use super::database::Database;
use super::input;
use super::out::{WriteOut, table};

/// Print the hash of the keyspace, by which members that should agree are compared.
///
/// The number is that of `etcdutl hashkv` and of a server's `etcdctl endpoint hashkv`. The file is only read.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt hashkv backup.db
  coldbolt hashkv backup.db --rev 100 -w json
  coldbolt hashkv /var/lib/etcd --fold")]
pub struct Args {
    /// Snapshot file, database or data directory; - is standard input.
    #[arg(value_name = "FILE")]
    path: PathBuf,
    /// Hash revisions up to this one; 0 is the last.
    #[arg(long, default_value_t = 0, value_name = "REVISION", allow_negative_numbers = true)]
    rev: i64,
    /// Hash as if the file were compacted at this revision, to compare it with a member that has compacted further.
    #[arg(long, value_name = "REVISION", allow_negative_numbers = true)]
    compact_rev: Option<i64>,
    /// Of a data directory: answer as the member would after it starts again, with what only its log holds.
    #[arg(long)]
    fold: bool,
    /// Format of the answer.
    #[arg(short, long, value_enum, default_value = "simple", value_name = "FORMAT")]
    write_out: WriteOut,
}

pub fn run(args: &Args, context: &mut Context<'_>) -> Done {
    let monitor = context.monitor;
    let database = Database::open(&args.path, args.fold, monitor)?;
    let options = HashKvOptions { revision: Some(args.rev), compact_revision: args.compact_rev };
    let report = hashkv(database.source(), &options, monitor)?;
    database.check_unchanged()?;
    if !report.is_etcd {
        monitor.say(&input::not_etcds(database.source()));
    }
    let out = &mut *context.out;
    match args.write_out {
        WriteOut::Simple => writeln!(out, "{}", row(&report).join(", "))?,
        WriteOut::Json => as_json(out, &report)?,
        WriteOut::Fields => as_fields(out, &report)?,
        WriteOut::Table => writeln!(out, "{}", table(NAMES, [row(&report)]))?,
    }
    Ok(if monitor.damage() { Verdict::Bad } else { Verdict::Good })
}

/// What the numbers are called in a table.
pub const NAMES: [&str; 3] = ["HASH", "HASH REVISION", "COMPACT REVISION"];

/// The numbers, as etcdutl prints them.
pub fn row(report: &HashKvReport) -> [String; 3] {
    [report.hash.to_string(), report.revision.to_string(), report.compact_revision.to_string()]
}

/// The same as JSON.
pub fn as_json(out: &mut dyn Write, report: &HashKvReport) -> io::Result<()> {
    let HashKvReport { hash, revision, compact_revision: compact, .. } = report;
    writeln!(out, r#"{{"hash":{hash},"hashRevision":{revision},"compactRevision":{compact}}}"#)
}

/// The same, one a line.
pub fn as_fields(out: &mut dyn Write, report: &HashKvReport) -> io::Result<()> {
    let HashKvReport { hash, revision, compact_revision: compact, .. } = report;
    writeln!(out, "\"Hash\" : {hash}\n\"Hash revision\" : {revision}\n\"Compact revision\" : {compact}")
}
