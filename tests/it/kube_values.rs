//! The commands about keys and logs, where a value is a Kubernetes object: beside what kubectl and Go's own types made of
//! it.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use support::packed::{lines, snapshot};
use support::trio::put;
use support::{Input, Run, coldbolt, fixture};

use crate::kube_recorded::{store, versions};
use crate::replay_time::with_log;

const SECRET: &str = "/registry/secrets/every-kind/k-secret1";

fn run(input: &Input, command: &str) -> Run {
    let mut words = command.split(' ');
    let run = coldbolt([words.next().unwrap(), input.name()].into_iter().chain(words));
    input.unchanged();
    run
}

fn ndjson(run: &Run) -> Vec<Value> {
    run.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What lies under that key last.
fn stored(key: &str) -> Vec<u8> {
    let all = versions(&store(&fixture("kube/plain-1.37")));
    all.range((key.to_owned(), 0)..=(key.to_owned(), i64::MAX)).next_back().unwrap().1.clone().unwrap()
}

/// The values of a Secret as they are stored, in a shell's eyes, and in base64.
fn told(run: &Run, secret: &[u8]) -> bool {
    let text = BASE64_STANDARD.encode(secret);
    run.text().contains(&text) || run.text().contains(std::str::from_utf8(secret).unwrap())
}

#[test]
fn get_prints_a_decoded_object_as_kubectl_does() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "plain-1.37");
    let all = run(&input, "get --prefix /registry/ --decode --show-secrets -w ndjson");
    let mut found = BTreeMap::new();
    for line in ndjson(&all) {
        let key = BASE64_STANDARD.decode(line["key"].as_str().unwrap()).unwrap();
        assert!(line["object"].is_null() || line["value"].is_null(), "{line}");
        found.insert(String::from_utf8(key).unwrap(), line);
    }
    let mut compared = 0;
    for due in lines(&fixture("kube/plain-1.37/kubectl.ndjson.gz")) {
        let key = due["key"].as_str().unwrap();
        if found[key]["mod_revision"] != due["mod_revision"] {
            continue;
        }
        let kubectl: Value = serde_json::from_str(due["json"].as_str().unwrap()).unwrap();
        assert_eq!(found[key]["object"], kubectl, "{key}");
        compared += 1;
        if let (true, Some(yaml)) = (compared % 8 == 0, due["yaml"].as_str()) {
            let words = format!("get {key} --decode --show-secrets");
            assert_eq!(run(&input, &words).text(), format!("{key}\n{yaml}"));
            assert_eq!(run(&input, &format!("{words} --print-value-only")).text(), yaml);
        }
    }
    assert!(compared > 70, "{compared}");
    let fields = run(&input, &format!("get {SECRET} --decode -w fields"));
    assert!(
        fields.text().contains("\n\"Value\" : \"\"\n") && fields.text().contains("\n\"Object\" : {"),
        "{fields}"
    );
    let two = run(&input, "get --prefix /registry/configmaps/every-kind/ --decode --print-value-only");
    assert_eq!(two.text().matches("---\n").count() + 1, two.text().matches("kind: ConfigMap\n").count());
}

#[test]
fn a_decoded_secret_is_redacted_in_every_command_until_it_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "plain-1.37");
    let list = ndjson(&run(
        &input,
        "get --prefix /registry/secrets/team-umber/rot --decode --show-secrets -w ndjson",
    ));
    let secret = BASE64_STANDARD.decode(list[0]["object"]["data"]["v"].as_str().unwrap()).unwrap();
    assert_eq!(secret.len(), 10);
    let key = "/registry/secrets/team-umber/rot-zinc-amber";
    for (command, formats) in [
        (format!("get {key} --decode"), &["simple", "json", "ndjson", "fields"][..]),
        (format!("events --key {key} --values --decode"), &["simple", "json", "ndjson"]),
        (format!("history {key} --diff"), &["simple", "json", "ndjson"]),
        (format!("diff --from-rev 411 --prefix {key} --values"), &["simple", "json", "ndjson"]),
    ] {
        for format in formats {
            let quiet = run(&input, &format!("{command} -w {format}"));
            assert!(!told(&quiet, &secret) && quiet.text().contains("redacted len:10 sha256:"), "{quiet}");
            let loud = run(&input, &format!("{command} -w {format} --show-secrets"));
            assert!(told(&loud, &secret) && !loud.text().contains("redacted len:"), "{loud}");
        }
    }
}

