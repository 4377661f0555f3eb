//! The requests as tables, for print: fields in the order of the `.proto` files, with their names there.

use crate::codec::proto::message::{Field, FieldKind, Label, Message, field};

static HEADER: Message = Message::new(&[
    field(1, "ID", FieldKind::Uint64).with(Field::HEX),
    field(2, "username", FieldKind::String),
    field(3, "auth_revision", FieldKind::Uint64),
]);

static RANGE: Message = Message::new(&[
    field(1, "key", FieldKind::Bytes),
    field(2, "range_end", FieldKind::Bytes),
    field(3, "limit", FieldKind::Int64),
    field(4, "revision", FieldKind::Int64),
    field(5, "sort_order", FieldKind::Enum(&["NONE", "ASCEND", "DESCEND"])),
    field(6, "sort_target", FieldKind::Enum(&["KEY", "VERSION", "CREATE", "MOD", "VALUE"])),
    field(7, "serializable", FieldKind::Bool),
    field(8, "keys_only", FieldKind::Bool),
    field(9, "count_only", FieldKind::Bool),
    field(10, "min_mod_revision", FieldKind::Int64),
    field(11, "max_mod_revision", FieldKind::Int64),
    field(12, "min_create_revision", FieldKind::Int64),
    field(13, "max_create_revision", FieldKind::Int64),
]);

static PUT: Message = Message::new(&[
    field(1, "key", FieldKind::Bytes),
    field(2, "value", FieldKind::Bytes),
    field(3, "lease", FieldKind::Int64).with(Field::HEX),
    field(4, "prev_kv", FieldKind::Bool),
    field(5, "ignore_value", FieldKind::Bool),
    field(6, "ignore_lease", FieldKind::Bool),
]);

static DELETE_RANGE: Message = Message::new(&[
    field(1, "key", FieldKind::Bytes),
    field(2, "range_end", FieldKind::Bytes),
    field(3, "prev_kv", FieldKind::Bool),
]);

static REQUEST_OP: Message = Message::new(&[
    field(1, "request_range", FieldKind::Message(&RANGE)).label(Label::OneOf),
    field(2, "request_put", FieldKind::Message(&PUT)).label(Label::OneOf),
    field(3, "request_delete_range", FieldKind::Message(&DELETE_RANGE)).label(Label::OneOf),
    field(4, "request_txn", FieldKind::Message(&TXN)).label(Label::OneOf),
]);

static COMPARE: Message = Message::new(&[
    field(1, "result", FieldKind::Enum(&["EQUAL", "GREATER", "LESS", "NOT_EQUAL"])),
    field(2, "target", FieldKind::Enum(&["VERSION", "CREATE", "MOD", "VALUE", "LEASE"])),
    field(3, "key", FieldKind::Bytes),
    field(4, "version", FieldKind::Int64).label(Label::OneOf),
    field(5, "create_revision", FieldKind::Int64).label(Label::OneOf),
    field(6, "mod_revision", FieldKind::Int64).label(Label::OneOf),
    field(7, "value", FieldKind::Bytes).label(Label::OneOf),
    field(8, "lease", FieldKind::Int64).with(Field::HEX).label(Label::OneOf),
    field(64, "range_end", FieldKind::Bytes),
]);

static TXN: Message = Message::new(&[
    field(1, "compare", FieldKind::Message(&COMPARE)).label(Label::Repeated),
    field(2, "success", FieldKind::Message(&REQUEST_OP)).label(Label::Repeated),
    field(3, "failure", FieldKind::Message(&REQUEST_OP)).label(Label::Repeated),
]);

static COMPACTION: Message =
    Message::new(&[field(1, "revision", FieldKind::Int64), field(2, "physical", FieldKind::Bool)]);

static LEASE_GRANT: Message =
    Message::new(&[field(1, "TTL", FieldKind::Int64), field(2, "ID", FieldKind::Int64).with(Field::HEX)]);

