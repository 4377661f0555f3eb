//! `kube encryption` beside how recorded clusters were made: which stage wrote what, and how it was encrypted then.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use support::packed::{lines, snapshot, unpacked};
use support::{Input, coldbolt, fixture};

use crate::kube_recorded::{store, versions};

/// The stages in which the cluster was filled, how secrets were encrypted then, and how config maps were.
const STAGES: [(&str, &str, &str); 13] = [
    ("s00-plain", "plain", "plain"),
    ("s01-aescbc-first", "aescbc:v1:key1", "plain"),
    ("s02-aescbc-rotated", "aescbc:v1:key2", "aescbc:v1:key2"),
    ("s03-aescbc-24", "aescbc:v1:2025-q1", "aescbc:v1:2025-q1"),
    ("s04-secretbox", "secretbox:v1:sb1", "secretbox:v1:sb1"),
    ("s05-aesgcm", "aesgcm:v1:key1", "aesgcm:v1:key1"),
    ("s06-aesgcm-same-name-other-key", "aesgcm:v1:key1", "aesgcm:v1:key1"),
    ("s07-aesgcm-16", "aesgcm:v1:gcm-b", "aesgcm:v1:gcm-b"),
    ("s08-aesgcm-24", "aesgcm:v1:gcm.c", "aesgcm:v1:gcm.c"),
    ("s09-kms-a", "kms:v2:kms-fixture key-a", "kms:v2:kms-fixture key-a"),
    ("s10-kms-b", "kms:v2:kms-fixture key-b/2026", "kms:v2:kms-fixture key-b/2026"),
    ("s11-identity-first", "plain", "plain"),
    ("s12-wildcard", NEWEST, NEWEST),
];
const NEWEST: &str = "secretbox:v1:key1";

/// Resource, place, key behind the prefix, protection.
type Due = (&'static str, &'static str, String, String);

/// Every secret and config map that the recipe made, and where it is.
fn made() -> Vec<Due> {
    let mut due = Vec::new();
    for (number, (stage, secrets, maps)) in STAGES.into_iter().enumerate() {
        for n in 0..2 {
            // The only one that was deleted.
            let place = if (stage, n) == ("s01-aescbc-first", 1) { "history" } else { "live" };
            due.push(("secrets", place, format!("secrets/vault/{stage}-{n}"), secrets.to_owned()));
        }
        let place = if number == 12 { "live" } else { "history" };
        due.push(("secrets", place, "secrets/vault/survivor".to_owned(), secrets.to_owned()));
        due.push(("configmaps", "live", format!("configmaps/vault/{stage}"), maps.to_owned()));
    }
    let (old, new) = (STAGES[2].1.to_owned(), STAGES[9].1.to_owned());
    due.push(("secrets", "history", "secrets/other/phoenix".to_owned(), old));
    due.push(("secrets", "live", "secrets/other/phoenix".to_owned(), new));
    // The server's own, before the first stage.
    for name in ["extension-apiserver-authentication", "kube-apiserver-legacy-service-account-token-tracking"]
    {
        due.push(("configmaps", "live", format!("configmaps/kube-system/{name}"), "plain".to_owned()));
    }
    due
}

fn protection(row: &Value) -> String {
    if row["protection"] == "plain" {
        return "plain".to_owned();
    }
    assert_eq!(row["protection"], "encrypted", "{row}");
    let text = |name: &str| row[name].as_str().unwrap_or_default();
    let all = format!("{}:{}:{} {}", text("provider"), text("version"), text("name"), text("kms_key"));
    all.trim_end().to_owned()
}

fn answer(input: &Input, more: &[&str]) -> Value {
    let run = coldbolt([&["kube", "encryption", input.name(), "-w", "json", "--all"], more].concat());
    input.unchanged();
    assert_eq!(run.code, 0, "{run}");
    run.json()
}

