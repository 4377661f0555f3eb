//! Changes to a database that stay in memory: new pages behind its last one, and metas that lead to them, as a commit
//! would write them.
//!
//! ```text
//! 0             page 0, page 1: metas of the next transaction      in memory
//! 2 ..          the pages of the file, as they are                 in the file
//! high water .. leaves with changes, and the branches above them   in memory
//! ```
//!
//! What is not changed is not read: of a tree only the pages on the way to a change.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufWriter, Cursor};

use super::node::{Node, PageKind};
use super::pack::Places;
use super::{BUCKET, NO_FREELIST, Pages, WriteError, meta};
use crate::bolt::cursor::MAX_DEPTH;
use crate::bolt::db::check_length;
use crate::bolt::walk::Visited;
use crate::bolt::{Bucket, Db, Freelist, Pgid, Root};
use crate::codec::{to_u64, to_usize};
use crate::io::{Source, Spans, Window};
use crate::words::error::{Corrupt, Error, Result};
use crate::words::finding::Code;

/// For each top-level bucket its keys that get a value, or none any more.
pub type Changes = BTreeMap<Vec<u8>, BTreeMap<Vec<u8>, Option<Vec<u8>>>>;

/// Pages that may be missing of any database that is patched.
const FEW: u64 = 1 << 16;

/// An element's key, flags and value.
type Item<'i> = (&'i [u8], u64, &'i [u8]);
/// A page and its first key.
type Child = (Vec<u8>, u64);

/// What becomes of a key.
#[derive(Clone, Copy)]
struct Change<'c> {
    flags: u64,
    value: Option<&'c [u8]>,
}

type Keys<'c> = BTreeMap<&'c [u8], Change<'c>>;

/// A database with changes over it.
#[derive(Debug)]
pub struct Patched {
    /// As a file that is nowhere but in part in memory.
    pub source: Source,
    /// The first page that is new.
    high: Pgid,
    /// Pages of the database that nothing leads to any more.
    replaced: BTreeSet<Pgid>,
}

impl Patched {
    /// Where its pages go when they are packed. `reached` are those that are in use without the changes.
    #[must_use]
    pub fn places(&self, db: &Db<'_>, reached: &Visited) -> Places {
        Places::new(db.meta().high_water.0, |id| {
            id >= self.high || (reached.has(id) && !self.replaced.contains(&id))
        })
    }
}

/// The database with the changes over it. A bucket that is not there and gets something is made; an inline bucket
/// that is changed gets a page.
///
/// # Errors
/// [`Error::Damaged`] when a page on the way to a change cannot be read, or of the file most is missing that its meta
/// page claims: new pages come behind all that something may lead to, and who walks over the whole keeps a bit for
/// each page.
pub fn patch(db: &Db<'_>, changes: &Changes) -> Result<Patched> {
    patched(db, changes, &[])
}

/// The same, and buckets of the root are dropped.
pub(super) fn patched(db: &Db<'_>, changes: &Changes, dropped: &[Vec<u8>]) -> Result<Patched> {
    let path = db.source().path();
    let (page_size, high) = (to_usize(db.page_size()), db.meta().high_water.0);
    if high.saturating_sub(db.pages_present()) > db.pages_present().max(FEW) {
        check_length(db).map_err(|c| Error::damaged(path, c))?;
    }
    let out = BufWriter::with_capacity(page_size, Cursor::new(Vec::new()));
    let pages = Pages::new(out, page_size, 100, high);
    let mut patch = Patch { db, pages, replaced: BTreeSet::new() };
    if let Ok(Some(list)) = Freelist::read(db) {
        patch.replace(list.page, list.pages);
    }
    let root = db.root();
    let mut values = BTreeMap::new();
    for (name, keys) in changes {
        let bucket = root.bucket(name).map_err(|c| Error::damaged(path, c))?;
        if bucket.is_none() && keys.values().all(Option::is_none) {
            continue;
        }
        let keys = keys
            .iter()
            .map(|(key, value)| (key.as_slice(), Change { flags: 0, value: value.as_deref() }))
            .collect();
        let top = patch.bucket(bucket.as_ref(), &keys)?;
        let sequence = bucket.map_or(0, |bucket| bucket.sequence);
        values.insert(name.as_slice(), [top.to_le_bytes(), sequence.to_le_bytes()].concat());
    }
    let entries = values.iter().map(|(name, value)| (*name, Change { flags: BUCKET, value: Some(value) }));
    let gone = dropped.iter().map(|name| (name.as_slice(), Change { flags: BUCKET, value: None }));
    let entries = entries.chain(gone).collect();
    let top = patch.bucket(Some(&root), &entries)?;
    let next = patch.pages.next;
    let tail = patch.pages.out.into_inner().map_err(|e| WriteError::Output(e.into_error()))?.into_inner();
    let mut head = Vec::new();
    let txid = db.meta().txid.0.saturating_add(1);
    for (id, txid) in [(0, txid), (1, txid.saturating_sub(1))] {
        let mut page = meta(id, db.meta().page_size, top, NO_FREELIST, next, txid);
        page.resize(page_size, 0);
        head.extend_from_slice(&page);
    }
    let len = db.size().saturating_add(to_u64(tail.len()));
    let source = db.source().overlaid(Spans::new().with(0, head).with(db.size(), tail), len);
    Ok(Patched { source, high: db.meta().high_water, replaced: patch.replaced })
}

