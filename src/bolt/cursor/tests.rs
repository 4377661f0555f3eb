//! Moving about in trees: what the writer made against a map, and damaged ones to where they end.

use std::collections::BTreeMap;
use std::io;

use super::*;
use crate::bolt::writer::{Options, Writer};
use crate::io::Source;

type Items = BTreeMap<Vec<u8>, Vec<u8>>;

/// `n` items whose keys share long stretches, with values of up to more than a page.
fn items(n: u32, longest: u32) -> Items {
    let value = |i: u32| vec![i.to_le_bytes()[0]; (i.wrapping_mul(2_654_435_761) % (longest + 1)) as usize];
    (0..n).map(|i| (format!("prefix/{:06}", i * 2).into_bytes(), value(i))).collect()
}

/// A file with the buckets `empty`, `inline`, `tree` and `outer/inner`, the items in the last three.
fn file(page_size: u32, items: &Items) -> Source {
    let mut out = io::Cursor::new(Vec::new());
    let mut writer = Writer::new(&mut out, Options { page_size, ..Options::default() }).unwrap();
    let put = |writer: &mut Writer<_>, items: &mut dyn Iterator<Item = (&Vec<u8>, &Vec<u8>)>| {
        items.for_each(|(key, value)| writer.put(key, value).unwrap());
    };
    writer.begin_bucket(b"empty", 0).unwrap();
    writer.end_bucket().unwrap();
    writer.begin_bucket(b"inline", 7).unwrap();
    put(&mut writer, &mut items.iter().take(3));
    writer.end_bucket().unwrap();
    writer.begin_bucket(b"outer", 0).unwrap();
    writer.begin_bucket(b"inner", 0).unwrap();
    put(&mut writer, &mut items.iter());
    writer.end_bucket().unwrap();
    writer.put(b"not a bucket", b"value").unwrap();
    writer.end_bucket().unwrap();
    writer.begin_bucket(b"tree", 0).unwrap();
    put(&mut writer, &mut items.iter());
    writer.end_bucket().unwrap();
    writer.finish().unwrap();
    Source::from_bytes("memory", out.into_inner())
}

fn at<'d, 's>(db: &'d Db<'s>, path: &[&str]) -> Bucket<'d, 's> {
    path.iter().fold(db.root(), |bucket, name| bucket.bucket(name.as_bytes()).unwrap().unwrap())
}

fn pair<'i>(item: Option<Item<'i>>) -> Option<(&'i [u8], &'i [u8])> {
    item.map(|item| (item.key, item.value))
}

fn due<'m>(item: Option<(&'m Vec<u8>, &'m Vec<u8>)>) -> Option<(&'m [u8], &'m [u8])> {
    item.map(|(key, value)| (key.as_slice(), value.as_slice()))
}

/// Every move, against a map.
fn agrees(bucket: &Bucket<'_, '_>, model: &Items) {
    let mut cursor = bucket.cursor();
    assert_eq!(pair(cursor.first().unwrap()), due(model.first_key_value()));
    assert_eq!(pair(cursor.last().unwrap()), due(model.last_key_value()));
    for forward in [true, false] {
        let mut cursor = bucket.cursor();
        let mut expected: Vec<_> = model.iter().collect();
        if !forward {
            assert_eq!(cursor.prev().unwrap(), None, "there is nothing before the first");
            assert_eq!(pair(cursor.last().unwrap()), due(model.last_key_value()));
            expected.reverse();
        }
        for (step, item) in expected.iter().enumerate() {
            let found = match (forward, step) {
                (true, _) => cursor.next(),
                (false, 0) => cursor.here(),
                (false, _) => cursor.prev(),
            };
            assert_eq!(pair(found.unwrap()), due(Some(*item)));
        }
        for _ in 0..2 {
            let end = if forward { cursor.next() } else { cursor.prev() };
            assert_eq!(end.unwrap(), None);
            assert_eq!(cursor.here().unwrap(), None);
        }
        // From the end back in.
        let back = if forward { cursor.prev() } else { cursor.next() };
        assert_eq!(pair(back.unwrap()), due(expected.last().copied()));
    }
    let around = |key: &Vec<u8>| [key.clone(), [key, &b"\0"[..]].concat(), key[..key.len() - 1].to_vec()];
    let wanted = model
        .keys()
        .step_by(7)
        .chain(model.keys().last())
        .flat_map(around)
        .chain([b"".to_vec(), b"\xff".to_vec()]);
    for key in wanted {
        let mut cursor = bucket.cursor();
        let mut after = model.range(key.clone()..);
        assert_eq!(pair(cursor.seek(&key).unwrap()), due(after.next()), "seek {}", key.escape_ascii());
        assert_eq!(pair(cursor.next().unwrap()), due(after.next()), "next after seek {}", key.escape_ascii());
        cursor.seek(&key).unwrap();
        assert_eq!(
            pair(cursor.prev().unwrap()),
            due(model.range(..key.clone()).next_back()),
            "prev after seek {}",
            key.escape_ascii()
        );
        assert_eq!(bucket.get(&key).unwrap().as_ref(), model.get(&key));
    }
}

