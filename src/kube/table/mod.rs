//! Objects as the lines of a table, with kubectl's columns.
//!
//! A kind of which kubectl's columns are not known here has its name and its age. Source:
//! `k8s.io/kubernetes/pkg/printers/internalversion/printers.go`, `k8s.io/cli-runtime/pkg/printers`.

mod columns;
mod control;
mod lifecycle;
mod network;
mod others;
mod printer;
mod storage;
mod values;
mod workloads;

use std::cmp::Reverse;

use jiff::Timestamp;
use serde_json::Value;

use self::columns::{AGE, Around, Column};
pub use self::printer::PrinterColumn;
use super::decode::Object;

/// What a line has beside the object's own columns.
#[derive(Debug, Clone)]
pub struct Line {
    /// The namespace, if there is a column for it.
    pub namespace: Option<String>,
    /// The name, as it is to be shown.
    pub name: String,
    /// When the object was deleted.
    pub deleted: Option<i64>,
    /// Whether it is one of a list, and not asked for by its name: of a list, kubectl tells which is the default.
    pub listed: bool,
    /// What ages are counted to.
    pub now: Timestamp,
}

/// Lines of objects of one kind, or of several that then have only their names and ages.
#[derive(Debug, Default)]
pub struct Table {
    header: Vec<Head>,
    rows: Vec<Row>,
    labels: LabelColumns,
}

/// Columns for labels, behind all others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LabelColumns {
    /// A column for each of these.
    pub of: Vec<String>,
    /// And one for all that there are.
    pub all: bool,
}

impl LabelColumns {
    /// A label's column is called as its name without the prefix.
    fn header(&self) -> impl Iterator<Item = String> {
        let name = |label: &String| label.rsplit('/').next().unwrap_or_default().to_uppercase();
        self.of.iter().map(name).chain(self.all.then(|| "LABELS".to_owned()))
    }

    fn cells(&self, object: &Object) -> Vec<String> {
        const NONE: &str = "<none>";
        let labels = object.json.get("metadata").and_then(|metadata| metadata.get("labels")?.as_object());
        let cell =
            |label: &String| labels.and_then(|labels| labels.get(label)?.as_str()).unwrap_or(NONE).to_owned();
        let mut cells: Vec<String> = self.of.iter().map(cell).collect();
        if self.all {
            let mut pairs: Vec<String> = labels
                .into_iter()
                .flatten()
                .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
                .collect();
            pairs.sort();
            cells.push(if pairs.is_empty() { NONE.to_owned() } else { pairs.join(",") });
        }
        cells
    }
}

#[derive(Debug)]
struct Row {
    cells: Vec<String>,
    /// Stands behind the cells, and moves none.
    note: Option<String>,
    /// Rows are in this order, those with the same as they came.
    order: i64,
    /// When what says that it is the default was created, and its name.
    default: Option<(Option<Timestamp>, Reverse<String>)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Head {
    name: String,
    wide: bool,
}

/// Spaces between columns.
const PADDING: usize = 3;

impl Object {
    /// Whether it is the class that is taken where none is named.
    fn is_default(&self) -> bool {
        let annotations = self.json.get("metadata").and_then(|metadata| metadata.get("annotations"));
        let says = |name: &str| annotations.and_then(|all| all.get(name)?.as_str()) == Some("true");
        self.kind == "StorageClass"
            && (says("storageclass.kubernetes.io/is-default-class")
                || says("storageclass.beta.kubernetes.io/is-default-class"))
    }
}

impl Table {
    /// A table with columns for labels.
    #[must_use]
    pub fn with_labels(labels: LabelColumns) -> Table {
        Table { labels, ..Table::default() }
    }

    /// Whether there is no line.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Adds an object.
    pub fn object(&mut self, line: Line, object: &Object) {
        let columns = of_kind(object.group(), &object.kind);
        let around = Around { now: line.now };
        let cells = columns.iter().map(|column| (column.value)(&object.json, around)).collect();
        let created = || values::time(&object.json, "metadata.creationTimestamp");
        let default = (line.listed && line.deleted.is_none() && object.is_default())
            .then(|| (created(), Reverse(line.name.clone())));
        // The only kind that kubectl lists in an order of its own.
        let order = match &*object.kind {
            "FlowSchema" => values::number(&object.json, "spec.matchingPrecedence"),
            _ => 0,
        };
        let heads = columns.iter().map(|column| (column.name, column.wide));
        let labels = self.labels.cells(object);
        let cells = self.head(line, &heads.collect::<Vec<_>>(), cells, labels);
        self.rows.push(Row { cells, note: None, order, default });
    }

    /// Adds a custom resource, with the columns that its definition gives it.
    pub fn custom(&mut self, line: Line, columns: &[PrinterColumn], object: &Object) {
        let json = Value::Object(object.json.clone());
        let cells = columns.iter().map(|column| column.cell(&json, line.now)).collect();
        let heads: Vec<_> = columns.iter().map(|column| (&*column.name, column.wide)).collect();
        let labels = self.labels.cells(object);
        let cells = self.head(line, &heads, cells, labels);
        self.rows.push(Row { cells, note: None, order: 0, default: None });
    }

    /// Adds what is no object that can be read, but would be of that kind, with the reason behind its name.
    pub fn unreadable(&mut self, line: Line, group: &str, kind: &str, why: &str) {
        let heads: Vec<_> = of_kind(group, kind).iter().map(|column| (column.name, column.wide)).collect();
        // What stands behind them keeps its column.
        let deleted = line.deleted.is_some();
        let empty = |columns: usize| vec![String::new(); if deleted { columns } else { 0 }];
        let (cells, labels) = (empty(heads.len()), empty(self.labels.header().count()));
        let cells = self.head(line, &heads, cells, labels);
        self.rows.push(Row { cells, note: Some(why.to_owned()), order: 0, default: None });
    }

