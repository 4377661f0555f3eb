use std::path::PathBuf;

use coldbolt::codec::json;
use coldbolt::etcd::schema::Minor;
use coldbolt::ops::{StatusReport, status};

use super::context::{Context, Done, Verdict};
use super::out::{WriteOut, size, table};
use super::{input, named};

/// Print a snapshot's hash, revision, number of keys, size and storage version.
///
/// The numbers and their formats are those of `etcdutl snapshot status`. Unlike it, every page of the file is checked
/// and nothing a file contains can crash it. It does not compare the SHA-256 trailer.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt status backup.db
  coldbolt status backup.db -w json
  coldbolt status /var/lib/etcd/member/snap/db --compat 3.5 -w table")]
pub struct Args {
    /// Snapshot file or database; - is standard input.
    #[arg(value_name = "FILE")]
    path: PathBuf,
    /// Format of the answer.
    #[arg(short, long, value_enum, default_value = "simple", value_name = "FORMAT")]
    write_out: WriteOut,
    /// Answer as the tools of that etcd version do: up to 3.5 they count the elements of all buckets and print no
    /// version, since 3.6 the live user keys.
    #[arg(long, value_parser = named::minor(), default_value = "3.6", value_name = "VERSION")]
    compat: Minor,
}

pub fn run(args: &Args, context: &mut Context<'_>) -> Done {
    let source = input::database(&args.path)?;
    let monitor = context.monitor;
    let report = status(&source, monitor)?;
    if !report.is_etcd {
        monitor.say(&input::not_etcds(&source));
    }
    let versioned = args.compat >= Minor::V36;
    let StatusReport { hash, revision, live_keys, all_keys, total_size, version, .. } = report;
    let keys = if versioned { live_keys } else { all_keys };
    let out = &mut *context.out;
    match args.write_out {
        WriteOut::Simple if versioned => {
            writeln!(out, "{hash:x}, {revision}, {keys}, {}, {version}", size(total_size))?
        }
        WriteOut::Simple => writeln!(out, "{hash:x}, {revision}, {keys}, {}", size(total_size))?,
        WriteOut::Json => {
            write!(
                out,
                r#"{{"hash":{hash},"revision":{revision},"totalKey":{keys},"totalSize":{total_size}"#
            )?;
            if versioned {
                write!(out, r#","version":"#)?;
                json::write(&mut *out, &version)?;
            }
            writeln!(out, "}}")?;
        }
        WriteOut::Fields => {
            writeln!(
                out,
                "\"Hash\" : {hash}\n\"Revision\" : {revision}\n\"Keys\" : {keys}\n\"Size\" : {total_size}"
            )?;
            if versioned {
                writeln!(out, "\"Version\" : {version}")?;
            }
        }
        WriteOut::Table => {
            let row = [format!("{hash:x}"), revision.to_string(), keys.to_string(), size(total_size)];
            let header = ["HASH", "REVISION", "TOTAL KEYS", "TOTAL SIZE"];
            let [a, b, c, d] = header;
            let [w, x, y, z] = row.clone();
            let table = if versioned {
                table([a, b, c, d, "VERSION"], [[w, x, y, z, version.to_string()]])
            } else {
                table(header, [row])
            };
            writeln!(out, "{table}")?;
        }
    }
    Ok(if monitor.damage() { Verdict::Bad } else { Verdict::Good })
}
