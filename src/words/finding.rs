//! Findings: what coldbolt has to say about your data, each with a stable code.

use std::fmt;

use crate::words::error::{At, Corrupt, printable};

/// How bad a finding is. The order is the order of badness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing, nothing is wrong.
    Note,
    /// etcd would cope, a person should look.
    Warning,
    /// Data is lost or wrong.
    Damage,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Damage => "damage",
        })
    }
}

macro_rules! codes {
    ($($variant:ident, $name:literal, $severity:ident, $meaning:literal, $etcd:literal, $remedy:literal;)*) => {
        /// The stable name of a kind of finding. `coldbolt explain CODE` prints what it means.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $meaning] $variant,)*
        }

        impl Code {
            /// Every code, in the order of the layers they come from.
            pub const ALL: &'static [Code] = &[$(Code::$variant),*];

            /// The stable kebab-case name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Code::$variant => $name),* }
            }

            /// How bad it is unless the place it is found in says otherwise.
            #[must_use]
            pub fn severity(self) -> Severity {
                match self { $(Code::$variant => Severity::$severity),* }
            }

            /// One sentence: what it means.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Code::$variant => $meaning),* }
            }

            /// One sentence: what etcd and its tools do about it.
            #[must_use]
            pub fn etcd(self) -> &'static str {
                match self { $(Code::$variant => $etcd),* }
            }

            /// One sentence: what to do.
            #[must_use]
            pub fn remedy(self) -> &'static str {
                match self { $(Code::$variant => $remedy),* }
            }
        }
    };
}

include!("codes.rs");

impl Code {
    /// The code of that kebab-case name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Code> {
        Code::ALL.iter().copied().find(|code| code.name() == name)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl serde::Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

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
        }
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
