//! The objects of a keyspace, at one of its revisions.
//!
//! ```
//! use std::ops::ControlFlow;
//!
//! use coldbolt::io::Source;
//! use coldbolt::kube::cluster::{Cluster, Scope};
//! use coldbolt::kube::decode::Object;
//! use coldbolt::kube::selector::LabelSelector;
//! use coldbolt::kube::serve::hide_managed_fields;
//! use coldbolt::kube::yaml;
//! use coldbolt::store::{Store, StoreOptions};
//! use coldbolt::words::monitor::Quiet;
//!
//! # fn main() -> coldbolt::Result<()> {
//! // Or the path of a file.
//! let file = Source::from_bytes("snapshot.db", snapshot());
//! let store = Store::open(file, &StoreOptions::default(), &Quiet)?;
//! let cluster = Cluster::open(store.at(None)?, None)?;
//!
//! // What `kubectl get cm -n every-kind -l ... -o yaml` would print, each for itself.
//! let config_maps = cluster.resource("cm").expect("one of Kubernetes' own");
//! let scope = Scope { namespace: Some("every-kind"), ..Scope::of(config_maps) };
//! let selector = LabelSelector::parse("!hidden").expect("a selector");
//! let mut documents = Vec::new();
//! cluster.each(&scope, &mut |stored| {
//!     if let Ok(mut object) = Object::decode(&stored.kv.value)
//!         && selector.matches(object.json.get("metadata").and_then(|metadata| metadata.get("labels")))
//!     {
//!         cluster.serve(&mut object, stored.kv.mod_revision);
//!         hide_managed_fields(&mut object.json);
//!         documents.push(yaml::document(&object.json));
//!     }
//!     ControlFlow::Continue(())
//! })?;
//! assert!(documents.iter().any(|text| text.contains("kind: ConfigMap\nmetadata:\n")));
//! # Ok(())
//! # }
//! # fn snapshot() -> Vec<u8> {
//! #     let packed = std::fs::File::open("fixtures/kube/plain-1.37/snapshot.db.gz").unwrap();
//! #     let mut bytes = Vec::new();
//! #     std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(packed), &mut bytes).unwrap();
//! #     bytes
//! # }
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use jiff::Timestamp;
use serde_json::Value;

use super::decode::Object;
use super::key::KeyKind;
use super::places::ObjectPlaces;
use super::resource::{self, Resource};
use super::serve::serve;
use super::table::PrinterColumn;
use super::times::{renewed, written};
use crate::etcd::KeyRange;
use crate::io::Window;
use crate::store::{EventKind, KeyState, OwnedKeyValue, View};
use crate::words::error::Result;

/// Definitions of custom resources that are read; a cluster has some hundreds.
const DEFINITIONS: usize = 10_000;

/// Objects, and bytes of their values, that are handed out together.
const BATCH: usize = 1 << 12;
const BATCH_BYTES: usize = 8 << 20;

/// The objects of a keyspace.
pub struct Cluster<'v> {
    view: View<'v>,
    prefixes: Vec<String>,
    resources: Vec<Resource>,
    /// Of custom resources: by group, kind and version.
    schemas: BTreeMap<(String, String, String), Value>,
    columns: BTreeMap<(String, String, String), Vec<PrinterColumn>>,
    /// Fields that custom resources can be selected by: by group and plural.
    selectable: BTreeMap<(String, String), Vec<String>>,
    /// Those of which the status is written apart.
    with_status: BTreeSet<(String, String, String)>,
}

/// Which objects.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scope<'s> {
    /// Of this resource; of all.
    pub resource: Option<&'s Resource>,
    /// In this namespace; in all and none.
    pub namespace: Option<&'s str>,
    /// Also those that are deleted, as far as a version of them is still stored.
    pub deleted: bool,
}

