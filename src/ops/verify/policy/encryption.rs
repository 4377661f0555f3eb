//! The rules about how values are protected.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::rule::Rule;
use super::value::Providers;
use crate::kube::protection::{Protection, ProtectionReport};
use crate::kube::versions::ValuePlace;
use crate::words::error::printable;

/// What is asked for.
pub(super) struct EncryptionRules<'p> {
    pub encrypted: Option<&'p [String]>,
    pub providers: Option<&'p Providers>,
    pub residue: bool,
}

/// How one rule ended: whether it is kept, what was measured and what is due, and both in words.
pub(super) struct Held {
    pub id: Rule,
    pub passed: Option<bool>,
    pub measured: Value,
    pub limit: Value,
    pub message: String,
}

impl EncryptionRules<'_> {
    /// The resources that the rules are about; none where no rule is asked for.
    pub(super) fn resources(&self) -> Vec<String> {
        let others = self.providers.is_some() || self.residue;
        let default = if others { vec!["secrets".to_owned()] } else { Vec::new() };
        self.encrypted.map_or(default, <[String]>::to_vec)
    }

    /// Holds what was found against the rules. Where nothing was, `nothing` says why.
    pub(super) fn check(&self, found: Option<&ProtectionReport>, nothing: &str) -> Vec<Held> {
        let names = printable(&self.resources().join(", "));
        let asked = |report| {
            let encrypted = self.encrypted.map(|due| encrypted(due, report, &names));
            let providers = self.providers.map(|due| by_provider(due, report, &names));
            let residue = self.residue.then(|| residue(report, &names));
            [encrypted, providers, residue].into_iter().flatten().collect()
        };
        if let Some(report) = found {
            return asked(report);
        }
        let mut all: Vec<Held> = asked(&ProtectionReport::default());
        for held in &mut all {
            (held.passed, held.measured, held.message) = (None, Value::Null, nothing.to_owned());
        }
        all
    }
}

impl Held {
    /// The same of live values, of which there are so many: of none nothing is known.
    fn of_live(
        id: Rule,
        all: u64,
        broken: u64,
        report: &ProtectionReport,
        told: (Value, Value, String),
    ) -> Held {
        if all > 0 || !report.unknown.is_empty() {
            return Held::of(id, broken, report, told);
        }
        let message = "not measured: there is no live value of them".to_owned();
        Held { id, passed: None, measured: Value::Null, limit: told.1, message }
    }

    /// Broken by so many values; if by none, and a word that was asked for is no resource's, that is a slip: nothing is
    /// known of what was meant. The rule that names them is then broken: whoever wrote it must hear of it.
    fn of(id: Rule, broken: u64, report: &ProtectionReport, told: (Value, Value, String)) -> Held {
        let (measured, limit, message) = told;
        if broken > 0 || report.unknown.is_empty() {
            return Held { id, passed: Some(broken == 0), measured, limit, message };
        }
        let unknown = printable(&report.unknown.join(", "));
        let why = format!("not measured: no kind of Kubernetes or of the file is called that: {unknown}");
        let passed = (id == Rule::Encrypted).then_some(false);
        Held { id, passed, measured: Value::Null, limit, message: why }
    }
}

fn encrypted(due: &[String], report: &ProtectionReport, names: &str) -> Held {
    let plain = count(report, ValuePlace::Live, Protection::is_plain);
    let all = count(report, ValuePlace::Live, |_| true);
    let first = examples(report, &[ValuePlace::Live]);
    let message = format!("{plain} of {all} live values of {names} are plain{first}");
    Held::of_live(Rule::Encrypted, all, plain, report, (json!(plain), json!(due), message))
}

fn by_provider(due: &Providers, report: &ProtectionReport, names: &str) -> Held {
    let by = |protection: &Protection| due.0.iter().any(|due| protection.is_by(due));
    let others = count(report, ValuePlace::Live, |protection| !by(protection));
    let all = count(report, ValuePlace::Live, |_| true);
    let mut measured: BTreeMap<String, u64> = BTreeMap::new();
    for row in report.resources.iter().flat_map(|resource| &resource.under).filter(|row| row.live > 0) {
        let name = match &row.protection {
            Protection::Plain => "plain".to_owned(),
            Protection::Encrypted { provider, version, .. } => format!("{provider}:{version}"),
        };
        let sum = measured.entry(name).or_default();
        *sum = sum.saturating_add(row.live);
    }
    let words = measured.iter().map(|(name, live)| format!("{name} {live}")).collect::<Vec<_>>().join(", ");
    let limit = printable(&due.0.join(", "));
    let message = format!("live values of {names} by provider: {words}; {limit} is due");
    Held::of_live(Rule::EncryptionProvider, all, others, report, (json!(measured), json!(due.0), message))
}

fn residue(report: &ProtectionReport, names: &str) -> Held {
    let [history, free] =
        [ValuePlace::History, ValuePlace::Free].map(|place| count(report, place, Protection::is_plain));
    let pages = &report.free_pages;
    let begun = pages.remnants.plain.iter().fold(0u64, |sum, residue| sum.saturating_add(residue.count));
    let all = history.saturating_add(free).saturating_add(begun);
    let (unknown, unreadable) = (pages.remnants.plain_unknown, pages.unreadable);
    if all == 0 && (unknown > 0 || unreadable > 0) {
        let message = format!(
            "not measured: {unknown} plain values begin in free pages that do not tell their kind, and {unreadable} free pages could not be read"
        );
        let id = Rule::NoPlaintextResidue;
        return Held { id, passed: None, measured: Value::Null, limit: json!(0), message };
    }
    let first = examples(report, &[ValuePlace::History, ValuePlace::Free]);
    let message = format!(
        "plain values of {names}: {history} in history, {free} in free pages, {begun} that begin in pages written over in part{first}"
    );
    Held::of(Rule::NoPlaintextResidue, all, report, (json!(all), json!(0), message))
}

fn count(report: &ProtectionReport, place: ValuePlace, of: impl Fn(&Protection) -> bool + Copy) -> u64 {
    report.resources.iter().fold(0, |sum, resource| sum.saturating_add(resource.count(place, of)))
}

/// The first plain values that are told, as the end of a sentence.
fn examples(report: &ProtectionReport, places: &[ValuePlace]) -> String {
    let all = report.resources.iter().flat_map(|resource| &resource.plain);
    let here = all.filter(|value| places.contains(&value.place));
    let keys: Vec<String> = here.map(|value| value.key.to_string()).take(3).collect();
    if keys.is_empty() { String::new() } else { format!(": {}", keys.join(", ")) }
}
