use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::ValueEnum;
use coldbolt::ops::verify::evidence::Ask;
use coldbolt::ops::verify::manifest::{Against, Entry, Manifest, SIDECAR};
use coldbolt::ops::verify::policy::{Policy, Previous, apply};
use coldbolt::ops::verify::{
    Level, Verdict as Found, Verification, VerifyOptions, targets, verify, verify_file,
};
use coldbolt::words::error::{Error, show};
use coldbolt::words::monitor::Monitor;

use super::out::{Form, json, plain_table};
use super::policy::PolicyArgs;
use super::report::{Answer, Judged, Reports, Unreadable, kept, ndjson, summary, verdict, word};
use super::{Context, Done, Fail, Verdict, hint, input};

/// Say exactly how good a backup is: which levels were checked, and everything that is wrong.
///
/// PATH may be a snapshot file, a member's db, a data directory, or a directory of backups, each of which is judged.
///
/// Levels: identity (kind of file, meta pages, length, trailer), bytes (SHA-256 against the trailer), pages (every
/// page of every tree), mvcc (the history of the keyspace, leases, members, users), wal (log and raft snapshots
/// against the database; directories only), restore (what a restore would refuse). Everything is read once, from
/// front to back.
///
/// A manifest FILE.manifest.json beside FILE is compared with it.
///
/// Exit codes: 0 all levels that ran passed and all rules are kept; 1 damage or a broken rule; 2 wrong usage or an
/// unusable policy file; 3 could not be read at all; 4 something could not be checked (no trailer, newer storage
/// version, a rule about what the file does not tell), with --strict 1.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  coldbolt verify backup.db\n  coldbolt verify /var/lib/etcd\n  coldbolt verify /backups --strict -w json\n  \
                  coldbolt verify backup.db --policy backup.toml --junit verify.xml\n  \
                  coldbolt verify backup.db --previous yesterday.db --keys-not-fewer-than 80 --max-age 26h"
)]
pub struct Args {
    /// Files or directories; - is standard input.
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// The deepest level to run.
    #[arg(long, value_enum, default_value = "restore", value_name = "LEVEL")]
    level: UpTo,
    /// As --level restore: all levels, and what a restore would refuse.
    #[arg(long, conflicts_with = "level")]
    restore: bool,
    /// What could not be checked counts as bad.
    #[arg(long)]
    strict: bool,
    /// Findings shown for each code; all are counted.
    #[arg(long, default_value_t = 20, value_name = "N")]
    max_findings: u64,
    /// Format of the answer.
    #[arg(short, long, value_enum, default_value = "table", value_name = "FORMAT")]
    write_out: Form,
    /// One JSON object a line: findings as they come, the verdict at the end.
    #[arg(long, conflicts_with = "write_out")]
    ndjson: bool,
    /// Compare the files with this manifest; those it names and PATH does not lead to count as unreadable.
    #[arg(long, value_name = "FILE")]
    check_manifest: Option<PathBuf>,
    #[command(flatten)]
    policy: PolicyArgs,
    #[command(flatten)]
    reports: Reports,
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

/// What every input is verified with.
struct Work<'a> {
    args: &'a Args,
    policy: Option<Policy>,
    ask: Option<Ask>,
    previous: Option<Previous>,
    manifest: Option<Manifest>,
}

pub fn run(args: &Args, context: &mut Context<'_>) -> Done {
    let policy = args.policy.policy()?;
    let (files, mut lost) = inputs(args);
    let read = args.policy.files().chain(args.check_manifest.as_deref());
    args.reports.check(files.iter().chain(&args.paths).map(PathBuf::as_path).chain(read))?;
    let manifest = args.check_manifest.as_deref().map(Manifest::read).transpose()?;
    if let (Some(manifest), Some(path)) = (&manifest, &args.check_manifest) {
        lost.extend(missing(manifest, path, &files)?);
    }
    let ask = policy.as_ref().and_then(Policy::ask);
    let work = Work { args, policy, ask, previous: args.policy.previous()?, manifest };

    let mut answer = Answer {
        schema: "coldbolt.verify/1",
        verdict: Found::Good,
        files: Vec::new(),
        unreadable: Vec::new(),
    };
    for unreadable in lost {
        refuse(unreadable, args, &mut answer, context)?;
    }
    for file in files {
        let begun = Instant::now();
        let own = work.sidecar(&file);
        let manifest = match &own {
            Some((path, Ok(manifest))) => Some((path.as_path(), manifest)),
            Some((path, Err(error))) => {
                refuse(
                    Unreadable { path: show(path), error: hint::error(error) },
                    args,
                    &mut answer,
                    context,
                )?;
                None
            }
            None => args.check_manifest.as_deref().zip(work.manifest.as_ref()),
        };
        let done = if args.ndjson {
            ndjson::streamed(context.out, context.monitor, |monitor| work.one(&file, manifest, monitor))?
        } else {
            work.one(&file, manifest, context.monitor)
        };
        match done {
            Ok(verification) => answer.files.push(Judged { verification, took: begun.elapsed() }),
            Err(Error::Cancelled) => return Err(Error::Cancelled.into()),
            Err(error) => refuse(
                Unreadable { path: show(&file), error: hint::error(&error) },
                args,
                &mut answer,
                context,
            )?,
        }
    }
    let unreadable = answer.unreadable.iter().map(|_| Found::Unreadable);
    answer.verdict =
        answer.files.iter().map(|f| f.verification.verdict).chain(unreadable).max().unwrap_or(Found::Good);
    let written = args.reports.write(&answer);
    match args.write_out {
        _ if args.ndjson => ndjson::verdict(context.out, &answer)?,
        Form::Json => json(context.out, &answer)?,
        Form::Table => screen(context.out, &answer)?,
    }
    written?;
    Ok(match answer.verdict {
        Found::Good => Verdict::Good,
        Found::Inconclusive if args.strict => Verdict::Bad,
        Found::Inconclusive => Verdict::Inconclusive,
        Found::Unreadable => Verdict::Unreadable,
        Found::Bad => Verdict::Bad,
    })
}

