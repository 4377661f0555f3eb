//! Templates, columns, orders and selectors: as Go's own code answers, and in the binary.

use serde_json::Value;
use support::kube_print::{agree, recorded};
use support::packed::{lines, snapshot};
use support::run::Run;
use support::{Input, coldbolt};

#[test]
fn templates_columns_orders_and_selectors_are_answered_as_go_answers_them() {
    let lines = lines(&recorded());
    let differ: Vec<_> = lines.iter().filter_map(|line| agree(line, line).err()).collect();
    assert!(differ.is_empty(), "{} of {} differ:\n{}", differ.len(), lines.len(), differ.join("\n"));
    assert!(lines.len() > 600);
}

/// `kube` of that file, which it must leave as it is.
fn kube(verb: &str, input: &Input, args: &[&str]) -> Run {
    let run = coldbolt(["kube", verb, input.name()].into_iter().chain(args.iter().copied()));
    input.unchanged();
    run
}

fn get(input: &Input, args: &[&str]) -> Run {
    kube("get", input, args)
}

#[test]
fn a_named_object_is_itself_to_a_template_and_others_are_a_list() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "plain-1.37");
    let text = |args: &[&str]| get(&input, args).text().to_owned();
    let team = ["-n", "team-grove-96"];
    let name = "{.kind}/{.metadata.name}";
    let one = ["pod/pod-olive", "-o", &format!("jsonpath={name}")];
    assert_eq!(text(&[&one[..], &team].concat()), "Pod/pod-olive");
    let all = ["pods", "-o", "jsonpath={.kind}:{range .items[*]}{.metadata.name},{end}"];
    assert_eq!(
        text(&[&all[..], &team].concat()),
        "List:plain-lotus-river,plain-olive-umber,pod-amber,pod-olive,pod-quartz-jade,"
    );
    let file = dir.path().join("template");
    std::fs::write(&file, "{.items[-1].metadata.name}\n").unwrap();
    let of_file = format!("jsonpath-file={}", file.display());
    assert_eq!(text(&["pods", "-n", "team-grove-96", "-o", &of_file]), "pod-quartz-jade\n");
    let missing = get(&input, &["pods", "-o", "jsonpath-file=/no/such/file"]);
    assert!(missing.code == 3 && missing.err.contains("/no/such/file: No such file"), "{missing}");
    std::fs::write(&file, " ".repeat((1 << 20) + 1)).unwrap();
    for form in ["jsonpath-file", "custom-columns-file"] {
        let long = get(&input, &["pods", "-o", &format!("{form}={}", file.display())]);
        assert!(long.code == 3 && long.err.contains("is longer than 1048576 bytes"), "{long}");
    }
    assert_eq!(text(&["pods", "-n", "none", "-o", "jsonpath-as-json={.items}"]), "[\n    []\n]\n");
    // kubectl shows managed fields to a template.
    let managed = "jsonpath={.metadata.managedFields[0].manager}";
    assert!(!text(&["pod/pod-olive", "-n", "team-grove-96", "-o", managed]).is_empty());

    let wrong = get(&input, &["pods", "-o", "jsonpath={.items["]);
    assert!(wrong.code == 2 && wrong.err.contains("unterminated array"), "{wrong}");
    let bounds = get(&input, &["pods", "-o", "jsonpath={.items[0].kind}"]);
    assert!(
        bounds.code == 1 && bounds.err.contains("array index out of bounds: index 0, length 0"),
        "{bounds}"
    );
    let strict =
        ["cm/k-cm1", "-n", "every-kind", "-o", "jsonpath={.x}", "--allow-missing-template-keys=false"];
    let strict = get(&input, &strict);
    assert!(
        strict.code == 1 && strict.err.contains("x is not found") && strict.text().is_empty(),
        "{strict}"
    );
    assert_eq!(get(&input, &["pods", "-o", "xml"]).code, 2);
}

#[test]
fn secrets_are_redacted_in_what_a_template_and_columns_print() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "plain-1.37");
    let secret = ["secret/k-secret1", "-n", "every-kind", "-o"];
    for output in
        ["jsonpath={.data}", "jsonpath={..key}", "jsonpath-as-json={@}", "custom-columns=K:.data.key"]
    {
        let hidden = get(&input, &[&secret[..], &[output]].concat());
        let shown = get(&input, &[&secret[..], &[output, "--show-secrets"]].concat());
        assert!(hidden.text().contains("redacted len:9"), "{hidden}");
        assert!(!shown.text().contains("redacted") && shown.code == 0, "{shown}");
    }
}

