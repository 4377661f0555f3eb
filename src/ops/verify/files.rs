//! The files of a directory as etcd takes them when it starts.

use crate::etcd::DataDir;
use crate::io::{Source, tree};
use crate::replay::MemberLog;
use crate::replay::stand_in::{StandIn, stand_in};
use crate::words::codes::Level;
use crate::words::error::Result;
use crate::words::finding::Finding;

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
        let own = dir.db.as_ref().map(|path| tree::open(path)).transpose()?;
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
