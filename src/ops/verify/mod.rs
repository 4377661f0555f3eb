//! `verify`: how good a backup is, level by level, with everything that is wrong and what it means.

mod against;
mod boot;
#[cfg(feature = "fs")]
mod chain;
mod closed;
mod consistency;
mod contents;
mod database;
pub mod evidence;
mod files;
pub mod fleet;
mod log;
pub mod manifest;
mod objects;
pub mod policy;
mod report;
pub mod targets;
mod verdict;

use std::collections::BTreeMap;
use std::path::Path;

use self::evidence::Ask;
use self::files::Files;
use self::manifest::Against;
pub use self::report::SCHEMA;
pub use self::report::{
    Answer, InputKind, Judged, LevelReport, Measured, OtherMeta, Outcome, TrailerState, Unreadable,
    Verification,
};
pub use self::verdict::{Sum, Verdict};
use crate::etcd::datadir::{self, DataDir, FileKind, Foreign};
#[cfg(feature = "fs")]
use crate::etcd::etcdbr::Packing;
use crate::etcd::schema::Minor;
use crate::etcd::{Facts, Input};
use crate::io::Source;
use crate::replay::MemberLog;
use crate::replay::apply::Version;
#[cfg(feature = "fs")]
use crate::replay::increments::Chain;
use crate::snap::backup::Trailer;
use crate::store::ValueOpener;
use crate::store::scan::{KeyDepth, Scan};
pub use crate::words::codes::Level;
use crate::words::collector::Teller;
use crate::words::error::{At, Corrupt, Error, Result, show};
use crate::words::finding::{Code, Finding, Severity};
use crate::words::hint::{Hint, Note};
use crate::words::monitor::Monitor;

/// How to verify.
#[derive(Debug, Clone, Copy)]
pub struct VerifyOptions<'o> {
    /// The deepest level to run; `wal` is for directories, and `objects` in the report only if it is asked for.
    pub level: Level,
    /// Findings kept for each code.
    pub max_findings: u64,
    /// Also compute the digests of the whole file, for a manifest.
    pub digests: bool,
    /// What a policy wants to know of the live keys.
    pub ask: Option<&'o Ask>,
    /// The manifest to compare with.
    pub against: Option<Against<'o>>,
    /// What opens encrypted values for level `objects`.
    pub opener: Option<ValueOpener<'o>>,
    /// The etcd by whose rules it is judged, also if the files state a version that is not known here; `None` is as
    /// they state.
    pub etcd_version: Option<Version>,
}

impl Default for VerifyOptions<'_> {
    fn default() -> Self {
        VerifyOptions {
            level: Level::Restore,
            max_findings: 20,
            digests: false,
            ask: None,
            against: None,
            opener: None,
            etcd_version: None,
        }
    }
}

/// What a verb that verifies what it reads and writes wants more, or needs less, than who only verifies.
#[derive(Debug, Clone, Copy)]
pub(in crate::ops) struct Closeness {
    /// How closely the keys are looked at for level `mvcc`; it is judged by their whole history only.
    pub keys: KeyDepth,
    /// Take the SHA-256 also of a database that has no trailer to compare it with: of one that is to get it.
    pub sealing: bool,
    /// The etcd by whose rules it is judged.
    #[cfg(feature = "fs")]
    pub etcd_version: Option<Version>,
}

impl Default for Closeness {
    fn default() -> Self {
        Closeness {
            keys: KeyDepth::History,
            sealing: false,
            #[cfg(feature = "fs")]
            etcd_version: None,
        }
    }
}

/// Why a file is not judged by its log.
const NO_LOG: &str = "a file has no log; verify the data directory for that";

