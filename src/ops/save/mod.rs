//! `save`: a snapshot of a cluster that runs, from the member that is best asked, which counts only when it has been
//! verified.

mod compressed;
pub mod keep;
mod receive;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

pub use self::compressed::CompressedFile;
use self::compressed::receive_compressed;
use self::keep::{CLOSED, Keep, is_taken, name, prune, sidecar};
use self::receive::{Received, receive};
use super::output::{ClosedFile, OutputForm};
use super::verify::manifest::{Manifest, ManifestEntry, WrappedContent};
use super::verify::{Verdict, Verification};
use crate::codec::checksum;
use crate::io::Source;
use crate::io::dest::{self, Dest, Existing};
use crate::io::packed::Compression;
use crate::live::choose::{ChosenMember, NoChoice, choose};
use crate::live::{Answered, Cluster, Endpoint, Standing};
use crate::words::cause::Cause;
use crate::words::error::{Error, Result, show};
use crate::words::ids::ClusterId;
use crate::words::monitor::Monitor;
use crate::words::refusal::Refusal;

use crate::words::unanswered::Unanswered;

/// Names that are tried, one a second.
const NAMES: u32 = 10;
/// The longest pause before it is tried again.
const PAUSE: Duration = Duration::from_secs(8);

/// Where a snapshot goes.
#[derive(Debug, Clone, Copy)]
pub enum SaveTo<'p> {
    /// To this file, and its manifest to that one.
    File(&'p Path, Option<&'p Path>),
    /// Into this directory, by a name that says when and of which cluster, with a manifest beside it.
    Directory(&'p Path),
}

/// How a snapshot is saved.
#[derive(Clone, Copy)]
pub struct SaveOptions<'o> {
    /// Whether it is closed.
    pub form: OutputForm<'o>,
    /// Whether it is compressed, and how; if it is closed, before that.
    pub compress: Option<Compression>,
    /// How often it is tried again, from the beginning.
    pub retries: u32,
    /// Which of the older snapshots stay in the directory; `None` is all of them.
    pub keep: Option<Keep>,
    /// The command line, for the manifest.
    pub command: &'o [String],
    /// Hears of a try that failed and is made again.
    pub failed: &'o dyn Fn(&Error),
}

/// What was saved.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct SaveReport {
    /// The file.
    pub output: String,
    /// Its path.
    #[serde(skip)]
    pub path: PathBuf,
    /// Whom it is from.
    pub endpoint: Endpoint,
    /// How that member stood before.
    pub member: Answered,
    /// Why it was asked and no other.
    pub why: String,
    /// The revision up to which a quorum has confirmed that the member has everything; `None` when none was there to
    /// ask, so that the snapshot may lack what others have.
    pub confirmed: Option<i64>,
    /// Endpoints that did not answer, and why.
    pub silent: Vec<String>,
    /// Tries that failed before.
    pub failed: Vec<String>,
    /// Bytes of the snapshot file, its trailer among them.
    pub bytes: u64,
    /// SHA-256 of all but the trailer, in hex.
    pub sha256: String,
    /// How it was compressed, if it was: length and SHA-256 above are those of what is in that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compressed: Option<CompressedFile>,
    /// The age file that it is in, if it was closed: length and SHA-256 above are those of what is in that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed: Option<ClosedFile>,
    /// How it was verified.
    pub verification: Verification,
    /// Its manifest.
    pub manifest: Option<String>,
    /// Older snapshots that were removed.
    pub removed: Vec<String>,
}

