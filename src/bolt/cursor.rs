//! A cursor over one bucket: first, last, seek, next, prev.

use std::cmp::Ordering;

use super::{Bucket, Db, Page, PageKind, Pgid, Root};
use crate::io::Window;
use crate::words::error::Corrupt;
use crate::words::finding::Code;

/// Deeper than any tree that fits in a file.
pub const MAX_DEPTH: usize = 64;

/// A key and its value, or a bucket. The bytes stay until the cursor moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item<'c> {
    /// The key, or the bucket's name.
    pub key: &'c [u8],
    /// The value; for a bucket its header and inline page.
    pub value: &'c [u8],
    /// Whether it is a bucket.
    pub is_bucket: bool,
}

#[derive(Debug, Default)]
struct Level {
    window: Window,
    id: Pgid,
    index: usize,
    count: usize,
}

/// Walks the elements of one bucket in key order. It stops at the first thing that is wrong, so it also ends on a
/// tree that has cycles: keys that do not ascend are an error.
#[derive(Debug)]
pub struct Cursor<'b, 's> {
    db: &'b Db<'s>,
    bucket: &'b Bucket<'b, 's>,
    /// From the top page to the leaf; an inline bucket is one level without a window.
    levels: Vec<Level>,
    /// Of levels that were left: a window that stays sees that the next page follows the last one, and reads ahead.
    windows: Vec<Window>,
    /// The key at hand, to prove that the next one differs in the right direction.
    key: Vec<u8>,
    before: Vec<u8>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    BeforeFirst,
    At,
    AfterLast,
}

impl<'d, 's> Bucket<'d, 's> {
    /// A cursor, before the first element.
    #[must_use]
    pub fn cursor(&self) -> Cursor<'_, 's> {
        Cursor::new(self)
    }

    /// The bucket of that name inside this one.
    ///
    /// # Errors
    /// Damage on the way to it.
    pub fn bucket(&self, name: &[u8]) -> Result<Option<Bucket<'d, 's>>, Box<Corrupt>> {
        let mut cursor = self.cursor();
        let found = cursor.seek(name)?.is_some_and(|item| item.key == name && item.is_bucket);
        if !found {
            return Ok(None);
        }
        cursor.bucket_here(self.db)
    }

    /// The value of that key, copied.
    ///
    /// # Errors
    /// Damage on the way to it.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Box<Corrupt>> {
        let mut cursor = self.cursor();
        Ok(cursor
            .seek(key)?
            .filter(|item| item.key == key && !item.is_bucket)
            .map(|item| item.value.to_vec()))
    }
}

impl<'b, 's> Cursor<'b, 's> {
    fn new(bucket: &'b Bucket<'_, 's>) -> Cursor<'b, 's> {
        Cursor {
            db: bucket.db,
            bucket,
            levels: Vec::new(),
            windows: Vec::new(),
            key: Vec::new(),
            before: Vec::new(),
            state: State::BeforeFirst,
        }
    }

