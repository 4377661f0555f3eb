//! Columns that the user names by their paths: `NAME:.metadata.name,IMAGE:.spec.containers[*].image`.
//!
//! Source: `k8s.io/kubectl/pkg/cmd/get/customcolumn.go`, `github.com/liggitt/tabwriter`.

use serde_json::Value;

use super::jsonpath::{JsonPath, JsonPathError, TOO_LONG, most_bytes, relaxed};

/// What kubectl lets its table writer do: the narrowest column, and the room behind the widest cell.
const MIN_WIDTH: usize = 6;
const PADDING: usize = 3;

/// Columns, and what was printed in them.
#[derive(Debug, Clone, PartialEq)]
pub struct CustomColumns {
    columns: Vec<(String, JsonPath)>,
    text: String,
}

/// Why columns cannot be printed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CustomColumnsError(String);

impl From<JsonPathError> for CustomColumnsError {
    fn from(error: JsonPathError) -> CustomColumnsError {
        CustomColumnsError(error.to_string())
    }
}

impl CustomColumns {
    /// Reads `HEADER:PATH,HEADER:PATH`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(spec: &str) -> Result<CustomColumns, CustomColumnsError> {
        if spec.is_empty() {
            return fail("custom-columns format specified but no custom columns given");
        }
        let column = |part: &str| match part.split_once(':') {
            Some((header, path)) => column(header, path),
            None => {
                fail(format!("unexpected custom-columns spec: {part}, expected <header>:<json-path-expr>"))
            }
        };
        CustomColumns::new(spec.split(',').map(column))
    }

    /// Reads a file: a line of headers, and a line of paths.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of_file(text: &str) -> Result<CustomColumns, CustomColumnsError> {
        const DUE: &str = "Expected format is one line of space separated headers, one line of space separated \
                           column specs.";
        let mut lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let Some(headers) = lines.next() else {
            return fail(format!("invalid template, missing header line. {DUE}"));
        };
        let Some(paths) = lines.next() else {
            return fail(format!("invalid template, missing spec line. {DUE}"));
        };
        if headers.len() != paths.len() {
            let (headers, paths) = (headers.len(), paths.len());
            return fail(format!(
                "number of headers ({headers}) and field specifications ({paths}) don't match"
            ));
        }
        CustomColumns::new(headers.iter().zip(paths).map(|(header, path)| column(header, path)))
    }

    /// All columns are taken apart before the first path is read.
    fn new(
        columns: impl Iterator<Item = Result<(String, String), CustomColumnsError>>,
    ) -> Result<CustomColumns, CustomColumnsError> {
        let columns: Vec<(String, String)> = columns.collect::<Result<_, _>>()?;
        let parsed = columns.into_iter().map(|(header, path)| Ok((header, JsonPath::parse(&path)?)));
        Ok(CustomColumns { columns: parsed.collect::<Result<_, JsonPathError>>()?, text: String::new() })
    }

    /// Prints the line of headers.
    pub fn header(&mut self) {
        self.line(&self.columns.iter().map(|(header, _)| header.clone()).collect::<Vec<_>>());
    }

    /// Prints an object.
    ///
    /// # Errors
    /// If it is none for one of the paths.
    pub fn object(&mut self, object: &Value) -> Result<(), CustomColumnsError> {
        let most = most_bytes(object);
        let cell = |path: &JsonPath| -> Result<String, CustomColumnsError> {
            let found = path.find(object)?;
            let mut cell = String::new();
            if found.first().is_none_or(Vec::is_empty) {
                cell.push_str("<none>");
            }
            for (at, one) in found.iter().flatten().enumerate() {
                if at > 0 {
                    cell.push(',');
                }
                let text = String::from_utf8_lossy(&one.go_text()).into_owned();
                cell.push_str(&text.replace('\u{1b}', "^[").replace('\r', "\\r"));
                if cell.len() > most {
                    return fail(TOO_LONG);
                }
            }
            Ok(cell)
        };
        let cells = self.columns.iter().map(|(_, path)| cell(path)).collect::<Result<Vec<_>, _>>()?;
        self.line(&cells);
        Ok(())
    }

    fn line(&mut self, cells: &[String]) {
        self.text.push_str(&cells.join("\t"));
        self.text.push('\n');
    }

    /// All that was printed, in columns.
    #[must_use]
    pub fn text(&self) -> String {
        aligned(&self.text)
    }
}

