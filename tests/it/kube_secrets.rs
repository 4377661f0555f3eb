//! `kube secrets`: the Secrets that kubectl lists, what is hidden in other objects, and no value of any.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use support::backup::Backup;
use support::packed::{lines, snapshot, unpacked};
use support::{Input, Run, coldbolt, fixture};

use crate::kube_recorded::{store, versions};

/// Made by openssl, which says of it: notAfter=2036-11-25 23:38:46Z.
pub const CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----\n\
MIIBeDCCAR+gAwIBAgIUBhS08xV5IbN+E6NJkB8Qw7tqj3QwCgYIKoZIzj0EAwIw\n\
EjEQMA4GA1UEAwwHZml4dHVyZTAeFw0yNjExMjgyMzM4NDZaFw0zNjExMjUyMzM4\n\
NDZaMBIxEDAOBgNVBAMMB2ZpeHR1cmUwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC\n\
AAR3zzDWKW7+6INFDHQfZPZuE+IEwzqIBUbDp8Y7B83uDXB8TPLK54akm5sof21T\n\
IDHWG6RH9NU5D16utDWwf1RAo1MwUTAdBgNVHQ4EFgQUemG0tD5K8/Or3rke8GW4\n\
I9NesKcwHwYDVR0jBBgwFoAUemG0tD5K8/Or3rke8GW4I9NesKcwDwYDVR0TAQH/\n\
BAUwAwEB/zAKBggqhkjOPQQDAgNHADBEAiBytkJs/WkJPCpv27iqoSjdoa2cWJ9u\n\
YfEAIYsu4/i7qwIgQ1snFnZpxJsBM20zn2spUY/IE1Z/C56AJRqbGSww6ag=\n\
-----END CERTIFICATE-----\n\
";
pub const ENDS: &str = "2036-11-25T23:38:46Z";

fn secrets(input: &Input, form: &str) -> Run {
    let run = coldbolt(["kube", "secrets", input.name(), "-w", form]);
    input.unchanged();
    run
}

fn places(run: &Run) -> Vec<Value> {
    run.json()["places"].as_array().unwrap().clone()
}

#[test]
fn every_secret_is_there_that_kubectl_lists_with_its_type_and_its_fields() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "plain-1.37");
    let run = secrets(&input, "json");
    let told: BTreeMap<_, _> = places(&run)
        .into_iter()
        .filter(|place| place["resource"] == "secrets" && place["live"] == true)
        .map(|place| {
            let text = |name: &str| place[name].as_str().unwrap().to_owned();
            let fields = place["fields"].as_array().unwrap().iter();
            let data = fields.filter(|field| field["path"].as_str().unwrap().starts_with("data")).count();
            ((text("namespace"), text("name")), (text("type"), text("what"), data.to_string()))
        })
        .collect();
    let tables = lines(&fixture("kube/plain-1.37/tables.ndjson.gz"));
    let table = tables.iter().find(|table| table["command"] == "kubectl get secrets -A").unwrap();
    let what = |kind: &str| match kind {
        "kubernetes.io/service-account-token" => "service-account-token",
        "bootstrap.kubernetes.io/token" => "bootstrap-token",
        "kubernetes.io/tls" => "tls-key",
        "kubernetes.io/dockercfg" | "kubernetes.io/dockerconfigjson" => "docker-config",
        "kubernetes.io/basic-auth" => "basic-auth",
        "kubernetes.io/ssh-auth" => "ssh-key",
        "helm.sh/release.v1" => "helm-release",
        "Opaque" => "secret",
        other => panic!("{other}"),
    };
    let rows = table["output"].as_str().unwrap().lines().skip(1);
    let due: BTreeMap<_, _> = rows
        .map(|row| {
            let row: Vec<String> = row.split_whitespace().map(str::to_owned).collect();
            let kind = what(&row[2]).to_owned();
            ((row[0].clone(), row[1].clone()), (row[2].clone(), kind, row[3].clone()))
        })
        .collect();
    assert!(due.len() > 10);
    assert_eq!(told, due);
    assert_eq!(run.code, 0, "{run}");
    // What the record says of its earlier versions.
    let history = lines(&fixture("kube/plain-1.37/history.ndjson.gz"));
    let rotated = history.iter().filter(|line| line["key"] == "/registry/secrets/team-umber/rot-zinc-amber");
    let there = places(&run).into_iter().find(|place| place["name"] == "rot-zinc-amber").unwrap();
    assert!(there["history"].as_u64().unwrap() >= rotated.count() as u64 && there["free"] == 0, "{there}");
}

