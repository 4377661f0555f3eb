use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::ValueEnum;
use coldbolt::etcd::Input;
use coldbolt::ops::verify::fleet::{Fleet, FleetOptions};
use coldbolt::ops::verify::targets::{Choice, Glob};
use coldbolt::ops::verify::{Answer, Judged, Level, Unreadable};
use coldbolt::replay::apply::Version;
use coldbolt::replay::starts::Starts;
use coldbolt::report::{self, kept, ndjson, summary, verdict, word};
use coldbolt::store::ValueOpener;

use super::context::{Context, Done, Fail};
use super::keys_given::{self, KeysGiven};
use super::out::{command_line, plain_table};
use super::policy::PolicyArgs;
use super::report::Reports;
use super::{color, hint, input, named};

/// Say exactly how good a backup is: which levels were checked, and everything that is wrong.
///
/// PATH may be a snapshot file, a member's db, a data directory, or a directory of backups, each of which is judged,
/// also those in directories below it. Passed over are hidden files, texts, checksums, manifests, reports, unfinished
/// outputs and the known companions of backups; all of it is counted, and named with -v. Anything else that is no
/// file of etcd's could not be read.
///
/// Levels: identity (kind of file, meta pages, length, trailer), bytes (SHA-256 against the trailer), pages (every
/// page of every tree), mvcc (the history of the keyspace, leases, members, users), wal (log and raft snapshots
/// against the database; directories only), restore (what a restore would refuse). Everything is read once, from
/// front to back. Only if it is asked for, objects: every live Kubernetes object is decoded, which takes longer than
/// all other levels.
///
/// Of a data directory it is also told which etcd from 3.4 to 3.8 starts from it as it is, and why the others do not.
///
/// In a policy FILE [severity] says of a rule, by its name, whether it is an `error` that makes the verdict bad or a
/// `warning` that changes none. The names are those of the flags, but max-age-content and max-age-file of --max-age,
/// revision-not-below-previous of --previous, required of --require-*, forbidden of --forbid-*.
///
/// A manifest FILE.manifest.json beside FILE is compared with it.
///
/// Exit codes: 0 all levels that ran passed and all rules are kept; 1 damage or a broken rule; 2 wrong usage or an
/// unusable policy file; 3 could not be read at all; 4 something could not be checked (no trailer, newer storage
/// version, a rule about what the file does not tell), with --strict 1.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt verify backup.db
  coldbolt verify /var/lib/etcd
  coldbolt verify /backups --strict -w json
  coldbolt verify /backups --include '*.db' --exclude old --max-depth 2 -v
  coldbolt verify backup.db --level objects
  coldbolt verify backup.db --level objects --encryption-config encryption.yaml
  coldbolt verify backup.db --policy backup.toml --junit verify.xml
  coldbolt verify backup.db --previous yesterday.db --keys-not-fewer-than 80 --max-age 26h")]
pub struct Args {
    /// Files or directories; - is standard input.
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// The log of the data directory, if it is elsewhere (--wal-dir of etcd); for one PATH.
    #[arg(long, value_name = "DIR")]
    wal_dir: Option<PathBuf>,
    /// The deepest level to run.
    #[arg(long, value_parser = named::level(), default_value = "restore", value_name = "LEVEL")]
    level: Level,
    /// As --level restore: all levels but objects, and what a restore would refuse.
    #[arg(long, conflicts_with = "level")]
    restore: bool,
    /// In directories, only files and data directories of this name, whatever it says: `*.db`, or `2026-*/*.db` for
    /// the path below PATH.
    #[arg(long, value_name = "GLOB", help_heading = "What is looked at in directories")]
    include: Vec<Glob>,
    /// In directories, neither files nor directories of this name.
    #[arg(long, value_name = "GLOB", help_heading = "What is looked at in directories")]
    exclude: Vec<Glob>,
    /// How many directories to go down into below PATH; 0 for the files in it alone [default: all].
    #[arg(long, value_name = "N", help_heading = "What is looked at in directories")]
    max_depth: Option<usize>,
    /// Judge by the rules of this etcd, as 3.8, also what states a version that coldbolt does not know [default: as
    /// the files tell].
    #[arg(long, value_name = "VERSION", alias = "assume-version")]
    etcd_version: Option<Version>,
    /// What could not be checked counts as bad, and so does what bbolt check and etcdutl snapshot status call bad.
    #[arg(long)]
    strict: bool,
    /// Findings shown for each code; all are counted.
    #[arg(long, default_value_t = 20, value_name = "N")]
    max_findings: u64,
    /// Format of the answer.
    #[arg(short, long, value_enum, default_value = "table", value_name = "FORMAT")]
    write_out: Format,
    /// The same as -w ndjson.
    #[arg(long, hide = true, conflicts_with = "write_out")]
    ndjson: bool,
    /// Compare the files with this manifest; those it names and PATH does not lead to count as unreadable.
    #[arg(long, value_name = "FILE")]
    check_manifest: Option<PathBuf>,
    #[command(flatten)]
    keys: KeysGiven,
    #[command(flatten)]
    policy: PolicyArgs,
    #[command(flatten)]
    reports: Reports,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    #[value(alias = "simple", alias = "text")]
    Table,
    /// Everything, with a schema version.
    Json,
    /// One JSON object a line: findings as they come, the verdict at the end.
    Ndjson,
}

