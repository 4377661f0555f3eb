//! The command line.

mod snap;
mod wal;

use std::io::Write;

use clap::{Parser, Subcommand};
use coldbolt::{Error, Finding, Result, Severity};

/// Reads etcd's files when no etcd is running.
#[derive(Debug, Parser)]
#[command(name = "coldbolt", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The write-ahead log.
    #[command(subcommand)]
    Wal(WalCommand),
    /// Raft snapshots (`*.snap`).
    #[command(subcommand)]
    Snap(SnapCommand),
}

#[derive(Debug, Subcommand)]
enum WalCommand {
    Dump(wal::DumpArgs),
}

#[derive(Debug, Subcommand)]
enum SnapCommand {
    Show(snap::ShowArgs),
}

/// Parses the arguments, runs the command, gives the exit code.
pub fn main() -> u8 {
    let cli = Cli::parse();
    let stdout = std::io::stdout();
    let mut out = std::io::BufWriter::new(stdout.lock());
    let result = match &cli.command {
        Command::Wal(WalCommand::Dump(args)) => wal::run(args, &mut out),
        Command::Snap(SnapCommand::Show(args)) => snap::run(args, &mut out),
    };
    let result = result.and_then(|code| out.flush().map(|()| code).map_err(output));
    match result {
        Ok(code) => code,
        Err(Error::Output { source, .. }) if source.kind() == std::io::ErrorKind::BrokenPipe => 0,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "Error: {error}");
            match error {
                Error::Unreadable { .. } => 3,
                _ => 1,
            }
        }
    }
}

/// What a failed write to standard output is.
fn output(source: std::io::Error) -> Error {
    Error::Output { what: "standard output".to_owned(), source }
}

/// Writes everything out, then the findings on standard error; 1 if one of them is damage.
fn finish(out: &mut dyn Write, findings: &[Finding]) -> Result<u8> {
    out.flush().map_err(output)?;
    let mut stderr = std::io::stderr().lock();
    for finding in findings {
        let _ = writeln!(stderr, "{}: {finding}", finding.severity);
    }
    Ok(u8::from(findings.iter().any(|finding| finding.severity == Severity::Damage)))
}