#[test]
fn a_cursor_finds_what_a_map_holds() {
    for (page_size, n, longest) in
        [(1024, 3, 10), (1024, 2000, 30), (1024, 150, 5000), (4096, 1000, 100), (65536, 3000, 60)]
    {
        let model = items(n, longest);
        let source = file(page_size, &model);
        let db = Db::open(&source).unwrap();
        agrees(&at(&db, &["empty"]), &Items::new());
        agrees(&at(&db, &["inline"]), &model.clone().into_iter().take(3).collect());
        agrees(&at(&db, &["tree"]), &model);
        agrees(&at(&db, &["outer", "inner"]), &model);
    }
}

#[test]
fn buckets_and_values_are_not_taken_for_each_other() {
    let source = file(1024, &items(3, 10));
    let db = Db::open(&source).unwrap();
    let outer = at(&db, &["outer"]);
    assert!(outer.bucket(b"not a bucket").unwrap().is_none());
    assert_eq!(outer.get(b"inner").unwrap(), None);
    assert_eq!(outer.get(b"not a bucket").unwrap().as_deref(), Some(&b"value"[..]));
    let inline = at(&db, &["inline"]);
    assert!(matches!(inline.root, Root::Inline { .. }), "{:?}", inline.root);
    assert_eq!((inline.sequence, inline.name.as_slice()), (7, &b"inline"[..]));
}

#[test]
fn a_file_of_the_real_library_reads_as_bbolt_printed_it() {
    let path = |name| format!("{}/fixtures/bolt/{name}", env!("CARGO_MANIFEST_DIR"));
    let source = Source::open(path("nested-1024.db").as_ref()).unwrap();
    let db = Db::open(&source).unwrap();
    let keys = |bucket: &Bucket<'_, '_>| {
        let (mut keys, mut cursor) = (String::new(), bucket.cursor());
        while let Some(item) = cursor.next().unwrap() {
            keys += &format!("{}\n", item.key.escape_ascii());
        }
        keys
    };
    assert_eq!(keys(&db.root()), std::fs::read_to_string(path("nested-1024.buckets.txt")).unwrap());
    assert_eq!(
        keys(&at(&db, &["nested", "1"])),
        std::fs::read_to_string(path("nested-1024.keys.txt")).unwrap()
    );
    let value = at(&db, &["nested", "1", "2"]).get(b"key-0").unwrap().unwrap();
    assert_eq!(
        crate::codec::checksum::hex(&value),
        std::fs::read_to_string(path("nested-1024.get.txt")).unwrap().trim_end()
    );
    for n in 0..6u64 {
        let bucket = at(&db, &[&format!("inline-{n}")]);
        assert_eq!(bucket.sequence, n << 40);
        agrees(
            &bucket,
            &(0..n)
                .map(|i| {
                    (
                        format!("key-{i}").into_bytes(),
                        bucket.get(format!("key-{i}").as_bytes()).unwrap().unwrap(),
                    )
                })
                .collect(),
        );
    }
}

/// Rewrites page `page` of 1 KiB.
fn edit(source: &Source, page: usize, change: impl FnOnce(&mut [u8])) -> Source {
    let mut bytes = source.read_all(u64::MAX).unwrap();
    change(&mut bytes[page * 1024..][..1024]);
    Source::from_bytes("memory", bytes)
}

/// The top page of bucket `tree`, a branch.
fn top(source: &Source) -> usize {
    let db = Db::open(source).unwrap();
    match at(&db, &["tree"]).root {
        Root::Tree(id) => id.0 as usize,
        Root::Inline { .. } => panic!("inline"),
    }
}

