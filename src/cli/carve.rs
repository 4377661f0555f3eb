mod files;
mod log;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use coldbolt::etcd::{BucketKey, KeyRange};
use coldbolt::io::dest;
use coldbolt::kube::cluster::Cluster;
use coldbolt::kube::extract::Chosen;
use coldbolt::ops::carve::{CarveOptions, CarveReport, CarvedVersion, LogCarveReport, carve};
use coldbolt::store::{Event, EventKind, Store};
use serde::Serialize;

use self::files::{Files, now};
use self::log::Logged;
use super::context::{Context, Done, Fail, Verdict};
use super::events::{EventJson, Shown, Values, carries};
use super::keyspace::{Pages, ValueFile, Which, keep, show_key};
use super::kube::get::wanted;
use super::objects::Objects;
use super::out::{List, Listing, count};

/// Find versions of keys that are stored no more and are in the file all the same: what was deleted or written anew,
/// and compacted since.
///
/// etcd frees pages and does not blank them, and a snapshot has them too. Looked through are the pages that no tree
/// holds, what stands behind the last element of the others, and what stands behind the last page. A page that is still
/// a leaf page tells its elements; elsewhere an element is believed if the revision that it lies under is the one that
/// it names. What is still stored, live or in history, is not printed (see `events`).
///
/// Each version is printed once, in the order of the revisions: `put` or `delete`, where it lies, whether its value is
/// there to its end, and whether the key is live now. One whose revision the file stores otherwise contradicts it: it
/// is of another history, as before a restore. After `defrag` and `restore` nothing is found.
///
/// Of a data directory the log is looked through, too: entries that the database has long had, those that others took
/// the place of, and those behind the end of a segment or in the copy of one that was repaired. What they ask for and
/// the database does not store follows, with file, offset and raft index in the place of a revision, which an entry
/// does not tell: `timeline` finds those.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt carve backup.db
  coldbolt carve backup.db --kind secrets -n shop --deleted-only
  coldbolt carve backup.db --prefix /registry/secrets/ --values --decode
  coldbolt carve backup.db -w ndjson | jq -r 'select(.now == \"deleted\") | .key'
  coldbolt carve backup.db --deleted-only --show-secrets --extract carved
  coldbolt carve /var/lib/etcd --deleted-only --values")]
pub struct Args {
    #[command(flatten)]
    file: ValueFile,
    #[command(flatten)]
    which: Which,
    /// Only Kubernetes objects of this kind, as `kube get` takes it.
    #[arg(long, value_name = "KIND", conflicts_with_all = ["prefix", "key"])]
    kind: Option<String>,
    /// Only Kubernetes objects in this namespace.
    #[arg(short, long, value_name = "NAMESPACE", conflicts_with_all = ["prefix", "key"])]
    namespace: Option<String>,
    /// What stands before the keys of objects (the API server's --etcd-prefix) [default: where objects are found].
    #[arg(long, value_name = "PREFIX")]
    etcd_prefix: Option<String>,
    /// Only keys that are not live any more.
    #[arg(long)]
    deleted_only: bool,
    #[command(flatten)]
    values: Values,
    /// Write each value to a file of this new directory, named by its revision: Kubernetes objects as YAML, others as
    /// they are; index.ndjson says which is which.
    #[arg(long, value_name = "DIR")]
    extract: Option<PathBuf>,
    /// Format of the answer.
    #[arg(short, long, value_enum, default_value = "simple", value_name = "FORMAT")]
    write_out: Listing,
}

