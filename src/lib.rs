//! Reads etcd's files when no etcd is running: the bbolt database (`member/snap/db`), the files that `etcdctl
//! snapshot save` makes, the write-ahead log (`member/wal`) and the raft snapshots (`member/snap/*.snap`) of etcd 3.4
//! to 3.8.
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
//! report                       answers for other programs: JUnit, SARIF, Markdown, metrics
//! ops                          verbs: what a command does
//! kube | live                  Kubernetes objects; members that run
//! replay                       what a log does to a database
//! store                        what a keyspace answers
//! etcd                         meaning of buckets, keys, requests, directories
//! bolt | wal | snap | sqlite   file formats
//! raft                         messages
//! io                           files
//! codec                        bytes in memory
//! words                        errors, findings, ids, progress
//! ```
//!
//! | To | Start at |
//! |---|---|
//! | do what a command does | [`ops`]: [`ops::status()`], [`ops::inspect()`], [`ops::verify()`], [`ops::copy()`], [`ops::restore()`] |
//! | verify many backups and tell other programs | [`ops::verify::fleet::verify_all`], then [`report`] |
//! | list keys with their values, at any revision; histories, differences | [`store::Store`] |
//! | read a stopped member through its log | [`ops::fold::fold_in_memory`], then a [`store::Store`] |
//! | list Kubernetes objects, decode and print them | [`kube::cluster::Cluster`], [`kube::decode::Object`] |
//! | walk a bbolt file of any program | [`bolt::Db`] |
//! | read a log | [`wal::Log`] |
//! | read what k3s keeps without etcd | [`ops::kine()`], then a [`store::Store`] |
//! | show progress, hear findings, cancel | [`words::monitor::Monitor`] |
//!
//! # Features
//!
//! | Feature | Gives |
//! |---|---|
//! | `fs` | opening files, their locks, and the verbs that write; without it a [`Source`](io::Source) is bytes in memory |
//! | `threads` | every core; without it the same answers on one |
//! | `mmap` | maps of files that nobody changes: [`io::Source::open_mapped`] |
//! | `age` | files that are closed with age, made and opened: `ops::closed` |
//! | `kine` | what k3s keeps in SQLite as an etcd database, by way of a temporary file: [`ops::kine()`] |
//! | `packed` | what is in compressed files and archives: [`io::packed`], [`etcd::within`] |
//! | `live` (default) | asking members that run: `live`, `ops::save` |
//! | `cli` (default) | the binary, and all of these but `live` |
//!
//! With none of them it builds for `wasm32-unknown-unknown`.
//!
//! # Example
//!
//! ```
//! use coldbolt::etcd::KeyRange;
//! use coldbolt::ops::restore::Destination;
//! use coldbolt::ops::verify::Verdict;
//! use coldbolt::ops::{RestoreOptions, VerifyOptions, restore, verify};
//! use coldbolt::store::{Store, StoreOptions};
//! use coldbolt::words::monitor::Quiet;
//!
//! # fn main() -> coldbolt::Result<()> {
//! let backup = "fixtures/small-3.5.1/snapshot.db";
//!
//! // How good is it?
//! let verified = verify(backup, &VerifyOptions::default(), &Quiet)?;
//! for finding in &verified.findings {
//!     println!("{finding}");
//! }
//! assert_eq!(verified.verdict, Verdict::Good);
//!
//! // What is in it?
//! let store = Store::open(backup, &StoreOptions::default(), &Quiet)?;
//! for kv in store.at(None)?.items(KeyRange::prefix(b"/app/")) {
//!     let kv = kv?;
//!     println!("{} is {} bytes long", kv.key.escape_ascii(), kv.value.len());
//! }
//! assert_eq!(store.revision(), 41);
//!
//! // What would a cluster of one member be that starts from it?
//! let members = Destination::All("nowhere-yet".into());
//! let options = RestoreOptions { dry_run: true, ..RestoreOptions::new("a=http://127.0.0.1:2380", members) };
//! assert_eq!(restore(backup, &options, &Quiet)?.revision, 41);
//! # Ok(())
//! # }
//! ```
//!
//! A verb takes whatever becomes an [`Input`]: a path, or a [`Source`](io::Source) that is open already, which may be
//! bytes in memory. Why an input cannot be read is told by type:
//!
//! ```
//! use std::io::ErrorKind;
//!
//! use coldbolt::Error;
//! use coldbolt::words::cause::Cause;
//! use coldbolt::words::monitor::Quiet;
//!
//! match coldbolt::ops::status("no/such/file", &Quiet) {
//!     Err(Error::Unreadable { cause: Cause::Io(error), .. }) => assert_eq!(error.kind(), ErrorKind::NotFound),
//!     Err(Error::Unreadable { cause: Cause::NotThis { is, .. }, .. }) => panic!("this is something else: {is:?}"),
//!     other => panic!("{other:?}"),
//! }
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
#[cfg(feature = "live")]
pub mod live;
pub mod ops;
pub mod raft;
pub mod replay;
pub mod report;
pub mod snap;
pub mod sqlite;
pub mod store;
pub mod wal;
pub mod words;

pub use etcd::Input;
pub use words::error::{At, Corrupt, Error, Result};
pub use words::finding::{Code, Finding, Severity};
pub use words::ids::{ClusterId, LeaseId, MemberId, RaftIndex, Term};
