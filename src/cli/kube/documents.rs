//! Objects in a file as kubectl takes it: JSON or YAML, several documents, Lists.

use std::path::Path;

use coldbolt::words::error::show;
use serde_json::{Map, Value};

use super::super::context::Fail;
use super::super::input;

/// A file of objects that is larger is refused.
const MOST: u64 = 64 << 20;

/// The objects in a file; `-` is standard input. What cannot be read is told by its place alone: it may be secret.
pub fn read(path: &Path) -> Result<Vec<Map<String, Value>>, Fail> {
    let stdin = path == Path::new("-");
    let name = if stdin { "(standard input)".to_owned() } else { show(path) };
    let refused = |why: &str| Fail::Refused(format!("{name}: {why}"));
    let text = input::text(path, MOST).map_err(|error| refused(&error.to_string()))?;
    let text = text.ok_or_else(|| refused("is larger than 64 MiB"))?;
    let documents = if text.trim_start().starts_with('{') { json(&text) } else { yaml(&text) };
    let mut objects = Vec::new();
    for document in documents.map_err(|why| refused(&why))? {
        gather(document, &mut objects).map_err(refused)?;
    }
    if objects.is_empty() {
        return Err(refused("holds no object"));
    }
    Ok(objects)
}

fn json(text: &str) -> Result<Vec<Value>, String> {
    let documents = serde_json::Deserializer::from_str(text).into_iter();
    let place = |error: serde_json::Error| {
        format!("line {}, column {}: cannot be read as JSON", error.line(), error.column())
    };
    documents.map(|document| document.map_err(place)).collect()
}

/// Numbers as sigs.k8s.io/yaml has them: 0644 is one in base 8. Booleans are true and false alone: `yes`, which
/// kubectl takes for one, is a text, and refused where a boolean is due.
///
/// YAML 1.1 takes U+0085, U+2028 and U+2029 for ends of lines, as kubectl writes them; YAML 1.2 does not, and would
/// put what a line is indented by into the text.
fn yaml(text: &str) -> Result<Vec<Value>, String> {
    if text.contains(['\u{85}', '\u{2028}', '\u{2029}']) {
        return Err("has U+0085, U+2028 or U+2029, ends of lines in some versions of YAML: give it as JSON"
            .to_owned());
    }
    let options = serde_saphyr::options! { legacy_octal_numbers: true, strict_booleans: true };
    serde_saphyr::from_multiple_with_options(text, options).map_err(|error| {
        let place = error
            .location()
            .map_or_else(String::new, |at| format!("line {}, column {}: ", at.line(), at.column()));
        format!("{place}cannot be read as YAML")
    })
}

/// An object, or those in a List.
fn gather(document: Value, objects: &mut Vec<Map<String, Value>>) -> Result<(), &'static str> {
    match document {
        // A document of comments only.
        Value::Null => Ok(()),
        Value::Object(mut list) if list.get("kind").is_some_and(|kind| kind == "List") => {
            match list.shift_remove("items") {
                Some(Value::Array(items)) => items.into_iter().try_for_each(|item| match item {
                    Value::Object(item) => {
                        objects.push(item);
                        Ok(())
                    }
                    _ => Err("holds a List with something in it that is no object"),
                }),
                _ => Err("holds a List without items"),
            }
        }
        Value::Object(object) => {
            objects.push(object);
            Ok(())
        }
        _ => Err("holds a document that is no object"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn yaml_is_read_as_kubernetes_reads_it() {
        let text = "# comment\n---\na: true\nb: 0644\nc: yes\nd: 1.5\ne: 2001-01-01\nf: null\ng: |\n  x\n---\nh: {}\n---\n";
        let documents = yaml(text).unwrap();
        let due =
            json!({"a": true, "b": 420, "c": "yes", "d": 1.5, "e": "2001-01-01", "f": null, "g": "x\n"});
        let objects: Vec<_> = documents.iter().filter(|document| document.is_object()).collect();
        assert_eq!(objects, [&due, &json!({"h": {}})]);
    }

    #[test]
    fn what_cannot_be_read_is_told_by_its_place_alone() {
        let error = yaml("a: b\npassword: [hunter2\n").unwrap_err();
        assert!(error.starts_with("line ") && !error.contains("hunter2"), "{error}");
        let error = json("{\"a\": hunter2}").unwrap_err();
        assert_eq!(error, "line 1, column 7: cannot be read as JSON");
        let line = yaml("a: |-\n  hunter2\u{2028}  b\n").unwrap_err();
        assert!(line.contains("as JSON") && !line.contains("hunter2"), "{line}");
        let twice = yaml("a: hunter2\na: hunter2\n").unwrap_err();
        assert!(!twice.contains("hunter2"), "{twice}");
    }

    #[test]
    fn a_bomb_of_aliases_is_refused() {
        let mut text = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
        for n in 1..12 {
            let items = vec![format!("*a{}", n - 1); 9].join(",");
            text += &format!("a{n}: &a{n} [{items}]\n");
        }
        assert!(yaml(&text).is_err());
        assert!(json(&"{\"a\":".repeat(100_000)).is_err());
        assert!(yaml(&"[".repeat(100_000)).is_err());
    }
}
