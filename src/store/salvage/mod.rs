//! What is left of a database: every stored version of a key that can be found in a damaged file, and which of them
//! were in its keyspace.
//!
//! The newest top page that is there leads to the newest tree (`tops`). Its pages are taken where they are due, or
//! wherever they lie if their keys fit between those of their parents ([`FoundWalk`]). What no tree leads to is taken
//! element by element (`rows`). Then each version is judged (`settle`): one after the last compaction was removed
//! by nobody, so that it belongs to the keyspace wherever it was found; one before it may have been superseded or
//! deleted since, unless the tree leads to it, or one of another commit since which nothing was compacted.

mod rows;
mod settle;
mod tops;
mod write;

use std::collections::BTreeSet;

use serde::Serialize;

pub(crate) use self::rows::Reader;
use self::rows::{Rows, Standing};
pub use self::settle::{LeftOut, LeftOutVersion, MissingRevisions};
pub(crate) use self::settle::{Settled, count, settle};
use self::tops::{Small, Top, small_buckets, tops};
pub(crate) use self::write::write_found;
use crate::bolt::found::{FoundPage, FoundPages, FoundWalk, Met};
use crate::bolt::{Page, Pgid};
use crate::etcd::{BucketKey, stored};
use crate::words::monitor::Monitor;

/// Trees of other commits that are asked for what the newest one lacks.
const ASKED: usize = 64;

/// A range of revisions of which a page is lost.
#[derive(Debug, Clone, Serialize)]
pub struct Hole {
    /// The page, if its number is known.
    pub page: Option<u64>,
    /// The first revision (main) that may be missing; 0 if nothing is known.
    pub from: i64,
    /// The last; `None` if nothing is known.
    pub to: Option<i64>,
    /// Whether the tree of another commit, since which nothing was compacted, has everything in the range.
    #[serde(skip)]
    pub(crate) filled: bool,
}

impl Hole {
    fn of(page: Option<Pgid>, lower: Option<&[u8]>, upper: Option<&[u8]>) -> Hole {
        let main = |key: &[u8]| BucketKey::parse(key).ok().map(|key| key.revision);
        let from = lower.and_then(main).map_or(0, |revision| revision.main);
        // The first key that is not missing may be in the middle of a transaction.
        let to = upper
            .and_then(main)
            .map(|next| if next.sub > 0 { next.main } else { next.main.saturating_sub(1) });
        Hole { page: page.map(|page| page.0), from, to, filled: false }
    }

    fn meets(&self, other: &Hole) -> bool {
        self.to.is_none_or(|to| other.from <= to) && other.to.is_none_or(|to| self.from <= to)
    }
}

/// What became of a page.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct PageFate {
    /// Its number.
    pub page: u64,
    /// Where it was found.
    pub offset: Option<u64>,
    /// `leaf` or `branch`, `lost` for one that was not found.
    pub kind: &'static str,
    /// Which file it is in: 0 is the one that is salvaged.
    pub file: u8,
    /// Whether it lies where it is due.
    pub in_place: bool,
    /// What leads to it: `tree`, `other tree`, `nothing`.
    pub reached_by: &'static str,
    /// Versions in it that can be read.
    pub versions: u32,
    /// Elements of it that cannot.
    pub broken: u32,
}

/// What was found.
pub(crate) struct Gathered {
    pub rows: Rows,
    /// The newest top page.
    pub top: Option<Top>,
    /// Whether the newest meta page leads to it.
    pub newest: bool,
    pub small: Small,
    pub holes: Vec<Hole>,
    /// Where page 0 of other databases in the file is.
    pub others: BTreeSet<i64>,
    /// Branch pages and lost ones, for the report.
    pub fates: Vec<PageFate>,
}

