//! What is told in bbolt's words of a database, and what is counted of its buckets, makes an end. The meta pages are
//! made to fit first; a file without a fault by our own walk has none by these rules.
#![no_main]

use std::ops::ControlFlow;

use coldbolt::bolt::{Db, Pgid};
use coldbolt::codec::checksum::fnv1a64;
use coldbolt::io::Source;
use coldbolt::ops::bolt::{bucket_tree, check, page_use};
use coldbolt::words::monitor::{Collect, Quiet};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut bytes = data.to_vec();
    let size = bytes.get(24..28).map_or(4096, |n| u32::from_le_bytes(n.try_into().unwrap()));
    for meta in [0, size as usize] {
        let Some(page) = bytes.get_mut(meta..meta.saturating_add(80)) else { continue };
        page[16..24].copy_from_slice(&[0xed, 0xda, 0x0c, 0xed, 2, 0, 0, 0]);
        let sum = fnv1a64(&page[16..72]).to_le_bytes();
        page[72..80].copy_from_slice(&sum);
    }
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
