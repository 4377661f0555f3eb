//! How answers look: tables, sizes, JSON.

use std::io::{self, Write};

use clap::ValueEnum;
use coldbolt::codec::json;
use coldbolt::words::error::{printable, steers};
use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};
use serde::Serialize;
use serde_json::Value;
use terminal_size::terminal_size_of;

/// The formats of the commands that answer as etcdutl does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WriteOut {
    /// Values separated by commas.
    Simple,
    /// A table.
    Table,
    /// One line of JSON.
    Json,
    /// One `"Name" : value` a line.
    Fields,
}

/// The formats of the commands that answer in their own way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// For people.
    #[value(alias = "simple", alias = "text")]
    Table,
    /// Everything, with a schema version.
    Json,
}

/// The formats of the commands whose answer is a long list: it is written as it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Listing {
    /// Lines for people, as the program prints them that people know.
    #[value(alias = "table", alias = "text")]
    Simple,
    /// One JSON document with a schema version.
    Json,
    /// One JSON object a line.
    Ndjson,
}

/// Writes a list item by item, so that it may be longer than memory.
pub struct List<'o> {
    out: &'o mut dyn Write,
    listing: Listing,
    schema: String,
    first: bool,
}

impl<'o> List<'o> {
    /// Begins a document of that schema about that file; its items will be called `name`.
    pub fn begin(
        out: &'o mut dyn Write,
        listing: Listing,
        schema: &str,
        file: &str,
        name: &str,
    ) -> io::Result<List<'o>> {
        if listing == Listing::Json {
            write!(out, "{{\"schema\":\"{schema}\",\"file\":")?;
            json::write(&mut *out, &file)?;
            write!(out, ",\"{name}\":[")?;
        }
        Ok(List { out, listing, schema: schema.to_owned(), first: true })
    }

    /// One more item. What people read is left to `simple`.
    pub fn item(
        &mut self,
        item: &impl Serialize,
        simple: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        match self.listing {
            Listing::Simple => simple(self.out),
            Listing::Json => {
                self.out.write_all(if std::mem::take(&mut self.first) { b"\n" } else { b",\n" })?;
                json::write(&mut *self.out, item)
            }
            Listing::Ndjson => self.line(item),
        }
    }

    /// One line of JSON; the first names the schema too.
    fn line(&mut self, item: &impl Serialize) -> io::Result<()> {
        if std::mem::take(&mut self.first) {
            json::write(&mut *self.out, &document(serde_json::json!({"schema": self.schema}), item))?;
        } else {
            json::write(&mut *self.out, item)?;
        }
        self.out.write_all(b"\n")
    }

    /// Ends the document with what is to be said of the whole; among lines it is the last one.
    pub fn end_with(mut self, name: &str, about: &impl Serialize) -> io::Result<()> {
        match self.listing {
            Listing::Simple => Ok(()),
            Listing::Json => {
                write!(self.out, "\n],\"{name}\":")?;
                json::write(&mut *self.out, about)?;
                self.out.write_all(b"}\n")
            }
            Listing::Ndjson => {
                let about = serde_json::to_value(about)?;
                self.line(&serde_json::Map::from_iter([(name.to_owned(), about)]))
            }
        }
    }

    /// Ends the document.
    pub fn end(self) -> io::Result<()> {
        if self.listing == Listing::Json { self.out.write_all(b"\n]}\n") } else { Ok(()) }
    }
}

/// A table with a header, as wide as it needs, wrapped to the terminal.
pub fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header);
    table.add_rows(rows);
    table
}

/// A table without lines, for the parts of a longer answer, wrapped to the terminal.
pub fn plain_table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.set_header(header).add_rows(rows);
    without_lines(table)
}

/// A label and what it stands for, which is wrapped to the terminal and goes on below itself.
pub fn labelled(label: &str, text: &str) -> String {
    let mut table = Table::new();
    table.add_row([format!("{label:<11}"), text.to_owned()]);
    without_lines(table)
}

fn without_lines(mut table: Table) -> String {
    const PADDING: u16 = 2;
    let least: Vec<u16> = longest_words(&mut table).into_iter().map(|longest| longest + PADDING).collect();
    // Words are not broken, so that they can be copied. Where they do not fit side by side the rows stay whole: the
    // terminal breaks those that it has no room for.
    if table
        .width()
        .is_some_and(|columns| least.iter().map(|least| u32::from(*least)).sum::<u32>() <= columns.into())
    {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    table.load_preset(presets::NOTHING);
    for (column, least) in table.column_iter_mut().zip(least) {
        column.set_padding((0, PADDING)).set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(least)));
    }
    table.trim_fmt()
}

/// The longest word of each column. Past the length of a SHA-256 it is no word.
fn longest_words(table: &mut Table) -> Vec<u16> {
    const MOST: u16 = 64;
    let longest = |text: String| text.split_whitespace().map(|word| word.chars().count()).max().unwrap_or(0);
    let mut columns = vec![0; table.column_count()];
    for row in table.header().into_iter().chain(table.row_iter()) {
        for (column, cell) in columns.iter_mut().zip(row.cell_iter()) {
            *column = u16::try_from(longest(cell.content())).unwrap_or(MOST).min(MOST).max(*column);
        }
    }
    columns
}

/// Text that a terminal only prints: what would steer it is escaped, all but the ends of lines.
pub fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) && c != '\n' { clean.extend(c.escape_default()) } else { clean.push(c) }
    }
    clean
}

