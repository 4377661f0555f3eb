//! YAML as `sigs.k8s.io/yaml` writes it, which is what kubectl prints.
//!
//! | File | Holds |
//! |---|---|
//! | `emit.rs` | where lines begin and break, what is quoted and how |
//! | `plain.rs` | which texts would be read as something else than a text |
//! | `order.rs` | the order of names |
//!
//! What kubectl refuses to print (strings with U+007F to U+009F or U+FFFF in them, names with U+0085) is escaped here;
//! U+0085 in a value, which it takes for a break of the line when it reads its own JSON as YAML, is folded to a space as
//! there. Source:
//! `go.yaml.in/yaml/v2 @ v2.4.2`, files `emitterc.go`, `encode.go`, `resolve.go`, `sorter.go`.

mod emit;
mod order;
mod plain;

use serde_json::{Map, Value};

use self::emit::Emitter;

/// The object as a document, with the line break at its end.
#[must_use]
pub fn document(object: &Map<String, Value>) -> String {
    let mut emitter = Emitter::default();
    emitter.mapping(object);
    emitter.finish()
}

/// The object as one item of a list that is the value of a name in a document, as kubectl prints those of a `List`.
#[must_use]
pub fn item(object: &Map<String, Value>) -> String {
    let mut emitter = Emitter::default();
    emitter.item(object);
    emitter.finish()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn printed(value: &Value) -> String {
        document(value.as_object().unwrap())
    }

    /// Each as `sigs.k8s.io/yaml` 1.6.0 prints it.
    #[test]
    fn a_next_line_in_a_value_is_folded_as_go_folds_it() {
        for (text, due) in [
            ("\u{85}", "a: ' '\n"),
            ("\u{85}x", "a: ' x'\n"),
            ("x\u{85}", "a: 'x '\n"),
            ("a\u{85}b", "a: a b\n"),
            ("a \u{85} b", "a: a b\n"),
            ("\u{85}\u{85}", "a: |2+\n\n"),
            ("\u{85}\u{85}\u{85}a", "a: |2-\n\n\n  a\n"),
            ("\u{85}a\nb\n", "a: |2\n   a\n  b\n"),
            ("\u{85}\nx", "a: \" \\nx\"\n"),
            ("\u{85}\u{2028}x", "a: \" \\Lx\"\n"),
            ("\u{85}0", "a: ' 0'\n"),
        ] {
            assert_eq!(printed(&json!({ "a": text })), due, "{text:?}");
        }
    }

    #[test]
    fn a_next_line_in_a_name_is_escaped_so_that_it_stays_what_it_is() {
        let long = "x".repeat(200);
        let object =
            json!({"a\u{85}b": 1, "\u{85}": {"\u{85} ": [2]}, format!("{long}\u{85}"): 3, "a\nb": 4});
        let due = format!(
            "\"\\N\":\n  \"\\N \":\n  - 2\n\"a\\Nb\": 1\n? |-\n  a\n  b\n: 4\n? \"{long}\\N\"\n: 3\n"
        );
        let lines = |text: &str| {
            let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(lines(&printed(&object)), lines(&due));
    }
}
