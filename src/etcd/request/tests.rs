//! Tests of requests.

use super::*;

/// The text of a request, as etcd-dump-logs prints it.
fn text(request: &InternalRaftRequest) -> String {
    match tree(&request.encode_to_vec()) {
        Tree::V3(node) => node.text(true),
        other => panic!("{other:?}"),
    }
}

fn irr() -> InternalRaftRequest {
    InternalRaftRequest::default()
}

fn b(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

fn s(text: &str) -> Vec<u8> {
    text.into()
}

/// Each request once, with the line that etcd-dump-logs' own test expects for it, and the kinds that test leaves out.
fn samples() -> Vec<(InternalRaftRequest, &'static str)> {
    let range = RangeRequest {
        key: b("1"),
        range_end: b("hi"),
        limit: 6,
        revision: 1,
        sort_order: 1,
        max_mod_revision: 20000,
        max_create_revision: 20000,
        ..RangeRequest::default()
    };
    let put = PutRequest {
        key: b("foo1"),
        value: b("bar1"),
        lease: 1,
        ignore_lease: true,
        ..PutRequest::default()
    };
    let delete = DeleteRangeRequest { key: b("a"), range_end: b("b"), prev_kv: false };
    let op = |request| RequestOp { request: Some(request) };
    let txn = TxnRequest {
        compare: vec![],
        success: vec![op(request_op::Request::DeleteRange(delete.clone()))],
        failure: vec![op(request_op::Request::DeleteRange(delete.clone()))],
    };
    let compare = |target, target_union| Compare {
        result: 1,
        target,
        key: b("k"),
        target_union: Some(target_union),
        range_end: vec![],
    };
    let nested = TxnRequest {
        compare: vec![
            compare(2, compare::TargetUnion::ModRevision(0)),
            compare(3, compare::TargetUnion::Value(vec![])),
            compare(4, compare::TargetUnion::Lease(7)),
            Compare { range_end: b("z"), ..compare(9, compare::TargetUnion::Version(-1)) },
        ],
        success: vec![
            op(request_op::Request::Range(RangeRequest { key: b("r"), ..RangeRequest::default() })),
            op(request_op::Request::Txn(NestedTxn(TxnRequest {
                compare: vec![],
                success: vec![op(request_op::Request::Put(PutRequest::default()))],
                failure: vec![],
            }))),
            RequestOp { request: None },
        ],
        failure: vec![],
    };
    let permission = Permission { perm_type: 1, key: b("Keys"), range_end: b("RangeEnd") };
    let attributes = Attributes { name: s("m1"), client_urls: vec![s("http://a"), s("http://b")] };
    let v2 = V2Request {
        id: 1,
        method: s("PUT"),
        path: s("/0/version"),
        val: s("3.5.0"),
        prev_exist: Some(false),
        ..V2Request::default()
    };
    vec![
        (
            InternalRaftRequest { id: 5, range: Some(range), ..irr() },
            r#"ID:5 range:<key:"1" range_end:"hi" limit:6 revision:1 sort_order:ASCEND max_mod_revision:20000 max_create_revision:20000 > "#,
        ),
        (
            InternalRaftRequest { id: 6, put: Some(put), ..irr() },
            r#"ID:6 put:<key:"foo1" value:"bar1" lease:1 ignore_lease:true > "#,
        ),
        (
            InternalRaftRequest {
                id: 7,
                delete_range: Some(DeleteRangeRequest { prev_kv: true, ..delete }),
                ..irr()
            },
            r#"ID:7 delete_range:<key:"a" range_end:"b" prev_kv:true > "#,
        ),
        (
            InternalRaftRequest { id: 8, txn: Some(txn), ..irr() },
            r#"ID:8 txn:<success:<request_delete_range:<key:"a" range_end:"b" > > failure:<request_delete_range:<key:"a" range_end:"b" > > > "#,
        ),
        (
            InternalRaftRequest { txn: Some(nested), ..irr() },
            r#"txn:<compare:<result:GREATER target:MOD key:"k" mod_revision:0 > compare:<result:GREATER target:VALUE key:"k" value:"" > compare:<result:GREATER target:LEASE key:"k" lease:7 > compare:<result:GREATER target:9 key:"k" version:-1 range_end:"z" > success:<request_range:<key:"r" > > success:<request_txn:<success:<request_put:<> > > > success:<> > "#,
        ),
        (
            InternalRaftRequest {
                id: 9,
                compaction: Some(CompactionRequest { revision: 0, physical: true }),
                ..irr()
            },
            "ID:9 compaction:<physical:true > ",
        ),
        (
            InternalRaftRequest { id: 10, lease_grant: Some(LeaseGrantRequest { ttl: 1, id: 1 }), ..irr() },
            "ID:10 lease_grant:<TTL:1 ID:1 > ",
        ),
        (
            InternalRaftRequest { id: 11, lease_revoke: Some(LeaseRevokeRequest { id: 2 }), ..irr() },
            "ID:11 lease_revoke:<ID:2 > ",
        ),
        (
            InternalRaftRequest {
                id: 12,
                alarm: Some(AlarmRequest { action: 3, member_id: 4, alarm: 5 }),
                ..irr()
            },
            "ID:12 alarm:<action:3 memberID:4 alarm:5 > ",
        ),
        (
            InternalRaftRequest { alarm: Some(AlarmRequest { action: 1, member_id: 4, alarm: 1 }), ..irr() },
            "alarm:<action:ACTIVATE memberID:4 alarm:NOSPACE > ",
        ),
        (
            InternalRaftRequest {
                lease_checkpoint: Some(LeaseCheckpointRequest {
                    checkpoints: vec![LeaseCheckpoint { id: 3, remaining_ttl: 60 }],
                }),
                ..irr()
            },
            "lease_checkpoint:<checkpoints:<ID:3 remaining_TTL:60 > > ",
        ),
        (InternalRaftRequest { id: 13, auth_enable: Some(Empty {}), ..irr() }, "ID:13 auth_enable:<> "),
        (InternalRaftRequest { id: 14, auth_disable: Some(Empty {}), ..irr() }, "ID:14 auth_disable:<> "),
        (InternalRaftRequest { auth_status: Some(Empty {}), ..irr() }, "auth_status:<> "),
        (
            InternalRaftRequest {
                id: 15,
                authenticate: Some(InternalAuthenticateRequest {
                    name: s("myname"),
                    password: s("password"),
                    simple_token: s("token"),
                }),
                ..irr()
            },
            r#"ID:15 authenticate:<name:"myname" password:"password" simple_token:"token" > "#,
        ),
        (
            InternalRaftRequest {
                id: 16,
                auth_user_add: Some(AuthUserAddRequest {
                    name: s("name1"),
                    password: s("pass1"),
                    options: Some(UserAddOptions { no_password: false }),
                    hashed_password: s("h"),
                }),
                ..irr()
            },
            r#"ID:16 auth_user_add:<name:"name1" password:"pass1" options:<> hashedPassword:"h" > "#,
        ),
        (
            InternalRaftRequest { id: 17, auth_user_delete: Some(NameRequest { name: s("name1") }), ..irr() },
            r#"ID:17 auth_user_delete:<name:"name1" > "#,
        ),
        (
            InternalRaftRequest { id: 18, auth_user_get: Some(NameRequest { name: s("name1") }), ..irr() },
            r#"ID:18 auth_user_get:<name:"name1" > "#,
        ),
        (
            InternalRaftRequest {
                id: 19,
                auth_user_change_password: Some(AuthUserChangePasswordRequest {
                    name: s("name1"),
                    password: s("pass2"),
                    hashed_password: s("h"),
                }),
                ..irr()
            },
            r#"ID:19 auth_user_change_password:<name:"name1" password:"<value removed>" hashedPassword:"h" > "#,
        ),
        (
            InternalRaftRequest {
                id: 20,
                auth_user_grant_role: Some(AuthUserGrantRoleRequest { user: s("user1"), role: s("role1") }),
                ..irr()
            },
            r#"ID:20 auth_user_grant_role:<user:"user1" role:"role1" > "#,
        ),
        (
            InternalRaftRequest {
                id: 21,
                auth_user_revoke_role: Some(AuthUserRevokeRoleRequest { name: s("user2"), role: s("role2") }),
                ..irr()
            },
            r#"ID:21 auth_user_revoke_role:<name:"user2" role:"role2" > "#,
        ),
        (InternalRaftRequest { id: 22, auth_user_list: Some(Empty {}), ..irr() }, "ID:22 auth_user_list:<> "),
        (InternalRaftRequest { id: 23, auth_role_list: Some(Empty {}), ..irr() }, "ID:23 auth_role_list:<> "),
        (
            InternalRaftRequest { id: 24, auth_role_add: Some(NameRequest { name: s("role2") }), ..irr() },
            r#"ID:24 auth_role_add:<name:"role2" > "#,
        ),
        (
            InternalRaftRequest { id: 25, auth_role_delete: Some(RoleRequest { role: s("role1") }), ..irr() },
            r#"ID:25 auth_role_delete:<role:"role1" > "#,
        ),
        (
            InternalRaftRequest { id: 26, auth_role_get: Some(RoleRequest { role: s("role3") }), ..irr() },
            r#"ID:26 auth_role_get:<role:"role3" > "#,
        ),
        (
            InternalRaftRequest {
                id: 27,
                auth_role_grant_permission: Some(AuthRoleGrantPermissionRequest {
                    name: s("role3"),
                    perm: Some(permission),
                }),
                ..irr()
            },
            r#"ID:27 auth_role_grant_permission:<name:"role3" perm:<permType:WRITE key:"Keys" range_end:"RangeEnd" > > "#,
        ),
        (
            InternalRaftRequest {
                id: 28,
                auth_role_revoke_permission: Some(AuthRoleRevokePermissionRequest {
                    role: s("role3"),
                    key: b("key"),
                    range_end: b("rangeend"),
                }),
                ..irr()
            },
            r#"ID:28 auth_role_revoke_permission:<role:"role3" key:"key" range_end:"rangeend" > "#,
        ),
        (
            InternalRaftRequest { cluster_version_set: Some(VersionRequest { ver: s("3.6.0") }), ..irr() },
            r#"cluster_version_set:<ver:"3.6.0" > "#,
        ),
        (
            InternalRaftRequest {
                header: Some(RequestHeader { id: u64::MAX, username: s("é"), auth_revision: 2 }),
                cluster_member_attr_set: Some(ClusterMemberAttrSetRequest {
                    member_id: 9,
                    member_attributes: Some(attributes),
                }),
                ..irr()
            },
            r#"header:<ID:18446744073709551615 username:"\303\251" auth_revision:2 > cluster_member_attr_set:<member_ID:9 member_attributes:<name:"m1" client_urls:"http://a" client_urls:"http://b" > > "#,
        ),
        (
            InternalRaftRequest {
                downgrade_info_set: Some(DowngradeInfoSetRequest { enabled: true, ver: s("3.5.0") }),
                ..irr()
            },
            r#"downgrade_info_set:<enabled:true ver:"3.5.0" > "#,
        ),
        (
            InternalRaftRequest { downgrade_version_test: Some(VersionRequest { ver: s("3.5.0") }), ..irr() },
            r#"downgrade_version_test:<ver:"3.5.0" > "#,
        ),
        (
            InternalRaftRequest { id: 3, v2: Some(v2), ..irr() },
            r#"ID:3 v2:<ID:1 Method:"PUT" Path:"/0/version" Val:"3.5.0" PrevExist:false > "#,
        ),
    ]
}

#[test]
fn every_request_prints_as_etcd_dump_logs_prints_it_and_decodes_to_what_it_was() {
    let samples = samples();
    for (request, expected) in &samples {
        assert_eq!(text(request), *expected);
        assert_eq!(decode(&request.encode_to_vec()), Request::V3(Box::new(request.clone())));
    }
    // The table and the messages name the same fields: every request of the table is among the samples.
    let seen: std::collections::BTreeSet<u32> = samples
        .iter()
        .flat_map(|(request, _)| fields(&request.encode_to_vec()).map(|f| f.unwrap().0).collect::<Vec<_>>())
        .collect();
    let known: std::collections::BTreeSet<u32> =
        schema::INTERNAL_RAFT_REQUEST.fields().iter().map(|field| field.number).collect();
    assert_eq!(seen, known);
}

#[test]
fn secrets_of_every_kind_are_redacted() {
    let hidden: Vec<String> = samples()
        .iter()
        .filter_map(|(request, _)| match tree(&request.encode_to_vec()) {
            Tree::V3(node) if node.has_secret() => Some(node.text(false)),
            _ => None,
        })
        .collect();
    assert_eq!(
        hidden,
        [
            r#"ID:15 authenticate:<name:"myname" password:"<redacted>" simple_token:"<redacted>" > "#,
            r#"ID:16 auth_user_add:<name:"name1" password:"<redacted>" options:<> hashedPassword:"<redacted>" > "#,
            r#"ID:19 auth_user_change_password:<name:"name1" password:"<redacted>" hashedPassword:"<redacted>" > "#,
        ]
    );
}

#[test]
fn a_bare_v2_request_is_told_from_a_v3_one() {
    for method in ["GET", "PUT", "POST", "DELETE", "QGET", "SYNC", "HEAD"] {
        let request = V2Request {
            id: 1,
            method: s(method),
            path: s("/0/version"),
            val: s("3.5.0"),
            ..V2Request::default()
        };
        let bytes = request.encode_to_vec();
        assert_eq!(decode(&bytes), Request::V2(Box::new(request)), "{method}");
        assert!(
            matches!(tree(&bytes), Tree::V2(node) if node.root().bytes("Path") == b"/0/version"),
            "{method}"
        );
    }
    assert_eq!(decode(b""), Request::Noop);
    assert_eq!(decode(b"?"), Request::Unknown);
    assert!(matches!(tree(b"?"), Tree::Unknown));
    // gogo writes every field of a v2 request, the empty method too: it shows in the path.
    let no_method = V2Request { path: s("/path0"), val: s("{}"), dir: true, time: 1, ..V2Request::default() }
        .encode_to_vec();
    assert!(matches!(tree(&no_method), Tree::V2(_)));
}

#[test]
fn unknown_fields_are_passed_over_and_shown() {
    let mut bytes = InternalRaftRequest { id: 1, ..irr() }.encode_to_vec();
    bytes.extend([0xba, 0xed, 0x03, 0x01, b'x', 0xa0, 0x9c, 0x01, 0x05]);
    assert_eq!(decode(&bytes), Request::V3(Box::new(InternalRaftRequest { id: 1, ..irr() })));
    assert!(matches!(tree(&bytes), Tree::V3(node) if node.text(true) == "ID:1 7895:\"x\" 2500:5 "));
}

/// A request with transactions so many deep.
fn nested(depth: usize) -> Vec<u8> {
    // From the inside out: the encoder would go in.
    let mut txn = Vec::new();
    for _ in 1..depth {
        let op = prost_field(4, &txn);
        txn = prost_field(2, &op);
    }
    prost_field(6, &txn)
}

fn prost_field(tag: u32, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    prost::encoding::bytes::encode(tag, &bytes.to_vec(), &mut out);
    out
}

#[test]
fn transactions_nest_deeper_than_prost_counts() {
    for depth in [1, 50, 51, MOST_NESTED] {
        let bytes = nested(depth);
        let Request::V3(request) = decode(&bytes) else { panic!("{depth} deep is not decoded") };
        assert_eq!(request.encode_to_vec(), bytes, "{depth}");
        let Tree::V3(tree) = tree(&bytes) else { panic!("{depth} deep is not printed") };
        assert_eq!(tree.text(true).matches("request_txn:<").count(), depth - 1);
        assert_eq!(tree.json(true).to_string().matches("request_txn").count(), depth - 1);
    }
    assert_eq!(decode(&nested(MOST_NESTED + 1)), Request::Unknown);
}

#[test]
fn endless_nesting_is_refused() {
    let bytes = nested(3000);
    assert_eq!(decode(&bytes), Request::Unknown);
    assert!(!matches!(tree(&bytes), Tree::V3(_)));
}

#[test]
fn what_a_member_tells_of_itself_is_known_by_its_path() {
    let request = |method: &str, path: &str| V2Request {
        method: method.into(),
        path: path.into(),
        ..V2Request::default()
    };
    for path in [
        "/0/members/8e9e05c52164694d/attributes",
        "/x/0/members/A/attributes/y",
        "/0/members//0/members/1/attributes",
    ] {
        assert!(request("PUT", path).tells_of_a_member() && request("PUT", path).is_etcds_own(), "{path}");
        assert!(!request("DELETE", path).is_etcds_own());
    }
    for path in
        ["/0/members//attributes", "/0/members/12345678901234567/attributes", "/0/members/1/raftAttributes"]
    {
        assert!(!request("PUT", path).tells_of_a_member(), "{path}");
    }
    assert!(request("PUT", "/0/version").is_etcds_own() && !request("QGET", "/0/version").is_etcds_own());
    assert!(!request("PUT", "/1/key").is_etcds_own());
}
