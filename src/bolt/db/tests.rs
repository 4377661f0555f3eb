//! Opening files: which meta page counts, page sizes, cut and foreign files.

use super::*;
use crate::bolt::Root;
use crate::codec::checksum::fnv1a64;

fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    bytes[at..at + field.len()].copy_from_slice(field);
}

/// Meta page `number` as `DB.init` writes it, for transaction `txid`.
fn meta_page(page_size: usize, number: u64, txid: u64) -> Vec<u8> {
    let mut page = vec![0; page_size];
    put(&mut page, 0, &number.to_le_bytes());
    put(&mut page, 8, &[4, 0]);
    put(&mut page, 16, &meta::MAGIC.to_le_bytes());
    put(&mut page, 20, &2u32.to_le_bytes());
    put(&mut page, 24, &(page_size as u32).to_le_bytes());
    for (at, word) in [(32, 3), (48, 2), (56, 4), (64, txid)] {
        put(&mut page, at, &u64::to_le_bytes(word));
    }
    seal(&mut page);
    page
}

fn seal(page: &mut [u8]) {
    let checksum = fnv1a64(&page[16..72]);
    put(page, 72, &checksum.to_le_bytes());
}

/// An empty database of four pages, as bbolt makes it, but for the transactions.
fn fresh(page_size: usize, txids: [u64; 2]) -> Vec<u8> {
    let mut file =
        [meta_page(page_size, 0, txids[0]), meta_page(page_size, 1, txids[1]), vec![0; 2 * page_size]]
            .concat();
    for (page, flags) in [(2, 0x10), (3, 0x02)] {
        put(&mut file, page * page_size, &[page as u8]);
        put(&mut file, page * page_size + 8, &[flags]);
    }
    file
}

/// Which meta page bbolt would take.
fn live(bytes: Vec<u8>) -> Result<(u8, u64), Code> {
    let source = Source::from_bytes("memory", bytes);
    let db = Db::open(&source).map_err(|c| c.code)?;
    assert!(db.root().cursor().first().unwrap().is_none());
    Ok((db.meta_number(), db.meta().txid.0))
}

const SIZES: [usize; 7] = [1024, 2048, 4096, 8192, 16384, 32768, 65536];

#[test]
fn checksums_are_those_of_files_that_bbolt_made() {
    for (page_size, sums) in [
        (4096, [0x0751_6e11_4689_fdee, 0x264c_351a_5179_480f]),
        (16384, [0x90f3_47e3_0ddd_f37e, 0xafee_0eec_18cd_3d9f]),
        (65536, [0x05c3_9211_0dcb_a3a7, 0xe6c8_cb08_02dc_5986]),
    ] {
        let source = Source::from_bytes("memory", fresh(page_size, [0, 1]));
        let db = Db::open(&source).unwrap();
        assert_eq!(db.slots().each_ref().map(|slot| slot.meta.unwrap().checksum), sums);
        assert!(db.slots().iter().all(|slot| slot.fault.is_none() && slot.header_fault.is_none()));
        assert_eq!((db.meta_number(), db.size()), (1, 4 * page_size as u64));
    }
}

#[test]
fn the_later_transaction_is_taken_and_the_first_page_when_they_are_equal() {
    for size in SIZES {
        assert_eq!(live(fresh(size, [0, 1])), Ok((1, 1)));
        assert_eq!(live(fresh(size, [2, 1])), Ok((0, 2)));
        assert_eq!(live(fresh(size, [7, 7])), Ok((0, 7)));
    }
}

#[test]
fn one_bad_meta_page_leaves_the_other_whatever_the_page_size() {
    // Magic, version, checksum.
    for at in [16, 20, 72] {
        for size in SIZES {
            for (bad, other) in [(0, 1), (1, 0)] {
                let mut bytes = fresh(size, [8, 9]);
                bytes[bad * size + at] ^= 1;
                assert_eq!(
                    live(bytes),
                    Ok((other, 8 + u64::from(other))),
                    "meta {bad} broken at {at}, pages of {size}"
                );
            }
        }
    }
    for size in SIZES {
        let mut bytes = fresh(size, [8, 9]);
        bytes[..size].fill(0);
        assert_eq!(live(bytes), Ok((1, 9)), "the first page is all zeros");
    }
}

#[test]
fn a_broken_meta_page_with_a_great_transaction_is_passed_over() {
    let mut bytes = fresh(4096, [u64::MAX, 5]);
    bytes[72] ^= 1;
    assert_eq!(live(bytes), Ok((1, 5)));
}

#[test]
fn no_good_meta_page_is_an_error_that_tells_of_both() {
    let mut bytes = fresh(4096, [8, 9]);
    bytes[16] ^= 1;
    bytes[4096 + 72] ^= 1;
    let source = Source::from_bytes("memory", bytes);
    let corrupt = Db::open(&source).unwrap_err();
    assert_eq!(corrupt.code, Code::MetaInvalid);
    for part in ["meta 0 (byte 0x0): magic is 0xed0cdaec", "meta 1 (byte 0x1000): checksum is"] {
        assert!(corrupt.detail.contains(part), "{part}: {}", corrupt.detail);
    }
}

