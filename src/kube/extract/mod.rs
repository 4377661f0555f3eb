//! Objects out of a keyspace, each for itself, as they were or so that another cluster takes them.
//!
//! | File | Holds |
//! |---|---|
//! | [`place`] | where an object is put, and in what order a server takes them |
//! | `rules` | what is taken out of an object that is to be applied |
//! | `leave` | which objects are not for another cluster |
//! | `needs` | what an object needs to do its work |
//!
//! Objects are handed out one by one, in the order of their keys, with what all cores made of them: of all that is read
//! only the uids are kept, and only where it matters who owns whom.
//!
//! ```
//! use std::ops::ControlFlow;
//!
//! use coldbolt::io::Source;
//! use coldbolt::kube::cluster::Cluster;
//! use coldbolt::kube::decode::Object;
//! use coldbolt::kube::extract::{Chosen, ExtractOptions, Extraction, Outcome};
//! use coldbolt::kube::yaml;
//! use coldbolt::store::{Store, StoreOptions};
//! use coldbolt::words::monitor::Quiet;
//!
//! # fn main() -> coldbolt::Result<()> {
//! // Or the path of a file.
//! let file = Source::from_bytes("snapshot.db", snapshot());
//! let store = Store::open(file, &StoreOptions::default(), &Quiet)?;
//! let cluster = Cluster::open(store.at(None)?, None)?;
//! let choices = [Chosen { namespace: Some("every-kind".to_owned()), ..Chosen::default() }];
//! let options = ExtractOptions { apply_ready: true, ..ExtractOptions::default() };
//! let extraction = Extraction::prepare(&cluster, &choices, &options)?;
//!
//! // What `kubectl apply -f -` takes, in the order that it needs.
//! let mut stream = String::new();
//! for phase in 0..Extraction::phases() {
//!     let text = |_: &_, object: &mut Object| yaml::document(&object.json);
//!     extraction.each(Some(phase), text, &mut |extracted, outcome: Outcome<'_, String>| {
//!         match outcome {
//!             Outcome::Object(_object, _removed, text) => {
//!                 stream += "---\n";
//!                 stream += &text;
//!             }
//!             Outcome::LeftOut(_, reason) => println!("{}: {reason}", extracted.label),
//!             Outcome::UnknownKind(_) => println!("{}: of no known kind", extracted.label),
//!             Outcome::NoObject(why) => println!("{}: {why}", extracted.label),
//!         }
//!         ControlFlow::Continue(())
//!     })?;
//! }
//! assert!(stream.starts_with("---\napiVersion: v1\nkind: Namespace\n"));
//! # Ok(())
//! # }
//! # fn snapshot() -> Vec<u8> {
//! #     let packed = std::fs::File::open("fixtures/kube/plain-1.37/snapshot.db.gz").unwrap();
//! #     let mut bytes = Vec::new();
//! #     std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(packed), &mut bytes).unwrap();
//! #     bytes
//! # }
//! ```

mod leave;
mod needs;
pub mod place;
mod rules;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;

use serde_json::Value;

pub use self::needs::Needed;
use self::place::phase;
pub use self::rules::Removal;
use super::cluster::{Cluster, Scope, StoredObject};
use super::decode::{DecodeOptions, NoObject, Object};
use super::key::{KeyKind, ObjectKey};
use super::resource::Resource;
use super::selector::LabelSelector;
use super::type_meta::qualified;
use crate::io::parallel::map_each;
use crate::words::error::Result;

/// Objects that one thread takes at a time.
const PART: usize = 64;

fn decode(value: &[u8], without_managed_fields: bool) -> std::result::Result<Object, NoObject<'_>> {
    Object::decode_with(value, DecodeOptions { without_managed_fields, ..DecodeOptions::default() })
}

/// Objects that are chosen: all that these are true of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Chosen {
    /// Of this resource; of all.
    pub resource: Option<Resource>,
    /// In this namespace; in all and none. Of all resources: also the namespace itself.
    pub namespace: Option<String>,
    /// Of these names; of all.
    pub names: Vec<String>,
}

