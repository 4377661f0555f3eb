//! A database file: every question about its keyspace comes to an end, keys come in order whatever the memory, and a
//! point get gives what the range gives. The meta pages are made to fit first, so that what lies behind them is
//! reached.
#![no_main]

use std::ops::ControlFlow;

use coldbolt::codec::checksum::fnv1a64;
use coldbolt::etcd::KeyRange;
use coldbolt::io::Source;
use coldbolt::store::{OwnedKeyValue, RangeRequest, Store, StoreOptions};
use coldbolt::words::monitor::Quiet;

fn live(store: &Store<'_>) -> Option<Vec<OwnedKeyValue>> {
    let mut kvs = Vec::new();
    let view = store.at(None).ok()?;
    view.range(&RangeRequest::new(KeyRange::all()), &mut |kv| {
        kvs.push(kv.into());
        ControlFlow::Continue(())
    })
    .ok()?;
    Some(kvs)
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut bytes = data.to_vec();
    let size = bytes.get(24..28).map_or(4096, |n| u32::from_le_bytes(n.try_into().unwrap()));
    for meta in [0, size as usize] {
        let Some(page) = bytes.get_mut(meta..meta.saturating_add(80)) else { continue };
        // Every eighth input keeps its checksums.
        if data.len() % 8 != 7 {
            page[16..24].copy_from_slice(&[0xed, 0xda, 0x0c, 0xed, 2, 0, 0, 0]);
            let sum = fnv1a64(&page[16..72]).to_le_bytes();
            page[72..80].copy_from_slice(&sum);
        }
    }
    let source = Source::from_bytes("file.db", bytes);
    let options = StoreOptions { memory: 500, ..StoreOptions::default() };
    // With damage: nothing but an end, and order.
    if let Ok(store) = Store::open(&source, &StoreOptions { allow_damage: true, ..options }, &Quiet) {
        if let Ok(view) = store.at(None) {
            let keys: Vec<_> = view.keys(KeyRange::all()).with_deleted().map_while(Result::ok).collect();
            assert!(keys.is_sorted_by(|a, b| a.key < b.key));
        }
        let _ = store.events(None, None, None, &mut |_| ControlFlow::Continue(()));
        let _ = store.facts_with_leases(10);
    }
    let Ok(store) = Store::open(&source, &options, &Quiet) else { return };
    let Some(kvs) = live(&store) else { return };
    let roomy = Store::open(&source, &StoreOptions::default(), &Quiet).unwrap();
    assert_eq!(live(&roomy).as_ref(), Some(&kvs));
    for kv in kvs.iter().take(20) {
        assert_eq!(store.at(None).unwrap().get(&kv.key).unwrap().as_ref(), Some(kv));
    }
});
