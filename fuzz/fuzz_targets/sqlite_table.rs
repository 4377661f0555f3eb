//! A database of SQLite, alone and under a log whose checksums hold: rows in order, no more than there are bytes for.
//! The same bytes as a row of kine.
#![no_main]

use std::ops::ControlFlow;

use coldbolt::etcd::BucketKey;
use coldbolt::etcd::kine::{KineRow, TABLE, is_kines};
use coldbolt::io::Source;
use coldbolt::sqlite::{Database, MAGIC};

const PAGE: usize = 512;

fn read(file: &Source, log: Option<&Source>) {
    let Ok(database) = Database::open(file, log) else { return };
    let bytes = file.len() + log.map_or(0, Source::len);
    let mut roots = vec![1];
    if let Ok(Some(table)) = database.table(TABLE) {
        let _ = is_kines(&table.sql);
        roots.push(table.root);
    }
    for root in roots {
        let (mut last, mut total) = (None, 0);
        database.rows(root, &mut |row| {
            if let Ok(row) = row {
                assert!(last.is_none_or(|last| last < row.id));
                last = Some(row.id);
                total += row.payload.len() as u64;
                kine(row.id, row.payload);
            }
            ControlFlow::Continue(())
        });
        assert!(total <= bytes, "{total} of {bytes}");
    }
}

fn kine(id: i64, payload: &[u8]) {
    if let Ok(KineRow::Change(change)) = KineRow::read(id, payload) {
        let (key, kv) = change.stored();
        assert_eq!(BucketKey::parse(&key.to_bytes()), Ok(key));
        assert!(kv.check(key, &kv.encode()).is_ok());
    }
}

/// The sums of a log whose words are big-endian.
fn sum((mut one, mut two): (u32, u32), bytes: &[u8]) -> (u32, u32) {
    for pair in bytes.as_chunks::<8>().0 {
        let [a, b, c, d, e, f, g, h] = *pair;
        one = one.wrapping_add(u32::from_be_bytes([a, b, c, d])).wrapping_add(two);
        two = two.wrapping_add(u32::from_be_bytes([e, f, g, h])).wrapping_add(one);
    }
    (one, two)
}

fn put(log: &mut Vec<u8>, words: &[u32]) {
    words.iter().for_each(|word| log.extend_from_slice(&word.to_be_bytes()));
}

/// Every 513 bytes are a frame: its page, one of eight, and whether it commits; then the page, of which the first has a
/// header.
fn log(data: &[u8]) -> Vec<u8> {
    let mut log = Vec::new();
    put(&mut log, &[0x377f_0683, 3_007_000, 512, 0, 1, 2]);
    let mut sums = sum((0, 0), &log);
    put(&mut log, &[sums.0, sums.1]);
    for frame in data.chunks_exact(PAGE + 1) {
        let (number, mut page) = (u32::from(frame[0] & 7) + 1, frame[1..].to_vec());
        if number == 1 {
            page[..100].fill(0);
            page[..24].copy_from_slice(&header()[..24]);
        }
        let at = log.len();
        put(&mut log, &[number, u32::from(frame[0] >> 5), 1, 2]);
        sums = sum(sum(sums, &log[at..at + 8]), &page);
        put(&mut log, &[sums.0, sums.1]);
        log.extend_from_slice(&page);
    }
    log
}

fn header() -> Vec<u8> {
    let mut page = vec![0; PAGE];
    page[..16].copy_from_slice(MAGIC);
    page[16..24].copy_from_slice(&[2, 0, 2, 2, 0, 64, 32, 32]);
    page
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    read(&Source::from_bytes("state.db", data.to_vec()), None);
    let log = Source::from_bytes("state.db-wal", log(data));
    read(&Source::from_bytes("state.db", header()), Some(&log));
    kine(7, data);
});
