//! Elements of pages: their bounds, and what is handed out of those that lie.

use super::*;
use crate::bolt::limits::MAX_ITEM;

/// One leaf element of a page so long that only its first bytes are ever touched.
fn leaf(page: &mut [u8], pos: u32, ksize: u32, vsize: u32) -> Result<(), Code> {
    page[8..12].copy_from_slice(&[2, 0, 1, 0]);
    for (at, n) in [(20, pos), (24, ksize), (28, vsize)] {
        page[at..at + 4].copy_from_slice(&n.to_le_bytes());
    }
    let page = Page::parse(Pgid(0), 0, page).unwrap();
    page.leaf(0).map(|_| ()).map_err(|corrupt| corrupt.code)
}

#[test]
fn an_element_past_what_go_can_address_is_out_of_bounds_though_the_page_has_room_for_it() {
    let mut page = vec![0; 0x8000_0100];
    // What the writer takes is what can be read.
    let longest = u32::try_from(MAX_ITEM).unwrap();
    assert_eq!(leaf(&mut page, 16, 1, longest - 1), Ok(()));
    assert_eq!(leaf(&mut page, 16, 1, longest), Err(Code::ElementBounds));
    assert_eq!(leaf(&mut page, 0x7fff_fffe, 1, 0), Ok(()));
    assert_eq!(leaf(&mut page, 0x7fff_ffff, 1, 0), Err(Code::ElementBounds));
}

#[test]
fn a_key_begins_after_the_last_element() {
    let mut page = vec![0; 4096];
    assert_eq!(leaf(&mut page, 16, 1, 0), Ok(()));
    assert_eq!(leaf(&mut page, 15, 1, 0), Err(Code::ElementBounds));
}

#[test]
fn kinds_have_the_flags_and_words_of_bbolt() {
    let words: Vec<_> =
        (0..=0x20).filter_map(|flags| Some((flags, PageKind::from_flags(flags)?.name()))).collect();
    assert_eq!(words, [(1, "branch"), (2, "leaf"), (4, "meta"), (0x10, "freelist")]);
}

/// A page of 1024 bytes whose elements have these fields.
fn of(flags: u8, elements: &[[u32; 4]]) -> Vec<u8> {
    let mut page = vec![0; 1024];
    page[8] = flags;
    page[10] = u8::try_from(elements.len()).unwrap();
    let words = elements.iter().flatten().flat_map(|word| word.to_le_bytes());
    words.enumerate().for_each(|(at, byte)| page[16 + at] = byte);
    page
}

#[test]
fn elements_that_overlap_are_handed_out_up_to_twice_the_page() {
    // Each is the last 600 bytes of the page: three are 1800 of at most 2048 bytes.
    let pos = |i: u32| 1024 - 600 - 16 - 16 * i;
    let branch = of(1, &(0..9).map(|i| [pos(i), 600, 7, 0]).collect::<Vec<_>>());
    let branch = Page::parse(Pgid(0), 0, &branch).unwrap();
    assert!((0..9).all(|i| branch.branch(i).is_ok()));
    assert_eq!(branch.branches().count(), 3);
    // All of it may be spent, and after a refusal nothing more is.
    let mut budget = branch.budget();
    assert!(budget.spend(2048) && !budget.spend(1));
    let mut budget = branch.budget();
    assert!(!budget.spend(2049) && !budget.spend(1));
}

#[test]
fn a_page_has_the_elements_it_has_room_for_and_none_behind_them() {
    let mut bytes = of(2, &[]);
    bytes[10] = 63;
    let page = Page::parse(Pgid(0), 0, &bytes).unwrap();
    assert_eq!(
        (page.leaf(62).unwrap_err().code, page.leaf(63).unwrap_err().code),
        (Code::ElementBounds, Code::PageCount)
    );
    assert!(page.loose_leaf(62).is_some() && page.loose_leaf(63).is_none());
    // Though there is room.
    let one = of(2, &[[0, 16, 1, 1]]);
    assert!(
        Page::parse(Pgid(0), 0, &one).unwrap().leaf(1).is_err_and(|corrupt| corrupt.code == Code::PageCount)
    );
    bytes[10] = 64;
    assert_eq!(Page::parse(Pgid(0), 0, &bytes).unwrap_err().code, Code::PageCount);
}

#[test]
fn a_childs_number_has_64_bits() {
    let bytes = of(1, &[[16, 1, 7, 0x0102_0304]]);
    assert_eq!(
        Page::parse(Pgid(0), 0, &bytes).unwrap().branch(0).unwrap().child,
        Pgid(0x0102_0304_0000_0007)
    );
}

#[test]
fn the_longest_key_has_32768_bytes() {
    let mut page = vec![0; 65_536];
    assert_eq!(leaf(&mut page, 16, 32_768, 0), Ok(()));
    assert_eq!(leaf(&mut page, 16, 32_769, 0), Err(Code::ElementBounds));
}

#[test]
fn header_elements_keys_and_values_are_in_use_and_the_rest_of_a_page_is_not() {
    let used = |bytes: &[u8]| Page::parse(Pgid(0), 0, bytes).unwrap().used();
    // The second key cannot be read: nobody knows how long it is.
    assert_eq!(used(&of(2, &[[0, 32, 3, 5], [0, 5000, 2, 4]])), 16 + 32 + 8);
    assert_eq!(used(&of(1, &[[32, 3, 7, 0], [19, 4, 8, 0]])), 16 + 32 + 7);
    assert_eq!(used(&of(4, &[])), 80);
    assert_eq!(used(&of(0x10, &[[0; 4]; 3])), 16 + 3 * 8);
}
