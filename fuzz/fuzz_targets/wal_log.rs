//! A log of up to three segments with whatever records in them, whose checksums hold, and then a few changed bytes:
//! every way of reading ends, entries come in index order, and each can be read again. What was not changed reads
//! back as it was written.
#![no_main]

use std::ops::ControlFlow;

use coldbolt::io::Source;
use coldbolt::raft::{Entry, HardState};
use coldbolt::wal::record::RecordKind;
use coldbolt::wal::writer::LogWriter;
use coldbolt::wal::{Log, LogCursor, Metadata, Scan, SnapshotRecord};
use libfuzzer_sys::arbitrary::{Result, Unstructured};

const KINDS: [RecordKind; 5] =
    [RecordKind::Metadata, RecordKind::Entry, RecordKind::State, RecordKind::Crc, RecordKind::Snapshot];

struct Made {
    segments: Vec<(String, Vec<u8>)>,
    /// Whether etcd could have written all of it.
    sound: bool,
    entries: u64,
}

fn make(u: &mut Unstructured) -> Result<Made> {
    let metadata = Metadata { node_id: Some(7), cluster_id: Some(9) };
    let mut made = Made { segments: Vec::new(), sound: true, entries: 0 };
    let (mut crc, mut index, mut term) = (0, 0u64, 1u64);
    for seq in 0..u.int_in_range(1..=3)? {
        let name = format!("{seq:016x}-{:016x}.wal", if seq == 0 { 0 } else { index + 1 });
        let mut writer = LogWriter::new(crc);
        writer.metadata(&metadata);
        if seq == 0 {
            writer.snapshot(&SnapshotRecord { index: Some(0), term: Some(0), conf_state: None });
        } else {
            writer.state(&HardState { term: Some(term), vote: Some(7), commit: Some(index) });
        }
        for _ in 0..u.int_in_range(0..=12)? {
            match u.int_in_range(0..=9)? {
                0 => {
                    made.sound = false;
                    let data = u.arbitrary::<Option<&[u8]>>()?;
                    writer.record(*u.choose(&KINDS)?, data.map(|data| &data[..data.len().min(600)]));
                }
                1 => {
                    term += 1;
                    writer.state(&HardState { term: Some(term), vote: Some(7), commit: Some(index) });
                }
                2 => {
                    let commit = u.int_in_range(0..=index)?;
                    // etcd never goes back.
                    made.sound &= commit == index;
                    writer.state(&HardState { term: Some(term), vote: Some(7), commit: Some(commit) });
                }
                3 => {
                    // An entry that a new leader writes over, or one that leaves a gap.
                    made.sound = false;
                    index = u.int_in_range(0..=index + 2)?;
                }
                _ => {
                    index += 1;
                    made.entries += 1;
                    let data = u.arbitrary::<&[u8]>()?;
                    let data = Some(data[..data.len().min(1200)].to_vec());
                    writer.entry(&Entry { kind: Some(0), term: Some(term), index: Some(index), data });
                }
            }
        }
        crc = writer.crc();
        let mut bytes = writer.into_bytes();
        bytes.resize(bytes.len() + 8 * u.int_in_range(0..=80)?, 0);
        made.segments.push((name, bytes));
    }
    for _ in 0..u.int_in_range(0..=3)? {
        made.sound = false;
        let segment = u.choose_index(made.segments.len())?;
        let bytes = &mut made.segments[segment].1;
        let at = u.choose_index(bytes.len())?;
        if u.ratio(1, 8)? { bytes.truncate(at) } else { bytes[at] ^= u.arbitrary::<u8>()? }
    }
    Ok(made)
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(made) = make(&mut Unstructured::new(data)) else { return };
    let sources: Vec<_> =
        made.segments.iter().map(|(name, bytes)| (name, Source::from_bytes(name, bytes.clone()))).collect();
    let log = Log::new(sources.iter().map(|(name, source)| (name.as_str(), source)));
    for scan in [
        Scan { after: Some(0), raw: false },
        Scan { after: None, raw: false },
        Scan { after: Some(3), raw: true },
    ] {
        let mut damage = Vec::new();
        let (entries, summary) = log.entries(scan, &mut |fault| {
            if !fault.harmless {
                damage.push(fault.to_string());
            }
        });
        assert!(entries.windows(2).all(|pair| pair[0].index < pair[1].index));
        let mut cursor = LogCursor::default();
        for entry in &entries {
            assert_eq!(log.reread(entry, &mut cursor).unwrap().index, entry.index);
        }
        if made.sound {
            assert!(damage.is_empty(), "{damage:?}");
            let due = if scan.after == Some(3) { made.entries.saturating_sub(3) } else { made.entries };
            assert_eq!(entries.len() as u64, due, "{scan:?}");
        }
        let _ = summary.end().map(|end| end.at_boot());
        let mut visits = 0;
        log.scan(scan, &mut |_| {}, &mut |_| {
            visits += 1;
            if visits > 100 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
    }
    for index in 0..8 {
        drop(log.select(index).map(|log| log.segments().len()));
    }
});
