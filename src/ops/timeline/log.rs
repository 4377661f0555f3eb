//! What the entries of a log ask for, one after the other.

use jiff::Timestamp;
use prost::Message;
use serde_json::Value;

use super::gather::Gathered;
use super::place::Makes;
use super::row::What;
use crate::etcd::request::{
    AlarmRequest, DeleteRangeRequest, InternalRaftRequest, PutRequest, Request, RequestOp, TxnRequest,
    V2Request, compare::TargetUnion, decode, request_op,
};
use crate::etcd::{KeyRange, alarm::AlarmType};
use crate::kube::times::{last_writers, written};
use crate::raft::{ConfChange, ConfChangeType, EntryType, EntryView};
use crate::replay::time::is_none;
use crate::store::ValueOpener;
use crate::words::ids::{LeaseId, MemberId, RaftIndex, Term};
use crate::words::text::show_bytes;

/// A change of a key that an entry asks for.
pub(super) struct Asked {
    pub key: u32,
    pub put: bool,
    /// The hash of the value.
    pub hash: Option<u64>,
    /// Of a deletion of several keys, which has no key: the first and the end, as the request has them.
    pub range: Option<(u32, u32)>,
    pub lease: i64,
    /// Whether it is a condition that there is no such key.
    pub new: bool,
    pub own: Option<Timestamp>,
    pub who: u32,
    pub detail: u32,
    /// Whether it is done only if the conditions do not hold.
    pub otherwise: bool,
}

/// An entry.
pub(super) struct Logged {
    pub index: RaftIndex,
    pub term: Term,
    /// The hash of its bytes.
    pub hash: u64,
    pub makes: Makes,
    pub asked: Vec<Asked>,
    /// The key on whose revision it is a condition, and that revision, as every update of Kubernetes has one; 0 is that
    /// there is no such key.
    pub on: Option<(u32, i64)>,
    /// The revision that it asks to be compacted up to.
    pub compacts: Option<i64>,
    /// The lease that it revokes.
    pub revokes: Option<i64>,
    /// Whether it only says who is a member, as the first entries do.
    pub of_members: bool,
    /// What else it is, and more of it.
    pub other: Option<(What, u32)>,
}

/// Reads an entry.
pub(super) fn logged(
    entry: &EntryView<'_>,
    gathered: &mut Gathered,
    opener: Option<ValueOpener<'_>>,
) -> Logged {
    let mut reader = Reader { gathered, opener, asked: Vec::new() };
    let (mut makes, mut on, mut other) = (Makes::NONE, None, None);
    let (mut compacts, mut revokes) = (None, None);
    match entry.entry_type() {
        Some(EntryType::Normal) => match decode(entry.bytes()) {
            Request::Noop => other = Some((What::LeaderElected, format!("term {}", entry.term))),
            Request::V3(request) => {
                makes = reader.changes(&request);
                let condition = request.txn.as_ref().and_then(condition);
                on = condition.map(|(key, revision)| (reader.gathered.keys.number(key), revision));
                compacts = request.compaction.as_ref().map(|compaction| compaction.revision);
                revokes = request.lease_revoke.as_ref().map(|revoke| revoke.id);
                other = told(&request);
            }
            Request::V2(request) => other = v2(&request),
            Request::Unknown => {}
        },
        Some(EntryType::ConfChange) => other = member(entry.bytes()),
        Some(EntryType::ConfChangeV2) | None => {}
    }
    let asked = reader.asked;
    let other = other.map(|(what, detail)| (what, gathered.texts.number(detail.as_bytes())));
    let of_members = matches!(entry.entry_type(), Some(EntryType::ConfChange | EntryType::ConfChangeV2));
    let (index, term, hash) = (entry.index, entry.term, gathered.hash(entry.bytes()));
    Logged { index, term, hash, makes, asked, on, compacts, revokes, of_members, other }
}

struct Reader<'r, 'o> {
    gathered: &'r mut Gathered,
    opener: Option<ValueOpener<'o>>,
    asked: Vec<Asked>,
}

impl Reader<'_, '_> {
    /// What is asked for of keys, and how many revisions that makes.
    fn changes(&mut self, request: &InternalRaftRequest) -> Makes {
        if let Some(put) = &request.put {
            self.put(put, false, false);
            // A lease that is gone refuses it, and what it keeps of the value before it must be there.
            let plain = put.lease == 0 && !put.ignore_value && !put.ignore_lease;
            return if plain { Makes::ONE } else { Makes::PERHAPS };
        }
        if let Some(delete) = &request.delete_range {
            self.delete(delete, false);
            return Makes::PERHAPS;
        }
        if let Some(txn) = &request.txn {
            self.txn(txn, false);
            return if self.asked.is_empty() { Makes::NONE } else { Makes::PERHAPS };
        }
        // The keys of a lease are deleted with it.
        if request.lease_revoke.is_some() { Makes::PERHAPS } else { Makes::NONE }
    }

