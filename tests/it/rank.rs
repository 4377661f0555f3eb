//! `coldbolt rank` on members made by hand: who comes first and why, what became of the last entries, what they
//! disagree on.

use std::fs;
use std::path::Path;

use coldbolt::ops::rank::{Health, RankOptions, rank as rank_};
use coldbolt::words::monitor::Quiet;
use serde_json::{Value, json};
use support::member::{Member, Record};
use support::trio::{IDS, one};
use support::{Input, Run, VERSIONS, args, coldbolt, coldbolt_in, unpack};

/// Ranks members, and proves that their directories are as they were.
fn rank(members: &[&Member]) -> (Run, Value) {
    rank_after(members, |_| {})
}

fn rank_after(members: &[&Member], change: impl FnOnce(&Path)) -> (Run, Value) {
    let home = tempfile::tempdir().unwrap();
    for (at, member) in members.iter().enumerate() {
        member.files().write(&home.path().join(format!("m{at}")));
    }
    change(home.path());
    ranked(home.path(), members.len())
}

/// Ranks `m0`, `m1` and so on; directories are named from there.
fn ranked(home: &Path, count: usize) -> (Run, Value) {
    let inputs = Input::new(home);
    let names: Vec<_> = (0..count).map(|at| home.join(format!("m{at}"))).collect();
    let mut args = args!["rank", "-w", "json", "--etcd-version", "3.6.14"].to_vec();
    args.extend(names.iter().map(|name| name.as_os_str()));
    let ran = coldbolt(&args);
    inputs.unchanged();
    let mut text = ran.text().to_owned();
    text = text.replace(&format!("{}/", home.display()), "");
    let report = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}{}", ran.err));
    (ran, report)
}

fn order(report: &Value) -> Vec<&str> {
    report["members"].as_array().unwrap().iter().map(|member| member["directory"].as_str().unwrap()).collect()
}

fn codes(report: &Value) -> Vec<&str> {
    report["findings"].as_array().unwrap().iter().map(|finding| finding["code"].as_str().unwrap()).collect()
}

/// The segment without which a log makes no database.
const FIRST: &str = "member/wal/0000000000000000-0000000000000000.wal";

#[test]
fn the_longest_log_is_first_and_what_a_majority_has_is_taken() {
    let members = [one(IDS[2], 22, 22), one(IDS[0], 24, 22), one(IDS[1], 23, 21)];
    let (ran, report) = rank(&members.each_ref());
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!((order(&report), &report["schema"]), (vec!["m1", "m2", "m0"], &json!("coldbolt.rank/1")));
    assert_eq!(report["reason"], "its log goes to entry 24, that of m2 to 23, both of term 2");
    let best = &report["members"][0];
    assert_eq!(
        (&best["member"], &best["commit_index"], &best["database_index"]),
        (&json!("8e9e05c52164694d"), &json!(22), &json!(20))
    );
    // The database ends at revision 9; entries 21 and 22 are known to be committed.
    assert_eq!(
        (&best["revision"], &best["revision_with_all"], &best["health"]),
        (&json!(11), &json!(13), &json!("good"))
    );
    let entries = &report["uncommitted"];
    assert_eq!(
        (&entries["first"], &entries["last"], &entries["majority_to"]),
        (&json!(23), &json!(24), &json!(23))
    );
    assert_eq!(
        (&entries["holders"], &entries["absent"], &entries["rest_possible"]),
        (&json!(2), &json!(0), &json!(false))
    );
    assert_eq!(
        report["command"],
        "coldbolt copy m1 -o backup.db --include-uncommitted --etcd-version 3.6.14"
    );
    assert_eq!((&report["agree"], &report["comparisons"][0]["revision"]), (&json!(true), &json!(9)));
}

