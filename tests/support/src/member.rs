//! A member's data directory, made by hand: the log record by record, the raft snapshots, the database.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use coldbolt::codec::checksum::crc32c;
use coldbolt::etcd::request::{InternalRaftRequest, PutRequest, RequestHeader};
use coldbolt::raft::{ConfChange, ConfState, Entry, HardState, Snapshot, SnapshotMetadata};
use coldbolt::snap::file::SnapFile;
use coldbolt::wal::frame::FrameSize;
use coldbolt::wal::{self, Metadata};
use prost::Message;

use crate::buckets::{Buckets, MEMBER};

pub const CLUSTER: u64 = 0xcdf8_18c6_6ba4_5f01;

/// A record before it is framed.
#[derive(Debug, Clone)]
pub enum Record {
    Entry(Entry),
    State {
        term: u64,
        commit: u64,
    },
    Snapshot {
        index: u64,
        term: u64,
    },
    /// A type and a payload.
    Other(u64, Vec<u8>),
}

/// A put that nobody asked for, as a member without users takes it.
pub fn entry(index: u64, term: u64) -> Record {
    request(
        index,
        term,
        &InternalRaftRequest {
            header: Some(RequestHeader { id: index, ..RequestHeader::default() }),
            put: Some(PutRequest { key: format!("key {index}").into_bytes(), ..PutRequest::default() }),
            ..InternalRaftRequest::default()
        },
    )
}

pub fn request(index: u64, term: u64, request: &InternalRaftRequest) -> Record {
    Record::Entry(Entry {
        kind: Some(0),
        term: Some(term),
        index: Some(index),
        data: Some(request.encode_to_vec()),
    })
}

pub fn state(term: u64, commit: u64) -> Record {
    Record::State { term, commit }
}

/// Adding (0), removing (1) or updating (2) a member, or adding a learner (3).
pub fn conf_change(index: u64, term: u64, kind: i32, id: u64, context: &str) -> Record {
    let change =
        ConfChange { id: Some(index), kind: Some(kind), node_id: Some(id), context: Some(context.into()) };
    Record::Entry(Entry {
        kind: Some(1),
        term: Some(term),
        index: Some(index),
        data: Some(change.encode_to_vec()),
    })
}

