//! Members, the cluster's version, and who votes, while a log is applied.
//!
//! Source: `server/etcdserver/api/membership/cluster.go`, `server/etcdserver/{server.go applyConfChange,
//! apply_v2.go}` @ v3.4, v3.5, v3.6.

use std::collections::BTreeSet;

use crate::codec::go::go_text;
use crate::codec::json::{quote, strings};
use crate::etcd::member::Member;
use crate::etcd::request::{Attributes, DowngradeInfoSetRequest, V2Request};
use crate::etcd::schema::Minor;
use crate::etcd::semver::Semver;
use crate::raft::ConfChange;
use crate::replay::apply::held::{self, NO_ATTRIBUTES, V2, unknown_member};
use crate::replay::apply::version::Holds;
use crate::replay::apply::{Done, Replayer, Replied};
use crate::replay::membership::{Changed, Cluster, Rules, TOO_MANY_LEARNERS, Unfit};
use crate::words::finding::{Code, Severity};
use crate::words::hint::Hint;
use crate::words::ids::MemberId;
use crate::words::text::{Told, show_bytes};

/// As Go writes a member (`membership.Member`).
fn json(member: &Member) -> Vec<u8> {
    let mut out = format!(
        "{{\"id\":{},\"peerURLs\":{}",
        member.id.get(),
        strings(member.peer_urls.iter().map(Told::raw))
    );
    if member.is_learner {
        out.push_str(",\"isLearner\":true");
    }
    if !member.name.is_empty() {
        out = format!("{out},\"name\":{}", quote(member.name.raw()));
    }
    if !member.client_urls.is_empty() {
        out = format!("{out},\"clientURLs\":{}", strings(member.client_urls.iter().map(Told::raw)));
    }
    out.push('}');
    out.into_bytes()
}

impl Replayer<'_, '_> {
    pub(super) fn conf_change(&mut self, change: &ConfChange) -> Replied {
        let id = change.member();
        let keep = self.version.moved_learners_learn();
        let rules = Rules { moved_learners_learn: Some(keep.newest()), outcome: None };
        match self.cluster.apply(change, rules) {
            Err(Unfit::Panics(why)) => return Err(self.refuse(why)),
            Err(Unfit::Refused(why)) => {
                if why == TOO_MANY_LEARNERS && self.version.minor >= Minor::V36 {
                    let what = "a second learner is refused, unless --max-learners was set";
                    self.say(Code::ReplayFlags, Severity::Warning, what);
                }
                return Ok(Done::Rejected(why));
            }
            Ok(Changed::Left) => {
                let key = id.to_string().into_bytes();
                self.buckets.delete("members", &key);
                self.buckets.put("members_removed", &key, b"removed".to_vec());
            }
            Ok(changed) => {
                if let (Changed::Moved { learner: true }, Holds::Since(patch)) = (changed, keep) {
                    self.depends(patch, "leaves a learner one whose peer URLs change");
                }
                self.save(id);
            }
        }
        self.conf_state();
        Ok(Done::Applied)
    }

    /// Writes a member down as it is now.
    fn save(&mut self, id: MemberId) {
        let Some(member) = self.cluster.members.get(&id) else { return };
        let (key, value) = (id.to_string().into_bytes(), json(member));
        let there = self.buckets.get("members", &key);
        let differs = there.is_some_and(|there| there != value);
        match self.version.members_stay_as_they_were() {
            Some(true) if there.is_some() => return,
            None if differs => {
                let what = format!(
                    "etcd 3.5.1 to 3.5.19 leaves member {id} in its database as it was; it is taken for newer"
                );
                self.advise(Code::ReplayVersion, Severity::Warning, what, Some(Hint::EtcdPatchVersion));
            }
            _ => {}
        }
        self.buckets.put("members", &key, value);
    }

    /// What raft makes of the change, in the words that 3.5 and newer keep.
    fn conf_state(&mut self) {
        if self.version.minor == Minor::V34 {
            return;
        }
        let list = |ids: &BTreeSet<MemberId>| {
            ids.iter().map(|id| id.get().to_string()).collect::<Vec<_>>().join(",")
        };
        let Cluster { voters, learners, .. } = &self.cluster;
        let learners =
            if learners.is_empty() { String::new() } else { format!(",\"learners\":[{}]", list(learners)) };
        let json = format!("{{\"voters\":[{}]{learners},\"auto_leave\":false}}", list(voters));
        self.buckets.put("meta", b"confState", json.into_bytes());
    }

    pub(super) fn member_attributes(&mut self, id: MemberId, attributes: Option<&Attributes>) -> Replied {
        let Some(attributes) = attributes else { return Err(self.refuse(NO_ATTRIBUTES)) };
        let Some(member) = self.cluster.members.get(&id) else {
            return if self.cluster.removed.contains(&id) {
                Ok(Done::Rejected("the member was removed"))
            } else {
                Err(self.refuse(unknown_member(id)))
            };
        };
        let Attributes { name, client_urls } = attributes;
        // etcd keeps members in JSON, and Go's has no other bytes than those of UTF-8.
        let client_urls = client_urls.iter().map(|url| go_text(url).into()).collect();
        self.cluster.members.insert(id, Member { name: go_text(name).into(), client_urls, ..member.clone() });
        self.save(id);
        Ok(Done::Applied)
    }

    pub(super) fn cluster_version(&mut self, version: &[u8]) -> Replied {
        held::cluster_version(version).map_err(|why| self.refuse(why))?;
        self.buckets.put("cluster", b"clusterVersion", version.to_vec());
        Ok(Done::Applied)
    }

    pub(super) fn downgrade(&mut self, r: &DowngradeInfoSetRequest) -> Replied {
        if r.enabled && Semver::of(&r.ver).is_err() {
            let what = format!("a downgrade to {}, which is no version: etcd panics", show_bytes(&r.ver));
            return Err(self.refuse(what));
        }
        let target = if r.enabled { quote(&go_text(&r.ver)) } else { quote("") };
        let json = format!("{{\"target-version\":{target},\"enabled\":{}}}", r.enabled);
        self.buckets.put("cluster", b"downgrade", json.into_bytes());
        Ok(Done::Applied)
    }

    /// A request of the old API.
    pub(super) fn v2(&mut self, r: &V2Request) -> Replied {
        match held::v2(r, self.version.minor).map_err(|why| self.refuse(why))? {
            V2::Version(version) => self.cluster_version(&version),
            V2::Attributes(id, attributes) => self.member_attributes(id, Some(&attributes)),
            V2::Store => {
                if r.method != b"SYNC" && r.method != b"QGET" {
                    let what =
                        "a request of the v2 API: the v2 store is in raft snapshots only, and is not copied";
                    self.say(Code::ReplayV2, Severity::Warning, what);
                }
                Ok(Done::Nothing)
            }
        }
    }
}