/// The printed command, run as it stands.
#[test]
fn the_command_makes_the_backup_that_was_promised() {
    let home = tempfile::tempdir().unwrap();
    for (at, member) in [one(IDS[2], 22, 22), one(IDS[0], 24, 22), one(IDS[1], 24, 21)].iter().enumerate() {
        member.files().write(&home.path().join(format!("m{at}")));
    }
    let (_, report) = ranked(home.path(), 3);
    let command = report["command"].as_str().unwrap().strip_prefix("coldbolt ").unwrap();
    let copied = coldbolt_in(home.path(), command.split(' ').chain(["-w", "json"])).json();
    assert_eq!(copied["revision"], report["members"][0]["revision_with_all"]);
    assert_eq!(copied["consistent_index"], 24);
    let text = coldbolt(args!["rank", home.path().join("m1"), home.path().join("m2")]).text().to_owned();
    for due in [
        "DIRECTORY",
        "best: ",
        "it stands where",
        "either will do",
        "2 of 3 voters, a majority",
        " at revision 9",
        "coldbolt copy ",
    ] {
        assert!(text.contains(due), "{due}: {text}");
    }
}

#[test]
fn a_higher_term_comes_before_a_longer_log() {
    let mut elected = one(IDS[1], 23, 22);
    elected.entry(23).term = Some(3);
    *elected.segments[1].records.last_mut().unwrap() = Record::State { term: 3, commit: 22 };
    let (ran, report) = rank(&[&one(IDS[0], 24, 22), &elected, &one(IDS[2], 22, 22)]);
    assert_eq!((ran.code, order(&report)), (0, vec!["m1", "m0", "m2"]), "{}", ran.err);
    assert_eq!(report["reason"], "its last entry is of term 3, that of m0 of term 2");
    // Nobody else has it, and everybody was asked.
    assert_eq!(
        (&report["uncommitted"]["majority_to"], &report["uncommitted"]["rest_possible"]),
        (&Value::Null, &json!(false))
    );
    assert_eq!(report["command"], "coldbolt copy m1 -o backup.db --etcd-version 3.6.14");
}

#[test]
fn what_a_member_that_is_not_here_may_have_is_taken_too() {
    let (ran, report) = rank(&[&one(IDS[0], 24, 22)]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let entries = &report["uncommitted"];
    assert_eq!(
        (&entries["majority_to"], &entries["absent"], &entries["rest_possible"]),
        (&Value::Null, &json!(2), &json!(true))
    );
    assert_eq!(
        report["command"],
        "coldbolt copy m0 -o backup.db --include-uncommitted --etcd-version 3.6.14"
    );
}

#[test]
fn what_is_damaged_or_missing_is_last_and_still_has_a_voice() {
    let members = [one(IDS[0], 24, 22), one(IDS[1], 23, 22), one(IDS[2], 22, 22)];
    // The best one has a page that is not whole; another has no database.
    let (ran, report) = rank_after(&members.each_ref(), |home| {
        let db = home.join("m0/member/snap/db");
        let mut bytes = fs::read(&db).unwrap();
        let at = bytes.windows(9).position(|window| window == b"value 9.0").unwrap();
        let page = at / 4096 * 4096;
        bytes[page] ^= 0xff;
        fs::write(&db, bytes).unwrap();
        fs::remove_file(home.join("m2/member/snap/db")).unwrap();
        fs::remove_file(home.join("m2").join(FIRST)).unwrap();
    });
    assert_eq!((ran.code, order(&report)), (1, vec!["m1", "m0", "m2"]), "{}", ran.err);
    let health: Vec<_> =
        report["members"].as_array().unwrap().iter().map(|member| member["health"].clone()).collect();
    assert_eq!(health, ["good", "damaged", "unreadable"]);
    let due = "it is the only one that is whole; m0 goes further, to entry 24 of term 2, but is not whole";
    assert_eq!(report["reason"], due);
    // The damaged database has a whole log beside it.
    assert_eq!(
        (&report["uncommitted"]["majority_to"], &report["uncommitted"]["absent"]),
        (&json!(23), &json!(0))
    );
    let (ran, report) = rank_after(&members.each_ref(), |home| {
        (0..3).for_each(|at| fs::remove_dir_all(home.join(format!("m{at}"))).unwrap())
    });
    assert_eq!(
        (ran.code, &report["clear"], &report["command"]),
        (3, &json!(false), &Value::Null),
        "{}",
        ran.err
    );
}

#[test]
fn of_what_has_no_log_none_is_told() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    one(IDS[0], 24, 22).files().write(&at("m0"));
    fs::copy(at("m0/member/snap/db"), at("file.db")).unwrap();
    let inputs = Input::new(home.path());
    let run =
        |args: &[&str]| coldbolt_in(home.path(), [&["rank", "--etcd-version", "3.6.14"], args].concat());
    let done = run(&["file.db", "file.db"]);
    assert!(!done.text().contains("its log"), "{done}");
    done.shows(
        1,
        &["no log", "no member is best: none of them has a log, which alone tells what a member had"],
    );
    let done = run(&["m0", "file.db"]);
    assert!(!done.text().contains("none of them"), "{done}");
    done.shows(0, &["no log", "best: m0: it is the only one that is whole"]);
    let done = run(&["none", "neither"]);
    done.shows(3, &["none of them can be read", "No such file or directory"]);
    for line in done.text().lines().filter(|line| line.ends_with("unreadable")) {
        assert!(!line.contains('0'), "{line}");
    }
    inputs.unchanged();
}

