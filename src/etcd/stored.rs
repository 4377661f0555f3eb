//! What the `key` bucket stores: under each revision the KeyValue that was put then, or the key that was deleted.
//!
//! This is the only place where an element of that bucket is decoded. [`read`] takes one element; [`Reader`] is the
//! visitor of a walk that hands every one of them to some [`Revisions`], and does with what it cannot read as its
//! [`OnFault`] says.

use std::ops::RangeInclusive;

use crate::bolt::walk::{Shared, Visited, Visitor, walk};
use crate::bolt::{Bucket, Db, LeafElement, Page};
use crate::codec::wire::BadField;
use crate::etcd::revision::BadRevision;
use crate::etcd::{BucketKey, KeyValue};
use crate::words::collector::Collector;
use crate::words::error::{At, Corrupt};
use crate::words::finding::Code;
use crate::words::monitor::Monitor;

/// The name of the bucket.
pub const BUCKET: &[u8] = b"key";

/// Why an element of the bucket is no stored version of a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It holds a bucket.
    #[error("a bucket stands where a revision is due")]
    Bucket,
    /// Its key is no revision.
    #[error("{0}")]
    Key(BadRevision),
    /// Its value cannot be decoded.
    #[error("the KeyValue cannot be read past its byte {}", .1.0)]
    Value(BucketKey, BadField),
    /// Its value can be decoded, and cannot be what is stored under its key.
    #[error("{2}")]
    Contradiction(BucketKey, Code, String),
}

impl Fault {
    /// Which rule is broken.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Fault::Bucket | Fault::Key(_) => Code::RevisionKey,
            Fault::Value(..) => Code::ValueUndecodable,
            Fault::Contradiction(_, code, _) => *code,
        }
    }

    /// The revision, as far as it is known.
    #[must_use]
    pub fn key(&self) -> Option<BucketKey> {
        match self {
            Fault::Bucket | Fault::Key(_) => None,
            Fault::Value(key, _) | Fault::Contradiction(key, ..) => Some(*key),
        }
    }

    /// What is said of it; `at` is where the element lies.
    #[must_use]
    pub fn corrupt(&self, at: At) -> Box<Corrupt> {
        let revision = self.key().map(|key| key.revision.to_string());
        Corrupt::new(self.code(), At { revision: revision.or(at.revision), ..at }, self.to_string())
    }
}

/// The revision that an element's key is.
///
/// # Errors
/// [`Fault::Key`].
pub fn read_key(key: &[u8]) -> Result<BucketKey, Fault> {
    BucketKey::parse(key).map_err(Fault::Key)
}

/// The stored version that an element is, by its key and its value.
///
/// # Errors
/// [`Fault::Key`], [`Fault::Value`].
pub fn read<'v>(key: &[u8], value: &'v [u8]) -> Result<(BucketKey, KeyValue<'v>), Fault> {
    let key = read_key(key)?;
    Ok((key, read_value(key, value)?))
}

/// As [`read`], of an item of which nobody knows the page it lies in.
///
/// # Errors
/// The fault, at that key of the bucket.
pub fn read_item<'v>(key: &[u8], value: &'v [u8]) -> Result<(BucketKey, KeyValue<'v>), Box<Corrupt>> {
    read(key, value).map_err(|fault| fault.corrupt(At::default().bucket(BUCKET).key(key)))
}

/// The KeyValue that is stored under `key`.
///
/// # Errors
/// [`Fault::Value`].
pub fn read_value(key: BucketKey, value: &[u8]) -> Result<KeyValue<'_>, Fault> {
    KeyValue::decode(value).map_err(|bad| Fault::Value(key, bad))
}

/// Whether a KeyValue can be what is stored under `key`, as far as it tells by itself. `value` is the bytes it was
/// decoded from.
///
/// # Errors
/// [`Fault::Contradiction`]: `value-undecodable` without a user key, `mod-revision` when it names another revision.
pub fn check(key: BucketKey, kv: &KeyValue<'_>, value: &[u8]) -> Result<(), Fault> {
    kv.check(key, value).map_err(|(code, what)| Fault::Contradiction(key, code, what))
}

/// The last stored revision; `None` when there is none. Reads one page of each level.
///
/// # Errors
/// Damage on the way to it; `revision-key`.
pub fn last(keys: &Bucket<'_, '_>) -> Result<Option<BucketKey>, Box<Corrupt>> {
    let mut cursor = keys.cursor();
    let Some(item) = cursor.last()? else { return Ok(None) };
    let key = read_key(item.key).and_then(|key| if item.is_bucket { Err(Fault::Bucket) } else { Ok(key) });
    key.map(Some).map_err(|fault| fault.corrupt(At::default().bucket(BUCKET).key(item.key)))
}

