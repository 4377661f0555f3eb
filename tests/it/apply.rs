//! Entries about users, roles, leases, members, versions and alarms, one by one: which of them etcd takes, and what
//! they leave.

use coldbolt::Code;
use coldbolt::bolt::Db;
use coldbolt::etcd::auth::{Role, User};
use coldbolt::etcd::lease::Lease;
use coldbolt::etcd::request::*;
use coldbolt::io::Source;
use coldbolt::raft::{ConfChange, Entry, EntryView};
use coldbolt::replay::apply::{Done, Interest, Overlay, Replayer};
use prost::Message;

use support::buckets::{Buckets, LEASE, MEMBER, revision};
use support::key_value::KeyValue;

type Request = InternalRaftRequest;

/// What became of entries after index 20 of [`Buckets::good`]: of each whether it changed something (`+`), had
/// nothing to change (`.`), was rejected (`-`), or ended it all (`!`); then what was changed, and what was said.
struct Applied {
    done: String,
    overlay: Overlay,
    said: Vec<Code>,
}

impl Applied {
    fn of(version: &str, entries: &[(i32, Vec<u8>)]) -> Applied {
        let source = Source::from_bytes("db", Buckets::good().bare().bytes);
        let db = Db::open(&source).unwrap();
        let mut interest = Interest::default();
        entries.iter().for_each(|(_, data)| interest.add(data));
        interest.close();
        let mut replayer = Replayer::open(&db, &interest, version.parse().unwrap(), "wal").unwrap();
        let mut done = String::new();
        for (index, (kind, data)) in (21..).zip(entries) {
            let bytes =
                Entry { kind: Some(*kind), term: Some(2), index: Some(index), data: Some(data.clone()) }
                    .encode_to_vec();
            match replayer.apply(&EntryView::decode(&bytes).unwrap()) {
                Ok(Done::Applied) => done.push('+'),
                Ok(Done::Nothing) => done.push('.'),
                Ok(Done::Rejected(_)) => done.push('-'),
                Err(corrupt) => {
                    assert_eq!(corrupt.code, Code::ReplayRefused, "{corrupt}");
                    done.push('!');
                    return Applied { done, overlay: Overlay::new(), said: Vec::new() };
                }
            }
        }
        let replayed = replayer.finish();
        Applied {
            done,
            overlay: replayed.overlay,
            said: replayed.findings.iter().map(|finding| finding.code).collect(),
        }
    }

    /// What a key was given: `None` when it was taken away.
    #[track_caller]
    fn given(&self, bucket: &str, key: &[u8]) -> Option<&[u8]> {
        self.overlay[bucket.as_bytes()]
            .get(key)
            .unwrap_or_else(|| panic!("{bucket}: no change of {key:?}"))
            .as_deref()
    }

    fn text(&self, bucket: &str, key: &str) -> String {
        String::from_utf8(self.given(bucket, key.as_bytes()).unwrap().to_vec()).unwrap()
    }
}

fn applied(version: &str, requests: Vec<Request>) -> Applied {
    let as_root = |mut r: Request| {
        r.header.get_or_insert(RequestHeader { id: 1, username: "root".into(), auth_revision: 1000 });
        (0, r.encode_to_vec())
    };
    Applied::of(version, &requests.into_iter().map(as_root).collect::<Vec<_>>())
}

/// A request of one kind.
macro_rules! r {
    ($field:ident: $value:expr) => {
        Request { $field: Some($value), ..Request::default() }
    };
}

fn name(name: &str) -> NameRequest {
    NameRequest { name: name.into() }
}

fn user(name: &str, hash: &str) -> Request {
    r!(auth_user_add: AuthUserAddRequest { name: name.into(), hashed_password: hash.into(), ..Default::default() })
}

fn password(name: &str, hash: &str) -> Request {
    r!(auth_user_change_password: AuthUserChangePasswordRequest { name: name.into(), hashed_password: hash.into(), ..Default::default() })
}

fn grant(user: &str, role: &str) -> Request {
    r!(auth_user_grant_role: AuthUserGrantRoleRequest { user: user.into(), role: role.into() })
}

fn revoke(name: &str, role: &str) -> Request {
    r!(auth_user_revoke_role: AuthUserRevokeRoleRequest { name: name.into(), role: role.into() })
}