#[test]
fn an_image_of_a_meta_page_inside_a_page_is_not_taken_for_one() {
    // The places bbolt probes for the second meta page lie inside the first page when pages are big.
    for (pretends, at) in [(4096, 1024), (1024, 4096), (16384, 8192)] {
        let mut bytes = fresh(65536, [8, 9]);
        bytes[16] ^= 1;
        put(&mut bytes, at, &meta_page(pretends, 1, 99)[..80]);
        assert_eq!(live(bytes), Ok((1, 9)));
    }
}

#[test]
fn fields_that_cannot_be_make_a_meta_page_unusable_though_its_checksum_holds() {
    for (at, field) in [
        (24, 4095u64.to_le_bytes()),
        (24, [0; 8]),
        (32, 1u64.to_le_bytes()),
        (32, 4u64.to_le_bytes()),
        (56, [0; 8]),
    ] {
        let mut bytes = fresh(4096, [8, 9]);
        let len = if at == 24 { 4 } else { 8 };
        put(&mut bytes, 4096 + at, &field[..len]);
        seal(&mut bytes[4096..]);
        let source = Source::from_bytes("memory", bytes.clone());
        let db = Db::open(&source).unwrap();
        assert_eq!(db.slots()[1].fault.as_ref().unwrap().code, Code::MetaUnusable);
        assert_eq!(db.meta_number(), 0);
        put(&mut bytes, at, &field[..len]);
        seal(&mut bytes);
        assert_eq!(live(bytes), Err(Code::MetaUnusable));
    }
}

#[test]
fn a_wrong_header_does_not_make_a_meta_page_bad_but_is_told() {
    let mut bytes = fresh(4096, [8, 9]);
    bytes[4096] = 7;
    let source = Source::from_bytes("memory", bytes);
    let db = Db::open(&source).unwrap();
    assert_eq!(db.meta_number(), 1);
    assert!(db.slots()[1].header_fault.as_ref().unwrap().detail.contains("id 7"));
}

#[test]
fn a_file_of_the_other_byte_order_is_refused_by_name() {
    let mut bytes = fresh(4096, [8, 9]);
    for page in [0, 4096] {
        put(&mut bytes, page + 16, &meta::MAGIC.to_be_bytes());
    }
    let source = Source::from_bytes("memory", bytes);
    assert!(looks_like_bolt(&source).unwrap());
    assert!(Db::open(&source).unwrap_err().detail.contains("big-endian"));
}

#[test]
fn every_length_a_file_can_be_cut_to_opens_or_is_refused() {
    let whole = fresh(1024, [8, 9]);
    for len in 0..whole.len() {
        let source = Source::from_bytes("memory", whole[..len].to_vec());
        match Db::open(&source) {
            Ok(db) => {
                assert_eq!(check_length(&db).unwrap_err().code, Code::FileTooShort);
                // Of a meta page 80 bytes are enough.
                assert_eq!(db.slots()[1].fault.is_none(), len >= 1024 + 80);
            }
            Err(corrupt) => assert!(len < 80 || corrupt.code == Code::MetaInvalid, "{len}: {corrupt}"),
        }
    }
}

#[test]
fn a_page_number_is_good_up_to_the_high_water_mark_and_a_run_up_to_the_end_of_the_file() {
    let at = |id: u64, overflow: u8, len: usize| {
        let mut bytes = fresh(1024, [8, 9]);
        bytes[2 * 1024 + 12] = overflow;
        bytes.truncate(len);
        let source = Source::from_bytes("memory", bytes);
        let db = Db::open(&source).unwrap();
        db.page(Pgid(id), &mut Window::new())
            .map(|page| page.bytes.len())
            .map_err(|fault| (fault.code, fault.at.page))
    };
    assert_eq!(at(1, 0, 4096), Err((Code::PageOutOfRange, Some(1))));
    assert_eq!(at(2, 0, 4096), Ok(1024));
    assert_eq!(at(3, 0, 4096), Ok(1024));
    assert_eq!(at(4, 0, 4096), Err((Code::PageOutOfRange, Some(4))));
    assert_eq!(at(3, 0, 4095), Err((Code::FileTooShort, Some(3))));
    assert_eq!(at(2, 1, 4096), Ok(2048));
    assert_eq!(at(2, 2, 4096), Err((Code::PageOutOfRange, Some(2))));
    assert_eq!(at(2, 1, 4095), Err((Code::FileTooShort, Some(2))));
}

#[test]
fn the_other_meta_page_can_be_taken_if_it_is_good() {
    let mut bytes = fresh(1024, [8, 9]);
    let source = Source::from_bytes("memory", bytes.clone());
    let db = Db::open(&source).unwrap();
    let taken = |number| db.with_meta(number).map(|db| (db.meta_number(), db.meta().txid.0));
    assert_eq!([taken(0), taken(1), taken(2)], [Some((0, 8)), Some((1, 9)), None]);
    bytes[72] ^= 1;
    let source = Source::from_bytes("memory", bytes);
    assert!(Db::open(&source).unwrap().with_meta(0).is_none());
}

