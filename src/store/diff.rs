//! What differs between two keyspaces: of two files, or of one at two revisions.
//!
//! Both are gone through in order of their keys, side by side; values are compared by a keyed 64-bit hash that the
//! walks take, so that no value is read twice. Each side has a third of the memory, and for many keys as much again.

use std::cmp::Ordering;
use std::hash::RandomState;
use std::ops::ControlFlow;

use crate::etcd::KeyRange;
use crate::store::View;
use crate::store::keys::KeyState;
use crate::words::error::Result;

/// What to compare.
#[derive(Debug, Clone)]
pub struct DiffOptions<'o> {
    /// Which keys.
    pub range: KeyRange<'o>,
    /// Keys that begin so are left out.
    pub ignore: Vec<&'o [u8]>,
    /// Compare values and leases only, not when and how often they were written: for keyspaces of different clusters.
    pub content_only: bool,
}

impl Default for DiffOptions<'_> {
    fn default() -> Self {
        DiffOptions { range: KeyRange::all(), ignore: Vec::new(), content_only: false }
    }
}

/// How a key differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DifferenceKind {
    /// It is live in the second only.
    Added,
    /// It is live in the first only.
    Removed,
    /// It was written again.
    Changed,
    /// It was deleted and created again: it is another generation.
    Recreated,
}

/// A key that differs.
#[derive(Debug, Clone, Copy)]
pub struct Difference<'d> {
    /// How.
    pub kind: DifferenceKind,
    /// The key.
    pub key: &'d [u8],
    /// What it is in the first, if it is live there.
    pub before: Option<&'d KeyState>,
    /// What it is in the second, if it is live there.
    pub after: Option<&'d KeyState>,
}

/// Hands out the keys that differ, in order, until `take` breaks off.
///
/// ```
/// # use std::{ops::ControlFlow, path::Path};
/// # use coldbolt::{io::Source, words::monitor::Quiet};
/// # use coldbolt::store::{Store, StoreOptions, diff::{DiffOptions, DifferenceKind, diff}};
/// # fn main() -> coldbolt::Result<()> {
/// let file = Source::open(Path::new("fixtures/etcd-3.7.1/snapshot.db"))?;
/// let store = Store::open(&file, &StoreOptions::default(), &Quiet)?;
/// let mut added = Vec::new();
/// diff(store.at(Some(90))?, store.at(Some(91))?, &DiffOptions::default(), &mut |difference| {
///     if difference.kind == DifferenceKind::Added {
///         added.push(difference.key.to_vec());
///     }
///     ControlFlow::Continue(())
/// })?;
/// assert_eq!(added, [b"/txn/a", b"/txn/b"]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::Damaged`](crate::Error::Damaged) when one of the two cannot be read.
pub fn diff(
    before: View<'_>,
    after: View<'_>,
    options: &DiffOptions<'_>,
    take: &mut dyn FnMut(Difference<'_>) -> ControlFlow<()>,
) -> Result<()> {
    let digests = RandomState::new();
    let (mut left, mut right) = (live(before, options, &digests), live(after, options, &digests));
    let (mut a, mut b) = (left.next().transpose()?, right.next().transpose()?);
    loop {
        let order = match (&a, &b) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => a.key.cmp(&b.key),
        };
        let (one, other) = (a.as_ref().filter(|_| order.is_le()), b.as_ref().filter(|_| order.is_ge()));
        if let Some(kind) = kind(one, other, options.content_only)
            && let Some(state) = one.or(other)
            && take(Difference { kind, key: &state.key, before: one, after: other }).is_break()
        {
            return Ok(());
        }
        if order.is_le() {
            a = left.next().transpose()?;
        }
        if order.is_ge() {
            b = right.next().transpose()?;
        }
    }
}

fn live<'a>(
    view: View<'a>,
    options: &'a DiffOptions<'a>,
    digests: &RandomState,
) -> impl Iterator<Item = Result<KeyState>> + use<'a> {
    let keys = view.keys(options.range.clone()).hashed(digests.clone(), 3);
    keys.filter(move |state| {
        state
            .as_ref()
            .map_or(true, |state| !options.ignore.iter().any(|prefix| state.key.starts_with(prefix)))
    })
}

fn kind(before: Option<&KeyState>, after: Option<&KeyState>, content_only: bool) -> Option<DifferenceKind> {
    let (a, b) = match (before, after) {
        (None, None) => return None,
        (None, Some(_)) => return Some(DifferenceKind::Added),
        (Some(_), None) => return Some(DifferenceKind::Removed),
        (Some(a), Some(b)) => (a, b),
    };
    let content = |state: &KeyState| (state.lease, state.value_len, state.digest);
    let written = |state: &KeyState| (state.create_revision, state.revision, state.version);
    if content(a) == content(b) && (content_only || written(a) == written(b)) {
        None
    } else if a.create_revision != b.create_revision && !content_only {
        Some(DifferenceKind::Recreated)
    } else {
        Some(DifferenceKind::Changed)
    }
}
