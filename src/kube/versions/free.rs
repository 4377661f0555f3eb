//! Values in pages that no tree holds: those of old leaf pages one by one, and where a page is something else by now
//! the places where a value begins.

use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;

use memchr::memmem;
use serde::Serialize;

use super::place::{FoundVersion, ValuePlace};
use super::wanted::Wanted;
use crate::bolt::walk::{Leftover, Visited, leftovers};
use crate::bolt::{Bucket, Cursor, Db, LeafElement, Page, Pgid};
use crate::codec::to_u64;
use crate::etcd::{BucketKey, KeyValue, Revision, stored};
use crate::kube::envelope::{self, is_encrypted};
use crate::kube::key::ObjectKey;
use crate::kube::times::written;
use crate::kube::type_meta::group_of;
use crate::words::monitor::Monitor;
use crate::words::text::Told;

/// Kinds that are told apart among beginnings; what is beyond has none.
const KINDS: usize = 1000;
/// Bytes of the longest beginning that is looked for.
const LONGEST_MARK: usize = envelope::ENCRYPTED.len();

/// What was found in pages that no tree holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FreeValues {
    /// The pages.
    pub pages: u64,
    /// Objects in them that are stored no more, each version once.
    pub values: u64,
    /// Elements that are older copies of the same, or copies of what is still stored.
    pub copies: u64,
    /// Beginnings of values where a page is no whole leaf page any more.
    pub remnants: Remnants,
    /// Pages that could not be read.
    pub unreadable: u64,
}

/// Beginnings of values, told by their first bytes; whether a value was whole, and when it was written, is not known,
/// and the same may be found several times.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Remnants {
    /// Of encrypted ones.
    pub encrypted: u64,
    /// Of objects in protobuf that say what they are.
    pub plain: Vec<Residue>,
    /// Of other objects in protobuf.
    pub plain_unknown: u64,
}

/// Beginnings of objects of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Residue {
    /// The group; empty for the core group.
    pub group: Told,
    /// The kind.
    pub kind: Told,
    /// How many.
    pub count: u64,
}

