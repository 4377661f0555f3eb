//! What one thread sees of one bucket.

use std::collections::BTreeSet;

use super::history::{HistoryCheck, Item};
use super::keyspace::{Keyspace, loses_content};
use crate::bolt::page::LeafElement;
use crate::bolt::walk::{Stats, Visitor};
use crate::bolt::{Bucket, Page};
use crate::codec::{emptied, to_u64};
use crate::etcd::Facts;
use crate::etcd::newest::Gatherer;
use crate::etcd::stored::{self, Fault};
use crate::store::crc::{Crc, Run};
use crate::words::collector::Collector;
use crate::words::error::{At, Corrupt};
use crate::words::finding::Code;

/// What is made of a bucket's items.
pub(super) enum Content<'c> {
    Nothing,
    Plain,
    Facts(&'c mut Facts),
    Keys(Gatherer<'c>),
    History(Box<HistoryCheck>),
}

impl Content<'_> {
    /// Something could not be read: of the history, what would follow from it is not known.
    fn lost(&mut self) {
        if let Content::History(check) = self {
            check.history.lost();
        }
    }

    /// Something that HashKV cannot be made of.
    fn broken(&mut self, corrupt: &Corrupt) {
        if let Content::History(check) = self {
            check.kept.broken(corrupt);
        }
    }
}

pub(super) struct Part<'c, 'd, 's> {
    bucket: &'c Bucket<'d, 's>,
    pub content: Content<'c>,
    pub seen: Seen<'d, 's>,
    /// Elements of the page to come whose keys are out of order.
    disordered: BTreeSet<u64>,
    /// Memory for the items of one page, where they are wanted all at once.
    items: Vec<Item<'static>>,
}

pub(super) struct Seen<'d, 's> {
    pub stats: Stats,
    pub crc: Crc,
    pub keyspace: Keyspace,
    pub faults: Collector<Corrupt>,
    pub nested: Vec<Bucket<'d, 's>>,
}

impl<'c, 'd, 's> Part<'c, 'd, 's> {
    pub fn new(bucket: &'c Bucket<'d, 's>, limit: u64, content: Content<'c>) -> Part<'c, 'd, 's> {
        let (stats, keyspace, faults) = (Stats::default(), Keyspace::default(), Collector::new(limit));
        let seen = Seen { stats, crc: Crc::default(), keyspace, faults, nested: Vec::new() };
        Part { bucket, content, seen, disordered: BTreeSet::new(), items: Vec::new() }
    }

    /// A page of the key bucket.
    fn keys<'p>(&mut self, page: &Page<'p>, elements: &[LeafElement<'p>], depth: Option<usize>) {
        let disordered = std::mem::take(&mut self.disordered);
        let mut items: Vec<Item<'p>> = std::mem::take(&mut self.items);
        if let Content::History(check) = &self.content {
            items.extend(elements.iter().map(Item::of));
            for item in &mut items {
                let kv = item.stored.as_ref().ok().map(|(_, kv)| kv);
                item.hash = kv.map(|kv| check.newest.hashers().hash(kv.key));
            }
            check.newest.fetch(items.iter().filter_map(|item| item.hash));
        }
        let (mut run, mut due) = (Run::default(), 0);
        for (nth, element) in elements.iter().enumerate() {
            if element.index != due {
                self.content.lost();
            }
            due = element.index.saturating_add(1);
            let at = to_u64(element.index);
            let sure = !disordered.contains(&at) && !disordered.contains(&at.saturating_add(1));
            match items.get(nth) {
                Some(item) => self.key(page, depth, item, sure, &mut run),
                None => self.key(page, depth, &Item::of(element), sure, &mut run),
            }
        }
        run.end(page.bytes, &mut self.seen.crc);
        if due < page.count {
            self.content.lost();
        }
        self.items = emptied(items);
    }

    /// An element of the key bucket. `sure` is false where keys are out of order.
    fn key(&mut self, page: &Page<'_>, depth: Option<usize>, item: &Item<'_>, sure: bool, run: &mut Run) {
        let element = &item.element;
        if element.is_bucket {
            run.add(page.bytes, element, false, &mut self.seen.crc);
            let at = page.element_at(element.index).key(element.key);
            self.content.broken(&Fault::Bucket.corrupt(at));
            return self.nested(page, depth, element);
        }
        if let (Content::History(check), Some(key)) = (&mut self.content, item.key())
            && check.kept.is_first_after(key)
        {
            run.end(page.bytes, &mut self.seen.crc);
            check.kept.compaction_ends(self.seen.crc);
        }
        run.add(page.bytes, element, true, &mut self.seen.crc);
        let place = || page.element_at(element.index).bucket(&self.bucket.name).key(element.key);
        self.seen.key_value(&mut self.content, sure, page, item, &place);
    }

    /// A page of another bucket.
    fn others(&mut self, page: &Page<'_>, elements: &[LeafElement<'_>], depth: Option<usize>) {
        let mut run = Run::default();
        for element in elements {
            run.add(page.bytes, element, !element.is_bucket, &mut self.seen.crc);
            if element.is_bucket {
                self.nested(page, depth, element);
            } else if let Content::Facts(facts) = &mut self.content
                && let Err(why) = facts.take(&self.bucket.name, element.key, element.value)
            {
                let at = page.element_at(element.index).bucket(&self.bucket.name).key(element.key);
                self.seen.faults.push(*why.corrupt(at));
            }
        }
        run.end(page.bytes, &mut self.seen.crc);
    }

    fn nested(&mut self, page: &Page<'_>, depth: Option<usize>, element: &LeafElement<'_>) {
        match Bucket::parse(self.bucket.db(), page, element) {
            // An inline bucket has none: the walk has reported it. Followed, they could nest in the same bytes
            // without end.
            _ if depth.is_none() => {}
            Ok(bucket) => self.seen.nested.push(bucket),
            Err(corrupt) => {
                self.seen.faults.push(*corrupt);
            }
        }
    }
}

