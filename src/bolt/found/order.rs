//! Pages that changed places, put back in order.
//!
//! Leaf, branch, freelist and meta pages carry their number. What is behind the first page of a run carries none: it is
//! taken to belong where the pages around it belong, or where it lies if no other page belongs there, or where that one
//! lies that took its place. That is a guess, which nothing but a digest of the whole can prove.

use super::{FoundPages, HEAD, begins_page, sound_meta};
use crate::bolt::PageKind;
use crate::bolt::page::Header;
use crate::codec::{to_u64, to_usize};
use crate::io::Window;

/// A page with a number: where it lies, which one it is, and how many without one belong behind it.
#[derive(Debug, Clone, Copy)]
struct Near {
    place: usize,
    page: usize,
    overflow: usize,
}

impl Near {
    /// Which page lies at `place`, if it moved with this one.
    fn beside(self, place: usize) -> Option<usize> {
        place.checked_add(self.page)?.checked_sub(self.place)
    }

    /// The same, of what is behind it and belongs to it.
    fn behind(self, place: usize) -> Option<usize> {
        self.beside(place).filter(|page| page.saturating_sub(self.page) <= self.overflow)
    }
}

/// Which of two guesses comes first for a page without a number, where those around it disagree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guess {
    /// It lies where it belongs: single pages changed places.
    Stayed,
    /// It moved with the one before it, or the one behind it: the pieces were put together in another order.
    Moved,
}

/// Where each page of a database lies in a file that begins with page 0, all of them there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// By the page that belongs there: the place that it is taken from, in pages.
    pub places: Vec<usize>,
    /// Those of the pages above that carry no number.
    pub loose: Vec<usize>,
}

impl Order {
    /// How many pages lie elsewhere.
    #[must_use]
    pub fn moved(&self) -> usize {
        self.places.iter().enumerate().filter(|(page, place)| page != *place).count()
    }
}

/// The numbers of pages by their places, and the other way around.
struct Numbered {
    page_at: Vec<Option<usize>>,
    place_of: Vec<Option<usize>>,
    overflow: Vec<usize>,
}

impl FoundPages<'_> {
    /// An order of the first `pages` pages of the file; `None` if two carry one number, a meta page is not there, or
    /// nothing is out of place.
    #[must_use]
    pub fn order(&self, pages: u64, guess: Guess) -> Option<Order> {
        let mut order = self.numbered(pages)?;
        let numbers = order.page_at.clone();
        order.take_around(&numbers, guess, true);
        order.take_around(&numbers, guess, false);
        order.exchange();
        let places: Option<Vec<usize>> = order.place_of.into_iter().collect();
        let places = places?;
        let loose = places.iter().enumerate().filter(|(_, place)| numbers.get(**place) == Some(&None));
        let loose = loose.map(|(page, _)| page).collect();
        Some(Order { places, loose }).filter(|order| order.moved() > 0)
    }

    fn numbered(&self, pages: u64) -> Option<Numbered> {
        let size = self.layout.page_size;
        let fits = pages.checked_mul(size).is_some_and(|bytes| bytes <= self.source.len());
        let count = to_usize(pages);
        let empty = || vec![None; if fits { count } else { 0 }];
        let mut order = Numbered { page_at: empty(), place_of: empty(), overflow: Vec::new() };
        let mut window = Window::new();
        for place in 0..order.page_at.len() {
            let head = window.get(self.source, to_u64(place).saturating_mul(size), HEAD).ok()?;
            let number = number(head).filter(|(page, _)| *page < pages);
            order.overflow.push(number.map_or(0, |(_, overflow)| overflow));
            let Some(page) = number.map(|(page, _)| to_usize(page)) else { continue };
            if order.place_of.get(page)?.is_some() {
                return None;
            }
            order.join(page, place);
        }
        let metas = order.place_of.get(..2)?;
        metas.iter().all(Option::is_some).then_some(order)
    }
}

impl Numbered {
    fn join(&mut self, page: usize, place: usize) {
        if let (Some(at), Some(of)) = (self.page_at.get_mut(place), self.place_of.get_mut(page)) {
            (*at, *of) = (Some(page), Some(place));
        }
    }

    fn is_free(&self, page: usize) -> bool {
        self.place_of.get(page) == Some(&None)
    }

    /// Takes pages without a number by those around them that have one: those first that these agree about.
    fn take_around(&mut self, numbers: &[Option<usize>], guess: Guess, agreed: bool) {
        let near = |order: &Self, place: usize| {
            let page = numbers.get(place).copied().flatten()?;
            Some(Near { place, page, overflow: order.overflow.get(place).copied().unwrap_or(0) })
        };
        let (mut before, mut from) = (None, 0);
        while from < numbers.len() {
            if let Some(numbered) = near(self, from) {
                before = Some(numbered);
                from = from.saturating_add(1);
                continue;
            }
            let to = (from..numbers.len()).find(|place| near(self, *place).is_some());
            let after = to.and_then(|place| near(self, place));
            let to = to.unwrap_or(numbers.len());
            for place in from..to {
                self.take_one(place, (before, after), guess, agreed);
            }
            from = to;
        }
    }

    fn take_one(
        &mut self,
        place: usize,
        (before, after): (Option<Near>, Option<Near>),
        guess: Guess,
        agreed: bool,
    ) {
        let beside = before.and_then(|near| near.beside(place));
        let forward = before.and_then(|near| near.behind(place));
        let backward = after.and_then(|near| near.beside(place));
        let candidates = match guess {
            _ if agreed && beside == backward => [beside, None, None],
            _ if agreed => [None; 3],
            Guess::Stayed => [Some(place), forward, backward],
            Guess::Moved => [forward, backward, Some(place)],
        };
        if self.page_at.get(place) != Some(&None) {
            return;
        }
        if let Some(page) = candidates.into_iter().flatten().find(|page| self.is_free(*page)) {
            self.join(page, place);
        }
    }

    /// The rest: each is where the page belongs that lies in its place, or where the one belongs that lies there.
    fn exchange(&mut self) {
        let open: Vec<usize> = (0..self.place_of.len()).filter(|page| self.is_free(*page)).collect();
        for page in open {
            let mut place = page;
            for _ in 0..self.page_at.len() {
                match self.page_at.get(place) {
                    Some(Some(next)) => place = *next,
                    Some(None) => {
                        self.join(page, place);
                        break;
                    }
                    None => break,
                }
            }
        }
    }
}

/// The number of the page that begins here, if it carries one, and how many belong to it.
fn number(head: &[u8]) -> Option<(u64, usize)> {
    if let Some(meta) = sound_meta(head, 0) {
        return Some((meta.id.0, 0));
    }
    let header = begins_page(head).or_else(|| {
        let header = Header::parse(head).filter(|header| header.id.0 >= 2)?;
        match PageKind::from_flags(header.flags)? {
            PageKind::Freelist => Some(header),
            // The only page of a bucket may be empty.
            PageKind::Leaf if header.count == 0 && header.overflow == 0 => Some(header),
            _ => None,
        }
    })?;
    Some((header.id.0, usize::try_from(header.overflow).unwrap_or(usize::MAX)))
}
