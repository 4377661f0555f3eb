use std::io::Write;

use coldbolt::kube::cluster::{Cluster, KindReport, KindsReport};
use serde_json::json;

use super::super::context::{Context, Done, Verdict};
use super::super::out::{Form, clean, count, json, plain_table, size};
use super::args::Common;

/// Count the objects by kind and stored version: how many, how large with their history, how encoded.
///
/// STORED counts every version that is stored, deletions and what is deleted included, and SIZE all their bytes. What
/// could not be decoded, as it is encrypted, is counted by its key. UNKNOWN are objects with fields that no known
/// Kubernetes has.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt kube kinds backup.db
  coldbolt kube kinds backup.db -w json | jq '.kinds[] | select(.undecoded > 0)'")]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// Format of the answer.
    #[arg(short, long, value_enum, default_value = "table", value_name = "FORMAT")]
    write_out: Form,
}

pub fn run(args: &Args, context: &mut Context<'_>) -> Done {
    args.common.file.with(context, |store, out| {
        let cluster = Cluster::open(store.at(Some(args.common.rev))?, args.common.etcd_prefix.as_deref())?;
        let report = cluster.kinds()?;
        match args.write_out {
            Form::Table => table(&report, out)?,
            Form::Json => {
                let KindsReport { kinds, bookkeeping, other, misplaced } = &report;
                let answer = json!({
                    "schema": "coldbolt.kube-kinds/1",
                    "file": store.source().name(),
                    "revision": cluster.view().revision(),
                    "kinds": kinds, "bookkeeping": bookkeeping, "other": other, "misplaced": misplaced,
                });
                json(out, &answer)?;
            }
        }
        Ok(Verdict::Good)
    })
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
