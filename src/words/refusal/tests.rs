//! Each refusal in words.

use super::*;

fn there() -> RevisionRange {
    RevisionRange { file: Some("backup.db".to_owned()), first: 29, last: 41 }
}

/// One of each.
fn all() -> Vec<Refusal> {
    vec![
        Refusal::Future { asked: 12, there: there() },
        Refusal::Compacted { asked: 12, there: there() },
        Refusal::CompactedFurther { asked: 12, compacted: 12 },
        Refusal::AlreadyPast { has: Mark::Index(RaftIndex::new(20)), asked: Mark::Index(RaftIndex::new(20)) },
        Refusal::EndsBefore { ends: Mark::Index(RaftIndex::new(20)), asked: Mark::Index(RaftIndex::new(20)) },
        Refusal::NoTime { from: RaftIndex::new(20) },
        Refusal::BeginsLater {
            from: RaftIndex::new(20),
            first: "2026-03-04T12:00:00Z".parse().unwrap(),
            index: RaftIndex::new(20),
            asked: "2026-03-04T12:00:00Z".parse().unwrap(),
        },
        Refusal::RulesUnknown { stated: Some("3.9".into()) },
        Refusal::VersionUnknown { stated: Some("3.9".into()) },
        Refusal::MemberChange { id: MemberId::new(0x8e9e_05c5_2164_694d), why: "what etcd says" },
        Refusal::LastVoter { id: MemberId::new(0x8e9e_05c5_2164_694d), why: "what etcd does then" },
        Refusal::NotAMember {
            file: "backup.db".to_owned(),
            id: MemberId::new(0x8e9e_05c5_2164_694d),
            index: RaftIndex::new(20),
        },
        Refusal::NoLog { file: "backup.db".to_owned() },
        Refusal::LogNotApplied { file: "backup.db".to_owned() },
        Refusal::NoBucket { file: "backup.db".to_owned(), bucket: b"key".to_vec(), parent: Vec::new() },
        Refusal::NoKey { file: "backup.db".to_owned(), bucket: b"key".to_vec(), key: b"\x00a".to_vec() },
        Refusal::IsABucket { file: "backup.db".to_owned(), bucket: b"key".to_vec(), key: b"\x00a".to_vec() },
        Refusal::KeyOutside { file: "backup.db".to_owned() },
        Refusal::NotEtcds { file: "backup.db".to_owned(), why: "what it lacks".to_owned() },
        Refusal::Sealed { file: "backup.db".to_owned() },
        Refusal::NotSealed { file: "backup.db".to_owned() },
        Refusal::NothingToCheck { file: "backup.db".to_owned(), log_beside: true },
        Refusal::NoSuchMember { name: "m1".to_owned() },
        Refusal::NoSuchLearner { name: "m1".to_owned(), cluster: "a=http://h:1,b=http://h:2".to_owned() },
        Refusal::NoVoter,
        Refusal::DuplicateUrl { cluster: "a=http://h:1,b=http://h:2".to_owned() },
        Refusal::NoMembers,
        Refusal::PeerUrl("peerURL is wrong".to_owned()),
        Refusal::NotAdvertised { missing: "a=http://h:1".to_owned(), advertised: "http://h:1".to_owned() },
        Refusal::NotInCluster {
            extra: "a=http://h:2".to_owned(),
            cluster: "a=http://h:1,b=http://h:2".to_owned(),
        },
        Refusal::MemberName { name: "m1".to_owned() },
        Refusal::CannotRaise { from: 12, by: 7 },
        Refusal::Exists { path: "out".into() },
        Refusal::Place {
            path: "out".into(),
            source: io::Error::new(io::ErrorKind::AlreadyExists, "exists already"),
        },
        Refusal::MadeMeanwhile { path: "out".into() },
        Refusal::Unfinished { path: "out".into() },
        Refusal::OtherNames { path: "out".into(), names: 7 },
        Refusal::Aside {
            path: "db".into(),
            index: RaftIndex::new(20),
            aside: "db.0123456789abcdef.partial".into(),
            further: RaftIndex::new(60),
        },
        Refusal::InsideInput { path: "out".into(), input: "/var/lib/etcd".into() },
        Refusal::NotEmpty { path: "out".into() },
        Refusal::LogExists { path: "out".into() },
        Refusal::LogInside { path: "out".into(), data_dir: "data".into() },
        Refusal::Unwritable("an item is too large".into()),
        Refusal::NotEditable {
            object: "Pod default/a".into(),
            why: "it says no namespace".into(),
            hint: Some(Hint::Namespace),
        },
        Refusal::NoMember { why: "why none is asked".to_owned() },
        Refusal::Surgery { file: "backup.db".to_owned(), why: "what it lacks".to_owned() },
        Refusal::OtherHistory { file: "backup.db".to_owned(), revisions: 7 },
        Refusal::Migration { file: "db".to_owned(), why: "why it cannot be".to_owned() },
    ]
}

