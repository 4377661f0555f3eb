//! YAML as `sigs.k8s.io/yaml` writes it, which is what kubectl prints.
//!
//! | File | Holds |
//! |---|---|
//! | `emit.rs` | where lines begin and break, what is quoted and how |
//! | `plain.rs` | which texts would be read as something else than a text |
//! | `order.rs` | the order of names |
//!
//! What kubectl refuses to print (strings with U+007F to U+009F or U+FFFF in them) is escaped here; U+0085, which it
//! takes for a break of the line when it reads its own JSON as YAML, is folded to a space as there. Source:
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
