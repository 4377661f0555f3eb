//! What is told in bbolt's words of a database, and what is counted of its buckets, makes an end. The meta pages are
//! made to fit first; a file without a fault by our own walk has none by these rules.
#![no_main]

use std::ops::ControlFlow;

use coldbolt::bolt::{Db, Pgid};
use coldbolt::io::Source;
use coldbolt::ops::bolt::{bucket_tree, check, page_use};
use coldbolt::words::monitor::{Collect, Quiet};
use coldbolt_fuzz::fit_meta_pages;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut bytes = data.to_vec();
    fit_meta_pages(&mut bytes);
    let source = Source::from_bytes("file.db", bytes);
    let Ok(db) = Db::open(&source) else { return };
    let mut lines = 0u64;
    let mut say = |_: &str| {
        lines += 1;
        ControlFlow::Continue(())
    };
    check(&db, None, &mut say, &Quiet).unwrap();
    let heard = Collect::default();
    let uses = page_use(&db, &heard).unwrap();
    assert!(!uses.complete || !heard.into_findings().is_empty() || lines == 0, "{lines} lines");
    check(&db, Some(Pgid(3)), &mut |_| ControlFlow::Continue(()), &Quiet).unwrap();
    let tree = bucket_tree(&db, &Quiet).unwrap();
    assert!(tree.buckets.iter().skip(1).enumerate().all(|(at, node)| node.parent.is_some_and(|p| p <= at)));
});
