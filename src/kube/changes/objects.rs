//! Which objects differ between two keyspaces: of two files, or of one at two revisions.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde::Serialize;

use super::found::FieldChanges;
use super::noise::Noise;
use crate::etcd::KeyRange;
use crate::io::Window;
use crate::kube::cluster::Cluster;
use crate::kube::decode::Object;
use crate::kube::key::ObjectKey;
use crate::kube::secret::Redactor;
use crate::kube::selector::LabelSelector;
use crate::store::KeyState;
use crate::store::diff::{DiffOptions, Difference, DifferenceKind, diff};
use crate::words::error::Result;

/// Which objects to compare, and what to tell of them.
pub struct ObjectDiffOptions<'o> {
    /// Which keys are looked at.
    pub range: KeyRange<'o>,
    /// Which of their objects are compared.
    pub wanted: &'o dyn Fn(&ObjectKey<'_>) -> bool,
    /// Only objects that have these labels on one of the sides.
    pub selector: &'o LabelSelector,
    /// What is left out.
    pub hidden: &'o [Noise],
    /// What secrets are redacted by; without one they are told.
    pub redactor: Option<&'o Redactor>,
}

/// An object on one of the sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ObjectState {
    /// Its uid, if it can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// The revision in which its key was created.
    pub create_revision: i64,
    /// That of its last change.
    pub mod_revision: i64,
    /// How often it was written since it was created.
    pub version: i64,
    /// Why it could not be decoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undecoded: Option<String>,
}

/// An object that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ObjectDifference {
    /// How: recreated is what has the same name and another uid.
    #[serde(rename = "difference")]
    pub kind: DifferenceKind,
    /// Group and version, as `apps/v1`; empty where no side can be decoded.
    pub api_version: String,
    /// The kind, as `Deployment`, or what its resource is called where no side can be decoded.
    #[serde(rename = "kind")]
    pub object_kind: String,
    /// The namespace, if it is in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
    /// What it is in the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<ObjectState>,
    /// What it is in the second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<ObjectState>,
    /// The fields that differ, where both sides can be decoded.
    #[serde(flatten)]
    pub fields: Option<FieldChanges>,
}

/// What was found in all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ObjectDiffReport {
    /// Objects that are live in the second only.
    pub added: u64,
    /// In the first only.
    pub removed: u64,
    /// In both, with other content.
    pub changed: u64,
    /// In both, and they are two.
    pub recreated: u64,
    /// Of those changed, what cannot be compared, as a side of it cannot be decoded.
    pub undecoded: u64,
    /// Objects that differ and cannot be decoded, so that it is not known whether they are selected.
    pub selection_unknown: u64,
    /// Objects that differ in nothing but what is left out.
    pub only_noise: u64,
    /// Objects that are written in another way and say the same.
    pub rewritten: u64,
    /// What was left out: objects that fall under a rule as a whole, and fields.
    pub left_out: BTreeMap<Noise, u64>,
    /// Keys that differ and are no objects of Kubernetes' API.
    pub other_keys: u64,
}

impl ObjectDiffReport {
    /// Objects that differ.
    #[must_use]
    pub fn differing(&self) -> u64 {
        [self.removed, self.changed, self.recreated].iter().fold(self.added, |sum, n| sum.saturating_add(*n))
    }

    fn leave_out(&mut self, noise: Noise, more: u64) {
        let count = self.left_out.entry(noise).or_default();
        *count = count.saturating_add(more);
    }
}

/// Hands out the objects that differ, in order of their keys, until `take` breaks off. Both keyspaces are gone through
/// side by side, and only values that differ are read: memory is that of [`diff`] and of two objects.
///
/// # Errors
/// [`Error::Damaged`](crate::Error::Damaged) when one of the two cannot be read.
pub fn object_diff(
    before: &Cluster<'_>,
    after: &Cluster<'_>,
    options: &ObjectDiffOptions<'_>,
    take: &mut dyn FnMut(ObjectDifference) -> ControlFlow<()>,
) -> Result<ObjectDiffReport> {
    let keys = DiffOptions {
        range: options.range.clone(),
        ignore: Vec::new(),
        // Else an object that is only of another revision differs in that.
        content_only: options.hidden.contains(&Noise::ResourceVersion),
    };
    let windows = [Window::scattered(), Window::scattered()];
    let mut work = Work { before, after, options, windows, report: ObjectDiffReport::default() };
    let mut done = Ok(());
    diff(before.view(), after.view(), &keys, &mut |difference| match work.object(&difference) {
        Ok(Some(found)) => take(found),
        Ok(None) => ControlFlow::Continue(()),
        Err(error) => {
            done = Err(error);
            ControlFlow::Break(())
        }
    })?;
    done.map(|()| work.report)
}

struct Work<'w> {
    before: &'w Cluster<'w>,
    after: &'w Cluster<'w>,
    options: &'w ObjectDiffOptions<'w>,
    windows: [Window; 2],
    report: ObjectDiffReport,
}

/// What is on one of the sides.
type Side = (ObjectState, Option<Object>);

