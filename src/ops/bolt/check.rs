//! The rules that `bbolt check` knows, told in its words and its order (`tx_check.go` @ v1.5.0).
//!
//! What differs: where bbolt ends in a panic, as at a page that says it is another one, what is wrong is told and the
//! check goes on; and pages that name one another again and again are not followed without end.

use std::ops::ControlFlow;

use crate::bolt::cursor::MAX_DEPTH;
use crate::bolt::db::check_length;
use crate::bolt::walk::Visited;
use crate::bolt::{Bucket, Db, Freelist, Page, PageKind, Pgid, Root};
use crate::codec::checksum::hex;
use crate::codec::go::is_print;
use crate::io::Window;
use crate::ops::bolt::{Use, page_use};
use crate::words::error::{Corrupt, Error, Result};
use crate::words::monitor::{Monitor, Quiet};

/// How often all pages of a file may be named.
const AGAIN: u64 = 4;

/// Goes through a file, or through what is below one page of it, and hands out what is wrong, a line each.
///
/// # Errors
/// [`Error::Cancelled`] only; it ends early when `say` breaks off.
pub fn check(
    db: &Db<'_>,
    from: Option<Pgid>,
    say: &mut dyn FnMut(&str) -> ControlFlow<()>,
    monitor: &dyn Monitor,
) -> Result<()> {
    let left = db.pages_present().saturating_mul(AGAIN).saturating_add(1024);
    let reachable = Visited::new(db);
    let mut check =
        Check { db, monitor, reachable, freed: None, left, say, done: false, windows: Vec::new() };
    check.freelist();
    if from.is_some() && db.meta().freelist.is_none() {
        // Free is what no tree reaches, as bbolt finds out when it opens such a file.
        let uses = page_use(db, &Quiet)?;
        let freed = Visited::unmarked(db);
        (2..db.pages_present()).map(Pgid).filter(|id| uses.of(*id) == Use::Free).for_each(|id| {
            freed.mark(id, 1);
        });
        check.freed = Some(freed);
    }
    match from {
        None => check.whole(),
        Some(id) if id.0 < 2 || id >= db.meta().high_water => {
            let high = db.meta().high_water;
            check.say(&format!("page ID ({id}) out of range [2, {high})"));
        }
        Some(id) => check.below(id),
    }
    if monitor.cancelled() { Err(Error::Cancelled) } else { Ok(()) }
}

struct Check<'c> {
    db: &'c Db<'c>,
    monitor: &'c dyn Monitor,
    reachable: Visited,
    /// The pages that a stored freelist has.
    freed: Option<Visited>,
    /// Pages that may still be looked at.
    left: u64,
    say: &'c mut dyn FnMut(&str) -> ControlFlow<()>,
    done: bool,
    windows: Vec<Window>,
}

/// A page with its children, or its keys, apart from the bytes it was read from.
struct Seen {
    kind: PageKind,
    flags: u16,
    keys: Vec<Vec<u8>>,
    children: Vec<Pgid>,
    buckets: Vec<Pgid>,
}

