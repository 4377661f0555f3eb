use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;

use coldbolt::etcd::{KeyRange, Revision};
use coldbolt::kube::decode::Object;
use coldbolt::kube::yaml;
use coldbolt::replay::fold::Raised;
use coldbolt::store::{Event, EventKind};
use coldbolt::{RaftIndex, Term};
use serde::Serialize;
use serde_json::Value;

use super::context::{Context, Done, Verdict};
use super::keyspace::{ValueFile, base64, keep, show_key, show_value};
use super::kube::args::Secrets;
use super::objects::{Objects, name, named};
use super::out::{List, Listing, size};

/// Print every change that is still stored, in the order it happened.
///
/// The changes of one transaction have one revision and stand together. Up to the compact revision only what the
/// compaction kept is there (or has not yet removed); these are marked `compacted`. A revision that a restore with
/// --bump-revision went up to is a `marker`.
///
/// With --fold the changes that are only in the WAL follow, and each says its source: `db`, or `wal` with the entry's
/// index and term. What a compaction removed is not brought back from older entries of the WAL: they do not tell
/// their revisions (`coldbolt wal dump` prints them).
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt events backup.db --since-rev 1000
  coldbolt events backup.db --prefix /registry/secrets/ --decode
  coldbolt events backup.db --prefix /registry/pods/ -w ndjson | jq -c 'select(.type == \"delete\")'
  coldbolt events /var/lib/etcd --fold -w ndjson | jq -c 'select(.source == \"wal\")'")]
pub struct Args {
    #[command(flatten)]
    file: ValueFile,
    /// Begin at this revision; it must not be compacted. Without it everything that is stored is printed.
    #[arg(long, value_name = "REVISION")]
    since_rev: Option<i64>,
    /// End with this revision.
    #[arg(long, value_name = "REVISION")]
    until_rev: Option<i64>,
    /// Print only what happened to keys that begin so.
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<OsString>,
    /// Print only what happened to this key.
    #[arg(long, value_name = "KEY", conflicts_with = "prefix")]
    key: Option<OsString>,
    /// Print values too.
    #[arg(long)]
    values: bool,
    /// Name the Kubernetes object that a value is, by kind, name and namespace; with --values print it as YAML, or as
    /// `object` in json. The data of Secrets is then redacted.
    #[arg(long)]
    decode: bool,
    #[command(flatten)]
    secrets: Secrets,
    /// Format of the answer.
    #[arg(short, long, value_enum, default_value = "simple", value_name = "FORMAT")]
    write_out: Listing,
}

pub fn run(args: &Args, context: &mut Context<'_>) -> Done {
    args.file.with_log(context, |log, store, out| {
        let prefix = args.prefix.as_ref().map(|prefix| KeyRange::prefix(prefix.as_bytes()));
        let range = prefix.or_else(|| args.key.as_ref().map(|key| KeyRange::single(key.as_bytes())));
        // Refused before anything is written.
        if let Some(since) = args.since_rev.filter(|since| *since <= store.revision()) {
            store.at(Some(since))?;
        }
        let mut list =
            List::begin(out, args.write_out, "coldbolt.events/1", &store.source().name(), "events")?;
        let (mut done, mut last) = (Ok(()), None);
        let objects = args.decode.then(|| Objects::new(&args.secrets));
        store.events(args.since_rev, args.until_rev, range.as_ref(), &mut |event| {
            let main = event.revision.main;
            let begins = last.replace(main) != Some(main);
            let from = log.map(|log| log.raised(main));
            let object = objects.as_ref().filter(|_| event.kind == EventKind::Put);
            let (key, value, shown) = (event.kv.key, event.kv.value, object);
            let object = shown.and_then(|objects| objects.decode(key, value, main));
            // What is no object, and may be a Secret all the same, has no value then.
            let hides = || shown.is_some_and(|objects| objects.hidden(key, value).is_some());
            let values = args.values && (object.is_some() || !hides());
            let written = if args.write_out == Listing::Simple {
                let from = from.filter(|_| begins);
                list.item(&(), |out| line(out, &event, from, begins, values, object.as_ref()))
            } else {
                let plain = values && object.is_none();
                let object =
                    object.map(|object| if args.values { object.json.into() } else { named(&object) });
                let from = from.map(SourceJson::new);
                list.item(&EventJson { from, object, ..EventJson::new(&event, plain) }, |_| Ok(()))
            };
            keep(&mut done, written)
        })?;
        done?;
        list.end()?;
        Ok(Verdict::Good)
    })
}