/// What a monitor hears, in order.
#[derive(Default)]
struct Heard(std::sync::Mutex<Vec<String>>);

impl coldbolt::words::monitor::Monitor for Heard {
    fn begin(&self, what: &str, total: u64) {
        self.0.lock().unwrap().push(format!("begin {what} {}", total > 0));
    }
    fn advance(&self, _: u64) {
        self.0.lock().unwrap().push("advance".to_owned());
    }
    fn finding(&self, finding: coldbolt::Finding) {
        self.0.lock().unwrap().push(format!("finding {}", finding.file));
    }
}

#[test]
fn what_is_wrong_with_a_member_is_told_in_order_and_before_the_last_is_read() {
    let home = tempfile::tempdir().unwrap();
    let count = 2 * coldbolt::io::parallel::threads() + 1;
    let names: Vec<_> = (0..count).map(|at| home.path().join(format!("m{at:03}"))).collect();
    for name in &names {
        one(IDS[0], 24, 22).files().write(name);
        fs::remove_file(name.join("member/snap/0000000000000001-000000000000000a.snap")).unwrap();
    }
    let heard = Heard::default();
    let options = RankOptions { version: Some("3.6.14".parse().unwrap()) };
    let report = rank_(&names, &options, &heard).unwrap();
    assert_eq!(report.members.len(), count);
    let heard = heard.0.into_inner().unwrap();
    assert_eq!(heard[0], "begin reading the members true");
    let first = heard.iter().position(|said| said.starts_with("finding")).unwrap();
    assert!(heard[first..].contains(&"advance".to_owned()), "{heard:?}");
    let found: Vec<_> = heard.iter().filter(|said| said.starts_with("finding")).collect();
    assert!(found.len() >= count && found.is_sorted(), "{found:?}");
}

#[test]
fn members_of_two_clusters_are_not_ranked() {
    let home = tempfile::tempdir().unwrap();
    one(IDS[0], 24, 22).files().write(&home.path().join("m0"));
    fs::rename(unpack("3.6.14", "cold", home.path()), home.path().join("m1")).unwrap();
    let (ran, report) = ranked(home.path(), 2);
    assert_eq!(
        (ran.code, &report["clear"], codes(&report)),
        (1, &json!(false), vec!["cluster-differs"]),
        "{}",
        ran.err
    );
    assert_eq!(report["command"], Value::Null);
}

#[test]
fn keys_that_differ_are_named_with_the_first_revision() {
    let mut other = one(IDS[1], 24, 22);
    other.buckets.edit(6, 0, false, |kv| kv.value = b"otherwise".to_vec());
    let (ran, report) = rank(&[&one(IDS[0], 24, 22), &other]);
    assert_eq!((ran.code, codes(&report)), (1, vec!["keyspace-differs"]), "{}", ran.err);
    let divergence = &report["comparisons"][0]["divergences"][0];
    assert_eq!(
        (&divergence["first_revision"], &divergence["first_keys"][0]["key"]),
        (&json!(6), &json!("a"))
    );
    assert!(ran.err.contains("key a: 1 keys differ"), "{}", ran.err);
}

