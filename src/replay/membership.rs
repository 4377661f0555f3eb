//! Who is a member and who votes, and what a conf change makes of that. All who follow a log ask here: replay, the
//! choice of what is believed, and the check of a database against its log.
//!
//! Source: `server/etcdserver/api/membership/cluster.go ValidateConfigurationChange`, `server/etcdserver/server.go
//! applyConfChange` @ v3.4, v3.5, v3.6; `confchange/confchange.go` of raft.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use serde::Deserialize;

use crate::etcd::Facts;
use crate::etcd::member::Member;
use crate::raft::{self, ConfChange, ConfChangeType};
use crate::snap::file::{Membership, SnapMember};
use crate::wal::Read;
use crate::words::ids::{MemberId, RaftIndex};
use crate::words::text::Told;

/// How many members may learn at a time; a flag changes it since 3.6.
const MOST_LEARNERS: usize = 1;

/// Why a second learner is refused.
pub(crate) const TOO_MANY_LEARNERS: &str = "there is a learner already";

/// Why the last voter cannot go.
pub(crate) const NO_VOTER_LEFT: &str = "it is the only voter, and etcd panics without one (removed all voters): work from the voter's own directory, or \
     promote a learner first";

/// Who is a member and who votes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cluster {
    /// By id.
    pub members: BTreeMap<MemberId, Member>,
    /// Those that may not come back.
    pub removed: BTreeSet<MemberId>,
    /// Who votes, by raft.
    pub voters: BTreeSet<MemberId>,
    /// Who only learns, by raft.
    pub learners: BTreeSet<MemberId>,
    /// Whether who votes was told by raft's own files; a database alone may have kept it from another cluster.
    by_raft: bool,
}

/// What a conf change did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Changed {
    /// A member joined, as voter or learner, or became a voter.
    Joined,
    /// A member got other peer URLs.
    Moved {
        /// It learns, and etcds differ in whether it does so still.
        learner: bool,
    },
    /// A member left.
    Left,
}

/// Why a conf change does nothing, or cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// etcd refuses it, every time it is applied.
    Refused(&'static str),
    /// etcd panics at it.
    Panics(&'static str),
}

/// What versions differ in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules<'r> {
    /// Whether a learner whose peer URLs change is a learner still; `None` where the patch version that did it is not
    /// known.
    pub moved_learners_learn: Option<bool>,
    /// The database in which the changes are already: it tells what was made of what flags or patch versions decide.
    pub outcome: Option<&'r Facts>,
}

impl Rules<'_> {
    fn known(self, id: MemberId) -> Option<Member> {
        self.outcome?.members.iter().find(|member| member.id == id).cloned()
    }

    /// Whether the database knows a learner that a flag must have let in.
    fn was_let_in(self, id: MemberId) -> bool {
        self.known(id).is_some() || self.outcome.is_some_and(|facts| facts.removed_members.contains(&id))
    }

    fn learns_when_moved(self, id: MemberId) -> bool {
        self.moved_learners_learn.or_else(|| self.known(id).map(|member| member.is_learner)).unwrap_or(true)
    }
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

impl Cluster {
    /// What a database says by itself.
    pub fn of(facts: &Facts) -> Cluster {
        let mut members: BTreeMap<MemberId, Member> =
            facts.members.iter().map(|member| (member.id, member.clone())).collect();
        // A restored database keeps the conf state of the cluster that it was taken from.
        let conf_state = facts.conf_state.as_ref().filter(|state| {
            members.is_empty() || state.voters.iter().any(|voter| members.contains_key(voter))
        });
        for (id, member) in &mut members {
            // 3.5.1 to 3.5.19 leave a promoted learner in the bucket as it was.
            member.is_learner &= conf_state.is_none_or(|state| !state.voters.contains(id));
        }
        let removed = facts.removed_members.iter().copied().collect();
        let cluster = Cluster { members, removed, ..Cluster::default() };
        match conf_state {
            Some(state) => Cluster {
                voters: state.voters.iter().copied().collect(),
                learners: state.learners.iter().copied().collect(),
                ..cluster
            },
            None => cluster.by_members(),
        }
    }

    /// What a raft snapshot file says.
    pub fn of_snapshot(membership: Membership, conf_state: Option<&raft::ConfState>) -> Cluster {
        let member = |m: SnapMember| {
            let (name, is_learner) = (m.name.unwrap_or_default(), m.is_learner);
            let member =
                Member { id: m.id, name, peer_urls: m.peer_urls, client_urls: m.client_urls, is_learner };
            (m.id, member)
        };
        let members = membership.members.into_iter().map(member).collect();
        let removed = membership.removed.into_iter().collect();
        let cluster = Cluster { members, removed, by_raft: true, ..Cluster::default() };
        match conf_state {
            Some(state) => cluster.with(state),
            None => cluster.by_members(),
        }
    }

    /// What a snapshot record of the log says: no more than ids.
    pub fn of_conf_state(state: &raft::ConfState) -> Cluster {
        let cluster = Cluster { by_raft: true, ..Cluster::default() }.with(state);
        let member = |id: &MemberId| {
            (*id, Member { id: *id, is_learner: cluster.learners.contains(id), ..Member::default() })
        };
        let members = cluster.voters.iter().chain(&cluster.learners).map(member).collect();
        Cluster { members, ..cluster }
    }

    /// A log that begins with its first entry: nobody.
    pub fn before_the_log() -> Cluster {
        Cluster { by_raft: true, ..Cluster::default() }
    }

