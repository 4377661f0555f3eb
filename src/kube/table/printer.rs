//! The columns that custom resources are given by their definitions.
//!
//! Source: `k8s.io/apiextensions-apiserver/pkg/registry/customresource/tableconvertor`.

use jiff::Timestamp;
use serde_json::{Number, Value};

use super::super::jsonpath::{Found, JsonPath};
use super::values::{UNKNOWN, since};

/// A column of a custom resource, as its definition has it.
#[derive(Debug, Clone, PartialEq)]
pub struct PrinterColumn {
    pub(super) name: String,
    pub(super) wide: bool,
    path: JsonPath,
    kind: Kind,
}

/// What a column may hold; what is something else is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Integer,
    Number,
    Boolean,
    Date,
    /// No server takes it.
    Other,
}

impl PrinterColumn {
    /// Those of one version in a definition as it is served; a version that has none shows the age. A path that is none
    /// ends them.
    #[must_use]
    pub fn of_version(version: &Value) -> Vec<PrinterColumn> {
        let columns = version.get("additionalPrinterColumns").and_then(Value::as_array);
        match columns {
            Some(columns) if !columns.is_empty() => columns.iter().map_while(PrinterColumn::of).collect(),
            _ => PrinterColumn::new("AGE", ".metadata.creationTimestamp", Kind::Date).into_iter().collect(),
        }
    }

    fn of(column: &Value) -> Option<PrinterColumn> {
        let text = |name: &str| column.get(name).and_then(Value::as_str).unwrap_or_default();
        let kind = match text("type") {
            "string" => Kind::Text,
            "integer" => Kind::Integer,
            "number" => Kind::Number,
            "boolean" => Kind::Boolean,
            "date" => Kind::Date,
            _ => Kind::Other,
        };
        let wide = column.get("priority").and_then(Value::as_i64).unwrap_or_default() != 0;
        let column = PrinterColumn::new(&text("name").to_uppercase(), text("jsonPath"), kind)?;
        Some(PrinterColumn { wide, ..column })
    }

    fn new(name: &str, path: &str, kind: Kind) -> Option<PrinterColumn> {
        let path = JsonPath::parse(&format!("{{{path}}}")).ok()?;
        Some(PrinterColumn { name: name.to_owned(), wide: false, path, kind })
    }

    pub(super) fn cell(&self, object: &Value, now: Timestamp) -> String {
        let Some(found) = self.path.first(object) else { return String::new() };
        let text = |found: Found<'_>| String::from_utf8_lossy(&found.text()).into_owned();
        match (self.kind, found) {
            // Go has no text for a null that was found.
            (Kind::Text, Found::Json(Value::Null)) => text(Found::Nothing),
            (Kind::Text, found) | (Kind::Boolean, found @ Found::Json(Value::Bool(_))) => text(found),
            (Kind::Integer, Found::Json(Value::Number(n))) => whole(n),
            (Kind::Number, Found::Json(Value::Number(n))) => number(n),
            (Kind::Date, Found::Json(Value::String(text))) => date(text, now),
            _ => String::new(),
        }
    }
}

/// A number without what is behind its point.
fn whole(n: &Number) -> String {
    match (n.as_i64(), n.as_f64()) {
        (None, Some(float)) => {
            let text = float.trunc().to_string();
            // Beyond what an integer holds, Go has the least.
            text.parse().unwrap_or(i64::MIN).to_string()
        }
        (n, _) => n.unwrap_or_default().to_string(),
    }
}

/// A number that was JSON once more between server and kubectl: what is whole is an integer again.
fn number(n: &Number) -> String {
    let float = n.as_f64().unwrap_or_default();
    match float.to_string().parse::<i64>() {
        Ok(whole) => whole.to_string(),
        Err(_) => String::from_utf8_lossy(&Found::Float(float).text()).into_owned(),
    }
}

fn date(text: &str, now: Timestamp) -> String {
    match text.parse::<Timestamp>() {
        _ if matches!(text, "" | "null") => UNKNOWN.to_owned(),
        Ok(then) if then.as_second() == YEAR_1 => UNKNOWN.to_owned(),
        Ok(then) => since(Some(then), now),
        Err(_) => "<invalid>".to_owned(),
    }
}

/// The second that Go takes for no time.
const YEAR_1: i64 = -62_135_596_800;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cell(kind: &str, path: &str) -> String {
        let version = json!({"additionalPrinterColumns": [{"name": "a", "type": kind, "jsonPath": path}]});
        let object = json!({
            "n": 3, "f": 1.5, "e": 1e6, "big": 1e20, "b": true, "t": "x", "null": null, "list": [1, {"a": 2}],
            "labels": {"a.b/c": "y"}, "conditions": [{"type": "A", "s": "1"}, {"type": "Ready", "s": "True"}],
            "date": "2026-01-01T00:00:00Z", "none": "0001-01-01T00:00:00Z",
        });
        let columns = PrinterColumn::of_version(&version);
        columns
            .first()
            .map_or_else(String::new, |column| column.cell(&object, "2026-01-01T00:02:00Z".parse().unwrap()))
    }

    /// As `tests/interop_kube/definitions.yaml` has a real server print them.
    #[test]
    fn a_cell_is_what_its_columns_type_makes_of_what_is_found() {
        for (kind, path, due) in [
            ("string", ".t", "x"),
            ("string", ".n", "3"),
            ("string", ".e", "1e+06"),
            ("string", ".null", "<no value>"),
            ("string", ".list", r#"[1,{"a":2}]"#),
            ("string", ".list[*]", "1"),
            ("string", ".labels.a\\.b/c", "y"),
            ("string", ".labels['a\\.b/c']", "y"),
            ("string", ".labels['a.b/c']", ""),
            ("string", r#".conditions[?(@.type=="Ready")].s"#, "True"),
            ("string", r#".conditions[?(@.type=="Gone")].s"#, ""),
            ("string", ".list[7]", ""),
            ("string", ".list[", ""),
            ("integer", ".n", "3"),
            ("integer", ".f", "1"),
            ("integer", ".t", ""),
            ("integer", ".null", ""),
            ("number", ".n", "3"),
            ("number", ".f", "1.5"),
            ("number", ".e", "1000000"),
            ("number", ".big", "1e+20"),
            ("boolean", ".b", "true"),
            ("boolean", ".t", ""),
            ("date", ".date", "2m"),
            ("date", ".none", "<unknown>"),
            ("date", ".t", "<invalid>"),
            ("date", ".n", ""),
        ] {
            assert_eq!(cell(kind, path), due, "{kind} {path}");
        }
    }

    #[test]
    fn a_column_takes_no_more_steps_than_its_object_is_worth() {
        assert_eq!(cell("string", &"..".repeat(40)), "");
    }
}
