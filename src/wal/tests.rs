//! What etcd's own tests of its WAL state, on logs written here.

use super::*;
use crate::codec::checksum::crc32c;
use crate::io::Source;
use crate::raft::{Entry, HardState};
use crate::words::finding::{Code, Finding, Severity};
use prost::Message;

/// A log writer of a few lines: segments as `(name, bytes)`.
pub(crate) struct Written {
    pub files: Vec<(String, Vec<u8>)>,
    crc: u32,
    metadata: Vec<u8>,
}

impl Written {
    pub fn new() -> Written {
        Written::of_member(7)
    }

    pub fn of_member(node_id: u64) -> Written {
        let metadata = Metadata { node_id: Some(node_id), cluster_id: Some(9) }.encode_to_vec();
        let mut log = Written { files: Vec::new(), crc: 0, metadata };
        log.cut(0);
        log.record(5, &[0x08, 0x00, 0x10, 0x00]);
        log
    }

    /// A new segment that expects `index`.
    pub fn cut(&mut self, index: u64) {
        let name = SegmentName { sequence: self.files.len() as u64, index: index.into() };
        self.files.push((name.to_string(), Vec::new()));
        let crc = self.crc;
        self.frame(4, crc, None);
        let metadata = self.metadata.clone();
        self.record(1, &metadata);
    }

    pub fn record(&mut self, kind: u8, data: &[u8]) {
        self.crc = crc32c(self.crc, data);
        let crc = self.crc;
        self.frame(kind, crc, Some(data));
    }

