//! The command line: arguments, dispatch, exit codes. Everything below sees only the library's public API.

mod bolt;
mod carve;
mod closed;
mod closing;
mod color;
mod compare;
mod context;
mod copy;
mod database;
mod defrag;
mod diff;
mod events;
mod evidence;
mod exit;
mod explain;
mod export;
mod facts;
mod format;
mod from_to;
mod get;
mod hashkv;
mod hint;
mod history;
mod input;
mod inspect;
mod keys;
mod keys_given;
mod keyspace;
mod kube;
#[cfg(feature = "live")]
mod live;
mod man;
mod member;
mod migrate;
mod misc;
mod named;
mod objects;
mod out;
#[cfg(feature = "parquet")]
mod parquet;
mod policy;
mod programs;
mod progress;
mod rank;
mod replay;
mod report;
mod restore;
mod salvage;
#[cfg(feature = "live")]
mod save;
mod seal;
mod sides;
mod signals;
mod snap;
mod status;
mod timeline;
mod verify;
mod wal;
mod wal_objects;
mod wal_v2;

use std::ffi::OsString;
use std::io::{self, Write};
use std::panic;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::builder::Resettable;
use clap::{Arg, Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use coldbolt::io::packed;

use self::color::ColorWhen;
use self::context::{Context, Done, Fail};
use self::progress::{ProgressMode, Talk, Terminal};

/// Tools for etcd's files when no etcd is running.
///
/// Every command opens its inputs read-only and leaves them byte-identical, but for `defrag` and `migrate` with
/// `--data-dir`. PATH may be a snapshot file, a member's db, a data directory, or - for standard input; each of them
/// compressed or in an archive or the image of a disk too, where ARCHIVE:PATH names one of several.
#[derive(Debug, Parser)]
#[command(
    name = "coldbolt",
    version,
    max_term_width = 110,
    propagate_version = true,
    disable_help_subcommand = true,
    after_help = "\
Examples:
  coldbolt status backup.db
  coldbolt inspect /var/lib/etcd
  coldbolt verify backup.db"
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// Progress on standard error: a bar on a terminal for work over a second, JSON lines, or none.
    #[arg(
        long,
        global = true,
        env = "COLDBOLT_PROGRESS",
        value_enum,
        default_value = "auto",
        value_name = "HOW"
    )]
    progress: ProgressMode,
    /// Say nothing on standard error but errors, warnings and damage.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say also what was read and how long that took, and (`verify`) what was passed over.
    #[arg(short, long, global = true)]
    verbose: bool,
    /// Colour of verdicts, severities and differences.
    #[arg(
        long,
        global = true,
        env = "COLDBOLT_COLOR",
        value_enum,
        default_value = "auto",
        value_name = "WHEN"
    )]
    color: ColorWhen,
    /// Threads to use, at most four for each core; 0 is one for each core.
    #[arg(short, long, global = true, env = "COLDBOLT_JOBS", default_value_t = 0, value_name = "N")]
    jobs: usize,
    /// Map files into memory instead of reading them: only for files that nobody writes to, on a good disk; one that
    /// shrinks meanwhile or has a bad sector ends the program.
    #[arg(long, global = true)]
    mmap: bool,
    /// Take no more than so many bytes from standard input, as 20G [default: twice what the database in it has].
    #[arg(long, global = true, env = "COLDBOLT_MAX_INPUT", value_parser = named::bytes, value_name = "BYTES")]
    max_input: Option<u64>,
    /// Unpack what is compressed or an archive to no more than so many bytes, as 100G [default: 64G, and past 1G 500
    /// times what it was].
    #[arg(long, global = true, env = "COLDBOLT_MAX_UNPACKED")]
    #[arg(value_parser = named::bytes, value_name = "BYTES")]
    max_unpacked: Option<u64>,
    /// Read files that are closed with age as what is in them, by the secret keys in this file; may be repeated. More
    /// than 32 MiB are put into a file without a name in TMPDIR meanwhile.
    #[arg(long, global = true, env = "COLDBOLT_AGE_IDENTITY", value_name = "FILE")]
    age_identity: Vec<PathBuf>,
}

