//! SARIF 2.1.0: a rule for each finding code and policy rule that occurs, a result for each finding and each rule
//! that is not kept.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, is_separator};

use crate::codec::json;
use crate::kube::risk::{RiskFound, RiskReport, RiskRule, RiskSeverity};
use crate::ops::verify::policy::{Rule, RuleResult, RuleSeverity};
use crate::ops::verify::{Answer, Judged, Verdict};
use crate::words::finding::{Code, Finding, Severity};
use serde_json::{Map, Value, json};

use super::unlisted;

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// Writes one run.
///
/// # Errors
/// What `out` fails with.
pub fn write(answer: &Answer, out: &mut dyn Write) -> io::Result<()> {
    let codes: BTreeSet<Code> =
        answer.files.iter().flat_map(|f| f.verification.findings.iter().map(|f| f.code)).collect();
    let broken = |f: &Judged| {
        f.verification.policy.iter().filter(|r| r.passed != Some(true)).map(|r| r.id).collect::<Vec<_>>()
    };
    let policy: BTreeSet<Rule> = answer.files.iter().flat_map(broken).collect();
    let rules: Vec<Value> = codes.iter().map(|c| code(*c)).chain(policy.iter().map(|r| rule(*r))).collect();

    let mut results = Vec::new();
    for Judged { verification, .. } in &answer.files {
        results.extend(verification.findings.iter().map(finding));
        results.extend(
            verification
                .policy
                .iter()
                .filter(|r| r.passed != Some(true))
                .map(|r| breach(r, &verification.path)),
        );
    }
    let notifications: Vec<Value> = answer
        .unreadable
        .iter()
        .map(|u| json!({"level": "error", "message": text(&u.error), "locations": [whole(&u.path)]}))
        .collect();
    let counts: Map<String, Value> = answer
        .files
        .iter()
        .map(|f| {
            let v = &f.verification;
            let counted = json!({
                "verdict": v.verdict,
                "levels": v.levels,
                "findings": v.finding_counts,
                "notListed": unlisted(v),
            });
            (v.path.clone(), counted)
        })
        .collect();
    let invocation = json!({
        "executionSuccessful": answer.verdict != Verdict::Unreadable && answer.unreadable.is_empty(),
        "toolExecutionNotifications": notifications,
    });
    let properties = json!({"verdict": answer.verdict, "files": counts});
    log((rules, results), invocation, properties, out)
}

/// Writes one run of what rules say of the objects of a file: a rule for each that spoke, a result for each time.
///
/// # Errors
/// What `out` fails with.
pub fn write_risks<'r>(
    path: &str,
    risks: impl Iterator<Item = &'r RiskFound> + Clone,
    report: &RiskReport,
    out: &mut dyn Write,
) -> io::Result<()> {
    let rules: BTreeSet<RiskRule> = risks.clone().map(|found| found.risk.rule).collect();
    let rules = rules.into_iter().map(risk_rule).collect();
    let results = risks.map(|found| risk(path, found)).collect();
    log((rules, results), json!({"executionSuccessful": true}), json!({"report": report}), out)
}

/// A log of one run.
fn log(
    (rules, results): (Vec<Value>, Vec<Value>),
    invocation: Value,
    properties: Value,
    out: &mut dyn Write,
) -> io::Result<()> {
    let run = json!({
        "tool": {"driver": {"name": "coldbolt", "version": env!("CARGO_PKG_VERSION"), "rules": rules}},
        "invocations": [invocation],
        "columnKind": "unicodeCodePoints",
        "results": results,
        "properties": properties,
    });
    json::write_pretty(&mut *out, &json!({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}))?;
    writeln!(out)
}

fn risk_level(severity: RiskSeverity) -> &'static str {
    match severity {
        RiskSeverity::Low => "note",
        RiskSeverity::Medium => "warning",
        RiskSeverity::High => "error",
    }
}

