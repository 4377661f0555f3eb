//! Backups made to measure, and what `verify` says about them.

use std::fs;
use std::path::{Path, PathBuf};

use coldbolt::bolt::writer::Options;
use coldbolt::codec::checksum::sha256;
use coldbolt::etcd::alarm::AlarmMember;
use prost::Message;
use serde_json::Value;

use crate::buckets::{Buckets, MEMBER, revision};
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

impl Backup {
    /// One with that many keys `/k/00`, `/k/01` and so on.
    pub fn of(keys: usize) -> Backup {
        let keys = (0..keys).map(|i| (format!("/k/{i:02}"), b"value".to_vec())).collect();
        Backup { keys, alarm: false, compaction: None, member: "default", trailer: true }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut all = Buckets::alone(self.member, "3.6.0", 14);
        for (main, (key, value)) in (2..).zip(&self.keys) {
            let (key, value) = (key.clone().into(), value.clone());
            let kv = KeyValue { key, create_revision: main, mod_revision: main, version: 1, value, lease: 0 };
            all.put("key", &revision(main, 0, false), &kv.encode_to_vec());
        }
        if let Some(main) = self.compaction {
            all.put("meta", b"scheduledCompactRev", &revision(main, 0, false));
        }
        if self.alarm {
            all.put("alarm", &AlarmMember { member_id: MEMBER, alarm: 1 }.encode_to_vec(), b"");
        }
        let mut bytes = all.database(Options::default());
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
