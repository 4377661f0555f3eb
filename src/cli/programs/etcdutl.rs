//! `etcdutl` (`etcdutl/ctl.go` @ v3.7), with the two commands that it had up to 3.5: they are not in its help.

use std::ffi::OsString;
use std::time::Duration;

use clap::{Parser, Subcommand};

use super::failed::{Failed, answer};
use super::offline::status::Since;
use super::offline::{backup, check_v2store, completion, defrag, hashkv, migrate, restore, status};
use super::{cobra, go};
use crate::cli::context::Context;

const NAME: &str = "etcdutl";
/// The one whose answers these are.
const VERSION: &str = "etcdutl version: 3.7.3\nAPI version: 3.7";
const WAYS: cobra::Ways =
    cobra::Ways { prefixes: true, twice: true, aloud: false, terse: true, version: None };

/// An administrative command line tool for etcd3
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// set the output format (fields, json, protobuf, simple, table)
    #[arg(short, long, global = true, value_name = "string", default_value = "simple")]
    write_out: String,
    /// time to wait to obtain a file lock on db file, 0 to block indefinitely
    #[arg(long, global = true, value_name = "duration", value_parser = go::duration, default_value = "10s")]
    timeout: Duration,
    /// Of a data directory: answer with what only its log holds; etcdutl has no such flag
    #[arg(long, global = true, hide = true)]
    fold: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(hide = true)]
    Backup(backup::Flags),
    /// commands for checking properties
    #[command(hide = true, subcommand)]
    Check(Check),
    Completion(completion::Flags),
    /// Defragments the storage of the etcd
    Defrag {
        #[arg(
            long,
            help = "Required. Defragments a data directory not in use by etcd.",
            value_name = "string"
        )]
        data_dir: OsString,
    },
    /// Prints the KV history hash of a given file
    Hashkv {
        #[arg(value_name = "<filename>")]
        file: OsString,
        /// maximum revision to hash (default: latest revision)
        #[arg(long, value_name = "int", value_parser = go::int, default_value = "0")]
        rev: i64,
    },
    /// Migrates schema of etcd data dir files to make them compatible with different etcd version
    Migrate {
        /// Path to the etcd data dir
        #[arg(long, value_name = "string")]
        data_dir: OsString,
        #[arg(
            long,
            help = "Target etcd version to migrate contents of data dir. Minimal value 3.5. Format \"X.Y\" for example 3.6.",
            value_name = "string"
        )]
        target_version: String,
        #[arg(
            long,
            help = "Ignore migration failure and forcefully override storage version. Not recommended."
        )]
        force: bool,
    },
    /// Manages etcd node snapshots
    #[command(subcommand)]
    Snapshot(Snapshot),
    /// Prints the version of etcdutl
    Version,
}

#[derive(Debug, Subcommand)]
enum Check {
    V2store(check_v2store::Flags),
}

#[derive(Debug, Subcommand)]
enum Snapshot {
    /// Restores an etcd member snapshot to an etcd directory
    #[command(display_name = "restore <filename> --data-dir {output dir} [options] [flags]")]
    Restore(Box<restore::Flags>),
    /// Gets backend snapshot status of a given file
    Status {
        #[arg(value_name = "<filename>", num_args = 0..)]
        files: Vec<OsString>,
    },
}

pub fn run(words: &[OsString]) -> u8 {
    match cobra::parse_as::<Cli>(NAME, WAYS, words) {
        Ok(cli) => answer(|context| work(&cli, context)),
        Err(code) => code,
    }
}

fn work(cli: &Cli, context: &mut Context<'_>) -> Result<(), Failed> {
    let (write_out, timeout) = (cli.write_out.as_str(), cli.timeout);
    match &cli.command {
        Command::Backup(flags) => backup::run(flags, context),
        Command::Check(Check::V2store(flags)) => check_v2store::run(flags, context),
        Command::Completion(flags) => completion::run::<Cli>(NAME, flags, context),
        Command::Defrag { data_dir } => defrag::run(data_dir, timeout, context),
        Command::Hashkv { file, rev } => hashkv::run(file, (*rev, cli.fold), write_out, context),
        Command::Migrate { data_dir, target_version, force } => {
            migrate::run(data_dir, (target_version, *force), timeout, context)
        }
        Command::Snapshot(Snapshot::Restore(flags)) => restore::run(flags, context),
        Command::Snapshot(Snapshot::Status { files }) => {
            status::run(files, (write_out, Since::V37, cli.fold), context)
        }
        Command::Version => Ok(writeln!(context.out, "{VERSION}")?),
    }
}
