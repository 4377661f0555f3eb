//! What one thread sees of one bucket.

use std::collections::{BTreeSet, HashMap};

use crate::bolt::page::LeafElement;
use crate::bolt::walk::{Stats, Visitor};
use crate::bolt::{Bucket, Page};
use crate::codec::wire::BadField;
use crate::codec::{slice_at, to_u64};
use crate::etcd::history::History;
use crate::etcd::newest::{Gatherer, KeyHash, Newer, Newest};
use crate::etcd::revision::BadRevision;
use crate::etcd::{BucketKey, Facts, KeyValue};
use crate::store::scan::kept::Kept;
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
    key: Result<BucketKey, BadRevision>,
    kv: Result<KeyValue<'p>, BadField>,
    hash: Option<KeyHash>,
}

impl<'p> Item<'p> {
    fn of(element: LeafElement<'p>) -> Item<'p> {
        Item { element, key: BucketKey::parse(element.key), kv: KeyValue::decode(element.value), hash: None }
    }
}

pub(super) struct Part<'c, 'd, 's> {
    bucket: &'c Bucket<'d, 's>,
    pub content: Content<'c>,
    pub seen: Seen<'d, 's>,
    /// Elements of the page to come whose keys are out of order.
    disordered: BTreeSet<u64>,
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
        Part { bucket, content, seen, disordered: BTreeSet::new() }
    }

    /// A page of the key bucket.
    fn keys(&mut self, page: &Page<'_>, depth: Option<usize>) {
        let disordered = std::mem::take(&mut self.disordered);
        let mut items: Vec<Item<'_>> = page.leaves().map(Item::of).collect();
        if let Content::History(chronicle) = &self.content {
            for item in &mut items {
                item.hash = item.kv.ok().map(|kv| chronicle.newest.hashers().hash(kv.key));
            }
            chronicle.newest.fetch(items.iter().filter_map(|item| item.hash));
        }
        let mut run = Run::new(page);
        let mut due = 0;
        for item in &items {
            let element = &item.element;
            if element.index != due {
                self.content.lost();
            }
            due = element.index.saturating_add(1);
            if element.is_bucket {
                run.add(element, false, &mut self.seen.crc);
                let what = "a bucket where a revision is due";
                self.content.broken(&Corrupt::new(
                    Code::RevisionKey,
                    page.element_at(element.index).key(element.key),
                    what,
                ));
                self.nested(page, depth, element);
                continue;
            }
            if let (Content::History(chronicle), Ok(key)) = (&mut self.content, item.key)
                && chronicle.kept.crosses(key)
            {
                run.end(&mut self.seen.crc);
                chronicle.kept.cross(self.seen.crc);
            }
            run.add(element, true, &mut self.seen.crc);
            let at = to_u64(element.index);
            let sure = !disordered.contains(&at) && !disordered.contains(&at.saturating_add(1));
            let place = || page.element_at(element.index).bucket(&self.bucket.name).key(element.key);
            self.seen.key_value(&mut self.content, sure, page, item, &place);
        }
        run.end(&mut self.seen.crc);
        if due < page.count {
            self.content.lost();
        }
    }

    /// A page of another bucket.
    fn others(&mut self, page: &Page<'_>, depth: Option<usize>) {
        let mut run = Run::new(page);
        for element in page.leaves() {
            run.add(&element, !element.is_bucket, &mut self.seen.crc);
            if element.is_bucket {
                self.nested(page, depth, &element);
            } else if let Content::Facts(facts) = &mut self.content
                && let Err(why) = facts.take(&self.bucket.name, element.key, element.value)
            {
                let at = page.element_at(element.index).bucket(&self.bucket.name).key(element.key);
                self.seen.faults.push(*Corrupt::new(Code::ValueUndecodable, at, why));
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

    fn leaf(&mut self, page: &Page<'_>, depth: Option<usize>) {
        self.seen.stats.leaf(page, depth);
        match &self.content {
            Content::Keys(_) | Content::History(_) => self.keys(page, depth),
            Content::Nothing => page
                .leaves()
                .filter(|element| element.is_bucket)
                .for_each(|element| self.nested(page, depth, &element)),
            Content::Plain | Content::Facts(_) => self.others(page, depth),
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
        let key = match item.key {
            Ok(key) => key,
            Err(why) => {
                content.lost();
                let corrupt = *Corrupt::new(Code::RevisionKey, place(), why.to_string());
                content.broken(&corrupt);
                return self.faults.push(corrupt);
            }
        };
        let kv = match item.kv {
            Ok(kv) => kv,
            Err(bad) => {
                let at = || At { revision: Some(key.revision.to_string()), ..place() };
                let corrupt = *Corrupt::new(
                    Code::ValueUndecodable,
                    at(),
                    format!("the KeyValue cannot be read past its byte {}", bad.0),
                );
                content.broken(&corrupt);
                self.faults.push(corrupt);
                match content {
                    Content::History(chronicle) if sure => {
                        let fault = &mut |code, what| self.faults.push(*Corrupt::new(code, at(), what));
                        chronicle.history.unreadable(key.revision, fault);
                    }
                    content => content.lost(),
                }
                return;
            }
        };
        // The history compares the revisions itself.
        if let Err((code, what)) = kv.check(key, item.element.value)
            && (code != Code::ModRevision || matches!(content, Content::Keys(_)))
        {
            self.faults.push(*Corrupt::new(code, place(), what));
        }
        match content {
            Content::Keys(gatherer) => gatherer.see(key, &kv),
            Content::History(chronicle) => {
                let before = item.hash.and_then(|hash| chronicle.see(hash, page, item, key, &kv));
                if sure {
                    chronicle.history.check(before, key, &kv, &mut |code, what| {
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
