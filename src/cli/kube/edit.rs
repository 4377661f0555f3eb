use std::io::Write;
use std::path::{Path, PathBuf};

use coldbolt::ops::kube_edit::{
    EditAction, EditedObject, KubeEdit, KubeEditOptions, KubeEditReport, kube_edit,
};
use serde_json::json;

use super::super::context::{Context, Done, Fail, Verdict};
use super::super::out::{Form, clean, document, json, plain_table};
use super::super::{hint, input};
use super::documents;

/// What both commands need: the source, and where the copy goes.
#[derive(Debug, clap::Args)]
struct Places {
    /// Snapshot file or database, which is only read; - is standard input. Of a data directory make one by
    /// `coldbolt copy`.
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// The copy to make, which must not exist: for its owner alone (mode 0600), as it holds the secrets of the
    /// source.
    #[arg(short, long, value_name = "NEW", required_unless_present = "dry_run")]
    output: Option<PathBuf>,
    /// Write nothing: tell what would be written.
    #[arg(long, conflicts_with = "output")]
    dry_run: bool,
    /// What stands before the keys of objects (the API server's --etcd-prefix) [default: where objects are found].
    #[arg(long, value_name = "PREFIX")]
    etcd_prefix: Option<String>,
    /// Format of the answer.
    #[arg(short, long, value_enum, default_value = "table", value_name = "FORMAT")]
    write_out: Form,
}

/// Put objects into a copy of a database or snapshot file: the one edit that lets a cluster start.
///
/// The objects are YAML or JSON as `kubectl` takes them (but `yes` and `no` are no booleans), several documents and
/// Lists too. Each becomes one new revision behind the last one, as etcd would have written it; all else in the copy
/// is as in the source. An object that is there is replaced: it keeps its uid, creation time, managed fields and
/// status unless others are given, fields that no known Kubernetes has stay, and its generation rises with its spec.
/// A new one gets a uid, and as creation time the newest time in the file. Objects are stored as others of their kind
/// are: as protobuf, JSON or CBOR, in the same version; resourceVersion is of no use and left out.
///
/// Refused is what an API server could not read: a kind or field that no known Kubernetes has, a value of another
/// type, a namespace that is not there, another version than is stored, plain values of a resource that is encrypted,
/// and what was redacted when it was printed. An API server's validation and its webhooks do not run.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt kube get backup.db cm/settings -n shop -o yaml > cm.yaml
  coldbolt kube put backup.db -f cm.yaml --dry-run
  coldbolt kube put backup.db -f cm.yaml -o changed.db
  coldbolt kube get old.db cm/settings -n shop -o yaml | coldbolt kube put new.db -f - -o changed.db")]
pub struct PutArgs {
    #[command(flatten)]
    places: Places,
    /// The file with the objects; - is standard input.
    #[arg(short = 'f', long, value_name = "FILE")]
    filename: PathBuf,
    /// The namespace of objects that say none; it must be that of those that say one.
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,
}

/// Delete objects in a copy of a database or snapshot file: each deletion is a new revision, as etcd would have
/// written it.
///
/// That is all: what an API server and its controllers do about a deletion (finalizers, what depends on the object,
/// what is in a namespace) they do when the cluster runs again, or not at all. An encrypted object is deleted like
/// others.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt kube delete backup.db validatingwebhookconfigurations broken -o changed.db
  coldbolt kube delete backup.db cm settings -n shop -o changed.db
  coldbolt kube delete backup.db cm/settings -n shop --dry-run -w json")]
pub struct DeleteArgs {
    #[command(flatten)]
    places: Places,
    /// What kind of object, or KIND/NAME.
    #[arg(value_name = "KIND")]
    kind: String,
    /// Its name; several are deleted in this order.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// In this namespace.
    #[arg(short, long, default_value = "default", value_name = "NAMESPACE")]
    namespace: String,
}

pub fn put(args: &PutArgs, context: &mut Context<'_>) -> Done {
    let stdin = Path::new("-");
    if args.filename == stdin && args.places.path == stdin {
        return Err(Fail::Usage("PATH and --filename cannot both be standard input".to_owned()));
    }
    let objects = documents::read(&args.filename)?;
    let edits: Vec<_> = objects.into_iter().map(KubeEdit::Put).collect();
    run(&args.places, &edits, args.namespace.as_deref(), "coldbolt.kube-put/1", context)
}

pub fn delete(args: &DeleteArgs, context: &mut Context<'_>) -> Done {
    let (kind, name) =
        args.kind.split_once('/').map_or((&*args.kind, None), |(kind, name)| (kind, Some(name)));
    let names = name.into_iter().chain(args.names.iter().map(String::as_str));
    let edits: Vec<_> =
        names.map(|name| KubeEdit::Delete { resource: kind.to_owned(), name: name.to_owned() }).collect();
    if edits.is_empty() {
        return Err(Fail::Usage("say which: KIND NAME, or KIND/NAME".to_owned()));
    }
    run(&args.places, &edits, Some(&args.namespace), "coldbolt.kube-delete/1", context)
}

fn run(
    places: &Places,
    edits: &[KubeEdit],
    namespace: Option<&str>,
    schema: &str,
    context: &mut Context<'_>,
) -> Done {
    let options = KubeEditOptions {
        destination: places.output.as_deref(),
        prefix: places.etcd_prefix.as_deref(),
        namespace,
    };
    let mut report = kube_edit(input::given(&places.path)?, edits, &options, context.monitor)?;
    hint::notes(&mut report.notes);
    match places.write_out {
        Form::Json => {
            json(context.out, &document(json!({ "schema": schema }), &report))?;
        }
        Form::Table => screen(context.out, &report)?,
    }
    Ok(Verdict::Good)
}

fn screen(out: &mut dyn Write, report: &KubeEditReport) -> std::io::Result<()> {
    let or_none = |n: Option<String>| n.unwrap_or_else(|| "-".to_owned());
    let row = |object: &EditedObject| {
        let action = match object.action {
            EditAction::Created => "created",
            EditAction::Changed => "changed",
            EditAction::Deleted => "deleted",
        };
        [
            action.to_owned(),
            clean(&object.kind),
            clean(object.namespace.as_deref().unwrap_or_default()),
            clean(&object.name),
            clean(&object.api_version),
            object.encoding.map_or("", |encoding| encoding.name()).to_owned(),
            format!("{} -> {}", or_none(object.revision_before.map(|n| n.to_string())), object.revision),
            format!(
                "{} -> {}",
                or_none(object.bytes_before.map(|n| n.to_string())),
                or_none(object.bytes.map(|n| n.to_string()))
            ),
        ]
    };
    let header = ["ACTION", "KIND", "NAMESPACE", "NAME", "STORED AS", "ENCODING", "REVISION", "BYTES"];
    writeln!(out, "{}", plain_table(header, report.objects.iter().map(row)))?;
    for object in &report.objects {
        for note in &object.notes {
            writeln!(out, "{} {}: {}", clean(&object.kind), clean(&object.name), clean(note))?;
        }
    }
    match &report.destination {
        Some(copy) => {
            write!(out, "copy        {copy}, revision {}", report.revision)?;
            writeln!(out, "{}", report.hashkv.map_or_else(String::new, |hash| format!(", HashKV {hash}")))?;
            if report.trailer {
                writeln!(out, "            SHA-256 trailer made anew, as the source has one")?;
            }
        }
        None => {
            writeln!(out, "dry run     nothing was written; the last revision would be {}", report.revision)?
        }
    }
    for note in &report.notes {
        writeln!(out, "note: {note}")?;
    }
    Ok(())
}
