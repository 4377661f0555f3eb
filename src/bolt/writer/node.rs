//! The pages that are still open: leaves and branches.

use crate::bolt::limits::{ELEMENT, HEADER, MAX_PAGE_SIZE};

/// The most pages of a leaf with more than one item.
pub(super) const LONGEST_SHARED_RUN: usize = 4;

// A page has at most 65534 elements (`node.write` panics at 65535). The smallest element is 17 bytes, so size alone
// keeps us below.
#[allow(clippy::as_conversions, clippy::arithmetic_side_effects, reason = "evaluated at compile time")]
const _: () = assert!(MAX_PAGE_SIZE as usize * LONGEST_SHARED_RUN / (ELEMENT + 1) < 65_535);

// Memory that a single huge value took is given back.
const KEPT: usize = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PageKind {
    Branch,
    Leaf,
    Meta,
    FreelistPage,
}

/// The header of a page with `overflow` more pages behind it.
pub(super) fn header(id: u64, kind: PageKind, count: usize, overflow: usize) -> [u8; HEADER] {
    let flags: u16 = match kind {
        PageKind::Branch => 0x01,
        PageKind::Leaf => 0x02,
        PageKind::Meta => 0x04,
        PageKind::FreelistPage => 0x10,
    };
    let [a, b, c, d, e, f, g, h] = id.to_le_bytes();
    let [i, j] = flags.to_le_bytes();
    let [k, l] = u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes();
    let [m, n, o, p] = to_u32(overflow).to_le_bytes();
    [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
}

/// A length inside one page run. The longest run is one value and one key, which is below 2^32.
fn to_u32(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[derive(Debug)]
struct Element {
    key: usize,
    value: usize,
    /// A leaf's flags or a branch's child.
    tag: u64,
}

/// The elements of a page, in order, and their keys and values back to back.
#[derive(Debug, Default)]
pub(super) struct Node {
    elements: Vec<Element>,
    data: Vec<u8>,
}

impl Node {
    pub(super) fn len(&self) -> usize {
        self.elements.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    pub(super) fn push(&mut self, key: &[u8], value: &[u8], tag: u64) {
        self.elements.push(Element { key: key.len(), value: value.len(), tag });
        self.data.extend_from_slice(key);
        self.data.extend_from_slice(value);
    }

    pub(super) fn clear(&mut self) {
        self.elements.clear();
        self.data.clear();
        self.data.shrink_to(KEPT);
    }

    /// Removes the first `count` elements.
    pub(super) fn drop_front(&mut self, count: usize) {
        let bytes = self.data(count).len();
        self.data.drain(..bytes);
        self.elements.drain(..count.min(self.elements.len()));
    }

    /// The first element's key; empty if there is none.
    pub(super) fn first_key(&self) -> &[u8] {
        self.elements.first().and_then(|first| self.data.get(..first.key)).unwrap_or_default()
    }

    /// The keys and values of the first `count` elements.
    pub(super) fn data(&self, count: usize) -> &[u8] {
        if count >= self.elements.len() {
            return &self.data;
        }
        let len = self.elements.iter().take(count).map(Element::data).fold(0, usize::saturating_add);
        self.data.get(..len).unwrap_or(&self.data)
    }

    /// The bytes of a page with the first `count` elements.
    pub(super) fn size_of(&self, count: usize) -> usize {
        size(count, self.data(count).len())
    }

    /// The bytes of a page with all elements.
    pub(super) fn size(&self) -> usize {
        size(self.elements.len(), self.data.len())
    }

    /// The bytes of a page with all elements and one more.
    pub(super) fn size_with(&self, key: &[u8], value: &[u8]) -> usize {
        self.size().saturating_add(ELEMENT).saturating_add(key.len()).saturating_add(value.len())
    }

    /// Appends header and elements of a page with the first `count` elements to `out`; the data follow.
    pub(super) fn head(&self, kind: PageKind, id: u64, count: usize, overflow: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(&header(id, kind, count, overflow));
        // From the first element to its key are all the elements; the distance shrinks by one element and grows by
        // the data before.
        let mut pos = count.saturating_mul(ELEMENT);
        for element in self.elements.iter().take(count) {
            let (at, key) = (to_u32(pos).to_le_bytes(), to_u32(element.key).to_le_bytes());
            if kind == PageKind::Branch {
                out.extend_from_slice(&at);
                out.extend_from_slice(&key);
                out.extend_from_slice(&element.tag.to_le_bytes());
            } else {
                out.extend_from_slice(&u32::try_from(element.tag).unwrap_or(0).to_le_bytes());
                out.extend_from_slice(&at);
                out.extend_from_slice(&key);
                out.extend_from_slice(&to_u32(element.value).to_le_bytes());
            }
            pos = pos.saturating_sub(ELEMENT).saturating_add(element.data());
        }
    }
}

impl Element {
    fn data(&self) -> usize {
        self.key.saturating_add(self.value)
    }
}

fn size(count: usize, data: usize) -> usize {
    HEADER.saturating_add(count.saturating_mul(ELEMENT)).saturating_add(data)
}
