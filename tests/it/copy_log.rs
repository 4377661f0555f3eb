//! Whatever a log's bytes say, a copy is right, or it is refused, or what it lacks is reported.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use coldbolt::bolt::Db;
use coldbolt::etcd::request::{
    Compare, DeleteRangeRequest, InternalRaftRequest, LeaseGrantRequest, LeaseRevokeRequest, PutRequest,
    RequestHeader, RequestOp, TxnRequest, request_op,
};
use coldbolt::io::Source;
use coldbolt::ops::copy::{CopyOptions, Damage, Uncommitted, copy};
use coldbolt::words::finding::{Finding, Severity};
use coldbolt::words::monitor::Quiet;
use coldbolt::{Code, Error};
use prost::Message;

use support::buckets::MEMBER;
use support::member::{Files, Member, Record};

type Content = BTreeMap<String, BTreeMap<Vec<u8>, Vec<u8>>>;

fn request(of: impl FnOnce(&mut InternalRaftRequest)) -> Vec<u8> {
    let header = RequestHeader { id: 1, username: "root".into(), auth_revision: 3 };
    let mut request = InternalRaftRequest { header: Some(header), ..InternalRaftRequest::default() };
    of(&mut request);
    request.encode_to_vec()
}

fn put(key: &str, lease: i64) -> PutRequest {
    PutRequest { key: key.into(), value: format!("new {key}").into_bytes(), lease, ..PutRequest::default() }
}

/// A member whose database is at 20; each entry after it changes something. The last one is past the commit index;
/// the member votes alone.
pub fn writing() -> Member {
    // A few zeros are enough to tell the end of the log.
    let mut member = Member { preallocated: 256, ..Member::good() };
    member.entry(21).data = Some(request(|r| r.put = Some(put("a", 0))));
    member.entry(22).data = Some(request(|r| r.lease_grant = Some(LeaseGrantRequest { ttl: 600, id: 0x55 })));
    let compare =
        Compare { key: b"a".to_vec(), target: 0, target_union: None, result: 1, range_end: Vec::new() };
    let success = [
        request_op::Request::Put(put("x", 0x55)),
        request_op::Request::DeleteRange(DeleteRangeRequest {
            key: b"b".to_vec(),
            range_end: b"d".to_vec(),
            prev_kv: false,
        }),
    ];
    let success = success.map(|op| RequestOp { request: Some(op) }).to_vec();
    member.entry(23).data =
        Some(request(|r| r.txn = Some(TxnRequest { compare: vec![compare], success, failure: Vec::new() })));
    member.entry(24).data = Some(request(|r| r.lease_revoke = Some(LeaseRevokeRequest { id: 0x55 })));
    member
}

/// The member as if the log had ended with that entry.
fn until(last: u64) -> Member {
    let mut member = writing();
    for segment in &mut member.segments {
        segment.records.retain(|record| !matches!(record, Record::Entry(entry) if entry.index > Some(last)));
        for record in &mut segment.records {
            if let Record::State { commit, .. } = record {
                *commit = last.min(*commit);
            }
        }
    }
    member
}

fn content(path: &Path) -> Content {
    let source = Source::open(path).unwrap();
    let db = Db::open(&source).unwrap();
    let root = db.root();
    let mut all = Content::new();
    for name in coldbolt::etcd::schema::BUCKETS {
        let Some(bucket) = root.bucket(name.as_bytes()).unwrap() else { continue };
        let (mut cursor, items) = (bucket.cursor(), all.entry(name.to_owned()).or_default());
        while let Some(item) = cursor.next().unwrap() {
            items.insert(item.key.to_vec(), item.value.to_vec());
        }
    }
    all
}

/// What a copy of these files holds, with what was said about it; or why there is none.
fn copied(files: &Files, options: CopyOptions<'_>) -> Result<(Content, Vec<Finding>), Error> {
    let home = tempfile::tempdir().unwrap();
    let (data, to) = (home.path().join("data"), home.path().join("copy.db"));
    files.write(&data);
    let before: Vec<_> = files.0.keys().map(|path| fs::read(data.join(path)).unwrap()).collect();
    let done = copy(&data, &to, &options, &Quiet);
    assert!(
        files.0.keys().map(|path| fs::read(data.join(path)).unwrap()).eq(before),
        "the source was written to"
    );
    assert_eq!(to.exists(), done.is_ok());
    assert!(!home.path().join("copy.db.partial").exists());
    done.map(|report| (content(&to), report.findings))
}

