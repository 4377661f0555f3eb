//! What is packed, and damaged around what is in it.

use std::io::Write;

use coldbolt::Code;
use coldbolt::ops::verify::{Verification, verify};
use coldbolt::words::error::At;
use coldbolt::words::monitor::Quiet;
use flate2::Compression;
use flate2::write::GzEncoder;
use support::image::Image;

use super::{Break, Due, Entry, due, entry, nowhere, options};

fn verified(bytes: &[u8], dues: Vec<Due>) -> (Verification, Vec<Due>) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    (verify(file.path(), &options(), &Quiet).unwrap(), dues)
}

fn packed() -> Vec<u8> {
    let mut writer = GzEncoder::new(Vec::new(), Compression::fast());
    writer.write_all(&Image::pristine().bytes).unwrap();
    writer.finish().unwrap()
}

pub fn entries() -> Vec<Entry> {
    use Break::Other;
    vec![
        entry(
            Code::PackedDamaged,
            "the checksum of a gzip file is another",
            Other(|| {
                let mut bytes = packed();
                let sum = bytes.len() - 8;
                bytes[sum] ^= 1;
                verified(&bytes, vec![due(Code::PackedDamaged, nowhere())])
            }),
        ),
        entry(
            Code::PackedDamaged,
            "a tar ends without its end",
            Other(|| {
                let mut header = tar::Header::new_gnu();
                header.set_path("a").unwrap();
                header.set_size(0);
                header.set_cksum();
                verified(header.as_bytes(), vec![due(Code::PackedDamaged, At::offset(512))])
            }),
        ),
    ]
}
