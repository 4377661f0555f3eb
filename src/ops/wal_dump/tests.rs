//! A dump of a log that a writer made, row by row.

use super::*;
use crate::raft::SnapshotMetadata;
use crate::snap::file::SnapName;
use crate::wal::tests::Written;
use crate::words::finding::{Finding, Severity};
use crate::words::monitor::Collect;

/// A member's directory: three segments, a leader's snapshot at 5, entries replaced by a new term across a cut.
fn member() -> (tempfile::TempDir, Written) {
    let mut log = Written::new();
    (1..=5).for_each(|index| log.entry(1, index, b""));
    log.state(1, 5);
    log.snapshot(1, 5);
    log.cut(6);
    (6..=9).for_each(|index| log.entry(1, index, b"\x3a\x02\x08\x07"));
    log.cut(10);
    (8..=12).for_each(|index| log.entry(2, index, b"\x3a\x02\x10\x01"));
    log.state(2, 11);
    let dir = tempfile::tempdir().unwrap();
    let (wal, snap) = (dir.path().join("member/wal"), dir.path().join("member/snap"));
    std::fs::create_dir_all(&wal).unwrap();
    std::fs::create_dir_all(&snap).unwrap();
    log.files.iter().for_each(|(name, bytes)| std::fs::write(wal.join(name), bytes).unwrap());
    for (term, index) in [(1, 5), (2, 11)] {
        let metadata = SnapshotMetadata { conf_state: None, index: Some(index), term: Some(term) };
        let bytes =
            SnapFile::encode(&raft::Snapshot { data: Some(b"{}".to_vec()), metadata: Some(metadata) });
        std::fs::write(snap.join(SnapName { term: term.into(), index: index.into() }.to_string()), bytes)
            .unwrap();
    }
    (dir, log)
}

fn rows(path: &Path, options: &WalDumpOptions) -> (Vec<(u64, u64)>, u64, Vec<Finding>) {
    let (mut entries, mut start) = (Vec::new(), 0);
    let monitor = Collect::default();
    wal_dump(path, options, &monitor, &mut |row| {
        match row {
            Row::Start { after, .. } => start = after,
            Row::Entry { entry, .. } => entries.push((entry.index.get(), entry.term.get())),
            _ => {}
        }
        Ok(())
    })
    .unwrap();
    (entries, start, monitor.into_findings())
}

#[test]
fn a_snapshot_without_a_wal_record_is_passed_over() {
    let (dir, _) = member();
    let (entries, start, findings) = rows(dir.path(), &WalDumpOptions::default());
    assert_eq!(start, 5);
    assert_eq!(entries, [(6, 1), (7, 1), (8, 2), (9, 2), (10, 2), (11, 2), (12, 2)]);
    assert_eq!(
        findings.iter().map(|f| (f.code, f.severity)).collect::<Vec<_>>(),
        [(Code::WalSequence, Severity::Warning)]
    );
}

#[test]
fn entries_of_several_segments_are_filtered_by_type_and_index() {
    let (dir, _) = member();
    let options = |types: &[&str]| WalDumpOptions {
        start: Start::After(0),
        end_index: Some(9),
        types: types.iter().map(|name| EntryFilter::from_name(name).unwrap()).collect(),
        ..WalDumpOptions::default()
    };
    assert_eq!(rows(dir.path(), &options(&["IRRCompaction"])).0, [(6, 1), (7, 1), (8, 2)]);
    assert_eq!(rows(dir.path(), &options(&["ConfigChange", "Request"])).0, []);
    assert_eq!(rows(dir.path(), &options(&[])).0.len(), 8);
}

#[test]
fn a_wal_without_its_older_segments_and_snapshots_is_read_from_where_it_begins() {
    let (dir, log) = member();
    std::fs::remove_dir_all(dir.path().join("member/snap")).unwrap();
    std::fs::remove_file(dir.path().join("member/wal").join(&log.files[0].0)).unwrap();
    let (entries, start, findings) = rows(dir.path(), &WalDumpOptions::default());
    assert_eq!((start, entries.len(), findings.len()), (5, 7, 1), "{findings:?}");
    assert_eq!(findings[0].severity, Severity::Warning);
    let (entries, start, findings) =
        rows(&dir.path().join("member/wal").join(&log.files[2].0), &WalDumpOptions::default());
    assert_eq!((start, entries.first(), findings), (9, Some(&(10, 2)), vec![]));
}

#[test]
fn a_missing_middle_segment_ends_the_dump_there() {
    let (dir, log) = member();
    std::fs::remove_file(dir.path().join("member/wal").join(&log.files[1].0)).unwrap();
    let options = WalDumpOptions { start: Start::After(0), ..WalDumpOptions::default() };
    let (entries, _, findings) = rows(dir.path(), &options);
    assert_eq!(
        (entries.len(), findings[0].code, findings[0].severity),
        (5, Code::WalSequence, Severity::Damage)
    );
}
