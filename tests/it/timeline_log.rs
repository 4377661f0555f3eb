//! What a log alone tells of the order of things, and of what was there before them.

use coldbolt::etcd::request::{
    CompactionRequest, DeleteRangeRequest, InternalRaftRequest, LeaseRevokeRequest, PutRequest,
};
use serde_json::{Value, json};
use support::buckets::{Buckets, MEMBER};
use support::member::{Member, Record, Segment, request, state};
use support::{args, coldbolt};

use crate::timeline::{alone, brief, compact, header, if_at, put, rows, told, write};

fn compaction(revision: i64) -> InternalRaftRequest {
    let compaction = Some(CompactionRequest { revision, physical: false });
    InternalRaftRequest { header: Some(header()), compaction, ..InternalRaftRequest::default() }
}

fn delete(key: &str, range_end: &str) -> InternalRaftRequest {
    let (key, range_end) = (key.into(), range_end.into());
    let delete_range = Some(DeleteRangeRequest { key, range_end, ..DeleteRangeRequest::default() });
    InternalRaftRequest { header: Some(header()), delete_range, ..InternalRaftRequest::default() }
}

/// A member whose log begins behind an entry.
fn behind(first: u64, requests: &[InternalRaftRequest], mut buckets: Buckets) -> Member {
    let last = first + requests.len() as u64;
    buckets.index(last, 1);
    let mut records = vec![Record::Snapshot { index: first, term: 1 }];
    records.extend((first + 1..).zip(requests).map(|(index, one)| request(index, 1, one)));
    records.push(state(1, last));
    let segments = vec![Segment { sequence: 3, index: first + 1, node: MEMBER, records }];
    Member { buckets, segments, snaps: vec![(first, 1, vec![(MEMBER, false)])], ..Member::good() }
}

/// What is known of where the rows of a key are.
fn places(all: &[Value], key: &str) -> Vec<(Value, Value, Value)> {
    let rows = all.iter().filter(|row| row["key"] == key);
    rows.map(|row| (row["revision"].clone(), row["after"].clone(), row["until"].clone())).collect()
}

#[test]
fn what_follows_a_compaction_in_a_log_is_not_before_the_revision_that_it_is_to() {
    let home = tempfile::tempdir().unwrap();
    let unclear = |key: &str| if_at(key, 0, Some("one"));
    let all = |compactions: [i64; 3]| {
        let mut requests = vec![unclear("/before"), compaction(compactions[0]), unclear("/between")];
        requests.extend([compaction(compactions[1]), unclear("/after")]);
        requests.extend((0..8).map(|n| unclear(&format!("/{n}"))));
        requests.push(compaction(compactions[2]));
        let mut buckets = Buckets::alone("n1", "3.6.0", 1);
        (256..=258).for_each(|main| buckets.kv(main, 0, &format!("/{main}"), main, 1, 0));
        compact(&mut buckets, 255);
        let dir = tempfile::tempdir_in(home.path()).unwrap();
        let all = told(&[&write(&behind(99, &requests, buckets), dir.path())]);
        ["/before", "/between", "/after"].map(|key| places(&all, key)[0].1.clone())
    };
    // Eleven requests before revision 258, of which each may have made one or none.
    assert_eq!(all([7, 7, 7]), [json!(247), json!(248), json!(249)]);
    assert_eq!(all([7, 255, 7]), [json!(253), json!(254), json!(255)]);
    // One of two was refused, as its revision was yet to come or as it was done: of the first it is not known.
    assert_eq!(all([255, 255, 7]), [json!(253), json!(254), json!(255)]);
    // What was refused for a revision to come tells nothing.
    assert_eq!(all([257, 7, 7]), [json!(247), json!(248), json!(249)]);
}

/// Two keys below /a/ that were deleted at once, as far as the database holds that.
fn deleted(requests: &[InternalRaftRequest]) -> Vec<Value> {
    let home = tempfile::tempdir().unwrap();
    let mut buckets = Buckets::alone("n1", "3.6.0", 1);
    for (main, key) in [(2, "/a/x"), (3, "/a/y"), (4, "/b")] {
        buckets.kv(main, 0, key, main, 1, 0);
    }
    buckets.tombstone(5, 0, "/a/x");
    buckets.tombstone(5, 1, "/a/y");
    buckets.kv(6, 0, "/b", 4, 2, 0);
    told(&[&write(&behind(99, requests, buckets), home.path())])
}

#[test]
fn a_deletion_of_several_keys_stands_with_the_revisions_that_it_made() {
    // That it made 5 follows, and of two that are alike that one of them did.
    for requests in [
        vec![put("/b", "value 4.0"), delete("/a/", "/a0"), put("/b", "value 6.0")],
        vec![
            put("/b", "value 4.0"),
            delete("/a/", "/a0"),
            delete("/a/", "\0"),
            delete("/nothing", "\0"),
            put("/b", "value 6.0"),
        ],
    ] {
        let all = deleted(&requests);
        let due = [
            (2, "created", "/a/x", "history"),
            (3, "created", "/a/y", "history"),
            (4, "created", "/b", "history wal"),
            (5, "deleted", "/a/x", "history wal"),
            (5, "deleted", "/a/y", "history wal"),
            (6, "changed", "/b", "database wal"),
        ];
        let due = due.map(|(n, what, key, from)| (n, what.to_owned(), key.to_owned(), from.to_owned()));
        assert_eq!(brief(&all), due, "{all:#?}");
        assert!(all.iter().all(|row| row["what"] != "deleted" || row["key"].is_string()), "{all:#?}");
    }
}

