//! A template to its nodes. Source: `k8s.io/client-go/util/jsonpath/parser.go`.

use super::JsonPathError;
use super::text::unquote;

/// Actions within actions, as in filters. Go has no bound.
const MAX_DEPTH: usize = 32;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    List(Vec<Node>),
    /// Bytes, as an escape can make any.
    Text(Vec<u8>),
    Field(String),
    Identifier(String),
    /// From, to, and how many at a time.
    Array([Param; 3]),
    Filter(Filter),
    Int(i64),
    Float(f64),
    Bool(bool),
    Wildcard,
    Recursive,
    Union(Vec<Vec<Node>>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Param {
    pub(super) value: i64,
    pub(super) known: bool,
    /// Nobody said it: it is the next after the first.
    pub(super) derived: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Filter {
    pub(super) left: Vec<Node>,
    pub(super) right: Vec<Node>,
    pub(super) operator: String,
}

type Parsed<T> = Result<T, JsonPathError>;

fn fail<T>(what: impl Into<String>) -> Parsed<T> {
    Err(JsonPathError::new(what))
}

/// A path as columns and the order of a list take it (`.a`, `a`, `{.a}`, `{a}`), as a template.
///
/// # Errors
/// If it is none of these.
pub fn relaxed(path: &str) -> Result<String, JsonPathError> {
    if path.is_empty() {
        return Ok(String::new());
    }
    let braced = path.strip_prefix('{').and_then(|path| path.strip_suffix('}'));
    let inner = braced.unwrap_or(path);
    // A dot alone is the path, and not before it.
    let inner = inner.strip_prefix('.').filter(|rest| !rest.is_empty()).unwrap_or(inner);
    if inner.is_empty() || inner.contains(['{', '}']) {
        return fail(
            "unexpected path string, expected a 'name1.name2' or '.name1.name2' or '{name1.name2}' or \
             '{.name1.name2}'",
        );
    }
    Ok(format!("{{.{inner}}}"))
}

pub(super) fn template(text: &str) -> Parsed<Vec<Node>> {
    parse(text, 0)
}

fn parse(text: &str, depth: usize) -> Parsed<Vec<Node>> {
    let mut parser = Parser { input: text, start: 0, pos: 0, width: 0, depth };
    let mut root = Vec::new();
    loop {
        let rest = parser.rest();
        let open = rest.find('{');
        parser.skip(open.unwrap_or(rest.len()));
        let before = parser.consume();
        if !before.is_empty() {
            root.push(Node::Text(before.as_bytes().to_vec()));
        }
        if open.is_none() {
            return Ok(root);
        }
        parser.skip(1);
        parser.consume();
        let mut action = Vec::new();
        while parser.token(&mut action)? {}
        root.push(Node::List(action));
    }
}

/// The first action of `{text}`.
fn action(text: &str, depth: usize) -> Parsed<Vec<Node>> {
    let depth = depth.saturating_add(1);
    if depth > MAX_DEPTH {
        return fail(format!("actions within actions are more than {MAX_DEPTH} deep"));
    }
    match parse(&format!("{{{text}}}"), depth)?.into_iter().next() {
        Some(Node::List(nodes)) => Ok(nodes),
        _ => Ok(Vec::new()),
    }
}

struct Parser<'t> {
    input: &'t str,
    start: usize,
    pos: usize,
    width: usize,
    depth: usize,
}

impl<'t> Parser<'t> {
    fn rest(&self) -> &'t str {
        self.input.get(self.pos..).unwrap_or_default()
    }

    fn skip(&mut self, bytes: usize) {
        self.pos = self.pos.saturating_add(bytes);
    }

    /// The text since the last that was consumed.
    fn consume(&mut self) -> &'t str {
        let text = self.input.get(self.start..self.pos).unwrap_or_default();
        self.start = self.pos;
        text
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest().chars().next();
        self.width = next.map_or(0, char::len_utf8);
        self.skip(self.width);
        next
    }

    fn backup(&mut self) {
        self.pos = self.pos.saturating_sub(self.width);
    }

    /// Whether the character before the last is a backslash.
    fn escaped(&self) -> bool {
        let before = self.pos.checked_sub(2);
        before.and_then(|at| self.input.as_bytes().get(at)) == Some(&b'\\')
    }

    /// Reads the next part of an action; false at its end.
    fn token(&mut self, nodes: &mut Vec<Node>) -> Parsed<bool> {
        let rest = self.rest();
        if rest.starts_with('}') {
            self.skip(1);
            self.consume();
            return Ok(false);
        }
        if rest.starts_with("[?(") {
            self.filter(nodes)?;
            return Ok(true);
        }
        if rest.starts_with("..") {
            self.recursive(nodes)?;
            return Ok(true);
        }
        match self.next() {
            None | Some('\r' | '\n') => return fail("unclosed action"),
            Some(' ' | '@' | '$') => drop(self.consume()),
            Some('[') => self.array(nodes)?,
            Some(quote @ ('"' | '\'')) => self.quote(nodes, quote)?,
            Some('.') => self.field(nodes),
            Some(c) if c == '+' || c == '-' || is_digit(c) => {
                self.backup();
                self.number(nodes)?;
            }
            Some(c) if is_alphanumeric(c) => {
                self.backup();
                self.identifier(nodes);
            }
            Some(c) => {
                let shown = if c.is_control() { String::new() } else { format!(" '{c}'") };
                return fail(format!("unrecognized character in action: U+{:04X}{shown}", u32::from(c)));
            }
        }
        Ok(true)
    }

    fn identifier(&mut self, nodes: &mut Vec<Node>) {
        while !is_terminator(self.next()) {}
        self.backup();
        nodes.push(match self.consume() {
            "true" => Node::Bool(true),
            "false" => Node::Bool(false),
            name => Node::Identifier(name.to_owned()),
        });
    }

    fn recursive(&mut self, nodes: &mut Vec<Node>) -> Parsed<()> {
        if nodes.last() == Some(&Node::Recursive) {
            return fail("invalid multiple recursive descent");
        }
        self.skip(2);
        self.consume();
        nodes.push(Node::Recursive);
        if self.rest().chars().next().is_some_and(is_alphanumeric) {
            self.field(nodes);
        }
        Ok(())
    }

    fn number(&mut self, nodes: &mut Vec<Node>) -> Parsed<()> {
        if self.rest().starts_with(['+', '-']) {
            self.skip(1);
        }
        while self.next().is_some_and(|c| c == '.' || is_digit(c)) {}
        self.backup();
        let text = self.consume();
        // What is too large for a float is an error in Go, and infinite in Rust.
        let float = || text.parse().ok().filter(|float: &f64| float.is_finite() && text.is_ascii());
        nodes.push(match text.parse() {
            Ok(int) => Node::Int(int),
            Err(_) => {
                Node::Float(float().ok_or_else(|| JsonPathError::new(format!("cannot parse number {text}")))?)
            }
        });
        Ok(())
    }

    fn array(&mut self, nodes: &mut Vec<Node>) -> Parsed<()> {
        loop {
            match self.next() {
                None | Some('\n') => return fail("unterminated array"),
                Some(']') => break,
                Some(_) => {}
            }
        }
        let text = self.consume();
        let text = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or_default();
        let text = if text == "*" { ":" } else { text };
        if text.contains(',') {
            let parts =
                text.split(',').map(|part| action(&format!("[{}]", part.trim_matches(' ')), self.depth));
            nodes.push(Node::Union(parts.collect::<Parsed<_>>()?));
            return Ok(());
        }
        let quoted = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
        if let Some(key) = quoted.filter(|key| !key.contains('\'')) {
            nodes.extend(action(&format!(".{key}"), self.depth)?);
            return Ok(());
        }
        nodes.push(Node::Array(slice(text)?));
        Ok(())
    }

    fn filter(&mut self, nodes: &mut Vec<Node>) -> Parsed<()> {
        self.skip(3);
        self.consume();
        let (mut pair, mut closed) = (None, false);
        loop {
            match self.next() {
                None | Some('\n') => return fail("unterminated filter"),
                Some(quote @ ('"' | '\'')) => match pair {
                    None => pair = Some(quote),
                    Some(open) => closed |= open == quote && !self.escaped(),
                },
                // A quoted text comes once at most, and closed.
                Some(')') if pair.is_some() == closed => break,
                Some(_) => {}
            }
        }
        if self.next() != Some(']') {
            return fail("unclosed array expect ]");
        }
        let text = self.consume();
        let text = text.strip_suffix(")]").unwrap_or_default();
        nodes.push(Node::Filter(match comparison(text) {
            None => {
                Filter { left: action(text, self.depth)?, right: Vec::new(), operator: "exists".to_owned() }
            }
            Some((left, operator, right)) => Filter {
                left: action(left, self.depth)?,
                right: action(right, self.depth)?,
                operator: operator.to_owned(),
            },
        }));
        Ok(())
    }

    fn quote(&mut self, nodes: &mut Vec<Node>, end: char) -> Parsed<()> {
        loop {
            match self.next() {
                None | Some('\n') => return fail("unterminated quoted string"),
                Some(c) if c == end && !self.escaped() => break,
                Some(_) => {}
            }
        }
        let text = self.consume();
        match unquote(text) {
            Some(text) => nodes.push(Node::Text(text)),
            None => return fail(format!("unquote string {text} error invalid syntax")),
        }
        Ok(())
    }

    fn field(&mut self, nodes: &mut Vec<Node>) {
        self.consume();
        loop {
            match self.next() {
                Some('\\') => drop(self.next()),
                next if is_terminator(next) => break,
                _ => {}
            }
        }
        self.backup();
        nodes.push(match self.consume() {
            "*" => Node::Wildcard,
            name => Node::Field(name.replace('\\', "")),
        });
    }
}

