//! The sums: how many values of each resource are protected how, and which are not as the newest one is.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::means::Protection;
use crate::etcd::Revision;
use crate::kube::versions::{FoundVersion, ValuePlace};
use crate::words::text::Told;

/// Resources and protections that are told apart; a file may claim any number, and what is beyond is one sum.
const ROWS: usize = 10_000;

/// Plain values that are kept by name, whatever the newest write is.
const EXAMPLES: usize = 3;

/// The newest write of some.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct LatestWrite {
    /// Its revision.
    pub revision: i64,
    /// It was not before this time: the newest that tells itself of all that was written up to then.
    #[serde(serialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
}

fn text<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(|time| time.to_string()).serialize(serializer)
}

/// The values of a resource that are protected alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnderProtection {
    /// How.
    #[serde(flatten)]
    pub protection: Protection,
    /// Live ones.
    pub live: u64,
    /// Those that are stored and not live.
    pub history: u64,
    /// Those that are stored no more, and found in free pages.
    pub free: u64,
    /// The newest of them.
    pub newest: LatestWrite,
}

/// A value, by its key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct NamedValue {
    /// Where it is.
    pub place: ValuePlace,
    /// How it is protected.
    #[serde(flatten)]
    pub protection: Protection,
    /// Its key in etcd.
    pub key: Told,
    /// The revision it was written in.
    pub revision: i64,
}

/// How the values of a resource are protected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ResourceProtection {
    /// As `secrets` or `deployments.apps`.
    pub resource: Told,
    /// By protection, that of the newest write first: what is written now is protected like it.
    pub under: Vec<UnderProtection>,
    /// How many values are protected otherwise than the newest write.
    pub left: u64,
    /// The first of them: live ones first, and among them those that are plain.
    pub values_left: Vec<NamedValue>,
    /// A few of the plain ones, live ones first, whatever the newest write is.
    #[serde(skip)]
    pub plain: Vec<NamedValue>,
}

impl ResourceProtection {
    /// How many values are so, in a place.
    #[must_use]
    pub fn count(&self, place: ValuePlace, of: impl Fn(&Protection) -> bool) -> u64 {
        let rows = self.under.iter().filter(|row| of(&row.protection));
        rows.fold(0, |sum, row| sum.saturating_add(row.of(place)))
    }
}

impl UnderProtection {
    fn of(&self, place: ValuePlace) -> u64 {
        match place {
            ValuePlace::Live => self.live,
            ValuePlace::History => self.history,
            ValuePlace::Free => self.free,
        }
    }

    fn all(&self) -> u64 {
        self.live.saturating_add(self.history).saturating_add(self.free)
    }
}

struct Row {
    live: u64,
    history: u64,
    free: u64,
    newest: (Revision, Option<Timestamp>),
    names: BTreeSet<(ValuePlace, Vec<u8>, Revision)>,
}

/// Adds values up.
pub(super) struct Tally {
    /// Names that are kept for each row.
    limit: usize,
    rows: usize,
    /// By group in the key, resource in the key, and protection.
    sums: BTreeMap<String, BTreeMap<String, BTreeMap<Protection, Row>>>,
}

/// That of a key, making room for it once.
fn entry<'m, V: Default>(map: &'m mut BTreeMap<String, V>, key: &str) -> &'m mut V {
    if !map.contains_key(key) {
        map.insert(key.to_owned(), V::default());
    }
    map.entry(key.to_owned()).or_default()
}

impl Tally {
    pub(super) fn new(limit: usize) -> Tally {
        Tally { limit, rows: 0, sums: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, value: &FoundVersion<'_>) {
        let (mut group, mut resource) = (value.at.group.unwrap_or_default(), value.at.resource);
        let mut protection = Protection::of(value.value);
        let known = |sums: &BTreeMap<String, BTreeMap<String, BTreeMap<Protection, Row>>>| {
            sums.get(group).and_then(|all| all.get(resource)?.get(&protection)).is_some()
        };
        if self.rows >= ROWS && !known(&self.sums) {
            (group, resource) = ("", "(others)");
            if let Protection::Encrypted { provider, version, name, kms_key } = &mut protection {
                (*provider, *version, *name, *kms_key) =
                    (Told::default(), Told::default(), Told::default(), None);
            }
        }
        let rows = entry(entry(&mut self.sums, group), resource);
        let row = rows.entry(protection).or_insert_with(|| {
            self.rows = self.rows.saturating_add(1);
            Row {
                live: 0,
                history: 0,
                free: 0,
                newest: (value.revision, value.not_before),
                names: BTreeSet::new(),
            }
        });
        let sum = match value.place {
            ValuePlace::Live => &mut row.live,
            ValuePlace::History => &mut row.history,
            ValuePlace::Free => &mut row.free,
        };
        *sum = sum.saturating_add(1);
        if value.revision > row.newest.0 {
            row.newest = (value.revision, value.not_before);
        }
        row.name(value, self.limit);
    }

    /// `called` knows what the resource of a key is called.
    pub(super) fn finish(self, called: impl Fn(&str, &str) -> String) -> Vec<ResourceProtection> {
        let limit = self.limit;
        let mut all = Vec::new();
        for (group, resources) in self.sums {
            for (resource, rows) in resources {
                all.push(of_resource(called(&group, &resource).into(), rows, limit));
            }
        }
        all.sort_by(|a: &ResourceProtection, b| a.resource.cmp(&b.resource));
        all
    }
}

impl Row {
    fn name(&mut self, value: &FoundVersion<'_>, limit: usize) {
        let (place, revision) = (value.place, value.revision);
        if self.names.len() >= limit {
            let later = (place, value.key, revision);
            let last = self.names.last().map(|(place, key, revision)| (*place, &**key, *revision));
            if last.is_none_or(|last| later >= last) {
                return;
            }
            self.names.pop_last();
        }
        self.names.insert((place, value.key.to_vec(), revision));
    }
}

fn of_resource(resource: Told, rows: BTreeMap<Protection, Row>, limit: usize) -> ResourceProtection {
    let mut rows: Vec<_> = rows.into_iter().collect();
    rows.sort_by_key(|(_, row)| std::cmp::Reverse(row.newest.0));
    let (under, values_left, plain) = (Vec::new(), Vec::new(), Vec::new());
    let mut found = ResourceProtection { resource, under, left: 0, values_left, plain };
    for (number, (protection, row)) in rows.into_iter().enumerate() {
        let Row { live, history, free, newest: (revision, not_before), names } = row;
        let mut names = names.into_iter().map(|(place, key, revision)| {
            let key = String::from_utf8_lossy(&key).into_owned().into();
            NamedValue { place, protection: protection.clone(), key, revision: revision.main }
        });
        if protection.is_plain() {
            found.plain = names.by_ref().take(EXAMPLES).collect();
        }
        if number > 0 {
            found.values_left.extend(found.plain.iter().filter(|_| protection.is_plain()).cloned());
            found.values_left.extend(names);
        }
        let newest = LatestWrite { revision: revision.main, not_before };
        found.under.push(UnderProtection { protection, live, history, free, newest });
    }
    found.left = found.under.iter().skip(1).fold(0, |sum, row| sum.saturating_add(row.all()));
    found.values_left.sort();
    found.values_left.truncate(limit);
    found
}
