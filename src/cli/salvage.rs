use std::io::{self, Write};
use std::path::{Path, PathBuf};

use coldbolt::codec::json::write as line_of;
use coldbolt::etcd::Input;
use coldbolt::io::dest::{self, Existing};
use coldbolt::ops::salvage::{LeftOut, PageFate, SalvageOptions, SalvageReport, SalvagedFrom, salvage};
use coldbolt::replay::apply::Version;
use serde_json::json;

use super::context::{Context, Done, Fail, Verdict};
use super::input;
use super::out::{Form, clean, count, document, json, size};

/// Lines of each kind that are printed; the JSON has all.
const SHOWN: usize = 10;

/// Make the best good database of what is left of a damaged one, as a snapshot file.
///
/// The pages of the file are found by what they are, wherever they lie: either meta page or none, a wrong page size,
/// a database inside a larger file, cut, or in another order. The newest tree is followed, and what its lost pages
/// held is looked for elsewhere. Each version of a key proves itself, and the answer says what is missing: revisions
/// of which nothing was found, values of which a part may be another's, and keys of which nobody knows whether they
/// were deleted before the last compaction; these are left out unless --include-uncertain takes them.
///
/// The log of a data directory is applied if nothing is missing, or takes the place of the database where it goes back
/// to its first entry, or to an older backup (--base). A backup also helps with what single pages held.
///
/// Exits with 0 if nothing is known to be missing, with 1 if something is, with 3 if nothing can be found. The result
/// verifies and restores either way. Where revisions are missing, those before the last of them count as compacted.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt salvage backup.db -o salvaged.db --report pages.ndjson
  coldbolt salvage m2.db -o m2-salvaged.db --base backup.db
  coldbolt salvage /var/lib/etcd -o member.db
  coldbolt salvage disk.img -o found.db --include-uncertain -w json")]
pub struct Args {
    /// What is left: database or snapshot file, data directory, image of a disk; - is standard input.
    #[arg(value_name = "PATH")]
    source: PathBuf,
    /// The snapshot file to make; must not exist.
    #[arg(short, long, value_name = "NEW")]
    output: PathBuf,
    /// An older backup of the same database; may be repeated.
    #[arg(long, value_name = "FILE")]
    base: Vec<PathBuf>,
    /// The log, if it is kept outside the data directory.
    #[arg(long, value_name = "DIR")]
    wal_dir: Option<PathBuf>,
    /// The etcd that wrote the log, as 3.5 or 3.5.12 [default: as the files tell].
    #[arg(long, value_name = "VERSION")]
    etcd_version: Option<Version>,
    /// Take also what may have been superseded or deleted before the last compaction.
    #[arg(long)]
    include_uncertain: bool,
    /// Write what became of every page, and which keys were left out, to this file, a line of JSON each. Replaces no
    /// file.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Format of the answer.
    #[arg(short, long, value_enum, default_value = "table", value_name = "FORMAT")]
    write_out: Form,
}

pub fn run(args: &Args, context: &mut Context<'_>) -> Done {
    if args.output == Path::new("-") || args.report.as_deref() == Some(Path::new("-")) {
        return Err(Fail::Usage("what is salvaged goes to a file, and so does the report".to_owned()));
    }
    if let Some(report) = &args.report {
        dest::claim(report, Existing::Keep)?;
    }
    let given = match args.source == Path::new("-") {
        true => Input::from(input::any_file(&args.source)?),
        false => Input::from(args.source.as_path()),
    };
    let options = SalvageOptions {
        wal_dir: args.wal_dir.as_deref(),
        bases: &args.base,
        version: args.etcd_version,
        include_uncertain: args.include_uncertain,
    };
    let mut pages = Vec::new();
    let mut each = |fate: &PageFate| {
        if args.report.is_some() {
            let line = json!({ "schema": "coldbolt.salvaged-page/1", "page": fate });
            let full = |source| coldbolt::Error::Output { what: "report".to_owned(), source };
            line_of(&mut pages, &line).map_err(full)?;
            pages.push(b'\n');
        }
        Ok(())
    };
    let report = salvage(given, &args.output, &options, &mut each, context.monitor)?;
    for version in report.left_out.iter().filter(|_| args.report.is_some()) {
        line_of(&mut pages, &json!({ "schema": "coldbolt.salvaged-key/1", "key": version }))?;
        pages.push(b'\n');
    }
    if let Some(path) = &args.report {
        dest::write(path, Existing::Keep, &pages)?;
    }
    match args.write_out {
        Form::Json => {
            let head = json!({
                "schema": "coldbolt.salvage/1",
                "output": args.output.to_string_lossy(),
                "complete": report.is_complete(),
            });
            json(context.out, &document(head, &report))?;
        }
        Form::Table => screen(context.out, args, &report)?,
    }
    Ok(if report.is_complete() { Verdict::Good } else { Verdict::Bad })
}