fn by(version: &str) -> CopyOptions<'static> {
    CopyOptions { version: Some(version.parse().unwrap()), ..CopyOptions::default() }
}

/// What came of changed files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Right,
    Refused,
    Reported,
}

/// The right contents: by the last entry that is in them.
struct Truth(BTreeMap<u64, Content>);

impl Truth {
    fn new() -> Truth {
        let of = |last| (last, copied(&until(last).files(), by("3.6.14")).unwrap().0);
        Truth((20..=24).map(of).collect())
    }

    fn judge(&self, files: &Files, what: &str) -> Outcome {
        match copied(files, by("3.6.14")) {
            Err(Error::Damaged { .. } | Error::Unreadable { .. }) => Outcome::Refused,
            Err(other) => panic!("{what}: {other}"),
            Ok((content, _)) if content == self.0[&24] => Outcome::Right,
            Ok((content, findings)) => {
                assert!(
                    findings.iter().any(|finding| finding.severity >= Severity::Warning),
                    "{what}: a wrong copy, and not a word"
                );
                let last = self.0.iter().find(|(_, truth)| **truth == content).map(|(last, _)| *last);
                assert!(last.is_some(), "{what}: the copy holds what the member never held: {findings:?}");
                Outcome::Reported
            }
        }
    }
}

#[test]
fn each_entry_changes_the_copy() {
    let truth = Truth::new();
    let different: BTreeSet<_> = truth.0.values().collect();
    assert_eq!(different.len(), 5);
    let last = &truth.0[&24];
    assert_eq!(last["meta"][b"consistent_index".as_slice()], 24u64.to_be_bytes());
    // The database's 9 revisions, less what the compaction took, and 10: a; 11: x, -b, -c; 12: -x.
    assert_eq!(last["key"].len(), 9 + 5);
    assert_eq!(last["lease"].len(), 1);
}

fn sweep(path: impl Fn(&Files) -> String) {
    let (truth, files) = (Truth::new(), writing().files());
    let path = path(&files);
    let counts = [const { AtomicUsize::new(0) }; 3];
    let count = |outcome: Outcome| counts[outcome as usize].fetch_add(1, Ordering::Relaxed);
    let len = files.0[&path].len();
    let work = |at: usize| {
        for flip in [1, 2, 0x10, 0x80, 0xff] {
            let mut changed = files.clone();
            changed.get(&path)[at] ^= flip;
            count(truth.judge(&changed, &format!("{path}: byte {at:#x} ^ {flip:#x}")));
        }
        let mut zero = files.clone();
        zero.get(&path)[at] = 0;
        count(truth.judge(&zero, &format!("{path}: byte {at:#x} = 0")));
        let mut cut = files.clone();
        cut.get(&path).truncate(at);
        count(truth.judge(&cut, &format!("{path}: cut at {at:#x}")));
    };
    let threads = 2;
    std::thread::scope(|scope| {
        for first in 0..threads {
            let work = &work;
            scope.spawn(move || (first..len).step_by(threads).for_each(work));
        }
    });
    eprintln!("{path}: {len} bytes: right, refused, reported {counts:?}");
}

#[test]
fn no_changed_byte_and_no_length_of_the_last_segment_makes_a_wrong_copy() {
    sweep(Files::last_wal);
}

#[test]
fn no_changed_byte_and_no_length_of_the_first_segment_makes_a_wrong_copy() {
    sweep(|files| files.0.keys().find(|name| name.ends_with(".wal")).unwrap().clone());
}

#[test]
fn no_frame_that_is_missing_doubled_or_swapped_makes_a_wrong_copy() {
    let (truth, files) = (Truth::new(), writing().files());
    for path in files.0.keys().filter(|name| name.ends_with(".wal")) {
        let frames = files.frames(path);
        for pair in frames.windows(2) {
            let frame = files.0[path][pair[0]..pair[1]].to_vec();
            let mut gone = files.clone();
            gone.get(path).drain(pair[0]..pair[1]);
            truth.judge(&gone, &format!("{path}: no frame at {:#x}", pair[0]));
            let mut twice = files.clone();
            twice.get(path).splice(pair[0]..pair[0], frame.clone());
            truth.judge(&twice, &format!("{path}: two frames at {:#x}", pair[0]));
            let mut moved = gone.clone();
            moved.get(path).splice(frames[1]..frames[1], frame);
            truth.judge(&moved, &format!("{path}: the frame at {:#x} is the second", pair[0]));
        }
    }
}

