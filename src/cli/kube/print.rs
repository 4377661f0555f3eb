//! How the objects that were got look.

use std::io::{self, Write};
use std::ops::ControlFlow;

use coldbolt::kube::cluster::{Cluster, Scope, StoredObject};
use coldbolt::kube::decode::{NoObject, Object};
use coldbolt::kube::json::{self, Layout};
use coldbolt::kube::resource::Resource;
use coldbolt::kube::serve::hide_managed_fields;
use coldbolt::kube::table::{Line, Table};
use coldbolt::kube::times::{renewed, written};
use coldbolt::kube::yaml;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::super::context::Fail;
use super::super::keyspace::{json_bytes, show_key};
use super::super::out::clean;
use super::args::{Args, Output};

/// An object that is to be shown, or why there is none.
pub struct Shown<'i> {
    pub item: &'i StoredObject,
    pub object: Result<Object, NoObject<'i>>,
}

pub struct Printer<'p, 'c> {
    args: &'p Args,
    cluster: &'p Cluster<'c>,
    out: &'p mut dyn Write,
    /// Whether they are a List.
    several: bool,
    count: u64,
    table: Table,
    tables: u64,
    now: Timestamp,
    prefixed: bool,
    resource: Option<Resource>,
}

impl<'p, 'c> Printer<'p, 'c> {
    pub fn new(
        args: &'p Args,
        cluster: &'p Cluster<'c>,
        out: &'p mut dyn Write,
        several: bool,
    ) -> Result<Printer<'p, 'c>, Fail> {
        let now = match (args.now, args.output) {
            (Some(now), _) => now,
            (None, Output::Table | Output::Wide) => newest(cluster)?,
            (None, _) => Timestamp::UNIX_EPOCH,
        };
        let mut printer = Printer {
            args,
            cluster,
            out,
            several,
            count: 0,
            table: Table::default(),
            tables: 0,
            now,
            prefixed: false,
            resource: None,
        };
        printer.head()?;
        Ok(printer)
    }

    /// What ages are counted to, if there are any and nobody said.
    pub fn counted_to(&self) -> Option<Timestamp> {
        let counts = self.tables > 0 && self.args.now.is_none();
        counts.then_some(self.now)
    }

    fn head(&mut self) -> io::Result<()> {
        match self.args.output {
            Output::Yaml if self.several => self.out.write_all(b"apiVersion: v1\nitems:"),
            Output::Json if self.several => {
                self.out.write_all(b"{\n    \"apiVersion\": \"v1\",\n    \"items\": [")
            }
            _ => Ok(()),
        }
    }

    /// What follows is of this resource.
    pub fn begin(&mut self, resource: Option<&Resource>, prefixed: bool) -> io::Result<()> {
        self.end_table()?;
        self.prefixed = prefixed;
        self.resource = resource.cloned();
        Ok(())
    }

    pub fn print(&mut self, shown: Shown<'_>) -> io::Result<()> {
        self.count += 1;
        match self.args.output {
            Output::Table | Output::Wide => {
                self.row(shown);
                Ok(())
            }
            Output::Name => {
                let name = self.name(&shown);
                writeln!(self.out, "{}", clean(&name))
            }
            Output::Yaml | Output::Json | Output::Ndjson => {
                let json = self.json(shown);
                self.object(&json)
            }
        }
    }

    fn object(&mut self, object: &Map<String, Value>) -> io::Result<()> {
        let stored = Layout { indent: true, sorted: !self.args.as_stored };
        let text = match (self.args.output, self.several) {
            (Output::Yaml, false) => yaml::document(object),
            (Output::Yaml, true) if self.count == 1 => format!("\n{}", yaml::item(object)),
            (Output::Yaml, true) => yaml::item(object),
            (Output::Json, false) => format!("{}\n", json::object_text(object, stored)),
            (Output::Json, true) => {
                let comma = if self.count == 1 { "" } else { "," };
                format!("{comma}\n        {}", json::item_text(object, stored))
            }
            _ => format!("{}\n", json::object_text(object, Layout { indent: false, ..stored })),
        };
        self.out.write_all(text.as_bytes())
    }

