//! What tells of damaged files more than they tell of themselves: the timeline of one and of its log, and what is
//! salvaged of it. In process; bytes here and there, as each file is read several times.

use std::path::Path;
use std::time::{Duration, Instant};

use coldbolt::etcd::DataDir;
use coldbolt::etcd::request::{
    CompactionRequest, DeleteRangeRequest, InternalRaftRequest, LeaseRevokeRequest, PutRequest, RequestHeader,
};
use coldbolt::io::Source;
use coldbolt::ops::salvage::{SalvageOptions, salvage};
use coldbolt::ops::timeline::{TimelineInput, timeline};
use coldbolt::replay::MemberLog;
use coldbolt::store::{Store, StoreOptions};
use coldbolt::words::finding::Severity;
use coldbolt::words::monitor::{Collect, Quiet};
use coldbolt::{Error, Result};
use support::image::Image;
use support::member::{Member, request};

const SLOWEST: Duration = Duration::from_secs(10);

/// The rows of a database and of the log beside it, and whether damage was told.
fn rows(bytes: Vec<u8>, log: Option<&MemberLog>, allow_damage: bool) -> Result<(usize, bool)> {
    let started = Instant::now();
    let source = Source::from_bytes("snapshot.db", bytes);
    let heard = Collect::default();
    let options = StoreOptions { allow_damage, ..StoreOptions::default() };
    let store = Store::open(&source, &options, &heard)?;
    let input = TimelineInput { store: &store, carved: true, log, applied: None };
    let told = timeline(&[input], &[], None, &heard)?;
    let count = told.rows().count();
    assert!(told.rows().all(|row| row.revision.is_some() || row.after.is_some()));
    assert!(started.elapsed() < SLOWEST, "{:?}", started.elapsed());
    drop(told);
    drop(store);
    Ok((count, heard.into_findings().iter().any(|finding| finding.severity == Severity::Damage)))
}

fn damaged(error: &Error) -> bool {
    matches!(error, Error::Damaged { .. } | Error::Unreadable { .. })
}

#[test]
fn whatever_byte_of_a_snapshot_file_changes_its_timeline_tells_damage() {
    let sound = Image::pristine().bytes;
    let (whole, told) = rows(sound.clone(), None, false).unwrap();
    assert!(whole > 40 && !told);
    let mut past = 0;
    for at in (0..sound.len()).step_by(211) {
        let mut bytes = sound.clone();
        bytes[at] ^= 0xff;
        match rows(bytes.clone(), None, false) {
            Ok((_, told)) => assert!(told, "byte {at:#x}: nothing is told"),
            Err(error) => assert!(damaged(&error), "byte {at:#x}: {error}"),
        }
        // One meta page is always left, and what is not damaged is told, unless no bucket is found.
        match rows(bytes, None, true) {
            Ok((count, told)) => {
                assert!(told, "byte {at:#x}: nothing is told past it");
                past += usize::from(count > whole / 2);
            }
            Err(error) => assert!(damaged(&error), "byte {at:#x}: {error}"),
        }
    }
    assert!(past > sound.len() / 211 * 9 / 10, "{past}");
    for len in (0..sound.len()).step_by(1009) {
        match rows(sound[..len].to_vec(), None, true) {
            Ok((_, told)) => assert!(told, "cut at {len}: nothing is told"),
            Err(error) => assert!(damaged(&error), "cut at {len}: {error}"),
        }
    }
}

fn opened(dir: &Path) -> Result<MemberLog> {
    Ok(MemberLog::open(&DataDir::list(dir, None)?)?.keep_after(0.into()))
}

#[test]
fn whatever_byte_of_a_log_changes_its_timeline_is_told_up_to_there() {
    let dir = tempfile::tempdir().unwrap();
    let member = Member::good();
    let files = member.files();
    files.write(dir.path());
    let db = member.buckets.file().bytes;
    let (whole, _) = rows(db.clone(), Some(&opened(dir.path()).unwrap()), false).unwrap();
    for (path, sound) in files.0.iter().filter(|(path, _)| path.ends_with(".wal")) {
        let file = dir.path().join(path);
        for at in (0..sound.len()).step_by(7) {
            let mut bytes = sound.clone();
            bytes[at] ^= 0x41;
            std::fs::write(&file, &bytes).unwrap();
            match rows(db.clone(), Some(&opened(dir.path()).unwrap()), false) {
                Ok((count, _)) => assert!(count <= whole + 1, "{path} byte {at:#x}: {count} rows"),
                Err(error) => assert!(damaged(&error), "{path} byte {at:#x}: {error}"),
            }
        }
        std::fs::write(&file, sound).unwrap();
    }
}

