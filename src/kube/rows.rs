//! Objects as columns of the rows that [`export`](crate::store::export) writes.
//!
//! | Column | Holds |
//! |---|---|
//! | `group`, `kind_version`, `kind` | what the value says that it is stored as; the group of the core is empty |
//! | `namespace`, `name`, `uid`, `created` | of its metadata |
//! | `manager` | who wrote it last: of `managedFields` those with the newest time, with commas between |
//! | `object` | the object as an API server answers it, without `managedFields` |
//!
//! Of what is encrypted or cannot be decoded, and of a deletion, the key tells namespace and name, and group and kind
//! where its resource is known. What is no object has empty columns.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use serde_json::Value;

use super::cluster::Cluster;
use super::decode::{Encoding, NoObject, Object};
use super::json::{self, Layout};
use super::secret::{Redactor, may_be_secret};
use super::serve::hide_managed_fields;
use crate::etcd::KeyValue;
use crate::store::EventKind;
use crate::store::export::{Cell, MoreCells, RowChange};

const NAMES: [&str; 9] =
    ["group", "kind_version", "kind", "namespace", "name", "uid", "created", "manager", "object"];

/// Whether rows hold the objects themselves.
#[derive(Debug, Clone)]
pub enum RowObjects {
    /// They do not.
    None,
    /// They do, and Secrets as they are.
    All,
    /// They do, but what is secret is replaced, and left out of the row's value.
    Redacted(Redactor),
}

/// Fills the columns of rows, and counts what could not be said.
pub struct ObjectColumns<'c> {
    cluster: &'c Cluster<'c>,
    objects: RowObjects,
    undecoded: AtomicU64,
    incomplete: AtomicU64,
    without_value: AtomicU64,
}

impl<'c> ObjectColumns<'c> {
    /// The columns for values of a cluster.
    #[must_use]
    pub fn new(cluster: &'c Cluster<'c>, objects: RowObjects) -> ObjectColumns<'c> {
        let (undecoded, incomplete, without_value) = Default::default();
        ObjectColumns { cluster, objects, undecoded, incomplete, without_value }
    }

    /// What the columns are called. A row has a `version` of its own, that of the key.
    #[must_use]
    pub fn names(&self) -> &'static [&'static str] {
        match (&self.objects, NAMES.split_last()) {
            (RowObjects::None, Some((_, names))) => names,
            _ => &NAMES,
        }
    }

    /// The columns of a row.
    #[must_use]
    pub fn cells(&self, kv: &KeyValue<'_>, change: Option<RowChange>) -> MoreCells {
        let mut more = match change.map(|change| change.kind) {
            Some(EventKind::Marker) => MoreCells::default(),
            Some(EventKind::Delete) => self.by_key(kv.key),
            Some(EventKind::Put) | None => match Object::decode(kv.value) {
                Ok(object) => self.by_value(kv.key, object, kv.mod_revision),
                Err(why) => self.by_no_value(kv.key, why),
            },
        };
        more.cells.resize(self.names().len(), Cell::Empty);
        more
    }

    /// Rows of which the value could not be decoded.
    #[must_use]
    pub fn undecoded(&self) -> u64 {
        self.undecoded.load(Relaxed)
    }

    /// Objects with fields that are not known, and not in what is shown of them.
    #[must_use]
    pub fn incomplete(&self) -> u64 {
        self.incomplete.load(Relaxed)
    }

    /// Rows without their values, of Secrets and of what may be one.
    #[must_use]
    pub fn without_value(&self) -> u64 {
        self.without_value.load(Relaxed)
    }

    fn by_value(&self, key: &[u8], mut object: Object, mod_revision: i64) -> MoreCells {
        let own = |name: &str| text(object.metadata(name).unwrap_or_default());
        let mut cells = vec![
            Cell::Text(object.group().to_owned()),
            text(object.version()),
            text(&object.kind),
            own("namespace"),
            own("name"),
            own("uid"),
            own("creationTimestamp"),
            text(&last_managers(&object)),
        ];
        let redactor = match &self.objects {
            RowObjects::None => return MoreCells { cells, without_value: false },
            RowObjects::All => None,
            RowObjects::Redacted(redactor) => Some(redactor),
        };
        if object.unknown.iter().any(|field| !field.is_empty()) {
            self.incomplete.fetch_add(1, Relaxed);
        }
        let without_value = redactor.is_some() && may_be_secret(key, Ok(&object));
        self.without_value.fetch_add(u64::from(without_value), Relaxed);
        self.cluster.serve(&mut object, mod_revision);
        hide_managed_fields(&mut object.json);
        if let Some(redactor) = redactor {
            redactor.redact(key, &mut object);
        }
        cells.push(Cell::Json(json::object_text(&object.json, Layout::LINE)));
        MoreCells { cells, without_value }
    }

    /// What cannot be decoded: an object by its key or its first bytes, or a value of somebody else.
    fn by_no_value(&self, key: &[u8], why: NoObject<'_>) -> MoreCells {
        let at = self.cluster.key(key).object();
        let object = match why {
            NoObject::Other => false,
            NoObject::Bad(Encoding::Json, _) => at.is_some(),
            NoObject::Bad(..) | NoObject::Encrypted(_) => true,
        };
        self.undecoded.fetch_add(u64::from(object), Relaxed);
        let mut more = if object { self.by_key(key) } else { MoreCells::default() };
        more.without_value = matches!(self.objects, RowObjects::Redacted(_)) && may_be_secret(key, Err(&why));
        self.without_value.fetch_add(u64::from(more.without_value), Relaxed);
        more
    }

    fn by_key(&self, key: &[u8]) -> MoreCells {
        let Some(key) = self.cluster.key(key).object() else { return MoreCells::default() };
        let resource = self.cluster.resources().iter().find(|resource| resource.holds(&key));
        let group = key.group.or(resource.map(|resource| &*resource.group));
        let cells = vec![
            group.map_or(Cell::Empty, |group| Cell::Text(group.to_owned())),
            Cell::Empty,
            text(resource.map_or("", |resource| &resource.kind)),
            text(key.namespace.unwrap_or_default()),
            text(key.name),
        ];
        MoreCells { cells, without_value: false }
    }
}

