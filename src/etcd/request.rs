//! What a raft entry of type normal holds: `etcdserverpb.InternalRaftRequest`, or a bare legacy `etcdserverpb.Request`.
//!
//! Source: `api/etcdserverpb/{raft_internal,rpc,etcdserver}.proto`, `api/membershippb`, `api/authpb` @ v3.6.14 and
//! v3.7.1. Unknown fields are passed over; the nesting of transactions is bounded by prost (100).

pub mod schema;

use prost::{Message, Oneof};

use crate::codec::proto::message::Node;
use crate::codec::wire::{Value, fields};

/// The methods of v2 requests: what tells a bare one from an [`InternalRaftRequest`], whose field 2 is a message.
pub const V2_METHODS: &[&[u8]] = &[b"GET", b"PUT", b"POST", b"DELETE", b"QGET", b"SYNC", b"HEAD"];

/// The data of a normal entry.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// No data: the first entry of a new leader.
    Noop,
    /// A request.
    V3(Box<InternalRaftRequest>),
    /// A legacy request: 3.4 and 3.5 publish member attributes and the cluster version so.
    V2(Box<V2Request>),
    /// Neither decodes.
    Unknown,
}

/// Decodes the data of a normal entry. A bare v2 request is known by its method; failing that, what does not decode
/// as an [`InternalRaftRequest`] is tried as one (`applyEntryNormal` @ v3.6).
#[must_use]
pub fn decode(data: &[u8]) -> Request {
    if data.is_empty() {
        return Request::Noop;
    }
    let v2 = || V2Request::decode(data).map(Box::new).ok().map(Request::V2);
    if is_v2(data)
        && let Some(request) = v2()
    {
        return request;
    }
    InternalRaftRequest::decode(data)
        .map(Box::new)
        .ok()
        .map(Request::V3)
        .or_else(v2)
        .unwrap_or(Request::Unknown)
}

/// The data of a normal entry, for print.
#[derive(Debug, Clone)]
pub enum Tree<'a> {
    /// An [`InternalRaftRequest`]; empty for no data.
    V3(Node<'a>),
    /// A bare [`V2Request`].
    V2(Node<'a>),
    /// Neither decodes.
    Unknown,
}

/// As [`decode`], for print: nothing is copied, unknown fields are kept, strings need not be UTF-8.
#[must_use]
pub fn tree(data: &[u8]) -> Tree<'_> {
    Node::decode(&schema::INTERNAL_RAFT_REQUEST, data)
        .map(Tree::V3)
        .or_else(|_| Node::decode(&schema::V2_REQUEST, data).map(Tree::V2))
        .unwrap_or(Tree::Unknown)
}

fn is_v2(data: &[u8]) -> bool {
    fields(data)
        .map_while(Result::ok)
        .any(|field| matches!(field, (2, Value::Bytes(method)) if V2_METHODS.contains(&method)))
}

/// The operation of a [`RequestOp`].
pub mod request_op {
    use super::{DeleteRangeRequest, Oneof, PutRequest, RangeRequest, TxnRequest};

    /// The operation.
    #[derive(Clone, PartialEq, Oneof)]
    pub enum Request {
        /// Read.
        #[prost(message, tag = "1")]
        Range(RangeRequest),
        /// Set a key.
        #[prost(message, tag = "2")]
        Put(PutRequest),
        /// Delete keys.
        #[prost(message, tag = "3")]
        DeleteRange(DeleteRangeRequest),
        /// A transaction inside.
        #[prost(message, tag = "4")]
        Txn(TxnRequest),
    }
}

/// What a [`Compare`] compares with.
pub mod compare {
    use super::Oneof;

    /// What to compare with.
    #[derive(Clone, PartialEq, Eq, Oneof)]
    pub enum TargetUnion {
        /// Writes since the key was created.
        #[prost(int64, tag = "4")]
        Version(i64),
        /// Revision of the first write.
        #[prost(int64, tag = "5")]
        CreateRevision(i64),
        /// Revision of the last write.
        #[prost(int64, tag = "6")]
        ModRevision(i64),
        /// The value.
        #[prost(bytes = "vec", tag = "7")]
        Value(Vec<u8>),
        /// The lease.
        #[prost(int64, tag = "8")]
        Lease(i64),
    }
}

