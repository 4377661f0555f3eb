//! Entries whose effect differs between the versions of etcd, each applied by the rules of both sides.

use std::collections::BTreeMap;

use coldbolt::bolt::Db;
use coldbolt::etcd::alarm::AlarmMember;
use coldbolt::etcd::auth::{Permission, Role, User};
use coldbolt::etcd::lease::Lease;
use coldbolt::etcd::request::{
    self, AlarmRequest, AuthRoleGrantPermissionRequest, AuthUserAddRequest, DeleteRangeRequest,
    InternalRaftRequest, LeaseGrantRequest, PutRequest, RangeRequest, RequestHeader, RequestOp, TxnRequest,
    request_op,
};
use coldbolt::io::Source;
use coldbolt::ops::copy::{CopyOptions, copy};
use coldbolt::raft::Entry;
use coldbolt::words::finding::Finding;
use coldbolt::words::monitor::Quiet;
use coldbolt::{Code, Severity};
use prost::Message;

use support::VERSIONS;
use support::buckets::MEMBER;
use support::member::{self, Member, Record};

type Bucket = BTreeMap<Vec<u8>, Vec<u8>>;

/// A member whose database, of root and ann who may write `k` to `m`, is at 20, and then these requests.
struct Case {
    member: Member,
}

impl Case {
    fn new(requests: Vec<InternalRaftRequest>) -> Case {
        let mut member = Member::good();
        let k_to_m = Permission { perm_type: 1, key: b"k".to_vec(), range_end: b"m".to_vec() };
        let role = Role { name: b"reader".to_vec(), key_permission: vec![k_to_m] };
        member.buckets.put("authRoles", b"reader", &role.encode_to_vec());
        let records = &mut member.segments[1].records;
        records.retain(|record| !matches!(record, Record::Entry(entry) if entry.index > Some(20)));
        let last = records.pop().unwrap();
        for (index, request) in (21..).zip(requests) {
            let data = Some(request.encode_to_vec());
            records.push(Record::Entry(Entry { kind: Some(0), term: Some(2), index: Some(index), data }));
        }
        records.push(if let Record::State { term, .. } = last {
            Record::State { term, commit: 20 }
        } else {
            last
        });
        Case { member }
    }

    fn alarm(mut self, alarm: i32) -> Case {
        self.member.buckets.put("alarm", &AlarmMember { member_id: MEMBER, alarm }.encode_to_vec(), b"");
        self
    }

    /// The buckets of a copy, and what was said of it.
    fn by(&self, version: &str) -> (BTreeMap<String, Bucket>, Vec<Finding>) {
        let home = tempfile::tempdir().unwrap();
        let (data, to) = (home.path().join("data"), home.path().join("copy.db"));
        self.member.files().write(&data);
        let options = CopyOptions { version: Some(version.parse().unwrap()), ..CopyOptions::default() };
        let report = copy(&data, &to, &options, &Quiet).unwrap_or_else(|error| panic!("{version}: {error}"));
        let source = Source::open(&to).unwrap();
        let db = Db::open(&source).unwrap();
        let (root, mut all) = (db.root(), BTreeMap::new());
        for name in coldbolt::etcd::schema::BUCKETS {
            let bucket = root.bucket(name.as_bytes()).unwrap().unwrap();
            let (mut cursor, mut items) = (bucket.cursor(), Bucket::new());
            while let Some(item) = cursor.next().unwrap() {
                items.insert(item.key.to_vec(), item.value.to_vec());
            }
            all.insert(name.to_owned(), items);
        }
        (all, report.findings)
    }

    /// How many revisions a copy has more than the database.
    fn gains(&self, version: &str) -> usize {
        self.by(version).0["key"].len() - 9
    }

    fn says(&self, version: &str, code: Code) -> Option<Severity> {
        self.by(version).1.iter().find(|finding| finding.code == code).map(|finding| finding.severity)
    }
}

fn as_user(name: &str) -> InternalRaftRequest {
    let header = RequestHeader { id: 1, username: name.into(), auth_revision: 3 };
    InternalRaftRequest { header: Some(header), ..InternalRaftRequest::default() }
}

