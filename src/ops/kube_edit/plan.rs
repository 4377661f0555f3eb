//! Changes of objects to rows of etcd's key bucket.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::change::{EditAction, EditedObject, KubeEdit, told};
use super::object::{Given, Stored};

use crate::codec::to_u64;
use crate::etcd::{BucketKey, KeyRange, KeyValue, Revision};
use crate::kube::cluster::Cluster;
use crate::kube::decode::{Encoding, Object};
use crate::kube::encode::encode;
use crate::kube::envelope::{Encrypted, Form};
use crate::kube::resource::Resource;
use crate::store::OwnedKeyValue;
use crate::store::rewrite::Keys;
use crate::words::error::Result;
use crate::words::hint::Hint;
use crate::words::refusal::Refusal;
use crate::words::text::Told;

/// What is to be written.
pub(super) struct Plan<'p> {
    cluster: Cluster<'p>,
    namespace: Option<&'p str>,
    rows: Keys,
    /// Keys that were changed, as they are now.
    now: BTreeMap<String, Option<OwnedKeyValue>>,
    revision: i64,
    /// The newest time in the file, once it was asked for.
    time: Option<Option<Timestamp>>,
    objects: Vec<EditedObject>,
}

/// Where an object lies, and what is there.
struct Place {
    key: String,
    was: Option<OwnedKeyValue>,
}