impl Work<'_> {
    fn object(&mut self, difference: &Difference<'_>) -> Result<Option<ObjectDifference>> {
        let (before, after) = (self.before, self.after);
        let key = before.key(difference.key).object().or_else(|| after.key(difference.key).object());
        let Some(key) = key else {
            self.report.other_keys = self.report.other_keys.saturating_add(1);
            return Ok(None);
        };
        if !(self.options.wanted)(&key) {
            return Ok(None);
        }
        if let Some(noise) = Noise::of_object(&key).filter(|noise| self.options.hidden.contains(noise)) {
            self.report.leave_out(noise, 1);
            return Ok(None);
        }
        let redactor = self.options.redactor;
        let [one, other] = &mut self.windows;
        let a = difference.before.map(|state| side(before, state, redactor, one)).transpose()?;
        let b = difference.after.map(|state| side(after, state, redactor, other)).transpose()?;
        let objects = [&a, &b].map(|side| side.as_ref().and_then(|(_, object)| object.as_ref()));
        let selector = self.options.selector;
        let labels =
            |object: &Object| selector.matches(object.json.get("metadata").and_then(|m| m.get("labels")));
        if *selector != LabelSelector::default() && !objects.into_iter().flatten().any(labels) {
            // Of what cannot be decoded no labels are known.
            let states = [&a, &b].into_iter().flatten();
            let hidden = states.filter(|(state, _)| state.undecoded.is_some()).count() > 0;
            self.report.selection_unknown = self.report.selection_unknown.saturating_add(u64::from(hidden));
            return Ok(None);
        }
        Ok(self.judge(difference, &key, a, b))
    }

    fn judge(
        &mut self,
        difference: &Difference<'_>,
        key: &ObjectKey<'_>,
        a: Option<Side>,
        b: Option<Side>,
    ) -> Option<ObjectDifference> {
        let objects = [&a, &b].map(|side| side.as_ref().and_then(|(_, object)| object.as_ref()));
        let states = [&a, &b].map(|side| side.as_ref().map(|(state, _)| state));
        let kind = kind(difference.kind, states);
        let fields = match objects {
            [Some(a), Some(b)] => Some(FieldChanges::between(a, b, self.options.hidden)),
            _ => None,
        };
        if !self.count(kind, fields.as_ref()) {
            return None;
        }
        let of = objects.into_iter().flatten().last();
        Some(ObjectDifference {
            kind,
            api_version: of.map_or_else(String::new, |object| object.api_version.clone()),
            object_kind: of.map_or(key.resource, |object| &object.kind).to_owned(),
            namespace: key.namespace.map(str::to_owned),
            name: key.name.to_owned(),
            fields: fields.filter(|_| matches!(kind, DifferenceKind::Changed | DifferenceKind::Recreated)),
            before: a.map(|(state, _)| state),
            after: b.map(|(state, _)| state),
        })
    }

    /// Counts; whether it is to be told.
    fn count(&mut self, kind: DifferenceKind, fields: Option<&FieldChanges>) -> bool {
        let report = &mut self.report;
        fields
            .into_iter()
            .flat_map(|fields| &fields.left_out)
            .for_each(|(n, more)| report.leave_out(*n, *more));
        let count = match (kind, fields) {
            (DifferenceKind::Changed, Some(fields)) if fields.is_empty() => &mut report.rewritten,
            (DifferenceKind::Changed, Some(fields)) if fields.changes.is_empty() => &mut report.only_noise,
            (DifferenceKind::Added, _) => &mut report.added,
            (DifferenceKind::Removed, _) => &mut report.removed,
            (DifferenceKind::Changed, _) => &mut report.changed,
            (DifferenceKind::Recreated, _) => &mut report.recreated,
        };
        *count = count.saturating_add(1);
        if kind == DifferenceKind::Changed && fields.is_none() {
            report.undecoded = report.undecoded.saturating_add(1);
        }
        kind != DifferenceKind::Changed || fields.is_none_or(|fields| !fields.changes.is_empty())
    }
}

fn side(
    cluster: &Cluster<'_>,
    state: &KeyState,
    redactor: Option<&Redactor>,
    window: &mut Window,
) -> Result<Side> {
    cluster.view().value(state, window, |value| {
        let (object, undecoded) = match Object::decode(value) {
            Ok(mut object) => {
                cluster.serve(&mut object, state.revision.main);
                if let Some(redactor) = redactor {
                    redactor.redact(&state.key, &mut object);
                }
                (Some(object), None)
            }
            Err(why) => (None, Some(why.to_string())),
        };
        let uid = object.as_ref().and_then(|object| object.metadata("uid")).map(str::to_owned);
        let (create_revision, version) = (state.create_revision, state.version);
        let state =
            ObjectState { uid, create_revision, mod_revision: state.revision.main, version, undecoded };
        (state, object)
    })
}

/// Another uid is another object. Where one cannot be read, its key tells: it was created in another revision.
fn kind(of_key: DifferenceKind, [before, after]: [Option<&ObjectState>; 2]) -> DifferenceKind {
    match (before, after) {
        (Some(ObjectState { uid: Some(a), .. }), Some(ObjectState { uid: Some(b), .. })) => {
            if a == b {
                DifferenceKind::Changed
            } else {
                DifferenceKind::Recreated
            }
        }
        (Some(a), Some(b)) if a.create_revision != b.create_revision => DifferenceKind::Recreated,
        _ => of_key,
    }
}