impl<'s> Scope<'s> {
    /// All of a resource.
    #[must_use]
    pub fn of(resource: &'s Resource) -> Scope<'s> {
        Scope { resource: Some(resource), ..Scope::default() }
    }
}

/// A stored object, not yet decoded.
#[derive(Debug, Clone)]
pub struct StoredObject {
    /// Its key and value; of what is deleted the last ones.
    pub kv: OwnedKeyValue,
    /// When it was deleted.
    pub deleted: Option<i64>,
}

impl<'v> Cluster<'v> {
    /// Reads which custom resources there are. Objects lie behind `prefix`, or where they are found: behind one of
    /// [`PREFIXES`](super::key::PREFIXES) or what else stands before `/namespaces/default`.
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) when pages cannot be read.
    pub fn open(view: View<'v>, prefix: Option<&str>) -> Result<Cluster<'v>> {
        let prefixes = match prefix {
            Some(prefix) => vec![format!("/{}", prefix.trim_matches('/'))],
            None => detect(view)?,
        };
        let resources = resource::built_in();
        let mut cluster = Cluster {
            view,
            prefixes,
            resources,
            schemas: BTreeMap::new(),
            columns: BTreeMap::new(),
            selectable: BTreeMap::new(),
            with_status: BTreeSet::new(),
        };
        let mut found = Vec::new();
        if let Some(definitions) = cluster.resource("customresourcedefinitions.apiextensions.k8s.io") {
            cluster.each(&Scope::of(definitions), &mut |item| {
                if let Ok(mut object) = Object::decode(&item.kv.value) {
                    serve(&mut object, item.kv.mod_revision, None);
                    found.push(Value::Object(object.json));
                }
                if found.len() < DEFINITIONS { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
        }
        found.iter().for_each(|definition| cluster.define(definition));
        Ok(cluster)
    }

    fn define(&mut self, definition: &Value) {
        let Some(resource) = Resource::of_definition(definition) else { return };
        let versions = definition.pointer("/spec/versions").and_then(Value::as_array);
        for version in versions.into_iter().flatten() {
            let Some(name) = version.get("name").and_then(Value::as_str) else { continue };
            let key = (resource.group.clone(), resource.kind.clone(), name.to_owned());
            self.columns.insert(key.clone(), PrinterColumn::of_version(version));
            let fields = version.get("selectableFields").and_then(Value::as_array).into_iter().flatten();
            let paths = fields.filter_map(|field| field.get("jsonPath").and_then(Value::as_str));
            let paths = paths.map(|path| path.strip_prefix('.').unwrap_or(path).to_owned());
            self.selectable
                .entry((resource.group.clone(), resource.plural.clone()))
                .or_default()
                .extend(paths);
            if version.pointer("/subresources/status").is_some() {
                self.with_status.insert(key.clone());
            }
            self.schemas
                .extend(version.pointer("/schema/openAPIV3Schema").map(|schema| (key, schema.clone())));
        }
        self.resources.push(resource);
    }

    /// The keyspace.
    #[must_use]
    pub fn view(&self) -> View<'v> {
        self.view
    }

    /// The resources: Kubernetes' own and those that are defined.
    #[must_use]
    pub fn resources(&self) -> &[Resource] {
        &self.resources
    }

    /// What stands before the keys of objects.
    #[must_use]
    pub fn prefixes(&self) -> &[String] {
        &self.prefixes
    }

    /// Learns a custom resource by a definition that is not in the keyspace.
    #[cfg(feature = "fs")]
    pub(crate) fn learn(&mut self, mut definition: Object) {
        serve(&mut definition, 0, None);
        self.define(&Value::Object(definition.json));
    }

    /// Whether an object's kind is known in its version: one of Kubernetes' own, or as it is defined.
    #[must_use]
    pub fn knows(&self, object: &Object) -> bool {
        self.columns.contains_key(&kind_of(object))
            || super::schema::schema().kind(&object.api_version, &object.kind).is_some()
    }

    /// The newest time in it: that a Lease was renewed at, or if none can be read that an object was written at.
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) when pages cannot be read.
    pub fn newest_time(&self) -> Result<Option<Timestamp>> {
        let mut newest = None;
        if let Some(leases) = self.resource("leases.coordination.k8s.io") {
            self.each(&Scope::of(leases), &mut |item| {
                newest = newest.max(renewed(&item.kv.key, &item.kv.value));
                ControlFlow::Continue(())
            })?;
        }
        if newest.is_none() {
            self.each(&Scope::default(), &mut |item| {
                newest = newest.max(written(&item.kv.value, true));
                ControlFlow::Continue(())
            })?;
        }
        Ok(newest)
    }

    /// The resource that is called so.
    #[must_use]
    pub fn resource(&self, word: &str) -> Option<&Resource> {
        self.resources.iter().find(|resource| resource.is_called(word))
    }

    /// Takes a key apart.
    #[must_use]
    pub fn key<'k>(&self, key: &'k [u8]) -> KeyKind<'k> {
        KeyKind::parse(key, &self.prefixes)
    }

