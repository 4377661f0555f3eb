//! What changed in objects, beside what Go's own types made of every stored version of real API servers.

use std::collections::{BTreeMap, BTreeSet};

use coldbolt::kube::changes::fields::field_diff;
use coldbolt::kube::decode::Object;
use serde_json::{Value, json};
use support::field_delta::apply;
use support::packed::{lines, snapshot, unpacked};
use support::{Input, coldbolt};

use crate::kube_recorded::{clusters, store, versions};

/// Makes the second object of the first, by what is said to differ.
fn remade(before: &Value, after: &Value) -> Value {
    let mut made = before.clone();
    field_diff(before.as_object().unwrap(), after.as_object().unwrap(), &mut |path, delta| {
        apply(&mut made, path, &delta);
    });
    made
}

#[test]
fn what_differs_between_two_versions_makes_the_second_of_the_first() {
    for dir in clusters() {
        let mut by_key: BTreeMap<String, Vec<(i64, Value)>> = BTreeMap::new();
        for name in ["storage", "history"] {
            for line in lines(&dir.join(format!("{name}.ndjson.gz"))) {
                if line["storage_json"].is_object() {
                    let key = line["key"].as_str().unwrap().to_owned();
                    let at = line["mod_revision"].as_i64().unwrap();
                    by_key.entry(key).or_default().push((at, line["storage_json"].clone()));
                }
            }
        }
        // All that the database holds, of which these are a pick.
        for ((key, at), value) in versions(&store(&dir)) {
            if let Some(Ok(object)) = value.as_deref().map(Object::decode) {
                by_key.entry(key).or_default().push((at, object.json.into()));
            }
        }
        let (mut pairs, mut other) = (0, None);
        for (key, mut all) in by_key {
            all.sort_by_key(|(at, _)| *at);
            for pair in all.windows(2) {
                let (a, b) = (&pair[0].1, &pair[1].1);
                assert_eq!(remade(a, b), *b, "{key} {} -> {}", pair[0].0, pair[1].0);
                assert_eq!(remade(b, a), *a, "{key} {} -> {}", pair[1].0, pair[0].0);
                pairs += usize::from(a != b);
            }
            // Objects that have less in common.
            let (_, object) = all.pop().unwrap();
            if let Some(other) = other.replace(object.clone()) {
                assert_eq!(remade(&other, &object), object, "{key} of the one before it");
                assert_eq!(remade(&object, &other), other, "{key} to the one before it");
            }
        }
        eprintln!("{}: {pairs} pairs of versions that differ", dir.display());
        assert!(pairs >= 20, "{}: {pairs}", dir.display());
    }
}

/// Without what is noise.
fn quiet(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("managedFields");
        metadata.remove("generation");
    }
    if let Some(status) = object.get_mut("status").and_then(Value::as_object_mut) {
        status.remove("observedGeneration");
        for condition in status.get_mut("conditions").and_then(Value::as_array_mut).into_iter().flatten() {
            let condition = condition.as_object_mut().unwrap();
            for name in ["observedGeneration", "lastHeartbeatTime", "lastProbeTime"] {
                condition.remove(name);
            }
        }
    }
    object
}

/// Group, kind, namespace and name.
fn who(api_version: &Value, kind: &Value, namespace: &Value, name: &Value) -> [String; 4] {
    let group = api_version.as_str().unwrap().rsplit_once('/').map_or("", |(group, _)| group);
    [group, kind.as_str().unwrap(), namespace.as_str().unwrap_or_default(), name.as_str().unwrap()]
        .map(str::to_owned)
}

type Versions = BTreeMap<(String, i64), Option<Vec<u8>>>;
type Recorded = BTreeMap<String, BTreeMap<i64, Value>>;

/// What lay under a key at a revision, as Go's types decoded it, if that was recorded; `Some(None)` is nothing.
fn at<'r>(stored: &Versions, recorded: &'r Recorded, key: &str, revision: i64) -> Option<Option<&'r Value>> {
    let newest = stored.range((key.to_owned(), 0)..=(key.to_owned(), revision)).next_back();
    match newest {
        None | Some((_, None)) => Some(None),
        Some(((_, at), Some(_))) => recorded[key].get(at).map(Some),
    }
}