/// The values that are told to be left, without the key's prefix, sorted.
fn left(answer: &Value) -> Vec<(String, String, String, String)> {
    let mut found = Vec::new();
    for resource in answer["resources"].as_array().unwrap() {
        for value in resource["values_left"].as_array().unwrap() {
            let text = |name: &str| value[name].as_str().unwrap().to_owned();
            let key = text("key").strip_prefix("/registry/").unwrap().to_owned();
            let resource = resource["resource"].as_str().unwrap().to_owned();
            found.push((resource, text("place"), key, protection(value)));
        }
    }
    found.sort();
    found
}

#[test]
fn what_is_plain_or_under_an_older_key_is_what_the_recipe_left() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "encrypted-1.37");
    let answer = answer(&input, &["--only", "Secret,cm"]);
    let all = made();
    let mut due: Vec<_> = all
        .iter()
        .filter(|(.., protection)| protection != NEWEST)
        .map(|(resource, place, key, by)| {
            ((*resource).to_owned(), (*place).to_owned(), key.clone(), by.clone())
        })
        .collect();
    due.sort();
    assert_eq!(left(&answer), due);
    let mut sums: BTreeMap<(String, String), [u64; 3]> = BTreeMap::new();
    for (resource, place, _, by) in all {
        let place = ["live", "history"].iter().position(|name| *name == place).unwrap();
        sums.entry((resource.to_owned(), by)).or_default()[place] += 1;
    }
    let mut told = BTreeMap::new();
    for resource in answer["resources"].as_array().unwrap() {
        assert_eq!(protection(&resource["under"][0]), NEWEST, "{resource:#}");
        for row in resource["under"].as_array().unwrap() {
            let counts = ["live", "history", "free"].map(|name| row[name].as_u64().unwrap());
            told.insert((resource["resource"].as_str().unwrap().to_owned(), protection(row)), counts);
        }
    }
    assert_eq!(told, sums);
}

#[test]
fn the_newest_write_under_each_key_is_that_of_the_record() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "encrypted-1.37");
    let answer = answer(&input, &[]);
    // By what a real API server's own transformers took off: the name, without what only KMS tells.
    let mut newest: BTreeMap<String, i64> = BTreeMap::new();
    for file in ["storage", "history"] {
        for line in lines(&fixture(&format!("kube/encrypted-1.37/{file}.ndjson.gz"))) {
            let (Some(key), Some(revision)) = (line["key"].as_str(), line["mod_revision"].as_i64()) else {
                continue;
            };
            if key.starts_with("/registry/secrets/") && line["deleted"] != true {
                let by = line["encrypted"].as_str().unwrap_or("plain").to_owned();
                newest.entry(by).and_modify(|last| *last = revision.max(*last)).or_insert(revision);
            }
        }
    }
    let resources = answer["resources"].as_array().unwrap();
    let secrets = resources.iter().find(|resource| resource["resource"] == "secrets").unwrap();
    let mut told: BTreeMap<String, i64> = BTreeMap::new();
    let mut times = Vec::new();
    for row in secrets["under"].as_array().unwrap() {
        let by = protection(row);
        let by = if by == "plain" { by } else { format!("k8s:enc:{}:", by.split(' ').next().unwrap()) };
        let revision = row["newest"]["revision"].as_i64().unwrap();
        told.entry(by).and_modify(|last| *last = revision.max(*last)).or_insert(revision);
        times.push((revision, row["newest"]["not_before"].as_str().unwrap().to_owned()));
    }
    // Plain last was the rewrite in the stage with identity first, which the pick does not have.
    newest.insert("plain".to_owned(), 394);
    assert_eq!(told, newest);
    // A later write was not before an earlier one; the recording took a minute and a half.
    times.sort();
    assert!(times.is_sorted_by(|a, b| a.1 <= b.1), "{times:?}");
    let span = [times.first().unwrap(), times.last().unwrap()].map(|(_, time)| time.as_str());
    assert!(span[0] > "2026-11-28T06:34:00Z" && span[1] < "2026-11-28T06:37:00Z", "{span:?}");
}