static LEASE_REVOKE: Message = Message::new(&[field(1, "ID", FieldKind::Int64).with(Field::HEX)]);

static LEASE_CHECKPOINT: Message = Message::new(&[
    field(1, "ID", FieldKind::Int64).with(Field::HEX),
    field(2, "remaining_TTL", FieldKind::Int64),
]);

static LEASE_CHECKPOINTS: Message =
    Message::new(&[field(1, "checkpoints", FieldKind::Message(&LEASE_CHECKPOINT)).label(Label::Repeated)]);

static ALARM: Message = Message::new(&[
    field(1, "action", FieldKind::Enum(&["GET", "ACTIVATE", "DEACTIVATE"])),
    field(2, "memberID", FieldKind::Uint64).with(Field::HEX),
    field(3, "alarm", FieldKind::Enum(&["NONE", "NOSPACE", "CORRUPT"])),
]);

static EMPTY: Message = Message::new(&[]);

static AUTHENTICATE: Message = Message::new(&[
    field(1, "name", FieldKind::String),
    field(2, "password", FieldKind::String).with(Field::SECRET),
    field(3, "simple_token", FieldKind::String).with(Field::SECRET),
]);

static USER_ADD_OPTIONS: Message = Message::new(&[field(1, "no_password", FieldKind::Bool)]);

static USER_ADD: Message = Message::new(&[
    field(1, "name", FieldKind::String),
    field(2, "password", FieldKind::String).with(Field::SECRET),
    field(3, "options", FieldKind::Message(&USER_ADD_OPTIONS)),
    field(4, "hashedPassword", FieldKind::String).with(Field::SECRET),
]);

static NAME: Message = Message::new(&[field(1, "name", FieldKind::String)]);

static CHANGE_PASSWORD: Message = Message::new(&[
    field(1, "name", FieldKind::String),
    field(2, "password", FieldKind::String).with(Field::SECRET).with(Field::REMOVED),
    field(3, "hashedPassword", FieldKind::String).with(Field::SECRET),
]);

static GRANT_ROLE: Message =
    Message::new(&[field(1, "user", FieldKind::String), field(2, "role", FieldKind::String)]);

static REVOKE_ROLE: Message =
    Message::new(&[field(1, "name", FieldKind::String), field(2, "role", FieldKind::String)]);

static ROLE: Message = Message::new(&[field(1, "role", FieldKind::String)]);

static PERMISSION: Message = Message::new(&[
    field(1, "permType", FieldKind::Enum(&["READ", "WRITE", "READWRITE"])),
    field(2, "key", FieldKind::Bytes),
    field(3, "range_end", FieldKind::Bytes),
]);

static GRANT_PERMISSION: Message =
    Message::new(&[field(1, "name", FieldKind::String), field(2, "perm", FieldKind::Message(&PERMISSION))]);

static REVOKE_PERMISSION: Message = Message::new(&[
    field(1, "role", FieldKind::String),
    field(2, "key", FieldKind::Bytes),
    field(3, "range_end", FieldKind::Bytes),
]);

static VERSION: Message = Message::new(&[field(1, "ver", FieldKind::String)]);

static ATTRIBUTES: Message = Message::new(&[
    field(1, "name", FieldKind::String),
    field(2, "client_urls", FieldKind::String).label(Label::Repeated),
]);

static MEMBER_ATTRIBUTES: Message = Message::new(&[
    field(1, "member_ID", FieldKind::Uint64).with(Field::HEX),
    field(2, "member_attributes", FieldKind::Message(&ATTRIBUTES)),
]);

static DOWNGRADE: Message =
    Message::new(&[field(1, "enabled", FieldKind::Bool), field(2, "ver", FieldKind::String)]);

