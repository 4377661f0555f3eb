//! Members, the cluster's version, and who votes, while a log is applied.
//!
//! Source: `server/etcdserver/api/membership/cluster.go`, `server/etcdserver/{server.go applyConfChange,
//! apply_v2.go}` @ v3.4, v3.5, v3.6.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use serde::Deserialize;

use crate::codec::json::{quote, strings};
use crate::etcd::Facts;
use crate::etcd::member::Member;
use crate::etcd::request::{Attributes, DowngradeInfoSetRequest, V2Request};
use crate::etcd::schema::Minor;
use crate::raft::{ConfChange, ConfChangeType};
use crate::replay::apply::{Done, Replayer, Replied};
use crate::words::finding::{Code, Severity};
use crate::words::ids::MemberId;

/// How many members may learn at a time; a flag changes it since 3.6.
const MOST_LEARNERS: usize = 1;
const TOO_MANY_LEARNERS: &str = "there is a learner already";

/// Who is a member and who votes.
#[derive(Debug, Clone, Default)]
pub(super) struct Cluster {
    members: BTreeMap<MemberId, Member>,
    removed: BTreeSet<MemberId>,
    voters: BTreeSet<MemberId>,
    learners: BTreeSet<MemberId>,
}

/// What a conf change says of a member.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Context {
    #[serde(flatten)]
    member: Member,
    #[serde(default)]
    is_promote: bool,
}

#[derive(Deserialize)]
struct V2Attributes {
    #[serde(default)]
    name: String,
    #[serde(default, rename = "clientURLs")]
    client_urls: Option<Vec<String>>,
}

impl Cluster {
    pub fn of(facts: &Facts) -> Cluster {
        let mut members: BTreeMap<MemberId, Member> =
            facts.members.iter().map(|member| (member.id, member.clone())).collect();
        let conf_state = facts.conf_state.as_ref();
        for (id, member) in &mut members {
            // 3.5.1 to 3.5.19 leave a promoted learner in the bucket as it was.
            member.is_learner &= conf_state.is_none_or(|state| !state.voters.contains(id));
        }
        let (voters, learners) = match conf_state {
            Some(state) => (state.voters.iter().copied().collect(), state.learners.iter().copied().collect()),
            None => {
                let of = |learner: bool| {
                    members.values().filter(|m| m.is_learner == learner).map(|m| m.id).collect()
                };
                (of(false), of(true))
            }
        };
        Cluster { members, removed: facts.removed_members.iter().copied().collect(), voters, learners }
    }

    /// Whether this member alone votes, by everything that is known.
    pub fn votes_alone(&self, id: MemberId) -> bool {
        let listed: Vec<MemberId> = self.members.values().filter(|m| !m.is_learner).map(|m| m.id).collect();
        listed == [id] && self.voters.iter().eq([&id])
    }

    pub fn was_removed(&self, id: MemberId) -> bool {
        self.removed.contains(&id)
    }

    pub fn voters(&self) -> &BTreeSet<MemberId> {
        &self.voters
    }

    pub fn learners(&self) -> &BTreeSet<MemberId> {
        &self.learners
    }

    pub fn into_members(self) -> Vec<Member> {
        self.members.into_values().collect()
    }

    fn urls_are_taken(&self, id: MemberId, urls: &[String]) -> bool {
        self.members.values().any(|m| m.id != id && m.peer_urls.iter().any(|url| urls.contains(url)))
    }
}

/// As Go writes a member (`membership.Member`).
fn json(member: &Member) -> Vec<u8> {
    let mut out = format!("{{\"id\":{},\"peerURLs\":{}", member.id.get(), strings(&member.peer_urls));
    if member.is_learner {
        out.push_str(",\"isLearner\":true");
    }
    if !member.name.is_empty() {
        out = format!("{out},\"name\":{}", quote(&member.name));
    }
    if !member.client_urls.is_empty() {
        out = format!("{out},\"clientURLs\":{}", strings(&member.client_urls));
    }
    out.push('}');
    out.into_bytes()
}