/// Verifies a snapshot file, a database or a data directory; of a file that is closed with age, what can be told of it
/// without its key.
///
/// ```
/// # use coldbolt::{ops::verify::{Verdict, VerifyOptions, verify}, words::monitor::Quiet};
/// # fn main() -> coldbolt::Result<()> {
/// let verified = verify("fixtures/etcd-3.7.1/snapshot.db", &VerifyOptions::default(), &Quiet)?;
/// for finding in &verified.findings {
///     println!("{finding}");
/// }
/// assert_eq!(verified.verdict, Verdict::Good);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::Unreadable`] when the input is nothing of etcd's, [`Error::Cancelled`]. Damage is in the result.
pub fn verify(
    input: impl Into<Input>,
    options: &VerifyOptions<'_>,
    monitor: &dyn Monitor,
) -> Result<Verification> {
    let input = input.into();
    let done = verify_input(&input, *options, monitor);
    match done {
        Err(Error::Damaged { path, corrupt }) if corrupt.code == Code::PackedDamaged => {
            let run = Run::new(show(input.path()), *options, Closeness::default(), monitor);
            Ok(run.packed(&show(&path), *corrupt))
        }
        done => done,
    }
}

fn verify_input(input: &Input, options: VerifyOptions<'_>, monitor: &dyn Monitor) -> Result<Verification> {
    let run = Run::new(show(input.path()), options, Closeness::default(), monitor);
    #[cfg(feature = "fs")]
    if let Some(chain) = input.as_open().is_none().then(|| chain(input.path())).flatten() {
        return run.chain(&chain);
    }
    if input.is_dir() {
        return run.directory(&input.directory()?, None);
    }
    let source = input.open()?;
    match datadir::file_kind(&source)? {
        FileKind::Foreign(Foreign::Age) => run.closed(&source),
        _ => run.file(&source),
    }
}

/// The chain that a path is of: the newest in a directory, or that of a full snapshot which is more than a file by
/// itself.
#[cfg(feature = "fs")]
fn chain(path: &Path) -> Option<Chain> {
    let more = |chain: &Chain| !chain.increments.is_empty() || chain.full.1.packing != Packing::None;
    Chain::of_store(path).or_else(|| Chain::of(path).filter(more))
}

/// The first damage among findings, as the error that ends what needs a whole source; if damage is `allowed`, a page
/// that is reached twice: whose it is cannot be told, and one reader's items are not another's.
///
/// # Errors
/// [`Error::Damaged`].
pub(in crate::ops) fn refuse_damage(findings: &[Finding], allowed: bool) -> Result<()> {
    let refused = |finding: &&Finding| {
        finding.severity == Severity::Damage && (!allowed || finding.code == Code::PageShared)
    };
    match findings.iter().find(refused) {
        Some(Finding { file, at, code, detail, .. }) => {
            let corrupt =
                crate::words::error::Corrupt { at: at.clone(), code: *code, detail: detail.clone() };
            Err(Error::damaged(Path::new(file), Box::new(corrupt)))
        }
        None => Ok(()),
    }
}

/// Verifies a file so closely.
#[cfg(feature = "fs")]
pub(in crate::ops) fn verify_file(
    source: &Source,
    level: Level,
    closeness: Closeness,
    monitor: &dyn Monitor,
) -> Result<Verification> {
    let etcd_version = closeness.etcd_version;
    let options = VerifyOptions { level, etcd_version, ..VerifyOptions::default() };
    Run::new(source.name(), options, closeness, monitor).file(source)
}

/// Verifies a directory so closely; its database and its log are open already, and read by others too.
#[cfg(feature = "fs")]
pub(in crate::ops) fn verify_member(
    dir: &DataDir,
    open: (&Source, &MemberLog),
    level: Level,
    closeness: Closeness,
    monitor: &dyn Monitor,
) -> Result<Verification> {
    let options = VerifyOptions { level, ..VerifyOptions::default() };
    Run::new(show(&dir.path), options, closeness, monitor).directory(dir, Some(open))
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

impl Database {
    /// What a file by itself is.
    fn kind(&self) -> InputKind {
        match self.trailer {
            Some(Trailer::Absent) | None => InputKind::Database,
            Some(Trailer::Lost { .. }) => InputKind::CutOff,
            Some(_) => InputKind::Snapshot,
        }
    }
}

/// One verification under way.
struct Run<'m> {
    options: VerifyOptions<'m>,
    closeness: Closeness,
    monitor: &'m dyn Monitor,
    found: Teller<'m>,
    verification: Verification,
    /// What of a directory's files besides the database was compared with a manifest, or why nothing was.
    compared: Option<std::result::Result<String, String>>,
    /// Why a damaged database is not restored even if damage is allowed, if it is not.
    past_restoring: Option<String>,
}

