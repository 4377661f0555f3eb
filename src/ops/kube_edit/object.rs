//! An object as it was given to one as an API server would store it.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::change::told;
use crate::codec::checksum::hex;
use crate::kube::decode::{Encoding, Object, UnknownField};
use crate::kube::encode::{Like, encode};
use crate::kube::schema::schema;
use crate::kube::secret::REDACTED_PREFIX;
use crate::kube::serve::serve;
use crate::kube::type_meta::group_of;
use crate::store::OwnedKeyValue;
use crate::words::error::Result;
use crate::words::hint::Hint;
use crate::words::refusal::Refusal;
use crate::words::text::Told;

/// The only kind of which API servers of one version store another one than they serve, and read both.
const DEFINITION: (&str, &str) = ("apiextensions.k8s.io", "CustomResourceDefinition");

/// An object as it was given.
pub(super) struct Given<'g> {
    json: &'g Map<String, Value>,
    pub api_version: String,
    pub kind: String,
    pub name: String,
    pub namespace: Option<String>,
}

/// How an object is to be stored.
pub(super) struct Stored {
    /// What it replaces, and the object that this is.
    pub was: Option<OwnedKeyValue>,
    object: Option<Object>,
    pub encoding: Encoding,
    /// The version that others of its resource are stored in.
    api_version: Option<String>,
    pub like: Like,
}

impl Stored {
    /// In the place of an object.
    pub(super) fn replaced(given: &Given<'_>, was: OwnedKeyValue) -> Result<Stored> {
        let object = match Object::decode(&was.value) {
            Ok(object) if object.known => object,
            Ok(_) => {
                return Err(given
                    .refused("the stored object is of a kind or version that is not known", None)
                    .into());
            }
            Err(_) => return Err(given.refused("what is stored at its key is no object", None).into()),
        };
        let like = Like::of(&was.value).for_given();
        let (encoding, api_version) = (object.encoding, Some(object.api_version.clone()));
        Ok(Stored { was: Some(was), object: Some(object), encoding, api_version, like })
    }

    /// Beside another object of the resource, if there is one.
    pub(super) fn beside(other: Option<&OwnedKeyValue>, custom: bool) -> Stored {
        let object = other.and_then(|other| Object::decode(&other.value).ok());
        let own = if custom { Encoding::Json } else { Encoding::Protobuf };
        Stored {
            was: None,
            encoding: object.as_ref().map_or(own, |object| object.encoding),
            api_version: object.map(|object| object.api_version),
            object: None,
            like: other.map(|other| Like::of(&other.value)).unwrap_or_default().for_given(),
        }
    }
}