#[test]
fn a_deletion_of_several_keys_of_which_no_file_holds_any_is_of_those_that_may_be_among_them() {
    let home = tempfile::tempdir().unwrap();
    let secrets = ("/registry/secrets/shop/", "/registry/secrets/shop0");
    let requests = [put("/registry/pods/shop/a", "one"), delete(secrets.0, secrets.1), put("/k", "two")];
    let mut buckets = Buckets::alone("n1", "3.6.0", 1);
    for (main, key) in [(48, "/registry/namespaces/shop"), (50, "/k")] {
        buckets.kv(main, 0, key, main, 1, 0);
    }
    compact(&mut buckets, 50);
    let data = write(&behind(99, &requests, buckets), home.path());
    let takes = |flags: &[&str]| {
        let run = coldbolt([&["timeline", data.name(), "-w", "json"], flags].concat());
        assert_eq!(run.code, 0, "{run}");
        rows(&run).iter().filter(|row| row["what"] == "deleted").count()
    };
    for (flags, due) in [
        (&[][..], 1),
        (&["--key", "/registry/secrets/shop/db"], 1),
        (&["--key", "/registry/secrets/shop"], 0),
        (&["--prefix", "/registry/"], 1),
        (&["--prefix", "/registry/secrets/shop/d"], 1),
        (&["--prefix", "/registry/pods/"], 0),
        (&["--object", "secrets"], 1),
        (&["--object", "secret/db"], 1),
        (&["--object", "secret/db", "-n", "shop"], 1),
        (&["--object", "secret/db", "-n", "bank"], 0),
        (&["--object", "pods"], 0),
    ] {
        assert_eq!(takes(flags), due, "{flags:?}");
    }
    data.unchanged();
}

/// Revision and what, of the rows of a key.
fn whats(all: &[Value], key: &str) -> Vec<(i64, String)> {
    brief(all).into_iter().filter(|row| row.2 == key).map(|(revision, what, ..)| (revision, what)).collect()
}

#[test]
fn a_log_that_begins_with_its_cluster_tells_what_was_there_before_each_change() {
    let leased = PutRequest { key: "/l".into(), value: "x".into(), lease: 7, ..PutRequest::default() };
    let lease = |revoke: bool| InternalRaftRequest {
        header: Some(header()),
        put: (!revoke).then(|| leased.clone()),
        lease_revoke: revoke.then_some(LeaseRevokeRequest { id: 7 }),
        ..InternalRaftRequest::default()
    };
    let requests = [
        put("/a", "one"),     // 2
        put("/a", "two"),     // 3
        put("/b/x", "one"),   // 4
        delete("/a", ""),     // 5
        put("/a", "three"),   // 6
        delete("/b/", "/b0"), // 7
        put("/b/x", "two"),   // 8
        lease(false),         // 9
        lease(true),          // 10
        put("/l", "y"),       // 11
        put("/end", "z"),     // 12
    ];
    let home = tempfile::tempdir().unwrap();
    let mut buckets = Buckets::alone("n1", "3.6.0", 12);
    buckets.kv(12, 0, "/end", 12, 1, 0);
    compact(&mut buckets, 12);
    let member = alone(&requests, buckets, 12);
    let all = told(&[&write(&member, &home.path().join("new"))]);
    let due =
        |rows: &[(i64, &str)]| rows.iter().map(|(n, what)| (*n, (*what).to_owned())).collect::<Vec<_>>();
    let of_a = [(2, "created"), (3, "changed"), (5, "deleted"), (6, "recreated")];
    assert_eq!(whats(&all, "/a"), due(&of_a), "{all:#?}");
    assert_eq!(whats(&all, "/b/x"), due(&[(4, "created"), (8, "recreated")]));
    // Whether the lease was there does not follow from the log.
    assert_eq!(whats(&all, "/l"), due(&[(9, "created"), (11, "put")]));
    let versions: Vec<_> =
        all.iter().filter(|row| row["key"] == "/a").map(|row| row["version"].as_i64()).collect();
    assert_eq!(versions, [Some(1), Some(2), None, Some(1)]);

    // A restored one begins so too, with what was in the backup.
    let mut restored = member;
    restored.segments[0].records.insert(2, Record::Snapshot { index: 1, term: 1 });
    restored.segments[0].records.insert(2, state(1, 1));
    restored.snaps = vec![(1, 1, vec![(MEMBER, false)])];
    let all = told(&[&write(&restored, &home.path().join("restored"))]);
    assert!(whats(&all, "/a").iter().all(|(_, what)| what != "created"), "{all:#?}");
    let run = coldbolt(args!["timeline", home.path().join("restored/data"), "--key", "/a"]);
    assert!(run.text().contains("  put  "), "{run}");
}
