//! What `copy` finds when it applies a member's log to its database.

use std::collections::BTreeMap;
use std::path::Path;

use coldbolt::etcd::alarm::AlarmMember;
use coldbolt::etcd::request::{
    AuthUserAddRequest, InternalRaftRequest, LeaseGrantRequest, PutRequest, RequestHeader, RequestOp,
    TxnRequest, V2Request, request_op,
};
use coldbolt::ops::copy::{CopyOptions, copy};
use coldbolt::ops::rank::{RankOptions, rank};
use coldbolt::ops::verify::{Outcome, Verification, verify};
use coldbolt::replay::Until;
use coldbolt::words::error::At;
use coldbolt::words::finding::Finding;
use coldbolt::words::monitor::{Collect, Quiet};
use coldbolt::{Code, Error};
use prost::Message;

use super::{Break, Due, Entry, due, entry, options};
use support::buckets::MEMBER;
use support::member::{Member, Record, snap_path, state};
use support::trio::{IDS, one};

/// A member whose last entries, 21 to 24, are root's puts.
fn writing() -> Member {
    let mut member = Member::good();
    for index in 21..=24 {
        set(&mut member, index, put(index));
    }
    member
}

fn root() -> InternalRaftRequest {
    let header = RequestHeader { id: 1, username: "root".into(), auth_revision: 3 };
    InternalRaftRequest { header: Some(header), ..InternalRaftRequest::default() }
}

fn put(n: u64) -> InternalRaftRequest {
    let put = PutRequest { key: b"a".to_vec(), value: n.to_string().into_bytes(), ..PutRequest::default() };
    InternalRaftRequest { put: Some(put), ..root() }
}

fn set(member: &mut Member, index: u64, request: InternalRaftRequest) {
    member.entry(index).data = Some(request.encode_to_vec());
}

/// What a copy of the member says, as a verification says it; and what is due.
fn copied(
    member: &Member,
    version: &str,
    also: impl FnOnce(&Path),
    due: Vec<Due>,
) -> (Verification, Vec<Due>) {
    copied_with(member, version, CopyOptions::default(), also, due)
}

fn copied_with(
    member: &Member,
    version: &str,
    options: CopyOptions<'_>,
    also: impl FnOnce(&Path),
    due: Vec<Due>,
) -> (Verification, Vec<Due>) {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    member.files().write(&data);
    also(&data);
    let heard = Collect::default();
    let copying = CopyOptions { version: Some(version.parse().unwrap()), ..options };
    let done = copy(&data, &home.path().join("copy.db"), &copying, &heard);
    let mut findings = heard.into_findings();
    match done {
        Ok(report) => assert_eq!(report.findings.len(), findings.len(), "everything is heard and reported"),
        Err(Error::Damaged { path, corrupt }) => {
            findings.push(Finding::from_corrupt(&path.display().to_string(), *corrupt))
        }
        Err(other) => panic!("{other}"),
    }
    assert_eq!(
        home.path().join("copy.db").exists(),
        !findings.iter().any(|f| f.severity == coldbolt::Severity::Damage)
    );
    (as_verified(&data, findings), due)
}

/// Findings as a verification of that directory reports its own.
pub(super) fn as_verified(data: &Path, findings: Vec<Finding>) -> Verification {
    let mut counts = BTreeMap::new();
    findings.iter().for_each(|finding| *counts.entry(finding.code).or_insert(0) += 1);
    let mut report = verify(data, &options(), &Quiet).unwrap();
    report.worst = findings.iter().map(|finding| finding.severity).max();
    (report.findings, report.finding_counts) = (findings, counts);
    // The levels are of what was found before.
    report.levels.iter_mut().for_each(|level| level.outcome = Outcome::Passed);
    report.verdict = report.judge();
    report
}

fn here(code: Code, index: u64) -> Vec<Due> {
    vec![due(code, At::default().index(index))]
}

/// What is said of the database itself when an alarm is raised.
fn alarm() -> Vec<Due> {
    vec![due(Code::AlarmActive, At::default())]
}

/// What a ranking of these members says of them together; and what is due.
fn ranked(members: &[Member], due: Vec<Due>) -> (Verification, Vec<Due>) {
    let home = tempfile::tempdir().unwrap();
    let directories: Vec<_> = (0..members.len()).map(|at| home.path().join(format!("m{at}"))).collect();
    members.iter().zip(&directories).for_each(|(member, directory)| member.files().write(directory));
    let findings = rank(&directories, &RankOptions { version: Some("3.6.14".parse().unwrap()) }, &Quiet)
        .unwrap()
        .findings;
    (as_verified(&directories[0], findings), due)
}