    fn with(self, state: &raft::ConfState) -> Cluster {
        let set = |ids: &[u64]| ids.iter().copied().map(MemberId::new).collect();
        Cluster { voters: set(&state.voters), learners: set(&state.learners), ..self }
    }

    /// The members that are no learners vote.
    fn by_members(self) -> Cluster {
        let of =
            |learner: bool| self.members.values().filter(|m| m.is_learner == learner).map(|m| m.id).collect();
        Cluster { voters: of(false), learners: of(true), ..self }
    }

    /// The members that a database lists, and raft votes by them too.
    pub fn listed(facts: &Facts) -> Cluster {
        let bare = Facts { conf_state: None, ..facts.clone() };
        Cluster { by_raft: true, ..Cluster::of(&bare) }
    }

    /// Whether this member alone votes, by everything that is known.
    pub fn votes_alone(&self, id: MemberId) -> bool {
        let others = self.members.values().any(|m| !m.is_learner && m.id != id);
        self.is_last_voter(id)
            && (self.by_raft || (!others && self.members.get(&id).is_some_and(|m| !m.is_learner)))
    }

    /// Whether nobody else votes.
    pub fn is_last_voter(&self, id: MemberId) -> bool {
        self.voters.iter().eq([&id])
    }

    fn urls_are_taken(&self, id: MemberId, urls: &[Told]) -> bool {
        self.members.values().any(|m| m.id != id && m.peer_urls.iter().any(|url| urls.contains(url)))
    }

    /// Makes a change.
    pub fn apply(&mut self, change: &ConfChange, rules: Rules<'_>) -> Result<Changed, Unfit> {
        let id = change.member();
        if self.removed.contains(&id) {
            return Err(Unfit::Refused("the member was removed"));
        }
        let kind = ConfChangeType::try_from(change.kind.unwrap_or_default())
            .map_err(|_| Unfit::Panics("a conf change of a kind that is not known: etcd panics"))?;
        if kind == ConfChangeType::RemoveNode {
            return self.remove(id);
        }
        let context: Context = serde_json::from_slice(change.context())
            .map_err(|_| Unfit::Panics("a conf change whose member does not decode: etcd panics"))?;
        if let Some(why) = self.refuses(id, kind, &context, rules) {
            return Err(Unfit::Refused(why));
        }
        if context.member.id != id {
            return Err(Unfit::Panics(
                "a conf change whose member is another than the one it changes: etcd panics (got different member ID)",
            ));
        }
        let there = self.members.get(&id).cloned();
        if kind == ConfChangeType::UpdateNode {
            let there = there.unwrap_or_default();
            let is_learner = there.is_learner && (context.member.is_learner || rules.learns_when_moved(id));
            let learner = there.is_learner && !context.member.is_learner;
            self.members.insert(id, Member { peer_urls: context.member.peer_urls, is_learner, ..there });
            return Ok(Changed::Moved { learner });
        }
        let (to, from) = if kind == ConfChangeType::AddLearnerNode {
            (&mut self.learners, &mut self.voters)
        } else {
            (&mut self.voters, &mut self.learners)
        };
        from.remove(&id);
        to.insert(id);
        let member = match there {
            Some(member) => Member { is_learner: false, ..member },
            None => Member { id, ..context.member },
        };
        self.members.insert(id, member);
        Ok(Changed::Joined)
    }

    /// Makes the changes of the entries after `from` up to `to`; those that etcd refuses or panics at change nothing.
    pub fn follow(&mut self, read: &Read, from: RaftIndex, to: RaftIndex, rules: Rules<'_>) {
        let later = read.conf_changes.range(from.next()..).take_while(|(index, _)| **index <= to);
        for change in later.filter_map(|(_, change)| ConfChange::decode(change.as_slice()).ok()) {
            let _ = self.apply(&change, rules);
        }
    }

    /// Why etcd makes nothing of a change that is no removal.
    fn refuses(
        &self,
        id: MemberId,
        kind: ConfChangeType,
        context: &Context,
        rules: Rules<'_>,
    ) -> Option<&'static str> {
        let there = self.members.get(&id);
        let taken = self.urls_are_taken(id, &context.member.peer_urls);
        let learners = self.members.values().filter(|member| member.is_learner).count();
        match (kind, there) {
            (ConfChangeType::UpdateNode, None) => Some("the member does not exist"),
            (ConfChangeType::UpdateNode, Some(_)) => taken.then_some("another member has the peer URL"),
            (_, None) if context.is_promote => Some("the member does not exist"),
            (_, Some(member)) if context.is_promote => {
                (!member.is_learner).then_some("the member is no learner")
            }
            (_, Some(_)) => Some("the member exists"),
            (_, None) if taken => Some("another member has the peer URL"),
            (_, None) => {
                let many = context.member.is_learner && learners >= MOST_LEARNERS && !rules.was_let_in(id);
                many.then_some(TOO_MANY_LEARNERS)
            }
        }
    }

    fn remove(&mut self, id: MemberId) -> Result<Changed, Unfit> {
        if !self.members.contains_key(&id) {
            return Err(Unfit::Refused("the member does not exist"));
        }
        if self.is_last_voter(id) {
            return Err(Unfit::Panics(NO_VOTER_LEFT));
        }
        self.members.remove(&id);
        self.removed.insert(id);
        self.voters.remove(&id);
        self.learners.remove(&id);
        Ok(Changed::Left)
    }
}
