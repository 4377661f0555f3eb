//! Metrics in the text format, for the textfile collector of the node exporter.

use std::collections::BTreeSet;
use std::fmt::{Display, Write as _};
use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::ops::verify::{Answer, Judged, Outcome, Verdict};
use serde::Serialize;

/// One metric: all its samples stand together.
struct Metric {
    text: String,
    seen: BTreeSet<String>,
}

impl Metric {
    fn new(name: &str, help: &str) -> Metric {
        let text = format!("# HELP coldbolt_verify_{name} {help}\n# TYPE coldbolt_verify_{name} gauge\n");
        Metric { text, seen: BTreeSet::new() }
    }

    /// One sample. A series that is there already stays: a file with one twice is refused as a whole.
    fn put(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels = labels
            .iter()
            .map(|(label, value)| format!("{label}=\"{}\"", escape(value)))
            .collect::<Vec<_>>()
            .join(",");
        if self.seen.insert(labels.clone()) {
            let _ = writeln!(self.text, "coldbolt_verify_{name}{{{labels}}} {value}");
        }
    }
}

type Value = fn(&Judged) -> Option<String>;

const VALUES: [(&str, &str, Value); 12] = [
    ("size_bytes", "Length of the file.", |f| Some(f.verification.measured.file_size.to_string())),
    ("db_size_bytes", "Length of the database in it.", |f| Some(f.verification.measured.db_size.to_string())),
    ("free_bytes", "Bytes of free pages in the database.", |f| {
        f.verification.measured.status_hash.map(|_| f.verification.measured.free_bytes.to_string())
    }),
    ("revision", "Last revision.", |f| text(f.verification.measured.revision)),
    ("compact_revision", "Compact revision.", |f| text(f.verification.measured.compact_revision)),
    ("keys", "Live keys.", |f| text(f.verification.measured.live_keys)),
    ("revisions", "Stored revisions of all keys.", |f| text(f.verification.measured.revisions)),
    ("wal_lag_entries", "Entries in the WAL that the database lacks.", |f| {
        text(f.verification.measured.wal_lag)
    }),
    ("modified_timestamp_seconds", "Modification time of the file.", |f| {
        let modified = f.verification.measured.modified.as_ref()?;
        text(modified.parse::<jiff::Timestamp>().ok().map(|t| t.as_second()))
    }),
    ("evidence_timestamp_seconds", "Newest time that something inside the file tells.", |f| {
        text(f.verification.measured.newest_evidence.as_ref().map(|e| e.time.as_second()))
    }),
    ("duration_seconds", "How long the verification took.", |f| Some(f.took.as_secs_f64().to_string())),
    ("success", "1 if everything that was asked for was checked and is good.", |f| {
        Some(u8::from(f.verification.verdict == Verdict::Good).to_string())
    }),
];

fn text(value: Option<impl ToString>) -> Option<String> {
    value.map(|value| value.to_string())
}

/// Writes all metrics.
///
/// # Errors
/// What `out` fails with.
pub fn write(answer: &Answer, out: &mut dyn Write) -> io::Result<()> {
    for (name, help, value) in VALUES {
        let mut metric = Metric::new(name, help);
        for file in &answer.files {
            if let Some(value) = value(file) {
                metric.put(name, &[("path", &file.verification.path)], value);
            }
        }
        if name == "success" {
            answer.unreadable.iter().for_each(|u| metric.put(name, &[("path", &u.path)], 0));
        }
        if !metric.seen.is_empty() {
            out.write_all(metric.text.as_bytes())?;
        }
    }
    for metric in [verdicts(answer), levels(answer), findings(answer), rules(answer)] {
        if !metric.seen.is_empty() {
            out.write_all(metric.text.as_bytes())?;
        }
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let name = "last_run_timestamp_seconds";
    writeln!(out, "{}coldbolt_verify_{name} {now}", Metric::new(name, "When this was written.").text)
}

fn verdicts(answer: &Answer) -> Metric {
    let mut metric = Metric::new("verdict", "1 for the verdict on the file, 0 for the others.");
    let files = answer.files.iter().map(|f| (&f.verification.path, f.verification.verdict));
    for (path, is) in files.chain(answer.unreadable.iter().map(|u| (&u.path, Verdict::Unreadable))) {
        for verdict in [Verdict::Good, Verdict::Inconclusive, Verdict::Unreadable, Verdict::Bad] {
            metric.put("verdict", &[("path", path), ("verdict", &name(verdict))], u8::from(is == verdict));
        }
    }
    metric
}

fn levels(answer: &Answer) -> Metric {
    let mut metric = Metric::new(
        "level",
        "1 for a level that passed, 0 for one that failed, NaN for one that could not be checked.",
    );
    for file in &answer.files {
        for level in &file.verification.levels {
            let value = match level.outcome {
                Outcome::Passed | Outcome::Warned => 1.0,
                Outcome::Failed => 0.0,
                Outcome::Inconclusive => f64::NAN,
                Outcome::NotRun | Outcome::NotApplicable => continue,
            };
            metric.put("level", &[("path", &file.verification.path), ("level", level.level.name())], value);
        }
    }
    metric
}

fn findings(answer: &Answer) -> Metric {
    let mut metric = Metric::new("findings", "Findings by code.");
    for file in &answer.files {
        for (code, severity, n) in file.verification.codes() {
            let severity = severity.to_string();
            let labels =
                [("path", file.verification.path.as_str()), ("code", code.name()), ("severity", &severity)];
            metric.put("findings", &labels, n);
        }
    }
    metric
}

fn rules(answer: &Answer) -> Metric {
    let mut metric = Metric::new(
        "check",
        "1 for a rule of the policy that is kept, 0 for a broken one, NaN for one that could not be checked.",
    );
    for file in &answer.files {
        for rule in &file.verification.policy {
            let value = rule.passed.map_or(f64::NAN, |passed| f64::from(u8::from(passed)));
            let (path, keys) = (file.verification.path.as_str(), rule.keys.as_deref().unwrap_or_default());
            let severity = rule.severity.to_string();
            metric.put(
                "check",
                &[("path", path), ("id", rule.id.name()), ("keys", keys), ("severity", &severity)],
                value,
            );
        }
    }
    metric
}

fn name(value: impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The value of a label.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