impl Global {
    fn talk(&self) -> Talk {
        match (self.quiet, self.verbose) {
            (true, _) => Talk::Quiet,
            (_, true) => Talk::Verbose,
            _ => Talk::Usual,
        }
    }

    /// What of them changes an answer, as it was given.
    fn words(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec![format!("--jobs={}", self.jobs).into()];
        words.extend(self.mmap.then(|| "--mmap".into()));
        words.extend(self.max_unpacked.map(|most| format!("--max-unpacked={most}").into()));
        let identity = |file: &PathBuf| ["--age-identity".into(), file.clone().into_os_string()];
        words.extend(self.age_identity.iter().flat_map(identity));
        words
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    Status(Box<status::Args>),
    Hashkv(hashkv::Args),
    Inspect(inspect::Args),
    Verify(Box<verify::Args>),
    #[cfg(feature = "live")]
    Save(Box<save::Args>),
    Copy(Box<copy::Args>),
    Replay(Box<replay::Args>),
    Rank(rank::Args),
    /// Who is a member, in the files of one that is stopped: for when the quorum is lost.
    #[command(subcommand)]
    Member(member::Command),
    Seal(seal::SealArgs),
    Unseal(seal::UnsealArgs),
    Encrypt(closed::EncryptArgs),
    Decrypt(closed::DecryptArgs),
    Restore(Box<restore::Args>),
    Defrag(defrag::Args),
    Migrate(migrate::Args),
    Get(Box<get::Args>),
    Keys(keys::Args),
    History(history::Args),
    Carve(carve::Args),
    Timeline(Box<timeline::Args>),
    Salvage(salvage::Args),
    Events(events::Args),
    Evidence(evidence::Args),
    Diff(diff::Args),
    Compare(Box<compare::Args>),
    Export(export::Args),
    Leases(facts::LeasesArgs),
    Auth(facts::AuthArgs),
    Alarms(facts::AlarmsArgs),
    Members(facts::MembersArgs),
    #[command(subcommand)]
    Kube(kube::Command),
    /// The commands of `etcdutl snapshot`.
    #[command(subcommand)]
    Snapshot(Snapshot),
    /// The write-ahead log (member/wal).
    #[command(subcommand)]
    Wal(Wal),
    /// Raft snapshots (member/snap/*.snap).
    #[command(subcommand)]
    Snap(Snap),
    /// Raw views of a bbolt file, for the expert: buckets, keys, pages, as the `bbolt` command prints them.
    #[command(subcommand)]
    Bolt(bolt::Command),
    Explain(explain::Args),
    As(programs::Args),
    Version(misc::VersionArgs),
    Completion(misc::CompletionArgs),
    Man(man::Args),
}

#[derive(Debug, Subcommand)]
enum Snapshot {
    Status(Box<status::Args>),
    Restore(Box<restore::Args>),
}

#[derive(Debug, Subcommand)]
enum Wal {
    Dump(wal::DumpArgs),
}

#[derive(Debug, Subcommand)]
enum Snap {
    Show(snap::ShowArgs),
}

pub fn main() -> ExitCode {
    panic::set_hook(Box::new(|info| {
        let _ = writeln!(
            io::stderr(),
            "coldbolt: internal error: {info}\n\
             This is a fault in coldbolt, your input was not changed. Please report it."
        );
    }));
    let given: Vec<OsString> = std::env::args_os().collect();
    if let Some((program, words)) = programs::Program::named(&given) {
        return ended(|| programs::run(program, words));
    }
    let given = command().get_matches_from(words(given));
    let cli = Cli::from_arg_matches(&given).unwrap_or_else(|error| error.exit());
    if let Command::As(args) = &cli.command {
        return ended(|| programs::named(args));
    }
    color::choose(cli.global.color);
    if cli.global.jobs > 0 {
        coldbolt::io::parallel::start(threads(cli.global.jobs));
    }
    coldbolt::io::map_all_files(cli.global.mmap);
    if let Some(most) = cli.global.max_input {
        input::at_most(most);
    }
    if let Some(most) = cli.global.max_unpacked {
        packed::at_most(most);
    }
    if writes(&cli.command) {
        signals::tidy();
    }
    ended(|| run(&cli))
}

/// The exit code of the work, whatever becomes of it.
fn ended(work: impl FnOnce() -> u8 + panic::UnwindSafe) -> ExitCode {
    panic::catch_unwind(work).map_or(ExitCode::from(exit::FAULT), ExitCode::from)
}

/// `-o FORMAT` and `--output FORMAT` are `-w FORMAT`, as kubectl says it, where no `-o` names a file.
fn formats_both_ways(mut command: clap::Command) -> clap::Command {
    let names_a_file =
        command.get_arguments().any(|arg| arg.get_short() == Some('o') || arg.get_long() == Some("output"));
    if !names_a_file && command.get_arguments().any(|arg| arg.get_id() == "write_out") {
        let both = |arg: Arg| arg.visible_short_alias('o').visible_alias("output");
        command = command.mut_arg("write_out", both);
    }
    command.mut_subcommands(formats_both_ways)
}

/// The program, with the table of its exit codes.
fn command() -> clap::Command {
    let command = formats_both_ways(Cli::command()).mut_args(|arg| {
        let empty =
            arg.get_env().is_some_and(|name| std::env::var_os(name).is_some_and(|value| value.is_empty()));
        if empty { arg.env(Resettable::Reset) } else { arg }
    });
    // Past 100 columns the help is not wider either.
    let columns = out::columns().unwrap_or(80).clamp(40, 100);
    let codes = exit::TABLE.map(|(code, meaning)| hanging(code, meaning, columns)).join("\n");
    let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    command.after_long_help(format!("Exit codes:\n{codes}\n\n{examples}"))
}

/// A row of two columns, the second in lines that fit into that many.
fn hanging(head: &str, text: &str, columns: usize) -> String {
    let mut row = format!("  {head:<8} ");
    let mut width = row.len();
    for word in text.split(' ') {
        if width + word.len() >= columns {
            row.push_str("\n           ");
            width = 11;
        }
        row.push(' ');
        row.push_str(word);
        width += word.len() + 1;
    }
    row
}

/// The command line; `help COMMAND` is `COMMAND --help`.
fn words(given: Vec<OsString>) -> Vec<OsString> {
    let mut given: Vec<_> = given.into_iter().map(input::named_in_standard_input).collect();
    if given.get(1).is_some_and(|word| word == "help") {
        given.remove(1);
        given.push("--help".into());
    }
    given
}

/// Threads to start when that many are asked for: past a few for each core they only stand in each other's way.
fn threads(asked: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let most = cores.saturating_mul(4);
    if asked > most {
        let _ = writeln!(io::stderr(), "--jobs {asked}: {most} threads are used, four for each core");
    }
    asked.min(most)
}

fn run(cli: &Cli) -> u8 {
    let monitor = Arc::new(Terminal::new(cli.global.progress, cli.global.talk()));
    packed::tell(Arc::<Terminal>::clone(&monitor));
    let answer = Answer { out: io::stdout().lock(), judged: judges(&cli.command), gone: false };
    let mut out = io::BufWriter::with_capacity(1 << 16, answer);
    let mut context = Context { out: &mut out, monitor: &monitor };
    let keys = closing::open_with(&cli.global.age_identity, &monitor);
    let done = keys.and_then(|()| dispatch(cli, &mut context));
    let done = done.and_then(|verdict| out.flush().map(|()| verdict).map_err(Fail::Output));
    monitor.close();
    exit::code(done, &monitor)
}

/// Standard output. That its reader goes away is the reader's own choice: a verdict is not changed by it, so that the
/// work goes on to its end where the exit code is one.
struct Answer {
    out: io::StdoutLock<'static>,
    judged: bool,
    gone: bool,
}

impl Answer {
    fn heard<T>(&mut self, done: io::Result<T>, unheard: T) -> io::Result<T> {
        match done {
            Err(error) if self.judged && error.kind() == io::ErrorKind::BrokenPipe => {
                self.gone = true;
                Ok(unheard)
            }
            done => done,
        }
    }
}

impl Write for Answer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let done = if self.gone { Ok(bytes.len()) } else { self.out.write(bytes) };
        self.heard(done, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let done = if self.gone { Ok(()) } else { self.out.flush() };
        self.heard(done, ())
    }
}

