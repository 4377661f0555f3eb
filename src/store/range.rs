//! `Range` as etcd answers it: filters, order, limit, count.
//!
//! Source: `server/etcdserver/txn/txn.go Range, txn/range.go @ v3.6, v3.7`, `server/storage/mvcc/kvstore_txn.go
//! rangeKeys`.

use std::cmp::Ordering;
use std::ops::ControlFlow;

use crate::etcd::{KeyRange, KeyValue, Revision};
use crate::io::Window;
use crate::store::keys::KeyState;
use crate::store::{Position, View};
use crate::words::error::Result;

/// In which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Nothing was said: by key, or ascending by what else was asked for.
    #[default]
    None,
    /// The least first.
    Ascend,
    /// The greatest first.
    Descend,
}

/// By what. Keys that are equal in it come in the order of their names; etcd promises nothing there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SortBy {
    /// The key.
    #[default]
    Key,
    /// The version.
    Version,
    /// The create revision.
    Create,
    /// The mod revision.
    Modify,
    /// The value, byte by byte.
    Value,
}

/// What to ask, as etcd's `RangeRequest`. A bound of 0 is none.
#[derive(Debug, Clone)]
pub struct RangeRequest<'r> {
    /// Which keys.
    pub range: KeyRange<'r>,
    /// At most so many; 0 is all.
    pub limit: u64,
    /// In which order.
    pub order: Order,
    /// By what.
    pub sort_by: SortBy,
    /// Leave out those modified before.
    pub min_mod_revision: i64,
    /// Leave out those modified after.
    pub max_mod_revision: i64,
    /// Leave out those created before.
    pub min_create_revision: i64,
    /// Leave out those created after.
    pub max_create_revision: i64,
    /// Do not read values: they are handed out empty.
    pub keys_only: bool,
    /// Only count.
    pub count_only: bool,
}

impl<'r> RangeRequest<'r> {
    /// Everything in the range, in order.
    #[must_use]
    pub fn new(range: KeyRange<'r>) -> RangeRequest<'r> {
        RangeRequest {
            range,
            limit: 0,
            order: Order::None,
            sort_by: SortBy::Key,
            min_mod_revision: 0,
            max_mod_revision: 0,
            min_create_revision: 0,
            max_create_revision: 0,
            keys_only: false,
            count_only: false,
        }
    }

    fn filters(&self) -> bool {
        [self.min_mod_revision, self.max_mod_revision, self.min_create_revision, self.max_create_revision]
            .iter()
            .any(|bound| *bound != 0)
    }

    fn passes(&self, create: i64, modified: i64) -> bool {
        let within = |n: i64, min: i64, max: i64| (min == 0 || n >= min) && (max == 0 || n <= max);
        within(modified, self.min_mod_revision, self.max_mod_revision)
            && within(create, self.min_create_revision, self.max_create_revision)
    }
}

/// The rest of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RangeTotals {
    /// Live keys in the range, whatever was filtered or limited.
    pub count: u64,
    /// Whether the limit left some out.
    pub more: bool,
}

/// A live key that was found, in 40 bytes.
#[derive(Debug, Clone, Copy)]
struct Found {
    by: i64,
    revision: Revision,
    position: Position,
}

