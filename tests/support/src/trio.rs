//! Three members of one cluster, made by hand, which were killed at different moments.

use coldbolt::etcd::request::{InternalRaftRequest, PutRequest, RequestHeader};
use prost::Message;

use crate::buckets::MEMBER;
use crate::member::{Member, Record, entry};

/// Their ids.
pub const IDS: [u64; 3] = [MEMBER, 7, 8];

/// The request of root to put a key.
pub fn put(key: &str, value: &[u8]) -> Vec<u8> {
    let header = RequestHeader { id: 1, username: "root".into(), auth_revision: 3 };
    let put = PutRequest { key: key.into(), value: value.into(), ..PutRequest::default() };
    InternalRaftRequest { header: Some(header), put: Some(put), ..InternalRaftRequest::default() }
        .encode_to_vec()
}

/// One of the three, whose log ends with that entry and knows that one to be committed. The database is at 20, as
/// that of all.
pub fn one(id: u64, last: u64, commit: u64) -> Member {
    let mut member = Member { preallocated: 256, ..Member::good() };
    for id in IDS.into_iter().filter(|id| *id != MEMBER) {
        member.buckets.put(
            "members",
            format!("{id:x}").as_bytes(),
            format!(r#"{{"id":{id},"peerURLs":["http://n:{id}"],"name":"n{id}"}}"#).as_bytes(),
        );
    }
    member.buckets.put(
        "meta",
        b"confState",
        format!(r#"{{"voters":[7,8,{MEMBER}],"auto_leave":false}}"#).as_bytes(),
    );
    member.snaps = vec![(10, 1, IDS.map(|id| (id, false)).to_vec())];
    for segment in &mut member.segments {
        segment.node = id;
    }
    let records = &mut member.segments[1].records;
    records.retain(|record| !matches!(record, Record::Entry(entry) if entry.index > Some(20)));
    let state = records.pop().unwrap();
    assert!(matches!(state, Record::State { .. }));
    for index in 21..=last {
        let mut record = entry(index, 2);
        let Record::Entry(put_) = &mut record else { unreachable!() };
        put_.data = Some(put("a", format!("value {index}").as_bytes()));
        records.push(record);
    }
    records.push(Record::State { term: 2, commit });
    member
}