struct Patch<'p, 's> {
    db: &'p Db<'s>,
    pages: Pages<Cursor<Vec<u8>>>,
    replaced: BTreeSet<Pgid>,
}

impl Patch<'_, '_> {
    fn replace(&mut self, first: Pgid, run: u64) {
        self.replaced.extend((first.0..first.0.saturating_add(run)).map(Pgid));
    }

    /// Writes what of a bucket is changed; gives its top page.
    fn bucket(&mut self, bucket: Option<&Bucket<'_, '_>>, changes: &Keys<'_>) -> Result<u64> {
        let mut level = match bucket.map(|bucket| &bucket.root) {
            Some(Root::Tree(top)) => self.tree(*top, changes, 0)?,
            Some(Root::Inline { .. }) => {
                let page = bucket.and_then(Bucket::inline_page).transpose().map_err(|c| self.damaged(c))?;
                let items = page.iter().flat_map(|page| (0..page.count).map(|at| page.leaf(at)));
                let items = items
                    .map(|element| element.map(|e| (e.key, if e.is_bucket { BUCKET } else { 0 }, e.value)));
                let items = items.collect::<Result<Vec<_>, _>>().map_err(|c| self.damaged(c))?;
                self.leaves(items, changes)?
            }
            None => self.leaves(Vec::new(), changes)?,
        };
        while level.len() > 1 {
            level = self.branches(&level)?;
        }
        match level.first() {
            Some((_, top)) => Ok(*top),
            None => Ok(self.pages.write(PageKind::Leaf, &Node::default(), 0)?),
        }
    }

    /// Writes the pages of a tree that the changes are on and those above them; gives what takes the place of its top
    /// page. There are changes.
    fn tree(&mut self, top: Pgid, changes: &Keys<'_>, depth: usize) -> Result<Vec<Child>> {
        let mut window = Window::scattered();
        let page = self.db.page(top, &mut window).map_err(|c| self.damaged(c))?;
        self.replace(top, u64::from(page.overflow).saturating_add(1));
        if page.kind != crate::bolt::PageKind::Branch {
            let items = (0..page.count)
                .map(|at| page.leaf(at).map(|e| (e.key, if e.is_bucket { BUCKET } else { 0 }, e.value)));
            let items = items.collect::<Result<Vec<_>, _>>().map_err(|c| self.damaged(c))?;
            return self.leaves(items, changes);
        }
        if depth >= MAX_DEPTH {
            let what = format!("the tree is deeper than {MAX_DEPTH} pages");
            return Err(self.damaged(Corrupt::new(Code::DepthUneven, page.at(), what)));
        }
        let children = (0..page.count).map(|at| page.branch(at).map(|e| (e.key.to_vec(), e.child)));
        let children = children.collect::<Result<Vec<_>, _>>().map_err(|c| self.damaged(c))?;
        drop(window);
        let mut level = Vec::new();
        let mut changes = changes.iter().peekable();
        for (at, (key, child)) in children.iter().enumerate() {
            // Up to the first key of the next child; what is less than every key goes to the first.
            let next = at.checked_add(1).and_then(|next| children.get(next)).map(|(key, _)| key.as_slice());
            let mut here = Keys::new();
            while let Some((key, change)) = changes.next_if(|(key, _)| next.is_none_or(|next| **key < next)) {
                here.insert(key, *change);
            }
            if here.is_empty() {
                level.push((key.clone(), child.0));
            } else {
                level.extend(self.tree(*child, &here, depth.saturating_add(1))?);
            }
        }
        if level.is_empty() { Ok(level) } else { self.branches(&level) }
    }

