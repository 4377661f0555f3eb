//! `coldbolt kube`: how it is asked and how it answers, on databases of real API servers.

use serde_json::Value;
use support::packed::snapshot;
use support::run::Run;
use support::{Input, coldbolt};

/// `kube get` of that file, which it must leave as it is.
fn get(input: &Input, args: &str) -> Run {
    let run = coldbolt(["kube", "get", input.name()].into_iter().chain(args.split_whitespace()));
    input.unchanged();
    run
}

fn json(run: &Run) -> Value {
    serde_json::from_str(run.text()).unwrap_or_else(|error| panic!("{error}: {run}"))
}

#[test]
fn kinds_are_counted_and_what_is_encrypted_goes_with_its_resource() {
    let dir = tempfile::tempdir().unwrap();
    let (plain, encrypted) = (snapshot(dir.path(), "plain-1.37"), snapshot(dir.path(), "encrypted-1.37"));
    let answer = json(&coldbolt(["kube", "kinds", plain.name(), "-w", "json"]));
    let kinds = answer["kinds"].as_array().unwrap();
    assert_eq!(
        (answer["schema"].as_str(), kinds.len(), answer["misplaced"].as_i64()),
        (Some("coldbolt.kube-kinds/1"), 72, Some(0))
    );
    let of = |resource: &str| kinds.iter().find(|kind| kind["resource"] == resource).unwrap();
    assert_eq!((of("pods")["objects"].as_i64(), of("pods")["version"].as_str()), (Some(9), Some("v1")));
    assert_eq!(of("widgets")["encodings"], serde_json::json!({"json": 4}));
    assert!(kinds.iter().all(|kind| kind["undecoded"] == 0 && kind["unknown_fields"] == 0));

    let run = coldbolt(["kube", "kinds", encrypted.name(), "-w", "json"]);
    let answer = json(&run);
    let secrets =
        answer["kinds"].as_array().unwrap().iter().find(|kind| kind["resource"] == "secrets").unwrap();
    assert_eq!((secrets["kind"].as_str(), secrets["undecoded"].as_i64()), (Some("Secret"), Some(23)));
    let table = coldbolt(["kube", "kinds", encrypted.name()]);
    assert!(table.text().contains("gadgets") && table.text().contains("encrypted (aescbc)"), "{table}");
    plain.unchanged();
    encrypted.unchanged();
}

#[test]
fn one_object_is_a_document_and_several_are_a_list_as_kubectl_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "plain-1.37");
    let one = get(&input, "cm/k-cm1 -n every-kind -o yaml");
    assert!(one.text().starts_with("apiVersion: v1\ndata:\n") && one.code == 0, "{one}");
    let list = get(&input, "cm -n every-kind -o yaml");
    let inside: String = one
        .text()
        .lines()
        .enumerate()
        .map(|(n, line)| format!("{}{line}\n", if n == 0 { "- " } else { "  " }))
        .collect();
    let due = format!("apiVersion: v1\nitems:\n{inside}kind: List\nmetadata:\n  resourceVersion: \"\"\n");
    assert_eq!(list.text(), due);
    let due = "apiVersion: v1\nitems: []\nkind: List\nmetadata:\n  resourceVersion: \"\"\n";
    assert_eq!(get(&input, "cm -n nowhere -o yaml").text(), due);
    let empty = "{\n    \"apiVersion\": \"v1\",\n    \"items\": [],\n    \"kind\": \"List\",\n    \"metadata\": {\n        \
                 \"resourceVersion\": \"\"\n    }\n}\n";
    assert_eq!(get(&input, "cm -n nowhere -o json").text(), empty);
    let all = json(&get(&input, "cm -A -o json"));
    assert_eq!(all["items"].as_array().unwrap().len(), 15);
    let lines = get(&input, "all-kinds -o ndjson");
    assert_eq!(lines.text().lines().count(), 516);
    assert_eq!(get(&input, "deploy -A -o name").text().lines().next(), Some("deployment.apps/k-deployment4"));
}

#[test]
fn objects_are_selected_by_name_label_namespace_and_revision() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "plain-1.37");
    let names = |args: &str| {
        get(&input, &format!("{args} -o name")).text().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(
        names("pods pod-olive plain-lotus-river -n team-grove-96"),
        ["pod/plain-lotus-river", "pod/pod-olive"]
    );
    assert_eq!(names("po,svc -n every-kind"), ["pod/k-pod1", "service/k-service1"]);
    assert_eq!(names("namespaces -l kubernetes.io/metadata.name=default"), ["namespace/default"]);
    let before = get(&input, "ns -o name --rev 10");
    assert!(before.text().lines().count() < names("ns").len(), "{before}");
    let missing = get(&input, "cm nothing -n every-kind");
    assert_eq!((missing.code, missing.text()), (1, ""));
    assert!(missing.err.contains("configmaps \"nothing\" not found"), "{missing}");
    let unknown = get(&input, "sprockets");
    assert!(unknown.code == 1 && unknown.err.contains("no kind is called \"sprockets\""), "{unknown}");
    assert_eq!(get(&input, "pods -l a=b,=c").code, 2);
    let none = get(&input, "cronjobs");
    assert!(none.code == 0 && none.err.contains("No resources found in default namespace."), "{none}");
}

