//! What is found as Go prints it.

use std::borrow::Cow;
use std::fmt::Write;

use serde_json::{Map, Number, Value};

use super::eval::Found;
use crate::kube::json::{self, Layout};

impl<'j> Found<'j> {
    /// As a template prints it: an object or a list as JSON on one line, all else as Go's `fmt` prints it.
    #[must_use]
    pub fn text(&self) -> Cow<'j, [u8]> {
        match self {
            Found::Json(Value::String(text)) => Cow::Borrowed(text.as_bytes()),
            Found::Json(Value::Null) => Cow::Borrowed(b"null"),
            Found::Json(value @ (Value::Array(_) | Value::Object(_))) => {
                Cow::Owned(json::text(value, Layout::LINE).into_bytes())
            }
            other => other.go_text(),
        }
    }

    /// As Go's `fmt` prints it: `map[a:1 b:[x y]]`.
    #[must_use]
    pub fn go_text(&self) -> Cow<'j, [u8]> {
        match self {
            Found::Json(value) => {
                let mut out = String::new();
                go_text(value, &mut out);
                Cow::Owned(out.into_bytes())
            }
            Found::Text(text) => Cow::Borrowed(text),
            Found::Nothing => Cow::Borrowed(b"<no value>"),
            Found::Byte(n) => Cow::Owned(n.to_string().into_bytes()),
            Found::Int(n) => Cow::Owned(n.to_string().into_bytes()),
            Found::Float(n) => Cow::Owned(float(*n).into_bytes()),
            Found::Bool(b) => Cow::Owned(b.to_string().into_bytes()),
        }
    }

    fn json(&self) -> Cow<'j, Value> {
        match self {
            Found::Json(value) => Cow::Borrowed(value),
            Found::Text(text) => Cow::Owned(String::from_utf8_lossy(text).into_owned().into()),
            Found::Nothing => Cow::Owned(Value::Null),
            Found::Byte(n) => Cow::Owned((*n).into()),
            Found::Int(n) => Cow::Owned((*n).into()),
            Found::Float(n) => Cow::Owned(Number::from_f64(*n).into()),
            Found::Bool(b) => Cow::Owned((*b).into()),
        }
    }
}

/// One as an item of an array over several lines, without the array's brackets.
pub(super) fn json_item(found: &Found<'_>) -> String {
    // There is no line break in JSON but those of its layout.
    json::text(&found.json(), Layout::KUBECTL).replace('\n', "\n    ")
}

/// As Go's `%v` prints it, appended.
fn go_text(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("<nil>"),
        Value::Bool(b) => drop(write!(out, "{b}")),
        Value::Number(n) => match n.as_i64() {
            Some(n) => drop(write!(out, "{n}")),
            None => out.push_str(&float(n.as_f64().unwrap_or_default())),
        },
        Value::String(text) => out.push_str(text),
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(' ');
                }
                go_text(item, out);
            }
            out.push(']');
        }
        Value::Object(map) => {
            out.push_str("map[");
            for (at, (name, value)) in sorted(map).into_iter().enumerate() {
                if at > 0 {
                    out.push(' ');
                }
                out.push_str(name);
                out.push(':');
                go_text(value, out);
            }
            out.push(']');
        }
    }
}

/// The fields in the order of their names.
pub(super) fn sorted(map: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut fields: Vec<_> = map.iter().collect();
    fields.sort_by_key(|(name, _)| *name);
    fields
}

/// A float as Go's `%v` prints it: `1e+06`, `0.5`.
fn float(n: f64) -> String {
    let text = format!("{n:e}");
    let Some((digits, exponent)) = text.split_once('e') else { return text };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..6).contains(&exponent) {
        return n.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
}

/// A text in quotes of either kind to what it says, as `strconv.UnquoteChar` reads it.
pub(super) fn unquote(text: &str) -> Option<Vec<u8>> {
    let quote = text.chars().next()?;
    let mut rest = text.strip_prefix(quote)?.strip_suffix(quote)?;
    let mut out = Vec::new();
    while let Some(c) = rest.chars().next() {
        rest = rest.get(c.len_utf8()..)?;
        if c == quote {
            return None;
        }
        if c != '\\' {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let escape = rest.chars().next()?;
        rest = rest.get(escape.len_utf8()..)?;
        let mut digits = |len: usize, radix: u32| {
            let (digits, behind) = rest.split_at_checked(len)?;
            rest = behind;
            let all = digits.chars().all(|digit| digit.is_digit(radix));
            all.then(|| u32::from_str_radix(digits, radix).ok())?
        };
        match escape {
            'a' => out.push(7),
            'b' => out.push(8),
            'f' => out.push(12),
            'n' => out.push(b'\n'),
            'r' => out.push(b'\r'),
            't' => out.push(b'\t'),
            'v' => out.push(11),
            '\\' => out.push(b'\\'),
            '\'' | '"' if escape == quote => out.push(u8::try_from(escape).ok()?),
            'x' => out.push(u8::try_from(digits(2, 16)?).ok()?),
            'u' | 'U' => {
                let c = char::from_u32(digits(if escape == 'u' { 4 } else { 8 }, 16)?)?;
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            '0'..='7' => {
                let first = escape.to_digit(8)?.checked_mul(64)?;
                out.push(u8::try_from(digits(2, 8)?.checked_add(first)?).ok()?);
            }
            _ => return None,
        }
    }
    Some(out)
}
