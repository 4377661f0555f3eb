//! The database of a restored member: every bucket streamed from the source in order, the few keys that tell whose it
//! is replaced.
//!
//! | Bucket | What differs from the source |
//! |---|---|
//! | `members` | the new cluster's |
//! | `members_removed` | empty |
//! | `meta` | `consistent_index` is the last index of the new log, `term` its term (not for 3.4), `confState` is left out: it names the old voters |
//! | `meta`, `cluster` | `storageVersion`, `clusterVersion` and `downgrade` lowered or left out where the target version would refuse them |
//! | `key`, `meta` | with a bump: an empty marker at the new revision, and `scheduledCompactRev` there |
//! | `key`, `meta` | with a [part](super::part) of the keyspace: what is left out, and both compaction marks |
//! | `alarm` | empty, if that was asked for |
//!
//! Source: `etcdutl/snapshot/v3_snapshot.go saveDB, modifyLatestRevision, updateCIndex` @ v3.6.

use std::borrow::Cow;
use std::io::{Seek, Write};

use super::part::Part;
use crate::bolt::Db;
use crate::bolt::writer::{FreelistPage, Summary};
use crate::etcd::alarm::AlarmType;
use crate::etcd::facts::AlarmFact;
use crate::etcd::identity::NewCluster;
use crate::etcd::schema::Minor;
use crate::etcd::semver::Semver;
use crate::etcd::{BucketKey, Facts, Revision, bootstrap};
use crate::store::keep::Selection;
use crate::store::rewrite::{self, Edit, write_anew};
use crate::words::error::{Result, Told};
use crate::words::monitor::Monitor;

/// The changes to a database.
#[derive(Debug, Default)]
pub(super) struct Edits {
    buckets: rewrite::Edits<'static>,
    /// Which revisions are kept, if not all.
    pub keep: Option<Selection>,
    /// What differs from the source, for people.
    pub changes: Vec<String>,
    /// The revision it will be at, if that is not the source's.
    pub revision: Option<i64>,
    /// Its HashKV, if it is a part: the source's else, unless the revision is raised.
    pub hash: Option<u32>,
    /// Whether the revision is raised.
    pub bumped: bool,
}

impl Edits {
    /// What every restore changes in a database that says `facts`.
    pub(super) fn new(cluster: &NewCluster, version: Minor, facts: &Facts) -> Edits {
        let mut edits = Edits::default();
        edits.buckets.insert(b"key", Edit::default());
        let members =
            cluster.members.iter().map(|m| (m.id.to_string().into_bytes(), Some(m.json().into_bytes())));
        edits.buckets.insert(b"members", Edit { clear: true, keys: Cow::Owned(members.collect()) });
        edits.buckets.insert(b"members_removed", Edit { clear: true, ..Edit::default() });
        edits.buckets.insert(b"cluster", Edit::default());
        edits.buckets.insert(b"meta", Edit::default());
        let (old, new) = (facts.members.len(), cluster.members.len());
        edits.changes.push(format!(
            "members: the {old} of the source are left out, the {new} of the new cluster are in"
        ));
        let index = bootstrap::commit(cluster);
        edits.put(b"meta", b"consistent_index", Some(index.get().to_be_bytes().to_vec()));
        let was = facts.consistent_index.map_or("absent".to_owned(), |index| index.to_string());
        edits.changes.push(format!("meta/consistent_index: {was} becomes {index}"));
        let term = (version > Minor::V34).then(|| bootstrap::TERM.get().to_be_bytes().to_vec());
        edits.put(b"meta", b"term", term);
        edits.put(b"meta", b"confState", None);
        if facts.conf_state.is_some() {
            edits.changes.push("meta/confState: left out, it names the voters of the old cluster".to_owned());
        }
        let learners: Vec<&str> = cluster.learners().map(|member| member.name.as_str()).collect();
        if !learners.is_empty() {
            edits.changes.push(format!("members: {} without a vote, as learners", learners.join(", ")));
        }
        edits.lower_versions(version, facts);
        edits
    }

    fn put(&mut self, bucket: &'static [u8], key: &[u8], value: Option<Vec<u8>>) {
        self.buckets.entry(bucket).or_default().keys.to_mut().insert(key.to_vec(), value);
    }

