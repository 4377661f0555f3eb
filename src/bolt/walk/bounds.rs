//! What leads to a page, and what its parents say about its keys.

use super::visitor::Shared;
use crate::bolt::{Bucket, Db, Page, Pgid};
use crate::words::error::{At, Corrupt};
use crate::words::finding::Code;

/// A page whose subtree is still to be walked, and what its parents say about its keys.
#[derive(Debug, Clone)]
pub(super) struct Subtree {
    pub id: Pgid,
    pub depth: usize,
    pub lower: Option<Vec<u8>>,
    pub upper: Option<Vec<u8>>,
    pub named_by: NamedBy,
}

impl Subtree {
    pub fn bounds(&self) -> Bounds<'_> {
        Bounds { lower: self.lower.as_deref(), upper: self.upper.as_deref(), named_by: self.named_by }
    }
}

/// What leads to a page: half of what there is to say about a page number that is wrong.
#[derive(Debug, Clone, Copy)]
pub(super) enum NamedBy {
    Meta,
    Bucket(Pgid),
    Branch { page: Pgid, offset: u64, element: usize },
}

impl NamedBy {
    pub fn of(bucket: &Bucket<'_, '_>) -> NamedBy {
        if bucket.name.is_empty() { NamedBy::Meta } else { NamedBy::Bucket(bucket.page) }
    }

    /// A page that cannot be there is a fault of whatever names it; for any other it is told how it was reached.
    pub fn tell_how_reached(self, db: &Db<'_>, corrupt: &mut Corrupt) {
        if corrupt.code == Code::PageOutOfRange && corrupt.at.offset.is_none() {
            corrupt.at = match self {
                NamedBy::Meta => {
                    At::page(u64::from(db.meta_number()), db.offset_of(Pgid(u64::from(db.meta_number()))))
                }
                NamedBy::Bucket(page) => At::page(page.0, db.offset_of(page)),
                NamedBy::Branch { page, offset, element } => At::page(page.0, offset).element(element),
            };
            return;
        }
        let from = match self {
            NamedBy::Meta => format!("meta page {}", db.meta_number()),
            NamedBy::Bucket(page) => format!("the bucket's entry in page {page}"),
            NamedBy::Branch { page, element, .. } => format!("page {page}, element {element}"),
        };
        corrupt.detail = format!("{} ({from} leads here)", corrupt.detail);
    }
}

/// What a page's parents say about its keys: the first one equals `lower`, all are less than `upper`.
#[derive(Clone, Copy)]
pub(super) struct Bounds<'b> {
    pub lower: Option<&'b [u8]>,
    pub upper: Option<&'b [u8]>,
    pub named_by: NamedBy,
}

/// The children of a branch page that can be read, with what this page and its parents say about their keys.
///
/// A key that is out of order among its neighbours was reported as such: it says nothing about the children.
pub(super) fn children<'p>(
    page: &Page<'p>,
    bounds: Bounds<'p>,
    shared: Shared<'p>,
) -> impl Iterator<Item = (Pgid, Bounds<'p>)> {
    let page = *page;
    let Shared { from, until, .. } = shared;
    let within = move |key: &[u8]| until.is_none_or(|until| key < until);
    let reaches = move |upper: Option<&[u8]>| from.is_none_or(|from| upper.is_none_or(|upper| upper > from));
    let keys: Vec<Option<&[u8]>> =
        (0..page.count).map(|index| page.branch(index).ok().map(|element| element.key)).collect();
    let key = |index: usize| keys.get(index).copied().flatten();
    let trusted = |index: usize| {
        let own = key(index)?;
        let after = index.checked_sub(1).and_then(key).is_none_or(|before| before < own);
        let before = key(index.saturating_add(1)).or(bounds.upper).is_none_or(|next| own < next);
        (after && before).then_some(own)
    };
    let lowers: Vec<Option<&[u8]>> = (0..page.count).map(trusted).collect();
    let lower = move |index: usize| lowers.get(index).copied().flatten();
    // From the last to the first, so that a page of nothing but wrong keys costs no more than others.
    let mut uppers: Vec<Option<&[u8]>> = (0..page.count)
        .rev()
        .scan(bounds.upper, |next, index| {
            let upper = *next;
            *next = lower(index).or(upper);
            Some(upper)
        })
        .collect();
    uppers.reverse();
    page.branches().filter(move |element| within(element.key)).filter_map(move |element| {
        let index = element.index;
        let lower = bounds.lower.filter(|_| index == 0).or_else(|| lower(index));
        let upper = uppers.get(index).copied().flatten();
        let offset = page.element_at(index).offset.unwrap_or(page.offset);
        let named_by = NamedBy::Branch { page: page.id, offset, element: index };
        reaches(upper).then_some((element.child, Bounds { lower, upper, named_by }))
    })
}