#[test]
fn no_segment_that_is_missing_empty_or_in_the_place_of_another_makes_a_wrong_copy() {
    let (truth, files) = (Truth::new(), writing().files());
    let names: Vec<String> = files.0.keys().filter(|name| name.ends_with(".wal")).cloned().collect();
    let [first, last] = &names[..] else { panic!("{names:?}") };
    let mut none = files.clone();
    none.0.remove(first);
    // The database is past it, but no etcd starts from the raft snapshot without it.
    assert_eq!(truth.judge(&none, "the first is missing"), Outcome::Refused);
    let mut none = files.clone();
    none.0.remove(last);
    assert_ne!(truth.judge(&none, "the last is missing"), Outcome::Right);
    for path in [first, last] {
        let mut empty = files.clone();
        empty.get(path).clear();
        truth.judge(&empty, &format!("{path} is empty"));
        let mut zeros = files.clone();
        zeros.get(path).fill(0);
        truth.judge(&zeros, &format!("{path} is zeros"));
    }
    let mut swapped = files.clone();
    let (a, b) = (files.0[first].clone(), files.0[last].clone());
    *swapped.get(first) = b;
    *swapped.get(last) = a;
    assert_eq!(truth.judge(&swapped, "they are swapped"), Outcome::Refused);
    let mut none = files.clone();
    names.iter().for_each(|name| drop(none.0.remove(name)));
    assert_eq!(truth.judge(&none, "there is none"), Outcome::Reported);
}

#[test]
fn a_log_that_is_whole_from_its_first_entry_makes_the_database_anew() {
    let made = |member: &Member| {
        let mut files = member.files();
        files.0.remove("member/snap/db");
        copied(&files, by("3.6.14")).unwrap()
    };
    let said = |findings: &[Finding]| {
        let missing = findings.iter().find(|finding| finding.code == Code::DbMissing).unwrap();
        assert_eq!(missing.severity, Severity::Warning);
        missing.detail.clone()
    };
    let member = writing();
    let (content, findings) = made(&member);
    // Entries 2 to 20 put keys of their own, 21 to 24 do what they do in the database that was lost.
    let puts = content["key"].values().filter(|value| value.windows(4).any(|w| w == b"key ")).count();
    assert_eq!(puts, 19);
    assert_eq!(content["meta"][&b"consistent_index"[..]], 24u64.to_be_bytes());
    assert!(said(&findings).contains("etcd panics without it, as there is a raft snapshot at index 10"));
    let mut bare = member.clone();
    bare.snaps.clear();
    let (same, findings) = made(&bare);
    assert!(same["key"] == content["key"]);
    assert!(said(&findings).contains("etcd up to 3.6 builds it anew"));
    bare.segments[0].records.retain(|record| !matches!(record, Record::Snapshot { index: 10, .. }));
    assert!(said(&made(&bare).1).contains("; etcd builds it anew from the log"));
}

#[test]
fn a_log_that_does_not_begin_with_its_first_entry_makes_no_database() {
    let refused = |member: &Member| {
        let mut files = member.files();
        files.0.remove("member/snap/db");
        match copied(&files, by("3.6.14")).unwrap_err() {
            Error::Unreadable { cause, .. } => cause.to_string(),
            other => panic!("{other}"),
        }
    };
    let mut later = writing();
    later.segments.remove(0);
    let said = refused(&later);
    assert!(said.contains("it begins at entry 15, or is damaged"), "{said}");
}

