//! How the objects that were got look.

use std::io::{self, Write};

use coldbolt::kube::cluster::{Cluster, StoredObject};
use coldbolt::kube::decode::Object;
use coldbolt::kube::order::SortKey;
use coldbolt::kube::resource::Resource;
use coldbolt::kube::table::{LabelColumns, Line, Table};
use jiff::Timestamp;

use super::super::context::Fail;
use super::super::out::clean;
use super::args::{Args, Output};
use super::form::{Form, Ready, Shown, said};
use super::template::Template;

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
    /// Whether no names were given.
    listed: bool,
    resource: Option<Resource>,
    template: Option<Template>,
    /// Those that are to be sorted before they are shown.
    unsorted: Vec<(StoredObject, Option<Object>, Option<Resource>)>,
}

impl<'p, 'c> Printer<'p, 'c> {
    pub fn new(
        args: &'p Args,
        cluster: &'p Cluster<'c>,
        out: &'p mut dyn Write,
        several: bool,
    ) -> Result<Printer<'p, 'c>, Fail> {
        let now = match args.now {
            Some(now) => now,
            // What holds no time at all is counted to 1970.
            None if args.output.is_table() => cluster.newest_time()?.unwrap_or(Timestamp::UNIX_EPOCH),
            None => Timestamp::UNIX_EPOCH,
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
            listed: true,
            resource: None,
            template: Template::of(args)?,
            unsorted: Vec::new(),
        };
        printer.new_table();
        printer.head()?;
        Ok(printer)
    }

    /// What ages are counted to, if there are any and nobody said.
    pub fn counted_to(&self) -> Option<Timestamp> {
        let counts = self.tables > 0 && self.args.now.is_none();
        counts.then_some(self.now)
    }

    fn new_table(&mut self) -> Table {
        let labels = LabelColumns { of: self.args.label_columns.clone(), all: self.args.show_labels };
        std::mem::replace(&mut self.table, Table::with_labels(labels))
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

    /// What follows is of this resource; `listed` unless it was asked for by names.
    pub fn begin(&mut self, resource: Option<&Resource>, prefixed: bool, listed: bool) -> Result<(), Fail> {
        if self.args.output.is_table() {
            self.sort()?;
        }
        self.end_table()?;
        self.prefixed = prefixed;
        self.listed = listed;
        self.resource = resource.cloned();
        Ok(())
    }

    /// How what follows looks.
    pub fn form(&self) -> Form<'_> {
        Form {
            args: self.args,
            cluster: self.cluster,
            several: self.several,
            resource: self.resource.as_ref(),
        }
    }

    pub fn print(&mut self, ready: Ready<'_>) -> Result<(), Fail> {
        match ready {
            Ready::Object(shown) if self.args.sort_by.is_some() => {
                self.unsorted.push((shown.item.clone(), shown.object.ok(), self.resource.clone()));
                Ok(())
            }
            ready => self.put(ready),
        }
    }

    /// Shows what was to be sorted.
    fn sort(&mut self) -> Result<(), Fail> {
        let Some(field) = &self.args.sort_by else { return Ok(()) };
        let unsorted = std::mem::take(&mut self.unsorted);
        let refused = |why: String| Fail::Refused(format!("--sort-by: {why}"));
        let (mut sorted, mut found) = (Vec::new(), unsorted.is_empty() || !self.several);
        for (item, object, resource) in unsorted {
            self.resource = resource;
            let json =
                object.as_ref().map_or_else(|| self.form().by_key(&item), |object| object.json.clone());
            let (key, has) = field.key(&json.into()).map_err(|why| refused(why.to_string()))?;
            found |= has;
            sorted.push((key, item, object, self.resource.clone()));
        }
        if !found {
            let path = field.template();
            return Err(refused(format!(
                "couldn't find any field with path {path:?} in the list of objects"
            )));
        }
        let mut types = Ok(());
        let text = field.template();
        sorted.sort_by(|(a, ..), (b, ..)| {
            a.order(b).unwrap_or_else(|| {
                let unsortable = [a, b].into_iter().find_map(|key| match key {
                    SortKey::Unsortable(name) => Some(*name),
                    _ => None,
                });
                types = Err(refused(match unsortable {
                    Some(name) => format!("{text} is an unsortable type: {name}"),
                    None => format!("{text} is of several types"),
                }));
                std::cmp::Ordering::Equal
            })
        });
        types?;
        for (_, item, object, resource) in sorted {
            self.resource = resource;
            let object = match object {
                Some(object) => Ok(object),
                None => Object::decode(&item.kv.value),
            };
            let ready = self.form().ready(Shown { item: &item, object });
            self.put(ready)?;
        }
        Ok(())
    }

    fn put(&mut self, ready: Ready<'_>) -> Result<(), Fail> {
        self.count += 1;
        match (ready, &self.args.output) {
            (Ready::Text(text), Output::Yaml) if self.several && self.count == 1 => {
                self.out.write_all(b"\n").and_then(|()| self.out.write_all(text.as_bytes()))?
            }
            (Ready::Text(text), Output::Json) if self.several => {
                let comma = if self.count == 1 { "" } else { "," };
                write!(self.out, "{comma}\n        {text}")?;
            }
            (Ready::Text(text), _) => self.out.write_all(text.as_bytes())?,
            (Ready::Object(shown), Output::Template(..)) => {
                // kubectl hides no field from a template.
                let json = self.form().json(shown, true).into();
                let headers = !self.args.no_headers;
                return self.template.as_mut().map_or(Ok(()), |template| template.object(json, headers));
            }
            (Ready::Object(shown), _) => self.row(shown),
        }
        Ok(())
    }

    fn row(&mut self, shown: Shown<'_>) {
        let qualified = self.form().name(&shown);
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
            listed: self.listed,
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
        let mut table = self.new_table();
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
    pub fn end(&mut self) -> Result<u64, Fail> {
        self.sort()?;
        self.end_table()?;
        let empty = self.count == 0;
        if let Some(template) = &mut self.template {
            template.end(self.several, !self.args.no_headers, self.out)?;
        }
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
