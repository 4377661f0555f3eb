//! A snapshot from a member into a file: received, compared with its SHA-256, and verified as any backup is.

use std::fs::File;
use std::path::Path;

use crate::codec::{checksum, to_u64};
use crate::io::Source;
use crate::io::dest::room;
use crate::live::{Cluster, Endpoint};
use crate::ops::output::{ClosedFile, Output, OutputForm};
use crate::ops::verify::{Verdict, Verification, VerifyOptions, refuse_damage, verify};
use crate::snap::backup::TRAILER;
use crate::words::error::{At, Corrupt, Error, Result, show};
use crate::words::finding::Code;
use crate::words::monitor::{Monitor, Relay};
use crate::words::unanswered::Unanswered;

/// What was received.
pub(super) struct Received {
    /// Bytes of the snapshot file, its trailer among them.
    pub bytes: u64,
    /// SHA-256 of all but the trailer.
    pub sha256: [u8; 32],
    /// The age file that it is in, if it was closed.
    pub closed: Option<ClosedFile>,
    /// It, in the clear.
    pub content: Source,
    /// What was found when it was read back.
    pub verification: Verification,
}

/// Receives a snapshot into a file that is open and empty; its name is for messages. `least` is the revision that it
/// cannot be before.
pub(super) fn receive(
    (cluster, endpoint): (&Cluster, &Endpoint),
    (file, name): (&File, &Path),
    form: OutputForm<'_>,
    least: i64,
    digests: bool,
    monitor: &dyn Monitor,
) -> Result<Received> {
    let mut snapshot = cluster.snapshot(endpoint)?;
    let first = snapshot.next()?.unwrap_or_default();
    let due = snapshot.bytes().unwrap_or(0);
    room::ask(file, name, due.saturating_add(TRAILER))?;
    let output = Output::write((file, name), form, true, |out| {
        monitor.begin("receiving", due);
        let mut part = Some(first);
        while let Some(bytes) = part {
            out.write_all(&bytes).map_err(|source| Error::Output { what: show(name), source })?;
            monitor.advance(to_u64(bytes.len()));
            if monitor.cancelled() {
                return Err(Error::Cancelled);
            }
            part = snapshot.next()?;
        }
        monitor.end();
        Ok(())
    })?;
    let (sha256, bytes) = (output.payload, output.bytes);
    let told = snapshot.sha256()?;
    if told != sha256 {
        let what = format!(
            "the member says that the SHA-256 of its snapshot is {}, the {due} bytes that came give {}",
            checksum::hex(&told),
            checksum::hex(&sha256)
        );
        return Err(damaged(endpoint, Corrupt::new(Code::TrailerMismatch, At::offset(due), what)));
    }
    // What is closed can be opened only as long as its output is there; what is not gets its trailer first.
    let opened = if output.is_closed() { Some(output.read_back(name)?) } else { None };
    let closed = output.seal(name)?;
    let written = match opened {
        Some(opened) => opened,
        None => {
            let again = file.try_clone().map_err(|source| Error::Output { what: show(name), source })?;
            Source::from_file(name, again)?
        }
    };
    let options = VerifyOptions { digests, ..VerifyOptions::default() };
    let verification = verify(written.clone(), &options, &Relay::new(monitor).without_findings())?;
    judge(endpoint, &verification, least)?;
    verification.findings.iter().for_each(|finding| monitor.finding(finding.clone()));
    Ok(Received { bytes, sha256, closed, content: written, verification })
}

/// Refuses what is no good backup.
fn judge(endpoint: &Endpoint, verification: &Verification, least: i64) -> Result<()> {
    refuse_damage(&verification.findings, false).map_err(|error| match error {
        Error::Damaged { corrupt, .. } => damaged(endpoint, corrupt),
        other => other,
    })?;
    if verification.verdict == Verdict::Bad {
        let what = "its snapshot is not good at every level";
        return Err(damaged(endpoint, Corrupt::new(Code::Unreadable, At::default(), what)));
    }
    match verification.measured.revision {
        Some(last) if last < least => {
            let told =
                format!("its snapshot ends at revision {last}, before {least}, which it had answered with");
            Err(Error::unreadable(Path::new(&endpoint.to_string()), Unanswered::Nonsense(told)))
        }
        _ => Ok(()),
    }
}

fn damaged(endpoint: &Endpoint, corrupt: Box<Corrupt>) -> Error {
    Error::damaged(Path::new(&endpoint.to_string()), corrupt)
}
