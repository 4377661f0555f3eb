use std::ffi::OsString;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::ValueEnum;
use coldbolt::etcd::{KeyRange, KeyValue};
use coldbolt::io::closed::Closing;
use coldbolt::io::dest::{Dest, Existing};
use coldbolt::kube::cluster::Cluster;
use coldbolt::kube::rows::{ObjectColumns, RowObjects};
use coldbolt::store::export::{MoreColumns, RowChange, RowForm};
use coldbolt::store::{Store, View, export};
use coldbolt::words::error::Error;

use super::closed::stdout_file;
use super::closing::CloseFor;
use super::context::{Context, Done, Fail, Verdict};
use super::keyspace::{ValueFile, bytes, refuse_terminal};
use super::kube::args::Secrets;
use super::progress::Terminal;

/// Write the keyspace as rows, for DuckDB, Spark or jq: live keys at a revision, or everything that is stored.
///
/// A key or value that is text is in `key` or `value`, any other in `key_base64` or `value_base64`; the other one of
/// the two is empty. With --all-revisions each stored change is a row, in order of the revisions. In Parquet key and
/// value are binary, whatever they hold.
///
/// With --kube a value that is a Kubernetes object has more columns: group, kind_version and kind as it is stored
/// (version is that of the key), namespace, name, uid, created (metadata.creationTimestamp), and manager, who wrote it
/// last: those of its managedFields with the newest time. They are empty for other values. Of what is encrypted or
/// cannot be decoded, and of deletions, the key tells namespace, name, group and kind; what could not be decoded is
/// counted, and the exit code is then 4.
///
/// --object adds the object as `kube get -o json` prints it, in ndjson as a part of the row. The data of Secrets is
/// redacted there and their values are left out of the row, unless --show-secrets is given. Without --object values are
/// written as they are stored, those of Secrets too, if not --no-values.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt export backup.db > keys.ndjson
  coldbolt export backup.db --all-revisions --no-values -w csv > changes.csv
  coldbolt export /var/lib/etcd --fold -w parquet -o keys.parquet
  coldbolt export backup.db --kube --no-values -w csv > objects.csv
  coldbolt export backup.db -o keys.ndjson.age --encrypt-to recipients.txt
  coldbolt export backup.db --kube --object --no-values | jq 'select(.kind == \"Pod\") | .object.spec.nodeName'

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
    /// Columns that tell which Kubernetes object a value is.
    #[arg(long)]
    kube: bool,
    /// A column with the object as JSON.
    #[arg(long, requires = "kube")]
    object: bool,
    /// What stands before the keys of objects (the API server's --etcd-prefix) [default: where objects are found].
    #[arg(long, value_name = "PREFIX", requires = "kube")]
    etcd_prefix: Option<String>,
    #[command(flatten)]
    secrets: Secrets,
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
    #[command(flatten)]
    close: CloseFor,
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
    let monitor = context.monitor;
    let recipients = args.close.recipients(monitor)?;
    let Some(path) = &args.output else {
        if args.write_out == Format::Parquet || recipients.is_some() {
            refuse_terminal()?;
        }
        let Some(recipients) = recipients else {
            return args.file.with(context, |store, out| export(args, store, out, monitor));
        };
        let mut closing = Closing::new(&recipients, stdout_file()?)?;
        let verdict = args.file.with(context, |store, _| export(args, store, &mut closing, monitor))?;
        closing.finish()?;
        return Ok(verdict);
    };
    let named = |fail| match fail {
        Fail::Output(source) => Fail::Library(Error::Output { what: path.display().to_string(), source }),
        other => other,
    };
    let dest = Dest::create(path, Existing::Keep)?;
    let (verdict, dest) = match recipients {
        None => {
            let mut file = BufWriter::with_capacity(1 << 20, dest);
            let verdict = args.file.with(context, |store, _| {
                let done = export(args, store, &mut file, monitor);
                done.and_then(|verdict| Ok(file.flush().map(|()| verdict)?)).map_err(named)
            })?;
            (verdict, file.into_inner().map_err(|error| named(Fail::Output(error.into_error())))?)
        }
        Some(recipients) => {
            let mut closing = Closing::new(&recipients, dest).map_err(|error| named(Fail::Output(error)))?;
            let verdict = args
                .file
                .with(context, |store, _| export(args, store, &mut closing, monitor).map_err(named))?;
            (verdict, closing.finish().map_err(|error| named(Fail::Output(error)))?.out)
        }
    };
    // Not before it is known that the source did not change meanwhile.
    dest.finish()?;
    Ok(verdict)
}

