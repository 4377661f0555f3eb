//! Stored versions of keys that were found, each proven by itself: it lies under the revision that it names.

use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;

use crate::bolt::found::{Anchors, Assembly, Doubts, FoundPage, FoundPages};
use crate::bolt::{LeafElement, Page, Pgid};
use crate::codec::{to_u64, to_usize};
use crate::etcd::{BucketKey, KeyValue, stored};
use crate::io::Window;

/// How a version came to be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    /// The newest tree leads to it.
    Tree,
    /// The tree of another commit leads to it, since which nothing was removed.
    SameTree,
    /// It was in the bucket at some time.
    Elsewhere,
}

/// Where a version lies.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Lies {
    /// In this element of one of the pages.
    In { page: u32, element: u16, assembly: Assembly },
    /// In the top page, as the bucket is that small: the KeyValue's place and length.
    At { offset: u64, len: u32 },
}

/// A version.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub key: BucketKey,
    /// Hashes of the user's key and of the KeyValue.
    pub user: u64,
    pub bytes: u64,
    pub lies: Lies,
    pub file: u8,
    pub standing: Standing,
    pub doubts: Doubts,
}

/// A leaf page that rows were taken of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Leaf {
    pub id: Pgid,
    pub offset: u64,
    pub standing: Standing,
    pub file: u8,
    /// Versions that were found in it.
    pub found: u32,
    /// Elements that are none.
    pub broken: u32,
}

/// All that was found. Some 72 bytes a version.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub rows: Vec<Row>,
    pub leaves: Vec<Leaf>,
    hashed: RandomState,
}

/// An element that is a version, and the page it was read of.
struct Proven<'p> {
    element: LeafElement<'p>,
    key: BucketKey,
    kv: KeyValue<'p>,
    page: &'p FoundPage,
    /// Which parts of it belong to it.
    anchors: Rc<Anchors>,
}

impl Proven<'_> {
    fn doubts(&self) -> Doubts {
        let LeafElement { key, value, value_at, .. } = self.element;
        let from = value_at.saturating_sub(key.len());
        self.page.doubts(from, value_at.saturating_add(value.len()), &self.anchors)
    }
}

impl Rows {
    /// Takes the versions of a leaf page within `bounds`. Gives the ranges of revisions in which there are elements
    /// that are none.
    pub fn take(
        &mut self,
        (pages, file): (&[FoundPage], u8),
        standing: Standing,
        (lower, upper): (Option<&[u8]>, Option<&[u8]>),
    ) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        let Some(first) = pages.first() else { return Vec::new() };
        let count = pages.iter().filter_map(FoundPage::page).map(|page| page.count).max().unwrap_or(0);
        let read: Vec<Vec<Option<Proven<'_>>>> = pages.iter().map(proven).collect();
        let page = u32::try_from(self.leaves.len()).unwrap_or(u32::MAX);
        let mut leaf = Leaf { id: first.id, offset: first.offset, standing, file, found: 0, broken: 0 };
        let (mut broken, mut begun) = (Vec::new(), None);
        let mut before = lower.unwrap_or_default().to_vec();
        for index in 0..count {
            let ways = read.iter().filter_map(|read| read.get(index)?.as_ref());
            let way = ways.min_by_key(|way| {
                let Doubts { lost, loose, blank } = way.doubts();
                (lost, loose, blank)
            });
            let Some(way) = way else {
                leaf.broken = leaf.broken.saturating_add(1);
                begun.get_or_insert_with(|| before.clone());
                continue;
            };
            let key = way.element.key;
            if let Some(from) = begun.take() {
                broken.push((from, Some(key.to_vec())));
            }
            before = key.to_vec();
            let inside = lower.is_none_or(|lower| key >= lower) && upper.is_none_or(|upper| key < upper);
            leaf.found = leaf.found.saturating_add(1);
            let element = u16::try_from(index).unwrap_or(u16::MAX);
            let assembly = way.page.assembly;
            self.rows.push(Row {
                key: way.key,
                user: self.hashed.hash_one(way.kv.key),
                bytes: self.hashed.hash_one(way.element.value),
                lies: Lies::In { page, element, assembly },
                file,
                standing: if inside { standing } else { Standing::Elsewhere },
                doubts: way.doubts(),
            });
        }
        broken.extend(begun.map(|from| (from, upper.map(<[u8]>::to_vec))));
        self.leaves.push(leaf);
        broken
    }

    /// Takes the versions of a bucket that lies in the top page.
    pub fn take_inline(&mut self, page: &Page<'_>, file: u8, standing: Standing) {
        for (element, key, kv) in versions(page).flatten() {
            let offset = page.offset.saturating_add(to_u64(element.value_at));
            let len = u32::try_from(element.value.len()).unwrap_or(u32::MAX);
            self.rows.push(Row {
                key,
                user: self.hashed.hash_one(kv.key),
                bytes: self.hashed.hash_one(element.value),
                lies: Lies::At { offset, len },
                file,
                standing,
                doubts: Doubts::default(),
            });
        }
    }
}

