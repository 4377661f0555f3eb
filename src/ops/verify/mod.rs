//! `verify`: how good a backup is, level by level, with everything that is wrong and what it means.

mod consistency;
pub mod evidence;
mod log;
pub mod manifest;
mod membership;
pub mod policy;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use self::evidence::{Ask, Evidence, KeyCount};
use self::manifest::{Against, SIDECAR};
use self::policy::{RuleResult, RuleSeverity};
use super::digest::{self, Digests, digests};
use super::inspect::{MetaReport, metas};
use super::scan::{Crc, Keys, Options, Scan, scan};
use crate::bolt::walk::Visited;
use crate::bolt::{Db, Pgid};
use crate::bytes::gate::{OpenAtEnd, is_cold};
use crate::bytes::source::Lock;
use crate::bytes::{Gate, Source, checksum};
use crate::error::{At, Corrupt, Error, Result, printable, show};
use crate::etcd::datadir::{self, DataDir};
use crate::etcd::schema::{Minor, storage_version};
use crate::etcd::{Facts, member};
use crate::finding::{Code, Finding, Severity};
use crate::monitor::Monitor;
use crate::snap::backup::Trailer;

/// What can be checked, from the shallowest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// What kind of file it is, both meta pages, its length, the form of its trailer.
    Identity,
    /// SHA-256 of the payload against the trailer.
    Bytes,
    /// Every page of every tree.
    Pages,
    /// The keyspace's history and what the other buckets say, against each other.
    Mvcc,
    /// The write-ahead log and raft snapshots, against the database. Directories only.
    Wal,
    /// What a restore would refuse.
    Restore,
}

impl Level {
    /// All of them, shallowest first.
    pub const ALL: [Level; 6] = [Level::Identity, Level::Bytes, Level::Pages, Level::Mvcc, Level::Wal, Level::Restore];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Level::Identity => "identity",
            Level::Bytes => "bytes",
            Level::Pages => "pages",
            Level::Mvcc => "mvcc",
            Level::Wal => "wal",
            Level::Restore => "restore",
        }
    }

    /// The level that a finding belongs to.
    #[must_use]
    pub fn of(code: Code) -> Level {
        match code {
            Code::FileTooShort
            | Code::InUse
            | Code::MetaInvalid
            | Code::MetaUnusable
            | Code::MetaFallback
            | Code::TrailerAbsent
            | Code::TrailerCut
            | Code::TrailingBytes => Level::Identity,
            Code::Unreadable | Code::TrailerMismatch | Code::TrailerZeroed | Code::ManifestMismatch => Level::Bytes,
            Code::PageId
            | Code::PageType
            | Code::PageOutOfRange
            | Code::PageShared
            | Code::PageCount
            | Code::ElementBounds
            | Code::ElementGap
            | Code::ElementFlags
            | Code::KeyEmpty
            | Code::KeyOrder
            | Code::BranchKey
            | Code::DepthUneven
            | Code::BucketHeader
            | Code::FreelistInvalid
            | Code::FreelistReachable
            | Code::PageLeaked => Level::Pages,
            Code::BucketMissing
            | Code::BucketUnknown
            | Code::RevisionKey
            | Code::ValueUndecodable
            | Code::ModRevision
            | Code::VersionChain
            | Code::Tombstone
            | Code::SubRevision
            | Code::RevisionGap
            | Code::CompactionMarks
            | Code::CompactionUnfinished
            | Code::LeaseMissing
            | Code::MembersDisagree
            | Code::AuthInconsistent
            | Code::AlarmActive
            | Code::IndexMissing
            | Code::StorageVersionUnknown
            | Code::KeyspaceDiffers => Level::Mvcc,
            Code::WalCrc
            | Code::WalTorn
            | Code::WalRecord
            | Code::WalSequence
            | Code::WalMetadata
            | Code::WalEntryGap
            | Code::WalMissing
            | Code::WalStart
            | Code::DbLag
            | Code::DbAhead
            | Code::DbTerm
            | Code::DbMissing
            | Code::DbBehindSnapshot
            | Code::SnapCrc
            | Code::SnapInvalid
            | Code::SnapMissing
            | Code::WalUncommitted
            | Code::WalShort
            | Code::SnapDbPending
            | Code::ReplayRefused
            | Code::ReplayIndex
            | Code::ReplayVersion
            | Code::ReplayFlags
            | Code::ReplayPassword
            | Code::ReplayAlarm
            | Code::ReplayTime
            | Code::ReplayV2
            | Code::ClusterDiffers
            | Code::LogConflict => Level::Wal,
        }
    }
}

