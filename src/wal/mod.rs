//! The write-ahead log: `member/wal/*.wal`.
//!
//! ```text
//! segment   %016x-%016x.wal: sequence, first raft index expected in it (wal.walName)
//!
//! offset  size  frame (wal.encoder.encode, wal.decoder.decodeRecord)
//!      0     8  length word, little-endian: bits 0..56 record length n; top byte 0, or 0x80 + p when p > 0
//!      8     n  record, protobuf walpb.Record { 1 type, 2 crc, 3 data }
//!    8+n     p  zero padding, p = (8 - n % 8) % 8: every frame starts at a multiple of 8
//!
//! type  data                        Go
//!    1  node and cluster id         etcdserverpb.Metadata
//!    2  one slot of the raft log    raftpb.Entry
//!    3  term, vote, commit index    raftpb.HardState
//!    4  none; its crc starts a file (wal.CrcType)
//!    5  a snapshot was taken        walpb.Snapshot
//!
//! first segment   crc(0), metadata, snapshot {0,0}, entries and states ...
//! later segment   crc(previous), metadata (the same), state, ...
//! ```
//!
//! `crc` is the CRC-32C over the data of all records so far, across files; a crc record carries the value to go on
//! with. A length word of zero ends a file: etcd preallocates 64,000,000 bytes. Sources: `server/storage/wal` @
//! v3.6.14, the same since 3.4.

pub mod beyond;
mod body;
mod end;
mod fault;
pub mod frame;
pub mod log;
pub mod name;
mod read;
mod reader;
pub mod record;
mod rules;
pub mod segment;
mod summary;
mod terms;
pub mod writer;

#[cfg(test)]
pub(crate) mod tests;

pub use body::Body;
pub use end::{AtBoot, End, Torn, TornReason};
pub use fault::Fault;
pub use log::{EntryRef, Log, LogCursor, LogSegment};
pub use name::{FileKind, SegmentName};
pub use read::Read;
pub use reader::{Scan, Visit};
pub use record::{Metadata, RecordKind, SnapshotRecord};
pub use segment::{Record, Segment};
pub use summary::{Counts, SegmentSummary, Summary};
pub use terms::{TermRun, Terms};
