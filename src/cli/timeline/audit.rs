//! The audit logs that are given.

use std::collections::HashSet;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use coldbolt::io::Source;
use coldbolt::io::packed::{FRONT, Wrapper, unpack};
use coldbolt::io::reader::SourceReader;
use coldbolt::kube::audit::AuditLog;
use coldbolt::words::cause::Cause;
use coldbolt::words::error::{Error, show};

use crate::cli::context::Fail;
use crate::cli::out::count;
use crate::cli::progress::Terminal;

/// Bytes of requests that are kept of audit logs.
const MOST: u64 = 512 << 20;

/// Reads audit logs, in the order of their times.
pub fn read(paths: &[PathBuf], monitor: &Terminal) -> Result<AuditLog, Fail> {
    let mut all = AuditLog::default();
    for path in paths {
        let unreadable = |error: io::Error| Error::unreadable(path, Cause::Io(error));
        let log = AuditLog::read(&mut BufReader::with_capacity(1 << 16, stream(path)?), MOST);
        let log = log.map_err(unreadable)?;
        say(&log, &show(path), monitor);
        all.events.extend(log.events);
        all.unreadable += log.unreadable;
        all.not_text += log.not_text;
        all.left_out += log.left_out;
    }
    all.events.sort_by_key(|event| event.received);
    // A log and its copy beside it, or the log of two servers behind one address.
    let mut seen = HashSet::new();
    all.events.retain(|event| event.id.is_empty() || seen.insert(event.id.clone()));
    Ok(all)
}

/// What a file brings, unpacked; of pipes only standard input is waited for.
fn stream(path: &Path) -> Result<Box<dyn Read + Send>, Fail> {
    let mut whole: Box<dyn Read + Send> = match path == Path::new("-") {
        true => Box::new(io::stdin()),
        false => Box::new(SourceReader::new(&Source::open(path)?, 0)),
    };
    let mut front = Vec::new();
    let read = (&mut whole).take(FRONT as u64).read_to_end(&mut front);
    read.map_err(|error| Error::unreadable(path, Cause::Io(error)))?;
    let wrapper = Wrapper::of(&front).filter(|wrapper| wrapper.is_stream());
    let whole = io::Cursor::new(front).chain(whole);
    Ok(match wrapper {
        Some(wrapper) => unpack(wrapper, whole),
        None => Box::new(whole),
    })
}

/// What of a log could not be read.
fn say(log: &AuditLog, name: &str, monitor: &Terminal) {
    if let Some(first) = log.first_unreadable {
        let n = count(log.unreadable);
        monitor.warn(&format!(
            "{name}: {n} requests are none of an audit log, or have no time that can be read; the first is in line {first}"
        ));
    }
    if let Some(first) = log.first_not_text {
        let n = count(log.not_text);
        monitor.warn(&format!(
            "{name}: {n} lines are not UTF-8, and read with U+FFFD for what is not; the first is line {first}"
        ));
    }
    if log.left_out > 0 {
        let n = count(log.left_out);
        monitor.warn(&format!("{name}: {n} requests past the first {} bytes are left out", count(MOST)));
    }
}
