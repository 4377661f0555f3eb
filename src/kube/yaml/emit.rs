//! libyaml's emitter, as go-yaml has it: block style throughout, lines that are folded behind 80 columns at a space.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{order, plain};
use crate::codec::go::go_float64;
use crate::kube::json;

const INDENT: usize = 2;
const WIDTH: usize = 80;
/// The longest name that is written before a colon; a longer one stands behind a question mark.
const SIMPLE_KEY: usize = 128;

const NEXT_LINE: char = '\u{85}';

/// Where a node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    InSequence,
    InMapping,
    SimpleKey,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    Single,
    Double,
    Literal,
}

#[derive(Debug)]
pub(super) struct Emitter {
    out: String,
    column: usize,
    /// None before the first level.
    indent: Option<usize>,
    /// The last character was a space, or what needs none behind it.
    whitespace: bool,
    /// So far there is only what indents on this line.
    indention: bool,
}

impl Default for Emitter {
    fn default() -> Emitter {
        Emitter { out: String::new(), column: 0, indent: None, whitespace: true, indention: true }
    }
}

impl Emitter {
    /// An item of a list in a document, of which the name was written before.
    pub(super) fn item(&mut self, object: &Map<String, Value>) {
        self.indented(0, true, |emitter| {
            emitter.write_indent();
            emitter.indicator("-", true, false, true);
            emitter.mapping(object);
        });
    }

    pub(super) fn finish(mut self) -> String {
        self.write_indent();
        self.out
    }

    fn node(&mut self, value: &Value, place: Place) {
        match value {
            Value::Null => self.scalar("null", Style::Plain, place),
            Value::Bool(b) => self.scalar(if *b { "true" } else { "false" }, Style::Plain, place),
            Value::Number(n) => self.scalar(&number(&json::number(n)), Style::Plain, place),
            Value::String(text) => self.text(text, place),
            Value::Array(items) if items.is_empty() => self.empty("[", "]"),
            Value::Array(items) => self.sequence(items, place),
            Value::Object(map) if map.is_empty() => self.empty("{", "}"),
            Value::Object(map) => self.mapping(map),
        }
    }

    fn empty(&mut self, open: &str, close: &str) {
        self.indicator(open, true, true, false);
        self.indicator(close, false, false, false);
    }

    /// Runs with one more level of indent; a sequence in a mapping has none.
    fn indented(&mut self, first: usize, more: bool, inside: impl FnOnce(&mut Emitter)) {
        let before = self.indent;
        self.indent = Some(match before {
            None => first,
            Some(indent) => indent.saturating_add(if more { INDENT } else { 0 }),
        });
        inside(self);
        self.indent = before;
    }

    fn sequence(&mut self, items: &[Value], place: Place) {
        let indentless = place == Place::InMapping && !self.indention;
        self.indented(0, !indentless, |emitter| {
            for item in items {
                emitter.write_indent();
                emitter.indicator("-", true, false, true);
                emitter.node(item, Place::InSequence);
            }
        });
    }

    pub(super) fn mapping(&mut self, map: &Map<String, Value>) {
        let mut fields: Vec<(&str, &Value)> =
            map.iter().map(|(name, value)| (name.as_str(), value)).collect();
        fields.sort_unstable_by_key(|(name, _)| *name);
        let fields = order::sorted(fields);
        self.indented(0, true, |emitter| {
            for (name, value) in fields {
                emitter.write_indent();
                let breaks = name.chars().any(|c| is_break(c) && c != NEXT_LINE);
                if name.len() <= SIMPLE_KEY && !breaks {
                    emitter.name(name, Place::SimpleKey);
                    emitter.indicator(":", false, false, false);
                } else {
                    emitter.indicator("?", true, false, true);
                    emitter.name(name, Place::InMapping);
                    emitter.write_indent();
                    emitter.indicator(":", true, false, true);
                }
                emitter.node(value, Place::InMapping);
            }
        });
    }

    /// kubectl refuses a name with a break of the line that JSON does not escape, so that it is escaped here.
    fn name(&mut self, name: &str, place: Place) {
        if name.contains(NEXT_LINE) {
            self.scalar(name, Style::Double, place);
        } else {
            self.text(name, place);
        }
    }

    fn text(&mut self, text: &str, place: Place) {
        let text = folded(text);
        self.scalar(&text, wanted(&text), place);
    }

    fn scalar(&mut self, text: &str, style: Style, place: Place) {
        let style = allowed(text, style, place);
        let fold = place != Place::SimpleKey;
        self.indented(INDENT, true, |emitter| match style {
            Style::Plain => emitter.plain(text, fold),
            Style::Single => emitter.single_quoted(text, fold),
            Style::Double => emitter.double_quoted(text, fold),
            Style::Literal => emitter.literal(text),
        });
    }

