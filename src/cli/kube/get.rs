use std::ops::ControlFlow;

use coldbolt::io::parallel::map_each;
use coldbolt::kube::cluster::{Cluster, Scope, StoredObject};
use coldbolt::kube::decode::{Glance, NoObject, Object};
use coldbolt::kube::fields::FieldSelector;
use coldbolt::kube::key::ObjectKey;
use coldbolt::kube::resource::Resource;
use coldbolt::kube::secret::Redactor;
use coldbolt::kube::selector::LabelSelector;

use super::super::context::{Context, Done, Fail, Verdict};
use super::super::keyspace::{keep, show_key};
use super::super::objects::say_redacted;
use super::super::progress::Terminal;
use super::args::{Args, Output};
use super::form::{Form, Ready, Shown};
use super::habits::Habits;
use super::print::Printer;

/// Objects that one thread takes at a time.
const PART: usize = 64;

/// Objects of one kind that are asked for; of none: of all kinds.
pub struct Wanted {
    pub resource: Option<Resource>,
    pub names: Vec<String>,
}

pub fn run(args: &Args, context: &mut Context<'_>) -> Done {
    let monitor = context.monitor;
    let selector = selector(&args.selector)?;
    let fields = FieldSelector::parse(&args.field_selector)
        .map_err(|why| Fail::Usage(format!("--field-selector: {why}")))?;
    labels_fit(args)?;
    args.common.file.with_some(context, |store, out| {
        let cluster = args.common.cluster(store)?;
        let wanted = wanted(&args.kind, &args.names, &cluster)?;
        fields_fit(&fields, &wanted, &cluster)?;
        let of_several = !args.names.is_empty() && wanted.len() > 1;
        let several = wanted.len() > 1 || wanted.iter().any(|wanted| wanted.names.len() != 1);
        let mut printer = Printer::new(args, &cluster, out, several)?;
        let redactor = args.secrets.redactor();
        let habits = Habits::new(args, &cluster);
        let reader =
            Reader { args, cluster: &cluster, selector: &selector, fields: &fields, redactor, habits };
        let (mut undecoded, mut missing) = (Undecoded::default(), Vec::new());
        for wanted in &wanted {
            let prefixed = args.show_kind || of_several || several_kinds(&args.kind, wanted);
            printer.begin(wanted.resource.as_ref(), prefixed, wanted.names.is_empty())?;
            let found = reader.read(wanted, &mut printer, &mut undecoded)?;
            missing.extend(wanted.names.iter().filter(|name| !found.contains(*name)).map(|name| {
                let kind =
                    wanted.resource.as_ref().map_or_else(String::new, |resource| resource.plural.clone());
                format!("Error: {kind} {name:?} not found")
            }));
        }
        let shown = printer.end()?;
        if let Some(now) = printer.counted_to() {
            monitor.say(&format!("AGE is counted to {now}, the newest time in the file"));
        }
        if args.output.has_fields() {
            say_redacted(reader.redactor.as_ref(), monitor);
        }
        missing.iter().for_each(|line| monitor.warn(line));
        let here =
            reader.namespace(wanted.first().and_then(|wanted| wanted.resource.as_ref())).map(str::to_owned);
        reader.habits.say(monitor)?;
        undecoded.say(args.common.file.has_keys(), monitor);
        if shown == 0 && missing.is_empty() {
            monitor.say(&here.map_or_else(
                || "No resources found".to_owned(),
                |namespace| format!("No resources found in {namespace} namespace."),
            ));
        }
        Ok(match (missing.is_empty(), undecoded.shown.max(undecoded.unknown)) {
            (false, _) => Verdict::Bad,
            (true, 0) => Verdict::Good,
            (true, _) => Verdict::Inconclusive,
        })
    })
}

/// Objects that could not be decoded, or not all of them.
#[derive(Default)]
struct Undecoded {
    shown: u64,
    /// Whether some are encrypted.
    encrypted: bool,
    /// Whether they are selected is not known.
    unknown: u64,
    /// Of those whose kinds are known: with fields that are not.
    in_part: u64,
    /// Such fields, the first of them.
    fields: Vec<String>,
}

