//! Requests about users and roles (`api/etcdserverpb/rpc.proto`, `raft_internal.proto`, `api/authpb`).

use prost::Message;

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
