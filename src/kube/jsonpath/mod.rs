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
mod parse;
mod text;

use std::io::{self, Write};

use serde_json::Value;

use self::eval::Evaluation;
pub use self::eval::Found;
use self::parse::Node;
pub use self::parse::relaxed;

/// A template that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonPath {
    nodes: Vec<Node>,
    missing_is_error: bool,
    as_json: bool,
}

/// What is wrong with a template, or with an object for it, in Go's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JsonPathError(String);

impl JsonPathError {
    fn new(what: impl Into<String>) -> JsonPathError {
        JsonPathError(what.into())
    }
}

/// Why an answer could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    /// The template is not for this object; nothing is written then.
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
        Evaluation::new(&self.nodes, !self.missing_is_error, object).run(Found::Json(object))
    }

    /// Writes what is found.
    ///
    /// # Errors
    /// Why the object is none for this template, or cannot be written.
    pub fn execute(&self, object: &Value, out: &mut dyn Write) -> Result<(), ExecuteError> {
        for found in self.find(object)? {
            if self.as_json {
                out.write_all(text::json_lines(&found).as_bytes())?;
                continue;
            }
            for (at, one) in found.iter().enumerate() {
                if at > 0 {
                    out.write_all(b" ")?;
                }
                out.write_all(&one.text())?;
            }
        }
        Ok(())
    }
}