    /// The keys that an object of a resource may lie under: one behind each prefix.
    pub fn keys_of(
        &self,
        resource: &Resource,
        namespace: Option<&str>,
        name: &str,
    ) -> impl Iterator<Item = String> {
        let namespace = namespace.map_or_else(String::new, |namespace| format!("{namespace}/"));
        let path = format!("{}/{namespace}{name}", resource.path());
        self.prefixes.iter().map(move |prefix| format!("{prefix}/{path}"))
    }

    /// The object as an API server would answer it.
    pub fn serve(&self, object: &mut Object, mod_revision: i64) {
        let schema = if self.schemas.is_empty() { None } else { self.schemas.get(&kind_of(object)) };
        serve(object, mod_revision, schema);
    }

    /// The columns that a custom resource has by its definition.
    #[must_use]
    pub fn columns(&self, object: &Object) -> Option<&[PrinterColumn]> {
        self.columns.get(&kind_of(object)).map(Vec::as_slice)
    }

    /// The fields that its definition lets a custom resource be selected by, beside name and namespace; `None` for one
    /// of Kubernetes' own.
    #[must_use]
    pub fn selectable_fields(&self, resource: &Resource) -> Option<&[String]> {
        self.selectable.get(&(resource.group.clone(), resource.plural.clone())).map(Vec::as_slice)
    }

    /// Whether a server takes the object's status from those only who write nothing else: of a custom resource by its
    /// definition, which may have it a field like others.
    #[must_use]
    pub fn writes_status_apart(&self, object: &Object) -> bool {
        let kind = kind_of(object);
        !self.columns.contains_key(&kind) || self.with_status.contains(&kind)
    }

