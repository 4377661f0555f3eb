//! Requests of every kind, applied to a small database as a member of any version does it: it ends, the revision
//! never falls, the same comes out twice, and the database that is written from it is whole.
#![no_main]

use std::io::Cursor;

use coldbolt::Severity;
use coldbolt::bolt::Db;
use coldbolt::bolt::writer::pack::pack;
use coldbolt::bolt::writer::patch::patch;
use coldbolt::bolt::writer::{Options, Writer};
use coldbolt::etcd::request::compare::TargetUnion;
use coldbolt::etcd::request::request_op::Request;
use coldbolt::etcd::request::*;
use coldbolt::etcd::{BucketKey, KeyValue, Revision};
use coldbolt::io::Source;
use coldbolt::ops::verify::{VerifyOptions, verify};
use coldbolt::raft::{ConfChange, Entry, EntryView};
use coldbolt::replay::apply::{Interest, Overlay, Replayer, Version};
use coldbolt::store::scan::{self, scan};
use coldbolt::words::monitor::Quiet;
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use prost::Message;

const VERSIONS: [&str; 12] =
    ["3.4", "3.4.23", "3.4.45", "3.5", "3.5.1", "3.5.19", "3.5.33", "3.6", "3.6.0", "3.6.14", "3.7", "3.7.1"];
const MEMBER: &str =
    r#"{"id":7,"peerURLs":["http://127.0.0.1:2380"],"name":"a","clientURLs":["http://127.0.0.1:2379"]}"#;

/// Keys a and b, and a member alone.
fn base() -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let mut writer = Writer::new(&mut file, Options { page_size: 1024, ..Options::default() }).unwrap();
    let mut bucket = |name: &str, items: &[(&[u8], &[u8])]| {
        writer.begin_bucket(name.as_bytes(), 0).unwrap();
        items.iter().for_each(|(key, value)| writer.put(key, value).unwrap());
        writer.end_bucket().unwrap();
    };
    for name in ["alarm", "auth", "authRoles", "authUsers"] {
        bucket(name, &[]);
    }
    bucket("cluster", &[(b"clusterVersion", b"3.5.0")]);
    let rows: Vec<_> = [(2, b"a"), (3, b"b")]
        .iter()
        .map(|(main, key)| {
            let row = BucketKey { revision: Revision { main: *main, sub: 0 }, tombstone: false }.to_bytes();
            let kv = KeyValue {
                key: &key[..],
                create_revision: *main,
                mod_revision: *main,
                version: 1,
                value: b"v",
                lease: 0,
            };
            (row, kv.encode())
        })
        .collect();
    bucket("key", &rows.iter().map(|(row, kv)| (row.as_slice(), kv.as_slice())).collect::<Vec<_>>());
    bucket("lease", &[]);
    bucket("members", &[(b"0000000000000007", MEMBER.as_bytes())]);
    bucket("members_removed", &[]);
    bucket("meta", &[(b"consistent_index", &5u64.to_be_bytes()), (b"term", &2u64.to_be_bytes())]);
    writer.finish().unwrap();
    file.into_inner()
}

fn key(u: &mut Unstructured) -> Result<Vec<u8>> {
    Ok(u.choose(&[&b""[..], b"\0", b"a", b"b", b"c", b"d", b"aa", b"\xff"])?.to_vec())
}

fn name(u: &mut Unstructured) -> Result<Vec<u8>> {
    Ok(u.choose(&[&b""[..], b"root", b"u", b"w", b"3.5.0", b"3.6", b"x.y", b"\xff"])?.to_vec())
}

fn number(u: &mut Unstructured) -> Result<i64> {
    if u.ratio(1, 16)? { u.arbitrary() } else { u.int_in_range(-1..=9) }
}

/// No server takes an empty key; what of a client's request it checks before it is an entry is not checked again.
fn put(u: &mut Unstructured) -> Result<PutRequest> {
    let flags: u8 = u.arbitrary()?;
    let lease = if flags & 8 == 0 { 0 } else { number(u)? };
    let value = if flags & 4 == 0 { b"w".to_vec() } else { Vec::new() };
    Ok(PutRequest {
        key: [key(u)?, b"k".to_vec()].concat(),
        value,
        lease,
        prev_kv: flags & 16 != 0,
        ignore_value: flags & 33 == 33,
        ignore_lease: flags & 66 == 66,
    })
}

fn delete(u: &mut Unstructured) -> Result<DeleteRangeRequest> {
    Ok(DeleteRangeRequest { key: key(u)?, range_end: key(u)?, prev_kv: u.arbitrary()? })
}

fn range(u: &mut Unstructured) -> Result<RangeRequest> {
    Ok(RangeRequest {
        key: key(u)?,
        range_end: key(u)?,
        revision: number(u)?,
        limit: number(u)?,
        ..RangeRequest::default()
    })
}