/// Takes note of an input that cannot be read, and goes on.
fn refuse(
    unreadable: Unreadable,
    args: &Args,
    answer: &mut Answer,
    context: &mut Context<'_>,
) -> io::Result<()> {
    context.monitor.say(&format!("Error: {}", unreadable.error));
    if args.ndjson {
        ndjson::unreadable(context.out, &unreadable)?;
    }
    answer.unreadable.push(unreadable);
    Ok(())
}

/// The files behind the paths, each once, and the paths behind which there is none.
fn inputs(args: &Args) -> (Vec<PathBuf>, Vec<Unreadable>) {
    let (mut files, mut lost, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    // What else was named is no backup, even if it lies among them.
    let named: Vec<PathBuf> = args
        .check_manifest
        .as_deref()
        .into_iter()
        .chain(args.policy.files())
        .filter_map(|f| f.canonicalize().ok())
        .collect();
    for path in &args.paths {
        match targets(path) {
            Ok(found) => {
                let listed = found.first() != Some(path);
                let other =
                    |file: &PathBuf| listed && file.canonicalize().is_ok_and(|file| named.contains(&file));
                files.extend(found.into_iter().filter(|file| !other(file) && seen.insert(file.clone())));
            }
            Err(error) => lost.push(Unreadable { path: show(path), error: hint::error(&error) }),
        }
    }
    (files, lost)
}

/// Files that a manifest names and that are not among the inputs.
fn missing(manifest: &Manifest, path: &Path, files: &[PathBuf]) -> Result<Vec<Unreadable>, Fail> {
    let mut found: Vec<&Entry> = Vec::new();
    for file in files {
        found.extend(manifest.entry(path, file)?);
    }
    let lost = manifest.files.iter().filter(|entry| !found.iter().any(|f| f.path == entry.path));
    Ok(lost
        .map(|entry| {
            let name = show(Path::new(&entry.path));
            let error = format!("{name}: is named in {} and not among the inputs", show(path));
            Unreadable { path: name, error }
        })
        .collect())
}

impl Work<'_> {
    fn one(
        &self,
        file: &Path,
        manifest: Option<(&Path, &Manifest)>,
        monitor: &dyn Monitor,
    ) -> Result<Verification, Error> {
        let name = manifest.map(|(path, _)| show(path)).unwrap_or_default();
        let entry =
            |(path, manifest): (&Path, &'_ Manifest)| manifest.entry(path, file).map(|entry| entry.cloned());
        let entry = manifest.map(entry).transpose()?;
        let against = entry.as_ref().map(|entry| Against { manifest: &name, entry: entry.as_ref() });
        let options = VerifyOptions {
            level: self.args.level.into(),
            max_findings: self.args.max_findings,
            digests: self.args.reports.digests(),
            keys: coldbolt::store::scan::Keys::History,
            sealing: false,
            ask: self.ask.as_ref(),
            against,
        };
        let monitor = &hint::Worded(monitor);
        let mut verification = if file == Path::new("-") {
            let mut verification = verify_file(&input::any_file(file)?, options, monitor)?;
            // Of the copy that was made of it.
            verification.measured.modified = None;
            verification
        } else {
            verify(file, options, monitor)?
        };
        hint::verification(&mut verification);
        if let Some(policy) = &self.policy {
            apply(policy, &mut verification, self.previous.as_ref(), jiff::Timestamp::now());
        }
        Ok(verification)
    }

    /// The manifest beside a file, unless another one was given.
    fn sidecar(&self, file: &Path) -> Option<(PathBuf, Result<Manifest, Error>)> {
        let mut name = file.file_name()?.to_owned();
        name.push(SIDECAR);
        let sidecar = file.with_file_name(name);
        let there = self.manifest.is_none() && sidecar.symlink_metadata().is_ok();
        there.then(|| (sidecar.clone(), Manifest::read(&sidecar)))
    }
}

fn screen(out: &mut dyn Write, answer: &Answer) -> io::Result<()> {
    for Judged { verification: file, .. } in &answer.files {
        writeln!(out, "{}: {}, {}", file.path, file.kind, verdict(file))?;
        let rows = file
            .levels
            .iter()
            .map(|l| [format!("  {}", l.level.name()), word(l.outcome).to_owned(), l.detail.clone()]);
        writeln!(out, "{}", plain_table(["  LEVEL", "OUTCOME", "DETAIL"], rows))?;
        if !file.policy.is_empty() {
            let rows = file
                .policy
                .iter()
                .map(|r| [format!("  {}", r.title()), kept(r).to_owned(), r.message.clone()]);
            writeln!(out, "{}", plain_table(["  RULE", "OUTCOME", "DETAIL"], rows))?;
        }
        let mut codes: Vec<_> = file.finding_counts.iter().collect();
        codes.sort_by_key(|(code, _)| std::cmp::Reverse(code.severity()));
        for (code, count) in codes {
            writeln!(out, "  {}: {code} ({count}): {}", code.severity(), code.remedy())?;
        }
        writeln!(out)?;
    }
    if answer.files.len() + answer.unreadable.len() > 1 {
        writeln!(out, "{}", summary(answer))?;
    }
    Ok(())
}