    fn put(&mut self, c: char) {
        self.out.push(c);
        self.column = self.column.saturating_add(1);
    }

    /// A text without a break and without a place to fold at.
    fn put_all(&mut self, text: &str) {
        self.out.push_str(text);
        self.column = self.column.saturating_add(text.len());
    }

    fn put_break(&mut self, c: char) {
        self.out.push(c);
        self.column = 0;
    }

    fn write_indent(&mut self) {
        let indent = self.indent.unwrap_or(0);
        if !self.indention || self.column > indent || (self.column == indent && !self.whitespace) {
            self.put_break('\n');
        }
        self.out.extend(std::iter::repeat_n(' ', indent.saturating_sub(self.column)));
        self.column = self.column.max(indent);
        self.whitespace = true;
        self.indention = true;
    }

    fn indicator(&mut self, text: &str, need_whitespace: bool, is_whitespace: bool, is_indention: bool) {
        if need_whitespace && !self.whitespace {
            self.put(' ');
        }
        self.put_all(text);
        self.whitespace = is_whitespace;
        self.indention = self.indention && is_indention;
    }

    fn is_past_width(&self) -> bool {
        self.column > WIDTH
    }

    /// The end of a scalar on a line.
    fn end_scalar(&mut self) {
        self.whitespace = false;
        self.indention = false;
    }

    /// What plain and single-quoted scalars share: folding at spaces, breaks that are doubled.
    fn flowing(&mut self, text: &str, fold_at: impl Fn(usize, &str) -> bool, quote: bool) {
        // Nearly all are so short or have no space: nothing happens to them.
        let ends = self.column.saturating_add(text.len());
        if !text.is_empty()
            && text
                .bytes()
                .all(|byte| matches!(byte, b'!'..=b'~') && byte != b'\'' || byte == b' ' && ends <= WIDTH)
        {
            self.indention = false;
            return self.put_all(text);
        }
        let (mut spaces, mut breaks) = (false, false);
        for (at, c) in text.char_indices() {
            let after = at.checked_add(c.len_utf8()).and_then(|after| text.get(after..)).unwrap_or_default();
            if c == ' ' {
                if !spaces && self.is_past_width() && fold_at(at, after) {
                    self.write_indent();
                } else {
                    self.put(c);
                }
                spaces = true;
            } else if is_break(c) {
                if !breaks && c == '\n' {
                    self.put_break('\n');
                }
                self.put_break(c);
                self.indention = true;
                breaks = true;
            } else {
                if breaks {
                    self.write_indent();
                }
                if quote && c == '\'' {
                    self.put('\'');
                }
                self.put(c);
                self.indention = false;
                (spaces, breaks) = (false, false);
            }
        }
    }

    fn plain(&mut self, text: &str, fold: bool) {
        if !self.whitespace {
            self.put(' ');
        }
        self.flowing(text, |_, after| fold && !after.starts_with(' '), false);
        self.end_scalar();
    }

    fn single_quoted(&mut self, text: &str, fold: bool) {
        self.indicator("'", true, false, false);
        let inside = |at, after: &str| fold && at > 0 && !after.is_empty() && !after.starts_with(' ');
        self.flowing(text, inside, true);
        self.indicator("'", false, false, false);
        self.end_scalar();
    }

    fn double_quoted(&mut self, text: &str, fold: bool) {
        self.indicator("\"", true, false, false);
        // go-yaml looks for a byte order mark at the beginning, whatever it is looking at.
        let marked = text.starts_with('\u{feff}');
        let mut spaces = false;
        for (at, c) in text.char_indices() {
            let after = at.checked_add(c.len_utf8()).and_then(|after| text.get(after..)).unwrap_or_default();
            if marked || !is_printable(c) || is_break(c) || matches!(c, '"' | '\\') {
                escape(c).chars().for_each(|c| self.put(c));
                spaces = false;
            } else if c == ' ' {
                if fold && !spaces && self.is_past_width() && at > 0 && !after.is_empty() {
                    self.write_indent();
                    if after.starts_with(' ') {
                        self.put('\\');
                    }
                } else {
                    self.put(c);
                }
                spaces = true;
            } else {
                self.put(c);
                spaces = false;
            }
        }
        self.indicator("\"", false, false, false);
        self.end_scalar();
    }