fn permit(role: &str, perm_type: i32, key: &str, range_end: &str) -> Request {
    let perm = Some(Permission { perm_type, key: key.into(), range_end: range_end.into() });
    r!(auth_role_grant_permission: AuthRoleGrantPermissionRequest { name: role.into(), perm })
}

fn forbid(role: &str, key: &str, range_end: &str) -> Request {
    r!(auth_role_revoke_permission: AuthRoleRevokePermissionRequest { role: role.into(), key: key.into(), range_end: range_end.into() })
}

fn put(key: &str) -> Request {
    r!(put: PutRequest { key: key.into(), value: b"v".to_vec(), ..Default::default() })
}

#[test]
fn users_are_made_changed_and_deleted_as_etcd_does_it() {
    let made = applied(
        "3.6.14",
        vec![
            user("u", "eA=="),
            user("u", "eA=="),
            user("", "eA=="),
            user("v", "no base64"),
            password("u", "eXk="),
            password("nobody", "eXk="),
            password("u", "no base64"),
            grant("u", "reader"),
            grant("u", "reader"),
            grant("u", "root"),
            grant("nobody", "reader"),
            grant("u", "no such role"),
            revoke("u", "reader"),
            revoke("u", "reader"),
            revoke("nobody", "reader"),
            revoke("root", "root"),
            r!(auth_user_delete: name("ann")),
            r!(auth_user_delete: name("ann")),
            r!(auth_user_delete: name("root")),
            r!(auth_user_get: name("u")),
            r!(auth_user_list: Empty {}),
            r!(authenticate: InternalAuthenticateRequest::default()),
        ],
    );
    assert_eq!(made.done, "+---+--+-+--+---+--...");
    let u = User::decode(made.given("authUsers", b"u").unwrap()).unwrap();
    assert_eq!(
        (u.name.as_slice(), u.password.as_slice(), u.roles.as_slice()),
        (&b"u"[..], &b"yy"[..], &[b"root".to_vec()][..])
    );
    assert_eq!(made.given("authUsers", b"ann"), None);
    // One more for each that changed something.
    assert_eq!(made.given("auth", b"authRevision"), Some(&9u64.to_be_bytes()[..]));
}

#[test]
fn roles_are_made_changed_and_deleted_as_etcd_does_it() {
    let made = applied(
        "3.6.14",
        vec![
            r!(auth_role_add: name("w")),
            r!(auth_role_add: name("w")),
            r!(auth_role_add: name("")),
            permit("w", 2, "k", "l"),
            permit("w", 0, "k", "l"),
            permit("w", 1, "k", ""),
            permit("w", 1, "", ""),
            permit("w", 1, "b", "a"),
            permit("nobody", 1, "a", "b"),
            r!(auth_role_grant_permission: AuthRoleGrantPermissionRequest { name: "w".into(), perm: None }),
            forbid("w", "k", ""),
            forbid("w", "k", ""),
            forbid("nobody", "k", ""),
            grant("ann", "w"),
            r!(auth_role_delete: RoleRequest { role: "reader".into() }),
            r!(auth_role_delete: RoleRequest { role: "reader".into() }),
            r!(auth_role_delete: RoleRequest { role: "root".into() }),
            r!(auth_role_get: RoleRequest { role: "w".into() }),
            r!(auth_role_list: Empty {}),
            r!(auth_status: Empty {}),
        ],
    );
    assert_eq!(made.done, "+--+++----+--++--...");
    let w = Role::decode(made.given("authRoles", b"w").unwrap()).unwrap();
    let permissions: Vec<_> =
        w.key_permission.iter().map(|p| (p.perm_type, p.key.as_slice(), p.range_end.as_slice())).collect();
    assert_eq!(permissions, [(0, &b"k"[..], &b"l"[..])]);
    assert_eq!(made.given("authRoles", b"reader"), None);
    // Who had the role has it no more.
    assert_eq!(User::decode(made.given("authUsers", b"ann").unwrap()).unwrap().roles, [b"w"]);
    // What older versions grant.
    assert_eq!(applied("3.4.24", vec![permit("reader", 1, "b", "a")]).done, "+");
    let unknown = applied("3.5", vec![permit("reader", 1, "b", "a")]);
    assert!(unknown.done == "-" && unknown.said.contains(&Code::ReplayVersion));
}

