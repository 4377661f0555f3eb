//! Sources over one another.

use super::*;

#[test]
fn what_is_overlaid_is_read_as_one_wherever_a_read_begins_and_ends() {
    let base = Source::from_bytes("db", b"abcdefghij".to_vec());
    let spans = Spans::new().with(0, b"AB".to_vec()).with(7, b"HIJKL".to_vec());
    let source = base.overlaid(spans, 12);
    let whole = b"ABcdefgHIJKL";
    assert_eq!(source.len(), 12);
    for from in 0..=12 {
        for to in from..=12 {
            let mut buf = vec![0; to - from];
            source.read_exact_at(from as u64, &mut buf).unwrap();
            assert_eq!(buf, &whole[from..to], "{from}..{to}");
        }
        assert!(source.read_exact_at(from as u64, &mut vec![0; 13 - from]).is_err());
    }
    // A base that ends before the tail begins: what is not there is not made up.
    let source = base.overlaid(Spans::new().with(12, b"xy".to_vec()), 14);
    assert!(source.read_exact_at(8, &mut [0; 4]).is_err());
}

#[test]
fn what_is_overlaid_can_be_overlaid_again() {
    let base = Source::from_bytes("db", b"abcdefghij".to_vec());
    let once = base.overlaid(Spans::new().with(2, b"CDE".to_vec()), 10);
    let twice = once.overlaid(Spans::new().with(4, b"5678".to_vec()), 9);
    assert_eq!(once.read_all(99).unwrap(), b"abCDEfghij");
    assert_eq!(twice.read_all(99).unwrap(), b"abCD5678i");
    // What lies in one piece is not copied, whichever of them it is of.
    assert_eq!(
        (twice.slice(0, 2), twice.slice(2, 2), twice.slice(4, 4)),
        (Some(&b"ab"[..]), Some(&b"CD"[..]), Some(&b"5678"[..]),)
    );
    assert_eq!((twice.slice(1, 2), twice.slice(3, 2), twice.slice(9, 2)), (None, None, None));
    assert_eq!((base.as_slice(), twice.as_slice()), (Some(&b"abcdefghij"[..]), None));
}