fn steps_until_error(source: &Source, forward: bool) -> (usize, Code, u64) {
    let db = Db::open(source).unwrap();
    let bucket = at(&db, &["tree"]);
    let mut cursor = bucket.cursor();
    let mut moved =
        if forward { cursor.first().map(|i| i.is_some()) } else { cursor.last().map(|i| i.is_some()) };
    for steps in 0..100_000 {
        match moved {
            Err(corrupt) => return (steps, corrupt.code, corrupt.at.page.unwrap()),
            Ok(false) => panic!("the end of a tree that has none"),
            Ok(true) => {}
        }
        moved = if forward { cursor.next().map(|i| i.is_some()) } else { cursor.prev().map(|i| i.is_some()) };
    }
    panic!("no end");
}

#[test]
fn a_tree_whose_branches_share_a_leaf_ends_both_ways() {
    let source = file(1024, &items(300, 30));
    let page = top(&source);
    let bad = edit(&source, page, |page| {
        // All children are the first one.
        let child: [u8; 8] = page[24..32].try_into().unwrap();
        let count = usize::from(u16::from_le_bytes([page[10], page[11]]));
        (0..count).for_each(|i| page[24 + i * 16..][..8].copy_from_slice(&child));
    });
    assert_eq!(steps_until_error(&bad, true).1, Code::KeyOrder);
    assert_eq!(steps_until_error(&bad, false).1, Code::KeyOrder);
    // With one element in that leaf the next key is the same, not less or greater.
    let child =
        u64::from_le_bytes(bad.read_all(u64::MAX).unwrap()[page * 1024 + 24..][..8].try_into().unwrap());
    let bad = edit(&bad, child as usize, |leaf| leaf[10..12].copy_from_slice(&[1, 0]));
    assert_eq!(steps_until_error(&bad, true), (1, Code::KeyOrder, child));
    assert_eq!(steps_until_error(&bad, false), (1, Code::KeyOrder, child));
}

#[test]
fn a_branch_that_is_its_own_child_is_too_deep() {
    let source = file(1024, &items(2000, 30));
    let page = top(&source);
    let bad = edit(&source, page, |bytes| {
        let count = usize::from(u16::from_le_bytes([bytes[10], bytes[11]]));
        (0..count).for_each(|i| bytes[24 + i * 16..][..8].copy_from_slice(&(page as u64).to_le_bytes()));
    });
    assert_eq!(steps_until_error(&bad, true), (0, Code::DepthUneven, page as u64));
    assert_eq!(steps_until_error(&bad, false), (0, Code::DepthUneven, page as u64));
}

#[test]
fn damage_below_the_cursor_is_said_with_its_place() {
    let source = file(1024, &items(2000, 30));
    let page = top(&source);
    let child = {
        let bytes = source.read_all(u64::MAX).unwrap();
        u64::from_le_bytes(bytes[page * 1024 + 24..][..8].try_into().unwrap())
    };
    let bad = edit(&source, child as usize, |bytes| bytes[0] ^= 1);
    let db = Db::open(&bad).unwrap();
    let bucket = at(&db, &["tree"]);
    let corrupt = bucket.cursor().first().map(|_| ()).unwrap_err();
    assert_eq!(
        (corrupt.code, corrupt.at.page, corrupt.at.offset),
        (Code::PageId, Some(child), Some(child * 1024))
    );
    assert!(bucket.cursor().last().unwrap().is_some(), "what lies elsewhere is read");
}

#[test]
fn a_page_without_elements_inside_a_tree_is_damage_and_not_the_end() {
    let source = file(1024, &items(300, 30));
    let top = top(&source);
    let children: Vec<usize> = {
        let bytes = source.read_all(u64::MAX).unwrap();
        let count = usize::from(bytes[top * 1024 + 10]);
        (0..count).map(|i| usize::from(bytes[top * 1024 + 24 + i * 16])).collect()
    };
    for page in [top, children[0], children[3], children[children.len() - 1]] {
        let bad = edit(&source, page, |bytes| bytes[10..12].fill(0));
        for forward in [true, false] {
            let (_, code, at) = steps_until_error(&bad, forward);
            assert_eq!((code, at), (Code::PageCount, page as u64));
        }
    }
}
