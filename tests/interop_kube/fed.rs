//! A server that holds objects of every kind, and its snapshot.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use support::kube_server::KubeServer;
use support::{Input, Run, coldbolt};

const DEFINITIONS: &str = include_str!("definitions.yaml");
const EVERY_KIND: &str = include_str!("every-kind.yaml");

/// What a controller or a kubelet would say of an object. Some of them the server takes only with its own time in them.
const STATUSES: [(&str, &str); 20] = [
    (
        "pods/one",
        r#"{"phase":"Running","podIP":"192.0.2.7","podIPs":[{"ip":"192.0.2.7"}],"startTime":"2026-01-02T03:04:05Z",
            "containerStatuses":[{"name":"main","ready":true,"restartCount":3,"image":"example.com/main:1","imageID":"x",
            "started":true,"state":{"running":{"startedAt":"2026-01-02T03:04:06Z"}},
            "lastState":{"terminated":{"exitCode":1,"reason":"Error","finishedAt":"2026-01-02T03:04:05Z"}}}]}"#,
    ),
    (
        "nodes/node-1",
        r#"{"conditions":[{"type":"Ready","status":"True","reason":"KubeletReady","message":"ready",
            "lastHeartbeatTime":"2026-01-02T03:04:05Z","lastTransitionTime":"2026-01-02T03:04:05Z"}],
            "addresses":[{"type":"InternalIP","address":"192.0.2.3"}],"capacity":{"cpu":"4","memory":"8Gi"},
            "nodeInfo":{"architecture":"amd64","bootID":"","containerRuntimeVersion":"containerd://2.1","kernelVersion":
            "6.1","kubeProxyVersion":"","kubeletVersion":"v1.37.2","machineID":"","operatingSystem":"linux","osImage":"Test",
            "systemUUID":""}}"#,
    ),
    (
        "deployments/web",
        r#"{"replicas":3,"readyReplicas":2,"updatedReplicas":3,"availableReplicas":2,"observedGeneration":1}"#,
    ),
    ("statefulsets/store", r#"{"replicas":1,"readyReplicas":1,"currentRevision":"a","updateRevision":"b"}"#),
    ("jobs/once", r#"{"succeeded":1,"active":1,"startTime":"2026-01-02T03:04:05Z"}"#),
    (
        "persistentvolumeclaims/claim",
        r#"{"phase":"Bound","capacity":{"storage":"1Gi"},"accessModes":["ReadWriteOnce"]}"#,
    ),
    ("services/web", r#"{"loadBalancer":{"ingress":[{"ip":"192.0.2.80"}]}}"#),
    ("boats/anna", r#"{"afloat":true}"#),
    (
        "podgroups/workers",
        r#"{"conditions":[{"type":"PodGroupInitiallyScheduled","status":"False","reason":"Unschedulable","message":"",
            "lastTransitionTime":"2026-01-02T03:04:05Z"}]}"#,
    ),
    (
        "podgroups/alone",
        r#"{"conditions":[{"type":"PodGroupInitiallyScheduled","status":"True","reason":"Scheduled","message":"",
            "lastTransitionTime":"2026-01-02T03:04:05Z"},{"type":"DisruptionTarget","status":"False","reason":
            "PreemptionByScheduler","message":"","lastTransitionTime":"2026-01-02T03:04:05Z"}]}"#,
    ),
    (
        "storageversionmigrations/move",
        r#"{"conditions":[{"type":"Running","status":"False","reason":"x","lastTransitionTime":"2026-01-02T03:04:05Z"},
            {"type":"Succeeded","status":"True","reason":"x","lastTransitionTime":"2026-01-02T03:04:05Z"}]}"#,
    ),
    (
        "storageversions/some.example.com.things",
        r#"{"commonEncodingVersion":"v1","storageVersions":[
            {"apiServerID":"a","encodingVersion":"v1","decodableVersions":["v1"]},
            {"apiServerID":"b","encodingVersion":"v1","decodableVersions":["v1"]},
            {"apiServerID":"c","encodingVersion":"v1","decodableVersions":["v1"]},
            {"apiServerID":"d","encodingVersion":"v1","decodableVersions":["v1"]}]}"#,
    ),
    (
        "evictionrequests/leave",
        r#"{"observedGeneration":1,"conditions":[{"type":"Failed","status":"True","reason":"EvictionInvalid","message":"",
            "lastTransitionTime":"2026-01-02T03:04:05Z"}]}"#,
    ),
    (
        "evictions/11111111-2222-3333-4444-555555555555",
        r#"{"observedGeneration":1,"requesters":[{"name":"b.example.com/b","intent":"Eviction"},
            {"name":"a.example.com/a","intent":"Eviction"},{"name":"c.example.com/c","intent":"Withdrawn"}],
            "targetResponders":[{"name":"x.example.com/x","priority":3000,"state":"Active"},
            {"name":"y.example.com/y","priority":2000,"state":"Inactive"}],
            "responders":[{"name":"x.example.com/x","startTime":"NOW","heartbeatTime":"NOW",
            "expectedCompletionTime":"LATER","message":" at it "},{"name":"y.example.com/y"}]}"#,
    ),
    (
        "evictions/22222222-2222-3333-4444-555555555555",
        r#"{"observedGeneration":1,"requesters":[{"name":"b.example.com/b","intent":"Eviction"}],
            "targetResponders":[{"name":"x.example.com/x","priority":3000,"state":"Active"}],
            "responders":[{"name":"x.example.com/x","startTime":"NOW","completionTime":"NOW"}]}"#,
    ),
    (
        "evictions/22222222-2222-3333-4444-555555555555",
        r#"{"targetResponders":[{"name":"x.example.com/x","priority":3000,"state":"Completed"}]}"#,
    ),
    (
        "evictions/33333333-2222-3333-4444-555555555555",
        r#"{"observedGeneration":1,"requesters":[{"name":"b.example.com/b","intent":"Withdrawn"}],"conditions":[
            {"type":"TargetEvicted","status":"True","reason":"PodDeleted","message":"","lastTransitionTime":
            "2026-01-02T03:04:05Z"}]}"#,
    ),
    (
        "resourcepoolstatusrequests/ask",
        r#"{"poolCount":3,"pools":[{"driver":"card.example.com","poolName":"a","generation":1,"resourceSliceCount":1,
            "totalDevices":5,"allocatedDevices":2,"availableDevices":2,"unavailableDevices":1},
            {"driver":"card.example.com","poolName":"b","generation":1,"validationError":"not whole"}],
            "conditions":[{"type":"Complete","status":"True","reason":"x","message":"",
            "lastTransitionTime":"2026-01-02T03:04:05Z"}]}"#,
    ),
    (
        "resourcepoolstatusrequests/ask-in-vain",
        r#"{"poolCount":0,"conditions":[{"type":"Failed","status":"True","reason":"x","message":"",
            "lastTransitionTime":"2026-01-02T03:04:05Z"}]}"#,
    ),
    (
        "podcertificaterequests/paper",
        r#"{"conditions":[{"type":"Denied","status":"True","reason":"x","message":"","lastTransitionTime":
            "2026-01-02T03:04:05Z"}]}"#,
    ),
];