/// The last stored revision whose key decodes; `None` when there is none.
///
/// # Errors
/// Damage on the way to it.
pub fn last_that_decodes(keys: &Bucket<'_, '_>) -> Result<Option<BucketKey>, Box<Corrupt>> {
    let mut cursor = keys.cursor();
    let mut item = cursor.last()?;
    while let Some(there) = item {
        if let Some(key) = read_key(there.key).ok().filter(|_| !there.is_bucket) {
            return Ok(Some(key));
        }
        item = cursor.prev()?;
    }
    Ok(None)
}

/// One stored version of a key.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'p> {
    /// Its revision, and whether it is a deletion.
    pub key: BucketKey,
    /// The KeyValue; of a deletion the user's key only.
    pub kv: KeyValue<'p>,
    /// The element it was read from.
    pub element: LeafElement<'p>,
    /// The page that lies in.
    pub page: Page<'p>,
}

/// Does something with stored versions, in the order in which they are stored.
pub trait Revisions {
    /// One of them.
    fn each(&mut self, stored: &Stored<'_>);
    /// Those of a page have been handed out.
    fn page_ends(&mut self, page: &Page<'_>) {
        let _ = page;
    }
    /// Asked between pages: whether nothing more is wanted.
    fn enough(&self) -> bool {
        false
    }
}

/// What is done with what cannot be read. Pages that break a rule are told of with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFault {
    /// The walk ends with the page where it is; so many faults of each kind are kept.
    Strict(u64),
    /// It is left out; so many faults of each kind are kept, and all are counted.
    Tell(u64),
    /// It is left out and counted. A KeyValue that contradicts its key is handed out.
    Skip,
}

/// Hands out what the bucket of `db` stores, on the calling thread. What cannot be read is left out.
pub fn skim<R: Revisions>(db: &Db<'_>, monitor: &dyn Monitor, to: R) -> R {
    let mut reader = Reader::new(to, OnFault::Skip);
    if let Ok(Some(keys)) = db.root().bucket(BUCKET) {
        walk(&keys, Shared::new(&Visited::new(db), monitor), &mut reader);
    }
    reader.to
}

/// Hands out what the bucket stores, as the visitor of a walk.
pub struct Reader<R> {
    /// Who gets it.
    pub to: R,
    /// What could not be read.
    pub faults: Collector<Corrupt>,
    policy: OnFault,
    span: RangeInclusive<i64>,
}

impl<R: Revisions> Reader<R> {
    /// Of all revisions.
    pub fn new(to: R, policy: OnFault) -> Reader<R> {
        Reader::within(i64::MIN..=i64::MAX, to, policy)
    }

    /// Of those whose main part is in `span`; what is stored under others is not looked at.
    pub fn within(span: RangeInclusive<i64>, to: R, policy: OnFault) -> Reader<R> {
        let keep = match policy {
            OnFault::Strict(keep) | OnFault::Tell(keep) => keep,
            OnFault::Skip => 0,
        };
        Reader { to, faults: Collector::new(keep), policy, span }
    }

    /// `None` when it is outside of the span.
    fn read<'p>(&self, element: &LeafElement<'p>) -> Result<Option<(BucketKey, KeyValue<'p>)>, Fault> {
        let key = read_key(element.key)?;
        if element.is_bucket {
            return Err(Fault::Bucket);
        }
        if !self.span.contains(&key.revision.main) {
            return Ok(None);
        }
        let kv = read_value(key, element.value)?;
        if self.policy != OnFault::Skip {
            check(key, &kv, element.value)?;
        }
        Ok(Some((key, kv)))
    }
}

impl<R: Revisions> Visitor for Reader<R> {
    fn leaf<'p>(&mut self, page: &Page<'p>, elements: &[LeafElement<'p>], _: Option<usize>) {
        for element in elements {
            match self.read(element) {
                Ok(Some((key, kv))) => self.to.each(&Stored { key, kv, element: *element, page: *page }),
                Ok(None) => {}
                Err(fault) if self.policy == OnFault::Skip => {
                    self.faults.count(fault.code());
                }
                Err(fault) => self.fault(*fault.corrupt(page.element_at(element.index).key(element.key))),
            }
        }
        self.to.page_ends(page);
    }

    fn fault(&mut self, mut corrupt: Corrupt) {
        corrupt.at = corrupt.at.bucket(BUCKET);
        self.faults.push(corrupt);
    }

    fn enough(&self) -> bool {
        self.to.enough() || (matches!(self.policy, OnFault::Strict(_)) && !self.faults.is_empty())
    }
}
