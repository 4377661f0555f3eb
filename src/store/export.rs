//! A keyspace as rows for other programs: live keys at a revision, or every stored change.

use std::borrow::Cow;
use std::io::{self, Write};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;

use crate::codec::json;
use crate::codec::to_u64;
use crate::etcd::{KeyRange, KeyValue};
use crate::io::Window;
use crate::io::parallel::map_chunks;
use crate::store::{EventKind, KeyState, Store, View};
use crate::words::error::Result;

/// Keys and bytes of values that are read and written as rows at a time, by all threads.
const BATCH: usize = 1 << 13;
const BATCH_BYTES: u64 = 8 << 20;
/// Keys of a batch that one thread takes at a time.
const PART: usize = 256;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Ndjson,
    /// Comma-separated values with a header line (RFC 4180).
    Csv,
    /// The same for spreadsheets, which run a cell as a formula by how it begins: one that begins so, or with `'`, has a
    /// `'` before it.
    CsvSafe,
}

/// What a change was besides the key and value that it left.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct RowChange {
    /// Which kind.
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// Its place among the changes of its transaction.
    pub sub: i64,
    /// Whether it is at or before the compact revision.
    pub compacted: bool,
}

/// A row; the fields that only changes have come first.
#[derive(Serialize)]
struct Row<'r> {
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    change: Option<RowChange>,
    key: Option<&'r str>,
    key_base64: Option<String>,
    create_revision: i64,
    mod_revision: i64,
    version: i64,
    lease: Option<String>,
    value_len: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Option<&'r str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_base64: Option<Option<String>>,
}

/// Text that stays what it is in every program: UTF-8 without control characters other than tabs and ends of lines.
fn text(bytes: &[u8]) -> (Option<&str>, Option<String>) {
    let plain = |text: &&str| text.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\t'));
    let text = std::str::from_utf8(bytes).ok().filter(plain);
    (text, text.is_none().then(|| BASE64_STANDARD.encode(bytes)))
}

impl<'r> Row<'r> {
    fn new(kv: KeyValue<'r>, value_len: u64, values: bool, change: Option<RowChange>) -> Row<'r> {
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
            Format::Csv => self.csv(out, false),
            Format::CsvSafe => self.csv(out, true),
            Format::Ndjson => {
                json::write(&mut out, self)?;
                out.write_all(b"\n")
            }
        }
    }

    fn csv(&self, out: &mut dyn Write, safe: bool) -> io::Result<()> {
        if let Some(change) = &self.change {
            write!(out, "{},{},{},", change.kind.name(), change.sub, change.compacted)?;
        }
        field(out, self.key.unwrap_or_default(), safe)?;
        out.write_all(b",")?;
        field(out, self.key_base64.as_deref().unwrap_or_default(), safe)?;
        let lease = self.lease.as_deref().unwrap_or_default();
        write!(
            out,
            ",{},{},{},{lease},{}",
            self.create_revision, self.mod_revision, self.version, self.value_len
        )?;
        if let (Some(value), Some(base64)) = (self.value, &self.value_base64) {
            out.write_all(b",")?;
            field(out, value.unwrap_or_default(), safe)?;
            out.write_all(b",")?;
            field(out, base64.as_deref().unwrap_or_default(), safe)?;
        }
        out.write_all(b"\n")
    }
}

/// A field of a CSV file, in quotes where it must be. Base64 begins with none of what a spreadsheet runs but `+`, which
/// is why it is passed here too.
fn field(out: &mut dyn Write, text: &str, safe: bool) -> io::Result<()> {
    let runs =
        |text: &str| text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '\'', '＝', '＋', '－', '＠']);
    let guarded: Cow<'_, str> = if safe && runs(text) { format!("'{text}").into() } else { text.into() };
    let text = guarded.as_ref();
    if !text.contains(['"', ',', '\n']) {
        return out.write_all(text.as_bytes());
    }
    let quoted: Cow<'_, str> =
        if text.contains('"') { text.replace('"', "\"\"").into() } else { text.into() };
    write!(out, "\"{quoted}\"")
}

fn header(format: Format, changes: bool, values: bool, out: &mut dyn Write) -> io::Result<()> {
    if format == Format::Ndjson {
        return Ok(());
    }
    let change = if changes { "type,sub,compacted," } else { "" };
    let value = if values { ",value,value_base64" } else { "" };
    writeln!(out, "{change}key,key_base64,create_revision,mod_revision,version,lease,value_len{value}")
}

