//! A keyspace as rows for other programs: live keys at a revision, or every stored change.

use std::borrow::Cow;
use std::io::{self, Write};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use serde::ser::SerializeMap;
use serde_json::value::RawValue;

use crate::codec::json;
use crate::codec::to_u64;
use crate::etcd::{KeyRange, KeyValue};
use crate::io::Window;
use crate::io::parallel::map_chunks;
use crate::store::{EventKind, KeyState, Store, View};
use crate::words::error::Result;
use crate::words::text::printable;

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
    /// The same for spreadsheets, which run a cell as a formula by how it begins: one that begins so, or with `'`, has
    /// a `'` before it.
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

/// What rows hold, and how they are written.
#[derive(Clone, Copy)]
pub struct RowForm<'m> {
    /// How they are written.
    pub format: Format,
    /// Whether values are in them.
    pub values: bool,
    /// Columns after these.
    pub more: Option<MoreColumns<'m>>,
}

/// Columns of what is known above the store of a key and its value.
#[derive(Clone, Copy)]
pub struct MoreColumns<'m> {
    /// Their names.
    pub names: &'m [&'m str],
    /// Fills them for a key and value, and for what change these are left by. All threads ask it.
    pub cells: &'m (dyn Fn(&KeyValue<'_>, Option<RowChange>) -> MoreCells + Sync),
}

/// What [`MoreColumns`] hold in a row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MoreCells {
    /// One for each column.
    pub cells: Vec<Cell>,
    /// Whether the value itself is to be left out, as it must not be shown.
    pub without_value: bool,
}

/// What stands in a column of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// Nothing.
    Empty,
    /// Text.
    Text(String),
    /// A JSON document on one line: in JSON a part of the row, elsewhere text.
    Json(String),
}

impl RowForm<'_> {
    /// Whether values must be read.
    fn reads(&self) -> bool {
        self.values || self.more.is_some()
    }

    fn more_of(&self, kv: &KeyValue<'_>, change: Option<RowChange>) -> MoreCells {
        self.more.map_or_else(MoreCells::default, |more| (more.cells)(kv, change))
    }
}

/// The names and the cells of [`MoreColumns`], side by side.
struct Named<'r>(&'r [&'r str], &'r [Cell]);

impl Serialize for Named<'_> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        for (name, cell) in self.0.iter().zip(self.1) {
            map.serialize_entry(name, cell)?;
        }
        map.end()
    }
}

impl Serialize for Cell {
    fn serialize<S: serde::Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Cell::Empty => to.serialize_none(),
            Cell::Text(text) => to.serialize_str(text),
            Cell::Json(text) => {
                serde_json::from_str::<&RawValue>(text).map_err(serde::ser::Error::custom)?.serialize(to)
            }
        }
    }
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
    #[serde(flatten)]
    more: Named<'r>,
}

/// Text that stays what it is in every program: UTF-8 without control characters other than tabs and ends of lines.
fn text(bytes: &[u8]) -> (Option<&str>, Option<String>) {
    let plain = |text: &&str| text.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\t'));
    let text = std::str::from_utf8(bytes).ok().filter(plain);
    (text, text.is_none().then(|| BASE64_STANDARD.encode(bytes)))
}

impl<'r> Row<'r> {
    fn new(
        kv: KeyValue<'r>,
        value_len: u64,
        change: Option<RowChange>,
        form: &RowForm<'r>,
        more: &'r MoreCells,
    ) -> Row<'r> {
        let (key, key_base64) = text(kv.key);
        let shown = form.values && !more.without_value;
        let (value, value_base64) = if shown { text(kv.value) } else { (None, None) };
        Row {
            change,
            key,
            key_base64,
            create_revision: kv.create_revision,
            mod_revision: kv.mod_revision,
            version: kv.version,
            lease: (kv.lease != 0).then(|| kv.lease_id().padded()),
            value_len,
            value: form.values.then_some(value),
            value_base64: form.values.then_some(value_base64),
            more: Named(form.more.map_or(&[], |more| more.names), &more.cells),
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
        for cell in self.more.1 {
            out.write_all(b",")?;
            match cell {
                Cell::Empty => {}
                Cell::Text(text) => field(out, &printable(text), safe)?,
                Cell::Json(_) => {
                    let mut document = Vec::new();
                    json::write(&mut document, cell)?;
                    field(out, &String::from_utf8_lossy(&document), safe)?;
                }
            }
        }
        out.write_all(b"\n")
    }
}

/// A field of a CSV file, in quotes where it must be. Base64 begins with none of what a spreadsheet runs but `+`, which
/// is why it is passed here too. A `safe` one is not run by a spreadsheet.
///
/// # Errors
/// What writing fails with.
pub fn field(out: &mut dyn Write, text: &str, safe: bool) -> io::Result<()> {
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

fn header(form: &RowForm<'_>, changes: bool, out: &mut dyn Write) -> io::Result<()> {
    if form.format == Format::Ndjson {
        return Ok(());
    }
    let change = if changes { "type,sub,compacted," } else { "" };
    let value = if form.values { ",value,value_base64" } else { "" };
    let more: String = form.more.iter().flat_map(|more| more.names).map(|name| format!(",{name}")).collect();
    writeln!(out, "{change}key,key_base64,create_revision,mod_revision,version,lease,value_len{value}{more}")
}

/// Writes the live keys of a range in order. All threads make the rows. What `out` fails with is the inner result.
///
/// # Errors
/// As [`View::keys`].
pub fn live(
    view: View<'_>,
    range: KeyRange<'_>,
    form: &RowForm<'_>,
    out: &mut dyn Write,
) -> Result<io::Result<()>> {
    if let Err(error) = header(form, false, out) {
        return Ok(Err(error));
    }
    batches(view, range, form.reads(), &mut |batch| {
        let parts = map_chunks(batch, PART, |states| -> Result<Vec<u8>> {
            let mut rows = Vec::new();
            let written = each(view, states, form.reads(), &mut |kv, len| {
                let more = form.more_of(&kv, None);
                Row::new(kv, len, None, form, &more).write(form.format, &mut rows)
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
    form: &RowForm<'_>,
    out: &mut dyn Write,
) -> Result<io::Result<()>> {
    if let Err(error) = header(form, true, out) {
        return Ok(Err(error));
    }
    change_rows(store, range, &mut |kv, change| {
        let more = form.more_of(&kv, Some(change));
        Row::new(kv, to_u64(kv.value.len()), Some(change), form, &more).write(form.format, out)
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
