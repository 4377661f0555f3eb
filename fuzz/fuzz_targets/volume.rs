//! A volume of ext4 with a journal, of which bytes are other ones: what is listed opens or is an error, no file is read past
//! its end, and nothing goes round for ever. The same bytes as a table of partitions.
#![no_main]

use std::io::Read;
use std::path::Path;
use std::sync::OnceLock;

use coldbolt::io::Source;
use coldbolt::io::packed::{Inside, Kind, Wrapper, forget, unpack};

/// The front of the fixture, in which all but the files' own bytes is.
const FRONT: usize = 4 << 20;

fn image() -> &'static [u8] {
    static IMAGE: OnceLock<Vec<u8>> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let packed: &[u8] = include_bytes!("../../fixtures/volume/ext4.img.xz");
        let mut front = vec![0; FRONT];
        unpack(Wrapper::Xz, packed).read_exact(&mut front).unwrap();
        front
    })
}

fn read(bytes: Vec<u8>) {
    forget();
    let source = Source::from_bytes("volume", bytes);
    let Ok(Some(inside)) = Inside::of_source(&source, &|_| Ok(None)) else { return };
    let mut ahead = vec![Path::new("").to_path_buf()];
    for _ in 0..64 {
        let Some(dir) = ahead.pop() else { break };
        for (name, kind) in inside.list(&dir).unwrap_or_default() {
            match kind {
                Kind::Dir => ahead.push(dir.join(name)),
                Kind::File(len) => {
                    if let Ok(file) = inside.open_file(&dir.join(name)) {
                        assert_eq!(file.len(), len);
                        let mut part = vec![0; len.min(1 << 16) as usize];
                        let _ = file.read_exact_at(0, &mut part);
                        let _ = file.read_exact_at(len.saturating_sub(part.len() as u64), &mut part);
                        assert!(file.read_exact_at(len, &mut [0]).is_err());
                    }
                }
                Kind::Other => {}
            }
        }
    }
    let _ = inside.files();
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // Each five bytes are a place and what is there.
    let mut changed = image().to_vec();
    for change in data.chunks_exact(5) {
        let at = u32::from_le_bytes([change[0], change[1], change[2], 0]) as usize;
        if let Some(byte) = changed.get_mut(at & (FRONT - 1)) {
            *byte = change[4];
        }
    }
    read(changed);
    let mut disk = data.to_vec();
    disk.resize(disk.len().max(8192), 0);
    disk[510..512].copy_from_slice(b"\x55\xaa");
    read(disk.clone());
    disk[512..520].copy_from_slice(b"EFI PART");
    read(disk);
});
