//! JSONPath as kubectl has it: `{.items[*].metadata.name}`, `{range .items[*]}{.kind}{"\n"}{end}`.
//!
//! It is not that of RFC 9535: text stands outside of braces, a filter compares two paths, keys escape their dots, and
//! what is found is printed by rules of Go. So it is read and evaluated as `k8s.io/client-go/util/jsonpath` does it,
//! corners and all. Where Go takes the fields of an object in an order of chance (`*`, `..`), they come here in the
//! order of their names. Two things are refused that Go goes on with until it is out of memory or stack: templates
//! that nest too deep, and those that take too many steps for the size of the object.
//!
//! ```
//! use coldbolt::kube::jsonpath::JsonPath;
//!
//! let object = serde_json::json!({"items": [{"name": "a", "n": 1}, {"name": "b", "n": 2}]});
//! let path = JsonPath::parse("{.items[?(@.n>1)].name}: {.items[*].n}").unwrap();
//! let mut out = Vec::new();
//! path.execute(&object, &mut out).unwrap();
//! assert_eq!(out, b"b: 1 2");
//! ```

mod compare;
mod eval;
mod found;
mod parse;
mod text;

use std::io::{self, Write};

use serde_json::Value;

use self::eval::Evaluation;
pub use self::found::{Found, JsonPathError};
use self::parse::Node;
pub use self::parse::relaxed;
use crate::codec::to_usize;

/// A template that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonPath {
    nodes: Vec<Node>,
    missing_is_error: bool,
    as_json: bool,
}

/// Why an answer could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    /// The template is not for this object. Nothing is written then, but of what is too long its beginning.
    #[error(transparent)]
    Path(#[from] JsonPathError),
    /// Where it is written to.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl JsonPath {
    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(template: &str) -> Result<JsonPath, JsonPathError> {
        Ok(JsonPath { nodes: parse::template(template)?, missing_is_error: false, as_json: false })
    }

    /// Whether a field that is not there is an error; else it is nothing.
    #[must_use]
    pub fn missing_is_error(mut self, is: bool) -> JsonPath {
        self.missing_is_error = is;
        self
    }

    /// Whether all that each action finds is written as an array of JSON.
    #[must_use]
    pub fn as_json(mut self, is: bool) -> JsonPath {
        self.as_json = is;
        self
    }

    /// What is found, for each piece of the template.
    ///
    /// # Errors
    /// Why the object is none for this template.
    pub fn find<'j>(&'j self, object: &'j Value) -> Result<Vec<Vec<Found<'j>>>, JsonPathError> {
        Evaluation::new(&self.nodes, !self.missing_is_error, object, eval::STEPS).run(Found::Json(object))
    }

    /// The first that the first piece of the template finds; `None` if that is nothing, or the object is none for this
    /// template. There are many columns and many objects, so it may take few steps.
    pub(super) fn first<'j>(&'j self, object: &'j Value) -> Option<Found<'j>> {
        let evaluation = Evaluation::new(&self.nodes, !self.missing_is_error, object, eval::STEPS_FOR_A_CELL);
        evaluation.run(Found::Json(object)).ok()?.first()?.first().copied()
    }

    /// Writes what is found.
    ///
    /// # Errors
    /// Why the object is none for this template, or cannot be written.
    pub fn execute(&self, object: &Value, out: &mut dyn Write) -> Result<(), ExecuteError> {
        let mut out = Bounded { out, left: most_bytes(object) };
        for found in self.find(object)? {
            for (at, one) in found.iter().enumerate() {
                if self.as_json {
                    out.write(if at == 0 { b"[\n    " } else { b",\n    " })?;
                    out.write(text::json_item(one).as_bytes())?;
                    continue;
                }
                if at > 0 {
                    out.write(b" ")?;
                }
                out.write(&one.text())?;
            }
            if self.as_json {
                out.write(if found.is_empty() { b"[]\n" } else { b"\n]\n" })?;
            }
        }
        Ok(())
    }
}

/// As many bytes as any template may print, and how many more for each value and each byte of a text of the object.
const BYTES: usize = 64 << 20;
const BYTES_EACH: usize = 64;

/// As many bytes as may be printed of an object.
pub(super) fn most_bytes(object: &Value) -> usize {
    BYTES.saturating_add(to_usize(eval::size(object)).saturating_mul(BYTES_EACH))
}

/// What is said where that is not enough.
pub(super) const TOO_LONG: &str = "the template prints too much for an object of this size";

struct Bounded<'o> {
    out: &'o mut dyn Write,
    left: usize,
}

impl Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), ExecuteError> {
        self.left = self.left.checked_sub(bytes.len()).ok_or_else(|| JsonPathError::new(TOO_LONG))?;
        Ok(self.out.write_all(bytes)?)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(template: &str, object: &Value) -> String {
        let printed = JsonPath::parse(template).map(|path| path.execute(object, &mut io::sink()));
        match printed {
            Err(why) => why.to_string(),
            Ok(printed) => printed.expect_err("it is bounded").to_string(),
        }
    }

    #[test]
    fn templates_that_take_more_than_their_object_is_worth_are_refused() {
        let list = json!({"a": [{"a": [1, 2, 3]}, {"a": [1, 2, 3]}], "t": "x".repeat(1 << 20)});
        let steps = "the template takes too many steps for an object of this size";
        assert_eq!(refused(&"{range .a[*]}".repeat(65), &list), "ranges within ranges are more than 64 deep");
        assert_eq!(refused(&"{range ..}".repeat(30), &list), steps);
        let deep = (0..60).fold(json!(1), |inside, _| json!({ "a": inside }));
        assert_eq!(refused(&format!("{{{}}}", "['a','a']".repeat(60)), &deep), steps);
        assert_eq!(refused(&"{.t}".repeat(200), &list), TOO_LONG);
    }
}
