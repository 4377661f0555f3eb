use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use coldbolt::etcd::datadir::kine_in;
use coldbolt::etcd::{DataDir, within};
use coldbolt::io::packed::{FRONT, Wrapper, unpack};
use coldbolt::io::tree;
use coldbolt::kube::audit::{AuditEvent, AuditLog};
use coldbolt::kube::cluster::Cluster;
use coldbolt::kube::extract::Chosen;
use coldbolt::kube::key::KeyKind;
use coldbolt::kube::resource::Resource;
use coldbolt::ops::timeline::{
    Happening, MOST_INPUTS, Timeline, TimelineInput, TimelineReport, What, timeline,
};
use coldbolt::replay::MemberLog;
use coldbolt::replay::increments::Chain;
use coldbolt::store::{Store, ValueOpener};
use coldbolt::words::cause::Cause;
use coldbolt::words::error::{Error, show};
use jiff::Timestamp;

use self::row::{RowJson, Rows};
use super::context::{Context, Done, Fail, Verdict};
use super::keys_given::{self, KeysGiven};
use super::keyspace::{Damage, Fold, Opened, Pages, Which, open};
use super::kube::get::wanted;
use super::out::{List, Listing, count};
use super::progress::Terminal;

mod row;

/// Bytes of requests that are kept of audit logs.
const AUDIT: u64 = 512 << 20;

/// Tell everything that is known to have happened, in one order: from databases and their history, logs, pages that no
/// tree holds any more, older backups of the same cluster, and the audit log of its API server.
///
/// Each thing stands once, by its revision, with all that hold it: `1 history` is the history in the first PATH. What a
/// log holds and nothing else does is put where it belongs by what it has in common with the databases; where that does
/// not tell the revision, the row says after which one it was (>105) or between which it may have made one (106-110?),
/// and whether it was only asked for (`requested`).
///
/// etcd keeps no times. They are told by the objects that were put: their creation, their managed fields, Leases and
/// Events. `02:13:05Z +7s` is: not before that, and not more than 7 s later, of which 5 s are for clocks that differ;
/// where only one side is known, that is said. Nothing of a value is printed.
///
/// Exit codes: 0; 1 damage, or inputs that hold different things at one revision; 4 something could not be read.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt timeline backup.db
  coldbolt timeline /var/lib/etcd backup.db --since 2026-03-01T22:00:00Z --until 2026-03-02T04:00:00Z
  coldbolt timeline backup.db --object secrets -n shop
  coldbolt timeline backup.db --since 1000 -w ndjson | jq -r 'select(.what == \"deleted\") | .key'
  coldbolt timeline /var/lib/etcd --object clusterrolebindings --audit audit.log -w csv > incident.csv")]
pub struct Args {
    /// Snapshot files, databases and data directories of one cluster, with their logs; - is standard input.
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    which: Which,
    /// Only this Kubernetes object, or all of a kind: KIND/NAME or KIND, as `kube get` takes it.
    #[arg(long, value_name = "KIND[/NAME]", conflicts_with_all = ["prefix", "key"])]
    object: Option<String>,
    /// With --object: only in this namespace.
    #[arg(short, long, value_name = "NAMESPACE", requires = "object")]
    namespace: Option<String>,
    /// Only what may have happened at this time or revision, or later.
    #[arg(long, value_name = "TIME|REVISION", value_parser = moment)]
    since: Option<Moment>,
    /// Only what may have happened at this time or revision, or before.
    #[arg(long, value_name = "TIME|REVISION", value_parser = moment)]
    until: Option<Moment>,
    /// Only what this manager of fields wrote, or this user asked for.
    #[arg(long, value_name = "MANAGER")]
    who: Option<String>,
    /// Leave out what is written all the time: Leases, Events, and the API server's own leases. They tell the times all
    /// the same.
    #[arg(long)]
    no_heartbeats: bool,
    /// Do not look at pages that no tree holds.
    #[arg(long)]
    no_carved: bool,
    /// Audit log of the API server (a JSON object a line, compressed or not), which adds who asked, from where and with
    /// what; may be repeated. Requests that changed something, acted on what runs or were refused, and of which no file
    /// holds anything, are rows of their own.
    #[arg(long, value_name = "FILE")]
    audit: Vec<PathBuf>,
    /// What stands before the keys of objects (the API server's --etcd-prefix) [default: where objects are found].
    #[arg(long, value_name = "PREFIX")]
    etcd_prefix: Option<String>,
    #[command(flatten)]
    damage: Damage,
    #[command(flatten)]
    keys: KeysGiven,
    /// Format of the answer.
    #[arg(short, long, value_enum, default_value = "simple", value_name = "FORMAT")]
    write_out: Form,
    /// With csv: a field that a spreadsheet would run as a formula gets a ' before it.
    #[arg(long)]
    csv_safe: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A line for each thing.
    Simple,
    /// One JSON document with a schema version.
    Json,
    /// One JSON object a line.
    Ndjson,
    /// Comma-separated values with a header line.
    Csv,
}