impl Chosen {
    /// Whether an object of that key is chosen.
    #[must_use]
    pub fn takes(&self, key: &ObjectKey<'_>) -> bool {
        let place = match (&self.resource, &self.namespace) {
            (None, None) => true,
            (None, Some(namespace)) => {
                key.namespace == Some(namespace)
                    || (key.group.is_none() && key.resource == "namespaces" && key.name == namespace)
            }
            (Some(resource), namespace) => {
                let group = resource.group_in_key.then_some(&*resource.group);
                let inside = namespace.is_none() || key.namespace == namespace.as_deref();
                resource.plural == key.resource && group == key.group && inside
            }
        };
        place && (self.names.is_empty() || self.names.iter().any(|name| name == key.name))
    }
}

/// How objects are extracted.
#[derive(Debug, Clone, Default)]
pub struct ExtractOptions {
    /// Those with these labels.
    pub selector: LabelSelector,
    /// Those that are deleted, as they were last, and no others.
    pub deleted: bool,
    /// So that another cluster takes them as new ones.
    pub apply_ready: bool,
    /// Also what they need.
    pub references: bool,
    /// Who manages which fields is left out, where that saves time: [`DecodeOptions::without_managed_fields`]. Of what
    /// is to be applied it is removed in any case.
    pub without_managed_fields: bool,
}

/// Objects that are about to be extracted.
pub struct Extraction<'x> {
    cluster: &'x Cluster<'x>,
    choices: &'x [Chosen],
    options: &'x ExtractOptions,
    /// What is kept of each uid.
    uids: HashSet<u128>,
    /// Services that select Pods, by namespace and name.
    selecting: HashSet<(String, String)>,
    added: BTreeMap<Needed, String>,
    missing: BTreeMap<Needed, String>,
}

/// An object that is met when others are extracted.
#[derive(Debug)]
pub struct Extracted<'e> {
    /// As `shop/deployment.apps/web`; what is not known of it is as its key has it.
    pub label: String,
    /// As it is stored.
    pub stored: &'e StoredObject,
    /// Its key.
    pub key: ObjectKey<'e>,
    /// What needs it, if it was not chosen itself: as `shop/deployment.apps/web`.
    pub needed_by: Option<&'e str>,
}

