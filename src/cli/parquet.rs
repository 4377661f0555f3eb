//! `export -w parquet`: rows in groups of bounded size, columns typed.
//!
//! ```text
//! type BINARY string, sub INT64, compacted BOOLEAN                   with --all-revisions
//! key BINARY, create_revision INT64, mod_revision INT64, version INT64
//! lease BINARY string (16 hex digits), optional; value_len INT64
//! value BINARY, null where it is left out                            without --no-values
//! group, kind_version, kind, namespace, name, uid, created, manager  with --kube: BINARY string, optional
//! object BINARY json, optional                                       with --object
//! ```

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use coldbolt::etcd::KeyValue;
use coldbolt::store::export::{Cell, MoreCells, MoreColumns, RowChange};
use parquet::basic::Compression;
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnPath;

/// Rows and bytes of a group: what is held in memory.
const GROUP: usize = 1 << 17;
const GROUP_BYTES: usize = 16 << 20;

/// What is written and not yet handed on. The writer wants an output that threads may share; it keeps count of its
/// place itself.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Default)]
struct Columns {
    kind: Vec<ByteArray>,
    sub: Vec<i64>,
    compacted: Vec<bool>,
    key: Vec<ByteArray>,
    create_revision: Vec<i64>,
    mod_revision: Vec<i64>,
    version: Vec<i64>,
    lease: Vec<ByteArray>,
    has_lease: Vec<i16>,
    value_len: Vec<i64>,
    value: Vec<ByteArray>,
    has_value: Vec<i16>,
    more: Vec<Texts>,
    bytes: usize,
}

/// A column of text where there is some.
#[derive(Default)]
struct Texts {
    some: Vec<ByteArray>,
    has: Vec<i16>,
}

impl Columns {
    fn more(&mut self, cells: MoreCells) {
        self.more.resize_with(cells.cells.len(), Texts::default);
        for (column, cell) in self.more.iter_mut().zip(cells.cells) {
            let text = match cell {
                Cell::Empty => None,
                Cell::Text(text) | Cell::Json(text) => Some(text),
            };
            column.has.push(i16::from(text.is_some()));
            self.bytes += text.as_ref().map_or(0, String::len);
            column.some.extend(text.map(|text| ByteArray::from(text.into_bytes())));
        }
    }
}

pub struct Writer<'m> {
    writer: SerializedFileWriter<Written>,
    written: Written,
    columns: Columns,
    changes: bool,
    values: bool,
    more: Option<MoreColumns<'m>>,
}

/// What is one object's, and JSON.
const OBJECT: &str = "object";

fn text_column(name: &str) -> String {
    let kind = if name == OBJECT { "JSON" } else { "UTF8" };
    format!("optional binary {name} ({kind});")
}

fn other(error: ParquetError) -> io::Error {
    io::Error::other(error)
}

