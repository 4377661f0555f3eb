//! Level `objects`, and rules about Kubernetes objects, on databases of real API servers and on changed ones. Due is
//! what Go's types made of the same values.

use std::collections::BTreeMap;

use serde_json::Value;
use support::packed::{lines, snapshot};
use support::run::Run;
use support::{Input, coldbolt, fixture};

/// What Go decoded, a line a key.
fn recorded(set: &str) -> Vec<Value> {
    lines(&fixture(&format!("kube/{set}/storage.ndjson.gz")))
}

/// How many kubectl listed.
fn listed(resource: &str) -> usize {
    let command = format!("kubectl get {resource} -A");
    let tables = lines(&fixture("kube/plain-1.37/tables.ndjson.gz")).into_iter();
    let table = tables.into_iter().find(|table| table["command"] == *command).unwrap();
    table["output"].as_str().unwrap().lines().count() - 1
}

fn verify(input: &Input, args: &[&str]) -> (Run, Value) {
    let run = coldbolt([&["verify", input.name(), "-w", "json"], args].concat());
    input.unchanged();
    let json = serde_json::from_str(run.text()).unwrap_or_else(|error| panic!("{error}: {run}"));
    (run, json)
}

fn level(answer: &Value) -> (&str, &str) {
    let levels = answer["files"][0]["levels"].as_array().unwrap();
    let level = levels.iter().find(|level| level["level"] == "objects").expect("the level is in the answer");
    (level["outcome"].as_str().unwrap(), level["detail"].as_str().unwrap())
}

#[test]
fn every_object_of_a_real_cluster_passes_and_they_are_as_many_as_go_decoded() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "plain-1.37");
    let (run, answer) = verify(&input, &["--level", "objects"]);
    // What etcdctl counted, and kubectl.
    let due = format!("519 of 519 objects decoded, in {} namespaces", listed("namespaces"));
    assert_eq!((run.code, level(&answer)), (0, ("passed", &*due)));
    let bad: Vec<_> = answer["files"][0]["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| {
            finding["code"].as_str().unwrap().starts_with("object-") && finding["severity"] != "note"
        })
        .collect();
    assert!(bad.is_empty(), "{bad:?}");
}

#[test]
fn what_is_encrypted_is_counted_by_provider_and_makes_the_answer_inconclusive() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "encrypted-1.37");
    let mut due: BTreeMap<String, u64> = BTreeMap::new();
    for line in recorded("encrypted-1.37") {
        if let Some(prefix) = line["encrypted"].as_str().filter(|prefix| !prefix.is_empty()) {
            let provider = prefix.split(':').nth(2).unwrap();
            *due.entry(provider.to_owned()).or_default() += 1;
        }
    }
    let (run, answer) = verify(&input, &["--level", "objects"]);
    let (outcome, detail) = level(&answer);
    assert_eq!((run.code, outcome), (4, "inconclusive"), "{detail}");
    let by = due.iter().map(|(provider, n)| format!("{provider} {n}")).collect::<Vec<_>>().join(", ");
    let all: u64 = due.values().sum();
    let due = format!("; {all} are encrypted and were not looked into ({by})");
    assert!(detail.contains(&due), "{detail}\n{due}");
}

#[test]
fn the_level_is_in_the_answer_only_when_it_is_asked_for_and_means_nothing_without_kubernetes() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "plain-1.37");
    let (run, answer) = verify(&input, &[]);
    assert!(run.code == 0 && !run.text().contains("objects"), "{answer}");
    let other = Input::new(fixture("small-3.5.1/snapshot.db"));
    let (run, answer) = verify(&other, &["--level", "objects"]);
    assert_eq!((run.code, level(&answer).0), (0, "not-applicable"), "{answer}");
    let text = coldbolt(["verify", other.name(), "--level", "objects"]);
    assert!(!text.text().lines().next().unwrap().contains("objects"), "{text}");
}

#[test]
fn a_policy_counts_objects_of_a_kind_and_says_both_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let (plain, encrypted) = (snapshot(dir.path(), "plain-1.37"), snapshot(dir.path(), "encrypted-1.37"));
    // Of the encrypted ones etcdctl listed 27 keys: what is in them no client but the API server reads.
    for (input, n) in [(&plain, listed("secrets")), (&encrypted, 27)] {
        for (at_least, code, word) in [(n, 0, "passed"), (n + 1, 1, "broken")] {
            let policy = dir.path().join("policy.toml");
            std::fs::write(&policy, format!("[[required]]\nkind = \"Secret\"\nat-least = {at_least}\n"))
                .unwrap();
            let (run, answer) = verify(input, &["--policy", policy.to_str().unwrap()]);
            assert_eq!(run.code, code, "{word}: {run}");
            let rule = &answer["files"][0]["policy"][0];
            let due = format!("{n} objects are Secret, at least {at_least} are due");
            assert_eq!((rule["message"].as_str(), rule["keys"].as_str()), (Some(&*due), Some("Secret")));
        }
    }
}

#[test]
fn rules_about_objects_know_names_namespaces_custom_kinds_and_slips() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "plain-1.37");
    let policy = dir.path().join("policy.toml");
    for (rule, code, message) in [
        (
            "[[required]]\nkind = \"cm\"\nnamespace = \"every-kind\"\nname = \"k-cm1\"",
            0,
            "1 objects are cm/k-cm1 in namespace every-kind, at least 1 are due",
        ),
        ("[[required]]\nkind = \"widgets\"\nat-least = 5", 1, "4 objects are widgets, at least 5 are due"),
        ("[[forbidden]]\nkind = \"Widget\"", 1, "4 objects are Widget, at most 0 are due"),
        (
            "[[required]]\nkind = \"Secrte\"",
            1,
            "0 objects are Secrte, at least 1 are due; no kind of Kubernetes or of the file is called that",
        ),
        (
            "[[forbidden]]\nkind = \"Secrte\"",
            4,
            "not measured: no kind of Kubernetes or of the file is called that: Secrte",
        ),
    ] {
        std::fs::write(&policy, rule).unwrap();
        let (run, answer) = verify(&input, &["--policy", policy.to_str().unwrap()]);
        assert_eq!(
            (run.code, answer["files"][0]["policy"][0]["message"].as_str()),
            (code, Some(message)),
            "{rule}"
        );
    }
    // The same by a flag.
    for (kind, code) in [("Widget", 0), ("widgets>=4", 0), ("widgets>=5", 1), ("Secrte", 1), ("cm>=x", 2)] {
        let run = coldbolt(["verify", input.name(), "--require-kind", kind]);
        assert_eq!(run.code, code, "{kind}: {run}");
    }
    std::fs::write(&policy, "[[required]]\nprefix = \"/\"\nnamespace = \"x\"").unwrap();
    let run = coldbolt(["verify", input.name(), "--policy", policy.to_str().unwrap()]);
    assert!(run.code == 2 && run.err.contains("`namespace` and `name` go with `kind`"), "{run}");
}