/// What becomes of an object.
#[derive(Debug)]
pub enum Outcome<'e, T> {
    /// It is written so, with what was made of it.
    Object(Box<Object>, Vec<Removal>, T),
    /// It is not for another cluster.
    LeftOut(Box<Object>, &'static str),
    /// It is of a kind whose fields are not known.
    UnknownKind(Box<Object>),
    /// It cannot be decoded.
    NoObject(NoObject<'e>),
}

impl<'x> Extraction<'x> {
    /// Looks at what is chosen, as far as one must know about others: who owns what, and what is needed.
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) when pages cannot be read.
    pub fn prepare(
        cluster: &'x Cluster<'x>,
        choices: &'x [Chosen],
        options: &'x ExtractOptions,
    ) -> Result<Extraction<'x>> {
        let mut extraction = Extraction {
            cluster,
            choices,
            options,
            uids: HashSet::new(),
            selecting: HashSet::new(),
            added: BTreeMap::new(),
            missing: BTreeMap::new(),
        };
        if options.apply_ready || options.references {
            let mut search = Search::default();
            extraction.study(&mut search)?;
            extraction.search(search)?;
        }
        Ok(extraction)
    }

    /// How many phases there are; a server takes all of one before those of the next.
    #[must_use]
    pub fn phases() -> usize {
        place::PHASES.len()
    }

    /// What is needed and not there, with what needs it.
    pub fn missing(&self) -> impl Iterator<Item = (String, &str)> {
        self.missing.iter().map(|(needed, by)| (self.label(needed), &**by))
    }

    /// Hands out the objects of a phase, or of all, in the order of their keys, until `take` breaks off; with each what
    /// `make` made of it on one of all cores: its text, say.
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) when pages cannot be read.
    pub fn each<T: Send>(
        &self,
        of_phase: Option<usize>,
        make: impl Fn(&StoredObject, &mut Object) -> T + Sync,
        take: &mut dyn FnMut(&Extracted<'_>, Outcome<'_, T>) -> ControlFlow<()>,
    ) -> Result<()> {
        let wanted = |key: ObjectKey<'_>| {
            of_phase.is_none_or(|of| phase(&key) == of)
                && (self.is_chosen(&key) || self.needed_by(&key).is_some())
        };
        let scope = Scope { deleted: self.options.deleted, ..Scope::default() };
        self.cluster.batches(&scope, &|key| key.object().is_some_and(wanted), &mut |batch| {
            let extracted: Vec<_> = map_each(batch, PART, |stored| self.extracted(stored, &make)).collect();
            extracted.into_iter().flatten().try_for_each(|(extracted, outcome)| take(&extracted, outcome))
        })
    }

    fn extracted<'e, T>(
        &'e self,
        stored: &'e StoredObject,
        make: &impl Fn(&StoredObject, &mut Object) -> T,
    ) -> Option<(Extracted<'e>, Outcome<'e, T>)> {
        let key = self.cluster.key(&stored.kv.key).object()?;
        let needed_by = self.needed_by(&key).filter(|_| stored.deleted.is_none());
        let outcome = self.outcome(stored, &key, needed_by.is_some(), make)?;
        Some((Extracted { label: outcome.label(&key), stored, key, needed_by }, outcome))
    }

    /// Hands out what lies among the objects and is none by its key, if everything is chosen; whether the API server
    /// keeps it for itself.
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) when pages cannot be read.
    pub fn each_other(&self, take: &mut dyn FnMut(&StoredObject, bool) -> ControlFlow<()>) -> Result<()> {
        if !self.choices.contains(&Chosen::default()) || self.options.selector != LabelSelector::default() {
            return Ok(());
        }
        let scope = Scope { deleted: self.options.deleted, ..Scope::default() };
        self.cluster.each_of(&scope, &|key| key.object().is_none(), &mut |stored| {
            if stored.deleted.is_some() != self.options.deleted {
                return ControlFlow::Continue(());
            }
            let own = matches!(self.cluster.key(&stored.kv.key), KeyKind::Bookkeeping(_));
            take(&stored, own)
        })
    }

    fn is_chosen(&self, key: &ObjectKey<'_>) -> bool {
        self.choices.iter().any(|choice| choice.takes(key))
    }

    fn needed_by(&self, key: &ObjectKey<'_>) -> Option<&str> {
        if self.added.is_empty() { None } else { self.added.get(&Needed::of(key)).map(|by| &**by) }
    }

    /// Whether a chosen key's object is: by its labels, and by being deleted or not. What cannot be decoded may be, and
    /// is told.
    fn is_selected(&self, stored: &StoredObject, object: Option<&Object>) -> bool {
        let labels = |object: &Object| {
            self.options.selector.matches(object.json.get("metadata").and_then(|m| m.get("labels")))
        };
        self.options.deleted == stored.deleted.is_some() && object.is_none_or(labels)
    }

    fn outcome<'e, T>(
        &self,
        stored: &'e StoredObject,
        key: &ObjectKey<'_>,
        needed: bool,
        make: &impl Fn(&StoredObject, &mut Object) -> T,
    ) -> Option<Outcome<'e, T>> {
        // Of what is to be applied each removal is told.
        let without = self.options.without_managed_fields && !self.options.apply_ready;
        let decoded = decode(&stored.kv.value, without);
        let selected = self.is_chosen(key) && self.is_selected(stored, decoded.as_ref().ok());
        if !selected && !needed {
            return None;
        }
        let mut object = match decoded {
            Ok(object) => Box::new(object),
            Err(why) => return Some(Outcome::NoObject(why)),
        };
        if !object.known {
            return Some(Outcome::UnknownKind(object));
        }
        self.cluster.serve(&mut object, stored.kv.mod_revision);
        if !self.options.apply_ready {
            let made = make(stored, &mut object);
            return Some(Outcome::Object(object, Vec::new(), made));
        }
        let kind = object.qualified();
        let is_extracted = |uid: &str| self.uids.contains(&known_by(uid));
        let selects = |namespace: &str, name: &str| {
            !self.selecting.is_empty() && self.selecting.contains(&(namespace.to_owned(), name.to_owned()))
        };
        if let Some(reason) = leave::reason(&kind, &object.json, &is_extracted, &selects) {
            return Some(Outcome::LeftOut(object, reason));
        }
        let status = !self.cluster.writes_status_apart(&object);
        let removed = rules::apply(&kind, &mut object.json, status, &is_extracted);
        let made = make(stored, &mut object);
        Some(Outcome::Object(object, removed, made))
    }

    /// Goes through what is chosen, and what tells of it.
    fn study(&mut self, search: &mut Search) -> Result<()> {
        let (cluster, options) = (self.cluster, self.options);
        let wanted = |key: ObjectKey<'_>| {
            self.is_chosen(&key)
                || (options.apply_ready && is_built_in(&key, &["services"]))
                || (options.references && is_built_in(&key, &BINDINGS))
        };
        let (mut uids, mut selecting) = (HashSet::new(), HashSet::new());
        let scope = Scope { deleted: options.deleted, ..Scope::default() };
        cluster.batches(&scope, &|key| key.object().is_some_and(wanted), &mut |batch| {
            let objects = map_each(batch, PART, |stored| {
                Some((cluster.key(&stored.kv.key).object()?, stored, decode(&stored.kv.value, true).ok()?))
            });
            for (key, stored, object) in objects.flatten() {
                if is_built_in(&key, &["services"]) && object.json.get("spec").is_some_and(selects) {
                    selecting
                        .extend(key.namespace.map(|namespace| (namespace.to_owned(), key.name.to_owned())));
                }
                if is_built_in(&key, &BINDINGS) && stored.deleted.is_none() {
                    search.bind(&key, &object);
                }
                if self.is_chosen(&key) && self.is_selected(stored, Some(&object)) {
                    uids.extend(object.metadata("uid").map(known_by));
                    if options.references {
                        search.look(cluster, &key, &object);
                    }
                }
            }
            ControlFlow::Continue(())
        })?;
        (self.uids, self.selecting) = (uids, selecting);
        Ok(())
    }

    /// Looks for what is needed, and what that needs, until there is nothing new.
    fn search(&mut self, mut search: Search) -> Result<()> {
        let cluster = self.cluster;
        loop {
            let mut sought = search.next();
            if sought.is_empty() {
                return Ok(());
            }
            let mut found = Vec::new();
            let wanted = |key: ObjectKey<'_>| sought.contains_key(&Needed::of(&key));
            cluster.each_of(&Scope::default(), &|key| key.object().is_some_and(wanted), &mut |stored| {
                let Some(key) = cluster.key(&stored.kv.key).object() else {
                    return ControlFlow::Continue(());
                };
                let object = decode(&stored.kv.value, true);
                let selected = self.is_chosen(&key) && self.is_selected(&stored, object.as_ref().ok());
                if let (Ok(object), false) = (&object, selected) {
                    search.look(cluster, &key, object);
                }
                found.push((Needed::of(&key), selected));
                ControlFlow::Continue(())
            })?;
            for (needed, selected) in found {
                if let (Some(by), false) = (sought.remove(&needed), selected) {
                    self.added.insert(needed, by.label);
                }
            }
            self.missing
                .extend(sought.into_iter().filter(|(_, by)| by.must).map(|(needed, by)| (needed, by.label)));
        }
    }

    /// As `shop/configmap/settings`.
    fn label(&self, needed: &Needed) -> String {
        let resource = self.cluster.resources().iter().find(|resource| {
            resource.plural == needed.resource
                && needed.group.as_deref() == resource.group_in_key.then_some(&*resource.group)
        });
        let kind = resource.map_or_else(|| needed.resource.clone(), Resource::qualified);
        label(needed.namespace.as_deref(), &kind, &needed.name)
    }
}