fn fail<T>(what: impl Into<String>) -> Result<T, CustomColumnsError> {
    Err(CustomColumnsError(what.into()))
}

fn column(header: &str, path: &str) -> Result<(String, String), CustomColumnsError> {
    Ok((header.to_owned(), relaxed(path)?))
}

/// A line of cells, each with its width; the last belongs to no column.
type Line<'t> = Vec<(&'t str, usize)>;

/// Text with its cells, which end at tabs, in columns. A column ends at a line that does not have it, and is from then
/// on not narrower than it was.
fn aligned(text: &str) -> String {
    let (mut out, mut lines, mut widths): (_, Vec<Line<'_>>, _) = (String::new(), Vec::new(), Vec::new());
    for line in text.split_inclusive(['\n', '\u{c}']) {
        let ended = line.trim_end_matches(['\n', '\u{c}']);
        let cells: Line<'_> = ended.split(['\t', '\u{b}']).map(|cell| (cell, cell.chars().count())).collect();
        let flush = cells.len() == 1 || line.ends_with('\u{c}');
        lines.push(cells);
        if flush {
            columns(&mut lines, &mut widths, &mut out);
        }
    }
    columns(&mut lines, &mut widths, &mut out);
    out
}

fn columns(lines: &mut Vec<Line<'_>>, widths: &mut Vec<usize>, out: &mut String) {
    // Those lines that have the column, of which neighbours are one block.
    let mut having: Vec<usize> = (0..lines.len()).collect();
    for column in 0usize.. {
        let has = |line: &Line<'_>| line.len() > column.saturating_add(1);
        having.retain(|at| lines.get(*at).is_some_and(has));
        if having.is_empty() {
            break;
        }
        for block in having.chunk_by(|a, b| a.saturating_add(1) == *b) {
            let cells = block.iter().filter_map(|at| lines.get(*at)?.get(column));
            let widest = cells.map(|(_, width)| width.saturating_add(PADDING)).max().unwrap_or_default();
            let width = match widths.get_mut(column) {
                Some(known) => {
                    *known = widest.max(*known);
                    *known
                }
                None => {
                    widths.push(widest.max(MIN_WIDTH));
                    widest.max(MIN_WIDTH)
                }
            };
            for at in block {
                if let Some((_, cell)) = lines.get_mut(*at).and_then(|line| line.get_mut(column)) {
                    *cell = width.saturating_sub(*cell);
                }
            }
        }
    }
    for line in lines.drain(..) {
        let last = line.len().saturating_sub(1);
        for (at, (cell, fill)) in line.into_iter().enumerate() {
            out.push_str(cell);
            if at < last {
                out.extend(std::iter::repeat_n(' ', fill));
            }
        }
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_no_column_is_named() {
        for (spec, due) in [
            ("", "custom-columns format specified but no custom columns given"),
            ("A", "unexpected custom-columns spec: A, expected <header>:<json-path-expr>"),
            ("A:.b,", "unexpected custom-columns spec: , expected <header>:<json-path-expr>"),
            ("A:[", "unterminated array"),
        ] {
            assert_eq!(CustomColumns::parse(spec).unwrap_err().to_string(), due);
        }
        let error = CustomColumns::of_file("A B\n.a\n").unwrap_err().to_string();
        assert_eq!(error, "number of headers (2) and field specifications (1) don't match");
    }

    #[test]
    fn a_value_of_many_tabs_and_lines_is_aligned_in_linear_time() {
        let mut columns = CustomColumns::parse("A:.a,B:.b").unwrap();
        columns.header();
        columns.object(&json!({"a": "\t".repeat(200_000), "b": "\n".repeat(200_000)})).unwrap();
        assert_eq!(columns.text().lines().count(), 200_001 + 1);
    }
}
