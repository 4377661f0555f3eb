//! When what mostly is damage or a warning is only a note.

use super::codes::Code;

impl Code {
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
