//! JSON Schemas of what the binary prints: `packages/schemas`. Whatever a test has it print is held against them; a property
//! that they lack fails the test where histories are the same each time (`COLDBOLT_SEED`, as in CI), or is added to them where
//! `COLDBOLT_UPDATE_SCHEMAS=1` is set.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex};

use jsonschema::Validator;
use serde_json::{Map, Value, json};

/// What is longer is a measurement of a test's, no new shape.
const MOST: usize = 4 << 20;

/// Numbers are exact up to here wherever they are read as doubles.
const EXACT: u64 = 1 << 53;

/// Holds an answer in JSON against the schema that it names; what names none is left alone.
///
/// # Panics
/// What it has that the schema does not, or a schema that is not there, with `said` as the place. `lines` are objects
/// one a line, of which the first names the schema. In a `sound` answer no number is past 2^53; what damage left may be.
pub fn check(answer: &[u8], lines: bool, sound: bool, said: &dyn std::fmt::Display) {
    if answer.first() != Some(&b'{') || answer.len() > MOST {
        return;
    }
    let (form, values): (&str, Vec<Value>) = match serde_json::from_slice(answer) {
        Ok(one) if !lines => ("document", vec![one]),
        _ => {
            let lines: Result<_, _> = answer
                .split(|byte| *byte == b'\n')
                .filter(|line| !line.is_empty())
                .map(serde_json::from_slice)
                .collect();
            // Cut off where the reader went away.
            let Ok(lines) = lines else { return };
            ("line", lines)
        }
    };
    let named = values.first().and_then(|first| first["schema"].as_str()).map(str::to_owned);
    let Some(name) = named.filter(|name| name.starts_with("coldbolt.")) else { return };
    if sound {
        values.iter().for_each(|value| exact(value, said));
    }
    let mut known = KNOWN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let schema = known.entry(name.clone()).or_insert_with(|| Schema::read(&name));
    let mut wrong = values.iter().find_map(|value| schema.wrong(form, value));
    if wrong.is_some() && std::env::var_os("COLDBOLT_UPDATE_SCHEMAS").is_some() {
        values.iter().for_each(|value| schema.learn(form, value));
        return;
    }
    if !same_each_time() {
        wrong.take_if(|_| schema.strict.contains_key(form));
    }
    drop(known);
    if let Some(wrong) = wrong {
        panic!("{name}: {wrong}: COLDBOLT_UPDATE_SCHEMAS=1 adds it to {}\n{said}", path(&name).display());
    }
}

/// Whether a run like this one has seen the same before. Histories that are drawn anew, and servers, come to what nobody has
/// seen: then it is only asked that there is a schema.
fn same_each_time() -> bool {
    let program = std::env::current_exe().ok();
    let servers = program.is_some_and(|path| {
        path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"interop"))
    });
    std::env::var_os("COLDBOLT_SEED").is_some() && !servers
}

/// No number that a reader would round.
fn exact(value: &Value, said: &dyn std::fmt::Display) {
    match value {
        Value::Number(number) => {
            let size = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
            assert!(size.is_none_or(|size| size <= EXACT), "{number} is no double\n{said}");
        }
        Value::Array(values) => values.iter().for_each(|value| exact(value, said)),
        Value::Object(object) => object.values().for_each(|value| exact(value, said)),
        _ => {}
    }
}

static KNOWN: Mutex<BTreeMap<String, Schema>> = Mutex::new(BTreeMap::new());

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("../../packages/schemas/{}.json", name.replace('/', "-")))
}

/// One schema: the text that is shipped, and what tells more than it does.
struct Schema {
    text: Value,
    name: String,
    strict: BTreeMap<&'static str, Validator>,
}

impl Schema {
    fn read(name: &str) -> Schema {
        let text = fs::read(path(name)).map_or_else(
            |_| {
                json!({
                    "$schema": "https://json-schema.org/draft/2020-12/schema",
                    "$id": format!("urn:{}", name.replace(['.', '/'], ":")),
                    "title": name,
                    "anyOf": [],
                    "$defs": {},
                })
            },
            |bytes| serde_json::from_slice(&bytes).unwrap(),
        );
        let mut schema = Schema { text, name: name.to_owned(), strict: BTreeMap::new() };
        schema.compile();
        schema
    }

    /// The same, but that objects have no more than what it names.
    fn compile(&mut self) {
        self.strict = ["document", "line"]
            .into_iter()
            .filter(|form| self.text["$defs"].get(form).is_some())
            .map(|form| {
                let mut strict = self.text.clone();
                close(&mut strict["$defs"]);
                strict.as_object_mut().unwrap().remove("anyOf");
                strict["$ref"] = format!("#/$defs/{form}").into();
                (form, jsonschema::validator_for(&strict).expect("a JSON Schema"))
            })
            .collect();
    }