fn of(change: impl FnOnce(&mut InternalRaftRequest)) -> InternalRaftRequest {
    let header = Some(RequestHeader { id: 1, ..RequestHeader::default() });
    let mut request = InternalRaftRequest { header, ..InternalRaftRequest::default() };
    change(&mut request);
    request
}

/// Entries whose checksums hold, and that no etcd would have made.
#[test]
fn entries_that_ask_for_what_cannot_be_are_told_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let mut member = Member::good();
    let delete = |key: &[u8], end: &[u8]| {
        let (key, range_end) = (key.to_vec(), end.to_vec());
        let delete = DeleteRangeRequest { key, range_end, ..DeleteRangeRequest::default() };
        of(|request| request.delete_range = Some(delete))
    };
    let compact = |revision: i64| {
        of(|request| request.compaction = Some(CompactionRequest { revision, physical: true }))
    };
    let revoke = |id: i64| of(|request| request.lease_revoke = Some(LeaseRevokeRequest { id }));
    let put = |lease: i64| {
        let put = PutRequest { lease, ignore_value: true, ..PutRequest::default() };
        of(|request| request.put = Some(put))
    };
    let mut requests =
        vec![delete(b"", b""), delete(b"", b"\0"), delete(b"z", b"a"), delete(b"\xff", b"\xff\xff")];
    requests.extend([i64::MIN, -1, 0, 1, i64::MAX].map(compact));
    requests.extend([i64::MIN, 0, i64::MAX].map(revoke));
    requests.extend([i64::MIN, i64::MAX].map(put));
    for segment in &mut member.segments {
        segment.records.clear();
    }
    let first = &mut member.segments[0].records;
    first.extend((1..).zip(&requests).map(|(index, one)| request(index, 1, one)));
    // And one whose index is as far as can be.
    first.push(request(u64::MAX, u64::MAX, &compact(7)));
    member.files().write(dir.path());
    let log = opened(dir.path()).unwrap();
    for db in [member.buckets.file().bytes, Image::pristine().bytes] {
        for allow_damage in [false, true] {
            match rows(db.clone(), Some(&log), allow_damage) {
                Ok((count, _)) => assert!(count >= 5, "{count}"),
                Err(error) => assert!(damaged(&error), "{error}"),
            }
        }
    }
}

#[test]
fn whatever_byte_of_a_snapshot_file_changes_what_is_salvaged_is_whole_or_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("new.db");
    let sound = Image::pristine().bytes;
    let salvaged = |bytes: Vec<u8>, what: &str| {
        let started = Instant::now();
        let source = Source::from_bytes("snapshot.db", bytes);
        let made = salvage(source, &out, &SalvageOptions::default(), &mut |_| Ok(()), &Quiet);
        assert!(started.elapsed() < SLOWEST, "{what}: {:?}", started.elapsed());
        match made {
            Ok(_) => {
                let (_, told) = rows(std::fs::read(&out).unwrap(), None, false).unwrap();
                assert!(!told, "{what}: what was made is damaged");
                std::fs::remove_file(&out).unwrap();
                true
            }
            Err(Error::Unreadable { .. } | Error::Refused(_) | Error::Damaged { .. }) => {
                assert!(!out.exists(), "{what}");
                false
            }
            Err(error) => panic!("{what}: {error}"),
        }
    };
    let mut made = 0;
    for at in (0..sound.len()).step_by(1801) {
        let mut bytes = sound.clone();
        bytes[at] ^= 0xff;
        made += usize::from(salvaged(bytes, &format!("byte {at:#x}")));
    }
    assert!(made > 20, "{made}");
    for len in (0..sound.len()).step_by(4001) {
        salvaged(sound[..len].to_vec(), &format!("cut at {len}"));
    }
}