#[test]
fn what_changed_in_a_value_that_is_an_object_is_told_by_its_fields() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "plain-1.37");
    let key = "/registry/deployments/team-amber/dep-amber";
    let history = run(&input, &format!("history {key} --diff"));
    for line in ["      ~ .spec.replicas: 1 -> 0\n", "      + .metadata.labels.touched: \"true\"\n"] {
        assert!(history.text().contains(line), "{history}");
    }
    assert!(!history.text().contains(" B sha256 "), "{history}");
    let diff = run(&input, &format!("diff --from-rev 576 --to-rev 577 --prefix {key} --values"));
    assert!(diff.text().contains("\n      ~ .spec.replicas: 1 -> 0\n") && diff.code == 1, "{diff}");
    // A custom resource is JSON, which has its own form.
    let custom = run(&input, "history /registry/olive.example.org/planets/cl-kelp --diff -w ndjson");
    let changes = ndjson(&custom)[1]["changes"].clone();
    assert!(
        changes.as_array().unwrap().iter().any(|line| line.as_str().unwrap().starts_with("~ .metadata."))
    );
}

#[test]
fn events_name_the_objects_that_gos_types_read() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "plain-1.37");
    let mut due = BTreeMap::new();
    for name in ["storage", "history"] {
        for line in lines(&fixture(&format!("kube/plain-1.37/{name}.ndjson.gz"))) {
            let at = (line["key"].as_str().unwrap().to_owned(), line["mod_revision"].as_i64().unwrap());
            let object = &line["storage_json"];
            due.insert(
                at,
                [&object["kind"], &object["metadata"]["namespace"], &object["metadata"]["name"]]
                    .map(Clone::clone),
            );
        }
    }
    let mut compared = 0;
    for event in ndjson(&run(&input, "events --decode -w ndjson")) {
        let at = (event["key"].as_str().unwrap().to_owned(), event["revision"].as_i64().unwrap());
        let object = &event["object"];
        if let Some([kind, namespace, name]) =
            due.get(&at).filter(|due| due[2].as_str().is_some_and(|n| !n.is_empty()))
        {
            assert_eq!((&object["kind"], &object["metadata"]["name"]), (kind, name), "{event}");
            assert_eq!(
                object["metadata"]["namespace"].as_str(),
                namespace.as_str().filter(|n| !n.is_empty())
            );
            compared += 1;
        }
        assert!(object.is_null() || event["type"] == "put", "{event}");
    }
    assert!(compared > 90, "{compared}");
    let simple = run(&input, "events --since-rev 576 --until-rev 576 --decode");
    assert!(simple.text().ends_with(")  deployment.apps/dep-amber -n team-amber\n"), "{simple}");
    let plain = run(&input, "events --since-rev 576 --until-rev 576");
    assert!(plain.text().ends_with(" B)\n") || plain.text().ends_with(" kB)\n"), "{plain}");
    let deleted = run(&input, "events --since-rev 398 --until-rev 398 --decode --values");
    assert_eq!(deleted.text(), "revision 398\n  delete  /registry/configmaps/team-umber/gone-jade-95\n");
}

#[test]
fn the_log_names_the_objects_it_puts_and_shows_them_decoded_when_asked() {
    let dir = tempfile::tempdir().unwrap();
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "n"},
        "data": {"p": BASE64_STANDARD.encode("correct horse")}});
    let requests = vec![
        put(SECRET, &stored(SECRET)),
        put("/registry/secrets/n/s", secret.to_string().as_bytes()),
        put("/plain", b"value"),
    ];
    with_log(requests).files().write(&dir.path().join("data"));
    let input = Input::new(dir.path().join("data"));
    let dump = |more: &str| {
        let words = ["wal", "dump", input.name()].into_iter().chain(more.split_whitespace());
        coldbolt(words)
    };
    let rows = |run: &Run| -> Vec<Value> {
        let rows = ndjson(run);
        rows.into_iter().filter(|row| row["request"]["put"].is_object()).collect()
    };
    let plain = dump("-w ndjson");
    let puts = rows(&plain);
    let names: Vec<&Value> = puts.iter().rev().take(3).map(|row| &row["objects"]).collect();
    let named = |namespace: &str, name: &str| json!([{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}}]);
    assert_eq!(names, [&Value::Null, &named("n", "s"), &named("every-kind", "k-secret1")]);

    let decoded = dump("-w ndjson --decode");
    let last = &rows(&decoded)[puts.len() - 2]["request"]["put"];
    assert!(last["value"].is_null() && last["object"]["metadata"]["name"] == "s", "{last}");
    assert_eq!(rows(&decoded)[puts.len() - 1]["request"]["put"]["value"], BASE64_STANDARD.encode("value"));
    for form in ["text", "json", "ndjson"] {
        let quiet = dump(&format!("-w {form} --decode"));
        assert!(
            !told(&quiet, b"correct horse") && quiet.text().contains("<redacted len:13 sha256:"),
            "{quiet}"
        );
        let loud = dump(&format!("-w {form} --decode --show-secrets"));
        assert!(told(&loud, b"correct horse"), "{loud}");
    }
    let text = dump("--decode");
    assert!(
        text.text().contains("\tnorm\tput /registry/secrets/n/s secret/s -n n\n    apiVersion: v1\n"),
        "{text}"
    );
    assert!(text.text().contains("put:<key:\"/plain\" value:\"value\" >"), "{text}");
    assert_eq!(dump("--decode --raw").code, 2);
    input.unchanged();
}