/// `RequestHeader`: who asked.
#[derive(Clone, PartialEq, Message)]
pub struct RequestHeader {
    /// The request id, unique in the cluster.
    #[prost(uint64, tag = "1")]
    pub id: u64,
    /// The authenticated user, empty without auth.
    #[prost(string, tag = "2")]
    pub username: String,
    /// The revision of the auth store the check was made at.
    #[prost(uint64, tag = "3")]
    pub auth_revision: u64,
}

/// `RangeRequest`: a read. etcd does not propose it alone, it occurs inside transactions.
#[derive(Clone, PartialEq, Message)]
pub struct RangeRequest {
    /// First key.
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
    /// End of the range, exclusive; empty for one key, a zero byte for all that follow.
    #[prost(bytes = "vec", tag = "2")]
    pub range_end: Vec<u8>,
    /// At most so many keys, 0 for all.
    #[prost(int64, tag = "3")]
    pub limit: i64,
    /// At this revision, 0 for the newest.
    #[prost(int64, tag = "4")]
    pub revision: i64,
    /// 0 none, 1 ascending, 2 descending.
    #[prost(int32, tag = "5")]
    pub sort_order: i32,
    /// 0 key, 1 version, 2 create revision, 3 mod revision, 4 value.
    #[prost(int32, tag = "6")]
    pub sort_target: i32,
    /// Answer without quorum.
    #[prost(bool, tag = "7")]
    pub serializable: bool,
    /// No values.
    #[prost(bool, tag = "8")]
    pub keys_only: bool,
    /// Only the number of keys.
    #[prost(bool, tag = "9")]
    pub count_only: bool,
    /// Filter.
    #[prost(int64, tag = "10")]
    pub min_mod_revision: i64,
    /// Filter.
    #[prost(int64, tag = "11")]
    pub max_mod_revision: i64,
    /// Filter.
    #[prost(int64, tag = "12")]
    pub min_create_revision: i64,
    /// Filter.
    #[prost(int64, tag = "13")]
    pub max_create_revision: i64,
}

/// `PutRequest`: set a key.
#[derive(Clone, PartialEq, Message)]
pub struct PutRequest {
    /// The key.
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
    /// The value.
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
    /// The lease it hangs on, 0 for none.
    #[prost(int64, tag = "3")]
    pub lease: i64,
    /// Answer with the value before.
    #[prost(bool, tag = "4")]
    pub prev_kv: bool,
    /// Keep the value.
    #[prost(bool, tag = "5")]
    pub ignore_value: bool,
    /// Keep the lease.
    #[prost(bool, tag = "6")]
    pub ignore_lease: bool,
}

/// `DeleteRangeRequest`: delete a key or a range.
#[derive(Clone, PartialEq, Message)]
pub struct DeleteRangeRequest {
    /// First key.
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
    /// End of the range, exclusive; as in [`RangeRequest`].
    #[prost(bytes = "vec", tag = "2")]
    pub range_end: Vec<u8>,
    /// Answer with the values before.
    #[prost(bool, tag = "3")]
    pub prev_kv: bool,
}

/// `RequestOp`: one operation of a transaction.
#[derive(Clone, PartialEq, Message)]
pub struct RequestOp {
    /// The operation.
    #[prost(oneof = "request_op::Request", tags = "1, 2, 3, 4")]
    pub request: Option<request_op::Request>,
}

/// `TxnRequest`: compare, then do one list or the other.
#[derive(Clone, PartialEq, Message)]
pub struct TxnRequest {
    /// All must hold.
    #[prost(message, repeated, tag = "1")]
    pub compare: Vec<Compare>,
    /// Done if they do.
    #[prost(message, repeated, tag = "2")]
    pub success: Vec<RequestOp>,
    /// Done if they do not.
    #[prost(message, repeated, tag = "3")]
    pub failure: Vec<RequestOp>,
}

/// `Compare`: one condition of a transaction.
#[derive(Clone, PartialEq, Message)]
pub struct Compare {
    /// 0 equal, 1 greater, 2 less, 3 not equal.
    #[prost(int32, tag = "1")]
    pub result: i32,
    /// 0 version, 1 create revision, 2 mod revision, 3 value, 4 lease.
    #[prost(int32, tag = "2")]
    pub target: i32,
    /// The key.
    #[prost(bytes = "vec", tag = "3")]
    pub key: Vec<u8>,
    /// What to compare with.
    #[prost(oneof = "compare::TargetUnion", tags = "4, 5, 6, 7, 8")]
    pub target_union: Option<compare::TargetUnion>,
    /// End of the range, exclusive.
    #[prost(bytes = "vec", tag = "64")]
    pub range_end: Vec<u8>,
}