    fn frame(&mut self, kind: u8, crc: u32, data: Option<&[u8]>) {
        let mut record = vec![0x08, kind, 0x10];
        prost::encoding::encode_varint(u64::from(crc), &mut record);
        if let Some(data) = data {
            record.push(0x1a);
            prost::encoding::encode_varint(data.len() as u64, &mut record);
            record.extend_from_slice(data);
        }
        let bytes = &mut self.files.last_mut().unwrap().1;
        bytes.extend_from_slice(&frame::FrameSize::word(record.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&record);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
    }

    pub fn entry(&mut self, term: u64, index: u64, data: &[u8]) {
        let data = (!data.is_empty()).then(|| data.to_vec());
        self.record(2, &Entry { kind: Some(0), term: Some(term), index: Some(index), data }.encode_to_vec());
    }

    pub fn state(&mut self, term: u64, commit: u64) {
        self.record(3, &HardState { term: Some(term), vote: Some(7), commit: Some(commit) }.encode_to_vec());
    }

    pub fn snapshot(&mut self, term: u64, index: u64) {
        self.record(
            5,
            &SnapshotRecord { index: Some(index), term: Some(term), conf_state: None }.encode_to_vec(),
        );
    }

    pub fn last(&mut self) -> &mut Vec<u8> {
        &mut self.files.last_mut().unwrap().1
    }

    pub fn sources(&self) -> Vec<(String, Source)> {
        self.files
            .iter()
            .map(|(name, bytes)| (name.clone(), Source::from_bytes(name.clone(), bytes.clone())))
            .collect()
    }

    pub fn read(&self, scan: Scan) -> (Vec<EntryRef>, Summary, Vec<Finding>) {
        let sources = self.sources();
        let mut findings = Vec::new();
        let log = Log::new(sources.iter().map(|(name, source)| (name.as_str(), source)));
        let (entries, summary) = log.entries(scan, &mut |fault| {
            let severity = if fault.harmless { Severity::Warning } else { Severity::Damage };
            let finding = Finding::from_corrupt(&sources[fault.segment].0, fault.corrupt);
            findings.push(Finding { severity, ..finding });
        });
        (entries, summary, findings)
    }
}

const ALL: Scan = Scan { after: Some(0), raw: false };
const RAW: Scan = Scan { after: None, raw: true };

fn indexes(entries: &[EntryRef]) -> Vec<u64> {
    entries.iter().map(|entry| entry.index.get()).collect()
}

/// A log of `count` entries as etcd's repair tests write it.
fn small(count: u64) -> Written {
    let mut log = Written::new();
    (1..=count).for_each(|index| log.entry(1, index, b""));
    log
}

#[test]
fn a_single_record_is_read_and_its_five_damages_are_told_apart() {
    let good = b"\x0e\x00\x00\x00\x00\x00\x00\x00\x08\x01\x10\x99\xb5\xe4\xd0\x03\x1a\x04\x08\xef\xfd\x02";
    // 14 bytes without padding: a frame as etcd wrote them before it padded.
    let read = |bytes: &[u8]| {
        let source = Source::from_bytes("vector", bytes.to_vec());
        let mut segment = Segment::new(&source, 0, true);
        let record = segment
            .next()
            .map(|record| (record.kind, record.crc, record.bytes().to_vec(), record.fault.is_some()));
        (record, segment.end().cloned())
    };
    let mut padded = good.to_vec();
    padded.extend([0, 0]);
    padded[7] = 0x82;
    assert_eq!(
        read(&padded),
        (Some((RecordKind::Metadata, 0x3a19_1a99, vec![0x08, 0xef, 0xfd, 0x02], false)), None)
    );
    let (record, end) = read(good);
    assert_eq!(
        (record.unwrap().2, end),
        (vec![0x08, 0xef, 0xfd, 0x02], None),
        "the vector as it stands in etcd's test"
    );
    assert_eq!(read(b""), (None, Some(End::CleanEof)));
    for len in [14, good.len() - 4, good.len() - 8] {
        let (record, end) = read(&good[..len]);
        assert!(record.is_none() && matches!(end, Some(End::Torn(_))), "{len}: {end:?}");
    }
    padded[21] = b'a';
    let (record, end) = read(&padded);
    let Some(End::Damaged(corrupt)) = end else { panic!("{end:?}") };
    assert_eq!((record, corrupt.code), (None, Code::WalCrc));
}

#[test]
fn a_log_cut_off_in_its_last_record_keeps_the_entries_before() {
    let mut log = small(10);
    let len = log.last().len() - 4;
    log.last().truncate(len);
    let (entries, summary, findings) = log.read(ALL);
    assert_eq!(indexes(&entries), (1..=9).collect::<Vec<_>>());
    assert_eq!(
        findings.iter().map(|f| (f.code, f.severity)).collect::<Vec<_>>(),
        [(Code::WalTorn, Severity::Warning)]
    );
    assert_eq!(summary.at_boot(), [("every version", AtBoot::Repairs)]);
    assert_eq!(
        summary.segments[0].used,
        summary.segments[0]
            .end
            .as_ref()
            .map(|end| match end {
                End::Torn(t) => t.offset,
                _ => 0,
            })
            .unwrap()
    );
}

#[test]
fn a_record_torn_at_a_sector_is_torn_and_not_damaged() {
    // Everything past byte 1024 was never written: the file has its length, its sectors are zeros. A record must
    // straddle that byte.
    let write = |size: usize| {
        let mut log = Written::new();
        (1..=50).for_each(|index| log.entry(1, index, &vec![0xaa; size]));
        log
    };
    let straddles = |log: &Written| log_entries(log).iter().all(|(_, end)| *end != 1024);
    let mut log = (20..60).map(write).find(straddles).unwrap();
    let len = log.last().len();
    log.last().truncate(1024);
    log.last().resize(len, 0);
    let (entries, summary, findings) = log.read(ALL);
    assert!(
        matches!(summary.end(), Some(End::Torn(Torn { reason: TornReason::ZeroSectorChecksum { .. }, .. }))),
        "{:?}",
        summary.end()
    );
    assert!(!entries.is_empty() && entries.len() < 50);
    assert_eq!(indexes(&entries), (1..=entries.len() as u64).collect::<Vec<_>>());
    assert_eq!(
        findings.iter().map(|f| (f.code, f.severity)).collect::<Vec<_>>(),
        [(Code::WalTorn, Severity::Warning)]
    );
}

#[test]
fn a_zeroed_sector_in_the_middle_is_torn_for_etcd_and_damage_for_us() {
    let data: Vec<u8> = (0..4096u32).map(|i| i as u8).collect();
    let mut log = Written::new();
    (1..=5).for_each(|index| log.entry(1, index, &data));
    log.last()[4096 + 512..4096 + 1024].fill(0);
    let (entries, summary, findings) = log.read(ALL);
    assert_eq!(indexes(&entries), [1]);
    assert!(matches!(summary.end(), Some(End::Torn(_))));
    assert_eq!(findings[0].code, Code::WalTorn);
    assert_eq!(findings[0].severity, Severity::Damage, "records follow that etcd's repair cuts off");
}

#[test]
fn a_zeroed_sector_in_an_older_segment_is_damage() {
    let data = [0x55; 4096];
    let mut log = Written::new();
    log.entry(1, 1, &data);
    log.cut(2);
    log.entry(1, 2, b"x");
    log.files[0].1[1024..1536].fill(0);
    let (entries, summary, findings) = log.read(ALL);
    assert_eq!((entries.len(), summary.complete), (0, false));
    assert_eq!(findings[0].code, Code::WalCrc);
    assert_eq!(summary.at_boot(), [("every version", AtBoot::Refuses)]);
}

#[test]
fn an_older_segment_that_was_cut_short_is_damage() {
    let mut log = small(3);
    log.cut(4);
    log.entry(1, 4, b"x");
    let len = log.files[0].1.len() - 4;
    log.files[0].1.truncate(len);
    let (entries, _, findings) = log.read(ALL);
    assert_eq!(indexes(&entries), [1, 2]);
    assert_eq!((findings[0].code, findings[0].severity), (Code::WalRecord, Severity::Damage));
}

#[test]
fn a_length_past_the_end_is_repaired_by_some_versions_only() {
    let mut log = small(2);
    let at = log.last().len();
    log.entry(1, 3, b"abc");
    log.last()[at + 2] = 1;
    let (entries, summary, _) = log.read(ALL);
    assert_eq!(indexes(&entries), [1, 2]);
    assert_eq!(summary.at_boot()[1], ("3.5.5 and 3.5.6", AtBoot::Refuses));
    log.last()[at + 2] = 0;
    log.last()[at + 5] = 1;
    let (_, summary, _) = log.read(ALL);
    assert_eq!(
        summary.at_boot(),
        [("3.4.0 to 3.5.6", AtBoot::Refuses), ("3.5.7 and newer", AtBoot::Repairs)]
    );
}

#[test]
fn what_follows_a_zero_word_is_ignored_with_a_warning() {
    let mut log = small(3);
    let used = log.last().len();
    log.last().extend([0; 64]);
    assert!(log.read(ALL).2.is_empty());
    log.last()[used + 40] = 1;
    let (entries, summary, findings) = log.read(ALL);
    assert_eq!((entries.len(), summary.complete), (3, true));
    assert_eq!((findings[0].code, findings[0].severity), (Code::WalTorn, Severity::Warning));
    assert!(findings[0].detail.contains(&format!("{:#x}", used + 40)), "{}", findings[0].detail);
}

#[test]
fn a_damaged_length_is_not_taken_for_a_torn_write() {
    // etcd takes both for torn and cuts off everything from there on.
    for (byte, rest) in [(3, 0), (1, 8192)] {
        let mut log = small(3);
        let at = log.last().len();
        (4..=9).for_each(|index| log.entry(1, index, b"abc"));
        log.state(1, 9);
        let len = log.last().len();
        log.last().resize(len + rest, 0);
        log.last()[at + byte] ^= 0x10;
        let (entries, summary, findings) = log.read(ALL);
        assert!(matches!(summary.end(), Some(End::Torn(_))));
        assert_eq!((indexes(&entries), summary.discarded), (vec![1, 2, 3], true));
        assert!(
            summary.at_boot().contains(&("3.5.7 and newer", AtBoot::Repairs))
                || summary.at_boot() == [("every version", AtBoot::Repairs)]
        );
        assert_eq!((findings[0].code, findings[0].severity), (Code::WalTorn, Severity::Damage));
        assert!(findings[0].detail.contains("its length is damaged"), "{}", findings[0].detail);
        assert!(
            findings[0].detail.contains("commits index 9, the entries before end at 3"),
            "{}",
            findings[0].detail
        );
    }
}

#[test]
fn a_zeroed_length_that_hides_committed_entries_is_damage() {
    let mut log = small(3);
    let at = log.last().len();
    (4..=9).for_each(|index| log.entry(1, index, b"abc"));
    log.state(1, 8);
    log.last()[at..at + 40].fill(0);
    let (entries, summary, findings) = log.read(ALL);
    assert_eq!((indexes(&entries), summary.end()), (vec![1, 2, 3], Some(&End::ZeroWord)));
    assert_eq!((findings.len(), findings[0].severity), (1, Severity::Damage));
    assert!(
        findings[0].detail.contains("commits index 8, the entries before end at 3"),
        "{}",
        findings[0].detail
    );
}

#[test]
fn a_later_entry_replaces_those_from_its_index_on() {
    let mut log = Written::new();
    (1..=5).for_each(|index| log.entry(1, index, b"old"));
    log.cut(6);
    log.entry(2, 3, b"new");
    log.entry(2, 4, b"new");
    log.state(2, 4);
    let (entries, summary, findings) = log.read(ALL);
    assert_eq!(findings, []);
    assert_eq!(
        entries.iter().map(|e| (e.index.get(), e.term.get())).collect::<Vec<_>>(),
        [(1, 1), (2, 1), (3, 2), (4, 2)]
    );
    assert_eq!((summary.first, summary.last, summary.overridden), (Some(1), Some(4), 3));
    assert_eq!(summary.hard_state.unwrap().commit(), 4);
    assert_eq!(
        summary.counts,
        Counts { metadata: 2, entries: 7, states: 1, crcs: 2, snapshots: 1, other: 0 }
    );

    let sources = log.sources();
    let read = Log::new(sources.iter().map(|(name, source)| (name.as_str(), source)));
    let mut cursor = LogCursor::default();
    assert_eq!(read.reread(&entries[0], &mut cursor).unwrap().bytes(), b"old");
    assert_eq!(read.reread(&entries[3], &mut cursor).unwrap().bytes(), b"new");
}

#[test]
fn reading_starts_after_an_index_in_the_segment_that_holds_it() {
    let mut log = Written::new();
    (1..=4).for_each(|index| log.entry(1, index, b""));
    log.snapshot(1, 4);
    log.cut(5);
    (5..=8).for_each(|index| log.entry(1, index, b""));
    let sources = log.sources();
    let whole = Log::new(sources.iter().map(|(name, source)| (name.as_str(), source)));
    let from = whole.select(6).unwrap();
    assert_eq!(from.segments().len(), 1);
    let mut findings = Vec::new();
    let (entries, summary) = from.entries(Scan { after: Some(6), raw: false }, &mut |f| findings.push(f));
    assert_eq!((indexes(&entries), summary.complete, findings.len()), (vec![7, 8], true, 0));
    let late = Log::new(sources.iter().skip(1).map(|(name, source)| (name.as_str(), source)));
    assert_eq!(late.select(4).unwrap_err().code, Code::WalSequence);
}

#[test]
fn a_missing_segment_a_missing_entry_and_a_foreign_segment_are_reported() {
    let mut log = Written::new();
    for index in 1..=3 {
        log.entry(1, index, b"");
        log.cut(index + 1);
    }
    log.files.remove(2);
    let (_, _, findings) = log.read(ALL);
    assert_eq!(findings[0].code, Code::WalSequence);
    let (_, summary, findings) = log.read(RAW);
    assert_eq!(summary.counts.entries, 2);
    assert_eq!(findings.iter().map(|f| f.code).collect::<Vec<_>>(), [Code::WalSequence], "{findings:?}");

    let mut log = small(3);
    log.entry(1, 5, b"");
    let (entries, _, findings) = log.read(ALL);
    assert_eq!((indexes(&entries), findings[0].code), (vec![1, 2, 3], Code::WalEntryGap));

    let mut log = small(3);
    log.metadata = Metadata { node_id: Some(8), cluster_id: Some(9) }.encode_to_vec();
    log.cut(4);
    log.entry(1, 4, b"");
    let (entries, _, findings) = log.read(ALL);
    assert_eq!((indexes(&entries), findings[0].code), (vec![1, 2, 3], Code::WalMetadata));
}

#[test]
fn a_snapshot_from_the_leader_explains_a_gap() {
    let mut log = small(3);
    log.snapshot(2, 100);
    log.entry(2, 101, b"");
    log.state(2, 101);
    let (entries, summary, findings) = log.read(ALL);
    assert_eq!(indexes(&entries), [1, 2, 3, 101]);
    assert_eq!(findings, []);
    assert_eq!(summary.valid_snapshots().map(SnapshotRecord::index).collect::<Vec<_>>(), [0, 100]);
}

#[test]
fn a_snapshot_past_the_commit_index_is_not_valid() {
    let mut log = small(3);
    log.state(1, 2);
    log.snapshot(1, 3);
    let (_, summary, _) = log.read(ALL);
    assert_eq!(summary.valid_snapshots().map(SnapshotRecord::index).collect::<Vec<_>>(), [0]);
}

#[test]
fn raw_reading_names_the_one_record_whose_checksum_is_wrong() {
    let mut log = Written::new();
    let mut starts = Vec::new();
    for index in 1..=6 {
        starts.push(log.last().len());
        log.entry(1, index, b"abcdefgh");
    }
    let byte = starts[2] + 30;
    log.last()[byte] ^= 1;
    let (entries, _, findings) = log.read(ALL);
    assert_eq!((indexes(&entries), findings.len()), (vec![1, 2], 1));
    let (_, summary, findings) = log.read(RAW);
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!((findings[0].code, findings[0].at.offset), (Code::WalCrc, Some(starts[2] as u64)));
    assert_eq!((summary.segments[0].records, summary.complete), (9, false));
}

/// What a reader makes of a log: the entries with their data, and whether it had anything to say.
fn reading(log: &Written) -> (Vec<Entry>, Summary, Vec<Fault>) {
    let sources = log.sources();
    let log = Log::new(sources.iter().map(|(name, source)| (name.as_str(), source)));
    let mut faults = Vec::new();
    let (entries, summary) = log.entries(ALL, &mut |fault| faults.push(fault));
    let mut cursor = LogCursor::default();
    let read = |entry: &EntryRef| {
        let view = log.reread(entry, &mut cursor).unwrap();
        Entry {
            kind: Some(view.kind),
            term: Some(view.term.get()),
            index: Some(view.index.get()),
            data: view.data.map(<[u8]>::to_vec),
        }
    };
    (entries.iter().map(read).collect(), summary, faults)
}

/// A log with every type of record, two segments and a preallocated rest.
fn rich() -> Written {
    let mut log = Written::new();
    let change = crate::raft::ConfChange {
        id: Some(1),
        kind: Some(0),
        node_id: Some(7),
        context: Some(b"{\"id\":7}".to_vec()),
    };
    let entry = Entry { kind: Some(1), term: Some(1), index: Some(1), data: Some(change.encode_to_vec()) };
    log.record(2, &entry.encode_to_vec());
    log.state(1, 1);
    (2..=4).for_each(|index| log.entry(2, index, b"some data"));
    log.state(2, 3);
    log.snapshot(1, 1);
    log.cut(5);
    log.state(2, 3);
    (5..=7).for_each(|index| log.entry(2, index, b"more data"));
    log.state(2, 7);
    log.last().extend([0; 600]);
    log
}

#[test]
fn no_flipped_byte_changes_an_entry_silently() {
    let log = rich();
    let (good, summary, findings) = reading(&log);
    assert_eq!((good.len(), findings), (7, vec![]));
    assert!(summary.complete);
    let starts: Vec<(usize, u64)> = log_entries(&log);
    for file in 0..log.files.len() {
        for at in 0..log.files[file].1.len() {
            for mask in [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xff, 0x55] {
                let mut bad = Written { files: log.files.clone(), crc: 0, metadata: Vec::new() };
                bad.files[file].1[at] ^= mask;
                let (entries, changed, findings) = reading(&bad);
                let place = format!("segment {file}, byte {at:#x}, xor {mask:#x}");
                let untouched = starts.iter().filter(|(f, end)| (*f, *end) <= (file, at as u64)).count();
                assert!(
                    entries.len() >= untouched.min(good.len()),
                    "{place}: {} entries, {untouched} lie before",
                    entries.len()
                );
                assert_eq!(entries[..untouched], good[..untouched], "{place}");
                if findings.is_empty() {
                    assert_eq!(entries, good, "{place}: changed without a word");
                    assert_eq!(
                        (changed.hard_state, changed.metadata),
                        (summary.hard_state, summary.metadata),
                        "{place}"
                    );
                    assert_eq!(changed.snapshots, summary.snapshots, "{place}");
                }
                // The other ways of reading must end as well.
                bad.read(RAW);
            }
        }
    }
}

/// The segment and the end offset of each entry's frame.
fn log_entries(log: &Written) -> Vec<(usize, u64)> {
    let mut ends = Vec::new();
    for (file, (name, bytes)) in log.files.iter().enumerate() {
        let source = Source::from_bytes(name.clone(), bytes.clone());
        let mut segment = Segment::new(&source, 0, true);
        while let Some(record) = segment.next() {
            if record.kind == RecordKind::Entry {
                ends.push((file, record.offset + record.frame));
            }
        }
    }
    ends
}

#[test]
fn a_log_cut_at_any_length_keeps_what_is_whole() {
    let log = rich();
    let (good, _, _) = reading(&log);
    let ends = log_entries(&log);
    for file in 0..log.files.len() {
        for len in 0..log.files[file].1.len() {
            let mut cut = Written { files: log.files.clone(), crc: 0, metadata: Vec::new() };
            cut.files[file].1.truncate(len);
            let (entries, _, findings) = reading(&cut);
            let whole = ends.iter().filter(|(f, end)| (*f, *end) <= (file, len as u64)).count();
            assert_eq!(entries[..whole], good[..whole], "segment {file} cut at {len}");
            assert!(file == 1 || !findings.is_empty(), "segment {file} cut at {len}: nothing said");
            cut.read(RAW);
        }
    }
}

#[test]
fn the_worked_example_of_a_restored_member_reads_back() {
    // The first bytes of a WAL that etcdutl 3.5.1 made: a crc record and the metadata.
    let bytes = [
        0x04, 0, 0, 0, 0, 0, 0, 0x84, 0x08, 0x04, 0x10, 0x00, 0, 0, 0, 0, 0x1e, 0, 0, 0, 0, 0, 0, 0x82, 0x08,
        0x01, 0x10, 0xcb, 0xff, 0xa0, 0xd4, 0x0a, 0x1a, 0x14, 0x08, 0x92, 0x9f, 0xc1, 0xa4, 0xd2, 0x94, 0xd8,
        0x9a, 0x68, 0x10, 0x88, 0x99, 0xeb, 0xd0, 0xe7, 0x90, 0xe0, 0x81, 0x48, 0, 0, 0x0e, 0, 0, 0, 0, 0, 0,
        0x82, 0x08, 0x05, 0x10, 0xca, 0xba, 0xff, 0xf5, 0x09, 0x1a, 0x04, 0x08, 0x00, 0x10, 0x00, 0, 0,
    ];
    let source = Source::from_bytes("wal", bytes.to_vec());
    let log = Log::new([("0000000000000000-0000000000000000.wal", &source)]);
    let summary =
        log.scan(Scan::default(), &mut |f| panic!("{f}"), &mut |_| std::ops::ControlFlow::Continue(()));
    let metadata = summary.metadata.unwrap();
    assert_eq!((metadata.node_id(), metadata.cluster_id()), (0x6835_60a5_2490_4f92, 0x4803_8086_7a1a_cc88));
    assert_eq!((summary.counts.crcs, summary.counts.metadata, summary.counts.snapshots), (1, 1, 1));
    assert_eq!(summary.segments[0].end, Some(End::CleanEof));
}
