//! Every rule of a policy: kept, broken, and where it cannot be measured, from the file and from flags.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use coldbolt::ops::verify::policy::Rule;
use serde_json::Value;

use support::backup::{Backup, verify};
use support::packed::unpacked;
use support::run::run;
use support::{binary, coldbolt_in, fixture, unpack};

/// A rule: a line of a policy file and the flags that mean the same, once kept and once broken.
struct Case {
    rule: Rule,
    file: &'static str,
    kept: (&'static str, &'static [&'static str]),
    broken: (&'static str, &'static [&'static str]),
}

const fn case(
    rule: Rule,
    file: &'static str,
    kept: (&'static str, &'static [&'static str]),
    broken: (&'static str, &'static [&'static str]),
) -> Case {
    Case { rule, file, kept, broken }
}

/// `now.db` has 10 keys at revisions 2 to 11 and one Lease, `before.db` 12 keys, `less.db` 5, `old.db` is `now.db` of
/// a year ago.
const CASES: &[Case] = &[
    case(
        Rule::MinRevision,
        "now.db",
        ("min-revision = 12", &["--min-revision", "12"]),
        ("min-revision = 13", &["--min-revision", "13"]),
    ),
    case(
        Rule::MaxRevision,
        "now.db",
        ("max-revision = 12", &["--max-revision", "12"]),
        ("max-revision = 11", &["--max-revision", "11"]),
    ),
    case(
        Rule::RevisionNotBelowPrevious,
        "now.db",
        ("revision-not-below-previous = true #--previous less.db", &["--previous", "less.db"]),
        ("revision-not-below-previous = true #--previous before.db", &["--previous", "before.db"]),
    ),
    case(
        Rule::KeysNotFewerThan,
        "less.db",
        (
            "revision-not-below-previous = false\nkeys-not-fewer-than = 45 #--previous now.db",
            &["--keys-not-fewer-than", "45", "--previous", "less.db"],
        ),
        (
            "revision-not-below-previous = false\nkeys-not-fewer-than = 46 #--previous now.db",
            &["--keys-not-fewer-than", "46%", "--previous", "now.db"],
        ),
    ),
    case(
        Rule::MaxAgeContent,
        "now.db",
        ("max-age = \"3h\"", &["--max-age", "3h"]),
        ("max-age = \"1h30m\"", &["--max-age", "1h30m"]),
    ),
    case(
        Rule::MaxAgeFile,
        "before.db",
        ("max-age = \"1w\"", &["--max-age", "1w"]),
        ("max-age = \"1h\"", &["--max-age", "1h"]),
    ),
    case(
        Rule::Required,
        "now.db",
        ("required = [{ prefix = \"/k/\", at-least = 10 }]", &["--require-prefix", "/k/>=10"]),
        ("[[required]]\nprefix = \"/k/\"\nat-least = 11", &["--require-prefix", "/k/>=11"]),
    ),
    case(
        Rule::Required,
        "now.db",
        ("required = [{ key = \"/k/00\" }]", &["--require-key", "/k/00"]),
        ("required = [{ key = \"/k/0\" }]", &["--require-key", "/k/0"]),
    ),
    case(
        Rule::Forbidden,
        "now.db",
        ("forbidden = [{ prefix = \"/k/1\" }]", &["--forbid-prefix", "/k/1"]),
        ("forbidden = [{ prefix = \"/k/\", at-most = 9 }]", &["--forbid-prefix", "/k/"]),
    ),
    case(
        Rule::Forbidden,
        "now.db",
        ("forbidden = [{ key = \"/k/0\" }]", &["--forbid-key", "/k/0"]),
        ("forbidden = [{ key = \"/k/00\" }]", &["--forbid-key", "/k/00"]),
    ),
    case(
        Rule::MinStorageVersion,
        "now.db",
        ("min-storage-version = \"3.6\"", &["--min-storage-version", "3.6"]),
        ("min-storage-version = \"3.10\"", &["--min-storage-version", "3.10"]),
    ),
    case(
        Rule::MaxStorageVersion,
        "now.db",
        ("max-storage-version = \"3.6\"", &["--max-storage-version", "3.6"]),
        ("max-storage-version = \"3.5\"", &["--max-storage-version", "3.5"]),
    ),
    case(Rule::Trailer, "now.db", ("trailer = \"required\"", &["--trailer", "required"]), ("", &[])),
    case(
        Rule::Trailer,
        "bare.db",
        ("trailer = \"optional\"", &["--trailer", "optional"]),
        ("trailer = \"required\"", &["--trailer", "required"]),
    ),
    case(
        Rule::ClusterId,
        "cold",
        ("cluster-id = \"CLUSTER\"", &["--cluster-id", "0xCLUSTER"]),
        ("cluster-id = \"1\"", &["--cluster-id", "1"]),
    ),
    case(
        Rule::Members,
        "now.db",
        ("members = [\"default\"]", &["--members", "8e9e05c52164694d"]),
        ("members = [\"default\", \"other\"]", &["--members", "8e9e05c52164694e"]),
    ),
    case(
        Rule::MaxFragmentation,
        "free.db",
        ("max-fragmentation = 40", &["--max-fragmentation", "40"]),
        ("max-fragmentation = 39", &["--max-fragmentation", "39"]),
    ),
    case(Rule::NoAlarms, "now.db", ("no-alarms = true", &["--no-alarms"]), ("", &[])),
    case(Rule::NoAlarms, "alarm.db", ("", &[]), ("no-alarms = true", &["--no-alarms"])),
    case(
        Rule::NoPendingCompaction,
        "now.db",
        ("no-pending-compaction = true", &["--no-pending-compaction"]),
        ("", &[]),
    ),
    case(
        Rule::NoPendingCompaction,
        "compaction.db",
        ("", &[]),
        ("no-pending-compaction = true", &["--no-pending-compaction"]),
    ),
    case(
        Rule::Encrypted,
        "deleted.db",
        ("encrypted = [\"secrets\", \"deployments.apps\"]", &["--encrypted", "Secret,deploy"]),
        ("encrypted = [\"secrets\", \"configmaps\"]", &["--encrypted", "secrets,cm"]),
    ),
    case(
        Rule::EncryptionProvider,
        "deleted.db",
        (
            "encryption-provider = [\"aescbc\", \"aesgcm\", \"kms:v2\", \"secretbox\"]",
            &["--encrypted", "secrets", "--encryption-provider", "aescbc,aesgcm,kms,secretbox"],
        ),
        ("encryption-provider = \"kms\"", &["--encryption-provider", "aescbc,aesgcm,kms:v1,secretbox"]),
    ),
    case(
        Rule::NoPlaintextResidue,
        "deleted.db",
        (
            "encrypted = [\"deploy\"]\nno-plaintext-residue = true",
            &["--encrypted", "deploy", "--no-plaintext-residue"],
        ),
        ("no-plaintext-residue = true", &["--encrypted", "secrets", "--no-plaintext-residue"]),
    ),
];

fn ago(path: &Path, seconds: u64) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
}

/// A Lease as Kubernetes keeps it in JSON.
fn lease(seconds_ago: i64) -> Vec<u8> {
    let time = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(seconds_ago);
    format!(r#"{{"kind":"Lease","spec":{{"renewTime":"{time:.6}"}}}}"#).into_bytes()
}

fn files() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let mut now = Backup::of(10);
    now.keys.push(("/registry/leases/kube-node-lease/n1".to_owned(), lease(2 * 3600)));
    now.write(&at("now.db"));
    Backup::of(12).write(&at("before.db"));
    ago(&at("before.db"), 86_400);
    Backup::of(5).write(&at("less.db"));
    Backup { trailer: false, ..Backup::of(1) }.write(&at("bare.db"));
    Backup { alarm: true, ..Backup::of(1) }.write(&at("alarm.db"));
    Backup { compaction: Some(3), ..Backup::of(4) }.write(&at("compaction.db"));
    fs::copy(fixture("small-3.5.1/snapshot.db"), at("free.db")).unwrap();
    fs::write(at("deleted.db"), unpacked(&fixture("kube/encrypted-1.37/deleted.db.gz"))).unwrap();
    unpack("3.6.14", "cold", dir.path());
    dir
}

/// The results of one rule.
fn results(answer: &Value, rule: Rule) -> Vec<Value> {
    let all = answer["files"][0]["policy"].as_array().unwrap();
    all.iter().filter(|r| r["id"] == rule.name()).cloned().collect()
}

#[test]
fn every_rule_is_kept_once_and_broken_once_from_the_file_and_from_flags() {
    let dir = files();
    let (_, cold) = verify(dir.path(), &["cold"]);
    let cluster = cold["files"][0]["measured"]["cluster_id"].as_str().unwrap().to_owned();
    let mut seen: BTreeSet<(Rule, bool)> = BTreeSet::new();
    for Case { rule, file, kept, broken } in CASES {
        for (due, (line, flags)) in [(true, kept), (false, broken)] {
            if line.is_empty() {
                continue;
            }
            fs::write(dir.path().join("p.toml"), line.replace("CLUSTER", &cluster)).unwrap();
            let extra: Vec<&str> =
                line.split_once('#').map(|(_, flags)| flags.split(' ').collect()).unwrap_or_default();
            let from_file = [&["--policy", "p.toml"], extra.as_slice()].concat();
            let flags: Vec<String> = flags.iter().map(|f| f.replace("CLUSTER", &cluster)).collect();
            for args in [from_file, flags.iter().map(String::as_str).collect()] {
                let (exit, answer) = verify(dir.path(), &[&[*file], args.as_slice()].concat());
                let results = results(&answer, *rule);
                assert_eq!(results.len(), 1, "{rule} {args:?}: {answer:#}");
                assert_eq!(results[0]["passed"], due, "{rule} {args:?}: {:#}", results[0]);
                assert_eq!(results[0]["severity"], "error");
                assert!(
                    !results[0]["measured"].is_null() && !results[0]["limit"].is_null(),
                    "{:#}",
                    results[0]
                );
                assert_eq!(
                    (exit, answer["verdict"].as_str()),
                    if due { (0, Some("good")) } else { (1, Some("bad")) },
                    "{rule} {args:?}: {answer:#}"
                );
                seen.insert((*rule, due));
            }
            // As a warning it is told and changes nothing; but a rule about the trailer also says what the lack of
            // one means.
            if !due && *rule != Rule::Trailer {
                let line = line.replace("CLUSTER", &cluster);
                fs::write(dir.path().join("p.toml"), format!("{line}\n[severity]\n{rule} = \"warning\"\n"))
                    .unwrap();
                let (exit, answer) =
                    verify(dir.path(), &[&[*file, "--policy", "p.toml"], extra.as_slice()].concat());
                let found = self::results(&answer, *rule);
                assert_eq!(
                    (exit, &found[0]["passed"], &found[0]["severity"]),
                    (0, &Value::from(false), &Value::from("warning")),
                    "{rule}"
                );
            }
        }
    }
    let all: BTreeSet<(Rule, bool)> =
        Rule::ALL.iter().flat_map(|rule| [(*rule, true), (*rule, false)]).collect();
    assert_eq!(seen, all, "a rule without a test");
}

#[test]
fn what_cannot_be_measured_is_inconclusive_and_bad_if_strict() {
    let dir = files();
    let damaged = dir.path().join("damaged.db");
    fs::write(&damaged, &Backup::of(3).bytes()[..9000]).unwrap();
    fs::write(dir.path().join("foreign"), "text").unwrap();
    for (rule, args) in [
        (Rule::ClusterId, &["now.db", "--cluster-id", "1"][..]),
        (Rule::KeysNotFewerThan, &["now.db", "--keys-not-fewer-than", "1"]),
        (Rule::RevisionNotBelowPrevious, &["now.db", "--previous", "damaged.db"]),
        (Rule::RevisionNotBelowPrevious, &["now.db", "--previous", "none.db"]),
        (Rule::RevisionNotBelowPrevious, &["now.db", "--previous", "foreign"]),
        (Rule::MinRevision, &["now.db", "--min-revision", "1", "--level", "bytes"]),
        (Rule::MaxFragmentation, &["now.db", "--max-fragmentation", "1", "--level", "bytes"]),
        (Rule::Required, &["now.db", "--require-prefix", "/", "--level", "bytes"]),
        (Rule::NoAlarms, &["now.db", "--no-alarms", "--level", "identity"]),
        (Rule::Encrypted, &["deleted.db", "--encrypted", "secrets", "--level", "bytes"]),
        // There is none of them.
        (Rule::Encrypted, &["deleted.db", "--encrypted", "pods"]),
        (Rule::EncryptionProvider, &["deleted.db", "--encrypted", "pods", "--encryption-provider", "aesgcm"]),
        (Rule::EncryptionProvider, &["deleted.db", "--encryption-provider", "kms", "--level", "bytes"]),
        (Rule::NoPlaintextResidue, &["deleted.db", "--no-plaintext-residue", "--level", "bytes"]),
    ] {
        let (exit, answer) = verify(dir.path(), args);
        assert_eq!((exit, answer["verdict"].as_str()), (4, Some("inconclusive")), "{args:?}: {answer:#}");
        let results = results(&answer, rule);
        assert_eq!(
            (&results[0]["passed"], &results[0]["measured"]),
            (&Value::Null, &Value::Null),
            "{args:?}"
        );
        assert_eq!(verify(dir.path(), &[args, &["--strict"]].concat()).0, 1, "{args:?}");
    }
}

#[test]
fn a_slip_in_the_names_of_what_is_to_be_encrypted_breaks_the_rule() {
    let dir = files();
    for slip in ["secrts", "secrets,secrts"] {
        let (exit, answer) = verify(dir.path(), &["deleted.db", "--encrypted", slip]);
        let result = &results(&answer, Rule::Encrypted)[0];
        assert_eq!(
            (exit, &result["passed"], &result["measured"]),
            (1, &false.into(), &Value::Null),
            "{answer:#}"
        );
        let due = "not measured: no kind of Kubernetes or of the file is called that: secrts";
        assert_eq!(result["message"], due);
    }
}

#[test]
fn the_newest_lease_tells_the_age_and_not_a_fresh_mtime_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut backup = Backup::of(1);
    for (name, seconds) in [("n1", 40 * 3600), ("n2", 30 * 3600), ("n3", 50 * 3600)] {
        backup.keys.push((format!("/registry/leases/kube-node-lease/{name}"), lease(seconds)));
    }
    // Not a Lease, and newer.
    backup.keys.push(("/registry/other/n4".to_owned(), lease(10)));
    backup.write(&dir.path().join("a.db"));
    let (exit, answer) = verify(dir.path(), &["a.db", "--max-age", "26h"]);
    let [content, file] =
        [Rule::MaxAgeContent, Rule::MaxAgeFile].map(|rule| results(&answer, rule)[0].clone());
    assert_eq!((exit, &content["passed"], &file["passed"]), (1, &Value::from(false), &Value::from(true)));
    let age = content["measured"].as_i64().unwrap();
    assert!((30 * 3600..30 * 3600 + 600).contains(&age), "{age}");
    assert!(
        content["message"].as_str().unwrap().contains("/registry/leases/kube-node-lease/n2"),
        "{content}"
    );
    assert_eq!(
        answer["files"][0]["measured"]["newest_evidence"]["key"],
        "/registry/leases/kube-node-lease/n2"
    );
    // Nobody asked.
    let (_, answer) = verify(dir.path(), &["a.db"]);
    assert_eq!(answer["files"][0]["measured"]["newest_evidence"], Value::Null);

    // A time that has not come yet proves nothing.
    let mut backup = Backup::of(1);
    backup.keys.push(("/registry/leases/x".to_owned(), lease(-7200)));
    backup.write(&dir.path().join("b.db"));
    let (exit, answer) = verify(dir.path(), &["b.db", "--max-age", "26h"]);
    assert_eq!((exit, &results(&answer, Rule::MaxAgeContent)[0]["passed"]), (4, &Value::Null));
}

#[test]
fn what_comes_through_a_pipe_has_no_mtime() {
    let dir = files();
    let mut sh = Command::new("sh");
    sh.current_dir(dir.path()).args(["-c", "cat before.db | \"$1\" verify - --max-age 1w -w json", "sh"]);
    sh.arg(binary());
    let piped = run(sh);
    let answer = piped.json();
    assert_eq!((piped.code, &results(&answer, Rule::MaxAgeFile)[0]["passed"]), (4, &Value::Null));
}

#[test]
fn flags_override_the_file_rule_by_rule() {
    let dir = files();
    fs::write(
        dir.path().join("p.toml"),
        "min-revision = 100\nmax-revision = 100\nrequired = [{ prefix = \"/none\" }]\n",
    )
    .unwrap();
    let (exit, answer) = verify(
        dir.path(),
        &["now.db", "--policy", "p.toml", "--min-revision", "5", "--require-key", "/k/00"],
    );
    let limits: Vec<_> = answer["files"][0]["policy"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| (r["id"].clone(), r["limit"].clone()))
        .collect();
    let due = [("min-revision", 5), ("max-revision", 100), ("required", 1)]
        .map(|(id, limit)| (Value::from(id), Value::from(limit)));
    assert_eq!((exit, limits), (0, due.to_vec()));
}

#[test]
fn a_policy_file_that_cannot_be_used_is_a_usage_error_with_its_place() {
    let dir = files();
    for (text, due) in [
        (
            "min-revision = 1\nmin-revison = 2\n",
            &["p.toml: line 2, column 1: unknown field `min-revison`", "`min-revision`", "`no-alarms`"][..],
        ),
        (
            "[severity]\nmin-age = \"warning\"\n",
            &["line 2, column 1: unknown variant `min-age`", "`max-age-content`"],
        ),
        (
            "[severity]\nmin-revision = \"fatal\"\n",
            &["line 2", "unknown variant `fatal`", "`warning`", "`error`"],
        ),
        ("[[required]]\nat-least = 2\n", &["line 1", "either `prefix`, `key` or `kind` is due"]),
        ("[[required]]\nprefix = \"a\"\natleast = 2\n", &["line 3", "unknown field `atleast`", "`at-least`"]),
        ("\n\nmax-age = \"soon\"", &["line 3, column 11", "26h"]),
        ("max-fragmentation = 101", &["line 1", "0 to 100"]),
        ("cluster-id = \"xyz\"", &["line 1", "hex"]),
        ("a = \"\u{1b}[31m\"", &["line 1"]),
        ("\"\\u001b[31m\" = 1", &["line 1, column 1", "\\u{1b}[31m"]),
        ("min-revision = ", &["line 1"]),
    ] {
        fs::write(dir.path().join("p.toml"), text).unwrap();
        let output = coldbolt_in(dir.path(), ["verify", "now.db", "--policy", "p.toml"]);
        let said = output.err;
        assert_eq!((output.code, output.out.len()), (2, 0), "{text}: {said}");
        due.iter().for_each(|due| assert!(said.contains(due), "{text}: no {due} in {said}"));
        assert!(!said.contains('\u{1b}'), "{said:?}");
    }
    fs::write(dir.path().join("p.toml"), b"a = \"\xff\"").unwrap();
    assert!(
        coldbolt_in(dir.path(), ["verify", "now.db", "--policy", "p.toml"])
            .err
            .contains("line 1, column 6: is not UTF-8")
    );
    fs::write(dir.path().join("p.toml"), " ".repeat((1 << 20) + 1)).unwrap();
    for (args, due) in [
        (&["--policy", "p.toml"][..], "more than such a file can have"),
        (&["--policy", "none.toml"], "none.toml"),
        (&["--max-age", "5"], "26h"),
        (&["--trailer", "maybe"], "optional"),
    ] {
        let output = coldbolt_in(dir.path(), [&["verify", "now.db"], args].concat());
        assert_eq!(output.code, 2, "{args:?}");
        assert!(output.err.contains(due), "{args:?}: {}", output.err);
    }
}

#[test]
fn names_from_the_file_reach_no_output_raw() {
    let dir = tempfile::tempdir().unwrap();
    Backup { member: "m\u{1b}[31m\u{9b}", ..Backup::of(1) }.write(&dir.path().join("a.db"));
    let args = [
        "verify",
        "a.db",
        "--members",
        "x",
        "--require-key",
        "k\u{1b}[0m",
        "--junit",
        "j",
        "--sarif",
        "s",
        "--markdown",
        "m",
        "--prometheus",
        "p",
    ];
    let output = coldbolt_in(dir.path(), args);
    let files = ["j", "s", "m", "p"].map(|name| fs::read_to_string(dir.path().join(name)).unwrap());
    for text in [output.text().to_owned(), output.err.clone()].iter().chain(&files) {
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    }
    assert!(output.text().contains("m\\u{1b}[31m\\u{9b}"), "{}", output.text());
}