    fn wrong(&self, form: &str, value: &Value) -> Option<String> {
        let Some(strict) = self.strict.get(form) else { return Some(format!("has no {form}")) };
        strict.iter_errors(value).next().map(|error| format!("{}: {error}", error.instance_path()))
    }

    fn learn(&mut self, form: &str, value: &Value) {
        let reference = json!({ "$ref": format!("#/$defs/{form}") });
        let forms = self.text["anyOf"].as_array_mut().unwrap();
        if !forms.contains(&reference) {
            forms.push(reference);
        }
        let forms = self.text["$defs"].as_object_mut().unwrap();
        learn(forms.entry(form).or_insert_with(|| json!({})), value);
        self.compile();
        let path = path(&self.name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{:#}\n", self.text)).unwrap();
    }
}

/// Allows no property that is not named.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            object.values_mut().for_each(close);
            if object.get("properties").is_some_and(Value::is_object) && object.contains_key("required") {
                object.entry("additionalProperties").or_insert(Value::Bool(false));
            }
        }
        Value::Array(values) => values.iter_mut().for_each(close),
        _ => {}
    }
}

/// Fields that are left out where they have nothing to say, whatever was seen of them.
static OPTIONAL: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let mut names = BTreeSet::new();
    let mut due = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../../src")];
    while let Some(path) = due.pop() {
        if path.is_dir() {
            due.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let text = fs::read_to_string(path).unwrap_or_default();
        for (_, rest) in text.match_indices("skip_serializing_if").map(|(at, _)| text.split_at(at)) {
            let field = rest.lines().skip(1).map(str::trim).find(|line| !line.starts_with(['#', '/', ')']));
            let name = field.and_then(|field| field.split_once(':')).map(|(name, _)| name);
            names.extend(name.and_then(|name| name.split(' ').next_back()).map(str::to_owned));
        }
    }
    names
});

/// Widens a schema by a value.
fn learn(schema: &mut Value, value: &Value) {
    // What Kubernetes has in an object is not ours to describe.
    let foreign = value.get("apiVersion").is_some() && value.get("kind").is_some();
    if foreign {
        *schema = Value::Bool(true);
    }
    let known =
        |schema: &&mut Map<String, Value>| schema.contains_key("$ref") || schema.contains_key("const");
    let Some(schema) = schema.as_object_mut().filter(|schema| !known(schema)) else { return };
    learn_type(schema, value);
    match value {
        Value::Array(values) => {
            let items = schema.entry("items").or_insert_with(|| json!({}));
            values.iter().for_each(|value| learn(items, value));
        }
        Value::Object(object) => learn_object(schema, object),
        _ => {}
    }
}

fn learn_type(schema: &mut Map<String, Value>, value: &Value) {
    let name = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let mut names: BTreeSet<String> = match schema.get("type") {
        Some(Value::String(one)) => BTreeSet::from([one.clone()]),
        Some(Value::Array(all)) => all.iter().map(|name| name.as_str().unwrap().to_owned()).collect(),
        _ => BTreeSet::new(),
    };
    names.insert(name.to_owned());
    if names.contains("number") {
        names.remove("integer");
    }
    let all: Vec<Value> = names.into_iter().map(Value::String).collect();
    schema.insert("type".to_owned(), if all.len() == 1 { all[0].clone() } else { Value::Array(all) });
}

fn learn_object(schema: &mut Map<String, Value>, object: &Map<String, Value>) {
    let ours =
        |name: &String| name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if schema.contains_key("additionalProperties") || !object.keys().all(ours) {
        // Its names are data.
        schema.remove("properties");
        schema.remove("required");
        let values = schema.entry("additionalProperties").or_insert_with(|| json!({}));
        object.values().for_each(|value| learn(values, value));
        return;
    }
    let names = object.keys().filter(|name| !OPTIONAL.contains(*name)).map(|name| json!(name));
    let required = schema.entry("required").or_insert_with(|| names.collect());
    required.as_array_mut().unwrap().retain(|name| object.contains_key(name.as_str().unwrap()));
    let properties = schema.entry("properties").or_insert_with(|| json!({}));
    for (name, value) in object {
        if name == "schema" {
            properties[name] = json!({ "const": value });
        }
        learn(properties.as_object_mut().unwrap().entry(name).or_insert_with(|| json!({})), value);
    }
}
