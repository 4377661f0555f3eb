//! Members that should agree: whether they do, and if not, since when and in what.
//!
//! Members are compared as etcd compares them (`server/etcdserver/corrupt.go PeriodicCheck @ v3.6`): by HashKV at one
//! revision and as if compacted at one. Here it is the greatest revision that all have, and the greatest compaction
//! that any has.

use std::ops::ControlFlow;

use crate::etcd::{BucketKey, KeyValue, Revision, stored};
use crate::store::diff::{DiffOptions, diff};
use crate::store::hashkv::{HashKvOptions, hashkv};
use crate::store::{Store, View};
use crate::words::error::{Error, Result};
use crate::words::monitor::Relay;

/// Keys named in a report.
const NAMED: usize = 100;

/// What a comparison found.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CompareReport {
    /// The revision at which all were hashed: the greatest that all have.
    pub revision: i64,
    /// The compaction as if which all were hashed: the greatest that any has; -1 is none.
    pub compact_revision: i64,
    /// The inputs, in the order they were given.
    pub members: Vec<MemberHash>,
    /// What the first input and each other one that differs differ in; empty when all agree.
    pub divergences: Vec<Divergence>,
}

impl CompareReport {
    /// Whether there is a revision that all have and none has compacted: if not, nothing was compared.
    #[must_use]
    pub fn comparable(&self) -> bool {
        self.revision >= self.compact_revision
    }
}

/// One input.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberHash {
    /// The file.
    pub file: String,
    /// Its last revision.
    pub revision: i64,
    /// Its own compaction, if there was one.
    pub compact_revision: Option<i64>,
    /// Its HashKV at the common revision; `None` when there is no such revision.
    pub hash: Option<u32>,
}

/// Where an input leaves the first one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Divergence {
    /// Which input.
    pub member: usize,
    /// The first revision that is not the same; `None` when it is at or before the compaction, so that it is not known.
    pub first_revision: Option<i64>,
    /// Keys that were changed otherwise in that revision; without one, keys that differ at the compaction. The first
    /// hundred.
    pub first_keys: Vec<Vec<u8>>,
    /// How many keys differ at the common revision.
    pub differing: u64,
    /// The first hundred of them.
    pub keys: Vec<Vec<u8>>,
}