    /// The first element.
    ///
    /// # Errors
    /// Damage on the way to it.
    pub fn first(&mut self) -> Result<Option<Item<'_>>, Box<Corrupt>> {
        self.descend_from_root(&Want::First)?;
        self.settle(State::AfterLast)?;
        self.here()
    }

    /// The last element.
    ///
    /// # Errors
    /// Damage on the way to it.
    pub fn last(&mut self) -> Result<Option<Item<'_>>, Box<Corrupt>> {
        self.descend_from_root(&Want::Last)?;
        self.settle(State::BeforeFirst)?;
        self.here()
    }

    /// The first element whose key is `key` or greater.
    ///
    /// # Errors
    /// Damage on the way to it.
    pub fn seek(&mut self, key: &[u8]) -> Result<Option<Item<'_>>, Box<Corrupt>> {
        self.descend_from_root(&Want::AtLeast(key))?;
        // The leaf that would hold the key may end before it: then the next leaf begins after it.
        if self.levels.last().is_some_and(|leaf| leaf.index >= leaf.count) && !self.advance(true)? {
            self.state = State::AfterLast;
            return Ok(None);
        }
        self.settle(State::AfterLast)?;
        self.here()
    }

    /// The element after this one; the first, before any move.
    ///
    /// # Errors
    /// Damage on the way to it.
    #[allow(clippy::should_implement_trait, reason = "it lends: the item stays only until the next move")]
    pub fn next(&mut self) -> Result<Option<Item<'_>>, Box<Corrupt>> {
        self.step(true)
    }

    /// The element before this one; the last, after the end.
    ///
    /// # Errors
    /// Damage on the way to it.
    pub fn prev(&mut self) -> Result<Option<Item<'_>>, Box<Corrupt>> {
        self.step(false)
    }

    fn step(&mut self, forward: bool) -> Result<Option<Item<'_>>, Box<Corrupt>> {
        let (start, end) = if forward {
            (State::BeforeFirst, State::AfterLast)
        } else {
            (State::AfterLast, State::BeforeFirst)
        };
        if self.state == start {
            return if forward { self.first() } else { self.last() };
        }
        if self.state == end || !self.advance(forward)? {
            self.state = end;
            return Ok(None);
        }
        std::mem::swap(&mut self.key, &mut self.before);
        self.settle(end)?;
        let due = if forward { Ordering::Greater } else { Ordering::Less };
        if self.state == State::At && self.key.cmp(&self.before) != due {
            let at = self
                .levels
                .last()
                .map(|l| crate::words::error::At { page: Some(l.id.0), ..Default::default() })
                .unwrap_or_default();
            let way = if forward { "ascend" } else { "descend" };
            return Err(Corrupt::new(
                Code::KeyOrder,
                at.key(&self.key),
                format!("key does not {way} after {}", self.before.escape_ascii()),
            ));
        }
        self.here()
    }

    /// The element at hand.
    ///
    /// # Errors
    /// Damage in it.
    pub fn here(&mut self) -> Result<Option<Item<'_>>, Box<Corrupt>> {
        let (db, bucket) = (self.db, self.bucket);
        if self.state != State::At {
            return Ok(None);
        }
        let Some(level) = self.levels.last_mut() else { return Ok(None) };
        let index = level.index;
        let element = page(db, bucket, level)?.leaf(index)?;
        Ok(Some(Item { key: element.key, value: element.value, is_bucket: element.is_bucket }))
    }

    fn bucket_here<'d>(&mut self, db: &'d Db<'s>) -> Result<Option<Bucket<'d, 's>>, Box<Corrupt>> {
        let bucket = self.bucket;
        let Some(level) = self.levels.last_mut() else { return Ok(None) };
        let index = level.index;
        let page = page(db, bucket, level)?;
        Bucket::parse(db, &page, &page.leaf(index)?).map(Some)
    }

    /// Ends a move: remembers the key, or that there is none.
    fn settle(&mut self, none: State) -> Result<(), Box<Corrupt>> {
        let exists = self.levels.last().is_some_and(|leaf| leaf.index < leaf.count);
        self.state = if exists { State::At } else { none };
        let mut key = std::mem::take(&mut self.key);
        key.clear();
        if exists && let Some(item) = self.here()? {
            key.extend_from_slice(item.key);
        }
        self.key = key;
        Ok(())
    }

    /// Leaves all levels but the first `depth`.
    fn leave(&mut self, depth: usize) {
        while self.levels.len() > depth
            && let Some(level) = self.levels.pop()
        {
            let below = self.levels.len();
            if self.windows.len() <= below {
                self.windows.resize_with(below.saturating_add(1), Window::new);
            }
            if let Some(window) = self.windows.get_mut(below) {
                *window = level.window;
            }
        }
    }

    fn descend_from_root(&mut self, want: &Want<'_>) -> Result<(), Box<Corrupt>> {
        self.leave(0);
        let id = match &self.bucket.root {
            Root::Tree(id) => *id,
            Root::Inline { .. } => self.bucket.page,
        };
        self.descend(id, want)
    }

    fn descend(&mut self, mut id: Pgid, want: &Want<'_>) -> Result<(), Box<Corrupt>> {
        let (db, bucket) = (self.db, self.bucket);
        loop {
            if self.levels.len() >= MAX_DEPTH {
                let at = crate::words::error::At { page: Some(id.0), ..Default::default() };
                return Err(Corrupt::new(
                    Code::DepthUneven,
                    at,
                    format!("the tree is deeper than {MAX_DEPTH} pages"),
                ));
            }
            let window = self.windows.get_mut(self.levels.len()).map(std::mem::take).unwrap_or_default();
            let mut level = Level { id, window, ..Level::default() };
            let page = page(db, bucket, &mut level)?;
            let root = self.levels.is_empty();
            if page.count == 0 && (page.kind == PageKind::Branch || !root) {
                return Err(Corrupt::new(Code::PageCount, page.at(), "the page holds no element"));
            }
            let (count, kind) = (page.count, page.kind);
            let index = match (want, kind) {
                (Want::First, _) => 0,
                (Want::Last, _) => count.saturating_sub(1),
                (Want::AtLeast(key), PageKind::Leaf) => lower_bound(&page, |k| k < *key)?,
                (Want::AtLeast(key), _) => lower_bound(&page, |k| k <= *key)?.saturating_sub(1),
            };
            let child = match kind {
                PageKind::Leaf => None,
                PageKind::Branch => Some(page.branch(index)?.child),
                PageKind::Meta | PageKind::Freelist => {
                    let what = format!("a {} page stands where a branch or leaf is due", kind.name());
                    return Err(Corrupt::new(Code::PageType, page.at(), what));
                }
            };
            level.index = index;
            level.count = count;
            self.levels.push(level);
            match child {
                Some(child) => id = child,
                None => return Ok(()),
            }
        }
    }

    /// Moves to the neighbouring element; `false` at the end.
    fn advance(&mut self, forward: bool) -> Result<bool, Box<Corrupt>> {
        let (db, bucket) = (self.db, self.bucket);
        let on_leaf = |levels: &Vec<Level>, depth: usize| depth.saturating_add(1) == levels.len();
        let mut depth = self.levels.len();
        while depth > 0 {
            depth = depth.saturating_sub(1);
            let leaf = on_leaf(&self.levels, depth);
            let Some(level) = self.levels.get_mut(depth) else { break };
            let next = if forward {
                level.index.checked_add(1).filter(|i| *i < level.count)
            } else {
                level.index.checked_sub(1)
            };
            let Some(next) = next else { continue };
            level.index = next;
            if leaf {
                return Ok(true);
            }
            let child = page(db, bucket, level)?.branch(next)?.child;
            self.leave(depth.saturating_add(1));
            self.descend(child, if forward { &Want::First } else { &Want::Last })?;
            return Ok(true);
        }
        Ok(false)
    }
}

enum Want<'k> {
    First,
    Last,
    AtLeast(&'k [u8]),
}

fn page<'l>(
    db: &'l Db<'_>,
    bucket: &'l Bucket<'_, '_>,
    level: &'l mut Level,
) -> Result<Page<'l>, Box<Corrupt>> {
    match bucket.inline_page() {
        Some(page) => page,
        None => db.page(level.id, &mut level.window),
    }
}

/// The first element for which `before` is false, by binary search.
fn lower_bound(page: &Page<'_>, before: impl Fn(&[u8]) -> bool) -> Result<usize, Box<Corrupt>> {
    let (mut low, mut high) = (0usize, page.count);
    while low < high {
        let middle = low.midpoint(high);
        if before(page.key(middle)?) {
            low = middle.saturating_add(1);
        } else {
            high = middle;
        }
    }
    Ok(low)
}

#[cfg(test)]
mod tests;