/// `CompactionRequest`: forget old revisions.
#[derive(Clone, PartialEq, Message)]
pub struct CompactionRequest {
    /// Everything replaced or deleted up to here.
    #[prost(int64, tag = "1")]
    pub revision: i64,
    /// Answer after the space is free.
    #[prost(bool, tag = "2")]
    pub physical: bool,
}

/// `LeaseGrantRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct LeaseGrantRequest {
    /// Seconds.
    #[prost(int64, tag = "1")]
    pub ttl: i64,
    /// The lease.
    #[prost(int64, tag = "2")]
    pub id: i64,
}

/// `LeaseRevokeRequest`: the lease ends, its keys are deleted.
#[derive(Clone, PartialEq, Message)]
pub struct LeaseRevokeRequest {
    /// The lease.
    #[prost(int64, tag = "1")]
    pub id: i64,
}

/// `LeaseCheckpoint`: how long a lease has left.
#[derive(Clone, PartialEq, Message)]
pub struct LeaseCheckpoint {
    /// The lease.
    #[prost(int64, tag = "1")]
    pub id: i64,
    /// Seconds.
    #[prost(int64, tag = "2")]
    pub remaining_ttl: i64,
}

/// `LeaseCheckpointRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct LeaseCheckpointRequest {
    /// The leases.
    #[prost(message, repeated, tag = "1")]
    pub checkpoints: Vec<LeaseCheckpoint>,
}

/// `AlarmRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct AlarmRequest {
    /// 0 get, 1 activate, 2 deactivate.
    #[prost(int32, tag = "1")]
    pub action: i32,
    /// The member.
    #[prost(uint64, tag = "2")]
    pub member_id: u64,
    /// 0 none, 1 no space, 2 corrupt.
    #[prost(int32, tag = "3")]
    pub alarm: i32,
}

/// A request without fields: auth_enable, auth_disable, auth_status, auth_user_list, auth_role_list.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Empty {}

/// `InternalAuthenticateRequest`: a login.
#[derive(Clone, PartialEq, Message)]
pub struct InternalAuthenticateRequest {
    /// The user.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Secret; empty since 3.1.
    #[prost(string, tag = "2")]
    pub password: String,
    /// Secret: the token handed out.
    #[prost(string, tag = "3")]
    pub simple_token: String,
}

/// `authpb.UserAddOptions`.
#[derive(Clone, PartialEq, Message)]
pub struct UserAddOptions {
    /// The user logs in by certificate only.
    #[prost(bool, tag = "1")]
    pub no_password: bool,
}

/// `AuthUserAddRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct AuthUserAddRequest {
    /// The user.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Secret.
    #[prost(string, tag = "2")]
    pub password: String,
    /// Options.
    #[prost(message, optional, tag = "3")]
    pub options: Option<UserAddOptions>,
    /// Secret: bcrypt, base64. Since 3.5.
    #[prost(string, tag = "4")]
    pub hashed_password: String,
}

/// A request that names a user (`auth_user_delete`, `auth_user_get`) or a new role (`auth_role_add`).
#[derive(Clone, PartialEq, Message)]
pub struct NameRequest {
    /// The name.
    #[prost(string, tag = "1")]
    pub name: String,
}

/// `AuthUserChangePasswordRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct AuthUserChangePasswordRequest {
    /// The user.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Secret.
    #[prost(string, tag = "2")]
    pub password: String,
    /// Secret: bcrypt, base64. Since 3.5.
    #[prost(string, tag = "3")]
    pub hashed_password: String,
}

/// `AuthUserGrantRoleRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct AuthUserGrantRoleRequest {
    /// The user.
    #[prost(string, tag = "1")]
    pub user: String,
    /// The role.
    #[prost(string, tag = "2")]
    pub role: String,
}

/// `AuthUserRevokeRoleRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct AuthUserRevokeRoleRequest {
    /// The user.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The role.
    #[prost(string, tag = "2")]
    pub role: String,
}

/// A request that names a role: `auth_role_delete`, `auth_role_get`.
#[derive(Clone, PartialEq, Message)]
pub struct RoleRequest {
    /// The role.
    #[prost(string, tag = "1")]
    pub role: String,
}