#[test]
fn objects_differ_as_those_that_gos_types_decoded_do() {
    for dir in clusters() {
        let temp = tempfile::tempdir().unwrap();
        let input = Input::write(temp.path(), "snapshot.db", &unpacked(&dir.join("snapshot.db.gz")));
        let stored = versions(&store(&dir));
        let mut recorded = Recorded::new();
        for name in ["storage", "history"] {
            for line in lines(&dir.join(format!("{name}.ndjson.gz"))) {
                let key = line["key"].as_str().unwrap().to_owned();
                recorded.entry(key).or_default().insert(line["mod_revision"].as_i64().unwrap(), line);
            }
        }
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for (from, to) in
            [(200, 396), (392, 394), (393, 396), (396, 392), (420, 250), (449, 700), (475, 567), (562, 496)]
        {
            if stored.keys().all(|(_, at)| *at < from.max(to)) {
                continue;
            }
            let (from_rev, to_rev) = (from.to_string(), to.to_string());
            let args = ["kube", "diff", input.name(), "--from-rev", &from_rev, "--to-rev", &to_rev];
            let run = coldbolt(args.into_iter().chain(["-w", "json"]));
            let answer: Value = serde_json::from_str(run.text()).unwrap();
            let found: BTreeMap<[String; 4], &Value> = answer["differences"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|found| found["api_version"] != "")
                .map(|f| (who(&f["api_version"], &f["kind"], &f["namespace"], &f["name"]), f))
                .collect();
            for key in recorded.keys() {
                let state = |revision| at(&stored, &recorded, key, revision);
                let (Some(a), Some(b)) = (state(from), state(to)) else { continue };
                let Some(object) = b.or(a) else { continue };
                // What is encrypted is named by its key.
                let readable =
                    |line: &&Value| line["storage_json"].is_object() && line["encrypted"].is_null();
                if [a, b].iter().flatten().any(|line| !readable(line)) {
                    continue;
                }
                let object = &object["storage_json"];
                let metadata = &object["metadata"];
                if metadata["name"].as_str().is_none_or(str::is_empty) || object["kind"] == "RangeAllocation"
                {
                    continue;
                }
                let uid = |line: &Value| line["storage_json"]["metadata"]["uid"].clone();
                let due = match (a, b) {
                    _ if ["Lease", "Event"].contains(&object["kind"].as_str().unwrap()) => None,
                    (None, Some(_)) => Some("added"),
                    (Some(_), None) => Some("removed"),
                    (Some(a), Some(b)) if uid(a) != uid(b) => Some("recreated"),
                    (Some(a), Some(b)) if quiet(&a["storage_json"]) != quiet(&b["storage_json"]) => {
                        Some("changed")
                    }
                    _ => None,
                };
                let name =
                    who(&object["apiVersion"], &object["kind"], &metadata["namespace"], &metadata["name"]);
                let ours = found.get(&name).map(|found| found["difference"].as_str().unwrap());
                assert_eq!(ours, due, "{key} from {from} to {to}");
                if let (Some(found), Some(a), Some(b)) = (found.get(&name), a, b) {
                    assert_eq!((&found["before"]["uid"], &found["after"]["uid"]), (&uid(a), &uid(b)));
                }
                *seen.entry(due.unwrap_or("same")).or_default() += 1;
            }
            // What is encrypted and was written again says nothing.
            let plain = |f: &&Value| f["difference"] != "changed" || f["changes"].is_array();
            let all = answer["differences"].as_array().unwrap();
            let due = if all.iter().any(|f| plain(&f)) { 1 } else { 4 * i32::from(!all.is_empty()) };
            assert_eq!(run.code, due, "{from} {to}: {}", run.err);
        }
        eprintln!("{}: {seen:?}", dir.display());
        let seen = |what| seen.get(what).copied().unwrap_or_default();
        assert!(seen("added") > 0 && seen("same") > 5);
        if dir.ends_with("plain-1.37") {
            assert!(["added", "removed", "changed"].iter().all(|what| seen(what) >= 3));
            // What was deleted and made again is not in the pick.
            assert!(dir.starts_with(support::fixture("kube")) || seen("recreated") >= 2);
        }
        input.unchanged();
    }
}