fn export(args: &Args, store: &Store<'_>, out: &mut dyn Write, monitor: &Terminal) -> Done {
    let view = store.at(Some(args.rev))?;
    if !args.kube {
        rows(args, store, view, None, out)?;
        return Ok(Verdict::Good);
    }
    let cluster = Cluster::open(view, args.etcd_prefix.as_deref())?;
    let objects = match (args.object, args.secrets.redactor()) {
        (false, _) => RowObjects::None,
        (true, None) => RowObjects::All,
        (true, Some(redactor)) => RowObjects::Redacted(redactor),
    };
    let columns = ObjectColumns::new(&cluster, objects);
    let cells = |kv: &KeyValue<'_>, change: Option<RowChange>| columns.cells(kv, change);
    rows(args, store, view, Some(MoreColumns { names: columns.names(), cells: &cells }), out)?;
    for (n, what) in [
        (columns.undecoded(), "values could not be decoded: of them the columns have what the key tells"),
        (columns.incomplete(), "objects have fields that no known Kubernetes has: object is without them"),
        (
            if args.no_values { 0 } else { columns.without_value() },
            "values are left out that are of Secrets or may be; --show-secrets writes them",
        ),
    ] {
        if n > 0 {
            monitor.say(&format!("{n} {what}"));
        }
    }
    Ok(if columns.undecoded() > 0 { Verdict::Inconclusive } else { Verdict::Good })
}

fn rows(
    args: &Args,
    store: &Store<'_>,
    view: View<'_>,
    more: Option<MoreColumns<'_>>,
    out: &mut dyn Write,
) -> Result<(), Fail> {
    let range = KeyRange::prefix(bytes(&args.prefix));
    let format = match args.write_out {
        Format::Ndjson => export::Format::Ndjson,
        Format::Csv if args.csv_safe => export::Format::CsvSafe,
        Format::Csv => export::Format::Csv,
        Format::Parquet => return parquet(args, store, view, range, more, out),
    };
    let form = RowForm { format, values: !args.no_values, more };
    if args.all_revisions {
        export::changes(store, args.only(&range), &form, out)??;
    } else {
        export::live(view, range, &form, out)??;
    }
    Ok(out.flush()?)
}

impl Args {
    /// Without a prefix markers too: they are part of what is stored.
    fn only<'r, 'k>(&self, range: &'r KeyRange<'k>) -> Option<&'r KeyRange<'k>> {
        self.prefix.is_some().then_some(range)
    }
}

#[cfg(feature = "parquet")]
fn parquet(
    args: &Args,
    store: &Store<'_>,
    view: View<'_>,
    range: KeyRange<'_>,
    more: Option<MoreColumns<'_>>,
    out: &mut dyn Write,
) -> Result<(), Fail> {
    let values = !args.no_values;
    let mut writer = super::parquet::Writer::new(args.all_revisions, values, more)?;
    if args.all_revisions {
        export::change_rows(store, args.only(&range), &mut |kv, change| {
            writer.row(kv, kv.value.len() as u64, Some(change), out)
        })??;
    } else {
        let reads = values || more.is_some();
        export::live_rows(view, range, reads, &mut |kv, len| writer.row(kv, len, None, out))??;
    }
    Ok(writer.end(out)?)
}

#[cfg(not(feature = "parquet"))]
fn parquet(
    _: &Args,
    _: &Store<'_>,
    _: View<'_>,
    _: KeyRange<'_>,
    _: Option<MoreColumns<'_>>,
    _: &mut dyn Write,
) -> Result<(), Fail> {
    let what = "this coldbolt was built without Parquet; \
                build it with `cargo build --release --features parquet`";
    Err(Fail::Usage(what.to_owned()))
}