/// The elements of a leaf page that are versions.
fn versions<'p>(
    page: &Page<'p>,
) -> impl Iterator<Item = Option<(LeafElement<'p>, BucketKey, KeyValue<'p>)>> + use<'p> {
    let (page, mut budget) = (*page, page.budget());
    (0..page.count).map(move |index| {
        let element = page.leaf(index).ok().filter(|element| !element.is_bucket)?;
        let fits = budget.spend(element.key.len().saturating_add(element.value.len()));
        let (key, kv) = stored::read(element.key, element.value).ok().filter(|_| fits)?;
        stored::check(key, &kv, element.value).ok()?;
        // What etcd writes, it writes in this order and with nothing else.
        let whole = kv.encode() == element.value;
        whole.then_some((element, key, kv))
    })
}

fn proven(page: &FoundPage) -> Vec<Option<Proven<'_>>> {
    let Some(parsed) = page.page().filter(|_| page.is_leaf()) else { return Vec::new() };
    let read: Vec<_> = versions(&parsed).collect();
    let begins = |(element, ..): &(LeafElement<'_>, BucketKey, KeyValue<'_>)| {
        element.value_at.saturating_sub(element.key.len())
    };
    let anchors = Rc::new(page.anchors(read.iter().flatten().map(begins)));
    let proven = |(element, key, kv)| Proven { element, key, kv, page, anchors: anchors.clone() };
    read.into_iter().map(|version| version.map(proven)).collect()
}

/// Reads what was found again.
pub(crate) struct Reader<'r, 's> {
    files: &'r [FoundPages<'s>],
    leaves: &'r [Leaf],
    page: Option<(u32, Assembly, FoundPage)>,
    /// One for each file.
    windows: Vec<Window>,
    /// Bytes that may still be read: pages that were made to lie across each other are not read over and over.
    left: u64,
}

/// All pages together are read again so many times the length of the files, and a little more.
const TIMES: u64 = 64;
const LITTLE: u64 = 64 << 20;

impl<'r, 's> Reader<'r, 's> {
    pub fn new(files: &'r [FoundPages<'s>], leaves: &'r [Leaf]) -> Reader<'r, 's> {
        let bytes = files.iter().map(|found| found.source().len()).fold(0, u64::saturating_add);
        let left = bytes.saturating_mul(TIMES).saturating_add(LITTLE);
        Reader { files, leaves, page: None, windows: files.iter().map(|_| Window::new()).collect(), left }
    }

    /// The KeyValue of a row, as it lies there; `None` if it is not there any more.
    pub fn bytes(&mut self, row: &Row) -> Option<Vec<u8>> {
        let found = self.files.get(usize::from(row.file))?;
        let window = self.windows.get_mut(usize::from(row.file))?;
        let (page, element, assembly) = match row.lies {
            Lies::In { page, element, assembly } => (page, element, assembly),
            Lies::At { offset, len } => {
                let bytes = window.get(found.source(), offset, to_usize(u64::from(len))).ok()?;
                return Some(bytes.to_vec());
            }
        };
        if !self.page.as_ref().is_some_and(|(held, way, _)| (*held, *way) == (page, assembly)) {
            let leaf = self.leaves.get(usize::try_from(page).ok()?)?;
            let read = found.page(leaf.id, leaf.offset, assembly, window)?;
            self.left = self.left.checked_sub(read.bytes())?;
            self.page = Some((page, assembly, read));
        }
        let (.., held) = self.page.as_ref()?;
        let element = held.page()?.leaf(usize::from(element)).ok()?;
        (BucketKey::parse(element.key).ok()? == row.key).then(|| element.value.to_vec())
    }
}
