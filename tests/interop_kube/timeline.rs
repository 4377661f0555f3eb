//! An incident on a real cluster, step by step, and what its files tell of it afterwards.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use support::kube_server::KubeServer;
use support::{Input, coldbolt};

/// Of everything that changes an object: who, when, and the answer.
const POLICY: &str = r#"{"apiVersion":"audit.k8s.io/v1","kind":"Policy","omitStages":["RequestReceived"],"rules":[
    {"level":"RequestResponse","verbs":["create","update","patch"]},{"level":"Metadata"}]}"#;

/// What somebody did, to which key, and when.
struct Step {
    key: &'static str,
    what: &'static str,
    begun: Timestamp,
    ended: Timestamp,
}

struct Incident {
    server: KubeServer,
    steps: Vec<Step>,
}

const SECRET: &str = "/registry/secrets/shop/db";
const BINDING: &str = "/registry/clusterrolebindings/eve";

impl Incident {
    fn step(&mut self, key: &'static str, what: &'static str, args: &[&str]) {
        let begun = Timestamp::now();
        self.server.kubectl(args);
        self.steps.push(Step { key, what, begun, ended: Timestamp::now() });
    }

    /// A backup is made in between, to this file.
    fn happen(&mut self, backup: &Path) {
        let create = ["-n", "shop", "create", "secret", "generic", "db", "--from-literal=password=once"];
        let again = ["-n", "shop", "create", "secret", "generic", "db", "--from-literal=password=more"];
        self.step("/registry/namespaces/shop", "created", &["create", "namespace", "shop"]);
        self.step(SECRET, "created", &create);
        self.step(SECRET, "changed", &["-n", "shop", "annotate", "secret/db", "a=b"]);
        self.step(SECRET, "deleted", &["-n", "shop", "delete", "secret/db"]);
        self.server.etcd.save(backup);
        let bind = ["create", "clusterrolebinding", "eve", "--clusterrole=cluster-admin", "--user=eve"];
        self.step(BINDING, "created", &bind);
        self.step(SECRET, "recreated", &again);
        self.step(BINDING, "deleted", &["delete", "clusterrolebinding/eve"]);
    }

    fn revision(&self) -> i64 {
        self.server.etcd.ctl_json(&["endpoint", "status"], b"")[0]["Status"]["header"]["revision"]
            .as_i64()
            .unwrap()
    }
}

fn rows(args: &[&str]) -> Vec<Value> {
    let run = coldbolt([&["timeline"], args, &["-w", "json"]].concat());
    assert_eq!(run.code, 0, "{run}");
    run.json()["rows"].as_array().unwrap().clone()
}

fn time(row: &Value, name: &str) -> Option<Timestamp> {
    row[name].as_str().map(|text| text.parse().unwrap())
}

/// Each step stands once, in order, and was at a time that is not outside of what is said.
fn tells(rows: &[Value], steps: &[Step]) {
    let of_steps = |row: &&Value| steps.iter().any(|step| row["key"] == step.key);
    let found: Vec<&Value> = rows.iter().filter(of_steps).collect();
    let brief: Vec<_> =
        found.iter().map(|row| (row["key"].as_str().unwrap(), row["what"].as_str().unwrap())).collect();
    let due: Vec<_> = steps.iter().map(|step| (step.key, step.what)).collect();
    assert_eq!(brief, due, "{found:#?}");
    for (row, step) in found.iter().zip(steps) {
        let (from, to) = (time(row, "not_before"), time(row, "not_after"));
        assert!(from.unwrap() <= step.ended, "{row:#} ended at {}", step.ended);
        assert!(to.is_none_or(|to| to >= step.begun), "{row:#} began at {}", step.begun);
        // What was put tells when it was.
        if step.what != "deleted" {
            let second = SignedDuration::from_secs(1);
            assert!(from.unwrap() + second >= step.begun, "{row:#} began at {}", step.begun);
            assert!(to.is_none_or(|to| to <= step.ended + SignedDuration::from_secs(6)), "{row:#}");
        }
    }
}

#[test]
fn every_step_of_an_incident_is_told_once_in_order_and_within_its_time() {
    let Some((server, audit)) = KubeServer::start_audited(POLICY) else { return };
    let mut incident = Incident { server, steps: Vec::new() };
    let home = tempfile::tempdir().unwrap();
    let backup = home.path().join("backup.db");
    incident.happen(&backup);
    // Who covers the tracks: history is gone from the database.
    let last = incident.revision();
    incident.server.etcd.ctl(&["compact", &last.to_string()]);
    incident.server.kubectl(&["-n", "shop", "create", "configmap", "after"]);
    let begun = Timestamp::now();
    let refused = incident.server.try_kubectl(&["-n", "shop", "create", "configmap", "after"], b"");
    assert!(!refused.status.success());
    let data = Input::new(incident.server.kill());
    let steps = &incident.steps;

    let told = rows(&[data.name()]);
    tells(&told, steps);
    assert!(
        told.iter()
            .any(|row| row["what"] == "compacted" && row["detail"] == format!("up to revision {last}"))
    );
    // What came after says by when: of the log's last entries there is nothing.
    let of_steps = told.iter().filter(|row| steps.iter().any(|step| row["key"] == step.key));
    assert!(of_steps.clone().all(|row| row["what"] == "deleted" || time(row, "not_after").is_some()));
    let order: Vec<_> = told.iter().filter_map(|row| row["revision"].as_i64()).collect();
    assert!(order.is_sorted(), "{order:?}");
    // What is compacted away is in the log alone.
    let deleted = told.iter().find(|row| row["key"] == BINDING && row["what"] == "deleted").unwrap();
    assert!(deleted["revision"].is_i64() && deleted["sources"].to_string().contains("wal"), "{deleted:#}");

    // An older backup of the cluster is another witness, not other steps; it alone tells those before it.
    let both = rows(&[data.name(), backup.to_str().unwrap()]);
    tells(&both, steps);
    let by_backup = |key: &str, what: &str| {
        let row = both.iter().find(|row| row["key"] == key && row["what"] == what).unwrap();
        row["sources"].to_string().contains("backup.db")
    };
    assert!(by_backup(SECRET, "deleted") && !by_backup(BINDING, "created"), "{both:#?}");
    tells(&rows(&[backup.to_str().unwrap()]), &steps[..4]);

    let audited = rows(&[data.name(), "--audit", audit.to_str().unwrap()]);
    tells(&audited, steps);
    for step in steps {
        let row = audited.iter().find(|row| row["key"] == step.key && row["what"] == step.what).unwrap();
        assert_eq!(
            (row["audit"]["user"].as_str(), row["known_by"].as_str()),
            (Some("admin"), Some("audit")),
            "{row:#}"
        );
        let (from, to) = (time(row, "not_before").unwrap(), time(row, "not_after").unwrap());
        assert!(from >= step.begun && to <= step.ended, "{row:#}");
    }
    let refused: Vec<_> =
        audited.iter().filter(|row| row["what"] == "request" && row["audit"]["name"] == "after").collect();
    assert_eq!(refused.len(), 1, "{refused:#?}");
    assert!(refused[0]["audit"]["code"] == 409 && time(refused[0], "not_before").unwrap() >= begun);
    data.unchanged();
}
