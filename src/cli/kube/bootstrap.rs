use std::io::{self, Write};
use std::path::{Path, PathBuf};

use coldbolt::codec::checksum::{hex, sha256};
use coldbolt::io::dest;
use coldbolt::io::dest::dir::{DestDir, Steps};
use coldbolt::kube::certificate::CertificateFacts;
use coldbolt::kube::k3s::{Seal, SharedFile, Token, TokenFault};
use coldbolt::ops::bootstrap;
use coldbolt::ops::bootstrap::BootstrapKey;
use coldbolt::words::cause::Cause;
use coldbolt::words::error::Error;
use serde_json::{Value, json};

use super::super::context::{Context, Done, Fail, Verdict};
use super::super::keys_given;
use super::super::keyspace::File;
use super::super::out::{Form, clean, count, json, plain_table};
use super::super::progress::Terminal;

/// Tell whether a server's token of k3s or rke2 fits a file, and what it opens: the bootstrap data, without which no
/// server starts from the file. Contents are never printed.
///
/// Exit code 1: the token fits none of the bootstrap keys, or the value that it fits was cut or changed. 4: there are
/// no bootstrap keys, or no token was given.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  coldbolt kube bootstrap backup.db --token-file token --extract server")]
pub struct Args {
    #[command(flatten)]
    file: File,
    /// The server's token, whole or the password alone (of k3s server/token in its data directory).
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Write the files into this new directory, as they lie below server in the data directory; a name that servers do
    /// not know is left out.
    #[arg(long, value_name = "DIR", requires = "token_file")]
    extract: Option<PathBuf>,
    /// Format of the answer.
    #[arg(short, long, value_enum, default_value = "table", value_name = "FORMAT")]
    write_out: Form,
}

impl Args {
    /// Whether it writes files.
    pub fn writes(&self) -> bool {
        self.extract.is_some()
    }
}

pub fn run(args: &Args, context: &mut Context<'_>) -> Done {
    if let Some(dir) = &args.extract {
        dest::outside(args.file.path(), dir)?;
    }
    let monitor = context.monitor;
    let token = args.token_file.as_deref().map(|path| token(path, monitor)).transpose()?;
    args.file.with(context, |store, out| {
        let report = bootstrap(store, token.as_ref())?;
        let files = report.opened.as_ref().and_then(|opened| opened.as_deref().ok());
        match args.write_out {
            Form::Table => table(&report.keys, files, out)?,
            Form::Json => {
                let fault = report.opened.as_ref().and_then(|opened| opened.as_ref().err());
                let keys: Vec<_> = report.keys.iter().map(key_json).collect();
                let answer = json!({
                    "schema": "coldbolt.kube-bootstrap/1", "file": store.source().name(),
                    "revision": store.revision(), "keys": keys,
                    "files": files.into_iter().flatten().map(file_json).collect::<Vec<_>>(),
                    "fault": fault.map(ToString::to_string),
                });
                json(out, &answer)?;
            }
        }
        if report.keys.is_empty() {
            monitor.warn("there is no bootstrap key: the file is not that of a server of k3s or rke2");
            return Ok(Verdict::Inconclusive);
        }
        if token.is_none() {
            monitor.say("whether a token fits is told with --token-file");
            return Ok(Verdict::Inconclusive);
        }
        if report.keys.iter().any(|key| key.seal == Some(Seal::Nothing)) {
            monitor.warn("a value is encrypted with no password, as old servers did without a token: anybody can open it");
        }
        let why = match report.opened {
            Some(Ok(files)) => return extracted(args, &files, monitor),
            Some(Err(fault)) => format!("the value {fault}"),
            None => "the token is another one: none of the bootstrap keys is that of it".to_owned(),
        };
        monitor.warn(&why);
        Ok(Verdict::Bad)
    })
}

fn token(path: &Path, monitor: &Terminal) -> Result<Token, Fail> {
    let unreadable = |fault: TokenFault| Error::unreadable(path, Cause::Content(fault.to_string()));
    Ok(Token::parse(&keys_given::read(path, monitor)?).map_err(unreadable)?)
}

/// Writes the files, if they are asked for.
fn extracted(args: &Args, files: &[SharedFile], monitor: &Terminal) -> Result<Verdict, Fail> {
    if let Some(dir) = &args.extract {
        let written = extract(dir, files)?;
        let (all, to) = (count(files.len() as u64), clean(&dir.to_string_lossy()));
        monitor.say(&format!("{} of {all} files written to {to}", count(written)));
    }
    Ok(Verdict::Good)
}

fn table(keys: &[BootstrapKey], files: Option<&[SharedFile]>, out: &mut dyn Write) -> io::Result<()> {
    let row = |key: &BootstrapKey| [key.key.clone(), of_token(key.seal).to_owned()];
    writeln!(out, "{}", plain_table(["KEY", "OF THE TOKEN"], keys.iter().map(row)))?;
    if let Some(files) = files {
        let header = ["NAME", "PLACE", "BYTES", "CHANGED", "SHA-256", "CERTIFICATE", "ENDS"];
        writeln!(out, "{}", plain_table(header, files.iter().map(row_of)))?;
    }
    Ok(())
}

fn of_token(seal: Option<Seal>) -> &'static str {
    match seal {
        Some(Seal::Password) => "yes",
        Some(Seal::WholeToken) => "yes, of its whole text",
        Some(Seal::Nothing) => "of none",
        None => "no",
    }
}

fn key_json(key: &BootstrapKey) -> Value {
    json!({"key": key.key, "of_token": key.seal.is_some(), "seal": key.seal})
}

fn file_json(file: &SharedFile) -> Value {
    let certificate = |one: CertificateFacts| {
        let (from, until) = (one.not_before.to_string(), one.not_after.to_string());
        json!({"subject": one.subject, "not_before": from, "not_after": until})
    };
    let certificates: Vec<_> = file.certificates().into_iter().map(certificate).collect();
    json!({
        "name": file.name, "place": file.place, "bytes": file.content.len(), "timestamp": file.timestamp,
        "sha256": hex(&sha256(&file.content)), "certificates": certificates,
    })
}

fn row_of(file: &SharedFile) -> [String; 7] {
    let changed = file.timestamp.as_deref().map_or_else(String::new, clean);
    let place = file.place.unwrap_or("(unknown)").to_owned();
    let certificates = file.certificates();
    let ends = certificates.iter().map(|certificate| certificate.not_after).min();
    let subject = certificates.first().map_or_else(String::new, |first| first.subject.to_string());
    let more =
        if certificates.len() > 1 { format!(" and {} more", certificates.len() - 1) } else { String::new() };
    [
        clean(&file.name),
        place,
        count(file.content.len() as u64),
        changed,
        hex(&sha256(&file.content)),
        format!("{subject}{more}"),
        ends.map_or_else(String::new, |ends| ends.to_string()),
    ]
}

/// How many files were written; only places that servers know are.
fn extract(path: &Path, files: &[SharedFile]) -> Result<u64, Fail> {
    let mut dir = DestDir::create(path, Steps::free())?;
    let mut written = 0;
    for (file, place) in files.iter().filter_map(|file| Some((file, Path::new(file.place?)))) {
        dir.dir(place.parent().unwrap_or(Path::new("")))?;
        dir.write(place, &file.content)?;
        written += 1;
    }
    dir.place()?;
    Ok(written)
}