/// How to verify.
#[derive(Debug, Clone, Copy)]
pub struct VerifyOptions<'o> {
    /// The deepest of the first four levels to run; `wal` runs for directories unless this is shallower.
    pub level: Level,
    /// Findings kept for each code.
    pub max_findings: u64,
    /// How closely the keys are looked at for level `mvcc`; it is judged by their whole history only.
    pub keys: Keys,
    /// Also compute the digests of the whole file, for a manifest.
    pub digests: bool,
    /// Take the SHA-256 also of a database that has no trailer to compare it with: of one that is to get it.
    pub sealing: bool,
    /// What a policy wants to know of the live keys.
    pub ask: Option<&'o Ask>,
    /// The manifest to compare with.
    pub against: Option<Against<'o>>,
}

impl Default for VerifyOptions<'_> {
    fn default() -> Self {
        VerifyOptions {
            level: Level::Restore,
            max_findings: 20,
            keys: Keys::History,
            digests: false,
            sealing: false,
            ask: None,
            against: None,
        }
    }
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

/// One level of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LevelReport {
    /// Which.
    pub level: Level,
    /// How it ended.
    pub outcome: Outcome,
    /// What was checked, or why it did not run.
    pub detail: String,
}

/// The verdict on one input, or on all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// All levels that ran passed.
    Good,
    /// What could be checked is good, something could not be checked.
    Inconclusive,
    /// It could not be read at all.
    Unreadable,
    /// Damage, or a policy is broken.
    Bad,
}

/// What was measured on the way; policies and reports are made from it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Measured {
    /// Length of the database file in bytes.
    pub file_size: u64,
    /// Modification time of the file, RFC 3339 in UTC.
    pub modified: Option<String>,
    /// SHA-256 of the payload; in hex where it is written.
    #[serde(serialize_with = "digest::hex_if_any")]
    pub payload_sha256: Option<[u8; 32]>,
    /// Bytes of the payload: the file without its trailer.
    pub payload_size: u64,
    /// Digests of the whole file, if asked for.
    pub digests: Option<Digests>,
    /// `present`, `absent`, `zeroed` or `cut`.
    pub trailer: &'static str,
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
    /// Last revision.
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
    pub consistent_index: Option<u64>,
    /// Cluster id, in hex; only a WAL tells.
    pub cluster_id: Option<String>,
    /// Member ids, in hex.
    pub members: Vec<String>,
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
pub struct Verification {
    /// The input, as named.
    pub path: String,
    /// What it is, in words.
    pub kind: String,
    /// Every level, whether or not it ran.
    pub levels: Vec<LevelReport>,
    /// The verdict.
    pub verdict: Verdict,
    /// What was measured.
    pub measured: Measured,
    /// When the meta page in use or its tree is damaged: the other one.
    pub other_meta: Option<OtherMeta>,
    /// The first findings of each code.
    pub findings: Vec<Finding>,
    /// How many there are of each code.
    pub finding_counts: BTreeMap<Code, u64>,
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
    /// The verdict that the levels, the findings and the policy amount to.
    #[must_use]
    pub fn judge(&self) -> Verdict {
        let rule = |passed| self.policy.iter().any(|r| r.severity == RuleSeverity::Error && r.passed == passed);
        if rule(Some(false)) || self.worst == Some(Severity::Damage) {
            Verdict::Bad
        } else if rule(None) || self.levels.iter().any(|l| l.outcome == Outcome::Inconclusive) {
            Verdict::Inconclusive
        } else {
            Verdict::Good
        }
    }
}

/// Where findings gather: all counted, the first of each code kept and passed on at once.
struct Found<'m> {
    findings: Vec<Finding>,
    counts: BTreeMap<Code, u64>,
    /// The worst of each code, of those too that were not kept.
    worst: BTreeMap<Code, Severity>,
    limit: u64,
    monitor: &'m dyn Monitor,
}