/// A place in the order.
#[derive(Debug, Clone, Copy)]
enum Moment {
    Time(Timestamp),
    Revision(i64),
}

fn moment(text: &str) -> Result<Moment, String> {
    if let Ok(revision) = text.parse() {
        return Ok(Moment::Revision(revision));
    }
    let what = "a time is written as 2026-03-04T05:06:07Z, a revision as 105";
    text.parse().map(Moment::Time).map_err(|_| what.to_owned())
}

/// What was opened of a path.
struct Input {
    opened: Opened,
    log: Option<MemberLog>,
}

pub fn run(args: &Args, context: &mut Context<'_>) -> Done {
    if args.paths.len() > MOST_INPUTS {
        return Err(Fail::Usage(format!("at most {MOST_INPUTS} PATHs are joined")));
    }
    if args.csv_safe && args.write_out != Form::Csv {
        return Err(Fail::Usage("--csv-safe is for -w csv".to_owned()));
    }
    let never = match (args.since, args.until) {
        (Some(Moment::Time(since)), Some(Moment::Time(until))) => since > until,
        (Some(Moment::Revision(since)), Some(Moment::Revision(until))) => since > until,
        _ => false,
    };
    if never {
        return Err(Fail::Usage("--since is after --until".to_owned()));
    }
    let monitor = context.monitor;
    let audit = audit(&args.audit, monitor)?;
    let keyring = args.keys.keyring(monitor)?;
    let plain = |key: &[u8], value: &[u8]| keyring.as_ref().and_then(|keyring| keyring.plain(key, value));
    let opener = keyring.as_ref().map(|_| ValueOpener::new(&plain));
    let inputs = args.paths.iter().map(|path| input(path, args, monitor)).collect::<Result<Vec<_>, _>>()?;
    let stores =
        inputs.iter().map(|input| input.opened.store_by(opener, monitor)).collect::<Result<Vec<_>, _>>()?;
    let read: Vec<_> = inputs
        .iter()
        .zip(&stores)
        .map(|(input, store)| {
            let carved = !args.no_carved && input.opened.pages(monitor) == Pages::LookedAt;
            let applied = input.opened.folded().and_then(|folded| folded.report.as_ref());
            TimelineInput { store, carved, log: input.log.as_ref(), applied }
        })
        .collect();
    let told = timeline(&read, &audit.events, args.etcd_prefix.as_deref(), monitor)?;
    let newest = stores.iter().max_by_key(|store| store.revision());
    let filter = Filter::of(args, newest, &told)?;
    let shown = print(args, &told, &filter, context.out)?;
    inputs.iter().try_for_each(|input| input.opened.check_unchanged())?;
    context.out.flush()?;
    say(&told.report, shown, monitor);
    let whole = told.report.unreadable_pages == 0 && audit.unreadable == 0 && audit.left_out == 0;
    let verdict = if whole { Verdict::Good } else { Verdict::Inconclusive };
    let verdict = keys_given::end(keyring.as_ref(), verdict, monitor);
    Ok(if monitor.damage() { Verdict::Bad } else { verdict })
}

/// Opens a path. The log of a directory is applied; where that cannot be, it is read all the same.
fn input(path: &Path, args: &Args, monitor: &Terminal) -> Result<Input, Fail> {
    let log = log(path)?;
    if log.is_some() {
        match open(path, &args.damage, &Fold::said(true), None, monitor) {
            Ok(opened) => return Ok(Input { opened, log }),
            // Without its log it is not read either.
            Err(Fail::Library(error @ Error::Unreadable { .. })) => return Err(error.into()),
            Err(Fail::Library(error)) => {
                monitor.say(&format!("the log is not applied, and told as what was asked for: {error}"));
            }
            Err(fail) => return Err(fail),
        }
    }
    Ok(Input { opened: open(path, &args.damage, &Fold::said(false), None, monitor)?, log })
}

