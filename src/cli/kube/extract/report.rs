//! What is told of an extraction: each object as JSON, or sums for the person at the terminal.

use std::collections::BTreeMap;
use std::io;

use coldbolt::kube::cluster::StoredObject;
use coldbolt::kube::decode::{NoObject, Object};
use coldbolt::kube::extract::place::Place;
use coldbolt::kube::extract::{Extracted, Removal};
use serde_json::{Map, Value, json};

use super::super::super::keyspace::{json_bytes, show_key};
use super::super::super::out::{List, count};
use super::super::super::progress::Terminal;

/// Objects that are named before the rest is only counted.
const NAMED: u64 = 10;

/// Names that are told, and how many there were.
#[derive(Default)]
struct Names {
    count: u64,
    first: Vec<String>,
}

pub struct Report<'o> {
    list: Option<List<'o>>,
    pub written: u64,
    added: u64,
    escaped: u64,
    removed: BTreeMap<(String, &'static str), u64>,
    left_out: BTreeMap<&'static str, u64>,
    undecoded: Names,
    missing: Names,
    not_found: Vec<String>,
    unknown_fields: Names,
    bookkeeping: Names,
    others: Names,
}

impl Names {
    fn take(&mut self, name: impl FnOnce() -> String) {
        self.count += 1;
        if self.count <= NAMED {
            self.first.push(name());
        }
    }

    fn say(&self, monitor: &Terminal, what: &str) {
        if self.count > 0 {
            monitor.say(&format!("{} {what}", count(self.count)));
            self.first.iter().for_each(|name| monitor.say(&format!("  {name}")));
            if self.count > NAMED {
                monitor.say(&format!("  and {} more; -w json names all", count(self.count - NAMED)));
            }
        }
    }
}

