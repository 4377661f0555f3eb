//! What of an object's looks hangs on nothing but the object: many are made ready at once.

use coldbolt::kube::cluster::{Cluster, StoredObject};
use coldbolt::kube::decode::{Glance, NoObject, Object};
use coldbolt::kube::json::{self, Layout};
use coldbolt::kube::resource::Resource;
use coldbolt::kube::serve::hide_managed_fields;
use coldbolt::kube::yaml;
use serde_json::{Map, Value};

use super::super::keyspace::{json_bytes, show_key};
use super::super::out::clean;
use super::args::{Args, Output};

/// An object that is to be shown, or why there is none.
pub struct Shown<'i> {
    pub item: &'i StoredObject,
    pub object: Result<Object, NoObject<'i>>,
}

/// An object that is to be printed.
pub enum Ready<'i> {
    /// As its text, which is all of it or an item of a List.
    Text(String),
    /// Among others, as in a table.
    Object(Shown<'i>),
}

/// How objects look.
#[derive(Clone, Copy)]
pub struct Form<'f> {
    pub args: &'f Args,
    pub cluster: &'f Cluster<'f>,
    /// Whether they are a List.
    pub several: bool,
    /// The resource that was asked for; of all none.
    pub resource: Option<&'f Resource>,
}

impl Form<'_> {
    /// Makes an object ready.
    pub fn ready<'i>(&self, shown: Shown<'i>) -> Ready<'i> {
        match self.args.output {
            Output::Name => Ready::Text(name_line(&self.name(&shown))),
            Output::Yaml | Output::Json | Output::Ndjson => {
                let json = self.json(shown, self.args.show_managed_fields);
                Ready::Text(self.text(&json))
            }
            Output::Table | Output::Wide | Output::Template(..) => Ready::Object(shown),
        }
    }

    /// The name of an object, where no more of it is asked for.
    pub fn named(&self, item: &StoredObject, glance: &Glance) -> Ready<'static> {
        let key = self.cluster.key(&item.kv.key).object();
        let name = key.map_or_else(|| show_key(&item.kv.key), |key| key.name.into());
        let kind = self.resource.map_or_else(|| glance.qualified(), Resource::qualified);
        Ready::Text(name_line(&format!("{kind}/{name}")))
    }

    fn text(&self, object: &Map<String, Value>) -> String {
        let stored = Layout { indent: true, sorted: !self.args.as_stored };
        match (&self.args.output, self.several) {
            (Output::Yaml, false) => yaml::document(object),
            (Output::Yaml, true) => yaml::item(object),
            (Output::Json, false) => format!("{}\n", json::object_text(object, stored)),
            (Output::Json, true) => json::item_text(object, stored),
            _ => format!("{}\n", json::object_text(object, Layout { indent: false, ..stored })),
        }
    }

    /// The object with what is said of it beside: when it was deleted, or why it cannot be shown.
    pub fn json(&self, shown: Shown<'_>, managed: bool) -> Map<String, Value> {
        let mut beside = Map::new();
        if let Some(revision) = shown.item.deleted {
            beside.insert("deletedAtRevision".to_owned(), revision.into());
        }
        let mut json = match shown.object {
            Ok(object) => {
                let mut json = object.json;
                if !managed && !self.args.as_stored {
                    hide_managed_fields(&mut json);
                }
                json
            }
            Err(why) => {
                json_bytes(&mut beside, "key", &shown.item.kv.key);
                let (name, why) = said(why);
                beside.insert(name.to_owned(), why);
                self.by_key(shown.item)
            }
        };
        if !beside.is_empty() {
            json.insert("coldbolt".to_owned(), beside.into());
        }
        json
    }

    /// What the key tells of an object.
    pub fn by_key(&self, item: &StoredObject) -> Map<String, Value> {
        let (mut json, mut metadata) = (Map::new(), Map::new());
        if let Some(key) = self.cluster.key(&item.kv.key).object() {
            let kind = self.resource.map(|resource| &*resource.kind).filter(|kind| !kind.is_empty());
            json.insert("kind".to_owned(), kind.unwrap_or(key.resource).into());
            metadata.insert("name".to_owned(), key.name.into());
            metadata.extend(key.namespace.map(|namespace| ("namespace".to_owned(), namespace.into())));
        }
        metadata.insert("resourceVersion".to_owned(), item.kv.mod_revision.to_string().into());
        json.insert("metadata".to_owned(), metadata.into());
        json
    }

    pub fn name(&self, shown: &Shown<'_>) -> String {
        let key = self.cluster.key(&shown.item.kv.key).object();
        let name = key.map_or_else(|| show_key(&shown.item.kv.key).into_owned(), |key| key.name.to_owned());
        match (self.resource, &shown.object) {
            (Some(resource), _) => format!("{}/{name}", resource.qualified()),
            (None, Ok(object)) => format!("{}/{name}", object.qualified()),
            (None, Err(_)) => format!("{}/{name}", key.map_or("", |key| key.resource)),
        }
    }
}

fn name_line(name: &str) -> String {
    format!("{}\n", clean(name))
}

/// Why there is no object, as a field.
pub fn said(why: NoObject<'_>) -> (&'static str, Value) {
    match why {
        NoObject::Encrypted(by) => ("encrypted", by.to_string().into()),
        why => ("undecoded", why.to_string().into()),
    }
}
