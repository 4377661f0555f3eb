//! Codes by their names, and when what mostly is damage or a warning is only a note.

use std::fmt;

use super::codes::{Code, Level};

impl Level {
    /// The level that a finding belongs to.
    #[must_use]
    pub fn of(code: Code) -> Level {
        code.level()
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

impl Code {
    /// The code of that kebab-case name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Code> {
        Code::ALL.iter().copied().find(|code| code.name() == name)
    }

    /// When it is a note only, of codes that mostly are more.
    #[must_use]
    pub fn as_note(self) -> Option<&'static str> {
        match self {
            Code::MembersDisagree => {
                Some("Where none of the members in meta/confState is listed: a restore leaves it so.")
            }
            Code::SnapMissing => {
                Some("Where etcd 3.7 or newer wrote the database: it does not need the file.")
            }
            Code::DbAhead => Some(
                "Where only the commit index in the log is behind the database, and its entries are not: it is written \
                 with the next entry, so a crash leaves it so.",
            ),
            Code::DbTerm => {
                Some("Where etcd 3.4 wrote on after a newer one, whose term it leaves as it was.")
            }
            _ => None,
        }
    }
}