fn list<T>(u: &mut Unstructured, make: impl Fn(&mut Unstructured) -> Result<T>) -> Result<Vec<T>> {
    (0..u.int_in_range(0..=3)?).map(|_| make(u)).collect()
}

fn txn(u: &mut Unstructured, depth: usize) -> Result<TxnRequest> {
    let op = |u: &mut Unstructured| {
        let request = match u.int_in_range(0..=4)? {
            0 => Request::Range(range(u)?),
            1 | 2 => Request::Put(put(u)?),
            3 if depth < 4 => Request::Txn(txn(u, depth + 1)?),
            _ => Request::DeleteRange(delete(u)?),
        };
        Ok(RequestOp { request: (!u.ratio(1, 32)?).then_some(request) })
    };
    let compare = |u: &mut Unstructured| {
        let union = match u.int_in_range(0..=5)? {
            0 => None,
            1 => Some(TargetUnion::Version(number(u)?)),
            2 => Some(TargetUnion::CreateRevision(number(u)?)),
            3 => Some(TargetUnion::ModRevision(number(u)?)),
            4 => Some(TargetUnion::Value(key(u)?)),
            _ => Some(TargetUnion::Lease(number(u)?)),
        };
        let range_end = if u.ratio(1, 4)? { key(u)? } else { Vec::new() };
        Ok(Compare {
            result: u.int_in_range(0..=4)?,
            target: u.int_in_range(0..=5)?,
            key: key(u)?,
            target_union: union,
            range_end,
        })
    };
    Ok(TxnRequest { compare: list(u, compare)?, success: list(u, op)?, failure: list(u, op)? })
}

fn request(u: &mut Unstructured) -> Result<InternalRaftRequest> {
    let mut r = InternalRaftRequest::default();
    if u.arbitrary()? {
        r.header = Some(RequestHeader { id: 1, username: name(u)?, auth_revision: u.int_in_range(0..=4)? });
    }
    match u.int_in_range(0..=24)? {
        0 => r.range = Some(range(u)?),
        1..=3 => r.put = Some(put(u)?),
        4 | 5 => r.delete_range = Some(delete(u)?),
        6..=8 => r.txn = Some(txn(u, 0)?),
        9 => r.compaction = Some(CompactionRequest { revision: number(u)?, physical: u.arbitrary()? }),
        10 => r.lease_grant = Some(LeaseGrantRequest { ttl: number(u)?, id: number(u)? }),
        11 => r.lease_revoke = Some(LeaseRevokeRequest { id: number(u)? }),
        12 => {
            let one =
                |u: &mut Unstructured| Ok(LeaseCheckpoint { id: number(u)?, remaining_ttl: number(u)? });
            r.lease_checkpoint = Some(LeaseCheckpointRequest { checkpoints: list(u, one)? });
        }
        13 => {
            let (action, alarm) = (u.int_in_range(0..=3)?, u.int_in_range(0..=3)?);
            r.alarm = Some(AlarmRequest { action, member_id: u.int_in_range(7..=8)?, alarm });
        }
        14 => r.auth_enable = Some(Empty {}),
        15 => r.auth_disable = Some(Empty {}),
        16 => {
            let options = u.arbitrary::<bool>()?.then_some(UserAddOptions { no_password: u.arbitrary()? });
            let hashed_password = b"JDJhJDA0JA==".to_vec();
            r.auth_user_add =
                Some(AuthUserAddRequest { name: name(u)?, password: Vec::new(), options, hashed_password });
        }
        17 => r.auth_user_delete = Some(NameRequest { name: name(u)? }),
        18 => r.auth_user_grant_role = Some(AuthUserGrantRoleRequest { user: name(u)?, role: name(u)? }),
        19 => r.auth_user_revoke_role = Some(AuthUserRevokeRoleRequest { name: name(u)?, role: name(u)? }),
        20 => r.auth_role_add = Some(NameRequest { name: name(u)? }),
        21 => r.auth_role_delete = Some(RoleRequest { role: name(u)? }),
        22 => {
            let perm = Permission { perm_type: u.int_in_range(0..=3)?, key: key(u)?, range_end: key(u)? };
            r.auth_role_grant_permission =
                Some(AuthRoleGrantPermissionRequest { name: name(u)?, perm: Some(perm) });
        }
        23 => {
            r.auth_role_revoke_permission =
                Some(AuthRoleRevokePermissionRequest { role: name(u)?, key: key(u)?, range_end: key(u)? });
        }
        _ => match u.int_in_range(0..=2)? {
            0 => r.cluster_version_set = Some(VersionRequest { ver: name(u)? }),
            1 => {
                r.downgrade_info_set =
                    Some(DowngradeInfoSetRequest { enabled: u.arbitrary()?, ver: name(u)? })
            }
            _ => {
                let member_attributes =
                    Some(Attributes { name: name(u)?, client_urls: vec![b"http://h:1".to_vec()] });
                let member_id = u.int_in_range(7..=8)?;
                r.cluster_member_attr_set =
                    Some(ClusterMemberAttrSetRequest { member_id, member_attributes });
            }
        },
    }
    Ok(r)
}

