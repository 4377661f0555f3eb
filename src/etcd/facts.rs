//! Everything an etcd database says about itself outside its keyspace.

use prost::Message;
use serde::Serialize;

use crate::codec::array_at;
use crate::codec::json::quote;
use crate::etcd::alarm::{AlarmMember, AlarmType};
use crate::etcd::auth::{PermissionType, Role, User};
use crate::etcd::lease::Lease;
use crate::etcd::member::{Downgrade, Member, StoredConfState};
use crate::etcd::revision::BucketKey;
use crate::etcd::semver::{NoVersion, Semver};
use crate::words::error::{At, Corrupt};
use crate::words::finding::Code;
use crate::words::ids::{LeaseId, MemberId, RaftIndex, Term};
use crate::words::text::Told;

/// The content of the buckets other than `key`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Facts {
    /// The last raft entry whose effect is in the file.
    pub consistent_index: Option<RaftIndex>,
    /// That entry's term; kept since 3.5.
    pub term: Option<Term>,
    /// Raft membership; kept since 3.5.
    pub conf_state: Option<StoredConfState>,
    /// The compaction that was asked for last.
    pub scheduled_compact_revision: Option<i64>,
    /// The compaction that was finished last.
    pub finished_compact_revision: Option<i64>,
    /// `meta/storageVersion`; kept since 3.6.
    pub storage_version: Option<Told>,
    /// The version all members agreed on.
    pub cluster_version: Option<Told>,
    /// Whether the cluster is on its way to an older version.
    pub downgrade: Option<Downgrade>,
    /// Members.
    pub members: Vec<Member>,
    /// Ids of members that were removed.
    pub removed_members: Vec<MemberId>,
    /// Leases.
    pub leases: Vec<LeaseFact>,
    /// Alarms.
    pub alarms: Vec<AlarmFact>,
    /// Users and roles.
    pub auth: AuthFacts,
    /// Keys in these buckets that no etcd version writes, as `bucket/key`.
    pub unknown_keys: Vec<String>,
}

/// A lease and the live keys attached to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeaseFact {
    /// Its id.
    pub id: LeaseId,
    /// Seconds it lives after each renewal.
    pub ttl: i64,
    /// Seconds left at the last checkpoint, if checkpoints are kept.
    pub remaining_ttl: i64,
    /// How many live keys are attached; `None` when the keyspace was not read.
    pub attached: Option<u64>,
    /// Their names, escaped; the first hundred.
    pub keys: Vec<String>,
}

/// A raised alarm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AlarmFact {
    /// The member that raised it.
    pub member_id: MemberId,
    /// Which.
    pub alarm: Option<AlarmType>,
}

/// Users and roles, without password hashes.
#[derive(Debug, Clone, Default, Serialize)]
pub struct AuthFacts {
    /// Whether authentication is on.
    pub enabled: bool,
    /// Counts changes to users and roles.
    pub revision: Option<u64>,
    /// Users.
    pub users: Vec<UserFact>,
    /// Roles.
    pub roles: Vec<RoleFact>,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UserFact {
    /// The name.
    pub name: String,
    /// The roles.
    pub roles: Vec<String>,
    /// Whether a password is set.
    pub has_password: bool,
    /// Whether a role's name is other bytes than UTF-8.
    #[serde(skip)]
    pub has_role_not_utf8: bool,
}

/// A role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RoleFact {
    /// The name.
    pub name: String,
    /// What it permits.
    pub permissions: Vec<PermissionFact>,
}

/// One permission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PermissionFact {
    /// Reading, writing or both; `None` for a value no etcd version writes.
    pub permission: Option<PermissionType>,
    /// The key or the first of the range, escaped.
    pub key: String,
    /// Where the range ends, escaped; empty for one key.
    pub range_end: String,
}

