//! Buckets in buckets, drawn at random, and the file that the writer makes of them.

use std::collections::BTreeMap;
use std::io::Cursor;

use coldbolt::bolt::writer::{FreelistPage, Options, Writer};
use proptest::prelude::*;

#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    Value(Vec<u8>),
    Bucket(u64, BTreeMap<Vec<u8>, Item>),
}

pub type Items = BTreeMap<Vec<u8>, Item>;

/// Buckets in buckets; values up to several pages.
pub fn items() -> impl Strategy<Value = Items> {
    let key = || proptest::collection::vec(any::<u8>(), 1..20);
    let value = prop_oneof![8 => 0..80usize, 2 => 0..2000usize, 1 => 0..30_000usize]
        .prop_map(|len| Item::Value(vec![7; len]));
    let item = value.prop_recursive(4, 200, 40, move |inner| {
        (any::<u64>(), proptest::collection::btree_map(key(), inner, 0..40))
            .prop_map(|(sequence, items)| Item::Bucket(sequence, items))
    });
    let bucket = (any::<u64>(), proptest::collection::btree_map(key(), item, 0..60));
    proptest::collection::btree_map(
        key(),
        bucket.prop_map(|(sequence, items)| Item::Bucket(sequence, items)),
        0..12,
    )
}

pub fn options() -> impl Strategy<Value = Options> {
    (0..7u32, any::<bool>(), 25..=100u8).prop_map(|(size, stored, fill_percent)| {
        let freelist = if stored { FreelistPage::Stored } else { FreelistPage::Absent };
        Options { page_size: 1024 << size, freelist, txid: 9, fill_percent }
    })
}

pub fn written(items: &Items, options: Options) -> Vec<u8> {
    fn put(writer: &mut Writer<&mut Cursor<Vec<u8>>>, items: &Items) {
        for (key, item) in items {
            match item {
                Item::Value(value) => writer.put(key, value).unwrap(),
                Item::Bucket(sequence, items) => {
                    writer.begin_bucket(key, *sequence).unwrap();
                    put(writer, items);
                    writer.end_bucket().unwrap();
                }
            }
        }
    }
    let mut file = Cursor::new(Vec::new());
    let mut writer = Writer::new(&mut file, options).unwrap();
    put(&mut writer, items);
    writer.finish().unwrap();
    file.into_inner()
}
