use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use coldbolt::Error;
use coldbolt::io::packed::Compression;
use coldbolt::ops::output::OutputForm;
use coldbolt::ops::save::CompressedFile;
use coldbolt::ops::save::keep::Keep;
use coldbolt::ops::{SaveOptions, SaveReport, SaveTo, save};
use coldbolt::report::verdict;
use serde_json::{Value, json};

use super::closing::CloseFor;
use super::context::{Context, Done, Fail};
use super::copy::closed;
use super::hint;
use super::live::Members;
use super::out::{self, Form, command_line, json as print_json, labelled, size};

/// Take a backup of a cluster that runs, and keep it only if it is good.
///
/// As `etcdctl snapshot save`, byte for byte. Unlike it, every endpoint is asked first how it stands and the best is
/// chosen: a follower that has everything before the leader, whom that spares the work; then a member that has run out
/// of space, a learner, one that knows no leader; never one with the alarm CORRUPT, and never members of two clusters.
/// A quorum confirms that the member has all that was acknowledged before the snapshot is taken. What comes is
/// compared with the SHA-256 that the member sends, then verified at every level of `coldbolt verify`; only then it has
/// its name. A try that fails is made again from the beginning, with another member if there is one.
///
/// Nothing is asked for that writes to the cluster, but that to log in with a password is an entry of its log.
///
/// With a directory as -o the name says of which cluster the snapshot is and when it was taken, a manifest is written
/// beside it, and --keep-last, --keep-daily and --keep-weekly remove older ones: only what this command made, by name
/// and manifest, only of the same cluster, and only after the new one was found good. The newest always stays.
///
/// What ETCDCTL_ENDPOINTS, ETCDCTL_CACERT, ETCDCTL_CERT, ETCDCTL_KEY, ETCDCTL_USER and ETCDCTL_PASSWORD say counts
/// where no flag does.
///
/// Exit codes: 0 good; 1 what came is not good, or refused; 3 no member answered to the end, or it could not be
/// written; 4 something could not be checked, as of an etcd that is newer than this program: then the file is there.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt save --from-manifest /etc/kubernetes/manifests/etcd.yaml -o backup-new.db
  coldbolt save --from-manifest /etc/kubernetes/manifests/etcd.yaml -o /backups/ --keep-daily 7 --keep-weekly 4
  coldbolt save --endpoints https://10.0.0.1:2379,https://10.0.0.2:2379 --cacert ca.crt --cert client.crt \
--key client.key -o /backups/ --compress zstd --encrypt-to recipients.txt")]
pub struct Args {
    /// The snapshot file to make, which must not exist; or a directory that does, for a name of its own.
    #[arg(short, long, value_name = "FILE|DIR/")]
    output: PathBuf,
    /// Write down what was saved and how it was verified, for `verify --check-manifest`; of a directory it is always
    /// done.
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Compress it, once it is verified; what is made is unpacked again and compared before it has its name. Meanwhile
    /// it takes the room of the whole snapshot as well, in a file without a name beside it. A name in a directory ends
    /// with .gz or .zst then. With --encrypt-to it is closed after it was compressed, and nothing of it is written in
    /// the clear.
    #[arg(long, value_enum, value_name = "HOW")]
    compress: Option<Compress>,
    /// How often to try again.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(..=100), value_name = "N")]
    retries: u32,
    /// Of the snapshots in the directory keep the newest N.
    #[arg(long, value_name = "N", help_heading = "What stays in the directory")]
    keep_last: Option<NonZeroUsize>,
    /// Keep the newest of each of the last N days that have one (UTC).
    #[arg(long, value_name = "N", help_heading = "What stays in the directory")]
    keep_daily: Option<NonZeroUsize>,
    /// Keep the newest of each of the last N weeks that have one (UTC, from Monday).
    #[arg(long, value_name = "N", help_heading = "What stays in the directory")]
    keep_weekly: Option<NonZeroUsize>,
    #[command(flatten)]
    members: Members,
    #[command(flatten)]
    close: CloseFor,
    /// Format of the answer.
    #[arg(short, long, value_enum, default_value = "table", value_name = "FORMAT")]
    write_out: Form,
}

/// How a snapshot is compressed.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Compress {
    /// Slower, and the smaller file.
    Gzip,
    /// Faster, at zstd's lowest level.
    Zstd,
}