/// Where it is among all: whoever adds one adds it there.
fn place(refusal: &Refusal) -> usize {
    match refusal {
        Refusal::Future { .. } => 0,
        Refusal::Compacted { .. } => 1,
        Refusal::CompactedFurther { .. } => 2,
        Refusal::AlreadyPast { .. } => 3,
        Refusal::EndsBefore { .. } => 4,
        Refusal::NoTime { .. } => 5,
        Refusal::BeginsLater { .. } => 6,
        Refusal::RulesUnknown { .. } => 7,
        Refusal::VersionUnknown { .. } => 8,
        Refusal::MemberChange { .. } => 9,
        Refusal::LastVoter { .. } => 10,
        Refusal::NotAMember { .. } => 11,
        Refusal::NoLog { .. } => 12,
        Refusal::LogNotApplied { .. } => 13,
        Refusal::NoBucket { .. } => 14,
        Refusal::NoKey { .. } => 15,
        Refusal::IsABucket { .. } => 16,
        Refusal::KeyOutside { .. } => 17,
        Refusal::NotEtcds { .. } => 18,
        Refusal::Sealed { .. } => 19,
        Refusal::NotSealed { .. } => 20,
        Refusal::NothingToCheck { .. } => 21,
        Refusal::NoSuchMember { .. } => 22,
        Refusal::NoSuchLearner { .. } => 23,
        Refusal::NoVoter => 24,
        Refusal::DuplicateUrl { .. } => 25,
        Refusal::NoMembers => 26,
        Refusal::PeerUrl(_) => 27,
        Refusal::NotAdvertised { .. } => 28,
        Refusal::NotInCluster { .. } => 29,
        Refusal::MemberName { .. } => 30,
        Refusal::CannotRaise { .. } => 31,
        Refusal::Exists { .. } => 32,
        Refusal::Place { .. } => 33,
        Refusal::MadeMeanwhile { .. } => 34,
        Refusal::Unfinished { .. } => 35,
        Refusal::OtherNames { .. } => 36,
        Refusal::Aside { .. } => 37,
        Refusal::InsideInput { .. } => 38,
        Refusal::NotEmpty { .. } => 39,
        Refusal::LogExists { .. } => 40,
        Refusal::LogInside { .. } => 41,
        Refusal::Unwritable(_) => 42,
        Refusal::NotEditable { .. } => 43,
        Refusal::NoMember { .. } => 44,
        Refusal::Surgery { .. } => 45,
        Refusal::OtherHistory { .. } => 46,
        Refusal::Migration { .. } => 47,
    }
}

/// `UPDATE=1 cargo test --lib refusal` writes them anew: read what has changed.
#[test]
fn each_refusal_says_what_it_said() {
    let mut said = String::new();
    for (at, refusal) in all().iter().enumerate() {
        assert_eq!(place(refusal), at, "{refusal:?}");
        let name = format!("{refusal:?}");
        let name = name.split([' ', '(']).next().unwrap();
        let hint = refusal.hint().map_or_else(String::new, |hint| format!(" -> {hint:?}"));
        said += &format!("{name}: {refusal}{hint}\n");
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/refusals.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &said).unwrap();
    }
    assert_eq!(said, std::fs::read_to_string(path).unwrap());
}
