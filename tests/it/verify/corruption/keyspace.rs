//! etcd's buckets: the history of the keys, and what the other buckets say.

use coldbolt::bolt::writer::{Options, Writer};
use coldbolt::etcd::auth::{Role, User};
use coldbolt::words::error::At;
use coldbolt::{Code, Severity};
use prost::Message;

use super::{Break, Due, Entry, due, entry, nowhere, verify_image};
use support::buckets::{Buckets, LEASE, MEMBER, revision};
use support::image::Image;

fn one(code: Code, at: At) -> Vec<Due> {
    vec![due(code, at)]
}

/// At an item of a bucket.
fn at(bucket: &str, key: &[u8]) -> At {
    nowhere().bucket(bucket.as_bytes()).key(key)
}

/// At a revision of the user's key.
fn at_revision(revision: &str, key: &str) -> At {
    At { revision: Some(revision.to_owned()), ..at("key", key.as_bytes()) }
}

pub fn entries() -> Vec<Entry> {
    use Break::{Other, Store};
    vec![
        // ---- buckets -----------------------------------------------------------------------------------------------
        entry(
            Code::BucketMissing,
            "key",
            Store(|all| {
                all.0.remove("key");
                one(Code::BucketMissing, nowhere().bucket(b"key"))
            }),
        ),
        entry(
            Code::BucketMissing,
            "meta: nothing is said of what it would hold",
            Store(|all| {
                all.0.remove("meta");
                one(Code::BucketMissing, nowhere().bucket(b"meta"))
            }),
        ),
        entry(
            Code::BucketMissing,
            "lease, which etcd makes anew",
            Store(|all| {
                all.0.remove("lease");
                vec![due(Code::BucketMissing, nowhere().bucket(b"lease")).as_(Severity::Warning)]
            }),
        ),
        entry(
            Code::BucketUnknown,
            "a bucket of somebody's",
            Store(|all| {
                all.put("mine", b"a", b"b");
                one(Code::BucketUnknown, nowhere())
            }),
        ),
        entry(
            Code::BucketUnknown,
            "a key of somebody's in bucket meta",
            Store(|all| {
                all.put("meta", b"mine", b"b");
                one(Code::BucketUnknown, nowhere())
            }),
        ),
        entry(
            Code::ElementFlags,
            "a key among the buckets",
            Other(|| {
                let mut image = Buckets::good().file();
                let entry = image.entry("alarm");
                image.set_u32(entry.at, 0);
                image.seal();
                (verify_image(&image), vec![due(Code::ElementFlags, nowhere())])
            }),
        ),
        entry(
            Code::BucketUnknown,
            "a bucket inside one of etcd's",
            Other(|| {
                let mut file = std::io::Cursor::new(Vec::new());
                let mut writer = Writer::new(&mut file, Options { txid: 9, ..Options::default() }).unwrap();
                for (name, items) in Buckets::good().0 {
                    writer.begin_bucket(name.as_bytes(), 0).unwrap();
                    for (key, value) in items {
                        writer.put(&key, &value).unwrap();
                    }
                    if name == "cluster" {
                        writer.begin_bucket(b"inner", 0).unwrap();
                        writer.end_bucket().unwrap();
                    }
                    writer.end_bucket().unwrap();
                }
                writer.finish().unwrap();
                let image = Image { bytes: file.into_inner(), page_size: 4096, trailer: false };
                (verify_image(&image), one(Code::BucketUnknown, nowhere()))
            }),
        ),
        // ---- revisions and values ----------------------------------------------------------------------------------
        entry(
            Code::RevisionKey,
            "9 bytes",
            Store(|all| {
                all.put("key", b"123456789", b"");
                one(Code::RevisionKey, at("key", b"123456789"))
            }),
        ),
        entry(
            Code::RevisionKey,
            "19 bytes",
            Store(|all| {
                let key = [revision(10, 0, true), vec![b't']].concat();
                all.put("key", &key, b"");
                one(Code::RevisionKey, at("key", &key))
            }),
        ),
        entry(
            Code::RevisionKey,
            "another separator, in the middle: what follows is not said to be missing something",
            Store(|all| {
                let (good, mut bad) = (revision(6, 0, false), revision(6, 0, false));
                bad[8] = b'-';
                let value = all.0["key"][&good].clone();
                all.remove("key", &good);
                all.put("key", &bad, &value);
                one(Code::RevisionKey, at("key", &bad))
            }),
        ),
        entry(
            Code::RevisionKey,
            "another mark than t",
            Store(|all| {
                let mut key = revision(10, 0, true);
                key[17] = b'x';
                all.put("key", &key, b"");
                one(Code::RevisionKey, at("key", &key))
            }),
        ),
        entry(
            Code::RevisionKey,
            "a negative main revision",
            Store(|all| {
                let key = revision(-10, 0, false);
                all.put("key", &key, b"");
                one(Code::RevisionKey, at("key", &key))
            }),
        ),
        entry(
            Code::RevisionKey,
            "a negative sub-revision",
            Store(|all| {
                let key = revision(10, -1, false);
                all.put("key", &key, b"");
                one(Code::RevisionKey, at("key", &key))
            }),
        ),
        entry(
            Code::ValueUndecodable,
            "a KeyValue, in the middle of its key's history",
            Store(|all| {
                all.put("key", &revision(6, 0, false), &[0xff]);
                one(
                    Code::ValueUndecodable,
                    At { revision: Some("6.0".to_owned()), ..at("key", &revision(6, 0, false)) },
                )
            }),
        ),
        entry(
            Code::ValueUndecodable,
            "a KeyValue cut off in its value",
            Store(|all| {
                let key = revision(9, 0, false);
                let value = all.0["key"][&key].clone();
                all.put("key", &key, &value[..value.len() - 1]);
                one(Code::ValueUndecodable, at("key", &key))
            }),
        ),
        entry(
            Code::ValueUndecodable,
            "a lease: its keys are not said to be orphans",
            Store(|all| {
                all.put("lease", &LEASE.to_be_bytes(), &[0xff]);
                one(Code::ValueUndecodable, at("lease", &LEASE.to_be_bytes()))
            }),
        ),
        entry(
            Code::ValueUndecodable,
            "a lease of another id than its key's",
            Store(|all| {
                all.put(
                    "lease",
                    &77i64.to_be_bytes(),
                    &coldbolt::etcd::lease::Lease { id: 78, ttl: 1, remaining_ttl: 0 }.encode_to_vec(),
                );
                one(Code::ValueUndecodable, at("lease", &77i64.to_be_bytes()))
            }),
        ),
        entry(
            Code::ValueUndecodable,
            "a member: confState is not held against the others",
            Store(|all| {
                let key = format!("{MEMBER:x}");
                all.put("members", key.as_bytes(), b"{");
                one(Code::ValueUndecodable, at("members", key.as_bytes()))
            }),
        ),
        entry(
            Code::ValueUndecodable,
            "a removed member whose id is not hex",
            Store(|all| {
                all.put("members_removed", b"xyz", b"removed");
                one(Code::ValueUndecodable, at("members_removed", b"xyz"))
            }),
        ),
        entry(
            Code::ValueUndecodable,
            "confState",
            Store(|all| {
                all.put("meta", b"confState", b"[]]");
                one(Code::ValueUndecodable, at("meta", b"confState"))
            }),
        ),
        entry(
            Code::ValueUndecodable,
            "a consistent index of 3 bytes is not said to be missing",
            Store(|all| {
                all.put("meta", b"consistent_index", &[1, 2, 3]);
                one(Code::ValueUndecodable, at("meta", b"consistent_index"))
            }),
        ),
        entry(
            Code::ValueUndecodable,
            "a compaction mark: what was compacted is not said to be missing",
            Store(|all| {
                all.put("meta", b"finishedCompactRev", &[1, 2, 3]);
                all.put("meta", b"scheduledCompactRev", &[1, 2, 3]);
                vec![due(Code::ValueUndecodable, at("meta", b"finishedCompactRev")).times(2)]
            }),
        ),
        entry(
            Code::ValueUndecodable,
            "a negative compaction mark",
            Store(|all| {
                all.put("meta", b"finishedCompactRev", &revision(-3, 0, false));
                one(Code::ValueUndecodable, at("meta", b"finishedCompactRev"))
            }),
        ),
        entry(
            Code::ValueUndecodable,
            "an alarm",
            Store(|all| {
                all.put("alarm", &[0xff], b"");
                one(Code::ValueUndecodable, at("alarm", &[0xff]))
            }),
        ),
        entry(
            Code::ValueUndecodable,
            "whether authentication is on",
            Store(|all| {
                all.put("auth", b"authEnabled", &[7]);
                one(Code::ValueUndecodable, at("auth", b"authEnabled"))
            }),
        ),
        entry(
            Code::ValueUndecodable,
            "a user: root is not said to be missing",
            Store(|all| {
                all.put("authUsers", b"root", &[0xff]);
                one(Code::ValueUndecodable, at("authUsers", b"root"))
            }),
        ),
        entry(
            Code::ValueUndecodable,
            "a role: its users are not said to have none",
            Store(|all| {
                all.put("authRoles", b"reader", &[0xff]);
                one(Code::ValueUndecodable, at("authRoles", b"reader"))
            }),
        ),
        // ---- history -----------------------------------------------------------------------------------------------
        entry(
            Code::ModRevision,
            "of a put",
            Store(|all| {
                all.edit(6, 0, false, |kv| kv.mod_revision = 5);
                one(Code::ModRevision, at_revision("6.0", "a"))
            }),
        ),
        entry(
            Code::VersionChain,
            "a version is left out",
            Store(|all| {
                all.edit(6, 0, false, |kv| kv.version = 3);
                one(Code::VersionChain, at_revision("6.0", "a"))
            }),
        ),
        entry(
            Code::VersionChain,
            "another create revision than the version before",
            Store(|all| {
                all.edit(6, 0, false, |kv| kv.create_revision = 5);
                one(Code::VersionChain, at_revision("6.0", "a"))
            }),
        ),
        entry(
            Code::VersionChain,
            "a new key has version 2",
            Store(|all| {
                all.edit(7, 1, false, |kv| kv.version = 2);
                one(Code::VersionChain, at_revision("7.1", "d"))
            }),
        ),
        entry(
            Code::VersionChain,
            "a key that was deleted goes on",
            Store(|all| {
                all.edit(9, 0, false, |kv| (kv.create_revision, kv.version) = (7, 2));
                one(Code::VersionChain, at_revision("9.0", "d"))
            }),
        ),
        entry(
            Code::VersionChain,
            "created after it was changed, below the compaction",
            Store(|all| {
                all.edit(3, 0, false, |kv| kv.create_revision = 4);
                // What continues from it is held against it.
                vec![due(Code::VersionChain, at_revision("3.0", "b")).times(2)]
            }),
        ),
        entry(
            Code::Tombstone,
            "of a key that was never there",
            Store(|all| {
                all.tombstone(10, 0, "never");
                one(Code::Tombstone, at_revision("10.0", "never"))
            }),
        ),
        entry(
            Code::Tombstone,
            "of a key that was deleted",
            Store(|all| {
                all.tombstone(10, 0, "d");
                all.tombstone(11, 0, "d");
                one(Code::Tombstone, at_revision("11.0", "d"))
            }),
        ),
        entry(
            Code::Tombstone,
            "with a value",
            Store(|all| {
                all.edit(8, 0, true, |kv| kv.value = b"x".to_vec());
                one(Code::Tombstone, at_revision("8.0", "d"))
            }),
        ),
        entry(
            Code::SubRevision,
            "one in the middle is missing: what is deleted later may have been in it",
            Store(|all| {
                all.remove("key", &revision(7, 1, false));
                one(Code::SubRevision, at_revision("7.2", "e"))
            }),
        ),
        entry(
            Code::SubRevision,
            "the first one is missing",
            Store(|all| {
                all.remove("key", &revision(7, 0, false));
                one(Code::SubRevision, at_revision("7.1", "d"))
            }),
        ),
        entry(
            Code::RevisionGap,
            "a revision is missing: versions may be missing with it",
            Store(|all| {
                all.remove("key", &revision(6, 0, false));
                all.kv(10, 0, "a", 4, 3, 0);
                one(Code::RevisionGap, at_revision("7.0", "b"))
            }),
        ),
        entry(
            Code::RevisionGap,
            "the first one after the compaction is missing",
            Store(|all| {
                all.remove("key", &revision(5, 0, false));
                one(Code::RevisionGap, at_revision("6.0", "a"))
            }),
        ),
        entry(
            Code::RevisionGap,
            "the history of a file that was never compacted begins at 3",
            Store(|all| {
                all.remove("meta", b"finishedCompactRev");
                all.remove("meta", b"scheduledCompactRev");
                all.edit(3, 0, false, |kv| (kv.create_revision, kv.version) = (3, 1));
                all.edit(7, 0, false, |kv| (kv.create_revision, kv.version) = (3, 2));
                one(Code::RevisionGap, at_revision("3.0", "b"))
            }),
        ),
        // ---- the other buckets -------------------------------------------------------------------------------------
        entry(
            Code::CompactionMarks,
            "finished later than asked for",
            Store(|all| {
                all.put("meta", b"finishedCompactRev", &revision(6, 0, false));
                one(Code::CompactionMarks, nowhere())
            }),
        ),
        entry(
            Code::CompactionMarks,
            "finished, never asked for",
            Store(|all| {
                all.remove("meta", b"scheduledCompactRev");
                one(Code::CompactionMarks, nowhere())
            }),
        ),
        entry(
            Code::CompactionUnfinished,
            "asked for at 6, finished at 4",
            Store(|all| {
                all.put("meta", b"scheduledCompactRev", &revision(6, 0, false));
                one(Code::CompactionUnfinished, nowhere())
            }),
        ),
        entry(
            Code::DeletedAndPut,
            "by one transaction, in the last revision",
            Store(|all| {
                all.tombstone(10, 0, "b");
                all.kv(10, 1, "b", 10, 1, 0);
                one(Code::DeletedAndPut, at_revision("10.1", "b"))
            }),
        ),
        entry(
            Code::DeletedAndPut,
            "and a compaction at this very revision is unfinished",
            Store(|all| {
                all.tombstone(10, 0, "b");
                all.kv(10, 1, "b", 10, 1, 0);
                all.put("meta", b"scheduledCompactRev", &revision(10, 0, false));
                one(Code::DeletedAndPut, at_revision("10.1", "b"))
            }),
        )
        .with(&[Code::CompactionUnfinished]),
        entry(
            Code::CompactionUnfinished,
            "after a revision that deleted a key and put it again, which is then kept",
            Store(|all| {
                all.tombstone(10, 0, "b");
                all.kv(10, 1, "b", 10, 1, 0);
                all.kv(11, 0, "a", 4, 3, 0);
                all.put("meta", b"scheduledCompactRev", &revision(11, 0, false));
                one(Code::CompactionUnfinished, nowhere())
            }),
        ),
        entry(
            Code::LeaseMissing,
            "a key's lease is not there",
            Store(|all| {
                all.remove("lease", &LEASE.to_be_bytes());
                one(Code::LeaseMissing, at_revision("5.0", "c").without_bucket())
            }),
        ),
        entry(
            Code::MembersDisagree,
            "confState has only other voters, as after a restore",
            Store(|all| {
                all.put("meta", b"confState", b"{\"voters\":[1],\"auto_leave\":false}");
                vec![due(Code::MembersDisagree, nowhere()).as_(Severity::Note)]
            }),
        ),
        entry(
            Code::MembersDisagree,
            "confState has one voter more",
            Store(|all| {
                all.put("meta", b"confState", format!(r#"{{"voters":[{MEMBER},77]}}"#).as_bytes());
                one(Code::MembersDisagree, nowhere())
            }),
        ),
        entry(
            Code::MembersDisagree,
            "a voter by confState is a learner in bucket members",
            Store(|all| {
                let json =
                    format!(r#"{{"id":{MEMBER},"peerURLs":["http://localhost:2380"],"isLearner":true}}"#);
                all.put("members", format!("{MEMBER:x}").as_bytes(), json.as_bytes());
                one(Code::MembersDisagree, nowhere())
            }),
        ),
        entry(
            Code::MembersDisagree,
            "a member is there and removed",
            Store(|all| {
                all.put("members_removed", format!("{MEMBER:x}").as_bytes(), b"removed");
                one(Code::MembersDisagree, nowhere())
            }),
        ),
        entry(
            Code::AuthInconsistent,
            "a role that does not exist",
            Store(|all| {
                all.user("bob", &["writer"]);
                one(Code::AuthInconsistent, nowhere())
            }),
        ),
        entry(
            Code::AuthInconsistent,
            "authentication is on without root",
            Store(|all| {
                all.remove("authUsers", b"root");
                one(Code::AuthInconsistent, nowhere())
            }),
        ),
        entry(
            Code::RoleNotUtf8,
            "as etcd up to 3.6 takes it",
            Store(|all| {
                let user =
                    User { name: b"bob".to_vec(), roles: vec![b"ro\xffle".to_vec()], ..User::default() };
                all.put("authUsers", b"bob", &user.encode_to_vec());
                let role = Role { name: b"ro\xffle".to_vec(), key_permission: Vec::new() };
                all.put("authRoles", b"ro\xffle", &role.encode_to_vec());
                one(Code::RoleNotUtf8, nowhere())
            }),
        ),
        entry(
            Code::AlarmActive,
            "NOSPACE",
            Store(|all| {
                let alarm = coldbolt::etcd::alarm::AlarmMember { member_id: MEMBER, alarm: 1 };
                all.put("alarm", &alarm.encode_to_vec(), b"");
                one(Code::AlarmActive, nowhere())
            }),
        ),
        entry(
            Code::AlarmActive,
            "CORRUPT",
            Store(|all| {
                let alarm = coldbolt::etcd::alarm::AlarmMember { member_id: MEMBER, alarm: 2 };
                all.put("alarm", &alarm.encode_to_vec(), b"");
                one(Code::AlarmActive, nowhere())
            }),
        ),
        entry(
            Code::IndexMissing,
            "the consistent index",
            Store(|all| {
                all.remove("meta", b"consistent_index");
                one(Code::IndexMissing, nowhere())
            }),
        ),
        entry(
            Code::IndexMissing,
            "the term, in a database of 3.6",
            Store(|all| {
                all.remove("meta", b"term");
                one(Code::IndexMissing, nowhere())
            }),
        ),
        entry(
            Code::ValueUndecodable,
            "a cluster version of two numbers, at which etcd up to 3.7 panics",
            Store(|all| {
                all.put("cluster", b"clusterVersion", b"3.6");
                one(Code::ValueUndecodable, At::default().bucket(b"cluster").key(b"clusterVersion"))
            }),
        ),
        entry(
            Code::ValueUndecodable,
            "a downgrade to what is no version",
            Store(|all| {
                all.put("cluster", b"downgrade", br#"{"target-version":"3.5","enabled":true}"#);
                one(Code::ValueUndecodable, At::default().bucket(b"cluster").key(b"downgrade"))
            }),
        ),
        entry(
            Code::CompactionUnfinished,
            "asked for past the last revision, which older etcds do not take for one",
            Store(|all| {
                all.put("meta", b"scheduledCompactRev", &revision(8_388_669, 0, false));
                vec![due(Code::CompactionUnfinished, nowhere()).as_(Severity::Warning)]
            }),
        ),
        entry(
            Code::EtcdOlder,
            "3.2",
            Store(|all| {
                for key in [&b"storageVersion"[..], b"term", b"confState"] {
                    all.remove("meta", key);
                }
                all.put("cluster", b"clusterVersion", b"3.2.0");
                one(Code::EtcdOlder, nowhere())
            }),
        ),
        entry(
            Code::StorageVersionUnknown,
            "3.9",
            Store(|all| {
                all.put("meta", b"storageVersion", b"3.9.0");
                one(Code::StorageVersionUnknown, nowhere())
            }),
        ),
        entry(
            Code::StorageVersionUnknown,
            "no version at all",
            Store(|all| {
                all.put("meta", b"storageVersion", b"new");
                vec![due(Code::StorageVersionUnknown, nowhere()).as_(Severity::Warning)]
            }),
        ),
    ]
}

trait WithoutBucket {
    fn without_bucket(self) -> At;
}

impl WithoutBucket for At {
    fn without_bucket(self) -> At {
        At { bucket: None, ..self }
    }
}