    fn txn(&mut self, txn: &TxnRequest, otherwise: bool) {
        let mut branch = |ops: &[RequestOp], fails: bool| {
            for op in ops {
                match &op.request {
                    Some(request_op::Request::Put(put)) => {
                        let new = |of: &crate::etcd::request::Compare| of.key == put.key && is_none(of);
                        self.put(put, !fails && txn.compare.iter().any(new), otherwise || fails);
                    }
                    Some(request_op::Request::DeleteRange(delete)) => self.delete(delete, otherwise || fails),
                    Some(request_op::Request::Txn(inner)) => self.txn(inner, otherwise || fails),
                    Some(request_op::Request::Range(_)) | None => {}
                }
            }
        };
        branch(&txn.success, false);
        branch(&txn.failure, true);
    }

    fn put(&mut self, put: &PutRequest, new: bool, otherwise: bool) {
        let plain = self.opener.and_then(|opener| opener.open(&put.key, &put.value));
        let value = plain.as_deref().unwrap_or(&put.value);
        let writers = last_writers(value).map(|(_, writers)| writers.join(", ")).unwrap_or_default();
        self.asked.push(Asked {
            key: self.gathered.keys.number(&put.key),
            put: true,
            hash: (!put.ignore_value).then(|| self.gathered.hash(value)),
            range: None,
            lease: put.lease,
            new,
            own: written(value, new),
            who: self.gathered.texts.number(writers.as_bytes()),
            detail: 0,
            otherwise,
        });
    }

    fn delete(&mut self, delete: &DeleteRangeRequest, otherwise: bool) {
        let single = KeyRange::request(&delete.key, &delete.range_end) == KeyRange::single(&delete.key);
        let detail = match delete.range_end.as_slice() {
            _ if single => String::new(),
            [0] => format!("all keys from {} on", show_bytes(&delete.key)),
            end => format!("keys from {} to before {}", show_bytes(&delete.key), show_bytes(end)),
        };
        let texts = &mut self.gathered.texts;
        let range = (!single).then(|| (texts.number(&delete.key), texts.number(&delete.range_end)));
        self.asked.push(Asked {
            key: if single { self.gathered.keys.number(&delete.key) } else { 0 },
            put: false,
            hash: None,
            range,
            lease: 0,
            new: false,
            own: None,
            who: 0,
            detail: self.gathered.texts.number(detail.as_bytes()),
            otherwise,
        });
    }
}

/// The key whose revision is a condition for everything that a transaction does, and that revision.
fn condition(txn: &TxnRequest) -> Option<(&[u8], i64)> {
    let changes = |op: &RequestOp| !matches!(op.request, Some(request_op::Request::Range(_)) | None);
    let compare = txn.compare.first().filter(|_| !txn.failure.iter().any(changes))?;
    match compare.target_union {
        Some(TargetUnion::ModRevision(revision)) if compare.result == 0 && compare.target == 2 => {
            Some((&compare.key, revision))
        }
        _ => None,
    }
}

/// What a request is that is not about keys. Passwords are not among what is said.
fn told(request: &InternalRaftRequest) -> Option<(What, String)> {
    if let Some(compaction) = &request.compaction {
        return Some((What::Compacted, compacted(compaction.revision)));
    }
    if let Some(grant) = &request.lease_grant {
        return Some((What::LeaseGranted, format!("lease {:#}, {} s", LeaseId::new(grant.id), grant.ttl)));
    }
    if let Some(revoke) = &request.lease_revoke {
        return Some((What::LeaseRevoked, format!("lease {:#}", LeaseId::new(revoke.id))));
    }
    if let Some(alarm) = &request.alarm {
        return alarm_told(alarm).map(|text| (What::Alarm, text));
    }
    if let Some(version) = &request.cluster_version_set {
        return Some((What::Version, format!("cluster version {}", show_bytes(&version.ver))));
    }
    if let Some(downgrade) = &request.downgrade_info_set {
        let to = if downgrade.enabled { "begun, to" } else { "ended" };
        let text = format!("downgrade {to} {}", show_bytes(&downgrade.ver));
        return Some((What::Version, text.trim_end().to_owned()));
    }
    if let Some(set) = &request.cluster_member_attr_set {
        let name = set.member_attributes.as_ref().map(|of| show_bytes(&of.name)).unwrap_or_default();
        return Some((What::MemberStarted, format!("member {} {name}", MemberId::new(set.member_id))));
    }
    auth(request)
}

