//! A raft snapshot file: a fault or a snapshot that reads back the same. The same bytes as the content of one whose
//! checksum holds, and as the v2 store in it.
#![no_main]

use coldbolt::codec::checksum::crc32c;
use coldbolt::raft::{Snapshot, SnapshotMetadata};
use coldbolt::snap::file::{Membership, SnapFile, has_custom_content};
use coldbolt::snap::v2::{self, V2Member};
use coldbolt::words::ids::MemberId;
use prost::encoding::{bytes, uint32};

fn read(bytes: &[u8]) -> bool {
    let Ok(file) = SnapFile::decode(bytes) else { return false };
    let _ = (file.membership(), file.index(), file.term());
    if let Ok(again) = SnapFile::decode(&SnapFile::encode(&file.snapshot)) {
        assert_eq!(again.snapshot, file.snapshot);
    }
    true
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    read(data);
    let mut sealed = Vec::new();
    uint32::encode(1, &crc32c(0, data), &mut sealed);
    bytes::encode(2, &data.to_vec(), &mut sealed);
    read(&sealed);
    let snapshot = Snapshot {
        data: Some(data.to_vec()),
        metadata: Some(SnapshotMetadata { index: Some(1), ..SnapshotMetadata::default() }),
    };
    assert!(read(&SnapFile::encode(&snapshot)));
    let _ = (Membership::from_v2(data), has_custom_content(data));
    let member = V2Member { id: MemberId::new(9), peer_urls: vec!["http://a"], learner: false };
    let Ok(changed) = v2::with_member(data, &member) else { return };
    if let Some(custom) = has_custom_content(data) {
        assert_eq!(has_custom_content(&changed), Some(custom));
    }
    if let Ok(membership) = Membership::from_v2(&changed) {
        assert_eq!(membership.members.len(), 1);
    }
});
