use std::io::Write;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use coldbolt::etcd::datadir::kine_in;
use coldbolt::etcd::{DataDir, within};
use coldbolt::io::tree;
use coldbolt::ops::timeline::{MOST_INPUTS, TimelineInput, TimelineReport, timeline};
use coldbolt::replay::MemberLog;
use coldbolt::replay::increments::Chain;
use coldbolt::store::ValueOpener;
use coldbolt::words::cause::Cause;
use coldbolt::words::error::{At, Error, show};
use coldbolt::words::finding::{Code, Finding};
use coldbolt::words::kind::FileKind;
use coldbolt::words::monitor::Monitor as _;

use self::filter::{Filter, Wanted};
use self::row::{RowJson, Rows};
use super::context::{Context, Done, Fail, Verdict};
use super::keys_given::{self, KeysGiven};
use super::keyspace::{Damage, Fold, Opened, Pages, open};
use super::out::{List, Listing, count};
use super::progress::Terminal;

mod audit;
mod filter;
mod row;

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
/// Exit codes: 0; 1 damage, or members of one cluster that hold different things at one revision; 3 a PATH could not be
/// read, or two are not of one cluster; 4 something could not be read.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt timeline backup.db
  coldbolt timeline /var/lib/etcd backup.db --since 2026-03-01T22:00:00Z --until 2026-03-02T04:00:00Z
  coldbolt timeline backup.db --kind secrets -n shop
  coldbolt timeline backup.db --since 1000 -w ndjson | jq -r 'select(.what == \"deleted\") | .key'
  coldbolt timeline /var/lib/etcd --kind clusterrolebindings --audit audit.log -w csv > incident.csv")]
pub struct Args {
    /// Snapshot files, databases and data directories of one cluster, with their logs; - is standard input.
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    wanted: Wanted,
    /// Do not look at pages that no tree holds.
    #[arg(long)]
    no_carved: bool,
    /// Audit log of the API server (a JSON object a line, compressed or not; - is standard input), which adds who
    /// asked, from where and with what; may be repeated. Requests that changed something, acted on what runs or were
    /// refused, and of which no file holds anything, are rows of their own.
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
    if args.wanted.is_nothing() {
        return Err(Fail::Usage("--since is after --until".to_owned()));
    }
    let standard = |paths: &[PathBuf]| paths.iter().filter(|path| *path == Path::new("-")).count();
    if standard(&args.audit) + standard(&args.paths) > 1 {
        return Err(Fail::Usage("standard input is one of PATH and --audit, and once".to_owned()));
    }
    let monitor = context.monitor;
    let audit = audit::read(&args.audit, monitor)?;
    let keyring = args.keys.keyring(monitor)?;
    let plain = |key: &[u8], value: &[u8]| keyring.as_ref().and_then(|keyring| keyring.plain(key, value));
    let opener = keyring.as_ref().map(|_| ValueOpener::new(&plain));
    let mut inputs = Vec::new();
    for path in &args.paths {
        inputs.extend(past_damage(input(path, args, monitor), args, monitor)?.map(|input| (path, input)));
    }
    let mut had = Vec::new();
    for (path, input) in &inputs {
        let store = input.opened.store_by(opener, monitor).map_err(Fail::from);
        had.extend(past_damage(store, args, monitor)?.map(|store| (show(path), input, store)));
    }
    if had.is_empty() {
        return Err(Fail::Refused("of no PATH there is anything left to tell".to_owned()));
    }
    let read = had.iter().map(|(_, input, store)| {
        let carved = !args.no_carved && input.opened.pages(monitor) == Pages::LookedAt;
        let applied = input.opened.folded().and_then(|folded| folded.report.as_ref());
        TimelineInput { store, carved, log: input.log.as_ref(), applied }
    });
    let read: Vec<_> = read.collect();
    let told = timeline(&read, &audit.events, args.etcd_prefix.as_deref(), monitor)?;
    let newest = read.iter().map(|input| input.store).max_by_key(|store| store.revision());
    let filter = Filter::of(&args.wanted, newest, args.etcd_prefix.as_deref(), &told)?;
    let files: Vec<String> = had.iter().map(|(name, ..)| name.clone()).collect();
    let shown = print(args.write_out, args.csv_safe, &files, &filter, context.out)?;
    had.iter().try_for_each(|(_, input, _)| input.opened.check_unchanged())?;
    context.out.flush()?;
    say(&told.report, shown, monitor);
    let of_audit = audit.unreadable == 0 && audit.not_text == 0 && audit.left_out == 0;
    let whole = told.report.unreadable_pages == 0 && of_audit;
    let verdict = if whole { Verdict::Good } else { Verdict::Inconclusive };
    let verdict = keys_given::end(keyring.as_ref(), verdict, monitor);
    Ok(if monitor.damage() { Verdict::Bad } else { verdict })
}

/// What was had of an input. Where damage is allowed a damaged one does not take the others with it: it is told.
fn past_damage<T>(had: Result<T, Fail>, args: &Args, monitor: &Terminal) -> Result<Option<T>, Fail> {
    let allowed = args.damage.is_allowed() && args.paths.len() > 1;
    match had {
        Ok(had) => Ok(Some(had)),
        Err(Fail::Library(error)) if allowed => {
            monitor.finding(of_damage(error)?);
            Ok(None)
        }
        Err(fail) => Err(fail),
    }
}

/// The finding that an input is damaged; the error itself, if it is another.
fn of_damage(error: Error) -> Result<Finding, Error> {
    match error {
        Error::Damaged { path, corrupt } => Ok(Finding::from_corrupt(&show(&path), *corrupt)),
        // Nothing of it may be left.
        Error::Unreadable {
            path,
            cause: cause @ Cause::NotThis { is: FileKind::Unknown | FileKind::Empty, .. },
        } => Ok(Finding::new(Code::MetaInvalid, &show(&path), At::default(), cause.to_string())),
        other => Err(other),
    }
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

/// Prints the rows that are wanted; how many there were.
fn print(
    form: Form,
    csv_safe: bool,
    files: &[String],
    filter: &Filter<'_>,
    out: &mut dyn Write,
) -> Result<u64, Fail> {
    let told = filter.told();
    let rows = Rows { files, places: &told.places };
    let wanted = told.rows().filter(|row| filter.takes(row));
    let mut shown = 0;
    let listing = match form {
        Form::Csv => {
            row::header(out)?;
            for one in wanted {
                rows.csv(&one, csv_safe, out)?;
                shown += 1;
            }
            return Ok(shown);
        }
        Form::Simple => Listing::Simple,
        Form::Json => Listing::Json,
        Form::Ndjson => Listing::Ndjson,
    };
    if listing == Listing::Simple && files.len() > 1 {
        for (number, file) in (1..).zip(files) {
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
