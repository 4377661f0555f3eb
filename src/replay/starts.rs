//! Which etcd starts from a directory as it is.
//!
//! | What may keep it from that | 3.4, 3.5 | 3.6 | 3.7, 3.8 |
//! |---|---|---|---|
//! | the cluster agreed on a newer version | v2 store of the `.snap` | `cluster/clusterVersion` | the same |
//! | the same, by an entry of the log | each that it takes when it starts | the same | the same |
//! | a downgrade to another version is under way | 3.5, by `cluster/downgrade` | no | no |
//! | `meta/storageVersion` is newer | no | yes | the same |
//! | the member itself is none | v2 store of the `.snap` and the entries after it | `members` and the entries it lacks | the same |
//! | anything of users in the v2 store of the `.snap` | no | yes | no |
//! | a raft snapshot past the database, whose own is not there | yes | yes | yes |
//! | where its log begins, an entry at which it panics | as `boot` tells | the same | the same |
//!
//! A newer etcd than the one that wrote the files is asked for as little as etcd itself asks; that such a start is
//! supported is not said. Source: `server/storage/backend.go RecoverSnapshotBackend` @ v3.5 to v3.7;
//! `membership/downgrade.go mustDetectDowngrade` @ v3.4, v3.5, v3.6;
//! `server/storage/schema/schema.go Validate` @ v3.6, v3.7.

use serde::Serialize;

use super::apply::held::{self, V2};
use super::apply::{self, Version};
use super::boot::{self, Start};
use super::member_log::MemberLog;
use super::membership::Cluster;
use super::remarks::{Remark, Remarks};
use crate::bolt::Db;
use crate::etcd::Facts;
use crate::etcd::schema::Minor;
use crate::etcd::semver::Semver;
use crate::raft::{ConfChange, ConfChangeType};
use crate::snap::file::{SnapFile, has_custom_content, user_keys};
use crate::wal::Read;
use crate::words::error::{Error, Result};
use crate::words::ids::{MemberId, RaftIndex};
use crate::words::monitor::Monitor;
use crate::words::text::Told;

/// Whether an etcd starts from a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Starts {
    /// Which etcd.
    pub etcd: Minor,
    /// Why it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refuses: Option<String>,
    /// Whether it is older than the one that wrote the files: once it has started from them, a newer one may not.
    pub older: bool,
}

/// Asks each version, of a database and a log that are whole.
///
/// # Errors
/// [`Error::Damaged`] when the small buckets cannot be read; [`Error::Cancelled`].
pub fn starts(db: &Db<'_>, log: &MemberLog, monitor: &dyn Monitor) -> Result<Vec<Starts>> {
    let facts = apply::facts(db).map_err(|corrupt| Error::damaged(db.source().path(), corrupt))?;
    ask(&facts, log, monitor)
}

/// The same of a database as if it stated this storage version, or none.
#[cfg(feature = "fs")]
pub(crate) fn starts_as(
    db: &Db<'_>,
    stated: Option<&str>,
    log: &MemberLog,
    monitor: &dyn Monitor,
) -> Result<Vec<Starts>> {
    let facts = apply::facts(db).map_err(|corrupt| Error::damaged(db.source().path(), corrupt))?;
    ask(&Facts { storage_version: stated.map(Told::from), ..facts }, log, monitor)
}

fn ask(facts: &Facts, log: &MemberLog, monitor: &dyn Monitor) -> Result<Vec<Starts>> {
    let remarked = log.remarked(monitor)?;
    let newest = log.raft_snapshot(RaftIndex::new(u64::MAX), &remarked.0);
    let ask = |etcd| {
        let asked = Asked { facts, log, remarked, newest: newest.as_ref(), etcd };
        Starts { etcd, refuses: asked.refuses(), older: false }
    };
    Ok(Minor::ALL.map(ask).into())
}

struct Asked<'a> {
    facts: &'a Facts,
    log: &'a MemberLog,
    remarked: &'a (Read, Remarks),
    newest: Option<&'a SnapFile>,
    etcd: Minor,
}

