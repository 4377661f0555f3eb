//! The requests as tables, for print: fields in the order of the `.proto` files, with their names there.

use crate::codec::proto::message::{Field, Kind, Label, Message, field};

static HEADER: Message = Message::new(&[
    field(1, "ID", Kind::Uint64).with(Field::HEX),
    field(2, "username", Kind::String),
    field(3, "auth_revision", Kind::Uint64),
]);

static RANGE: Message = Message::new(&[
    field(1, "key", Kind::Bytes),
    field(2, "range_end", Kind::Bytes),
    field(3, "limit", Kind::Int64),
    field(4, "revision", Kind::Int64),
    field(5, "sort_order", Kind::Enum(&["NONE", "ASCEND", "DESCEND"])),
    field(6, "sort_target", Kind::Enum(&["KEY", "VERSION", "CREATE", "MOD", "VALUE"])),
    field(7, "serializable", Kind::Bool),
    field(8, "keys_only", Kind::Bool),
    field(9, "count_only", Kind::Bool),
    field(10, "min_mod_revision", Kind::Int64),
    field(11, "max_mod_revision", Kind::Int64),
    field(12, "min_create_revision", Kind::Int64),
    field(13, "max_create_revision", Kind::Int64),
]);

static PUT: Message = Message::new(&[
    field(1, "key", Kind::Bytes),
    field(2, "value", Kind::Bytes),
    field(3, "lease", Kind::Int64).with(Field::HEX),
    field(4, "prev_kv", Kind::Bool),
    field(5, "ignore_value", Kind::Bool),
    field(6, "ignore_lease", Kind::Bool),
]);

static DELETE_RANGE: Message = Message::new(&[
    field(1, "key", Kind::Bytes),
    field(2, "range_end", Kind::Bytes),
    field(3, "prev_kv", Kind::Bool),
]);

static REQUEST_OP: Message = Message::new(&[
    field(1, "request_range", Kind::Message(&RANGE)).label(Label::OneOf),
    field(2, "request_put", Kind::Message(&PUT)).label(Label::OneOf),
    field(3, "request_delete_range", Kind::Message(&DELETE_RANGE)).label(Label::OneOf),
    field(4, "request_txn", Kind::Message(&TXN)).label(Label::OneOf),
]);

static COMPARE: Message = Message::new(&[
    field(1, "result", Kind::Enum(&["EQUAL", "GREATER", "LESS", "NOT_EQUAL"])),
    field(2, "target", Kind::Enum(&["VERSION", "CREATE", "MOD", "VALUE", "LEASE"])),
    field(3, "key", Kind::Bytes),
    field(4, "version", Kind::Int64).label(Label::OneOf),
    field(5, "create_revision", Kind::Int64).label(Label::OneOf),
    field(6, "mod_revision", Kind::Int64).label(Label::OneOf),
    field(7, "value", Kind::Bytes).label(Label::OneOf),
    field(8, "lease", Kind::Int64).with(Field::HEX).label(Label::OneOf),
    field(64, "range_end", Kind::Bytes),
]);

static TXN: Message = Message::new(&[
    field(1, "compare", Kind::Message(&COMPARE)).label(Label::Repeated),
    field(2, "success", Kind::Message(&REQUEST_OP)).label(Label::Repeated),
    field(3, "failure", Kind::Message(&REQUEST_OP)).label(Label::Repeated),
]);

static COMPACTION: Message =
    Message::new(&[field(1, "revision", Kind::Int64), field(2, "physical", Kind::Bool)]);

static LEASE_GRANT: Message =
    Message::new(&[field(1, "TTL", Kind::Int64), field(2, "ID", Kind::Int64).with(Field::HEX)]);

static LEASE_REVOKE: Message = Message::new(&[field(1, "ID", Kind::Int64).with(Field::HEX)]);

static LEASE_CHECKPOINT: Message =
    Message::new(&[field(1, "ID", Kind::Int64).with(Field::HEX), field(2, "remaining_TTL", Kind::Int64)]);

static LEASE_CHECKPOINTS: Message =
    Message::new(&[field(1, "checkpoints", Kind::Message(&LEASE_CHECKPOINT)).label(Label::Repeated)]);

static ALARM: Message = Message::new(&[
    field(1, "action", Kind::Enum(&["GET", "ACTIVATE", "DEACTIVATE"])),
    field(2, "memberID", Kind::Uint64).with(Field::HEX),
    field(3, "alarm", Kind::Enum(&["NONE", "NOSPACE", "CORRUPT"])),
]);

static EMPTY: Message = Message::new(&[]);

static AUTHENTICATE: Message = Message::new(&[
    field(1, "name", Kind::String),
    field(2, "password", Kind::String).with(Field::SECRET),
    field(3, "simple_token", Kind::String).with(Field::SECRET),
]);

static USER_ADD_OPTIONS: Message = Message::new(&[field(1, "no_password", Kind::Bool)]);

static USER_ADD: Message = Message::new(&[
    field(1, "name", Kind::String),
    field(2, "password", Kind::String).with(Field::SECRET),
    field(3, "options", Kind::Message(&USER_ADD_OPTIONS)),
    field(4, "hashedPassword", Kind::String).with(Field::SECRET),
]);

static NAME: Message = Message::new(&[field(1, "name", Kind::String)]);

static CHANGE_PASSWORD: Message = Message::new(&[
    field(1, "name", Kind::String),
    field(2, "password", Kind::String).with(Field::SECRET),
    field(3, "hashedPassword", Kind::String).with(Field::SECRET),
]);

