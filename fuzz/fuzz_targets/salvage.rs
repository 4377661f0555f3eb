//! What is left of a database: one that the writer made, with these bytes over some of its pages and behind them.
#![no_main]

use coldbolt::Error;
use coldbolt::bolt::found::{FoundPages, FoundWalk, Met};
use coldbolt::bolt::writer::{Options, Writer};
use coldbolt::etcd::{BucketKey, KeyValue, Revision};
use coldbolt::io::Source;
use coldbolt::ops::salvage::{SalvageOptions, salvage};
use coldbolt::words::monitor::Quiet;

const SIZE: usize = 1024;

fn database() -> Vec<u8> {
    let mut file = std::io::Cursor::new(Vec::new());
    let options = Options { page_size: SIZE as u32, ..Options::default() };
    let mut writer = Writer::new(&mut file, options).unwrap();
    writer.begin_bucket(b"key", 0).unwrap();
    for main in 2..40 {
        let key = BucketKey { revision: Revision { main, sub: 0 }, tombstone: false };
        let name = format!("key-{main}");
        let value = vec![b'v'; usize::try_from(main).unwrap() * 40];
        let kv = KeyValue {
            key: name.as_bytes(),
            create_revision: main,
            mod_revision: main,
            version: 1,
            value: &value,
            lease: 0,
        };
        writer.put(&key.to_bytes(), &kv.encode()).unwrap();
    }
    writer.end_bucket().unwrap();
    writer.begin_bucket(b"meta", 0).unwrap();
    writer.put(b"consistent_index", &9u64.to_be_bytes()).unwrap();
    writer.end_bucket().unwrap();
    writer.finish().unwrap();
    file.into_inner()
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut bytes = database();
    for edit in data.chunks(36) {
        let (head, rest) = edit.split_at(edit.len().min(4));
        let [page, at, len, kind] = [0, 1, 2, 3].map(|i| usize::from(head.get(i).copied().unwrap_or(0)));
        let page = page % (bytes.len() / SIZE) * SIZE;
        match kind % 4 {
            0 => bytes[page..page + SIZE].fill(0),
            1 => {
                let other = at % (bytes.len() / SIZE) * SIZE;
                (0..SIZE).for_each(|at| bytes.swap(page + at, other + at));
            }
            2 => bytes.truncate((page + SIZE).max(bytes.len().saturating_sub(len * 8))),
            _ => {
                let from = page + at * 4;
                rest.iter().zip(&mut bytes[from..]).for_each(|(new, byte)| *byte = *new);
            }
        }
    }
    let source = Source::from_bytes("file.db", bytes);
    let Some(found) = FoundPages::search(&source, &Quiet) else { return };
    let mut met = 0u64;
    let mut walk = FoundWalk::new(&found);
    for place in &found.places {
        walk.walk(place.id, &mut |what| {
            if let Met::Leaf { pages, .. } = what {
                assert!((1..=3).contains(&pages.len()));
                met += 1;
            }
        });
    }
    assert!(met <= source.len() / 512, "a page is met twice");
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out.db");
    match salvage(&source, &out, &SalvageOptions::default(), &mut |_| Ok(()), &Quiet) {
        Ok(report) => assert!(report.findings.is_empty(), "{:?}", report.findings),
        Err(Error::Unreadable { .. }) => assert!(!out.exists()),
        Err(error) => panic!("{error}"),
    }
});