    /// etcd refuses to start on what a newer version has written.
    fn lower_versions(&mut self, version: Minor, facts: &Facts) {
        let full = format!("{}.0", version.name());
        let newer = |stated: &Option<Told>| {
            stated.as_ref().is_some_and(|stated| Minor::of(stated.raw()).is_none_or(|has| has > version))
        };
        if facts.storage_version.is_some() && (version < Minor::V36 || newer(&facts.storage_version)) {
            let keep = (version >= Minor::V36).then(|| full.clone());
            self.changes.push(format!(
                "meta/storageVersion: {} becomes {}",
                facts.storage_version.clone().unwrap_or_default(),
                keep.as_deref().unwrap_or("absent")
            ));
            self.put(b"meta", b"storageVersion", keep.map(String::into_bytes));
        }
        let agreed = facts.cluster_version.as_ref().map(|agreed| Semver::parse(agreed.raw()).ok());
        if agreed.is_some_and(|agreed| agreed.is_none_or(|agreed| agreed > version.first())) {
            let was = facts.cluster_version.clone().unwrap_or_default();
            self.changes.push(format!("cluster/clusterVersion: {was} becomes {full}"));
            self.put(b"cluster", b"clusterVersion", Some(full.into_bytes()));
        }
        let target = facts
            .downgrade
            .as_ref()
            .filter(|downgrade| downgrade.enabled)
            .map(|downgrade| &downgrade.target_version);
        if let Some(target) = target.filter(|target| Minor::of(target.raw()) != Some(version)) {
            self.changes.push(format!("cluster/downgrade: left out, a downgrade to {target} was under way"));
            self.put(b"cluster", b"downgrade", None);
        }
    }

    /// Leaves out what is not of this part of the keyspace.
    pub(super) fn keep_only(&mut self, part: Part) {
        if let Some(compact) = part.compact {
            for name in [&b"finishedCompactRev"[..], b"scheduledCompactRev"] {
                self.put(b"meta", name, Some(mark(compact)));
            }
        }
        self.changes.extend(part.changes);
        (self.keep, self.hash, self.revision) = (Some(part.selection), Some(part.hash), Some(part.revision));
    }

    /// Raises the revision and marks everything before it as compacted.
    pub(super) fn raise(&mut self, from: i64, to: i64) {
        self.put(b"key", &mark(to), Some(Vec::new()));
        self.put(b"meta", b"scheduledCompactRev", Some(mark(to)));
        self.changes.push(format!(
            "revision: {from} becomes {to}, and everything before it is compacted when etcd starts"
        ));
        (self.bumped, self.revision) = (true, Some(to));
    }

    /// Leaves out the alarms.
    pub(super) fn clear_alarms(&mut self, facts: &Facts) {
        self.buckets.insert(b"alarm", Edit { clear: true, ..Edit::default() });
        for AlarmFact { member_id, alarm } in &facts.alarms {
            let name = match alarm {
                Some(AlarmType::NoSpace) => "NOSPACE",
                Some(AlarmType::Corrupt) => "CORRUPT",
                Some(AlarmType::None) | None => "one that no etcd knows",
            };
            self.changes.push(format!("alarm: {name} of member {member_id:#} is left out"));
        }
    }

    /// Turns authentication off, as `auth disable` does (`authStore.AuthDisable`).
    pub(super) fn disable_auth(&mut self, facts: &Facts) {
        if !facts.auth.enabled {
            return self.changes.push("auth: it is off in the source already".to_owned());
        }
        self.put(b"auth", b"authEnabled", Some(vec![0]));
        let next = facts.auth.revision.unwrap_or(0).wrapping_add(1);
        self.put(b"auth", b"authRevision", Some(next.to_be_bytes().to_vec()));
        self.changes.push(
            "auth: turned off, whoever reaches the cluster may do everything; users and roles stay"
                .to_owned(),
        );
    }

    /// Whether the bucket `key` is the source's, byte for byte.
    pub(super) fn keys_are_the_sources(&self) -> bool {
        !self.bumped && self.keep.is_none()
    }

    /// Writes the changed database. Returns its status hash too.
    pub(super) fn write<W: Write + Seek>(
        &self,
        db: &Db<'_>,
        out: W,
        monitor: &dyn Monitor,
    ) -> Result<(Summary, u32)> {
        write_anew(db, &self.buckets, self.keep.as_ref(), FreelistPage::Absent, out, monitor)
    }
}

/// A revision as the key bucket and the compaction marks store it.
fn mark(main: i64) -> Vec<u8> {
    BucketKey { revision: Revision { main, sub: 0 }, tombstone: false }.to_bytes()
}