    fn literal(&mut self, text: &str) {
        self.indicator("|", true, false, false);
        if text.starts_with(|c| c == ' ' || is_break(c)) {
            self.indicator("2", false, false, false);
        }
        let mut last = text.chars().rev().map(is_break);
        match (last.next(), last.next()) {
            (Some(true), Some(false)) => {}
            (Some(true), _) => self.indicator("+", false, false, false),
            _ => self.indicator("-", false, false, false),
        }
        self.put_break('\n');
        self.indention = true;
        self.whitespace = true;
        let mut breaks = true;
        for c in text.chars() {
            if is_break(c) {
                self.put_break(c);
                self.indention = true;
                breaks = true;
            } else {
                if breaks {
                    self.write_indent();
                }
                self.put(c);
                self.indention = false;
                breaks = false;
            }
        }
    }
}

/// A number of JSON as YAML has it, which reads it again: a float has other digits.
fn number(text: &str) -> String {
    if let Ok(n) = text.parse::<i64>() {
        return n.to_string();
    }
    match text.parse::<u64>() {
        Ok(n) => n.to_string(),
        Err(_) => go_float64(text.parse().unwrap_or_default()),
    }
}

/// The style that the encoder asks for.
fn wanted(text: &str) -> Style {
    if text.contains('\n') {
        Style::Literal
    } else if plain::is_text(text) {
        Style::Plain
    } else {
        Style::Double
    }
}

/// What YAML reads where JSON has U+0085 in a string: breaks of the line, with the spaces around them. One is a space,
/// of several the first goes.
fn folded(text: &str) -> Cow<'_, str> {
    if !text.contains(NEXT_LINE) {
        return text.into();
    }
    let mut out = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let blank = |c| matches!(c, ' ' | NEXT_LINE);
        let (run, after) =
            rest.split_at_checked(rest.find(|c| !blank(c)).unwrap_or(rest.len())).unwrap_or((rest, ""));
        match run.matches(NEXT_LINE).count() {
            0 => out.push_str(run),
            1 => out.push(' '),
            breaks => out.extend(std::iter::repeat_n('\n', breaks.saturating_sub(1))),
        }
        let (word, after) =
            after.split_at_checked(after.find(blank).unwrap_or(after.len())).unwrap_or((after, ""));
        out.push_str(word);
        rest = after;
    }
    out.into()
}

/// What a text has that some styles cannot have.
#[derive(Debug, Default)]
struct Analysis {
    indicators: bool,
    breaks: bool,
    special: bool,
    leading: bool,
    trailing: bool,
    trailing_space: bool,
    break_space: bool,
    space_break: bool,
}

fn analyze(text: &str) -> Analysis {
    let innocent =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/' | b'+' | b'=');
    if text.bytes().all(innocent) && text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric()) {
        return Analysis::default();
    }
    let mut found =
        Analysis { indicators: text.starts_with("---") || text.starts_with("..."), ..Analysis::default() };
    // The beginning counts as if a space were before it.
    let mut before = ' ';
    let mut chars = text.chars().peekable();
    let mut first = true;
    while let Some(c) = chars.next() {
        let last = chars.peek().is_none();
        let blank_follows = chars.peek().is_none_or(|next| matches!(next, ' ' | '\t'));
        found.indicators |= match c {
            ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' => first,
            '#' => matches!(before, ' ' | '\t' | '\0') || is_break(before),
            '?' | '-' => first && blank_follows,
            ':' => blank_follows,
            _ => false,
        };
        found.special |= !is_printable(c);
        if c == ' ' {
            found.leading |= first;
            found.trailing |= last;
            found.trailing_space |= last;
            found.break_space |= !first && is_break(before);
        } else if is_break(c) {
            found.breaks = true;
            found.leading |= first;
            found.trailing |= last;
            found.space_break |= !first && before == ' ';
        }
        before = c;
        first = false;
    }
    found
}

/// The style that is possible.
fn allowed(text: &str, style: Style, place: Place) -> Style {
    let found = analyze(text);
    let key = place == Place::SimpleKey;
    let mut style = if key && found.breaks { Style::Double } else { style };
    let no_quotes = found.space_break || found.special;
    let no_plain =
        found.leading || found.trailing || found.break_space || no_quotes || found.breaks || found.indicators;
    if style == Style::Plain && (no_plain || (text.is_empty() && key)) {
        style = Style::Single;
    }
    if style == Style::Single && (found.break_space || no_quotes) {
        style = Style::Double;
    }
    if style == Style::Literal && (text.is_empty() || found.trailing_space || no_quotes || key) {
        style = Style::Double;
    }
    style
}

fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}') && c != '\u{feff}'
}

fn is_break(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn escape(c: char) -> String {
    let short = match c {
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '"' => '"',
        '\\' => '\\',
        '\u{85}' => 'N',
        '\u{a0}' => '_',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        _ => {
            let n = u32::from(c);
            return match n {
                ..=0xff => format!("\\x{n:02X}"),
                0x100..=0xffff => format!("\\u{n:04X}"),
                _ => format!("\\U{n:08X}"),
            };
        }
    };
    format!("\\{short}")
}