/// Writes the live keys of a range in order, with their values if they are wanted. All threads make the rows. What
/// `out` fails with is the inner result.
///
/// # Errors
/// As [`View::keys`].
pub fn live(
    view: View<'_>,
    range: KeyRange<'_>,
    values: bool,
    format: Format,
    out: &mut dyn Write,
) -> Result<io::Result<()>> {
    if let Err(error) = header(format, false, values, out) {
        return Ok(Err(error));
    }
    batches(view, range, values, &mut |batch| {
        let parts = map_chunks(batch, PART, |states| -> Result<Vec<u8>> {
            let mut rows = Vec::new();
            let written = each(view, states, values, &mut |kv, len| {
                Row::new(kv, len, values, None).write(format, &mut rows)
            });
            // A vector takes everything.
            written.map(|_| rows)
        });
        let parts = parts.into_iter().collect::<Result<Vec<_>>>()?;
        Ok(parts.iter().try_for_each(|rows| out.write_all(rows)))
    })
}

/// Hands on the live keys of a range in order, each with the length of its value, and with the value if it is wanted.
///
/// # Errors
/// As [`View::keys`]; what `row` fails with is the inner result.
pub fn live_rows(
    view: View<'_>,
    range: KeyRange<'_>,
    values: bool,
    row: &mut dyn FnMut(KeyValue<'_>, u64) -> io::Result<()>,
) -> Result<io::Result<()>> {
    batches(view, range, values, &mut |batch| each(view, batch, values, row))
}

/// Writes every stored change in order of the revisions: of keys in a range, or all there is, markers too. What `out`
/// fails with is the inner result.
///
/// # Errors
/// As [`Store::events`].
pub fn changes(
    store: &Store<'_>,
    range: Option<&KeyRange<'_>>,
    values: bool,
    format: Format,
    out: &mut dyn Write,
) -> Result<io::Result<()>> {
    if let Err(error) = header(format, true, values, out) {
        return Ok(Err(error));
    }
    change_rows(store, range, &mut |kv, change| {
        Row::new(kv, to_u64(kv.value.len()), values, Some(change)).write(format, out)
    })
}

/// Hands on every stored change in order of the revisions: of keys in a range, or all there is, markers too.
///
/// # Errors
/// As [`Store::events`]; what `row` fails with is the inner result.
pub fn change_rows(
    store: &Store<'_>,
    range: Option<&KeyRange<'_>>,
    row: &mut dyn FnMut(KeyValue<'_>, RowChange) -> io::Result<()>,
) -> Result<io::Result<()>> {
    use std::ops::ControlFlow::{Break, Continue};
    let mut done = Ok(());
    store.events(None, None, range, &mut |event| {
        let mut kv = event.kv;
        if event.kind != EventKind::Put {
            kv.mod_revision = event.revision.main;
        }
        let change = RowChange { kind: event.kind, sub: event.revision.sub, compacted: event.compacted };
        done = row(kv, change);
        if done.is_ok() { Continue(()) } else { Break(()) }
    })?;
    Ok(done)
}

/// Hands on the live keys of a range in order, as many at a time as are to be in memory together.
fn batches(
    view: View<'_>,
    range: KeyRange<'_>,
    values: bool,
    take: &mut dyn FnMut(&[KeyState]) -> Result<io::Result<()>>,
) -> Result<io::Result<()>> {
    let (mut batch, mut bytes) = (Vec::new(), 0u64);
    for state in view.keys(range) {
        let state = state?;
        bytes = bytes.saturating_add(if values { state.value_len } else { 0 });
        batch.push(state);
        if batch.len() >= BATCH || bytes >= BATCH_BYTES {
            if let Err(error) = take(&std::mem::take(&mut batch))? {
                return Ok(Err(error));
            }
            bytes = 0;
        }
    }
    take(&batch)
}

/// Hands on keys, each with the length of its value, and with the value if it is wanted.
fn each(
    view: View<'_>,
    states: &[KeyState],
    values: bool,
    row: &mut dyn FnMut(KeyValue<'_>, u64) -> io::Result<()>,
) -> Result<io::Result<()>> {
    let mut window = Window::scattered();
    for state in states {
        let (create_revision, mod_revision, version, lease) =
            (state.create_revision, state.revision.main, state.version, state.lease.get());
        let kv = KeyValue { key: &state.key, create_revision, mod_revision, version, value: &[], lease };
        let done = if values {
            view.value(state, &mut window, |value| row(KeyValue { value, ..kv }, to_u64(value.len())))?
        } else {
            row(kv, state.value_len)
        };
        if done.is_err() {
            return Ok(done);
        }
    }
    Ok(Ok(()))
}
