//! `etcdctl`, as far as it needs no server: its commands on snapshot files and data directories up to 3.5
//! (`etcdctl/ctlv3` @ v3.5). The others it refuses, and names the command of coldbolt that does something like it.

use std::ffi::OsString;

use clap::{Arg, ArgAction, ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

use super::cobra;
use super::failed::{Failed, answer};
use super::offline::status::Since;
use super::offline::{completion, defrag, restore, status};
use crate::cli::context::Context;

const NAME: &str = "etcdctl";
/// The one whose answers these are.
const VERSION: &str = "etcdctl version: 3.5.1\nAPI version: 3.5";
const WAYS: cobra::Ways =
    cobra::Ways { prefixes: true, twice: true, aloud: false, terse: true, version: None };

/// Flags of every command that tell how a server is reached, or mean nothing here.
const IGNORED: [(&str, &str); 19] = [
    ("auth-jwt-token", "string"),
    ("cacert", "string"),
    ("cert", "string"),
    ("command-timeout", "duration"),
    ("debug", ""),
    ("dial-timeout", "duration"),
    ("discovery-srv", "string"),
    ("discovery-srv-name", "string"),
    ("endpoints", "strings"),
    ("hex", ""),
    ("insecure-discovery", ""),
    ("insecure-skip-tls-verify", ""),
    ("insecure-transport", ""),
    ("keepalive-time", "duration"),
    ("keepalive-timeout", "duration"),
    ("key", "string"),
    ("max-recv-bytes", "int"),
    ("password", "string"),
    ("user", "string"),
];

/// Commands that ask a server, and what of coldbolt's answers from files or asks one.
const SERVERS: [(&str, &str); 21] = [
    ("alarm", "`coldbolt alarms` reads them from a file"),
    ("auth", "`coldbolt auth` reads it from a file"),
    ("check", ""),
    ("compaction", ""),
    ("del", ""),
    ("downgrade", "`coldbolt migrate` lowers the storage version of a stopped member"),
    ("elect", ""),
    ("endpoint", "`coldbolt status --endpoints` and `coldbolt compare --endpoints` ask members that run"),
    ("get", "`coldbolt get` reads from a file"),
    ("lease", "`coldbolt leases` reads them from a file"),
    ("lock", ""),
    ("make-mirror", ""),
    ("member", "`coldbolt members` reads them from a file, `coldbolt member` changes them in one"),
    ("migrate", ""),
    ("move-leader", ""),
    ("put", ""),
    ("role", "`coldbolt auth` reads them from a file"),
    ("txn", ""),
    ("user", "`coldbolt auth` reads them from a file"),
    ("watch", "`coldbolt events` reads what happened from a file"),
    ("snapshot save", "`coldbolt save` does it"),
];

/// A simple command line client for etcd3: the commands that need no server
#[derive(Debug, Parser)]
struct Declared {
    #[command(subcommand)]
    command: Command,
    /// set the output format (fields, json, protobuf, simple, table)
    #[arg(short, long, global = true, value_name = "string", default_value = "simple")]
    write_out: String,
}

#[derive(Debug, Subcommand)]
enum Command {
    Completion(completion::Flags),
    /// Defragments the storage of an etcd that is stopped
    Defrag {
        /// Optional. If present, defragments a data directory not in use by etcd.
        #[arg(long, value_name = "string")]
        data_dir: Option<OsString>,
    },
    /// Manages etcd node snapshots
    #[command(subcommand)]
    Snapshot(Snapshot),
    /// Prints the version of etcdctl
    Version,
}

#[derive(Debug, Subcommand)]
enum Snapshot {
    /// Restores an etcd member snapshot to an etcd directory
    #[command(display_name = "restore <filename> [options] [flags]")]
    Restore(Box<restore::Flags>),
    /// Gets backend snapshot status of a given file
    Status {
        #[arg(value_name = "<filename>", num_args = 0..)]
        files: Vec<OsString>,
    },
}

/// What is declared, with the flags that are not looked at.
struct Cli(Declared);

impl CommandFactory for Cli {
    fn command() -> clap::Command {
        let ignored = IGNORED.map(|(name, kind)| {
            let flag = Arg::new(name).long(name).global(true).hide(true);
            let flag = if name == "discovery-srv" { flag.short('d') } else { flag };
            match kind {
                "" => flag.action(ArgAction::SetTrue),
                "strings" => flag.action(ArgAction::Append).value_name(kind),
                _ => flag.value_name(kind),
            }
        });
        Declared::command().args(ignored)
    }

    fn command_for_update() -> clap::Command {
        Self::command()
    }
}

impl FromArgMatches for Cli {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Declared::from_arg_matches(matches).map(Cli)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

pub fn run(words: &[OsString]) -> u8 {
    if let Some((name, instead)) = asks_a_server(words) {
        return answer(|_| Err(no_server(name, instead)));
    }
    match cobra::parse_as::<Cli>(NAME, WAYS, words) {
        Ok(Cli(cli)) => answer(|context| work(&cli, context)),
        Err(code) => code,
    }
}

/// The command among those that ask a server, if it is one.
fn asks_a_server(words: &[OsString]) -> Option<(&'static str, &'static str)> {
    let named = cobra::leading::<Cli>(NAME, words);
    let is = |name: &str| name.split(' ').eq(named.iter().take(name.split(' ').count()).map(String::as_str));
    SERVERS.into_iter().find(|(name, _)| is(name))
}

fn no_server(name: &str, instead: &str) -> Failed {
    let instead = if instead.is_empty() { String::new() } else { format!(": {instead}") };
    format!("etcdctl {name} needs a server, and coldbolt is not its client{instead}").into()
}

fn work(cli: &Declared, context: &mut Context<'_>) -> Result<(), Failed> {
    match &cli.command {
        Command::Completion(flags) => completion::run::<Cli>(NAME, flags, context),
        Command::Defrag { data_dir: Some(dir) } => {
            defrag::run(dir, std::time::Duration::from_secs(10), context)
        }
        Command::Defrag { data_dir: None } => {
            Err(no_server("defrag", "with --data-dir it takes the directory of a stopped member"))
        }
        Command::Snapshot(Snapshot::Restore(flags)) => restore::run(flags, context),
        Command::Snapshot(Snapshot::Status { files }) => {
            status::run(files, (&cli.write_out, Since::V34, false), context)
        }
        Command::Version => Ok(writeln!(context.out, "{VERSION}")?),
    }
}