pub fn run(args: &Args, context: &mut Context<'_>) -> Done {
    if args.wal_dir.is_some() && !matches!(args.paths.as_slice(), [one] if Input::from(one).is_dir()) {
        return Err(Fail::Usage("--wal-dir goes with one PATH, a data directory".to_owned()));
    }
    if args.keys.any() && args.level < Level::Objects {
        let what = "--encryption-config and --kms-key open values, which --level objects alone looks into";
        return Err(Fail::Usage(what.to_owned()));
    }
    let policy = args.policy.policy()?;
    let read = || args.policy.files().chain(args.check_manifest.as_deref());
    let choice =
        Choice { include: args.include.clone(), exclude: args.exclude.clone(), max_depth: args.max_depth };
    let fleet = Fleet::of(&args.paths, &choice, read());
    args.reports.check(fleet.files.iter().chain(&args.paths).map(PathBuf::as_path).chain(read()))?;
    let keyring = args.keys.keyring(context.monitor)?;
    let plain = |key: &[u8], value: &[u8]| keyring.as_ref().and_then(|keyring| keyring.plain(key, value));
    let why = |key: &[u8], value: &[u8]| keyring.as_ref().and_then(|keyring| keyring.why(key, value));
    let options = FleetOptions {
        opener: keyring.as_ref().map(|_| ValueOpener::new(&plain).explained(&why)),
        etcd_version: args.etcd_version,
        level: args.level,
        max_findings: args.max_findings,
        digests: args.reports.digests(),
        policy: policy.as_ref(),
        previous: args.policy.previous(),
        manifest: args.check_manifest.as_deref(),
        wal_dir: args.wal_dir.as_deref(),
        say: hint::error,
        standard_input: Some(&input::of_standard_input),
    };
    let terminal = context.monitor;
    let say = |unreadable: &Unreadable| terminal.warn(&format!("Error: {}", unreadable.error));
    let format = if args.ndjson { Format::Ndjson } else { args.write_out };
    let mut answer = if format == Format::Ndjson {
        ndjson::streamed(context.out, terminal, |monitor, refused| {
            fleet.verify(&options, &hint::Worded(monitor), &mut |unreadable| {
                say(unreadable);
                refused(unreadable);
            })
        })??
    } else {
        fleet.verify(&options, terminal, &mut |unreadable| say(unreadable))?
    };
    answer.files.iter_mut().for_each(|file| hint::verification(&mut file.verification));
    answer.command = command_line();
    let written = args.reports.write(&answer);
    match format {
        Format::Ndjson => ndjson::verdict(&answer, context.out)?,
        Format::Json => report::json::write(&answer, context.out)?,
        Format::Table => screen(context.out, &answer, terminal.verbose())?,
    }
    written?;
    let verdict = if args.strict { answer.strictly() } else { answer.verdict };
    Ok(keys_given::end(keyring.as_ref(), verdict, context.monitor))
}

/// Which etcd starts from a directory, and why the others do not.
fn starts(out: &mut dyn Write, asked: &[Starts]) -> io::Result<()> {
    let names = |of: &dyn Fn(&Starts) -> bool| {
        asked.iter().filter(|s| of(s)).map(|s| s.etcd.name()).collect::<Vec<_>>().join(", ")
    };
    let (start, older) =
        (names(&|s| s.refuses.is_none() && !s.older), names(&|s| s.refuses.is_none() && s.older));
    if !start.is_empty() {
        writeln!(out, "  starts from it: etcd {start}")?;
    }
    if !older.is_empty() {
        writeln!(
            out,
            "  starts from it, but is older than what wrote it, which may then not start any more: etcd {older}"
        )?;
    }
    let reasons: BTreeSet<_> = asked.iter().filter_map(|s| s.refuses.as_deref()).collect();
    for why in reasons {
        let refuse = names(&|s| s.refuses.as_deref() == Some(why));
        writeln!(out, "  does not start from it: etcd {refuse}: {why}")?;
    }
    Ok(())
}

fn screen(out: &mut dyn Write, answer: &Answer, verbose: bool) -> io::Result<()> {
    for Judged { verification: file, .. } in &answer.files {
        writeln!(out, "{}: {}, {}", file.path, file.kind, color::verdict(file.verdict, &verdict(file)))?;
        let rows = file
            .levels
            .iter()
            .map(|l| [format!("  {}", l.level.name()), word(l.outcome).to_owned(), l.detail.clone()]);
        writeln!(out, "{}", plain_table(["  LEVEL", "OUTCOME", "DETAIL"], rows))?;
        starts(out, &file.starts)?;
        if !file.policy.is_empty() {
            let rows = file
                .policy
                .iter()
                .map(|r| [format!("  {}", r.title()), kept(r).to_owned(), r.message.clone()]);
            writeln!(out, "{}", plain_table(["  RULE", "OUTCOME", "DETAIL"], rows))?;
        }
        for (code, severity, count) in file.codes() {
            writeln!(
                out,
                "  {}: {code} ({count}): {}",
                color::severity(&severity.to_string()),
                code.remedy_of(severity)
            )?;
        }
        writeln!(out)?;
    }
    if verbose && !answer.passed_over.is_empty() {
        let rows = answer.passed_over.iter().map(|p| [p.path.clone(), p.why.to_owned()]);
        writeln!(out, "{}\n", plain_table(["PASSED OVER", "WHAT IT IS"], rows))?;
    }
    if answer.files.len() + answer.unreadable.len() > 1 || !answer.passed_over.is_empty() {
        writeln!(out, "{}", summary(answer))?;
    }
    Ok(())
}
