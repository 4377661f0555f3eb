//! The manifest: evidence of what was verified.

use coldbolt::ops::verify::manifest::{Entry, Manifest, SCHEMA};

use super::{Answer, command};

pub fn report(answer: &Answer) -> String {
    let manifest = Manifest {
        schema: SCHEMA.to_owned(),
        tool: concat!("coldbolt ", env!("CARGO_PKG_VERSION")).to_owned(),
        command: command(),
        files: answer.files.iter().map(|f| Entry::of(&f.verification)).collect(),
    };
    let mut text = serde_json::to_string_pretty(&manifest).unwrap_or_default();
    text.push('\n');
    text
}
