//! `coldbolt replay --to-time` on a log made by hand, with the objects of Kubernetes as JSON and as protobuf.

use serde_json::{Value, json};
use support::member::{Member, Record, entry};
use support::trio::put;
use support::{Input, Run, args, coldbolt};

/// A Lease that was renewed at this second after 2026-03-04 12:00, as JSON.
pub fn lease(second: i64) -> Vec<u8> {
    json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "spec": {"renewTime": at(second)}})
        .to_string()
        .into_bytes()
}

fn at(second: i64) -> String {
    let time: jiff::Timestamp = "2026-03-04T12:00:00Z".parse().unwrap();
    time.checked_add(jiff::SignedDuration::from_secs(second)).unwrap().to_string()
}

/// The same in protobuf.
fn lease_protobuf(second: i64) -> Vec<u8> {
    let field = |number: u8, bytes: &[u8]| {
        let mut out = vec![number << 3 | 2];
        prost::encoding::encode_varint(bytes.len() as u64, &mut out);
        [out.as_slice(), bytes].concat()
    };
    let mut time = vec![0x08];
    let seconds = at(second).parse::<jiff::Timestamp>().unwrap().as_second();
    prost::encoding::encode_varint(seconds.cast_unsigned(), &mut time);
    let meta = [field(1, b"coordination.k8s.io/v1"), field(2, b"Lease")].concat();
    let object = [field(1, b"\x0a\x02n1"), field(2, &[field(1, b"n1"), field(4, &time)].concat())].concat();
    [b"k8s\0".as_slice(), &field(1, &meta), &field(2, &object), b"\x1a\x00\x22\x00"].concat()
}

/// A member whose database is at entry 20 and revision 9, and its log from there on.
pub fn with_log(requests: Vec<Vec<u8>>) -> Member {
    let mut member = Member { preallocated: 256, ..Member::good() };
    let records = &mut member.segments[1].records;
    records.retain(|record| !matches!(record, Record::Entry(entry) if entry.index > Some(20)));
    records.pop();
    let last = 20 + requests.len() as u64;
    for (index, request) in (21..).zip(requests) {
        let mut record = entry(index, 2);
        let Record::Entry(made) = &mut record else { unreachable!() };
        made.data = Some(request);
        records.push(record);
    }
    records.push(Record::State { term: 2, commit: last });
    member
}

/// Renewals each ten seconds, and between them a delete that was wrong; with what is put in between.
pub fn history(lease: fn(i64) -> Vec<u8>) -> Member {
    let node = |second| put("/registry/leases/kube-node-lease/n1", &lease(second));
    let requests = vec![
        node(0),                            // 21, revision 10
        put("/registry/pods/a", b"before"), // 22, 11
        node(10),                           // 23, 12
        put("/registry/pods/b", b"?"),      // 24, 13
        put("/registry/pods/a", b"wrong"),  // 25, 14
        node(20),                           // 26, 15
        put("/registry/pods/c", b"after"),  // 27, 16
    ];
    with_log(requests)
}

/// Replays to that time; gives what was said and the report.
fn replay(member: &Member, to: &str) -> (Run, Value) {
    let home = tempfile::tempdir().unwrap();
    member.files().write(&home.path().join("data"));
    let input = Input::new(home.path().join("data"));
    let new = home.path().join("new.db");
    let ran = coldbolt(args![
        "replay",
        &input,
        "--to-time",
        to,
        "-o",
        &new,
        "--etcd-version",
        "3.6.14",
        "-w",
        "json"
    ]);
    input.unchanged();
    assert_eq!(new.exists(), ran.code == 0, "{}", ran.err);
    if ran.code == 0 {
        let got =
            coldbolt(args!["get", &new, "/registry/pods/a", "--print-value-only"]).text().trim().to_owned();
        assert_ne!(got, "wrong", "what is later is in it");
    }
    let report = serde_json::from_slice(&ran.out).unwrap_or_default();
    (ran, report)
}

#[test]
fn a_sole_voters_whole_log_counts_as_committed_up_to_a_time_too() {
    let node = |second| put("/registry/leases/kube-node-lease/n1", &lease(second));
    let mut member = with_log(vec![node(0), node(10)]);
    let records = &mut member.segments[1].records;
    records.pop();
    // As a crash leaves it: the commit index is written down with the next entry.
    records.push(Record::State { term: 2, commit: 21 });
    let (ran, report) = replay(&member, &at(3600));
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!((&report["revision"], &report["consistent_index"]), (&json!(11), &json!(22)));
}

