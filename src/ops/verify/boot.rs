//! The files of a directory as etcd takes them when it starts, and whether it starts: its log is applied in memory, by
//! the same rules as for a copy.

use super::{Level, Run};
use crate::bolt::Db;
use crate::etcd::DataDir;
use crate::io::Source;
use crate::replay::boot::fold_directory;
use crate::replay::fold::Fold;
use crate::replay::stand_in::{StandIn, stand_in};
use crate::replay::{FoldOptions, MemberLog};
use crate::words::error::{At, Error, Result, show};
use crate::words::finding::{Code, Finding, Severity};
use crate::words::hint::Note;
use crate::words::monitor::Relay;

/// The open files of a directory.
pub(super) struct Files<'o> {
    /// The member's own database, or one that it had received and etcd puts in its place.
    pub database: Option<Source>,
    /// An empty one, if there is none and the log makes it.
    pub empty: Option<Source>,
    /// That one was received.
    pub received: Option<Finding>,
    log: MemberLog,
    given: Option<&'o MemberLog>,
}

impl<'o> Files<'o> {
    /// Opens them, unless they are `open`.
    pub fn of(dir: &DataDir, open: Option<(&Source, &'o MemberLog)>, level: Level) -> Result<Files<'o>> {
        let (empty, received, log) = (None, None, MemberLog::default());
        if let Some((source, given)) = open {
            let (database, given) = (Some(source.clone()), Some(given));
            return Ok(Files { database, empty, received, log, given });
        }
        let own = dir.db.as_ref().map(|path| Source::open(path)).transpose()?;
        if level < Level::Wal {
            return Ok(Files { database: own, empty, received, log, given: None });
        }
        let (log, other) = stand_in(dir, own.as_ref(), MemberLog::open(dir)?)?;
        let files = Files { database: own, empty, received, log, given: None };
        Ok(match other {
            None => files,
            Some(StandIn::Empty(source, _)) => Files { empty: Some(source), ..files },
            Some(StandIn::Received(source, finding)) => {
                Files { database: Some(source), received: Some(finding), ..files }
            }
        })
    }

    /// The log.
    pub fn log(&self) -> &MemberLog {
        self.given.unwrap_or(&self.log)
    }
}

impl Run<'_> {
    /// Has the log applied in memory; what that comes to in words, or why it cannot be told.
    pub(super) fn starts(&mut self, files: &Files<'_>) -> Result<std::result::Result<String, Note>> {
        let Some(source) = files.empty.as_ref().or(files.database.as_ref()) else {
            return Ok(Ok(String::new()));
        };
        // Of what is damaged nobody makes anything; that the database is behind, the log makes good.
        let behind = |code| matches!(code, Code::DbBehindSnapshot | Code::DbMissing);
        if self.found.all.worst(|code| !behind(code)) == Some(Severity::Damage) {
            return Ok(Ok(String::new()));
        }
        let monitor = Relay::new(self.monitor).without_findings();
        let folded = Db::open(source)
            .map_err(|corrupt| Error::damaged(source.path(), corrupt))
            .and_then(|db| fold_directory(&db, files.log(), FoldOptions::default(), &monitor));
        match folded {
            Ok(Fold { report, .. }) => Ok(Ok(match report.last_applied {
                Some(last) => format!("; applied up to entry {last}, revision {}", report.revision_after),
                None => String::new(),
            })),
            Err(Error::Damaged { path, corrupt }) => {
                let finding = Finding::from_corrupt(&show(&path), *corrupt);
                self.found.push(Finding { severity: Severity::Damage, ..finding });
                Ok(Ok(String::new()))
            }
            Err(Error::Refused(refusal)) => {
                let (text, hint) = (refusal.to_string(), refusal.hint());
                let finding = Finding::new(Code::ReplayVersion, &source.name(), At::default(), text.clone());
                self.found.push(finding.hint(hint));
                Ok(Err(Note { text, hint }))
            }
            Err(other) => Err(other),
        }
    }
}
