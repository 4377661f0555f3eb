//! What one object shows.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};

use super::named::{Exposed, ExposedField, Look};
use crate::kube::certificate::first_end;
use crate::kube::decode::Object;
use crate::kube::secret::LAST_APPLIED;
use crate::kube::signs::{self, Sign};

/// Values inside values inside values that are looked at; objects in JSON are no deeper.
const DEEPEST: usize = 128;

/// All that it shows.
pub(super) fn look(object: &Object) -> Vec<Look> {
    if object.kind == "Secret" && object.group().is_empty() {
        return vec![secret(object)];
    }
    let mut fields = Vec::new();
    let is_map = object.kind == "ConfigMap" && object.group().is_empty();
    if is_map {
        for (path, map) in maps(object, &["data", "binaryData"]) {
            for (name, value) in map {
                let text = if path == "data" { value.as_str().map(str::to_owned) } else { decoded(value) };
                let sign = text.and_then(|text| signs::of_text(name, &text));
                fields.extend(sign.map(|sign| Path::Field(&Path::Root(path), name).sign(Some(sign))));
            }
        }
    }
    for (name, value) in &object.json {
        if name != "metadata" && name != "status" {
            containers(Path::Root(name), value, 0, &mut fields);
        }
    }
    if let Some(Ok(Value::Object(applied))) = last_applied(object).map(serde_json::from_str) {
        let path = Path::Field(&ANNOTATIONS, LAST_APPLIED);
        for (name, value) in applied.iter().filter(|(name, _)| *name != "metadata") {
            let path = Path::Field(&path, name);
            containers(path, value, 0, &mut fields);
            let data = value.as_object().filter(|_| is_map && name == "data");
            for (name, value) in data.into_iter().flatten() {
                let sign = value.as_str().and_then(|text| signs::of_text(name, text));
                fields.extend(sign.map(|sign| Path::Field(&path, name).sign(Some(sign))));
            }
        }
    }
    annotations(object, &mut fields);
    let mut found = Vec::new();
    if !fields.is_empty() {
        found.push(Look { fields, ..Look::of(Exposed::LooksSecret) });
    }
    found.extend(authority(object));
    found
}

/// Where something is. It is written out only where something is found.
#[derive(Clone, Copy)]
enum Path<'p> {
    Root(&'p str),
    Field(&'p Path<'p>, &'p str),
    Item(&'p Path<'p>, usize),
}

impl Path<'_> {
    fn sign(self, sign: Option<Sign>) -> ExposedField {
        ExposedField { path: self.to_string().into(), sign }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root(name) => f.write_str(name),
            Path::Item(above, number) => write!(f, "{above}[{number}]"),
            Path::Field(above, name) if name.contains(['.', '/', '[', '\'']) => {
                write!(f, "{above}['{name}']")
            }
            Path::Field(above, name) => write!(f, "{above}.{name}"),
        }
    }
}

const ANNOTATIONS: Path<'_> = Path::Root("metadata.annotations");

fn last_applied(object: &Object) -> Option<&str> {
    object.json.get("metadata")?.get("annotations")?.get(LAST_APPLIED)?.as_str()
}

fn maps<'o>(
    object: &'o Object,
    names: &'o [&'o str],
) -> impl Iterator<Item = (&'o str, &'o Map<String, Value>)> {
    names.iter().filter_map(|name| Some((*name, object.json.get(*name)?.as_object()?)))
}

fn decoded(value: &Value) -> Option<String> {
    String::from_utf8(BASE64_STANDARD.decode(value.as_str()?).ok()?).ok()
}

fn secret(object: &Object) -> Look {
    let of = object.json.get("type").and_then(Value::as_str).unwrap_or_default();
    let mut look = Look { kind_of_secret: of.to_owned(), ..Look::of(Exposed::of_type(of)) };
    for (path, map) in maps(object, &["data", "stringData"]) {
        for (name, value) in map {
            let text = if path == "data" { decoded(value) } else { value.as_str().map(str::to_owned) };
            let text = text.unwrap_or_default();
            look.ends = first(look.ends, first_end(&text));
            // A bootstrap token says when it ends.
            if look.what == Exposed::BootstrapToken && name == "expiration" {
                look.ends = first(look.ends, text.parse().ok());
            }
            let sign = signs::of_value(&text);
            look.fields.push(Path::Field(&Path::Root(path), name).sign(sign));
        }
    }
    if last_applied(object).is_some() {
        look.fields.push(Path::Field(&ANNOTATIONS, LAST_APPLIED).sign(None));
    }
    annotations(object, &mut look.fields);
    look
}

