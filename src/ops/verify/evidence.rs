//! What a policy wants to know of the live keys: how many there are of some, and when the newest of them was written,
//! as the Leases of Kubernetes tell.

use jiff::Timestamp;
use serde::Serialize;

use crate::bolt::Db;
use crate::etcd::stored::{self, Revisions, Stored};
use crate::kube::decode::{NoObject, Object};
use crate::kube::key::KeyKind;
use crate::kube::places::ObjectPlaces;
use crate::kube::times::renewed;
use crate::ops::live_keys::{is_live, places};
use crate::store::scan::Scan;
use crate::words::monitor::Quiet;

/// Which live keys are meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Selector {
    /// All that begin with this.
    Prefix(String),
    /// This one.
    Key(String),
    /// Those of Kubernetes objects.
    Objects(ObjectSelector),
}

/// Which Kubernetes objects are meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ObjectSelector {
    /// Their kind or resource, by any of its names, as `Secret` or `deployments.apps`.
    pub kind: String,
    /// The namespace; all and none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The name; all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl std::fmt::Display for ObjectSelector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.kind)?;
        if let Some(name) = &self.name {
            write!(f, "/{name}")?;
        }
        if let Some(namespace) = &self.namespace {
            write!(f, " in namespace {namespace}")?;
        }
        Ok(())
    }
}

impl ObjectSelector {
    /// The object that a value is counts by what it says; of one that is encrypted only the key tells. What is no
    /// object counts for none.
    fn matches(&self, key: &[u8], value: &[u8], places: &ObjectPlaces) -> bool {
        let KeyKind::Object(key) = places.key(key) else { return false };
        if !places.resource(&self.kind).is_some_and(|resource| resource.holds(&key)) {
            return false;
        }
        let is = |due: &Option<String>, is: &str| due.as_ref().is_none_or(|due| due == is);
        match Object::decode(value) {
            Ok(object) if !object.name().is_empty() => {
                is(&self.name, object.name()) && is(&self.namespace, object.namespace())
            }
            Ok(_) | Err(NoObject::Encrypted(_)) => {
                is(&self.name, key.name) && is(&self.namespace, key.namespace.unwrap_or_default())
            }
            Err(_) => false,
        }
    }
}

impl Selector {
    fn matches(&self, key: &[u8], value: &[u8], places: Option<&ObjectPlaces>) -> bool {
        match self {
            Selector::Prefix(prefix) => key.starts_with(prefix.as_bytes()),
            Selector::Key(name) => key == name.as_bytes(),
            Selector::Objects(objects) => places.is_some_and(|all| objects.matches(key, value, all)),
        }
    }
}

/// What to look for; it costs one walk over the keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ask {
    /// Keys to count.
    pub keys: Vec<Selector>,
    /// Whether the time is wanted.
    pub times: bool,
    /// Resources of which it is wanted how their values are protected, by any of their names.
    pub protection: Vec<String>,
}

/// How many live keys a selector finds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyCount {
    /// Which.
    pub keys: Selector,
    /// How many.
    pub count: u64,
}

/// A time that something inside the file tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// When.
    #[serde(serialize_with = "text")]
    pub time: Timestamp,
    /// The key whose value tells it, escaped.
    pub key: String,
}

fn text<S: serde::Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// One for each selector, in the same order, but for objects of a kind that is not known here.
    pub counts: Vec<KeyCount>,
    /// The newest time.
    pub newest: Option<Evidence>,
}

/// Walks over the live keys.
#[must_use]
pub fn look(scan: &Scan, db: &Db<'_>, ask: &Ask) -> Seen {
    let objects = ask.keys.iter().any(|keys| matches!(keys, Selector::Objects(_)));
    let places = objects.then(|| places(scan, db, None, &Quiet));
    let is_known = |keys: &&Selector| match (keys, &places) {
        (Selector::Objects(objects), Some(places)) => places.resource(&objects.kind).is_some(),
        _ => true,
    };
    let keys = ask.keys.iter().filter(is_known);
    let counts = keys.map(|keys| KeyCount { keys: keys.clone(), count: 0 }).collect();
    let look = Look { scan, places, times: ask.times, seen: Seen { counts, newest: None } };
    stored::skim(db, &Quiet, look).seen
}

struct Look<'s> {
    scan: &'s Scan,
    places: Option<ObjectPlaces>,
    times: bool,
    seen: Seen,
}

impl Revisions for Look<'_> {
    fn each(&mut self, stored: &Stored<'_>) {
        if !is_live(self.scan, stored) {
            return;
        }
        let kv = &stored.kv;
        let places = self.places.as_ref();
        let meant = |c: &&mut KeyCount| c.keys.matches(kv.key, kv.value, places);
        for counted in self.seen.counts.iter_mut().filter(meant) {
            counted.count = counted.count.saturating_add(1);
        }
        if self.times
            && let Some(time) = renewed(kv.key, kv.value)
            && self.seen.newest.as_ref().is_none_or(|newest| time > newest.time)
        {
            self.seen.newest = Some(Evidence { time, key: kv.key.escape_ascii().to_string() });
        }
    }
}
