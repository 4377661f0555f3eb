//! What is remarkable about the entries of a log, noted while it is read: what etcd panics at, and what it does even
//! for entries that its database has. Of most entries nothing is.

use std::collections::BTreeMap;

use super::apply::held::{self, Held, NO_ATTRIBUTES, held, nameless};
use crate::etcd::request::{V2Request, with_room};
use crate::etcd::semver::Semver;
use crate::raft::{ConfChange, EntryView};
use crate::words::ids::{MemberId, RaftIndex};

/// What is remarkable about an entry.
#[derive(Debug)]
pub(super) enum Remark {
    /// etcd panics at it.
    Wrong(String),
    /// etcd since 3.5 panics at it, even if its database has it.
    WrongSince35(String),
    /// etcd since 3.7 panics at it, even if its database has it.
    WrongSince37(&'static str),
    /// It sets the cluster to this version, by a request that etcd knows since 3.5.
    Sets(Semver),
    /// It is about a downgrade, of which etcd knows since 3.5.
    Since35,
    /// It tells of this member.
    Tells(MemberId),
    /// A request of the old API.
    V2(Box<V2Request>),
    /// A change of members.
    ConfChange(ConfChange),
}

/// By raft index.
#[derive(Debug, Default)]
pub(super) struct Remarks(pub BTreeMap<RaftIndex, Remark>);

impl Remarks {
    /// Takes in an entry; a later one replaces those from its index on.
    pub fn entry(&mut self, entry: &EntryView<'_>) {
        self.0.split_off(&entry.index);
        if let Some(remark) = with_room(entry.bytes(), |most| remark(entry, most)) {
            self.0.insert(entry.index, remark);
        }
    }
}

fn remark(entry: &EntryView<'_>, most: usize) -> Option<Remark> {
    let request = match held(entry, most) {
        Err(why) => return Some(Remark::Wrong(why)),
        Ok(Held::Nothing) => return None,
        Ok(Held::V2(request)) => return Some(Remark::V2(request)),
        Ok(Held::ConfChange(change)) => return Some(Remark::ConfChange(change)),
        Ok(Held::V3(request)) => request,
    };
    if let Some(why) = nameless(&request) {
        return Some(Remark::WrongSince35(why.to_owned()));
    }
    if let Some(why) = request.txn.as_ref().and_then(|_| held::deep(entry)) {
        return Some(Remark::WrongSince37(why));
    }
    if let Some(set) = &request.cluster_version_set {
        return Some(held::cluster_version(&set.ver).map_or_else(Remark::WrongSince35, Remark::Sets));
    }
    if request.downgrade_info_set.is_some() || request.downgrade_version_test.is_some() {
        return Some(Remark::Since35);
    }
    let set = request.cluster_member_attr_set.as_ref()?;
    Some(match set.member_attributes {
        Some(_) => Remark::Tells(MemberId::new(set.member_id)),
        None => Remark::WrongSince35(NO_ATTRIBUTES.to_owned()),
    })
}
