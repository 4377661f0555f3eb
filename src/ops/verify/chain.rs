//! A full snapshot of etcd-backup-restore, with the increments that were made after it: each file by itself, and the
//! database that they make together.

use super::{InputKind, Level, Outcome, Run, Verification, VerifyOptions};
use crate::etcd::within;
use crate::io::tree;
use crate::replay::increments::{Chain, Forward};
use crate::words::error::{Error, Result};
use crate::words::monitor::Relay;

impl Run<'_> {
    pub(super) fn chain(mut self, chain: &Chain) -> Result<Verification> {
        let silent = Relay::new(self.monitor).without_findings();
        let forward = match chain.forward(None, &silent) {
            Ok(forward) => forward,
            // What is wrong with the full snapshot alone.
            Err(Error::Damaged { .. }) => {
                let file = tree::open(&chain.full.0)?;
                let mut alone = self.file(&within::opened(file)?)?;
                let log = alone.levels.iter_mut().find(|level| level.level == Level::Wal);
                if let Some(log) = log.filter(|_| !chain.increments.is_empty()) {
                    log.outcome = Outcome::NotRun;
                    log.detail = format!("{} increments were not looked at", chain.increments.len());
                }
                return Ok(alone);
            }
            Err(error) => return Err(error),
        };
        let Forward { database, full, findings, report, .. } = forward;
        // Its bytes are those of the full snapshot: its SHA-256, its manifest.
        let options =
            VerifyOptions { level: self.options.level.min(Level::Bytes), ask: None, ..self.options };
        let full = Run::new(self.verification.path.clone(), options, self.closeness, &silent).file(&full)?;
        self.options = VerifyOptions { against: None, digests: false, ..self.options };
        self.database(&database, false)?;
        self.verification.kind = InputKind::Chain;
        for level in [Level::Identity, Level::Bytes] {
            let told = full.levels.iter().find(|told| told.level == level).cloned();
            if let Some((told, ours)) =
                told.zip(self.verification.levels.iter_mut().find(|ours| ours.level == level))
            {
                *ours = told;
            }
        }
        for finding in full.findings.into_iter().chain(findings) {
            if !self.found.all.kept.contains(&finding) {
                self.found.push(finding);
            }
        }
        let (of_full, measured) = (full.measured, &mut self.verification.measured);
        (measured.file_size, measured.modified) = (of_full.file_size, of_full.modified);
        (measured.digests, measured.payload_sha256) = (of_full.digests, of_full.payload_sha256);
        if self.options.level < Level::Wal {
            self.level(Level::Wal, Outcome::NotRun, "not asked for");
        } else {
            self.judge(Level::Wal, report.to_string());
        }
        Ok(self.done())
    }
}
