//! JSON as Go's `encoding/json` writes it, which is what kubectl prints: `<`, `>` and `&` are escaped, floats have Go's
//! digits, an integer that is no int64 is a float.

use std::fmt::Write;

use serde_json::{Map, Number, Value};

use crate::codec::json::quote_into;

/// How JSON is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// On several lines, indented by four spaces, as kubectl does it; else on one.
    pub indent: bool,
    /// In the order of the names, else as they are stored.
    pub sorted: bool,
}

impl Layout {
    /// What `kubectl get -o json` prints.
    pub const KUBECTL: Layout = Layout { indent: true, sorted: true };
    /// One line an object, in the order of the names.
    pub const LINE: Layout = Layout { indent: false, sorted: true };
}

/// The value as text, without a line break at its end.
#[must_use]
pub fn text(value: &Value, layout: Layout) -> String {
    let mut writer = Writer { out: String::new(), layout };
    writer.value(value, 0);
    writer.out
}

/// The object as text, without a line break at its end.
#[must_use]
pub fn object_text(object: &Map<String, Value>, layout: Layout) -> String {
    let mut writer = Writer { out: String::new(), layout };
    writer.object(object, 0);
    writer.out
}

/// The object as one item of the list that is a field of a `List`, as kubectl prints it: on its own lines, without a
/// break at its beginning or end.
#[must_use]
pub fn item_text(object: &Map<String, Value>, layout: Layout) -> String {
    let mut writer = Writer { out: String::new(), layout };
    writer.object(object, 2);
    writer.out
}

/// A number as Go prints it that read it into an int64 or, if it is none, a float64.
pub(super) fn number(number: &Number) -> String {
    if let Some(n) = number.as_i64() {
        return n.to_string();
    }
    let float = number.as_f64().unwrap_or_default();
    let size = float.abs();
    if size == 0.0 || (1e-6..1e21).contains(&size) {
        return float.to_string();
    }
    // Rust: 1e21, 1e-7. Go: 1e+21, 1e-07 of which it then makes 1e-7.
    let text = format!("{float:e}");
    match text.split_once('e') {
        Some((digits, exponent)) if !exponent.starts_with('-') => format!("{digits}e+{exponent:0>2}"),
        _ => text,
    }
}

struct Writer {
    out: String,
    layout: Layout,
}

impl Writer {
    fn line(&mut self, depth: usize) {
        if self.layout.indent {
            self.out.push('\n');
            (0..depth).for_each(|_| self.out.push_str("    "));
        }
    }

    fn value(&mut self, value: &Value, depth: usize) {
        match value {
            Value::Null => self.out.push_str("null"),
            Value::Bool(b) => {
                // A String takes everything.
                let _ = write!(self.out, "{b}");
            }
            Value::Number(n) => self.out.push_str(&number(n)),
            Value::String(text) => quote_into(text, &mut self.out),
            Value::Array(items) if items.is_empty() => self.out.push_str("[]"),
            Value::Array(items) => {
                let inside = depth.saturating_add(1);
                self.out.push('[');
                for (at, item) in items.iter().enumerate() {
                    self.separate(at, inside);
                    self.value(item, inside);
                }
                self.line(depth);
                self.out.push(']');
            }
            Value::Object(map) => self.object(map, depth),
        }
    }

    fn object(&mut self, map: &Map<String, Value>, depth: usize) {
        if map.is_empty() {
            return self.out.push_str("{}");
        }
        let inside = depth.saturating_add(1);
        self.out.push('{');
        let mut fields: Vec<_> = map.iter().collect();
        if self.layout.sorted {
            fields.sort_by_key(|(name, _)| *name);
        }
        for (at, (name, value)) in fields.into_iter().enumerate() {
            self.separate(at, inside);
            quote_into(name, &mut self.out);
            self.out.push_str(if self.layout.indent { ": " } else { ":" });
            self.value(value, inside);
        }
        self.line(depth);
        self.out.push('}');
    }

    fn separate(&mut self, at: usize, depth: usize) {
        if at > 0 {
            self.out.push(',');
        }
        self.line(depth);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_have_the_digits_of_go() {
        for (value, due) in [
            (json!(0), "0"),
            (json!(-0.0), "-0"),
            (json!(i64::MIN), "-9223372036854775808"),
            (json!(u64::MAX), "18446744073709552000"),
            (json!(1.5), "1.5"),
            (json!(100.0), "100"),
            (json!(1e20), "100000000000000000000"),
            (json!(1e21), "1e+21"),
            (json!(1.5e300), "1.5e+300"),
            (json!(0.000_001), "0.000001"),
            (json!(1e-7), "1e-7"),
            (json!(-2.5e-10), "-2.5e-10"),
        ] {
            assert_eq!(text(&value, Layout::LINE), due);
        }
    }

    #[test]
    fn names_are_in_order_and_empty_lists_and_objects_are_on_one_line() {
        let value = json!({"b": [], "a": {"<": {}, "x": [1, "2"]}, "Z": null, "ä": true});
        let due = "{\n    \"Z\": null,\n    \"a\": {\n        \"\\u003c\": {},\n        \"x\": [\n            1,\n            \
                   \"2\"\n        ]\n    },\n    \"b\": [],\n    \"ä\": true\n}";
        assert_eq!(text(&value, Layout::KUBECTL), due);
        let stored = Layout { indent: false, sorted: false };
        assert_eq!(text(&value, stored), r#"{"b":[],"a":{"\u003c":{},"x":[1,"2"]},"Z":null,"ä":true}"#);
    }
}