#[test]
fn nothing_later_is_in_the_result_and_how_sure_it_is_is_said() {
    for lease in [lease as fn(i64) -> Vec<u8>, lease_protobuf] {
        let (ran, report) = replay(&history(lease), &at(15));
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert_eq!((&report["revision"], &report["consistent_index"]), (&json!(12), &json!(23)));
        let time = &report["fold"]["time"];
        let key = "/registry/leases/kube-node-lease/n1";
        assert_eq!(time["last"], json!({"time": at(10), "index": 23, "revision": 12, "key": key}));
        assert_eq!(time["next"], json!({"time": at(20), "index": 26, "revision": 15, "key": key}));
        assert_eq!((&time["between"], &time["evidence"], &time["ahead"]), (&json!(2), &json!(3), &json!(0)));
        // The moment itself is not after it; with another offset it is the same moment.
        let (ran, report) = replay(&history(lease), "2026-03-04T13:00:10+01:00");
        assert_eq!((ran.code, &report["consistent_index"]), (0, &json!(23)), "{}", ran.err);
    }
}

#[test]
fn what_is_after_the_last_time_is_left_out_and_said() {
    let home = tempfile::tempdir().unwrap();
    let mut member = history(lease);
    member.entry(25).data = Some(put("/registry/pods/a", b"right"));
    member.files().write(&home.path().join("data"));
    let new = home.path().join("new.db");
    let ran = coldbolt(args![
        "replay",
        home.path().join("data"),
        "--to-time",
        at(99),
        "-o",
        &new,
        "--etcd-version",
        "3.6.14"
    ]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let key = "/registry/leases/kube-node-lease/n1";
    for due in [
        format!("time         not after {}\n", at(99)),
        format!("the last at or before it is {} by {key} (revision 15, raft index 26)\n", at(20)),
        "none in the log is after it\n".to_owned(),
        "1 entries after the last may be of before or after, and were left out\n".to_owned(),
    ] {
        assert!(ran.text().contains(&due), "{due}: {}", ran.text());
    }
}

#[test]
fn a_moment_before_the_log_or_a_log_without_times_is_refused_with_a_remedy() {
    let (ran, _) = replay(&history(lease), &at(-1));
    assert!(
        ran.code == 1 && ran.err.contains("or begin with an older snapshot by `coldbolt replay PATH --base"),
        "{:?} {}",
        ran.code,
        ran.err
    );
    let (ran, _) = replay(&with_log(vec![put("a", b"b"), put("c", b"k8s:enc:aescbc:v1:k:\x01")]), &at(0));
    assert!(
        ran.code == 1 && ran.err.contains("tells a time") && ran.err.contains("say --to-rev"),
        "{:?} {}",
        ran.code,
        ran.err
    );
    // No time at all.
    let (ran, _) = replay(&history(lease), "yesterday");
    assert_eq!(ran.code, 2, "{}", ran.err);
}

#[test]
fn a_clock_that_is_ahead_neither_stops_early_nor_goes_unsaid() {
    let node = |name: &str, second| put(&format!("/registry/leases/kube-node-lease/{name}"), &lease(second));
    let requests = vec![
        node("n1", 0),
        node("ahead", 3600),
        node("n1", 10),
        node("n2", 12),
        node("ahead", 3610),
        node("n1", 20),
        node("n2", 22),
    ];
    let (ran, report) = replay(&with_log(requests), &at(15));
    assert_eq!((ran.code, &report["consistent_index"]), (0, &json!(24)), "{}", ran.err);
    assert_eq!(report["fold"]["time"]["ahead"], 2);
    assert!(
        ran.err.contains("warning: ")
            && ran.err.contains("[replay-time]")
            && ran.err.contains("2 of 7 times"),
        "{}",
        ran.err
    );
}

#[test]
fn old_times_of_objects_that_are_written_again_do_not_move_the_cut() {
    let old = br#"{"kind":"Pod","metadata":{"creationTimestamp":"2020-01-01T00:00:00Z"}}"#;
    let node = |second| put("/registry/leases/kube-node-lease/n1", &lease(second));
    let requests = vec![
        node(0),
        put("/registry/pods/b", old),
        node(10),
        put("/registry/pods/b", old),
        put("/registry/pods/b", old),
        node(20),
    ];
    let (ran, report) = replay(&with_log(requests), &at(15));
    assert_eq!((ran.code, &report["consistent_index"]), (0, &json!(23)), "{}", ran.err);
    assert!(!ran.err.contains("replay-time"), "{}", ran.err);
}
