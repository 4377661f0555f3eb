//! A full snapshot of gardener's etcd-backup-restore with the increments that were made after it, as one database: the
//! changes are laid over the snapshot in memory, each at its own revision.
//!
//! etcd-backup-restore puts the keys into a running etcd again, which forgets their leases; here a key keeps the lease
//! that it had. The small buckets (members, users, leases) are those of the full snapshot: increments have keys only.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::apply::Overlay;
use crate::bolt::Db;
use crate::bolt::writer::patch::patch;
use crate::codec::to_u64;
use crate::etcd::etcdbr::{self, BackupKind, BackupName, KeyChange, Packing, changes};
use crate::etcd::small::facts_and_last;
use crate::etcd::{BucketKey, DataDir, KeyValue, Revision, datadir, stored, within};
use crate::io::Source;
use crate::io::reader::SourceReader;
use crate::io::tree;
use crate::words::collector::Teller;
use crate::words::error::{At, Error, Result};
use crate::words::finding::{Code, Finding};
use crate::words::monitor::Monitor;
use crate::words::refusal::{Mark, Refusal};

/// Bytes of an increment, unpacked, that are read: etcd-backup-restore makes one when its events fill 10 MiB.
const MOST: u64 = 1 << 30;
/// Findings told of each kind.
const TOLD: u64 = 20;

/// A full snapshot and the increments after it, by their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// The full snapshot.
    pub full: (PathBuf, BackupName),
    /// The increments up to the next full snapshot, in the order in which they were made.
    pub increments: Vec<(PathBuf, BackupName)>,
}

/// What became of a chain.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ForwardReport {
    /// Increments that were read.
    pub increments: usize,
    /// Changes in them that were applied.
    pub changes: u64,
    /// Changes in them that the full snapshot has already.
    pub overlapping: u64,
    /// The revision of the full snapshot.
    pub revision_before: i64,
    /// The revision in the end.
    pub revision_after: i64,
}

impl fmt::Display for ForwardReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ForwardReport { increments, changes, overlapping, revision_before, revision_after } = self;
        write!(
            f,
            "{increments} increments, {changes} changes, revisions {revision_before} to {revision_after}"
        )?;
        if *overlapping > 0 {
            write!(f, "; {overlapping} more are in the full snapshot already")?;
        }
        Ok(())
    }
}

/// A full snapshot that was brought forward.
#[derive(Debug)]
pub struct Forward {
    /// The database, by the name of the full snapshot; up to where an increment is damaged.
    pub database: Source,
    /// The full snapshot, unpacked.
    pub full: Source,
    /// The files that were read: the full snapshot first.
    pub files: Vec<Source>,
    /// What was done.
    pub report: ForwardReport,
    /// What was found; the first of each code.
    pub findings: Vec<Finding>,
}

impl Chain {
    /// The full snapshot at a path, and what was made after it; `None` if the path is not named as one.
    #[must_use]
    pub fn of(full: &Path) -> Option<Chain> {
        BackupName::parse(full.file_name()?).filter(|name| name.kind == BackupKind::Full)?;
        let parent = full.parent()?;
        let dir = if parent == Path::new("") { Path::new(".") } else { parent };
        let mut chains = Chain::all(dir);
        let at = chains.iter().position(|chain| chain.full.0.file_name() == full.file_name())?;
        let mut chain = chains.swap_remove(at);
        chain.full.0 = full.to_path_buf();
        Some(chain)
    }

    /// The newest one in a directory; for a revision the newest whose full snapshot is not past it, by its name.
    #[must_use]
    pub fn newest(dir: &Path, revision: Option<i64>) -> Option<Chain> {
        let fits = |chain: &Chain| revision.is_none_or(|revision| chain.full.1.last <= revision);
        Chain::all(dir).into_iter().rfind(fits)
    }

    /// Whether it is a directory with backups of etcd-backup-restore, and no member's files.
    #[must_use]
    pub fn is_store(dir: &Path) -> bool {
        tree::is_dir(dir) && !Chain::all(dir).is_empty() && DataDir::list(dir, None).is_err()
    }

    /// The newest one in such a directory; `None` for every other path.
    #[must_use]
    pub fn of_store(dir: &Path) -> Option<Chain> {
        Chain::is_store(dir).then(|| Chain::newest(dir, None)).flatten()
    }

    /// The revision at which the oldest full snapshot in a directory ends, by the names.
    #[must_use]
    pub fn oldest(dir: &Path) -> Option<i64> {
        Chain::all(dir).iter().map(|chain| chain.full.1.last).min()
    }

