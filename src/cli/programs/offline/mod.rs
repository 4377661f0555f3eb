//! What etcdutl does, and what etcdctl does up to 3.5 without a server.

pub mod backup;
pub mod check_v2store;
pub mod completion;
pub mod defrag;
pub mod hashkv;
mod log;
pub mod migrate;
pub mod restore;
pub mod status;
mod table;
