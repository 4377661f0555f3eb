//! A member's directory: its log, its raft snapshots, and its database against them.

use std::fs;

use coldbolt::etcd::request::{Attributes, ClusterMemberAttrSetRequest, InternalRaftRequest, PutRequest};
use coldbolt::snap::file::SnapFile;
use coldbolt::words::error::At;
use coldbolt::{Code, Severity};
use prost::Message;

use super::{Break, Due, Entry, due, entry, nowhere, verify_files};
use support::buckets::MEMBER;
use support::member::{
    Files, Member, Record, conf_change, entry as raft_entry, member_json, request, snap, snap_path, state,
};

fn one(code: Code, at: At) -> Vec<Due> {
    vec![due(code, at)]
}

/// At a record of the file that [`Member::good`] makes of that segment.
fn at_record(member: &Member, segment: usize, record: usize) -> At {
    let files = member.files();
    // The checksum and the metadata come first.
    At::offset(files.frames(&member.segments[segment].path())[record + 2] as u64)
}

/// The last segment, with the large entry 24 that takes several sectors.
fn large() -> Member {
    let mut member = Member::good();
    member.entry(22).data = Some(vec![b'x'; 3000]);
    member
}

/// Where the frame of raft entry 22 begins in the last segment of [`large`], and where it ends.
fn large_frame(files: &Files) -> (usize, usize) {
    let frames = files.frames(&files.last_wal());
    let pair = frames.windows(2).find(|pair| pair[1] - pair[0] > 3000).unwrap();
    (pair[0], pair[1])
}

/// The same raft snapshot, with two keys of users in its v2 store.
fn with_v2_keys(bytes: &[u8]) -> Vec<u8> {
    let mut snapshot = SnapFile::decode(bytes).unwrap().snapshot;
    let mut store: serde_json::Value = serde_json::from_slice(snapshot.data.as_ref().unwrap()).unwrap();
    let key = serde_json::json!({"Value": "v", "Children": null});
    store["Root"]["Children"]["1"] =
        serde_json::json!({"Children": {"a": key, "d": {"Children": {"b": key, "none": {"Children": {}}}}}});
    snapshot.data = Some(store.to_string().into_bytes());
    SnapFile::encode(&snapshot)
}

/// A put of 10 MiB.
fn long_entry(index: u64, term: u64) -> Record {
    let value = vec![0; 10 << 20];
    let put = PutRequest { key: b"long".to_vec(), value, ..PutRequest::default() };
    request(index, term, &InternalRaftRequest { id: 1, put: Some(put), ..InternalRaftRequest::default() })
}