#[test]
fn a_deleted_value_is_found_in_free_pages_where_its_bytes_still_are() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = unpacked(&fixture("kube/encrypted-1.37/deleted.db.gz"));
    let before = versions(&store(&fixture("kube/encrypted-1.37")));
    let deleted = |key: &str| {
        let name = key.rsplit('/').next().unwrap();
        ["s00-plain", "s01-aescbc-first", "s11-identity-first-0", "s11-identity-first-1", "phoenix"]
            .contains(&name)
            && (name != "s01-aescbc-first" || key.contains("/configmaps/"))
            || key.contains("/secrets/vault/s00-plain-")
    };
    // What etcd compacted or deleted is in no tree: where the file has the bytes, a free page has them.
    let newest: BTreeMap<&str, i64> =
        before.keys().map(|(key, revision)| (key.as_str(), *revision)).collect();
    let wanted =
        |key: &str| key.starts_with("/registry/secrets/") || key.starts_with("/registry/configmaps/");
    let mut due = BTreeSet::new();
    let mut gone = 0;
    for ((key, revision), value) in before.iter().filter(|((key, _), _)| wanted(key)) {
        let Some(value) = value.as_ref().filter(|_| newest[key.as_str()] != *revision || deleted(key)) else {
            continue;
        };
        if holds(&bytes, value) {
            due.insert((key.clone(), *revision, !value.starts_with(b"k8s:enc:")));
        } else {
            gone += 1;
        }
    }
    let plain = due.iter().filter(|(key, _, plain)| *plain && key.contains("/secrets/")).count();
    assert!(plain == 6 && due.len() > 15, "{gone} {due:#?}");

    let input = Input::write(dir.path(), "deleted.db", &bytes);
    let answer = answer(&input, &["--only", "secrets,configmaps"]);
    let mut told = BTreeSet::new();
    for value in
        answer["resources"].as_array().unwrap().iter().flat_map(|r| r["values_left"].as_array().unwrap())
    {
        if value["place"] == "free" {
            let key = value["key"].as_str().unwrap().to_owned();
            told.insert((key, value["revision"].as_i64().unwrap(), value["protection"] == "plain"));
        }
        assert_ne!(value["place"], "history", "all of it was compacted");
    }
    assert_eq!(told, due);
    assert_eq!(answer["free_pages"]["values"], due.len());

    // A file that is written anew has none of it.
    let new = dir.path().join("new.db");
    let run = coldbolt(["defrag", input.name(), "-o", new.to_str().unwrap()]);
    assert_eq!(run.code, 0, "{run}");
    let clean = coldbolt(["kube", "encryption", new.to_str().unwrap(), "-w", "json"]).json();
    assert_eq!(clean["free_pages"]["values"], 0, "{clean:#}");
    assert!(left(&clean).iter().all(|(_, place, ..)| place == "live"));
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    let (first, last) = (part[0], part[part.len() - 1]);
    let ends = |window: &&[u8]| window[0] == first && window[window.len() - 1] == last;
    bytes.windows(part.len()).filter(ends).any(|window| window == part)
}

#[test]
fn the_list_is_bounded_until_all_of_it_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "encrypted-1.37");
    let run = coldbolt(["kube", "encryption", input.name(), "--only", "secrets"]);
    // Of the 41 secrets three are under the newest key.
    assert!(
        run.text().contains("\nsecrets, not protected as the newest write (secretbox:v1:key1): 38\n"),
        "{run}"
    );
    assert!(run.text().contains("\n  and 18 more; --all lists them\n"), "{run}");
    let all = coldbolt(["kube", "encryption", input.name(), "--only", "secrets", "--all"]);
    assert_eq!(all.text().matches("  /registry/secrets/").count(), 38, "{all}");
    assert!(!all.text().contains("--all"), "{all}");
    // Plain ones first.
    let first = all.text().lines().find(|line| line.contains("/registry/secrets/")).unwrap();
    assert!(first.ends_with("  plain"), "{first}");
    let slip = coldbolt(["kube", "encryption", input.name(), "--only", "secrts"]);
    assert!(slip.code == 4 && slip.err.contains("called secrts"), "{slip}");
    let astray = coldbolt(["kube", "encryption", input.name(), "--etcd-prefix", "/elsewhere"]);
    assert!(astray.code == 4 && astray.out.is_empty(), "{astray}");
    let none = coldbolt(["kube", "encryption", fixture("small-3.5.1/snapshot.db").to_str().unwrap()]);
    assert!(none.code == 4 && none.out.is_empty(), "{none}");
    input.unchanged();
}

