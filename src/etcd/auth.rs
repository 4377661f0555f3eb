//! Users and roles: buckets `auth`, `authUsers`, `authRoles`. Source: `api/authpb/auth.proto`.

/// A user.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct User {
    /// The name, also the key.
    #[prost(bytes = "vec", tag = "1")]
    pub name: Vec<u8>,
    /// The bcrypt hash of the password. Never printed.
    #[prost(bytes = "vec", tag = "2")]
    pub password: Vec<u8>,
    /// Roles, sorted.
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub roles: Vec<Vec<u8>>,
    /// Options.
    #[prost(message, optional, tag = "4")]
    pub options: Option<UserOptions>,
}

/// A user's options.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct UserOptions {
    /// The user logs in by certificate only.
    #[prost(bool, tag = "1")]
    pub no_password: bool,
}

/// A role.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Role {
    /// The name, also the key.
    #[prost(bytes = "vec", tag = "1")]
    pub name: Vec<u8>,
    /// What it permits, sorted by key.
    #[prost(message, repeated, tag = "2")]
    pub key_permission: Vec<Permission>,
}

/// One permission of a role.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Permission {
    /// To read, to write, or both.
    #[prost(enumeration = "PermissionType", tag = "1")]
    pub perm_type: i32,
    /// The key, or the first of a range.
    #[prost(bytes = "vec", tag = "2")]
    pub key: Vec<u8>,
    /// Where the range ends: empty for one key, a zero byte for no end.
    #[prost(bytes = "vec", tag = "3")]
    pub range_end: Vec<u8>,
}

/// What a permission permits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[repr(i32)]
pub enum PermissionType {
    /// Reading.
    Read = 0,
    /// Writing.
    Write = 1,
    /// Both.
    ReadWrite = 2,
}
