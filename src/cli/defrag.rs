use std::path::PathBuf;

use coldbolt::ops::defrag::{DefragOptions, DefragReport, defrag, defrag_closed};
use serde_json::json;

use super::closing::CloseFor;
use super::context::{Context, Done, Fail, Verdict};
use super::copy::closed;
use super::out::{Form, document, json, size};
use super::{hint, input};

/// Write a database anew: same content, no free pages, nothing left of what was deleted.
///
/// The source is verified first. What was written is read back and compared before it counts: every bucket, key and
/// value, and the HashKV. A snapshot file's SHA-256 trailer is made anew, a database without one stays without.
///
/// With --data-dir, as `etcdutl defrag` spells it, the new database is written beside the old one and takes its place
/// at the end; a directory that a running etcd uses is refused, and mode and owner are kept. An etcd that is started in
/// the very moment in which the new one takes its place ends with `invalid database`; started again it loses nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt defrag backup.db -o small.db
  coldbolt defrag backup.db -o small.db --live-only
  coldbolt defrag backup.db -o small.db.age --encrypt-to recipients.txt
  coldbolt defrag --data-dir /var/lib/etcd")]
pub struct Args {
    /// Snapshot file or database; - is standard input.
    #[arg(
        value_name = "FILE",
        required_unless_present = "data_dir",
        conflicts_with = "data_dir",
        requires = "output"
    )]
    path: Option<PathBuf>,
    /// The new file, which must not exist.
    #[arg(short, long, value_name = "NEW", conflicts_with = "data_dir")]
    output: Option<PathBuf>,
    /// Data directory of a stopped member: its database is replaced.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Finish the compaction that the file has marked: leave out what etcd would, deletions and superseded revisions
    /// up to it, nothing beyond.
    #[arg(long)]
    live_only: bool,
    #[command(flatten)]
    close: CloseFor,
    /// Format of the answer.
    #[arg(short, long, value_enum, default_value = "table", value_name = "FORMAT")]
    write_out: Form,
}

pub fn run(args: &Args, context: &mut Context<'_>) -> Done {
    let live_only = args.live_only;
    if args.data_dir.is_some() && args.close.any() {
        let what = "--data-dir makes what etcd starts from, and that is never closed: give FILE and --output";
        return Err(Fail::Usage(what.to_owned()));
    }
    let recipients = args.close.recipients(context.monitor)?;
    let mut report = match (&args.data_dir, &args.path, &args.output) {
        (None, Some(path), Some(output)) if let Some(recipients) = &recipients => {
            defrag_closed(input::database(path)?, (output, recipients), live_only, context.monitor)?
        }
        (Some(dir), ..) => {
            let options = DefragOptions { live_only, ..DefragOptions::in_place() };
            defrag(dir.join("member/snap/db"), &options, context.monitor)?
        }
        (None, Some(path), Some(output)) => {
            let options = DefragOptions { live_only, ..DefragOptions::to(output) };
            defrag(input::database(path)?, &options, context.monitor)?
        }
        _ => return Err(Fail::Usage("FILE and --output, or --data-dir".to_owned())),
    };
    hint::notes(&mut report.notes);
    match args.write_out {
        Form::Json => {
            json(context.out, &document(json!({ "schema": "coldbolt.defrag/1" }), &report))?;
        }
        Form::Table => screen(context.out, &report)?,
    }
    Ok(Verdict::Good)
}

fn screen(out: &mut dyn std::io::Write, report: &DefragReport) -> std::io::Result<()> {
    let DefragReport { before, after, .. } = report;
    writeln!(out, "{} -> {}", report.source, report.destination)?;
    for (what, of) in [("before", before), ("after", after)] {
        let (free, pages) = (size(of.free_bytes), size(of.page_bytes));
        writeln!(
            out,
            "{what:<8}{} bytes: {pages} of pages, {free} of them free; {} revisions stored",
            of.bytes, of.revisions
        )?;
    }
    let hash = report
        .hashkv
        .map_or_else(String::new, |hash| format!("; HashKV {hash} at revision {}", report.revision));
    writeln!(out, "content the same, read back and compared{hash}")?;
    if report.trailer {
        writeln!(out, "trailer SHA-256, made anew")?;
    }
    closed(out, "closed in an", report.closed.as_ref())?;
    for note in &report.notes {
        writeln!(out, "note: {note}")?;
    }
    Ok(())
}