/// An entry's type and data: mostly a request, with a byte changed now and then; and whether a server could have made
/// it.
fn entry(u: &mut Unstructured) -> Result<(i32, Vec<u8>, bool)> {
    let mut made = true;
    let (kind, mut data) = match u.int_in_range(0..=19)? {
        0 => (0, Vec::new()),
        1 => {
            made = false;
            (0, u.arbitrary::<&[u8]>()?.to_vec())
        }
        2 => (u.int_in_range(0..=3)?, key(u)?),
        3 | 4 => {
            let id: u64 = u.int_in_range(7..=9)?;
            let context = MEMBER
                .replace(":7", &format!(":{id}"))
                .replace('}', u.choose(&["}", ",\"isLearner\":true}", ",\"isPromote\":true}"])?);
            let (kind, context) = (Some(u.int_in_range(0..=4)?), Some(context.into_bytes()));
            (1, ConfChange { id: Some(1), kind, node_id: Some(id), context }.encode_to_vec())
        }
        5 => {
            let (method, path) = (
                u.choose(&["PUT", "SYNC", "GET"])?,
                u.choose(&["/0/version", "/0/members/7/attributes", "/x"])?,
            );
            let request = V2Request {
                method: (*method).into(),
                path: (*path).into(),
                val: name(u)?,
                ..V2Request::default()
            };
            (0, request.encode_to_vec())
        }
        _ => (0, request(u)?.encode_to_vec()),
    };
    if !data.is_empty() && u.ratio(1, 32)? {
        let at = u.choose_index(data.len())?;
        data[at] = u.arbitrary()?;
        made = false;
    }
    Ok((kind, data, made))
}

/// What applying all of it gives, as far as it goes.
fn replay(db: &Db<'_>, version: Version, entries: &[Entry]) -> Option<(Overlay, i64)> {
    let views = |entry: &Entry| entry.encode_to_vec();
    let mut interest = Interest::default();
    entries.iter().for_each(|entry| interest.add(entry.data()));
    interest.close();
    let mut replayer = Replayer::open(db, &interest, version, "wal").unwrap();
    for entry in entries {
        let before = (replayer.index(), replayer.revision());
        let bytes = views(entry);
        if let Err(corrupt) = replayer.apply(&EntryView::decode(&bytes).unwrap()) {
            drop(corrupt.to_string());
            return None;
        }
        assert_eq!(replayer.index(), before.0.next());
        assert!(
            (before.1..=before.1 + 1).contains(&replayer.revision()),
            "{before:?} {}",
            replayer.revision()
        );
    }
    let replayed = replayer.finish();
    Some((replayed.overlay, replayed.revision))
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut u = Unstructured::new(data);
    let Ok(version) = u.choose(&VERSIONS).map(|text| text.parse::<Version>().unwrap()) else { return };
    let (mut entries, mut all_made) = (Vec::new(), true);
    while !u.is_empty() && entries.len() < 40 {
        let Ok((kind, data, made)) = entry(&mut u) else { break };
        all_made &= made;
        entries.push(Entry {
            kind: Some(kind),
            term: Some(2),
            index: Some(6 + entries.len() as u64),
            data: Some(data),
        });
    }
    let source = Source::from_bytes("base.db", base());
    let db = Db::open(&source).unwrap();
    let whole = replay(&db, version, &entries);
    assert_eq!(whole.is_some(), replay(&db, version, &entries).is_some_and(|again| Some(again) == whole));
    let Some((overlay, _)) = whole else { return };
    // As a copy writes it: laid over the database, and the pages that are in use moved together.
    let patched = patch(&db, &overlay).unwrap();
    let reached = scan(&db, scan::ScanOptions { limit: 1, gate: None, keys: scan::KeyDepth::Pages }, &Quiet)
        .unwrap()
        .reached;
    let over = Db::open(&patched.source).unwrap();
    let mut out = Vec::new();
    pack(&over, &patched.places(&over, &reached), &mut out, &Quiet).unwrap();
    let written = Source::from_bytes("written.db", out);
    let report = verify(&written, &VerifyOptions::default(), &Quiet).unwrap();
    if !all_made {
        return;
    }
    let damage: Vec<_> =
        report.findings.iter().filter(|finding| finding.severity == Severity::Damage).collect();
    assert!(damage.is_empty(), "{version}: {damage:?}");
});
