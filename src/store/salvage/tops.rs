//! The top pages of databases in a file. etcd writes one anew in each commit, with how far it has come in it: the
//! bucket `meta` is small, and lies within.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::bolt::bucket::BUCKET_HEADER;
use crate::bolt::found::{FoundPage, FoundPages, FoundPlace, FoundWalk, Met};
use crate::bolt::{Meta, Page, Pgid, Txid};
use crate::codec::{array_at, to_u64};
use crate::etcd::{Facts, stored};

/// The names of buckets, and their values.
type Entries = BTreeMap<Vec<u8>, Vec<u8>>;
/// What a small bucket holds.
pub(crate) type Items = BTreeMap<Vec<u8>, Vec<u8>>;

/// Top pages whose small buckets are asked for what newer ones lack.
const ASKED: usize = 16;
/// Buckets of a top page that are read: etcd makes ten.
const BUCKETS: usize = 32;
/// Bytes that are read of the bucket `meta`, which is one page at most.
const META: u64 = 1 << 20;

/// The top page of a database as of one commit.
#[derive(Debug, Clone)]
pub(crate) struct Top {
    pub place: FoundPlace,
    /// Whether it is of this database: it lies where it is due, or a meta page that does leads to it, or hardly any
    /// page lies where it is due.
    pub known: bool,
    /// The commit, if such a meta page leads here.
    pub txid: Option<Txid>,
    /// The last raft entry that it knows of.
    pub index: u64,
    /// The compaction that was asked for last, and the one that was finished last.
    pub scheduled: Option<i64>,
    pub finished: Option<i64>,
    /// The top page of the bucket `key`, if it is a tree.
    pub keys: Option<Pgid>,
}

impl Top {
    /// No revision after this one was removed.
    pub fn compacted(&self) -> i64 {
        self.scheduled.max(self.finished).unwrap_or(0)
    }

    /// Whether nothing can have been removed between this commit and `other`.
    pub fn compacted_as(&self, other: &Top) -> bool {
        let done = |top: &Top| top.scheduled.is_none() || top.scheduled == top.finished;
        done(self) && done(other) && self.finished == other.finished
    }
}

/// All of them, the newest first.
pub(crate) fn tops(found: &FoundPages<'_>) -> Vec<Top> {
    let mut walk = FoundWalk::new(found);
    let places = found.places.iter().filter(|place| place.names_buckets);
    let mut tops: Vec<Top> = places.filter_map(|place| top(found, &mut walk, *place)).collect();
    tops.sort_by_key(|top| Reverse((top.known, top.index, top.txid, top.place.offset)));
    tops
}

fn top(found: &FoundPages<'_>, walk: &mut FoundWalk<'_, '_>, place: FoundPlace) -> Option<Top> {
    let (entries, _) = entries(walk, place);
    if !entries.contains_key(stored::BUCKET) && !entries.contains_key(b"meta".as_slice()) {
        return None;
    }
    let mut facts = Facts::default();
    if let Some(value) = entries.get(b"meta".as_slice()) {
        let mut items = Items::new();
        small(&mut FoundWalk::within(found, META), place, (b"meta", value), &mut items);
        for (key, value) in &items {
            // What does not decode says nothing here.
            let _ = facts.take(b"meta", key, value);
        }
    }
    let in_place = found.is_in_place(place.id, place.offset);
    let meant = |meta: &&Meta| meta.root == place.id && (in_place || !found.has_in_place(place.id));
    let txid = found.metas_in_place().filter(meant).map(|meta| meta.txid).max();
    let keys = entries.get(stored::BUCKET).and_then(|value| array_at(value, 0)).map(u64::from_le_bytes);
    Some(Top {
        place,
        known: found.is_disorder() || txid.is_some() || in_place,
        txid,
        index: facts.consistent_index.map_or(0, crate::RaftIndex::get),
        scheduled: facts.scheduled_compact_revision,
        finished: facts.finished_compact_revision,
        keys: keys.filter(|root| *root != 0).map(Pgid),
    })
}

