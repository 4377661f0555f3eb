use std::io::{self, Write};

use coldbolt::ops::inspect::KineKeyspaceReport;

use super::kubernetes;
use crate::cli::out::{count, labelled, size};

/// A database of kine.
pub fn show(out: &mut dyn Write, kine: &KineKeyspaceReport) -> io::Result<()> {
    let file = &kine.file;
    let pages =
        format!("{} bytes, {} pages of {}", count(file.file_size), count(file.pages.into()), file.page_size);
    writeln!(out, "{}", labelled("file", &pages))?;
    let log = match &file.log {
        Some(log) if log.uncommitted > 0 => {
            format!(
                "{} pages in {}, and {} that no commit follows",
                count(log.frames),
                log.path,
                count(log.uncommitted)
            )
        }
        Some(log) => format!("{} pages in {}", count(log.frames), log.path),
        None if file.written_with_log => {
            "none beside it: a copy made while k3s ran lacks what was written last".to_owned()
        }
        None => "none: written without one".to_owned(),
    };
    writeln!(out, "{}", labelled("log", &log))?;
    let gaps = if file.gaps > 0 { format!(", {} of them gaps", count(file.gaps)) } else { String::new() };
    writeln!(out, "{}", labelled("table", &format!("{} rows{gaps}", count(file.rows))))?;
    let known =
        |revision: Option<i64>| revision.map_or_else(|| "none".to_owned(), |revision| revision.to_string());
    let compact =
        kine.compact_revision.map_or_else(|| "never compacted".to_owned(), |r| format!("compacted at {r}"));
    let revisions = format!("{} to {}, {compact}", known(kine.first_revision), known(kine.last_revision));
    writeln!(out, "{}", labelled("revisions", &revisions))?;
    let keys = format!(
        "{} live; {} revisions stored, {} of them deletions; {} of users' keys and values",
        count(kine.live_keys),
        count(kine.revisions),
        count(kine.tombstones),
        size(kine.user_bytes)
    );
    writeln!(out, "{}", labelled("keys", &keys))?;
    kine.kubernetes.as_ref().map_or(Ok(()), |cluster| kubernetes::show(out, cluster))
}
