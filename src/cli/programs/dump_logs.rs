//! `etcd-dump-logs` (`tools/etcd-dump-logs/main.go` @ v3.6).

mod decoder;

use std::ffi::OsString;
use std::path::PathBuf;

use coldbolt::Error;
use coldbolt::ops::wal_dump::{EntryFilter, Row, Start, WalDumpOptions, WalDumpReport, wal_dump};
use coldbolt::words::finding::Severity;
use coldbolt::words::monitor::{Collect, Monitor, Relay};

use self::decoder::Decoder;
use super::failed::{ERROR, Failed, answer};
use super::go;
use super::goflag::{self, Flag, Given, Wrong};
use crate::cli::context::Context;
use crate::cli::hint;
use crate::cli::wal::{How, text, write_raw_end};

/// What is printed unless something is said.
const TYPES: &str = "Normal,ConfigChange";
/// Go's exit code for wrong flags, and for a panic.
const USAGE: u8 = 2;

const FLAGS: [Flag; 6] = [
    Flag { name: "entry-type", switch: false },
    Flag { name: "raw", switch: true },
    Flag { name: "start-index", switch: false },
    Flag { name: "start-snap", switch: false },
    Flag { name: "stream-decoder", switch: false },
    Flag { name: "wal-dir", switch: false },
];