/// The log in a directory.
fn log(path: &Path) -> Result<Option<MemberLog>, Fail> {
    if path == Path::new("-") {
        return Ok(None);
    }
    let path = within::find(path)?;
    if !tree::is_dir(&path) || kine_in(&path).is_some() || Chain::is_store(&path) {
        return Ok(None);
    }
    let dir = DataDir::list(&path, None)?;
    if dir.wals.is_empty() { Ok(None) } else { Ok(Some(MemberLog::open(&dir)?.keep_after(0.into()))) }
}

/// Reads audit logs, in the order of their times.
fn audit(paths: &[PathBuf], monitor: &Terminal) -> Result<AuditLog, Fail> {
    let mut all = AuditLog::default();
    for path in paths {
        let unreadable = |error: io::Error| Error::unreadable(path, Cause::Io(error));
        let mut front = Vec::new();
        let mut file = File::open(path).map_err(unreadable)?;
        (&mut file).take(FRONT as u64).read_to_end(&mut front).map_err(unreadable)?;
        let wrapper = Wrapper::of(&front).filter(|wrapper| wrapper.is_stream());
        let whole = io::Cursor::new(front).chain(file);
        let stream: Box<dyn Read + Send> = match wrapper {
            Some(wrapper) => unpack(wrapper, whole),
            None => Box::new(whole),
        };
        let log =
            AuditLog::read(&mut BufReader::with_capacity(1 << 16, stream), AUDIT).map_err(unreadable)?;
        let name = show(path);
        if let Some(first) = log.first_unreadable {
            let n = count(log.unreadable);
            monitor.say(&format!("{name}: {n} lines are none of an audit log, the first is line {first}"));
        }
        if log.left_out > 0 {
            let n = count(log.left_out);
            monitor.say(&format!("{name}: {n} requests past the first {} bytes are left out", count(AUDIT)));
        }
        all.events.extend(log.events);
        all.unreadable += log.unreadable;
        all.left_out += log.left_out;
    }
    all.events.sort_by_key(|event| event.received);
    // A log and its copy beside it, or the log of two servers behind one address.
    let mut seen = HashSet::new();
    all.events.retain(|event| event.id.is_empty() || seen.insert(event.id.clone()));
    Ok(all)
}

/// Which rows are printed.
struct Filter<'f> {
    args: &'f Args,
    chosen: Option<Vec<Chosen>>,
    told: &'f Timeline<'f>,
}

impl<'f> Filter<'f> {
    fn of(args: &'f Args, store: Option<&Store<'_>>, told: &'f Timeline<'f>) -> Result<Filter<'f>, Fail> {
        let (Some(object), Some(store)) = (&args.object, store) else {
            return Ok(Filter { args, chosen: None, told });
        };
        let cluster = Cluster::open(store.at(None)?, args.etcd_prefix.as_deref())?;
        let namespace = |resource: Option<&Resource>| {
            args.namespace.clone().filter(|_| resource.is_none_or(|resource| resource.namespaced))
        };
        let chosen = wanted(object, &[], &cluster)?.into_iter().map(|kind| Chosen {
            namespace: namespace(kind.resource.as_ref()),
            resource: kind.resource,
            names: kind.names,
        });
        let chosen = Some(chosen.collect());
        Ok(Filter { args, chosen, told })
    }

    fn takes(&self, row: &Happening<'_>) -> bool {
        self.takes_key(row) && self.takes_time(row) && self.takes_who(row)
    }

    fn takes_key(&self, row: &Happening<'_>) -> bool {
        // A deletion of many keys may be of any.
        if row.key.is_none() && row.what == What::Deleted {
            return true;
        }
        if self.args.no_heartbeats && row.key.is_some_and(|key| is_heartbeat(self.told.places.key(key))) {
            return false;
        }
        if let Some(chosen) = &self.chosen {
            let key = row.key.and_then(|key| self.told.places.key(key).object());
            let of_key = key.is_some_and(|key| chosen.iter().any(|one| one.takes(&key)));
            let asked = row.audit.filter(|_| row.key.is_none());
            return of_key || asked.is_some_and(|event| chosen.iter().any(|one| is_of(one, event)));
        }
        let range = self.args.which.range();
        range.is_none_or(|range| row.key.is_some_and(|key| range.contains(key)))
    }

    fn takes_time(&self, row: &Happening<'_>) -> bool {
        let first = row.revision.map(|(main, _)| main).or(row.after);
        let last = row.revision.map_or(row.until, |(main, _)| Some(main));
        let since = match self.args.since {
            Some(Moment::Revision(since)) => last.is_none_or(|last| last >= since),
            Some(Moment::Time(since)) => row.between.not_after.is_none_or(|time| time >= since),
            None => true,
        };
        since
            && match self.args.until {
                Some(Moment::Revision(until)) => first.is_none_or(|first| first <= until),
                // Times are printed to the second: one that was copied from there is all of it.
                Some(Moment::Time(until)) => {
                    row.between.not_before.is_none_or(|time| time.as_second() <= until.as_second())
                }
                None => true,
            }
    }

    fn takes_who(&self, row: &Happening<'_>) -> bool {
        let Some(who) = &self.args.who else { return true };
        let user = row.audit.is_some_and(|event| event.user == *who || event.impersonated == *who);
        user || row.who.split(", ").any(|manager| manager == who)
    }
}

