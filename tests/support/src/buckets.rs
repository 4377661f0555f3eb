//! What etcd stores, bucket by bucket, and the database that holds it.

use std::collections::BTreeMap;

use coldbolt::bolt::writer::Options;
use coldbolt::etcd::auth::{Role, User};
use coldbolt::etcd::lease::Lease;
use coldbolt::etcd::schema::BUCKETS;
use coldbolt::etcd::{BucketKey, Revision};
use prost::Message;

use crate::content::{Items, database};
use crate::image::Image;
use crate::key_value::KeyValue;

/// The key of a stored revision.
pub fn revision(main: i64, sub: i64, tombstone: bool) -> Vec<u8> {
    BucketKey { revision: Revision { main, sub }, tombstone }.to_bytes()
}

pub const MEMBER: u64 = 0x8e9e_05c5_2164_694d;
pub const LEASE: i64 = 0x7000_0000_0000_0001;

/// What etcd stores, bucket by bucket.
#[derive(Debug, Clone, Default)]
pub struct Buckets(pub BTreeMap<String, Items>);

impl Buckets {
    /// All of etcd's, with nothing in them.
    pub fn empty() -> Buckets {
        Buckets(BUCKETS.map(|name| (name.to_owned(), Items::new())).into())
    }

    /// What a member that was started alone has beside its keys: the name it was given, etcd's version, and the raft
    /// index that it has come to.
    pub fn alone(name: &str, etcd: &str, index: u64) -> Buckets {
        let mut all = Buckets::empty();
        let attributes = serde_json::json!({
            "id": MEMBER,
            "peerURLs": ["http://localhost:2380"],
            "name": name,
            "clientURLs": ["http://localhost:2379"],
        });
        all.put("auth", b"authRevision", &1u64.to_be_bytes());
        all.put("cluster", b"clusterVersion", etcd.as_bytes());
        all.put("members", format!("{MEMBER:x}").as_bytes(), attributes.to_string().as_bytes());
        all.put("meta", b"confState", format!(r#"{{"voters":[{MEMBER}],"auto_leave":false}}"#).as_bytes());
        all.index(index, 2);
        all.put("meta", b"storageVersion", etcd.as_bytes());
        all
    }

    /// A small store as etcd 3.6 leaves it: revisions 2 to 9, compacted at 4, a transaction of three changes at 7, a
    /// deletion at 8; a lease, a user, an index of 20 at term 2.
    pub fn good() -> Buckets {
        let mut all = Buckets::empty();
        // At 2 and 3 `b` was put; 4 is what the compaction left of `a`.
        all.kv(3, 0, "b", 2, 2, 0);
        all.kv(4, 0, "a", 4, 1, 0);
        all.kv(5, 0, "c", 5, 1, LEASE);
        all.kv(6, 0, "a", 4, 2, 0);
        all.kv(7, 0, "b", 2, 3, 0);
        all.kv(7, 1, "d", 7, 1, 0);
        all.kv(7, 2, "e", 7, 1, 0);
        all.tombstone(8, 0, "d");
        all.kv(9, 0, "d", 9, 1, 0);
        all.put(
            "lease",
            &LEASE.to_be_bytes(),
            &Lease { id: LEASE, ttl: 60, remaining_ttl: 0 }.encode_to_vec(),
        );
        all.put("cluster", b"clusterVersion", b"3.6.0");
        let urls =
            r#""peerURLs":["http://localhost:2380"],"name":"n1","clientURLs":["http://localhost:2379"]"#;
        all.put(
            "members",
            format!("{MEMBER:x}").as_bytes(),
            format!(r#"{{"id":{MEMBER},{urls}}}"#).as_bytes(),
        );
        all.put("meta", b"confState", format!(r#"{{"voters":[{MEMBER}],"auto_leave":false}}"#).as_bytes());
        all.index(20, 2);
        all.put("meta", b"finishedCompactRev", &revision(4, 0, false));
        all.put("meta", b"scheduledCompactRev", &revision(4, 0, false));
        all.put("meta", b"storageVersion", b"3.6.0");
        all.put("auth", b"authEnabled", &[1]);
        all.put("auth", b"authRevision", &3u64.to_be_bytes());
        all.user("root", &["root"]);
        all.user("ann", &["reader"]);
        let role = Role { name: b"reader".to_vec(), key_permission: Vec::new() };
        all.put("authRoles", b"reader", &role.encode_to_vec());
        all
    }

    pub fn put(&mut self, bucket: &str, key: &[u8], value: &[u8]) {
        self.0.entry(bucket.to_owned()).or_default().insert(key.to_vec(), value.to_vec());
    }

    pub fn remove(&mut self, bucket: &str, key: &[u8]) {
        self.0.get_mut(bucket).unwrap().remove(key).unwrap();
    }

    pub fn index(&mut self, index: u64, term: u64) {
        self.put("meta", b"consistent_index", &index.to_be_bytes());
        self.put("meta", b"term", &term.to_be_bytes());
    }

    pub fn user(&mut self, name: &str, roles: &[&str]) {
        let roles = roles.iter().map(|r| r.as_bytes().to_vec()).collect();
        let user = User { name: name.into(), password: b"x".to_vec(), roles, options: None };
        self.put("authUsers", name.as_bytes(), &user.encode_to_vec());
    }

    /// A put of `key`, as it is stored.
    pub fn kv(&mut self, main: i64, sub: i64, key: &str, create_revision: i64, version: i64, lease: i64) {
        let value = format!("value {main}.{sub}").into_bytes();
        let kv = KeyValue { key: key.into(), create_revision, mod_revision: main, version, value, lease };
        self.put("key", &revision(main, sub, false), &kv.encode_to_vec());
    }

    pub fn tombstone(&mut self, main: i64, sub: i64, key: &str) {
        let kv = KeyValue { key: key.into(), ..KeyValue::default() };
        self.put("key", &revision(main, sub, true), &kv.encode_to_vec());
    }

    /// Changes a stored revision.
    pub fn edit(&mut self, main: i64, sub: i64, tombstone: bool, change: impl FnOnce(&mut KeyValue)) {
        let place = self.0.get_mut("key").unwrap().get_mut(&revision(main, sub, tombstone)).unwrap();
        let mut kv = KeyValue::decode(place.as_slice()).unwrap();
        change(&mut kv);
        *place = kv.encode_to_vec();
    }

    /// The file, with a trailer.
    pub fn file(&self) -> Image {
        let mut image = self.bare();
        image.bytes.extend([0; 32]);
        image.trailer = true;
        image.seal();
        image
    }

    /// The file as a member keeps it.
    pub fn bare(&self) -> Image {
        let bytes = self.database(Options { txid: 9, ..Options::default() });
        Image { bytes, page_size: 4096, trailer: false }
    }

    /// The file's bytes.
    pub fn database(&self, options: Options) -> Vec<u8> {
        database(&self.0, options)
    }
}
