//! The programs that coldbolt answers in the place of: under their name (a link to it), or by `coldbolt as NAME`. Each
//! is a front end of its own over the same library: that program's commands, flags, output and exit codes.

mod bbolt;
mod cobra;
mod dump_db;
mod dump_logs;
mod etcdctl;
mod etcdutl;
mod failed;
mod go;
mod goflag;
mod offline;
mod shell;
mod work;

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::ValueEnum;

/// Answer as another program does: its commands, flags, output and exit codes.
///
/// A link to coldbolt that has the name of one of them does the same.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt as etcdutl snapshot status backup.db -w table
  coldbolt as etcdutl --write-out fields hashkv backup.db
  coldbolt as etcd-dump-logs -start-index 60 /var/lib/etcd
  coldbolt as etcdctl --endpoints http://127.0.0.1:2379 snapshot status backup.db
  coldbolt as bbolt buckets backup.db
  coldbolt as bbolt check backup.db
  coldbolt as bbolt stats backup.db
  coldbolt as bbolt help")]
pub struct Args {
    /// The program.
    #[arg(value_enum, value_name = "PROGRAM")]
    program: Program,
    /// Its arguments.
    #[arg(value_name = "ARGUMENT", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Program {
    /// etcdutl of etcd 3.7.
    Etcdutl,
    /// What etcdctl did up to 3.5 without a server.
    Etcdctl,
    /// etcd-dump-logs of etcd 3.6.
    EtcdDumpLogs,
    /// etcd-dump-db of etcd 3.6.
    EtcdDumpDb,
    /// bbolt 1.5.
    Bbolt,
}

impl Program {
    /// The one whose name this is, as the first word of a command line.
    fn called(word: &OsStr) -> Option<Self> {
        let name = Path::new(word).file_name()?.to_str()?;
        let name = name.strip_suffix(std::env::consts::EXE_SUFFIX).unwrap_or(name);
        Self::value_variants().iter().copied().find(|program| program.name() == name)
    }

    /// The one that a command line is for, by its name or by `as NAME`, and what follows that.
    pub fn named(words: &[OsString]) -> Option<(Self, &[OsString])> {
        match words {
            [called, words @ ..] if Self::called(called).is_some() => Some((Self::called(called)?, words)),
            // Not by clap, which would take `--help` for its own.
            [_, word, name, words @ ..] if word == "as" => {
                Some((Self::from_str(name.to_str()?, false).ok()?, words))
            }
            _ => None,
        }
    }

    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// What `coldbolt as` was given.
pub fn named(args: &Args) -> u8 {
    run(args.program, &args.words)
}

/// Runs a program with what follows its name.
pub fn run(program: Program, words: &[OsString]) -> u8 {
    match program {
        Program::Etcdutl => etcdutl::run(words),
        Program::Etcdctl => etcdctl::run(words),
        Program::EtcdDumpLogs => dump_logs::run(words),
        Program::EtcdDumpDb => dump_db::run(words),
        Program::Bbolt => bbolt::run(words),
    }
}