#[test]
fn secrets_are_redacted_until_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "plain-1.37");
    let shown = json(&get(&input, "secrets -A -o json --show-secrets"));
    let values: Vec<&str> = shown["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|secret| secret["data"].as_object())
        .flat_map(|data| data.values().filter_map(Value::as_str))
        .filter(|value| value.len() > 8)
        .collect();
    assert!(values.len() > 5);
    for output in ["yaml", "json", "ndjson", "table", "wide", "name"] {
        for stored in ["", " --as-stored", " --deleted"] {
            let run = get(&input, &format!("secrets -A -o {output}{stored}"));
            assert!(values.iter().all(|value| !run.text().contains(value)), "{output}{stored}: {run}");
        }
    }
    // How they are shown is said once, where something was redacted.
    let hint = "--show-secrets shows it";
    let run = get(&input, "secrets -A -o yaml");
    assert!(run.err.matches(hint).count() == 1 && run.err.contains(" Secrets is redacted: "), "{run}");
    for args in ["secrets -A -o yaml --show-secrets", "cm -A -o yaml", "secrets -A", "secrets -A -o name"] {
        let run = get(&input, args);
        assert!(!run.err.contains(hint), "{run}");
    }
    let twice = [(); 2].map(|()| get(&input, "secret/k-secret1 -n every-kind -o yaml").text().to_owned());
    assert!(twice[0].contains("<redacted len:") && twice[0] != twice[1], "hashed with another key each time");
    let plain = [(); 2]
        .map(|()| get(&input, "secret/k-secret1 -n every-kind -o yaml --plain-hashes").text().to_owned());
    assert_eq!(plain[0], plain[1]);
}

#[test]
fn what_is_deleted_is_shown_as_it_was_last() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "plain-1.37");
    let run = get(&input, "all-kinds --deleted -o ndjson --rev 400");
    let deleted: Vec<Value> = run.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!deleted.is_empty(), "{run}");
    for object in &deleted {
        let at: i64 = object["coldbolt"]["deletedAtRevision"].as_i64().unwrap();
        let was: i64 = object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
        assert!(was < at && at <= 400, "{object}");
    }
    let table = get(&input, "cm -A --deleted");
    assert!(table.text().lines().next().unwrap().ends_with("DELETED AT"), "{table}");
    // Made again since: it is not deleted.
    assert!(!table.text().contains("again-thorn-67"), "{table}");
}

#[test]
fn what_is_encrypted_is_named_by_its_key_and_makes_the_answer_inconclusive() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "encrypted-1.37");
    let run = get(&input, "secret/survivor -n vault -o json");
    let secret = json(&run);
    assert_eq!(run.code, 4, "{run}");
    assert_eq!(
        (secret["kind"].as_str(), secret["metadata"]["name"].as_str()),
        (Some("Secret"), Some("survivor"))
    );
    assert_eq!(secret["coldbolt"]["encrypted"], "secretbox:v1:key1");
    assert!(secret.get("apiVersion").is_none());
    let table = get(&input, "secrets -n vault");
    assert!(table.text().contains("(encrypted: aesgcm:v1:gcm.c)"), "{table}");
    // The Leases are encrypted too, so it is another object that tells the time.
    assert!(
        table.err.contains("AGE is counted to 2026-11-28T06:3") && !table.text().contains("<invalid>"),
        "{table}"
    );
    // CBOR is read like the others.
    let gadget = json(&get(&input, "gadgets.crypt.example.com s04-secretbox -n vault -o json"));
    assert_eq!(gadget["spec"]["u"], "😀é");
}

#[test]
fn as_stored_adds_and_converts_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "plain-1.37");
    let stored = json(&get(&input, "crd/planets.olive.example.org -o json --as-stored"));
    assert_eq!(stored["apiVersion"], "apiextensions.k8s.io/v1beta1");
    assert!(
        stored["metadata"].get("resourceVersion").is_none()
            && stored["metadata"].get("managedFields").is_some()
    );
    let served = json(&get(&input, "crd/planets.olive.example.org -o json"));
    assert_eq!(served["apiVersion"], "apiextensions.k8s.io/v1");
    assert!(served["metadata"].get("managedFields").is_none());
    let managed = json(&get(&input, "crd/planets.olive.example.org -o json --show-managed-fields"));
    assert!(managed["metadata"].get("managedFields").is_some());
}