#[test]
fn a_damaged_log_is_applied_up_to_the_damage_if_that_is_allowed() {
    let (truth, mut files) = (Truth::new(), writing().files());
    let path = files.last_wal();
    let frames = files.frames(&path);
    // Checksum, metadata, state, entries 15 to 24: this is entry 23.
    let at = frames[3 + 8] + 40;
    files.get(&path)[at] ^= 1;
    let refused = copied(&files, by("3.6.14")).unwrap_err();
    assert!(matches!(&refused, Error::Damaged { corrupt, .. } if corrupt.code == Code::WalCrc), "{refused}");
    // The state before it commits index 14 only, so that nothing after the database is known to be.
    let (content, findings) = copied(&files, CopyOptions { damage: Damage::Allow, ..by("3.6.14") }).unwrap();
    assert!(content == truth.0[&20]);
    assert!(
        findings.iter().any(|finding| finding.code == Code::WalCrc && finding.severity == Severity::Damage),
        "{findings:?}"
    );
    let options = CopyOptions { damage: Damage::Allow, uncommitted: Uncommitted::Include, ..by("3.6.14") };
    assert!(copied(&files, options).unwrap().0 == truth.0[&22]);
}

#[test]
fn what_others_may_have_replaced_is_taken_only_if_asked_for() {
    let mut member = writing();
    member.buckets.put("members", b"7", br#"{"id":7,"peerURLs":["http://localhost:7"],"name":"n2"}"#);
    member.buckets.put(
        "meta",
        b"confState",
        format!(r#"{{"voters":[7,{}],"auto_leave":false}}"#, MEMBER).as_bytes(),
    );
    member.snaps = vec![(10, 1, vec![(MEMBER, false), (7, false)])];
    let index = |content: &Content| {
        u64::from_be_bytes(content["meta"][b"consistent_index".as_slice()].clone().try_into().unwrap())
    };
    let (content, findings) = copied(&member.files(), by("3.6.14")).unwrap();
    assert_eq!((index(&content), findings.len(), findings[0].code), (23, 1, Code::WalUncommitted));
    let (content, findings) =
        copied(&member.files(), CopyOptions { uncommitted: Uncommitted::Include, ..by("3.6.14") }).unwrap();
    assert_eq!((index(&content), findings.len(), findings[0].code), (24, 1, Code::WalUncommitted));
}

/// Nested deeper than an etcd takes whose limits are as they were made, by a hand full of levels and by many.
#[test]
fn transactions_are_applied_however_deep_an_etcd_can_be_told_to_take_them() {
    for depth in [401, 4_998, 4_999, 9_999] {
        let mut nested = Vec::new();
        prost::encoding::message::encode(
            2,
            &RequestOp { request: Some(request_op::Request::Put(put("deep", 0))) },
            &mut nested,
        );
        for _ in 0..depth {
            let mut op = Vec::new();
            prost::encoding::bytes::encode(4, &nested, &mut op);
            nested.clear();
            prost::encoding::bytes::encode(2, &op, &mut nested);
        }
        let mut data = request(|_| {});
        prost::encoding::bytes::encode(6, &nested, &mut data);
        let mut member = writing();
        member.entry(24).data = Some(data);
        let files = member.files();
        let (content, _) = copied(&files, by("3.6.14")).unwrap();
        let deep = content["key"].values().filter(|row| row.windows(4).any(|four| four == b"deep")).count();
        assert_eq!(deep, 1, "{depth}");
        // 3.7.1 starts with 4,998 in the outermost and panics at one more.
        let by_3_7 = copied(&files, by("3.7.1"));
        assert_eq!(by_3_7.is_ok(), depth <= 4998, "{depth}: {by_3_7:?}");
    }
}

/// Nested deeper than any client does, which must neither end the process nor be passed over.
#[test]
fn a_transaction_nested_twenty_thousand_deep_is_refused() {
    let mut nested = Vec::new();
    for _ in 0..20_000 {
        let mut op = Vec::new();
        prost::encoding::bytes::encode(4, &nested, &mut op);
        nested.clear();
        prost::encoding::bytes::encode(2, &op, &mut nested);
    }
    let mut data = Vec::new();
    prost::encoding::bytes::encode(6, &nested, &mut data);
    let mut member = writing();
    member.entry(22).data = Some(data);
    let refused = copied(&member.files(), by("3.6.14")).unwrap_err();
    assert!(
        matches!(&refused, Error::Damaged { corrupt, .. } if corrupt.code == Code::ReplayRefused),
        "{refused}"
    );
}