/// Takes everything that is in the files; the first is the one that is salvaged, the others are older ones of the same
/// database.
pub(crate) fn gather(files: &[FoundPages<'_>], monitor: &dyn Monitor) -> Gathered {
    let mut gathered = Gathered {
        rows: Rows::default(),
        top: None,
        newest: false,
        small: Small::default(),
        holes: Vec::new(),
        others: BTreeSet::new(),
        fates: Vec::new(),
    };
    for (file, found) in (0u8..).zip(files) {
        let tops = tops(found);
        if file == 0 {
            if !found.is_disorder() {
                gathered.others = others(found, &tops);
            }
            let known: Vec<Top> = tops.iter().filter(|top| top.known).cloned().collect();
            gathered.small = small_buckets(found, &known);
            gathered.top = tops.first().filter(|top| top.known).cloned();
            let last = found.metas_in_place().map(|meta| meta.txid).max();
            gathered.newest = gathered.top.as_ref().is_some_and(|top| top.txid.is_some() && top.txid == last);
            if gathered.top.is_none() {
                gathered.holes.push(Hole::of(None, None, None));
            }
        }
        gathered.take_file(found, file, tops);
        if monitor.cancelled() {
            break;
        }
    }
    gathered
}

/// Where page 0 of other databases is that lie in the same file, by their meta and top pages.
fn others(found: &FoundPages<'_>, tops: &[Top]) -> BTreeSet<i64> {
    let metas = found.metas.iter().map(|meta| (meta.id, meta.offset));
    let tops = tops.iter().filter(|top| !top.known).map(|top| (top.place.id, top.place.offset));
    let bases = metas.chain(tops).filter_map(|(id, offset)| found.base_of(id, offset));
    bases.filter(|base| *base != found.layout.base).collect()
}

impl Gathered {
    fn take_file(&mut self, found: &FoundPages<'_>, file: u8, tops: Vec<Top>) {
        let mut walk = FoundWalk::new(found);
        for (age, top) in tops.iter().enumerate() {
            walk.orphan(top.place.id, top.place.offset);
            let newest = file == 0 && age == 0 && top.known;
            if newest {
                self.inline(found, top);
            }
        }
        // Those that leave nothing open come first: a page counts as what it was met as.
        let same = |top: &Top| self.top.as_ref().is_some_and(|newest| top.compacted_as(newest));
        let (same, others): (Vec<_>, Vec<_>) = tops.into_iter().partition(same);
        let ordered = match file {
            0 => self.top.iter().cloned().map(|top| (Standing::Tree, top)).collect(),
            _ => Vec::new(),
        };
        let same = same.into_iter().map(|top| (Standing::SameTree, top));
        let others = others.into_iter().map(|top| (Standing::Elsewhere, top));
        let all: Vec<(Standing, Top)> = ordered.into_iter().chain(same).chain(others).collect();
        for (age, (standing, top)) in all.into_iter().enumerate() {
            let mut lost = Vec::new();
            if let Some(keys) = top.keys {
                walk.walk(keys, &mut |met| lost.extend(self.met(found, file, standing, met)));
            }
            match standing {
                Standing::Tree => self.holes.append(&mut lost),
                Standing::SameTree if top.keys.is_some() && top.known && age < ASKED => {
                    let whole = |hole: &Hole| hole.to.is_some() && !lost.iter().any(|lost| lost.meets(hole));
                    self.holes.iter_mut().for_each(|hole| hole.filled |= whole(hole));
                }
                Standing::SameTree | Standing::Elsewhere => {}
            }
        }
        for place in found.places.iter().filter(|place| place.leaf && !place.names_buckets) {
            if !walk.has_met(place.offset) {
                let pages = walk.orphan(place.id, place.offset);
                self.rows.take((&pages, file), Standing::Elsewhere, (None, None));
            }
        }
        for place in found.places.iter().filter(|place| !place.leaf && !walk.has_met(place.offset)) {
            self.fates.push(PageFate {
                page: place.id.0,
                offset: Some(place.offset),
                kind: "branch",
                file,
                in_place: found.is_in_place(place.id, place.offset),
                reached_by: "nothing",
                versions: 0,
                broken: 0,
            });
        }
    }

    /// A bucket `key` so small that it lies in the top page.
    fn inline(&mut self, found: &FoundPages<'_>, top: &Top) {
        let mut walk = FoundWalk::new(found);
        let pages = walk.orphan(top.place.id, top.place.offset);
        let Some(page) = pages.first().and_then(FoundPage::page) else { return };
        let elements = (0..page.count).filter_map(|index| page.leaf(index).ok());
        for element in elements.filter(|element| element.is_bucket && element.key == stored::BUCKET) {
            let at = page.offset.saturating_add(crate::codec::to_u64(element.value_at));
            let at = at.saturating_add(crate::codec::to_u64(crate::bolt::bucket::BUCKET_HEADER));
            let inline = element.value.get(crate::bolt::bucket::BUCKET_HEADER..).unwrap_or_default();
            if let (None, Ok(page)) = (top.keys, Page::parse_inline(page.id, at, inline)) {
                self.rows.take_inline(&page, 0, Standing::Tree);
            }
        }
    }

    /// Gives what is lost there.
    fn met(&mut self, found: &FoundPages<'_>, file: u8, standing: Standing, met: &Met<'_>) -> Vec<Hole> {
        let fate = |id: Pgid, offset: Option<u64>, kind: &'static str| PageFate {
            page: id.0,
            offset,
            kind,
            file,
            in_place: offset.is_some_and(|offset| found.is_in_place(id, offset)),
            reached_by: reached_by(standing),
            versions: 0,
            broken: 0,
        };
        match met {
            Met::Leaf { pages, lower, upper } => {
                let page = pages.first().map(|page| page.id);
                let broken = self.rows.take((pages, file), standing, (*lower, *upper));
                broken.iter().map(|(from, to)| Hole::of(page, Some(from), to.as_deref())).collect()
            }
            Met::Branch(page) => {
                self.fates.push(fate(page.id, Some(page.offset), "branch"));
                Vec::new()
            }
            Met::Hole { page, lower, upper } => {
                if standing == Standing::Tree {
                    self.fates.extend(page.map(|page| fate(page, None, "lost")));
                }
                vec![Hole::of(*page, *lower, *upper)]
            }
        }
    }

    /// What became of every page.
    pub fn fates<'g>(&'g self, files: &'g [FoundPages<'_>]) -> impl Iterator<Item = PageFate> + 'g {
        let leaves = self.rows.leaves.iter().map(|leaf| PageFate {
            page: leaf.id.0,
            offset: Some(leaf.offset),
            kind: "leaf",
            file: leaf.file,
            in_place: files
                .get(usize::from(leaf.file))
                .is_some_and(|found| found.is_in_place(leaf.id, leaf.offset)),
            reached_by: reached_by(leaf.standing),
            versions: leaf.found,
            broken: leaf.broken,
        });
        leaves.chain(self.fates.iter().cloned())
    }
}

fn reached_by(standing: Standing) -> &'static str {
    match standing {
        Standing::Tree => "tree",
        Standing::SameTree => "other tree",
        Standing::Elsewhere => "nothing",
    }
}
