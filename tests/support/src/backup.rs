//! Backups made to measure, and what `verify` says about them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use coldbolt::bolt::writer::{Options, Writer};
use coldbolt::codec::checksum::sha256;
use coldbolt::etcd::{BucketKey, Revision};
use prost::Message;
use serde_json::Value;

use crate::key_value::KeyValue;
use crate::run::coldbolt_in;

/// A database of one member, written with the bbolt writer: each key at a revision of its own, from 2 on.
pub struct Backup {
    /// Keys and values.
    pub keys: Vec<(String, Vec<u8>)>,
    /// Whether an alarm NOSPACE is raised.
    pub alarm: bool,
    /// A compaction that was asked for and not finished.
    pub compaction: Option<i64>,
    /// The member's name.
    pub member: &'static str,
    /// Whether it ends with the SHA-256.
    pub trailer: bool,
}

pub const MEMBER: u64 = 0x8e9e_05c5_2164_694d;

impl Backup {
    /// One with that many keys `/k/00`, `/k/01` and so on.
    pub fn of(keys: usize) -> Backup {
        let keys = (0..keys).map(|i| (format!("/k/{i:02}"), b"value".to_vec())).collect();
        Backup { keys, alarm: false, compaction: None, member: "default", trailer: true }
    }

    pub fn bytes(&self) -> Vec<u8> {
        type Items = BTreeMap<Vec<u8>, Vec<u8>>;
        let mut buckets: BTreeMap<&str, Items> = [
            "alarm",
            "auth",
            "authRoles",
            "authUsers",
            "cluster",
            "key",
            "lease",
            "members",
            "members_removed",
            "meta",
        ]
        .map(|name| (name, Items::new()))
        .into();
        let mut item = |bucket, key: &[u8], value: &[u8]| {
            buckets.get_mut(bucket).unwrap().insert(key.to_vec(), value.to_vec())
        };
        let row = |main| BucketKey { revision: Revision { main, sub: 0 }, tombstone: false }.to_bytes();
        for (main, (key, value)) in (2..).zip(&self.keys) {
            let kv = KeyValue {
                key: key.clone().into(),
                create_revision: main,
                mod_revision: main,
                version: 1,
                value: value.clone(),
                lease: 0,
            };
            item("key", &row(main), &kv.encode_to_vec());
        }
        if let Some(main) = self.compaction {
            item("meta", b"scheduledCompactRev", &row(main));
        }
        if self.alarm {
            let mut alarm = vec![0x08];
            prost::encoding::encode_varint(MEMBER, &mut alarm);
            item("alarm", &[&alarm[..], &[0x10, 1]].concat(), b"");
        }
        let attributes = serde_json::json!({"id": MEMBER, "peerURLs": ["http://localhost:2380"], "name": self.member, "clientURLs": ["http://localhost:2379"]});
        item("members", format!("{MEMBER:x}").as_bytes(), attributes.to_string().as_bytes());
        item("cluster", b"clusterVersion", b"3.6.0");
        item("auth", b"authRevision", &1u64.to_be_bytes());
        item("meta", b"confState", format!(r#"{{"voters":[{MEMBER}],"auto_leave":false}}"#).as_bytes());
        item("meta", b"consistent_index", &14u64.to_be_bytes());
        item("meta", b"storageVersion", b"3.6.0");
        item("meta", b"term", &2u64.to_be_bytes());

        let mut file = std::io::Cursor::new(Vec::new());
        let mut writer = Writer::new(&mut file, Options::default()).unwrap();
        for (name, items) in &buckets {
            writer.begin_bucket(name.as_bytes(), 0).unwrap();
            items.iter().for_each(|(key, value)| writer.put(key, value).unwrap());
            writer.end_bucket().unwrap();
        }
        writer.finish().unwrap();
        let mut bytes = file.into_inner();
        if self.trailer {
            bytes.extend(sha256(&bytes));
        }
        bytes
    }

    pub fn write(&self, path: &Path) -> PathBuf {
        fs::write(path, self.bytes()).unwrap();
        path.to_path_buf()
    }
}

/// `verify -w json` of these arguments: exit code and answer.
pub fn verify(dir: &Path, args: &[&str]) -> (i32, Value) {
    let run = coldbolt_in(dir, [&["verify", "-w", "json"], args].concat());
    (run.code, run.json())
}
