use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use coldbolt::io::closed::MOST_WORK;
use coldbolt::io::dest::{Dest, Existing};
use coldbolt::io::{Source, os};
use coldbolt::ops::closed::{ClosedReport, FileSum, Reading, decrypt, encrypt};
use serde_json::json;

use super::closing::{identities, recipients};
use super::context::{Context, Done, Fail, Verdict};
use super::from_to::FromTo;
use super::keyspace::refuse_terminal;
use super::out::{Form, clean, json, size};

/// Close a file with age: for the holders of keys, or with a passphrase.
///
/// What is made is an age file (https://age-encryption.org/v1), which `age`, `rage` and `coldbolt decrypt` open.
/// Recipients are X25519 keys as `age-keygen` makes them (age1...); keys of ssh and of plugins are not known here. A
/// passphrase is read from a file and never from an argument; of what programs make, a key is better and quicker.
///
/// FILE is not looked into: a snapshot file that is made by coldbolt is closed as it is made with `--encrypt-to` of
/// `copy`, `replay`, `defrag`, `seal` and `export`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt encrypt backup.db -o backup.db.age --to recipients.txt
  coldbolt encrypt backup.db -o one.age --to age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa
  coldbolt encrypt - -o new.db.age --to recipients.txt < backup.db
  coldbolt encrypt backup.db -o phrase.age --passphrase-file passphrase.txt")]
#[command(group(clap::ArgGroup::new("for").required(true).multiple(true)))]
pub struct EncryptArgs {
    #[command(flatten)]
    both: FromTo,
    /// A recipient (age1...), or a file of recipients, a line each; may be repeated, each of them opens the file.
    #[arg(long, group = "for", value_name = "RECIPIENT|FILE", conflicts_with = "passphrase_file")]
    to: Vec<PathBuf>,
    /// A file whose one line is the passphrase.
    #[arg(long, group = "for", value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

/// Open a file that was closed with age.
///
/// A file appears whole or not at all. To standard output the content goes as it is opened: if the file turns out to
/// be cut or changed further on, what was written so far is right, and the exit code is 1.
///
/// Only the binary form is read, and keys that `age-keygen` made (AGE-SECRET-KEY-1...); with armored files, keys of ssh
/// and plugins, `age` helps.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt decrypt closed.age -o opened.db --identity key.txt
  coldbolt decrypt - -o piped.db --identity key.txt < closed.age
  coldbolt decrypt closed.age -o opened.db --passphrase-file passphrase.txt")]
#[command(group(clap::ArgGroup::new("with").required(true).multiple(true)))]
pub struct DecryptArgs {
    #[command(flatten)]
    both: FromTo,
    /// A file of secret keys, as `age-keygen` makes it; may be repeated.
    #[arg(short, long, group = "with", value_name = "FILE", conflicts_with = "passphrase_file")]
    identity: Vec<PathBuf>,
    /// A file whose one line is the passphrase.
    #[arg(long, group = "with", value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// The most work that is done for a passphrase, whatever the file asks for: 20 is 1 GiB of memory and some seconds,
    /// each one more twice that.
    #[arg(long, default_value_t = MOST_WORK, value_name = "N", requires = "passphrase_file",
        value_parser = clap::value_parser!(u8).range(1..=30))]
    max_work_factor: u8,
}

/// Does the work on what is read.
fn reading<T>(both: &FromTo, work: impl FnOnce(Reading<'_>) -> Result<T, Fail>) -> Result<T, Fail> {
    if both.path == Path::new("-") {
        let name = Path::new("(standard input)");
        let mut stdin: Box<dyn Read> = Box::new(io::stdin().lock());
        return work(Reading::Stream(name, &mut *stdin));
    }
    work(Reading::File(Source::open(&both.path)?))
}

fn finish(both: &FromTo, schema: &str, report: &ClosedReport, context: &mut Context<'_>) -> Done {
    let ClosedReport { source, closed_for, plain, closed, .. } = report;
    let output = both.output.to_string_lossy();
    if both.write_out == Some(Form::Json) {
        json(
            context.out,
            &json!({
                "schema": schema,
                "source": source,
                "output": output,
                "closed_for": closed_for,
                "plain": plain,
                "closed": closed,
            }),
        )?;
        return Ok(Verdict::Good);
    }
    writeln!(context.out, "source      {source}\noutput      {}", clean(&output))?;
    writeln!(context.out, "closed for  {closed_for}")?;
    for (what, FileSum { bytes, sha256 }) in [("content", plain), ("age file", closed)] {
        writeln!(context.out, "{what:<11} {}, SHA-256 {sha256}", size(*bytes))?;
    }
    Ok(Verdict::Good)
}

const STDOUT: &str = "standard output";

/// Standard output for another thread: this one holds the lock of Rust's own.
pub fn stdout_file() -> Result<File, Fail> {
    Ok(os::standard_output()?)
}

pub fn run_encrypt(args: &EncryptArgs, context: &mut Context<'_>) -> Done {
    let (both, monitor) = (&args.both, context.monitor);
    let stdout = both.to_stdout()?;
    let recipients = recipients(&args.to, args.passphrase_file.as_deref(), monitor)?;
    if stdout {
        refuse_terminal()?;
        let to = (stdout_file()?, Path::new(STDOUT));
        reading(both, |from| encrypt(from, to, &recipients, monitor).map_err(cut))?;
        return Ok(Verdict::Good);
    }
    let report = reading(both, |from| {
        let dest = Dest::create(&both.output, Existing::Keep)?;
        let (dest, report) = encrypt(from, (dest, &both.output), &recipients, monitor)?;
        dest.finish()?;
        Ok(report)
    })?;
    finish(both, "coldbolt.encrypt/1", &report, context)
}

pub fn run_decrypt(args: &DecryptArgs, context: &mut Context<'_>) -> Done {
    let (both, monitor) = (&args.both, context.monitor);
    let stdout = both.to_stdout()?;
    let most = args.max_work_factor;
    let identities = identities(&args.identity, args.passphrase_file.as_deref(), most, monitor)?;
    if stdout {
        refuse_terminal()?;
        let to = (&mut *context.out, Path::new(STDOUT));
        reading(both, |from| decrypt(from, to, &identities, monitor).map_err(cut))?;
        return Ok(Verdict::Good);
    }
    let report = reading(both, |from| {
        let mut dest = Dest::create(&both.output, Existing::Keep)?;
        let report = decrypt(from, (&mut dest, &both.output), &identities, monitor)?;
        dest.finish()?;
        Ok(report)
    })?;
    finish(both, "coldbolt.decrypt/1", &report, context)
}

/// Less than all of it on standard output is a failure: it is no answer of which somebody has read enough.
fn cut(error: coldbolt::Error) -> Fail {
    match error {
        coldbolt::Error::Output { source, .. } if source.kind() == io::ErrorKind::BrokenPipe => Fail::Cut,
        other => Fail::Library(other),
    }
}
