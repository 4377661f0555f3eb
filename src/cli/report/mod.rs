//! What `verify` leaves for other programs: one format a file.

mod junit;
mod manifest;
mod markdown;
pub mod ndjson;
mod prometheus;
mod sarif;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use coldbolt::codec::to_u64;
use coldbolt::etcd::datadir::{FileKind, file_kind};
use coldbolt::io::Source;
use coldbolt::io::dest::{self, Existing};
use coldbolt::ops::verify::policy::{RuleResult, RuleSeverity};
use coldbolt::ops::verify::{LevelReport, Outcome, Verdict, Verification};
use coldbolt::words::error::{Error, printable, show};
use coldbolt::words::finding::Severity;
use serde::Serialize;

use super::Fail;

/// The whole answer.
#[derive(Debug, Serialize)]
pub struct Answer {
    pub schema: &'static str,
    /// The worst verdict.
    pub verdict: Verdict,
    /// Inputs that were verified.
    pub files: Vec<Judged>,
    /// Inputs that could not be read at all.
    pub unreadable: Vec<Unreadable>,
}

/// An input that was verified.
#[derive(Debug, Serialize)]
pub struct Judged {
    #[serde(flatten)]
    pub verification: Verification,
    /// How long it took.
    #[serde(skip)]
    pub took: Duration,
}

/// An input that could not be read at all.
#[derive(Debug, Serialize)]
pub struct Unreadable {
    /// The input, as named.
    pub path: String,
    /// Why.
    pub error: String,
}

/// What else to write.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Reports (each replaces the last run's in one step)")]
pub struct Reports {
    /// JUnit XML: a test suite for each input, a test for each level and rule.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// SARIF 2.1.0: a result for each finding and broken rule.
    #[arg(long, value_name = "FILE")]
    sarif: Option<PathBuf>,
    /// Markdown, as for $GITHUB_STEP_SUMMARY.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Metrics for the textfile collector of the Prometheus node exporter.
    #[arg(long, value_name = "FILE")]
    prometheus: Option<PathBuf>,
    /// Evidence for later: digests of each file, what is in it, how it was judged. Never replaces a file.
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
}

impl Reports {
    /// Whether the digests of whole files are wanted.
    pub fn digests(&self) -> bool {
        self.manifest.is_some()
    }

    fn each(&self) -> impl Iterator<Item = (&Path, Existing)> {
        let replaced = [&self.junit, &self.sarif, &self.markdown, &self.prometheus].into_iter().flatten();
        let kept = self.manifest.iter().map(|path| (path.as_path(), Existing::Keep));
        replaced.map(|path| (path.as_path(), Existing::Replace)).chain(kept)
    }

    /// Refuses, before the work, what could not be written after it or would cost data: an input, or anything else of
    /// etcd's.
    pub fn check<'p>(&self, inputs: impl Iterator<Item = &'p Path>) -> Result<(), Fail> {
        let usage = |path: &Path, what: &str| Fail::Usage(format!("{}: {what}", show(path)));
        let identity = |path: &Path| fs::metadata(path).ok().map(|m| (m.dev(), m.ino()));
        let inputs: Vec<_> = inputs.filter_map(identity).collect();
        let mut seen: Vec<PathBuf> = Vec::new();
        for (path, existing) in self.each() {
            if identity(path).is_some_and(|id| inputs.contains(&id)) {
                return Err(usage(path, "is an input, and inputs are never written"));
            }
            dest::check(path, existing).map_err(|e| usage(path, &e.to_string()))?;
            let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let whole =
                fs::canonicalize(parent).unwrap_or_default().join(path.file_name().unwrap_or_default());
            if seen.contains(&whole) {
                return Err(usage(path, "is named for two reports"));
            }
            seen.push(whole);
            let kind = Source::open(path).and_then(|source| file_kind(&source));
            if matches!(
                kind,
                Ok(FileKind::Bolt | FileKind::BoltBigEndian | FileKind::Wal | FileKind::RaftSnapshot)
            ) {
                return Err(usage(path, "is a file of etcd's, and no report replaces one"));
            }
        }
        Ok(())
    }

    /// Writes them all; the first that fails is told after the others are written.
    pub fn write(&self, answer: &Answer) -> Result<(), Error> {
        let mut done = Ok(());
        let mut put = |path: &Option<PathBuf>, report: fn(&Answer) -> String, existing| {
            if let Some(path) = path {
                let written = dest::write(path, existing, report(answer).as_bytes());
                done = std::mem::replace(&mut done, Ok(())).and(written);
            }
        };
        put(&self.junit, junit::report, Existing::Replace);
        put(&self.sarif, sarif::report, Existing::Replace);
        put(&self.markdown, markdown::report, Existing::Replace);
        put(&self.prometheus, prometheus::report, Existing::Replace);
        put(&self.manifest, manifest::report, Existing::Keep);
        done
    }
}

