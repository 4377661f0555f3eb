use std::borrow::Cow;
use std::ffi::OsString;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use clap::ValueEnum;
use coldbolt::etcd::{KeyRange, KeyValue};
use coldbolt::io::Window;
use coldbolt::io::dest::{Dest, Existing};
use coldbolt::store::{EventKind, KeyState, Store, View};
use coldbolt::words::error::Error;
use rayon::iter::ParallelIterator;
use rayon::slice::ParallelSlice;
use serde::Serialize;

use super::events::kind;
use super::keyspace::{File, base64, bytes, keep};
use super::{Context, Done, Fail, Verdict};

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
    file: File,
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

/// A row; the fields that only --all-revisions has come first.
#[derive(Serialize)]
struct Row<'r> {
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    change: Option<ChangeFields>,
    key: Option<&'r str>,
    key_base64: Option<String>,
    create_revision: i64,
    mod_revision: i64,
    version: i64,
    lease: Option<String>,
    value_len: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Option<&'r str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_base64: Option<Option<String>>,
}

#[derive(Serialize)]
pub struct ChangeFields {
    pub r#type: &'static str,
    pub sub: i64,
    pub compacted: bool,
}

/// Text that stays what it is in every program: UTF-8 without control characters other than tabs and ends of lines.
fn text(bytes: &[u8]) -> (Option<&str>, Option<String>) {
    let plain = |text: &&str| text.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\t'));
    let text = std::str::from_utf8(bytes).ok().filter(plain);
    (text, text.is_none().then(|| base64(bytes)))
}