/// The server, and what was saved of it.
pub struct Fed {
    pub server: KubeServer,
    pub snapshot: Input,
    _dir: tempfile::TempDir,
}

impl Fed {
    /// `None` if the programs are not installed.
    pub fn start() -> Option<Fed> {
        let server = KubeServer::start()?;
        feed(&server);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("snapshot.db");
        server.etcd.save(&path);
        Some(Fed { server, snapshot: Input::new(path), _dir: dir })
    }

    /// `coldbolt kube get` of the snapshot.
    pub fn get(&self, args: &[&str]) -> Run {
        let run = coldbolt([&["kube", "get", self.snapshot.name()], args].concat());
        assert_eq!(run.code, 0, "{run}");
        run
    }
}

/// Has every kind made, some objects changed by others than who made them, and one deleted.
pub fn feed(server: &KubeServer) {
    server.kubectl_stdin(&["create", "-f", "-"], DEFINITIONS.as_bytes());
    server.kubectl(&["wait", "--for=condition=established", "--timeout=60s", "crd", "--all"]);
    // Aggregation learns of them a moment later.
    server.kubectl_stdin(&["create", "-f", "-"], EVERY_KIND.as_bytes());
    let namespaced = |args: &[&str]| server.kubectl(&[&["-n", "every-kind"], args].concat());
    for (object, status) in STATUSES {
        let time =
            |later| (Timestamp::now() + SignedDuration::from_secs(later)).strftime("%FT%TZ").to_string();
        let status = status.replace("NOW", &time(0)).replace("LATER", &time(3600));
        let patch = format!("{{\"status\":{status}}}");
        namespaced(&["patch", object, "--subresource=status", "--type=merge", "--patch", &patch]);
    }
    let applied =
        r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"shared"},"data":{"DATA":"x"}}"#;
    for (manager, key) in [("left", "l"), ("right", "r")] {
        let applied = applied.replace("DATA", key);
        let args = [
            "-n",
            "every-kind",
            "apply",
            "--server-side",
            "--force-conflicts",
            "--field-manager",
            manager,
            "-f",
            "-",
        ];
        server.kubectl_stdin(&args, applied.as_bytes());
    }
    // With its annotation of what was applied.
    server.kubectl_stdin(
        &["-n", "every-kind", "apply", "-f", "-"],
        applied.replace("\"shared\"", "\"mine\"").as_bytes(),
    );
    namespaced(&["annotate", "configmap/mine", "a=- b"]);
    namespaced(&["scale", "deployment/web", "--replicas=5"]);
    namespaced(&["delete", "boats/bare"]);
}

/// The resources that the server keeps objects of, as `deployments.apps`.
pub fn persisted(server: &KubeServer) -> BTreeSet<String> {
    let names = server.kubectl(&["api-resources", "--verbs=create,get,list,delete", "--output=name"]);
    names.lines().map(str::to_owned).collect()
}

/// What the snapshot holds: each resource as kubectl is asked for it in the version that is stored, and by its name.
pub fn stored(snapshot: &Path) -> Vec<(String, String)> {
    let run = coldbolt(["kube", "kinds", snapshot.to_str().unwrap(), "-w", "json"]);
    let answer = run.json();
    let text = |kind: &Value, name: &str| kind[name].as_str().unwrap().to_owned();
    let kinds = answer["kinds"].as_array().unwrap().iter().filter(|kind| kind["objects"] != 0);
    kinds
        .map(|kind| {
            assert!(kind["undecoded"] == 0 && kind["unknown_fields"] == 0, "{kind}");
            let (resource, version, group) =
                (text(kind, "resource"), text(kind, "version"), text(kind, "group"));
            let name = [&*resource, &*group].join(".").trim_end_matches('.').to_owned();
            (format!("{resource}.{version}.{group}"), name)
        })
        .collect()
}