/// Whether a key is of what is written all the time.
fn is_heartbeat(key: KeyKind<'_>) -> bool {
    match key {
        KeyKind::Object(key) => key.group.is_none() && matches!(key.resource, "leases" | "events"),
        KeyKind::Bookkeeping(path) => {
            path.starts_with("masterleases/") || path.starts_with("peerserverleases/")
        }
        KeyKind::Other => false,
    }
}

/// Whether a request was about what is chosen.
fn is_of(chosen: &Chosen, event: &AuditEvent) -> bool {
    let kind = |resource: &Resource| resource.plural == event.resource && resource.group == event.group;
    let named = chosen.names.is_empty() || chosen.names.contains(&event.name);
    named
        && chosen.resource.as_ref().is_none_or(kind)
        && chosen.namespace.as_ref().is_none_or(|namespace| *namespace == event.namespace)
}

/// Prints the rows that are wanted; how many there were.
fn print(args: &Args, told: &Timeline<'_>, filter: &Filter<'_>, out: &mut dyn Write) -> Result<u64, Fail> {
    let files: Vec<String> = args.paths.iter().map(|path| show(path)).collect();
    let rows = Rows { files: &files, places: &told.places };
    let wanted = told.rows().filter(|row| filter.takes(row));
    let mut shown = 0;
    let listing = match args.write_out {
        Form::Csv => {
            row::header(out)?;
            for one in wanted {
                rows.csv(&one, args.csv_safe, out)?;
                shown += 1;
            }
            return Ok(shown);
        }
        Form::Simple => Listing::Simple,
        Form::Json => Listing::Json,
        Form::Ndjson => Listing::Ndjson,
    };
    if listing == Listing::Simple && files.len() > 1 {
        for (number, file) in (1..).zip(&files) {
            writeln!(out, "{number} is {file}")?;
        }
    }
    let mut list = List::begin(out, listing, "coldbolt.timeline/1", &files.join(", "), "rows")?;
    for one in wanted {
        list.item(&RowJson::new(&one, &rows), |out| rows.line(&one, out))?;
        shown += 1;
    }
    list.end_with("report", &told.report)?;
    Ok(shown)
}

/// What was read, in words.
fn say(report: &TimelineReport, shown: u64, monitor: &Terminal) {
    let TimelineReport { rows, times, times_ahead, without_effect, revisions, .. } = report;
    let span = revisions.map_or_else(String::new, |(first, last)| format!(", revisions {first} to {last}"));
    let ahead = match times_ahead {
        0 => String::new(),
        n => format!(" ({} of them ahead of later ones, and not believed)", count(*n)),
    };
    let nothing = match without_effect {
        0 => String::new(),
        n => format!("; {} requests in the log changed nothing", count(*n)),
    };
    monitor.say(&format!(
        "{} of {} rows{span}; {} times are told by what was put{ahead}{nothing}",
        count(shown),
        count(*rows),
        count(*times)
    ));
}