/// The buckets that a top page names, and whether all of it can be read.
fn entries(walk: &mut FoundWalk<'_, '_>, place: FoundPlace) -> (Entries, bool) {
    let pages = walk.orphan(place.id, place.offset);
    let Some(page) = pages.first().and_then(FoundPage::page) else { return (Entries::new(), false) };
    let mut budget = page.budget();
    let mut entries = Entries::new();
    for index in 0..page.count {
        let Ok(element) = page.leaf(index) else { continue };
        if element.is_bucket && budget.spend(element.key.len().saturating_add(element.value.len())) {
            entries.insert(element.key.to_vec(), element.value.to_vec());
        }
    }
    let all = entries.len() == page.count;
    (entries, all)
}

/// Adds what a bucket holds, by its name and its value in the top page, to what is known of it; whether that is all.
/// What etcd could not read is left out.
fn small(
    walk: &mut FoundWalk<'_, '_>,
    place: FoundPlace,
    (name, value): (&[u8], &[u8]),
    items: &mut Items,
) -> bool {
    let Some(root) = array_at(value, 0).map(u64::from_le_bytes) else { return false };
    let mut all = true;
    let mut take = |page: &Page<'_>| {
        let mut budget = page.budget();
        for index in 0..page.count {
            let element = page.leaf(index).ok().filter(|element| !element.is_bucket);
            let element =
                element.filter(|element| budget.spend(element.key.len().saturating_add(element.value.len())));
            match element {
                Some(element) if Facts::default().take(name, element.key, element.value).is_ok() => {
                    items.entry(element.key.to_vec()).or_insert_with(|| element.value.to_vec());
                }
                Some(_) | None => all = false,
            }
        }
    };
    if root == 0 {
        let inline = value.get(BUCKET_HEADER..).unwrap_or_default();
        let at = place.offset.saturating_add(to_u64(BUCKET_HEADER));
        let Ok(page) = Page::parse_inline(place.id, at, inline) else { return false };
        take(&page);
        return all;
    }
    let mut whole = true;
    walk.walk(Pgid(root), &mut |met| match met {
        Met::Leaf { pages, .. } => {
            if let Some(page) = pages.first().and_then(FoundPage::page) {
                take(&page);
            }
        }
        Met::Branch(_) => {}
        Met::Hole { .. } => whole = false,
    });
    all && whole
}

/// What is in the small buckets.
#[derive(Debug, Default)]
pub(crate) struct Small {
    /// By name; of the bucket `key` the name only.
    pub buckets: BTreeMap<Vec<u8>, Items>,
    /// Those of which something may be missing, or of an older commit.
    pub incomplete: Vec<String>,
}

/// Reads the small buckets of the newest top page; what cannot be read there is looked for in older ones.
pub(crate) fn small_buckets(found: &FoundPages<'_>, tops: &[Top]) -> Small {
    let mut small_buckets = Small::default();
    let mut whole = BTreeMap::<Vec<u8>, bool>::new();
    for (age, top) in tops.iter().take(ASKED).enumerate() {
        let (entries, all_named) = entries(&mut FoundWalk::new(found), top.place);
        for (name, value) in entries.iter().filter(|(name, _)| *name != stored::BUCKET).take(BUCKETS) {
            if whole.get(name).copied().unwrap_or(false) {
                continue;
            }
            let items = small_buckets.buckets.entry(name.clone()).or_default();
            let mut walk = FoundWalk::within(found, found.source().len());
            let all = small(&mut walk, top.place, (name, value), items);
            whole.insert(name.clone(), all);
            // What an older commit fills in may have been removed since.
            let told = String::from_utf8_lossy(name).into_owned();
            if !(age == 0 && all || small_buckets.incomplete.contains(&told)) {
                small_buckets.incomplete.push(told);
            }
        }
        if all_named && whole.values().all(|whole| *whole) {
            break;
        }
    }
    small_buckets
}
