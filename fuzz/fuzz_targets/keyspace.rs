//! A database file: every question about its keyspace comes to an end, keys come in order whatever the memory, and a
//! point get gives what the range gives. The meta pages are made to fit first, so that what lies behind them is
//! reached.
#![no_main]

use std::ops::ControlFlow;

use coldbolt::etcd::KeyRange;
use coldbolt::io::Source;
use coldbolt::store::{OwnedKeyValue, RangeRequest, Store, StoreOptions};
use coldbolt::words::monitor::Quiet;
use coldbolt_fuzz::fit_meta_pages;

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
    // Every eighth input keeps its checksums.
    if data.len() % 8 != 7 {
        fit_meta_pages(&mut bytes);
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
