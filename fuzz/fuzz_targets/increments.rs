//! An increment of etcd-backup-restore, its SHA-256 made to hold, packed or not; and the name of one.
#![no_main]

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;

use coldbolt::codec::checksum::sha256;
use coldbolt::etcd::etcdbr::{BackupName, Packing, changes};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Some(name) = BackupName::parse(OsStr::from_bytes(data)) {
        assert!(name.first <= name.last && name.first >= 0);
    }
    let _ = changes::<()>(data, &mut |_| Ok(()));
    let mut summed = data.to_vec();
    summed.extend(sha256(data));
    let mut read = 0;
    let all = changes::<()>(&summed, &mut |change| {
        read += 1;
        assert!(change.kv.as_kv().key.len() <= data.len());
        Ok(())
    });
    // What is refused is refused where it is met.
    let first = changes(&summed, &mut |_| Err(()));
    assert!(all.is_err() || first == if read == 0 { Ok(Ok(())) } else { Ok(Err(())) });
    for packing in [Packing::Gzip, Packing::Zlib, Packing::Lzw] {
        let mut out = Vec::new();
        let _ = packing.unpack(data).take(1 << 20).read_to_end(&mut out);
    }
});
