//! Questions that Go's own code was asked, and whether ours answers alike: templates, columns, orders, selectors.

use std::path::PathBuf;

use coldbolt::kube::custom::CustomColumns;
use coldbolt::kube::fields::FieldSelector;
use coldbolt::kube::jsonpath::{JsonPath, relaxed};
use coldbolt::kube::order::SortField;
use coldbolt::kube::selector::LabelSelector;
use serde_json::{Value, json};

/// The questions that were asked, with the answers.
#[must_use]
pub fn recorded() -> PathBuf {
    crate::fixture("kube/print-1.37.ndjson.gz")
}

/// What ours answers.
///
/// # Errors
/// What ours refuses with.
pub fn ours(question: &Value) -> Result<Vec<u8>, String> {
    let text = |name: &str| question[name].as_str().unwrap();
    let (template, object) = (text("template"), &question["object"]);
    let items = object["items"].as_array().filter(|_| object["kind"] == "List");
    match text("what") {
        "relaxed" => relaxed(template).map(String::into_bytes).map_err(|why| why.to_string()),
        what @ ("jsonpath" | "jsonpath-as-json") => {
            let path = JsonPath::parse(template).map_err(|why| why.to_string())?;
            let path = path.missing_is_error(question["strict"] == true).as_json(what != "jsonpath");
            let mut out = Vec::new();
            path.execute(object, &mut out).map_err(|why| why.to_string())?;
            Ok(out)
        }
        what @ ("custom-columns" | "custom-columns-file") => {
            let parse = if what == "custom-columns" { CustomColumns::parse } else { CustomColumns::of_file };
            let mut columns = parse(template).map_err(|why| why.to_string())?;
            if question["no_headers"] != true {
                columns.header();
            }
            match items {
                Some(items) => items.iter().try_for_each(|item| columns.object(item)),
                None => columns.object(object),
            }
            .map_err(|why| why.to_string())?;
            Ok(columns.text().into_bytes())
        }
        "sort" => sorted(template, items.unwrap()),
        "labels" => {
            let selector = LabelSelector::parse(template).map_err(str::to_owned)?;
            Ok(selector.matches(Some(object)).to_string().into_bytes())
        }
        "fields" => {
            let selector = FieldSelector::parse(template)?;
            // The set of fields as an object that has them.
            let field = |name: &str| object[name].clone();
            let tree = json!({
                "kind": "None", "metadata": {"name": field("metadata.name")},
                "status": {"phase": field("status.phase")}, "x": field("x"), "e": field("e"),
            });
            Ok(selector.matches(tree.as_object().unwrap()).to_string().into_bytes())
        }
        other => panic!("no such question: {other}"),
    }
}

fn sorted(path: &str, items: &[Value]) -> Result<Vec<u8>, String> {
    let field = SortField::parse(path).map_err(|why| why.to_string())?;
    let keys = items.iter().map(|item| field.key(item)).collect::<Result<Vec<_>, _>>();
    let keys = keys.map_err(|why| why.to_string())?;
    if !keys.iter().any(|(_, has)| *has) {
        let path = field.template();
        return Err(format!("couldn't find any field with path {path:?} in the list of objects"));
    }
    let mut order: Vec<_> = keys.iter().zip(items).collect();
    order.sort_by(|((a, _), _), ((b, _), _)| a.order(b).unwrap());
    Ok(order
        .iter()
        .map(|(_, item)| format!("{}\n", item["metadata"]["name"].as_str().unwrap()))
        .collect::<String>()
        .into_bytes())
}

/// Whether ours is one of the answers of Go, or refuses as it does; else what differs.
///
/// # Errors
/// What differs.
pub fn agree(question: &Value, answer: &Value) -> Result<(), String> {
    use base64::Engine;
    let ours = ours(question);
    let all = |name: &str| answer[name].as_array().into_iter().flatten().filter_map(Value::as_str);
    let decoded = |out: &str| base64::prelude::BASE64_STANDARD.decode(out).unwrap();
    // Columns are as wide as what is before a tab, which is one of chance then too.
    let in_order = |mut bytes: Vec<u8>| {
        bytes.retain(|byte| *byte != b' ');
        bytes.sort_unstable();
        bytes
    };
    // Of an order of chance not every one may have come: then it is the same in another order.
    let by_chance = all("out").count() > 1;
    // Of the values that are refused the first one is named, which is one of chance too.
    let refused = |why: &'_ str| {
        let several = all("error").count() > 1;
        let rest = why.split_once(" is ").filter(|_| several).map_or(why, |(_, rest)| rest);
        rest.to_owned()
    };
    let agrees = match &ours {
        // Where Go dies there is nothing to agree with.
        _ if answer["panic"] == true && all("out").next().is_none() => true,
        Ok(bytes) => all("out")
            .map(decoded)
            .any(|out| out == *bytes || by_chance && in_order(out) == in_order(bytes.clone())),
        Err(_) if answer["panic"] == true => true,
        // In what words a selector of labels is refused is not compared.
        Err(_) if question["what"] == "labels" => all("error").next().is_some(),
        Err(why) => all("error").any(|error| refused(error) == refused(why)),
    };
    if agrees {
        return Ok(());
    }
    let ours = ours.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let text = |out: &str| String::from_utf8_lossy(&decoded(out)).into_owned();
    let due: Vec<_> =
        all("out").map(text).chain(all("error").map(|error| format!("error {error}"))).collect();
    Err(format!("{} {:?}\n  ours {ours:?}\n  due  {due:?}", question["what"], question["template"]))
}
