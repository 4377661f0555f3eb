//! What the audit log of an API server says of what the files hold.
//!
//! An answer that has the object has its resource version, which is the revision in etcd. One that has not is of the
//! first change of the object that nobody else is known to have asked for, and that may have been made between the
//! request and the answer.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use super::row::{Certainty, Interned, Row, Sources, What};
use crate::kube::audit::AuditEvent;
use crate::kube::key::ObjectKey;
use crate::kube::places::ObjectPlaces;
use crate::replay::clock::{RevisionClock, TOLERATED, TimeEvidence};

/// Rows that are looked at for one request: of what is written all the time the log may have as many as there are rows.
const LOOKED_AT: usize = 1000;

/// The rows of the objects that an audit log is about.
pub(super) struct Matching<'m> {
    events: &'m [AuditEvent],
    /// For each event the number of its object.
    objects: Vec<Option<usize>>,
    /// For each object its rows, in order.
    rows: Vec<Vec<usize>>,
    matched: Vec<bool>,
}

/// What tells an object of another: group, if it is in the key, resource, namespace and name.
type Id<'i> = (&'i str, &'i str, &'i str, &'i str);

impl<'m> Matching<'m> {
    pub fn new(
        events: &'m [AuditEvent],
        rows: &[Row],
        keys: &Interned,
        places: &ObjectPlaces,
    ) -> Matching<'m> {
        let mut numbers: HashMap<Id<'_>, usize> = HashMap::new();
        let number = |event: &'m AuditEvent| {
            let next = numbers.len();
            let done = event.changes() && event.succeeded() && !event.selected;
            done.then(|| *numbers.entry(id_of(event, places)).or_insert(next))
        };
        let objects = events.iter().map(number).collect();
        let mut found = vec![Vec::new(); numbers.len()];
        let changes = rows.iter().enumerate().filter(|(_, row)| row.what.is_change() && !numbers.is_empty());
        for (at, row) in changes {
            let Some(key) = places.key(keys.get(row.key)).object() else { continue };
            let ObjectKey { group, resource, namespace, name } = key;
            let (group, namespace) = (group.unwrap_or_default(), namespace.unwrap_or_default());
            // A whole collection is deleted without names.
            let collection = Some("").filter(|_| row.what == What::Deleted);
            for name in [name].into_iter().chain(collection) {
                let number = numbers.get(&(group, resource, namespace, name));
                if let Some(rows) = number.and_then(|number| found.get_mut(*number)) {
                    rows.push(at);
                }
            }
        }
        Matching { events, objects, rows: found, matched: vec![false; events.len()] }
    }

    /// The rows of the object that an event is about, from the first on that is not `before`.
    fn rows_of(&self, event: usize, before: impl Fn(usize) -> bool) -> &[usize] {
        let number = self.objects.get(event).copied().flatten();
        let rows = number.and_then(|number| self.rows.get(number)).map(Vec::as_slice).unwrap_or_default();
        rows.get(rows.partition_point(|row| before(*row))..).unwrap_or_default()
    }

    fn found(&mut self, event: usize) {
        self.matched.iter_mut().skip(event).take(1).for_each(|matched| *matched = true);
    }

    /// Finds the rows whose revision an answer has; what that tells of their times. A request that changed nothing is
    /// answered with the revision of an older change, which others made by then, as the clock tells.
    pub fn by_revision(&mut self, rows: &mut [Row], clock: &RevisionClock) -> Vec<TimeEvidence> {
        let mut evidence = Vec::new();
        for (at, event) in self.events.iter().enumerate() {
            // What was deleted is answered as it was before.
            let Some(revision) = event.revision.filter(|_| event.verb != "delete") else { continue };
            let earlier = |row: usize| rows.get(row).is_some_and(|row| row.main < revision);
            let made = |row: &usize| rows.get(*row).is_some_and(|row| row.is_exact() && row.main == revision);
            let row = self.rows_of(at, earlier).first().copied().filter(made);
            let row = row.filter(|_| !over(clock, revision, event));
            let Some(row) = row.and_then(|row| rows.get_mut(row)).filter(|row| row.audit.is_none()) else {
                continue;
            };
            row.audit = u32::try_from(at).ok();
            evidence.push(TimeEvidence { revision, time: event.received, fresh: true });
            self.found(at);
        }
        evidence
    }

    /// Finds those of the others that may be what was asked for, by their times; what that tells, if they are.
    pub fn by_time(&mut self, rows: &mut [Row], clock: &RevisionClock) -> Vec<TimeEvidence> {
        let mut evidence = Vec::new();
        for (at, event) in self.events.iter().enumerate() {
            let done = self.matched.get(at).copied().unwrap_or(true);
            // An answer with a revision that no row has is of what no file holds.
            if done || event.revision.is_some_and(|_| event.verb != "delete") {
                continue;
            }
            let fits = self.fits(at, event, rows, clock);
            if !fits.is_empty() {
                self.found(at);
            }
            for row in fits {
                let Some(row) = rows.get_mut(row) else { continue };
                row.audit = u32::try_from(at).ok();
                let revision = Some(row.main).filter(|_| row.is_exact());
                evidence.extend(revision.map(|revision| TimeEvidence {
                    revision,
                    time: event.received,
                    fresh: true,
                }));
            }
        }
        evidence
    }

    /// The rows that may have come of a request: of a collection all, else the first.
    fn fits(&self, at: usize, event: &AuditEvent, rows: &[Row], clock: &RevisionClock) -> Vec<usize> {
        let later = event.answered.checked_add(TOLERATED).unwrap_or(Timestamp::MAX);
        let before = |row: usize| rows.get(row).is_some_and(|row| over(clock, row.main, event));
        let (mut fitting, mut keys) = (Vec::new(), HashSet::new());
        for at in self.rows_of(at, before).iter().take(LOOKED_AT) {
            let Some(row) = rows.get(*at).filter(|row| row.audit.is_none()) else { continue };
            let between = clock.between(row.revisions());
            if between.not_before.is_some_and(|time| time > later) {
                break;
            }
            // Once of each: what was there again was deleted again, by somebody else.
            if does(event, row.what) && keys.insert(row.key) {
                fitting.push(*at);
            }
        }
        if !event.name.is_empty() {
            fitting.truncate(1);
        }
        fitting
    }

    /// The others, as rows of their own, in the order by this clock.
    pub fn rest(self, clock: &RevisionClock) -> Vec<Row> {
        let unmatched =
            self.events.iter().zip(&self.matched).enumerate().filter(|(_, (_, matched))| !**matched);
        unmatched
            .map(|(at, (event, _))| {
                let mut row = Row::new(What::Request, clock.at(event.answered), Sources::default());
                row.made = false;
                (row.certainty, row.audit) = (Certainty::Audited, u32::try_from(at).ok());
                row
            })
            .collect()
    }
}