/// What is said of a compaction.
pub(super) fn compacted(revision: i64) -> String {
    format!("up to revision {revision}")
}

fn alarm_told(alarm: &AlarmRequest) -> Option<String> {
    let verb = match alarm.action {
        1 => "raised",
        2 => "cleared",
        // It was only asked which there are.
        _ => return None,
    };
    let name = AlarmType::try_from(alarm.alarm)
        .map_or_else(|_| format!("alarm {}", alarm.alarm), |kind| format!("{kind:?}").to_uppercase());
    Some(format!("{name} {verb} for member {}", MemberId::new(alarm.member_id)))
}

fn auth(request: &InternalRaftRequest) -> Option<(What, String)> {
    let show = |bytes: &[u8]| show_bytes(bytes);
    let user = |verb: &str, name: &[u8]| (What::User, format!("user {} {verb}", show(name)));
    let role = |verb: &str, name: &[u8]| (What::Role, format!("role {} {verb}", show(name)));
    if request.auth_enable.is_some() {
        return Some((What::Auth, "enabled".to_owned()));
    }
    if request.auth_disable.is_some() {
        return Some((What::Auth, "disabled".to_owned()));
    }
    let users = [
        request.auth_user_add.as_ref().map(|of| user("added", &of.name)),
        request.auth_user_delete.as_ref().map(|of| user("deleted", &of.name)),
        request.auth_user_change_password.as_ref().map(|of| user("got a password", &of.name)),
        request
            .auth_user_grant_role
            .as_ref()
            .map(|of| user(&format!("got role {}", show(&of.role)), &of.user)),
        request
            .auth_user_revoke_role
            .as_ref()
            .map(|of| user(&format!("lost role {}", show(&of.role)), &of.name)),
    ];
    let permits = |key: &[u8], end: &[u8]| match end {
        [] => show(key),
        end => format!("{} to before {}", show(key), show(end)),
    };
    let roles = [
        request.auth_role_add.as_ref().map(|of| role("added", &of.name)),
        request.auth_role_delete.as_ref().map(|of| role("deleted", &of.role)),
        request.auth_role_grant_permission.as_ref().map(|of| {
            let on = of.perm.as_ref().map(|perm| permits(&perm.key, &perm.range_end)).unwrap_or_default();
            role(&format!("may use {on}"), &of.name)
        }),
        request
            .auth_role_revoke_permission
            .as_ref()
            .map(|of| role(&format!("may no longer use {}", permits(&of.key, &of.range_end)), &of.role)),
    ];
    users.into_iter().chain(roles).flatten().next()
}

/// 3.4 and 3.5 tell of members and the version in requests of the v2 API.
fn v2(request: &V2Request) -> Option<(What, String)> {
    let path = std::str::from_utf8(&request.path).ok()?;
    if path.ends_with("/version") {
        let version = request.val.iter().all(|b| b.is_ascii_digit() || *b == b'.');
        return version.then(|| (What::Version, format!("cluster version {}", show_bytes(&request.val))));
    }
    let id = path.strip_suffix("/attributes")?.rsplit('/').next()?;
    let id: MemberId = id.parse().ok()?;
    let name = serde_json::from_slice(&request.val).ok();
    let name = name.as_ref().and_then(|value: &Value| value.get("name")?.as_str()).unwrap_or_default();
    Some((What::MemberStarted, format!("member {id} {}", show_bytes(name.as_bytes()))))
}

/// A change of who is a member.
fn member(data: &[u8]) -> Option<(What, String)> {
    let change = ConfChange::decode(data).ok()?;
    let context: Value =
        serde_json::from_slice(change.context.as_deref().unwrap_or_default()).unwrap_or_default();
    let promotes = context.get("isPromote").and_then(Value::as_bool) == Some(true);
    let (what, more) = match change.kind() {
        ConfChangeType::AddNode if promotes => (What::MemberPromoted, ""),
        ConfChangeType::AddNode => (What::MemberAdded, ""),
        ConfChangeType::AddLearnerNode => (What::MemberAdded, " as learner"),
        ConfChangeType::RemoveNode => (What::MemberRemoved, ""),
        ConfChangeType::UpdateNode => (What::MemberUpdated, ""),
    };
    let urls = context.get("peerURLs").and_then(Value::as_array).into_iter().flatten();
    let urls: String =
        urls.filter_map(Value::as_str).map(|url| format!(" {}", show_bytes(url.as_bytes()))).collect();
    Some((what, format!("member {}{more}{urls}", change.member())))
}