impl<'m> Run<'m> {
    fn new(
        path: String,
        options: VerifyOptions<'m>,
        closeness: Closeness,
        monitor: &'m dyn Monitor,
    ) -> Run<'m> {
        let verification = Verification {
            path,
            kind: InputKind::default(),
            levels: Vec::new(),
            verdict: Sum::default().verdict(),
            starts: Vec::new(),
            measured: Measured::default(),
            other_meta: None,
            findings: Vec::new(),
            finding_counts: BTreeMap::new(),
            severities: BTreeMap::new(),
            worst: None,
            policy: Vec::new(),
            reached: None,
        };
        let found = Teller::new(options.max_findings, monitor);
        Run { options, closeness, monitor, found, verification, past_restoring: None, compared: None }
    }

    fn file(mut self, source: &Source) -> Result<Verification> {
        datadir::require_database(source)?;
        let database = self.database(source, true)?;
        self.verification.kind = database.kind();
        self.level(Level::Wal, Outcome::NotApplicable, NO_LOG);
        Ok(self.done())
    }

    fn directory(mut self, dir: &DataDir, open: Option<(&Source, &MemberLog)>) -> Result<Verification> {
        self.verification.kind = InputKind::Directory;
        let mut database = Database::default();
        let files = Files::of(dir, open, self.options.level)?;
        if let Some(finding) = &files.received {
            self.found.push(finding.clone());
        }
        let database_file = files.database.as_ref().map(|source| source.path().to_path_buf());
        self.contents(dir, database_file.as_deref())?;
        if let Some(source) = &files.database {
            match datadir::require_database(source) {
                // A file that a log is applied to is what it is.
                Ok(()) if source.path() == dir.path => {
                    database = self.database(source, true)?;
                    self.verification.kind = database.kind();
                }
                Ok(()) => database = self.database(source, false)?,
                Err(Error::Unreadable { cause, .. }) => {
                    let what = format!("the database {cause}");
                    let finding = Finding::new(Code::MetaInvalid, &source.name(), At::default(), what);
                    self.found.push(finding.hint(cause.hint()));
                    self.no_database("the database cannot be opened");
                }
                Err(other) => return Err(other),
            }
        } else {
            self.no_database("there is no member/snap/db");
        }
        self.database_in_contents(dir, database_file.as_deref());
        if self.options.level < Level::Wal {
            self.level(Level::Wal, Outcome::NotRun, "not asked for");
        } else {
            self.log(dir, &files, &database, open.is_none())?;
        }
        Ok(self.done())
    }

    /// Of what could not be unpacked.
    fn packed(mut self, name: &str, corrupt: Corrupt) -> Verification {
        self.verification.kind = InputKind::Packed;
        self.found.push(Finding::from_corrupt(name, corrupt));
        self.past_restoring = Some("it cannot be unpacked".to_owned());
        for level in [Level::Identity, Level::Pages, Level::Mvcc] {
            self.level(level, Outcome::NotRun, "it cannot be unpacked");
        }
        self.judge(Level::Bytes, "what is around it is damaged");
        self.level(Level::Wal, Outcome::NotRun, "it cannot be unpacked");
        self.done()
    }

    fn level(&mut self, level: Level, outcome: Outcome, detail: impl Into<Note>) {
        let Note { text: detail, hint } = detail.into();
        self.verification.levels.push(LevelReport { level, outcome, detail, hint });
    }

    /// The worst that was found of a level.
    fn worst(&self, level: Level) -> Option<Severity> {
        self.found.all.worst(|code| Level::of(code) == level)
    }

    /// Ends a level that ran by what was found in it.
    fn judge(&mut self, level: Level, detail: impl Into<String>) {
        let outcome = match self.worst(level) {
            Some(Severity::Damage) => Outcome::Failed,
            Some(Severity::Warning) => Outcome::Warned,
            Some(Severity::Note) | None => Outcome::Passed,
        };
        self.level(level, outcome, detail);
    }

    /// How closely the keys are looked at.
    fn keys(&self) -> KeyDepth {
        if self.options.level >= Level::Mvcc { self.closeness.keys } else { KeyDepth::Live }
    }

    fn no_database(&mut self, why: &str) {
        for level in [Level::Identity, Level::Bytes, Level::Pages, Level::Mvcc] {
            match self.compared_contents(None).filter(|_| level == Level::Bytes) {
                Some(Ok(compared)) => self.judge(level, compared),
                Some(Err(why)) => self.level(level, Outcome::Inconclusive, why),
                None => self.level(level, Outcome::Inconclusive, why),
            }
        }
    }

    fn done(mut self) -> Verification {
        let (outcome, detail) = self.restorable();
        self.level(Level::Restore, outcome, detail);
        let asked = self.options.level >= Level::Objects;
        if asked && !self.verification.levels.iter().any(|l| l.level == Level::Objects) {
            self.level(Level::Objects, Outcome::NotRun, "there is no database that could be looked into");
        }
        let mut verification = self.verification;
        if let Some(packed) = &verification.measured.packed {
            // Its checksums are right, or nothing would have been read.
            for bytes in verification.levels.iter_mut().filter(|level| level.level == Level::Bytes) {
                let packed = format!("; in {packed}");
                // Of a chain that was said of its full snapshot.
                if !bytes.detail.ends_with(&packed) {
                    bytes.detail.push_str(&packed);
                }
            }
        }
        verification.levels.sort_by_key(|l| l.level);
        let found = self.found.all;
        verification.worst = found.worst(|_| true);
        verification.severities = found
            .counts
            .keys()
            .filter_map(|code| Some((*code, found.worst(|other| other == *code)?)))
            .collect();
        verification.findings = found.kept;
        verification.finding_counts = found.counts;
        verification.verdict = verification.judge();
        verification
    }

    /// What a restore would refuse: nothing that the levels before have not found out.
    fn restorable(&self) -> (Outcome, Note) {
        if self.options.level < Level::Restore {
            return (Outcome::NotRun, "not asked for".into());
        }
        let database = || [Level::Identity, Level::Bytes, Level::Pages, Level::Mvcc].into_iter();
        let damage: Vec<&str> =
            database().filter(|l| self.worst(*l) == Some(Severity::Damage)).map(Level::name).collect();
        if !damage.is_empty() {
            let what = format!("damage at {}: restore refuses it", damage.join(", "));
            return match &self.past_restoring {
                Some(why) => (Outcome::Failed, format!("{what}, even if damage is allowed: {why}").into()),
                None => (Outcome::Failed, Note::with(what, Hint::AllowDamage)),
            };
        }
        let mvcc = self.verification.levels.iter().find(|l| l.level == Level::Mvcc);
        if let Some(LevelReport {
            outcome: outcome @ (Outcome::NotApplicable | Outcome::Inconclusive),
            detail,
            ..
        }) = mvcc
        {
            return (*outcome, format!("restore refuses it: {detail}").into());
        }
        let measured = &self.verification.measured;
        let Some(revision) = measured.revision else {
            return (Outcome::NotApplicable, "there is no revision to restore".into());
        };
        let version = measured.storage_version.as_deref();
        let assumed = self.options.etcd_version.map(|assumed| assumed.minor);
        let Some(version) = assumed.or(version.and_then(Minor::of)) else {
            let what = format!(
                "restore has to be told for which etcd, as the file does not tell its own; else nothing refuses it at revision {revision}"
            );
            return (Outcome::Inconclusive, Note::with(what, Hint::TargetVersion));
        };
        let bare = self.verification.kind == InputKind::Database;
        let nothing = if bare { "nothing but the missing trailer" } else { "nothing" };
        let mut note = Note::from(format!(
            "{nothing} refuses a restore as etcd {} at revision {revision}",
            version.name()
        ));
        note.hint = bare.then_some(Hint::SkipHashCheck);
        if let Some(lag @ 1..) = measured.wal_lag {
            note.text += &format!("; {lag} entries of the log are not in the database");
            note.hint = Some(Hint::CopyFirst);
        }
        (Outcome::Passed, note)
    }
}

/// Whether a walk could not reach everything.
fn pages_are_missing(scan: &Scan) -> bool {
    let lost = |code: Code| matches!(code, Code::FileTooShort | Code::Unreadable);
    scan.faults
        .counts
        .keys()
        .any(|code| lost(*code) || (Level::of(*code) == Level::Pages && code.severity() == Severity::Damage))
}