fn put(key: &str) -> PutRequest {
    PutRequest { key: key.into(), value: b"v".to_vec(), ..PutRequest::default() }
}

fn txn(ops: Vec<request_op::Request>) -> TxnRequest {
    TxnRequest {
        success: ops.into_iter().map(|op| RequestOp { request: Some(op) }).collect(),
        ..TxnRequest::default()
    }
}

fn nested(inner: TxnRequest) -> TxnRequest {
    txn(vec![request_op::Request::Txn(inner)])
}

#[test]
fn the_names_in_requests_are_bytes() {
    let name = |text: &[u8]| request::NameRequest { name: text.to_vec() };
    let role = InternalRaftRequest { auth_role_add: Some(name(b"ro\xffle")), ..as_user("root") };
    let grant = request::AuthUserGrantRoleRequest { user: b"ann".to_vec(), role: b"ro\xffle".to_vec() };
    let grant = InternalRaftRequest { auth_user_grant_role: Some(grant), ..as_user("root") };
    for version in VERSIONS {
        let mut grant = grant.clone();
        grant.header.as_mut().unwrap().auth_revision = 4;
        let (buckets, _) = Case::new(vec![role.clone(), grant]).by(version);
        let there = Role::decode(buckets["authRoles"][b"ro\xffle".as_slice()].as_slice()).unwrap();
        assert_eq!(there.name, b"ro\xffle", "{version}");
        let ann = User::decode(buckets["authUsers"][b"ann".as_slice()].as_slice()).unwrap();
        assert_eq!(ann.roles, [b"reader".to_vec(), b"ro\xffle".to_vec()], "{version}");
        let left = InternalRaftRequest {
            auth_role_delete: Some(request::RoleRequest { role: b"\xfe".to_vec() }),
            ..as_user("root")
        };
        assert_eq!(
            Case::new(vec![left]).by(version).0["auth"][b"authRevision".as_slice()],
            3u64.to_be_bytes()
        );
    }
}

#[test]
fn what_is_not_permitted_is_not_done() {
    for version in VERSIONS {
        let of = |key: &str| {
            Case::new(vec![InternalRaftRequest { put: Some(put(key)), ..as_user("ann") }]).gains(version)
        };
        assert_eq!((of("k"), of("l\u{7f}"), of("m"), of("a")), (1, 1, 0, 0), "{version}");
        let delete =
            |end: &str| DeleteRangeRequest { key: b"a".to_vec(), range_end: end.into(), prev_kv: false };
        let of = |name, end| {
            Case::new(vec![InternalRaftRequest { delete_range: Some(delete(end)), ..as_user(name) }])
                .gains(version)
        };
        assert_eq!((of("ann", "z"), of("nobody", "z"), of("root", "c")), (0, 0, 2), "{version}");
        // A login from before the last change to users.
        let mut old = InternalRaftRequest { put: Some(put("k")), ..as_user("root") };
        old.header.as_mut().unwrap().auth_revision = 2;
        assert_eq!(Case::new(vec![old]).gains(version), 0, "{version}");
    }
}

#[test]
fn an_order_of_permissions_that_hangs_on_a_sort_is_told() {
    let grant = |key: String, end: &str| {
        let perm = request::Permission { perm_type: 0, key: key.into_bytes(), range_end: end.into() };
        let grant = AuthRoleGrantPermissionRequest { name: "reader".into(), perm: Some(perm) };
        InternalRaftRequest { auth_role_grant_permission: Some(grant), ..as_user("root") }
    };
    // The role has one of the key k.
    let case = |second: &str, all: usize| {
        let others = (2..all).map(|n| grant(format!("a{n:02}"), ""));
        Case::new(std::iter::once(grant(second.to_owned(), "z")).chain(others).collect())
    };
    for (version, most) in [("3.4.23", 6), ("3.5.1", 6), ("3.6.14", 12), ("3.7.1", 12)] {
        let told = |case: Case| case.says(version, Code::ReplayVersion);
        assert_eq!(
            (told(case("k", most)), told(case("k", most + 1))),
            (None, Some(Severity::Warning)),
            "{version}"
        );
        assert_eq!(told(case("l", most + 1)), None, "{version}");
    }
}

