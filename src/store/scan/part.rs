//! What one thread sees of one bucket.

use std::collections::{BTreeSet, HashMap};

use crate::bolt::page::LeafElement;
use crate::bolt::walk::{Stats, Visitor};
use crate::bolt::{Bucket, Page};
use crate::codec::{emptied, slice_at, to_u64};
use crate::etcd::history::History;
use crate::etcd::newest::{Gatherer, KeyHash, Newer, Newest};
use crate::etcd::stored::{self, Fault};
use crate::etcd::{BucketKey, Facts, KeyValue};
use crate::store::hashkv::kept::Kept;
use crate::store::scan::{Crc, Faults, Keyspace, Orphan, Orphans, loses};
use crate::words::error::{At, Corrupt};
use crate::words::finding::Code;

/// What is made of a bucket's items.
pub(super) enum Content<'c> {
    Nothing,
    Plain,
    Facts(&'c mut Facts),
    Keys(Gatherer<'c>),
    History(Box<Chronicle<'c>>),
}

impl Content<'_> {
    /// Something could not be read: of the history, what would follow from it is not known.
    fn lost(&mut self) {
        if let Content::History(chronicle) = self {
            chronicle.history.lost();
        }
    }

    /// Something that HashKV cannot be made of.
    fn broken(&mut self, corrupt: &Corrupt) {
        if let Content::History(chronicle) = self {
            chronicle.kept.broken(corrupt);
        }
    }
}

/// The whole history, in the order of the revisions.
pub(super) struct Chronicle<'c> {
    newest: &'c mut Newest,
    history: History,
    kept: Kept,
    /// The leases there are, if that is known.
    leases: Option<BTreeSet<i64>>,
    /// Keys whose newest revision names another one.
    orphans: HashMap<KeyHash, Orphan>,
}

impl<'c> Chronicle<'c> {
    /// `compact` is the file's compact revision: -1 for none, `i64::MAX` when it is not known.
    pub fn new(newest: &'c mut Newest, compact: i64, leases: Option<BTreeSet<i64>>) -> Chronicle<'c> {
        Chronicle {
            newest,
            history: History::new(compact),
            kept: Kept::new(compact),
            leases,
            orphans: HashMap::new(),
        }
    }

    /// HashKV and the keys without their lease. `all` is the checksum of the whole bucket.
    pub fn finish(self, all: Crc) -> (Result<u32, Box<Corrupt>>, Orphans) {
        let mut orphans: Orphans = self.orphans.into_values().collect();
        orphans.sort_unstable_by_key(|orphan| orphan.revision);
        (self.kept.finish(all, self.newest.live()), orphans)
    }

    /// One more revision; returns the newest one of the same key that went before.
    fn see(
        &mut self,
        hash: KeyHash,
        page: &Page<'_>,
        item: &Item<'_>,
        key: BucketKey,
        kv: &KeyValue<'_>,
    ) -> Option<Newer> {
        let place = self.kept.add(key, item.element.key, item.element.value);
        let before = self.newest.see(hash, Newer::new(key, kv, place));
        if let Some(before) = before {
            self.kept.strike(before.place());
        }
        if let Some(leases) = &self.leases {
            if kv.lease != 0 && !key.tombstone && !leases.contains(&kv.lease) {
                let value =
                    (page.offset.saturating_add(to_u64(item.element.value_at)), item.element.value.len());
                let orphan = Orphan { revision: key.revision, lease: kv.lease_id(), page: page.id, value };
                self.orphans.insert(hash, orphan);
            } else if before.is_some() && !self.orphans.is_empty() {
                self.orphans.remove(&hash);
            }
        }
        before
    }
}

/// An element, and what it means in the key bucket.
struct Item<'p> {
    element: LeafElement<'p>,
    stored: Result<(BucketKey, KeyValue<'p>), Fault>,
    hash: Option<KeyHash>,
}

impl<'p> Item<'p> {
    fn of(element: &LeafElement<'p>) -> Item<'p> {
        let stored = match element.is_bucket {
            true => Err(Fault::Bucket),
            false => stored::read(element.key, element.value),
        };
        Item { element: *element, stored, hash: None }
    }

    /// Its revision, as far as it can be read.
    fn key(&self) -> Option<BucketKey> {
        self.stored.as_ref().map_or_else(Fault::key, |(key, _)| Some(*key))
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
    pub faults: Faults,
    pub nested: Vec<Bucket<'d, 's>>,
}

impl<'c, 'd, 's> Part<'c, 'd, 's> {
    pub fn new(bucket: &'c Bucket<'d, 's>, limit: u64, content: Content<'c>) -> Part<'c, 'd, 's> {
        let (stats, keyspace, faults) = (Stats::default(), Keyspace::default(), Faults::new(limit));
        let seen = Seen { stats, crc: Crc::default(), keyspace, faults, nested: Vec::new() };
        Part { bucket, content, seen, disordered: BTreeSet::new(), items: Vec::new() }
    }

    /// A page of the key bucket.
    fn keys<'p>(&mut self, page: &Page<'p>, elements: &[LeafElement<'p>], depth: Option<usize>) {
        let disordered = std::mem::take(&mut self.disordered);
        let mut items: Vec<Item<'p>> = std::mem::take(&mut self.items);
        if let Content::History(chronicle) = &self.content {
            items.extend(elements.iter().map(Item::of));
            for item in &mut items {
                let kv = item.stored.as_ref().ok().map(|(_, kv)| kv);
                item.hash = kv.map(|kv| chronicle.newest.hashers().hash(kv.key));
            }
            chronicle.newest.fetch(items.iter().filter_map(|item| item.hash));
        }
        let (mut run, mut due) = (Run::new(page), 0);
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
        run.end(&mut self.seen.crc);
        if due < page.count {
            self.content.lost();
        }
        self.items = emptied(items);
    }

    /// An element of the key bucket. `sure` is false where keys are out of order.
    fn key(&mut self, page: &Page<'_>, depth: Option<usize>, item: &Item<'_>, sure: bool, run: &mut Run<'_>) {
        let element = &item.element;
        if element.is_bucket {
            run.add(element, false, &mut self.seen.crc);
            let at = page.element_at(element.index).key(element.key);
            self.content.broken(&Fault::Bucket.corrupt(at));
            return self.nested(page, depth, element);
        }
        if let (Content::History(chronicle), Some(key)) = (&mut self.content, item.key())
            && chronicle.kept.crosses(key)
        {
            run.end(&mut self.seen.crc);
            chronicle.kept.cross(self.seen.crc);
        }
        run.add(element, true, &mut self.seen.crc);
        let place = || page.element_at(element.index).bucket(&self.bucket.name).key(element.key);
        self.seen.key_value(&mut self.content, sure, page, item, &place);
    }

    /// A page of another bucket.
    fn others(&mut self, page: &Page<'_>, elements: &[LeafElement<'_>], depth: Option<usize>) {
        let mut run = Run::new(page);
        for element in elements {
            run.add(element, !element.is_bucket, &mut self.seen.crc);
            if element.is_bucket {
                self.nested(page, depth, element);
            } else if let Content::Facts(facts) = &mut self.content
                && let Err(why) = facts.take(&self.bucket.name, element.key, element.value)
            {
                let at = page.element_at(element.index).bucket(&self.bucket.name).key(element.key);
                self.seen.faults.push(*why.corrupt(at));
            }
        }
        run.end(&mut self.seen.crc);
    }

