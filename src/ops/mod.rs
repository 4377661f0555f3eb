//! Operations: what a command does, without printing.

pub mod wal_dump;
