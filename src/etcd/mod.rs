//! What etcd keeps inside its files: revisions, key-values, members, leases, alarms, users.

pub mod alarm;
pub mod aside;
pub mod auth;
pub mod bootstrap;
pub mod datadir;
pub mod etcdbr;
pub mod facts;
pub mod history;
pub mod identity;
pub mod input;
pub mod key_range;
pub mod kine;
pub mod kv;
pub mod lease;
pub mod member;
pub mod newest;
pub mod peer_url;
pub mod request;
pub mod revision;
pub mod schema;
pub mod semver;
pub mod small;
pub mod stored;
pub mod within;

pub use datadir::DataDir;
pub use facts::Facts;
pub use input::Input;
pub use key_range::KeyRange;
pub use kv::KeyValue;
pub use revision::{BucketKey, Revision};
