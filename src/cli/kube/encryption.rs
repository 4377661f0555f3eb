use std::io::{self, Write};

use coldbolt::kube::protection::{ProtectionOptions, ProtectionReport, ResourceProtection, UnderProtection};
use coldbolt::kube::versions::FreeValues;
use coldbolt::ops::protection;
use serde_json::json;

use super::super::context::{Context, Done, Verdict};
use super::super::keyspace::{File, Pages};
use super::super::out::{Form, clean, count, json, plain_table};

/// Wrapped keys that are listed at most: with the first version of KMS every value may have its own.
const MOST_WRAPPED: usize = 10_000;

/// Tell which values are plain and what encrypted the others: live ones, those that history still has, and those that
/// are gone but for free pages. No key is needed.
///
/// PROTECTION is provider, version and name of the key; with KMS the name of the provider, and, with its second
/// version, the plugin's id of its key. Two keys of one name are not told apart. The newest write of a resource comes
/// first: what the API server writes now is like it. Values that are protected otherwise are listed, live ones first:
/// after a change of the configuration they are what has not been written anew.
///
/// FREE counts versions that are stored no more, each once, in pages that nothing has been written over yet; `defrag`
/// makes a file without them. Of pages that are partly written over only the beginnings of values are counted, which
/// may be the same value several times; plain values in JSON or CBOR are not found there. The log of a data directory
/// is not looked at, but for what --fold applies. Times are the newest that tells itself of all that was written up to
/// then: the write was not before.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt kube encryption backup.db
  coldbolt kube encryption backup.db --only secrets,cm --all -n shop
  coldbolt kube encryption backup.db -w json | jq -r '.resources[].values_left[] | select(.place == \"live\").key'")]
pub struct Args {
    #[command(flatten)]
    file: File,
    /// What stands before the keys of objects (the API server's --etcd-prefix) [default: where objects are found].
    #[arg(long, value_name = "PREFIX")]
    etcd_prefix: Option<String>,
    /// Only these resources, by any of their names.
    #[arg(long, value_delimiter = ',', value_name = "RESOURCE,...")]
    only: Option<Vec<String>>,
    /// Only objects in this namespace. Beginnings of values in free pages do not tell theirs, and are counted all the
    /// same.
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// List the keys and seeds that KMS providers wrapped, as the values hold them, in base64: what the KMS must be
    /// asked for where values are to be opened without it. They are ciphertext and no secret. Of more than 10,000 the
    /// first that are found.
    #[arg(long)]
    wrapped: bool,
    /// List all values that are protected otherwise than the newest write, and not the first 20 of each resource; all
    /// names are held in memory.
    #[arg(long)]
    all: bool,
    /// Format of the answer.
    #[arg(short, long)]
    #[arg(value_enum, default_value = "table", value_name = "FORMAT")]
    write_out: Form,
}

pub fn run(args: &Args, context: &mut Context<'_>) -> Done {
    let monitor = context.monitor;
    args.file.with_pages(context, |store, pages, out| {
        let mut options = ProtectionOptions {
            only: args.only.as_deref(),
            namespace: args.namespace.as_deref(),
            ..ProtectionOptions::default()
        };
        if args.all {
            options.names = usize::MAX;
        }
        if args.wrapped {
            options.wrapped = MOST_WRAPPED;
        }
        let Some(report) = protection(store, args.etcd_prefix.as_deref(), &options, monitor)? else {
            monitor.warn(&match &args.namespace {
                Some(namespace) => {
                    format!("no object that was asked for is in the namespace {}", clean(namespace))
                }
                None => "no live key and value are those of a Kubernetes API server".to_owned(),
            });
            return Ok(Verdict::Inconclusive);
        };
        let unknown = &report.unknown;
        if !unknown.is_empty() {
            let words = unknown.iter().map(|word| clean(word)).collect::<Vec<_>>().join(", ");
            monitor.warn(&format!("no resource of Kubernetes or of the file is called {words}"));
        }
        match args.write_out {
            Form::Table => {
                table(&report, pages, out)?;
                if args.wrapped {
                    wrapped(&report, out)?;
                }
            }
            Form::Json => {
                let file = store.source().name();
                let free_pages = (pages == Pages::LookedAt).then_some(&report.free_pages);
                let mut answer = json!({
                    "schema": "coldbolt.kube-encryption/1", "file": file, "revision": store.revision(),
                    "resources": report.resources, "free_pages": free_pages, "unknown": unknown,
                });
                if args.wrapped {
                    answer["wrapped"] = json!(report.wrapped);
                    answer["wrapped_beyond"] = json!(report.wrapped_beyond);
                }
                json(out, &answer)?;
            }
        }
        Ok(if unknown.is_empty() { Verdict::Good } else { Verdict::Inconclusive })
    })
}

