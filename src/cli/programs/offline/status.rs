//! `snapshot status` (`snapshot_command.go SnapshotStatusCommandFunc`, `v3_snapshot.go Status` @ v3.7).

use std::ffi::OsString;
use std::path::Path;

use coldbolt::Error;
use coldbolt::Finding;
use coldbolt::ops::status;
use coldbolt::words::cause::Cause;
use coldbolt::words::finding::Severity;
use coldbolt::words::level::Level;
use coldbolt::words::monitor::{Collect, Monitor, Relay};

use super::table::{Lines, table};
use crate::cli::context::Context;
use crate::cli::database::Database;
use crate::cli::programs::failed::{BAD_ARGS, BAD_FEATURE, Failed, exists};
use crate::cli::status::{NAMES, Numbers};
use crate::cli::{hint, input};

/// The formats that there are; `protobuf` is one that nothing can be printed in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Simple,
    Json,
    Fields,
    Table,
}

impl Format {
    /// `printer.go NewPrinter`.
    pub fn of(name: &str) -> Result<Format, Failed> {
        match name {
            "simple" => Ok(Format::Simple),
            "json" => Ok(Format::Json),
            "fields" => Ok(Format::Fields),
            "table" => Ok(Format::Table),
            "protobuf" => Err(Failed::new(BAD_FEATURE, "protobuf not supported as output format")),
            _ => Err(Failed::new(BAD_FEATURE, "unsupported output format")),
        }
    }
}

/// Whose answer it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// Keys of all buckets, no version, a table in ASCII: up to 3.5.
    V34,
    V37,
}

pub fn run(
    files: &[OsString],
    (write_out, since, fold): (&str, Since, bool),
    context: &mut Context<'_>,
) -> Result<(), Failed> {
    let [file] = files else {
        return Err(Failed::new(BAD_ARGS, "snapshot status requires exactly one argument"));
    };
    let path = Path::new(file);
    exists(path)?;
    // That a format cannot be printed in is found when the answer is there.
    let format = match Format::of(write_out) {
        Err(failed) if write_out != "protobuf" => return Err(failed),
        format => format,
    };
    let database = opened(path, fold, context)?;
    let found = Collect::default();
    let keep = |finding| found.finding(finding);
    let monitor = Relay::new(context.monitor).findings_to(&keep);
    let report = status(database.source(), &monitor);
    database.check_unchanged()?;
    let mut findings = found.into_findings();
    hint::findings(&mut findings);
    let damage: Vec<_> = findings.iter().filter(|found| found.severity == Severity::Damage).collect();
    if damage.iter().any(|found| found.code.level() <= Level::Pages) {
        return Err(integrity(&damage));
    }
    let report = report?;
    if !report.is_etcd {
        context.monitor.say(&input::not_etcds(database.source()));
    }
    findings.iter().for_each(|found| context.monitor.say(&format!("{}: {found}", found.severity)));
    let numbers = Numbers::new(report, since == Since::V37);
    let row = numbers.row();
    match format? {
        Format::Simple => numbers.simple(context.out)?,
        Format::Json => numbers.json(context.out, None)?,
        Format::Fields => numbers.fields(context.out)?,
        Format::Table => {
            let lines = if since == Since::V37 { Lines::Box } else { Lines::Ascii };
            write!(context.out, "{}", table(lines, &NAMES[..row.len()], &row))?;
        }
    }
    Ok(())
}

/// What a path leads to; what is no database is told as bbolt tells it.
pub fn opened(path: &Path, fold: bool, context: &Context<'_>) -> Result<Database, Failed> {
    Database::open(path, fold, context.monitor).map_err(|fail| match fail {
        crate::cli::context::Fail::Library(error @ Error::Unreadable { .. }) => no_database(error),
        other => other.into(),
    })
}

fn no_database(error: Error) -> Failed {
    match &error {
        Error::Unreadable { cause: Cause::NotThis { .. }, .. } => {
            format!("invalid database: {}", hint::error(&error)).into()
        }
        _ => error.into(),
    }
}

/// What of a file does not fit together.
fn integrity(damage: &[&Finding]) -> Failed {
    let told: Vec<_> = damage.iter().map(ToString::to_string).collect();
    let count = damage.len();
    format!("snapshot file integrity check failed. {count} errors found.\n{}", told.join("\n")).into()
}
