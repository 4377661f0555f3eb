//! The files of `member/snap` beside the database: raft snapshots, and the trailer of snapshot files.

pub mod backup;
pub mod file;
pub mod v2;