impl Undecoded {
    /// So many fields are named.
    const NAMED: usize = 10;

    fn count(&mut self, why: NoObject<'_>) {
        self.shown += 1;
        self.encrypted |= matches!(why, NoObject::Encrypted(_));
    }

    /// Of an object those that are not known; there may be none.
    fn name(&mut self, fields: Vec<String>) {
        self.in_part += u64::from(!fields.is_empty());
        self.fields.extend(fields);
        self.fields.truncate(Self::NAMED);
    }

    fn say(&self, keys_given: bool, monitor: &Terminal) {
        if self.shown > 0 {
            let shown = self.shown;
            monitor.warn(&format!("{shown} objects could not be decoded: they are shown by their keys"));
        }
        if self.encrypted && !keys_given {
            monitor.say("What is encrypted is opened with --encryption-config FILE, that of the API server");
        }
        if self.unknown > 0 {
            let unknown = self.unknown;
            monitor.say(&format!(
                "{unknown} objects could not be decoded: whether they are selected is not known"
            ));
        }
        if self.in_part > 0 {
            let in_part = self.in_part;
            monitor.say(&format!(
                "{in_part} objects have fields that are not known, and are shown without them:"
            ));
            self.fields.iter().for_each(|field| monitor.say(&format!("  {field}")));
        }
    }
}

/// The first fields of an object that are not known. What is empty tells nothing.
fn unknown_fields(key: &[u8], object: &Object) -> Vec<String> {
    let unknown = object.unknown.iter().filter(|field| object.known && !field.is_empty());
    let told = unknown.take(Undecoded::NAMED).map(|field| {
        let at = if field.path.is_empty() { "the object" } else { &field.path };
        let (number, len) = (field.number, field.bytes.len());
        format!("{}: field {number} of {at}, {len} bytes", show_key(key))
    });
    told.collect()
}

/// A server takes other fields for each kind.
fn fields_fit(fields: &FieldSelector, wanted: &[Wanted], cluster: &Cluster<'_>) -> Result<(), Fail> {
    wanted.iter().try_for_each(|wanted| {
        let resource = wanted.resource.as_ref();
        let selectable = resource.and_then(|resource| cluster.selectable_fields(resource));
        fields.check(resource, selectable).map_err(Fail::Refused)
    })
}

/// Columns of labels are for tables.
fn labels_fit(args: &Args) -> Result<(), Fail> {
    let wrong = |flag: &str| Err(Fail::Usage(format!("{flag} is for tables: -o table or wide")));
    match (args.output.is_table(), args.show_labels, args.label_columns.is_empty()) {
        (false, true, _) => wrong("--show-labels"),
        (false, _, false) => wrong("-L"),
        _ => Ok(()),
    }
}

/// Whether kubectl would write the kind before each name.
fn several_kinds(kind: &str, wanted: &Wanted) -> bool {
    kind.contains(',') || kind == "all" || wanted.resource.is_none()
}

pub(super) fn selector(text: &str) -> Result<LabelSelector, Fail> {
    LabelSelector::parse(text)
        .map_err(|part| Fail::Usage(format!("-l {text:?}: {part:?} is no requirement of labels")))
}