/// A document: its head, as `json!({"schema": ...})`, then what a report says.
pub fn document(mut head: Value, report: &impl Serialize) -> Value {
    if let (Some(all), Ok(Value::Object(more))) = (head.as_object_mut(), serde_json::to_value(report)) {
        all.extend(more);
    }
    head
}

/// One JSON document, indented.
pub fn json(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    json::write_pretty(&mut *out, value)?;
    writeln!(out)
}

/// Bytes as etcdutl prints them: powers of 1000, one decimal below 10 (`humanize.Bytes`).
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 10 {
        return format!("{bytes} B");
    }
    let exponent = bytes.ilog(1000);
    let unit = UNITS.get(exponent as usize).unwrap_or(&"EB");
    let tenths = (bytes as f64 / 1000f64.powi(exponent as i32) * 10.0 + 0.5).floor() / 10.0;
    if tenths < 10.0 { format!("{tenths:.1} {unit}") } else { format!("{tenths:.0} {unit}") }
}

/// How many columns the terminal has that standard output is.
pub fn columns() -> Option<usize> {
    terminal_size_of(io::stdout()).map(|(columns, _)| usize::from(columns.0))
}

/// The most columns a bar takes.
const BAR: usize = 40;

/// Bars beside numbers: on a terminal only, as wide as it leaves room for.
pub struct Bars {
    width: usize,
    /// What a column of a bar is when this many parts of it are full, none left out.
    parts: &'static [&'static str],
}

impl Bars {
    pub fn new() -> Bars {
        let columns = columns().unwrap_or(0);
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Bars::of(columns, dumb)
    }

    /// Half of what a line of that many columns has beside the numbers.
    fn of(columns: usize, dumb: bool) -> Bars {
        // Where there is little room a bar still tells by the eighths of its columns.
        let parts: &[&str] =
            if dumb { &["#"] } else { &["▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"] };
        Bars { width: (columns.saturating_sub(48) / 2).min(BAR), parts }
    }

    /// What stands above them.
    pub fn header(&self) -> String {
        if self.width == 0 { String::new() } else { " ".repeat(self.width + 2) }
    }

    /// The bar of a number, and space up to the next column; nothing when there is no terminal.
    pub fn bar(&self, part: u64, whole: u64) -> String {
        if self.width == 0 {
            return String::new();
        }
        let share = if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
        let (most, parts) = (self.width * self.parts.len(), self.parts.len());
        let full = ((share * most as f64).round() as usize).clamp(usize::from(part > 0), most);
        let last = if full.is_multiple_of(parts) { "" } else { self.parts[full % parts - 1] };
        let free = self.width - full.div_ceil(parts) + 2;
        format!("{}{last}{}", self.parts[parts - 1].repeat(full / parts), " ".repeat(free))
    }
}

/// A number with its thousands apart, so that a person can read it.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The command line, for what says how it was made.
pub fn command_line() -> Vec<String> {
    std::env::args_os().map(|arg| printable(&arg.to_string_lossy())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_terminal_breaks_a_word() {
        let rows = [["0b1a64941256f8ad", "m1", "a sentence of several words"]];
        let wrapped = |columns| {
            let mut table = Table::new();
            table.set_header(["MEMBER", "NAME", "WHAT"]).add_rows(rows).set_width(columns);
            without_lines(table)
        };
        let header = "MEMBER            NAME  WHAT";
        let whole = format!("{header}\n0b1a64941256f8ad  m1    a sentence of several words");
        assert_eq!(wrapped(80), whole);
        let below = format!(
            "{header}\n0b1a64941256f8ad  m1    a sentence\n                        of several\n                        words"
        );
        assert_eq!(wrapped(36), below);
        // With no room for the longest words side by side.
        assert_eq!(wrapped(30), whole);
    }

    #[test]
    fn sizes_are_etcdutls() {
        for (bytes, due) in [
            (0, "0 B"),
            (9, "9 B"),
            (10, "10 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (9950, "10 kB"),
            (61_440, "61 kB"),
            (2_500_000_000, "2.5 GB"),
        ] {
            assert_eq!(size(bytes), due);
        }
    }

    #[test]
    fn nothing_from_a_file_commands_the_terminal() {
        assert_eq!(clean("a\u{1b}[2J\tb\u{9b}\n\u{e9}"), "a\\u{1b}[2J\\tb\\u{9b}\n\u{e9}");
    }

    #[test]
    fn a_bar_is_as_long_as_its_share_and_only_where_there_is_room() {
        let bars = Bars::of(80, false);
        assert_eq!(bars.bar(1, 2), format!("{}{}", "█".repeat(8), " ".repeat(10)));
        assert_eq!(bars.bar(0, 2), " ".repeat(18));
        assert_eq!(bars.bar(1, 1_000_000), format!("▏{}", " ".repeat(17)));
        let narrow = Bars::of(60, false);
        assert_eq!([44, 40, 38].map(|part| narrow.bar(part, 100)), ["██▋     ", "██▍     ", "██▎     "]);
        assert_eq!(bars.header().len(), 18);
        assert_eq!(Bars::of(200, true).bar(7, 7), format!("{}  ", "#".repeat(40)));
        assert_eq!(
            [Bars::of(0, false).bar(1, 1), Bars::of(40, false).header()],
            [String::new(), String::new()]
        );
    }

    #[test]
    fn thousands_are_apart() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
    }
}