    /// All in a directory.
    fn all(dir: &Path) -> Vec<Chain> {
        let mut chains: Vec<Chain> = Vec::new();
        for (path, name) in etcdbr::named_in(dir) {
            match (name.kind, chains.last_mut()) {
                (BackupKind::Full, _) => chains.push(Chain { full: (path, name), increments: Vec::new() }),
                (BackupKind::Increment, Some(chain)) => chain.increments.push((path, name)),
                // What it follows is not here.
                (BackupKind::Increment, None) => {}
            }
        }
        chains
    }

    /// Lays the increments over the full snapshot, up to a revision or to their end. An increment that is damaged ends
    /// it, and is a finding; those after it are only looked at.
    ///
    /// # Errors
    /// [`Error::Refused`] when the full snapshot is past the revision, or the chain ends before it;
    /// [`Error::Damaged`] for the full snapshot; as [`Source::open`].
    pub fn forward(&self, to: Option<i64>, monitor: &dyn Monitor) -> Result<Forward> {
        let file = tree::open(&self.full.0)?;
        let full = within::opened(file.clone())?;
        datadir::require_database(&full)?;
        let db = Db::open(&full).map_err(|corrupt| Error::damaged(full.path(), corrupt))?;
        let (facts, last) = facts_and_last(&db)?;
        let revision = facts.current_revision(last);
        if let Some(to) = to.filter(|to| *to < revision) {
            let (has, asked) = (Mark::Revision(revision), Mark::Revision(to));
            return Err(Refusal::AlreadyPast { has, asked }.into());
        }
        let mut run = Run {
            to,
            rows: BTreeMap::new(),
            last: Revision { main: revision, sub: i64::MAX },
            found: Teller::new(TOLD, monitor),
            ended: false,
            reached: false,
            report: ForwardReport {
                increments: 0,
                changes: 0,
                overlapping: 0,
                revision_before: revision,
                revision_after: revision,
            },
        };
        let mut files = vec![file];
        let mut before = self.full.1;
        for (path, name) in &self.increments {
            if monitor.cancelled() {
                return Err(Error::Cancelled);
            }
            // A revision is never in two of them.
            if run.reached || to == Some(run.last.main) {
                break;
            }
            let file = tree::open(path)?;
            run.increment(&file, (before, *name));
            before = *name;
            files.push(file);
        }
        run.report.revision_after = run.last.main;
        if let Some(to) = to.filter(|to| *to > run.last.main && !run.ended && !run.reached) {
            let (ends, asked) = (Mark::Revision(run.last.main), Mark::Revision(to));
            return Err(Refusal::EndsBefore { ends, asked }.into());
        }
        let mut overlay = Overlay::new();
        if !run.rows.is_empty() {
            overlay.insert(stored::BUCKET.to_vec(), run.rows);
        }
        let database = patch(&db, &overlay)?.source;
        let (report, findings) = (run.report, run.found.all.kept);
        Ok(Forward { database, full, files, report, findings })
    }
}

/// One chain, as it is gone through.
struct Run<'r> {
    to: Option<i64>,
    rows: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// The last change: of the full snapshot all of its last revision.
    last: Revision,
    found: Teller<'r>,
    /// Whether something is missing, so that nothing after it is applied.
    ended: bool,
    /// Whether the revision that was asked for is reached.
    reached: bool,
    report: ForwardReport,
}

/// Why no more is applied.
enum End {
    /// The revision that was asked for is reached.
    Reached,
    /// Revisions are missing before this one.
    Gap(i64),
    /// What is there cannot be.
    Wrong(String),
}