/// `^([^!<>=]+)([!<>=]+)(.+?)$`
fn comparison(text: &str) -> Option<(&str, &str, &str)> {
    let is_operator = |c: char| matches!(c, '!' | '<' | '>' | '=');
    let (left, rest) = text.split_at_checked(text.find(is_operator)?)?;
    let end = rest.find(|c| !is_operator(c)).unwrap_or(rest.len());
    // What stands on the right may begin with the last sign of the operator, if there is nothing else.
    let end = if end == rest.len() { end.checked_sub(1)? } else { end };
    let (operator, right) = rest.split_at_checked(end)?;
    (!left.is_empty() && !operator.is_empty()).then_some((left, operator, right))
}

/// `^(-?[\d]*)(:-?[\d]*)?(:-?[\d]*)?$`
fn slice(text: &str) -> Parsed<[Param; 3]> {
    let invalid = || JsonPathError::new(format!("invalid array index {text}"));
    let parts: Vec<&str> = text.split(':').collect();
    let is_number =
        |part: &&str| part.strip_prefix('-').unwrap_or(part).bytes().all(|byte| byte.is_ascii_digit());
    if parts.len() > 3 || !parts.iter().all(is_number) {
        return Err(invalid());
    }
    let value = |part: &str| {
        part.parse::<i64>().map_err(|_| JsonPathError::new(format!("array index {part} is not a number")))
    };
    let param = |at: usize| -> Parsed<Param> {
        match parts.get(at) {
            None | Some(&"") => Ok(Param::default()),
            Some(part) => Ok(Param { value: value(part)?, known: true, derived: false }),
        }
    };
    let (first, mut second, third) = (param(0)?, param(1)?, param(2)?);
    if parts.len() == 1 {
        second = Param { value: first.value.wrapping_add(1), known: true, derived: true };
    }
    Ok([first, second, third])
}

fn is_terminator(c: Option<char>) -> bool {
    matches!(c, None | Some(' ' | '\t' | '\r' | '\n' | '.' | ',' | '[' | ']' | '$' | '@' | '{' | '}'))
}

fn is_digit(c: char) -> bool {
    c.is_numeric()
}

fn is_alphanumeric(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}
