//! The rules about how values are protected.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::value::Providers;
use super::{Judge, Policy, Rule};
use crate::kube::protection::{Protection, ProtectionReport, ValuePlace};
use crate::words::error::printable;

/// The resources that the rules are about, if one of the rules is asked for.
pub(super) fn resources(policy: &Policy) -> Option<Vec<String>> {
    let others = policy.encryption_provider.is_some() || policy.no_plaintext_residue == Some(true);
    policy.encrypted.clone().or_else(|| others.then(|| vec!["secrets".to_owned()]))
}

impl Judge<'_> {
    pub(super) fn encryption(&mut self) {
        let Some(due) = resources(self.policy) else { return };
        let names = printable(&due.join(", "));
        let (encrypted, providers) =
            (self.policy.encrypted.is_some(), self.policy.encryption_provider.clone());
        let residue = self.policy.no_plaintext_residue == Some(true);
        let limit = json!(due);
        let verification = self.verification;
        let Some(report) = verification.measured.protection.as_ref().filter(|_| self.is_whole()) else {
            let asked = [
                (Rule::Encrypted, encrypted, limit),
                (Rule::EncryptionProvider, providers.is_some(), json!(providers.map(|p| p.0))),
                (Rule::NoPlaintextResidue, residue, json!(0)),
            ];
            let why = self.nothing();
            asked.into_iter().filter(|(_, asked, _)| *asked).for_each(|(id, _, limit)| {
                self.unmeasured(id, limit, why.clone());
            });
            return;
        };
        // A word that is no resource's is a slip: nothing is known of what was meant.
        let slip = (!report.unknown.is_empty()).then(|| {
            let unknown = printable(&report.unknown.join(", "));
            format!("not measured: no kind of Kubernetes or of the file is called that: {unknown}")
        });
        if encrypted {
            let plain = count(report, ValuePlace::Live, Protection::is_plain);
            let all = count(report, ValuePlace::Live, |_| true);
            let first = examples(report, &[ValuePlace::Live]);
            let message = format!("{plain} of {all} live values of {names} are plain{first}");
            self.one(Rule::Encrypted, plain, slip.as_ref(), (json!(plain), limit, message));
        }
        if let Some(providers) = providers {
            self.providers(&providers, report, &names, slip.as_ref());
        }
        if residue {
            self.residue(report, &names, slip.as_ref());
        }
    }

    fn is_whole(&self) -> bool {
        self.verification.measured.live_keys.is_some()
    }

    /// One result: broken by so many values, and if by none a slip leaves it open.
    fn one(&mut self, id: Rule, broken: u64, slip: Option<&String>, told: (Value, Value, String)) {
        let (measured, limit, message) = told;
        match slip {
            Some(why) if broken == 0 => self.unmeasured(id, limit, why.clone()),
            _ => self.result(id, Some(broken == 0), measured, limit, message),
        }
    }

    fn providers(&mut self, due: &Providers, report: &ProtectionReport, names: &str, slip: Option<&String>) {
        let by = |protection: &Protection| due.0.iter().any(|due| protection.is_by(due));
        let others = count(report, ValuePlace::Live, |protection| !by(protection));
        let mut measured: BTreeMap<String, u64> = BTreeMap::new();
        for row in report.resources.iter().flat_map(|resource| &resource.under) {
            let name = match &row.protection {
                Protection::Plain => "plain".to_owned(),
                Protection::Encrypted { provider, version, .. } => format!("{provider}:{version}"),
            };
            let sum = measured.entry(name).or_default();
            *sum = sum.saturating_add(row.live);
        }
        measured.retain(|_, live| *live > 0);
        let words =
            measured.iter().map(|(name, live)| format!("{name} {live}")).collect::<Vec<_>>().join(", ");
        let words = if words.is_empty() { "there are none".to_owned() } else { words };
        let limit = printable(&due.0.join(", "));
        let message = format!("live values of {names} are by {words}; {limit} is due");
        self.one(Rule::EncryptionProvider, others, slip, (json!(measured), json!(due.0), message));
    }

    fn residue(&mut self, report: &ProtectionReport, names: &str, slip: Option<&String>) {
        let [history, free] =
            [ValuePlace::History, ValuePlace::Free].map(|place| count(report, place, Protection::is_plain));
        let pages = &report.free_pages;
        let begun = pages.remnants.plain.iter().fold(0u64, |sum, residue| sum.saturating_add(residue.count));
        let all = history.saturating_add(free).saturating_add(begun);
        let first = examples(report, &[ValuePlace::History, ValuePlace::Free]);
        let mut message = format!(
            "plain values of {names}: {history} in history, {free} whole in free pages, {begun} that begin in pages written over in part{first}"
        );
        let unknown = pages.remnants.plain_unknown;
        let open = match (slip, unknown, pages.unreadable) {
            (Some(why), ..) => Some(why.clone()),
            (None, 0, 0) => None,
            (None, unknown, unreadable) => {
                message = format!(
                    "not measured: of {unknown} plain values that begin in free pages the kind is not known, and {unreadable} free pages could not be read"
                );
                Some(message.clone())
            }
        };
        self.one(Rule::NoPlaintextResidue, all, open.as_ref(), (json!(all), json!(0), message));
    }
}

fn count(report: &ProtectionReport, place: ValuePlace, of: impl Fn(&Protection) -> bool + Copy) -> u64 {
    report.resources.iter().fold(0, |sum, resource| sum.saturating_add(resource.count(place, of)))
}

/// The first plain values that are told, as the end of a sentence.
fn examples(report: &ProtectionReport, places: &[ValuePlace]) -> String {
    let all = report.resources.iter().flat_map(|resource| &resource.plain);
    let keys: Vec<String> = all
        .filter(|value| places.contains(&value.place))
        .map(|value| value.key.to_string())
        .take(3)
        .collect();
    if keys.is_empty() { String::new() } else { format!(": {}", keys.join(", ")) }
}