    /// The object with what is said of it beside: when it was deleted, or why it cannot be shown.
    fn json(&self, shown: Shown<'_>) -> Map<String, Value> {
        let mut beside = Map::new();
        if let Some(revision) = shown.item.deleted {
            beside.insert("deletedAtRevision".to_owned(), revision.into());
        }
        let mut json = match shown.object {
            Ok(object) => {
                let mut json = object.json;
                if !self.args.show_managed_fields && !self.args.as_stored {
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
    fn by_key(&self, item: &StoredObject) -> Map<String, Value> {
        let (mut json, mut metadata) = (Map::new(), Map::new());
        if let Some(key) = self.cluster.key(&item.kv.key).object() {
            let kind = self.resource.as_ref().map(|resource| &*resource.kind).filter(|kind| !kind.is_empty());
            json.insert("kind".to_owned(), kind.unwrap_or(key.resource).into());
            metadata.insert("name".to_owned(), key.name.into());
            metadata.extend(key.namespace.map(|namespace| ("namespace".to_owned(), namespace.into())));
        }
        metadata.insert("resourceVersion".to_owned(), item.kv.mod_revision.to_string().into());
        json.insert("metadata".to_owned(), metadata.into());
        json
    }

    fn name(&self, shown: &Shown<'_>) -> String {
        let key = self.cluster.key(&shown.item.kv.key).object();
        let name = key.map_or_else(|| show_key(&shown.item.kv.key).into_owned(), |key| key.name.to_owned());
        match (&self.resource, &shown.object) {
            (Some(resource), _) => format!("{}/{name}", resource.qualified()),
            (None, Ok(object)) if object.group().is_empty() => {
                format!("{}/{name}", object.kind.to_lowercase())
            }
            (None, Ok(object)) => format!("{}.{}/{name}", object.kind.to_lowercase(), object.group()),
            (None, Err(_)) => format!("{}/{name}", key.map_or("", |key| key.resource)),
        }
    }

    fn row(&mut self, shown: Shown<'_>) {
        let qualified = self.name(&shown);
        let key = self.cluster.key(&shown.item.kv.key).object();
        let namespace = key.and_then(|key| key.namespace).unwrap_or_default().to_owned();
        let with_namespace = self.resource.as_ref().is_none_or(|resource| resource.namespaced)
            && (self.args.all_namespaces || self.resource.is_none());
        let name = match qualified.split_once('/') {
            Some((_, name)) if !self.prefixed => name.to_owned(),
            _ => qualified,
        };
        let line = Line {
            namespace: with_namespace.then_some(namespace),
            name,
            deleted: shown.item.deleted,
            now: self.now,
        };
        match &shown.object {
            Ok(object) => match self.cluster.columns(object) {
                Some(columns) => self.table.custom(line, columns, object),
                None => self.table.object(line, object),
            },
            Err(why) => {
                let (group, kind) = self.resource.as_ref().map_or(("", ""), |r| (&*r.group, &*r.kind));
                let (what, why) = said(*why);
                let why = format!("({what}: {})", why.as_str().unwrap_or_default());
                self.table.unreadable(line, group, kind, &why);
            }
        }
    }

    fn end_table(&mut self) -> io::Result<()> {
        let mut table = std::mem::take(&mut self.table);
        if table.is_empty() {
            return Ok(());
        }
        if self.tables > 0 {
            self.out.write_all(b"\n")?;
        }
        self.tables += 1;
        let text = table.text(self.args.output == Output::Wide, !self.args.no_headers);
        self.out.write_all(clean(&text).as_bytes())
    }

    /// Ends the answer; how many objects were shown.
    pub fn end(&mut self) -> io::Result<u64> {
        self.end_table()?;
        let empty = self.count == 0;
        match self.args.output {
            Output::Yaml if self.several => {
                let none = if empty { " []\n" } else { "" };
                write!(self.out, "{none}kind: List\nmetadata:\n  resourceVersion: \"\"\n")?;
            }
            Output::Json if self.several => {
                let close = if empty { "]" } else { "\n    ]" };
                self.out.write_all(close.as_bytes())?;
                self.out.write_all(
                    b",\n    \"kind\": \"List\",\n    \"metadata\": {\n        \"resourceVersion\": \"\"\n    }\n}\n",
                )?;
            }
            _ => {}
        }
        Ok(self.count)
    }
}

/// Why there is no object, as a field.
fn said(why: NoObject<'_>) -> (&'static str, Value) {
    match why {
        NoObject::Encrypted(by) => {
            ("encrypted", format!("{}:{}:{}", by.provider, by.version, by.name).into())
        }
        why => ("undecoded", why.to_string().into()),
    }
}

/// The newest time in the file: that a Lease was renewed at, or if none can be read that an object was written at. What
/// holds no time at all is counted to 1970.
fn newest(cluster: &Cluster<'_>) -> Result<Timestamp, Fail> {
    let mut newest = None;
    if let Some(leases) = cluster.resource("leases.coordination.k8s.io") {
        cluster.each(&Scope::of(leases), &mut |item| {
            newest = newest.max(renewed(&item.kv.key, &item.kv.value));
            ControlFlow::Continue(())
        })?;
    }
    if newest.is_none() {
        cluster.each(&Scope::default(), &mut |item| {
            newest = newest.max(written(&item.kv.value, true));
            ControlFlow::Continue(())
        })?;
    }
    Ok(newest.unwrap_or(Timestamp::UNIX_EPOCH))
}
