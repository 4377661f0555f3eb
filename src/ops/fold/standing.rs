//! Where a stopped member stands: how far its log and its database have come, and how well they are. Nothing is
//! written.

use std::path::Path;

use crate::bolt::Db;
use crate::io::Source;
use crate::ops::copy::{CopyOptions, Gather, verified};
use crate::ops::fold::input::Input;
use crate::replay::fold::{FoldReport, Position};
use crate::store::scan::Keys;
use crate::words::error::{At, Error, Result, show};
use crate::words::finding::{Code, Finding, Severity};
use crate::words::ids::RaftIndex;
use crate::words::monitor::Monitor;

/// A member's files, read as a copy reads them.
pub(crate) struct Standing {
    input: Input,
    /// What its log comes to, what is known to be committed applied; `None` when it cannot be applied.
    pub fold: Option<(FoldReport, Position)>,
    /// The revision if everything in its log counted.
    pub whole: Option<i64>,
    /// The last entry that is in the database.
    pub database_index: Option<RaftIndex>,
    /// Everything that a copy would say, and what would end it.
    pub findings: Vec<Finding>,
}

impl Standing {
    /// Reads a directory. What is wrong with it is among the findings.
    ///
    /// # Errors
    /// [`Error::Unreadable`] when there is nothing to read, or a running etcd holds it; [`Error::Cancelled`].
    pub fn read(path: &Path, options: CopyOptions<'_>, monitor: &dyn Monitor) -> Result<Standing> {
        let input = Input::open(path, options)?;
        let gather = Gather { to: monitor };
        let (verification, findings) =
            verified(&input, Keys::History, CopyOptions { allow_damage: true, ..options }, &gather)?;
        let database_index = verification.measured.consistent_index;
        let mut standing = Standing { input, fold: None, whole: None, database_index, findings };
        standing.apply(options, &gather)?;
        Ok(standing)
    }

    fn apply(&mut self, options: CopyOptions<'_>, gather: &Gather<'_>) -> Result<()> {
        let folded = Db::open(&self.input.database)
            .map_err(|corrupt| Error::damaged(self.input.database.path(), corrupt))
            .and_then(|db| {
                let fold = self.input.fold(&db, options, gather)?;
                let left_out = fold.as_ref().is_some_and(|fold| fold.report.left_out > 0);
                let options = CopyOptions { include_uncommitted: true, ..options };
                let all = left_out.then(|| self.input.fold(&db, options, gather)).transpose()?.flatten();
                Ok((fold, all))
            });
        match folded {
            Ok((fold, all)) => {
                // What may be of the entries past the commit index is told of all members together.
                let said = fold
                    .iter()
                    .flat_map(|fold| &fold.findings)
                    .filter(|finding| finding.code != Code::WalUncommitted);
                self.findings.extend(said.cloned());
                self.whole = all.as_ref().or(fold.as_ref()).map(|fold| fold.report.revision_after);
                self.fold = fold.map(|fold| (fold.report, fold.raft));
            }
            Err(Error::Damaged { path, corrupt }) => {
                let finding =
                    Finding { severity: Severity::Damage, ..Finding::from_corrupt(&show(&path), *corrupt) };
                if !self
                    .findings
                    .iter()
                    .any(|said| said.code == finding.code && said.severity == Severity::Damage)
                {
                    gather.to.finding(finding.clone());
                    self.findings.push(finding);
                }
            }
            Err(Error::Refused(refusal)) => {
                let (file, what) = (&self.input.name, refusal.to_string());
                let finding =
                    Finding::new(Code::ReplayVersion, file, At::default(), what).hint(refusal.hint());
                gather.to.finding(finding.clone());
                self.findings.push(finding);
            }
            Err(other) => return Err(other),
        }
        Ok(())
    }

    /// The database.
    pub fn database(&self) -> &Source {
        &self.input.database
    }
}
