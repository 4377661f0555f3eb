//! Members that run and files that should agree: by HashKV at one revision, and as if compacted at one.
//!
//! Of a member that runs only the hash is known, and only as if compacted where it is. So members are asked until all
//! of them are compacted alike, and files are hashed as if they were, which can be done of those that are compacted
//! less. Source: `server/etcdserver/corrupt.go PeriodicCheck @ v3.6`.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::live::{Answered, Cluster, Endpoint};
use crate::store::hashkv::{HashKvOptions, hashkv};
use crate::store::{self, Store};
use crate::words::cause::Cause;
use crate::words::error::{Error, Result};
use crate::words::ids::ClusterId;
use crate::words::monitor::{Monitor, Relay};
use crate::words::unanswered::Unanswered;

/// How often members are asked again that were about to compact.
const ATTEMPTS: usize = 3;
/// How long they are given for it.
const PAUSE: Duration = Duration::from_secs(1);

/// What a comparison found.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct LiveCompareReport {
    /// The revision at which all were hashed: the greatest that all have.
    pub revision: i64,
    /// The compaction of the members, and as if which the files were hashed; -1 is none.
    pub compact_revision: i64,
    /// The members, then the files, in the order they were given.
    pub members: Vec<LiveHash>,
}

impl LiveCompareReport {
    /// The clusters that the members are of, each once; of more than one it says little that they agree.
    #[must_use]
    pub fn clusters(&self) -> BTreeSet<ClusterId> {
        self.members.iter().filter_map(|member| member.cluster).collect()
    }

    /// Whether all agree; `None` when nothing is known to differ, and not all could be compared.
    #[must_use]
    pub fn agree(&self) -> Option<bool> {
        let hashes: Vec<_> = self.members.iter().filter_map(|member| member.hash).collect();
        if hashes.windows(2).any(|two| two.first() != two.last()) {
            return Some(false);
        }
        (hashes.len() == self.members.len()).then_some(true)
    }
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LiveHash {
    /// The endpoint, or the file.
    pub name: String,
    /// The cluster that it is of; `None` of a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterId>,
    /// Its last revision.
    pub revision: i64,
    /// Its own compaction; -1 is none, `None` where a member does not tell.
    pub compact_revision: Option<i64>,
    /// Its HashKV; `None` where it cannot be had.
    pub hash: Option<u32>,
    /// Why not.
    pub why: Option<String>,
}

/// Compares the keyspaces of members that run with one another and with those of files.
///
/// # Errors
/// [`Error::Unreadable`] when a member does not answer, [`Error::Damaged`] when a file cannot be read in full.
pub fn compare_live(
    cluster: &Cluster,
    stores: &[Store<'_>],
    monitor: &dyn Monitor,
) -> Result<LiveCompareReport> {
    let mut live = Vec::new();
    for standing in cluster.standings() {
        match standing.answer {
            Ok(answer) => live.push((standing.endpoint, answer)),
            Err(why) => return Err(Error::unreadable(Path::new(&standing.endpoint.to_string()), why)),
        }
    }
    let revisions = live.iter().map(|(_, answer)| answer.revision).chain(stores.iter().map(Store::revision));
    let revision = revisions.min().unwrap_or(0);
    let mut members = ask(cluster, &live, revision)?;
    for _ in 1..ATTEMPTS {
        if compactions(&members).len() <= 1 {
            break;
        }
        std::thread::sleep(PAUSE);
        members = ask(cluster, &live, revision)?;
    }
    let compact = compactions(&members).last().copied().unwrap_or(-1);
    for member in members.iter_mut().filter(|member| member.compact_revision.is_some_and(|c| c != compact)) {
        member.hash = None;
        member.why = Some(format!("another member is compacted at {compact}: ask again when all are"));
    }
    for store in stores {
        members.push(file(store, revision, compact, monitor)?);
    }
    Ok(LiveCompareReport { revision, compact_revision: compact, members })
}

/// The compactions of members, each once, in order.
fn compactions(members: &[LiveHash]) -> Vec<i64> {
    let mut all: Vec<i64> = members.iter().filter_map(|member| member.compact_revision).collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn ask(cluster: &Cluster, live: &[(Endpoint, Answered)], revision: i64) -> Result<Vec<LiveHash>> {
    let one = |(endpoint, answer): &(Endpoint, Answered)| {
        let member = LiveHash {
            name: endpoint.to_string(),
            cluster: Some(answer.cluster),
            revision: answer.revision,
            compact_revision: None,
            hash: None,
            why: None,
        };
        match cluster.hashkv(endpoint, revision) {
            Ok(hash) => {
                let compact_revision = Some(hash.compact_revision.max(-1)).filter(|c| *c != 0).or(Some(-1));
                Ok(LiveHash { compact_revision, hash: Some(hash.hash), ..member })
            }
            Err(Error::Unreadable {
                cause: Cause::Unanswered(Unanswered::Refused { code, message }),
                ..
            }) if code == "OutOfRange" => Ok(LiveHash { why: Some(message), ..member }),
            Err(error) => Err(error),
        }
    };
    live.iter().map(one).collect()
}

fn file(store: &Store<'_>, revision: i64, compact: i64, monitor: &dyn Monitor) -> Result<LiveHash> {
    let own = store.compact_revision().unwrap_or(-1);
    let file = LiveHash {
        name: store.source().name(),
        cluster: None,
        revision: store.revision(),
        compact_revision: Some(own),
        hash: None,
        why: None,
    };
    if own > compact {
        let why = format!("it is compacted at {own}, the members at {compact}");
        return Ok(LiveHash { why: Some(why), ..file });
    }
    if compact > revision {
        let why = format!("it ends at {revision}, where the members are compacted at {compact}");
        return Ok(LiveHash { why: Some(why), ..file });
    }
    let options = HashKvOptions {
        revision: Some(revision),
        compact_revision: Some(compact).filter(|compact| *compact != own),
    };
    let quieter = Relay::new(monitor).without_findings();
    let report: store::HashKvReport = hashkv(store.source(), &options, &quieter)?;
    Ok(LiveHash { hash: Some(report.hash), ..file })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(hashes: &[Option<u32>]) -> LiveCompareReport {
        let one = |hash: &Option<u32>| LiveHash {
            name: "m".to_owned(),
            cluster: None,
            revision: 1,
            compact_revision: Some(-1),
            hash: *hash,
            why: None,
        };
        LiveCompareReport { revision: 1, compact_revision: -1, members: hashes.iter().map(one).collect() }
    }

    #[test]
    fn they_agree_only_if_all_could_be_compared_and_differ_if_any_two_do() {
        for (hashes, due) in [
            (&[Some(1), Some(1)][..], Some(true)),
            (&[Some(1), None], None),
            (&[Some(1), None, Some(2)], Some(false)),
            (&[Some(1), Some(1), Some(2)], Some(false)),
            (&[None, None], None),
        ] {
            assert_eq!(report(hashes).agree(), due, "{hashes:?}");
        }
    }
}
