//! What a verification says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::Level;
use super::evidence::{Evidence, KeyCount};
use super::policy::RuleResult;
use super::targets::PassedOver;
use super::verdict::{Sum, Verdict};
use crate::bolt::walk::Visited;
use crate::kube::protection::ProtectionReport;
use crate::ops::inspect::MetaReport;
use crate::replay::starts::Starts;
use crate::snap::backup::Trailer;
use crate::store::digest::{self, Digests, FileDigest};
use crate::store::scan::Crc;
use crate::words::finding::{Code, Finding, Severity};
use crate::words::hint::Hint;
use crate::words::ids::{ClusterId, MemberId, RaftIndex};

/// The answer on all inputs.
#[derive(Debug, Clone, Serialize)]
pub struct Answer {
    /// The schema of its JSON form.
    pub schema: &'static str,
    /// The worst verdict.
    pub verdict: Verdict,
    /// Inputs that were verified.
    pub files: Vec<Judged>,
    /// Inputs that could not be read at all.
    pub unreadable: Vec<Unreadable>,
    /// What was seen beside inputs and is none: nothing of it was looked at.
    pub passed_over: Vec<PassedOver>,
    /// The command line that asked for it, if one did; a manifest names it.
    #[serde(skip)]
    pub command: Vec<String>,
}

/// What the answer is called in JSON.
pub const SCHEMA: &str = "coldbolt.verify/1";

impl Default for Answer {
    fn default() -> Answer {
        Answer {
            schema: SCHEMA,
            verdict: Sum::default().verdict(),
            files: Vec::new(),
            unreadable: Vec::new(),
            passed_over: Vec::new(),
            command: Vec::new(),
        }
    }
}

impl Answer {
    /// The verdict that the inputs amount to.
    #[must_use]
    pub fn judge(&self) -> Verdict {
        let unreadable = self.unreadable.iter().map(|_| Verdict::Unreadable);
        let files = self.files.iter().map(|file| file.verification.verdict);
        files.chain(unreadable).map(Some).collect::<Sum>().verdict()
    }

    /// The verdict for who takes for bad what could not be checked, and what other tools call bad.
    #[must_use]
    pub fn strictly(&self) -> Verdict {
        let refused = |file: &Judged| {
            let codes = &file.verification.finding_counts;
            let elsewhere = codes.keys().any(|code| code.is_refused_elsewhere()).then_some(Verdict::Bad);
            Sum::default().and(file.verification.verdict.strictly()).and(elsewhere).verdict()
        };
        let unreadable = self.unreadable.iter().map(|_| Verdict::Unreadable);
        self.files.iter().map(refused).chain(unreadable).map(Some).collect::<Sum>().verdict()
    }
}

/// An input that was verified.
#[derive(Debug, Clone, Serialize)]
pub struct Judged {
    /// The result.
    #[serde(flatten)]
    pub verification: Verification,
    /// How long it took.
    #[serde(skip)]
    pub took: Duration,
}

/// An input that could not be read at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unreadable {
    /// The input, as named.
    pub path: String,
    /// Why.
    pub error: String,
}

/// How a level ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Everything it checks holds; there may be notes.
    Passed,
    /// Something etcd would cope with.
    Warned,
    /// Damage.
    Failed,
    /// It was not asked for, or an earlier level failed so that it could not run.
    NotRun,
    /// It should have run and could not: the answer is inconclusive.
    Inconclusive,
    /// It means nothing for this kind of input.
    NotApplicable,
}

impl Outcome {
    /// What a level that ended so adds to the verdict.
    #[must_use]
    pub fn verdict(self) -> Option<Verdict> {
        match self {
            Outcome::Passed | Outcome::Warned => Some(Verdict::Good),
            Outcome::Failed => Some(Verdict::Bad),
            Outcome::Inconclusive => Some(Verdict::Inconclusive),
            Outcome::NotRun | Outcome::NotApplicable => None,
        }
    }
}

/// One level of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LevelReport {
    /// Which.
    pub level: Level,
    /// How it ended.
    pub outcome: Outcome,
    /// What was checked, or why it did not run.
    pub detail: String,
    /// What helps; a front end says it in its own words, after the detail.
    #[serde(skip)]
    pub hint: Option<Hint>,
}

/// What stands at the end of a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum TrailerState {
    /// It was not looked for.
    #[default]
    #[serde(rename = "")]
    Unread,
    /// Nothing: it is a database as a member keeps it.
    Absent,
    /// A SHA-256.
    Present,
    /// Zeros where the SHA-256 should be.
    Zeroed,
    /// Part of a SHA-256.
    Cut,
    /// Less than the database: there was a trailer or there was none.
    Lost,
}

impl From<&Trailer> for TrailerState {
    fn from(trailer: &Trailer) -> TrailerState {
        match trailer {
            Trailer::Absent => TrailerState::Absent,
            Trailer::Present { .. } => TrailerState::Present,
            Trailer::Zeroed { .. } => TrailerState::Zeroed,
            Trailer::Cut { .. } => TrailerState::Cut,
            Trailer::Lost { .. } => TrailerState::Lost,
        }
    }
}

impl std::fmt::Display for TrailerState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.serialize(f)
    }
}

/// What an input is. It is serialized as its text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum InputKind {
    /// A database with a SHA-256 behind it.
    #[default]
    Snapshot,
    /// A database as a member keeps it.
    Database,
    /// Less than a database: it may have had a trailer.
    CutOff,
    /// A member's directory.
    Directory,
    /// A member's directory, and in it the database that a leader sent.
    Received,
    /// A file that is closed with age.
    Closed,
    /// A full snapshot of etcd-backup-restore, and the increments that were made after it.
    Chain,
    /// A file that is packed, and could not be unpacked.
    Packed,
}

