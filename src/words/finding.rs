//! Findings: what coldbolt has to say about your data, each with a stable code.

use std::fmt;

pub use crate::words::codes::{Code, Level, Severity};
use crate::words::corrupt::{At, Corrupt};
use crate::words::hint::Hint;
use crate::words::text::printable;

/// Something about the data in one file. The operation that found it went on.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// Which rule.
    pub code: Code,
    /// The file, as the caller named it.
    pub file: String,
    /// Where in the file.
    pub at: At,
    /// What was found and what was expected.
    pub detail: String,
    /// What helps; a front end says it in its own words, after the detail.
    #[serde(skip)]
    pub hint: Option<Hint>,
}

impl Finding {
    /// A finding of the code's own severity.
    #[must_use]
    pub fn new(code: Code, file: &str, at: At, detail: impl Into<String>) -> Finding {
        Finding {
            severity: code.severity(),
            code,
            file: printable(file),
            at,
            detail: printable(&detail.into()),
            hint: None,
        }
    }

    /// The same finding, and what helps.
    #[must_use]
    pub fn hint(self, hint: impl Into<Option<Hint>>) -> Finding {
        Finding { hint: hint.into(), ..self }
    }

    /// A broken rule, bound to its file.
    #[must_use]
    pub fn from_corrupt(file: &str, corrupt: Corrupt) -> Finding {
        Finding::new(corrupt.code, file, corrupt.at, corrupt.detail)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at.to_string();
        let sep = if at.is_empty() { "" } else { ": " };
        write!(f, "{}: {at}{sep}{} [{}]", self.file, self.detail, self.code)
    }
}