#[test]
fn only_an_administrator_changes_users_while_auth_is_on() {
    let by = |user: &str, mut r: Request| {
        r.header = Some(RequestHeader { id: 1, username: user.into(), auth_revision: 1000 });
        r
    };
    let off = || r!(auth_disable: Empty {});
    let on = || r!(auth_enable: Empty {});
    let all = vec![
        by("ann", user("u", "eA==")),
        by("ann", off()),
        on(),
        off(),
        off(),
        by("ann", user("u", "eA==")),
        on(),
        on(),
    ];
    let made = applied("3.6.14", all);
    assert_eq!(made.done, "---+-++-");
    assert_eq!(made.given("auth", b"authEnabled"), Some(&[1][..]));
    assert_eq!(made.given("auth", b"authRevision"), Some(&5u64.to_be_bytes()[..]));
    // Without a root there is nobody to turn it on for.
    let all = vec![off(), revoke("root", "root"), on(), r!(auth_user_delete: name("root")), on()];
    assert_eq!(applied("3.6.14", all).done, "++-+-");
}

#[test]
fn leases_are_granted_kept_and_end_with_their_keys() {
    let lease = |id, ttl| r!(lease_grant: LeaseGrantRequest { id, ttl });
    let checkpoint = || {
        let checkpoints = vec![
            LeaseCheckpoint { id: LEASE, remaining_ttl: 7 },
            LeaseCheckpoint { id: 99, remaining_ttl: 7 },
        ];
        r!(lease_checkpoint: LeaseCheckpointRequest { checkpoints })
    };
    let end = |id| r!(lease_revoke: LeaseRevokeRequest { id });
    let made = applied(
        "3.6.14",
        vec![lease(1, 1), lease(1, 9), lease(0, 9), lease(2, 1 << 40), lease(3, 600), checkpoint(), end(4)],
    );
    assert_eq!(made.done, "+---++-");
    let stored = |id: i64| Lease::decode(made.given("lease", &id.to_be_bytes()).unwrap()).unwrap();
    assert_eq!((stored(1).ttl, stored(3).ttl, stored(LEASE).remaining_ttl), (2, 600, 7));
    assert!(made.said.contains(&Code::ReplayFlags));
    // Before 3.6 the time that is left is not in the database.
    assert_eq!(applied("3.5.1", vec![checkpoint()]).done, ".");
    let ended = applied("3.6.14", vec![end(LEASE), end(LEASE)]);
    assert_eq!((ended.done.as_str(), ended.given("lease", &LEASE.to_be_bytes())), ("+-", None));
    assert!(ended.given("key", &revision(10, 0, true)).is_some());
    // Whoever may not write the key may not end the lease.
    let mut by_ann = end(LEASE);
    by_ann.header = Some(RequestHeader { id: 1, username: "ann".into(), auth_revision: 1000 });
    assert_eq!(applied("3.6.14", vec![by_ann]).done, "-");
}