fn show(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

/// Why an item of a small bucket cannot be taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Undecodable(String);

impl Undecodable {
    /// What is said of it; `at` is where the item lies.
    #[must_use]
    pub fn corrupt(self, at: At) -> Box<Corrupt> {
        Corrupt::new(Code::ValueUndecodable, at, self.0)
    }
}

impl Facts {
    /// Takes in one item.
    ///
    /// # Errors
    /// Why it does not decode.
    pub fn take(&mut self, bucket: &[u8], key: &[u8], value: &[u8]) -> Result<(), Undecodable> {
        let taken = match bucket {
            b"meta" => self.take_meta(key, value),
            b"cluster" => self.take_cluster(key, value),
            b"members" => self.take_member(key, value),
            b"members_removed" => member_id(key).map(|id| self.removed_members.push(id)),
            b"lease" => self.take_lease(key, value),
            b"alarm" => self.take_alarm(key),
            b"auth" => self.take_auth(key, value),
            b"authUsers" => self.take_user(key, value),
            b"authRoles" => self.take_role(key, value),
            _ => Ok(()),
        };
        taken.map_err(Undecodable)
    }

    fn take_cluster(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        match key {
            b"clusterVersion" => {
                let version = self.cluster_version.insert(text(value)?.into());
                panics_at(version.raw(), "the cluster version")
            }
            b"downgrade" => {
                let downgrade: &Downgrade = self.downgrade.insert(json(value)?);
                // The version is asked for only while a downgrade is under way.
                if downgrade.enabled {
                    panics_at(downgrade.target_version.raw(), "the version that a downgrade goes to")
                } else {
                    Ok(())
                }
            }
            _ => self.unknown(b"cluster", key),
        }
    }

    fn take_member(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        let id = member_id(key)?;
        let mut member: Member = json(value)?;
        if member.id == MemberId::default() {
            member.id = id;
        }
        if member.id != id {
            return Err(format!("the value names member {}, its key {id}", member.id));
        }
        self.members.push(member);
        Ok(())
    }

    fn take_lease(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        let id = array_at(key, 0).map(i64::from_be_bytes).filter(|_| key.len() == 8);
        let id = id
            .map(LeaseId::new)
            .ok_or_else(|| format!("a lease's key has 8 bytes, this one has {}", key.len()))?;
        let lease = Lease::decode(value).map_err(|e| e.to_string())?;
        if lease.lease_id() != id {
            return Err(format!("the value names lease {:#}, its key {id:#}", lease.lease_id()));
        }
        let (ttl, remaining_ttl) = (lease.ttl, lease.remaining_ttl);
        self.leases.push(LeaseFact { id, ttl, remaining_ttl, attached: None, keys: Vec::new() });
        Ok(())
    }

    fn take_alarm(&mut self, key: &[u8]) -> Result<(), String> {
        let AlarmMember { member_id, alarm, .. } = AlarmMember::decode(key).map_err(|e| e.to_string())?;
        let alarm = AlarmType::try_from(alarm).ok();
        self.alarms.push(AlarmFact { member_id: MemberId::new(member_id), alarm });
        Ok(())
    }

    fn take_auth(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        match key {
            b"authEnabled" => {
                self.auth.enabled = value == [1];
                if matches!(value, [0 | 1]) {
                    Ok(())
                } else {
                    Err(format!("one byte 0 or 1 is due, {} bytes are there", value.len()))
                }
            }
            b"authRevision" => number(value).map(|n| self.auth.revision = Some(n)),
            _ => self.unknown(b"auth", key),
        }
    }

    fn take_user(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        let user = User::decode(value).map_err(|e| e.to_string())?;
        self.auth.users.push(UserFact {
            name: show(key),
            has_role_not_utf8: user.roles.iter().any(|role| std::str::from_utf8(role).is_err()),
            roles: user.roles.iter().map(|role| show(role)).collect(),
            has_password: !user.password.is_empty(),
        });
        if user.name == key { Ok(()) } else { Err(format!("the value names user {}", show(&user.name))) }
    }

    fn take_role(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        let role = Role::decode(value).map_err(|e| e.to_string())?;
        let permissions = role.key_permission.iter().map(|p| PermissionFact {
            permission: PermissionType::try_from(p.perm_type).ok(),
            key: show(&p.key),
            range_end: show(&p.range_end),
        });
        self.auth.roles.push(RoleFact { name: show(key), permissions: permissions.collect() });
        if role.name == key { Ok(()) } else { Err(format!("the value names role {}", show(&role.name))) }
    }

    fn take_meta(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        match key {
            b"consistent_index" => number(value).map(|n| self.consistent_index = Some(n.into())),
            b"term" => number(value).map(|n| self.term = Some(n.into())),
            b"confState" => json(value).map(|c| self.conf_state = Some(c)),
            b"scheduledCompactRev" => revision(value).map(|r| self.scheduled_compact_revision = Some(r)),
            b"finishedCompactRev" => revision(value).map(|r| self.finished_compact_revision = Some(r)),
            b"storageVersion" => text(value).map(|v| self.storage_version = Some(v.into())),
            _ => self.unknown(b"meta", key),
        }
    }

    fn unknown(&mut self, bucket: &[u8], key: &[u8]) -> Result<(), String> {
        self.unknown_keys.push(format!("{}/{}", show(bucket), show(key)));
        Ok(())
    }

    /// The revision up to which history is gone: what was finished, or asked for since; `None` before the first
    /// compaction.
    #[must_use]
    pub fn compact_revision(&self) -> Option<i64> {
        self.finished_compact_revision.max(self.scheduled_compact_revision)
    }

    /// The revision that a store is at whose last stored one is `last`: a compaction may have removed the last ones
    /// (`store.restore`). One that was only asked for counts too, even past all that was ever stored: so 3.4.32,
    /// 3.5.14, 3.6.0 and newer serve it (HashKV as well); older ones go on from `last`, of which a finding tells. What
    /// `etcdutl snapshot status` prints is the last stored one, in every version.
    #[must_use]
    pub fn current_revision(&self, last: i64) -> i64 {
        self.compact_revision().unwrap_or(0).max(last).max(1)
    }

    /// Whether a compaction was asked for and not finished: etcd resumes it when it starts.
    #[must_use]
    pub fn compaction_is_unfinished(&self) -> bool {
        self.scheduled_compact_revision > self.finished_compact_revision
    }
}

fn number(value: &[u8]) -> Result<u64, String> {
    let number = array_at(value, 0).map(u64::from_be_bytes).filter(|_| value.len() == 8);
    number.ok_or_else(|| format!("8 bytes are due, {} are there", value.len()))
}

fn revision(value: &[u8]) -> Result<i64, String> {
    BucketKey::parse(value).map(|key| key.revision.main).map_err(|e| e.to_string())
}

/// What etcd does not parse, it panics at.
fn panics_at(version: &str, what: &str) -> Result<(), String> {
    Semver::parse(version).map(drop).map_err(|why| {
        let three = why == NoVersion::NotThree && version.split('.').count() == 2;
        let starts = if three { "; 3.8 takes it" } else { "" };
        format!("{what} {} {why}: etcd up to 3.7 panics at it when it starts{starts}", quote(version))
    })
}

fn text(value: &[u8]) -> Result<String, String> {
    String::from_utf8(value.to_vec()).map_err(|e| e.to_string())
}

fn json<'v, T: serde::Deserialize<'v>>(value: &'v [u8]) -> Result<T, String> {
    serde_json::from_slice(value).map_err(|e| e.to_string())
}

fn member_id(key: &[u8]) -> Result<MemberId, String> {
    let id = std::str::from_utf8(key).ok().and_then(|hex| hex.parse().ok());
    id.ok_or_else(|| "the key is not a member id in hex".to_owned())
}
