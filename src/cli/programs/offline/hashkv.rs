//! `hashkv` (`hashkv_command.go` @ v3.7).

use std::ffi::OsStr;
use std::path::Path;

use coldbolt::Error;
use coldbolt::store::hashkv::{HashKvOptions, hashkv};
use coldbolt::words::refusal::Refusal;

use super::status::{Format, opened};
use super::table::{Lines, table};
use crate::cli::context::Context;
use crate::cli::hashkv::{NAMES, as_fields, as_json, row};
use crate::cli::input;
use crate::cli::programs::failed::{Failed, exists};

pub fn run(
    file: &OsStr,
    (revision, fold): (i64, bool),
    write_out: &str,
    context: &mut Context<'_>,
) -> Result<(), Failed> {
    let path = Path::new(file);
    let format = match Format::of(write_out) {
        Err(failed) if write_out != "protobuf" => return Err(failed),
        format => format,
    };
    exists(path)?;
    let database = opened(path, fold, context)?;
    let monitor = context.monitor;
    let options = HashKvOptions { revision: Some(revision), compact_revision: None };
    let report = hashkv(database.source(), &options, monitor);
    database.check_unchanged()?;
    let report = report.map_err(|error| match error {
        Error::Refused(Refusal::Future { .. }) => {
            "mvcc: required revision is a future revision".to_owned().into()
        }
        Error::Refused(Refusal::Compacted { .. }) => {
            "mvcc: required revision has been compacted".to_owned().into()
        }
        other => Failed::from(other),
    })?;
    if !report.is_etcd {
        monitor.say(&input::not_etcds(database.source()));
    }
    if monitor.damage() {
        return Err("the file is damaged: its hash is not to be trusted".to_owned().into());
    }
    match format? {
        Format::Simple => writeln!(context.out, "{}", row(&report).join(", "))?,
        Format::Json => as_json(context.out, &report)?,
        Format::Fields => as_fields(context.out, &report)?,
        Format::Table => write!(context.out, "{}", table(Lines::Box, &NAMES, &row(&report)))?,
    }
    Ok(())
}