impl<T> Outcome<'_, T> {
    fn label(&self, key: &ObjectKey<'_>) -> String {
        let kind = match self {
            Outcome::Object(object, ..) | Outcome::LeftOut(object, _) | Outcome::UnknownKind(object) => {
                object.qualified()
            }
            Outcome::NoObject(_) => qualified(key.resource, key.group.unwrap_or_default()),
        };
        label(key.namespace, &kind, key.name)
    }
}

fn label(namespace: Option<&str>, kind: &str, name: &str) -> String {
    namespace.map_or_else(|| format!("{kind}/{name}"), |namespace| format!("{namespace}/{kind}/{name}"))
}

/// Resources that give rights to ServiceAccounts.
const BINDINGS: [&str; 2] = ["clusterrolebindings", "rolebindings"];

fn is_built_in(key: &ObjectKey<'_>, resources: &[&str]) -> bool {
    key.group.is_none() && resources.contains(&key.resource)
}

fn selects(spec: &Value) -> bool {
    spec.get("selector").and_then(Value::as_object).is_some_and(|selector| !selector.is_empty())
}

/// What is kept of a uid.
fn known_by(uid: &str) -> u128 {
    let hash = crate::codec::checksum::sha256(uid.as_bytes());
    hash.first_chunk().map_or(0, |bytes| u128::from_le_bytes(*bytes))
}