/// The answer of a command on the plain cluster, in JSON.
fn answer(input: &Input, args: &str) -> Value {
    let mut words = args.split(' ');
    let command = ["kube", words.next().unwrap(), input.name()];
    let run = coldbolt(command.into_iter().chain(words).chain(["-w", "json"]));
    serde_json::from_str(run.text()).unwrap_or_else(|error| panic!("{error}: {run}"))
}

#[test]
fn noise_is_left_out_counted_by_rule_and_told_when_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "plain-1.37");
    let stored = versions(&crate::kube_recorded::store(&support::fixture("kube/plain-1.37")));
    let moved = |prefix: &str, from: i64, to: i64| {
        let state = |until: i64| {
            let mut state = BTreeMap::new();
            for ((key, at), value) in
                stored.iter().filter(|((key, at), _)| key.starts_with(prefix) && *at <= until)
            {
                state.insert(key.clone(), (value.is_some()).then_some(*at));
            }
            state.into_iter().filter(|(_, at)| at.is_some()).collect::<BTreeSet<_>>()
        };
        let (a, b) = (state(from), state(to));
        a.symmetric_difference(&b).map(|(key, _)| key.clone()).collect::<BTreeSet<_>>().len()
    };
    let quiet = answer(&input, "diff --from-rev 439 --to-rev 578");
    assert_eq!(quiet["report"]["left_out"]["leases"], moved("/registry/leases/", 439, 578));
    assert_eq!(quiet["report"]["left_out"]["events"], moved("/registry/events/", 439, 578));
    let kinds = |answer: &Value| {
        let all = answer["differences"].as_array().unwrap().iter();
        all.map(|found| found["kind"].as_str().unwrap().to_owned()).collect::<BTreeSet<_>>()
    };
    assert!(!kinds(&quiet).contains("Lease") && !kinds(&quiet).contains("Event"));
    let told = answer(&input, "diff --from-rev 439 --to-rev 578 --with leases,events");
    assert!(kinds(&told).contains("Lease") && kinds(&told).contains("Event"));
    // A kind that is asked for by its name is no noise.
    let leases = answer(&input, "diff --from-rev 439 --to-rev 578 --kind leases");
    assert_eq!(leases["differences"].as_array().unwrap().len(), moved("/registry/leases/", 439, 578));

    let of = |answer: &Value| -> Vec<String> {
        let all = answer["differences"].as_array().unwrap();
        assert_eq!(all.len(), 1);
        let paths = all[0]["changes"].as_array().unwrap().iter();
        paths.map(|change| change["path"].as_str().unwrap().to_owned()).collect()
    };
    let one = "diff --from-rev 576 --to-rev 578 --kind deploy/dep-amber -n team-amber";
    let quiet = answer(&input, one);
    assert_eq!(of(&quiet), ["spec.replicas", "spec.template.spec.containers[0].image"]);
    let left_out = quiet["report"]["left_out"].as_object().unwrap();
    assert_eq!(left_out["resource-version"], 1);
    assert_eq!(left_out["generation"], 1);
    let all = of(&answer(&input, &format!("{one} --all-fields")));
    assert!(
        all.contains(&"metadata.generation".to_owned())
            && all.contains(&"metadata.resourceVersion".to_owned())
    );
    assert!(all.iter().any(|path| path.starts_with("metadata.managedFields[")));
    let hidden: u64 = left_out.values().map(|n| n.as_u64().unwrap()).sum();
    assert_eq!(all.len() as u64, 2 + hidden);
}