fn table(report: &ProtectionReport, pages: Pages, out: &mut dyn Write) -> io::Result<()> {
    let rows = report.resources.iter().flat_map(|resource| {
        let name = |number| if number == 0 { resource.resource.to_string() } else { String::new() };
        resource.under.iter().enumerate().map(move |(number, row)| line(name(number), row))
    });
    let header = ["RESOURCE", "PROTECTION", "LIVE", "HISTORY", "FREE", "NEWEST WRITE", "NOT BEFORE"];
    writeln!(out, "{}", plain_table(header, rows))?;
    report.resources.iter().try_for_each(|resource| left(resource, out))?;
    if pages == Pages::LookedAt { free(&report.free_pages, out) } else { Ok(()) }
}

fn line(name: String, row: &UnderProtection) -> [String; 7] {
    let time = row.newest.not_before.map_or_else(String::new, |time| time.to_string());
    [
        name,
        row.protection.to_string(),
        count(row.live),
        count(row.history),
        count(row.free),
        format!("revision {}", row.newest.revision),
        time,
    ]
}

/// Values that are not protected as the newest write.
fn left(resource: &ResourceProtection, out: &mut dyn Write) -> io::Result<()> {
    let Some(newest) = resource.under.first().filter(|_| resource.left > 0) else { return Ok(()) };
    let (values, name) = (count(resource.left), &resource.resource);
    writeln!(out, "\n{name}, not protected as the newest write ({}): {values}", newest.protection)?;
    let rows = resource.values_left.iter().map(|value| {
        let (place, revision) = (value.place.name(), format!("revision {}", value.revision));
        [place.to_owned(), value.key.to_string(), revision, value.protection.to_string()]
    });
    rows.into_iter()
        .try_for_each(|row| writeln!(out, "  {:<7}  {}  {}  {}", row[0], row[1], row[2], row[3]))?;
    let more = resource.left.saturating_sub(resource.values_left.len() as u64);
    if more > 0 { writeln!(out, "  and {} more; --all lists them", count(more)) } else { Ok(()) }
}

/// What the KMS must be asked for: the columns that a line of --kms-key has, but for the plain key.
fn wrapped(report: &ProtectionReport, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\nwrapped by a KMS: {}", count(report.wrapped.len() as u64))?;
    if report.wrapped.is_empty() {
        return Ok(());
    }
    let rows = report.wrapped.iter().map(|one| {
        let id = one.kms_key.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
        let places = [(one.live, "live"), (one.history, "history"), (one.free, "free")];
        let places = places.iter().filter(|(n, _)| *n > 0).map(|(n, name)| format!("{name} {}", count(*n)));
        let provider = format!("kms:{}:{}", one.version, one.name);
        [provider, one.source.to_owned(), places.collect::<Vec<_>>().join(", "), id, one.wrapped.clone()]
    });
    writeln!(out, "{}", plain_table(["PROVIDER", "WHAT", "VALUES", "KMS KEY", "WRAPPED"], rows))?;
    match report.wrapped_beyond {
        0 => Ok(()),
        n => writeln!(out, "values with other wrapped keys, which are not listed: {}", count(n)),
    }
}

fn free(found: &FreeValues, out: &mut dyn Write) -> io::Result<()> {
    let FreeValues { pages, values, copies, remnants, unreadable } = found;
    writeln!(
        out,
        "\nfree pages {}: values that are stored no more {}, copies of these and of others {}",
        count(*pages),
        count(*values),
        count(*copies)
    )?;
    let mut begun: Vec<String> = remnants
        .plain
        .iter()
        .map(|kind| match kind.group.is_empty() {
            true => format!("{} plain {}", count(kind.count), kind.kind),
            false => format!("{} plain {}.{}", count(kind.count), kind.kind, kind.group),
        })
        .collect();
    let rest = [(remnants.plain_unknown, "plain"), (remnants.encrypted, "encrypted")];
    begun.extend(rest.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{} {what}", count(*n))));
    if !begun.is_empty() {
        writeln!(out, "beginnings of values in pages that are partly written over: {}", begun.join(", "))?;
    }
    match unreadable {
        0 => Ok(()),
        n => writeln!(out, "free pages that could not be read {}", count(*n)),
    }
}
