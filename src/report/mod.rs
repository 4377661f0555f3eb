//! The answer of `verify` for other programs: one format a file, each `fn(&Answer, &mut dyn Write) -> io::Result<()>`.
//!
//! | For | Use |
//! |---|---|
//! | programs | [`json::write`], [`ndjson`] |
//! | CI: Jenkins, GitLab, GitHub | [`junit::write`], [`sarif::write`], [`markdown::write`] |
//! | the node exporter of Prometheus | [`prometheus::write`] |
//! | whoever compares a copy later | [`manifest::write`] |
//!
//! ```
//! use std::path::PathBuf;
//!
//! use coldbolt::ops::verify::fleet::{FleetOptions, verify_all};
//! use coldbolt::report;
//! use coldbolt::words::monitor::Quiet;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let paths = [PathBuf::from("fixtures/small-3.5.1/snapshot.db")];
//! let answer = verify_all(&paths, &FleetOptions::default(), &Quiet)?;
//! assert_eq!(report::summary(&answer), "1 good, 0 bad, 0 inconclusive, 0 unreadable");
//! let mut xml = Vec::new();
//! report::junit::write(&answer, &mut xml)?;
//! # Ok(())
//! # }
//! ```

pub mod json;
pub mod junit;
pub mod manifest;
pub mod markdown;
pub mod ndjson;
pub mod prometheus;
pub mod sarif;

use crate::codec::to_u64;
use crate::ops::verify::policy::{RuleResult, RuleSeverity};
use crate::ops::verify::{Answer, Level, LevelReport, Outcome, Verdict, Verification};
use crate::words::finding::Severity;

/// How a rule ended.
#[must_use]
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
#[must_use]
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
#[must_use]
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
    let found = verification.findings.iter().filter(|f| Level::of(f.code) == level.level);
    found.filter(|f| f.severity > Severity::Note).map(|f| format!("{}: {f}\n", f.severity)).collect()
}

/// Numbers of inputs by verdict, in words.
#[must_use]
pub fn summary(answer: &Answer) -> String {
    let count = |verdict| answer.files.iter().filter(|f| f.verification.verdict == verdict).count();
    let (good, bad, open) = (count(Verdict::Good), count(Verdict::Bad), count(Verdict::Inconclusive));
    let passed_over = match answer.passed_over.len() {
        0 => String::new(),
        count => format!(", {count} passed over"),
    };
    format!(
        "{good} good, {bad} bad, {open} inconclusive, {} unreadable{passed_over}",
        answer.unreadable.len()
    )
}

/// Findings that were counted and are not listed.
fn unlisted(verification: &Verification) -> u64 {
    let all: u64 = verification.finding_counts.values().sum();
    all.saturating_sub(to_u64(verification.findings.len()))
}
