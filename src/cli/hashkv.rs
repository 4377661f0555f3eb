use std::path::PathBuf;

use coldbolt::store::hashkv;
use coldbolt::store::hashkv::{HashKvOptions, HashKvReport};

use super::context::{Context, Done, Verdict};
use super::input;
use super::out::{WriteOut, table};

/// Print the hash of the keyspace, by which members that should agree are compared.
///
/// The number is that of `etcdutl hashkv` and of a server's `etcdctl endpoint hashkv`. The file is only read.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt hashkv backup.db
  coldbolt hashkv backup.db --rev 1000 -w json")]
pub struct Args {
    /// Snapshot file or database; - is standard input.
    #[arg(value_name = "FILE")]
    path: PathBuf,
    /// Hash revisions up to this one; 0 is the last.
    #[arg(long, default_value_t = 0, value_name = "REVISION", allow_negative_numbers = true)]
    rev: i64,
    /// Hash as if the file were compacted at this revision, to compare it with a member that has compacted further.
    #[arg(long, value_name = "REVISION", allow_negative_numbers = true)]
    compact_rev: Option<i64>,
    /// Format of the answer.
    #[arg(short, long, value_enum, default_value = "simple", value_name = "FORMAT")]
    write_out: WriteOut,
}

pub fn run(args: &Args, context: &mut Context<'_>) -> Done {
    let source = input::database(&args.path)?;
    let monitor = context.monitor;
    let options = HashKvOptions { revision: Some(args.rev), compact_revision: args.compact_rev };
    let report = hashkv(&source, &options, monitor)?;
    if !report.is_etcd {
        monitor.say(&input::not_etcds(&source));
    }
    let HashKvReport { hash, revision, compact_revision: compact, .. } = report;
    let out = &mut *context.out;
    match args.write_out {
        WriteOut::Simple => writeln!(out, "{hash}, {revision}, {compact}")?,
        WriteOut::Json => {
            writeln!(out, r#"{{"hash":{hash},"hashRevision":{revision},"compactRevision":{compact}}}"#)?
        }
        WriteOut::Fields => writeln!(
            out,
            "\"Hash\" : {hash}\n\"Hash revision\" : {revision}\n\"Compact revision\" : {compact}"
        )?,
        WriteOut::Table => {
            let row = [hash.to_string(), revision.to_string(), compact.to_string()];
            writeln!(out, "{}", table(["HASH", "HASH REVISION", "COMPACT REVISION"], [row]))?;
        }
    }
    Ok(if monitor.damage() { Verdict::Bad } else { Verdict::Good })
}