impl Found<'_> {
    fn push(&mut self, finding: Finding) {
        let count = self.counts.entry(finding.code).or_default();
        *count = count.saturating_add(1);
        let worst = self.worst.entry(finding.code).or_insert(finding.severity);
        *worst = finding.severity.max(*worst);
        if *count <= self.limit {
            self.monitor.finding(finding.clone());
            self.findings.push(finding);
        }
    }

    fn say(&mut self, code: Code, file: &str, detail: impl Into<String>) {
        self.push(Finding::new(code, file, At::default(), detail));
    }

    fn worst(&self, level: Level) -> Option<Severity> {
        self.worst.iter().filter(|(code, _)| Level::of(**code) == level).map(|(_, severity)| *severity).max()
    }
}

/// The part of a monitor that a piece of a larger work may use.
struct Part<'m>(&'m dyn Monitor);

impl Monitor for Part<'_> {
    fn advance(&self, bytes: u64) {
        self.0.advance(bytes);
    }
    fn cancelled(&self) -> bool {
        self.0.cancelled()
    }
}

/// Verifies a snapshot file, a database or a data directory.
///
/// # Errors
/// [`Error::Unreadable`] when the input is nothing of etcd's, [`Error::Cancelled`]. Damage is in the result.
pub fn verify(path: &Path, options: VerifyOptions<'_>, monitor: &dyn Monitor) -> Result<Verification> {
    if path.is_dir() {
        return verify_dir(&DataDir::list(path, None)?, options, monitor);
    }
    verify_file(&Source::open(path)?, options, monitor)
}

/// What a path stands for: itself, or, for a directory that is no member's, the files in it.
///
/// # Errors
/// [`Error::Unreadable`] when the directory cannot be listed or holds no file.
pub fn targets(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() || DataDir::list(path, None).is_ok() {
        return Ok(vec![path.to_path_buf()]);
    }
    let unreadable = |e: std::io::Error| Error::unreadable(path, e);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?.path();
        if entry.is_file() || DataDir::list(&entry, None).is_ok() {
            files.push(entry);
        }
    }
    // A manifest that belongs to one of the files is read together with it.
    let sidecar = |file: &PathBuf| file.to_str().and_then(|f| f.strip_suffix(SIDECAR)).is_some_and(|f| Path::new(f).exists());
    files.retain(|file| !sidecar(file));
    files.sort();
    if files.is_empty() {
        return Err(Error::unreadable(path, "holds neither etcd data nor backup files"));
    }
    Ok(files)
}

/// The first damage among findings, as the error that ends what needs a whole source.
///
/// # Errors
/// [`Error::Damaged`].
pub(in crate::ops) fn refuse_damage(findings: &[Finding]) -> Result<()> {
    match findings.iter().find(|finding| finding.severity == Severity::Damage) {
        Some(Finding { file, at, code, detail, .. }) => {
            let corrupt = Corrupt { at: at.clone(), code: *code, detail: detail.clone() };
            Err(Error::damaged(Path::new(file), Box::new(corrupt)))
        }
        None => Ok(()),
    }
}

/// Verifies a file that is open already.
///
/// # Errors
/// As [`verify`].
pub fn verify_file(source: &Source, options: VerifyOptions<'_>, monitor: &dyn Monitor) -> Result<Verification> {
    datadir::require_database(source)?;
    let mut run = Run::new(source.name(), options, monitor);
    let database = run.database(source, true)?;
    run.verification.kind = match database.trailer {
        Some(Trailer::Absent) | None => "database without a trailer",
        Some(Trailer::Lost { .. }) => "database or snapshot file, cut off",
        Some(_) => "snapshot file",
    }
    .to_owned();
    run.level(Level::Wal, Outcome::NotApplicable, "a file has no log; verify the data directory for that");
    Ok(run.done())
}

/// Verifies a directory.
///
/// # Errors
/// As [`verify`].
pub fn verify_dir(dir: &DataDir, options: VerifyOptions<'_>, monitor: &dyn Monitor) -> Result<Verification> {
    let mut run = Run::new(show(&dir.path), options, monitor);
    run.verification.kind = "data directory".to_owned();
    let mut database = Database::default();
    if let Some(path) = &dir.db {
        let source = Source::open(path)?;
        match datadir::require_database(&source) {
            Ok(()) => database = run.database(&source, false)?,
            Err(Error::Unreadable { what, .. }) => {
                run.found.say(Code::MetaInvalid, &source.name(), format!("the database {what}"));
                run.no_database("the database cannot be opened");
            }
            Err(other) => return Err(other),
        }
    } else {
        run.no_database("there is no member/snap/db");
    }
    if options.level < Level::Wal {
        run.level(Level::Wal, Outcome::NotRun, "not asked for");
    } else {
        let detail = log::check(dir, &database, &mut run)?;
        run.judge(Level::Wal, detail);
    }
    Ok(run.done())
}