const HELP: &str = "\
Usage of etcd-dump-logs:
  -entry-type string
    \tIf set, filters output by entry type. Must be one or more than one of:
    \tConfigChange, Normal, Request, InternalRaftRequest,
    \tIRRRange, IRRPut, IRRDeleteRange, IRRTxn,
    \tIRRCompaction, IRRLeaseGrant, IRRLeaseRevoke, IRRLeaseCheckpoint (default \"Normal,ConfigChange\")
  -raw
    \tRead the logs in the low-level form
  -start-index uint
    \tThe index to start dumping
  -start-snap string
    \tThe base name of snapshot file to start dumping
  -stream-decoder string
    \tThe name of an executable decoding tool, the executable must process
    \thex encoded lines of binary input (from etcd-dump-logs)
    \tand output a hex encoded line of binary for each input line
  -wal-dir string
    \tIf set, dumps WAL from the informed path, rather than following the standard 'data_dir/member/wal/' location

As that program does, this one prints passwords and values as they are; `coldbolt wal dump` hides passwords.
";

pub fn run(words: &[OsString]) -> u8 {
    match goflag::read(&FLAGS, words) {
        Ok(given) => answer(|context| {
            let done = Dump::of(&given).and_then(|dump| dump.run(context));
            done.map_err(|Failed { code, what }| {
                if let Some(what) = what {
                    context.monitor.say(&stamped(&what));
                }
                Failed { code, what: None }
            })
        }),
        Err(Wrong::Help) => {
            eprint!("{HELP}");
            0
        }
        Err(Wrong::Said(what)) => {
            eprint!("{what}\n{HELP}");
            USAGE
        }
    }
}

/// As Go's package `log` begins a line.
fn stamped(what: &str) -> String {
    format!("{} {what}", jiff::Timestamp::now().strftime("%Y/%m/%d %H:%M:%S"))
}

/// What is to be dumped.
struct Dump {
    data_dir: PathBuf,
    options: WalDumpOptions,
    /// The types, as they were given.
    types: String,
    decoder: Option<String>,
}

impl Dump {
    fn of(given: &Given) -> Result<Dump, Failed> {
        let text = |name| given.value(name).map(|value| value.to_string_lossy().into_owned());
        let path = |name| given.value(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let index = match text("start-index").map(|value| (go::uint(&value), value)) {
            None => None,
            Some((Ok(index), _)) => Some(index),
            Some((Err(_), value)) => {
                let what = format!("invalid value {value:?} for flag -start-index: parse error");
                return Err(Failed::new(USAGE, format!("{what}\n{HELP}")));
            }
        };
        let [data_dir] = given.arguments.as_slice() else {
            let got: Vec<_> = given.arguments.iter().map(|word| word.to_string_lossy()).collect();
            let what = format!("Must provide data-dir argument (got [{}])", got.join(" "));
            return Err(what.into());
        };
        let (data_dir, snap) = (PathBuf::from(data_dir), path("start-snap"));
        if snap.is_some() && index.is_some_and(|index| index > 0) {
            return Err("start-snap and start-index flags cannot be used together.".to_owned().into());
        }
        let types = text("entry-type").unwrap_or_else(|| TYPES.to_owned());
        let decoder = text("stream-decoder").filter(|decoder| !decoder.is_empty());
        let raw = given.is_set("raw");
        if raw && (snap.is_some() || types != TYPES || decoder.is_some()) {
            let what = "Flags --entry-type, --stream-decoder, --entrytype not supported in the RAW mode.";
            return Err(what.to_owned().into());
        }
        let start = match (index, snap) {
            (Some(index), _) => Start::After(index),
            (None, Some(name)) => Start::Snapshot(data_dir.join("member/snap").join(name)),
            (None, None) => Start::NewestSnapshot,
        };
        let types_known = types.split(',').filter_map(EntryFilter::from_name).collect();
        let wal_dir = path("wal-dir");
        let options = WalDumpOptions { wal_dir, start, end_index: None, types: types_known, raw };
        Ok(Dump { data_dir, options, types, decoder })
    }

    fn run(&self, context: &mut Context<'_>) -> Result<(), Failed> {
        let unknown =
            self.types.split(',').filter(|name| !name.is_empty() && EntryFilter::from_name(name).is_none());
        for name in unknown {
            let names: Vec<_> = EntryFilter::NAMES.iter().map(|(name, _)| *name).collect();
            let what =
                format!("[{name}] is not a valid entry-type, ignored. Those that are: {}", names.join(", "));
            context.monitor.say(&stamped(&what));
        }
        let mut decoder = self.decoder.as_deref().map(Decoder::start).transpose()?;
        let found = Collect::default();
        let keep = |finding| found.finding(finding);
        let monitor = Relay::new(context.monitor).findings_to(&keep);
        let (out, mut ended, mut count) = (&mut *context.out, false, 0usize);
        let dumped = wal_dump(self.data_dir.as_path(), &self.options, &monitor, &mut |row| {
            if ended || matches!(row, Row::Entry { .. }) && self.options.types.is_empty() {
                return Ok(());
            }
            count += usize::from(matches!(row, Row::Entry { .. }));
            let done = match &mut decoder {
                Some(decoder) => decoder.row(&row, out).map(|goes_on| ended = !goes_on),
                None => text(out, &row, &How::as_they_are()),
            };
            done.map_err(|source| Error::Output { what: "standard output".to_owned(), source })
        });
        let report = dumped.map_err(Failed::from);
        if report.is_ok() && !ended {
            self.end(report.as_ref().ok(), (count, decoder), context)?;
        }
        context.out.flush()?;
        let mut findings = found.into_findings();
        hint::findings(&mut findings);
        findings
            .iter()
            .for_each(|found| context.monitor.say(&stamped(&format!("{}: {found}", found.severity))));
        report?;
        match findings.iter().find(|found| found.severity == Severity::Damage) {
            Some(damage) => Err(Failed::new(ERROR, format!("Failed reading WAL: {damage}"))),
            None => Ok(()),
        }
    }

    /// What comes after the last row.
    fn end(
        &self,
        report: Option<&WalDumpReport>,
        (count, decoder): (usize, Option<Decoder>),
        context: &mut Context<'_>,
    ) -> Result<(), Failed> {
        if self.options.raw {
            return Ok(write_raw_end(context.out, report.and_then(|report| report.summary.segments.last()))?);
        }
        if let Some(said) = decoder.map(Decoder::end).transpose()?.filter(|said| !said.is_empty()) {
            context.monitor.say(&format!("decoder stderr: {said}"));
        }
        Ok(writeln!(context.out, "\nEntry types ({}) count is : {count}", self.types)?)
    }
}