#[test]
fn no_value_of_a_secret_is_in_any_answer() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "plain-1.37");
    let all = ["kube", "get", input.name(), "secrets", "-A", "-o", "json", "--show-secrets"];
    let all = coldbolt(all).json();
    let values = all["items"].as_array().unwrap().iter().filter_map(|item| item["data"].as_object());
    let mut canaries = Vec::new();
    for text in values.flat_map(|data| data.values()).filter_map(Value::as_str) {
        let bytes = BASE64_STANDARD.decode(text).unwrap();
        if bytes.len() >= 8 {
            canaries.push(text.to_owned());
            canaries.extend(String::from_utf8(bytes).ok().filter(|text| !text.contains("umber")));
        }
    }
    assert!(canaries.len() > 15, "{canaries:?}");
    for form in ["table", "json"] {
        for command in ["secrets", "encryption"] {
            let run = coldbolt(["kube", command, input.name(), "-w", form]);
            for canary in &canaries {
                // The end of a bootstrap token is what is told of it.
                let told = run.out.windows(canary.len()).any(|part| part == canary.as_bytes());
                assert!(!told || canary == "2030-01-01T00:00:00Z", "{command} {form}: {canary}");
                assert!(!run.err.contains(canary.as_str()), "{command} {form}: {canary}");
            }
        }
    }
}

fn object(kind: &str, api_version: &str, name: &str, more: Value) -> (String, Vec<u8>) {
    let mut object =
        json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": "n"}});
    object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let resource = match kind {
        "ConfigMap" => "configmaps",
        "Deployment" => "deployments",
        "ValidatingWebhookConfiguration" => "validatingwebhookconfigurations",
        "Secret" => "secrets",
        other => panic!("{other}"),
    };
    (format!("/registry/{resource}/n/{name}"), object.to_string().into_bytes())
}