pub fn entries() -> Vec<Entry> {
    use Break::Other;
    vec![
        entry(
            Code::WalUncommitted,
            "another member votes, and entry 24 is past the commit index",
            Other(|| {
                let mut member = writing();
                member.buckets.put(
                    "members",
                    b"7",
                    br#"{"id":7,"peerURLs":["http://localhost:7"],"name":"n2"}"#,
                );
                member.buckets.put(
                    "meta",
                    b"confState",
                    format!(r#"{{"voters":[7,{MEMBER}],"auto_leave":false}}"#).as_bytes(),
                );
                member.snaps = vec![(10, 1, vec![(MEMBER, false), (7, false)])];
                copied(&member, "3.6.14", |_| {}, here(Code::WalUncommitted, 23))
            }),
        ),
        entry(
            Code::WalShort,
            "the last segment ends with its last record",
            Other(|| {
                let member = Member { preallocated: 0, ..writing() };
                copied(&member, "3.6.14", |_| {}, vec![due(Code::WalShort, At::default())])
            }),
        ),
        entry(
            Code::SnapDbPending,
            "a database received at index 22 was not yet put in its place",
            Other(|| {
                let mut member = writing();
                let last = member.segments.last_mut().unwrap();
                last.records.insert(9, Record::Snapshot { index: 22, term: 2 });
                member.snaps.push((22, 2, vec![(MEMBER, false)]));
                let mut received = member.buckets.clone();
                received.index(22, 2);
                let bytes = received.bare().bytes;
                let write = |data: &Path| {
                    std::fs::write(data.join("member/snap/0000000000000016.snap.db"), bytes).unwrap()
                };
                assert_eq!(snap_path(22, 2), "member/snap/0000000000000002-0000000000000016.snap");
                copied(&member, "3.6.14", write, here(Code::SnapDbPending, 22))
            }),
        ),
        entry(
            Code::ReplayRefused,
            "an entry that is no request",
            Other(|| {
                let mut member = writing();
                member.entry(22).data = Some(b"request".to_vec());
                copied(&member, "3.6.14", |_| {}, here(Code::ReplayRefused, 22))
            }),
        ),
        entry(
            Code::ReplayRefused,
            "a request that no etcd knows",
            Other(|| {
                let mut member = writing();
                set(&mut member, 23, root());
                copied(&member, "3.6.14", |_| {}, here(Code::ReplayRefused, 23))
            }),
        ),
        entry(
            Code::ReplayRefused,
            "a conf change of the second form",
            Other(|| {
                let mut member = writing();
                let single = coldbolt::raft::ConfChangeSingle { kind: Some(0), node_id: Some(9) };
                let change = coldbolt::raft::ConfChangeV2 { changes: vec![single], ..Default::default() };
                *member.entry(24) = coldbolt::raft::Entry {
                    kind: Some(2),
                    data: Some(change.encode_to_vec()),
                    ..member.entry(24).clone()
                };
                copied(&member, "3.6.14", |_| {}, here(Code::ReplayRefused, 24))
            }),
        ),
        entry(
            Code::ReplayIndex,
            "3.5.1 wrote the database",
            Other(|| {
                let due = due(Code::ReplayIndex, At::default().index(20)).as_(coldbolt::Severity::Warning);
                copied(&writing(), "3.5.1", |_| {}, vec![due])
            }),
        ),
        entry(
            Code::ReplayIndex,
            "3.4 wrote the database",
            Other(|| copied(&writing(), "3.4.23", |_| {}, here(Code::ReplayIndex, 20))),
        ),
        entry(
            Code::ReplayVersion,
            "a put in an inner transaction while the space is used up, and the patch version is not known",
            Other(|| {
                let mut member = writing();
                member.buckets.put(
                    "alarm",
                    &AlarmMember { member_id: MEMBER, alarm: 1 }.encode_to_vec(),
                    b"",
                );
                let inner = TxnRequest {
                    success: vec![op(request_op::Request::Put(PutRequest::default()))],
                    ..TxnRequest::default()
                };
                let txn = TxnRequest {
                    success: vec![op(request_op::Request::Txn(inner.into()))],
                    ..TxnRequest::default()
                };
                set(&mut member, 22, InternalRaftRequest { txn: Some(txn), ..root() });
                copied(&member, "3.6", |_| {}, [here(Code::ReplayVersion, 22), alarm()].concat())
            }),
        ),
        entry(
            Code::ReplayFlags,
            "a lease of 5 seconds",
            Other(|| {
                let mut member = writing();
                set(
                    &mut member,
                    21,
                    InternalRaftRequest { lease_grant: Some(LeaseGrantRequest { ttl: 5, id: 77 }), ..root() },
                );
                copied(&member, "3.6.14", |_| {}, here(Code::ReplayFlags, 21))
            }),
        ),
        entry(
            Code::ReplayPassword,
            "a user with a password in plain",
            Other(|| {
                let mut member = writing();
                let add = AuthUserAddRequest {
                    name: "eve".into(),
                    password: "pw".into(),
                    ..AuthUserAddRequest::default()
                };
                set(&mut member, 21, InternalRaftRequest { auth_user_add: Some(add), ..root() });
                copied(&member, "3.6.14", |_| {}, here(Code::ReplayPassword, 21))
            }),
        ),
        entry(
            Code::ReplayAlarm,
            "an alarm while auth is on",
            Other(|| {
                let mut member = writing();
                member.buckets.put(
                    "alarm",
                    &AlarmMember { member_id: MEMBER, alarm: 1 }.encode_to_vec(),
                    b"",
                );
                copied(&member, "3.5.12", |_| {}, [here(Code::ReplayAlarm, 20), alarm()].concat())
            }),
        ),
        entry(
            Code::ReplayV2,
            "a user's request of the v2 API",
            Other(|| {
                let mut member = writing();
                let request = V2Request {
                    id: 1,
                    method: "PUT".into(),
                    path: "/1/key".into(),
                    val: "v".into(),
                    ..V2Request::default()
                };
                member.entry(21).data = Some(request.encode_to_vec());
                // 3.6 would not start on it.
                member.buckets.remove("meta", b"storageVersion");
                member.buckets.put("cluster", b"clusterVersion", b"3.5.0");
                copied(&member, "3.5.12", |_| {}, here(Code::ReplayV2, 21))
            }),
        ),
        entry(
            Code::ReplayTime,
            "an object tells a time an hour ahead of the next",
            Other(|| {
                let mut member = writing();
                for (index, time) in [(21, "12:00:00"), (22, "13:00:10"), (23, "12:00:20"), (24, "12:00:30")]
                {
                    let value = format!(r#"{{"kind":"Lease","spec":{{"renewTime":"2026-03-04T{time}Z"}}}}"#);
                    let put =
                        PutRequest { key: b"a".to_vec(), value: value.into_bytes(), ..PutRequest::default() };
                    set(&mut member, index, InternalRaftRequest { put: Some(put), ..root() });
                }
                let options = CopyOptions {
                    until: Some(Until::Time("2026-03-04T12:00:21Z".parse().unwrap())),
                    ..CopyOptions::default()
                };
                copied_with(&member, "3.6.14", options, |_| {}, here(Code::ReplayTime, 22))
            }),
        ),
        entry(
            Code::ClusterDiffers,
            "the second log is of another cluster",
            Other(|| {
                let mut other = one(IDS[1], 24, 22);
                other.cluster = 5;
                ranked(&[one(IDS[0], 24, 22), other], vec![due(Code::ClusterDiffers, At::default())])
            }),
        ),
        entry(
            Code::LogConflict,
            "two members know different entries 19 to be committed",
            Other(|| {
                let mut other = one(IDS[1], 24, 22);
                (19..=24).for_each(|index| other.entry(index).term = Some(3));
                other.buckets.index(20, 3);
                *other.segments[1].records.last_mut().unwrap() = state(3, 22);
                ranked(&[one(IDS[0], 24, 22), other], here(Code::LogConflict, 19))
            }),
        ),
        entry(
            Code::KeyspaceDiffers,
            "two members have different values of one key",
            Other(|| {
                let mut other = one(IDS[1], 24, 22);
                other.buckets.edit(6, 0, false, |kv| kv.value = b"otherwise".to_vec());
                ranked(
                    &[one(IDS[0], 24, 22), other],
                    vec![due(Code::KeyspaceDiffers, At::default().key(b"a"))],
                )
            }),
        ),
    ]
}

fn op(request: request_op::Request) -> RequestOp {
    RequestOp { request: Some(request) }
}

#[test]
fn a_member_that_was_made_by_hand_is_copied_without_a_word() {
    let (report, _) = copied(&writing(), "3.6.14", |_| {}, Vec::new());
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}