fn screen(out: &mut dyn Write, args: &Args, report: &SalvageReport) -> io::Result<()> {
    let made_of = match report.made_of {
        SalvagedFrom::Pages => "its pages",
        SalvagedFrom::PagesAndLog => "its pages and the log, which goes on where they end",
        SalvagedFrom::Log => "the log alone, which begins with the first entry",
        SalvagedFrom::BaseAndLog => "an older backup and the log, which goes on where that ends",
        _ => "what was found",
    };
    writeln!(out, "source       {}", clean(&report.source))?;
    writeln!(out, "made of      {made_of}")?;
    if let Some(layout) = report.layout {
        let (pages, moved) = (count(report.pages), count(report.out_of_place));
        let (size, base) = (layout.page_size, layout.base);
        writeln!(
            out,
            "pages        {pages} of {size} bytes, the first at byte {base}; {moved} out of place"
        )?;
    }
    if report.put_back > 0 {
        let moved = count(report.put_back);
        writeln!(out, "put back     {moved} pages: as the SHA-256 at its end says, they belong there")?;
    }
    let measured = &report.measured;
    writeln!(
        out,
        "salvaged     {} live keys, {} revisions up to {}",
        count(measured.live_keys.unwrap_or(0)),
        count(measured.revisions.unwrap_or(0)),
        measured.revision.unwrap_or(0)
    )?;
    let (path, bytes) = (clean(&args.output.to_string_lossy()), size(report.bytes));
    writeln!(out, "output       {path} ({bytes}), SHA-256 {}", report.sha256)?;
    missing(out, report)?;
    if report.is_complete() {
        writeln!(out, "missing      nothing")?;
    }
    if !report.newest_known {
        writeln!(out, "note: no meta page leads to this tree: nothing tells whether there was a newer one")?;
    }
    for finding in &report.findings {
        writeln!(out, "finding: {finding}")?;
    }
    Ok(())
}

fn missing(out: &mut dyn Write, report: &SalvageReport) -> io::Result<()> {
    for gap in report.missing.iter().take(SHOWN) {
        writeln!(out, "missing      revisions {} to {}", gap.from, gap.to)?;
    }
    more(out, report.missing.len())?;
    for hole in report.holes.iter().take(SHOWN) {
        let page = hole.page.map_or_else(|| "a page".to_owned(), |page| format!("page {page}"));
        let to = hole.to.map_or_else(|| "the end".to_owned(), |to| to.to_string());
        writeln!(out, "lost         {page}, with what is left of revisions {} to {to}", hole.from)?;
    }
    more(out, report.holes.len())?;
    for (why, what) in [
        (LeftOut::Torn, "a part of its value is lost, or may be another's"),
        (LeftOut::Conflict, "there are two values"),
        (LeftOut::Contradiction, "it does not follow from what came before: a byte of either was changed"),
        (LeftOut::Uncertain, "it may be superseded or deleted"),
    ] {
        let these = report.left_out.iter().filter(|version| version.why == why);
        for version in these.take(SHOWN) {
            let object = version.object.as_ref().map_or_else(String::new, |object| format!(" ({object})"));
            writeln!(out, "left out     {}{object} at {}: {what}", version.key, version.revision)?;
        }
        more(out, report.left_out_for(why))?;
    }
    if report.uncertain_taken > 0 {
        writeln!(out, "uncertain    {} keys taken as asked for", count(report.uncertain_taken))?;
    }
    for name in &report.incomplete_buckets {
        writeln!(out, "bucket       {} may lack something, or is of an older commit", clean(name))?;
    }
    if report.tree_is_old {
        writeln!(out, "old          the newest tree is lost: what it alone held is missing")?;
    }
    if report.altered {
        writeln!(
            out,
            "altered      the SHA-256 at its end is of other bytes: nothing tells which were changed"
        )?;
    }
    if let Some(why) = &report.log_left {
        writeln!(out, "log          not applied: {}", clean(why))?;
    }
    if let Some(revision) = report.compacted {
        writeln!(out, "compacted    at {revision}: of the revisions before it some are missing")?;
    }
    Ok(())
}

fn more(out: &mut dyn Write, all: usize) -> io::Result<()> {
    let more = all.saturating_sub(SHOWN);
    if more > 0 { writeln!(out, "             and {more} more") } else { Ok(()) }
}