impl Visitor for Part<'_, '_, '_> {
    fn branch(&mut self, page: &Page<'_>, depth: usize) {
        self.disordered.clear();
        self.seen.stats.branch(page, depth);
    }

    fn leaf<'p>(&mut self, page: &Page<'p>, elements: &[LeafElement<'p>], depth: Option<usize>) {
        self.seen.stats.leaf(page, elements, depth);
        match &self.content {
            Content::Keys(_) | Content::History(_) => self.keys(page, elements, depth),
            Content::Nothing => elements
                .iter()
                .filter(|element| element.is_bucket)
                .for_each(|element| self.nested(page, depth, element)),
            Content::Plain | Content::Facts(_) => self.others(page, elements, depth),
        }
    }

    fn fault(&mut self, mut corrupt: Corrupt) {
        if let Content::History(check) = &mut self.content {
            match (corrupt.code, corrupt.at.element) {
                (Code::KeyOrder | Code::BranchKey, Some(element)) => {
                    self.disordered.insert(element);
                }
                (code, None) if loses_content(code) => check.history.lost(),
                _ => {}
            }
        }
        corrupt.at = corrupt.at.bucket(&self.bucket.name);
        self.seen.faults.push(corrupt);
    }
}

impl Seen<'_, '_> {
    /// One element of the key bucket; `place` tells where it is when something is wrong with it.
    ///
    /// `sure` is false where keys are out of order: of two such keys either may be the wrong one, nothing follows
    /// from what they say.
    fn key_value(
        &mut self,
        content: &mut Content<'_>,
        sure: bool,
        page: &Page<'_>,
        item: &Item<'_>,
        place: &dyn Fn() -> At,
    ) {
        let (key, kv) = match &item.stored {
            Ok((key, kv)) => (*key, kv),
            Err(fault) => return self.unreadable(content, sure, fault, place()),
        };
        // The history compares the revisions itself.
        if let Err(fault) = stored::check(key, kv, item.element.value)
            && (fault.code() != Code::ModRevision || matches!(content, Content::Keys(_)))
        {
            self.faults.push(*fault.corrupt(place()));
        }
        match content {
            Content::Keys(gatherer) => gatherer.see(key, kv),
            Content::History(check) => {
                let before = item.hash.and_then(|hash| check.see(hash, page, item, key, kv));
                if sure {
                    check.history.check(before, key, kv, &mut |code, what| {
                        let at = At { revision: Some(key.revision.to_string()), ..place().key(kv.key) };
                        self.faults.push(*Corrupt::new(code, at, what));
                    });
                } else {
                    check.history.lost();
                }
            }
            Content::Nothing | Content::Plain | Content::Facts(_) => {}
        }
        let space = &mut self.keyspace;
        space.revisions = space.revisions.saturating_add(1);
        space.tombstones = space.tombstones.saturating_add(u64::from(key.tombstone));
        space.first = space.first.or(Some(key.revision));
        space.last = Some(key.revision);
        space.leased |= kv.lease != 0;
        space.user_bytes =
            space.user_bytes.saturating_add(to_u64(kv.key.len().saturating_add(kv.value.len())));
    }

    /// An element that is no stored version of a key.
    fn unreadable(&mut self, content: &mut Content<'_>, sure: bool, fault: &Fault, at: At) {
        let corrupt = *fault.corrupt(at);
        content.broken(&corrupt);
        let at = corrupt.at.clone();
        self.faults.push(corrupt);
        match (content, fault.key()) {
            (Content::History(check), Some(key)) if sure => {
                let told = &mut |code, what| {
                    self.faults.push(*Corrupt::new(code, at.clone(), what));
                };
                check.history.unreadable(key.revision, told);
            }
            (content, _) => content.lost(),
        }
    }
}
