//! A database of kine and its log: bytes changed, and both cut off, in process and through the file system.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use coldbolt::Error;
use coldbolt::etcd::kine::{KineRow, TABLE};
use coldbolt::io::Source;
use coldbolt::ops::{KineOptions, kine};
use coldbolt::sqlite::Database;
use coldbolt::store::{Store, StoreOptions};
use coldbolt::words::monitor::{Collect, Quiet};
use support::fixture;
use support::packed::unpacked;

const SLOWEST: Duration = Duration::from_secs(10);

fn packed(name: &str) -> Vec<u8> {
    unpacked(&fixture(&format!("kine/{name}.gz")))
}

/// Rows by their ids, and how many places could not be read.
type Rows = (Vec<(i64, Vec<u8>)>, usize);

/// The rows that are read, if the file can be opened.
fn rows(file: &[u8], log: &[u8]) -> Option<Rows> {
    let started = Instant::now();
    let file = Source::from_bytes("state.db", file.to_vec());
    let log = Source::from_bytes("state.db-wal", log.to_vec());
    let database = Database::open(&file, Some(&log)).ok()?;
    let table = database.table(TABLE).ok()??;
    let (mut rows, mut faults) = (Vec::new(), 0);
    database.rows(table.root, &mut |row| {
        match row {
            Ok(row) => {
                let _ = KineRow::read(row.id, row.payload);
                rows.push((row.id, row.payload.to_vec()));
            }
            Err(_) => faults += 1,
        }
        ControlFlow::Continue(())
    });
    assert!(rows.windows(2).all(|pair| pair[0].0 < pair[1].0), "out of order");
    assert!(started.elapsed() < SLOWEST, "{:?}", started.elapsed());
    Some((rows, faults))
}

#[test]
fn whatever_byte_of_the_file_or_of_its_log_changes_rows_are_in_order_or_damage_is_told() {
    let (file, log) = (packed("state.db"), packed("state.db-wal"));
    let whole = rows(&file, &log).unwrap();
    assert_eq!((whole.0.len(), whole.1), (60, 0));
    let alone = rows(&file, &[]).unwrap();
    let (mut told, mut refused) = (0, 0);
    for at in (0..file.len()).step_by(13) {
        for mask in [0x01, 0xff] {
            let mut changed = file.clone();
            changed[at] ^= mask;
            match rows(&changed, &[]) {
                None => refused += 1,
                Some((_, faults)) => told += usize::from(faults > 0),
            }
        }
    }
    assert!(told > 20 && refused > 3, "{told} {refused}");
    // A log that is not whole is read up to a commit: its rows are the file's, or those of some moment after it.
    for at in (0..32 + 16 * 4120).step_by(101) {
        let mut changed = log.clone();
        changed[at] ^= 0x10;
        let (rows, faults) = rows(&file, &changed).unwrap();
        assert_eq!(faults, 0, "byte {at}");
        assert!(rows.len() + 1 >= alone.0.len().min(whole.0.len()), "byte {at}: {} rows", rows.len());
    }
}

#[test]
fn however_short_it_is_cut_the_rows_that_are_left_are_those_of_the_whole_one() {
    let (file, log) = (packed("state.db"), packed("state.db-wal"));
    let (alone, _) = rows(&file, &[]).unwrap();
    for len in (0..file.len()).step_by(509) {
        if let Some((left, faults)) = rows(&file[..len], &[]) {
            assert!(left.iter().all(|row| alone.contains(row)), "{len}");
            assert!(faults > 0 || left.len() == alone.len(), "{len}: {} of {} rows", left.len(), alone.len());
        }
    }
    for len in (0..log.len()).step_by(997) {
        assert_eq!(rows(&file, &log[..len]).unwrap().1, 0, "{len}");
    }
}

#[test]
fn what_is_made_of_a_damaged_one_is_a_whole_etcd_database_and_its_damage_is_told() {
    let file = packed("state.db");
    let (mut made, mut damaged) = (0, 0);
    for at in (0..file.len()).step_by(101) {
        let mut changed = file.clone();
        changed[at] ^= 0xff;
        let source = Source::from_bytes("state.db", changed);
        let heard = Collect::default();
        let Ok(kine) = kine(&source, &KineOptions { allow_damage: true }, &heard) else { continue };
        made += 1;
        let findings = heard.into_findings();
        match coldbolt::ops::kine(&source, &KineOptions::default(), &Quiet) {
            Ok(_) => assert!(findings.is_empty(), "byte {at}: {findings:?}"),
            Err(Error::Damaged { .. }) => {
                damaged += 1;
                assert!(!findings.is_empty(), "byte {at}");
            }
            Err(other) => panic!("byte {at}: {other}"),
        }
        let store = Store::open(&kine.database, &StoreOptions::default(), &Quiet).unwrap();
        let all = store.at(None).unwrap().items(coldbolt::etcd::KeyRange::all());
        assert!(all.map(|item| item.unwrap()).all(|item| !item.key.is_empty()), "byte {at}");
    }
    assert!(made > 200 && damaged > 2, "{made} {damaged}");
}
