use std::io::{self, Write};
use std::path::{Path, PathBuf};

use coldbolt::codec::json;
use coldbolt::etcd::schema::Minor;
use coldbolt::ops::{StatusReport, status};
use coldbolt::words::error::Told;

use super::context::{Context, Done, Verdict};
use super::database::Database;
use super::out::{WriteOut, size, table};
use super::{input, named};

/// Print a snapshot's hash, revision, number of keys, size and storage version.
///
/// The numbers and their formats are those of `etcdutl snapshot status`. Unlike it, every page of the file is checked
/// and nothing a file contains can crash it. It does not compare the SHA-256 trailer. In JSON it says what the file was
/// packed in, if it was.
///
/// With --endpoints instead of FILE: how members that run stand, as `etcdctl endpoint status` tells it; exit code 1 for
/// an alarm, a missing leader or members of different clusters, 3 when one does not answer.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt status backup.db
  coldbolt status backup.db -w json
  coldbolt status /var/lib/etcd --fold
  coldbolt status /var/lib/etcd/member/snap/db --compat 3.5 -w table
  coldbolt status --endpoints http://127.0.0.1:2379 -w table")]
pub struct Args {
    /// Snapshot file, database or data directory; - is standard input.
    #[arg(value_name = "FILE")]
    #[cfg_attr(feature = "live", arg(required_unless_present_any = ["endpoints", "from_manifest"]))]
    #[cfg_attr(feature = "live", arg(conflicts_with_all = ["endpoints", "from_manifest"]))]
    #[cfg_attr(not(feature = "live"), arg(required = true))]
    path: Option<PathBuf>,
    /// Format of the answer.
    #[arg(short, long, value_enum, default_value = "simple", value_name = "FORMAT")]
    write_out: WriteOut,
    /// Answer as the tools of that etcd version do: up to 3.5 they count the elements of all buckets and print no
    /// version, since 3.6 the live user keys.
    #[arg(long, value_parser = named::minor(), default_value = "3.6", value_name = "VERSION")]
    compat: Minor,
    /// Of a data directory: answer as the member would after it starts again, with what only its log holds.
    #[arg(long)]
    #[cfg_attr(feature = "live", arg(conflicts_with_all = ["endpoints", "from_manifest"]))]
    fold: bool,
    #[cfg(feature = "live")]
    #[command(flatten)]
    members: super::live::Members,
}

pub fn run(args: &Args, context: &mut Context<'_>) -> Done {
    #[cfg(feature = "live")]
    if args.members.named() {
        return super::live::status(&args.members, args.write_out, context);
    }
    let monitor = context.monitor;
    let database = Database::open(args.path.as_deref().unwrap_or(Path::new("-")), args.fold, monitor)?;
    let source = database.source();
    let report = status(source, monitor)?;
    database.check_unchanged()?;
    if !report.is_etcd {
        monitor.say(&input::not_etcds(source));
    }
    let numbers = Numbers::new(report, args.compat >= Minor::V36);
    let out = &mut *context.out;
    match args.write_out {
        WriteOut::Simple => numbers.simple(out)?,
        WriteOut::Json => numbers.json(out, source.packed().as_deref())?,
        WriteOut::Fields => numbers.fields(out)?,
        WriteOut::Table if numbers.version.is_some() => {
            let [a, b, c, d, e] = NAMES;
            let row = numbers.row().try_into().unwrap_or_default();
            writeln!(out, "{}", table::<5>([a, b, c, d, e], [row]))?;
        }
        WriteOut::Table => {
            let [a, b, c, d, _] = NAMES;
            let row = numbers.row().try_into().unwrap_or_default();
            writeln!(out, "{}", table::<4>([a, b, c, d], [row]))?;
        }
    }
    Ok(if monitor.damage() { Verdict::Bad } else { Verdict::Good })
}

/// What they are called in a table.
pub const NAMES: [&str; 5] = ["HASH", "REVISION", "TOTAL KEYS", "TOTAL SIZE", "VERSION"];

/// The numbers of a file, as etcdutl prints them.
pub struct Numbers {
    hash: u32,
    revision: i64,
    keys: u64,
    total_size: u64,
    /// Those up to 3.5 print none.
    version: Option<Told>,
}

impl Numbers {
    /// With the storage version and live keys counted as since 3.6, or as before.
    pub fn new(report: StatusReport, versioned: bool) -> Numbers {
        let StatusReport { hash, revision, live_keys, all_keys, total_size, version, .. } = report;
        let keys = if versioned { live_keys } else { all_keys };
        Numbers { hash, revision, keys, total_size, version: versioned.then_some(version) }
    }

    /// Four or five texts.
    pub fn row(&self) -> Vec<String> {
        let mut row = vec![
            format!("{:x}", self.hash),
            self.revision.to_string(),
            self.keys.to_string(),
            size(self.total_size),
        ];
        row.extend(self.version.as_ref().map(ToString::to_string));
        row
    }

    pub fn simple(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}", self.row().join(", "))
    }

    /// With what the file was packed in, if it was.
    pub fn json(&self, out: &mut dyn Write, packed: Option<&str>) -> io::Result<()> {
        let Numbers { hash, revision, keys, total_size, version } = self;
        write!(out, r#"{{"hash":{hash},"revision":{revision},"totalKey":{keys},"totalSize":{total_size}"#)?;
        if let Some(version) = version {
            write!(out, r#","version":"#)?;
            json::write(&mut *out, version)?;
        }
        if let Some(packed) = packed {
            write!(out, r#","packed":"#)?;
            json::write(&mut *out, &packed)?;
        }
        writeln!(out, "}}")
    }

    pub fn fields(&self, out: &mut dyn Write) -> io::Result<()> {
        let Numbers { hash, revision, keys, total_size, version } = self;
        writeln!(
            out,
            "\"Hash\" : {hash}\n\"Revision\" : {revision}\n\"Keys\" : {keys}\n\"Size\" : {total_size}"
        )?;
        version.as_ref().map_or(Ok(()), |version| writeln!(out, "\"Version\" : {version}"))
    }
}
