//! The differences of two objects as they are told: with noise left out, and bounded.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::fields::{FieldDelta, PathStep, field_diff, path_text};
use super::noise::Noise;
use crate::kube::decode::Object;

/// Differences that are kept of one object, and the bytes of their paths.
const KEPT: usize = 10_000;
const PATHS: usize = 4 << 20;

/// What became of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldChangeKind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It has another value.
    Changed,
    /// The elements of a list are in another order.
    Reordered,
}

/// A field that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FieldChange {
    /// Which, as [`path_text`] writes it.
    pub path: String,
    /// How.
    pub kind: FieldChangeKind,
    /// What it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What it is; of a list in another order the places that its elements had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// What differs between two objects.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct FieldChanges {
    /// The first ten thousand fields that differ.
    pub changes: Vec<FieldChange>,
    /// How many more there are.
    #[serde(skip_serializing_if = "is_none")]
    pub more: u64,
    /// Fields that differ and were left out, by rule.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub left_out: BTreeMap<Noise, u64>,
}

fn is_none(n: &u64) -> bool {
    *n == 0
}

impl FieldChanges {
    /// What differs between two objects, of which `hidden` is left out. Secrets are told as they are: who shows them to
    /// somebody redacts both objects before.
    #[must_use]
    pub fn between(before: &Object, after: &Object, hidden: &[Noise]) -> FieldChanges {
        let (mut found, mut paths) = (FieldChanges::default(), 0usize);
        field_diff(&before.json, &after.json, &mut |path, delta| {
            if let Some(noise) = Noise::of_field(path).filter(|noise| hidden.contains(noise)) {
                let count = found.left_out.entry(noise).or_default();
                *count = count.saturating_add(1);
                return;
            }
            if found.changes.len() >= KEPT || paths >= PATHS {
                found.more = found.more.saturating_add(1);
                return;
            }
            let change = FieldChange::new(path, delta);
            paths = paths.saturating_add(change.path.len());
            found.changes.push(change);
        });
        found.unknown(before, after);
        found
    }

    /// Whether nothing differs, be it noise.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.left_out.is_empty()
    }

    /// Fields that no message is known to have are told by number and length.
    fn unknown(&mut self, before: &Object, after: &Object) {
        if before.unknown == after.unknown {
            return;
        }
        let (one, other) = (unknown_fields(before), unknown_fields(after));
        let mut tell = |field: &Unknown<'_>, kind| {
            let (path, number, _, bytes) = field;
            let value = Some(format!("unknown field of {} bytes", bytes.len()).into());
            let (before, after) =
                if kind == FieldChangeKind::Removed { (value, None) } else { (None, value) };
            self.changes.push(FieldChange { path: format!("{path}({number})"), kind, before, after });
        };
        one.difference(&other).take(KEPT).for_each(|field| tell(field, FieldChangeKind::Removed));
        other.difference(&one).take(KEPT).for_each(|field| tell(field, FieldChangeKind::Added));
    }
}

type Unknown<'o> = (&'o str, u32, u8, &'o [u8]);

fn unknown_fields(object: &Object) -> BTreeSet<Unknown<'_>> {
    let told = object.unknown.iter().filter(|field| !field.is_empty());
    told.map(|field| (&*field.path, field.number, field.wire, &*field.bytes)).collect()
}

impl FieldChange {
    fn new(path: &[PathStep<'_>], delta: FieldDelta<'_>) -> FieldChange {
        let (kind, before, after) = match delta {
            FieldDelta::Added(value) => (FieldChangeKind::Added, None, Some(value.clone())),
            FieldDelta::Removed(value) => (FieldChangeKind::Removed, Some(value.clone()), None),
            FieldDelta::Changed(a, b) => (FieldChangeKind::Changed, Some(a.clone()), Some(b.clone())),
            FieldDelta::Reordered(order) => (FieldChangeKind::Reordered, None, Some(order.into())),
        };
        FieldChange { path: path_text(path), kind, before, after }
    }
}