#[test]
fn columns_and_tables_are_sorted_and_have_labels_as_kubectl_has_them() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "plain-1.37");
    let columns =
        ["ns", "--sort-by", "{.metadata.name}", "-o", "custom-columns=N:.metadata.name,P:.status.phase"];
    let run = get(&input, &columns);
    let lines: Vec<_> = run.text().lines().collect();
    assert!(lines[0].starts_with("N  ") && lines[0].ends_with('P') && lines[1].ends_with("Active"), "{run}");
    let names: Vec<_> = lines[1..].iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert!(names.is_sorted() && names.len() > 3, "{run}");
    let bare = get(&input, &[&columns[..], &["--no-headers"]].concat());
    assert_eq!(bare.text().lines().count() + 1, lines.len());

    let label = ["ns", "-L", "kubernetes.io/metadata.name,none", "--show-labels", "--sort-by=.metadata.uid"];
    let table = get(&input, &label);
    let first = table.text().lines().next().unwrap();
    assert!(
        first.ends_with("METADATA.NAME     NONE     LABELS") || first.contains("METADATA.NAME"),
        "{table}"
    );
    let default = table.text().lines().find(|line| line.starts_with("default ")).unwrap();
    let cells: Vec<_> = default.split_whitespace().collect();
    assert_eq!(cells[3..], ["default", "<none>", "kubernetes.io/metadata.name=default"], "{table}");
    let kinds = get(&input, &["ns", "--show-kind"]);
    assert!(kinds.text().lines().skip(1).all(|line| line.starts_with("namespace/")), "{kinds}");

    let none = get(&input, &["ns", "--sort-by=.spec.nothing"]);
    assert!(
        none.code == 1 && none.err.contains("couldn't find any field with path \"{.spec.nothing}\""),
        "{none}"
    );
    assert_eq!(get(&input, &["ns", "--show-labels", "-o", "yaml"]).code, 2);
}