impl Asked<'_> {
    fn refuses(&self) -> Option<String> {
        let (read, remarks) = self.remarked;
        let version = Version { minor: self.etcd, patch: None };
        let begin = Start::of(self.facts, self.newest, read, version);
        let takes = || boot::takes(self.facts, self.log, self.remarked, &begin, version);
        // Who is alone commits all that its log holds.
        let alone = self.facts.members.len() <= 1;
        let commit = RaftIndex::new(if alone { u64::MAX } else { read.summary.commit() });
        let entries = || remarks.0.range(begin.index.next()..).take_while(|(index, _)| **index <= commit);
        let downgrade = || {
            let agreed = self.agreed();
            let logged = entries().find_map(|(index, remark)| {
                self.newer(&self.sets(remark)?).map(|why| format!("{why}, by entry {index}"))
            });
            agreed.and_then(|agreed| self.newer(&agreed)).or(logged)
        };
        let refused = match self.downgrade_under_way() {
            Some(Ok(())) => None,
            Some(Err(why)) => Some(why),
            None => downgrade(),
        };
        self.behind(begin.index)
            .or(refused)
            .or_else(|| self.storage())
            .or_else(|| self.users_of_v2())
            .or_else(|| takes().err().map(|why| why.to_string()))
            .or_else(|| {
                let joins = |id| entries().any(|(_, remark)| adds(remark, id));
                let id = read.summary.metadata?.member();
                self.stranger(id, &begin.cluster).filter(|_| !joins(id))
            })
            .or_else(|| {
                entries().find_map(|(index, remark)| {
                    self.panics(*index, remark).map(|why| format!("raft index {index}: {why}"))
                })
            })
    }

    /// Why it panics at a raft snapshot that its database has not come to.
    fn behind(&self, snapshot: RaftIndex) -> Option<String> {
        let index = self.facts.consistent_index.unwrap_or_default();
        (snapshot > index && !self.log.received(snapshot)).then(|| {
            format!(
                "the database is at index {index}, the raft snapshot that it begins at is at {snapshot} (failed to recover v3 backend from snapshot)"
            )
        })
    }

    /// What the cluster agreed on, as this etcd finds it before it looks at entries.
    fn agreed(&self) -> Option<Semver> {
        let told = if self.etcd >= Minor::V36 {
            self.facts.cluster_version.clone()
        } else {
            self.newest?.membership().ok()?.cluster_version
        };
        told.as_ref().and_then(version_of)
    }

    /// What an entry sets the cluster to; 3.4 does not look for that in what the database has already.
    fn sets(&self, remark: &Remark) -> Option<Semver> {
        match remark {
            Remark::Sets(version) if self.etcd > Minor::V34 => Some(*version),
            Remark::V2(request) => match held::v2(request, Minor::V35).ok()? {
                V2::Version(version) => Semver::of(&version).ok(),
                V2::Attributes(..) | V2::Store => None,
            },
            _ => None,
        }
    }

    /// Why an etcd that is older than the cluster's version does not start.
    fn newer(&self, agreed: &Semver) -> Option<String> {
        (*agreed > self.etcd.first()).then(|| {
            let Semver { major, minor, patch } = agreed;
            format!("the cluster agreed on version {major}.{minor}.{patch} (invalid downgrade)")
        })
    }

    /// 3.5 alone asks whether the cluster is on its way to another version: then whether that is its own is all.
    fn downgrade_under_way(&self) -> Option<std::result::Result<(), String>> {
        let downgrade = self.facts.downgrade.as_ref().filter(|d| d.enabled && self.etcd == Minor::V35)?;
        let (target, own) = (version_of(&downgrade.target_version)?, self.etcd.first());
        let same = (target.major, target.minor) == (own.major, own.minor);
        Some(if same { Ok(()) } else { Err("a downgrade to another version is under way".to_owned()) })
    }

    fn storage(&self) -> Option<String> {
        let storage = version_of(self.facts.storage_version.as_ref()?)?;
        let own = Some(self.etcd.first()).filter(|_| self.etcd >= Minor::V36)?;
        ((storage.major, storage.minor) > (own.major, own.minor)).then(|| {
            format!("the storage version is {}.{}, which it does not know", storage.major, storage.minor)
        })
    }

    fn users_of_v2(&self) -> Option<String> {
        let snap = self.newest.filter(|_| self.etcd == Minor::V36)?;
        let store = snap.snapshot.data.as_deref().filter(|store| has_custom_content(store) == Some(true))?;
        let what = match user_keys(store) {
            Some(0) | None => "directories or roles of users".to_owned(),
            Some(keys) => format!("{keys} keys of users"),
        };
        Some(format!("{what} are in the v2 store, which is no more (illegal v2store content)"))
    }

    /// Why it panics at what the member tells of itself.
    fn stranger(&self, id: MemberId, cluster: &Cluster) -> Option<String> {
        let (members, removed) = (&self.facts.members, &self.facts.removed_members);
        let known = if self.etcd >= Minor::V36 {
            members.iter().any(|member| member.id == id) || removed.contains(&id)
        } else {
            cluster.members.contains_key(&id) || cluster.removed.contains(&id)
        };
        (!known).then(|| {
            format!("member {id}, whose log it is, is not among the members that it finds (member unknown)")
        })
    }

    /// Why it panics at an entry, whether or not the database has it.
    fn panics(&self, index: RaftIndex, remark: &Remark) -> Option<String> {
        let lacks = Some(index) > self.facts.consistent_index;
        match remark {
            Remark::Sets(_) | Remark::Tells(_) | Remark::Since35 if self.etcd == Minor::V34 && lacks => {
                Some("a request that 3.4 does not know: it panics (not implemented)".to_owned())
            }
            Remark::Wrong(why) => Some(why.clone()),
            Remark::WrongSince35(why) if self.etcd > Minor::V34 => Some(why.clone()),
            Remark::WrongSince37(why) if self.etcd >= Minor::V37 => Some((*why).to_owned()),
            Remark::V2(request) => held::v2(request, self.etcd).err().map(str::to_owned),
            _ => None,
        }
    }
}

/// Whether an entry makes somebody a member.
fn adds(remark: &Remark, id: MemberId) -> bool {
    let adds = |change: &ConfChange| {
        matches!(change.kind(), ConfChangeType::AddNode | ConfChangeType::AddLearnerNode)
    };
    matches!(remark, Remark::ConfChange(change) if adds(change) && change.member() == id)
}

fn version_of(told: &Told) -> Option<Semver> {
    Semver::parse(told.raw()).ok()
}
