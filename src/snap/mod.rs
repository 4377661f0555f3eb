//! `member/snap`: raft snapshots.

pub mod file;
