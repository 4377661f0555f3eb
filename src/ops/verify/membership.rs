//! Who is a member by the raft log: a raft snapshot's members, and the changes after it.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use serde::Deserialize;

use crate::raft::{ConfChange, ConfChangeType};
use crate::snap::file::Membership;
use crate::words::ids::MemberId;

/// A member, as far as raft is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Whether it only learns.
    pub is_learner: bool,
    urls: BTreeSet<String>,
}

/// The members, and those that may not come back.
#[derive(Debug, Clone, Default)]
pub struct Peers {
    /// By id.
    pub members: BTreeMap<MemberId, Peer>,
    removed: BTreeSet<MemberId>,
}

/// What etcd puts into a conf change: the member, and whether a learner becomes a voter.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Context {
    #[serde(rename = "peerURLs")]
    peer_urls: Option<Vec<String>>,
    #[serde(default)]
    is_learner: bool,
    #[serde(default)]
    is_promote: bool,
}

impl Peers {
    /// Those of a raft snapshot.
    pub fn of(membership: Membership) -> Peers {
        let peer = |m: crate::snap::file::SnapMember| {
            (m.id, Peer { is_learner: m.is_learner, urls: m.peer_urls.into_iter().collect() })
        };
        Peers {
            members: membership.members.into_iter().map(peer).collect(),
            removed: membership.removed.into_iter().collect(),
        }
    }

    /// Applies a change. What does not fit etcd makes a change of nothing (`RaftCluster.ValidateConfigurationChange`
    /// @ v3.6).
    pub fn apply(&mut self, data: &[u8]) {
        let Ok(change) = ConfChange::decode(data) else { return };
        let id = change.member();
        if self.removed.contains(&id) {
            return;
        }
        let context: Option<Context> = serde_json::from_slice(change.context()).ok();
        let urls = |c: &Context| c.peer_urls.iter().flatten().cloned().collect::<BTreeSet<_>>();
        match (change.kind(), context) {
            (ConfChangeType::AddNode, Some(c)) if c.is_promote => {
                if let Some(member) = self.members.get_mut(&id) {
                    member.is_learner = false;
                }
            }
            (ConfChangeType::AddNode | ConfChangeType::AddLearnerNode, Some(c)) => {
                let urls = urls(&c);
                if !self.members.contains_key(&id)
                    && !self.members.values().any(|m| !m.urls.is_disjoint(&urls))
                {
                    self.members.insert(id, Peer { is_learner: c.is_learner, urls });
                }
            }
            (ConfChangeType::RemoveNode, _) if self.members.remove(&id).is_some() => {
                self.removed.insert(id);
            }
            (ConfChangeType::UpdateNode, Some(c)) => {
                if let Some(member) = self.members.get_mut(&id) {
                    member.urls = urls(&c);
                }
            }
            _ => {}
        }
    }
}
