//! How far the revision is raised, so that no client sees it fall: by a number, or past the newest that other files
//! of the cluster tell.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::bolt::Db;
use crate::etcd::{DataDir, Facts, Input, small, within};
use crate::io::source::Lock;
use crate::io::tree;
use crate::wal::{Log, Scan};
use crate::words::cause::Cause;
use crate::words::error::{Error, Result, show};
use crate::words::hint::Hint;
use crate::words::ids::RaftIndex;
use crate::words::refusal::Refusal;

/// What is added when nothing tells how far the cluster went: as the Kubernetes documentation recommends.
pub const BLIND: u64 = 1_000_000_000;
/// What is added past the newest file: a day's writes at 100 a second, and more.
pub const MARGIN: u64 = 10_000_000;

/// Whether the revision is raised, and how far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Bump {
    /// It stays.
    #[default]
    None,
    /// By this much, if it is not 0.
    By(u64),
    /// Past the highest revision in these snapshot files, databases and data directories; by a billion if there is
    /// none.
    Auto(Vec<PathBuf>),
}

impl Bump {
    /// Whether the revision stays.
    #[must_use]
    pub fn is_none(&self) -> bool {
        matches!(self, Bump::None | Bump::By(0))
    }
}

/// How far the revision is raised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Raise {
    /// By how much.
    pub by: u64,
    /// The last revision then.
    pub to: i64,
    /// Why so far.
    pub why: Vec<String>,
}

impl Raise {
    /// How far `bump` raises a store that would end at `from`, out of a source that is at `current`.
    pub(super) fn new(bump: &Bump, from: i64, current: i64) -> Result<Option<Raise>> {
        let (by, why) = match bump {
            Bump::None | Bump::By(0) => return Ok(None),
            Bump::By(by) => (*by, Vec::new()),
            Bump::Auto(newer) if newer.is_empty() && from == current => (
                BLIND,
                vec![format!(
                    "no newer file tells how far the cluster went: {BLIND} more, as Kubernetes recommends"
                )],
            ),
            Bump::Auto(newer) => {
                let mut why = vec![format!("the source is at revision {current}")];
                let mut highest = current;
                for path in newer {
                    let (revision, told) = newest(path)?;
                    highest = highest.max(revision);
                    why.push(told);
                }
                let margin = if newer.is_empty() { BLIND } else { MARGIN };
                why.push(format!("{highest} is the highest, and {margin} more for what was written since"));
                (u64::try_from(highest.saturating_sub(from)).unwrap_or(0).saturating_add(margin), why)
            }
        };
        let to = i64::try_from(by).ok().and_then(|by| from.checked_add(by));
        let to = to.ok_or_else(|| Error::from(Refusal::CannotRaise { from, by }))?;
        Ok(Some(Raise { by, to, why }))
    }
}

/// The highest revision that a file or directory tells, and in words where it was found.
fn newest(path: &Path) -> Result<(i64, String)> {
    let path = &within::find(path)?;
    if !tree::is_dir(path) {
        let (revision, _) = in_database(path)?;
        return Ok((revision, format!("{} is at revision {revision}", show(path))));
    }
    let dir = DataDir::list(path, None)?;
    let (reach, told) = in_directory(path, &dir)?;
    // A member has what it receives from its leader before its log and its database know of it.
    let received =
        dir.snap_dbs.iter().map(|file| Ok((in_database(file)?.0, file))).collect::<Result<Vec<_>>>()?;
    match received.into_iter().max() {
        Some((received, file)) if received > reach => Ok((
            received,
            format!("{told}; {}, which its leader sent, is at revision {received}", show(file)),
        )),
        _ => Ok((reach, told)),
    }
}

/// How far a directory's database and its log go.
fn in_directory(path: &Path, dir: &DataDir) -> Result<(i64, String)> {
    let Some(db) = &dir.db else {
        return Err(Error::unreadable(
            path,
            Cause::lacks("has no member/snap/db: nothing tells its revision"),
        ));
    };
    let (revision, facts) = in_database(db)?;
    let told = format!("the database in {} is at revision {revision}", show(path));
    if dir.wals.is_empty() {
        return Ok((revision, format!("{told}, and has no log beside it")));
    }
    let sources = dir.wals.iter().map(|wal| tree::open(wal)).collect::<Result<Vec<_>>>()?;
    let summary =
        Log::of(&sources).scan(Scan::default(), &mut |_| {}, &mut |_| std::ops::ControlFlow::Continue(()));
    // A database that the member received from its leader stands at the log's snapshot record: it may be in its place
    // or not. An entry is at most one revision; most of raft's own are none.
    let behind = summary.reach().saturating_sub(facts.consistent_index.map_or(0, RaftIndex::get));
    let reach = revision.saturating_add(i64::try_from(behind).unwrap_or(i64::MAX));
    let partial = if summary.complete { "" } else { "; the log could not be read to its end" };
    Ok((reach, format!("{told}, and {behind} entries in its log come after it: at most {reach}{partial}")))
}

fn in_database(path: &Path) -> Result<(i64, Facts)> {
    let source = Input::from(path).open_database()?;
    if source.flock() == Lock::Held {
        return Err(Error::unreadable(path, Cause::InUse(Some(Hint::StillRising))));
    }
    let db = Db::open(&source).map_err(|c| Error::damaged(path, c))?;
    let (facts, last) = small::facts_and_last(&db)?;
    Ok((facts.current_revision(last), facts))
}