/// Whether the exit code is a verdict that takes all the work.
fn judges(command: &Command) -> bool {
    matches!(
        command,
        Command::Verify(_)
            | Command::Rank(_)
            | Command::Compare(_)
            | Command::Diff(_)
            | Command::Inspect(_)
            | Command::Status(_)
            | Command::Snapshot(Snapshot::Status(_))
            | Command::Hashkv(_)
            | Command::Evidence(_)
            | Command::Salvage(_)
    ) || matches!(command, Command::Kube(command) if command.judges())
        || matches!(command, Command::Bolt(command) if command.writes())
}

/// Whether something may be under way that a signal has to remove.
fn writes(command: &Command) -> bool {
    match command {
        Command::Copy(_)
        | Command::Replay(_)
        | Command::Seal(_)
        | Command::Unseal(_)
        | Command::Encrypt(_)
        | Command::Decrypt(_)
        | Command::Restore(_)
        | Command::Snapshot(Snapshot::Restore(_))
        | Command::Defrag(_)
        | Command::Migrate(_)
        | Command::Salvage(_)
        | Command::Export(_)
        | Command::Evidence(_)
        | Command::Man(_)
        | Command::Verify(_) => true,
        #[cfg(feature = "live")]
        Command::Save(_) => true,
        Command::Member(command) => command.writes(),
        Command::Kube(command) => command.writes(),
        Command::Bolt(command) => command.writes(),
        _ => false,
    }
}