impl Run<'_> {
    fn increment(&mut self, file: &Source, (before, name): (BackupName, BackupName)) {
        let invalid = |what: String| Finding::new(Code::IncrementInvalid, &file.name(), At::default(), what);
        self.report.increments = self.report.increments.saturating_add(1);
        let bytes = match unpacked(file, name.packing) {
            Ok(bytes) => bytes,
            Err(why) => {
                self.ended = true;
                return self.found.push(invalid(why));
            }
        };
        let (mut seen, ended) = (None, self.ended);
        let read = changes(&bytes, &mut |change: KeyChange| {
            let main = change.kv.as_kv().mod_revision;
            let (first, _) = seen.unwrap_or((main, main));
            seen = Some((first, main));
            if ended { Ok(()) } else { self.change(&change) }
        });
        match read {
            Err(why) => {
                self.ended = true;
                return self.found.push(invalid(why.to_string()));
            }
            Ok(Err(End::Reached)) => {
                self.reached = true;
                return;
            }
            Ok(Err(End::Gap(first))) => {
                self.ended = true;
                let what = format!(
                    "it goes on with revision {first}, and what was before it ends with {}: the revisions between are missing",
                    self.last.main
                );
                self.found.push(Finding::new(Code::IncrementGap, &file.name(), At::default(), what));
                return;
            }
            Ok(Err(End::Wrong(what))) => {
                self.ended = true;
                return self.found.push(invalid(what));
            }
            Ok(Ok(())) => {}
        }
        self.name(file, (before, name), seen);
    }

    /// Compares the name of an increment with what is in it, and with the name before it.
    fn name(&mut self, file: &Source, (before, name): (BackupName, BackupName), seen: Option<(i64, i64)>) {
        let (first, last) = (name.first, name.last);
        let (held, reached) =
            (seen.map_or(first.saturating_sub(1), |(_, last)| last), self.to == Some(self.last.main));
        if held < last && !reached {
            let what =
                format!("it ends at revision {held}, its name says {last}: what is between is missing");
            self.ended = true;
            return self.found.push(Finding::new(Code::IncrementGap, &file.name(), At::default(), what));
        }
        let what = match seen {
            None => return,
            // The first may be in the full snapshot already.
            Some((seen_first, seen_last)) if seen_last != last || seen_first < first => {
                format!("it holds revisions {seen_first} to {seen_last}, its name says {first} to {last}")
            }
            Some(_) if first != before.last.saturating_add(1) => format!(
                "its name begins at revision {first}, the file before it ends at {} by its name",
                before.last
            ),
            Some(_) => return,
        };
        self.found.push(Finding::new(Code::IncrementName, &file.name(), At::default(), what));
    }

    fn change(&mut self, change: &KeyChange) -> std::result::Result<(), End> {
        let kv = change.kv.as_kv();
        let main = kv.mod_revision;
        if main < 1 {
            return Err(End::Wrong(format!("a change says that it is of revision {main}")));
        }
        if self.to.is_some_and(|to| main > to) {
            return Err(End::Reached);
        }
        let sub = match main.cmp(&self.last.main) {
            std::cmp::Ordering::Less => {
                self.report.overlapping = self.report.overlapping.saturating_add(1);
                return self.overlaps(main);
            }
            std::cmp::Ordering::Equal if self.last.sub == i64::MAX => {
                self.report.overlapping = self.report.overlapping.saturating_add(1);
                return Ok(());
            }
            std::cmp::Ordering::Equal => self.last.sub.saturating_add(1),
            std::cmp::Ordering::Greater if main == self.last.main.saturating_add(1) => 0,
            std::cmp::Ordering::Greater => return Err(End::Gap(main)),
        };
        if kv.key.is_empty() {
            return Err(End::Wrong(format!("a change of revision {main} names no key")));
        }
        self.last = Revision { main, sub };
        let row = BucketKey { revision: self.last, tombstone: change.deleted };
        let value = if change.deleted { KeyValue { key: kv.key, ..KeyValue::default() } } else { kv };
        self.rows.insert(row.to_bytes(), Some(value.encode()));
        self.report.changes = self.report.changes.saturating_add(1);
        Ok(())
    }

    /// What comes again may be in the full snapshot, and nowhere else.
    fn overlaps(&self, main: i64) -> std::result::Result<(), End> {
        if self.report.changes == 0 {
            return Ok(());
        }
        let last = self.last.main;
        Err(End::Wrong(format!("a change of revision {main} follows one of {last}")))
    }
}

/// The content of an increment, or why there is none.
fn unpacked(file: &Source, packing: Packing) -> std::result::Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let content = within::anything(file).map_err(|error| error.to_string())?;
    // What is known without its name is unpacked already.
    let packing =
        if content.packed().is_some() && packing == Packing::Gzip { Packing::None } else { packing };
    let mut unpacked = packing.unpack(SourceReader::new(&content, 0));
    match unpacked.by_ref().take(MOST.saturating_add(1)).read_to_end(&mut bytes) {
        Ok(read) if to_u64(read) > MOST => {
            Err(format!("it unpacks to more than {MOST} bytes: nothing of it is read"))
        }
        Ok(_) => Ok(bytes),
        Err(e) => Err(format!("it cannot be unpacked past {} bytes: {e}", bytes.len())),
    }
}