#[test]
fn nested_operations_are_not_asked_about_before_they_were() {
    let request = InternalRaftRequest {
        txn: Some(nested(txn(vec![request_op::Request::Put(put("a"))]))),
        ..as_user("ann")
    };
    let case = Case::new(vec![request]);
    for (version, due) in
        [("3.4.41", 1), ("3.4.42", 0), ("3.5.27", 1), ("3.5.28", 0), ("3.6.8", 1), ("3.6.9", 0), ("3.7.0", 0)]
    {
        assert_eq!(case.gains(version), due, "{version}");
    }
    assert_eq!((case.gains("3.5"), case.says("3.5", Code::ReplayVersion)), (0, Some(Severity::Warning)));
    assert_eq!(case.says("3.7", Code::ReplayVersion), None);
}

/// A member whose client waits asks for it, all others do not: the copy is as the others are, and as the member is
/// once it starts again.
#[test]
fn no_permission_is_asked_for_reads_that_are_passed_over() {
    let range = request_op::Request::Range(RangeRequest { key: b"a".to_vec(), ..RangeRequest::default() });
    let request = |ops| InternalRaftRequest { txn: Some(txn(ops)), ..as_user("ann") };
    let case = Case::new(vec![request(vec![range.clone(), request_op::Request::Put(put("k"))])]);
    assert_eq!(["3.4.23", "3.5.33", "3.6.14", "3.7.1"].map(|version| case.gains(version)), [1, 1, 1, 0]);
    let inner = txn(vec![range, request_op::Request::Put(put("k"))]);
    let case = Case::new(vec![request(vec![request_op::Request::Txn(inner)])]);
    assert_eq!(["3.5.27", "3.5.28", "3.6.14", "3.7.1"].map(|version| case.gains(version)), [1, 0, 0, 0]);
}

#[test]
fn nested_puts_take_no_space_before_they_did() {
    let request = InternalRaftRequest {
        txn: Some(nested(txn(vec![request_op::Request::Put(put("a"))]))),
        ..as_user("root")
    };
    let case = Case::new(vec![request]).alarm(1);
    for (version, due) in [
        ("3.4.45", 1),
        ("3.5.32", 1),
        ("3.5.33", 0),
        ("3.6.13", 1),
        ("3.6.14", 0),
        ("3.7.0", 1),
        ("3.7.1", 0),
    ] {
        assert_eq!(case.gains(version), due, "{version}");
    }
    let plain =
        InternalRaftRequest { txn: Some(txn(vec![request_op::Request::Put(put("a"))])), ..as_user("root") };
    assert_eq!(Case::new(vec![plain]).alarm(1).gains("3.4.45"), 0);
}

#[test]
fn a_read_of_a_compacted_revision_refuses_its_transaction_where_it_is_not_passed_over() {
    let range = |revision| {
        request_op::Request::Range(RangeRequest { key: b"a".to_vec(), revision, ..RangeRequest::default() })
    };
    let request = |revision| InternalRaftRequest {
        txn: Some(txn(vec![range(revision), request_op::Request::Put(put("a"))])),
        ..as_user("root")
    };
    for (version, old) in [("3.4.23", 1), ("3.5.1", 1), ("3.6.14", 1), ("3.7.1", 0)] {
        let of = |revision| Case::new(vec![request(revision)]).gains(version);
        // Compacted at 4, and 9 is the last.
        assert_eq!((of(3), of(4), of(9), of(10)), (old, 1, 1, old), "{version}");
        let inner = InternalRaftRequest { txn: Some(nested(request(3).txn.unwrap())), ..as_user("root") };
        assert_eq!(
            Case::new(vec![inner]).gains(version),
            0,
            "{version}: in an inner transaction it is never passed over"
        );
    }
}