/// Annotations that look like a token; the one that repeats the object is looked into elsewhere.
fn annotations(object: &Object, found: &mut Vec<ExposedField>) {
    let all = object.json.get("metadata").and_then(|metadata| metadata.get("annotations")?.as_object());
    for (name, value) in all.into_iter().flatten().filter(|(name, _)| *name != LAST_APPLIED) {
        let sign = value.as_str().and_then(|text| signs::of_annotation(name, text));
        found.extend(sign.map(|sign| Path::Field(&ANNOTATIONS, name).sign(Some(sign))));
    }
}

/// The earlier one, if there is one.
fn first<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    [one, other].into_iter().flatten().min()
}

/// Environment variables, arguments and headers of probes, wherever containers are: in pods, in templates, in custom
/// resources.
fn containers(path: Path<'_>, value: &Value, depth: usize, found: &mut Vec<ExposedField>) {
    if depth > DEEPEST {
        return;
    }
    let below = depth.saturating_add(1);
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match (name.as_str(), value) {
                    ("env", Value::Array(items)) => {
                        items.iter().for_each(|item| found.extend(named(path, "env", item, signs::of_named)));
                    }
                    ("httpHeaders", Value::Array(items)) => {
                        let one = |item| named(path, "httpHeaders", item, signs::of_header);
                        items.iter().for_each(|item| found.extend(one(item)));
                    }
                    ("args" | "command", Value::Array(items)) => {
                        let args: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
                        let sign = arguments(&args);
                        found.extend(sign.map(|sign| Path::Field(&path, name).sign(Some(sign))));
                    }
                    _ => containers(Path::Field(&path, name), value, below, found),
                }
            }
        }
        Value::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                containers(Path::Item(&path, number), item, below, found);
            }
        }
        _ => {}
    }
}

/// An item of a list that has a name and a value.
fn named(
    path: Path<'_>,
    list: &str,
    item: &Value,
    sign: fn(&str, &str) -> Option<Sign>,
) -> Option<ExposedField> {
    let (name, value) = (item.get("name")?.as_str()?, item.get("value")?.as_str()?);
    sign(name, value).map(|sign| Path::Field(&Path::Field(&path, list), name).sign(Some(sign)))
}

/// `--password=x`, or `--password` and then `x`.
fn arguments(args: &[&str]) -> Option<Sign> {
    let joined = args.iter().find_map(|arg| {
        let (name, value) = arg.split_once('=').unwrap_or(("", arg));
        signs::of_named(name, value)
    });
    let apart = || {
        let pairs = args.iter().zip(args.iter().skip(1));
        pairs
            .filter(|(name, value)| name.starts_with("--") && !name.contains('=') && !value.starts_with('-'))
            .find_map(|(name, value)| signs::of_named(name, value))
    };
    joined.or_else(apart)
}

/// The certificates of authorities in a webhook, an API service, or the definition of a custom resource.
fn authority(object: &Object) -> Option<Look> {
    const KINDS: [&str; 4] = [
        "ValidatingWebhookConfiguration",
        "MutatingWebhookConfiguration",
        "CustomResourceDefinition",
        "APIService",
    ];
    if !KINDS.contains(&object.kind.as_str()) {
        return None;
    }
    let mut look = Look::of(Exposed::CaBundle);
    for name in ["webhooks", "spec"] {
        if let Some(value) = object.json.get(name) {
            bundles(Path::Root(name), value, 0, &mut look);
        }
    }
    (!look.fields.is_empty()).then_some(look)
}

fn bundles(path: Path<'_>, value: &Value, depth: usize, look: &mut Look) {
    // What is deeper is a schema.
    if depth > 5 {
        return;
    }
    let below = depth.saturating_add(1);
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = Path::Field(&path, name);
                if name == "caBundle" && value.as_str().is_some_and(|text| !text.is_empty()) {
                    let text = decoded(value).unwrap_or_default();
                    look.ends = first(look.ends, first_end(&text));
                    look.fields.push(path.sign(None));
                } else {
                    bundles(path, value, below, look);
                }
            }
        }
        Value::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                bundles(Path::Item(&path, number), item, below, look);
            }
        }
        _ => {}
    }
}
