//! How the fields that differ look, and which are left out.

use std::collections::BTreeMap;
use std::io::{self, Write};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use coldbolt::kube::changes::found::{FieldChange, FieldChangeKind, FieldChanges};
use coldbolt::kube::changes::noise::Noise;
use coldbolt::store::value_diff::value_diff;
use serde_json::Value;

use super::super::out::{clean, count, size};

/// Fields shown of one object, and characters of one value.
const FIELDS: usize = 100;
const CHARACTERS: usize = 300;

/// What is left out.
#[derive(Debug, clap::Args)]
pub struct NoiseArgs {
    /// Tell everything: nothing is left out as noise.
    #[arg(long, conflicts_with = "with")]
    all_fields: bool,
    /// Tell also what is left out by these rules, comma-separated.
    #[arg(long, value_name = "RULES", value_delimiter = ',', value_parser = rules())]
    with: Vec<Noise>,
}

fn rules() -> impl TypedValueParser<Value = Noise> {
    PossibleValuesParser::new(Noise::ALL.map(Noise::name))
        .map(|name| Noise::ALL.into_iter().find(|noise| noise.name() == name).unwrap_or(Noise::ManagedFields))
}

impl NoiseArgs {
    /// What is left out.
    pub fn hidden(&self) -> Vec<Noise> {
        Noise::ALL.into_iter().filter(|noise| !self.all_fields && !self.with.contains(noise)).collect()
    }
}

/// The fields that differ, a line each, for people; a path begins with `root`.
pub fn lines(fields: &FieldChanges, root: &str) -> Vec<String> {
    let mut lines: Vec<String> =
        fields.changes.iter().take(FIELDS).flat_map(|change| of_field(change, root)).collect();
    let more = fields.changes.len().saturating_sub(FIELDS) as u64 + fields.more;
    if more > 0 {
        lines.push(format!("... {} more", count(more)));
    }
    lines
}

fn of_field(change: &FieldChange, root: &str) -> Vec<String> {
    let FieldChange { path, kind, before, after } = change;
    let [before, after] = [before, after].map(|value| value.as_ref().unwrap_or(&Value::Null));
    let path = format!("{}{}", if path.starts_with('[') { "" } else { root }, clean(path));
    match (kind, before, after) {
        (FieldChangeKind::Added, ..) => vec![format!("+ {path}: {}", show(after))],
        (FieldChangeKind::Removed, ..) => vec![format!("- {path}: {}", show(before))],
        (FieldChangeKind::Reordered, ..) => {
            vec![format!("~ {path}: in another order, they were {}", show(after))]
        }
        (FieldChangeKind::Changed, Value::String(a), Value::String(b))
            if a.contains('\n') && b.contains('\n') =>
        {
            let inside = value_diff(a.as_bytes(), b.as_bytes()).into_iter().map(|line| format!("    {line}"));
            std::iter::once(format!("~ {path}:")).chain(inside).collect()
        }
        (FieldChangeKind::Changed, ..) => vec![format!("~ {path}: {} -> {}", show(before), show(after))],
    }
}

/// A value on one line, its end left out when it is long.
fn show(value: &Value) -> String {
    let text = value.to_string();
    let text = match text.char_indices().nth(CHARACTERS) {
        Some((at, _)) => format!("{}... ({})", &text[..at], size(text.len() as u64)),
        None => text,
    };
    clean(&text).replace('\n', "\\n")
}

/// What was left out, for people.
pub fn left_out(out: &mut dyn Write, left_out: &BTreeMap<Noise, u64>) -> io::Result<()> {
    if left_out.is_empty() {
        return Ok(());
    }
    let words = left_out.iter().map(|(noise, n)| {
        let what = match noise {
            Noise::Leases | Noise::Events => "object",
            _ => "field",
        };
        format!("{} {} {what}{}", noise.name(), count(*n), if *n == 1 { "" } else { "s" })
    });
    writeln!(out, "left out as noise: {}", words.collect::<Vec<_>>().join(", "))
}