/// How a rule ended.
pub fn kept(rule: &RuleResult) -> &'static str {
    match (rule.passed, rule.severity) {
        (Some(true), _) => "kept",
        (Some(false), RuleSeverity::Error) => "BROKEN",
        (Some(false), RuleSeverity::Warning) => "broken (warning)",
        (None, RuleSeverity::Error) => "COULD NOT BE CHECKED",
        (None, RuleSeverity::Warning) => "could not be checked (warning)",
    }
}

/// How a level ended.
pub fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "passed",
        Outcome::Warned => "passed with warnings",
        Outcome::Failed => "FAILED",
        Outcome::NotRun => "not run",
        Outcome::Inconclusive => "COULD NOT BE CHECKED",
        Outcome::NotApplicable => "-",
    }
}

/// The verdict in words, with the levels it rests on.
pub fn verdict(verification: &Verification) -> String {
    let names = |outcomes: &[Outcome]| {
        let names =
            verification.levels.iter().filter(|l| outcomes.contains(&l.outcome)).map(|l| l.level.name());
        names.collect::<Vec<_>>().join(", ")
    };
    let rules = |passed| {
        let rules =
            verification.policy.iter().filter(|r| r.severity == RuleSeverity::Error && r.passed == passed);
        rules.map(RuleResult::title).collect::<Vec<_>>().join(", ")
    };
    let passed = names(&[Outcome::Passed, Outcome::Warned]);
    let good = if passed.is_empty() {
        "nothing was found good".to_owned()
    } else {
        format!("good at levels {passed}")
    };
    let policy = if verification.policy.is_empty() { "" } else { " and by the policy" };
    match verification.verdict {
        Verdict::Good => format!("{good}{policy}"),
        Verdict::Inconclusive => {
            let unchecked = [names(&[Outcome::Inconclusive, Outcome::NotRun]), rules(None)];
            let unchecked: Vec<_> = unchecked.into_iter().filter(|names| !names.is_empty()).collect();
            format!("inconclusive: {good}; not checked: {}", unchecked.join(", "))
        }
        Verdict::Unreadable => "could not be read".to_owned(),
        Verdict::Bad => {
            let failed = [("damage at ", names(&[Outcome::Failed])), ("broken: ", rules(Some(false)))];
            let failed: Vec<_> = failed
                .iter()
                .filter(|(_, names)| !names.is_empty())
                .map(|(what, names)| format!("{what}{names}"))
                .collect();
            if failed.is_empty() {
                format!("BAD ({good})")
            } else {
                format!("BAD: {} ({good})", failed.join("; "))
            }
        }
    }
}

/// The findings that a level failed or was warned by, one a line.
fn findings_of(verification: &Verification, level: &LevelReport) -> String {
    let found =
        verification.findings.iter().filter(|f| coldbolt::ops::verify::Level::of(f.code) == level.level);
    found.filter(|f| f.severity > Severity::Note).map(|f| format!("{}: {f}\n", f.severity)).collect()
}

/// The command line, printable.
fn command() -> Vec<String> {
    std::env::args_os().map(|arg| printable(&arg.to_string_lossy())).collect()
}

/// Numbers of inputs by verdict, in words.
pub fn summary(answer: &Answer) -> String {
    let count = |verdict| answer.files.iter().filter(|f| f.verification.verdict == verdict).count();
    let (good, bad, open) = (count(Verdict::Good), count(Verdict::Bad), count(Verdict::Inconclusive));
    format!("{good} good, {bad} bad, {open} inconclusive, {} unreadable", answer.unreadable.len())
}

/// Findings that were counted and are not listed.
fn unlisted(verification: &Verification) -> u64 {
    let all: u64 = verification.finding_counts.values().sum();
    all.saturating_sub(to_u64(verification.findings.len()))
}