#[test]
fn a_plain_cluster_has_nothing_left_and_a_damaged_one_is_told_as_far_as_it_can_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "plain-1.37");
    let answer = answer(&input, &[]);
    assert!(left(&answer).is_empty());
    let rows = answer["resources"].as_array().unwrap();
    assert!(rows.len() > 60 && rows.iter().all(|row| row["under"].as_array().unwrap().len() == 1));
    let mut bytes = std::fs::read(input.name()).unwrap();
    // The header of a leaf page.
    bytes[20 * 4096] ^= 1;
    let damaged = Input::write(dir.path(), "damaged.db", &bytes);
    let refused = coldbolt(["kube", "encryption", damaged.name()]);
    assert!(refused.code == 1 && refused.out.is_empty() && refused.err.contains("page 20 "), "{refused}");
    let more = coldbolt(["kube", "encryption", damaged.name(), "--allow-damage"]);
    assert!(more.code == 1 && more.text().contains("\nsecrets "), "{more}");
}

#[test]
fn what_a_kms_wrapped_is_told_as_it_was_asked_for_and_makes_a_line_of_plain_keys() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "encrypted-1.37");
    let told = answer(&input, &["--wrapped"]);
    let found: BTreeSet<(String, String)> = told["wrapped"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            assert_eq!((&one["version"], &one["source"]), (&"v2".into(), &"seed".into()), "{one}");
            let text = |name: &str| one[name].as_str().unwrap().to_owned();
            (text("kms_key"), text("wrapped"))
        })
        .collect();
    // What the plugin of the recorded cluster was asked to wrap, as far as it was used.
    let lines = std::fs::read_to_string(fixture("kube/encrypted-1.37/kms-keys")).unwrap();
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let asked: BTreeSet<_> =
        lines.lines().map(words).map(|words| (words[0].clone(), words[2].clone())).collect();
    assert!(found.len() > 2 && found.is_subset(&asked), "{found:?}");
    assert_eq!(told["wrapped_beyond"], 0);
    // As many values as are by KMS.
    let sum =
        |all: &Value| ["live", "history", "free"].map(|name| all[name].as_u64().unwrap()).iter().sum::<u64>();
    let by_kms =
        told["resources"].as_array().unwrap().iter().flat_map(|one| one["under"].as_array().unwrap());
    let by_kms: u64 = by_kms.filter(|row| row["provider"] == "kms").map(sum).sum();
    assert_eq!(told["wrapped"].as_array().unwrap().iter().map(sum).sum::<u64>(), by_kms);
    // For people, and only when asked for.
    let table = coldbolt(["kube", "encryption", input.name(), "--wrapped"]);
    assert!(found.iter().all(|(_, wrapped)| table.text().contains(wrapped)), "{table}");
    assert!(answer(&input, &[]).get("wrapped").is_none());
}

#[test]
fn one_namespace_is_told_of_alone_and_one_that_nothing_is_in_is_no_answer() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "encrypted-1.37");
    let told = answer(&input, &["--only", "secrets", "-n", "other"]);
    let keys: BTreeSet<_> = left(&told).into_iter().map(|(_, _, key, _)| key).collect();
    assert_eq!(keys, BTreeSet::from(["secrets/other/phoenix".to_owned()]));
    let run = coldbolt(["kube", "encryption", input.name(), "-n", "nosuch"]);
    run.says(4, &["no object that was asked for is in the namespace nosuch"]);
    assert!(run.out.is_empty(), "{run}");
}