/// The objects that are asked for by the words of their kinds, and by names.
pub fn wanted(kinds: &str, names: &[String], cluster: &Cluster<'_>) -> Result<Vec<Wanted>, Fail> {
    let mut wanted = Vec::new();
    for (word, names) in kinds_and_names(kinds, names)? {
        let categories =
            cluster.resources().iter().filter(|r| r.categories.iter().any(|category| category == word));
        let mut of_category: Vec<_> = categories.collect();
        if word == "all-kinds" {
            wanted.push(Wanted { resource: None, names });
        } else if let Some(resource) = cluster.resource(word) {
            wanted.push(Wanted { resource: Some(resource.clone()), names });
        } else if !of_category.is_empty() {
            let order = |resource: &Resource| {
                let place = coldbolt::kube::resource::ALL.iter().position(|name| *name == resource.plural);
                (place.unwrap_or(usize::MAX), resource.group.clone(), resource.plural.clone())
            };
            of_category.sort_by_key(|resource| order(resource));
            of_category.dedup_by(|a, b| a.path() == b.path());
            wanted.extend(
                of_category.into_iter().map(|r| Wanted { resource: Some(r.clone()), names: names.clone() }),
            );
        } else if let Some(resource) = undefined(word) {
            wanted.push(Wanted { resource: Some(resource), names });
        } else {
            let what = format!(
                "no kind is called {word:?}; those that are there: coldbolt kube kinds {}",
                cluster.view().store().source().name()
            );
            return Err(Fail::Refused(what));
        }
    }
    Ok(wanted)
}

/// Each word for kinds with its names: KIND,KIND NAME NAME, or KIND,KIND/NAME KIND/NAME; as with kubectl no mixture.
fn kinds_and_names<'w>(kinds: &'w str, names: &'w [String]) -> Result<Vec<(&'w str, Vec<String>)>, Fail> {
    let usage = |what: &str| Err(Fail::Usage(what.to_owned()));
    let slash = |word: &str| word.contains('/');
    if !slash(kinds) && !names.iter().any(|name| slash(name)) {
        return Ok(kinds.split(',').map(|word| (word, names.to_vec())).collect());
    }
    if !slash(kinds) || !names.iter().all(|name| slash(name)) {
        return usage("with KIND/NAME every word is one: name the kind before each name, or before none");
    }
    let mut pairs: Vec<(&str, Vec<String>)> = Vec::new();
    for word in
        std::iter::once(kinds).chain(names.iter().map(String::as_str)).flat_map(|word| word.split(','))
    {
        let (kind, name) = word.split_once('/').map_or((word, None), |(kind, name)| (kind, Some(name)));
        match name {
            Some(name) if slash(name) => return usage("KIND/NAME may not have more than one slash"),
            Some(name) if kind.is_empty() || name.is_empty() => {
                return usage("KIND/NAME must have a kind and a name");
            }
            _ => {}
        }
        match (pairs.last_mut().filter(|(last, names)| *last == kind && !names.is_empty()), name) {
            (Some((_, names)), Some(name)) => names.push(name.to_owned()),
            _ => pairs.push((kind, name.map(str::to_owned).into_iter().collect())),
        }
    }
    Ok(pairs)
}

/// A custom resource whose definition is not there, by its full name: `crontabs.stable.example.com`.
fn undefined(word: &str) -> Option<Resource> {
    let (plural, group) = word.split_once('.').filter(|(_, group)| group.contains('.'))?;
    Some(Resource {
        group: group.to_owned(),
        kind: String::new(),
        plural: plural.to_owned(),
        singular: plural.to_owned(),
        short: Vec::new(),
        categories: Vec::new(),
        namespaced: true,
        group_in_key: true,
    })
}

/// What was seen of an object.
enum Seen<'i> {
    NotSelected,
    /// Whether it is selected is not known.
    Unknown,
    /// With those of its fields that are not known.
    Object(Ready<'i>, Vec<String>),
    /// Shown by its key.
    Undecoded(Ready<'i>, NoObject<'i>),
}

struct Reader<'r> {
    args: &'r Args,
    cluster: &'r Cluster<'r>,
    selector: &'r LabelSelector,
    fields: &'r FieldSelector,
    redactor: Option<Redactor>,
    habits: Habits<'r>,
}

