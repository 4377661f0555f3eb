//! A compressed file or an archive, as it is and behind the first bytes of each of them: no more comes out than is
//! allowed, what is listed opens or is an error, and no path leads out.
#![no_main]

use std::io::Read;
use std::path::{Component, Path};

use coldbolt::etcd::within;
use coldbolt::io::Source;
use coldbolt::io::packed::{Inside, Wrapper, at_most, unpack};

const MOST: u64 = 1 << 20;
const FRONTS: [&[u8]; 6] = [
    b"\x1f\x8b\x08\0\0\0\0\0\0\x03",
    b"\x28\xb5\x2f\xfd",
    b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4\x46",
    b"BZh11AY&SY",
    b"\x04\x22\x4d\x18",
    b"PK\x03\x04",
];

fn read(bytes: Vec<u8>) {
    let source = Source::from_bytes("packed", bytes);
    let Ok(Some(inside)) = Inside::of_source(&source, &|_| Ok(None)) else { return };
    if let Some(content) = inside.content() {
        assert!(content.len() <= MOST);
    }
    for (path, len) in inside.files().unwrap_or_default().into_iter().take(64) {
        assert!(path.components().all(|part| matches!(part, Component::Normal(_))));
        let _ = inside.front_of(&path, 8192);
        if let Ok(file) = inside.open_file(&path) {
            assert_eq!(file.len(), len);
            let mut all = vec![0; len.min(MOST) as usize];
            assert!(file.read_exact_at(0, &mut all).is_ok());
        }
        let dir = path.parent().unwrap_or(Path::new(""));
        assert!(inside.list(dir).unwrap().iter().any(|(name, _)| Some(name.as_os_str()) == path.file_name()));
    }
    let _ = within::opened(source);
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    at_most(MOST);
    coldbolt::io::packed::forget();
    read(data.to_vec());
    // These are known by a database in them only.
    for wrapper in [Wrapper::Zlib, Wrapper::Lzw] {
        let _ = unpack(wrapper, data).take(MOST).read_to_end(&mut Vec::new());
    }
    if let Some((first, rest)) = data.split_first() {
        coldbolt::io::packed::forget();
        let front = FRONTS[usize::from(*first) % FRONTS.len()];
        read([front, rest].concat());
        // A header of tar whose sum is right, before what is given.
        let mut header = rest.get(..512).unwrap_or_default().to_vec();
        header.resize(512, 0);
        header[257..263].copy_from_slice(b"ustar\0");
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        coldbolt::io::packed::forget();
        read([&header, rest.get(512..).unwrap_or_default(), &[0; 1024]].concat());
    }
});