impl<'p> Plan<'p> {
    pub(super) fn new(cluster: Cluster<'p>, namespace: Option<&'p str>) -> Plan<'p> {
        let revision = cluster.view().store().revision();
        let (rows, now, objects) = (Keys::new(), BTreeMap::new(), Vec::new());
        Plan { cluster, namespace, rows, now, revision, time: None, objects }
    }

    pub(super) fn into_parts(self) -> (Keys, Vec<EditedObject>, i64) {
        (self.rows, self.objects, self.revision)
    }

    pub(super) fn edit(&mut self, edit: &KubeEdit) -> Result<()> {
        match edit {
            KubeEdit::Put(json) => self.put(json),
            KubeEdit::Delete { resource, name } => self.delete(resource, name),
        }
    }

    fn refused(object: &str, why: impl Into<String>, hint: Option<Hint>) -> Refusal {
        Refusal::NotEditable { object: object.into(), why: Told::from(why), hint }
    }

    fn read(&self, key: &str) -> Result<Option<OwnedKeyValue>> {
        match self.now.get(key) {
            Some(now) => Ok(now.clone()),
            None => self.cluster.view().get(key.as_bytes()),
        }
    }

    fn delete(&mut self, word: &str, name: &str) -> Result<()> {
        let Some(resource) = self.cluster.resource(word).cloned() else {
            return Err(Self::refused(word, "no kind is called so", Some(Hint::ListKinds)).into());
        };
        let namespace = resource.namespaced.then(|| self.namespace.unwrap_or("default").to_owned());
        let told = told(&resource.qualified(), namespace.as_deref(), name);
        let keys = self.keys(&resource, namespace.as_deref(), name);
        let mut was = None;
        for key in keys {
            was = was.or(self.read(&key)?.map(|kv| (key, kv)));
        }
        let Some((key, was)) = was else { return Err(Self::refused(&told, "not found", None).into()) };
        let object = Object::decode(&was.value).ok();
        let mut notes = Vec::new();
        if let Some(object) = &object {
            let metadata = object.json.get("metadata");
            if metadata.and_then(|metadata| metadata.get("finalizers")).is_some() {
                notes.push("it has finalizers, which nobody runs now".to_owned());
            }
        }
        if (&*resource.group, &*resource.kind) == ("", "Namespace") {
            notes.push("what is in the namespace stays".to_owned());
        }
        let revision = self.next(&told)?;
        self.objects.push(EditedObject {
            action: EditAction::Deleted,
            api_version: object.as_ref().map_or_else(String::new, |object| object.api_version.clone()),
            kind: resource.kind.clone(),
            namespace,
            name: name.to_owned(),
            key: key.clone(),
            encoding: object.as_ref().map(|object| object.encoding),
            uid: object.as_ref().and_then(|object| object.metadata("uid")).map(str::to_owned),
            revision_before: Some(was.mod_revision),
            revision,
            version: 0,
            bytes_before: Some(to_u64(was.value.len())),
            bytes: None,
            notes,
        });
        let row = BucketKey { revision: Revision { main: revision, sub: 0 }, tombstone: true };
        let value = KeyValue { key: key.as_bytes(), ..KeyValue::default() }.encode();
        self.rows.insert(row.to_bytes(), Some(value));
        self.now.insert(key, None);
        Ok(())
    }

    /// The revision of the next change.
    fn next(&mut self, told: &str) -> Result<i64> {
        let next = self.revision.checked_add(1);
        self.revision =
            next.ok_or_else(|| Self::refused(told, "there is no revision behind the last one", None))?;
        Ok(self.revision)
    }

    fn put(&mut self, json: &Map<String, Value>) -> Result<()> {
        let mut given = Given::of(json, self.namespace)?;
        let Some(resource) = self.resource(&given) else {
            let why = "neither Kubernetes has this kind in this group, nor is it defined in the file";
            return Err(given.refused(why, Some(Hint::ListKinds)).into());
        };
        given.check_namespace(resource.namespaced)?;
        let Place { key, was } = self.place(&given, &resource)?;
        let stored = self.stored(&given, &resource, &key, was)?;
        let time = if stored.was.is_none() { self.newest_time()? } else { None };
        let (object, notes) = given.object(&stored, time, (&key, self.revision))?;
        if stored.encoding != Encoding::Protobuf && !self.cluster.knows(&object) {
            let why = "the definition of the kind has no such version";
            return Err(given.refused(why, None).into());
        }
        let value = encode(&object, &stored.like).map_err(|e| given.refused(e.to_string(), None))?;
        let told = given.told();
        let revision = self.next(&told)?;
        let was = stored.was.as_ref();
        let kv = OwnedKeyValue {
            key: key.clone().into_bytes(),
            create_revision: was.map_or(revision, |was| was.create_revision),
            mod_revision: revision,
            version: was.map_or(1, |was| was.version.saturating_add(1)),
            value,
            ..OwnedKeyValue::default()
        };
        self.objects.push(EditedObject {
            action: if was.is_some() { EditAction::Changed } else { EditAction::Created },
            api_version: object.api_version.clone(),
            kind: object.kind.clone(),
            namespace: given.namespace.clone(),
            name: given.name.clone(),
            key: key.clone(),
            encoding: Some(object.encoding),
            uid: object.metadata("uid").map(str::to_owned),
            revision_before: was.map(|was| was.mod_revision),
            revision,
            version: kv.version,
            bytes_before: was.map(|was| to_u64(was.value.len())),
            bytes: Some(to_u64(kv.value.len())),
            notes,
        });
        self.write(&kv);
        self.now.insert(key, Some(kv));
        if object.kind == "CustomResourceDefinition" {
            self.cluster.learn(object);
        }
        Ok(())
    }

    fn newest_time(&mut self) -> Result<Option<Timestamp>> {
        if self.time.is_none() {
            self.time = Some(self.cluster.newest_time()?);
        }
        Ok(self.time.flatten())
    }

    fn write(&mut self, kv: &OwnedKeyValue) {
        let row = BucketKey { revision: Revision { main: kv.mod_revision, sub: 0 }, tombstone: false };
        let value = KeyValue {
            key: &kv.key,
            create_revision: kv.create_revision,
            mod_revision: kv.mod_revision,
            version: kv.version,
            value: &kv.value,
            lease: 0,
        };
        self.rows.insert(row.to_bytes(), Some(value.encode()));
    }

    /// That of the object: of two with one kind, the one whose group it has.
    fn resource(&self, given: &Given) -> Option<Resource> {
        let same = |r: &&Resource| r.kind == given.kind && r.group == given.group();
        self.cluster.resources().iter().rev().find(same).cloned()
    }

    /// The keys that it may have, by the prefixes that there are.
    fn keys(&self, resource: &Resource, namespace: Option<&str>, name: &str) -> Vec<String> {
        let namespace = namespace.map_or_else(String::new, |namespace| format!("{namespace}/"));
        let path = resource.path();
        self.cluster.prefixes().iter().map(|prefix| format!("{prefix}/{path}/{namespace}{name}")).collect()
    }

    fn place(&self, given: &Given, resource: &Resource) -> Result<Place> {
        let keys = self.keys(resource, given.namespace.as_deref(), &given.name);
        for key in &keys {
            if let Some(kv) = self.read(key)? {
                return Ok(Place { key: key.clone(), was: Some(kv) });
            }
        }
        // Where others of the resource are; else where the namespaces are, or the only prefix there is.
        let ends = [resource.path() + "/", "namespaces/".to_owned()];
        for end in ends {
            for (key, prefix) in keys.iter().zip(self.cluster.prefixes()) {
                let range = format!("{prefix}/{end}");
                let first = self.cluster.view().keys(KeyRange::prefix(range.as_bytes())).next();
                if first.transpose()?.is_some() {
                    return self.checked(given, prefix, key.clone());
                }
            }
        }
        let why = "the file holds no objects of Kubernetes that would tell where it belongs";
        Err(given.refused(why, Some(Hint::EtcdPrefix)).into())
    }

    /// The place of a new object; its namespace must be there.
    fn checked(&self, given: &Given, prefix: &str, key: String) -> Result<Place> {
        if let Some(namespace) = &given.namespace
            && self.read(&format!("{prefix}/namespaces/{namespace}"))?.is_none()
        {
            return Err(given.refused(format!("namespaces {namespace:?} not found"), None).into());
        }
        Ok(Place { key, was: None })
    }

    /// What there is of its kind: how it is to be stored.
    fn stored(
        &self,
        given: &Given,
        resource: &Resource,
        key: &str,
        was: Option<OwnedKeyValue>,
    ) -> Result<Stored> {
        let encrypted = |by: Encrypted<'_>, what: &str| {
            let Encrypted { provider, version, name, .. } = by;
            given.refused(
                format!(
                    "{what} encrypted ({provider}:{version}:{name}): an API server that encrypts would not read \
                     what is not"
                ),
                None,
            )
        };
        if let Some(was) = was {
            if let Ok(Form::Encrypted(by)) = Form::of(&was.value) {
                return Err(encrypted(by, "the stored object is").into());
            }
            return Stored::replaced(given, was);
        }
        // How the API server wrote the last one of the resource.
        let path = resource.path();
        let end = key.find(&format!("/{path}/")).unwrap_or_default();
        let range = format!("{}/{path}/", key.get(..end).unwrap_or_default());
        let mut last: Option<OwnedKeyValue> = None;
        for kv in self.cluster.view().items(KeyRange::prefix(range.as_bytes())) {
            let kv = kv?;
            if last.as_ref().is_none_or(|last| last.mod_revision < kv.mod_revision) {
                last = Some(kv);
            }
        }
        if let Some(last) = &last
            && let Ok(Form::Encrypted(by)) = Form::of(&last.value)
        {
            return Err(encrypted(by, "the last object of this resource is").into());
        }
        Ok(Stored::beside(last.as_ref(), resource.group_in_key))
    }
}
