use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use coldbolt::io::Source;
use coldbolt::io::dest::{self, Existing};
use coldbolt::io::spool::Spool;
use coldbolt::ops::copy::directory::{DirectoryReport, copy_directory};
use coldbolt::ops::copy::{Content, CopyOptions, CopyReport, Damage, Live, Uncommitted, copy, copy_into};
use coldbolt::ops::output::{ClosedFile, OutputForm};
use coldbolt::ops::verify::manifest::{Manifest, ManifestEntry, WrappedContent};
use coldbolt::replay::Until;
use coldbolt::replay::apply::Version;
use coldbolt::replay::fold::FoldReport;
use coldbolt::replay::time::{Moment, TimeReport};
use coldbolt::words::error::Told;
use serde_json::json;

use super::closing::CloseFor;
use super::context::{Context, Done, Fail, Verdict};
use super::hint;
use super::input;
use super::keyspace::refuse_terminal;
use super::out::{self, Form, command_line, count, json, size};

/// Make a snapshot file of a stopped member that lacks nothing the member had acknowledged.
///
/// A member's db is behind its log: etcd writes it every 100 ms, and applies the rest from the log when it starts.
/// This command does the same to a copy: the entries of the log that the db lacks are applied by the rules of the
/// etcd version that wrote it. The result is a file as `etcdctl snapshot save` makes it, with its SHA-256, for
/// `coldbolt restore` or `etcdutl snapshot restore`. The source is only read: it may be read-only, and nothing is
/// locked or repaired. Entries past the last index known to be committed are applied if the member is the only voter,
/// as etcd does; else they are left out and reported.
///
/// Of a directory of etcd-backup-restore (gardener) the newest full snapshot is copied with all increments after it, or
/// those up to --to-rev, each change at its own revision and with its lease.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt copy /var/lib/etcd -o backup.db
  coldbolt copy /mnt/volume/member -o backup.db --etcd-version 3.5.12
  coldbolt copy /var/lib/etcd -o backup.db.age --encrypt-to recipients.txt
  coldbolt copy /backups/v2 -o backup.db --to-rev 1234
  coldbolt copy /var/lib/etcd -o - | ssh backup 'cat > etcd.db'")]