/// `authpb.Permission`.
#[derive(Clone, PartialEq, Message)]
pub struct Permission {
    /// 0 read, 1 write, 2 both.
    #[prost(int32, tag = "1")]
    pub perm_type: i32,
    /// First key.
    #[prost(bytes = "vec", tag = "2")]
    pub key: Vec<u8>,
    /// End of the range, exclusive.
    #[prost(bytes = "vec", tag = "3")]
    pub range_end: Vec<u8>,
}

/// `AuthRoleGrantPermissionRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct AuthRoleGrantPermissionRequest {
    /// The role.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The permission.
    #[prost(message, optional, tag = "2")]
    pub perm: Option<Permission>,
}

/// `AuthRoleRevokePermissionRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct AuthRoleRevokePermissionRequest {
    /// The role.
    #[prost(string, tag = "1")]
    pub role: String,
    /// First key.
    #[prost(bytes = "vec", tag = "2")]
    pub key: Vec<u8>,
    /// End of the range, exclusive.
    #[prost(bytes = "vec", tag = "3")]
    pub range_end: Vec<u8>,
}

/// A request that names a version: `cluster_version_set`, `downgrade_version_test`.
#[derive(Clone, PartialEq, Message)]
pub struct VersionRequest {
    /// As `3.5.0`.
    #[prost(string, tag = "1")]
    pub ver: String,
}

/// `membershippb.Attributes`: what a member tells about itself.
#[derive(Clone, PartialEq, Message)]
pub struct Attributes {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Where clients reach it.
    #[prost(string, repeated, tag = "2")]
    pub client_urls: Vec<String>,
}

/// `membershippb.ClusterMemberAttrSetRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct ClusterMemberAttrSetRequest {
    /// The member.
    #[prost(uint64, tag = "1")]
    pub member_id: u64,
    /// Its attributes.
    #[prost(message, optional, tag = "2")]
    pub member_attributes: Option<Attributes>,
}

/// `membershippb.DowngradeInfoSetRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct DowngradeInfoSetRequest {
    /// A downgrade is under way.
    #[prost(bool, tag = "1")]
    pub enabled: bool,
    /// To this version.
    #[prost(string, tag = "2")]
    pub ver: String,
}

/// `Request`: the legacy v2 request, bare or as field 2 (3.4 to 3.6).
#[derive(Clone, PartialEq, Message)]
pub struct V2Request {
    /// The request id.
    #[prost(uint64, tag = "1")]
    pub id: u64,
    /// PUT, POST, DELETE, QGET, SYNC.
    #[prost(string, tag = "2")]
    pub method: String,
    /// The node.
    #[prost(string, tag = "3")]
    pub path: String,
    /// Its value.
    #[prost(string, tag = "4")]
    pub val: String,
    /// A directory.
    #[prost(bool, tag = "5")]
    pub dir: bool,
    /// Condition.
    #[prost(string, tag = "6")]
    pub prev_value: String,
    /// Condition.
    #[prost(uint64, tag = "7")]
    pub prev_index: u64,
    /// Condition.
    #[prost(bool, optional, tag = "8")]
    pub prev_exist: Option<bool>,
    /// Unix time in nanoseconds.
    #[prost(int64, tag = "9")]
    pub expiration: i64,
    /// Watch.
    #[prost(bool, tag = "10")]
    pub wait: bool,
    /// Watch from this index.
    #[prost(uint64, tag = "11")]
    pub since: u64,
    /// Below it too.
    #[prost(bool, tag = "12")]
    pub recursive: bool,
    /// In order.
    #[prost(bool, tag = "13")]
    pub sorted: bool,
    /// Through the log.
    #[prost(bool, tag = "14")]
    pub quorum: bool,
    /// Unix time in nanoseconds.
    #[prost(int64, tag = "15")]
    pub time: i64,
    /// Keep watching.
    #[prost(bool, tag = "16")]
    pub stream: bool,
    /// Only the expiration.
    #[prost(bool, optional, tag = "17")]
    pub refresh: Option<bool>,
}