fn risk_rule(rule: RiskRule) -> Value {
    json!({
        "id": rule.name(),
        "shortDescription": text(rule.meaning()),
        "fullDescription": text(&format!("{} {}", rule.meaning(), rule.guidance())),
        "help": text(&format!("What to look at: {}", rule.look())),
        "defaultConfiguration": {"level": risk_level(rule.severity())},
    })
}

fn risk(path: &str, found: &RiskFound) -> Value {
    let parts = [&found.namespace, &found.kind, &found.name];
    let parts: Vec<_> = parts.iter().filter(|part| !part.is_empty()).map(|part| part.to_string()).collect();
    let object = parts.join("/");
    json!({
        "ruleId": found.risk.rule.name(),
        "level": risk_level(found.risk.rule.severity()),
        "message": text(&format!("{object}: {}", found.risk.detail)),
        "locations": [{
            "physicalLocation": {"artifactLocation": {"uri": uri(path)}},
            "logicalLocations": [{"fullyQualifiedName": object, "kind": "object"}],
        }],
        "properties": {"revision": found.mod_revision, "own": found.own, "written": found.written},
    })
}

fn text(text: &str) -> Value {
    json!({"text": text})
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Note => "note",
        Severity::Warning => "warning",
        Severity::Damage => "error",
    }
}

fn code(code: Code) -> Value {
    json!({
        "id": code.name(),
        "shortDescription": text(code.meaning()),
        "fullDescription": text(&format!("{} {}", code.meaning(), code.etcd())),
        "help": text(&format!("What etcd does: {}\n\nWhat to do: {}", code.etcd(), code.remedy())),
        "defaultConfiguration": {"level": level(code.severity())},
    })
}

fn rule(rule: Rule) -> Value {
    json!({
        "id": rule_id(rule),
        "shortDescription": text(rule.meaning()),
        "help": text("A rule of the policy that verify was given."),
    })
}

fn rule_id(rule: Rule) -> String {
    format!("policy/{rule}")
}

fn finding(finding: &Finding) -> Value {
    let mut location = json!({"artifactLocation": {"uri": uri(&finding.file)}});
    if let (Some(offset), Some(location)) = (finding.at.offset, location.as_object_mut()) {
        location.insert("region".to_owned(), json!({"byteOffset": offset}));
    }
    let at = finding.at.to_string();
    let sep = if at.is_empty() { "" } else { ": " };
    json!({
        "ruleId": finding.code.name(),
        "level": level(finding.severity),
        "message": text(&format!("{at}{sep}{}", finding.detail)),
        "locations": [{"physicalLocation": location}],
        "properties": {"at": finding.at},
    })
}

fn breach(result: &RuleResult, path: &str) -> Value {
    // Only what fails has a level; what could not be measured is open.
    let (kind, level) = match (result.passed == Some(false), result.severity) {
        (true, RuleSeverity::Error) => ("fail", "error"),
        (true, RuleSeverity::Warning) => ("fail", "warning"),
        (false, _) => ("open", "none"),
    };
    json!({
        "ruleId": rule_id(result.id),
        "kind": kind,
        "level": level,
        "message": text(&result.message),
        "locations": [whole(path)],
        "properties": {"measured": result.measured, "limit": result.limit},
    })
}

/// The location of a whole file.
fn whole(path: &str) -> Value {
    json!({"physicalLocation": {"artifactLocation": {"uri": uri(path)}}})
}

/// A path as a URI reference: relative paths stay relative.
fn uri(path: &str) -> String {
    let from_root = if path.starts_with('/') { "file://" } else { "file:///" };
    let mut uri = String::from(if Path::new(path).is_absolute() { from_root } else { "" });
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(byte.into())
            }
            _ if is_separator(byte.into()) => uri.push('/'),
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_uris() {
        for (path, due) in [
            ("a b/c:d%é.db", "a%20b/c%3Ad%25%C3%A9.db"),
            ("/x/y.db", "file:///x/y.db"),
            ("(standard input)", "%28standard%20input%29"),
        ] {
            assert_eq!(uri(path), due);
        }
    }
}