/// Compares the keyspaces of members.
///
/// ```
/// # use std::path::Path;
/// # use coldbolt::{io::Source, words::monitor::Quiet};
/// # use coldbolt::store::{Store, StoreOptions, compare::compare};
/// # fn main() -> coldbolt::Result<()> {
/// // Two clusters that were written the same way: they part where the values do.
/// let a = Source::open(Path::new("fixtures/etcd-3.6.14/snapshot.db"))?;
/// let b = Source::open(Path::new("fixtures/etcd-3.7.1/snapshot.db"))?;
/// let options = StoreOptions::default();
/// let stores = [Store::open(&a, &options, &Quiet)?, Store::open(&b, &options, &Quiet)?];
/// let report = compare(&stores)?;
/// assert_eq!((report.revision, report.compact_revision), (106, 61));
/// assert_eq!(report.divergences[0].first_revision, Some(88));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::Damaged`] when one of them cannot be read in full.
pub fn compare(stores: &[Store<'_>]) -> Result<CompareReport> {
    let revision = stores.iter().map(Store::revision).min().unwrap_or(1);
    let compact = stores.iter().filter_map(Store::compact_revision).max();
    let mut report = CompareReport {
        revision,
        compact_revision: compact.unwrap_or(-1),
        members: Vec::new(),
        divergences: Vec::new(),
    };
    let comparable = report.comparable();
    for store in stores {
        let options = HashKvOptions { revision: Some(revision), compact_revision: compact };
        // Findings were told when the stores were opened.
        let quieter = Relay::new(store.monitor).without_findings();
        let hash = comparable.then(|| hashkv(store.source(), &options, &quieter)).transpose()?;
        report.members.push(MemberHash {
            file: store.source().name(),
            revision: store.revision(),
            compact_revision: store.compact_revision(),
            hash: hash.map(|report| report.hash),
        });
    }
    let hashes: Vec<Option<u32>> = report.members.iter().map(|member| member.hash).collect();
    for (member, (store, hash)) in stores.iter().zip(&hashes).enumerate() {
        if let (Some(first), true) = (stores.first(), hashes.first() != Some(hash)) {
            report.divergences.push(divergence(member, first, store, revision, compact)?);
        }
    }
    Ok(report)
}

fn divergence(
    member: usize,
    one: &Store<'_>,
    other: &Store<'_>,
    revision: i64,
    compact: Option<i64>,
) -> Result<Divergence> {
    let from = compact.unwrap_or(0).saturating_add(1);
    let first = first_difference(one, other, from, revision)?;
    let first_revision = first.as_ref().map(|(main, _)| *main);
    let (differing, keys) = differing(one.at(Some(revision))?, other.at(Some(revision))?)?;
    let first_keys = match first {
        Some((_, keys)) => keys,
        // The logs since the compaction agree: so what it kept does not.
        None => match compact {
            Some(compact) => differing_at(one, other, compact)?,
            None => Vec::new(),
        },
    };
    Ok(Divergence { member, first_revision, first_keys, differing, keys })
}

fn differing_at(one: &Store<'_>, other: &Store<'_>, revision: i64) -> Result<Vec<Vec<u8>>> {
    Ok(differing(one.at(Some(revision))?, other.at(Some(revision))?)?.1)
}

fn differing(one: View<'_>, other: View<'_>) -> Result<(u64, Vec<Vec<u8>>)> {
    let (mut count, mut keys) = (0u64, Vec::new());
    diff(one, other, &DiffOptions::default(), &mut |difference| {
        count = count.saturating_add(1);
        if keys.len() < NAMED {
            keys.push(difference.key.to_vec());
        }
        ControlFlow::Continue(())
    })?;
    Ok((count, keys))
}

/// The first main revision from `from` to `until` in which two logs are not the same, and the keys in question.
fn first_difference(
    one: &Store<'_>,
    other: &Store<'_>,
    from: i64,
    until: i64,
) -> Result<Option<(i64, Vec<Vec<u8>>)>> {
    let (left, right) = (one.db(), other.db());
    let (Some(left), Some(right)) = (one.keys_bucket(&left)?, other.keys_bucket(&right)?) else {
        return Ok(None);
    };
    let start = BucketKey { revision: Revision { main: from, sub: 0 }, tombstone: false }.to_bytes();
    let (mut left, mut right) = (left.cursor(), right.cursor());
    let damaged = |store: &Store<'_>| {
        let path = store.source().path().to_path_buf();
        move |corrupt| Error::damaged(&path, corrupt)
    };
    let (mut a, mut b) =
        (left.seek(&start).map_err(damaged(one))?, right.seek(&start).map_err(damaged(other))?);
    let main = |item: &Option<crate::bolt::Item<'_>>| {
        let key = item.as_ref().and_then(|item| stored::read_key(item.key).ok());
        key.map(|key| key.revision.main).filter(|main| *main <= until)
    };
    loop {
        let (in_a, in_b) = (main(&a), main(&b));
        if in_a.is_none() && in_b.is_none() {
            return Ok(None);
        }
        let same = in_a == in_b
            && a.as_ref().map(|item| (item.key, item.value)) == b.as_ref().map(|item| (item.key, item.value));
        if !same {
            // The lesser of the two, where both go on.
            let first = in_a.into_iter().chain(in_b).min().unwrap_or(from);
            return Ok(Some((first, changed_otherwise(one, other, first)?)));
        }
        one.check_cancelled()?;
        a = left.next().map_err(damaged(one))?;
        b = right.next().map_err(damaged(other))?;
    }
}

/// The keys of a main revision that one of two has, or has otherwise.
fn changed_otherwise(one: &Store<'_>, other: &Store<'_>, main: i64) -> Result<Vec<Vec<u8>>> {
    type Changes = Vec<(Vec<u8>, Revision, Vec<u8>)>;
    let changes = |store: &Store<'_>| -> Result<Changes> {
        let mut changes = Vec::new();
        store.events(Some(main), Some(main), None, &mut |event| {
            let KeyValue { key, create_revision, version, value, lease, .. } = event.kv;
            let digest = crate::codec::checksum::sha256(value);
            let what =
                [&digest[..], &create_revision.to_be_bytes(), &version.to_be_bytes(), &lease.to_be_bytes()]
                    .concat();
            changes.push((key.to_vec(), event.revision, what));
            if changes.len() < NAMED { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        Ok(changes)
    };
    let (a, b) = (changes(one)?, changes(other)?);
    let mut keys: Vec<Vec<u8>> = a
        .iter()
        .filter(|change| !b.contains(change))
        .chain(b.iter().filter(|change| !a.contains(change)))
        .map(|(key, ..)| key.clone())
        .collect();
    keys.sort();
    keys.dedup();
    Ok(keys)
}