pub fn entries() -> Vec<Entry> {
    use Break::{Files as Bytes, Killed, Member as Made, Other};
    vec![
        // ---- records -----------------------------------------------------------------------------------------------
        entry(
            Code::WalCrc,
            "a byte of an entry",
            Bytes(|files| {
                let path = files.last_wal();
                let at = files.frames(&path)[5];
                files.get(&path)[at + 30] ^= 1;
                one(Code::WalCrc, At::offset(at as u64))
            }),
        ),
        entry(
            Code::WalCrc,
            "the second segment goes on from another checksum than the first ends with",
            Bytes(|files| {
                let path = files.last_wal();
                files.get(&path)[11] ^= 1;
                one(Code::WalCrc, At::offset(0))
            }),
        ),
        entry(
            Code::WalCrc,
            "a byte of a killed member's log",
            Killed(|path| {
                let path = path.join("member/wal/0000000000000000-0000000000000000.wal");
                let mut bytes = fs::read(&path).unwrap();
                bytes[0x70] ^= 1;
                fs::write(&path, bytes).unwrap();
                one(Code::WalCrc, nowhere())
            }),
        ),
        entry(
            Code::WalTorn,
            "the last record is cut off",
            Bytes(|files| {
                let path = files.last_wal();
                let frames = files.frames(&path);
                let last = frames[frames.len() - 2];
                files.get(&path).truncate(last + 12);
                one(Code::WalTorn, At::offset(last as u64))
            }),
        )
        .with(&[Code::DbAhead]),
        entry(
            Code::WalTorn,
            "the last length word is cut off",
            Bytes(|files| {
                let path = files.last_wal();
                let frames = files.frames(&path);
                let last = frames[frames.len() - 2];
                files.get(&path).truncate(last + 3);
                one(Code::WalTorn, At::offset(last as u64))
            }),
        )
        .with(&[Code::DbAhead]),
        entry(
            Code::WalTorn,
            "the last sectors were never written",
            Other(|| {
                let mut files = large().files();
                let (path, (from, _)) = (files.last_wal(), large_frame(&files));
                let bytes = files.get(&path);
                let sector = (from + 1024) / 512 * 512;
                bytes[sector..].fill(0);
                (verify_files(&files), one(Code::WalTorn, At::offset(from as u64)))
            }),
        )
        .with(&[Code::DbAhead]),
        entry(
            Code::WalTorn,
            "a sector is zero and good records follow: no crash leaves that",
            Other(|| {
                let mut files = large().files();
                let (path, (from, _)) = (files.last_wal(), large_frame(&files));
                let sector = (from + 1024) / 512 * 512;
                files.get(&path)[sector..sector + 512].fill(0);
                (
                    verify_files(&files),
                    vec![due(Code::WalTorn, At::offset(from as u64)).as_(Severity::Damage)],
                )
            }),
        ),
        entry(
            Code::WalTorn,
            "bytes after a length of zero, which etcd erases",
            Bytes(|files| {
                let path = files.last_wal();
                let end = *files.frames(&path).last().unwrap();
                files.get(&path)[end + 700] = 1;
                one(Code::WalTorn, At::offset(end as u64))
            }),
        ),
        entry(
            Code::WalRecord,
            "a record of type 9",
            Made(|member| {
                member.segments[1].records.insert(4, Record::Other(9, b"x".to_vec()));
                one(Code::WalRecord, at_record(member, 1, 4))
            }),
        ),
        entry(
            Code::WalRecord,
            "an entry that does not decode",
            Made(|member| {
                member.segments[1].records.insert(4, Record::Other(2, vec![0xff]));
                one(Code::WalRecord, at_record(member, 1, 4))
            }),
        ),
        entry(
            Code::WalRecord,
            "a record is cut off in a segment that is not the last",
            Bytes(|files| {
                let path = "member/wal/0000000000000000-0000000000000000.wal";
                let frames = files.frames(path);
                let last = frames[frames.len() - 2];
                files.get(path).truncate(last + 12);
                one(Code::WalRecord, At::offset(last as u64))
            }),
        ),
        entry(
            Code::WalRecord,
            "padding that is not zero",
            Bytes(|files| {
                let path = files.last_wal();
                let frames = files.frames(&path);
                // The first entry whose frame has padding.
                let at = (4..frames.len() - 1)
                    .find(|i| files.0[&path][frames[*i] + 7] & 7 != 0)
                    .map(|i| (frames[i], frames[i + 1]))
                    .unwrap();
                files.get(&path)[at.1 - 1] = 1;
                one(Code::WalRecord, At::offset(at.0 as u64))
            }),
        ),
        entry(
            Code::WalRecord,
            "the term goes back",
            Made(|member| {
                member.entry(18).term = Some(1);
                // Records of segment 1: a hard state, then entries from 15 on.
                one(Code::WalRecord, at_record(member, 1, 4))
            }),
        ),
        entry(
            Code::WalRecord,
            "the commit index goes back",
            Made(|member| {
                member.segments[1].records.insert(4, state(2, 3));
                one(Code::WalRecord, at_record(member, 1, 4))
            }),
        ),
        entry(
            Code::WalCrc,
            "a segment without metadata",
            Bytes(|files| {
                let path = files.last_wal();
                let frames = files.frames(&path);
                files.get(&path).drain(frames[1]..frames[2]);
                // The chain of checksums breaks where the metadata was.
                one(Code::WalCrc, At::offset(frames[1] as u64))
            }),
        ),
        entry(
            Code::WalLong,
            "an entry of 10 MiB, which etcd took",
            Other(|| {
                let mut member = Member::good();
                let Record::Entry(long) = long_entry(22, 2) else { unreachable!() };
                *member.entry(22) = long;
                // Records of segment 1: a hard state, then entries from 15 on.
                let at = at_record(&member, 1, 8);
                (verify_files(&member.files()), one(Code::WalLong, at))
            }),
        ),
        // ---- segments ----------------------------------------------------------------------------------------------
        entry(
            Code::WalSequence,
            "a segment in the middle is missing",
            Made(|member| {
                let mut third = member.segments[1].clone();
                third.records = vec![state(2, 23), raft_entry(25, 2)];
                (third.sequence, third.index) = (2, 25);
                member.segments[1] = third;
                one(Code::WalSequence, nowhere())
            }),
        ),
        entry(
            Code::WalSequence,
            "a segment's name has a lower index than its entries",
            Made(|member| {
                member.segments[1].index = 3;
                one(Code::WalSequence, nowhere())
            }),
        ),
        entry(
            Code::WalSequence,
            "a segment's name has a higher index than its entries",
            Made(|member| {
                member.segments[1].index = 30;
                vec![due(Code::WalSequence, nowhere()).as_(Severity::Warning)]
            }),
        ),
        entry(
            Code::WalMetadata,
            "a segment of another member",
            Made(|member| {
                member.segments[1].node = 77;
                let at = member.files().frames(&member.segments[1].path())[1];
                one(Code::WalMetadata, At::offset(at as u64))
            }),
        ),
        entry(
            Code::WalEntryGap,
            "an entry is missing",
            Made(|member| {
                member.segments[1].records.remove(4);
                one(Code::WalEntryGap, At { index: Some(19.into()), ..at_record(member, 1, 4) })
            }),
        ),
        entry(
            Code::WalEntryGap,
            "more is committed than is there",
            Made(|member| {
                member.segments[1].records.push(state(2, 30));
                one(Code::WalEntryGap, nowhere().index(30))
            }),
        ),
        entry(
            Code::WalMissing,
            "no segment",
            Made(|member| {
                member.segments.clear();
                one(Code::WalMissing, nowhere())
            }),
        ),
        entry(
            Code::WalMissing,
            "only a file that is no segment by its name",
            Bytes(|files| {
                files.0.retain(|path, _| !path.ends_with(".wal"));
                files.0.insert("member/wal/log.wal".to_owned(), vec![1]);
                one(Code::WalMissing, nowhere())
            }),
        ),
        entry(
            Code::WalStart,
            "the segment with what comes after the database is missing",
            Made(|member| {
                member.buckets.index(12, 2);
                member.segments.remove(0);
                one(Code::WalStart, nowhere().index(15))
            }),
        ),
        entry(
            Code::WalStart,
            "the segment between the raft snapshot and the database is missing",
            Made(|member| {
                member.segments.remove(0);
                // The record of the raft snapshot is gone with it.
                one(Code::WalStart, nowhere().index(1))
            }),
        ),
        entry(
            Code::WalStart,
            "the newest raft snapshot cannot be read, and the log does not reach back to an older one",
            Other(|| {
                let mut member = Member::good();
                member.segments[0]
                    .records
                    .retain(|record| !matches!(record, Record::Entry(entry) if entry.index < Some(10)));
                let mut files = member.files();
                files.get(&snap_path(10, 1)).clear();
                let empty = due(Code::SnapInvalid, At::offset(0)).as_(Severity::Warning);
                (verify_files(&files), vec![empty, due(Code::WalStart, nowhere().index(1))])
            }),
        ),
        entry(
            Code::WalShort,
            "a segment without a byte behind the last one, as a power cut leaves it",
            Bytes(|files| {
                files.0.insert("member/wal/0000000000000002-0000000000000019.wal".to_owned(), Vec::new());
                one(Code::WalShort, nowhere())
            }),
        ),
        // ---- what etcd panics at ---------------------------------------------------------------------------------------
        entry(
            Code::ReplayRefused,
            "a request without id and header that the database lacks",
            Made(|member| {
                member.entry(22).data = Some(
                    InternalRaftRequest { put: Some(PutRequest::default()), ..Default::default() }
                        .encode_to_vec(),
                );
                one(Code::ReplayRefused, nowhere().index(22))
            }),
        ),
        entry(
            Code::ReplayRefused,
            "a request that does not decode, in the database already: etcd takes it all the same",
            Made(|member| {
                member.entry(12).data = Some(b"request".to_vec());
                one(Code::ReplayRefused, nowhere().index(12))
            }),
        ),
        entry(
            Code::ReplayRefused,
            "a conf change whose member is another than the one it changes",
            Made(|member| {
                let Record::Entry(other) = conf_change(22, 2, 0, 77, &member_json(78, false)) else {
                    unreachable!()
                };
                *member.entry(22) = other;
                one(Code::ReplayRefused, nowhere().index(22))
            }),
        ),
        entry(
            Code::ReplayRefused,
            "a conf change of a kind that is not known",
            Made(|member| {
                let Record::Entry(other) = conf_change(22, 2, 9, 77, &member_json(77, false)) else {
                    unreachable!()
                };
                *member.entry(22) = other;
                one(Code::ReplayRefused, nowhere().index(22))
            }),
        ),
        entry(
            Code::ReplayRefused,
            "the attributes of a member that nobody knows, in the database already",
            Made(|member| {
                let attributes = Attributes { name: b"x".to_vec(), ..Attributes::default() };
                let set = ClusterMemberAttrSetRequest { member_id: 77, member_attributes: Some(attributes) };
                let request = InternalRaftRequest {
                    id: 1,
                    cluster_member_attr_set: Some(set),
                    ..InternalRaftRequest::default()
                };
                member.entry(12).data = Some(request.encode_to_vec());
                one(Code::ReplayRefused, nowhere().index(12))
            }),
        ),
        // ---- the database against them -----------------------------------------------------------------------------
        entry(Code::DbLag, "nothing is broken", Made(|_| one(Code::DbLag, nowhere().index(20)))),
        entry(
            Code::DbLag,
            "nothing is broken in a killed member's directory",
            Killed(|_| one(Code::DbLag, nowhere())),
        ),
        entry(
            Code::DbAhead,
            "the log ends before the database",
            Made(|member| {
                member.buckets.index(30, 2);
                one(Code::DbAhead, nowhere().index(30))
            }),
        ),
        entry(
            Code::DbAhead,
            "the log was cut off: a crash does not take entries that were applied",
            Bytes(|files| {
                let path = files.last_wal();
                let at = files.frames(&path)[6];
                files.get(&path).truncate(at + 12);
                // That the last record is torn is what etcd would repair; that the database is further tells that
                // more is lost.
                vec![due(Code::WalTorn, At::offset(at as u64)), due(Code::DbAhead, nowhere().index(20))]
            }),
        ),
        entry(
            Code::DbAhead,
            "past the last commit index, as a crash leaves it",
            Made(|member| {
                member.buckets.index(24, 2);
                vec![due(Code::DbAhead, nowhere().index(24)).as_(Severity::Note)]
            }),
        ),
        entry(
            Code::DbTerm,
            "the log has the database's last entry in another term",
            Made(|member| {
                member.buckets.index(20, 1);
                one(Code::DbTerm, nowhere().index(20))
            }),
        ),
        entry(
            Code::DbTerm,
            "a term that a newer etcd left in a directory that 3.4 made",
            Made(|member| {
                member.buckets.remove("meta", b"storageVersion");
                member.buckets.index(20, 9);
                vec![due(Code::DbTerm, nowhere().index(20)).as_(Severity::Note)]
            }),
        ),
        entry(
            Code::DbTerm,
            "a term past the log's",
            Made(|member| {
                member.buckets.index(20, 3);
                one(Code::DbTerm, nowhere().index(20))
            }),
        ),
        entry(
            Code::DbMissing,
            "with a raft snapshot",
            Bytes(|files| {
                files.0.remove("member/snap/db");
                // Neither the log nor anything else tells the version.
                vec![due(Code::DbMissing, nowhere()), due(Code::ReplayVersion, nowhere())]
            }),
        ),
        entry(
            Code::DbMissing,
            "without one: etcd makes it anew from the log",
            Other(|| {
                let mut member = Member::good();
                member.snaps.clear();
                member.segments[0].records.retain(|r| !matches!(r, Record::Snapshot { index: 10, .. }));
                let mut files = member.files();
                files.0.remove("member/snap/db");
                let missing = due(Code::DbMissing, nowhere()).as_(Severity::Warning);
                (verify_files(&files), vec![missing, due(Code::ReplayVersion, nowhere())])
            }),
        ),
        entry(
            Code::DbBehindSnapshot,
            "the database is older than the raft snapshot",
            Made(|member| {
                member.buckets.index(8, 1);
                one(Code::DbBehindSnapshot, nowhere().index(8))
            }),
        ),
        entry(
            Code::DbAside,
            "etcd ran on the database that this one replaced",
            Bytes(|files| {
                let mut ran = Member::good();
                ran.buckets.index(22, 2);
                let aside = "member/snap/db.0123456789abcdef.partial";
                files.0.insert(aside.to_owned(), ran.buckets.bare().bytes);
                one(Code::DbAside, nowhere().index(20))
            }),
        ),
        // ---- raft snapshots ----------------------------------------------------------------------------------------
        entry(
            Code::SnapCrc,
            "a byte of the newest raft snapshot: it is not said to be missing",
            Bytes(|files| {
                *files.get(&snap_path(10, 1)).last_mut().unwrap() ^= 1;
                vec![due(Code::SnapCrc, At::offset(0)).as_(Severity::Warning)]
            }),
        ),
        entry(
            Code::SnapInvalid,
            "no byte in it",
            Bytes(|files| {
                files.get(&snap_path(10, 1)).clear();
                vec![due(Code::SnapInvalid, At::offset(0)).as_(Severity::Warning)]
            }),
        ),
        entry(
            Code::SnapInvalid,
            "its name has another index",
            Bytes(|files| {
                let bytes = files.0.remove(&snap_path(10, 1)).unwrap();
                files.0.insert(snap_path(11, 1), bytes);
                vec![due(Code::SnapInvalid, nowhere()).as_(Severity::Warning)]
            }),
        ),
        entry(
            Code::SnapInvalid,
            "the store in it is not one",
            Bytes(|files| {
                use coldbolt::raft::{Snapshot, SnapshotMetadata};
                let metadata = SnapshotMetadata { conf_state: None, index: Some(10), term: Some(1) };
                let content = Snapshot { data: Some(b"{".to_vec()), metadata: Some(metadata) };
                files.0.insert(snap_path(10, 1), coldbolt::snap::file::SnapFile::encode(&content));
                one(Code::SnapInvalid, nowhere())
            }),
        ),
        entry(
            Code::SnapMissing,
            "the log records it, the file is not there",
            Made(|member| {
                member.snaps.clear();
                one(Code::SnapMissing, nowhere().index(10))
            }),
        ),
        entry(
            Code::SnapMissing,
            "etcd 3.7 does not need the file",
            Made(|member| {
                member.snaps.clear();
                member.buckets.put("meta", b"storageVersion", b"3.7.0");
                vec![due(Code::SnapMissing, nowhere().index(10)).as_(Severity::Note)]
            }),
        ),
        entry(
            Code::V2Keys,
            "two keys of users",
            Bytes(|files| {
                let bytes = files.get(&support::member::snap_path(10, 1));
                *bytes = with_v2_keys(bytes);
                one(Code::V2Keys, nowhere().index(10))
            }),
        ),
        // ---- members -----------------------------------------------------------------------------------------------
        entry(
            Code::MembersDisagree,
            "the log is of a member that is not listed",
            Made(|member| {
                member.segments.iter_mut().for_each(|s| s.node = 77);
                one(Code::MembersDisagree, nowhere())
            }),
        ),
        entry(
            Code::MembersDisagree,
            "the log adds a member after the raft snapshot that the database lacks",
            Made(|member| {
                let Record::Entry(added) = conf_change(12, 2, 0, 77, &member_json(77, false)) else {
                    unreachable!()
                };
                *member.entry(12) = added;
                one(Code::MembersDisagree, nowhere())
            }),
        ),
        entry(
            Code::MembersDisagree,
            "the log makes a learner a voter, the database still has a learner (etcd issue 19557)",
            Made(|member| {
                let Record::Entry(added) = conf_change(12, 2, 3, 77, &member_json(77, true)) else {
                    unreachable!()
                };
                *member.entry(12) = added;
                let Record::Entry(promoted) = conf_change(13, 2, 0, 77, r#"{"id":77,"isPromote":true}"#)
                else {
                    unreachable!()
                };
                *member.entry(13) = promoted;
                member.buckets.put("members", b"4d", member_json(77, true).as_bytes());
                member.buckets.put(
                    "meta",
                    b"confState",
                    format!(r#"{{"voters":[{MEMBER}],"learners":[77]}}"#).as_bytes(),
                );
                one(Code::MembersDisagree, nowhere())
            }),
        ),
        entry(
            Code::MembersDisagree,
            "the log removes a member, the database still has it (etcd issue 20793)",
            Made(|member| {
                member.snaps[0].2.push((77, false));
                let Record::Entry(removed) = conf_change(12, 2, 1, 77, "") else { unreachable!() };
                *member.entry(12) = removed;
                member.buckets.put("members", b"4d", member_json(77, false).as_bytes());
                member.buckets.put("meta", b"confState", format!(r#"{{"voters":[{MEMBER},77]}}"#).as_bytes());
                one(Code::MembersDisagree, nowhere())
            }),
        ),
        entry(
            Code::MembersDisagree,
            "the raft snapshot has a member that the database lacks",
            Bytes(|files| {
                files.0.insert(snap_path(10, 1), snap(10, 1, &[(MEMBER, false), (77, false)]));
                one(Code::MembersDisagree, nowhere())
            }),
        ),
    ]
}
