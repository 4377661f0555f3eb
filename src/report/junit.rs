//! JUnit XML as Jenkins, GitLab and the actions for GitHub read it (schema `junit-10.xsd` of the Jenkins xUnit plugin).
//!
//! What could not be checked is an `error`, not a `skipped`: the exit code is not 0 either. Skipped is what was not
//! asked for.

use std::fmt::Write as _;
use std::io::{self, Write};

use crate::ops::verify::policy::{RuleResult, RuleSeverity};
use crate::ops::verify::{Answer, Judged, LevelReport, Outcome, Verification};

use super::findings_of;

/// How a test ended: element, type, message, text.
struct Case {
    name: String,
    end: Option<(&'static str, &'static str, String, String)>,
}

#[derive(Default)]
struct Counts {
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
}

impl Counts {
    fn of(cases: &[Case]) -> Counts {
        let count = |element| cases.iter().filter(|c| c.end.as_ref().is_some_and(|e| e.0 == element)).count();
        Counts {
            tests: cases.len(),
            failures: count("failure"),
            errors: count("error"),
            skipped: count("skipped"),
        }
    }

    fn add(&mut self, more: &Counts) {
        self.tests = self.tests.saturating_add(more.tests);
        self.failures = self.failures.saturating_add(more.failures);
        self.errors = self.errors.saturating_add(more.errors);
    }
}

/// Writes one test suite for each input.
///
/// # Errors
/// What `out` fails with.
pub fn write(answer: &Answer, out: &mut dyn Write) -> io::Result<()> {
    let mut suites = String::new();
    let (mut all, mut seconds) = (Counts::default(), 0.0);
    let files = answer
        .files
        .iter()
        .map(|Judged { verification, took }| (&verification.path, took.as_secs_f64(), cases(verification)));
    let unreadable = answer.unreadable.iter().map(|u| {
        let end = Some(("error", "unreadable", u.error.clone(), String::new()));
        (&u.path, 0.0, vec![Case { name: "readable".to_owned(), end }])
    });
    for (path, took, cases) in files.chain(unreadable) {
        let counts = Counts::of(&cases);
        suite(&mut suites, path, took, &counts, &cases);
        all.add(&counts);
        seconds += took;
    }
    let Counts { tests, failures, errors, .. } = all;
    write!(
        out,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuites name=\"coldbolt verify\" tests=\"{tests}\" failures=\"{failures}\" \
         errors=\"{errors}\" time=\"{seconds:.3}\">\n{suites}</testsuites>\n"
    )
}

fn cases(verification: &Verification) -> Vec<Case> {
    let levels = verification.levels.iter().map(|l| level(verification, l));
    levels.chain(verification.policy.iter().map(rule)).collect()
}

fn level(verification: &Verification, level: &LevelReport) -> Case {
    let end = |element, kind| Some((element, kind, level.detail.clone(), findings_of(verification, level)));
    let end = match level.outcome {
        Outcome::Passed | Outcome::Warned => None,
        Outcome::Failed => end("failure", "damage"),
        Outcome::Inconclusive => end("error", "inconclusive"),
        Outcome::NotRun => end("skipped", "not-run"),
        Outcome::NotApplicable => end("skipped", "not-applicable"),
    };
    Case { name: format!("level {}", level.level.name()), end }
}

fn rule(result: &RuleResult) -> Case {
    let end = |element, kind| Some((element, kind, result.message.clone(), String::new()));
    let end = match (result.passed, result.severity) {
        (Some(true), _) => None,
        (Some(false), RuleSeverity::Error) => end("failure", "policy"),
        (None, RuleSeverity::Error) => end("error", "inconclusive"),
        (_, RuleSeverity::Warning) => end("skipped", "warning"),
    };
    Case { name: format!("policy {}", result.title()), end }
}

fn suite(out: &mut String, path: &str, seconds: f64, counts: &Counts, cases: &[Case]) {
    let Counts { tests, failures, errors, skipped } = counts;
    let _ = writeln!(
        out,
        "  <testsuite name=\"{}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" \
         skipped=\"{skipped}\" time=\"{seconds:.3}\">",
        escape(path)
    );
    for case in cases {
        let _ = write!(out, "    <testcase classname=\"{}\" name=\"{}\"", escape(path), escape(&case.name));
        let _ = match &case.end {
            None => writeln!(out, "/>"),
            Some((element, kind, message, text)) => writeln!(
                out,
                ">\n      <{element} type=\"{kind}\" message=\"{}\">{}</{element}>\n    </testcase>",
                escape(message),
                escape(text)
            ),
        };
    }
    let _ = writeln!(out, "  </testsuite>");
}

/// Text for an attribute or an element. What XML 1.0 cannot hold at all, even escaped, becomes U+FFFD.
fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\t' | '\r' => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            '\n' => out.push('\n'),
            '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_is_text_afterwards() {
        assert_eq!(
            escape("a<b>&\"c'\u{1b}[31m\u{9b}\u{0}\u{fffe}é\t"),
            "a&lt;b&gt;&amp;&quot;c&apos;\u{fffd}[31m\u{fffd}\u{fffd}\u{fffd}é&#9;"
        );
        let all: String = (0..=0x2_0000).filter_map(char::from_u32).collect();
        let escaped = escape(&all);
        assert!(!escaped.contains(['<', '>', '"', '\'', '\u{1b}', '\u{fffe}', '\u{0}']));
        assert!(escaped.split('&').skip(1).all(|entity| {
            ["lt;", "gt;", "amp;", "quot;", "apos;", "#9;", "#13;"].iter().any(|e| entity.starts_with(e))
        }));
    }
}
