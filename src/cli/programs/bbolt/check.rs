//! `check` and `info`.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use coldbolt::bolt::Pgid;
use coldbolt::ops::bolt::{check, page_use};
use coldbolt::words::finding::Finding;
use coldbolt::words::monitor::{Monitor, Quiet};

use super::args::{CheckArgs, OneFile};
use super::file::{database, open, refused};
use crate::cli::context::{Context, Fail};

/// Hears whether there is any finding.
#[derive(Default)]
struct Any(AtomicBool);

impl Monitor for Any {
    fn finding(&self, _: Finding) {
        self.0.store(true, Ordering::Relaxed);
    }
}

pub fn run(args: &CheckArgs, context: &mut Context<'_>) -> Result<(), Fail> {
    let source = database(&args.file.path)?;
    let db = open(&source, context.monitor)?;
    let from = Some(Pgid(args.from_page)).filter(|page| page.0 != 0);
    let out = &mut *context.out;
    let any = Any::default();
    // Our own walk knows more rules and uses all cores: where it finds nothing, there is nothing.
    if from.is_none() && page_use(&db, &any)?.complete && !any.0.into_inner() {
        return Ok(writeln!(out, "OK")?);
    }
    let (mut count, mut done) = (0u64, Ok(()));
    let mut say = |what: &str| {
        count += 1;
        done = writeln!(out, "{what}");
        if done.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    check(&db, from, &mut say, &Quiet)?;
    done?;
    if count == 0 {
        return Ok(writeln!(out, "OK")?);
    }
    writeln!(out, "{count} errors found")?;
    refused("invalid value")
}

pub fn info(args: &OneFile, context: &mut Context<'_>) -> Result<(), Fail> {
    let source = database(&args.path)?;
    let db = open(&source, context.monitor)?;
    Ok(writeln!(context.out, "Page Size: {}", db.page_size())?)
}