impl std::fmt::Display for InputKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            InputKind::Snapshot => "snapshot file",
            InputKind::Database => "database without a trailer",
            InputKind::CutOff => "database or snapshot file, cut off",
            InputKind::Directory => "data directory",
            InputKind::Received => "data directory, its received database",
            InputKind::Closed => "age-encrypted file",
            InputKind::Chain => "full snapshot with the increments after it",
            InputKind::Packed => "packed file",
        })
    }
}

impl Serialize for InputKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What was measured on the way; policies and reports are made from it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Measured {
    /// Length of the database file in bytes.
    pub file_size: u64,
    /// What was around it, if it was packed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packed: Option<String>,
    /// Modification time of the file, RFC 3339 in UTC.
    pub modified: Option<String>,
    /// SHA-256 of the payload; in hex where it is written.
    #[serde(serialize_with = "digest::hex_if_any")]
    pub payload_sha256: Option<[u8; 32]>,
    /// Bytes of the payload: the file without its trailer.
    pub payload_size: u64,
    /// Digests of the whole file, if asked for.
    pub digests: Option<Digests>,
    /// Of a directory, every file in it, if asked for; a manifest has them.
    #[serde(skip)]
    pub contents: Vec<FileDigest>,
    /// What stands at its end.
    pub trailer: TrailerState,
    /// Bytes in a page.
    pub page_size: u64,
    /// High water mark times page size, in bytes.
    pub db_size: u64,
    /// Bytes of pages that hold nothing.
    pub free_bytes: u64,
    /// Both meta pages.
    pub metas: Vec<MetaReport>,
    /// Transaction of the meta page in use.
    pub txid: u64,
    /// The revision the store is at: the last one stored, or the compaction, whichever is greater.
    pub revision: Option<i64>,
    /// Compact revision.
    pub compact_revision: Option<i64>,
    /// Keys whose newest revision is not a deletion.
    pub live_keys: Option<u64>,
    /// Stored revisions.
    pub revisions: Option<u64>,
    /// The hash `status` prints.
    pub status_hash: Option<u32>,
    /// The hash `hashkv` prints.
    pub hashkv: Option<u32>,
    /// Of the bucket `key` as it is stored: what a copy of it must have too.
    #[serde(skip)]
    pub key_bucket: Crc,
    /// Storage version, stated or inferred.
    pub storage_version: Option<String>,
    /// Cluster version.
    pub cluster_version: Option<String>,
    /// Consistent index.
    pub consistent_index: Option<RaftIndex>,
    /// Cluster id; only a WAL tells.
    pub cluster_id: Option<ClusterId>,
    /// Member ids.
    pub members: Vec<MemberId>,
    /// Their names, in the same order.
    pub member_names: Vec<String>,
    /// Raised alarms, as `NOSPACE` or `CORRUPT`.
    pub alarms: Vec<String>,
    /// Whether a compaction was asked for and not finished.
    pub compaction_unfinished: bool,
    /// Entries in the WAL that the database lacks.
    pub wal_lag: Option<u64>,
    /// Live keys, as far as they were asked for.
    pub key_counts: Vec<KeyCount>,
    /// The newest time that something inside the file tells, if it was asked for.
    pub newest_evidence: Option<Evidence>,
    /// How the values of some resources are protected, if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protection: Option<ProtectionReport>,
}

/// The state of the tree of the meta page that is not in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OtherMeta {
    /// Its transaction: the commit before, as a rule.
    pub txid: u64,
    /// Whether all its pages are whole.
    pub whole: bool,
    /// Faults found in it.
    pub faults: u64,
}

/// The result for one input.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Verification {
    /// The input, as named.
    pub path: String,
    /// What it is.
    pub kind: InputKind,
    /// Every level, whether or not it ran.
    pub levels: Vec<LevelReport>,
    /// The verdict.
    pub verdict: Verdict,
    /// Of a directory that is whole: which etcd starts from it as it is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub starts: Vec<Starts>,
    /// What was measured.
    pub measured: Measured,
    /// When the meta page in use or its tree is damaged: the other one.
    pub other_meta: Option<OtherMeta>,
    /// The first findings of each code.
    pub findings: Vec<Finding>,
    /// How many there are of each code.
    pub finding_counts: BTreeMap<Code, u64>,
    /// How bad the worst of each code is, of those too that are only counted.
    #[serde(skip)]
    pub severities: BTreeMap<Code, Severity>,
    /// The worst finding, of those too that are only counted.
    #[serde(skip)]
    pub worst: Option<Severity>,
    /// The rules of the policy, if one was applied.
    pub policy: Vec<RuleResult>,
    /// The pages that are in use, if they were walked.
    #[serde(skip)]
    pub reached: Option<Arc<Visited>>,
}

impl Verification {
    /// The codes of the findings, how bad the worst of each is here and how many there are; the worst first.
    #[must_use]
    pub fn codes(&self) -> Vec<(Code, Severity, u64)> {
        let severity = |code: Code| self.severities.get(&code).copied().unwrap_or_else(|| code.severity());
        let mut codes: Vec<_> =
            self.finding_counts.iter().map(|(code, count)| (*code, severity(*code), *count)).collect();
        codes.sort_by_key(|(_, severity, _)| std::cmp::Reverse(*severity));
        codes
    }

    /// The verdict that the levels, the findings and the policy amount to.
    #[must_use]
    pub fn judge(&self) -> Verdict {
        let damage = (self.worst == Some(Severity::Damage)).then_some(Verdict::Bad);
        let levels = self.levels.iter().map(|level| level.outcome.verdict());
        let rules = self.policy.iter().map(RuleResult::verdict);
        levels.chain(rules).collect::<Sum>().and(damage).verdict()
    }
}
