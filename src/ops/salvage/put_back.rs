//! A snapshot file whose pages changed places: put back in order, if the SHA-256 at its end says that it is the order.

use sha2::{Digest, Sha256};

use super::report::PageFate;
use crate::bolt::found::{FoundPages, Guess, Order};
use crate::codec::{slice_at, to_u64, to_usize};
use crate::io::Source;
use crate::snap::backup::Trailer;
use crate::store::digest::sha256;
use crate::words::monitor::Monitor;

/// Longer files are not searched for an order other than those guessed first.
const SEARCHED: u64 = 256 << 20;
/// Bytes that are hashed in that search.
const HASHED: u64 = 4 << 30;

/// A file in order.
pub(super) struct PutBack {
    pub source: Source,
    /// Pages that were elsewhere.
    pub moved: u64,
    order: Order,
    page_size: u64,
}

impl PutBack {
    /// A page with the place where it was.
    pub fn told(&self, mut fate: PageFate) -> PageFate {
        let due = fate.offset.filter(|_| fate.file == 0);
        let page = due.and_then(|due| due.checked_div(self.page_size)).map(to_usize);
        if let Some(place) = page.and_then(|page| self.order.places.get(page)) {
            let was = to_u64(*place).saturating_mul(self.page_size);
            fate.in_place = fate.offset == Some(was);
            fate.offset = Some(was);
        }
        fate
    }
}

/// The file in the order of which the SHA-256 at its end is, if one is found. Every value is proven then.
pub(super) fn put_back(source: &Source, monitor: &dyn Monitor) -> Option<PutBack> {
    let Ok(Trailer::Present { digest, payload }) = Trailer::read(source, 0) else { return None };
    let found = FoundPages::search(source, monitor)?;
    let page_size = found.layout.page_size;
    let pages = payload.checked_div(page_size).filter(|pages| pages.saturating_mul(page_size) == payload)?;
    let guesses = [Guess::Stayed, Guess::Moved].map(|guess| found.order(pages, guess));
    let in_order = |order: &Order| reordered(source, order, page_size, payload);
    let proves = |order: &&Order| {
        sha256(&in_order(order), payload, monitor).is_ok_and(|sum| sum == digest) && !monitor.cancelled()
    };
    let mut guesses = guesses.into_iter().flatten();
    let first = guesses.next()?;
    let order = if proves(&&first) {
        first
    } else {
        let other = guesses.find(|order| *order != first && proves(&order));
        other.or_else(|| search(source, first, (page_size, payload), digest, monitor))?
    };
    Some(PutBack { source: in_order(&order), moved: to_u64(order.moved()), order, page_size })
}

/// The file with its pages in this order, the trailer behind them.
fn reordered(source: &Source, order: &Order, page_size: u64, payload: u64) -> Source {
    let pages = order.places.iter().map(|place| (to_u64(*place).saturating_mul(page_size), page_size));
    source.of_parts(pages.chain([(payload, source.len().saturating_sub(payload))]))
}

/// The order in which two pages without a number are the other way round, one of which is not where it lay: after two
/// exchanges a page lies where nothing tells that it does not belong there.
fn search(
    source: &Source,
    mut order: Order,
    (page_size, payload): (u64, u64),
    digest: [u8; 32],
    monitor: &dyn Monitor,
) -> Option<Order> {
    let bytes = reordered(source, &order, page_size, payload).read_all(SEARCHED).ok()?;
    let size = to_usize(page_size);
    let page = |place: usize| slice_at(&bytes, place.saturating_mul(size), size).unwrap_or_default();
    let moved = |page: usize| order.places.get(page) != Some(&page);
    let (mut before, mut hashed, mut left) = (Sha256::new(), 0, HASHED);
    for (at, one) in order.loose.iter().enumerate() {
        (hashed..*one).for_each(|at| before.update(page(at)));
        hashed = *one;
        for two in order.loose.iter().skip(at.saturating_add(1)) {
            if !(moved(*one) || moved(*two)) || page(*one) == page(*two) {
                continue;
            }
            let rest = order.places.len().saturating_sub(*one);
            left = left.checked_sub(to_u64(rest).saturating_mul(page_size))?;
            if monitor.cancelled() {
                return None;
            }
            let mut sum = before.clone();
            sum.update(page(*two));
            sum.update(slice_at(
                &bytes,
                one.saturating_add(1).saturating_mul(size),
                between(*one, *two, size),
            )?);
            sum.update(page(*one));
            let end = two.saturating_add(1).saturating_mul(size);
            sum.update(bytes.get(end..to_usize(payload))?);
            if sum.finalize().as_slice() == digest {
                order.places.swap(*one, *two);
                return Some(order);
            }
        }
    }
    None
}

/// Bytes between two pages.
fn between(one: usize, two: usize, size: usize) -> usize {
    two.saturating_sub(one).saturating_sub(1).saturating_mul(size)
}