pub struct Args {
    /// Data directory, member directory, db or snapshot file, directory of etcd-backup-restore; - is standard input.
    #[arg(value_name = "PATH")]
    source: PathBuf,
    /// The snapshot file or directory to make; must not exist. - is standard output.
    #[arg(short, long, value_name = "NEW", required_unless_present = "dest")]
    output: Option<PathBuf>,
    /// The same in its place behind the source, as `cp` has it.
    #[arg(value_name = "NEW", hide = true, conflicts_with = "output")]
    dest: Option<PathBuf>,
    /// What to make.
    #[arg(long = "as", value_enum, default_value = "snapshot", value_name = "FORM")]
    form: As,
    /// The log, if it is kept outside the data directory.
    #[arg(long, value_name = "DIR")]
    wal_dir: Option<PathBuf>,
    /// Copy the db alone, and say how many entries are left behind.
    #[arg(long, conflicts_with_all = ["wal_dir", "include_uncommitted"])]
    no_wal: bool,
    /// Copy the db byte for byte, free pages too; nothing of the log is applied.
    #[arg(long, conflicts_with_all = ["wal_dir", "include_uncommitted"])]
    exact: bool,
    /// The etcd that wrote the files, as 3.5 or 3.5.12 [default: as the files tell].
    #[arg(long, value_name = "VERSION")]
    etcd_version: Option<Version>,
    /// Stop as soon as this is the current revision: of the log, or of the increments of etcd-backup-restore.
    #[arg(long, alias = "to-revision", value_name = "REVISION", conflicts_with_all = ["no_wal", "exact"])]
    to_rev: Option<i64>,
    /// Also apply entries that are not known to be committed, although other members vote.
    #[arg(long)]
    include_uncommitted: bool,
    /// Copy a damaged source as far as it can be read whole. What is wrong is reported.
    #[arg(long)]
    allow_damage: bool,
    /// Copy although a running etcd holds the files: as well as can be, nothing is sure.
    #[arg(long)]
    allow_live: bool,
    /// Write down what was read and made, with the SHA-256 of every file, for `verify --check-manifest`. Replaces no
    /// file.
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    #[command(flatten)]
    close: CloseFor,
    /// Print what was done.
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    write_out: Option<Form>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum As {
    /// A snapshot file with its SHA-256.
    Snapshot,
    /// A directory that the same etcd starts from as the same member, at the same place in the raft log.
    DataDir,
}

pub fn run(args: &Args, context: &mut Context<'_>) -> Done {
    let Some(dest) = args.output.as_ref().or(args.dest.as_ref()) else {
        return Err(Fail::Usage("--output is missing".to_owned()));
    };
    let recipients = args.close.recipients(context.monitor)?;
    let options = CopyOptions {
        wal_dir: args.wal_dir.as_deref(),
        content: match (args.exact, args.no_wal) {
            (true, _) => Content::Exact,
            (false, true) => Content::Database,
            (false, false) => Content::Folded,
        },
        version: args.etcd_version,
        uncommitted: if args.include_uncommitted { Uncommitted::Include } else { Uncommitted::Leave },
        damage: if args.allow_damage { Damage::Allow } else { Damage::Refuse },
        live: if args.allow_live { Live::Allow } else { Live::Refuse },
        until: args.to_rev.map(Until::Revision),
        changes: &[],
        digests: args.manifest.is_some(),
        form: recipients.as_ref().map_or(OutputForm::Clear, OutputForm::ClosedFor),
    };
    let source = &input::given(&args.source)?;
    if args.form == As::DataDir {
        refuse_for_directory(args)?;
        let mut report = copy_directory(source, dest, &options, context.monitor)?;
        hint::findings(&mut report.findings);
        return directory(dest, args.write_out, "coldbolt.copy-directory/1", &report, context);
    }
    let stdout = dest == Path::new("-");
    if stdout && args.write_out.is_some() {
        return Err(Fail::Usage("--write-out and a snapshot cannot both go to standard output".to_owned()));
    }
    args.manifest.as_deref().map_or(Ok(()), claim_manifest)?;
    let mut copied = None;
    let mut report = if stdout {
        let mut file = temporary()?;
        let report =
            copy_into(source, (&mut file, Path::new("(temporary file)")), &options, context.monitor)?;
        copied = Some(file.try_clone()?);
        pour(file, context.out)?;
        report
    } else {
        copy(source, dest, &options, context.monitor)?
    };
    hint::findings(&mut report.findings);
    if let Some(manifest) = &args.manifest {
        let made = match copied {
            Some(file) => Source::from_file(dest, file)?,
            None => Source::open(dest)?,
        };
        write_manifest(manifest, entry(dest, &made, &report, context)?)?;
    }
    finish(dest, args.write_out, "coldbolt.copy/1", &report, context)
}

/// Refuses what a directory cannot be made with.
fn refuse_for_directory(args: &Args) -> Result<(), Fail> {
    let what = if args.no_wal || args.exact || args.manifest.is_some() {
        "--as data-dir applies the log, and goes neither with --no-wal nor --exact nor --manifest"
    } else if args.close.any() {
        "--as data-dir makes what etcd starts from, and that is never closed"
    } else {
        return Ok(());
    };
    Err(Fail::Usage(what.to_owned()))
}

/// What the manifest says of what was made.
fn entry(
    to: &Path,
    made: &Source,
    report: &CopyReport,
    context: &Context<'_>,
) -> Result<ManifestEntry, Fail> {
    let evidence = document(to, "coldbolt.copy/1", report);
    let Some(closed) = &report.closed else {
        return Ok(ManifestEntry::made(to, made, evidence, context.monitor)?);
    };
    let content = WrappedContent {
        size: report.bytes,
        sha256: closed.content_sha256.clone(),
        payload_sha256: report.sha256.clone(),
    };
    Ok(ManifestEntry::made_around(to, made, content, evidence, context.monitor)?)
}

/// Refuses, before the work, a manifest that could not be written after it.
fn claim_manifest(manifest: &Path) -> Result<(), Fail> {
    if manifest == Path::new("-") {
        return Err(Fail::Usage("--manifest -: a manifest goes to a file".to_owned()));
    }
    Ok(dest::claim(manifest, Existing::Keep)?)
}

fn write_manifest(manifest: &Path, made: ManifestEntry) -> Result<(), Fail> {
    let mut text = Vec::new();
    Manifest::new(command_line(), vec![made]).write(&mut text)?;
    Ok(dest::write(manifest, Existing::Keep, &text)?)
}

/// Prints what was done.
pub fn finish(
    to: &Path,
    form: Option<Form>,
    schema: &str,
    report: &CopyReport,
    context: &mut Context<'_>,
) -> Done {
    match form {
        _ if to == Path::new("-") => {}
        Some(Form::Json) => json(context.out, &document(to, schema, report))?,
        Some(Form::Table) | None => screen(context.out, to, report)?,
    }
    Ok(Verdict::Good)
}

/// A file without a name, for what is checked before it goes to standard output.
///
/// # Errors
/// [`Fail::Usage`] when that is a terminal.
pub fn temporary() -> Result<File, Fail> {
    refuse_terminal()?;
    Ok(Spool::new()?.into_file())
}

/// Writes it to standard output. Less than all of it is a failure: it is no answer of which somebody has read enough.
pub fn pour(mut file: File, out: &mut dyn Write) -> Result<(), Fail> {
    let poured = file.rewind().and_then(|()| io::copy(&mut file, out)).and_then(|_| out.flush());
    poured.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Fail::Cut,
        _ => Fail::Output(error),
    })
}

