use std::ffi::OsString;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::ValueEnum;
use coldbolt::etcd::KeyRange;
use coldbolt::io::dest::{Dest, Existing};
use coldbolt::store::{Store, View, export};
use coldbolt::words::error::Error;

use super::context::{Context, Done, Fail, Verdict};
use super::keyspace::{ValueFile, bytes};

/// Write the keyspace as rows, for DuckDB, Spark or jq: live keys at a revision, or everything that is stored.
///
/// A key or value that is text is in `key` or `value`, any other in `key_base64` or `value_base64`; the other one of
/// the two is empty. With --all-revisions each stored change is a row, in order of the revisions. In Parquet key and
/// value are binary, whatever they hold.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt export backup.db > keys.ndjson
  coldbolt export backup.db --all-revisions --no-values -w csv > changes.csv
  coldbolt export /var/lib/etcd --fold -w parquet -o keys.parquet

In DuckDB: SELECT split_part(key, '/', 3) AS kind, count(*) FROM 'changes.csv' GROUP BY kind;")]
pub struct Args {
    #[command(flatten)]
    file: ValueFile,
    /// Only keys that begin so.
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<OsString>,
    /// As of this revision; 0 is the last.
    #[arg(
        long,
        default_value_t = 0,
        value_name = "REVISION",
        allow_negative_numbers = true,
        conflicts_with = "all_revisions"
    )]
    rev: i64,
    /// Every stored change, deletions included.
    #[arg(long)]
    all_revisions: bool,
    /// Leave values out; their length is there all the same.
    #[arg(long)]
    no_values: bool,
    /// Format of the answer.
    #[arg(short, long, value_enum, default_value = "ndjson", value_name = "FORMAT")]
    write_out: Format,
    /// With csv: a key or value that a spreadsheet would run as a formula (it begins with = + - @, a tab or an end of a
    /// line) gets a ' before it, and so does one that begins with a '.
    #[arg(long)]
    csv_safe: bool,
    /// Write to this file, which must not exist, and which appears whole or not at all.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One JSON object a line.
    Ndjson,
    /// Comma-separated values with a header line (RFC 4180).
    Csv,
    /// Apache Parquet, Snappy-compressed; if coldbolt was built with it.
    Parquet,
}

pub fn run(args: &Args, context: &mut Context<'_>) -> Done {
    if args.csv_safe && args.write_out != Format::Csv {
        return Err(Fail::Usage("--csv-safe is for -w csv".to_owned()));
    }
    let Some(path) = &args.output else {
        return args.file.with(context, |store, out| export(args, store, out));
    };
    let mut dest = Dest::create(path, Existing::Keep)?;
    let verdict = args.file.with(context, |store, _| {
        let mut file = BufWriter::with_capacity(1 << 20, &mut dest);
        let done = export(args, store, &mut file)
            .and_then(|verdict| file.flush().map(|()| verdict).map_err(Fail::Output));
        done.map_err(|fail| match fail {
            Fail::Output(source) => Fail::Library(Error::Output { what: path.display().to_string(), source }),
            other => other,
        })
    })?;
    // Not before it is known that the source did not change meanwhile.
    dest.finish()?;
    Ok(verdict)
}

fn export(args: &Args, store: &Store<'_>, out: &mut dyn Write) -> Done {
    let range = KeyRange::prefix(bytes(&args.prefix));
    let view = store.at(Some(args.rev))?;
    let values = !args.no_values;
    let format = match args.write_out {
        Format::Ndjson => export::Format::Ndjson,
        Format::Csv if args.csv_safe => export::Format::CsvSafe,
        Format::Csv => export::Format::Csv,
        Format::Parquet => return parquet(args, store, view, range, out),
    };
    if args.all_revisions {
        export::changes(store, args.only(&range), values, format, out)??;
    } else {
        export::live(view, range, values, format, out)??;
    }
    out.flush()?;
    Ok(Verdict::Good)
}

impl Args {
    /// Without a prefix markers too: they are part of what is stored.
    fn only<'r, 'k>(&self, range: &'r KeyRange<'k>) -> Option<&'r KeyRange<'k>> {
        self.prefix.is_some().then_some(range)
    }
}

#[cfg(feature = "parquet")]
fn parquet(args: &Args, store: &Store<'_>, view: View<'_>, range: KeyRange<'_>, out: &mut dyn Write) -> Done {
    let mut writer = super::parquet::Writer::new(args.all_revisions, !args.no_values)?;
    if args.all_revisions {
        export::change_rows(store, args.only(&range), &mut |kv, change| {
            writer.row(kv, kv.value.len() as u64, Some(change), out)
        })??;
    } else {
        export::live_rows(view, range, !args.no_values, &mut |kv, len| writer.row(kv, len, None, out))??;
    }
    writer.end(out)?;
    Ok(Verdict::Good)
}

#[cfg(not(feature = "parquet"))]
fn parquet(_: &Args, _: &Store<'_>, _: View<'_>, _: KeyRange<'_>, _: &mut dyn Write) -> Done {
    let what = "this coldbolt was built without Parquet; \
                build it with `cargo build --release --features parquet`";
    Err(Fail::Usage(what.to_owned()))
}
