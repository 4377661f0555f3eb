//! Reads etcd's files when no etcd is running: the bbolt database (`member/snap/db`), the files that `etcdctl
//! snapshot save` makes, the write-ahead log (`member/wal`) and the raft snapshots (`member/snap/*.snap`) of etcd 3.4
//! to 3.7.
//!
//! Inputs are opened read-only. No input makes the library panic: bytes that are not the format are a [`Corrupt`]
//! with a place in the file, which an operation turns into a [`Finding`] and goes on, or into an [`Error`] when the
//! answer could not be right.
//!
//! # Layers
//!
//! A module uses those below it only; `tests/layering.rs` holds that. The command line (`src/cli`, feature `cli`)
//! uses what is public here and nothing else.
//!
//! ```text
//! report              answers for other programs: JUnit, SARIF, Markdown, metrics
//! ops                 verbs: what a command does
//! kube                Kubernetes objects
//! replay              what a log does to a database
//! store               what a keyspace answers
//! etcd                meaning of buckets, keys, requests, directories
//! bolt | wal | snap   file formats
//! raft                messages
//! io                  files
//! codec               bytes in memory
//! words               errors, findings, ids, progress
//! ```
//!
//! | To | Start at |
//! |---|---|
//! | do what a command does | [`ops`]: [`ops::status()`], [`ops::inspect()`], [`ops::verify()`] |
//! | verify many backups and tell other programs | [`ops::verify::fleet::verify_all`], then [`report`] |
//! | get keys at a revision, histories, differences | [`store::Store`] |
//! | walk a bbolt file of any program | [`bolt::Db`] |
//! | read a log | [`wal::Log`] |
//! | show progress, hear findings, cancel | [`words::monitor::Monitor`] |
//!
//! # Features
//!
//! | Feature | Gives |
//! |---|---|
//! | `fs` | opening files, their locks, and the verbs that write; without it a [`Source`](io::Source) is bytes in memory |
//! | `threads` | every core; without it the same answers on one |
//! | `mmap` | maps of files that nobody changes: [`io::Source::open_mapped`] |
//! | `cli` (default) | the binary, and all of these |
//!
//! With none of them it builds for `wasm32-unknown-unknown`.
//!
//! # Example
//!
//! ```
//! use std::path::Path;
//!
//! use coldbolt::io::Source;
//! use coldbolt::words::monitor::Quiet;
//! use coldbolt::{ops, store};
//!
//! # fn main() -> coldbolt::Result<()> {
//! let file = Source::open(Path::new("fixtures/small-3.5.1/snapshot.db"))?;
//! let status = ops::status(&file, &Quiet)?;
//! assert_eq!(status.revision, 41);
//! assert_eq!(status.live_keys, 24);
//!
//! let hash = store::hashkv(&file, store::HashKvOptions::default(), &Quiet)?;
//! assert_eq!((hash.hash, hash.compact_revision), (3_594_300_538, 29));
//! # Ok(())
//! # }
//! ```
#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::arithmetic_side_effects,
        clippy::as_conversions
    )
)]

pub mod bolt;
pub mod codec;
pub mod etcd;
pub mod io;
pub mod kube;
pub mod ops;
pub mod raft;
pub mod replay;
pub mod report;
pub mod snap;
pub mod store;
pub mod wal;
pub mod words;

pub use words::error::{At, Corrupt, Error, Result};
pub use words::finding::{Code, Finding, Severity};
pub use words::ids::{ClusterId, LeaseId, MemberId, RaftIndex, Term};