/// `InternalRaftRequest`: what a normal entry holds. One of the requests is set.
#[derive(Clone, PartialEq, Message)]
pub struct InternalRaftRequest {
    /// The request id of old versions; now in the header.
    #[prost(uint64, tag = "1")]
    pub id: u64,
    /// Up to 3.6.
    #[prost(message, optional, tag = "2")]
    pub v2: Option<V2Request>,
    /// Read.
    #[prost(message, optional, tag = "3")]
    pub range: Option<RangeRequest>,
    /// Set a key.
    #[prost(message, optional, tag = "4")]
    pub put: Option<PutRequest>,
    /// Delete keys.
    #[prost(message, optional, tag = "5")]
    pub delete_range: Option<DeleteRangeRequest>,
    /// A transaction.
    #[prost(message, optional, tag = "6")]
    pub txn: Option<TxnRequest>,
    /// Forget old revisions.
    #[prost(message, optional, tag = "7")]
    pub compaction: Option<CompactionRequest>,
    /// A new lease.
    #[prost(message, optional, tag = "8")]
    pub lease_grant: Option<LeaseGrantRequest>,
    /// A lease ends.
    #[prost(message, optional, tag = "9")]
    pub lease_revoke: Option<LeaseRevokeRequest>,
    /// Raise or clear an alarm.
    #[prost(message, optional, tag = "10")]
    pub alarm: Option<AlarmRequest>,
    /// Remaining time of leases. Since 3.4.
    #[prost(message, optional, tag = "11")]
    pub lease_checkpoint: Option<LeaseCheckpointRequest>,
    /// Who asked.
    #[prost(message, optional, tag = "100")]
    pub header: Option<RequestHeader>,
    /// Turn auth on.
    #[prost(message, optional, tag = "1000")]
    pub auth_enable: Option<Empty>,
    /// Turn auth off.
    #[prost(message, optional, tag = "1011")]
    pub auth_disable: Option<Empty>,
    /// A login.
    #[prost(message, optional, tag = "1012")]
    pub authenticate: Option<InternalAuthenticateRequest>,
    /// Read. Since 3.5.
    #[prost(message, optional, tag = "1013")]
    pub auth_status: Option<Empty>,
    /// A new user.
    #[prost(message, optional, tag = "1100")]
    pub auth_user_add: Option<AuthUserAddRequest>,
    /// A user goes.
    #[prost(message, optional, tag = "1101")]
    pub auth_user_delete: Option<NameRequest>,
    /// Read.
    #[prost(message, optional, tag = "1102")]
    pub auth_user_get: Option<NameRequest>,
    /// A new password.
    #[prost(message, optional, tag = "1103")]
    pub auth_user_change_password: Option<AuthUserChangePasswordRequest>,
    /// A user gets a role.
    #[prost(message, optional, tag = "1104")]
    pub auth_user_grant_role: Option<AuthUserGrantRoleRequest>,
    /// A user loses a role.
    #[prost(message, optional, tag = "1105")]
    pub auth_user_revoke_role: Option<AuthUserRevokeRoleRequest>,
    /// Read.
    #[prost(message, optional, tag = "1106")]
    pub auth_user_list: Option<Empty>,
    /// Read.
    #[prost(message, optional, tag = "1107")]
    pub auth_role_list: Option<Empty>,
    /// A new role.
    #[prost(message, optional, tag = "1200")]
    pub auth_role_add: Option<NameRequest>,
    /// A role goes.
    #[prost(message, optional, tag = "1201")]
    pub auth_role_delete: Option<RoleRequest>,
    /// Read.
    #[prost(message, optional, tag = "1202")]
    pub auth_role_get: Option<RoleRequest>,
    /// A role may more.
    #[prost(message, optional, tag = "1203")]
    pub auth_role_grant_permission: Option<AuthRoleGrantPermissionRequest>,
    /// A role may less.
    #[prost(message, optional, tag = "1204")]
    pub auth_role_revoke_permission: Option<AuthRoleRevokePermissionRequest>,
    /// The cluster version. Since 3.5.
    #[prost(message, optional, tag = "1300")]
    pub cluster_version_set: Option<VersionRequest>,
    /// A member tells its name and URLs. Since 3.5.
    #[prost(message, optional, tag = "1301")]
    pub cluster_member_attr_set: Option<ClusterMemberAttrSetRequest>,
    /// A downgrade begins or ends. Since 3.5.
    #[prost(message, optional, tag = "1302")]
    pub downgrade_info_set: Option<DowngradeInfoSetRequest>,
    /// Test only. Since 3.6.
    #[prost(message, optional, tag = "9900")]
    pub downgrade_version_test: Option<VersionRequest>,
}

#[cfg(test)]
mod tests;