pub fn run(args: &Args, context: &mut Context<'_>) -> Done {
    if args.extract.as_deref() == Some(Path::new("-")) {
        return Err(Fail::Usage("--extract -: values are files of a directory".to_owned()));
    }
    if let Some(extract) = &args.extract {
        dest::outside(args.file.path(), extract)?;
    }
    let monitor = context.monitor;
    args.file.with_pages(context, |store, pages, out| {
        let chosen = Keys::of(args, store)?;
        let mut list =
            List::begin(out, args.write_out, "coldbolt.carve/1", &store.source().name(), "versions")?;
        let mut files = args.extract.as_deref().map(Files::create).transpose()?;
        let objects = Objects::new(&args.values.secrets);
        let options = CarveOptions { wanted: &|key| chosen.take(key), deleted_only: args.deleted_only };
        let mut done = Ok(());
        let mut report = CarveReport::default();
        if pages == Pages::LookedAt {
            report = carve(store, options, monitor, &mut |version| {
                let shown = shown(args, &objects, version);
                let printed = list.item(&VersionJson::new(version, &shown), |out| line(version, &shown, out));
                let printed = printed.map_err(Fail::from);
                let object = shown.object;
                let written = files.as_mut().map_or(Ok(()), |files| files.put(&objects, object, version));
                keep(&mut done, printed.and(written))
            })?;
        }
        done?;
        let logged = match args.file.data_dir()? {
            Some(dir) => {
                let (values, files) = (&args.values, files.as_mut());
                let mut log = Logged { values, objects: &objects, list: &mut list, files };
                log.carve(&dir, store, options, monitor)?
            }
            None => LogCarveReport::default(),
        };
        list.end()?;
        if let Some(files) = files {
            files.finish()?;
        }
        objects.say_redacted(monitor);
        let CarveReport { versions, deletions, cut, copies, counts, .. } = report;
        monitor.say(&format!(
            "{} versions ({} of them deletions, {} cut off) in {} pages that no tree holds; {} copies of these and of what is stored",
            count(versions),
            count(deletions),
            count(cut),
            count(counts.pages),
            count(copies)
        ));
        log::say(&logged, monitor);
        let all = pages == Pages::LookedAt && counts.unreadable == 0 && logged.unreadable == 0;
        Ok(if all { Verdict::Good } else { Verdict::Inconclusive })
    })
}

/// Which keys.
enum Keys<'k> {
    Range(Option<KeyRange<'k>>),
    Objects(Box<Cluster<'k>>, Vec<Chosen>),
}

impl<'k> Keys<'k> {
    fn of(args: &'k Args, store: &'k Store<'_>) -> Result<Keys<'k>, Fail> {
        if args.kind.is_none() && args.namespace.is_none() {
            return Ok(Keys::Range(args.which.range()));
        }
        let cluster = Cluster::open(store.at(None)?, args.etcd_prefix.as_deref())?;
        let kinds = wanted(args.kind.as_deref().unwrap_or("all-kinds"), &[], &cluster)?;
        let chosen = |resource| Chosen { resource, namespace: args.namespace.clone(), names: Vec::new() };
        let chosen = kinds.into_iter().map(|kind| chosen(kind.resource)).collect();
        Ok(Keys::Objects(Box::new(cluster), chosen))
    }

    fn take(&self, key: &[u8]) -> bool {
        match self {
            Keys::Range(range) => range.as_ref().is_none_or(|range| range.contains(key)),
            Keys::Objects(cluster, chosen) => {
                cluster.key(key).object().is_some_and(|key| chosen.iter().any(|chosen| chosen.takes(&key)))
            }
        }
    }
}

/// A version in JSON.
#[derive(Serialize)]
struct VersionJson<'v> {
    #[serde(flatten)]
    event: EventJson<'v>,
    offset: u64,
    element: Option<u32>,
    whole: bool,
    now: &'static str,
    live_revision: Option<i64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    contradicts: bool,
}

fn event<'v>(version: &CarvedVersion<'v>) -> Event<'v> {
    let BucketKey { revision, tombstone } = version.key;
    let kind = if tombstone { EventKind::Delete } else { EventKind::Put };
    Event { revision, kind, kv: version.kv, compacted: true }
}

/// What is printed of its value.
fn shown(args: &Args, objects: &Objects, version: &CarvedVersion<'_>) -> Shown {
    if version.key.tombstone {
        return Shown::default();
    }
    args.values.of(objects, version.kv, version.key.revision.main, version.whole)
}

impl<'v> VersionJson<'v> {
    fn new(version: &CarvedVersion<'v>, shown: &Shown) -> VersionJson<'v> {
        VersionJson {
            event: EventJson::new(&event(version), shown),
            offset: version.offset,
            element: version.element,
            whole: version.whole,
            now: now(version),
            live_revision: version.live,
            contradicts: version.contradicts,
        }
    }
}

fn line(version: &CarvedVersion<'_>, shown: &Shown, out: &mut dyn Write) -> io::Result<()> {
    let what = event(version);
    let (key, object) = (show_key(version.kv.key), shown.name());
    let carries = if version.key.tombstone { String::new() } else { format!("  ({})", carries(&what)) };
    let live = version.live.map_or_else(|| "deleted".to_owned(), |revision| format!("live at {revision}"));
    let cut = if version.whole { "" } else { ", cut off" };
    let contradicts = if version.contradicts { ", contradicts what is stored" } else { "" };
    let BucketKey { revision, .. } = version.key;
    writeln!(
        out,
        "{revision}  {}  {key}{carries}{object}  byte {:#x}{cut}{contradicts}; now {live}",
        what.kind.name(),
        version.offset
    )?;
    shown.print(version.kv.value, out)
}
