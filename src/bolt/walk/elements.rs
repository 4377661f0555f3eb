//! The rules that the elements of a page obey among themselves, and against what its parents say.

use super::bounds::Bounds;
use crate::bolt::limits::{ELEMENT, HEADER};
use crate::bolt::page::Budget;
use crate::bolt::{Bucket, LeafElement, Page, PageKind};
use crate::words::error::{Corrupt, show_bytes};
use crate::words::finding::Code;

/// Checks the elements of a page: keys ascending, elements inside the page and one behind the other, within what the
/// parents say. Those of a leaf that can be read are added to `readable`, as far as the [`Budget`] goes.
pub(super) fn check<'p>(
    page: &Page<'p>,
    inline: bool,
    bounds: Bounds<'_>,
    readable: &mut Vec<LeafElement<'p>>,
    fault: &mut dyn FnMut(Corrupt),
) {
    let mut check = Check::new(page, bounds);
    for index in 0..page.count {
        let element = match page.kind {
            PageKind::Leaf => page.leaf(index).map(Element::of_leaf),
            _ => page.branch(index).map(|e| Element {
                index,
                key: e.key,
                key_at: e.key_at,
                value: 0,
                leaf: None,
            }),
        };
        let element = match element {
            Ok(element) => element,
            Err(corrupt) => {
                fault(*corrupt);
                check.due = None;
                continue;
            }
        };
        if let Some(corrupt) = element.leaf.and_then(|leaf| Bucket::check_length(page, &leaf).err()) {
            fault(*corrupt);
        }
        check.place(&element, fault);
        if !check.budget.spend(element.len()) {
            let what = format!(
                "elements overlap: those up to here claim more than twice the page's {} bytes",
                page.bytes.len()
            );
            return fault(*Corrupt::new(Code::ElementGap, page.element_at(index).key(element.key), what));
        }
        check.order(&element, fault);
        if let Some(leaf) = element.leaf {
            readable.push(leaf);
        }
    }
    if inline {
        check.end(fault);
    }
}

/// An element of a leaf or a branch.
struct Element<'p> {
    index: usize,
    key: &'p [u8],
    key_at: usize,
    /// Length of the value.
    value: usize,
    leaf: Option<LeafElement<'p>>,
}

impl<'p> Element<'p> {
    fn of_leaf(leaf: LeafElement<'p>) -> Element<'p> {
        let LeafElement { index, key, value, value_at, .. } = leaf;
        let key_at = value_at.saturating_sub(key.len());
        Element { index, key, key_at, value: value.len(), leaf: Some(leaf) }
    }

    fn len(&self) -> usize {
        self.key.len().saturating_add(self.value)
    }
}

struct Check<'c, 'p> {
    page: &'c Page<'p>,
    bounds: Bounds<'c>,
    /// Where the next key is due. Go writes the data without gaps, in the order of the elements (`node.write`): a
    /// length or a count that was altered shows.
    due: Option<usize>,
    before: Option<&'p [u8]>,
    budget: Budget,
}

impl<'c, 'p> Check<'c, 'p> {
    fn new(page: &'c Page<'p>, bounds: Bounds<'c>) -> Check<'c, 'p> {
        let due = Some(page.count.saturating_mul(ELEMENT).saturating_add(HEADER));
        Check { page, bounds, due, before: None, budget: page.budget() }
    }

    /// Whether it lies behind the one before it.
    fn place(&mut self, element: &Element<'p>, fault: &mut dyn FnMut(Corrupt)) {
        let key_at = element.key_at;
        if let Some(due) = self.due
            && due != key_at
        {
            let what =
                format!("key lies at byte {key_at} of the page, what comes before it ends at byte {due}");
            let at = self.page.element_at(element.index).key(element.key);
            fault(*Corrupt::new(Code::ElementGap, at, what));
        }
        self.due = Some(key_at.saturating_add(element.len()));
    }

    /// Whether its key is past the one before it, and within what the parents say.
    fn order(&mut self, element: &Element<'p>, fault: &mut dyn FnMut(Corrupt)) {
        let (page, key) = (self.page, element.key);
        let at = || page.element_at(element.index).key(key);
        if let Some(before) = self.before
            && key <= before
        {
            let what = format!("key is not greater than the one before it, {}", show_bytes(before));
            fault(*Corrupt::new(Code::KeyOrder, at(), what));
        }
        if let Some(lower) = self.bounds.lower.filter(|_| element.index == 0)
            && key != lower
        {
            let (code, word) =
                if key < lower { (Code::KeyOrder, "less than") } else { (Code::BranchKey, "not") };
            let what = format!(
                "first key of the page is {word} the key its parent has for it, {}",
                show_bytes(lower)
            );
            fault(*Corrupt::new(code, at(), what));
        }
        if let Some(upper) = self.bounds.upper
            && key >= upper
        {
            let what = format!("key is not less than the parent's next key, {}", show_bytes(upper));
            fault(*Corrupt::new(Code::KeyOrder, at(), what));
        }
        self.before = Some(key);
    }

    /// The page in an inline bucket ends with its last element.
    fn end(&self, fault: &mut dyn FnMut(Corrupt)) {
        let len = self.page.bytes.len();
        if let Some(due) = self.due
            && due != len
        {
            let what =
                format!("the elements end at byte {due} of the inline page, its bucket's value at {len}");
            fault(*Corrupt::new(Code::ElementGap, self.page.at(), what));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::bounds::NamedBy;
    use super::*;
    use crate::bolt::Pgid;

    #[test]
    fn elements_of_a_leaf_that_overlap_are_handed_out_up_to_twice_the_page() {
        // Each is the last 600 bytes of the page: three are 1800 of at most 2048 bytes.
        let mut page = vec![0; 1024];
        (page[8], page[10]) = (2, 9);
        for index in 0..9u32 {
            let words = [0, 1024 - 600 - 16 - 16 * index, 100, 500];
            let at = 16 + 16 * index as usize;
            page[at..at + 16].copy_from_slice(words.map(u32::to_le_bytes).as_flattened());
        }
        let page = Page::parse(Pgid(0), 0, &page).unwrap();
        assert!((0..9).all(|index| page.leaf(index).is_ok()));
        let bounds = Bounds { lower: None, upper: None, named_by: NamedBy::Meta };
        let (mut readable, mut last) = (Vec::new(), None);
        check(&page, false, bounds, &mut readable, &mut |corrupt| last = Some(corrupt));
        assert_eq!(readable.iter().map(|element| element.index).collect::<Vec<_>>(), [0, 1, 2]);
        let last = last.unwrap();
        assert_eq!((last.code, last.at.element), (Code::ElementGap, Some(3)));
    }
}