#[test]
fn an_alarm_puts_permissions_aside_up_to_3_5() {
    let raise = InternalRaftRequest {
        alarm: Some(AlarmRequest { action: 1, member_id: 1, alarm: 1 }),
        ..as_user("root")
    };
    let delete = DeleteRangeRequest { key: b"a".to_vec(), ..DeleteRangeRequest::default() };
    let delete = InternalRaftRequest { delete_range: Some(delete), ..as_user("ann") };
    let case = Case::new(vec![raise.clone(), delete.clone()]);
    assert_eq!(["3.4.23", "3.5.33", "3.6.14", "3.7.1"].map(|version| case.gains(version)), [1, 1, 0, 0]);
    let lower = InternalRaftRequest {
        alarm: Some(AlarmRequest { action: 2, member_id: 1, alarm: 1 }),
        ..as_user("root")
    };
    let case = Case::new(vec![raise, lower, delete.clone()]);
    assert_eq!(case.gains("3.5.33"), 0, "as soon as the last alarm is lowered they are asked for again");
    // One that was raised before the server started does not.
    assert_eq!(Case::new(vec![delete]).alarm(1).gains("3.5.33"), 0);
}

#[test]
fn the_alarms_refuse_what_they_refuse() {
    let put = InternalRaftRequest { put: Some(put("a")), ..as_user("root") };
    let delete = DeleteRangeRequest { key: b"a".to_vec(), ..DeleteRangeRequest::default() };
    let delete = InternalRaftRequest { delete_range: Some(delete), ..as_user("root") };
    for version in VERSIONS {
        let case = || Case::new(vec![put.clone(), delete.clone()]);
        assert_eq!(
            (case().gains(version), case().alarm(1).gains(version), case().alarm(2).gains(version)),
            (2, 1, 0),
            "{version}"
        );
    }
}

#[test]
fn a_member_that_its_own_log_removes_is_told() {
    let mut case = Case::new(Vec::new());
    let records = &mut case.member.segments[1].records;
    let at = records.len() - 1;
    records.insert(at, member::conf_change(21, 2, 0, 7, &member::member_json(7, false)));
    records.insert(at + 1, member::conf_change(22, 2, 1, MEMBER, ""));
    let (buckets, findings) = case.by("3.6.14");
    assert_eq!(
        findings.iter().map(|finding| finding.code).collect::<Vec<_>>(),
        [Code::MembersDisagree],
        "{findings:?}"
    );
    assert_eq!(buckets["members"].keys().collect::<Vec<_>>(), [b"7"]);
    assert_eq!(buckets["members_removed"].keys().collect::<Vec<_>>(), [format!("{MEMBER:x}").as_bytes()]);
    assert_eq!(buckets["meta"][b"confState".as_slice()], br#"{"voters":[7],"auto_leave":false}"#);
    assert!(
        case.by("3.4.23").0["meta"][b"confState".as_slice()].starts_with(b"{\"voters\":["),
        "3.4 does not write it"
    );
}

#[test]
fn the_shortest_lease_is_that_of_the_default_flags_and_that_is_said() {
    let grant = |ttl| InternalRaftRequest {
        lease_grant: Some(LeaseGrantRequest { ttl, id: 0x77 }),
        ..as_user("root")
    };
    for (ttl, due, said) in [(1, 2, Some(Severity::Warning)), (2, 2, Some(Severity::Note)), (75, 75, None)] {
        let case = Case::new(vec![grant(ttl)]);
        let (buckets, _) = case.by("3.6.14");
        let lease = Lease::decode(buckets["lease"][0x77i64.to_be_bytes().as_slice()].as_slice()).unwrap();
        assert_eq!((lease.ttl, case.says("3.6.14", Code::ReplayFlags)), (due, said));
    }
}

#[test]
fn a_password_in_plain_becomes_the_same_hash_in_every_copy() {
    let add =
        AuthUserAddRequest { name: "eve".into(), password: "secret".into(), ..AuthUserAddRequest::default() };
    let case = Case::new(vec![InternalRaftRequest { auth_user_add: Some(add), ..as_user("root") }]);
    let user = |version| case.by(version).0["authUsers"][b"eve".as_slice()].clone();
    let once = user("3.4.23");
    assert!(once == user("3.4.23") && once == user("3.5.12"));
    assert!(once.windows(7).any(|part| part == b"$2a$10$"));
    assert_eq!(case.by("3.4.23").0["auth"][b"authRevision".as_slice()], 4u64.to_be_bytes());
}