/// Looks through all pages that were not `reached`. What was found is distinguished from what `keys` still stores.
/// Memory is 16 bytes and more for each version that is found.
pub(super) fn free_values(
    db: &Db<'_>,
    (reached, keys): (&Visited, Option<&Bucket<'_, '_>>),
    wanted: &Wanted<'_>,
    monitor: &dyn Monitor,
    take: &mut dyn FnMut(&FoundVersion<'_>),
) -> FreeValues {
    let mut free = Free {
        wanted,
        take,
        still: keys.map(Bucket::cursor),
        seen: HashSet::new(),
        kinds: BTreeMap::new(),
        found: FreeValues::default(),
        carried: (None, Vec::new()),
    };
    leftovers(db, reached, &mut |left| {
        let pages = match &left {
            Leftover::Leaf(page) => to_u64(page.bytes.len()).checked_div(db.page_size()).unwrap_or(1),
            _ => 1,
        };
        free.found.pages = free.found.pages.saturating_add(pages);
        match left {
            Leftover::Leaf(page) => free.leaf(&page),
            Leftover::Bytes(id, bytes) => free.bytes(id, bytes),
            Leftover::Unreadable(_) => free.found.unreadable = free.found.unreadable.saturating_add(1),
        }
        monitor.advance(pages.saturating_mul(db.page_size()));
        if monitor.cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let mut found = free.found;
    found.remnants.plain = free
        .kinds
        .into_iter()
        .map(|((group, kind), count)| Residue { group: group.into(), kind: kind.into(), count })
        .collect();
    found
}

struct Free<'f> {
    wanted: &'f Wanted<'f>,
    take: &'f mut dyn FnMut(&FoundVersion<'_>),
    still: Option<Cursor<'f, 'f>>,
    seen: HashSet<Revision>,
    kinds: BTreeMap<(String, String), u64>,
    found: FreeValues,
    /// The last page that was searched, and how it ends: a beginning may go on in the next one.
    carried: (Option<Pgid>, Vec<u8>),
}

impl Free<'_> {
    /// A page that was a leaf page: of the bucket `key` its elements, and what lies between those that can be read.
    fn leaf(&mut self, page: &Page<'_>) {
        let mut budget = page.budget();
        let mut read = Vec::new();
        for index in 0..page.count {
            let Ok(element) = page.leaf(index) else { continue };
            let len = element.key.len().saturating_add(element.value.len());
            if !budget.spend(len) {
                break;
            }
            if !element.is_bucket && self.element(&element) {
                read.push((element.value_at, element.value_at.saturating_add(element.value.len())));
            }
        }
        if read.is_empty() || read.len() < page.count {
            read.sort_unstable();
            let inside = |at: usize| {
                let before = read.partition_point(|(start, _)| *start <= at);
                before.checked_sub(1).and_then(|i| read.get(i)).is_some_and(|(_, end)| at < *end)
            };
            self.search(page.bytes, page.bytes.len(), &inside);
        }
    }

    /// Whether it is a stored version of a key.
    fn element(&mut self, element: &LeafElement<'_>) -> bool {
        let Ok((key, kv)) = stored::read(element.key, element.value) else { return false };
        if !key.tombstone
            && let Some(at) = self.wanted.key(kv.key)
        {
            self.version(key, &kv, &at);
        }
        true
    }

    fn version(&mut self, key: BucketKey, kv: &KeyValue<'_>, at: &ObjectKey<'_>) {
        let bytes = key.to_bytes();
        let there = |cursor: &mut Cursor<'_, '_>| {
            cursor.seek(&bytes).is_ok_and(|item| item.is_some_and(|item| item.key == bytes))
        };
        if !self.seen.insert(key.revision) || self.still.as_mut().is_some_and(there) {
            self.found.copies = self.found.copies.saturating_add(1);
            return;
        }
        self.found.values = self.found.values.saturating_add(1);
        (self.take)(&FoundVersion {
            at,
            key: kv.key,
            value: kv.value,
            place: ValuePlace::Free,
            revision: key.revision,
            not_before: self.wanted.times.then(|| written(kv.value, kv.version == 1)).flatten(),
        });
    }

    /// A page of which nobody knows what it is.
    fn bytes(&mut self, id: Pgid, bytes: &[u8]) {
        let (before, mut joined) = std::mem::take(&mut self.carried);
        if before.is_some_and(|before| before.0.checked_add(1) == Some(id.0)) {
            let from = joined.len();
            joined.extend(bytes.iter().take(512));
            self.search(&joined, from, &|_| false);
        }
        self.search(bytes, bytes.len(), &|_| false);
        let tail = bytes.len().saturating_sub(LONGEST_MARK.saturating_sub(1));
        self.carried = (Some(id), bytes.get(tail..).unwrap_or_default().to_vec());
    }

    /// Counts beginnings in the first `len` of these bytes, but for those that are `inside` of what was read.
    fn search(&mut self, bytes: &[u8], len: usize, inside: &dyn Fn(usize) -> bool) {
        for at in memmem::find_iter(bytes, b"k8s").take_while(|at| *at < len) {
            let begun = bytes.get(at..).unwrap_or_default();
            if inside(at) {
                continue;
            }
            let remnants = &mut self.found.remnants;
            let sum = if is_encrypted(begun) {
                &mut remnants.encrypted
            } else if begun.starts_with(envelope::MAGIC) {
                match envelope::head(begun) {
                    Some((version, kind)) if !self.wanted.kind(group_of(version), kind) => continue,
                    Some((version, kind)) if self.kinds.len() < KINDS => {
                        self.kinds.entry((group_of(version).to_owned(), kind.to_owned())).or_default()
                    }
                    _ => &mut remnants.plain_unknown,
                }
            } else {
                continue;
            };
            *sum = sum.saturating_add(1);
        }
    }
}