    /// The cells of a row, and the header that is theirs.
    fn head(
        &mut self,
        line: Line,
        columns: &[(&str, bool)],
        cells: Vec<String>,
        labels: Vec<String>,
    ) -> Vec<String> {
        let Line { namespace, name, deleted, .. } = line;
        let head = |name: &str, wide| Head { name: name.to_owned(), wide };
        let mut header = Vec::new();
        let mut row = Vec::new();
        if let Some(namespace) = namespace {
            header.push(head("NAMESPACE", false));
            row.push(namespace);
        }
        // Of events the name is the last, and only in the wide table.
        let events = columns.first().is_some_and(|(name, _)| *name == "LAST SEEN");
        if !events {
            header.push(head("NAME", false));
            row.push(name.clone());
        }
        header.extend(columns.iter().map(|(name, wide)| head(name, *wide)));
        row.extend(cells);
        if events {
            header.push(head("NAME", true));
            row.push(name);
        }
        header.extend(self.labels.header().map(|name| Head { name, wide: false }));
        row.extend(labels);
        if let Some(revision) = deleted {
            header.push(head("DELETED AT", false));
            row.push(revision.to_string());
        }
        // The first that has columns tells the header.
        if header.len() > self.header.len() {
            self.header = header;
        }
        row
    }

    /// Of several that say that they are the default, the newest is, and of those that are as new the first by name
    /// (`getEffectiveDefaultStorageClass`).
    fn mark_default(&mut self) {
        let at = self.header.iter().position(|head| head.name == "NAME");
        let says = self.rows.iter_mut().filter(|row| row.default.is_some());
        let newest = says.max_by(|a, b| a.default.cmp(&b.default));
        if let Some(name) = at.zip(newest).and_then(|(at, row)| row.cells.get_mut(at)) {
            name.push_str(" (default)");
        }
    }

    /// The lines, each with its end.
    #[must_use]
    pub fn text(&mut self, wide: bool, with_header: bool) -> String {
        self.rows.sort_by_key(|row| row.order);
        self.mark_default();
        let visible = |at: usize| self.header.get(at).is_none_or(|head| wide || !head.wide);
        let only = |cells: &[String]| -> Vec<String> {
            cells.iter().enumerate().filter(|(at, _)| visible(*at)).map(|(_, cell)| one_line(cell)).collect()
        };
        let names: Vec<String> = self.header.iter().map(|head| head.name.clone()).collect();
        let mut lines = Vec::new();
        if with_header {
            lines.push((only(&names), None));
        }
        lines.extend(self.rows.iter().map(|row| (only(&row.cells), row.note.as_deref())));
        let mut widths: Vec<usize> = Vec::new();
        for (at, cell) in lines.iter().flat_map(|(cells, _)| cells.iter().enumerate()) {
            let width = cell.chars().count();
            match widths.get_mut(at) {
                Some(widest) => *widest = width.max(*widest),
                None => widths.push(width),
            }
        }
        let mut text = String::new();
        for (cells, note) in lines {
            let last = cells.len().saturating_sub(usize::from(note.is_none()));
            for (at, (cell, width)) in cells.iter().zip(&widths).enumerate() {
                text.push_str(cell);
                if at < last {
                    let fill = width.saturating_add(PADDING).saturating_sub(cell.chars().count());
                    text.extend(std::iter::repeat_n(' ', fill));
                }
            }
            text.push_str(note.unwrap_or_default());
            text.push('\n');
        }
        text
    }
}

/// The columns of a kind, behind its name.
fn of_kind(group: &str, kind: &str) -> &'static [Column] {
    const ONLY_AGE: &[Column] = &[AGE];
    let found = [
        workloads::of_kind,
        network::of_kind,
        storage::of_kind,
        control::of_kind,
        lifecycle::of_kind,
        others::of_kind,
    ];
    found.iter().find_map(|of_kind| of_kind(group, kind)).unwrap_or(ONLY_AGE)
}

/// A cell ends at its first line.
fn one_line(cell: &str) -> String {
    match cell.find(['\n', '\r', '\u{c}']).and_then(|end| cell.get(..end)) {
        Some(line) => format!("{line}..."),
        None => cell.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str) -> Line {
        let now = "2026-01-01T00:02:00Z".parse().unwrap();
        Line { namespace: Some("ns".to_owned()), name: name.to_owned(), deleted: None, listed: true, now }
    }

    fn secret(message: &str) -> Object {
        let created = r#"{"creationTimestamp":"2026-01-01T00:00:00Z"}"#;
        let json =
            format!(r#"{{"apiVersion":"v1","kind":"Secret","metadata":{created},"type":{message:?}}}"#);
        Object::decode(json.as_bytes()).unwrap()
    }

    #[test]
    fn columns_are_as_wide_as_their_cells_and_what_cannot_be_read_moves_none() {
        let mut table = Table::default();
        table.unreadable(line("b"), "", "Secret", "a long reason that moves nothing");
        table.object(line("a"), &secret("Opaque"));
        table.object(line("longer"), &secret("x\ny"));
        let due = "NAMESPACE   NAME     TYPE     DATA   AGE\n\
                   ns          b        a long reason that moves nothing\n\
                   ns          a        Opaque   0      2m\n\
                   ns          longer   x...     0      2m\n";
        assert_eq!(table.text(false, true), due);
    }
}