#[test]
fn the_second_meta_page_is_looked_for_where_bbolt_looks_for_it() {
    let mut bytes = fresh(1024, [8, 9]);
    bytes[..1024].fill(0);
    let taken = |len: usize| {
        let source = Source::from_bytes("memory", bytes[..len].to_vec());
        Db::open(&source).map(|db| db.meta_number()).map_err(|fault| fault.code)
    };
    assert_eq!(taken(2049), Ok(1));
    // 1024 bytes before the end it does not look any more.
    assert_eq!(taken(2048), Err(Code::MetaInvalid));
}

#[test]
fn a_file_looks_like_bolt_by_the_magic_of_either_meta_page() {
    let looks = |bytes: &[u8]| looks_like_bolt(&Source::from_bytes("memory", bytes.to_vec())).unwrap();
    let mut bytes = fresh(4096, [8, 9]);
    assert!(looks(&bytes) && looks(&bytes[..20]));
    bytes[..4096].fill(0);
    assert!(looks(&bytes));
    bytes[4096..8192].fill(0);
    // Its other pages still carry their numbers.
    assert!(looks(&bytes));
    bytes[8192..].fill(0);
    assert!(!looks(&bytes) && !looks(&bytes[..19]) && !looks(b""));

    // A file that turned shorter after it was opened.
    let place = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(place.path(), bytes).unwrap();
    let source = Source::open(place.path()).unwrap();
    std::fs::write(place.path(), b"").unwrap();
    assert_eq!(looks_like_bolt(&source).unwrap_err().code, Code::Unreadable);
}

#[test]
fn a_long_run_is_read_only_as_far_as_its_elements_reach() {
    use crate::bolt::writer::{Options, Writer};
    let mut out = std::io::Cursor::new(Vec::new());
    let mut writer = Writer::new(&mut out, Options::default()).unwrap();
    writer.begin_bucket(b"big", 0).unwrap();
    writer.put(b"full", &vec![7; (5 << 20) - 36]).unwrap();
    writer.put(b"long", &vec![7; 5 << 20]).unwrap();
    for i in 0..2000u32 {
        writer.put(format!("short{i:05}").as_bytes(), &[1; 100]).unwrap();
    }
    writer.end_bucket().unwrap();
    writer.begin_bucket(b"lone", 0).unwrap();
    writer.put(b"long", &vec![7; 5 << 20]).unwrap();
    writer.end_bucket().unwrap();
    writer.finish().unwrap();
    let mut image = out.into_inner();
    let leaf_of = |db: &Db<'_>, key: &[u8]| {
        let Root::Tree(root) = db.root().bucket(b"big").unwrap().unwrap().root else { panic!("a tree") };
        let mut window = Window::new();
        let page = db.page(root, &mut window).unwrap();
        let at = (0..page.count).rfind(|i| page.branch(*i).unwrap().key <= key).unwrap();
        page.branch(at).unwrap().child
    };
    let source = Source::from_bytes("good", image.clone());
    let db = Db::open(&source).unwrap();
    let (long, short) = (leaf_of(&db, b"long"), leaf_of(&db, b"short01000"));
    assert!(db.page(long, &mut Window::new()).unwrap().bytes.len() > 5 << 20);
    assert!(short.0 > long.0);
    // Here nothing but the value itself reaches that far.
    assert_eq!(db.root().bucket(b"lone").unwrap().unwrap().get(b"long").unwrap().unwrap().len(), 5 << 20);

    // A short run is read as long as it says. A long one may have the page more that Go gives one that is exactly full.
    let pages = |id: Pgid, overflow: u32| {
        let mut image = image.clone();
        let at = db.offset_of(id) as usize + 12;
        image[at..at + 4].copy_from_slice(&overflow.to_le_bytes());
        let source = Source::from_bytes("longer", image);
        let db = Db::open(&source).unwrap();
        db.page(id, &mut Window::new()).map(|page| page.bytes.len() / 4096).map_err(|fault| fault.code)
    };
    assert_eq!(pages(short, 9), Ok(10));
    let full = leaf_of(&db, b"full");
    assert_eq!(
        [pages(full, 1279), pages(full, 1280), pages(full, 1281)],
        [Ok(1280), Ok(1281), Err(Code::PageOutOfRange)]
    );

    // The long page is exchanged for a short one whose header claims the long one's overflow.
    let (from, to) = (db.offset_of(short) as usize, db.offset_of(long) as usize);
    let page = image[from..from + 4096].to_vec();
    let overflow = image[to + 12..to + 16].to_vec();
    image[to..to + 4096].copy_from_slice(&page);
    image[to..to + 8].copy_from_slice(&long.0.to_le_bytes());
    image[to + 12..to + 16].copy_from_slice(&overflow);
    let source = Source::from_bytes("bad", image);
    let fault = Db::open(&source).unwrap().page(long, &mut Window::new()).unwrap_err();
    assert_eq!(fault.code, Code::PageOutOfRange);
    assert!(fault.detail.contains("its elements end at byte"), "{fault}");
}