pub fn run(args: &Args, context: &mut Context<'_>) -> Done {
    let to = args.to()?;
    let recipients = args.close.recipients(context.monitor)?;
    let cluster = args.members.cluster(context.monitor)?;
    let monitor = context.monitor;
    let command = command_line();
    let options = SaveOptions {
        form: recipients.as_ref().map_or(OutputForm::Clear, OutputForm::ClosedFor),
        compress: args.compress.map(|how| match how {
            Compress::Gzip => Compression::Gzip,
            Compress::Zstd => Compression::Zstd,
        }),
        retries: args.retries,
        keep: args.keep(),
        command: &command,
        failed: &|error: &Error| monitor.say(&format!("{}; trying again", hint::error(error))),
    };
    let mut report = save(&cluster, to, &options, monitor)?;
    hint::verification(&mut report.verification);
    match args.write_out {
        Form::Json => print_json(context.out, &document(&report, args.members.verified([&report.endpoint])))?,
        Form::Table => {
            screen(context.out, &report)?;
            args.members.warn(context.out)?;
        }
    }
    Ok(report.verification.verdict)
}

impl Args {
    /// A directory is one that is there, or ends as one.
    fn to(&self) -> Result<SaveTo<'_>, Fail> {
        let output = &self.output;
        if output == Path::new("-") || self.manifest.as_deref() == Some(Path::new("-")) {
            let what = "a snapshot and its manifest go to files, never to standard output";
            return Err(Fail::Usage(what.to_owned()));
        }
        if output.is_dir() || output.as_os_str().as_encoded_bytes().ends_with(b"/") {
            if self.manifest.is_some() {
                let what = "--manifest goes with a file: in a directory it has a name of its own";
                return Err(Fail::Usage(what.to_owned()));
            }
            return Ok(SaveTo::Directory(output));
        }
        if self.keep().is_some() {
            let what = "--keep-last, --keep-daily and --keep-weekly go with a directory as -o";
            return Err(Fail::Usage(what.to_owned()));
        }
        let ends = output.as_os_str().as_encoded_bytes();
        if self.compress.is_none() && [&b".gz"[..], b".zst"].iter().any(|end| ends.ends_with(end)) {
            let name = output.display();
            let what =
                format!("{name} is the name of what is compressed: --compress gzip or zstd goes with it");
            return Err(Fail::Usage(what));
        }
        if self.manifest.as_deref() == Some(output) {
            return Err(Fail::Usage("the snapshot and its manifest are two files".to_owned()));
        }
        Ok(SaveTo::File(output, self.manifest.as_deref()))
    }

    fn keep(&self) -> Option<Keep> {
        let Args { keep_last, keep_daily, keep_weekly, .. } = self;
        keep_last.or(*keep_daily).or(*keep_weekly)?;
        let count = |keep: Option<NonZeroUsize>| keep.map_or(0, NonZeroUsize::get);
        Some(Keep { last: count(*keep_last), daily: count(*keep_daily), weekly: count(*keep_weekly) })
    }
}

fn document(report: &SaveReport, verified: bool) -> Value {
    let head = json!({
        "schema": "coldbolt.save/1",
        "tool": concat!("coldbolt ", env!("CARGO_PKG_VERSION")),
        "server_verified": verified,
    });
    out::document(head, report)
}

fn screen(out: &mut dyn Write, report: &SaveReport) -> io::Result<()> {
    let SaveReport { output, endpoint, member, why, bytes, sha256, verification, .. } = report;
    let mut row = |label: &str, text: &str| writeln!(out, "{}", labelled(label, text));
    row("saved", &format!("{output} ({}), SHA-256 {sha256}", size(*bytes)))?;
    row(
        "from",
        &format!(
            "{endpoint}: member {:#} of cluster {:#}, etcd {}",
            member.member, member.cluster, member.version
        ),
    )?;
    row("why", why)?;
    let measured = &verification.measured;
    let has = match report.confirmed {
        Some(_) => "it has all that was acknowledged before",
        None => "NO QUORUM WAS ASKED: it may lack what other members have",
    };
    row("revision", &format!("{}; {has}", measured.revision.unwrap_or(0)))?;
    if let Some(hash) = measured.hashkv {
        row("HashKV", &hash.to_string())?;
    }
    row("verified", &verdict(verification))?;
    if let Some(CompressedFile { compression, bytes, sha256 }) = &report.compressed {
        row("compressed", &format!("{compression} ({}), SHA-256 {sha256}", size(*bytes)))?;
    }
    if let Some(manifest) = &report.manifest {
        row("manifest", manifest)?;
    }
    for removed in &report.removed {
        row("removed", removed)?;
    }
    for silent in &report.silent {
        row("no answer", silent)?;
    }
    closed(out, "closed      ", report.closed.as_ref())
}
