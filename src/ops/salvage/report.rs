//! What is asked of `salvage`, and what it answers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use crate::bolt::found::PageLayout;
use crate::bolt::walk::Visited;
use crate::io::Source;
use crate::ops::verify::Measured;
use crate::replay::apply::Version;
use crate::replay::fold::{Fold, FoldReport};
pub use crate::store::salvage::{Hole, LeftOut, LeftOutVersion, MissingRevisions, PageFate};
use crate::words::finding::Finding;

/// How to salvage.
#[derive(Debug, Clone, Copy, Default)]
pub struct SalvageOptions<'o> {
    /// The log, if it is not in the directory.
    pub wal_dir: Option<&'o Path>,
    /// Older backups of the same database.
    pub bases: &'o [PathBuf],
    /// By whose rules entries of the log are applied; `None` is inferred.
    pub version: Option<Version>,
    /// Take what may have been superseded or deleted, too.
    pub include_uncertain: bool,
}

/// What the result was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SalvagedFrom {
    /// Of the pages that were found.
    Pages,
    /// Of the pages, and of the log beside them, which goes on where they end.
    PagesAndLog,
    /// Of the log alone: it begins with the first entry.
    Log,
    /// Of an older backup, and of the log, which goes on where that ends.
    BaseAndLog,
}

/// What was found, and what is missing.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct SalvageReport {
    /// The source, as named.
    pub source: String,
    /// What the result was made of.
    pub made_of: SalvagedFrom,
    /// Where pages are due in the source; `None` if it was not looked into.
    pub layout: Option<PageLayout>,
    /// Pages that were found in it.
    pub pages: u64,
    /// Of these: those that lie where others are due.
    pub out_of_place: u64,
    /// Pages that were put back where they belong before anything was taken: the SHA-256 at the end proves each.
    pub put_back: u64,
    /// Whether the newest meta page leads to the newest tree that is left. Without one nothing tells whether there was
    /// a newer one.
    pub newest_known: bool,
    /// Whether versions were found that are later than that tree.
    pub tree_is_old: bool,
    /// Whether the SHA-256 at its end is of other bytes: then something was changed, and a value that was looks like
    /// any other.
    pub altered: bool,
    /// Lost pages with versions from before the last compaction, or nobody knows which: how many is not known either.
    pub holes: Vec<Hole>,
    /// Revisions after it of which nothing was found, or not all.
    pub missing: Vec<MissingRevisions>,
    /// How many these are.
    pub missing_revisions: u64,
    /// Versions that were found and left out.
    pub left_out: Vec<LeftOutVersion>,
    /// Uncertain versions that were taken because that was asked for.
    pub uncertain_taken: u64,
    /// Small buckets of which something may be missing, or of an older commit.
    pub incomplete_buckets: Vec<String>,
    /// The compact revision of the result where it is not that of the source: before it something is missing.
    pub compacted: Option<i64>,
    /// What of the log was applied.
    pub log: Option<FoldReport>,
    /// Why the log was not applied, if there is one.
    pub log_left: Option<String>,
    /// Length of the result in bytes, its trailer included.
    pub bytes: u64,
    /// Its SHA-256 without the trailer: what the trailer says.
    pub sha256: String,
    /// What it holds.
    pub measured: Measured,
    /// What is wrong with it all the same.
    pub findings: Vec<Finding>,
}

impl SalvageReport {
    /// Whether nothing is known to be missing or in doubt.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let found = self.holes.is_empty() && self.missing.is_empty() && self.left_out.is_empty();
        let taken = self.uncertain_taken == 0 && self.incomplete_buckets.is_empty() && !self.tree_is_old;
        found && taken && !self.altered && self.log_left.is_none() && self.findings.is_empty()
    }

    /// Left out for this reason.
    #[must_use]
    pub fn left_out_for(&self, why: LeftOut) -> usize {
        self.left_out.iter().filter(|version| version.why == why).count()
    }
}

/// What the result is made of, before it is written.
pub(super) struct Made {
    pub database: Source,
    pub fold: Option<Fold>,
    /// The pages of it that the trees reach, if somebody has asked.
    pub reached: Option<Arc<Visited>>,
    pub report: SalvageReport,
}

/// A report of nothing yet.
pub(super) fn empty(made_of: SalvagedFrom) -> SalvageReport {
    SalvageReport {
        source: String::new(),
        made_of,
        layout: None,
        pages: 0,
        out_of_place: 0,
        put_back: 0,
        newest_known: true,
        tree_is_old: false,
        altered: false,
        holes: Vec::new(),
        missing: Vec::new(),
        missing_revisions: 0,
        left_out: Vec::new(),
        uncertain_taken: 0,
        incomplete_buckets: Vec::new(),
        compacted: None,
        log: None,
        log_left: None,
        bytes: 0,
        sha256: String::new(),
        measured: Measured::default(),
        findings: Vec::new(),
    }
}
