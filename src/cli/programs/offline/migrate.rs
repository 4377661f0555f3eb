//! `migrate` (`migrate_command.go` @ v3.7).

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use coldbolt::Error;
use coldbolt::ops::migrate::{MigrateOptions, MigrateReport, Target, migrate};
use coldbolt::words::refusal::Refusal;
use serde_json::json;

use super::defrag::unlocked;
use super::log;
use super::restore::database_of;
use crate::cli::context::Context;
use crate::cli::hint;
use crate::cli::programs::failed::{BAD_ARGS, Failed, exists};
use crate::cli::programs::go;

pub fn run(
    data_dir: &OsStr,
    (target, force): (&str, bool),
    timeout: Duration,
    context: &Context<'_>,
) -> Result<(), Failed> {
    numbers(target)?;
    let asked = target.parse::<Target>().map_err(|why| Failed::new(BAD_ARGS, why))?;
    let dir = Path::new(data_dir);
    exists(&database_of(dir))?;
    let options = MigrateOptions { wal_dir: None, target: asked, force, dry_run: false };
    let report = unlocked(timeout, || migrate(dir, &options, context.monitor)).map_err(refused)?;
    said(&report, (target, force), context);
    Ok(())
}

/// Both numbers of a version, by the rules and in the words of `semver.NewVersion`.
fn numbers(target: &str) -> Result<(u64, u64), Failed> {
    let bad = |why: String| Failed::new(BAD_ARGS, why);
    let [major, minor] = target.split('.').collect::<Vec<_>>()[..] else {
        return Err(bad(format!("wrong target version format, expected \"X.Y\", got {target:?}")));
    };
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.then(|| text.parse().ok()).flatten();
        number.ok_or_else(|| go::int(text).err().unwrap_or_else(|| format!("{text:?} is no number")))
    };
    let both = number(major).and_then(|major| Ok((major, number(minor)?)));
    both.map_err(|why| bad(format!("failed to parse target version: {why}")))
}

fn refused(error: Error) -> Failed {
    match error {
        Error::Refused(Refusal::Migration { why, .. }) => why.into(),
        other => other.into(),
    }
}

fn said(report: &MigrateReport, (target, forced): (&str, bool), context: &Context<'_>) {
    let monitor = context.monitor;
    if report.before == report.after {
        return log::info(monitor, "storage version up-to-date", &json!({ "storage-version": target }));
    }
    match &report.forced {
        Some(why) => log::info(monitor, "normal migrate failed, trying with force", &json!({ "error": why })),
        None => {
            let fields = json!({ "new-storage-version": report.after });
            log::info(monitor, "updated storage version", &fields);
        }
    }
    // Each etcdutl needs force for the versions after its own: scripts that give it look for this.
    if forced {
        if report.field.1.is_some() {
            log::warn(monitor, "forcefully set storage version", &json!({ "storage-version": target }));
        } else {
            log::warn(monitor, "forcefully cleared storage version", &json!({}));
        }
    }
    let mut notes: Vec<_> = report.written.iter().flat_map(|written| written.notes.clone()).collect();
    hint::notes(&mut notes);
    notes.iter().for_each(|note| monitor.say(&format!("note: {note}")));
    if let Some(refuses) = &report.refuses {
        monitor.say(&format!("note: etcd {} does not start from it: {refuses}", report.after));
    }
}