    fn nested(&mut self, page: &Page<'_>, depth: Option<usize>, element: &LeafElement<'_>) {
        match Bucket::parse(self.bucket.db(), page, element) {
            // An inline bucket has none: the walk has reported it. Followed, they could nest in the same bytes
            // without end.
            _ if depth.is_none() => {}
            Ok(bucket) => self.seen.nested.push(bucket),
            Err(corrupt) => self.seen.faults.push(*corrupt),
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
        if let Content::History(chronicle) = &mut self.content {
            match (corrupt.code, corrupt.at.element) {
                (Code::KeyOrder | Code::BranchKey, Some(element)) => {
                    self.disordered.insert(element);
                }
                (code, None) if loses(code) => chronicle.history.lost(),
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
            Content::History(chronicle) => {
                let before = item.hash.and_then(|hash| chronicle.see(hash, page, item, key, kv));
                if sure {
                    chronicle.history.check(before, key, kv, &mut |code, what| {
                        let at = At { revision: Some(key.revision.to_string()), ..place().key(kv.key) };
                        self.faults.push(*Corrupt::new(code, at, what));
                    });
                } else {
                    chronicle.history.lost();
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
            (Content::History(chronicle), Some(key)) if sure => {
                let told = &mut |code, what| self.faults.push(*Corrupt::new(code, at.clone(), what));
                chronicle.history.unreadable(key.revision, told);
            }
            (content, _) => content.lost(),
        }
    }
}

/// Bytes of a page that follow each other and are hashed together: one long checksum takes a third of the time of
/// many short ones.
struct Run<'p> {
    bytes: &'p [u8],
    from: usize,
    to: usize,
}

impl<'p> Run<'p> {
    fn new(page: &Page<'p>) -> Run<'p> {
        Run { bytes: page.bytes, from: 0, to: 0 }
    }

    /// An element's key, and its value too. Go's ForEach gives a nested bucket's name and no value.
    fn add(&mut self, element: &LeafElement<'_>, value: bool, crc: &mut Crc) {
        let from = element.value_at.saturating_sub(element.key.len());
        if from != self.to {
            self.end(crc);
            self.from = from;
        }
        self.to = element.value_at.saturating_add(if value { element.value.len() } else { 0 });
    }

    fn end(&mut self, crc: &mut Crc) {
        if let Some(bytes) = slice_at(self.bytes, self.from, self.to.saturating_sub(self.from)) {
            crc.add(bytes);
        }
        self.from = self.to;
    }
}