pub fn member_json(id: u64, learner: bool) -> String {
    let learner = if learner { r#","isLearner":true"# } else { "" };
    format!(r#"{{"id":{id},"peerURLs":["http://localhost:{}"]{learner},"name":"n"}}"#, id % 50_000)
}

/// A segment: its name's numbers, whose it is, and its records after the checksum and the metadata.
#[derive(Debug, Clone)]
pub struct Segment {
    pub sequence: u64,
    pub index: u64,
    pub node: u64,
    pub records: Vec<Record>,
}

impl Segment {
    pub fn path(&self) -> String {
        format!("member/wal/{:016x}-{:016x}.wal", self.sequence, self.index)
    }
}

/// A raft snapshot: index, term, and the members in its v2 store with whether they learn.
pub type Snap = (u64, u64, Vec<(u64, bool)>);

/// A member.
#[derive(Debug, Clone)]
pub struct Member {
    pub buckets: Buckets,
    pub segments: Vec<Segment>,
    pub snaps: Vec<Snap>,
    /// Whose log it is.
    pub cluster: u64,
    /// Zero bytes at the end of the last segment.
    pub preallocated: usize,
}

impl Member {
    /// Entries 1 to 24 in two segments, terms 1 and 2, a snapshot at 10; the database holds everything up to 20.
    pub fn good() -> Member {
        let mut first = vec![Record::Snapshot { index: 0, term: 0 }];
        first.push(conf_change(1, 1, 0, MEMBER, &member_json(MEMBER, false)));
        first.push(state(1, 1));
        first.extend((2..=10).map(|i| entry(i, 1)));
        first.push(state(1, 10));
        first.push(Record::Snapshot { index: 10, term: 1 });
        first.extend((11..=14).map(|i| entry(i, 2)));
        first.push(state(2, 14));
        let mut second = vec![state(2, 14)];
        second.extend((15..=24).map(|i| entry(i, 2)));
        second.push(state(2, 23));
        let segments = vec![
            Segment { sequence: 0, index: 0, node: MEMBER, records: first },
            Segment { sequence: 1, index: 15, node: MEMBER, records: second },
        ];
        Member {
            buckets: Buckets::good(),
            segments,
            snaps: vec![(10, 1, vec![(MEMBER, false)])],
            cluster: CLUSTER,
            preallocated: 2048,
        }
    }

    /// The record of that entry.
    pub fn entry(&mut self, index: u64) -> &mut Entry {
        let records = self.segments.iter_mut().flat_map(|s| &mut s.records);
        let mut entries =
            records.filter_map(|r| if let Record::Entry(entry) = r { Some(entry) } else { None });
        entries.find(|entry| entry.index == Some(index)).unwrap()
    }

    /// The files, by path from the data directory on.
    pub fn files(&self) -> Files {
        let mut files = BTreeMap::new();
        files.insert("member/snap/db".to_owned(), self.buckets.bare().bytes);
        for (index, term, members) in &self.snaps {
            files.insert(snap_path(*index, *term), snap(*index, *term, members));
        }
        let mut crc = 0;
        for segment in &self.segments {
            let mut bytes = Vec::new();
            frame(&mut bytes, 4, crc, None);
            let metadata =
                Metadata { node_id: Some(segment.node), cluster_id: Some(self.cluster) }.encode_to_vec();
            for (kind, data) in std::iter::once((1, metadata)).chain(segment.records.iter().map(payload)) {
                crc = crc32c(crc, &data);
                frame(&mut bytes, kind, crc, Some(&data));
            }
            files.insert(segment.path(), bytes);
        }
        if let Some((_, last)) = files.iter_mut().rfind(|(name, _)| name.ends_with(".wal")) {
            last.resize(last.len() + self.preallocated, 0);
        }
        Files(files)
    }
}

pub fn snap_path(index: u64, term: u64) -> String {
    format!("member/snap/{term:016x}-{index:016x}.snap")
}

fn payload(record: &Record) -> (u64, Vec<u8>) {
    match record {
        Record::Entry(entry) => (2, entry.encode_to_vec()),
        Record::State { term, commit } => {
            (3, HardState { term: Some(*term), vote: Some(MEMBER), commit: Some(*commit) }.encode_to_vec())
        }
        Record::Snapshot { index, term } => (
            5,
            wal::SnapshotRecord { index: Some(*index), term: Some(*term), conf_state: None }.encode_to_vec(),
        ),
        Record::Other(kind, data) => (*kind, data.clone()),
    }
}

fn frame(out: &mut Vec<u8>, kind: u64, crc: u32, data: Option<&[u8]>) {
    let mut record = Vec::new();
    prost::encoding::uint64::encode(1, &kind, &mut record);
    prost::encoding::uint32::encode(2, &crc, &mut record);
    if let Some(data) = data {
        prost::encoding::bytes::encode(3, &data.to_vec(), &mut record);
    }
    out.extend(FrameSize::word(record.len() as u64).to_le_bytes());
    out.extend(&record);
    out.resize(out.len().next_multiple_of(8), 0);
}

/// A raft snapshot file with these members.
pub fn snap(index: u64, term: u64, members: &[(u64, bool)]) -> Vec<u8> {
    let node = |(id, learner): &(u64, bool)| {
        let attributes =
            serde_json::json!({"peerURLs": ["http://localhost:2380"], "isLearner": learner}).to_string();
        (format!("{id:x}"), serde_json::json!({"Children": {"raftAttributes": {"Value": attributes}}}))
    };
    let nodes: serde_json::Map<_, _> = members.iter().map(node).collect();
    let json = serde_json::json!({"Root": {"Children": {"0": {"Children": {"members": {"Children": nodes}}}}}, "CurrentVersion": 2});
    let voters = members.iter().filter(|(_, learner)| !learner).map(|(id, _)| *id).collect();
    let conf_state = ConfState { voters, auto_leave: Some(false), ..ConfState::default() };
    let metadata = SnapshotMetadata { conf_state: Some(conf_state), index: Some(index), term: Some(term) };
    SnapFile::encode(&Snapshot { data: Some(json.to_string().into_bytes()), metadata: Some(metadata) })
}

/// The files of a data directory, by path from the data directory on.
#[derive(Debug, Clone)]
pub struct Files(pub BTreeMap<String, Vec<u8>>);

impl Files {
    pub fn get(&mut self, path: &str) -> &mut Vec<u8> {
        self.0.get_mut(path).unwrap_or_else(|| panic!("no {path}"))
    }

    /// The path of the last segment.
    pub fn last_wal(&self) -> String {
        self.0.keys().rfind(|name| name.ends_with(".wal")).unwrap().clone()
    }

    /// Where the frames of a segment begin, and where the last one ends.
    pub fn frames(&self, path: &str) -> Vec<usize> {
        let bytes = &self.0[path];
        let mut starts = vec![0];
        let mut at = 0;
        while at + 8 <= bytes.len() {
            let word = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
            let Some(size) = FrameSize::of(word) else { break };
            at += 8 + (size.record + size.regular_padding()) as usize;
            starts.push(at);
        }
        starts
    }

    pub fn write(&self, to: &Path) {
        for (path, bytes) in &self.0 {
            let path = to.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
}