impl Check<'_> {
    fn say(&mut self, what: &str) {
        if !self.done && (self.say)(what).is_break() {
            self.done = true;
        }
    }

    fn corrupt(&mut self, corrupt: &Corrupt) {
        let place = corrupt.at.page.map(|page| format!("page {page}: ")).unwrap_or_default();
        self.say(&format!("{place}{}", corrupt.detail));
    }

    fn stopped(&self) -> bool {
        self.done || self.monitor.cancelled()
    }

    /// What a stored freelist has, and its own pages.
    fn freelist(&mut self) {
        let list = match Freelist::read(self.db) {
            Ok(Some(list)) => list,
            Ok(None) => return,
            Err(corrupt) => return self.corrupt(&corrupt),
        };
        let freed = Visited::unmarked(self.db);
        let mut ids = list.ids;
        ids.sort_unstable();
        for id in ids.into_iter().filter(|id| id.0 < self.db.pages_present()) {
            if !freed.mark(id, 1) {
                self.say(&format!("page {id}: already freed"));
            }
        }
        self.freed = Some(freed);
        self.reachable.mark(list.page, list.pages);
    }

    fn whole(&mut self) {
        let mut pending = vec![self.db.meta().root];
        while let Some(root) = pending.pop() {
            let found = self.bucket(root);
            pending.extend(found.into_iter().rev());
            if self.stopped() {
                return;
            }
        }
        if let Err(corrupt) = check_length(self.db) {
            self.corrupt(&corrupt);
        }
        let Some(freed) = self.freed.take() else { return };
        for id in (0..self.db.pages_present()).map(Pgid) {
            if !self.reachable.has(id) && !freed.has(id) {
                self.say(&format!("page {id}: unreachable unfreed"));
            }
        }
    }

    /// `recursivelyCheckPage`: a page, what is below it, and the buckets in that.
    fn below(&mut self, id: Pgid) {
        let mut pending = self.bucket(id);
        pending.reverse();
        while let Some(root) = pending.pop() {
            let found = self.bucket(root);
            pending.extend(found.into_iter().rev());
        }
    }

    /// `checkInvariantProperties` of a tree; gives the trees of the buckets in it.
    fn bucket(&mut self, root: Pgid) -> Vec<Pgid> {
        self.reach(root, &mut vec![root]);
        let mut found = Vec::new();
        self.order(root, (None, None), &mut Vec::new(), &mut found);
        found
    }

    /// `forEachPage` with `verifyPageReachable`.
    fn reach(&mut self, id: Pgid, stack: &mut Vec<Pgid>) {
        let Some(seen) = self.read(id, stack.len(), Some(stack)) else { return };
        for child in seen.children {
            stack.push(child);
            self.reach(child, stack);
            stack.pop();
        }
    }

    fn verify(&mut self, page: &Page<'_>, stack: &[Pgid]) {
        for id in (page.id.0..=page.id.0.saturating_add(page.overflow.into())).map(Pgid) {
            if !self.reachable.mark(id, 1) {
                self.say(&format!("page {id}: multiple references (stack: {})", list(stack)));
            }
        }
        let id = page.id;
        if self.freed.as_ref().is_some_and(|freed| freed.has(id)) {
            self.say(&format!("page {id}: reachable freed"));
        } else if !matches!(page.kind, PageKind::Branch | PageKind::Leaf) {
            self.say(&format!("page {id}: invalid type: {} (stack: {})", page.kind.name(), list(stack)));
        }
    }

    /// Reads a page of a tree, so many pages below its root. The first time it is verified, by the way to it, and what
    /// cannot be read is told.
    fn read(&mut self, id: Pgid, depth: usize, first: Option<&[Pgid]>) -> Option<Seen> {
        if self.stopped() {
            return None;
        }
        if depth > MAX_DEPTH || self.left == 0 {
            if first.is_some() {
                self.say(&format!("page {id}: not followed, pages name one another too often"));
            }
            return None;
        }
        if self.windows.len() <= depth {
            self.windows.resize_with(depth.saturating_add(1), Window::new);
        }
        let mut window = self.windows.get_mut(depth).map(std::mem::take).unwrap_or_default();
        let seen = match self.db.page(id, &mut window) {
            Ok(page) => {
                self.left = self.left.saturating_sub(u64::from(page.overflow).saturating_add(1));
                if let Some(stack) = first {
                    self.verify(&page, stack);
                }
                Some(self.seen(&page, first.is_some()))
            }
            Err(corrupt) => {
                if first.is_some() {
                    self.corrupt(&corrupt);
                }
                None
            }
        };
        if let Some(place) = self.windows.get_mut(depth) {
            *place = window;
        }
        seen
    }

    /// What the elements of a page are; what is wrong with them is told if `tell`.
    fn seen(&mut self, page: &Page<'_>, tell: bool) -> Seen {
        let flags = match page.kind {
            PageKind::Branch => 1,
            PageKind::Leaf => 2,
            PageKind::Meta => 4,
            PageKind::Freelist => 0x10,
        };
        let mut seen = Seen { kind: page.kind, flags, keys: vec![], children: vec![], buckets: vec![] };
        let mut budget = page.budget();
        let count = if matches!(page.kind, PageKind::Branch | PageKind::Leaf) { page.count } else { 0 };
        for index in 0..count {
            let key = match self.element(page, index, &mut seen) {
                Ok(key) => key,
                Err(corrupt) => {
                    if tell {
                        self.corrupt(&corrupt);
                    }
                    continue;
                }
            };
            if !budget.spend(key.len()) {
                if tell {
                    self.say(&format!("page {}: elements lie over one another", page.id));
                }
                break;
            }
            seen.keys.push(key.to_vec());
        }
        seen
    }

    fn element<'p>(
        &self,
        page: &Page<'p>,
        index: usize,
        seen: &mut Seen,
    ) -> std::result::Result<&'p [u8], Box<Corrupt>> {
        if page.kind == PageKind::Branch {
            let element = page.branch(index)?;
            seen.children.push(element.child);
            return Ok(element.key);
        }
        let element = page.leaf(index)?;
        if element.is_bucket
            && let Root::Tree(root) = Bucket::parse(self.db, page, &element)?.root
        {
            seen.buckets.push(root);
        }
        Ok(element.key)
    }

    /// `recursivelyCheckPageKeyOrderInternal`: keys ascend, from the one that the page above has for this one and up to
    /// its next. Gives the last key below, and in `found` the trees of buckets.
    fn order(
        &mut self,
        id: Pgid,
        (least, end): (Option<&[u8]>, Option<&[u8]>),
        stack: &mut Vec<Pgid>,
        found: &mut Vec<Pgid>,
    ) -> Option<Vec<u8>> {
        let seen = self.read(id, stack.len().saturating_add(1), None)?;
        stack.push(id);
        found.extend(&seen.buckets);
        let mut last = None;
        if seen.kind == PageKind::Branch {
            let mut running = least.map(<[u8]>::to_vec);
            for (index, (key, child)) in seen.keys.iter().zip(&seen.children).enumerate() {
                let place = (*child, "branch", index);
                self.verify_order(place, key, (running.as_deref(), end), stack);
                let next = seen.keys.get(index.saturating_add(1)).map(Vec::as_slice).or(end);
                last = self.order(*child, (Some(key), next), stack, found);
                running.clone_from(&last);
            }
        } else if seen.kind == PageKind::Leaf {
            let mut running = least;
            for (index, key) in seen.keys.iter().enumerate() {
                self.verify_order((id, "leaf", index), key, (running, end), stack);
                running = Some(key);
            }
            last = seen.keys.last().cloned();
        } else {
            self.say(&format!("unexpected page type (flags: {:x}) for pgId:{id}", seen.flags));
        }
        stack.pop();
        last
    }

    fn verify_order(
        &mut self,
        (page, kind, index): (Pgid, &str, usize),
        key: &[u8],
        (before, end): (Option<&[u8]>, Option<&[u8]>),
        stack: &[Pgid],
    ) {
        let shown = before.map(show).unwrap_or_default();
        if index == 0 && before.is_some_and(|before| before > key) {
            self.say(&format!(
                "the first key[{index}]=(hex){} on {kind} page({page}) needs to be >= the key in the ancestor ({shown}). Stack: {}",
                show(key),
                list(stack)
            ));
        }
        let sign = match before.unwrap_or_default().cmp(key) {
            std::cmp::Ordering::Greater if index > 0 => Some('<'),
            std::cmp::Ordering::Equal if index > 0 => Some('='),
            _ => None,
        };
        if let Some(sign) = sign {
            self.say(&format!(
                "key[{index}]=(hex){} on {kind} page({page}) needs to be > (found {sign}) than previous element (hex){shown}. Stack: {}",
                show(key),
                list(stack)
            ));
        }
        if end.is_some_and(|end| key >= end) {
            self.say(&format!(
                "key[{index}]=(hex){} on {kind} page({page}) needs to be < than key of the next element in ancestor (hex){shown}. Pages stack: {}",
                show(key),
                list(stack)
            ));
        }
    }
}

/// Pages as Go prints a slice.
fn list(pages: &[Pgid]) -> String {
    let pages: Vec<_> = pages.iter().map(ToString::to_string).collect();
    format!("[{}]", pages.join(" "))
}

/// A key as bbolt's command shows it.
fn show(key: &[u8]) -> String {
    let text = std::str::from_utf8(key).ok().filter(|text| text.chars().all(is_print));
    text.map_or_else(|| hex(key), str::to_owned)
}