impl<'r> Row<'r> {
    fn new(kv: KeyValue<'r>, value_len: usize, values: bool, change: Option<ChangeFields>) -> Row<'r> {
        let (key, key_base64) = text(kv.key);
        let (value, value_base64) = if values { text(kv.value) } else { (None, None) };
        Row {
            change,
            key,
            key_base64,
            create_revision: kv.create_revision,
            mod_revision: kv.mod_revision,
            version: kv.version,
            lease: (kv.lease != 0).then(|| kv.lease_id().padded()),
            value_len,
            value: values.then_some(value),
            value_base64: values.then_some(value_base64),
        }
    }

    fn write(&self, format: Format, mut out: &mut dyn Write) -> io::Result<()> {
        match format {
            Format::Csv => self.csv(out),
            Format::Ndjson | Format::Parquet => {
                serde_json::to_writer(&mut out, self)?;
                out.write_all(b"\n")
            }
        }
    }

    fn csv(&self, out: &mut dyn Write) -> io::Result<()> {
        if let Some(change) = &self.change {
            write!(out, "{},{},{},", change.r#type, change.sub, change.compacted)?;
        }
        field(out, self.key.unwrap_or_default())?;
        let (key, lease) =
            (self.key_base64.as_deref().unwrap_or_default(), self.lease.as_deref().unwrap_or_default());
        write!(
            out,
            ",{key},{},{},{},{lease},{}",
            self.create_revision, self.mod_revision, self.version, self.value_len
        )?;
        if let (Some(value), Some(base64)) = (self.value, &self.value_base64) {
            out.write_all(b",")?;
            field(out, value.unwrap_or_default())?;
            write!(out, ",{}", base64.as_deref().unwrap_or_default())?;
        }
        out.write_all(b"\n")
    }
}

/// A field of a CSV file, in quotes where it must be.
fn field(out: &mut dyn Write, text: &str) -> io::Result<()> {
    if !text.contains(['"', ',', '\n']) {
        return out.write_all(text.as_bytes());
    }
    let quoted: Cow<'_, str> =
        if text.contains('"') { text.replace('"', "\"\"").into() } else { text.into() };
    write!(out, "\"{quoted}\"")
}

fn header(out: &mut dyn Write, changes: bool, values: bool) -> io::Result<()> {
    let change = if changes { "type,sub,compacted," } else { "" };
    let value = if values { ",value,value_base64" } else { "" };
    writeln!(out, "{change}key,key_base64,create_revision,mod_revision,version,lease,value_len{value}")
}

/// Keys and bytes of values that are read and written as rows at a time, by all threads.
const BATCH: usize = 1 << 13;
const BATCH_BYTES: u64 = 8 << 20;

/// Where rows go.
enum Rows {
    Text,
    #[cfg(feature = "parquet")]
    Parquet(Box<super::parquet::Writer>),
}

impl Rows {
    fn begin(args: &Args, out: &mut dyn Write) -> Result<Rows, Fail> {
        match args.write_out {
            Format::Ndjson => Ok(Rows::Text),
            Format::Csv => {
                header(out, args.all_revisions, !args.no_values)?;
                Ok(Rows::Text)
            }
            #[cfg(feature = "parquet")]
            Format::Parquet => {
                Ok(Rows::Parquet(Box::new(super::parquet::Writer::new(args.all_revisions, !args.no_values)?)))
            }
            #[cfg(not(feature = "parquet"))]
            Format::Parquet => {
                let what = "this coldbolt was built without Parquet; \
                            build it with `cargo build --release --features parquet`";
                Err(Fail::Usage(what.to_owned()))
            }
        }
    }

    fn change(
        &mut self,
        args: &Args,
        kv: KeyValue<'_>,
        change: ChangeFields,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        match self {
            Rows::Text => {
                Row::new(kv, kv.value.len(), !args.no_values, Some(change)).write(args.write_out, out)
            }
            #[cfg(feature = "parquet")]
            Rows::Parquet(writer) => writer.row(kv, kv.value.len(), Some(change), out),
        }
    }

    fn live(
        &mut self,
        args: &Args,
        view: View<'_, '_>,
        batch: &[KeyState],
        out: &mut dyn Write,
    ) -> Result<(), Fail> {
        match self {
            Rows::Text => write_rows(args, view, batch, out),
            #[cfg(feature = "parquet")]
            Rows::Parquet(writer) => {
                let mut window = Window::scattered();
                batch.iter().try_for_each(|state| {
                    with_value(args, view, state, &mut window, |kv, len| writer.row(kv, len, None, out))
                })
            }
        }
    }

    fn end(self, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Rows::Text => out.flush(),
            #[cfg(feature = "parquet")]
            Rows::Parquet(writer) => writer.end(out),
        }
    }
}

/// Hands on a live key with the length of its value, and the value if it is wanted.
fn with_value(
    args: &Args,
    view: View<'_, '_>,
    state: &KeyState,
    window: &mut Window,
    row: impl FnOnce(KeyValue<'_>, usize) -> io::Result<()>,
) -> Result<(), Fail> {
    let (create_revision, mod_revision, version, lease) =
        (state.create_revision, state.revision.main, state.version, state.lease.get());
    let kv = KeyValue { key: &state.key, create_revision, mod_revision, version, value: &[], lease };
    if args.no_values {
        row(kv, usize::try_from(state.value_len).unwrap_or(usize::MAX))?;
    } else {
        view.value(state, window, |value| row(KeyValue { value, ..kv }, value.len()))??;
    }
    Ok(())
}

/// Writes the live keys of a batch, in order.
fn write_rows(args: &Args, view: View<'_, '_>, batch: &[KeyState], out: &mut dyn Write) -> Result<(), Fail> {
    let parts = batch.par_chunks(256).map(|states| -> Result<Vec<u8>, Fail> {
        let (mut rows, mut window) = (Vec::new(), Window::scattered());
        for state in states {
            let write = |kv: KeyValue<'_>, len| {
                Row::new(kv, len, !args.no_values, None).write(args.write_out, &mut rows)
            };
            with_value(args, view, state, &mut window, write)?;
        }
        Ok(rows)
    });
    for rows in parts.collect::<Result<Vec<_>, Fail>>()? {
        out.write_all(&rows)?;
    }
    Ok(())
}

pub fn run(args: &Args, context: &mut Context<'_>) -> Done {
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
    let mut rows = Rows::begin(args, out)?;
    if args.all_revisions {
        let mut done = Ok(());
        // Without a prefix markers too: they are part of what is stored.
        let range = args.prefix.is_some().then_some(&range);
        store.events(None, None, range, &mut |event| {
            let mut kv = event.kv;
            if event.kind != EventKind::Put {
                kv.mod_revision = event.revision.main;
            }
            let change = ChangeFields {
                r#type: kind(event.kind),
                sub: event.revision.sub,
                compacted: event.compacted,
            };
            keep(&mut done, rows.change(args, kv, change, out))
        })?;
        done?;
    } else {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for state in view.keys(range) {
            let state = state?;
            if !state.deleted {
                bytes += if args.no_values { 0 } else { state.value_len };
                batch.push(state);
            }
            if batch.len() >= BATCH || bytes >= BATCH_BYTES {
                rows.live(args, view, &std::mem::take(&mut batch), out)?;
                bytes = 0;
            }
        }
        rows.live(args, view, &batch, out)?;
    }
    rows.end(out)?;
    Ok(Verdict::Good)
}