/// What later levels need to know about the database.
#[derive(Debug, Default)]
struct Database {
    name: String,
    trailer: Option<Trailer>,
    facts: Option<Facts>,
    /// Whether its list of members could be read in full.
    knows_members: bool,
}

/// What one pass over a file gives, as far as it was asked for.
struct Read {
    digest: Option<Result<Digests, Box<Corrupt>>>,
    scan: Option<Scan>,
}

/// One verification under way.
struct Run<'m> {
    options: VerifyOptions<'m>,
    monitor: &'m dyn Monitor,
    found: Found<'m>,
    verification: Verification,
}

impl<'m> Run<'m> {
    fn new(path: String, options: VerifyOptions<'m>, monitor: &'m dyn Monitor) -> Run<'m> {
        let limit = options.max_findings;
        let found = Found { findings: Vec::new(), counts: BTreeMap::new(), worst: BTreeMap::new(), limit, monitor };
        let verification = Verification {
            path,
            kind: String::new(),
            levels: Vec::new(),
            verdict: Verdict::Good,
            measured: Measured::default(),
            other_meta: None,
            findings: Vec::new(),
            finding_counts: BTreeMap::new(),
            worst: None,
            policy: Vec::new(),
            reached: None,
        };
        Run { options, monitor, found, verification }
    }

    fn level(&mut self, level: Level, outcome: Outcome, detail: impl Into<String>) {
        self.verification.levels.push(LevelReport { level, outcome, detail: detail.into() });
    }

    /// Ends a level that ran by what was found in it.
    fn judge(&mut self, level: Level, detail: impl Into<String>) {
        let outcome = match self.found.worst(level) {
            Some(Severity::Damage) => Outcome::Failed,
            Some(Severity::Warning) => Outcome::Warned,
            Some(Severity::Note) | None => Outcome::Passed,
        };
        self.level(level, outcome, detail);
    }

    /// How closely the keys are looked at.
    fn keys(&self) -> Keys {
        if self.options.level >= Level::Mvcc { self.options.keys } else { Keys::Live }
    }

    fn no_database(&mut self, why: &str) {
        for level in [Level::Identity, Level::Bytes, Level::Pages, Level::Mvcc] {
            self.level(level, Outcome::Inconclusive, why);
        }
    }

    fn done(mut self) -> Verification {
        let (outcome, detail) = self.restorable();
        self.level(Level::Restore, outcome, detail);
        let mut verification = self.verification;
        verification.levels.sort_by_key(|l| l.level);
        verification.worst = self.found.worst.values().copied().max();
        verification.findings = self.found.findings;
        verification.finding_counts = self.found.counts;
        verification.verdict = verification.judge();
        verification
    }

    /// What a restore would refuse: nothing that the levels before have not found out.
    fn restorable(&self) -> (Outcome, String) {
        if self.options.level < Level::Restore {
            return (Outcome::NotRun, "not asked for".to_owned());
        }
        let database = || [Level::Identity, Level::Bytes, Level::Pages, Level::Mvcc].into_iter();
        let damage: Vec<&str> = database().filter(|l| self.found.worst(*l) == Some(Severity::Damage)).map(Level::name).collect();
        if !damage.is_empty() {
            let what = "restore refuses it; with --allow-damage it takes what can be read";
            return (Outcome::Failed, format!("damage at {}: {what}", damage.join(", ")));
        }
        let mvcc = self.verification.levels.iter().find(|l| l.level == Level::Mvcc);
        if let Some(LevelReport { outcome: outcome @ (Outcome::NotApplicable | Outcome::Inconclusive), detail, .. }) = mvcc {
            return (*outcome, format!("restore refuses it: {detail}"));
        }
        let measured = &self.verification.measured;
        let Some(revision) = measured.revision.or(measured.compact_revision) else {
            return (Outcome::NotApplicable, "there is no revision to restore".to_owned());
        };
        let version = measured.storage_version.as_deref();
        let target = match version.and_then(Minor::of) {
            Some(version) => format!("as etcd {}", version.name()),
            None => "with --target-version (the file does not tell its own)".to_owned(),
        };
        let lag = match measured.wal_lag {
            Some(lag @ 1..) => format!("; {lag} entries of the log are not in the database: `coldbolt copy` folds them in first"),
            _ => String::new(),
        };
        (Outcome::Passed, format!("nothing refuses a restore {target} at revision {revision}{lag}"))
    }

    /// Levels identity to mvcc. `alone`: it is a file by itself, from which a trailer is expected.
    fn database(&mut self, source: &Source, alone: bool) -> Result<Database> {
        let name = source.name();
        if source.flock() == Lock::Held {
            self.found.say(Code::InUse, &name, "a running etcd holds the lock of this database: what is read here may be torn");
        }
        let measured = &mut self.verification.measured;
        measured.file_size = source.len();
        measured.modified = source.stamp().and_then(|s| jiff::Timestamp::new(s.modified.0, 0).ok()).map(|t| t.to_string());
        let db = match Db::open(source) {
            Ok(db) => db,
            Err(corrupt) => return Ok(self.no_meta(source, *corrupt)),
        };
        // A member's own database has none, whatever its last bytes look like.
        let trailer = if alone { Trailer::read(source, db.size()) } else { Ok(Trailer::Absent) };
        let (trailer, unreadable) = match trailer {
            Ok(trailer) => (trailer, None),
            Err(corrupt) => (Trailer::Absent, Some(corrupt)),
        };
        let alone = alone && unreadable.is_none();
        if let Some(corrupt) = unreadable {
            self.found.push(Finding::from_corrupt(&name, *corrupt));
        }
        let measured = &mut self.verification.measured;
        measured.payload_size = trailer.payload(source);
        measured.page_size = db.page_size();
        measured.db_size = db.size();
        measured.txid = db.meta().txid.0;
        measured.metas = metas(&db);
        measured.trailer = match trailer {
            Trailer::Absent => "absent",
            Trailer::Present { .. } => "present",
            Trailer::Zeroed { .. } => "zeroed",
            Trailer::Cut { .. } => "cut",
            Trailer::Lost { .. } => "lost",
        };
        self.trailer_form(&db, trailer, alone);

        let hashing = self.digesting()
            || self.options.sealing
            || (self.options.level >= Level::Bytes && !matches!(trailer, Trailer::Absent | Trailer::Lost { .. }));
        let walking = self.options.level >= Level::Pages;
        let total = if hashing { source.len() } else { 0 }.saturating_add(if walking { db.size().min(source.len()) } else { 0 });
        self.monitor.begin("verifying", total);
        let Read { digest, scan } = self.read(&db, trailer, hashing, walking)?;
        self.monitor.end();

        let mut faults = Vec::new();
        match (&scan, walking) {
            (Some(scan), _) => {
                faults.extend(scan.faults.kept.iter().cloned());
                self.take_scan(scan, &db);
            }
            (None, _) => faults.extend(identity_faults(&db)),
        }
        for corrupt in faults {
            // Undecodable values belong to a level that may not have been asked for.
            if Level::of(corrupt.code) <= self.options.level {
                self.found.push(Finding::from_corrupt(&name, corrupt));
            }
        }
        if let Some(scan) = &scan {
            for (code, count) in &scan.faults.counts {
                if let Some(found) = self.found.counts.get_mut(code) {
                    *found = (*count).max(*found);
                }
            }
        }
        if let Some(what) = source.changed() {
            self.found.say(Code::InUse, &name, format!("the file {what}"));
        }
        self.other_meta(&db, &name)?;
        self.judge(
            Level::Identity,
            format!(
                "{} pages of {} bytes, meta page {} of txid {}",
                db.meta().high_water,
                db.page_size(),
                db.meta_number(),
                db.meta().txid
            ),
        );
        self.bytes(&db, trailer, digest, alone);
        self.judge_scan(&db, scan.as_ref(), &name);
        let knows_members = scan.as_ref().is_some_and(|s| s.knows("members"));
        let mut facts = None;
        if let Some(scan) = scan {
            self.verification.reached = Some(Arc::new(scan.reached));
            facts = scan.is_etcd.then_some(scan.facts);
        }
        Ok(Database { name, trailer: Some(trailer), facts, knows_members })
    }

    fn no_meta(&mut self, source: &Source, corrupt: Corrupt) -> Database {
        self.found.push(Finding::from_corrupt(&source.name(), corrupt));
        self.judge(Level::Identity, "no meta page can be used");
        for level in [Level::Bytes, Level::Pages, Level::Mvcc] {
            self.level(level, Outcome::NotRun, "no meta page can be used");
        }
        Database { name: source.name(), ..Database::default() }
    }

    fn trailer_form(&mut self, db: &Db<'_>, trailer: Trailer, alone: bool) {
        let (source, size) = (db.source(), db.size());
        let name = &source.name();
        let payload = trailer.payload(source);
        if payload < size {
            // What stands at the end of a file without its end is no trailer.
            return;
        }
        let beyond = payload.saturating_sub(size);
        // bbolt makes its files longer by whole pages; snapshot save writes exactly the database.
        let padded = matches!(trailer, Trailer::Absent) && payload.checked_rem(db.page_size()) == Some(0);
        if alone && beyond > 0 && !padded && !matches!(trailer, Trailer::Cut { .. }) && source.len() > 4096 {
            let what = format!(
                "{beyond} bytes stand after the database's {size}, where {} is due",
                if matches!(trailer, Trailer::Absent) { "nothing or a trailer of 32" } else { "the trailer" }
            );
            self.found.push(Finding::new(Code::TrailingBytes, name, At::offset(size), what));
        }
        match trailer {
            Trailer::Absent if alone => {
                let what = "the file has no SHA-256 trailer: it is a database as a member keeps it, not made by snapshot save";
                self.found.say(Code::TrailerAbsent, name, what);
            }
            Trailer::Cut { bytes } => {
                self.found.say(
                    Code::TrailerCut,
                    name,
                    format!("{bytes} bytes follow the database, a trailer has 32: the end of the file is missing"),
                );
            }
            Trailer::Zeroed { payload } => {
                let what = "32 zero bytes stand where the SHA-256 is due: the end of the file was never written";
                self.found.push(Finding::new(Code::TrailerZeroed, name, At::offset(payload), what));
            }
            Trailer::Absent | Trailer::Lost { .. } | Trailer::Present { .. } => {}
        }
    }

    /// Whether the digests of the whole file are needed.
    fn digesting(&self) -> bool {
        self.options.digests || (self.options.level >= Level::Bytes && self.options.against.is_some_and(|a| a.entry.is_some()))
    }

    /// Hashes on one thread and walks on the others, both in the same pass over the file.
    fn read(&self, db: &Db<'_>, trailer: Trailer, hashing: bool, walking: bool) -> Result<Read> {
        let source = db.source();
        let part = Part(self.monitor);
        let gate = (walking && is_cold(source)).then(Gate::default);
        let payload = trailer.payload(source);
        std::thread::scope(|scope| {
            let reader = (hashing || gate.is_some()).then(|| {
                let (gate, part) = (gate.as_ref(), &part);
                scope.spawn(move || {
                    let _open = gate.map(OpenAtEnd);
                    let wanted = if !hashing { None } else { Some(self.digesting()) };
                    digests(source, payload, wanted, gate, part)
                })
            });
            let scan = walking
                .then(|| {
                    // One of each is needed for the verdict, even if none is to be shown.
                    scan(db, Options { limit: self.options.max_findings.max(1), gate: gate.as_ref(), keys: self.keys() }, &part)
                })
                .transpose();
            let digest = reader.and_then(|r| r.join().ok()).filter(|_| hashing);
            Ok(Read { digest, scan: scan? })
        })
    }

    fn take_scan(&mut self, scan: &Scan, db: &Db<'_>) {
        let keys = self.keys();
        let measured = &mut self.verification.measured;
        measured.free_bytes = scan.free_pages.saturating_mul(db.page_size());
        measured.status_hash = (keys != Keys::Pages).then_some(scan.hash);
        measured.key_bucket = scan.key_bucket;
        if !scan.is_etcd {
            return;
        }
        let facts = &scan.facts;
        measured.revision = scan.keyspace.last.map(|r| r.main);
        measured.compact_revision = facts.compact_revision();
        let counted = matches!(keys, Keys::Live | Keys::History);
        measured.live_keys = counted.then(|| scan.newest.live());
        measured.revisions = counted.then_some(scan.keyspace.revisions);
        measured.storage_version = storage_version(facts).version.map(|v| printable(&v));
        measured.cluster_version = facts.cluster_version.as_deref().map(printable);
        measured.consistent_index = facts.consistent_index;
        measured.members = facts.members.iter().map(|m| member::hex16(m.id)).collect();
        measured.member_names = facts.members.iter().map(|m| printable(&m.name)).collect();
        measured.alarms = facts.alarms.iter().map(|a| a.alarm.map_or_else(String::new, |a| format!("{a:?}").to_uppercase())).collect();
        measured.compaction_unfinished = facts.compaction_is_unfinished();
        if let Some(ask) = self.options.ask {
            let seen = evidence::look(scan, db, ask);
            (measured.key_counts, measured.newest_evidence) = (seen.counts, seen.newest);
        }
    }

    fn bytes(&mut self, db: &Db<'_>, trailer: Trailer, digest: Option<Result<Digests, Box<Corrupt>>>, alone: bool) {
        let (source, size) = (db.source(), db.size());
        let name = source.name();
        let digest = match digest {
            Some(Ok(digest)) => Some(digest),
            Some(Err(corrupt)) => {
                self.found.push(Finding::from_corrupt(&name, *corrupt));
                None
            }
            None => None,
        };
        let payload = digest.as_ref().map(|d| d.payload);
        // A file that ends early has lost its trailer: the 32 bytes at its end are none, unless they fit.
        let matches = matches!((payload, trailer), (Some(computed), Trailer::Present { digest, .. }) if computed == digest);
        let lost = trailer.payload(source) < size && !matches;
        if let (Some(computed), Trailer::Present { digest: stored, payload }) = (payload, trailer)
            && !matches
            && !lost
        {
            let what =
                format!("the trailer is {}, the {payload} bytes before it give {}", checksum::hex(&stored), checksum::hex(&computed));
            self.found.push(Finding::new(Code::TrailerMismatch, &name, At::offset(payload), what));
        }
        self.verification.measured.payload_sha256 = payload;
        let against = self.manifest(source, digest.as_ref());
        self.verification.measured.digests = digest.filter(|_| self.options.digests);
        if self.options.level < Level::Bytes {
            return self.level(Level::Bytes, Outcome::NotRun, "not asked for");
        }
        let hashed = match trailer {
            Trailer::Present { payload, .. } | Trailer::Zeroed { payload } => {
                Some(format!("SHA-256 of {payload} bytes against the trailer"))
            }
            Trailer::Absent | Trailer::Cut { .. } | Trailer::Lost { .. } => None,
        };
        match against {
            Some(Ok(compared)) => return self.judge(Level::Bytes, hashed.map_or(compared.clone(), |h| format!("{h}; {compared}"))),
            Some(Err(why)) if self.found.worst(Level::Bytes).is_none() => return self.level(Level::Bytes, Outcome::Inconclusive, why),
            Some(Err(_)) | None => {}
        }
        match trailer {
            _ if self.found.worst(Level::Bytes).is_some() && !matches!(trailer, Trailer::Present { .. } | Trailer::Zeroed { .. }) => {
                self.judge(Level::Bytes, "not all bytes could be read");
            }
            Trailer::Lost { .. } => {
                self.level(Level::Bytes, Outcome::NotRun, "the end of the file is missing, and with it the trailer if there was one");
            }
            Trailer::Absent if alone => self.level(Level::Bytes, Outcome::Inconclusive, "no trailer to compare with"),
            Trailer::Absent => self.level(Level::Bytes, Outcome::NotApplicable, "a member's own database has no trailer"),
            Trailer::Cut { .. } => self.level(Level::Bytes, Outcome::NotRun, "the trailer is cut off"),
            Trailer::Present { payload, .. } | Trailer::Zeroed { payload } => {
                self.judge(Level::Bytes, format!("SHA-256 of {payload} bytes against the trailer"));
            }
        }
    }

    /// Compares with the manifest: what was compared, or why nothing could be; `None` when there is none.
    fn manifest(&mut self, source: &Source, digest: Option<&Digests>) -> Option<Result<String, String>> {
        let Against { manifest, entry } = self.options.against.filter(|_| self.options.level >= Level::Bytes)?;
        let Some(entry) = entry else { return Some(Err(format!("{manifest} does not name this file"))) };
        let differences = entry.differences(source.len(), digest);
        if !differences.is_empty() {
            self.found.say(Code::ManifestMismatch, &source.name(), format!("{} ({manifest})", differences.join("; ")));
        }
        Some(match digest {
            Some(_) => Ok(format!("{} against {manifest}", entry.compared())),
            None => Err("the file could not be hashed".to_owned()),
        })
    }

    fn judge_scan(&mut self, db: &Db<'_>, scan: Option<&Scan>, name: &str) {
        let Some(scan) = scan else {
            self.level(Level::Pages, Outcome::NotRun, "not asked for");
            self.level(Level::Mvcc, Outcome::NotRun, "not asked for");
            return;
        };
        let mut all = scan.root.clone();
        scan.buckets.iter().for_each(|b| all.add(&b.stats));
        let detail = format!("{} pages of {} buckets reached, {} free", all.pages(), scan.buckets.len(), scan.free_pages);
        let cut = [Code::FileTooShort, Code::Unreadable].iter().any(|code| self.found.counts.contains_key(code));
        if cut {
            self.level(Level::Pages, Outcome::Failed, format!("{detail}; others cannot be read"));
        } else {
            self.judge(Level::Pages, detail);
        }
        if self.keys() != Keys::History {
            self.level(Level::Mvcc, Outcome::NotRun, "not asked for");
            return;
        }
        if !scan.is_etcd && !scan.root_is_whole {
            self.level(Level::Mvcc, Outcome::NotRun, "the root bucket is damaged: which buckets there are cannot be told");
            return;
        }
        if !scan.is_etcd {
            self.level(Level::Mvcc, Outcome::NotApplicable, "the buckets are not etcd's");
            return;
        }
        let unknown = consistency::check(scan, db, name, &mut self.found);
        let hash = match &scan.hashkv {
            Some(Ok(hash)) if !pages_are_missing(scan) => {
                self.verification.measured.hashkv = Some(*hash);
                let last = scan.keyspace.last.map_or(0, |r| r.main).max(scan.facts.compact_revision().unwrap_or(-1)).max(1);
                format!("HashKV {hash} at {last}")
            }
            Some(Err(corrupt)) if !pages_are_missing(scan) => format!("no HashKV, {corrupt}"),
            _ => "no HashKV, pages are missing".to_owned(),
        };
        let detail = format!("{} revisions of {} live keys; {hash}", scan.keyspace.revisions, scan.newest.live());
        if unknown && self.found.worst(Level::Mvcc) != Some(Severity::Damage) {
            self.level(Level::Mvcc, Outcome::Inconclusive, format!("{detail}; the storage version is newer than coldbolt knows"));
        } else {
            self.judge(Level::Mvcc, detail);
        }
    }

    /// When the meta page in use or its tree is damaged, whether the other one's tree is whole: that is the way out.
    fn other_meta(&mut self, db: &Db<'_>, name: &str) -> Result<()> {
        let damaged =
            [Level::Identity, Level::Pages, Level::Mvcc].into_iter().any(|level| self.found.worst(level) == Some(Severity::Damage));
        let other = db.slots().iter().find(|s| s.number != db.meta_number()).map_or(0, |s| s.number);
        let Some(other) = db.with_meta(other).filter(|o| damaged && o.meta().root != db.meta().root) else { return Ok(()) };
        if self.options.level < Level::Pages {
            return Ok(());
        }
        let scan = scan(&other, Options { limit: 1, gate: None, keys: Keys::Live }, &Part(self.monitor))?;
        // A bad first meta page is no fault of the other one's tree.
        let faults = scan.faults.counts.iter().filter(|(code, _)| **code != Code::MetaInvalid).fold(0u64, |n, (_, c)| n.saturating_add(*c));
        let txid = other.meta().txid.0;
        let what = if faults == 0 {
            format!("the tree of the other meta page (txid {txid}) is whole: the state at that commit can be had")
        } else {
            format!("the tree of the other meta page (txid {txid}) is damaged too: {faults} faults")
        };
        self.found.push(Finding::new(
            Code::MetaFallback,
            name,
            At::page(u64::from(other.meta_number()), other.offset_of(Pgid(u64::from(other.meta_number())))),
            what,
        ));
        self.verification.other_meta = Some(OtherMeta { txid, whole: faults == 0, faults });
        Ok(())
    }
}

/// Whether a walk could not reach everything.
fn pages_are_missing(scan: &Scan) -> bool {
    let lost = |code: Code| matches!(code, Code::FileTooShort | Code::Unreadable);
    scan.faults.counts.keys().any(|code| lost(*code) || (Level::of(*code) == Level::Pages && code.severity() == Severity::Damage))
}

/// What a walk would say about the meta pages and the length, without one.
fn identity_faults(db: &Db<'_>) -> Vec<Corrupt> {
    let slots = db.slots().iter().flat_map(|s| [&s.fault, &s.header_fault]).flatten().map(|f| (**f).clone());
    slots.chain(crate::bolt::db::check_length(db).err().map(|c| *c)).collect()
}