static GRANT_ROLE: Message = Message::new(&[field(1, "user", Kind::String), field(2, "role", Kind::String)]);

static REVOKE_ROLE: Message = Message::new(&[field(1, "name", Kind::String), field(2, "role", Kind::String)]);

static ROLE: Message = Message::new(&[field(1, "role", Kind::String)]);

static PERMISSION: Message = Message::new(&[
    field(1, "permType", Kind::Enum(&["READ", "WRITE", "READWRITE"])),
    field(2, "key", Kind::Bytes),
    field(3, "range_end", Kind::Bytes),
]);

static GRANT_PERMISSION: Message =
    Message::new(&[field(1, "name", Kind::String), field(2, "perm", Kind::Message(&PERMISSION))]);

static REVOKE_PERMISSION: Message = Message::new(&[
    field(1, "role", Kind::String),
    field(2, "key", Kind::Bytes),
    field(3, "range_end", Kind::Bytes),
]);

static VERSION: Message = Message::new(&[field(1, "ver", Kind::String)]);

static ATTRIBUTES: Message = Message::new(&[
    field(1, "name", Kind::String),
    field(2, "client_urls", Kind::String).label(Label::Repeated),
]);

static MEMBER_ATTRIBUTES: Message = Message::new(&[
    field(1, "member_ID", Kind::Uint64).with(Field::HEX),
    field(2, "member_attributes", Kind::Message(&ATTRIBUTES)),
]);

static DOWNGRADE: Message = Message::new(&[field(1, "enabled", Kind::Bool), field(2, "ver", Kind::String)]);

/// The fields of [`V2Request`](super::V2Request).
pub static V2_REQUEST: Message = Message::new(&[
    field(1, "ID", Kind::Uint64).with(Field::HEX),
    field(2, "Method", Kind::String),
    field(3, "Path", Kind::String),
    field(4, "Val", Kind::String),
    field(5, "Dir", Kind::Bool),
    field(6, "PrevValue", Kind::String),
    field(7, "PrevIndex", Kind::Uint64),
    field(8, "PrevExist", Kind::Bool).label(Label::Optional),
    field(9, "Expiration", Kind::Int64),
    field(10, "Wait", Kind::Bool),
    field(11, "Since", Kind::Uint64),
    field(12, "Recursive", Kind::Bool),
    field(13, "Sorted", Kind::Bool),
    field(14, "Quorum", Kind::Bool),
    field(15, "Time", Kind::Int64),
    field(16, "Stream", Kind::Bool),
    field(17, "Refresh", Kind::Bool).label(Label::Optional),
]);

/// The fields of [`InternalRaftRequest`](super::InternalRaftRequest).
pub static INTERNAL_RAFT_REQUEST: Message = Message::new(&[
    field(100, "header", Kind::Message(&HEADER)),
    field(1, "ID", Kind::Uint64).with(Field::HEX),
    field(2, "v2", Kind::Message(&V2_REQUEST)),
    field(3, "range", Kind::Message(&RANGE)),
    field(4, "put", Kind::Message(&PUT)),
    field(5, "delete_range", Kind::Message(&DELETE_RANGE)),
    field(6, "txn", Kind::Message(&TXN)),
    field(7, "compaction", Kind::Message(&COMPACTION)),
    field(8, "lease_grant", Kind::Message(&LEASE_GRANT)),
    field(9, "lease_revoke", Kind::Message(&LEASE_REVOKE)),
    field(10, "alarm", Kind::Message(&ALARM)),
    field(11, "lease_checkpoint", Kind::Message(&LEASE_CHECKPOINTS)),
    field(1000, "auth_enable", Kind::Message(&EMPTY)),
    field(1011, "auth_disable", Kind::Message(&EMPTY)),
    field(1013, "auth_status", Kind::Message(&EMPTY)),
    field(1012, "authenticate", Kind::Message(&AUTHENTICATE)),
    field(1100, "auth_user_add", Kind::Message(&USER_ADD)),
    field(1101, "auth_user_delete", Kind::Message(&NAME)),
    field(1102, "auth_user_get", Kind::Message(&NAME)),
    field(1103, "auth_user_change_password", Kind::Message(&CHANGE_PASSWORD)),
    field(1104, "auth_user_grant_role", Kind::Message(&GRANT_ROLE)),
    field(1105, "auth_user_revoke_role", Kind::Message(&REVOKE_ROLE)),
    field(1106, "auth_user_list", Kind::Message(&EMPTY)),
    field(1107, "auth_role_list", Kind::Message(&EMPTY)),
    field(1200, "auth_role_add", Kind::Message(&NAME)),
    field(1201, "auth_role_delete", Kind::Message(&ROLE)),
    field(1202, "auth_role_get", Kind::Message(&ROLE)),
    field(1203, "auth_role_grant_permission", Kind::Message(&GRANT_PERMISSION)),
    field(1204, "auth_role_revoke_permission", Kind::Message(&REVOKE_PERMISSION)),
    field(1300, "cluster_version_set", Kind::Message(&VERSION)),
    field(1301, "cluster_member_attr_set", Kind::Message(&MEMBER_ATTRIBUTES)),
    field(1302, "downgrade_info_set", Kind::Message(&DOWNGRADE)),
    field(9900, "downgrade_version_test", Kind::Message(&VERSION)),
]);
