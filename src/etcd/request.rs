//! What a raft entry of type normal holds: `etcdserverpb.InternalRaftRequest`, or a bare legacy `etcdserverpb.Request`.
//!
//! Source: `api/etcdserverpb/{raft_internal,rpc,etcdserver}.proto`, `api/membershippb`, `api/authpb` @ v3.6.14 and
//! v3.7.1. Unknown fields are passed over; transactions may nest [`MOST_NESTED`] deep.

mod auth;
mod cluster;
mod kv;
mod lease;
mod nested;
pub mod schema;

use prost::Message;

pub use self::auth::*;
pub use self::cluster::*;
pub use self::kv::*;
pub use self::lease::*;
pub use self::nested::*;
use crate::codec::proto::tree::Decoded;
use crate::codec::wire::{WireValue, fields};

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
    decode_nested(data, MOST_NESTED)
}

/// As [`decode`], of transactions that nest as deep as `most`.
pub(crate) fn decode_nested(data: &[u8], most: usize) -> Request {
    if data.is_empty() {
        return Request::Noop;
    }
    let v2 = || V2Request::decode(data).map(Box::new).ok().map(Request::V2);
    if is_v2(data)
        && let Some(request) = v2()
    {
        return request;
    }
    if nest_deeper(data, most) {
        return Request::Unknown;
    }
    InternalRaftRequest::decode(data)
        .map(Box::new)
        .ok()
        .map(Request::V3)
        // No etcd makes one without a method: what nests too deep for the one is not the other.
        .or_else(|| v2().filter(|request| matches!(request, Request::V2(v2) if !v2.method.is_empty())))
        .unwrap_or(Request::Unknown)
}

/// The data of a normal entry, for print.
#[derive(Debug, Clone)]
pub enum Tree<'a> {
    /// An [`InternalRaftRequest`]; empty for no data.
    V3(Decoded<'a>),
    /// A bare [`V2Request`].
    V2(Decoded<'a>),
    /// Neither decodes.
    Unknown,
}

/// As [`decode`], for print: nothing is copied, unknown fields are kept, strings need not be UTF-8.
#[must_use]
pub fn tree(data: &[u8]) -> Tree<'_> {
    let v3 = || schema::INTERNAL_RAFT_REQUEST.decode_nested(data, nested::MOST_MESSAGES).map(Tree::V3);
    let v2 = || schema::V2_REQUEST.decode(data).map(Tree::V2);
    if nest_deeper(data, MOST_NESTED) { v2() } else { v3().or_else(|_| v2()) }.unwrap_or(Tree::Unknown)
}

fn is_v2(data: &[u8]) -> bool {
    fields(data)
        .map_while(Result::ok)
        .any(|field| matches!(field, (2, WireValue::Bytes(method)) if V2_METHODS.contains(&method)))
}

/// `RequestHeader`: who asked.
#[derive(Clone, PartialEq, Message)]
pub struct RequestHeader {
    /// The request id, unique in the cluster.
    #[prost(uint64, tag = "1")]
    pub id: u64,
    /// The authenticated user, empty without auth.
    #[prost(bytes = "vec", tag = "2")]
    pub username: Vec<u8>,
    /// The revision of the auth store the check was made at.
    #[prost(uint64, tag = "3")]
    pub auth_revision: u64,
}

/// A request without fields: auth_enable, auth_disable, auth_status, auth_user_list, auth_role_list.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Empty {}

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
