use std::io::{self, Write};

use coldbolt::etcd::{KeyValue, Revision};
use coldbolt::kube::decode::Object;
use coldbolt::kube::yaml;
use coldbolt::replay::fold::Raised;
use coldbolt::store::{Event, EventKind};
use coldbolt::{RaftIndex, Term};
use serde::Serialize;
use serde_json::Value;

use super::context::{Context, Done, Verdict};
use super::keyspace::{ValueFile, Which, base64, keep, show_key, show_value};
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
/// their revisions (`coldbolt timeline` places them, `coldbolt wal dump` prints them).
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
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    values: Values,
    /// Format of the answer.
    #[arg(short, long, value_enum, default_value = "simple", value_name = "FORMAT")]
    write_out: Listing,
}

/// What is printed of values.
#[derive(Debug, clap::Args)]
pub struct Values {
    /// Print values too.
    #[arg(long)]
    values: bool,
    /// Name the Kubernetes object that a value is, by kind, name and namespace; with --values print it as YAML, or as
    /// `object` in json. The data of Secrets is then redacted.
    #[arg(long)]
    pub decode: bool,
    #[command(flatten)]
    pub secrets: Secrets,
}

/// A value as it is printed.
#[derive(Default)]
pub struct Shown {
    /// The object that it is.
    pub object: Option<Object>,
    /// Whether the object is printed, and not only named.
    whole: bool,
    /// Whether the value is printed as it is.
    plain: bool,
}

impl Values {
    /// What is printed of the value of a put at a revision, which is 0 if that is not known; of a part of one no object
    /// is made.
    pub fn of(&self, objects: &Objects, kv: KeyValue<'_>, main: i64, whole: bool) -> Shown {
        let object = |main| match main {
            0 => objects.stored(kv.key, kv.value),
            main => objects.decode(kv.key, kv.value, main),
        };
        let object = (self.decode && whole).then(|| object(main)).flatten();
        // What is no object, and may be a Secret all the same, has no value then.
        let hides = || self.decode && objects.hidden(kv.key, kv.value).is_some();
        Shown { plain: self.values && object.is_none() && !hides(), whole: self.values, object }
    }
}

impl Shown {
    /// A value that is printed as it is, or not at all.
    pub fn plain(plain: bool) -> Shown {
        Shown { plain, ..Shown::default() }
    }

    /// The object in JSON.
    pub fn json(&self) -> Option<Value> {
        let object = self.object.as_ref()?;
        Some(if self.whole { object.json.clone().into() } else { named(object) })
    }

    /// Whether the value is printed as it is.
    pub fn is_plain(&self) -> bool {
        self.plain
    }

    /// The name of the object, behind two spaces.
    pub fn name(&self) -> String {
        self.object.as_ref().map_or_else(String::new, |object| format!("  {}", name(object)))
    }

    /// Prints the value, if it is to be.
    pub fn print(&self, value: &[u8], out: &mut dyn Write) -> io::Result<()> {
        match &self.object {
            Some(object) if self.whole => out.write_all(yaml::document(&object.json).as_bytes()),
            None if self.plain => writeln!(out, "{}", show_value(value)),
            _ => Ok(()),
        }
    }
}

pub fn run(args: &Args, context: &mut Context<'_>) -> Done {
    args.file.with_log(context, |log, store, out| {
        let range = args.which.range();
        // Refused before anything is written.
        if let Some(since) = args.since_rev.filter(|since| *since <= store.revision()) {
            store.at(Some(since))?;
        }
        let mut list =
            List::begin(out, args.write_out, "coldbolt.events/1", &store.source().name(), "events")?;
        let (mut done, mut last) = (Ok(()), None);
        let objects = Objects::new(&args.values.secrets);
        store.events(args.since_rev, args.until_rev, range.as_ref(), &mut |event| {
            let main = event.revision.main;
            let begins = last.replace(main) != Some(main);
            let from = log.map(|log| log.raised(main));
            let shown = match event.kind {
                EventKind::Put => args.values.of(&objects, event.kv, main, true),
                EventKind::Delete | EventKind::Marker => Shown::default(),
            };
            let written = if args.write_out == Listing::Simple {
                let from = from.filter(|_| begins);
                list.item(&(), |out| line(out, &event, from, begins, &shown))
            } else {
                let from = from.map(SourceJson::new);
                list.item(&EventJson { from, ..EventJson::new(&event, &shown) }, |_| Ok(()))
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
    shown: &Shown,
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
            let (key, object) = (show_key(event.kv.key), shown.name());
            writeln!(out, "  put     {key}  ({}){object}", carries(event))?;
        }
        EventKind::Delete => writeln!(out, "  delete  {}", show_key(event.kv.key))?,
        EventKind::Marker => writeln!(out, "  marker  no change: a restore raised the revision to this one")?,
    }
    shown.print(event.kv.value, out)
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
    pub fn new(event: &Event<'e>, shown: &Shown) -> EventJson<'e> {
        let kv = event.kv;
        let text = |bytes: &'e [u8]| {
            std::str::from_utf8(bytes).map_or_else(|_| (None, Some(base64(bytes))), |text| (Some(text), None))
        };
        let key = (event.kind != EventKind::Marker).then(|| {
            let (key, key_base64) = text(kv.key);
            KeyJson { key, key_base64 }
        });
        let put = (event.kind == EventKind::Put).then(|| {
            let (value, value_base64) = if shown.plain { text(kv.value) } else { (None, None) };
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
            object: shown.json(),
        }
    }
}