type Take<'t> = &'t mut dyn FnMut(KeyValue<'_>) -> ControlFlow<()>;

impl View<'_> {
    /// Answers as etcd does: `take` gets the keys in order, each with its value, until it breaks off.
    ///
    /// ```
    /// # use std::{ops::ControlFlow, path::Path};
    /// # use coldbolt::{io::Source, etcd::KeyRange, words::monitor::Quiet};
    /// # use coldbolt::store::{Order, RangeRequest, SortBy, Store, StoreOptions};
    /// # fn main() -> coldbolt::Result<()> {
    /// let file = Source::open(Path::new("fixtures/etcd-3.7.1/snapshot.db"))?;
    /// let store = Store::open(&file, &StoreOptions::default(), &Quiet)?;
    /// let all = RangeRequest::new(KeyRange::all());
    /// let newest = RangeRequest { limit: 1, order: Order::Descend, sort_by: SortBy::Modify, ..all };
    /// let totals = store.at(None)?.range(&newest, &mut |kv| {
    ///     assert_eq!(kv.mod_revision, 106);
    ///     ControlFlow::Continue(())
    /// })?;
    /// assert!(totals.more && totals.count == 60);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) when a page that may hold one of the keys cannot be read.
    pub fn range(&self, request: &RangeRequest<'_>, take: Take<'_>) -> Result<RangeTotals> {
        if let Some(key) = request.range.as_single() {
            let Some(kv) = self.get(key)? else { return Ok(RangeTotals::default()) };
            if !request.count_only && request.passes(kv.create_revision, kv.mod_revision) {
                let (create_revision, mod_revision, version, lease) =
                    (kv.create_revision, kv.mod_revision, kv.version, kv.lease.get());
                let value: &[u8] = if request.keys_only { &[] } else { &kv.value };
                let _ = take(KeyValue { key: &kv.key, create_revision, mod_revision, version, value, lease });
            }
            return Ok(RangeTotals { count: 1, more: false });
        }
        let in_order = request.sort_by == SortBy::Key && request.order != Order::Descend;
        let mut totals = RangeTotals::default();
        let (mut found, mut passed, mut stopped) = (Vec::new(), 0u64, false);
        let mut window = Window::scattered();
        // Without an order etcd takes one more than the limit from the keys in order, and sorts these.
        let cut = request.order == Order::None && !request.filters() && request.limit > 0;
        for state in self.keys(request.range.clone()) {
            let state = state?;
            totals.count = totals.count.saturating_add(1);
            if request.count_only || stopped || !request.passes(state.create_revision, state.revision.main) {
                continue;
            }
            passed = passed.saturating_add(1);
            if in_order {
                if request.limit == 0 || passed <= request.limit {
                    stopped = self.hand(request, &state, &mut window, take)?.is_break();
                }
            } else if !cut || passed <= request.limit.saturating_add(1) {
                found.push(Found {
                    by: by(request.sort_by, &state),
                    revision: state.revision,
                    position: state.position,
                });
            }
        }
        totals.more = request.limit > 0 && passed > request.limit;
        if !in_order {
            let found = self.sort(request, found)?;
            let limit = if request.limit == 0 { u64::MAX } else { request.limit };
            for (found, _) in found.iter().zip(0..limit) {
                let flow = self.read_with(found.position, found.revision, &mut window, |kv| {
                    take(without_value(kv, request.keys_only))
                })?;
                if flow.is_break() {
                    break;
                }
            }
        }
        Ok(totals)
    }

    /// Hands out a key; its value is read only if it is wanted.
    fn hand(
        &self,
        request: &RangeRequest<'_>,
        state: &KeyState,
        window: &mut Window,
        take: Take<'_>,
    ) -> Result<ControlFlow<()>> {
        if request.keys_only {
            let KeyState { key, revision, create_revision, version, lease, .. } = state;
            let (create_revision, version, lease) = (*create_revision, *version, lease.get());
            return Ok(take(KeyValue {
                key,
                create_revision,
                mod_revision: revision.main,
                version,
                value: &[],
                lease,
            }));
        }
        self.read_with(state.position, state.revision, window, take)
    }

    /// Sorts what is in order of the keys; equals stay so.
    fn sort(&self, request: &RangeRequest<'_>, found: Vec<Found>) -> Result<Vec<Found>> {
        let descend = request.order == Order::Descend;
        let mut found = found;
        match request.sort_by {
            SortBy::Key if descend => found.reverse(),
            SortBy::Key => {}
            SortBy::Value => {
                let mut windows = [Window::scattered(), Window::scattered()];
                let mut compare = |a: &Found, b: &Found| {
                    let [one, other] = &mut windows;
                    let order = self.read_with(a.position, a.revision, one, |a| {
                        self.read_with(b.position, b.revision, other, |b| a.value.cmp(b.value))
                    })??;
                    Ok(if descend { order.reverse() } else { order })
                };
                found = merge_sort(found, &mut compare)?;
            }
            _ if descend => found.sort_by_key(|f| std::cmp::Reverse(f.by)),
            _ => found.sort_by_key(|f| f.by),
        }
        Ok(found)
    }
}

/// Sorts by a comparison that may fail; equals keep their order.
fn merge_sort(
    mut items: Vec<Found>,
    compare: &mut dyn FnMut(&Found, &Found) -> Result<Ordering>,
) -> Result<Vec<Found>> {
    if items.len() < 2 {
        return Ok(items);
    }
    let right = merge_sort(items.split_off(items.len() / 2), compare)?;
    let left = merge_sort(items, compare)?;
    let mut merged = Vec::with_capacity(left.len().saturating_add(right.len()));
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        let next = if compare(b, a)? == Ordering::Less { right.next() } else { left.next() };
        merged.extend(next);
    }
    merged.extend(left.chain(right));
    Ok(merged)
}

fn by(sort_by: SortBy, state: &KeyState) -> i64 {
    match sort_by {
        SortBy::Version => state.version,
        SortBy::Create => state.create_revision,
        SortBy::Modify => state.revision.main,
        SortBy::Key | SortBy::Value => 0,
    }
}

fn without_value(kv: KeyValue<'_>, keys_only: bool) -> KeyValue<'_> {
    if keys_only { KeyValue { value: &[], ..kv } } else { kv }
}