/// What is needed, and by whom.
struct Need {
    label: String,
    must: bool,
}

/// What is looked for.
#[derive(Default)]
struct Search {
    next: BTreeMap<Needed, Need>,
    known: BTreeSet<Needed>,
    /// Those of a namespace, and by name or for all in it.
    bindings: HashMap<(String, Option<String>), Vec<Needed>>,
    /// ServiceAccounts whose bindings are not needed yet.
    accounts: Vec<(String, String)>,
}

impl Search {
    fn bind(&mut self, key: &ObjectKey<'_>, binding: &Object) {
        needs::accounts(key, &binding.json, &mut |namespace, name| {
            let account = (namespace.to_owned(), name.map(str::to_owned));
            self.bindings.entry(account).or_default().push(Needed::of(key));
        });
    }

    /// Notes what an object needs.
    fn look(&mut self, cluster: &Cluster<'_>, key: &ObjectKey<'_>, object: &Object) {
        let kind = object.qualified();
        let by = label(key.namespace, &kind, key.name);
        if let (Some(namespace), true) = (key.namespace, is_built_in(key, &["serviceaccounts"])) {
            self.accounts.push((namespace.to_owned(), key.name.to_owned()));
        }
        needs::each(cluster, &kind, key, &object.json, &mut |needed, must| self.note(needed, &by, must));
    }

    fn note(&mut self, needed: Needed, by: &str, must: bool) {
        if let Some(need) = self.next.get_mut(&needed) {
            need.must |= must;
        } else if self.known.insert(needed.clone()) {
            self.next.insert(needed, Need { label: by.to_owned(), must });
        }
    }

    /// What is to be looked for now.
    fn next(&mut self) -> BTreeMap<Needed, Need> {
        for (namespace, name) in std::mem::take(&mut self.accounts) {
            let by = label(Some(&namespace), "serviceaccount", &name);
            for whose in [Some(name), None] {
                let bindings = self.bindings.get(&(namespace.clone(), whose)).cloned().unwrap_or_default();
                bindings.into_iter().for_each(|binding| self.note(binding, &by, true));
            }
        }
        std::mem::take(&mut self.next)
    }
}
