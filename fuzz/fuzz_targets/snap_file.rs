//! A raft snapshot file: a fault or a snapshot that reads back the same; the v2 store as bare JSON too.
#![no_main]

use coldbolt::snap::file::{Membership, SnapFile};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(file) = SnapFile::decode(data) {
        let _ = file.membership();
        if let Ok(again) = SnapFile::decode(&SnapFile::encode(&file.snapshot)) {
            assert_eq!(again.snapshot, file.snapshot);
        }
    }
    let _ = Membership::from_v2(data);
});
