use std::path::{Path, PathBuf};

use coldbolt::ops::copy::{CopyOptions, Uncommitted, copy, copy_into};
use coldbolt::ops::output::OutputForm;
use coldbolt::replay::Until;
use coldbolt::replay::apply::Version;
use jiff::Timestamp;

use super::closing::CloseFor;
use super::context::{Context, Done, Fail};
use super::copy::{finish, pour, temporary};
use super::hint;
use super::out::Form;

/// Make a snapshot file of an earlier moment: a database with the log applied up to an index, a revision or a time.
///
/// For the state before a wrong delete: an older snapshot of the same cluster as --base, the log of any of its
/// members, and the last good revision. The base must not be past it, and the log must reach back to the base: etcd
/// keeps the segments since its fifth last. Entries are applied as `coldbolt copy` applies them.
///
/// A log has no times. With --to-time they are taken from the Kubernetes objects that it puts (renewals of Leases,
/// Events, creations, managed fields), in JSON or protobuf: it stops at the last entry that is known to be not after
/// the moment, so that nothing later is in the result, and says how far it is to the next entry that tells a time.
/// Clocks may differ: the most times that rise with the log are believed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt replay /var/lib/etcd --base yesterday.db --to-rev 1234 -o before-delete.db
  coldbolt replay /var/lib/etcd --base yesterday.db --to-time 2026-11-22T13:59:00Z -o before-delete.db
  coldbolt replay /var/lib/etcd --to-index 5678 -o at.db")]
#[command(group(clap::ArgGroup::new("until").required(true)))]
pub struct Args {
    /// The directory whose log is applied: a data directory or a wal directory.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// The database to begin with: a snapshot file or a db [default: the directory's own].
    #[arg(long, value_name = "FILE")]
    base: Option<PathBuf>,
    /// The log of DIR, if it is elsewhere (--wal-dir of etcd).
    #[arg(long, value_name = "DIR", conflicts_with = "base")]
    wal_dir: Option<PathBuf>,
    /// Stop after the raft entry with this index.
    #[arg(long, group = "until", value_name = "INDEX")]
    to_index: Option<u64>,
    /// Stop as soon as this is the current revision.
    #[arg(long, alias = "to-revision", group = "until", value_name = "REVISION")]
    to_rev: Option<i64>,
    /// Stop before anything that may be later than this: a time with its offset, as 2026-11-22T13:59:00Z.
    #[arg(long, group = "until", value_name = "TIME")]
    to_time: Option<Timestamp>,
    /// The snapshot file to make; must not exist. - is standard output.
    #[arg(short, long, value_name = "NEW")]
    output: PathBuf,
    /// The etcd that wrote the files, as 3.5 or 3.5.12 [default: as the files tell].
    #[arg(long, value_name = "VERSION")]
    etcd_version: Option<Version>,
    /// Also apply entries that are not known to be committed, although other members vote.
    #[arg(long)]
    include_uncommitted: bool,
    #[command(flatten)]
    close: CloseFor,
    /// Print what was done.
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    write_out: Option<Form>,
}

pub fn run(args: &Args, context: &mut Context<'_>) -> Done {
    let recipients = args.close.recipients(context.monitor)?;
    let until = args
        .to_index
        .map(|index| Until::Index(index.into()))
        .or_else(|| args.to_rev.map(Until::Revision))
        .or_else(|| args.to_time.map(Until::Time));
    let options = CopyOptions {
        wal_dir: if args.base.is_some() { Some(args.dir.as_path()) } else { args.wal_dir.as_deref() },
        version: args.etcd_version,
        uncommitted: if args.include_uncommitted { Uncommitted::Include } else { Uncommitted::Leave },
        until,
        form: recipients.as_ref().map_or(OutputForm::Clear, OutputForm::ClosedFor),
        ..CopyOptions::default()
    };
    let source = args.base.as_deref().unwrap_or(&args.dir);
    let mut report = if args.output == Path::new("-") {
        if args.write_out.is_some() {
            return Err(Fail::Usage(
                "--write-out and a snapshot cannot both go to standard output".to_owned(),
            ));
        }
        let mut file = temporary()?;
        let report =
            copy_into(source, (&mut file, Path::new("(temporary file)")), &options, context.monitor)?;
        pour(file, context.out)?;
        report
    } else {
        copy(source, &args.output, &options, context.monitor)?
    };
    hint::findings(&mut report.findings);
    finish(&args.output, args.write_out, "coldbolt.replay/1", &report, context)
}
