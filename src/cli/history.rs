use std::ffi::OsString;
use std::io::{self, Write};

use coldbolt::etcd::KeyRange;
use coldbolt::store::events::{Change, Version};
use coldbolt::store::{EventKind, KeyState, Store};
use serde::Serialize;
use serde_json::{Map, Value};

use super::context::{Context, Done, Fail, Verdict};
use super::events::{EventJson, Shown, carries};
use super::keyspace::{ValueFile, json_bytes, keep, show_key, show_value};
use super::kube::args::Secrets;
use super::objects::Objects;
use super::out::{List, Listing, count};

/// Print every stored version of a key, oldest first, life by life; or with --prefix the keys that have a history.
///
/// A life (generation) begins with a creation and ends with a deletion. What came before the compact revision is gone
/// but for the newest version then. With --prefix one line a key: what is stored of it; with --deleted only of keys
/// that are deleted now.
///
/// With a version comes the SHA-256 of its value. That of a Secret is of a key of this run and the value, so that a
/// short one cannot be looked up; with --plain-hashes it is of the value alone, and comparable between runs.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt history backup.db /registry/deployments/default/web --diff
  coldbolt history backup.db --prefix /registry/secrets/ --deleted")]
pub struct Args {
    #[command(flatten)]
    file: ValueFile,
    /// The key.
    #[arg(value_name = "KEY", required_unless_present = "prefix", conflicts_with = "prefix")]
    key: Option<OsString>,
    /// List the keys that begin so.
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<OsString>,
    /// List only keys that are deleted.
    #[arg(long, requires = "prefix")]
    deleted: bool,
    /// Print what changed from version to version: Kubernetes objects and JSON by their fields, text by its lines,
    /// anything else by its hash. The data of Secrets is redacted, and --values leaves them out.
    #[arg(long, conflicts_with = "prefix")]
    diff: bool,
    #[command(flatten)]
    secrets: Secrets,
    /// Print values too.
    #[arg(long, conflicts_with = "prefix")]
    values: bool,
    /// Format of the answer.
    #[arg(short, long, value_enum, default_value = "simple", value_name = "FORMAT")]
    write_out: Listing,
}

pub fn run(args: &Args, context: &mut Context<'_>) -> Done {
    args.file.with(context, |store, out| {
        match (&args.prefix, &args.key) {
            (Some(prefix), _) => list(args, prefix.as_encoded_bytes(), store, out)?,
            (None, Some(key)) => return one(args, key.as_encoded_bytes(), store, out),
            (None, None) => {}
        }
        Ok(Verdict::Good)
    })
}

fn one(args: &Args, key: &[u8], store: &Store<'_>, out: &mut dyn Write) -> Done {
    let simple = args.write_out == Listing::Simple;
    let objects = Objects::new(&args.secrets);
    let mut list =
        List::begin(out, args.write_out, "coldbolt.history/1", &store.source().name(), "versions")?;
    // The value before, if it was a put and is wanted.
    let (mut done, mut before, mut generation) = (Ok(()), None::<Vec<u8>>, 0);
    store.history(key, &mut |version| {
        let event = version.event;
        let changes = before
            .as_deref()
            .filter(|_| args.diff && event.kind == EventKind::Put)
            .map(|b| objects.changes(key, b, event.kv.value));
        // Beside what changed in a Secret its value is not shown either.
        let values = args.values && !(args.diff && objects.hidden(key, event.kv.value).is_some());
        let begins = std::mem::replace(&mut generation, version.generation) != version.generation;
        let sha256 = (event.kind == EventKind::Put).then(|| objects.sha256(key, event.kv.value));
        let written = if simple {
            let sha256 = sha256.as_deref().unwrap_or_default();
            let changes = changes.as_deref().unwrap_or_default();
            list.item(&(), |out| line(out, &version, begins, values, sha256, changes))
        } else {
            list.item(&VersionJson::new(&version, values, sha256, changes), |_| Ok(()))
        };
        before = (args.diff && event.kind == EventKind::Put).then(|| event.kv.value.to_vec());
        keep(&mut done, written)
    })?;
    done?;
    list.end()?;
    if simple && generation == 0 {
        writeln!(out, "{}: no version is stored", show_key(key))?;
    }
    Ok(if generation == 0 { Verdict::Bad } else { Verdict::Good })
}

fn word(change: Change) -> &'static str {
    match change {
        Change::Created => "created",
        Change::Recreated => "recreated",
        Change::Updated => "updated",
        Change::Deleted => "deleted",
    }
}

fn line(
    out: &mut dyn Write,
    version: &Version<'_>,
    begins: bool,
    values: bool,
    sha256: &str,
    changes: &[String],
) -> io::Result<()> {
    let event = &version.event;
    if begins {
        writeln!(out, "generation {}", version.generation)?;
    }
    let revision = event.revision.to_string();
    let compacted = if event.compacted { " (compacted)" } else { "" };
    if event.kind == EventKind::Put {
        let sha256 = sha256.get(..16).unwrap_or(sha256);
        writeln!(
            out,
            "  {revision:<12} {:<10} {}, sha256 {sha256}{compacted}",
            word(version.change),
            carries(event)
        )?;
        changes.iter().try_for_each(|change| writeln!(out, "      {change}"))?;
        if values { writeln!(out, "{}", show_value(event.kv.value)) } else { Ok(()) }
    } else {
        writeln!(out, "  {revision:<12} {}{compacted}", word(version.change))
    }
}

#[derive(Serialize)]
struct VersionJson<'v> {
    generation: u64,
    change: Change,
    #[serde(flatten)]
    event: EventJson<'v>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<Vec<String>>,
}

impl<'v> VersionJson<'v> {
    fn new(
        version: &Version<'v>,
        values: bool,
        value_sha256: Option<String>,
        changes: Option<Vec<String>>,
    ) -> VersionJson<'v> {
        let Version { generation, change, event } = version;
        VersionJson {
            generation: *generation,
            change: *change,
            event: EventJson::new(event, &Shown::plain(values)),
            value_sha256,
            changes,
        }
    }
}

fn list(args: &Args, prefix: &[u8], store: &Store<'_>, out: &mut dyn Write) -> Result<(), Fail> {
    let mut list =
        List::begin(out, args.write_out, "coldbolt.history-keys/1", &store.source().name(), "keys")?;
    for state in store.at(None)?.keys(KeyRange::prefix(prefix)).with_deleted() {
        let state = state?;
        if state.deleted || !args.deleted {
            list.item(&key_json(&state), |out| key_line(out, &state))?;
        }
    }
    Ok(list.end()?)
}

fn key_line(out: &mut dyn Write, state: &KeyState) -> io::Result<()> {
    let what = if state.deleted { "deleted at" } else { "live, modified at" };
    let stored = if state.revisions == 1 {
        "1 version".to_owned()
    } else {
        format!("{} versions", count(state.revisions))
    };
    writeln!(out, "{}  ({what} {}, {stored} stored)", show_key(&state.key), state.revision)
}

fn key_json(state: &KeyState) -> Value {
    let mut item = Map::new();
    json_bytes(&mut item, "key", &state.key);
    item.insert("deleted".to_owned(), state.deleted.into());
    item.insert("revision".to_owned(), state.revision.main.into());
    item.insert("sub".to_owned(), state.revision.sub.into());
    item.insert("stored_versions".to_owned(), state.revisions.into());
    item.insert("stored_bytes".to_owned(), state.bytes.into());
    Value::Object(item)
}