    /// Writes leaves with these items and the changes to them.
    fn leaves(&mut self, items: Vec<Item<'_>>, changes: &Keys<'_>) -> Result<Vec<Child>> {
        let mut level = Vec::new();
        let mut node = Node::default();
        let mut items = items.into_iter().peekable();
        let mut changes = changes.iter().peekable();
        loop {
            let item = match (items.peek(), changes.peek()) {
                (None, None) => break,
                (Some((stored, ..)), Some((key, _))) if stored < *key => items.next(),
                (Some(_), None) => items.next(),
                (stored, Some((key, _))) => {
                    if stored.is_some_and(|(stored, ..)| stored == *key) {
                        items.next();
                    }
                    changes.next().and_then(|(key, change)| Some((*key, change.flags, change.value?)))
                }
            };
            let Some((key, flags, value)) = item else { continue };
            if !node.is_empty() && !self.pages.leaf_has_room(node.size(), node.size_with(key, value)) {
                self.write(PageKind::Leaf, &mut node, &mut level)?;
            }
            node.push(key, value, flags);
        }
        self.write(PageKind::Leaf, &mut node, &mut level)?;
        Ok(level)
    }

    /// Writes one level of branches over these pages.
    fn branches(&mut self, children: &[Child]) -> Result<Vec<Child>> {
        let mut level = Vec::new();
        let mut node = Node::default();
        for (key, child) in children {
            if node.len() > 1 && node.size_with(key, &[]) > self.pages.page_size {
                self.write(PageKind::Branch, &mut node, &mut level)?;
            }
            node.push(key, &[], *child);
        }
        self.write(PageKind::Branch, &mut node, &mut level)?;
        Ok(level)
    }

    fn write(&mut self, kind: PageKind, node: &mut Node, level: &mut Vec<Child>) -> Result<()> {
        if !node.is_empty() {
            let page = self.pages.write(kind, node, node.len())?;
            level.push((node.first_key().to_vec(), page));
            node.clear();
        }
        Ok(())
    }

    fn damaged(&self, corrupt: Box<Corrupt>) -> Error {
        Error::damaged(self.db.source().path(), corrupt)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::pack::pack;
    use super::super::{Options, Writer};
    use super::*;
    use crate::bolt::walk::{Buckets, Shared, Visitor, walk};
    use crate::codec::to_u64;
    use crate::words::monitor::Quiet;

    type Model = BTreeMap<Vec<u8>, BTreeMap<Vec<u8>, Vec<u8>>>;

    fn file(content: &Model, page_size: u32) -> Source {
        let mut out = Cursor::new(Vec::new());
        let mut writer = Writer::new(&mut out, Options { page_size, ..Options::default() }).unwrap();
        for (name, keys) in content {
            writer.begin_bucket(name, 7).unwrap();
            keys.iter().for_each(|(key, value)| writer.put(key, value).unwrap());
            writer.end_bucket().unwrap();
        }
        writer.finish().unwrap();
        Source::from_bytes("db", out.into_inner())
    }

    fn content(source: &Source) -> Model {
        let db = Db::open(source).unwrap();
        let root = db.root();
        let (mut found, mut names) = (Model::new(), root.cursor());
        while let Some(item) = names.next().unwrap() {
            let name = item.key.to_vec();
            let bucket = root.bucket(&name).unwrap().unwrap();
            let keys = found.entry(name).or_default();
            let mut cursor = bucket.cursor();
            while let Some(item) = cursor.next().unwrap() {
                assert!(keys.last_key_value().is_none_or(|(last, _)| **last < *item.key), "not in order");
                keys.insert(item.key.to_vec(), item.value.to_vec());
                assert!(bucket.get(item.key).unwrap().is_some(), "not found by its key");
            }
        }
        found
    }

    struct Sound;

    impl Visitor for Sound {
        fn leaf<'p>(
            &mut self,
            _: &crate::bolt::Page<'p>,
            _: &[crate::bolt::LeafElement<'p>],
            _: Option<usize>,
        ) {
        }
        fn fault(&mut self, corrupt: Corrupt) {
            panic!("{corrupt}");
        }
    }

    fn reached(db: &Db<'_>) -> Visited {
        let reached = Visited::new(db);
        let shared = Shared::new(&reached, &Quiet);
        let mut top = Buckets::new(db);
        walk(&db.root(), shared, &mut top);
        for bucket in &top.found {
            walk(bucket, shared, &mut Sound);
        }
        assert!(top.faults.is_empty(), "{:?}", top.faults);
        reached
    }

    fn value() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![9 => proptest::collection::vec(any::<u8>(), 0..300), 1 => Just(vec![7; 5000])]
    }