impl Replayer<'_, '_> {
    pub(super) fn conf_change(&mut self, data: &[u8]) -> Replied {
        let change = ConfChange::decode(data)
            .map_err(|_| self.refuse("a conf change that does not decode: etcd panics"))?;
        let (id, kind) = (change.member(), change.kind());
        let cluster = &mut self.cluster;
        if cluster.removed.contains(&id) {
            return Ok(Done::Rejected("the member was removed"));
        }
        if kind == ConfChangeType::RemoveNode {
            if cluster.members.remove(&id).is_none() {
                return Ok(Done::Rejected("the member does not exist"));
            }
            cluster.removed.insert(id);
            cluster.voters.remove(&id);
            cluster.learners.remove(&id);
            let key = id.to_string().into_bytes();
            self.buckets.delete("members", &key);
            self.buckets.put("members_removed", &key, b"removed".to_vec());
            self.conf_state();
            return Ok(Done::Applied);
        }
        let context: Context = serde_json::from_slice(change.context())
            .map_err(|_| self.refuse("a conf change whose member does not decode: etcd panics"))?;
        let cluster = &mut self.cluster;
        let there = cluster.members.get(&id);
        let taken = cluster.urls_are_taken(id, &context.member.peer_urls);
        let learners = cluster.members.values().filter(|member| member.is_learner).count();
        let refused = match (kind, there) {
            (ConfChangeType::UpdateNode, None) => Some("the member does not exist"),
            (ConfChangeType::UpdateNode, Some(_)) => taken.then_some("another member has the peer URL"),
            (_, None) if context.is_promote => Some("the member does not exist"),
            (_, Some(member)) if context.is_promote => {
                (!member.is_learner).then_some("the member is no learner")
            }
            (_, Some(_)) => Some("the member exists"),
            (_, None) if taken => Some("another member has the peer URL"),
            (_, None) => {
                (context.member.is_learner && learners >= MOST_LEARNERS).then_some(TOO_MANY_LEARNERS)
            }
        };
        if let Some(why) = refused {
            if why == TOO_MANY_LEARNERS && self.version.minor >= Minor::V36 {
                let what = "a second learner is refused, unless --max-learners was set";
                self.say(Code::ReplayFlags, Severity::Warning, what);
            }
            return Ok(Done::Rejected(why));
        }
        let member = match (kind, there.cloned()) {
            (ConfChangeType::UpdateNode, Some(member)) => {
                Member { peer_urls: context.member.peer_urls, ..member }
            }
            (_, Some(member)) => Member { is_learner: false, ..member },
            (_, None) => Member { id, ..context.member },
        };
        if kind != ConfChangeType::UpdateNode {
            let (to, from) = if kind == ConfChangeType::AddLearnerNode {
                (&mut cluster.learners, &mut cluster.voters)
            } else {
                (&mut cluster.voters, &mut cluster.learners)
            };
            from.remove(&id);
            to.insert(id);
        }
        self.save(member);
        self.conf_state();
        Ok(Done::Applied)
    }

    fn save(&mut self, member: Member) {
        let key = member.id.to_string().into_bytes();
        if !(self.version.members_stay_as_they_were() && self.buckets.has("members", &key)) {
            self.buckets.put("members", &key, json(&member));
        }
        self.cluster.members.insert(member.id, member);
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

    pub(super) fn member_attributes(&mut self, id: MemberId, attributes: Attributes) -> Done {
        let Some(member) = self.cluster.members.get(&id) else {
            return Done::Rejected("the member does not exist");
        };
        let member = Member { name: attributes.name, client_urls: attributes.client_urls, ..member.clone() };
        self.save(member);
        Done::Applied
    }

    pub(super) fn cluster_version(&mut self, version: &str) -> Replied {
        let numbers: Vec<&str> = version.split('.').collect();
        if numbers.len() != 3
            || !numbers.iter().all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
        {
            return Err(self.refuse(format!(
                "the cluster version {} is none: etcd panics",
                crate::words::error::printable(version)
            )));
        }
        self.buckets.put("cluster", b"clusterVersion", version.as_bytes().to_vec());
        Ok(Done::Applied)
    }

    pub(super) fn downgrade(&mut self, r: &DowngradeInfoSetRequest) -> Done {
        let target = if r.enabled { quote(&r.ver) } else { quote("") };
        let json = format!("{{\"target-version\":{target},\"enabled\":{}}}", r.enabled);
        self.buckets.put("cluster", b"downgrade", json.into_bytes());
        Done::Applied
    }

    /// A request of the old API: two kinds of it 3.4 and 3.5 make themselves.
    pub(super) fn v2(&mut self, r: &V2Request) -> Replied {
        if self.version.minor == Minor::V37 {
            return Err(self.refuse(
                "a request of the v2 API, at which etcd 3.7 panics: it was written by an older version",
            ));
        }
        let plain =
            r.method == "PUT" && r.prev_exist.is_none() && r.prev_index == 0 && r.prev_value.is_empty();
        if plain && r.path == "/0/version" {
            return self.cluster_version(&r.val);
        }
        let member = r.path.strip_prefix("/0/members/").and_then(|rest| rest.strip_suffix("/attributes"));
        let member = member.and_then(|id| id.parse().ok()).filter(|_| plain);
        if let Some(id) = member {
            let attributes: V2Attributes = serde_json::from_str(&r.val)
                .map_err(|_| self.refuse("a member's attributes do not decode: etcd panics"))?;
            let attributes =
                Attributes { name: attributes.name, client_urls: attributes.client_urls.unwrap_or_default() };
            return Ok(self.member_attributes(id, attributes));
        }
        if self.version.minor == Minor::V36 {
            return Err(self.refuse(
                "a request of the v2 API, at which etcd 3.6 panics: it was written by an older version",
            ));
        }
        if r.method != "SYNC" && r.method != "QGET" {
            self.say(
                Code::ReplayV2,
                Severity::Warning,
                "a request of the v2 API: the v2 store is in raft snapshots only, and is not copied",
            );
        }
        Ok(Done::Nothing)
    }
}
