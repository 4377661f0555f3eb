use std::io::Write;

use clap::ValueEnum;
use coldbolt::kube::cluster::Cluster;
use coldbolt::kube::kinds::{KindReport, KindsReport};
use coldbolt::kube::sizes::{NamespaceReport, Part, Parts};
use serde_json::json;

use super::super::context::{Context, Done, Verdict};
use super::super::out::{Form, clean, count, json, plain_table, size};
use super::args::Common;

/// Count the objects by kind and stored version: how many, how large with their history, how encoded.
///
/// STORED counts every version that is stored, deletions and what is deleted included, and SIZE all their bytes. What
/// could not be decoded, as it is encrypted, is counted by its key. UNKNOWN are objects with fields that no known
/// Kubernetes has.
///
/// --by namespace counts the same by namespace, and --by field says what the bytes of all stored versions are: keys,
/// managed fields, annotations, labels, the rest of the metadata, spec, status, data, and what is left.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt kube kinds backup.db
  coldbolt kube kinds backup.db --by namespace
  coldbolt kube kinds backup.db --by field
  coldbolt kube kinds backup.db -w json | jq '.kinds[] | select(.undecoded > 0)'")]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// What to count by.
    #[arg(long, value_enum, default_value = "kind", value_name = "WHAT")]
    by: By,
    /// Format of the answer.
    #[arg(short, long)]
    #[arg(value_enum, default_value = "table", value_name = "FORMAT")]
    write_out: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    /// Kinds and the versions they are stored in.
    Kind,
    /// Namespaces; what is in none comes first, without a name.
    Namespace,
    /// Parts of the objects.
    Field,
}

pub fn run(args: &Args, context: &mut Context<'_>) -> Done {
    args.common.file.with(context, |store, out| {
        let cluster = args.common.cluster(store)?;
        let (file, revision) = (store.source().name().to_owned(), cluster.view().revision());
        match (args.by, args.write_out) {
            (By::Kind, form) => return kinds(&cluster, form, out),
            (By::Namespace, Form::Table) => namespaces(&cluster.namespaces()?, out)?,
            (By::Namespace, Form::Json) => {
                let namespaces = cluster.namespaces()?;
                json(
                    out,
                    &json!({
                        "schema": "coldbolt.kube-namespaces/1", "file": file, "revision": revision,
                        "namespaces": namespaces,
                    }),
                )?;
            }
            (By::Field, Form::Table) => parts(&cluster.parts()?, out)?,
            (By::Field, Form::Json) => {
                let parts = cluster.parts()?;
                let bytes: serde_json::Map<_, _> = Part::ALL
                    .map(|part| (part.name().to_owned(), parts.of(part).into()))
                    .into_iter()
                    .collect();
                json(
                    out,
                    &json!({
                        "schema": "coldbolt.kube-fields/1", "file": file, "revision": revision,
                        "bytes": bytes, "total": parts.total(),
                    }),
                )?;
            }
        }
        Ok(Verdict::Good)
    })
}

fn namespaces(rows: &[NamespaceReport], out: &mut dyn Write) -> std::io::Result<()> {
    let row = |row: &NamespaceReport| {
        [clean(&row.namespace), count(row.objects), count(row.stored_versions), size(row.bytes)]
    };
    writeln!(out, "{}", plain_table(["NAMESPACE", "OBJECTS", "STORED", "SIZE"], rows.iter().map(row)))
}

fn parts(parts: &Parts, out: &mut dyn Write) -> std::io::Result<()> {
    let total = parts.total();
    let row = |name: &str, bytes: u64| {
        let tenths = bytes.saturating_mul(1000).checked_div(total).unwrap_or_default();
        [name.to_owned(), size(bytes), format!("{}.{} %", tenths / 10, tenths % 10)]
    };
    let rows = Part::ALL.into_iter().map(|part| row(part.name(), parts.of(part)));
    writeln!(out, "{}", plain_table(["FIELD", "SIZE", "SHARE"], rows.chain([row("total", total)])))
}

fn kinds(cluster: &Cluster<'_>, form: Form, out: &mut dyn Write) -> Done {
    let report = cluster.kinds()?;
    match form {
        Form::Table => table(&report, out)?,
        Form::Json => {
            let KindsReport { kinds, bookkeeping, other, misplaced } = &report;
            let answer = json!({
                "schema": "coldbolt.kube-kinds/1",
                "file": cluster.view().store().source().name(),
                "revision": cluster.view().revision(),
                "kinds": kinds, "bookkeeping": bookkeeping, "other": other, "misplaced": misplaced,
            });
            json(out, &answer)?;
        }
    }
    Ok(Verdict::Good)
}

fn table(report: &KindsReport, out: &mut dyn Write) -> std::io::Result<()> {
    let row = |kind: &KindReport| {
        let version = match (&*kind.group, &*kind.version) {
            ("", version) => version.to_owned(),
            (group, "") => group.to_owned(),
            (group, version) => format!("{group}/{version}"),
        };
        let encodings: Vec<_> = match kind.encodings.len() {
            1 => kind.encodings.keys().cloned().collect(),
            _ => kind.encodings.iter().map(|(encoding, n)| format!("{encoding} {n}")).collect(),
        };
        let some = |n: u64| if n == 0 { String::new() } else { count(n) };
        [
            clean(&kind.resource),
            clean(&version),
            clean(&kind.kind),
            kind.namespaced.to_string(),
            count(kind.objects),
            count(kind.stored_versions),
            size(kind.bytes),
            encodings.join(", "),
            some(kind.undecoded),
            some(kind.unknown_fields),
        ]
    };
    let header = [
        "RESOURCE",
        "STORED AS",
        "KIND",
        "NAMESPACED",
        "OBJECTS",
        "STORED",
        "SIZE",
        "ENCODING",
        "UNDECODED",
        "UNKNOWN",
    ];
    writeln!(out, "{}", plain_table(header, report.kinds.iter().map(row)))?;
    for (n, what) in [
        (report.bookkeeping, "that the API server keeps for itself"),
        (report.other, "that are no object's"),
        (report.misplaced, "of objects that say they are of another name, namespace or group"),
    ] {
        if n > 0 {
            writeln!(out, "{} keys {what}", count(n))?;
        }
    }
    Ok(())
}
