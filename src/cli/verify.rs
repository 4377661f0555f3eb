use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use coldbolt::error::{Error, show};
use coldbolt::ops::verify::{Level, Outcome, Verdict as Judged, Verification, VerifyOptions, targets, verify, verify_file};
use serde::Serialize;

use super::out::{Form, json, plain_table};
use super::{Context, Done, Verdict, input};

/// Say exactly how good a backup is: which levels were checked, and everything that is wrong.
///
/// PATH may be a snapshot file, a member's db, a data directory, or a directory of backups, each of which is judged.
///
/// Levels: identity (kind of file, meta pages, length, trailer), bytes (SHA-256 against the trailer), pages (every page of every tree),
/// mvcc (the history of the keyspace, leases, members, users), wal (log and raft snapshots against the database; directories only),
/// restore (what a restore would refuse). Everything is read once, from front to back.
///
/// Exit codes: 0 all levels that ran passed; 1 damage; 3 could not be read at all; 4 something could not be checked (no trailer, newer
/// storage version), with --strict 1.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  coldbolt verify backup.db\n  coldbolt verify /var/lib/etcd\n  coldbolt verify /backups --strict -w json"
)]
pub struct Args {
    /// Files or directories; - is standard input.
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// The deepest level to run.
    #[arg(long, value_enum, default_value = "restore", value_name = "LEVEL")]
    level: UpTo,
    /// What could not be checked counts as bad.
    #[arg(long)]
    strict: bool,
    /// Findings shown for each code; all are counted.
    #[arg(long, default_value_t = 20, value_name = "N")]
    max_findings: u64,
    /// Format of the answer.
    #[arg(short, long, value_enum, default_value = "table", value_name = "FORMAT")]
    write_out: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum UpTo {
    Identity,
    Bytes,
    Pages,
    Mvcc,
    Wal,
    Restore,
}

impl From<UpTo> for Level {
    fn from(level: UpTo) -> Level {
        match level {
            UpTo::Identity => Level::Identity,
            UpTo::Bytes => Level::Bytes,
            UpTo::Pages => Level::Pages,
            UpTo::Mvcc => Level::Mvcc,
            UpTo::Wal => Level::Wal,
            UpTo::Restore => Level::Restore,
        }
    }
}

/// The whole answer.
#[derive(Debug, Serialize)]
pub struct Answer {
    schema: &'static str,
    /// The worst verdict.
    pub verdict: Judged,
    /// Inputs that were verified.
    pub files: Vec<Verification>,
    /// Inputs that could not be read at all.
    pub unreadable: Vec<Unreadable>,
}

/// An input that could not be read at all.
#[derive(Debug, Serialize)]
pub struct Unreadable {
    /// The input, as named.
    pub path: String,
    /// Why.
    pub error: String,
}

pub fn run(args: &Args, context: &mut Context<'_>) -> Done {
    let options = VerifyOptions { level: args.level.into(), max_findings: args.max_findings, ..VerifyOptions::default() };
    let mut answer = Answer { schema: "coldbolt.verify/1", verdict: Judged::Good, files: Vec::new(), unreadable: Vec::new() };
    for path in &args.paths {
        for target in targets(path)? {
            let verified = if target == Path::new("-") {
                input::any_file(&target).and_then(|source| verify_file(&source, options, context.monitor))
            } else {
                verify(&target, options, context.monitor)
            };
            match verified {
                Ok(verification) => answer.files.push(verification),
                Err(Error::Cancelled) => return Err(Error::Cancelled.into()),
                Err(error) => {
                    context.monitor.say(&format!("Error: {error}"));
                    answer.unreadable.push(Unreadable { path: show(&target), error: error.to_string() });
                }
            }
        }
    }
    let unreadable = answer.unreadable.iter().map(|_| Judged::Unreadable);
    answer.verdict = answer.files.iter().map(|f| f.verdict).chain(unreadable).max().unwrap_or(Judged::Good);
    match args.write_out {
        Form::Json => json(context.out, &answer)?,
        Form::Table => screen(context.out, &answer)?,
    }
    Ok(match answer.verdict {
        Judged::Good => Verdict::Good,
        Judged::Inconclusive if args.strict => Verdict::Bad,
        Judged::Inconclusive => Verdict::Inconclusive,
        Judged::Unreadable => Verdict::Unreadable,
        Judged::Bad => Verdict::Bad,
    })
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "passed",
        Outcome::Warned => "passed with warnings",
        Outcome::Failed => "FAILED",
        Outcome::NotRun => "not run",
        Outcome::Inconclusive => "COULD NOT BE CHECKED",
        Outcome::NotApplicable => "-",
    }
}

fn verdict(judged: Judged, verification: &Verification) -> String {
    let names = |outcomes: &[Outcome]| {
        let names = verification.levels.iter().filter(|l| outcomes.contains(&l.outcome)).map(|l| l.level.name());
        names.collect::<Vec<_>>().join(", ")
    };
    let passed = names(&[Outcome::Passed, Outcome::Warned]);
    let unchecked = names(&[Outcome::Inconclusive, Outcome::NotRun]);
    match judged {
        Judged::Good => format!("good at levels {passed}"),
        Judged::Inconclusive => format!("inconclusive: good at levels {passed}; not checked: {unchecked}"),
        Judged::Unreadable => "could not be read".to_owned(),
        Judged::Bad if passed.is_empty() => "BAD".to_owned(),
        Judged::Bad => format!("BAD (good at levels {passed})"),
    }
}

fn screen(out: &mut dyn Write, answer: &Answer) -> io::Result<()> {
    for file in &answer.files {
        writeln!(out, "{}: {}, {}", file.path, file.kind, verdict(file.verdict, file))?;
        let rows = file.levels.iter().map(|l| [format!("  {}", l.level.name()), word(l.outcome).to_owned(), l.detail.clone()]);
        writeln!(out, "{}", plain_table(["  LEVEL", "OUTCOME", "DETAIL"], rows))?;
        let mut codes: Vec<_> = file.finding_counts.iter().collect();
        codes.sort_by_key(|(code, _)| std::cmp::Reverse(code.severity()));
        for (code, count) in codes {
            writeln!(out, "  {}: {code} ({count}): {}", code.severity(), code.remedy())?;
        }
        writeln!(out)?;
    }
    if answer.files.len() + answer.unreadable.len() > 1 {
        let count = |judged| answer.files.iter().filter(|f| f.verdict == judged).count();
        let (good, bad, open) = (count(Judged::Good), count(Judged::Bad), count(Judged::Inconclusive));
        writeln!(out, "{good} good, {bad} bad, {open} inconclusive, {} unreadable", answer.unreadable.len())?;
    }
    Ok(())
}