impl<'m> Writer<'m> {
    pub fn new(changes: bool, values: bool, more: Option<MoreColumns<'m>>) -> io::Result<Writer<'m>> {
        let change = "required binary type (UTF8); required int64 sub; required boolean compacted;";
        let schema = format!(
            "message keyspace {{ {} required binary key; required int64 create_revision; \
             required int64 mod_revision; required int64 version; optional binary lease (UTF8); \
             required int64 value_len; {} {} }}",
            if changes { change } else { "" },
            match (values, more) {
                (false, _) => "",
                (true, None) => "required binary value;",
                (true, Some(_)) => "optional binary value;",
            },
            more.iter().flat_map(|more| more.names).map(|name| text_column(name)).collect::<String>()
        );
        let schema = Arc::new(parse_message_type(&schema).map_err(other)?);
        // The greatest and the least value would stand in the footer in plain, for nobody's use.
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(format!("coldbolt {}", env!("CARGO_PKG_VERSION")));
        for value in ["value", OBJECT].map(ColumnPath::from) {
            properties = properties
                .set_column_statistics_enabled(value.clone(), EnabledStatistics::None)
                .set_column_dictionary_enabled(value, false);
        }
        let properties = properties.build();
        let written = Written::default();
        let writer =
            SerializedFileWriter::new(written.clone(), schema, Arc::new(properties)).map_err(other)?;
        Ok(Writer { writer, written, columns: Columns::default(), changes, values, more })
    }

    pub fn row(
        &mut self,
        kv: KeyValue<'_>,
        value_len: u64,
        change: Option<RowChange>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let columns = &mut self.columns;
        if let Some(change) = change {
            columns.kind.push(change.kind.name().into());
            columns.sub.push(change.sub);
            columns.compacted.push(change.compacted);
        }
        columns.key.push(kv.key.to_vec().into());
        columns.create_revision.push(kv.create_revision);
        columns.mod_revision.push(kv.mod_revision);
        columns.version.push(kv.version);
        columns.has_lease.push(i16::from(kv.lease != 0));
        if kv.lease != 0 {
            columns.lease.push(kv.lease_id().padded().into_bytes().into());
        }
        columns.value_len.push(i64::try_from(value_len).unwrap_or(i64::MAX));
        let more = self.more.map_or_else(MoreCells::default, |more| (more.cells)(&kv, change));
        if self.values {
            columns.has_value.push(i16::from(!more.without_value));
            if !more.without_value {
                columns.value.push(kv.value.to_vec().into());
            }
        }
        columns.bytes += kv.key.len() + kv.value.len();
        columns.more(more);
        if columns.key.len() >= GROUP || columns.bytes >= GROUP_BYTES {
            self.group().map_err(other)?;
            self.hand_on(out)?;
        }
        Ok(())
    }

    fn group(&mut self) -> Result<()> {
        let columns = std::mem::take(&mut self.columns);
        let mut group = self.writer.next_row_group()?;
        let names = if self.changes { &["type", "sub", "compacted"][..] } else { &[] };
        let common = ["key", "create_revision", "mod_revision", "version", "lease", "value_len", "value"];
        let common = common.iter().filter(|name| self.values || **name != "value");
        for name in names.iter().chain(common) {
            let Some(mut column) = group.next_column()? else { break };
            let binary = |name: &str| match name {
                "type" => &columns.kind,
                "lease" => &columns.lease,
                "value" => &columns.value,
                _ => &columns.key,
            };
            let number = |name: &str| match name {
                "sub" => &columns.sub,
                "create_revision" => &columns.create_revision,
                "mod_revision" => &columns.mod_revision,
                "version" => &columns.version,
                _ => &columns.value_len,
            };
            let levels = match *name {
                "lease" => Some(columns.has_lease.as_slice()),
                "value" if self.more.is_some() => Some(columns.has_value.as_slice()),
                _ => None,
            };
            match column.untyped() {
                ColumnWriter::ByteArrayColumnWriter(to) => to.write_batch(binary(name), levels, None)?,
                ColumnWriter::Int64ColumnWriter(to) => to.write_batch(number(name), None, None)?,
                ColumnWriter::BoolColumnWriter(to) => to.write_batch(&columns.compacted, None, None)?,
                _ => return Err(ParquetError::General(format!("column {name} is of another type"))),
            };
            column.close()?;
        }
        for texts in &columns.more {
            let Some(mut column) = group.next_column()? else { break };
            if let ColumnWriter::ByteArrayColumnWriter(to) = column.untyped() {
                to.write_batch(&texts.some, Some(&texts.has), None)?;
            }
            column.close()?;
        }
        group.close()?;
        Ok(())
    }

    fn hand_on(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&std::mem::take(&mut *self.written.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    pub fn end(mut self, out: &mut dyn Write) -> io::Result<()> {
        if !self.columns.key.is_empty() {
            self.group().map_err(other)?;
        }
        self.writer.finish().map_err(other)?;
        // It flushes itself as it is dropped, which hands nothing on.
        self.hand_on(out)
    }
}
