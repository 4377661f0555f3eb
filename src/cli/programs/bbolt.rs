//! `bbolt` 1.5.0: its commands over the same library. What it says of a file that is whole is said here byte for byte;
//! where it panics, or takes a damaged file for a good one, what is wrong is told.

mod args;
mod bench;
mod check;
pub(super) mod file;
mod keys;
mod page;
mod pages;
mod surgery;
mod tree;

use std::ffi::OsString;

use self::args::{Cli, Command};
use super::cobra::{self, Ways};
use super::{shell, work};
use crate::cli::context::{Context, Done, Fail, Verdict};

/// What `--version` says.
const VERSION: &str = concat!("1.5.0, answered by coldbolt ", env!("CARGO_PKG_VERSION"));

pub fn run(words: &[OsString]) -> u8 {
    let ways = Ways { version: Some(VERSION), ..Ways::default() };
    let cli: Cli = match cobra::parse_as("bbolt", ways, words) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    work::done(|context| dispatch(&cli.command, context))
}

fn dispatch(command: &Command, context: &mut Context<'_>) -> Done {
    match command {
        Command::Check(args) => check::run(args, context)?,
        Command::Info(args) => check::info(args, context)?,
        Command::Stats(args) => tree::stats(args, context)?,
        Command::Inspect(args) => tree::inspect(args, context)?,
        Command::Compact(args) => tree::compacted(args, context)?,
        Command::Buckets(args) => keys::buckets(args, context)?,
        Command::Keys(args) => keys::keys(args, context)?,
        Command::Get(args) => keys::get(args, context)?,
        Command::Dump(args) => pages::dump(args, context)?,
        Command::Pages(args) => pages::pages(args, context)?,
        Command::Page(args) => page::run(args, context)?,
        Command::PageItem(args) => pages::item(args, context)?,
        Command::Surgery(change) => surgery::run(change, context)?,
        Command::Bench(args) => bench::run(args, context)?,
        Command::Version => version(context)?,
        Command::Completion(shell) => shell::completion::<Cli>("bbolt", shell, context)?,
    }
    Ok(if context.monitor.damage() { Verdict::Bad } else { Verdict::Good })
}

fn version(context: &mut Context<'_>) -> Result<(), Fail> {
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    writeln!(context.out, "bbolt Version: 1.5.0")?;
    writeln!(context.out, "coldbolt Version: {}", env!("CARGO_PKG_VERSION"))?;
    Ok(writeln!(context.out, "OS/Arch: {os}/{arch}")?)
}