fn dispatch(cli: &Cli, context: &mut Context<'_>) -> Done {
    match &cli.command {
        Command::Status(args) | Command::Snapshot(Snapshot::Status(args)) => status::run(args, context),
        Command::Hashkv(args) => hashkv::run(args, context),
        Command::Inspect(args) => inspect::run(args, context),
        Command::Verify(args) => verify::run(args, context),
        #[cfg(feature = "live")]
        Command::Save(args) => save::run(args, context),
        Command::Copy(args) => copy::run(args, context),
        Command::Replay(args) => replay::run(args, context),
        Command::Rank(args) => rank::run(args, context),
        Command::Member(command) => member::run(command, context),
        Command::Seal(args) => seal::seal(args, context),
        Command::Unseal(args) => seal::unseal(args, context),
        Command::Encrypt(args) => closed::run_encrypt(args, context),
        Command::Decrypt(args) => closed::run_decrypt(args, context),
        Command::Restore(args) | Command::Snapshot(Snapshot::Restore(args)) => restore::run(args, context),
        Command::Defrag(args) => defrag::run(args, context),
        Command::Migrate(args) => migrate::run(args, context),
        Command::Get(args) => get::run(args, context),
        Command::Keys(args) => keys::run(args, context),
        Command::Diff(args) => diff::run(args, context),
        Command::Compare(args) => compare::run(args, context),
        Command::Export(args) => export::run(args, context),
        Command::Leases(args) => facts::leases(args, context),
        Command::Auth(args) => facts::auth(args, context),
        Command::Alarms(args) => facts::alarms(args, context),
        Command::Members(args) => facts::members(args, context),
        Command::History(args) => history::run(args, context),
        Command::Carve(args) => carve::run(args, context),
        Command::Timeline(args) => timeline::run(args, context),
        Command::Salvage(args) => salvage::run(args, context),
        Command::Events(args) => events::run(args, context),
        Command::Evidence(args) => evidence::run(args, &cli.global.words(), context),
        Command::Wal(Wal::Dump(args)) => wal::run(args, context),
        Command::Snap(Snap::Show(args)) => snap::run(args, context),
        Command::Bolt(command) => bolt::run(command, context),
        Command::Kube(command) => kube::run(command, context),
        Command::Explain(args) => explain::run(args, context),
        // Has a front end of its own, which `main` runs.
        Command::As(_) => Ok(context::Verdict::Good),
        Command::Version(args) => misc::version(args, context),
        Command::Completion(args) => misc::completion(args, self::command(), context),
        Command::Man(args) => man::run(args, self::command(), context),
    }
}