impl Reader<'_> {
    /// The namespace that is looked into; `None` for all, and for what is in none.
    fn namespace(&self, resource: Option<&Resource>) -> Option<&str> {
        let namespaced = resource.is_some_and(|resource| resource.namespaced);
        (namespaced && !self.args.all_namespaces).then_some(&*self.args.namespace)
    }

    /// Prints what is wanted; the names that were there.
    fn read(
        &self,
        wanted: &Wanted,
        printer: &mut Printer<'_, '_>,
        undecoded: &mut Undecoded,
    ) -> Result<Vec<String>, Fail> {
        let (mut found, mut done) = (Vec::new(), Ok(()));
        let resource = wanted.resource.as_ref();
        let scope = Scope { resource, namespace: self.namespace(resource), deleted: self.args.deleted };
        let names =
            |key: ObjectKey<'_>| wanted.names.is_empty() || wanted.names.iter().any(|n| n == key.name);
        self.cluster.batches(&scope, &|key| key.object().is_some_and(names), &mut |batch| {
            let form = printer.form();
            let seen: Vec<Seen<'_>> = map_each(batch, PART, |item| self.see(item, &form)).collect();
            batch.iter().zip(seen).try_for_each(|(item, seen)| {
                match seen {
                    Seen::NotSelected => return ControlFlow::Continue(()),
                    Seen::Unknown => {
                        undecoded.unknown += 1;
                        return ControlFlow::Continue(());
                    }
                    Seen::Object(ready, unknown) => {
                        undecoded.name(unknown);
                        keep(&mut done, printer.print(ready))
                    }
                    Seen::Undecoded(ready, why) => {
                        undecoded.count(why);
                        keep(&mut done, printer.print(ready))
                    }
                }?;
                let key = self.cluster.key(&item.kv.key).object().filter(|_| !wanted.names.is_empty());
                found.extend(key.map(|key| key.name.to_owned()));
                ControlFlow::Continue(())
            })
        })?;
        done.map(|()| found)
    }

    /// Looks at an object, and makes it ready to be printed. This is done on all cores.
    fn see<'i>(&self, item: &'i StoredObject, form: &Form<'_>) -> Seen<'i> {
        if self.args.deleted != item.deleted.is_some() {
            return Seen::NotSelected;
        }
        if self.args.output == Output::Name
            && !self.reads_fields()
            && let Ok(glance) = Glance::of(&item.kv.value)
            && !glance.unknown
        {
            return Seen::Object(form.named(item, &glance), Vec::new());
        }
        let ready =
            |shown| if self.args.sort_by.is_some() { Ready::Object(shown) } else { form.ready(shown) };
        match self.habits.decode(&item.kv.value) {
            Ok(decoded) => {
                let Some(object) = self.shown(item, decoded) else { return Seen::NotSelected };
                let table = self.args.output.is_table();
                let unknown = if table { Vec::new() } else { unknown_fields(&item.kv.key, &object) };
                Seen::Object(ready(Shown { item, object: Ok(object) }), unknown)
            }
            Err(why) => {
                let Some(key) = self.cluster.key(&item.kv.key).object() else { return Seen::NotSelected };
                match self.fields.matches_key(key.name, key.namespace) {
                    Some(false) => Seen::NotSelected,
                    Some(true) if self.args.selector.is_empty() => {
                        Seen::Undecoded(ready(Shown { item, object: Err(why) }), why)
                    }
                    _ => Seen::Unknown,
                }
            }
        }
    }

    /// Whether what is asked for hangs on more than names.
    fn reads_fields(&self) -> bool {
        !self.args.selector.is_empty() || !self.args.field_selector.is_empty() || self.args.sort_by.is_some()
    }

    /// The object as it is to be shown; `None` if it is not selected.
    fn shown(&self, item: &StoredObject, decoded: (Object, bool)) -> Option<Object> {
        let labels = decoded.0.json.get("metadata").and_then(|metadata| metadata.get("labels"));
        if !self.selector.matches(labels) {
            return None;
        }
        let mut object = self.habits.apply(decoded, &item.kv.value);
        if !self.args.as_stored {
            self.cluster.serve(&mut object, item.kv.mod_revision);
        }
        if !self.fields.matches(&object.json) {
            return None;
        }
        if let Some(redactor) = &self.redactor {
            redactor.redact(&item.kv.key, &mut object);
        }
        Some(object)
    }
}
