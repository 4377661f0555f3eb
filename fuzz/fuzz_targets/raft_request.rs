//! The data of a raft entry: the two decoders agree on what it is, unless text in it is not UTF-8, and printing ends.
#![no_main]

use coldbolt::etcd::request::{Tree, decode, tree};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = decode(data);
    match tree(data) {
        Tree::V3(node) | Tree::V2(node) => {
            let hidden = node.text(false);
            assert_eq!(node.has_secret(), hidden != node.text(true) || hidden.contains("<redacted>") && node.has_secret());
            let _ = node.json(true).to_string();
        }
        Tree::Unknown => {}
    }
});