fn change(kind: i32, id: u64, url: &str, more: &str) -> (i32, Vec<u8>) {
    let context = format!(r#"{{"id":{id},"peerURLs":["{url}"]{more}}}"#).into_bytes();
    (
        1,
        ConfChange { id: Some(1), kind: Some(kind), node_id: Some(id), context: Some(context) }
            .encode_to_vec(),
    )
}

#[test]
fn members_come_learn_vote_move_and_go_as_etcd_does_it() {
    let (add, remove, update, learner) = (0, 1, 2, 3);
    let learns = r#","isLearner":true"#;
    let entries = [
        change(learner, 9, "http://h:9", learns),
        change(learner, 10, "http://h:10", learns),
        change(add, 9, "http://h:9", r#","isPromote":true"#),
        change(add, 9, "http://h:9", r#","isPromote":true"#),
        change(add, 11, "http://h:11", r#","isPromote":true"#),
        change(update, 9, "http://h:99", ""),
        change(update, 11, "http://h:11", ""),
        change(update, 9, "http://localhost:2380", ""),
        change(add, 9, "http://h:9", ""),
        change(add, 12, "http://h:99", ""),
        change(add, 13, "http://h:13", ""),
        change(remove, 13, "", ""),
        change(remove, 13, "", ""),
        change(add, 13, "http://h:13", ""),
        change(remove, 14, "", ""),
    ];
    let made = Applied::of("3.6.14", &entries);
    assert_eq!(made.done, "+-+--+----++---");
    assert_eq!(made.text("members", "9"), r#"{"id":9,"peerURLs":["http://h:99"]}"#);
    assert_eq!((made.given("members", b"d"), made.text("members_removed", "d").as_str()), (None, "removed"));
    assert_eq!(made.text("meta", "confState"), format!(r#"{{"voters":[9,{MEMBER}],"auto_leave":false}}"#));
    assert!(made.said.contains(&Code::ReplayFlags), "the second learner");
    // 3.4 does not keep who votes.
    let old = Applied::of("3.4.23", &entries);
    assert!(old.done == made.done && !old.overlay[&b"meta"[..]].contains_key(&b"confState"[..]));
    for bad in [
        (1, b"\xff".to_vec()),
        (1, ConfChange { node_id: Some(9), ..ConfChange::default() }.encode_to_vec()),
        (2, Vec::new()),
        (7, Vec::new()),
    ] {
        assert_eq!(Applied::of("3.6.14", &[bad]).done, "!");
    }
}

#[test]
fn a_learner_that_moves_learns_as_long_as_its_version_lets_it_and_an_unknown_patch_is_told() {
    let entries = [change(3, 9, "http://h:9", r#","isLearner":true"#), change(2, 9, "http://h:99", "")];
    let (learns, is_none) =
        (r#"{"id":9,"peerURLs":["http://h:99"],"isLearner":true}"#, r#"{"id":9,"peerURLs":["http://h:99"]}"#);
    let as_it_was = r#"{"id":9,"peerURLs":["http://h:9"],"isLearner":true}"#;
    for (version, due, told) in [
        ("3.4.23", is_none, false),
        ("3.5.1", as_it_was, false),
        ("3.5.30", is_none, false),
        ("3.5.31", learns, false),
        ("3.5", learns, true),
        ("3.6.11", is_none, false),
        ("3.6", learns, true),
        ("3.7.0", learns, false),
    ] {
        let made = Applied::of(version, &entries);
        assert_eq!((made.done.as_str(), made.text("members", "9").as_str()), ("++", due), "{version}");
        assert_eq!(made.said.contains(&Code::ReplayVersion), told, "{version}");
    }
    // What 3.5.1 to 3.5.19 leave as it was is told of 3.5.
    let attributes = ClusterMemberAttrSetRequest {
        member_id: MEMBER,
        member_attributes: Some(Attributes { name: "new".into(), ..Attributes::default() }),
    };
    let set = InternalRaftRequest { id: 1, cluster_member_attr_set: Some(attributes), ..Default::default() };
    let said = |version| Applied::of(version, &[(0, set.encode_to_vec())]).said;
    assert!(said("3.5").contains(&Code::ReplayVersion) && !said("3.5.20").contains(&Code::ReplayVersion));
    // No etcd lives through the removal of the last voter.
    assert_eq!(Applied::of("3.6.14", &[change(1, MEMBER, "", "")]).done, "!");
}

#[test]
fn versions_and_attributes_are_set_by_either_api() {
    let v2 = |method: &str, path: &str, val: &str| {
        let request =
            V2Request { method: method.into(), path: path.into(), val: val.into(), ..V2Request::default() };
        (0, request.encode_to_vec())
    };
    let path = format!("/0/members/{MEMBER:x}/attributes");
    let entries = [
        v2("PUT", "/0/version", "3.5.0"),
        v2("PUT", &path, r#"{"name":"new","clientURLs":["http://c:1"]}"#),
        v2("PUT", "/x", "y"),
        v2("SYNC", "", ""),
    ];
    let made = Applied::of("3.5.20", &entries);
    assert_eq!((made.done.as_str(), made.text("cluster", "clusterVersion").as_str()), ("++..", "3.5.0"));
    let due = format!(
        r#"{{"id":{MEMBER},"peerURLs":["http://localhost:2380"],"name":"new","clientURLs":["http://c:1"]}}"#
    );
    assert_eq!(made.text("members", &format!("{MEMBER:x}")), due);
    assert!(made.said.contains(&Code::ReplayV2));
    assert_eq!(Applied::of("3.6.14", &entries[2..]).done, "!");
    assert_eq!(Applied::of("3.7.1", &entries).done, "!");
    assert_eq!(Applied::of("3.5.20", &[v2("PUT", &path, "no json")]).done, "!");
    // Nobody knows member 77.
    let stranger = v2("PUT", "/0/members/77/attributes", r#"{"name":"new"}"#);
    assert_eq!(Applied::of("3.5.20", &[stranger]).done, "!");

    let version = |ver: &str| r!(cluster_version_set: VersionRequest { ver: ver.into() });
    let set = |member_id, attributes| r!(cluster_member_attr_set: ClusterMemberAttrSetRequest { member_id, member_attributes: attributes });
    let downgrade =
        |enabled| r!(downgrade_info_set: DowngradeInfoSetRequest { enabled, ver: "3.5.0".into() });
    let named = Some(Attributes { name: "x".into(), client_urls: Vec::new() });
    let all = vec![
        version("3.6.0"),
        set(MEMBER, named),
        downgrade(true),
        r!(downgrade_version_test: VersionRequest::default()),
    ];
    let made = applied("3.6.14", all);
    assert_eq!(made.done, "+++.");
    for panics in [set(77, Some(Attributes::default())), set(MEMBER, None)] {
        assert_eq!(applied("3.6.14", vec![panics]).done, "!");
    }
    assert_eq!(made.text("cluster", "downgrade"), r#"{"target-version":"3.5.0","enabled":true}"#);
    assert_eq!(
        made.text("members", &format!("{MEMBER:x}")),
        format!(r#"{{"id":{MEMBER},"peerURLs":["http://localhost:2380"],"name":"x"}}"#)
    );
    let off = applied("3.6.14", vec![downgrade(false)]);
    assert_eq!(off.text("cluster", "downgrade"), r#"{"target-version":"","enabled":false}"#);
    assert_eq!(applied("3.6.14", vec![version("three")]).done, "!");
    // A request that 3.4 does not know.
    assert_eq!(applied("3.4.23", vec![version("3.6.0")]).done, "!");
}

#[test]
fn alarms_stand_before_the_store_until_they_are_cleared() {
    let alarm = |action, alarm| r!(alarm: AlarmRequest { action, member_id: MEMBER, alarm });
    let space = vec![
        alarm(0, 1),
        alarm(2, 1),
        put("k"),
        alarm(1, 1),
        alarm(1, 1),
        put("k"),
        alarm(2, 1),
        put("k"),
        alarm(1, 0),
    ];
    assert_eq!(applied("3.6.14", space.clone()).done, ".-++--++-");
    let mut corrupt = vec![
        alarm(1, 2),
        put("k"),
        r!(compaction: CompactionRequest { revision: 6, physical: false }),
        alarm(2, 2),
    ];
    corrupt.extend([
        r!(compaction: CompactionRequest { revision: 6, physical: false }),
        r!(compaction: CompactionRequest { revision: 6, physical: false }),
    ]);
    corrupt.push(r!(compaction: CompactionRequest { revision: 60, physical: false }));
    let made = applied("3.6.14", corrupt);
    assert_eq!(made.done, "+--++--");
    assert_eq!(made.given("meta", b"scheduledCompactRev"), Some(&revision(6, 0, false)[..]));
    assert_eq!(applied("3.6.14", vec![alarm(1, 9)]).done, "!");
    // Up to 3.5 an alarm that is raised puts the checks of users aside.
    let mut by_ann = put("a");
    by_ann.header = Some(RequestHeader { id: 1, username: "ann".into(), auth_revision: 1000 });
    let all = vec![by_ann.clone(), alarm(1, 2), alarm(2, 2), by_ann.clone()];
    assert_eq!(applied("3.5.20", all).done, "-++-");
    let grant = || r!(lease_grant: LeaseGrantRequest { id: 5, ttl: 600 });
    assert_eq!(applied("3.5.20", vec![alarm(1, 1), by_ann, grant(), alarm(2, 1), grant()]).done, "+--++");
}

/// Whether a transaction takes its first list.
fn holds(
    key: &str,
    range_end: &str,
    target: i32,
    result: i32,
    target_union: Option<compare::TargetUnion>,
) -> bool {
    let compare =
        vec![Compare { result, target, key: key.into(), target_union, range_end: range_end.into() }];
    let op = |key: &str| RequestOp { request: Some(request_op::Request::Put(put(key).put.unwrap())) };
    let txn = TxnRequest { compare, success: vec![op("yes")], failure: vec![op("no")] };
    let made = applied("3.6.14", vec![r!(txn: txn)]);
    assert_eq!(made.done, "+");
    let row = made.given("key", &revision(10, 0, false)).unwrap();
    KeyValue::decode(row).unwrap().key == b"yes"
}

#[test]
fn comparisons_are_made_as_etcd_makes_them() {
    use compare::TargetUnion::{CreateRevision, Lease, ModRevision, Value, Version};
    let (version, create, modified, value, lease) = (0, 1, 2, 3, 4);
    let (equal, greater, less, other) = (0, 1, 2, 3);
    let text = |text: &str| Some(Value(text.into()));
    // `a` was made at 4 and put again at 6; `c` hangs on the lease.
    for (key, target, result, with, due) in [
        ("a", version, equal, Some(Version(2)), true),
        ("a", version, equal, Some(Version(1)), false),
        ("a", version, greater, Some(Version(1)), true),
        ("a", version, less, Some(Version(2)), false),
        ("a", version, other, Some(Version(3)), true),
        ("a", version, other, Some(Version(2)), false),
        ("a", create, equal, Some(CreateRevision(4)), true),
        ("a", create, greater, Some(CreateRevision(4)), false),
        ("a", modified, equal, Some(ModRevision(6)), true),
        ("a", modified, less, Some(ModRevision(6)), false),
        ("a", value, equal, text("value 6.0"), true),
        ("a", value, less, text("value 7"), true),
        ("c", lease, equal, Some(Lease(LEASE)), true),
        ("a", lease, equal, Some(Lease(LEASE)), false),
        // A key that is not there has zeros, and no value that anything could be compared with.
        ("z", version, equal, Some(Version(0)), true),
        ("z", create, equal, Some(CreateRevision(0)), true),
        ("z", modified, greater, Some(ModRevision(0)), false),
        ("z", lease, equal, None, true),
        ("z", value, equal, text(""), false),
        ("z", value, other, text("x"), false),
        // Nothing to compare with is zero.
        ("a", version, greater, None, true),
        ("a", create, greater, None, true),
        ("a", modified, equal, None, false),
    ] {
        assert_eq!(holds(key, "", target, result, with.clone()), due, "{key} {target} {result} {with:?}");
    }
    // All keys of a range.
    assert!(holds("a", "d", version, greater, Some(Version(0))));
    assert!(!holds("a", "d", version, equal, Some(Version(2))));
    assert!(holds("a", "\0", modified, less, Some(ModRevision(10))));
}

#[test]
fn a_put_keeps_of_its_key_what_it_says() {
    let keeping = |key: &str, ignore_value, ignore_lease| r!(put: PutRequest { key: key.into(), ignore_value, ignore_lease, ..Default::default() });
    let with_lease = |lease| r!(put: PutRequest { key: b"k".to_vec(), lease, ..Default::default() });
    let all = vec![
        keeping("c", true, true),
        keeping("c", true, false),
        keeping("z", true, false),
        with_lease(99),
        with_lease(LEASE),
    ];
    let made = applied("3.6.14", all);
    assert_eq!(made.done, "++--+");
    let row = |main| KeyValue::decode(made.given("key", &revision(main, 0, false)).unwrap()).unwrap();
    assert_eq!((row(10).value, row(10).lease, row(10).version), (b"value 5.0".to_vec(), LEASE, 2));
    // Of what the log itself put.
    assert_eq!((row(11).value, row(11).lease, row(11).version), (b"value 5.0".to_vec(), 0, 3));
    assert_eq!(row(12).lease, LEASE);
}