impl<'o> Report<'o> {
    pub fn new(list: Option<List<'o>>) -> Report<'o> {
        Report {
            list,
            written: 0,
            added: 0,
            escaped: 0,
            removed: BTreeMap::new(),
            left_out: BTreeMap::new(),
            undecoded: Names::default(),
            missing: Names::default(),
            not_found: Vec::new(),
            unknown_fields: Names::default(),
            bookkeeping: Names::default(),
            others: Names::default(),
        }
    }

    fn item(&mut self, item: Value) -> io::Result<()> {
        self.list.as_mut().map_or(Ok(()), |list| list.item(&item, |_| Ok(())))
    }

    fn of(extracted: &Extracted<'_>, outcome: &str) -> Map<String, Value> {
        let mut item = Map::new();
        item.insert("object".to_owned(), extracted.label.as_str().into());
        item.insert("outcome".to_owned(), outcome.into());
        json_bytes(&mut item, "key", &extracted.stored.kv.key);
        item.insert("revision".to_owned(), extracted.stored.kv.mod_revision.into());
        item.extend(extracted.stored.deleted.map(|at| ("deleted_at".to_owned(), at.into())));
        item.extend(extracted.needed_by.map(|by| ("needed_by".to_owned(), by.into())));
        item
    }

    /// An object was written.
    pub fn wrote(
        &mut self,
        extracted: &Extracted<'_>,
        place: Option<&Place>,
        object: &Object,
        removed: &[Removal],
    ) -> io::Result<()> {
        self.written += 1;
        self.added += u64::from(extracted.needed_by.is_some());
        self.escaped += u64::from(place.is_some_and(|place| place.escaped));
        for Removal { path, reason } in removed {
            *self.removed.entry((pattern(path), *reason)).or_default() += 1;
        }
        let unknown: Vec<String> = object
            .unknown
            .iter()
            .filter(|field| !field.is_empty())
            .map(|field| format!("{} field {}", field.path, field.number).trim_start().to_owned())
            .collect();
        if !unknown.is_empty() {
            self.unknown_fields.take(|| show_key(extracted.label.as_bytes()).into_owned());
        }
        if self.list.is_none() {
            return Ok(());
        }
        let mut item = Report::of(extracted, "written");
        if let Some(place) = place {
            item.insert("file".to_owned(), place.path.as_str().into());
            item.extend(place.escaped.then(|| ("escaped".to_owned(), true.into())));
        }
        if !removed.is_empty() {
            item.insert("removed".to_owned(), json!(removed));
        }
        if !unknown.is_empty() {
            item.insert("unknown_fields".to_owned(), json!(unknown));
        }
        self.item(item.into())
    }

    /// An object is not for another cluster.
    pub fn left_out(&mut self, extracted: &Extracted<'_>, reason: &'static str) -> io::Result<()> {
        *self.left_out.entry(reason).or_default() += 1;
        let mut item = Report::of(extracted, "left-out");
        item.insert("reason".to_owned(), reason.into());
        self.item(item.into())
    }

    /// An object could not be written; `None` of one whose kind is not known.
    pub fn undecoded(&mut self, extracted: &Extracted<'_>, why: Option<NoObject<'_>>) -> io::Result<()> {
        let why = match why {
            Some(NoObject::Encrypted(by)) => {
                format!("encrypted by {by}")
            }
            Some(NoObject::Other) => "no object of Kubernetes' API".to_owned(),
            Some(NoObject::Bad(encoding, at)) => {
                format!("begins as {} and cannot be one at byte {}", encoding.name(), at.0)
            }
            None => "of a kind whose fields are not known".to_owned(),
        };
        self.undecoded.take(|| {
            let key = show_key(&extracted.stored.kv.key);
            format!("{key}: {why}")
        });
        let mut item = Report::of(extracted, "undecoded");
        item.insert("reason".to_owned(), why.into());
        self.item(item.into())
    }

    /// What is no object by its key was passed over.
    pub fn no_object(&mut self, stored: &StoredObject, own: bool) -> io::Result<()> {
        let (names, reason) = match own {
            true => (&mut self.bookkeeping, "the API server keeps it for itself"),
            false => (&mut self.others, "its key is no object's"),
        };
        let key = show_key(&stored.kv.key).into_owned();
        names.take(|| key.clone());
        let mut item = Map::new();
        item.insert("object".to_owned(), key.into());
        item.insert("outcome".to_owned(), "no-object".into());
        json_bytes(&mut item, "key", &stored.kv.key);
        item.insert("revision".to_owned(), stored.kv.mod_revision.into());
        item.extend(stored.deleted.map(|at| ("deleted_at".to_owned(), at.into())));
        item.insert("reason".to_owned(), reason.into());
        self.item(item.into())
    }

    /// Something that is needed is not there.
    pub fn missing(&mut self, object: &str, needed_by: &str) -> io::Result<()> {
        self.missing
            .take(|| format!("{}, by {}", show_key(object.as_bytes()), show_key(needed_by.as_bytes())));
        self.item(json!({"object": object, "outcome": "missing", "needed_by": needed_by}))
    }

    /// A name that was asked for is not there.
    pub fn not_found(&mut self, kind: &str, name: &str) -> io::Result<()> {
        self.not_found.push(format!("Error: {kind} {name:?} not found"));
        self.item(json!({"object": format!("{kind}/{name}"), "outcome": "not-found"}))
    }

    /// Whether all names that were asked for were there.
    pub fn found_all(&self) -> bool {
        self.not_found.is_empty()
    }

    /// Whether all that was found could be written, and whole.
    pub fn is_whole(&self) -> bool {
        self.undecoded.count == 0 && self.unknown_fields.count == 0
    }

    /// Ends it; `to` is where the objects are.
    pub fn end(self, monitor: &Terminal, to: &str) -> io::Result<()> {
        self.not_found.iter().for_each(|line| monitor.say(line));
        if self.written > 0 {
            monitor.say(&format!("{} objects written to {to}", count(self.written)));
        } else {
            monitor.say(&format!(
                "nothing was written to {to}: there is no such object, or none that can be written"
            ));
        }
        if self.added > 0 {
            monitor.say(&format!("{} of them as others need them", count(self.added)));
        }
        if self.escaped > 0 {
            monitor.say(&format!("{} of them under escaped names", count(self.escaped)));
        }
        for (reason, n) in &self.left_out {
            monitor.say(&format!("left out: {}: {reason}", count(*n)));
        }
        for ((path, reason), n) in &self.removed {
            monitor.say(&format!("removed: {path} of {}: {reason}", count(*n)));
        }
        self.missing.say(monitor, "objects are needed and not there:");
        self.unknown_fields
            .say(monitor, "objects have fields that are not known, and not in what was written:");
        self.undecoded.say(monitor, "objects could not be extracted:");
        self.bookkeeping.say(monitor, "keys are no objects, the API server keeps them for itself:");
        self.others.say(monitor, "keys are no objects:");
        self.list.map_or(Ok(()), List::end)
    }
}

/// A path without the numbers of items.
fn pattern(path: &str) -> String {
    let mut parts = path.split('[');
    let mut pattern = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        pattern.push('[');
        match part.split_once(']') {
            Some((n, rest)) if n.bytes().all(|byte| byte.is_ascii_digit()) => {
                pattern.push_str("*]");
                pattern.push_str(rest);
            }
            _ => pattern.push_str(part),
        }
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_all_items_are_summed_up_together() {
        assert_eq!(pattern("spec.ports[12].nodePort"), "spec.ports[*].nodePort");
        assert_eq!(pattern(r#"metadata.labels["a.b/c"]"#), r#"metadata.labels["a.b/c"]"#);
        assert_eq!(pattern("status"), "status");
    }
}
