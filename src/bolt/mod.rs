//! bbolt's file format, read page by page.
//!
//! ```text
//! page   0  8 id        8 2 flags     10 2 count    12 4 overflow   then elements, then keys and values        common.Page
//! meta  16 4 magic     20 4 version  24 4 pageSize 28 4 flags
//!       32 8 root      40 8 sequence 48 8 freelist 56 8 pgid (high water mark)  64 8 txid  72 8 checksum         common.Meta
//! leaf   0  4 flags     4 4 pos       8 4 ksize    12 4 vsize      pos counts from the element's own start     leafPageElement
//! branch 0  4 pos       4 4 ksize     8 8 pgid                                                                 branchPageElement
//! bucket 0  8 root      8 8 sequence  root 0: a leaf page follows in the value (inline)                        common.InBucket
//! ```
//!
//! All numbers are little-endian: Go writes its own byte order, and every platform etcd runs on today but s390x is
//! little-endian. Source of the format: go.etcd.io/bbolt `internal/common` and `tx_check.go` (1.3 to 1.5).

pub mod bucket;
pub mod cursor;
pub mod db;
pub mod found;
pub mod freelist;
pub mod id;
pub mod limits;
pub mod meta;
pub mod page;
pub mod raw;
pub mod walk;
pub mod writer;

pub use bucket::{Bucket, Root};
pub use cursor::{Cursor, Item};
pub use db::{Db, MetaSlot};
pub use freelist::Freelist;
pub use id::{Pgid, Txid};
pub use meta::Meta;
pub use page::{BranchElement, LeafElement, LooseElement, Page, PageKind};
pub use raw::RawPage;
