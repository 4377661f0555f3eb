//! Which request an entry holds, and who applies it: `applierV3backend.Apply` @ v3.6.14.

use super::auth::{self, Who};
use super::{Done, Replayer, Replied};
use crate::etcd::request::InternalRaftRequest;
use crate::etcd::schema::Minor;
use crate::words::ids::MemberId;

impl Replayer<'_, '_> {
    /// In etcd's order: of several requests in one, which none makes, the first counts.
    pub(super) fn request(&mut self, r: &InternalRaftRequest) -> Replied {
        if self.version.minor > Minor::V34
            && let Some(done) = self.cluster_request(r)
        {
            return done;
        }
        let who = Who::of(r);
        if self.chain.auth && auth::needs_admin(r) && !auth::is_admin(&self.buckets, &who) {
            return Ok(Done::Rejected("permission denied"));
        }
        if self.chain.corrupt && changes_store(r) {
            return Ok(Done::Rejected("the alarm CORRUPT is raised"));
        }
        if let Some(done) = self.key_request(&who, r).or_else(|| self.lease_or_alarm_request(&who, r)) {
            return done;
        }
        match self.user_request(r).or_else(|| self.role_request(r)) {
            Some(done) => Ok(done),
            None => {
                Err(self
                    .refuse(format!("a request that etcd {} does not know: it panics at it", self.version)))
            }
        }
    }

    fn cluster_request(&mut self, r: &InternalRaftRequest) -> Option<Replied> {
        if let Some(set) = &r.cluster_version_set {
            Some(self.cluster_version(&set.ver))
        } else if let Some(set) = &r.cluster_member_attr_set {
            Some(self.member_attributes(MemberId::new(set.member_id), set.member_attributes.as_ref()))
        } else if let Some(set) = &r.downgrade_info_set {
            Some(self.downgrade(set))
        } else {
            r.downgrade_version_test.is_some().then_some(Ok(Done::Nothing))
        }
    }

    fn key_request(&mut self, who: &Who, r: &InternalRaftRequest) -> Option<Replied> {
        if r.range.is_some() {
            Some(Ok(Done::Nothing))
        } else if let Some(put) = &r.put {
            Some(self.put(who, put))
        } else if let Some(delete) = &r.delete_range {
            Some(self.delete_range(who, delete))
        } else if let Some(txn) = &r.txn {
            Some(self.txn(who, txn))
        } else {
            r.compaction.as_ref().map(|compaction| Ok(self.compact(compaction.revision)))
        }
    }

    fn lease_or_alarm_request(&mut self, who: &Who, r: &InternalRaftRequest) -> Option<Replied> {
        if let Some(grant) = &r.lease_grant {
            Some(Ok(self.lease_grant(grant)))
        } else if let Some(revoke) = &r.lease_revoke {
            Some(Ok(self.lease_revoke(who, revoke.id)))
        } else if let Some(checkpoint) = &r.lease_checkpoint {
            Some(Ok(self.lease_checkpoint(checkpoint)))
        } else {
            r.alarm.as_ref().map(|alarm| self.alarm(alarm))
        }
    }

    fn user_request(&mut self, r: &InternalRaftRequest) -> Option<Done> {
        Some(if r.authenticate.is_some() {
            Done::Nothing
        } else if r.auth_enable.is_some() {
            self.auth_enable()
        } else if r.auth_disable.is_some() {
            self.auth_disable()
        } else if r.auth_status.is_some() {
            Done::Nothing
        } else if let Some(add) = &r.auth_user_add {
            self.user_add(add)
        } else if let Some(delete) = &r.auth_user_delete {
            self.user_delete(&delete.name)
        } else if let Some(change) = &r.auth_user_change_password {
            self.user_change_password(change)
        } else if let Some(grant) = &r.auth_user_grant_role {
            self.user_grant_role(grant)
        } else if r.auth_user_get.is_some() {
            Done::Nothing
        } else if let Some(revoke) = &r.auth_user_revoke_role {
            self.user_revoke_role(revoke)
        } else {
            return None;
        })
    }

    fn role_request(&mut self, r: &InternalRaftRequest) -> Option<Done> {
        Some(if let Some(add) = &r.auth_role_add {
            self.role_add(&add.name)
        } else if let Some(grant) = &r.auth_role_grant_permission {
            self.role_grant_permission(grant)
        } else if r.auth_role_get.is_some() {
            Done::Nothing
        } else if let Some(revoke) = &r.auth_role_revoke_permission {
            self.role_revoke_permission(revoke)
        } else if let Some(delete) = &r.auth_role_delete {
            self.role_delete(&delete.role)
        } else if r.auth_user_list.is_some() || r.auth_role_list.is_some() {
            Done::Nothing
        } else {
            return None;
        })
    }
}

/// What a member that found itself corrupt does not do (`applierV3Corrupt`).
fn changes_store(r: &InternalRaftRequest) -> bool {
    r.range.is_some()
        || r.put.is_some()
        || r.delete_range.is_some()
        || r.txn.is_some()
        || r.compaction.is_some()
        || r.lease_grant.is_some()
        || r.lease_revoke.is_some()
}
