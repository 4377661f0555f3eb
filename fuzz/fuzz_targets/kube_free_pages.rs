//! Pages that no tree holds, behind those of a database with one object: every one is looked at once, what is counted
//! adds up, and nothing is told twice. The pages get their own numbers, so that what lies in them is reached.
#![no_main]

use coldbolt::bolt::writer::{Options, Writer};
use coldbolt::codec::checksum::fnv1a64;
use coldbolt::io::Source;
use coldbolt::kube::protection::ProtectionOptions;
use coldbolt::ops::{exposure, protection};
use coldbolt::store::{Store, StoreOptions};
use coldbolt::words::monitor::Quiet;

const SIZE: usize = 1024;

fn database() -> Vec<u8> {
    let (key, value) = (b"/registry/namespaces/default", br#"{"apiVersion":"v1","kind":"Namespace"}"#);
    let kv = [
        &[0x0a, key.len() as u8],
        &key[..],
        &[0x10, 2, 0x18, 2, 0x20, 1, 0x2a, value.len() as u8],
        &value[..],
    ]
    .concat();
    let revision = [&2u64.to_be_bytes()[..], b"_", &0u64.to_be_bytes()].concat();
    let mut file = std::io::Cursor::new(Vec::new());
    let options = Options { page_size: SIZE as u32, ..Options::default() };
    let mut writer = Writer::new(&mut file, options).unwrap();
    writer.begin_bucket(b"key", 0).unwrap();
    writer.put(&revision, &kv).unwrap();
    writer.end_bucket().unwrap();
    writer.begin_bucket(b"meta", 0).unwrap();
    writer.end_bucket().unwrap();
    writer.finish().unwrap();
    file.into_inner()
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut bytes = database();
    // The file may be longer than its pages.
    let tree = usize::from(bytes[56]);
    bytes.truncate(tree * SIZE);
    bytes.extend_from_slice(data);
    bytes.resize(bytes.len().next_multiple_of(SIZE), 0);
    let all = bytes.len() / SIZE;
    for page in tree..all {
        // Every fourth keeps the number that it came with.
        if let Some(header) = bytes.get_mut(page * SIZE..page * SIZE + 8).filter(|header| header[0] % 4 != 3)
        {
            header.copy_from_slice(&(page as u64).to_le_bytes());
        }
    }
    for meta in [0, SIZE] {
        bytes[meta + 56..meta + 64].copy_from_slice(&(all as u64).to_le_bytes());
        let sum = fnv1a64(&bytes[meta + 16..meta + 72]).to_le_bytes();
        bytes[meta + 72..meta + 80].copy_from_slice(&sum);
    }
    let source = Source::from_bytes("file.db", bytes);
    let options = StoreOptions { allow_damage: true, ..StoreOptions::default() };
    let store = Store::open(&source, &options, &Quiet).unwrap();
    for names in [3, usize::MAX] {
        let options = ProtectionOptions { names, wrapped: names, ..ProtectionOptions::default() };
        let report = protection(&store, None, &options, &Quiet).unwrap().unwrap();
        let free = report.free_pages;
        assert_eq!(free.pages, (all - tree) as u64);
        let rows = || report.resources.iter().flat_map(|resource| &resource.under);
        assert_eq!(rows().map(|row| row.free).sum::<u64>(), free.values);
        assert_eq!(rows().map(|row| row.live + row.history).sum::<u64>(), 1);
        for resource in &report.resources {
            assert_eq!((resource.left as usize).min(names), resource.values_left.len());
            assert!(resource.values_left.is_sorted());
        }
    }
    let report = exposure(&store, None, None, &Quiet).unwrap();
    assert!(report.free_pages.pages == (all - tree) as u64);
    drop(serde_json::to_string(&report).unwrap());
});