#[test]
fn logs_of_two_histories_are_told() {
    let mut other = one(IDS[1], 24, 23);
    for index in 19..=24 {
        other.entry(index).term = Some(3);
    }
    other.buckets.index(20, 3);
    *other.segments[1].records.last_mut().unwrap() = Record::State { term: 3, commit: 23 };
    let (ran, report) = rank(&[&one(IDS[0], 24, 22), &other]);
    assert_eq!(
        (ran.code, codes(&report), order(&report)),
        (1, vec!["log-conflict"], vec!["m1", "m0"]),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("raft index 19: the entry is of term 2"), "{}", ran.err);
}

#[test]
fn entries_that_were_replaced_are_left_out() {
    // The one that was elected without the first is damaged, and knows that 23 is another's.
    let (first, mut elected) = (one(IDS[0], 24, 21), one(IDS[1], 24, 24));
    elected.entry(23).term = Some(3);
    elected.entry(24).term = Some(3);
    *elected.segments[1].records.last_mut().unwrap() = Record::State { term: 3, commit: 24 };
    let (ran, report) = rank_after(&[&first, &elected], |home| {
        fs::remove_file(home.join("m1/member/snap/db")).unwrap();
        fs::remove_file(home.join("m1").join(FIRST)).unwrap();
    });
    assert_eq!((ran.code, order(&report)), (1, vec!["m0", "m1"]), "{}", ran.err);
    let entries = &report["uncommitted"];
    assert_eq!((&entries["committed_to"], &entries["replaced_from"]), (&json!(22), &json!(23)));
    assert_eq!(
        report["command"],
        "coldbolt replay m0 --to-index 22 --include-uncommitted -o backup.db --etcd-version 3.6.14"
    );
}

#[test]
fn a_member_alone_is_best_without_a_doubt() {
    for version in VERSIONS {
        let home = tempfile::tempdir().unwrap();
        let input = Input::new(unpack(version, "cold", home.path()));
        let ran = coldbolt(args!["rank", &input]);
        assert_eq!(ran.code, 0, "{version}: {}{}", ran.text(), ran.err);
        let due = format!("coldbolt copy {} -o backup.db\n", input.name());
        assert!(
            ran.text().ends_with(&due) && ran.text().contains("best: ") && ran.text().contains(" 133 "),
            "{}",
            ran.text()
        );
        input.unchanged();
    }
}

#[test]
fn no_changed_byte_of_a_log_makes_a_damaged_member_the_best() {
    let (whole, changed) = (one(IDS[1], 23, 22), one(IDS[0], 24, 22).files());
    let home = tempfile::tempdir().unwrap();
    let directories = ["m0", "m1"].map(|name| home.path().join(name));
    changed.write(&directories[0]);
    whole.files().write(&directories[1]);
    let path = directories[0].join(changed.last_wal());
    let good = fs::read(&path).unwrap();
    let options = RankOptions { version: Some("3.6.14".parse().unwrap()) };
    let mut first = [0, 0];
    for at in (0..good.len()).step_by(3) {
        let mut bytes = good.clone();
        bytes[at] ^= 0xff;
        fs::write(&path, bytes).unwrap();
        let report = rank_(&directories, &options, &Quiet).unwrap();
        let best = &report.members[0];
        assert!(best.health < Health::Damaged, "byte {at:#x}: {best:#?}");
        let changed = best.directory.ends_with("m0");
        first[usize::from(changed)] += 1;
        // What it claims is what the good log holds, all of it or the beginning.
        assert!(
            !changed || (best.last_term.get() == 2 && best.last_index.get() == 24),
            "byte {at:#x}: {best:#?}"
        );
    }
    // Some bytes mean nothing: those of the zeros at the end, and what is before the snapshot.
    assert!(first[0] > first[1] && first[1] > 0, "{first:?}");
}