#[test]
fn a_diff_is_of_what_is_chosen_and_its_exit_code_says_whether_there_is_any() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "plain-1.37");
    let other =
        Input::write(dir.path(), "other.db", &unpacked(&support::fixture("kube/plain-1.37/snapshot.db.gz")));
    let names = |args: &str| -> Vec<String> {
        let answer = answer(&input, args);
        let all = answer["differences"].as_array().unwrap().iter();
        all.map(|f| format!("{} {}", f["difference"].as_str().unwrap(), f["name"].as_str().unwrap()))
            .collect()
    };
    assert_eq!(
        names("diff --from-rev 392 --to-rev 398 --kind cm -n team-umber"),
        ["recreated again-thorn-67"],
        "made again twice; another one came and went"
    );
    assert_eq!(names("diff --from-rev 392 --to-rev 398 --kind cm/gone-jade-95"), [""; 0]);
    assert_eq!(names("diff --from-rev 392 --to-rev 397 --kind cm/gone-jade-95"), ["added gone-jade-95"]);
    assert_eq!(names("diff --from-rev 397 --to-rev 398 --kind cm"), ["removed gone-jade-95"]);
    assert_eq!(names("diff --from-rev 576 --to-rev 577 -l touched=true"), ["changed dep-amber"]);
    assert_eq!(names("diff --from-rev 576 --to-rev 577 -l touched!=true"), [""; 0]);
    let same = coldbolt(["kube", "diff", input.name(), other.name()]);
    assert_eq!(same.code, 0, "{same}");
    assert!(same.text().contains("\n0 added, 0 removed, 0 changed, 0 recreated\n"), "{same}");
    let differ = coldbolt(["kube", "diff", input.name(), other.name(), "--to-rev", "400"]);
    assert_eq!(differ.code, 1);
    assert!(differ.text().contains("\n- secret/sec-lotus-54 -n team-umber  (revision 401)\n"), "{differ}");
    // Nothing differs in a namespace that is in neither.
    let nowhere = coldbolt(["kube", "diff", input.name(), other.name(), "-n", "nosuch"]);
    nowhere.says(4, &["no object is in the namespace nosuch on either side"]);
    let here = coldbolt(["kube", "diff", input.name(), other.name(), "-n", "team-umber", "-o", "json"]);
    assert!(here.code == 0 && here.json()["differences"] == serde_json::json!([]), "{here}");
    assert_eq!(coldbolt(["kube", "diff", input.name()]).code, 2);
    assert_eq!(coldbolt(["kube", "diff", input.name(), other.name(), "--with", "nothing"]).code, 2);
    input.unchanged();
    other.unchanged();
}

#[test]
fn what_is_encrypted_differs_by_its_bytes_and_makes_a_diff_inconclusive_if_nothing_else_does() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "encrypted-1.37");
    let run = coldbolt([
        "kube",
        "diff",
        input.name(),
        "--from-rev",
        "394",
        "--to-rev",
        "413",
        "--kind",
        "secret/survivor",
        "-n",
        "vault",
        "-w",
        "json",
    ]);
    assert_eq!(run.code, 4, "{run}");
    let found: Value = serde_json::from_str(run.text()).unwrap();
    assert_eq!(found["report"]["undecoded"], 1);
    assert_eq!(found["differences"][0]["after"]["undecoded"], "encrypted: secretbox:v1:key1");
    assert!(found["differences"][0]["changes"].is_null());
    // Whether it has a label is not known.
    let between = ["--from-rev", "394", "--to-rev", "413", "--kind", "secret/survivor", "-n", "vault"];
    let run = coldbolt([&["kube", "diff", input.name(), "-l", "no=such"][..], &between].concat());
    assert_eq!(run.code, 4, "{run}");
    let told = "1 that differ could not be decoded: whether they are selected is not known";
    assert!(run.text().contains(told), "{run}");
    let run = coldbolt(["kube", "history", input.name(), "secret/survivor", "-n", "vault"]);
    run.says(4, &["versions could not be decoded"]);
    input.unchanged();
}

