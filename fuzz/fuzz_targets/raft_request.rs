//! The data of a raft entry: both decoders end, what has no secret prints the same either way.
#![no_main]

use coldbolt::etcd::request::{Tree, decode, tree};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = decode(data);
    match tree(data) {
        Tree::V3(node) | Tree::V2(node) => {
            assert!(node.has_secret() || node.text(false) == node.text(true));
            let _ = node.json(false).to_string();
        }
        Tree::Unknown => {}
    }
});