fn text(text: &str) -> Cell {
    if text.is_empty() { Cell::Empty } else { Cell::Text(text.to_owned()) }
}

/// The managers with the newest time, each once, in their order.
fn last_managers(object: &Object) -> String {
    let managed = object.json.get("metadata").and_then(|metadata| metadata.get("managedFields"));
    // Times are of the same form, to the second.
    let entries = managed.and_then(Value::as_array).into_iter().flatten().filter_map(|entry| {
        let of = |name| entry.get(name).and_then(Value::as_str);
        of("manager").map(|manager| (of("time"), manager))
    });
    let (mut newest, mut names) = (None, Vec::new());
    for (time, name) in entries {
        if time > newest {
            (newest, names) = (time, Vec::new());
        }
        if time == newest && !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(",")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn who_wrote_an_object_last_has_the_newest_time() {
        let entry = |manager: &str, time: &str| json!({"manager": manager, "time": time});
        for (entries, due) in [
            (json!([entry("a", "2026-01-01T00:00:00Z"), entry("b", "2026-01-02T00:00:00Z")]), "b"),
            (json!([entry("a", "2026-01-02T00:00:00Z"), entry("b", "2026-01-01T00:00:00Z")]), "a"),
            (json!([entry("b", "t"), entry("a", "t"), entry("b", "t")]), "b,a"),
            (json!([{"manager": "untimed"}, entry("a", "t")]), "a"),
            (json!([{"manager": "untimed"}]), "untimed"),
            (json!([1, {}, {"time": "t"}]), ""),
            (json!("none"), ""),
        ] {
            let object = json!({"apiVersion": "v1", "kind": "K", "metadata": {"managedFields": entries}});
            let object = Object::decode(object.to_string().as_bytes()).unwrap().clone();
            assert_eq!(last_managers(&object), due, "{object:?}");
        }
    }
}
