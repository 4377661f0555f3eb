//! What lies in pages that no tree holds: a database that the writer made, and these bytes as pages behind it.
#![no_main]

use std::ops::ControlFlow;

use coldbolt::bolt::walk::Visited;
use coldbolt::bolt::writer::{Options, Writer};
use coldbolt::bolt::{Db, Pgid};
use coldbolt::io::Source;
use coldbolt::store::carve::carve;
use coldbolt::words::monitor::Quiet;

const SIZE: usize = 1024;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut file = std::io::Cursor::new(Vec::new());
    let mut writer =
        Writer::new(&mut file, Options { page_size: SIZE as u32, ..Options::default() }).unwrap();
    writer.begin_bucket(b"key", 0).unwrap();
    writer.end_bucket().unwrap();
    writer.finish().unwrap();
    let mut bytes = file.into_inner();
    let tree = (bytes.len() / SIZE) as u64;
    // Each page carries its number, so that it may be the leaf page that it says it is.
    for page in data.chunks(SIZE) {
        let id = (bytes.len() / SIZE) as u64;
        bytes.extend_from_slice(page);
        bytes.resize(bytes.len().next_multiple_of(SIZE), 0);
        bytes[id as usize * SIZE..][..8].copy_from_slice(&id.to_le_bytes());
    }
    let source = Source::from_bytes("file.db", bytes);
    let db = Db::open(&source).unwrap();
    let reached = Visited::new(&db);
    reached.mark(Pgid(2), tree - 2);
    carve(&db, &reached, 1 << 40, &Quiet, &mut |carved| {
        assert!(carved.key.revision.main > 0 && !carved.kv.key.is_empty());
        assert!(carved.key.tombstone || carved.kv.mod_revision == carved.key.revision.main);
        let at = carved.offset as usize;
        assert_eq!(source.as_slice().unwrap()[at..].get(..carved.bytes.len()), Some(carved.bytes));
        ControlFlow::Continue(())
    });
});
