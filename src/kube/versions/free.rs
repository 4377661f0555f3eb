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
        let pages_in = |bytes: &[u8]| to_u64(bytes.len()).checked_div(db.page_size()).unwrap_or(1);
        let pages = match &left {
            Leftover::Leaf(page) => pages_in(page.bytes),
            Leftover::Bytes(_, bytes) => pages_in(bytes),
            Leftover::Unreadable(pages, _) => *pages,
        };
        free.found.pages = free.found.pages.saturating_add(pages);
        match left {
            Leftover::Leaf(page) => free.leaf(&page),
            Leftover::Bytes(id, bytes) => free.bytes(id, pages, bytes),
            Leftover::Unreadable(..) => free.found.unreadable = free.found.unreadable.saturating_add(pages),
        }
        monitor.advance(pages.saturating_mul(db.page_size()));
        if monitor.cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    free.carried(None);
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
            not_before: self.wanted.times.then(|| written(kv.value, kv.begins())).flatten(),
        });
    }

    /// Pages of which nobody knows what they are. Their end is searched with the next one.
    fn bytes(&mut self, id: Pgid, pages: u64, bytes: &[u8]) {
        self.carried(Some((id, bytes)));
        let tail = bytes.len().saturating_sub(LONGEST_MARK.saturating_sub(1));
        self.search(bytes, tail, &|_| false);
        let last = Pgid(id.0.saturating_add(pages.saturating_sub(1)));
        self.carried = (Some(last), bytes.get(tail..).unwrap_or_default().to_vec());
    }

    /// Searches the end of the last page, and how it goes on where the next one lies behind it.
    fn carried(&mut self, next: Option<(Pgid, &[u8])>) {
        let (before, mut joined) = std::mem::take(&mut self.carried);
        let from = joined.len();
        if let (Some(before), Some((id, bytes))) = (before, next)
            && before.0.checked_add(1) == Some(id.0)
        {
            joined.extend(bytes.iter().take(512));
        }
        self.search(&joined, from, &|_| false);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bolt::writer::{Options, Writer};
    use crate::codec::checksum::fnv1a64;
    use crate::etcd::stored::BUCKET;
    use crate::io::Source;
    use crate::kube::places::ObjectPlaces;
    use crate::words::monitor::Quiet;

    const SIZE: usize = 1024;
    const KEY: &[u8] = b"/registry/secrets/a/b";

    fn element(main: i64, value: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let revision = BucketKey { revision: Revision { main, sub: 0 }, tombstone: false };
        let main = main as u8;
        let head = [&[0x0a, KEY.len() as u8], KEY, &[0x10, main, 0x18, main, 0x20, 1, 0x2a]].concat();
        (revision.to_bytes(), [&head[..], &[value.len() as u8], value].concat())
    }

    /// A leaf page without its number; the last value is said to be `more` bytes longer than it is.
    fn leaf(elements: &[(Vec<u8>, Vec<u8>)], more: u32) -> Vec<u8> {
        let mut page = vec![0; SIZE];
        page[8] = 2;
        page[10] = elements.len() as u8;
        let mut at = 16 + 16 * elements.len();
        for (number, (key, value)) in elements.iter().enumerate() {
            let more = if number + 1 == elements.len() { more } else { 0 };
            let start = 16 + 16 * number;
            let words = [0, (at - start) as u32, key.len() as u32, value.len() as u32 + more];
            page[start..start + 16].copy_from_slice(words.map(u32::to_le_bytes).as_flattened());
            for part in [key, value] {
                page[at..at + part.len()].copy_from_slice(part);
                at += part.len();
            }
        }
        page
    }

    /// What is found in these pages, behind a database that stores revision 9; and the values that were handed out.
    fn found(pages: Vec<Vec<u8>>) -> (FreeValues, Vec<(i64, Vec<u8>)>) {
        let mut file = std::io::Cursor::new(Vec::new());
        let options = Options { page_size: SIZE as u32, ..Options::default() };
        let mut writer = Writer::new(&mut file, options).unwrap();
        writer.begin_bucket(BUCKET, 0).unwrap();
        let (key, value) = element(9, b"{}");
        writer.put(&key, &value).unwrap();
        writer.end_bucket().unwrap();
        writer.finish().unwrap();
        let mut bytes = file.into_inner();
        let tree = bytes.len() / SIZE;
        for mut page in pages {
            let id = (bytes.len() / SIZE) as u64;
            page[..8].copy_from_slice(&id.to_le_bytes());
            bytes.extend(page);
        }
        let high = (bytes.len() / SIZE) as u64;
        for meta in [0, SIZE] {
            bytes[meta + 56..meta + 64].copy_from_slice(&high.to_le_bytes());
            let sum = fnv1a64(&bytes[meta + 16..meta + 72]).to_le_bytes();
            bytes[meta + 72..meta + 80].copy_from_slice(&sum);
        }
        let source = Source::from_bytes("file.db", bytes);
        let db = Db::open(&source).unwrap();
        let reached = Visited::new(&db);
        reached.mark(Pgid(2), tree as u64 - 2);
        let mut places = ObjectPlaces::default();
        places.learn(KEY, b"k8s:enc:");
        let wanted = Wanted { places: &places, only: None, namespace: None, times: false };
        let (root, mut values) = (db.root(), Vec::new());
        let keys = root.bucket(BUCKET).unwrap();
        let found = free_values(&db, (&reached, keys.as_ref()), &wanted, &Quiet, &mut |version| {
            assert_eq!((version.place, version.at.name), (ValuePlace::Free, "b"));
            values.push((version.revision.main, version.value.to_vec()));
        });
        (found, values)
    }

    #[test]
    fn a_version_that_no_tree_stores_is_handed_out_once() {
        let (old, still) = (element(5, b"{\"k8s:enc:\": 1}"), element(9, b"{}"));
        let pages = vec![leaf(&[old.clone(), still], 0), leaf(&[old], 0), vec![0; SIZE]];
        let (found, values) = found(pages);
        assert_eq!(values, [(5, b"{\"k8s:enc:\": 1}".to_vec())]);
        // What a whole element holds is not searched for beginnings.
        assert_eq!(found, FreeValues { pages: 3, values: 1, copies: 2, ..FreeValues::default() });
    }

    #[test]
    fn of_a_page_that_is_no_whole_leaf_the_beginnings_of_values_are_counted() {
        let head = b"k8s\0\x0a\x0c\x0a\x02v1\x12\x06Secret\x12\x7f";
        let cut = leaf(&[element(5, b"{}"), element(6, head)], 5000);
        let (found_in_leaf, values) = found(vec![cut]);
        assert_eq!(values, [(5, b"{}".to_vec())]);
        let secret = Residue { group: "".into(), kind: "Secret".into(), count: 1 };
        assert_eq!(found_in_leaf.remnants, Remnants { plain: vec![secret], ..Remnants::default() });

        // One that begins in one page and goes on in the next, which no longer has a number of its own.
        let (mut one, mut two) = (vec![0; SIZE], vec![0; SIZE]);
        one[SIZE - 4..].copy_from_slice(b"k8s\0");
        one[100..108].copy_from_slice(b"k8s:enc:");
        two[..4].copy_from_slice(b"\x0a\x0c\x0a\x02");
        two[500..504].copy_from_slice(b"k8s\0");
        two[600..604].copy_from_slice(b"k8s:");
        let due = Remnants { encrypted: 1, plain: Vec::new(), plain_unknown: 2 };
        assert_eq!(found(vec![one, two]).0.remnants, due);
    }

    #[test]
    fn a_broken_leaf_of_several_pages_counts_as_all_of_them() {
        // More elements than its pages have room for: it is no leaf page.
        let mut first = leaf(&[], 0);
        (first[11], first[12]) = (0xff, 2);
        let mut last = vec![0; SIZE];
        last[SIZE - 4..].copy_from_slice(b"k8s\0");
        let (found, _) = found(vec![first, vec![0; SIZE], last, vec![0; SIZE]]);
        assert_eq!((found.pages, found.unreadable, found.remnants.plain_unknown), (4, 0, 1));
    }

    #[test]
    fn elements_that_overlap_are_read_up_to_twice_the_page() {
        // Each is all of the page behind the elements.
        let (key, value) = element(5, &[b'x'; 100]);
        let mut page = leaf(&[(key, value)], 0);
        page[10] = 40;
        let words: Vec<u32> =
            page[16..32].as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
        let data = page[32..].to_vec();
        page[16 + 16 * 40..].copy_from_slice(&data[..SIZE - 16 - 16 * 40]);
        for number in 0..40u32 {
            let at = (16 + 16 * number) as usize;
            let pos = 16 * (40 - number);
            let words = [0, pos, words[2], words[3]];
            page[at..at + 16].copy_from_slice(words.map(u32::to_le_bytes).as_flattened());
        }
        let (found, values) = found(vec![page]);
        assert_eq!(values.len(), 1);
        assert!((1..40).contains(&found.copies), "{found:?}");
    }
}