impl<'g> Given<'g> {
    /// What the object says it is.
    pub(super) fn of(json: &'g Map<String, Value>, namespace: Option<&str>) -> Result<Given<'g>> {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        let metadata = json.get("metadata");
        let metadata = |name| text(metadata.and_then(|metadata| metadata.get(name)));
        let own = Some(metadata("namespace")).filter(|namespace| !namespace.is_empty());
        let given = Given {
            json,
            api_version: text(json.get("apiVersion")),
            kind: text(json.get("kind")),
            name: metadata("name"),
            namespace: own.or_else(|| namespace.map(str::to_owned)),
        };
        let missing = [
            (&given.api_version, "its apiVersion is no text"),
            (&given.kind, "its kind is no text"),
            (&given.name, "its metadata.name is no text"),
        ];
        if let Some((_, why)) = missing.iter().find(|(text, _)| text.is_empty()) {
            return Err(given.refused(*why, None).into());
        }
        for part in [Some(&given.name), given.namespace.as_ref()].into_iter().flatten() {
            // As `k8s.io/apimachinery/pkg/api/validation/path` has it.
            if part == "." || part == ".." || part.contains(['/', '%']) {
                return Err(given.refused("its name or namespace cannot be part of a key", None).into());
            }
        }
        if let (Some(asked), Some(own)) = (namespace, &given.namespace)
            && asked != own
        {
            let why = format!("it is of namespace {own:?}, and {asked:?} was asked for");
            return Err(given.refused(why, None).into());
        }
        Ok(given)
    }

    pub(super) fn told(&self) -> String {
        told(&self.kind, self.namespace.as_deref(), &self.name)
    }

    pub(super) fn refused(&self, why: impl Into<String>, hint: Option<Hint>) -> Refusal {
        Refusal::NotEditable { object: self.told().into(), why: Told::from(why), hint }
    }

    pub(super) fn group(&self) -> &str {
        group_of(&self.api_version)
    }

    /// The namespace is told where there is one, and only there.
    pub(super) fn check_namespace(&mut self, namespaced: bool) -> Result<()> {
        let own = self.json.get("metadata").and_then(|metadata| metadata.get("namespace"));
        match (namespaced, &self.namespace) {
            (true, None) => Err(self.refused("it says no namespace", Some(Hint::Namespace)).into()),
            (false, Some(_)) if own.is_some_and(|own| own != "") => {
                Err(self.refused("its kind is in no namespace, and it says one", None).into())
            }
            (false, _) => {
                self.namespace = None;
                Ok(())
            }
            (true, Some(_)) => Ok(()),
        }
    }

    /// Nothing is converted between versions.
    fn check_version(&self, stored: &Stored) -> Result<()> {
        let definition = (self.group(), &*self.kind) == DEFINITION;
        if let Some(version) = stored.api_version.as_ref().filter(|version| **version != self.api_version)
            && !definition
        {
            let why = format!(
                "it is given as {}, and stored as {version}: give it as that, nothing is converted between versions",
                self.api_version
            );
            return Err(self.refused(why, None).into());
        }
        Ok(())
    }

    /// The object as it is to be stored, and what a person should know of it.
    pub(super) fn object(
        &self,
        stored: &Stored,
        now: Option<Timestamp>,
        unique: (&str, i64),
    ) -> Result<(Object, Vec<String>)> {
        self.check_version(stored)?;
        let mut json = self.json.clone();
        // What is said of an object beside it where it is printed.
        json.shift_remove("coldbolt");
        self.refuse_redacted(&json)?;
        let mut notes = Vec::new();
        if (&*self.api_version, &*self.kind) == ("v1", "Secret") {
            self.string_data(&mut json)?;
        }
        let old = stored.object.as_ref();
        if let Some(old) = old {
            self.keep(old, &mut json, &mut notes);
        }
        let metadata = json.entry("metadata").or_insert_with(|| Map::new().into());
        if let Value::Object(metadata) = metadata {
            // An API server stores neither.
            metadata.shift_remove("resourceVersion");
            metadata.shift_remove("selfLink");
            if let Some(namespace) = &self.namespace {
                metadata.insert("namespace".to_owned(), namespace.as_str().into());
            }
            if old.is_none() {
                fresh(metadata, now, unique);
            }
        }
        let mut object = Object {
            encoding: stored.encoding,
            api_version: self.api_version.clone(),
            kind: self.kind.clone(),
            json,
            known: true,
            unknown: Vec::new(),
            remarks: Vec::new(),
        };
        if stored.encoding == Encoding::Json {
            object.json = sorted(object.json);
            // Of what is known it is told what does not fit, even if it is stored as text.
            if schema().kind(&object.api_version, &object.kind).is_some() {
                let tried = Object { encoding: Encoding::Protobuf, ..object.clone() };
                encode(&tried, &Like::newest().for_given()).map_err(|e| self.refused(e.to_string(), None))?;
            }
        }
        if let Some(old) = old {
            object.unknown = self.unknown(old, &object)?;
            notes.extend(
                old.remarks
                    .iter()
                    .map(|remark| format!("of the stored object, {}: {}", remark.path, remark.what)),
            );
        }
        Ok((object, notes))
    }

    /// Keeps what an API server keeps of the object that is there when it is given another one.
    fn keep(&self, old: &Object, json: &mut Map<String, Value>, notes: &mut Vec<String>) {
        let mut kept = Vec::new();
        // What is given is as it is served.
        let mut old = old.clone();
        serve(&mut old, 0, None);
        let was = |name: &str| old.json.get("metadata").and_then(|metadata| metadata.get(name));
        let metadata = json.entry("metadata").or_insert_with(|| Map::new().into());
        if let Value::Object(metadata) = metadata {
            for name in ["uid", "creationTimestamp", "managedFields"] {
                if metadata.get(name).is_none_or(Value::is_null)
                    && let Some(value) = was(name).filter(|value| !value.is_null())
                {
                    metadata.insert(name.to_owned(), value.clone());
                    kept.push(format!("metadata.{name}"));
                }
            }
        }
        if !json.contains_key("status")
            && let Some(status) =
                old.json.get("status").filter(|status| **status != Value::Object(Map::new()))
        {
            json.insert("status".to_owned(), status.clone());
            kept.push("status".to_owned());
        }
        if !kept.is_empty() {
            notes.push(format!("kept of the stored object: {}", kept.join(", ")));
        }
        let differs = |name: &str| {
            let (new, old) = (json.get(name), old.json.get(name));
            !matches!(name, "metadata" | "status" | "apiVersion" | "kind") && new != old
        };
        let changed = json.keys().chain(old.json.keys()).any(|name| differs(name));
        let generation = was("generation").and_then(Value::as_i64);
        if let (Some(generation), Some(Value::Object(metadata))) = (generation, json.get_mut("metadata")) {
            let due = generation.saturating_add(i64::from(changed));
            if metadata.get("generation").and_then(Value::as_i64).is_none_or(|given| given < due) {
                metadata.insert("generation".to_owned(), due.into());
                notes.push(format!("metadata.generation is {due}, it was {generation}"));
            }
        }
    }

    /// What was redacted when it was printed is no value to store.
    fn refuse_redacted(&self, json: &Map<String, Value>) -> Result<()> {
        fn redacted(value: &Value) -> bool {
            match value {
                Value::String(text) => text.contains(REDACTED_PREFIX),
                Value::Array(items) => items.iter().any(redacted),
                Value::Object(map) => map.values().any(redacted),
                _ => false,
            }
        }
        match json.iter().find(|(_, value)| redacted(value)) {
            Some((name, _)) => {
                let why = format!("{name} holds values that were redacted when they were printed");
                Err(self.refused(why, Some(Hint::ShowSecrets)).into())
            }
            None => Ok(()),
        }
    }

    /// An API server takes texts for a Secret and stores them in base64.
    fn string_data(&self, json: &mut Map<String, Value>) -> Result<()> {
        let texts = match json.shift_remove("stringData") {
            Some(Value::Object(texts)) => texts,
            None | Some(Value::Null) => return Ok(()),
            Some(_) => return Err(self.refused("stringData: an object is due", None).into()),
        };
        let data = json.entry("data").or_insert_with(|| Map::new().into());
        if data.is_null() {
            *data = Map::new().into();
        }
        let Value::Object(data) = data else {
            return Err(self.refused("data: an object is due", None).into());
        };
        for (name, text) in texts {
            let Value::String(text) = text else {
                return Err(self.refused(format!("stringData[{name:?}]: a string is due"), None).into());
            };
            data.insert(name, BASE64_STANDARD.encode(text).into());
        }
        Ok(())
    }

    /// The unknown fields of the object that is there, if what they are in is still at its place.
    fn unknown(&self, old: &Object, new: &Object) -> Result<Vec<UnknownField>> {
        let mut kept = Vec::new();
        let (before, after) = (Value::Object(old.json.clone()), Value::Object(new.json.clone()));
        for field in &old.unknown {
            if same_place(&field.path, &before, &after) {
                kept.push(field.clone());
            } else if !field.is_empty() {
                let why = format!(
                    "{}: the stored object has field {} here, which no known Kubernetes has, and the given one has \
                     something else here",
                    field.path, field.number
                );
                return Err(self.refused(why, None).into());
            }
        }
        Ok(kept)
    }
}

/// Whether the items on the way to a path, as `spec.containers[1]`, are of the same names.
fn same_place(path: &str, before: &Value, after: &Value) -> bool {
    let (mut before, mut after, mut rest) = (before, after, path);
    while !rest.is_empty() {
        let (old, new);
        if let Some(inside) = rest.strip_prefix('[') {
            let Some((index, tail)) = step(inside) else { return false };
            rest = tail;
            match index {
                Ok(at) => {
                    (old, new) = (before.get(at), after.get(at));
                    let name = |value: Option<&Value>| value.and_then(|value| value.get("name")).cloned();
                    if name(old) != name(new) || name(old).is_none() && old != new {
                        return false;
                    }
                }
                Err(key) => (old, new) = (before.get(&key), after.get(&key)),
            }
        } else {
            let inside = rest.strip_prefix('.').unwrap_or(rest);
            let end = inside.find(['.', '[']).unwrap_or(inside.len());
            let (name, tail) = inside.split_at_checked(end).unwrap_or_default();
            rest = tail;
            (old, new) = (before.get(name), after.get(name));
        }
        let (Some(old), Some(new)) = (old, new) else { return false };
        (before, after) = (old, new);
    }
    true
}

/// An index or a key in quotes, and what is behind its bracket.
fn step(inside: &str) -> Option<(std::result::Result<usize, String>, &str)> {
    if !inside.starts_with('"') {
        let (index, rest) = inside.split_once(']')?;
        return Some((Ok(index.parse().ok()?), rest));
    }
    // Keys are letters, digits and marks that stay as they are in quotes; what does not is not found.
    let (key, rest) = inside.strip_prefix('"')?.split_once("\"]")?;
    Some((Err(key.to_owned()), rest))
}

/// What an API server gives a new object.
fn fresh(metadata: &mut Map<String, Value>, now: Option<Timestamp>, (key, revision): (&str, i64)) {
    let missing = |metadata: &Map<String, Value>, name: &str| {
        metadata.get(name).is_none_or(|value| value.is_null() || value == "")
    };
    if missing(metadata, "uid") {
        metadata.insert("uid".to_owned(), uid(key, revision).into());
    }
    if missing(metadata, "creationTimestamp")
        && let Some(now) = now.and_then(|now| Timestamp::new(now.as_second(), 0).ok())
    {
        metadata.insert("creationTimestamp".to_owned(), now.to_string().into());
    }
}

/// A uid that no other object has: a UUID of version 8, of the key and the revision, so that the same source and object
/// give the same file.
fn uid(key: &str, revision: i64) -> String {
    let digest = Sha256::digest(format!("{key}\0{revision}"));
    let mut hex = hex(digest.get(..16).unwrap_or_default());
    hex.replace_range(12..13, "8");
    hex.replace_range(16..17, "8");
    for at in [8, 13, 18, 23] {
        hex.insert(at, '-');
    }
    hex
}

/// In the order of the names, as Go writes a custom resource.
fn sorted(json: Map<String, Value>) -> Map<String, Value> {
    fn value(json: Value) -> Value {
        match json {
            Value::Object(map) => sorted(map).into(),
            Value::Array(items) => items.into_iter().map(value).collect(),
            other => other,
        }
    }
    json.into_iter().map(|(name, json)| (name, value(json))).collect::<BTreeMap<_, _>>().into_iter().collect()
}