/// Whether a revision was made before an event was received.
fn over(clock: &RevisionClock, revision: i64, event: &AuditEvent) -> bool {
    clock.between(revision..=revision).not_after.is_some_and(|time| time < event.received)
}

/// Whether a request may have done that to an object. A deletion that only begins, as a finalizer keeps the object, is
/// not taken for a change: whose that was the object itself tells better.
fn does(event: &AuditEvent, what: What) -> bool {
    // Who made something is answered so, and nobody else.
    let made = matches!(event.code, 201 | 0);
    match (&*event.verb, what) {
        _ if event.subresource == "eviction" => what == What::Deleted,
        (_, What::Created | What::Recreated) => {
            made && event.subresource.is_empty() && matches!(&*event.verb, "create" | "update" | "patch")
        }
        ("create", What::Put) => made || !event.subresource.is_empty(),
        ("create", What::Changed) => !event.subresource.is_empty(),
        ("update" | "patch", What::Changed | What::Put) => true,
        ("delete" | "deletecollection", What::Deleted) => event.subresource.is_empty(),
        _ => false,
    }
}

/// What an event is about, as keys name it: only custom resources have their group there.
fn id_of<'e>(event: &'e AuditEvent, places: &ObjectPlaces) -> Id<'e> {
    let key = ObjectKey { group: None, resource: &event.resource, namespace: None, name: &event.name };
    let built_in = places.resource_at(&key).is_some_and(|resource| resource.group == event.group);
    (if built_in { "" } else { &event.group }, &event.resource, &event.namespace, &event.name)
}
