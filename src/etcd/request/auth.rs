//! Requests about users and roles (`api/etcdserverpb/rpc.proto`, `raft_internal.proto`, `api/authpb`).

use prost::Message;

/// `InternalAuthenticateRequest`: a login.
#[derive(Clone, PartialEq, Message)]
pub struct InternalAuthenticateRequest {
    /// The user.
    #[prost(bytes = "vec", tag = "1")]
    pub name: Vec<u8>,
    /// Secret; empty since 3.1.
    #[prost(bytes = "vec", tag = "2")]
    pub password: Vec<u8>,
    /// Secret: the token handed out.
    #[prost(bytes = "vec", tag = "3")]
    pub simple_token: Vec<u8>,
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
    #[prost(bytes = "vec", tag = "1")]
    pub name: Vec<u8>,
    /// Secret.
    #[prost(bytes = "vec", tag = "2")]
    pub password: Vec<u8>,
    /// Options.
    #[prost(message, optional, tag = "3")]
    pub options: Option<UserAddOptions>,
    /// Secret: bcrypt, base64. Since 3.5.
    #[prost(bytes = "vec", tag = "4")]
    pub hashed_password: Vec<u8>,
}

/// A request that names a user (`auth_user_delete`, `auth_user_get`) or a new role (`auth_role_add`).
#[derive(Clone, PartialEq, Message)]
pub struct NameRequest {
    /// The name.
    #[prost(bytes = "vec", tag = "1")]
    pub name: Vec<u8>,
}

/// `AuthUserChangePasswordRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct AuthUserChangePasswordRequest {
    /// The user.
    #[prost(bytes = "vec", tag = "1")]
    pub name: Vec<u8>,
    /// Secret.
    #[prost(bytes = "vec", tag = "2")]
    pub password: Vec<u8>,
    /// Secret: bcrypt, base64. Since 3.5.
    #[prost(bytes = "vec", tag = "3")]
    pub hashed_password: Vec<u8>,
}

/// `AuthUserGrantRoleRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct AuthUserGrantRoleRequest {
    /// The user.
    #[prost(bytes = "vec", tag = "1")]
    pub user: Vec<u8>,
    /// The role.
    #[prost(bytes = "vec", tag = "2")]
    pub role: Vec<u8>,
}

/// `AuthUserRevokeRoleRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct AuthUserRevokeRoleRequest {
    /// The user.
    #[prost(bytes = "vec", tag = "1")]
    pub name: Vec<u8>,
    /// The role.
    #[prost(bytes = "vec", tag = "2")]
    pub role: Vec<u8>,
}

/// A request that names a role: `auth_role_delete`, `auth_role_get`.
#[derive(Clone, PartialEq, Message)]
pub struct RoleRequest {
    /// The role.
    #[prost(bytes = "vec", tag = "1")]
    pub role: Vec<u8>,
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
    #[prost(bytes = "vec", tag = "1")]
    pub name: Vec<u8>,
    /// The permission.
    #[prost(message, optional, tag = "2")]
    pub perm: Option<Permission>,
}

/// `AuthRoleRevokePermissionRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct AuthRoleRevokePermissionRequest {
    /// The role.
    #[prost(bytes = "vec", tag = "1")]
    pub role: Vec<u8>,
    /// First key.
    #[prost(bytes = "vec", tag = "2")]
    pub key: Vec<u8>,
    /// End of the range, exclusive.
    #[prost(bytes = "vec", tag = "3")]
    pub range_end: Vec<u8>,
}