/// Saves a snapshot of a cluster. It is there when it is good, or could not be checked in some point that its
/// verification names; else there is none.
///
/// # Errors
/// [`Error::Unreadable`] when no member answers, or not to the end; [`Error::Damaged`] when what came is not good;
/// [`Error::Refused`] for members of different clusters, and for a place that is taken; [`Error::Output`].
pub fn save(
    cluster: &Cluster,
    to: SaveTo<'_>,
    options: &SaveOptions<'_>,
    monitor: &dyn Monitor,
) -> Result<SaveReport> {
    claim(to)?;
    let (mut failed, mut told) = (Vec::new(), Vec::new());
    let mut pause = Duration::from_secs(1);
    loop {
        let mut asked = None;
        match attempt(cluster, to, (&failed, &mut asked), options, monitor) {
            Ok(mut report) => {
                report.failed = told;
                return finish(report, to, options);
            }
            Err(error) if to_u32(told.len()) < options.retries && may_pass(&error) => {
                (options.failed)(&error);
                told.push(error.to_string());
                failed.extend(asked);
                std::thread::sleep(pause);
                pause = pause.saturating_mul(2).min(PAUSE);
            }
            Err(error) => return Err(error),
        }
    }
}

fn to_u32(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Refuses what could not be written after all the work.
fn claim(to: SaveTo<'_>) -> Result<()> {
    match to {
        SaveTo::File(path, manifest) => {
            dest::claim(path, Existing::Keep)?;
            manifest.map_or(Ok(()), |manifest| dest::claim(manifest, Existing::Keep))
        }
        SaveTo::Directory(dir) if dir.is_dir() => Ok(()),
        SaveTo::Directory(dir) => {
            let source = io::Error::new(io::ErrorKind::NotFound, "there is no directory here: make it first");
            Err(Error::Output { what: show(dir), source })
        }
    }
}

/// Whether the same may go well another time, or with another member.
fn may_pass(error: &Error) -> bool {
    match error {
        Error::Unreadable { cause: Cause::Unanswered(why), .. } => match why {
            Unanswered::Tls(_) => false,
            Unanswered::Refused { code, .. } => {
                !["InvalidArgument", "PermissionDenied", "Unauthenticated"].contains(&code.as_str())
            }
            _ => true,
        },
        Error::Damaged { .. } => true,
        _ => false,
    }
}

/// One try, from the beginning; whom it asked is left in `asked`.
fn attempt(
    cluster: &Cluster,
    to: SaveTo<'_>,
    (failed, asked): (&[Endpoint], &mut Option<Endpoint>),
    options: &SaveOptions<'_>,
    monitor: &dyn Monitor,
) -> Result<SaveReport> {
    let standings = cluster.standings();
    let ChosenMember { index, why, confirmable } =
        choose(&standings, failed).map_err(|none| no_choice(none, &standings))?;
    let best = standings.get(index).and_then(|best| Some((&best.endpoint, best.answer.as_ref().ok()?)));
    let Some((endpoint, member)) = best else { return Err(no_choice(NoChoice::Silent, &standings)) };
    *asked = Some(endpoint.clone());
    let confirmed = if confirmable { Some(cluster.catch_up(endpoint)?) } else { None };
    let least = member.revision.max(confirmed.unwrap_or(0));
    let (dest, path) = create(to, member.cluster, options)?;
    let (file, shown) = dest.file()?;
    let digests = !matches!(to, SaveTo::File(_, None));
    let (from, into) = ((cluster, endpoint), (&file, shown));
    let (received, compressed) = match options.compress {
        None => (receive(from, into, options.form, least, digests, monitor)?, None),
        Some(compression) => {
            let form = (compression, options.form);
            let (received, made) = receive_compressed(from, into, form, least, digests, monitor)?;
            (received, Some(made))
        }
    };
    drop(file);
    dest.finish()?;
    let Received { bytes, sha256, closed, verification, .. } = received;
    let silent =
        standings.iter().filter_map(|s| Some(format!("{}: {}", s.endpoint, s.answer.as_ref().err()?)));
    Ok(SaveReport {
        output: show(&path),
        path: path.clone(),
        endpoint: endpoint.clone(),
        member: member.clone(),
        why,
        confirmed: confirmed.map(|confirmed| confirmed.max(member.revision)),
        silent: silent.collect(),
        failed: Vec::new(),
        bytes,
        sha256: checksum::hex(&sha256),
        compressed,
        closed,
        verification,
        manifest: None,
        removed: Vec::new(),
    })
}

/// Makes the file; in a directory, in which another run may have made one in this second, of the next one's name.
fn create(to: SaveTo<'_>, cluster: ClusterId, options: &SaveOptions<'_>) -> Result<(Dest, PathBuf)> {
    let dir = match to {
        SaveTo::File(path, _) => return Ok((Dest::create(path, Existing::Keep)?, path.to_path_buf())),
        SaveTo::Directory(dir) => dir,
    };
    let compressed = options.compress.map_or("", Compression::ending);
    let closed = if matches!(options.form, OutputForm::Clear) { "" } else { CLOSED };
    let mut tries = NAMES;
    loop {
        let now = Timestamp::now();
        let path = dir.join(name(cluster, now, [compressed, closed]));
        tries = u32::saturating_sub(tries, 1);
        if tries == 0 || !is_taken(dir, cluster, now) {
            match Dest::create(&path, Existing::Keep) {
                Err(Error::Refused(_)) if tries > 0 => {}
                made => return Ok((made?, path)),
            }
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// Why no member is asked, as an error.
fn no_choice(none: NoChoice, standings: &[Standing]) -> Error {
    let silent: Vec<_> = standings.iter().filter_map(|s| Some((s, s.answer.as_ref().err()?))).collect();
    match (none, silent.as_slice()) {
        (NoChoice::Silent, [(one, why)]) => {
            Error::unreadable(Path::new(&one.endpoint.to_string()), (*why).clone())
        }
        (NoChoice::Silent, all) => {
            let names: Vec<_> = all.iter().map(|(standing, _)| standing.endpoint.to_string()).collect();
            let each: Vec<_> =
                all.iter().map(|(standing, why)| format!("{}: {why}", standing.endpoint)).collect();
            let why = Unanswered::NoConnection(format!("no member answers; {}", each.join("; ")));
            Error::unreadable(Path::new(&names.join(",")), why)
        }
        (none, _) => Refusal::NoMember { why: none.to_string() }.into(),
    }
}

/// Writes the manifest, and removes what does not stay.
fn finish(mut report: SaveReport, to: SaveTo<'_>, options: &SaveOptions<'_>) -> Result<SaveReport> {
    let path = report.path.clone();
    let good = report.verification.verdict == Verdict::Good;
    let manifest = match to {
        SaveTo::File(_, manifest) => manifest.map(Path::to_path_buf),
        // What has no manifest is not counted among those that may take the place of another.
        SaveTo::Directory(dir) if good => Some(sidecar(&dir.join(path.file_name().unwrap_or_default()))),
        SaveTo::Directory(_) => None,
    };
    if let Some(manifest) = manifest {
        let mut text = Vec::new();
        let written = Manifest::new(options.command.to_vec(), vec![entry(&path, &report)?]).write(&mut text);
        written.map_err(|source| Error::Output { what: show(&manifest), source })?;
        dest::write(&manifest, Existing::Keep, &text)?;
        report.manifest = Some(show(&manifest));
    }
    if let (SaveTo::Directory(dir), Some(keep), true) = (to, options.keep, good) {
        report.removed = prune(dir, &path, report.member.cluster, keep)?;
    }
    Ok(report)
}

/// What the manifest says of it.
fn entry(path: &Path, report: &SaveReport) -> Result<ManifestEntry> {
    let verified = ManifestEntry::of(&report.verification);
    let mut evidence = verified.evidence.clone();
    if let Value::Object(all) = &mut evidence {
        let SaveReport { endpoint, member, why, confirmed, .. } = report;
        let from = json!({ "endpoint": endpoint, "member": member, "why": why, "confirmed": confirmed });
        all.insert("saved_from".to_owned(), from);
    }
    if report.closed.is_none() && report.compressed.is_none() {
        return Ok(ManifestEntry { path: show(path), evidence, ..verified });
    }
    let content = WrappedContent {
        size: report.bytes,
        sha256: verified.sha256.unwrap_or_default(),
        payload_sha256: report.sha256.clone(),
    };
    let made = Source::open(path)?;
    ManifestEntry::made_around(path, &made, content, evidence, &crate::words::monitor::Quiet)
}