    fn keys() -> impl Strategy<Value = Vec<u8>> {
        (0..400u16).prop_map(|n| format!("{n:05}").repeat(1 + usize::from(n % 3)).into_bytes())
    }

    fn bucket<V: Strategy>(
        value: V,
        most: usize,
    ) -> impl Strategy<Value = BTreeMap<Vec<u8>, BTreeMap<Vec<u8>, V::Value>>> {
        let name = (0..4u8).prop_map(|n| vec![b'a' + n]);
        proptest::collection::btree_map(name, proptest::collection::btree_map(keys(), value, 0..most), 0..4)
    }

    #[test]
    fn a_bucket_that_is_made_takes_as_many_pages_as_the_writer_gives_it() {
        // Leaves of eight under one branch that is full to the last byte; four by four; keys of which two do not fit
        // on a page.
        for (count, key, value) in [(384, 5, 100), (64, 200, 0), (24, 600, 0)] {
            let keys: BTreeMap<_, _> =
                (0..count).map(|i| (format!("{i:0key$}").into_bytes(), vec![7; value])).collect();
            let changes = keys.iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect();
            let due = Model::from([(b"b".to_vec(), keys)]);
            let high = |source: &Source| Db::open(source).unwrap().meta().high_water.0;

            let base = file(&Model::new(), 1024);
            let patched =
                patch(&Db::open(&base).unwrap(), &Changes::from([(b"b".to_vec(), changes)])).unwrap().source;
            assert_eq!(content(&patched), due);
            // The metas are there already.
            assert_eq!(
                high(&patched) - high(&base),
                high(&file(&due, 1024)) - 2,
                "{count} keys of {key} bytes"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
        #[test]
        fn a_patched_database_holds_what_it_held_and_the_changes(
            base in bucket(value(), 300),
            changes in bucket(proptest::option::weighted(0.7, value()), 120),
            page_size in prop_oneof![Just(1024u32), Just(4096)],
        ) {
            let source = file(&base, page_size);
            let patched = patch(&Db::open(&source).unwrap(), &changes).unwrap();
            let mut due = base;
            for (name, keys) in changes {
                if !due.contains_key(&name) && keys.values().all(Option::is_none) {
                    continue;
                }
                let bucket = due.entry(name).or_default();
                for (key, value) in keys {
                    match value {
                        Some(value) => bucket.insert(key, value),
                        None => bucket.remove(&key),
                    };
                }
            }
            prop_assert_eq!(content(&patched.source), due.clone());
            let over = Db::open(&patched.source).unwrap();
            check_length(&over).unwrap();
            // Packed it holds the same, and no page that nothing leads to; the whole is larger by what the old pages
            // take.
            let reached = reached(&Db::open(&source).unwrap());
            let places = patched.places(&over, &reached);
            let mut packed = Vec::new();
            prop_assert_eq!(pack(&over, &places, &mut packed, &Quiet).unwrap(), to_u64(packed.len()));
            let packed = Source::from_bytes("packed", packed);
            let db = Db::open(&packed).unwrap();
            prop_assert_eq!(db.meta().high_water.0, places.pages());
            prop_assert_eq!(db.size().max(4096), packed.len());
            let reached = self::reached(&db);
            prop_assert!((2..places.pages()).all(|id| reached.has(Pgid(id))));
            prop_assert_eq!(content(&packed), due);
        }
    }
}
