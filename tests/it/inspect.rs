//! `coldbolt inspect` of a directory whose files say different things.

use coldbolt::snap::file::SnapFile;
use support::buckets::MEMBER;
use support::member::{Member, snap, snap_path};
use support::{Input, coldbolt};

#[test]
fn inspect_tells_on_what_the_files_disagree_and_whom_that_etcd_believes() {
    let temp = tempfile::tempdir().unwrap();
    let good = temp.path().join("good");
    Member::good().files().write(&good);
    let agreed = coldbolt(["inspect", good.to_str().unwrap(), "-w", "json"]).says(0, &[]).json();
    assert_eq!(agreed["disagreements"], serde_json::json!([]), "{agreed}");

    // The raft snapshot knows a second voter; the database has a conf state of another cluster.
    let mut member = Member::good();
    member.buckets.put("meta", b"confState", br#"{"voters":[1],"auto_leave":false}"#);
    for (etcd, voters, members) in [
        ("3.5.0", "the .snap, then the entries after it", "the .snap, then the entries after it"),
        ("3.6.0", "the .snap, then the entries after it", "the db"),
        ("3.7.0", "the members of the db", "the db"),
    ] {
        member.buckets.put("meta", b"storageVersion", etcd.as_bytes());
        member.buckets.put("cluster", b"clusterVersion", etcd.as_bytes());
        let mut files = member.files();
        *files.get(&snap_path(10, 1)) = snap(10, 1, &[(MEMBER, false), (7, false)]);
        let dir = temp.path().join(etcd);
        files.write(&dir);
        let input = Input::new(&dir);
        let report = coldbolt(["inspect", input.name(), "-w", "json"]).json();
        let of = |fact: &str| {
            let all = report["disagreements"].as_array().unwrap();
            all.iter().find(|d| d["fact"] == fact).unwrap_or_else(|| panic!("{fact}: {report}")).clone()
        };
        assert_eq!(
            (&of("voters")["believes"], &of("members")["believes"]),
            (&voters.into(), &members.into())
        );
        let said =
            of("voters")["stated"].as_array().unwrap().iter().map(|s| s["value"].clone()).collect::<Vec<_>>();
        let own = format!("{MEMBER:x}");
        assert_eq!(said, [own.clone(), "1".to_owned(), format!("7 {own}")]);
        let text = coldbolt(["inspect", input.name()]);
        let due = format!(
            "disagree     members: db members (index 20) {own}; 0000000000000001-000000000000000a.snap (index 10) 7 {own}; etcd"
        );
        assert!(text.text().contains(&due), "{text}");
        input.unchanged();
    }
}

#[test]
fn inspect_counts_the_keys_of_users_in_the_v2_store() {
    let temp = tempfile::tempdir().unwrap();
    let mut files = Member::good().files();
    let bytes = files.get(&snap_path(10, 1));
    let mut snapshot = SnapFile::decode(bytes).unwrap().snapshot;
    let mut store: serde_json::Value = serde_json::from_slice(snapshot.data.as_ref().unwrap()).unwrap();
    store["Root"]["Children"]["1"] = serde_json::json!({"Children": {"a": {"Value": "v", "Children": null}}});
    snapshot.data = Some(store.to_string().into_bytes());
    *bytes = SnapFile::encode(&snapshot);
    let dir = temp.path().join("data");
    files.write(&dir);
    let run = coldbolt(["inspect", dir.to_str().unwrap()]);
    assert!(run.text().contains("v2 store     1 keys of users"), "{run}");
}
