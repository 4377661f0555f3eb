//! Files laid out to cost far more than their size: time or memory that grows with the square of the file, or without
//! end.

use support::Input;
use support::image::Image;
use support::mutate::*;
use support::run::coldbolt_within_limits;

/// Elements that a page can claim.
const MANY: usize = 65_535;
/// Pages of a long run: 6 MB.
const LONG: usize = 1500;

/// Each command ends soon, in 200 MB, with damage told.
fn ends(bytes: &[u8], what: &str) {
    let dir = tempfile::tempdir().unwrap();
    let input = Input::write(dir.path(), "hostile.db", bytes);
    for args in [
        &["status"][..],
        &["hashkv"],
        &["inspect"],
        &["inspect", "-w", "json"],
        &["verify"],
        &["bolt", "buckets"],
        &["bolt", "pages"],
    ] {
        let run = coldbolt_within_limits(args.iter().chain([&input.name()]));
        println!("{what}: {} {:?}", args.join(" "), run.took);
        if ["status", "inspect", "verify"].contains(&args[0]) {
            assert_eq!(run.code, 1, "{}", args.join(" "));
        }
        assert!(run.err.len() < 1 << 20, "{} bytes of messages", run.err.len());
    }
    coldbolt_within_limits(["bolt", "keys", input.name(), "key"]);
    input.unchanged();
}

/// A root with bucket `key` at page 3 and an empty `meta`.
fn root() -> Vec<u8> {
    let empty = [bucket_header(0), header(0, LEAF, 0, 0)].concat();
    leaf(2, &[(BUCKET, b"key", bucket_header(3)), (BUCKET, b"meta", empty)])
}

/// The bytes of so many pages of zeros.
fn zeros(pages: usize) -> Vec<u8> {
    vec![0; pages * PAGE]
}

#[test]
fn a_long_page_that_every_child_leads_to_is_read_once() {
    let mut branch = header(3, BRANCH, MANY, 16 + 16 * MANY + 17);
    let long = 3 + (16 + 16 * MANY + 17).div_ceil(PAGE) as u64;
    let key_at = 16 + 16 * MANY;
    for _ in 0..MANY {
        let pos = key_at - branch.len();
        branch.extend_from_slice(&(pos as u32).to_le_bytes());
        branch.extend_from_slice(&17u32.to_le_bytes());
        branch.extend_from_slice(&long.to_le_bytes());
    }
    branch.extend_from_slice(&[7; 17]);
    let run = [header(long, LEAF, 1, LONG * PAGE), zeros(LONG)].concat()[..LONG * PAGE].to_vec();
    ends(&lay(&[root(), branch, run]), "long page");
}

#[test]
fn elements_that_are_all_the_same_long_value_are_not_all_read() {
    let head = 16 + 16 * MANY;
    let all = LONG * PAGE;
    let mut page = header(3, LEAF, MANY, all);
    for _ in 0..MANY {
        leaf_element(&mut page, 0, head, 17, all - head - 17);
    }
    page.resize(all, 1);
    ends(&lay(&[root(), page]), "same value");
}

#[test]
fn elements_with_long_keys_are_not_compared_or_printed() {
    let head = 16 + 16 * MANY;
    let all = LONG * PAGE;
    for key in [all - head, 32_768] {
        let mut page = header(3, LEAF, MANY, all);
        for _ in 0..MANY {
            leaf_element(&mut page, 0, head, key, 0);
        }
        page.resize(all, 1);
        ends(&lay(&[root(), page]), "long keys");
    }
}

#[test]
fn inline_buckets_that_are_all_the_same_bytes_are_not_all_copied() {
    let head = 16 + 16 * MANY;
    let all = LONG * PAGE;
    let mut page = header(2, LEAF, MANY, all);
    for _ in 0..MANY {
        leaf_element(&mut page, BUCKET, head, 3, all - head - 3);
    }
    page.extend_from_slice(b"key");
    page.extend_from_slice(&bucket_header(0));
    page.extend_from_slice(&header(0, LEAF, 1000, 0));
    page.resize(all, 0);
    ends(&lay(&[page]), "same bucket");
}

#[test]
fn buckets_inside_inline_buckets_are_not_followed() {
    // Each holds two buckets that are both the next: 2^50 of them, in 5 kB.
    let depth = 50;
    let mut value = [bucket_header(0), header(0, LEAF, 0, 0)].concat();
    for _ in 0..depth {
        let mut page = header(0, LEAF, 2, 0);
        let key_at = 16 + 32;
        leaf_element(&mut page, BUCKET, key_at, 2, value.len());
        leaf_element(&mut page, BUCKET, key_at + 1, 1, value.len());
        page.extend_from_slice(b"ab");
        page.extend_from_slice(&value);
        value = [bucket_header(0), page].concat();
    }
    ends(&lay(&[leaf(2, &[(BUCKET, b"key", value)])]), "nested");
}

#[test]
fn many_children_out_of_range_are_counted_and_not_all_told() {
    let mut branch = header(3, BRANCH, MANY, 16 + 16 * MANY + 17 * MANY);
    for i in 0..MANY {
        let pos = 16 + 16 * MANY + 17 * i - branch.len();
        branch.extend_from_slice(&(pos as u32).to_le_bytes());
        branch.extend_from_slice(&17u32.to_le_bytes());
        branch.extend_from_slice(&(1u64 << 40).to_le_bytes());
    }
    for i in 0..MANY {
        branch.extend_from_slice(&(i as u64).to_be_bytes());
        branch.extend_from_slice(b"_12345678");
    }
    let bytes = lay(&[root(), branch]);
    ends(&bytes, "out of range");
    let dir = tempfile::tempdir().unwrap();
    let input = Input::write(dir.path(), "hostile.db", &bytes);
    let run = coldbolt_within_limits(["inspect", input.name()]);
    assert!(run.text().contains("page-out-of-range: 65,535"), "{run}");
    assert_eq!(run.err.lines().count(), 20, "{run}");
    input.unchanged();
}

#[test]
fn a_chain_of_branches_ends_at_a_depth() {
    let link = |id: u64| {
        let mut page = header(id, BRANCH, 1, 0);
        page.extend_from_slice(&16u32.to_le_bytes());
        page.extend_from_slice(&17u32.to_le_bytes());
        page.extend_from_slice(&(id + 1).to_le_bytes());
        page.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 2, b'_', 0, 0, 0, 0, 0, 0, 0, 0]);
        page
    };
    let pages: Vec<Vec<u8>> = std::iter::once(root()).chain((3..5000).map(link)).collect();
    ends(&lay(&pages), "chain");
}

#[test]
fn a_long_run_of_free_pages_in_a_freelist_is_bounded_by_its_page() {
    let mut list = header(4, 0x10, MANY, PAGE);
    list.extend_from_slice(&u64::MAX.to_le_bytes());
    let keys = leaf(3, &[]);
    let mut image = Image { bytes: lay(&[root(), keys, list]), page_size: PAGE, trailer: false };
    image.put_metas(FREELIST, &4u64.to_le_bytes());
    image.seal_metas();
    ends(&image.bytes, "freelist");
}