#[test]
fn field_selectors_select_what_the_server_selects_by_and_refuse_the_rest_in_its_words() {
    let dir = tempfile::tempdir().unwrap();
    let (plain, encrypted) = (snapshot(dir.path(), "plain-1.37"), snapshot(dir.path(), "encrypted-1.37"));
    let count = |kind: &str, selector: &str| {
        let run = get(&plain, &[kind, "-A", "-o", "name", "--field-selector", selector]);
        assert_eq!(run.code, 0, "{run}");
        run.text().lines().count()
    };
    let all = count("pods", "");
    for (field, value) in
        [("status.phase", "Pending"), ("spec.restartPolicy", "Always"), ("spec.hostNetwork", "false")]
    {
        let (equal, other) =
            (count("pods", &format!("{field}={value}")), count("pods", &format!("{field}!={value}")));
        assert!(equal > 0 && equal + other == all, "{field}");
    }
    assert_eq!(count("pods", "metadata.name=pod-olive,metadata.namespace==team-grove-96"), 1);
    assert_eq!(count("secrets", "type=Opaque") + count("secrets", "type!=Opaque"), count("secrets", ""));
    assert!(
        count("nodes", "spec.unschedulable=false") > 0 && count("all-kinds", "metadata.name=default") > 1
    );
    for (kind, why) in [
        ("pods", "field label not supported: spec.foo"),
        ("cm", "\"spec.foo\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""),
        ("jobs", "field label \"spec.foo\" not supported for Job"),
        ("widgets", "field label not supported: spec.foo"),
    ] {
        let run = get(&plain, &[kind, "--field-selector", "spec.foo=x"]);
        assert!(run.code == 1 && run.err.contains(why), "{run}");
    }
    assert_eq!(get(&plain, &["pods", "--field-selector", "a"]).code, 2);

    // The name of what is encrypted is known by its key, its type is not.
    let named =
        get(&encrypted, &["secrets", "-A", "-o", "name", "--field-selector", "metadata.name=survivor"]);
    assert_eq!((named.text(), named.code), ("secret/survivor\n", 4));
    let typed = get(&encrypted, &["secrets", "-A", "-o", "name", "--field-selector", "type=Opaque"]);
    assert!(typed.code == 4 && typed.err.contains("whether they are selected is not known"), "{typed}");
}

#[test]
fn namespaces_and_fields_sum_up_to_what_kinds_count() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["plain-1.37", "encrypted-1.37"] {
        let input = snapshot(dir.path(), name);
        let answer = |by: &str| -> Value {
            let run = kube("kinds", &input, &["--by", by, "-w", "json"]);
            serde_json::from_str(run.text()).unwrap_or_else(|error| panic!("{error}: {run}"))
        };
        let (kinds, namespaces, fields) = (answer("kind"), answer("namespace"), answer("field"));
        let sum = |rows: &Value, what: &str| -> i64 {
            rows.as_array().unwrap().iter().map(|row| row[what].as_i64().unwrap()).sum()
        };
        for what in ["objects", "stored_versions", "bytes"] {
            assert_eq!(sum(&kinds["kinds"], what), sum(&namespaces["namespaces"], what), "{name} {what}");
        }
        assert_eq!(fields["total"].as_i64(), Some(sum(&kinds["kinds"], "bytes")), "{name}");
        let parts = fields["bytes"].as_object().unwrap();
        assert_eq!(
            parts.values().map(|bytes| bytes.as_i64().unwrap()).sum::<i64>(),
            fields["total"].as_i64().unwrap()
        );
        assert_eq!(parts["undecoded"] == 0, name == "plain-1.37", "{fields}");
        assert!(
            ["keys", "managedFields", "labels", "spec", "data"].iter().all(|part| parts[*part] != 0),
            "{fields}"
        );
        let table = kube("kinds", &input, &["--by", "field"]);
        assert!(
            table.text().lines().last().unwrap().starts_with("total") && table.text().contains("100.0 %"),
            "{table}"
        );
    }
}

#[test]
fn like_an_older_kubernetes_templates_have_a_creation_time_of_null() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "plain-1.37");
    let json = |args: &[&str]| -> Value { serde_json::from_str(get(&input, args).text()).unwrap() };
    let deploy = ["deploy", "-A", "-o", "json"];
    let (now, old) = (json(&deploy), json(&[&deploy[..], &["--like", "1.24"]].concat()));
    let metadata = |list: &Value| list["items"][0]["spec"]["template"]["metadata"].clone();
    assert!(metadata(&now).get("creationTimestamp").is_none(), "{}", metadata(&now));
    assert_eq!(metadata(&old).get("creationTimestamp"), Some(&Value::Null));
    assert_eq!(json(&[&deploy[..], &["--like", "v1.34.0"]].concat()), now);
    assert_eq!(get(&input, &["deploy", "--like", "old"]).code, 2);
}

#[test]
fn several_kinds_with_names_are_answered_as_kubectl_does_and_a_mixture_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "plain-1.37");
    let team = |words: &[&str]| get(&input, &[words, &["-n", "team-grove-96", "-o", "name"]].concat());
    let run = team(&["pod/pod-olive", "sa/default", "pod/pod-amber"]);
    assert_eq!(run.text(), "pod/pod-olive\nserviceaccount/default\npod/pod-amber\n", "{run}");
    let run = get(&input, &["pod/pod-olive", "sa/default", "-n", "team-grove-96"]);
    assert!(run.text().contains("pod/pod-olive") && run.text().contains("serviceaccount/default"), "{run}");
    let run = get(&input, &["pod/pod-olive", "pod/pod-amber", "-n", "team-grove-96"]);
    assert!(run.code == 0 && !run.text().contains("pod/"), "{run}");
    for words in [&["pod/pod-olive", "pod-amber"][..], &["pod", "pod/pod-olive"]] {
        team(words).says(2, &["with KIND/NAME every word is one"]);
    }
    team(&["pod/a/b"]).says(2, &["may not have more than one slash"]);
    team(&["pod/"]).says(2, &["must have a kind and a name"]);
    team(&["pod/a,/b"]).says(2, &["must have a kind and a name"]);
    input.unchanged();
}