/// The fields of [`V2Request`](super::V2Request).
pub static V2_REQUEST: Message = Message::new(&[
    field(1, "ID", FieldKind::Uint64).with(Field::HEX),
    field(2, "Method", FieldKind::String),
    field(3, "Path", FieldKind::String),
    field(4, "Val", FieldKind::String),
    field(5, "Dir", FieldKind::Bool),
    field(6, "PrevValue", FieldKind::String),
    field(7, "PrevIndex", FieldKind::Uint64),
    field(8, "PrevExist", FieldKind::Bool).label(Label::Optional),
    field(9, "Expiration", FieldKind::Int64),
    field(10, "Wait", FieldKind::Bool),
    field(11, "Since", FieldKind::Uint64),
    field(12, "Recursive", FieldKind::Bool),
    field(13, "Sorted", FieldKind::Bool),
    field(14, "Quorum", FieldKind::Bool),
    field(15, "Time", FieldKind::Int64),
    field(16, "Stream", FieldKind::Bool),
    field(17, "Refresh", FieldKind::Bool).label(Label::Optional),
]);

/// The fields of [`InternalRaftRequest`](super::InternalRaftRequest).
pub static INTERNAL_RAFT_REQUEST: Message = Message::new(&[
    field(100, "header", FieldKind::Message(&HEADER)),
    field(1, "ID", FieldKind::Uint64).with(Field::HEX),
    field(2, "v2", FieldKind::Message(&V2_REQUEST)),
    field(3, "range", FieldKind::Message(&RANGE)),
    field(4, "put", FieldKind::Message(&PUT)),
    field(5, "delete_range", FieldKind::Message(&DELETE_RANGE)),
    field(6, "txn", FieldKind::Message(&TXN)),
    field(7, "compaction", FieldKind::Message(&COMPACTION)),
    field(8, "lease_grant", FieldKind::Message(&LEASE_GRANT)),
    field(9, "lease_revoke", FieldKind::Message(&LEASE_REVOKE)),
    field(10, "alarm", FieldKind::Message(&ALARM)),
    field(11, "lease_checkpoint", FieldKind::Message(&LEASE_CHECKPOINTS)),
    field(1000, "auth_enable", FieldKind::Message(&EMPTY)),
    field(1011, "auth_disable", FieldKind::Message(&EMPTY)),
    field(1013, "auth_status", FieldKind::Message(&EMPTY)),
    field(1012, "authenticate", FieldKind::Message(&AUTHENTICATE)),
    field(1100, "auth_user_add", FieldKind::Message(&USER_ADD)),
    field(1101, "auth_user_delete", FieldKind::Message(&NAME)),
    field(1102, "auth_user_get", FieldKind::Message(&NAME)),
    field(1103, "auth_user_change_password", FieldKind::Message(&CHANGE_PASSWORD)),
    field(1104, "auth_user_grant_role", FieldKind::Message(&GRANT_ROLE)),
    field(1105, "auth_user_revoke_role", FieldKind::Message(&REVOKE_ROLE)),
    field(1106, "auth_user_list", FieldKind::Message(&EMPTY)),
    field(1107, "auth_role_list", FieldKind::Message(&EMPTY)),
    field(1200, "auth_role_add", FieldKind::Message(&NAME)),
    field(1201, "auth_role_delete", FieldKind::Message(&ROLE)),
    field(1202, "auth_role_get", FieldKind::Message(&ROLE)),
    field(1203, "auth_role_grant_permission", FieldKind::Message(&GRANT_PERMISSION)),
    field(1204, "auth_role_revoke_permission", FieldKind::Message(&REVOKE_PERMISSION)),
    field(1300, "cluster_version_set", FieldKind::Message(&VERSION)),
    field(1301, "cluster_member_attr_set", FieldKind::Message(&MEMBER_ATTRIBUTES)),
    field(1302, "downgrade_info_set", FieldKind::Message(&DOWNGRADE)),
    field(9900, "downgrade_version_test", FieldKind::Message(&VERSION)),
]);
