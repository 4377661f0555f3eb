//! How far a stopped member's log and database have come, and how well they are. Nothing is written.

use super::FoldInMemoryOptions;
use super::check::verified;
use super::input::{Input, InputOptions};
use crate::bolt::Db;
use crate::etcd::Input as Given;
use crate::io::Source;
use crate::replay::fold::{Fold, FoldReport, RaftPosition};
use crate::replay::{Damage, FoldOptions, Uncommitted};
use crate::store::scan::KeyDepth;
use crate::wal::Read;
use crate::words::error::{At, Error, Result, show};
use crate::words::finding::{Code, Finding, Severity};
use crate::words::ids::RaftIndex;
use crate::words::monitor::{Monitor, Relay};

/// A member's files, read as a copy reads them.
pub(crate) struct MemberState {
    input: Input,
    /// What its log comes to, what is known to be committed applied; `None` when it cannot be applied.
    pub fold: Option<(FoldReport, RaftPosition)>,
    /// The revision if everything in its log counted.
    pub revision_with_all: Option<i64>,
    /// The last entry that is in the database.
    pub database_index: Option<RaftIndex>,
    /// Everything that a copy would say, and what would end it.
    pub findings: Vec<Finding>,
}

impl MemberState {
    /// Reads a directory. What is wrong with it is among the findings.
    ///
    /// # Errors
    /// [`Error::Unreadable`] when there is nothing to read, or a running etcd holds it; [`Error::Cancelled`].
    pub fn read(
        given: &Given,
        options: FoldInMemoryOptions<'_>,
        monitor: &dyn Monitor,
    ) -> Result<MemberState> {
        let input = Input::open(
            given,
            InputOptions { wal_dir: options.wal_dir, folds: true, live: options.live, to: None },
            monitor,
        )?;
        let fold = options.fold();
        let all = FoldOptions { damage: Damage::Allow, ..fold };
        let (verification, findings) = verified(&input, KeyDepth::History, all, monitor)?;
        let database_index = verification.measured.consistent_index;
        let mut state = MemberState { input, fold: None, revision_with_all: None, database_index, findings };
        state.apply_log(fold, monitor)?;
        Ok(state)
    }

    fn apply_log(&mut self, options: FoldOptions<'_>, monitor: &dyn Monitor) -> Result<()> {
        match self.folds(options, monitor) {
            Ok((fold, all)) => {
                // What may be of the entries past the commit index is told of all members together.
                let told = fold
                    .iter()
                    .flat_map(|fold| &fold.findings)
                    .filter(|finding| finding.code != Code::WalUncommitted);
                self.findings.extend(told.cloned());
                self.revision_with_all =
                    all.as_ref().or(fold.as_ref()).map(|fold| fold.report.revision_after);
                self.fold = fold.map(|fold| (fold.report, fold.raft));
            }
            Err(Error::Damaged { path, corrupt }) => {
                let finding = Finding::from_corrupt(&show(&path), *corrupt);
                let finding = Finding { severity: Severity::Damage, ..finding };
                let same = |other: &Finding| other.code == finding.code && other.severity == Severity::Damage;
                if !self.findings.iter().any(same) {
                    self.tell(finding, monitor);
                }
            }
            Err(Error::Refused(refusal)) => {
                let (file, what) = (&self.input.name, refusal.to_string());
                let finding = Finding::new(Code::ReplayVersion, file, At::default(), what);
                self.tell(finding.hint(refusal.hint()), monitor);
            }
            Err(other) => return Err(other),
        }
        Ok(())
    }

    /// The log applied, and, where entries were left out, applied with those too.
    fn folds(&self, options: FoldOptions<'_>, monitor: &dyn Monitor) -> Result<(Option<Fold>, Option<Fold>)> {
        let monitor = Relay::new(monitor).without_findings();
        let database = &self.input.database;
        let db = Db::open(database).map_err(|corrupt| Error::damaged(database.path(), corrupt))?;
        let fold = self.input.fold(&db, options, &monitor)?;
        if fold.as_ref().is_none_or(|fold| fold.report.left_out == 0) {
            return Ok((fold, None));
        }
        let options = FoldOptions { uncommitted: Uncommitted::Include, ..options };
        let all = self.input.fold(&db, options, &monitor)?;
        Ok((fold, all))
    }

    fn tell(&mut self, finding: Finding, monitor: &dyn Monitor) {
        monitor.finding(finding.clone());
        self.findings.push(finding);
    }

    /// The database.
    pub fn database(&self) -> &Source {
        &self.input.database
    }

    /// All that its log holds.
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    pub fn log(&self, monitor: &dyn Monitor) -> Result<&Read> {
        self.input.log.read(monitor)
    }
}