/// What a put carries, for people: its place in the key's life, its size, its lease.
pub fn carries(event: &Event<'_>) -> String {
    let kv = event.kv;
    let lease = if kv.lease == 0 { String::new() } else { format!(", lease {}", kv.lease_id().padded()) };
    format!("create {}, version {}, {}{lease}", kv.create_revision, kv.version, size(kv.value.len() as u64))
}

fn line(
    out: &mut dyn Write,
    event: &Event<'_>,
    from: Option<Option<Raised>>,
    begins: bool,
    values: bool,
    object: Option<&Object>,
) -> io::Result<()> {
    if begins {
        let compacted = if event.compacted { " (compacted)" } else { "" };
        let from = from.map_or_else(String::new, |raised| match raised {
            Some(Raised { index, term, .. }) => format!("  wal, index {index}, term {term}"),
            None => "  db".to_owned(),
        });
        writeln!(out, "revision {}{compacted}{from}", event.revision.main)?;
    }
    match event.kind {
        EventKind::Put => {
            let object = object.map_or_else(String::new, |object| format!("  {}", name(object)));
            writeln!(out, "  put     {}  ({}){object}", show_key(event.kv.key), carries(event))?;
        }
        EventKind::Delete => writeln!(out, "  delete  {}", show_key(event.kv.key))?,
        EventKind::Marker => writeln!(out, "  marker  no change: a restore raised the revision to this one")?,
    }
    match object {
        _ if !values || event.kind != EventKind::Put => Ok(()),
        Some(object) => out.write_all(yaml::document(&object.json).as_bytes()),
        None => writeln!(out, "{}", show_value(event.kv.value)),
    }
}

/// A change in JSON. Keys and values are text where they are UTF-8, else in base64.
#[derive(Serialize)]
pub struct EventJson<'e> {
    revision: i64,
    sub: i64,
    r#type: EventKind,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    compacted: bool,
    #[serde(flatten)]
    from: Option<SourceJson>,
    #[serde(flatten)]
    key: Option<KeyJson<'e>>,
    #[serde(flatten)]
    put: Option<PutJson<'e>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<Value>,
}

/// Where a change is from, where a log was read.
#[derive(Serialize)]
struct SourceJson {
    source: &'static str,
    #[serde(flatten)]
    entry: Option<EntryJson>,
}

#[derive(Serialize)]
struct EntryJson {
    index: RaftIndex,
    term: Term,
}

impl SourceJson {
    fn new(raised: Option<Raised>) -> SourceJson {
        let entry = raised.map(|Raised { index, term, .. }| EntryJson { index, term });
        SourceJson { source: if entry.is_some() { "wal" } else { "db" }, entry }
    }
}

#[derive(Serialize)]
struct KeyJson<'e> {
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_base64: Option<String>,
}

#[derive(Serialize)]
struct PutJson<'e> {
    create_revision: i64,
    mod_revision: i64,
    version: i64,
    lease: Option<String>,
    value_len: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_base64: Option<String>,
}

impl<'e> EventJson<'e> {
    pub fn new(event: &Event<'e>, values: bool) -> EventJson<'e> {
        let kv = event.kv;
        let text = |bytes: &'e [u8]| {
            std::str::from_utf8(bytes).map_or_else(|_| (None, Some(base64(bytes))), |text| (Some(text), None))
        };
        let key = (event.kind != EventKind::Marker).then(|| {
            let (key, key_base64) = text(kv.key);
            KeyJson { key, key_base64 }
        });
        let put = (event.kind == EventKind::Put).then(|| {
            let (value, value_base64) = if values { text(kv.value) } else { (None, None) };
            PutJson {
                create_revision: kv.create_revision,
                mod_revision: kv.mod_revision,
                version: kv.version,
                lease: (kv.lease != 0).then(|| kv.lease_id().padded()),
                value_len: kv.value.len(),
                value,
                value_base64,
            }
        });
        let Revision { main: revision, sub } = event.revision;
        EventJson {
            revision,
            sub,
            r#type: event.kind,
            compacted: event.compacted,
            from: None,
            key,
            put,
            object: None,
        }
    }
}
