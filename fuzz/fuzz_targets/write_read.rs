//! Buckets and keys in any order, size and layout: what the writer takes is read back, in order, found by its key,
//! and every rule of the format holds; what follows the rules it takes.
#![no_main]

use std::collections::BTreeMap;
use std::io::Cursor;

use coldbolt::bolt::writer::{FreelistPage, Options, Writer};
use coldbolt::bolt::{Bucket, Db};
use coldbolt::codec::checksum::sha256;
use coldbolt::io::Source;
use coldbolt::snap::backup::Trailer;
use coldbolt::store::scan::{self, KeyDepth, scan};
use coldbolt::words::monitor::Quiet;
use libfuzzer_sys::arbitrary::{Result, Unstructured};

#[derive(Debug, Clone, PartialEq)]
enum Item {
    Value(Vec<u8>),
    Bucket(u64, BTreeMap<Vec<u8>, Item>),
}

type Items = BTreeMap<Vec<u8>, Item>;

fn items(u: &mut Unstructured, depth: usize) -> Result<Items> {
    let mut items = Items::new();
    for _ in 0..u.int_in_range(0..=24)? {
        if u.is_empty() {
            break;
        }
        let key = u.arbitrary::<&[u8]>()?;
        let mut key = key[..key.len().min(20)].to_vec();
        if u.ratio(1, 16)? {
            key.extend_from_slice(&[b'k'; 300]);
        }
        let item = if depth == 0 || (depth < 4 && u.ratio(1, 6)?) {
            Item::Bucket(u.arbitrary()?, self::items(u, depth + 1)?)
        } else {
            let len = if u.ratio(1, 12)? { u.int_in_range(0..=9000)? } else { u.int_in_range(0..=120)? };
            Item::Value(vec![u.arbitrary()?; len])
        };
        if !key.is_empty() {
            items.insert(key, item);
        }
    }
    Ok(items)
}

fn write(writer: &mut Writer<&mut Cursor<Vec<u8>>>, items: &Items) {
    for (key, item) in items {
        match item {
            Item::Value(value) => writer.put(key, value).unwrap(),
            Item::Bucket(sequence, below) => {
                writer.begin_bucket(key, *sequence).unwrap();
                write(writer, below);
                // What does not come after the one before it is refused, and leaves no trace.
                if let Some((last, _)) = below.last_key_value() {
                    writer.put(last, b"again").unwrap_err();
                }
                writer.end_bucket().unwrap();
            }
        }
    }
}

fn read(bucket: &Bucket<'_, '_>) -> Items {
    let (mut items, mut cursor) = (Items::new(), bucket.cursor());
    while let Some(item) = cursor.next().unwrap() {
        let (key, value) = (item.key.to_vec(), item.value.to_vec());
        let item = if item.is_bucket {
            let inner = bucket.bucket(&key).unwrap().unwrap();
            Item::Bucket(inner.sequence, read(&inner))
        } else {
            assert_eq!(bucket.get(&key).unwrap().as_ref(), Some(&value));
            Item::Value(value)
        };
        assert!(items.last_key_value().is_none_or(|(last, _)| *last < key));
        items.insert(key, item);
    }
    items
}

fn run(u: &mut Unstructured) -> Result<()> {
    let options = Options {
        page_size: 1 << u.int_in_range(10..=16)?,
        freelist: if u.arbitrary()? { FreelistPage::Stored } else { FreelistPage::Absent },
        txid: u.int_in_range(1..=u64::MAX >> 1)?,
        fill_percent: u.int_in_range(25..=100)?,
    };
    let cut = u.int_in_range(0..=40)?;
    let due = items(u, 0)?;
    let mut file = Cursor::new(Vec::new());
    let mut writer = Writer::new(&mut file, options).unwrap();
    write(&mut writer, &due);
    let summary = writer.finish().unwrap();
    let mut bytes = file.into_inner();
    assert_eq!(bytes.len() as u64, summary.bytes);

    let source = Source::from_bytes("file.db", bytes.clone());
    let db = Db::open(&source).unwrap();
    assert_eq!((db.page_size(), db.meta().txid.0), (options.page_size.into(), options.txid));
    assert_eq!(read(&db.root()), due);
    let scan =
        scan(&db, scan::ScanOptions { limit: 9, gate: None, keys: KeyDepth::History }, &Quiet).unwrap();
    let pages: Vec<_> = scan
        .faults
        .kept
        .iter()
        .filter(|fault| fault.at.page.is_some() && fault.at.bucket.is_none())
        .collect();
    assert!(pages.is_empty(), "{pages:?}");
    assert_eq!(scan.free_pages, 0);

    // The trailer of a snapshot file, whole and with its end missing.
    let digest = sha256(&bytes);
    bytes.extend_from_slice(&digest[..digest.len().saturating_sub(cut)]);
    let backup = Source::from_bytes("backup.db", bytes);
    let trailer = Trailer::read(&backup, summary.bytes).unwrap();
    let left = 32usize.saturating_sub(cut) as u64;
    match left {
        32 => assert_eq!(trailer, Trailer::Present { digest, payload: summary.bytes }),
        0 => assert_eq!(trailer, Trailer::Absent),
        bytes => assert_eq!(trailer, Trailer::Cut { bytes }),
    }
    Ok(())
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = run(&mut Unstructured::new(data));
});