/// Prints what directory was made.
pub fn directory(
    to: &Path,
    form: Option<Form>,
    schema: &str,
    report: &DirectoryReport,
    context: &mut Context<'_>,
) -> Done {
    let out = &mut *context.out;
    if form == Some(Form::Json) {
        json(out, &document(to, schema, report))?;
        return Ok(Verdict::Good);
    }
    writeln!(out, "source       {}", report.source)?;
    applied(out, &report.fold)?;
    writeln!(out, "directory    {}", super::out::clean(&to.to_string_lossy()))?;
    writeln!(out, "raft         index {}, term {}", report.index, report.term)?;
    for member in &report.members {
        let role = if member.is_learner { ", learns" } else { "" };
        let (name, urls) = (&member.name, Told::list(&member.peer_urls));
        writeln!(out, "member       {:#} {name} {urls}{role}", member.id)?;
    }
    writeln!(out, "revision     {}", report.revision)?;
    if let Some(hash) = report.hashkv {
        writeln!(out, "HashKV       {hash}")?;
    }
    Ok(Verdict::Good)
}

fn document(to: &Path, schema: &str, report: &impl serde::Serialize) -> serde_json::Value {
    let head = json!({
        "schema": schema,
        "tool": concat!("coldbolt ", env!("CARGO_PKG_VERSION")),
        "copy": to.to_string_lossy(),
    });
    out::document(head, report)
}

fn screen(out: &mut dyn Write, to: &Path, report: &CopyReport) -> io::Result<()> {
    let CopyReport { source, kind, revision, sha256, bytes, .. } = report;
    writeln!(out, "source       {source} ({kind})")?;
    if let Some(fold) = &report.fold {
        applied(out, fold)?;
    }
    writeln!(out, "copy         {} ({})", super::out::clean(&to.to_string_lossy()), size(*bytes))?;
    writeln!(out, "revision     {revision}")?;
    if let Some(hash) = report.hashkv {
        writeln!(out, "HashKV       {hash}")?;
    }
    writeln!(out, "SHA-256      {sha256}")?;
    closed(out, "closed      ", report.closed.as_ref())?;
    if report.best_effort {
        writeln!(
            out,
            "\nA running etcd held the files: this copy is best effort. \
             `etcdctl snapshot save` makes a sure one."
        )?;
    }
    Ok(())
}

/// The age file that was made, if one was.
pub fn closed(out: &mut dyn Write, label: &str, made: Option<&ClosedFile>) -> io::Result<()> {
    let Some(ClosedFile { closed_for, bytes, sha256, .. }) = made else { return Ok(()) };
    writeln!(out, "{label} age file ({}) for {closed_for}, SHA-256 {sha256}", size(*bytes))
}

fn applied(out: &mut dyn Write, fold: &FoldReport) -> io::Result<()> {
    writeln!(out, "member       {:#} of cluster {:#}", fold.member, fold.cluster)?;
    writeln!(out, "by etcd      {} ({})", fold.etcd_version, fold.etcd_version_reason)?;
    let (Some(first), Some(last)) = (fold.first_applied, fold.last_applied) else {
        let why = if fold.last_index > fold.database_index {
            format!(
                "what the log has after index {}, up to {}, is left out",
                fold.database_index, fold.last_index
            )
        } else {
            format!("the db holds all that the log does, up to index {}", fold.database_index)
        };
        return writeln!(out, "applied      nothing: {why}");
    };
    let entries = last.next().since(first).unwrap_or(0);
    let gained = fold.revision_after.saturating_sub(fold.revision_before);
    let refused: u64 = fold.rejected.values().sum();
    write!(out, "applied      {} entries, {first} to {last}: {gained} revisions gained", count(entries))?;
    if refused > 0 {
        write!(out, ", {refused} requests that etcd refuses")?;
    }
    writeln!(out)?;
    if fold.beyond_commit > 0 {
        let why = if fold.voters == 1 {
            "the member is the only voter, and etcd commits them when it starts"
        } else {
            "as asked for"
        };
        writeln!(
            out,
            "             {} of them past the commit index {}: {why}",
            fold.beyond_commit, fold.commit_index
        )?;
    }
    fold.time.as_ref().map_or(Ok(()), |time| moments(out, time))
}

/// How sure it is that nothing is of after the moment that was asked for, and nothing missing of before.
fn moments(out: &mut dyn Write, time: &TimeReport) -> io::Result<()> {
    let moment = |moment: &Moment| {
        let revision = moment.revision.map_or_else(String::new, |revision| format!("revision {revision}, "));
        format!(
            "{} by {} ({revision}raft index {})",
            moment.time,
            super::out::clean(&moment.key),
            moment.index
        )
    };
    writeln!(out, "time         not after {}", time.to)?;
    writeln!(out, "             the last at or before it is {}", moment(&time.last))?;
    match &time.next {
        Some(next) => writeln!(out, "             the first after it is {}", moment(next))?,
        None => writeln!(out, "             none in the log is after it")?,
    }
    if time.between > 0 {
        let until = if time.next.is_some() { "between the two" } else { "after the last" };
        writeln!(
            out,
            "             {} entries {until} may be of before or after, and were left out",
            count(time.between)
        )?;
    }
    Ok(())
}