/// A cluster with something in every place, and things that only look like it.
fn cluster() -> Backup {
    let pem = BASE64_STANDARD.encode(CERTIFICATE);
    let key = "-----BEGIN EC PRIVATE KEY-----\ncanary-pem\n-----END EC PRIVATE KEY-----\n";
    let applied = json!({"kind": "ConfigMap", "data": {"db.conf": "password=canary-applied"}}).to_string();
    let env = json!([
        {"name": "DB_PASSWORD", "value": "canary-env"},
        {"name": "DB_PASSWORD_FILE", "value": "/run/secrets/db"},
        {"name": "FROM", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        {"name": "URL", "value": "amqp://u:canary-url@mq/"},
    ]);
    let docker = BASE64_STANDARD.encode("canary:canary-docker");
    let pod = json!({"containers": [
        {"name": "a", "image": "i", "env": env},
        {"name": "b", "image": "i", "args": ["--verbose", "--api-token", "canary-argument"]},
        {"name": "c", "image": "i", "args": ["--token-file=/x", "--password=$(P)"], "env": []},
        {"name": "d", "image": "i", "livenessProbe": {"httpGet": {"port": 1, "httpHeaders": [
            {"name": "Authorization", "value": "Basic canary-probe"}, {"name": "Accept", "value": "text/html"},
        ]}}},
    ]});
    let mut backup = Backup::of(0);
    backup.keys = vec![
        ("/registry/namespaces/default".to_owned(), br#"{"apiVersion":"v1","kind":"Namespace"}"#.to_vec()),
        object(
            "ConfigMap",
            "v1",
            "settings",
            json!({
                "metadata": {"name": "settings", "namespace": "n",
                    "annotations": {"kubectl.kubernetes.io/last-applied-configuration": applied}},
                "data": {"app.properties": "color=red\ndb.password = canary-map\n", "key.pem": key, "x": "a"},
            }),
        ),
        object(
            "ConfigMap",
            "v1",
            "login",
            json!({
                "metadata": {"name": "login", "namespace": "n", "annotations": {
                    "example.com/api-token": "canary0123456789abcdef", "example.com/token-of": "bound",
                }},
                "data": {"config.json": json!({"auths": {"r": {"auth": docker}}}).to_string()},
            }),
        ),
        object("ConfigMap", "v1", "innocent", json!({"data": {"ca.crt": CERTIFICATE, "maxTokens": "4096"}})),
        object("Deployment", "apps/v1", "web", json!({"spec": {"template": {"spec": pod}}})),
        object(
            "ValidatingWebhookConfiguration",
            "admissionregistration.k8s.io/v1",
            "hook",
            json!({
                "webhooks": [{"name": "w", "clientConfig": {"caBundle": pem}}, {"clientConfig": {}}],
            }),
        ),
        object(
            "Secret",
            "v1",
            "tls",
            json!({"type": "kubernetes.io/tls",
            "data": {"tls.crt": pem, "tls.key": BASE64_STANDARD.encode(key)}}),
        ),
        ("/registry/secrets/n/closed".to_owned(), b"k8s:enc:aescbc:v1:key1:canary".to_vec()),
        ("/registry/configmaps/n/closed".to_owned(), b"k8s:enc:aescbc:v1:key1:canary".to_vec()),
        ("/bootstrap/0123456789ab".to_owned(), b"00ff:canary".to_vec()),
    ];
    backup
}

#[test]
fn what_looks_like_a_secret_is_told_by_where_it_is_and_why() {
    let dir = tempfile::tempdir().unwrap();
    let input = Input::write(dir.path(), "a.db", &cluster().bytes());
    let run = secrets(&input, "json");
    let found = places(&run);
    let told: BTreeMap<_, Vec<_>> = found
        .iter()
        .map(|place| {
            let text = |name: &str| place[name].as_str().unwrap_or_default();
            let fields = place["fields"].as_array().unwrap().iter().map(|field| {
                format!("{} {}", field["path"].as_str().unwrap(), field["sign"].as_str().unwrap_or("-"))
            });
            let ends = place["ends"].as_str().map(|time| format!("ends {time}"));
            (format!("{} {} {}", text("what"), text("resource"), text("name")), fields.chain(ends).collect())
        })
        .collect();
    let spec = "spec.template.spec.containers";
    let applied = "metadata.annotations['kubectl.kubernetes.io/last-applied-configuration']";
    let due: BTreeMap<String, Vec<String>> = [
        (
            "looks-secret configmaps settings",
            vec![
                "data['app.properties'] name".to_owned(),
                "data['key.pem'] private-key".to_owned(),
                format!("{applied}.data['db.conf'] name"),
            ],
        ),
        (
            "looks-secret deployments.apps web",
            vec![
                format!("{spec}[0].env.DB_PASSWORD name"),
                format!("{spec}[0].env.URL address-with-password"),
                format!("{spec}[1].args name"),
                format!("{spec}[3].livenessProbe.httpGet.httpHeaders.Authorization name"),
            ],
        ),
        (
            "looks-secret configmaps login",
            vec![
                "data['config.json'] docker-config".to_owned(),
                "metadata.annotations['example.com/api-token'] name".to_owned(),
            ],
        ),
        (
            "ca-bundle validatingwebhookconfigurations.admissionregistration.k8s.io hook",
            vec!["webhooks[0].clientConfig.caBundle -".to_owned(), format!("ends {ENDS}")],
        ),
        (
            "tls-key secrets tls",
            vec![
                "data['tls.crt'] -".to_owned(),
                "data['tls.key'] private-key".to_owned(),
                format!("ends {ENDS}"),
            ],
        ),
        ("encrypted-secret secrets closed", vec![]),
        ("k3s-bootstrap  /bootstrap/0123456789ab", vec![]),
    ]
    .map(|(name, fields)| (name.to_owned(), fields))
    .into();
    assert_eq!(told, due);
    // One config map could not be looked into.
    assert_eq!((run.code, &run.json()["encrypted"]), (4, &json!(1)), "{run}");
    for form in ["table", "json"] {
        let run = secrets(&input, form);
        assert!(!run.text().contains("canary") && !run.err.contains("canary"), "{run}");
    }
    let table = secrets(&input, "table");
    assert!(table.text().contains(&format!("  {ENDS}  live\n")), "{table}");
}

#[test]
fn users_of_etcd_and_secrets_in_history_and_free_pages_are_told_too() {
    let dir = tempfile::tempdir().unwrap();
    let users = Input::write(dir.path(), "users.db", &fs::read(fixture("small-3.5.1/snapshot.db")).unwrap());
    let names: Vec<_> = places(&secrets(&users, "json"))
        .iter()
        .map(|place| (place["what"].clone(), place["name"].clone()))
        .collect();
    assert_eq!(names, [("etcd-user", "reader"), ("etcd-user", "root")].map(|(a, b)| (json!(a), json!(b))));

    // Where there are no objects that is said; behind a prefix they were to be.
    let plain = snapshot(dir.path(), "plain-1.37");
    let astray = coldbolt(["kube", "secrets", plain.name(), "--etcd-prefix", "/elsewhere"]);
    for (run, code) in [(secrets(&users, "table"), 0), (astray, 4)] {
        assert!(run.code == code && run.err.contains("those of a Kubernetes API server"), "{run}");
    }

    let bytes = unpacked(&fixture("kube/encrypted-1.37/deleted.db.gz"));
    let input = Input::write(dir.path(), "deleted.db", &bytes);
    let free: Vec<_> = places(&secrets(&input, "json"))
        .iter()
        .filter(|place| place["what"] == "secret")
        .map(|place| {
            assert_eq!((&place["live"], &place["history"]), (&json!(false), &json!(0)), "{place}");
            format!("{} {}", place["name"].as_str().unwrap(), place["free"])
        })
        .collect();
    // The plain Secrets of the stages without encryption; of the one that was rewritten both plain versions.
    let due =
        ["s00-plain-0 1", "s00-plain-1 1", "s11-identity-first-0 1", "s11-identity-first-1 1", "survivor 2"];
    assert_eq!(free, due);
}

#[test]
fn what_is_encrypted_is_looked_into_with_its_keys_and_told_to_be_encrypted() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "encrypted-1.37");
    let file = |name: &str| {
        let path = dir.path().join(name);
        fs::copy(fixture(&format!("kube/encrypted-1.37/{name}")), &path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (config, kms) = (file("encryption.yaml"), file("kms-keys"));
    let open = |more: &[&str]| {
        let args = ["kube", "secrets", input.name(), "-o", "json", "--encryption-config", &config];
        coldbolt([&args[..], more].concat())
    };
    let run = open(&["--kms-key", &kms]);
    assert!(run.code == 0 && run.err.is_empty(), "{run}");
    let what = |place: &Value, name: &str| place[name].as_str().unwrap().to_owned();
    let found = places(&run);
    assert!(!found.iter().any(|place| what(place, "what") == "encrypted-secret"), "{run}");
    // Every version of a Secret, whatever it was encrypted by, and plain ones.
    let survivor = found.iter().find(|place| what(place, "name") == "survivor").unwrap();
    let stored: Vec<bool> = versions(&store(&fixture("kube/encrypted-1.37")))
        .into_iter()
        .filter(|((key, _), _)| key == "/registry/secrets/vault/survivor")
        .filter_map(|(_, value)| Some(value?.starts_with(b"k8s:enc:")))
        .collect();
    let encrypted = stored.iter().filter(|encrypted| **encrypted).count();
    assert!(encrypted > 10 && encrypted < stored.len());
    assert_eq!((&survivor["history"], &survivor["encrypted"]), (&json!(stored.len() - 1), &json!(encrypted)));

    // Without the keys of the KMS some are not opened, and that is said.
    let run = open(&[]);
    assert!(run.code == 4 && run.err.contains("no plain key was given for the KMS key key-a"), "{run}");
    assert!(places(&run).iter().any(|place| what(place, "what") == "encrypted-secret"), "{run}");
    // In one namespace.
    let run = open(&["--kms-key", &kms, "-n", "other"]);
    let names: Vec<_> = places(&run).iter().map(|place| what(place, "name")).collect();
    assert_eq!((run.code, names), (0, vec!["phoenix".to_owned()]));
    open(&["-n", "nosuch"]).says(4, &["no object is in the namespace nosuch"]);
    input.unchanged();
}