#[test]
fn a_history_tells_each_version_who_wrote_it_and_what_it_changed() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "plain-1.37");
    let history = answer(&input, "history deploy/dep-amber -n team-amber");
    let versions = history["versions"].as_array().unwrap();
    let writers: Vec<Value> = versions
        .iter()
        .map(|v| {
            let writers = v["writers"].as_array().unwrap().iter();
            writers.map(|w| json!([w["manager"], w["operation"], w["subresource"]])).collect()
        })
        .collect();
    // As kubectl was used on it: created, its status patched, labelled, patched twice in one second.
    assert_eq!(
        writers,
        [
            json!([["kubectl-create", "Update", null]]),
            json!([["kubectl-patch", "Update", "status"]]),
            json!([["kubectl-label", "Update", null]]),
            json!([["kubectl-patch", "Update", null]]),
            json!([["kubectl-patch", "Update", null]]),
        ]
    );
    assert_eq!(
        versions[3]["changes"],
        json!([{"path": "spec.replicas", "kind": "changed", "before": 1, "after": 0}])
    );
    assert_eq!((&versions[3]["version"], &versions[3]["create_revision"]), (&json!(4), &json!(439)));
    assert_eq!(versions[0]["not_before"], "2026-11-28T06:34:34Z");

    let again = answer(&input, "history cm again-thorn-67 -n team-umber");
    let lives: Vec<Value> = again["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| json!([v["revision"], v["change"], v["changes"].as_array().map(Vec::len)]))
        .collect();
    let due = [
        json!([392, "created", null]),
        json!([393, "deleted", null]),
        json!([394, "recreated", 2]),
        json!([395, "deleted", null]),
        json!([396, "recreated", 2]),
    ];
    assert_eq!(lives, due);
    let until = answer(&input, "history cm again-thorn-67 -n team-umber --rev 394");
    assert_eq!(until["versions"].as_array().unwrap().len(), 3);
    let none = coldbolt(["kube", "history", input.name(), "cm", "nothing"]);
    assert_eq!((none.code, none.text()), (1, ""));
    assert!(none.err.contains("configmaps \"nothing\" not found in namespace default"), "{none}");
    assert_eq!(coldbolt(["kube", "history", input.name(), "cm"]).code, 2);
    assert_eq!(coldbolt(["kube", "history", input.name(), "cm,po", "x"]).code, 2);
    input.unchanged();
}

#[test]
fn every_stored_version_of_an_object_is_in_its_history_with_the_uid_that_gos_types_read() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "plain-1.37");
    let mut due: BTreeMap<[String; 4], BTreeMap<i64, Value>> = BTreeMap::new();
    for name in ["storage", "history"] {
        for line in lines(&support::fixture(&format!("kube/plain-1.37/{name}.ndjson.gz"))) {
            let object = &line["storage_json"];
            if object["metadata"]["uid"].as_str().is_some_and(|uid| !uid.is_empty()) {
                let metadata = &object["metadata"];
                let who =
                    who(&object["apiVersion"], &object["kind"], &metadata["namespace"], &metadata["name"]);
                let at = line["mod_revision"].as_i64().unwrap();
                due.entry(who).or_default().insert(at, metadata["uid"].clone());
            }
        }
    }
    due.retain(|_, versions| versions.len() > 1);
    assert!(due.len() >= 5, "{due:?}");
    for ([group, kind, namespace, name], versions) in &due {
        let kind = if group.is_empty() { kind.clone() } else { format!("{kind}.{group}") };
        let namespace = if namespace.is_empty() { "default" } else { namespace };
        let found = answer(&input, &format!("history {kind} {name} -n {namespace}"));
        let ours: BTreeMap<i64, Value> = found["versions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|version| (version["revision"].as_i64().unwrap(), version["uid"].clone()))
            .collect();
        for (at, uid) in versions {
            assert_eq!(ours.get(at), Some(uid), "{kind} {name} at {at}");
        }
    }
}

#[test]
fn secrets_are_redacted_in_what_changed_and_a_hash_tells_that_they_did() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "plain-1.37");
    let command = "history secret/rot-zinc-amber -n team-umber";
    let shown = answer(&input, &format!("{command} --show-secrets"));
    let mut values = BTreeSet::new();
    for change in shown["versions"].as_array().unwrap().iter().flat_map(|v| v["changes"].as_array()).flatten()
    {
        for side in ["before", "after"] {
            values.insert(change[side].as_str().unwrap().to_owned());
        }
    }
    assert!(values.len() >= 8, "{values:?}");
    for command in [command, "diff --from-rev 409 --to-rev 412 --kind secrets"] {
        for form in ["simple", "json", "ndjson"] {
            let mut words = command.split(' ');
            let head = ["kube", words.next().unwrap(), input.name()];
            let run = coldbolt(head.into_iter().chain(words).chain(["-w", form, "--all-fields"]));
            assert!(values.iter().all(|value| !run.text().contains(&**value)), "{run}");
            assert!(run.text().contains("<redacted len:10 sha256:"), "{run}");
        }
    }
    let redacted = answer(&input, command);
    let changed: Vec<&Value> = redacted["versions"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|v| v["changes"].as_array())
        .flatten()
        .collect();
    assert!(changed.iter().any(|change| change["path"] == "data.v" && change["before"] != change["after"]));
    input.unchanged();
}