    /// Hands out the objects in order of their keys, prefix by prefix, until `take` breaks off.
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) when pages cannot be read.
    pub fn each(
        &self,
        scope: &Scope<'_>,
        take: &mut dyn FnMut(StoredObject) -> ControlFlow<()>,
    ) -> Result<()> {
        self.each_of(scope, &|_| true, take)
    }

    /// The same for the keys that are `wanted`: values of others are not read.
    ///
    /// # Errors
    /// As [`Cluster::each`].
    pub fn each_of(
        &self,
        scope: &Scope<'_>,
        wanted: &dyn Fn(KeyKind<'_>) -> bool,
        take: &mut dyn FnMut(StoredObject) -> ControlFlow<()>,
    ) -> Result<()> {
        let inside = |key: &[u8]| {
            let key = self.key(key);
            let namespace = key.object().and_then(|key| key.namespace);
            (scope.namespace.is_none() || namespace == scope.namespace) && wanted(key)
        };
        for prefix in &self.prefixes {
            let mut path = format!("{prefix}/");
            if let Some(resource) = scope.resource {
                path.push_str(&resource.path());
                path.push('/');
                if let Some(namespace) = scope.namespace {
                    path.push_str(namespace);
                    path.push('/');
                }
            }
            let flow = if scope.deleted {
                self.with_deleted(path.as_bytes(), &inside, take)?
            } else {
                self.live(path.as_bytes(), &inside, take)?
            };
            if flow.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The same many at once, for work on all cores: [`map_each`](crate::io::parallel::map_each).
    ///
    /// # Errors
    /// As [`Cluster::each`].
    pub fn batches(
        &self,
        scope: &Scope<'_>,
        wanted: &dyn Fn(KeyKind<'_>) -> bool,
        take: &mut dyn FnMut(&[StoredObject]) -> ControlFlow<()>,
    ) -> Result<()> {
        let (mut batch, mut bytes, mut flow) = (Vec::new(), 0_usize, ControlFlow::Continue(()));
        self.each_of(scope, wanted, &mut |stored| {
            bytes = bytes.saturating_add(stored.kv.value.len());
            batch.push(stored);
            if bytes >= BATCH_BYTES || batch.len() == BATCH {
                flow = take(&batch);
                (bytes, batch) = (0, Vec::new());
            }
            flow
        })?;
        if flow.is_continue() && !batch.is_empty() {
            let _ = take(&batch);
        }
        Ok(())
    }

    fn live(
        &self,
        prefix: &[u8],
        wanted: &dyn Fn(&[u8]) -> bool,
        take: &mut dyn FnMut(StoredObject) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        let mut window = Window::scattered();
        for state in self.view.keys(KeyRange::prefix(prefix)) {
            let state = state?;
            if wanted(&state.key)
                && take(StoredObject { kv: self.read(state, &mut window)?, deleted: None }).is_break()
            {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn read(&self, state: KeyState, window: &mut Window) -> Result<OwnedKeyValue> {
        let value = self.view.value(&state, window, <[u8]>::to_vec)?;
        let KeyState { key, create_revision, version, lease, revision, .. } = state;
        let key = key.into_vec();
        Ok(OwnedKeyValue { key, create_revision, mod_revision: revision.main, version, value, lease })
    }

    /// The last version of what is deleted is looked for in one walk, and kept in memory.
    fn with_deleted(
        &self,
        prefix: &[u8],
        wanted: &dyn Fn(&[u8]) -> bool,
        take: &mut dyn FnMut(StoredObject) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        let range = KeyRange::prefix(prefix);
        let mut last: BTreeMap<Vec<u8>, Option<OwnedKeyValue>> = BTreeMap::new();
        for state in self.view.keys(range.clone()).with_deleted() {
            let state = state?;
            if state.deleted && wanted(&state.key) {
                last.insert(state.key.to_vec(), None);
            }
        }
        if !last.is_empty() {
            let until = Some(self.view.revision());
            self.view.store().events(None, until, Some(&range), &mut |event| {
                if event.kind == EventKind::Put
                    && let Some(kept) = last.get_mut(event.kv.key)
                {
                    *kept = Some(event.kv.into());
                }
                ControlFlow::Continue(())
            })?;
        }
        let mut window = Window::scattered();
        for state in self.view.keys(range).with_deleted() {
            let state = state?;
            let item = if state.deleted {
                let Some(kv) = last.remove(&*state.key).flatten() else { continue };
                StoredObject { kv, deleted: Some(state.revision.main) }
            } else if wanted(&state.key) {
                StoredObject { kv: self.read(state, &mut window)?, deleted: None }
            } else {
                continue;
            };
            if take(item).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

fn kind_of(object: &Object) -> (String, String, String) {
    (object.group().to_owned(), object.kind.clone(), object.version().to_owned())
}

/// The prefixes that objects lie behind.
fn detect(view: View<'_>) -> Result<Vec<String>> {
    let mut found = ObjectPlaces::default();
    for state in view.keys(KeyRange::all()) {
        found.learn_prefix(&state?.key);
    }
    Ok(found.prefixes().map(str::to_owned).collect())
}
